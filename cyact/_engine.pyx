"""Plan a call: dtype, shape, overlap, allocation, threads; then run the chosen level's kernels.

An elementwise call takes one of three ways:

1. *direct*: an exact, aligned, native, contiguous ndarray below the threading threshold goes
   to the kernel by pointer (acquiring a memoryview costs 75 ns, a NumPy ufunc call 200);
2. *in parallel*: the same above it, in tiles of typed memoryviews under `prange`, without the
   GIL;
3. *general*: everything else (strides, casts, byte order, pandas, xarray, Dask, masked arrays)
   through a real NumPy ufunc whose loop runs the same spans and threads.

Results never depend on the way taken. Functions along an axis are in _row_engine.pyx.
"""

import sys

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport prange
from libc.stdlib cimport calloc
from libc.string cimport strcmp

import numpy as np

from cyact cimport _threads
from cyact._abi cimport (
    ABI,
    DTYPES,
    FLOAT32,
    FLOAT64,
    Kernels,
    Op,
    Span,
    kernel_t,
)

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
    MAX_PARAMETERS = 5
    CHUNK = 16384              # elements a thread takes at a time

# Up to this much work the GIL is kept: releasing it costs as much as it frees.
cdef double BRIEF = 10_000.0
# Results larger than the last-level cache are stored past it.
cdef long long STREAM = last_level_cache() or 32 * 1024 * 1024

cdef const Kernels* KERNELS = NULL


def use_level(module):
    """Take the table of one instruction-set level; called once, at import."""
    global KERNELS
    KERNELS = <const Kernels*> PyCapsule_GetPointer(module.table, b"cyact.Kernels")
    if KERNELS.abi != ABI:
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
    if out.dtype.kind not in "fc" or not np.can_cast(dtype, out.dtype, "same_kind"):
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


cdef inline bint apart(const char* a, const char* b, Py_ssize_t size) noexcept:
    """Whether two equally long pieces of memory are the same piece or do not meet."""
    return a == b or a + size <= b or b + size <= a


# Running a span, alone or in parallel

cdef void parallel_views(const real[::1] x, const real[::1] grad, real[::1] y,
                         const Span* whole, int threads) noexcept nogil:
    """The whole span in chunks over typed memoryviews; grad counts only if the span has one."""
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunks = (n + CHUNK - 1) // CHUNK
    cdef Py_ssize_t chunk, start
    for chunk in prange(chunks, schedule="static", num_threads=threads):
        start = chunk * CHUNK
        run_piece(whole, <const char*> &x[start],
                  NULL if whole.grad == NULL else <const char*> &grad[start],
                  <char*> &y[start], min(<Py_ssize_t> CHUNK, n - start))


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

    # Parameters come one by one, at most five: a tuple of them would cost a call 20 ns.

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
        return 0

    cdef double checked(self, tuple domains, int i, value) except? -1:
        return (<Domain> domains[i]).check(self.name, <str> self.parameters[i], value)

    def value(self, x, out, dtype, a=None, b=None, c=None, d=None, e=None):
        """f(x)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.unary(x, out, dtype, p, self.op.value, self.value_ufunc)

    def derivative(self, x, out, dtype, a=None, b=None, c=None, d=None, e=None):
        """f'(x)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.unary(x, out, dtype, p, self.op.derivative, self.derivative_ufunc)

    def backward(self, grad, x, output, out, a=None, b=None, c=None, d=None, e=None):
        """grad * f'(x), f' from x or from the output."""
        cdef double p[MAX_PARAMETERS]
        if (x is None) == (output is None):
            raise TypeError(f"backward.{self.name}: give exactly one of x and output")
        if output is None:
            self.check(self.domains, p, a, b, c, d, e)
            return self.binary(grad, x, out, p, self.op.derivative, self.backward_ufunc)
        if self.output_ufunc is None:
            raise TypeError(f"backward.{self.name}: the derivative is not a function of the "
                            f"output; give x instead")
        self.check(self.output_domains, p, a, b, c, d, e)
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
    cdef const real[::1] grad = x
    if span.grad != NULL:
        grad = <real[:span.n:1]> <real*> span.grad
    with nogil:
        parallel_views(x, grad, y, span, threads)
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
        cdef Function function = self.pick(choice)
        return function.unary(x, out, dtype, NULL, function.op.value, function.value_ufunc)

    def derivative(self, x, out, dtype, choice):
        return self.pick(choice).derivative(x, out, dtype)

    def backward(self, grad, x, output, out, choice):
        return self.pick(choice).backward(grad, x, output, out)
