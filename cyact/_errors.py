"""The largest errors measured, in ULP: {function: {dtype: (value, derivative)}}.

Written by tools/errors.py; do not edit. Rounded up to two digits; over all parameters of
tests/cases.py. The derivatives of INTERIOR_ZERO pass through 0: their errors are in ulps of
max(|f'|, 2^-10) in float32 and max(|f'|, 2^-2) in float64. Where a value is a sum that crosses
0 between two numbers, its error there is absolute, too (crossing in tests/test_accuracy.py).

command    python -P tools/errors.py --every 211 --points 1000000 --mpmath 20000
measured   2026-11-22, level v4, kernels of commit ad1393f
float32    every 211th bit pattern, and 250000 points in tails and near kinks
float64    1000000 points against longdouble, or 20000 against mpmath
"""

INTERIOR_ZERO = frozenset({"gelu", "silu"})

ERRORS = {
    "identity": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "relu": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "leaky_relu": {"float32": (0.84, 0.41), "float64": (0.5, 0.0)},
    "elu": {"float32": (0.84, 0.54), "float64": (0.97, 0.79)},
    "sigmoid": {"float32": (0.51, 0.51), "float64": (0.78, 0.78)},
    "tanh": {"float32": (0.86, 0.51), "float64": (0.91, 0.77)},
    "softplus": {"float32": (0.85, 0.51), "float64": (1.3, 0.78)},
    "softsign": {"float32": (0.5, 0.5), "float64": (1.5, 0.94)},
    "silu": {"float32": (0.51, 0.51), "float64": (0.77, 0.57)},
    "gelu": {"float32": (1.0, 0.6), "float64": (0.96, 0.99)},
}
