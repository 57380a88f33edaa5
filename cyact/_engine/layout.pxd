"""Arrays of one shape but for an axis, as rows."""

cimport numpy as cnp

from cyact._level.abi cimport Lines

# The arrays of a call, and how they are called here.
cdef enum:
    X
    Y
    GRAD
    MASK
    BIAS
    LOSS                # one entry a row, as the next
    TARGET
    OPERANDS

cdef struct Operand:
    Lines lines         # of the first run; data is NULL where there is no such array
    Py_ssize_t outer    # from one run to the next, in bytes

# (outer, run, n) by strides; a run is rows at one step.
cdef struct Layout:
    Py_ssize_t outer
    Py_ssize_t run
    Py_ssize_t n
    Operand at[OPERANDS]

cdef int lay_out(Layout* g, int axis, void** arrays, int count) noexcept
cdef Lines lines_at(const Layout* g, int operand, Py_ssize_t o, Py_ssize_t r) noexcept nogil
cdef Py_ssize_t rows_a_piece(const Layout* g) noexcept nogil
