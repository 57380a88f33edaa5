"""Plan and run a call of a loss: value and gradient in one pass."""

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange

cimport cyact._threads as _threads
from cyact._abi cimport ABI, FLOAT32, CrossEntropy, RowKernels, Rows
from cyact._row_engine cimport Geometry, fold, rows_a_piece, strided
from cyact._tile cimport cyact_status, status_get, status_set

cnp.import_array()

ctypedef fused real:
    float
    double

cdef const RowKernels* KERNELS = NULL


def use_level(module):
    """Take the table of one instruction-set level; called once, at import."""
    global KERNELS
    KERNELS = <const RowKernels*> PyCapsule_GetPointer(module.table, b"cyact.RowKernels")
    if KERNELS.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")


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
