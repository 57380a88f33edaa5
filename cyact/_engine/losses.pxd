"""What losses of elements and losses of rows share."""

cdef int code_of(dtype) except? -1
