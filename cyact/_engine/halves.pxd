"""What is known of half types."""

cimport cython

from cyact._level.abi cimport MAX_PARAMETERS, Known, Op, Span


@cython.final
cdef class Use:
    cdef int slot, dtype
    cdef bint slopes               # floats to multiply by, rather than results
    cdef double[MAX_PARAMETERS] p
    cdef Py_ssize_t seen           # elements computed
    cdef bint full                 # whether all is known, and nothing changes any more
    cdef Known known


@cython.final
cdef class Memory:
    cdef const Op* op
    cdef Use latest
    cdef list uses                 # the latest last
    cdef Use recall(self, Span* span, int slot, Py_ssize_t n)
    cdef Use find(self, int slot, int dtype, bint slopes, const double* p)
    cdef void forget(self)


cdef Memory memory_of(const Op* op)
