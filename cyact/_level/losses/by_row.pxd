"""What losses of a row need besides cross-entropy, which is in rows/: focal loss, a function of it;
and negative log-likelihood.
"""

cimport cyact._level.maths64 as m64
from cyact._level.abi cimport LANES, Lines
from cyact._level.bits cimport at_least, at_most, opaque
from cyact._level.exact cimport pair, times
from cyact._level.losses.entries cimport load_one, store_one
from cyact._level.losses.pointwise cimport log_any
from cyact._level.stages cimport cyact_status, status_get, status_set

# Focal loss, from the cross-entropy c = -log p of each row: alpha q^gamma c with q = 1 - p, and
# the factor alpha q^gamma (1 + gamma p c/q) of the gradient.

cdef inline void focal(const double* c, const double* alpha, double* restrict loss,
                       double* restrict factor, Py_ssize_t rows, double gamma) noexcept nogil:
    cdef Py_ssize_t i
    cdef double q, power, entropy, ratio
    cdef double low = opaque(-800), most = opaque(1000), nothing = opaque(1 if gamma == 0 else 0)
    cdef m64.scaled e
    cdef pair log
    for i in range(rows & -LANES):
        entropy = c[i]
        q = 0 - m64.expm1(-entropy)
        ratio = 1 if q == 0 else at_most(entropy, most) / q
        log = times(log_any(q), gamma)
        log.lo = 0 if log.hi < low else log.lo
        log.hi = at_least(log.hi, low)
        e = m64.exp_parts(log)
        power = nothing if q == 0 else m64.scale(e.hi + e.lo, e.n)
        # p from the exponential: in 1 - q, digits that c brings into sight are lost
        factor[i] = alpha[i] * power * (1 + gamma * m64.exp(-entropy) * ratio)
        loss[i] = alpha[i] * power * entropy
        loss[i] = 0 if (alpha[i] == 0) & (entropy == entropy) else loss[i]


# Negative log-likelihood: -weight x[target]

cdef inline void nll(const Lines* x, const Lines* y, const Lines* target, const Lines* loss,
                     Py_ssize_t rows, const double* weight, double scale) noexcept nogil:
    cdef cyact_status status = status_get()
    cdef Py_ssize_t r, c
    cdef double w = 1, v
    cdef double* to
    for r in range(rows):
        c = (<const Py_ssize_t*> (target.data + r * target.row))[0]
        to = <double*> (loss.data + r * loss.row)
        if c < 0:
            to[0] = 0
            continue
        if weight != NULL:
            w = weight[c]
        v = load_one(x.data + r * x.row + c * x.item, x.dtype)
        to[0] = 0 if w == 0 and v == v else 0 - w * v
        if y.data != NULL:
            store_one(0 - w * scale, y.data + r * y.row + c * y.item, y.dtype)
    status_set(status)
