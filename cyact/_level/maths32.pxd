"""Inline maths for the float32 kernels: branch-free, no libm, at most 1 ULP after narrowing.

Most functions compute in double and leave the one rounding to the caller's narrowing: it
also rounds subnormal and overflowing results correctly, so there are no tails to treat.
Their arguments are clamped where the result has long saturated, which keeps the exponents
assembled below in range and turns infinities into limits; NaN passes every clamp.

Here is what several families of functions share. Coefficients, theirs as well, come from
tools/constants32.py, which prints the error of each set and checks that it stands here or there
to the last digit.
"""

from cyact._level.bits cimport ONE, fma, fmaf, times_power, uint64, unbiased
from cyact._level.constants cimport EXP_LACKS, EXP_POWERS, LN2, LOG2E, ROUND, ROUNDF
from cyact._level.simd cimport (
    WIDTH,
    as_floats,
    as_words,
    broadcast,
    floats,
    fmav,
    load,
    lookup16,
    minimum,
    store,
)

# Where a loop's chain of dependent operations is long, the CPU cannot look far enough ahead
# to overlap its iterations. Cut in two over a block that stays in L1, it runs 10 to 20 %
# faster; the results are the same.
cdef enum:
    BLOCK = 64


cdef inline float positive(float x, float zero) noexcept nogil:
    """max(x, 0), but -0.0 stays: the sums this starts must keep its sign."""
    return zero if x < zero else x


# 2^t = 2^n (u + r) / (u - r) with |r| <= 1/2: numerator N and denominator M. Where a
# division follows anyway, this costs less than a polynomial.
cdef struct Ratio:
    double n
    double m


cdef inline void exp2_reduce(double x, double k, double* rounded, double* r) noexcept nogil:
    """Split x k into n (in `rounded`, plus ROUND) and r; x k is carried to 2^-44 absolute."""
    rounded[0] = fma(x, k, ROUND)
    r[0] = fma(x, k, -(rounded[0] - ROUND))


cdef inline Ratio exp2_reduced(double rounded, double r) noexcept nogil:
    """2^(n + r) to 2^-31."""
    cdef Ratio e
    cdef double z = r * r
    cdef double u = fma(fma(-0.0009204519303343406, z, 0.11552395301285932), z,
                        2.8853900998339004)
    e.n = times_power(u + r, rounded)
    e.m = u - r
    return e


cdef inline Ratio exp2_ratio(double x, double k) noexcept nogil:
    """2^(x k)."""
    cdef double rounded, r
    exp2_reduce(x, k, &rounded, &r)
    return exp2_reduced(rounded, r)


cdef inline Ratio exp2_ratio_fine(double x, double k) noexcept nogil:
    """2^(x k) to 2^-42, for derivatives with an interior zero."""
    cdef Ratio e
    cdef double rounded, r, z, u
    exp2_reduce(x, k, &rounded, &r)
    z = r * r
    u = fma(fma(fma(1.0510960171878744e-05, z, -0.0009250551292682901), z,
                0.11552452916587785), z, 2.885390081795338)
    e.n = times_power(u + r, rounded)
    e.m = u - r
    return e


cdef inline double exp_from(double x, double origin) noexcept nogil:
    """e^x 2^s to 2^-29, where origin = ROUND + s."""
    cdef double rounded = fma(x, LOG2E, origin)
    cdef double r = fma(x, LOG2E, -(rounded - origin))
    cdef double p = fma(0.00015345784847269232, r, 0.001339995729458643)
    p = fma(p, r, 0.009618489258830692)
    p = fma(p, r, 0.05550328712981078)
    p = fma(p, r, 0.2402264688597648)
    p = fma(p, r, 0.6931472057665099)
    p = fma(p, r, 1.000000000555089)
    return times_power(p, rounded)


cdef inline double expm1(double x) noexcept nogil:
    """e^x - 1 to 2^-26 relative, for |x| < 700; keeps the sign of zero."""
    cdef double rounded = fma(x, LOG2E, ROUND)
    cdef double r = fma(x, LOG2E, -(rounded - ROUND))
    cdef double scale = times_power(1, rounded)
    cdef double p = fma(0.00015403524038045495, r, 0.001339075850996057)
    p = fma(p, r, 0.009618237545907352)
    p = fma(p, r, 0.05550357390670159)
    p = fma(p, r, 0.24022649794069348)
    p = fma(p, r, 0.6931471879359152)
    return fma(scale, p * r, -(1 - scale))


cdef inline double sigmoid(double x) noexcept nogil:
    cdef Ratio e = exp2_ratio(x, -LOG2E)
    return e.m / (e.m + e.n)


cdef inline double log1p(double e) noexcept nogil:
    """log(1 + e) to 2^-25.6 relative, for 0 <= e <= 1."""
    cdef double p = fma(3.98025803785869, e, 27.888936454233583)
    cdef double q = e + 15.245728552755184
    p = fma(p, e, 32.15999656478346)
    q = fma(q, e, 43.96887243535131)
    q = fma(q, e, 32.159997175249764)
    return e * p / q


cdef inline double log_of(uint64 k, double f) noexcept nogil:
    """log(2^(k - 1024) (1 + f)) for -1/4 <= f <= 1/2; the logarithm of 1 + f is good to 2^-30."""
    cdef double p = fma(0.03713237921517784, f, -0.09113617180146211)
    p = fma(p, f, 0.11762482294598944)
    p = fma(p, f, -0.12756973920254985)
    p = fma(p, f, 0.14272317558047276)
    p = fma(p, f, -0.16651573403258196)
    p = fma(p, f, 0.19999538536599196)
    p = fma(p, f, -0.25000316510420534)
    p = fma(p, f, 0.3333334547943682)
    p = fma(p, f, -0.4999999813657536)
    p = fma(p, f, 0.9999999997109126)
    return fma(unbiased(k), LN2, f * p)


cdef inline double exp_rest(double x, double* rounded) noexcept nogil:
    """q with e^x = 2^n (1 + q), to 2^-31 of q; `rounded` becomes ROUND + n."""
    cdef double r, p
    exp2_reduce(x, LOG2E, rounded, &r)
    p = fma(1.5252729197399263e-05, r, 0.00015461353516129736)
    p = fma(p, r, 0.0013333669495172926)
    p = fma(p, r, 0.00961805697787705)
    p = fma(p, r, 0.05550410727495013)
    p = fma(p, r, 0.2402265092032954)
    p = fma(p, r, 0.6931471805815818)
    return p * r


cdef inline double gate(double x, Ratio e) noexcept nogil:
    """x / (1 + e)."""
    return x * e.m / (e.m + e.n)


cdef inline void exp_plus_one(const float* x, float* high, float* low,
                              Py_ssize_t count) noexcept nogil:
    """2^-64 (e^a + 1), a = |x| up to 120, as a sum of two, to 2^-28.

    a = (n + m/16) ln2 + r and e^a is the power 2^(n + m/16), rounded, times 1 + s: with so
    small a remainder r, what the power lacks can be added in s.
    """
    cdef Py_ssize_t i = 0
    cdef floats a, t, n, r, s, power, sum, rest
    cdef floats one = broadcast(<float> 5.421010862427522e-20)
    while i < count:
        a = minimum(as_floats(as_words(load(x + i)) & <unsigned int> 0x7fffffff),
                    broadcast(<float> 120.0))
        t = fmav(a, broadcast(<float> 23.083120346069336), broadcast(ROUNDF))
        n = t - ROUNDF
        r = fmav(n, broadcast(<float> -0.0433197021484375), a)
        r = fmav(n, broadcast(<float> -1.9966364561696537e-06), r)
        power = as_floats(as_words(lookup16(EXP_POWERS, as_words(t))) + (as_words(t) << 19))
        s = fmav(broadcast(<float> 0.1666627824306488), r, broadcast(<float> 0.5000196099281311))
        s = fmav(s, r, broadcast(ONE))
        s = fmav(s, r, lookup16(EXP_LACKS, as_words(t)))
        sum = power + one
        rest = fmav(power, s, (power - sum) + one)
        store(high + i, sum + rest)
        store(low + i, (sum - (sum + rest)) + rest)
        i += WIDTH


cdef inline float logistic(float numerator, float high, float low) noexcept nogil:
    """numerator / (high + low)."""
    cdef float inverse = ONE / high
    cdef float y = numerator * inverse
    cdef float remainder = fmaf(-y, low, fmaf(-y, high, numerator))
    return fmaf(remainder, inverse, y)


cdef inline void exp_plus_one_fine(const float* x, float* high, float* low,
                                   Py_ssize_t count) noexcept nogil:
    """exp_plus_one to 2^-29, its low part up to 2^-11 of the high.

    r, from a step rounded to a float, is exact; the step's low part joins what the power lacks.
    """
    cdef Py_ssize_t i = 0
    cdef floats a, t, n, r, s, power, sum, product, rest
    cdef floats one = broadcast(<float> 5.421010862427522e-20)
    while i < count:
        a = minimum(as_floats(as_words(load(x + i)) & <unsigned int> 0x7fffffff),
                    broadcast(<float> 120.0))
        t = fmav(a, broadcast(<float> 23.083120346069336), broadcast(ROUNDF))
        n = t - ROUNDF
        r = fmav(n, broadcast(-<float> (LN2 / 16)), a)
        rest = fmav(n, broadcast(<float> (<float> (LN2 / 16) - LN2 / 16)),
                    lookup16(EXP_LACKS, as_words(t)))
        power = as_floats(as_words(lookup16(EXP_POWERS, as_words(t))) + (as_words(t) << 19))
        s = fmav(broadcast(<float> 0.1666627824306488), r, broadcast(<float> 0.5000196099281311))
        rest = fmav(r * r, s, rest)
        sum = power + one
        product = fmav(power, r, sum)
        store(high + i, product)
        store(low + i, fmav(power, rest, (power - sum) + one) + fmav(power, r, sum - product))
        i += WIDTH
