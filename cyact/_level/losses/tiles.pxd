"""Around the formula of a loss of one element each: tiles of elements, of any dtype and strides.

Contiguous arrays that hold what is computed in are read and written where they lie; of others, a
tile goes through a buffer. The losses of a tile are summed in one order.
"""

from libc.string cimport memcpy, memset

from cyact._level.abi cimport (
    FLOAT32, FLOAT64, LANES, LOSS_GRAD, LOSS_POSITIVE, LOSS_TARGET, LOSS_VALUE, LOSS_WEIGHT,
    LOSS_X, TILE, Pointwise, itemsize)
from cyact._level.bits cimport absolute
from cyact._level.exact cimport pair, two_sum
from cyact._level.halves cimport uint16
from cyact._level.losses.entries cimport load, store

ctypedef fused real:
    float
    double

ctypedef fused word:
    uint16
    float
    double

# Where in the array an element is: its index in each dimension.
cdef struct Place:
    Py_ssize_t[64] index


cdef inline void find(const Pointwise* call, Py_ssize_t start, Place* place) noexcept nogil:
    cdef int d
    for d in range(call.dims - 1, -1, -1):
        place.index[d] = start % call.shape[d]
        start //= call.shape[d]


cdef inline Py_ssize_t offset(const Pointwise* call, int array, const Place* place) noexcept nogil:
    cdef int d
    cdef Py_ssize_t bytes = 0
    for d in range(call.dims):
        bytes += place.index[d] * call.steps[array][d]
    return bytes


cdef inline void advance(const Pointwise* call, Place* place, Py_ssize_t n) noexcept nogil:
    """Go on by n elements, which end at most where the innermost dimension does."""
    cdef int d = call.dims - 1
    place.index[d] += n
    while d > 0 and place.index[d] == call.shape[d]:
        place.index[d] = 0
        d -= 1
        place.index[d] += 1


cdef inline void gather(const Pointwise* call, int array, Py_ssize_t start, Py_ssize_t n,
                        real* to) noexcept nogil:
    """n elements of an array of any layout and dtype."""
    cdef int last = call.dims - 1
    cdef Py_ssize_t step = call.steps[array][last], run = n
    cdef const char* x = call.data[array] + start * step
    cdef Place place
    if not call.flat[array]:
        find(call, start, &place)
    while n > 0:
        if not call.flat[array]:
            run = min(n, call.shape[last] - place.index[last])
            x = call.data[array] + offset(call, array, &place)
            advance(call, &place, run)
        load(x, step, call.dtypes[array], to, run)
        to += run
        n -= run


cdef inline void scatter(const Pointwise* call, int array, Py_ssize_t start, Py_ssize_t n,
                         const word* source) noexcept nogil:
    """The reverse of gather, of items of the array's own dtype."""
    cdef int last = call.dims - 1
    cdef Py_ssize_t step = call.steps[array][last], run, i
    cdef char* y
    cdef Place place
    find(call, start, &place)
    while n > 0:
        run = min(n, call.shape[last] - place.index[last])
        y = call.data[array] + offset(call, array, &place)
        for i in range(run):
            (<word*> (y + i * step))[0] = source[i]
        advance(call, &place, run)
        source += run
        n -= run


# A tile, [start, start + n); `padded`: how many elements kernels take for it.

cdef inline const real* entries(const Pointwise* call, int array, Py_ssize_t start, Py_ssize_t n,
                                Py_ssize_t padded, const real* ones, char* scratch) noexcept nogil:
    """An input as kernels take it, 0 beyond its end."""
    cdef real* buffer = <real*> (scratch + call.buffer[array])
    if call.data[array] == NULL:
        return ones
    if call.flat[array] and call.dtypes[array] == call.dtype and n == padded:
        return <const real*> call.data[array] + start
    gather(call, array, start, n, buffer)
    memset(buffer + n, 0, (padded - n) * sizeof(real))
    return buffer


cdef inline char* room(const Pointwise* call, int array, Py_ssize_t start, bint whole,
                       char* scratch) noexcept nogil:
    """Where results are rounded to: the array itself if they can stay there."""
    if call.data[array] == NULL:
        return NULL
    if call.flat[array] and whole:
        return call.data[array] + start * itemsize(call.dtypes[array])
    return scratch + call.buffer[array]


cdef inline void put(const Pointwise* call, int array, const double* values, char* to,
                     Py_ssize_t start, Py_ssize_t n, Py_ssize_t padded) noexcept nogil:
    """Round results to where room() is, and move on what cannot stay there."""
    cdef int dtype = call.dtypes[array]
    cdef Py_ssize_t size = itemsize(dtype)
    store(values, to, dtype, padded)
    if call.flat[array]:
        if n < padded:
            memcpy(call.data[array] + start * size, to, n * size)
    elif dtype == FLOAT32:
        scatter(call, array, start, n, <const float*> to)
    elif dtype == FLOAT64:
        scatter(call, array, start, n, <const double*> to)
    else:
        scatter(call, array, start, n, <const uint16*> to)


cdef inline void add(const double* loss, Py_ssize_t padded, bint exact,
                     double* sum) noexcept nogil:
    """Sum a tile: LANES partial sums, with what rounds off them if exact, added in order."""
    cdef double[LANES] high
    cdef double[LANES] low
    cdef Py_ssize_t i, b
    cdef pair s
    for i in range(LANES):
        high[i] = low[i] = 0
    if exact:
        for b in range(padded // LANES):
            for i in range(LANES):
                s = two_sum(high[i], loss[b * LANES + i])
                high[i] = s.hi
                low[i] += s.lo
    else:
        for b in range(padded // LANES):
            for i in range(LANES):
                high[i] += loss[b * LANES + i]
    sum[0] = sum[1] = 0
    for i in range(LANES):
        s = two_sum(sum[0], high[i])
        sum[0] = s.hi
        sum[1] += s.lo + low[i]


cdef inline double magnitude(const double* loss, Py_ssize_t padded) noexcept nogil:
    """The sum of the absolute values, roughly."""
    cdef double[LANES] sums
    cdef double sum = 0
    cdef Py_ssize_t i, b
    for i in range(LANES):
        sums[i] = 0
    for b in range(padded // LANES):
        for i in range(LANES):
            sums[i] += absolute(loss[b * LANES + i])
    for i in range(LANES):
        sum += sums[i]
    return sum


cdef inline void run(const Pointwise* call, Py_ssize_t start, const real* ones, char* scratch,
                     double* sums) noexcept nogil:
    cdef Py_ssize_t n = min(call.size - start, <Py_ssize_t> TILE)
    cdef Py_ssize_t padded = (n + LANES - 1) & -LANES, i
    cdef char* loss_room = room(call, LOSS_VALUE, start, n == padded, scratch)
    cdef char* grad_room = room(call, LOSS_GRAD, start, n == padded, scratch)
    cdef double* loss = <double*> scratch
    cdef double* grad = loss + TILE
    cdef const real* inputs[4]
    for i in range(4):
        inputs[i] = entries(call, i, start, n, padded, ones, scratch)
    # Doubles are not rounded: kernels put them where they go.
    if loss_room != NULL and call.dtypes[LOSS_VALUE] == FLOAT64:
        loss = <double*> loss_room
    if grad_room == NULL or call.dtypes[LOSS_GRAD] == FLOAT64:
        grad = <double*> grad_room
    call.kernel(inputs[LOSS_X], inputs[LOSS_TARGET], inputs[LOSS_WEIGHT], inputs[LOSS_POSITIVE],
                loss, grad, padded, call.scale)
    if grad_room != NULL:
        put(call, LOSS_GRAD, grad, grad_room, start, n, padded)
    if loss_room != NULL:
        put(call, LOSS_VALUE, loss, loss_room, start, n, padded)
        return
    for i in range(n, padded):
        loss[i] = 0
    add(loss, padded, real is double, sums)
    if call.reordered:
        sums[2] = magnitude(loss, padded)
