"""The largest errors measured, in ULP: {function: {dtype: (value, derivative)}}.

Written by tools/errors.py; do not edit. Rounded up to two digits; over all parameters of
tests/cases.py. The derivatives of INTERIOR_ZERO pass through 0: their errors are in ulps of
max(|f'|, 2^-10) in float32 and max(|f'|, 2^-2) in float64. Where a value is a sum that crosses
0 between two numbers, its error there is absolute, too (crossing in tests/test_accuracy.py).

command    python -P tools/errors.py --every 211 --points 1000000 --mpmath 20000
measured   2026-11-22, level v4, kernels of commit 81514f6
float32    every 211th bit pattern, and 250000 points in tails and near kinks
float64    1000000 points against longdouble, or 20000 against mpmath
"""

INTERIOR_ZERO = frozenset({"dish", "gelu", "hard_swish", "mish", "silu"})

ERRORS = {
    "identity": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "step": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "relu": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "relu6": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "relu_k": {"float32": (0.41, 0.0), "float64": (0.0, 0.0)},
    "squared_relu": {"float32": (0.5, 0.0), "float64": (0.5, 0.0)},
    "leaky_relu": {"float32": (0.84, 0.41), "float64": (0.5, 0.0)},
    "threshold": {"float32": (0.41, 0.0), "float64": (0.0, 0.0)},
    "thresholded_relu": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "elu": {"float32": (0.84, 0.54), "float64": (0.97, 0.79)},
    "celu": {"float32": (0.84, 0.53), "float64": (0.97, 0.78)},
    "selu": {"float32": (0.93, 0.53), "float64": (0.97, 0.77)},
    "sigmoid": {"float32": (0.78, 0.78), "float64": (1.3, 0.78)},
    "generalized_logistic": {"float32": (0.51, 0.51), "float64": (0.99, 0.63)},
    "log_sigmoid": {"float32": (0.83, 0.78), "float64": (1.2, 1.3)},
    "hard_sigmoid": {"float32": (0.67, 0.41), "float64": (0.5, 0.0)},
    "hard_swish": {"float32": (0.51, 0.5), "float64": (1.0, 1.0)},
    "tanh": {"float32": (0.86, 0.51), "float64": (0.9, 0.75)},
    "hard_tanh": {"float32": (0.41, 0.0), "float64": (0.0, 0.0)},
    "softplus": {"float32": (0.85, 0.78), "float64": (1.3, 0.78)},
    "softsign": {"float32": (0.5, 0.5), "float64": (1.5, 0.94)},
    "squareplus": {"float32": (0.5, 0.5), "float64": (1.0, 0.51)},
    "algebraic_sigmoid": {"float32": (0.5, 0.51), "float64": (0.51, 1.3)},
    "isrlu": {"float32": (0.5, 0.51), "float64": (0.51, 1.3)},
    "silu": {"float32": (0.77, 0.99), "float64": (1.5, 0.57)},
    "mish": {"float32": (0.51, 0.51), "float64": (0.77, 1.1)},
    "gelu": {"float32": (0.89, 0.6), "float64": (1.1, 1.1)},
    "erf": {"float32": (0.54, 0.53), "float64": (0.93, 0.59)},
    "erfc": {"float32": (0.61, 0.53), "float64": (0.97, 0.59)},
    "ndtr": {"float32": (0.61, 0.54), "float64": (1.2, 0.62)},
    "log_ndtr": {"float32": (0.55, 0.54), "float64": (1.2, 1.0)},
    "logit": {"float32": (0.51, 0.5), "float64": (0.57, 1.5)},
    "arctan": {"float32": (0.86, 0.5), "float64": (1.3, 1.5)},
    "gudermannian": {"float32": (0.55, 0.51), "float64": (0.98, 0.77)},
    "log1p": {"float32": (0.87, 0.5), "float64": (0.84, 1.5)},
    "log1mexp": {"float32": (0.51, 0.51), "float64": (1.1, 1.1)},
    "tanh_shrink": {"float32": (0.51, 0.6), "float64": (1.3, 1.3)},
    "exp": {"float32": (0.75, 0.75), "float64": (0.78, 0.78)},
    "expm1": {"float32": (0.84, 0.75), "float64": (1.2, 0.78)},
    "gaussian": {"float32": (0.53, 0.54), "float64": (0.61, 0.6)},
    "bent_identity": {"float32": (0.51, 0.5), "float64": (0.51, 1.5)},
    "hard_shrink": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "soft_shrink": {"float32": (0.5, 0.0), "float64": (0.5, 0.0)},
    "sparse_plus": {"float32": (0.5, 0.5), "float64": (0.51, 0.5)},
    "sparse_sigmoid": {"float32": (0.5, 0.0), "float64": (0.5, 0.0)},
    "dish": {"float32": (0.5, 0.5), "float64": (0.51, 1.7)},
}
