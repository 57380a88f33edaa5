"""Rectifiers that need more than an element: a slope for each channel, random numbers, two halves.

Derivatives and backward passes are in `cyact.derivative` and `cyact.backward` under the same
names. Random functions draw first, in C order, and compute then: the number of threads never
matters. With ``return_slope=True`` or ``return_noise=True`` they give back what their backward
pass needs.
"""

from __future__ import annotations

from math import fsum, inf, isfinite, prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cyact._docs import documented
from cyact._engine.arrays import as_array, check_out, is_bfloat16, result_dtype
from cyact._engine.domains import FINITE, NONNEGATIVE
from cyact._engine.elementwise import Function
from cyact._engine.rows import normalize_axis
from cyact.elementwise import _identity, _relu, _sigmoid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

_prelu = Function("prelu")
_mean_rrelu = Function("rrelu", kernel="leaky_relu", slope=FINITE)
_plain_relu = Function("noisy_relu", kernel="relu")
_relu_of_minus = Function("crelu", kernel="relu_of_minus")
_negative_part = Function("prelu", kernel="negative_part")

# What overflows in float32 or in a sum becomes infinite, as in compiled code
QUIETLY = np.errstate(all="ignore")
PIECE = 65_536           # columns summed side by side: they fit the caches


@documented
def prelu(
    x: ArrayLike, weight: ArrayLike, /, axis: int = 1, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Parametric rectified linear unit: a leaky ReLU with a learned slope for each channel.

    Parameters
    ----------
    {x}
    weight : array_like
        The slope for negative input: one number, or 1-D with one for each entry of `axis`.
    axis : int, default 1
        The channel axis.
    {keywords}

    {returns}

    {raises}
    numpy.exceptions.AxisError
        `axis` is out of bounds (a ValueError); only where `weight` has more than one entry.

    Notes
    -----
    ``f(x) = x if x >= 0 else weight * x``. Error at most 0.5 ULP. The derivative at 0 is
    `weight`.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV 2015, arXiv:1502.01852.

    Examples
    --------
    >>> import cyact
    >>> cyact.prelu([[-2.0, -2.0], [1.0, 1.0]], [0.25, 0.5])
    array([[-0.5, -1. ],
           [ 1. ,  1. ]])
    """
    y = _prelu.by_number(x, weight, bias, out, dtype)
    if y is not None:
        return y
    x = array("prelu", x)
    return _prelu.weighted("prelu", x, _channels("prelu", x, weight, axis), bias, out, dtype)


@documented
def rrelu(
    x: ArrayLike, /, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
    rng: np.random.Generator | int | None = None, *, return_slope: bool = False,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Randomized leaky rectified linear unit.

    Parameters
    ----------
    {x}
    lower, upper : float, default 1/8 and 1/3
        Between these the slope for negative input is drawn; finite, ``lower <= upper``.
    training : bool, default False
        Whether to draw a slope for each element; otherwise it is ``(lower + upper) / 2``.
    rng : numpy.random.Generator or seed, optional
        What to draw from.
    return_slope : bool, default False
        Whether to return ``(y, slope)``: what ``cyact.backward.rrelu(grad, x, slope)`` needs.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x if x >= 0 else slope * x``, where slope is
    ``rng.uniform(lower, upper, x.shape)``, rounded to the dtype that `x` is computed in. Error
    at most 0.5 ULP in float64 and, given the slope, in float32; 1 ULP outside training. The
    derivative at 0 is the slope.

    References
    ----------
    B. Xu, N. Wang, T. Chen and M. Li, "Empirical evaluation of rectified activations in
    convolutional network", arXiv:1505.00853.

    Examples
    --------
    >>> import cyact
    >>> cyact.rrelu([-2.0, 3.0], lower=0.25, upper=0.75)
    array([-1.,  3.])
    >>> y, slope = cyact.rrelu([-1.0, 1.0], training=True, rng=0, return_slope=True)
    >>> bool(y[0] == -slope[0])
    True
    """
    slope = _mean_slope(lower, upper)
    if not training:
        y = _mean_rrelu.value(x, bias, out, dtype, slope)
    else:
        x = array("rrelu", x)
        slope = _working("rrelu", _drawn_slopes(rng, lower, upper, x.shape), x, dtype)
        y = _prelu.weighted("rrelu", x, slope, bias, out, dtype)
    return (y, slope) if return_slope else y


@documented
def noisy_relu(
    x: ArrayLike, /, scale: float | Literal["sigmoid"] = 1.0, training: bool = False,
    rng: np.random.Generator | int | None = None, *, return_noise: bool = False,
    bias: ArrayLike | None = None, out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Noisy rectified linear unit.

    Parameters
    ----------
    {x}
    scale : float or "sigmoid", default 1.0
        Standard deviation of the noise; at least 0 and finite. With "sigmoid" the variance is
        ``sigmoid(x)``.
    training : bool, default False
        Whether to add noise; otherwise this is `relu`.
    rng : numpy.random.Generator or seed, optional
        What to draw from.
    return_noise : bool, default False
        Whether to return ``(y, noise)``: what ``cyact.backward.noisy_relu(grad, x, noise)``
        needs. Outside training the noise is 0.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = max(x + noise, 0)``, where noise is ``rng.standard_normal(x.shape)`` times the
    standard deviation, rounded to the dtype that `x` is computed in, as is the sum; with `bias`
    it is ``max(x + (noise + bias), 0)``.

    References
    ----------
    V. Nair and G. E. Hinton, "Rectified linear units improve restricted Boltzmann machines",
    ICML 2010.

    Examples
    --------
    >>> import cyact
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
    x = array("noisy_relu", x)
    noise = _generator("noisy_relu", rng).standard_normal(x.shape)
    if by_sigmoid:
        scale = np.sqrt(_sigmoid.weighted("noisy_relu", np.asarray(x), None, bias, None,
                                          np.float64))
    noise = _working("noisy_relu", noise, x, dtype, scale)
    y = _relu.shifted("noisy_relu", x, _shift("noisy_relu", x, noise, bias), out, dtype)
    return (y, noise) if return_noise else y


@documented
def crelu(
    x: ArrayLike, /, axis: int = -1, *, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
) -> Any:
    """Concatenated rectified linear unit: relu(x) and relu(-x), one after the other.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32, float64, integers or bool, at least 1-D
        Input; bfloat16 is that of ml_dtypes. Integers and bool become
        ``np.result_type(x, np.float32)``.
    axis : int, default -1
        Along which the two are concatenated: the result is twice as long there.
    out : ndarray, optional
        Where to put the result; must have its shape, and not overlap `x`.
    dtype : {float16, bfloat16, float32, float64}, optional
        Compute ``f(x.astype(dtype))``.

    Returns
    -------
    ndarray, or the type of `x` if that is a Dask or masked array
        Floating dtype of `x`.

    Raises
    ------
    TypeError
        A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
    ValueError
        `out` is read-only, has another shape, or overlaps `x`.
    numpy.exceptions.AxisError
        `axis` is out of bounds (a ValueError).

    Notes
    -----
    Exact.

    References
    ----------
    W. Shang, K. Sohn, D. Almeida and H. Lee, "Understanding and improving convolutional neural
    networks via concatenated rectified linear units", ICML 2016, arXiv:1603.05201.

    Examples
    --------
    >>> import cyact
    >>> cyact.crelu([-2.0, 3.0])
    array([0., 3., 2., 0.])
    """
    name = "crelu"
    x = divisible(name, x)
    if dtype is not None:
        dtype = np.dtype(dtype)
    result = result_dtype(name, x.dtype if dtype is None else dtype)
    axis = normalize_axis(name, x, axis)
    if out is None and type(x) is not np.ndarray:
        return concatenated([unit.weighted(name, x, None, None, None, dtype)
                              for unit in (_relu, _relu_of_minus)], axis)
    shape = twice(x.shape, axis)
    if out is None:
        out = np.empty(shape, result)
    else:
        check_out(name, out, shape, result)
        if overlap(x, out):
            raise ValueError("crelu: out must not overlap x")
    for unit, half in zip((_relu, _relu_of_minus), halves(out, axis), strict=True):
        unit.weighted(name, x, None, None, half, dtype)
    return out


@QUIETLY
def weight_gradient(function, grad, x, bias, shape, axis):
    """The gradient of prelu's weight, of this shape: grad * min(x, 0) summed over channels."""
    if hasattr(x, "dask") or hasattr(grad, "dask"):
        return _lazy_weight_gradient(function, grad, x, bias, shape, axis)
    grad, x = (as_array(function, np.ma.filled(a, 0) if isinstance(a, np.ma.MaskedArray) else a)
               for a in (grad, x))
    if grad.shape != x.shape:
        raise ValueError(f"{function}: grad and x must have equal shapes, "
                         f"got {grad.shape} and {x.shape}")
    dtype = result_dtype(function, x.dtype)
    if bias is not None:
        x = _identity.weighted(function, x, None, bias, None,
                               np.float32 if dtype.itemsize == 2 else None)
    if prod(shape) == 1:
        sums = np.array(_total(function, grad, x))
    else:
        sums = _channel_sums(function, grad, x, normalize_axis(function, x, axis))
    return sums.astype(np.float64 if dtype == np.float64 else np.float32).reshape(shape)[()]


def _lazy_weight_gradient(function, grad, x, bias, shape, axis):
    dtype = result_dtype(function, x.dtype)
    dtype = dtype if dtype == np.float64 else np.dtype(np.float32)
    x = _identity.weighted(function, x.astype(dtype), None, bias, None, None)
    products = _negative_part.gated(function, x, grad, None)
    if prod(shape) == 1:
        axes = None
    else:
        axis = normalize_axis(function, x, axis)
        axes = tuple(i for i in range(x.ndim) if i != axis)
    return products.sum(axes, dtype=np.float64).astype(dtype).reshape(shape)


def _channel_sums(function, grad, x, axis):
    """Grad * min(x, 0) summed over all axes but one."""
    count, inner = x.shape[axis], prod(x.shape[axis + 1:])
    if inner == 1 or x.size == 0:
        return _negative_part.summed(function, *(np.moveaxis(a, axis, -1) for a in (grad, x)))
    # what follows the axis is contiguous as a rule, so that is not stepped over: some channels
    # with all that belongs to them side by side
    sums = np.empty(count)
    step = max(1, PIECE // inner)
    for start in range(0, count, step):
        part = (slice(None),) * axis + (slice(start, start + step),)
        if inner > PIECE:
            sums[start] = _total(function, grad[part], x[part])
        else:
            table = _negative_part.summed(
                function, *(a[part].reshape(*a.shape[:axis], -1) for a in (grad, x)))
            sums[start:start + step] = table.reshape(-1, inner).sum(1)
    return sums


def _total(function, grad, x):
    """Grad * min(x, 0) summed over everything."""
    if (grad.flags.c_contiguous and x.flags.c_contiguous) or x.ndim < 2:
        # as a table, of which the columns are summed side by side
        grad, x = grad.reshape(-1), x.reshape(-1)
        whole = x.size // 256 * 256
        pieces = ((slice(whole), 256), (slice(whole, None), x.size - whole))
        sums = np.concatenate([
            _negative_part.summed(function, *(a[part].reshape(-1, n or 1) for a in (grad, x)))
            for part, n in pieces])
    else:
        sums = _negative_part.summed(function, grad, x)
    total = sums.sum()
    return fsum(sums) if isfinite(np.abs(sums).sum()) else total


@QUIETLY
def crelu_backward(grad, x, axis, out):
    """The first half of grad where x > 0, minus the second where x < 0."""
    name = "backward.crelu"
    grad, x = divisible(name, grad), divisible(name, x)
    dtype = np.result_type(result_dtype(name, grad.dtype), result_dtype(name, x.dtype))
    axis = normalize_axis(name, x, axis)
    shape = twice(x.shape, axis)
    if grad.shape != shape:
        raise ValueError(f"{name}: grad must have the shape of the output, {shape}, "
                         f"got {grad.shape}")
    first, second = halves(grad, axis)
    if out is not None:
        check_out(name, out, x.shape, dtype)
        if overlap(out, grad):
            raise ValueError(f"{name}: out must not overlap grad")
    # one of the two is 0 at each element
    rest = _relu_of_minus.weighted_backward(name, second, x, None, None, None)
    dx = _relu.weighted_backward(name, first, x, None, None, out)
    return dx + rest if out is None else np.add(dx, rest, out=out)


def array(function, x):
    """X as it is if it has a shape, else as an array."""
    return x if hasattr(x, "__array_ufunc__") and hasattr(x, "shape") else as_array(function, x)


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


def _noise(function, x, noise, bias):
    """Given noise, with the bias added."""
    return _shift(function, x, _like(function, "noise", x, noise), bias)


def _slopes(function, x, slope):
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


def _mean_slope(lower, upper):
    # what nearly all calls give needs no 100 ns of checks
    if not (type(lower) is float and type(upper) is float and -inf < lower <= upper < inf):
        lower = FINITE.checked("rrelu", "lower", lower)
        upper = FINITE.checked("rrelu", "upper", upper)
        if lower > upper:
            raise ValueError(f"rrelu: lower must not be above upper, got {lower!r} and {upper!r}")
    return lower / 2 + upper / 2


def _channels(function, x, weight, axis):
    """A weight in a shape that broadcasts to x."""
    weight = as_array(function, weight)
    if weight.ndim > 1:
        raise ValueError(f"{function}: weight must be one number or 1-D, got shape {weight.shape}")
    if weight.size == 1:
        return weight.reshape((1,) * len(x.shape))
    axis = normalize_axis(function, x, axis)
    if weight.size != x.shape[axis]:
        raise ValueError(f"{function}: weight must be one number or have {x.shape[axis]} entries, "
                         f"one for each of axis {axis} of x, got shape {weight.shape}")
    return weight.reshape([-1 if i == axis else 1 for i in range(len(x.shape))])


def divisible(function, x):
    """An array of a type that can be cut into halves: Dask and masked arrays can.

    xarray would align the halves by their labels, pandas by their names.
    """
    if not (hasattr(x, "dask") or isinstance(x, np.ma.MaskedArray)):
        x = as_array(function, x)
    result_dtype(function, x.dtype)
    return x


def halves(x, axis):
    """Views of the two halves of an array along an axis."""
    n = x.shape[axis] // 2
    before = (slice(None),) * axis
    return x[(*before, slice(None, n))], x[(*before, slice(n, None))]


def twice(shape, axis):
    """The shape of two such arrays concatenated along an axis."""
    return (*shape[:axis], 2 * shape[axis], *shape[axis + 1:])


def concatenated(parts, axis):
    """Two halves as one array of their type."""
    library = np.ma if isinstance(parts[0], np.ma.MaskedArray) else np
    return library.concatenate(parts, axis)


def overlap(a, b):
    """Whether two arrays share memory; interleaved ones do not, if that is found out soon."""
    return np.may_share_memory(a, b, max_work=1000)
