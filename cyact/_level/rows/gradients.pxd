"""Backward passes of the softmax family, from the input or from the output.

softmax: y (g - sum(g y)) / temperature; log_softmax: (g - y sum(g)) / temperature, y being the
softmax; logsumexp: g y, with one g a row. From the input, y is computed first, as softmax does.
"""

from libc.string cimport memset

from cyact._level.abi cimport Lines, Rows
from cyact._level.copy cimport padded, real
from cyact._level.rows.panel cimport (
    SIDE, Panel, Place, Strip, grad_from, kept_from, load_values, next_rows, open_panel, part_from,
    strip_of, strips, x_from, y_done, y_from)
from cyact._level.rows.rowlanes cimport (
    WIDTH, add_lanes, every, exponential, fused, lanes, load_first, load_lanes, store_first,
    store_lanes)
from cyact._level.rows.rowmath cimport FUSED, exp_pair, muladd, product_error, two_sum
from cyact._level.rows.softmax cimport again, kept, put_products, scale_part, set_factors
from cyact._level.rows.sums cimport (
    LEAST_PAIR, Scale, add_up, sum_of, fold_pairs, fold_sums, scale_of, split, spread)

cdef enum:
    STRETCH = 16        # steps whose products are added up in float

cdef enum:
    OF_SOFTMAX
    OF_LOG_SOFTMAX


# Sums of the products g y, or of g alone

cdef inline void add_products32(const float* y, Py_ssize_t y_step, const float* g,
                                Py_ssize_t g_step, const Strip* s, bint over, bint products,
                                double* sums) noexcept nogil:
    cdef double total[SIDE]
    cdef lanes sum
    cdef Py_ssize_t v, i, k, start, end
    cdef int j
    for j in range(SIDE):
        total[j] = sums[j]
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        for start in range(0, s.steps, 16):
            end = min(start + STRETCH, s.steps)
            sum = every(0)
            for k in range(start, end):
                if products:
                    sum = fused(load_lanes(g + k * g_step + i), load_lanes(y + k * y_step + i),
                                sum)
                else:
                    sum = sum + load_lanes(g + k * g_step + i)
            add_lanes(sum, total + i)
        if over and s.tail > i:
            sum = load_first(g + s.steps * g_step + i, s.tail - i, 0)
            if products:
                sum = sum * load_first(y + s.steps * y_step + i, s.tail - i, 0)
            add_lanes(sum, total + i)
    for j in range(SIDE):
        sums[j] = total[j]


cdef inline void add_products64(const double* y, Py_ssize_t y_step, const double* g,
                                Py_ssize_t g_step, Py_ssize_t steps, bint products,
                                double* sums, double* rests) noexcept nogil:
    cdef double s[SIDE]
    cdef double r[SIDE]
    cdef double t, z, v, rest
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        s[j] = sums[j]
        r[j] = rests[j]
    for k in range(steps):
        for j in range(SIDE):
            v = g[k * g_step + j]
            rest = 0
            if products:
                rest = v
                v = v * y[k * y_step + j]
                rest = product_error(rest, y[k * y_step + j], v)
            t = s[j] + v
            z = t - s[j]
            r[j] += ((s[j] - (t - z)) + (v - z)) + rest
            s[j] = t
    for j in range(SIDE):
        sums[j] = s[j]
        rests[j] = r[j]


cdef inline void add_products(Panel* p, const Place* y, const Place* g, const Strip* s,
                              bint products, real kind) noexcept nogil:
    cdef const real* at
    cdef const real* grad
    cdef Py_ssize_t r, j, last = s.steps * SIDE
    for r in range(strips(p)):
        at = <const real*> y.at + r * y.row
        grad = <const real*> g.at + r * g.row
        if real is double:
            add_products64(at, y.step, grad, g.step, s.steps, products, p.products + r * SIDE,
                           p.products_low + r * SIDE)
            for j in range(s.tail):
                p.products[r * SIDE + j] = two_sum(
                    p.products[r * SIDE + j], grad[last + j] * (at[last + j] if products else 1),
                    &p.products_low[r * SIDE + j])
        elif p.over:
            add_products32(at, SIDE, grad, SIDE, s, True, products, p.products + r * SIDE)
        else:
            add_products32(at, y.step, grad, g.step, s, False, products, p.products)


cdef inline void clear_sums(Panel* p) noexcept nogil:
    memset(p.products, 0, strips(p) * SIDE * sizeof(double))
    memset(p.products_low, 0, strips(p) * SIDE * sizeof(double))


cdef inline void fold(Panel* p, real kind) noexcept nogil:
    cdef Py_ssize_t r
    if p.over:
        if real is double:
            fold_pairs(p.products, p.products_low, p.rows)
        else:
            fold_sums(p.products, p.rows, p.spare)
    for r in range(padded(p.rows)):
        p.product[r] = p.products[r]
        p.product_low[r] = p.products_low[r] if p.products_low[r] == p.products_low[r] else 0
        p.product32[r] = <float> p.products[r]


# What is stored

cdef inline lanes slope32(lanes y, lanes g, lanes sum, lanes high, lanes low, int op, bint output,
                          bint scaled) noexcept nogil:
    cdef lanes power, c
    if op == OF_SOFTMAX:
        y = y * (g - sum)
    else:
        if output:
            c = exponential(y, every(12582912 + 8 * (127 + 60)), every(<float> -128.9240), &power)
            y = fused(power, c, power) * every(<float> 8.673617379884035e-19)   # 2^-60
        y = fused(-y, sum, g)
    if scaled:
        y = fused(y, high, y * low)
    return y


cdef inline void store_slopes32(const Panel* p, Py_ssize_t r, const float* y, Py_ssize_t y_step,
                                const float* g, Py_ssize_t g_step, float* dx, Py_ssize_t dx_step,
                                const Strip* s, const Scale* scale, int op, bint output,
                                bint over) noexcept nogil:
    cdef lanes sum, high = every(<float> scale.inverse)
    cdef lanes low = every(<float> (scale.inverse - <float> scale.inverse))
    cdef Py_ssize_t v, i, k
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        sum = spread(p.product32 + r, over, i)
        if scale.scaled:
            for k in range(s.steps):
                store_lanes(dx + k * dx_step + i,
                            slope32(load_lanes(y + k * y_step + i), load_lanes(g + k * g_step + i),
                                    sum, high, low, op, output, True))
        else:
            for k in range(s.steps):
                store_lanes(dx + k * dx_step + i,
                            slope32(load_lanes(y + k * y_step + i), load_lanes(g + k * g_step + i),
                                    sum, high, low, op, output, False))
        if over and s.tail > i:
            sum = slope32(load_first(y + s.steps * y_step + i, s.tail - i, 0),
                          load_first(g + s.steps * g_step + i, s.tail - i, 0), sum, high, low, op,
                          output, False)
            if scale.scaled:
                sum = fused(sum, high, sum * low)
            store_first(dx + s.steps * dx_step + i, sum, s.tail - i)


cdef inline double slope64(double y, double g, double sum, double rest, double inverse, int op,
                           bint output) noexcept nogil:
    cdef double over = 0, least = LEAST_PAIR
    if op == OF_SOFTMAX:
        return y * ((g - sum) - rest) * inverse
    if output:
        y = exp_pair(y, 0, least, &over)
    return (g - y * sum) * inverse


cdef inline void store_slopes64(const Panel* p, Py_ssize_t r, const double* y, Py_ssize_t y_step,
                                const double* g, Py_ssize_t g_step, double* dx,
                                Py_ssize_t dx_step, const Strip* s, double inverse, int op,
                                bint output) noexcept nogil:
    cdef double sum[SIDE]
    cdef double rest[SIDE]
    cdef Py_ssize_t k, last = s.steps
    cdef int j
    for j in range(SIDE):
        sum[j] = p.product[r if p.over else j]
        rest[j] = p.product_low[r if p.over else j]
    for k in range(s.steps):
        for j in range(SIDE):
            dx[k * dx_step + j] = slope64(y[k * y_step + j], g[k * g_step + j], sum[j], rest[j],
                                          inverse, op, output)
    for j in range(<int> s.tail):
        dx[last * dx_step + j] = slope64(y[last * y_step + j], g[last * g_step + j], sum[j],
                                         rest[j], inverse, op, output)


cdef inline void store_slopes(const Panel* p, const Place* y, const Place* g, const Place* dx,
                              const Strip* s, const Scale* scale, int op, bint output,
                              real kind) noexcept nogil:
    cdef Py_ssize_t r
    cdef const real* at
    cdef const real* grad
    cdef real* to
    for r in range(strips(p)):
        at = <const real*> y.at + r * y.row
        grad = <const real*> g.at + r * g.row
        to = <real*> dx.at + r * dx.row
        if real is double:
            store_slopes64(p, r, at, y.step, grad, g.step, to, dx.step, s, scale.inverse, op,
                           output)
        elif p.over:
            store_slopes32(p, r, at, SIDE, grad, SIDE, to, SIDE, s, scale, op, output, True)
        else:
            store_slopes32(p, r, at, y.step, grad, g.step, to, dx.step, s, scale, op, output,
                           False)


# From the output

cdef inline void from_output(const Rows* call, int op, real kind) noexcept nogil:
    cdef Panel p
    cdef Place y, g, dx
    cdef Strip s
    cdef Scale scale = scale_of(call.p)
    cdef Py_ssize_t start
    open_panel(&p, call)
    while next_rows(&p):
        clear_sums(&p)
        start = 0
        while start < call.n:
            y = x_from(&p, start, True, kind)
            g = grad_from(&p, start, True, kind)
            s = strip_of(&p, part_from(&p, start), y.packed and g.packed)
            add_products(&p, &y, &g, &s, op == OF_SOFTMAX, kind)
            start += p.part
        fold(&p, kind)
        start = 0
        while start < call.n:
            y = x_from(&p, start, False, kind)
            g = grad_from(&p, start, False, kind)
            dx = y_from(&p, start, kind)
            s = strip_of(&p, part_from(&p, start), y.packed and g.packed and dx.packed)
            store_slopes(&p, &y, &g, &dx, &s, &scale, op, True, kind)
            y_done(&p, &dx, start, kind)
            start += p.part


# From the input

cdef inline Place shares_from(Panel* p, Py_ssize_t start, bint first, const Scale* scale,
                              real kind) noexcept nogil:
    """softmax from `start` on: in place, if that is not also where the gradient comes from."""
    cdef Py_ssize_t n = part_from(p, start)
    cdef Place x, y = kept_from(p, start, kind)
    if not kept(p, &y):
        x = x_from(p, start, False, kind)
        again(p, scale, &x, &y, n, kind)
        scale_part(p, &y, n, kind)
    elif first:
        scale_part(p, &y, n, kind)
    return y


cdef inline void from_input(const Rows* call, int op, real kind) noexcept nogil:
    cdef Panel p
    cdef Place y, g, dx
    cdef Strip s
    cdef Scale scale = scale_of(call.p)
    cdef Py_ssize_t start, r
    open_panel(&p, call)
    while next_rows(&p):
        add_up(&p, &scale, True, False, kind)
        set_factors(&p, kind)
        if real is float:
            split(&p, p.factor)
        clear_sums(&p)
        start = 0
        while start < call.n:
            y = shares_from(&p, start, True, &scale, kind)
            g = grad_from(&p, start, True, kind)
            s = strip_of(&p, part_from(&p, start), y.packed and g.packed)
            add_products(&p, &y, &g, &s, op == OF_SOFTMAX, kind)
            start += p.part
        fold(&p, kind)
        start = 0
        while start < call.n:
            y = shares_from(&p, start, False, &scale, kind)
            g = grad_from(&p, start, False, kind)
            dx = y_from(&p, start, kind)
            s = strip_of(&p, part_from(&p, start), y.packed and g.packed and dx.packed)
            store_slopes(&p, &y, &g, &dx, &s, &scale, op, False, kind)
            y_done(&p, &dx, start, kind)
            start += p.part


cdef void softmax_backward(const Rows* call, real kind) noexcept nogil:
    from_input(call, OF_SOFTMAX, kind)


cdef void softmax_from_output(const Rows* call, real kind) noexcept nogil:
    from_output(call, OF_SOFTMAX, kind)


cdef void log_softmax_backward(const Rows* call, real kind) noexcept nogil:
    from_input(call, OF_LOG_SOFTMAX, kind)


cdef void log_softmax_from_output(const Rows* call, real kind) noexcept nogil:
    from_output(call, OF_LOG_SOFTMAX, kind)


cdef void logsumexp_backward(const Rows* call, real kind) noexcept nogil:
    cdef Panel p
    cdef Rows rows = call[0]
    cdef Scale scale = scale_of(NULL)
    rows.grad.data = NULL           # it has one entry a row
    open_panel(&p, &rows)
    while next_rows(&p):
        add_up(&p, &scale, True, False, kind)
        load_values(&p, &call.grad, p.product)
        put_products(&p, &scale, p.product, kind)
