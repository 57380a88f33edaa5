"""Vectors of float32, for kernels that look numbers up in tables of sixteen.

In a plain loop the compiler makes a lookup one load for each element. A table in registers
serves a whole vector with one permute or two (AVX2, AVX-512, NEON), but these have to be asked
for by name, and the loop around them to be written in vectors. The arithmetic stays `+ - *`,
which GCC and Clang define for vectors, also of a vector and a number. Every operation rounds as
that on single numbers, so the bits of a result do not depend on the width.

Where PERMUTES is false a vector is one number, only to compile: kernels then take another way.
"""

cdef extern from *:
    """
    #if defined(__GNUC__) && defined(__AVX2__) && defined(__FMA__)
      #include <immintrin.h>
      #define CYACT_PERMUTES 1
      #ifdef __AVX512F__
        #define CYACT_VECTOR(name) _mm512_##name
        typedef __m512 cyact_lanes;
        typedef uint32_t cyact_words __attribute__((vector_size(64)));
        static CYTHON_INLINE cyact_lanes cyact_lookup(const float* table, cyact_words index) {
            return _mm512_permutexvar_ps((__m512i)index, _mm512_loadu_ps(table));
        }
      #else
        #define CYACT_VECTOR(name) _mm256_##name
        typedef __m256 cyact_lanes;
        typedef uint32_t cyact_words __attribute__((vector_size(32)));
        static CYTHON_INLINE cyact_lanes cyact_lookup(const float* table, cyact_words index) {
            /* A permute reads the three low bits; the fourth, as a sign, chooses the half. */
            __m256i i = (__m256i)index;
            return _mm256_blendv_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i),
                                    _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i),
                                    (__m256)_mm256_slli_epi32(i, 28));
        }
      #endif
      #define cyact_load_lanes(x) CYACT_VECTOR(loadu_ps)(x)
      #define cyact_store_lanes(y, x) CYACT_VECTOR(storeu_ps)(y, x)
      #define cyact_every(x) CYACT_VECTOR(set1_ps)(x)
      #define cyact_fused_lanes(a, b, c) CYACT_VECTOR(fmadd_ps)(a, b, c)
      #define cyact_lesser(a, b) CYACT_VECTOR(min_ps)(a, b)
      #define cyact_greater(a, b) CYACT_VECTOR(max_ps)(a, b)
      #define cyact_as_words(x) ((cyact_words)(x))
      #define cyact_as_lanes(u) ((cyact_lanes)(u))
      #define cyact_where_up_to(a, b) ((cyact_words)((a) <= (b)))
    #elif defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
      #include <arm_neon.h>
      #define CYACT_PERMUTES 1
      typedef float32x4_t cyact_lanes;
      typedef uint32_t cyact_words __attribute__((vector_size(16)));
      static CYTHON_INLINE cyact_lanes cyact_lookup(const float* table, cyact_words index) {
          /* by bytes: 4 index + {0, 1, 2, 3} */
          cyact_words i = (index & 15) * 0x04040404 + 0x03020100;
          return vreinterpretq_f32_u8(vqtbl4q_u8(vld1q_u8_x4((const uint8_t*)table),
                                                 (uint8x16_t)i));
      }
      #define cyact_load_lanes(x) vld1q_f32(x)
      #define cyact_store_lanes(y, x) vst1q_f32(y, x)
      #define cyact_every(x) vdupq_n_f32(x)
      #define cyact_fused_lanes(a, b, c) vfmaq_f32(c, a, b)
      #define cyact_lesser(a, b) vbslq_f32(vcltq_f32(a, b), a, b)
      #define cyact_greater(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
      #define cyact_as_words(x) ((cyact_words)(x))
      #define cyact_as_lanes(u) ((cyact_lanes)(u))
      #define cyact_where_up_to(a, b) ((cyact_words)((a) <= (b)))
    #else
      #define CYACT_PERMUTES 0
      typedef float cyact_lanes;
      typedef uint32_t cyact_words;
      #define cyact_lookup(table, index) ((table)[(index) & 15])
      #define cyact_load_lanes(x) (*(x))
      #define cyact_store_lanes(y, x) (*(y) = (x))
      #define cyact_every(x) (x)
      #define cyact_fused_lanes(a, b, c) cyact_fmaf(a, b, c)
      #define cyact_lesser(a, b) ((a) < (b) ? (a) : (b))
      #define cyact_greater(a, b) ((a) > (b) ? (a) : (b))
      #define cyact_as_words(x) cyact_bits32(x)
      #define cyact_as_lanes(u) cyact_float(u)
      #define cyact_where_up_to(a, b) ((a) <= (b) ? 0xffffffffu : 0u)
    #endif
    #define CYACT_LANES_WIDTH ((Py_ssize_t)(sizeof(cyact_lanes) / sizeof(float)))
    """
    const bint PERMUTES "CYACT_PERMUTES"
    const Py_ssize_t WIDTH "CYACT_LANES_WIDTH"
    ctypedef float lanes "cyact_lanes"
    ctypedef unsigned int words "cyact_words"
    lanes load "cyact_load_lanes" (const float* x) noexcept nogil
    void store "cyact_store_lanes" (float* y, lanes x) noexcept nogil
    lanes every "cyact_every" (float x) noexcept nogil
    lanes fused "cyact_fused_lanes" (lanes a, lanes b, lanes c) noexcept nogil     # a b + c
    lanes lesser "cyact_lesser" (lanes a, lanes b) noexcept nogil            # b if one is NaN
    lanes greater "cyact_greater" (lanes a, lanes b) noexcept nogil          # likewise
    words as_words "cyact_as_words" (lanes x) noexcept nogil
    lanes as_lanes "cyact_as_lanes" (words u) noexcept nogil
    words where_up_to "cyact_where_up_to" (lanes a, lanes b) noexcept nogil  # ones where a <= b
    # table[index & 15]
    lanes lookup "cyact_lookup" (const float* table, words index) noexcept nogil
