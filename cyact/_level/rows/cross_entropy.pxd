"""Cross-entropy: sum of a_k (log(sum) - (x_k - m)), its gradient scale (A softmax(x) - a), with A
the sum of a.

a is the weight of a row's class, at that class; or, of every entry, its probability mixed with the
smoothing and multiplied by the weight.
"""

from libc.math cimport INFINITY
from libc.string cimport memset

from cyact._level.abi cimport CrossEntropy, Lines, Rows
from cyact._level.copy cimport padded, real
from cyact._level.rows.panel cimport (
    SIDE, Panel, Place, Strip, lines_from, next_rows, open_panel, part_from, strip_of, strips,
    x_from, y_done, y_from)
from cyact._level.rows.rowmath cimport two_sum
from cyact._level.rows.softmax cimport (
    again, kept, multiply_factors, scale_part, set_factors)
from cyact._level.rows.sums cimport (
    Scale, add_up, fold_pairs, plus, scale_of, split, sum_of, take_logs)


cdef inline Py_ssize_t target_of(const CrossEntropy* call, const Panel* p,
                                 Py_ssize_t r) noexcept nogil:
    """The class of row r of the panel; -1 if the row is ignored."""
    return call.target[p.first + r]


cdef inline real* entry(const Panel* p, const Place* a, Py_ssize_t r, Py_ssize_t k,
                        real kind) noexcept nogil:
    return <real*> a.at + (r * a.row + k if p.over else k * a.step + r)


cdef inline double weight_of(const CrossEntropy* call, Py_ssize_t k) noexcept nogil:
    return 1.0 if call.weight == NULL else call.weight[k]


# A class a row: the gradient is the softmax, but for the target's entry.

cdef void class_losses(const CrossEntropy* call, Panel* p, double* at_target,
                       real kind) noexcept nogil:
    cdef Py_ssize_t start = 0, n, r, k
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
        call.loss[p.first + r] = 0 if k < 0 else weight_of(call, k) * (
            p.log[r] - (at_target[r] - p.m[r]))


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


# Every entry has a coefficient.

cdef inline void coefficients(const CrossEntropy* call, const Panel* p, const Place* q,
                              Py_ssize_t r, Py_ssize_t k, Py_ssize_t start, Py_ssize_t n,
                              double* a, real kind) noexcept nogil:
    """Those of step k of a part of n entries: of one row's entries, or of a row in each lane."""
    cdef Py_ssize_t j, at, row
    cdef double even = call.smoothing / call.rows.n, rest = 1 - call.smoothing
    for j in range(SIDE):
        at = k * SIDE + j if p.over else k
        row = r if p.over else j
        a[j] = 0
        if at < n and row < p.rows:
            a[j] = even
            if call.target == NULL:
                a[j] += entry(p, q, row, at, kind)[0] * rest
            elif target_of(call, p, row) == start + at:
                a[j] += rest
            a[j] *= weight_of(call, start + at)


cdef void mixed_losses(const CrossEntropy* call, Panel* p, real kind) noexcept nogil:
    """The losses, and the sums of the coefficients, to product."""
    cdef double a[SIDE]
    cdef Py_ssize_t start = 0, n, r, k, j, at, row
    cdef double d, low
    cdef Place x, q
    memset(p.products, 0, strips(p) * SIDE * sizeof(double))
    memset(p.products_low, 0, strips(p) * SIDE * sizeof(double))
    memset(p.sums, 0, strips(p) * SIDE * sizeof(double))
    memset(p.rests, 0, strips(p) * SIDE * sizeof(double))
    while start < p.call.n:
        n = part_from(p, start)
        x = x_from(p, start, False, kind)
        q = x
        if call.target == NULL:
            q = lines_from(p, &call.probability, start, True, p.grad, kind)
        for r in range(strips(p)):
            for k in range((n + SIDE - 1) // SIDE if p.over else n):
                coefficients(call, p, &q, r, k, start, n, a, kind)
                for j in range(SIDE):
                    at = k * SIDE + j if p.over else k
                    row = r if p.over else j
                    if at >= n or row >= p.rows:
                        continue
                    p.products[r * SIDE + j] = two_sum(p.products[r * SIDE + j], a[j],
                                                       &p.products_low[r * SIDE + j])
                    d = a[j] * (entry(p, &x, row, at, kind)[0] - p.m[row])
                    d = 0 if a[j] == 0 else d
                    p.sums[r * SIDE + j] = two_sum(p.sums[r * SIDE + j], d,
                                                   &p.rests[r * SIDE + j])
        start += p.part
    if p.over:
        fold_pairs(p.products, p.products_low, p.rows)
        fold_pairs(p.sums, p.rests, p.rows)
    for r in range(p.rows):
        low = p.products_low[r]
        p.product[r] = p.products[r] + (low if low == low else 0)
        low = p.rests[r]
        call.loss[p.first + r] = p.product[r] * p.log[r] - (
            p.sums[r] + (low if low == low else 0))
        if call.target != NULL and target_of(call, p, r) < 0:
            call.loss[p.first + r] = 0


cdef void mixed_gradients(const CrossEntropy* call, Panel* p, const Scale* scale,
                          real kind) noexcept nogil:
    cdef double a[SIDE]
    cdef Py_ssize_t start = 0, n, r, k, j, at, row
    cdef Place x, y, q
    cdef double v
    cdef real* to
    for r in range(padded(p.rows)):
        p.factor[r] = 1 / p.sum[r] if real is float else 1 / (1 + p.others[r])
    while start < p.call.n:
        n = part_from(p, start)
        y = y_from(p, start, kind)
        x = x_from(p, start, False, kind)
        q = x
        if call.target == NULL:
            q = lines_from(p, &call.probability, start, False, p.grad, kind)
        if not kept(p, &y):
            again(p, scale, &x, &y, n, kind)
        for r in range(strips(p)):
            for k in range((n + SIDE - 1) // SIDE if p.over else n):
                coefficients(call, p, &q, r, k, start, n, a, kind)
                for j in range(SIDE):
                    at = k * SIDE + j if p.over else k
                    row = r if p.over else j
                    if at >= n or row >= p.rows:
                        continue
                    to = entry(p, &y, row, at, kind)
                    v = p.factor[row] * p.product[row]
                    to[0] = <real> (call.scale * (to[0] * v - a[j]))
                    if call.target != NULL and target_of(call, p, row) < 0:
                        to[0] = 0
        y_done(p, &y, start, kind)
        start += p.part


cdef void cross_entropies(const CrossEntropy* call, real kind) noexcept nogil:
    cdef Panel p
    cdef Rows rows = call.rows
    cdef Scale unit = scale_of(NULL)
    cdef double at_target[64]
    cdef bint gradient = rows.y.data != NULL
    cdef bint one = call.target != NULL and call.smoothing == 0
    # What has to be packed depends on the probabilities as well.
    rows.grad = call.probability
    open_panel(&p, &rows)
    while next_rows(&p):
        if gradient:
            add_up(&p, &unit, True, True, kind)
        else:
            add_up(&p, &unit, False, True, kind)
        take_logs(&p, kind)
        if one:
            class_losses(call, &p, at_target, kind)
            if gradient:
                class_gradients(call, &p, &unit, at_target, kind)
        else:
            mixed_losses(call, &p, kind)
            if gradient:
                mixed_gradients(call, &p, &unit, kind)
