"""What losses of a row need besides cross-entropy, which is in rows/: focal loss, a function of it;
negative log-likelihood; and rows of other dtypes, as rows/ takes them.
"""

cimport cyact._level.maths64 as m64
from cyact._level.abi cimport FLOAT32, FLOAT64, LANES, Copy
from cyact._level.bits cimport at_least, at_most, opaque
from cyact._level.exact cimport pair, times
from cyact._level.halves cimport narrow, uint16
from cyact._level.losses.entries cimport load, load_one, real, store_one
from cyact._level.losses.pointwise cimport log_any
from cyact._level.stages cimport cyact_status, status_get, status_set

# Rows of any dtype

cdef inline void copy_in(const Copy* c, real kind) noexcept nogil:
    """To float32 or float64; the shorter step is taken in the inner loop."""
    cdef Py_ssize_t i
    cdef bint across = c.y_row == sizeof(real) and c.n > 1
    cdef Py_ssize_t runs = c.n if across else c.rows, n = c.rows if across else c.n
    cdef Py_ssize_t x_run = c.x_item if across else c.x_row, step = c.x_row if across else c.x_item
    cdef Py_ssize_t y_run = c.y_item if across else c.y_row
    for i in range(runs):
        load(c.x + i * x_run, step, c.x_dtype, <real*> (c.y + i * y_run), n)


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


cdef inline void copy_rows(const Copy* copy) noexcept nogil:
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


cdef inline void scale_items(char* y, Py_ssize_t step, const double* factor, Py_ssize_t n,
                             bint one, real kind) noexcept nogil:
    """Multiply n items by one factor, or each by its own."""
    cdef Py_ssize_t i
    cdef double f = factor[0]
    if one and step == sizeof(real):
        for i in range(n):
            (<real*> y)[i] = <real> ((<real*> y)[i] * f)
    elif one:
        for i in range(n):
            (<real*> (y + i * step))[0] = <real> ((<real*> (y + i * step))[0] * f)
    elif step == sizeof(real):
        for i in range(n):
            (<real*> y)[i] = <real> ((<real*> y)[i] * factor[i])
    else:
        for i in range(n):
            (<real*> (y + i * step))[0] = <real> ((<real*> (y + i * step))[0] * factor[i])


cdef inline void scale_all(const Copy* c, const double* factor, real kind) noexcept nogil:
    cdef Py_ssize_t i
    cdef bint across = c.y_row == sizeof(real) and c.n > 1
    for i in range(c.n if across else c.rows):
        if across:
            scale_items(c.y + i * c.y_item, c.y_row, factor, c.rows, False, kind)
        else:
            scale_items(c.y + i * c.y_row, c.y_item, factor + i, c.n, True, kind)


cdef inline void scale_rows(const Copy* rows, const double* factor) noexcept nogil:
    cdef cyact_status status = status_get()
    if rows.y_dtype == FLOAT32:
        scale_all(rows, factor, <float> 0)
    else:
        scale_all(rows, factor, <double> 0)
    status_set(status)


# Negative log-likelihood: -weight x[target]

cdef inline void nll(const Copy* call, const Py_ssize_t* target, const double* weight,
                     double scale, double* loss) noexcept nogil:
    cdef cyact_status status = status_get()
    cdef Py_ssize_t r, c
    cdef double w = 1, x
    for r in range(call.rows):
        c = target[r]
        if c < 0:
            loss[r] = 0
            continue
        if weight != NULL:
            w = weight[c]
        x = load_one(call.x + r * call.x_row + c * call.x_item, call.x_dtype)
        loss[r] = 0 if w == 0 and x == x else 0 - w * x
        if call.y != NULL:
            store_one(0 - w * scale, call.y + r * call.y_row + c * call.y_item, call.y_dtype)
    status_set(status)
