"""Self-gated units: x times a sigmoid of it."""

from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, sqrt

from cyact._level.abi cimport LANES
from cyact._level.bits cimport (
    FMA,
    ONE,
    absolute,
    at_least,
    at_most,
    fma,
    fmaf,
    minus_absolute,
    multiply_add,
    opaque,
    real,
    with_sign,
)
from cyact._level.constants cimport (
    GELU_CENTRES,
    GELU_MILLS,
    GELU_POWERS,
    GELU_Q,
    GELU_SHIFTS,
    INV_SQRT_2PI,
    INV_SQRT_2PI_H,
    INV_SQRT_2PI_L,
    LARGEST,
    LIFT,
    LOG2E,
    ROUNDF,
    TANH_1_H,
    TANH_1_L,
    TANH_3_H,
    TANH_3_L,
    TANH_D3_H,
    TANH_D3_L,
    UNLIFT,
)
from cyact._level.elementwise.algebraic cimport hypotenuse, mean
from cyact._level.elementwise.normal cimport normal_exp, normal_tail32, normal_tail64
from cyact._level.elementwise.sigmoids cimport exp_ratio_block
from cyact._level.elementwise.registry cimport PLAIN, Table, add
from cyact._level.exact cimport (
    as_pair,
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
    times,
    two_prod,
    two_sum,
)
from cyact._level.maths32 cimport BLOCK
from cyact._level.simd cimport (
    PERMUTES,
    WIDTH,
    as_floats,
    as_words,
    broadcast,
    floats,
    fmav,
    load,
    lookup16,
    maximum,
    minimum,
    store,
    words,
)
cimport cyact._level.maths32 as m32
cimport cyact._level.maths64 as m64


# Ties. Half types are rounded from the double result, which may be a tie though f(x) is none:
# it lies a little above or below. f_ties tells on which side, here and in the other families.

cdef inline void above_half_x(const double* x, double* restrict y, Py_ssize_t n,
                              const double* p) noexcept nogil:
    """For f(x) = x / 2 + c x^2 + ..., c positive: what is above x / 2 is lost when x is tiny."""
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 1 if absolute(x[i]) < 2.0**-100 else 0


# silu: x sigmoid(beta x)

cdef inline double silu_d32(double t) noexcept nogil:
    """s + t s (1 - s) with s = sigmoid(t)."""
    cdef m32.Ratio e = m32.exp2_ratio_fine(t, -LOG2E)
    cdef double sum = e.m + e.n
    return e.m * fma(t, e.n, sum) / (sum * sum)


cdef inline float silu_d_from(float x, float a, float high, float low) noexcept nogil:
    """s (1 + x (1 - s)), s = 1 / (1 + e^-x), given 2^-64 (1 + e^a) and a = |x| up to 120.

    With q = 1 / (1 + e^a), p = 1 - q and g = q (1 - a p) it is g for x < 0, else 1 - g. Where
    g crosses 0 even the rounding of p counts.
    """
    cdef float q = ONE / (high + low), scale = <float> 5.421010862427522e-20
    cdef float lack = fmaf(-q, low, fmaf(-q, high, ONE))
    cdef float small = q * scale
    cdef float p = ONE - small
    cdef float p_low = fmaf(-small, lack, (ONE - p) - small)
    cdef float w = ONE - a * p
    cdef float w_low = fmaf(-a, p_low, fmaf(-a, p, ONE - w))
    cdef float g = fmaf(q, w, q * fmaf(w, lack, w_low))
    return fmaf(g, scale if x < 0 else -scale, <float> 0 if x < 0 else ONE)


cdef inline double silu1_64(double n, double m, double x) noexcept nogil:
    """x sigmoid(x), likewise."""
    cdef m64.corrected q = m64.sigmoid_from(n, m, x < 0)
    cdef double c = at_least(x, -760.0), low = c * (q.inverse * q.rest), y = c * q.hi
    if FMA:
        y = fma(c, q.hi, low)
    else:
        # the sum of -0.0 and an error of 0.0 has lost the sign
        y = with_sign(absolute(y + (product_error(c, q.hi, y) + low)), x)
    # x from where sigmoid rounds to 1
    return y * UNLIFT if x < 60 else x


cdef inline double silu64(double x, double beta) noexcept nogil:
    """x sigmoid(beta x)."""
    cdef pair v = two_prod(beta, x)
    cdef bint negative = v.hi < 0
    # beyond -1500 the result is this zero; an infinite x must not meet a sigmoid that is not 0
    cdef double c = with_sign(0.0, x) if minus_absolute(v.hi) < -1500 else x
    cdef double step
    cdef pair e = m64.halved_exp(m64.lower(v, -1500.0), &step), m, q
    m.hi = e.hi if negative else 1.0
    m.lo = e.lo if negative else 0.0
    q = quotient(m, m64.one_plus(e, 1.0))
    # without a fused multiply-add a negative product that vanishes loses its sign in the sum
    cdef double y = with_sign(absolute(fma(c, q.hi, c * q.lo) * step * step), x)
    # x from where sigmoid rounds to 1; also for 0 * inf
    return y if v.hi < 60 else x


cdef inline double gated_d(pair w, m64.gate g) noexcept nogil:
    """sigmoid(v) (1 + w (1 - sigmoid(v))), the derivative of x sigmoid(v) if w = x v'.

    For v < 0 this is e (d + w)/d^2, else (d + w e)/d^2.
    """
    cdef pair we = product(w, g.e), q
    we.hi = w.hi if g.negative else we.hi * UNLIFT
    we.lo = w.lo if g.negative else we.lo * UNLIFT
    we.lo += g.d.lo
    q = quotient(plus(g.d.hi, we), product(g.d, g.d))
    return fma(q.hi, g.m.hi, fma(q.hi, g.m.lo, q.lo * g.m.hi)) * UNLIFT


cdef inline double silu_d64(double x, double beta) noexcept nogil:
    """sigmoid(v) (1 + v (1 - sigmoid(v))), v = beta x."""
    cdef pair v = two_prod(beta, x), w = m64.lower(v, -760.0)
    cdef m64.gate g = m64.open_gate(w, v.hi < 0)
    cdef double y, end = LARGEST if beta == 0 else INFINITY
    w.hi = w.hi if g.negative else -w.hi
    w.lo = w.lo if g.negative else -w.lo
    y = gated_d(w, g)
    return 0.5 if absolute(x) > end else y


cdef inline void silu_float(const float* x, float* restrict y, Py_ssize_t n, double k,
                            double bound) noexcept nogil:
    """beta = -k ln 2; at -bound the result is 0 in float."""
    cdef Py_ssize_t i, count, start = 0
    cdef double rounded[BLOCK]
    cdef double rest[BLOCK]
    cdef float low = <float> opaque(-bound), high = <float> opaque(bound)
    while start < n:
        count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
        for i in range(count):
            m32.exp2_reduce(at_most(at_least(x[start + i], low), high), k,
                            &rounded[i], &rest[i])
        for i in range(count):
            y[start + i] = <float> m32.gate(at_least(x[start + i], low),
                                            m32.exp2_reduced(rounded[i], rest[i]))
        start += BLOCK


cdef inline void silu1_float(const float* x, float* restrict y, Py_ssize_t n) noexcept nogil:
    """x sigmoid(x) = max(x, 0) - a / (1 + e^a), a = |x|."""
    cdef Py_ssize_t i, count, start = 0
    cdef float sum[BLOCK]
    cdef float lost[BLOCK]
    cdef float high = <float> opaque(120), minus_zero = <float> opaque(-0.0), a, tail
    while start < n:
        count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
        m32.exp_plus_one(x + start, sum, lost, count)
        for i in range(count):
            a = absolute(x[start + i])
            tail = m32.logistic(a if a < high else high, sum[i], lost[i])
            y[start + i] = fmaf(-tail, <float> 5.421010862427522e-20,
                                m32.positive(x[start + i], minus_zero))
        start += BLOCK


cdef inline void silu(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef double beta = p[0]
    cdef double numerator[BLOCK]
    cdef double denominator[BLOCK]
    # On the side where the sigmoid vanishes x must be finite: the limit there is 0.
    cdef float lowest = <float> opaque(-FLT_MAX if beta > 0 else -INFINITY)
    cdef float highest = <float> opaque(FLT_MAX if beta < 0 else INFINITY)
    cdef float least = <float> opaque(-FLT_MAX), most = <float> opaque(FLT_MAX)
    cdef double bottom = opaque(-600), top = opaque(600), t
    if real is float:
        if beta == 1 and PERMUTES:
            silu1_float(x, y, n)
            return
        if beta == 1:
            silu_float(x, y, n, -LOG2E, 120)
            return
        for i in range(n & -LANES):
            t = beta * <double> at_most(at_least(x[i], least), most)
            t = at_most(at_least(t, bottom), top)
            y[i] = <float> m32.gate(at_most(at_least(x[i], lowest), highest),
                                    m32.exp2_ratio(t, -LOG2E))
    else:
        while beta == 1 and start < n:
            count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
            exp_ratio_block(x + start, numerator, denominator, count)
            for i in range(count):
                y[start + i] = silu1_64(numerator[i], denominator[i], x[start + i])
            start += BLOCK
        if beta != 1:
            for i in range(n & -LANES):
                y[i] = silu64(x[i], beta)


cdef inline void silu1_d_float(const float* x, float* restrict y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef float sum[BLOCK]
    cdef float lost[BLOCK]
    cdef float high = <float> opaque(120), a
    while start < n:
        count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
        m32.exp_plus_one_fine(x + start, sum, lost, count)
        for i in range(count):
            a = absolute(x[start + i])
            y[start + i] = silu_d_from(x[start + i], high if a > high else a, sum[i], lost[i])
        start += BLOCK


cdef inline void silu_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double beta = p[0], low = opaque(-130), high = opaque(130), t
    cdef float least = <float> opaque(-FLT_MAX), most = <float> opaque(FLT_MAX)
    if real is float:
        if beta == 1 and PERMUTES:
            silu1_d_float(x, y, n)
            return
    for i in range(n & -LANES):
        if real is float:
            t = beta * <double> at_most(at_least(x[i], least), most)
            y[i] = <float> silu_d32(at_most(at_least(t, low), high))
        else:
            y[i] = silu_d64(x[i], beta)


cdef inline void silu_ties(const double* x, double* restrict y, Py_ssize_t n,
                           const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double beta = p[0], large
    for i in range(n & -LANES):
        large = -1 if beta * x[i] > 30 and x[i] > 0 else 0
        y[i] = beta if absolute(x[i]) < 2.0**-100 else large


# mish: x tanh(softplus(x))

cdef inline double mish32(double x, m32.Ratio e) noexcept nogil:
    """x tanh(log(1 + e)) = x (e^2 + 2 e)/(e^2 + 2 e + 2), e = n/m."""
    cdef double g = e.n * (e.n + 2 * e.m)
    return x * g / fma(2 * e.m, e.m, g)


cdef inline double mish_d32(double x) noexcept nogil:
    """e ((e + 2) d + 4 x (1 + e))/d^2 with d = e^2 + 2 e + 2, e = e^x."""
    cdef m32.Ratio e = m32.exp2_ratio_fine(x, LOG2E)
    cdef double square = e.m * e.m, sum = fma(2, e.m, e.n)
    cdef double d = fma(e.n, sum, 2 * square)
    return e.n * fma(sum, d, 4 * x * square * (e.m + e.n)) / (d * d)


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
    g.e = m64.lifted_exp(as_pair(at_least(minus_absolute(x), -760.0)))
    g.h = pair_of(g.e.hi * UNLIFT, g.e.lo * UNLIFT)
    square = product(g.h, g.h)
    g.t = plus(2.0, g.h) if g.negative else m64.one_plus(g.h, 2.0)
    g.m = product(g.e, g.t) if g.negative else pair_of(g.t.hi * LIFT, g.t.lo * LIFT)
    g.d = two_sum(g.m.hi * UNLIFT, 2.0 if g.negative else square.hi + square.hi)
    g.d.lo += g.m.lo * UNLIFT + (0.0 if g.negative else square.lo + square.lo)
    return g


cdef inline double mish64(double x) noexcept nogil:
    """x tanh(log(1 + e^x))."""
    cdef double c = at_least(x, -760.0)
    cdef mishing g = open_mish(x)
    cdef pair q = quotient(g.m, g.d)
    cdef double y = with_sign(absolute(fma(c, q.hi, c * q.lo) * UNLIFT), x)
    return y if x < 60 else x


cdef inline double mish_d64(double x) noexcept nogil:
    """(t d + 4 x (1 + h) f)/d^2 g: f = 1, g = h for negative x, else f = h^2, g = 1."""
    cdef double c = at_most(at_least(x, -760.0), 760.0)
    cdef mishing g = open_mish(x)
    cdef pair a = product(g.t, g.d)
    cdef pair b = times(m64.one_plus(g.h, 1.0), 4 * c)
    cdef double f = 1.0 if g.negative else g.h.hi * g.h.hi
    cdef double first = g.e.hi if g.negative else LIFT
    cdef pair sum = two_sum(a.hi, b.hi * f)
    sum.lo += fma(b.lo, f, a.lo)
    cdef pair q = quotient(sum, product(g.d, g.d))
    return fma(q.hi, first, fma(q.hi, g.e.lo if g.negative else 0.0, q.lo * first)) * UNLIFT


cdef inline void mish(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-120), high = <float> opaque(30)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> mish32(
                at_least(x[i], low),
                m32.exp2_ratio(at_most(at_least(x[i], low), high), LOG2E))
        else:
            y[i] = mish64(x[i])


cdef inline void mish_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-120), high = <float> opaque(30)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> mish_d32(at_most(at_least(x[i], low), high))
        else:
            y[i] = mish_d64(x[i])


# gelu: x Phi(x) = max(x, 0) - |x| Phi(-|x|), Phi the normal distribution

cdef inline double gelu_tail(double a) noexcept nogil:
    """a Phi(-a) for a >= 0."""
    cdef m32.Ratio tail = normal_tail32(a)
    return a * tail.n / tail.m


cdef inline double gelu_d_tail(double a) noexcept nogil:
    """gelu'(-a) = Phi(-a) - a phi(a) for a >= 0."""
    cdef m32.Ratio e = m32.exp2_ratio_fine(a * a, -0.7213475204444817)
    cdef double p = fma(0.39894182028697434, a, 5.210095904502503)
    cdef double q = a + 13.059695072246495
    p = fma(p, a, 31.85481988684761)
    q = fma(q, a, 80.85057365583069)
    p = fma(p, a, 111.77172663733626)
    q = fma(q, a, 293.1871020626315)
    p = fma(p, a, 226.09509004572428)
    q = fma(q, a, 645.0996280222158)
    p = fma(p, a, 222.3710205836628)
    q = fma(q, a, 807.0429845224409)
    q = fma(q, a, 444.74204120701194)
    return e.n * fma(-INV_SQRT_2PI * a, q, p) / (e.m * q)


cdef inline floats gelu_vector(floats x) noexcept nogil:
    """x Phi(x) = max(x, 0) - F, F = a Phi(-a), a = |x| up to 14.5.

    a^2 = n STEP + r, and e^(-MU a^2) is 2^(-n/16) e^(-MU r). The rest of Phi(-a) falls slowly,
    C (1 + d q(d)) on each of 16 intervals of a, d the distance from a number near its middle.
    The power and C have 12 bits each, so that their product h is exact; what the power lacks
    is in r. Thus F = a h + a h w with a small w, that needs no low part, is good to a little
    more than its own rounding. h has a factor 2^64, removed with the last rounding: so
    subnormal results round only there.
    """
    cdef floats a = minimum(as_floats(as_words(x) & <unsigned int> 0x7fffffff),
                            broadcast(<float> 14.5))
    cdef words interval = as_words(a + ONE) >> 21
    cdef floats t = fmav(a, a * <float> 11.636363983154297, broadcast(ROUNDF))
    cdef words n = as_words(t)
    # n STEP, exactly: STEP = 11/128
    cdef floats whole = fmav(t, broadcast(<float> 0.0859375),
                             broadcast(<float> -1081344.0))
    cdef floats r = fmav(a, a, -whole) + lookup16(GELU_SHIFTS, n)
    cdef floats h = (as_floats(as_words(lookup16(GELU_POWERS, n)) - (n << 19))
                     * lookup16(GELU_MILLS, interval))
    cdef floats d = a - lookup16(GELU_CENTRES, interval)
    cdef floats s = fmav(broadcast(<float> -0.0213504359126091), r,
                         broadcast(<float> 0.12706702947616577))
    cdef floats q = fmav(lookup16(GELU_Q[5], interval), d, lookup16(GELU_Q[4], interval))
    cdef floats w
    s = fmav(s, r, broadcast(<float> -0.5041070580482483))
    q = fmav(q, d, lookup16(GELU_Q[3], interval))
    s = fmav(s, r, broadcast(<float> -1.1947695055525287e-09))
    q = fmav(q, d, lookup16(GELU_Q[2], interval))
    q = fmav(q, d, lookup16(GELU_Q[1], interval))
    q = fmav(q, d, lookup16(GELU_Q[0], interval))
    w = fmav(q, fmav(d, s, d), s)
    return fmav(-fmav(a, h, a * h * w), broadcast(<float> 5.421010862427522e-20),
                maximum(broadcast(<float> -0.0), x))


cdef inline double gelu64(double x) noexcept nogil:
    """x Phi(x) = max(x, 0) - |x| (1 - Phi(|x|))."""
    cdef double a = at_most(absolute(x), 39.0)
    cdef m64.scaled e = normal_exp(a)
    cdef pair q = normal_tail64(a, e)
    cdef double tail = m64.scale(fma(a, q.hi, a * q.lo), e.n)
    return x - tail if x >= 0 else -tail


cdef inline double gelu_d64(double x) noexcept nogil:
    """Phi(x) + x phi(x); for negative x that is 1 - Phi(a) - a phi(a), a = |x|."""
    cdef double a = at_most(absolute(x), 39.0), y
    cdef m64.scaled e = normal_exp(a)
    cdef pair q = product(pair_of(-e.hi, -e.lo),
                          times(pair_of(INV_SQRT_2PI_H, INV_SQRT_2PI_L), a))
    cdef pair tail = normal_tail64(a, e)
    q.lo += tail.lo
    q = plus(tail.hi, q)
    y = m64.scale(q.hi + q.lo, e.n)
    return 1 - y if x >= 0 else y


cdef inline void gelu(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i, start = 0
    cdef float zero = <float> opaque(0), high = <float> opaque(15)
    if real is double:
        for i in range(n & -LANES):
            y[i] = gelu64(x[i])
    elif PERMUTES:
        while start < n:
            store(y + start, gelu_vector(load(x + start)))
            start += WIDTH
    else:
        for i in range(n & -LANES):
            y[i] = <float> (m32.positive(x[i], zero)
                            - gelu_tail(at_most(absolute(x[i]), high)))


cdef inline void gelu_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(15)
    cdef double tail
    for i in range(n & -LANES):
        if real is float:
            tail = gelu_d_tail(at_most(absolute(x[i]), high))
            y[i] = <float> (1 - tail if x[i] > 0 else tail)
        else:
            y[i] = gelu_d64(x[i])


cdef inline void gelu_ties(const double* x, double* restrict y, Py_ssize_t n,
                           const double* p) noexcept nogil:
    """The same; and x where that is large, of which a little is missing."""
    cdef Py_ssize_t i
    cdef double large
    for i in range(n & -LANES):
        large = -1 if x[i] > 6 else 0
        y[i] = 1 if absolute(x[i]) < 2.0**-100 else large


# gelu_tanh: x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))

cdef inline double gelu_tanh_exponent(double x) noexcept nogil:
    """2 sqrt(2/pi) (x + 0.044715 x^3) / ln 2."""
    return x * fma(0.1029432395800235, x * x, 2.3022081981443248)


cdef inline double gelu_tanh_d32(double x) noexcept nogil:
    """s + x s (1 - s) g' with s = sigmoid(g), g = 2 sqrt(2/pi) (x + 0.044715 x^3)."""
    cdef double slope = x * fma(0.21406444881780073, x * x, 1.5957691216057308)
    cdef m32.Ratio e = m32.exp2_ratio_fine(gelu_tanh_exponent(x), -1)
    cdef double sum = e.m + e.n
    return e.m * fma(slope, e.n, sum) / (sum * sum)


cdef inline pair cubic(double x, double h1, double l1, double h3, double l3) noexcept nogil:
    """x ((h1 + l1) + (h3 + l3) x^2)."""
    cdef pair c = plus(h1, product(pair_of(h3, l3), two_prod(x, x)))
    c.lo += l1
    return times(c, x)


cdef inline double gelu_tanh64(double x) noexcept nogil:
    """x/2 (1 + tanh u) = x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3)."""
    cdef double c = at_least(at_most(x, 24.0), -24.0)
    cdef pair v = cubic(c, TANH_1_H, TANH_1_L, TANH_3_H, TANH_3_L)
    cdef m64.gate g = m64.open_gate(m64.lower(v, -760.0), v.hi < 0)
    cdef pair q = quotient(g.m, g.d)
    return fma(c, q.hi, c * q.lo) * UNLIFT if v.hi < 60 else x


cdef inline double gelu_tanh_d64(double x) noexcept nogil:
    """sigmoid(v) (1 + x v' (1 - sigmoid(v))), v = 2 u."""
    cdef double c = at_least(at_most(x, 24.0), -24.0)
    cdef pair v = cubic(c, TANH_1_H, TANH_1_L, TANH_3_H, TANH_3_L)
    cdef pair w = cubic(c, TANH_1_H, TANH_1_L, TANH_D3_H, TANH_D3_L)
    return gated_d(w, m64.open_gate(m64.lower(v, -760.0), v.hi < 0))


cdef inline void gelu_tanh(const real* x, real* restrict y, Py_ssize_t n,
                           const double* p) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef double rounded[BLOCK]
    cdef double rest[BLOCK]
    cdef float low = <float> opaque(-20), high = <float> opaque(20)
    if real is double:
        for i in range(n & -LANES):
            y[i] = gelu_tanh64(x[i])
    else:
        while start < n:
            count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
            for i in range(count):
                m32.exp2_reduce(
                    gelu_tanh_exponent(at_most(at_least(x[start + i], low), high)), -1,
                    &rounded[i], &rest[i])
            for i in range(count):
                y[start + i] = <float> m32.gate(at_least(x[start + i], low),
                                                m32.exp2_reduced(rounded[i], rest[i]))
            start += BLOCK


cdef inline void gelu_tanh_d(const real* x, real* restrict y, Py_ssize_t n,
                             const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-20), high = <float> opaque(20)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> gelu_tanh_d32(at_most(at_least(x[i], low), high))
        else:
            y[i] = gelu_tanh_d64(x[i])


# gelu_sigmoid: x sigmoid(1.702 x)

cdef inline void gelu_sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                              const double* p) noexcept nogil:
    cdef Py_ssize_t i
    if real is double:
        for i in range(n & -LANES):
            y[i] = silu64(x[i], 1.702)
    else:
        silu_float(x, y, n, -1.702 * LOG2E, 75)


cdef inline void gelu_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                                const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double low = opaque(-130), high = opaque(130)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> silu_d32(at_most(at_least(1.702 * x[i], low), high))
        else:
            y[i] = silu_d64(x[i], 1.702)


# hard_swish: x hard_sigmoid(x) = x clip(x + 3, 0, 6) / 6; hard_swish'(-3) = 0, '(3) = 1

cdef inline float hard_swish32(float x) noexcept nogil:
    """x (x + 3) / 6 for |x| < 3: (x + 3) / 6 in two floats, then times x."""
    cdef float sum = x + <float> 3.0
    cdef float lost = x - (sum - <float> 3.0)
    cdef float gate = sum * <float> 0.1666666716337204
    cdef float low = fmaf(sum, <float> 0.1666666716337204, -gate)
    low = fmaf(sum, <float> -4.967053731282552e-09, fmaf(lost, <float> 0.1666666716337204, low))
    return fmaf(x, gate, x * low)


cdef inline double hard_swish64(double x) noexcept nogil:
    """x (x + 3) / 6 for |x| < 3."""
    cdef pair sum = fast_two_sum(3, x)
    cdef pair y = times(sum, x)
    return fma(y.hi, 0.16666666666666666,
               fma(y.hi, 9.25185853854297e-18, y.lo * 0.16666666666666666))


cdef inline void hard_swish(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real inner
    for i in range(n & -LANES):
        if real is float:
            inner = with_sign(0 if x[i] <= -3 else hard_swish32(x[i]), x[i])
        else:
            inner = with_sign(0 if x[i] <= -3 else hard_swish64(x[i]), x[i])
        y[i] = x[i] if x[i] >= 3 else inner


cdef inline void hard_swish_d(const real* x, real* restrict y, Py_ssize_t n,
                              const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real three = <real> 3, two = <real> 2, sum, lost, slope
    cdef real sixth = <real> (1.0 / 6)
    cdef real rest = <real> (1.0 / 6 - <double> sixth)  # 0 in double, where it does not matter
    for i in range(n & -LANES):
        sum = multiply_add(two, x[i], three)
        lost = multiply_add(two, x[i], three - sum)
        slope = multiply_add(sum, sixth, multiply_add(sum, rest, lost * sixth))
        y[i] = 0 if x[i] <= -three else 1 if x[i] >= three else slope


# dish: x / 2 (1 + x / sqrt(1 + x^2))

cdef inline double dish32(double x, double low) noexcept nogil:
    """x squareplus'(x) with b = 1; below `low` the result is that at `low`."""
    cdef double a = absolute(x)
    cdef double finite = at_most(a, -low)
    cdef double r = sqrt(fma(finite, finite, 1))
    cdef double sum = r + finite
    return 0.5 * at_least(x, low) * ((1 if x < 0 else sum) / (r * sum if x < 0 else r))


cdef inline double dish_d32(double x, double high) noexcept nogil:
    """1/2 + x / (2 r) + x / (2 r^3), r = sqrt(1 + x^2), for |x| up to `high`.

    For x = -a that is (1 - a r) / (2 r^3 (r + a)).
    """
    cdef double a = at_most(absolute(x), high)
    cdef double v = fma(a, a, 1)
    cdef double r = sqrt(v)
    cdef double sum = r + a
    return 0.5 * ((1 - a * r if x < 0 else fma(sum, v, a))
                  / (v * r * sum if x < 0 else v * r))


cdef inline double dish64(double x) noexcept nogil:
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
    y = product(h, quotient(as_pair(clamped), s))
    return x if x > 2.0**100 else with_sign(y.hi + y.lo, x)


cdef inline double dish_d64(double x) noexcept nogil:
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


cdef inline void dish(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double low = opaque(-1e60)
    for i in range(n & -LANES):
        y[i] = <float> dish32(x[i], low) if real is float else dish64(x[i])


cdef inline void dish_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double high = opaque(1e60)
    for i in range(n & -LANES):
        y[i] = <float> dish_d32(x[i], high) if real is float else dish_d64(x[i])


cdef inline void add_self_gated(Table* table) noexcept nogil:
    add(table, name=b"gelu", parameters=0, cost=0.9, traits=PLAIN, ties=gelu_ties,
        value32=gelu, value64=gelu, derivative32=gelu_d, derivative64=gelu_d)
    add(table, name=b"gelu_tanh", parameters=0, cost=0.75, traits=PLAIN, ties=gelu_ties,
        value32=gelu_tanh, value64=gelu_tanh, derivative32=gelu_tanh_d, derivative64=gelu_tanh_d)
    add(table, name=b"gelu_sigmoid", parameters=0, cost=0.6, traits=PLAIN, ties=above_half_x,
        value32=gelu_sigmoid, value64=gelu_sigmoid,
        derivative32=gelu_sigmoid_d, derivative64=gelu_sigmoid_d)
    add(table, name=b"silu", parameters=1, cost=0.6, traits=PLAIN, ties=silu_ties,
        value32=silu, value64=silu, derivative32=silu_d, derivative64=silu_d)
    add(table, name=b"mish", parameters=0, cost=0.8, traits=PLAIN, ties=NULL,
        value32=mish, value64=mish, derivative32=mish_d, derivative64=mish_d)
    add(table, name=b"hard_swish", parameters=0, cost=0.2, traits=PLAIN, ties=above_half_x,
        value32=hard_swish, value64=hard_swish,
        derivative32=hard_swish_d, derivative64=hard_swish_d)
    add(table, name=b"dish", parameters=0, cost=1.2, traits=PLAIN, ties=above_half_x,
        value32=dish, value64=dish, derivative32=dish_d, derivative64=dish_d)
