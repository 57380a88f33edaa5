"""Vectors of float32 for functions along an axis, and the exponential they share.

e^d is 2^(n/8) e^r with |r| <= log(2)/16. The eight powers are in a table that one permute looks
up; a plain loop would load each entry's by itself. Where there is no permute, vectors are four
wide and do that. Every operation rounds as that on single numbers, so the bits of a result do not
depend on the width. Tables and coefficients are made by tools/constants_rows.py.
"""

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* 2^(k/8), less 127 << 23, the exponent of 1, and k << 20, which the index brings along; and
       the logarithm of what rounding took away from it. Twice, for vectors of sixteen. */
    #define CYACT_TWICE(a, b, c, d, e, f, g, h) {a, b, c, d, e, f, g, h, a, b, c, d, e, f, g, h}
    static const uint32_t cyact_row_powers[16] = CYACT_TWICE(
        0u, 0xfffb95c2u, 0xfff837f0u, 0xfff5fed7u, 0xfff504f3u, 0xfff5672au, 0xfff744fdu,
        0xfffac0c7u);
    static const float cyact_row_shifts[16] = CYACT_TWICE(
        0.0f, -1.199215748926008e-08f, 3.1934181521364735e-08f, -3.0990722876822474e-08f,
        1.7114270889351246e-08f, 5.233334210430485e-09f, -1.4719605978541495e-08f,
        -6.128259677495862e-09f);
    #if defined(__GNUC__) && defined(__AVX2__) && defined(__FMA__)
      #include <immintrin.h>
      #ifdef __AVX512F__
        #define CYACT_ROW(name) _mm512_##name
        typedef __m512 cyact_row_lanes;
        typedef uint32_t cyact_row_words __attribute__((vector_size(64)));
        static CYTHON_INLINE __m512 cyact_row_between(__m512 x, __m512 low, __m512 high,
                                                      __m512 y) {
            __mmask16 in = _mm512_cmp_ps_mask(x, low, _CMP_NLE_UQ);
            return _mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask(in, x, high, _CMP_NGE_UQ), y);
        }
        static CYTHON_INLINE __m512 cyact_row_count(__m512 x, __m512 y, __m512 n) {
            __mmask16 same = _mm512_cmp_ps_mask(x, y, _CMP_EQ_OQ);
            return _mm512_mask_add_ps(n, same, n, _mm512_set1_ps(1));
        }
        static CYTHON_INLINE void cyact_row_add(__m512 x, double *s) {
            __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
            __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
            _mm512_storeu_pd(s, _mm512_add_pd(_mm512_loadu_pd(s), low));
            _mm512_storeu_pd(s + 8, _mm512_add_pd(_mm512_loadu_pd(s + 8), high));
        }
        #define CYACT_ROW_FIRST(n) ((__mmask16)(n >= 16 ? 0xffff : (1u << n) - 1))
        static CYTHON_INLINE __m512 cyact_row_load_first(const float *x, Py_ssize_t n, float rest) {
            return _mm512_mask_loadu_ps(_mm512_set1_ps(rest), CYACT_ROW_FIRST(n), x);
        }
        static CYTHON_INLINE void cyact_row_store_first(float *y, __m512 x, Py_ssize_t n) {
            _mm512_mask_storeu_ps(y, CYACT_ROW_FIRST(n), x);
        }
        #define cyact_row_lookup(table, index) \\
            _mm512_permutexvar_ps((__m512i)(index), _mm512_loadu_ps((const float *)(table)))
      #else
        #define CYACT_ROW(name) _mm256_##name
        typedef __m256 cyact_row_lanes;
        typedef uint32_t cyact_row_words __attribute__((vector_size(32)));
        static CYTHON_INLINE __m256 cyact_row_between(__m256 x, __m256 low, __m256 high,
                                                      __m256 y) {
            __m256 in = _mm256_and_ps(_mm256_cmp_ps(x, low, _CMP_NLE_UQ),
                                      _mm256_cmp_ps(x, high, _CMP_NGE_UQ));
            return _mm256_and_ps(in, y);
        }
        static CYTHON_INLINE __m256 cyact_row_count(__m256 x, __m256 y, __m256 n) {
            __m256 same = _mm256_cmp_ps(x, y, _CMP_EQ_OQ);
            return _mm256_add_ps(n, _mm256_and_ps(same, _mm256_set1_ps(1)));
        }
        static CYTHON_INLINE void cyact_row_add(__m256 x, double *s) {
            __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
            __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
            _mm256_storeu_pd(s, _mm256_add_pd(_mm256_loadu_pd(s), low));
            _mm256_storeu_pd(s + 4, _mm256_add_pd(_mm256_loadu_pd(s + 4), high));
        }
        static const int32_t cyact_row_firsts[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
        #define CYACT_ROW_FIRST(n) _mm256_loadu_si256( \\
            (const __m256i *)(cyact_row_firsts + (n >= 8 ? 0 : n <= 0 ? 8 : 8 - n)))
        static CYTHON_INLINE __m256 cyact_row_load_first(const float *x, Py_ssize_t n, float rest) {
            __m256i first = CYACT_ROW_FIRST(n);
            return _mm256_blendv_ps(_mm256_set1_ps(rest), _mm256_maskload_ps(x, first),
                                    (__m256)first);
        }
        static CYTHON_INLINE void cyact_row_store_first(float *y, __m256 x, Py_ssize_t n) {
            _mm256_maskstore_ps(y, CYACT_ROW_FIRST(n), x);
        }
        #define cyact_row_lookup(table, index) \\
            _mm256_permutevar8x32_ps(_mm256_loadu_ps((const float *)(table)), (__m256i)(index))
      #endif
      #define cyact_row_load(x) CYACT_ROW(loadu_ps)(x)
      #define cyact_row_store(y, x) CYACT_ROW(storeu_ps)(y, x)
      #define cyact_row_stream(y, x) CYACT_ROW(stream_ps)(y, x)
      #define cyact_row_every(x) CYACT_ROW(set1_ps)(x)
      #define cyact_row_fused(a, b, c) CYACT_ROW(fmadd_ps)(a, b, c)
      #define cyact_row_greater(a, b) CYACT_ROW(max_ps)(a, b)
    #else
      #if defined(__GNUC__)
        typedef float cyact_row_lanes __attribute__((vector_size(16)));
        typedef uint32_t cyact_row_words __attribute__((vector_size(16)));
        #define CYACT_ROW_AT(x) ((x)[i])
      #else
        typedef float cyact_row_lanes;
        typedef uint32_t cyact_row_words;
        #define CYACT_ROW_AT(x) (x)
      #endif
      #define CYACT_ROW_EACH(value) \\
          cyact_row_lanes y; int i; \\
          for (i = 0; i < (int)(sizeof(y) / 4); i++) CYACT_ROW_AT(y) = (value); \\
          return y;
      #if defined(__FMA__) || defined(__aarch64__)
        #define CYACT_ROW_FUSED(a, b, c) __builtin_fmaf(a, b, c)
      #else
        #define CYACT_ROW_FUSED(a, b, c) ((float)((double)(a) * (b) + (c)))
      #endif
      static CYTHON_INLINE cyact_row_lanes cyact_row_load(const float *x) {
          cyact_row_lanes y; memcpy(&y, x, sizeof(y)); return y;
      }
      static CYTHON_INLINE void cyact_row_store(float *y, cyact_row_lanes x) {
          memcpy(y, &x, sizeof(x));
      }
      #if defined(__GNUC__) && defined(__SSE2__)
        #include <xmmintrin.h>
        #define cyact_row_stream(y, x) _mm_stream_ps(y, x)
      #else
        #define cyact_row_stream(y, x) cyact_row_store(y, x)
      #endif
      static CYTHON_INLINE cyact_row_lanes cyact_row_every(float x) { CYACT_ROW_EACH(x) }
      static CYTHON_INLINE cyact_row_lanes cyact_row_fused(
              cyact_row_lanes a, cyact_row_lanes b, cyact_row_lanes c) {
          CYACT_ROW_EACH(CYACT_ROW_FUSED(CYACT_ROW_AT(a), CYACT_ROW_AT(b), CYACT_ROW_AT(c)))
      }
      static CYTHON_INLINE cyact_row_lanes cyact_row_greater(
              cyact_row_lanes a, cyact_row_lanes b) {
          CYACT_ROW_EACH(CYACT_ROW_AT(a) > CYACT_ROW_AT(b) ? CYACT_ROW_AT(a) : CYACT_ROW_AT(b))
      }
      static CYTHON_INLINE cyact_row_lanes cyact_row_between(
              cyact_row_lanes x, cyact_row_lanes low, cyact_row_lanes high, cyact_row_lanes z) {
          CYACT_ROW_EACH(CYACT_ROW_AT(x) <= CYACT_ROW_AT(low) ? 0 :
                         CYACT_ROW_AT(x) >= CYACT_ROW_AT(high) ? 0 : CYACT_ROW_AT(z))
      }
      static CYTHON_INLINE cyact_row_lanes cyact_row_count(
              cyact_row_lanes x, cyact_row_lanes z, cyact_row_lanes n) {
          CYACT_ROW_EACH(CYACT_ROW_AT(n) + (CYACT_ROW_AT(x) == CYACT_ROW_AT(z) ? 1 : 0))
      }
      static CYTHON_INLINE void cyact_row_add(cyact_row_lanes x, double *s) {
          int i;
          for (i = 0; i < (int)(sizeof(x) / 4); i++) s[i] += (double)CYACT_ROW_AT(x);
      }
      static CYTHON_INLINE cyact_row_lanes cyact_row_load_first(
              const float *x, Py_ssize_t n, float rest) {
          float few[sizeof(cyact_row_lanes) / 4]; int i;
          for (i = 0; i < (int)(sizeof(few) / 4); i++) few[i] = i < n ? x[i] : rest;
          return cyact_row_load(few);
      }
      static CYTHON_INLINE void cyact_row_store_first(float *y, cyact_row_lanes x, Py_ssize_t n) {
          float few[sizeof(cyact_row_lanes) / 4]; int i;
          cyact_row_store(few, x);
          for (i = 0; i < (int)(sizeof(few) / 4) && i < n; i++) y[i] = few[i];
      }
      static CYTHON_INLINE cyact_row_lanes cyact_row_lookup(
              const void *table, cyact_row_words index) {
          CYACT_ROW_EACH(((const float *)table)[CYACT_ROW_AT(index) & 7])
      }
    #endif
    static CYTHON_INLINE cyact_row_words cyact_row_as_words(cyact_row_lanes x) {
        cyact_row_words u; memcpy(&u, &x, sizeof(u)); return u;
    }
    static CYTHON_INLINE cyact_row_lanes cyact_row_as_lanes(cyact_row_words u) {
        cyact_row_lanes x; memcpy(&x, &u, sizeof(x)); return x;
    }
    #define CYACT_ROW_WIDTH ((Py_ssize_t)(sizeof(cyact_row_lanes) / sizeof(float)))
    """
    const Py_ssize_t WIDTH "CYACT_ROW_WIDTH"
    ctypedef float lanes "cyact_row_lanes"
    ctypedef unsigned int words "cyact_row_words"
    lanes load_lanes "cyact_row_load" (const float* x) noexcept nogil
    void store_lanes "cyact_row_store" (float* y, lanes x) noexcept nogil
    # the same past the caches, to whole vectors of memory
    void stream_lanes "cyact_row_stream" (float* y, lanes x) noexcept nogil
    lanes every "cyact_row_every" (float x) noexcept nogil
    lanes fused "cyact_row_fused" (lanes a, lanes b, lanes c) noexcept nogil      # a b + c
    lanes greater "cyact_row_greater" (lanes a, lanes b) noexcept nogil     # b if one is NaN
    # y where low < x < high or x is NaN, else 0
    lanes between "cyact_row_between" (lanes x, lanes low, lanes high, lanes y) noexcept nogil
    lanes count_same "cyact_row_count" (lanes x, lanes y, lanes n) noexcept nogil  # n + (x == y)
    void add_lanes "cyact_row_add" (lanes x, double* s) noexcept nogil       # s += x
    # only the first n entries, all if there are fewer; the others are `rest`
    lanes load_first "cyact_row_load_first" (const float* x, Py_ssize_t n, float rest) noexcept nogil
    void store_first "cyact_row_store_first" (float* y, lanes x, Py_ssize_t n) noexcept nogil
    words as_words "cyact_row_as_words" (lanes x) noexcept nogil
    lanes as_lanes "cyact_row_as_lanes" (words u) noexcept nogil
    lanes lookup "cyact_row_lookup" (const void* table, words index) noexcept nogil
    const unsigned int* POWERS "cyact_row_powers"
    const float* SHIFTS "cyact_row_shifts"


# The same of d + low: low is at most 2^-16.

cdef inline lanes exponential_of_sum(lanes d, lanes low, lanes magic, lanes* power) noexcept nogil:
    cdef lanes t = fused(d, every(<float> 11.541560173034668), magic)
    cdef words k = as_words(t)
    cdef lanes n = magic - t
    # The first is exact: a multiple of 2^-28 below 2^-4
    cdef lanes r = fused(n, every(<float> 0.08664339780807495), d)
    r = r + (low + fused(n, every(<float> -2.380817765157417e-10), lookup(SHIFTS, k)))
    cdef lanes q = fused(r, every(<float> 0.041668619960546494),
                         every(<float> 0.16667839884757996))
    q = fused(r, q, every(<float> 0.5))
    power[0] = as_lanes(as_words(lookup(POWERS, k)) + (k << 20))
    return fused(r * r, q, r)


# 2^k e^d, k hidden in magic: 1.5 * 2^23 + 8 (127 + k). d is exact and at least `least`, where the
# result is still normal; |d| < 512. It is power (1 + c), c being returned, to 2^-28: powers can
# be added up without the products, and what a product rounds away need not be known.

cdef inline lanes exponential(lanes d, lanes magic, lanes least, lanes* power) noexcept nogil:
    d = greater(least, d)
    cdef lanes t = fused(d, every(<float> 11.541560173034668), magic)
    cdef words k = as_words(t)
    cdef lanes n = magic - t
    # The first is exact: a multiple of 2^-28 below 2^-4
    cdef lanes r = fused(n, every(<float> 0.08664339780807495), d)
    r = r + fused(n, every(<float> -2.380817765157417e-10), lookup(SHIFTS, k))
    cdef lanes q = fused(r, every(<float> 0.041668619960546494),
                         every(<float> 0.16667839884757996))
    q = fused(r, q, every(<float> 0.5))
    power[0] = as_lanes(as_words(lookup(POWERS, k)) + (k << 20))
    return fused(r * r, q, r)
