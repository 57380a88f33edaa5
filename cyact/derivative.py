"""The derivative of every elementwise function, under the function's name.

``cyact.derivative.gelu(x)`` is gelu'(x), with the same parameters and keywords as
``cyact.gelu``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyact import _fill, rectifiers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike


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
    return sorted([*_fill.names(), "prelu", "rrelu", "noisy_relu"])
