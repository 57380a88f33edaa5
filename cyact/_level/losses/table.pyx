"""Losses: one readable loop a loss, and what is around it.

Compiled once for each instruction-set level. The losses of one element each work on tiles: the
arrays, of any dtype and strides, are loaded as float32 or float64; a kernel gives loss and
gradient as doubles; these are summed in a fixed order, or rounded once to where they belong.
cross_entropy is in rows/; here is what it needs for other dtypes, and focal loss, which is
a function of it.
"""

from libc.math cimport INFINITY, NAN
from libc.string cimport memcpy, memset
from cpython.pycapsule cimport PyCapsule_New

from cyact._level.abi cimport (
    ABI, BFLOAT16, BINARY_CROSS_ENTROPY, BINARY_CROSS_ENTROPY_WITH_LOGITS, FLOAT16, FLOAT32,
    FLOAT64, INT8, INT16, INT32, INT64, KL_DIV, KL_DIV_LOG_TARGET, LANES, LOSS_ARRAYS, LOSS_GRAD,
    LOSS_POSITIVE, LOSS_TARGET, LOSS_VALUE, LOSS_WEIGHT, LOSS_X, POINTWISE, TILE, UINT8, UINT16,
    UINT32, Copy, Lines, LossKernels, Pointwise, itemsize, loss_kernel_t)
# Written so, Cython sees that this module is out of date when one of those is changed.
cimport cyact._level.maths32 as m32
cimport cyact._level.maths64 as m64
from cyact._level.halves cimport from_bfloat, from_half, narrow, to_bfloat, to_half, uint16, widen
from cyact._level.maths32 cimport opaque, uint32
from cyact._level.maths64 cimport pair
from cyact._level.stages cimport cyact_status, status_get, status_set, tile

ctypedef fused real:
    float
    double

ctypedef fused element:
    signed char
    unsigned char
    short
    unsigned short
    int
    unsigned int
    long long
    unsigned long long
    float
    double


# Any dtype, to what is computed in

cdef inline void cast(const char* x, Py_ssize_t step, real* to, Py_ssize_t n,
                      element kind) noexcept nogil:
    cdef Py_ssize_t i
    if step == sizeof(element):
        for i in range(n):
            to[i] = <real> (<const element*> x)[i]
    else:
        for i in range(n):
            to[i] = <real> (<const element*> (x + i * step))[0]


cdef inline float half_at(const char* x, int dtype) noexcept nogil:
    cdef uint16 h = (<const uint16*> x)[0]
    return from_bfloat(h) if dtype == BFLOAT16 else from_half(h)


cdef inline void cast_halves(const char* x, Py_ssize_t step, int dtype, real* to,
                             Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0, whole = n & -LANES
    if real is float:
        if step == sizeof(uint16):
            widen(<const uint16*> x, to, whole, dtype)
            i = whole
    while i < n:
        to[i] = half_at(x + i * step, dtype)
        i += 1


cdef void copy_items(const char* x, Py_ssize_t step, int dtype, real* to,
                     Py_ssize_t n) noexcept nogil:
    """to[i] = item i of x, whatever its dtype."""
    if dtype == FLOAT32:
        cast(x, step, to, n, <float> 0)
    elif dtype == FLOAT64:
        cast(x, step, to, n, <double> 0)
    elif dtype == FLOAT16 or dtype == BFLOAT16:
        cast_halves(x, step, dtype, to, n)
    elif dtype == INT8:
        cast(x, step, to, n, <signed char> 0)
    elif dtype == UINT8:
        cast(x, step, to, n, <unsigned char> 0)
    elif dtype == INT16:
        cast(x, step, to, n, <short> 0)
    elif dtype == UINT16:
        cast(x, step, to, n, <unsigned short> 0)
    elif dtype == INT32:
        cast(x, step, to, n, <int> 0)
    elif dtype == UINT32:
        cast(x, step, to, n, <unsigned int> 0)
    elif dtype == INT64:
        cast(x, step, to, n, <long long> 0)
    else:
        cast(x, step, to, n, <unsigned long long> 0)


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
    double undefined


# Binary cross-entropy with logits: (1 - t) x + (1 + (v - 1) t) softplus(-x), as
# away |x| + (1 - t + v t) log(1 + e^-|x|), where away is 1 - t for positive x and v t for
# negative: nothing cancels, and an infinity that does not count is not there.

cdef inline Terms logits_float(double x, double t, double w, double v, const Constants* c,
                               bint wanted) noexcept nogil:
    cdef Terms y
    cdef double rounded, q, e, p, d, inverse, log
    cdef double a = m64.absolute(x), negative = 1 - t, positive = v * t
    cdef double away = negative if x >= 0 else positive
    q = m32.exp_rest(-m64.at_most(a, c.high), &rounded)
    e = m32.shift(1, rounded)
    e = m32.fma(e, q, e)
    # log(1 + e) = e p/d as in m32.log1p; 1/(1 + e) shares its division
    p = m32.fma(3.98025803785869, e, 27.888936454233583)
    d = e + 15.245728552755184
    p = m32.fma(p, e, 32.15999656478346)
    d = m32.fma(d, e, 43.96887243535131)
    d = m32.fma(d, e, 32.159997175249764)
    y.grad = 0
    if wanted:
        inverse = 1 / (d * (1 + e))
        log = e * p * ((1 + e) * inverse)
        q = m32.fma(negative, e, -positive)
        p = m32.fma(-positive, e, negative)
        y.grad = c.scale.hi * w * ((p if x >= 0 else q) * (d * inverse))
    else:
        log = e * p / d
    y.loss = w * m32.fma(negative + positive, log, 0 if away == 0 else away * a)
    return y


cdef inline pair sum_of(pair a, pair b) noexcept nogil:
    cdef pair s = m64.two_sum(a.hi, b.hi)
    s.lo += a.lo + b.lo
    return s


cdef inline pair either(bint condition, pair a, pair b) noexcept nogil:
    return m64.pair_of(a.hi if condition else b.hi, a.lo if condition else b.lo)


cdef inline pair negated(pair a) noexcept nogil:
    return m64.pair_of(-a.hi, -a.lo)


cdef inline double rounded(pair y, double plain) noexcept nogil:
    """y, but where it is infinite or undefined, as plain arithmetic has it."""
    return plain if plain - plain != 0 else y.hi + y.lo


cdef inline Terms logits_double(double x, double t, double w, double v, const Constants* c,
                                bint wanted) noexcept nogil:
    cdef Terms y
    cdef pair e, log, share, factor, near, far
    cdef double a = m64.absolute(x), step, far_hi
    cdef pair negative = m64.two_sum(1, -t), positive = m64.two_prod(v, t)
    cdef pair away = m64.times(either(x >= 0, negative, positive), w)
    # e^-a is step^2 e; where step is not 1, that is its own log1p
    e = m64.halved_exp(m64.single(m64.at_least(-a, c.low)), &step)
    log = either(step == c.one, m64.log1p_parts(e), e)
    step *= step
    share = m64.times(sum_of(negative, positive), w)
    near = m64.times(away, 0 if away.hi == 0 else a)
    far = m64.product(share, log)
    y.loss = rounded(sum_of(near, m64.pair_of(far.hi * step, far.lo * step)),
                     near.hi + share.hi * (log.hi * step))
    y.grad = 0
    if wanted:
        factor = m64.times(c.scale, w)
        near = m64.product(either(x >= 0, negative, negated(positive)), factor)
        far = m64.product(either(x >= 0, negated(positive), negative), factor)
        far_hi = far.hi
        far = m64.product(far, e)
        near = sum_of(near, m64.pair_of(far.hi * step, far.lo * step))
        y.grad = rounded(m64.single(m64.divide(near, m64.one_plus(e, step))),
                         near.hi + far_hi * (e.hi * step))
    return y


# Binary cross-entropy: -w (t log p + (1 - t) log(1 - p)), 0 log 0 being 0; its gradient is
# w (p - t)/(p (1 - p)). Outside [0, 1] both are undefined.

cdef inline double log_float(double w) noexcept nogil:
    """log(w) of a positive normal number, to 2^-30."""
    cdef m32.uint64 k = m32.exponent_of(w)
    return m32.log_of(k, m32.fma(w, m32.from_bits64((2047ULL - k) << 52), -1))


cdef inline double log1m_float(double p) noexcept nogil:
    """log(1 - p) for 0 <= p < 1, to 2^-30."""
    cdef double w = 1 - p
    cdef m32.uint64 k = m32.exponent_of(w)
    cdef double f = m32.fma(w, m32.from_bits64((2047ULL - k) << 52), -1)
    return m32.log_of(k, f if w < 0.75 else -p)


cdef inline double limit(double p) noexcept nogil:
    """The gradient where p is the target."""
    return 1 if p == 0 else -1 if p == 1 else 0


cdef inline Terms binary_float(double p, double t, double w, double v, const Constants* c,
                               bint wanted) noexcept nogil:
    cdef Terms y
    cdef double rest = 1 - t, on, off
    cdef double undefined = 0 if (p >= 0) & (p <= 1) & (t >= 0) & (t <= 1) else c.undefined
    on = c.infinity if p == 0 else -log_float(p)
    off = c.infinity if p == 1 else -log1m_float(p)
    y.loss = w * ((0 if t == 0 else t * on) + (0 if t == 1 else rest * off)) + undefined
    y.grad = 0
    if wanted:
        y.grad = (p - t) / (p * (1 - p))
        y.grad = c.scale.hi * w * (limit(p) if p == t else y.grad) + undefined
    return y


cdef inline pair log_parts(pair x) noexcept nogil:
    """log(x.hi + x.lo), as m64.log does it; x.hi is positive and normal."""
    cdef unsigned long long k = (m64.bits(x.hi) - 0x3fe6a09e667f3bcdULL + (1024ULL << 52)) >> 52
    cdef double m = m64.from_bits(m64.bits(x.hi) - ((k - 1024ULL) << 52))
    cdef pair f = m64.fast_two_sum(m - 1, x.lo * m64.from_bits((2047ULL - k) << 52))
    cdef pair s = m64.quotient(f, m64.plus(2, f))
    cdef double z = s.hi * s.hi, exponent = m64.unbiased(k)
    cdef pair sum = m64.fast_two_sum(exponent * m64.LN2_H, s.hi + s.hi)
    sum.lo += exponent * m64.LN2_L + m64.madd(s.hi * z, m64.log_rest(z), s.lo + s.lo)
    return sum


cdef inline pair log_any(double x) noexcept nogil:
    """log(x) of a positive number; a subnormal one is lifted by 2^128."""
    cdef bint small = x < 1e-280
    cdef pair y = log_parts(m64.single(x * 3.402823669209385e+38 if small else x))
    cdef double less = -128.0 if small else 0.0
    cdef pair sum = m64.fast_two_sum(less * m64.LN2_H, y.hi)
    sum.lo += m64.madd(less, m64.LN2_L, y.lo)
    return sum


cdef inline Terms binary_double(double p, double t, double w, double v, const Constants* c,
                                bint wanted) noexcept nogil:
    cdef Terms y
    cdef pair q = m64.fast_two_sum(1, -p), rest = m64.fast_two_sum(1, -t), on, off, d
    cdef double plain, lift
    cdef double undefined = 0 if (p >= 0) & (p <= 1) & (t >= 0) & (t <= 1) else c.undefined
    on = m64.times(negated(log_any(p)), t)
    off = m64.product(either(p < c.tiny, m64.single(p), negated(log_parts(q))), rest)
    on.hi = c.infinity if p == 0 else on.hi
    off.hi = c.infinity if p == 1 else off.hi
    on = either(t == 0, m64.single(0), on)
    off = either(t == 1, m64.single(0), off)
    y.loss = undefined + rounded(m64.times(sum_of(on, off), w), (on.hi + off.hi) * w)
    y.grad = 0
    if wanted:
        # the reciprocal of a subnormal number would overflow
        lift = 3.402823669209385e+38 if p < c.tiny else 1.0
        d = m64.times(q, p * lift)
        y.grad = m64.divide(
            m64.product(m64.two_sum(p, -t), m64.times(c.scale, w * lift)), d)
        plain = (p - t) * (c.scale.hi * w * lift) / d.hi
        y.grad = plain if plain - plain != 0 else y.grad
        plain = limit(p) * (c.scale.hi * w)
        y.grad = undefined + (plain if p == t else y.grad)
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
    y.loss = rounded(m64.times(sum_of(m64.single(-x), log), t), t * (log.hi - x))
    y.loss = c.undefined if t < 0 else y.loss
    y.loss = 0 if (t == 0) & (x == x) else y.loss
    y.grad = 0 - m64.madd(t, c.scale.hi, t * c.scale.lo)
    return y


cdef inline Terms log_divergence_float(double x, double t, double w, double v,
                                       const Constants* c, bint wanted) noexcept nogil:
    cdef Terms y
    cdef double e = m32.exp_from(m64.at_least(m64.at_most(t, c.high), c.low), m32.ROUND)
    y.loss = e * (t - x)
    y.loss = 0 if (t == -c.infinity) & (x == x) else y.loss
    y.grad = 0 - e * c.scale.hi
    return y


cdef inline Terms log_divergence_double(double x, double t, double w, double v,
                                        const Constants* c, bint wanted) noexcept nogil:
    cdef Terms y
    cdef double step
    cdef pair e = m64.halved_exp(
        m64.single(m64.at_least(m64.at_most(t, c.high), c.low)), &step)
    step *= step
    y.loss = step * rounded(m64.product(m64.two_sum(t, -x), e), e.hi * (t - x))
    y.loss = 0 if (t == -c.infinity) & (x == x) else y.loss
    y.grad = 0 - step * rounded(m64.product(e, c.scale), e.hi * c.scale.hi)
    return y


# The loops

cdef inline Terms term(int op, real x, real t, real w, real v, const Constants* c,
                       bint wanted) noexcept nogil:
    if real is float:
        if op == BINARY_CROSS_ENTROPY:
            return binary_float(x, t, w, v, c, wanted)
        if op == BINARY_CROSS_ENTROPY_WITH_LOGITS:
            return logits_float(x, t, w, v, c, wanted)
        if op == KL_DIV:
            return divergence_float(x, t, w, v, c, wanted)
        return log_divergence_float(x, t, w, v, c, wanted)
    else:
        if op == BINARY_CROSS_ENTROPY:
            return binary_double(x, t, w, v, c, wanted)
        if op == BINARY_CROSS_ENTROPY_WITH_LOGITS:
            return logits_double(x, t, w, v, c, wanted)
        if op == KL_DIV:
            return divergence_double(x, t, w, v, c, wanted)
        return log_divergence_double(x, t, w, v, c, wanted)


cdef inline Constants constants(const double* scale, double low, double high) noexcept nogil:
    cdef Constants c
    c.scale = m64.pair_of(scale[0], scale[1])
    c.one = opaque(1)
    c.tiny = opaque(1e-20)
    c.low = opaque(low)
    c.high = opaque(high)
    c.infinity = opaque(INFINITY)
    c.undefined = opaque(NAN)
    return c


cdef inline void loop(int op, const real* x, const real* t, const real* w, const real* v,
                      double* restrict loss, double* restrict grad, Py_ssize_t n,
                      const double* scale,
                      bint wanted) noexcept nogil:
    cdef Py_ssize_t i
    cdef Constants c = constants(scale, -700 if real is float else -1500,
                                 700 if real is float else 710)
    cdef Terms y
    for i in range(n & -LANES):
        y = term(op, x[i], t[i], w[i], v[i], &c, wanted)
        loss[i] = y.loss
        if wanted:
            grad[i] = y.grad


cdef void binary(const real* x, const real* t, const real* w, const real* v, double* restrict loss,
                 double* restrict grad, Py_ssize_t n, const double* scale) noexcept nogil:
    loop(BINARY_CROSS_ENTROPY, x, t, w, v, loss, grad, n, scale, True)


cdef void binary_loss(const real* x, const real* t, const real* w, const real* v,
                      double* restrict loss,
                      double* restrict grad, Py_ssize_t n, const double* scale) noexcept nogil:
    loop(BINARY_CROSS_ENTROPY, x, t, w, v, loss, grad, n, scale, False)


cdef void logits(const real* x, const real* t, const real* w, const real* v, double* restrict loss,
                 double* restrict grad, Py_ssize_t n, const double* scale) noexcept nogil:
    loop(BINARY_CROSS_ENTROPY_WITH_LOGITS, x, t, w, v, loss, grad, n, scale, True)


cdef void logits_loss(const real* x, const real* t, const real* w, const real* v,
                      double* restrict loss,
                      double* restrict grad, Py_ssize_t n, const double* scale) noexcept nogil:
    loop(BINARY_CROSS_ENTROPY_WITH_LOGITS, x, t, w, v, loss, grad, n, scale, False)


cdef void divergence(const real* x, const real* t, const real* w, const real* v,
                     double* restrict loss,
                     double* restrict grad, Py_ssize_t n, const double* scale) noexcept nogil:
    loop(KL_DIV, x, t, w, v, loss, grad, n, scale, True)


cdef void divergence_loss(const real* x, const real* t, const real* w, const real* v,
                          double* restrict loss, double* restrict grad, Py_ssize_t n,
                          const double* scale) noexcept nogil:
    loop(KL_DIV, x, t, w, v, loss, grad, n, scale, False)


cdef void log_divergence(const real* x, const real* t, const real* w, const real* v,
                         double* restrict loss, double* restrict grad, Py_ssize_t n,
                         const double* scale) noexcept nogil:
    loop(KL_DIV_LOG_TARGET, x, t, w, v, loss, grad, n, scale, True)


cdef void log_divergence_loss(const real* x, const real* t, const real* w, const real* v,
                              double* restrict loss, double* restrict grad, Py_ssize_t n,
                              const double* scale) noexcept nogil:
    loop(KL_DIV_LOG_TARGET, x, t, w, v, loss, grad, n, scale, False)


# Tiles

cdef float[TILE] ONES32
cdef double[TILE] ONES64
cdef loss_kernel_t KERNELS[POINTWISE][2][2]     # by loss, dtype, and whether there is a gradient

# Where in the array an element is: its index in each dimension.
cdef struct Place:
    Py_ssize_t[64] index

cdef struct Work:
    tile[4] inputs
    tile loss
    tile grad
    tile result


cdef inline void find(const Pointwise* call, Py_ssize_t start, Place* place) noexcept nogil:
    cdef int d
    for d in range(call.dims - 1, -1, -1):
        place.index[d] = start % call.shape[d]
        start //= call.shape[d]


cdef inline Py_ssize_t offset(const Pointwise* call, int array, const Place* place) noexcept nogil:
    cdef int d
    cdef Py_ssize_t bytes = 0
    for d in range(call.dims):
        bytes += place.index[d] * call.steps[array][d]
    return bytes


cdef inline void advance(const Pointwise* call, Place* place, Py_ssize_t run) noexcept nogil:
    """Go on by `run` elements, which end at most where the innermost dimension does."""
    cdef int d = call.dims - 1
    place.index[d] += run
    while d > 0 and place.index[d] == call.shape[d]:
        place.index[d] = 0
        d -= 1
        place.index[d] += 1


cdef inline const real* load(const Pointwise* call, int array, Py_ssize_t start, Py_ssize_t n,
                             Py_ssize_t padded, real* buffer) noexcept nogil:
    """n elements as kernels take them, 0 beyond: in place if possible, else in the buffer."""
    cdef const char* x = call.data[array]
    cdef int dtype = call.dtypes[array], last = call.dims - 1
    cdef Py_ssize_t step = call.steps[array][last], done = 0, run
    cdef Place place
    if x == NULL:
        if real is float:
            return ONES32
        else:
            return ONES64
    if call.flat[array]:
        x += start * step
        if dtype == call.dtype and n == padded:
            return <const real*> x
        copy_items(x, step, dtype, buffer, n)
    else:
        find(call, start, &place)
        while done < n:
            run = min(n - done, call.shape[last] - place.index[last])
            copy_items(x + offset(call, array, &place), step, dtype, buffer + done, run)
            advance(call, &place, run)
            done += run
    memset(buffer + n, 0, (padded - n) * sizeof(real))
    return buffer


cdef inline float odd_float(double x) noexcept nogil:
    """x as a float, cut off, with its last bit set if anything was: rounded to fewer bits, that
    rounds as x would. Free of branches, so that a loop vectorises.
    """
    cdef float y = <float> x
    # only the sign counts; that of a float's residual is lost below 2^-149 without the factor
    cdef float rest = <float> ((x - <double> y) * 1.2676506002282294e+30)
    cdef uint32 inexact = (rest < 0) | (rest > 0)
    cdef uint32 u = m32.bits32(y)
    return m32.from_bits32((u - (inexact & ((m32.bits32(rest) ^ u) >> 31))) | inexact)


cdef inline void narrow_once(const double* values, uint16* to, Py_ssize_t n,
                             int dtype) noexcept nogil:
    """Doubles to a half type in one rounding. n is a multiple of LANES, at most TILE."""
    cdef float[TILE] odd
    cdef Py_ssize_t i
    for i in range(n & -LANES):
        odd[i] = odd_float(values[i])
    narrow(odd, to, n, dtype)


cdef inline void store_items(const double* values, char* to, Py_ssize_t step, int dtype,
                             Py_ssize_t n) noexcept nogil:
    """to[i] = values[i], rounded; those of a half type are halves already."""
    cdef Py_ssize_t i
    if dtype == FLOAT64:
        for i in range(n):
            (<double*> (to + i * step))[0] = values[i]
    elif dtype != FLOAT32:
        for i in range(n):
            (<uint16*> (to + i * step))[0] = (<const uint16*> values)[i]
    elif step == sizeof(float):
        for i in range(n):
            (<float*> to)[i] = <float> values[i]
    else:
        for i in range(n):
            (<float*> (to + i * step))[0] = <float> values[i]


cdef inline void store(const Pointwise* call, int array, Py_ssize_t start, Py_ssize_t n,
                       Py_ssize_t padded, const double* values, tile* result) noexcept nogil:
    """Round to the array's dtype, and put to the places."""
    cdef int dtype = call.dtypes[array], last = call.dims - 1
    cdef Py_ssize_t size = itemsize(dtype), step = call.steps[array][last], done = 0, run
    cdef char* to = call.data[array]
    cdef Place place
    if size == 2:
        narrow_once(values, <uint16*> result.bytes, padded, dtype)
        values = <const double*> result.bytes
    if call.flat[array]:
        to += start * step
        if size == 4:
            store_items(values, to, size, dtype, n)
        elif <const char*> values != to:
            memcpy(to, values, n * size)
        return
    find(call, start, &place)
    while done < n:
        run = min(n - done, call.shape[last] - place.index[last])
        store_items(<const double*> ((<const char*> values) + done * (2 if size == 2 else 8)),
                    to + offset(call, array, &place), step, dtype, run)
        advance(call, &place, run)
        done += run


cdef inline void add(const double* loss, Py_ssize_t padded, bint exact,
                     double* sum) noexcept nogil:
    """Sum a tile: LANES partial sums, with what rounds off them if exact, added in order."""
    cdef double[LANES] high
    cdef double[LANES] low
    cdef Py_ssize_t i, b
    cdef pair s
    for i in range(LANES):
        high[i] = low[i] = 0
    if exact:
        for b in range(padded // LANES):
            for i in range(LANES):
                s = m64.two_sum(high[i], loss[b * LANES + i])
                high[i] = s.hi
                low[i] += s.lo
    else:
        for b in range(padded // LANES):
            for i in range(LANES):
                high[i] += loss[b * LANES + i]
    sum[0] = sum[1] = 0
    for i in range(LANES):
        s = m64.two_sum(sum[0], high[i])
        sum[0] = s.hi
        sum[1] += s.lo + low[i]


cdef inline double* room(const Pointwise* call, int array, Py_ssize_t start, Py_ssize_t n,
                         Py_ssize_t padded, double* buffer) noexcept nogil:
    """Where the kernel puts its doubles: the array itself if they can stay there."""
    if (call.data[array] != NULL and call.dtypes[array] == FLOAT64 and call.flat[array]
            and n == padded):
        return <double*> call.data[array] + start
    return buffer


cdef inline void run(const Pointwise* call, Py_ssize_t start, Py_ssize_t n, double* sum,
                     real kind) noexcept nogil:
    cdef Work work
    cdef Py_ssize_t padded = (n + LANES - 1) & -LANES, i
    cdef const real* inputs[4]
    cdef bint wanted = call.data[LOSS_GRAD] != NULL
    cdef double* loss = room(call, LOSS_VALUE, start, n, padded, <double*> work.loss.bytes)
    cdef double* grad = room(call, LOSS_GRAD, start, n, padded, <double*> work.grad.bytes)
    for i in range(4):
        inputs[i] = load(call, i, start, n, padded, <real*> work.inputs[i].bytes)
    KERNELS[call.op][call.dtype][wanted](
        inputs[LOSS_X], inputs[LOSS_TARGET], inputs[LOSS_WEIGHT], inputs[LOSS_POSITIVE],
        loss, grad, padded, call.scale)
    if wanted:
        store(call, LOSS_GRAD, start, n, padded, grad, &work.result)
    if call.data[LOSS_VALUE] != NULL:
        store(call, LOSS_VALUE, start, n, padded, loss, &work.result)
    else:
        for i in range(n, padded):
            loss[i] = 0
        add(loss, padded, real is double, sum)


cdef void run_tile(const Pointwise* call, Py_ssize_t index, double* sum) noexcept nogil:
    cdef cyact_status status = status_get()
    cdef Py_ssize_t start = index * TILE, n = min(call.size - start, <Py_ssize_t> TILE)
    if call.dtype == FLOAT32:
        run(call, start, n, sum, <float> 0)
    else:
        run(call, start, n, sum, <double> 0)
    status_set(status)


# Panels: several tiles at once of arrays that lie across memory (in Fortran order, say). They are
# transposed, rows by rows, to and from buffers, so that each cache line is read once.

cdef enum:
    ACROSS = 8                    # rows that are copied together

ctypedef fused word:
    uint16
    float
    double


cdef inline Py_ssize_t magnitude(Py_ssize_t step) noexcept nogil:
    return -step if step < 0 else step


cdef inline Py_ssize_t rows_ahead(const Pointwise* call, int array, const Place* place,
                                  Py_ssize_t left) noexcept nogil:
    """How many whole rows to copy together from here: 0 where they lie along memory."""
    cdef int last = call.dims - 1
    cdef const Py_ssize_t* steps = call.steps[array]
    if last == 0 or place.index[last] != 0:
        return 0
    if magnitude(steps[last - 1]) >= magnitude(steps[last]):
        return 0
    return min(<Py_ssize_t> ACROSS, call.shape[last - 1] - place.index[last - 1],
               left // call.shape[last])


cdef inline void advance_rows(const Pointwise* call, Place* place, Py_ssize_t rows) noexcept nogil:
    place.index[call.dims - 2] += rows - 1
    advance(call, place, call.shape[call.dims - 1])


cdef inline void transpose(const char* x, Py_ssize_t row, Py_ssize_t step, real* to,
                           Py_ssize_t length, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t r, j
    for j in range(length):
        for r in range(rows):
            to[r * length + j] = (<const real*> (x + r * row + j * step))[0]


cdef inline void transpose_back(const word* source, char* y, Py_ssize_t row, Py_ssize_t step,
                                Py_ssize_t length, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t r, j
    for j in range(length):
        for r in range(rows):
            (<word*> (y + r * row + j * step))[0] = source[r * length + j]


cdef void gather(const Pointwise* call, int array, Py_ssize_t start, Py_ssize_t n,
                 real* to) noexcept nogil:
    """n elements of an array of any layout and dtype, in C order."""
    cdef int last = call.dims - 1, dtype = call.dtypes[array]
    cdef Py_ssize_t step = call.steps[array][last], length = call.shape[last]
    cdef Py_ssize_t row = call.steps[array][last - 1] if last else 0
    cdef Py_ssize_t done = 0, rows, run, r, j
    cdef real[ACROSS] few
    cdef const char* x
    cdef Place place
    find(call, start, &place)
    while done < n:
        x = call.data[array] + offset(call, array, &place)
        rows = rows_ahead(call, array, &place, n - done)
        if rows > 1:
            if dtype == call.dtype and rows == ACROSS:
                transpose(x, row, step, to + done, length, ACROSS)
            elif dtype == call.dtype:
                transpose(x, row, step, to + done, length, rows)
            else:
                for j in range(length):
                    copy_items(x + j * step, row, dtype, few, rows)
                    for r in range(rows):
                        to[done + r * length + j] = few[r]
            advance_rows(call, &place, rows)
            done += rows * length
        else:
            run = min(n - done, length - place.index[last])
            copy_items(x, step, dtype, to + done, run)
            advance(call, &place, run)
            done += run


cdef void scatter(const Pointwise* call, int array, Py_ssize_t start, Py_ssize_t n,
                  const word* source) noexcept nogil:
    """The reverse of gather, of items of the array's own dtype."""
    cdef int last = call.dims - 1
    cdef Py_ssize_t step = call.steps[array][last], length = call.shape[last]
    cdef Py_ssize_t row = call.steps[array][last - 1] if last else 0
    cdef Py_ssize_t done = 0, rows, run, j
    cdef char* y
    cdef Place place
    find(call, start, &place)
    while done < n:
        y = call.data[array] + offset(call, array, &place)
        rows = rows_ahead(call, array, &place, n - done)
        if rows > 1:
            if rows == ACROSS:
                transpose_back(source + done, y, row, step, length, ACROSS)
            else:
                transpose_back(source + done, y, row, step, length, rows)
            advance_rows(call, &place, rows)
            done += rows * length
        else:
            run = min(n - done, length - place.index[last])
            for j in range(run):
                (<word*> (y + j * step))[0] = source[done + j]
            advance(call, &place, run)
            done += run


cdef inline void flatten(const Pointwise* call, Pointwise* local, Py_ssize_t start, Py_ssize_t n,
                         char* buffers) noexcept nogil:
    """Describe n elements as contiguous arrays, inputs being gathered where they are not."""
    cdef int k
    cdef Py_ssize_t used = 0
    cdef Py_ssize_t room = call.panel * TILE * sizeof(double)
    local[0] = call[0]
    local.dims = 1
    local.shape[0] = local.size = n
    for k in range(LOSS_ARRAYS):
        if call.data[k] == NULL:
            continue
        if call.flat[k]:
            local.data[k] += start * call.steps[k][call.dims - 1]
            local.steps[k][0] = call.steps[k][call.dims - 1]
            continue
        local.flat[k] = True
        local.data[k] = buffers + used
        used += room
        if k == LOSS_VALUE or k == LOSS_GRAD:
            local.steps[k][0] = itemsize(call.dtypes[k])
            continue
        local.dtypes[k] = call.dtype
        local.steps[k][0] = itemsize(call.dtype)
        if call.dtype == FLOAT32:
            gather(call, k, start, n, <float*> local.data[k])
        else:
            gather(call, k, start, n, <double*> local.data[k])


cdef void run_panel(const Pointwise* call, Py_ssize_t index, char* buffers,
                    double* sums) noexcept nogil:
    cdef cyact_status status = status_get()
    cdef Pointwise local
    cdef int k
    cdef Py_ssize_t start = index * call.panel * TILE, t
    cdef Py_ssize_t n = min(call.size - start, call.panel * TILE)
    flatten(call, &local, start, n, buffers)
    for t in range((n + TILE - 1) // TILE):
        run_tile(&local, t, sums + 2 * t)
    for k in range(LOSS_VALUE, LOSS_GRAD + 1):
        if call.data[k] != NULL and not call.flat[k]:
            if call.dtypes[k] == FLOAT32:
                scatter(call, k, start, n, <const float*> local.data[k])
            elif call.dtypes[k] == FLOAT64:
                scatter(call, k, start, n, <const double*> local.data[k])
            else:
                scatter(call, k, start, n, <const uint16*> local.data[k])
    status_set(status)


# Rows of any dtype

cdef inline void copy_in(const Copy* c, real kind) noexcept nogil:
    """To float32 or float64; the shorter step is taken in the inner loop."""
    cdef Py_ssize_t i
    cdef bint across = c.y_row == sizeof(real) and c.n > 1
    for i in range(c.n if across else c.rows):
        if across:
            copy_items(c.x + i * c.x_item, c.x_row, c.x_dtype, <real*> (c.y + i * c.y_item),
                       c.rows)
        else:
            copy_items(c.x + i * c.x_row, c.x_item, c.x_dtype, <real*> (c.y + i * c.y_row), c.n)


cdef inline void narrow_items(const float* x, char* y, Py_ssize_t step, int dtype,
                              Py_ssize_t n) noexcept nogil:
    """Contiguous floats to halves; x has room for a multiple of LANES."""
    cdef uint16[LANES] few
    cdef Py_ssize_t done = 0, i, count
    if step == sizeof(uint16):
        done = n & -LANES
        narrow(x, <uint16*> y, done, dtype)
    while done < n:
        count = min(n - done, <Py_ssize_t> LANES)
        narrow(x + done, few, LANES, dtype)
        for i in range(count):
            (<uint16*> (y + (done + i) * step))[0] = few[i]
        done += count


cdef inline void copy_out(const Copy* c) noexcept nogil:
    """float32 to a half type."""
    cdef Py_ssize_t i
    cdef bint across = c.x_row == sizeof(float) and c.n > 1
    for i in range(c.n if across else c.rows):
        if across:
            narrow_items(<const float*> (c.x + i * c.x_item), c.y + i * c.y_item, c.y_row,
                         c.y_dtype, c.rows)
        else:
            narrow_items(<const float*> (c.x + i * c.x_row), c.y + i * c.y_row, c.y_item,
                         c.y_dtype, c.n)


cdef void copy_rows(const Copy* copy) noexcept nogil:
    cdef cyact_status status = status_get()
    if copy.y_dtype == FLOAT32:
        copy_in(copy, <float> 0)
    elif copy.y_dtype == FLOAT64:
        copy_in(copy, <double> 0)
    else:
        copy_out(copy)
    status_set(status)


# Focal loss, from the cross-entropy c = -log p of each row: alpha q^gamma c with q = 1 - p, and
# the factor alpha q^gamma (1 + gamma p c/q) of the gradient.

cdef void focal(const double* c, const double* alpha, double* restrict loss,
                double* restrict factor,
                Py_ssize_t rows, double gamma) noexcept nogil:
    cdef Py_ssize_t i
    cdef double q, power, entropy, ratio
    cdef double low = opaque(-800), most = opaque(1000), nothing = opaque(1 if gamma == 0 else 0)
    cdef m64.scaled e
    cdef pair log
    for i in range(rows & -LANES):
        entropy = c[i]
        q = 0 - m64.expm1(-entropy)
        ratio = 1 if q == 0 else m64.at_most(entropy, most) / q
        log = m64.times(log_any(q), gamma)
        log.lo = 0 if log.hi < low else log.lo
        log.hi = m64.at_least(log.hi, low)
        e = m64.exp_parts(log)
        power = nothing if q == 0 else m64.scale(e.hi + e.lo, e.n)
        # p from the exponential: in 1 - q, digits that c brings into sight are lost
        factor[i] = alpha[i] * power * (1 + gamma * m64.exp(-entropy) * ratio)
        loss[i] = alpha[i] * power * entropy


# Negative log-likelihood: -weight x[target]

cdef inline void put(char* y, int dtype, double value) noexcept nogil:
    cdef float odd = odd_float(value)
    if dtype == FLOAT32:
        (<float*> y)[0] = <float> value
    elif dtype == FLOAT64:
        (<double*> y)[0] = value
    else:
        (<uint16*> y)[0] = to_bfloat(odd) if dtype == BFLOAT16 else to_half(odd)


cdef inline double item(const char* x, int dtype) noexcept nogil:
    cdef double value
    if dtype == FLOAT32:
        return (<const float*> x)[0]
    if dtype == FLOAT64:
        return (<const double*> x)[0]
    if dtype == FLOAT16 or dtype == BFLOAT16:
        return half_at(x, dtype)
    copy_items(x, 0, dtype, &value, 1)
    return value


cdef void nll(const Copy* call, const Lines* target, const double* weight, double scale,
              const Lines* loss) noexcept nogil:
    cdef cyact_status status = status_get()
    cdef Py_ssize_t r, c
    cdef double w = 1
    cdef double* to
    for r in range(call.rows):
        c = (<const Py_ssize_t*> (target.data + r * target.row))[0]
        to = <double*> (loss.data + r * loss.row)
        if c < 0:
            to[0] = 0
            continue
        if weight != NULL:
            w = weight[c]
        to[0] = 0 - w * item(call.x + r * call.x_row + c * call.x_item, call.x_dtype)
        if call.y != NULL:
            put(call.y + r * call.y_row + c * call.y_item, call.y_dtype, 0 - w * scale)
    status_set(status)


cdef LossKernels LOSSES

cdef void fill_tables() noexcept:
    cdef int i
    for i in range(TILE):
        ONES32[i] = ONES64[i] = 1
    KERNELS[BINARY_CROSS_ENTROPY][FLOAT32][True] = <loss_kernel_t> binary[float]
    KERNELS[BINARY_CROSS_ENTROPY][FLOAT32][False] = <loss_kernel_t> binary_loss[float]
    KERNELS[BINARY_CROSS_ENTROPY][FLOAT64][True] = <loss_kernel_t> binary[double]
    KERNELS[BINARY_CROSS_ENTROPY][FLOAT64][False] = <loss_kernel_t> binary_loss[double]
    KERNELS[BINARY_CROSS_ENTROPY_WITH_LOGITS][FLOAT32][True] = <loss_kernel_t> logits[float]
    KERNELS[BINARY_CROSS_ENTROPY_WITH_LOGITS][FLOAT32][False] = <loss_kernel_t> logits_loss[float]
    KERNELS[BINARY_CROSS_ENTROPY_WITH_LOGITS][FLOAT64][True] = <loss_kernel_t> logits[double]
    KERNELS[BINARY_CROSS_ENTROPY_WITH_LOGITS][FLOAT64][False] = <loss_kernel_t> logits_loss[double]
    KERNELS[KL_DIV][FLOAT32][True] = <loss_kernel_t> divergence[float]
    KERNELS[KL_DIV][FLOAT32][False] = <loss_kernel_t> divergence_loss[float]
    KERNELS[KL_DIV][FLOAT64][True] = <loss_kernel_t> divergence[double]
    KERNELS[KL_DIV][FLOAT64][False] = <loss_kernel_t> divergence_loss[double]
    KERNELS[KL_DIV_LOG_TARGET][FLOAT32][True] = <loss_kernel_t> log_divergence[float]
    KERNELS[KL_DIV_LOG_TARGET][FLOAT32][False] = <loss_kernel_t> log_divergence_loss[float]
    KERNELS[KL_DIV_LOG_TARGET][FLOAT64][True] = <loss_kernel_t> log_divergence[double]
    KERNELS[KL_DIV_LOG_TARGET][FLOAT64][False] = <loss_kernel_t> log_divergence_loss[double]


fill_tables()
LOSSES.abi = ABI
LOSSES.tile = run_tile
LOSSES.panel = run_panel
LOSSES.copy_rows = copy_rows
LOSSES.focal = focal
LOSSES.nll = nll
table = PyCapsule_New(&LOSSES, b"cyact.LossKernels", NULL)
