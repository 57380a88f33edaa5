"""Functions of square roots and quotients."""

from libc.float cimport FLT_MAX
from libc.math cimport sqrt, sqrtf

from cyact._level.abi cimport LANES
from cyact._level.bits cimport (
    ONE,
    absolute,
    at_least,
    at_most,
    bits32,
    bits64,
    fma,
    fmaf,
    from_bits32,
    from_bits64,
    opaque,
    real,
    uint32,
    with_sign,
)
from cyact._level.constants cimport LARGEST
from cyact._level.elementwise.rectifiers cimport relu
from cyact._level.elementwise.registry cimport KEEPS_X, PLAIN, Table, add
from cyact._level.exact cimport (
    as_pair,
    divide,
    fast_two_sum,
    pair,
    pair_of,
    plus,
    reciprocal,
    residual,
    times,
    two_prod,
    two_sum,
)
cimport cyact._level.maths64 as m64


# softsign: x / (1 + |x|)

cdef inline float softsign32(float x, float a) noexcept nogil:
    """x / (1 + |x|), given a = |x|, at most 2^60.

    One float division and a correction for its remainder and for the rounding of 1 + |x|;
    the sign joins at the end, for the sum would lose that of -0.0.
    """
    cdef float larger = a if a > ONE else ONE
    cdef float smaller = ONE if a > ONE else a
    cdef float sum = a + ONE
    cdef float lost = smaller - (sum - larger)
    cdef float inverse = ONE / sum
    cdef float y = a * inverse
    cdef float remainder = fmaf(-y, lost, fmaf(-y, sum, a))
    return from_bits32(bits32(fmaf(remainder, inverse, y)) | (bits32(x) & ~<uint32> 0x7fffffff))


cdef inline double softsign64(double x) noexcept nogil:
    """x/(1 + |x|)."""
    cdef double a = at_most(absolute(x), 1152921504606846976.0)
    return with_sign(a / (1 + a), x)


cdef inline double softsign_d64(double x) noexcept nogil:
    """1/(1 + |x|)^2."""
    cdef pair q = reciprocal(two_sum(1, at_most(absolute(x), 1e170)))
    return fma(q.hi, q.hi, 2 * q.hi * q.lo)


cdef inline void softsign(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(1e18)
    for i in range(n & -LANES):
        if real is float:
            y[i] = softsign32(x[i], at_most(absolute(x[i]), high))
        else:
            y[i] = softsign64(x[i])


cdef inline void softsign_d(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double root
    for i in range(n & -LANES):
        if real is float:
            root = 1 + <double> absolute(x[i])
            y[i] = <float> (1 / (root * root))
        else:
            y[i] = softsign_d64(x[i])


# squareplus: (x + sqrt(x^2 + b)) / 2; b = 0 makes it relu, with the derivative 1/2 at 0

# For float32 double has room: x^2 neither overflows nor rounds.

cdef inline double squareplus32(double x, double b) noexcept nogil:
    """(x + r) / 2 with r = sqrt(x^2 + b); for x < 0 that is b / (2 (r - x))."""
    cdef double a = absolute(x)
    cdef double sum = sqrt(fma(a, a, b)) + a
    return 0.5 * (b / sum if x < 0 else sum)


cdef inline double squareplus_d32(double x, double b) noexcept nogil:
    """(1 + x / r) / 2; for x < 0 that is b / (2 r (r - x))."""
    cdef double a = absolute(x)
    cdef double r = sqrt(fma(a, a, b))
    cdef double sum = r + a
    return 0.5 * ((b if x < 0 else sum) / (r * sum if x < 0 else r))


# For float64 x^2 must not overflow: from 2^100 or 2^200 on the root is |x|.

cdef inline double even_scale(double b) noexcept nogil:
    """A power of two c such that b c^2 is at least 1 and less than 4; b > 0."""
    cdef bint subnormal = b < 2.0**-960
    cdef long long exponent = <long long> (bits64(b * 2.0**108 if subnormal else b) >> 52) - 1023
    return m64.power_of_two(<double> ((54 if subnormal else 0) - (exponent >> 1)))


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


cdef inline double squareplus64(double x, double unit, double b) noexcept nogil:
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


cdef inline double squareplus_d64(double x, double unit, double b) noexcept nogil:
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


cdef inline void squareplus(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double b = p[0], unit = 1
    if b == 0:
        relu(x, y, n, p)
        return
    if not 2.0**-200 < b < 2.0**200:
        unit = even_scale(b)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> squareplus32(x[i], b)
        else:
            y[i] = squareplus64(x[i], unit, b * unit * unit)


cdef inline void squareplus_d(const real* x, real* restrict y, Py_ssize_t n,
                              const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double b = p[0], unit = 1, one = opaque(1)
    cdef real high = <real> opaque(FLT_MAX)
    if b == 0:
        for i in range(n & -LANES):
            y[i] = 0 if x[i] < 0 else 1 if x[i] > 0 else 0.5 if x[i] == 0 else x[i]
        return
    if not 2.0**-200 < b < 2.0**200:
        unit = even_scale(b)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> (one if x[i] > high else squareplus_d32(x[i], b))
        else:
            y[i] = squareplus_d64(x[i], unit, b * unit * unit)


cdef inline double inverse_root(double v) noexcept nogil:
    """1 / sqrt(v) to 2^-43, v a normal number of float's range.

    One Newton step from the float root and quotient: faster than those in double.
    """
    cdef double y = ONE / sqrtf(<float> v)
    return y * fma(-0.5 * v * y, y, 1.5)


cdef inline double algebraic_sigmoid32(double x, double alpha) noexcept nogil:
    """x / sqrt(1 + alpha x^2) for alpha x^2 up to 2^80."""
    return x * inverse_root(fma(alpha * x, x, 1))


cdef inline double algebraic_sigmoid_d32(double x, double alpha) noexcept nogil:
    """(1 + alpha x^2)^(-3/2)."""
    cdef double i = inverse_root(at_most(fma(alpha * x, x, 1), 2.0**110))
    return i * i * i


cdef inline pair algebraic_root(double t, double alpha) noexcept nogil:
    """sqrt(1 + alpha t^2)."""
    return root(plus(1, times(two_prod(t, t), alpha)))


cdef inline double algebraic_sigmoid64(double x, double unit, double alpha) noexcept nogil:
    """|x| / sqrt(1 + alpha (unit x)^2) with the sign of x, 1 <= alpha < 4, unit a power of two."""
    cdef double a = at_most(absolute(x), 2.0**40 / unit)
    return with_sign(divide(as_pair(a), algebraic_root(a * unit, alpha)), x)


cdef inline double algebraic_sigmoid_d64(double x, double unit, double alpha) noexcept nogil:
    """i^3, i = 1 / sqrt(1 + alpha (unit x)^2)."""
    cdef pair i = reciprocal(algebraic_root(at_most(absolute(x) * unit, 2.0**400), alpha))
    cdef pair square = two_prod(i.hi, i.hi)
    return fma(square.hi, i.hi, fma(square.lo, i.hi, 3 * square.hi * i.lo))


# algebraic_sigmoid: x / sqrt(1 + alpha x^2); isrlu: that for x < 0, x for x >= 0

cdef inline double where_flat(double alpha) noexcept nogil:
    """From here on algebraic_sigmoid no longer changes in float, nor does what it narrows to."""
    return min(2.0**40 / sqrt(alpha), 1e60)


cdef inline void algebraic_sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                                   const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], scale = even_scale(p[0]), high = where_flat(p[0])
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> algebraic_sigmoid32(
                at_most(at_least(<double> x[i], -high), high), alpha)
        else:
            y[i] = algebraic_sigmoid64(x[i], 1 / scale, alpha * scale * scale)


cdef inline void algebraic_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                                     const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], scale = even_scale(p[0])
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> algebraic_sigmoid_d32(x[i], alpha)
        else:
            y[i] = algebraic_sigmoid_d64(x[i], 1 / scale, alpha * scale * scale)


cdef inline void isrlu(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], scale = even_scale(p[0]), high = where_flat(p[0])
    cdef real left
    for i in range(n & -LANES):
        if real is float:
            left = <float> algebraic_sigmoid32(
                at_most(at_least(<double> x[i], -high), high), alpha)
        else:
            left = algebraic_sigmoid64(x[i], 1 / scale, alpha * scale * scale)
        y[i] = x[i] if x[i] >= 0 else left


cdef inline void isrlu_d(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], scale = even_scale(p[0])
    cdef real left
    for i in range(n & -LANES):
        if real is float:
            left = <float> algebraic_sigmoid_d32(x[i], alpha)
        else:
            left = algebraic_sigmoid_d64(x[i], 1 / scale, alpha * scale * scale)
        y[i] = 1 if x[i] >= 0 else left


# bent_identity: (sqrt(x^2 + 1) - 1) / 2 + x

cdef inline double bent_identity_d32(double x) noexcept nogil:
    """1 + x / (2 sqrt(x^2 + 1)) for |x| up to 2^40."""
    return 1 + 0.5 * x * inverse_root(fma(x, x, 1))


cdef inline double bent_identity64(double x) noexcept nogil:
    """(sqrt(x^2 + 1) - 1) / 2 + x."""
    cdef double a = absolute(x)
    cdef double clamped = at_most(at_least(x, -(2.0**100)), 2.0**100)
    cdef pair s = hypotenuse(clamped, 1)
    cdef pair rise = fast_two_sum(s.hi, -1)
    cdef pair sum = two_sum(clamped, 0.5 * rise.hi)
    cdef double y = sum.hi + (sum.lo + 0.5 * (rise.lo + s.lo))
    return x + 0.5 * at_most(a, LARGEST) if a > 2.0**100 else y


cdef inline double bent_identity_d64(double x) noexcept nogil:
    """1 + x / (2 sqrt(x^2 + 1))."""
    cdef double clamped = at_most(at_least(x, -(2.0**100)), 2.0**100)
    return 1 + 0.5 * clamped / sqrt(fma(clamped, clamped, 1))


cdef inline void bent_identity(const real* x, real* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(FLT_MAX)
    cdef double a
    for i in range(n & -LANES):
        if real is float:
            a = at_most(absolute(x[i]), high)
            y[i] = <float> (0.5 * (sqrt(a * a + 1) - 1) + x[i])
        else:
            y[i] = bent_identity64(x[i])


cdef inline void bent_identity_d(const real* x, real* restrict y, Py_ssize_t n,
                                 const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(2.0**40)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> bent_identity_d32(at_most(at_least(x[i], -high), high))
        else:
            y[i] = bent_identity_d64(x[i])


cdef inline void bent_identity_ties(const double* x, double* restrict y, Py_ssize_t n,
                                    const double* p) noexcept nogil:
    """3 x / 2 - 1 / 2 + ...: for large x the 1 / 2 is lost."""
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = -1 if absolute(x[i]) > 2.0**50 else 0


cdef inline void add_algebraic(Table* table) noexcept nogil:
    add(table, name=b"softsign", parameters=0, cost=0.2, traits=PLAIN, ties=NULL,
        value32=softsign, value64=softsign, derivative32=softsign_d, derivative64=softsign_d)
    add(table, name=b"squareplus", parameters=1, cost=1.2, traits=PLAIN, ties=NULL,
        value32=squareplus, value64=squareplus,
        derivative32=squareplus_d, derivative64=squareplus_d)
    add(table, name=b"algebraic_sigmoid", parameters=1, cost=1.2, traits=PLAIN, ties=NULL,
        value32=algebraic_sigmoid, value64=algebraic_sigmoid,
        derivative32=algebraic_sigmoid_d, derivative64=algebraic_sigmoid_d)
    add(table, name=b"isrlu", parameters=1, cost=1.2, traits=KEEPS_X, ties=NULL,
        value32=isrlu, value64=isrlu, derivative32=isrlu_d, derivative64=isrlu_d)
    add(table, name=b"bent_identity", parameters=0, cost=0.8, traits=PLAIN, ties=bent_identity_ties,
        value32=bent_identity, value64=bent_identity,
        derivative32=bent_identity_d, derivative64=bent_identity_d)
