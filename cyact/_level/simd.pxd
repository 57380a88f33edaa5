"""Vectors of float32, as simd.h gives them to every level; + - * are theirs, too."""

from cyact._level.bits cimport uint16

cdef extern from "simd.h":
    const Py_ssize_t WIDTH "SIMD_WIDTH"
    # whether a lookup is an instruction or two; else looking up is not worth while
    const bint PERMUTES "SIMD_PERMUTES"
    ctypedef float floats "simd_floats"
    ctypedef unsigned int words "simd_words"
    ctypedef unsigned int mask "simd_mask"

    floats load "simd_load" (const float* x) noexcept nogil
    void store "simd_store" (float* y, floats v) noexcept nogil
    # past the caches, to whole vectors of memory
    void stream "simd_stream" (float* y, floats v) noexcept nogil
    # only the first n entries, or all if n >= WIDTH; of a load the others are `fill`
    floats load_first "simd_load_first" (const float* x, Py_ssize_t n, float fill) noexcept nogil
    void store_first "simd_store_first" (float* y, floats v, Py_ssize_t n) noexcept nogil
    # as many numbers of a half type, rounded to nearest with ties to even
    floats load_float16 "simd_load_float16" (const uint16* h) noexcept nogil
    floats load_bfloat16 "simd_load_bfloat16" (const uint16* h) noexcept nogil
    void store_float16 "simd_store_float16" (uint16* h, floats v) noexcept nogil
    void store_bfloat16 "simd_store_bfloat16" (uint16* h, floats v) noexcept nogil

    floats broadcast "simd_broadcast" (float x) noexcept nogil
    floats fmav "simd_fma" (floats a, floats b, floats c) noexcept nogil         # a b + c
    floats minimum "simd_minimum" (floats a, floats b) noexcept nogil     # b if one is NaN
    floats maximum "simd_maximum" (floats a, floats b) noexcept nogil     # likewise

    mask less "simd_less" (floats a, floats b) noexcept nogil
    mask less_equal "simd_less_equal" (floats a, floats b) noexcept nogil
    mask equal "simd_equal" (floats a, floats b) noexcept nogil
    floats select "simd_select" (mask mask, floats yes, floats no) noexcept nogil
    # v where low < x < high or x is NaN, else 0
    floats between "simd_between" (floats x, floats low, floats high, floats v) noexcept nogil
    floats count_equal "simd_count_equal" (floats a, floats b,
                                           floats n) noexcept nogil       # n + (a == b)
    void add_to_doubles "simd_add_to_doubles" (double* s, floats v) noexcept nogil     # s += v

    words as_words "simd_as_words" (floats v) noexcept nogil
    floats as_floats "simd_as_floats" (words u) noexcept nogil
    # table[index % 8], of a table of eight that is there twice, and table[index % 16]
    floats lookup8 "simd_lookup8" (const void* table, words index) noexcept nogil
    floats lookup16 "simd_lookup16" (const float* table, words index) noexcept nogil
