"""Rectifiers, shrinkage and other functions of straight lines and parabolas.

What they compute is exact or rounded once, so there is little maths: the loops are all.
"""

from libc.float cimport DBL_MAX, FLT_MAX
from libc.math cimport INFINITY

from cyact._level.abi cimport LANES
from cyact._level.bits cimport (
    FMA,
    absolute,
    at_least,
    bits32,
    fmaf,
    from_bits32,
    multiply_add,
    opaque,
    real,
    with_sign,
)
from cyact._level.elementwise.registry cimport (
    COPIES_X,
    EXACT_FROM_HALVES,
    EXACT_IN_FLOAT,
    KEEPS_X,
    PLAIN,
    Table,
    add,
    add_weighted,
)
from cyact._level.exact cimport two_prod


# A parameter x meets numbers of float's grid: v >= x is v >= round_up(x), v > x is
# v > round_down(x).

cdef inline float round_up(double x) noexcept nogil:
    """The smallest float that is not less."""
    cdef float y = <float> x
    if y < x:
        return from_bits32(bits32(y) - 1 if y < 0 else bits32(y) + 1)
    return y


cdef inline float round_down(double x) noexcept nogil:
    """The largest float that is not greater."""
    cdef float y = <float> x
    if y > x:
        return from_bits32(bits32(y) - 1 if y > 0 else bits32(y) + 1)
    return y


# identity: x

cdef inline void identity(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = x[i]


cdef inline void identity_d(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 1 if x[i] == x[i] else x[i]


# step: 1 if x >= threshold else 0

cdef inline void step(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real threshold = p[0], above
    if real is float:
        threshold = round_up(p[0])
    for i in range(n & -LANES):
        above = 1 if x[i] == x[i] else x[i]
        y[i] = 0 if x[i] < threshold else above


cdef inline void step_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] == x[i] else x[i]


# relu: max(x, 0); relu(-0.0) = 0.0, relu'(0) = 0

cdef inline void relu(const real* x, real* restrict y, Py_ssize_t n,
                      const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] <= 0 else x[i]


# In what has a step and keeps NaN, NaN comes first, in a statement of its own: two choices in turn
# are a comparison and a blend each, three cases in one expression are twice as many.

cdef inline void relu_d(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
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


cdef inline void relu6(const real* x, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    clipped_relu(x, y, n, <real> opaque(6))     # a literal would keep GCC from a minimum


cdef inline void relu6_d(const real* x, real* restrict y, Py_ssize_t n,
                         const double* p) noexcept nogil:
    between(x, y, n, <real> 0, <real> 6, <real> 1)


cdef inline void relu_k(const real* x, real* restrict y, Py_ssize_t n,
                        const double* p) noexcept nogil:
    clipped_relu(x, y, n, <real> p[0])


cdef inline void relu_k_d(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    between_exactly(x, y, n, 0, p[0], 1)


# squared_relu: max(x, 0)^2

cdef inline void squared_relu(const real* x, real* restrict y, Py_ssize_t n,
                              const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] <= 0 else x[i] * x[i]


cdef inline void squared_relu_d(const real* x, real* restrict y, Py_ssize_t n,
                                const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] <= 0 else x[i] + x[i]


# relu_of_minus: max(-x, 0), the other half of crelu

cdef inline void relu_of_minus(const real* x, real* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] >= 0 else -x[i]


cdef inline void relu_of_minus_d(const real* x, real* restrict y, Py_ssize_t n,
                                 const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real left
    for i in range(n & -LANES):
        left = -1 if x[i] == x[i] else x[i]
        y[i] = 0 if x[i] >= 0 else left


# negative_part: min(x, 0), what a slope's gradient sums

cdef inline void negative_part(const real* x, real* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] >= 0 else x[i]


cdef inline void negative_part_d(const real* x, real* restrict y, Py_ssize_t n,
                                 const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real left
    for i in range(n & -LANES):
        left = 1 if x[i] == x[i] else x[i]
        y[i] = 0 if x[i] >= 0 else left


# leaky_relu: x if x >= 0 else slope x; leaky_relu'(0) = slope. The derivative from y is the
# derivative from x: a positive slope keeps the sign.

cdef inline void leaky_relu(const real* x, real* restrict y, Py_ssize_t n,
                            const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double slope = p[0]
    cdef float high = <float> slope, low
    # A slope of 0 makes 0 of -inf as well: the limit, where 0 * -inf would be NaN.
    cdef real lowest = <real> opaque(-FLT_MAX if slope == 0 else -INFINITY)
    if real is float and FMA and 1e-12 < slope < 1e30:
        # The slope in two floats: as exact as in double, half the work. Both are positive, so
        # that the products of an infinity agree.
        if high > slope:
            high = from_bits32(bits32(high) - 1)
        low = <float> (slope - high)
        low = low if low > 0 else <float> 1e-37
        for i in range(n & -LANES):
            y[i] = x[i] if x[i] >= 0 else fmaf(high, x[i], low * x[i])
    else:
        for i in range(n & -LANES):
            y[i] = x[i] if x[i] >= 0 else <real> (slope * at_least(x[i], lowest))


cdef inline void leaky_relu_d(const real* x, real* restrict y, Py_ssize_t n,
                              const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real slope = <real> p[0], right
    for i in range(n & -LANES):
        right = 1 if x[i] == x[i] else x[i]
        y[i] = slope if x[i] <= 0 else right


cdef inline void leaky_relu_ties(const double* x, double* restrict y, Py_ssize_t n,
                                 const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double slope = p[0]
    for i in range(n & -LANES):
        y[i] = two_prod(slope, x[i]).lo if x[i] < 0 else 0


# prelu: leaky_relu with a slope for each element, w; a slope of 0 makes 0 of -inf as well.

cdef inline void prelu(const real* x, const real* w, real* restrict y, Py_ssize_t n,
                       const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real lowest = <real> opaque(-FLT_MAX if real is float else -DBL_MAX)
    cdef real v
    for i in range(n & -LANES):
        v = x[i] if w[i] != 0 else at_least(x[i], lowest)
        y[i] = x[i] if x[i] >= 0 else w[i] * v


cdef inline void prelu_d(const real* x, const real* w, real* restrict y, Py_ssize_t n,
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


cdef inline void threshold(const real* x, real* restrict y, Py_ssize_t n,
                           const double* p) noexcept nogil:
    above(x, y, n, p[0], p[1])


cdef inline void thresholded_relu(const real* x, real* restrict y, Py_ssize_t n,
                                  const double* p) noexcept nogil:
    above(x, y, n, p[0], 0)


cdef inline void threshold_d(const real* x, real* restrict y, Py_ssize_t n,
                             const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real last = p[0], right
    if real is float:
        last = round_down(p[0])
    for i in range(n & -LANES):
        right = 1 if x[i] == x[i] else x[i]
        y[i] = 0 if x[i] <= last else right


# hard_shrink: x if |x| > lambd else 0

cdef inline void hard_shrink(const real* x, real* restrict y, Py_ssize_t n,
                             const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real lambd = p[0]
    if real is float:
        lambd = round_down(p[0])
    for i in range(n & -LANES):
        y[i] = 0 if absolute(x[i]) <= lambd else x[i]


cdef inline void shrink_d(const real* x, real* restrict y, Py_ssize_t n,
                          const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real lambd = p[0], a, outside
    if real is float:
        lambd = round_down(p[0])
    for i in range(n & -LANES):
        a = absolute(x[i])
        outside = 1 if x[i] == x[i] else x[i]
        y[i] = 0 if a <= lambd else outside


# soft_shrink: sign(x) max(|x| - lambd, 0)

cdef inline void soft_shrink(const real* x, real* restrict y, Py_ssize_t n,
                             const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef double lambd = p[0]
    cdef real same = <real> lambd
    if real is double:
        for i in range(n & -LANES):
            y[i] = with_sign(at_least(absolute(x[i]) - lambd, 0), x[i])
    elif same == lambd:
        for i in range(n & -LANES):
            y[i] = with_sign(at_least(absolute(x[i]) - same, 0), x[i])
    else:
        for i in range(n & -LANES):
            y[i] = with_sign(<float> at_least(absolute(x[i]) - lambd, 0), x[i])


# sparse_plus: 0, (x + 1)^2 / 4 from -1 on, x from 1 on; sparse_sigmoid is its derivative

cdef inline void sparse_plus(const real* x, real* restrict y, Py_ssize_t n,
                             const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real one = <real> 1, sum, lost, half
    for i in range(n & -LANES):
        sum = x[i] + one
        lost = x[i] - (sum - one)
        half = sum * <real> 0.5
        half = multiply_add(half, half, half * lost)
        y[i] = 0 if x[i] <= -1 else x[i] if x[i] >= 1 else half


cdef inline void sparse_plus_d(const real* x, real* restrict y, Py_ssize_t n,
                               const double* p) noexcept nogil:
    cdef Py_ssize_t i
    cdef real half
    for i in range(n & -LANES):
        half = (x[i] + <real> 1) * <real> 0.5
        y[i] = 0 if x[i] <= -1 else 1 if x[i] >= 1 else half


cdef inline void add_rectifiers(Table* table) noexcept nogil:
    add(table, name=b"identity", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT | COPIES_X,
        ties=NULL,
        value32=identity, value64=identity, derivative32=identity_d, derivative64=identity_d)
    add(table, name=b"step", parameters=1, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
        value32=step, value64=step, derivative32=step_d, derivative64=step_d)
    add(table, name=b"relu", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
        value32=relu, value64=relu, derivative32=relu_d, derivative64=relu_d,
        from_output32=relu_d, from_output64=relu_d)
    add(table, name=b"relu_of_minus", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
        value32=relu_of_minus, value64=relu_of_minus,
        derivative32=relu_of_minus_d, derivative64=relu_of_minus_d)
    add(table, name=b"negative_part", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
        value32=negative_part, value64=negative_part,
        derivative32=negative_part_d, derivative64=negative_part_d)
    add(table, name=b"relu6", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
        value32=relu6, value64=relu6, derivative32=relu6_d, derivative64=relu6_d)
    add(table, name=b"relu_k", parameters=1, cost=0.1, traits=PLAIN, ties=NULL,
        value32=relu_k, value64=relu_k, derivative32=relu_k_d, derivative64=relu_k_d)
    add(table, name=b"squared_relu", parameters=0, cost=0.1, traits=EXACT_FROM_HALVES, ties=NULL,
        value32=squared_relu, value64=squared_relu,
        derivative32=squared_relu_d, derivative64=squared_relu_d)
    add(table, name=b"leaky_relu", parameters=1, cost=0.1, traits=KEEPS_X, ties=leaky_relu_ties,
        value32=leaky_relu, value64=leaky_relu,
        derivative32=leaky_relu_d, derivative64=leaky_relu_d,
        from_output32=leaky_relu_d, from_output64=leaky_relu_d)
    add_weighted(table, name=b"prelu", cost=0.2, traits=KEEPS_X,
                 value32=prelu, value64=prelu, derivative32=prelu_d, derivative64=prelu_d)
    add(table, name=b"threshold", parameters=2, cost=0.1, traits=PLAIN, ties=NULL,
        value32=threshold, value64=threshold, derivative32=threshold_d, derivative64=threshold_d)
    add(table, name=b"thresholded_relu", parameters=1, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
        value32=thresholded_relu, value64=thresholded_relu,
        derivative32=threshold_d, derivative64=threshold_d)
    add(table, name=b"hard_shrink", parameters=1, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
        value32=hard_shrink, value64=hard_shrink, derivative32=shrink_d, derivative64=shrink_d)
    add(table, name=b"soft_shrink", parameters=1, cost=0.1, traits=PLAIN, ties=NULL,
        value32=soft_shrink, value64=soft_shrink, derivative32=shrink_d, derivative64=shrink_d)
    add(table, name=b"sparse_plus", parameters=0, cost=0.1, traits=PLAIN, ties=NULL,
        value32=sparse_plus, value64=sparse_plus,
        derivative32=sparse_plus_d, derivative64=sparse_plus_d)
