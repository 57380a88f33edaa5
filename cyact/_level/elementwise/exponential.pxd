"""The exponential function and the linear units that bend into it."""

from cyact._level.abi cimport LANES
from cyact._level.bits cimport (
    FMA,
    ONE,
    absolute,
    at_least,
    at_most,
    bits32,
    fma,
    fmaf,
    from_bits32,
    opaque,
    real,
    uint32,
)
from cyact._level.constants cimport (
    LOG2E,
    ROUND,
    ROUNDF,
    SELU_ALPHA_H,
    SELU_ALPHA_L,
    SELU_H,
    SELU_L,
)
from cyact._level.elementwise.rectifiers cimport identity
from cyact._level.elementwise.registry cimport KEEPS_X, PLAIN, Table, add
from cyact._level.exact cimport as_pair, pair, reciprocal, two_prod
cimport cyact._level.maths32 as m32
cimport cyact._level.maths64 as m64


# Compensated float: twice as many elements an instruction as double. Here
# x = n ln2 + high + low; n times the first 15 bits of ln2 is exact, and so is high.
cdef struct Reduced32:
    float rounded   # n, plus ROUNDF
    float high
    float low
    float tail      # e^(high + low) - 1 - high


cdef inline Reduced32 exp_reduce32(float x) noexcept nogil:
    cdef Reduced32 e
    e.rounded = fmaf(x, <float> LOG2E, ROUNDF)
    cdef float n = e.rounded - ROUNDF
    cdef float r, q
    e.high = fmaf(n, <float> -0.693145751953125, x)
    e.low = n * <float> -1.4286068203094173e-06
    r = e.high + e.low
    q = fmaf(<float> 0.00019918401366039035, r, <float> 0.0013946085944670913)
    q = fmaf(q, r, <float> 0.008333264322926203)
    q = fmaf(q, r, <float> 0.041666269763049546)
    q = fmaf(q, r, <float> 0.1666666686085879)
    q = fmaf(q, r, <float> 0.5000000077958077)
    e.tail = fmaf(r * r, q, e.low)
    return e


# exp: e^x, its own derivative

cdef inline float exp32(float x) noexcept nogil:
    """e^x for -104 <= x <= 89.

    2^n is multiplied in as two factors, neither of which overflows or vanishes.
    """
    cdef Reduced32 e = exp_reduce32(x)
    cdef float sum = ONE + e.high
    cdef uint32 bits = bits32(e.rounded), half = bits >> 1
    cdef float y = sum + ((e.high - (sum - ONE)) + e.tail)
    y = y * from_bits32((half << 23) + 0x3f800000)
    return y * from_bits32(((bits - half) << 23) + 0x3f800000)


cdef inline void expm1_parts32(float x, float* sum, float* rest) noexcept nogil:
    """e^x - 1 for -20 <= x <= 0, as a sum of two.

    The sum (2^n - 1) + 2^n high keeps its rounding error; n = 0 leaves x and a small term.
    """
    cdef Reduced32 e = exp_reduce32(x)
    cdef float scale = from_bits32((bits32(e.rounded) << 23) + 0x3f800000)
    cdef float base = scale - ONE
    cdef float step = scale * e.high
    sum[0] = base + step
    rest[0] = fmaf(scale, e.tail, step - (sum[0] - base))


cdef inline float expm1_32(float x) noexcept nogil:
    """e^x - 1 for -20 <= x <= 89.

    As 2 ((2^n / 2 - 1/2) + 2^n / 2 high + …): so n = 128 does not overflow. From n = 24 on the
    first difference is no longer exact, and keeps its rounding error.
    """
    cdef Reduced32 e = exp_reduce32(x)
    cdef float half = <float> 0.5
    cdef float scale = from_bits32((bits32(e.rounded) << 23) + 0x3f000000)
    cdef float base = scale - half
    cdef float lost = (scale - base) - half
    cdef float step = scale * e.high
    cdef float sum = base + step
    cdef float y = sum + fmaf(scale, e.tail, (step - (sum - base)) + lost)
    return x if absolute(x) < <float> 1e-30 else y + y


cdef inline void exp(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-104), high = <float> opaque(89)
    for i in range(n & -LANES):
        if real is double:
            y[i] = m64.exp(x[i])
        elif FMA:
            y[i] = exp32(at_most(at_least(x[i], low), high))
        else:
            y[i] = <float> m32.exp_from(at_most(at_least(x[i], low), high), ROUND)


# expm1: e^x - 1

cdef inline void expm1(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-20), high = <float> opaque(89)
    for i in range(n & -LANES):
        if real is double:
            y[i] = m64.expm1(x[i])
        elif FMA:
            y[i] = expm1_32(at_most(at_least(x[i], low), high))
        else:
            y[i] = <float> m32.expm1(at_most(at_least(x[i], low), high))


cdef inline void expm1_y(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = x[i] + <real> 1


# elu: x if x > 0 else alpha (e^x - 1); elu'(0) = alpha

cdef inline float elu32(float x) noexcept nogil:
    """e^x - 1 for -20 <= x <= 0."""
    cdef float sum, rest
    expm1_parts32(x, &sum, &rest)
    return sum + rest


cdef inline void elu_float(const float* x, float* restrict y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-20)
    cdef float zero = <float> opaque(0)
    cdef float single
    for i in range(n & -LANES):
        single = elu32(at_most(at_least(x[i], low), zero))
        y[i] = x[i] if x[i] >= 0 else single


cdef inline double elu64(double x, double alpha) noexcept nogil:
    """x, or alpha (e^x - 1) where x <= 0."""
    cdef double c = at_least(at_most(x, 0.0), -60.0)
    cdef pair m = m64.expm1_parts(as_pair(c))
    # from here on e^c - 1 is c; alpha = 0 has only signs to get right
    cdef double edge = -5e-17 if alpha != 0 else -100.0
    cdef double y = alpha * c if c > edge else fma(alpha, m.hi, alpha * m.lo)
    return x if x > 0 else y


cdef inline double elu_d64(double x, double alpha) noexcept nogil:
    """1, or alpha e^x where x <= 0."""
    # a large alpha gives up 2^128 so that alpha e^x cannot overflow before it is scaled
    cdef bint large = absolute(alpha) > 1
    cdef double a = alpha * 2.938735877055719e-39 if large else alpha
    cdef double bound = -1480.0 if large else -760.0
    cdef m64.scaled e = m64.exp_parts(as_pair(at_least(at_most(x, 0.0), bound)))
    cdef double y = m64.scale(fma(a, e.hi, a * e.lo), e.n + (128.0 if large else 0.0))
    return 1.0 if x > 0 else y


cdef inline void elu(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0]
    cdef float low = <float> opaque(-20)
    cdef float zero = <float> opaque(0)
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = elu64(x[i], alpha)
    elif alpha == 1 and FMA:
        elu_float(x, y, n)
    else:
        for i in range(n & -LANES):
            single = <float> (alpha * m32.expm1(at_most(at_least(x[i], low), zero)))
            y[i] = x[i] if x[i] > 0 else single


cdef inline void elu_d(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0]
    # A huge alpha enters as alpha 2^-500 and e^x as e^x 2^500: so both stay in range.
    cdef bint huge = alpha > 1e150 or alpha < -1e150
    cdef double origin = ROUND + 500 if huge else ROUND
    cdef double factor = alpha * 2.0**-500 if huge else alpha
    cdef float low = -1040 if huge else -690
    cdef float zero = <float> opaque(0)
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = elu_d64(x[i], alpha)
    else:
        for i in range(n & -LANES):
            single = <float> (factor * m32.exp_from(at_most(at_least(x[i], low), zero), origin))
            y[i] = 1 if x[i] > 0 else single


cdef inline void elu_y(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0]
    for i in range(n & -LANES):
        y[i] = 1 if x[i] > 0 else <real> (x[i] + alpha)


cdef inline void elu_ties(const double* x, double* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    """alpha (x + x^2 / 2 + ...) for tiny x."""
    cdef Py_ssize_t i
    cdef double alpha = p[0], lost
    for i in range(n & -LANES):
        lost = two_prod(alpha, x[i]).lo + 0.5 * alpha * x[i] * x[i]
        y[i] = lost if -2.0**-50 < x[i] < 0 else 0


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
    d.power = m64.power_of_two(d.exponent)
    d.scaled = alpha * d.power
    d.inverse = reciprocal(as_pair(d.scaled))
    return d


cdef inline pair celu_ratio(double x, divisor d, double low, double high) noexcept nogil:
    """x/alpha between two bounds."""
    cdef double c = x * d.power
    cdef pair v = two_prod(c, d.inverse.hi), u
    u.hi = at_most(at_least(v.hi, low), high)
    u.lo = fma(c, d.inverse.lo, v.lo) if u.hi == v.hi else 0.0
    return u


cdef inline double celu64(double x, divisor d) noexcept nogil:
    """x, or alpha (e^(x/alpha) - 1) where x <= 0; for a negative alpha that grows."""
    cdef pair v = celu_ratio(x, d, -60.0, d.high), m
    cdef m64.reduced e = m64.reduce_exp(v)
    cdef double n = at_most(e.n, 400.0), s = m64.power_of_two(n), y
    m = m64.plus_small(s - 1, s * e.r, s * e.w)
    y = m64.scale(fma(d.scaled, m.hi, d.scaled * m.lo), e.n - n - d.exponent)
    # from here on e^v - 1 is v
    y = x if absolute(v.hi) < 5e-17 else y
    return x if x >= 0 else y


cdef inline double celu_d64(double x, divisor d) noexcept nogil:
    """1, or e^(x/alpha) where x <= 0."""
    cdef m64.scaled e = m64.exp_parts(celu_ratio(x, d, -760.0, 720.0))
    cdef double y = m64.scale(e.hi + e.lo, e.n)
    return 1.0 if x > 0 else y


cdef inline double celu_y64(double y, double alpha) noexcept nogil:
    """1, or (y + alpha)/alpha where y <= 0; only for positive alpha."""
    return 1.0 if y > 0 else (y + alpha) / alpha


# celu: max(0, x) + min(0, alpha (e^(x / alpha) - 1)), which is x if x > 0 else the second term,
# also for a negative alpha; celu'(0) = 1

cdef inline double moderate(double alpha) noexcept nogil:
    """alpha, or the nearest number with which celu still is the same in float."""
    cdef double size = min(max(alpha if alpha > 0 else -alpha, 2.0**-500), 2.0**500)
    return size if alpha > 0 else -size


cdef inline void celu(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = moderate(p[0]), inverse = 1 / alpha
    cdef divisor divisor = celu_divisor(p[0])
    # alpha e^high is beyond all floats for any alpha for which it is met
    cdef double low = opaque(-60), high = opaque(440), t
    cdef float single
    if real is double:
        if p[0] == 1:
            for i in range(n & -LANES):
                y[i] = elu64(x[i], 1)
        else:
            for i in range(n & -LANES):
                y[i] = celu64(x[i], divisor)
    elif p[0] == 1 and FMA:
        elu_float(x, y, n)
    else:
        for i in range(n & -LANES):
            t = at_most(at_least(x[i] * inverse, low), high)
            single = <float> (alpha * m32.expm1(t))
            y[i] = x[i] if x[i] >= 0 else single


cdef inline void celu_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double inverse = 1 / moderate(p[0])
    cdef divisor divisor = celu_divisor(p[0])
    cdef double low = opaque(-110), high = opaque(100), t
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = celu_d64(x[i], divisor)
    else:
        for i in range(n & -LANES):
            t = at_most(at_least(x[i] * inverse, low), high)
            single = <float> m32.exp_from(t, ROUND)
            y[i] = 1 if x[i] > 0 else single


cdef inline void celu_y(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = moderate(p[0]), inverse = 1 / alpha
    for i in range(n & -LANES):
        if real is float:
            y[i] = 1 if x[i] > 0 else <float> ((x[i] + alpha) * inverse)
        else:
            y[i] = celu_y64(x[i], p[0])


# selu: lambda x if x > 0 else lambda alpha (e^x - 1); selu'(0) = lambda alpha

cdef inline float selu_line32(float x) noexcept nogil:
    """lambda x: lambda - 1 needs no low part."""
    return fmaf(x, <float> 0.050700987355480495, x)


cdef inline float selu_tail32(float x) noexcept nogil:
    """lambda alpha (e^x - 1) for -20 <= x <= 0, the constant in two floats."""
    cdef float sum, rest
    expm1_parts32(x, &sum, &rest)
    rest = fmaf(<float> 1.7580993175506592, rest, <float> 2.3296717680252718e-08 * sum)
    return fmaf(<float> 1.7580993175506592, sum, rest)


cdef inline double selu64(double x) noexcept nogil:
    """lambda x, or lambda alpha (e^x - 1) where x <= 0."""
    cdef double c = at_least(at_most(x, 0.0), -60.0)
    cdef pair m = m64.expm1_parts(as_pair(c))
    # from here on e^c - 1 is c
    cdef double first = c if c > -5e-17 else m.hi
    cdef double second = 0.0 if c > -5e-17 else m.lo
    second = fma(SELU_ALPHA_H, second, SELU_ALPHA_L * first)
    return fma(SELU_H, x, SELU_L * x) if x >= 0 else fma(SELU_ALPHA_H, first, second)


cdef inline double selu_d64(double x) noexcept nogil:
    """lambda, or lambda alpha e^x where x <= 0."""
    cdef m64.scaled e = m64.exp_parts(as_pair(at_least(at_most(x, 0.0), -760.0)))
    cdef double low = fma(SELU_ALPHA_H, e.lo, SELU_ALPHA_L * e.hi)
    return SELU_H if x > 0 else m64.scale(fma(SELU_ALPHA_H, e.hi, low), e.n)


cdef inline double selu_y64(double y) noexcept nogil:
    """lambda, or y + lambda alpha where y <= 0."""
    return SELU_H if y > 0 else (y + SELU_ALPHA_H) + SELU_ALPHA_L


cdef inline void selu(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-20), zero = <float> opaque(0)
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = selu64(x[i])
    elif FMA:
        for i in range(n & -LANES):
            single = selu_tail32(at_most(at_least(x[i], low), zero))
            y[i] = selu_line32(x[i]) if x[i] >= 0 else single
    else:
        for i in range(n & -LANES):
            single = <float> (SELU_ALPHA_H
                              * m32.expm1(at_most(at_least(x[i], low), zero)))
            y[i] = <float> (SELU_H * x[i]) if x[i] >= 0 else single


cdef inline void selu_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-110), zero = <float> opaque(0)
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = selu_d64(x[i])
    else:
        for i in range(n & -LANES):
            single = <float> (SELU_ALPHA_H
                              * m32.exp_from(at_most(at_least(x[i], low), zero), ROUND))
            y[i] = <float> SELU_H if x[i] > 0 else single


cdef inline void selu_y(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> SELU_H if x[i] > 0 else <float> (x[i] + SELU_ALPHA_H)
        else:
            y[i] = selu_y64(x[i])


cdef inline void add_exponential(Table* table) noexcept nogil:
    add(table, name=b"elu", parameters=1, cost=0.4, traits=KEEPS_X, ties=elu_ties,
        value32=elu, value64=elu, derivative32=elu_d, derivative64=elu_d,
        from_output32=elu_y, from_output64=elu_y)
    add(table, name=b"celu", parameters=1, cost=0.4, traits=KEEPS_X, ties=NULL,
        value32=celu, value64=celu, derivative32=celu_d, derivative64=celu_d,
        from_output32=celu_y, from_output64=celu_y)
    add(table, name=b"selu", parameters=0, cost=0.4, traits=PLAIN, ties=NULL,
        value32=selu, value64=selu, derivative32=selu_d, derivative64=selu_d,
        from_output32=selu_y, from_output64=selu_y)
    add(table, name=b"exp", parameters=0, cost=0.4, traits=PLAIN, ties=NULL,
        value32=exp, value64=exp, derivative32=exp, derivative64=exp,
        from_output32=identity, from_output64=identity)
    add(table, name=b"expm1", parameters=0, cost=0.4, traits=PLAIN, ties=NULL,
        value32=expm1, value64=expm1, derivative32=exp, derivative64=exp,
        from_output32=expm1_y, from_output64=expm1_y)
