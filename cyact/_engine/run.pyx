"""Run spans with the chosen level's kernels: in chunks, alone or in parallel.

A contiguous span is cut up as it is. Any other arrays become a plan: one shape for all operands,
and the steps of each, axes merged where all of them can be; its rows are shared out.
"""

cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange, threadid
from libc.stdlib cimport calloc, free
from libc.string cimport strcmp

import numpy as np

cimport cyact._engine.threads as _threads
from cyact._engine.arrays cimport computed, magnitude
from cyact._level.abi cimport (
    ABI,
    BIAS,
    GRAD,
    OPERANDS,
    WEIGHT,
    X,
    Y,
    Kernels,
    Op,
    Span,
    itemsize,
)
from cyact._level.cache cimport last_cache

cnp.import_array()

ctypedef fused stored:
    float
    double
    unsigned short             # the half types

cdef const Kernels* KERNELS = NULL

cdef long long CACHED = last_cache() or 32 << 20


def use_level(module):
    """Take the table of one instruction-set level; called once, at import."""
    global KERNELS
    KERNELS = <const Kernels*> PyCapsule_GetPointer(module.table, b"cyact.Kernels")
    if KERNELS.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")


cdef const Op* find_op(bytes name) except NULL:
    cdef int i
    for i in range(KERNELS.count):
        if strcmp(KERNELS.ops[i].name, name) == 0:
            return &KERNELS.ops[i]
    raise LookupError(f"no kernel {name!r}")


# Scratch: from the stack where a few KB are enough, so that short calls wait for no allocation

cdef enum:
    ON_STACK = 13248              # 13 KB with the alignment
    FEW = 128                     # entries for which that is enough, whatever the operands

cdef inline char* aligned(char* memory) noexcept nogil:
    return memory + (-<Py_ssize_t> memory & 63)


cdef int run_alone(Span* span) noexcept nogil:
    """Run a span on this thread; -1 without memory for its scratch."""
    cdef char[ON_STACK + 64] small
    cdef char* memory = small
    cdef Py_ssize_t size = 0
    if span.n > FEW:
        size = KERNELS.scratch(span)
    if size > ON_STACK:
        memory = <char*> PyMem_RawMalloc(size + 64)
        if memory == NULL:
            return -1
    span.scratch = aligned(memory)
    KERNELS.run_span(span)
    if size > ON_STACK:
        PyMem_RawFree(memory)
    return 0


# Contiguous spans

cdef int run_long(Span* span, double work) except -1:
    cdef Py_ssize_t size = itemsize(span.dtype), scratch
    cdef int threads = _threads.choose(work), failed
    cdef char* memory
    if threads == 1:
        with nogil:
            failed = run_alone(span)
        if failed:
            raise MemoryError
        return 0
    scratch = KERNELS.scratch(span)
    memory = <char*> PyMem_RawMalloc(threads * scratch + 64)
    if memory == NULL:
        raise MemoryError
    span.scratch = aligned(memory)
    try:
        if size == 4:
            over_views[float](span, scratch, threads, 0)
        elif size == 8:
            over_views[double](span, scratch, threads, 0)
        else:
            over_views["unsigned short"](span, scratch, threads, 0)
    finally:
        PyMem_RawFree(memory)
    return 0


cdef void parallel_views(const stored[::1] x, const stored[::1] grad, stored[::1] y,
                         const Span* whole, Py_ssize_t scratch, int threads) noexcept nogil:
    """A contiguous span in chunks over typed memoryviews; grad counts only if it has one."""
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunks = (n + CHUNK - 1) // CHUNK
    cdef Py_ssize_t chunk, start
    for chunk in prange(chunks, schedule="static", num_threads=threads):
        start = chunk * CHUNK
        run_piece(whole, whole.scratch + threadid() * scratch, <char*> &x[start],
                  NULL if whole.at[GRAD].data == NULL else <char*> &grad[start],
                  <char*> &y[start], min(<Py_ssize_t> CHUNK, n - start))


cdef inline void run_piece(const Span* whole, char* scratch, char* x, char* grad, char* y,
                           Py_ssize_t n) noexcept nogil:
    cdef Span piece = whole[0]
    piece.scratch = scratch
    piece.at[X].data = x
    piece.at[GRAD].data = grad
    piece.at[Y].data = y
    piece.n = n
    KERNELS.run_span(&piece)


cdef int over_views(const Span* span, Py_ssize_t scratch, int threads, stored tag) except -1:
    """View the arrays as flat typed memoryviews and share them out; `scratch`: bytes a thread."""
    cdef const stored[::1] x = <stored[:span.n:1]> <stored*> span.at[X].data
    cdef stored[::1] y = <stored[:span.n:1]> <stored*> span.at[Y].data
    cdef const stored[::1] grad = x
    if span.at[GRAD].data != NULL:
        grad = <stored[:span.n:1]> <stored*> span.at[GRAD].data
    with nogil:
        parallel_views(x, grad, y, span, scratch, threads)
    return 0


# Plans: any layout as rows of the last axis

cdef void set_shape(Plan* plan, object a) noexcept:
    """The shape of an array, and no operands yet."""
    cdef int i, k
    plan.ndim = cnp.PyArray_NDIM(<cnp.ndarray> a)
    for i in range(plan.ndim):
        plan.shape[i] = cnp.PyArray_DIM(<cnp.ndarray> a, i)
    for k in range(OPERANDS):
        for i in range(plan.ndim):
            plan.steps[k][i] = 0


cdef void take(Plan* plan, Span* span, int which, object a) noexcept:
    """An operand, if it is there: its place, and its steps, broadcast to the plan's shape."""
    cdef int i, j, missing
    if a is None:
        return
    span.at[which].data = <char*> cnp.PyArray_DATA(<cnp.ndarray> a)
    missing = plan.ndim - cnp.PyArray_NDIM(<cnp.ndarray> a)
    for i in range(plan.ndim):
        j = i - missing
        if j < 0 or cnp.PyArray_DIM(<cnp.ndarray> a, j) == 1:
            plan.steps[which][i] = 0
        else:
            plan.steps[which][i] = cnp.PyArray_STRIDE(<cnp.ndarray> a, j)


# May the result overlap an operand? Where do the arrays lie?

cdef bint may_clash(const Plan* plan, const Span* span) noexcept nogil:
    """Whether writing the result could change an entry of an operand before it is read."""
    cdef int k
    for k in range(Y):
        if span.at[k].data != NULL and not same_entries(plan, span, k) and not (
                end_of(plan, span, k) <= start_of(plan, span, Y)
                or end_of(plan, span, Y) <= start_of(plan, span, k)):
            return True
    return False


cdef bint same_entries(const Plan* plan, const Span* span, int k) noexcept nogil:
    """Whether each entry of the result lies where that of operand k does."""
    cdef int i
    if span.at[k].data != span.at[Y].data:
        return False
    for i in range(plan.ndim):
        if plan.shape[i] != 1 and plan.steps[k][i] != plan.steps[Y][i]:
            return False
    return True


cdef char* start_of(const Plan* plan, const Span* span, int k) noexcept nogil:
    """The lowest address of an operand."""
    cdef char* p = span.at[k].data
    cdef int i
    for i in range(plan.ndim):
        p += min(<Py_ssize_t> 0, plan.steps[k][i] * (plan.shape[i] - 1))
    return p


cdef char* end_of(const Plan* plan, const Span* span, int k) noexcept nogil:
    """What follows the highest address of an operand."""
    cdef char* p = span.at[k].data + itemsize(
        computed(span.dtype) if k == WEIGHT or k == BIAS else span.dtype)
    cdef int i
    for i in range(plan.ndim):
        p += max(<Py_ssize_t> 0, plan.steps[k][i] * (plan.shape[i] - 1))
    return p


cdef Py_ssize_t extent(const Plan* plan, const Span* span) noexcept nogil:
    """From end to end of all the operands, in bytes."""
    cdef Py_ssize_t total = 0
    cdef int k
    for k in range(OPERANDS):
        if span.at[k].data != NULL:
            total += end_of(plan, span, k) - start_of(plan, span, k)
    return total


# Running a plan

cdef void swap_axes(Plan* plan, int i, int j) noexcept nogil:
    cdef int k
    plan.shape[i], plan.shape[j] = plan.shape[j], plan.shape[i]
    for k in range(OPERANDS):
        plan.steps[k][i], plan.steps[k][j] = plan.steps[k][j], plan.steps[k][i]


cdef void order_axes(Plan* plan) noexcept nogil:
    """The axis along which the result is densest last."""
    cdef int i, j
    for i in range(1, plan.ndim):
        j = i
        while j > 0 and magnitude(plan.steps[Y][j - 1]) < magnitude(plan.steps[Y][j]):
            swap_axes(plan, j - 1, j)
            j -= 1


cdef void merge_axes(Plan* plan, bint last) noexcept nogil:
    """Drop axes of length 1; join neighbours that all operands step over evenly.

    The last axis takes part only if `last`.
    """
    cdef int i, k, kept = 0
    cdef bint joins
    for i in range(plan.ndim):
        if plan.shape[i] == 1 and (last or i < plan.ndim - 1):
            continue
        joins = kept > 0 and (last or i < plan.ndim - 1)
        for k in range(OPERANDS):
            joins = joins and (plan.steps[k][kept - 1] == plan.steps[k][i] * plan.shape[i])
        if joins:
            plan.shape[kept - 1] *= plan.shape[i]
        else:
            plan.shape[kept] = plan.shape[i]
            kept += 1
        for k in range(OPERANDS):
            plan.steps[k][kept - 1] = plan.steps[k][i]
    if kept == 0:
        plan.shape[0] = 1
        for k in range(OPERANDS):
            plan.steps[k][0] = 0
        kept = 1
    plan.ndim = kept


cdef Py_ssize_t rows_of(const Plan* plan) noexcept nogil:
    cdef Py_ssize_t rows = 1
    cdef int i
    for i in range(plan.ndim - 1):
        rows *= plan.shape[i]
    return rows


cdef Py_ssize_t size_of(const Plan* plan) noexcept nogil:
    return rows_of(plan) * plan.shape[plan.ndim - 1]


cdef int share_rows(Span* whole, const Plan* plan, double* sums, Py_ssize_t together,
                    int threads) noexcept nogil:
    """Run the rows of a plan, `together` of them a task; long rows in pieces.

    `sums`: a place for each task's column sums, or NULL. Returns -1 without memory for scratch.
    """
    cdef char[ON_STACK + 64] small
    cdef char* memory = small
    cdef int last = plan.ndim - 1, k
    cdef Py_ssize_t size = 0
    # The longest that run_task makes of it
    whole.sums = sums
    whole.n = min(<Py_ssize_t> CHUNK, plan.shape[last])
    whole.rows = min(together, plan.shape[last - 1]) if last > 0 else 1
    for k in range(OPERANDS):
        whole.at[k].step = plan.steps[k][last]
        whole.at[k].row = plan.steps[k][last - 1] if last > 0 else 0
    if threads > 1 or whole.n * whole.rows > FEW:
        size = KERNELS.scratch(whole)
    if threads * size > ON_STACK:
        memory = <char*> PyMem_RawMalloc(threads * size + 64)
        if memory == NULL:
            return -1
    whole.scratch = aligned(memory)
    if threads == 1 and whole.n * whole.rows == size_of(plan) and sums == NULL:
        KERNELS.run_span(whole)   # it is the only one
    else:
        parallel_rows(whole, plan, size, sums, together, threads)
    if threads * size > ON_STACK:
        PyMem_RawFree(memory)
    return 0


cdef void parallel_rows(const Span* whole, const Plan* plan, Py_ssize_t scratch, double* sums,
                        Py_ssize_t together, int threads) noexcept nogil:
    """`scratch`: bytes a thread."""
    cdef Py_ssize_t rows = rows_of(plan), n = plan.shape[plan.ndim - 1]
    cdef Py_ssize_t pieces = (n + CHUNK - 1) // CHUNK
    cdef Py_ssize_t tasks = (rows + together - 1) // together * pieces
    cdef Py_ssize_t task
    if threads == 1:              # even a team of one costs microseconds
        for task in range(tasks):
            run_task(whole, plan, whole.scratch, sums, task // pieces, task % pieces * CHUNK,
                     together)
        return
    for task in prange(tasks, schedule="static", num_threads=threads):
        run_task(whole, plan, whole.scratch + threadid() * scratch, sums, task // pieces,
                 task % pieces * CHUNK, together)


cdef void run_task(const Span* whole, const Plan* plan, char* scratch, double* sums,
                   Py_ssize_t task, Py_ssize_t column, Py_ssize_t together) noexcept nogil:
    cdef Span span = whole[0]
    cdef int last = plan.ndim - 1, inner = last - 1, i, k
    cdef Py_ssize_t row = task * together
    cdef Py_ssize_t end = min(row + together, rows_of(plan))
    cdef Py_ssize_t rest, index, n = plan.shape[last]
    span.scratch = scratch
    span.n = min(<Py_ssize_t> CHUNK, n - column)
    if sums != NULL:
        span.sums = sums + task * 2 * n + column
        span.rests = n
    while row < end:
        # the rows that follow each other along the axis before the last
        rest = row
        for k in range(OPERANDS):
            span.at[k] = whole.at[k]
            if span.at[k].data != NULL:
                span.at[k].data += column * plan.steps[k][last]
        span.rows = end - row
        for i in range(inner, -1, -1):
            index = rest % plan.shape[i]
            rest = rest // plan.shape[i]
            if i == inner:
                span.rows = min(span.rows, plan.shape[i] - index)
            for k in range(OPERANDS):
                if span.at[k].data != NULL:
                    span.at[k].data += index * plan.steps[k][i]
        KERNELS.run_span(&span)
        row += span.rows


cdef int run_plan(Span* span, Plan* plan, double work) except -1:
    order_axes(plan)
    merge_axes(plan, True)
    span.far = size_of(plan) > CHUNK and extent(plan, span) > CACHED // 2
    return run_rows(span, plan, NULL, max(<Py_ssize_t> 1, CHUNK // plan.shape[plan.ndim - 1]),
                    work)


cdef int run_rows(Span* span, const Plan* plan, double* sums, Py_ssize_t together,
                  double work) except -1:
    cdef int threads = _threads.choose(work), failed
    if work < BRIEF:
        failed = share_rows(span, plan, sums, together, 1)
    else:
        with nogil:
            failed = share_rows(span, plan, sums, together, threads)
    if failed:
        raise MemoryError
    return 0


cdef object run_and_sum(Span* span, Plan* plan, double work):
    """Run the plan, and return the sums of its results over all axes but the last."""
    merge_axes(plan, False)
    cdef Py_ssize_t n = plan.shape[plan.ndim - 1], rows = rows_of(plan)
    # Rows a task takes: nothing but the shape decides, for the sums depend on it.
    cdef Py_ssize_t together = rows
    if n <= CHUNK:
        together = max(4 * CHUNK // n, (rows + 63) // 64)
    cdef Py_ssize_t tasks = (rows + together - 1) // together
    cdef double* sums = <double*> calloc(2 * tasks * n, sizeof(double))
    if sums == NULL:
        raise MemoryError
    try:
        run_rows(span, plan, sums, together, work)
        return join_sums(sums, tasks, n)
    finally:
        free(sums)


cdef object join_sums(const double* sums, Py_ssize_t tasks, Py_ssize_t n):
    """The sums of all tasks, in their order, with the rounding errors."""
    cdef Py_ssize_t task, j
    cdef double total, value, new, part, rest
    cdef cnp.ndarray result = np.empty(n, np.float64)
    cdef double* to = <double*> cnp.PyArray_DATA(result)
    for j in range(n):
        total = rest = 0
        for task in range(tasks):
            value = sums[task * 2 * n + j]
            new = total + value
            part = new - total
            rest += (total - (new - part)) + (value - part) + sums[task * 2 * n + n + j]
            total = new
        # an infinite sum has no rest
        to[j] = total + rest if total - total == 0 else total
    return result
