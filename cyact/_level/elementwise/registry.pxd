"""How a family enters its functions: one call of add() for each, its arguments by name."""

from cyact._level.abi cimport (
    DERIVATIVE,
    EXACT,
    EXACT_OF_HALVES,
    FLOAT32,
    FLOAT64,
    FROM_OUTPUT,
    VALUE,
    Op,
    kernel_t,
)

cdef enum:
    CAPACITY = 128

cdef struct Table:
    Op at[CAPACITY]
    int count                # may be larger: then the last ones are missing

# What else is known of a function
cdef enum:
    PLAIN = 0                # nothing
    COPIES_X = 1             # f(x) = x
    KEEPS_X = 2              # f(x) = x for positive x
    EXACT_IN_FLOAT = 4       # f and f' in float32
    EXACT_FROM_HALVES = 8    # the same where x is a number of a half type

# Given where one of these is wanted, a fused kernel picks its instance itself.
ctypedef void (*kernel32_t)(const float*, float*, Py_ssize_t, const double*) noexcept nogil
ctypedef void (*kernel64_t)(const double*, double*, Py_ssize_t, const double*) noexcept nogil
ctypedef void (*weighted32_t)(const float*, const float*, float*, Py_ssize_t,
                              const double*) noexcept nogil
ctypedef void (*weighted64_t)(const double*, const double*, double*, Py_ssize_t,
                              const double*) noexcept nogil


cdef inline void add(Table* table, const char* name, int parameters, double cost, int traits,
                     kernel64_t ties, kernel32_t value32, kernel64_t value64,
                     kernel32_t derivative32, kernel64_t derivative64,
                     kernel32_t from_output32=NULL,
                     kernel64_t from_output64=NULL) noexcept nogil:
    """Enter a function.

    `cost` is in rough nanoseconds an element (float32, one thread, v3). `ties` gives the sign of
    what f(x) is above the double result, for half types to break ties by. The derivative from the
    output is there where it exists.
    """
    table.count += 1
    if table.count > CAPACITY:
        return
    cdef Op* op = &table.at[table.count - 1]
    op.name = name
    op.nparams = parameters
    op.cost = <int> (64 * cost + 0.5) / 64.0        # see choose() in threads.pyx
    op.copies = traits & COPIES_X != 0
    op.keeps = traits & KEEPS_X != 0
    op.exact = EXACT if traits & EXACT_IN_FLOAT else (
        EXACT_OF_HALVES if traits & EXACT_FROM_HALVES else 0)
    op.rest = <kernel_t> ties
    op.kernels[VALUE][FLOAT32] = <kernel_t> value32
    op.kernels[VALUE][FLOAT64] = <kernel_t> value64
    op.kernels[DERIVATIVE][FLOAT32] = <kernel_t> derivative32
    op.kernels[DERIVATIVE][FLOAT64] = <kernel_t> derivative64
    op.kernels[FROM_OUTPUT][FLOAT32] = <kernel_t> from_output32
    op.kernels[FROM_OUTPUT][FLOAT64] = <kernel_t> from_output64


cdef inline void add_weighted(Table* table, const char* name, double cost, int traits,
                              weighted32_t value32, weighted64_t value64,
                              weighted32_t derivative32,
                              weighted64_t derivative64) noexcept nogil:
    """Enter a function with a weight for each element."""
    if table.count < CAPACITY:
        table.at[table.count].weighted = True
    add(table, name, 0, cost, traits, NULL, <kernel32_t> value32, <kernel64_t> value64,
        <kernel32_t> derivative32, <kernel64_t> derivative64)
