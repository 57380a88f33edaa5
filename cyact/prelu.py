"""prelu, a rectifier with a weight for each channel, and the gradient of that weight."""

from math import fsum, isfinite, prod

import numpy as np

from cyact._arrays import QUIETLY, shaped
from cyact._catalog import activation
from cyact._engine.arrays import as_array, result_dtype
from cyact._engine.domains import FINITE
from cyact._engine.elementwise import Function
from cyact._engine.rows import normalize_axis
from cyact.elementwise import _identity

_prelu = Function("prelu")
_negative_part = Function("prelu", kernel="negative_part")

PIECE = 65_536           # columns summed side by side: they fit the caches


@activation("rectifiers", "x if x >= 0 else weight * x", "1 if x > 0 else weight", engine=_prelu,
            parameters={"weight": FINITE}, exact="Error at most 0.5 ULP",
            reference='K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: '
                      'surpassing human-level performance on ImageNet classification", ICCV 2015, '
                      'arXiv:1502.01852.')
def prelu(x, weight, /, axis=1, *, bias=None, out=None, dtype=None):
    """Parametric rectified linear unit: a leaky ReLU with a learned slope for each channel.

    weight : array_like
        The slope for negative input: one number, or 1-D with one for each entry of `axis`.
    axis : int, default 1
        The channel axis; must be within bounds (else numpy.exceptions.AxisError, a ValueError)
        where `weight` has more than one entry.

    The derivative at 0 is `weight`.

    >>> cyact.prelu([[-2.0, -2.0], [1.0, 1.0]], [0.25, 0.5])
    array([[-0.5, -1. ],
           [ 1. ,  1. ]])
    """
    y = _prelu.by_number(x, weight, bias, out, dtype)
    if y is not None:
        return y
    x = shaped("prelu", x)
    return _prelu.weighted("prelu", x, channels("prelu", x, weight, axis), bias, out, dtype)


def channels(function, x, weight, axis):
    """A weight in a shape that broadcasts to x."""
    weight = as_array(function, weight)
    if weight.ndim > 1:
        raise ValueError(f"{function}: weight must be one number or 1-D, got shape {weight.shape}")
    if weight.size == 1:
        return weight.reshape((1,) * len(x.shape))
    axis = normalize_axis(function, x, axis)
    if weight.size != x.shape[axis]:
        raise ValueError(f"{function}: weight must be one number or have {x.shape[axis]} entries, "
                         f"one for each of axis {axis} of x, got shape {weight.shape}")
    return weight.reshape([-1 if i == axis else 1 for i in range(len(x.shape))])


@QUIETLY
def weight_gradient(function, grad, x, bias, shape, axis):
    """The gradient of prelu's weight, of this shape: grad * min(x, 0) summed over channels."""
    if hasattr(x, "dask") or hasattr(grad, "dask"):
        return _lazy_weight_gradient(function, grad, x, bias, shape, axis)
    grad, x = (as_array(function, np.ma.filled(a, 0) if isinstance(a, np.ma.MaskedArray) else a)
               for a in (grad, x))
    if grad.shape != x.shape:
        raise ValueError(f"{function}: grad and x must have equal shapes, "
                         f"got {grad.shape} and {x.shape}")
    dtype = result_dtype(function, x.dtype)
    if bias is not None:
        x = _identity.weighted(function, x, None, bias, None,
                               np.float32 if dtype.itemsize == 2 else None)
    if prod(shape) == 1:
        sums = np.array(_total(function, grad, x))
    else:
        sums = _channel_sums(function, grad, x, normalize_axis(function, x, axis))
    return sums.astype(np.float64 if dtype == np.float64 else np.float32).reshape(shape)[()]


def _lazy_weight_gradient(function, grad, x, bias, shape, axis):
    dtype = result_dtype(function, x.dtype)
    dtype = dtype if dtype == np.float64 else np.dtype(np.float32)
    x = _identity.weighted(function, x.astype(dtype), None, bias, None, None)
    products = _negative_part.gated(function, x, grad, None)
    if prod(shape) == 1:
        axes = None
    else:
        axis = normalize_axis(function, x, axis)
        axes = tuple(i for i in range(x.ndim) if i != axis)
    return products.sum(axes, dtype=np.float64).astype(dtype).reshape(shape)


def _channel_sums(function, grad, x, axis):
    """Grad * min(x, 0) summed over all axes but one."""
    count, inner = x.shape[axis], prod(x.shape[axis + 1:])
    if inner == 1 or x.size == 0:
        return _negative_part.summed(function, *(np.moveaxis(a, axis, -1) for a in (grad, x)))
    # what follows the axis is contiguous as a rule, so that is not stepped over: some channels
    # with all that belongs to them side by side
    sums = np.empty(count)
    step = max(1, PIECE // inner)
    for start in range(0, count, step):
        part = (slice(None),) * axis + (slice(start, start + step),)
        if inner > PIECE:
            sums[start] = _total(function, grad[part], x[part])
        else:
            table = _negative_part.summed(
                function, *(a[part].reshape(*a.shape[:axis], -1) for a in (grad, x)))
            sums[start:start + step] = table.reshape(-1, inner).sum(1)
    return sums


def _total(function, grad, x):
    """Grad * min(x, 0) summed over everything."""
    if (grad.flags.c_contiguous and x.flags.c_contiguous) or x.ndim < 2:
        # as a table, of which the columns are summed side by side
        grad, x = grad.reshape(-1), x.reshape(-1)
        whole = x.size // 256 * 256
        pieces = ((slice(whole), 256), (slice(whole, None), x.size - whole))
        sums = np.concatenate([
            _negative_part.summed(function, *(a[part].reshape(-1, n or 1) for a in (grad, x)))
            for part, n in pieces])
    else:
        sums = _negative_part.summed(function, grad, x)
    total = sums.sum()
    return fsum(sums) if isfinite(np.abs(sums).sum()) else total
