"""Sums, products and quotients of doubles with their rounding errors.

Dekker, "A floating-point technique for extending the available precision", 1971. What matters is
kept as a pair of doubles. Only correctly rounded operations are used, so that levels with a fused
multiply-add agree to the bit; without one, a product is split.
"""

from cyact._level.bits cimport FMA, bits64, fma, from_bits64

# hi + lo, |lo| being at most about an ulp of hi
cdef struct pair:
    double hi
    double lo


cdef inline pair pair_of(double hi, double lo) noexcept nogil:
    cdef pair p
    p.hi = hi
    p.lo = lo
    return p


cdef inline pair as_pair(double x) noexcept nogil:
    return pair_of(x, 0.0)


cdef inline pair fast_two_sum(double a, double b) noexcept nogil:
    """a + b exactly, where |a| >= |b| or a = 0."""
    cdef pair s
    s.hi = a + b
    s.lo = b - (s.hi - a)
    return s


cdef inline pair two_sum(double a, double b) noexcept nogil:
    """a + b exactly."""
    cdef pair s
    cdef double t
    s.hi = a + b
    t = s.hi - a
    s.lo = (a - (s.hi - t)) + (b - t)
    return s


cdef inline double upper(double x) noexcept nogil:
    """x cut to 26 bits; unlike Veltkamp's split this cannot overflow."""
    return from_bits64(bits64(x) & 0xfffffffff8000000ULL)


cdef inline double product_error(double a, double b, double p) noexcept nogil:
    """a * b - p, where p is a * b rounded."""
    cdef double ah, al, bh, bl
    if FMA:
        return fma(a, b, -p)
    ah = upper(a)
    al = a - ah
    bh = upper(b)
    bl = b - bh
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl


cdef inline double residual(double c, double a, double b) noexcept nogil:
    """c - a * b, where c is a * b up to a few ulps."""
    cdef double p
    if FMA:
        return fma(-a, b, c)
    p = a * b
    return (c - p) - product_error(a, b, p)


cdef inline pair two_prod(double a, double b) noexcept nogil:
    """a * b exactly."""
    cdef pair p
    p.hi = a * b
    p.lo = product_error(a, b, p.hi)
    return p


cdef inline pair times(pair a, double b) noexcept nogil:
    cdef pair p = two_prod(a.hi, b)
    p.lo += a.lo * b
    return p


cdef inline pair product(pair a, pair b) noexcept nogil:
    cdef pair p = two_prod(a.hi, b.hi)
    p.lo += fma(a.hi, b.lo, a.lo * b.hi)
    return p


cdef inline pair plus(double a, pair b) noexcept nogil:
    """a + b, whichever is larger."""
    cdef pair s = two_sum(a, b.hi)
    s.lo += b.lo
    return s


cdef inline pair reciprocal(pair d) noexcept nogil:
    cdef pair q
    q.hi = 1 / d.hi
    q.lo = q.hi * fma(-q.hi, d.lo, residual(1, q.hi, d.hi))
    return q


cdef inline pair quotient(pair a, pair d) noexcept nogil:
    cdef double inverse = 1 / d.hi
    cdef pair q
    q.hi = a.hi * inverse
    q.lo = inverse * (residual(a.hi, q.hi, d.hi) + fma(-q.hi, d.lo, a.lo))
    return q


cdef inline double divide(pair a, pair d) noexcept nogil:
    """a / d, rounded once."""
    cdef double inverse = 1 / d.hi
    cdef double q = a.hi * inverse
    return fma(inverse, residual(a.hi, q, d.hi) + fma(-q, d.lo, a.lo), q)
