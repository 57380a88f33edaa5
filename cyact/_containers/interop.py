"""Functions along an axis for arrays of any type: ndarrays at once, all others wrapped.

Elementwise functions need none of this: they are NumPy ufuncs, and pandas, xarray and Dask know
what to do with a ufunc.
"""

import sys

import numpy as np

from cyact._containers import dask_rows, wrapping
from cyact._containers.wrapping import axes_of, checked_bias, is_from, plain
from cyact._engine.elementwise import bias_gradient
from cyact._engine.rows import mask_array


def along_axis(function, x, axis, out, dtype, where, bias, /, *params, **options):
    """``function.value`` for any array type; with `out` given, the result is that ndarray."""
    if type(x) is np.ndarray or out is not None:
        return function.value(x, axis, out, dtype, where, bias, *params, **options)
    arrays = {"where": where, "bias": bias, "added": options.get("added")}
    keepdims = options.get("keepdims", False)
    if arrays["added"] is None and _is_split(function, x, axis):
        _check(function, function.name, x, params, where, bias)
        return dask_rows.value(function, x, axes_of(function.name, x, axis), dtype, *params,
                               keepdims=keepdims, where=where, bias=bias)
    return wrapping.value(function, x, axis, dtype, params, keepdims, arrays)


def backward(function, grad, x, output, axis, out, where, bias, /, *params):
    """``function.backward`` for any array type; the result has the type of x (or output)."""
    given = x if output is None else output
    if type(given) is np.ndarray or given is None or out is not None:
        return function.backward(plain(grad), x, output, axis, out, where, bias, *params)
    arrays = {"grad": grad, "where": where, "bias": bias}
    if _is_split(function, given, axis):
        return _split_backward(function, given, output is not None, axis, params, **arrays)
    if bias is not None:
        bias = checked_bias("backward." + function.name, given, bias)
    dx = wrapping.gradient(function, given, output is not None, axis, params, arrays)
    return dx if bias is None else (dx, bias_gradient(dx, bias))


def _is_split(function, x, axis):
    """Whether x is a Dask array that has its rows in several chunks."""
    return (function.name in dask_rows.FAMILY and is_from(x, "dask.array", "Array")
            and any(x.numblocks[i] > 1 for i in axes_of(function.name, x, axis)))


def _split_backward(function, given, from_output, axis, params, grad, where, bias):
    name = "backward." + function.name
    axes = axes_of(name, given, axis)
    _check(function, name, given, params, where, bias)
    grad = sys.modules["dask.array"].asarray(grad)
    x, output = (None, given) if from_output else (given, None)
    if not function.reduces and grad.shape != given.shape:
        raise ValueError(f"{name}: grad must have the shape of the result {given.shape}, "
                         f"got {grad.shape}")
    dx = dask_rows.gradient(function, grad, x, output, axes, *params, where=where,
                            bias=None if from_output else bias)
    return dx if bias is None else (dx, bias_gradient(dx, np.asarray(bias)))


def _check(function, name, x, params, where=None, bias=None):
    """What computing would refuse, before there is a graph."""
    for parameter, domain, value in zip(function.parameters, function.domains, params,
                                        strict=True):
        domain.checked(name, parameter, value)
    if where is not None and not is_from(where, "dask.array", "Array"):
        mask_array(name, where, x.shape)
    if bias is not None:
        checked_bias(name, x, bias)
