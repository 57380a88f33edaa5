/* Blocks of up to sixteen by sixteen floats turned over: rows that lie one after the other become
   rows side by side, and back. AVX-512 does it in 64 shuffles of registers, AVX2 in four blocks of
   eight by eight; compilers make neither from the plain loops below.

   Only `rows` rows of `n` entries are read from or written to memory on the side of the rows. On
   the other side whole blocks are. */
#ifndef CYACT_TRANSPOSE_H
#define CYACT_TRANSPOSE_H

#include <stddef.h>
#include <string.h>

#if defined(_MSC_VER)
  #define CYACT_TURN_INLINE static __forceinline
  #define CYACT_TURN_RESTRICT __restrict
#else
  #define CYACT_TURN_INLINE static inline __attribute__((always_inline))
  #define CYACT_TURN_RESTRICT __restrict__
#endif

/* Sixteen rows of n entries without gaps, n a literal: of up to four, compilers do these well. */
CYACT_TURN_INLINE void cyact_split(const float *CYACT_TURN_RESTRICT x, ptrdiff_t n, float *CYACT_TURN_RESTRICT y) {
    ptrdiff_t i, j;
    for (i = 0; i < 16; i++)
        for (j = 0; j < n; j++) y[j * 16 + i] = x[i * n + j];
}
CYACT_TURN_INLINE void cyact_join(const float *CYACT_TURN_RESTRICT x, float *CYACT_TURN_RESTRICT y, ptrdiff_t n) {
    ptrdiff_t i, j;
    for (i = 0; i < 16; i++)
        for (j = 0; j < n; j++) y[i * n + j] = x[j * 16 + i];
}

#if defined(__GNUC__) && defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>

static inline __attribute__((always_inline)) void cyact_turn(__m512 *a) {
    __m512 b[16];
    int i;
    for (i = 0; i < 16; i += 2) {                       /* pairs of rows, entry by entry */
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    for (i = 0; i < 16; i += 4) {                       /* four rows */
        a[i] = (__m512)_mm512_unpacklo_pd((__m512d)b[i], (__m512d)b[i + 2]);
        a[i + 1] = (__m512)_mm512_unpackhi_pd((__m512d)b[i], (__m512d)b[i + 2]);
        a[i + 2] = (__m512)_mm512_unpacklo_pd((__m512d)b[i + 1], (__m512d)b[i + 3]);
        a[i + 3] = (__m512)_mm512_unpackhi_pd((__m512d)b[i + 1], (__m512d)b[i + 3]);
    }
    for (i = 0; i < 4; i++) {                           /* eight rows */
        b[i] = _mm512_shuffle_f32x4(a[i], a[i + 4], 0x88);
        b[i + 4] = _mm512_shuffle_f32x4(a[i], a[i + 4], 0xdd);
        b[i + 8] = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0x88);
        b[i + 12] = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0xdd);
    }
    for (i = 0; i < 8; i++) {                           /* all */
        a[i] = _mm512_shuffle_f32x4(b[i], b[i + 8], 0x88);
        a[i + 8] = _mm512_shuffle_f32x4(b[i], b[i + 8], 0xdd);
    }
}

static inline void cyact_turn_from_rows(const float *x, ptrdiff_t x_step, ptrdiff_t rows, ptrdiff_t n,
                                   float *y, ptrdiff_t y_step) {
    __mmask16 first = (__mmask16)((1u << n) - 1);
    __m512 a[16];
    int i;
    for (i = 0; i < 16; i++)
        a[i] = _mm512_maskz_loadu_ps(i < rows ? first : 0, x + i * x_step);
    cyact_turn(a);
    for (i = 0; i < 16; i++) _mm512_storeu_ps(y + i * y_step, a[i]);
}

static inline void cyact_turn_to_rows(const float *x, ptrdiff_t x_step, float *y, ptrdiff_t y_step,
                                 ptrdiff_t rows, ptrdiff_t n) {
    __mmask16 first = (__mmask16)((1u << n) - 1);
    __m512 a[16];
    int i;
    for (i = 0; i < 16; i++) a[i] = _mm512_loadu_ps(x + i * x_step);
    cyact_turn(a);
    if (n == 16 && rows == 16) {
        for (i = 0; i < 16; i++) _mm512_storeu_ps(y + i * y_step, a[i]);
        return;
    }
    for (i = 0; i < 16; i++)
        if (i < rows) _mm512_mask_storeu_ps(y + i * y_step, first, a[i]);
}

#elif defined(__GNUC__) && defined(__AVX2__)
#include <immintrin.h>

static inline __attribute__((always_inline)) void cyact_turn(__m256 *a) {
    __m256 b[8], c[8];
    int i;
    for (i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (i = 0; i < 8; i += 4) {
        c[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
        c[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
        c[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
        c[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
    for (i = 0; i < 4; i++) {
        a[i] = _mm256_permute2f128_ps(c[i], c[i + 4], 0x20);
        a[i + 4] = _mm256_permute2f128_ps(c[i], c[i + 4], 0x31);
    }
}

static const int cyact_turn_masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

static inline void cyact_from_rows8(const float *x, ptrdiff_t x_step, ptrdiff_t rows, ptrdiff_t n,
                                    float *y, ptrdiff_t y_step) {
    __m256 a[8];
    int i;
    if (rows >= 8 && n >= 8) {
        for (i = 0; i < 8; i++) a[i] = _mm256_loadu_ps(x + i * x_step);
    } else {
        ptrdiff_t shift = n >= 8 ? 0 : n > 0 ? 8 - n : 8;
        __m256i first = _mm256_loadu_si256((const __m256i *)(cyact_turn_masks + shift));
        for (i = 0; i < 8; i++)
            a[i] = i < rows ? _mm256_maskload_ps(x + i * x_step, first) : _mm256_setzero_ps();
    }
    cyact_turn(a);
    for (i = 0; i < 8; i++) _mm256_storeu_ps(y + i * y_step, a[i]);
}

static inline void cyact_turn_from_rows(const float *x, ptrdiff_t x_step, ptrdiff_t rows, ptrdiff_t n,
                                   float *y, ptrdiff_t y_step) {
    cyact_from_rows8(x, x_step, rows, n, y, y_step);
    cyact_from_rows8(x + 8 * x_step, x_step, rows - 8, n, y + 8, y_step);
    if (n > 8) {
        cyact_from_rows8(x + 8, x_step, rows, n - 8, y + 8 * y_step, y_step);
        cyact_from_rows8(x + 8 * x_step + 8, x_step, rows - 8, n - 8, y + 8 * y_step + 8, y_step);
    }
}

static inline void cyact_to_rows8(const float *x, ptrdiff_t x_step, float *y, ptrdiff_t y_step,
                                  ptrdiff_t rows, ptrdiff_t n) {
    __m256 a[8];
    float few[8];
    int i;
    for (i = 0; i < 8; i++) a[i] = _mm256_loadu_ps(x + i * x_step);
    cyact_turn(a);
    if (rows >= 8 && n >= 8) {
        for (i = 0; i < 8; i++) _mm256_storeu_ps(y + i * y_step, a[i]);
        return;
    }
    /* A masked store takes AMD's processors before Zen 5 some twenty operations: two plain ones
       that overlap take less. */
    for (i = 0; i < 8 && i < rows; i++) {
        float *to = y + i * y_step;
        __m128 low = _mm256_castps256_ps128(a[i]);
        if (n >= 8) {
            _mm256_storeu_ps(to, a[i]);
        } else if (n >= 4) {
            _mm256_storeu_ps(few, a[i]);
            _mm_storeu_ps(to + n - 4, _mm_loadu_ps(few + n - 4));
            _mm_storeu_ps(to, low);
        } else {
            if (n >= 2) _mm_storel_pi((__m64 *)to, low);
            if (n == 3) _mm_store_ss(to + 2, _mm_movehl_ps(low, low));
            if (n == 1) _mm_store_ss(to, low);
        }
    }
}

static inline void cyact_turn_to_rows(const float *x, ptrdiff_t x_step, float *y, ptrdiff_t y_step,
                                 ptrdiff_t rows, ptrdiff_t n) {
    cyact_to_rows8(x, x_step, y, y_step, rows, n);
    cyact_to_rows8(x + 8, x_step, y + 8 * y_step, y_step, rows - 8, n);
    if (n > 8) {
        cyact_to_rows8(x + 8 * x_step, x_step, y + 8, y_step, rows, n - 8);
        cyact_to_rows8(x + 8 * x_step + 8, x_step, y + 8 * y_step + 8, y_step, rows - 8, n - 8);
    }
}

#else

static inline void cyact_turn_from_rows(const float *x, ptrdiff_t x_step, ptrdiff_t rows, ptrdiff_t n,
                                   float *y, ptrdiff_t y_step) {
    ptrdiff_t i, j;
    for (j = 0; j < n; j++) {
        for (i = 0; i < rows; i++) y[j * y_step + i] = x[i * x_step + j];
        for (; i < 16; i++) y[j * y_step + i] = 0;
    }
}

static inline void cyact_turn_to_rows(const float *x, ptrdiff_t x_step, float *y, ptrdiff_t y_step,
                                 ptrdiff_t rows, ptrdiff_t n) {
    ptrdiff_t i, j;
    for (i = 0; i < rows; i++)
        for (j = 0; j < n; j++) y[i * y_step + j] = x[j * x_step + i];
}

#endif

static inline void cyact_from_rows(const float *x, ptrdiff_t x_step, ptrdiff_t rows, ptrdiff_t n,
                                   float *y, ptrdiff_t y_step) {
    int whole = rows == 16 && x_step == n && y_step == 16;
    if (whole && n == 2) cyact_split(x, 2, y);
    else if (whole && n == 3) cyact_split(x, 3, y);
    else if (whole && n == 4) cyact_split(x, 4, y);
    else cyact_turn_from_rows(x, x_step, rows, n, y, y_step);
}

static inline void cyact_to_rows(const float *x, ptrdiff_t x_step, float *y, ptrdiff_t y_step,
                                 ptrdiff_t rows, ptrdiff_t n) {
    int whole = rows == 16 && y_step == n && x_step == 16;
    if (whole && n == 2) cyact_join(x, y, 2);
    else if (whole && n == 3) cyact_join(x, y, 3);
    else if (whole && n == 4) cyact_join(x, y, 4);
    else cyact_turn_to_rows(x, x_step, y, y_step, rows, n);
}

#endif
