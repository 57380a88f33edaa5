"""The normal distribution: its density, its distribution function and the error functions."""

from libc.float cimport FLT_MAX

from cyact._level.abi cimport LANES
from cyact._level.bits cimport (
    absolute,
    at_least,
    at_most,
    bits64,
    fma,
    from_bits64,
    opaque,
    real,
    with_sign,
)
from cyact._level.constants cimport (
    INV_SQRT_2PI,
    INV_SQRT_2PI_H,
    INV_SQRT_2PI_L,
    LN2,
    LN2_H,
    LN2_L,
    ROUND,
    SQRT2,
    SQRT2_H,
    SQRT2_L,
    TWO_INV_SQRT_PI,
    TWO_INV_SQRT_PI_H,
    TWO_INV_SQRT_PI_L,
)
from cyact._level.elementwise.registry cimport PLAIN, Table, add
from cyact._level.exact cimport (
    as_pair,
    divide,
    fast_two_sum,
    pair,
    pair_of,
    plus,
    product,
    quotient,
    times,
    two_prod,
    two_sum,
)
cimport cyact._level.maths32 as m32
cimport cyact._level.maths64 as m64


# gaussian: e^(-x^2)

cdef inline m64.scaled gaussian_parts(double x) noexcept nogil:
    cdef pair square = two_prod(x, x)
    return m64.exp_parts(pair_of(-square.hi, -square.lo))


cdef inline double gaussian64(double x) noexcept nogil:
    """e^(-x^2)."""
    cdef m64.scaled e = gaussian_parts(at_most(absolute(x), 28.0))
    return m64.scale(e.hi + e.lo, e.n)


cdef inline double gaussian_d64(double x) noexcept nogil:
    """-2 x e^(-x^2)."""
    cdef double c = at_most(at_least(x, -28.0), 28.0)
    cdef m64.scaled e = gaussian_parts(c)
    return m64.scale(-fma(c, e.hi, c * e.lo), e.n + 1.0)


cdef inline void gaussian(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(11)
    cdef double a
    for i in range(n & -LANES):
        if real is float:
            a = at_most(absolute(x[i]), high)
            y[i] = <float> m32.exp_from(-a * a, ROUND)
        else:
            y[i] = gaussian64(x[i])


cdef inline void gaussian_d(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-11), high = <float> opaque(11)
    cdef double c
    for i in range(n & -LANES):
        if real is float:
            c = at_most(at_least(x[i], low), high)
            y[i] = <float> (-2 * c * m32.exp_from(-c * c, ROUND))
        else:
            y[i] = gaussian_d64(x[i])


# Its tails

cdef inline m64.scaled normal_exp(double a) noexcept nogil:
    """e^(-a^2/2)."""
    cdef pair square = two_prod(a, a)
    return m64.exp_parts(pair_of(-0.5 * square.hi, -0.5 * square.lo))


cdef inline double density(pair square, pair height) noexcept nogil:
    """height e^-square."""
    cdef m64.scaled e = m64.exp_parts(pair_of(-square.hi, -square.lo))
    cdef pair y = product(pair_of(e.hi, e.lo), height)
    return m64.scale(y.hi + y.lo, e.n)


cdef inline m32.Ratio normal_tail32(double a) noexcept nogil:
    """Phi(-a) for 0 <= a <= 15, Phi the normal distribution: e^(-a^2/2) P(a)/Q(a)."""
    cdef m32.Ratio e = m32.exp2_ratio(a * a, -0.7213475204444817)
    cdef double p = fma(0.3989465595117252, a, 3.9269128452608384)
    cdef double q = a + 9.84389830077048
    p = fma(p, a, 17.67148863951629)
    q = fma(q, a, 45.28201730621743)
    p = fma(p, a, 42.19614726010047)
    q = fma(q, a, 115.80108215321192)
    p = fma(p, a, 48.02836229129833)
    q = fma(q, a, 161.034514407621)
    q = fma(q, a, 96.0567239773841)
    e.n *= p
    e.m *= q
    return e


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


cdef inline pair normal_tail64(double a, m64.scaled e) noexcept nogil:
    """(1 - Phi(a)) / 2^e.n for 0 <= a <= 39 and e = e^(-a^2/2), as e erfcx(a/sqrt 2)/2."""
    return quotient(product(pair_of(e.hi, e.lo), tail_numerator(a)), tail_denominator(a))


# erf: the error function; erf' = 2/sqrt(pi) e^(-x^2)

cdef inline double erf32(double x) noexcept nogil:
    """|x| < 3.93; beyond, erf rounds to 1 in float."""
    cdef double z = x * x
    cdef double p = fma(-0.00020572294211358014, z, 0.07391974668496226)
    cdef double q = z + 20.838336589201667
    p = fma(p, z, 6.03460846374245)
    q = fma(q, z, 246.95516164812037)
    p = fma(p, z, 61.44411842238579)
    q = fma(q, z, 1822.1752850753094)
    p = fma(p, z, 868.0679795522683)
    q = fma(q, z, 7958.592604786151)
    p = fma(p, z, 2962.337847596766)
    q = fma(q, z, 15999.86357517241)
    p = fma(p, z, 18053.912767910133)
    return x * p / q


cdef inline double erf64(double x) noexcept nogil:
    """x + x p(x^2) for |x| < 7/8; from there on 1 - e^-q(|x|)."""
    cdef double a = at_most(absolute(x), 6.0), z = a * a, p, q, odd
    cdef m64.reduced e
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
    e = m64.reduce_exp(as_pair(-q))
    q = m64.power_of_two(e.n)
    q = 1 - fma(q, e.r + e.w, q)
    return with_sign(fma(a, p, a) if a < 0.875 else q, x)


cdef inline double erf_d64(double x) noexcept nogil:
    """2/sqrt(pi) e^(-x^2)."""
    cdef double a = at_most(absolute(x), 28.0)
    return density(two_prod(a, a), pair_of(TWO_INV_SQRT_PI_H, TWO_INV_SQRT_PI_L))


cdef inline void erf(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-3.93), high = <float> opaque(3.93)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> erf32(at_most(at_least(x[i], low), high))
        else:
            y[i] = erf64(x[i])


cdef inline void erf_d(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a
    cdef float high = <float> opaque(10.5)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(absolute(x[i]), high)
            y[i] = <float> (TWO_INV_SQRT_PI * m32.exp_from(-a * a, ROUND))
        else:
            y[i] = erf_d64(x[i])


# erfc: 1 - erf(x) = 2 Phi(-sqrt(2) x)

cdef inline double erfc64(double x) noexcept nogil:
    """2 (1 - Phi(sqrt(2) |x|)), or for negative x 2 minus that."""
    cdef double c = at_most(absolute(x), 27.5), y
    cdef pair a = times(pair_of(SQRT2_H, SQRT2_L), c), square = two_prod(c, c)
    cdef pair d = tail_denominator(a.hi), q
    cdef m64.scaled e = m64.exp_parts(pair_of(-square.hi, -square.lo))
    # what a.lo adds to the numerator does not count
    d.lo += a.lo
    q = quotient(product(pair_of(e.hi, e.lo), tail_numerator(a.hi)), d)
    y = m64.scale(q.hi + q.lo, e.n + 1)
    return 2 - y if x < 0 else y


cdef inline void erfc(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef m32.Ratio tail
    cdef double single
    cdef float high = <float> opaque(10.6)
    for i in range(n & -LANES):
        if real is float:
            tail = normal_tail32(SQRT2 * at_most(absolute(x[i]), high))
            single = (tail.n + tail.n) / tail.m
            y[i] = <float> (2 - single if x[i] < 0 else single)
        else:
            y[i] = erfc64(x[i])


cdef inline void erfc_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a
    cdef float high = <float> opaque(10.5)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(absolute(x[i]), high)
            y[i] = <float> (-TWO_INV_SQRT_PI * m32.exp_from(-a * a, ROUND))
        else:
            y[i] = -erf_d64(x[i])


# ndtr: Phi(x), the normal distribution function; ndtr' = phi(x) = e^(-x^2/2)/sqrt(2 pi)

cdef inline double ndtr64(double x) noexcept nogil:
    """Phi(x): the tail, or for positive x 1 minus it."""
    cdef double a = at_most(absolute(x), 39.0), y
    cdef m64.scaled e = normal_exp(a)
    cdef pair q = normal_tail64(a, e)
    y = m64.scale(q.hi + q.lo, e.n)
    return 1 - y if x > 0 else y


cdef inline double ndtr_d64(double x) noexcept nogil:
    """phi(x)."""
    cdef double a = at_most(absolute(x), 39.5)
    cdef pair square = two_prod(a, a)
    return density(pair_of(0.5 * square.hi, 0.5 * square.lo),
                   pair_of(INV_SQRT_2PI_H, INV_SQRT_2PI_L))


cdef inline void ndtr(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef m32.Ratio tail
    cdef double single
    cdef float high = <float> opaque(15)
    for i in range(n & -LANES):
        if real is float:
            tail = normal_tail32(at_most(absolute(x[i]), high))
            single = tail.n / tail.m
            y[i] = <float> (1 - single if x[i] > 0 else single)
        else:
            y[i] = ndtr64(x[i])


cdef inline void ndtr_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a
    cdef float high = <float> opaque(15)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(absolute(x[i]), high)
            y[i] = <float> (INV_SQRT_2PI * m32.exp_from(-0.5 * a * a, ROUND))
        else:
            y[i] = ndtr_d64(x[i])


# log_ndtr: log Phi(x); log_ndtr' = phi(x)/Phi(x)

cdef inline m32.Ratio erfcx_half(double a) noexcept nogil:
    """erfcx(a / sqrt 2)/2 for a >= 0: Phi(-a) = e^(-a^2/2) times it."""
    cdef m32.Ratio r
    cdef double p = fma(0.39894227997797804, a, 4.683485448863839)
    cdef double q = a + 11.739756279297596
    p = fma(p, a, 26.451384396087843)
    q = fma(q, a, 67.3038758160393)
    p = fma(p, a, 86.6851332111688)
    q = fma(q, a, 229.02336706166528)
    p = fma(p, a, 164.62116690914374)
    q = fma(q, a, 477.0320939751444)
    p = fma(p, a, 149.92019527001807)
    q = fma(q, a, 568.4803260454007)
    r.n = p
    r.m = fma(q, a, 299.84039085806495)
    return r


cdef inline double log_ndtr32(double x, double a, double e) noexcept nogil:
    """log Phi(x), given a = |x| and e = e^(-a^2/2).

    Minus the logarithm of (1 + s)/(1 - s), which is 1/(1 - e R) for positive x, and
    2^-k/R for negative, with R = erfcx(a / sqrt 2)/2 and k so that s stays small.
    """
    cdef m32.Ratio r = erfcx_half(a)
    # 1/R is nearly 1.5 + sqrt(2 pi) a: scale is 2^k
    cdef unsigned long long exponent = bits64(fma(a, 3.4, 2.5)) & 0x7ff0000000000000ULL
    cdef double scale = from_bits64(exponent)
    cdef double k = from_bits64((exponent >> 52) | 0x4330000000000000ULL) - 4503599627371519.0
    cdef bint positive = x > 0
    cdef double other = (e if positive else scale) * r.n
    cdef double start = 0.0 if positive else fma(0.5 * a, a, k * LN2)
    cdef double s = (other if positive else r.m - other) / (
        2 * r.m - other if positive else r.m + other)
    cdef double z = s * s
    cdef double p = fma(0.2441906054101273, z, 0.21391751406074763)
    p = fma(p, z, 0.28620851778455614)
    p = fma(p, z, 0.3999868639727646)
    p = fma(p, z, 0.6666667936107953)
    p = fma(p, z, 1.9999999998018212)
    return -fma(s, p, start)


cdef inline double log_ndtr_d32(double x, double a, double e) noexcept nogil:
    """phi(x)/Phi(x), likewise; for negative x e divides out."""
    cdef m32.Ratio r = erfcx_half(a)
    cdef bint positive = x > 0
    return INV_SQRT_2PI * (e if positive else 1.0) * r.m / (
        fma(-e, r.n, r.m) if positive else r.n)


cdef inline double log_ndtr64(double x) noexcept nogil:
    """log(1 - e R), or for negative x log R - a^2/2; a = |x|, R = erfcx(a / sqrt 2)/2, e as below.

    With R = p/d that is the logarithm of c/d, c = d - e p or p. It is taken of 2^k c/d, which
    is (1 + s)/(1 - s) with s = (2^k c - d)/(2^k c + d); for k = 0 the numerator is -e p, not a
    difference.
    """
    cdef bint positive = x > 0
    cdef double a = at_most(absolute(x), 1e154), power, lowest, n, y, z
    cdef m64.scaled e = normal_exp(at_most(a, 39.0))
    cdef pair p = tail_numerator(a), d = tail_denominator(a), ep, s, u, v, square
    cdef unsigned long long k
    ep = product(pair_of(e.hi, e.lo), p)
    # the smallest results are scaled in the end, or they would be subnormal too soon
    lowest = at_least(e.n, -200.0)
    power = -m64.power_of_two(lowest)
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
    y = fma(n, LN2_L, fma(s.hi * z, m64.log_rest(z), s.lo + s.lo))
    y = v.hi + (v.lo + (u.lo + (square.lo + y)))
    y *= m64.power_of_two(e.n - lowest if positive else 0.0)
    # beyond 1e154 nothing but the square counts
    return -0.5 * x * x if x < -1e154 else y


cdef inline double log_ndtr_d64(double x) noexcept nogil:
    """phi(x)/Phi(x); for negative x e^(-x^2/2) divides out."""
    cdef bint positive = x > 0
    cdef double a = at_most(absolute(x), 1e18), n, y
    cdef m64.scaled e = normal_exp(at_most(a, 39.0))
    cdef pair p = tail_numerator(a), d = tail_denominator(a), m, ep, rest
    m = product(d, pair_of(INV_SQRT_2PI_H, INV_SQRT_2PI_L))
    ep = product(pair_of(e.hi, e.lo), p)
    n = m64.power_of_two(at_least(e.n, -200.0))
    rest = plus(d.hi, pair_of(-n * ep.hi, -n * ep.lo))
    p.lo = rest.lo + d.lo if positive else p.lo
    p.hi = rest.hi if positive else p.hi
    ep = product(m, pair_of(e.hi, e.lo))
    m.hi = ep.hi if positive else m.hi
    m.lo = ep.lo if positive else m.lo
    y = m64.scale(divide(m, p), e.n if positive else 0.0)
    # so far out it is a, to the last bit
    return -x if x < -1e18 else y


cdef inline void log_ndtr(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a, e
    cdef float high = <float> opaque(15), most = <float> opaque(FLT_MAX)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(absolute(x[i]), high)
            e = m32.exp_from(-0.5 * a * a, ROUND)
            y[i] = <float> log_ndtr32(x[i], at_most(absolute(x[i]), most), e)
        else:
            y[i] = log_ndtr64(x[i])


cdef inline void log_ndtr_d(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a, e
    cdef float single
    # below -far the derivative is -x
    cdef float high = <float> opaque(15), far = <float> opaque(1e18)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(absolute(x[i]), high)
            e = m32.exp_from(-0.5 * a * a, ROUND)
            single = <float> log_ndtr_d32(x[i], at_most(absolute(x[i]), far), e)
            y[i] = -x[i] if x[i] < -far else single
        else:
            y[i] = log_ndtr_d64(x[i])


cdef inline void log_ndtr_ties(const double* x, double* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    """-x^2 / 2 - log(-x) - ...: for large -x the logarithm is lost."""
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = -1 if x[i] < -1e8 else 0


cdef inline void add_normal(Table* table) noexcept nogil:
    add(table, name=b"erf", parameters=0, cost=0.6, traits=PLAIN, ties=NULL,
        value32=erf, value64=erf, derivative32=erf_d, derivative64=erf_d)
    add(table, name=b"erfc", parameters=0, cost=0.8, traits=PLAIN, ties=NULL,
        value32=erfc, value64=erfc, derivative32=erfc_d, derivative64=erfc_d)
    add(table, name=b"ndtr", parameters=0, cost=0.8, traits=PLAIN, ties=NULL,
        value32=ndtr, value64=ndtr, derivative32=ndtr_d, derivative64=ndtr_d)
    add(table, name=b"log_ndtr", parameters=0, cost=1.2, traits=PLAIN, ties=log_ndtr_ties,
        value32=log_ndtr, value64=log_ndtr, derivative32=log_ndtr_d, derivative64=log_ndtr_d)
    add(table, name=b"gaussian", parameters=0, cost=0.5, traits=PLAIN, ties=NULL,
        value32=gaussian, value64=gaussian, derivative32=gaussian_d, derivative64=gaussian_d)
