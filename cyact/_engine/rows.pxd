"""Any ndarray as rows by strides, for calls along an axis."""

cimport numpy as cnp

from cyact._level.abi cimport Rows

# Any ndarrays as rows: (outer, run, n) by strides. A run is consecutive rows at one step.
cdef struct Geometry:
    Rows rows                         # of the first run
    Py_ssize_t outer
    Py_ssize_t x_outer
    Py_ssize_t grad_outer
    Py_ssize_t y_outer
    const char* mask                  # NULL where there is none, and so `bias`
    Py_ssize_t mask_outer
    Py_ssize_t mask_row
    Py_ssize_t mask_item
    const char* bias
    Py_ssize_t bias_outer
    Py_ssize_t bias_row
    Py_ssize_t bias_item

cdef int fold(Geometry* g, int axis, cnp.ndarray x, cnp.ndarray y, cnp.ndarray grad,
              bint ordered, cnp.ndarray mask=*, cnp.ndarray bias=*) except -1
cdef object strided(const char* data, Py_ssize_t a, Py_ssize_t b, Py_ssize_t c,
                    Py_ssize_t a_step, Py_ssize_t b_step, Py_ssize_t c_step, int dtype)
cdef Py_ssize_t rows_a_piece(const Rows* rows) noexcept nogil
