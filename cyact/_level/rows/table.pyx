"""Functions along an axis: softmax, log_softmax, logsumexp, cross-entropy.

Compiled once for each instruction-set level. A row is read in blocks of SUMS entries, padded
with -inf; entry j of a row always enters partial sum j % SUMS and the partial sums are added
up in one order, so a row's result depends on the row alone: not on its neighbours, its layout
or the width of the registers.

float32 rows at temperature 1 are computed in float, by _rows32.pxd; with another temperature, or
where the gradient comes from x, in double: the difference to the maximum is then exact, the
temperature costs nothing (it is part of the factor), and only the stores round. float64 rows
carry the rounding of every step in a second double.

Rows up to CHUNK entries keep their exponentials on the stack. Longer ones go through it in
chunks, and softmax keeps them in its result.
"""

from libc.math cimport INFINITY, NAN
from libc.string cimport memcpy, memset
from cpython.pycapsule cimport PyCapsule_New

from cyact._level.abi cimport ABI, FLOAT32, CrossEntropy, Packing, RowKernels, RowOp, Rows
from cyact._level.rows.rowio cimport (
    copy, length, load, magnitude, padded, real, room, row_max, store)
from cyact._level.rows.rowmath cimport (
    CHUNK, FUSED, SUMS, doubles, exp_pair, exp_wide, log1p_pair, muladd, product_error, two_sum)
from cyact._level.rows.rows32 cimport (
    Panel, backward32, cross_entropy32, log_softmax32, logs, panel_rows, softmax32, way_of)

from cyact._level.packing cimport gather, scatter
from cyact._level.stages cimport cyact_status as status, status_get, status_set

# (x - m) / temperature, as the loops want it.
cdef struct Scale:
    double temperature
    double inverse      # 1 / temperature
    double factor       # log2(e) / temperature
    double least        # exp_wide() needs nothing below this
    bint scaled         # temperature is not 1

# Partial sums, what rounded off them, and how many entries equal the maximum.
cdef struct Sums:
    double high[16]
    double low[16]
    double count[16]

# A sum as high + low.
cdef struct Pair:
    double high
    double low

cdef double LEAST_PAIR = -746.0    # e^-746 rounds to 0


cdef inline Scale scale_of(const double* p) noexcept nogil:
    cdef Scale scale
    scale.temperature = 1.0 if p == NULL else p[0]
    scale.scaled = scale.temperature != 1.0
    scale.inverse = 1.0 / scale.temperature
    # Below 2^-1000 every difference of two floats is as good as -inf, and 1/t overflows.
    cdef double t = scale.temperature if scale.temperature > 2.0 ** -1000 else 2.0 ** -1000
    scale.factor = 1.4426950408889634 / t
    scale.least = -1000.0 / scale.factor
    return scale


# Exponentials of (x - m) / temperature

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


cdef inline void exp_wides(const float* x, Py_ssize_t n, double m, double factor, double least,
                           double* e) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -SUMS):
        e[i] = exp_wide(x[i] - m, factor, least)


cdef inline void exp_pairs(const real* x, Py_ssize_t n, double m, const Scale* scale, bint scaled,
                           double* e, double* rest) noexcept nogil:
    cdef Py_ssize_t i
    cdef double d, low = 0, over = 0
    cdef double least = LEAST_PAIR
    cdef Scale s = scale[0]
    for i in range(n & -SUMS):
        d = difference(x[i], m, &s, scaled, &low)
        e[i] = exp_pair(d, low, least, &over)
        rest[i] = over


cdef inline void exponentials(const real* x, Py_ssize_t n, double m, const Scale* scale,
                              bint exact, double* e, double* rest) noexcept nogil:
    """e + rest = exp((x - m) / temperature); without `exact` float rows leave rest alone."""
    if real is float:
        if not exact:
            exp_wides(x, n, m, scale.factor, scale.least, e)
            return
    if scale.scaled:
        exp_pairs(x, n, m, scale, True, e, rest)
    else:
        exp_pairs(x, n, m, scale, False, e, rest)


# Sums in a fixed order

cdef inline void set_apart(const double* e, Py_ssize_t n, double* others,
                           double* ones) noexcept nogil:
    """Split e into the entries that are 1 (the maximum, and what is as good as it) and the rest.

    A confident row's log-probability is the logarithm of 1 plus the sum of the others, which
    the 1 would swallow.
    """
    cdef Py_ssize_t i
    for i in range(n & -SUMS):
        ones[i] = 1 if e[i] == 1 else 0
    for i in range(n & -SUMS):
        others[i] = e[i] - ones[i]


cdef inline void clear(Sums* sums) noexcept nogil:
    cdef int j
    for j in range(SUMS):
        sums.high[j] = 0
    for j in range(SUMS):
        sums.low[j] = 0
    for j in range(SUMS):
        sums.count[j] = 0


cdef inline void add(const double* e, Py_ssize_t n, double* sums) noexcept nogil:
    """Add e[j], e[j + 16], ... to sums[j]."""
    cdef double s[SUMS]
    cdef Py_ssize_t block
    cdef int j
    for j in range(SUMS):
        s[j] = sums[j]
    for block in range(n // SUMS):
        for j in range(SUMS):
            s[j] += e[block * SUMS + j]
    for j in range(SUMS):
        sums[j] = s[j]


cdef inline void add_pairs(const double* e, const double* rest, Py_ssize_t n,
                           Sums* sums) noexcept nogil:
    """The same for e + rest, carrying what rounds off (Knuth's two-sum)."""
    cdef double s[SUMS]
    cdef double r[SUMS]
    cdef double t, z
    cdef Py_ssize_t i, block
    cdef int j
    for j in range(SUMS):
        s[j] = sums.high[j]
        r[j] = sums.low[j]
    for block in range(n // SUMS):
        for j in range(SUMS):
            i = block * SUMS + j
            t = s[j] + e[i]
            z = t - s[j]
            r[j] += ((s[j] - (t - z)) + (e[i] - z)) + rest[i]
            s[j] = t
    for j in range(SUMS):
        sums.high[j] = s[j]
        sums.low[j] = r[j]


cdef inline void add_either(const double* e, const double* rest, Py_ssize_t n, bint exact,
                            Sums* sums) noexcept nogil:
    if exact:
        add_pairs(e, rest, n, sums)
    else:
        add(e, n, sums.high)


cdef inline double folded(const double* lanes) noexcept nogil:
    cdef double s[8]
    cdef int j
    for j in range(8):
        s[j] = lanes[j] + lanes[j + 8]
    for j in range(4):
        s[j] += s[j + 4]
    return (s[0] + s[2]) + (s[1] + s[3])


cdef inline Pair total(const Sums* sums, bint exact) noexcept nogil:
    """The partial sums in order, rounding carried if `exact`; an infinite sum has no rest."""
    cdef Pair pair
    cdef int j
    cdef double s = sums.high[0], low = sums.low[0], both
    if not exact:
        pair.high = folded(sums.high)
        pair.low = 0
        return pair
    for j in range(1, SUMS):
        s = two_sum(s, sums.high[j], &low)
        low += sums.low[j]
    both = s + low
    pair.high = both if low == low else s
    pair.low = low - (both - s) if low == low else 0
    return pair


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
    v.high = 1 / s.high
    cdef double p = v.high * s.high
    v.low = ((1 - p) - product_error(v.high, s.high, p) - s.low * v.high) * v.high
    return v


cdef inline double times(double e, double high, double low) noexcept nogil:
    """e * (high + low), rounded once: to be within 2 ULP the product may not round by itself."""
    cdef double p
    if FUSED:
        return muladd(e, high, e * low)
    p = e * high
    return p + (product_error(e, high, p) + e * low)


# One row's sum of exponentials

cdef struct Row:
    double m            # the maximum
    bint kept           # the exponentials of the whole row are in e
    Pair others         # the sum without one of the maxima
    Pair sum            # the whole sum
    Pair v              # 1 / sum

cdef struct Work:
    doubles e
    doubles rest
    doubles others
    doubles ones
    doubles buffer      # copies of x
    doubles result      # results on their way to y
    doubles grad        # copies of grad


cdef inline Row sum_row(const Rows* call, const char* x, real m, char* y, const Scale* scale,
                        bint exact, bint apart, Work* work) noexcept nogil:
    """The sums of a row with maximum m.

    Exponentials that work cannot hold go to y, if there is one: in float32 rounded, which
    together with the rounding of the quotient leaves the result within 1.5 ULP.
    """
    cdef Row row
    cdef Sums sums
    cdef real* buffer = <real*> work.buffer.at
    cdef Py_ssize_t start = 0, count, at, i, step = call.x_item
    cdef const real* values
    cdef double* e
    cdef real* result
    row.m = m
    row.kept = call.n <= CHUNK
    clear(&sums)
    while start < call.n:
        count = length(call.n - start, step, sizeof(real))
        at = start if row.kept else 0
        e = work.e.at + at
        values = load(x + start * step, step, count, buffer, <real> -INFINITY)
        exponentials(values, padded(count), m, scale, exact, e, work.rest.at + at)
        if apart:
            set_apart(e, padded(count), work.others.at, work.ones.at)
            add(work.ones.at, padded(count), sums.count)
            add_either(work.others.at, work.rest.at + at, padded(count), exact, &sums)
        else:
            add_either(e, work.rest.at + at, padded(count), exact, &sums)
        if y != NULL and not row.kept:
            result = room(y + start * call.y_item, call.y_item, count, <real*> work.result.at)
            for i in range(padded(count)):
                result[i] = <real> e[i]
            store(result, y + start * call.y_item, call.y_item, count)
        start += count
    row.others = row.sum = total(&sums, exact)
    if apart:
        # One of the maxima is the 1 that log1p adds
        row.others = plus(row.others, folded(sums.count) - 1)
        row.sum = plus(row.others, 1)
    row.v = reciprocal(row.sum)
    return row


cdef inline const double* kept(const Row* row, const real* values, Py_ssize_t start, Py_ssize_t n,
                               const Scale* scale, Work* work) noexcept nogil:
    """The exponentials of n entries from `start` on: kept, or computed again."""
    if row.kept:
        return work.e.at + start
    exponentials(values, n, row.m, scale, real is double, work.e.at, work.rest.at)
    return work.e.at


cdef inline void finish(const Row* row, double high, double low, char* y, Py_ssize_t step,
                        Py_ssize_t n, Work* work, real kind) noexcept nogil:
    """y = exponentials * (high + low), the former kept or from where sum_row() put them."""
    cdef Py_ssize_t start = 0, count, i
    cdef const double* e
    cdef const real* put
    cdef real* result
    while start < n:
        count = length(n - start, step, sizeof(real))
        result = room(y + start * step, step, count, <real*> work.result.at)
        if row.kept:
            e = work.e.at + start
            for i in range(padded(count)):
                if real is float:
                    result[i] = <float> (e[i] * high)
                else:
                    result[i] = times(e[i], high, low)
        else:
            put = load(y + start * step, step, count, <real*> work.result.at, <real> 0)
            for i in range(padded(count)):
                if real is float:
                    result[i] = <float> (put[i] * high)
                else:
                    result[i] = times(put[i], high, low)
        store(result, y + start * step, step, count)
        start += count


# Short rows: many to a tile

cdef enum:
    SHORT = 48          # rows up to this length go into tiles with others
    RAGGED = 112        # and up to this one, if they are not whole blocks
    SLIM = 62           # the longest row of which a tile holds a block of columns
    TILE_ROWS = 256

# One tile: `take` rows of n entries, packed row after row, or, where the step from row to row
# is the smaller one, column after column (`run` rows each, padded to whole blocks). Sums run
# over a row's even and odd entries in both, so that both give the same bits.
cdef struct Tile:
    Py_ssize_t n
    Py_ssize_t take
    Py_ssize_t run      # 0 where rows are packed row after row
    Py_ssize_t size     # entries, padded to whole blocks

cdef struct ShortWork:
    Panel panel
    Work work           # x in buffer
    doubles wide        # a value a row, spread over the row's entries
    doubles fine        # another one
    double m[256]
    double high[256]
    double low[256]
    double odd[256]
    double odd_low[256]
    double count[256]
    double log[256]


cdef inline bint is_short(Py_ssize_t n) noexcept nogil:
    return n <= SHORT or (n <= RAGGED and n % SUMS != 0)


cdef inline Tile next_tile(const Rows* call, Py_ssize_t left) noexcept nogil:
    cdef Tile tile
    cdef bint columns = call.n <= SLIM and magnitude(call.x_row) < magnitude(call.x_item)
    cdef Py_ssize_t most = min(<Py_ssize_t> TILE_ROWS, (CHUNK - SUMS) // call.n)
    tile.n = call.n
    tile.take = min(left, most & -SUMS if columns else most)
    tile.run = padded(tile.take) if columns else 0
    tile.size = tile.run * tile.n if columns else padded(tile.take * tile.n)
    return tile


cdef inline const real* load_tile(const char* x, Py_ssize_t row, Py_ssize_t item,
                                  const Tile* tile, real* buffer, real pad) noexcept nogil:
    cdef Py_ssize_t r, j, n = tile.n, run = tile.run
    if run:
        for j in range(n):
            copy(x + j * item, row, tile.take, buffer + j * run, pad, SUMS)
        return buffer
    if item == sizeof(real) and row == n * item:
        return load(x, item, tile.take * n, buffer, pad)
    for r in range(tile.take):
        for j in range(n):
            buffer[r * n + j] = (<const real*> (x + r * row + j * item))[0]
    for j in range(tile.take * n, tile.size):
        buffer[j] = pad
    return buffer


cdef inline real* tile_room(char* y, Py_ssize_t row, Py_ssize_t item, const Tile* tile,
                            real* buffer) noexcept nogil:
    if tile.run == 0 and row == tile.n * item:
        return room(y, item, tile.take * tile.n, buffer)
    return buffer


cdef inline void store_tile(const real* result, char* y, Py_ssize_t row, Py_ssize_t item,
                            const Tile* tile) noexcept nogil:
    cdef Py_ssize_t r, j, n = tile.n, run = tile.run
    if run:
        for j in range(n):
            store(result + j * run, y + j * item, row, tile.take)
    elif item == sizeof(real) and row == n * item:
        store(result, y, item, tile.take * n)
    else:
        for r in range(tile.take):
            store(result + r * n, y + r * row, item, n)


cdef inline void spread(const double* values, const Tile* tile, real* to) noexcept nogil:
    """Give every entry of the tile its row's value. Stores overlap into the next rows."""
    cdef Py_ssize_t r, k
    cdef real* at
    cdef int j
    cdef real value
    if tile.run:
        for r in range(tile.run & -SUMS):
            to[r] = <real> values[r]
        for k in range(1, tile.n):
            memcpy(to + k * tile.run, to, tile.run * sizeof(real))
        return
    for r in range(tile.take):
        value = <real> values[r]
        for k in range((tile.n + SUMS - 1) // SUMS):
            at = to + r * tile.n + k * SUMS
            for j in range(SUMS):
                at[j] = value


cdef inline void maxima(const real* x, const Tile* tile, double* m) noexcept nogil:
    cdef Py_ssize_t r, j, n = tile.n, run = tile.run
    cdef real a, b
    cdef const real* at
    if run:
        for r in range(run & -SUMS):
            m[r] = -INFINITY
        for j in range(n):
            at = x + j * run
            for r in range(run & -SUMS):
                m[r] = at[r] if at[r] > m[r] else m[r]
        return
    for r in range(tile.take):
        at = x + r * n
        a = b = -INFINITY
        for j in range(n // 2):
            a = at[2 * j] if at[2 * j] > a else a
            b = at[2 * j + 1] if at[2 * j + 1] > b else b
        if n & 1:
            a = at[n - 1] if at[n - 1] > a else a
        m[r] = a if a > b else b


cdef inline void accumulate(const double* e, const double* rest, Py_ssize_t n, bint exact,
                            double* high, double* low) noexcept nogil:
    """Add a column's entries to the sums of their rows."""
    cdef Py_ssize_t r
    cdef double t, z
    for r in range(n & -SUMS):
        t = high[r] + e[r]
        if exact:
            z = t - high[r]
            low[r] += ((high[r] - (t - z)) + (e[r] - z)) + rest[r]
        high[r] = t


cdef inline void tile_sums(const double* e, const double* rest, const Tile* tile, bint exact,
                           double* high, double* low, double* odd, double* odd_low) noexcept nogil:
    """high + low = the sums of the tile's rows, low only if `exact`."""
    cdef Py_ssize_t r, j, n = tile.n, run = tile.run
    cdef const double* at
    cdef const double* after
    cdef double a, b, c, d
    for r in range(padded(tile.take) & -SUMS):
        high[r] = low[r] = odd[r] = odd_low[r] = 0
    if run:
        for j in range(n):
            if j & 1:
                accumulate(e + j * run, rest + j * run, run, exact, odd, odd_low)
            else:
                accumulate(e + j * run, rest + j * run, run, exact, high, low)
    else:
        for r in range(tile.take):
            at = e + r * n
            after = rest + r * n
            a = b = c = d = 0
            for j in range(n // 2):
                if exact:
                    a = two_sum(a, at[2 * j], &c)
                    c += after[2 * j]
                    b = two_sum(b, at[2 * j + 1], &d)
                    d += after[2 * j + 1]
                else:
                    a += at[2 * j]
                    b += at[2 * j + 1]
            if n & 1:
                if exact:
                    a = two_sum(a, at[n - 1], &c)
                    c += after[n - 1]
                else:
                    a += at[n - 1]
            high[r] = a
            odd[r] = b
            if exact:
                low[r] = c
                odd_low[r] = d
    if exact:
        accumulate(odd, odd_low, padded(tile.take), True, high, low)
    else:
        accumulate(odd, odd_low, padded(tile.take), False, high, low)


cdef inline void tile_wides(const float* x, const float* m, Py_ssize_t n, double factor,
                            double least, double* e) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -SUMS):
        e[i] = exp_wide(<double> x[i] - m[i], factor, least)


cdef inline void tile_pairs(const real* x, const real* m, Py_ssize_t n, const Scale* scale,
                            bint scaled, double* e, double* rest) noexcept nogil:
    cdef Py_ssize_t i
    cdef double d, low = 0, over = 0
    cdef double least = LEAST_PAIR
    cdef Scale s = scale[0]
    for i in range(n & -SUMS):
        d = difference(x[i], m[i], &s, scaled, &low)
        e[i] = exp_pair(d, low, least, &over)
        rest[i] = over


cdef inline void tile_exponentials(const real* x, const Tile* tile, const Scale* scale,
                                   bint exact, ShortWork* work) noexcept nogil:
    """The maxima to m and, spread, to wide; the exponentials to e and, if `exact`, rest."""
    cdef real* m = <real*> work.wide.at
    maxima(x, tile, work.m)
    spread(work.m, tile, m)
    if real is float:
        if not exact:
            tile_wides(x, m, tile.size, scale.factor, scale.least, work.work.e.at)
            return
    if scale.scaled:
        tile_pairs(x, m, tile.size, scale, True, work.work.e.at, work.work.rest.at)
    else:
        tile_pairs(x, m, tile.size, scale, False, work.work.e.at, work.work.rest.at)


cdef inline void softmax_tile(const real* x, const Tile* tile, const Scale* scale,
                              ShortWork* work, real* y) noexcept nogil:
    cdef Py_ssize_t i
    cdef Pair s, v
    cdef double* high = work.wide.at
    cdef double* low = work.fine.at
    cdef double* e = work.work.e.at
    tile_exponentials(x, tile, scale, real is double, work)
    tile_sums(e, work.work.rest.at, tile, real is double, work.high, work.low, work.odd,
              work.odd_low)
    for i in range(padded(tile.take) & -SUMS):
        if real is float:
            work.high[i] = 1 / work.high[i]
        else:
            s.high = work.high[i] + work.low[i]
            s.low = work.low[i] - (s.high - work.high[i])
            v = reciprocal(s)
            work.high[i] = v.high
            work.low[i] = v.low
    spread(work.high, tile, high)
    if real is double:
        spread(work.low, tile, low)
    for i in range(tile.size & -SUMS):
        if real is float:
            y[i] = <float> (e[i] * high[i])
        else:
            y[i] = times(e[i], high[i], low[i])


cdef inline void tile_logs(const real* x, const Tile* tile, const Scale* scale, bint exact,
                           ShortWork* work) noexcept nogil:
    """The logarithms of the rows' sums to log."""
    cdef Py_ssize_t i
    cdef double s
    cdef Pair others
    tile_exponentials(x, tile, scale, exact, work)
    set_apart(work.work.e.at, tile.size, work.work.others.at, work.work.ones.at)
    tile_sums(work.work.ones.at, work.work.rest.at, tile, False, work.count, work.low, work.odd,
              work.odd_low)
    tile_sums(work.work.others.at, work.work.rest.at, tile, exact, work.high, work.low,
              work.odd, work.odd_low)
    for i in range(padded(tile.take) & -SUMS):
        if exact:
            s = work.high[i] + work.low[i]
            others.high = s
            others.low = work.low[i] - (s - work.high[i])
            others = plus(others, work.count[i] - 1)
        else:
            others.high = work.high[i] + (work.count[i] - 1)
            others.low = 0
        work.log[i] = log1p_pair(others.high, others.low)


cdef inline void log_softmax_tile(const real* x, const Tile* tile, const Scale* scale,
                                  ShortWork* work, real* y) noexcept nogil:
    cdef Py_ssize_t i
    cdef double d, low = 0, inverse = scale.inverse, least = -1e300
    cdef const real* m = <const real*> work.wide.at
    cdef double* log = work.fine.at
    cdef Scale by = scale[0]
    tile_logs(x, tile, scale, real is double, work)
    spread(work.log, tile, log)
    for i in range(tile.size & -SUMS):
        if real is float:
            y[i] = <float> ((<double> x[i] - m[i]) * inverse - log[i])
        else:
            d = difference(x[i], m[i], &by, True, &low)
            y[i] = (d - log[i]) + (0 if d < least else low)


cdef inline real infinite(const char* x, Py_ssize_t step, Py_ssize_t n, real m) noexcept nogil:
    """The infinite maximum of a row, or NaN if the row holds one."""
    cdef Py_ssize_t j
    cdef real item
    for j in range(n):
        item = (<const real*> (x + j * step))[0]
        if item != item:
            return item
    return m


cdef inline void short_logsumexp(const Rows* call, const Scale* scale, ShortWork* work,
                                 real kind) noexcept nogil:
    cdef Py_ssize_t done = 0, r
    cdef Tile tile
    cdef const char* x
    cdef real* y
    while done < call.rows:
        tile = next_tile(call, call.rows - done)
        x = call.x + done * call.x_row
        tile_logs(load_tile(x, call.x_row, call.x_item, &tile, <real*> work.work.buffer.at,
                            <real> -INFINITY), &tile, scale, True, work)
        for r in range(tile.take):
            y = <real*> (call.y + (done + r) * call.y_row)
            if work.m[r] - work.m[r] != 0:
                y[0] = infinite(x + r * call.x_row, call.x_item, call.n, <real> work.m[r])
            else:
                y[0] = <real> (work.m[r] + work.log[r])
        done += tile.take


cdef inline void short_rows(const Rows* call, const Scale* scale, bint logarithm,
                            ShortWork* work, real kind) noexcept nogil:
    cdef Py_ssize_t done = 0
    cdef Tile tile
    cdef const real* x
    cdef char* y
    cdef real* result
    while done < call.rows:
        tile = next_tile(call, call.rows - done)
        y = call.y + done * call.y_row
        x = load_tile(call.x + done * call.x_row, call.x_row, call.x_item, &tile,
                      <real*> work.work.buffer.at, <real> -INFINITY)
        result = tile_room(y, call.y_row, call.y_item, &tile, <real*> work.work.result.at)
        if logarithm:
            log_softmax_tile(x, &tile, scale, work, result)
        else:
            softmax_tile(x, &tile, scale, work, result)
        store_tile(result, y, call.y_row, call.y_item, &tile)
        done += tile.take


# softmax: e^((x - m) / temperature) / sum

cdef void softmax_row(const Rows* call, const char* x, real m, char* y,
                      const Scale* scale, Work* work) noexcept nogil:
    cdef Row row = sum_row(call, x, m, y, scale, real is double, False, work)
    finish(&row, row.v.high, row.v.low, y, call.y_item, call.n, work, m)


cdef real max_of(const Rows* call, Py_ssize_t r, Work* work, real kind) noexcept nogil:
    """The maximum of row r; `kind` only tells the type."""
    return row_max(call.x + r * call.x_row, call.x_item, call.n, <real*> work.buffer.at)


cdef void softmax(const Rows* call, real kind) noexcept nogil:
    cdef ShortWork work
    cdef Scale scale = scale_of(call.p)
    cdef Py_ssize_t r
    cdef real m, after
    if real is float:
        if not scale.scaled:
            softmax32(call, &work.panel)
            return
    if is_short(call.n):
        short_rows(call, &scale, False, &work, kind)
        return
    after = max_of(call, 0, &work.work, kind) if call.rows else 0
    for r in range(call.rows):
        m = after
        # The next row's maximum is taken early: it waits for nothing that this row computes.
        if r + 1 < call.rows:
            after = max_of(call, r + 1, &work.work, kind)
        softmax_row(call, call.x + r * call.x_row, m, call.y + r * call.y_row, &scale, &work.work)


# log_softmax: (x - m) / temperature - log(sum)

cdef void log_softmax_row(const Rows* call, const char* x, char* y, const Scale* scale,
                          Work* work, real kind) noexcept nogil:
    cdef real top = row_max(x, call.x_item, call.n, <real*> work.buffer.at)
    cdef Row row = sum_row(call, x, top, NULL, scale, real is double, True, work)
    cdef double log = log1p_pair(row.others.high, row.others.low)
    cdef Py_ssize_t start = 0, count, i
    cdef double d, low = 0, inverse = scale.inverse, m = row.m, least = -1e300
    cdef const real* values
    cdef real* result
    while start < call.n:
        count = length(call.n - start, call.y_item, sizeof(real))
        values = load(x + start * call.x_item, call.x_item, count, <real*> work.buffer.at,
                      <real> -INFINITY)
        result = room(y + start * call.y_item, call.y_item, count, <real*> work.result.at)
        for i in range(padded(count)):
            if real is float:
                result[i] = <float> ((values[i] - m) * inverse - log)
            else:
                d = difference(values[i], m, scale, True, &low)
                result[i] = (d - log) + (0 if d < least else low)
        store(result, y + start * call.y_item, call.y_item, count)
        start += count


cdef void log_softmax(const Rows* call, real kind) noexcept nogil:
    cdef ShortWork work
    cdef Scale scale = scale_of(call.p)
    cdef Py_ssize_t r
    if real is float:
        if not scale.scaled:
            log_softmax32(call, &work.panel)
            return
    if is_short(call.n):
        short_rows(call, &scale, True, &work, kind)
        return
    for r in range(call.rows):
        log_softmax_row(call, call.x + r * call.x_row, call.y + r * call.y_row, &scale,
                        &work.work, kind)


# logsumexp: m + log(sum); in float32 too the exponentials are those of float64, because where
# m and the logarithm cancel the result has 2^-28 m as its unit

cdef real logsumexp_row(const Rows* call, const char* x, const Scale* scale, Work* work,
                        real kind) noexcept nogil:
    cdef real top = row_max(x, call.x_item, call.n, <real*> work.buffer.at)
    cdef Row row = sum_row(call, x, top, NULL, scale, True, True, work)
    if row.m - row.m != 0:
        return infinite(x, call.x_item, call.n, top)
    return <real> (row.m + log1p_pair(row.others.high, row.others.low))


cdef inline void logsumexp32(const Rows* call, const Scale* scale, ShortWork* work) noexcept nogil:
    """In float, but for rows whose maximum and logarithm cancel."""
    cdef Panel* panel = &work.panel
    cdef Py_ssize_t done = 0, take, r
    cdef double log, m, most, result
    cdef int way
    while done < call.rows:
        way = way_of(call, call.rows - done)
        take = panel_rows(call, call.rows - done, way)
        logs(call, done, take, way, False, False, panel)
        for r in range(take):
            m = panel.m[r]
            log = panel.log[r]
            result = m + log
            m = m if m > 0 else -m
            most = 0.25 * (m if m > log else log)
            most = most if most > 0.5 else 0.5
            (<float*> (call.y + (done + r) * call.y_row))[0] = (
                <float> result if most < INFINITY and (result >= most or result <= -most)
                else logsumexp_row(call, call.x + (done + r) * call.x_row, scale, &work.work,
                                   <float> 0))
        done += take


cdef void logsumexp(const Rows* call, real kind) noexcept nogil:
    cdef ShortWork work
    cdef Scale scale = scale_of(NULL)
    cdef Py_ssize_t r
    if real is float:
        logsumexp32(call, &scale, &work)
    elif is_short(call.n):
        short_logsumexp(call, &scale, &work, kind)
    else:
        for r in range(call.rows):
            (<real*> (call.y + r * call.y_row))[0] = logsumexp_row(
                call, call.x + r * call.x_row, &scale, &work.work, kind)


# logmeanexp: m + log(sum / n), where the logarithm is minus that of n / sum >= 1. The entries'
# number is given: masked ones are -inf here.

cdef inline double log_mean(Pair others, double n) noexcept nogil:
    """log((1 + others) / n)."""
    cdef Pair sum = plus(others, 1)
    cdef double low = -others.low
    cdef double d = two_sum(n - 1, -others.high, &low)
    cdef double q = d / sum.high
    cdef double p = q * sum.high
    cdef double rest = (d - p) - product_error(q, sum.high, p)
    return -log1p_pair(q, (rest + (low - q * sum.low)) / sum.high)


cdef void logmeanexp(const Rows* call, real kind) noexcept nogil:
    cdef Work work
    cdef Row row
    cdef Scale scale = scale_of(NULL)
    cdef Py_ssize_t r
    cdef const char* x
    cdef real m
    cdef real* y
    for r in range(call.rows):
        x = call.x + r * call.x_row
        y = <real*> (call.y + r * call.y_row)
        m = max_of(call, r, &work, kind)
        row = sum_row(call, x, m, NULL, &scale, True, True, &work)
        if call.p[0] == 0:
            y[0] = NAN
        elif m - m != 0:
            y[0] = infinite(x, call.x_item, call.n, m)
        else:
            y[0] = <real> (m + log_mean(row.others, call.p[0]))


# Gradients

cdef enum:
    SOFTMAX
    LOG_SOFTMAX
    LOGSUMEXP


ctypedef fused weight:
    const float
    const double


cdef inline void products(weight* e, const real* g, Py_ssize_t n, double* product,
                          double* rest) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -SUMS):
        product[i] = <double> e[i] * g[i]
    if real is double:
        for i in range(n & -SUMS):
            rest[i] = product_error(e[i], g[i], product[i])


cdef inline void backward_row(const Rows* call, const char* x, const char* grad, char* y,
                              const Scale* scale, double inverse, int op, bint output,
                              Work* work, real kind) noexcept nogil:
    """softmax: y (g - sum(g y)) / t; log_softmax: (g - y sum(g)) / t; logsumexp: g y."""
    cdef Row row
    cdef Sums sums
    cdef Pair sum
    cdef Py_ssize_t start = 0, count, i
    cdef const real* values
    cdef const real* g
    cdef const double* e
    cdef real* result
    cdef real top
    cdef real pad = 0 if output and op == SOFTMAX else -INFINITY
    cdef double v = 1, high = 0, low = 0
    if output:
        row.kept = False
        row.m = 0
    else:
        top = row_max(x, call.x_item, call.n, <real*> work.buffer.at)
        row = sum_row(call, x, top, NULL, scale, real is double, False, work)
        v = row.v.high
    if op == LOGSUMEXP:
        high = (<const real*> grad)[0]
    else:
        clear(&sums)
        while start < call.n:
            count = length(call.n - start, call.y_item, sizeof(real))
            g = load(grad + start * call.grad_item, call.grad_item, count,
                     <real*> work.grad.at, <real> 0)
            if op == SOFTMAX:
                values = load(x + start * call.x_item, call.x_item, count,
                              <real*> work.buffer.at, pad)
                if output:
                    products(values, g, padded(count), work.result.at, work.rest.at)
                else:
                    e = kept(&row, values, start, padded(count), scale, work)
                    products(e, g, padded(count), work.result.at, work.rest.at)
            else:
                for i in range(padded(count)):
                    work.result.at[i] = g[i]
                    work.rest.at[i] = 0
            add_either(work.result.at, work.rest.at, padded(count), real is double, &sums)
            start += count
        sum = total(&sums, real is double)
        high = sum.high
        low = sum.low
        if op == SOFTMAX:
            high *= v
            low *= v
    start = 0
    while start < call.n:
        count = length(call.n - start, call.y_item, sizeof(real))
        values = load(x + start * call.x_item, call.x_item, count, <real*> work.buffer.at, pad)
        if op != SOFTMAX or not output:
            e = kept(&row, values, start, padded(count), scale, work)
        result = room(y + start * call.y_item, call.y_item, count, <real*> work.result.at)
        if op == LOGSUMEXP:
            for i in range(padded(count)):
                result[i] = <real> (high * (e[i] * v))
        else:
            g = load(grad + start * call.grad_item, call.grad_item, count,
                     <real*> work.grad.at, <real> 0)
            if op == SOFTMAX and output:
                for i in range(padded(count)):
                    result[i] = <real> (values[i] * ((g[i] - high) - low) * inverse)
            elif op == SOFTMAX:
                for i in range(padded(count)):
                    result[i] = <real> (e[i] * v * ((g[i] - high) - low) * inverse)
            else:
                for i in range(padded(count)):
                    result[i] = <real> ((g[i] - e[i] * v * high) * inverse)
        store(result, y + start * call.y_item, call.y_item, count)
        start += count


cdef inline void backward(const Rows* call, int op, bint output, real kind) noexcept nogil:
    cdef Work work
    cdef Panel panel
    cdef Scale scale = scale_of(NULL if op == LOGSUMEXP else call.p)
    cdef Scale unit = scale_of(NULL)
    cdef Py_ssize_t r
    if real is float:
        if output and not scale.scaled:
            backward32(call, op == SOFTMAX, &panel)
            return
    for r in range(call.rows):
        backward_row(call, call.x + r * call.x_row, call.grad + r * call.grad_row,
                     call.y + r * call.y_row, &unit if output else &scale, scale.inverse, op,
                     output, &work, kind)


# cross_entropy: sum of a_k (log(sum) - (x_k - m)), its gradient scale (A softmax(x) - a),
# A = sum of a. a is the class's weight at the target, or mixed with the smoothing.

cdef inline void coefficients(const CrossEntropy* call, Py_ssize_t r, Py_ssize_t start,
                              Py_ssize_t n, double* a, real kind) noexcept nogil:
    cdef Py_ssize_t i
    cdef double even = call.smoothing / call.rows.n
    cdef double rest = 1 - call.smoothing
    cdef const char* p
    if call.target != NULL:
        for i in range(n):
            a[i] = even
        if start <= call.target[r] < start + n:
            a[call.target[r] - start] += rest
    else:
        p = call.probability + r * call.probability_row + start * call.probability_item
        for i in range(n):
            a[i] = (<const real*> (p + i * call.probability_item))[0] * rest + even
    if call.weight != NULL:
        for i in range(n):
            a[i] *= call.weight[start + i]
    for i in range(n, padded(n)):
        a[i] = 0


cdef double mixed_loss(const CrossEntropy* call, Py_ssize_t r, const Row* row, double* mass,
                       Work* work, real kind) noexcept nogil:
    """The loss where every entry has a coefficient; mass[0] becomes their sum."""
    cdef const Rows* rows = &call.rows
    cdef const char* x = rows.x + r * rows.x_row
    cdef Sums all, shifted
    cdef Py_ssize_t start = 0, count, i
    cdef const real* values
    cdef double* a = work.grad.at
    clear(&all)
    clear(&shifted)
    while start < rows.n:
        count = length(rows.n - start, rows.x_item, sizeof(real))
        values = load(x + start * rows.x_item, rows.x_item, count, <real*> work.buffer.at,
                      <real> 0)
        coefficients(call, r, start, count, a, kind)
        memset(work.rest.at, 0, padded(count) * sizeof(double))
        add_pairs(a, work.rest.at, padded(count), &all)
        for i in range(padded(count)):
            work.result.at[i] = a[i] * (values[i] - row.m)
        for i in range(count, padded(count)):
            work.result.at[i] = 0
        add_pairs(work.result.at, work.rest.at, padded(count), &shifted)
        start += count
    mass[0] = total(&all, True).high
    return (mass[0] * log1p_pair(row.others.high, row.others.low)
            - total(&shifted, True).high)


cdef inline double exponential(real x, double m, const Scale* unit) noexcept nogil:
    cdef double low = 0, rest = 0, d
    if real is float:
        return exp_wide(x - m, unit.factor, unit.least)
    else:
        d = difference(x, m, unit, False, &low)
        return exp_pair(d, low, LEAST_PAIR, &rest)


cdef void class_row(const CrossEntropy* call, Py_ssize_t r, const Scale* unit, Work* work,
                    real kind) noexcept nogil:
    """One class, no smoothing: the gradient is the softmax, but for the target's entry."""
    cdef const Rows* rows = &call.rows
    cdef const char* x = rows.x + r * rows.x_row
    cdef char* y = NULL if rows.y == NULL else rows.y + r * rows.y_row
    cdef Py_ssize_t target = call.target[r]
    cdef real at_target = (<const real*> (x + target * rows.x_item))[0]
    cdef double weight = 1.0 if call.weight == NULL else call.weight[target]
    cdef double factor = call.scale * weight, e
    cdef real top = row_max(x, rows.x_item, rows.n, <real*> work.buffer.at)
    cdef Row row = sum_row(rows, x, top, y, unit, real is double, True, work)
    call.loss[r] = weight * (log1p_pair(row.others.high, row.others.low) - (at_target - row.m))
    if y == NULL:
        return
    finish(&row, factor * row.v.high, factor * row.v.low, y, rows.y_item, rows.n, work, kind)
    # p - 1 at the target is minus the share of all others: that does not cancel.
    e = exponential(at_target, row.m, unit)
    (<real*> (y + target * rows.y_item))[0] = <real> (-factor * row.v.high * (
        row.others.high if e == 1 else row.sum.high - e))


cdef void mixed_row(const CrossEntropy* call, Py_ssize_t r, const Scale* unit, Work* work,
                    real kind) noexcept nogil:
    """Every entry has a coefficient: probabilities or smoothing."""
    cdef const Rows* rows = &call.rows
    cdef const char* x = rows.x + r * rows.x_row
    cdef char* y
    cdef Py_ssize_t start = 0, count, i
    cdef double mass = 0, v, scale = call.scale
    cdef double* a = work.grad.at
    cdef const real* values
    cdef const double* e
    cdef real* result
    cdef real top = row_max(x, rows.x_item, rows.n, <real*> work.buffer.at)
    cdef Row row = sum_row(rows, x, top, NULL, unit, real is double, True, work)
    call.loss[r] = mixed_loss(call, r, &row, &mass, work, kind)
    if rows.y == NULL:
        return
    y = rows.y + r * rows.y_row
    v = row.v.high * mass
    while start < rows.n:
        count = length(rows.n - start, rows.y_item, sizeof(real))
        values = load(x + start * rows.x_item, rows.x_item, count, <real*> work.buffer.at,
                      <real> -INFINITY)
        e = kept(&row, values, start, padded(count), unit, work)
        coefficients(call, r, start, count, a, kind)
        result = room(y + start * rows.y_item, rows.y_item, count, <real*> work.result.at)
        for i in range(padded(count)):
            result[i] = <real> (scale * (e[i] * v - a[i]))
        store(result, y + start * rows.y_item, rows.y_item, count)
        start += count


cdef void ignored_row(const CrossEntropy* call, Py_ssize_t r, real kind) noexcept nogil:
    cdef const Rows* rows = &call.rows
    cdef Py_ssize_t i
    call.loss[r] = 0
    if rows.y != NULL:
        for i in range(rows.n):
            (<real*> (rows.y + r * rows.y_row + i * rows.y_item))[0] = 0


cdef inline void cross_entropies(const CrossEntropy* call, real kind) noexcept nogil:
    cdef Work work
    cdef Panel panel
    cdef Scale unit = scale_of(NULL)
    cdef Py_ssize_t r
    if real is float:
        if call.target != NULL and call.smoothing == 0:
            cross_entropy32(call, &panel)
            return
    for r in range(call.rows.rows):
        if call.target != NULL and call.target[r] < 0:
            ignored_row(call, r, kind)
        elif call.target != NULL and call.smoothing == 0:
            class_row(call, r, &unit, &work, kind)
        else:
            mixed_row(call, r, &unit, &work, kind)


# The table

cdef void run_softmax(const Rows* call) noexcept nogil:
    cdef status flags = status_get()
    if call.dtype == FLOAT32:
        softmax(call, <float> 0)
    else:
        softmax(call, <double> 0)
    status_set(flags)


cdef void run_log_softmax(const Rows* call) noexcept nogil:
    cdef status flags = status_get()
    if call.dtype == FLOAT32:
        log_softmax(call, <float> 0)
    else:
        log_softmax(call, <double> 0)
    status_set(flags)


cdef void run_logsumexp(const Rows* call) noexcept nogil:
    cdef status flags = status_get()
    if call.dtype == FLOAT32:
        logsumexp(call, <float> 0)
    else:
        logsumexp(call, <double> 0)
    status_set(flags)


cdef void run_logmeanexp(const Rows* call) noexcept nogil:
    """p[0]: the number of entries."""
    cdef status flags = status_get()
    if call.dtype == FLOAT32:
        logmeanexp(call, <float> 0)
    else:
        logmeanexp(call, <double> 0)
    status_set(flags)


cdef inline void run_backward(const Rows* call, int op, bint output) noexcept nogil:
    cdef status flags = status_get()
    if call.dtype == FLOAT32:
        backward(call, op, output, <float> 0)
    else:
        backward(call, op, output, <double> 0)
    status_set(flags)


cdef void softmax_backward(const Rows* call) noexcept nogil:
    run_backward(call, SOFTMAX, False)


cdef void softmax_from_output(const Rows* call) noexcept nogil:
    run_backward(call, SOFTMAX, True)


cdef void log_softmax_backward(const Rows* call) noexcept nogil:
    run_backward(call, LOG_SOFTMAX, False)


cdef void log_softmax_from_output(const Rows* call) noexcept nogil:
    run_backward(call, LOG_SOFTMAX, True)


cdef void logsumexp_backward(const Rows* call) noexcept nogil:
    run_backward(call, LOGSUMEXP, False)


cdef void cross_entropy(const CrossEntropy* call) noexcept nogil:
    cdef status flags = status_get()
    if call.rows.dtype == FLOAT32:
        cross_entropies(call, <float> 0)
    else:
        cross_entropies(call, <double> 0)
    status_set(flags)


cdef void run_gather(const Packing* packing) noexcept nogil:
    gather(packing)


cdef void run_scatter(const Packing* packing) noexcept nogil:
    scatter(packing)


cdef RowOp ROW_OPS[4]
cdef RowKernels ROW_KERNELS

ROW_OPS[0] = RowOp(name=b"softmax", cost=0.5, value=run_softmax, backward=softmax_backward,
                   from_output=softmax_from_output)
ROW_OPS[1] = RowOp(name=b"log_softmax", cost=0.5, value=run_log_softmax,
                   backward=log_softmax_backward, from_output=log_softmax_from_output)
ROW_OPS[2] = RowOp(name=b"logsumexp", cost=0.75, value=run_logsumexp,
                   backward=logsumexp_backward, from_output=NULL)
ROW_OPS[3] = RowOp(name=b"logmeanexp", cost=0.75, value=run_logmeanexp,
                   backward=logsumexp_backward, from_output=NULL)
ROW_KERNELS.ops.abi = ABI
ROW_KERNELS.ops.count = 4
ROW_KERNELS.ops.at = ROW_OPS
ROW_KERNELS.gather = run_gather
ROW_KERNELS.scatter = run_scatter
ROW_KERNELS.cross_entropy = cross_entropy
table = PyCapsule_New(&ROW_KERNELS, b"cyact.RowKernels", NULL)
