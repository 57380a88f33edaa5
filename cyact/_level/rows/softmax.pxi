"""softmax, log_softmax, logsumexp, logmeanexp.

Each is what is added up (`add_up`), what becomes of the sums, a row at a time, and what is stored.
"""

from libc.math cimport INFINITY, NAN

from cyact._level.abi cimport Rows
from cyact._level.copy cimport padded, real


cdef inline double times(double e, double high, double low) noexcept nogil:
    """e * (high + low), rounded once: to be within 2 ULP the product may not round by itself."""
    cdef double p
    if FMA:
        return fma(e, high, e * low)
    p = e * high
    return p + (product_error(e, high, p) + e * low)


# Results: the exponentials times a factor a row

cdef inline void scale_strip32(const Panel* p, Py_ssize_t r, float* y, const Steps* s,
                               bint over) noexcept nogil:
    cdef floats high, low, e
    cdef Py_ssize_t v, i, k
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        high = spread(p.high + r, over, i)
        low = spread(p.low + r, over, i)
        for k in range(s.steps):
            e = load(y + k * SIDE + i)
            store(y + k * SIDE + i, fmav(e, high, e * low))
        if over and s.tail > i:
            e = load_first(y + s.steps * SIDE + i, s.tail - i, 0)
            store_first(y + s.steps * SIDE + i, fmav(e, high, e * low), s.tail - i)


cdef inline void scale_strip64(const Panel* p, Py_ssize_t r, double* y,
                               const Steps* s) noexcept nogil:
    cdef double high[SIDE]
    cdef double low[SIDE]
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        high[j] = p.factor[row_in(p, r, j)]
        low[j] = p.factor_low[row_in(p, r, j)]
    for k in range(s.steps):
        for j in range(SIDE):
            y[k * SIDE + j] = times(y[k * SIDE + j], high[j], low[j])
    for j in range(<int> s.tail):
        y[s.steps * SIDE + j] = times(y[s.steps * SIDE + j], high[0], low[0])


cdef void scale_part(const Panel* p, const Place* y, Py_ssize_t n, real kind) noexcept nogil:
    cdef Steps s = steps_of(p, n, y.packed)
    cdef Py_ssize_t r
    for r in range(strips(p)):
        if real is double:
            scale_strip64(p, r, <double*> y.at + r * y.strip, &s)
        elif p.over:
            scale_strip32(p, r, <float*> y.at + r * y.strip, &s, True)
        else:
            scale_strip32(p, r * SIDE, <float*> y.at + r * y.strip, &s, False)


cdef inline bint kept(const Panel* p, const Place* y) noexcept nogil:
    """Whether the exponentials of add_up() are still there."""
    return p.part >= p.call.n or not y.packed


cdef inline void again(Panel* p, const Scale* scale, const Place* x, const Place* y,
                       Py_ssize_t n, real kind) noexcept nogil:
    """The exponentials of a part that were not kept. The sums are used up."""
    cdef Steps s = steps_of(p, n, x.packed and y.packed)
    if real is float:
        part_exponentials_float(p, scale, x, y, &s, True, False)
    else:
        part_exponentials_double(p, scale, x, y, &s, True, False)


cdef inline void set_factors(Panel* p, real kind) noexcept nogil:
    """1 / sum, of sums that hold the maximum."""
    cdef Py_ssize_t r
    cdef Pair v
    for r in range(padded(p.rows)):
        if real is float:
            p.factor[r] = 1 / p.sum[r]
        else:
            v = reciprocal(sum_of(p, r))
            p.factor[r] = v.high
            p.factor_low[r] = v.low


# The sums are 2^60 times too great: of a factor far from 1 the quotient would be no float.

cdef inline bint is_odd(double factor) noexcept nogil:
    factor = factor if factor > 0 else -factor
    return (factor < 2.0 ** -40 or factor > 2.0 ** 50) and factor != 0


cdef bint multiply_factors(Panel* p, const double* by, real kind) noexcept nogil:
    """Whether some rows have to be multiplied afterwards: `by` is left in product."""
    cdef Py_ssize_t r
    cdef bint odd = False
    for r in range(p.rows):
        p.product[r] = by[r]
        if real is float:
            if is_odd(by[r]):
                odd = True
                continue
        p.factor[r] *= by[r]
        p.factor_low[r] *= by[r]
        p.product[r] = 1
    return odd


# The winner of a row that is sure gets 1, not the neighbour that rounding may leave.

cdef inline bint is_sure(const Panel* p, Py_ssize_t r) noexcept nogil:
    """Whether the winner's share rounds to 1."""
    return p.sum[r] - p.top[r] < 2.0 ** -26 * p.top[r]


cdef inline bint any_sure(const Panel* p) noexcept nogil:
    cdef Py_ssize_t r
    cdef int found = 0
    for r in range(p.rows):
        found |= 1 if is_sure(p, r) else 0
    return found != 0


cdef void put_ones(const Panel* p, const Place* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t r, k
    cdef float* at
    for r in range(p.rows):
        if is_sure(p, r):
            for k in range(n):
                at = <float*> y.at + entry_at(p, y.strip, r, k)
                if at[0] > 0.5:
                    at[0] = 1


cdef inline void put_products(Panel* p, const Scale* scale, const double* by,
                              real kind) noexcept nogil:
    """y = softmax, times a factor a row unless `by` is NULL."""
    cdef Py_ssize_t start = 0, n
    cdef Place x, y
    cdef bint sure = False, odd = False
    set_factors(p, kind)
    if by != NULL:
        odd = multiply_factors(p, by, kind)
    if real is float:
        split(p, p.factor)
        sure = by == NULL and any_sure(p)
    while start < p.call.n:
        n = part_from(p, start)
        y = y_from(p, start, kind)
        if not kept(p, &y):
            x = x_from(p, start, False, kind)
            again(p, scale, &x, &y, n, kind)
        scale_part(p, &y, n, kind)
        if sure:
            put_ones(p, &y, n)
        if odd:
            split(p, p.product)
            scale_part(p, &y, n, kind)
            split(p, p.factor)
        y_done(p, &y, start, kind)
        start += p.part


cdef void softmax(const Rows* call, real kind) noexcept nogil:
    cdef Panel p
    cdef Scale scale = scale_of(call.p)
    open_panel(&p, call, False, NARROW)
    while next_rows(&p):
        add_up(&p, &scale, True, False, kind)
        put_products(&p, &scale, NULL, kind)


# log_softmax: (x - m) / temperature - log(sum)

cdef inline void subtract_strip32(const Panel* p, Py_ssize_t r, const float* x, float* y,
                                  const Steps* s, const Scale* scale, bint over,
                                  bint scaled) noexcept nogil:
    cdef floats high, low, d, rest
    cdef Taken t
    cdef Py_ssize_t v, i, k
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        high = spread(p.high + r, over, i)
        low = spread(p.low + r, over, i)
        t = taken_of(p, r, i, scale, over, scaled)
        for k in range(s.steps):
            store(y + k * SIDE + i, log_share(load(x + k * SIDE + i), high, low, &t, scaled))
        if over and s.tail > i:
            store_first(y + s.steps * SIDE + i,
                        log_share(load_first(x + s.steps * SIDE + i, s.tail - i, 0), high, low,
                                  &t, scaled), s.tail - i)


cdef inline floats log_share(floats x, floats high, floats low, const Taken* t,
                             bint scaled) noexcept nogil:
    cdef floats rest, d
    if not scaled:
        return (x - high) - low
    d = quotient32(x, t, &rest)
    rest = between(d, broadcast(-INFINITY), broadcast(INFINITY), rest)
    return (d - high) + (rest - low)


cdef inline void subtract_strip64(const Panel* p, Py_ssize_t r, const double* x, double* y,
                                  const Steps* s, const Scale* scale) noexcept nogil:
    cdef double m[SIDE]
    cdef double log[SIDE]
    cdef Scale by = scale[0]
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        m[j] = p.m[row_in(p, r, j)]
        log[j] = p.log[row_in(p, r, j)]
    for k in range(s.steps):
        for j in range(SIDE):
            y[k * SIDE + j] = log_share64(x[k * SIDE + j], m[j], log[j], &by)
    for j in range(<int> s.tail):
        y[s.steps * SIDE + j] = log_share64(x[s.steps * SIDE + j], m[0], log[0], &by)


cdef inline double log_share64(double x, double m, double log, const Scale* by) noexcept nogil:
    cdef double low = 0, least = -1e300
    cdef double d = difference(x, m, by, True, &low)
    return (d - log) + (0 if d < least else low)


cdef void subtract_part(const Panel* p, const Place* x, const Place* y, Py_ssize_t n,
                        const Scale* scale, real kind) noexcept nogil:
    cdef Steps s = steps_of(p, n, x.packed and y.packed)
    cdef Py_ssize_t r
    cdef const real* at
    cdef real* to
    for r in range(strips(p)):
        at = <const real*> x.at + r * x.strip
        to = <real*> y.at + r * y.strip
        if real is double:
            subtract_strip64(p, r, at, to, &s, scale)
        elif p.over and scale.scaled:
            subtract_strip32(p, r, at, to, &s, scale, True, True)
        elif p.over:
            subtract_strip32(p, r, at, to, &s, scale, True, False)
        elif scale.scaled:
            subtract_strip32(p, r * SIDE, at, to, &s, scale, False, True)
        else:
            subtract_strip32(p, r * SIDE, at, to, &s, scale, False, False)


cdef void log_softmax(const Rows* call, real kind) noexcept nogil:
    cdef Panel p
    cdef Place x, y
    cdef Scale scale = scale_of(call.p)
    cdef Py_ssize_t start, r
    open_panel(&p, call, False, NARROW)
    while next_rows(&p):
        add_up(&p, &scale, False, True, kind)
        take_logs(&p, kind)
        if real is float:
            # With the maximum, in two floats: the first takes no digits off the logarithm.
            for r in range(padded(p.rows)):
                p.factor[r] = p.log[r] if scale.scaled else p.m[r] + p.log[r]
            split(&p, p.factor)
            if not scale.scaled:
                for r in range(padded(p.rows)):
                    p.low[r] = <float> ((p.m[r] - p.high[r]) + p.log[r])
        start = 0
        while start < call.n:
            x = x_from(&p, start, False, kind)
            y = y_from(&p, start, kind)
            subtract_part(&p, &x, &y, part_from(&p, start), &scale, kind)
            y_done(&p, &y, start, kind)
            start += p.part


# logsumexp: m + log(sum). logmeanexp: m + log(sum / n), where the logarithm is minus that of
# n / sum >= 1.

cdef inline double log_mean(Pair others, double n) noexcept nogil:
    """log((1 + others) / n)."""
    cdef Pair sum = plus(others, 1)
    cdef double low = -others.low
    cdef double d = add_to(n - 1, -others.high, &low)
    cdef double q = d / sum.high
    cdef double p = q * sum.high
    cdef double rest = (d - p) - product_error(q, sum.high, p)
    return -log1p_pair(q, (rest + (low - q * sum.low)) / sum.high)


cdef void count_entries(Panel* p) noexcept nogil:
    """How many there are in each row."""
    cdef const Lines* mask = &p.call.mask
    cdef const char* at
    cdef Py_ssize_t r, k, count
    for r in range(padded(p.rows)):
        p.count[r] = <double> p.call.n
    for r in range(p.rows if mask.data != NULL else 0):
        at = mask.data + (p.first + r) * mask.row
        count = 0
        for k in range(p.call.n):
            count += at[k * mask.item] != 0
        p.count[r] = <double> count


cdef Pair others_of(Panel* p, Py_ssize_t r) noexcept nogil:
    """The sum of a float32 row but for one maximum, as a multiple of that, in pairs of doubles."""
    cdef double few[SIDE]
    cdef double e[SIDE]
    cdef double m[SIDE]
    cdef double sums[SIDE]
    cdef double rests[SIDE]
    cdef double counts[SIDE]
    cdef Scale unit = scale_of(NULL)
    cdef Place x
    cdef Pair others
    cdef double count = 0, both
    cdef Py_ssize_t start = 0, n, i, j
    cdef const float* at
    for j in range(SIDE):
        m[j] = p.m[r]
        sums[j] = rests[j] = counts[j] = 0
    while start < p.call.n:
        x = x_from(p, start, False, <float> 0)
        n = part_from(p, start)
        at = <const float*> x.at
        for i in range(0, n, 16):
            for j in range(SIDE):
                few[j] = -INFINITY
                if i + j < n:
                    few[j] = at[entry_at(p, x.strip, r, i + j)]
            exp_pairs(few, 1, m, &unit, True, False, 1, e, 0, sums, rests, counts)
        start += p.part
    others.high = sums[0]
    others.low = rests[0]
    for j in range(1, SIDE):
        others.high = add_to(others.high, sums[j], &others.low)
        others.low += rests[j]
    for j in range(SIDE):
        count += counts[j]
    both = others.high + others.low
    others.low -= both - others.high
    others.high = both
    return plus(others, count - 1)


cdef inline bint cancels(double m, double log) noexcept nogil:
    """Whether the logarithm of a float32 row's sum, which is good to 2^-27, is too rough for
    m + log."""
    cdef double result = m + log
    return -0.0625 < result < 0.0625


cdef double infinite(Panel* p, Py_ssize_t r, real kind) noexcept nogil:
    """The infinite maximum of a row, or NaN if the row holds one."""
    cdef Py_ssize_t start = 0, k
    cdef Place x
    cdef const real* at
    while start < p.call.n:
        x = x_from(p, start, False, kind)
        at = <const real*> x.at
        for k in range(part_from(p, start)):
            if at[entry_at(p, x.strip, r, k)] != at[entry_at(p, x.strip, r, k)]:
                return NAN
        start += p.part
    return p.m[r]


cdef inline void logs_of_sums(const Rows* call, bint mean, real kind) noexcept nogil:
    cdef Panel p
    cdef Scale scale = scale_of(NULL)
    cdef Pair others
    cdef Py_ssize_t r
    cdef int special
    open_panel(&p, call, False, NARROW)
    while next_rows(&p):
        # In float the sum is as good whole; where it is too rough it is made anew.
        if real is float:
            add_up(&p, &scale, False, False, kind)
        else:
            add_up(&p, &scale, False, True, kind)
        if not mean:
            take_logs(&p, kind)
        else:
            count_entries(&p)
            for r in range(padded(p.rows)):
                if real is float:
                    others.high = p.others[r]
                    others.low = 0
                else:
                    others = plus(sum_of(&p, r), p.counts[r] - 1)
                p.log[r] = log_mean(others, p.count[r])
        special = 0
        for r in range(padded(p.rows)):
            p.factor[r] = p.m[r] + p.log[r]
            special |= 0 if p.factor[r] - p.factor[r] == 0 else 1
            if real is float:
                special |= 1 if cancels(p.m[r], p.log[r]) else 0
        for r in range(p.rows if special or (mean and call.mask.data != NULL) else 0):
            if p.m[r] - p.m[r] != 0:
                p.factor[r] = infinite(&p, r, kind)
            elif real is float:
                if cancels(p.m[r], p.log[r]):
                    others = others_of(&p, r)
                    if mean:
                        p.factor[r] = p.m[r] + log_mean(others, p.count[r])
                    else:
                        p.factor[r] = p.m[r] + log1p_pair(others.high, others.low)
            if mean and p.count[r] == 0:
                p.factor[r] = NAN
        put_values(&p, p.factor)


cdef void logsumexp(const Rows* call, real kind) noexcept nogil:
    logs_of_sums(call, False, kind)


cdef void logmeanexp(const Rows* call, real kind) noexcept nogil:
    logs_of_sums(call, True, kind)
