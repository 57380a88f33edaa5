"""Make every constant of cyact/_math32.pxd, with its error: python tools/constants.py

With --check, fail unless each of them stands in that file to the last digit. Needs mpmath
only; runs in about a minute. Coefficients are printed constant term first.
"""

import sys
from pathlib import Path

from mpmath import coth, erfc, exp, expm1, log, log1p, mp, mpf, nstr, pi, sqrt, tanh
from remez import fit

mp.dps = 40
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
    """R with the normal tail Phi(-a) = exp(-a^2/2) R(a)."""
    return exp(a * a / 2) * erfc(a / sqrt(mpf(2))) / 2


def tanh_over(z):
    return tanh(sqrt(z)) / sqrt(z) if z else mpf(1)


def log1p_over(e):
    return log1p(e) / e if e else mpf(1)


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
    # tanh rounds to 1 in float32 from 9.011 on
    p, q, error = fit(tanh_over, mpf(0), mpf("9.02") ** 2, 4, 4, bend=30)
    p, q = monic(p, q)
    yield "tanh(v)/v in v^2, 4/4, P", p, error
    yield "tanh(v)/v in v^2, 4/4, Q", q[:-1], error
    p, q, error = fit(log1p_over, mpf(0), mpf(1), 2, 3)
    p, q = monic(p, q)
    yield "log1p(e)/e, 2/3, P", p, error
    yield "log1p(e)/e, 2/3, Q", q[:-1], error
    yield "1/ln 2", [1 / LN2], mpf(0)
    yield "1/(2 ln 2)", [1 / (2 * LN2)], mpf(0)
    high = mpf(int(LN2 * 2**15)) / 2**15
    yield "ln 2, 15 bits and the rest", [high, LN2 - high], mpf(0)
    yield "1/sqrt(2 pi)", [1 / sqrt(2 * pi)], mpf(0)
    slope = 2 * sqrt(2 / pi)
    yield "gelu_tanh: 2 sqrt(2/pi) (1, 3*0.044715)", [
        slope, 3 * slope * mpf("0.044715")], mpf(0)
    yield "gelu_tanh: 2 sqrt(2/pi) (1, 0.044715) / ln 2", [
        slope / LN2, slope * mpf("0.044715") / LN2], mpf(0)


def main():
    target = Path(__file__).parent.parent / "cyact" / "_math32.pxd"
    source = target.read_text() if "--check" in sys.argv else None
    missing = 0
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
