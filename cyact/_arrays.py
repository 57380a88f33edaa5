"""Arrays as functions need them that look at more than an element: whole ones, and their halves."""

import numpy as np

from cyact._engine.arrays import as_array, result_dtype

# What overflows in float32 or in a sum becomes infinite, as in compiled code
QUIETLY = np.errstate(all="ignore")


def shaped(function, x):
    """X as it is if it has a shape, else as an array."""
    return x if hasattr(x, "__array_ufunc__") and hasattr(x, "shape") else as_array(function, x)


def divisible(function, x):
    """An array of a type that can be cut into halves: Dask and masked arrays can.

    xarray would align the halves by their labels, pandas by their names.
    """
    if not (hasattr(x, "dask") or isinstance(x, np.ma.MaskedArray)):
        x = as_array(function, x)
    result_dtype(function, x.dtype)
    return x


def halves(x, axis):
    """Views of the two halves of an array along an axis."""
    n = x.shape[axis] // 2
    before = (slice(None),) * axis
    return x[(*before, slice(None, n))], x[(*before, slice(n, None))]


def twice(shape, axis):
    """The shape of two such arrays concatenated along an axis."""
    return (*shape[:axis], 2 * shape[axis], *shape[axis + 1:])


def concatenated(parts, axis):
    """Two halves as one array of their type."""
    library = np.ma if isinstance(parts[0], np.ma.MaskedArray) else np
    return library.concatenate(parts, axis)


def overlap(a, b):
    """Whether two arrays share memory; interleaved ones do not, if that is found out soon."""
    return np.may_share_memory(a, b, max_work=1000)
