"""float64 mathematics for the kernels: branch-free inline functions that GCC vectorises.

Every function here is within 2 ULP of the true value for every double, tails and subnormal
results included, at every level. `f_d` is the derivative of f, `f_y` the derivative as a
function of f's output.

How: an exponential is kept as 2^n (hi + lo) with hi + lo good to about 2^-57; sums and products
that matter carry their rounding error in a second double (Dekker, "A floating-point
technique for extending the available precision", 1971); a quotient is corrected by its
residual; 2^n is multiplied in last, in steps none of which overflows or underflows early.
Only correctly rounded operations are used, so that levels with a fused multiply-add agree
to the bit. Here is what several families of functions share; polynomials and constants, theirs as
well, come from tools/constants64.py.

Below AVX-512 there is no vector conversion between int64 and double and no arithmetic shift
of int64: integers stay in doubles, and 2^n is built by adding a large constant that leaves n
in the low bits.
"""

from cyact._level.bits cimport (
    absolute,
    at_least,
    at_most,
    bits64,
    exponent_of,
    fma,
    from_bits64,
    minus_absolute,
    unbiased,
)
from cyact._level.constants cimport (
    LIFT,
    LN2_H,
    LN2_L,
    LOG2E,
    ONE_OVER_3_H,
    ONE_OVER_3_L,
    ONE_OVER_5_H,
    ONE_OVER_5_L,
    ONE_OVER_7_H,
    ONE_OVER_7_L,
    ROUND,
    UNLIFT,
)
from cyact._level.exact cimport (
    as_pair,
    fast_two_sum,
    pair,
    pair_of,
    product,
    quotient,
    residual,
    times,
    two_prod,
    two_sum,
)


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
    cdef reduced e = reduce_exp(as_pair(at_least(at_most(x, 720.0), -760.0)))
    cdef pair one_r = fast_two_sum(1, e.r)
    return scale(one_r.hi + (one_r.lo + e.w), e.n)


cdef inline double expm1(double x) noexcept nogil:
    """2^n (1 + r + w) - 1; from n = 1000 on the 1 no longer counts, so n can stop there."""
    cdef reduced e = reduce_exp(as_pair(at_least(at_most(x, 720.0), -60.0)))
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
    cdef pair s = quotient(as_pair(m - 1), fast_two_sum(2, m - 1))
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
    return log_of(unbiased(k), as_pair(scaled_x + (0.5 * twice - 1)))


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
    cdef pair y = log1p_parts(as_pair(x))
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
