"""Plan and run a call of a loss: value and gradient in one pass, no array of the input's size
but the gradient.

Losses of one element each go over tiles: a tile's sum is stored, and the sums are added up in one
order, so that the result does not depend on threads. Nor does it on layout: the order that counts
is C order, and where memory is read in another, the sum is taken only if it rounds as it would in
C order. Of the losses of a row, cross-entropy has a file of its own; here are negative
log-likelihood and what all of them share.
"""

import sys
from operator import index

cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange, threadid

import numpy as np

cimport cyact._engine.threads as _threads
from cyact._level.abi cimport (
    ABI,
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT64,
    LANES,
    LOSS_ARRAYS,
    LOSS_VALUE,
    TILE,
    UINT8,
    Lines,
    Loss,
    LossKernels,
    Pointwise,
    itemsize,
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
from cyact._engine.run cimport BRIEF

from cyact._engine.arrays import as_array, is_bfloat16, result_dtype

cnp.import_array()

cdef double EPSILON = 2.0 ** -53

cdef const LossKernels* LOSSES = NULL
cdef dict NUMBERS = {}      # of losses of one element each, by name


def use_level(losses):
    """Take the table of one instruction-set level; called once, at import."""
    global LOSSES
    LOSSES = <const LossKernels*> PyCapsule_GetPointer(losses.table, b"cyact.LossKernels")
    if LOSSES.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")
    NUMBERS.update((LOSSES.pointwise[i].name.decode(), i) for i in range(LOSSES.count))


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


cdef dict CODES = {"b1": UINT8, "u1": UINT8, "i8": INT64, "f2": FLOAT16, "f4": FLOAT32,
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


def readable(str function, str name, x, dtype=np.float64):
    """x as kernels can read it: aligned, native and real; a view where it is that already.

    `dtype`: of the results. What kernels do not know becomes what those are computed in.
    """
    if cnp.PyArray_ISBEHAVED_RO(x) and code_of(x.dtype) >= 0:
        return x
    if x.dtype.kind not in "biuf" and not is_bfloat16(x.dtype):
        raise TypeError(f"{function}: {name} must hold real numbers, got dtype {x.dtype}")
    if code_of(x.dtype) >= 0:
        dtype = x.dtype.newbyteorder("=")
    elif x.dtype.kind == "f" or dtype == np.float64:      # from longdouble
        dtype = np.dtype(np.float64)
    else:
        dtype = np.dtype(np.float32)
    return np.require(x, dtype, "A")


def loss_input(str function, str name, x):
    """What a loss is a function of: (array, dtype of the results)."""
    x = array_of(function, name, x)
    cdef int number = cnp.PyArray_TYPE(x)
    if cnp.PyArray_ISBEHAVED_RO(x) and (number == cnp.NPY_FLOAT or number == cnp.NPY_DOUBLE):
        return x, x.dtype
    dtype = result_dtype(function, x.dtype)
    if x.dtype.kind in "biu":
        return x.astype(dtype), dtype
    return readable(function, name, x), dtype


cdef tuple inverse(Py_ssize_t n):
    """1/n as a sum of two floats."""
    if n == 0:
        return 0.0, 0.0
    high = 1.0 / n
    a, b = high.as_integer_ratio()
    return high, (b - a * n) / (b * n)


# Losses of one element each

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


cdef Py_ssize_t share_out(Pointwise* call) noexcept:
    """Where in a thread's scratch a tile of each array goes; returns how many bytes that takes."""
    cdef int k
    cdef Py_ssize_t n = min((call.size + LANES - 1) & -LANES, <Py_ssize_t> TILE)
    cdef Py_ssize_t used = 2 * TILE * sizeof(double)
    for k in range(LOSS_ARRAYS):
        call.buffer[k] = used
        if call.data[k] != NULL:
            used += n * itemsize(call.dtypes[k] if k >= LOSS_VALUE else call.dtype)
            used = (used + 63) & -64
    return used


cdef void run_tiles(const Pointwise* call, char* scratch, Py_ssize_t share, double* sums,
                    Py_ssize_t tiles, int threads) noexcept nogil:
    """Fill in all results; `scratch`: `share` bytes a thread; `sums`: three a tile."""
    cdef Py_ssize_t tile
    if threads == 1:
        for tile in range(tiles):
            LOSSES.run_tile(call, tile * TILE, scratch, sums + 3 * tile)
    else:
        for tile in prange(tiles, schedule="static", num_threads=threads):
            LOSSES.run_tile(call, tile * TILE, scratch + threadid() * share, sums + 3 * tile)


# Sums of tiles. A sum is sum + rest, within `slack` of what it is in any other order.
cdef struct Sum:
    double sum
    double rest
    double slack


cdef Sum run(Pointwise* call, double cost) except *:
    """Fill in all results; returns the sum of the losses unless they are a result."""
    cdef Py_ssize_t share = share_out(call), tiles = (call.size + TILE - 1) // TILE
    cdef double work = cost * call.size
    cdef int threads = _threads.choose(work)
    cdef char* memory = <char*> PyMem_RawMalloc(
        threads * share + 3 * tiles * sizeof(double) + 64)
    cdef char* scratch = memory + (-<Py_ssize_t> memory & 63)
    cdef double* sums = <double*> (scratch + threads * share)
    cdef Sum found
    if memory == NULL:
        raise MemoryError
    if work < BRIEF:
        run_tiles(call, scratch, share, sums, tiles, 1)
        found = total(call, sums, tiles)
    else:
        with nogil:
            run_tiles(call, scratch, share, sums, tiles, threads)
            found = total(call, sums, tiles)
    PyMem_RawFree(memory)
    return found


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


cdef Sum total(const Pointwise* call, const double* sums, Py_ssize_t tiles) noexcept nogil:
    """The sum of all tiles, compensated."""
    cdef Sum found
    cdef double magnitude = 0
    cdef Py_ssize_t i
    found.sum = found.rest = found.slack = 0
    if call.data[LOSS_VALUE] != NULL:
        return found
    for i in range(tiles):
        add(&found.sum, &found.rest, sums[3 * i])
        found.rest += sums[3 * i + 1]
    if call.reordered:
        for i in range(tiles):
            magnitude += sums[3 * i + 2]
        # Twice the error, each order having its own. Of float32, a tile's TILE / LANES additions
        # are rounded; of float64, only what was rounded off is added with errors, which are
        # 2^-53 of 2^-53.
        found.slack = magnitude * (4 * (TILE // LANES) * EPSILON if call.dtype == FLOAT32 else
                                   4 * (tiles + 2.0 * TILE // LANES) ** 2 * EPSILON * EPSILON)
    return found


cdef double value_of(Sum found, double slack) noexcept:
    return found.sum if found.sum - found.sum != 0 else found.sum + (found.rest + slack)


cdef bint rounds_to(value, Sum found, divisor) except -1:
    """Whether a sum, with `value` at one end of its slack, rounds so at the other, too."""
    if found.slack != found.slack:      # there is a NaN, in any order
        return True
    other = scalar(value_of(found, found.slack), value.dtype, divisor)
    return found.slack < np.inf and value.tobytes() == other.tobytes()


cdef object laid(a, order):
    """An input in another order of its axes: a view, or a copy where it lies otherwise."""
    a = a.transpose(order)
    steps = [abs(step) for step, n in zip(a.strides, a.shape) if n > 1]
    if 0 in steps or steps == sorted(steps, reverse=True):
        return a
    return np.ascontiguousarray(a)


cdef bint is_c_contiguous(list arrays) noexcept:
    for a in arrays:
        if a is not None and not cnp.PyArray_IS_C_CONTIGUOUS(a):
            return False
    return True


def pointwise(str name, x, dtype, target, weight, positive, str reduction, Py_ssize_t count,
              bint wanted):
    """(loss, gradient or None): arrays as readable() gives them, broadcast to x's shape.

    `count` is what the mean divides by.
    """
    cdef Pointwise call
    cdef const Loss* loss = &LOSSES.pointwise[<Py_ssize_t> NUMBERS[name]]
    cdef Sum found
    cdef list inputs = [x, target, weight, positive], arrays = inputs
    each = np.empty_like(x, dtype) if reduction == "none" else None
    grad = np.empty_like(x, dtype) if wanted else None
    results = [each, grad]
    call.dtype = FLOAT64 if dtype == np.float64 else FLOAT32
    call.kernel = loss.float64 if call.dtype == FLOAT64 else loss.float32
    call.scale[0], call.scale[1] = inverse(count) if reduction == "mean" else (1.0, 0.0)
    call.reordered = False
    divisor = count if reduction == "mean" else 1
    if x.size > TILE and not is_c_contiguous(inputs):
        # In the order in which x lies in memory, each cache line is fetched once.
        order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
        call.reordered = order != list(range(x.ndim))
        arrays = [None if a is None else laid(a, order) for a in inputs]
        results = [None if a is None else a.transpose(order) for a in results]
    describe(&call, arrays + results)
    found = run(&call, loss.cost)
    if each is not None:
        return each if each.ndim else each[()], grad
    value = scalar(value_of(found, -found.slack), dtype, divisor)
    if call.reordered and not rounds_to(value, found, divisor):
        # In C order, which counts, it may round otherwise: once in a million calls.
        call.reordered = False
        describe(&call, [*inputs, None, None])
        value = scalar(value_of(run(&call, loss.cost), 0), dtype, divisor)
    return value, grad


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

cdef Py_ssize_t find_wrong(Py_ssize_t[::1] classes, Py_ssize_t n, bint unsigned,
                           Py_ssize_t ignore_index, bint ignores) noexcept nogil:
    """Where a class out of range is, or -1; classes that are ignored become -1."""
    cdef Py_ssize_t i, c
    for i in range(classes.shape[0]):
        c = classes[i]
        if ignores and c == ignore_index and not (unsigned and c < 0):
            classes[i] = -1
        elif not 0 <= c < n:
            return i
    return -1


def classes_of(str function, target, shape, n, ignore_index):
    """One class a row as a flat array, -1 where the row is ignored.

    It is a copy, which is checked: what another thread writes into `target` then changes nothing.
    """
    cdef Py_ssize_t at
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
    unsigned = target.dtype.kind == "u"
    classes = np.array(target, np.intp, order="C").reshape(-1)
    ignores = -sys.maxsize <= ignored_class <= sys.maxsize
    at = find_wrong(classes, n, unsigned, ignored_class if ignores else 0, ignores)
    if at >= 0:
        row = np.unravel_index(at, shape) if shape else ()
        place = f"[{', '.join(str(i) for i in row)}]" if shape else ""
        found = int(classes[at]) % 2**64 if unsigned else classes[at]
        raise IndexError(f"{function}: target{place} is {found}, but the classes are 0 to "
                         f"{n - 1} (ignore_index is {ignore_index})")
    return classes


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


def nll(cnp.ndarray x, int axis, cnp.ndarray target, weight, double scale,
        cnp.ndarray loss, cnp.ndarray y):
    """Fill `loss` with -weight x[target], as x but with one entry along the axis, as `target`; and
    y, which is 0 or None, with the gradient.
    """
    cdef Layout g
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
            nll(x[at], axis - (peel < axis), target[at], weight, scale, loss[at],
                None if y is None else y[at])
        return
    if weight is not None:
        weights = weight
        class_weights = &weights[0]
    g.at[X].lines.dtype = code_of(x.dtype)
    work = 5.0 * loss.size      # zeros are the operating system's, which threads would wait for
    with nogil:
        nll_blocks(&g, class_weights, scale, _threads.choose(work))


cdef void nll_blocks(const Layout* g, const double* weight, double scale,
                     int threads) noexcept nogil:
    cdef Py_ssize_t block = rows_a_piece(g), pieces = (g.run + block - 1) // block, piece
    if threads == 1:
        for piece in range(g.outer * pieces):
            nll_block(g, weight, scale, block, piece // pieces, piece % pieces * block)
    else:
        for piece in prange(g.outer * pieces, schedule="static", num_threads=threads):
            nll_block(g, weight, scale, block, piece // pieces, piece % pieces * block)


cdef void nll_block(const Layout* g, const double* weight, double scale,
                    Py_ssize_t block, Py_ssize_t o, Py_ssize_t r) noexcept nogil:
    cdef Lines x = lines_at(g, X, o, r), y = lines_at(g, Y, o, r)
    cdef Lines target = lines_at(g, TARGET, o, r), loss = lines_at(g, LOSS, o, r)
    LOSSES.nll(&x, &y, &target, &loss, min(block, g.run - r), weight, scale)
