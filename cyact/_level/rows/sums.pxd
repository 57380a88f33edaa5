"""Maxima, exponentials and their sums: what all of the softmax family is made of.

float32 rows are computed in float. At temperature 1 no difference x - m is rounded: exponentials
are e^x 2^-t, with t the integer next to m log2(e) for the row's maximum m, so that the largest
lies near 1; a maximum of 256 or more is subtracted, which is exact for every x whose exponential
counts. At other temperatures the difference and its quotient carry what they round off in a second
float. All exponentials are scaled by 2^60: what underflows then is 0 in the result. They are added
up in double: rounded ones, and apart from them what rounding took.

float64 rows carry the rounding of every step in a second double.

Entry j of a row over the lanes enters partial sum j % SIDE; these are added up by neighbours.
"""

from libc.math cimport INFINITY
from libc.string cimport memcpy, memset

from cyact._level.abi cimport Rows
from cyact._level.copy cimport padded, real
from cyact._level.rows.panel cimport (
    SIDE, Panel, Place, Strip, part_from, strip_of, kept_from, strips, x_from)
from cyact._level.rows.rowlanes cimport (
    WIDTH, add_lanes, between, count_same, every, exponential, exponential_of_sum, fused, greater,
    lanes, load_first, load_lanes, store_first, store_lanes)
from cyact._level.rows.rowmath cimport (
    FUSED, exp_pair, log1p_pair, muladd, muladdf, product_error, two_sum)

cdef double LEAST_PAIR = -746.0    # e^-746 rounds to 0

# (x - m) / temperature, as the loops want it.
cdef struct Scale:
    bint scaled         # temperature is not 1
    double temperature
    double inverse
    # float32: ((x before) - m) after (high + low); powers of two keep the factors in range
    float before
    float after
    float high
    float low


cdef inline Scale scale_of(const double* p) noexcept nogil:
    cdef Scale s
    cdef double t = 1.0 if p == NULL else p[0], factor
    s.scaled = t != 1.0
    s.temperature = t
    s.inverse = 1.0 / t
    s.before = s.after = 1
    if t > 2.0 ** 60:
        s.before = <float> 2.0 ** -100
    elif t < 2.0 ** -60:
        s.after = <float> 2.0 ** 100
    factor = s.inverse / (<double> s.before * s.after)
    # What is beyond makes 0 of every difference but 0
    factor = factor if factor < 1e38 else 1e38
    s.high = <float> factor
    s.low = <float> (factor - s.high)
    return s


# Maxima; NaN is passed over

cdef inline void raise_lanes32(const float* x, Py_ssize_t step, const Strip* s,
                               float* tops) noexcept nogil:
    cdef lanes a, b
    cdef Py_ssize_t v, i, k
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        a = b = load_lanes(tops + i)
        for k in range(s.steps // 2):
            a = greater(load_lanes(x + 2 * k * step + i), a)
            b = greater(load_lanes(x + (2 * k + 1) * step + i), b)
        if s.steps & 1:
            a = greater(load_lanes(x + (s.steps - 1) * step + i), a)
        if s.tail > i:
            b = greater(load_first(x + s.steps * step + i, s.tail - i, -INFINITY), b)
        store_lanes(tops + i, greater(a, b))


cdef inline void raise_lanes(const real* x, Py_ssize_t step, const Strip* s,
                             real* tops) noexcept nogil:
    cdef real a[SIDE]
    cdef Py_ssize_t k
    cdef int j
    if real is float:
        raise_lanes32(x, step, s, tops)
        return
    for j in range(SIDE):
        a[j] = tops[j]
    for k in range(s.steps):
        for j in range(SIDE):
            a[j] = x[k * step + j] if x[k * step + j] > a[j] else a[j]
    for j in range(SIDE):
        tops[j] = a[j]
    for k in range(s.tail):
        tops[k] = x[s.steps * step + k] if x[s.steps * step + k] > tops[k] else tops[k]


cdef inline void greater_of_pairs(const real* x, Py_ssize_t n, real* restrict y) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = x[2 * i] if x[2 * i] > x[2 * i + 1] else x[2 * i + 1]


cdef inline void fold_maxima(Panel* p, real* tops) noexcept nogil:
    """The maxima of the rows' lanes, of all rows at a time."""
    cdef real* m = <real*> p.m32 if real is float else <real*> p.m
    if p.over:
        greater_of_pairs(tops, p.rows * 8, <real*> p.rests)
        greater_of_pairs(<real*> p.rests, p.rows * 4, tops)
        greater_of_pairs(tops, p.rows * 2, <real*> p.rests)
        greater_of_pairs(<real*> p.rests, p.rows, m)
    else:
        memcpy(m, tops, SIDE * sizeof(real))


cdef void maxima(Panel* p, real kind) noexcept nogil:
    cdef real* tops = <real*> p.sums
    cdef Py_ssize_t start = 0, r, i
    cdef Strip s
    cdef Place x
    for i in range(strips(p) * SIDE):
        tops[i] = -INFINITY
    while start < p.call.n:
        x = x_from(p, start, True, kind)
        s = strip_of(p, part_from(p, start), x.packed)
        for r in range(strips(p)):
            raise_lanes(<const real*> x.at + r * x.row, x.step, &s, tops + r * SIDE)
        start += p.part
    fold_maxima(p, tops)
    if real is float:
        for i in range(padded(p.rows)):
            p.m[i] = p.m32[i]


# Exponentials in float

cdef void set_limits(Panel* p, const Scale* scale) noexcept nogil:
    """From the maxima: how the exponentials of each row are taken."""
    cdef Py_ssize_t r
    cdef float turns, m, one = 12582912
    for r in range(padded(p.rows)):
        m = p.m32[r]
        m = m if m > -256 else 0
        m = m if m < 256 else 0
        m = 0 if scale.scaled else m
        p.shift[r] = p.m32[r] * scale.before - m     # NaN stays NaN
        turns = muladdf(m, <float> 1.4426950408889634, one) - one
        p.magic[r] = <float> (12582912 + 8 * (127 + 60)) - 8 * turns
        p.least[r] = (turns - 186) * <float> 0.6931471805599453


# How the exponentials of the lanes are taken
cdef struct Taken:
    lanes shift
    lanes magic
    lanes least
    lanes top
    lanes before
    lanes after
    lanes high
    lanes low


cdef inline lanes spread(const float* at, bint over, Py_ssize_t i) noexcept nogil:
    """A row's value in all lanes, or a row's in each."""
    return every(at[0]) if over else load_lanes(at + i)


cdef inline Taken taken_of(const Panel* p, Py_ssize_t r, Py_ssize_t i, const Scale* scale,
                           bint over, bint scaled) noexcept nogil:
    cdef Taken t
    t.shift = spread(p.shift + r, over, i)
    t.magic = spread(p.magic + r, over, i)
    t.least = spread(p.least + r, over, i)
    t.top = every(0) if scaled else spread(p.m32 + r, over, i) - t.shift
    if scaled:
        t.before = every(scale.before)
        t.after = every(scale.after)
        t.high = every(scale.high)
        t.low = every(scale.low)
    return t


cdef inline lanes quotient32(lanes x, const Taken* t, lanes* low) noexcept nogil:
    """(x - m) / temperature as the sum of two floats; low is 0 where that is infinite."""
    cdef lanes d, z, p, rest
    x = x * t.before
    d = x - t.shift
    z = d - x
    rest = ((x - (d - z)) - (t.shift + z)) * t.after
    d = d * t.after
    p = d * t.high
    rest = fused(rest, t.high, fused(d, t.low, fused(d, t.high, -p)))
    low[0] = between(p, every(-INFINITY), every(INFINITY), rest)
    return p


cdef inline lanes difference32(lanes x, const Taken* t, bint scaled, lanes* low) noexcept nogil:
    """What the exponential is taken of; scaled, it is that + low."""
    cdef lanes d
    if not scaled:
        return x - t.shift
    d = quotient32(x, t, low)
    low[0] = between(d, t.least, every(INFINITY), low[0])
    return greater(t.least, d)


cdef inline lanes exponential_of(lanes d, lanes rest, const Taken* t, bint scaled,
                                 lanes* power) noexcept nogil:
    if scaled:
        return exponential_of_sum(d, rest, t.magic, power)
    return exponential(d, t.magic, t.least, power)


# `keep`: store them. `apart`: entries that equal the maximum are counted instead of added, and
# what is nothing beside it is left out. What rounding takes is added up, too: low.

cdef inline lanes exponentials(lanes x, const Taken* t, bint scaled, bint apart, double* sums,
                               lanes* low, lanes* count) noexcept nogil:
    """Those of one vector, which enter the sums."""
    cdef lanes power, c, e, part, rest = every(0)
    cdef lanes d = difference32(x, t, scaled, &rest)
    c = exponential_of(d, rest, t, scaled, &power)
    e = fused(power, c, power)
    part = e
    rest = fused(power, c, power - e)
    if apart:
        count[0] = count_same(d, t.top, count[0])
        part = between(d, t.least, t.top, e)
        rest = between(d, t.least, t.top, rest)
    low[0] = low[0] + rest
    add_lanes(part, sums)
    return e


cdef inline void strip_exponentials(const Panel* p, Py_ssize_t r, const float* x, Py_ssize_t x_step,
                                    float* y, Py_ssize_t y_step, const Strip* s,
                                    const Scale* scale, bint over, bint scaled, bint keep,
                                    bint apart, double* sums, float* counts) noexcept nogil:
    cdef double total[SIDE]
    cdef Taken t
    cdef lanes low, count, e
    cdef Py_ssize_t v, i, k
    cdef int j
    for j in range(SIDE):
        total[j] = sums[j]
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        t = taken_of(p, r, i, scale, over, scaled)
        low = every(0)
        count = load_lanes(counts + i)
        for k in range(s.steps):
            e = exponentials(load_lanes(x + k * x_step + i), &t, scaled, apart, total + i, &low,
                             &count)
            if keep:
                store_lanes(y + k * y_step + i, e)
        if over and s.tail > i:
            e = exponentials(load_first(x + s.steps * x_step + i, s.tail - i, -INFINITY), &t,
                             scaled, apart, total + i, &low, &count)
            if keep:
                store_first(y + s.steps * y_step + i, e, s.tail - i)
        add_lanes(low, total + i)
        store_lanes(counts + i, count)
    for j in range(SIDE):
        sums[j] = total[j]


cdef inline void part_exponentials32(Panel* p, const Scale* scale, const Place* x, const Place* y,
                                     const Strip* s, bint over, bint scaled, bint keep,
                                     bint apart) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(p.rows if over else 1):
        strip_exponentials(p, r, <const float*> x.at + r * x.row, SIDE if over else x.step,
                           <float*> y.at + r * y.row, SIDE if over else y.step, s, scale, over,
                           scaled, keep, apart, p.sums + r * SIDE, p.counts32 + r * SIDE)


cdef inline void any_exponentials32(Panel* p, const Scale* scale, const Place* x, const Place* y,
                                    const Strip* s, bint keep, bint apart) noexcept nogil:
    if p.over and scale.scaled:
        part_exponentials32(p, scale, x, y, s, True, True, keep, apart)
    elif p.over:
        part_exponentials32(p, scale, x, y, s, True, False, keep, apart)
    elif scale.scaled:
        part_exponentials32(p, scale, x, y, s, False, True, keep, apart)
    else:
        part_exponentials32(p, scale, x, y, s, False, False, keep, apart)


cdef void part_exponentials_float(Panel* p, const Scale* scale, const Place* x, const Place* y,
                                  const Strip* s, bint keep, bint apart) noexcept nogil:
    if keep and apart:
        any_exponentials32(p, scale, x, y, s, True, True)
    elif keep:
        any_exponentials32(p, scale, x, y, s, True, False)
    else:
        any_exponentials32(p, scale, x, y, s, False, True)


cdef void set_tops(Panel* p, const Scale* scale) noexcept nogil:
    """The exponentials of the maxima."""
    cdef float power[SIDE]
    cdef float rest[SIDE]
    cdef lanes t, c
    cdef Py_ssize_t r, v, i
    if scale.scaled:
        for r in range(padded(p.rows)):
            p.top[r] = 2.0 ** 60
        return
    for r in range(0, padded(p.rows), 16):
        for v in range(SIDE // WIDTH):
            i = v * WIDTH
            c = exponential(load_lanes(p.m32 + r + i) - load_lanes(p.shift + r + i),
                            load_lanes(p.magic + r + i), load_lanes(p.least + r + i), &t)
            store_lanes(power + i, t)
            store_lanes(rest + i, c)
        for i in range(SIDE):
            p.top[r + i] = <double> power[i] + <double> power[i] * rest[i]


# Exponentials in double

cdef inline double difference(double x, double m, const Scale* scale, bint scaled,
                              double* low) noexcept nogil:
    """(x - m) / temperature as high + low; low is NaN where high is infinite."""
    cdef double d = x - m
    cdef double z = d - x
    cdef double rest = (x - (d - z)) - (m + z)
    cdef double q, p
    if scaled:
        q = d / scale.temperature
        p = q * scale.temperature
        rest = ((d - p) - product_error(q, scale.temperature, p) + rest) / scale.temperature
        # Dekker's split overflows for temperatures no one has
        rest = rest if rest == rest else 0
        d = q
    low[0] = rest
    return d


cdef inline void exp_pairs(const double* x, Py_ssize_t x_step, Py_ssize_t steps, const double* m,
                           const Scale* scale, bint scaled, bint keep, bint apart, double* y,
                           Py_ssize_t y_step, double* sums, double* rests,
                           double* counts) noexcept nogil:
    """The exponentials of steps of lanes enter sums + rests; of those that are 1 (the maximum, and
    what is as good as it) only the number, where they are set `apart`."""
    cdef double s[SIDE]
    cdef double r[SIDE]
    cdef double c[SIDE]
    cdef double top[SIDE]
    cdef double d, low = 0, over = 0, e, one, t, z, least = LEAST_PAIR
    cdef Scale by = scale[0]
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        s[j] = sums[j]
        r[j] = rests[j]
        c[j] = counts[j]
        top[j] = m[j]
    for k in range(steps):
        for j in range(SIDE):
            d = difference(x[k * x_step + j], top[j], &by, scaled, &low)
            e = exp_pair(d, low, least, &over)
            if keep:
                y[k * y_step + j] = e
            if apart:
                one = 1 if e == 1 else 0
                c[j] += one
                e = e - one
            t = s[j] + e
            z = t - s[j]
            r[j] += ((s[j] - (t - z)) + (e - z)) + over
            s[j] = t
    for j in range(SIDE):
        sums[j] = s[j]
        rests[j] = r[j]
        counts[j] = c[j]


cdef inline void copy_tail(const double* x, Py_ssize_t n, double rest, double* to) noexcept nogil:
    """n < SIDE entries, and `rest` for the others."""
    cdef Py_ssize_t j
    for j in range(SIDE):
        to[j] = rest
    memcpy(to, x, n * sizeof(double))


cdef inline void part_pairs(Panel* p, const Scale* scale, const Place* x, const Place* y,
                            const Strip* s, bint scaled, bint keep, bint apart) noexcept nogil:
    cdef double few[SIDE]
    cdef double m[SIDE]
    cdef const double* at
    cdef double* to
    cdef Py_ssize_t r, i
    for r in range(strips(p)):
        for i in range(SIDE):
            m[i] = p.m[r if p.over else i]
        at = <const double*> x.at + r * x.row
        to = <double*> y.at + r * y.row
        i = r * SIDE
        exp_pairs(at, x.step, s.steps, m, scale, scaled, keep, apart, to, y.step, p.sums + i,
                  p.rests + i, p.counts + i)
        if s.tail:
            copy_tail(at + s.steps * SIDE, s.tail, -INFINITY, few)
            exp_pairs(few, SIDE, 1, m, scale, scaled, keep, apart, few, SIDE, p.sums + i,
                      p.rests + i, p.counts + i)
            if keep:
                memcpy(to + s.steps * SIDE, few, s.tail * sizeof(double))


cdef inline void any_pairs(Panel* p, const Scale* scale, const Place* x, const Place* y,
                           const Strip* s, bint keep, bint apart) noexcept nogil:
    if scale.scaled:
        part_pairs(p, scale, x, y, s, True, keep, apart)
    else:
        part_pairs(p, scale, x, y, s, False, keep, apart)


cdef void part_exponentials_double(Panel* p, const Scale* scale, const Place* x, const Place* y,
                                   const Strip* s, bint keep, bint apart) noexcept nogil:
    if keep and apart:
        any_pairs(p, scale, x, y, s, True, True)
    elif keep:
        any_pairs(p, scale, x, y, s, True, False)
    else:
        any_pairs(p, scale, x, y, s, False, True)


# Sums of the lanes, by neighbours

cdef inline void add_pairs(const double* x, Py_ssize_t n, double* restrict y) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = x[2 * i] + x[2 * i + 1]


cdef inline void fold_sums(double* x, Py_ssize_t rows, double* spare) noexcept nogil:
    """x[r] = the sum of the SIDE lanes of row r."""
    add_pairs(x, rows * 8, spare)
    add_pairs(spare, rows * 4, x)
    add_pairs(x, rows * 2, spare)
    add_pairs(spare, rows, x)


cdef inline void fold_pairs(double* x, double* rest, Py_ssize_t rows) noexcept nogil:
    """x[r] + rest[r] = the sum of the SIDE lanes of row r."""
    cdef Py_ssize_t count = SIDE, i
    cdef double low
    while count > 1:
        count //= 2
        for i in range(rows * count):
            low = rest[2 * i] + rest[2 * i + 1]
            x[i] = two_sum(x[2 * i], x[2 * i + 1], &low)
            rest[i] = low


# A sum as high + low.
cdef struct Pair:
    double high
    double low


cdef inline Pair plus(Pair pair, double x) noexcept nogil:
    """pair + x, x >= 0."""
    cdef Pair s
    cdef double low = pair.low
    cdef double t = two_sum(pair.high, x, &low)
    s.high = t + low
    s.low = low - (s.high - t)
    return s


cdef inline Pair reciprocal(Pair s) noexcept nogil:
    cdef Pair v
    cdef double p
    v.high = 1 / s.high
    p = v.high * s.high
    v.low = ((1 - p) - product_error(v.high, s.high, p) - s.low * v.high) * v.high
    return v


cdef inline Pair sum_of(const Panel* p, Py_ssize_t r) noexcept nogil:
    """Of a float64 row, once folded; an infinite sum has no rest."""
    cdef Pair pair
    cdef double both = p.sums[r] + p.rests[r]
    pair.high = both if p.rests[r] == p.rests[r] else p.sums[r]
    pair.low = p.rests[r] - (both - p.sums[r]) if p.rests[r] == p.rests[r] else 0
    return pair


# The passes that all operations begin with

cdef inline void add_up(Panel* p, const Scale* scale, bint keep, bint apart,
                        real kind) noexcept nogil:
    """The maxima, and the sums of exponentials, which are kept in y if whole rows are there."""
    cdef Py_ssize_t start = 0, r, lanes = strips(p) * SIDE
    cdef Place x, y
    cdef Strip s
    maxima(p, kind)
    memset(p.sums, 0, lanes * sizeof(double))
    if real is float:
        set_limits(p, scale)
        memset(p.counts32, 0, lanes * sizeof(float))
    else:
        memset(p.rests, 0, lanes * sizeof(double))
        memset(p.counts, 0, lanes * sizeof(double))
    y = kept_from(p, 0, kind) if keep else x_from(p, 0, False, kind)
    while start < p.call.n:
        x = x_from(p, start, False, kind)
        if keep:
            y = kept_from(p, start, kind)
        s = strip_of(p, part_from(p, start), x.packed and (y.packed or not keep))
        if real is float:
            part_exponentials_float(p, scale, &x, &y, &s, keep, apart)
        else:
            part_exponentials_double(p, scale, &x, &y, &s, keep, apart)
        start += p.part
    if real is float:
        set_tops(p, scale)
        if apart:
            for r in range(lanes):
                p.counts[r] = p.counts32[r]
    if p.over:
        if apart:
            fold_sums(p.counts, p.rows, p.spare)
        if real is float:
            fold_sums(p.sums, p.rows, p.spare)
        else:
            fold_pairs(p.sums, p.rests, p.rows)
    if real is float:
        if apart:
            for r in range(padded(p.rows)):
                p.others[r] = p.sums[r] / p.top[r] + (p.counts[r] - 1)
                p.sum[r] = p.top[r] + p.top[r] * p.others[r]
        else:
            for r in range(padded(p.rows)):
                p.sum[r] = p.sums[r]


cdef inline void take_logs(Panel* p, real kind) noexcept nogil:
    """log[r] = log(sum), as log1p of the others: no digit of a sure row's probability gets lost."""
    cdef Pair others
    cdef Py_ssize_t r
    if real is float:
        for r in range(padded(p.rows)):
            p.log[r] = log1p_pair(p.others[r], 0)
        return
    for r in range(padded(p.rows)):
        others = plus(sum_of(p, r), p.counts[r] - 1)
        p.others[r] = others.high
        p.log[r] = log1p_pair(others.high, others.low)


cdef inline void split(Panel* p, const double* x) noexcept nogil:
    """x in two floats, to high and low."""
    cdef Py_ssize_t r
    for r in range(padded(p.rows)):
        p.high[r] = <float> x[r]
        p.low[r] = <float> (x[r] - p.high[r])
        p.low[r] = p.low[r] if p.low[r] == p.low[r] else 0      # of infinity
