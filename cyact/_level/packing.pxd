"""Rows of any dtype, strided, masked, with a bias, as packed rows for a row kernel, and back."""

from libc.string cimport memcpy

from cyact._level.abi cimport FLOAT64, LANES, Packing
from cyact._level.halves cimport narrow, uint16, widen

ctypedef fused real:
    float
    double


cdef inline void widen_row(const char* x, Py_ssize_t step, Py_ssize_t n, int dtype,
                           float* to) noexcept nogil:
    """to = x, exactly; overwrites up to LANES entries more."""
    cdef uint16 few[LANES]
    cdef Py_ssize_t start = 0, i
    if step == sizeof(uint16):
        start = n & -LANES
        widen(<const uint16*> x, to, start, dtype)
    while start < n:
        for i in range(min(<Py_ssize_t> LANES, n - start)):
            few[i] = (<const uint16*> (x + (start + i) * step))[0]
        for i in range(n - start, LANES):
            few[i] = 0
        widen(few, to + start, LANES, dtype)
        start += LANES


cdef inline void narrow_row(const float* source, char* y, Py_ssize_t step, Py_ssize_t n,
                            int dtype) noexcept nogil:
    """y = source, rounded; reads up to LANES entries more."""
    cdef uint16 few[LANES]
    cdef Py_ssize_t start = 0, i
    if step == sizeof(uint16):
        start = n & -LANES
        narrow(source, <uint16*> y, start, dtype)
    while start < n:
        narrow(source + start, few, LANES, dtype)
        for i in range(min(<Py_ssize_t> LANES, n - start)):
            (<uint16*> (y + (start + i) * step))[0] = few[i]
        start += LANES


cdef inline Packing joined(const Packing* packing, Py_ssize_t size) noexcept nogil:
    """As one long row where the rows follow each other and nothing is done to them."""
    cdef Packing p = packing[0]
    if (p.item == size and p.row == p.n * size and p.mask == NULL and p.bias == NULL
            and not p.negative):
        p.n *= p.rows
        p.rows = 1
    return p


cdef inline void add_bias(real* to, const char* bias, Py_ssize_t step, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    if step == sizeof(real):
        for j in range(n):
            to[j] += (<const real*> bias)[j]
    else:
        for j in range(n):
            to[j] += (<const real*> (bias + j * step))[0]


cdef inline void blank_out(real* to, const Packing* p, Py_ssize_t r) noexcept nogil:
    cdef const char* mask = p.mask + r * p.mask_row
    cdef real blank = <real> p.blank
    cdef Py_ssize_t j
    if p.mask_item == 1:
        for j in range(p.n):
            to[j] = to[j] if mask[j] != 0 else blank
    else:
        for j in range(p.n):
            to[j] = to[j] if mask[j * p.mask_item] != 0 else blank


cdef inline void turn(real* to, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        to[j] = -to[j]


cdef inline void gather_rows(const Packing* packing, real kind) noexcept nogil:
    """packed = x, plus the bias, negated, masked entries blank."""
    cdef Py_ssize_t size = 2 if packing.dtype > FLOAT64 else sizeof(real)
    cdef Packing p = joined(packing, size)
    cdef Py_ssize_t r, j
    cdef const char* x
    cdef real* to
    for r in range(p.rows):
        x = p.data + r * p.row
        to = <real*> p.packed + r * p.n
        if p.dtype > FLOAT64:
            if real is float:
                widen_row(x, p.item, p.n, p.dtype, to)
        elif p.item == sizeof(real):
            memcpy(to, x, p.n * sizeof(real))
        else:
            for j in range(p.n):
                to[j] = (<const real*> (x + j * p.item))[0]
        if p.bias != NULL:
            add_bias(to, p.bias + r * p.bias_row, p.bias_item, p.n)
        if p.negative:
            turn(to, p.n)
        if p.mask != NULL:
            blank_out(to, &p, r)


cdef inline void scatter_rows(const Packing* packing, real kind) noexcept nogil:
    """y = packed, negated, masked entries blank, rounded to its dtype."""
    cdef Py_ssize_t size = 2 if packing.dtype > FLOAT64 else sizeof(real)
    cdef Packing p = joined(packing, size)
    cdef Py_ssize_t r, j
    cdef char* y
    cdef real* source
    for r in range(p.rows):
        y = p.data + r * p.row
        source = <real*> p.packed + r * p.n
        if p.negative:
            turn(source, p.n)
        if p.mask != NULL:
            blank_out(source, &p, r)
        if p.dtype > FLOAT64:
            if real is float:
                narrow_row(source, y, p.item, p.n, p.dtype)
        elif p.item == sizeof(real):
            memcpy(y, source, p.n * sizeof(real))
        else:
            for j in range(p.n):
                (<real*> (y + j * p.item))[0] = source[j]


cdef inline void gather(const Packing* packing) noexcept nogil:
    if packing.dtype == FLOAT64:
        gather_rows(packing, <double> 0)
    else:
        gather_rows(packing, <float> 0)


cdef inline void scatter(const Packing* packing) noexcept nogil:
    if packing.dtype == FLOAT64:
        scatter_rows(packing, <double> 0)
    else:
        scatter_rows(packing, <float> 0)
