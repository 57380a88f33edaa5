"""The backward pass of every function, under the function's name.

``cyact.backward.gelu(grad, x)`` is ``grad * gelu'(x)`` in one pass; where the derivative is a
function of the output, ``cyact.backward.tanh(grad, output=y)`` takes that and saves the
exponentials.
"""

import numpy as np

from cyact import _docs, _fill, _row_functions, _weighted_sums, elementwise, gated, maxima, sampling
from cyact._arrays import shaped
from cyact._containers import interop as _interop
from cyact._docs import documented
from cyact.prelu import _prelu, channels, weight_gradient


@documented(_docs.ROWS_BACKWARD)
def softmax(grad, x=None, /, temperature=1.0, axis=-1, *, output=None, where=None, bias=None,
            out=None):
    """Backward pass of `softmax`: ``y * (grad - sum(grad * y)) / temperature``.

    >>> cyact.backward.softmax([1.0, 0.0], [0.0, 0.0])
    array([ 0.25, -0.25])
    """
    return _interop.backward(_row_functions.softmax, grad, x, output, axis, out, where, bias,
                             temperature)


@documented(_docs.ROWS_BACKWARD)
def log_softmax(grad, x=None, /, temperature=1.0, axis=-1, *, output=None, where=None, bias=None,
                out=None):
    """Backward pass of `log_softmax`: ``(grad - exp(output) * sum(grad)) / temperature``.

    >>> cyact.backward.log_softmax([1.0, 0.0], [0.0, 0.0])
    array([ 0.5, -0.5])
    """
    return _interop.backward(_row_functions.log_softmax, grad, x, output, axis, out, where, bias,
                             temperature)


@documented(_docs.ROWS_BACKWARD)
def softmin(grad, x=None, /, axis=-1, *, output=None, where=None, bias=None, out=None):
    """Backward pass of `softmin`: ``-y * (grad - sum(grad * y))``.

    >>> cyact.backward.softmin([1.0, 0.0], [0.0, 0.0])
    array([-0.25,  0.25])
    """
    return _interop.backward(_row_functions.softmin, grad, x, output, axis, out, where, bias)


@documented(_docs.REDUCED_ROWS_BACKWARD)
def logsumexp(grad, x, /, axis=-1, *, b=None, where=None, bias=None, out=None):
    """Backward pass of `logsumexp`: ``grad * softmax(x)``.

    b : array_like, optional
        The weights of the forward pass. (The sign, if it was asked for, has the gradient 0.)

    With weights it is ``grad * b * exp(x) / sum(b * exp(x))``, summed in float64: the error is at
    most 4 ulp of ``max(abs(dx), c**2 * abs(grad))`` in float64, where c tells how much cancels (see
    `cyact.logsumexp`), and of ``max(abs(dx), 2**-28 * c**2 * abs(grad))`` in float32.

    As `softmax`, the gradient of a row that holds NaN or +inf, or nothing but -inf, is NaN: of
    +inf the limit would be `grad` at that entry, but of two there is none.

    >>> cyact.backward.logsumexp(2.0, [0.0, 0.0])
    array([1., 1.])
    """
    if b is not None:
        return _weighted_sums.logsumexp_backward(grad, x, b, axis, where, bias, out)
    return _interop.backward(_row_functions.logsumexp, grad, x, None, axis, out, where, bias)


@documented(_docs.REDUCED_ROWS_BACKWARD)
def logmeanexp(grad, x, /, axis=-1, *, where=None, bias=None, out=None):
    """Backward pass of `logmeanexp`: ``grad * softmax(x)``, as that of `logsumexp`.

    >>> cyact.backward.logmeanexp(2.0, [0.0, 0.0])
    array([1., 1.])
    """
    return _interop.backward(_row_functions.logmeanexp, grad, x, None, axis, out, where, bias)


@documented(_docs.ROWS_BACKWARD)
def hardmax(grad, x, /, axis=-1, *, where=None, bias=None, out=None):
    """Backward pass of `hardmax`: 0, as it is constant between its jumps.

    >>> cyact.backward.hardmax([1.0, 1.0], [0.0, 2.0])
    array([0., 0.])
    """
    return _interop.backward(_row_functions.hardmax, grad, x, None, axis, out, where, bias)


@documented(_docs.ROWS_BACKWARD)
def sparsemax(grad, x=None, /, axis=-1, *, output=None, where=None, bias=None, out=None):
    """Backward pass of `sparsemax`: ``grad - mean(grad[y > 0])`` where the output y is positive.

    It is 0 elsewhere, whatever `grad` holds there.

    >>> cyact.backward.sparsemax([1.0, 0.0, 5.0], [1.0, 0.5, -1.0])
    array([ 0.5, -0.5,  0. ])
    """
    return _interop.backward(_row_functions.sparsemax, grad, x, output, axis, out, where, bias)


@documented(_docs.ROWS_BACKWARD)
def entmax15(grad, x=None, /, axis=-1, *, output=None, where=None, bias=None, out=None):
    """Backward pass of `entmax15`: ``s * (grad - sum(s * grad) / sum(s))``, ``s = sqrt(y)``.

    y is the output; where it is 0, so is the gradient, whatever `grad` holds there.

    >>> cyact.backward.entmax15([1.0, 0.0, 5.0], [0.0, 0.0, -3.0]).round(4)
    array([ 0.3536, -0.3536,  0.    ])
    """
    return _interop.backward(_row_functions.entmax15, grad, x, output, axis, out, where, bias)


@documented(_docs.ROWS_BACKWARD)
def gumbel_softmax(grad, /, tau=1.0, axis=-1, *, output, where=None, bias=None, out=None):
    """Backward pass of `gumbel_softmax`: ``y * (grad - sum(grad * y)) / tau``, y = `output`.

    grad : array_like
        Gradient with respect to the output; its shape.
    output : array_like
        The soft sample that the forward pass returned. For one-hot samples, too: the gradient
        goes straight through as if they were it.
    out : ndarray, optional
        Where to put the result; may be `grad`.

    Returns
    -------
    dx : ndarray, or the type of `output`
        Shape of `output`; the dtype is that of `grad` and `output` together.
    dbias : ndarray
        Only with `bias`: dx summed over all axes but the last.

    >>> cyact.backward.gumbel_softmax([1.0, 0.0], output=[0.5, 0.5])
    array([ 0.25, -0.25])
    """
    return _interop.backward(_row_functions.gumbel_softmax, grad, None, output, axis, out, where,
                             bias, tau)


@documented(_docs.ROWS_BACKWARD)
def entmax(grad, x=None, /, alpha=1.5, axis=-1, *, output=None, where=None, bias=None, out=None):
    """Backward pass of `entmax`: ``s * (grad - sum(s * grad) / sum(s))``.

    ``s = y**(2 - alpha)`` for the output y; where that is 0, so is the gradient, whatever `grad`
    holds there.

    >>> cyact.backward.entmax([1.0, 0.0, 5.0], [0.0, 0.0, -9.0], 1.75).round(4)
    array([ 0.4204, -0.4204,  0.    ])
    """
    return _interop.backward(_row_functions.entmax, grad, x, output, axis, out, where, bias, alpha)


@documented(_docs.PLAIN_BACKWARD)
def maxout(grad, x, /, pieces, axis=-1, *, where=None, out=None):
    """Backward pass of `maxout`: the gradient with respect to x.

    grad : array_like
        Gradient with respect to the output: `pieces` times shorter than `x` along `axis`.
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

    >>> cyact.backward.maxout([1.0, 2.0], [1.0, 3.0, -2.0, -5.0], 2)
    array([0., 1., 2., 0.])
    """
    return maxima.maxout_backward(grad, x, pieces, axis, where, out)


@documented(_docs.PLAIN_BACKWARD)
def prelu(grad, x, weight, /, axis=1, *, bias=None, out=None):
    """Backward pass of `prelu`: the gradients with respect to x and weight.

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

    >>> cyact.backward.prelu([1.0, 1.0], [-2.0, 3.0], 0.25)
    (array([0.25, 1.  ]), np.float64(-2.0))
    """
    name = "backward.prelu"
    grad, x = shaped(name, grad), shaped(name, x)
    slopes = channels(name, x, weight, axis)
    shape = np.shape(weight)
    # before dx is written, which may be over x
    dweight = weight_gradient(name, grad, x, bias, shape, axis)
    dx = _prelu.weighted_backward(name, grad, x, slopes, bias, out)
    return (dx, dweight) if bias is None else (dx[0], dweight, dx[1])


@documented(_docs.PLAIN_BACKWARD)
def rrelu(grad, x, slope=None, /, lower=1 / 8, upper=1 / 3, *, bias=None, out=None):
    """Backward pass of `rrelu`: the gradient with respect to x.

    slope : array_like, optional
        What the forward pass returned with ``return_slope=True``; without it,
        ``(lower + upper) / 2``.

    Returns
    -------
    dx : ndarray, or the type of `grad`
        ``grad`` where ``x > 0``, ``slope * grad`` elsewhere.
    dbias : ndarray
        Only with `bias`: dx summed over all axes but the last.

    >>> cyact.backward.rrelu([1.0, 1.0], [-2.0, 3.0], [0.25, 0.25])
    array([0.25, 1.  ])
    """
    name = "backward.rrelu"
    if slope is None:
        slope = sampling.mean_slope(lower, upper)
        return sampling._mean_rrelu.backward(grad, x, None, bias, out, slope)
    x = shaped(name, x)
    return _prelu.weighted_backward(
        name, grad, x, sampling.slopes(name, x, slope), bias, out)


@documented(_docs.PLAIN_BACKWARD)
def noisy_relu(grad, x, noise=None, /, *, bias=None, out=None):
    """Backward pass of `noisy_relu`: the gradient with respect to x, the noise given.

    noise : array_like, optional
        What the forward pass returned with ``return_noise=True``; without it, none.

    Returns
    -------
    dx : ndarray, or the type of `grad`
        ``grad`` where ``x + noise > 0``, 0 elsewhere.
    dbias : ndarray
        Only with `bias`: dx summed over all axes but the last.

    >>> cyact.backward.noisy_relu([1.0, 1.0], [-2.0, 3.0], [2.5, 0.0])
    array([1., 1.])
    """
    name = "backward.noisy_relu"
    if noise is None:
        return elementwise._relu.weighted_backward(name, grad, x, None, bias, out)
    x = shaped(name, x)
    return elementwise._relu.shifted_backward(
        name, grad, x, sampling.noise_and_bias(name, x, noise, bias), out, bias is not None)


@documented(_docs.PLAIN_BACKWARD)
def crelu(grad, x, /, axis=-1, *, out=None):
    """Backward pass of `crelu`: the gradient with respect to x.

    grad : array_like
        Gradient with respect to the output: twice as long as `x` along `axis`.
    out : ndarray, optional
        Where to put the result; may be `x`.

    Returns
    -------
    ndarray
        The first half of grad where ``x > 0``, minus the second where ``x < 0``, 0 at 0.

    >>> cyact.backward.crelu([1.0, 2.0, 3.0, 4.0], [-2.0, 3.0])
    array([-3.,  2.])
    """
    return gated.crelu_backward(grad, x, axis, out)


@documented(_docs.PLAIN_BACKWARD)
def glu(grad, x, /, axis=-1, *, out=None):
    """Backward pass of `glu`: the gradient with respect to x.

    grad : array_like
        Gradient with respect to the output; half of `x` along `axis`.
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

    >>> cyact.backward.glu([1.0], [2.0, 0.0])
    array([0.5, 0.5])
    """
    return gated.backward("glu", grad, x, None, axis, "second", out)


@documented(_docs.GATED_BACKWARD)
def swiglu(grad, gate, value=None, /, beta=1.0, *, axis=-1, gate_half="first", out=None):
    """Backward pass of `swiglu`: the gradients with respect to gate and value.

    >>> cyact.backward.swiglu([1.0], [0.0], [3.0])
    (array([1.5]), array([0.]))
    """
    return gated.backward("swiglu", grad, gate, value, axis, gate_half, out, beta)


@documented(_docs.GATED_BACKWARD)
def geglu(grad, gate, value=None, /, approximate="none", *, axis=-1, gate_half="first", out=None):
    """Backward pass of `geglu`: the gradients with respect to gate and value.

    >>> cyact.backward.geglu([1.0], [0.0], [3.0])
    (array([1.5]), array([0.]))
    """
    return gated.backward("geglu", grad, gate, value, axis, gate_half, out, approximate)


@documented(_docs.GATED_BACKWARD)
def reglu(grad, gate, value=None, /, *, axis=-1, gate_half="first", out=None):
    """Backward pass of `reglu`: the gradients with respect to gate and value.

    >>> cyact.backward.reglu([1.0], [2.0], [3.0])
    (array([3.]), array([2.]))
    """
    return gated.backward("reglu", grad, gate, value, axis, gate_half, out)


@documented(_docs.GATED_BACKWARD)
def bilinear(grad, gate, value=None, /, *, axis=-1, gate_half="first", out=None):
    """Backward pass of `bilinear`: the gradients with respect to gate and value.

    >>> cyact.backward.bilinear([1.0], [2.0], [3.0])
    (array([3.]), array([2.]))
    """
    return gated.backward("bilinear", grad, gate, value, axis, gate_half, out)


def __getattr__(name):
    return _fill.lookup(globals(), _fill.backward, name)


def __dir__():
    return sorted([*_fill.names(), *_WRITTEN])


# What is not made from the catalogue
_WRITTEN = [name for name, item in globals().items()
            if callable(item) and getattr(item, "__module__", None) == __name__
            and not name.startswith("_")]
