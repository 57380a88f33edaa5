/* Vectors of float32, where a plain loop would not do: to look numbers up in registers, to convert
   half types, to keep a loop's order of operations. One type and some 25 operations, with four
   back ends: AVX-512 (16 floats), AVX2 (8), and vectors of 4 as NEON, GCC and Clang have them, or a
   single float for other compilers. A new level is a new column.

   The arithmetic is + - * of the compiler's vector types, also between a vector and a number.
   Every operation rounds as that on single numbers, so the bits of a result do not depend on the
   width. */
#ifndef CYACT_SIMD_H
#define CYACT_SIMD_H

#include <stddef.h>

#include "bits.h"

#if defined(__GNUC__) && defined(__AVX512F__) && defined(__AVX512BW__) && \
    defined(__AVX512DQ__) && defined(__AVX512VL__)

/* AVX-512 */

#include <immintrin.h>
#define SIMD_PERMUTES 1
typedef __m512 simd_floats;
typedef uint32_t simd_words __attribute__((vector_size(64)));
typedef __mmask16 simd_mask;

#define simd_load(x) _mm512_loadu_ps(x)
#define simd_store(y, v) _mm512_storeu_ps(y, v)
#define simd_stream(y, v) _mm512_stream_ps(y, v)
#define simd_broadcast(x) _mm512_set1_ps(x)
#define simd_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define simd_minimum(a, b) _mm512_min_ps(a, b)
#define simd_maximum(a, b) _mm512_max_ps(a, b)
#define simd_less(a, b) _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ)
#define simd_less_equal(a, b) _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ)
#define simd_equal(a, b) _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ)
#define simd_select(mask, yes, no) _mm512_mask_blend_ps(mask, no, yes)
#define simd_lookup8(table, index) simd_lookup16(table, index) /* it stands there twice */
#define simd_lookup16(table, index) \
    _mm512_permutexvar_ps((__m512i)(index), _mm512_loadu_ps((const float *)(table)))

CYACT_INLINE simd_mask simd_first(ptrdiff_t n) {
    return (simd_mask)(n >= 16 ? 0xffff : n <= 0 ? 0 : (1u << n) - 1);
}
CYACT_INLINE simd_floats simd_load_first(const float *x, ptrdiff_t n, float fill) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), simd_first(n), x);
}
CYACT_INLINE void simd_store_first(float *y, simd_floats v, ptrdiff_t n) {
    _mm512_mask_storeu_ps(y, simd_first(n), v);
}

CYACT_INLINE simd_floats simd_between(simd_floats x, simd_floats low, simd_floats high,
                                      simd_floats v) {
    simd_mask in = _mm512_cmp_ps_mask(x, low, _CMP_NLE_UQ);
    return _mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask(in, x, high, _CMP_NGE_UQ), v);
}
CYACT_INLINE simd_floats simd_count_equal(simd_floats a, simd_floats b, simd_floats n) {
    return _mm512_mask_add_ps(n, simd_equal(a, b), n, _mm512_set1_ps(1));
}
CYACT_INLINE void simd_add_to_doubles(double *s, simd_floats v) {
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    _mm512_storeu_pd(s, _mm512_add_pd(_mm512_loadu_pd(s), low));
    _mm512_storeu_pd(s + 8, _mm512_add_pd(_mm512_loadu_pd(s + 8), high));
}

CYACT_INLINE simd_floats simd_load_float16(const uint16_t *h) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)h));
}
CYACT_INLINE void simd_store_float16(uint16_t *h, simd_floats v) {
    _mm256_storeu_si256((__m256i *)h, _mm512_cvtps_ph(v, 0));
}
CYACT_INLINE simd_floats simd_load_bfloat16(const uint16_t *h) {
    const __m512i i = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i u = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)h));
    return _mm512_castsi512_ps(
        _mm512_maskz_permutexvar_epi16(0xaaaaaaaau, _mm512_slli_epi32(i, 16), u));
}
CYACT_INLINE void simd_store_bfloat16(uint16_t *h, simd_floats v) {
    const __m512i upper =
        _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                         31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    __m512i u = _mm512_castps_si512(v);
    __mmask16 odd = _mm512_test_epi32_mask(u, _mm512_set1_epi32(0x10000));
    __m512i r = _mm512_add_epi32(u, _mm512_set1_epi32(0x7fff));
    r = _mm512_mask_sub_epi32(r, odd, r, _mm512_set1_epi32(-1));
    r = _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), u,
                             _mm512_set1_epi32(0x400000));
    r = _mm512_permutexvar_epi16(upper, r);
    _mm256_storeu_si256((__m256i *)h, _mm512_castsi512_si256(r));
}

#elif defined(__GNUC__) && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

/* AVX2 */

#include <immintrin.h>
#define SIMD_PERMUTES 1
typedef __m256 simd_floats;
typedef uint32_t simd_words __attribute__((vector_size(32)));
typedef __m256 simd_mask;

#define simd_load(x) _mm256_loadu_ps(x)
#define simd_store(y, v) _mm256_storeu_ps(y, v)
#define simd_stream(y, v) _mm256_stream_ps(y, v)
#define simd_broadcast(x) _mm256_set1_ps(x)
#define simd_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define simd_minimum(a, b) _mm256_min_ps(a, b)
#define simd_maximum(a, b) _mm256_max_ps(a, b)
#define simd_less(a, b) _mm256_cmp_ps(a, b, _CMP_LT_OQ)
#define simd_less_equal(a, b) _mm256_cmp_ps(a, b, _CMP_LE_OQ)
#define simd_equal(a, b) _mm256_cmp_ps(a, b, _CMP_EQ_OQ)
#define simd_select(mask, yes, no) _mm256_blendv_ps(no, yes, mask)
#define simd_lookup8(table, index) \
    _mm256_permutevar8x32_ps(_mm256_loadu_ps((const float *)(table)), (__m256i)(index))

CYACT_INLINE simd_floats simd_lookup16(const float *table, simd_words index) {
    /* A permute reads the three low bits; the fourth, as a sign, chooses the half. */
    return _mm256_blendv_ps(simd_lookup8(table, index), simd_lookup8(table + 8, index),
                            (__m256)_mm256_slli_epi32((__m256i)index, 28));
}

CYACT_INLINE __m256i simd_first(ptrdiff_t n) {
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(ones + (n >= 8 ? 0 : n <= 0 ? 8 : 8 - n)));
}
CYACT_INLINE simd_floats simd_load_first(const float *x, ptrdiff_t n, float fill) {
    __m256i first = simd_first(n);
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(x, first), (__m256)first);
}
CYACT_INLINE void simd_store_first(float *y, simd_floats v, ptrdiff_t n) {
    _mm256_maskstore_ps(y, simd_first(n), v);
}

CYACT_INLINE simd_floats simd_between(simd_floats x, simd_floats low, simd_floats high,
                                      simd_floats v) {
    return _mm256_and_ps(_mm256_and_ps(_mm256_cmp_ps(x, low, _CMP_NLE_UQ),
                                       _mm256_cmp_ps(x, high, _CMP_NGE_UQ)), v);
}
CYACT_INLINE simd_floats simd_count_equal(simd_floats a, simd_floats b, simd_floats n) {
    return _mm256_add_ps(n, _mm256_and_ps(simd_equal(a, b), _mm256_set1_ps(1)));
}
CYACT_INLINE void simd_add_to_doubles(double *s, simd_floats v) {
    __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
    __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
    _mm256_storeu_pd(s, _mm256_add_pd(_mm256_loadu_pd(s), low));
    _mm256_storeu_pd(s + 4, _mm256_add_pd(_mm256_loadu_pd(s + 4), high));
}

CYACT_INLINE simd_floats simd_load_float16(const uint16_t *h) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)h));
}
CYACT_INLINE void simd_store_float16(uint16_t *h, simd_floats v) {
    _mm_storeu_si128((__m128i *)h, _mm256_cvtps_ph(v, 0));
}
CYACT_INLINE simd_floats simd_load_bfloat16(const uint16_t *h) {
    __m256i u = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)h));
    return _mm256_castsi256_ps(_mm256_slli_epi32(u, 16));
}
CYACT_INLINE void simd_store_bfloat16(uint16_t *h, simd_floats v) {
    __m256i u = _mm256_castps_si256(v), high = _mm256_srli_epi32(u, 16);
    __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i half = _mm256_add_epi32(u, _mm256_set1_epi32(0x7fff));
    __m256i r = _mm256_srli_epi32(_mm256_add_epi32(half, odd), 16);
    r = _mm256_blendv_epi8(r, _mm256_or_si256(high, _mm256_set1_epi32(0x40)),
                           _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
    _mm_storeu_si128((__m128i *)h, _mm_packus_epi32(_mm256_castsi256_si128(r),
                                                    _mm256_extracti128_si256(r, 1)));
}

#else

/* Vectors of 4, or a single float */

#if defined(__GNUC__)
  typedef float simd_floats __attribute__((vector_size(16)));
  typedef uint32_t simd_words __attribute__((vector_size(16)));
  #define SIMD_AT(v) ((v)[i])
#else
  typedef float simd_floats;
  typedef uint32_t simd_words;
  #define SIMD_AT(v) (v)
#endif
typedef simd_words simd_mask;

#define SIMD_EACH for (i = 0; i < (int)(sizeof(simd_floats) / sizeof(float)); i++)
#define SIMD_RETURN(type, value) \
    type result; \
    int i; \
    SIMD_EACH SIMD_AT(result) = (value); \
    return result;

CYACT_INLINE simd_floats simd_load(const float *x) {
    simd_floats v;
    memcpy(&v, x, sizeof(v));
    return v;
}
CYACT_INLINE void simd_store(float *y, simd_floats v) { memcpy(y, &v, sizeof(v)); }
CYACT_INLINE simd_floats simd_broadcast(float x) { SIMD_RETURN(simd_floats, x) }

#if defined(__GNUC__) && defined(__SSE2__)
  #include <xmmintrin.h>
  #define simd_stream(y, v) _mm_stream_ps(y, v)
#else
  #define simd_stream(y, v) simd_store(y, v)
#endif

#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
  #include <arm_neon.h>
  #define SIMD_PERMUTES 1
  #define simd_fma(a, b, c) vfmaq_f32(c, a, b)
  #define simd_minimum(a, b) vbslq_f32(vcltq_f32(a, b), a, b)
  #define simd_maximum(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
  CYACT_INLINE simd_floats simd_lookup16(const float *table, simd_words index) {
      simd_words bytes = (index & 15) * 0x04040404 + 0x03020100;
      return vreinterpretq_f32_u8(vqtbl4q_u8(vld1q_u8_x4((const uint8_t *)table),
                                             (uint8x16_t)bytes));
  }
  CYACT_INLINE simd_floats simd_lookup8(const void *table, simd_words index) {
      simd_words bytes = (index & 7) * 0x04040404 + 0x03020100;
      return vreinterpretq_f32_u8(vqtbl2q_u8(vld1q_u8_x2((const uint8_t *)table),
                                             (uint8x16_t)bytes));
  }
#else
  #define SIMD_PERMUTES 0
  CYACT_INLINE simd_floats simd_fma(simd_floats a, simd_floats b, simd_floats c) {
      SIMD_RETURN(simd_floats, cyact_fmaf(SIMD_AT(a), SIMD_AT(b), SIMD_AT(c)))
  }
  CYACT_INLINE simd_floats simd_minimum(simd_floats a, simd_floats b) {
      SIMD_RETURN(simd_floats, SIMD_AT(a) < SIMD_AT(b) ? SIMD_AT(a) : SIMD_AT(b))
  }
  CYACT_INLINE simd_floats simd_maximum(simd_floats a, simd_floats b) {
      SIMD_RETURN(simd_floats, SIMD_AT(a) > SIMD_AT(b) ? SIMD_AT(a) : SIMD_AT(b))
  }
  CYACT_INLINE simd_floats simd_lookup16(const float *table, simd_words index) {
      SIMD_RETURN(simd_floats, table[SIMD_AT(index) & 15])
  }
  CYACT_INLINE simd_floats simd_lookup8(const void *table, simd_words index) {
      SIMD_RETURN(simd_floats, ((const float *)table)[SIMD_AT(index) & 7])
  }
#endif

CYACT_INLINE simd_mask simd_less(simd_floats a, simd_floats b) {
    SIMD_RETURN(simd_mask, SIMD_AT(a) < SIMD_AT(b) ? 0xffffffffu : 0u)
}
CYACT_INLINE simd_mask simd_less_equal(simd_floats a, simd_floats b) {
    SIMD_RETURN(simd_mask, SIMD_AT(a) <= SIMD_AT(b) ? 0xffffffffu : 0u)
}
CYACT_INLINE simd_mask simd_equal(simd_floats a, simd_floats b) {
    SIMD_RETURN(simd_mask, SIMD_AT(a) == SIMD_AT(b) ? 0xffffffffu : 0u)
}
CYACT_INLINE simd_floats simd_select(simd_mask mask, simd_floats yes, simd_floats no) {
    SIMD_RETURN(simd_floats, SIMD_AT(mask) ? SIMD_AT(yes) : SIMD_AT(no))
}

CYACT_INLINE simd_floats simd_load_first(const float *x, ptrdiff_t n, float fill) {
    SIMD_RETURN(simd_floats, i < n ? x[i] : fill)
}
CYACT_INLINE void simd_store_first(float *y, simd_floats v, ptrdiff_t n) {
    int i;
    SIMD_EACH if (i < n) y[i] = SIMD_AT(v);
}

CYACT_INLINE simd_floats simd_between(simd_floats x, simd_floats low, simd_floats high,
                                      simd_floats v) {
    SIMD_RETURN(simd_floats, SIMD_AT(x) <= SIMD_AT(low) ? 0 :
                             SIMD_AT(x) >= SIMD_AT(high) ? 0 : SIMD_AT(v))
}
CYACT_INLINE simd_floats simd_count_equal(simd_floats a, simd_floats b, simd_floats n) {
    SIMD_RETURN(simd_floats, SIMD_AT(n) + (SIMD_AT(a) == SIMD_AT(b) ? 1 : 0))
}
CYACT_INLINE void simd_add_to_doubles(double *s, simd_floats v) {
    int i;
    SIMD_EACH s[i] += (double)SIMD_AT(v);
}

CYACT_INLINE simd_floats simd_load_float16(const uint16_t *h) {
    SIMD_RETURN(simd_floats, cyact_from_float16(h[i]))
}
CYACT_INLINE simd_floats simd_load_bfloat16(const uint16_t *h) {
    SIMD_RETURN(simd_floats, cyact_from_bfloat16(h[i]))
}
CYACT_INLINE void simd_store_float16(uint16_t *h, simd_floats v) {
    int i;
    SIMD_EACH h[i] = cyact_to_float16(SIMD_AT(v));
}
CYACT_INLINE void simd_store_bfloat16(uint16_t *h, simd_floats v) {
    int i;
    SIMD_EACH h[i] = cyact_to_bfloat16(SIMD_AT(v));
}

#endif

/* Of all back ends */

#define SIMD_WIDTH ((ptrdiff_t)(sizeof(simd_floats) / sizeof(float)))

CYACT_INLINE simd_words simd_as_words(simd_floats v) {
    simd_words u;
    memcpy(&u, &v, sizeof(u));
    return u;
}
CYACT_INLINE simd_floats simd_as_floats(simd_words u) {
    simd_floats v;
    memcpy(&v, &u, sizeof(v));
    return v;
}

#endif
