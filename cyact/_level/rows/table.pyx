"""The softmax family and cross-entropy: the table of an instruction-set level."""

from cpython.pycapsule cimport PyCapsule_New

from cyact._level.abi cimport ABI, FLOAT32, CrossEntropy, RowKernels, RowOp, Rows

from cyact._level.bits cimport FMA, fma, fmaf
from cyact._level.exact cimport pair, product_error, two_sum
from cyact._level.rows.exponentials cimport (
    add_to, exp_pair, exponential, exponential_of_sum, log1p_pair)
from cyact._level.simd cimport (
    WIDTH, add_to_doubles, between, broadcast, count_equal, floats, fmav, load, load_first, maximum,
    store, store_first)

include "panel.pxi"
include "sums.pxi"
include "softmax.pxi"
include "gradients.pxi"
include "cross_entropy.pxi"


cdef inline const Rows* in_double(const Rows* call, Rows* rows) noexcept nogil:
    """The same call, computed in double."""
    rows[0] = call[0]
    rows.dtype = FLOAT64
    return rows


cdef void run_softmax(const Rows* call) noexcept nogil:
    cdef Rows rows
    if call.dtype == FLOAT32 and not is_extreme(call.p):
        softmax(call, <float> 0)
    else:
        softmax(in_double(call, &rows), <double> 0)


cdef void run_log_softmax(const Rows* call) noexcept nogil:
    cdef Rows rows
    if call.dtype == FLOAT32 and not is_extreme(call.p):
        log_softmax(call, <float> 0)
    else:
        log_softmax(in_double(call, &rows), <double> 0)


cdef void run_logsumexp(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        logsumexp(call, <float> 0)
    else:
        logsumexp(call, <double> 0)


cdef void run_logmeanexp(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        logmeanexp(call, <float> 0)
    else:
        logmeanexp(call, <double> 0)


cdef void run_softmax_backward(const Rows* call) noexcept nogil:
    cdef Rows rows
    if call.dtype == FLOAT32 and not is_extreme(call.p):
        softmax_backward(call, <float> 0)
    else:
        softmax_backward(in_double(call, &rows), <double> 0)


cdef void run_softmax_from_output(const Rows* call) noexcept nogil:
    cdef Rows rows
    if call.dtype == FLOAT32 and not is_extreme(call.p):
        softmax_from_output(call, <float> 0)
    else:
        softmax_from_output(in_double(call, &rows), <double> 0)


cdef void run_log_softmax_backward(const Rows* call) noexcept nogil:
    cdef Rows rows
    if call.dtype == FLOAT32 and not is_extreme(call.p):
        log_softmax_backward(call, <float> 0)
    else:
        log_softmax_backward(in_double(call, &rows), <double> 0)


cdef void run_log_softmax_from_output(const Rows* call) noexcept nogil:
    cdef Rows rows
    if call.dtype == FLOAT32 and not is_extreme(call.p):
        log_softmax_from_output(call, <float> 0)
    else:
        log_softmax_from_output(in_double(call, &rows), <double> 0)


cdef void run_logsumexp_backward(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        logsumexp_backward(call, <float> 0)
    else:
        logsumexp_backward(call, <double> 0)


cdef void run_cross_entropy(const CrossEntropy* call) noexcept nogil:
    if call.rows.dtype == FLOAT32:
        cross_entropies(call, <float> 0)
    else:
        cross_entropies(call, <double> 0)


cdef inline Py_ssize_t most_scratch(const Rows* rows) noexcept nogil:
    """The rows of some operations lie over the lanes where those of others stand in them."""
    cdef Panel p
    return max(open_panel(&p, rows, True, NARROW), open_panel(&p, rows, True, NARROWER)) - (
        <char*> NULL)


cdef Py_ssize_t scratch_of(const Rows* call) noexcept nogil:
    cdef Rows rows = call[0]
    cdef Py_ssize_t size
    rows.scratch = NULL
    if is_extreme(call.p):
        rows.dtype = FLOAT64
    size = most_scratch(&rows)
    if rows.grad.data != NULL:
        rows.grad.data = NULL       # which logsumexp, with one entry a row, does not pack
        size = max(size, most_scratch(&rows))
    return size


cdef RowOp OPS[4]
cdef RowKernels KERNELS

OPS[0] = RowOp(name=b"softmax", cost=0.5, value=run_softmax, backward=run_softmax_backward,
               from_output=run_softmax_from_output)
OPS[1] = RowOp(name=b"log_softmax", cost=0.5, value=run_log_softmax,
               backward=run_log_softmax_backward, from_output=run_log_softmax_from_output)
OPS[2] = RowOp(name=b"logsumexp", cost=0.75, value=run_logsumexp, backward=run_logsumexp_backward,
               from_output=NULL)
OPS[3] = RowOp(name=b"logmeanexp", cost=0.75, value=run_logmeanexp,
               backward=run_logsumexp_backward, from_output=NULL)
KERNELS.abi = ABI
KERNELS.count = 4
KERNELS.ops = OPS
KERNELS.cross_entropy = run_cross_entropy
KERNELS.scratch = scratch_of
table = PyCapsule_New(&KERNELS, b"cyact.RowKernels", NULL)
