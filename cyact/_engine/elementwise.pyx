"""Plan a call of an elementwise function: checks, dtype, shape, overlap, allocation.

It takes one of three ways:

1. *direct*: an exact, aligned, native, contiguous ndarray below the threading threshold goes
   to the kernel by pointer (acquiring a memoryview costs 75 ns, a NumPy ufunc call 200); above
   it in tiles of typed memoryviews under `prange`, without the GIL;
2. *by strides*: exact ndarrays of any layout, and calls with a bias, a weight or a gate: rows
   of the array, shared out under `prange`;
3. *by a ufunc*: everything else (casts, byte order, overlapping memory, pandas, xarray, Dask,
   masked arrays) through a real NumPy ufunc whose loop runs the same spans and threads.

Results never depend on the way taken. Functions along an axis are in rows.pyx.
"""

cimport cython
cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE

import numpy as np

from cyact._engine.arrays cimport (
    apart,
    check_shape,
    contiguous,
    dtype_of,
    goes_with,
    new_array,
    operand,
    parameter_array,
    plain,
    same_layout,
    takes,
)
from cyact._engine.domains cimport Domain
from cyact._engine.halves cimport Memory, Use, memory_of
from cyact._engine.run cimport (
    Plan,
    begin,
    find_op,
    may_clash,
    run_and_sum,
    run_contiguous,
    run_plan,
    set_shape,
    take,
)
from cyact._engine.ufuncs cimport ufunc_of
from cyact._level.abi cimport (
    BIAS,
    DERIVATIVE,
    FACTOR,
    FLOAT32,
    FLOAT64,
    FROM_OUTPUT,
    GRAD,
    MAX_PARAMETERS,
    VALUE,
    WEIGHT,
    X,
    Y,
    Op,
    Span,
    itemsize,
)

from cyact._engine.arrays import SUPPORTED, check_out, result_dtype

cnp.import_array()

cdef double KNOWN_COST = 0.1875  # nanoseconds an element, of half types whose results are known


@cython.final
cdef class Function:
    """One elementwise function: its kernels, and its parameters' names and domains.

    `value`, `derivative` and `backward` are what the public functions call.
    """

    cdef const Op* op
    cdef readonly str name
    cdef str derivative_name, backward_name
    cdef readonly tuple parameters     # names
    cdef readonly tuple domains
    cdef readonly tuple output_domains
    cdef readonly tuple ordered        # two parameters of which the first may not exceed the other
    cdef int smaller, larger           # where they stand
    cdef bint strictly                 # nor equal it
    cdef Memory memory                 # what is known of half types

    def __init__(self, str name, *, output_domains=(), str kernel=None, tuple ordered=(),
                 tuple strictly_ordered=(), **domains):
        kernel = kernel or name
        self.op = find_op(kernel.encode())
        if self.op.nparams != len(domains):
            raise SystemError(f"the kernel {kernel} takes {self.op.nparams} parameters")
        self.name = name
        self.derivative_name = f"derivative.{name}"
        self.backward_name = f"backward.{name}"
        self.parameters = tuple(domains)
        self.domains = tuple(domains.values())
        self.output_domains = output_domains or self.domains
        self.memory = memory_of(self.op)
        self.ordered = ordered or strictly_ordered
        self.strictly = len(strictly_ordered) > 0
        if self.ordered:
            self.smaller, self.larger = map(self.parameters.index, self.ordered)

    @property
    def from_output(self):
        """Whether f' is a function of f(x)."""
        return self.op.kernels[FROM_OUTPUT][FLOAT32] != NULL

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

    # What Python calls

    def value(self, x, bias, out, dtype, a=0, b=1, c=2, d=3, e=4):
        """f(x + bias)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.unary(self.name, VALUE, x, bias, out, dtype, p)

    def derivative(self, x, bias, out, dtype, a=0, b=1, c=2, d=3, e=4):
        """f'(x + bias)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.unary(self.derivative_name, DERIVATIVE, x, bias, out, dtype, p)

    def backward(self, grad, x, output, bias, out, a=0, b=1, c=2, d=3, e=4):
        """grad * f'(x + bias), f' from x or from the output; with a bias, its gradient too."""
        cdef double p[MAX_PARAMETERS]
        cdef str function = self.backward_name
        if (x is None) == (output is None):
            raise TypeError(f"{function}: give exactly one of x and output")
        if output is None:
            self.check(self.domains, p, a, b, c, d, e)
            return self.product(function, DERIVATIVE, grad, x, bias, out, p)
        if not self.from_output:
            raise TypeError(f"{function}: the derivative is not a function of the output; "
                            f"give x instead")
        if bias is not None:
            raise TypeError(f"{function}: bias goes with x; the output already has it in it")
        self.check(self.output_domains, p, a, b, c, d, e)
        return self.product(function, FROM_OUTPUT, grad, output, None, out, p)

    def gated(self, function, gate, value, out, a=0, b=1, c=2, d=3, e=4):
        """value * f(gate)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.product(function, VALUE, value, gate, None, out, p)

    def gated_derivative(self, function, grad, gate, value, out, a=0, b=1, c=2, d=3, e=4):
        """grad * value * f'(gate)."""
        cdef double p[MAX_PARAMETERS]
        self.check(self.domains, p, a, b, c, d, e)
        return self.run(function, DERIVATIVE, [grad, value, gate, None, None], out, None, p)

    def shifted(self, function, x, shift, out, dtype, bint derivative=False):
        """f(x + shift), shift an array that broadcasts to x; or f'(x + shift)."""
        return self.run(function, DERIVATIVE if derivative else VALUE,
                        [None, None, x, None, shift], out, dtype, NULL, False, "shift")

    def shifted_backward(self, function, grad, x, shift, out, bint summing):
        """grad * f'(x + shift); with its sums over all axes but the last if `summing`."""
        return self.run(function, DERIVATIVE, [grad, None, x, None, shift], out, None, NULL,
                        summing, "shift")

    def weighted(self, function, x, weight, bias, out, dtype, bint derivative=False):
        """f(x + bias, weight), weight an array that broadcasts to x; or its derivative by x."""
        cdef int slot = DERIVATIVE if derivative else VALUE
        if weight is None:
            return self.unary(function, slot, x, bias, out, dtype, NULL)
        return self.run(function, slot, [None, None, x, weight, bias], out, dtype, NULL)

    def by_number(self, x, weight, bias, out, dtype, bint derivative=False):
        """The same for a float as weight; None if the arrays are not plain enough for it."""
        cdef double number
        if type(weight) is not float or dtype is not None or bias is not None:
            return None
        number = weight
        return self.direct(DERIVATIVE if derivative else VALUE, None, x, out, NULL, &number)

    def weighted_backward(self, function, grad, x, weight, bias, out):
        """grad * f'(x + bias, weight); with a bias, its gradient too."""
        if weight is None:
            return self.product(function, DERIVATIVE, grad, x, bias, out, NULL)
        return self.run(function, DERIVATIVE, [grad, None, x, weight, bias], out, None, NULL,
                        bias is not None)

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

    # The ways

    cdef object unary(self, str function, int slot, x, bias, out, dtype, const double* p):
        if dtype is None and bias is None:
            y = self.direct(slot, None, x, out, p)
            if y is not None:
                return y
        return self.run(function, slot, [None, None, x, None, bias], out, dtype, p)

    cdef object product(self, str function, int slot, grad, x, bias, out, const double* p):
        if bias is None and type(grad) is cnp.ndarray:
            y = self.direct(slot, grad, x, out, p)
            if y is not None:
                return y
        return self.run(function, slot, [grad, None, x, None, bias], out, None, p,
                        bias is not None)

    cdef object direct(self, int slot, grad, x, out, const double* p, const double* weight=NULL):
        """Way 1; None when the arrays are not plain enough for it.

        For short arrays nearly all of a call is checks, so that this does them by itself, in the
        least time, and does not touch what it does not need: no list, no names, no plan.
        """
        cdef int dtype
        cdef float single
        cdef Py_ssize_t n, size
        cdef Span span
        if type(x) is not cnp.ndarray:
            return None
        dtype = plain(x)
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
        elif size == 2:
            self.direct_halves(&span, slot)
            return y
        run_contiguous(&span, n * self.op.cost)
        return y

    cdef int direct_halves(self, Span* span, int slot) except -1:
        cdef Use known = self.memory.recall(span, slot, span.n)
        return run_contiguous(span, span.n * (self.op.cost if known is None else KNOWN_COST))

    cdef object run(self, str function, int slot, list operands, out, dtype, const double* p,
                    bint summing=False, str added="bias"):
        """Ways 2 and 3.

        `operands`: gradient, factor, x, weight and bias, None where there is none. With `summing`
        (y, its sums over all axes but the last). `added`: what the bias is called.
        """
        x = operands[X]
        if dtype is not None:
            dtype = checked_dtype(function, dtype)
            if hasattr(getattr(x, "data", x), "dask"):     # lazy: this copies nothing yet
                x, dtype = x.astype(dtype), None
        x = operands[X] = operand(function, x, out is not None)
        if operands[GRAD] is not None:
            operands[GRAD] = operand(function, operands[GRAD], out is not None)
            check_shape(function, "grad", operands[GRAD], x)
        if operands[FACTOR] is not None:
            operands[FACTOR] = operand(function, operands[FACTOR], out is not None)
            check_shape(function, "value", operands[FACTOR], x)
        if out is not None and (dtype is not None or not fits(out, operands)):
            check_out(function, out, x.shape, dtype or np.result_type(
                *[result_dtype(function, a.dtype) for a in operands[:WEIGHT] if a is not None]))
        if operands[BIAS] is not None:
            operands[BIAS] = parameter_array(function, added, operands[BIAS], x, dtype)
        if operands[WEIGHT] is not None:
            operands[WEIGHT] = parameter_array(function, "weight", operands[WEIGHT], x, dtype)
        if dtype is None:
            y = self.by_strides(slot, operands, out, p, summing)
            if y is not None:
                return y
        y = self.by_ufunc(function, slot, operands, out, dtype, p)
        return (y, bias_gradient(y, operands[BIAS])) if summing else y

    cdef object by_strides(self, int slot, list operands, out, const double* p, bint summing):
        """Way 2; None when the arrays are not plain enough for it."""
        cdef int dtype, k
        cdef Py_ssize_t count
        cdef Plan plan
        cdef Span span
        cdef Use known = None
        x = operands[X]
        if type(x) is not cnp.ndarray:
            return None
        dtype = plain(x)
        if (dtype < 0 or cnp.PyArray_NDIM(<cnp.ndarray> x) == 0
                or not goes_with(operands[GRAD], dtype) or not goes_with(operands[FACTOR], dtype)
                or not goes_with(out, dtype)):
            return None
        if out is None:
            out = new_array(x, dtype)
        begin(&span, self.op, slot, dtype, p)
        set_shape(&plan, x)
        for k in range(Y):
            if operands[k] is not None:
                take(&plan, &span, k, operands[k])
        take(&plan, &span, Y, out)
        if may_clash(&plan, &span):
            return None
        count = cnp.PyArray_SIZE(<cnp.ndarray> x)
        if summing:
            sums = (run_and_sum(&span, &plan, count * self.op.cost) if count
                    else np.zeros(operands[BIAS].shape))
            return out, in_dtype_of(out, sums)
        if count == 0:
            return out
        if itemsize(dtype) == 2 and operands[WEIGHT] is None and operands[BIAS] is None:
            known = self.memory.recall(&span, slot, count)
        run_plan(&span, &plan, count * (self.op.cost if known is None else KNOWN_COST))
        return out

    cdef object by_ufunc(self, str function, int slot, list operands, out, dtype,
                         const double* p):
        """Way 3. Parameters are float64 scalars: exact, and no part of the result's dtype."""
        cdef int i, given = 0
        arguments = [a for a in operands if a is not None]
        for i in range(Y):
            if operands[i] is not None:
                given |= 1 << i
        arguments += [np.float64(p[i]) for i in range(self.op.nparams)]
        keywords = {}
        if out is not None:
            keywords.update(out=out, casting="same_kind")
        if dtype is not None:
            wide = np.float64 if dtype == np.float64 else np.float32
            keywords.update(casting="unsafe", signature=(
                *[wide if i in (WEIGHT, BIAS) else dtype for i in range(Y) if given & 1 << i],
                *[np.float64] * self.op.nparams, dtype))
        try:
            return ufunc_of(self.op, slot, given)(*arguments, **keywords)
        except TypeError as error:
            dtypes = [getattr(x, "dtype", type(x).__name__) for x in arguments]
            raise TypeError(f"{function}: input of dtype {dtypes[0]} is not supported; use "
                            f"{SUPPORTED}, or integers or bool") from error


cdef bint fits(out, list operands) noexcept:
    """Whether it is plain to see that `out` can take the result."""
    return (takes(out, operands[X])
            and (operands[GRAD] is None or takes(out, operands[GRAD]))
            and (operands[FACTOR] is None or takes(out, operands[FACTOR])))


cdef object checked_dtype(str function, dtype):
    """The dtype= that was asked for."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "fV":
        raise TypeError(f"{function}: dtype= must be {SUPPORTED}, got {dtype}")
    result_dtype(function, dtype)
    return dtype


def bias_gradient(dx, bias):
    """The sums of dx over all axes but the last, as if it had just been computed."""
    cdef const Op* identity = find_op(b"identity")
    cdef Plan plan
    cdef Span span
    if hasattr(dx, "dask"):
        return in_dtype_of(dx, dx.sum(axis=tuple(range(dx.ndim - 1)), dtype=np.float64))
    dx = dx.filled(0) if isinstance(dx, np.ma.MaskedArray) else np.asarray(dx)
    dx = np.require(dx, result_dtype("backward", dx.dtype), "A")
    if dx.size == 0:
        return in_dtype_of(dx, np.zeros(bias.shape))
    begin(&span, identity, VALUE, dtype_of(dx), NULL)
    set_shape(&plan, dx)
    take(&plan, &span, X, dx)
    return in_dtype_of(dx, run_and_sum(&span, &plan, dx.size * identity.cost))


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
        return self.pick(choice).unary(self.name, VALUE, x, bias, out, dtype, NULL)

    def derivative(self, x, bias, out, dtype, choice):
        return self.pick(choice).derivative(x, bias, out, dtype)

    def backward(self, grad, x, output, bias, out, choice):
        return self.pick(choice).backward(grad, x, output, bias, out)

    def gated(self, function, gate, value, out, choice):
        return self.pick(choice).gated(function, gate, value, out)

    def gated_derivative(self, function, grad, gate, value, out, choice):
        return self.pick(choice).gated_derivative(function, grad, gate, value, out)
