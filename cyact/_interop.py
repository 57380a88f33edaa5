"""pandas, xarray, masked and Dask arrays for functions along an axis.

Elementwise functions need none of this: they are NumPy ufuncs, and those libraries know what
to do with a ufunc. Nothing here imports any of them; an object can only be an instance of a
class of theirs if they are imported already.
"""

import sys
from functools import partial

import numpy as np


def _is(x, module, *classes):
    module = sys.modules.get(module)
    return module is not None and isinstance(x, tuple(getattr(module, c) for c in classes))


def along_axis(function, x, axis, out, dtype, /, *params, **keywords):
    """``function.value`` for any array type; with `out` given, the result is that ndarray."""
    if type(x) is np.ndarray or out is not None:
        return function.value(x, axis, out, dtype, *params, **keywords)
    run = partial(_value, function.name, dtype, params, keywords)
    return _wrapped(run, function, x, (), axis, function.reduces, keywords.get("keepdims", False))


def backward(function, grad, x, output, axis, out, /, *params):
    """``function.backward`` for any array type; the result has the type of x (or output)."""
    given = x if output is None else output
    if type(given) is np.ndarray or given is None or out is not None:
        return function.backward(_plain(grad), x, output, axis, out, *params)
    run = partial(_gradient, function.name, output is not None, params)
    return _wrapped(run, function, given, (grad,), axis, False, False)


# Module-level and called with plain arguments, so that Dask can send them to other processes.

def _value(name, dtype, params, keywords, x, axis):
    from cyact import rows

    return getattr(rows, "_" + name).value(x, axis, None, dtype, *params, **keywords)


def _gradient(name, from_output, params, x, axis, grad):
    from cyact import rows

    x, output = (None, x) if from_output else (x, None)
    return getattr(rows, "_" + name).backward(grad, x, output, axis, None, *params)


def _block(x, *others, run, axis):
    return run(x, axis, *others)


def _plain(x):
    """What a gradient holds, as something the engine takes."""
    if isinstance(x, np.ma.MaskedArray):
        return x.filled(0)
    return x


def _wrapped(run, function, x, others, axis, reduces, keepdims):
    if isinstance(x, np.ma.MaskedArray):
        return _masked(run, function, x, others, axis, reduces, keepdims)
    if _is(x, "pandas", "DataFrame", "Series"):
        return _pandas(run, x, others, axis, reduces, keepdims)
    if _is(x, "xarray", "Dataset"):
        return x.map(lambda v: _wrapped(run, function, v, others, axis, reduces, keepdims))
    if _is(x, "xarray", "DataArray"):
        return _xarray(run, function, x, others, axis, reduces, keepdims)
    if _is(x, "dask.array", "Array"):
        return _dask(run, function, x, others, axis, reduces, keepdims)
    return run(x, axis, *map(_plain, others))


def _masked(run, function, x, others, axis, reduces, keepdims):
    mask = np.ma.getmaskarray(x)
    values = np.array(x.data, np.result_type(x.dtype, np.float32) if x.dtype.kind in "biu"
                      else x.dtype)
    if values.dtype.kind == "f":
        values[mask] = -np.inf            # an entry that adds nothing to any sum
    result = run(values, axis, *map(_plain, others))
    if reduces:
        mask = mask.all(axis=axis, keepdims=keepdims)
    return np.ma.array(result, mask=mask)


def _pandas(run, x, others, axis, reduces, keepdims):
    pandas = sys.modules["pandas"]
    result = run(x.to_numpy(), axis, *(getattr(o, "to_numpy", lambda o=o: o)() for o in others))
    if not reduces:
        if x.ndim == 1:
            return pandas.Series(result, index=x.index, name=x.name, copy=False)
        return pandas.DataFrame(result, index=x.index, columns=x.columns, copy=False)
    if x.ndim == 1 or keepdims:
        return result
    return pandas.Series(result, index=x.columns if axis in (0, -2) else x.index, copy=False)


def _xarray(run, function, x, others, axis, reduces, keepdims):
    number = x.get_axis_num(axis) if isinstance(axis, str) else axis
    others = [o.transpose(*x.dims).data if getattr(o, "dims", None) and set(o.dims) == set(x.dims)
              else getattr(o, "data", o) for o in others]
    result = _wrapped(run, function, x.data, others, number, reduces, keepdims)
    if not reduces:
        return x.copy(data=result)
    dim = x.dims[number]
    kept = x.isel({dim: slice(0, 1)} if keepdims else {dim: 0}, drop=True)
    if keepdims:
        kept = kept.drop_vars([c for c in kept.coords if dim in kept[c].dims])
    return kept.copy(data=result)


def _dask(run, function, x, others, axis, reduces, keepdims):
    """Lazily, a row in one piece: an axis that is split over chunks is brought together."""
    from cyact._engine import result_dtype
    from cyact._row_engine import normalize_axis

    axis = normalize_axis(function.name, x, axis)
    x = x.rechunk({axis: -1})
    dtype = result_dtype(function.name, x.dtype)
    dask = sys.modules["dask.array"]
    others = [dask.asarray(o).rechunk(x.chunks) if np.shape(o) == x.shape else o for o in others]
    shape = {"chunks": x.chunks[:axis] + ((1,),) + x.chunks[axis + 1:]} if keepdims else {}
    return dask.map_blocks(partial(_block, run=run, axis=axis), x, *others, dtype=dtype,
                           drop_axis=axis if reduces and not keepdims else [], **shape,
                           meta=np.empty((0,) * (x.ndim - (reduces and not keepdims)), dtype))
