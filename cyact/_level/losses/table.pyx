"""The losses of one instruction-set level, for which this is compiled; handed out in a capsule."""

from cpython.pycapsule cimport PyCapsule_New

cimport cyact._level.losses.by_row as by_row
cimport cyact._level.losses.pointwise as pointwise
# Written so, Cython sees that this module is out of date when one of those is changed.
cimport cyact._level.maths32
cimport cyact._level.maths64
from cyact._level.abi cimport (
    ABI, FLOAT32, POINTWISE, TILE, Loss, LossKernels, Pointwise, loss_kernel_t)
from cyact._level.losses.tiles cimport run
from cyact._level.stages cimport cyact_status, status_get, status_set

cdef float[TILE] ONES32           # weights where there are none
cdef double[TILE] ONES64


cdef void run_tile(const Pointwise* call, Py_ssize_t start, char* scratch,
                   double* sums) noexcept nogil:
    cdef cyact_status status = status_get()
    if call.dtype == FLOAT32:
        run(call, start, <const float*> ONES32, scratch, sums)
    else:
        run(call, start, <const double*> ONES64, scratch, sums)
    status_set(status)


# A loss of one element each: the name by which the engine calls it, rough nanoseconds an element
# (to choose a thread count), and its kernels.
cdef Loss[POINTWISE] POINTWISE_LOSSES = [
    Loss(name="binary_cross_entropy", cost=1.5,
         float32=<loss_kernel_t> pointwise.binary[float],
         float64=<loss_kernel_t> pointwise.binary[double]),
    Loss(name="binary_cross_entropy_with_logits", cost=1.0,
         float32=<loss_kernel_t> pointwise.logits[float],
         float64=<loss_kernel_t> pointwise.logits[double]),
    Loss(name="kl_div", cost=1.0,
         float32=<loss_kernel_t> pointwise.divergence[float],
         float64=<loss_kernel_t> pointwise.divergence[double]),
    Loss(name="kl_div of logarithms", cost=0.75,
         float32=<loss_kernel_t> pointwise.log_divergence[float],
         float64=<loss_kernel_t> pointwise.log_divergence[double]),
]

cdef LossKernels LOSSES = LossKernels(
    abi=ABI, count=POINTWISE, pointwise=&POINTWISE_LOSSES[0], run_tile=run_tile,
    focal=by_row.focal, nll=by_row.nll)

for _i in range(TILE):
    ONES32[_i] = ONES64[_i] = 1
table = PyCapsule_New(&LOSSES, b"cyact.LossKernels", NULL)
