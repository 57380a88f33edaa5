"""Where errors are looked for, and true values: those of tests/reference.py."""

import numpy as np
import reference
from cases import inputs

# Of a dtype of so many bytes; those of float64 take mpmath
POINTS = {4: 1 << 20, 8: 4500}
ROW_POINTS = 1 << 20


def dtype_of(name):
    """A dtype by name; NumPy knows bfloat16 once ml_dtypes is imported."""
    if name == "bfloat16":
        import ml_dtypes  # noqa: F401
    return np.dtype(name)


def sample(function, dtype):
    """Inputs of every magnitude, and next to where the function bends; of 16 bits all."""
    if dtype.itemsize == 2:
        x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
        x = x[np.isfinite(x)]
    else:
        points = function.case.reference.interesting(*function.case.numbers)
        x = inputs(dtype.type, POINTS[dtype.itemsize], points)
    return function.inside(x)


def truth(function, what, x, output=None):
    """True values of a function or derivative, and where errors are absolute.

    Of an output that is given, the derivative there.
    """
    case = function.case
    single = np.float64 if x.dtype == np.float64 else np.float32
    least = reference.least(case, what, single) if output is None else 0.0
    at = x if output is None else np.asarray(output)
    if x.dtype == np.float64:
        exact = getattr(case.reference, what if output is None else "from_output")
        return reference.true_values(exact, at, case.numbers), least
    if output is None:
        exact = case.reference.wide if what == "value" else case.reference.wide_derivative
    else:
        exact = case.reference.from_output
    with np.errstate(all="ignore"):
        return exact(at.astype(np.float64), *case.numbers), least


def largest(y, true, least, dtype):
    """The largest error in ULP of a dtype."""
    measure = reference.mp_ulps if isinstance(true, list) else reference.ulps
    return float(measure(y, true, least, dtype).max(initial=0))


ROWS = {
    "softmax": lambda x, axis, target: reference.wide_softmax(x, axis),
    "log_softmax": lambda x, axis, target: reference.wide_log_softmax(x, axis),
    "logsumexp": lambda x, axis, target: reference.wide_logsumexp(x, axis),
    "cross_entropy": lambda x, axis, target: reference.wide_cross_entropy_gradient(
        x, target, axis),
}


def rows_truth(function, x, axis, target=None):
    """The same along an axis; None where nothing is known or longdouble is no wider than x."""
    if function not in ROWS or np.finfo(np.longdouble).nmant <= np.finfo(x.dtype).nmant:
        return None
    with np.errstate(all="ignore"):
        return ROWS[function](x, axis, target)
