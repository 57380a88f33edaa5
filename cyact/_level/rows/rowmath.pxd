"""The maths that only functions along an axis need: exponentials of a difference whose
rounding is carried, the logarithm of a sum, and sums in a fixed order.

Polynomials are made by tools/constants_rows.py, which prints their errors. Everything is
branch-free, so that loops over these functions vectorise.
"""

cdef extern from *:
    """
    #include <math.h>
    #include <stdint.h>
    #include <string.h>
    #if defined(__FMA__) || defined(__aarch64__) || defined(_M_ARM64) || \\
        (defined(_MSC_VER) && defined(__AVX2__))
      #define CYACT_FMA 1
      #define cyact_multiply_add(a, b, c) fma(a, b, c)
      #define cyact_multiply_addf(a, b, c) fmaf(a, b, c)
    #else
      #define CYACT_FMA 0
      #define cyact_multiply_add(a, b, c) ((a) * (b) + (c))
      #define cyact_multiply_addf(a, b, c) ((float)((double)(a) * (b) + (c)))
    #endif
    #if defined(_MSC_VER)
      #define CYACT_FLAT static __forceinline
      #define CYACT_LINE __declspec(align(64))
    #else
      #define CYACT_FLAT static inline __attribute__((always_inline))
      #define CYACT_LINE __attribute__((aligned(64)))
    #endif
    /* 2^k as a double, where the low bits of t hold k + 1023: no conversion, no table. */
    CYACT_FLAT double cyact_power(double t) {
        uint64_t bits;
        memcpy(&bits, &t, 8);
        bits <<= 52;
        memcpy(&t, &bits, 8);
        return t;
    }
    /* e * 2^k for an e whose exponent has room, k in the low bits of t. A NaN stays one if the
       low 12 bits of t are clear, which those of a NaN that was a float are. */
    CYACT_FLAT double cyact_scaled(double e, double t) {
        uint64_t bits, shift;
        memcpy(&bits, &e, 8);
        memcpy(&shift, &t, 8);
        bits += shift << 52;
        memcpy(&e, &bits, 8);
        return e;
    }
    /* The exponent field of u / sqrt(1/2) as a double in [0, 2047]. The conversion is an
       addition of bits: below AVX-512 there is no vector instruction for it. */
    CYACT_FLAT double cyact_exponent(double u) {
        uint64_t bits;
        memcpy(&bits, &u, 8);
        bits += 0x00095f619980c433u;
        bits = bits >> 52 | 0x4330000000000000u;
        memcpy(&u, &bits, 8);
        return u - 4503599627370496.0;
    }
    /* The rounding error of the product p = a * b; Dekker's split without hardware fma. */
    CYACT_FLAT double cyact_product_error(double a, double b, double p) {
    #if CYACT_FMA
        return fma(a, b, -p);
    #else
        double t = 134217729.0 * a, u = 134217729.0 * b;
        double ah = t - (t - a), bh = u - (u - b), al = a - ah, bl = b - bh;
        return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
    #endif
    }
    #define CYACT_ROW_CHUNK 1024
    typedef struct { CYACT_LINE double at[CYACT_ROW_CHUNK]; } cyact_row_doubles;
    /* Where a loop writes what it does not read. */
    #if defined(_MSC_VER)
      typedef float *__restrict cyact_out_floats;
      typedef double *__restrict cyact_out_doubles;
    #else
      typedef float *__restrict__ cyact_out_floats;
      typedef double *__restrict__ cyact_out_doubles;
    #endif
    """
    # a * b + c, fused where the hardware can
    double muladd "cyact_multiply_add" (double a, double b, double c) noexcept nogil
    # the same in float, rounded once everywhere
    float muladdf "cyact_multiply_addf" (float a, float b, float c) noexcept nogil
    double power "cyact_power" (double t) noexcept nogil
    double scaled "cyact_scaled" (double e, double t) noexcept nogil
    double exponent "cyact_exponent" (double u) noexcept nogil
    double product_error "cyact_product_error" (double a, double b, double p) noexcept nogil
    const bint FUSED "CYACT_FMA"
    cdef enum:
        CHUNK "CYACT_ROW_CHUNK"
    ctypedef struct doubles "cyact_row_doubles":
        double at[1024]
    ctypedef float* out_floats "cyact_out_floats"
    ctypedef double* out_doubles "cyact_out_doubles"

cdef enum:
    SUMS = 16    # partial sums of a row: two AVX-512 registers, and the block all rows pad to


# 2^(d k) for d <= 0: 2^-27.5 relative, exactly 1 at d = 0, where k = log2(e) / temperature.
# Below `low` (which the caller sets to -1000 / k) it is 2^-1000, which is 0 in float and
# vanishes from every sum of floats; NaN gives NaN. Bounds are arguments because GCC turns
# a literal bound into a branch.

cdef inline double exp_wide(double d, double k, double low) noexcept nogil:
    cdef double magic = 6755399441055744.0    # 1.5 * 2^52: a sum with it is an integer
    d = low if low > d else d
    cdef double t = muladd(d, k, magic)
    cdef double r = muladd(d, k, magic - t)
    cdef double q = muladd(r, 0.0001545316294512069, 0.0013390863364671234)
    q = muladd(r, q, 0.009618082557277852)
    q = muladd(r, q, 0.05550357114219078)
    q = muladd(r, q, 0.24022650760568126)
    q = muladd(r, q, 0.6931471880262288)
    return scaled(muladd(r, q, 1.0), t)


# e^(d + low), d <= 0, |low| <= 2^-53 |d|: returns it rounded (0.56 ULP) and leaves the rest in
# rest[0]. 0 below -746, whatever low holds (an infinite d has low = NaN); exactly 1 at 0.
# low enters the reduced argument as well as the correction: in the latter alone its product
# with r would be lost, 20 ULP.

cdef inline double exp_pair(double d, double low, double least, double* rest) noexcept nogil:
    # The factor's exponent is raised by 512 and lowered at the end: d may give a subnormal.
    cdef double magic = 6755399441055744.0 + 1023 + 512    # 1023: the bias power() needs
    cdef double dl = 0 if d < least else low
    d = least if least > d else d
    cdef double t = muladd(d, 1.4426950408889634, magic)
    cdef double n = magic - t
    cdef double rh = n * 0.693147180559663 + d    # exact: 41 bits by 11, then no rounding
    cdef double rl = muladd(n, 2.8235290563031577e-13, dl)
    cdef double r = rh + rl
    cdef double q = muladd(r, 2.0911229919631986e-09, 2.5100376098445793e-08)
    q = muladd(r, q, 2.755728298365677e-07)
    q = muladd(r, q, 2.755726847975115e-06)
    q = muladd(r, q, 2.480158731713542e-05)
    q = muladd(r, q, 0.00019841269863040905)
    q = muladd(r, q, 0.0013888888888886554)
    q = muladd(r, q, 0.008333333333330065)
    q = muladd(r, q, 0.041666666666666664)
    q = muladd(r, q, 0.16666666666666669)
    q = muladd(r, q, 0.5)
    cdef double s = 1 + rh
    cdef double c = (rh - (s - 1)) + muladd(r * r, q, rl)
    cdef double e = s + c
    cdef double p = power(t)
    rest[0] = (c - (e - s)) * p * 7.458340731200207e-155
    return e * p * 7.458340731200207e-155


# log(1 + z + low) for z >= 0, |low| <= 2^-53 z: fdlibm's log1p without its branches. 1 + z is
# u + c exactly, u = 2^k (1 + f), log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2))), s = f / (2 + f).

cdef inline double log1p_pair(double z, double low) noexcept nogil:
    cdef double big = z if z > 1 else 1
    cdef double small = 1 if z > 1 else z
    cdef double u = big + small
    cdef double c = (small - (u - big)) + low
    cdef double biased = exponent(u)
    cdef double k = biased - 1023
    cdef double p = power(4503599627370496.0 + 2046 - biased)    # 2^-k
    cdef double f = (u * p - 1) + c * p
    cdef double s = f / (2 + f)
    cdef double w = s * s
    cdef double q = muladd(w, 0.1461645097955211, 0.15331721495826012)
    q = muladd(w, q, 0.18182889128412458)
    q = muladd(w, q, 0.22222211134751835)
    q = muladd(w, q, 0.2857142862597575)
    q = muladd(w, q, 0.39999999999899505)
    q = muladd(w, q, 0.666666666666667)
    cdef double half = 0.5 * f * f
    return k * 0.693147180559663 - ((half - (s * (half + w * q) + k * 2.8235290563031577e-13)) - f)


# s + rest + x: s is the rounded sum, what rounds off goes to rest (Knuth's two-sum).

cdef inline double two_sum(double s, double x, double* rest) noexcept nogil:
    cdef double t = s + x
    cdef double z = t - s
    rest[0] += (s - (t - z)) + (x - z)
    return t
