"""Logarithms of sums with an exponential, and of what is near 0 and 1."""

from libc.math cimport INFINITY, NAN

from cyact._level.abi cimport LANES
from cyact._level.bits cimport (
    FMA,
    ONE,
    absolute,
    at_least,
    at_most,
    bits32,
    bits64,
    exponent_of,
    fma,
    fmaf,
    from_bits32,
    from_bits64,
    minus_absolute,
    opaque,
    real,
    times_power,
    uint32,
    uint64,
    unbiased,
    with_sign,
)
from cyact._level.constants cimport (
    GELU_POWERS,
    LN2,
    LN2_H,
    LN2_L,
    ROUND,
    ROUNDF,
    SOFTPLUS_CENTRES,
    SOFTPLUS_Q,
    SOFTPLUS_SHIFTS,
    SOFTPLUS_VALUES,
    UNLIFT,
)
from cyact._level.elementwise.sigmoids cimport sigmoid_float
from cyact._level.elementwise.registry cimport PLAIN, Table, add
from cyact._level.exact cimport (
    as_pair,
    divide,
    fast_two_sum,
    pair,
    pair_of,
    product,
    quotient,
    reciprocal,
    times,
    two_prod,
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
    less_equal,
    load,
    lookup16,
    mask,
    minimum,
    select,
    store,
    words,
)
cimport cyact._level.maths32 as m32
cimport cyact._level.maths64 as m64


# softplus: log(1 + e^(beta x)) / beta = max(x, 0) + log(1 + e^-|beta x|) / beta

cdef inline floats softplus_vector(floats x) noexcept nogil:
    """log(1 + e^x) = e^-t L(t) with t = -x for x up to 9/16; for larger ones x + e^-t L(t), t = x.

    As in gelu, e^-t L(t) is h + h w, h an exact product of a power and a value of 12 bits each,
    both times 2^64; L(t) = log(1 + e^-t) e^t takes the place of what falls slowly there, and
    ends as 1. At 9/16 the sum is 1.01, and what is added to x has bits to spare.
    """
    cdef mask near = less_equal(x, broadcast(<float> 0.5625))
    cdef floats line = select(near, broadcast(<float> 0.0), x)
    cdef floats t = minimum(select(near, -x, x), broadcast(<float> 104.5))
    cdef floats u = minimum(t, broadcast(<float> 18.170000076293945))
    cdef words interval = as_words(fmav(u, broadcast(<float> 0.20000000298023224),
                                        broadcast(<float> 1.3634999990463257))) >> 20
    cdef floats rounded = fmav(t, broadcast(<float> 23.083120346069336), broadcast(ROUNDF))
    cdef words n = as_words(rounded)
    cdef floats r = fmav(rounded - ROUNDF, broadcast(<float> -0.0433197021484375), t)
    cdef floats h = (as_floats(as_words(lookup16(GELU_POWERS, n)) - (n << 19))
                     * lookup16(SOFTPLUS_VALUES, interval))
    cdef floats d = u - lookup16(SOFTPLUS_CENTRES, interval)
    cdef floats s, w
    cdef floats q = fmav(lookup16(SOFTPLUS_Q[4], interval), d, lookup16(SOFTPLUS_Q[3], interval))
    r = fmav(rounded - ROUNDF, broadcast(<float> -1.9966364561696537e-06), r)
    r = r + lookup16(SOFTPLUS_SHIFTS, n)
    q = fmav(q, d, lookup16(SOFTPLUS_Q[2], interval))
    s = fmav(broadcast(<float> -0.16666272282600403), r, broadcast(<float> 0.5000199675559998))
    q = fmav(q, d, lookup16(SOFTPLUS_Q[1], interval))
    s = fmav(s, r, broadcast(-ONE))
    q = fmav(q, d, lookup16(SOFTPLUS_Q[0], interval))
    s = fmav(s, r, broadcast(<float> -1.1947695055525287e-09))
    w = fmav(q, fmav(d, s, d), s)
    return fmav(fmav(h, w, h), broadcast(<float> 5.421010862427522e-20), line)


cdef inline double softplus64(double x, double beta) noexcept nogil:
    """max(x, 0) + log(1 + e^-|beta x|)/beta."""
    # 1/beta as a pair; half the exponent of beta is lent to it so that both parts are normal
    cdef double loan = from_bits64((1534ULL << 52) - ((bits64(beta) >> 1) & 0x3ff0000000000000ULL))
    cdef pair inverse = reciprocal(as_pair(beta * loan))
    cdef pair v = two_prod(beta, x), y
    cdef bint positive = v.hi > 0
    cdef double step
    y = product(m64.log1p_parts(m64.halved_exp(m64.lower(v, -1500.0), &step)), inverse)
    return (x if positive else 0.0) + (y.hi + y.lo) * loan * step * step


cdef inline double softplus_d64(double x, double beta) noexcept nogil:
    """sigmoid(beta x)."""
    cdef pair v = two_prod(beta, x)
    cdef m64.gate g = m64.open_gate(m64.lower(v, -760.0), v.hi < 0)
    return divide(g.m, g.d) * UNLIFT


cdef inline double softplus_y64(double y, double beta) noexcept nogil:
    """softplus' from y = softplus(x): 1 - e^(-beta y)."""
    cdef pair v = two_prod(-beta, y), m
    v.lo = v.lo if absolute(v.hi) < 60 else 0.0
    v.hi = at_least(at_most(v.hi, 690.0), -60.0)
    m = m64.expm1_parts(v)
    return 0.0 - (m.hi + m.lo)


cdef inline void softplus_float(const float* x, float* restrict y, Py_ssize_t n,
                                double beta, double inverse) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef double exponential[BLOCK]
    cdef float zero = <float> opaque(0)
    cdef double low = opaque(-200)  # e^low / beta is 0 in float for any beta for which it is met
    while start < n:
        count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
        for i in range(count):
            exponential[i] = m32.exp_from(
                at_least(-beta * <double> absolute(x[start + i]), low), ROUND)
        for i in range(count):
            y[start + i] = <float> (m32.positive(x[start + i], zero)
                                    + inverse * m32.log1p(exponential[i]))
        start += BLOCK


cdef inline void softplus(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i, start = 0
    cdef double beta = p[0]
    if real is float:
        if beta == 1 and PERMUTES:
            while start < n:
                store(y + start, softplus_vector(load(x + start)))
                start += WIDTH
        elif beta == 1:
            softplus_float(x, y, n, 1, 1)
        else:
            softplus_float(x, y, n, beta, 1 / beta)
    else:
        for i in range(n & -LANES):
            y[i] = softplus64(x[i], beta)


cdef inline void softplus_d(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double beta = p[0]
    cdef double low = opaque(-110), high = opaque(110)
    if real is float:
        if beta == 1 and PERMUTES:
            sigmoid_float(x, y, n, 1)
            return
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.sigmoid(at_most(at_least(beta * x[i], low), high))
        else:
            y[i] = softplus_d64(x[i], beta)


cdef inline void softplus_y(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double beta = p[0]
    cdef double low = opaque(-60)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> -m32.expm1(at_least(-beta * x[i], low))
        else:
            y[i] = softplus_y64(x[i], beta)


cdef inline void softplus_ties(const double* x, double* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    """x + e^(-beta x) / beta: for large x the exponential is lost."""
    cdef Py_ssize_t i
    cdef double beta = p[0]
    for i in range(n & -LANES):
        y[i] = 1 if beta * x[i] > 30 else 0


# log_sigmoid: -softplus(-x) = min(x, 0) - log(1 + e^-|x|)

cdef inline double log_sigmoid64(double x) noexcept nogil:
    """min(x, 0) - log(1 + e^-|x|), as minus a sum: so that it vanishes as -0.0."""
    cdef double step
    cdef pair e = m64.halved_exp(as_pair(at_least(minus_absolute(x), -1500.0)), &step)
    cdef pair y = m64.log1p_parts(e)
    return -((-x if x < 0 else 0.0) + (y.hi + y.lo) * step * step)


cdef inline void log_sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                             const double* p) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef double exponential[BLOCK]
    cdef float zero = <float> opaque(0), high = <float> opaque(110)
    if real is double:
        for i in range(n & -LANES):
            y[i] = log_sigmoid64(x[i])
    elif PERMUTES:
        while start < n:
            store(y + start, -softplus_vector(-load(x + start)))
            start += WIDTH
    else:
        while start < n:
            count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
            for i in range(count):
                exponential[i] = m32.exp_from(-at_most(absolute(x[start + i]), high), ROUND)
            for i in range(count):
                y[start + i] = <float> -(m32.positive(-x[start + i], zero)
                                         + m32.log1p(exponential[i]))
            start += BLOCK


cdef inline void log_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double numerator, denominator
    cdef float low = <float> opaque(-110), high = <float> opaque(110)
    if real is float:
        if PERMUTES:
            sigmoid_float(x, y, n, -1)
            return
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.sigmoid(-at_most(at_least(x[i], low), high))
        else:
            m64.exp_ratio(at_least(minus_absolute(x[i]), -760.0), &numerator,
                          &denominator)
            y[i] = m64.sigmoid(numerator, denominator, -x[i])


cdef inline void log_sigmoid_y(const real* x, real* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-60)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> -m32.expm1(at_least(x[i], low))
        else:
            y[i] = softplus_y64(-x[i], 1)


cdef inline double logit32(double x) noexcept nogil:
    """log(x/(1 - x)) for 0 < x < 1, as k ln2 + 2 atanh(s).

    s = (x - 2^k (1 - x))/(x + 2^k (1 - x)): one division, and no cancellation at 1/2.
    """
    cdef double u = 1 - x
    # the difference of two bit patterns is 2^52 log2 of the ratio, to 0.087
    cdef uint64 k = (bits64(x) - bits64(u) + (1ULL << 51) + (1024ULL << 52)) >> 52
    cdef double v = u * from_bits64((k - 1) << 52)
    cdef double s = (x - v) / (x + v)
    cdef double z = s * s
    cdef double p = fma(0.24172869512847964, z, 0.28500961738969643)
    p = fma(p, z, 0.40001029292491636)
    p = fma(p, z, 0.6666666142377603)
    p = fma(p, z, 2.0000000000426574)
    return fma(unbiased(k), LN2, s * p)


cdef inline float logit_d32(float x) noexcept nogil:
    """1/(x (1 - x)) for 0 <= x <= 1: one division, corrected for all that was rounded."""
    cdef float u = ONE - x
    cdef float d = x * u
    cdef float lost = fmaf(x, u, -d) + x * ((ONE - u) - x)
    cdef float inverse = ONE / d
    cdef float remainder = fmaf(-inverse, lost, fmaf(-inverse, d, ONE))
    cdef float y = fmaf(inverse, remainder, inverse)
    return y if d > <float> 1e-30 else inverse


cdef inline double logit64(double x) noexcept nogil:
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
    return sum.hi + (sum.lo + fma(exponent, LN2_L, fma(s.hi * z, m64.atanh_rest(z), s.lo + s.lo)))


cdef inline double logit_d64(double x) noexcept nogil:
    """1/(x (1 - x)) for 0 <= x <= 1."""
    cdef pair d
    if FMA:
        return 1 / fma(-x, x, x)
    d = times(fast_two_sum(1, -x), x)
    return 1 / (d.hi + d.lo)


# logit: log(x / (1 - x)), x clipped to [eps, 1 - eps]; where it is clipped logit' is 0. An eps
# that is NaN clips nothing: then both are undefined outside [0, 1]. What is compared with eps
# is the smaller of x and 1 - x, exact where it matters: 1 - eps would have to be rounded.

cdef inline real not_below(double eps, real unit) noexcept nogil:
    """The smallest number of unit's type that is not below eps; 0 if eps is NaN."""
    cdef real least = <real> (eps if eps == eps else 0)
    if real is float and least < eps:
        least = from_bits32(bits32(least) + 1)
    return least


cdef inline real below(real least) noexcept nogil:
    """The largest number below `least`; 0 if that is 0."""
    if real is float:
        return from_bits32(bits32(least) - 1) if least > 0 else least
    else:
        return from_bits64(bits64(least) - 1) if least > 0 else least


cdef inline void logit(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double eps = p[0]
    cdef real least = not_below(eps, <real> 1)
    cdef double clipped = opaque(absolute(logit64(eps)))
    cdef real top = <real> opaque(INFINITY if eps == 0 else clipped)
    cdef real pole = <real> opaque(top if eps > 0 else INFINITY)
    cdef real zero = <real> opaque(0), other, nearer, end, inside
    cdef real edge = below(least)
    for i in range(n & -LANES):
        other = m32.ONE - x[i]
        nearer = other if other < x[i] else x[i]
        end = pole if nearer >= zero else top
        if real is float:
            inside = <float> logit32(x[i])
            end = zero + with_sign(end, x[i] - other)
        else:
            inside = logit64(x[i])
            end = zero + with_sign(end, x[i] - other)
        y[i] = end if nearer <= edge else inside


cdef inline void logit_d(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double eps = p[0]
    cdef real least = not_below(eps, <real> 1)
    cdef real clipped = <real> opaque(0 if eps == eps else NAN), other, nearer, inside
    for i in range(n & -LANES):
        other = m32.ONE - x[i]
        nearer = other if other < x[i] else x[i]
        if real is float:
            inside = logit_d32(absolute(x[i]))
        else:
            inside = logit_d64(absolute(x[i]))
        y[i] = clipped if nearer < least else inside


# log1p: log(1 + x); -inf at -1 and NaN below

cdef inline float log1p32(float x) noexcept nogil:
    """log(1 + x) for a finite x > -1: x + 1 = 2^k (1 + f), 1 + f between 3/4 and 3/2.

    f is exact, and so is k times the first 15 bits of ln2. That it is -k which is computed, as
    the bits of 2^-k, keeps the sign of zero in broadcast step.
    """
    cdef uint32 bits = (<uint32> 0x3fbfffff - bits32(x + ONE)) & <uint32> 0xff800000
    cdef float f = (from_bits32(bits32(x) + bits)
                    - (ONE - <float> 0.5 * from_bits32(bits + <uint32> 0x40000000)))
    cdef float n = <float> <int> bits
    cdef float whole = n * <float> 8.262941264547408e-08
    cdef float sum = f - whole
    cdef float lost = f - (sum + whole)
    cdef float p = fmaf(<float> -0.04491652135378041, f, <float> 0.10449810080212754)
    p = fmaf(p, f, <float> -0.1316311930528172)
    p = fmaf(p, f, <float> 0.14482137733536946)
    p = fmaf(p, f, <float> -0.16647694333753457)
    p = fmaf(p, f, <float> 0.19990593326582354)
    p = fmaf(p, f, <float> -0.2500005605700903)
    p = fmaf(p, f, <float> 0.33333454718260264)
    p = fmaf(p, f, <float> -0.5000000081621622)
    return sum + fmaf(f * f, p, fmaf(n, <float> -1.7030320409648624e-13, lost))


cdef inline void log1p(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real pole = <real> opaque(-INFINITY), undefined = <real> opaque(NAN), single
    cdef real end = <real> opaque(INFINITY)
    for i in range(n & -LANES):
        if real is float:
            single = log1p32(x[i])
        else:
            single = with_sign(m64.log1p_any(x[i]), x[i])
        single = single if x[i] < end else x[i]
        y[i] = single if x[i] > -1 else pole if x[i] == -1 else undefined


cdef inline void log1p_d(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real undefined = <real> opaque(NAN)
    for i in range(n & -LANES):
        y[i] = <real> (1 / (1 + <double> x[i])) if x[i] >= -1 else undefined


# log1mexp: log(1 - e^-x); -inf at 0 and NaN below

cdef inline double log1mexp32(double x) noexcept nogil:
    """log(1 - e^-x) for 0 < x <= 110."""
    cdef double rounded
    cdef double q = m32.exp_rest(-x, &rounded)
    cdef double scale = times_power(1, rounded)
    cdef double e = fma(scale, q, scale)
    cdef double w = fma(-scale, q, 1 - scale)
    cdef uint64 k = exponent_of(w)
    cdef double s = from_bits64((2047ULL - k) << 52)
    # next to 1, w has lost the digits of e
    return m32.log_of(k, fma(w, s, -1) if w < 0.75 else -e)


cdef inline double log1mexp_d32(double x) noexcept nogil:
    """1/(e^x - 1) for 0 <= x <= 110."""
    cdef double rounded
    cdef double q = m32.exp_rest(x, &rounded)
    cdef double scale = times_power(1, rounded)
    return 1 / fma(scale, q, scale - 1)


cdef inline double log1mexp64(double x) noexcept nogil:
    """log(1 - e^-x) for 0 < x <= 800."""
    cdef m64.reduced e = m64.reduce_exp(as_pair(-x))
    cdef double s = m64.power_of_two(at_least(e.n, -1000.0))
    cdef pair one = m64.plus_small(1, e.r, e.w)         # e^-x = 2^n one
    cdef pair w = m64.plus_small(s - 1, s * e.r, s * e.w)
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
    cdef double y = m64.log_of(unbiased(k) - (128.0 if tiny else 0.0), f)
    return -m64.scale(one.hi + one.lo, e.n) if x > 40 else y


cdef inline double log1mexp_d64(double x) noexcept nogil:
    """1/(e^x - 1) = e^-x/(1 - e^-x) for 0 <= x <= 800."""
    cdef m64.reduced e = m64.reduce_exp(as_pair(-x))
    cdef double s = m64.power_of_two(at_least(e.n, -1000.0))
    cdef pair one = m64.plus_small(1, e.r, e.w)
    cdef pair w = m64.plus_small(1 - s, -s * e.r, -s * e.w)
    cdef double y = m64.scale(divide(one, w), e.n)
    return 1 / x if x < 1e-30 else y


cdef inline void log1mexp(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real pole = <real> opaque(-INFINITY), undefined = <real> opaque(NAN), single
    cdef real high = <real> opaque(110 if real is float else 800)
    for i in range(n & -LANES):
        if real is float:
            single = <float> log1mexp32(at_most(x[i], high))
        else:
            single = log1mexp64(at_most(x[i], high))
        y[i] = single if x[i] > 0 else pole if x[i] == 0 else undefined


cdef inline void log1mexp_d(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real undefined = <real> opaque(NAN), single
    cdef real high = <real> opaque(110 if real is float else 800)
    for i in range(n & -LANES):
        if real is float:
            single = <float> log1mexp_d32(at_most(absolute(x[i]), high))
        else:
            single = log1mexp_d64(at_most(absolute(x[i]), high))
        y[i] = single if x[i] >= 0 else undefined


cdef inline void add_logarithms(Table* table) noexcept nogil:
    add(table, name=b"log_sigmoid", parameters=0, cost=0.9, traits=PLAIN, ties=NULL,
        value32=log_sigmoid, value64=log_sigmoid,
        derivative32=log_sigmoid_d, derivative64=log_sigmoid_d,
        from_output32=log_sigmoid_y, from_output64=log_sigmoid_y)
    add(table, name=b"logit", parameters=1, cost=0.7, traits=PLAIN, ties=NULL,
        value32=logit, value64=logit, derivative32=logit_d, derivative64=logit_d)
    add(table, name=b"softplus", parameters=1, cost=0.9, traits=PLAIN, ties=softplus_ties,
        value32=softplus, value64=softplus, derivative32=softplus_d, derivative64=softplus_d,
        from_output32=softplus_y, from_output64=softplus_y)
    add(table, name=b"log1p", parameters=0, cost=0.7, traits=PLAIN, ties=NULL,
        value32=log1p, value64=log1p, derivative32=log1p_d, derivative64=log1p_d)
    add(table, name=b"log1mexp", parameters=0, cost=1.2, traits=PLAIN, ties=NULL,
        value32=log1mexp, value64=log1mexp, derivative32=log1mexp_d, derivative64=log1mexp_d)
