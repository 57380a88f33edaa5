"""Maxima, exponentials and their sums: what all of the softmax family is made of.

float32 rows are computed in float. At temperature 1 no difference x - m is rounded: exponentials
are e^x 2^-t, with t the integer next to m log2(e) for the row's maximum m, so that the largest
lies near 1; a maximum of 256 or more is subtracted, which is exact for every x whose exponential
counts. At other temperatures the difference and its quotient carry what they round off in a second
float. All exponentials are scaled by 2^60: what underflows then is 0 in the result.

An exponential is power (1 + c). The powers are added up in multiples of a unit that is coarse
enough for a stretch's worth of adding without rounding, in a float; what that leaves of them, and
the products power c, in another. After every stretch of STRETCH entries both go into sums in
double, unless the row ends there.

float64 rows, and temperatures that no one has, carry the rounding of every step in a second
double.

Entry j of a row enters partial sum j % SIDE, and these are added up by neighbours: a lane each of
a row over the lanes, and one after the other of rows in lanes. So a row has the same bits in both.
"""

from libc.math cimport INFINITY
from libc.string cimport memcpy, memset

from cyact._level.abi cimport Rows
from cyact._level.copy cimport padded, real

cdef char* open_panel(Panel* p, const Rows* call, bint apart, Py_ssize_t narrow) noexcept nogil:
    """Lay the panel out in the call's scratch; returns where it ends. Results take the place of
    the input, unless they are to be `apart`. narrow: the longest row that stands in a lane,
    unless rows lie side by side already."""
    cdef char* at = call.scratch
    cdef Py_ssize_t size = 8 if call.dtype == FLOAT64 else 4, most, lanes, room
    p.call = call
    p.first = p.rows = 0
    p.over = call.n > narrow and not (call.n <= WIDEST and columns(&call.x))
    p.units = units_of(call.n)
    p.part = call.n
    p.packs = not p.over or packs_any(call, size)
    # However few rows there are: scratch that holds many has to hold the last of them.
    if p.packs and rows_together(call) * padded(call.n) > ROOM:
        p.part = min(call.n, <Py_ssize_t> PART)
    p.most = min(rows_together(call), call.rows)
    most = padded(p.most)
    p.width = p.part
    if p.over:
        p.width = padded(p.part)
        if p.width % 256 == 0:
            p.width += SIDE         # rows at large powers of two would share few lines of a cache
    lanes = most * SIDE if p.over else most
    # A block more: gathering overwrites, and scattering reads, beyond the last.
    room = 0
    if p.packs:
        room = p.most if p.over and not any_columns(call) else most
        room = (room * p.width + LANES * LANES) * size
    p.m = <double*> place(&at, most * 8)
    p.sum = <double*> place(&at, most * 8)
    p.others = <double*> place(&at, most * 8)
    p.count = <double*> place(&at, most * 8)
    p.log = <double*> place(&at, most * 8)
    p.factor = <double*> place(&at, most * 8)
    p.factor_low = <double*> place(&at, most * 8)
    p.top = <double*> place(&at, most * 8)
    p.product = <double*> place(&at, most * 8)
    p.product_low = <double*> place(&at, most * 8)
    p.product32 = <float*> place(&at, most * 4)
    p.m32 = <float*> place(&at, most * 4)
    p.shift = <float*> place(&at, most * 4)
    p.magic = <float*> place(&at, most * 4)
    p.least = <float*> place(&at, most * 4)
    p.high = <float*> place(&at, most * 4)
    p.low = <float*> place(&at, most * 4)
    p.sums = <double*> place(&at, lanes * 8)
    p.rests = <double*> place(&at, lanes * 8)
    p.counts = <double*> place(&at, lanes * 8)
    p.products = <double*> place(&at, lanes * 8)
    p.products_low = <double*> place(&at, lanes * 8)
    p.spare = <double*> place(&at, lanes * 8)
    p.counts32 = <float*> place(&at, lanes * 4)
    p.highs = <float*> place(&at, lanes * 4)
    p.lows = <float*> place(&at, lanes * 4)
    p.x = p.y = place(&at, room)
    if apart:
        p.y = place(&at, room)
    p.grad = place(&at, room if call.grad.data != NULL else 0)
    return at


cdef double LEAST_PAIR = -746.0    # e^-746 rounds to 0

# (x - m) / temperature, as the loops want it.
cdef struct Scale:
    bint scaled         # temperature is not 1
    double temperature
    double inverse
    float high          # inverse, in two floats
    float low


cdef inline Scale scale_of(const double* p) noexcept nogil:
    cdef Scale s
    s.temperature = 1.0 if p == NULL else p[0]
    s.scaled = s.temperature != 1.0
    s.inverse = 1.0 / s.temperature
    s.high = <float> s.inverse
    s.low = <float> (s.inverse - s.high)
    return s


cdef inline bint is_extreme(const double* p) noexcept nogil:
    """Whether 1 / temperature, or a difference over it, may be no float."""
    return p != NULL and not 2.0 ** -60 < p[0] < 2.0 ** 60


# Maxima; NaN is passed over

cdef inline void raise_lanes32(const float* x, const Steps* s, float* tops) noexcept nogil:
    cdef floats a, b
    cdef Py_ssize_t v, i, k
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        a = b = load(tops + i)
        for k in range(s.steps // 2):
            a = maximum(load(x + 2 * k * SIDE + i), a)
            b = maximum(load(x + (2 * k + 1) * SIDE + i), b)
        if s.steps & 1:
            a = maximum(load(x + (s.steps - 1) * SIDE + i), a)
        if s.tail > i:
            b = maximum(load_first(x + s.steps * SIDE + i, s.tail - i, -INFINITY), b)
        store(tops + i, maximum(a, b))


cdef inline void raise_lanes(const real* x, const Steps* s, real* tops) noexcept nogil:
    cdef real a[SIDE]
    cdef Py_ssize_t k
    cdef int j
    if real is float:
        raise_lanes32(x, s, tops)
    else:
        for j in range(SIDE):
            a[j] = tops[j]
        for k in range(s.steps):
            for j in range(SIDE):
                a[j] = x[k * SIDE + j] if x[k * SIDE + j] > a[j] else a[j]
        for j in range(SIDE):
            tops[j] = a[j]
        for k in range(s.tail):
            tops[k] = x[s.steps * SIDE + k] if x[s.steps * SIDE + k] > tops[k] else tops[k]


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
        memcpy(m, tops, padded(p.rows) * sizeof(real))


cdef void maxima(Panel* p, real kind) noexcept nogil:
    cdef real* tops = <real*> p.sums
    cdef Py_ssize_t start = 0, r, i
    cdef Steps s
    cdef Place x
    for i in range(strips(p) * SIDE):
        tops[i] = -INFINITY
    while start < p.call.n:
        x = x_from(p, start, True, kind)
        s = steps_of(p, part_from(p, start), x.packed)
        for r in range(strips(p)):
            raise_lanes(<const real*> x.at + r * x.strip, &s, tops + r * SIDE)
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
        p.shift[r] = p.m32[r] - m     # NaN stays NaN
        turns = fmaf(m, <float> 1.4426950408889634, one) - one
        p.magic[r] = <float> (12582912 + 8 * (127 + 60)) - 8 * turns
        p.least[r] = (turns - 186) * <float> 0.6931471805599453


# How the exponentials of the lanes are taken
cdef struct Taken:
    floats shift
    floats magic
    floats least
    floats top
    floats units
    floats high
    floats low


cdef inline floats spread(const float* at, bint over, Py_ssize_t i) noexcept nogil:
    """A row's value in all lanes, or a row's in each."""
    return broadcast(at[0]) if over else load(at + i)


cdef inline Taken taken_of(const Panel* p, Py_ssize_t r, Py_ssize_t i, const Scale* scale,
                           bint over, bint scaled) noexcept nogil:
    cdef Taken t
    t.shift = spread(p.shift + r, over, i)
    t.magic = spread(p.magic + r, over, i)
    t.least = spread(p.least + r, over, i)
    t.top = broadcast(0) if scaled else spread(p.m32 + r, over, i) - t.shift
    t.units = broadcast(p.units)
    t.high = t.low = t.units
    if scaled:
        t.high = broadcast(scale.high)
        t.low = broadcast(scale.low)
    return t


cdef inline floats quotient32(floats x, const Taken* t, floats* low) noexcept nogil:
    """(x - m) / temperature as the sum of two floats; low is NaN where that is infinite."""
    cdef floats d = x - t.shift
    cdef floats z = d - x
    cdef floats rest = (x - (d - z)) - (t.shift + z)
    cdef floats p = d * t.high
    low[0] = fmav(rest, t.high, fmav(d, t.low, fmav(d, t.high, -p)))
    return p


cdef inline floats difference32(floats x, const Taken* t, bint scaled, floats* low) noexcept nogil:
    """What the exponential is taken of; scaled, it is that + low."""
    cdef floats d
    if not scaled:
        return x - t.shift
    d = quotient32(x, t, low)
    low[0] = between(d, t.least, broadcast(INFINITY), low[0])
    return maximum(t.least, d)


cdef inline floats exponential_of(floats d, floats rest, const Taken* t, bint scaled,
                                  floats* power) noexcept nogil:
    if scaled:
        return exponential_of_sum(d, rest, t.magic, power)
    return exponential(d, t.magic, t.least, power)


cdef enum:
    STRETCH = 16        # steps, or entries of a partial sum
    BRIEF = 256         # the longest row that is one stretch


cdef inline double doubt_of(const Panel* p) noexcept nogil:
    """Others that add up to less, as a multiple of the maximum, may be but roughly known."""
    if p.call.n > BRIEF:
        return 0.5
    return p.call.n * (p.units * 2.0 ** -80)


cdef inline floats exponentials_of(floats x, const Taken* t, bint scaled, floats* d,
                                   floats* power, floats* c) noexcept nogil:
    """Rounded, and in the two parts that they are made of."""
    cdef floats rest = broadcast(0)
    d[0] = difference32(x, t, scaled, &rest)
    c[0] = exponential_of(d[0], rest, t, scaled, power)
    return fmav(power[0], c[0], power[0])


# `apart`: entries that equal the maximum are counted instead of added, and what is nothing beside
# it is left out.

cdef inline floats add_exponentials(floats x, const Taken* t, bint scaled, bint apart,
                                    floats* high, floats* low, floats* count) noexcept nogil:
    cdef floats d, power, c, sum
    cdef floats e = exponentials_of(x, t, scaled, &d, &power, &c)
    if apart:
        power = between(d, t.least, t.top, power)
        count[0] = count_equal(d, t.top, count[0])
    sum = high[0] + power
    low[0] = fmav(power, c, low[0] + (power - (sum - high[0])))
    high[0] = sum
    return e


# A vector of a strip: from lane i on. `keep`: store the exponentials.

cdef inline void add_over(const Taken* t, const float* x, float* y, const Steps* s, Py_ssize_t i,
                          bint scaled, bint keep, bint apart, bint brief, double* sums,
                          float* highs, float* lows, float* counts) noexcept nogil:
    """Of a row over the lanes; `brief`: it is one stretch."""
    cdef floats e, high, low, count = broadcast(0)
    cdef Py_ssize_t k, start = 0, end
    while start < s.steps or (start == s.steps and s.tail > 0):
        end = min(start + STRETCH, s.steps)
        high = t.units
        low = broadcast(0)
        for k in range(start, end):
            e = add_exponentials(load(x + k * SIDE + i), t, scaled, apart, &high, &low,
                                 &count)
            if keep:
                store(y + k * SIDE + i, e)
        if end - start < STRETCH and s.tail > i:
            e = add_exponentials(load_first(x + end * SIDE + i, s.tail - i, -INFINITY), t, scaled,
                                 apart, &high, &low, &count)
            if keep:
                store_first(y + end * SIDE + i, e, s.tail - i)
        if brief:
            store(highs + i, high - t.units)
            store(lows + i, low)
        else:
            add_to_doubles(sums + i, high - t.units)
            add_to_doubles(sums + i, low)
        start += STRETCH
    if apart:
        store(counts + i, count)


cdef inline void add_beside(const Taken* t, const float* x, float* y, Py_ssize_t n, Py_ssize_t i,
                            bint scaled, bint keep, bint apart, float* highs, float* lows,
                            float* counts, const Lines* soon) noexcept nogil:
    """Of rows in lanes; `soon`: those of the next panel.

    In a tie, what rounds off a power depends on the sum that it is added to: so partial sums of
    powers have slots as well.
    """
    cdef float highs_of[SIDE * SIDE]
    cdef float slots[SIDE * SIDE]
    cdef floats e, low, high, count = broadcast(0)
    cdef Py_ssize_t k, at
    for k in range(n):
        prefetch(soon.data + k * soon.item)
        at = (k % SIDE) * WIDTH
        high = t.units
        low = broadcast(0)
        if k >= SIDE:
            high = load(highs_of + at)
            low = load(slots + at)
        e = add_exponentials(load(x + k * SIDE + i), t, scaled, apart, &high, &low, &count)
        if keep:
            store(y + k * SIDE + i, e)
        store(highs_of + at, high)
        store(slots + at, low)
    high = broadcast(0)
    for k in range(min(n, <Py_ssize_t> SIDE)):
        high = high + (load(highs_of + k * WIDTH) - t.units)       # exactly
    store(highs + i, high)
    store(lows + i, fold_slots(slots, n))
    if apart:
        store(counts + i, count)


cdef inline floats fold_slots(float* slots, Py_ssize_t n) noexcept nogil:
    """The sum of the partial sums of rows in lanes, by neighbours."""
    cdef Py_ssize_t count = 1, k
    while count < n and count < SIDE:
        count *= 2
    for k in range(n, count):
        store(slots + k * WIDTH, broadcast(0))
    while count > 1:
        count //= 2
        for k in range(count):
            store(slots + k * WIDTH, load(slots + 2 * k * WIDTH)
                        + load(slots + (2 * k + 1) * WIDTH))
    return load(slots)


cdef inline void part_exponentials32(Panel* p, const Scale* scale, const Place* x, const Place* y,
                                     const Steps* s, bint over, bint scaled, bint keep,
                                     bint apart) noexcept nogil:
    cdef Taken t
    cdef Py_ssize_t r, v, i, at
    cdef const float* source
    cdef float* to
    cdef bint brief = p.call.n <= BRIEF
    cdef Lines soon
    for r in range(strips(p)):
        source = <const float*> x.at + r * x.strip
        to = <float*> y.at + r * y.strip
        at = r * SIDE
        for v in range(SIDE // WIDTH):
            i = v * WIDTH
            t = taken_of(p, r if over else at, i, scale, over, scaled)
            if not over:
                soon = soon_of(p, &p.call.x, r)
                add_beside(&t, source, to, s.steps, i, scaled, keep, apart, p.highs + at,
                           p.lows + at, p.counts32 + at, &soon)
            elif brief or apart:
                add_over(&t, source, to, s, i, scaled, keep, apart, True, NULL, p.highs + at,
                         p.lows + at, p.counts32 + at)
            else:
                add_over(&t, source, to, s, i, scaled, keep, False, False, p.sums + at, NULL, NULL,
                         NULL)


cdef inline void any_exponentials32(Panel* p, const Scale* scale, const Place* x, const Place* y,
                                    const Steps* s, bint keep, bint apart) noexcept nogil:
    if p.over and scale.scaled:
        part_exponentials32(p, scale, x, y, s, True, True, keep, apart)
    elif p.over:
        part_exponentials32(p, scale, x, y, s, True, False, keep, apart)
    elif scale.scaled:
        part_exponentials32(p, scale, x, y, s, False, True, keep, apart)
    else:
        part_exponentials32(p, scale, x, y, s, False, False, keep, apart)


cdef void part_exponentials_float(Panel* p, const Scale* scale, const Place* x, const Place* y,
                                  const Steps* s, bint keep, bint apart) noexcept nogil:
    if keep and apart:
        any_exponentials32(p, scale, x, y, s, True, True)
    elif keep:
        any_exponentials32(p, scale, x, y, s, True, False)
    elif apart:
        any_exponentials32(p, scale, x, y, s, False, True)
    else:
        any_exponentials32(p, scale, x, y, s, False, False)


# What rows of doubt need: their others rounded, but added up in double, where no unit counts

cdef inline void count_and_add(floats x, const Taken* t, bint scaled, double* sums,
                               floats* count) noexcept nogil:
    cdef floats d, power, c
    cdef floats e = exponentials_of(x, t, scaled, &d, &power, &c)
    count[0] = count_equal(d, t.top, count[0])
    add_to_doubles(sums, between(d, t.least, t.top, e))


cdef inline void recount_strip(const Panel* p, Py_ssize_t r, const Scale* scale, const float* x,
                               const Steps* s, bint scaled) noexcept nogil:
    cdef double total[SIDE * SIDE]
    cdef Taken t
    cdef floats count
    cdef Py_ssize_t v, i, k, at, first = first_row(p, r)
    for v in range(SIDE // WIDTH):
        i = v * WIDTH
        t = taken_of(p, first, i, scale, p.over, scaled)
        count = load(p.counts32 + r * SIDE + i)
        memset(total, 0, sizeof(total))
        for k in range(s.steps):
            at = 0 if p.over else (k % SIDE) * WIDTH
            count_and_add(load(x + k * SIDE + i), &t, scaled, total + at, &count)
        if s.tail > i:
            count_and_add(load_first(x + s.steps * SIDE + i, s.tail - i, -INFINITY), &t, scaled,
                          total, &count)
        if not p.over:
            fold_wide_slots(total)
        for k in range(WIDTH):
            p.sums[r * SIDE + i + k] += total[k]
        store(p.counts32 + r * SIDE + i, count)


cdef inline void fold_wide_slots(double* slots) noexcept nogil:
    cdef Py_ssize_t count = SIDE, k, i
    while count > 1:
        count //= 2
        for k in range(count):
            for i in range(WIDTH):
                slots[k * WIDTH + i] = (slots[2 * k * WIDTH + i]
                                        + slots[(2 * k + 1) * WIDTH + i])


cdef void recount(Panel* p, const Scale* scale) noexcept nogil:
    """Correct the others of rows of which they are but roughly known."""
    cdef Py_ssize_t start = 0, r, j, lanes = strips(p) * SIDE
    cdef double doubt = doubt_of(p)
    cdef Place x
    cdef Steps s
    memset(p.sums, 0, lanes * sizeof(double))
    memset(p.counts32, 0, lanes * sizeof(float))
    while start < p.call.n:
        x = x_from(p, start, False, <float> 0)
        s = steps_of(p, part_from(p, start), x.packed)
        for r in range(strips(p)):
            if not any_doubt(p, r, doubt):
                continue
            if scale.scaled:
                recount_strip(p, r, scale, <const float*> x.at + r * x.strip, &s, True)
            else:
                recount_strip(p, r, scale, <const float*> x.at + r * x.strip, &s, False)
        start += p.part
    for j in range(lanes):
        p.counts[j] = p.counts32[j]
    if p.over:
        fold_sums(p.counts, p.rows, p.spare)
        fold_sums(p.sums, p.rows, p.spare)
    for r in range(p.rows):
        if p.others[r] < doubt:
            p.others[r] = p.sums[r] / p.top[r] + (p.counts[r] - 1)
            p.sum[r] = p.top[r] + p.top[r] * p.others[r]


cdef inline bint any_doubt(const Panel* p, Py_ssize_t strip, double doubt) noexcept nogil:
    cdef Py_ssize_t r, first = first_row(p, strip)
    cdef int found = 0
    for r in range(first, min(p.rows, first + (1 if p.over else SIDE))):
        found |= 1 if p.others[r] < doubt else 0
    return found != 0


cdef void set_tops(Panel* p, const Scale* scale) noexcept nogil:
    """The exponentials of the maxima."""
    cdef float power[SIDE]
    cdef float rest[SIDE]
    cdef floats t, c
    cdef Py_ssize_t r, v, i
    if scale.scaled:
        for r in range(padded(p.rows)):
            p.top[r] = 2.0 ** 60
        return
    for r in range(0, padded(p.rows), 16):
        for v in range(SIDE // WIDTH):
            i = v * WIDTH
            c = exponential(load(p.m32 + r + i) - load(p.shift + r + i),
                            load(p.magic + r + i), load(p.least + r + i), &t)
            store(power + i, t)
            store(rest + i, c)
        for i in range(SIDE):
            p.top[r + i] = <double> power[i] + <double> power[i] * rest[i]


# Exponentials in double

cdef inline double difference(double x, double m, const Scale* scale, bint scaled,
                              double* low) noexcept nogil:
    """(x - m) / temperature as high + low; low is NaN where high is infinite."""
    cdef pair d = two_sum(x, -m)
    cdef double q, p
    if scaled:
        q = d.hi / scale.temperature
        p = q * scale.temperature
        d.lo = ((d.hi - p) - product_error(q, scale.temperature, p) + d.lo) / scale.temperature
        # Dekker's split overflows for temperatures no one has
        d.lo = d.lo if d.lo == d.lo else 0
        d.hi = q
    low[0] = d.lo
    return d.hi


cdef inline void exp_pairs(const double* x, Py_ssize_t steps, const double* m,
                           const Scale* scale, bint over, bint scaled, double apart,
                           double* y, Py_ssize_t y_step, double* sums, double* rests,
                           double* counts) noexcept nogil:
    """The exponentials of steps of lanes go to y, from step to step y_step entries on, and enter
    sums + rests; of those that are 1 (the maximum, and what is as good as it) only the number,
    where `apart` is 1 instead of 0. Rows in lanes have SIDE partial sums."""
    cdef double s[SIDE * SIDE]
    cdef double r[SIDE * SIDE]
    cdef double c[SIDE]
    cdef double top[SIDE]
    cdef double d, low = 0, lost = 0, e, one, least = LEAST_PAIR
    cdef pair sum
    cdef Scale by = scale[0]
    cdef Py_ssize_t k, at = 0
    cdef int j
    for j in range(SIDE):
        s[j] = sums[j]
        r[j] = rests[j]
        c[j] = counts[j]
        top[j] = m[j]
    if not over:
        memset(s, 0, sizeof(s))
        memset(r, 0, sizeof(r))
    for k in range(steps):
        if not over:
            at = (k % SIDE) * SIDE
        for j in range(SIDE):
            d = difference(x[k * SIDE + j], top[j], &by, scaled, &low)
            e = exp_pair(d, low, least, &lost)
            y[k * y_step + j] = e
            one = apart if e == 1 else 0
            c[j] += one
            e = e - one
            sum = two_sum(s[at + j], e)
            r[at + j] += sum.lo + lost
            s[at + j] = sum.hi
    if not over:
        fold_pair_slots(s, r)
    for j in range(SIDE):
        sums[j] = s[j]
        rests[j] = r[j]
        counts[j] = c[j]


cdef inline void fold_pair_slots(double* s, double* r) noexcept nogil:
    cdef Py_ssize_t count = SIDE, k
    cdef double low
    cdef int j
    while count > 1:
        count //= 2
        for k in range(count):
            for j in range(SIDE):
                low = r[2 * k * SIDE + j] + r[(2 * k + 1) * SIDE + j]
                s[k * SIDE + j] = add_to(s[2 * k * SIDE + j], s[(2 * k + 1) * SIDE + j], &low)
                r[k * SIDE + j] = low


cdef inline void copy_tail(const double* x, Py_ssize_t n, double rest, double* to) noexcept nogil:
    """n < SIDE entries, and `rest` for the others."""
    cdef Py_ssize_t j
    for j in range(SIDE):
        to[j] = rest
    memcpy(to, x, n * sizeof(double))


cdef inline void part_pairs(Panel* p, const Scale* scale, const Place* x, const Place* y,
                            const Steps* s, bint over, bint scaled, bint keep,
                            double apart) noexcept nogil:
    cdef double few[SIDE]
    cdef double m[SIDE]
    cdef const double* at
    cdef double* to
    cdef Py_ssize_t r, i, step = SIDE if keep else 0
    for r in range(strips(p)):
        for i in range(SIDE):
            m[i] = p.m[row_in(p, r, <int> i)]
        at = <const double*> x.at + r * x.strip
        to = <double*> y.at + r * y.strip if keep else few
        i = r * SIDE
        exp_pairs(at, s.steps, m, scale, over, scaled, apart, to, step, p.sums + i, p.rests + i,
                  p.counts + i)
        if over and s.tail:
            copy_tail(at + s.steps * SIDE, s.tail, -INFINITY, few)
            exp_pairs(few, 1, m, scale, over, scaled, apart, few, step, p.sums + i, p.rests + i,
                      p.counts + i)
            if keep:
                memcpy(to + s.steps * SIDE, few, s.tail * sizeof(double))


cdef void part_exponentials_double(Panel* p, const Scale* scale, const Place* x, const Place* y,
                                   const Steps* s, bint keep, bint apart) noexcept nogil:
    if p.over and scale.scaled:
        part_pairs(p, scale, x, y, s, True, True, keep, apart)
    elif p.over:
        part_pairs(p, scale, x, y, s, True, False, keep, apart)
    elif scale.scaled:
        part_pairs(p, scale, x, y, s, False, True, keep, apart)
    else:
        part_pairs(p, scale, x, y, s, False, False, keep, apart)


# Sums of the lanes, by neighbours

cdef inline void add_pairs(const real* x, Py_ssize_t n, real* restrict y) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = x[2 * i] + x[2 * i + 1]


cdef inline void fold_sums(real* x, Py_ssize_t rows, real* spare) noexcept nogil:
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
            x[i] = add_to(x[2 * i], x[2 * i + 1], &low)
            rest[i] = low


# A sum as high + low.
cdef struct Pair:
    double high
    double low


cdef inline Pair plus(Pair pair, double x) noexcept nogil:
    """pair + x, x >= 0."""
    cdef Pair s
    cdef double low = pair.low
    cdef double t = add_to(pair.high, x, &low)
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
    """The maxima, and the sums of exponentials, which are kept in y if whole rows are there;
    `apart`: the others are to be known well."""
    cdef Py_ssize_t start = 0, r, lanes = strips(p) * SIDE
    cdef Place x, y
    cdef Steps s
    cdef bint apart_now = apart
    maxima(p, kind)
    if real is float:
        set_limits(p, scale)
        set_tops(p, scale)
        apart_now = apart and p.call.n <= BRIEF
        if p.call.n > BRIEF:
            memset(p.sums, 0, lanes * sizeof(double))
    else:
        memset(p.sums, 0, lanes * sizeof(double))
        memset(p.rests, 0, lanes * sizeof(double))
        memset(p.counts, 0, lanes * sizeof(double))
    y = kept_from(p, 0, kind) if keep else x_from(p, 0, False, kind)
    while start < p.call.n:
        x = x_from(p, start, False, kind)
        if keep:
            y = kept_from(p, start, kind)
        s = steps_of(p, part_from(p, start), x.packed and (y.packed or not keep))
        if real is float:
            part_exponentials_float(p, scale, &x, &y, &s, keep, apart_now)
        else:
            part_exponentials_double(p, scale, &x, &y, &s, keep, apart)
        start += p.part
    if real is float:
        finish_sums32(p, scale, apart, apart_now)
    elif p.over:
        if apart:
            fold_sums(p.counts, p.rows, p.spare)
        fold_pairs(p.sums, p.rests, p.rows)


cdef void finish_sums32(Panel* p, const Scale* scale, bint apart, bint counted) noexcept nogil:
    """sum and others of each row; `counted`: the maxima are not in the sums."""
    cdef Py_ssize_t r
    cdef double doubt = doubt_of(p)
    cdef int found = 0
    if p.call.n > BRIEF:
        fold_sums(p.sums, p.rows, p.spare)
    else:
        if p.over:
            fold_sums(p.highs, p.rows, <float*> p.spare)
            fold_sums(p.lows, p.rows, <float*> p.spare)
            if counted:
                fold_sums(p.counts32, p.rows, <float*> p.spare)
        for r in range(padded(p.rows)):
            p.sums[r] = <double> p.highs[r] + p.lows[r]
    if counted:
        for r in range(padded(p.rows)):
            p.others[r] = p.sums[r] / p.top[r] + (<double> p.counts32[r] - 1)
            p.sum[r] = p.top[r] + p.top[r] * p.others[r]
    else:
        for r in range(padded(p.rows)):
            p.sum[r] = p.sums[r]
            p.others[r] = (p.sum[r] - p.top[r]) / p.top[r]
    if apart:
        for r in range(p.rows):
            found |= 1 if p.others[r] < doubt else 0
        if found:
            recount(p, scale)


cdef inline void take_logs(Panel* p, real kind) noexcept nogil:
    """log[r] = log(sum), as log1p of the others: no digit of a sure row's probability gets lost."""
    cdef Pair others
    cdef Py_ssize_t r
    if real is float:
        for r in range(padded(p.rows)):
            p.log[r] = log1p_pair(p.others[r], 0)
    else:
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
