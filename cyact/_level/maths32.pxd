"""Inline maths for the float32 kernels: branch-free, no libm, at most 1 ULP after narrowing.

Most functions compute in double and leave the one rounding to the caller's narrowing: it
also rounds subnormal and overflowing results correctly, so there are no tails to treat.
Their arguments are clamped where the result has long saturated, which keeps the exponents
assembled below in range and turns infinities into limits; NaN passes every clamp.

Coefficients come from tools/constants32.py, which prints the error of each set and checks
that it stands here to the last digit.
"""

from libc.math cimport sqrt, sqrtf

from cyact._level.bits cimport (
    ONE,
    bits32,
    bits64,
    fma,
    fmaf,
    from_bits32,
    from_bits64,
    uint32,
    uint64,
)
from cyact._level.simd cimport (
    WIDTH,
    as_floats,
    as_words,
    broadcast,
    floats,
    less_equal,
    load,
    lookup16,
    mask,
    maximum,
    minimum,
    fmav,
    select,
    store,
    words,
)

ctypedef fused number:
    float
    double

# 1.5 * 2^52: adding it rounds to an integer, which then fills the low bits.
cdef extern from *:
    """
    #define CYACT_ROUND 6755399441055744.0
    #define CYACT_ROUNDF 12582912.0f
    #define CYACT_LOG2E 1.4426950408889634
    #define CYACT_LN2 0.6931471805599453
    #define CYACT_SQRT2 1.4142135623730951
    #define CYACT_INV_SQRT_2PI 0.3989422804014327
    #define CYACT_TWO_INV_SQRT_PI 1.1283791670955126
    """
    const double LOG2E "CYACT_LOG2E"
    const double LN2 "CYACT_LN2"
    const double SQRT2 "CYACT_SQRT2"
    const double INV_SQRT_2PI "CYACT_INV_SQRT_2PI"
    const double TWO_INV_SQRT_PI "CYACT_TWO_INV_SQRT_PI"
    const double ROUND "CYACT_ROUND"
    const float ROUNDF "CYACT_ROUNDF"


cdef inline number at_least(number x, number low) noexcept nogil:
    return low if x < low else x


cdef inline number at_most(number x, number high) noexcept nogil:
    return high if x > high else x


cdef inline float positive(float x, float zero) noexcept nogil:
    """max(x, 0), but -0.0 stays: the sums this starts must keep its sign."""
    return zero if x < zero else x


cdef inline float magnitude(float x) noexcept nogil:
    return from_bits32(bits32(x) & 0x7fffffff)


cdef inline number multiply_add(number a, number b, number c) noexcept nogil:
    if number is float:
        return fmaf(a, b, c)
    else:
        return fma(a, b, c)


# A parameter x meets numbers of float's grid: v >= x is v >= round_up(x), v > x is
# v > round_down(x).

cdef inline float round_up(double x) noexcept nogil:
    """The smallest float that is not less."""
    cdef float y = <float> x
    if y < x:
        return from_bits32(bits32(y) - 1 if y < 0 else bits32(y) + 1)
    return y


cdef inline float round_down(double x) noexcept nogil:
    """The largest float that is not greater."""
    cdef float y = <float> x
    if y > x:
        return from_bits32(bits32(y) - 1 if y > 0 else bits32(y) + 1)
    return y


cdef inline float with_sign(float size, float x) noexcept nogil:
    """size with the sign of x as well."""
    return from_bits32(bits32(size) | (bits32(x) & ~<uint32> 0x7fffffff))


cdef inline double shift(double x, double rounded) noexcept nogil:
    """x * 2^n where rounded = ROUND + n: the high bits of ROUND fall off."""
    return from_bits64(bits64(x) + (bits64(rounded) << 52))


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
    e.n = shift(u + r, rounded)
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
    e.n = shift(u + r, rounded)
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
    return shift(p, rounded)


cdef inline double expm1(double x) noexcept nogil:
    """e^x - 1 to 2^-26 relative, for |x| < 700; keeps the sign of zero."""
    cdef double rounded = fma(x, LOG2E, ROUND)
    cdef double r = fma(x, LOG2E, -(rounded - ROUND))
    cdef double scale = shift(1, rounded)
    cdef double p = fma(0.00015403524038045495, r, 0.001339075850996057)
    p = fma(p, r, 0.009618237545907352)
    p = fma(p, r, 0.05550357390670159)
    p = fma(p, r, 0.24022649794069348)
    p = fma(p, r, 0.6931471879359152)
    return fma(scale, p * r, -(1 - scale))


cdef inline double sigmoid(double x) noexcept nogil:
    cdef Ratio e = exp2_ratio(x, -LOG2E)
    return e.m / (e.m + e.n)


cdef inline double sigmoid_d(double x) noexcept nogil:
    cdef Ratio e = exp2_ratio(x, -LOG2E)
    cdef double sum = e.m + e.n
    return e.m * e.n / (sum * sum)


cdef inline double tanh(double x) noexcept nogil:
    """|x| < 9.02; beyond, tanh rounds to 1 in float."""
    cdef double z = x * x
    cdef double p = fma(0.017159554288930557, z, 26.517857614898443)
    cdef double q = z + 422.9590583523364
    p = fma(p, z, 4501.312185176469)
    q = fma(q, z, 33329.14829269838)
    p = fma(p, z, 172367.50814271322)
    q = fma(q, z, 601791.1574542134)
    p = fma(p, z, 1288271.6197517854)
    q = fma(q, z, 1288271.6467701204)
    return x * p / q


cdef inline Ratio tanh_ratio(double x) noexcept nogil:
    """tanh to 2^-28, for |x| <= 10."""
    cdef Ratio e
    cdef double z = x * x
    cdef double n = fma(71.31038699311969, z, 46654.35236854723)
    cdef double m = z + 2337.491238085933
    n = fma(n, z, 6082859.133869345)
    m = fma(m, z, 631392.5662545848)
    n = fma(n, z, 211696441.9597746)
    m = fma(m, z, 42402578.32239376)
    n = fma(n, z, 1541061456.735647)
    m = fma(m, z, 725383554.8436973)
    e.n = n * x
    e.m = fma(m, z, 1541061461.2009852)
    return e


cdef inline double tanh_squared(double x) noexcept nogil:
    """For |x| <= 10."""
    cdef Ratio e = tanh_ratio(x)
    cdef double y = e.n / e.m
    return y * y


cdef inline double tanh_d(double magnitude) noexcept nogil:
    """1 - tanh^2 = 4 e^2x / (1 + e^2x)^2, given |x|."""
    cdef Ratio e = exp2_ratio(magnitude, -2 * LOG2E)
    cdef double sum = e.m + e.n
    return 4 * e.m * e.n / (sum * sum)


cdef inline double log1p(double e) noexcept nogil:
    """log(1 + e) to 2^-25.6 relative, for 0 <= e <= 1."""
    cdef double p = fma(3.98025803785869, e, 27.888936454233583)
    cdef double q = e + 15.245728552755184
    p = fma(p, e, 32.15999656478346)
    q = fma(q, e, 43.96887243535131)
    q = fma(q, e, 32.159997175249764)
    return e * p / q


# Logarithms. w = 2^k m with m between 3/4 and 3/2; k is kept as an integer 1024 too large, for
# below AVX-512 there is no arithmetic shift of int64.

cdef inline uint64 exponent_of(double w) noexcept nogil:
    """k + 1024 of a positive w."""
    return (bits64(w) - 0x3fe8000000000000ULL + (1024ULL << 52)) >> 52


cdef inline double unbiased(uint64 k) noexcept nogil:
    """k - 1024 as a double."""
    return from_bits64(k | 0x4330000000000000ULL) - (4503599627370496.0 + 1024.0)


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


cdef inline double log1mexp(double x) noexcept nogil:
    """log(1 - e^-x) for 0 < x <= 110."""
    cdef double rounded
    cdef double q = exp_rest(-x, &rounded)
    cdef double scale = shift(1, rounded)
    cdef double e = fma(scale, q, scale)
    cdef double w = fma(-scale, q, 1 - scale)
    cdef uint64 k = exponent_of(w)
    cdef double s = from_bits64((2047ULL - k) << 52)
    # next to 1, w has lost the digits of e
    return log_of(k, fma(w, s, -1) if w < 0.75 else -e)


cdef inline double log1mexp_d(double x) noexcept nogil:
    """1/(e^x - 1) for 0 <= x <= 110."""
    cdef double rounded
    cdef double q = exp_rest(x, &rounded)
    cdef double scale = shift(1, rounded)
    return 1 / fma(scale, q, scale - 1)


cdef inline double logit(double x) noexcept nogil:
    """log(x/(1 - x)) for 0 < x < 1, as k ln2 + 2 atanh(s).

    s = (x - 2^k (1 - x))/(x + 2^k (1 - x)): one division, and no cancellation at 1/2.
    """
    cdef double u = 1 - x
    # the difference of two bit patterns is 2^52 log2 of the ratio, to 0.087
    cdef uint64 k = (bits64(x) - bits64(u) + (1ULL << 51) + (1024ULL << 52)) >> 52
    cdef double v = u * from_bits64((k - 1) << 52)
    cdef double s = (x - v) / (x + v)
    cdef double z = s * s
    cdef double p = fma(0.24172869512847964, z, 0.28500961738969643)
    p = fma(p, z, 0.40001029292491636)
    p = fma(p, z, 0.6666666142377603)
    p = fma(p, z, 2.0000000000426574)
    return fma(unbiased(k), LN2, s * p)


cdef inline double gate(double x, Ratio e) noexcept nogil:
    """x / (1 + e)."""
    return x * e.m / (e.m + e.n)


cdef inline double silu_d(double t) noexcept nogil:
    """s + t s (1 - s) with s = sigmoid(t)."""
    cdef Ratio e = exp2_ratio_fine(t, -LOG2E)
    cdef double sum = e.m + e.n
    return e.m * fma(t, e.n, sum) / (sum * sum)


cdef inline Ratio normal_tail(double a) noexcept nogil:
    """Phi(-a) for 0 <= a <= 15, Phi the normal distribution: e^(-a^2/2) P(a)/Q(a)."""
    cdef Ratio e = exp2_ratio(a * a, -0.7213475204444817)
    cdef double p = fma(0.3989465595117252, a, 3.9269128452608384)
    cdef double q = a + 9.84389830077048
    p = fma(p, a, 17.67148863951629)
    q = fma(q, a, 45.28201730621743)
    p = fma(p, a, 42.19614726010047)
    q = fma(q, a, 115.80108215321192)
    p = fma(p, a, 48.02836229129833)
    q = fma(q, a, 161.034514407621)
    q = fma(q, a, 96.0567239773841)
    e.n *= p
    e.m *= q
    return e


cdef inline double tanh_shrink(double x) noexcept nogil:
    """x - tanh(x), |x| <= 9.02."""
    cdef double z = x * x
    cdef double p = fma(1.0099032333550231e-05, z, 0.9758160834451407)
    cdef double q = z + 298.4878112305354
    p = fma(p, z, 277.03674756657057)
    q = fma(q, z, 20392.090327155194)
    p = fma(p, z, 17482.37287564702)
    q = fma(q, z, 350199.8187657457)
    p = fma(p, z, 248127.25234722663)
    q = fma(q, z, 744381.7574066363)
    return x * z * p / q


cdef inline double gudermannian(double a) noexcept nogil:
    """2 atan(tanh(a/2)), 0 <= a <= 20: tanh(a/2) is n/d, and if it is large its arctangent is
    pi/4 + atan((n - d)/(n + d)).
    """
    cdef Ratio r = tanh_ratio(0.5 * a)
    cdef double numerator, denominator, base, t, z, p
    numerator = r.n - r.m if a > 0.88 else r.n
    denominator = r.n + r.m if a > 0.88 else r.m
    base = 1.5707963267948966 if a > 0.88 else 0.0
    t = 2 * numerator / denominator
    z = 0.25 * t * t
    p = fma(-0.06081738497542703, z, 0.10595357593290491)
    p = fma(p, z, -0.14243766440600533)
    p = fma(p, z, 0.1999848535720656)
    p = fma(p, z, -0.333333154436185)
    return base + fma(t * z, p, t)


cdef inline double sech(double magnitude) noexcept nogil:
    """1/cosh = 2 e^x/(1 + e^2x), given |x|."""
    cdef Ratio e = exp2_ratio(magnitude, LOG2E)
    return 2 * e.m * e.n / fma(e.m, e.m, e.n * e.n)


cdef inline double mish(double x, Ratio e) noexcept nogil:
    """x tanh(log(1 + e)) = x (e^2 + 2 e)/(e^2 + 2 e + 2), e = n/m."""
    cdef double g = e.n * (e.n + 2 * e.m)
    return x * g / fma(2 * e.m, e.m, g)


cdef inline double mish_d(double x) noexcept nogil:
    """e ((e + 2) d + 4 x (1 + e))/d^2 with d = e^2 + 2 e + 2, e = e^x."""
    cdef Ratio e = exp2_ratio_fine(x, LOG2E)
    cdef double square = e.m * e.m, sum = fma(2, e.m, e.n)
    cdef double d = fma(e.n, sum, 2 * square)
    return e.n * fma(sum, d, 4 * x * square * (e.m + e.n)) / (d * d)


cdef inline double gelu_tail(double a) noexcept nogil:
    """a Phi(-a) for a >= 0."""
    cdef Ratio tail = normal_tail(a)
    return a * tail.n / tail.m


cdef inline double gelu_d_tail(double a) noexcept nogil:
    """gelu'(-a) = Phi(-a) - a phi(a) for a >= 0."""
    cdef Ratio e = exp2_ratio_fine(a * a, -0.7213475204444817)
    cdef double p = fma(0.39894182028697434, a, 5.210095904502503)
    cdef double q = a + 13.059695072246495
    p = fma(p, a, 31.85481988684761)
    q = fma(q, a, 80.85057365583069)
    p = fma(p, a, 111.77172663733626)
    q = fma(q, a, 293.1871020626315)
    p = fma(p, a, 226.09509004572428)
    q = fma(q, a, 645.0996280222158)
    p = fma(p, a, 222.3710205836628)
    q = fma(q, a, 807.0429845224409)
    q = fma(q, a, 444.74204120701194)
    return e.n * fma(-INV_SQRT_2PI * a, q, p) / (e.m * q)


cdef inline double erf(double x) noexcept nogil:
    """|x| < 3.93; beyond, erf rounds to 1 in float."""
    cdef double z = x * x
    cdef double p = fma(-0.00020572294211358014, z, 0.07391974668496226)
    cdef double q = z + 20.838336589201667
    p = fma(p, z, 6.03460846374245)
    q = fma(q, z, 246.95516164812037)
    p = fma(p, z, 61.44411842238579)
    q = fma(q, z, 1822.1752850753094)
    p = fma(p, z, 868.0679795522683)
    q = fma(q, z, 7958.592604786151)
    p = fma(p, z, 2962.337847596766)
    q = fma(q, z, 15999.86357517241)
    p = fma(p, z, 18053.912767910133)
    return x * p / q


cdef inline Ratio erfcx_half(double a) noexcept nogil:
    """erfcx(a / sqrt 2)/2 for a >= 0: Phi(-a) = e^(-a^2/2) times it."""
    cdef Ratio r
    cdef double p = fma(0.39894227997797804, a, 4.683485448863839)
    cdef double q = a + 11.739756279297596
    p = fma(p, a, 26.451384396087843)
    q = fma(q, a, 67.3038758160393)
    p = fma(p, a, 86.6851332111688)
    q = fma(q, a, 229.02336706166528)
    p = fma(p, a, 164.62116690914374)
    q = fma(q, a, 477.0320939751444)
    p = fma(p, a, 149.92019527001807)
    q = fma(q, a, 568.4803260454007)
    r.n = p
    r.m = fma(q, a, 299.84039085806495)
    return r


cdef inline double log_ndtr(double x, double a, double e) noexcept nogil:
    """log Phi(x), given a = |x| and e = e^(-a^2/2).

    Minus the logarithm of (1 + s)/(1 - s), which is 1/(1 - e R) for positive x, and
    2^-k/R for negative, with R = erfcx(a / sqrt 2)/2 and k so that s stays small.
    """
    cdef Ratio r = erfcx_half(a)
    # 1/R is nearly 1.5 + sqrt(2 pi) a: scale is 2^k
    cdef unsigned long long exponent = bits64(fma(a, 3.4, 2.5)) & 0x7ff0000000000000ULL
    cdef double scale = from_bits64(exponent)
    cdef double k = from_bits64((exponent >> 52) | 0x4330000000000000ULL) - 4503599627371519.0
    cdef bint positive = x > 0
    cdef double other = (e if positive else scale) * r.n
    cdef double start = 0.0 if positive else fma(0.5 * a, a, k * LN2)
    cdef double s = (other if positive else r.m - other) / (
        2 * r.m - other if positive else r.m + other)
    cdef double z = s * s
    cdef double p = fma(0.2441906054101273, z, 0.21391751406074763)
    p = fma(p, z, 0.28620851778455614)
    p = fma(p, z, 0.3999868639727646)
    p = fma(p, z, 0.6666667936107953)
    p = fma(p, z, 1.9999999998018212)
    return -fma(s, p, start)


cdef inline double log_ndtr_d(double x, double a, double e) noexcept nogil:
    """phi(x)/Phi(x), likewise; for negative x e divides out."""
    cdef Ratio r = erfcx_half(a)
    cdef bint positive = x > 0
    return INV_SQRT_2PI * (e if positive else 1.0) * r.m / (
        fma(-e, r.n, r.m) if positive else r.n)


cdef inline double gelu_tanh_exponent(double x) noexcept nogil:
    """2 sqrt(2/pi) (x + 0.044715 x^3) / ln 2."""
    return x * fma(0.1029432395800235, x * x, 2.3022081981443248)


cdef inline double gelu_tanh_d(double x) noexcept nogil:
    """s + x s (1 - s) g' with s = sigmoid(g), g = 2 sqrt(2/pi) (x + 0.044715 x^3)."""
    cdef double slope = x * fma(0.21406444881780073, x * x, 1.5957691216057308)
    cdef Ratio e = exp2_ratio_fine(gelu_tanh_exponent(x), -1)
    cdef double sum = e.m + e.n
    return e.m * fma(slope, e.n, sum) / (sum * sum)


# Compensated float: twice as many elements an instruction as double. Here
# x = n ln2 + high + low; n times the first 15 bits of ln2 is exact, and so is high.

cdef struct Reduced:
    float rounded   # n, plus ROUNDF
    float high
    float low
    float tail      # e^(high + low) - 1 - high


cdef inline Reduced exp_reduce1(float x) noexcept nogil:
    cdef Reduced e
    e.rounded = fmaf(x, <float> LOG2E, ROUNDF)
    cdef float n = e.rounded - ROUNDF
    cdef float r, q
    e.high = fmaf(n, <float> -0.693145751953125, x)
    e.low = n * <float> -1.4286068203094173e-06
    r = e.high + e.low
    q = fmaf(<float> 0.00019918401366039035, r, <float> 0.0013946085944670913)
    q = fmaf(q, r, <float> 0.008333264322926203)
    q = fmaf(q, r, <float> 0.041666269763049546)
    q = fmaf(q, r, <float> 0.1666666686085879)
    q = fmaf(q, r, <float> 0.5000000077958077)
    e.tail = fmaf(r * r, q, e.low)
    return e


cdef inline float exp1(float x) noexcept nogil:
    """e^x for -104 <= x <= 89.

    2^n is multiplied in as two factors, neither of which overflows or vanishes.
    """
    cdef Reduced e = exp_reduce1(x)
    cdef float sum = ONE + e.high
    cdef uint32 bits = bits32(e.rounded), half = bits >> 1
    cdef float y = sum + ((e.high - (sum - ONE)) + e.tail)
    y = y * from_bits32((half << 23) + 0x3f800000)
    return y * from_bits32(((bits - half) << 23) + 0x3f800000)


cdef inline void expm1_parts1(float x, float* sum, float* rest) noexcept nogil:
    """e^x - 1 for -20 <= x <= 0, as a sum of two.

    The sum (2^n - 1) + 2^n high keeps its rounding error; n = 0 leaves x and a small term.
    """
    cdef Reduced e = exp_reduce1(x)
    cdef float scale = from_bits32((bits32(e.rounded) << 23) + 0x3f800000)
    cdef float base = scale - ONE
    cdef float step = scale * e.high
    sum[0] = base + step
    rest[0] = fmaf(scale, e.tail, step - (sum[0] - base))


cdef inline float elu1(float x) noexcept nogil:
    """e^x - 1 for -20 <= x <= 0."""
    cdef float sum, rest
    expm1_parts1(x, &sum, &rest)
    return sum + rest


cdef inline float expm1_1(float x) noexcept nogil:
    """e^x - 1 for -20 <= x <= 89.

    As 2 ((2^n / 2 - 1/2) + 2^n / 2 high + …): so n = 128 does not overflow. From n = 24 on the
    first difference is no longer exact, and keeps its rounding error.
    """
    cdef Reduced e = exp_reduce1(x)
    cdef float half = <float> 0.5
    cdef float scale = from_bits32((bits32(e.rounded) << 23) + 0x3f000000)
    cdef float base = scale - half
    cdef float lost = (scale - base) - half
    cdef float step = scale * e.high
    cdef float sum = base + step
    cdef float y = sum + fmaf(scale, e.tail, (step - (sum - base)) + lost)
    return x if magnitude(x) < <float> 1e-30 else y + y


cdef inline float selu_line1(float x) noexcept nogil:
    """lambda x: lambda - 1 needs no low part."""
    return fmaf(x, <float> 0.050700987355480495, x)


cdef inline float selu_tail1(float x) noexcept nogil:
    """lambda alpha (e^x - 1) for -20 <= x <= 0, the constant in two floats."""
    cdef float sum, rest
    expm1_parts1(x, &sum, &rest)
    rest = fmaf(<float> 1.7580993175506592, rest, <float> 2.3296717680252718e-08 * sum)
    return fmaf(<float> 1.7580993175506592, sum, rest)


# Tables of sixteen floats, by tools/constants32.py.

cdef extern from *:
    """
    static const float cyact_exp_powers[16] = {
        5.421011e-20, 5.3716085e-20, 5.3275194e-20, 5.2889783e-20, 5.2562313e-20,
        5.2295347e-20, 5.2091567e-20, 5.1953763e-20, 5.1884862e-20, 5.1887915e-20,
        5.1966103e-20, 5.2122757e-20, 5.236135e-20, 5.2685508e-20, 5.309902e-20,
        5.3605843e-20};
    static const float cyact_exp_lacks[16] = {
        -1.1509219e-09, 4.513455e-08, -1.3143079e-08, 4.61469e-08, 3.078326e-08,
        3.5059653e-08, -3.2141642e-08, -8.626135e-09, 1.596335e-08, -3.1627756e-08,
        4.082412e-09, 4.9566697e-09, -1.5870528e-08, -6.409717e-09, -7.2791817e-09,
        3.9896872e-09};
    """
    const float* EXP_POWERS "cyact_exp_powers"
    const float* EXP_LACKS "cyact_exp_lacks"


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


cdef inline float sigmoid_from(float x, float high, float low) noexcept nogil:
    """1 / (1 + e^-x), given 2^-64 (1 + e^|x|)."""
    cdef float tail = logistic(ONE, high, low)
    cdef float below = tail * <float> 5.421010862427522e-20
    cdef float above = fmaf(-tail, <float> 5.421010862427522e-20, ONE)
    cdef float y = below if x < 0 else above
    return y if x == x else x


cdef inline float sigmoid_d_from(float x, float high, float low) noexcept nogil:
    """s (1 - s), s = 1 / (1 + e^-x), given 2^-64 (1 + e^|x|)."""
    cdef float q = ONE / high, scale = <float> 5.421010862427522e-20
    cdef float lack = fmaf(-q, low, fmaf(-q, high, ONE))
    cdef float small = q * scale
    cdef float p = ONE - small
    cdef float p_low = fmaf(-small, lack, (ONE - p) - small)
    cdef float y = scale * fmaf(q, p, q * fmaf(p, lack, p_low))
    return y if x == x else x


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


cdef inline float silu_d_from(float x, float a, float high, float low) noexcept nogil:
    """s (1 + x (1 - s)), s = 1 / (1 + e^-x), given 2^-64 (1 + e^a) and a = |x| up to 120.

    With q = 1 / (1 + e^a), p = 1 - q and g = q (1 - a p) it is g for x < 0, else 1 - g. Where
    g crosses 0 even the rounding of p counts.
    """
    cdef float q = ONE / (high + low), scale = <float> 5.421010862427522e-20
    cdef float lack = fmaf(-q, low, fmaf(-q, high, ONE))
    cdef float small = q * scale
    cdef float p = ONE - small
    cdef float p_low = fmaf(-small, lack, (ONE - p) - small)
    cdef float w = ONE - a * p
    cdef float w_low = fmaf(-a, p_low, fmaf(-a, p, ONE - w))
    cdef float g = fmaf(q, w, q * fmaf(w, lack, w_low))
    return fmaf(g, scale if x < 0 else -scale, <float> 0 if x < 0 else ONE)


cdef extern from *:
    """
    static const float cyact_gelu_powers[16] = {
        1.8446744e+19, 1.8239578e+19, 1.8068442e+19, 1.792883e+19, 1.781624e+19,
        1.7735175e+19, 1.7681132e+19, 1.7658614e+19, 1.765411e+19, 1.7681132e+19,
        1.7726168e+19, 1.7793722e+19, 1.7883794e+19, 1.7996384e+19, 1.8126989e+19,
        1.8280111e+19};
    static const float cyact_gelu_shifts[16] = {
        0.0, -0.00017349723, -2.5646976e-05, 0.00010786069, -0.00017953732, -0.00017093528,
        -0.00028124818, 0.0003017122, -0.00021190527, 0.00034659944, 5.42181e-05,
        -0.0002533483, -0.00040417167, -0.00020339935, -0.00031963823, 0.00030355484};
    static const float cyact_gelu_centres[16] = {
        1.2981523, 1.7611171, 2.2315142, 2.7424958, 3.4558003, 4.6383977, 5.6306424,
        6.3551755, 7.823305, 10.264698, 11.862508, 13.714665, 0.10235305, 0.36149722,
        0.6238685, 0.8774814};
    static const float cyact_gelu_mills[16] = {
        0.22711182, 0.18676758, 0.15783691, 0.13513184, 0.11294556, 0.09008789, 0.07836914,
        0.072387695, 0.06454468, 0.05935669, 0.059524536, 0.06265259, 0.46166992,
        0.38330078, 0.32409668, 0.28027344};
    static const float cyact_gelu_q[6][16] = {
      {-0.4599741, -0.38783613, -0.329941, -0.2798407, -0.22554465, -0.16097702,
       -0.12159199, -0.09817878, -0.05969042, -0.01133908, 0.014298038, 0.040494192,
       -0.7609722, -0.67689955, -0.60391223, -0.5432231},
      {0.19366631, 0.1441415, 0.10930559, 0.082928106, 0.058534496, 0.035548456,
       0.024883142, 0.019771496, 0.013350554, 0.008666054, 0.007619295, 0.0075039687,
       0.4644799, 0.37920728, 0.31101972, 0.2586693},
      {-0.07254729, -0.048065025, -0.032585952, -0.02203949, -0.013392879, -0.0064788763,
       -0.0037828342, -0.0026281062, -0.0013084038, -0.00037458196, -7.6062846e-05,
       0.00016024936, -0.24094649, -0.18284364, -0.13944061, -0.108247966},
      {0.025039326, 0.014960472, 0.009174465, 0.0055956068, 0.0029775042, 0.0011837536,
       0.00060348026, 0.0003866235, 0.00017290536, 5.9461567e-05, 3.743262e-05,
       2.9390834e-05, 0.11087351, 0.078923866, 0.05646059, 0.041245863},
      {-0.008116747, -0.0044174152, -0.002463378, -0.0013633143, -0.000645318,
       -0.00020897233, -9.225184e-05, -5.340739e-05, -1.9871475e-05, -4.3838436e-06,
       -1.550184e-06, -3.0368675e-08, -0.046402402, -0.031208634, -0.021081597,
       -0.014572531},
      {0.0027190784, 0.0012504614, 0.0006074121, 0.00031320495, 0.00012522929,
       4.2981803e-05, 1.604523e-05, 6.4647165e-06, 2.0515213e-06, 5.410198e-07,
       1.8084808e-07, 9.510426e-08, 0.016882466, 0.011032082, 0.0072798175, 0.004823248}};
    """
    const float* GELU_POWERS "cyact_gelu_powers"
    const float* GELU_SHIFTS "cyact_gelu_shifts"
    const float* GELU_CENTRES "cyact_gelu_centres"
    const float* GELU_MILLS "cyact_gelu_mills"
    const float[16]* GELU_Q "cyact_gelu_q"


cdef inline floats gelu_lanes(floats x) noexcept nogil:
    """x Phi(x) = max(x, 0) - F, F = a Phi(-a), a = |x| up to 14.5.

    a^2 = n STEP + r, and e^(-MU a^2) is 2^(-n/16) e^(-MU r). The rest of Phi(-a) falls slowly,
    C (1 + d q(d)) on each of 16 intervals of a, d the distance from a number near its middle.
    The power and C have 12 bits each, so that their product h is exact; what the power lacks
    is in r. Thus F = a h + a h w with a small w, that needs no low part, is good to a little
    more than its own rounding. h has a factor 2^64, removed with the last rounding: so
    subnormal results round only there.
    """
    cdef floats a = minimum(as_floats(as_words(x) & <unsigned int> 0x7fffffff),
                          broadcast(<float> 14.5))
    cdef words interval = as_words(a + ONE) >> 21
    cdef floats t = fmav(a, a * <float> 11.636363983154297, broadcast(ROUNDF))
    cdef words n = as_words(t)
    # n STEP, exactly: STEP = 11/128
    cdef floats whole = fmav(t, broadcast(<float> 0.0859375),
                             broadcast(<float> -1081344.0))
    cdef floats r = fmav(a, a, -whole) + lookup16(GELU_SHIFTS, n)
    cdef floats h = (as_floats(as_words(lookup16(GELU_POWERS, n)) - (n << 19))
                    * lookup16(GELU_MILLS, interval))
    cdef floats d = a - lookup16(GELU_CENTRES, interval)
    cdef floats s = fmav(broadcast(<float> -0.0213504359126091), r,
                         broadcast(<float> 0.12706702947616577))
    cdef floats q = fmav(lookup16(GELU_Q[5], interval), d, lookup16(GELU_Q[4], interval))
    cdef floats w
    s = fmav(s, r, broadcast(<float> -0.5041070580482483))
    q = fmav(q, d, lookup16(GELU_Q[3], interval))
    s = fmav(s, r, broadcast(<float> -1.1947695055525287e-09))
    q = fmav(q, d, lookup16(GELU_Q[2], interval))
    q = fmav(q, d, lookup16(GELU_Q[1], interval))
    q = fmav(q, d, lookup16(GELU_Q[0], interval))
    w = fmav(q, fmav(d, s, d), s)
    return fmav(-fmav(a, h, a * h * w), broadcast(<float> 5.421010862427522e-20),
                 maximum(broadcast(<float> -0.0), x))


cdef extern from *:
    """
    static const float cyact_softplus_shifts[16] = {
        0.0, -8.746118e-05, -1.2928821e-05, 5.437333e-05, -9.050603e-05, -8.6169675e-05,
        -0.0001417792, 0.00015209524, -0.00010682293, 0.00017472322, 2.7331727e-05,
        -0.00012771467, -0.00020374579, -0.00010253504, -0.00016113189, 0.00015302414};
    static const float cyact_softplus_centres[16] = {
        3.8976338, 4.9116774, 6.237024, 7.6242957, 11.047083, 12.297083, 13.547083, 14.797083,
        16.828333, 19.310104, -0.2639106, 0.3784387, 1.0063324, 1.5757408, 2.2227564, 2.9068599};
    static const float cyact_softplus_values[16] = {
        0.98999023, 0.9963379, 0.99902344, 0.99975586, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.64038086,
        0.76171875, 0.8522949, 0.90893555, 0.9494629, 0.9736328};
    static const float cyact_softplus_q[5][16] = {
      {0.00997651, 0.0036575838, 0.00097623083, 0.0002441245, 2.9602668e-05, 8.484418e-06,
       2.4310814e-06, 6.965374e-07, 9.816774e-08, 8.1882465e-09, 0.32164952, 0.2208457,
       0.1407883, 0.088383734, 0.04970009, 0.02613747},
      {-0.0048555317, -0.001810918, -0.00048676427, -0.0001219571, 1.9890429e-05, 5.705002e-06,
       1.6350272e-06, 4.6848552e-07, 7.4470044e-08, 6.189876e-09, -0.031010645, -0.047939904,
       -0.0446104, -0.033933826, -0.021584565, -0.012161922},
      {0.001531735, 0.00059278973, 0.0001616025, 4.054608e-05, 1.486411e-05, 4.2636375e-06,
       1.2219629e-06, 3.501319e-07, 5.4998424e-08, 4.5727404e-09, -0.018724283, -0.0061120633,
       0.0029393851, 0.0058011115, 0.005257426, 0.0034851765},
      {-0.00034310308, -0.00014317388, -4.058155e-05, -1.0298514e-05, 3.7106036e-06,
       1.064878e-06, 3.0523813e-07, 8.746412e-08, 1.42042635e-08, 1.1799914e-09, 0.00286577,
       0.0043302774, 0.002418887, 0.00049965834, -0.0004982204, -0.000609273},
      {5.362777e-05, 2.336747e-05, 7.4296095e-06, 2.1910798e-06, 6.148577e-07, 1.7641852e-07,
       5.0566005e-08, 1.4489147e-08, 2.201132e-09, 1.8320628e-10, 0.0013632973, -3.142799e-05,
       -0.00070505094, -0.00047788594, -0.00013121628, 2.6651218e-05}};
    """
    const float* SOFTPLUS_SHIFTS "cyact_softplus_shifts"
    const float* SOFTPLUS_CENTRES "cyact_softplus_centres"
    const float* SOFTPLUS_VALUES "cyact_softplus_values"
    const float[16]* SOFTPLUS_Q "cyact_softplus_q"


cdef inline floats softplus_lanes(floats x) noexcept nogil:
    """log(1 + e^x) = e^-t L(t) with t = -x for x up to 9/16; for larger ones x + e^-t L(t), t = x.

    As in gelu, e^-t L(t) is h + h w, h an exact product of a power and a value of 12 bits each,
    both times 2^64; L(t) = log(1 + e^-t) e^t takes the place of what falls slowly there, and
    ends as 1. At 9/16 the sum is 1.01, and what is added to x has bits to spare.
    """
    cdef mask near = less_equal(x, broadcast(<float> 0.5625))
    cdef floats line = select(near, broadcast(<float> 0.0), x)
    cdef floats t = minimum(select(near, -x, x), broadcast(<float> 104.5))
    cdef floats u = minimum(t, broadcast(<float> 18.170000076293945))
    cdef words interval = as_words(fmav(u, broadcast(<float> 0.20000000298023224),
                                         broadcast(<float> 1.3634999990463257))) >> 20
    cdef floats rounded = fmav(t, broadcast(<float> 23.083120346069336), broadcast(ROUNDF))
    cdef words n = as_words(rounded)
    cdef floats r = fmav(rounded - ROUNDF, broadcast(<float> -0.0433197021484375), t)
    cdef floats h = (as_floats(as_words(lookup16(GELU_POWERS, n)) - (n << 19))
                    * lookup16(SOFTPLUS_VALUES, interval))
    cdef floats d = u - lookup16(SOFTPLUS_CENTRES, interval)
    cdef floats s, w
    cdef floats q = fmav(lookup16(SOFTPLUS_Q[4], interval), d, lookup16(SOFTPLUS_Q[3], interval))
    r = fmav(rounded - ROUNDF, broadcast(<float> -1.9966364561696537e-06), r)
    r = r + lookup16(SOFTPLUS_SHIFTS, n)
    q = fmav(q, d, lookup16(SOFTPLUS_Q[2], interval))
    s = fmav(broadcast(<float> -0.16666272282600403), r, broadcast(<float> 0.5000199675559998))
    q = fmav(q, d, lookup16(SOFTPLUS_Q[1], interval))
    s = fmav(s, r, broadcast(-ONE))
    q = fmav(q, d, lookup16(SOFTPLUS_Q[0], interval))
    s = fmav(s, r, broadcast(<float> -1.1947695055525287e-09))
    w = fmav(q, fmav(d, s, d), s)
    return fmav(fmav(h, w, h), broadcast(<float> 5.421010862427522e-20), line)


cdef extern from *:
    """
    static const float cyact_tanh_centres[16] = {
        0.778979, 1.0580393, 1.404552, 1.7059679, 2.1631026, 2.7990825, 3.350265, 4.027102,
        4.9367456, 6.105407, 7.3819923, 8.664421, 0.0, 0.24032332, 0.39584932, 0.53634304};
    static const float cyact_tanh_values[16] = {
        0.6521203, 0.7849123, 0.8863316, 0.93615097, 0.9739096, 0.992618, 0.9975425, 0.9993647,
        0.99989694, 0.99999005, 0.9999992, 0.99999994, 0.0, 0.23580112, 0.3763919, 0.4902148};
    static const float cyact_tanh_slopes[16] = {
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0};
    static const float cyact_tanh_q[5][16] = {
      {0.57473916, 0.38391292, 0.21441615, 0.123621345, 0.05150002, 0.014709573, 0.004908886,
       0.0012702587, 0.00020610193, 1.9899406e-05, 1.5493191e-06, 1.1923544e-07,
       -4.1557633e-09, 0.94439787, 0.8583292, 0.75968945},
      {-0.37479976, -0.3013423, -0.19004644, -0.11572905, -0.050153326, -0.014598504,
       -0.0048961407, -0.0012691701, -0.00020527333, -1.9842015e-05, -1.5435871e-06,
       -1.1875788e-07, 1.2550336e-06, -0.22268918, -0.32306728, -0.37241018},
      {0.052825708, 0.10850199, 0.096997716, 0.06713756, 0.03168208, 0.0095818285,
       0.0032523533, 0.0008444501, 0.0001368025, 1.3346209e-05, 1.032423e-06, 7.8779166e-08,
       -0.33339328, -0.26231426, -0.16453683, -0.070666194},
      {0.09057112, 0.015808787, -0.02228947, -0.02417925, -0.014222896, -0.0047204527,
       -0.0016320549, -0.0004292036, -7.401402e-05, -7.102433e-06, -5.5654056e-07,
       -4.277098e-08, 0.00095619436, 0.13559467, 0.16914482, 0.15840209},
      {-0.063093424, -0.0373235, -0.008827063, 0.0028112535, 0.0043218345, 0.001842577,
       0.0005915023, 0.00017708685, 2.965332e-05, 2.5208708e-06, 2.1393802e-07, 1.8163496e-08,
       0.12805437, 0.080631025, 0.014981305, -0.03767968}};
    """
    const float* TANH_CENTRES "cyact_tanh_centres"
    const float* TANH_VALUES "cyact_tanh_values"
    const float* TANH_SLOPES "cyact_tanh_slopes"
    const float[16]* TANH_Q "cyact_tanh_q"


cdef inline floats tanh_lanes(floats x) noexcept nogil:
    """A polynomial on each of 16 intervals of a = |x| up to 9.25, from where on tanh is 1.

    value + d q(d), d the distance from a number near the interval's middle; on the interval of 0
    that is a + a q(a), so that small a lose nothing. The second term is at most half as large
    as the first, and its error half of its own last place.
    """
    cdef floats a = minimum(broadcast(<float> 9.25),
                          as_floats(as_words(x) & <unsigned int> 0x7fffffff))
    cdef words interval = as_words(fmav(a, broadcast(<float> 1.6215134859085083),
                                         broadcast(ONE))) >> 21
    cdef floats d = a - lookup16(TANH_CENTRES, interval)
    cdef floats base = fmav(lookup16(TANH_SLOPES, interval), d, lookup16(TANH_VALUES, interval))
    cdef floats q = fmav(lookup16(TANH_Q[4], interval), d, lookup16(TANH_Q[3], interval))
    q = fmav(q, d, lookup16(TANH_Q[2], interval))
    q = fmav(q, d, lookup16(TANH_Q[1], interval))
    q = fmav(q, d, lookup16(TANH_Q[0], interval))
    return as_floats(as_words(fmav(q, d, base)) | (as_words(x) & <unsigned int> 0x80000000))


cdef inline float log1p_any(float x) noexcept nogil:
    """log(1 + x) for a finite x > -1: x + 1 = 2^k (1 + f), 1 + f between 3/4 and 3/2.

    f is exact, and so is k times the first 15 bits of ln2. That it is -k which is computed, as
    the bits of 2^-k, keeps the sign of zero in broadcast step.
    """
    cdef uint32 bits = (<uint32> 0x3fbfffff - bits32(x + ONE)) & <uint32> 0xff800000
    cdef float f = (from_bits32(bits32(x) + bits)
                    - (ONE - <float> 0.5 * from_bits32(bits + <uint32> 0x40000000)))
    cdef float n = <float> <int> bits
    cdef float whole = n * <float> 8.262941264547408e-08
    cdef float sum = f - whole
    cdef float lost = f - (sum + whole)
    cdef float p = fmaf(<float> -0.04491652135378041, f, <float> 0.10449810080212754)
    p = fmaf(p, f, <float> -0.1316311930528172)
    p = fmaf(p, f, <float> 0.14482137733536946)
    p = fmaf(p, f, <float> -0.16647694333753457)
    p = fmaf(p, f, <float> 0.19990593326582354)
    p = fmaf(p, f, <float> -0.2500005605700903)
    p = fmaf(p, f, <float> 0.33333454718260264)
    p = fmaf(p, f, <float> -0.5000000081621622)
    return sum + fmaf(f * f, p, fmaf(n, <float> -1.7030320409648624e-13, lost))


cdef inline float logit_d(float x) noexcept nogil:
    """1/(x (1 - x)) for 0 <= x <= 1: one division, corrected for all that was rounded."""
    cdef float u = ONE - x
    cdef float product = x * u
    cdef float lost = fmaf(x, u, -product) + x * ((ONE - u) - x)
    cdef float inverse = ONE / product
    cdef float remainder = fmaf(-inverse, lost, fmaf(-inverse, product, ONE))
    cdef float y = fmaf(inverse, remainder, inverse)
    return y if product > <float> 1e-30 else inverse


cdef inline float arctan(float x) noexcept nogil:
    """atan of |x| up to 3/4; then pi/4 + atan((a - 1)/(a + 1)) up to 7/4; then pi/2 - atan(1/a).

    Where the division's error would count, its argument is small next to the result.
    """
    cdef float a = magnitude(x)
    cdef bint middle = a > <float> 0.75, large = a > <float> 1.75
    cdef float n = -ONE if large else a - ONE if middle else a
    cdef float d = a if large else a + ONE if middle else ONE
    cdef float base = (<float> 1.5707963705062866 if large
                       else <float> 0.7853981852531433 if middle else <float> 0)
    cdef float t = n / d
    cdef float z = t * t
    cdef float sum = base + t
    cdef float lost = (base - sum) + t + base * <float> -2.782753437848454e-08
    cdef float p = fmaf(<float> -0.012966640688343118, z, <float> 0.04396715333736494)
    p = fmaf(p, z, <float> -0.0783375161500754)
    p = fmaf(p, z, <float> 0.10826003695152077)
    p = fmaf(p, z, <float> -0.14249780499790596)
    p = fmaf(p, z, <float> 0.1999780966828367)
    p = fmaf(p, z, <float> -0.33333287730756783)
    return with_sign(sum + fmaf(t * z, p, lost), x)


cdef inline float softsign(float x, float a) noexcept nogil:
    """x / (1 + |x|), given a = |x|, at most 2^60.

    One float division and a correction for its remainder and for the rounding of 1 + |x|;
    the sign joins at the end, for the sum would lose that of -0.0.
    """
    cdef float larger = a if a > ONE else ONE
    cdef float smaller = ONE if a > ONE else a
    cdef float sum = a + ONE
    cdef float lost = smaller - (sum - larger)
    cdef float inverse = ONE / sum
    cdef float y = a * inverse
    cdef float remainder = fmaf(-y, lost, fmaf(-y, sum, a))
    return from_bits32(bits32(fmaf(remainder, inverse, y)) | (bits32(x) & ~<uint32> 0x7fffffff))


cdef inline float hard_sigmoid(float x) noexcept nogil:
    """x / 6 + 1/2 for -4 <= x <= 3, with the double nearest to 1/6 as the sum of three floats.

    At most 0.67 ULP over all inputs.
    """
    cdef float sum = fmaf(<float> 0.1666666716337204, x, <float> 0.5)
    sum = fmaf(<float> -4.967053879312289e-09, x, sum)
    return fmaf(<float> 1.3877787807814457e-16, x, sum)


cdef inline float hard_swish(float x) noexcept nogil:
    """x (x + 3) / 6 for |x| < 3: (x + 3) / 6 in two floats, then times x."""
    cdef float sum = x + <float> 3.0
    cdef float lost = x - (sum - <float> 3.0)
    cdef float gate = sum * <float> 0.1666666716337204
    cdef float low = fmaf(sum, <float> 0.1666666716337204, -gate)
    low = fmaf(sum, <float> -4.967053731282552e-09, fmaf(lost, <float> 0.1666666716337204, low))
    return fmaf(x, gate, x * low)


# Square roots, for which double has room: x^2 neither overflows nor rounds.

cdef inline double squareplus(double x, double b) noexcept nogil:
    """(x + r) / 2 with r = sqrt(x^2 + b); for x < 0 that is b / (2 (r - x))."""
    cdef double a = from_bits64(bits64(x) & <uint64> 0x7fffffffffffffff)
    cdef double sum = sqrt(fma(a, a, b)) + a
    return 0.5 * (b / sum if x < 0 else sum)


cdef inline double squareplus_d(double x, double b) noexcept nogil:
    """(1 + x / r) / 2; for x < 0 that is b / (2 r (r - x))."""
    cdef double a = from_bits64(bits64(x) & <uint64> 0x7fffffffffffffff)
    cdef double r = sqrt(fma(a, a, b))
    cdef double sum = r + a
    return 0.5 * ((b if x < 0 else sum) / (r * sum if x < 0 else r))


cdef inline double inverse_root(double v) noexcept nogil:
    """1 / sqrt(v) to 2^-43, v a normal number of float's range.

    One Newton step from the float root and quotient: faster than those in double.
    """
    cdef double y = ONE / sqrtf(<float> v)
    return y * fma(-0.5 * v * y, y, 1.5)


cdef inline double algebraic_sigmoid(double x, double alpha) noexcept nogil:
    """x / sqrt(1 + alpha x^2) for alpha x^2 up to 2^80."""
    return x * inverse_root(fma(alpha * x, x, 1))


cdef inline double algebraic_sigmoid_d(double x, double alpha) noexcept nogil:
    """(1 + alpha x^2)^(-3/2)."""
    cdef double i = inverse_root(at_most(fma(alpha * x, x, 1), 2.0**110))
    return i * i * i


cdef inline double bent_identity_d(double x) noexcept nogil:
    """1 + x / (2 sqrt(x^2 + 1)) for |x| up to 2^40."""
    return 1 + 0.5 * x * inverse_root(fma(x, x, 1))


cdef inline double dish(double x, double low) noexcept nogil:
    """x squareplus'(x) with b = 1; below `low` the result is that at `low`."""
    cdef double a = from_bits64(bits64(x) & <uint64> 0x7fffffffffffffff)
    cdef double finite = at_most(a, -low)
    cdef double r = sqrt(fma(finite, finite, 1))
    cdef double sum = r + finite
    return 0.5 * at_least(x, low) * ((1 if x < 0 else sum) / (r * sum if x < 0 else r))


cdef inline double dish_d(double x, double high) noexcept nogil:
    """1/2 + x / (2 r) + x / (2 r^3), r = sqrt(1 + x^2), for |x| up to `high`.

    For x = -a that is (1 - a r) / (2 r^3 (r + a)).
    """
    cdef double a = at_most(from_bits64(bits64(x) & <uint64> 0x7fffffffffffffff), high)
    cdef double v = fma(a, a, 1)
    cdef double r = sqrt(v)
    cdef double sum = r + a
    return 0.5 * ((1 - a * r if x < 0 else fma(sum, v, a))
                  / (v * r * sum if x < 0 else v * r))
