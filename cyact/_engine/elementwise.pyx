"""Plan a call: dtype, shape, overlap, allocation, threads; then run the chosen level's kernels.

An elementwise call takes one of three ways:

1. *direct*: an exact, aligned, native, contiguous ndarray below the threading threshold goes
   to the kernel by pointer (acquiring a memoryview costs 75 ns, a NumPy ufunc call 200); above
   it in tiles of typed memoryviews under `prange`, without the GIL;
2. *by strides*: exact ndarrays of any layout, and calls with a bias, a weight or a gate: rows
   of the array, shared out under `prange`;
3. *general*: everything else (casts, byte order, overlapping memory, pandas, xarray, Dask,
   masked arrays) through a real NumPy ufunc whose loop runs the same spans and threads.

Results never depend on the way taken. Functions along an axis are in rows.pyx.
"""

import sys

cimport cython
cimport numpy as cnp
from cpython.object cimport PyObject, PyTypeObject
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport Py_INCREF
from cython.parallel cimport prange
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset, strcmp

import numpy as np

cimport cyact._engine.threads as _threads
from cyact._level.abi cimport (
    ABI,
    ARRAY_DTYPES,
    BFLOAT16,
    BIAS,
    DERIVATIVE,
    FACTOR,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    FROM_OUTPUT,
    GRAD,
    MAX_DIMENSIONS,
    MAX_PARAMETERS,
    OPERANDS,
    SLOTS,
    VALUE,
    WEIGHT,
    X,
    Y,
    Kernels,
    Known,
    Op,
    Operand,
    Span,
    itemsize,
)
from cyact._level.cache cimport last_cache

cnp.import_array()
cnp.import_ufunc()

cdef extern from "numpy/arrayobject.h":    # what NumPy's own declarations lack
    int NPY_HALF
    object PyArray_NewFromDescr(PyTypeObject* subtype, cnp.dtype descr, int ndim,
                                const cnp.npy_intp* shape, const cnp.npy_intp* strides,
                                void* data, int flags, PyObject* like)

ctypedef fused stored:
    float
    double
    unsigned short             # the half types

cdef enum:
    CHUNK = 16384              # elements a thread takes at a time

# Up to this much work the GIL is kept: releasing it costs as much as it frees.
cdef double BRIEF = 10_000.0

# More than this does not stay in the cache.
cdef long long CACHED = last_cache() or 32 << 20

cdef const Kernels* KERNELS = NULL


cdef const Op* IDENTITY = NULL


def use_level(module):
    """Take the table of one instruction-set level; called once, at import."""
    global KERNELS, IDENTITY
    KERNELS = <const Kernels*> PyCapsule_GetPointer(module.table, b"cyact.Kernels")
    if KERNELS.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")
    IDENTITY = find_op(b"identity")


cdef const Op* find_op(bytes name) except NULL:
    cdef int i
    for i in range(KERNELS.count):
        if strcmp(KERNELS.ops[i].name, name) == 0:
            return &KERNELS.ops[i]
    raise SystemError(f"no kernel {name!r}")


# Parameters

@cython.final
cdef class Domain:
    """The values a parameter may take; NaN never is one of them.

    `none` is the number that kernels get where None is given; without it None is refused.
    """

    cdef readonly double low, high
    cdef bint open_low, infinite, nonzero
    cdef readonly object none
    cdef readonly str text

    def __init__(self, text, *, low=-np.inf, high=np.inf, open_low=False, infinite=False,
                 nonzero=False, none=None):
        self.text = text
        self.low = low
        self.high = high
        self.open_low = open_low
        self.infinite = infinite
        self.nonzero = nonzero
        self.none = none

    cdef bint holds(self, double v) noexcept:
        if not (self.low <= v <= self.high) or (self.open_low and v == self.low):
            return False
        if not self.infinite and v - v != 0:
            return False
        return not (self.nonzero and v == 0)

    def __contains__(self, v):
        return self.none is not None if v is None else self.holds(v)

    def checked(self, function, name, value):
        """The value as a float, or an error that says what is allowed."""
        return self.check(function, name, value)

    cdef double check(self, str function, str name, value) except? -1:
        cdef double v
        if PyFloat_Check(value):          # np.float64 is one
            v = PyFloat_AS_DOUBLE(value)
        elif value is None and self.none is not None:
            return self.none
        else:
            v = as_double(function, name, value)
        if not self.holds(v):
            raise ValueError(f"{function}: {name} must be {self.text}, got {value!r}")
        return v

    def __repr__(self):
        return f"<{self.text}>"


cdef double as_double(str function, str name, value) except? -1:
    if type(value) is not int and (isinstance(value, (str, bytes)) or np.ndim(value) != 0):
        raise TypeError(
            f"{function}: {name} must be a single real number, got {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{function}: {name} is too large for a float: {value!r}") from None
    except (TypeError, ValueError):
        raise TypeError(
            f"{function}: {name} must be a real number, got {type(value).__name__}") from None


FINITE = Domain("finite")
POSITIVE = Domain("positive and finite", low=0, open_low=True)
NONNEGATIVE = Domain("at least 0 and finite", low=0)


# Dtypes

def dtype_within(function, x):
    """The dtype of the result for x alone; a DataFrame has a dtype for each column."""
    dtypes = [x.dtype] if hasattr(x, "dtype") else set(x.dtypes)
    return np.result_type(*[result_dtype(function, np.dtype(dtype)) for dtype in dtypes])


cdef int BFLOAT16_NUMBER = -1  # NumPy's number of ml_dtypes' bfloat16, once it has been seen


def is_bfloat16(dtype):
    """Whether a dtype is ml_dtypes' bfloat16; from then on the ufuncs know it."""
    global BFLOAT16_NUMBER
    if dtype.name != "bfloat16" or not dtype.isbuiltin == 2:
        return False
    if BFLOAT16_NUMBER < 0:
        BFLOAT16_NUMBER = dtype.num
        for name in list(UFUNCS):
            add_bfloat16(name)
    return True


cdef int dtype_of(object x) noexcept:
    """FLOAT32, … for an array of it; -1 for another dtype."""
    cdef int number = cnp.PyArray_TYPE(<cnp.ndarray> x)
    if number == cnp.NPY_FLOAT:
        return FLOAT32
    if number == cnp.NPY_DOUBLE:
        return FLOAT64
    if number == NPY_HALF:
        return FLOAT16
    return BFLOAT16 if number == BFLOAT16_NUMBER and number >= 0 else -1


cdef inline int number_of(int dtype) noexcept:
    """NumPy's number of it."""
    return (cnp.NPY_FLOAT if dtype == FLOAT32 else cnp.NPY_DOUBLE if dtype == FLOAT64
            else NPY_HALF if dtype == FLOAT16 else BFLOAT16_NUMBER)


cdef inline int computed(int dtype) noexcept nogil:
    """The dtype that kernels compute it in."""
    return FLOAT64 if dtype == FLOAT64 else FLOAT32


# Arrays: checks that every function shares

cdef object FLOAT32_DTYPE = np.dtype(np.float32)
cdef object FLOAT64_DTYPE = np.dtype(np.float64)

SUPPORTED = "float16, bfloat16, float32 or float64"


def unsupported(str function, dtype):
    return TypeError(
        f"{function}: dtype {dtype} is not supported; use {SUPPORTED}, or integers or "
        f"bool (they become floating point)")


cpdef object result_dtype(str function, dtype):
    """The float types in kind and native; integers and bool become floating point."""
    if dtype.kind in "biu":
        return np.result_type(dtype, np.float32)
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return dtype.newbyteorder("=")
    if is_bfloat16(dtype):
        return dtype
    raise unsupported(function, dtype)


def as_array(str function, x):
    """x as an ndarray, without a copy where NumPy can view it."""
    if type(x) is np.ndarray:
        return x
    try:
        if (hasattr(x, "__dlpack__") and not hasattr(x, "__array__")
                and not hasattr(x, "__array_interface__")):
            return np.from_dlpack(x)
        return np.asarray(x)
    except ValueError as error:
        if isinstance(x, (list, tuple)):
            raise ValueError(
                f"{function}: the input is a ragged sequence, not an array ({error})") from None
        raise


def check_out(str function, out, shape, dtype):
    """Refuse an `out` that cannot take a result of this shape and dtype."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{function}: out must be a NumPy array, got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"{function}: out must have the result's shape {shape}, got {out.shape}")
    if not (out.dtype.kind in "fc" or is_bfloat16(out.dtype)) \
            or not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"{function}: the result's dtype {dtype} cannot be stored in out's "
                        f"dtype {out.dtype} (casting rule 'same_kind')")
    if not out.flags.writeable:
        raise ValueError(f"{function}: out is read-only")


def bias_array(str function, bias, tuple shape, dtype):
    """A bias for an x of this shape and dtype, in the dtype that x is computed in."""
    bias = as_array(function, bias)
    if not shape or bias.shape != shape[len(shape) - 1:]:
        raise ValueError(f"{function}: bias must have one entry for each of x's last axis: "
                         f"x has shape {shape}, bias {bias.shape}")
    return in_computed(function, "bias", bias, dtype)


cdef object in_computed(str function, str name, a, dtype):
    """A bias or weight in the dtype that an x of `dtype` is computed in."""
    wanted = FLOAT64_DTYPE if dtype == FLOAT64_DTYPE else FLOAT32_DTYPE
    if a.dtype is wanted and plain(a) >= 0:
        return a
    if not (np.can_cast(a.dtype, wanted, "same_kind") or is_bfloat16(a.dtype)):
        raise TypeError(f"{function}: {name} of dtype {a.dtype} cannot be used with x of "
                        f"dtype {dtype} (casting rule 'same_kind')")
    with np.errstate(over="ignore"):       # what is beyond float32 is infinite there
        return np.require(a, wanted, "A")


cdef inline int plain(object x) noexcept:
    """The dtype of an aligned, native array if it is one of ours; -1 for any other."""
    if (not cnp.PyArray_FLAGS(<cnp.ndarray> x) & cnp.NPY_ARRAY_ALIGNED
            or cnp.PyArray_ISBYTESWAPPED(<cnp.ndarray> x)):
        return -1
    return dtype_of(x)


cdef inline bint goes_with(object a, int dtype) noexcept:
    """Whether an operand, if it is there, is a plain array of this dtype."""
    return a is None or (type(a) is cnp.ndarray and plain(a) == dtype)


cdef inline bint contiguous(object x) noexcept:
    return 0 != (cnp.PyArray_FLAGS(<cnp.ndarray> x)
                 & (cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS))


cdef inline bint same_dimensions(object x, object y) noexcept:
    cdef int i, n = cnp.PyArray_NDIM(<cnp.ndarray> x)
    if cnp.PyArray_NDIM(<cnp.ndarray> y) != n:
        return False
    for i in range(n):
        if cnp.PyArray_DIM(<cnp.ndarray> x, i) != cnp.PyArray_DIM(<cnp.ndarray> y, i):
            return False
    return True


cdef inline bint same_layout(object x, object y) noexcept:
    """Whether two contiguous arrays have one dtype, one shape and one memory order."""
    return (cnp.PyArray_TYPE(<cnp.ndarray> x) == cnp.PyArray_TYPE(<cnp.ndarray> y)
            and same_dimensions(x, y)
            and 0 != (cnp.PyArray_FLAGS(<cnp.ndarray> x) & cnp.PyArray_FLAGS(<cnp.ndarray> y)
                      & (cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS)))


cdef bint along_last(object a, object x) noexcept:
    """Whether a has one entry for each of x's last axis."""
    cdef int n = cnp.PyArray_NDIM(<cnp.ndarray> x)
    return (n > 0 and cnp.PyArray_NDIM(<cnp.ndarray> a) == 1
            and cnp.PyArray_DIM(<cnp.ndarray> a, 0) == cnp.PyArray_DIM(<cnp.ndarray> x, n - 1))


cdef bint same_shape(object a, object x) noexcept:
    """Whether both are NumPy arrays, and of one shape."""
    return type(a) is cnp.ndarray and type(x) is cnp.ndarray and same_dimensions(a, x)


cdef bint takes(object out, object x) noexcept:
    """Whether it is plain to see that `out` can take a result of x's shape and dtype."""
    return (same_shape(out, x) and plain(x) >= 0 and plain(out) == plain(x)
            and cnp.PyArray_ISWRITEABLE(<cnp.ndarray> out))


cdef int check_shape(str function, str name, a, x) except -1:
    if not same_shape(a, x) and a.shape != x.shape:
        raise ValueError(f"{function}: {name} and x must have equal shapes, "
                         f"got {a.shape} and {x.shape}")
    return 0


cdef bint in_c_order(object a) noexcept:
    """Whether no axis has longer steps than those before it, but where all steps are 0."""
    cdef int i
    cdef Py_ssize_t step, least = 0
    for i in range(cnp.PyArray_NDIM(<cnp.ndarray> a)):
        step = length(cnp.PyArray_STRIDE(<cnp.ndarray> a, i))
        if least and step > least:
            return False
        if step:
            least = step
    return True


cdef inline object new_array(object like, int dtype):
    """An array of the same shape, its axes in the same order in memory."""
    cdef cnp.dtype descr
    cdef bint c_order = 0 != cnp.PyArray_FLAGS(<cnp.ndarray> like) & cnp.NPY_ARRAY_C_CONTIGUOUS
    if not (c_order or contiguous(like)):
        c_order = in_c_order(like)
        if not c_order:
            return PyArray_NewLikeArray(<cnp.ndarray> like, cnp.NPY_KEEPORDER, NULL, 0)
    if dtype == FLOAT32:
        descr = <cnp.dtype> FLOAT32_DTYPE
    else:
        descr = cnp.PyArray_DescrFromType(number_of(dtype))
    Py_INCREF(descr)              # PyArray_NewFromDescr takes it
    return PyArray_NewFromDescr(
        <PyTypeObject*> cnp.ndarray, descr, cnp.PyArray_NDIM(<cnp.ndarray> like),
        cnp.PyArray_DIMS(<cnp.ndarray> like), NULL, NULL,
        0 if c_order else cnp.NPY_ARRAY_F_CONTIGUOUS, NULL)


cdef inline bint apart(const char* a, const char* b, Py_ssize_t size) noexcept:
    """Whether two equally long pieces of memory are the same piece or do not meet."""
    return a == b or a + size <= b or b + size <= a


# Running a span, alone or in parallel

cdef void parallel_views(const stored[::1] x, const stored[::1] grad, stored[::1] y,
                         const Span* whole, int threads) noexcept nogil:
    """A contiguous span in chunks over typed memoryviews; grad counts only if it has one."""
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunks = (n + CHUNK - 1) // CHUNK
    cdef Py_ssize_t chunk, start
    for chunk in prange(chunks, schedule="static", num_threads=threads):
        start = chunk * CHUNK
        run_piece(whole, <char*> &x[start],
                  NULL if whole.at[GRAD].data == NULL else <char*> &grad[start],
                  <char*> &y[start], min(<Py_ssize_t> CHUNK, n - start))


cdef inline void run_piece(const Span* whole, char* x, char* grad, char* y,
                           Py_ssize_t n) noexcept nogil:
    cdef Span piece = whole[0]
    piece.at[X].data = x
    piece.at[GRAD].data = grad
    piece.at[Y].data = y
    piece.n = n
    KERNELS.run_span(&piece)


cdef int over_views(const Span* span, int threads, stored tag) except -1:
    """View the arrays as flat typed memoryviews and share them out."""
    cdef const stored[::1] x = <stored[:span.n:1]> <stored*> span.at[X].data
    cdef stored[::1] y = <stored[:span.n:1]> <stored*> span.at[Y].data
    cdef const stored[::1] grad = x
    if span.at[GRAD].data != NULL:
        grad = <stored[:span.n:1]> <stored*> span.at[GRAD].data
    with nogil:
        parallel_views(x, grad, y, span, threads)
    return 0


cdef inline void begin(Span* span, const Op* op, int slot, int dtype, const double* p) \
        noexcept nogil:
    """A span of one row without operands."""
    cdef int k
    for k in range(OPERANDS):     # not by memset, whose `rep stos` takes 5 ns to start
        span.at[k] = Operand(NULL, 0, 0)
    span.known = NULL
    span.n = span.rests = 0
    span.far = False
    span.sums = NULL
    span.kernel = op.kernels[slot][computed(dtype)]
    span.wide = op.kernels[slot][FLOAT64]
    span.rest = op.rest if slot == VALUE else NULL
    span.p = p
    span.weighted = op.weighted
    span.exact = op.exact
    span.copies = op.copies and slot == VALUE
    span.keeps = op.keeps
    span.dtype = dtype
    # What a derivative may be wrong by near a zero inside its range
    span.slack = 0 if slot == VALUE else 2.0**-32
    span.rows = 1


# What is known of half types. Once a function has been computed for twice as many elements as
# there are halves, its results for all halves are computed, once, in the same way. From then on
# they are looked up; or chosen, where that has just given all of them, bit for bit (see Known in
# abi.pxd). For a backward pass and for gates, which multiply f in float, a table holds f in float,
# unless that is computed as fast.

cdef enum:
    HALVES = 65536
    REMEMBERED = 16           # functions, with their parameters; 256 KB each at most

cdef double KNOWN_COST = 0.1875  # nanoseconds an element
cdef double CHEAP = 0.3          # kernels that cost less are as fast as a table of floats

cdef struct Memory:
    const Op* op
    int slot
    int dtype
    bint slopes               # whether it is for floats to multiply by, rather than for results
    double p[MAX_PARAMETERS]
    Py_ssize_t seen           # elements computed
    bint full                 # whether `known` is
    Known known
    long long used            # when last
    int users                 # calls that compute with it, perhaps without the GIL

cdef Memory MEMORIES[REMEMBERED]
cdef long long NOW = 0


cdef inline bint is_of(const Memory* m, const Op* op, int slot, int dtype, bint slopes,
                       const double* p) noexcept:
    return (m.op == op and m.slot == slot and m.dtype == dtype and m.slopes == slopes
            and (op.nparams == 0 or memcmp(m.p, p, op.nparams * sizeof(double)) == 0))


cdef void empty(Memory* m) noexcept:
    free(<void*> m.known.results)
    free(<void*> m.known.slopes)
    memset(m, 0, sizeof(Memory))


cdef Memory* memory_of(const Op* op, int slot, int dtype, bint slopes,
                       const double* p) noexcept:
    """The memory of a function with these parameters, or the one unused for longest.

    NULL if all are in use.
    """
    cdef Memory* oldest = NULL
    cdef int i
    for i in range(REMEMBERED):
        if is_of(&MEMORIES[i], op, slot, dtype, slopes, p):
            return &MEMORIES[i]
        if MEMORIES[i].users == 0 and (oldest == NULL or MEMORIES[i].used < oldest.used):
            oldest = &MEMORIES[i]
    if oldest != NULL:
        empty(oldest)
        oldest.op = op
        oldest.slot = slot
        oldest.dtype = dtype
        oldest.slopes = slopes
        if op.nparams:
            memcpy(oldest.p, p, op.nparams * sizeof(double))
    return oldest


cdef Memory* remember(Span* span, Memory* m, const Op* op, int slot, Py_ssize_t n) noexcept:
    """Have a call of n elements use what is known, which is found out if it is time.

    `m` is where it was last time. With the GIL; who calls gives `users` back.
    """
    global NOW
    cdef bint slopes = span.at[GRAD].data != NULL
    if m == NULL or not is_of(m, op, slot, span.dtype, slopes, span.p):
        m = memory_of(op, slot, span.dtype, slopes, span.p)
        if m == NULL:
            return NULL
    NOW += 1
    m.used = NOW
    m.seen += n
    if not m.full and m.seen > 2 * HALVES:
        m.full = find_out_slopes(m) if slopes else find_out(m)
    if m.full and (m.known.slopes != NULL or not slopes):
        m.users += 1
        span.known = &m.known
    return m


cdef inline int half_of(int order) noexcept nogil:
    """What stands there among the halves: -0 is at -1."""
    return order if order >= 0 else 0x7fff ^ (order & 0xffff)


def forget():
    """Forget what is known of half types, and free the memory."""
    cdef int i
    for i in range(REMEMBERED):
        if MEMORIES[i].users == 0:
            empty(&MEMORIES[i])


cdef bint find_out(Memory* m) noexcept:
    """Compute all results; False without memory for them."""
    cdef Known* known = &m.known
    cdef unsigned short* x = <unsigned short*> malloc(2 * HALVES)
    cdef unsigned short* y = <unsigned short*> malloc(2 * HALVES)
    cdef unsigned short* other = <unsigned short*> malloc(2 * HALVES)
    cdef bint found = x != NULL and y != NULL and other != NULL, chosen = False
    cdef int i
    if found:
        for i in range(HALVES):
            x[i] = i
        run_halves(m, NULL, x, y)
        known.infinity = 0x7f80 if m.dtype == BFLOAT16 else 0x7c00
        known.quiet = 0x40 if m.dtype == BFLOAT16 else 0x200
        if find_pieces(known, y):
            run_halves(m, known, x, other)
            chosen = memcmp(y, other, 2 * HALVES) == 0
    if found and not chosen:
        known.results = y
    else:
        free(y)
    free(x)
    free(other)
    return found


cdef void run_halves(const Memory* m, const Known* known, unsigned short* x,
                     unsigned short* y) noexcept:
    cdef Span span
    begin(&span, m.op, m.slot, m.dtype, m.p)
    span.known = known
    span.n = HALVES
    span.at[X].data = <char*> x
    span.at[Y].data = <char*> y
    span.at[X].step = span.at[Y].step = 2
    KERNELS.run_span(&span)


cdef bint find_out_slopes(Memory* m) noexcept:
    """Compute all derivatives, or values of a gate, in float; False without memory for them."""
    cdef unsigned short* h
    cdef float* x
    cdef float* y
    cdef bint found
    cdef int i
    if m.slot == FROM_OUTPUT or m.op.cost < CHEAP:
        return True
    h = <unsigned short*> malloc(2 * HALVES)
    x = <float*> malloc(4 * HALVES)
    y = <float*> malloc(4 * HALVES)
    found = h != NULL and x != NULL and y != NULL
    if found:
        for i in range(HALVES):
            h[i] = i
        KERNELS.widen(h, x, HALVES, m.dtype)
        run_floats(m, x, y)
        m.known.slopes = y
    else:
        free(y)
    free(x)
    free(h)
    return found


cdef void run_floats(const Memory* m, float* x, float* y) noexcept:
    cdef Span span
    begin(&span, m.op, m.slot, FLOAT32, m.p)
    span.n = HALVES
    span.at[X].data = <char*> x
    span.at[Y].data = <char*> y
    span.at[X].step = span.at[Y].step = 4
    KERNELS.run_span(&span)


cdef bint find_pieces(Known* known, const unsigned short* results) noexcept:
    """Whether there are at most three pieces, in each of which y is x, -x or a constant."""
    cdef int order, count = 0
    cdef unsigned short h, y, first = 0
    cdef bint same = False, negated = False, constant = False
    known.start[1] = known.start[2] = 0x7fff
    for order in range(-known.infinity - 1, known.infinity + 1):
        h = half_of(order)
        y = results[h]
        same = same and y == h
        negated = negated and y == h ^ 0x8000
        constant = constant and y == first
        if not (same or negated or constant):
            if count == 3:
                return False
            known.start[count] = order
            count += 1
            same = y == h
            negated = y == h ^ 0x8000
            constant = True
            first = y
        known.keep[count - 1] = 0xffff if same or negated else 0
        known.flip[count - 1] = 0 if same else 0x8000 if negated else first
    return True


# By strides: any layout as rows of the last axis

cdef struct Plan:
    int ndim
    Py_ssize_t shape[MAX_DIMENSIONS]
    Py_ssize_t steps[OPERANDS][MAX_DIMENSIONS]


cdef void set_shape(Plan* plan, object a) noexcept:
    """The shape of an array, and no operands yet."""
    cdef int i, k
    plan.ndim = cnp.PyArray_NDIM(<cnp.ndarray> a)
    for i in range(plan.ndim):
        plan.shape[i] = cnp.PyArray_DIM(<cnp.ndarray> a, i)
    for k in range(OPERANDS):
        for i in range(plan.ndim):
            plan.steps[k][i] = 0


cdef void take(Plan* plan, Span* span, int which, object a) noexcept:
    """An operand, if it is there: its place, and its steps, broadcast to the plan's shape."""
    cdef int i, j, missing
    if a is None:
        return
    span.at[which].data = <char*> cnp.PyArray_DATA(<cnp.ndarray> a)
    missing = plan.ndim - cnp.PyArray_NDIM(<cnp.ndarray> a)
    for i in range(plan.ndim):
        j = i - missing
        if j < 0 or cnp.PyArray_DIM(<cnp.ndarray> a, j) == 1:
            plan.steps[which][i] = 0
        else:
            plan.steps[which][i] = cnp.PyArray_STRIDE(<cnp.ndarray> a, j)


cdef void swap_axes(Plan* plan, int i, int j) noexcept nogil:
    cdef int k
    plan.shape[i], plan.shape[j] = plan.shape[j], plan.shape[i]
    for k in range(OPERANDS):
        plan.steps[k][i], plan.steps[k][j] = plan.steps[k][j], plan.steps[k][i]


cdef inline Py_ssize_t length(Py_ssize_t step) noexcept nogil:
    return -step if step < 0 else step


cdef void order_axes(Plan* plan) noexcept nogil:
    """The axis along which the result is densest last."""
    cdef int i, j
    for i in range(1, plan.ndim):
        j = i
        while j > 0 and length(plan.steps[Y][j - 1]) < length(plan.steps[Y][j]):
            swap_axes(plan, j - 1, j)
            j -= 1


cdef void merge_axes(Plan* plan, bint last) noexcept nogil:
    """Drop axes of length 1; join neighbours that all operands step over evenly.

    The last axis takes part only if `last`.
    """
    cdef int i, k, kept = 0
    cdef bint joins
    for i in range(plan.ndim):
        if plan.shape[i] == 1 and (last or i < plan.ndim - 1):
            continue
        joins = kept > 0 and (last or i < plan.ndim - 1)
        for k in range(OPERANDS):
            joins = joins and (plan.steps[k][kept - 1] == plan.steps[k][i] * plan.shape[i])
        if joins:
            plan.shape[kept - 1] *= plan.shape[i]
        else:
            plan.shape[kept] = plan.shape[i]
            kept += 1
        for k in range(OPERANDS):
            plan.steps[k][kept - 1] = plan.steps[k][i]
    if kept == 0:
        plan.shape[0] = 1
        for k in range(OPERANDS):
            plan.steps[k][0] = 0
        kept = 1
    plan.ndim = kept


cdef Py_ssize_t rows_of(const Plan* plan) noexcept nogil:
    cdef Py_ssize_t rows = 1
    cdef int i
    for i in range(plan.ndim - 1):
        rows *= plan.shape[i]
    return rows


cdef void parallel_rows(const Span* whole, const Plan* plan, double* sums, Py_ssize_t together,
                        int threads) noexcept nogil:
    """The rows of a plan, `together` of them a task; long rows in pieces.

    `sums`: a place for each task's column sums, or NULL.
    """
    cdef Py_ssize_t rows = rows_of(plan), n = plan.shape[plan.ndim - 1]
    cdef Py_ssize_t pieces = (n + CHUNK - 1) // CHUNK
    cdef Py_ssize_t tasks = (rows + together - 1) // together * pieces
    cdef Py_ssize_t task
    if threads == 1:              # even a team of one costs microseconds
        for task in range(tasks):
            run_task(whole, plan, sums, task // pieces, task % pieces * CHUNK, together)
        return
    for task in prange(tasks, schedule="static", num_threads=threads):
        run_task(whole, plan, sums, task // pieces, task % pieces * CHUNK, together)


cdef void run_task(const Span* whole, const Plan* plan, double* sums, Py_ssize_t task,
                   Py_ssize_t column, Py_ssize_t together) noexcept nogil:
    cdef Span span = whole[0]
    cdef int last = plan.ndim - 1, inner = last - 1, i, k
    cdef Py_ssize_t row = task * together
    cdef Py_ssize_t end = min(row + together, rows_of(plan))
    cdef Py_ssize_t rest, index, n = plan.shape[last]
    span.n = min(<Py_ssize_t> CHUNK, n - column)
    if sums != NULL:
        span.sums = sums + task * 2 * n + column
        span.rests = n
    while row < end:
        # the rows that follow each other along the axis before the last
        rest = row
        for k in range(OPERANDS):
            span.at[k] = whole.at[k]
            if span.at[k].data != NULL:
                span.at[k].data += column * plan.steps[k][last]
                span.at[k].step = plan.steps[k][last]
                span.at[k].row = plan.steps[k][inner] if inner >= 0 else 0
        span.rows = end - row
        for i in range(inner, -1, -1):
            index = rest % plan.shape[i]
            rest = rest // plan.shape[i]
            if i == inner:
                span.rows = min(span.rows, plan.shape[i] - index)
            for k in range(OPERANDS):
                if span.at[k].data != NULL:
                    span.at[k].data += index * plan.steps[k][i]
        KERNELS.run_span(&span)
        row += span.rows


cdef object join_sums(const double* sums, Py_ssize_t tasks, Py_ssize_t n):
    """The sums of all tasks, in their order, with the rounding errors."""
    cdef Py_ssize_t task, j
    cdef double total, value, new, part, rest
    cdef cnp.ndarray result = np.empty(n, np.float64)
    cdef double* to = <double*> cnp.PyArray_DATA(result)
    for j in range(n):
        total = rest = 0
        for task in range(tasks):
            value = sums[task * 2 * n + j]
            new = total + value
            part = new - total
            rest += (total - (new - part)) + (value - part) + sums[task * 2 * n + n + j]
            total = new
        # an infinite sum has no rest
        to[j] = total + rest if total - total == 0 else total
    return result


# The ufuncs

cdef struct Loop:
    const Op* op
    int slot
    int dtype
    int operands                  # bits


cdef void ufunc_loop(char** args, const cnp.npy_intp* dimensions, const cnp.npy_intp* steps,
                     void* data) noexcept nogil:
    """One run of a ufunc: (arrays…, parameters…) -> y."""
    cdef const Loop* loop = <const Loop*> data
    cdef int count = loop.op.nparams, first = 0, i, k, threads
    cdef double p[MAX_PARAMETERS]
    cdef Py_ssize_t n = dimensions[0], j
    cdef bint constant = True
    cdef Span span
    cdef Plan plan
    begin(&span, loop.op, loop.slot, loop.dtype, p)
    for k in range(Y):
        if loop.operands & (1 << k):
            span.at[k].data = args[first]
            span.at[k].step = steps[first]
            first += 1
    for i in range(count):
        p[i] = (<const double*> args[first + i])[0]
        constant = constant and steps[first + i] == 0
    span.at[Y].data = args[first + count]
    span.at[Y].step = steps[first + count]
    if constant or n <= 1:
        span.n = n
        threads = _threads.choose(n * loop.op.cost)
        if threads > 1:
            plan.ndim = 1
            plan.shape[0] = n
            for k in range(OPERANDS):
                plan.steps[k][0] = span.at[k].step
            parallel_rows(&span, &plan, NULL, 1, threads)
        else:
            KERNELS.run_span(&span)
        return
    span.n = 1              # parameters that vary: only through the ufunc itself, as an array
    for j in range(n):
        for i in range(count):
            p[i] = (<const double*> (args[first + i] + j * steps[first + i]))[0]
        KERNELS.run_span(&span)
        for k in range(OPERANDS):
            span.at[k].data += span.at[k].step


cdef dict UFUNCS = {}           # by name: what makes them picklable, and extensible to bfloat16
cdef dict OWNERS = {}           # the Function of each kernel name
SUFFIXES = {GRAD: "grad", FACTOR: "factor", WEIGHT: "weight", BIAS: "bias"}
SLOT_NAMES = {VALUE: "value", DERIVATIVE: "derivative", FROM_OUTPUT: "from_output"}


def __getattr__(name):
    """The ufunc of that name: pickle finds them here, in processes that have not used them."""
    kernel, _, rest = name.partition("__")
    if kernel in OWNERS and rest:
        slots = {text: number for number, text in SLOT_NAMES.items()}
        bits = {text: 1 << number for number, text in SUFFIXES.items()}
        slot, *operands = rest.split("__")
        return (<Function> OWNERS[kernel]).ufunc(
            slots[slot], (1 << X) + sum([bits[operand] for operand in operands]))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


cdef cnp.PyUFuncGenericFunction FUNCTIONS[ARRAY_DTYPES]
for _i in range(ARRAY_DTYPES):
    FUNCTIONS[_i] = ufunc_loop


cdef class Ufunc:
    """What NumPy keeps pointers into: never freed."""

    cdef object ufunc
    cdef bytes name
    cdef Loop loops[ARRAY_DTYPES]
    cdef void* data[ARRAY_DTYPES]
    # for each dtype the numbers of all arguments
    cdef char types[ARRAY_DTYPES * (OPERANDS + MAX_PARAMETERS)]
    cdef int inputs


cdef object make_ufunc(str name, const Op* op, int slot, int operands):
    """A NumPy ufunc over a kernel. Its first loop is float32's: what small integers become."""
    cdef Ufunc made = Ufunc()
    cdef int dtype, k, i
    made.name = name.encode()
    made.inputs = op.nparams
    made.inputs += bin(operands).count("1")
    for dtype in range(ARRAY_DTYPES):
        made.loops[dtype] = Loop(op, slot, dtype, operands)
        made.data[dtype] = &made.loops[dtype]
        i = dtype * (made.inputs + 1)
        memset(&made.types[i], cnp.NPY_DOUBLE, made.inputs)       # what parameters are
        for k in range(Y):
            if operands & (1 << k):
                made.types[i] = argument_number(dtype, k)
                i += 1
        made.types[dtype * (made.inputs + 1) + made.inputs] = argument_number(dtype, Y)
    made.ufunc = cnp.PyUFunc_FromFuncAndData(FUNCTIONS, made.data, made.types, BFLOAT16,
                                             made.inputs, 1, cnp.PyUFunc_None, made.name, NULL, 0)
    UFUNCS[name] = made
    if BFLOAT16_NUMBER >= 0:
        add_bfloat16(name)
    setattr(sys.modules[__name__], name, made.ufunc)
    return made.ufunc


cdef int argument_number(int dtype, int operand) noexcept:
    if operand == WEIGHT or operand == BIAS:
        dtype = computed(dtype)
    return -1 if dtype == BFLOAT16 else number_of(dtype)


cdef int add_bfloat16(str name) except -1:
    """NumPy takes a loop for a type that is not its own one by one."""
    cdef Ufunc made = UFUNCS[name]
    cdef int[OPERANDS + MAX_PARAMETERS] types
    cdef int i
    for i in range(made.inputs + 1):
        types[i] = made.types[BFLOAT16 * (made.inputs + 1) + i]
        types[i] = BFLOAT16_NUMBER if types[i] < 0 else types[i]
    return cnp.PyUFunc_RegisterLoopForType(made.ufunc, BFLOAT16_NUMBER, ufunc_loop, types,
                                           &made.loops[BFLOAT16])


# Elementwise functions

@cython.final
cdef class Function:
    """One elementwise function: its kernels, its parameters' domains and its ufuncs.

    `value`, `derivative` and `backward` are what the public functions call.
    """

    cdef const Op* op
    cdef readonly str name
    cdef str derivative_name, backward_name
    cdef readonly tuple parameters     # names
    cdef readonly tuple domains
    cdef readonly tuple output_domains
    cdef str kernel
    cdef dict ufuncs
    cdef readonly tuple ordered        # two parameters of which the first may not exceed the other
    cdef int smaller, larger           # where they stand
    cdef bint strictly                 # nor equal it
    cdef Memory* recent[SLOTS][ARRAY_DTYPES]      # where what is known of half types was

    def __init__(self, str name, *, output_domains=(), str kernel=None, tuple ordered=(),
                 tuple strictly_ordered=(), **domains):
        self.kernel = kernel or name
        self.op = find_op(self.kernel.encode())
        if self.op.nparams != len(domains):
            raise SystemError(f"the kernel {self.kernel} takes {self.op.nparams} parameters")
        self.name = name
        self.derivative_name = f"derivative.{name}"
        self.backward_name = f"backward.{name}"
        self.parameters = tuple(domains)
        self.domains = tuple(domains.values())
        self.output_domains = output_domains or self.domains
        self.ufuncs = {}
        OWNERS.setdefault(self.kernel, self)
        self.ordered = ordered or strictly_ordered
        self.strictly = len(strictly_ordered) > 0
        if self.ordered:
            self.smaller, self.larger = map(self.parameters.index, self.ordered)

    @property
    def from_output(self):
        """Whether f' is a function of f(x)."""
        return self.op.kernels[FROM_OUTPUT][FLOAT32] != NULL

    cdef object ufunc(self, int slot, int operands):
        """The NumPy ufunc that takes these arrays; made on first use."""
        made = self.ufuncs.get((slot, operands))
        if made is None:
            name = "__".join([self.kernel, SLOT_NAMES[slot],
                             *[SUFFIXES[k] for k in SUFFIXES if operands & (1 << k)]])
            made = ((<Ufunc> UFUNCS[name]).ufunc if name in UFUNCS
                    else make_ufunc(name, self.op, slot, operands))
            self.ufuncs[slot, operands] = made
        return made

    # Parameters come one by one, at most five: a tuple of them would cost a call 20 ns. Those that
    # are not there are five different objects: with None for all, a call would wait 15 ns for
    # one reference count.

    cdef int check(self, tuple domains, double* p, a, b, c, d, e) except -1:
        cdef int count = self.op.nparams
        if count > 0:
            p[0] = self.checked(domains, 0, a)
        if count > 1:
            p[1] = self.checked(domains, 1, b)
        if count > 2:
            p[2] = self.checked(domains, 2, c)
        if count > 3:
            p[3] = self.checked(domains, 3, d)
        if count > 4:
            p[4] = self.checked(domains, 4, e)
        if self.ordered:
            self.check_order(p[self.smaller], p[self.larger])
        return 0

    cdef int check_order(self, double small, double large) except -1:
        if small > large or (self.strictly and small == large):
            raise ValueError(
                f"{self.name}: {self.parameters[self.smaller]} must be "
                f"{'less than' if self.strictly else 'at most'} "
                f"{self.parameters[self.larger]}, got {small!r} and {large!r}")
        return 0

    cdef double checked(self, tuple domains, int i, value) except? -1:
        if type(value) is float and (<Domain> domains[i]).holds(PyFloat_AS_DOUBLE(value)):
            return PyFloat_AS_DOUBLE(value)
        return (<Domain> domains[i]).check(self.name, <str> self.parameters[i], value)

    def value(self, x, bias, out, dtype, a=0, b=1, c=2, d=3, e=4):
        """f(x + bias)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.unary(self.name, VALUE, x, None, bias, out, dtype, p)

    def derivative(self, x, bias, out, dtype, a=0, b=1, c=2, d=3, e=4):
        """f'(x + bias)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.unary(self.derivative_name, DERIVATIVE, x, None, bias, out, dtype, p)

    def backward(self, grad, x, output, bias, out, a=0, b=1, c=2, d=3, e=4):
        """grad * f'(x + bias), f' from x or from the output; with a bias, its gradient too."""
        cdef double p[MAX_PARAMETERS]
        cdef str function = self.backward_name
        if (x is None) == (output is None):
            raise TypeError(f"{function}: give exactly one of x and output")
        if output is None:
            self.check(self.domains, p, a, b, c, d, e)
            return self.product(function, DERIVATIVE, grad, None, x, None, bias, out, p)
        if not self.from_output:
            raise TypeError(f"{function}: the derivative is not a function of the output; "
                            f"give x instead")
        if bias is not None:
            raise TypeError(f"{function}: bias goes with x; the output already has it in it")
        self.check(self.output_domains, p, a, b, c, d, e)
        return self.product(function, FROM_OUTPUT, grad, None, output, None, None, out, p)

    def gated(self, function, gate, value, out, a=0, b=1, c=2, d=3, e=4):
        """value * f(gate)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.product(function, VALUE, value, None, gate, None, None, out, p)

    def gated_derivative(self, function, grad, gate, value, out, a=0, b=1, c=2, d=3, e=4):
        """grad * value * f'(gate)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.product(function, DERIVATIVE, grad, value, gate, None, None, out, p)

    def shifted(self, function, x, shift, out, dtype, bint derivative=False):
        """f(x + shift), shift an array that broadcasts to x; or f'(x + shift)."""
        return self.unary(function, DERIVATIVE if derivative else VALUE, x, None, shift, out,
                          dtype, NULL, "shift")

    def shifted_backward(self, function, grad, x, shift, out, bint summing):
        """grad * f'(x + shift); with its sums over all axes but the last if `summing`."""
        return self.product(function, DERIVATIVE, grad, None, x, None, shift, out, NULL,
                            "shift", summing)

    def summed(self, function, grad, x):
        """grad * f(x), summed over all axes but the last, in float64."""
        cdef Plan plan
        cdef Span span
        dtype = np.result_type(result_dtype(function, grad.dtype), result_dtype(function, x.dtype))
        grad = np.require(np.asarray(grad), dtype, "A")
        x = np.require(np.asarray(x), dtype, "A")
        if x.size == 0:
            return np.zeros(x.shape[x.ndim - 1:])
        begin(&span, self.op, VALUE, dtype_of(x), NULL)
        set_shape(&plan, x)
        take(&plan, &span, GRAD, grad)
        take(&plan, &span, X, x)
        return run_and_sum(&span, &plan, x.size * self.op.cost)

    def weighted(self, function, x, weight, bias, out, dtype, bint derivative=False):
        """f(x + bias, weight), weight an array that broadcasts to x; or its derivative by x."""
        return self.unary(function, DERIVATIVE if derivative else VALUE, x, weight, bias, out,
                          dtype, NULL)

    def by_number(self, x, weight, bias, out, dtype, bint derivative=False):
        """The same for a float as weight; None if the arrays are not plain enough for it."""
        cdef double number
        if (type(weight) is not float or dtype is not None or bias is not None
                or type(x) is not cnp.ndarray):
            return None
        number = weight
        return self.direct(DERIVATIVE if derivative else VALUE, None, x, out, NULL, &number)

    def weighted_backward(self, function, grad, x, weight, bias, out):
        """grad * f'(x + bias, weight); with a bias, its gradient too."""
        return self.product(function, DERIVATIVE, grad, None, x, weight, bias, out, NULL)

    cdef object unary(self, str function, int slot, x, weight, bias, out, dtype, double* p,
                      str added="bias"):
        if dtype is None and bias is None and weight is None and type(x) is cnp.ndarray:
            result = self.direct(slot, None, x, out, p)
            if result is not None:
                return result
        # Apart, for this assigns to its arguments and so counts references to them.
        return self.unary_of_any(function, slot, x, weight, bias, out, dtype, p, added)

    cdef object unary_of_any(self, str function, int slot, x, weight, bias, out, dtype, double* p,
                             str added):
        if dtype is not None:
            dtype = np.dtype(dtype)
            if dtype.kind not in "fV":
                raise TypeError(f"{function}: dtype= must be {SUPPORTED}, got {dtype}")
            result_dtype(function, dtype)
            if hasattr(getattr(x, "data", x), "dask"):     # lazy: this copies nothing yet
                x, dtype = x.astype(dtype), None
        x = self.convert(function, x, out is not None)
        if out is not None and (dtype is not None or not takes(out, x)):
            check_out(function, out, x.shape, dtype or result_dtype(function, x.dtype))
        bias = self.parameter_array(function, added, bias, x, dtype)
        weight = self.parameter_array(function, "weight", weight, x, dtype)
        if dtype is None and type(x) is cnp.ndarray:
            result = self.by_strides(slot, None, None, x, weight, bias, out, p, False)
            if result is not None:
                return result[0]
        return self.call(function, slot, [None, None, x, weight, bias], out, dtype, p)

    cdef object product(self, str function, int slot, grad, factor, x, weight, bias, out,
                        double* p, str added="bias", bint summing=False):
        if (factor is None and weight is None and bias is None and type(grad) is cnp.ndarray
                and type(x) is cnp.ndarray):
            result = self.direct(slot, grad, x, out, p)
            if result is not None:
                return result
        return self.product_of_any(function, slot, grad, factor, x, weight, bias, out, p, added,
                                   summing)

    cdef object product_of_any(self, str function, int slot, grad, factor, x, weight, bias, out,
                               double* p, str added, bint summing):
        grad = self.convert(function, grad, out is not None)
        x = self.convert(function, x, out is not None)
        check_shape(function, "grad", grad, x)
        if factor is not None:
            factor = self.convert(function, factor, out is not None)
            check_shape(function, "value", factor, x)
        if out is not None and not (takes(out, x) and takes(out, grad)
                                    and (factor is None or takes(out, factor))):
            check_out(function, out, x.shape,
                      np.result_type(*[result_dtype(function, a.dtype)
                                       for a in (x, grad, factor) if a is not None]))
        bias = self.parameter_array(function, added, bias, x, None)
        weight = self.parameter_array(function, "weight", weight, x, None)
        result = None
        if added == "bias":
            summing = bias is not None
        if type(grad) is cnp.ndarray and type(x) is cnp.ndarray \
                and (factor is None or type(factor) is cnp.ndarray):
            result = self.by_strides(slot, grad, factor, x, weight, bias, out, p, summing)
        if result is None:
            dx = self.call(function, slot, [grad, factor, x, weight, bias], out, None, p)
            return (dx, bias_gradient(dx, bias)) if summing else dx
        return result if summing else result[0]

    cdef object convert(self, str function, x, bint to_numpy):
        """An operand for the ufunc: an array of a supported dtype, of any array type."""
        if type(x) is cnp.ndarray and plain(x) >= 0:
            return x
        if to_numpy or not hasattr(x, "__array_ufunc__"):
            x = as_array(function, x)
        dtype = getattr(x, "dtype", None)      # a DataFrame has none: its ufunc call checks
        if isinstance(dtype, np.dtype):
            result_dtype(function, dtype)
        return x

    cdef object parameter_array(self, str function, str name, a, x, dtype):
        """A bias or weight as an array of the dtype that x is computed in."""
        if a is None:
            return None
        a = as_array(function, a)
        if (dtype is None and type(x) is cnp.ndarray and plain(x) >= 0
                and plain(a) == computed(plain(x)) and (name != "bias" or along_last(a, x))):
            return a
        if dtype is None:
            dtype = dtype_within(function, x)
        if name == "bias":
            return bias_array(function, a, x.shape, dtype)
        return in_computed(function, name, a, dtype)

    cdef object call(self, str function, int slot, list arrays, out, dtype, double* p):
        cdef int i, operands = 0
        for i in range(Y):
            if arrays[i] is not None:
                operands |= 1 << i
        arguments = [a for a in arrays if a is not None]
        # Parameters as float64 scalars: exact, and no part of the result's dtype.
        arguments += [np.float64(p[i]) for i in range(self.op.nparams)]
        keywords = {}
        if out is not None:
            keywords.update(out=out, casting="same_kind")
        if dtype is not None:
            wide = np.float64 if dtype == np.float64 else np.float32
            keywords.update(casting="unsafe", signature=(
                *[wide if i in (WEIGHT, BIAS) else dtype for i in range(Y) if operands & 1 << i],
                *[np.float64] * self.op.nparams, dtype))
        try:
            return self.ufunc(slot, operands)(*arguments, **keywords)
        except TypeError as error:
            dtypes = [getattr(x, "dtype", type(x).__name__) for x in arguments]
            raise TypeError(f"{function}: input of dtype {dtypes[0]} is not supported; use "
                            f"{SUPPORTED}, or integers or bool") from error

    cdef object direct(self, int slot, grad, x, out, double* p, const double* weight=NULL):
        """Way 1; None when the arrays are not plain enough for it."""
        cdef int dtype = plain(x)
        cdef float single
        cdef Py_ssize_t n, size
        cdef Span span
        cdef Memory* memory = NULL
        if dtype < 0 or not contiguous(x) or cnp.PyArray_NDIM(<cnp.ndarray> x) == 0:
            return None
        if grad is not None and (plain(grad) != dtype or not same_layout(x, grad)):
            return None
        if out is None:
            y = new_array(x, dtype)
        elif (type(out) is not cnp.ndarray or plain(out) != dtype or not same_layout(x, out)
                or (grad is not None and not same_layout(grad, out))
                or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray> out)):
            return None
        else:
            y = out
        n = cnp.PyArray_SIZE(<cnp.ndarray> x)
        size = itemsize(dtype)
        begin(&span, self.op, slot, dtype, p)
        span.n = n
        span.at[X].data = <char*> cnp.PyArray_DATA(<cnp.ndarray> x)
        span.at[Y].data = <char*> cnp.PyArray_DATA(<cnp.ndarray> y)
        span.at[X].step = span.at[Y].step = span.at[GRAD].step = size
        if grad is not None:
            span.at[GRAD].data = <char*> cnp.PyArray_DATA(<cnp.ndarray> grad)
            if not apart(span.at[GRAD].data, span.at[Y].data, n * size):
                return None
        if not apart(span.at[X].data, span.at[Y].data, n * size):
            return None
        if weight != NULL:
            single = <float> weight[0]
            span.at[WEIGHT].data = <char*> weight if dtype == FLOAT64 else <char*> &single
        if size == 2 and weight == NULL:
            memory = self.remember(&span, slot, n)
        try:
            run_contiguous(&span, n * (self.op.cost if span.known == NULL else KNOWN_COST))
        finally:
            if span.known != NULL:
                memory.users -= 1
        return y

    cdef Memory* remember(self, Span* span, int slot, Py_ssize_t n) noexcept:
        cdef Memory** last = &self.recent[slot][span.dtype]
        last[0] = remember(span, last[0], self.op, slot, n)
        return last[0]

    cdef object by_strides(self, int slot, grad, factor, x, weight, bias, out, double* p,
                           bint summing):
        """Way 2: (y, bias gradient or None); None when the arrays are not plain enough."""
        cdef int dtype = plain(x), k
        cdef Py_ssize_t count = cnp.PyArray_SIZE(<cnp.ndarray> x)
        cdef Plan plan
        cdef Span span
        cdef Memory* memory = NULL
        if (dtype < 0 or cnp.PyArray_NDIM(<cnp.ndarray> x) == 0 or not goes_with(grad, dtype)
                or not goes_with(factor, dtype) or not goes_with(out, dtype)):
            return None
        if out is None:
            out = new_array(x, dtype)
        begin(&span, self.op, slot, dtype, p)
        set_shape(&plan, x)
        take(&plan, &span, GRAD, grad)
        take(&plan, &span, FACTOR, factor)
        take(&plan, &span, X, x)
        take(&plan, &span, WEIGHT, weight)
        take(&plan, &span, BIAS, bias)
        take(&plan, &span, Y, out)
        for k in range(Y):
            if span.at[k].data != NULL and may_clash(&plan, &span, k):
                return None
        if count == 0:
            return out, np.zeros(bias.shape, bias.dtype) if summing else None
        if summing:
            sums = run_and_sum(&span, &plan, count * self.op.cost)
            return out, in_dtype_of(out, sums)
        order_axes(&plan)
        merge_axes(&plan, True)
        span.far = count > CHUNK and extent(&plan, &span) > CACHED // 2
        if itemsize(dtype) == 2 and weight is None and bias is None:
            memory = self.remember(&span, slot, count)
        run_rows(&span, &plan, NULL, max(<Py_ssize_t> 1, CHUNK // plan.shape[plan.ndim - 1]),
                 count * (self.op.cost if span.known == NULL else KNOWN_COST))
        if span.known != NULL:
            memory.users -= 1
        return out, None


cdef int run_contiguous(const Span* span, double work) except -1:
    cdef Py_ssize_t size = itemsize(span.dtype)
    cdef int threads
    if work < BRIEF:
        if span.n:
            KERNELS.run_span(span)
        return 0
    threads = _threads.choose(work)
    if threads == 1:
        with nogil:
            KERNELS.run_span(span)
    elif size == 4:
        over_views[float](span, threads, 0)
    elif size == 8:
        over_views[double](span, threads, 0)
    else:
        over_views["unsigned short"](span, threads, 0)
    return 0


cdef void run_rows(const Span* span, const Plan* plan, double* sums, Py_ssize_t together,
                   double work) noexcept:
    cdef int threads = _threads.choose(work)
    if work < BRIEF:
        parallel_rows(span, plan, sums, together, 1)
    else:
        with nogil:
            parallel_rows(span, plan, sums, together, threads)


cdef object run_and_sum(const Span* span, Plan* plan, double work):
    """Run the plan, and return the sums of its results over all axes but the last."""
    merge_axes(plan, False)
    cdef Py_ssize_t n = plan.shape[plan.ndim - 1], rows = rows_of(plan)
    # Rows a task takes: nothing but the shape decides, for the sums depend on it.
    cdef Py_ssize_t together = rows
    if n <= CHUNK:
        together = max(4 * CHUNK // n, (rows + 63) // 64)
    cdef Py_ssize_t tasks = (rows + together - 1) // together
    cdef double* sums = <double*> calloc(2 * tasks * n, sizeof(double))
    if sums == NULL:
        raise MemoryError
    try:
        run_rows(span, plan, sums, together, work)
        return join_sums(sums, tasks, n)
    finally:
        free(sums)


cdef bint may_clash(const Plan* plan, const Span* span, int k) noexcept nogil:
    """Whether writing the result could change an entry of operand k before it is read."""
    cdef bint same = span.at[k].data == span.at[Y].data
    cdef int i
    for i in range(plan.ndim):
        same = same and (plan.shape[i] == 1 or plan.steps[k][i] == plan.steps[Y][i])
    return not same and not (end_of(plan, span, k) <= start_of(plan, span, Y)
                             or end_of(plan, span, Y) <= start_of(plan, span, k))


cdef char* start_of(const Plan* plan, const Span* span, int k) noexcept nogil:
    """The lowest address of an operand."""
    cdef char* p = span.at[k].data
    cdef int i
    for i in range(plan.ndim):
        p += min(<Py_ssize_t> 0, plan.steps[k][i] * (plan.shape[i] - 1))
    return p


cdef char* end_of(const Plan* plan, const Span* span, int k) noexcept nogil:
    """What follows the highest address of an operand."""
    cdef char* p = span.at[k].data + itemsize(
        computed(span.dtype) if k == WEIGHT or k == BIAS else span.dtype)
    cdef int i
    for i in range(plan.ndim):
        p += max(<Py_ssize_t> 0, plan.steps[k][i] * (plan.shape[i] - 1))
    return p


cdef Py_ssize_t extent(const Plan* plan, const Span* span) noexcept nogil:
    """From end to end of all the operands, in bytes."""
    cdef Py_ssize_t total = 0
    cdef int k
    for k in range(OPERANDS):
        if span.at[k].data != NULL:
            total += end_of(plan, span, k) - start_of(plan, span, k)
    return total


def bias_gradient(dx, bias):
    """The sums of dx over all axes but the last, as if it had just been computed."""
    cdef Plan plan
    cdef Span span
    if hasattr(dx, "dask"):
        return in_dtype_of(dx, dx.sum(axis=tuple(range(dx.ndim - 1)), dtype=np.float64))
    dx = dx.filled(0) if isinstance(dx, np.ma.MaskedArray) else np.asarray(dx)
    dx = np.require(dx, result_dtype("backward", dx.dtype), "A")
    if dx.size == 0:
        return in_dtype_of(dx, np.zeros(bias.shape))
    begin(&span, IDENTITY, VALUE, dtype_of(dx), NULL)
    set_shape(&plan, dx)
    take(&plan, &span, X, dx)
    return in_dtype_of(dx, run_and_sum(&span, &plan, dx.size * IDENTITY.cost))


cdef object in_dtype_of(dx, sums):
    """float64 for float64, else float32; silently: what is beyond it is infinite."""
    with np.errstate(over="ignore"):
        return sums.astype(np.float64 if dx.dtype == np.float64 else np.float32, copy=False)


cdef class Choice:
    """A function whose parameter names one of several kernels, as gelu's `approximate`."""

    cdef readonly str name
    cdef readonly tuple parameters
    cdef readonly dict options

    def __init__(self, str name, str parameter, **options):
        self.name = name
        self.parameters = (parameter,)
        self.options = options

    @property
    def from_output(self):
        """Whether f' is a function of f(x), whatever the choice."""
        return all(option.from_output for option in self.options.values())

    cdef Function pick(self, choice):
        option = self.options.get(choice) if isinstance(choice, str) else None
        if option is None:
            raise ValueError(f"{self.name}: {self.parameters[0]} must be one of "
                             f"{', '.join(map(repr, self.options))}, got {choice!r}")
        return <Function> option

    def value(self, x, bias, out, dtype, choice):
        return self.pick(choice).unary(self.name, VALUE, x, None, bias, out, dtype, NULL)

    def derivative(self, x, bias, out, dtype, choice):
        return self.pick(choice).derivative(x, bias, out, dtype)

    def backward(self, grad, x, output, bias, out, choice):
        return self.pick(choice).backward(grad, x, output, bias, out)

    def gated(self, function, gate, value, out, choice):
        return self.pick(choice).gated(function, gate, value, out)

    def gated_derivative(self, function, grad, gate, value, out, choice):
        return self.pick(choice).gated_derivative(function, grad, gate, value, out)
