"""Sparse relatives of softmax, and maxima: the table of an instruction-set level.

The kernels take rows of the dtype computed in, short ones in any steps, long ones without gaps.
Others are packed, as many at a time as a panel has.
"""

from libc.math cimport INFINITY, NAN, sqrt
from libc.string cimport memcpy
from cpython.pycapsule cimport PyCapsule_New

from cyact._level.abi cimport ABI, FLOAT32, FLOAT64, Lines, RowKernels, RowOp, Rows
from cyact._level.bits cimport absolute, at_least, at_most, fma
from cyact._level.exact cimport pair, product_error, two_sum
from cyact._level.maths64 cimport exp, log, log1p_any

include "panel.pxi"
include "strips.pxi"
include "maxima.pxi"
include "sparsemax.pxi"
include "entmax.pxi"
include "sparse_gradients.pxi"

# Of each kernel there is one for float and one for double.
ctypedef void (*kernel32_t)(const Rows* call, float kind) noexcept nogil
ctypedef void (*kernel64_t)(const Rows* call, double kind) noexcept nogil


cdef inline bint fits(const Rows* call, const Lines* a, Py_ssize_t size) noexcept nogil:
    return a.data == NULL or (a.dtype == call.dtype and a.row % size == 0 and (
        a.item == size or call.n <= SHORT_ROW))


cdef inline bint packs_nothing(const Rows* call) noexcept nogil:
    cdef Py_ssize_t size = 8 if call.dtype == FLOAT64 else 4
    return (fits(call, &call.x, size) and fits(call, &call.y, size)
            and fits(call, &call.grad, size) and call.mask.data == NULL
            and call.bias.data == NULL and not call.turns_x and not call.turns_y)


cdef char* open_rows(Panel* p, const Rows* call) noexcept nogil:
    """Only for packing whole rows, each in a run of its own; returns where the panel ends."""
    cdef char* at = call.scratch
    cdef Py_ssize_t size = 8 if call.dtype == FLOAT64 else 4, room
    p.call = call
    p.first = p.rows = 0
    p.over = True
    p.packs = True
    p.part = call.n
    p.width = padded(call.n)
    p.most = min(rows_together(call), call.rows, max(<Py_ssize_t> 1, 16 * ROOM // p.width))
    room = (padded(p.most) * p.width + LANES) * size
    p.x = place(&at, room)
    p.y = place(&at, room)
    p.grad = place(&at, room)
    return at


cdef inline Lines packed_lines(const Panel* p, char* buffer, Py_ssize_t size) noexcept nogil:
    cdef Lines a
    a.data = buffer
    a.dtype = p.call.dtype
    a.row = p.width * size
    a.item = size
    return a


cdef void run_packed(const Rows* call, kernel32_t kernel32, kernel64_t kernel64, Py_ssize_t grads,
                     Py_ssize_t results, real kind) noexcept nogil:
    cdef Panel p
    cdef Rows piece = call[0]
    cdef Lines rows
    cdef Py_ssize_t size = sizeof(real)
    piece.scratch = open_rows(&p, call)
    piece.mask.data = piece.bias.data = NULL
    piece.turns_x = piece.turns_y = False
    piece.x = packed_lines(&p, p.x, size)
    piece.y = packed_lines(&p, p.y, size)
    if call.grad.data != NULL:
        piece.grad = packed_lines(&p, p.grad, size)
    while next_rows(&p):
        pack_x(&p, 0, kind)
        if call.grad.data != NULL:
            pack(&p, &call.grad, 0, grads or call.n, 0, p.grad, kind)
            if call.mask.data != NULL and grads == 0:
                set_blank(&p, <real*> p.grad, 0, call.n, 0)
        piece.rows = p.rows
        if real is float:
            kernel32(&piece, kind)
        else:
            kernel64(&piece, kind)
        if results:
            rows = from_row(&call.y, p.first)
            scatter(<const real*> p.y, p.width, &rows, p.rows, results)
        else:
            unpack(&p, 0, kind)


cdef void run(const Rows* call, kernel32_t kernel32, kernel64_t kernel64, Py_ssize_t grads,
              Py_ssize_t results) noexcept nogil:
    """`grads`, `results`: how many entries a row of the gradient and of the result has; 0: n."""
    if call.dtype == FLOAT32:
        if packs_nothing(call):
            kernel32(call, 0)
        else:
            run_packed(call, kernel32, kernel64, grads, results, <float> 0)
    elif packs_nothing(call):
        kernel64(call, 0)
    else:
        run_packed(call, kernel32, kernel64, grads, results, <double> 0)


cdef void run_hardmax(const Rows* call) noexcept nogil:
    run(call, hardmax_rows[float], hardmax_rows[double], 0, 0)


cdef void hardmax_backward(const Rows* call) noexcept nogil:
    run(call, hardmax_gradients[float], hardmax_gradients[double], 0, 0)


cdef void run_maxout(const Rows* call) noexcept nogil:
    run(call, maxout_rows[float], maxout_rows[double], 0, 1)


cdef void maxout_backward(const Rows* call) noexcept nogil:
    run(call, maxout_gradients[float], maxout_gradients[double], 1, 0)


cdef void run_sparsemax(const Rows* call) noexcept nogil:
    run(call, sparsemax_rows[float], sparsemax_rows[double], 0, 0)


cdef void sparsemax_backward(const Rows* call) noexcept nogil:
    run(call, sparsemax_gradients[float], sparsemax_gradients[double], 0, 0)


cdef void sparsemax_from_output(const Rows* call) noexcept nogil:
    run(call, sparsemax_from_probabilities[float], sparsemax_from_probabilities[double], 0, 0)


cdef void run_entmax15(const Rows* call) noexcept nogil:
    run(call, entmax15_rows[float], entmax15_rows[double], 0, 0)


cdef void entmax15_backward(const Rows* call) noexcept nogil:
    run(call, entmax15_gradients[float], entmax15_gradients[double], 0, 0)


cdef void entmax15_from_output(const Rows* call) noexcept nogil:
    run(call, entmax15_from_probabilities[float], entmax15_from_probabilities[double], 0, 0)


cdef void run_entmax(const Rows* call) noexcept nogil:
    run(call, entmax_rows[float], entmax_rows[double], 0, 0)


cdef void entmax_backward(const Rows* call) noexcept nogil:
    run(call, entmax_gradients[float], entmax_gradients[double], 0, 0)


cdef void entmax_from_output(const Rows* call) noexcept nogil:
    run(call, entmax_from_probabilities[float], entmax_from_probabilities[double], 0, 0)


cdef Py_ssize_t scratch_of(const Rows* call) noexcept nogil:
    cdef Panel p
    cdef Rows rows = call[0]
    rows.scratch = NULL
    if packs_nothing(call):
        return sizeof(StripWork)
    return (open_rows(&p, &rows) - <char*> NULL) + sizeof(StripWork)


cdef RowOp OPS[5]
cdef RowKernels KERNELS

OPS[0] = RowOp(name=b"hardmax", cost=0.5, value=run_hardmax, backward=hardmax_backward,
               from_output=NULL)
OPS[1] = RowOp(name=b"maxout", cost=0.5, value=run_maxout, backward=maxout_backward,
               from_output=NULL)
OPS[2] = RowOp(name=b"sparsemax", cost=2, value=run_sparsemax, backward=sparsemax_backward,
               from_output=sparsemax_from_output)
OPS[3] = RowOp(name=b"entmax15", cost=2, value=run_entmax15, backward=entmax15_backward,
               from_output=entmax15_from_output)
OPS[4] = RowOp(name=b"entmax", cost=20, value=run_entmax, backward=entmax_backward,
               from_output=entmax_from_output)
KERNELS.abi = ABI
KERNELS.count = 5
KERNELS.ops = OPS
KERNELS.scratch = scratch_of
table = PyCapsule_New(&KERNELS, b"cyact.RowKernels", NULL)
