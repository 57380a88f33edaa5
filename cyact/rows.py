"""Functions along an axis: the softmax family.

The formulas are in ``_level/rows/``; backward passes are in `cyact.backward`.
"""

from functools import partial

from cyact import _docs, _weighted_sums
from cyact._catalog import activation
from cyact._containers import interop as _interop
from cyact._row_functions import log_softmax as _log_softmax
from cyact._row_functions import logmeanexp as _logmeanexp
from cyact._row_functions import logsumexp as _logsumexp
from cyact._row_functions import softmax as _softmax
from cyact._row_functions import softmin as _softmin

_rows = partial(activation, "softmax", skeleton=_docs.ROWS)
_reduced = partial(activation, "softmax", skeleton=_docs.REDUCED_ROWS)
_BLANCHARD = ('P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the '
              'log-sum-exp and softmax functions", IMA Journal of Numerical Analysis 41, 2021.')
_ERROR = ("Error at most 2 ULP in float32 and float64 for rows of up to 2**20 entries, whichever "
          "axis they lie along, and 1 ULP in the half types. A row's result has the same bits "
          "whatever the batch, layout and number of threads")


@_rows("exp(x / T) / sum(exp(x / T))", "f(x)[i] * ((i == j) - f(x)[j]) / T", engine=_softmax,
       exact=_ERROR, reference=_BLANCHARD)
def softmax(x, /, temperature=1.0, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Softmax: positive numbers that sum to 1 along an axis.

    temperature : float, default 1.0
        Divides `x`; positive and finite. Below 1 sharpens, above 1 flattens.

    Computed from ``x - max(x)``, whose rounding error is carried into the exponential. A row that
    holds NaN or +inf, or nothing but -inf, gives NaN; a row with nothing unmasked gives 0.

    >>> cyact.softmax([-0.5, 1.2, -0.1, 2.4]).round(2)
    array([0.04, 0.21, 0.06, 0.7 ])
    >>> cyact.softmax([1.0, 7.0, 1.0], where=[True, False, True])
    array([0.5, 0. , 0.5])
    """
    return _interop.along_axis(_softmax, x, axis, out, dtype, where, bias, temperature)


@_rows("x / T - log(sum(exp(x / T)))", "((i == j) - softmax(x)[j]) / T", engine=_log_softmax,
       exact=_ERROR, reference=_BLANCHARD)
def log_softmax(x, /, temperature=1.0, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Logarithm of softmax, right also where softmax rounds to 0 or 1.

    temperature : float, default 1.0
        Divides `x`; positive and finite.
    where : array_like of bool, optional
        Must broadcast to the shape of `x`. False means "not in the row": such entries are -inf in
        the result, whatever they hold.

    The largest entry is kept out of the sum and enters by ``log1p``, so that a confident row keeps
    its digits: where others give 0, ``log_softmax([0, -20])[0]`` is -2.06e-9. A row that holds NaN
    or +inf, or nothing but -inf, gives NaN; a row with nothing unmasked gives -inf.

    >>> cyact.log_softmax([0.0, -20.0])
    array([-2.06115362e-09, -2.00000000e+01])
    """
    return _interop.along_axis(_log_softmax, x, axis, out, dtype, where, bias, temperature)


@_rows("exp(-x) / sum(exp(-x))", "f(x)[i] * (f(x)[j] - (i == j))", engine=_softmin, exact=_ERROR)
def softmin(x, /, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Softmin: softmax of -x, so that the smallest entry gets the largest share.

    Equal to the last bit to ``softmax(-x)``. A row that holds NaN or -inf, or nothing but +inf,
    gives NaN; a row with nothing unmasked gives 0.

    >>> cyact.softmin([-0.5, 1.2, -0.1, 2.4]).round(2)
    array([0.52, 0.1 , 0.35, 0.03])
    """
    return _interop.along_axis(_softmin, x, axis, out, dtype, where, bias)


@_reduced("log(sum(exp(x)))", "softmax(x)", engine=_logsumexp, reference=_BLANCHARD)
def logsumexp(x, /, axis=-1, *, b=None, keepdims=False, return_sign=False, where=None, bias=None,
              out=None, dtype=None):
    """Logarithm of the sum of exponentials along an axis.

    b : array_like, optional
        Weights of the exponentials, of any sign; broadcast to the shape of `x` and converted to
        the dtype that it is computed in. Entries with ``b == 0`` do not count, whatever `x` holds
        there.
    return_sign : bool, default False
        Return ``(log, sign)``: the logarithm of the sum's magnitude, and 1, -1, 0 for a sum of
        0, or NaN. Without it a negative sum gives NaN.

    Computed from ``x - max(x)`` with the largest entry kept out of the sum. With M the larger of
    ``abs(max(x))`` and the log of the shifted sum, the error is at most 2 ulp of
    ``max(abs(f), M)`` in float64 and of ``max(abs(f), 2**-28 * M)`` in float32. NaN if there is a
    NaN, +inf if there is a +inf, -inf if there is nothing else (or nothing at all).

    With weights, ``f(x) = log(abs(sum(b * exp(x))))`` is summed in float64. The error is at most
    4 ulp of ``max(abs(f), M + c)`` in float64 and of ``max(abs(f), 2**-28 * (M + c))`` in float32,
    where ``c = sum(abs(b) * exp(x)) / abs(sum(b * exp(x)))`` tells how much cancels. Terms below
    1e-308 of ``exp(max(x))`` are lost.

    >>> float(cyact.logsumexp([1000.0, 1000.0]))
    1000.6931471805599
    >>> log, sign = cyact.logsumexp([1.0, 2.0], b=[1.0, -1.0], return_sign=True)
    >>> round(float(log), 6), float(sign)
    (1.541325, -1.0)
    """
    if b is not None or return_sign:
        return _weighted_sums.logsumexp(x, 1.0 if b is None else b, axis, keepdims, return_sign,
                                        where, bias, out, dtype)
    return _interop.along_axis(_logsumexp, x, axis, out, dtype, where, bias, keepdims=keepdims)


@_reduced("log(sum(exp(x)) / n)", "softmax(x)", engine=_logmeanexp)
def logmeanexp(x, /, axis=-1, *, keepdims=False, where=None, bias=None, out=None, dtype=None):
    """Logarithm of the mean of exponentials along an axis.

    n is the number of unmasked entries; the mean of nothing is NaN. Otherwise as `logsumexp`, with
    the same error bound.

    >>> float(cyact.logmeanexp([1000.0, 1000.0]))
    1000.0
    """
    return _interop.along_axis(_logmeanexp, x, axis, out, dtype, where, bias, keepdims=keepdims)
