"""Compare cyact with NumPy, SciPy, PyTorch, numexpr, ONNX Runtime and JAX, side by side.

`python -m benchmarks --help`, from the root of the repository, says how.

- catalog.py: the functions, from cyact's catalogue and tests/reference.py
- peers.py, numpy_rows.py: what users of other libraries write for them
- contenders.py: how each library runs that
- accuracy.py: true values, and errors in units in the last place
- measure.py: the cases, and the interleaved timing
- rows.py, matrix.py: functions along an axis; over every length, axis and dtype
- tables.py, bars.py: tables for the terminal, and the bars of `--check`
- report.py: the tables of README.md and docs/benchmarks.md
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))        # reference.py and cases.py
