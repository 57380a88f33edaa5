"""What the engine of functions along an axis shares with the elementwise one."""

cdef int dtype_of(object x) noexcept
