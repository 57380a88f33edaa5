"""Plan a call: dtype, shape, overlap, allocation, threads; then run the chosen level's kernels.

An elementwise call takes one of three ways:

1. *direct*: an exact, aligned, native, contiguous ndarray below the threading threshold goes
   to the kernel by pointer (acquiring a memoryview costs 75 ns, a NumPy ufunc call 200);
2. *in parallel*: the same above it, in tiles of typed memoryviews under `prange`, without the
   GIL;
3. *general*: everything else (strides, casts, byte order, pandas, xarray, Dask, masked arrays)
   through a real NumPy ufunc whose loop runs the same spans and threads.

A function along an axis views any ndarray as rows by their strides, and gives each thread
blocks of rows. Results never depend on the way taken.
"""

import sys
from operator import index

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange
from libc.stdlib cimport calloc, free
from libc.string cimport strcmp

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from cyact cimport _threads
from cyact._abi cimport (
    ABI,
    DTYPES,
    FLOAT32,
    FLOAT64,
    CrossEntropy,
    Kernels,
    Op,
    RowKernels,
    RowOp,
    Rows,
    Span,
    kernel_t,
    row_kernel_t,
)
from cyact._tile cimport cyact_status, status_get, status_set

cnp.import_array()
cnp.import_ufunc()

cdef extern from *:
    """
    #if defined(_WIN32)
      static long long cyact_cache(void) { return 0; }
    #else
      #include <unistd.h>
      static long long cyact_cache(void) {
      #ifdef _SC_LEVEL3_CACHE_SIZE
          long size = sysconf(_SC_LEVEL3_CACHE_SIZE);
          return size > 0 ? size : 0;
      #else
          return 0;
      #endif
      }
    #endif
    """
    long long last_level_cache "cyact_cache" ()

ctypedef fused real:
    float
    double

cdef enum:
    MAX_PARAMETERS = 8
    MAX_DIMENSIONS = 64        # NumPy's own limit
    CHUNK = 16384              # elements a thread takes at a time
    BLOCK = 16384              # elements of rows a thread takes at a time

# Up to this much work the GIL is kept: releasing it costs as much as it frees.
cdef double BRIEF = 10_000.0
# Results larger than the last-level cache are stored past it.
cdef long long STREAM = last_level_cache() or 32 * 1024 * 1024

cdef const Kernels* KERNELS = NULL
cdef const RowKernels* ROW_KERNELS = NULL


def use_level(kernels, rows):
    """Take the tables of one instruction-set level; called once, at import."""
    global KERNELS, ROW_KERNELS
    KERNELS = <const Kernels*> PyCapsule_GetPointer(kernels.table, b"cyact.Kernels")
    ROW_KERNELS = <const RowKernels*> PyCapsule_GetPointer(rows.table, b"cyact.RowKernels")
    if KERNELS.abi != ABI or ROW_KERNELS.abi != ABI:
        raise ImportError("cyact's modules come from different builds: reinstall cyact")


# Parameters

cdef class Domain:
    """The values a parameter may take; NaN never is one of them."""

    cdef double low, high
    cdef bint open_low, infinite, nonzero
    cdef readonly str text

    def __init__(self, text, *, low=-np.inf, high=np.inf, open_low=False, infinite=False,
                 nonzero=False):
        self.text = text
        self.low = low
        self.high = high
        self.open_low = open_low
        self.infinite = infinite
        self.nonzero = nonzero

    cdef bint holds(self, double v) noexcept:
        if not (self.low <= v <= self.high) or (self.open_low and v == self.low):
            return False
        if not self.infinite and v - v != 0:
            return False
        return not (self.nonzero and v == 0)

    def __contains__(self, v):
        return self.holds(v)

    def checked(self, function, name, value):
        """The value as a float, or an error that says what is allowed."""
        return self.check(function, name, value)

    cdef double check(self, str function, str name, value) except? -1:
        cdef double v
        if type(value) is float:
            v = value
        else:
            v = as_double(function, name, value)
        if not self.holds(v):
            raise ValueError(f"{function}: {name} must be {self.text}, got {value!r}")
        return v

    def __repr__(self):
        return f"<{self.text}>"


cdef double as_double(str function, str name, value) except? -1:
    if isinstance(value, (str, bytes)) or np.ndim(value) != 0:
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


# Arrays: checks that every function shares

def unsupported(str function, dtype):
    return TypeError(
        f"{function}: dtype {dtype} is not supported; use float32 or float64, or integers or "
        f"bool (they become floating point)")


cpdef object result_dtype(str function, dtype):
    """float32 and float64 in kind and native; integers and bool become floating point."""
    if dtype.kind in "biu":
        return np.result_type(dtype, np.float32)
    if dtype.kind == "f" and (dtype.itemsize == 4 or dtype.itemsize == 8):
        return dtype.newbyteorder("=")
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
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"{function}: the result's dtype {dtype} cannot be stored in out's "
                        f"dtype {out.dtype} (casting rule 'same_kind')")
    if not out.flags.writeable:
        raise ValueError(f"{function}: out is read-only")


cdef inline int plain(object x) noexcept:
    """FLOAT32 or FLOAT64 for a contiguous, aligned, native array of it; -1 for any other."""
    cdef int number = cnp.PyArray_TYPE(<cnp.ndarray> x)
    cdef int flags = cnp.PyArray_FLAGS(<cnp.ndarray> x)
    if not (flags & (cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS)
            and flags & cnp.NPY_ARRAY_ALIGNED):
        return -1
    if number != cnp.NPY_FLOAT and number != cnp.NPY_DOUBLE:
        return -1
    if cnp.PyArray_ISBYTESWAPPED(<cnp.ndarray> x):
        return -1
    return FLOAT32 if number == cnp.NPY_FLOAT else FLOAT64


cdef inline bint same_layout(object x, object y) noexcept:
    """Whether two contiguous arrays have one dtype, one shape and one memory order."""
    cdef int i, n = cnp.PyArray_NDIM(<cnp.ndarray> x)
    if cnp.PyArray_NDIM(<cnp.ndarray> y) != n:
        return False
    if cnp.PyArray_TYPE(<cnp.ndarray> x) != cnp.PyArray_TYPE(<cnp.ndarray> y):
        return False
    for i in range(n):
        if cnp.PyArray_DIM(<cnp.ndarray> x, i) != cnp.PyArray_DIM(<cnp.ndarray> y, i):
            return False
    return 0 != (cnp.PyArray_FLAGS(<cnp.ndarray> x) & cnp.PyArray_FLAGS(<cnp.ndarray> y)
                 & (cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS))


cdef inline Py_ssize_t magnitude(Py_ssize_t step) noexcept nogil:
    return -step if step < 0 else step


cdef inline bint apart(const char* a, const char* b, Py_ssize_t size) noexcept:
    """Whether two equally long pieces of memory are the same piece or do not meet."""
    return a == b or a + size <= b or b + size <= a


# Running a span, alone or in parallel

cdef void parallel_values(const real[::1] x, real[::1] y, const Span* whole,
                          int threads) noexcept nogil:
    """y = f(x) in chunks over typed memoryviews."""
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunks = (n + CHUNK - 1) // CHUNK
    cdef Py_ssize_t chunk
    for chunk in prange(chunks, schedule="static", num_threads=threads):
        run_piece(whole, <const char*> &x[chunk * CHUNK], NULL, <char*> &y[chunk * CHUNK],
                  min(<Py_ssize_t> CHUNK, n - chunk * CHUNK))


cdef void parallel_backward(const real[::1] x, const real[::1] grad, real[::1] y,
                            const Span* whole, int threads) noexcept nogil:
    """y = grad * f'(x) in chunks over typed memoryviews."""
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunks = (n + CHUNK - 1) // CHUNK
    cdef Py_ssize_t chunk
    for chunk in prange(chunks, schedule="static", num_threads=threads):
        run_piece(whole, <const char*> &x[chunk * CHUNK], <const char*> &grad[chunk * CHUNK],
                  <char*> &y[chunk * CHUNK], min(<Py_ssize_t> CHUNK, n - chunk * CHUNK))


cdef void parallel_strided(const Span* whole, int threads) noexcept nogil:
    """The same for a run that a NumPy ufunc hands over: pointers and steps."""
    cdef Py_ssize_t chunks = (whole.n + CHUNK - 1) // CHUNK
    cdef Py_ssize_t chunk, start
    for chunk in prange(chunks, schedule="static", num_threads=threads):
        start = chunk * CHUNK
        run_piece(whole, whole.x + start * whole.x_step,
                  NULL if whole.grad == NULL else whole.grad + start * whole.grad_step,
                  whole.y + start * whole.y_step, min(<Py_ssize_t> CHUNK, whole.n - start))


cdef inline void run_piece(const Span* whole, const char* x, const char* grad, char* y,
                           Py_ssize_t n) noexcept nogil:
    cdef Span piece = whole[0]
    piece.x = x
    piece.grad = grad
    piece.y = y
    piece.n = n
    KERNELS.run_span(&piece)


cdef inline bint streams(Py_ssize_t n, Py_ssize_t size, const char* x, const char* grad,
                         const char* y) noexcept nogil:
    """Store past the caches: a large result whose memory is not read as well."""
    return n * size > STREAM and x != y and grad != y


# The ufuncs

cdef struct Loop:
    const Op* op
    kernel_t kernel
    int dtype
    bint backward


cdef void ufunc_loop(char** args, const cnp.npy_intp* dimensions, const cnp.npy_intp* steps,
                     void* data) noexcept nogil:
    """One run of a ufunc: ([grad,] x, parameters…) -> y."""
    cdef const Loop* loop = <const Loop*> data
    cdef int first = 1 if loop.backward else 0
    cdef int count = loop.op.nparams, i, threads
    cdef double p[MAX_PARAMETERS]
    cdef Py_ssize_t n = dimensions[0], j
    cdef bint constant = True
    cdef Span span
    for i in range(count):
        p[i] = (<const double*> args[first + 1 + i])[0]
        constant = constant and steps[first + 1 + i] == 0
    span.kernel = loop.kernel
    span.p = p
    span.dtype = loop.dtype
    span.grad = args[0] if loop.backward else NULL
    span.grad_step = steps[0] if loop.backward else 0
    span.x = args[first]
    span.x_step = steps[first]
    span.y = args[first + 1 + count]
    span.y_step = steps[first + 1 + count]
    if constant or n <= 1:
        span.n = n
        span.stream = streams(n, 4 if loop.dtype == FLOAT32 else 8, span.x, span.grad, span.y)
        threads = _threads.choose(n * loop.op.cost)
        if threads > 1:
            parallel_strided(&span, threads)
        else:
            KERNELS.run_span(&span)
        return
    span.n = 1              # parameters that vary: only through the ufunc itself, as an array
    span.stream = False
    for j in range(n):
        for i in range(count):
            p[i] = (<const double*> (args[first + 1 + i] + j * steps[first + 1 + i]))[0]
        KERNELS.run_span(&span)
        span.x += span.x_step
        span.y += span.y_step
        if span.grad != NULL:
            span.grad += span.grad_step


# Elementwise functions

cdef class Function:
    """One elementwise function: its kernels, its parameters' domains and its ufuncs.

    `value`, `derivative` and `backward` are what the public functions call.
    """

    cdef const Op* op
    cdef readonly str name
    cdef readonly tuple parameters     # names
    cdef readonly tuple domains
    cdef readonly tuple output_domains
    cdef object value_ufunc, derivative_ufunc, backward_ufunc, output_ufunc
    cdef void* loops                   # the ufuncs keep pointers into it: never freed
    cdef void* signatures

    def __init__(self, str name, *, output_domains=(), str kernel=None, **domains):
        cdef int i
        cdef bytes wanted = (kernel or name).encode()
        self.op = NULL
        for i in range(KERNELS.count):
            if strcmp(KERNELS.ops[i].name, wanted) == 0:
                self.op = &KERNELS.ops[i]
        if self.op == NULL or self.op.nparams != len(domains):
            raise SystemError(f"no kernel {wanted!r} with {len(domains)} parameters")
        self.name = name
        self.parameters = tuple(domains)
        self.domains = tuple(domains.values())
        self.output_domains = output_domains or self.domains
        self.loops = calloc(4 * DTYPES, sizeof(Loop))
        self.signatures = calloc(2 * DTYPES, MAX_PARAMETERS + 3)
        if self.loops == NULL or self.signatures == NULL:
            raise MemoryError
        own = (kernel or name).encode()
        self.value_ufunc = self.register(0, own, self.op.value, False)
        self.derivative_ufunc = self.register(1, own + b"_derivative", self.op.derivative, False)
        self.backward_ufunc = self.register(2, own + b"_backward", self.op.derivative, True)
        if self.op.from_output[FLOAT32] != NULL:
            self.output_ufunc = self.register(3, own + b"_backward_from_output",
                                              self.op.from_output, True)

    @property
    def from_output(self):
        """Whether f' is a function of f(x)."""
        return self.output_ufunc is not None

    cdef object register(self, int slot, bytes name, const kernel_t* kernels, bint backward):
        """A NumPy ufunc over the two kernels; found by pickle under its name in this module."""
        cdef Loop* loops = <Loop*> self.loops + slot * DTYPES
        cdef char* types = <char*> self.signatures + (DTYPES * (MAX_PARAMETERS + 3)
                                                      if backward else 0)
        cdef int inputs = (2 if backward else 1) + self.op.nparams
        cdef int dtype, i
        cdef char number
        for dtype in range(DTYPES):
            number = cnp.NPY_FLOAT if dtype == FLOAT32 else cnp.NPY_DOUBLE
            loops[dtype] = Loop(self.op, kernels[dtype], dtype, backward)
            for i in range(inputs + 1):
                types[dtype * (inputs + 1) + i] = (
                    cnp.NPY_DOUBLE if (2 if backward else 1) <= i < inputs else number)
            FUNCTIONS[dtype] = ufunc_loop
        keep_alive.append(name)
        cdef void** data = <void**> calloc(DTYPES, sizeof(void*))
        for dtype in range(DTYPES):
            data[dtype] = &loops[dtype]
        ufunc = cnp.PyUFunc_FromFuncAndData(FUNCTIONS, data, types, DTYPES, inputs, 1,
                                            cnp.PyUFunc_None, name, NULL, 0)
        setattr(sys.modules[__name__], name.decode(), ufunc)
        return ufunc

    cdef int check(self, tuple params, tuple domains, double* p) except -1:
        cdef int i
        cdef Domain domain
        for i in range(self.op.nparams):
            domain = <Domain> domains[i]
            p[i] = domain.check(self.name, self.parameters[i], params[i])
        return 0

    def value(self, x, out, dtype, *params):
        """f(x)."""
        cdef double p[MAX_PARAMETERS]
        self.check(params, self.domains, p)
        return self.unary(x, out, dtype, p, self.op.value, self.value_ufunc)

    def derivative(self, x, out, dtype, *params):
        """f'(x)."""
        cdef double p[MAX_PARAMETERS]
        self.check(params, self.domains, p)
        return self.unary(x, out, dtype, p, self.op.derivative, self.derivative_ufunc)

    def backward(self, grad, x, output, out, *params):
        """grad * f'(x), f' from x or from the output."""
        cdef double p[MAX_PARAMETERS]
        if (x is None) == (output is None):
            raise TypeError(f"backward.{self.name}: give exactly one of x and output")
        if output is None:
            self.check(params, self.domains, p)
            return self.binary(grad, x, out, p, self.op.derivative, self.backward_ufunc)
        if self.output_ufunc is None:
            raise TypeError(f"backward.{self.name}: the derivative is not a function of the "
                            f"output; give x instead")
        self.check(params, self.output_domains, p)
        return self.binary(grad, output, out, p, self.op.from_output, self.output_ufunc)

    cdef object unary(self, x, out, dtype, double* p, const kernel_t* kernels, ufunc):
        if dtype is None and type(x) is cnp.ndarray:
            result = self.direct(x, None, out, p, kernels)
            if result is not None:
                return result
        if dtype is not None:
            dtype = np.dtype(dtype)
            if dtype.kind != "f":
                raise TypeError(f"{self.name}: dtype= must be float32 or float64, got {dtype}")
            result_dtype(self.name, dtype)
        x = self.convert(x, out is not None)
        if out is not None:
            check_out(self.name, out, x.shape, dtype or result_dtype(self.name, x.dtype))
        if dtype is not None:
            x = x.astype(dtype)
        return self.call(ufunc, (x,), out, p)

    cdef object binary(self, grad, x, out, double* p, const kernel_t* kernels, ufunc):
        if type(grad) is cnp.ndarray and type(x) is cnp.ndarray:
            result = self.direct(x, grad, out, p, kernels)
            if result is not None:
                return result
        function = "backward." + self.name
        grad = self.convert(grad, out is not None)
        x = self.convert(x, out is not None)
        if grad.shape != x.shape:
            raise ValueError(f"{function}: grad and x must have equal shapes, "
                             f"got {grad.shape} and {x.shape}")
        if out is not None:
            check_out(function, out, x.shape,
                      np.result_type(result_dtype(function, grad.dtype),
                                     result_dtype(function, x.dtype)))
        return self.call(ufunc, (grad, x), out, p)

    cdef object convert(self, x, bint to_numpy):
        """An operand for the ufunc: an array of a supported dtype, of any array type."""
        if to_numpy or not hasattr(x, "__array_ufunc__"):
            x = as_array(self.name, x)
        dtype = getattr(x, "dtype", None)      # a DataFrame has none: its ufunc call checks
        if isinstance(dtype, np.dtype):
            result_dtype(self.name, dtype)
        return x

    cdef object call(self, ufunc, tuple operands, out, double* p):
        cdef int i
        # Parameters as float64 scalars: exact, and no part of the result's dtype.
        operands += tuple([np.float64(p[i]) for i in range(self.op.nparams)])
        try:
            if out is None:
                return ufunc(*operands)
            return ufunc(*operands, out=out, casting="same_kind")
        except TypeError as error:
            dtypes = [getattr(x, "dtype", type(x).__name__) for x in operands]
            raise TypeError(f"{self.name}: input of dtype {dtypes[0]} is not supported; use "
                            f"float32 or float64, or integers or bool") from error

    cdef object direct(self, x, grad, out, double* p, const kernel_t* kernels):
        """Ways 1 and 2; None when the arrays are not plain enough for them."""
        cdef int dtype = plain(x)
        cdef Py_ssize_t n, size
        cdef Span span
        cdef int threads
        cdef double work
        if dtype < 0 or cnp.PyArray_NDIM(<cnp.ndarray> x) == 0:
            return None
        if grad is not None and (plain(grad) != dtype or not same_layout(x, grad)):
            return None
        if out is None:
            out = cnp.PyArray_EMPTY(
                cnp.PyArray_NDIM(<cnp.ndarray> x), cnp.PyArray_DIMS(<cnp.ndarray> x),
                cnp.NPY_FLOAT if dtype == FLOAT32 else cnp.NPY_DOUBLE,
                not cnp.PyArray_FLAGS(<cnp.ndarray> x) & cnp.NPY_ARRAY_C_CONTIGUOUS)
        elif (type(out) is not cnp.ndarray or plain(out) != dtype or not same_layout(x, out)
                or (grad is not None and not same_layout(grad, out))
                or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray> out)):
            return None
        n = cnp.PyArray_SIZE(<cnp.ndarray> x)
        size = 4 if dtype == FLOAT32 else 8
        span.kernel = kernels[dtype]
        span.p = p
        span.dtype = dtype
        span.n = n
        span.x = <const char*> cnp.PyArray_DATA(<cnp.ndarray> x)
        span.y = <char*> cnp.PyArray_DATA(<cnp.ndarray> out)
        span.x_step = span.y_step = span.grad_step = size
        span.grad = NULL
        if grad is not None:
            span.grad = <const char*> cnp.PyArray_DATA(<cnp.ndarray> grad)
            if not apart(span.grad, span.y, n * size):
                return None
        if not apart(span.x, span.y, n * size):
            return None
        span.stream = streams(n, size, span.x, span.grad, span.y)
        work = n * self.op.cost
        if work < BRIEF:
            if n:
                KERNELS.run_span(&span)
            return out
        threads = _threads.choose(work)
        if threads == 1:
            with nogil:
                KERNELS.run_span(&span)
        elif dtype == FLOAT32:
            over_views[float](&span, threads, 0)
        else:
            over_views[double](&span, threads, 0)
        return out


cdef int over_views(const Span* span, int threads, real tag) except -1:
    """Way 2: view the three arrays as flat typed memoryviews and share them out."""
    cdef const real[::1] x = <real[:span.n:1]> <real*> span.x
    cdef real[::1] y = <real[:span.n:1]> <real*> span.y
    cdef const real[::1] grad
    if span.grad == NULL:
        with nogil:
            parallel_values(x, y, span, threads)
    else:
        grad = <real[:span.n:1]> <real*> span.grad
        with nogil:
            parallel_backward(x, grad, y, span, threads)
    return 0


cdef cnp.PyUFuncGenericFunction FUNCTIONS[DTYPES]
cdef list keep_alive = []


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
        try:
            return <Function> self.options[choice]
        except (KeyError, TypeError):
            raise ValueError(f"{self.name}: {self.parameters[0]} must be one of "
                             f"{', '.join(map(repr, self.options))}, got {choice!r}") from None

    def value(self, x, out, dtype, choice):
        return self.pick(choice).value(x, out, dtype)

    def derivative(self, x, out, dtype, choice):
        return self.pick(choice).derivative(x, out, dtype)

    def backward(self, grad, x, output, out, choice):
        return self.pick(choice).backward(grad, x, output, out)


# Functions along an axis

# Any ndarrays as rows: (outer, run, n) by strides. A run is consecutive rows at one step.
cdef struct Geometry:
    Rows rows                         # of the first run
    Py_ssize_t outer
    Py_ssize_t x_outer
    Py_ssize_t grad_outer
    Py_ssize_t y_outer


cdef int fold(Geometry* g, int axis, cnp.ndarray x, cnp.ndarray y, cnp.ndarray grad,
              bint ordered) except -1:
    """Describe x, y and grad (equal shapes but for `axis`) as rows; -1 dims are merged.

    Returns 0, or 1 when the dimensions outside `axis` do not merge into two. Without
    `ordered` the rows may be taken in any order, and are taken as they lie in memory.
    """
    cdef int dims = 0, i, j, d, ndim = cnp.PyArray_NDIM(x)
    cdef cnp.npy_intp* shape = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp* strides[3]
    cdef int operands = 2 if grad is None else 3
    cdef int order[MAX_DIMENSIONS]
    cdef Py_ssize_t sizes[MAX_DIMENSIONS]
    cdef Py_ssize_t steps[3][MAX_DIMENSIONS]
    cdef bint merges
    strides[0] = cnp.PyArray_STRIDES(x)
    strides[1] = cnp.PyArray_STRIDES(y)
    strides[2] = NULL if grad is None else cnp.PyArray_STRIDES(grad)
    for i in range(ndim):
        if i != axis and shape[i] != 1:
            j = dims
            while (not ordered and j
                   and magnitude(strides[0][order[j - 1]]) < magnitude(strides[0][i])):
                order[j] = order[j - 1]
                j -= 1
            order[j] = i
            dims += 1
    d = -1
    for i in range(dims):
        merges = d >= 0
        for j in range(operands):
            if d >= 0 and steps[j][d] != strides[j][order[i]] * shape[order[i]]:
                merges = False
        if not merges:
            d += 1
            sizes[d] = 1
        sizes[d] *= shape[order[i]]
        for j in range(operands):
            steps[j][d] = strides[j][order[i]]
    if d > 1:
        return 1
    while d < 1:                      # fewer than two: dimensions of one entry in front
        for i in range(d, -1, -1):
            sizes[i + 1] = sizes[i]
            for j in range(operands):
                steps[j][i + 1] = steps[j][i]
        sizes[0] = 1
        for j in range(operands):
            steps[j][0] = 0
        d += 1
    g.outer = sizes[0]
    g.x_outer = steps[0][0]
    g.y_outer = steps[1][0]
    g.rows.rows = sizes[1]
    g.rows.x_row = steps[0][1]
    g.rows.y_row = steps[1][1]
    g.rows.n = shape[axis]
    g.rows.x_item = strides[0][axis]
    g.rows.y_item = strides[1][axis]
    g.rows.x = <const char*> cnp.PyArray_DATA(x)
    g.rows.y = <char*> cnp.PyArray_DATA(y)
    g.rows.grad = NULL
    g.grad_outer = g.rows.grad_row = g.rows.grad_item = 0
    if grad is not None:
        g.rows.grad = <const char*> cnp.PyArray_DATA(grad)
        g.grad_outer = steps[2][0]
        g.rows.grad_row = steps[2][1]
        g.rows.grad_item = strides[2][axis]
    g.rows.dtype = FLOAT32 if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT else FLOAT64
    return 0


cdef object strided(const char* data, Py_ssize_t a, Py_ssize_t b, Py_ssize_t c,
                    Py_ssize_t a_step, Py_ssize_t b_step, Py_ssize_t c_step, int dtype):
    """An (a, b, c) ndarray over memory that the caller keeps alive, to take memoryviews of."""
    cdef cnp.npy_intp[3] shape = [a, b, c]
    cdef cnp.npy_intp[3] strides = [a_step, b_step, c_step]
    return cnp.PyArray_New(cnp.ndarray, 3, shape,
                           cnp.NPY_FLOAT if dtype == FLOAT32 else cnp.NPY_DOUBLE, strides,
                           <void*> data, 0, cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE,
                           <object> NULL)


cdef inline Py_ssize_t rows_a_piece(const Rows* rows) noexcept nogil:
    """Rows a thread takes at a time; neighbours in memory stay together."""
    cdef Py_ssize_t count = BLOCK // rows.n
    if magnitude(rows.x_row) < magnitude(rows.x_item):
        count = max(count, <Py_ssize_t> 64)
    return max(count, <Py_ssize_t> 1)


cdef inline void run_rows(row_kernel_t kernel, const Rows* whole, const char* x,
                          const char* grad, char* y, Py_ssize_t rows) noexcept nogil:
    cdef cyact_status status = status_get()
    cdef Rows piece = whole[0]
    piece.x = x
    piece.grad = grad
    piece.y = y
    piece.rows = rows
    kernel(&piece)
    status_set(status)


cdef void parallel_rows(const real[:, :, :] x, const real[:, :, :] grad, real[:, :, :] y,
                        row_kernel_t kernel, const Rows* whole, int threads) noexcept nogil:
    """Share blocks of rows out over the threads."""
    cdef Py_ssize_t run = x.shape[1], block = rows_a_piece(whole)
    cdef Py_ssize_t pieces = (run + block - 1) // block
    cdef Py_ssize_t piece, o, r
    for piece in prange(x.shape[0] * pieces, schedule="static", num_threads=threads):
        o = piece // pieces
        r = piece % pieces * block
        run_rows(kernel, whole, <const char*> &x[o, r, 0],
                 NULL if whole.grad == NULL else <const char*> &grad[o, r, 0],
                 <char*> &y[o, r, 0], min(block, run - r))


cdef int row_views(const Geometry* g, row_kernel_t kernel, Py_ssize_t x_items,
                   Py_ssize_t y_items, Py_ssize_t grad_items, int threads, real tag) except -1:
    cdef const Rows* rows = &g.rows
    cdef const real[:, :, :] x = strided(rows.x, g.outer, rows.rows, x_items,
                                         g.x_outer, rows.x_row, rows.x_item, rows.dtype)
    cdef real[:, :, :] y = strided(rows.y, g.outer, rows.rows, y_items,
                                   g.y_outer, rows.y_row, rows.y_item, rows.dtype)
    cdef const real[:, :, :] grad = x
    if rows.grad != NULL:
        grad = strided(rows.grad, g.outer, rows.rows, grad_items,
                       g.grad_outer, rows.grad_row, rows.grad_item, rows.dtype)
    with nogil:
        parallel_rows(x, grad, y, kernel, rows, threads)
    return 0


cdef int over_rows(row_kernel_t kernel, double cost, const double* p, int axis,
                   cnp.ndarray x, cnp.ndarray y, cnp.ndarray grad) except -1:
    """Run a row kernel over whole arrays of equal shape (but for a reduced axis)."""
    cdef Geometry g
    cdef Py_ssize_t o
    cdef double work = cost * cnp.PyArray_SIZE(x)
    cdef int threads
    if cnp.PyArray_SIZE(x) == 0:
        return 0
    if fold(&g, axis, x, y, grad, False):
        for o in range(cnp.PyArray_DIM(x, 0) if axis else cnp.PyArray_DIM(x, 1)):
            at = (o,) if axis else (slice(None), o)
            over_rows(kernel, cost, p, axis - 1 if axis else 0, x[at], y[at],
                      None if grad is None else grad[at])
        return 0
    g.rows.p = p
    threads = _threads.choose(work)
    if threads == 1:
        if work < BRIEF:
            one_thread(&g, kernel)
        else:
            with nogil:
                one_thread(&g, kernel)
    elif g.rows.dtype == FLOAT32:
        row_views[float](&g, kernel, g.rows.n, cnp.PyArray_DIM(y, axis),
                         1 if grad is None else cnp.PyArray_DIM(grad, axis), threads, 0)
    else:
        row_views[double](&g, kernel, g.rows.n, cnp.PyArray_DIM(y, axis),
                          1 if grad is None else cnp.PyArray_DIM(grad, axis), threads, 0)
    return 0


cdef void one_thread(const Geometry* g, row_kernel_t kernel) noexcept nogil:
    cdef Py_ssize_t o
    for o in range(g.outer):
        run_rows(kernel, &g.rows, g.rows.x + o * g.x_outer,
                 NULL if g.rows.grad == NULL else g.rows.grad + o * g.grad_outer,
                 g.rows.y + o * g.y_outer, g.rows.rows)


def normalize_axis(str function, x, axis):
    """The axis as a number from 0, or an error that names the function."""
    try:
        axis = index(axis)
    except TypeError:
        raise TypeError(f"{function}: axis must be an integer, got {axis!r}") from None
    return normalize_axis_index(axis, x.ndim, function)


cdef int axis_number(str function, cnp.ndarray x, axis) except -1:
    if type(axis) is int and -1 <= axis < cnp.PyArray_NDIM(x) > 0:
        return <int> axis if axis >= 0 else cnp.PyArray_NDIM(x) - 1
    return normalize_axis(function, x, axis)


cdef cnp.ndarray working(str function, x, dtype):
    """x as an aligned, native float32 or float64 ndarray: a view where it is one already."""
    if dtype is None and type(x) is cnp.ndarray and ready(x):
        return x
    x = as_array(function, x)
    if dtype is None:
        dtype = result_dtype(function, x.dtype)
    else:
        dtype = np.dtype(dtype)
        if dtype.kind != "f":
            raise TypeError(f"{function}: dtype= must be float32 or float64, got {dtype}")
        result_dtype(function, x.dtype)
        dtype = result_dtype(function, dtype)
    # np.asarray drops subclasses; "A" makes it aligned, and the dtype is native.
    return np.require(np.asarray(x), dtype, "A")


cdef inline bint ready(cnp.ndarray x) noexcept:
    """Whether x is aligned, native float32 or float64, in any layout."""
    cdef int number = cnp.PyArray_TYPE(x)
    return (cnp.PyArray_ISBEHAVED_RO(x)
            and (number == cnp.NPY_FLOAT or number == cnp.NPY_DOUBLE))


cdef object apart_from(x, y):
    """x, copied when writing y would change it before it is read."""
    if x is None or x is y or (x.ctypes.data == y.ctypes.data and x.strides == y.strides
                     and x.shape == y.shape):
        return x
    return x.copy() if np.may_share_memory(x, y) else x


cdef class RowFunction:
    """One function along an axis: its kernels and its parameters' domains."""

    cdef const RowOp* op
    cdef readonly str name
    cdef readonly bint reduces
    cdef readonly tuple parameters
    cdef readonly tuple domains

    def __init__(self, str name, *, bint reduces=False, **domains):
        cdef int i
        self.op = NULL
        for i in range(ROW_KERNELS.count):
            if strcmp(ROW_KERNELS.ops[i].name, name.encode()) == 0:
                self.op = &ROW_KERNELS.ops[i]
        if self.op == NULL:
            raise SystemError(f"no row kernel {name!r}")
        self.name = name
        self.reduces = reduces
        self.parameters = tuple(domains)
        self.domains = tuple(domains.values())

    cdef int check(self, tuple params, double* p) except -1:
        cdef int i
        for i in range(len(self.domains)):
            p[i] = (<Domain> self.domains[i]).check(self.name, self.parameters[i], params[i])
        return 0

    def value(self, x, axis, out, dtype, *params, bint keepdims=False):
        """f along axis; a function that reduces drops the axis unless keepdims."""
        cdef double p[MAX_PARAMETERS]
        cdef int number
        cdef tuple shape, kept
        self.check(params, p)
        x = working(self.name, x, dtype)
        number = axis_number(self.name, x, axis)
        shape = kept = x.shape
        if self.reduces:
            kept = shape[:number] + (1,) + shape[number + 1:]
            shape = kept if keepdims else shape[:number] + shape[number + 1:]
        result, y = destination(self.name, x, out, shape, kept)
        if self.reduces and x.shape[number] == 0:
            y.fill(-np.inf)
        if out is not None:
            x = apart_from(x, y)
        over_rows(self.op.value, self.op.cost, p, number, x, y, None)
        return finish(result, y)

    def backward(self, grad, x, output, axis, out, *params):
        """The gradient with respect to x, from x or from the output."""
        cdef double p[MAX_PARAMETERS]
        cdef row_kernel_t kernel = self.op.backward if output is None else self.op.from_output
        function = "backward." + self.name
        if (x is None) == (output is None):
            raise TypeError(f"{function}: give exactly one of x and output")
        if kernel == NULL:
            raise TypeError(f"{function}: the gradient is not a function of the output; "
                            f"give x instead")
        self.check(params, p)
        grad = as_array(function, grad)
        x = as_array(function, x if output is None else output)
        dtype = np.result_type(result_dtype(function, grad.dtype), result_dtype(function, x.dtype))
        x = working(function, x, dtype)
        grad = working(function, grad, dtype)
        axis = axis_number(function, x, axis)
        wanted = x.shape
        if self.reduces:
            wanted = x.shape[:axis] + x.shape[axis + 1:]
            kept = x.shape[:axis] + (1,) + x.shape[axis + 1:]
            if grad.shape == wanted or grad.shape == kept:
                grad = grad.reshape(kept)
                wanted = kept
        if grad.shape != wanted:
            raise ValueError(f"{function}: grad must have the shape of the result {wanted}, "
                             f"got {grad.shape}")
        result, y = destination(function, x, out, x.shape, x.shape)
        over_rows(kernel, self.op.cost, p, axis, apart_from(x, y), y, apart_from(grad, y))
        return finish(result, y)


cdef tuple destination(str function, x, out, shape, kept):
    """The array to return, and the one to compute into (seen as `kept`): its view if it can be."""
    if out is None:
        if kept is x.shape or kept == x.shape:
            out = np.empty_like(x)
            return out, out
        out = np.empty(shape, x.dtype)
    else:
        check_out(function, out, shape, x.dtype)
        if not ready(out) or out.dtype != x.dtype:
            return out, np.empty(kept, x.dtype)
    return out, np.asarray(out).reshape(kept)


cdef object finish(result, y):
    """`result` with y in it; a NumPy scalar for 0-d."""
    if result is not y and not np.may_share_memory(result, y):
        np.copyto(result, y.reshape(result.shape), casting="same_kind")
    return result if result.ndim else result[()]


# Cross-entropy

cdef inline void run_cross_entropy(const CrossEntropy* whole, const char* x, char* y,
                                   const char* probability, Py_ssize_t first,
                                   Py_ssize_t rows) noexcept nogil:
    cdef cyact_status status = status_get()
    cdef CrossEntropy piece = whole[0]
    piece.rows.x = x
    piece.rows.rows = rows
    if whole.rows.y != NULL:
        piece.rows.y = y
    if whole.target != NULL:
        piece.target += first
    else:
        piece.probability = probability
    piece.loss += first
    ROW_KERNELS.cross_entropy(&piece)
    status_set(status)


cdef void parallel_cross_entropy(const real[:, :, :] x, const real[:, :, :] probability,
                                 real[:, :, :] y, const CrossEntropy* whole,
                                 int threads) noexcept nogil:
    """Share blocks of rows out over the threads."""
    cdef Py_ssize_t run = x.shape[1], block = rows_a_piece(&whole.rows)
    cdef Py_ssize_t pieces = (run + block - 1) // block
    cdef Py_ssize_t piece, o, r
    for piece in prange(x.shape[0] * pieces, schedule="static", num_threads=threads):
        o = piece // pieces
        r = piece % pieces * block
        run_cross_entropy(whole, <const char*> &x[o, r, 0], <char*> &y[o, r, 0],
                          <const char*> &probability[o, r, 0], o * run + r,
                          min(block, run - r))


cdef int cross_entropy_views(const Geometry* g, const CrossEntropy* call, int threads,
                             real tag) except -1:
    cdef const Rows* rows = &g.rows
    cdef const real[:, :, :] x = strided(rows.x, g.outer, rows.rows, rows.n,
                                         g.x_outer, rows.x_row, rows.x_item, rows.dtype)
    cdef real[:, :, :] y = strided(rows.y, g.outer, rows.rows, rows.n,
                                   g.y_outer, rows.y_row, rows.y_item, rows.dtype)
    cdef const real[:, :, :] probability = strided(
        rows.grad, g.outer, rows.rows, rows.n, g.grad_outer, rows.grad_row, rows.grad_item,
        rows.dtype)
    with nogil:
        parallel_cross_entropy(x, probability, y, call, threads)
    return 0


def cross_entropy(cnp.ndarray x, int axis, const Py_ssize_t[::1] target, probability, weight,
                  double smoothing, double scale, double[::1] loss, y):
    """Fill `loss`, an entry a row in C order, and the gradient `y` unless it is None.

    x: native float32 or float64; target: classes, -1 where ignored, or None with
    `probability` (like x); weight: float64 or None.
    """
    cdef Geometry g
    cdef CrossEntropy call
    cdef const double[::1] weights
    cdef Py_ssize_t lead, rows, o
    cdef int threads
    if cnp.PyArray_SIZE(x) == 0:
        return
    # What is absent is folded as x itself, and then not used.
    if fold(&g, axis, x, x if y is None else y, x if probability is None else probability, True):
        lead = x.shape[0 if axis else 1]
        rows = len(loss) // lead
        for o in range(lead):
            at = (o,) if axis else (slice(None), o)
            part = slice(o * rows, (o + 1) * rows)
            cross_entropy(x[at], axis - 1 if axis else 0, None if target is None else target[part],
                          None if probability is None else probability[at], weight, smoothing,
                          scale, loss[part], None if y is None else y[at])
        return
    call.rows = g.rows
    if y is None:
        call.rows.y = NULL
    call.rows.grad = NULL
    call.target = NULL if target is None else &target[0]
    call.probability = NULL if probability is None else g.rows.grad
    call.probability_row = g.rows.grad_row
    call.probability_item = g.rows.grad_item
    call.weight = NULL
    if weight is not None:
        weights = weight
        call.weight = &weights[0]
    call.smoothing = smoothing
    call.scale = scale
    call.loss = &loss[0]
    threads = _threads.choose(cnp.PyArray_SIZE(x) * ROW_KERNELS.ops[0].cost)
    if threads == 1:
        with nogil:
            for o in range(g.outer):
                run_cross_entropy(&call, g.rows.x + o * g.x_outer, g.rows.y + o * g.y_outer,
                                  g.rows.grad + o * g.grad_outer, o * g.rows.rows, g.rows.rows)
    elif g.rows.dtype == FLOAT32:
        cross_entropy_views[float](&g, &call, threads, 0)
    else:
        cross_entropy_views[double](&g, &call, threads, 0)


def as_rows(str function, x, axis):
    """x as the engine works on it, and its axis as a number from 0."""
    x = working(function, x, None)
    return x, axis_number(function, x, axis)
