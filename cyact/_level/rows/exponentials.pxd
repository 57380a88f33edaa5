"""Exponentials of a difference whose rounding is carried, and the logarithm of a sum.

In float e^d is 2^(n/8) e^r with |r| <= log(2)/16; the eight powers are in a table that one permute
looks up. Polynomials and tables are made by tools/constants_rows.py, which prints their errors.
Everything is free of branches, so that loops over these functions vectorise, and every operation
rounds as that on single numbers, so that bits do not depend on the width of the vectors.
"""

from cyact._level.bits cimport exponent, fma, power
from cyact._level.exact cimport two_sum
from cyact._level.simd cimport as_floats, as_words, broadcast, floats, fmav, lookup8, maximum, words

cdef extern from "rows/exponentials.h":
    const unsigned int* POWERS "cyact_row_powers"
    const float* SHIFTS "cyact_row_shifts"


cdef inline double add_to(double s, double x, double* rest) noexcept nogil:
    """s + x rounded; what rounds off is added to rest."""
    cdef double sum = two_sum(s, x).hi
    rest[0] += two_sum(s, x).lo
    return sum


# 2^k e^d, k hidden in magic: 1.5 * 2^23 + 8 (127 + k). d is exact and at least `least`, where the
# result is still normal; |d| < 512. It is scale (1 + c), c being returned, to 2^-28: scales can
# be added up without the products, and what a product rounds away need not be known.

cdef inline floats exponential(floats d, floats magic, floats least, floats* scale) noexcept nogil:
    d = maximum(least, d)
    cdef floats t = fmav(d, broadcast(<float> 11.541560173034668), magic)
    cdef words k = as_words(t)
    cdef floats n = magic - t
    # The first is exact: a multiple of 2^-28 below 2^-4
    cdef floats r = fmav(n, broadcast(<float> 0.08664339780807495), d)
    r = r + fmav(n, broadcast(<float> -2.380817765157417e-10), lookup8(SHIFTS, k))
    cdef floats q = fmav(r, broadcast(<float> 0.041668619960546494),
                         broadcast(<float> 0.16667839884757996))
    q = fmav(r, q, broadcast(<float> 0.5))
    scale[0] = as_floats(as_words(lookup8(POWERS, k)) + (k << 20))
    return fmav(r * r, q, r)


# The same of d + low: low is at most 2^-16.

cdef inline floats exponential_of_sum(floats d, floats low, floats magic,
                                      floats* scale) noexcept nogil:
    cdef floats t = fmav(d, broadcast(<float> 11.541560173034668), magic)
    cdef words k = as_words(t)
    cdef floats n = magic - t
    # The first is exact: a multiple of 2^-28 below 2^-4
    cdef floats r = fmav(n, broadcast(<float> 0.08664339780807495), d)
    r = r + (low + fmav(n, broadcast(<float> -2.380817765157417e-10), lookup8(SHIFTS, k)))
    cdef floats q = fmav(r, broadcast(<float> 0.041668619960546494),
                         broadcast(<float> 0.16667839884757996))
    q = fmav(r, q, broadcast(<float> 0.5))
    scale[0] = as_floats(as_words(lookup8(POWERS, k)) + (k << 20))
    return fmav(r * r, q, r)


# e^(d + low), d <= 0, |low| <= 2^-53 |d|: returns it rounded (0.56 ULP) and leaves the rest in
# rest[0]. 0 below -746, whatever low holds (an infinite d has low = NaN); exactly 1 at 0.
# low enters the reduced argument as well as the correction: in the latter alone its product
# with r would be lost, 20 ULP.

cdef inline double exp_pair(double d, double low, double least, double* rest) noexcept nogil:
    # The factor's exponent is raised by 512 and lowered at the end: d may give a subnormal.
    cdef double magic = 6755399441055744.0 + 1023 + 512    # 1023: the bias power() needs
    cdef double dl = 0 if d < least else low
    d = least if least > d else d
    cdef double t = fma(d, 1.4426950408889634, magic)
    cdef double n = magic - t
    cdef double rh = n * 0.693147180559663 + d    # exact: 41 bits by 11, then no rounding
    cdef double rl = fma(n, 2.8235290563031577e-13, dl)
    cdef double r = rh + rl
    cdef double q = fma(r, 2.0911229919631986e-09, 2.5100376098445793e-08)
    q = fma(r, q, 2.755728298365677e-07)
    q = fma(r, q, 2.755726847975115e-06)
    q = fma(r, q, 2.480158731713542e-05)
    q = fma(r, q, 0.00019841269863040905)
    q = fma(r, q, 0.0013888888888886554)
    q = fma(r, q, 0.008333333333330065)
    q = fma(r, q, 0.041666666666666664)
    q = fma(r, q, 0.16666666666666669)
    q = fma(r, q, 0.5)
    cdef double s = 1 + rh
    cdef double c = (rh - (s - 1)) + fma(r * r, q, rl)
    cdef double e = s + c
    cdef double p = power(t)
    rest[0] = (c - (e - s)) * p * 7.458340731200207e-155
    return e * p * 7.458340731200207e-155


# log(1 + z + low) for z >= 0, |low| <= 2^-53 z: fdlibm's log1p without its branches. 1 + z is
# u + c exactly, u = 2^k (1 + f), log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2))), s = f / (2 + f).

cdef inline double log1p_pair(double z, double low) noexcept nogil:
    cdef double big = z if z > 1 else 1
    cdef double small = 1 if z > 1 else z
    cdef double u = big + small
    cdef double c = (small - (u - big)) + low
    cdef double biased = exponent(u)
    cdef double k = biased - 1023
    cdef double p = power(4503599627370496.0 + 2046 - biased)    # 2^-k
    cdef double f = (u * p - 1) + c * p
    cdef double s = f / (2 + f)
    cdef double w = s * s
    cdef double q = fma(w, 0.1461645097955211, 0.15331721495826012)
    q = fma(w, q, 0.18182889128412458)
    q = fma(w, q, 0.22222211134751835)
    q = fma(w, q, 0.2857142862597575)
    q = fma(w, q, 0.39999999999899505)
    q = fma(w, q, 0.666666666666667)
    cdef double half = 0.5 * f * f
    return k * 0.693147180559663 - ((half - (s * (half + w * q) + k * 2.8235290563031577e-13)) - f)
