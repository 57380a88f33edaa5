"""Sparse relatives of softmax, and the maximum of runs, along an axis.

The formulas are in ``_sparse.pxd``; backward passes are in `cyact.backward`.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from cyact import _interop
from cyact._documented import documented
from cyact._engine import as_array, check_out, result_dtype
from cyact._row_engine import RowFunction, mask_array, normalize_axis

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

_hardmax = RowFunction("hardmax")
_sparsemax = RowFunction("sparsemax")
_entmax15 = RowFunction("entmax15")


@documented
def hardmax(
    x: ArrayLike, /, axis: int | str = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """One-hot vector of the maximum: 1 where it is, 0 elsewhere.

    Parameters
    ----------
    {row_x}
    {row_single_axis}
    {row_mask}

    {row_raises}

    Notes
    -----
    Exact. Of several maxima the first counts. Its derivative is 0. A row that holds NaN gives NaN.

    Examples
    --------
    >>> import cyact
    >>> cyact.hardmax([0.5, 2.0, -1.0, 2.0])
    array([0., 1., 0., 0.])
    """
    return _interop.along_axis(_hardmax, x, axis, out, dtype, where=where, bias=bias)


@documented
def sparsemax(
    x: ArrayLike, /, axis: int | str = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Sparsemax: the probabilities nearest to x, many of them exactly 0.

    Parameters
    ----------
    {row_x}
    {row_single_axis}
    {row_mask}

    {row_raises}

    Notes
    -----
    ``f(x)[i] = max(x[i] - tau, 0)`` with tau such that the row sums to 1: the Euclidean
    projection onto the simplex. tau is carried in two doubles. Error at most 0.51 ULP in
    float32 and in float64, results below 2**-45 included (those to 2**-98), for rows of up to
    2**20 entries. The same bits whatever the batch, layout, axis and number of threads. A row
    that holds NaN or +inf, or nothing but -inf, gives NaN.

    References
    ----------
    A. F. T. Martins and R. F. Astudillo, "From softmax to sparsemax: a sparse model of attention
    and multi-label classification", ICML 2016, arXiv:1602.02068.

    Examples
    --------
    >>> import cyact
    >>> cyact.sparsemax([1.0, 0.5, -1.0])
    array([0.75, 0.25, 0.  ])
    """
    return _interop.along_axis(_sparsemax, x, axis, out, dtype, where=where, bias=bias)


@documented
def entmax15(
    x: ArrayLike, /, axis: int | str = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """1.5-entmax: between softmax and sparsemax, smooth and sparse.

    Parameters
    ----------
    {row_x}
    {row_single_axis}
    {row_mask}

    {row_raises}

    Notes
    -----
    ``f(x)[i] = max(x[i]/2 - tau, 0)**2`` with tau such that the row sums to 1. tau is carried in
    two doubles. Error at most 0.51 ULP in float32 and in float64, for rows of up to 2**20
    entries. The same bits whatever the batch, layout, axis and number of threads. A row that
    holds NaN or +inf, or nothing but -inf, gives NaN.

    References
    ----------
    B. Peters, V. Niculae and A. F. T. Martins, "Sparse sequence-to-sequence models", ACL 2019,
    arXiv:1905.05702.

    Examples
    --------
    >>> import cyact
    >>> cyact.entmax15([1.0, 0.0, -1.0]).round(4)
    array([0.8307, 0.1693, 0.    ])
    """
    return _interop.along_axis(_entmax15, x, axis, out, dtype, where=where, bias=bias)


# maxout: the axis is split in two, of which the second is reduced. Splitting is a view.

_maxout = RowFunction("maxout", reduces=True)


@documented
def maxout(
    x: ArrayLike, /, pieces: int, axis: int = -1, *, where: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Maximum of every run of `pieces` entries along an axis.

    Parameters
    ----------
    {row_x}
    pieces : int
        Entries of a run; divides the length of `axis`.
    axis : int, default -1
        The axis of the runs: `pieces` times shorter in the result.
    where : array_like of bool, optional
        Must broadcast to the shape of `x`. False means "not in the run"; the maximum of nothing
        is -inf.
    out : ndarray, optional
        Where to put the result; must have its shape.
    dtype : {float16, bfloat16, float32, float64}, optional
        Compute ``f(x.astype(dtype))``.

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

    Notes
    -----
    Exact; the largest of several linear maps, if `x` holds their values side by side. A run that
    holds NaN gives NaN. The gradient goes to the first maximum of each run.

    References
    ----------
    I. J. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville and Y. Bengio, "Maxout networks",
    ICML 2013, arXiv:1302.4389.

    Examples
    --------
    >>> import cyact
    >>> cyact.maxout([1.0, 3.0, -2.0, -5.0], 2)
    array([ 3., -2.])
    """
    x, axis, _, where = _runs("maxout", x, pieces, axis, where)
    return _interop.along_axis(_maxout, x, axis + 1, out, dtype, where=where)


def _maxout_backward(grad, x, pieces, axis, where, out):
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
    dx = _interop.backward(_maxout, grad, x, None, axis + 1, split, where=where)
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
