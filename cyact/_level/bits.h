/* What C is needed for below the kernels: the bits of numbers, a fused multiply-add where there is
   one, half types, and a few words to the compiler. Everything is inlined, at every level. */
#ifndef CYACT_BITS_H
#define CYACT_BITS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER)
  #define CYACT_INLINE static __forceinline
  #define CYACT_ALIGNED __declspec(align(64))
#else
  #define CYACT_INLINE static inline __attribute__((always_inline))
  #define CYACT_ALIGNED __attribute__((aligned(64)))
#endif

/* The bits of numbers */

CYACT_INLINE uint64_t cyact_bits64(double x) {
    uint64_t u;
    memcpy(&u, &x, 8);
    return u;
}

CYACT_INLINE double cyact_double(uint64_t u) {
    double x;
    memcpy(&x, &u, 8);
    return x;
}

CYACT_INLINE uint32_t cyact_bits32(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

CYACT_INLINE float cyact_float(uint32_t u) {
    float x;
    memcpy(&x, &u, 4);
    return x;
}

/* a * b + c. Without the instruction fma() is a call. The double formulas only need precision, so
   two roundings do; the float ones need the exact product, which a double holds. */

#if defined(__FMA__) || defined(__aarch64__) || defined(_M_ARM64) || \
    (defined(_MSC_VER) && defined(__AVX2__))
  #define CYACT_FMA 1
  CYACT_INLINE double cyact_fma(double a, double b, double c) { return fma(a, b, c); }
  CYACT_INLINE float cyact_fmaf(float a, float b, float c) { return fmaf(a, b, c); }
#else
  #define CYACT_FMA 0
  CYACT_INLINE double cyact_fma(double a, double b, double c) { return a * b + c; }
  CYACT_INLINE float cyact_fmaf(float a, float b, float c) { return (float)((double)a * b + c); }
#endif

/* A value the compiler knows nothing about. Given literal bounds, GCC splits a clamp into branches
   and the loop is lost. */
CYACT_INLINE double cyact_opaque(double x) {
#if defined(__GNUC__) && defined(__x86_64__)
    __asm__("" : "+x"(x));
#elif defined(__GNUC__) && defined(__aarch64__)
    __asm__("" : "+w"(x));
#endif
    return x;
}

/* float16: exponent and fraction move into place; the product moves the exponent's bias, and makes
   subnormal numbers normal. */
CYACT_INLINE float cyact_from_float16(uint16_t h) {
    uint32_t u = h & 0x7fffu;
    const float bias = 5192296858534827628530496329220096.0f; /* 2^112 */
    uint32_t finite = cyact_bits32(cyact_float(u << 13) * bias);
    uint32_t other = (u << 13) | 0x7f800000u;
    return cyact_float((u < 0x7c00u ? finite : other) | (uint32_t)(h & 0x8000u) << 16);
}

/* To nearest, ties to even. Adding 0.5 rounds a subnormal result, in units of 2^-24. */
CYACT_INLINE uint16_t cyact_to_float16(float x) {
    uint32_t u = cyact_bits32(x), a = u & 0x7fffffffu;
    uint32_t normal = (a - 0x38000000u + 0xfffu + ((a >> 13) & 1u)) >> 13;
    uint32_t small = cyact_bits32(cyact_float(a) + 0.5f) - 0x3f000000u;
    uint32_t r = a < 0x38800000u ? small : normal;
    r = a >= 0x477ff000u ? 0x7c00u : r;
    r = a > 0x7f800000u ? 0x7e00u | (a >> 13 & 0x1ffu) : r;
    return (uint16_t)(r | (u >> 16 & 0x8000u));
}

CYACT_INLINE float cyact_from_bfloat16(uint16_t h) { return cyact_float((uint32_t)h << 16); }

CYACT_INLINE uint16_t cyact_to_bfloat16(float x) {
    uint32_t u = cyact_bits32(x), r = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16) | 0x40u : r);
}

#endif
