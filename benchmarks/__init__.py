"""Compare cyact with NumPy, SciPy, PyTorch, numexpr, ONNX Runtime and JAX, side by side.

`python -m benchmarks --help`, from the root of the repository, says how.

- catalog.py: the functions, each with its independent reference formulas
- contenders.py: who takes part, and what each of them writes for a function
- accuracy.py: errors in units in the last place
- measure.py: the cases, and the interleaved timing
- matrix.py: functions along an axis, over every length, axis and dtype
- report.py: tables, JSON, chart and the bars of `--check`
"""
