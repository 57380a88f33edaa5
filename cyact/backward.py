"""The backward pass of every function, under the function's name.

``cyact.backward.gelu(grad, x)`` is ``grad * gelu'(x)`` in one pass; where the derivative is a
function of the output, ``cyact.backward.tanh(grad, output=y)`` takes that and saves the
exponentials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cyact import _fill, gated, rectifiers, sampling, sparse
from cyact._containers import interop as _interop
from cyact._docs import documented
from cyact.rows import _log_softmax, _logmeanexp, _logsumexp, _softmax, _softmin

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cyact.rows import Axis


@documented
def softmax(
    grad: ArrayLike, x: ArrayLike | None = None, /, temperature: float = 1.0, axis: Axis = -1, *,
    output: ArrayLike | None = None, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `softmax`: ``y * (grad - sum(grad * y)) / temperature``.

    {row_gradient}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.softmax([1.0, 0.0], [0.0, 0.0])
    array([ 0.25, -0.25])
    """
    return _interop.backward(_softmax, grad, x, output, axis, out, where, bias, temperature)


@documented
def log_softmax(
    grad: ArrayLike, x: ArrayLike | None = None, /, temperature: float = 1.0, axis: Axis = -1, *,
    output: ArrayLike | None = None, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `log_softmax`: ``(grad - exp(output) * sum(grad)) / temperature``.

    {row_gradient}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.log_softmax([1.0, 0.0], [0.0, 0.0])
    array([ 0.5, -0.5])
    """
    return _interop.backward(_log_softmax, grad, x, output, axis, out, where, bias, temperature)


@documented
def softmin(
    grad: ArrayLike, x: ArrayLike | None = None, /, axis: Axis = -1, *,
    output: ArrayLike | None = None, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `softmin`: ``-y * (grad - sum(grad * y))``.

    {row_gradient}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.softmin([1.0, 0.0], [0.0, 0.0])
    array([-0.25,  0.25])
    """
    return _interop.backward(_softmin, grad, x, output, axis, out, where, bias)


@documented
def logsumexp(
    grad: ArrayLike, x: ArrayLike, /, axis: Axis = -1, *, b: ArrayLike | None = None,
    where: ArrayLike | None = None, bias: ArrayLike | None = None,
    out: np.ndarray | None = None
) -> Any:
    """Backward pass of `logsumexp`: ``grad * softmax(x)``.

    With weights it is ``grad * b * exp(x) / sum(b * exp(x))``.

    {row_reduced_gradient}
    b : array_like, optional
        The weights of the forward pass. (The sign, if it was asked for, has the gradient 0.)
    {row_reduced_gradient_rest}

    Notes
    -----
    As `softmax`, the gradient of a row that holds NaN or +inf, or nothing but -inf, is NaN: of
    +inf the limit would be `grad` at that entry, but of two there is none.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.logsumexp(2.0, [0.0, 0.0])
    array([1., 1.])
    """
    if b is not None:
        return sparse.logsumexp_backward_of_weighted(grad, x, b, axis, where, bias, out)
    return _interop.backward(_logsumexp, grad, x, None, axis, out, where, bias)


@documented
def logmeanexp(
    grad: ArrayLike, x: ArrayLike, /, axis: Axis = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `logmeanexp`: ``grad * softmax(x)``, as that of `logsumexp`.

    {row_reduced_gradient}
    {row_reduced_gradient_rest}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.logmeanexp(2.0, [0.0, 0.0])
    array([1., 1.])
    """
    return _interop.backward(_logmeanexp, grad, x, None, axis, out, where, bias)


@documented
def hardmax(
    grad: ArrayLike, x: ArrayLike, /, axis: int | str = -1, *, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `hardmax`: 0, as it is constant between its jumps.

    {row_gradient}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.hardmax([1.0, 1.0], [0.0, 2.0])
    array([0., 0.])
    """
    return _interop.backward(sparse._hardmax, grad, x, None, axis, out, where, bias)


@documented
def sparsemax(
    grad: ArrayLike, x: ArrayLike | None = None, /, axis: int | str = -1, *,
    output: ArrayLike | None = None, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `sparsemax`: ``grad - mean(grad[y > 0])`` where the output y is positive.

    It is 0 elsewhere, whatever `grad` holds there.

    {row_gradient}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.sparsemax([1.0, 0.0, 5.0], [1.0, 0.5, -1.0])
    array([ 0.5, -0.5,  0. ])
    """
    return _interop.backward(sparse._sparsemax, grad, x, output, axis, out, where, bias)


@documented
def entmax15(
    grad: ArrayLike, x: ArrayLike | None = None, /, axis: int | str = -1, *,
    output: ArrayLike | None = None, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `entmax15`: ``s * (grad - sum(s * grad) / sum(s))``, ``s = sqrt(y)``.

    y is the output; where it is 0, so is the gradient, whatever `grad` holds there.

    {row_gradient}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.entmax15([1.0, 0.0, 5.0], [0.0, 0.0, -3.0]).round(4)
    array([ 0.3536, -0.3536,  0.    ])
    """
    return _interop.backward(sparse._entmax15, grad, x, output, axis, out, where, bias)


@documented
def gumbel_softmax(
    grad: ArrayLike, /, tau: float = 1.0, axis: int | str = -1, *, output: ArrayLike,
    where: ArrayLike | None = None, bias: ArrayLike | None = None,
    out: np.ndarray | None = None
) -> Any:
    """Backward pass of `gumbel_softmax`: ``y * (grad - sum(grad * y)) / tau``, y = `output`.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output; its shape.
    tau, axis, where
        As in the forward pass.
    output : array_like
        The soft sample that the forward pass returned. For one-hot samples, too: the gradient
        goes straight through as if they were it.
    bias : array_like, optional
        The bias of the forward pass; then its gradient is returned, too.
    out : ndarray, optional
        Where to put the result; may be `grad`.

    Returns
    -------
    dx : ndarray, or the type of `output`
        Shape of `output`; the dtype is that of `grad` and `output` together.
    dbias : ndarray
        Only with `bias`: dx summed over all axes but the last.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes differ, `axis` is out of bounds, or `tau` is not positive and finite.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.gumbel_softmax([1.0, 0.0], output=[0.5, 0.5])
    array([ 0.25, -0.25])
    """
    return _interop.backward(sampling._gumbel_softmax, grad, None, output, axis, out, where,
                             bias, tau)


@documented
def entmax(
    grad: ArrayLike, x: ArrayLike | None = None, /, alpha: float = 1.5, axis: int | str = -1, *,
    output: ArrayLike | None = None, where: ArrayLike | None = None,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `entmax`: ``s * (grad - sum(s * grad) / sum(s))``.

    ``s = y**(2 - alpha)`` for the output y; where that is 0, so is the gradient, whatever `grad`
    holds there.

    {row_gradient}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.entmax([1.0, 0.0, 5.0], [0.0, 0.0, -9.0], 1.75).round(4)
    array([ 0.4204, -0.4204,  0.    ])
    """
    return _interop.backward(sparse._entmax, grad, x, output, axis, out, where, bias, alpha)


@documented
def maxout(
    grad: ArrayLike, x: ArrayLike, /, pieces: int, axis: int = -1, *,
    where: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `maxout`: the gradient with respect to x.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output: `pieces` times shorter than `x` along `axis`.
    x : array_like
        The input of the forward pass.
    pieces, axis, where
        As in the forward pass.
    out : ndarray, optional
        Where to put the result; may be `x`.

    Returns
    -------
    ndarray, or the type of `x` if that is a Dask or masked array
        `grad` at the first maximum of each run, 0 elsewhere; NaN in a run that holds NaN.

    Raises
    ------
    TypeError
        A dtype is not supported, or `pieces` is no integer.
    ValueError
        Shapes do not match, the length of `axis` is no multiple of `pieces`, or `axis` is out of
        bounds.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.maxout([1.0, 2.0], [1.0, 3.0, -2.0, -5.0], 2)
    array([0., 1., 2., 0.])
    """
    return sparse._maxout_backward(grad, x, pieces, axis, where, out)


def prelu(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, /, axis: int = 1, *,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `prelu`: the gradients with respect to x and weight.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output; the shape of `x`.
    x, weight, axis, bias
        As in the forward pass.
    out : ndarray, optional
        Where to put dx.

    Returns
    -------
    dx : ndarray, or the type of `grad`
        ``grad`` where ``x > 0``, ``weight * grad`` elsewhere.
    dweight : ndarray or scalar
        The shape of `weight`: ``grad * min(x, 0)`` summed over each channel, in float64 or
        better, and rounded to the dtype that `x` is computed in.
    dbias : ndarray
        Only with `bias`: dx summed over all axes but the last.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not match.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.prelu([1.0, 1.0], [-2.0, 3.0], 0.25)
    (array([0.25, 1.  ]), np.float64(-2.0))
    """
    name = "backward.prelu"
    grad, x = rectifiers.array(name, grad), rectifiers.array(name, x)
    slopes = rectifiers._channels(name, x, weight, axis)
    shape = np.shape(weight)
    # before dx is written, which may be over x
    dweight = rectifiers.weight_gradient(name, grad, x, bias, shape, axis)
    dx = rectifiers._prelu.weighted_backward(name, grad, x, slopes, bias, out)
    return (dx, dweight) if bias is None else (dx[0], dweight, dx[1])


def rrelu(
    grad: ArrayLike, x: ArrayLike, slope: ArrayLike | None = None, /, lower: float = 1 / 8,
    upper: float = 1 / 3, *, bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `rrelu`: the gradient with respect to x.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output; the shape of `x`.
    x : array_like
        The input of the forward pass.
    slope : array_like, optional
        What the forward pass returned with ``return_slope=True``; without it,
        ``(lower + upper) / 2``.
    lower, upper, bias
        As in the forward pass.
    out : ndarray, optional
        Where to put the result; may be `grad` or `x`.

    Returns
    -------
    dx : ndarray, or the type of `grad`
        ``grad`` where ``x > 0``, ``slope * grad`` elsewhere.
    dbias : ndarray
        Only with `bias`: dx summed over all axes but the last.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not match.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.rrelu([1.0, 1.0], [-2.0, 3.0], [0.25, 0.25])
    array([0.25, 1.  ])
    """
    name = "backward.rrelu"
    if slope is None:
        slope = rectifiers._mean_slope(lower, upper)
        return rectifiers._mean_rrelu.backward(grad, x, None, bias, out, slope)
    x = rectifiers.array(name, x)
    return rectifiers._prelu.weighted_backward(
        name, grad, x, rectifiers._slopes(name, x, slope), bias, out)


def noisy_relu(
    grad: ArrayLike, x: ArrayLike, noise: ArrayLike | None = None, /, *,
    bias: ArrayLike | None = None, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `noisy_relu`: the gradient with respect to x, the noise given.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output; the shape of `x`.
    x : array_like
        The input of the forward pass.
    noise : array_like, optional
        What the forward pass returned with ``return_noise=True``; without it, none.
    bias : array_like, optional
        That of the forward pass.
    out : ndarray, optional
        Where to put the result; may be `grad` or `x`.

    Returns
    -------
    dx : ndarray, or the type of `grad`
        ``grad`` where ``x + noise > 0``, 0 elsewhere.
    dbias : ndarray
        Only with `bias`: dx summed over all axes but the last.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not match.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.noisy_relu([1.0, 1.0], [-2.0, 3.0], [2.5, 0.0])
    array([1., 1.])
    """
    name = "backward.noisy_relu"
    if noise is None:
        return rectifiers._relu.weighted_backward(name, grad, x, None, bias, out)
    x = rectifiers.array(name, x)
    return rectifiers._relu.shifted_backward(
        name, grad, x, rectifiers._noise(name, x, noise, bias), out, bias is not None)


def crelu(
    grad: ArrayLike, x: ArrayLike, /, axis: int = -1, *, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `crelu`: the gradient with respect to x.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output: twice as long as `x` along `axis`.
    x, axis
        As in the forward pass.
    out : ndarray, optional
        Where to put the result; may be `x`.

    Returns
    -------
    ndarray
        The first half of grad where ``x > 0``, minus the second where ``x < 0``, 0 at 0.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not match, or `axis` is out of bounds.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.crelu([1.0, 2.0, 3.0, 4.0], [-2.0, 3.0])
    array([-3.,  2.])
    """
    return rectifiers.crelu_backward(grad, x, axis, out)


def glu(
    grad: ArrayLike, x: ArrayLike, /, axis: int = -1, *, out: np.ndarray | None = None
) -> Any:
    """Backward pass of `glu`: the gradient with respect to x.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output; half of `x` along `axis`.
    x, axis
        As in the forward pass.
    out : ndarray, optional
        Where to put the result; must not overlap `grad` or `x`.

    Returns
    -------
    ndarray
        The shape of `x`.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not match, the axis has an odd length, or `out` overlaps an input.

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.glu([1.0], [2.0, 0.0])
    array([0.5, 0.5])
    """
    return gated.backward("glu", grad, x, None, axis, "second", out)


@documented
def swiglu(
    grad: ArrayLike, gate: ArrayLike, value: ArrayLike | None = None, /, beta: float = 1.0, *,
    axis: int = -1, gate_half: Literal["first", "second"] = "first", out: Any = None
) -> Any:
    """Backward pass of `swiglu`: the gradients with respect to gate and value.

    {gated_backward}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.swiglu([1.0], [0.0], [3.0])
    (array([1.5]), array([0.]))
    """
    return gated.backward("swiglu", grad, gate, value, axis, gate_half, out, beta)


@documented
def geglu(
    grad: ArrayLike, gate: ArrayLike, value: ArrayLike | None = None, /,
    approximate: Literal["none", "tanh", "sigmoid"] = "none", *, axis: int = -1,
    gate_half: Literal["first", "second"] = "first", out: Any = None
) -> Any:
    """Backward pass of `geglu`: the gradients with respect to gate and value.

    {gated_backward}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.geglu([1.0], [0.0], [3.0])
    (array([1.5]), array([0.]))
    """
    return gated.backward("geglu", grad, gate, value, axis, gate_half, out, approximate)


@documented
def reglu(
    grad: ArrayLike, gate: ArrayLike, value: ArrayLike | None = None, /, *, axis: int = -1,
    gate_half: Literal["first", "second"] = "first", out: Any = None
) -> Any:
    """Backward pass of `reglu`: the gradients with respect to gate and value.

    {gated_backward}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.reglu([1.0], [2.0], [3.0])
    (array([3.]), array([2.]))
    """
    return gated.backward("reglu", grad, gate, value, axis, gate_half, out)


@documented
def bilinear(
    grad: ArrayLike, gate: ArrayLike, value: ArrayLike | None = None, /, *, axis: int = -1,
    gate_half: Literal["first", "second"] = "first", out: Any = None
) -> Any:
    """Backward pass of `bilinear`: the gradients with respect to gate and value.

    {gated_backward}

    Examples
    --------
    >>> import cyact
    >>> cyact.backward.bilinear([1.0], [2.0], [3.0])
    (array([3.]), array([2.]))
    """
    return gated.backward("bilinear", grad, gate, value, axis, gate_half, out)


def __getattr__(name):
    return _fill.lookup(globals(), _fill.BACKWARD, name)


def __dir__():
    return sorted([*_fill.names(), *_WRITTEN])


# What is not made from the catalogue
_WRITTEN = [name for name, item in globals().items()
            if callable(item) and getattr(item, "__module__", None) == __name__
            and not name.startswith("_")]
