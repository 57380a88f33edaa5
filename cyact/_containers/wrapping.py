"""Calls along an axis for pandas, xarray, masked and Dask arrays whose rows are in one piece.

Nothing here imports any of those libraries; an object can only be an instance of a class of
theirs if they are imported already.

`run(x, axis, **arrays)` computes on ndarrays; `arrays` (grad, where, bias, added) go with x.
"""

import sys
from functools import partial

import numpy as np

from cyact._engine.arrays import bias_array, dtype_within, result_dtype
from cyact._engine.rows import normalize_axis
from cyact._row_functions import BY_NAME


def is_from(x, module, *classes):
    """Whether x is of one of these classes of a library, which need not be imported."""
    module = sys.modules.get(module)
    return module is not None and isinstance(x, tuple(getattr(module, c) for c in classes))


def value(function, x, axis, dtype, params, keepdims, arrays):
    """``function.value``."""
    run = partial(_value, function.name, dtype, params, keepdims)
    return wrapped(run, function.name, x, arrays, axis, function.reduces, keepdims)


def gradient(function, given, from_output, axis, params, arrays):
    """``function.gradient``; `given` is x or the output."""
    run = partial(_gradient, function.name, from_output, params)
    return wrapped(run, function.name, given, arrays, axis, False, False)


# Module-level and called with plain arguments, so that Dask can send them to other processes.

def _value(name, dtype, params, keepdims, x, axis, where=None, bias=None, added=None):
    return BY_NAME[name].value(x, axis, None, dtype, where, bias, *params, keepdims=keepdims,
                               added=added)


def _gradient(name, from_output, params, x, axis, grad, where=None, bias=None):
    x, output = (None, x) if from_output else (x, None)
    return BY_NAME[name].gradient(grad, x, output, axis, None, where, bias, *params)


def _block(x, *others, run, axis, names):
    return run(x, axis, **dict(zip(names, others, strict=True)))


def axes_of(name, x, axis):
    """The axes that make a row, in rising order."""
    axes = axis if isinstance(axis, tuple) else range(x.ndim) if axis is None else (axis,)
    return tuple(sorted(normalize_axis(name, x, a) for a in axes))


def checked_bias(name, x, bias):
    """The bias of an array of any type, as an ndarray."""
    return bias_array(name, bias, x.shape, dtype_within(name, x))


def plain(x):
    """What a gradient holds, as something the engine takes."""
    if isinstance(x, np.ma.MaskedArray):
        return x.filled(0)
    return x


def wrapped(run, name, x, arrays, axis, reduces, keepdims):
    """What `run` makes of the ndarrays within x, as an object of x's type."""
    arrays = {key: a for key, a in arrays.items() if a is not None}
    if isinstance(x, np.ma.MaskedArray):
        return _masked(run, x, arrays, axis, reduces, keepdims)
    if is_from(x, "pandas", "DataFrame", "Series"):
        return _pandas(run, x, arrays, axis, reduces, keepdims)
    if is_from(x, "xarray", "Dataset"):
        return x.map(lambda v: wrapped(run, name, v, arrays, axis, reduces, keepdims))
    if is_from(x, "xarray", "DataArray"):
        return _xarray(run, name, x, arrays, axis, reduces, keepdims)
    if is_from(x, "dask.array", "Array"):
        return _dask(run, name, x, arrays, axis, reduces, keepdims)
    return run(x, axis, **{key: plain(a) for key, a in arrays.items()})


def _masked(run, x, arrays, axis, reduces, keepdims):
    """Masked entries are not in the row; a masked entry of `where` is False."""
    mask = np.ma.getmaskarray(x)
    arrays = {key: plain(a) for key, a in arrays.items()}
    arrays["where"] = ~mask & arrays.get("where", True)
    result = run(x.data, axis, **arrays)
    if reduces:
        mask = mask.all(axis=axis, keepdims=keepdims)
    return np.ma.array(result, mask=mask)


def _pandas(run, x, arrays, axis, reduces, keepdims):
    pandas = sys.modules["pandas"]
    result = run(x.to_numpy(), axis, **{key: getattr(a, "to_numpy", lambda a=a: a)()
                                        for key, a in arrays.items()})
    if not reduces:
        if x.ndim == 1:
            return pandas.Series(result, index=x.index, name=x.name, copy=False)
        return pandas.DataFrame(result, index=x.index, columns=x.columns, copy=False)
    if x.ndim == 1 or keepdims or np.ndim(result) == 0:
        return result
    return pandas.Series(result, index=x.columns if axis in (0, -2) else x.index, copy=False)


def _xarray(run, name, x, arrays, axis, reduces, keepdims):
    axes = axis if isinstance(axis, tuple) else range(x.ndim) if axis is None else (axis,)
    axes = tuple(x.get_axis_num(a) if isinstance(a, str) else a for a in axes)
    arrays = {key: _aligned(a, x) for key, a in arrays.items()}
    result = wrapped(run, name, x.data, arrays, axes if len(axes) > 1 else axes[0], reduces,
                     keepdims)
    if not reduces:
        return x.copy(data=result)
    dims = [x.dims[a] for a in axes]
    kept = x.isel({dim: slice(0, 1) if keepdims else 0 for dim in dims}, drop=True)
    if keepdims:
        kept = kept.drop_vars([c for c in kept.coords if set(dims) & set(kept[c].dims)])
    return kept.copy(data=result)


def _aligned(a, x):
    """An array that goes with x, its dimensions in x's order."""
    if not getattr(a, "dims", None):
        return a
    if set(a.dims) == set(x.dims):
        return a.transpose(*x.dims).data
    return a.broadcast_like(x).transpose(*x.dims).data if a.ndim > 1 else a.data


def _dask(run, name, x, arrays, axis, reduces, keepdims):
    """Lazily, rows in one piece: those that are split, and have no other way, are joined."""
    axes = axes_of(name, x, axis)
    if "bias" in arrays:
        arrays["bias"] = checked_bias(name, x, arrays["bias"])
    x = x.rechunk(dict.fromkeys(axes, -1))
    dtype = result_dtype(name, x.dtype)
    dask = sys.modules["dask.array"]
    every = tuple(range(x.ndim))
    operands = [x, every]
    for key, a in arrays.items():
        a = dask.asarray(a)
        if key == "where":
            a = dask.broadcast_to(a, x.shape)
        # a gradient of a reduced shape has the axes that are left
        indices = (every[-1:] if key == "bias" else every if a.ndim == x.ndim
                   else tuple(i for i in every if i not in axes))
        operands += [a.rechunk(tuple(x.chunks[i] if a.shape[j] == x.shape[i] else (a.shape[j],)
                                     for j, i in enumerate(indices))), indices]
    left = every if not reduces or keepdims else tuple(i for i in every if i not in axes)
    return dask.blockwise(
        partial(_block, run=run, axis=axis, names=list(arrays)), left, *operands, dtype=dtype,
        adjust_chunks=dict.fromkeys(axes, 1) if reduces and keepdims else None,
        concatenate=True, align_arrays=False, meta=np.empty((0,) * len(left), dtype))
