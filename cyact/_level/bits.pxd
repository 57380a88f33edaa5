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


# Below AVX-512 there is no vector conversion between int64 and double: an integer n stays in a
# double t, whose low bits it fills after a sum with a large constant.

cdef inline double power(double t) noexcept nogil:
    """2^n, where the low bits of t hold n + 1023."""
    return from_bits64(bits64(t) << 52)


cdef inline double scaled(double x, double t) noexcept nogil:
    """x 2^n, n in the low bits of t, where the exponent of x has room for it.

    A NaN stays one if the low 12 bits of t are clear, which those of a NaN that was a float are.
    """
    return from_bits64(bits64(x) + (bits64(t) << 52))


cdef inline double exponent(double x) noexcept nogil:
    """The exponent of a positive x / sqrt(1/2), 1023 too large, as a double."""
    cdef uint64 u = (bits64(x) + 0x00095f619980c433ULL) >> 52
    return from_bits64(u | 0x4330000000000000ULL) - 4503599627370496.0
