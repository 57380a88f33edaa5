"""Rows with gaps, brought together in a buffer, multiplied on the way, and scattered again."""

from libc.string cimport memcpy

from cyact._level.abi cimport Operand
from cyact._level.halves cimport uint16

cdef extern from *:
    """
    #include <string.h>
    #if defined(__AVX2__)
      #include <immintrin.h>
    #endif

    /* Eight words at a time: to[i] = x[order[i]], where 8 and more count from `second` bytes after
       x, times a factor; and a product, of float or double */
    #if defined(__AVX2__)
      #define CYACT_EIGHT_WORDS 1
      static inline void cyact_permute(const char *x, const char *factor, char *to,
                                       const int *order, Py_ssize_t second, int times) {
          __m256i by = _mm256_loadu_si256((const __m256i *)order);
          __m256 y = _mm256_permutevar8x32_ps(_mm256_loadu_ps((const float *)x), by);
          if (second)
              y = _mm256_blendv_ps(y, _mm256_permutevar8x32_ps(
                  _mm256_loadu_ps((const float *)(x + second)), by),
                  _mm256_castsi256_ps(_mm256_slli_epi32(by, 28)));
          if (times)
              y = _mm256_mul_ps(y, _mm256_loadu_ps((const float *)factor));
          _mm256_storeu_ps((float *)to, y);
      }
      static inline void cyact_multiply_words(const char *a, const char *b, char *to, int wide) {
          if (wide)
              _mm256_storeu_pd((double *)to, _mm256_mul_pd(_mm256_loadu_pd((const double *)a),
                                                           _mm256_loadu_pd((const double *)b)));
          else
              _mm256_storeu_ps((float *)to, _mm256_mul_ps(_mm256_loadu_ps((const float *)a),
                                                          _mm256_loadu_ps((const float *)b)));
      }
    #else
      #define CYACT_EIGHT_WORDS 0
      static inline void cyact_permute(const char *x, const char *factor, char *to,
                                       const int *order, Py_ssize_t second, int times) { }
      static inline void cyact_multiply_words(const char *a, const char *b, char *to, int wide) { }
    #endif

    /* memcpy of as many bytes as are known when compiled: where GCC would take 16 at a time, 32 */
    static inline void cyact_move(char *to, const char *x, Py_ssize_t bytes) {
        #if defined(__AVX2__) && !defined(__AVX512F__)
          for (; bytes >= 32; bytes -= 32, x += 32, to += 32)
              _mm256_storeu_si256((__m256i *)to, _mm256_loadu_si256((const __m256i *)x));
        #endif
        memcpy(to, x, bytes);
    }

    /* Into the core's own cache: one that is nearer has few misses under way at a time */
    #if defined(_MSC_VER)
      #if defined(_M_X64)
        #include <immintrin.h>
        #define CYACT_PREFETCH(p) _mm_prefetch((const char *)(p), _MM_HINT_T1)
      #else
        #define CYACT_PREFETCH(p) ((void)(p))
      #endif
    #else
      #define CYACT_PREFETCH(p) __builtin_prefetch(p, 0, 2)
    #endif

    /* Moving rows takes many registers: inside the stages its short loops would spill them. */
    #if defined(_MSC_VER)
      #define CYACT_APART __declspec(noinline)
    #else
      #define CYACT_APART __attribute__((noinline))
    #endif
    typedef void (*cyact_mover)(const char *from, const char *factor, char *to, Py_ssize_t row,
                                Py_ssize_t step, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t size);
    static CYACT_APART void cyact_apart(cyact_mover move, const char *from, const char *factor,
                                        char *to, Py_ssize_t row, Py_ssize_t step,
                                        Py_ssize_t rows, Py_ssize_t n, Py_ssize_t size) {
        move(from, factor, to, row, step, rows, n, size);
    }
    """
    ctypedef void (*mover "cyact_mover")(const char*, const char*, char*, Py_ssize_t, Py_ssize_t,
                                         Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
    void apart "cyact_apart" (mover move, const char* source, const char* factor, char* to,
                              Py_ssize_t row, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t n,
                              Py_ssize_t size) noexcept nogil
    void prefetch "CYACT_PREFETCH" (const char* p) noexcept nogil
    void move "cyact_move" (char* to, const char* x, Py_ssize_t bytes) noexcept nogil
    const bint EIGHT_WORDS "CYACT_EIGHT_WORDS"
    void permute "cyact_permute" (const char* x, const char* factor, char* to, const int* order,
                                  Py_ssize_t second, bint times) noexcept nogil
    void multiply_words "cyact_multiply_words" (const char* a, const char* b, char* to,
                                                bint wide) noexcept nogil

ctypedef fused real:
    float
    double


cdef inline bint contiguous(const Operand* a, Py_ssize_t rows, Py_ssize_t n,
                            Py_ssize_t size) noexcept nogil:
    """Whether rows of n entries follow each other without a gap."""
    return a.step == size and (rows == 1 or a.row == n * size)


cdef inline void gather_row(const char* x, Py_ssize_t step, char* to, Py_ssize_t n,
                            Py_ssize_t size) noexcept nogil:
    """Copy n items of `size` bytes, `step` bytes apart, into a contiguous buffer."""
    cdef Py_ssize_t i
    cdef float single
    cdef double value
    if step == size:
        memcpy(to, x, n * size)
    elif step == 0 and size == 4:  # one for all: a loop of stores
        single = (<const float*> x)[0]
        for i in range(n):
            (<float*> to)[i] = single
    elif step == 0 and size == 8:
        value = (<const double*> x)[0]
        for i in range(n):
            (<double*> to)[i] = value
    elif size == 4:
        for i in range(n):
            (<float*> to)[i] = (<const float*> (x + i * step))[0]
    elif size == 8:
        for i in range(n):
            (<double*> to)[i] = (<const double*> (x + i * step))[0]
    else:
        for i in range(n):
            (<uint16*> to)[i] = (<const uint16*> (x + i * step))[0]


cdef inline void scatter_row(const char* source, char* y, Py_ssize_t step, Py_ssize_t n,
                             Py_ssize_t size) noexcept nogil:
    """The reverse of gather_row."""
    cdef Py_ssize_t i
    if step == size:
        memcpy(y, source, n * size)
    elif size == 4:
        for i in range(n):
            (<float*> (y + i * step))[0] = (<const float*> source)[i]
    elif size == 8:
        for i in range(n):
            (<double*> (y + i * step))[0] = (<const double*> source)[i]
    else:
        for i in range(n):
            (<uint16*> (y + i * step))[0] = (<const uint16*> source)[i]


cdef enum:
    PAGE = 4096                   # or more: what memory is mapped in


cdef inline void prefetch_row(const Operand* a, Py_ssize_t row, Py_ssize_t bytes) noexcept nogil:
    """Behind a gap so wide that the processor does not see across it. Nothing need be there."""
    cdef Py_ssize_t done
    if a.data != NULL and a.row >= bytes + 512:
        for done in range(0, bytes, 64):
            prefetch(a.data + row * a.row + done)


# Rows without gaps inside, of which many are short: a call of memcpy would cost more than it
# copies. Moves of one length overlap instead, as a row may be written twice but not overrun.

cdef inline void move_two(const char* x, Py_ssize_t x_row, char* y, Py_ssize_t y_row,
                          Py_ssize_t rows, Py_ssize_t bytes, Py_ssize_t first,
                          Py_ssize_t last) noexcept nogil:
    """Copy rows by two moves each, of lengths that are literals."""
    cdef Py_ssize_t _
    for _ in range(rows):
        move(y, x, first)
        move(y + bytes - last, x + bytes - last, last)
        x += x_row
        y += y_row


cdef inline void move_ends(const char* x, Py_ssize_t x_row, char* y, Py_ssize_t y_row,
                           Py_ssize_t rows, Py_ssize_t bytes, Py_ssize_t unit) noexcept nogil:
    """Copy rows of `unit` to 2 `unit` bytes; the second move as short as it can be."""
    if bytes <= unit + unit // 4:
        move_two(x, x_row, y, y_row, rows, bytes, unit, unit // 4)
    elif bytes <= unit + unit // 2:
        move_two(x, x_row, y, y_row, rows, bytes, unit, unit // 2)
    else:
        move_two(x, x_row, y, y_row, rows, bytes, unit, unit)


cdef inline void move_long(const char* x, char* y, Py_ssize_t bytes) noexcept nogil:
    """Copy a row of at least 64 bytes."""
    cdef Py_ssize_t done
    for done in range(0, bytes - 63, 64):
        move(y + done, x + done, 64)
    move(y + bytes - 64, x + bytes - 64, 64)


cdef inline void move_rows(const char* x, Py_ssize_t x_row, char* y, Py_ssize_t y_row,
                           Py_ssize_t rows, Py_ssize_t bytes) noexcept nogil:
    """Copy rows of `bytes` bytes, x_row and y_row bytes apart, between places that do not meet."""
    cdef Py_ssize_t r
    if rows == 1 or bytes > 2048:
        for r in range(rows):
            memcpy(y + r * y_row, x + r * x_row, bytes)
    elif bytes >= 128:
        for r in range(rows):
            move_long(x + r * x_row, y + r * y_row, bytes)
    elif bytes >= 64:
        move_ends(x, x_row, y, y_row, rows, bytes, 64)
    elif bytes >= 32:
        move_ends(x, x_row, y, y_row, rows, bytes, 32)
    elif bytes >= 16:
        move_ends(x, x_row, y, y_row, rows, bytes, 16)
    elif bytes >= 8:
        move_ends(x, x_row, y, y_row, rows, bytes, 8)
    elif bytes >= 4:
        move_ends(x, x_row, y, y_row, rows, bytes, 4)
    else:
        move_ends(x, x_row, y, y_row, rows, bytes, 2)


# Into a buffer one move a row is enough: it is overrun into the place of the next row, which then
# overwrites that. What is read too much lies between two rows, of which one is less than a page
# away: memory that is there.

cdef inline void move_over(const char* x, Py_ssize_t x_row, char* to, Py_ssize_t bytes,
                           Py_ssize_t rows, Py_ssize_t unit) noexcept nogil:
    """Bring rows of at most `unit` bytes, a literal, together in a buffer."""
    cdef Py_ssize_t _
    for _ in range((rows - 1) // 4):     # unrolled: so short a loop hangs on how it is aligned
        move(to, x, unit)
        move(to + bytes, x + x_row, unit)
        move(to + 2 * bytes, x + 2 * x_row, unit)
        move(to + 3 * bytes, x + 3 * x_row, unit)
        x += 4 * x_row
        to += 4 * bytes
    for _ in range((rows - 1) % 4):
        move(to, x, unit)
        x += x_row
        to += bytes
    memcpy(to, x, bytes)


cdef inline Py_ssize_t move_permuted(const char* x, Py_ssize_t x_row, const char* factor, char* to,
                                     Py_ssize_t bytes, Py_ssize_t rows) noexcept nogil:
    """Bring the shortest rows together, several with one move; returns how many there were.

    Times as many entries side by side, unless `factor` is NULL. Behind what is moved there is a
    move's worth of rows: nothing else is read or overwritten.
    """
    cdef int[8] order
    cdef int i, _, row, words = <int> (bytes // 4), at_once = <int> (32 // x_row)
    cdef bint two = 2 * at_once * words <= 8, times = factor != NULL
    cdef Py_ssize_t second = at_once * x_row if two else 0
    cdef Py_ssize_t together = 2 * at_once if two else at_once, done = 0
    for i in range(8):
        row = i // words
        if row < at_once:
            order[i] = row * <int> (x_row // 4) + i % words
        else:
            order[i] = (8 if two else 0) + ((row - at_once) * <int> (x_row // 4) + i % words & 7)
    while done + 5 * together <= rows:      # unrolled: so short a loop hangs on how it is aligned
        for _ in range(4):
            permute(x, factor, to, order, second, times)
            x += together * x_row
            to += together * bytes
            factor += together * bytes if times else 0
        done += 4 * together
    while done + 2 * together <= rows:
        permute(x, factor, to, order, second, times)
        x += together * x_row
        to += together * bytes
        factor += together * bytes if times else 0
        done += together
    return done


cdef inline bint permutes(Py_ssize_t x_row, Py_ssize_t bytes) noexcept nogil:
    """Whether rows are short enough for move_permuted, and of whole words."""
    return EIGHT_WORDS and bytes < x_row <= 16 and x_row % 4 == 0 and bytes % 4 == 0


cdef inline void bring_together(const char* x, Py_ssize_t x_row, char* to, Py_ssize_t rows,
                                Py_ssize_t bytes) noexcept nogil:
    """Copy rows of `bytes` bytes, x_row bytes apart, side by side into a buffer."""
    cdef Py_ssize_t unit = 8, done = 0
    while unit < bytes:
        unit += unit
    if permutes(x_row, bytes):
        done = move_permuted(x, x_row, NULL, to, bytes, rows)
        x += done * x_row
        to += done * bytes
        rows -= done
    if rows == 1 or unit > 32 or unit > x_row + bytes or x_row > PAGE:
        move_rows(x, x_row, to, bytes, rows, bytes)
    elif unit == 8:
        move_over(x, x_row, to, bytes, rows, 8)
    elif unit == 16:
        move_over(x, x_row, to, bytes, rows, 16)
    else:
        move_over(x, x_row, to, bytes, rows, 32)


cdef inline void repeat_over(const char* x, Py_ssize_t x_row, char* to, Py_ssize_t bytes,
                             Py_ssize_t rows, Py_ssize_t unit, real kind) noexcept nogil:
    """One entry for each row of at most `unit` bytes, a literal, again and again."""
    cdef Py_ssize_t _, j
    cdef real single
    for _ in range(rows - 1):
        single = (<const real*> x)[0]
        for j in range(<Py_ssize_t> (unit // sizeof(real))):
            (<real*> to)[j] = single
        x += x_row
        to += bytes
    single = (<const real*> x)[0]
    for j in range(<Py_ssize_t> (bytes // sizeof(real))):
        (<real*> to)[j] = single


cdef inline void repeat_each(const char* x, Py_ssize_t x_row, char* to, Py_ssize_t bytes,
                             Py_ssize_t rows, real kind) noexcept nogil:
    if bytes <= 16:
        repeat_over(x, x_row, to, bytes, rows, 16, kind)
    elif bytes <= 32:
        repeat_over(x, x_row, to, bytes, rows, 32, kind)
    else:
        repeat_over(x, x_row, to, bytes, rows, 64, kind)


cdef inline void gather_rows(const char* x, const char* _, char* to, Py_ssize_t row,
                             Py_ssize_t step, Py_ssize_t rows, Py_ssize_t n,
                             Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t r
    if step == size:
        bring_together(x, row, to, rows, n * size)
        return
    if step == 0 and n * size <= 64:
        if size == 4:
            repeat_each(x, row, to, n * size, rows, <float> 0)
            return
        if size == 8:
            repeat_each(x, row, to, n * size, rows, <double> 0)
            return
    for r in range(rows):
        gather_row(x + r * row, step, to + r * n * size, n, size)


cdef inline void scatter_rows(const char* source, const char* _, char* y, Py_ssize_t row,
                              Py_ssize_t step, Py_ssize_t rows, Py_ssize_t n,
                              Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t r
    if step == size:
        move_rows(source, n * size, y, row, rows, n * size)
        return
    for r in range(rows):
        scatter_row(source + r * n * size, y + r * row, step, n, size)


cdef inline void gather(const Operand* a, const char* x, char* to, Py_ssize_t rows, Py_ssize_t n,
                        Py_ssize_t size) noexcept nogil:
    """Bring rows of n items together in a contiguous buffer."""
    apart(gather_rows, x, NULL, to, a.row, a.step, rows, n, size)


cdef inline void scatter(const char* source, const Operand* a, char* y, Py_ssize_t rows,
                         Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """The reverse of gather."""
    apart(scatter_rows, source, NULL, y, a.row, a.step, rows, n, size)


# Gradients are multiplied on their way. Only the rows and their gaps are read, and only results
# written: the last rows are not overrun.

cdef inline void multiply_over(const char* grad, Py_ssize_t row, const char* factor, char* to,
                               Py_ssize_t bytes, Py_ssize_t rows, Py_ssize_t unit,
                               bint wide) noexcept nogil:
    """Rows of at most `unit` bytes, a literal."""
    cdef Py_ssize_t _, done
    for _ in range(rows):
        for done in range(0, unit, 32):
            multiply_words(grad + done, factor + done, to + done, wide)
        grad += row
        factor += bytes
        to += bytes


cdef inline void multiply_each(const char* grad, Py_ssize_t row, const char* factor, char* to,
                               Py_ssize_t rows, Py_ssize_t n, real kind) noexcept nogil:
    cdef Py_ssize_t r, j
    for r in range(rows):
        for j in range(n):
            (<real*> to)[r * n + j] = ((<const real*> (grad + r * row))[j]
                                       * (<const real*> factor)[r * n + j])


cdef inline Py_ssize_t unit_of(Py_ssize_t bytes) noexcept nogil:
    return (bytes + 31) & -32


cdef inline Py_ssize_t overrun(Py_ssize_t bytes) noexcept nogil:
    """How many rows the last one's overrun takes."""
    return (unit_of(bytes) - 1) // bytes


cdef inline bint multiplies(const Operand* a, Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """Whether multiply_rows takes such rows: short ones with gaps."""
    cdef Py_ssize_t bytes = n * size
    return (EIGHT_WORDS and a.step == size and bytes <= 128 and bytes < a.row <= PAGE
            and unit_of(bytes) <= overrun(bytes) * a.row + bytes)


cdef inline void multiply_rows(const char* grad, const char* factor, char* to, Py_ssize_t row,
                               Py_ssize_t _, Py_ssize_t rows, Py_ssize_t n,
                               Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t bytes = n * size, done = 0
    cdef bint wide = size == 8
    if permutes(row, bytes) and not wide:
        done = move_permuted(grad, row, factor, to, bytes, rows)
        grad += done * row
        factor += done * bytes
        to += done * bytes
        rows -= done
    done = max(<Py_ssize_t> 0, rows - overrun(bytes))
    if bytes <= 32:
        multiply_over(grad, row, factor, to, bytes, done, 32, wide)
    elif bytes <= 64:
        multiply_over(grad, row, factor, to, bytes, done, 64, wide)
    elif bytes <= 96:
        multiply_over(grad, row, factor, to, bytes, done, 96, wide)
    else:
        multiply_over(grad, row, factor, to, bytes, done, 128, wide)
    grad += done * row
    factor += done * bytes
    to += done * bytes
    if wide:
        multiply_each(grad, row, factor, to, rows - done, n, <double> 0)
    else:
        multiply_each(grad, row, factor, to, rows - done, n, <float> 0)


cdef inline void gather_and_multiply(const Operand* a, const char* grad, const char* factor,
                                     char* to, Py_ssize_t rows, Py_ssize_t n,
                                     Py_ssize_t size) noexcept nogil:
    """to = grad * factor: of rows of n items, and as many entries side by side."""
    apart(multiply_rows, grad, factor, to, a.row, a.step, rows, n, size)
