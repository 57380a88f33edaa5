"""Functions along an axis: the softmax family.

The formulas are in ``_rows.pyx``; backward passes are in `cyact.backward`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyact import _interop
from cyact._engine import POSITIVE
from cyact._row_engine import RowFunction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike

_softmax = RowFunction("softmax", temperature=POSITIVE)
_log_softmax = RowFunction("log_softmax", temperature=POSITIVE)
_logsumexp = RowFunction("logsumexp", reduces=True)


def softmax(
    x: ArrayLike, /, temperature: float = 1.0, axis: int | str = -1, *,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
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
    return _interop.along_axis(_softmax, x, axis, out, dtype, temperature)


def log_softmax(
    x: ArrayLike, /, temperature: float = 1.0, axis: int | str = -1, *,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
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
    return _interop.along_axis(_log_softmax, x, axis, out, dtype, temperature)


def logsumexp(
    x: ArrayLike, /, axis: int | str = -1, *, keepdims: bool = False,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of the sum of exponentials along an axis.

    Parameters
    ----------
    x : array_like of float32, float64, integers or bool, at least 1-D
        Input. Integers and bool become ``np.result_type(x, np.float32)``.
    axis : int, default -1
        The axis to sum over; for xarray also a dimension name.
    keepdims : bool, default False
        Keep the summed axis, with length 1.
    out : ndarray, optional
        Where to put the result; must have its shape.
    dtype : {float32, float64}, optional
        Compute ``f(x.astype(dtype))``.

    Returns
    -------
    ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
        Shape of `x` without `axis`, floating dtype of `x`; a NumPy scalar if `x` is 1-D.

    Raises
    ------
    TypeError
        A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
    ValueError
        `out` is read-only or has another shape.
    numpy.exceptions.AxisError
        `axis` is out of bounds (a ValueError).

    Notes
    -----
    ``f(x) = log(sum(exp(x)))``, computed from ``x - max(x)`` with the largest entry kept out of
    the sum. With M the larger of ``abs(max(x))`` and the log of the shifted sum, the error is
    at most 2 ulp of ``max(abs(f), M)`` in float64 and of ``max(abs(f), 2**-28 * M)`` in
    float32. NaN if there is a NaN, +inf if there is a +inf, -inf if there is nothing else (or
    nothing at all).

    References
    ----------
    P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
    softmax functions", IMA Journal of Numerical Analysis 41, 2021.

    Examples
    --------
    >>> import cyact
    >>> float(cyact.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    """
    return _interop.along_axis(_logsumexp, x, axis, out, dtype, keepdims=keepdims)
