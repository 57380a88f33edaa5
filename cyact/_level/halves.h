/* Half types, as uint16: conversion, correct rounding, lookup. n is a multiple of LANES unless it
   may be any. */
#ifndef CYACT_HALVES_H
#define CYACT_HALVES_H

#if defined(__SSE2__)
  #include <immintrin.h>
#endif

#include "bits.h"
#include "simd.h"

/* Conversion, by instructions where a vector is long: those that have 8 floats have them. Else in
   plain loops, which compilers vectorise better than single vectors of 4. */

CYACT_INLINE simd_floats cyact_load_halves(const uint16_t *h, int bfloat) {
    return bfloat ? simd_load_bfloat16(h) : simd_load_float16(h);
}
CYACT_INLINE void cyact_store_halves(uint16_t *h, simd_floats v, int bfloat) {
    if (bfloat)
        simd_store_bfloat16(h, v);
    else
        simd_store_float16(h, v);
}
CYACT_INLINE float cyact_from_half(uint16_t h, int bfloat) {
    return bfloat ? cyact_from_bfloat16(h) : cyact_from_float16(h);
}
CYACT_INLINE uint16_t cyact_to_half(float x, int bfloat) {
    return bfloat ? cyact_to_bfloat16(x) : cyact_to_float16(x);
}

/* x = h */
CYACT_INLINE void cyact_widen(const uint16_t *h, float *x, ptrdiff_t n, int bfloat) {
    ptrdiff_t i;
    if (SIMD_WIDTH >= 8)
        for (i = 0; i < n; i += SIMD_WIDTH) simd_store(x + i, cyact_load_halves(h + i, bfloat));
    else
        for (i = 0; i < n; i++) x[i] = cyact_from_half(h[i], bfloat);
}

/* x = h + b */
CYACT_INLINE void cyact_widen_and_add(const uint16_t *h, const float *b, float *x, ptrdiff_t n,
                                      int bfloat) {
    ptrdiff_t i;
    if (SIMD_WIDTH >= 8)
        for (i = 0; i < n; i += SIMD_WIDTH)
            simd_store(x + i, cyact_load_halves(h + i, bfloat) + simd_load(b + i));
    else
        for (i = 0; i < n; i++) x[i] = cyact_from_half(h[i], bfloat) + b[i];
}

/* h = x */
CYACT_INLINE void cyact_narrow(const float *x, uint16_t *h, ptrdiff_t n, int bfloat) {
    ptrdiff_t i;
    if (SIMD_WIDTH >= 8)
        for (i = 0; i < n; i += SIMD_WIDTH) cyact_store_halves(h + i, simd_load(x + i), bfloat);
    else
        for (i = 0; i < n; i++) h[i] = cyact_to_half(x[i], bfloat);
}

/* h = grad * x, in one go: x and the product stay in registers. h may be grad. */
CYACT_INLINE void cyact_product(const uint16_t *grad, float *x, uint16_t *h, ptrdiff_t n,
                                int bfloat) {
    ptrdiff_t i;
    if (SIMD_WIDTH >= 8) {
        for (i = 0; i < n; i += SIMD_WIDTH)
            cyact_store_halves(h + i, cyact_load_halves(grad + i, bfloat) * simd_load(x + i),
                               bfloat);
    } else {
        for (i = 0; i < n; i++) x[i] = cyact_from_half(grad[i], bfloat) * x[i];
        cyact_narrow(x, h, n, bfloat);
    }
}

/* Is a float32 result so near a tie of the half type, the middle between two halves, that its error
   decides how it rounds? What is had of a positive `from`, which may be NULL, has no error. */

typedef struct {
    uint32_t tie;       /* of the bits that rounding drops, the pattern of a tie */
    uint32_t dropped;   /* their mask */
    uint32_t width;     /* near is from tie - width to tie + width - 1; a power of 2: a sum then
                           has zeros above the low bits */
    uint32_t smallest;  /* twice the bits of the smallest normal half; 0 if it is one of floats */
    float limit;        /* a smaller result's fraction, in units of 2^-24, is near above this */
} cyact_ties;

CYACT_INLINE int cyact_any(simd_words u) {
    uint64_t parts[(sizeof(u) + 7) / 8] = {0}, all = 0;
    size_t i;
    memcpy(parts, &u, sizeof(u));
    for (i = 0; i < sizeof(parts) / 8; i++) all |= parts[i];
    return all != 0;
}

/* Of 16 results: is one near a tie? */
CYACT_INLINE int cyact_near_tie(const float *x, const float *from, cyact_ties t) {
    simd_words near = {0};
    int i;
    for (i = 0; i < 16; i += SIMD_WIDTH) {
        simd_words u = simd_as_words(simd_load(x + i));
        simd_words tied = (simd_words)(((u + (t.width - t.tie)) & t.dropped & -2 * t.width) == 0);
        simd_words small = (simd_words)(u + u - 1 < t.smallest);
        simd_floats v = simd_as_floats(u & 0x7fffffffu) * 16777216.0f;
        simd_floats d = v - ((v + 12582912.0f) - 12582912.0f);
        simd_words half = (simd_words)(simd_as_floats(simd_as_words(d) & 0x7fffffffu) > t.limit);
        simd_words found = (small & half) | ((simd_words)(small == 0) & tied);
        if (from) found &= (simd_words)((simd_words)(simd_load(from + i) > 0) == 0);
        near |= found;
    }
    return cyact_any(near);
}

/* Of 16 results: could one be, as it is small, or at least ends like a tie? Mostly not. */
CYACT_INLINE int cyact_may_tie(const float *x, const float *from, cyact_ties t) {
#if defined(__AVX512F__) && SIMD_PERMUTES    /* as masks, which take half the time */
    __m512i u = _mm512_loadu_si512(x);
    __m512i twice = _mm512_add_epi32(_mm512_add_epi32(u, u), _mm512_set1_epi32(-1));
    __mmask16 large = _mm512_cmpge_epu32_mask(twice, _mm512_set1_epi32((int)t.smallest));
    __mmask16 far = _mm512_mask_test_epi32_mask(
        large, _mm512_add_epi32(u, _mm512_set1_epi32((int)(t.width - t.tie))),
        _mm512_set1_epi32((int)(t.dropped & -2 * t.width)));
    if (from) far |= _mm512_cmp_ps_mask(_mm512_loadu_ps(from), _mm512_setzero_ps(), _CMP_GT_OQ);
    return far != 0xffff;
#else
    simd_words near = {0};
    int i;
    for (i = 0; i < 16; i += SIMD_WIDTH) {
        simd_words u = simd_as_words(simd_load(x + i));
        simd_words tied = (simd_words)(((u + (t.width - t.tie)) & t.dropped & -2 * t.width) == 0);
        simd_words found = tied | (simd_words)(u + u - 1 < t.smallest);
        if (from) found &= (simd_words)((simd_words)(simd_load(from + i) > 0) == 0);
        near |= found;
    }
    return cyact_any(near);
#endif
}

/* Round n floats to halves, and list the blocks of 16 in which one is near a tie. */
CYACT_INLINE int cyact_round_and_list(const float *x, const float *from, uint16_t *h, ptrdiff_t n,
                                      int bfloat, cyact_ties t, short *found) {
    ptrdiff_t i;
    int count = 0;
    if (SIMD_WIDTH < 8) cyact_narrow(x, h, n, bfloat);
    for (i = 0; i < n; i += 16) {
        const float *given = from ? from + i : from;
        if (SIMD_WIDTH >= 8) cyact_narrow(x + i, h + i, 16, bfloat);
        if (cyact_may_tie(x + i, given, t) && cyact_near_tie(x + i, given, t))
            found[count++] = (short)i;
    }
    return count;
}

/* x + rest, of which only the sign of rest is known, made a float: the next towards zero,
   with its last bit set unless it is exact. So rounded, it rounds to fewer bits as if the
   sum itself were rounded. */
CYACT_INLINE float cyact_round_to_odd(double x, double rest) {
    float y = (float)x;
    uint32_t u = cyact_bits32(y);
    double off = y == x ? -rest : y - x;     /* by how much y is too large */
    if (off == 0 || x - x != 0 || x == 0) return y;
    if (x < 0 ? off < 0 : off > 0) u -= 1;
    return cyact_float(u | 1u);
}

/* The same of n, without branches: bits cut off the doubles. Not where a float is subnormal,
   which the conversion would round. */
CYACT_INLINE void cyact_round_all_to_odd(const double *x, const double *rest, float *y,
                                         ptrdiff_t n) {
    const uint64_t cut = 0x1fffffffu, size = 0x7fffffffffffffffu;
    const uint64_t least = 0x3810000000000000u;             /* of 2^-126 */
    uint64_t small = 0;
    ptrdiff_t i;
    for (i = 0; i < n; i++) {
        uint64_t u, r, s, low, odd, less;
        double v;
        memcpy(&u, x + i, 8);
        memcpy(&r, rest + i, 8);
        low = u & cut;
        less = (low == 0) & ((r & size) != 0) & ((r ^ u) >> 63);
        odd = (low != 0) | ((r & size) != 0);
        s = ((u - low) - (less << 29)) | (odd << 29);
        s = ((u & size) == 0) | ((u & size) >= 0x7ff0000000000000u) ? u : s;
        small |= ((u & size) - 1 < least - 1);
        memcpy(&v, &s, 8);
        y[i] = (float)v;
    }
    if (small)
        for (i = 0; i < n; i++) y[i] = cyact_round_to_odd(x[i], rest[i]);
}

/* Where a half stands among all others: -0 before 0, NaN outside the infinities */
CYACT_INLINE int16_t cyact_order(uint16_t h) {
    return (int16_t)(h ^ ((uint16_t)((int16_t)h >> 15) & 0x7fffu));
}

#if defined(__GNUC__) || defined(__clang__)
  #define CYACT_IN_PLACE _Pragma("GCC ivdep")      /* y may be x */
#else
  #define CYACT_IN_PLACE
#endif

/* y = results[x], of any length */
CYACT_INLINE void cyact_look_up(const uint16_t *results, const uint16_t *x, uint16_t *y,
                                ptrdiff_t n) {
    ptrdiff_t i = 0;
#if defined(__SSE2__)
    /* Eight at a time, put together in a register: the loads are what limits. */
    #define CYACT_AT(four, k) results[(uint16_t)((four) >> 16 * (k))]
    for (; i + 8 <= n; i += 8) {
        uint64_t a, b;
        __m128i r;
        memcpy(&a, x + i, 8);
        memcpy(&b, x + i + 4, 8);
        r = _mm_cvtsi32_si128(CYACT_AT(a, 0));
        r = _mm_insert_epi16(r, CYACT_AT(a, 1), 1);
        r = _mm_insert_epi16(r, CYACT_AT(a, 2), 2);
        r = _mm_insert_epi16(r, CYACT_AT(a, 3), 3);
        r = _mm_insert_epi16(r, CYACT_AT(b, 0), 4);
        r = _mm_insert_epi16(r, CYACT_AT(b, 1), 5);
        r = _mm_insert_epi16(r, CYACT_AT(b, 2), 6);
        r = _mm_insert_epi16(r, CYACT_AT(b, 3), 7);
        _mm_storeu_si128((void *)(y + i), r);
    }
    #undef CYACT_AT
#endif
    for (; i < n; i++) y[i] = results[x[i]];
}

/* The same with floats; n is a multiple of LANES. */
CYACT_INLINE void cyact_look_up_floats(const float *slopes, const uint16_t *x, float *y,
                                       ptrdiff_t n) {
    ptrdiff_t i;
#if defined(__SSE2__)
    #define CYACT_AT(four, k) _mm_load_ss(slopes + (uint16_t)((four) >> 16 * (k)))
    for (i = 0; i < n; i += 4) {
        uint64_t a;
        memcpy(&a, x + i, 8);
        _mm_storeu_ps(y + i, _mm_movelh_ps(_mm_unpacklo_ps(CYACT_AT(a, 0), CYACT_AT(a, 1)),
                                           _mm_unpacklo_ps(CYACT_AT(a, 2), CYACT_AT(a, 3))));
    }
    #undef CYACT_AT
#else
    for (i = 0; i < n; i++) y[i] = slopes[x[i]];
#endif
}

/* y = x, -x or a constant, depending on where among the halves x is; of any length */
CYACT_INLINE void cyact_choose(const uint16_t *x, uint16_t *y, ptrdiff_t n, int second, int third,
                               const uint16_t *keep, const uint16_t *flip, uint16_t infinity,
                               uint16_t quiet) {
    const int16_t s = (int16_t)second, t = (int16_t)third;
    const uint16_t k0 = keep[0], k1 = keep[1], k2 = keep[2];
    const uint16_t f0 = flip[0], f1 = flip[1], f2 = flip[2];
    ptrdiff_t i;
    CYACT_IN_PLACE
    for (i = 0; i < n; i++) {
        uint16_t h = x[i], size = h & 0x7fffu;
        int16_t order = cyact_order(h);
        uint16_t k = order < s ? k0 : order < t ? k1 : k2;
        uint16_t f = order < s ? f0 : order < t ? f1 : f2;
        uint16_t r = (uint16_t)((h & k) ^ f);
        y[i] = size > infinity ? (uint16_t)(h | quiet) : r;
    }
}

/* The float next to x, which is finite and not 0, upwards for 1, downwards for -1. */
CYACT_INLINE float cyact_neighbour(float x, int direction) {
    return cyact_float(cyact_bits32(x) + (uint32_t)(x > 0 ? direction : -direction));
}

#endif
