"""Plan and run a call along an axis: the softmax family. (cross_entropy: losses.pyx.)

Any ndarray is viewed as (outer, run, n) by its strides, `n` along the axis: nothing is copied
or transposed but the dtype, and a thread takes blocks of rows at a time. (NumPy's generalised
ufuncs do not serve: pandas hands them transposed blocks, masked entries enter the sum, and
xarray and Dask refuse them.)
"""

from math import prod
from operator import index

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.string cimport strcmp

import numpy as np
from numpy.exceptions import AxisError

cimport cyact._engine.threads as _threads
from cyact._level.abi cimport (
    ABI,
    FLOAT32,
    FLOAT64,
    LANES,
    MAX_DIMENSIONS,
    MAX_PARAMETERS,
    Packing,
    RowKernels,
    RowOp,
    RowOps,
    Rows,
    itemsize,
    row_kernel_t,
)
from cyact._level.cache cimport stream, stream_end
from cyact._engine.arrays cimport PyArray_NewLikeArray, dtype_of, magnitude
from cyact._engine.run cimport BRIEF, CACHED
from cyact._level.stages cimport cyact_status, status_get, status_set

from cyact._engine.arrays import SUPPORTED, as_array, bias_array, check_out, result_dtype
from cyact._engine.elementwise import bias_gradient

cnp.import_array()

ctypedef fused stored:
    float
    double
    unsigned short

cdef enum:
    BLOCK = 16384              # elements a thread takes at a time, in whole rows
    LONGEST = 65536            # a row of more does not stay in the cache beside its results

# The arrays of a call, in the order in which fold() takes their steps.
cdef enum:
    X
    Y
    GRAD
    MASK
    BIAS
    ARRAYS

cdef const RowKernels* KERNELS = NULL
cdef const RowOps* SPARSE = NULL


def use_level(rows, sparse):
    """Take the tables of one instruction-set level; called once, at import."""
    global KERNELS, SPARSE
    KERNELS = <const RowKernels*> PyCapsule_GetPointer(rows.table, b"cyact.RowKernels")
    SPARSE = <const RowOps*> PyCapsule_GetPointer(sparse.table, b"cyact.RowOps")
    if KERNELS.ops.abi != ABI or SPARSE.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")


cdef const RowOp* find(const RowOps* ops, const char* name) noexcept:
    cdef int i
    for i in range(ops.count):
        if strcmp(ops.at[i].name, name) == 0:
            return &ops.at[i]
    return NULL


cdef int fold(Geometry* g, int axis, cnp.ndarray x, cnp.ndarray y, cnp.ndarray grad,
              bint ordered, cnp.ndarray mask=None, cnp.ndarray bias=None) except -1:
    """Describe arrays of one shape (but for `axis`) as rows; -1 dims are merged.

    Returns 0, or 1 when the dimensions outside `axis` do not merge into two. Without
    `ordered` the rows may be taken in any order, and are taken as they lie in memory.
    """
    cdef int dims = 0, i, j, d, ndim = cnp.PyArray_NDIM(x)
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp* strides[ARRAYS]
    cdef int order[MAX_DIMENSIONS]
    cdef Py_ssize_t sizes[MAX_DIMENSIONS]
    cdef Py_ssize_t steps[ARRAYS][MAX_DIMENSIONS]
    cdef bint merges
    strides[X] = cnp.PyArray_STRIDES(x)
    strides[Y] = cnp.PyArray_STRIDES(y)
    # what is absent lies as x does, and then is not used
    strides[GRAD] = cnp.PyArray_STRIDES(x if grad is None else grad)
    strides[MASK] = strides[X] if mask is None else cnp.PyArray_STRIDES(mask)
    strides[BIAS] = strides[X] if bias is None else cnp.PyArray_STRIDES(bias)
    for i in range(ndim):
        if i != axis and shape[i] != 1:
            j = dims
            while (not ordered and j
                   and magnitude(strides[0][order[j - 1]]) < magnitude(strides[0][i])):
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
            dims += 1
    d = -1
    for i in range(dims):
        merges = d >= 0
        for j in range(ARRAYS):
            if d >= 0 and steps[j][d] != strides[j][order[i]] * shape[order[i]]:
                merges = False
        if not merges:
            d += 1
            sizes[d] = 1
        sizes[d] *= shape[order[i]]
        for j in range(ARRAYS):
            steps[j][d] = strides[j][order[i]]
    if d > 1:
        return 1
    while d < 1:                      # fewer than two: dimensions of one entry in front
        for i in range(d, -1, -1):
            sizes[i + 1] = sizes[i]
            for j in range(ARRAYS):
                steps[j][i + 1] = steps[j][i]
        sizes[0] = 1
        for j in range(ARRAYS):
            steps[j][0] = 0
        d += 1
    g.outer = sizes[0]
    g.x_outer = steps[X][0]
    g.y_outer = steps[Y][0]
    g.rows.rows = sizes[1]
    g.rows.x_row = steps[X][1]
    g.rows.y_row = steps[Y][1]
    g.rows.n = shape[axis]
    g.rows.x_item = strides[X][axis]
    g.rows.y_item = strides[Y][axis]
    g.rows.x = <const char*> cnp.PyArray_DATA(x)
    g.rows.y = <char*> cnp.PyArray_DATA(y)
    g.rows.grad = NULL
    g.rows.p = NULL
    g.rows.stream = False
    g.grad_outer = g.rows.grad_row = g.rows.grad_item = 0
    if grad is not None:
        g.rows.grad = <const char*> cnp.PyArray_DATA(grad)
        g.grad_outer = steps[GRAD][0]
        g.rows.grad_row = steps[GRAD][1]
        g.rows.grad_item = strides[GRAD][axis]
    g.mask = NULL if mask is None else <const char*> cnp.PyArray_DATA(mask)
    g.mask_outer = steps[MASK][0]
    g.mask_row = steps[MASK][1]
    g.mask_item = strides[MASK][axis]
    g.bias = NULL if bias is None else <const char*> cnp.PyArray_DATA(bias)
    g.bias_outer = steps[BIAS][0]
    g.bias_row = steps[BIAS][1]
    g.bias_item = strides[BIAS][axis]
    g.rows.dtype = dtype_of(x)
    return 0


cdef object strided(const char* data, Py_ssize_t a, Py_ssize_t b, Py_ssize_t c,
                    Py_ssize_t a_step, Py_ssize_t b_step, Py_ssize_t c_step, int dtype):
    """An (a, b, c) ndarray over memory that the caller keeps alive, to take memoryviews of."""
    cdef cnp.npy_intp[3] shape = [a, b, c]
    cdef cnp.npy_intp[3] strides = [a_step, b_step, c_step]
    cdef int number = (cnp.NPY_FLOAT if dtype == FLOAT32 else cnp.NPY_DOUBLE if dtype == FLOAT64
                       else cnp.NPY_USHORT)
    return cnp.PyArray_New(cnp.ndarray, 3, shape, number, strides, <void*> data, 0,
                           cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE, <object> NULL)


cdef Py_ssize_t rows_a_piece(const Rows* rows) noexcept nogil:
    """Rows a thread takes at a time; neighbours in memory stay together."""
    cdef Py_ssize_t count = BLOCK // rows.n
    if magnitude(rows.x_row) < magnitude(rows.x_item):
        count = max(count, <Py_ssize_t> 64)
    return max(count, <Py_ssize_t> 1)


# One pass over rows: the kernel, and what it does not do itself.
cdef struct Pass:
    row_kernel_t kernel
    const double* p
    double cost
    bint turns_x                      # the sign of x is turned
    bint turns_y                      # and that of the result
    bint counts                       # p[0] becomes the number of unmasked entries
    bint may_stream                   # whether whole rows' results may go past the caches
    double hidden                     # what a masked entry of x is taken for
    double blank                      # what it is in the result
    Py_ssize_t grad_items             # entries a row of grad has, and of the result
    Py_ssize_t y_items
    char* room                        # for rows on their way, `room_size` bytes a thread; or NULL
    Py_ssize_t room_size
    bint streams                      # only the results go through the room, then past the caches


cdef inline bint packs(const Pass* task, const Geometry* g) noexcept nogil:
    """Whether rows must be brought together: the kernels know float32 and float64 alone."""
    return (g.rows.dtype > FLOAT64 or g.mask != NULL or g.bias != NULL
            or task.turns_x or task.turns_y)


cdef inline Py_ssize_t packed_rows(Py_ssize_t n) noexcept nogil:
    return max(<Py_ssize_t> 1, BLOCK // n)


cdef inline Py_ssize_t packed_size(const Geometry* g) noexcept nogil:
    """Bytes of one operand's packed rows."""
    return ((packed_rows(g.rows.n) * g.rows.n + 2 * LANES)
            * (8 if g.rows.dtype == FLOAT64 else 4) + 63) & -64


cdef inline void run_rows(const Pass* task, const Geometry* g, const char* x, const char* grad,
                          char* y, Py_ssize_t o, Py_ssize_t r, Py_ssize_t rows,
                          char* room) noexcept nogil:
    """Rows r to r + rows of run o, which begin at x, grad and y."""
    cdef cyact_status status = status_get()
    cdef Rows piece = g.rows
    piece.x = x
    piece.grad = grad
    piece.y = y
    piece.rows = rows
    piece.p = task.p
    if room == NULL:
        task.kernel(&piece)
    elif task.streams:
        run_streaming(task, &piece, room)
    else:
        run_packed(task, g, &piece,
                   NULL if g.mask == NULL else g.mask + o * g.mask_outer + r * g.mask_row,
                   NULL if g.bias == NULL else g.bias + o * g.bias_outer + r * g.bias_row, room)
    status_set(status)


cdef void run_streaming(const Pass* task, Rows* rows, char* room) noexcept nogil:
    """As many rows at a time as stay in the cache; their results are stored past it."""
    cdef Py_ssize_t all = rows.rows, done = 0, together = max(<Py_ssize_t> 1, 2048 // rows.n)
    cdef char* y = rows.y
    rows.y = room
    while done < all:
        rows.rows = min(together, all - done)
        task.kernel(rows)
        stream(room, y + done * rows.y_row, rows.rows * rows.y_row)
        rows.x += rows.rows * rows.x_row
        if rows.grad != NULL:
            rows.grad += rows.rows * rows.grad_row
        done += rows.rows
    stream_end()


cdef inline bint too_many(const Geometry* g, Py_ssize_t count) noexcept nogil:
    """Whether results and input are more than the cache holds, and it does not hold the results'
    memory already."""
    cdef Py_ssize_t size = itemsize(g.rows.dtype)
    return 2 * count * size > CACHED and g.rows.x != g.rows.y and g.rows.grad != g.rows.y


cdef inline bint whole_rows(const Pass* task, const Geometry* g) noexcept nogil:
    """Whether rows follow each other, and stay in the cache beside their results."""
    cdef Py_ssize_t size = itemsize(g.rows.dtype)
    return (g.rows.n <= LONGEST and task.y_items == g.rows.n and g.rows.x_item == size
            and g.rows.y_item == size and g.rows.y_row == g.rows.n * size)


cdef void run_packed(const Pass* task, const Geometry* g, const Rows* rows, const char* mask,
                     const char* bias, char* room) noexcept nogil:
    """As many rows at a time as stay in the cache, brought together, worked on, and put back."""
    cdef Packing x, grad, y
    cdef Rows packed
    cdef Py_ssize_t done = 0, size = 8 if rows.dtype == FLOAT64 else 4
    cdef Py_ssize_t together = packed_rows(rows.n)
    packed.dtype = FLOAT64 if rows.dtype == FLOAT64 else FLOAT32
    packed.n = rows.n
    packed.x = room
    packed.y = room
    packed.grad = NULL
    packed.x_row = rows.n * size
    packed.y_row = task.y_items * size
    packed.grad_row = task.grad_items * size
    packed.x_item = packed.y_item = packed.grad_item = size
    packed.p = rows.p
    packed.stream = False
    while done < rows.rows:
        packed.rows = min(together, rows.rows - done)
        x = packing(rows.dtype, packed.rows, rows.n, <char*> rows.x + done * rows.x_row,
                    rows.x_row, rows.x_item, room)
        x.negative = task.turns_x
        if bias != NULL:
            x.bias = bias + done * g.bias_row
            x.bias_row = g.bias_row
            x.bias_item = g.bias_item
        cover(&x, mask, done, g, task.hidden)
        KERNELS.gather(&x)
        if rows.grad != NULL:
            packed.grad = room + task.room_size // 2
            grad = packing(rows.dtype, packed.rows, task.grad_items,
                           <char*> rows.grad + done * rows.grad_row, rows.grad_row,
                           rows.grad_item, <char*> packed.grad)
            if task.grad_items == rows.n:
                cover(&grad, mask, done, g, 0)
            KERNELS.gather(&grad)
        if task.y_items != rows.n:
            packed.y = room + task.room_size // 2
        if task.counts and mask != NULL:
            by_count(task, &packed, mask + done * g.mask_row, g)
        else:
            task.kernel(&packed)
        y = packing(rows.dtype, packed.rows, task.y_items, rows.y + done * rows.y_row,
                    rows.y_row, rows.y_item, packed.y)
        y.negative = task.turns_y
        if task.y_items == rows.n:
            cover(&y, mask, done, g, task.blank)
        KERNELS.scatter(&y)
        done += packed.rows


cdef inline Packing packing(int dtype, Py_ssize_t rows, Py_ssize_t n, char* data, Py_ssize_t row,
                            Py_ssize_t item, char* packed) noexcept nogil:
    cdef Packing p
    p.dtype = dtype
    p.rows = rows
    p.n = n
    p.data = data
    p.row = row
    p.item = item
    p.packed = packed
    p.mask = p.bias = NULL
    p.mask_row = p.mask_item = p.bias_row = p.bias_item = 0
    p.blank = 0
    p.negative = False
    return p


cdef inline void cover(Packing* p, const char* mask, Py_ssize_t first, const Geometry* g,
                       double blank) noexcept nogil:
    if mask != NULL:
        p.mask = mask + first * g.mask_row
        p.mask_row = g.mask_row
        p.mask_item = g.mask_item
        p.blank = blank


cdef void by_count(const Pass* task, Rows* rows, const char* mask,
                   const Geometry* g) noexcept nogil:
    """One row at a time: each has its own number of entries that count."""
    cdef Py_ssize_t r, j, count, all = rows.rows
    cdef double n
    rows.p = &n
    rows.rows = 1
    for r in range(all):
        count = 0
        for j in range(rows.n):
            count += mask[r * g.mask_row + j * g.mask_item] != 0
        n = <double> count
        task.kernel(rows)
        rows.x += rows.x_row
        rows.y += rows.y_row
    rows.rows = all
    rows.x -= all * rows.x_row
    rows.y -= all * rows.y_row


cdef void parallel_rows(const stored[:, :, :] x, const stored[:, :, :] grad, stored[:, :, :] y,
                        const Pass* task, const Geometry* g, int threads) noexcept nogil:
    """Share blocks of rows out over the threads."""
    cdef Py_ssize_t run = x.shape[1], block = rows_a_piece(&g.rows)
    cdef Py_ssize_t pieces = (run + block - 1) // block
    cdef Py_ssize_t piece, o, r
    for piece in prange(x.shape[0] * pieces, schedule="static", num_threads=threads):
        o = piece // pieces
        r = piece % pieces * block
        run_rows(task, g, <const char*> &x[o, r, 0],
                 NULL if g.rows.grad == NULL else <const char*> &grad[o, r, 0],
                 <char*> &y[o, r, 0], o, r, min(block, run - r),
                 NULL if task.room == NULL else task.room + threadid() * task.room_size)


cdef int row_views(const Pass* task, const Geometry* g, int threads, stored tag) except -1:
    cdef const Rows* rows = &g.rows
    cdef const stored[:, :, :] x = strided(rows.x, g.outer, rows.rows, rows.n,
                                           g.x_outer, rows.x_row, rows.x_item, rows.dtype)
    cdef stored[:, :, :] y = strided(rows.y, g.outer, rows.rows, task.y_items,
                                     g.y_outer, rows.y_row, rows.y_item, rows.dtype)
    cdef const stored[:, :, :] grad = x
    if rows.grad != NULL:
        grad = strided(rows.grad, g.outer, rows.rows, task.grad_items,
                       g.grad_outer, rows.grad_row, rows.grad_item, rows.dtype)
    with nogil:
        parallel_rows(x, grad, y, task, g, threads)
    return 0


cdef int over_rows(Pass* task, int axis, cnp.ndarray x, cnp.ndarray y, cnp.ndarray grad,
                   cnp.ndarray mask, cnp.ndarray bias) except -1:
    """Run a pass over whole arrays of equal shape (but for a reduced axis)."""
    cdef Geometry g
    cdef Py_ssize_t o
    cdef double work = task.cost * cnp.PyArray_SIZE(x)
    cdef int threads
    if cnp.PyArray_SIZE(x) == 0:
        return 0
    if fold(&g, axis, x, y, grad, False, mask, bias):
        for o in range(cnp.PyArray_DIM(x, 0) if axis else cnp.PyArray_DIM(x, 1)):
            at = (o,) if axis else (slice(None), o)
            over_rows(task, axis - 1 if axis else 0, x[at], y[at], part(grad, at),
                      part(mask, at), part(bias, at))
        return 0
    task.y_items = cnp.PyArray_DIM(y, axis)
    task.grad_items = 1 if grad is None else cnp.PyArray_DIM(grad, axis)
    threads = _threads.choose(work)
    task.room = NULL
    packed = packs(task, &g)
    task.streams = (task.may_stream and not packed and whole_rows(task, &g)
                    and too_many(&g, cnp.PyArray_SIZE(x)))
    g.rows.stream = not packed and not task.streams and too_many(&g, cnp.PyArray_SIZE(x))
    if packed or task.streams:
        task.room_size = 2 * packed_size(&g)
        room = np.empty(threads * task.room_size + 64, np.uint8)
        task.room = cnp.PyArray_BYTES(room)
        task.room += -<Py_ssize_t> task.room & 63
    if threads == 1:
        if work < BRIEF:
            one_thread(task, &g)
        else:
            with nogil:
                one_thread(task, &g)
    elif g.rows.dtype == FLOAT32:
        row_views[float](task, &g, threads, 0)
    elif g.rows.dtype == FLOAT64:
        row_views[double](task, &g, threads, 0)
    else:
        row_views[ushort](task, &g, threads, 0)
    return 0


cdef inline cnp.ndarray part(a, tuple at):
    return None if a is None else a[at]


cdef void one_thread(const Pass* task, const Geometry* g) noexcept nogil:
    cdef Py_ssize_t o
    for o in range(g.outer):
        run_rows(task, g, g.rows.x + o * g.x_outer,
                 NULL if g.rows.grad == NULL else g.rows.grad + o * g.grad_outer,
                 g.rows.y + o * g.y_outer, o, 0, g.rows.rows, task.room)


def normalize_axis(str function, x, axis):
    """The axis as a number from 0, or an error that names the function."""
    try:
        axis = index(axis)
    except TypeError:
        raise TypeError(f"{function}: axis must be an integer, got {axis!r}") from None
    if not -x.ndim <= axis < x.ndim:         # NumPy's own check overflows on huge integers
        raise AxisError(axis, x.ndim, function)
    return axis % x.ndim


cdef int axis_number(str function, cnp.ndarray x, axis) except -1:
    if type(axis) is int and -1 <= axis < cnp.PyArray_NDIM(x) > 0:
        return <int> axis if axis >= 0 else cnp.PyArray_NDIM(x) - 1
    return normalize_axis(function, x, axis)


cdef object axis_numbers(str function, cnp.ndarray x, axis, bint several):
    """The axis as a number; or, where several make a row, a tuple of them in rising order."""
    if several and (axis is None or type(axis) is tuple):
        if axis == ():
            raise ValueError(f"{function}: axis must name at least one axis, got ()")
        numbers = (range(x.ndim) if axis is None
                   else sorted(normalize_axis(function, x, a) for a in axis))
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"{function}: axis names an axis twice: {axis}")
        return numbers[0] if len(numbers) == 1 else tuple(numbers)
    return axis_number(function, x, axis)


cdef cnp.ndarray working(str function, x, dtype):
    """x as an aligned, native ndarray of a float type: a view where it is one already."""
    if dtype is None and type(x) is cnp.ndarray and ready(x):
        return x
    x = as_array(function, x)
    wanted = result_dtype(function, x.dtype)
    if dtype is not None:
        wanted = np.dtype(dtype)
        if wanted.kind in "biu" or result_dtype(function, wanted) != wanted:
            raise TypeError(f"{function}: dtype= must be {SUPPORTED}, got {wanted}")
    # np.asarray drops subclasses; "A" makes it aligned, and the dtype is native.
    return np.require(np.asarray(x), wanted, "A")


cdef inline bint ready(cnp.ndarray x) noexcept:
    """Whether x is aligned, native and of a float type, in any layout."""
    return cnp.PyArray_ISBEHAVED_RO(x) and dtype_of(x) >= 0


cdef inline cnp.ndarray alike(cnp.ndarray x):
    """np.empty_like(x), at once."""
    return PyArray_NewLikeArray(x, cnp.NPY_KEEPORDER, NULL, 0)


cpdef object mask_array(str function, where, shape):
    """`where` as an array of x's shape."""
    if where is None:
        return None
    where = as_array(function, where)
    if where.dtype != np.bool_:
        raise TypeError(f"{function}: where must be boolean, got dtype {where.dtype}")
    try:
        return np.broadcast_to(where, shape)
    except ValueError:
        raise ValueError(f"{function}: where must broadcast to x's shape {shape}, got "
                         f"{where.shape}") from None


cdef cnp.ndarray spread(str function, bias, cnp.ndarray x):
    """The bias as an array of x's shape."""
    if bias is None:
        return None
    return np.broadcast_to(bias_array(function, bias, (<object> x).shape, x.dtype),
                           (<object> x).shape)


cdef inline bint lie_apart(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two arrays without gaps do not meet; NumPy's own check takes a microsecond."""
    cdef char* x = cnp.PyArray_BYTES(a)
    cdef char* y = cnp.PyArray_BYTES(b)
    return (cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_IS_C_CONTIGUOUS(b)
            and (x + cnp.PyArray_NBYTES(a) <= y or y + cnp.PyArray_NBYTES(b) <= x))


cdef object apart_from(x, y):
    """x, copied when writing y would change it before it is read."""
    if x is None or x is y or lie_apart(x, y) or (
            cnp.PyArray_DATA(<cnp.ndarray> x) == cnp.PyArray_DATA(<cnp.ndarray> y)
            and x.strides == y.strides and x.shape == y.shape):
        return x
    return x.copy() if np.may_share_memory(x, y) else x


cdef class Joined:
    """How axes are seen as one, the last, and a result as it was. One axis is not copied."""

    cdef tuple order, axes, shape

    def __init__(self, tuple shape, tuple axes):
        self.axes = axes
        self.shape = shape
        self.order = tuple(i for i in range(len(shape)) if i not in axes) + axes

    cpdef object rows(self, a):
        if a is None:
            return None
        lead = a.ndim - len(self.axes)
        a = a.transpose(self.order)
        return a.reshape(a.shape[:lead] + (prod(a.shape[lead:]),))

    cpdef object back(self, y):
        y = y.reshape([self.shape[i] for i in self.order])
        return y.transpose(np.argsort(self.order))


cdef class RowFunction:
    """One function along an axis: its kernels and its parameters' domains.

    `kernel` is whose kernels it uses; `negative`: of -x. `reduces`: a row becomes one entry,
    which is `empty` for a row without any. `several`: a tuple of axes, or None for all, makes a
    row. `blank` is what masked entries are in the result. `counts`: the kernel takes
    the number of entries.
    """

    cdef const RowOp* op
    cdef readonly str name
    cdef readonly bint reduces
    cdef bint negative, several, counts
    cdef bint streams
    cdef readonly double blank, empty
    cdef readonly tuple parameters
    cdef readonly tuple domains

    def __init__(self, str name, *, str kernel=None, bint negative=False, bint reduces=False,
                 bint several=False, bint counts=False, double blank=0, double empty=-np.inf,
                 **domains):
        cdef bytes wanted = (kernel or name).encode()
        self.op = find(&KERNELS.ops, wanted)
        if self.op == NULL:
            self.op = find(SPARSE, wanted)
        if self.op == NULL:
            raise SystemError(f"no row kernel {wanted!r}")
        self.name = name
        self.negative = negative
        self.reduces = reduces
        self.several = several
        self.counts = counts
        # what softmax stores it still has to scale, and gradients are read faster than copied
        self.streams = wanted == b"log_softmax"
        self.blank = blank
        self.empty = empty
        self.parameters = tuple(domains)
        self.domains = tuple(domains.values())

    cdef int begin(self, Pass* task, row_kernel_t kernel, double* p, tuple params) except -1:
        cdef int i
        for i in range(len(self.domains)):
            p[i] = self.domains[i].checked(self.name, self.parameters[i], params[i])
        task.kernel = kernel
        task.p = p if self.domains or self.counts else NULL
        task.cost = self.op.cost
        task.turns_x = self.negative
        task.turns_y = False
        task.counts = False
        task.may_stream = self.streams and kernel == self.op.value
        task.hidden = -INFINITY
        task.blank = self.blank
        return 0

    def value(self, x, axis, out, dtype, where, bias, *params, added=None, bint keepdims=False):
        """f along axis; a function that reduces drops the axis unless keepdims.

        `added`: instead of a bias, an array of x's shape, of the dtype computed in.
        """
        cdef Pass task
        cdef double p[MAX_PARAMETERS]
        cdef Joined joined
        self.begin(&task, self.op.value, p, params)
        x = working(self.name, x, dtype)
        numbers = axis_numbers(self.name, x, axis, self.several)
        mask = None if where is None else mask_array(self.name, where, x.shape)
        bias = spread(self.name, bias, x) if added is None else added
        if out is None and not self.reduces and type(numbers) is int:
            y = alike(x)
            self.run(&task, p, numbers, x, y, mask, bias)
            return y
        shape = kept = x.shape
        if self.reduces:
            kept = without(shape, numbers, True)
            shape = without(shape, numbers, keepdims)
        if type(numbers) is not int:
            if out is not None:
                check_out(self.name, out, shape, x.dtype)
            joined = Joined(x.shape, numbers)
            x, mask, bias = joined.rows(x), joined.rows(mask), joined.rows(bias)
            last = x.ndim - 1
            y = np.empty(without(x.shape, last, True) if self.reduces else x.shape, x.dtype)
            self.run(&task, p, last, x, y, mask, bias)
            y = y.reshape(shape) if self.reduces else joined.back(y)
            return finish(y if out is None else out, y, out is None)
        result, y = destination(self.name, x, out, shape, kept)
        if out is not None:
            x, mask, bias = apart_from(x, y), apart_from(mask, y), apart_from(bias, y)
        self.run(&task, p, numbers, x, y, mask, bias)
        return finish(result, y, out is None)

    cdef int run(self, Pass* task, double* p, int axis, cnp.ndarray x, cnp.ndarray y,
                 cnp.ndarray mask, cnp.ndarray bias) except -1:
        if self.reduces and cnp.PyArray_DIM(x, axis) == 0:
            (<object> y).fill(self.empty)
        elif self.counts:
            task.counts = True
            p[0] = cnp.PyArray_DIM(x, axis)
        over_rows(task, axis, x, y, None, mask, bias)
        return 0

    def backward(self, grad, x, output, axis, out, where, bias, *params):
        """The gradient with respect to x; with `bias`, its too."""
        dx = self.gradient(grad, x, output, axis, out, where, bias, *params)
        return dx if bias is None else (dx, bias_gradient(dx, np.asarray(bias)))

    def gradient(self, grad, x, output, axis, out, where, bias, *params):
        """The gradient with respect to x, from x or from the output."""
        cdef Pass task
        cdef double p[MAX_PARAMETERS]
        cdef Joined joined
        cdef row_kernel_t kernel = self.op.backward if output is None else self.op.from_output
        function = "backward." + self.name
        if (x is None) == (output is None):
            raise TypeError(f"{function}: give exactly one of x and output")
        if kernel == NULL:
            raise TypeError(f"{function}: the gradient is not a function of the output; "
                            f"give x instead")
        self.begin(&task, kernel, p, params)
        task.turns_y = self.negative
        task.blank = 0
        if output is not None:
            task.turns_x = False
            task.hidden = self.blank
        grad = as_array(function, grad)
        x = as_array(function, x if output is None else output)
        if not (ready(x) and ready(grad) and dtype_of(x) == dtype_of(grad)):
            dtype = np.result_type(result_dtype(function, grad.dtype),
                                   result_dtype(function, x.dtype))
            x = working(function, x, dtype)
            grad = working(function, grad, dtype)
        numbers = axis_numbers(function, x, axis, self.several)
        shape = wanted = x.shape
        if self.reduces:
            wanted = without(x.shape, numbers, False)
            kept = without(x.shape, numbers, True)
            if grad.shape == wanted or grad.shape == kept:
                grad = grad.reshape(kept)
                wanted = kept
        if grad.shape != wanted:
            raise ValueError(f"{function}: grad must have the shape of the result {wanted}, "
                             f"got {grad.shape}")
        mask = None if where is None else mask_array(function, where, x.shape)
        added = spread(function, bias, x)
        if output is not None:
            added = None              # it is in the output
        if type(numbers) is not int:
            if out is not None:
                check_out(function, out, x.shape, x.dtype)
            joined = Joined(x.shape, numbers)
            x, grad = joined.rows(x), joined.rows(grad)
            y = np.empty_like(x)
            over_rows(&task, x.ndim - 1, x, y, grad, joined.rows(mask), joined.rows(added))
            y = joined.back(y)
            result = y if out is None else out
        else:
            result, y = destination(function, x, out, shape, shape)
            over_rows(&task, numbers, apart_from(x, y), y, apart_from(grad, y),
                      apart_from(mask, y), apart_from(added, y))
        return finish(result, y, out is None)

    def of_two(self, x, other, Py_ssize_t length):
        """What a kernel makes of the rows along the last axis of x and another array like it.

        Both are float32 or float64; rows of the result have `length` entries.
        """
        cdef Pass task
        self.begin(&task, self.op.backward, NULL, ())
        last = x.ndim - 1
        y = np.empty(without(x.shape, last, False) + (length,), x.dtype)
        over_rows(&task, last, x, y, other, None, None)
        return y


cpdef tuple without(tuple shape, numbers, bint keepdims):
    """The shape of a result that has one entry for each row."""
    if type(numbers) is int:
        return shape[:numbers] + ((1,) if keepdims else ()) + shape[numbers + 1:]
    if keepdims:
        return tuple([1 if i in numbers else length for i, length in enumerate(shape)])
    return tuple([length for i, length in enumerate(shape) if i not in numbers])


def as_rows(str function, x, axis, dtype=None):
    """x of a float type, aligned and native, and a tuple of the axes that make a row."""
    x = working(function, x, dtype)
    numbers = axis_numbers(function, x, axis, True)
    return x, (numbers,) if type(numbers) is int else numbers


cdef tuple destination(str function, x, out, shape, kept):
    """The array to return, and the one to compute into (seen as `kept`): its view if it can be."""
    if out is None:
        if shape == x.shape:
            out = alike(x)
            return out, out
        out = np.empty(shape, x.dtype)
    else:
        if (shape is kept and type(out) is cnp.ndarray
                and cnp.PyArray_ISBEHAVED(<cnp.ndarray> out)
                and cnp.PyArray_TYPE(<cnp.ndarray> out) == cnp.PyArray_TYPE(<cnp.ndarray> x)
                and out.shape == shape):
            return out, out
        check_out(function, out, shape, x.dtype)
        if not ready(out) or out.dtype != x.dtype:
            return out, np.empty(kept, x.dtype)
    return out, np.asarray(out).reshape(kept)


cdef object finish(result, y, bint fresh):
    """`result` with y in it; a NumPy scalar for 0-d, unless the caller gave the array."""
    if result is not y and y.base is not result and not np.may_share_memory(result, y):
        np.copyto(result, y.reshape(result.shape), casting="same_kind")
    return result[()] if fresh and result.ndim == 0 else result
