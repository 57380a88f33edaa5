"""logsumexp with weights, and its gradient: in NumPy, summed in float64.

A row is scaled by its largest entry that has a weight. It is brought together in memory, so that
its sum is the same wherever it lies.
"""

from functools import partial

import numpy as np

from cyact._arrays import QUIETLY
from cyact._containers import wrapping
from cyact._engine.arrays import as_array, check_out, result_dtype
from cyact._engine.elementwise import bias_gradient
from cyact._engine.rows import Joined, as_rows, mask_array, without
from cyact.elementwise import identity


def logsumexp(x, b, axis, keepdims, return_sign, where, bias, out, dtype):
    """log|sum(b * exp(x))|, with the sign of the sum, or NaN where it is negative."""
    if bias is not None:
        x = identity(x, bias=bias, dtype=dtype)
    if _is_ndarray(x) or out is not None:
        found = _log_and_sign(x, axis, b, where, keepdims, out, dtype)
        return found if return_sign else _positive(*found)
    arrays = {"b": _spread(b, x), "where": where}
    found = tuple(wrapping.wrapped(partial(_part, part, keepdims, dtype), "logsumexp", x, arrays,
                                   axis, True, keepdims)
                  for part in (("log", "sign") if return_sign else ("positive",)))
    return found if return_sign else found[0]


def logsumexp_backward(grad, x, b, axis, where, bias, out):
    """Grad * b * exp(x) / sum(b * exp(x)); with `bias`, its gradient, too."""
    if bias is not None:
        dx = logsumexp_backward(grad, identity(x, bias=bias), b, axis, where, None, out)
        return dx, bias_gradient(dx, np.asarray(bias))
    if _is_ndarray(x) or out is not None:
        return gradient(x, axis, grad, b, where, out)
    arrays = {"grad": grad, "b": _spread(b, x), "where": where}
    return wrapping.wrapped(gradient, "logsumexp", x, arrays, axis, False, False)


def _is_ndarray(x):
    return type(x) is np.ndarray or not hasattr(x, "__array_ufunc__")


def _spread(b, x):
    """Weights in x's shape, for the libraries that cut both into blocks."""
    if hasattr(b, "dims"):
        return b
    return np.broadcast_to(b.to_numpy() if hasattr(b, "to_numpy") else b, x.shape)


def _part(part, keepdims, dtype, x, axis, b, where=None):
    log, sign = _log_and_sign(x, axis, b, where, keepdims, None, dtype)
    return sign if part == "sign" else log if part == "log" else _positive(log, sign)


def _positive(log, sign):
    """The logarithm, NaN where the sum is negative."""
    if isinstance(log, np.ndarray):
        log[sign < 0] = np.nan
        return log
    return log if not sign < 0 else log * np.nan


@QUIETLY
def _log_and_sign(x, axis, b, where, keepdims, out, dtype):
    x, axes = as_rows("logsumexp", x, axis, dtype)
    shape = without(x.shape, axes, keepdims)
    if out is not None:
        check_out("logsumexp", out, shape, x.dtype)
    terms, top, _ = _terms("logsumexp", x, axes, b, where)
    total = terms.sum(-1)
    log = np.asarray(np.log(np.abs(total)) + top, x.dtype).reshape(shape)
    sign = np.sign(total).astype(x.dtype).reshape(shape)[()]
    if out is None:
        return log[()], sign
    np.copyto(out, log, casting="same_kind")
    return out, sign


@QUIETLY
def gradient(x, axis, grad, b, where=None, out=None):
    """The gradient with respect to an ndarray."""
    name = "backward.logsumexp"
    grad = as_array(name, grad)
    dtype = np.result_type(result_dtype(name, grad.dtype),
                           result_dtype(name, as_array(name, x).dtype))
    x, axes = as_rows(name, x, axis, dtype)
    if grad.shape not in (without(x.shape, axes, True), without(x.shape, axes, False)):
        raise ValueError(f"{name}: grad must have the shape of the result "
                         f"{without(x.shape, axes, False)}, got {grad.shape}")
    if out is not None:
        check_out(name, out, x.shape, x.dtype)
    terms, _, counts = _terms(name, x, axes, b, where)
    joined = Joined(x.shape, axes)
    dx = joined.back(terms / terms.sum(-1, keepdims=True))
    dx = np.where(joined.back(counts), dx * grad.reshape(without(x.shape, axes, True)), 0)
    if out is None:
        return dx.astype(x.dtype)
    np.copyto(out, dx, casting="same_kind")
    return out


def _terms(function, x, axes, b, where):
    """``b * exp(x - top)`` of each row, along the last axis; its top; and which entries count."""
    b = as_array(function, b)
    if not np.can_cast(b.dtype, np.float64, "same_kind"):
        raise TypeError(f"{function}: b must hold real numbers, got dtype {b.dtype}")
    mask = mask_array(function, where, x.shape)
    try:
        b = np.broadcast_to(b, x.shape)
    except ValueError:
        raise ValueError(f"{function}: b must broadcast to the shape of x, {x.shape}; got "
                         f"{b.shape}") from None
    b = np.asarray(b, np.float64 if x.dtype == np.float64 else np.float32)
    b = b if mask is None else np.where(mask, b, 0)
    joined = Joined(x.shape, axes)
    b, x = (np.ascontiguousarray(joined.rows(a), np.float64) for a in (b, x))
    counts = b != 0
    top = x.max(-1, initial=-np.inf, keepdims=True, where=counts & np.isfinite(x))
    top = np.where(np.isfinite(top), top, 0)
    return np.where(counts, b * np.exp(x - top), 0), top[..., 0], counts
