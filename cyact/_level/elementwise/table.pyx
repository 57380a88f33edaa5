"""The table of elementwise functions: what the engine knows of each, and its kernels.

Compiled once for each instruction-set level. Kernels, maths and entries are in the files of their
families. A kernel gets contiguous arrays whose length is a multiple of LANES; everything around
it is in stages.pxd.

Names: f is the value, f_d the derivative as a function of x, f_y the derivative as a function
of y = f(x); f32 and f64 are the maths of one element, to become a float or a double.
"""

from cpython.pycapsule cimport PyCapsule_New

from cyact._level.abi cimport ABI, Kernels, Span
cimport cyact._level.halves as halves
cimport cyact._level.stages as stages
from cyact._level.elementwise.algebraic cimport add_algebraic
from cyact._level.elementwise.exponential cimport add_exponential
from cyact._level.elementwise.logarithms cimport add_logarithms
from cyact._level.elementwise.normal cimport add_normal
from cyact._level.elementwise.rectifiers cimport add_rectifiers
from cyact._level.elementwise.registry cimport CAPACITY, Table
from cyact._level.elementwise.self_gated cimport add_self_gated
from cyact._level.elementwise.sigmoids cimport add_sigmoids


cdef void run_span(const Span* span) noexcept nogil:
    stages.span(span)


cdef Py_ssize_t scratch(const Span* span) noexcept nogil:
    return stages.scratch(span)


cdef void widen(const unsigned short* h, float* x, Py_ssize_t n, int dtype) noexcept nogil:
    halves.widen(h, x, n, dtype)


cdef Table TABLE
cdef Kernels KERNELS

add_rectifiers(&TABLE)
add_exponential(&TABLE)
add_sigmoids(&TABLE)
add_self_gated(&TABLE)
add_normal(&TABLE)
add_algebraic(&TABLE)
add_logarithms(&TABLE)
if TABLE.count > CAPACITY:
    raise SystemError("raise CAPACITY in elementwise/registry.pxd")
KERNELS.abi = ABI
KERNELS.count = TABLE.count
KERNELS.ops = TABLE.at
KERNELS.run_span = run_span
KERNELS.scratch = scratch
KERNELS.widen = widen
table = PyCapsule_New(&KERNELS, b"cyact.Kernels", NULL)
