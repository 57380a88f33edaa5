"""The derivative of every elementwise function, under the function's name.

``cyact.derivative.gelu(x)`` is gelu'(x), with the same parameters and keywords as
``cyact.gelu``. Of a function along an axis it is the Jacobian of every row:
``cyact.derivative.softmax(x)[..., i, j]`` is the derivative of entry i with respect to x[..., j].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cyact import _fill, elementwise, rectifiers, rows, sparse
from cyact._docs import documented
from cyact._engine.arrays import check_out
from cyact._engine.domains import POSITIVE
from cyact._engine.rows import as_rows, without

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

    from cyact.rows import Axis


@documented
def softmax(
    x: ArrayLike, /, temperature: float = 1.0, axis: int = -1, *,
    where: ArrayLike | None = None, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `softmax`: the Jacobian of every row.

    Parameters
    ----------
    {row_x}
    temperature, axis, bias
        As in `cyact.softmax`.
    {jacobian}

    Notes
    -----
    ``y[i] * ((i == j) - y[j]) / T`` for the softmax y. 1 - y[i] is the sum of the others where
    y[i] is near 1. Error at most 4 ULP in float64, 1 ULP in float32.

    Examples
    --------
    >>> import cyact
    >>> cyact.derivative.softmax([0.0, 0.0])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    name = "derivative.softmax"
    temperature = POSITIVE.checked(name, "temperature", temperature)
    p, dtype = _probabilities(name, rows._softmax, x, axis, where, bias, dtype, temperature)
    return _jacobian(name, p, 1 / temperature, dtype, out)


@documented
def log_softmax(
    x: ArrayLike, /, temperature: float = 1.0, axis: int = -1, *,
    where: ArrayLike | None = None, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `log_softmax`: the Jacobian of every row.

    Parameters
    ----------
    {row_x}
    temperature, axis, bias
        As in `cyact.log_softmax`.
    {jacobian}

    Notes
    -----
    ``((i == j) - y[j]) / T`` for the softmax y. 1 - y[i] is the sum of the others where y[i] is
    near 1. Error at most 4 ULP in float64, 1 ULP in float32.

    Examples
    --------
    >>> import cyact
    >>> cyact.derivative.log_softmax([0.0, 0.0])
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    name = "derivative.log_softmax"
    temperature = POSITIVE.checked(name, "temperature", temperature)
    p, dtype = _probabilities(name, rows._softmax, x, axis, where, bias, dtype, temperature)
    y = _destination(name, p.shape, dtype, out)
    y[...] = (-p / temperature)[..., None, :]
    _diagonal(y)[...] = _others(p) / temperature
    return y


@documented
def softmin(
    x: ArrayLike, /, axis: int = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `softmin`: the Jacobian of every row.

    Parameters
    ----------
    {row_x}
    axis, bias
        As in `cyact.softmin`.
    {jacobian}

    Notes
    -----
    ``y[i] * (y[j] - (i == j))`` for the softmin y, with the error of `softmax`'s.

    Examples
    --------
    >>> import cyact
    >>> cyact.derivative.softmin([0.0, 0.0])
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    name = "derivative.softmin"
    p, dtype = _probabilities(name, rows._softmin, x, axis, where, bias, dtype)
    return _jacobian(name, p, -1.0, dtype, out)


@documented
def logsumexp(
    x: ArrayLike, /, axis: Axis = -1, *, b: ArrayLike | None = None,
    where: ArrayLike | None = None, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `logsumexp` with respect to every entry of x.

    Parameters
    ----------
    {row_x}
    axis, b
        As in `cyact.logsumexp`.
    {row_mask}

    {row_raises}

    Notes
    -----
    The softmax of `x`; with weights ``b * exp(x) / sum(b * exp(x))``.

    Examples
    --------
    >>> import cyact
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
    return sparse._weighted_gradient(x, axes, grad, b, where, out)


@documented
def logmeanexp(
    x: ArrayLike, /, axis: Axis = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `logmeanexp` with respect to every entry of x: its softmax.

    Parameters
    ----------
    {row_x}
    axis
        As in `cyact.logmeanexp`.
    {row_mask}

    {row_raises}

    Examples
    --------
    >>> import cyact
    >>> cyact.derivative.logmeanexp([0.0, 0.0])
    array([0.5, 0.5])
    """
    return rows.softmax(x, 1.0, axis, where=where, bias=bias, out=out, dtype=dtype)


@documented
def sparsemax(
    x: ArrayLike, /, axis: int = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `sparsemax`: the Jacobian of every row.

    Parameters
    ----------
    {row_x}
    axis, bias
        As in `cyact.sparsemax`.
    {jacobian}

    Notes
    -----
    ``(i == j) - 1/k`` where y[i] and y[j] are two of the k positive entries of the sparsemax, 0
    elsewhere.

    Examples
    --------
    >>> import cyact
    >>> cyact.derivative.sparsemax([1.0, 0.5, -1.0])
    array([[ 0.5, -0.5,  0. ],
           [-0.5,  0.5,  0. ],
           [ 0. ,  0. ,  0. ]])
    """
    return _sparse_jacobian("derivative.sparsemax", x, 2.0, axis, where, bias, out, dtype)


@documented
def entmax15(
    x: ArrayLike, /, axis: int = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `entmax15`: the Jacobian of every row.

    Parameters
    ----------
    {row_x}
    axis, bias
        As in `cyact.entmax15`.
    {jacobian}

    Notes
    -----
    ``s[i] * ((i == j) - s[j] / sum(s))``, ``s = sqrt(y)`` for the output y.

    Examples
    --------
    >>> import cyact
    >>> cyact.derivative.entmax15([0.0, 0.0, -3.0]).round(4)
    array([[ 0.3536, -0.3536,  0.    ],
           [-0.3536,  0.3536,  0.    ],
           [ 0.    ,  0.    ,  0.    ]])
    """
    return _sparse_jacobian("derivative.entmax15", x, 1.5, axis, where, bias, out, dtype)


@documented
def entmax(
    x: ArrayLike, /, alpha: float = 1.5, axis: int = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `entmax`: the Jacobian of every row.

    Parameters
    ----------
    {row_x}
    alpha, axis, bias
        As in `cyact.entmax`.
    {jacobian}

    Notes
    -----
    ``s[i] * ((i == j) - s[j] / sum(s))``, ``s = y**(2 - alpha)`` where the output y is positive,
    0 elsewhere.

    Examples
    --------
    >>> import cyact
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
    (domain,) = sparse._entmax.domains
    alpha = domain.checked(function, "alpha", alpha)
    y, dtype = _probabilities(function, sparse._entmax, x, axis, where, bias, dtype, alpha)
    with np.errstate(all="ignore"):
        s = np.where(y == 0, 0, y ** (2 - alpha))
        total = s.sum(-1, keepdims=True)
        result = _jacobian(function, s / total, total, dtype, out)
    return np.add(result, 0, out=result)          # no zero is negative


def prelu(
    x: ArrayLike, weight: ArrayLike, /, axis: int = 1, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `prelu` with respect to x.

    Parameters
    ----------
    x : array_like
        Where to take it.
    weight, axis, bias, out, dtype
        As in `cyact.prelu`, and so are the errors raised.

    Returns
    -------
    ndarray, or the type of `x`
        1 where ``x > 0``, `weight` elsewhere.

    Examples
    --------
    >>> import cyact
    >>> cyact.derivative.prelu([[-2.0, -2.0], [1.0, 1.0]], [0.25, 0.5])
    array([[0.25, 0.5 ],
           [1.  , 1.  ]])
    """
    name = "derivative.prelu"
    x = rectifiers.array(name, x)
    return rectifiers._prelu.weighted(
        name, x, rectifiers._channels(name, x, weight, axis), bias, out, dtype, True)


def rrelu(
    x: ArrayLike, slope: ArrayLike | None = None, /, lower: float = 1 / 8, upper: float = 1 / 3,
    *, bias: ArrayLike | None = None, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `rrelu` with respect to x.

    Parameters
    ----------
    x : array_like
        Where to take it.
    slope : array_like, optional
        What ``cyact.rrelu(..., return_slope=True)`` returned; without it,
        ``(lower + upper) / 2``.
    lower, upper, bias, out, dtype
        As in `cyact.rrelu`, and so are the errors raised.

    Returns
    -------
    ndarray, or the type of `x`
        1 where ``x > 0``, the slope elsewhere.

    Examples
    --------
    >>> import cyact
    >>> cyact.derivative.rrelu([-2.0, 3.0], [0.25, 0.25])
    array([0.25, 1.  ])
    """
    name = "derivative.rrelu"
    if slope is None:
        slope = rectifiers._mean_slope(lower, upper)
        return rectifiers._mean_rrelu.derivative(x, bias, out, dtype, slope)
    x = rectifiers.array(name, x)
    return rectifiers._prelu.weighted(
        name, x, rectifiers._slopes(name, x, slope), bias, out, dtype, True)


def noisy_relu(
    x: ArrayLike, noise: ArrayLike | None = None, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Derivative of `noisy_relu` with respect to x, the noise given.

    Parameters
    ----------
    x : array_like
        Where to take it.
    noise : array_like, optional
        What ``cyact.noisy_relu(..., return_noise=True)`` returned; without it, none.
    bias, out, dtype
        As in `cyact.noisy_relu`, and so are the errors raised.

    Returns
    -------
    ndarray, or the type of `x`
        1 where ``x + noise > 0``, 0 elsewhere.

    Examples
    --------
    >>> import cyact
    >>> cyact.derivative.noisy_relu([-2.0, 3.0], [2.5, -2.5])
    array([1., 1.])
    """
    name = "derivative.noisy_relu"
    if noise is None:
        return rectifiers._relu.weighted(name, x, None, bias, out, dtype, True)
    x = rectifiers.array(name, x)
    return rectifiers._relu.shifted(
        name, x, rectifiers._noise(name, x, noise, bias), out, dtype, True)


def __getattr__(name):
    return _fill.lookup(globals(), _fill.DERIVATIVE, name)


def __dir__():
    return sorted([*_fill.names(), *_WRITTEN])


# What is not made from the catalogue
_WRITTEN = [name for name, item in globals().items()
            if callable(item) and getattr(item, "__module__", None) == __name__
            and not name.startswith("_")]
