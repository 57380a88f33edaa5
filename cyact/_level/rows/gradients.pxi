"""Backward passes of the softmax family, from the input or from the output.

softmax: y (g - sum(g y)) / temperature; log_softmax: (g - y sum(g)) / temperature, y being the
softmax; logsumexp: g y, with one g a row. From the input, y is computed first, as softmax does.
"""

from libc.string cimport memcpy, memset

from cyact._level.abi cimport Lines, Rows
from cyact._level.copy cimport padded, real

cdef enum:
    OF_SOFTMAX
    OF_LOG_SOFTMAX


# Sums of the products g y, or of g alone

cdef inline floats add_product(floats y, floats g, bint products, floats sum) noexcept nogil:
    return fmav(g, y, sum) if products else sum + g


cdef inline void add_products_over(const float* y, const float* g, const Steps* s, Py_ssize_t i,
                                   bint products, bint brief, double* sums,
                                   float* lows) noexcept nogil:
    """From lane i on, of a row over the lanes; `brief`: it is one stretch."""
    cdef floats sum
    cdef Py_ssize_t k, start = 0, end
    while start < s.steps or (start == s.steps and s.tail > 0):
        end = min(start + STRETCH, s.steps)
        sum = broadcast(0)
        for k in range(start, end):
            sum = add_product(load(y + k * SIDE + i), load(g + k * SIDE + i), products,
                              sum)
        if end - start < STRETCH and s.tail > i:
            sum = add_product(load_first(y + end * SIDE + i, s.tail - i, 0),
                              load_first(g + end * SIDE + i, s.tail - i, 0), products, sum)
        if brief:
            store(lows + i, sum)
        else:
            add_to_doubles(sums + i, sum)
        start += STRETCH


cdef inline void add_products_beside(const float* y, const float* g, Py_ssize_t n, Py_ssize_t i,
                                     bint products, float* lows, const Lines* soon,
                                     const Lines* soon_grad) noexcept nogil:
    """Of rows in lanes; `soon`: those of the next panel."""
    cdef float slots[SIDE * SIDE]
    cdef floats sum
    cdef Py_ssize_t k, at
    for k in range(n):
        prefetch(soon.data + k * soon.item)
        prefetch(soon_grad.data + k * soon_grad.item)
        at = (k % SIDE) * WIDTH
        sum = broadcast(0)
        if k >= SIDE:
            sum = load(slots + at)
        store(slots + at, add_product(load(y + k * SIDE + i), load(g + k * SIDE + i), products,
                                      sum))
    store(lows + i, fold_slots(slots, n))


cdef inline void add_gradients(const float* g, const Steps* s, bint over,
                               double* sums) noexcept nogil:
    """In double: the gradient of log_softmax is as exact as their sum."""
    cdef double total[SIDE * SIDE]
    cdef Py_ssize_t v, i, k, at
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        memset(total, 0, sizeof(total))
        for k in range(s.steps):
            at = 0 if over else (k % SIDE) * WIDTH
            add_to_doubles(total + at, load(g + k * SIDE + i))
        if s.tail > i:
            add_to_doubles(total, load_first(g + s.steps * SIDE + i, s.tail - i, 0))
        if not over:
            fold_wide_slots(total)
        for k in range(WIDTH):
            sums[i + k] += total[k]


cdef inline void add_products32(Panel* p, Py_ssize_t r, const float* y, const float* g,
                                const Steps* s, bint products, bint fine) noexcept nogil:
    cdef Py_ssize_t v
    cdef Lines soon, soon_grad
    if fine:
        if p.over:
            add_gradients(g, s, True, p.products + r * SIDE)
        else:
            add_gradients(g, s, False, p.products + r * SIDE)
        return
    for v in range(SIDE // WIDTH):
        if not p.over:
            soon = soon_of(p, &p.call.x, r)
            soon_grad = soon_of(p, &p.call.grad, r)
            add_products_beside(y, g, s.steps, v * WIDTH, products, p.lows + r * SIDE, &soon,
                                &soon_grad)
        elif p.call.n <= BRIEF:
            add_products_over(y, g, s, v * WIDTH, products, True, NULL, p.lows + r * SIDE)
        else:
            add_products_over(y, g, s, v * WIDTH, products, False, p.products + r * SIDE, NULL)


cdef inline void add_products64(const double* y, const double* g, Py_ssize_t steps, bint over,
                                bint products, double* sums, double* rests) noexcept nogil:
    cdef double s[SIDE * SIDE]
    cdef double r[SIDE * SIDE]
    cdef double v, rest
    cdef pair sum
    cdef Py_ssize_t k, at = 0
    cdef int j
    for j in range(SIDE):
        s[j] = sums[j]
        r[j] = rests[j]
    if not over:
        memset(s, 0, sizeof(s))
        memset(r, 0, sizeof(r))
    for k in range(steps):
        if not over:
            at = (k % SIDE) * SIDE
        for j in range(SIDE):
            v = g[k * SIDE + j]
            rest = 0
            if products:
                rest = v
                v = v * y[k * SIDE + j]
                rest = product_error(rest, y[k * SIDE + j], v)
            sum = two_sum(s[at + j], v)
            r[at + j] += sum.lo + rest
            s[at + j] = sum.hi
    if not over:
        fold_pair_slots(s, r)
    for j in range(SIDE):
        sums[j] = s[j]
        rests[j] = r[j]


cdef inline void add_products(Panel* p, const Place* y, const Place* g, const Steps* s,
                              bint products, bint fine, real kind) noexcept nogil:
    cdef const real* at
    cdef const real* grad
    cdef double few[SIDE]
    cdef double few_grads[SIDE]
    cdef Py_ssize_t r, last = s.steps * SIDE
    for r in range(strips(p)):
        at = <const real*> y.at + r * y.strip
        grad = <const real*> g.at + r * g.strip
        if real is double:
            if p.over:
                add_products64(at, grad, s.steps, True, products, p.products + r * SIDE,
                               p.products_low + r * SIDE)
            else:
                add_products64(at, grad, s.steps, False, products, p.products + r * SIDE,
                               p.products_low + r * SIDE)
            if s.tail:
                copy_tail(at + last, s.tail, 0, few)
                copy_tail(grad + last, s.tail, 0, few_grads)
                add_products64(few, few_grads, 1, True, products, p.products + r * SIDE,
                               p.products_low + r * SIDE)
        else:
            add_products32(p, r, at, grad, s, products, fine)


cdef inline void clear_sums(Panel* p) noexcept nogil:
    memset(p.products, 0, strips(p) * SIDE * sizeof(double))
    memset(p.products_low, 0, strips(p) * SIDE * sizeof(double))


cdef inline void fold(Panel* p, bint brief, real kind) noexcept nogil:
    cdef Py_ssize_t r
    cdef double low
    if real is double:
        if p.over:
            fold_pairs(p.products, p.products_low, p.rows)
        for r in range(padded(p.rows)):
            low = p.products_low[r] if p.products_low[r] == p.products_low[r] else 0
            p.product[r] = p.products[r] + low
            p.product_low[r] = low - (p.product[r] - p.products[r])
    elif brief:
        if p.over:
            fold_sums(p.lows, p.rows, <float*> p.spare)
        memcpy(p.product32, p.lows, padded(p.rows) * sizeof(float))
    else:
        if p.over:
            fold_sums(p.products, p.rows, p.spare)
        for r in range(padded(p.rows)):
            p.product32[r] = <float> p.products[r]


# What is stored

# From the input y is LIFT times too great, so that no digit of a small one gets lost.

cdef enum:
    LIFT = 1 << 24


cdef inline floats slope32(floats y, floats g, floats sum, floats high, floats low, int op,
                           bint output, bint scaled) noexcept nogil:
    cdef floats power, c
    if op == OF_SOFTMAX:
        y = y * (g - sum)
    else:
        if output:
            c = exponential(y, broadcast(12582912 + 8 * (127 + 60)), broadcast(<float> -128.9240),
                            &power)
            y = fmav(power, c, power) * broadcast(<float> 8.673617379884035e-19)   # 2^-60
        y = fmav(-y, sum, g)
    if scaled:
        y = fmav(y, high, y * low)
    return y


cdef inline void store_slopes32(const Panel* p, Py_ssize_t r, const float* y,
                                const float* g, float* dx,
                                const Steps* s, const Scale* scale, int op, bint output,
                                bint over) noexcept nogil:
    cdef double inverse = scale.inverse
    cdef bint scaled = scale.scaled
    cdef floats sum, high, low
    cdef Py_ssize_t v, i, k
    if op == OF_SOFTMAX and not output:
        inverse /= LIFT
        scaled = True
    high = broadcast(<float> inverse)
    low = broadcast(<float> (inverse - <float> inverse))
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        sum = spread(p.product32 + r, over, i)
        if scaled:
            for k in range(s.steps):
                store(dx + k * SIDE + i, slope32(load(y + k * SIDE + i), load(g + k * SIDE + i),
                                                 sum, high, low, op, output, True))
        else:
            for k in range(s.steps):
                store(dx + k * SIDE + i, slope32(load(y + k * SIDE + i), load(g + k * SIDE + i),
                                                 sum, high, low, op, output, False))
        if over and s.tail > i:
            sum = slope32(load_first(y + s.steps * SIDE + i, s.tail - i, 0),
                          load_first(g + s.steps * SIDE + i, s.tail - i, 0), sum, high, low, op,
                          output, False)
            if scaled:
                sum = fmav(sum, high, sum * low)
            store_first(dx + s.steps * SIDE + i, sum, s.tail - i)


cdef inline double slope64(double y, double g, double sum, double rest, double inverse, int op,
                           bint output) noexcept nogil:
    cdef double over = 0, least = LEAST_PAIR
    if op == OF_SOFTMAX:
        return y * ((g - sum) - rest) * inverse
    if output:
        y = exp_pair(y, 0, least, &over)
    return (g - y * sum) * inverse


cdef inline void store_slopes64(const Panel* p, Py_ssize_t r, const double* y,
                                const double* g, double* dx, const Steps* s, double inverse, int op,
                                bint output) noexcept nogil:
    cdef double sum[SIDE]
    cdef double rest[SIDE]
    cdef Py_ssize_t k, last = s.steps
    cdef int j
    for j in range(SIDE):
        sum[j] = p.product[row_in(p, r, j)]
        rest[j] = p.product_low[row_in(p, r, j)]
    for k in range(s.steps):
        for j in range(SIDE):
            dx[k * SIDE + j] = slope64(y[k * SIDE + j], g[k * SIDE + j], sum[j], rest[j], inverse,
                                       op, output)
    for j in range(<int> s.tail):
        dx[last * SIDE + j] = slope64(y[last * SIDE + j], g[last * SIDE + j], sum[j], rest[j],
                                      inverse, op, output)


cdef inline void store_slopes(const Panel* p, const Place* y, const Place* g, const Place* dx,
                              const Steps* s, const Scale* scale, int op, bint output,
                              real kind) noexcept nogil:
    cdef Py_ssize_t r
    cdef const real* at
    cdef const real* grad
    cdef real* to
    for r in range(strips(p)):
        at = <const real*> y.at + r * y.strip
        grad = <const real*> g.at + r * g.strip
        to = <real*> dx.at + r * dx.strip
        if real is double:
            store_slopes64(p, r, at, grad, to, s, scale.inverse, op, output)
        elif p.over:
            store_slopes32(p, r, at, grad, to, s, scale, op, output, True)
        else:
            store_slopes32(p, r * SIDE, at, grad, to, s, scale, op, output, False)


# From the output

cdef inline void from_output(const Rows* call, int op, real kind) noexcept nogil:
    cdef Panel p
    cdef Place y, g, dx
    cdef Steps s
    cdef Scale scale = scale_of(call.p)
    cdef Py_ssize_t start
    open_panel(&p, call, False, NARROWER)
    while next_rows(&p):
        clear_sums(&p)
        start = 0
        while start < call.n:
            y = x_from(&p, start, True, kind)
            g = grad_from(&p, start, True, kind)
            s = steps_of(&p, part_from(&p, start), y.packed and g.packed)
            add_products(&p, &y, &g, &s, op == OF_SOFTMAX, False, kind)
            start += p.part
        fold(&p, call.n <= BRIEF, kind)
        start = 0
        while start < call.n:
            y = x_from(&p, start, False, kind)
            g = grad_from(&p, start, False, kind)
            dx = y_from(&p, start, kind)
            s = steps_of(&p, part_from(&p, start), y.packed and g.packed and dx.packed)
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
    cdef Steps s
    cdef Scale scale = scale_of(call.p)
    cdef Py_ssize_t start, r
    open_panel(&p, call, False, NARROW)
    while next_rows(&p):
        add_up(&p, &scale, True, False, kind)
        set_factors(&p, kind)
        if real is float:
            for r in range(p.rows):
                p.factor[r] *= LIFT
            split(&p, p.factor)
        clear_sums(&p)
        start = 0
        while start < call.n:
            y = shares_from(&p, start, True, &scale, kind)
            g = grad_from(&p, start, True, kind)
            s = steps_of(&p, part_from(&p, start), y.packed and g.packed)
            add_products(&p, &y, &g, &s, op == OF_SOFTMAX, op == OF_LOG_SOFTMAX, kind)
            start += p.part
        fold(&p, call.n <= BRIEF and op == OF_SOFTMAX, kind)
        if real is float:
            for r in range(p.rows):
                p.product32[r] *= <float> (1.0 / LIFT)
        start = 0
        while start < call.n:
            y = shares_from(&p, start, False, &scale, kind)
            g = grad_from(&p, start, False, kind)
            dx = y_from(&p, start, kind)
            s = steps_of(&p, part_from(&p, start), y.packed and g.packed and dx.packed)
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
    open_panel(&p, &rows, False, NARROW)
    while next_rows(&p):
        add_up(&p, &scale, True, False, kind)
        load_values(&p, &call.grad, p.product)
        put_products(&p, &scale, p.product, kind)
