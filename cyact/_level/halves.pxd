"""float16 and bfloat16, as uint16, to and from float32; n is a multiple of LANES."""

from cyact._level.abi cimport BFLOAT16, LANES, Known

cdef extern from "halves.h":
    ctypedef unsigned short uint16 "uint16_t"
    float from_half "cyact_from_float16" (uint16 h) noexcept nogil
    uint16 to_half "cyact_to_float16" (float x) noexcept nogil
    float from_bfloat "cyact_from_bfloat16" (uint16 h) noexcept nogil
    uint16 to_bfloat "cyact_to_bfloat16" (float x) noexcept nogil
    void round_to_odd "cyact_round_all_to_odd" (const double* x, const double* rest, float* y,
                                                Py_ssize_t n) noexcept nogil
    float neighbour "cyact_neighbour" (float x, int direction) noexcept nogil
    void look_up "cyact_look_up" (const uint16* results, const uint16* x, uint16* y,
                                  Py_ssize_t n) noexcept nogil
    void choose "cyact_choose" (
        const uint16* x, uint16* y, Py_ssize_t n, int second, int third, const uint16* keep,
        const uint16* flip, uint16 infinity, uint16 quiet) noexcept nogil
    void c_widen "cyact_widen" (const uint16* h, float* x, Py_ssize_t n,
                                bint bfloat) noexcept nogil
    void c_widen_and_add "cyact_widen_and_add" (const uint16* h, const float* b, float* x,
                                                Py_ssize_t n, bint bfloat) noexcept nogil
    void c_narrow "cyact_narrow" (const float* x, uint16* h, Py_ssize_t n,
                                  bint bfloat) noexcept nogil
    void c_product "cyact_product" (const uint16* grad, float* x, uint16* h, Py_ssize_t n,
                                    bint bfloat) noexcept nogil
    void look_up_floats "cyact_look_up_floats" (const float* slopes, const uint16* x, float* y,
                                                Py_ssize_t n) noexcept nogil
    ctypedef struct Ties "cyact_ties":
        unsigned int tie
        unsigned int dropped
        unsigned int width
        unsigned int smallest
        float limit
    int round_and_list "cyact_round_and_list" (
        const float* x, const float* given, uint16* h, Py_ssize_t n, bint bfloat, Ties ties,
        short* found) noexcept nogil


# In two branches, so that neither asks again for each vector

cdef inline void widen(const uint16* h, float* x, Py_ssize_t n, int dtype) noexcept nogil:
    """x = h, exactly."""
    if dtype == BFLOAT16:
        c_widen(h, x, n & -LANES, True)
    else:
        c_widen(h, x, n & -LANES, False)


cdef inline void widen_and_add(const uint16* h, const float* b, float* x, Py_ssize_t n,
                               int dtype) noexcept nogil:
    """x = h + b."""
    if dtype == BFLOAT16:
        c_widen_and_add(h, b, x, n & -LANES, True)
    else:
        c_widen_and_add(h, b, x, n & -LANES, False)


cdef inline void narrow(const float* x, uint16* h, Py_ssize_t n, int dtype) noexcept nogil:
    """h = x rounded to nearest, ties to even."""
    if dtype == BFLOAT16:
        c_narrow(x, h, n & -LANES, True)
    else:
        c_narrow(x, h, n & -LANES, False)


cdef inline void product(const uint16* grad, float* x, uint16* h, Py_ssize_t n,
                         int dtype) noexcept nogil:
    """h = grad * x, rounded; x may be changed, h may be grad."""
    if dtype == BFLOAT16:
        c_product(grad, x, h, n & -LANES, True)
    else:
        c_product(grad, x, h, n & -LANES, False)


cdef inline void recall(const Known* known, const uint16* x, uint16* y,
                        Py_ssize_t n) noexcept nogil:
    """y = what is known of x; n is any number, y may be x."""
    if known.results != NULL:
        look_up(known.results, x, y, n)
    else:
        choose(x, y, n, known.start[1], known.start[2], known.keep, known.flip, known.infinity,
               known.quiet)
