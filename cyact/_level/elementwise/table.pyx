"""Elementwise kernels: one readable loop a function, float and double from one source.

Compiled once for each instruction-set level. A kernel gets contiguous arrays whose length is
a multiple of LANES; everything around it is in stages.pxd. The maths is in maths32.pxd and
maths64.pxd: here are the loops, which widen, clamp, call it and narrow, and the table.

Names: f is the value, f_d the derivative as a function of x, f_y the derivative as a function
of y = f(x). To add a function, write these and add its line to the table at the end.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.float cimport DBL_MAX, FLT_MAX
from libc.math cimport INFINITY, NAN, sqrt

from cyact._level.abi cimport (
    ABI,
    DERIVATIVE,
    EXACT,
    EXACT_OF_HALVES,
    FLOAT32,
    FLOAT64,
    FROM_OUTPUT,
    LANES,
    VALUE,
    Kernels,
    Op,
    Span,
    kernel_t,
)
# Written so, Cython sees that this module is out of date when one of those is changed.
cimport cyact._level.halves as _half
cimport cyact._level.maths32 as m32
cimport cyact._level.maths64 as m64
cimport cyact._level.stages as _tile
from cyact._level.lanes cimport PERMUTES, WIDTH, load, store
from cyact._level.maths32 cimport (
    at_least,
    at_most,
    magnitude,
    multiply_add,
    opaque,
    positive,
    round_down,
    round_up,
)

ctypedef fused real:
    float
    double

# Where a loop's chain of dependent operations is long, the CPU cannot look far enough ahead
# to overlap its iterations. Cut in two over a block that stays in L1, it runs 10 to 20 %
# faster; the results are the same.
cdef enum:
    BLOCK = 64


# identity: x

cdef void identity(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = x[i]


cdef void identity_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 1 if x[i] == x[i] else x[i]


# step: 1 if x >= threshold else 0

cdef void step(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real threshold = p[0], above
    if real is float:
        threshold = round_up(p[0])
    for i in range(n & -LANES):
        above = 1 if x[i] == x[i] else x[i]
        y[i] = 0 if x[i] < threshold else above


cdef void step_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] == x[i] else x[i]


# relu: max(x, 0); relu(-0.0) = 0.0, relu'(0) = 0

cdef void relu(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] <= 0 else x[i]


# In what has a step and keeps NaN, NaN comes first, in a statement of its own: two choices in turn
# are a comparison and a blend each, three cases in one expression are twice as many.

cdef void relu_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real right
    for i in range(n & -LANES):
        right = 1 if x[i] == x[i] else x[i]
        y[i] = 0 if x[i] <= 0 else right


# relu6, relu_k: min(max(x, 0), n); the derivative is 0 at both ends

cdef inline void clipped_relu(const real* x, real* restrict y, Py_ssize_t n,
                              real high) noexcept nogil:
    cdef Py_ssize_t i
    cdef real lower
    for i in range(n & -LANES):
        lower = high if x[i] > high else x[i]
        y[i] = 0 if x[i] <= 0 else lower


cdef inline void between(const real* x, real* restrict y, Py_ssize_t n,
                         real low, real high, real inside) noexcept nogil:
    """`inside` where low < x < high, 0 elsewhere."""
    cdef Py_ssize_t i
    cdef real middle, right
    for i in range(n & -LANES):
        middle = inside if x[i] == x[i] else x[i]
        right = 0 if x[i] >= high else middle
        y[i] = 0 if x[i] <= low else right


cdef inline void between_exactly(const real* x, real* restrict y, Py_ssize_t n,
                                 double low, double high, double inside) noexcept nogil:
    """The same for ends that x's type may not hold."""
    if real is float:
        between(x, y, n, round_down(low), round_up(high), <float> inside)
    else:
        between(x, y, n, low, high, inside)


cdef void relu6(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    clipped_relu(x, y, n, <real> opaque(6))     # a literal would keep GCC from a minimum


cdef void relu6_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    between(x, y, n, <real> 0, <real> 6, <real> 1)


cdef void relu_k(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    clipped_relu(x, y, n, <real> p[0])


cdef void relu_k_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    between_exactly(x, y, n, 0, p[0], 1)


# squared_relu: max(x, 0)^2

cdef void squared_relu(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] <= 0 else x[i] * x[i]


cdef void squared_relu_d(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] <= 0 else x[i] + x[i]


# relu_of_minus: max(-x, 0), the other half of crelu

cdef void relu_of_minus(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] >= 0 else -x[i]


cdef void relu_of_minus_d(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real left
    for i in range(n & -LANES):
        left = -1 if x[i] == x[i] else x[i]
        y[i] = 0 if x[i] >= 0 else left


# negative_part: min(x, 0), what a slope's gradient sums

cdef void negative_part(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] >= 0 else x[i]


cdef void negative_part_d(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real left
    for i in range(n & -LANES):
        left = 1 if x[i] == x[i] else x[i]
        y[i] = 0 if x[i] >= 0 else left


# leaky_relu: x if x >= 0 else slope x; leaky_relu'(0) = slope. The derivative from y is the
# derivative from x: a positive slope keeps the sign.

cdef void leaky_relu(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double slope = p[0]
    cdef float high = <float> slope, low
    # A slope of 0 makes 0 of -inf as well: the limit, where 0 * -inf would be NaN.
    cdef real lowest = <real> opaque(-FLT_MAX if slope == 0 else -INFINITY)
    if real is float and m32.FUSED and 1e-12 < slope < 1e30:
        # The slope in two floats: as exact as in double, half the work. Both are positive, so
        # that the products of an infinity agree.
        if high > slope:
            high = m32.from_bits32(m32.bits32(high) - 1)
        low = <float> (slope - high)
        low = low if low > 0 else <float> 1e-37
        for i in range(n & -LANES):
            y[i] = x[i] if x[i] >= 0 else m32.fmaf(high, x[i], low * x[i])
    else:
        for i in range(n & -LANES):
            y[i] = x[i] if x[i] >= 0 else <real> (slope * at_least(x[i], lowest))


cdef void leaky_relu_d(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real slope = <real> p[0], right
    for i in range(n & -LANES):
        right = 1 if x[i] == x[i] else x[i]
        y[i] = slope if x[i] <= 0 else right


# prelu: leaky_relu with a slope for each element, w; a slope of 0 makes 0 of -inf as well.

cdef void prelu(const real* x, const real* w, real* restrict y, Py_ssize_t n,
                const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real lowest = <real> opaque(-FLT_MAX if real is float else -DBL_MAX)
    cdef real v
    for i in range(n & -LANES):
        v = x[i] if w[i] != 0 else at_least(x[i], lowest)
        y[i] = x[i] if x[i] >= 0 else w[i] * v


cdef void prelu_d(const real* x, const real* w, real* restrict y, Py_ssize_t n,
                  const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real right
    for i in range(n & -LANES):
        right = 1 if x[i] == x[i] else x[i]
        y[i] = w[i] if x[i] <= 0 else right


# threshold: x if x > threshold else value; thresholded_relu: value is 0

cdef inline void above(const real* x, real* restrict y, Py_ssize_t n,
                       double threshold, double value) noexcept nogil:
    cdef Py_ssize_t i
    cdef real last = threshold, other = <real> value
    if real is float:
        last = round_down(threshold)
    for i in range(n & -LANES):
        y[i] = other if x[i] <= last else x[i]


cdef void threshold(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    above(x, y, n, p[0], p[1])


cdef void thresholded_relu(const real* x, real* restrict y, Py_ssize_t n,
                           const double* p) noexcept nogil:
    above(x, y, n, p[0], 0)


cdef void threshold_d(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real last = p[0], right
    if real is float:
        last = round_down(p[0])
    for i in range(n & -LANES):
        right = 1 if x[i] == x[i] else x[i]
        y[i] = 0 if x[i] <= last else right


# elu: x if x > 0 else alpha (e^x - 1); elu'(0) = alpha

cdef inline void elu_float(const float* x, float* restrict y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-20)
    cdef float zero = <float> opaque(0)
    cdef float single
    for i in range(n & -LANES):
        single = m32.elu1(at_most(at_least(x[i], low), zero))
        y[i] = x[i] if x[i] >= 0 else single


cdef void elu(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0]
    cdef float low = <float> opaque(-20)
    cdef float zero = <float> opaque(0)
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.elu(x[i], alpha)
    elif alpha == 1 and m32.FUSED:
        elu_float(x, y, n)
    else:
        for i in range(n & -LANES):
            single = <float> (alpha * m32.expm1(at_most(at_least(x[i], low), zero)))
            y[i] = x[i] if x[i] > 0 else single


cdef void elu_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0]
    # A huge alpha enters as alpha 2^-500 and e^x as e^x 2^500: so both stay in range.
    cdef bint huge = alpha > 1e150 or alpha < -1e150
    cdef double origin = m32.ROUND + 500 if huge else m32.ROUND
    cdef double factor = alpha * 2.0**-500 if huge else alpha
    cdef float low = -1040 if huge else -690
    cdef float zero = <float> opaque(0)
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.elu_d(x[i], alpha)
    else:
        for i in range(n & -LANES):
            single = <float> (factor * m32.exp_from(at_most(at_least(x[i], low), zero), origin))
            y[i] = 1 if x[i] > 0 else single


cdef void elu_y(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0]
    for i in range(n & -LANES):
        y[i] = 1 if x[i] > 0 else <real> (x[i] + alpha)


# celu: max(0, x) + min(0, alpha (e^(x / alpha) - 1)), which is x if x > 0 else the second term,
# also for a negative alpha; celu'(0) = 1

cdef inline double moderate(double alpha) noexcept nogil:
    """alpha, or the nearest number with which celu still is the same in float."""
    cdef double size = min(max(alpha if alpha > 0 else -alpha, 2.0**-500), 2.0**500)
    return size if alpha > 0 else -size


cdef void celu(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = moderate(p[0]), inverse = 1 / alpha
    cdef m64.divisor divisor = m64.celu_divisor(p[0])
    # alpha e^high is beyond all floats for any alpha for which it is met
    cdef double low = opaque(-60), high = opaque(440), t
    cdef float single
    if real is double:
        if p[0] == 1:
            for i in range(n & -LANES):
                y[i] = m64.elu(x[i], 1)
        else:
            for i in range(n & -LANES):
                y[i] = m64.celu(x[i], divisor)
    elif p[0] == 1 and m32.FUSED:
        elu_float(x, y, n)
    else:
        for i in range(n & -LANES):
            t = at_most(at_least(x[i] * inverse, low), high)
            single = <float> (alpha * m32.expm1(t))
            y[i] = x[i] if x[i] >= 0 else single


cdef void celu_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double inverse = 1 / moderate(p[0])
    cdef m64.divisor divisor = m64.celu_divisor(p[0])
    cdef double low = opaque(-110), high = opaque(100), t
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.celu_d(x[i], divisor)
    else:
        for i in range(n & -LANES):
            t = at_most(at_least(x[i] * inverse, low), high)
            single = <float> m32.exp_from(t, m32.ROUND)
            y[i] = 1 if x[i] > 0 else single


cdef void celu_y(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = moderate(p[0]), inverse = 1 / alpha
    for i in range(n & -LANES):
        if real is float:
            y[i] = 1 if x[i] > 0 else <float> ((x[i] + alpha) * inverse)
        else:
            y[i] = m64.celu_y(x[i], p[0])


# selu: lambda x if x > 0 else lambda alpha (e^x - 1); selu'(0) = lambda alpha

cdef void selu(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-20), zero = <float> opaque(0)
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.selu(x[i])
    elif m32.FUSED:
        for i in range(n & -LANES):
            single = m32.selu_tail1(at_most(at_least(x[i], low), zero))
            y[i] = m32.selu_line1(x[i]) if x[i] >= 0 else single
    else:
        for i in range(n & -LANES):
            single = <float> (m64.SELU_ALPHA_H
                              * m32.expm1(at_most(at_least(x[i], low), zero)))
            y[i] = <float> (m64.SELU_H * x[i]) if x[i] >= 0 else single


cdef void selu_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-110), zero = <float> opaque(0)
    cdef float single
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.selu_d(x[i])
    else:
        for i in range(n & -LANES):
            single = <float> (m64.SELU_ALPHA_H
                              * m32.exp_from(at_most(at_least(x[i], low), zero), m32.ROUND))
            y[i] = <float> m64.SELU_H if x[i] > 0 else single


cdef void selu_y(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m64.SELU_H if x[i] > 0 else <float> (x[i] + m64.SELU_ALPHA_H)
        else:
            y[i] = m64.selu_y(x[i])


cdef inline void exp_ratio_block(const double* x, double* n, double* m,
                                 Py_ssize_t count) noexcept nogil:
    """e^-|x| as a quotient."""
    cdef Py_ssize_t i
    for i in range(count):
        m64.exp_ratio(m64.at_least(m64.minus_absolute(x[i]), -760.0), &n[i], &m[i])


# sigmoid: 1 / (1 + e^-x)

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
            y[start + i] = m32.sigmoid_from(sign * x[start + i], sum[i], lost[i])
        start += BLOCK


cdef void sigmoid(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
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
                m32.exp2_reduce(at_most(at_least(x[start + i], low), high), -m32.LOG2E,
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
            y[start + i] = m32.sigmoid_d_from(x[start + i], sum[i], lost[i])
        start += BLOCK


cdef void sigmoid_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(110)
    if real is float:
        if PERMUTES:
            sigmoid_d_float(x, y, n)
            return
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.sigmoid_d(at_most(magnitude(x[i]), high))
        else:
            y[i] = m64.sigmoid_d(x[i])


cdef void sigmoid_y(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = m32.fmaf(-x[i], x[i], x[i])
        else:
            y[i] = x[i] * (1 - x[i])


# generalized_logistic: lower + (upper - lower) (1 + e^-z)^(-1/nu), z = growth (x - midpoint)

cdef inline bint ordinary(const double* p) noexcept nogil:
    """Whether plain double is enough for float: no cancellation, factors far from the extremes."""
    cdef double width = p[1] - p[0], factor = width * p[2] / p[4]
    return (p[0] >= 0 and 2.0**-400 < width < 2.0**400 and p[4] > 2.0**-400
            and p[1] < 2.0**400 and (2.0**-400 < factor < 2.0**400
                                     or 2.0**-400 < -factor < 2.0**400))


cdef inline bint near1(double x) noexcept nogil:
    return (x if x > 0 else -x) > 2.0**-20 and (x if x > 0 else -x) < 2.0**20


cdef void generalized_logistic(const real* x, real* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double lower = p[0], width = p[1] - p[0], growth = p[2], midpoint = p[3], power = -1 / p[4]
    cdef m64.logistic c = m64.logistic_of(p[0], p[1], p[2], p[3], p[4])
    cdef m64.pair exact
    cdef double low = opaque(-600), high = opaque(600), zero = opaque(0), z
    if real is float and p[4] == 1 and ordinary(p):
        for i in range(n & -LANES):
            z = at_most(at_least(growth * (x[i] - midpoint), low), high)
            y[i] = <real> (lower + width * m32.sigmoid(z))
    elif real is float and ordinary(p):
        for i in range(n & -LANES):
            z = growth * (x[i] - midpoint)
            z = m64.log1p(m64.exp(m64.minus_absolute(z))) - at_most(z, zero)
            y[i] = <real> (lower + width * m64.exp(power * z))
    elif p[4] == 1 and p[0] == -p[1]:
        for i in range(n & -LANES):
            y[i] = <real> m64.symmetric_logistic(x[i], c, p[1])
    elif p[4] == 1 and p[0] >= 0 and near1(width):
        exact = m64.scaled_pair(c.width, c.width_exponent)
        for i in range(n & -LANES):
            y[i] = <real> m64.shifted_logistic(x[i], c, exact)
    else:
        for i in range(n & -LANES):
            y[i] = <real> m64.generalized_logistic(x[i], c)


cdef void generalized_logistic_d(const real* x, real* restrict y, Py_ssize_t n,
                                 const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double factor = (p[1] - p[0]) * p[2] / p[4], growth = p[2], midpoint = p[3]
    cdef double power = -1 / p[4]
    cdef m64.logistic c = m64.logistic_of(p[0], p[1], p[2], p[3], p[4])
    cdef m64.pair exact
    cdef double low = opaque(-600), high = opaque(600), zero = opaque(0), z, e, log
    if real is float and p[4] == 1 and ordinary(p):
        for i in range(n & -LANES):
            z = m64.absolute(at_most(at_least(growth * (x[i] - midpoint), low), high))
            y[i] = <real> (factor * m32.sigmoid_d(z))
    elif real is float and ordinary(p):
        for i in range(n & -LANES):
            z = growth * (x[i] - midpoint)
            e = m64.exp(m64.minus_absolute(z))
            log = m64.log1p(e) - at_most(z, zero)
            y[i] = <real> (factor * m64.exp(power * log) * (1 if z < 0 else e) / (1 + e))
    elif p[4] == 1 and near1(factor):
        exact = m64.scaled_pair(c.slope, c.slope_exponent)
        for i in range(n & -LANES):
            y[i] = <real> m64.shifted_logistic_d(x[i], c, exact)
    else:
        for i in range(n & -LANES):
            y[i] = <real> m64.generalized_logistic_d(x[i], c)


# log_sigmoid: -softplus(-x) = min(x, 0) - log(1 + e^-|x|)

cdef void log_sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef double exponential[BLOCK]
    cdef float zero = <float> opaque(0), high = <float> opaque(110)
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.log_sigmoid(x[i])
    elif PERMUTES:
        while start < n:
            store(y + start, -m32.softplus_lanes(-load(x + start)))
            start += WIDTH
    else:
        while start < n:
            count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
            for i in range(count):
                exponential[i] = m32.exp_from(-at_most(magnitude(x[start + i]), high), m32.ROUND)
            for i in range(count):
                y[start + i] = <float> -(positive(-x[start + i], zero)
                                         + m32.log1p(exponential[i]))
            start += BLOCK


cdef void log_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
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
            m64.exp_ratio(m64.at_least(m64.minus_absolute(x[i]), -760.0), &numerator,
                          &denominator)
            y[i] = m64.sigmoid(numerator, denominator, -x[i])


cdef void log_sigmoid_y(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-60)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> -m32.expm1(at_least(x[i], low))
        else:
            y[i] = m64.softplus_y(-x[i], 1)


# hard_sigmoid: clip(alpha x + beta, 0, 1)

cdef void hard_sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], beta = p[1]
    cdef real zero = <real> opaque(0), one = <real> opaque(1)
    cdef real constant = at_most(at_least(<real> beta, zero), one)
    cdef float least = <float> opaque(-4), most = <float> opaque(3), inside
    if alpha == 0:      # of infinities, too
        for i in range(n & -LANES):
            y[i] = constant if x[i] == x[i] else x[i]
    elif real is float and m32.FUSED and alpha == 1.0 / 6 and beta == 0.5:
        for i in range(n & -LANES):
            inside = at_most(at_least(x[i], least), most)
            y[i] = at_least(m32.hard_sigmoid(inside), zero)
    else:
        for i in range(n & -LANES):
            y[i] = at_most(at_least(<real> m64.linear(alpha, x[i], beta), zero), one)


cdef void hard_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    # The ends in float64. If alpha is 0 they do not matter, even as NaN: alpha is the slope.
    cdef double zero = m64.zero_of(m64.single(-p[1]), p[0])
    cdef double one = m64.zero_of(m64.two_sum(1, -p[1]), p[0])
    between_exactly(x, y, n, at_most(zero, one), at_least(zero, one), p[0])


# hard_swish: x hard_sigmoid(x) = x clip(x + 3, 0, 6) / 6; hard_swish'(-3) = 0, '(3) = 1

cdef void hard_swish(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real inner
    for i in range(n & -LANES):
        if real is float:
            inner = m32.with_sign(0 if x[i] <= -3 else m32.hard_swish(x[i]), x[i])
        else:
            inner = m64.with_sign(0 if x[i] <= -3 else m64.hard_swish(x[i]), x[i])
        y[i] = x[i] if x[i] >= 3 else inner


cdef void hard_swish_d(const real* x, real* restrict y, Py_ssize_t n,
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


# tanh

cdef void tanh(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i, start = 0
    cdef float low = <float> opaque(-9.02), high = <float> opaque(9.02)
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.tanh(x[i])
    elif PERMUTES:
        while start < n:
            store(y + start, m32.tanh_lanes(load(x + start)))
            start += WIDTH
    else:
        for i in range(n & -LANES):
            y[i] = <float> m32.tanh(at_most(at_least(x[i], low), high))


cdef void tanh_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(55)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.tanh_d(at_most(magnitude(x[i]), high))
        else:
            y[i] = m64.tanh_d(x[i])


cdef void tanh_y(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = m32.fmaf(-x[i], x[i], 1)
        else:
            y[i] = (1 - x[i]) * (1 + x[i])


# hard_tanh: clip(x, low, high); the derivative is 0 at both ends

cdef void hard_tanh(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real low = <real> p[0], high = <real> p[1]
    for i in range(n & -LANES):
        y[i] = at_most(at_least(x[i], low), high)


cdef void hard_tanh_d(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    between_exactly(x, y, n, p[0], p[1], 1)


# softplus: log(1 + e^(beta x)) / beta = max(x, 0) + log(1 + e^-|beta x|) / beta

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
                at_least(-beta * <double> magnitude(x[start + i]), low), m32.ROUND)
        for i in range(count):
            y[start + i] = <float> (positive(x[start + i], zero)
                                    + inverse * m32.log1p(exponential[i]))
        start += BLOCK


cdef void softplus(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i, start = 0
    cdef double beta = p[0]
    if real is float:
        if beta == 1 and PERMUTES:
            while start < n:
                store(y + start, m32.softplus_lanes(load(x + start)))
                start += WIDTH
        elif beta == 1:
            softplus_float(x, y, n, 1, 1)
        else:
            softplus_float(x, y, n, beta, 1 / beta)
    else:
        for i in range(n & -LANES):
            y[i] = m64.softplus(x[i], beta)


cdef void softplus_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
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
            y[i] = m64.softplus_d(x[i], beta)


cdef void softplus_y(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double beta = p[0]
    cdef double low = opaque(-60)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> -m32.expm1(at_least(-beta * x[i], low))
        else:
            y[i] = m64.softplus_y(x[i], beta)


# softsign: x / (1 + |x|)

cdef void softsign(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(1e18)
    for i in range(n & -LANES):
        if real is float:
            y[i] = m32.softsign(x[i], at_most(magnitude(x[i]), high))
        else:
            y[i] = m64.softsign(x[i])


cdef void softsign_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double root
    for i in range(n & -LANES):
        if real is float:
            root = 1 + <double> magnitude(x[i])
            y[i] = <float> (1 / (root * root))
        else:
            y[i] = m64.softsign_d(x[i])


# squareplus: (x + sqrt(x^2 + b)) / 2; b = 0 makes it relu, with the derivative 1/2 at 0

cdef void squareplus(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double b = p[0], unit = 1
    if b == 0:
        relu(x, y, n, p)
        return
    if not 2.0**-200 < b < 2.0**200:
        unit = m64.even_scale(b)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.squareplus(x[i], b)
        else:
            y[i] = m64.squareplus(x[i], unit, b * unit * unit)


cdef void squareplus_d(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double b = p[0], unit = 1, one = opaque(1)
    cdef real high = <real> opaque(FLT_MAX)
    if b == 0:
        for i in range(n & -LANES):
            y[i] = 0 if x[i] < 0 else 1 if x[i] > 0 else 0.5 if x[i] == 0 else x[i]
        return
    if not 2.0**-200 < b < 2.0**200:
        unit = m64.even_scale(b)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> (one if x[i] > high else m32.squareplus_d(x[i], b))
        else:
            y[i] = m64.squareplus_d(x[i], unit, b * unit * unit)


# algebraic_sigmoid: x / sqrt(1 + alpha x^2); isrlu: that for x < 0, x for x >= 0

cdef inline double where_flat(double alpha) noexcept nogil:
    """From here on algebraic_sigmoid no longer changes in float, nor does what it narrows to."""
    return min(2.0**40 / sqrt(alpha), 1e60)


cdef void algebraic_sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], scale = m64.even_scale(p[0]), high = where_flat(p[0])
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.algebraic_sigmoid(
                at_most(at_least(<double> x[i], -high), high), alpha)
        else:
            y[i] = m64.algebraic_sigmoid(x[i], 1 / scale, alpha * scale * scale)


cdef void algebraic_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                              const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], scale = m64.even_scale(p[0])
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.algebraic_sigmoid_d(x[i], alpha)
        else:
            y[i] = m64.algebraic_sigmoid_d(x[i], 1 / scale, alpha * scale * scale)


cdef void isrlu(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], scale = m64.even_scale(p[0]), high = where_flat(p[0])
    cdef real left
    for i in range(n & -LANES):
        if real is float:
            left = <float> m32.algebraic_sigmoid(
                at_most(at_least(<double> x[i], -high), high), alpha)
        else:
            left = m64.algebraic_sigmoid(x[i], 1 / scale, alpha * scale * scale)
        y[i] = x[i] if x[i] >= 0 else left


cdef void isrlu_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], scale = m64.even_scale(p[0])
    cdef real left
    for i in range(n & -LANES):
        if real is float:
            left = <float> m32.algebraic_sigmoid_d(x[i], alpha)
        else:
            left = m64.algebraic_sigmoid_d(x[i], 1 / scale, alpha * scale * scale)
        y[i] = 1 if x[i] >= 0 else left


# silu: x sigmoid(beta x)

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
            a = magnitude(x[start + i])
            tail = m32.logistic(a if a < high else high, sum[i], lost[i])
            y[start + i] = m32.fmaf(-tail, <float> 5.421010862427522e-20,
                                    positive(x[start + i], minus_zero))
        start += BLOCK


cdef void silu(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
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
            silu_float(x, y, n, -m32.LOG2E, 120)
            return
        for i in range(n & -LANES):
            t = beta * <double> at_most(at_least(x[i], least), most)
            t = at_most(at_least(t, bottom), top)
            y[i] = <float> m32.gate(at_most(at_least(x[i], lowest), highest),
                                    m32.exp2_ratio(t, -m32.LOG2E))
    else:
        while beta == 1 and start < n:
            count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
            exp_ratio_block(x + start, numerator, denominator, count)
            for i in range(count):
                y[start + i] = m64.silu1(numerator[i], denominator[i], x[start + i])
            start += BLOCK
        if beta != 1:
            for i in range(n & -LANES):
                y[i] = m64.silu(x[i], beta)


cdef inline void silu1_d_float(const float* x, float* restrict y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef float sum[BLOCK]
    cdef float lost[BLOCK]
    cdef float high = <float> opaque(120), a
    while start < n:
        count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
        m32.exp_plus_one_fine(x + start, sum, lost, count)
        for i in range(count):
            a = magnitude(x[start + i])
            y[start + i] = m32.silu_d_from(x[start + i], high if a > high else a, sum[i], lost[i])
        start += BLOCK


cdef void silu_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
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
            y[i] = <float> m32.silu_d(at_most(at_least(t, low), high))
        else:
            y[i] = m64.silu_d(x[i], beta)


# mish: x tanh(softplus(x))

cdef void mish(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-120), high = <float> opaque(30)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.mish(
                at_least(x[i], low),
                m32.exp2_ratio(at_most(at_least(x[i], low), high), m32.LOG2E))
        else:
            y[i] = m64.mish(x[i])


cdef void mish_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-120), high = <float> opaque(30)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.mish_d(at_most(at_least(x[i], low), high))
        else:
            y[i] = m64.mish_d(x[i])


# gelu: x Phi(x) = max(x, 0) - |x| Phi(-|x|), Phi the normal distribution

cdef void gelu(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i, start = 0
    cdef float zero = <float> opaque(0), high = <float> opaque(15)
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.gelu(x[i])
    elif PERMUTES:
        while start < n:
            store(y + start, m32.gelu_lanes(load(x + start)))
            start += WIDTH
    else:
        for i in range(n & -LANES):
            y[i] = <float> (positive(x[i], zero)
                            - m32.gelu_tail(at_most(magnitude(x[i]), high)))


cdef void gelu_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(15)
    cdef double tail
    for i in range(n & -LANES):
        if real is float:
            tail = m32.gelu_d_tail(at_most(magnitude(x[i]), high))
            y[i] = <float> (1 - tail if x[i] > 0 else tail)
        else:
            y[i] = m64.gelu_d(x[i])


# gelu_tanh: x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))

cdef void gelu_tanh(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i, count, start = 0
    cdef double rounded[BLOCK]
    cdef double rest[BLOCK]
    cdef float low = <float> opaque(-20), high = <float> opaque(20)
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.gelu_tanh(x[i])
    else:
        while start < n:
            count = min(<Py_ssize_t> BLOCK, n - start) & -LANES
            for i in range(count):
                m32.exp2_reduce(
                    m32.gelu_tanh_exponent(at_most(at_least(x[start + i], low), high)), -1,
                    &rounded[i], &rest[i])
            for i in range(count):
                y[start + i] = <float> m32.gate(at_least(x[start + i], low),
                                                m32.exp2_reduced(rounded[i], rest[i]))
            start += BLOCK


cdef void gelu_tanh_d(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-20), high = <float> opaque(20)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.gelu_tanh_d(at_most(at_least(x[i], low), high))
        else:
            y[i] = m64.gelu_tanh_d(x[i])


# gelu_sigmoid: x sigmoid(1.702 x)

cdef void gelu_sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.silu(x[i], 1.702)
    else:
        silu_float(x, y, n, -1.702 * m32.LOG2E, 75)


cdef void gelu_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double low = opaque(-130), high = opaque(130)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.silu_d(at_most(at_least(1.702 * x[i], low), high))
        else:
            y[i] = m64.silu_d(x[i], 1.702)


# erf: the error function; erf' = 2/sqrt(pi) e^(-x^2)

cdef void erf(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-3.93), high = <float> opaque(3.93)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.erf(at_most(at_least(x[i], low), high))
        else:
            y[i] = m64.erf(x[i])


cdef void erf_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a
    cdef float high = <float> opaque(10.5)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(magnitude(x[i]), high)
            y[i] = <float> (m32.TWO_INV_SQRT_PI * m32.exp_from(-a * a, m32.ROUND))
        else:
            y[i] = m64.erf_d(x[i])


# erfc: 1 - erf(x) = 2 Phi(-sqrt(2) x)

cdef void erfc(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef m32.Ratio tail
    cdef double single
    cdef float high = <float> opaque(10.6)
    for i in range(n & -LANES):
        if real is float:
            tail = m32.normal_tail(m32.SQRT2 * at_most(magnitude(x[i]), high))
            single = (tail.n + tail.n) / tail.m
            y[i] = <float> (2 - single if x[i] < 0 else single)
        else:
            y[i] = m64.erfc(x[i])


cdef void erfc_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a
    cdef float high = <float> opaque(10.5)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(magnitude(x[i]), high)
            y[i] = <float> (-m32.TWO_INV_SQRT_PI * m32.exp_from(-a * a, m32.ROUND))
        else:
            y[i] = -m64.erf_d(x[i])


# ndtr: Phi(x), the normal distribution function; ndtr' = phi(x) = e^(-x^2/2)/sqrt(2 pi)

cdef void ndtr(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef m32.Ratio tail
    cdef double single
    cdef float high = <float> opaque(15)
    for i in range(n & -LANES):
        if real is float:
            tail = m32.normal_tail(at_most(magnitude(x[i]), high))
            single = tail.n / tail.m
            y[i] = <float> (1 - single if x[i] > 0 else single)
        else:
            y[i] = m64.ndtr(x[i])


cdef void ndtr_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a
    cdef float high = <float> opaque(15)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(magnitude(x[i]), high)
            y[i] = <float> (m32.INV_SQRT_2PI * m32.exp_from(-0.5 * a * a, m32.ROUND))
        else:
            y[i] = m64.ndtr_d(x[i])


# log_ndtr: log Phi(x); log_ndtr' = phi(x)/Phi(x)

cdef void log_ndtr(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a, e
    cdef float high = <float> opaque(15), most = <float> opaque(FLT_MAX)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(magnitude(x[i]), high)
            e = m32.exp_from(-0.5 * a * a, m32.ROUND)
            y[i] = <float> m32.log_ndtr(x[i], at_most(magnitude(x[i]), most), e)
        else:
            y[i] = m64.log_ndtr(x[i])


cdef void log_ndtr_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double a, e
    cdef float single
    # below -far the derivative is -x
    cdef float high = <float> opaque(15), far = <float> opaque(1e18)
    for i in range(n & -LANES):
        if real is float:
            a = at_most(magnitude(x[i]), high)
            e = m32.exp_from(-0.5 * a * a, m32.ROUND)
            single = <float> m32.log_ndtr_d(x[i], at_most(magnitude(x[i]), far), e)
            y[i] = -x[i] if x[i] < -far else single
        else:
            y[i] = m64.log_ndtr_d(x[i])


# tanh_shrink: x - tanh(x); tanh_shrink' = tanh^2

cdef void tanh_shrink(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-9.02), high = <float> opaque(9.02), inner
    for i in range(n & -LANES):
        if real is float:
            inner = at_most(at_least(x[i], low), high)
            # beyond, tanh no longer grows; the sign is for -0.0
            y[i] = m32.with_sign(<float> (<double> x[i] - inner + m32.tanh_shrink(inner)), x[i])
        else:
            y[i] = m64.tanh_shrink(x[i])


cdef void tanh_shrink_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(10)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.tanh_squared(at_most(magnitude(x[i]), high))
        else:
            y[i] = m64.tanh_squared(x[i])


# arctan

cdef void arctan(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = m32.arctan(x[i])
        else:
            y[i] = m64.arctan(x[i])


cdef void arctan_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> (1 / m32.fma(x[i], x[i], 1))
        else:
            y[i] = m64.arctan_d(x[i])


# gudermannian: 2 atan(tanh(x/2)); gudermannian' = 1/cosh

cdef void gudermannian(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(20)
    for i in range(n & -LANES):
        if real is float:
            y[i] = m32.with_sign(<float> m32.gudermannian(at_most(magnitude(x[i]), high)), x[i])
        else:
            y[i] = m64.gudermannian(x[i])


cdef void gudermannian_d(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(110)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.sech(at_most(magnitude(x[i]), high))
        else:
            y[i] = m64.sech(x[i])


# log1p: log(1 + x); -inf at -1 and NaN below

cdef void log1p(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real pole = <real> opaque(-INFINITY), undefined = <real> opaque(NAN), single
    cdef real end = <real> opaque(INFINITY)
    for i in range(n & -LANES):
        if real is float:
            single = m32.log1p_any(x[i])
        else:
            single = m64.with_sign(m64.log1p_any(x[i]), x[i])
        single = single if x[i] < end else x[i]
        y[i] = single if x[i] > -1 else pole if x[i] == -1 else undefined


cdef void log1p_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real undefined = <real> opaque(NAN)
    for i in range(n & -LANES):
        y[i] = <real> (1 / (1 + <double> x[i])) if x[i] >= -1 else undefined


# log1mexp: log(1 - e^-x); -inf at 0 and NaN below

cdef void log1mexp(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real pole = <real> opaque(-INFINITY), undefined = <real> opaque(NAN), single
    cdef real high = <real> opaque(110 if real is float else 800)
    for i in range(n & -LANES):
        if real is float:
            single = <float> m32.log1mexp(at_most(x[i], high))
        else:
            single = m64.log1mexp(at_most(x[i], high))
        y[i] = single if x[i] > 0 else pole if x[i] == 0 else undefined


cdef void log1mexp_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real undefined = <real> opaque(NAN), single
    cdef real high = <real> opaque(110 if real is float else 800)
    for i in range(n & -LANES):
        if real is float:
            single = <float> m32.log1mexp_d(at_most(magnitude(x[i]), high))
        else:
            single = m64.log1mexp_d(at_most(m64.absolute(x[i]), high))
        y[i] = single if x[i] >= 0 else undefined


# logit: log(x / (1 - x)), x clipped to [eps, 1 - eps]; where it is clipped logit' is 0. An eps
# that is NaN clips nothing: then both are undefined outside [0, 1]. What is compared with eps
# is the smaller of x and 1 - x, exact where it matters: 1 - eps would have to be rounded.

cdef inline real not_below(double eps, real unit) noexcept nogil:
    """The smallest number of unit's type that is not below eps; 0 if eps is NaN."""
    cdef real least = <real> (eps if eps == eps else 0)
    if real is float and least < eps:
        least = m32.from_bits32(m32.bits32(least) + 1)
    return least


cdef inline real below(real least) noexcept nogil:
    """The largest number below `least`; 0 if that is 0."""
    if real is float:
        return m32.from_bits32(m32.bits32(least) - 1) if least > 0 else least
    else:
        return m64.from_bits(m64.bits(least) - 1) if least > 0 else least


cdef void logit(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double eps = p[0]
    cdef real least = not_below(eps, <real> 1)
    cdef double clipped = opaque(m64.absolute(m64.logit(eps)))
    cdef real top = <real> opaque(INFINITY if eps == 0 else clipped)
    cdef real pole = <real> opaque(top if eps > 0 else INFINITY)
    cdef real zero = <real> opaque(0), other, nearer, end, inside
    cdef real edge = below(least)
    for i in range(n & -LANES):
        other = m32.ONE - x[i]
        nearer = other if other < x[i] else x[i]
        end = pole if nearer >= zero else top
        if real is float:
            inside = <float> m32.logit(x[i])
            end = zero + m32.with_sign(end, x[i] - other)
        else:
            inside = m64.logit(x[i])
            end = zero + m64.with_sign(end, x[i] - other)
        y[i] = end if nearer <= edge else inside


cdef void logit_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double eps = p[0]
    cdef real least = not_below(eps, <real> 1)
    cdef real clipped = <real> opaque(0 if eps == eps else NAN), other, nearer, inside
    for i in range(n & -LANES):
        other = m32.ONE - x[i]
        nearer = other if other < x[i] else x[i]
        if real is float:
            inside = m32.logit_d(magnitude(x[i]))
        else:
            inside = m64.logit_d(m64.absolute(x[i]))
        y[i] = clipped if nearer < least else inside


# exp: e^x, its own derivative

cdef void exp(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-104), high = <float> opaque(89)
    for i in range(n & -LANES):
        if real is double:
            y[i] = m64.exp(x[i])
        elif m32.FUSED:
            y[i] = m32.exp1(at_most(at_least(x[i], low), high))
        else:
            y[i] = <float> m32.exp_from(at_most(at_least(x[i], low), high), m32.ROUND)


# expm1: e^x - 1

cdef void expm1(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-20), high = <float> opaque(89)
    for i in range(n & -LANES):
        if real is double:
            y[i] = m64.expm1(x[i])
        elif m32.FUSED:
            y[i] = m32.expm1_1(at_most(at_least(x[i], low), high))
        else:
            y[i] = <float> m32.expm1(at_most(at_least(x[i], low), high))


cdef void expm1_y(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = x[i] + <real> 1


# gaussian: e^(-x^2)

cdef void gaussian(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(11)
    cdef double a
    for i in range(n & -LANES):
        if real is float:
            a = at_most(magnitude(x[i]), high)
            y[i] = <float> m32.exp_from(-a * a, m32.ROUND)
        else:
            y[i] = m64.gaussian(x[i])


cdef void gaussian_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float low = <float> opaque(-11), high = <float> opaque(11)
    cdef double c
    for i in range(n & -LANES):
        if real is float:
            c = at_most(at_least(x[i], low), high)
            y[i] = <float> (-2 * c * m32.exp_from(-c * c, m32.ROUND))
        else:
            y[i] = m64.gaussian_d(x[i])


# bent_identity: (sqrt(x^2 + 1) - 1) / 2 + x

cdef void bent_identity(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(FLT_MAX)
    cdef double a
    for i in range(n & -LANES):
        if real is float:
            a = at_most(magnitude(x[i]), high)
            y[i] = <float> (0.5 * (sqrt(a * a + 1) - 1) + x[i])
        else:
            y[i] = m64.bent_identity(x[i])


cdef void bent_identity_d(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef float high = <float> opaque(2.0**40)
    for i in range(n & -LANES):
        if real is float:
            y[i] = <float> m32.bent_identity_d(at_most(at_least(x[i], -high), high))
        else:
            y[i] = m64.bent_identity_d(x[i])


# hard_shrink: x if |x| > lambd else 0

cdef void hard_shrink(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real lambd = p[0]
    if real is float:
        lambd = round_down(p[0])
    for i in range(n & -LANES):
        if real is float:
            y[i] = 0 if magnitude(x[i]) <= lambd else x[i]
        else:
            y[i] = 0 if m64.absolute(x[i]) <= lambd else x[i]


cdef void shrink_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real lambd = p[0], a, outside
    if real is float:
        lambd = round_down(p[0])
    for i in range(n & -LANES):
        a = m32.magnitude(x[i]) if real is float else m64.absolute(x[i])
        outside = 1 if x[i] == x[i] else x[i]
        y[i] = 0 if a <= lambd else outside


# soft_shrink: sign(x) max(|x| - lambd, 0)

cdef void soft_shrink(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double lambd = p[0]
    cdef real same = <real> lambd
    if real is double:
        for i in range(n & -LANES):
            y[i] = m64.with_sign(at_least(m64.absolute(x[i]) - lambd, 0), x[i])
    elif same == lambd:
        for i in range(n & -LANES):
            y[i] = m32.with_sign(at_least(magnitude(x[i]) - same, 0), x[i])
    else:
        for i in range(n & -LANES):
            y[i] = m32.with_sign(<float> at_least(magnitude(x[i]) - lambd, 0), x[i])


# sparse_plus: 0, (x + 1)^2 / 4 from -1 on, x from 1 on; sparse_sigmoid is its derivative

cdef void sparse_plus(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real one = <real> 1, sum, lost, half
    for i in range(n & -LANES):
        sum = x[i] + one
        lost = x[i] - (sum - one)
        half = sum * <real> 0.5
        half = multiply_add(half, half, half * lost)
        y[i] = 0 if x[i] <= -1 else x[i] if x[i] >= 1 else half


cdef void sparse_sigmoid(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real half
    for i in range(n & -LANES):
        half = (x[i] + <real> 1) * <real> 0.5
        y[i] = 0 if x[i] <= -1 else 1 if x[i] >= 1 else half


cdef void sparse_sigmoid_d(const real* x, real* restrict y, Py_ssize_t n,
                           const double* p) noexcept nogil:
    between(x, y, n, <real> -1, <real> 1, <real> 0.5)


# dish: x / 2 (1 + x / sqrt(1 + x^2))

cdef void dish(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double low = opaque(-1e60)
    for i in range(n & -LANES):
        y[i] = <float> m32.dish(x[i], low) if real is float else m64.dish(x[i])


cdef void dish_d(const real* x, real* restrict y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double high = opaque(1e60)
    for i in range(n & -LANES):
        y[i] = <float> m32.dish_d(x[i], high) if real is float else m64.dish_d(x[i])


# Rests. Half types are rounded from the double result, which may be a tie though f(x) is none:
# it lies a little above or below. These tell on which side, for the functions that meet ties.

cdef void above_half_x(const double* x, double* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    """For f(x) = x / 2 + c x^2 + ..., c positive: what is above x / 2 is lost when x is tiny."""
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 1 if m64.absolute(x[i]) < 2.0**-100 else 0


cdef void gelu_rest(const double* x, double* restrict y, Py_ssize_t n,
                    const double* p) noexcept nogil:
    """The same; and x where that is large, of which a little is missing."""
    cdef Py_ssize_t i
    cdef double large
    for i in range(n & -LANES):
        large = -1 if x[i] > 6 else 0
        y[i] = 1 if m64.absolute(x[i]) < 2.0**-100 else large


cdef void silu_rest(const double* x, double* restrict y, Py_ssize_t n,
                    const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double beta = p[0], large
    for i in range(n & -LANES):
        large = -1 if beta * x[i] > 30 and x[i] > 0 else 0
        y[i] = beta if m64.absolute(x[i]) < 2.0**-100 else large


cdef void softplus_rest(const double* x, double* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    """x + e^(-beta x) / beta: for large x the exponential is lost."""
    cdef Py_ssize_t i
    cdef double beta = p[0]
    for i in range(n & -LANES):
        y[i] = 1 if beta * x[i] > 30 else 0


cdef void leaky_relu_rest(const double* x, double* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double slope = p[0]
    for i in range(n & -LANES):
        y[i] = m64.two_prod(slope, x[i]).lo if x[i] < 0 else 0


cdef void elu_rest(const double* x, double* restrict y, Py_ssize_t n,
                   const double* p) noexcept nogil:
    """alpha (x + x^2 / 2 + ...) for tiny x."""
    cdef Py_ssize_t i
    cdef double alpha = p[0], lost
    for i in range(n & -LANES):
        lost = m64.two_prod(alpha, x[i]).lo + 0.5 * alpha * x[i] * x[i]
        y[i] = lost if -2.0**-50 < x[i] < 0 else 0


cdef void hard_sigmoid_rest(const double* x, double* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double alpha = p[0], beta = p[1]
    cdef m64.pair product, sum
    for i in range(n & -LANES):
        product = m64.two_prod(alpha, x[i])
        sum = m64.two_sum(product.hi, beta)
        y[i] = (sum.hi - m64.linear(alpha, x[i], beta)) + (sum.lo + product.lo)


cdef void log_ndtr_rest(const double* x, double* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    """-x^2 / 2 - log(-x) - ...: for large -x the logarithm is lost."""
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = -1 if x[i] < -1e8 else 0


cdef void bent_identity_rest(const double* x, double* restrict y, Py_ssize_t n,
                             const double* p) noexcept nogil:
    """3 x / 2 - 1 / 2 + ...: for large x the 1 / 2 is lost."""
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = -1 if m64.absolute(x[i]) > 2.0**50 else 0


cdef enum:
    CAPACITY = 128

cdef Op OPS[CAPACITY]
cdef Kernels KERNELS

# Given where one of these is wanted, a fused kernel picks its instance itself.
ctypedef void (*kernel32_t)(const float*, float*, Py_ssize_t, const double*) noexcept nogil
ctypedef void (*kernel64_t)(const double*, double*, Py_ssize_t, const double*) noexcept nogil
ctypedef void (*weighted32_t)(const float*, const float*, float*, Py_ssize_t,
                              const double*) noexcept nogil
ctypedef void (*weighted64_t)(const double*, const double*, double*, Py_ssize_t,
                              const double*) noexcept nogil


cdef int add(const char* name, int nparams, double cost,
             kernel32_t value32, kernel64_t value64,
             kernel32_t derivative32, kernel64_t derivative64,
             kernel32_t from_output32=NULL, kernel64_t from_output64=NULL) except -1:
    if KERNELS.count == CAPACITY:
        raise SystemError("raise CAPACITY in elementwise/table.pyx")
    cdef Op* op = &OPS[KERNELS.count]
    KERNELS.count += 1
    op.name = name
    op.nparams = nparams
    op.cost = <int> (64 * cost + 0.5) / 64.0        # see choose() in _threads.pyx
    op.kernels[VALUE][FLOAT32] = <kernel_t> value32
    op.kernels[VALUE][FLOAT64] = <kernel_t> value64
    op.kernels[DERIVATIVE][FLOAT32] = <kernel_t> derivative32
    op.kernels[DERIVATIVE][FLOAT64] = <kernel_t> derivative64
    op.kernels[FROM_OUTPUT][FLOAT32] = <kernel_t> from_output32
    op.kernels[FROM_OUTPUT][FLOAT64] = <kernel_t> from_output64
    return 0


cdef int add_weighted(const char* name, double cost,
                      weighted32_t value32, weighted64_t value64,
                      weighted32_t derivative32, weighted64_t derivative64) except -1:
    OPS[KERNELS.count].weighted = True
    return add(name, 0, cost, <kernel32_t> value32, <kernel64_t> value64,
               <kernel32_t> derivative32, <kernel64_t> derivative64)


cdef int last_is_exact(int of=EXACT) except -1:
    """Say of the function just added that it and its derivative are exact in float32."""
    OPS[KERNELS.count - 1].exact = of
    return 0


cdef int rest_of_last(kernel64_t rest) except -1:
    """Give the function just added what decides its ties."""
    OPS[KERNELS.count - 1].rest = <kernel_t> rest
    return 0


cdef void run_span(const Span* span) noexcept nogil:
    _tile.span(span)


cdef void widen(const unsigned short* h, float* x, Py_ssize_t n, int dtype) noexcept nogil:
    _half.widen(h, x, n, dtype)


# name, parameters, rough ns an element (float32, one thread, v3), value, derivative and,
# where it exists, derivative from the output; each for float and double.
add(b"identity", 0, 0.1, identity, identity, identity_d, identity_d)
last_is_exact()
OPS[0].copies = True
add(b"step", 1, 0.1, step, step, step_d, step_d)
last_is_exact()
add(b"relu", 0, 0.1, relu, relu, relu_d, relu_d, relu_d, relu_d)
last_is_exact()
add(b"relu_of_minus", 0, 0.1, relu_of_minus, relu_of_minus, relu_of_minus_d, relu_of_minus_d)
last_is_exact()
add(b"negative_part", 0, 0.1, negative_part, negative_part, negative_part_d, negative_part_d)
last_is_exact()
add(b"relu6", 0, 0.1, relu6, relu6, relu6_d, relu6_d)
last_is_exact()
add(b"relu_k", 1, 0.1, relu_k, relu_k, relu_k_d, relu_k_d)
add(b"squared_relu", 0, 0.1, squared_relu, squared_relu, squared_relu_d, squared_relu_d)
last_is_exact(EXACT_OF_HALVES)
add(b"leaky_relu", 1, 0.1, leaky_relu, leaky_relu, leaky_relu_d, leaky_relu_d,
    leaky_relu_d, leaky_relu_d)
rest_of_last(leaky_relu_rest)
OPS[KERNELS.count - 1].keeps = True
add_weighted(b"prelu", 0.2, prelu, prelu, prelu_d, prelu_d)
OPS[KERNELS.count - 1].keeps = True
add(b"threshold", 2, 0.1, threshold, threshold, threshold_d, threshold_d)
add(b"thresholded_relu", 1, 0.1, thresholded_relu, thresholded_relu, threshold_d, threshold_d)
last_is_exact()
add(b"elu", 1, 0.4, elu, elu, elu_d, elu_d, elu_y, elu_y)
rest_of_last(elu_rest)
OPS[KERNELS.count - 1].keeps = True
add(b"celu", 1, 0.4, celu, celu, celu_d, celu_d, celu_y, celu_y)
OPS[KERNELS.count - 1].keeps = True
add(b"selu", 0, 0.4, selu, selu, selu_d, selu_d, selu_y, selu_y)
add(b"gelu", 0, 0.9, gelu, gelu, gelu_d, gelu_d)
rest_of_last(gelu_rest)
add(b"gelu_tanh", 0, 0.75, gelu_tanh, gelu_tanh, gelu_tanh_d, gelu_tanh_d)
rest_of_last(gelu_rest)
add(b"gelu_sigmoid", 0, 0.6, gelu_sigmoid, gelu_sigmoid, gelu_sigmoid_d, gelu_sigmoid_d)
rest_of_last(above_half_x)
add(b"silu", 1, 0.6, silu, silu, silu_d, silu_d)
rest_of_last(silu_rest)
add(b"mish", 0, 0.8, mish, mish, mish_d, mish_d)
add(b"sigmoid", 0, 0.55, sigmoid, sigmoid, sigmoid_d, sigmoid_d, sigmoid_y, sigmoid_y)
add(b"generalized_logistic", 5, 4, generalized_logistic, generalized_logistic,
    generalized_logistic_d, generalized_logistic_d)
add(b"log_sigmoid", 0, 0.9, log_sigmoid, log_sigmoid, log_sigmoid_d, log_sigmoid_d,
    log_sigmoid_y, log_sigmoid_y)
add(b"logit", 1, 0.7, logit, logit, logit_d, logit_d)
add(b"hard_sigmoid", 2, 0.2, hard_sigmoid, hard_sigmoid, hard_sigmoid_d, hard_sigmoid_d)
rest_of_last(hard_sigmoid_rest)
add(b"hard_swish", 0, 0.2, hard_swish, hard_swish, hard_swish_d, hard_swish_d)
rest_of_last(above_half_x)
add(b"tanh", 0, 0.6, tanh, tanh, tanh_d, tanh_d, tanh_y, tanh_y)
add(b"hard_tanh", 2, 0.1, hard_tanh, hard_tanh, hard_tanh_d, hard_tanh_d)
add(b"softplus", 1, 0.9, softplus, softplus, softplus_d, softplus_d, softplus_y, softplus_y)
rest_of_last(softplus_rest)
add(b"softsign", 0, 0.2, softsign, softsign, softsign_d, softsign_d)
add(b"squareplus", 1, 1.2, squareplus, squareplus, squareplus_d, squareplus_d)
add(b"algebraic_sigmoid", 1, 1.2, algebraic_sigmoid, algebraic_sigmoid,
    algebraic_sigmoid_d, algebraic_sigmoid_d)
add(b"isrlu", 1, 1.2, isrlu, isrlu, isrlu_d, isrlu_d)
OPS[KERNELS.count - 1].keeps = True
add(b"arctan", 0, 0.5, arctan, arctan, arctan_d, arctan_d)
add(b"gudermannian", 0, 0.9, gudermannian, gudermannian, gudermannian_d, gudermannian_d)
add(b"erf", 0, 0.6, erf, erf, erf_d, erf_d)
add(b"erfc", 0, 0.8, erfc, erfc, erfc_d, erfc_d)
add(b"ndtr", 0, 0.8, ndtr, ndtr, ndtr_d, ndtr_d)
add(b"log_ndtr", 0, 1.2, log_ndtr, log_ndtr, log_ndtr_d, log_ndtr_d)
rest_of_last(log_ndtr_rest)
add(b"exp", 0, 0.4, exp, exp, exp, exp, identity, identity)
add(b"expm1", 0, 0.4, expm1, expm1, exp, exp, expm1_y, expm1_y)
add(b"log1p", 0, 0.7, log1p, log1p, log1p_d, log1p_d)
add(b"log1mexp", 0, 1.2, log1mexp, log1mexp, log1mexp_d, log1mexp_d)
add(b"gaussian", 0, 0.5, gaussian, gaussian, gaussian_d, gaussian_d)
add(b"bent_identity", 0, 0.8, bent_identity, bent_identity, bent_identity_d, bent_identity_d)
rest_of_last(bent_identity_rest)
add(b"hard_shrink", 1, 0.1, hard_shrink, hard_shrink, shrink_d, shrink_d)
last_is_exact()
add(b"soft_shrink", 1, 0.1, soft_shrink, soft_shrink, shrink_d, shrink_d)
add(b"tanh_shrink", 0, 0.6, tanh_shrink, tanh_shrink, tanh_shrink_d, tanh_shrink_d)
add(b"sparse_plus", 0, 0.1, sparse_plus, sparse_plus, sparse_sigmoid, sparse_sigmoid)
add(b"sparse_sigmoid", 0, 0.1, sparse_sigmoid, sparse_sigmoid, sparse_sigmoid_d, sparse_sigmoid_d)
add(b"dish", 0, 1.2, dish, dish, dish_d, dish_d)
rest_of_last(above_half_x)

KERNELS.abi = ABI
KERNELS.ops = OPS
KERNELS.run_span = run_span
KERNELS.widen = widen
table = PyCapsule_New(&KERNELS, b"cyact.Kernels", NULL)
