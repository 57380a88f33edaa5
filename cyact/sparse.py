"""Sparse relatives of softmax, and the maximum of runs, along an axis.

The formulas are in ``_level/rows/sparse.pyx``; backward passes are in `cyact.backward`.
"""

from __future__ import annotations

from functools import partial
from math import prod
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from cyact._containers import interop as _interop
from cyact._docs import documented
from cyact._engine.arrays import as_array, check_out, result_dtype
from cyact._engine.domains import POSITIVE, Domain
from cyact._engine.elementwise import bias_gradient
from cyact._engine.rows import Joined, RowFunction, as_rows, mask_array, normalize_axis, without
from cyact.elementwise import _identity

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
    return _interop.along_axis(_hardmax, x, axis, out, dtype, where, bias)


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
    return _interop.along_axis(_sparsemax, x, axis, out, dtype, where, bias)


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
    return _interop.along_axis(_entmax15, x, axis, out, dtype, where, bias)


class _Entmax:
    """entmax by its alpha: kernels of their own where there are any."""

    name = "entmax"
    reduces = False
    parameters = ("alpha",)
    domains = (Domain("at least 1 and finite", low=1),)

    _softmax = RowFunction("entmax", kernel="softmax", temperature=POSITIVE)
    _entmax15 = RowFunction("entmax", kernel="entmax15")
    _sparsemax = RowFunction("entmax", kernel="sparsemax")
    _other = RowFunction("entmax", alpha=domains[0])

    def _kernels(self, function, alpha):
        """The row function for this alpha, and its parameters."""
        alpha = self.domains[0].checked(function, "alpha", alpha)
        if alpha == 1:
            return self._softmax, (1.0,)
        if alpha == 1.5:
            return self._entmax15, ()
        if alpha == 2:
            return self._sparsemax, ()
        return self._other, (alpha,)

    def value(self, x, axis, out, dtype, where, bias, alpha, **options):
        function, params = self._kernels("entmax", alpha)
        return function.value(x, axis, out, dtype, where, bias, *params, **options)

    def backward(self, grad, x, output, axis, out, where, bias, alpha):
        function, params = self._kernels("backward.entmax", alpha)
        return function.backward(grad, x, output, axis, out, where, bias, *params)

    def gradient(self, grad, x, output, axis, out, where, bias, alpha):
        function, params = self._kernels("backward.entmax", alpha)
        return function.gradient(grad, x, output, axis, out, where, bias, *params)


_entmax = _Entmax()


@documented
def entmax(
    x: ArrayLike, /, alpha: float = 1.5, axis: int | str = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Entmax: softmax for alpha = 1, sparsemax for alpha = 2, and what lies between and beyond.

    Parameters
    ----------
    {row_x}
    alpha : float, default 1.5
        The larger, the fewer entries are not 0; finite and at least 1.
    {row_single_axis}
    {row_mask}

    {row_raises}

    Notes
    -----
    ``f(x)[i] = max((alpha - 1) * x[i] - tau, 0)**(1 / (alpha - 1))`` with tau such that the row
    sums to 1. For an alpha of 1, 1.5 and 2 it is `softmax`, `entmax15` and `sparsemax`, to the
    bit. Error at most 1 ULP (measured: 0.5) but for entries next to the border of the support:
    with u the share of ``(alpha - 1) * max(x) - tau`` by which the entry exceeds tau, that is for
    ``u < 2**-26`` in float32 up to alpha = 2, and for ``u < 2**-60`` else. Beyond alpha = 2 the
    slope there is infinite, and all of the row shares the error of such an entry. The same bits
    whatever the batch, layout, axis and number of threads. A row that holds NaN or +inf, or
    nothing but -inf, gives NaN.

    References
    ----------
    B. Peters, V. Niculae and A. F. T. Martins, "Sparse sequence-to-sequence models", ACL 2019,
    arXiv:1905.05702.

    Examples
    --------
    >>> import cyact
    >>> cyact.entmax([1.0, 0.0, -1.0], 1.25).round(4)
    array([0.7507, 0.2148, 0.0345])
    """
    return _interop.along_axis(_entmax, x, axis, out, dtype, where, bias, alpha)


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
    return _interop.along_axis(_maxout, x, axis + 1, out, dtype, where, None)


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


# logsumexp with weights: the kernels take two arrays, the second in the gradient's place

_weighted_logsumexp = RowFunction("logsumexp", kernel="weighted_logsumexp", reduces=True)
_weighted_softmax = RowFunction("backward.logsumexp", kernel="weighted_softmax")


def logsumexp_of_weighted(x, b, axis, keepdims, return_sign, where, bias, out, dtype):
    """log|sum(b * exp(x))|, with the sign of the sum, or NaN where it is negative."""
    if bias is not None:
        x = _identity.value(x, bias, None, dtype)
    parts = ("log", "sign") if return_sign else ("positive",)
    if type(x) is np.ndarray or out is not None or not hasattr(x, "__array_ufunc__"):
        log, sign = _log_and_sign(x, b, where, axis, keepdims, return_sign, out, dtype)
        return (log, sign) if return_sign else log
    arrays = {"b": _spread(b, x), "where": where}
    found = tuple(_interop._wrapped(partial(_part, part, keepdims, dtype), _weighted_logsumexp, x,
                                    arrays, axis, True, keepdims) for part in parts)
    return found if return_sign else found[0]


def _spread(b, x):
    """Weights in x's shape, for the libraries that cut both into blocks."""
    if hasattr(b, "dims"):
        return b
    return np.broadcast_to(b.to_numpy() if hasattr(b, "to_numpy") else b, x.shape)


def _part(part, keepdims, dtype, x, axis, b, where=None):
    log, sign = _log_and_sign(x, b, where, axis, keepdims, part != "positive", None, dtype)
    return sign if part == "sign" else log


def _log_and_sign(x, b, where, axis, keepdims, signed, out, dtype):
    x, axes = as_rows("logsumexp", x, axis, dtype)
    shape = without(x.shape, axes, keepdims)
    if out is not None:
        check_out("logsumexp", out, shape, x.dtype)
    wide, b = _weighted("logsumexp", x, b, where)
    joined = Joined(x.shape, axes)
    both = _weighted_logsumexp.of_two(joined.rows(wide), joined.rows(b), 2)
    if prod(x.shape[i] for i in axes) == 0:
        both[..., 0] = -np.inf
        both[..., 1] = 0
    log, sign = both[..., 0].reshape(shape), both[..., 1].reshape(shape)
    if not signed:
        log[sign < 0] = np.nan
    log, sign = log.astype(x.dtype, copy=False), sign.astype(x.dtype, copy=False)
    if out is not None:
        np.copyto(out, log, casting="same_kind")
        return out, sign[()]
    return log[()], sign[()]


def logsumexp_backward_of_weighted(grad, x, b, axis, where, bias, out):
    """Grad * b * exp(x) / sum(b * exp(x))."""
    if bias is not None:
        x = _identity.value(x, bias, None, None)
        dx = logsumexp_backward_of_weighted(grad, x, b, axis, where, None, out)
        return dx, bias_gradient(dx, np.asarray(bias))
    if type(x) is not np.ndarray and out is None and hasattr(x, "__array_ufunc__"):
        arrays = {"grad": grad, "b": _spread(b, x), "where": where}
        return _interop._wrapped(_weighted_gradient, _weighted_softmax, x, arrays, axis, False,
                                 False)
    return _weighted_gradient(x, axis, grad, b, where, out)


def _weighted_gradient(x, axis, grad, b, where=None, out=None):
    name = "backward.logsumexp"
    grad = as_array(name, grad)
    dtype = np.result_type(result_dtype(name, grad.dtype),
                           result_dtype(name, as_array(name, x).dtype))
    x, axes = as_rows(name, x, axis, dtype)
    kept = without(x.shape, axes, True)
    if grad.shape not in (kept, without(x.shape, axes, False)):
        raise ValueError(f"{name}: grad must have the shape of the result "
                         f"{without(x.shape, axes, False)}, got {grad.shape}")
    if out is not None:
        check_out(name, out, x.shape, x.dtype)
    wide, b = _weighted(name, x, b, where)
    joined = Joined(x.shape, axes)
    rows = joined.rows(wide)
    dx = joined.back(_weighted_softmax.of_two(rows, joined.rows(b), rows.shape[-1]))
    with np.errstate(all="ignore"):
        np.multiply(dx, grad.reshape(kept), out=dx, where=b != 0)
    if out is None:
        return dx.astype(x.dtype, copy=False)
    np.copyto(out, dx, casting="same_kind")
    return out


def _weighted(function, x, b, where):
    """X and its weights, in the dtype computed in and of x's shape; 0 where it is masked."""
    computed = np.float64 if x.dtype == np.float64 else np.float32
    b = as_array(function, b)
    if not np.can_cast(b.dtype, computed, "same_kind"):
        raise TypeError(f"{function}: b must hold real numbers, got dtype {b.dtype}")
    mask = mask_array(function, where, x.shape)
    try:
        b = np.broadcast_to(b, x.shape)
    except ValueError:
        raise ValueError(f"{function}: b must broadcast to the shape of x, {x.shape}; got "
                         f"{b.shape}") from None
    if mask is not None:
        b = np.where(mask, b, 0)
    return x.astype(computed, copy=False), np.require(b, computed, "A")
