"""float64 mathematics for the kernels: branch-free inline functions that GCC vectorises.

Every function here is within 2 ULP of the true value for every double, tails and subnormal
results included, at every level. `f_d` is the derivative of f, `f_y` the derivative as a
function of f's output.

How: an exponential is kept as 2^n (hi + lo) with hi + lo good to about 2^-57; sums and products
that matter carry their rounding error in a second double (Dekker, "A floating-point
technique for extending the available precision", 1971); a quotient is corrected by its
residual; 2^n is multiplied in last, in steps none of which overflows or underflows early.
Only correctly rounded operations are used, so that levels with a fused multiply-add agree
to the bit. Polynomials and constants come from tools/constants64.py.

Below AVX-512 there is no vector conversion between int64 and double and no arithmetic shift
of int64: integers stay in doubles, and 2^n is built by adding a large constant that leaves n
in the low bits.
"""

from libc.math cimport INFINITY, sqrt

from cyact._level.bits cimport FMA, bits64, fma, from_bits64
from cyact._level.exact cimport (
    divide,
    fast_two_sum,
    pair,
    pair_of,
    plus,
    product,
    product_error,
    quotient,
    reciprocal,
    residual,
    single,
    times,
    two_prod,
    two_sum,
)

cdef extern from *:
    """
    /* 1.5 * 2^52: adding it rounds to an integer, which then stands in the low bits */
    #define CYACT64_ROUND 6755399441055744.0
    #define CYACT64_LIFT 7.922816251426434e28            /* 2^96 */
    #define CYACT64_UNLIFT 1.262177448353619e-29         /* 2^-96 */
    #define CYACT64_LARGEST 1.7976931348623157e308
    #define CYACT64_LOG2E 1.4426950408889634
    #define CYACT64_LN2_H 0.6931471805592082
    #define CYACT64_LN2_L 7.371002565167799e-13
    #define CYACT64_INV_SQRT_2PI_H 0.3989422804014327
    #define CYACT64_INV_SQRT_2PI_L -2.49232720227773e-17
    #define CYACT64_TWO_INV_SQRT_PI_H 1.1283791670955126
    #define CYACT64_TWO_INV_SQRT_PI_L 1.533545961316588e-17
    #define CYACT64_SQRT2_H 1.4142135623730951
    #define CYACT64_SQRT2_L -9.667293313452913e-17
    #define CYACT64_TANH_1_H 1.5957691216057308
    #define CYACT64_TANH_1_L -9.96930880911092e-17
    #define CYACT64_TANH_3_H 0.07135481627260025
    #define CYACT64_TANH_3_L -6.175149918155315e-19
    #define CYACT64_TANH_D3_H 0.21406444881780073
    #define CYACT64_TANH_D3_L 1.2025242832367862e-17
    #define CYACT64_ONE_OVER_3_H 0.3333333333333333
    #define CYACT64_ONE_OVER_3_L 1.850371707708594e-17
    #define CYACT64_ONE_OVER_5_H 0.2
    #define CYACT64_ONE_OVER_5_L -1.1102230246251566e-17
    #define CYACT64_ONE_OVER_7_H 0.14285714285714285
    #define CYACT64_ONE_OVER_7_L 7.93016446160826e-18
    #define CYACT64_SELU_H 1.0507009873554805
    #define CYACT64_SELU_L 3.987484766715415e-17
    #define CYACT64_SELU_ALPHA_H 1.7580993408473768
    #define CYACT64_SELU_ALPHA_L 1.415351938008446e-17
    #define CYACT64_PI_2_H 1.5707963267948966
    #define CYACT64_PI_2_L 6.123233995736766e-17
    #define CYACT64_PI_4_H 0.7853981633974483
    #define CYACT64_PI_4_L 3.061616997868383e-17
    """
    const double ROUND "CYACT64_ROUND"
    const double LIFT "CYACT64_LIFT"
    const double UNLIFT "CYACT64_UNLIFT"
    const double LARGEST "CYACT64_LARGEST"
    const double LOG2E "CYACT64_LOG2E"
    const double LN2_H "CYACT64_LN2_H"
    const double LN2_L "CYACT64_LN2_L"
    const double INV_SQRT_2PI_H "CYACT64_INV_SQRT_2PI_H"
    const double INV_SQRT_2PI_L "CYACT64_INV_SQRT_2PI_L"
    const double TWO_INV_SQRT_PI_H "CYACT64_TWO_INV_SQRT_PI_H"
    const double TWO_INV_SQRT_PI_L "CYACT64_TWO_INV_SQRT_PI_L"
    const double SQRT2_H "CYACT64_SQRT2_H"
    const double SQRT2_L "CYACT64_SQRT2_L"
    const double TANH_1_H "CYACT64_TANH_1_H"
    const double TANH_1_L "CYACT64_TANH_1_L"
    const double TANH_3_H "CYACT64_TANH_3_H"
    const double TANH_3_L "CYACT64_TANH_3_L"
    const double TANH_D3_H "CYACT64_TANH_D3_H"
    const double TANH_D3_L "CYACT64_TANH_D3_L"
    const double ONE_OVER_3_H "CYACT64_ONE_OVER_3_H"
    const double ONE_OVER_3_L "CYACT64_ONE_OVER_3_L"
    const double ONE_OVER_5_H "CYACT64_ONE_OVER_5_H"
    const double ONE_OVER_5_L "CYACT64_ONE_OVER_5_L"
    const double ONE_OVER_7_H "CYACT64_ONE_OVER_7_H"
    const double ONE_OVER_7_L "CYACT64_ONE_OVER_7_L"
    # selu's lambda and lambda alpha; both parts are positive, so that products of inf agree
    const double SELU_H "CYACT64_SELU_H"
    const double SELU_L "CYACT64_SELU_L"
    const double SELU_ALPHA_H "CYACT64_SELU_ALPHA_H"
    const double SELU_ALPHA_L "CYACT64_SELU_ALPHA_L"
    const double PI_2_H "CYACT64_PI_2_H"
    const double PI_2_L "CYACT64_PI_2_L"
    const double PI_4_H "CYACT64_PI_4_H"
    const double PI_4_L "CYACT64_PI_4_L"

# 2^n (1 + r + w)
cdef struct reduced:
    double n
    double r
    double w

# 2^n (hi + lo)
cdef struct scaled:
    double n
    double hi
    double lo

# hi + inverse * rest
cdef struct corrected:
    double hi
    double inverse
    double rest

# sigmoid(v) = m / d and sigmoid(-v) = e / d but for a power of two in m and e: e = e^-|v|,
# d = 1 + e, and m is 1 for positive v, e for negative v.
cdef struct gate:
    bint negative
    pair e
    pair m
    pair d


# Bits and bounds

cdef inline double absolute(double x) noexcept nogil:
    return from_bits64(bits64(x) & 0x7fffffffffffffffULL)


cdef inline double minus_absolute(double x) noexcept nogil:
    return from_bits64(bits64(x) | 0x8000000000000000ULL)


cdef inline double with_sign(double magnitude, double x) noexcept nogil:
    """magnitude, whose own sign is not set or that of x, with the sign of x."""
    return from_bits64(bits64(magnitude) | (bits64(x) & 0x8000000000000000ULL))


cdef inline double at_most(double x, double bound) noexcept nogil:
    """min(x, bound); NaN stays NaN."""
    return bound if x > bound else x


cdef inline double at_least(double x, double bound) noexcept nogil:
    """max(x, bound); NaN stays NaN."""
    return bound if x < bound else x


cdef inline double power_of_two(double n) noexcept nogil:
    """2^n for an integer -1023 < n < 1024."""
    return from_bits64(bits64(n + (ROUND + 1023.0)) << 52)


cdef inline double scale(double x, double n) noexcept nogil:
    """x * 2^n for an integer |n| < 2040, in two steps in the same direction."""
    cdef double half = fma(n, 0.5, ROUND) - ROUND
    return x * power_of_two(half) * power_of_two(n - half)


# Exponentials

cdef inline reduced reduce_exp(pair x) noexcept nogil:
    """e^x for |x| < 2500, as 2^n (1 + r + w) with |r| < 0.35 and r free of error."""
    cdef reduced e
    cdef double low, r, z, p
    e.n = fma(x.hi, LOG2E, ROUND) - ROUND
    e.r = fma(-e.n, LN2_H, x.hi)
    low = fma(-e.n, LN2_L, x.lo)
    r = e.r + low
    z = r * r
    p = fma(r, 2.4999967240786408e-08, 2.763037485444034e-07)
    p = fma(p, z, fma(r, 2.755758731768377e-06, 2.480149277264959e-05))
    p = fma(p, z, fma(r, 0.00019841269504813165, 0.001388888894391388))
    p = fma(p, z, fma(r, 0.008333333333495592, 0.04166666666652922))
    p = fma(p, z, fma(r, 0.1666666666666641, 0.5000000000000011))
    e.w = fma(z, p, low)
    return e


cdef inline pair plus_small(double a, double r, double w) noexcept nogil:
    """a + r + w, |a| > |r| or a = 0, |r| > |w|; the first rounding error is then exact."""
    cdef pair s
    s.hi = a + (r + w)
    s.lo = ((a - s.hi) + r) + w
    return s


cdef inline scaled exp_parts(pair x) noexcept nogil:
    """e^x for |x| < 2500."""
    cdef reduced e = reduce_exp(x)
    cdef pair s = plus_small(1, e.r, e.w)
    cdef scaled y
    y.n = e.n
    y.hi = s.hi
    y.lo = s.lo
    return y


cdef inline pair expm1_parts(pair x) noexcept nogil:
    """e^x - 1 for -700 < x < 700."""
    cdef reduced e = reduce_exp(x)
    cdef double s = power_of_two(e.n)
    return plus_small(s - 1, s * e.r, s * e.w)


cdef inline double exp(double x) noexcept nogil:
    cdef reduced e = reduce_exp(single(at_least(at_most(x, 720.0), -760.0)))
    cdef pair one_r = fast_two_sum(1, e.r)
    return scale(one_r.hi + (one_r.lo + e.w), e.n)


cdef inline double expm1(double x) noexcept nogil:
    """2^n (1 + r + w) - 1; from n = 1000 on the 1 no longer counts, so n can stop there."""
    cdef reduced e = reduce_exp(single(at_least(at_most(x, 720.0), -60.0)))
    cdef double n = at_most(e.n, 1000.0)
    cdef double s = power_of_two(n)
    cdef pair sum = fast_two_sum(s - 1, s * e.r)
    cdef double y = (sum.hi + fma(s, e.w, sum.lo)) * power_of_two(e.n - n)
    return x if absolute(x) < 1e-300 else y


# Logarithms

cdef inline double log_rest(double z) noexcept nogil:
    """(log((1 + s)/(1 - s)) - 2 s)/s^3, z = s^2 < 0.0394."""
    cdef double p
    p = 0.13804373553807905
    p = fma(p, z, 0.13179305823829598)
    p = fma(p, z, 0.15390772387503862)
    p = fma(p, z, 0.18181676291877844)
    p = fma(p, z, 0.2222222412196267)
    p = fma(p, z, 0.28571428557380196)
    p = fma(p, z, 0.40000000000050195)
    p = fma(p, z, 0.6666666666666661)
    return p


cdef inline double log(double x) noexcept nogil:
    """The logarithm of a positive normal number, within 1 ULP."""
    # x = 2^k m, m between sqrt(1/2) and sqrt(2); 1024 is added to k to keep it positive
    cdef unsigned long long k = (bits64(x) - 0x3fe6a09e667f3bcdULL + (1024ULL << 52)) >> 52
    cdef double m = from_bits64(bits64(x) - ((k - 1024ULL) << 52))
    cdef double exponent = from_bits64(k | 0x4330000000000000ULL) - (4503599627370496.0 + 1024.0)
    cdef pair s = quotient(single(m - 1), fast_two_sum(2, m - 1))
    cdef double z = s.hi * s.hi
    cdef pair sum = fast_two_sum(exponent * LN2_H, s.hi + s.hi)
    return sum.hi + (sum.lo + (exponent * LN2_L + (fma(s.hi * z, log_rest(z), s.lo + s.lo))))


# Here w = 2^k (1 + f) with 1 + f between 3/4 and 3/2, and k is kept 1024 too large.

cdef inline double atanh_rest(double z) noexcept nogil:
    """(log((1 + s)/(1 - s)) - 2 s)/s^3, z = s^2 < 0.0405."""
    cdef double u = z * z
    cdef double p = fma(z, 0.1386713205303178, 0.1316998931438702)
    p = fma(p, u, fma(z, 0.15391330129764424, 0.18181659073307196))
    p = fma(p, u, fma(z, 0.22222224412412242, 0.28571428554777595))
    p = fma(p, u, fma(z, 0.40000000000061164, 0.6666666666666659))
    return p


cdef inline unsigned long long exponent_of(double w) noexcept nogil:
    """k + 1024 of a positive w."""
    return (bits64(w) - 0x3fe8000000000000ULL + (1024ULL << 52)) >> 52


cdef inline double unbiased(unsigned long long k) noexcept nogil:
    """k - 1024 as a double."""
    return from_bits64(k | 0x4330000000000000ULL) - (4503599627370496.0 + 1024.0)


cdef inline double log_of(double exponent, pair f) noexcept nogil:
    """exponent ln2 + log(1 + f), the latter as f - f^2/2 + s (f^2/2 + ...), s = f/(2 + f)."""
    cdef double s = f.hi / (2 + f.hi)
    cdef double z = s * s
    cdef double half = 0.5 * f.hi * f.hi
    cdef double rest = fma(exponent, LN2_L, f.lo * (1 - f.hi))
    rest = half - fma(s, fma(z, atanh_rest(z), half), rest)
    return exponent * LN2_H - (rest - f.hi)


cdef inline double log1p_any(double x) noexcept nogil:
    """log(1 + x) for a finite x > -1; that of -0.0 is 0.0."""
    cdef unsigned long long k = exponent_of(1 + x)
    # f = 2^-k x + (2^-k - 1) is exact
    cdef double scaled_x = from_bits64(bits64(x) - ((k - 1024ULL) << 52))
    cdef double twice = from_bits64((2048ULL - k) << 52)
    return log_of(unbiased(k), single(scaled_x + (0.5 * twice - 1)))


cdef inline double log1mexp(double x) noexcept nogil:
    """log(1 - e^-x) for 0 < x <= 800."""
    cdef reduced e = reduce_exp(single(-x))
    cdef double s = power_of_two(at_least(e.n, -1000.0))
    cdef pair one = plus_small(1, e.r, e.w)         # e^-x = 2^n one
    cdef pair w = plus_small(s - 1, s * e.r, s * e.w)
    # a w near the subnormal numbers is lifted by 2^128
    cdef bint tiny = x < 1e-280
    cdef double lift = -3.402823669209385e+38 if tiny else -1.0
    cdef unsigned long long k
    cdef double step
    cdef pair f
    w.hi *= lift
    w.lo *= lift
    k = exponent_of(w.hi)
    step = from_bits64((2047ULL - k) << 52)
    # next to 1, w has lost the digits of e^-x
    f.hi = w.hi * step - 1 if w.hi < 0.75 else -s * one.hi
    f.lo = w.lo * step if w.hi < 0.75 else -s * one.lo
    cdef double y = log_of(unbiased(k) - (128.0 if tiny else 0.0), f)
    return -scale(one.hi + one.lo, e.n) if x > 40 else y


cdef inline double log1mexp_d(double x) noexcept nogil:
    """1/(e^x - 1) = e^-x/(1 - e^-x) for 0 <= x <= 800."""
    cdef reduced e = reduce_exp(single(-x))
    cdef double s = power_of_two(at_least(e.n, -1000.0))
    cdef pair one = plus_small(1, e.r, e.w)
    cdef pair w = plus_small(1 - s, -s * e.r, -s * e.w)
    cdef double y = scale(divide(one, w), e.n)
    return 1 / x if x < 1e-30 else y


cdef inline double logit(double x) noexcept nogil:
    """log(x/(1 - x)) for 0 < x < 1, as k ln2 + 2 atanh((x - 2^k (1 - x))/(x + 2^k (1 - x)))."""
    # an x near the subnormal numbers is lifted by 2^128
    cdef bint tiny = x < 1e-280
    cdef double v = x * 3.402823669209385e+38 if tiny else x
    cdef pair u = fast_two_sum(1, -x), n, d, s, sum
    # the difference of two bit patterns is 2^52 log2 of the ratio, to 0.087
    cdef unsigned long long k = (bits64(v) - bits64(u.hi) + (1ULL << 51) + (1024ULL << 52)) >> 52
    cdef double step = from_bits64((k - 1) << 52)
    cdef double exponent = unbiased(k) - (128.0 if tiny else 0.0)
    cdef double z
    u.hi *= step
    u.lo *= step
    n = pair_of(v - u.hi, -u.lo)                    # exact: neither is twice the other
    d = fast_two_sum(u.hi, v)                       # nearly exact, for the same reason
    d.lo += u.lo
    s = quotient(n, d)
    z = s.hi * s.hi
    sum = fast_two_sum(exponent * LN2_H, s.hi + s.hi)
    return sum.hi + (sum.lo + fma(exponent, LN2_L, fma(s.hi * z, atanh_rest(z), s.lo + s.lo)))


cdef inline double logit_d(double x) noexcept nogil:
    """1/(x (1 - x)) for 0 <= x <= 1."""
    cdef pair d
    if FMA:
        return 1 / fma(-x, x, x)
    d = times(fast_two_sum(1, -x), x)
    return 1 / (d.hi + d.lo)


cdef inline pair log1p_parts(pair e) noexcept nogil:
    """log(1 + e), 0 <= e <= 1: e times a polynomial, and what e.lo adds."""
    # halves of the polynomial in x^4, of pairs: a short chain where there is nothing to overlap
    cdef double x = e.hi - 0.5, u = x * x, z = u * u, even, odd
    cdef pair p, y
    even = fma(x, 2.752455385038911e-05, -4.4795160088746195e-05)
    even = fma(even, z, fma(x, 0.00022107442625288155, -0.0003548159558473583))
    even = fma(even, z, fma(x, 0.0015153828238284898, -0.0024918411228496413))
    even = fma(even, z, fma(x, 0.011833792109661413, -0.020548811918991924))
    even = fma(even, z, fma(x, 0.1326097537542029, -0.2885270990993239))
    odd = fma(x, 2.504178109608435e-05, -3.839045001860966e-05)
    odd = fma(odd, z, fma(x, 8.973261664124882e-05, -0.0001421166327768367))
    odd = fma(odd, z, fma(x, 0.0005730654049951967, -0.0009288581625695611))
    odd = fma(odd, z, fma(x, 0.004136179121800764, -0.006945394979122867))
    odd = fma(odd, z, fma(x, 0.03661185452315794, -0.06768864331096612))
    p = fast_two_sum(0.8109302162163288, fma(x, fma(u, odd, even), -4.699288388478326e-18))
    y = two_prod(e.hi, p.hi)
    # 1/(1 + e) to 2 % is enough for e.lo
    y.lo += fma(e.hi, p.lo, e.lo * fma(e.hi, fma(e.hi, 0.32, -0.81), 0.99))
    return y


cdef inline double log1p(double x) noexcept nogil:
    """log(1 + x) for 0 <= x <= 1."""
    cdef pair y = log1p_parts(single(x))
    return y.hi + y.lo


# The logistic function and what is built on it

cdef inline pair lifted_exp(pair u) noexcept nogil:
    """2^96 e^u for -770 < u <= 0: the whole range of sigmoid without a subnormal number."""
    cdef scaled e = exp_parts(u)
    cdef double s = power_of_two(e.n + 96.0)
    cdef pair y
    y.hi = e.hi * s
    y.lo = e.lo * s
    return y


cdef inline pair halved_exp(pair u, double* step) noexcept nogil:
    """e^u / step^2 for -1500 <= u <= 0; the power of two `step` keeps it above 2^-962."""
    cdef scaled e = exp_parts(u)
    cdef double half = at_most(fma(e.n, 0.5, ROUND + 480.0) - ROUND, 0.0)
    cdef double s = power_of_two(e.n - (half + half))
    cdef pair y
    step[0] = power_of_two(half)
    y.hi = e.hi * s
    y.lo = e.lo * s
    return y


cdef inline pair one_plus(pair e, double s) noexcept nogil:
    """1 + s e, 0 <= s e <= 1, s a power of two."""
    cdef pair d
    d.hi = fma(e.hi, s, 1.0)
    d.lo = fma(e.lo, s, fma(e.hi, s, 1 - d.hi))
    return d


cdef inline pair lower(pair v, double bound) noexcept nogil:
    """-|v|, or bound if that is larger (so also after an overflow)."""
    cdef double a = minus_absolute(v.hi)
    cdef double low = v.lo if v.hi < 0 else -v.lo
    cdef pair u
    u.hi = at_least(a, bound)
    u.lo = 0.0 if a < bound else low
    return u


cdef inline gate open_gate(pair u, bint negative) noexcept nogil:
    """m and e are 2^96 times what they stand for."""
    cdef gate g
    g.negative = negative
    g.e = lifted_exp(u)
    g.d = one_plus(g.e, UNLIFT)
    g.m.hi = g.e.hi if negative else LIFT
    g.m.lo = g.e.lo if negative else 0.0
    return g


cdef inline void exp_ratio(double t, double* n, double* m) noexcept nogil:
    """e^t = n/(2^96 m) for -760 <= t <= 0: the whole range of sigmoid, and n is normal.

    With t = k log 2 + r, m = u - c r and n = 2^k (u + c r), u = c r coth(r/2) and c = 27/32.
    Computed as 2^k (m + 2 c r), n makes up for the rounding of m.
    """
    cdef double rounded = fma(t, LOG2E, ROUND), k = rounded - ROUND
    cdef double r = fma(-k, LN2_L, fma(-k, LN2_H, t)), z = r * r
    cdef double u = fma(3.488277705082108e-08, z, -1.3950372090403696e-06)
    u = fma(u, z, 5.580356767026327e-05)
    u = fma(u, z, -0.0023437499998680816)
    u = fma(u, z, 0.140624999999998)
    u = fma(u, z, 1.6875)
    m[0] = fma(-0.84375, r, u)
    u = fma(1.6875, r, m[0])
    n[0] = from_bits64(bits64(u) + (bits64(rounded) << 52) + (96ULL << 52))


cdef inline corrected sigmoid_from(double n, double m, bint negative) noexcept nogil:
    """2^96/(1 + e^-|x|), or 2^96/(1 + e^|x|) where negative, given e^-|x| = n/(2^96 m)."""
    cdef double d = fma(n, UNLIFT, m), low = fma(n, UNLIFT, m - d)
    cdef double c = n if negative else from_bits64(bits64(m) + (96ULL << 52))
    cdef corrected q
    q.inverse = 1 / d
    q.hi = c * q.inverse
    q.rest = fma(-q.hi, low, residual(c, q.hi, d))
    return q


cdef inline double sigmoid(double n, double m, double x) noexcept nogil:
    """1/(1 + e^-x) given e^-|x| = n/(2^96 m)."""
    cdef corrected q = sigmoid_from(n, m, x < 0)
    return fma(q.inverse, q.rest, q.hi) * UNLIFT


cdef inline double silu1(double n, double m, double x) noexcept nogil:
    """x sigmoid(x), likewise."""
    cdef corrected q = sigmoid_from(n, m, x < 0)
    cdef double c = at_least(x, -760.0), low = c * (q.inverse * q.rest), y = c * q.hi
    if FMA:
        y = fma(c, q.hi, low)
    else:
        # the sum of -0.0 and an error of 0.0 has lost the sign
        y = with_sign(absolute(y + (product_error(c, q.hi, y) + low)), x)
    # x from where sigmoid rounds to 1
    return y * UNLIFT if x < 60 else x


cdef inline double gated_d(pair w, gate g) noexcept nogil:
    """sigmoid(v) (1 + w (1 - sigmoid(v))), the derivative of x sigmoid(v) if w = x v'.

    For v < 0 this is e (d + w)/d^2, else (d + w e)/d^2.
    """
    cdef pair we = product(w, g.e), q
    we.hi = w.hi if g.negative else we.hi * UNLIFT
    we.lo = w.lo if g.negative else we.lo * UNLIFT
    we.lo += g.d.lo
    q = quotient(plus(g.d.hi, we), product(g.d, g.d))
    return fma(q.hi, g.m.hi, fma(q.hi, g.m.lo, q.lo * g.m.hi)) * UNLIFT


cdef inline double bell(double x, double height) noexcept nogil:
    """height sigmoid(x) sigmoid(-x), height a power of two."""
    cdef pair e = lifted_exp(single(at_least(minus_absolute(x), -760.0)))
    cdef pair d = one_plus(e, UNLIFT)
    return divide(e, product(d, d)) * (height * UNLIFT)


cdef inline double sigmoid_d(double x) noexcept nogil:
    """sigmoid(x) sigmoid(-x)."""
    return bell(x, 1)


cdef inline double tanh(double x) noexcept nogil:
    """m/(m + 2), m = e^(2|x|) - 1, with the sign of x."""
    cdef double a = at_most(absolute(x), 20.0)
    cdef pair m = expm1_parts(single(a + a))
    return with_sign(divide(m, plus(2, m)), x)


cdef inline double tanh_d(double x) noexcept nogil:
    """1 - tanh(x)^2 = 4 sigmoid'(2 x)."""
    return bell(x + x, 4)


cdef inline pair tanh_parts(double a) noexcept nogil:
    """tanh(a) for 0 <= a <= 20."""
    cdef pair m = expm1_parts(single(a + a))
    return quotient(m, plus(2, m))


cdef inline double tanh_squared(double x) noexcept nogil:
    cdef pair y = tanh_parts(at_most(absolute(x), 20.0))
    return fma(y.hi, y.hi, 2 * y.hi * y.lo)


cdef inline double tanh_shrink(double x) noexcept nogil:
    """x - tanh(x): up to 3/4 as x^3 (1/3 + x^2 P(x^2)), beyond by subtraction."""
    cdef double a = at_most(absolute(x), 1e17)
    cdef double z = a * a, u = z * z
    # a result near the subnormal numbers is lifted by 2^600
    cdef bint tiny = a < 1e-60
    cdef double b = a * 1.6069380442589903e+60 if tiny else a
    cdef pair y = times(two_prod(b, b), b), t = tanh_parts(at_most(a, 20.0)), third
    cdef double difference = a - t.hi
    cdef double p = fma(z, 1.6490785141482102e-06, -1.0077044325191558e-05)
    p = fma(p, u, fma(z, 3.453971254086888e-05, -9.428800838023015e-05))
    p = fma(p, u, fma(z, 0.00023811724928511242, -0.0005897558844747955))
    p = fma(p, u, fma(z, 0.0014557841306316016, -0.003592121790053478))
    p = fma(p, u, fma(z, 0.008863235033052058, -0.021869488512904205))
    p = fma(p, u, fma(z, 0.053968253967706506, -0.13333333333332884))
    difference += ((a - difference) - t.hi) - t.lo
    third = fast_two_sum(ONE_OVER_3_H, fma(p, z, ONE_OVER_3_L))
    y = product(y, third)
    b = (y.hi + y.lo) * (2.409919865102884e-181 if tiny else 1.0)
    return x if absolute(x) > 1e16 else with_sign(difference if a > 0.75 else b, x)


cdef inline double silu(double x, double beta) noexcept nogil:
    """x sigmoid(beta x)."""
    cdef pair v = two_prod(beta, x)
    cdef bint negative = v.hi < 0
    # beyond -1500 the result is this zero; an infinite x must not meet a sigmoid that is not 0
    cdef double c = with_sign(0.0, x) if minus_absolute(v.hi) < -1500 else x
    cdef double step
    cdef pair e = halved_exp(lower(v, -1500.0), &step), m, q
    m.hi = e.hi if negative else 1.0
    m.lo = e.lo if negative else 0.0
    q = quotient(m, one_plus(e, 1.0))
    # without a fused multiply-add a negative product that vanishes loses its sign in the sum
    cdef double y = with_sign(absolute(fma(c, q.hi, c * q.lo) * step * step), x)
    # x from where sigmoid rounds to 1; also for 0 * inf
    return y if v.hi < 60 else x


cdef inline double silu_d(double x, double beta) noexcept nogil:
    """sigmoid(v) (1 + v (1 - sigmoid(v))), v = beta x."""
    cdef pair v = two_prod(beta, x), w = lower(v, -760.0)
    cdef gate g = open_gate(w, v.hi < 0)
    cdef double y, end = LARGEST if beta == 0 else INFINITY
    w.hi = w.hi if g.negative else -w.hi
    w.lo = w.lo if g.negative else -w.lo
    y = gated_d(w, g)
    return 0.5 if absolute(x) > end else y


cdef inline double log_sigmoid(double x) noexcept nogil:
    """min(x, 0) - log(1 + e^-|x|), as minus a sum: so that it vanishes as -0.0."""
    cdef double step
    cdef pair y = log1p_parts(halved_exp(single(at_least(minus_absolute(x), -1500.0)), &step))
    return -((-x if x < 0 else 0.0) + (y.hi + y.lo) * step * step)


# With e = e^x, mish is x t e/(t e + 2), t = 2 + e. For positive x, with h = e^-x, that is
# x t/(t + 2 h^2), t = 1 + 2 h.

cdef struct mishing:
    bint negative
    pair e      # 2^96 e^-|x|
    pair h      # e^-|x|
    pair t
    pair m      # the numerator; 2^96 of it
    pair d      # the denominator


cdef inline mishing open_mish(double x) noexcept nogil:
    cdef mishing g
    cdef pair square
    g.negative = x < 0
    g.e = lifted_exp(single(at_least(minus_absolute(x), -760.0)))
    g.h = pair_of(g.e.hi * UNLIFT, g.e.lo * UNLIFT)
    square = product(g.h, g.h)
    g.t = plus(2.0, g.h) if g.negative else one_plus(g.h, 2.0)
    g.m = product(g.e, g.t) if g.negative else pair_of(g.t.hi * LIFT, g.t.lo * LIFT)
    g.d = two_sum(g.m.hi * UNLIFT, 2.0 if g.negative else square.hi + square.hi)
    g.d.lo += g.m.lo * UNLIFT + (0.0 if g.negative else square.lo + square.lo)
    return g


cdef inline double mish(double x) noexcept nogil:
    """x tanh(log(1 + e^x))."""
    cdef double c = at_least(x, -760.0)
    cdef mishing g = open_mish(x)
    cdef pair q = quotient(g.m, g.d)
    cdef double y = with_sign(absolute(fma(c, q.hi, c * q.lo) * UNLIFT), x)
    return y if x < 60 else x


cdef inline double mish_d(double x) noexcept nogil:
    """(t d + 4 x (1 + h) f)/d^2 g: f = 1, g = h for negative x, else f = h^2, g = 1."""
    cdef double c = at_most(at_least(x, -760.0), 760.0)
    cdef mishing g = open_mish(x)
    cdef pair a = product(g.t, g.d)
    cdef pair b = times(one_plus(g.h, 1.0), 4 * c)
    cdef double f = 1.0 if g.negative else g.h.hi * g.h.hi
    cdef double first = g.e.hi if g.negative else LIFT
    cdef pair sum = two_sum(a.hi, b.hi * f)
    sum.lo += fma(b.lo, f, a.lo)
    cdef pair q = quotient(sum, product(g.d, g.d))
    return fma(q.hi, first, fma(q.hi, g.e.lo if g.negative else 0.0, q.lo * first)) * UNLIFT


cdef inline double softplus(double x, double beta) noexcept nogil:
    """max(x, 0) + log(1 + e^-|beta x|)/beta."""
    # 1/beta as a pair; half the exponent of beta is lent to it so that both parts are normal
    cdef double loan = from_bits64((1534ULL << 52) - ((bits64(beta) >> 1) & 0x3ff0000000000000ULL))
    cdef pair inverse = reciprocal(single(beta * loan))
    cdef pair v = two_prod(beta, x), y
    cdef bint positive = v.hi > 0
    cdef double step
    y = product(log1p_parts(halved_exp(lower(v, -1500.0), &step)), inverse)
    return (x if positive else 0.0) + (y.hi + y.lo) * loan * step * step


cdef inline double softplus_d(double x, double beta) noexcept nogil:
    """sigmoid(beta x)."""
    cdef pair v = two_prod(beta, x)
    cdef gate g = open_gate(lower(v, -760.0), v.hi < 0)
    return divide(g.m, g.d) * UNLIFT


cdef inline double softplus_y(double y, double beta) noexcept nogil:
    """softplus' from y = softplus(x): 1 - e^(-beta y)."""
    cdef pair v = two_prod(-beta, y), m
    v.lo = v.lo if absolute(v.hi) < 60 else 0.0
    v.hi = at_least(at_most(v.hi, 690.0), -60.0)
    m = expm1_parts(v)
    return 0.0 - (m.hi + m.lo)


# Arctangents

cdef inline double atan_rest(double z) noexcept nogil:
    """(atan(t) - t)/t^3, z = t^2 <= 1/4."""
    cdef double u = z * z
    cdef double p = fma(z, 0.010131676701092074, -0.027457429701593705)
    p = fma(p, u, fma(z, 0.041879937431621585, -0.05122571956753786))
    p = fma(p, u, fma(z, 0.058584351672252614, -0.06663832225333906))
    p = fma(p, u, fma(z, 0.07692076191169031, -0.0909089640212194))
    p = fma(p, u, fma(z, 0.11111110666470553, -0.1428571427655825))
    p = fma(p, u, fma(z, 0.19999999999905277, -0.33333333333332993))
    return p


cdef inline double atan_sum(double base, double base_low, double t, double t_low) noexcept nogil:
    """base + atan(t), |t| <= 1/2 and either less than base or base 0."""
    cdef double z = t * t
    cdef double sum = base + t
    return sum + ((base - sum) + t + fma(t * z, atan_rest(z), base_low + t_low))


cdef inline double arctan(double x) noexcept nogil:
    """atan of |x| up to 1/2; then pi/4 + atan((a - 1)/(a + 1)) up to 2; then pi/2 - atan(1/a)."""
    cdef double a = absolute(x)
    cdef bint middle = a > 0.5, large = a > 2
    cdef double n = -1.0 if large else a - 1 if middle else a
    cdef double d = a if large else a + 1 if middle else 1.0
    cdef double base = PI_2_H if large else PI_4_H if middle else 0.0
    cdef double low = PI_2_L if large else PI_4_L if middle else 0.0
    return with_sign(atan_sum(base, low, n / d, 0), x)


cdef inline double arctan_d(double x) noexcept nogil:
    """1/(1 + x^2)."""
    cdef double a = at_most(absolute(x), 1e170)
    cdef bint large = a > 1e100                     # then x^2 is lowered by 2^-800
    cdef double unit = 3.8725919148493183e-121 if large else 1.0
    cdef pair d = two_prod(a * unit, a * unit)
    d = plus(0.0 if large else 1.0, d)
    return 1 / (d.hi + d.lo) * unit * unit


cdef inline double gudermannian(double x) noexcept nogil:
    """2 atan(tanh(x/2)), tanh(x/2) = m/(m + 2); where that is large, pi/2 - 2 atan(1/(m + 1)).

    m = e^|x| - 1.
    """
    cdef double a = at_most(absolute(x), 40.0)
    cdef bint large = a > 0.88
    cdef pair m = expm1_parts(single(a)), d = plus(1.0 if large else 2.0, m), t
    m.hi = -1.0 if large else m.hi
    m.lo = 0.0 if large else m.lo
    t = quotient(m, d)
    cdef double y = 2 * atan_sum(PI_4_H if large else 0.0, PI_4_L if large else 0.0, t.hi, t.lo)
    return x if absolute(x) < 1e-9 else with_sign(y, x)


cdef inline double sech(double x) noexcept nogil:
    """1/cosh(x) = 2 e/(1 + e^2), e = e^-|x|."""
    cdef pair e = lifted_exp(single(at_least(minus_absolute(x), -760.0)))
    cdef pair low = pair_of(e.hi * UNLIFT, e.lo * UNLIFT)
    return divide(e, plus(1, product(low, low))) * (2 * UNLIFT)


# The normal distribution

cdef inline scaled normal_exp(double a) noexcept nogil:
    """e^(-a^2/2)."""
    cdef pair square = two_prod(a, a)
    return exp_parts(pair_of(-0.5 * square.hi, -0.5 * square.lo))


cdef inline double density(pair square, pair height) noexcept nogil:
    """height e^-square."""
    cdef scaled e = exp_parts(pair_of(-square.hi, -square.lo))
    cdef pair y = product(pair_of(e.hi, e.lo), height)
    return scale(y.hi + y.lo, e.n)


cdef inline pair tail_numerator(double a) noexcept nogil:
    """(a + 1.3125) erfcx(a / sqrt 2) / 2 for a >= 0.

    Times a + 1.3125, erfcx varies little: a polynomial in (a - 5.5) / (a + 5.5) (after
    Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in
    0 <= x < inf", 1981).
    """
    cdef double t = (a - 5.5) / (a + 5.5), u = t * t, even, odd
    even = -1.3630350490877494e-10
    even = fma(even, u, 2.4377489655552376e-09)
    even = fma(even, u, -3.246715048421649e-08)
    even = fma(even, u, 3.9573992428494555e-07)
    even = fma(even, u, -4.335300912785322e-06)
    even = fma(even, u, 3.729301666783625e-05)
    even = fma(even, u, -9.834930828650184e-05)
    even = fma(even, u, -0.003787443747770866)
    even = fma(even, u, -0.013832219989408364)
    even = fma(even, u, -0.004796546552086698)
    even = fma(even, u, 0.07086777346211072)
    odd = 3.5751083582096925e-10
    odd = fma(odd, u, -4.4141719518379234e-09)
    odd = fma(odd, u, 3.3330891479160964e-08)
    odd = fma(odd, u, -2.1089378681547044e-07)
    odd = fma(odd, u, 1.0876768296282696e-06)
    odd = fma(odd, u, -1.29201345964329e-06)
    odd = fma(odd, u, -7.931160735165738e-05)
    odd = fma(odd, u, 0.001096969798707384)
    odd = fma(odd, u, 0.008544745805554307)
    odd = fma(odd, u, 0.014998955659444207)
    odd = fma(odd, u, -0.023428314487612917)
    odd = fma(odd, u, -0.12978651901183852)
    return fast_two_sum(0.4792096030461837, fma(t, odd, fma(u, even, 2.5346186299296578e-17)))


cdef inline pair tail_denominator(double a) noexcept nogil:
    return two_sum(a, 1.3125)


cdef inline pair normal_tail(double a, scaled e) noexcept nogil:
    """(1 - Phi(a)) / 2^e.n for 0 <= a <= 39 and e = e^(-a^2/2), as e erfcx(a/sqrt 2)/2."""
    return quotient(product(pair_of(e.hi, e.lo), tail_numerator(a)), tail_denominator(a))


cdef inline double gelu(double x) noexcept nogil:
    """x Phi(x) = max(x, 0) - |x| (1 - Phi(|x|))."""
    cdef double a = at_most(absolute(x), 39.0)
    cdef scaled e = normal_exp(a)
    cdef pair q = normal_tail(a, e)
    cdef double tail = scale(fma(a, q.hi, a * q.lo), e.n)
    return x - tail if x >= 0 else -tail


cdef inline double gelu_d(double x) noexcept nogil:
    """Phi(x) + x phi(x); for negative x that is 1 - Phi(a) - a phi(a), a = |x|."""
    cdef double a = at_most(absolute(x), 39.0), y
    cdef scaled e = normal_exp(a)
    cdef pair q = product(pair_of(-e.hi, -e.lo),
                          times(pair_of(INV_SQRT_2PI_H, INV_SQRT_2PI_L), a))
    cdef pair tail = normal_tail(a, e)
    q.lo += tail.lo
    q = plus(tail.hi, q)
    y = scale(q.hi + q.lo, e.n)
    return 1 - y if x >= 0 else y


cdef inline pair cubic(double x, double h1, double l1, double h3, double l3) noexcept nogil:
    """x ((h1 + l1) + (h3 + l3) x^2)."""
    cdef pair c = plus(h1, product(pair_of(h3, l3), two_prod(x, x)))
    c.lo += l1
    return times(c, x)


cdef inline double gelu_tanh(double x) noexcept nogil:
    """x/2 (1 + tanh u) = x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3)."""
    cdef double c = at_least(at_most(x, 24.0), -24.0)
    cdef pair v = cubic(c, TANH_1_H, TANH_1_L, TANH_3_H, TANH_3_L)
    cdef gate g = open_gate(lower(v, -760.0), v.hi < 0)
    cdef pair q = quotient(g.m, g.d)
    return fma(c, q.hi, c * q.lo) * UNLIFT if v.hi < 60 else x


cdef inline double gelu_tanh_d(double x) noexcept nogil:
    """sigmoid(v) (1 + x v' (1 - sigmoid(v))), v = 2 u."""
    cdef double c = at_least(at_most(x, 24.0), -24.0)
    cdef pair v = cubic(c, TANH_1_H, TANH_1_L, TANH_3_H, TANH_3_L)
    cdef pair w = cubic(c, TANH_1_H, TANH_1_L, TANH_D3_H, TANH_D3_L)
    return gated_d(w, open_gate(lower(v, -760.0), v.hi < 0))


# The error function and the normal distribution function

cdef inline double erf(double x) noexcept nogil:
    """x + x p(x^2) for |x| < 7/8; from there on 1 - e^-q(|x|)."""
    cdef double a = at_most(absolute(x), 6.0), z = a * a, p, q, odd
    cdef reduced e
    p = -8.655111561760374e-10
    p = fma(p, z, 1.4118056982563494e-08)
    p = fma(p, z, -1.6288380353435115e-07)
    p = fma(p, z, 1.6456518552641008e-06)
    p = fma(p, z, -1.4925381488623572e-05)
    p = fma(p, z, 0.00012055324326086586)
    p = fma(p, z, -0.0008548326839444819)
    p = fma(p, z, 0.005223977622956138)
    p = fma(p, z, -0.026866170644932613)
    p = fma(p, z, 0.11283791670954303)
    p = fma(p, z, -0.37612638903183737)
    p = fma(p, z, 0.1283791670955126)
    q = -1.4514653143697885e-12
    q = fma(q, z, -1.3439208499182097e-09)
    q = fma(q, z, -1.5675291732155773e-07)
    q = fma(q, z, -5.1927954876024224e-06)
    q = fma(q, z, -5.387424464915742e-05)
    q = fma(q, z, 8.761293349370284e-06)
    q = fma(q, z, 0.0017101299388420422)
    q = fma(q, z, -0.019113405180473338)
    q = fma(q, z, 0.6366224368495665)
    q = fma(q, z, 5.099720289435078e-08)
    odd = 6.453780363523112e-11
    odd = fma(odd, z, 1.7403208380746002e-08)
    odd = fma(odd, z, 1.0383479195414056e-06)
    odd = fma(odd, z, 1.9625436483295724e-05)
    odd = fma(odd, z, 9.034846680568136e-05)
    odd = fma(odd, z, -0.0005893497221251934)
    odd = fma(odd, z, -0.00022833260127873788)
    odd = fma(odd, z, 0.10276479197629691)
    odd = fma(odd, z, 1.1283786218013394)
    q = fma(a, odd, q)
    e = reduce_exp(single(-q))
    q = power_of_two(e.n)
    q = 1 - fma(q, e.r + e.w, q)
    return with_sign(fma(a, p, a) if a < 0.875 else q, x)


cdef inline double erf_d(double x) noexcept nogil:
    """2/sqrt(pi) e^(-x^2)."""
    cdef double a = at_most(absolute(x), 28.0)
    return density(two_prod(a, a), pair_of(TWO_INV_SQRT_PI_H, TWO_INV_SQRT_PI_L))


cdef inline double erfc(double x) noexcept nogil:
    """2 (1 - Phi(sqrt(2) |x|)), or for negative x 2 minus that."""
    cdef double c = at_most(absolute(x), 27.5), y
    cdef pair a = times(pair_of(SQRT2_H, SQRT2_L), c), square = two_prod(c, c)
    cdef pair d = tail_denominator(a.hi), q
    cdef scaled e = exp_parts(pair_of(-square.hi, -square.lo))
    # what a.lo adds to the numerator does not count
    d.lo += a.lo
    q = quotient(product(pair_of(e.hi, e.lo), tail_numerator(a.hi)), d)
    y = scale(q.hi + q.lo, e.n + 1)
    return 2 - y if x < 0 else y


cdef inline double ndtr(double x) noexcept nogil:
    """Phi(x): the tail, or for positive x 1 minus it."""
    cdef double a = at_most(absolute(x), 39.0), y
    cdef scaled e = normal_exp(a)
    cdef pair q = normal_tail(a, e)
    y = scale(q.hi + q.lo, e.n)
    return 1 - y if x > 0 else y


cdef inline double ndtr_d(double x) noexcept nogil:
    """phi(x)."""
    cdef double a = at_most(absolute(x), 39.5)
    cdef pair square = two_prod(a, a)
    return density(pair_of(0.5 * square.hi, 0.5 * square.lo),
                   pair_of(INV_SQRT_2PI_H, INV_SQRT_2PI_L))


cdef inline double log_ndtr(double x) noexcept nogil:
    """log(1 - e R), or for negative x log R - a^2/2; a = |x|, R = erfcx(a / sqrt 2)/2, e as below.

    With R = p/d that is the logarithm of c/d, c = d - e p or p. It is taken of 2^k c/d, which
    is (1 + s)/(1 - s) with s = (2^k c - d)/(2^k c + d); for k = 0 the numerator is -e p, not a
    difference.
    """
    cdef bint positive = x > 0
    cdef double a = at_most(absolute(x), 1e154), power, lowest, n, y, z
    cdef scaled e = normal_exp(at_most(a, 39.0))
    cdef pair p = tail_numerator(a), d = tail_denominator(a), ep, s, u, v, square
    cdef unsigned long long k
    ep = product(pair_of(e.hi, e.lo), p)
    # the smallest results are scaled in the end, or they would be subnormal too soon
    lowest = at_least(e.n, -200.0)
    power = -power_of_two(lowest)
    p.hi = ep.hi * power if positive else p.hi
    p.lo = ep.lo * power if positive else p.lo
    y = d.hi if positive else 0.0
    # k to the nearest, or almost: the bits of a number are nearly its logarithm
    k = (bits64(d.hi) - bits64(y + p.hi) + (1ULL << 51)) >> 52
    power = from_bits64((k + 1023) << 52)
    y = power - 1 if positive else -1.0
    u = plus(y * d.hi, pair_of(power * p.hi, power * p.lo))
    u.lo = fma(y, d.lo, u.lo)
    v = fast_two_sum(d.hi + d.hi, u.hi)
    v.lo += (d.lo + d.lo) + u.lo
    s = quotient(u, v)
    # 2 s + … - k log 2 - a^2/2
    square = two_prod(a, -0.5 * a)
    square.hi = 0.0 if positive else square.hi
    square.lo = 0.0 if positive else square.lo
    n = (4503599627370496.0 - from_bits64(k | 0x4330000000000000ULL))
    u = two_sum(square.hi, n * LN2_H)
    v = fast_two_sum(u.hi, s.hi + s.hi)
    z = s.hi * s.hi
    y = fma(n, LN2_L, fma(s.hi * z, log_rest(z), s.lo + s.lo))
    y = v.hi + (v.lo + (u.lo + (square.lo + y)))
    y *= power_of_two(e.n - lowest if positive else 0.0)
    # beyond 1e154 nothing but the square counts
    return -0.5 * x * x if x < -1e154 else y


cdef inline double log_ndtr_d(double x) noexcept nogil:
    """phi(x)/Phi(x); for negative x e^(-x^2/2) divides out."""
    cdef bint positive = x > 0
    cdef double a = at_most(absolute(x), 1e18), n, y
    cdef scaled e = normal_exp(at_most(a, 39.0))
    cdef pair p = tail_numerator(a), d = tail_denominator(a), m, ep, rest
    m = product(d, pair_of(INV_SQRT_2PI_H, INV_SQRT_2PI_L))
    ep = product(pair_of(e.hi, e.lo), p)
    n = power_of_two(at_least(e.n, -200.0))
    rest = plus(d.hi, pair_of(-n * ep.hi, -n * ep.lo))
    p.lo = rest.lo + d.lo if positive else p.lo
    p.hi = rest.hi if positive else p.hi
    ep = product(m, pair_of(e.hi, e.lo))
    m.hi = ep.hi if positive else m.hi
    m.lo = ep.lo if positive else m.lo
    y = scale(divide(m, p), e.n if positive else 0.0)
    # so far out it is a, to the last bit
    return -x if x < -1e18 else y


# Elementary

cdef inline double elu(double x, double alpha) noexcept nogil:
    """x, or alpha (e^x - 1) where x <= 0."""
    cdef double c = at_least(at_most(x, 0.0), -60.0)
    cdef pair m = expm1_parts(single(c))
    # from here on e^c - 1 is c; alpha = 0 has only signs to get right
    cdef double edge = -5e-17 if alpha != 0 else -100.0
    cdef double y = alpha * c if c > edge else fma(alpha, m.hi, alpha * m.lo)
    return x if x > 0 else y


cdef inline double elu_d(double x, double alpha) noexcept nogil:
    """1, or alpha e^x where x <= 0."""
    # a large alpha gives up 2^128 so that alpha e^x cannot overflow before it is scaled
    cdef bint large = absolute(alpha) > 1
    cdef double a = alpha * 2.938735877055719e-39 if large else alpha
    cdef double bound = -1480.0 if large else -760.0
    cdef scaled e = exp_parts(single(at_least(at_most(x, 0.0), bound)))
    cdef double y = scale(fma(a, e.hi, a * e.lo), e.n + (128.0 if large else 0.0))
    return 1.0 if x > 0 else y


cdef inline double selu(double x) noexcept nogil:
    """lambda x, or lambda alpha (e^x - 1) where x <= 0."""
    cdef double c = at_least(at_most(x, 0.0), -60.0)
    cdef pair m = expm1_parts(single(c))
    # from here on e^c - 1 is c
    cdef double first = c if c > -5e-17 else m.hi
    cdef double second = 0.0 if c > -5e-17 else m.lo
    second = fma(SELU_ALPHA_H, second, SELU_ALPHA_L * first)
    return fma(SELU_H, x, SELU_L * x) if x >= 0 else fma(SELU_ALPHA_H, first, second)


cdef inline double selu_d(double x) noexcept nogil:
    """lambda, or lambda alpha e^x where x <= 0."""
    cdef scaled e = exp_parts(single(at_least(at_most(x, 0.0), -760.0)))
    cdef double low = fma(SELU_ALPHA_H, e.lo, SELU_ALPHA_L * e.hi)
    return SELU_H if x > 0 else scale(fma(SELU_ALPHA_H, e.hi, low), e.n)


cdef inline double selu_y(double y) noexcept nogil:
    """lambda, or y + lambda alpha where y <= 0."""
    return SELU_H if y > 0 else (y + SELU_ALPHA_H) + SELU_ALPHA_L


# A division by alpha of any magnitude is one by alpha times a power of two.
cdef struct divisor:
    double exponent
    double power
    double scaled   # alpha 2^exponent
    pair inverse    # of that
    double high     # alpha e^high is beyond all doubles


cdef inline divisor celu_divisor(double alpha) noexcept nogil:
    cdef divisor d
    cdef double a = absolute(alpha)
    d.exponent = -500.0 if a > 2.0**500 else 500.0 if a < 2.0**-400 else 0.0
    d.high = 1460.0 if a < 2.0**-400 else 1040.0
    d.power = power_of_two(d.exponent)
    d.scaled = alpha * d.power
    d.inverse = reciprocal(single(d.scaled))
    return d


cdef inline pair celu_ratio(double x, divisor d, double low, double high) noexcept nogil:
    """x/alpha between two bounds."""
    cdef double c = x * d.power
    cdef pair v = two_prod(c, d.inverse.hi), u
    u.hi = at_most(at_least(v.hi, low), high)
    u.lo = fma(c, d.inverse.lo, v.lo) if u.hi == v.hi else 0.0
    return u


cdef inline double celu(double x, divisor d) noexcept nogil:
    """x, or alpha (e^(x/alpha) - 1) where x <= 0; for a negative alpha that grows."""
    cdef pair v = celu_ratio(x, d, -60.0, d.high), m
    cdef reduced e = reduce_exp(v)
    cdef double n = at_most(e.n, 400.0), s = power_of_two(n), y
    m = plus_small(s - 1, s * e.r, s * e.w)
    y = scale(fma(d.scaled, m.hi, d.scaled * m.lo), e.n - n - d.exponent)
    # from here on e^v - 1 is v
    y = x if absolute(v.hi) < 5e-17 else y
    return x if x >= 0 else y


cdef inline double celu_d(double x, divisor d) noexcept nogil:
    """1, or e^(x/alpha) where x <= 0."""
    cdef scaled e = exp_parts(celu_ratio(x, d, -760.0, 720.0))
    cdef double y = scale(e.hi + e.lo, e.n)
    return 1.0 if x > 0 else y


cdef inline double celu_y(double y, double alpha) noexcept nogil:
    """1, or (y + alpha)/alpha where y <= 0; only for positive alpha."""
    return 1.0 if y > 0 else (y + alpha) / alpha


cdef inline scaled gaussian_parts(double x) noexcept nogil:
    cdef pair square = two_prod(x, x)
    return exp_parts(pair_of(-square.hi, -square.lo))


cdef inline double gaussian(double x) noexcept nogil:
    """e^(-x^2)."""
    cdef scaled e = gaussian_parts(at_most(absolute(x), 28.0))
    return scale(e.hi + e.lo, e.n)


cdef inline double gaussian_d(double x) noexcept nogil:
    """-2 x e^(-x^2)."""
    cdef double c = at_most(at_least(x, -28.0), 28.0)
    cdef scaled e = gaussian_parts(c)
    return scale(-fma(c, e.hi, c * e.lo), e.n + 1.0)


# Powers of 1 + e^-z: an exponential of an exponential, so what comes first needs some twelve
# bits more than the result.

# 2^n (1 + a)
cdef struct expanded:
    double n
    pair a


cdef inline pair fast_plus(double a, pair b) noexcept nogil:
    """a + b, |a| >= |b| or a = 0."""
    cdef pair s = fast_two_sum(a, b.hi)
    s.lo += b.lo
    return s


cdef inline pair squared1(pair a) noexcept nogil:
    """(1 + a)^2 - 1."""
    cdef pair square = product(a, a), s = fast_two_sum(a.hi + a.hi, square.hi)
    s.lo += square.lo + (a.lo + a.lo)
    return s


cdef inline expanded exp_fine(pair x) noexcept nogil:
    """e^x to 2^-65 for |x| < 2500: the reduced argument is divided by 16."""
    cdef expanded e
    cdef pair r, square
    cdef double p
    e.n = fma(x.hi, LOG2E, ROUND) - ROUND
    r = two_sum(fma(-e.n, LN2_H, x.hi), fma(-e.n, LN2_L, x.lo))
    r.hi *= 0.0625
    r.lo *= 0.0625
    square = product(r, r)
    p = fma(r.hi, 2.7557319223985893e-06, 2.48015873015873e-05)
    p = fma(p, r.hi, 0.0001984126984126984)
    p = fma(p, r.hi, 0.001388888888888889)
    p = fma(p, r.hi, 0.008333333333333333)
    p = fma(p, r.hi, 0.041666666666666664)
    p = fma(p, r.hi, 0.16666666666666666)
    e.a = fast_two_sum(r.hi, 0.5 * square.hi)
    # all of the cubic term stands in the low part until here
    e.a = fast_two_sum(e.a.hi, e.a.lo + (r.lo + fma(r.hi * square.hi, p, 0.5 * square.lo)))
    e.a = squared1(squared1(squared1(squared1(e.a))))
    return e


cdef inline pair log1p_over(pair e) noexcept nogil:
    """log(1 + e)/e to 2^-66 for 0 <= e <= 1, by the series of atanh(s)/s, s = e/(2 + e)."""
    cdef pair d = fast_plus(2.0, e), s = quotient(e, d), z = product(s, s), y
    cdef double p
    p = fma(z.hi, 0.07337411054954426, 0.016701824415267977)
    p = fma(p, z.hi, 0.04128541653754511)
    p = fma(p, z.hi, 0.03934924726637963)
    p = fma(p, z.hi, 0.04354634522534315)
    p = fma(p, z.hi, 0.047614044141153625)
    p = fma(p, z.hi, 0.052631839050194196)
    p = fma(p, z.hi, 0.058823519942502456)
    p = fma(p, z.hi, 0.06666666690118364)
    p = fma(p, z.hi, 0.0769230769193468)
    p = fma(p, z.hi, 0.09090909090912487)
    p = fma(p, z.hi, 0.11111111111111098)
    y = fast_plus(ONE_OVER_7_H, times(z, p))
    y.lo += ONE_OVER_7_L
    y = fast_plus(ONE_OVER_5_H, product(z, y))
    y.lo += ONE_OVER_5_L
    y = fast_plus(ONE_OVER_3_H, product(z, y))
    y.lo += ONE_OVER_3_L
    y = quotient(fast_plus(1.0, product(z, y)), d)
    return pair_of(y.hi + y.hi, y.lo + y.lo)


# The generalized logistic function, lower + (upper - lower) (1 + e^-z)^(-1/nu) with
# z = growth (x - midpoint). Factors of any magnitude: powers of two apart from the rest.

cdef struct logistic:
    double limit         # of |x|
    double midpoint      # half of it
    double growth
    pair inverse         # 1/nu = inverse 2^-nu_exponent
    double nu_exponent
    double lower
    double upper
    double threshold     # from this logarithm of the power on, subtract from upper
    pair width           # upper - lower = width 2^width_exponent
    double width_exponent
    pair slope           # (upper - lower) growth/nu, likewise
    double slope_exponent

# The power (1 + e^-z)^(-1/nu) = e^q = 2^p.n (1 + p.a); the exponential e^-|z| likewise.
cdef struct curve:
    bint positive        # z
    expanded e
    pair exponential     # e^-|z|; 2^-1000 if smaller
    pair q               # without the factor 2^q_exponent where that is small
    double q_exponent
    expanded p
    double log           # q


cdef inline double choose(bint condition, double a, double b) noexcept nogil:
    """a or b without a jump, which before a loop may turn it into something else."""
    cdef unsigned long long mask = 0ULL - <unsigned long long> condition
    return from_bits64((bits64(a) & mask) | (bits64(b) & ~mask))


cdef inline double binade(double x) noexcept nogil:
    """The exponent of x; of 0 some small number."""
    cdef bint tiny = absolute(x) < 2.2250738585072014e-308
    cdef double y = x * choose(tiny, LIFT, 1.0)
    return <double> ((bits64(y) >> 52) & 0x7ff) - choose(tiny, 1119.0, 1023.0)


cdef inline pair scaled_pair(pair x, double n) noexcept nogil:
    return pair_of(scale(x.hi, n), scale(x.lo, n))


cdef inline logistic logistic_of(double lower, double upper, double growth, double midpoint,
                                 double nu) noexcept nogil:
    cdef logistic c
    cdef bint huge = (upper > 2.0**1000) | (lower < -2.0**1000)
    cdef double half = choose(huge, 0.5, 1.0), g = binade(growth)
    c.limit = choose(growth == 0, LARGEST, INFINITY)
    c.midpoint = 0.5 * midpoint
    c.growth = growth
    c.nu_exponent = binade(nu)
    c.inverse = reciprocal(single(scale(nu, -c.nu_exponent)))
    c.lower = lower
    c.upper = choose(upper == 0, -0.0, upper)      # it is approached from below
    c.threshold = choose(upper <= 0, -INFINITY, choose(lower >= 0, INFINITY, -0.69))
    c.width = two_sum(half * upper, -half * lower)
    c.width_exponent = binade(c.width.hi)
    c.width = scaled_pair(c.width, -c.width_exponent)
    c.width_exponent += choose(huge, 1.0, 0.0)
    c.slope = product(times(c.width, scale(growth, -g)), c.inverse)
    c.slope_exponent = c.width_exponent + g - c.nu_exponent
    return c


cdef inline pair logistic_argument(double x, logistic c) noexcept nogil:
    """growth (x - midpoint); the difference is halved so that it cannot overflow."""
    cdef double half = 0.5 * at_most(at_least(x, -c.limit), c.limit)
    cdef pair z = times(two_sum(half, -c.midpoint), c.growth)
    return pair_of(z.hi + z.hi, z.lo + z.lo)


cdef inline curve logistic_curve(double x, logistic c) noexcept nogil:
    cdef curve y
    cdef pair z = logistic_argument(x, c), one_a, over, log, q
    cdef double n, s
    y.positive = z.hi >= 0
    y.e = exp_fine(lower(z, -2400.0))
    s = power_of_two(at_least(y.e.n, -1000.0))
    one_a = fast_plus(1.0, y.e.a)
    y.exponential = pair_of(one_a.hi * s, one_a.lo * s)
    over = log1p_over(y.exponential)
    # log(1 + e^-z) = log 2^n
    log = product(one_a if y.positive else y.exponential, over)
    q = two_sum(-z.hi, log.hi)
    log.lo += 0.0 if y.positive else q.lo - z.lo
    log.hi = log.hi if y.positive else q.hi
    n = (y.e.n if y.positive else 0.0) - c.nu_exponent
    y.q = product(pair_of(-log.hi, -log.lo), c.inverse)
    y.q_exponent = n
    q = scaled_pair(y.q, at_most(at_least(n, -2000.0), 1000.0))
    y.log = q.hi
    log.hi = at_least(q.hi, -2400.0)
    log.lo = q.lo if log.hi == q.hi else 0.0
    y.p = exp_fine(log)
    return y


cdef inline double logistic_sum(double end, pair v, logistic c, double n) noexcept nogil:
    """end + (upper - lower) v 2^n."""
    cdef double t = at_most(at_least(n + c.width_exponent, -1300.0), 1100.0)
    cdef pair w = scaled_pair(product(c.width, v), t)
    cdef pair y = two_sum(end, w.hi)
    w.lo += y.lo
    return y.hi + w.lo if w.lo != 0 else y.hi      # -0.0 stays


cdef inline double generalized_logistic(double x, logistic c) noexcept nogil:
    """lower + (upper - lower) e^q, or upper + (upper - lower) (e^q - 1)."""
    cdef curve y = logistic_curve(x, c)
    cdef bint above = y.log > c.threshold, small = y.q_exponent < -200
    cdef double s = power_of_two(at_least(y.p.n, -200.0))
    # e^q - 1 is q where that is small
    cdef pair more = plus(s - 1, pair_of(y.p.a.hi * s, y.p.a.lo * s)), less, v
    more.hi = y.q.hi if small else more.hi
    more.lo = y.q.lo if small else more.lo
    less = fast_plus(1.0, y.p.a)
    v.hi = more.hi if above else less.hi
    v.lo = more.lo if above else less.lo
    cdef double n = y.q_exponent if small else 0.0
    n = n if above else y.p.n
    return logistic_sum(c.upper if above else c.lower, v, c, n)


cdef inline double shifted_logistic(double x, logistic c, pair width) noexcept nogil:
    """lower + width sigmoid(z), for nu = 1, lower >= 0 and a width between 2^-20 and 2^20."""
    cdef pair z = logistic_argument(x, c), y
    cdef gate g = open_gate(lower(z, -760.0), z.hi < 0)
    cdef pair w = product(width, quotient(g.m, g.d))
    y = two_sum(c.lower, w.hi * UNLIFT)
    return y.hi + fma(w.lo, UNLIFT, y.lo)


cdef inline double shifted_logistic_d(double x, logistic c, pair slope) noexcept nogil:
    """slope sigmoid(z) sigmoid(-z), for nu = 1 and a slope between 2^-20 and 2^20."""
    cdef pair e = lifted_exp(lower(logistic_argument(x, c), -760.0))
    cdef pair d = one_plus(e, UNLIFT)
    e = product(slope, quotient(e, product(d, d)))
    return (e.hi + e.lo) * UNLIFT


cdef inline double symmetric_logistic(double x, logistic c, double size) noexcept nogil:
    """size tanh(z/2) = -size m/(m + 2), m = e^-|z| - 1: for lower = -upper = -size and nu = 1.

    Accurate also where it crosses 0.
    """
    cdef double half = 0.5 * at_most(at_least(x, -c.limit), c.limit)
    cdef pair d = two_sum(half, -c.midpoint), z = times(d, c.growth)
    cdef pair m = expm1_parts(lower(pair_of(z.hi + z.hi, z.lo + z.lo), -80.0))
    cdef pair q = quotient(m, plus(2.0, m))
    # size z/2 where z is small, or has lost digits by underflow
    cdef bint near = absolute(z.hi) < 1e-20
    cdef pair line = product(c.slope, d)
    cdef double factor = 1.0 if near else size
    cdef double n = c.slope_exponent - 1 if near else 0.0
    q.hi = line.hi if near else q.hi
    q.lo = line.lo if near else q.lo
    n = at_most(at_least(n, -2000.0), 2000.0)
    return with_sign(absolute(scale(fma(factor, q.hi, factor * q.lo), n)), z.hi)


cdef inline double generalized_logistic_d(double x, logistic c) noexcept nogil:
    """(upper - lower) growth/nu e^q sigmoid(-z)."""
    cdef curve y = logistic_curve(x, c)
    cdef pair m = product(c.slope, fast_plus(1.0, y.p.a))
    cdef pair one_a = fast_plus(1.0, y.e.a)
    cdef double n = c.slope_exponent + y.p.n + (y.e.n if y.positive else 0.0)
    one_a.hi = one_a.hi if y.positive else 1.0
    one_a.lo = one_a.lo if y.positive else 0.0
    m = quotient(product(m, one_a), fast_plus(1.0, y.exponential))
    return scale(m.hi + m.lo, at_most(at_least(n, -1300.0), 1100.0))


cdef inline double softsign(double x) noexcept nogil:
    """x/(1 + |x|)."""
    cdef double a = at_most(absolute(x), 1152921504606846976.0)
    return with_sign(a / (1 + a), x)


cdef inline double softsign_d(double x) noexcept nogil:
    """1/(1 + |x|)^2."""
    cdef pair q = reciprocal(two_sum(1, at_most(absolute(x), 1e170)))
    return fma(q.hi, q.hi, 2 * q.hi * q.lo)


# Straight lines

cdef inline double linear(double a, double x, double b) noexcept nogil:
    """a * x + b, rounded once."""
    cdef pair sum
    cdef double p
    if FMA:
        return fma(a, x, b)
    p = a * x
    sum = two_sum(p, b)
    # after an overflow the errors are NaN
    return sum.hi + (sum.lo + product_error(a, x, p)) if sum.hi - sum.hi == 0 else sum.hi


cdef inline double zero_of(pair a, double b) noexcept nogil:
    """a / b rounded once (but for ties), for the ends of an interval."""
    cdef double q = a.hi / b
    cdef double rest = (residual(a.hi, q, b) + a.lo) / b
    return q + rest if rest - rest == 0 else q


cdef inline double hard_swish(double x) noexcept nogil:
    """x (x + 3) / 6 for |x| < 3."""
    cdef pair sum = fast_two_sum(3, x)
    cdef pair product = times(sum, x)
    return fma(product.hi, 0.16666666666666666,
                fma(product.hi, 9.25185853854297e-18, product.lo * 0.16666666666666666))


# Square roots. x^2 must not overflow: from 2^100 or 2^200 on the root is |x|.

cdef inline double even_scale(double b) noexcept nogil:
    """A power of two c such that b c^2 is at least 1 and less than 4; b > 0."""
    cdef bint subnormal = b < 2.0**-960
    cdef long long exponent = <long long> (bits64(b * 2.0**108 if subnormal else b) >> 52) - 1023
    return power_of_two(<double> ((54 if subnormal else 0) - (exponent >> 1)))


cdef inline pair root(pair v) noexcept nogil:
    cdef pair s
    s.hi = sqrt(v.hi)
    s.lo = 0.5 * (residual(v.hi, s.hi, s.hi) + v.lo) / s.hi
    return s


cdef inline pair hypotenuse(double a, double b) noexcept nogil:
    """sqrt(a^2 + b)."""
    return root(plus(b, two_prod(a, a)))


cdef inline pair mean(pair s, double a) noexcept nogil:
    """(s + a) / 2, s >= a >= 0."""
    cdef pair sum = fast_two_sum(s.hi, a)
    return pair_of(0.5 * sum.hi, 0.5 * (sum.lo + s.lo))


cdef inline double squareplus(double x, double unit, double b) noexcept nogil:
    """h = (a + sqrt(a^2 + b)) / 2, or b / (4 h) for x < 0, a = unit |x|; all this / unit.

    `unit` is a power of two, b from 2^-200 to 2^200.
    """
    cdef double t = x * unit, a = absolute(t), clamped = at_most(a, 2.0**200), q
    cdef pair h = mean(hypotenuse(clamped, b), clamped)
    h.hi = a if a > 2.0**200 else h.hi
    h.lo = 0 if a > 2.0**200 else h.lo
    q = 0.25 * b / h.hi
    q = fma(-q, h.lo * q * (4 / b), q)
    q = (q if t < 0 else h.hi + h.lo) * (1 / unit)
    return x if t > 2.0**200 else q


cdef inline double squareplus_d(double x, double unit, double b) noexcept nogil:
    """h / s, or b / (4 h s) for x < 0, s = sqrt(a^2 + b); the rest as in squareplus."""
    cdef double t = x * unit, a = at_most(absolute(t), 2.0**700)
    cdef double clamped = at_most(a, 2.0**200), q
    cdef pair s = hypotenuse(clamped, b)
    cdef pair h = mean(s, clamped)
    cdef bint large = a > 2.0**200
    s.hi = a if large else s.hi
    h.hi = a if large else h.hi
    s.lo = 0 if large else s.lo
    h.lo = 0 if large else h.lo
    q = 0.25 * b / h.hi
    h.lo = (residual(0.25 * b, q, h.hi) - q * h.lo) * q * (4 / b) if t < 0 else h.lo
    h.hi = q if t < 0 else h.hi
    return divide(h, s)


cdef inline pair algebraic_root(double t, double alpha) noexcept nogil:
    """sqrt(1 + alpha t^2)."""
    return root(plus(1, times(two_prod(t, t), alpha)))


cdef inline double algebraic_sigmoid(double x, double unit, double alpha) noexcept nogil:
    """|x| / sqrt(1 + alpha (unit x)^2) with the sign of x, 1 <= alpha < 4, unit a power of two."""
    cdef double a = at_most(absolute(x), 2.0**40 / unit)
    return with_sign(divide(single(a), algebraic_root(a * unit, alpha)), x)


cdef inline double algebraic_sigmoid_d(double x, double unit, double alpha) noexcept nogil:
    """i^3, i = 1 / sqrt(1 + alpha (unit x)^2)."""
    cdef pair i = reciprocal(algebraic_root(at_most(absolute(x) * unit, 2.0**400), alpha))
    cdef pair square = two_prod(i.hi, i.hi)
    return fma(square.hi, i.hi, fma(square.lo, i.hi, 3 * square.hi * i.lo))


cdef inline double bent_identity(double x) noexcept nogil:
    """(sqrt(x^2 + 1) - 1) / 2 + x."""
    cdef double a = absolute(x)
    cdef double clamped = at_most(at_least(x, -(2.0**100)), 2.0**100)
    cdef pair s = hypotenuse(clamped, 1)
    cdef pair rise = fast_two_sum(s.hi, -1)
    cdef pair sum = two_sum(clamped, 0.5 * rise.hi)
    cdef double y = sum.hi + (sum.lo + 0.5 * (rise.lo + s.lo))
    return x + 0.5 * at_most(a, LARGEST) if a > 2.0**100 else y


cdef inline double bent_identity_d(double x) noexcept nogil:
    """1 + x / (2 sqrt(x^2 + 1))."""
    cdef double clamped = at_most(at_least(x, -(2.0**100)), 2.0**100)
    return 1 + 0.5 * clamped / sqrt(fma(clamped, clamped, 1))


cdef inline double dish(double x) noexcept nogil:
    """g |x| / s with the sign of x: s = sqrt(1 + x^2), h = (|x| + s) / 2, g = h or 1 / (4 h)."""
    cdef double a = absolute(x), clamped = at_most(a, 2.0**100), q
    cdef pair s = hypotenuse(clamped, 1)
    cdef pair h = mean(s, clamped), y
    cdef bint large = a > 2.0**100
    h.hi = a if large else h.hi
    q = 0.25 / h.hi
    h.lo = (residual(0.25, q, h.hi) - q * h.lo) * (4 * q) if x < 0 else h.lo
    h.lo = 0 if large else h.lo
    h.hi = q if x < 0 else h.hi
    y = product(h, quotient(single(clamped), s))
    return x if x > 2.0**100 else with_sign(y.hi + y.lo, x)


cdef inline double dish_d(double x) noexcept nogil:
    """(1 + a i + a i^3) / 2 for a = x >= 0, i = 1 / s; i^3 (1 - a s) / (4 h) for a = -x.

    s and h are those of dish. Far on the left the result is -1 / (4 a^2).
    """
    cdef double a = absolute(x), clamped = at_most(a, 2.0**100), q, rising, falling
    cdef pair s = hypotenuse(clamped, 1)
    cdef pair h = mean(s, clamped), i = reciprocal(s), square = product(i, i)
    cdef pair r = times(i, clamped)
    cdef pair rest = times(s, -clamped)
    rising = 0.5 + 0.5 * (r.hi + fma(r.hi, square.hi, r.lo))
    rest = plus(1, rest)
    falling = divide(product(product(square, i), rest), pair_of(4 * h.hi, 4 * h.lo))
    rest = two_prod(at_most(a, 2.0**600) * 2.0**-100, at_most(a, 2.0**600) * 2.0**-100)
    q = 0.25 / rest.hi
    q = fma(-q, 4 * rest.lo * q, q) * 2.0**-200
    falling = -q if a > 2.0**100 else falling
    return falling if x < 0 else rising
