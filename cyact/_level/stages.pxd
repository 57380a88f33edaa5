"""The stages around a kernel, compiled with the kernels of each level.

    load (gather, pad, widen half types) -> add bias -> kernel -> multiply by gradients ->
    round to the half type -> sum over rows -> store (scatter)

Work is done in tiles that live in L1 and lie in the scratch that the engine brings: threads may
have small stacks. Where no stage is needed the kernel runs on the arrays themselves.
"""

from libc.string cimport memcmp, memcpy, memset

from cyact._level.abi cimport (
    BFLOAT16,
    BIAS,
    BLOCKS,
    EXACT,
    EXACT_OF_HALVES,
    FACTOR,
    FLOAT32,
    FLOAT64,
    GRAD,
    LANES,
    TILE,
    WEIGHT,
    Operand,
    Span,
    X,
    Y,
    itemsize,
    weighted_t,
)
from cyact._level.halves cimport (
    Ties,
    look_up_floats,
    narrow,
    neighbour,
    product,
    recall,
    round_and_list,
    round_to_odd,
    uint16,
    widen,
    widen_and_add,
)
from cyact._level.moves cimport (
    contiguous,
    gather,
    gather_row,
    prefetch_row,
    scatter,
    scatter_row,
)

cdef extern from "stages.h":
    ctypedef struct cyact_status:
        pass
    cyact_status status_get "cyact_status_get" () noexcept nogil
    void status_set "cyact_status_set" (cyact_status status) noexcept nogil

cdef enum:
    AS_THEY_LIE = 192             # rows of so many entries; shorter ones are brought together
    OVERRUN = 320                 # bytes at the end of a tile, which a move may overrun


# A block: some whole rows, or a piece of one, of at most TILE entries.

cdef struct Block:
    Py_ssize_t row
    Py_ssize_t start              # in the row
    Py_ssize_t rows
    Py_ssize_t n
    Py_ssize_t padded             # rows * n, up to a multiple of LANES
    bint packed                   # whether blocks of this span hold several rows
    bint joined                   # whether rows have been joined, bias and weight repeated
    Py_ssize_t column             # of its first entry, among
    Py_ssize_t columns            # so many


cdef inline char* at(const Operand* a, const Block* b) noexcept nogil:
    return a.data + b.row * a.row + b.start * a.step


cdef inline char* entries(const Operand* a, const Block* b, Py_ssize_t size,
                          char* buffer) noexcept nogil:
    """The block's entries in a row: in place if possible, else in the buffer, padded with 0."""
    cdef Py_ssize_t count = b.rows * b.n
    cdef char* x = at(a, b)
    if contiguous(a, b.rows, b.n, size) and count == b.padded:
        return x
    gather(a, x, buffer, b.rows, b.n, size)
    memset(buffer + count * size, 0, (b.padded - count) * size)
    return buffer


cdef inline void store(const char* y, const Span* s, const Block* b) noexcept nogil:
    """The block's results, in the dtype of the array, to their places."""
    cdef const Operand* a = &s.at[Y]
    cdef Py_ssize_t size = itemsize(s.dtype)
    cdef char* to = at(a, b)
    if contiguous(a, b.rows, b.n, size):
        memcpy(to, y, b.rows * b.n * size)
    else:
        scatter(y, a, to, b.rows, b.n, size)


# Arithmetic on n entries, n a multiple of LANES; of float32 unless `wide`

cdef inline void add(const char* a, const char* b, char* to, Py_ssize_t n,
                     bint wide) noexcept nogil:
    """to = a + b; `to` may be a."""
    cdef Py_ssize_t i
    if wide:
        for i in range(n & -LANES):
            (<double*> to)[i] = (<const double*> a)[i] + (<const double*> b)[i]
    else:
        for i in range(n & -LANES):
            (<float*> to)[i] = (<const float*> a)[i] + (<const float*> b)[i]


cdef inline void multiply(const char* a, const char* b, char* to, Py_ssize_t n,
                          bint wide) noexcept nogil:
    """to = a * b; `to` may be a or b."""
    cdef Py_ssize_t i
    if wide:
        for i in range(n & -LANES):
            (<double*> to)[i] = (<const double*> a)[i] * (<const double*> b)[i]
    else:
        for i in range(n & -LANES):
            (<float*> to)[i] = (<const float*> a)[i] * (<const float*> b)[i]


cdef inline void sum_rows(const Span* s, const Block* b, const char* y) noexcept nogil:
    """Add the block's rows to the sums: float32 in double, double with the rounding errors."""
    cdef Py_ssize_t start = 0, column = b.column, n
    while start < b.rows * b.n:
        n = min(b.columns - column, b.rows * b.n - start)
        if s.dtype == FLOAT64:
            add_exactly(<const double*> y + start, n, s.sums + column,
                        s.sums + s.rests + column)
        else:
            add_up(<const float*> y + start, n, s.sums + column)
        start += n
        column = 0


cdef inline void add_up(const float* y, Py_ssize_t n, double* sums) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        sums[j] += y[j]


cdef inline void add_exactly(const double* y, Py_ssize_t n, double* sums,
                             double* rests) noexcept nogil:
    cdef Py_ssize_t j
    cdef double total, part
    for j in range(n):
        total = sums[j] + y[j]
        part = total - sums[j]
        rests[j] += (sums[j] - (total - part)) + (y[j] - part)
        sums[j] = total


# Half types. A float32 result that is 1 ULP off rounds wrongly where a tie of the half type
# is that near. Such results, a few in ten thousand, are computed again in double.

cdef inline void settle(const Span* s, const char* x, const char* w, const char* y, uint16* h,
                        Py_ssize_t n) noexcept nogil:
    """h = the halves nearest to f(x), given y = f(x) within 1 ULP and `slack`."""
    cdef bint bfloat = s.dtype == BFLOAT16
    cdef Ties ties
    cdef short[BLOCKS] found
    cdef int count, i
    ties.dropped = 0xffff if bfloat else 0x1fff
    ties.tie = (ties.dropped + 1) // 2
    # Above 2^-14 the slack is at most 32 units in the last place of a float. Below, float16 is
    # subnormal and counts in units of 2^-24; in bfloat16 the slack makes all results doubtful.
    ties.width = 2 if s.slack == 0 else 64
    ties.smallest = 0 if bfloat and s.slack == 0 else 2 * 0x38800000u
    ties.limit = -1 if bfloat else 0.5 - 2.0**-12 if s.slack == 0 else 0.5 - 2.0**-7
    count = round_and_list(<const float*> y, <const float*> x if s.keeps else NULL, h, n, bfloat,
                           ties, found)
    for i in range(count):
        if doubtful(s, <const float*> y + found[i]):
            compute_again(s, <const float*> x + found[i],
                          <const float*> NULL if w == NULL else <const float*> w + found[i],
                          h + found[i])


cdef inline bint doubtful(const Span* s, const float* y) noexcept nogil:
    """Whether one of LANES results could round differently if it were exact."""
    cdef float[LANES] low
    cdef float[LANES] high
    cdef uint16[LANES] below
    cdef uint16[LANES] above
    cdef float slack = <float> s.slack
    cdef int i
    for i in range(LANES):
        low[i] = high[i] = y[i]
        if y[i] != 0 and y[i] - y[i] == 0:
            low[i] = neighbour(y[i], -1) - slack
            high[i] = neighbour(y[i], 1) + slack
    narrow(low, below, LANES, s.dtype)
    narrow(high, above, LANES, s.dtype)
    return memcmp(below, above, sizeof(below)) != 0


cdef inline void compute_again(const Span* s, const float* x, const float* w,
                               uint16* h) noexcept nogil:
    """LANES halves by way of the double kernel."""
    cdef double[LANES] wide_x
    cdef double[LANES] wide_w
    cdef double[LANES] wide_y
    cdef double[LANES] rest
    cdef float[LANES] odd
    cdef int j
    for j in range(LANES):
        wide_x[j] = x[j]
        wide_w[j] = 0 if w == NULL else w[j]
        rest[j] = 0
    if s.weighted:
        (<weighted_t> s.wide)(wide_x, wide_w, wide_y, LANES, s.p)
    else:
        s.wide(wide_x, wide_y, LANES, s.p)
    if s.rest != NULL:
        s.rest(wide_x, rest, LANES, s.p)
    round_to_odd(wide_y, rest, odd, LANES)
    narrow(odd, h, LANES, s.dtype)


# Spans

cdef struct Tiles:
    char* at[Y]                   # a block's operands; halves as such
    char* of[Y]
    char* y
    Py_ssize_t half               # where in a tile halves begin, behind floats; in bytes


cdef inline Py_ssize_t most(const Span* s) noexcept nogil:
    """Entries in a block."""
    return min(<Py_ssize_t> TILE, (s.rows * s.n + LANES - 1) & -LANES)


cdef inline Py_ssize_t tile_size(const Span* s) noexcept nogil:
    """Bytes for the entries of a block; of half types as floats and as halves."""
    cdef Py_ssize_t size = 8 if s.dtype == FLOAT64 else 4 if s.dtype == FLOAT32 else 6
    return (most(s) * size + OVERRUN + 63) & -64


cdef inline Py_ssize_t tiles_of(const Span* s, int k) noexcept nogil:
    """How many tiles an operand takes: two for a weight or a bias, which may be repeated."""
    return 0 if s.at[k].data == NULL else 2 if k == WEIGHT or k == BIAS else 1


cdef inline Py_ssize_t scratch(const Span* s) noexcept nogil:
    """How many bytes of scratch a span needs; any piece of it needs no more."""
    cdef Py_ssize_t size = itemsize(s.dtype), tiles = 1
    cdef int k
    if looked_up(s, size):
        if in_order(s):
            return 0
    elif plain(s, size) and long_rows(s, size):
        return 0
    for k in range(Y):
        tiles += tiles_of(s, k)
    return tiles * tile_size(s)


cdef inline void lay_out(const Span* s, Tiles* tiles) noexcept nogil:
    """Share the scratch out."""
    cdef Py_ssize_t size = tile_size(s)
    cdef char* place = s.scratch + size
    cdef int k
    tiles.half = most(s) * 4
    tiles.y = s.scratch
    for k in range(Y):
        tiles.of[k] = place
        place += tiles_of(s, k) * size


cdef inline bint packs(const Span* s) noexcept nogil:
    """Whether blocks hold several rows: short ones, and those that need not be copied for it.

    A row with a bias by itself is a block and, where it is not whole vectors, a second one.
    """
    cdef Py_ssize_t size = itemsize(s.dtype)
    if s.n > TILE // 2:
        return False
    return (s.n <= TILE // 4 or s.at[BIAS].data != NULL
            or (contiguous(&s.at[X], s.rows, s.n, size)
                and contiguous(&s.at[Y], s.rows, s.n, size)))


cdef inline Py_ssize_t rows_in_block(Py_ssize_t n) noexcept nogil:
    """As many rows as fit; with a whole number of LANES, if possible: nothing is padded then."""
    cdef Py_ssize_t rows = TILE // n, even = LANES
    while even > 1 and (even // 2 * n) & (LANES - 1) == 0:
        even //= 2
    return rows - rows % even if rows >= even else rows


cdef inline bint stays(const Span* s, const Block* b, int k) noexcept nogil:
    """Whether the first block's entries, the same for all, are still in their tile."""
    if not (b.row > 0 and b.packed and s.at[k].row == 0) and not (
            b.start > 0 and s.rows == 1 and s.at[k].step == 0):
        return False
    return not ((k == X and s.at[BIAS].data != NULL) or (k == GRAD and s.at[FACTOR].data != NULL))


cdef inline void fetch(const Span* s, const Block* b, Tiles* tiles) noexcept nogil:
    """Find a block's operands. A loop, for the code to be there but once."""
    cdef Py_ssize_t size
    cdef char* buffer
    cdef int k
    for k in range(Y):
        tiles.at[k] = NULL
        if s.at[k].data == NULL:
            continue
        size = itemsize(s.dtype)
        buffer = tiles.of[k]
        if size == 2 and (k == WEIGHT or k == BIAS):
            size = 4
        elif size == 2:
            buffer += tiles.half
        if b.joined and (k == WEIGHT or k == BIAS):
            tiles.at[k] = buffer + b.column * size
        elif stays(s, b, k):
            tiles.at[k] = buffer
        else:
            tiles.at[k] = entries(&s.at[k], b, size, buffer)


cdef inline char* wide(const Span* s, const Block* b, Tiles* tiles, int k) noexcept nogil:
    """The block's entries as kernels take them."""
    if itemsize(s.dtype) > 2:
        return tiles.at[k]
    widen(<const uint16*> tiles.at[k], <float*> tiles.of[k], b.padded, s.dtype)
    return tiles.of[k]


cdef inline void run_block(const Span* s, const Block* b, Tiles* tiles) noexcept nogil:
    cdef bint half = itemsize(s.dtype) == 2 and s.at[Y].data != NULL   # whether to round to it
    cdef const char* x = NULL
    cdef const char* grad = NULL
    cdef const uint16* half_grad = NULL
    cdef char* y = tiles.y
    cdef char* place = NULL
    cdef uint16* h = <uint16*> (tiles.y + tiles.half)
    fetch(s, b, tiles)
    if half and s.at[GRAD].data != NULL and s.at[FACTOR].data == NULL:
        half_grad = <uint16*> tiles.at[GRAD]
    elif s.at[GRAD].data != NULL:
        grad = wide(s, b, tiles, GRAD)
        if s.at[FACTOR].data != NULL:
            multiply(grad, wide(s, b, tiles, FACTOR), tiles.of[GRAD], b.padded,
                     s.dtype == FLOAT64)
            grad = tiles.of[GRAD]
    if (s.at[Y].data != NULL and b.rows * b.n == b.padded
            and contiguous(&s.at[Y], b.rows, b.n, itemsize(s.dtype))):
        place = at(&s.at[Y], b)   # no need for a buffer
        if half:
            h = <uint16*> place
        elif place != tiles.at[X] and place != grad:
            y = place
    x = evaluate(s, b, tiles, y)
    if grad != NULL:
        multiply(grad, y, y, b.padded, s.dtype == FLOAT64)
    if half_grad != NULL:
        product(half_grad, <float*> y, h, b.padded, s.dtype)
    elif half and grad == NULL and s.exact < (
            EXACT if s.at[BIAS].data != NULL else EXACT_OF_HALVES):
        settle(s, x, tiles.at[WEIGHT], y, h, b.padded)
    elif half:
        narrow(<const float*> y, h, b.padded, s.dtype)
    if s.sums != NULL:
        if half:
            widen(h, <float*> y, b.padded, s.dtype)
        sum_rows(s, b, y)
    if s.at[Y].data != NULL and (<char*> h if half else y) != place:
        store(<const char*> h if half else y, s, b)


cdef inline const char* evaluate(const Span* s, const Block* b, Tiles* tiles,
                                 char* y) noexcept nogil:
    """y = kernel(x + bias, weight); returns x + bias."""
    cdef char* x
    if s.known != NULL:
        look_up_floats(s.known.slopes, <uint16*> tiles.at[X], <float*> y, b.padded & -LANES)
        return NULL
    if s.at[BIAS].data == NULL:
        x = wide(s, b, tiles, X)
    else:
        x = tiles.of[X]
        if itemsize(s.dtype) == 2:
            widen_and_add(<const uint16*> tiles.at[X], <const float*> tiles.at[BIAS], <float*> x,
                          b.padded, s.dtype)
        else:
            add(tiles.at[X], tiles.at[BIAS], x, b.padded, s.dtype == FLOAT64)
    if s.weighted:
        (<weighted_t> s.kernel)(x, tiles.at[WEIGHT], y, b.padded, s.p)
    else:
        s.kernel(x, y, b.padded, s.p)
    return x


cdef inline Py_ssize_t next_piece(Py_ssize_t rest) noexcept nogil:
    """How much of a row to take next: only the last piece is no multiple of LANES."""
    return min(<Py_ssize_t> TILE, rest & -LANES) if rest >= LANES else rest


# Rows side by side are one row, but for a bias or a weight that all of them share: this is
# repeated, and a block starts anywhere in it.

cdef inline bint side_by_side(const Operand* a, const Span* s) noexcept nogil:
    return a.data == NULL or contiguous(a, s.rows, s.n, itemsize(s.dtype))


cdef inline bint joins(const Span* s) noexcept nogil:
    return (s.rows > 1 and s.n <= TILE and s.at[BIAS].row == 0 and s.at[WEIGHT].row == 0
            and side_by_side(&s.at[X], s) and side_by_side(&s.at[Y], s)
            and side_by_side(&s.at[GRAD], s) and side_by_side(&s.at[FACTOR], s))


cdef inline void repeat(const Operand* a, Py_ssize_t n, Py_ssize_t count, char* to,
                        Py_ssize_t size) noexcept nogil:
    """Have an operand's n entries follow each other, again and again, up to `count`."""
    if a.data == NULL:
        return
    gather_row(a.data, a.step, to, n, size)
    while n < count:
        memcpy(to + n * size, to, min(n, count - n) * size)
        n += n


cdef inline void join_rows(Span* s, Tiles* tiles) noexcept nogil:
    cdef Py_ssize_t size = itemsize(FLOAT64 if s.dtype == FLOAT64 else FLOAT32)
    cdef Py_ssize_t count = min(s.rows * s.n, s.n + TILE)
    repeat(&s.at[BIAS], s.n, count, tiles.of[BIAS], size)
    repeat(&s.at[WEIGHT], s.n, count, tiles.of[WEIGHT], size)
    s.n *= s.rows
    s.rows = 1


cdef inline void span_in_tiles(const Span* s) noexcept nogil:
    cdef Tiles tiles
    cdef Block b
    cdef Span whole
    cdef Py_ssize_t together = 1
    b.columns = s.n
    b.joined = joins(s)
    lay_out(s, &tiles)
    if b.joined:                  # copied only then: it takes as long as a short row
        whole = s[0]
        join_rows(&whole, &tiles)
        s = &whole
    b.packed = packs(s)
    if b.packed and s.rows > 1:
        together = rows_in_block(s.n)
    b.row = 0
    while b.row < s.rows:
        b.start = 0
        b.rows = min(together, s.rows - b.row)
        while b.start < s.n:
            b.n = s.n if b.packed else next_piece(s.n - b.start)
            b.padded = (b.rows * b.n + LANES - 1) & -LANES
            b.column = b.start % b.columns if b.joined else b.start
            run_block(s, &b, &tiles)
            b.start += b.n
        b.row += b.rows


cdef inline bint alone(const Span* s) noexcept nogil:
    """Whether nothing but x enters the result."""
    return (s.sums == NULL and s.at[GRAD].data == NULL and s.at[FACTOR].data == NULL
            and s.at[BIAS].data == NULL)


cdef inline void known_halves(const Span* s, const char* x, char* y, Py_ssize_t n) noexcept nogil:
    if not s.copies:
        recall(s.known, <const uint16*> x, <uint16*> y, n)
    elif x != y:
        memcpy(y, x, 2 * n)


cdef inline void known_in_blocks(const Span* s) noexcept nogil:
    """Short rows, several at a time."""
    cdef char* buffer = s.scratch
    cdef Py_ssize_t together = rows_in_block(s.n), row = 0, rows, count
    cdef char* y
    cdef char* to
    while row < s.rows:
        rows = min(together, s.rows - row)
        count = rows * s.n
        gather(&s.at[X], s.at[X].data + row * s.at[X].row, buffer, rows, s.n, 2)
        y = s.at[Y].data + row * s.at[Y].row
        to = y if contiguous(&s.at[Y], rows, s.n, 2) else buffer
        known_halves(s, buffer, to, count)
        if to != y:
            scatter(to, &s.at[Y], y, rows, s.n, 2)
        row += rows


cdef inline void known_by_rows(const Span* s, Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    cdef char* buffer = s.scratch
    cdef bint in_place = s.at[X].step == 2 and s.at[Y].step == 2
    cdef Py_ssize_t row, start, count
    cdef const char* x
    cdef char* y
    for row in range(rows):
        x = s.at[X].data + row * s.at[X].row
        y = s.at[Y].data + row * s.at[Y].row
        if in_place:
            known_halves(s, x, y, n)
            continue
        start = 0
        while start < n:
            count = min(<Py_ssize_t> TILE, n - start)
            gather_row(x + start * s.at[X].step, s.at[X].step, buffer, count, 2)
            known_halves(s, buffer, buffer, count)
            scatter_row(buffer, y + start * s.at[Y].step, s.at[Y].step, count, 2)
            start += count


cdef inline bint looked_up(const Span* s, Py_ssize_t size) noexcept nogil:
    """Whether results are halves that are known already, or x itself: no arithmetic."""
    return size == 2 and (s.known != NULL or s.copies) and alone(s)


cdef inline bint in_order(const Span* s) noexcept nogil:
    return contiguous(&s.at[X], s.rows, s.n, 2) and contiguous(&s.at[Y], s.rows, s.n, 2)


cdef inline void span_of_known(const Span* s) noexcept nogil:
    if in_order(s):
        known_by_rows(s, 1, s.rows * s.n)
    elif s.rows > 1 and s.n < AS_THEY_LIE:
        known_in_blocks(s)
    else:
        known_by_rows(s, s.rows, s.n)


# Where nothing but x and a gradient enter, there are no stages to go through: a kernel is run on
# long rows as they lie, and on short ones brought together.

cdef enum:
    PRODUCTS = 512                # then multiplied by the gradient, while they are in L1

cdef inline bint plain(const Span* s, Py_ssize_t size) noexcept nogil:
    cdef const char* y = s.at[Y].data
    return (size > 2 and not s.weighted and s.sums == NULL
            and s.at[FACTOR].data == NULL and s.at[BIAS].data == NULL
            and y != NULL and y != s.at[X].data and y != s.at[GRAD].data)


cdef inline bint long_rows(const Span* s, Py_ssize_t size) noexcept nogil:
    """Of entries side by side; or a third as long, in whole vectors; or with no gaps in between,
    as then they are one."""
    return (s.at[X].step == size and s.at[Y].step == size
            and (s.at[GRAD].data == NULL or s.at[GRAD].step == size)
            and (s.rows == 1 or s.n >= AS_THEY_LIE
                 or (s.n >= AS_THEY_LIE // 3 and s.n & (LANES - 1) == 0)
                 or (side_by_side(&s.at[X], s) and side_by_side(&s.at[Y], s)
                     and side_by_side(&s.at[GRAD], s))))


cdef inline void few(const Span* s, const char* x, const char* grad, char* y, Py_ssize_t skip,
                     Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """n of the LANES results of x, all but the first `skip`."""
    cdef double[LANES] result
    s.kernel(x, result, LANES, s.p)
    if grad != NULL:
        multiply(<char*> result, grad, <char*> result, LANES, size == 8)
    memcpy(y, <char*> result + skip * size, n * size)


cdef inline void row_as_it_lies(const Span* s, const char* x, const char* grad, char* y,
                                Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """The end of a row is computed as the end of a vector."""
    cdef double[2 * LANES] padded
    cdef Py_ssize_t rest = n & (LANES - 1), whole = n - rest, start = 0, count
    while start < whole:
        count = whole if grad == NULL else min(<Py_ssize_t> PRODUCTS, whole - start)
        s.kernel(x + start * size, y + start * size, count, s.p)
        if grad != NULL:
            multiply(grad + start * size, y + start * size, y + start * size, count, size == 8)
        start += count
    if rest and whole:
        few(s, x + (n - LANES) * size,
            <const char*> NULL if grad == NULL else grad + (n - LANES) * size,
            y + whole * size, LANES - rest, rest, size)
    elif rest:
        memset(padded, 0, sizeof(padded))
        memcpy(padded, x, rest * size)
        if grad != NULL:
            memcpy(padded + LANES, grad, rest * size)
        few(s, <char*> padded, NULL if grad == NULL else <char*> (padded + LANES), y, 0, rest,
            size)


cdef inline void rows_as_they_lie(const Span* s, Py_ssize_t size) noexcept nogil:
    cdef bint joined = side_by_side(&s.at[X], s) and side_by_side(&s.at[Y], s) and side_by_side(
        &s.at[GRAD], s)
    cdef Py_ssize_t rows = 1 if joined else s.rows, n = s.rows * s.n if joined else s.n
    cdef Py_ssize_t row, head
    cdef const char* x = s.at[X].data
    cdef const char* grad = s.at[GRAD].data
    cdef char* y = s.at[Y].data
    for row in range(rows):
        if s.far and not joined:
            prefetch_row(&s.at[X], row + 1, n * size)
            prefetch_row(&s.at[GRAD], row + 1, n * size)
        head = 0
        # NumPy's memory is aligned to 16 bytes: an aligned start saves a long run from vectors
        # that straddle cache lines (10 % where the cache is the limit).
        if n >= TILE:
            head = ((-<Py_ssize_t> y) & 63) // size
        if head:
            few(s, x, grad, y, 0, head, size)
        row_as_it_lies(s, x + head * size,
                       <const char*> NULL if grad == NULL else grad + head * size,
                       y + head * size, n - head, size)
        x += s.at[X].row
        y += s.at[Y].row
        if grad != NULL:
            grad += s.at[GRAD].row


cdef inline const char* packed(const Operand* a, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t n,
                               Py_ssize_t size, char* buffer) noexcept nogil:
    """Rows side by side: in place if possible, else in the buffer, where equal ones stay."""
    cdef const char* x = a.data + row * a.row
    if a.data == NULL or contiguous(a, rows, n, size):
        return x
    if row == 0 or a.row != 0:
        gather(a, x, buffer, rows, n, size)
    return buffer


cdef inline void rows_together(const Span* s, Py_ssize_t size) noexcept nogil:
    cdef Tiles tiles
    cdef Py_ssize_t together = rows_in_block(s.n * size // 4), row = 0, rows
    cdef const char* x
    cdef const char* grad
    cdef char* y
    cdef char* place
    lay_out(s, &tiles)
    while row < s.rows:
        rows = min(together, s.rows - row)
        x = packed(&s.at[X], row, rows, s.n, size, tiles.of[X])
        place = s.at[Y].data + row * s.at[Y].row
        y = place if contiguous(&s.at[Y], rows, s.n, size) else tiles.y
        grad = packed(&s.at[GRAD], row, rows, s.n, size, tiles.of[GRAD])
        row_as_it_lies(s, x, grad, y, rows * s.n, size)
        if y != place:
            scatter(y, &s.at[Y], place, rows, s.n, size)
        row += rows


cdef inline void span(const Span* s) noexcept nogil:
    """Run one span; the floating-point status flags come out as they went in."""
    cdef cyact_status status = status_get()
    cdef Py_ssize_t size = itemsize(s.dtype)
    if looked_up(s, size):
        span_of_known(s)
    elif plain(s, size) and long_rows(s, size):
        rows_as_they_lie(s, size)
    elif plain(s, size) and s.n < AS_THEY_LIE:
        rows_together(s, size)
    else:
        span_in_tiles(s)
    status_set(status)
