"""pandas, xarray, masked and Dask arrays for functions along an axis.

Elementwise functions need none of this: they are NumPy ufuncs, and those libraries know what
to do with a ufunc. Nothing here imports any of them; an object can only be an instance of a
class of theirs if they are imported already.

`run(x, axis, **arrays)` computes on ndarrays; `arrays` (grad, where, bias, added) go with x.
"""

import sys
from functools import partial
from importlib import import_module

import numpy as np

from cyact._containers import dask_rows
from cyact._engine.arrays import bias_array, dtype_within, result_dtype
from cyact._engine.elementwise import bias_gradient
from cyact._engine.rows import mask_array, normalize_axis


def _is(x, module, *classes):
    module = sys.modules.get(module)
    return module is not None and isinstance(x, tuple(getattr(module, c) for c in classes))


def along_axis(function, x, axis, out, dtype, where, bias, /, *params, **options):
    """``function.value`` for any array type; with `out` given, the result is that ndarray."""
    if type(x) is np.ndarray or out is not None:
        return function.value(x, axis, out, dtype, where, bias, *params, **options)
    arrays = {"where": where, "bias": bias, "added": options.get("added")}
    keepdims = options.get("keepdims", False)
    if arrays["added"] is None and _is_split(function, x, axis):
        _check(function, function.name, x, params, where, bias)
        return dask_rows.value(function.name, x, _axes(function.name, x, axis), dtype, *params,
                                keepdims=keepdims, where=where, bias=bias)
    run = partial(_value, function.name, dtype, params, keepdims)
    return _wrapped(run, function, x, arrays, axis, function.reduces, keepdims)


def backward(function, grad, x, output, axis, out, where, bias, /, *params):
    """``function.backward`` for any array type; the result has the type of x (or output)."""
    given = x if output is None else output
    if type(given) is np.ndarray or given is None or out is not None:
        return function.backward(_plain(grad), x, output, axis, out, where, bias, *params)
    arrays = {"grad": grad, "where": where, "bias": bias}
    if _is_split(function, given, axis):
        return _split_backward(function, given, output is not None, axis, params, **arrays)
    run = partial(_gradient, function.name, output is not None, params)
    if bias is None:
        return _wrapped(run, function, given, arrays, axis, False, False)
    bias = _checked("backward." + function.name, given, bias)
    dx = _wrapped(run, function, given, arrays, axis, False, False)
    return dx, bias_gradient(dx, bias)


def _is_split(function, x, axis):
    """Whether x is a Dask array that has its rows in several chunks."""
    return (function.name in dask_rows.FAMILY and _is(x, "dask.array", "Array")
            and any(x.numblocks[i] > 1 for i in _axes(function.name, x, axis)))


def _axes(name, x, axis):
    axes = axis if isinstance(axis, tuple) else range(x.ndim) if axis is None else (axis,)
    return tuple(sorted(normalize_axis(name, x, a) for a in axes))


def _split_backward(function, given, from_output, axis, params, grad, where, bias):
    name = "backward." + function.name
    axes = _axes(name, given, axis)
    _check(function, name, given, params, where, bias)
    grad = sys.modules["dask.array"].asarray(grad)
    x, output = (None, given) if from_output else (given, None)
    if not function.reduces and grad.shape != given.shape:
        raise ValueError(f"{name}: grad must have the shape of the result {given.shape}, "
                         f"got {grad.shape}")
    dx = dask_rows.gradient(function.name, grad, x, output, axes, *params, where=where,
                             bias=None if from_output else bias)
    return dx if bias is None else (dx, bias_gradient(dx, np.asarray(bias)))


def _check(function, name, x, params, where=None, bias=None):
    """What computing would refuse, before there is a graph."""
    for parameter, domain, value in zip(function.parameters, function.domains, params,
                                        strict=True):
        domain.checked(name, parameter, value)
    if where is not None and not _is(where, "dask.array", "Array"):
        mask_array(name, where, x.shape)
    if bias is not None:
        _checked(name, x, bias)


# Module-level and called with plain arguments, so that Dask can send them to other processes.

def _value(name, dtype, params, keepdims, x, axis, where=None, bias=None, added=None):
    return _function(name).value(x, axis, None, dtype, where, bias, *params, keepdims=keepdims,
                                 added=added)


def _gradient(name, from_output, params, x, axis, grad, where=None, bias=None):
    x, output = (None, x) if from_output else (x, None)
    return _function(name).gradient(grad, x, output, axis, None, where, bias, *params)


def _function(name):
    for module in ("rows", "sparse", "sampling"):
        function = getattr(import_module("cyact." + module), "_" + name, None)
        if function is not None:
            return function
    raise AttributeError(name)


def _block(x, *others, run, axis, names):
    return run(x, axis, **dict(zip(names, others, strict=True)))


def _checked(name, x, bias):
    return bias_array(name, bias, x.shape, dtype_within(name, x))


def _plain(x):
    """What a gradient holds, as something the engine takes."""
    if isinstance(x, np.ma.MaskedArray):
        return x.filled(0)
    return x


def _wrapped(run, function, x, arrays, axis, reduces, keepdims):
    arrays = {name: a for name, a in arrays.items() if a is not None}
    if isinstance(x, np.ma.MaskedArray):
        return _masked(run, x, arrays, axis, reduces, keepdims)
    if _is(x, "pandas", "DataFrame", "Series"):
        return _pandas(run, x, arrays, axis, reduces, keepdims)
    if _is(x, "xarray", "Dataset"):
        return x.map(lambda v: _wrapped(run, function, v, arrays, axis, reduces, keepdims))
    if _is(x, "xarray", "DataArray"):
        return _xarray(run, function, x, arrays, axis, reduces, keepdims)
    if _is(x, "dask.array", "Array"):
        return _dask(run, function, x, arrays, axis, reduces, keepdims)
    return run(x, axis, **{name: _plain(a) for name, a in arrays.items()})


def _masked(run, x, arrays, axis, reduces, keepdims):
    """Masked entries are not in the row; a masked entry of `where` is False."""
    mask = np.ma.getmaskarray(x)
    arrays = {name: _plain(a) for name, a in arrays.items()}
    arrays["where"] = ~mask & arrays.get("where", True)
    result = run(x.data, axis, **arrays)
    if reduces:
        mask = mask.all(axis=axis, keepdims=keepdims)
    return np.ma.array(result, mask=mask)


def _pandas(run, x, arrays, axis, reduces, keepdims):
    pandas = sys.modules["pandas"]
    result = run(x.to_numpy(), axis, **{name: getattr(a, "to_numpy", lambda a=a: a)()
                                        for name, a in arrays.items()})
    if not reduces:
        if x.ndim == 1:
            return pandas.Series(result, index=x.index, name=x.name, copy=False)
        return pandas.DataFrame(result, index=x.index, columns=x.columns, copy=False)
    if x.ndim == 1 or keepdims or np.ndim(result) == 0:
        return result
    return pandas.Series(result, index=x.columns if axis in (0, -2) else x.index, copy=False)


def _xarray(run, function, x, arrays, axis, reduces, keepdims):
    axes = axis if isinstance(axis, tuple) else range(x.ndim) if axis is None else (axis,)
    axes = tuple(x.get_axis_num(a) if isinstance(a, str) else a for a in axes)
    arrays = {name: _aligned(a, x) for name, a in arrays.items()}
    result = _wrapped(run, function, x.data, arrays, axes if len(axes) > 1 else axes[0], reduces,
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


def _dask(run, function, x, arrays, axis, reduces, keepdims):
    """Lazily, rows in one piece: those that are split, and have no other way, are joined."""
    axes = _axes(function.name, x, axis)
    if "bias" in arrays:
        arrays["bias"] = _checked(function.name, x, arrays["bias"])
    x = x.rechunk(dict.fromkeys(axes, -1))
    dtype = result_dtype(function.name, x.dtype)
    dask = sys.modules["dask.array"]
    every = tuple(range(x.ndim))
    operands = [x, every]
    for name, a in arrays.items():
        a = dask.asarray(a)
        if name == "where":
            a = dask.broadcast_to(a, x.shape)
        # a gradient of a reduced shape has the axes that are left
        indices = (every[-1:] if name == "bias" else every if a.ndim == x.ndim
                   else tuple(i for i in every if i not in axes))
        operands += [a.rechunk(tuple(x.chunks[i] if a.shape[j] == x.shape[i] else (a.shape[j],)
                                     for j, i in enumerate(indices))), indices]
    left = every if not reduces or keepdims else tuple(i for i in every if i not in axes)
    return dask.blockwise(
        partial(_block, run=run, axis=axis, names=list(arrays)), left, *operands, dtype=dtype,
        adjust_chunks=dict.fromkeys(axes, 1) if reduces and keepdims else None,
        concatenate=True, align_arrays=False, meta=np.empty((0,) * len(left), dtype))
