"""Rows of any dtype and strides, packed as kernels take them, and back.

A kernel takes rows in one of two layouts: each row in a run of its own, or sixteen rows side by
side. An array is read along whichever of its two steps is the shorter; where that is the other
direction, blocks of sixteen by sixteen are turned over on the way.
"""

from libc.string cimport memcpy

from cyact._level.abi cimport FLOAT32, FLOAT64, INT64, LANES, UINT8, Lines
from cyact._level.bits cimport uint16
from cyact._level.cache cimport stream_end, stream_line
from cyact._level.halves cimport narrow, widen

cdef extern from "transpose.h":
    void from_rows32 "cyact_from_rows" (const float* x, Py_ssize_t x_step, Py_ssize_t rows,
                                        Py_ssize_t n, float* y, Py_ssize_t y_step) noexcept nogil
    void to_rows32 "cyact_to_rows" (const float* x, Py_ssize_t x_step, float* y,
                                    Py_ssize_t y_step, Py_ssize_t rows,
                                    Py_ssize_t n) noexcept nogil

cdef extern from *:
    """
    #if defined(__GNUC__)
      #define cyact_prefetch(x) __builtin_prefetch(x)
    #else
      #define cyact_prefetch(x) ((void)(x))
    #endif
    """
    void prefetch "cyact_prefetch" (const char* x) noexcept nogil

cdef enum:
    AHEAD = 4       # entries of rows side by side whose lines are asked for early

ctypedef fused real:
    float
    double


cdef inline Py_ssize_t magnitude(Py_ssize_t step) noexcept nogil:
    return -step if step < 0 else step


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    """n, in whole blocks of LANES entries."""
    return (n + LANES - 1) & -LANES


cdef inline int dtype_of(real kind) noexcept nogil:
    return FLOAT32 if real is float else FLOAT64


# Runs of entries

cdef inline void load_run(const char* x, Py_ssize_t step, Py_ssize_t n, int dtype,
                          real* to) noexcept nogil:
    """to = x, exactly. There is room for up to LANES entries more, which may be overwritten."""
    cdef Py_ssize_t start = 0, i
    cdef uint16 few[LANES]
    cdef float wide[2 * LANES]
    if dtype == FLOAT64:
        for i in range(n):
            to[i] = <real> (<const double*> (x + i * step))[0]
    elif dtype == FLOAT32:
        if real is float:
            if step == sizeof(float):
                memcpy(to, x, n * sizeof(float))
                return
        for i in range(n):
            to[i] = (<const float*> (x + i * step))[0]
    elif dtype == UINT8:
        for i in range(n):
            to[i] = (<const unsigned char*> (x + i * step))[0]
    elif dtype == INT64:
        for i in range(n):
            to[i] = <real> (<const long long*> (x + i * step))[0]
    elif real is double:
        for start in range(0, n, 16):
            load_run(x + start * step, step, min(<Py_ssize_t> LANES, n - start), dtype, wide)
            for i in range(min(<Py_ssize_t> LANES, n - start)):
                to[start + i] = wide[i]
    else:
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


cdef inline void store_run(const real* source, char* y, Py_ssize_t step, Py_ssize_t n,
                           int dtype) noexcept nogil:
    """y = source, rounded; up to LANES entries more of source are read."""
    cdef Py_ssize_t start = 0, i
    cdef uint16 few[LANES]
    cdef float wide[LANES]
    if real is double:
        if dtype != FLOAT64:
            for start in range(0, n, 16):
                for i in range(min(<Py_ssize_t> LANES, n - start)):
                    wide[i] = <float> source[start + i]
                for i in range(n - start, LANES):
                    wide[i] = 0
                store_run(wide, y + start * step, step, min(<Py_ssize_t> LANES, n - start), dtype)
            return
    if dtype <= FLOAT64:
        if step == sizeof(real):
            memcpy(y, source, n * sizeof(real))
            return
        for i in range(n):
            (<real*> (y + i * step))[0] = source[i]
    elif real is float:
        if step == sizeof(uint16):
            start = n & -LANES
            narrow(source, <uint16*> y, start, dtype)
        while start < n:
            narrow(source + start, few, LANES, dtype)
            for i in range(min(<Py_ssize_t> LANES, n - start)):
                (<uint16*> (y + (start + i) * step))[0] = few[i]
            start += LANES


# Blocks of LANES by LANES entries

cdef inline void from_rows(const real* x, Py_ssize_t x_step, Py_ssize_t rows, Py_ssize_t n,
                           real* y, Py_ssize_t y_step) noexcept nogil:
    """y[j * y_step + i] = x[i * x_step + j], for i < rows and j < n; up to LANES of either are
    written."""
    cdef Py_ssize_t i, j
    if real is float:
        from_rows32(x, x_step, rows, n, y, y_step)
    else:
        for i in range(rows):
            for j in range(n):
                y[j * y_step + i] = x[i * x_step + j]


cdef inline void to_rows(const real* x, Py_ssize_t x_step, real* y, Py_ssize_t y_step,
                         Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    """The reverse: up to LANES are read."""
    cdef Py_ssize_t i, j
    if real is float:
        to_rows32(x, x_step, y, y_step, rows, n)
    else:
        for i in range(rows):
            for j in range(n):
                y[i * y_step + j] = x[j * x_step + i]


cdef inline bint runs_along_items(const Lines* a) noexcept nogil:
    """Whether to read rows one after the other, rather than items of many rows."""
    return magnitude(a.item) <= magnitude(a.row)


cdef inline void from_runs(const char* x, Py_ssize_t run, Py_ssize_t step, int dtype,
                           Py_ssize_t runs, Py_ssize_t n, real* to,
                           Py_ssize_t to_step) noexcept nogil:
    """A block: entry i of run r, which begins at x + r * run, goes to to[i * to_step + r]."""
    cdef real block[LANES * LANES + LANES]
    cdef Py_ssize_t r, size = sizeof(real)
    if dtype == dtype_of(<real> 0) and step == size and run % size == 0:
        from_rows(<const real*> x, run // size, runs, n, to, to_step)
        return
    for r in range(runs):
        load_run(x + r * run, step, n, dtype, block + r * LANES)
    from_rows(block, LANES, runs, n, to, to_step)


cdef inline void to_runs(const real* x, Py_ssize_t x_step, char* y, Py_ssize_t run,
                         Py_ssize_t step, int dtype, Py_ssize_t runs,
                         Py_ssize_t n) noexcept nogil:
    """The reverse, rounded to the dtype."""
    cdef real block[LANES * LANES + LANES]
    cdef Py_ssize_t r, size = sizeof(real)
    if dtype == dtype_of(<real> 0) and step == size and run % size == 0:
        to_rows(x, x_step, <real*> y, run // size, runs, n)
        return
    to_rows(x, x_step, block, LANES, runs, n)
    for r in range(runs):
        store_run(block + r * LANES, y + r * run, step, n, dtype)


# Rows in runs of their own: entry k of row r at [r * width + k]. There is room for whole blocks
# of rows and entries, and a block more.

cdef inline void gather(const Lines* a, Py_ssize_t rows, Py_ssize_t n, Py_ssize_t width,
                        real* to) noexcept nogil:
    cdef Py_ssize_t r, k, entries
    if runs_along_items(a):
        for r in range(rows):
            load_run(a.data + r * a.row, a.item, n, a.dtype, to + r * width)
        return
    for k in range(0, n, 16):
        entries = min(<Py_ssize_t> LANES, n - k)
        for r in range(0, rows, 16):
            from_runs(a.data + k * a.item + r * a.row, a.item, a.row, a.dtype, entries,
                      min(<Py_ssize_t> LANES, rows - r), to + r * width + k, width)


cdef inline void scatter(const real* source, Py_ssize_t width, const Lines* a, Py_ssize_t rows,
                         Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t r, k, entries
    if runs_along_items(a):
        for r in range(rows):
            store_run(source + r * width, a.data + r * a.row, a.item, n, a.dtype)
        return
    for k in range(0, n, 16):
        entries = min(<Py_ssize_t> LANES, n - k)
        for r in range(0, rows, 16):
            to_runs(source + r * width + k, width, a.data + k * a.item + r * a.row, a.item, a.row,
                    a.dtype, entries, min(<Py_ssize_t> LANES, rows - r))


# Rows in lanes, LANES of them side by side: entry k of row r of a strip at [k * LANES + r], strip
# after strip.

cdef inline void gather_lanes(const Lines* a, Py_ssize_t rows, Py_ssize_t n,
                              real* to) noexcept nogil:
    cdef Py_ssize_t r, k, count
    if runs_along_items(a):
        for r in range(0, rows, 16):
            count = min(<Py_ssize_t> LANES, rows - r)
            for k in range(0, n, 16):
                from_runs(a.data + r * a.row + k * a.item, a.row, a.item, a.dtype, count,
                          min(<Py_ssize_t> LANES, n - k), to + r * n + k * LANES, LANES)
        return
    for k in range(n):
        for r in range(0, rows, 16):
            # past the last entry no memory need be: a prefetch asks, and never fails
            prefetch(a.data + (k + AHEAD) * a.item + r * a.row)
        for r in range(0, rows, 16):
            count = min(<Py_ssize_t> LANES, rows - r)
            load_lane(a.data + k * a.item + r * a.row, a.row, count, a.dtype,
                      to + r * n + k * LANES)


cdef inline void load_lane(const char* x, Py_ssize_t step, Py_ssize_t n, int dtype,
                           real* to) noexcept nogil:
    if real is float:
        if n == LANES and step == sizeof(float) and dtype == FLOAT32:
            memcpy(to, x, LANES * sizeof(float))        # of a length that the compiler knows
            return
    load_run(x, step, n, dtype, to)


cdef inline void scatter_lanes(const real* source, const Lines* a, Py_ssize_t rows,
                               Py_ssize_t n, bint past) noexcept nogil:
    """`past`: whole lines of memory are better stored past the caches."""
    cdef Py_ssize_t r, k, count
    if runs_along_items(a):
        for r in range(0, rows, 16):
            count = min(<Py_ssize_t> LANES, rows - r)
            for k in range(0, n, 16):
                to_runs(source + r * n + k * LANES, LANES, a.data + r * a.row + k * a.item, a.row,
                        a.item, a.dtype, count, min(<Py_ssize_t> LANES, n - k))
        return
    for k in range(n):
        for r in range(0, rows, 16):
            count = min(<Py_ssize_t> LANES, rows - r)
            store_lane(source + r * n + k * LANES, a.data + k * a.item + r * a.row, a.row, count,
                       a.dtype, past)
    if past:
        stream_end()


cdef inline void store_lane(const real* source, char* y, Py_ssize_t step, Py_ssize_t n,
                            int dtype, bint past) noexcept nogil:
    if real is float:
        if n == LANES and step == sizeof(float) and dtype == FLOAT32:
            if past and <Py_ssize_t> y & 63 == 0:
                stream_line(y, <const char*> source)
            else:
                memcpy(y, source, LANES * sizeof(float))
            return
    store_run(source, y, step, n, dtype)
