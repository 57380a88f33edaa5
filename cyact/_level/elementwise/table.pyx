"""The table of elementwise functions: what the engine knows of each, and its kernels.

Compiled once for each instruction-set level. The kernels are in the files of their families, beside
their maths. A kernel gets contiguous arrays whose length is a multiple of LANES; everything around
it is in stages.pxd.

Names: f is the value, f_d the derivative as a function of x, f_y the derivative as a function
of y = f(x). To add a function, write these and add its entry to the table.
"""

from cpython.pycapsule cimport PyCapsule_New

from cyact._level.abi cimport (
    ABI,
    DERIVATIVE,
    EXACT,
    EXACT_OF_HALVES,
    FLOAT32,
    FLOAT64,
    FROM_OUTPUT,
    VALUE,
    Kernels,
    Op,
    Span,
    kernel_t,
)
cimport cyact._level.elementwise.algebraic as algebraic
cimport cyact._level.elementwise.exponential as exponential
cimport cyact._level.elementwise.logarithms as logarithms
cimport cyact._level.elementwise.normal as normal
cimport cyact._level.elementwise.rectifiers as rectifiers
cimport cyact._level.elementwise.self_gated as self_gated
cimport cyact._level.elementwise.sigmoids as sigmoids
cimport cyact._level.halves as halves
cimport cyact._level.stages as stages

cdef enum:
    CAPACITY = 128

# What else is known of a function
cdef enum:
    PLAIN = 0                # nothing
    COPIES_X = 1             # f(x) = x
    KEEPS_X = 2              # f(x) = x for positive x
    EXACT_IN_FLOAT = 4       # f and f' in float32
    EXACT_FROM_HALVES = 8    # the same where x is a number of a half type

cdef Op OPS[CAPACITY]
cdef Kernels KERNELS

# Given where one of these is wanted, a fused kernel picks its instance itself.
ctypedef void (*kernel32_t)(const float*, float*, Py_ssize_t, const double*) noexcept nogil
ctypedef void (*kernel64_t)(const double*, double*, Py_ssize_t, const double*) noexcept nogil
ctypedef void (*weighted32_t)(const float*, const float*, float*, Py_ssize_t,
                              const double*) noexcept nogil
ctypedef void (*weighted64_t)(const double*, const double*, double*, Py_ssize_t,
                              const double*) noexcept nogil


cdef int add(const char* name, int parameters, double cost, int traits, kernel64_t ties,
             kernel32_t value32, kernel64_t value64,
             kernel32_t derivative32, kernel64_t derivative64,
             kernel32_t from_output32=NULL, kernel64_t from_output64=NULL) except -1:
    """Enter a function.

    `cost` is in rough nanoseconds an element (float32, one thread, v3). `ties` gives the sign of
    what f(x) is above the double result, for half types to break ties by. The derivative from the
    output is there where it exists.
    """
    if KERNELS.count == CAPACITY:
        raise SystemError("raise CAPACITY in elementwise/table.pyx")
    cdef Op* op = &OPS[KERNELS.count]
    KERNELS.count += 1
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
    return 0


cdef int add_weighted(const char* name, double cost, int traits,
                      weighted32_t value32, weighted64_t value64,
                      weighted32_t derivative32, weighted64_t derivative64) except -1:
    """Enter a function with a weight for each element."""
    OPS[KERNELS.count].weighted = True
    return add(name, 0, cost, traits, NULL, <kernel32_t> value32, <kernel64_t> value64,
               <kernel32_t> derivative32, <kernel64_t> derivative64)


add(name=b"identity", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT | COPIES_X, ties=NULL,
    value32=rectifiers.identity, value64=rectifiers.identity,
    derivative32=rectifiers.identity_d, derivative64=rectifiers.identity_d)
add(name=b"step", parameters=1, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
    value32=rectifiers.step, value64=rectifiers.step,
    derivative32=rectifiers.step_d, derivative64=rectifiers.step_d)
add(name=b"relu", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
    value32=rectifiers.relu, value64=rectifiers.relu,
    derivative32=rectifiers.relu_d, derivative64=rectifiers.relu_d,
    from_output32=rectifiers.relu_d, from_output64=rectifiers.relu_d)
add(name=b"relu_of_minus", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
    value32=rectifiers.relu_of_minus, value64=rectifiers.relu_of_minus,
    derivative32=rectifiers.relu_of_minus_d, derivative64=rectifiers.relu_of_minus_d)
add(name=b"negative_part", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
    value32=rectifiers.negative_part, value64=rectifiers.negative_part,
    derivative32=rectifiers.negative_part_d, derivative64=rectifiers.negative_part_d)
add(name=b"relu6", parameters=0, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
    value32=rectifiers.relu6, value64=rectifiers.relu6,
    derivative32=rectifiers.relu6_d, derivative64=rectifiers.relu6_d)
add(name=b"relu_k", parameters=1, cost=0.1, traits=PLAIN, ties=NULL,
    value32=rectifiers.relu_k, value64=rectifiers.relu_k,
    derivative32=rectifiers.relu_k_d, derivative64=rectifiers.relu_k_d)
add(name=b"squared_relu", parameters=0, cost=0.1, traits=EXACT_FROM_HALVES, ties=NULL,
    value32=rectifiers.squared_relu, value64=rectifiers.squared_relu,
    derivative32=rectifiers.squared_relu_d, derivative64=rectifiers.squared_relu_d)
add(name=b"leaky_relu", parameters=1, cost=0.1, traits=KEEPS_X, ties=rectifiers.leaky_relu_ties,
    value32=rectifiers.leaky_relu, value64=rectifiers.leaky_relu,
    derivative32=rectifiers.leaky_relu_d, derivative64=rectifiers.leaky_relu_d,
    from_output32=rectifiers.leaky_relu_d, from_output64=rectifiers.leaky_relu_d)
add_weighted(name=b"prelu", cost=0.2, traits=KEEPS_X,
             value32=rectifiers.prelu, value64=rectifiers.prelu,
             derivative32=rectifiers.prelu_d, derivative64=rectifiers.prelu_d)
add(name=b"threshold", parameters=2, cost=0.1, traits=PLAIN, ties=NULL,
    value32=rectifiers.threshold, value64=rectifiers.threshold,
    derivative32=rectifiers.threshold_d, derivative64=rectifiers.threshold_d)
add(name=b"thresholded_relu", parameters=1, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
    value32=rectifiers.thresholded_relu, value64=rectifiers.thresholded_relu,
    derivative32=rectifiers.threshold_d, derivative64=rectifiers.threshold_d)
add(name=b"elu", parameters=1, cost=0.4, traits=KEEPS_X, ties=exponential.elu_ties,
    value32=exponential.elu, value64=exponential.elu,
    derivative32=exponential.elu_d, derivative64=exponential.elu_d,
    from_output32=exponential.elu_y, from_output64=exponential.elu_y)
add(name=b"celu", parameters=1, cost=0.4, traits=KEEPS_X, ties=NULL,
    value32=exponential.celu, value64=exponential.celu,
    derivative32=exponential.celu_d, derivative64=exponential.celu_d,
    from_output32=exponential.celu_y, from_output64=exponential.celu_y)
add(name=b"selu", parameters=0, cost=0.4, traits=PLAIN, ties=NULL,
    value32=exponential.selu, value64=exponential.selu,
    derivative32=exponential.selu_d, derivative64=exponential.selu_d,
    from_output32=exponential.selu_y, from_output64=exponential.selu_y)
add(name=b"gelu", parameters=0, cost=0.9, traits=PLAIN, ties=self_gated.gelu_ties,
    value32=self_gated.gelu, value64=self_gated.gelu,
    derivative32=self_gated.gelu_d, derivative64=self_gated.gelu_d)
add(name=b"gelu_tanh", parameters=0, cost=0.75, traits=PLAIN, ties=self_gated.gelu_ties,
    value32=self_gated.gelu_tanh, value64=self_gated.gelu_tanh,
    derivative32=self_gated.gelu_tanh_d, derivative64=self_gated.gelu_tanh_d)
add(name=b"gelu_sigmoid", parameters=0, cost=0.6, traits=PLAIN, ties=self_gated.above_half_x,
    value32=self_gated.gelu_sigmoid, value64=self_gated.gelu_sigmoid,
    derivative32=self_gated.gelu_sigmoid_d, derivative64=self_gated.gelu_sigmoid_d)
add(name=b"silu", parameters=1, cost=0.6, traits=PLAIN, ties=self_gated.silu_ties,
    value32=self_gated.silu, value64=self_gated.silu,
    derivative32=self_gated.silu_d, derivative64=self_gated.silu_d)
add(name=b"mish", parameters=0, cost=0.8, traits=PLAIN, ties=NULL,
    value32=self_gated.mish, value64=self_gated.mish,
    derivative32=self_gated.mish_d, derivative64=self_gated.mish_d)
add(name=b"sigmoid", parameters=0, cost=0.55, traits=PLAIN, ties=NULL,
    value32=sigmoids.sigmoid, value64=sigmoids.sigmoid,
    derivative32=sigmoids.sigmoid_d, derivative64=sigmoids.sigmoid_d,
    from_output32=sigmoids.sigmoid_y, from_output64=sigmoids.sigmoid_y)
add(name=b"generalized_logistic", parameters=5, cost=4, traits=PLAIN, ties=NULL,
    value32=sigmoids.generalized_logistic, value64=sigmoids.generalized_logistic,
    derivative32=sigmoids.generalized_logistic_d, derivative64=sigmoids.generalized_logistic_d)
add(name=b"log_sigmoid", parameters=0, cost=0.9, traits=PLAIN, ties=NULL,
    value32=logarithms.log_sigmoid, value64=logarithms.log_sigmoid,
    derivative32=logarithms.log_sigmoid_d, derivative64=logarithms.log_sigmoid_d,
    from_output32=logarithms.log_sigmoid_y, from_output64=logarithms.log_sigmoid_y)
add(name=b"logit", parameters=1, cost=0.7, traits=PLAIN, ties=NULL,
    value32=logarithms.logit, value64=logarithms.logit,
    derivative32=logarithms.logit_d, derivative64=logarithms.logit_d)
add(name=b"hard_sigmoid", parameters=2, cost=0.2, traits=PLAIN, ties=sigmoids.hard_sigmoid_ties,
    value32=sigmoids.hard_sigmoid, value64=sigmoids.hard_sigmoid,
    derivative32=sigmoids.hard_sigmoid_d, derivative64=sigmoids.hard_sigmoid_d)
add(name=b"hard_swish", parameters=0, cost=0.2, traits=PLAIN, ties=self_gated.above_half_x,
    value32=self_gated.hard_swish, value64=self_gated.hard_swish,
    derivative32=self_gated.hard_swish_d, derivative64=self_gated.hard_swish_d)
add(name=b"tanh", parameters=0, cost=0.6, traits=PLAIN, ties=NULL,
    value32=sigmoids.tanh, value64=sigmoids.tanh,
    derivative32=sigmoids.tanh_d, derivative64=sigmoids.tanh_d,
    from_output32=sigmoids.tanh_y, from_output64=sigmoids.tanh_y)
add(name=b"hard_tanh", parameters=2, cost=0.1, traits=PLAIN, ties=NULL,
    value32=sigmoids.hard_tanh, value64=sigmoids.hard_tanh,
    derivative32=sigmoids.hard_tanh_d, derivative64=sigmoids.hard_tanh_d)
add(name=b"softplus", parameters=1, cost=0.9, traits=PLAIN, ties=logarithms.softplus_ties,
    value32=logarithms.softplus, value64=logarithms.softplus,
    derivative32=logarithms.softplus_d, derivative64=logarithms.softplus_d,
    from_output32=logarithms.softplus_y, from_output64=logarithms.softplus_y)
add(name=b"softsign", parameters=0, cost=0.2, traits=PLAIN, ties=NULL,
    value32=algebraic.softsign, value64=algebraic.softsign,
    derivative32=algebraic.softsign_d, derivative64=algebraic.softsign_d)
add(name=b"squareplus", parameters=1, cost=1.2, traits=PLAIN, ties=NULL,
    value32=algebraic.squareplus, value64=algebraic.squareplus,
    derivative32=algebraic.squareplus_d, derivative64=algebraic.squareplus_d)
add(name=b"algebraic_sigmoid", parameters=1, cost=1.2, traits=PLAIN, ties=NULL,
    value32=algebraic.algebraic_sigmoid, value64=algebraic.algebraic_sigmoid,
    derivative32=algebraic.algebraic_sigmoid_d, derivative64=algebraic.algebraic_sigmoid_d)
add(name=b"isrlu", parameters=1, cost=1.2, traits=KEEPS_X, ties=NULL,
    value32=algebraic.isrlu, value64=algebraic.isrlu,
    derivative32=algebraic.isrlu_d, derivative64=algebraic.isrlu_d)
add(name=b"arctan", parameters=0, cost=0.5, traits=PLAIN, ties=NULL,
    value32=sigmoids.arctan, value64=sigmoids.arctan,
    derivative32=sigmoids.arctan_d, derivative64=sigmoids.arctan_d)
add(name=b"gudermannian", parameters=0, cost=0.9, traits=PLAIN, ties=NULL,
    value32=sigmoids.gudermannian, value64=sigmoids.gudermannian,
    derivative32=sigmoids.gudermannian_d, derivative64=sigmoids.gudermannian_d)
add(name=b"erf", parameters=0, cost=0.6, traits=PLAIN, ties=NULL,
    value32=normal.erf, value64=normal.erf,
    derivative32=normal.erf_d, derivative64=normal.erf_d)
add(name=b"erfc", parameters=0, cost=0.8, traits=PLAIN, ties=NULL,
    value32=normal.erfc, value64=normal.erfc,
    derivative32=normal.erfc_d, derivative64=normal.erfc_d)
add(name=b"ndtr", parameters=0, cost=0.8, traits=PLAIN, ties=NULL,
    value32=normal.ndtr, value64=normal.ndtr,
    derivative32=normal.ndtr_d, derivative64=normal.ndtr_d)
add(name=b"log_ndtr", parameters=0, cost=1.2, traits=PLAIN, ties=normal.log_ndtr_ties,
    value32=normal.log_ndtr, value64=normal.log_ndtr,
    derivative32=normal.log_ndtr_d, derivative64=normal.log_ndtr_d)
add(name=b"exp", parameters=0, cost=0.4, traits=PLAIN, ties=NULL,
    value32=exponential.exp, value64=exponential.exp,
    derivative32=exponential.exp, derivative64=exponential.exp,
    from_output32=rectifiers.identity, from_output64=rectifiers.identity)
add(name=b"expm1", parameters=0, cost=0.4, traits=PLAIN, ties=NULL,
    value32=exponential.expm1, value64=exponential.expm1,
    derivative32=exponential.exp, derivative64=exponential.exp,
    from_output32=exponential.expm1_y, from_output64=exponential.expm1_y)
add(name=b"log1p", parameters=0, cost=0.7, traits=PLAIN, ties=NULL,
    value32=logarithms.log1p, value64=logarithms.log1p,
    derivative32=logarithms.log1p_d, derivative64=logarithms.log1p_d)
add(name=b"log1mexp", parameters=0, cost=1.2, traits=PLAIN, ties=NULL,
    value32=logarithms.log1mexp, value64=logarithms.log1mexp,
    derivative32=logarithms.log1mexp_d, derivative64=logarithms.log1mexp_d)
add(name=b"gaussian", parameters=0, cost=0.5, traits=PLAIN, ties=NULL,
    value32=normal.gaussian, value64=normal.gaussian,
    derivative32=normal.gaussian_d, derivative64=normal.gaussian_d)
add(name=b"bent_identity", parameters=0, cost=0.8, traits=PLAIN, ties=algebraic.bent_identity_ties,
    value32=algebraic.bent_identity, value64=algebraic.bent_identity,
    derivative32=algebraic.bent_identity_d, derivative64=algebraic.bent_identity_d)
add(name=b"hard_shrink", parameters=1, cost=0.1, traits=EXACT_IN_FLOAT, ties=NULL,
    value32=rectifiers.hard_shrink, value64=rectifiers.hard_shrink,
    derivative32=rectifiers.shrink_d, derivative64=rectifiers.shrink_d)
add(name=b"soft_shrink", parameters=1, cost=0.1, traits=PLAIN, ties=NULL,
    value32=rectifiers.soft_shrink, value64=rectifiers.soft_shrink,
    derivative32=rectifiers.shrink_d, derivative64=rectifiers.shrink_d)
add(name=b"tanh_shrink", parameters=0, cost=0.6, traits=PLAIN, ties=NULL,
    value32=sigmoids.tanh_shrink, value64=sigmoids.tanh_shrink,
    derivative32=sigmoids.tanh_shrink_d, derivative64=sigmoids.tanh_shrink_d)
add(name=b"sparse_plus", parameters=0, cost=0.1, traits=PLAIN, ties=NULL,
    value32=rectifiers.sparse_plus, value64=rectifiers.sparse_plus,
    derivative32=sigmoids.sparse_sigmoid, derivative64=sigmoids.sparse_sigmoid)
add(name=b"sparse_sigmoid", parameters=0, cost=0.1, traits=PLAIN, ties=NULL,
    value32=sigmoids.sparse_sigmoid, value64=sigmoids.sparse_sigmoid,
    derivative32=sigmoids.sparse_sigmoid_d, derivative64=sigmoids.sparse_sigmoid_d)
add(name=b"dish", parameters=0, cost=1.2, traits=PLAIN, ties=self_gated.above_half_x,
    value32=self_gated.dish, value64=self_gated.dish,
    derivative32=self_gated.dish_d, derivative64=self_gated.dish_d)


cdef void run_span(const Span* span) noexcept nogil:
    stages.span(span)


cdef void widen(const unsigned short* h, float* x, Py_ssize_t n, int dtype) noexcept nogil:
    halves.widen(h, x, n, dtype)


KERNELS.abi = ABI
KERNELS.ops = OPS
KERNELS.run_span = run_span
KERNELS.widen = widen
table = PyCapsule_New(&KERNELS, b"cyact.Kernels", NULL)
