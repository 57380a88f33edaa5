"""Losses of one element each: value and gradient of each in float32 and in float64, and their
loop.

All arithmetic is in double, and in pairs of doubles for float64: whoever stores a result rounds it
once. A weight of 0 makes a loss and its gradient 0, however infinite they are, but not what is
undefined. So in float32 infinity is a huge double, which becomes infinite when it is rounded.
"""

from libc.math cimport INFINITY, NAN

cimport cyact._level.maths32 as m32
cimport cyact._level.maths64 as m64
from cyact._level.abi cimport LANES
from cyact._level.bits cimport (
    absolute, at_least, at_most, bits64, exponent_of, fma, from_bits64, opaque, times_power,
    uint64, unbiased)
from cyact._level.constants cimport LN2_H, LN2_L, ROUND
from cyact._level.exact cimport (
    as_pair, divide, fast_two_sum, pair, pair_of, plus, product, quotient, times, two_prod,
    two_sum)

ctypedef fused real:
    float
    double


# One element's loss and gradient. What the loops pass in besides the entries: literal bounds
# would make GCC split a clamp into branches.

cdef struct Terms:
    double loss
    double grad

cdef struct Constants:
    pair scale                    # the gradient is multiplied by this
    double one
    double tiny                   # below this a logarithm of 1 - p is -p
    double low                    # of an exponent
    double high
    double infinity
    double huge                   # infinite as a float, even times the smallest of floats
    double least                  # 1 / huge
    double undefined


# Binary cross-entropy with logits: (1 - t) x + (1 + (v - 1) t) softplus(-x), as
# away |x| + (1 - t + v t) log(1 + e^-|x|), where away is 1 - t for positive x and v t for
# negative: nothing cancels, and an infinity that does not count is not there.

cdef inline Terms logits_float(double x, double t, double w, double v, const Constants* c,
                               bint wanted) noexcept nogil:
    cdef Terms y
    cdef double rounded, q, e, p, d, inverse, log
    cdef double a = at_most(absolute(x), c.huge), negative = 1 - t, positive = v * t
    cdef double away = negative if x >= 0 else positive
    q = m32.exp_rest(-at_most(a, c.high), &rounded)
    e = times_power(1, rounded)
    e = fma(e, q, e)
    # log(1 + e) = e p/d as in m32.log1p; 1/(1 + e) shares its division
    p = fma(3.98025803785869, e, 27.888936454233583)
    d = e + 15.245728552755184
    p = fma(p, e, 32.15999656478346)
    d = fma(d, e, 43.96887243535131)
    d = fma(d, e, 32.159997175249764)
    y.grad = 0
    if wanted:
        inverse = 1 / (d * (1 + e))
        log = e * p * ((1 + e) * inverse)
        q = fma(negative, e, -positive)
        p = fma(-positive, e, negative)
        y.grad = c.scale.hi * w * ((p if x >= 0 else q) * (d * inverse))
    else:
        log = e * p / d
    y.loss = w * fma(negative + positive, log, away * a)
    return y


cdef inline pair sum_of(pair a, pair b) noexcept nogil:
    cdef pair s = two_sum(a.hi, b.hi)
    s.lo += a.lo + b.lo
    return s


cdef inline pair either(bint condition, pair a, pair b) noexcept nogil:
    return pair_of(a.hi if condition else b.hi, a.lo if condition else b.lo)


cdef inline pair negated(pair a) noexcept nogil:
    return pair_of(-a.hi, -a.lo)


cdef inline double rounded(pair y, double plain) noexcept nogil:
    """y, but where it is infinite or undefined, as plain arithmetic has it."""
    return plain if plain - plain != 0 else y.hi + y.lo


cdef inline Terms logits_double(double x, double t, double w, double v, const Constants* c,
                                bint wanted) noexcept nogil:
    cdef Terms y
    cdef pair e, log, share, factor, near, far
    cdef double a = absolute(x), step, far_hi
    cdef pair negative = two_sum(1, -t), positive = two_prod(v, t)
    cdef pair away = times(either(x >= 0, negative, positive), w)
    # e^-a is step^2 e; where step is not 1, that is its own log1p
    e = m64.halved_exp(as_pair(at_least(-a, c.low)), &step)
    log = either(step == c.one, m64.log1p_parts(e), e)
    step *= step
    share = times(sum_of(negative, positive), w)
    near = times(away, 0 if away.hi == 0 else a)
    far = product(share, log)
    y.loss = rounded(sum_of(near, pair_of(far.hi * step, far.lo * step)),
                     near.hi + share.hi * (log.hi * step))
    y.grad = 0
    if wanted:
        factor = times(c.scale, w)
        near = product(either(x >= 0, negative, negated(positive)), factor)
        far = product(either(x >= 0, negated(positive), negative), factor)
        far_hi = far.hi
        far = product(far, e)
        near = sum_of(near, pair_of(far.hi * step, far.lo * step))
        y.grad = rounded(as_pair(divide(near, m64.one_plus(e, step))),
                         near.hi + far_hi * (e.hi * step))
    return y


# Binary cross-entropy: -w (t log p + (1 - t) log(1 - p)), 0 log 0 being 0; its gradient is
# w (p - t)/(p (1 - p)). Outside [0, 1] both are undefined.

cdef inline double log_float(double w) noexcept nogil:
    """log(w) of a positive normal number, to 2^-30."""
    cdef uint64 k = exponent_of(w)
    return m32.log_of(k, fma(w, from_bits64((2047ULL - k) << 52), -1))


cdef inline double log1m_float(double p) noexcept nogil:
    """log(1 - p) for 0 <= p < 1, to 2^-30."""
    cdef double w = 1 - p
    cdef uint64 k = exponent_of(w)
    cdef double f = fma(w, from_bits64((2047ULL - k) << 52), -1)
    return m32.log_of(k, f if w < 0.75 else -p)


cdef inline double limit(double p) noexcept nogil:
    """The gradient where p is the target."""
    return 1 if p == 0 else -1 if p == 1 else 0


cdef inline Terms binary_float(double p, double t, double w, double v, const Constants* c,
                               bint wanted) noexcept nogil:
    cdef Terms y
    cdef double rest = 1 - t, on, off
    cdef double undefined = 0 if (p >= 0) & (p <= 1) & (t >= 0) & (t <= 1) else c.undefined
    on = c.huge if p == 0 else -log_float(p)
    off = c.huge if p == 1 else -log1m_float(p)
    y.loss = w * (t * on + rest * off) + undefined
    y.grad = 0
    if wanted:
        y.grad = (p - t) / at_least(p * (1 - p), c.least)
        y.grad = c.scale.hi * w * (limit(p) if p == t else y.grad) + undefined
    return y


cdef inline pair log_parts(pair x) noexcept nogil:
    """log(x.hi + x.lo), as m64.log does it; x.hi is positive and normal."""
    cdef unsigned long long k = (bits64(x.hi) - 0x3fe6a09e667f3bcdULL + (1024ULL << 52)) >> 52
    cdef double m = from_bits64(bits64(x.hi) - ((k - 1024ULL) << 52))
    cdef pair f = fast_two_sum(m - 1, x.lo * from_bits64((2047ULL - k) << 52))
    cdef pair s = quotient(f, plus(2, f))
    cdef double z = s.hi * s.hi, exponent = unbiased(k)
    cdef pair sum = fast_two_sum(exponent * LN2_H, s.hi + s.hi)
    sum.lo += exponent * LN2_L + fma(s.hi * z, m64.log_rest(z), s.lo + s.lo)
    return sum


cdef inline pair log_any(double x) noexcept nogil:
    """log(x) of a positive number; a subnormal one is lifted by 2^128."""
    cdef bint small = x < 1e-280
    cdef pair y = log_parts(as_pair(x * 3.402823669209385e+38 if small else x))
    cdef double less = -128.0 if small else 0.0
    cdef pair sum = fast_two_sum(less * LN2_H, y.hi)
    sum.lo += fma(less, LN2_L, y.lo)
    return sum


cdef inline Terms binary_double(double p, double t, double w, double v, const Constants* c,
                                bint wanted) noexcept nogil:
    cdef Terms y
    cdef pair q = fast_two_sum(1, -p), rest = fast_two_sum(1, -t), on, off, d
    cdef double plain, lift
    cdef double undefined = 0 if (p >= 0) & (p <= 1) & (t >= 0) & (t <= 1) else c.undefined
    on = times(negated(log_any(p)), t)
    off = product(either(p < c.tiny, as_pair(p), negated(log_parts(q))), rest)
    on.hi = c.infinity if p == 0 else on.hi
    off.hi = c.infinity if p == 1 else off.hi
    on = either(t == 0, as_pair(0), on)
    off = either(t == 1, as_pair(0), off)
    plain = rounded(times(sum_of(on, off), w), (on.hi + off.hi) * w)
    y.loss = (0 if w == 0 else plain) + undefined
    y.grad = 0
    if wanted:
        # the reciprocal of a subnormal number would overflow
        lift = 3.402823669209385e+38 if p < c.tiny else 1.0
        d = times(q, p * lift)
        y.grad = divide(
            product(two_sum(p, -t), times(c.scale, w * lift)), d)
        plain = (p - t) * (c.scale.hi * w * lift) / d.hi
        y.grad = plain if plain - plain != 0 else y.grad
        plain = limit(p) * (c.scale.hi * w)
        y.grad = plain if p == t else y.grad
        y.grad = (0 if w == 0 else y.grad) + undefined
    return y


# Kullback-Leibler divergence: t (log t - x), or e^t (t - x) for the target's logarithm; 0
# where the target is 0. The gradient is minus the target.

cdef inline Terms divergence_float(double x, double t, double w, double v, const Constants* c,
                                   bint wanted) noexcept nogil:
    cdef Terms y
    y.loss = t * (m64.log(t) - x)          # in double: the difference may be small
    y.loss = c.undefined if t < 0 else y.loss
    y.loss = 0 if (t == 0) & (x == x) else y.loss
    y.grad = 0 - t * c.scale.hi
    return y


cdef inline Terms divergence_double(double x, double t, double w, double v, const Constants* c,
                                    bint wanted) noexcept nogil:
    cdef Terms y
    cdef pair log = log_any(t)
    y.loss = rounded(times(sum_of(as_pair(-x), log), t), t * (log.hi - x))
    y.loss = c.undefined if t < 0 else y.loss
    y.loss = 0 if (t == 0) & (x == x) else y.loss
    y.grad = 0 - fma(t, c.scale.hi, t * c.scale.lo)
    return y


cdef inline Terms log_divergence_float(double x, double t, double w, double v,
                                       const Constants* c, bint wanted) noexcept nogil:
    cdef Terms y
    cdef double e = m32.exp_from(at_least(at_most(t, c.high), c.low), ROUND)
    y.loss = e * (t - x)
    y.loss = 0 if (t == -c.infinity) & (x == x) else y.loss
    y.grad = 0 - e * c.scale.hi
    return y


cdef inline Terms log_divergence_double(double x, double t, double w, double v,
                                        const Constants* c, bint wanted) noexcept nogil:
    cdef Terms y
    cdef double step
    cdef pair e = m64.halved_exp(
        as_pair(at_least(at_most(t, c.high), c.low)), &step)
    step *= step
    y.loss = step * rounded(product(two_sum(t, -x), e), e.hi * (t - x))
    y.loss = 0 if (t == -c.infinity) & (x == x) else y.loss
    y.grad = 0 - step * rounded(product(e, c.scale), e.hi * c.scale.hi)
    return y


# The loops: a loss is given by its two formulas. Each is a constant where the loop is inlined, and
# so is whether the gradient is wanted.

ctypedef Terms (*term_t)(double x, double t, double w, double v, const Constants* c,
                         bint wanted) noexcept nogil


cdef inline Constants constants(const double* scale, double low, double high) noexcept nogil:
    cdef Constants c
    c.scale = pair_of(scale[0], scale[1])
    c.one = opaque(1)
    c.tiny = opaque(1e-20)
    c.low = opaque(low)
    c.high = opaque(high)
    c.infinity = opaque(INFINITY)
    c.huge = opaque(1e300)
    c.least = opaque(1e-300)
    c.undefined = opaque(NAN)
    return c


cdef inline void loop(term_t term, const real* x, const real* t, const real* w, const real* v,
                      double* restrict loss, double* restrict grad, Py_ssize_t n,
                      const double* scale, bint wanted) noexcept nogil:
    cdef Py_ssize_t i
    cdef Constants c = constants(scale, -700 if real is float else -1500,
                                 700 if real is float else 710)
    cdef Terms y
    for i in range(n & -LANES):
        y = term(x[i], t[i], w[i], v[i], &c, wanted)
        loss[i] = y.loss
        if wanted:
            grad[i] = y.grad


cdef inline void either_loop(term_t term, const real* x, const real* t, const real* w,
                             const real* v, double* loss, double* grad, Py_ssize_t n,
                             const double* scale) noexcept nogil:
    if grad == NULL:
        loop(term, x, t, w, v, loss, grad, n, scale, False)
    else:
        loop(term, x, t, w, v, loss, grad, n, scale, True)


cdef inline void binary(const real* x, const real* t, const real* w, const real* v,
                        double* loss, double* grad, Py_ssize_t n,
                        const double* scale) noexcept nogil:
    if real is float:
        either_loop(binary_float, x, t, w, v, loss, grad, n, scale)
    else:
        either_loop(binary_double, x, t, w, v, loss, grad, n, scale)


cdef inline void logits(const real* x, const real* t, const real* w, const real* v,
                        double* loss, double* grad, Py_ssize_t n,
                        const double* scale) noexcept nogil:
    if real is float:
        either_loop(logits_float, x, t, w, v, loss, grad, n, scale)
    else:
        either_loop(logits_double, x, t, w, v, loss, grad, n, scale)


cdef inline void divergence(const real* x, const real* t, const real* w, const real* v,
                            double* loss, double* grad, Py_ssize_t n,
                            const double* scale) noexcept nogil:
    if real is float:
        either_loop(divergence_float, x, t, w, v, loss, grad, n, scale)
    else:
        either_loop(divergence_double, x, t, w, v, loss, grad, n, scale)


cdef inline void log_divergence(const real* x, const real* t, const real* w, const real* v,
                                double* loss, double* grad, Py_ssize_t n,
                                const double* scale) noexcept nogil:
    if real is float:
        either_loop(log_divergence_float, x, t, w, v, loss, grad, n, scale)
    else:
        either_loop(log_divergence_double, x, t, w, v, loss, grad, n, scale)
