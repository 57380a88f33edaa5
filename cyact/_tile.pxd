"""The stages around a kernel: gather, pad, multiply by a gradient, scatter, stream.

Compiled with the kernels of each level. Work is done in tiles that live in L1; where no
stage is needed the kernel runs on the arrays themselves.
"""

from libc.string cimport memcpy, memset

from cyact._abi cimport FLOAT32, LANES, TILE, Span

cdef extern from *:
    """
    #if defined(__SSE2__) || defined(_M_X64)
      #include <immintrin.h>
      typedef unsigned int cyact_status;
      static inline cyact_status cyact_status_get(void) { return _mm_getcsr(); }
      static inline void cyact_status_set(cyact_status s) { _mm_setcsr(s); }
      /* 64 bytes past the caches; to is 64-byte aligned */
      static inline void cyact_stream_line(char *to, const char *from) {
          __m128i a = _mm_loadu_si128((const __m128i *)from);
          __m128i b = _mm_loadu_si128((const __m128i *)from + 1);
          __m128i c = _mm_loadu_si128((const __m128i *)from + 2);
          __m128i d = _mm_loadu_si128((const __m128i *)from + 3);
          _mm_stream_si128((__m128i *)to, a);
          _mm_stream_si128((__m128i *)to + 1, b);
          _mm_stream_si128((__m128i *)to + 2, c);
          _mm_stream_si128((__m128i *)to + 3, d);
      }
      static inline void cyact_stream_end(void) { _mm_sfence(); }
    #else
      #include <fenv.h>
      #include <string.h>
      typedef fexcept_t cyact_status;
      static inline cyact_status cyact_status_get(void) {
          fexcept_t s; fegetexceptflag(&s, FE_ALL_EXCEPT); return s;
      }
      static inline void cyact_status_set(cyact_status s) { fesetexceptflag(&s, FE_ALL_EXCEPT); }
      static inline void cyact_stream_line(char *to, const char *from) { memcpy(to, from, 64); }
      static inline void cyact_stream_end(void) { }
    #endif

    #if defined(_MSC_VER)
      #define CYACT_ALIGNED __declspec(align(64))
    #else
      #define CYACT_ALIGNED __attribute__((aligned(64)))
    #endif
    typedef struct { CYACT_ALIGNED char bytes[1024 * 8]; } cyact_tile;
    """
    ctypedef struct cyact_status:
        pass
    ctypedef struct tile "cyact_tile":
        char bytes[8192]
    cyact_status status_get "cyact_status_get" () noexcept nogil
    void status_set "cyact_status_set" (cyact_status status) noexcept nogil
    void stream_line "cyact_stream_line" (char* to, const char* source) noexcept nogil
    void stream_end "cyact_stream_end" () noexcept nogil


cdef inline void gather(const char* x, Py_ssize_t step, char* to, Py_ssize_t n,
                        Py_ssize_t size) noexcept nogil:
    """Copy n items of `size` bytes, `step` bytes apart, into a contiguous buffer."""
    cdef Py_ssize_t i
    if step == size:
        memcpy(to, x, n * size)
    elif size == 4:
        for i in range(n):
            (<float*> to)[i] = (<const float*> (x + i * step))[0]
    else:
        for i in range(n):
            (<double*> to)[i] = (<const double*> (x + i * step))[0]


cdef inline void scatter(const char* source, char* y, Py_ssize_t step, Py_ssize_t n,
                         Py_ssize_t size) noexcept nogil:
    """The reverse of gather."""
    cdef Py_ssize_t i
    if step == size:
        memcpy(y, source, n * size)
    elif size == 4:
        for i in range(n):
            (<float*> (y + i * step))[0] = (<const float*> source)[i]
    else:
        for i in range(n):
            (<double*> (y + i * step))[0] = (<const double*> source)[i]


cdef inline void multiply(const char* grad, char* y, Py_ssize_t n, int dtype) noexcept nogil:
    """y = grad * y, n a multiple of LANES."""
    cdef Py_ssize_t i
    if dtype == FLOAT32:
        for i in range(n & -LANES):
            (<float*> y)[i] = (<const float*> grad)[i] * (<float*> y)[i]
    else:
        for i in range(n & -LANES):
            (<double*> y)[i] = (<const double*> grad)[i] * (<double*> y)[i]


cdef inline void stream(const char* source, char* y, Py_ssize_t bytes) noexcept nogil:
    """memcpy past the caches; only the unaligned ends go through them."""
    cdef Py_ssize_t head = (-<Py_ssize_t> y) & 63
    cdef Py_ssize_t done
    if head >= bytes:
        memcpy(y, source, bytes)
        return
    memcpy(y, source, head)
    done = head
    while done + 64 <= bytes:
        stream_line(y + done, source + done)
        done += 64
    memcpy(y + done, source + done, bytes - done)


cdef inline const char* load(const char* x, Py_ssize_t step, char* buffer, Py_ssize_t n,
                             Py_ssize_t padded, Py_ssize_t size) noexcept nogil:
    """x itself where a kernel can read it, else a contiguous copy padded with zeros."""
    if step == size and n == padded:
        return x
    gather(x, step, buffer, n, size)
    memset(buffer + n * size, 0, (padded - n) * size)
    return buffer


cdef inline void span_in_tiles(const Span* span) noexcept nogil:
    cdef tile source, result, slope
    cdef Py_ssize_t size = 4 if span.dtype == FLOAT32 else 8
    cdef Py_ssize_t start = 0, n, padded
    cdef const char* x
    cdef const char* grad
    cdef char* y
    while start < span.n:
        n = min(<Py_ssize_t> TILE, span.n - start)
        padded = (n + LANES - 1) & -LANES
        x = load(span.x + start * span.x_step, span.x_step, source.bytes, n, padded, size)
        span.kernel(x, result.bytes, padded, span.p)
        if span.grad != NULL:
            grad = load(span.grad + start * span.grad_step, span.grad_step, slope.bytes,
                        n, padded, size)
            multiply(grad, result.bytes, padded, span.dtype)
        y = span.y + start * span.y_step
        if span.stream and span.y_step == size:
            stream(result.bytes, y, n * size)
        else:
            scatter(result.bytes, y, span.y_step, n, size)
        start += n
    if span.stream:
        stream_end()


cdef inline void part(const Span* whole, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """Some elements of a span by way of the tile buffers."""
    cdef Span piece = whole[0]
    piece.x += start * whole.x_step
    piece.y += start * whole.y_step
    piece.n = n
    span_in_tiles(&piece)


cdef inline void span(const Span* given) noexcept nogil:
    """Run one span; the floating-point status flags come out as they went in."""
    cdef cyact_status status = status_get()
    cdef Py_ssize_t size = 4 if given.dtype == FLOAT32 else 8
    cdef Py_ssize_t head = 0, whole
    if (given.x_step != size or given.y_step != size or given.grad != NULL
            or given.x == given.y or given.stream):
        span_in_tiles(given)
        status_set(status)
        return
    # NumPy's memory is aligned to 16 bytes: an aligned start saves a long run from vectors
    # that straddle cache lines (10 % where the cache is the limit).
    if given.n >= TILE:
        head = ((-<Py_ssize_t> given.y) & 63) // size
        if head:
            part(given, 0, head)
    whole = (given.n - head) & -LANES
    if whole:
        given.kernel(given.x + head * size, given.y + head * size, whole, given.p)
    if head + whole < given.n:
        part(given, head + whole, given.n - head - whole)
    status_set(status)
