"""Reading and writing rows of any layout in whole blocks of entries, and their maxima."""

from libc.math cimport INFINITY
from libc.string cimport memcpy

from cyact._level.rows.rowmath cimport CHUNK, SUMS

ctypedef fused real:
    float
    double

cdef enum:
    TOPS = 32    # lanes of the maximum; GCC 12 leaves fewer as scalars


cdef inline Py_ssize_t magnitude(Py_ssize_t step) noexcept nogil:
    return -step if step < 0 else step


cdef inline Py_ssize_t padded_to(Py_ssize_t n, Py_ssize_t block) noexcept nogil:
    return (n + block - 1) & -block


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return padded_to(n, SUMS)


cdef inline Py_ssize_t length_of(Py_ssize_t left, Py_ssize_t step, Py_ssize_t size,
                                 Py_ssize_t block) noexcept nogil:
    """How much of a row to take next: what needs no copy first, then the rest."""
    if left > CHUNK:
        return CHUNK
    if step == size and left >= block:
        return left & -block
    return left


cdef inline Py_ssize_t length(Py_ssize_t left, Py_ssize_t step, Py_ssize_t size) noexcept nogil:
    return length_of(left, step, size, SUMS)


cdef inline void copy(const char* x, Py_ssize_t step, Py_ssize_t n, real* to, real pad,
                      Py_ssize_t block) noexcept nogil:
    cdef Py_ssize_t i
    if step == sizeof(real):
        memcpy(to, x, n * sizeof(real))
    else:
        for i in range(n):
            to[i] = (<const real*> (x + i * step))[0]
    for i in range(n, padded_to(n, block)):
        to[i] = pad


cdef inline const real* load_blocks(const char* x, Py_ssize_t step, Py_ssize_t n, real* buffer,
                                    real pad, Py_ssize_t block) noexcept nogil:
    """x itself where it is whole blocks of contiguous entries, else a padded copy."""
    if step == sizeof(real) and n == padded_to(n, block):
        return <const real*> x
    copy(x, step, n, buffer, pad, block)
    return buffer


cdef inline const real* load(const char* x, Py_ssize_t step, Py_ssize_t n, real* buffer,
                             real pad) noexcept nogil:
    return load_blocks(x, step, n, buffer, pad, SUMS)


cdef inline real* room(char* y, Py_ssize_t step, Py_ssize_t n, real* buffer) noexcept nogil:
    """Where to put n results: y itself where whole blocks fit, else the buffer."""
    return <real*> y if step == sizeof(real) and n == padded(n) else buffer


cdef inline void store(const real* result, char* y, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    """Copy results to y unless room() put them there."""
    cdef Py_ssize_t i
    if <const char*> result == y:
        return
    if step == sizeof(real):
        memcpy(y, result, n * sizeof(real))
    else:
        for i in range(n):
            (<real*> (y + i * step))[0] = result[i]


# Maximum

cdef inline void raise_to(const real* x, Py_ssize_t n, real* top) noexcept nogil:
    """top[j] becomes the maximum of itself and x[j], x[j + TOPS], ...; NaN is passed over."""
    cdef real m[TOPS]
    cdef Py_ssize_t block
    cdef int j
    for j in range(TOPS):
        m[j] = top[j]
    for block in range(n // TOPS):
        for j in range(TOPS):
            m[j] = x[block * TOPS + j] if x[block * TOPS + j] > m[j] else m[j]
    for j in range(TOPS):
        top[j] = m[j]


cdef inline real row_max(const char* x, Py_ssize_t step, Py_ssize_t n, real* buffer) noexcept nogil:
    cdef real top[TOPS]
    cdef real m
    cdef Py_ssize_t start = 0, count
    cdef int j
    for j in range(TOPS):
        top[j] = -INFINITY
    while start < n:
        count = length_of(n - start, step, sizeof(real), TOPS)
        raise_to(load_blocks(x + start * step, step, count, buffer, <real> -INFINITY, TOPS),
                 padded_to(count, TOPS), top)
        start += count
    for j in range(16):
        top[j] = top[j] if top[j] > top[j + 16] else top[j + 16]
    for j in range(8):
        top[j] = top[j] if top[j] > top[j + 8] else top[j + 8]
    for j in range(4):
        top[j] = top[j] if top[j] > top[j + 4] else top[j + 4]
    top[0] = top[0] if top[0] > top[2] else top[2]
    m = top[1] if top[1] > top[3] else top[3]
    return m if m > top[0] else top[0]
