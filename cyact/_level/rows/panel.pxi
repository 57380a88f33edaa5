"""Rows on their way through a kernel: two arrangements, and one panel of rows at a time.

Short rows stand in lanes: sixteen side by side, entry k of each in step k. A longer row lies over
the lanes: its entries 16 k to 16 k + 15 in step k. Either way a pass is the same loop over the
steps of a strip: of sixteen rows in lanes, or of one row over them. Its length and layout decide
where a row stands, but not its bits: entry j enters partial sum j % SIDE in both, and these are
added up in one order.

A panel is what the passes of an operation work on: up to MOST rows, whose maxima and sums are
worked out together. Rows that cannot be read or written where they are (short ones, gaps, half
types, masks, a bias, columns) are packed in buffers of the panel: whole rows if they fit, else
part by part, again for each pass.
"""

from libc.math cimport INFINITY
from libc.string cimport memset

from cyact._level.abi cimport FLOAT64, LANES, Lines, Rows, itemsize
from cyact._level.copy cimport (
    dtype_of, gather, gather_lanes, load_run, magnitude, padded, prefetch, real, scatter,
    scatter_lanes, store_run)

cdef enum:
    SIDE = 16           # lanes
    NARROW = 32         # the longest row that stands in a lane,
    NARROWER = 12       # where little is computed,
    WIDEST = 256        # and of those that lie side by side already
    MOST = 256          # rows of a panel; or, where they do not lie side by side,
    SOME = 64
    HELD = 4096         # about how many entries a panel has
    ROOM = 32768        # how many entries of columns are packed as whole rows
    PART = 512          # entries of longer ones that are packed at a time

cdef struct Panel:
    const Rows* call
    Py_ssize_t first    # row of the call
    Py_ssize_t rows     # how many there are now
    bint over           # each row over the lanes; else each in a lane
    bint packs          # whether some array has to be packed
    float units         # what float sums are added up beside
    Py_ssize_t most     # rows
    Py_ssize_t part     # entries that a pass takes at a time: all, or PART
    Py_ssize_t width    # entries of a row in a buffer
    # values of each row
    double* m           # the maximum
    double* sum
    double* others      # the sum but for one maximum, as a multiple of that
    double* count       # of entries that equal the maximum
    double* log
    double* factor
    double* factor_low
    double* top         # the maximum's exponential
    double* product     # the sum of gradients, or of their products
    double* product_low
    float* product32
    float* m32
    float* shift
    float* magic
    float* least
    float* high         # a double in two floats
    float* low
    # SIDE values of each row that lies over the lanes, of all rows else
    double* sums
    double* rests
    double* counts
    double* products
    double* products_low
    double* spare
    float* counts32
    float* highs
    float* lows
    # packed rows
    char* x
    char* y
    char* grad


cdef extern from *:
    """
    static inline float cyact_units(Py_ssize_t n) {
        float units = 4611686018427387904.0f; Py_ssize_t reach = 2;
        for (; reach < n && reach < 256; reach *= 2) units *= 2;
        return units;
    }
    """
    # 2^62 for up to 2 entries to 2^69 for a stretch, each at most 2^60.5: a float beside which
    # that many can be added up without rounding
    float units_of "cyact_units" (Py_ssize_t n) noexcept nogil


cdef inline char* place(char** at, Py_ssize_t bytes) noexcept nogil:
    cdef char* here = at[0]
    at[0] += (bytes + 63) & -64
    return here


cdef inline bint columns(const Lines* a) noexcept nogil:
    return a.data != NULL and magnitude(a.row) < magnitude(a.item)


cdef inline bint any_columns(const Rows* call) noexcept nogil:
    return columns(&call.x) or columns(&call.y) or columns(&call.grad)


cdef inline Py_ssize_t rows_together(const Rows* call) noexcept nogil:
    """Rows of a panel, if the call has as many."""
    cdef Py_ssize_t most = max(<Py_ssize_t> 1, min(<Py_ssize_t> SOME, HELD // padded(call.n)))
    if any_columns(call):       # lines of memory that lie together
        most = (HELD if call.n <= WIDEST else ROOM) // call.n & -SIDE
        most = min(<Py_ssize_t> MOST, max(most, <Py_ssize_t> SIDE if call.n > WIDEST else SOME))
    elif call.n <= NARROW:
        most = SOME
    return most


cdef inline bint packs_one(const Lines* a, int dtype, Py_ssize_t size) noexcept nogil:
    return a.data != NULL and (a.dtype != dtype or a.item != size or a.row % size != 0)


cdef inline bint packs_any(const Rows* call, Py_ssize_t size) noexcept nogil:
    """Whether an array of rows over the lanes has to be packed."""
    return (packs_one(&call.x, call.dtype, size) or packs_one(&call.y, call.dtype, size)
            or packs_one(&call.grad, call.dtype, size) or call.mask.data != NULL
            or call.bias.data != NULL or call.turns_x or call.turns_y
            or (call.grad.data != NULL and call.grad.data == call.y.data))


cdef inline bint next_rows(Panel* p) noexcept nogil:
    """Go on to the next rows of the call, if there are any."""
    cdef const Lines* y = &p.call.y
    cdef Py_ssize_t size = itemsize(y.dtype), beyond
    p.first += p.rows
    p.rows = min(p.most, p.call.rows - p.first)
    if p.call.stream and y.row == size:
        # a few rows first, so that all others begin with a line of memory
        beyond = <Py_ssize_t> (y.data + p.first * size) & 63
        if beyond:
            p.rows = min(p.rows, (64 - beyond + size - 1) // size)
    return p.rows > 0


cdef inline Lines from_row(const Lines* a, Py_ssize_t row) noexcept nogil:
    cdef Lines b = a[0]
    b.data += row * a.row
    return b


# Where the entries of a panel are: `at`, and how many entries there are from a strip to the next.
cdef struct Place:
    char* at
    Py_ssize_t strip
    bint packed


cdef inline bint stays(const Panel* p, const Lines* a, real kind) noexcept nogil:
    """Whether rows can be worked on where they are."""
    cdef Py_ssize_t size = sizeof(real)
    return (p.over and a.dtype == dtype_of(kind) and a.item == size and a.row % size == 0
            and p.call.mask.data == NULL)


cdef inline Place in_place(const Panel* p, const Lines* a, Py_ssize_t start,
                           real kind) noexcept nogil:
    cdef Place place
    cdef Py_ssize_t size = sizeof(real)
    place.at = a.data + p.first * a.row + start * a.item
    place.strip = a.row // size
    place.packed = False
    return place


cdef inline Place in_buffer(const Panel* p, char* buffer) noexcept nogil:
    cdef Place place
    place.at = buffer
    place.strip = p.width if p.over else p.width * SIDE
    place.packed = True
    return place


cdef inline Py_ssize_t entry_at(const Panel* p, Py_ssize_t strip, Py_ssize_t r,
                                Py_ssize_t k) noexcept nogil:
    """Where entry k of row r is, in entries."""
    if p.over:
        return r * strip + k
    return r // SIDE * strip + k * SIDE + r % SIDE


cdef inline real* packed_entry(const Panel* p, real* buffer, Py_ssize_t r,
                               Py_ssize_t k) noexcept nogil:
    return buffer + entry_at(p, p.width if p.over else p.width * SIDE, r, k)


cdef void set_blank(const Panel* p, real* buffer, Py_ssize_t start, Py_ssize_t n,
                    double blank) noexcept nogil:
    """Entries that are masked become blank."""
    cdef const Lines* mask = &p.call.mask
    cdef const char* at
    cdef Py_ssize_t r, k
    for r in range(p.rows):
        at = mask.data + (p.first + r) * mask.row + start * mask.item
        for k in range(n):
            if at[k * mask.item] == 0:
                packed_entry(p, buffer, r, k)[0] = <real> blank


cdef void add_bias(const Panel* p, real* buffer, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    cdef const Lines* bias = &p.call.bias
    cdef const char* at
    cdef Py_ssize_t r, k
    for r in range(p.rows):
        at = bias.data + (p.first + r) * bias.row + start * bias.item
        for k in range(n):
            if bias.dtype == FLOAT64:
                packed_entry(p, buffer, r, k)[0] += <real> (<const double*> (at + k * bias.item))[0]
            else:       # the sum is rounded as the array's dtype asks for
                packed_entry(p, buffer, r, k)[0] = <real> (
                    <float> packed_entry(p, buffer, r, k)[0]
                    + (<const float*> (at + k * bias.item))[0])


cdef void turn_sign(const Panel* p, real* buffer) noexcept nogil:
    cdef Py_ssize_t i
    for i in range((p.rows if p.over else padded(p.rows)) * p.width):
        buffer[i] = -buffer[i]


cdef void pad(const Panel* p, real* buffer, Py_ssize_t n, double value) noexcept nogil:
    """Fill what is left of each row's last step, or the lanes without a row, with `value`."""
    cdef Py_ssize_t r, k
    if p.over:
        for r in range(p.rows):
            for k in range(n, padded(n)):
                buffer[r * p.width + k] = <real> value
    else:
        for r in range(p.rows, padded(p.rows)):
            for k in range(n):
                packed_entry(p, buffer, r, k)[0] = 0


cdef void pack(const Panel* p, const Lines* a, Py_ssize_t start, Py_ssize_t n, double value,
               char* buffer, real kind) noexcept nogil:
    cdef Lines rows = from_row(a, p.first)
    rows.data += start * a.item
    if p.over:
        gather(&rows, p.rows, n, p.width, <real*> buffer)
    else:
        gather_lanes(&rows, p.rows, n, <real*> buffer)
    pad(p, <real*> buffer, n, value)


cdef inline Py_ssize_t part_from(const Panel* p, Py_ssize_t start) noexcept nogil:
    """How many entries the part from `start` on has."""
    return min(p.part, p.call.n - start)


cdef void pack_x(const Panel* p, Py_ssize_t start, real kind) noexcept nogil:
    cdef const Rows* call = p.call
    cdef Py_ssize_t n = part_from(p, start)
    pack(p, &call.x, start, n, call.hidden, p.x, kind)
    if call.bias.data != NULL:
        add_bias(p, <real*> p.x, start, n)
    if call.turns_x:
        turn_sign(p, <real*> p.x)
        pad(p, <real*> p.x, n, call.hidden)
    if call.mask.data != NULL:
        set_blank(p, <real*> p.x, start, n, call.hidden)


cdef inline bint x_stays(const Panel* p, real kind) noexcept nogil:
    return (stays(p, &p.call.x, kind) and p.call.bias.data == NULL and not p.call.turns_x)


cdef inline Place x_from(const Panel* p, Py_ssize_t start, bint first, real kind) noexcept nogil:
    """The input from `start` on. Unless it is the `first` pass, whole rows are packed already."""
    if x_stays(p, kind):
        return in_place(p, &p.call.x, start, kind)
    if first or p.part < p.call.n:
        pack_x(p, start, kind)
    return in_buffer(p, p.x)


cdef inline Place lines_from(const Panel* p, const Lines* a, Py_ssize_t start, bint first,
                             char* buffer, real kind) noexcept nogil:
    """The same for gradients or probabilities: masked entries are 0."""
    if stays(p, a, kind):
        return in_place(p, a, start, kind)
    if first or p.part < p.call.n:
        pack(p, a, start, part_from(p, start), 0, buffer, kind)
        if p.call.mask.data != NULL:
            set_blank(p, <real*> buffer, start, part_from(p, start), 0)
    return in_buffer(p, buffer)


cdef inline Place grad_from(const Panel* p, Py_ssize_t start, bint first,
                            real kind) noexcept nogil:
    return lines_from(p, &p.call.grad, start, first, p.grad, kind)


cdef inline Place y_from(const Panel* p, Py_ssize_t start, real kind) noexcept nogil:
    """Where to put the results from `start` on; y_done() then brings them home."""
    if stays(p, &p.call.y, kind) and not p.call.turns_y:
        return in_place(p, &p.call.y, start, kind)
    return in_buffer(p, p.y)


cdef inline Place kept_from(const Panel* p, Py_ssize_t start, real kind) noexcept nogil:
    """Where to keep exponentials on their way to y: not over a gradient that is still needed."""
    if p.call.grad.data == p.call.y.data:
        return in_buffer(p, p.y)
    return y_from(p, start, kind)


cdef void unpack(const Panel* p, Py_ssize_t start, real kind) noexcept nogil:
    cdef const Rows* call = p.call
    cdef Lines rows = from_row(&call.y, p.first)
    cdef Py_ssize_t n = part_from(p, start)
    rows.data += start * rows.item
    if call.turns_y:
        turn_sign(p, <real*> p.y)
    if call.mask.data != NULL:
        set_blank(p, <real*> p.y, start, n, call.blank)
    if p.over:
        scatter(<const real*> p.y, p.width, &rows, p.rows, n)
    else:
        scatter_lanes(<const real*> p.y, &rows, p.rows, n, call.stream)


cdef inline void y_done(const Panel* p, const Place* y, Py_ssize_t start,
                        real kind) noexcept nogil:
    if y.packed:
        unpack(p, start, kind)


cdef inline Lines soon_of(const Panel* p, const Lines* a, Py_ssize_t strip) noexcept nogil:
    """Rows side by side that a strip of the next panel will be packed from: asking for one line
    with each step hides the wait for it, asking for all at once does not."""
    cdef Lines soon = from_row(a, p.first + p.rows + strip * SIDE)
    if not columns(a) or p.first + p.rows >= p.call.rows:
        soon = a[0]
        soon.item = 0
    return soon


# The strips of a part: sixteen rows in lanes, or one row over them, in whole steps and, where the
# row is not packed, a tail.

cdef struct Steps:
    Py_ssize_t steps
    Py_ssize_t tail     # entries of a last step that may not be read or written beyond them


cdef inline Py_ssize_t strips(const Panel* p) noexcept nogil:
    return p.rows if p.over else (p.rows + SIDE - 1) // SIDE


cdef inline Py_ssize_t first_row(const Panel* p, Py_ssize_t strip) noexcept nogil:
    return strip if p.over else strip * SIDE


cdef inline Py_ssize_t row_in(const Panel* p, Py_ssize_t strip, int lane) noexcept nogil:
    """The row that a lane of a strip belongs to."""
    return strip if p.over else strip * SIDE + lane


cdef inline Steps steps_of(const Panel* p, Py_ssize_t n, bint packed) noexcept nogil:
    """`packed`: all arrays that the pass works on."""
    cdef Steps s
    s.tail = 0
    s.steps = n
    if p.over and packed:
        s.steps = (n + SIDE - 1) // SIDE
    elif p.over:
        s.steps = n // SIDE
        s.tail = n % SIDE
    return s


cdef inline void put_values(const Panel* p, const double* values) noexcept nogil:
    """The one result of each row, rounded to the dtype of y."""
    cdef Lines rows = from_row(&p.call.y, p.first)
    cdef float few[MOST + LANES]
    cdef Py_ssize_t r
    if rows.dtype == FLOAT64:
        store_run(values, rows.data, rows.row, p.rows, FLOAT64)
        return
    for r in range(padded(p.rows)):
        few[r] = <float> values[r]
    store_run(few, rows.data, rows.row, p.rows, rows.dtype)


cdef inline void load_values(const Panel* p, const Lines* a, double* values) noexcept nogil:
    """One entry a row."""
    cdef Lines rows = from_row(a, p.first)
    cdef float few[MOST + LANES]
    cdef Py_ssize_t r
    if rows.dtype == FLOAT64:
        load_run(rows.data, rows.row, p.rows, FLOAT64, values)
        return
    load_run(rows.data, rows.row, p.rows, rows.dtype, few)
    for r in range(p.rows):
        values[r] = few[r]
