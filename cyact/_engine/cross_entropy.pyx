"""Plan and run a call of cross_entropy, or of focal loss, which is a function of it."""

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange, threadid

import numpy as np

cimport cyact._engine.threads as _threads
from cyact._engine.layout cimport (
    GRAD,
    LOSS,
    OPERANDS,
    TARGET,
    X,
    Y,
    Layout,
    lay_out,
    lines_at,
    rows_a_piece,
)
from cyact._engine.losses cimport code_of
from cyact._level.abi cimport (
    ABI,
    FLOAT32,
    FLOAT64,
    CrossEntropy,
    LossKernels,
    RowKernels,
)
from cyact._level.stages cimport cyact_status, status_get, status_set

cnp.import_array()

cdef const RowKernels* ROWS = NULL
cdef const LossKernels* LOSSES = NULL


def use_level(rows, losses):
    """Take the tables of one instruction-set level; called once, at import."""
    global ROWS, LOSSES
    ROWS = <const RowKernels*> PyCapsule_GetPointer(rows.table, b"cyact.RowKernels")
    LOSSES = <const LossKernels*> PyCapsule_GetPointer(losses.table, b"cyact.LossKernels")
    if ROWS.abi != ABI or LOSSES.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")


cdef void run_rows(const CrossEntropy* call, const Layout* g, Py_ssize_t o, Py_ssize_t r,
                   Py_ssize_t rows, char* scratch) noexcept nogil:
    """Rows r to r + rows of run o."""
    cdef cyact_status status = status_get()
    cdef CrossEntropy piece = call[0]
    piece.rows.rows = rows
    piece.rows.scratch = scratch
    piece.rows.x = lines_at(g, X, o, r)
    piece.rows.y = lines_at(g, Y, o, r)
    piece.probability = lines_at(g, GRAD, o, r)
    piece.target = lines_at(g, TARGET, o, r)
    piece.loss = lines_at(g, LOSS, o, r)
    ROWS.cross_entropy(&piece)
    status_set(status)


cdef void run_all(const CrossEntropy* call, const Layout* g, const double[::1] scratch,
                  Py_ssize_t size, int threads) noexcept nogil:
    """Share blocks of rows out over the threads."""
    cdef Py_ssize_t block = rows_a_piece(g), piece, pieces = (g.run + block - 1) // block
    cdef char* at = <char*> &scratch[0]
    at += -<Py_ssize_t> at & 63
    if threads == 1:
        for piece in range(g.outer * pieces):
            run_rows(call, g, piece // pieces, piece % pieces * block,
                     min(block, g.run - piece % pieces * block), at)
        return
    for piece in prange(g.outer * pieces, schedule="static", num_threads=threads):
        run_rows(call, g, piece // pieces, piece % pieces * block,
                 min(block, g.run - piece % pieces * block), at + threadid() * size)


def over_rows(cnp.ndarray x, dtype, int axis, cnp.ndarray target, cnp.ndarray probability, weight,
              double smoothing, double scale, cnp.ndarray loss, cnp.ndarray y, focal=None):
    """Fill `loss` (float64, as x but with one entry along the axis) and the gradient `y` of that
    dtype, unless it is None.

    x, probability: as readable() gives them. target: classes as `loss`, -1 where ignored, or None.
    weight: float64 or None. focal: (gamma, float64 weights or None).
    """
    cdef CrossEntropy call
    cdef Layout g
    cdef void* arrays[OPERANDS]
    cdef const double[::1] weights
    cdef const double[::1] alphas
    cdef Py_ssize_t o, size
    cdef double work
    cdef int threads, peel, i
    if cnp.PyArray_SIZE(x) == 0:
        return
    for i in range(OPERANDS):
        arrays[i] = NULL
    arrays[X] = <void*> x
    arrays[Y] = NULL if y is None else <void*> y
    arrays[GRAD] = NULL if probability is None else <void*> probability
    arrays[TARGET] = NULL if target is None else <void*> target
    arrays[LOSS] = <void*> loss
    peel = lay_out(&g, axis, arrays, OPERANDS)
    if peel >= 0:
        for o in range(cnp.PyArray_DIM(x, peel)):
            at = (slice(None),) * peel + (o,)
            over_rows(x[at], dtype, axis - (peel < axis), None if target is None else target[at],
                      None if probability is None else probability[at], weight, smoothing, scale,
                      loss[at], None if y is None else y[at], focal)
        return
    g.at[X].lines.dtype = code_of(x.dtype)
    if probability is not None:
        g.at[GRAD].lines.dtype = code_of(probability.dtype)
    call.rows.dtype = FLOAT64 if dtype == np.float64 else FLOAT32
    call.rows.n = g.n
    call.rows.rows = min(g.run, rows_a_piece(&g))
    call.rows.x = g.at[X].lines
    call.rows.y = g.at[Y].lines
    call.rows.grad = g.at[GRAD].lines
    call.rows.mask.data = call.rows.bias.data = call.rows.scratch = NULL
    call.rows.hidden = -np.inf
    call.rows.blank = 0
    call.rows.turns_x = call.rows.turns_y = call.rows.stream = False
    call.rows.p = NULL
    call.weight = call.alpha = NULL
    if weight is not None:
        weights = weight
        call.weight = &weights[0]
    call.smoothing = smoothing
    call.scale = scale
    call.focal = NULL
    call.gamma = 0
    if focal is not None:
        call.focal = LOSSES.focal
        call.gamma = focal[0]
        if focal[1] is not None:
            alphas = focal[1]
            call.alpha = &alphas[0]
    work = cnp.PyArray_SIZE(x) * ROWS.ops[0].cost
    threads = _threads.choose(work)
    size = (ROWS.scratch(&call.rows) + 63) & -64
    scratch = np.empty(threads * size // 8 + 8)
    call_all(&call, &g, scratch, size, threads)


cdef int call_all(const CrossEntropy* call, const Layout* g, const double[::1] scratch,
                  Py_ssize_t size, int threads) except -1:
    with nogil:
        run_all(call, g, scratch, size, threads)
    return 0
