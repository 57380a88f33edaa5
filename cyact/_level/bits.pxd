"""The bits of numbers, fused multiply-add and half types; bits.h says how."""

cdef extern from "bits.h":
    # Cython writes the literal 1 in a float expression as the double 1.0.
    const float ONE "1.0f"
    # whether fma() rounds once; fmaf() does everywhere
    const bint FMA "CYACT_FMA"
    ctypedef unsigned long long uint64 "uint64_t"
    ctypedef unsigned int uint32 "uint32_t"
    ctypedef unsigned short uint16 "uint16_t"
    uint64 bits64 "cyact_bits64" (double x) noexcept nogil
    double from_bits64 "cyact_double" (uint64 u) noexcept nogil
    uint32 bits32 "cyact_bits32" (float x) noexcept nogil
    float from_bits32 "cyact_float" (uint32 u) noexcept nogil
    double fma "cyact_fma" (double a, double b, double c) noexcept nogil
    float fmaf "cyact_fmaf" (float a, float b, float c) noexcept nogil
    double opaque "cyact_opaque" (double x) noexcept nogil
    float from_float16 "cyact_from_float16" (uint16 h) noexcept nogil
    uint16 to_float16 "cyact_to_float16" (float x) noexcept nogil
    float from_bfloat16 "cyact_from_bfloat16" (uint16 h) noexcept nogil
    uint16 to_bfloat16 "cyact_to_bfloat16" (float x) noexcept nogil

ctypedef fused real:
    float
    double


cdef inline real at_least(real x, real low) noexcept nogil:
    """max(x, low); NaN stays NaN."""
    return low if x < low else x


cdef inline real at_most(real x, real high) noexcept nogil:
    """min(x, high); NaN stays NaN."""
    return high if x > high else x


cdef inline real absolute(real x) noexcept nogil:
    if real is float:
        return from_bits32(bits32(x) & 0x7fffffff)
    else:
        return from_bits64(bits64(x) & 0x7fffffffffffffffULL)


cdef inline double minus_absolute(double x) noexcept nogil:
    return from_bits64(bits64(x) | 0x8000000000000000ULL)


cdef inline real with_sign(real size, real x) noexcept nogil:
    """size, whose own sign is not set or that of x, with the sign of x."""
    if real is float:
        return from_bits32(bits32(size) | (bits32(x) & ~<uint32> 0x7fffffff))
    else:
        return from_bits64(bits64(size) | (bits64(x) & 0x8000000000000000ULL))


cdef inline real multiply_add(real a, real b, real c) noexcept nogil:
    if real is float:
        return fmaf(a, b, c)
    else:
        return fma(a, b, c)


# Below AVX-512 there is no vector conversion between int64 and double: an integer n stays in a
# double t, whose low bits it fills after a sum with a large constant.

cdef inline double power(double t) noexcept nogil:
    """2^n, where the low bits of t hold n + 1023."""
    return from_bits64(bits64(t) << 52)


cdef inline double times_power(double x, double t) noexcept nogil:
    """x 2^n, n in the low bits of t, where the exponent of x has room for it.

    A NaN stays one if the low 12 bits of t are clear, which those of a NaN that was a float are.
    """
    return from_bits64(bits64(x) + (bits64(t) << 52))


cdef inline double exponent(double x) noexcept nogil:
    """The exponent of a positive x / sqrt(1/2), 1023 too large, as a double."""
    cdef uint64 u = (bits64(x) + 0x00095f619980c433ULL) >> 52
    return from_bits64(u | 0x4330000000000000ULL) - 4503599627370496.0


# w = 2^k m with m between 3/4 and 3/2; k is kept as an integer 1024 too large, for below AVX-512
# there is no arithmetic shift of int64, either.

cdef inline uint64 exponent_of(double w) noexcept nogil:
    """k + 1024 of a positive w."""
    return (bits64(w) - 0x3fe8000000000000ULL + (1024ULL << 52)) >> 52


cdef inline double unbiased(uint64 k) noexcept nogil:
    """k - 1024 as a double."""
    return from_bits64(k | 0x4330000000000000ULL) - (4503599627370496.0 + 1024.0)
