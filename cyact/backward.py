"""The backward pass of every function, under the function's name.

``cyact.backward.gelu(grad, x)`` is ``grad * gelu'(x)`` in one pass; where the derivative is a
function of the output, ``cyact.backward.tanh(grad, output=y)`` takes that and saves the
exponentials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyact import _fill, _interop
from cyact.rows import _log_softmax, _logsumexp, _softmax

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike


def softmax(
    grad: ArrayLike, x: ArrayLike | None = None, /, temperature: float = 1.0,
    axis: int | str = -1, *, output: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `softmax`: the gradient with respect to x.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output; the shape of `x`.
    x : array_like, optional
        The input of the forward pass.
    temperature : float, default 1.0
        As in the forward pass.
    axis : int, default -1
        As in the forward pass.
    output : array_like, optional
        The output of the forward pass, instead of `x`: saves the exponentials.
    out : ndarray, optional
        Where to put the result; may be `grad` or `x`.

    Returns
    -------
    ndarray, or the type of `x`
        ``y * (grad - sum(grad * y)) / temperature``.

    Raises
    ------
    TypeError
        Both or neither of `x` and `output` are given, or a dtype is not supported.
    ValueError
        Shapes differ, `axis` is out of bounds, or `temperature` is not positive and finite.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.softmax([1.0, 0.0], [0.0, 0.0])
    array([ 0.25, -0.25])
    """
    return _interop.backward(_softmax, grad, x, output, axis, out, temperature)


def log_softmax(
    grad: ArrayLike, x: ArrayLike | None = None, /, temperature: float = 1.0,
    axis: int | str = -1, *, output: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `log_softmax`: the gradient with respect to x.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output; the shape of `x`.
    x : array_like, optional
        The input of the forward pass.
    temperature : float, default 1.0
        As in the forward pass.
    axis : int, default -1
        As in the forward pass.
    output : array_like, optional
        The output of the forward pass, instead of `x`.
    out : ndarray, optional
        Where to put the result; may be `grad` or `x`.

    Returns
    -------
    ndarray, or the type of `x`
        ``(grad - exp(output) * sum(grad)) / temperature``.

    Raises
    ------
    TypeError
        Both or neither of `x` and `output` are given, or a dtype is not supported.
    ValueError
        Shapes differ, `axis` is out of bounds, or `temperature` is not positive and finite.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.log_softmax([1.0, 0.0], [0.0, 0.0])
    array([ 0.5, -0.5])
    """
    return _interop.backward(_log_softmax, grad, x, output, axis, out, temperature)


def logsumexp(
    grad: ArrayLike, x: ArrayLike, /, axis: int | str = -1, *, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `logsumexp`: the gradient with respect to x.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output: the shape of `x` without `axis`, or with length 1
        there.
    x : array_like
        The input of the forward pass.
    axis : int, default -1
        As in the forward pass.
    out : ndarray, optional
        Where to put the result; may be `x`.

    Returns
    -------
    ndarray, or the type of `x`
        ``grad * softmax(x)``.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        The shape of `grad` is not that of the output, or `axis` is out of bounds.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.logsumexp(2.0, [0.0, 0.0])
    array([1., 1.])
    """
    return _interop.backward(_logsumexp, grad, x, None, axis, out)


def __getattr__(name):
    return _fill.lookup(globals(), _fill.BACKWARD, name)


def __dir__():
    return sorted([*_fill.names(), "softmax", "log_softmax", "logsumexp"])
