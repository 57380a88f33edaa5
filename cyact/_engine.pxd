"""What the engine of functions along an axis shares with the elementwise one."""

cdef int dtype_of(object x) noexcept
cdef long long STREAM            # results of more bytes are stored past the caches
