"""Make every constant of cyact/_level/maths64.pxd and print how good it is.

    python tools/constants64.py

Needs mpmath. Each polynomial is fitted by tools/remez.py, its coefficients are rounded to
float64, and the error printed is that of the rounded polynomial. Fails if a constant is not
in the file as it is here.
"""

import re
import sys
from pathlib import Path

from mpmath import atan, atanh, coth, erf, erfc, exp, log, mp, mpf, pi, sqrt, tanh
from remez64 import largest_error, minimax

mp.prec = 200

LEVEL = Path(__file__).parents[1] / "cyact" / "_level"
SOURCES = [LEVEL / "maths64.pxd", LEVEL / "constants.h", *LEVEL.glob("elementwise/*.pxd")]
made = []


def show(name, x):
    print(f"    {name} = {float(x)!r}")
    made.append(float(x))


def leading(x, bits):
    """x cut to its first `bits` bits: a double whose product with a short integer is exact."""
    scale = mpf(2) ** (bits - 1 - mp.floor(log(abs(x), 2)))
    return mp.floor(x * scale) / scale


def pair(name, x, bits=53):
    """Print x as a double and what is left of it as another."""
    high = leading(x, bits) if bits < 53 else mpf(float(x))
    show(f"{name}_H", high)
    show(f"{name}_L", x - high)


def selu_constants():
    """scale and scale * alpha of selu, from the closed form of its fixed point."""
    q, e = erfc(1 / sqrt(mpf(2))), exp(mpf(1))
    alpha = -sqrt(2 / pi) / (q * sqrt(e) - 1)
    scale = (1 - q * sqrt(e)) * sqrt(2 * pi) / sqrt(
        2 * erfc(sqrt(mpf(2))) * e**2 + pi * q**2 * e - 2 * (2 + pi) * q * sqrt(e) + pi + 2)
    return scale, scale * alpha


def polynomial(name, function, weight, low, high, degree, low_part=False):
    coefficients, _ = minimax(function, weight, low, high, degree)
    rounded = [mpf(float(c)) for c in coefficients]
    extra = float(coefficients[0] - rounded[0]) if low_part else 0.0
    error = largest_error([rounded[0] + extra, *rounded[1:]], function, weight, low, high)
    print(f"{name}: degree {degree}, error 2^{float(log(error, 2)):.1f}")
    for i, c in enumerate(rounded):
        show(f"{name}{i}", c)
    if low_part:
        show(f"{name}0_L", extra)


def exp_rest(r):
    """(e^r - 1 - r) / r^2, by its series where the formula cancels."""
    if abs(r) > mpf(2) ** -20:
        return (exp(r) - 1 - r) / r**2
    return sum(r**k / mp.factorial(k + 2) for k in range(8))


# e^r = (u + c r)/(u - c r), u = c sqrt(z) coth(sqrt(z) / 2), z = r^2. The factor puts u - c r and
# u + c r between 1.41 and 2, where a rounding error is small against them.
RATIO_FACTOR = mpf(27) / 32


def exp_even(z):
    """u."""
    return RATIO_FACTOR * (sqrt(z) * coth(sqrt(z) / 2) if z > 0 else 2)


def exp_even_weight(z):
    """An error of this size in u moves e^r by one relative unit; not nothing at 0."""
    r = RATIO_FACTOR * max(sqrt(z), mpf(2) ** -20)
    return 2 * r / (exp_even(z) ** 2 - r * r)


def log_rest(z):
    """2 (atanh(s)/s - 1) / s^2 with s = sqrt(z), the rest of log((1+s)/(1-s)) = 2s + s z rest."""
    if z > mpf(2) ** -40:
        s = sqrt(z)
        return 2 * (atanh(s) / s - 1) / z
    return mpf(2) / 3 + 2 * z / 5 + 2 * z**2 / 7 + 2 * z**3 / 9


def atan_rest(z):
    """(atan(t)/t - 1)/z with t = sqrt(z)."""
    if z > mpf(2) ** -40:
        t = sqrt(z)
        return (atan(t) / t - 1) / z
    return -mpf(1) / 3 + z / 5 - z**2 / 7 + z**3 / 9


def tanh_shrink_rest(z):
    """((x - tanh(x))/x^3 - 1/3)/z with x = sqrt(z)."""
    if z > mpf(2) ** -20:
        x = sqrt(z)
        return ((x - tanh(x)) / x**3 - mpf(1) / 3) / z
    return -mpf(2) / 15 + 17 * z / 315 - 62 * z**2 / 2835 + 1382 * z**3 / 155925


def atanh_rest(z):
    """(atanh(s)/s - 1 - z/3 - z^2/5 - z^3/7)/z^4 with s = sqrt(z)."""
    if z > mpf(2) ** -12:
        s = sqrt(z)
        return (atanh(s) / s - 1 - z / 3 - z**2 / 5 - z**3 / 7) / z**4
    return sum(z**j / (2 * j + 9) for j in range(14))


def log1p_ratio(c):
    """log(1 + e)/e with e = c + 1/2."""
    e = c + mpf(1) / 2
    return log(1 + e) / e if e > mpf(2) ** -60 else 1 - e / 2


# The normal tail: erfcx(a / sqrt 2) / 2 = TAIL(t) / (a + 1.3125), t = (a - 5.5) / (a + 5.5).
# 1.3125 the numerator is nearly flat at a = 0 (quite so with sqrt(pi / 2)) and stays between
# 0.39 and 0.66, so that rounding errors in t and in the polynomial count little; with 5.5 its
# error on [0, inf), rounded coefficients included, is near the smallest for the degree.
TAIL_SHIFT, TAIL_CENTRE = mpf(1.3125), mpf(5.5)


def tail(t):
    if t in (-1, 1):
        return TAIL_SHIFT / 2 if t < 0 else 1 / sqrt(2 * pi)
    a = TAIL_CENTRE * (1 + t) / (1 - t)
    return (a + TAIL_SHIFT) * erfcx_half(a)


def erfcx_half(a):
    """erfcx(a / sqrt 2) / 2, by its asymptotic series for large a."""
    if a < 30:
        return exp(a * a / 2) * erfc(a / sqrt(mpf(2))) / 2
    total, term, k = mpf(1), mpf(1), 1
    while abs(term) > mpf(2) ** -150:
        term *= -(2 * k - 1) / a**2
        total, k = total + term, k + 1
    return total / (a * sqrt(2 * pi))


def erf_rest(z):
    """erf(a)/a - 1, z = a^2."""
    return (erf(sqrt(z)) / sqrt(z) if z > 0 else 2 / sqrt(pi)) - 1


def main():
    ln2, half = log(mpf(2)), log(mpf(2)) / 2 * (1 + mpf(2) ** -10)
    root = sqrt(2 / pi)
    show("LOG2E", 1 / ln2)
    # n * LN2_H is exact for |n| < 2^13.
    pair("LN2", ln2, 40)
    pair("INV_SQRT_2PI", 1 / sqrt(2 * pi))
    pair("TWO_INV_SQRT_PI", 2 / sqrt(pi))
    pair("SQRT2", sqrt(mpf(2)))
    pair("TANH_1", 2 * root)
    pair("TANH_3", 2 * root * mpf("0.044715"))
    pair("TANH_D3", 6 * root * mpf("0.044715"))
    # both happen to lie above the nearest double: so both parts are positive
    for name, x in zip(("SELU", "SELU_ALPHA"), selu_constants(), strict=True):
        pair(name, x)
    pair("SIXTH", mpf(1) / 6)
    # e^r = 1 + r + r^2 E(r); the error is relative to e^r
    polynomial("E", exp_rest, lambda r: r * r / exp(r), -half, half, 9)
    # the same for |s| <= 0.2012, where 1 + f is between 3/4 and 3/2 or in logit
    polynomial("M", log_rest, lambda z: z / 2, 0, mpf("0.0405"), 7)
    # atan(t) = t + t z A(z), z = t^2 <= 1/4; error relative to t
    polynomial("A", atan_rest, lambda z: z, 0, mpf("0.2501"), 11)
    pair("PI_2", pi / 2)
    pair("PI_4", pi / 4)
    # x - tanh(x) = x^3 (1/3 + z H(z)), |x| <= 3/4
    polynomial("H", tanh_shrink_rest, lambda z: z / (mpf(1) / 3 + z * tanh_shrink_rest(z)), 0,
               mpf("0.5626"), 11)
    # log(1 + e)/e = 2/(2 + e) (1 + z/3 + z^2/5 + z^3/7 + z^4 A(z)), z = (e/(2 + e))^2 <= 1/9
    polynomial("A", atanh_rest, lambda z: z**4, 0, mpf(1) / 9, 11)
    for n in (3, 5, 7):
        pair(f"ONE_OVER_{n}", mpf(1) / n)
    # e^r = 1 + r + r^2/2 + r^3 F(r) for |r| < ln2/32: Taylor's
    for n in range(3, 10):
        show(f"F{n - 3}", 1 / mp.factorial(n))
    polynomial("U", exp_even, exp_even_weight, 0, half**2, 5)
    show("2 c", 2 * RATIO_FACTOR)
    # log((1+s)/(1-s)) = 2 s + s z L(z), z = s^2, |s| < 0.1984: log() needs 3 - 2 sqrt 2,
    # log_ndtr the rest; error relative to 2 s
    polynomial("L", log_rest, lambda z: z / 2, 0, 0.0394, 7)
    # log(1 + e) = e S(e - 1/2), 0 <= e <= 1; centred so that the first coefficient dominates
    polynomial("S", log1p_ratio, lambda c: 1 / log1p_ratio(c), -0.5, 0.5, 20, low_part=True)
    polynomial("T", tail, lambda t: 1 / tail(t), -1, 1, 23, low_part=True)
    # erf(a) = a + a R(a^2) below 7/8, 1 - e^-Q(a) above; it rounds to 1 from 5.9 on
    edge = mpf(7) / 8
    polynomial("R", erf_rest, lambda z: 1 / (1 + erf_rest(z)), 0, edge**2, 11)
    polynomial("Q", lambda a: -log(erfc(a)), lambda a: erfc(a) / erf(a), edge, 6, 18)
    text = "".join(source.read_text() for source in SOURCES)
    numbers = {float(n) for n in re.findall(r"-?\d+\.\d+(?:e[-+]?\d+)?", text)}
    missing = [x for x in made if x not in numbers]
    if missing:
        sys.exit(f"not in {LEVEL}: {missing}")


if __name__ == "__main__":
    main()
