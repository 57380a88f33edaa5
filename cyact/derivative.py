"""The derivative of every elementwise function, under the function's name.

``cyact.derivative.gelu(x)`` is gelu'(x), with the same parameters and keywords as
``cyact.gelu``. Of a function along an axis it is the Jacobian of every row:
``cyact.derivative.softmax(x)[..., i, j]`` is the derivative of entry i with respect to x[..., j].
"""

import numpy as np

from cyact import _docs, _fill, _row_functions, _weighted_sums, elementwise, rows, sampling
from cyact._arrays import shaped
from cyact._docs import documented
from cyact._engine.arrays import check_out
from cyact._engine.domains import POSITIVE
from cyact._engine.rows import as_rows, without
from cyact.prelu import _prelu, channels


@documented(_docs.JACOBIAN)
def softmax(x, /, temperature=1.0, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Derivative of `softmax`: the Jacobian of every row.

    ``y[i] * ((i == j) - y[j]) / T`` for the softmax y. 1 - y[i] is the sum of the others where
    y[i] is near 1. Error at most 4 ULP in float64, 1 ULP in float32.

    >>> cyact.derivative.softmax([0.0, 0.0])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    name = "derivative.softmax"
    temperature = POSITIVE.checked(name, "temperature", temperature)
    p, dtype = _probabilities(name, _row_functions.softmax, x, axis, where, bias, dtype,
                              temperature)
    return _jacobian(name, p, 1 / temperature, dtype, out)


@documented(_docs.JACOBIAN)
def log_softmax(x, /, temperature=1.0, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Derivative of `log_softmax`: the Jacobian of every row.

    ``((i == j) - y[j]) / T`` for the softmax y. 1 - y[i] is the sum of the others where y[i] is
    near 1. Error at most 4 ULP in float64, 1 ULP in float32.

    >>> cyact.derivative.log_softmax([0.0, 0.0])
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    name = "derivative.log_softmax"
    temperature = POSITIVE.checked(name, "temperature", temperature)
    p, dtype = _probabilities(name, _row_functions.softmax, x, axis, where, bias, dtype,
                              temperature)
    y = _destination(name, p.shape, dtype, out)
    y[...] = (-p / temperature)[..., None, :]
    _diagonal(y)[...] = _others(p) / temperature
    return y


@documented(_docs.JACOBIAN)
def softmin(x, /, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Derivative of `softmin`: the Jacobian of every row.

    ``y[i] * (y[j] - (i == j))`` for the softmin y, with the error of `softmax`'s.

    >>> cyact.derivative.softmin([0.0, 0.0])
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    name = "derivative.softmin"
    p, dtype = _probabilities(name, _row_functions.softmin, x, axis, where, bias, dtype)
    return _jacobian(name, p, -1.0, dtype, out)


@documented(_docs.ROWS_DERIVATIVE)
def logsumexp(x, /, axis=-1, *, b=None, where=None, bias=None, out=None, dtype=None):
    """Derivative of `logsumexp` with respect to every entry of x.

    The softmax of `x`; with weights ``b * exp(x) / sum(b * exp(x))``.

    >>> cyact.derivative.logsumexp([0.0, 0.0])
    array([0.5, 0.5])
    """
    if b is None:
        return rows.softmax(x, 1.0, axis, where=where, bias=bias, out=out, dtype=dtype)
    name = "derivative.logsumexp"
    if bias is not None:
        x, dtype = elementwise.identity(x, bias=bias, dtype=dtype), None
    x, axes = as_rows(name, x, axis, dtype)
    grad = np.ones(without(x.shape, axes, True), x.dtype)
    return _weighted_sums.gradient(x, axes, grad, b, where, out)


@documented(_docs.ROWS_DERIVATIVE)
def logmeanexp(x, /, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Derivative of `logmeanexp` with respect to every entry of x: its softmax.

    >>> cyact.derivative.logmeanexp([0.0, 0.0])
    array([0.5, 0.5])
    """
    return rows.softmax(x, 1.0, axis, where=where, bias=bias, out=out, dtype=dtype)


@documented(_docs.JACOBIAN)
def sparsemax(x, /, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Derivative of `sparsemax`: the Jacobian of every row.

    ``(i == j) - 1/k`` where y[i] and y[j] are two of the k positive entries of the sparsemax, 0
    elsewhere.

    >>> cyact.derivative.sparsemax([1.0, 0.5, -1.0])
    array([[ 0.5, -0.5,  0. ],
           [-0.5,  0.5,  0. ],
           [ 0. ,  0. ,  0. ]])
    """
    return _sparse_jacobian("derivative.sparsemax", x, 2.0, axis, where, bias, out, dtype)


@documented(_docs.JACOBIAN)
def entmax15(x, /, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Derivative of `entmax15`: the Jacobian of every row.

    ``s[i] * ((i == j) - s[j] / sum(s))``, ``s = sqrt(y)`` for the output y.

    >>> cyact.derivative.entmax15([0.0, 0.0, -3.0]).round(4)
    array([[ 0.3536, -0.3536,  0.    ],
           [-0.3536,  0.3536,  0.    ],
           [ 0.    ,  0.    ,  0.    ]])
    """
    return _sparse_jacobian("derivative.entmax15", x, 1.5, axis, where, bias, out, dtype)


@documented(_docs.JACOBIAN)
def entmax(x, /, alpha=1.5, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Derivative of `entmax`: the Jacobian of every row.

    ``s[i] * ((i == j) - s[j] / sum(s))``, ``s = y**(2 - alpha)`` where the output y is positive,
    0 elsewhere.

    >>> cyact.derivative.entmax([1.0, 0.5, -1.0], 2.0)
    array([[ 0.5, -0.5,  0. ],
           [-0.5,  0.5,  0. ],
           [ 0. ,  0. ,  0. ]])
    """
    return _sparse_jacobian("derivative.entmax", x, alpha, axis, where, bias, out, dtype)


# Jacobians: scale p[i] ((i == j) - p[j]), where p sums to 1. They are computed in float64 and
# rounded once.

def _probabilities(function, row_function, x, axis, where, bias, dtype, *params):
    """The output in float64, its rows along the last axis; and the dtype of the result."""
    if isinstance(x, np.ma.MaskedArray):
        where = ~np.ma.getmaskarray(x) & (True if where is None else where)
    x, axes = as_rows(function, x, axis, dtype)
    if len(axes) != 1 or axis is None:
        raise TypeError(f"{function}: axis must be an integer, got {axis!r}")
    dtype = x.dtype
    if bias is not None:                # rounded as the function rounds it
        wide = np.float64 if dtype == np.float64 else np.float32
        x = elementwise.identity(x, bias=bias, dtype=wide)
    p = row_function.value(x, axes[0], None, np.float64, where, None, *params)
    return np.ascontiguousarray(np.moveaxis(p, axes[0], -1)), dtype


def _destination(function, shape, dtype, out):
    shape = (*shape, shape[-1])
    if out is None:
        return np.empty(shape, dtype)
    check_out(function, out, shape, dtype)
    return out


def _diagonal(y):
    """A view of the diagonals of the last two axes."""
    return np.einsum("...ii->...i", y)


def _others(p):
    """1 - p, for the largest entry as the sum of the others."""
    others = 1 - p
    if p.shape[-1]:
        top = p.argmax(-1)[..., None]
        rest = p.copy()
        np.put_along_axis(rest, top, 0, -1)
        np.put_along_axis(others, top, rest.sum(-1, keepdims=True), -1)
    return others


def _jacobian(function, p, scale, dtype, out):
    y = _destination(function, p.shape, dtype, out)
    with np.errstate(all="ignore"):
        left = p * scale
        np.multiply(left[..., :, None], -p[..., None, :], out=y, casting="same_kind")
        _diagonal(y)[...] = left * _others(p)
    return y


def _sparse_jacobian(function, x, alpha, axis, where, bias, out, dtype):
    (domain,) = _row_functions.entmax.domains
    alpha = domain.checked(function, "alpha", alpha)
    y, dtype = _probabilities(function, _row_functions.entmax, x, axis, where, bias, dtype, alpha)
    with np.errstate(all="ignore"):
        s = np.where(y == 0, 0, y ** (2 - alpha))
        total = s.sum(-1, keepdims=True)
        result = _jacobian(function, s / total, total, dtype, out)
    return np.add(result, 0, out=result)          # no zero is negative


@documented(_docs.DERIVATIVE)
def prelu(x, weight, /, axis=1, *, bias=None, out=None, dtype=None):
    """Derivative of `prelu` with respect to x.

    Returns
    -------
    ndarray, or the type of `x`
        1 where ``x > 0``, `weight` elsewhere.

    >>> cyact.derivative.prelu([[-2.0, -2.0], [1.0, 1.0]], [0.25, 0.5])
    array([[0.25, 0.5 ],
           [1.  , 1.  ]])
    """
    name = "derivative.prelu"
    x = shaped(name, x)
    return _prelu.weighted(
        name, x, channels(name, x, weight, axis), bias, out, dtype, True)


@documented(_docs.DERIVATIVE)
def rrelu(x, slope=None, /, lower=1 / 8, upper=1 / 3, *, bias=None, out=None, dtype=None):
    """Derivative of `rrelu` with respect to x.

    slope : array_like, optional
        What ``cyact.rrelu(..., return_slope=True)`` returned; without it,
        ``(lower + upper) / 2``.

    Returns
    -------
    ndarray, or the type of `x`
        1 where ``x > 0``, the slope elsewhere.

    >>> cyact.derivative.rrelu([-2.0, 3.0], [0.25, 0.25])
    array([0.25, 1.  ])
    """
    name = "derivative.rrelu"
    if slope is None:
        slope = sampling.mean_slope(lower, upper)
        return sampling._mean_rrelu.derivative(x, bias, out, dtype, slope)
    x = shaped(name, x)
    return _prelu.weighted(
        name, x, sampling.slopes(name, x, slope), bias, out, dtype, True)


@documented(_docs.DERIVATIVE)
def noisy_relu(x, noise=None, /, *, bias=None, out=None, dtype=None):
    """Derivative of `noisy_relu` with respect to x, the noise given.

    noise : array_like, optional
        What ``cyact.noisy_relu(..., return_noise=True)`` returned; without it, none.

    Returns
    -------
    ndarray, or the type of `x`
        1 where ``x + noise > 0``, 0 elsewhere.

    >>> cyact.derivative.noisy_relu([-2.0, 3.0], [2.5, -2.5])
    array([1., 1.])
    """
    name = "derivative.noisy_relu"
    if noise is None:
        return elementwise._relu.weighted(name, x, None, bias, out, dtype, True)
    x = shaped(name, x)
    return elementwise._relu.shifted(
        name, x, sampling.noise_and_bias(name, x, noise, bias), out, dtype, True)


def __getattr__(name):
    return _fill.lookup(globals(), _fill.derivative, name)


def __dir__():
    return sorted([*_fill.names(), *_WRITTEN])


# What is not made from the catalogue
_WRITTEN = [name for name, item in globals().items()
            if callable(item) and getattr(item, "__module__", None) == __name__
            and not name.startswith("_")]
