"""Rows of any dtype and strides, packed as kernels take them, and back.

A kernel takes rows in one of two layouts: each row in a run of its own, or sixteen rows side by
side. An array is read along whichever of its two steps is the shorter; where that is the other
direction, blocks of sixteen by sixteen are turned over on the way.
"""

from libc.string cimport memcpy, memset

from cyact._level.abi cimport FLOAT32, FLOAT64, LANES, Lines, itemsize
from cyact._level.halves cimport narrow, uint16, widen

cdef extern from "transpose.h":
    void transpose16 "cyact_transpose16" (const float* x, Py_ssize_t x_step, float* y,
                                          Py_ssize_t y_step) noexcept nogil

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
    elif real is float:
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


# Blocks

cdef inline void turn(const real* x, Py_ssize_t x_step, real* y, Py_ssize_t y_step) noexcept nogil:
    """y[j * y_step + i] = x[i * x_step + j], for i and j below LANES."""
    cdef Py_ssize_t i, j
    if real is float:
        transpose16(x, x_step, y, y_step)
    else:
        for i in range(LANES):
            for j in range(LANES):
                y[j * y_step + i] = x[i * x_step + j]


cdef inline bint runs_along_items(const Lines* a) noexcept nogil:
    """Whether to read rows one after the other, rather than items of many rows."""
    return magnitude(a.item) <= magnitude(a.row)


cdef inline void gather_runs(const char* x, Py_ssize_t run, Py_ssize_t runs, Py_ssize_t step,
                             Py_ssize_t n, int dtype, real* to, Py_ssize_t to_run,
                             bint turned) noexcept nogil:
    """`runs` runs of n entries: run r begins at x + r * run. Entry i of run r goes to
    to[r * to_run + i] or, turned, to to[i * to_run + r]."""
    cdef real block[LANES * LANES + LANES]
    cdef Py_ssize_t r, i, j, count, length
    cdef const char* at
    if not turned:
        for r in range(runs):
            load_run(x + r * run, step, n, dtype, to + r * to_run)
        return
    for r in range(0, runs, 16):
        count = min(<Py_ssize_t> LANES, runs - r)
        for i in range(0, n, 16):
            length = min(<Py_ssize_t> LANES, n - i)
            at = x + r * run + i * step
            if (dtype == dtype_of(<real> 0) and step == sizeof(real) and count == LANES
                    and length == LANES):
                turn(<const real*> at, run // <Py_ssize_t> sizeof(real), to + i * to_run + r,
                     to_run)
                continue
            if count < LANES or length < LANES:
                memset(block, 0, sizeof(block))
            for j in range(count):
                load_run(at + j * run, step, length, dtype, block + j * LANES)
            turn(block, LANES, to + i * to_run + r, to_run)


cdef inline void scatter_runs(const real* source, Py_ssize_t from_run, char* y, Py_ssize_t run,
                              Py_ssize_t runs, Py_ssize_t step, Py_ssize_t n, int dtype,
                              bint turned) noexcept nogil:
    """The reverse of gather_runs(), rounded to the dtype."""
    cdef real block[LANES * LANES + LANES]
    cdef Py_ssize_t r, i, j, count, length
    cdef char* at
    if not turned:
        for r in range(runs):
            store_run(source + r * from_run, y + r * run, step, n, dtype)
        return
    for r in range(0, runs, 16):
        count = min(<Py_ssize_t> LANES, runs - r)
        for i in range(0, n, 16):
            length = min(<Py_ssize_t> LANES, n - i)
            at = y + r * run + i * step
            if (dtype <= FLOAT64 and step == sizeof(real) and count == LANES
                    and length == LANES):
                turn(source + i * from_run + r, from_run, <real*> at,
                     run // <Py_ssize_t> sizeof(real))
                continue
            turn(source + i * from_run + r, from_run, block, LANES)
            for j in range(count):
                store_run(block + j * LANES, at + j * run, step, length, dtype)


# `lanes`: rows side by side, LANES of them: entry k of row r at [k * LANES + r]. Otherwise each
# row in a run of its own: at [r * width + k]. There is room for whole blocks of rows and entries.

cdef inline void gather(const Lines* a, Py_ssize_t rows, Py_ssize_t n, bint lanes,
                        Py_ssize_t width, real* to) noexcept nogil:
    if runs_along_items(a):
        gather_runs(a.data, a.row, rows, a.item, n, a.dtype, to, LANES if lanes else width, lanes)
    else:
        gather_runs(a.data, a.item, n, a.row, rows, a.dtype, to, LANES if lanes else width,
                    not lanes)


cdef inline void scatter(const real* source, Py_ssize_t width, bint lanes, const Lines* a,
                         Py_ssize_t rows, Py_ssize_t n) noexcept nogil:
    if runs_along_items(a):
        scatter_runs(source, LANES if lanes else width, a.data, a.row, rows, a.item, n, a.dtype,
                     lanes)
    else:
        scatter_runs(source, LANES if lanes else width, a.data, a.item, n, a.row, rows, a.dtype,
                     not lanes)
