"""Functions that draw random numbers: noise first, in C order, so that threads do not matter.

With ``return_slope``, ``return_noise`` or ``return_soft`` they give back what their backward pass
needs.
"""

from math import inf

import numpy as np

from cyact import _docs
from cyact._arrays import QUIETLY, shaped
from cyact._catalog import activation
from cyact._containers import interop as _interop
from cyact._engine.arrays import (
    as_array,
    bias_array,
    check_out,
    dtype_within,
    is_bfloat16,
    result_dtype,
)
from cyact._engine.domains import FINITE, NONNEGATIVE, POSITIVE
from cyact._engine.elementwise import Function
from cyact._engine.rows import mask_array, normalize_axis
from cyact._row_functions import gumbel_softmax as _gumbel_softmax
from cyact.elementwise import _relu, _sigmoid
from cyact.maxima import hardmax
from cyact.prelu import _prelu

_mean_rrelu = Function("rrelu", kernel="leaky_relu", slope=FINITE)
_plain_relu = Function("noisy_relu", kernel="relu")


@activation("rectifiers", "x if x >= 0 else slope * x", "1 if x > 0 else slope",
            parameters={"lower": FINITE, "upper": FINITE, "training": (False, True)},
            range="(-inf, inf)", monotonic=True, monotonic_derivative=True, continuity=0,
            kinks=(0,),
            reference='B. Xu, N. Wang, T. Chen and M. Li, "Empirical evaluation of rectified '
                      'activations in convolutional network", arXiv:1505.00853.')
def rrelu(x, /, lower=1 / 8, upper=1 / 3, training=False, rng=None, *, return_slope=False,
          bias=None, out=None, dtype=None):
    """Randomized leaky rectified linear unit.

    lower, upper : float, default 1/8 and 1/3
        Between these the slope for negative input is drawn; finite, ``lower <= upper``.
    training : bool, default False
        Whether to draw a slope for each element; otherwise it is ``(lower + upper) / 2``.
    return_slope : bool, default False
        Whether to return ``(y, slope)``: what ``cyact.backward.rrelu(grad, x, slope)`` needs.

    The slope is ``rng.uniform(lower, upper, x.shape)``, rounded to the dtype that `x` is computed
    in. Error at most 0.5 ULP in float64 and, given the slope, in float32; 1 ULP outside training.
    The derivative at 0 is the slope.

    >>> cyact.rrelu([-2.0, 3.0], lower=0.25, upper=0.75)
    array([-1.,  3.])
    >>> y, slope = cyact.rrelu([-1.0, 1.0], training=True, rng=0, return_slope=True)
    >>> bool(y[0] == -slope[0])
    True
    """
    slope = mean_slope(lower, upper)
    if not training:
        y = _mean_rrelu.value(x, bias, out, dtype, slope)
    else:
        x = shaped("rrelu", x)
        slope = _working("rrelu", _drawn_slopes(rng, lower, upper, x.shape), x, dtype)
        y = _prelu.weighted("rrelu", x, slope, bias, out, dtype)
    return (y, slope) if return_slope else y


@activation("rectifiers", "max(x + noise, 0)", "1 if x + noise > 0 else 0",
            parameters={"scale": NONNEGATIVE, "training": (False, True)}, range="[0, inf)",
            monotonic=True, monotonic_derivative=True, continuity=0, kinks=(0,), saturates="left",
            reference='V. Nair and G. E. Hinton, "Rectified linear units improve restricted '
                      'Boltzmann machines", ICML 2010.')
def noisy_relu(x, /, scale=1.0, training=False, rng=None, *, return_noise=False, bias=None,
               out=None, dtype=None):
    """Noisy rectified linear unit.

    scale : float or "sigmoid", default 1.0
        Standard deviation of the noise; at least 0 and finite. With "sigmoid" the variance is
        ``sigmoid(x)``.
    training : bool, default False
        Whether to add noise; otherwise this is `relu`.
    return_noise : bool, default False
        Whether to return ``(y, noise)``: what ``cyact.backward.noisy_relu(grad, x, noise)``
        needs. Outside training the noise is 0.

    The noise is ``rng.standard_normal(x.shape)`` times the standard deviation, rounded to the
    dtype that `x` is computed in, as is the sum; with `bias` it is ``max(x + (noise + bias), 0)``.

    >>> cyact.noisy_relu([-2.0, 3.0])
    array([0., 3.])
    >>> y, noise = cyact.noisy_relu([5.0, 6.0], training=True, rng=0, return_noise=True)
    >>> bool((y == [5.0, 6.0] + noise).all())
    True
    """
    if not training and not return_noise and type(scale) is float and 0 <= scale < inf:
        return _plain_relu.value(x, bias, out, dtype)      # without a detour of 100 ns
    by_sigmoid = isinstance(scale, str) and scale == "sigmoid"
    if not by_sigmoid:
        scale = NONNEGATIVE.checked("noisy_relu", "scale", scale)
    if not training:
        y = _plain_relu.value(x, bias, out, dtype)
        return (y, 0.0) if return_noise else y
    x = shaped("noisy_relu", x)
    noise = _generator("noisy_relu", rng).standard_normal(x.shape)
    if by_sigmoid:
        scale = np.sqrt(_sigmoid.weighted("noisy_relu", np.asarray(x), None, bias, None,
                                          np.float64))
    noise = _working("noisy_relu", noise, x, dtype, scale)
    y = _relu.shifted("noisy_relu", x, _shift("noisy_relu", x, noise, bias), out, dtype)
    return (y, noise) if return_noise else y


@activation("softmax", "softmax((x + g) / tau)", "f(x)[i] * ((i == j) - f(x)[j]) / tau",
            engine=_gumbel_softmax, skeleton=_docs.ROWS_OF_ONE_AXIS,
            parameters={"tau": POSITIVE, "hard": (False, True)},
            reference='E. Jang, S. Gu and B. Poole, "Categorical reparameterization with '
                      'Gumbel-softmax", ICLR 2017, arXiv:1611.01144; C. J. Maddison, A. Mnih and '
                      'Y. W. Teh, "The concrete distribution: a continuous relaxation of discrete '
                      'random variables", ICLR 2017, arXiv:1611.00712.')
def gumbel_softmax(x, /, tau=1.0, hard=False, rng=None, axis=-1, *, where=None, bias=None,
                   out=None, dtype=None, return_soft=False):
    """Softmax with Gumbel noise: samples of categories that a gradient can pass.

    x : array_like
        Unnormalised log-probabilities: float16, bfloat16 (of ml_dtypes), float32 or float64;
        integers and bool become ``np.result_type(x, np.float32)``.
    tau : float, default 1.0
        Temperature; positive and finite. The smaller, the nearer to one-hot.
    hard : bool, default False
        Give one-hot vectors; each category comes as often as ``softmax(x)`` says.
    return_soft : bool, default False
        Whether to return ``(y, soft)``: the soft sample is what
        ``cyact.backward.gumbel_softmax(grad, output=soft)`` needs; y is the same if not `hard`.

    g is Gumbel noise, ``rng.gumbel(size=x.shape)``, rounded to the dtype that `x` is computed in,
    as is the sum; with `bias` it is ``x + (g + bias)``. `hard` gives the `hardmax` of that.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> cyact.gumbel_softmax(np.log([[0.1, 0.9]] * 10_000), hard=True, rng=rng).mean(0).round(1)
    array([0.1, 0.9])
    """
    name = "gumbel_softmax"
    tau = POSITIVE.checked(name, "tau", tau)
    if not hasattr(x, "__array_ufunc__"):
        x = as_array(name, x)
    computed = result_dtype(name, np.dtype(dtype)) if dtype else dtype_within(name, x)
    if out is not None:
        check_out(name, out, x.shape, computed)
    if not isinstance(axis, str):
        normalize_axis(name, x, axis)
    mask_array(name, where, x.shape)
    noise = 0 if bias is None else bias_array(name, bias, x.shape, computed)
    drawn = _generator(name, rng).gumbel(size=x.shape)
    noise = np.add(drawn, noise, dtype=np.float64 if computed == np.float64 else np.float32,
                   casting="same_kind")
    soft = _interop.along_axis(_gumbel_softmax, x, axis, None if hard else out, dtype, where,
                               None, tau, added=noise)
    y = hardmax(soft, axis, where=where, out=out) if hard else soft
    return (y, soft) if return_soft else y


@QUIETLY
def _working(function, a, x, dtype, scale=1.0):
    """Random numbers, times a scale, in the dtype that x is computed in."""
    a = a * scale
    if dtype is None:
        dtype = x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype
    return a if result_dtype(function, np.dtype(dtype)) == np.float64 else a.astype(np.float32)


def _generator(function, rng):
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{function}: rng must be a numpy.random.Generator, a seed or None "
                          f"({error})") from None


def _drawn_slopes(rng, lower, upper, shape):
    generator = _generator("rrelu", rng)
    try:
        return generator.uniform(lower, upper, shape)
    except OverflowError:
        raise ValueError(f"rrelu: lower and upper are too far apart to draw between them, "
                         f"got {lower!r} and {upper!r}") from None


@QUIETLY
def _shift(function, x, noise, bias):
    """Noise + bias, in the dtype of the noise."""
    if bias is None:
        return noise
    bias = _real(function, "bias", bias)
    if bias.shape != x.shape[-1:] or bias.ndim == 0:
        raise ValueError(f"{function}: bias must have one entry for each of x's last axis: "
                         f"x has shape {x.shape}, bias {bias.shape}")
    return (noise + bias).astype(noise.dtype)


def noise_and_bias(function, x, noise, bias):
    """Given noise, with the bias added."""
    return _shift(function, x, _like(function, "noise", x, noise), bias)


def slopes(function, x, slope):
    """Given slopes: one, or one for each element."""
    return _like(function, "slope", x, slope)


def _like(function, name, x, a):
    a = _real(function, name, a)
    if a.ndim and a.shape != x.shape:
        raise ValueError(f"{function}: {name} must have the shape of x, {x.shape}, got {a.shape}")
    return a


def _real(function, name, a):
    a = as_array(function, a)
    if not (np.can_cast(a.dtype, np.float64, "same_kind") or is_bfloat16(a.dtype)):
        raise TypeError(f"{function}: {name} must hold real numbers, got dtype {a.dtype}")
    return a


def mean_slope(lower, upper):
    """The slope outside training."""
    # what nearly all calls give needs no 100 ns of checks
    if not (type(lower) is float and type(upper) is float and -inf < lower <= upper < inf):
        lower = FINITE.checked("rrelu", "lower", lower)
        upper = FINITE.checked("rrelu", "upper", upper)
        if lower > upper:
            raise ValueError(f"rrelu: lower must not be above upper, got {lower!r} and {upper!r}")
    return lower / 2 + upper / 2
