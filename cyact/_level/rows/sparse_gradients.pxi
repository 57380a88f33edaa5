"""Gradients of sparsemax, entmax15 and entmax.

They are s (g - sum(s g) / sum(s)), s = y^(2 - alpha) on the support: 1 for sparsemax, and for
entmax15 the square root of y, which is w.
"""

cdef void raise_slopes(double* y, Py_ssize_t n, double exponent) noexcept nogil:
    """y becomes y^(2 - alpha), 0 stays."""
    cdef double v, zero = 0
    cdef Py_ssize_t i
    for i in range(n & -SIDE):
        v = exp(at_most(exponent * log(at_least(y[i], 1e-300)), 460.0))
        y[i] = y[i] if (y[i] == zero) | (y[i] != y[i]) else v


cdef inline void slopes_of_output(const real* y, Py_ssize_t steps, int op,
                                  double* s) noexcept nogil:
    cdef double v, zero = 0
    cdef Py_ssize_t i
    for i in range(steps * SIDE):
        v = y[i]
        if op == SPARSEMAX:
            s[i] = 1 if v > zero else v
        else:
            s[i] = sqrt(v)


cdef inline void slopes_of_input(const real* x, Py_ssize_t steps, int op, const double* m,
                                 const double* th, const double* tl, double* s) noexcept nogil:
    cdef double c = 1 if op == SPARSEMAX else 0.5
    cdef double w, rest = 0, zero = 0, floor = -4
    cdef Py_ssize_t k
    cdef int j
    for k in range(steps):
        for j in range(SIDE):
            w = height(x[k * SIDE + j], m[j], th[j], tl[j], c, floor, &rest)
            w = zero if w <= zero else w
            if op == SPARSEMAX:
                w = 1 if w > zero else w
            s[k * SIDE + j] = w


cdef inline void weigh(const double* s, const real* g, Py_ssize_t steps, double* high, double* low,
                       double* total, double* total_low) noexcept nogil:
    """Add up s g and s, with what rounds off; where s is 0, g does not count."""
    cdef double a[SIDE]
    cdef double b[SIDE]
    cdef double c[SIDE]
    cdef double d[SIDE]
    cdef double v, p, e, zero = 0
    cdef pair sum
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        a[j] = high[j]
        b[j] = low[j]
        c[j] = total[j]
        d[j] = total_low[j]
    for k in range(steps):
        for j in range(SIDE):
            v = s[k * SIDE + j]
            p = v * g[k * SIDE + j]
            e = product_error(v, g[k * SIDE + j], p)
            p = zero if v == zero else p
            e = zero if v == zero else e
            sum = two_sum(a[j], p)
            a[j] = sum.hi
            b[j] += sum.lo + e
            sum = two_sum(c[j], v)
            c[j] = sum.hi
            d[j] += sum.lo
    for j in range(SIDE):
        high[j] = a[j]
        low[j] = b[j]
        total[j] = c[j]
        total_low[j] = d[j]


cdef inline void divide_pairs(double* high, double* low, const double* total,
                              const double* total_low) noexcept nogil:
    """high + low becomes (high + low) / (total + total_low)."""
    cdef double q, p, rest
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        q = (high[j] + low[j]) / total[j]
        p = q * total[j]
        rest = (high[j] - p) - product_error(q, total[j], p)
        rest = (rest + low[j] - q * total_low[j]) / total[j]
        high[j] = q
        low[j] = rest if rest - rest == 0 else 0


cdef inline void tilt(const double* s, const real* g, Py_ssize_t steps, const double* high,
                      const double* low, real* y) noexcept nogil:
    cdef double v, zero = 0
    cdef Py_ssize_t k
    cdef int j
    for k in range(steps):
        for j in range(SIDE):
            v = s[k * SIDE + j] * ((g[k * SIDE + j] - high[j]) - low[j])
            v = zero if s[k * SIDE + j] == zero else v
            y[k * SIDE + j] = <real> v


# Where a strip's rows have their border, in either notation

cdef struct Border:
    int op
    bint output         # x is the output of the forward pass: nothing to be found
    double m[16]
    double high[16]
    double low[16]
    Entmax entmax
    Root root


cdef void slopes(const Strip* s, Py_ssize_t start, const Border* at, real* buffer, real pad,
                 double* to) noexcept nogil:
    """y^(2 - alpha) of one part."""
    cdef const real* x = load_part(s, start, buffer, pad)
    cdef Py_ssize_t i, steps = steps_from(s, start)
    if at.op != ENTMAX:
        if at.output:
            slopes_of_output(x, steps, at.op, to)
        else:
            slopes_of_input(x, steps, at.op, at.m, at.high, at.low, to)
        return
    if at.output:
        for i in range(steps * SIDE):
            to[i] = x[i]
    else:
        probabilities(x, steps, &at.entmax, &at.root, to)
    raise_slopes(to, steps * SIDE, 2 - at.entmax.alpha)


cdef void sparse_gradients(const Rows* call, int op, bint output, real kind) noexcept nogil:
    cdef StripWork* work = <StripWork*> call.scratch
    cdef Strip s, y, g
    cdef Border at
    cdef double high[SIDE]
    cdef double low[SIDE]
    cdef double total[SIDE]
    cdef double total_low[SIDE]
    cdef real* x = <real*> work.x.at
    cdef real* grad = <real*> work.grad.at
    cdef real pad = 0 if output else -INFINITY
    cdef Py_ssize_t done = 0, start, take
    at.op = op
    at.output = output
    if op == ENTMAX:
        at.entmax = entmax_of(call.p, real is double)
    while done < call.rows:
        take = strip_rows(call.n, call.rows - done)
        s = open_strip(call.x.data + done * call.x.row, call.x.row, call.x.item, call.n, take,
                       x, pad)
        g = open_strip(call.grad.data + done * call.grad.row, call.grad.row, call.grad.item,
                       call.n, take, grad, <real> 0)
        y = result_strip(&s, call.y.data + done * call.y.row, call.y.row, call.y.item)
        if op == ENTMAX and not output:
            find_root(&s, &at.entmax, x, <real*> work.kept.at, &at.root)
        elif not output:
            find_border(&s, op, x, <real*> work.kept.at, at.m, at.high, at.low)
        fill(high, 0)
        fill(low, 0)
        fill(total, 0)
        fill(total_low, 0)
        start = 0
        while start < call.n:
            slopes(&s, start, &at, x, pad, work.s.at)
            weigh(work.s.at, load_part(&g, start, grad, <real> 0), steps_from(&s, start), high, low,
                  total, total_low)
            start += PIECE
        if not s.apart:
            fold_pairs(high, low)
            fold_pairs(total, total_low)
        divide_pairs(high, low, total, total_low)
        start = 0
        while start < call.n:
            if call.n > PIECE:
                slopes(&s, start, &at, x, pad, work.s.at)
            tilt(work.s.at, load_part(&g, start, grad, <real> 0), steps_from(&s, start), high, low,
                 <real*> work.y.at)
            store_part(&y, <real*> work.y.at, start)
            start += PIECE
        done += take


cdef void sparsemax_gradients(const Rows* call, real kind) noexcept nogil:
    sparse_gradients(call, SPARSEMAX, False, kind)


cdef void sparsemax_from_probabilities(const Rows* call, real kind) noexcept nogil:
    sparse_gradients(call, SPARSEMAX, True, kind)


cdef void entmax15_gradients(const Rows* call, real kind) noexcept nogil:
    sparse_gradients(call, ENTMAX15, False, kind)


cdef void entmax15_from_probabilities(const Rows* call, real kind) noexcept nogil:
    sparse_gradients(call, ENTMAX15, True, kind)


cdef void entmax_gradients(const Rows* call, real kind) noexcept nogil:
    sparse_gradients(call, ENTMAX, False, kind)


cdef void entmax_from_probabilities(const Rows* call, real kind) noexcept nogil:
    sparse_gradients(call, ENTMAX, True, kind)
