"""Rows that Dask has cut into chunks: the softmax family without bringing a row together.

Each chunk gives the logarithm of its sum; of these, one number a chunk, the row's is made, and
with it each chunk its part of the result. Everything is lazy, and computed in float64.
"""

import sys

import numpy as np

from cyact import _row_functions as rows
from cyact._containers import wrapping
from cyact._engine.arrays import result_dtype
from cyact.elementwise import identity

FAMILY = ("softmax", "log_softmax", "softmin", "logsumexp", "logmeanexp")


def value(function, x, axes, dtype, temperature=1.0, *, keepdims=False, where=None, bias=None):
    """``function.value`` for a Dask array, along axes that are split."""
    result = result_dtype(function.name, x.dtype if dtype is None else np.dtype(dtype))
    z, where = _prepared(function, x.astype(result), axes, temperature, where, bias)
    logs = _log_of_sums(z, axes)
    if function.reduces:
        y = wrapping.value(rows.logsumexp, logs, axes, None, (), keepdims, {})
        if function is rows.logmeanexp:
            y = y - _count(z, where, axes, keepdims)
        return y.astype(result)
    return _shares(function, z, logs, axes, where).astype(result)


def gradient(function, grad, x, output, axes, temperature=1.0, *, where=None, bias=None):
    """``function.gradient`` for a Dask array, along axes that are split."""
    given = x if output is None else output
    dask = sys.modules["dask.array"]
    result = np.result_type(result_dtype(function.name, grad.dtype),
                            result_dtype(function.name, given.dtype))
    grad = grad.astype(np.float64)
    if function.reduces:
        kept = tuple(1 if i in axes else n for i, n in enumerate(given.shape))
        z, where = _prepared(rows.softmax, x, axes, 1.0, where, bias)
        y = _shares(rows.softmax, z, _log_of_sums(z, axes), axes, where)
        return (grad.reshape(kept) * y).astype(result)
    if where is not None:
        grad = dask.where(where, grad, 0.0)
    if output is None:
        z, where = _prepared(function, x, axes, temperature, where, bias)
        y = _shares(rows.softmax, z, _log_of_sums(z, axes), axes, where)
    else:
        y = output.astype(np.float64)
        y = np.exp(y) if function is rows.log_softmax else y
    if function is rows.log_softmax:
        dx = grad - y * grad.sum(axes, keepdims=True)
    else:
        dx = y * (grad - (grad * y).sum(axes, keepdims=True))
    dx = dx / (-1.0 if function is rows.softmin else temperature)
    return (dx if where is None else dask.where(where, dx, 0.0)).astype(result)


def _prepared(function, x, axes, temperature, where, bias):
    """What is exponentiated, in float64, masked entries -inf; and the mask in its chunks."""
    dask = sys.modules["dask.array"]
    if bias is not None:
        x = identity(x.astype(np.result_type(x.dtype, np.float32)), bias=bias)
    z = x.astype(np.float64)
    z = -z if function is rows.softmin else z / temperature
    if where is not None:
        where = dask.broadcast_to(dask.asarray(where), x.shape).rechunk(x.chunks)
        z = dask.where(where, z, -np.inf)
    return z, where


def _log_of_sums(z, axes):
    """One entry a chunk, all of a row in one piece."""
    logs = sys.modules["dask.array"].map_blocks(
        _log_of_sum, z, axes=axes, dtype=np.float64, meta=np.empty((0,) * z.ndim),
        chunks=tuple((1,) * len(c) if i in axes else c for i, c in enumerate(z.chunks)))
    return logs.rechunk(dict.fromkeys(axes, -1))


def _log_of_sum(z, axes):
    return rows.logsumexp.value(z, axes, None, None, None, None, keepdims=True)


def _shares(function, z, logs, axes, where):
    """Each chunk's softmax or log_softmax, times the chunk's share."""
    dask = sys.modules["dask.array"]
    every = tuple(range(z.ndim))
    shares = wrapping.value(rows.log_softmax, logs, axes, None, (1.0,), False, {})
    shares = shares.rechunk(dict.fromkeys(axes, 1))
    logarithm = function is rows.log_softmax
    y = dask.blockwise(_share, every, z, every, shares, every, axes=axes, logarithm=logarithm,
                       align_arrays=False, dtype=np.float64, meta=np.empty((0,) * z.ndim))
    return y if where is None else dask.where(where, y, -np.inf if logarithm else 0.0)


def _share(z, shares, axes, logarithm):
    function = rows.log_softmax if logarithm else rows.softmax
    y = function.value(z, axes, None, None, None, None, 1.0)
    y = y + shares if logarithm else y * np.exp(shares)
    # a chunk of nothing but -inf has no softmax, but its part of the row is known
    return np.where(np.isneginf(shares), -np.inf if logarithm else 0.0, y)


def _count(z, where, axes, keepdims):
    """The logarithm of the number of entries of each row."""
    dask = sys.modules["dask.array"]
    if where is None:
        return np.log(float(np.prod([z.shape[i] for i in axes])))
    count = where.sum(axes, keepdims=keepdims).astype(np.float64)
    return dask.where(count > 0, dask.log(dask.maximum(count, 1.0)), np.nan)
