"""How many threads a call gets. See threads.pyx for the rule."""

cdef int choose(double nanoseconds) noexcept nogil
