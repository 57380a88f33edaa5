/* What moving rows needs of the compiler. */
#ifndef CYACT_MOVES_H
#define CYACT_MOVES_H

#include <string.h>
#if defined(__AVX2__) || defined(_M_X64)
  #include <immintrin.h>
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
#if defined(_M_X64)
  #define CYACT_PREFETCH(p) _mm_prefetch((const char *)(p), _MM_HINT_T1)
#elif defined(_MSC_VER)
  #define CYACT_PREFETCH(p) ((void)(p))
#else
  #define CYACT_PREFETCH(p) __builtin_prefetch(p, 0, 2)
#endif

/* Moving rows takes many registers: inside the stages its short loops would spill them. */
#if defined(_MSC_VER)
  #define CYACT_NOINLINE __declspec(noinline)
#else
  #define CYACT_NOINLINE __attribute__((noinline))
#endif
typedef void (*cyact_mover)(const char *from, char *to, Py_ssize_t row, Py_ssize_t step,
                            Py_ssize_t rows, Py_ssize_t n, Py_ssize_t size);
static CYACT_NOINLINE void cyact_out_of_line(cyact_mover move, const char *from, char *to,
                                             Py_ssize_t row, Py_ssize_t step, Py_ssize_t rows,
                                             Py_ssize_t n, Py_ssize_t size) {
    move(from, to, row, step, rows, n, size);
}

#endif
