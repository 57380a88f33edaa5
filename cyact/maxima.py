"""The maximum of a row, and of runs of entries, along an axis.

The formulas are in ``_level/rows/``; backward passes are in `cyact.backward`.
"""

from functools import partial
from operator import index

import numpy as np

from cyact import _docs
from cyact._catalog import activation
from cyact._containers import interop as _interop
from cyact._engine.arrays import as_array, check_out, result_dtype
from cyact._engine.domains import Domain
from cyact._engine.rows import mask_array, normalize_axis
from cyact._row_functions import hardmax as _hardmax
from cyact._row_functions import maxout as _maxout

_maxima = partial(activation, "maxima", skeleton=_docs.ROWS_OF_ONE_AXIS)


@_maxima("1 at the first maximum of x, else 0", "0", engine=_hardmax, exact="Exact")
def hardmax(x, /, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """One-hot vector of the maximum: 1 where it is, 0 elsewhere.

    Of several maxima the first counts. A row that holds NaN gives NaN.

    >>> cyact.hardmax([0.5, 2.0, -1.0, 2.0])
    array([0., 1., 0., 0.])
    """
    return _interop.along_axis(_hardmax, x, axis, out, dtype, where, bias)


@_maxima("max of each run of pieces entries", engine=_maxout, exact="Exact",
         parameters={"pieces": Domain("an integer that divides the axis", low=1)},
         reference='I. J. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville and Y. Bengio, '
                   '"Maxout networks", ICML 2013, arXiv:1302.4389.')
def maxout(x, /, pieces, axis=-1, *, where=None, out=None, dtype=None):
    """Maximum of every run of `pieces` entries along an axis.

    pieces : int
        Entries of a run; divides the length of `axis`.
    axis : int, default -1
        The axis of the runs: `pieces` times shorter in the result.
    where : array_like of bool, optional
        Must broadcast to the shape of `x`. False means "not in the run"; the maximum of nothing
        is -inf.
    out : ndarray, optional
        Where to put the result; must have its shape.

    Returns
    -------
    ndarray, or the type of `x` if that is a Dask or masked array
        Floating dtype of `x`. Masked entries do not count; a run of nothing else is masked.

    Raises
    ------
    TypeError
        A dtype is not supported, `pieces` is no integer, or `out` is not an ndarray that can hold
        the result's dtype.
    ValueError
        The length of `axis` is no multiple of `pieces`, or `out` is read-only or has another
        shape.
    numpy.exceptions.AxisError
        `axis` is out of bounds (a ValueError).

    The largest of several linear maps, if `x` holds their values side by side. A run that holds
    NaN gives NaN. The gradient goes to the first maximum of each run.

    >>> cyact.maxout([1.0, 3.0, -2.0, -5.0], 2)
    array([ 3., -2.])
    """
    # the axis is split in two, of which the second is reduced: that is a view
    x, axis, _, where = _runs("maxout", x, pieces, axis, where)
    return _interop.along_axis(_maxout, x, axis + 1, out, dtype, where, None)


def maxout_backward(grad, x, pieces, axis, where, out):
    """Grad where x has the first maximum of its run, 0 elsewhere."""
    name = "backward.maxout"
    whole = x
    x, axis, pieces, where = _runs(name, x, pieces, axis, where)
    split = out
    if out is not None:
        dtype = np.result_type(result_dtype(name, as_array(name, grad).dtype),
                               result_dtype(name, x.dtype))
        check_out(name, out, np.shape(whole), dtype)
        split = _split(out, pieces, axis)
    dx = _interop.backward(_maxout, grad, x, None, axis + 1, split, where, None)
    return dx.reshape(np.shape(whole)) if out is None else out


def _runs(function, x, pieces, axis, where):
    """An array with its axis split into runs; that axis, pieces as an int, and `where` split."""
    if not (hasattr(x, "dask") or isinstance(x, np.ma.MaskedArray)):
        x = as_array(function, x)
    try:
        number = index(pieces)
    except TypeError:
        raise TypeError(f"{function}: pieces must be an integer, got {pieces!r}") from None
    axis = normalize_axis(function, x, axis)
    if number < 1 or x.shape[axis] % number:
        raise ValueError(f"{function}: pieces must be at least 1 and divide the length of axis "
                         f"{axis}, {x.shape[axis]}; got {pieces!r}")
    if where is not None:
        where = _split(mask_array(function, where, x.shape), number, axis)
    return _split(x, number, axis), axis, number, where


def _split(x, pieces, axis):
    return x.reshape(*x.shape[:axis], x.shape[axis] // pieces, pieces, *x.shape[axis + 1:])
