"""Entries of any dtype: loaded exactly or rounded to what is computed in, and rounded once to where
they belong.
"""

from cyact._level.abi cimport BFLOAT16, FLOAT16, FLOAT32, FLOAT64, LANES, TILE, UINT8
from cyact._level.bits cimport bits32, from_bits32, uint32
from cyact._level.halves cimport from_bfloat, from_half, narrow, to_bfloat, to_half, uint16, widen

ctypedef fused real:
    float
    double

ctypedef fused element:
    unsigned char
    long long
    float
    double


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


cdef inline void load(const char* x, Py_ssize_t step, int dtype, real* to,
                      Py_ssize_t n) noexcept nogil:
    """to[i] = item i of x, whatever its dtype."""
    if dtype == FLOAT32:
        cast(x, step, to, n, <float> 0)
    elif dtype == FLOAT64:
        cast(x, step, to, n, <double> 0)
    elif dtype == FLOAT16 or dtype == BFLOAT16:
        cast_halves(x, step, dtype, to, n)
    elif dtype == UINT8:
        cast(x, step, to, n, <unsigned char> 0)
    else:
        cast(x, step, to, n, <long long> 0)


cdef inline double load_one(const char* x, int dtype) noexcept nogil:
    """The same of one floating-point item."""
    if dtype == FLOAT32:
        return (<const float*> x)[0]
    if dtype == FLOAT64:
        return (<const double*> x)[0]
    return half_at(x, dtype)


cdef inline float odd_float(double x) noexcept nogil:
    """x as a float, cut off, with its last bit set if anything was: rounded to fewer bits, that
    rounds as x would. Free of branches, so that a loop vectorises.
    """
    cdef float y = <float> x
    # only the sign counts; that of a float's residual is lost below 2^-149 without the factor
    cdef float rest = <float> ((x - <double> y) * 1.2676506002282294e+30)
    cdef uint32 inexact = (rest < 0) | (rest > 0)
    cdef uint32 u = bits32(y)
    return from_bits32((u - (inexact & ((bits32(rest) ^ u) >> 31))) | inexact)


cdef inline void store(const double* values, char* to, int dtype, Py_ssize_t n) noexcept nogil:
    """Doubles to contiguous items, in one rounding; `to` may be `values`. n is a multiple of
    LANES, at most TILE.
    """
    cdef float[TILE] odd
    cdef Py_ssize_t i
    if dtype == FLOAT32:
        for i in range(n & -LANES):
            (<float*> to)[i] = <float> values[i]
    elif dtype == FLOAT64:
        if <const char*> values != to:
            for i in range(n & -LANES):
                (<double*> to)[i] = values[i]
    else:
        for i in range(n & -LANES):
            odd[i] = odd_float(values[i])
        narrow(odd, <uint16*> to, n, dtype)


cdef inline void store_one(double value, char* to, int dtype) noexcept nogil:
    cdef float odd = odd_float(value)
    if dtype == FLOAT32:
        (<float*> to)[0] = <float> value
    elif dtype == FLOAT64:
        (<double*> to)[0] = value
    else:
        (<uint16*> to)[0] = to_bfloat(odd) if dtype == BFLOAT16 else to_half(odd)
