"""Strips: what the passes of sparsemax and its like work on, and what they share.

A strip holds up to SIDE short rows, each in a lane of its own, or one long row whose entries lie
over all lanes. A pass is the same loop for both, 16 lanes at a time; after it the lanes of a long
row are folded in a fixed order. So a row's result depends on the row alone.
"""

cdef extern from *:
    """
    #if defined(_MSC_VER)
      #define CYACT_LINE __declspec(align(64))
    #else
      #define CYACT_LINE __attribute__((aligned(64)))
    #endif
    typedef struct { CYACT_LINE double at[1024]; } cyact_doubles;
    """
    ctypedef struct doubles "cyact_doubles":
        double at[1024]

cdef extern from *:
    """
    /* As many lanes as SIDE, but not known to the compiler: GCC would unroll a loop over them
       before it comes to vectorising, and then leave it scalar. */
    static const volatile Py_ssize_t cyact_lanes = 16;
    """
    const Py_ssize_t lanes "cyact_lanes"

cdef enum:
    SHORT_ROW = 64      # the longest row that stands in one lane
    PIECE = 1024        # entries of a long row that a pass takes at a time

cdef struct Strip:
    const char* x
    Py_ssize_t row
    Py_ssize_t item
    Py_ssize_t n
    Py_ssize_t take     # rows
    bint apart          # each row stands in a lane of its own
    const void* held    # all of it, if it is one part; else parts are loaded for each pass

cdef struct StripWork:
    doubles x
    doubles grad
    doubles y
    doubles s
    doubles kept        # of a long row, what can be in the support


# Reading and writing

cdef inline Py_ssize_t strip_rows(Py_ssize_t n, Py_ssize_t left) noexcept nogil:
    """How many rows the next strip takes."""
    if n > SHORT_ROW:
        return 1
    return left if left < SIDE else SIDE


cdef inline Lines lines_of(const Strip* s, real kind) noexcept nogil:
    cdef Lines a
    a.data = <char*> s.x
    a.dtype = dtype_of(kind)
    a.row = s.row
    a.item = s.item
    return a


cdef void gather_rows(const Strip* s, real* to) noexcept nogil:
    """Short rows side by side: entry k of row r to to[k SIDE + r]; lanes without a row get 0."""
    cdef Lines rows = lines_of(s, <real> 0)
    cdef Py_ssize_t r, k
    if s.n < 4:         # too few to be transposed in blocks
        for r in range(s.take):
            for k in range(s.n):
                to[k * SIDE + r] = (<const real*> (s.x + r * s.row + k * s.item))[0]
    else:
        gather_lanes(&rows, s.take, s.n, to)
    for r in range(s.take, SIDE):
        for k in range(s.n):
            to[k * SIDE + r] = 0


cdef const real* load_part(const Strip* s, Py_ssize_t start, real* buffer,
                           real pad) noexcept nogil:
    """Entries from `start` on, padded to whole steps of SIDE lanes."""
    cdef const char* x = s.x + start * s.item
    cdef Py_ssize_t i, count = min(s.n - start, <Py_ssize_t> PIECE)
    if s.held != NULL:
        return <const real*> s.held
    if s.apart:
        gather_rows(s, buffer)
        return buffer
    if s.item == sizeof(real):
        if count % SIDE == 0:
            return <const real*> x
        memcpy(buffer, x, count * sizeof(real))
    else:
        for i in range(count):
            buffer[i] = (<const real*> (x + i * s.item))[0]
    for i in range(count, (count + SIDE - 1) & -SIDE):
        buffer[i] = pad
    return buffer


cdef inline Py_ssize_t steps_from(const Strip* s, Py_ssize_t start) noexcept nogil:
    """Steps of SIDE lanes in the part from `start` on."""
    if s.apart:
        return s.n
    return (min(s.n - start, <Py_ssize_t> PIECE) + SIDE - 1) // SIDE


cdef Strip open_strip(const char* x, Py_ssize_t row, Py_ssize_t item, Py_ssize_t n,
                      Py_ssize_t take, real* buffer, real pad) noexcept nogil:
    cdef Strip s
    s.x = x
    s.row = row
    s.item = item
    s.n = n
    s.take = take
    s.apart = n <= SHORT_ROW
    s.held = NULL
    if n <= PIECE:
        s.held = load_part(&s, 0, buffer, pad)
    return s


cdef void store_part(const Strip* s, const real* y, Py_ssize_t start) noexcept nogil:
    """Results of a part to their places, s being the strip of the result."""
    cdef Lines rows
    cdef char* to = <char*> s.x + start * s.item
    cdef Py_ssize_t k, count = min(s.n - start, <Py_ssize_t> PIECE)
    if s.apart:
        rows = lines_of(s, <real> 0)
        scatter_lanes(y, &rows, s.take, s.n, False)
    elif s.item == sizeof(real):
        memcpy(to, y, count * sizeof(real))
    else:
        for k in range(count):
            (<real*> (to + k * s.item))[0] = y[k]


cdef inline Strip result_strip(const Strip* s, char* y, Py_ssize_t row,
                               Py_ssize_t item) noexcept nogil:
    cdef Strip result = s[0]
    result.x = y
    result.row = row
    result.item = item
    result.held = NULL
    return result


# Lanes: 16 numbers, one a row or 16 shares of one row

cdef inline void fill(double* lanes, double value) noexcept nogil:
    cdef int j
    for j in range(SIDE):
        lanes[j] = value


cdef inline void fold_sums(double* lanes) noexcept nogil:
    """Every lane becomes the sum of all."""
    cdef double s[8]
    cdef int j
    for j in range(8):
        s[j] = lanes[j] + lanes[j + 8]
    for j in range(4):
        s[j] += s[j + 4]
    fill(lanes, (s[0] + s[2]) + (s[1] + s[3]))


cdef inline void fold_pairs(double* high, double* low) noexcept nogil:
    """Every lane becomes the sum of all, as high + low."""
    cdef pair s
    cdef double rest = low[0]
    cdef int j
    s.hi = high[0]
    for j in range(1, SIDE):
        s = two_sum(s.hi, high[j])
        rest += s.lo + low[j]
    fill(high, s.hi)
    fill(low, rest)


cdef inline void fold_least(double* lanes) noexcept nogil:
    cdef double least = lanes[0]
    cdef int j
    for j in range(1, SIDE):
        least = lanes[j] if lanes[j] < least else least
    fill(lanes, least)


cdef inline void fold_most(double* lanes) noexcept nogil:
    cdef double most = lanes[0]
    cdef int j
    for j in range(1, SIDE):
        most = lanes[j] if lanes[j] > most else most
    fill(lanes, most)


# Maxima

cdef inline void raise_lanes(const real* x, Py_ssize_t steps, real* top, real* bad) noexcept nogil:
    """top[j] becomes the largest entry of lane j that is a number, bad[j] one that is not."""
    cdef real v
    cdef Py_ssize_t k, j, side = lanes & -SIDE
    for k in range(steps):
        for j in range(side):
            v = x[k * SIDE + j]
            top[j] = v if v > top[j] else top[j]
            bad[j] = bad[j] if v == v else v


cdef inline void maxima(const Strip* s, real* buffer, double* top) noexcept nogil:
    """The rows' maxima; NaN for a row that holds one."""
    cdef real most[SIDE]
    cdef real bad[SIDE]
    cdef double m
    cdef Py_ssize_t start = 0, j
    for j in range(SIDE):
        most[j] = -INFINITY
        bad[j] = 0
    while start < s.n:
        raise_lanes(load_part(s, start, buffer, <real> -INFINITY), steps_from(s, start), most, bad)
        start += PIECE
    for j in range(SIDE):
        top[j] = most[j] if bad[j] == 0 else bad[j]
    if not s.apart:
        m = top[0]
        for j in range(1, SIDE):
            m = m if m != m or m > top[j] else top[j]
        for j in range(SIDE):
            top[j] = m


cdef Strip candidates(const Strip* s, double least, real* buffer, real* kept) noexcept nogil:
    """What of a long row can be in the support: steps with an entry of at least `least`.

    What is left out would have added nothing to any lane. The whole row, if too much is left.
    """
    cdef Strip few = s[0]
    cdef const real* x
    cdef Py_ssize_t start = 0, k, j, count = 0, side = lanes & -SIDE
    cdef long long hits
    if s.apart or least != least:
        return few
    while start < s.n:
        x = load_part(s, start, buffer, <real> -INFINITY)
        for k in range(steps_from(s, start)):
            hits = 0
            for j in range(side):
                hits += 1 if <double> x[k * SIDE + j] >= least else 0
            if hits:
                if count == PIECE:
                    return few
                for j in range(side):
                    kept[count + j] = x[k * SIDE + j]
                count += SIDE
        start += PIECE
    few.held = kept
    few.n = count
    return few
