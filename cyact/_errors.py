"""The largest errors measured, in ULP: {function: {dtype: (value, derivative)}}.

Written by tools/errors.py from docs/accuracy/results.jsonl, which tells how and when each was
measured; do not edit. Rounded up to two digits; over all parameters of tests/cases.py. The
derivatives of INTERIOR_ZERO pass through 0: their errors are in ulps of max(|f'|, 2^-10) in
float32 and max(|f'|, 2^-2) in float64. Where a value is a sum that crosses 0 between two
numbers, its error there is absolute, too (CROSSING in tests/reference.py).
"""

INTERIOR_ZERO = frozenset({"dish", "gelu", "hard_swish", "mish", "silu"})

ERRORS = {
    "identity": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "step": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "relu": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "relu6": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "relu_k": {"float32": (0.5, 0.0), "float64": (0.0, 0.0)},
    "squared_relu": {"float32": (0.5, 0.5), "float64": (0.5, 0.0)},
    "leaky_relu": {"float32": (0.85, 0.5), "float64": (0.5, 0.0)},
    "threshold": {"float32": (0.5, 0.0), "float64": (0.0, 0.0)},
    "thresholded_relu": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "hard_shrink": {"float32": (0.0, 0.0), "float64": (0.0, 0.0)},
    "soft_shrink": {"float32": (0.5, 0.0), "float64": (0.5, 0.0)},
    "sparse_plus": {"float32": (0.51, 0.5), "float64": (0.5, 0.5)},
    "exp": {"float32": (0.77, 0.77), "float64": (0.79, 0.79)},
    "expm1": {"float32": (0.89, 0.77), "float64": (1.3, 0.79)},
    "elu": {"float32": (0.86, 0.54), "float64": (1.1, 0.82)},
    "celu": {"float32": (0.86, 0.53), "float64": (1.4, 0.79)},
    "selu": {"float32": (0.98, 0.53), "float64": (1.1, 0.82)},
    "sigmoid": {"float32": (0.78, 0.78), "float64": (1.4, 0.79)},
    "generalized_logistic": {"float32": (0.51, 0.51), "float64": (1.3, 0.79)},
    "hard_sigmoid": {"float32": (0.67, 0.5), "float64": (0.5, 0.0)},
    "sparse_sigmoid": {"float32": (0.5, 0.0), "float64": (0.5, 0.0)},
    "tanh": {"float32": (0.79, 0.51), "float64": (0.96, 0.77)},
    "hard_tanh": {"float32": (0.5, 0.0), "float64": (0.0, 0.0)},
    "tanh_shrink": {"float32": (0.51, 0.6), "float64": (1.4, 1.5)},
    "arctan": {"float32": (0.89, 0.5), "float64": (1.4, 1.5)},
    "gudermannian": {"float32": (0.55, 0.51), "float64": (0.98, 0.81)},
    "silu": {"float32": (0.77, 0.99), "float64": (1.7, 0.63)},
    "mish": {"float32": (0.51, 0.51), "float64": (0.8, 1.1)},
    "gelu": {"float32": (0.89, 0.6), "float64": (1.2, 1.2)},
    "hard_swish": {"float32": (0.51, 0.5), "float64": (1.0, 1.0)},
    "dish": {"float32": (0.51, 0.5), "float64": (0.5, 1.7)},
    "erf": {"float32": (0.54, 0.53), "float64": (1.2, 0.85)},
    "erfc": {"float32": (0.62, 0.53), "float64": (1.4, 0.85)},
    "ndtr": {"float32": (0.62, 0.54), "float64": (1.5, 0.8)},
    "log_ndtr": {"float32": (0.55, 0.54), "float64": (1.5, 1.3)},
    "gaussian": {"float32": (0.53, 0.54), "float64": (0.79, 0.79)},
    "softsign": {"float32": (0.51, 0.51), "float64": (1.5, 0.99)},
    "squareplus": {"float32": (0.5, 0.5), "float64": (1.0, 0.5)},
    "algebraic_sigmoid": {"float32": (0.51, 0.51), "float64": (0.5, 1.5)},
    "isrlu": {"float32": (0.51, 0.51), "float64": (0.5, 1.5)},
    "bent_identity": {"float32": (0.51, 0.51), "float64": (0.5, 1.5)},
    "softplus": {"float32": (0.85, 0.78), "float64": (1.3, 0.79)},
    "log_sigmoid": {"float32": (0.82, 0.78), "float64": (1.3, 1.4)},
    "logit": {"float32": (0.51, 0.51), "float64": (0.58, 1.5)},
    "log1p": {"float32": (0.92, 0.5), "float64": (0.85, 1.5)},
    "log1mexp": {"float32": (0.52, 0.51), "float64": (1.2, 1.1)},
}
