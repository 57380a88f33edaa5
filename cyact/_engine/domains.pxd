"""The values that parameters may take."""

cimport cython


@cython.final
cdef class Domain:
    cdef readonly double low, high
    cdef bint open_low, infinite, nonzero
    cdef readonly object none
    cdef readonly str text
    cdef double check(self, str function, str name, value) except? -1

    cdef inline bint holds(self, double v) noexcept:
        if not (self.low <= v <= self.high) or (self.open_low and v == self.low):
            return False
        if not self.infinite and v - v != 0:
            return False
        return not (self.nonzero and v == 0)
