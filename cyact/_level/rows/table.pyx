"""The softmax family and cross-entropy: the table of an instruction-set level."""

from cpython.pycapsule cimport PyCapsule_New

from cyact._level.abi cimport ABI, FLOAT32, CrossEntropy, RowKernels, RowOp, Rows
from cyact._level.rows.cross_entropy cimport cross_entropies
from cyact._level.rows.gradients cimport (
    log_softmax_backward, log_softmax_from_output, logsumexp_backward, softmax_backward,
    softmax_from_output)
from cyact._level.rows.panel cimport Panel, open_panel
from cyact._level.rows.softmax cimport log_softmax, logmeanexp, logsumexp, softmax


cdef void run_softmax(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        softmax(call, <float> 0)
    else:
        softmax(call, <double> 0)


cdef void run_log_softmax(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        log_softmax(call, <float> 0)
    else:
        log_softmax(call, <double> 0)


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
    if call.dtype == FLOAT32:
        softmax_backward(call, <float> 0)
    else:
        softmax_backward(call, <double> 0)


cdef void run_softmax_from_output(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        softmax_from_output(call, <float> 0)
    else:
        softmax_from_output(call, <double> 0)


cdef void run_log_softmax_backward(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        log_softmax_backward(call, <float> 0)
    else:
        log_softmax_backward(call, <double> 0)


cdef void run_log_softmax_from_output(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        log_softmax_from_output(call, <float> 0)
    else:
        log_softmax_from_output(call, <double> 0)


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


cdef Py_ssize_t scratch_of(const Rows* call) noexcept nogil:
    cdef Panel p
    cdef Rows rows = call[0]
    rows.scratch = NULL
    return open_panel(&p, &rows) - <char*> NULL


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
