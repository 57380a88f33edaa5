"""Rows with gaps, gathered into a buffer and scattered again."""

from libc.string cimport memcpy

from cyact._level.abi cimport Operand
from cyact._level.halves cimport uint16

cdef extern from "moves.h":
    ctypedef void (*mover "cyact_mover")(const char*, char*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                                         Py_ssize_t, Py_ssize_t) noexcept nogil
    void out_of_line "cyact_out_of_line" (
        mover move, const char* source, char* to, Py_ssize_t row, Py_ssize_t step,
        Py_ssize_t rows, Py_ssize_t n, Py_ssize_t size) noexcept nogil
    void prefetch "CYACT_PREFETCH" (const char* p) noexcept nogil
    void move "cyact_move" (char* to, const char* x, Py_ssize_t bytes) noexcept nogil

ctypedef fused real:
    float
    double


cdef inline bint contiguous(const Operand* a, Py_ssize_t rows, Py_ssize_t n,
                            Py_ssize_t size) noexcept nogil:
    """Whether rows of n entries follow each other without a gap."""
    return a.step == size and (rows == 1 or a.row == n * size)


cdef inline void gather_row(const char* x, Py_ssize_t step, char* to, Py_ssize_t n,
                            Py_ssize_t size) noexcept nogil:
    """Copy n items of `size` bytes, `step` bytes apart, into a contiguous buffer."""
    cdef Py_ssize_t i
    cdef float single
    cdef double value
    if step == size:
        memcpy(to, x, n * size)
    elif step == 0 and size == 4:  # one for all: a loop of stores
        single = (<const float*> x)[0]
        for i in range(n):
            (<float*> to)[i] = single
    elif step == 0 and size == 8:
        value = (<const double*> x)[0]
        for i in range(n):
            (<double*> to)[i] = value
    elif size == 4:
        for i in range(n):
            (<float*> to)[i] = (<const float*> (x + i * step))[0]
    elif size == 8:
        for i in range(n):
            (<double*> to)[i] = (<const double*> (x + i * step))[0]
    else:
        for i in range(n):
            (<uint16*> to)[i] = (<const uint16*> (x + i * step))[0]


cdef inline void scatter_row(const char* source, char* y, Py_ssize_t step, Py_ssize_t n,
                             Py_ssize_t size) noexcept nogil:
    """The reverse of gather_row."""
    cdef Py_ssize_t i
    if step == size:
        memcpy(y, source, n * size)
    elif size == 4:
        for i in range(n):
            (<float*> (y + i * step))[0] = (<const float*> source)[i]
    elif size == 8:
        for i in range(n):
            (<double*> (y + i * step))[0] = (<const double*> source)[i]
    else:
        for i in range(n):
            (<uint16*> (y + i * step))[0] = (<const uint16*> source)[i]


cdef enum:
    PAGE = 4096                   # or more: what memory is mapped in


cdef inline void prefetch_row(const Operand* a, Py_ssize_t row, Py_ssize_t bytes) noexcept nogil:
    """Behind a gap so wide that the processor does not see across it. Nothing need be there."""
    cdef Py_ssize_t done
    if a.data != NULL and a.row >= bytes + 512:
        for done in range(0, bytes, 64):
            prefetch(a.data + row * a.row + done)


# Rows without gaps inside, of which many are short: a call of memcpy would cost more than it
# copies. Moves of one length overlap instead, as a row may be written twice but not overrun.

cdef inline void move_two(const char* x, Py_ssize_t x_row, char* y, Py_ssize_t y_row,
                          Py_ssize_t rows, Py_ssize_t bytes, Py_ssize_t first,
                          Py_ssize_t last) noexcept nogil:
    """Copy rows by two moves each, of lengths that are literals."""
    cdef Py_ssize_t _
    for _ in range(rows):
        move(y, x, first)
        move(y + bytes - last, x + bytes - last, last)
        x += x_row
        y += y_row


cdef inline void move_ends(const char* x, Py_ssize_t x_row, char* y, Py_ssize_t y_row,
                           Py_ssize_t rows, Py_ssize_t bytes, Py_ssize_t unit) noexcept nogil:
    """Copy rows of `unit` to 2 `unit` bytes; the second move as short as it can be."""
    if bytes <= unit + unit // 4:
        move_two(x, x_row, y, y_row, rows, bytes, unit, unit // 4)
    elif bytes <= unit + unit // 2:
        move_two(x, x_row, y, y_row, rows, bytes, unit, unit // 2)
    else:
        move_two(x, x_row, y, y_row, rows, bytes, unit, unit)


cdef inline void move_long(const char* x, char* y, Py_ssize_t bytes) noexcept nogil:
    """Copy a row of at least 64 bytes."""
    cdef Py_ssize_t done
    for done in range(0, bytes - 63, 64):
        move(y + done, x + done, 64)
    move(y + bytes - 64, x + bytes - 64, 64)


cdef inline void move_rows(const char* x, Py_ssize_t x_row, char* y, Py_ssize_t y_row,
                           Py_ssize_t rows, Py_ssize_t bytes) noexcept nogil:
    """Copy rows of `bytes` bytes, x_row and y_row bytes apart, between places that do not meet."""
    cdef Py_ssize_t r
    if rows == 1 or bytes > 2048:
        for r in range(rows):
            memcpy(y + r * y_row, x + r * x_row, bytes)
    elif bytes >= 128:
        for r in range(rows):
            move_long(x + r * x_row, y + r * y_row, bytes)
    elif bytes >= 64:
        move_ends(x, x_row, y, y_row, rows, bytes, 64)
    elif bytes >= 32:
        move_ends(x, x_row, y, y_row, rows, bytes, 32)
    elif bytes >= 16:
        move_ends(x, x_row, y, y_row, rows, bytes, 16)
    elif bytes >= 8:
        move_ends(x, x_row, y, y_row, rows, bytes, 8)
    elif bytes >= 4:
        move_ends(x, x_row, y, y_row, rows, bytes, 4)
    else:
        move_ends(x, x_row, y, y_row, rows, bytes, 2)


# Into a buffer one move a row is enough: it is overrun into the place of the next row, which then
# overwrites that. What is read too much lies between two rows, of which one is less than a page
# away: memory that is there.

cdef inline void move_over(const char* x, Py_ssize_t x_row, char* to, Py_ssize_t bytes,
                           Py_ssize_t rows, Py_ssize_t unit) noexcept nogil:
    """Gather rows of at most `unit` bytes, a literal, in a buffer."""
    cdef Py_ssize_t _
    for _ in range((rows - 1) // 4):     # unrolled: so short a loop hangs on how it is aligned
        move(to, x, unit)
        move(to + bytes, x + x_row, unit)
        move(to + 2 * bytes, x + 2 * x_row, unit)
        move(to + 3 * bytes, x + 3 * x_row, unit)
        x += 4 * x_row
        to += 4 * bytes
    for _ in range((rows - 1) % 4):
        move(to, x, unit)
        x += x_row
        to += bytes
    memcpy(to, x, bytes)


cdef inline void pack_rows(const char* x, Py_ssize_t x_row, char* to, Py_ssize_t rows,
                           Py_ssize_t bytes) noexcept nogil:
    """Copy rows of `bytes` bytes, x_row bytes apart, side by side into a buffer."""
    cdef Py_ssize_t unit = 8
    while unit < bytes:
        unit += unit
    if rows == 1 or unit > 32 or unit > x_row + bytes or x_row > PAGE:
        move_rows(x, x_row, to, bytes, rows, bytes)
    elif unit == 8:
        move_over(x, x_row, to, bytes, rows, 8)
    elif unit == 16:
        move_over(x, x_row, to, bytes, rows, 16)
    else:
        move_over(x, x_row, to, bytes, rows, 32)


cdef inline void repeat_over(const char* x, Py_ssize_t x_row, char* to, Py_ssize_t bytes,
                             Py_ssize_t rows, Py_ssize_t unit, real kind) noexcept nogil:
    """One entry for each row of at most `unit` bytes, a literal, again and again."""
    cdef Py_ssize_t _, j
    cdef real single
    for _ in range(rows - 1):
        single = (<const real*> x)[0]
        for j in range(<Py_ssize_t> (unit // sizeof(real))):
            (<real*> to)[j] = single
        x += x_row
        to += bytes
    single = (<const real*> x)[0]
    for j in range(<Py_ssize_t> (bytes // sizeof(real))):
        (<real*> to)[j] = single


cdef inline void repeat_each(const char* x, Py_ssize_t x_row, char* to, Py_ssize_t bytes,
                             Py_ssize_t rows, real kind) noexcept nogil:
    if bytes <= 16:
        repeat_over(x, x_row, to, bytes, rows, 16, kind)
    elif bytes <= 32:
        repeat_over(x, x_row, to, bytes, rows, 32, kind)
    else:
        repeat_over(x, x_row, to, bytes, rows, 64, kind)


cdef inline void gather_rows(const char* x, char* to, Py_ssize_t row, Py_ssize_t step,
                             Py_ssize_t rows, Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t r
    if step == size:
        pack_rows(x, row, to, rows, n * size)
        return
    if step == 0 and n * size <= 64:
        if size == 4:
            repeat_each(x, row, to, n * size, rows, <float> 0)
            return
        if size == 8:
            repeat_each(x, row, to, n * size, rows, <double> 0)
            return
    for r in range(rows):
        gather_row(x + r * row, step, to + r * n * size, n, size)


cdef inline void scatter_rows(const char* source, char* y, Py_ssize_t row, Py_ssize_t step,
                              Py_ssize_t rows, Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t r
    if step == size:
        move_rows(source, n * size, y, row, rows, n * size)
        return
    for r in range(rows):
        scatter_row(source + r * n * size, y + r * row, step, n, size)


cdef inline void gather(const Operand* a, const char* x, char* to, Py_ssize_t rows, Py_ssize_t n,
                        Py_ssize_t size) noexcept nogil:
    """Copy rows of n items side by side into a buffer."""
    out_of_line(gather_rows, x, to, a.row, a.step, rows, n, size)


cdef inline void scatter(const char* source, const Operand* a, char* y, Py_ssize_t rows,
                         Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """The reverse of gather."""
    out_of_line(scatter_rows, source, y, a.row, a.step, rows, n, size)
