"""float32 rows at temperature 1, in float: the exponentials, their sums and what becomes of them.

No difference x - m is rounded. The exponentials are e^x 2^-t, with t the integer next to
m log2(e) for the row's maximum m, so that the largest lies near 1; a maximum of 256 or more is
subtracted, which is exact for every x whose exponential counts. All are scaled by 2^SPARE: what
underflows then is 0 in the result.

Entry j of a row enters partial sum j % LANES. An exponential is power (1 + c). The powers are
added up in multiples of a unit that is coarse enough for a stretch's worth of adding without
rounding, in a float; what that leaves of them, and the products power c, in another.
After every STRETCH entries both go into sums in double, unless the row ends there. The partial
sums are added up in one order. Rows next to each other in memory are computed a strip of STRIP at
a time, an entry of each in a register; other rows by themselves, LANES entries in a register.
Both do the same operations in the same order, so that a row has the same bits either way.
"""

from libc.math cimport INFINITY
from libc.string cimport memcpy, memset

from cyact._level.abi cimport CrossEntropy, Rows
from cyact._level.cache cimport stream, stream_end
from cyact._level.rows.rowio cimport (
    TOPS, copy, load, magnitude, padded, raise_to, real, room, row_max, store)
from cyact._level.rows.rowlanes cimport (
    WIDTH, add_lanes, between, count_same, every, exponential, fused, greater, lanes, load_lanes,
    store_lanes, stream_lanes)
from cyact._level.rows.rowmath cimport log1p_pair, muladdf, out_doubles, out_floats

cdef enum:
    LANES = 16
    STRIP = 32          # GCC 12 leaves the maxima of fewer as scalars
    STRETCH = 256
    PANEL = 512         # most rows worked on together
    TOGETHER = 64       # of those by themselves
    TILE = 1024         # most entries of a tile of short rows
    ROOM = 8192         # and of packed strips

cdef extern from *:
    """
    #define CYACT_HIGH 590295810358705651712.0f
    #define CYACT_HIGH_APART 36893488147419103232.0f
    #if defined(__GNUC__)
      #define cyact_prefetch(x) __builtin_prefetch(x)
    #else
      #define cyact_prefetch(x) ((void)(x))
    #endif
    """
    # 2^69: the unit is 2^46. The entries of a stretch, each at most 2^60.5, add up to 2^68.5.
    const float HIGH "CYACT_HIGH"
    # 2^65: 2^42. Of a row of up to a stretch each partial sum has 16 entries at most.
    const float APART "CYACT_HIGH_APART"
    void prefetch "cyact_prefetch" (const float* x) noexcept nogil

# Rows that are worked on together, and what their exponentials need: shift is the maximum if that
# is subtracted, else 0. The odd sizes keep arrays that are used together off each other's cache
# sets.
cdef struct Panel:
    float m[512]
    float shift[512]
    float magic[512]
    float least[512]
    double sum[512]     # of the exponentials
    double top[512]     # the maximum's exponential
    double others[512]  # the sum of all but one maximum, as a multiple of it
    float count[512]    # of entries that equal the maximum
    double log[512]     # log1p of that
    double factor[512]
    float high[512]     # factor, or another double, in two floats
    float low[512]
    double total[1040]  # partial sums
    double room64[1040]
    float high_sums[1040]
    float low_sums[1056]
    float counts[1072]
    float room[1040]
    float room2[1072]
    float spread[2064]  # a row's value for each of its entries
    float spread2[1104]
    float x[8208]       # the rows, and their exponentials or results, if they are packed
    float y[8224]

# Where the rows of a call are worked on.
cdef enum:
    SINGLE      # one by one
    PADDED      # several, each in whole blocks
    TILES       # short ones, row after row, padded to a power of two
    STRIPS      # side by side, packed
    DIRECT      # side by side where they are


cdef inline void exponentials32(const float* x, Py_ssize_t n, const float* magic,
                                const float* least, double* e) noexcept nogil:
    """Those of entries of many rows."""
    cdef float power[16]
    cdef float rest[16]
    cdef lanes p, c
    cdef Py_ssize_t start, i, v
    for start in range(0, n, 16):
        for v in range(16 // WIDTH):
            i = v * WIDTH
            c = exponential(load_lanes(x + start + i), load_lanes(magic + start + i),
                            load_lanes(least + start + i), &p)
            store_lanes(power + i, p)
            store_lanes(rest + i, c)
        for i in range(16):
            e[start + i] = <double> power[i] + <double> power[i] * rest[i]


cdef inline double exponential_of(float x, const Panel* panel, Py_ssize_t r) noexcept nogil:
    """That of one entry of row r."""
    cdef float power[16]
    cdef float rest[16]
    cdef lanes p
    cdef lanes c = exponential(every(x - panel.shift[r]), every(panel.magic[r]),
                               every(panel.least[r]), &p)
    store_lanes(power, p)
    store_lanes(rest, c)
    return <double> power[0] + <double> power[0] * rest[0]


cdef inline void limits(Panel* panel, Py_ssize_t rows) noexcept nogil:
    """From the maxima: how the exponentials of each row are taken."""
    cdef Py_ssize_t r
    cdef float turns, m, one = 12582912
    for r in range((rows + 15) & -16):
        m = panel.m[r]
        m = m if m > -256 else 0
        m = m if m < 256 else 0
        panel.shift[r] = panel.m[r] - m     # NaN stays NaN
        turns = muladdf(m, <float> 1.4426950408889634, one) - one
        panel.magic[r] = <float> (12582912 + 8 * (127 + 60)) - 8 * turns
        panel.least[r] = (turns - 186) * <float> 0.6931471805599453


cdef inline bint any_shift(const Panel* panel, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t r
    cdef int found = 0
    for r in range((rows + 15) & -16):
        found |= 1 if panel.shift[r] != 0 else 0
    return found != 0


# Sums of neighbours: of many rows at a time they take no shuffling within one

cdef inline void add_pairs32(const float* x, Py_ssize_t n, out_floats y) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = x[2 * i] + x[2 * i + 1]


cdef inline void add_pairs64(const double* x, Py_ssize_t n, out_doubles y) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = x[2 * i] + x[2 * i + 1]


cdef inline void greater_of_pairs(const float* x, Py_ssize_t n, out_floats y) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = x[2 * i] if x[2 * i] > x[2 * i + 1] else x[2 * i + 1]


cdef inline void fold(float* x, Py_ssize_t rows, Py_ssize_t count, float* spare, float* to,
                      bint maxima) noexcept nogil:
    """to[r] = the sum, or the maximum, of x[r * count], ...; x and spare are used up."""
    cdef float* after
    if count == 1:
        memcpy(to, x, rows * sizeof(float))
        return
    while True:
        count //= 2
        after = to if count == 1 else spare
        if maxima:
            greater_of_pairs(x, rows * count, after)
        else:
            add_pairs32(x, rows * count, after)
        if count == 1:
            return
        spare = x
        x = after


cdef inline void fold64(Panel* panel, Py_ssize_t rows, Py_ssize_t count) noexcept nogil:
    """panel.sum[r] = the sum of the `count` partial sums in panel.total, which are used up."""
    cdef double* x = &panel.total[0]
    cdef double* spare = &panel.room64[0]
    cdef double* after
    if count == 1:
        memcpy(panel.sum, x, rows * sizeof(double))
    while count > 1:
        count //= 2
        after = &panel.sum[0] if count == 1 else spare
        add_pairs64(x, rows * count, after)
        spare = x
        x = after


cdef inline void sum_lanes(Panel* panel, Py_ssize_t rows, Py_ssize_t count, bint apart,
                           bint single) noexcept nogil:
    """From the partial sums of rows of up to a stretch to sums. `single`: of one entry each. Such
    rows are not read again where all but the maximum is little: no digit of that gets lost."""
    cdef Py_ssize_t r
    fold(panel.high_sums, rows, count, panel.room, panel.high, False)
    if apart:
        fold(panel.counts, rows, count, panel.room, panel.count, False)
    if apart and single:
        for r in range((rows * count + 15) & -16):
            panel.total[r] = panel.low_sums[r]
        fold64(panel, rows, count)
        for r in range((rows + 15) & -16):
            panel.sum[r] += panel.high[r]
        return
    fold(panel.low_sums, rows, count, panel.room, panel.low, False)
    for r in range((rows + 15) & -16):
        panel.sum[r] = <double> panel.high[r] + panel.low[r]


# Rows by themselves

# Exponentials of x and their partial sums: `keep`: they are stored, too; `apart`: entries that
# equal the maximum, `top`, are counted instead of added, and what is nothing beside it is left out.

cdef inline void stretch(const float* x, Py_ssize_t n, float magic, float least, float top,
                         bint keep, bint apart, bint fresh, float* high_sums, float* low_sums,
                         float* counts, float* e, Py_ssize_t ahead) noexcept nogil:
    """Add the exponentials to the partial sums, or to none if `fresh`; the high ones are HIGH
    too great. What lies `ahead` entries further on is wanted soon."""
    cdef lanes magics = every(magic), leasts = every(least), tops = every(top)
    cdef lanes high, low, power, t, c, d, count
    cdef Py_ssize_t part, i, v
    for v in range(LANES // WIDTH):
        part = v * WIDTH
        count = every(0)
        if fresh:
            high = every(APART if apart else HIGH)
            low = every(0)
        else:
            high = load_lanes(high_sums + part)
            low = load_lanes(low_sums + part)
        for i in range(part, n, 16):
            if part == 0:
                prefetch(x + i + ahead)
            d = load_lanes(x + i)
            c = exponential(d, magics, leasts, &power)
            if keep:
                store_lanes(e + i, fused(power, c, power))
            if apart:
                power = between(d, leasts, tops, power)
                count = count_same(d, tops, count)
            t = high + power
            low = fused(power, c, low + (power - (t - high)))
            high = t
        store_lanes(high_sums + part, high)
        store_lanes(low_sums + part, low)
        if apart:
            store_lanes(counts + part, count)


cdef inline void flush(double* total, const float* high, const float* low,
                       Py_ssize_t n) noexcept nogil:
    """After a stretch of a long row."""
    cdef Py_ssize_t i, v
    for v in range(n // WIDTH):
        i = v * WIDTH
        add_lanes(load_lanes(high + i) - every(HIGH), load_lanes(low + i), total + i)


cdef inline Py_ssize_t piece(Py_ssize_t left, Py_ssize_t step) noexcept nogil:
    """How much of a row to take next: within a stretch, what needs no copy first."""
    cdef Py_ssize_t count = min(left, <Py_ssize_t> STRETCH)
    return count & -LANES if step == sizeof(float) and count >= LANES else count


cdef inline void row_tops(const char* x, Py_ssize_t step, Py_ssize_t n, float* buffer,
                          float* tops) noexcept nogil:
    """TOPS maxima. The last entries of a row are read twice rather than copied."""
    cdef float m
    cdef int j
    if step == sizeof(float) and n >= TOPS:
        memcpy(tops, x + (n - TOPS) * step, TOPS * sizeof(float))
        raise_to(<const float*> x, n & -TOPS, tops)
        return
    m = row_max(x, step, n, buffer)
    for j in range(TOPS):
        tops[j] = m


cdef inline void row_sums(const char* x, Py_ssize_t x_step, char* y, Py_ssize_t y_step,
                          Py_ssize_t n, Panel* panel, Py_ssize_t r, bint keep,
                          Py_ssize_t ahead) noexcept nogil:
    """The partial sums of the exponentials of row r, which go to y if they are to be kept."""
    cdef float buffer[STRETCH]
    cdef float result[STRETCH]
    cdef float high[LANES]
    cdef float low[LANES]
    cdef double* total = panel.total + r * LANES
    cdef float shift = panel.shift[r]
    cdef Py_ssize_t start = 0, count, i
    cdef const float* values
    cdef float* to = result
    memset(total, 0, LANES * sizeof(double))
    while start < n:
        count = piece(n - start, x_step)
        values = load(x + start * x_step, x_step, count, buffer, <float> -INFINITY)
        if keep:
            to = room(y + start * y_step, y_step, count, result)
        if shift != 0:
            for i in range(padded(count)):
                buffer[i] = values[i] - shift
            values = buffer
        if start % STRETCH == 0:
            stretch(values, padded(count), panel.magic[r], panel.least[r], 0, keep, False, True,
                    high, low, NULL, to, ahead)
        else:
            stretch(values, padded(count), panel.magic[r], panel.least[r], 0, keep, False, False,
                    high, low, NULL, to, ahead)
        if keep:
            store(to, y + start * y_step, y_step, count)
        start += count
        if start % STRETCH == 0 or start == n:
            flush(total, high, low, LANES)


cdef inline void scale_row(char* y, Py_ssize_t step, Py_ssize_t n, float high,
                           float low) noexcept nogil:
    """y *= high + low, rounded once."""
    cdef float buffer[STRETCH]
    cdef float* at
    cdef Py_ssize_t start = 0, count, i
    if step == sizeof(float):
        at = <float*> y
        start = n & -LANES
        for i in range(n & -LANES):
            at[i] = muladdf(at[i], high, at[i] * low)
    while start < n:
        count = piece(n - start, step)
        copy(y + start * step, step, count, buffer, <float> 0, LANES)
        for i in range(padded(count)):
            buffer[i] = muladdf(buffer[i], high, buffer[i] * low)
        store(buffer, y + start * step, step, count)
        start += count


cdef inline void subtract_row(const char* x, Py_ssize_t x_step, char* y, Py_ssize_t y_step,
                              Py_ssize_t n, float high, float low) noexcept nogil:
    """y = x - high - low."""
    cdef float buffer[STRETCH]
    cdef float result[STRETCH]
    cdef Py_ssize_t start = 0, count, i
    cdef const float* values
    cdef float* to
    while start < n:
        count = piece(n - start, x_step)
        values = load(x + start * x_step, x_step, count, buffer, <float> 0)
        to = room(y + start * y_step, y_step, count, result)
        for i in range(padded(count)):
            to[i] = (values[i] - high) - low
        store(to, y + start * y_step, y_step, count)
        start += count


# Rows of up to a stretch, padded to whole blocks: at x + r * step floats

cdef inline Py_ssize_t beyond(Py_ssize_t n) noexcept nogil:
    """How many rows a row's whole blocks reach into, besides itself."""
    return (padded(n) - 1) // n


cdef inline void last_blocks(const float* x, Py_ssize_t x_step, Py_ssize_t rows,
                             const float* bound, Py_ssize_t step, out_floats to) noexcept nogil:
    """Copy a block of each row, no entry above its bound. NaN gives the bound: +inf, which makes
    the row as NaN as it would."""
    cdef Py_ssize_t r
    cdef int j
    for r in range(rows):
        for j in range(LANES):
            to[r * step + j] = x[r * x_step + j] if x[r * x_step + j] < bound[j] else bound[j]


cdef inline void pad_rows(const char* x, Py_ssize_t row, Py_ssize_t item, Py_ssize_t n,
                          Py_ssize_t rows, bint last, float* to) noexcept nogil:
    """Copy rows in whole blocks, padded with -inf. But for the last rows of a call a row is read
    beyond its end, which is in the next one."""
    cdef Py_ssize_t step = padded(n), full = step - LANES, r, i, safe = 0
    cdef float bound[LANES]
    cdef int j
    for j in range(LANES):
        bound[j] = INFINITY if full + j < n else -INFINITY
    if item == sizeof(float) and row >= n * <Py_ssize_t> sizeof(float):
        safe = max(<Py_ssize_t> 0, rows - beyond(n)) if last else rows
    if full:
        for r in range(safe):
            for i in range(0, full, 16):
                memcpy(to + r * step + i, x + r * row + i * sizeof(float), LANES * sizeof(float))
    last_blocks(<const float*> x + full, row // <Py_ssize_t> sizeof(float), safe, bound, step,
                to + full)
    for r in range(safe, rows):
        copy(x + r * row, item, n, to + r * step, <float> -INFINITY, LANES)


cdef inline void block_sums(const float* x, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t e_step,
                            bint keep, bint apart, Panel* panel, float* e) noexcept nogil:
    """What padded_sums() does of rows of one block."""
    cdef lanes power, t, c, d, top, least, unit = every(APART if apart else HIGH)
    cdef Py_ssize_t r, i, v
    for r in range(rows):
        for v in range(LANES // WIDTH):
            i = v * WIDTH
            d = load_lanes(x + r * step + i)
            least = every(panel.least[r])
            c = exponential(d, every(panel.magic[r]), least, &power)
            if keep:
                store_lanes(e + r * e_step + i, fused(power, c, power))
            if apart:
                top = every(panel.m[r])
                power = between(d, least, top, power)
                store_lanes(panel.counts + r * LANES + i, count_same(d, top, every(0)))
            t = (unit + power) - unit
            store_lanes(panel.high_sums + r * LANES + i, t)
            store_lanes(panel.low_sums + r * LANES + i, fused(power, c, power - t))


cdef inline void padded_sums(const float* x, Py_ssize_t step, Py_ssize_t n, Py_ssize_t rows,
                             float* e, Py_ssize_t e_step, bint keep, bint apart,
                             Panel* panel) noexcept nogil:
    cdef Py_ssize_t r, i
    cdef const float* at
    cdef float shift
    if n == LANES:
        for r in range(rows):
            memcpy(panel.spread + r * LANES, x + r * step, LANES * sizeof(float))
    else:
        for r in range(rows):
            memcpy(panel.spread + r * TOPS, x + r * step + n - TOPS, TOPS * sizeof(float))
            raise_to(x + r * step, n & -TOPS, panel.spread + r * TOPS)
    fold(panel.spread, rows, LANES if n == LANES else TOPS, panel.room, panel.m, True)
    limits(panel, rows)
    if n == LANES and not any_shift(panel, rows):
        block_sums(x, step, rows, e_step, keep, apart, panel, e)
        sum_lanes(panel, rows, LANES, apart, True)
        return
    for r in range(rows):
        at = x + r * step
        shift = panel.shift[r]
        if shift != 0:
            for i in range(n & -LANES):
                panel.spread[i] = at[i] - shift
            at = panel.spread
        stretch(at, n, panel.magic[r], panel.least[r], panel.m[r] - shift, keep, apart, True,
                panel.high_sums + r * LANES, panel.low_sums + r * LANES, panel.counts + r * LANES,
                e + r * e_step, rows * step)
    for i in range(rows * LANES):
        panel.high_sums[i] -= APART if apart else HIGH
    sum_lanes(panel, rows, LANES, apart, n == LANES)


cdef inline void padded_scale(const float* e, Py_ssize_t step, Py_ssize_t n, Py_ssize_t first,
                              Py_ssize_t rows, const Panel* panel, Py_ssize_t y_step,
                              out_floats y) noexcept nogil:
    """Results may overlap the next row's, which are written after."""
    cdef Py_ssize_t r, block, i
    cdef float high, low
    cdef int j
    for r in range(first, rows):
        high = panel.high[r]
        low = panel.low[r]
        for block in range(n // LANES):
            for j in range(LANES):
                i = block * LANES + j
                y[r * y_step + i] = muladdf(e[r * step + i], high, e[r * step + i] * low)


cdef inline void padded_subtract(const float* x, Py_ssize_t step, Py_ssize_t n,
                                 Py_ssize_t first, Py_ssize_t rows, const Panel* panel,
                                 Py_ssize_t y_step, out_floats y) noexcept nogil:
    cdef Py_ssize_t r, block, i
    cdef float high, low
    cdef int j
    for r in range(first, rows):
        high = panel.high[r]
        low = panel.low[r]
        for block in range(n // LANES):
            for j in range(LANES):
                i = block * LANES + j
                y[r * y_step + i] = (x[r * step + i] - high) - low


cdef inline Py_ssize_t rows_in_place(const Rows* call, Py_ssize_t rows) noexcept nogil:
    """Of a panel's results, how many rows can be written in whole blocks that reach into the next
    row: not the last ones, where the next row is another panel's or thread's."""
    if call.y_item != sizeof(float) or call.y_row != call.n * <Py_ssize_t> sizeof(float):
        return 0
    return max(<Py_ssize_t> 0, rows - beyond(call.n))


cdef inline void store_rows(const Rows* call, const float* result, Py_ssize_t first,
                            Py_ssize_t rows, char* y) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(first, rows):
        store(result + r * padded(call.n), y + r * call.y_row, call.y_item, call.n)


cdef inline bint in_blocks(Py_ssize_t n, Py_ssize_t item) noexcept nogil:
    return item == sizeof(float) and n % LANES == 0


# Short rows, one after the other in tiles: `width` entries each, a power of two

cdef inline Py_ssize_t width_of(Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t width = 1
    while width < n:
        width *= 2
    return width


cdef inline void widen(const float* x, Py_ssize_t n, Py_ssize_t width, Py_ssize_t rows,
                       float* to) noexcept nogil:
    """Pad rows of n entries to width 8 or 4. Reads and writes beyond the last, as pad_rows()."""
    cdef float nothing[8]
    cdef Py_ssize_t r
    cdef int j
    for j in range(8):
        nothing[j] = -INFINITY
    for r in range(rows):
        if width == 8:
            memcpy(to + r * 8, x + r * n, 8 * sizeof(float))
            memcpy(to + r * 8 + n, nothing, 8 * sizeof(float))
        else:
            memcpy(to + r * 4, x + r * n, 4 * sizeof(float))
            memcpy(to + r * 4 + n, nothing, 4 * sizeof(float))


cdef inline void narrow(const float* x, Py_ssize_t n, Py_ssize_t width, Py_ssize_t rows,
                        float* to) noexcept nogil:
    """The reverse. Writes beyond the last."""
    cdef Py_ssize_t r
    for r in range(rows):
        if width == 8:
            memcpy(to + r * n, x + r * 8, 8 * sizeof(float))
        else:
            memcpy(to + r * n, x + r * 4, 4 * sizeof(float))


cdef inline void twice(const float* x, Py_ssize_t n, out_floats y) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[2 * i] = x[i]
        y[2 * i + 1] = x[i]


cdef inline void spread_out(const float* x, Py_ssize_t rows, Py_ssize_t width, float* spare,
                            float* to) noexcept nogil:
    """A row's value for each of its `width` entries."""
    if width == 8:
        twice(x, rows, to)
        twice(to, 2 * rows, spare)
        twice(spare, 4 * rows, to)
    elif width == 4:
        twice(x, rows, spare)
        twice(spare, 2 * rows, to)
    elif width == 2:
        twice(x, rows, to)
    else:
        memcpy(to, x, rows * sizeof(float))


cdef inline void load_tile32(const Rows* call, const char* x, Py_ssize_t rows, Py_ssize_t width,
                             Panel* panel) noexcept nogil:
    cdef Py_ssize_t n = call.n, r, j
    cdef float* to = &panel.x[0] if n == width else &panel.y[0]
    if call.x_item == sizeof(float) and call.x_row == n * call.x_item:
        memcpy(to, x, rows * n * sizeof(float))
    else:
        for r in range(rows):
            for j in range(n):
                to[r * n + j] = (<const float*> (x + r * call.x_row + j * call.x_item))[0]
    if n != width:
        memset(to + rows * n, 0, 16 * sizeof(float))
        widen(to, n, width, rows, panel.x)


cdef inline void store_tile32(const Rows* call, float* result, char* y, Py_ssize_t rows,
                              Py_ssize_t width, float* spare) noexcept nogil:
    cdef Py_ssize_t n = call.n, r, j
    if n != width:
        narrow(result, n, width, rows, spare)
        result = spare
    if call.y_item == sizeof(float) and call.y_row == n * call.y_item:
        memcpy(y, result, rows * n * sizeof(float))
    else:
        for r in range(rows):
            for j in range(n):
                (<float*> (y + r * call.y_row + j * call.y_item))[0] = result[r * n + j]


cdef inline void tile_exponentials32(const float* x, Py_ssize_t n, bint apart, const float* top,
                                     Panel* panel) noexcept nogil:
    """Spread over the entries: magic in panel.spread, least in panel.spread2."""
    cdef lanes power, t, c, d, most, least, unit = every(APART if apart else HIGH)
    cdef Py_ssize_t i, v
    for v in range(((n + 15) & -16) // WIDTH):
        i = v * WIDTH
        d = load_lanes(x + i)
        least = load_lanes(panel.spread2 + i)
        c = exponential(d, load_lanes(panel.spread + i), least, &power)
        store_lanes(panel.y + i, fused(power, c, power))
        if apart:
            most = load_lanes(top + i)
            power = between(d, least, most, power)
            store_lanes(panel.counts + i, count_same(d, most, every(0)))
        t = (unit + power) - unit
        store_lanes(panel.high_sums + i, t)
        store_lanes(panel.low_sums + i, fused(power, c, power - t))


cdef inline void tile_sums32(const float* x, Py_ssize_t width, Py_ssize_t rows, bint apart,
                             Panel* panel) noexcept nogil:
    """The exponentials to panel.y, their sums to panel.sum."""
    cdef Py_ssize_t i, n = rows * width
    memcpy(panel.spread, x, n * sizeof(float))
    fold(panel.spread, rows, width, panel.room, panel.m, True)
    limits(panel, rows)
    if any_shift(panel, rows):
        spread_out(panel.shift, rows, width, panel.room2, panel.spread)
        for i in range((n + 15) & -16):
            panel.room[i] = x[i] - panel.spread[i]
        x = panel.room
    spread_out(panel.magic, rows, width, panel.room2, panel.spread)
    spread_out(panel.least, rows, width, panel.room2, panel.spread2)
    if apart:
        for i in range((rows + 15) & -16):
            panel.count[i] = panel.m[i] - panel.shift[i]
        spread_out(panel.count, rows, width, panel.room2, panel.low_sums)
    tile_exponentials32(x, n, apart, panel.low_sums, panel)
    sum_lanes(panel, rows, width, apart, True)


# Rows side by side: x[j * step + r] is entry j of row r

cdef inline Py_ssize_t strips(Py_ssize_t rows) noexcept nogil:
    return (rows + STRIP - 1) & -STRIP


cdef inline void strip_tops(const float* x, Py_ssize_t step, Py_ssize_t n,
                            float* m) noexcept nogil:
    cdef lanes top
    cdef Py_ssize_t part, j, v
    for v in range(STRIP // WIDTH):
        part = v * WIDTH
        top = every(<float> -INFINITY)
        for j in range(n):
            top = greater(load_lanes(x + j * step + part), top)
        store_lanes(m + part, top)


# Of a vector of rows of a strip: how their exponentials are taken, and partial sums of them

cdef struct Taken:
    lanes shift
    lanes magic
    lanes least
    lanes top

cdef struct Parts:
    float high[256]
    float low[256]
    lanes count


cdef inline Taken taken_of(const Panel* panel, Py_ssize_t r) noexcept nogil:
    cdef Taken taken
    taken.shift = load_lanes(panel.shift + r)
    taken.magic = load_lanes(panel.magic + r)
    taken.least = load_lanes(panel.least + r)
    taken.top = load_lanes(panel.m + r) - taken.shift
    return taken


cdef inline void strip_stretch(const float* x, Py_ssize_t x_step, float* y, Py_ssize_t y_step,
                               Py_ssize_t start, Py_ssize_t end, const Taken* taken, bint keep,
                               bint apart, Parts* parts, const char* soon,
                               Py_ssize_t item) noexcept nogil:
    """The partial sums of a stretch; the high ones are HIGH too great. soon[j * item] is wanted
    soon: asking for one line with each vector hides the wait for it, asking for all at once does
    not."""
    cdef lanes power, high, t, c, d, low, count = every(0)
    cdef lanes unit = every(APART if apart else HIGH)
    cdef Py_ssize_t j, at
    for j in range(start, end):
        at = (j & 15) * WIDTH
        prefetch(<const float*> (soon + j * item))
        d = load_lanes(x + j * x_step) - taken.shift
        c = exponential(d, taken.magic, taken.least, &power)
        if keep:
            store_lanes(y + j * y_step, fused(power, c, power))
        if apart:
            power = between(d, taken.least, taken.top, power)
            count = count_same(d, taken.top, count)
        high = unit
        low = every(0)
        if j >= start + LANES:
            high = load_lanes(parts.high + at)
            low = load_lanes(parts.low + at)
        t = high + power
        store_lanes(parts.high + at, t)
        store_lanes(parts.low + at, fused(power, c, low + (power - (t - high))))
    for j in range(end - start, LANES):
        store_lanes(parts.high + j * WIDTH, unit)
        store_lanes(parts.low + j * WIDTH, every(0))
    parts.count = count


cdef inline lanes four(const float* x, lanes less) noexcept nogil:
    """The sum of four vectors, each first lessened."""
    return (((load_lanes(x) - less) + (load_lanes(x + WIDTH) - less))
            + ((load_lanes(x + 2 * WIDTH) - less) + (load_lanes(x + 3 * WIDTH) - less)))


cdef inline lanes sixteen(const float* x, lanes less) noexcept nogil:
    return ((four(x, less) + four(x + 4 * WIDTH, less))
            + (four(x + 8 * WIDTH, less) + four(x + 12 * WIDTH, less)))


cdef inline void fold_lanes(double* sums, double* total) noexcept nogil:
    """From LANES partial sums of a vector of rows to sums, in the order of fold64()."""
    cdef Py_ssize_t lane, i, count = LANES
    while count > 1:
        count //= 2
        for lane in range(count):
            for i in range(WIDTH):
                sums[lane * WIDTH + i] = (sums[2 * lane * WIDTH + i]
                                          + sums[(2 * lane + 1) * WIDTH + i])
    for i in range(WIDTH):
        total[i] = sums[i]


cdef inline void strip_sums(const float* x, Py_ssize_t x_step, float* y, Py_ssize_t y_step,
                            Py_ssize_t n, Panel* panel, Py_ssize_t first, bint keep, bint apart,
                            const char* soon, Py_ssize_t row, Py_ssize_t item) noexcept nogil:
    """The sums of the exponentials of STRIP rows, from `first` on in the panel; `soon`: where
    those begin that follow."""
    cdef double sums[LANES * 16]
    cdef float high[STRIP]
    cdef float low[STRIP]
    cdef Taken taken
    cdef Parts parts
    cdef Py_ssize_t part, start, r, v
    for v in range(STRIP // WIDTH):
        part = v * WIDTH
        taken = taken_of(panel, first + part)
        if n > STRETCH:
            memset(sums, 0, sizeof(sums))
            for start in range(0, n, 256):
                strip_stretch(x + part, x_step, y + part, y_step, start, min(start + STRETCH, n),
                              &taken, keep, False, &parts, soon + part * row, item)
                flush(sums, parts.high, parts.low, LANES * WIDTH)
            fold_lanes(sums, panel.sum + first + part)
        else:
            strip_stretch(x + part, x_step, y + part, y_step, 0, n, &taken, keep, apart, &parts,
                          soon + part * row, item)
            store_lanes(high + part, sixteen(parts.high, every(APART if apart else HIGH)))
            store_lanes(panel.count + first + part, parts.count)
            if apart and n <= LANES:
                for r in range(LANES * WIDTH):
                    sums[r] = parts.low[r]
                fold_lanes(sums, panel.sum + first + part)
            else:
                store_lanes(low + part, sixteen(parts.low, every(0)))
                for r in range(WIDTH):
                    panel.sum[first + part + r] = low[part + r]
    if n <= STRETCH:
        for r in range(STRIP):
            panel.sum[first + r] += high[r]


cdef inline void strip_scale(const float* e, Py_ssize_t e_step, float* y, Py_ssize_t y_step,
                             Py_ssize_t n, const Panel* panel, Py_ssize_t first) noexcept nogil:
    cdef lanes high, low, value
    cdef Py_ssize_t part, j, v
    for v in range(STRIP // WIDTH):
        part = v * WIDTH
        high = load_lanes(panel.high + first + part)
        low = load_lanes(panel.low + first + part)
        for j in range(n):
            value = load_lanes(e + j * e_step + part)
            store_lanes(y + j * y_step + part, fused(value, high, value * low))


cdef inline void strip_subtract(const float* x, Py_ssize_t x_step, float* y, Py_ssize_t y_step,
                                Py_ssize_t n, const Panel* panel,
                                Py_ssize_t first) noexcept nogil:
    cdef lanes high, low
    cdef Py_ssize_t part, j, v
    for v in range(STRIP // WIDTH):
        part = v * WIDTH
        high = load_lanes(panel.high + first + part)
        low = load_lanes(panel.low + first + part)
        for j in range(n):
            store_lanes(y + j * y_step + part, (load_lanes(x + j * x_step + part) - high) - low)


cdef inline bint in_lines(const Rows* call, Py_ssize_t done, Py_ssize_t take) noexcept nogil:
    """Whether results of packed rows are whole cache lines, to be stored past the caches."""
    cdef Py_ssize_t begin = <Py_ssize_t> (call.y + done * call.y_row)
    return (call.stream and call.y_row == sizeof(float)
            and (begin | call.y_item | take * <Py_ssize_t> sizeof(float)) & 63 == 0)


cdef inline void stream_strips(const float* e, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t n,
                               const Panel* panel, bint subtract, char* y,
                               Py_ssize_t item) noexcept nogil:
    """What strip_scale() or strip_subtract() do, a column of many rows at a time: as much of it
    lies together."""
    cdef lanes value, high, low
    cdef Py_ssize_t j, r, v
    for j in range(n):
        for v in range(rows // WIDTH):
            r = v * WIDTH
            value = load_lanes(e + j * step + r)
            high = load_lanes(panel.high + r)
            low = load_lanes(panel.low + r)
            if subtract:
                value = (value - high) - low
            else:
                value = fused(value, high, value * low)
            stream_lanes(<float*> (y + j * item) + r, value)


cdef inline void pack(const char* x, Py_ssize_t row, Py_ssize_t item, Py_ssize_t n,
                      Py_ssize_t rows, float* to) noexcept nogil:
    """Rows side by side, whole strips of them."""
    cdef Py_ssize_t run = strips(rows), r, j
    if row == sizeof(float):
        for j in range(n):
            for r in range(0, rows + 15, 16):
                prefetch(<const float*> (x + (j + 4) * item) + r)
            memcpy(to + j * run, x + j * item, rows * sizeof(float))
    else:
        for r in range(rows):
            for j in range(n):
                to[j * run + r] = (<const float*> (x + r * row + j * item))[0]
    if run > rows:
        for j in range(n):
            memset(to + j * run + rows, 0, (run - rows) * sizeof(float))


cdef inline void unpack(const float* y, char* to, Py_ssize_t row, Py_ssize_t item, Py_ssize_t n,
                        Py_ssize_t rows, bint past) noexcept nogil:
    cdef Py_ssize_t run = strips(rows), r, j
    if row == sizeof(float) and past:
        for j in range(n):
            stream(<const char*> (y + j * run), to + j * item, rows * sizeof(float))
    elif row == sizeof(float):
        for j in range(n):
            memcpy(to + j * item, y + j * run, rows * sizeof(float))
    else:
        for r in range(rows):
            for j in range(n):
                (<float*> (to + r * row + j * item))[0] = y[j * run + r]


# A panel: the next rows of a call, in the way that suits them

cdef inline int way_of(const Rows* call, Py_ssize_t left) noexcept nogil:
    cdef bint columns = magnitude(call.x_row) < magnitude(call.x_item)
    if call.n <= 8 and (not columns or left < STRIP):
        return TILES
    if columns and left >= STRIP // 4 and call.n * STRIP <= ROOM:
        return STRIPS
    if (call.x_row == sizeof(float) and left >= STRIP
            and (call.y == NULL or call.y_row == sizeof(float))):
        return DIRECT
    return PADDED if call.n <= STRETCH else SINGLE


cdef inline Py_ssize_t strips_at(const Rows* call, Py_ssize_t left) noexcept nogil:
    """How many packed rows to take next; where results go past the caches, those of the next
    panel begin with a line."""
    cdef Py_ssize_t most = min(<Py_ssize_t> PANEL // 2, ROOM // call.n & -STRIP)
    if call.stream and call.y_row == sizeof(float):
        most -= (<Py_ssize_t> (call.y + (call.rows - left) * call.y_row) & 63) // 4
    return min(left, most)


cdef inline Py_ssize_t panel_rows(const Rows* call, Py_ssize_t left, int way) noexcept nogil:
    cdef Py_ssize_t most
    if way == TILES:
        most = min(<Py_ssize_t> PANEL, TILE // width_of(call.n))
    elif way == STRIPS:
        return strips_at(call, left)
    elif way == DIRECT:
        most = min(<Py_ssize_t> 64, left & -STRIP)
    elif way == PADDED:
        most = min(<Py_ssize_t> TOGETHER, 2 * TILE // padded(call.n))
    else:
        most = max(<Py_ssize_t> 1, ROOM // 2 // call.n)
    return min(left, most)


cdef inline void sum_panel(const Rows* call, Py_ssize_t done, Py_ssize_t take, int way,
                           bint keep, bint apart, Panel* panel) noexcept nogil:
    """The sums of `take` rows from `done` on. The exponentials are kept in y, or in panel.y if
    the rows are packed. `apart` is for rows of up to a stretch."""
    cdef const char* x = call.x + done * call.x_row
    cdef char* y = call.y + done * call.y_row if keep else NULL
    cdef const float* at
    cdef float* to
    cdef Py_ssize_t r, width, step, y_step
    if way == TILES:
        width = width_of(call.n)
        load_tile32(call, x, take, width, panel)
        tile_sums32(panel.x, width, take, apart, panel)
    elif way == PADDED:
        # In place the exponentials must not overwrite what is still read.
        if in_blocks(call.n, call.x_item) and x != y:
            at = <const float*> x
            step = call.x_row // <Py_ssize_t> sizeof(float)
        else:
            pad_rows(x, call.x_row, call.x_item, call.n, take,
                     done + take + beyond(call.n) > call.rows, panel.x)
            at = panel.x
            step = padded(call.n)
        if keep and in_blocks(call.n, call.y_item):
            padded_sums(at, step, padded(call.n), take, <float*> y,
                        call.y_row // <Py_ssize_t> sizeof(float), keep, apart, panel)
        else:
            padded_sums(at, step, padded(call.n), take, panel.y, padded(call.n), keep, apart,
                        panel)
    elif way == SINGLE:
        for r in range(take):
            row_tops(x + r * call.x_row, call.x_item, call.n, panel.spread, panel.x + r * TOPS)
        fold(panel.x, take, TOPS, panel.y, panel.m, True)
        limits(panel, take)
        for r in range(take):
            row_sums(x + r * call.x_row, call.x_item, y + r * call.y_row, call.y_item, call.n,
                     panel, r, keep, take * call.x_row // <Py_ssize_t> sizeof(float))
        fold64(panel, take, LANES)
    else:
        if way == STRIPS:
            pack(x, call.x_row, call.x_item, call.n, take, panel.x)
            at = panel.x
            to = panel.y
            step = y_step = strips(take)
        else:
            at = <const float*> x
            to = <float*> y
            step = call.x_item // <Py_ssize_t> sizeof(float)
            y_step = call.y_item // <Py_ssize_t> sizeof(float)
        for r in range(0, strips(take), 32):
            strip_tops(at + r, step, call.n, panel.m + r)
        limits(panel, strips(take))
        for r in range(0, strips(take), 32):
            strip_sums(at + r, step, to + r, y_step, call.n, panel, r, keep, apart,
                       x + (take + r) * call.x_row, call.x_row, call.x_item)


cdef inline void split(const double* x, Py_ssize_t n, Panel* panel) noexcept nogil:
    """x in two floats, to panel.high and panel.low."""
    cdef Py_ssize_t r
    cdef float high
    for r in range((n + 15) & -16):
        high = <float> x[r]
        panel.high[r] = high
        panel.low[r] = <float> (x[r] - high)


cdef inline bint straight_out(const Rows* call, Py_ssize_t take) noexcept nogil:
    """Whether whole strips of results can be written where they belong."""
    return call.y_row == sizeof(float) and take % STRIP == 0 and not call.stream


cdef inline void scale_panel(const Rows* call, Py_ssize_t done, Py_ssize_t take, int way,
                             Panel* panel) noexcept nogil:
    """y = the exponentials that were kept, each times panel.factor of its row."""
    cdef char* y = call.y + done * call.y_row
    cdef float* to
    cdef Py_ssize_t r, i, width, step, y_step
    cdef bint straight
    split(panel.factor, take, panel)
    if way == TILES:
        width = width_of(call.n)
        spread_out(panel.high, take, width, panel.room, panel.spread)
        spread_out(panel.low, take, width, panel.room, panel.spread2)
        for i in range((take * width + 15) & -16):
            panel.x[i] = muladdf(panel.y[i], panel.spread[i], panel.y[i] * panel.spread2[i])
        store_tile32(call, panel.x, y, take, width, panel.y)
    elif way == PADDED and not in_blocks(call.n, call.y_item):
        width = padded(call.n)
        r = rows_in_place(call, take)
        padded_scale(panel.y, width, width, 0, r, panel, call.n, <float*> y)
        padded_scale(panel.y, width, width, r, take, panel, width, panel.x)
        store_rows(call, panel.x, r, take, y)
    elif way == SINGLE or way == PADDED:
        for r in range(take):
            scale_row(y + r * call.y_row, call.y_item, call.n, panel.high[r], panel.low[r])
    elif way == STRIPS and in_lines(call, done, take):
        stream_strips(panel.y, strips(take), take, call.n, panel, False, y, call.y_item)
    else:
        to = &panel.y[0] if way == STRIPS else <float*> y
        y_step = call.y_item // <Py_ssize_t> sizeof(float)
        step = strips(take) if way == STRIPS else y_step
        straight = way == DIRECT or straight_out(call, take)
        for r in range(0, strips(take), 32):
            if straight:
                strip_scale(to + r, step, <float*> y + r, y_step, call.n, panel, r)
            else:
                strip_scale(to + r, step, to + r, step, call.n, panel, r)
        if not straight:
            unpack(panel.y, y, call.y_row, call.y_item, call.n, take, call.stream)


cdef inline void subtract_panel(const Rows* call, Py_ssize_t done, Py_ssize_t take, int way,
                                Panel* panel) noexcept nogil:
    """y = x - panel.high - panel.low of its row."""
    cdef const char* x = call.x + done * call.x_row
    cdef char* y = call.y + done * call.y_row
    cdef Py_ssize_t r, i, width, step
    if way == TILES:
        width = width_of(call.n)
        spread_out(panel.high, take, width, panel.room, panel.spread)
        spread_out(panel.low, take, width, panel.room, panel.spread2)
        for i in range((take * width + 15) & -16):
            panel.x[i] = (panel.x[i] - panel.spread[i]) - panel.spread2[i]
        store_tile32(call, panel.x, y, take, width, panel.y)
    elif way == PADDED and not in_blocks(call.n, call.x_item):
        width = padded(call.n)
        r = rows_in_place(call, take)
        padded_subtract(panel.x, width, width, 0, r, panel, call.n, <float*> y)
        padded_subtract(panel.x, width, width, r, take, panel, width, panel.y)
        store_rows(call, panel.y, r, take, y)
    elif way == SINGLE or way == PADDED:
        for r in range(take):
            subtract_row(x + r * call.x_row, call.x_item, y + r * call.y_row, call.y_item, call.n,
                         panel.high[r], panel.low[r])
    elif way == STRIPS and in_lines(call, done, take):
        stream_strips(panel.x, strips(take), take, call.n, panel, True, y, call.y_item)
    elif way == STRIPS and straight_out(call, take):
        for r in range(0, take, 32):
            strip_subtract(panel.x + r, take, <float*> y + r,
                           call.y_item // <Py_ssize_t> sizeof(float), call.n, panel, r)
    elif way == STRIPS:
        step = strips(take)
        for r in range(0, step, 32):
            strip_subtract(panel.x + r, step, panel.y + r, step, call.n, panel, r)
        unpack(panel.y, y, call.y_row, call.y_item, call.n, take, call.stream)
    else:
        for r in range(0, take, 32):
            strip_subtract(<const float*> x + r, call.x_item // <Py_ssize_t> sizeof(float),
                           <float*> y + r, call.y_item // <Py_ssize_t> sizeof(float), call.n,
                           panel, r)


# softmax

cdef inline void tops(Panel* panel, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t r
    for r in range((rows + 15) & -16):
        panel.room[r] = panel.m[r] - panel.shift[r]
    exponentials32(panel.room, rows, panel.magic, panel.least, panel.top)


cdef inline void put_one(char* y, Py_ssize_t item, Py_ssize_t n) noexcept nogil:
    """The winner of a row that is sure gets 1, not the neighbour that rounding may leave."""
    cdef Py_ssize_t j
    cdef float* at
    for j in range(n):
        at = <float*> (y + j * item)
        if at[0] > 0.5:
            at[0] = 1


cdef inline void put_ones(char* y, Py_ssize_t row, Py_ssize_t item, Py_ssize_t n,
                          Py_ssize_t rows, Panel* panel) noexcept nogil:
    cdef double sure = 2.0 ** -26       # others, below which the winner's share rounds to 1
    cdef int found = 0
    cdef Py_ssize_t r
    tops(panel, rows)
    for r in range(rows):
        found |= 1 if panel.sum[r] - panel.top[r] < sure * panel.top[r] else 0
    for r in range(rows if found else 0):
        if panel.sum[r] - panel.top[r] < sure * panel.top[r]:
            put_one(y + r * row, item, n)


cdef inline void softmax32(const Rows* call, Panel* panel) noexcept nogil:
    cdef Py_ssize_t done = 0, take, r
    cdef int way
    while done < call.rows:
        way = way_of(call, call.rows - done)
        take = panel_rows(call, call.rows - done, way)
        sum_panel(call, done, take, way, True, False, panel)
        for r in range((take + 15) & -16):
            panel.factor[r] = 1 / panel.sum[r]
        scale_panel(call, done, take, way, panel)
        put_ones(call.y + done * call.y_row, call.y_row, call.y_item, call.n, take, panel)
        done += take
    if call.stream:
        stream_end()


# Logarithms of sums

cdef inline double others_of(const char* x, Py_ssize_t step, Py_ssize_t n, Panel* panel,
                             Py_ssize_t r) noexcept nogil:
    """The sum of all exponentials of row r but one of its maxima's, as a multiple of that.

    Where a row's maximum is all but the whole sum, taking it away again would cancel.
    """
    cdef float buffer[STRETCH]
    cdef float differences[LANES]
    cdef float magic[LANES]
    cdef float least[LANES]
    cdef double e[LANES]
    cdef double total[LANES]
    cdef double count[LANES]
    cdef float m = panel.m[r]
    cdef double more
    cdef Py_ssize_t start = 0, taken, block, i, half = LANES
    cdef const float* values
    cdef int j
    for j in range(LANES):
        total[j] = 0
    for j in range(LANES):
        count[j] = 0
    for j in range(LANES):
        magic[j] = panel.magic[r]
        least[j] = panel.least[r]
    while start < n:
        taken = piece(n - start, step)
        values = load(x + start * step, step, taken, buffer, <float> -INFINITY)
        for block in range(padded(taken) // LANES):
            for j in range(LANES):
                differences[j] = values[block * LANES + j] - panel.shift[r]
            exponentials32(differences, LANES, magic, least, e)
            for j in range(LANES):
                i = block * LANES + j
                more = 0 if values[i] == m else e[j]
                total[j] += more if values[i] > -INFINITY else 0
                count[j] += 1 if values[i] == m else 0
        start += taken
    while half > 1:
        half //= 2
        for j in range(half):
            total[j] = total[2 * j] + total[2 * j + 1]
            count[j] = count[2 * j] + count[2 * j + 1]
    return total[0] / panel.top[r] + (count[0] - 1)


cdef inline void others_panel(const Rows* call, Py_ssize_t done, Py_ssize_t take, int way,
                              bint keep, bint sure, Panel* panel) noexcept nogil:
    """panel.sum, and panel.others, which is right of `sure` rows, too. Where a maximum is all but
    the whole sum, taking it away again would cancel. So in rows of up to a stretch it never enters
    the sum, and only those are read again whose others are so little that a sum's unit counts; a
    longer row is read again."""
    cdef bint apart = sure and call.n <= STRETCH
    cdef double doubt = 0.5
    cdef Py_ssize_t r
    sum_panel(call, done, take, way, keep, apart, panel)
    tops(panel, take)
    if apart:
        doubt = 2.0 ** -15 * call.n if call.n > LANES else 0
        for r in range((take + 15) & -16):
            panel.others[r] = panel.sum[r] / panel.top[r] + (<double> panel.count[r] - 1)
        for r in range((take + 15) & -16):
            panel.sum[r] = panel.top[r] + panel.top[r] * panel.others[r]
    else:
        for r in range((take + 15) & -16):
            panel.others[r] = (panel.sum[r] - panel.top[r]) / panel.top[r]
    for r in range(take if sure else 0):
        if panel.others[r] < doubt:
            panel.others[r] = others_of(call.x + (done + r) * call.x_row, call.x_item, call.n,
                                        panel, r)


cdef inline void logs(const Rows* call, Py_ssize_t done, Py_ssize_t take, int way, bint keep,
                      bint sure, Panel* panel) noexcept nogil:
    """The sums and their logarithms: panel.log."""
    cdef Py_ssize_t r
    others_panel(call, done, take, way, keep, sure, panel)
    for r in range((take + 15) & -16):
        panel.log[r] = log1p_pair(panel.others[r], 0)


cdef inline void log_softmax32(const Rows* call, Panel* panel) noexcept nogil:
    cdef Py_ssize_t done = 0, take, r
    cdef int way
    cdef float high
    while done < call.rows:
        way = way_of(call, call.rows - done)
        take = panel_rows(call, call.rows - done, way)
        logs(call, done, take, way, False, True, panel)
        for r in range((take + 15) & -16):
            # The maximum and the logarithm, in two floats: the first takes no digits off the log.
            high = <float> (panel.m[r] + panel.log[r])
            panel.high[r] = high
            panel.low[r] = <float> ((<double> panel.m[r] - high) + panel.log[r])
        subtract_panel(call, done, take, way, panel)
        done += take
    if call.stream:
        stream_end()


# cross_entropy with a class a row: the gradient is the softmax, but for the target's entry

cdef inline float entry(const Rows* call, Py_ssize_t r, Py_ssize_t j) noexcept nogil:
    return (<const float*> (call.x + r * call.x_row + j * call.x_item))[0]


cdef inline void odd_factor_row(const Rows* call, Py_ssize_t row, const Panel* panel,
                                Py_ssize_t r, double factor) noexcept nogil:
    """The gradient of a row whose factor, divided by its sum, is no float."""
    cdef Py_ssize_t j
    for j in range(call.n):
        (<float*> (call.y + row * call.y_row + j * call.y_item))[0] = <float> (
            exponential_of(entry(call, row, j), panel, r) / panel.sum[r] * factor)


cdef inline void target_entry(const CrossEntropy* call, Py_ssize_t row, const Panel* panel,
                              Py_ssize_t r, double factor) noexcept nogil:
    """p - 1 at the target is minus the share of all others: that does not cancel."""
    cdef const Rows* rows = &call.rows
    cdef Py_ssize_t target = call.target[row]
    cdef float x = entry(rows, row, target)
    cdef double others = panel.others[r] * panel.top[r]
    if x != panel.m[r]:
        others = panel.sum[r] - exponential_of(x, panel, r)
    (<float*> (rows.y + row * rows.y_row + target * rows.y_item))[0] = <float> (
        -factor * (others / panel.sum[r]))


cdef inline void cross_entropy32(const CrossEntropy* call, Panel* panel) noexcept nogil:
    """y is not x."""
    cdef const Rows* rows = &call.rows
    cdef bint gradient = rows.y != NULL
    cdef Py_ssize_t done = 0, take, r, j, target
    cdef double weight, size
    cdef int way
    while done < rows.rows:
        way = way_of(rows, rows.rows - done)
        take = panel_rows(rows, rows.rows - done, way)
        logs(rows, done, take, way, gradient, True, panel)
        for r in range(take):
            target = call.target[done + r]
            panel.factor[r] = 0
            call.loss[done + r] = 0
            if target >= 0:
                weight = 1.0 if call.weight == NULL else call.weight[target]
                panel.factor[r] = call.scale * weight
                call.loss[done + r] = weight * (
                    panel.log[r] - (<double> entry(rows, done + r, target) - panel.m[r]))
        if gradient:
            memcpy(panel.log, panel.factor, take * sizeof(double))
            for r in range((take + 15) & -16):
                panel.factor[r] /= panel.sum[r]
            scale_panel(rows, done, take, way, panel)
        for r in range(take if gradient else 0):
            target = call.target[done + r]
            size = panel.log[r] if panel.log[r] > 0 else -panel.log[r]
            if target < 0:
                for j in range(rows.n):
                    (<float*> (rows.y + (done + r) * rows.y_row + j * rows.y_item))[0] = 0
                continue
            if (size < 2.0 ** -40 or size > 2.0 ** 50) and size != 0:
                odd_factor_row(rows, done + r, panel, r, panel.log[r])
            target_entry(call, done + r, panel, r, panel.log[r])
        done += take


# Backward passes from the output: softmax y (g - sum(g y)), log_softmax g - e^y sum(g). A sum's
# products are added up in float within a stretch, 16 to a partial sum, and so are these; beyond
# it in double.

cdef inline void pad_with_zeros(const char* x, Py_ssize_t row, Py_ssize_t item, Py_ssize_t n,
                                Py_ssize_t rows, bint last, float* to) noexcept nogil:
    """As pad_rows(), but NaN stays NaN: zeros go into the next row, which then takes its place."""
    cdef Py_ssize_t step = padded(n), r, i, safe = 0
    if item == sizeof(float) and row >= n * <Py_ssize_t> sizeof(float):
        safe = max(<Py_ssize_t> 0, rows - beyond(n)) if last else rows
    for r in range(safe):
        for i in range(0, step, 16):
            memcpy(to + r * step + i, x + r * row + i * sizeof(float), LANES * sizeof(float))
        memset(to + r * step + n, 0, LANES * sizeof(float))
    for r in range(safe, rows):
        copy(x + r * row, item, n, to + r * step, <float> 0, LANES)


cdef inline void stretch_of_products(const float* y, const float* g, Py_ssize_t n,
                                     bint products, bint fresh, float* to) noexcept nogil:
    """Add g y, or g, to partial sums, or to none if `fresh`."""
    cdef lanes sum
    cdef Py_ssize_t part, i, v
    for v in range(LANES // WIDTH):
        part = v * WIDTH
        sum = every(0)
        if not fresh:
            sum = load_lanes(to + part)
        for i in range(part, n, 16):
            if products:
                sum = fused(load_lanes(g + i), load_lanes(y + i), sum)
            else:
                sum = sum + load_lanes(g + i)
        store_lanes(to + part, sum)


cdef inline lanes slope(lanes y, lanes g, lanes sum, bint products) noexcept nogil:
    cdef lanes power, c
    if products:
        return y * (g - sum)
    c = exponential(y, every(12582912 + 8 * (127 + 60)), every(<float> -128.9240), &power)
    c = fused(power, c, power) * every(<float> 8.673617379884035e-19)   # 2^-60
    return fused(-c, sum, g)


cdef inline void vector_product(const float* y, const float* g, Py_ssize_t n, float sum,
                                bint products, float* dx) noexcept nogil:
    """dx may be y or g."""
    cdef Py_ssize_t i, v
    for v in range((n & -LANES) // WIDTH):
        i = v * WIDTH
        store_lanes(dx + i, slope(load_lanes(y + i), load_lanes(g + i), every(sum), products))


cdef inline void product_row(const Rows* call, Py_ssize_t r, bint products,
                             Panel* panel) noexcept nogil:
    """A long row, or one in steps."""
    cdef const char* y = call.x + r * call.x_row
    cdef const char* g = call.grad + r * call.grad_row
    cdef char* dx = call.y + r * call.y_row
    cdef float sum
    cdef Py_ssize_t start = 0, count, i, n = call.n, size = sizeof(float)
    cdef const float* values
    cdef const float* grads
    cdef float* to
    memset(panel.total, 0, LANES * sizeof(double))
    while start < n:
        count = piece(n - start, call.x_item)
        values = load(y + start * call.x_item, call.x_item, count, panel.x, <float> 0)
        grads = load(g + start * call.grad_item, call.grad_item, count, panel.y, <float> 0)
        stretch_of_products(values, grads, padded(count), products, start % STRETCH == 0,
                            panel.low)
        start += count
        if start % STRETCH == 0 or start == n:
            for i in range(LANES):
                panel.total[i] += panel.low[i]
    fold64(panel, 1, LANES)
    sum = <float> panel.sum[0]
    start = 0
    if call.x_item == size and call.grad_item == size and call.y_item == size:
        start = n & -LANES
        vector_product(<const float*> y, <const float*> g, start, sum, products, <float*> dx)
    while start < n:
        count = piece(n - start, call.x_item)
        values = load(y + start * call.x_item, call.x_item, count, panel.x, <float> 0)
        grads = load(g + start * call.grad_item, call.grad_item, count, panel.y, <float> 0)
        to = room(dx + start * call.y_item, call.y_item, count, panel.room)
        vector_product(values, grads, padded(count), sum, products, to)
        store(to, dx + start * call.y_item, call.y_item, count)
        start += count


cdef inline void product_rows(const Rows* call, Py_ssize_t done, Py_ssize_t rows, bint products,
                              Panel* panel) noexcept nogil:
    """Rows of up to a stretch, padded."""
    cdef const char* y = call.x + done * call.x_row
    cdef const char* g = call.grad + done * call.grad_row
    cdef char* dx = call.y + done * call.y_row
    cdef Py_ssize_t n = call.n, width = padded(n), y_step = width, g_step = width, r
    cdef Py_ssize_t size = sizeof(float), direct
    cdef bint last = done + rows + beyond(n) > call.rows
    cdef const float* values = panel.x
    cdef const float* grads = panel.y
    cdef float* to
    if in_blocks(n, call.x_item) and dx != y:
        values = <const float*> y
        y_step = call.x_row // size
    else:
        pad_with_zeros(y, call.x_row, call.x_item, n, rows, last, panel.x)
    if in_blocks(n, call.grad_item) and dx != g:
        grads = <const float*> g
        g_step = call.grad_row // size
    else:
        pad_with_zeros(g, call.grad_row, call.grad_item, n, rows, last, panel.y)
    for r in range(rows):
        stretch_of_products(values + r * y_step, grads + r * g_step, width, products, True,
                            panel.high_sums + r * LANES)
    fold(panel.high_sums, rows, LANES, panel.room, panel.low, False)
    direct = rows if in_blocks(n, call.y_item) else rows_in_place(call, rows)
    for r in range(rows):
        to = <float*> (dx + r * call.y_row) if r < direct else panel.room
        vector_product(values + r * y_step, grads + r * g_step, width, panel.low[r], products, to)
        if r >= direct:
            store(panel.room, dx + r * call.y_row, call.y_item, n)


cdef inline lanes product_lane(const float* y, const float* g, Py_ssize_t step, Py_ssize_t start,
                               Py_ssize_t end, bint products, const Rows* soon) noexcept nogil:
    cdef lanes sum = every(0)
    cdef Py_ssize_t j
    for j in range(start, end, 16):
        prefetch(<const float*> (soon.x + j * soon.x_item))
        prefetch(<const float*> (soon.grad + j * soon.grad_item))
        if products:
            sum = fused(load_lanes(g + j * step), load_lanes(y + j * step), sum)
        else:
            sum = sum + load_lanes(g + j * step)
    return sum


cdef inline void product_sums(const float* y, const float* g, Py_ssize_t step, Py_ssize_t n,
                              bint products, const Rows* soon, float* sum) noexcept nogil:
    """Of a vector of rows; `soon`: those that are wanted soon."""
    cdef double total[LANES * 16]
    cdef float sums[LANES * 16]
    cdef Py_ssize_t start, lane, i
    if n <= STRETCH:
        for lane in range(LANES):
            store_lanes(sums + lane * WIDTH,
                        product_lane(y, g, step, lane, n, products, soon))
        store_lanes(sum, sixteen(sums, every(0)))
        return
    memset(total, 0, sizeof(total))
    for start in range(0, n, 256):
        for lane in range(LANES):
            store_lanes(sums, product_lane(y, g, step, start + lane, min(start + STRETCH, n),
                                           products, soon))
            for i in range(WIDTH):
                total[lane * WIDTH + i] += sums[i]
    fold_lanes(total, total)
    for i in range(WIDTH):
        sum[i] = <float> total[i]


cdef inline void strip_products(const float* y, float* g, Py_ssize_t step, Py_ssize_t rows,
                                Py_ssize_t n, bint products, const float* sum, bint past,
                                char* dx, Py_ssize_t item) noexcept nogil:
    """The results of many rows, a column at a time: past the caches, or in g's place."""
    cdef lanes result
    cdef Py_ssize_t j, r, v
    for j in range(n):
        for v in range(rows // WIDTH):
            r = v * WIDTH
            result = slope(load_lanes(y + j * step + r), load_lanes(g + j * step + r),
                           load_lanes(sum + r), products)
            if past:
                stream_lanes(<float*> (dx + j * item) + r, result)
            else:
                store_lanes(g + j * step + r, result)


cdef inline void backward_strips(const Rows* call, Py_ssize_t done, Py_ssize_t take,
                                 bint products, Panel* panel) noexcept nogil:
    cdef Rows soon = call[0]
    cdef char* dx = call.y + done * call.y_row
    cdef Py_ssize_t n = call.n, step = strips(take), r, v
    pack(call.x + done * call.x_row, call.x_row, call.x_item, n, take, panel.x)
    pack(call.grad + done * call.grad_row, call.grad_row, call.grad_item, n, take, panel.y)
    for v in range(step // WIDTH):
        r = v * WIDTH
        soon.x = call.x + (done + take + r) * call.x_row
        soon.grad = call.grad + (done + take + r) * call.grad_row
        product_sums(panel.x + r, panel.y + r, step, n, products, &soon, panel.low + r)
    if in_lines(call, done, take):
        strip_products(panel.x, panel.y, step, take, n, products, panel.low, True, dx, call.y_item)
    else:
        strip_products(panel.x, panel.y, step, step, n, products, panel.low, False, NULL, 0)
        unpack(panel.y, dx, call.y_row, call.y_item, n, take, call.stream)


cdef inline void backward32(const Rows* call, bint products, Panel* panel) noexcept nogil:
    # Few rows at a time where they come from memory: they do while others are computed.
    cdef Py_ssize_t done = 0, take, most = TILE // 4 if call.stream else 2 * TILE
    cdef bint columns = (call.n * STRIP <= ROOM and call.rows >= STRIP // 4
                         and magnitude(call.x_row) < magnitude(call.x_item))
    while done < call.rows:
        take = 1
        if columns:
            take = strips_at(call, call.rows - done)
            backward_strips(call, done, take, products, panel)
        elif call.n <= STRETCH:
            take = max(<Py_ssize_t> 1, min(<Py_ssize_t> TOGETHER, most // padded(call.n)))
            take = min(call.rows - done, take)
            product_rows(call, done, take, products, panel)
        else:
            product_row(call, done, products, panel)
        done += take
    if call.stream:
        stream_end()
