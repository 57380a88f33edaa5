"""Functions along an axis: the softmax family.

The formulas are in ``_level/rows/table.pyx``; backward passes are in `cyact.backward`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cyact import sparse
from cyact._containers import interop as _interop
from cyact._docs import documented
from cyact._engine.domains import POSITIVE
from cyact._engine.rows import RowFunction

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    Axis = int | str | tuple[int | str, ...] | None

_softmax = RowFunction("softmax", several=True, temperature=POSITIVE)
_log_softmax = RowFunction("log_softmax", several=True, blank=-np.inf, temperature=POSITIVE)
_softmin = RowFunction("softmin", kernel="softmax", negative=True, several=True)
_logsumexp = RowFunction("logsumexp", reduces=True, several=True)
_logmeanexp = RowFunction("logmeanexp", reduces=True, several=True, empty=np.nan)


@documented
def softmax(
    x: ArrayLike, /, temperature: float = 1.0, axis: Axis = -1, *,
    where: ArrayLike | None = None, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Softmax: positive numbers that sum to 1 along an axis.

    Parameters
    ----------
    {row_x}
    temperature : float, default 1.0
        Divides `x`; positive and finite. Below 1 sharpens, above 1 flattens.
    {row_axis}
    {row_mask}

    {row_raises}

    Notes
    -----
    ``f(x)[i] = exp(x[i]/T) / sum(exp(x/T))``, computed from ``x - max(x)``, whose rounding
    error is carried into the exponential. {row_error} A row that holds NaN or +inf, or nothing
    but -inf, gives NaN; a row with nothing unmasked gives 0.

    References
    ----------
    P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
    softmax functions", IMA Journal of Numerical Analysis 41, 2021.

    Examples
    --------
    >>> import cyact
    >>> cyact.softmax([-0.5, 1.2, -0.1, 2.4]).round(2)
    array([0.04, 0.21, 0.06, 0.7 ])
    >>> cyact.softmax([1.0, 7.0, 1.0], where=[True, False, True])
    array([0.5, 0. , 0.5])
    """
    return _interop.along_axis(_softmax, x, axis, out, dtype, where, bias, temperature)


@documented
def log_softmax(
    x: ArrayLike, /, temperature: float = 1.0, axis: Axis = -1, *,
    where: ArrayLike | None = None, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of softmax, right also where softmax rounds to 0 or 1.

    Parameters
    ----------
    {row_x}
    temperature : float, default 1.0
        Divides `x`; positive and finite.
    {row_axis}
    {row_mask}

    {row_raises}

    Notes
    -----
    ``f(x)[i] = x[i]/T - log(sum(exp(x/T)))``. The largest entry is kept out of the sum and
    enters by ``log1p``, so that a confident row keeps its digits: where others give 0,
    ``log_softmax([0, -20])[0]`` is -2.06e-9. {row_error} A row that holds NaN or +inf, or
    nothing but -inf, gives NaN; a row with nothing unmasked gives -inf.

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
    return _interop.along_axis(_log_softmax, x, axis, out, dtype, where, bias, temperature)


@documented
def softmin(
    x: ArrayLike, /, axis: Axis = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Softmin: softmax of -x, so that the smallest entry gets the largest share.

    Parameters
    ----------
    {row_x}
    {row_axis}
    {row_mask}

    {row_raises}

    Notes
    -----
    ``f(x)[i] = exp(-x[i]) / sum(exp(-x))``, equal to the last bit to ``softmax(-x)``.
    {row_error} A row that holds NaN or -inf, or nothing but +inf, gives NaN; a row with nothing
    unmasked gives 0.

    Examples
    --------
    >>> import cyact
    >>> cyact.softmin([-0.5, 1.2, -0.1, 2.4]).round(2)
    array([0.52, 0.1 , 0.35, 0.03])
    """
    return _interop.along_axis(_softmin, x, axis, out, dtype, where, bias)


@documented
def logsumexp(
    x: ArrayLike, /, axis: Axis = -1, *, b: ArrayLike | None = None, keepdims: bool = False,
    return_sign: bool = False, where: ArrayLike | None = None, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of the sum of exponentials along an axis.

    Parameters
    ----------
    {row_x}
    {row_axis}
    b : array_like, optional
        Weights of the exponentials, of any sign; broadcast to the shape of `x` and converted to
        the dtype that it is computed in. Entries with ``b == 0`` do not count, whatever `x` holds
        there.
    return_sign : bool, default False
        Return ``(log, sign)``: the logarithm of the sum's magnitude, and 1, -1, 0 for a sum of
        0, or NaN. Without it a negative sum gives NaN.
    {row_reduced}

    {row_raises}

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
        return sparse.logsumexp_of_weighted(x, 1.0 if b is None else b, axis, keepdims,
                                            return_sign, where, bias, out, dtype)
    return _interop.along_axis(_logsumexp, x, axis, out, dtype, where, bias, keepdims=keepdims)


@documented
def logmeanexp(
    x: ArrayLike, /, axis: Axis = -1, *, keepdims: bool = False, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of the mean of exponentials along an axis.

    Parameters
    ----------
    {row_x}
    {row_axis}
    {row_reduced}

    {row_raises}

    Notes
    -----
    ``f(x) = log(sum(exp(x)) / n)``, n the number of unmasked entries; the mean of nothing is
    NaN. Otherwise as `logsumexp`, with the same error bound.

    Examples
    --------
    >>> import cyact
    >>> float(cyact.logmeanexp([1000.0, 1000.0]))
    1000.0
    """
    return _interop.along_axis(_logmeanexp, x, axis, out, dtype, where, bias, keepdims=keepdims)
