"""Elementwise kernels: one readable loop a function, float and double from one source.

Compiled once for each instruction-set level. A kernel gets contiguous arrays whose length is
a multiple of LANES; everything around it is in _tile.pxd.
"""

from cpython.pycapsule cimport PyCapsule_New

from cyact._abi cimport ABI, FLOAT32, FLOAT64, LANES, Kernels, Op, Span, kernel_t
from cyact cimport _tile

ctypedef fused real:
    float
    double


# identity: x

cdef void identity(const real* x, real* y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = x[i]


cdef void identity_d(const real* x, real* y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 1 if x[i] == x[i] else x[i]


# relu: max(x, 0); relu(-0.0) = 0.0, relu'(0) = 0

cdef void relu(const real* x, real* y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] <= 0 else x[i]


cdef void relu_d(const real* x, real* y, Py_ssize_t n, const double* p) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        y[i] = 0 if x[i] <= 0 else 1 if x[i] > 0 else x[i]


cdef enum:
    CAPACITY = 128

cdef Op OPS[CAPACITY]
cdef Kernels KERNELS


cdef Op* add(const char* name, double cost, int nparams,
             kernel_t value32, kernel_t value64,
             kernel_t derivative32, kernel_t derivative64) except NULL:
    if KERNELS.count == CAPACITY:
        raise SystemError("raise CAPACITY in _kernels.pyx")
    cdef Op* op = &OPS[KERNELS.count]
    KERNELS.count += 1
    op.name = name
    op.cost = cost
    op.nparams = nparams
    op.value[FLOAT32] = value32
    op.value[FLOAT64] = value64
    op.derivative[FLOAT32] = derivative32
    op.derivative[FLOAT64] = derivative64
    op.from_output[FLOAT32] = op.from_output[FLOAT64] = NULL
    return op


cdef void from_output(Op* op, kernel_t kernel32, kernel_t kernel64) noexcept:
    op.from_output[FLOAT32] = kernel32
    op.from_output[FLOAT64] = kernel64


cdef void run_span(const Span* span) noexcept nogil:
    _tile.span(span)


add(b"identity", 0.1, 0, <kernel_t> identity[float], <kernel_t> identity[double],
    <kernel_t> identity_d[float], <kernel_t> identity_d[double])
add(b"relu", 0.1, 0, <kernel_t> relu[float], <kernel_t> relu[double],
    <kernel_t> relu_d[float], <kernel_t> relu_d[double])

KERNELS.abi = ABI
KERNELS.ops = OPS
KERNELS.run_span = run_span
table = PyCapsule_New(&KERNELS, b"cyact.Kernels", NULL)
