"""NumPy ufuncs over the kernels: for everything that is no plain array.

Casts, byte order, overlapping memory, pandas, xarray, Dask and masked arrays are then NumPy's
business; their loop runs the same spans on the same threads.
"""

import sys
from threading import Lock

cimport numpy as cnp
from cpython.exc cimport PyErr_SetNone
from libc.string cimport memset

cimport cyact._engine.threads as _threads
from cyact._engine.arrays cimport BFLOAT16_NUMBER, computed, number_of
from cyact._engine.run cimport KERNELS, Plan, begin, find_op, run_alone, share_rows
from cyact._level.abi cimport (
    ARRAY_DTYPES,
    BFLOAT16,
    BIAS,
    DERIVATIVE,
    FACTOR,
    FROM_OUTPUT,
    GRAD,
    MAX_PARAMETERS,
    OPERANDS,
    SLOTS,
    VALUE,
    WEIGHT,
    X,
    Y,
    Op,
    Span,
)

cnp.import_array()
cnp.import_ufunc()


cdef struct Loop:
    const Op* op
    int slot
    int dtype
    int operands                  # bits


cdef void ufunc_loop(char** args, const cnp.npy_intp* dimensions, const cnp.npy_intp* steps,
                     void* data) noexcept nogil:
    """One run of a ufunc: (arrays…, parameters…) -> y."""
    cdef const Loop* loop = <const Loop*> data
    cdef int count = loop.op.nparams, first = 0, i, k, threads, failed
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
            failed = share_rows(&span, &plan, NULL, 1, threads)
        else:
            failed = run_alone(&span)
        if failed:
            out_of_memory()
        return
    span.n = 1              # parameters that vary: only through the ufunc itself, as an array
    for j in range(n):
        for i in range(count):
            p[i] = (<const double*> (args[first + i] + j * steps[first + i]))[0]
        if run_alone(&span) < 0:
            out_of_memory()
            return
        for k in range(OPERANDS):
            span.at[k].data += span.at[k].step


cdef void out_of_memory() noexcept with gil:
    PyErr_SetNone(MemoryError)


cdef dict UFUNCS = {}           # by kernel, slot and operands
LOCK = Lock()                   # while one is made, or learns a dtype
SUFFIXES = {GRAD: "grad", FACTOR: "factor", WEIGHT: "weight", BIAS: "bias"}
SLOT_NAMES = {VALUE: "value", DERIVATIVE: "derivative", FROM_OUTPUT: "from_output"}


cdef object ufunc_of(const Op* op, int slot, int operands):
    """The NumPy ufunc that takes these arrays, given as bits, and parameters; made on first use."""
    cdef int key = (<int> (op - KERNELS.ops) * SLOTS + slot) * (1 << OPERANDS) + operands
    cdef Ufunc made = UFUNCS.get(key)
    if made is None or (BFLOAT16_NUMBER >= 0 and not made.takes_bfloat16):
        with LOCK:
            made = UFUNCS.get(key)
            if made is None:
                made = UFUNCS[key] = make_ufunc(op, slot, operands)
                setattr(sys.modules[__name__], made.name.decode(), made.ufunc)
            if BFLOAT16_NUMBER >= 0 and not made.takes_bfloat16:
                add_bfloat16(made)
    return made.ufunc


def __getattr__(name):
    """The ufunc of that name: pickle finds them here, in processes that have not used them."""
    slots = {text: number for number, text in SLOT_NAMES.items()}
    bits = {text: 1 << number for number, text in SUFFIXES.items()}
    kernel, slot, *operands = name.split("__") if "__" in name else (name, "")
    if KERNELS != NULL and slot in slots and all([operand in bits for operand in operands]):
        try:
            return ufunc_of(find_op(kernel.encode()), slots[slot],
                            (1 << X) + sum([bits[operand] for operand in operands]))
        except LookupError:
            pass
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
    cdef bint takes_bfloat16


cdef Ufunc make_ufunc(const Op* op, int slot, int operands):
    """A NumPy ufunc over a kernel. Its first loop is float32's: what small integers become."""
    cdef Ufunc made = Ufunc()
    cdef int dtype, k, i
    made.name = b"__".join([op.name, SLOT_NAMES[slot].encode(),
                            *[SUFFIXES[k].encode() for k in SUFFIXES if operands & (1 << k)]])
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
    return made


cdef int argument_number(int dtype, int operand) noexcept:
    if operand == WEIGHT or operand == BIAS:
        dtype = computed(dtype)
    return -1 if dtype == BFLOAT16 else number_of(dtype)


cdef int add_bfloat16(Ufunc made) except -1:
    """NumPy takes a loop for a type that is not its own one by one."""
    cdef int[OPERANDS + MAX_PARAMETERS] types
    cdef int i
    for i in range(made.inputs + 1):
        types[i] = made.types[BFLOAT16 * (made.inputs + 1) + i]
        types[i] = BFLOAT16_NUMBER if types[i] < 0 else types[i]
    cnp.PyUFunc_RegisterLoopForType(made.ufunc, BFLOAT16_NUMBER, ufunc_loop, types,
                                    &made.loops[BFLOAT16])
    made.takes_bfloat16 = True
    return 0
