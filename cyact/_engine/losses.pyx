"""Plan and run a call of a loss: value and gradient in one pass, no array of the input's size
but the gradient.

Losses of one element each go over tiles, elements being counted in C order whatever the layout:
a tile's sum is stored, and the sums are added up in one order, so that the result does not
depend on threads or layout. Losses of a row go over blocks of rows; those of other dtypes than
float32 and float64 are converted in buffers that stay in cache.
"""

import sys
from operator import index

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange, threadid

import numpy as np

cimport cyact._engine.threads as _threads
from cyact._level.abi cimport (
    ABI,
    BFLOAT16,
    BINARY_CROSS_ENTROPY,
    BINARY_CROSS_ENTROPY_WITH_LOGITS,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    KL_DIV,
    KL_DIV_LOG_TARGET,
    LANES,
    LOSS_ARRAYS,
    TILE,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Copy,
    Lines,
    LossKernels,
    Pointwise,
)
from cyact._engine.layout cimport (
    LOSS,
    OPERANDS,
    TARGET,
    X,
    Y,
    Layout,
    lay_out,
    lines_at,
    rows_a_piece,
)

from cyact._engine.elementwise import as_array, is_bfloat16, result_dtype

cnp.import_array()

cdef enum:
    MOST_TILES = 64    # in a panel: what L2 holds

# Up to this much work, in nanoseconds, the GIL is kept: releasing it costs as much as it frees.
cdef double BRIEF = 10_000.0

cdef const LossKernels* LOSSES = NULL


def use_level(losses):
    """Take the table of one instruction-set level; called once, at import."""
    global LOSSES
    LOSSES = <const LossKernels*> PyCapsule_GetPointer(losses.table, b"cyact.LossKernels")
    if LOSSES.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")


# Arrays

def array_of(str function, str name, x):
    """x as an ndarray; one with masked entries is refused, for they would be counted."""
    if type(x) is cnp.ndarray:
        return x
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            raise ValueError(
                f"{function}: {name} is a masked array with masked entries; take them out, or give "
                f"them a weight of 0 or a class that is ignore_index, and pass {name}.filled(...)")
        return np.asarray(x)
    return as_array(function, x)


cdef dict CODES = {"b1": UINT8, "i1": INT8, "u1": UINT8, "i2": INT16, "u2": UINT16, "i4": INT32,
                   "u4": UINT32, "i8": INT64, "u8": UINT64, "f2": FLOAT16, "f4": FLOAT32,
                   "f8": FLOAT64}


cdef int code_of(dtype) except? -1:
    """How kernels call a dtype; -1 if they do not know it."""
    cdef int number = (<cnp.dtype> dtype).type_num
    if number == cnp.NPY_FLOAT:
        return FLOAT32
    if number == cnp.NPY_DOUBLE:
        return FLOAT64
    code = CODES.get(f"{dtype.kind}{dtype.itemsize}")
    if code is not None:
        return code
    return BFLOAT16 if is_bfloat16(dtype) else -1


def readable(str function, str name, x):
    """x as kernels can read it: aligned, native and real; a view where it is that already."""
    if cnp.PyArray_ISBEHAVED_RO(x) and code_of(x.dtype) >= 0:
        return x
    if x.dtype.kind not in "biuf" and not is_bfloat16(x.dtype):
        raise TypeError(f"{function}: {name} must hold real numbers, got dtype {x.dtype}")
    dtype = x.dtype if code_of(x.dtype) >= 0 else np.dtype(np.float64)      # from longdouble
    return np.require(x, dtype.newbyteorder("="), "A")


def loss_input(str function, str name, x):
    """What a loss is a function of: (array, dtype of the results)."""
    x = array_of(function, name, x)
    cdef int number = cnp.PyArray_TYPE(x)
    if cnp.PyArray_ISBEHAVED_RO(x) and (number == cnp.NPY_FLOAT or number == cnp.NPY_DOUBLE):
        return x, x.dtype
    dtype = result_dtype(function, x.dtype)
    return readable(function, name, x), dtype


cdef tuple inverse(Py_ssize_t n):
    """1/n as a sum of two floats."""
    if n == 0:
        return 0.0, 0.0
    high = 1.0 / n
    a, b = high.as_integer_ratio()
    return high, (b - a * n) / (b * n)


# Losses of one element each

cdef dict POINTWISE = {
    "binary_cross_entropy": (BINARY_CROSS_ENTROPY, 1.5),
    "binary_cross_entropy_with_logits": (BINARY_CROSS_ENTROPY_WITH_LOGITS, 1.0),
    "kl_div": (KL_DIV, 1.0),
    "kl_div of logarithms": (KL_DIV_LOG_TARGET, 0.75),
}


cdef int describe(Pointwise* call, list arrays) except -1:
    """Fill in the arrays, of one shape or None, and merge dimensions that lie alike in all."""
    cdef int i, k, d = -1
    cdef bint merges
    cdef Py_ssize_t step
    cdef cnp.ndarray x = arrays[0]
    call.size = cnp.PyArray_SIZE(x)
    for k in range(LOSS_ARRAYS):
        call.data[k] = NULL
        call.flat[k] = False
        if arrays[k] is not None:
            call.data[k] = <char*> cnp.PyArray_DATA(arrays[k])
            call.dtypes[k] = code_of(arrays[k].dtype)
            call.flat[k] = cnp.PyArray_IS_C_CONTIGUOUS(arrays[k])
    for i in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_DIM(x, i) == 1:
            continue
        merges = d >= 0
        for k in range(LOSS_ARRAYS):
            if merges and arrays[k] is not None:
                step = cnp.PyArray_STRIDE(arrays[k], i) * cnp.PyArray_DIM(x, i)
                merges = call.steps[k][d] == step
        if not merges:
            d += 1
            call.shape[d] = 1
        call.shape[d] *= cnp.PyArray_DIM(x, i)
        for k in range(LOSS_ARRAYS):
            if arrays[k] is not None:
                call.steps[k][d] = cnp.PyArray_STRIDE(arrays[k], i)
    if d < 0:
        d = 0
        call.shape[0] = 1
        for k in range(LOSS_ARRAYS):
            call.steps[k][0] = 0
    for k in range(LOSS_ARRAYS):
        if call.flat[k]:
            call.steps[k][d] = arrays[k].itemsize
    call.dims = d + 1
    return 0


cdef bint lies_across(const Pointwise* call) noexcept:
    """Whether an array has its rows closer together than the entries of a row."""
    cdef int k, last = call.dims - 1
    if last == 0:
        return False
    for k in range(LOSS_ARRAYS):
        if (call.data[k] != NULL and not call.flat[k] and call.steps[k][last - 1] != 0
                and abs(call.steps[k][last - 1]) < abs(call.steps[k][last])):
            return True
    return False


cdef Py_ssize_t panel_of(const Pointwise* call) noexcept:
    """How many tiles to run together: 16 rows, a cache line of floats, if they lie across."""
    if not lies_across(call):
        return 1
    return min(16 * call.shape[call.dims - 1] // TILE + 1, <Py_ssize_t> MOST_TILES)


cdef void run_tiles(double[:, ::1] sums, const Pointwise* call, double[:, ::1] buffers,
                    int threads) noexcept nogil:
    cdef Py_ssize_t tiles = sums.shape[0], step = call.panel, tile
    if call.panel > 1:
        for tile in prange(0, tiles, step, schedule="static", num_threads=threads):
            LOSSES.panel(call, tile // step, <char*> &buffers[threadid(), 0], &sums[tile, 0])
    elif threads == 1:
        for tile in range(tiles):
            LOSSES.tile(call, tile, &sums[tile, 0])
    else:
        for tile in prange(tiles, schedule="static", num_threads=threads):
            LOSSES.tile(call, tile, &sums[tile, 0])


cdef inline void add(double* high, double* low, double x) noexcept nogil:
    """high + low grows by x; what rounds off high goes to low (Neumaier)."""
    cdef double s = high[0] + x, t = s - high[0]
    low[0] += (high[0] - (s - t)) + (x - t)
    high[0] = s


cdef double summed(const double[::1] loss) noexcept nogil:
    """The sum, compensated, by LANES partial sums: one would wait for each addition."""
    cdef double[LANES] high
    cdef double[LANES] low
    cdef double sum = 0, rest = 0
    cdef Py_ssize_t i, n = loss.shape[0]
    cdef int j
    for j in range(LANES):
        high[j] = low[j] = 0
    for i in range(n // LANES):
        for j in range(LANES):
            add(&high[j], &low[j], loss[i * LANES + j])
    for i in range(n & -LANES, n):
        add(&sum, &rest, loss[i])
    for j in range(LANES):
        add(&sum, &rest, high[j])
        rest += low[j]
    return sum if sum - sum != 0 else sum + rest


cdef double total(const double[:, ::1] sums) noexcept nogil:
    """The sum of all tiles, each a sum of two, compensated."""
    cdef double sum = 0, rest = 0
    cdef Py_ssize_t i
    for i in range(sums.shape[0]):
        add(&sum, &rest, sums[i, 0])
        rest += sums[i, 1]
    return sum if sum - sum != 0 else sum + rest


def pointwise(str name, x, dtype, target, weight, positive, str reduction, Py_ssize_t count,
              bint wanted):
    """(loss, gradient or None): arrays as readable() gives them, broadcast to x's shape.

    `count` is what the mean divides by.
    """
    cdef Pointwise call
    cdef double[:, ::1] sums, buffers
    cdef double work
    cdef int threads, k, gathered = 0
    each = np.empty(x.shape, dtype) if reduction == "none" else None
    grad = np.empty_like(x, dtype) if wanted else None
    call.op, cost = POINTWISE[name]
    call.dtype = FLOAT64 if dtype == np.float64 else FLOAT32
    call.scale[0], call.scale[1] = inverse(count) if reduction == "mean" else (1.0, 0.0)
    describe(&call, [x, target, weight, positive, each, grad])
    sums = np.empty(((call.size + TILE - 1) // TILE, 2))
    work = <double> cost * call.size
    threads = _threads.choose(work)
    call.panel = panel_of(&call)
    if call.panel > 1:
        for k in range(LOSS_ARRAYS):
            gathered += call.data[k] != NULL and not call.flat[k]
        buffers = np.empty((threads, gathered * call.panel * TILE))
    else:
        buffers = sums
    if work < BRIEF:
        run_tiles(sums, &call, buffers, 1)
    else:
        with nogil:
            run_tiles(sums, &call, buffers, threads)
    if reduction == "none":
        return each if each.ndim else each[()], grad
    return scalar(total(sums), dtype, count if reduction == "mean" else 1), grad


def scalar(double x, dtype, double count):
    """x / count as a NumPy scalar; what is beyond the dtype becomes infinite, silently."""
    x /= count
    if (<cnp.dtype> dtype).type_num == cnp.NPY_DOUBLE:
        return np.float64(x)
    if (<cnp.dtype> dtype).type_num == cnp.NPY_FLOAT:
        return np.float32(<float> x)
    with np.errstate(all="ignore"):
        return np.float64(x).astype(dtype)


# Losses of a row each

cdef Py_ssize_t find_wrong(const Py_ssize_t[::1] classes, Py_ssize_t n, bint unsigned,
                           Py_ssize_t ignore_index, bint ignores,
                           Py_ssize_t* ignored) noexcept nogil:
    """Where a class out of range is, or -1; and how many are ignored."""
    cdef Py_ssize_t i, c
    ignored[0] = 0
    for i in range(classes.shape[0]):
        c = classes[i]
        if ignores and c == ignore_index and not (unsigned and c < 0):
            ignored[0] += 1
        elif not 0 <= c < n:
            return i
    return -1


def classes_of(str function, target, shape, n, ignore_index):
    """One class a row as a flat array, -1 where the row is ignored."""
    cdef Py_ssize_t at, ignored
    if target.dtype.kind not in "iu":
        raise TypeError(f"{function}: target must hold classes, integers of any dtype; "
                        f"got dtype {target.dtype}")
    if target.shape != shape:
        raise ValueError(f"{function}: target holds classes, so its shape must be that of the "
                         f"logits without the class axis, {shape}; got {target.shape}")
    try:
        ignored_class = index(ignore_index)
    except TypeError:
        raise TypeError(f"{function}: ignore_index must be an integer, "
                        f"got {ignore_index!r}") from None
    # A class beyond the signed integers becomes negative, and then is none that is ignored.
    classes = target
    if not (cnp.PyArray_TYPE(target) == cnp.NPY_INTP and cnp.PyArray_ISCARRAY_RO(target)):
        classes = np.require(target, np.intp, "CA")
    classes = classes.reshape(-1)
    ignores = -sys.maxsize <= ignored_class <= sys.maxsize
    at = find_wrong(classes, n, target.dtype.kind == "u", ignored_class if ignores else 0, ignores,
                    &ignored)
    if at >= 0:
        row = np.unravel_index(at, shape) if shape else ()
        place = f"[{', '.join(str(i) for i in row)}]" if shape else ""
        raise IndexError(f"{function}: target{place} is {target[row]}, but the classes are 0 to "
                         f"{n - 1} (ignore_index is {ignore_index})")
    return np.where(classes == ignored_class, -1, classes) if ignored else classes


def weight_of(const Py_ssize_t[::1] classes, weight):
    """How many rows count, or the sum of their classes' weights (float64)."""
    cdef const double[::1] weights
    cdef double sum = 0, rest = 0
    cdef Py_ssize_t i, count = 0
    if weight is None:
        for i in range(classes.shape[0]):
            count += classes[i] >= 0
        return <double> count
    weights = weight
    for i in range(classes.shape[0]):
        if classes[i] >= 0:
            add(&sum, &rest, weights[classes[i]])
    return sum if sum - sum != 0 else sum + rest


def reduced(loss, dtype, str reduction, double count):
    """What a loss of rows returns, given one loss a row in float64."""
    if reduction != "none":
        return scalar(summed(loss.reshape(-1)), dtype, count)
    if loss.ndim == 0:
        return scalar(loss, dtype, 1)
    with np.errstate(all="ignore"):
        return loss.astype(dtype, copy=False)


def zeros_like(cnp.ndarray x, dtype):
    """Zeros in the layout of x, as the operating system hands them out: nobody writes them."""
    if cnp.PyArray_IS_C_CONTIGUOUS(x):
        return np.zeros((<object> x).shape, dtype)
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    return np.zeros([x.shape[axis] for axis in order], dtype).transpose(np.argsort(order))


def nll(cnp.ndarray x, dtype, int axis, cnp.ndarray target, weight, double scale,
        cnp.ndarray loss, cnp.ndarray y):
    """Fill `loss` with -weight x[target], as x but with one entry along the axis, as `target`; and
    y, which is 0 or None, with the gradient.
    """
    cdef Layout g
    cdef Copy call
    cdef void* arrays[OPERANDS]
    cdef Py_ssize_t o
    cdef const double[::1] weights
    cdef const double* class_weights = NULL
    cdef double work
    cdef int peel, i
    if cnp.PyArray_SIZE(x) == 0:
        return
    for i in range(OPERANDS):
        arrays[i] = NULL
    arrays[X] = <void*> x
    arrays[Y] = NULL if y is None else <void*> y
    arrays[TARGET] = <void*> target
    arrays[LOSS] = <void*> loss
    peel = lay_out(&g, axis, arrays, OPERANDS)
    if peel >= 0:
        for o in range(cnp.PyArray_DIM(x, peel)):
            at = (slice(None),) * peel + (o,)
            nll(x[at], dtype, axis - (peel < axis), target[at], weight, scale, loss[at],
                None if y is None else y[at])
        return
    if weight is not None:
        weights = weight
        class_weights = &weights[0]
    call.n = g.n
    call.x_dtype = code_of(x.dtype)
    call.y_dtype = code_of(dtype)
    work = 5.0 * loss.size      # zeros are the operating system's, which threads would wait for
    with nogil:
        nll_blocks(&g, &call, class_weights, scale, _threads.choose(work))


cdef void nll_blocks(const Layout* g, const Copy* call, const double* weight, double scale,
                     int threads) noexcept nogil:
    cdef Py_ssize_t block = rows_a_piece(g), pieces = (g.run + block - 1) // block, piece
    if threads == 1:
        for piece in range(g.outer * pieces):
            nll_block(g, call, weight, scale, block, piece // pieces, piece % pieces * block)
    else:
        for piece in prange(g.outer * pieces, schedule="static", num_threads=threads):
            nll_block(g, call, weight, scale, block, piece // pieces, piece % pieces * block)


cdef void nll_block(const Layout* g, const Copy* call, const double* weight, double scale,
                    Py_ssize_t block, Py_ssize_t o, Py_ssize_t r) noexcept nogil:
    cdef Copy piece = call[0]
    cdef Lines x = lines_at(g, X, o, r), y = lines_at(g, Y, o, r)
    cdef Lines target = lines_at(g, TARGET, o, r), loss = lines_at(g, LOSS, o, r)
    piece.rows = min(block, g.run - r)
    piece.x = x.data
    piece.x_row = x.row
    piece.x_item = x.item
    piece.y = y.data
    piece.y_row = y.row
    piece.y_item = y.item
    LOSSES.nll(&piece, &target, weight, scale, &loss)

