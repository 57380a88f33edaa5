"""Plan and run a call along an axis: the softmax family. (cross_entropy has a file of its own.)

Any ndarray is viewed as (outer, run, n) by its strides, `n` along the axis: nothing is copied
or transposed but the dtype, and a thread takes blocks of rows at a time. (NumPy's generalised
ufuncs do not serve: pandas hands them transposed blocks, masked entries enter the sum, and
xarray and Dask refuse them.)
"""

from math import prod
from operator import index

cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.string cimport strcmp

import numpy as np
from numpy.exceptions import AxisError

cimport cyact._engine.threads as _threads
from cyact._engine.arrays cimport PyArray_NewLikeArray, dtype_of
from cyact._engine.layout cimport (
    BIAS,
    GRAD,
    MASK,
    OPERANDS,
    X,
    Y,
    Layout,
    lay_out,
    lines_at,
    rows_a_piece,
)
from cyact._engine.run cimport BRIEF, CACHED
from cyact._level.abi cimport (
    ABI,
    FLOAT32,
    FLOAT64,
    MAX_PARAMETERS,
    RowKernels,
    RowOp,
    Rows,
    itemsize,
    row_kernel_t,
)
from cyact._level.cache cimport stream, stream_end
from cyact._level.stages cimport cyact_status, status_get, status_set

from cyact._engine.arrays import SUPPORTED, as_array, bias_array, check_out, result_dtype
from cyact._engine.elementwise import bias_gradient

cnp.import_array()

ctypedef fused stored:
    float
    double
    unsigned short

cdef enum:
    LONGEST = 65536            # a row of more does not stay in the cache beside its results
    SMALL = 12288              # bytes of scratch that are taken from the stack
    STREAMED = 2048            # entries whose results are stored past the caches together

cdef const RowKernels* KERNELS = NULL
cdef const RowKernels* SPARSE = NULL


def use_level(rows, sparse):
    """Take the tables of one instruction-set level; called once, at import."""
    global KERNELS, SPARSE
    KERNELS = <const RowKernels*> PyCapsule_GetPointer(rows.table, b"cyact.RowKernels")
    SPARSE = <const RowKernels*> PyCapsule_GetPointer(sparse.table, b"cyact.RowKernels")
    if KERNELS.abi != ABI or SPARSE.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")


cdef const RowOp* find(const RowKernels* table, const char* name) noexcept:
    cdef int i
    for i in range(table.count):
        if strcmp(table.ops[i].name, name) == 0:
            return &table.ops[i]
    return NULL


cdef object strided(const char* data, Py_ssize_t a, Py_ssize_t b, Py_ssize_t c,
                    Py_ssize_t a_step, Py_ssize_t b_step, Py_ssize_t c_step, int dtype):
    """An (a, b, c) ndarray over memory that the caller keeps alive, to take memoryviews of."""
    cdef cnp.npy_intp[3] shape = [a, b, c]
    cdef cnp.npy_intp[3] strides = [a_step, b_step, c_step]
    cdef int number = (cnp.NPY_FLOAT if dtype == FLOAT32 else cnp.NPY_DOUBLE if dtype == FLOAT64
                       else cnp.NPY_USHORT)
    return cnp.PyArray_New(cnp.ndarray, 3, shape, number, strides, <void*> data, 0,
                           cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE, <object> NULL)


# One pass over rows.
cdef struct Pass:
    row_kernel_t kernel
    const RowKernels* table
    double cost
    bint may_stream                   # whether whole rows' results may go past the caches
    Rows rows                         # what all pieces have in common
    Py_ssize_t y_items                # entries a row of the result has
    Py_ssize_t scratch                # bytes a thread needs
    bint streams                      # results go past the caches, through the end of the scratch


cdef void run_rows(const Pass* task, const Layout* g, Py_ssize_t o, Py_ssize_t r, Py_ssize_t rows,
                   char* scratch) noexcept nogil:
    """Rows r to r + rows of run o."""
    cdef cyact_status status = status_get()
    cdef Rows piece = task.rows
    piece.x = lines_at(g, X, o, r)
    piece.grad = lines_at(g, GRAD, o, r)
    piece.y = lines_at(g, Y, o, r)
    piece.mask = lines_at(g, MASK, o, r)
    piece.bias = lines_at(g, BIAS, o, r)
    piece.rows = rows
    piece.scratch = scratch
    if task.streams:
        run_streaming(task, &piece)
    else:
        task.kernel(&piece)
    status_set(status)


cdef void run_streaming(const Pass* task, Rows* rows) noexcept nogil:
    """As many rows at a time as stay in the cache; their results are stored past it."""
    cdef Py_ssize_t all = rows.rows, done = 0, together = max(<Py_ssize_t> 1, STREAMED // rows.n)
    cdef char* y = rows.y.data
    rows.y.data = rows.scratch + task.scratch - streamed_size(rows)
    while done < all:
        rows.rows = min(together, all - done)
        task.kernel(rows)
        stream(rows.y.data, y + done * rows.y.row, rows.rows * rows.y.row)
        rows.x.data += rows.rows * rows.x.row
        done += rows.rows
    stream_end()


cdef inline Py_ssize_t streamed_size(const Rows* rows) noexcept nogil:
    return (max(<Py_ssize_t> STREAMED, rows.n) * 8 + 63) & -64


cdef inline bint too_many(const Layout* g, Py_ssize_t count) noexcept nogil:
    """Whether results and input are more than the cache holds, and it does not hold the results'
    memory already."""
    cdef Py_ssize_t size = itemsize(g.at[X].lines.dtype)
    cdef const char* y = g.at[Y].lines.data
    return 2 * count * size > CACHED and g.at[X].lines.data != y and g.at[GRAD].lines.data != y


cdef inline bint whole_rows(const Pass* task, const Layout* g) noexcept nogil:
    """Whether rows follow each other, and stay in the cache beside their results."""
    cdef Py_ssize_t size = itemsize(g.at[X].lines.dtype)
    return (g.n <= LONGEST and task.y_items == g.n and g.at[X].lines.item == size
            and g.at[Y].lines.item == size and g.at[Y].lines.row == g.n * size
            and g.at[X].lines.dtype <= FLOAT64 and g.at[MASK].lines.data == NULL
            and g.at[BIAS].lines.data == NULL)


cdef void parallel_rows(const stored[:, :, :] x, stored[:, :, :] y, const Pass* task,
                        const Layout* g, int threads, char* scratch) noexcept nogil:
    """Share blocks of rows out over the threads."""
    cdef Py_ssize_t run = x.shape[1], block = rows_a_piece(g), piece, o, r
    cdef Py_ssize_t pieces = (run + block - 1) // block
    for piece in prange(x.shape[0] * pieces, schedule="static", num_threads=threads):
        o = piece // pieces
        r = piece % pieces * block
        run_rows(task, g, o, r, min(block, run - r), scratch + threadid() * task.scratch)


cdef int row_views(const Pass* task, const Layout* g, int threads, char* scratch,
                   stored tag) except -1:
    cdef const stored[:, :, :] x = strided(
        g.at[X].lines.data, g.outer, g.run, g.n, g.at[X].outer, g.at[X].lines.row,
        g.at[X].lines.item, g.at[X].lines.dtype)
    cdef stored[:, :, :] y = strided(
        g.at[Y].lines.data, g.outer, g.run, task.y_items, g.at[Y].outer, g.at[Y].lines.row,
        g.at[Y].lines.item, g.at[Y].lines.dtype)
    with nogil:
        parallel_rows(x, y, task, g, threads, scratch)
    return 0


cdef int over_rows(Pass* task, int axis, cnp.ndarray x, cnp.ndarray y, cnp.ndarray grad,
                   cnp.ndarray mask, cnp.ndarray bias) except -1:
    """Run a pass over whole arrays of equal shape (but for a reduced axis)."""
    cdef Layout g
    cdef Py_ssize_t o, size
    cdef double work = task.cost * cnp.PyArray_SIZE(x)
    cdef int threads, peel
    cdef void* arrays[OPERANDS]
    cdef Rows piece
    cdef char* scratch
    if cnp.PyArray_SIZE(x) == 0:
        return 0
    arrays[X] = <void*> x
    arrays[Y] = <void*> y
    arrays[GRAD] = NULL if grad is None else <void*> grad
    arrays[MASK] = NULL if mask is None else <void*> mask
    arrays[BIAS] = NULL if bias is None else <void*> bias
    peel = lay_out(&g, axis, arrays, BIAS + 1)
    if peel >= 0:
        for o in range(cnp.PyArray_DIM(x, peel)):
            at = (slice(None),) * peel + (o,)
            over_rows(task, axis - (peel < axis), x[at], y[at], part(grad, at), part(mask, at),
                      part(bias, at))
        return 0
    task.y_items = cnp.PyArray_DIM(y, axis)
    threads = _threads.choose(work)
    task.rows.dtype = FLOAT64 if g.at[X].lines.dtype == FLOAT64 else FLOAT32
    task.rows.n = g.n
    task.streams = (task.may_stream and not task.rows.turns_x and whole_rows(task, &g)
                    and too_many(&g, cnp.PyArray_SIZE(x)))
    task.rows.stream = not task.streams and too_many(&g, cnp.PyArray_SIZE(x))
    piece = task.rows
    piece.x = g.at[X].lines
    piece.grad = g.at[GRAD].lines
    piece.y = g.at[Y].lines
    piece.mask = g.at[MASK].lines
    piece.bias = g.at[BIAS].lines
    piece.rows = min(g.run, rows_a_piece(&g))
    task.scratch = (task.table.scratch(&piece) + 63) & -64
    if task.streams:
        task.scratch += streamed_size(&piece)
    if threads == 1 and task.scratch <= SMALL:
        if work < BRIEF:
            small_scratch(task, &g)
        else:
            with nogil:
                small_scratch(task, &g)
        return 0
    size = threads * task.scratch + 64
    scratch = <char*> PyMem_RawMalloc(size)
    if scratch == NULL:
        raise MemoryError(f"no memory for {size} bytes that the rows need on their way")
    try:
        run_all(task, &g, work, threads, scratch + (-<Py_ssize_t> scratch & 63))
    finally:
        PyMem_RawFree(scratch)
    return 0


cdef int run_all(const Pass* task, const Layout* g, double work, int threads,
                 char* scratch) except -1:
    if threads > 1:
        if g.at[X].lines.dtype == FLOAT32:
            row_views[float](task, g, threads, scratch, 0)
        elif g.at[X].lines.dtype == FLOAT64:
            row_views[double](task, g, threads, scratch, 0)
        else:
            row_views[ushort](task, g, threads, scratch, 0)
    elif work < BRIEF:
        one_thread(task, g, scratch)
    else:
        with nogil:
            one_thread(task, g, scratch)
    return 0


cdef inline cnp.ndarray part(a, tuple at):
    return None if a is None else a[at]


cdef void small_scratch(const Pass* task, const Layout* g) noexcept nogil:
    """With scratch from the stack: a call of few rows waits for no allocation."""
    cdef char scratch[SMALL + 64]
    one_thread(task, g, scratch + (-<Py_ssize_t> scratch & 63))


cdef void one_thread(const Pass* task, const Layout* g, char* scratch) noexcept nogil:
    cdef Py_ssize_t o, r, block = rows_a_piece(g)
    for o in range(g.outer):
        r = 0
        while r < g.run:
            run_rows(task, g, o, r, min(block, g.run - r), scratch)
            r += block


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
    row. `blank` is what masked entries are in the result.
    """

    cdef const RowOp* op
    cdef const RowKernels* table
    cdef readonly str name
    cdef readonly bint reduces
    cdef bint negative, several
    cdef bint streams
    cdef readonly double blank, empty
    cdef readonly tuple parameters
    cdef readonly tuple domains

    def __init__(self, str name, *, str kernel=None, bint negative=False, bint reduces=False,
                 bint several=False, double blank=0, double empty=-np.inf,
                 **domains):
        cdef bytes wanted = (kernel or name).encode()
        self.table = KERNELS
        self.op = find(KERNELS, wanted)
        if self.op == NULL:
            self.table = SPARSE
            self.op = find(SPARSE, wanted)
        if self.op == NULL:
            raise SystemError(f"no row kernel {wanted!r}")
        self.name = name
        self.negative = negative
        self.reduces = reduces
        self.several = several
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
        task.table = self.table
        task.cost = self.op.cost
        task.may_stream = self.streams and kernel == self.op.value
        task.rows.p = p if self.domains else NULL
        task.rows.turns_x = self.negative
        task.rows.turns_y = False
        task.rows.hidden = -INFINITY
        task.rows.blank = self.blank
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
            self.run(&task, numbers, x, y, mask, bias)
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
            self.run(&task, last, x, y, mask, bias)
            y = y.reshape(shape) if self.reduces else joined.back(y)
            return finish(y if out is None else out, y, out is None)
        result, y = destination(self.name, x, out, shape, kept)
        if out is not None:
            x, mask, bias = apart_from(x, y), apart_from(mask, y), apart_from(bias, y)
        self.run(&task, numbers, x, y, mask, bias)
        return finish(result, y, out is None)

    cdef int run(self, Pass* task, int axis, cnp.ndarray x, cnp.ndarray y,
                 cnp.ndarray mask, cnp.ndarray bias) except -1:
        if self.reduces and cnp.PyArray_DIM(x, axis) == 0:
            (<object> y).fill(self.empty)
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
        task.rows.turns_y = self.negative
        task.rows.blank = 0
        if output is not None:
            task.rows.turns_x = False
            task.rows.hidden = self.blank
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
