"""Plan and run a call along an axis: the softmax family and cross-entropy.

Any ndarray is viewed as (outer, run, n) by its strides, `n` along the axis: nothing is copied
or transposed but the dtype, and a thread takes blocks of rows at a time. (NumPy's generalised
ufuncs do not serve: pandas hands them transposed blocks, masked entries enter the sum, and
xarray and Dask refuse them.)
"""

from operator import index

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange
from libc.string cimport strcmp

import numpy as np
from numpy.exceptions import AxisError

cimport cyact._threads as _threads
from cyact._abi cimport (
    ABI,
    FLOAT32,
    FLOAT64,
    CrossEntropy,
    RowKernels,
    RowOp,
    Rows,
    row_kernel_t,
)
from cyact._tile cimport cyact_status, status_get, status_set

from cyact._engine import as_array, check_out, result_dtype

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    MAX_PARAMETERS = 5
    MAX_DIMENSIONS = 64        # NumPy's own limit
    BLOCK = 16384              # elements a thread takes at a time, in whole rows

# Up to this much work, in nanoseconds, the GIL is kept: releasing it costs as much as it frees.
cdef double BRIEF = 10_000.0

cdef const RowKernels* KERNELS = NULL


def use_level(module):
    """Take the table of one instruction-set level; called once, at import."""
    global KERNELS
    KERNELS = <const RowKernels*> PyCapsule_GetPointer(module.table, b"cyact.RowKernels")
    if KERNELS.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")


cdef inline Py_ssize_t magnitude(Py_ssize_t step) noexcept nogil:
    return -step if step < 0 else step


# Any ndarrays as rows: (outer, run, n) by strides. A run is consecutive rows at one step.
cdef struct Geometry:
    Rows rows                         # of the first run
    Py_ssize_t outer
    Py_ssize_t x_outer
    Py_ssize_t grad_outer
    Py_ssize_t y_outer


cdef int fold(Geometry* g, int axis, cnp.ndarray x, cnp.ndarray y, cnp.ndarray grad,
              bint ordered) except -1:
    """Describe x, y and grad (equal shapes but for `axis`) as rows; -1 dims are merged.

    Returns 0, or 1 when the dimensions outside `axis` do not merge into two. Without
    `ordered` the rows may be taken in any order, and are taken as they lie in memory.
    """
    cdef int dims = 0, i, j, d, ndim = cnp.PyArray_NDIM(x)
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp* strides[3]
    cdef int operands = 2 if grad is None else 3
    cdef int order[MAX_DIMENSIONS]
    cdef Py_ssize_t sizes[MAX_DIMENSIONS]
    cdef Py_ssize_t steps[3][MAX_DIMENSIONS]
    cdef bint merges
    strides[0] = cnp.PyArray_STRIDES(x)
    strides[1] = cnp.PyArray_STRIDES(y)
    strides[2] = NULL if grad is None else cnp.PyArray_STRIDES(grad)
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
        for j in range(operands):
            if d >= 0 and steps[j][d] != strides[j][order[i]] * shape[order[i]]:
                merges = False
        if not merges:
            d += 1
            sizes[d] = 1
        sizes[d] *= shape[order[i]]
        for j in range(operands):
            steps[j][d] = strides[j][order[i]]
    if d > 1:
        return 1
    while d < 1:                      # fewer than two: dimensions of one entry in front
        for i in range(d, -1, -1):
            sizes[i + 1] = sizes[i]
            for j in range(operands):
                steps[j][i + 1] = steps[j][i]
        sizes[0] = 1
        for j in range(operands):
            steps[j][0] = 0
        d += 1
    g.outer = sizes[0]
    g.x_outer = steps[0][0]
    g.y_outer = steps[1][0]
    g.rows.rows = sizes[1]
    g.rows.x_row = steps[0][1]
    g.rows.y_row = steps[1][1]
    g.rows.n = shape[axis]
    g.rows.x_item = strides[0][axis]
    g.rows.y_item = strides[1][axis]
    g.rows.x = <const char*> cnp.PyArray_DATA(x)
    g.rows.y = <char*> cnp.PyArray_DATA(y)
    g.rows.grad = NULL
    g.rows.p = NULL
    g.grad_outer = g.rows.grad_row = g.rows.grad_item = 0
    if grad is not None:
        g.rows.grad = <const char*> cnp.PyArray_DATA(grad)
        g.grad_outer = steps[2][0]
        g.rows.grad_row = steps[2][1]
        g.rows.grad_item = strides[2][axis]
    g.rows.dtype = FLOAT32 if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT else FLOAT64
    return 0


cdef object strided(const char* data, Py_ssize_t a, Py_ssize_t b, Py_ssize_t c,
                    Py_ssize_t a_step, Py_ssize_t b_step, Py_ssize_t c_step, int dtype):
    """An (a, b, c) ndarray over memory that the caller keeps alive, to take memoryviews of."""
    cdef cnp.npy_intp[3] shape = [a, b, c]
    cdef cnp.npy_intp[3] strides = [a_step, b_step, c_step]
    return cnp.PyArray_New(cnp.ndarray, 3, shape,
                           cnp.NPY_FLOAT if dtype == FLOAT32 else cnp.NPY_DOUBLE, strides,
                           <void*> data, 0, cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE,
                           <object> NULL)


cdef inline Py_ssize_t rows_a_piece(const Rows* rows) noexcept nogil:
    """Rows a thread takes at a time; neighbours in memory stay together."""
    cdef Py_ssize_t count = BLOCK // rows.n
    if magnitude(rows.x_row) < magnitude(rows.x_item):
        count = max(count, <Py_ssize_t> 64)
    return max(count, <Py_ssize_t> 1)


cdef inline void run_rows(row_kernel_t kernel, const Rows* whole, const char* x,
                          const char* grad, char* y, Py_ssize_t rows) noexcept nogil:
    cdef cyact_status status = status_get()
    cdef Rows piece = whole[0]
    piece.x = x
    piece.grad = grad
    piece.y = y
    piece.rows = rows
    kernel(&piece)
    status_set(status)


cdef void parallel_rows(const real[:, :, :] x, const real[:, :, :] grad, real[:, :, :] y,
                        row_kernel_t kernel, const Rows* whole, int threads) noexcept nogil:
    """Share blocks of rows out over the threads."""
    cdef Py_ssize_t run = x.shape[1], block = rows_a_piece(whole)
    cdef Py_ssize_t pieces = (run + block - 1) // block
    cdef Py_ssize_t piece, o, r
    for piece in prange(x.shape[0] * pieces, schedule="static", num_threads=threads):
        o = piece // pieces
        r = piece % pieces * block
        run_rows(kernel, whole, <const char*> &x[o, r, 0],
                 NULL if whole.grad == NULL else <const char*> &grad[o, r, 0],
                 <char*> &y[o, r, 0], min(block, run - r))


cdef int row_views(const Geometry* g, row_kernel_t kernel, Py_ssize_t x_items,
                   Py_ssize_t y_items, Py_ssize_t grad_items, int threads, real tag) except -1:
    cdef const Rows* rows = &g.rows
    cdef const real[:, :, :] x = strided(rows.x, g.outer, rows.rows, x_items,
                                         g.x_outer, rows.x_row, rows.x_item, rows.dtype)
    cdef real[:, :, :] y = strided(rows.y, g.outer, rows.rows, y_items,
                                   g.y_outer, rows.y_row, rows.y_item, rows.dtype)
    cdef const real[:, :, :] grad = x
    if rows.grad != NULL:
        grad = strided(rows.grad, g.outer, rows.rows, grad_items,
                       g.grad_outer, rows.grad_row, rows.grad_item, rows.dtype)
    with nogil:
        parallel_rows(x, grad, y, kernel, rows, threads)
    return 0


cdef int over_rows(row_kernel_t kernel, double cost, const double* p, int axis,
                   cnp.ndarray x, cnp.ndarray y, cnp.ndarray grad) except -1:
    """Run a row kernel over whole arrays of equal shape (but for a reduced axis)."""
    cdef Geometry g
    cdef Py_ssize_t o
    cdef double work = cost * cnp.PyArray_SIZE(x)
    cdef int threads
    if cnp.PyArray_SIZE(x) == 0:
        return 0
    if fold(&g, axis, x, y, grad, False):
        for o in range(cnp.PyArray_DIM(x, 0) if axis else cnp.PyArray_DIM(x, 1)):
            at = (o,) if axis else (slice(None), o)
            over_rows(kernel, cost, p, axis - 1 if axis else 0, x[at], y[at],
                      None if grad is None else grad[at])
        return 0
    g.rows.p = p
    threads = _threads.choose(work)
    if threads == 1:
        if work < BRIEF:
            one_thread(&g, kernel)
        else:
            with nogil:
                one_thread(&g, kernel)
    elif g.rows.dtype == FLOAT32:
        row_views[float](&g, kernel, g.rows.n, cnp.PyArray_DIM(y, axis),
                         1 if grad is None else cnp.PyArray_DIM(grad, axis), threads, 0)
    else:
        row_views[double](&g, kernel, g.rows.n, cnp.PyArray_DIM(y, axis),
                          1 if grad is None else cnp.PyArray_DIM(grad, axis), threads, 0)
    return 0


cdef void one_thread(const Geometry* g, row_kernel_t kernel) noexcept nogil:
    cdef Py_ssize_t o
    for o in range(g.outer):
        run_rows(kernel, &g.rows, g.rows.x + o * g.x_outer,
                 NULL if g.rows.grad == NULL else g.rows.grad + o * g.grad_outer,
                 g.rows.y + o * g.y_outer, g.rows.rows)


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


cpdef object row_dtype(str function, dtype):
    """What rows of a dtype are computed in: float32 or float64."""
    dtype = result_dtype(function, dtype)
    if dtype != np.float32 and dtype != np.float64:
        raise TypeError(f"{function}: dtype {dtype} is not supported along an axis; use float32 "
                        f"or float64, or integers or bool (they become floating point)")
    return dtype


cdef cnp.ndarray working(str function, x, dtype):
    """x as an aligned, native float32 or float64 ndarray: a view where it is one already."""
    if dtype is None and type(x) is cnp.ndarray and ready(x):
        return x
    x = as_array(function, x)
    if dtype is None:
        dtype = row_dtype(function, x.dtype)
    else:
        dtype = np.dtype(dtype)
        if dtype.kind != "f":
            raise TypeError(f"{function}: dtype= must be float32 or float64, got {dtype}")
        row_dtype(function, x.dtype)
        dtype = row_dtype(function, dtype)
    # np.asarray drops subclasses; "A" makes it aligned, and the dtype is native.
    return np.require(np.asarray(x), dtype, "A")


cdef inline bint ready(cnp.ndarray x) noexcept:
    """Whether x is aligned, native float32 or float64, in any layout."""
    cdef int number = cnp.PyArray_TYPE(x)
    return (cnp.PyArray_ISBEHAVED_RO(x)
            and (number == cnp.NPY_FLOAT or number == cnp.NPY_DOUBLE))


cdef object apart_from(x, y):
    """x, copied when writing y would change it before it is read."""
    if x is None or x is y or (
            cnp.PyArray_DATA(<cnp.ndarray> x) == cnp.PyArray_DATA(<cnp.ndarray> y)
            and x.strides == y.strides and x.shape == y.shape):
        return x
    return x.copy() if np.may_share_memory(x, y) else x


cdef class RowFunction:
    """One function along an axis: its kernels and its parameters' domains."""

    cdef const RowOp* op
    cdef readonly str name
    cdef readonly bint reduces
    cdef readonly tuple parameters
    cdef readonly tuple domains

    def __init__(self, str name, *, bint reduces=False, **domains):
        cdef int i
        self.op = NULL
        for i in range(KERNELS.count):
            if strcmp(KERNELS.ops[i].name, name.encode()) == 0:
                self.op = &KERNELS.ops[i]
        if self.op == NULL:
            raise SystemError(f"no row kernel {name!r}")
        self.name = name
        self.reduces = reduces
        self.parameters = tuple(domains)
        self.domains = tuple(domains.values())

    cdef int check(self, tuple params, double* p) except -1:
        cdef int i
        for i in range(len(self.domains)):
            p[i] = self.domains[i].checked(self.name, self.parameters[i], params[i])
        return 0

    def value(self, x, axis, out, dtype, *params, bint keepdims=False):
        """f along axis; a function that reduces drops the axis unless keepdims."""
        cdef double p[MAX_PARAMETERS]
        cdef int number
        cdef tuple shape, kept
        self.check(params, p)
        x = working(self.name, x, dtype)
        number = axis_number(self.name, x, axis)
        shape = kept = x.shape
        if self.reduces:
            kept = shape[:number] + (1,) + shape[number + 1:]
            shape = kept if keepdims else shape[:number] + shape[number + 1:]
        result, y = destination(self.name, x, out, shape, kept)
        if self.reduces and x.shape[number] == 0:
            y.fill(-np.inf)
        if out is not None:
            x = apart_from(x, y)
        over_rows(self.op.value, self.op.cost, p, number, x, y, None)
        return finish(result, y, out is None)

    def backward(self, grad, x, output, axis, out, *params):
        """The gradient with respect to x, from x or from the output."""
        cdef double p[MAX_PARAMETERS]
        cdef row_kernel_t kernel = self.op.backward if output is None else self.op.from_output
        function = "backward." + self.name
        if (x is None) == (output is None):
            raise TypeError(f"{function}: give exactly one of x and output")
        if kernel == NULL:
            raise TypeError(f"{function}: the gradient is not a function of the output; "
                            f"give x instead")
        self.check(params, p)
        grad = as_array(function, grad)
        x = as_array(function, x if output is None else output)
        dtype = np.result_type(row_dtype(function, grad.dtype), row_dtype(function, x.dtype))
        x = working(function, x, dtype)
        grad = working(function, grad, dtype)
        axis = axis_number(function, x, axis)
        wanted = x.shape
        if self.reduces:
            wanted = x.shape[:axis] + x.shape[axis + 1:]
            kept = x.shape[:axis] + (1,) + x.shape[axis + 1:]
            if grad.shape == wanted or grad.shape == kept:
                grad = grad.reshape(kept)
                wanted = kept
        if grad.shape != wanted:
            raise ValueError(f"{function}: grad must have the shape of the result {wanted}, "
                             f"got {grad.shape}")
        result, y = destination(function, x, out, x.shape, x.shape)
        over_rows(kernel, self.op.cost, p, axis, apart_from(x, y), y, apart_from(grad, y))
        return finish(result, y, out is None)


cdef tuple destination(str function, x, out, shape, kept):
    """The array to return, and the one to compute into (seen as `kept`): its view if it can be."""
    if out is None:
        if shape == x.shape:
            out = np.empty_like(x)
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
    if result is not y and not np.may_share_memory(result, y):
        np.copyto(result, y.reshape(result.shape), casting="same_kind")
    return result[()] if fresh and result.ndim == 0 else result


# Cross-entropy

cdef inline void run_cross_entropy(const CrossEntropy* whole, const char* x, char* y,
                                   const char* probability, Py_ssize_t first,
                                   Py_ssize_t rows) noexcept nogil:
    cdef cyact_status status = status_get()
    cdef CrossEntropy piece = whole[0]
    piece.rows.x = x
    piece.rows.rows = rows
    if whole.rows.y != NULL:
        piece.rows.y = y
    if whole.target != NULL:
        piece.target += first
    else:
        piece.probability = probability
    piece.loss += first
    KERNELS.cross_entropy(&piece)
    status_set(status)


cdef void parallel_cross_entropy(const real[:, :, :] x, const real[:, :, :] probability,
                                 real[:, :, :] y, const CrossEntropy* whole,
                                 int threads) noexcept nogil:
    """Share blocks of rows out over the threads."""
    cdef Py_ssize_t run = x.shape[1], block = rows_a_piece(&whole.rows)
    cdef Py_ssize_t pieces = (run + block - 1) // block
    cdef Py_ssize_t piece, o, r
    for piece in prange(x.shape[0] * pieces, schedule="static", num_threads=threads):
        o = piece // pieces
        r = piece % pieces * block
        run_cross_entropy(whole, <const char*> &x[o, r, 0], <char*> &y[o, r, 0],
                          <const char*> &probability[o, r, 0], o * run + r,
                          min(block, run - r))


cdef int cross_entropy_views(const Geometry* g, const CrossEntropy* call, int threads,
                             real tag) except -1:
    cdef const Rows* rows = &g.rows
    cdef const real[:, :, :] x = strided(rows.x, g.outer, rows.rows, rows.n,
                                         g.x_outer, rows.x_row, rows.x_item, rows.dtype)
    cdef real[:, :, :] y = strided(rows.y, g.outer, rows.rows, rows.n,
                                   g.y_outer, rows.y_row, rows.y_item, rows.dtype)
    cdef const real[:, :, :] probability = strided(
        rows.grad, g.outer, rows.rows, rows.n, g.grad_outer, rows.grad_row, rows.grad_item,
        rows.dtype)
    with nogil:
        parallel_cross_entropy(x, probability, y, call, threads)
    return 0


def cross_entropy(cnp.ndarray x, int axis, const Py_ssize_t[::1] target, probability, weight,
                  double smoothing, double scale, double[::1] loss, y):
    """Fill `loss`, an entry a row in C order, and the gradient `y` unless it is None.

    x: native float32 or float64; target: classes, -1 where ignored, or None with
    `probability` (like x); weight: float64 or None.
    """
    cdef Geometry g
    cdef CrossEntropy call
    cdef const double[::1] weights
    cdef Py_ssize_t lead, rows, o, first
    cdef int threads
    if cnp.PyArray_SIZE(x) == 0:
        return
    # What is absent is folded as x itself, and then not used.
    if fold(&g, axis, x, x if y is None else y, x if probability is None else probability, True):
        lead = x.shape[0 if axis else 1]
        rows = len(loss) // lead
        for o in range(lead):
            at = (o,) if axis else (slice(None), o)
            first = o * rows
            cross_entropy(x[at], axis - 1 if axis else 0,
                          None if target is None else target[first:first + rows],
                          None if probability is None else probability[at], weight, smoothing,
                          scale, loss[first:first + rows], None if y is None else y[at])
        return
    call.rows = g.rows
    if y is None:
        call.rows.y = NULL
    call.rows.grad = NULL
    call.target = NULL if target is None else &target[0]
    call.probability = NULL if probability is None else g.rows.grad
    call.probability_row = g.rows.grad_row
    call.probability_item = g.rows.grad_item
    call.weight = NULL
    if weight is not None:
        weights = weight
        call.weight = &weights[0]
    call.smoothing = smoothing
    call.scale = scale
    call.loss = &loss[0]
    threads = _threads.choose(cnp.PyArray_SIZE(x) * KERNELS.ops[0].cost)
    if threads == 1:
        with nogil:
            for o in range(g.outer):
                run_cross_entropy(&call, g.rows.x + o * g.x_outer, g.rows.y + o * g.y_outer,
                                  g.rows.grad + o * g.grad_outer, o * g.rows.rows, g.rows.rows)
    elif g.rows.dtype == FLOAT32:
        cross_entropy_views[float](&g, &call, threads, 0)
    else:
        cross_entropy_views[double](&g, &call, threads, 0)


def as_rows(str function, x, axis):
    """x as the engine works on it, and its axis as a number from 0."""
    x = working(function, x, None)
    return x, axis_number(function, x, axis)
