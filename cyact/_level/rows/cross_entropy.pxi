"""Cross-entropy: sum of a_k (log(sum) - (x_k - m)), its gradient scale (A softmax(x) - a), with A
the sum of a.

a is the weight of a row's class, at that class; or, of every entry, its probability mixed with the
smoothing and multiplied by the weight.
"""

from libc.math cimport NAN
from libc.string cimport memcpy, memset

from cyact._level.abi cimport CrossEntropy, Lines, Rows
from cyact._level.copy cimport padded, real


cdef inline Py_ssize_t target_of(const CrossEntropy* call, const Panel* p,
                                 Py_ssize_t r) noexcept nogil:
    """The class of row r of the panel; -1 if the row is ignored."""
    return (<const Py_ssize_t*> (call.target.data + (p.first + r) * call.target.row))[0]


cdef inline void put_loss(const CrossEntropy* call, const Panel* p, Py_ssize_t r,
                          double loss) noexcept nogil:
    (<double*> (call.loss.data + (p.first + r) * call.loss.row))[0] = loss


cdef inline double loss_of(const CrossEntropy* call, const Panel* p, Py_ssize_t r) noexcept nogil:
    return (<const double*> (call.loss.data + (p.first + r) * call.loss.row))[0]


cdef inline real* entry(const Panel* p, const Place* a, Py_ssize_t r, Py_ssize_t k,
                        real kind) noexcept nogil:
    return <real*> a.at + entry_at(p, a.strip, r, k)


cdef inline double weight_of(const CrossEntropy* call, Py_ssize_t k) noexcept nogil:
    return 1.0 if call.weight == NULL else call.weight[k]


# A class a row: the gradient is the softmax, but for the target's entry.

cdef void class_losses(const CrossEntropy* call, Panel* p, double* at_target,
                       real kind) noexcept nogil:
    cdef Py_ssize_t start = 0, n, r, k
    cdef double w, loss
    cdef Place x
    while start < p.call.n:
        x = x_from(p, start, False, kind)
        n = part_from(p, start)
        for r in range(p.rows):
            k = target_of(call, p, r) - start
            if 0 <= k < n:
                at_target[r] = entry(p, &x, r, k, kind)[0]
        start += p.part
    for r in range(p.rows):
        k = target_of(call, p, r)
        loss = 0
        if k >= 0:
            w = weight_of(call, k)
            loss = p.log[r] - (at_target[r] - p.m[r])
            loss = 0 if w == 0 and loss == loss else w * loss
        put_loss(call, p, r, loss)


cdef inline double target_slope(const Panel* p, Py_ssize_t r, bint is_top, double share,
                                double factor) noexcept nogil:
    """p - 1 at the target is minus the share of all others: for the maximum, that does not
    cancel."""
    if is_top:
        return -factor * (p.others[r] / (1 + p.others[r]))
    return -factor * (1 - share)


cdef void class_gradients(const CrossEntropy* call, Panel* p, const Scale* scale,
                          const double* at_target, real kind) noexcept nogil:
    cdef Py_ssize_t start = 0, n, r, k, i
    cdef Place x, y
    cdef bint odd
    cdef double share
    cdef double* factor = p.log         # the losses are done
    cdef double* whole = p.count        # 1 / sum
    for r in range(p.rows):
        k = target_of(call, p, r)
        factor[r] = 0 if k < 0 else call.scale * weight_of(call, k)
    if call.focal != NULL:
        for r in range(p.rows):
            factor[r] *= p.product_low[r]
    if real is float:
        set_factors(p, kind)
    else:
        for r in range(padded(p.rows)):
            p.factor[r] = 1 / (1 + p.others[r])
            p.factor_low[r] = 0
    for r in range(padded(p.rows)):
        whole[r] = p.factor[r]
    odd = multiply_factors(p, factor, kind)
    if real is float:
        split(p, p.factor)
    while start < p.call.n:
        n = part_from(p, start)
        y = y_from(p, start, kind)
        if not kept(p, &y):
            x = x_from(p, start, False, kind)
            again(p, scale, &x, &y, n, kind)
        for r in range(p.rows):
            k = target_of(call, p, r) - start
            if 0 <= k < n:      # its share of the sum, before that is multiplied
                p.top[r] = entry(p, &y, r, k, kind)[0] * whole[r]
        scale_part(p, &y, n, kind)
        if odd:
            split(p, p.product)
            scale_part(p, &y, n, kind)
            split(p, p.factor)
        for r in range(p.rows):
            k = target_of(call, p, r) - start
            if 0 <= k < n:
                entry(p, &y, r, k, kind)[0] = <real> target_slope(
                    p, r, at_target[r] == p.m[r], p.top[r], factor[r])
            elif k + start < 0:
                for i in range(n):
                    entry(p, &y, r, i, kind)[0] = 0
        y_done(p, &y, start, kind)
        start += p.part


cdef void focal_losses(const CrossEntropy* call, Panel* p) noexcept nogil:
    """Make the losses those of focal loss; by what gradients are multiplied, to product_low."""
    cdef double* alpha = p.spare
    cdef double* terms = p.sums         # which are done
    cdef double* losses = p.rests
    cdef Py_ssize_t r, k
    for r in range(padded(p.rows)):
        k = target_of(call, p, r) if r < p.rows else -1
        alpha[r] = 0 if k < 0 else 1 if call.alpha == NULL else call.alpha[k]
        terms[r] = 0
        if k >= 0:
            terms[r] = loss_of(call, p, r)
    call.focal(terms, alpha, losses, p.product_low, padded(p.rows), call.gamma)
    for r in range(p.rows):
        put_loss(call, p, r, losses[r])


# Every entry has a coefficient: its probability, or an even share of the smoothing, times its
# weight; that of the row's class gets the rest on top. They are worked out, and their sums, in
# double, a step of SIDE entries of a row, or of rows in lanes, at a time.

cdef inline void coefficients(const CrossEntropy* call, const Panel* p, const real* q,
                              Py_ssize_t k, double* a) noexcept nogil:
    """Of a step that begins with entry k of a row, or is entry k of many; but for the rest."""
    cdef Py_ssize_t count = SIDE
    cdef double even = call.smoothing / call.rows.n, rest = 1 - call.smoothing, w
    cdef int j
    if call.target.data == NULL:
        for j in range(SIDE):
            a[j] = q[j] * rest + even
    else:
        for j in range(SIDE):
            a[j] = even
    if p.over:
        count = min(count, p.call.n - k)
    if call.weight != NULL:
        if p.over:
            for j in range(<int> count):
                a[j] *= call.weight[k + j]
        else:
            w = call.weight[k]
            for j in range(SIDE):
                a[j] *= w
    for j in range(<int> count, SIDE):
        a[j] = 0


cdef inline double rest_of(const CrossEntropy* call, const Panel* p, Py_ssize_t r) noexcept nogil:
    """What is on top of the coefficient of the row's class."""
    cdef Py_ssize_t k = target_of(call, p, r)
    return 0 if k < 0 else (1 - call.smoothing) * weight_of(call, k)


cdef inline const real* step_at(const Panel* p, const Place* a, Py_ssize_t r, Py_ssize_t k,
                                Py_ssize_t n, real* few) noexcept nogil:
    """The entries of step k of a part of n entries, as many as a step has."""
    cdef const real* at = <const real*> a.at + r * a.strip + k * SIDE
    cdef Py_ssize_t j, count = n - k * SIDE
    if a.packed or count >= SIDE:
        return at
    for j in range(SIDE):
        few[j] = at[j] if j < count else at[0]
    return few


cdef inline Py_ssize_t steps_in(const Panel* p, Py_ssize_t n) noexcept nogil:
    return (n + SIDE - 1) // SIDE if p.over else n


cdef inline void add_either(double* s, double* low, double x, bint exact) noexcept nogil:
    if exact:
        s[0] = add_to(s[0], x, low)
    else:
        s[0] += x


cdef inline void add_step(const double* a, const real* x, const double* m, double* s,
                          double* s_low, double* t, double* t_low) noexcept nogil:
    """The coefficients, and their products with x - m, enter partial sums."""
    cdef double d
    cdef int j
    for j in range(SIDE):
        d = a[j] * (x[j] - m[j])
        d = 0 if a[j] == 0 else d
        add_either(&s[j], &s_low[j], a[j], real is double)
        add_either(&t[j], &t_low[j], d, real is double)


cdef inline void add_strip(const CrossEntropy* call, const Panel* p, Py_ssize_t r, const Place* x,
                           const Place* q, Py_ssize_t start, Py_ssize_t n, bint over,
                           real kind) noexcept nogil:
    cdef double a[SIDE]
    cdef double m[SIDE]
    cdef real few[SIDE]
    cdef real few_shares[SIDE]
    cdef double s[SIDE * SIDE]
    cdef double s_low[SIDE * SIDE]
    cdef double t[SIDE * SIDE]
    cdef double t_low[SIDE * SIDE]
    cdef const real* qs = NULL
    cdef const real* xs
    cdef Py_ssize_t k, at = 0, i
    cdef int j
    if not over:
        memset(s, 0, sizeof(s))
        memset(s_low, 0, sizeof(s_low))
        memset(t, 0, sizeof(t))
        memset(t_low, 0, sizeof(t_low))
    for j in range(SIDE):
        i = r * SIDE + j
        s[j] = p.products[i]
        s_low[j] = p.products_low[i]
        t[j] = p.sums[i]
        t_low[j] = p.rests[i]
        m[j] = p.m[row_in(p, r, j)]
    for k in range(steps_in(p, n)):
        xs = step_at(p, x, r, k, n, few)
        if call.target.data == NULL:
            qs = step_at(p, q, r, k, n, few_shares)
        coefficients(call, p, qs, start + (k * SIDE if over else k), a)
        if over:
            add_step(a, xs, m, s, s_low, t, t_low)
        else:
            at = k % SIDE * SIDE
            add_step(a, xs, m, s + at, s_low + at, t + at, t_low + at)
    if not over:
        fold_pair_slots(s, s_low)
        fold_pair_slots(t, t_low)
    for j in range(SIDE):
        i = r * SIDE + j
        p.products[i] = s[j]
        p.products_low[i] = s_low[j]
        p.sums[i] = t[j]
        p.rests[i] = t_low[j]


cdef void mixed_losses(const CrossEntropy* call, Panel* p, double* at_target,
                       real kind) noexcept nogil:
    """The losses, and the sums of the coefficients, to product."""
    cdef Py_ssize_t start = 0, n, r, k
    cdef double rest, low
    cdef Place x, q
    memset(p.products, 0, strips(p) * SIDE * sizeof(double))
    memset(p.products_low, 0, strips(p) * SIDE * sizeof(double))
    memset(p.sums, 0, strips(p) * SIDE * sizeof(double))
    memset(p.rests, 0, strips(p) * SIDE * sizeof(double))
    while start < p.call.n:
        n = part_from(p, start)
        x = x_from(p, start, False, kind)
        q = x
        if call.target.data == NULL:
            q = lines_from(p, &call.probability, start, True, p.grad, kind)
        else:
            for r in range(p.rows):
                k = target_of(call, p, r) - start
                if 0 <= k < n:
                    at_target[r] = entry(p, &x, r, k, kind)[0]
        for r in range(strips(p)):
            if p.over:
                add_strip(call, p, r, &x, &q, start, n, True, kind)
            else:
                add_strip(call, p, r, &x, &q, start, n, False, kind)
        start += p.part
    if p.over:
        fold_pairs(p.products, p.products_low, p.rows)
        fold_pairs(p.sums, p.rests, p.rows)
    for r in range(p.rows):
        low = p.products_low[r]
        p.product[r] = p.products[r] + (low if low == low else 0)
        low = p.rests[r]
        low = p.sums[r] + (low if low == low else 0)
        if call.target.data != NULL:
            rest = rest_of(call, p, r)
            p.product[r] += rest
            low += 0 if rest == 0 else rest * (at_target[r] - p.m[r])
        low = p.product[r] * p.log[r] - low
        if call.target.data != NULL and target_of(call, p, r) < 0:
            low = 0
        put_loss(call, p, r, low)


cdef inline void shares_of(const Panel* p, Py_ssize_t r, const real* x, const Taken* takens,
                           const Scale* unit, double* share) noexcept nogil:
    """softmax of a step, in double: where it is nearly the target no digit of it may be missing."""
    cdef float power[SIDE]
    cdef float rest[SIDE]
    cdef double factor[SIDE]
    cdef double m[SIDE]
    cdef double low = 0, lost = 0, d, e, least = LEAST_PAIR
    cdef floats part, c, t
    cdef Py_ssize_t v, i
    cdef int j
    for j in range(SIDE):
        i = row_in(p, r, j)
        factor[j] = p.factor[i]
        m[j] = p.m[i]
    if real is float:
        for v in range(SIDE // WIDTH):
            i = v * WIDTH
            exponentials_of(load(x + i), &takens[v], False, &part, &t, &c)
            store(power + i, t)
            store(rest + i, c)
        for j in range(SIDE):
            share[j] = (<double> power[j] + <double> power[j] * rest[j]) * factor[j]
    else:
        for j in range(SIDE):
            d = difference(x[j], m[j], unit, False, &low)
            share[j] = exp_pair(d, low, least, &lost) * factor[j]
    for j in range(SIDE):
        share[j] = p.top[row_in(p, r, j)] if x[j] == m[j] else share[j]


cdef inline void store_gradients(const CrossEntropy* call, const Panel* p, Py_ssize_t r,
                                 const Place* x, const Place* q, const Place* y, Py_ssize_t start,
                                 Py_ssize_t n, const Scale* unit, real kind) noexcept nogil:
    """scale (A softmax - a) of a strip, but for the rest of the row's class."""
    cdef double a[SIDE]
    cdef double share[SIDE]
    cdef double mass[SIDE]
    cdef real few[SIDE]
    cdef real few_shares[SIDE]
    cdef real result[SIDE]
    cdef Taken takens[SIDE]
    cdef const real* xs
    cdef const real* qs = NULL
    cdef real* to
    cdef double scale = call.scale
    cdef Py_ssize_t k, v, count
    cdef int j
    if real is float:
        for v in range(SIDE // WIDTH):
            takens[v] = taken_of(p, first_row(p, r), v * WIDTH, unit, p.over, False)
    for j in range(SIDE):
        mass[j] = p.product[row_in(p, r, j)]
    for k in range(steps_in(p, n)):
        xs = step_at(p, x, r, k, n, few)
        if call.target.data == NULL:
            qs = step_at(p, q, r, k, n, few_shares)
        coefficients(call, p, qs, start + (k * SIDE if p.over else k), a)
        shares_of(p, r, xs, takens, unit, share)
        to = <real*> y.at + r * y.strip + k * SIDE
        count = n - k * SIDE
        if y.packed or count >= SIDE:
            for j in range(SIDE):
                to[j] = <real> (scale * (share[j] * mass[j] - a[j]))
        else:
            for j in range(SIDE):
                result[j] = <real> (scale * (share[j] * mass[j] - a[j]))
            memcpy(to, result, count * sizeof(real))


cdef inline void store_target(const CrossEntropy* call, const Panel* p, Py_ssize_t row,
                              Py_ssize_t k, const Place* x, const Place* y, Py_ssize_t start,
                              const Scale* unit, real kind) noexcept nogil:
    """The entry of the row's class."""
    cdef double share[SIDE]
    cdef real copies[SIDE]
    cdef Taken takens[SIDE]
    cdef Py_ssize_t r = row if p.over else row // SIDE, v
    cdef double even = call.smoothing / call.rows.n * weight_of(call, start + k)
    cdef int j, lane = 0 if p.over else <int> (row % SIDE)
    for j in range(SIDE):
        copies[j] = entry(p, x, row, k, kind)[0]
    if real is float:
        for v in range(SIDE // WIDTH):
            takens[v] = taken_of(p, first_row(p, r), v * WIDTH, unit, p.over, False)
    shares_of(p, r, copies, takens, unit, share)
    entry(p, y, row, k, kind)[0] = <real> (call.scale * (
        share[lane] * p.product[row] - (even + rest_of(call, p, row))))


cdef void mixed_gradients(const CrossEntropy* call, Panel* p, const Scale* unit,
                          real kind) noexcept nogil:
    cdef Py_ssize_t start = 0, n, r, k, i
    cdef Place x, y, q
    for r in range(padded(p.rows)):
        p.top[r] = 1 / (1 + p.others[r])         # the share of a maximum
        p.factor[r] = 1 / p.sum[r] if real is float else p.top[r]
    while start < p.call.n:
        n = part_from(p, start)
        y = y_from(p, start, kind)
        x = x_from(p, start, False, kind)
        q = x
        if call.target.data == NULL:
            q = lines_from(p, &call.probability, start, False, p.grad, kind)
        for r in range(strips(p)):
            store_gradients(call, p, r, &x, &q, &y, start, n, unit, kind)
        for r in range(p.rows if call.target.data != NULL else 0):
            k = target_of(call, p, r)
            if start <= k < start + n:
                store_target(call, p, r, k - start, &x, &y, start, unit, kind)
            elif k < 0:         # an ignored row, whatever it holds
                for i in range(n):
                    entry(p, &y, r, i, kind)[0] = 0
        y_done(p, &y, start, kind)
        start += p.part


cdef void cross_entropies(const CrossEntropy* call, real kind) noexcept nogil:
    cdef Panel p
    cdef Rows rows = call.rows
    cdef Scale unit = scale_of(NULL)
    cdef double at_target[MOST]
    cdef bint gradient = rows.y.data != NULL
    cdef bint one = call.target.data != NULL and call.smoothing == 0
    # What has to be packed depends on the probabilities as well.
    rows.grad = call.probability
    open_panel(&p, &rows, True, NARROW)
    while next_rows(&p):
        if gradient and one:
            add_up(&p, &unit, True, True, kind)
        else:
            add_up(&p, &unit, False, True, kind)
        take_logs(&p, kind)
        if one:
            class_losses(call, &p, at_target, kind)
            if call.focal != NULL:
                focal_losses(call, &p)
            if gradient:
                class_gradients(call, &p, &unit, at_target, kind)
        else:
            mixed_losses(call, &p, at_target, kind)
            if gradient:
                mixed_gradients(call, &p, &unit, kind)
