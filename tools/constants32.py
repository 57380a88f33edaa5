"""Make every constant of the float32 maths, with its error: python tools/constants32.py

With --check, fail unless each of them stands in cyact/_level to the last digit. Needs mpmath
only; runs in about a minute. Coefficients are printed constant term first.
"""

import sys
from struct import pack, unpack

from constants64 import LEVEL, selu_constants
from mpmath import (
    atan,
    atanh,
    coth,
    erf,
    erfc,
    exp,
    expm1,
    floor,
    linspace,
    log,
    log1p,
    mp,
    mpf,
    nint,
    nstr,
    pi,
    sqrt,
    tanh,
)
from remez import fit, horner

mp.dps = 40
SOURCES = [LEVEL / "maths32.pxd", LEVEL / "constants.h", *LEVEL.glob("elementwise/*.pxd")]
HALF = mpf("0.5")
LN2 = log(mpf(2))


def exp2_even(z):
    """u(r^2) = r coth(r ln2/2), so that 2^r = (u + r)/(u - r)."""
    r = sqrt(z)
    return r * coth(r * LN2 / 2) if z else 2 / LN2


def exp2_even_weight(z, u):
    """An error of this size in u moves 2^r by one relative unit."""
    r = max(sqrt(z), mpf("1e-6"))
    return (u * u - z) / (2 * r)


def exp2m1_over(r):
    return (expm1(r * LN2)) / r if r else LN2


def expm1_tail(r):
    """(e^r - 1 - r)/r^2."""
    return (expm1(r) - r) / r**2 if abs(r) > mpf("1e-12") else HALF


def erfcx_half(a):
    """R with the normal tail Phi(-a) = exp(-a^2/2) R(a); by its asymptotic series for large a."""
    if a < 30:
        return exp(a * a / 2) * erfc(a / sqrt(mpf(2))) / 2
    total, term, k = mpf(1), mpf(1), 1
    while abs(term) > mp.eps:
        term *= -(2 * k - 1) / a**2
        total, k = total + term, k + 1
    return total / (a * sqrt(2 * pi))


def erf_over(z):
    return erf(sqrt(z)) / sqrt(z) if z else 2 / sqrt(pi)


def twice_atanh_over(z):
    return 2 * atanh(sqrt(z)) / sqrt(z) if z else mpf(2)


def float32(x):
    """x rounded to float32."""
    return unpack("f", pack("f", float(x)))[0]


def tanh_over(z):
    return tanh(sqrt(z)) / sqrt(z) if z else mpf(1)


def log1p_over(e):
    return log1p(e) / e if e else mpf(1)


def log1p_rest(f):
    """(log(1 + f) - f)/f^2."""
    return (log1p(f) - f) / f**2 if abs(f) > mpf("1e-12") else f / 3 - HALF


def atanh_over(z):
    """2 atanh(s)/s with s = sqrt(z)."""
    s = sqrt(z)
    return 2 * atanh(s) / s if z else mpf(2)


def atan_rest(z):
    """(atan(t) - t)/t^3 with t = sqrt(z)."""
    if z < mpf("1e-12"):
        return -mpf(1) / 3 + z / 5
    return (atan(sqrt(z)) / sqrt(z) - 1) / z


def tanh_shrink_over(z):
    """(x - tanh(x))/x^3 with x = sqrt(z)."""
    if z < mpf("1e-12"):
        return mpf(1) / 3 - 2 * z / 15
    return (1 - tanh_over(z)) / z


# gelu's tables. With a^2 = n STEP + r, e^(-MU a^2) is 2^(-n/16) e^(-MU r); the rest of Phi(-a)
# is `mills`. MU is 0.51 instead of 1/2: with a STEP of few bits n STEP is exact, and the rest
# falls a little slower, which helps its polynomials.
STEP = mpf(11) / 128
MU = LN2 / (16 * STEP)


def mills(a):
    return exp(MU * a * a) * erfc(a / sqrt(mpf(2))) / 2


def to_bits(x, bits):
    """x rounded to a number of that many bits."""
    unit = mpf(2) ** (floor(log(abs(x), 2)) + 1 - bits)
    return nint(x / unit) * unit


def with_exponent(x, sixteenths):
    """The float x with so many sixteenths added to its exponent, as bits."""
    bits, = unpack("I", pack("f", float(x)))
    return mpf(unpack("f", pack("I", bits + (sixteenths << 19)))[0])


def gelu_powers():
    """2^(64 - j/16) rounded to 12 bits, with j/16 added to its exponent; what a^2 must be
    increased by for the rounding.
    """
    powers, shifts = [], []
    for j in range(16):
        true = mpf(2) ** (64 - mpf(j) / 16)
        rounded = to_bits(true, 12)
        powers.append(with_exponent(rounded, j))
        shifts.append(log(rounded / true) / MU)
    return powers, shifts


def exp_tables():
    """2^(j/16 - 64) as floats, with j/16 taken from the exponent; c0 so that e^r is, times what
    they were rounded by, 1 + c0 + c1 r + …; then c1, c2, c3, and their error.
    """
    reach = LN2 / 32 * mpf("1.001")
    p, _, _ = fit(exp, -reach, reach, 3)
    true = [mpf(2) ** (mpf(j) / 16 - 64) for j in range(16)]
    rounded = [to_bits(t, 24) for t in true]
    powers = [with_exponent(r, -j) for j, r in enumerate(rounded)]
    lacks = [mpf(float32(p[0] * t / r - 1)) for t, r in zip(true, rounded, strict=True)]
    rest = [mpf(float32(c)) for c in p[1:]]
    error = max(worst(lambda r, k=k: (1 + horner([lacks[k], *rest], r)) * rounded[k]
                      / true[k] / exp(r) - 1, -reach, reach) for k in range(16))
    return powers, lacks, rest, error


def falling_exponential(rate, reach):
    """Coefficients c with e^(-rate r) = 1 + c0 + c1 r + …, and their error."""
    p, _, _ = fit(lambda r: exp(-rate * r), -reach, reach, 3)
    p = floats([p[0] - 1, *p[1:]])
    return p, worst(lambda r: (1 + horner(p, r)) * exp(rate * r) - 1, -reach, reach)


def recentred(p, c):
    """The coefficients of p(c + d) as a polynomial in d."""
    p = list(p)
    for i in range(len(p)):
        for k in range(len(p) - 2, i - 1, -1):
            p[k] += c * p[k + 1]
    return p


def floats(coefficients):
    return [mpf(float32(c)) for c in coefficients]


def quotient_interval(f, lo, hi, degree):
    """(centre, f(centre), coefficients q, error): f(centre + d) over f(centre) is 1 + d q(d) for
    lo <= centre + d <= hi.

    f(centre) has 12 bits, so that its product with a power of the other table is exact, and
    centre 24. Of all such centres in the middle part of the interval that one is taken whose
    coefficients, rounded to float, are best; small values of d q(d) count as well, for they
    round less. None where f passes no such number there.
    """
    middle, half = (lo + hi) / 2, (hi - lo) / 2
    p, _, _ = fit(lambda d: f(middle + d), -half, half, degree)
    slope = [k * c for k, c in enumerate(p)][1:]
    nodes = [(lo + half * (1 + t), f(lo + half * (1 + t)))
             for t in linspace(mpf(-1), mpf(1), 61)]
    unit = abs(to_bits(p[0], 12) - to_bits(p[0] * (1 - mpf(2) ** -11), 12))
    found = []
    for k in range(-400, 401):
        value = to_bits(p[0], 12) + k * unit
        d = (value - p[0]) / p[1]
        if abs(d) > half / 2:
            continue
        for _ in range(5):
            d -= (horner(p, d) - value) / horner(slope, d)
        if abs(d) > mpf("0.3") * half:
            continue
        centre = mpf(float32(middle + d))
        q = floats(c / value for c in recentred(p, centre - middle)[1:])
        error = max(abs((1 + (a - centre) * horner(q, a - centre)) * value / true - 1)
                    for a, true in nodes)
        spread = max(abs(nodes[0][1] / value - 1), abs(nodes[-1][1] / value - 1))
        found.append((error + spread / 2**26, centre, value, q, error))
    return min(found)[1:] if found else None


def sixteen(interval, bits, end, scale=1, shift=1, start=1):
    """The tables of 16 intervals of a, and the largest error.

    The interval of a is told by bits of v = scale a + shift, from v = start on: the first `bits`
    of its mantissa and as many of its exponent as make four. interval(lo, hi) gives an
    interval's entries, the last of them its coefficients and its error.
    """
    rows, v = {}, mpf(start)
    while len(rows) < 16:
        width = mpf(2) ** (floor(log(v, 2)) - bits)
        index = unpack("I", pack("f", float(v)))[0] >> (23 - bits) & 15
        rows[index] = interval((v - shift) / scale, min((v + width - shift) / scale, end))
        v += width
    *entries, q, errors = zip(*(rows[k] for k in range(16)), strict=True)
    return [*entries, *zip(*q, strict=True)], max(errors)


def gelu_intervals():
    return sixteen(lambda lo, hi: quotient_interval(mills, lo, hi, 6), 2, mpf("14.55"))


# softplus' tables: with t = -x for x up to BORDER, e^-t times log1p_of_exp. LAST is where that
# is 1 to 2^-27.
BORDER, LAST = mpf("0.5625"), mpf(float32(18.17))
SOFTPLUS_SCALE, SOFTPLUS_SHIFT = mpf(float32(0.2)), mpf(float32(1.3635))


def log1p_of_exp(t):
    """log(1 + e^-t) e^t."""
    return log1p(exp(-t)) * exp(t)


def softplus_interval(lo, hi):
    """As quotient_interval; but where log1p_of_exp passes no number of 12 bits, 1 takes the
    place of f(centre), with a centre beyond hi, the best of several.
    """
    lo = max(lo, -BORDER)
    near = quotient_interval(log1p_of_exp, lo, hi, 5)
    if near:
        return near
    middle, half = (lo + hi) / 2, (hi - lo) / 2
    found = []
    for k in range(8, 33):
        centre = mpf(float32(hi + half * mpf(k) / 12))

        def slope(d, centre=centre):
            return (log1p_of_exp(middle + d) - 1) / (middle + d - centre)

        p, _, _ = fit(slope, -half, half, 4, weight=lambda _, v: 1)
        q = floats(recentred(p, centre - middle))
        error = max(abs((1 + (a - centre) * horner(q, a - centre)) / log1p_of_exp(a) - 1)
                    for a in linspace(lo, hi, 61))
        found.append((error, centre, mpf(1), q, error))
    return min(found)[1:]


def softplus_intervals():
    return sixteen(softplus_interval, 3, LAST, SOFTPLUS_SCALE, SOFTPLUS_SHIFT, mpf("1.25"))


# tanh's tables. From TANH_END on it is 1 in float.
TANH_END = mpf("9.25")
TANH_SCALE = mpf(float32(mpf("14.999") / TANH_END))


def tanh_interval(lo, hi):
    """(centre, value, slope, coefficients q, error): tanh(centre + d) is value + slope d + d q(d).

    value is a float, and slope is 0; only in the interval of 0, with centre 0, it is 1. Of the
    floats in the middle part of an interval that one is the centre with which the coefficients,
    rounded to float, are best.
    """
    nodes = list(linspace(lo, hi, 41))
    if lo == 0:
        p, _, _ = fit(lambda a: tanh_over(a * a) - 1, lo, hi, 4, weight=lambda _, v: 1)
        q = floats(p)
        return (mpf(0), mpf(0), mpf(1), q,
                max(abs((a + a * horner(q, a)) / tanh(a) - 1) for a in nodes[1:]))
    middle, half = (lo + hi) / 2, (hi - lo) / 2
    p, _, _ = fit(lambda d: tanh(middle + d), -half, half, 5)
    found = []
    for k in range(-60, 61):
        centre = mpf(float32(middle + half * k / 400))
        value, *q = floats([tanh(centre), *recentred(p, centre - middle)[1:]])
        error = max(abs((value + (a - centre) * horner(q, a - centre)) / tanh(a) - 1)
                    for a in nodes)
        found.append((error, centre, value, mpf(0), q, error))
    return min(found)[1:]


def tanh_intervals():
    return sixteen(tanh_interval, 2, TANH_END, TANH_SCALE)


def float_digits(x):
    """The shortest decimal that is x in float32."""
    for digits in range(6, 10):
        text = f"{float(x):.{digits}g}"
        if float32(float(text)) == float(x):
            break
    return text if "." in text or "e" in text else text + ".0"


def tables():
    """(name, rows, error) of the tables in constants.h."""
    powers, shifts = gelu_powers()
    yield "gelu: 2^(64 - j/16) to 12 bits, exponents + j/16; shifts of r", [
        powers, floats(shifts)], None
    yield "softplus: the same shifts, of t", [floats(MU * c for c in shifts)], None
    powers, lacks, _, error = exp_tables()
    yield "2^(j/16 - 64), exponents - j/16; c0 of e^r, r < ln2/32", [powers, lacks], error
    rows, error = gelu_intervals()
    yield "gelu: centres; mills there; q, constant terms first", rows, error
    rows, error = softplus_intervals()
    yield "softplus: centres; log1p_of_exp there; q, constant terms first", rows, error
    rows, error = tanh_intervals()
    yield "tanh: centres; values; slopes; q, constant terms first", rows, error


def worst(error, lo, hi):
    return max(abs(error(x)) for x in linspace(mpf(lo), mpf(hi), 1001))


def monic(p, q):
    """Both divided by Q's leading coefficient: its first Horner step is then an addition."""
    return [c / q[-1] for c in p], [c / q[-1] for c in q]


def sets():
    """(name, coefficients, weighted error) of each approximation."""
    # The reduced argument of an exponential; a little wider than 1/2 for its rounding.
    quarter, half = mpf("0.2501"), mpf("0.5001")
    for name, degree in (("exp2 u, degree 2", 2), ("exp2 u, degree 3", 3)):
        p, _, error = fit(exp2_even, mpf(0), quarter, degree, weight=exp2_even_weight)
        yield name, p, error
    p, _, error = fit(lambda r: mpf(2) ** r, -half, half, 6)
    yield "exp2, degree 6", p, error
    p, _, error = fit(exp2m1_over, -half, half, 5)
    yield "(2^r - 1)/r, degree 5", p, error
    for degree in (5,):
        p, _, error = fit(expm1_tail, -half * LN2, half * LN2, degree,
                          weight=lambda r, _: 1 / max(r * r, mpf("1e-6")))
        yield f"(e^r - 1 - r)/r^2, degree {degree}, float", p, error
    for name, n, d in (("erfcx/2, 4/5", 4, 5), ("erfcx/2, 5/6", 5, 6)):
        p, q, error = fit(erfcx_half, mpf(0), mpf(15), n, d, bend=6)
        p, q = monic(p, q)
        yield f"{name}, P", p, error
        yield f"{name}, Q", q[:-1], error
    p, q, error = fit(erfcx_half, mpf(0), mpf(10) ** 6, 5, 6, bend=200_000)
    p, q = monic(p, q)
    yield "erfcx/2, 5/6, without end, P", p, error
    yield "erfcx/2, 5/6, without end, Q", q[:-1], error
    # erf rounds to 1 in float32 from 3.84 on
    p, q, error = fit(erf_over, mpf(0), mpf("3.93") ** 2, 6, 5, bend=6)
    p, q = monic(p, q)
    yield "erf(v)/v in v^2, 6/5, P", p, error
    yield "erf(v)/v in v^2, 6/5, Q", q[:-1], error
    p, _, error = fit(twice_atanh_over, mpf(0), mpf("0.1112"), 5)
    yield "2 atanh(s)/s in s^2, degree 5", p, error
    # tanh rounds to 1 in float32 from 9.011 on
    p, q, error = fit(tanh_over, mpf(0), mpf("9.02") ** 2, 4, 4, bend=30)
    p, q = monic(p, q)
    yield "tanh(v)/v in v^2, 4/4, P", p, error
    yield "tanh(v)/v in v^2, 4/4, Q", q[:-1], error
    p, q, error = fit(log1p_over, mpf(0), mpf(1), 2, 3)
    p, q = monic(p, q)
    yield "log1p(e)/e, 2/3, P", p, error
    yield "log1p(e)/e, 2/3, Q", q[:-1], error
    p, _, error = fit(exp2m1_over, -half, half, 6)
    yield "(2^r - 1)/r, degree 6", p, error
    p, _, error = fit(log1p_over, mpf("-0.2501"), mpf("0.5001"), 10)
    yield "log1p(f)/f, degree 10", p, error
    # error relative to log(1 + f)
    p, _, error = fit(log1p_rest, mpf("-0.2501"), mpf("0.5001"), 8,
                      weight=lambda f, _: log1p_over(f) / max(abs(f), mpf("1e-2")))
    yield "(log1p(f) - f)/f^2, degree 8, float", p, error
    # s = (m - 1)/(m + 1), |log2 m| < 0.587
    p, _, error = fit(atanh_over, mpf(0), mpf("0.0405"), 4)
    yield "2 atanh(s)/s in s^2, degree 4", p, error
    # errors relative to atan's leading term t
    p, _, error = fit(atan_rest, mpf(0), mpf("0.5626"), 6,
                      weight=lambda z, _: 1 / max(z, mpf("1e-4")))
    yield "(atan(t) - t)/t^3 in t^2, t <= 3/4, float", p, error
    p, _, error = fit(atan_rest, mpf(0), mpf("0.1717"), 4,
                      weight=lambda z, _: 1 / max(z, mpf("1e-4")))
    yield "(atan(t) - t)/t^3 in t^2, t <= sqrt(2) - 1", p, error
    p, q, error = fit(tanh_over, mpf(0), mpf(100), 4, 5, bend=30)
    p, q = monic(p, q)
    yield "tanh(v)/v in v^2, 4/5, P", p, error
    yield "tanh(v)/v in v^2, 4/5, Q", q[:-1], error
    p, q, error = fit(tanh_shrink_over, mpf(0), mpf("9.02") ** 2, 4, 4, bend=30)
    p, q = monic(p, q)
    yield "(x - tanh(x))/x^3 in x^2, 4/4, P", p, error
    yield "(x - tanh(x))/x^3 in x^2, 4/4, Q", q[:-1], error
    yield "ln 2", [LN2], mpf(0)
    right = mpf(float32(pi / 2))
    yield "pi/2", [pi / 2], mpf(0)
    yield "pi/2 and pi/4 as floats, and what they lack, relative", [
        right, right / 2, (pi / 2 - right) / right], mpf(0)
    high = mpf(int(LN2 * 2**15)) / 2**15
    yield "ln 2, 15 bits and the rest, times 2^-23", [high / 2**23, (LN2 - high) / 2**23], mpf(0)
    yield "1/ln 2", [1 / LN2], mpf(0)
    yield "1/(2 ln 2)", [1 / (2 * LN2)], mpf(0)
    high = mpf(int(LN2 * 2**15)) / 2**15
    yield "ln 2, 15 bits and the rest", [high, LN2 - high], mpf(0)
    yield "gelu: STEP and 1/STEP", [STEP, mpf(float32(1 / STEP))], mpf(0)
    reach = STEP / 2 * mpf("1.001") + max(abs(c) for c in gelu_powers()[1])
    yield "16/ln 2, ln2/16 to 12 bits and the rest", [
        mpf(float32(16 / LN2)), to_bits(LN2 / 16, 12),
        mpf(float32(LN2 / 16 - to_bits(LN2 / 16, 12)))], mpf(0)
    yield "c1, c2, c3 of e^r, r < ln2/32", *exp_tables()[2:]
    yield "gelu: e^(-MU r)", *falling_exponential(MU, reach)
    yield "softplus: scale, shift, border and last t", [
        SOFTPLUS_SCALE, SOFTPLUS_SHIFT, BORDER, LAST], mpf(0)
    reach = LN2 / 32 * mpf("1.001") + MU * max(abs(c) for c in gelu_powers()[1])
    yield "softplus: e^-r", *falling_exponential(1, reach)
    yield "tanh: scale and end", [TANH_SCALE, TANH_END], mpf(0)
    scale, product = selu_constants()
    high = mpf(int(product * 2**23)) / 2**23
    yield "selu: scale - 1", [scale - 1], mpf(0)
    yield "selu: scale alpha, 24 bits and the rest", [high, product - high], mpf(0)
    yield "1/sqrt(2 pi)", [1 / sqrt(2 * pi)], mpf(0)
    yield "1/sqrt(2 pi), 2/sqrt(pi), sqrt(2), ln 2", [
        1 / sqrt(2 * pi), 2 / sqrt(pi), sqrt(mpf(2)), LN2], mpf(0)
    high = float32(1 / 6)
    yield "hard_swish: 1/6 in two floats", [high, mpf(1) / 6 - high], mpf(0)
    low = float32(1 / 6 - high)
    yield "hard_sigmoid: the double 1/6 in three floats", [
        mpf(high), mpf(low), mpf(1 / 6) - high - low], mpf(0)
    slope = 2 * sqrt(2 / pi)
    yield "gelu_tanh: 2 sqrt(2/pi) (1, 3*0.044715)", [
        slope, 3 * slope * mpf("0.044715")], mpf(0)
    yield "gelu_tanh: 2 sqrt(2/pi) (1, 0.044715) / ln 2", [
        slope / LN2, slope * mpf("0.044715") / LN2], mpf(0)


def main():
    source = "".join(path.read_text() for path in SOURCES) if "--check" in sys.argv else None
    missing = 0
    for name, rows, error in tables():
        print(f"{name}: {f'2^{nstr(log(error, 2), 4)}' if error else 'exact to rounding'}")
        for row in rows:
            text = ", ".join(float_digits(c) for c in row)
            absent = source is not None and text not in " ".join(source.split())
            missing += absent
            print(f"    {{{text}}}{'   MISSING' if absent else ''}")
    for name, coefficients, error in sets():
        bound = f"2^{nstr(log(error, 2), 4)}" if error else "exact to rounding"
        print(f"{name}: {bound}")
        for c in coefficients:
            digits = repr(float(c))
            absent = source is not None and digits.lstrip("-") not in source
            missing += absent
            print(f"    {digits}{'   MISSING' if absent else ''}")
    return missing


if __name__ == "__main__":
    sys.exit(main())
