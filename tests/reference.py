"""True values of every function, computed without cyact.

Two kinds: formulas in mpmath (`MP` bits, a number at a time), and the same mathematics in
NumPy one float type wider than what is tested (float64 for float32, longdouble for float64),
for many points at once. The tests compare the two with each other, and the derivatives with
mpmath's numerical ones, before they are believed.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from math import inf

import numpy as np
from mpmath import mp, mpf

try:
    from scipy import special
except ImportError:
    special = None

MP = 160
ZERO, HALF, ONE = mpf(0), mpf(1) / 2, mpf(1)
QUICK = mpf(1.702)                 # gelu's sigmoid form has this float64
MEAN_SLOPE = (mpf(1 / 8) + mpf(1 / 3)) / 2


def precisely(function):
    """The function at a precision of MP bits, without leaving mpmath's global one changed."""
    def run(*args):
        with mp.workprec(MP):
            return function(*map(mpf, args))
    return run


def true_values(function, x, numbers):
    """The same of each number of an array."""
    with mp.workprec(MP):
        numbers = [mpf(v) for v in numbers]
        return [function(mpf(v), *numbers) for v in np.asarray(x, np.float64).tolist()]


# mpmath building blocks, without cancellation

def _sigmoid(z):
    if z >= 0:
        return 1 / (1 + mp.exp(-z))
    e = mp.exp(z)
    return e / (1 + e)


def _normal_cdf(x):
    if abs(x) > 1000:              # far beyond the smallest float64; mpmath would take its time
        return ZERO if x < 0 else ONE
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _normal_pdf(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _log_normal_cdf(x):
    if abs(x) > 1000:
        return ZERO if x > 0 else mp.log(_mills(-x)) - x * x / 2
    return mp.log1p(-_normal_cdf(-x)) if x > 0 else mp.log(_normal_cdf(x))


def _log_normal_cdf_derivative(x):
    if abs(x) > 1000:
        return ZERO if x > 0 else 1 / (_mills(-x) * mp.sqrt(2 * mp.pi))
    return _normal_pdf(x) / _normal_cdf(x)


def _mills(a):
    """e^(a^2/2) Phi(-a) for a > 1000, by its asymptotic series: an error of a^-50."""
    total = mp.fsum((-1)**k * mp.fac2(2 * k - 1) / a**(2 * k) for k in range(25))
    return total / (a * mp.sqrt(2 * mp.pi))


def _erfc(x):
    if abs(x) > 1000:
        return ZERO if x > 0 else mpf(2)
    return mp.erfc(x)


def _bell(x):
    """2/sqrt(pi) e^(-x^2)."""
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def _gelu_tanh_exponent(x):
    """2u, where the function is x * sigmoid(2u)."""
    return 2 * mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)


def _gelu_tanh_slope(x):
    return 2 * mp.sqrt(2 / mp.pi) * (1 + 3 * mpf("0.044715") * x**2)


def _tanh_derivative(x):
    e = mp.exp(-2 * abs(x))
    return 4 * e / (1 + e) ** 2


def _gelu_tanh_derivative(x):
    if abs(x) > 1000:
        return ZERO if x < 0 else ONE
    z = _gelu_tanh_exponent(x)
    s = _sigmoid(z)
    return s * (1 + x * _gelu_tanh_slope(x) * _sigmoid(-z))


def _gelu_tanh(x):
    if abs(x) > 1000:
        return ZERO if x < 0 else x
    return x * _sigmoid(_gelu_tanh_exponent(x))


def _tanh_shrink(x):
    if abs(x) < mpf(2) ** -30:
        z = x * x
        return x * z * (ONE / 3 - z * (mpf(2) / 15 - z * (mpf(17) / 315 - z * mpf(62) / 2835)))
    with mp.workprec(mp.prec + 128):
        return x - mp.tanh(x)


def _sech(x):
    e = mp.exp(-abs(x))
    return 2 * e / (1 + e * e)


def _log1p(x):
    return mp.log1p(x) if x > -1 else -mp.inf if x == -1 else mp.nan


def _log1mexp(x):
    if x <= 0:
        return -mp.inf if x == 0 else mp.nan
    return mp.log(-mp.expm1(-x)) if x < 1 else mp.log1p(-mp.exp(-x))


def _log1mexp_derivative(x):
    if x <= 0:
        return mp.inf if x == 0 else mp.nan
    return mp.exp(-x) / -mp.expm1(-x)


def _logit(x, eps=None):
    if eps is not None and x < eps:
        return _logit(eps)
    if eps is not None and 1 - x < eps:
        return -_logit(eps)
    if 0 < x < 1:
        return mp.log(x / (1 - x))
    return -mp.inf if x == 0 else mp.inf if x == 1 else mp.nan


def _logit_derivative(x, eps=None):
    if eps is not None and min(x, 1 - x) < eps:
        return ZERO
    if 0 < x < 1:
        return 1 / (x * (1 - x))
    return mp.inf if x in (0, 1) else mp.nan


def _selu_constants():
    """(scale, scale * alpha), from which the fixed point of mean 0 and variance 1 follows."""
    q, e = mp.erfc(1 / mp.sqrt(2)), mp.e
    alpha = -mp.sqrt(2 / mp.pi) / (q * mp.sqrt(e) - 1)
    scale = (1 - q * mp.sqrt(e)) * mp.sqrt(2 * mp.pi) / mp.sqrt(
        2 * mp.erfc(mp.sqrt(2)) * e**2 + mp.pi * q**2 * e - 2 * (2 + mp.pi) * q * mp.sqrt(e)
        + mp.pi + 2)
    return scale, scale * alpha


def _selu(x):
    scale, product = _selu_constants()
    return scale * x if x > 0 else product * mp.expm1(x)


def _selu_derivative(x):
    scale, product = _selu_constants()
    return scale if x > 0 else product * mp.exp(x)


def _selu_from_output(y):
    scale, product = _selu_constants()
    return scale if y > 0 else y + product


def _generalized_logistic(x, lower, upper, growth, midpoint, nu):
    q = _logistic_log(x, growth, midpoint, nu)
    if q > -HALF:
        return upper + (upper - lower) * mp.expm1(q)
    return lower + (upper - lower) * mp.exp(q)


def _logistic_log(x, growth, midpoint, nu):
    z = growth * (x - midpoint)
    return -(max(-z, ZERO) + mp.log1p(mp.exp(-abs(z)))) / nu


def _generalized_logistic_derivative(x, lower, upper, growth, midpoint, nu):
    power = mp.exp(_logistic_log(x, growth, midpoint, nu))
    return (upper - lower) * growth / nu * power * _sigmoid(-growth * (x - midpoint))


def _mish(x):
    if abs(x) > 10_000:            # far beyond the smallest float64
        return ZERO if x < 0 else x
    return x * mp.tanh(mp.log1p(mp.exp(x)))


def _mish_derivative(x):
    if abs(x) > 10_000:
        return ZERO if x < 0 else ONE
    z = mp.log1p(mp.exp(x))
    return mp.tanh(z) + x * mp.sech(z) ** 2 * _sigmoid(x)


def _clip_points(alpha, beta):
    """Where alpha * x + beta reaches 0 and 1, the smaller first, rounded to float64."""
    alpha, beta = Fraction(float(alpha)), Fraction(float(beta))
    return sorted(_rounded(end - beta, alpha) for end in (0, 1)) if alpha else (inf, inf)


def _rounded(a, b):
    try:
        return float(a / b)
    except OverflowError:
        return inf if (a > 0) == (b > 0) else -inf


def _hard_sigmoid_derivative(x, alpha, beta):
    low, high = _clip_points(alpha, beta)
    return alpha if low < x < high else ZERO


def _hard_swish_derivative(x):
    return ZERO if x <= -3 else ONE if x >= 3 else (2 * x + 3) / 6


def _squareplus(x, b):
    if b == 0:
        return max(x, ZERO)
    r = mp.sqrt(x * x + b)
    return b / (2 * (r - x)) if x < 0 else (x + r) / 2


def _squareplus_derivative(x, b):
    if b == 0:
        return ZERO if x < 0 else HALF if x == 0 else ONE
    r = mp.sqrt(x * x + b)
    return b / (2 * r * (r - x)) if x < 0 else (1 + x / r) / 2


def _isru(x, alpha):
    return x / mp.sqrt(1 + alpha * x * x)


def _isru_derivative(x, alpha):
    return (1 + alpha * x * x) ** mpf(-1.5)


def _dish_derivative(x):
    r = mp.sqrt(1 + x * x)
    if x < 0:
        return (1 + x * r) / (2 * r**3 * (r - x))
    return (1 + x / r) / 2 + x / (2 * r**3)


# The same in NumPy, in the type of x

def _wide_sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def _each(name, x):
    """SciPy's erf or erfc, or Python's of each element: to about 1e-15 in float64."""
    if special is not None:
        return getattr(special, name)(x.astype(np.float64)).astype(x.dtype)
    function = getattr(math, name)
    return np.fromiter(map(function, np.ravel(x)), x.dtype, x.size).reshape(x.shape)


def _wide_normal_cdf(x):
    return _each("erfc", -x / np.sqrt(x.dtype.type(2))) / 2


def _wide_normal_pdf(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _choose(condition, x, f, g):
    """f(x) where the condition holds, else g(x): both only where some of both are needed."""
    if condition.all():
        return f(x)
    return np.where(condition, f(x), g(x)) if condition.any() else g(x)


def _wide_mills(a):
    """e^(a^2/2) Phi(-a) for a > 16, by its asymptotic series."""
    z, total = 1 / (a * a), np.ones_like(a)
    for k in range(19, 0, -1):
        total = 1 - (2 * k - 1) * z * total
    return total / (a * np.sqrt(2 * np.pi))


def _wide_log_normal_cdf(x):
    return _choose(x < -16, x,
                   lambda x: np.log(_wide_mills(np.maximum(-x, 16))) - x * x / 2,
                   lambda x: _choose(x > 0, x, lambda x: np.log1p(-_wide_normal_cdf(-x)),
                                     lambda x: np.log(_wide_normal_cdf(x))))


def _wide_log_normal_cdf_derivative(x):
    return _choose(x < -16, x,
                   lambda x: 1 / (_wide_mills(np.maximum(-x, 16)) * np.sqrt(2 * np.pi)),
                   lambda x: _wide_normal_pdf(x) / _wide_normal_cdf(x))


def _wide_bell(x):
    return 2 / np.sqrt(np.pi) * np.exp(-x * x)


def _wide_gelu_tanh_exponent(x):
    x = np.clip(x, -1000, 1000)
    return 2 * np.sqrt(2 / x.dtype.type(np.pi)) * (x + 0.044715 * (x * x * x))


def _wide_gelu_tanh_derivative(x):
    z = _wide_gelu_tanh_exponent(x)
    x = np.clip(x, -1000, 1000)
    slope = 2 * np.sqrt(2 / x.dtype.type(np.pi)) * (1 + 3 * 0.044715 * (x * x))
    return _wide_sigmoid(z) * (1 + x * slope * _wide_sigmoid(-z))


def _wide_gelu_derivative(x):
    x = np.clip(x, -1000, 1000)
    return _wide_normal_cdf(x) + x * _wide_normal_pdf(x)


def _wide_softplus(x, beta):
    z = x * x.dtype.type(beta)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(z))) / x.dtype.type(beta)


def _wide_silu_derivative(x, beta):
    z = np.clip(x * x.dtype.type(beta), -10_000, 10_000)
    return _wide_sigmoid(z) * (1 + z * _wide_sigmoid(-z))


SELU_SCALE = "1.0507009873554804934193349852946"
SELU_PRODUCT = "1.7580993408473768599402175208123"


def _wide_selu(x):
    return np.where(x > 0, x.dtype.type(SELU_SCALE) * x,
                    x.dtype.type(SELU_PRODUCT) * np.expm1(np.minimum(x, 0)))


def _wide_selu_derivative(x):
    return np.where(x > 0, x.dtype.type(SELU_SCALE),
                    x.dtype.type(SELU_PRODUCT) * np.exp(np.minimum(x, 0)))


def _wide_celu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(x / x.dtype.type(alpha)))


def _wide_celu_derivative(x, alpha):
    return np.where(x > 0, x.dtype.type(1), np.exp(x / x.dtype.type(alpha)))


def _wide_logistic_log(x, growth, midpoint, nu):
    z = growth * (x - midpoint)
    return -(np.maximum(-z, 0) + np.log1p(np.exp(-np.abs(z)))) / nu


def _wide_generalized_logistic(x, lower, upper, growth, midpoint, nu):
    q = _wide_logistic_log(x, growth, midpoint, nu)
    return np.where(q > -0.5, upper + (upper - lower) * np.expm1(q),
                    lower + (upper - lower) * np.exp(q))


def _wide_generalized_logistic_derivative(x, lower, upper, growth, midpoint, nu):
    power = np.exp(_wide_logistic_log(x, growth, midpoint, nu))
    return (upper - lower) * growth / nu * power * _wide_sigmoid(-growth * (x - midpoint))


def _where_generalized_logistic_crosses_0(lower, upper, growth, midpoint, nu):
    if not lower < 0 < upper or growth == 0:
        return (midpoint,)
    with mp.workprec(MP):
        z = -mp.log(mp.expm1(nu * mp.log1p(mpf(upper) / -mpf(lower))))
        return (midpoint, float(midpoint + z / growth))


def _generalized_logistic_scale(lower, upper, growth, midpoint, nu):
    return 0.0 if lower >= 0 or upper <= 0 or (nu == 1 and lower == -upper) else upper - lower


def _wide_mish(x):
    x = np.maximum(x, -10_000)
    e = np.exp(-np.abs(x))
    small = e * (2 + e)
    return x * np.where(x < 0, small / (small + 2), (1 + 2 * e) / (1 + 2 * e * (1 + e)))


def _wide_mish_derivative(x):
    x = np.clip(x, -10_000, 10_000)
    e = np.exp(-np.abs(x))
    left, right = 2 + e * (2 + e), 1 + 2 * e * (1 + e)
    return np.where(x < 0, e * ((2 + e) * left + 4 * x * (1 + e)) / left**2,
                    ((1 + 2 * e) * right + 4 * x * e * e * (1 + e)) / right**2)


def _wide_tanh_derivative(x):
    e = np.exp(-2 * np.abs(x))
    return 4 * e / (1 + e) ** 2


# Taylor's coefficients of tanh: of x^3, x^5, …
with mp.workprec(MP):
    _TANH = [mpf(4) ** k * (mpf(4) ** k - 1) * mp.bernoulli(2 * k) / mp.factorial(2 * k)
             for k in range(2, 62)]


def _wide_tanh_shrink(x):
    # Taylor's series while it gains 1.3 bits a term; 3.3 where a few bits may cancel
    end, terms = (0.5, 16) if x.dtype == np.float64 else (1, 60)

    def series(x):
        z = np.minimum(x * x, end)
        total = np.zeros_like(x)
        for c in reversed(_TANH[:terms]):
            high = x.dtype.type(float(c))
            total = total * z - (high + x.dtype.type(float(c - mpf(float(c)))))
        return x * (z * total)

    return _choose(np.abs(x) < end, x, series, lambda x: x - np.tanh(x))


def _wide_sech(x):
    e = np.exp(-np.abs(x))
    return 2 * e / (1 + e * e)


def _wide_log1p(x):
    return np.where(x >= -1, np.log1p(x), np.nan)


def _wide_log1p_derivative(x):
    return np.where(x >= -1, 1 / (1 + x), np.nan)


def _wide_log1mexp(x):
    y = np.where(x < 0.7, np.log(-np.expm1(-x)), np.log1p(-np.exp(-x)))
    return np.where(x >= 0, y, np.nan)


def _wide_log1mexp_derivative(x):
    return np.where(x >= 0, 1 / np.expm1(np.abs(x)), np.nan)


def _wide_logit(x, eps=None):
    if eps is not None:
        eps = x.dtype.type(eps)
        end = _wide_logit(np.array([eps], x.dtype))
        return np.where(x < eps, end, np.where(1 - x < eps, -end, _wide_logit(x)))
    y = np.where(x > 0.25, np.log1p((2 * x - 1) / (1 - x)), np.log(x) - np.log1p(-x))
    y = np.where(x == 0, -np.inf, np.where(x == 1, np.inf, y))
    return np.where((x < 0) | (x > 1), np.nan, y)


def _wide_logit_derivative(x, eps=None):
    outside = np.minimum(x, 1 - x) < (0 if eps is None else x.dtype.type(eps))
    return np.where(outside, np.nan if eps is None else 0, 1 / np.abs(x * (1 - x)))


def _wide_hard_sigmoid(x, alpha, beta):
    """alpha in two parts, so that for float32 x the products are exact, and so is their sum."""
    high = float(np.float32(alpha))
    product = high * x
    total = beta + product
    part = total - product
    rest = (beta - part) + (product - (total - part))
    return np.clip(total + (rest + (alpha - high) * x), 0, 1)


def _wide_hard_sigmoid_derivative(x, alpha, beta):
    low, high = _clip_points(alpha, beta)
    return np.where((low < x) & (x < high), x.dtype.type(alpha), 0)


def _between(low, high):
    """A function's derivative that is 1 between two points and 0 elsewhere."""
    return lambda x: ((low < x) & (x < high)).astype(x.dtype)


# Where parameters make x^2 overflow or vanish, square roots are taken in longdouble.

def _roomy(x, parameter):
    return x if 1e-100 < parameter < 1e100 else x.astype(np.longdouble)


def _wide_squareplus(x, b):
    x = _roomy(x, b)
    r = np.sqrt(x * x + b)
    return np.where(x < 0, b / (2 * (r - x)), (x + r) / 2)


def _wide_squareplus_derivative(x, b):
    x = _roomy(x, b)
    r = np.sqrt(x * x + b)
    return np.where(r == 0, 0.5, np.where(x < 0, b / (2 * r * (r - x)), (1 + x / r) / 2))


def _wide_isru(x, alpha):
    x = _roomy(x, alpha)
    return x / np.sqrt(1 + alpha * x * x)


def _wide_isru_derivative(x, alpha):
    v = 1 + alpha * _roomy(x, alpha) ** 2
    return 1 / (v * np.sqrt(v))


def _wide_dish(x):
    r = np.sqrt(1 + x * x)
    return np.where(x < 0, x / (2 * r * (r - x)), x / 2 * (1 + x / r))


def _wide_dish_derivative(x):
    r = np.sqrt(1 + x * x)
    return np.where(x < 0, (1 + x * r) / (2 * r**3 * (r - x)), (1 + x / r + x / r**3) / 2)


@dataclass(frozen=True)
class Reference:
    """A function's mpmath and NumPy formulas, and where to look closely.

    `wide` and `wide_derivative` are good enough for float64, too, where `in_longdouble` says so
    (no error function there, and a rounded product in an exponent costs too much).
    """

    value: object
    derivative: object
    wide: object
    wide_derivative: object
    from_output: object = None
    output_range: tuple = (-np.inf, np.inf)   # a function of the parameters, or a pair
    domain: tuple = (-np.inf, np.inf)         # NaN outside; a function of the parameters too
    points: tuple = ()                        # kinks and zeros; a function of the parameters too
    interior_zero: bool = False               # of the derivative: its bound is absolute there
    in_longdouble: object = lambda *params: True
    in_double: object = lambda *params: True  # the same for float32
    # Where the formula is a sum that crosses 0 between representable numbers, the size of its
    # terms: results much smaller have an absolute error.
    terms: object = lambda *params: 0.0

    def interesting(self, *params):
        """Kinks and zeros for these parameters."""
        return self.points(*params) if callable(self.points) else self.points

    def defined(self, x, *params):
        """Where f(x) is a number, if x is."""
        low, high = self.domain(*params) if callable(self.domain) else self.domain
        return (x >= low) & (x <= high)

    def outputs(self, *params):
        """The smallest and largest value of the function for these parameters."""
        return self.output_range(*params) if callable(self.output_range) else self.output_range


def _only_unit(beta):
    return beta == 1


REFERENCES = {
    ("identity",): Reference(
        lambda x: x, lambda x: ONE, lambda x: x, np.ones_like),
    ("step",): Reference(
        lambda x, threshold: ONE if x >= threshold else ZERO, lambda x, threshold: ZERO,
        lambda x, threshold: (x >= threshold).astype(x.dtype),
        lambda x, threshold: np.zeros_like(x), points=lambda threshold: (threshold,)),
    ("relu",): Reference(
        lambda x: max(x, ZERO), lambda x: ONE if x > 0 else ZERO,
        lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype),
        from_output=lambda y: ONE if y > 0 else ZERO, output_range=(0, np.inf)),
    ("relu6",): Reference(
        lambda x: min(max(x, ZERO), mpf(6)), lambda x: ONE if 0 < x < 6 else ZERO,
        lambda x: np.clip(x, 0, 6), _between(0, 6), points=(6,)),
    ("relu_k",): Reference(
        lambda x, n: min(max(x, ZERO), n), lambda x, n: ONE if 0 < x < n else ZERO,
        lambda x, n: np.clip(x, 0, x.dtype.type(n)), lambda x, n: _between(0, n)(x),
        points=lambda n: (n,)),
    ("squared_relu",): Reference(
        lambda x: max(x, ZERO) ** 2, lambda x: 2 * max(x, ZERO),
        lambda x: np.maximum(x, 0) ** 2, lambda x: 2 * np.maximum(x, 0)),
    ("leaky_relu",): Reference(
        lambda x, slope: x if x >= 0 else slope * x,
        lambda x, slope: ONE if x > 0 else slope,
        lambda x, slope: np.where(x >= 0, x, slope * x),
        lambda x, slope: np.where(x > 0, x.dtype.type(1), x.dtype.type(slope)),
        from_output=lambda y, slope: ONE if y > 0 else slope),
    ("threshold",): Reference(
        lambda x, threshold, value: x if x > threshold else value,
        lambda x, threshold, value: ONE if x > threshold else ZERO,
        lambda x, threshold, value: np.where(x > threshold, x, x.dtype.type(value)),
        lambda x, threshold, value: (x > threshold).astype(x.dtype),
        points=lambda threshold, value: (threshold,)),
    ("thresholded_relu",): Reference(
        lambda x, theta: x if x > theta else ZERO, lambda x, theta: ONE if x > theta else ZERO,
        lambda x, theta: np.where(x > theta, x, 0),
        lambda x, theta: (x > theta).astype(x.dtype), points=lambda theta: (theta,)),
    ("elu",): Reference(
        lambda x, alpha: x if x > 0 else alpha * mp.expm1(x),
        lambda x, alpha: ONE if x > 0 else alpha * mp.exp(x),
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x, alpha: np.where(x > 0, x.dtype.type(1), alpha * np.exp(np.minimum(x, 0))),
        from_output=lambda y, alpha: ONE if y > 0 else y + alpha,
        output_range=lambda alpha: (-alpha, np.inf)),
    ("celu",): Reference(
        lambda x, alpha: x if x > 0 else alpha * mp.expm1(x / alpha),
        lambda x, alpha: ONE if x > 0 else mp.exp(x / alpha),
        _wide_celu, _wide_celu_derivative,
        from_output=lambda y, alpha: ONE if y > 0 else (y + alpha) / alpha,
        output_range=lambda alpha: (-alpha, np.inf), in_longdouble=_only_unit),
    ("selu",): Reference(
        _selu, _selu_derivative, _wide_selu, _wide_selu_derivative,
        from_output=_selu_from_output, output_range=(-float(SELU_PRODUCT), np.inf)),
    ("sigmoid",): Reference(
        _sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x),
        _wide_sigmoid, lambda x: _wide_sigmoid(x) * _wide_sigmoid(-x),
        from_output=lambda y: y * (1 - y), output_range=(0, 1)),
    ("generalized_logistic",): Reference(
        _generalized_logistic, _generalized_logistic_derivative,
        _wide_generalized_logistic, _wide_generalized_logistic_derivative,
        points=_where_generalized_logistic_crosses_0, in_longdouble=lambda *params: False,
        in_double=lambda lower, upper, *params: not lower < 0 < upper,
        terms=_generalized_logistic_scale),
    ("log_sigmoid",): Reference(
        lambda x: min(x, ZERO) - mp.log1p(mp.exp(-abs(x))), lambda x: _sigmoid(-x),
        lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))), lambda x: _wide_sigmoid(-x),
        from_output=lambda y: -mp.expm1(y), output_range=(-np.inf, 0)),
    ("hard_sigmoid",): Reference(
        lambda x, alpha, beta: min(max(alpha * x + beta, ZERO), ONE), _hard_sigmoid_derivative,
        _wide_hard_sigmoid, _wide_hard_sigmoid_derivative, points=_clip_points,
        in_longdouble=lambda alpha, beta: False),
    ("hard_swish",): Reference(
        lambda x: x * min(max(x + 3, ZERO), mpf(6)) / 6, _hard_swish_derivative,
        lambda x: np.where(x >= 3, x, np.where(x <= -3, 0, x * (x + 3) / 6)),
        lambda x: np.where(x >= 3, 1, np.where(x <= -3, 0, (2 * x + 3) / 6)),
        points=(-3, -1.5, 3), interior_zero=True),
    ("tanh",): Reference(
        mp.tanh, _tanh_derivative, np.tanh, _wide_tanh_derivative,
        from_output=lambda y: (1 - y) * (1 + y), output_range=(-1, 1)),
    ("hard_tanh",): Reference(
        lambda x, low, high: min(max(x, low), high),
        lambda x, low, high: ONE if low < x < high else ZERO,
        lambda x, low, high: np.clip(x, x.dtype.type(low), x.dtype.type(high)),
        lambda x, low, high: _between(low, high)(x), points=lambda low, high: (low, high)),
    ("softplus",): Reference(
        lambda x, beta: max(x, ZERO) + mp.log1p(mp.exp(-abs(beta * x))) / beta,
        lambda x, beta: _sigmoid(beta * x),
        _wide_softplus, lambda x, beta: _wide_sigmoid(x * x.dtype.type(beta)),
        from_output=lambda y, beta: -mp.expm1(-beta * y), output_range=(0, np.inf),
        in_longdouble=_only_unit),
    ("softsign",): Reference(
        lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2,
        lambda x: x / (1 + np.abs(x)), lambda x: (1 / (1 + np.abs(x))) ** 2),
    ("squareplus",): Reference(
        _squareplus, _squareplus_derivative, _wide_squareplus, _wide_squareplus_derivative),
    ("algebraic_sigmoid",): Reference(_isru, _isru_derivative, _wide_isru, _wide_isru_derivative),
    ("isrlu",): Reference(
        lambda x, alpha: x if x >= 0 else _isru(x, alpha),
        lambda x, alpha: ONE if x >= 0 else _isru_derivative(x, alpha),
        lambda x, alpha: np.where(x >= 0, x, _wide_isru(x, alpha)),
        lambda x, alpha: np.where(x >= 0, 1, _wide_isru_derivative(x, alpha))),
    ("silu",): Reference(
        lambda x, beta: x * _sigmoid(beta * x),
        lambda x, beta: _sigmoid(beta * x) * (1 + beta * x * _sigmoid(-beta * x)),
        lambda x, beta: x * _wide_sigmoid(x * x.dtype.type(beta)), _wide_silu_derivative,
        points=lambda beta: (-1.2784645427610738 / beta,) if beta else (),
        interior_zero=True, in_longdouble=_only_unit),
    ("mish",): Reference(
        _mish, _mish_derivative, _wide_mish, _wide_mish_derivative,
        points=(-1.1924312145154952,), interior_zero=True),
    ("gelu", "none"): Reference(
        lambda x: x * _normal_cdf(x), lambda x: _normal_cdf(x) + x * _normal_pdf(x),
        lambda x: x * _wide_normal_cdf(x), _wide_gelu_derivative,
        points=(-0.7517915246935645,), interior_zero=True, in_longdouble=lambda: False),
    ("gelu", "tanh"): Reference(
        _gelu_tanh, _gelu_tanh_derivative,
        lambda x: x * _wide_sigmoid(_wide_gelu_tanh_exponent(x)), _wide_gelu_tanh_derivative,
        points=(-0.7524614220710162,), interior_zero=True, in_longdouble=lambda: False),
    ("erf",): Reference(
        mp.erf, _bell, lambda x: _each("erf", x), _wide_bell,
        points=(-0.875, 0.875, 3.93, 5.9), in_longdouble=lambda: False),
    ("erfc",): Reference(
        _erfc, lambda x: -_bell(x), lambda x: _each("erfc", x), lambda x: -_wide_bell(x),
        in_longdouble=lambda: False),
    ("ndtr",): Reference(
        _normal_cdf, _normal_pdf, _wide_normal_cdf, _wide_normal_pdf,
        in_longdouble=lambda: False),
    ("log_ndtr",): Reference(
        _log_normal_cdf, _log_normal_cdf_derivative, _wide_log_normal_cdf,
        _wide_log_normal_cdf_derivative, points=(0.5448, 8.2), in_longdouble=lambda: False),
    ("logit",): Reference(
        _logit, _logit_derivative, _wide_logit, _wide_logit_derivative,
        domain=lambda eps=None: (0, 1) if eps is None else (-np.inf, np.inf),
        points=lambda eps=None: (0.5, 1.0) if eps is None else (0.5, 1.0, eps, 1 - eps)),
    ("arctan",): Reference(
        mp.atan, lambda x: 1 / (1 + x * x), np.arctan, lambda x: 1 / (1 + x * x),
        points=(0.5, 0.75, 1.75, 2.0)),
    ("gudermannian",): Reference(
        lambda x: 2 * mp.atan(mp.tanh(x / 2)), _sech,
        lambda x: 2 * np.arctan(np.tanh(x / 2)), _wide_sech, points=(0.88, 20.0)),
    ("log1p",): Reference(
        _log1p, lambda x: 1 / (1 + x) if x > -1 else mp.inf if x == -1 else mp.nan,
        _wide_log1p, _wide_log1p_derivative, domain=(-1, np.inf), points=(-0.25, 0.5)),
    ("log1mexp",): Reference(
        _log1mexp, _log1mexp_derivative, _wide_log1mexp, _wide_log1mexp_derivative,
        domain=(0, np.inf), points=(np.log(2), np.log(4), 40.0)),
    ("tanh_shrink",): Reference(
        _tanh_shrink, lambda x: mp.tanh(x) ** 2, _wide_tanh_shrink, lambda x: np.tanh(x) ** 2,
        points=(0.75, 9.02)),
    ("gelu", "sigmoid"): Reference(
        lambda x: x * _sigmoid(QUICK * x),
        lambda x: _sigmoid(QUICK * x) * (1 + QUICK * x * _sigmoid(-QUICK * x)),
        lambda x: x * _wide_sigmoid(x * x.dtype.type(QUICK)),
        lambda x: _wide_silu_derivative(x, float(QUICK)),
        points=(-0.7511542554412890,), interior_zero=True, in_longdouble=lambda: False),
    ("exp",): Reference(
        mp.exp, mp.exp, np.exp, np.exp, from_output=lambda y: y, output_range=(0, np.inf)),
    ("expm1",): Reference(
        mp.expm1, mp.exp, np.expm1, np.exp,
        from_output=lambda y: y + 1, output_range=(-1, np.inf)),
    ("gaussian",): Reference(
        lambda x: mp.exp(-x * x), lambda x: -2 * x * mp.exp(-x * x),
        lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x),
        in_longdouble=lambda: False),     # the square is rounded there
    ("bent_identity",): Reference(
        lambda x: x * x / (2 * (mp.sqrt(x * x + 1) + 1)) + x,
        lambda x: 1 + x / (2 * mp.sqrt(x * x + 1)),
        lambda x: x * x / (2 * (np.sqrt(x * x + 1) + 1)) + x,
        lambda x: 1 + x / (2 * np.sqrt(x * x + 1))),
    ("hard_shrink",): Reference(
        lambda x, lambd: x if abs(x) > lambd else ZERO,
        lambda x, lambd: ONE if abs(x) > lambd else ZERO,
        lambda x, lambd: np.where(np.abs(x) > lambd, x, 0),
        lambda x, lambd: (np.abs(x) > lambd).astype(x.dtype), points=lambda lambd: (lambd, -lambd)),
    ("soft_shrink",): Reference(
        lambda x, lambd: mp.sign(x) * max(abs(x) - lambd, ZERO),
        lambda x, lambd: ONE if abs(x) > lambd else ZERO,
        lambda x, lambd: np.sign(x) * np.maximum(np.abs(x) - x.dtype.type(lambd), 0),
        lambda x, lambd: (np.abs(x) > lambd).astype(x.dtype), points=lambda lambd: (lambd, -lambd)),
    ("sparse_plus",): Reference(
        lambda x: ZERO if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4,
        lambda x: min(max((x + 1) / 2, ZERO), ONE),
        lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
        lambda x: np.clip((x + 1) / 2, 0, 1)),
    ("sparse_sigmoid",): Reference(
        lambda x: min(max((x + 1) / 2, ZERO), ONE), lambda x: HALF if -1 < x < 1 else ZERO,
        lambda x: np.clip((x + 1) / 2, 0, 1), lambda x: _between(-1, 1)(x) / 2),
    ("dish",): Reference(
        lambda x: x * _squareplus_derivative(x, ONE), _dish_derivative,
        _wide_dish, _wide_dish_derivative, points=(-0.7861513777574233,), interior_zero=True),
    # outside training, with the default parameters
    ("rrelu",): Reference(
        lambda x: x if x >= 0 else MEAN_SLOPE * x, lambda x: ONE if x > 0 else MEAN_SLOPE,
        lambda x: np.where(x >= 0, x, x * x.dtype.type(MEAN_SLOPE)),
        lambda x: np.where(x > 0, 1, x.dtype.type(MEAN_SLOPE))),
    ("noisy_relu",): Reference(
        lambda x: max(x, ZERO), lambda x: ONE if x > 0 else ZERO,
        lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype)),
}
REFERENCES[("prelu",)] = REFERENCES[("leaky_relu",)]      # of one weight


# Functions along an axis: one row, in mpmath

def softmax(row, temperature=1.0):
    """exp(x/T) / sum(exp(x/T)) of one row of finite numbers or -inf."""
    with mp.workprec(MP):
        e = _exponentials(row, temperature)
        total = mp.fsum(e)
        return [v / total for v in e]


def log_softmax(row, temperature=1.0):
    """x/T - log(sum(exp(x/T))); the largest entry is kept out of the sum."""
    with mp.workprec(MP + 64):
        e = _exponentials(row, temperature)
        largest = int(np.argmax(row))
        log = mp.log1p(mp.fsum(e[:largest] + e[largest + 1:]))
        top = mpf(row[largest])
        return [(mpf(v) - top) / mpf(temperature) - log for v in row]


def entmax(row, alpha):
    """max((alpha - 1) x - tau, 0)^(1 / (alpha - 1)), tau by bisection, then Newton's method."""
    with mp.workprec(MP + 200):
        b = mpf(alpha) - 1
        finite = [mpf(v) for v in row if v != -mp.inf]
        top = max(finite)
        z = [b * (v - top) for v in finite]
        tau = _threshold(z, b)
        return [mpf(0) if v == -mp.inf else max(b * (mpf(v) - top) - tau, mpf(0)) ** (1 / b)
                for v in row]


def _threshold(z, b):
    """The tau < 0 for which max(z - tau, 0)^(1/b) sums to 1; the largest of z is 0."""
    low, high = mpf(-1), -mpf(len(z)) ** -b
    steps = 4 if b <= 1 else MP + 150       # beyond that the slope is infinite at each entry
    for _ in range(steps):
        middle = (low + high) / 2
        total = mp.fsum((v - middle) ** (1 / b) for v in z if v > middle)
        low, high = (middle, high) if total > 1 else (low, middle)
    tau = low if b <= 1 else (low + high) / 2
    while b <= 1:                           # the norm is convex: it is reached from below
        inside = [v - tau for v in z if v > tau]
        norm = mp.fsum(v ** (1 / b) for v in inside) ** b
        slope = mp.fsum(v ** (1 / b - 1) for v in inside) * norm ** (1 - 1 / b)
        step = (norm - 1) / slope
        tau += step
        if step < mpf(2) ** -(MP + 150):
            break
    return tau


def logsumexp(row):
    """(log(sum(exp(x))), the magnitude M that its error is measured against)."""
    with mp.workprec(MP + 64):
        e = _exponentials(row, 1.0)
        largest = int(np.argmax(row))
        log = mp.log1p(mp.fsum(e[:largest] + e[largest + 1:]))
        top = mpf(row[largest])
        return top + log, max(abs(top), log)


def _exponentials(row, temperature):
    top = mpf(max(row))
    return [mp.exp((mpf(v) - top) / mpf(temperature)) for v in map(float, row)]


# The same for whole arrays, in longdouble

def wide_softmax(x, axis=-1, temperature=1.0):
    """softmax in longdouble."""
    e = np.exp(_shifted(x, axis, temperature))
    return e / e.sum(axis, keepdims=True)


def wide_log_softmax(x, axis=-1, temperature=1.0):
    """log_softmax in longdouble, the largest entry apart."""
    z = _shifted(x, axis, temperature)
    return z - np.log1p(_others(z, axis))


def wide_logsumexp(x, axis=-1):
    """logsumexp in longdouble, the largest entry apart."""
    z = _shifted(x, axis, 1.0)
    top = np.asarray(x, np.longdouble).max(axis, keepdims=True)
    return (top + np.log1p(_others(z, axis))).squeeze(axis)


def wide_cross_entropy_gradient(x, target, axis=-1):
    """Gradient of the mean loss by classes; that of the target's entry is minus all others'."""
    at, p = np.expand_dims(target, axis), wide_softmax(x, axis)
    np.put_along_axis(p, at, 0, axis)
    np.put_along_axis(p, at, -p.sum(axis, keepdims=True), axis)
    return p / target.size


def _shifted(x, axis, temperature):
    x = np.asarray(x, np.longdouble)
    return (x - x.max(axis, keepdims=True)) / np.longdouble(temperature)


def _others(z, axis):
    """Sum of the exponentials without that of the (first) largest entry."""
    e = np.exp(z)
    np.put_along_axis(e, np.expand_dims(z.argmax(axis), axis), 0, axis)
    return e.sum(axis, keepdims=True)


# Errors in units in the last place, and their bounds: those documented. Where a derivative has
# a zero inside its range, units are those of max(|f'|, INTERIOR_ZERO); where a sum crosses 0
# between two numbers, those of CROSSING times the terms, at least.

BOUND = {np.float32: 1.0, np.float64: 2.0}
INTERIOR_ZERO = {np.float32: 2.0**-10, np.float64: 2.0**-2}
CROSSING = {np.float32: 2.0**-40, np.float64: 2.0**-14}
WIDER = {np.float32: np.float64, np.float64: np.longdouble}


def least(case, what, dtype):
    """Where true values are smaller than this, errors are measured in its units."""
    if what == "value":
        return CROSSING[dtype] * case.reference.terms(*case.numbers)
    return INTERIOR_ZERO[dtype] if case.reference.interior_zero else 0.0


def in_wider(function, x, numbers):
    """A NumPy formula in the type that is one wider than x's."""
    with np.errstate(all="ignore"):
        return function(x.astype(WIDER[x.dtype.type]), *numbers)


def ulps(y, true, floor=0.0, dtype=None):
    """|y - true| in units in the last place of max(|true|, floor) in y's dtype, or in `dtype`.

    Subnormal results are measured in the smallest subnormal. An infinite y stands for the
    power of two above the largest number, and a finite one is infinitely wrong where the true
    value lies beyond that. NaN is right where both are NaN, and nowhere else.
    """
    y, true = np.asarray(y), np.asarray(true)
    digits, lowest, highest = FORMATS[np.dtype(dtype or y.dtype).name]
    kind = true.dtype.type
    limit, least = np.ldexp(kind(1), highest), max(floor, 2.0**lowest)
    wide = y.astype(kind)
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(true), least)
        error = np.abs(wide - true) / _unit(size, digits)
        ordinary = size.max(initial=0) < limit and error.max(initial=0) < np.inf
        if not ordinary:                 # something is infinite or NaN
            error = np.abs(np.clip(wide, -limit, limit) - np.clip(true, -limit, limit))
            error /= _unit(np.minimum(size, limit), digits)
            error = np.where((np.abs(true) >= limit) & np.isfinite(wide), np.inf, error)
            error = np.where(np.isnan(wide) | np.isnan(true),
                             np.where(np.isnan(wide) & np.isnan(true), 0, np.inf), error)
    return error.astype(np.float64, copy=False)


# Digits after the first, smallest normal and power of two above the largest number
FORMATS = {"float16": (10, -14, 16), "bfloat16": (7, -126, 128), "float32": (23, -126, 128),
           "float64": (52, -1022, 1024)}


def _unit(size, digits):
    """The last of so many binary digits after the first, of each positive number."""
    if size.dtype == np.float64 and digits < 52:
        powers = size.view(np.int64) & 0x7FF0000000000000
        return powers.view(np.float64) * 2.0**-digits
    return np.ldexp(size.dtype.type(1), np.frexp(size)[1] - 1 - digits)


def mp_ulps(y, true, floor=0.0, dtype=None):
    """The same against a list of mpmath numbers; y may be wider than the dtype that counts."""
    digits, lowest, highest = FORMATS[np.dtype(dtype or np.asarray(y).dtype).name]
    errors = np.zeros(len(y))
    with mp.workprec(2 * MP):
        limit, least = mp.ldexp(ONE, highest), mp.mag(max(mpf(floor), mp.ldexp(ONE, lowest)))
        for i, (v, t) in enumerate(zip(exactly(y), true, strict=True)):
            if mp.isnan(v) or mp.isnan(t):
                errors[i] = 0 if mp.isnan(v) and mp.isnan(t) else np.inf
            elif abs(t) >= limit:
                errors[i] = 0 if abs(v) >= limit and mp.sign(v) == mp.sign(t) else np.inf
            else:
                v = max(min(v, limit), -limit)
                errors[i] = mp.ldexp(abs(v - t), digits + 1 - max(mp.mag(t), least))
    return errors


def exactly(y):
    """NumPy floats, longdouble too, as mpmath numbers."""
    y = np.asarray(y)
    if y.dtype != np.longdouble:
        return map(mpf, y.astype(np.float64).tolist())
    fractions, exponents = np.frexp(y)
    high = fractions.astype(np.float64)
    low = np.subtract(fractions, high, out=np.zeros_like(y), where=np.isfinite(y))
    return map(longdouble, high.tolist(), low.astype(np.float64).tolist(), exponents.tolist())


def longdouble(high, low, exponent):
    return mp.ldexp(mpf(high) + mpf(low), exponent)
