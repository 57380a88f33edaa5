"""Plan and run a call of cross_entropy, or of focal loss, which is a function of it.

Rows go by blocks; those of other dtypes than float32 and float64 are converted in buffers that
stay in cache.
"""

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy

import numpy as np

cimport cyact._engine.threads as _threads
from cyact._engine.losses cimport code_of
from cyact._engine.rows cimport Geometry, fold, rows_a_piece
from cyact._level.abi cimport (
    ABI,
    FLOAT32,
    FLOAT64,
    LANES,
    Copy,
    CrossEntropy,
    LossKernels,
    RowKernels,
    Rows,
)

cnp.import_array()

# Up to this much work, in nanoseconds, the GIL is kept: releasing it costs as much as it frees.
cdef double BRIEF = 10_000.0

cdef const RowKernels* ROWS = NULL
cdef const LossKernels* LOSSES = NULL


def use_level(rows, losses):
    """Take the tables of one instruction-set level; called once, at import."""
    global ROWS, LOSSES
    ROWS = <const RowKernels*> PyCapsule_GetPointer(rows.table, b"cyact.RowKernels")
    LOSSES = <const LossKernels*> PyCapsule_GetPointer(losses.table, b"cyact.LossKernels")
    if ROWS.ops.abi != ABI or LOSSES.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")


cdef struct Plan:
    CrossEntropy call
    Geometry g
    int x_dtype
    int y_dtype
    int probability_dtype
    bint stage_x                  # converted in a buffer, from or to what the kernel takes
    bint stage_y
    bint stage_probability
    bint across                   # in buffers, rows lie side by side, as in the array
    bint focal
    double gamma
    const double* alpha           # one a class, or NULL
    Py_ssize_t block              # rows in a piece
    Py_ssize_t pieces             # in a run
    Py_ssize_t probability_at     # where in a thread's buffers, in bytes; x is first
    Py_ssize_t y_at
    Py_ssize_t terms_at


cdef inline Copy whole(const Plan* plan, Py_ssize_t rows) noexcept nogil:
    """Between an array and a buffer; which is which is for the caller to say."""
    cdef Copy c
    cdef Py_ssize_t size = 4 if plan.call.rows.dtype == FLOAT32 else 8
    c.rows = rows
    c.n = plan.call.rows.n
    c.x = NULL
    c.y = NULL
    c.x_dtype = c.y_dtype = plan.call.rows.dtype
    c.x_row = c.y_row = size if plan.across else size * c.n
    c.x_item = c.y_item = size * plan.block if plan.across else size
    return c


cdef void stage_in(const Plan* plan, CrossEntropy* piece, char* scratch) noexcept nogil:
    cdef Copy c = whole(plan, piece.rows.rows)
    if plan.stage_x:
        c.y = scratch
        c.x = piece.rows.x
        c.x_dtype = plan.x_dtype
        c.x_row = piece.rows.x_row
        c.x_item = piece.rows.x_item
        LOSSES.copy_rows(&c)
        piece.rows.x = c.y
        piece.rows.x_row = c.y_row
        piece.rows.x_item = c.y_item
    if plan.stage_probability:
        c.y = scratch + plan.probability_at
        c.x = piece.probability
        c.x_dtype = plan.probability_dtype
        c.x_row = piece.probability_row
        c.x_item = piece.probability_item
        LOSSES.copy_rows(&c)
        piece.probability = c.y
        piece.probability_row = c.y_row
        piece.probability_item = c.y_item


cdef void run_piece(const Plan* plan, Py_ssize_t number, char* scratch) noexcept nogil:
    """A block of rows: load, run the kernel, apply focal loss, store."""
    cdef CrossEntropy piece = plan.call
    cdef Py_ssize_t o = number // plan.pieces, r = number % plan.pieces * plan.block
    cdef Py_ssize_t run = plan.g.rows.rows, first = o * run + r
    cdef char* y = plan.g.rows.y + o * plan.g.y_outer + r * plan.g.rows.y_row
    cdef double* terms = <double*> (scratch + plan.terms_at)
    cdef Copy c
    piece.rows.rows = min(plan.block, run - r)
    piece.rows.x += o * plan.g.x_outer + r * plan.g.rows.x_row
    piece.loss += first
    if piece.target != NULL:
        piece.target += first
    if piece.probability != NULL:
        piece.probability += o * plan.g.grad_outer + r * plan.g.rows.grad_row
    stage_in(plan, &piece, scratch)
    c = whole(plan, piece.rows.rows)
    if piece.rows.y != NULL:
        piece.rows.y = y
        if plan.stage_y:
            piece.rows.y = scratch + plan.y_at
            piece.rows.y_row = c.x_row
            piece.rows.y_item = c.x_item
    if plan.focal:
        piece.loss = terms
    ROWS.cross_entropy(&piece)
    if plan.focal:
        apply_focal(plan, &piece, terms, plan.call.loss + first)
    if piece.rows.y != NULL and plan.stage_y:
        c.x = piece.rows.y
        c.y = y
        c.y_dtype = plan.y_dtype
        c.y_row = plan.g.rows.y_row
        c.y_item = plan.g.rows.y_item
        LOSSES.copy_rows(&c)


cdef void apply_focal(const Plan* plan, const CrossEntropy* piece, double* terms,
                      double* loss) noexcept nogil:
    """Make the piece's cross-entropy, in terms, and its gradient those of focal loss."""
    cdef Py_ssize_t rows = piece.rows.rows, padded = (rows + LANES - 1) & -LANES, r
    cdef double* alpha = terms + padded
    cdef double* factor = alpha + padded
    cdef double* result = factor + padded
    cdef Copy c = whole(plan, rows)
    for r in range(rows):
        alpha[r] = (0.0 if piece.target[r] < 0 else 1.0 if plan.alpha == NULL
                    else plan.alpha[piece.target[r]])
    for r in range(rows, padded):
        terms[r] = alpha[r] = 0
    LOSSES.focal(terms, alpha, result, factor, padded, plan.gamma)
    memcpy(loss, result, rows * sizeof(double))
    if piece.rows.y != NULL:
        c.y = piece.rows.y
        c.y_row = piece.rows.y_row
        c.y_item = piece.rows.y_item
        LOSSES.scale_rows(&c, factor)


cdef void run_pieces(const Plan* plan, double[:, ::1] buffers, int threads) noexcept nogil:
    cdef Py_ssize_t piece, pieces = plan.g.outer * plan.pieces
    if threads == 1:
        for piece in range(pieces):
            run_piece(plan, piece, <char*> &buffers[0, 0])
    else:
        for piece in prange(pieces, schedule="static", num_threads=threads):
            run_piece(plan, piece, <char*> &buffers[threadid(), 0])


def over_rows(cnp.ndarray x, dtype, int axis, const Py_ssize_t[::1] target, probability, weight,
              double smoothing, double scale, double[::1] loss, y, focal=None):
    """Fill `loss`, an entry a row in C order, and the gradient `y` unless it is None.

    x: as readable() gives it; target: classes, -1 where ignored, or None with `probability`
    (in the shape of x); weight: float64 or None. focal: (gamma, float64 weights or None).
    """
    cdef Plan plan
    cdef Py_ssize_t lead, rows, o, first
    cdef const double[::1] weights
    cdef const double[::1] alphas
    cdef double[:, ::1] buffers
    cdef double work
    cdef int threads
    if cnp.PyArray_SIZE(x) == 0:
        return
    # What is absent is folded as x itself, and then not used.
    if fold(&plan.g, axis, x, x if y is None else y, x if probability is None else probability,
            True):
        lead = x.shape[0 if axis else 1]
        rows = len(loss) // lead
        for o in range(lead):
            at = (o,) if axis else (slice(None), o)
            first = o * rows
            over_rows(x[at], dtype, axis - 1 if axis else 0,
                      None if target is None else target[first:first + rows],
                      None if probability is None else probability[at], weight, smoothing,
                      scale, loss[first:first + rows], None if y is None else y[at], focal)
        return
    plan.g.rows.dtype = FLOAT64 if dtype == np.float64 else FLOAT32
    plan.call.rows = plan.g.rows
    plan.call.rows.grad = NULL
    if y is None:
        plan.call.rows.y = NULL
    plan.call.target = NULL
    if target is not None:
        plan.call.target = &target[0]
    plan.call.probability = plan.g.rows.grad
    if probability is None:
        plan.call.probability = NULL
    plan.call.probability_row = plan.g.rows.grad_row
    plan.call.probability_item = plan.g.rows.grad_item
    plan.call.weight = NULL
    if weight is not None:
        weights = weight
        plan.call.weight = &weights[0]
    plan.call.smoothing = smoothing
    plan.call.scale = scale
    plan.call.loss = &loss[0]
    plan.focal = focal is not None
    plan.alpha = NULL
    plan.gamma = 0
    if plan.focal:
        plan.gamma = focal[0]
        if focal[1] is not None:
            alphas = focal[1]
            plan.alpha = &alphas[0]
    plan.x_dtype = code_of(x.dtype)
    plan.y_dtype = code_of(dtype)
    plan.probability_dtype = -1 if probability is None else code_of(probability.dtype)
    plan.stage_x = plan.x_dtype != plan.g.rows.dtype
    plan.stage_y = plan.y_dtype != plan.g.rows.dtype
    plan.stage_probability = (probability is not None
                              and plan.probability_dtype != plan.g.rows.dtype)
    work = cnp.PyArray_SIZE(x) * ROWS.ops.at[0].cost
    threads = _threads.choose(work)
    buffers = np.empty((threads, share_out(&plan)))
    if work < BRIEF:
        run_pieces(&plan, buffers, 1)
    else:
        with nogil:
            run_pieces(&plan, buffers, threads)


cdef Py_ssize_t share_out(Plan* plan) noexcept:
    """Cut the rows into pieces; returns how many doubles of buffers each thread needs."""
    cdef const Rows* rows = &plan.g.rows
    cdef Py_ssize_t size = 4 if rows.dtype == FLOAT32 else 8, doubles = 1, buffer
    plan.block = min(rows_a_piece(rows), rows.rows)
    plan.pieces = (rows.rows + plan.block - 1) // plan.block
    plan.across = abs(rows.x_row) < abs(rows.x_item)
    # Vectors may be read beyond the last row.
    buffer = (plan.block * rows.n * size + 128) & -64
    plan.probability_at = buffer if plan.stage_x else 0
    plan.y_at = plan.probability_at + (buffer if plan.stage_probability else 0)
    plan.terms_at = plan.y_at + (buffer if plan.stage_y else 0)
    doubles += plan.terms_at // 8
    if plan.focal:
        doubles += 4 * (plan.block + LANES)
    return doubles
