/* Functions in quadruple precision (GCC and libquadmath), from their definitions, for
 * tools/errors.py: what longdouble formulas in NumPy do not give to a float64's last bit.
 * p holds the parameters. */

#include <math.h>
#include <quadmath.h>

typedef __float128 quad;

static quad sigmoid(quad v) {
    quad e = expq(-fabsq(v));
    return v < 0 ? e / (1 + e) : 1 / (1 + e);
}

/* derivative of v sigmoid(v), where w is v's logarithmic derivative times v */
static quad slope(quad v, quad w) { return sigmoid(v) * (1 + w * sigmoid(-v)); }

static quad celu(quad x, const double *p) { return x > 0 ? x : p[0] * expm1q(x / p[0]); }
static quad celu_d(quad x, const double *p) { return x > 0 ? 1 : expq(x / p[0]); }

static quad softplus(quad x, const double *p) {
    return fmaxq(x, 0) + log1pq(expq(-fabsq(p[0] * x))) / p[0];
}
static quad softplus_d(quad x, const double *p) { return sigmoid(p[0] * x); }

static quad silu(quad x, const double *p) { return x * sigmoid(p[0] * x); }
static quad silu_d(quad x, const double *p) {
    quad z = fmaxq(fminq(p[0] * x, 20000), -20000);
    return slope(z, z);
}

static quad normal(quad x) { return erfcq(-x * M_SQRT1_2q) / 2; }
static quad density(quad x) { return expq(-x * x / 2) / sqrtq(2 * M_PIq); }

static quad gelu(quad x, const double *p) { return x < -200 ? -0.0Q : x * normal(x); }
static quad gelu_d(quad x, const double *p) {
    x = fmaxq(fminq(x, 200), -200);
    return normal(x) + x * density(x);
}

#define TANH_FORM(factor) \
    (2 * sqrtq(2 / M_PIq) * (x + factor * (x * x * x * 44715 / 1000000)))
static quad gelu_tanh(quad x, const double *p) {
    return x < -200 ? -0.0Q : x > 200 ? x : x * sigmoid(TANH_FORM(1));
}
static quad gelu_tanh_d(quad x, const double *p) {
    x = fmaxq(fminq(x, 200), -200);
    return slope(TANH_FORM(1), TANH_FORM(3));
}

static const double quick[] = {1.702};
static quad gelu_sigmoid(quad x, const double *p) { return silu(x, quick); }
static quad gelu_sigmoid_d(quad x, const double *p) { return silu_d(x, quick); }

static quad erf_(quad x, const double *p) { return erfq(x); }
static quad erf_d(quad x, const double *p) { return 2 / sqrtq(M_PIq) * expq(-x * x); }
static quad erfc_(quad x, const double *p) { return erfcq(x); }
static quad erfc_d(quad x, const double *p) { return -erf_d(x, p); }
static quad ndtr(quad x, const double *p) { return normal(x); }
static quad ndtr_d(quad x, const double *p) { return density(x); }

/* Phi(-a) sqrt(2 pi) a e^(a^2/2) by its asymptotic series, for a > 20 */
static quad mills(quad a) {
    quad term = 1, sum = 0;
    for (int k = 1; fabsq(term) > 1e-35Q; k++) { sum += term; term *= -(2 * k - 1) / (a * a); }
    return sum;
}
static quad log_ndtr(quad x, const double *p) {
    if (x < -20) return logq(mills(-x) / (-x * sqrtq(2 * M_PIq))) - x * x / 2;
    return x < 0 ? logq(normal(x)) : log1pq(-normal(-x));
}
static quad log_ndtr_d(quad x, const double *p) {
    return x < -20 ? -x / mills(-x) : density(x) / normal(x);
}

static quad gaussian(quad x, const double *p) { return expq(-x * x); }
static quad gaussian_d(quad x, const double *p) { return -2 * x * expq(-x * x); }

/* exact: products of doubles have 106 bits, and the sum that may cancel has few more */
static quad hard_sigmoid(quad x, const double *p) {
    return fminq(fmaxq(fmaq(p[0], x, p[1]), 0), 1);
}

/* p: lower, upper, growth, midpoint, nu; the logarithm of (1 + e^-z)^(-1/nu) */
static quad exponent(quad x, const double *p) {
    quad z = p[2] * (x - p[3]);
    return -(fmaxq(-z, 0) + log1pq(expq(-fabsq(z)))) / p[4];
}
static quad generalized_logistic(quad x, const double *p) {
    if (p[4] == 1 && p[0] == -p[1]) return p[1] * tanhq(p[2] * (x - p[3]) / 2);
    quad q = exponent(x, p), span = (quad)p[1] - p[0];
    return q > -0.5Q ? p[1] + span * expm1q(q) : p[0] + span * expq(q);
}
static quad generalized_logistic_d(quad x, const double *p) {
    quad span = (quad)p[1] - p[0];
    return span * p[2] / p[4] * expq(exponent(x, p)) * sigmoid(-p[2] * (x - p[3]));
}

/* f of n doubles, each value rounded to a long double */
#define OVER(name, f)                                                             \
    void name(const double *x, long double *y, long n, const double *p) {         \
        for (long i = 0; i < n; i++) y[i] = (long double)f(x[i], p);              \
    }

#define NAMED(name) OVER(name##_value, name) OVER(name##_derivative, name##_d)
NAMED(celu)
NAMED(softplus)
NAMED(silu)
NAMED(gelu)
NAMED(gelu_tanh)
NAMED(gelu_sigmoid)
OVER(erf_value, erf_)
OVER(erf_derivative, erf_d)
OVER(erfc_value, erfc_)
OVER(erfc_derivative, erfc_d)
NAMED(ndtr)
NAMED(log_ndtr)
NAMED(gaussian)
OVER(hard_sigmoid_value, hard_sigmoid)
NAMED(generalized_logistic)
