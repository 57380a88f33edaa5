"""Any arrays of one shape as rows along an axis, by their strides: nothing is copied.

Outside the axis dimensions are merged where all arrays allow it, and put in the order in which
they lie in memory. Two are left as a rule; where there are more, the caller goes over the
shortest of them and asks again.
"""

cimport numpy as cnp

from cyact._engine.arrays cimport dtype_of, magnitude
from cyact._level.abi cimport MAX_DIMENSIONS, Lines

cnp.import_array()

cdef enum:
    BLOCK = 16384              # entries a thread takes at a time, in whole rows
    TOGETHER = 64              # rows side by side: pieces begin with a line of memory
    FEW = 16                   # rows of a run that is too short to be worth a call


cdef int lay_out(Layout* g, int axis, void** arrays, int count) noexcept:
    """Describe arrays (NULL where there is none; the first is x). Those that are not as long as x
    along the axis have one entry there.

    Returns -1, or the dimension to go over where more than two are left.
    """
    cdef cnp.ndarray x = <cnp.ndarray> arrays[X], a
    cdef int dims = 0, i, j, k, d = -1, ndim = cnp.PyArray_NDIM(x), shortest = -1
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp* strides[OPERANDS]
    cdef int order[MAX_DIMENSIONS]
    cdef Py_ssize_t sizes[MAX_DIMENSIONS]
    cdef Py_ssize_t steps[OPERANDS][MAX_DIMENSIONS]
    cdef bint merges
    for k in range(OPERANDS):
        strides[k] = NULL
        g.at[k].lines.data = NULL
        g.at[k].lines.dtype = 0
        g.at[k].lines.row = g.at[k].lines.item = g.at[k].outer = 0
        if k < count and arrays[k]:
            a = <cnp.ndarray> arrays[k]
            strides[k] = cnp.PyArray_STRIDES(a)
            g.at[k].lines.data = cnp.PyArray_BYTES(a)
            g.at[k].lines.dtype = dtype_of(a)
            g.at[k].lines.item = strides[k][axis]
    for i in range(ndim):
        if i != axis and shape[i] != 1:
            j = dims
            while j and magnitude(strides[X][order[j - 1]]) < magnitude(strides[X][i]):
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
            dims += 1
            if shortest < 0 or shape[i] < shape[shortest]:
                shortest = i
    for i in range(dims):
        merges = d >= 0
        for k in range(OPERANDS):
            if d >= 0 and strides[k] and steps[k][d] != strides[k][order[i]] * shape[order[i]]:
                merges = False
        if not merges:
            d += 1
            sizes[d] = 1
        sizes[d] *= shape[order[i]]
        for k in range(OPERANDS):
            if strides[k]:
                steps[k][d] = strides[k][order[i]]
    if d > 1:
        return shortest
    # The last dimension is the run, unless it has but few rows.
    i = 0 if d == 1 and sizes[1] < FEW and sizes[0] > sizes[1] else d
    g.n = shape[axis]
    g.run = sizes[i] if d >= 0 else 1
    g.outer = sizes[1 - i] if d == 1 else 1
    for k in range(OPERANDS):
        if strides[k]:
            g.at[k].lines.row = steps[k][i] if d >= 0 else 0
            g.at[k].outer = steps[k][1 - i] if d == 1 else 0
    return -1


cdef Lines lines_at(const Layout* g, int operand, Py_ssize_t o, Py_ssize_t r) noexcept nogil:
    """The rows of an array from row r of run o on."""
    cdef Lines lines = g.at[operand].lines
    if lines.data != NULL:
        lines.data += o * g.at[operand].outer + r * lines.row
    return lines


cdef Py_ssize_t rows_a_piece(const Layout* g) noexcept nogil:
    """Rows a thread takes at a time; neighbours in memory stay together."""
    cdef Py_ssize_t count = BLOCK // max(g.n, <Py_ssize_t> 1)
    if magnitude(g.at[X].lines.row) < magnitude(g.at[X].lines.item):
        count = max(count & -TOGETHER, <Py_ssize_t> TOGETHER)
    return max(count, <Py_ssize_t> 1)
