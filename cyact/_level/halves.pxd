"""float16 and bfloat16, as uint16, to and from float32; n is a multiple of LANES."""

from cyact._level.abi cimport BFLOAT16, LANES, Known

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
      #include <immintrin.h>
    #endif

    static CYTHON_INLINE uint32_t cyact_half_bits(float x) {
        uint32_t u; memcpy(&u, &x, 4); return u;
    }
    static CYTHON_INLINE float cyact_half_float(uint32_t u) {
        float x; memcpy(&x, &u, 4); return x;
    }
    /* Exponent and fraction move into place; the product moves the exponent's bias, and makes
       subnormal numbers normal. */
    static CYTHON_INLINE float cyact_from_half(uint16_t h) {
        uint32_t u = h & 0x7fffu;
        const float bias = 5192296858534827628530496329220096.0f;     /* 2^112 */
        uint32_t finite = cyact_half_bits(cyact_half_float(u << 13) * bias);
        uint32_t other = (u << 13) | 0x7f800000u;
        return cyact_half_float((u < 0x7c00u ? finite : other) | (uint32_t)(h & 0x8000u) << 16);
    }
    /* To nearest, ties to even. Adding 0.5 rounds a subnormal result, in units of 2^-24. */
    static CYTHON_INLINE uint16_t cyact_to_half(float x) {
        uint32_t u = cyact_half_bits(x), a = u & 0x7fffffffu;
        uint32_t normal = (a - 0x38000000u + 0xfffu + ((a >> 13) & 1u)) >> 13;
        uint32_t small = cyact_half_bits(cyact_half_float(a) + 0.5f) - 0x3f000000u;
        uint32_t r = a < 0x38800000u ? small : normal;
        r = a >= 0x477ff000u ? 0x7c00u : r;
        r = a > 0x7f800000u ? 0x7e00u | (a >> 13 & 0x1ffu) : r;
        return (uint16_t)(r | (u >> 16 & 0x8000u));
    }
    static CYTHON_INLINE float cyact_from_bfloat(uint16_t h) {
        return cyact_half_float((uint32_t)h << 16);
    }
    static CYTHON_INLINE uint16_t cyact_to_bfloat(float x) {
        uint32_t u = cyact_half_bits(x), r = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
        return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16) | 0x40u : r);
    }

    /* A vector of floats, from and to as many halves */
    #if defined(__AVX512BW__) && defined(__AVX512VL__)
      #define CYACT_WIDTH 16
      typedef __m512 cyact_floats;
      #define cyact_load(x) _mm512_loadu_ps(x)
      #define cyact_store(x, v) _mm512_storeu_ps(x, v)
      #define cyact_times(v, w) _mm512_mul_ps(v, w)
      #define cyact_plus(v, w) _mm512_add_ps(v, w)
    /* Where words go: into the upper halves of words twice as long, or back from there */
    static CYTHON_INLINE __m512i cyact_upper(int back) {
        const __m512i i = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        const __m512i back_from = _mm512_set_epi16(
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
        return back ? back_from : _mm512_slli_epi32(i, 16);
    }
    static CYTHON_INLINE cyact_floats cyact_get(const uint16_t *h, int bfloat) {
        __m256i u = _mm256_loadu_si256((const void *)h);
        return bfloat ? _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(
                            0xaaaaaaaau, cyact_upper(0), _mm512_castsi256_si512(u)))
                      : _mm512_cvtph_ps(u);
    }
    static CYTHON_INLINE void cyact_put(uint16_t *h, cyact_floats v, int bfloat) {
        if (bfloat) {
            __m512i u = _mm512_castps_si512(v);
            __mmask16 odd = _mm512_test_epi32_mask(u, _mm512_set1_epi32(0x10000));
            __m512i r = _mm512_add_epi32(u, _mm512_set1_epi32(0x7fff));
            r = _mm512_mask_sub_epi32(r, odd, r, _mm512_set1_epi32(-1));
            r = _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), u,
                                     _mm512_set1_epi32(0x400000));
            r = _mm512_permutexvar_epi16(cyact_upper(1), r);
            _mm256_storeu_si256((void *)h, _mm512_castsi512_si256(r));
        } else {
            _mm256_storeu_si256((void *)h, _mm512_cvtps_ph(v, 0));
        }
    }
    #elif defined(__AVX2__) && defined(__F16C__) && defined(__FMA__)
      #define CYACT_WIDTH 8
      typedef __m256 cyact_floats;
      #define cyact_load(x) _mm256_loadu_ps(x)
      #define cyact_store(x, v) _mm256_storeu_ps(x, v)
      #define cyact_times(v, w) _mm256_mul_ps(v, w)
      #define cyact_plus(v, w) _mm256_add_ps(v, w)
    static CYTHON_INLINE cyact_floats cyact_get(const uint16_t *h, int bfloat) {
        __m128i u = _mm_loadu_si128((const void *)h);
        return bfloat ? _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(u), 16))
                      : _mm256_cvtph_ps(u);
    }
    static CYTHON_INLINE void cyact_put(uint16_t *h, cyact_floats v, int bfloat) {
        if (bfloat) {
            __m256i u = _mm256_castps_si256(v), high = _mm256_srli_epi32(u, 16);
            __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
            __m256i half = _mm256_add_epi32(u, _mm256_set1_epi32(0x7fff));
            __m256i r = _mm256_srli_epi32(_mm256_add_epi32(half, odd), 16);
            r = _mm256_blendv_epi8(r, _mm256_or_si256(high, _mm256_set1_epi32(0x40)),
                                   _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
            _mm_storeu_si128((void *)h, _mm_packus_epi32(_mm256_castsi256_si128(r),
                                                         _mm256_extracti128_si256(r, 1)));
        } else {
            _mm_storeu_si128((void *)h, _mm256_cvtps_ph(v, 0));
        }
    }
    #endif

    static CYTHON_INLINE void cyact_widen(const uint16_t *h, float *x, Py_ssize_t n, int bfloat) {
        Py_ssize_t i;
    #if defined(CYACT_WIDTH)
        for (i = 0; i < n; i += CYACT_WIDTH) cyact_store(x + i, cyact_get(h + i, bfloat));
    #else
        if (bfloat)
            for (i = 0; i < n; i++) x[i] = cyact_from_bfloat(h[i]);
        else
            for (i = 0; i < n; i++) x[i] = cyact_from_half(h[i]);
    #endif
    }
    /* x = h + b */
    static CYTHON_INLINE void cyact_widen_and_add(const uint16_t *h, const float *b, float *x,
                                                  Py_ssize_t n, int bfloat) {
        Py_ssize_t i;
    #if defined(CYACT_WIDTH)
        for (i = 0; i < n; i += CYACT_WIDTH)
            cyact_store(x + i, cyact_plus(cyact_get(h + i, bfloat), cyact_load(b + i)));
    #else
        cyact_widen(h, x, n, bfloat);
        for (i = 0; i < n; i++) x[i] += b[i];
    #endif
    }
    static CYTHON_INLINE void cyact_narrow(const float *x, uint16_t *h, Py_ssize_t n, int bfloat) {
        Py_ssize_t i;
    #if defined(CYACT_WIDTH)
        for (i = 0; i < n; i += CYACT_WIDTH) cyact_put(h + i, cyact_load(x + i), bfloat);
    #else
        if (bfloat)
            for (i = 0; i < n; i++) h[i] = cyact_to_bfloat(x[i]);
        else
            for (i = 0; i < n; i++) h[i] = cyact_to_half(x[i]);
    #endif
    }
    /* h = grad * x; in one go, for x and the product stay in registers */
    static CYTHON_INLINE void cyact_product(const uint16_t *grad, float *x, uint16_t *h,
                                            Py_ssize_t n, int bfloat) {
        Py_ssize_t i;
    #if defined(CYACT_WIDTH)
        for (i = 0; i < n; i += CYACT_WIDTH)
            cyact_put(h + i, cyact_times(cyact_get(grad + i, bfloat), cyact_load(x + i)), bfloat);
    #else
        if (bfloat)
            for (i = 0; i < n; i++) x[i] = cyact_from_bfloat(grad[i]) * x[i];
        else
            for (i = 0; i < n; i++) x[i] = cyact_from_half(grad[i]) * x[i];
        cyact_narrow(x, h, n, bfloat);
    #endif
    }
    /* Whether one of 16 floats is so near a tie of the smaller type that its error decides.

       A tie is the bit pattern `tie` among the bits that rounding drops, whose mask is
       `dropped`: from tie - width to tie + width - 1, a sum has zeros above the low bits.
       float16's subnormal numbers are multiples of 2^-24: there a tie is a fraction of 1/2,
       and `limit` a little less; `subnormal` is twice the bits of the smallest normal number,
       or 0 where there is no such thing. What is had of a positive `from` has no error; `from` may
       be NULL. */
    static CYTHON_INLINE int cyact_near_tie(const float *x, const float *from, uint32_t tie,
                                            uint32_t dropped, uint32_t width, uint32_t subnormal,
                                            float limit) {
        const uint32_t above = dropped & ~(2 * width - 1);
    #if CYACT_WIDTH == 16
        __m512i u = _mm512_loadu_si512(x);
        __mmask16 small = _mm512_cmplt_epu32_mask(
            _mm512_add_epi32(_mm512_add_epi32(u, u), _mm512_set1_epi32(-1)),
            _mm512_set1_epi32(subnormal));
        __mmask16 k = _mm512_mask_testn_epi32_mask(
            (__mmask16)~small, _mm512_add_epi32(u, _mm512_set1_epi32(width - tie)),
            _mm512_set1_epi32(above));
        if (__builtin_expect(small != 0, 0)) {
            const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
            __m512 v = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_and_si512(u, magnitude)),
                                     _mm512_set1_ps(16777216.0f));
            __m512 magic = _mm512_set1_ps(12582912.0f);
            __m512 d = _mm512_sub_ps(v, _mm512_sub_ps(_mm512_add_ps(v, magic), magic));
            __m512i e = _mm512_and_si512(_mm512_castps_si512(d), magnitude);
            k |= _mm512_mask_cmp_ps_mask(small, _mm512_castsi512_ps(e), _mm512_set1_ps(limit),
                                         _CMP_GT_OQ);
        }
        if (from)
            k &= ~_mm512_cmp_ps_mask(_mm512_loadu_ps(from), _mm512_setzero_ps(), _CMP_GT_OQ);
        return k != 0;
    #else
        uint32_t near = 0;
        int i;
        for (i = 0; i < 16; i++) {
            uint32_t u = cyact_half_bits(x[i]);
            float v = cyact_half_float(u & 0x7fffffffu) * 16777216.0f;
            float d = v - ((v + 12582912.0f) - 12582912.0f);
            uint32_t far = cyact_half_float(cyact_half_bits(d) & 0x7fffffffu) > limit ? 0u : 1u;
            uint32_t rest = (u + width - tie) & above;
            rest = from && from[i] > 0 ? 1u : rest;
            far = from && from[i] > 0 ? 1u : far;
            near |= (2 * u - 1u < subnormal ? far : rest) == 0 ? 1u : 0u;
        }
        return near != 0;
    #endif
    }
    /* Round n floats to halves, and list the blocks of 16 in which near_tie finds something. */
    static CYTHON_INLINE int cyact_round_and_list(
            const float *x, const float *from, uint16_t *h, Py_ssize_t n, int bfloat,
            uint32_t tie, uint32_t dropped, uint32_t width, uint32_t subnormal, float limit,
            short *found) {
        Py_ssize_t i;
        int count = 0;
    #if CYACT_WIDTH == 16
        const __m512i above = _mm512_set1_epi32(dropped & ~(2 * width - 1));
        const __m512i shift = _mm512_set1_epi32(width - tie), less = _mm512_set1_epi32(-1);
        const __m512i smallest = _mm512_set1_epi32(subnormal);
        for (i = 0; i < n; i += 16) {
            __m512 v = _mm512_loadu_ps(x + i);
            __m512i u = _mm512_castps_si512(v);
            __mmask16 large = _mm512_cmpge_epu32_mask(
                _mm512_add_epi32(_mm512_add_epi32(u, u), less), smallest);
            __mmask16 far = _mm512_mask_test_epi32_mask(large, _mm512_add_epi32(u, shift), above);
            cyact_put(h + i, v, bfloat);
            if (from)
                far |= _mm512_cmp_ps_mask(_mm512_loadu_ps(from + i), _mm512_setzero_ps(),
                                          _CMP_GT_OQ);
            if (__builtin_expect(far != 0xffff, 0)
                    && cyact_near_tie(x + i, from ? from + i : from, tie, dropped, width,
                                      subnormal, limit))
                found[count++] = (short)i;
        }
    #else
        cyact_narrow(x, h, n, bfloat);
        for (i = 0; i < n; i += 16)
            if (cyact_near_tie(x + i, from ? from + i : from, tie, dropped, width, subnormal,
                               limit))
                found[count++] = (short)i;
    #endif
        return count;
    }
    /* x + rest, of which only the sign of rest is known, made a float: the next towards zero,
       with its last bit set unless it is exact. So rounded, it rounds to fewer bits as if the
       sum itself were rounded. */
    static CYTHON_INLINE float cyact_round_to_odd(double x, double rest) {
        float y = (float)x;
        uint32_t u = cyact_half_bits(y);
        double off = y == x ? -rest : y - x;     /* by how much y is too large */
        if (off == 0 || x - x != 0 || x == 0) return y;
        if (x < 0 ? off < 0 : off > 0) u -= 1;
        return cyact_half_float(u | 1u);
    }
    /* The same of n, without branches: bits cut off the doubles. Not where a float is subnormal,
       which the conversion would round. */
    static CYTHON_INLINE void cyact_round_all_to_odd(const double *x, const double *rest, float *y,
                                                     Py_ssize_t n) {
        const uint64_t cut = 0x1fffffffu, size = 0x7fffffffffffffffu;
        const uint64_t least = 0x3810000000000000u;             /* of 2^-126 */
        uint64_t small = 0;
        Py_ssize_t i;
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
    static CYTHON_INLINE int16_t cyact_order(uint16_t h) {
        return (int16_t)(h ^ ((uint16_t)((int16_t)h >> 15) & 0x7fffu));
    }
    #if defined(__GNUC__) || defined(__clang__)
      #define CYACT_IN_PLACE _Pragma("GCC ivdep")      /* y may be x */
    #else
      #define CYACT_IN_PLACE
    #endif
    /* y = results[x], of any length */
    static CYTHON_INLINE void cyact_look_up(const uint16_t *results, const uint16_t *x,
                                            uint16_t *y, Py_ssize_t n) {
        Py_ssize_t i = 0;
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
    static CYTHON_INLINE void cyact_look_up_floats(const float *slopes, const uint16_t *x,
                                                   float *y, Py_ssize_t n) {
        Py_ssize_t i;
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
    static CYTHON_INLINE void cyact_choose(
            const uint16_t *x, uint16_t *y, Py_ssize_t n, int second, int third,
            const uint16_t *keep, const uint16_t *flip, uint16_t infinity, uint16_t quiet) {
        const int16_t s = (int16_t)second, t = (int16_t)third;
        const uint16_t k0 = keep[0], k1 = keep[1], k2 = keep[2];
        const uint16_t f0 = flip[0], f1 = flip[1], f2 = flip[2];
        Py_ssize_t i;
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
    static CYTHON_INLINE float cyact_neighbour(float x, int direction) {
        return cyact_half_float(cyact_half_bits(x) + (uint32_t)(x > 0 ? direction : -direction));
    }
    """
    ctypedef unsigned short uint16 "uint16_t"
    float from_half "cyact_from_half" (uint16 h) noexcept nogil
    uint16 to_half "cyact_to_half" (float x) noexcept nogil
    float from_bfloat "cyact_from_bfloat" (uint16 h) noexcept nogil
    uint16 to_bfloat "cyact_to_bfloat" (float x) noexcept nogil
    void round_to_odd "cyact_round_all_to_odd" (const double* x, const double* rest, float* y,
                                                Py_ssize_t n) noexcept nogil
    float neighbour "cyact_neighbour" (float x, int direction) noexcept nogil
    void look_up "cyact_look_up" (const uint16* results, const uint16* x, uint16* y,
                                  Py_ssize_t n) noexcept nogil
    void choose "cyact_choose" (
        const uint16* x, uint16* y, Py_ssize_t n, int second, int third, const uint16* keep,
        const uint16* flip, uint16 infinity, uint16 quiet) noexcept nogil
    void c_widen "cyact_widen" (const uint16* h, float* x, Py_ssize_t n,
                                bint bfloat) noexcept nogil
    void c_widen_and_add "cyact_widen_and_add" (const uint16* h, const float* b, float* x,
                                                Py_ssize_t n, bint bfloat) noexcept nogil
    void c_narrow "cyact_narrow" (const float* x, uint16* h, Py_ssize_t n,
                                  bint bfloat) noexcept nogil
    void c_product "cyact_product" (const uint16* grad, float* x, uint16* h, Py_ssize_t n,
                                    bint bfloat) noexcept nogil
    void look_up_floats "cyact_look_up_floats" (const float* slopes, const uint16* x, float* y,
                                                Py_ssize_t n) noexcept nogil
    int round_and_list "cyact_round_and_list" (
        const float* x, const float* given, uint16* h, Py_ssize_t n, bint bfloat,
        unsigned int tie, unsigned int dropped, unsigned int width, unsigned int subnormal,
        float limit, short* found) noexcept nogil


# In two branches, so that neither asks again for each vector

cdef inline void widen(const uint16* h, float* x, Py_ssize_t n, int dtype) noexcept nogil:
    """x = h, exactly."""
    if dtype == BFLOAT16:
        c_widen(h, x, n & -LANES, True)
    else:
        c_widen(h, x, n & -LANES, False)


cdef inline void widen_and_add(const uint16* h, const float* b, float* x, Py_ssize_t n,
                               int dtype) noexcept nogil:
    """x = h + b."""
    if dtype == BFLOAT16:
        c_widen_and_add(h, b, x, n & -LANES, True)
    else:
        c_widen_and_add(h, b, x, n & -LANES, False)


cdef inline void narrow(const float* x, uint16* h, Py_ssize_t n, int dtype) noexcept nogil:
    """h = x rounded to nearest, ties to even."""
    if dtype == BFLOAT16:
        c_narrow(x, h, n & -LANES, True)
    else:
        c_narrow(x, h, n & -LANES, False)


cdef inline void product(const uint16* grad, float* x, uint16* h, Py_ssize_t n,
                         int dtype) noexcept nogil:
    """h = grad * x, rounded; x may be changed, h may be grad."""
    if dtype == BFLOAT16:
        c_product(grad, x, h, n & -LANES, True)
    else:
        c_product(grad, x, h, n & -LANES, False)


cdef inline void recall(const Known* known, const uint16* x, uint16* y,
                        Py_ssize_t n) noexcept nogil:
    """y = what is known of x; n is any number, y may be x."""
    if known.results != NULL:
        look_up(known.results, x, y, n)
    else:
        choose(x, y, n, known.start[1], known.start[2], known.keep, known.flip, known.infinity,
               known.quiet)
