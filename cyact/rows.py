"""Functions along an axis: the softmax family.

The formulas are in ``_rows.pyx``; backward passes are in `cyact.backward`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cyact import _interop
from cyact._engine import POSITIVE, as_array, check_out
from cyact._row_engine import RowFunction, normalize_axis, row_dtype
from cyact._threads import get_num_threads
from cyact.elementwise import _identity
from cyact.sparse import (  # noqa: F401 (found here as all functions along an axis are)
    _entmax,
    _entmax15,
    _hardmax,
    _maxout,
    _sparsemax,
    entmax,
    entmax15,
    hardmax,
    logsumexp_of_weighted,
    maxout,
    sparsemax,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

_softmax = RowFunction("softmax", temperature=POSITIVE)
_log_softmax = RowFunction("log_softmax", temperature=POSITIVE)
_logsumexp = RowFunction("logsumexp", reduces=True)


def softmax(
    x: ArrayLike, /, temperature: float = 1.0, axis: int | str = -1, *,
    bias: ArrayLike | None = None, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
) -> Any:
    """Softmax: positive numbers that sum to 1 along an axis.

    Parameters
    ----------
    x : array_like of float32, float64, integers or bool, at least 1-D
        Input. Integers and bool become ``np.result_type(x, np.float32)``.
    temperature : float, default 1.0
        Divides `x`; positive and finite. Below 1 sharpens, above 1 flattens.
    axis : int, default -1
        The axis that sums to 1; for xarray also a dimension name.
    bias : array_like, optional
        Added to `x` first: 1-D, an entry for each of the last axis of `x`, in the dtype of the
        result. Blocks that stay in cache are added to and normalised at once.
    out : ndarray, optional
        Where to put the result; must have its shape. ``out=x`` works in place.
    dtype : {float32, float64}, optional
        Compute ``f(x.astype(dtype))``.

    Returns
    -------
    ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
        Shape and floating dtype of `x`. Masked entries stay masked and are not in the sum.

    Raises
    ------
    TypeError
        A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
    ValueError
        `temperature` is not positive and finite, or `out` is read-only or has another shape.
    numpy.exceptions.AxisError
        `axis` is out of bounds (a ValueError).

    Notes
    -----
    ``f(x)[i] = exp(x[i]/T) / sum(exp(x/T))``, computed from ``x - max(x)``, whose rounding
    error is carried into the exponential. Error at most 2 ULP in float32 and float64 for rows
    of up to 2**20 entries, whichever axis they lie along; a row's result has the same bits
    whatever the batch, layout and number of threads. A row that holds NaN or +inf, or nothing
    but -inf, gives NaN.

    References
    ----------
    P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
    softmax functions", IMA Journal of Numerical Analysis 41, 2021.

    Examples
    --------
    >>> import cyact
    >>> cyact.softmax([-0.5, 1.2, -0.1, 2.4]).round(2)
    array([0.04, 0.21, 0.06, 0.7 ])
    """
    if bias is not None:
        return _of_sum(_softmax, x, bias, axis, out, dtype, temperature)
    return _interop.along_axis(_softmax, x, axis, out, dtype, temperature)


def log_softmax(
    x: ArrayLike, /, temperature: float = 1.0, axis: int | str = -1, *,
    bias: ArrayLike | None = None, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of softmax, right also where softmax rounds to 0 or 1.

    Parameters
    ----------
    x : array_like of float32, float64, integers or bool, at least 1-D
        Input. Integers and bool become ``np.result_type(x, np.float32)``.
    temperature : float, default 1.0
        Divides `x`; positive and finite.
    axis : int, default -1
        The axis along which the probabilities sum to 1; for xarray also a dimension name.
    bias : array_like, optional
        Added to `x` first: 1-D, an entry for each of the last axis of `x`, in the dtype of the
        result. Blocks that stay in cache are added to and normalised at once.
    out : ndarray, optional
        Where to put the result; must have its shape. ``out=x`` works in place.
    dtype : {float32, float64}, optional
        Compute ``f(x.astype(dtype))``.

    Returns
    -------
    ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
        Shape and floating dtype of `x`. Masked entries stay masked and are not in the sum.

    Raises
    ------
    TypeError
        A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
    ValueError
        `temperature` is not positive and finite, or `out` is read-only or has another shape.
    numpy.exceptions.AxisError
        `axis` is out of bounds (a ValueError).

    Notes
    -----
    ``f(x)[i] = x[i]/T - log(sum(exp(x/T)))``. The largest entry is kept out of the sum and
    enters by ``log1p``, so that a confident row keeps its digits: where others give 0,
    ``log_softmax([0, -20])[0]`` is -2.06e-9. Error at most 2 ULP. A row that holds NaN or +inf,
    or nothing but -inf, gives NaN.

    References
    ----------
    P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
    softmax functions", IMA Journal of Numerical Analysis 41, 2021.

    Examples
    --------
    >>> import cyact
    >>> cyact.log_softmax([0.0, -20.0])
    array([-2.06115362e-09, -2.00000000e+01])
    """
    if bias is not None:
        return _of_sum(_log_softmax, x, bias, axis, out, dtype, temperature)
    return _interop.along_axis(_log_softmax, x, axis, out, dtype, temperature)


def logsumexp(
    x: ArrayLike, /, axis: int | str = -1, *, b: ArrayLike | None = None, keepdims: bool = False,
    return_sign: bool = False, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of the sum of exponentials along an axis.

    Parameters
    ----------
    x : array_like of float32, float64, integers or bool, at least 1-D
        Input. Integers and bool become ``np.result_type(x, np.float32)``.
    axis : int, default -1
        The axis to sum over; for xarray also a dimension name.
    b : array_like, optional
        Weights of the exponentials, of any sign; broadcast to the shape of `x` and converted to
        its dtype. Entries with ``b == 0`` do not count, whatever `x` holds there.
    keepdims : bool, default False
        Keep the summed axis, with length 1.
    return_sign : bool, default False
        Also return the sign of the sum, and the logarithm of its magnitude; without it a negative
        sum gives NaN.
    out : ndarray, optional
        Where to put the result; must have its shape.
    dtype : {float32, float64}, optional
        Compute ``f(x.astype(dtype))``.

    Returns
    -------
    ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
        Shape of `x` without `axis`, floating dtype of `x`; a NumPy scalar if `x` is 1-D.
    sign : the same
        Only with `return_sign`: 1, -1, 0 for a sum of 0, or NaN.

    Raises
    ------
    TypeError
        A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
    ValueError
        `out` is read-only or has another shape, or `b` does not broadcast to that of `x`.
    numpy.exceptions.AxisError
        `axis` is out of bounds (a ValueError).

    Notes
    -----
    ``f(x) = log(sum(exp(x)))``, computed from ``x - max(x)`` with the largest entry kept out of
    the sum. With M the larger of ``abs(max(x))`` and the log of the shifted sum, the error is
    at most 2 ulp of ``max(abs(f), M)`` in float64 and of ``max(abs(f), 2**-28 * M)`` in
    float32. NaN if there is a NaN, +inf if there is a +inf, -inf if there is nothing else (or
    nothing at all). With weights the terms and their sum are carried in two doubles, to 2**-64:
    where they cancel, the error grows by what is lost, but from there.

    References
    ----------
    P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
    softmax functions", IMA Journal of Numerical Analysis 41, 2021.

    Examples
    --------
    >>> import cyact
    >>> float(cyact.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    >>> log, sign = cyact.logsumexp([1.0, 2.0], b=[1.0, -1.0], return_sign=True)
    >>> round(float(log), 6), float(sign)
    (1.541325, -1.0)
    """
    if b is not None or return_sign:
        return logsumexp_of_weighted(x, 1.0 if b is None else b, axis, keepdims, return_sign, out,
                                     dtype)
    return _interop.along_axis(_logsumexp, x, axis, out, dtype, keepdims=keepdims)


def _of_sum(function, x, bias, axis, out, dtype, /, *params):
    """f(x + bias) along an axis, a block of the first axis at a time: each is read once."""
    for name, domain, value in zip(function.parameters, function.domains, params, strict=True):
        domain.checked(function.name, name, value)
    if not hasattr(x, "__array_ufunc__"):
        x = as_array(function.name, x)
    bias = as_array(function.name, bias)
    if x.ndim == 0 or bias.shape != x.shape[-1:]:
        raise ValueError(f"{function.name}: bias must have one entry for each of x's last axis: "
                         f"x has shape {x.shape}, bias {bias.shape}")
    if type(x) is not np.ndarray:
        total = _identity.value(x, bias, None, dtype)
        return _interop.along_axis(function, total, axis, out, None, *params)
    number = normalize_axis(function.name, x, axis)
    result = row_dtype(function.name, x.dtype if dtype is None else np.dtype(dtype))
    if out is not None:
        check_out(function.name, out, x.shape, result)
    y = out
    if out is None or out.dtype != result or np.may_share_memory(out, x):
        y = np.empty_like(x, result, subok=False)
    length = len(x) if number == 0 else max(1, _BLOCK * get_num_threads() * len(x)
                                            // max(1, x.size))
    for start in range(0, len(x), max(1, length)):
        block = y[start:start + length]
        _identity.value(x[start:start + length], bias, block, dtype)
        function.value(block, number, block, None, *params)
    if out is None:
        return y
    if y is not out:
        np.copyto(out, y, casting="same_kind")
    return out


# Entries of a block, for each thread: 256 KB of float32
_BLOCK = 65536
