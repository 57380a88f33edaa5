/* Sixteen by sixteen floats turned over: y[j * y_step + i] = x[i * x_step + j].

   Rows that lie one after the other become rows that lie side by side, and back. AVX-512 does it
   in 64 shuffles of registers, AVX2 in four blocks of eight by eight; a compiler makes neither
   from the two plain loops below. */
#ifndef CYACT_TRANSPOSE_H
#define CYACT_TRANSPOSE_H

#include <stddef.h>

#if defined(__GNUC__) && defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>

static inline void cyact_transpose16(const float *x, ptrdiff_t x_step, float *y,
                                     ptrdiff_t y_step) {
    __m512 a[16], b[16];
    int i;
    for (i = 0; i < 16; i++) a[i] = _mm512_loadu_ps(x + i * x_step);
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
        _mm512_storeu_ps(y + i * y_step, _mm512_shuffle_f32x4(b[i], b[i + 8], 0x88));
        _mm512_storeu_ps(y + (i + 8) * y_step, _mm512_shuffle_f32x4(b[i], b[i + 8], 0xdd));
    }
}

#elif defined(__GNUC__) && defined(__AVX2__)
#include <immintrin.h>

static inline void cyact_transpose8(const float *x, ptrdiff_t x_step, float *y,
                                    ptrdiff_t y_step) {
    __m256 a[8], b[8];
    int i;
    for (i = 0; i < 4; i++) {       /* rows i and i + 4 share a register, by halves of them */
        __m256 low = _mm256_castps128_ps256(_mm_loadu_ps(x + i * x_step));
        __m256 high = _mm256_castps128_ps256(_mm_loadu_ps(x + i * x_step + 4));
        a[i] = _mm256_insertf128_ps(low, _mm_loadu_ps(x + (i + 4) * x_step), 1);
        a[i + 4] = _mm256_insertf128_ps(high, _mm_loadu_ps(x + (i + 4) * x_step + 4), 1);
    }
    for (i = 0; i < 8; i += 4) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
        b[i + 2] = _mm256_unpacklo_ps(a[i + 2], a[i + 3]);
        b[i + 3] = _mm256_unpackhi_ps(a[i + 2], a[i + 3]);
        _mm256_storeu_ps(y + i * y_step, _mm256_shuffle_ps(b[i], b[i + 2], 0x44));
        _mm256_storeu_ps(y + (i + 1) * y_step, _mm256_shuffle_ps(b[i], b[i + 2], 0xee));
        _mm256_storeu_ps(y + (i + 2) * y_step, _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44));
        _mm256_storeu_ps(y + (i + 3) * y_step, _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee));
    }
}

static inline void cyact_transpose16(const float *x, ptrdiff_t x_step, float *y,
                                     ptrdiff_t y_step) {
    cyact_transpose8(x, x_step, y, y_step);
    cyact_transpose8(x + 8, x_step, y + 8 * y_step, y_step);
    cyact_transpose8(x + 8 * x_step, x_step, y + 8, y_step);
    cyact_transpose8(x + 8 * x_step + 8, x_step, y + 8 * y_step + 8, y_step);
}

#else

static inline void cyact_transpose16(const float *x, ptrdiff_t x_step, float *y,
                                     ptrdiff_t y_step) {
    ptrdiff_t i, j;
    for (i = 0; i < 16; i++)
        for (j = 0; j < 16; j++) y[j * y_step + i] = x[i * x_step + j];
}

#endif
#endif
