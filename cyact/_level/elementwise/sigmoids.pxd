"""Sigmoids: what rises from one bound to another, and the step without one."""

from libc.math cimport INFINITY

from cyact._level.abi cimport LANES
from cyact._level.bits cimport (
    FMA,
    ONE,
    absolute,
    at_least,
    at_most,
    bits64,
    fma,
    fmaf,
    from_bits64,
    minus_absolute,
    opaque,
    real,
    with_sign,
)
from cyact._level.constants cimport (
    LARGEST,
    LIFT,
    LOG2E,
    ONE_OVER_3_H,
    ONE_OVER_3_L,
    PI_2_H,
    PI_2_L,
    PI_4_H,
    PI_4_L,
    TANH_CENTRES,
    TANH_Q,
    TANH_SLOPES,
    TANH_VALUES,
    UNLIFT,
)
from cyact._level.elementwise.rectifiers cimport between, between_exactly, sparse_plus_d
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
    minimum,
    store,
    words,
)
cimport cyact._level.maths32 as m32
cimport cyact._level.maths64 as m64


# sigmoid: 1 / (1 + e^-x)

cdef inline float sigmoid_from32(float x, float high, float low) noexcept nogil:
    """1 / (1 + e^-x), given 2^-64 (1 + e^|x|)."""
    cdef float tail = m32.logistic(ONE, high, low)
    cdef float below = tail * <float> 5.421010862427522e-20
    cdef float above = fmaf(-tail, <float> 5.421010862427522e-20, ONE)
    cdef float y = below if x < 0 else above
    return y if x == x else x


cdef inline float sigmoid_d_from(float x, float high, float low) noexcept nogil:
    """s (1 - s), s = 1 / (1 + e^-x), given 2^-64 (1 + e^|x|)."""
    cdef float q = ONE / high, scale = <float> 5.421010862427522e-20
    cdef float lack = fmaf(-q, low, fmaf(-q, high, ONE))
    cdef float small = q * scale
    cdef float p = ONE - small
    cdef float p_low = fmaf(-small, lack, (ONE - p) - small)
    cdef float y = scale * fmaf(q, p, q * fmaf(p, lack, p_low))
    return y if x == x else x


cdef inline double sigmoid_d32(double x) noexcept nogil:
    cdef m32.Ratio e = m32.exp2_ratio(x, -LOG2E)
    cdef double sum = e.m + e.n
    return e.m * e.n / (sum * sum)


cdef inline double bell(double x, double height) noexcept nogil:
    """height sigmoid(x) sigmoid(-x), height a power of two."""
    cdef pair e = m64.lifted_exp(as_pair(at_least(minus_absolute(x), -760.0)))
    cdef pair d = m64.one_plus(e, UNLIFT)
    return divide(e, product(d, d)) * (height * UNLIFT)


cdef inline double sigmoid_d64(double x) noexcept nogil:
    """sigmoid(x) sigmoid(-x)."""
    return bell(x, 1)


cdef inline void exp_ratio_block(const double* x, double* n, double* m,
                                 Py_ssize_t count) noexcept nogil:
    """e^-|x| as a quotient."""
    cdef Py_ssize_t i
    for i in range(count):
        m64.exp_ratio(at_least(minus_absolute(x[i]), -760.0), &n[i], &m[i])


cdef inline void sigmoid_float(const float* x, float* restrict y, Py_ssize_t n,
                               float sign) noexcept nogil:
    """sigmoid(sign x)."""
    cdef Py_ssize_t i, count, start = 0
    cdef float sum[BLOCK]
    cdef float lost[BLOCK]
    while start < n:
        count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
        m32.exp_plus_one(x + start, sum, lost, count)
        for i in range(count):
            y[start + i] = sigmoid_from32(sign * x[start + i], sum[i], lost[i])
        start += BLOCK


cdef inline void sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef double rounded[BLOCK]
    cdef double rest[BLOCK]
    cdef float low = <float> opaque(-110), high = <float> opaque(110)
    if real is float:
        if PERMUTES:
            sigmoid_float(x, y, n, 1)
            return
    while start < n:
        count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
        if real is double:
            exp_ratio_block(x + start, rounded, rest, count)
            for i in range(count):
                y[start + i] = m64.sigmoid(rounded[i], rest[i], x[start + i])
        else:
            for i in range(count):
                m32.exp2_reduce(at_most(at_least(x[start + i], low), high), -LOG2E,
                                &rounded[i], &rest[i])
            for i in range(count):
                y[start + i] = <float> m32.gate(1, m32.exp2_reduced(rounded[i], rest[i]))
        start += BLOCK


cdef inline void sigmoid_d_float(const float* x, float* restrict y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef float sum[BLOCK]
    cdef float lost[BLOCK]
    while start < n:
        count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
        m32.exp_plus_one(x + start, sum, lost, count)
        for i in range(count):
            y[start + i] = sigmoid_d_from(x[start + i], sum[i], lost[i])
        start += BLOCK


cdef inline void sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                           const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(110)
    if real is float:
        if PERMUTES:
            sigmoid_d_float(x, y, n)
            return
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> sigmoid_d32(at_most(absolute(x[i]), high))
        else:
            y[i] = sigmoid_d64(x[i])


cdef inline void sigmoid_y(const real* x, real* restrict y, Py_ssize_t n,
                           const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = fmaf(-x[i], x[i], x[i])
        else:
            y[i] = x[i] * (1 - x[i])


# hard_sigmoid: clip(alpha x + beta, 0, 1)

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


cdef inline float hard_sigmoid32(float x) noexcept nogil:
    """x / 6 + 1/2 for -4 <= x <= 3, with the double nearest to 1/6 as the sum of three floats.

    At most 0.67 ULP over all inputs.
    """
    cdef float sum = fmaf(<float> 0.1666666716337204, x, <float> 0.5)
    sum = fmaf(<float> -4.967053879312289e-09, x, sum)
    return fmaf(<float> 1.3877787807814457e-16, x, sum)


cdef inline void hard_sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                              const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], beta = p[1]
    cdef real zero = <real> opaque(0), one = <real> opaque(1)
    cdef real constant = at_most(at_least(<real> beta, zero), one)
    cdef float least = <float> opaque(-4), most = <float> opaque(3), inside
    if alpha == 0:      # of infinities, too
        for i in range(n & -LANES):
            y[i] = constant if x[i] == x[i] else x[i]
    elif real is float and FMA and alpha == 1.0 / 6 and beta == 0.5:
        for i in range(n & -LANES):
            inside = at_most(at_least(x[i], least), most)
            y[i] = at_least(hard_sigmoid32(inside), zero)
    else:
        for i in range(n & -LANES):
            y[i] = at_most(at_least(<real> linear(alpha, x[i], beta), zero), one)


cdef inline void hard_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                                const double* p) noexcept nogil:
    # The ends in float64. If alpha is 0 they do not matter, even as NaN: alpha is the slope.
    cdef double zero = zero_of(as_pair(-p[1]), p[0])
    cdef double one = zero_of(two_sum(1, -p[1]), p[0])
    between_exactly(x, y, n, at_most(zero, one), at_least(zero, one), p[0])


cdef inline void hard_sigmoid_ties(const double* x, double* restrict y, Py_ssize_t n,
                                   const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], beta = p[1]
    cdef pair term, sum
    for i in range(n & -LANES):
        term = two_prod(alpha, x[i])
        sum = two_sum(term.hi, beta)
        y[i] = (sum.hi - linear(alpha, x[i], beta)) + (sum.lo + term.lo)


# sparse_sigmoid: sparse_plus', which is in rectifiers.pxd

cdef inline void sparse_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                                  const double* p) noexcept nogil:
    between(x, y, n, <real> -1, <real> 1, <real> 0.5)


# tanh

cdef inline double tanh32(double x) noexcept nogil:
    """|x| < 9.02; beyond, tanh rounds to 1 in float."""
    cdef double z = x * x
    cdef double p = fma(0.017159554288930557, z, 26.517857614898443)
    cdef double q = z + 422.9590583523364
    p = fma(p, z, 4501.312185176469)
    q = fma(q, z, 33329.14829269838)
    p = fma(p, z, 172367.50814271322)
    q = fma(q, z, 601791.1574542134)
    p = fma(p, z, 1288271.6197517854)
    q = fma(q, z, 1288271.6467701204)
    return x * p / q


cdef inline m32.Ratio tanh_ratio(double x) noexcept nogil:
    """tanh to 2^-28, for |x| <= 10."""
    cdef m32.Ratio e
    cdef double z = x * x
    cdef double n = fma(71.31038699311969, z, 46654.35236854723)
    cdef double m = z + 2337.491238085933
    n = fma(n, z, 6082859.133869345)
    m = fma(m, z, 631392.5662545848)
    n = fma(n, z, 211696441.9597746)
    m = fma(m, z, 42402578.32239376)
    n = fma(n, z, 1541061456.735647)
    m = fma(m, z, 725383554.8436973)
    e.n = n * x
    e.m = fma(m, z, 1541061461.2009852)
    return e


cdef inline double tanh_d32(double magnitude) noexcept nogil:
    """1 - tanh^2 = 4 e^2x / (1 + e^2x)^2, given |x|."""
    cdef m32.Ratio e = m32.exp2_ratio(magnitude, -2 * LOG2E)
    cdef double sum = e.m + e.n
    return 4 * e.m * e.n / (sum * sum)


cdef inline floats tanh_vector(floats x) noexcept nogil:
    """A polynomial on each of 16 intervals of a = |x| up to 9.25, from where on tanh is 1.

    value + d q(d), d the distance from a number near the interval's middle; on the interval of 0
    that is a + a q(a), so that small a lose nothing. The second term is at most half as large
    as the first, and its error half of its own last place.
    """
    cdef floats a = minimum(broadcast(<float> 9.25),
                            as_floats(as_words(x) & <unsigned int> 0x7fffffff))
    cdef words interval = as_words(fmav(a, broadcast(<float> 1.6215134859085083),
                                        broadcast(ONE))) >> 21
    cdef floats d = a - lookup16(TANH_CENTRES, interval)
    cdef floats base = fmav(lookup16(TANH_SLOPES, interval), d, lookup16(TANH_VALUES, interval))
    cdef floats q = fmav(lookup16(TANH_Q[4], interval), d, lookup16(TANH_Q[3], interval))
    q = fmav(q, d, lookup16(TANH_Q[2], interval))
    q = fmav(q, d, lookup16(TANH_Q[1], interval))
    q = fmav(q, d, lookup16(TANH_Q[0], interval))
    return as_floats(as_words(fmav(q, d, base)) | (as_words(x) & <unsigned int> 0x80000000))


cdef inline double tanh64(double x) noexcept nogil:
    """m/(m + 2), m = e^(2|x|) - 1, with the sign of x."""
    cdef double a = at_most(absolute(x), 20.0)
    cdef pair m = m64.expm1_parts(as_pair(a + a))
    return with_sign(divide(m, plus(2, m)), x)


cdef inline double tanh_d64(double x) noexcept nogil:
    """1 - tanh(x)^2 = 4 sigmoid'(2 x)."""
    return bell(x + x, 4)


cdef inline void tanh(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i, start = 0
    cdef float low = <float> opaque(-9.02), high = <float> opaque(9.02)
    if real is double:
        for i in range(n & -LANES):
            y[i] = tanh64(x[i])
    elif PERMUTES:
        while start < n:
            store(y + start, tanh_vector(load(x + start)))
            start += WIDTH
    else:
        for i in range(n & -LANES):
            y[i] = <float> tanh32(at_most(at_least(x[i], low), high))


cdef inline void tanh_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(55)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> tanh_d32(at_most(absolute(x[i]), high))
        else:
            y[i] = tanh_d64(x[i])


cdef inline void tanh_y(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = fmaf(-x[i], x[i], 1)
        else:
            y[i] = (1 - x[i]) * (1 + x[i])


# hard_tanh: clip(x, low, high); the derivative is 0 at both ends

cdef inline void hard_tanh(const real* x, real* restrict y, Py_ssize_t n,
                           const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real low = <real> p[0], high = <real> p[1]
    for i in range(n & -LANES):
        y[i] = at_most(at_least(x[i], low), high)


cdef inline void hard_tanh_d(const real* x, real* restrict y, Py_ssize_t n,
                             const double* p) noexcept nogil:
    between_exactly(x, y, n, p[0], p[1], 1)


# tanh_shrink: x - tanh(x); tanh_shrink' = tanh^2

cdef inline double tanh_squared32(double x) noexcept nogil:
    """For |x| <= 10."""
    cdef m32.Ratio e = tanh_ratio(x)
    cdef double y = e.n / e.m
    return y * y


cdef inline double tanh_shrink32(double x) noexcept nogil:
    """x - tanh(x), |x| <= 9.02."""
    cdef double z = x * x
    cdef double p = fma(1.0099032333550231e-05, z, 0.9758160834451407)
    cdef double q = z + 298.4878112305354
    p = fma(p, z, 277.03674756657057)
    q = fma(q, z, 20392.090327155194)
    p = fma(p, z, 17482.37287564702)
    q = fma(q, z, 350199.8187657457)
    p = fma(p, z, 248127.25234722663)
    q = fma(q, z, 744381.7574066363)
    return x * z * p / q


cdef inline pair tanh_parts(double a) noexcept nogil:
    """tanh(a) for 0 <= a <= 20."""
    cdef pair m = m64.expm1_parts(as_pair(a + a))
    return quotient(m, plus(2, m))


cdef inline double tanh_squared64(double x) noexcept nogil:
    cdef pair y = tanh_parts(at_most(absolute(x), 20.0))
    return fma(y.hi, y.hi, 2 * y.hi * y.lo)


cdef inline double tanh_shrink64(double x) noexcept nogil:
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


cdef inline void tanh_shrink(const real* x, real* restrict y, Py_ssize_t n,
                             const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-9.02), high = <float> opaque(9.02), inner
    for i in range(n & -LANES):
        if real is float:
            inner = at_most(at_least(x[i], low), high)
            # beyond, tanh no longer grows; the sign is for -0.0
            y[i] = with_sign(<float> (<double> x[i] - inner + tanh_shrink32(inner)), x[i])
        else:
            y[i] = tanh_shrink64(x[i])


cdef inline void tanh_shrink_d(const real* x, real* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(10)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> tanh_squared32(at_most(absolute(x[i]), high))
        else:
            y[i] = tanh_squared64(x[i])


# arctan

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


cdef inline float arctan32(float x) noexcept nogil:
    """atan of |x| up to 3/4; then pi/4 + atan((a - 1)/(a + 1)) up to 7/4; then pi/2 - atan(1/a).

    Where the division's error would count, its argument is small next to the result.
    """
    cdef float a = absolute(x)
    cdef bint middle = a > <float> 0.75, large = a > <float> 1.75
    cdef float n = -ONE if large else a - ONE if middle else a
    cdef float d = a if large else a + ONE if middle else ONE
    cdef float base = (<float> 1.5707963705062866 if large
                       else <float> 0.7853981852531433 if middle else <float> 0)
    cdef float t = n / d
    cdef float z = t * t
    cdef float sum = base + t
    cdef float lost = (base - sum) + t + base * <float> -2.782753437848454e-08
    cdef float p = fmaf(<float> -0.012966640688343118, z, <float> 0.04396715333736494)
    p = fmaf(p, z, <float> -0.0783375161500754)
    p = fmaf(p, z, <float> 0.10826003695152077)
    p = fmaf(p, z, <float> -0.14249780499790596)
    p = fmaf(p, z, <float> 0.1999780966828367)
    p = fmaf(p, z, <float> -0.33333287730756783)
    return with_sign(sum + fmaf(t * z, p, lost), x)


cdef inline double arctan64(double x) noexcept nogil:
    """atan of |x| up to 1/2; then pi/4 + atan((a - 1)/(a + 1)) up to 2; then pi/2 - atan(1/a)."""
    cdef double a = absolute(x)
    cdef bint middle = a > 0.5, large = a > 2
    cdef double n = -1.0 if large else a - 1 if middle else a
    cdef double d = a if large else a + 1 if middle else 1.0
    cdef double base = PI_2_H if large else PI_4_H if middle else 0.0
    cdef double low = PI_2_L if large else PI_4_L if middle else 0.0
    return with_sign(atan_sum(base, low, n / d, 0), x)


cdef inline double arctan_d64(double x) noexcept nogil:
    """1/(1 + x^2)."""
    cdef double a = at_most(absolute(x), 1e170)
    cdef bint large = a > 1e100                     # then x^2 is lowered by 2^-800
    cdef double unit = 3.8725919148493183e-121 if large else 1.0
    cdef pair d = two_prod(a * unit, a * unit)
    d = plus(0.0 if large else 1.0, d)
    return 1 / (d.hi + d.lo) * unit * unit


cdef inline void arctan(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = arctan32(x[i])
        else:
            y[i] = arctan64(x[i])


cdef inline void arctan_d(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> (1 / fma(x[i], x[i], 1))
        else:
            y[i] = arctan_d64(x[i])


# gudermannian: 2 atan(tanh(x/2)); gudermannian' = 1/cosh

cdef inline double gudermannian32(double a) noexcept nogil:
    """2 atan(tanh(a/2)), 0 <= a <= 20: tanh(a/2) is n/d, and if it is large its arctangent is
    pi/4 + atan((n - d)/(n + d)).
    """
    cdef m32.Ratio r = tanh_ratio(0.5 * a)
    cdef double numerator, denominator, base, t, z, p
    numerator = r.n - r.m if a > 0.88 else r.n
    denominator = r.n + r.m if a > 0.88 else r.m
    base = 1.5707963267948966 if a > 0.88 else 0.0
    t = 2 * numerator / denominator
    z = 0.25 * t * t
    p = fma(-0.06081738497542703, z, 0.10595357593290491)
    p = fma(p, z, -0.14243766440600533)
    p = fma(p, z, 0.1999848535720656)
    p = fma(p, z, -0.333333154436185)
    return base + fma(t * z, p, t)


cdef inline double sech32(double magnitude) noexcept nogil:
    """1/cosh = 2 e^x/(1 + e^2x), given |x|."""
    cdef m32.Ratio e = m32.exp2_ratio(magnitude, LOG2E)
    return 2 * e.m * e.n / fma(e.m, e.m, e.n * e.n)


cdef inline double gudermannian64(double x) noexcept nogil:
    """2 atan(tanh(x/2)), tanh(x/2) = m/(m + 2); where that is large, pi/2 - 2 atan(1/(m + 1)).

    m = e^|x| - 1.
    """
    cdef double a = at_most(absolute(x), 40.0)
    cdef bint large = a > 0.88
    cdef pair m = m64.expm1_parts(as_pair(a)), d = plus(1.0 if large else 2.0, m), t
    m.hi = -1.0 if large else m.hi
    m.lo = 0.0 if large else m.lo
    t = quotient(m, d)
    cdef double y = 2 * atan_sum(PI_4_H if large else 0.0, PI_4_L if large else 0.0, t.hi, t.lo)
    return x if absolute(x) < 1e-9 else with_sign(y, x)


cdef inline double sech64(double x) noexcept nogil:
    """1/cosh(x) = 2 e/(1 + e^2), e = e^-|x|."""
    cdef pair e = m64.lifted_exp(as_pair(at_least(minus_absolute(x), -760.0)))
    cdef pair low = pair_of(e.hi * UNLIFT, e.lo * UNLIFT)
    return divide(e, plus(1, product(low, low))) * (2 * UNLIFT)


cdef inline void gudermannian(const real* x, real* restrict y, Py_ssize_t n,
                              const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(20)
    for i in range(n & -LANES):
        if real is float:
            y[i] = with_sign(<float> gudermannian32(at_most(absolute(x[i]), high)), x[i])
        else:
            y[i] = gudermannian64(x[i])


cdef inline void gudermannian_d(const real* x, real* restrict y, Py_ssize_t n,
                                const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(110)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> sech32(at_most(absolute(x[i]), high))
        else:
            y[i] = sech64(x[i])


# The generalized logistic function, lower + (upper - lower) (1 + e^-z)^(-1/nu) with
# z = growth (x - midpoint). Factors of any magnitude: powers of two apart from the rest.
cdef struct logistic64:
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
    m64.expanded e
    pair exponential     # e^-|z|; 2^-1000 if smaller
    pair q               # without the factor 2^q_exponent where that is small
    double q_exponent
    m64.expanded p
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
    return pair_of(m64.scale(x.hi, n), m64.scale(x.lo, n))


cdef inline logistic64 logistic_of(double lower, double upper, double growth, double midpoint,
                                   double nu) noexcept nogil:
    cdef logistic64 c
    cdef bint huge = (upper > 2.0**1000) | (lower < -2.0**1000)
    cdef double half = choose(huge, 0.5, 1.0), g = binade(growth)
    c.limit = choose(growth == 0, LARGEST, INFINITY)
    c.midpoint = 0.5 * midpoint
    c.growth = growth
    c.nu_exponent = binade(nu)
    c.inverse = reciprocal(as_pair(m64.scale(nu, -c.nu_exponent)))
    c.lower = lower
    c.upper = choose(upper == 0, -0.0, upper)      # it is approached from below
    c.threshold = choose(upper <= 0, -INFINITY, choose(lower >= 0, INFINITY, -0.69))
    c.width = two_sum(half * upper, -half * lower)
    c.width_exponent = binade(c.width.hi)
    c.width = scaled_pair(c.width, -c.width_exponent)
    c.width_exponent += choose(huge, 1.0, 0.0)
    c.slope = product(times(c.width, m64.scale(growth, -g)), c.inverse)
    c.slope_exponent = c.width_exponent + g - c.nu_exponent
    return c


cdef inline pair logistic_argument(double x, logistic64 c) noexcept nogil:
    """growth (x - midpoint); the difference is halved so that it cannot overflow."""
    cdef double half = 0.5 * at_most(at_least(x, -c.limit), c.limit)
    cdef pair z = times(two_sum(half, -c.midpoint), c.growth)
    return pair_of(z.hi + z.hi, z.lo + z.lo)


cdef inline curve logistic_curve(double x, logistic64 c) noexcept nogil:
    cdef curve y
    cdef pair z = logistic_argument(x, c), one_a, over, log, q
    cdef double n, s
    y.positive = z.hi >= 0
    y.e = m64.exp_fine(m64.lower(z, -2400.0))
    s = m64.power_of_two(at_least(y.e.n, -1000.0))
    one_a = m64.fast_plus(1.0, y.e.a)
    y.exponential = pair_of(one_a.hi * s, one_a.lo * s)
    over = m64.log1p_over(y.exponential)
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
    y.p = m64.exp_fine(log)
    return y


cdef inline double logistic_sum(double end, pair v, logistic64 c, double n) noexcept nogil:
    """end + (upper - lower) v 2^n."""
    cdef double t = at_most(at_least(n + c.width_exponent, -1300.0), 1100.0)
    cdef pair w = scaled_pair(product(c.width, v), t)
    cdef pair y = two_sum(end, w.hi)
    w.lo += y.lo
    return y.hi + w.lo if w.lo != 0 else y.hi      # -0.0 stays


cdef inline double generalized_logistic64(double x, logistic64 c) noexcept nogil:
    """lower + (upper - lower) e^q, or upper + (upper - lower) (e^q - 1)."""
    cdef curve y = logistic_curve(x, c)
    cdef bint above = y.log > c.threshold, small = y.q_exponent < -200
    cdef double s = m64.power_of_two(at_least(y.p.n, -200.0))
    # e^q - 1 is q where that is small
    cdef pair more = plus(s - 1, pair_of(y.p.a.hi * s, y.p.a.lo * s)), less, v
    more.hi = y.q.hi if small else more.hi
    more.lo = y.q.lo if small else more.lo
    less = m64.fast_plus(1.0, y.p.a)
    v.hi = more.hi if above else less.hi
    v.lo = more.lo if above else less.lo
    cdef double n = y.q_exponent if small else 0.0
    n = n if above else y.p.n
    return logistic_sum(c.upper if above else c.lower, v, c, n)


cdef inline double shifted_logistic(double x, logistic64 c, pair width) noexcept nogil:
    """lower + width sigmoid(z), for nu = 1, lower >= 0 and a width between 2^-20 and 2^20."""
    cdef pair z = logistic_argument(x, c), y
    cdef m64.gate g = m64.open_gate(m64.lower(z, -760.0), z.hi < 0)
    cdef pair w = product(width, quotient(g.m, g.d))
    y = two_sum(c.lower, w.hi * UNLIFT)
    return y.hi + fma(w.lo, UNLIFT, y.lo)


cdef inline double shifted_logistic_d(double x, logistic64 c, pair slope) noexcept nogil:
    """slope sigmoid(z) sigmoid(-z), for nu = 1 and a slope between 2^-20 and 2^20."""
    cdef pair e = m64.lifted_exp(m64.lower(logistic_argument(x, c), -760.0))
    cdef pair d = m64.one_plus(e, UNLIFT)
    e = product(slope, quotient(e, product(d, d)))
    return (e.hi + e.lo) * UNLIFT


cdef inline double symmetric_logistic(double x, logistic64 c, double size) noexcept nogil:
    """size tanh(z/2) = -size m/(m + 2), m = e^-|z| - 1: for lower = -upper = -size and nu = 1.

    Accurate also where it crosses 0.
    """
    cdef double half = 0.5 * at_most(at_least(x, -c.limit), c.limit)
    cdef pair d = two_sum(half, -c.midpoint), z = times(d, c.growth)
    cdef pair m = m64.expm1_parts(m64.lower(pair_of(z.hi + z.hi, z.lo + z.lo), -80.0))
    cdef pair q = quotient(m, plus(2.0, m))
    # size z/2 where z is small, or has lost digits by underflow
    cdef bint near = absolute(z.hi) < 1e-20
    cdef pair line = product(c.slope, d)
    cdef double factor = 1.0 if near else size
    cdef double n = c.slope_exponent - 1 if near else 0.0
    q.hi = line.hi if near else q.hi
    q.lo = line.lo if near else q.lo
    n = at_most(at_least(n, -2000.0), 2000.0)
    return with_sign(absolute(m64.scale(fma(factor, q.hi, factor * q.lo), n)), z.hi)


cdef inline double generalized_logistic_d64(double x, logistic64 c) noexcept nogil:
    """(upper - lower) growth/nu e^q sigmoid(-z)."""
    cdef curve y = logistic_curve(x, c)
    cdef pair m = product(c.slope, m64.fast_plus(1.0, y.p.a))
    cdef pair one_a = m64.fast_plus(1.0, y.e.a)
    cdef double n = c.slope_exponent + y.p.n + (y.e.n if y.positive else 0.0)
    one_a.hi = one_a.hi if y.positive else 1.0
    one_a.lo = one_a.lo if y.positive else 0.0
    m = quotient(product(m, one_a), m64.fast_plus(1.0, y.exponential))
    return m64.scale(m.hi + m.lo, at_most(at_least(n, -1300.0), 1100.0))


# generalized_logistic: lower + (upper - lower) (1 + e^-z)^(-1/nu), z = growth (x - midpoint)

cdef inline bint ordinary(const double* p) noexcept nogil:
    """Whether plain double is enough for float: no cancellation, factors far from the extremes."""
    cdef double width = p[1] - p[0], factor = width * p[2] / p[4]
    return (p[0] >= 0 and 2.0**-400 < width < 2.0**400 and p[4] > 2.0**-400
            and p[1] < 2.0**400 and (2.0**-400 < factor < 2.0**400
                                     or 2.0**-400 < -factor < 2.0**400))


cdef inline bint near1(double x) noexcept nogil:
    return (x if x > 0 else -x) > 2.0**-20 and (x if x > 0 else -x) < 2.0**20


cdef inline void generalized_logistic(const real* x, real* restrict y, Py_ssize_t n,
                                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double lower = p[0], width = p[1] - p[0], growth = p[2], midpoint = p[3], power = -1 / p[4]
    cdef logistic64 c = logistic_of(p[0], p[1], p[2], p[3], p[4])
    cdef pair exact
    cdef double low = opaque(-600), high = opaque(600), zero = opaque(0), z
    if real is float and p[4] == 1 and ordinary(p):
        for i in range(n & -LANES):
            z = at_most(at_least(growth * (x[i] - midpoint), low), high)
            y[i] = <real> (lower + width * m32.sigmoid(z))
    elif real is float and ordinary(p):
        for i in range(n & -LANES):
            z = growth * (x[i] - midpoint)
            z = m64.log1p(m64.exp(minus_absolute(z))) - at_most(z, zero)
            y[i] = <real> (lower + width * m64.exp(power * z))
    elif p[4] == 1 and p[0] == -p[1]:
        for i in range(n & -LANES):
            y[i] = <real> symmetric_logistic(x[i], c, p[1])
    elif p[4] == 1 and p[0] >= 0 and near1(width):
        exact = scaled_pair(c.width, c.width_exponent)
        for i in range(n & -LANES):
            y[i] = <real> shifted_logistic(x[i], c, exact)
    else:
        for i in range(n & -LANES):
            y[i] = <real> generalized_logistic64(x[i], c)


cdef inline void generalized_logistic_d(const real* x, real* restrict y, Py_ssize_t n,
                                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double factor = (p[1] - p[0]) * p[2] / p[4], growth = p[2], midpoint = p[3]
    cdef double power = -1 / p[4]
    cdef logistic64 c = logistic_of(p[0], p[1], p[2], p[3], p[4])
    cdef pair exact
    cdef double low = opaque(-600), high = opaque(600), zero = opaque(0), z, e, log
    if real is float and p[4] == 1 and ordinary(p):
        for i in range(n & -LANES):
            z = absolute(at_most(at_least(growth * (x[i] - midpoint), low), high))
            y[i] = <real> (factor * sigmoid_d32(z))
    elif real is float and ordinary(p):
        for i in range(n & -LANES):
            z = growth * (x[i] - midpoint)
            e = m64.exp(minus_absolute(z))
            log = m64.log1p(e) - at_most(z, zero)
            y[i] = <real> (factor * m64.exp(power * log) * (1 if z < 0 else e) / (1 + e))
    elif p[4] == 1 and near1(factor):
        exact = scaled_pair(c.slope, c.slope_exponent)
        for i in range(n & -LANES):
            y[i] = <real> shifted_logistic_d(x[i], c, exact)
    else:
        for i in range(n & -LANES):
            y[i] = <real> generalized_logistic_d64(x[i], c)


cdef inline void add_sigmoids(Table* table) noexcept nogil:
    add(table, name=b"sigmoid", parameters=0, cost=0.55, traits=PLAIN, ties=NULL,
        value32=sigmoid, value64=sigmoid, derivative32=sigmoid_d, derivative64=sigmoid_d,
        from_output32=sigmoid_y, from_output64=sigmoid_y)
    add(table, name=b"generalized_logistic", parameters=5, cost=4, traits=PLAIN, ties=NULL,
        value32=generalized_logistic, value64=generalized_logistic,
        derivative32=generalized_logistic_d, derivative64=generalized_logistic_d)
    add(table, name=b"hard_sigmoid", parameters=2, cost=0.2, traits=PLAIN, ties=hard_sigmoid_ties,
        value32=hard_sigmoid, value64=hard_sigmoid,
        derivative32=hard_sigmoid_d, derivative64=hard_sigmoid_d)
    add(table, name=b"tanh", parameters=0, cost=0.6, traits=PLAIN, ties=NULL,
        value32=tanh, value64=tanh, derivative32=tanh_d, derivative64=tanh_d,
        from_output32=tanh_y, from_output64=tanh_y)
    add(table, name=b"hard_tanh", parameters=2, cost=0.1, traits=PLAIN, ties=NULL,
        value32=hard_tanh, value64=hard_tanh, derivative32=hard_tanh_d, derivative64=hard_tanh_d)
    add(table, name=b"arctan", parameters=0, cost=0.5, traits=PLAIN, ties=NULL,
        value32=arctan, value64=arctan, derivative32=arctan_d, derivative64=arctan_d)
    add(table, name=b"gudermannian", parameters=0, cost=0.9, traits=PLAIN, ties=NULL,
        value32=gudermannian, value64=gudermannian,
        derivative32=gudermannian_d, derivative64=gudermannian_d)
    add(table, name=b"tanh_shrink", parameters=0, cost=0.6, traits=PLAIN, ties=NULL,
        value32=tanh_shrink, value64=tanh_shrink,
        derivative32=tanh_shrink_d, derivative64=tanh_shrink_d)
    add(table, name=b"sparse_sigmoid", parameters=0, cost=0.1, traits=PLAIN, ties=NULL,
        value32=sparse_plus_d, value64=sparse_plus_d,
        derivative32=sparse_sigmoid_d, derivative64=sparse_sigmoid_d)
