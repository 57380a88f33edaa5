"""float16 and bfloat16, as uint16, to and from float32; n is a multiple of LANES."""

from cyact._abi cimport BFLOAT16, LANES, Known

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

    static CYTHON_INLINE void cyact_from_halves(const uint16_t *h, float *x, Py_ssize_t n) {
        Py_ssize_t i;
    #if defined(__AVX512F__)
        for (i = 0; i < n; i += 16)
            _mm512_storeu_ps(x + i, _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(h + i))));
    #elif defined(__F16C__)
        for (i = 0; i < n; i += 8)
            _mm256_storeu_ps(x + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(h + i))));
    #else
        for (i = 0; i < n; i++) x[i] = cyact_from_half(h[i]);
    #endif
    }
    static CYTHON_INLINE void cyact_to_halves(const float *x, uint16_t *h, Py_ssize_t n) {
        Py_ssize_t i;
    #if defined(__AVX512F__)
        for (i = 0; i < n; i += 16)
            _mm256_storeu_si256((void *)(h + i), _mm512_cvtps_ph(_mm512_loadu_ps(x + i), 0));
    #elif defined(__F16C__)
        for (i = 0; i < n; i += 8)
            _mm_storeu_si128((void *)(h + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
    #else
        for (i = 0; i < n; i++) h[i] = cyact_to_half(x[i]);
    #endif
    }
    /* Whether one of 16 floats is so near a tie of the smaller type that its error decides.

       A tie is the bit pattern `tie` among the bits that rounding drops, whose mask is
       `dropped`: from tie - width to tie + width - 1, a sum has zeros above the low bits.
       float16's subnormal numbers are multiples of 2^-24: there a tie is a fraction of 1/2,
       and `limit` a little less; `subnormal` is twice the bits of the smallest normal number,
       or 0 where there is no such thing. */
    static CYTHON_INLINE int cyact_near_tie(const float *x, uint32_t tie, uint32_t dropped,
                                            uint32_t width, uint32_t subnormal, float limit) {
        const uint32_t above = dropped & ~(2 * width - 1);
    #if defined(__AVX512F__)
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
            near |= (2 * u - 1u < subnormal ? far : rest) == 0 ? 1u : 0u;
        }
        return near != 0;
    #endif
    }
    /* Round n floats to halves, and list the blocks of 16 in which near_tie finds something. */
    static CYTHON_INLINE int cyact_round_and_list(
            const float *x, uint16_t *h, Py_ssize_t n, int bfloat, uint32_t tie,
            uint32_t dropped, uint32_t width, uint32_t subnormal, float limit, short *found) {
        Py_ssize_t i;
        int count = 0;
    #if defined(__AVX512F__)
        const __m512i above = _mm512_set1_epi32(dropped & ~(2 * width - 1));
        const __m512i shift = _mm512_set1_epi32(width - tie), less = _mm512_set1_epi32(-1);
        const __m512i smallest = _mm512_set1_epi32(subnormal), one = _mm512_set1_epi32(1);
        const __m512i half = _mm512_set1_epi32(0x7fff), quiet = _mm512_set1_epi32(0x40);
        for (i = 0; i < n; i += 16) {
            __m512 v = _mm512_loadu_ps(x + i);
            __m512i u = _mm512_castps_si512(v);
            __mmask16 small = _mm512_cmplt_epu32_mask(
                _mm512_add_epi32(_mm512_add_epi32(u, u), less), smallest);
            __mmask16 near = _mm512_testn_epi32_mask(_mm512_add_epi32(u, shift), above);
            if (bfloat) {
                __m512i high = _mm512_srli_epi32(u, 16);
                __m512i r = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(u, half),
                                                               _mm512_and_si512(high, one)), 16);
                r = _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), high, quiet);
                _mm256_storeu_si256((void *)(h + i), _mm512_cvtepi32_epi16(r));
            } else {
                _mm256_storeu_si256((void *)(h + i), _mm512_cvtps_ph(v, 0));
            }
            if (__builtin_expect((small | near) != 0, 0)
                    && cyact_near_tie(x + i, tie, dropped, width, subnormal, limit))
                found[count++] = (short)i;
        }
    #else
        if (bfloat)
            for (i = 0; i < n; i++) h[i] = cyact_to_bfloat(x[i]);
        else
            cyact_to_halves(x, h, n);
        for (i = 0; i < n; i += 16)
            if (cyact_near_tie(x + i, tie, dropped, width, subnormal, limit))
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
        if (off == 0 || x != x || x == 0) return y;
        if (x < 0 ? off < 0 : off > 0) u -= 1;
        return cyact_half_float(u | 1u);
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
    float round_to_odd "cyact_round_to_odd" (double x, double rest) noexcept nogil
    float neighbour "cyact_neighbour" (float x, int direction) noexcept nogil
    void look_up "cyact_look_up" (const uint16* results, const uint16* x, uint16* y,
                                  Py_ssize_t n) noexcept nogil
    void choose "cyact_choose" (
        const uint16* x, uint16* y, Py_ssize_t n, int second, int third, const uint16* keep,
        const uint16* flip, uint16 infinity, uint16 quiet) noexcept nogil
    float from_bfloat "cyact_from_bfloat" (uint16 h) noexcept nogil
    uint16 to_bfloat "cyact_to_bfloat" (float x) noexcept nogil
    void from_halves "cyact_from_halves" (const uint16* h, float* x, Py_ssize_t n) noexcept nogil
    void to_halves "cyact_to_halves" (const float* x, uint16* h, Py_ssize_t n) noexcept nogil
    int round_and_list "cyact_round_and_list" (
        const float* x, uint16* h, Py_ssize_t n, bint bfloat, unsigned int tie,
        unsigned int dropped, unsigned int width, unsigned int subnormal, float limit,
        short* found) noexcept nogil


cdef inline void widen(const uint16* h, float* x, Py_ssize_t n, int dtype) noexcept nogil:
    """x = h, exactly."""
    cdef Py_ssize_t i
    if dtype == BFLOAT16:
        for i in range(n & -LANES):
            x[i] = from_bfloat(h[i])
    else:
        from_halves(h, x, n)


cdef inline void narrow(const float* x, uint16* h, Py_ssize_t n, int dtype) noexcept nogil:
    """h = x rounded to nearest, ties to even."""
    cdef Py_ssize_t i
    if dtype == BFLOAT16:
        for i in range(n & -LANES):
            h[i] = to_bfloat(x[i])
    else:
        to_halves(x, h, n)


cdef inline void recall(const Known* known, const uint16* x, uint16* y,
                        Py_ssize_t n) noexcept nogil:
    """y = what is known of x; n is any number, y may be x."""
    if known.results != NULL:
        look_up(known.results, x, y, n)
    else:
        choose(x, y, n, known.start[1], known.start[2], known.keep, known.flip, known.infinity,
               known.quiet)
