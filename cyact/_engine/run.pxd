"""Spans and how they are run, alone or in parallel."""

from cyact._engine.arrays cimport computed
from cyact._level.abi cimport (
    FLOAT64,
    GRAD,
    MAX_DIMENSIONS,
    OPERANDS,
    VALUE,
    Kernels,
    Op,
    Operand,
    Span,
    X,
    Y,
    itemsize,
)

cdef enum:
    CHUNK = 16384              # elements a thread takes at a time
    BRIEF = 10_000             # ns. For less the GIL is kept: releasing it costs what it frees

cdef const Kernels* KERNELS
cdef long long CACHED          # more than this does not stay in the cache

cdef struct Plan:
    int ndim
    Py_ssize_t shape[MAX_DIMENSIONS]
    Py_ssize_t steps[OPERANDS][MAX_DIMENSIONS]

cdef const Op* find_op(bytes name) except NULL
cdef int run_alone(Span* span) noexcept nogil
cdef int run_long(Span* span, double work) except -1
cdef void set_shape(Plan* plan, object a) noexcept
cdef void take(Plan* plan, Span* span, int which, object a) noexcept
cdef bint may_clash(const Plan* plan, const Span* span) noexcept nogil
cdef int run_plan(Span* span, Plan* plan, double work) except -1
cdef int share_rows(Span* whole, const Plan* plan, double* sums, Py_ssize_t together,
                    int threads) noexcept nogil
cdef object run_and_sum(Span* span, Plan* plan, double work)


cdef inline void begin(Span* span, const Op* op, int slot, int dtype, const double* p) \
        noexcept nogil:
    """A span of one row without operands."""
    cdef int k
    for k in range(OPERANDS):     # not by memset, whose `rep stos` takes 5 ns to start
        span.at[k] = Operand(NULL, 0, 0)
    span.known = NULL
    span.n = span.rests = 0
    span.far = False
    span.sums = NULL
    span.scratch = NULL
    span.kernel = op.kernels[slot][computed(dtype)]
    span.wide = op.kernels[slot][FLOAT64]
    span.rest = op.rest if slot == VALUE else NULL
    span.p = p
    span.weighted = op.weighted
    span.exact = op.exact
    span.copies = op.copies and slot == VALUE
    span.keeps = op.keeps
    span.dtype = dtype
    # What a derivative may be wrong by near a zero inside its range
    span.slack = 0 if slot == VALUE else 2.0**-32
    span.rows = 1


cdef inline bint lies_apart(const Span* span) noexcept nogil:
    """Whether a contiguous span is no more than kernel and gradient, from array to array."""
    return (itemsize(span.dtype) > 2 and not span.weighted
            and span.at[Y].data != span.at[X].data and span.at[Y].data != span.at[GRAD].data)


cdef inline int run_contiguous(Span* span, double work) except -1:
    """Run one row of entries side by side: short ones at once, without one more call."""
    if work >= BRIEF:
        return run_long(span, work)
    if span.n == 0:
        return 0
    if lies_apart(span):          # needs no scratch
        KERNELS.run_span(span)
    elif run_alone(span) < 0:
        raise MemoryError
    return 0
