"""What the engine and the instruction-set levels agree on.

Each level is one compilation of the same sources (see setup.py) and hands the engine one
table through a capsule. Nothing behind these pointers touches Python, allocates or starts
threads. Change ABI whenever a struct or a meaning below changes.
"""

cdef enum:
    ABI = 5
    LANES = 16    # kernels get a multiple of this many elements: one path, no scalar tail
    TILE = 1024   # elements a stage works on at a time; fits L1 with its neighbours
    BLOCKS = 64   # TILE / LANES

# The dtypes kernels compute in, then those that arrays may have besides: a half type travels
# as uint16 and is computed in float32.
cdef enum:
    FLOAT32 = 0
    FLOAT64 = 1
    DTYPES = 2
    FLOAT16 = 2
    BFLOAT16 = 3
    ARRAY_DTYPES = 4

# y[i] = f(x[i]) for i < n. n is a multiple of LANES; x and y hold the op's dtype, are
# contiguous and do not overlap. p: the function's parameters (NULL when it has none).
ctypedef void (*kernel_t)(const void* x, void* y, Py_ssize_t n, const double* p) noexcept nogil
# The same with an array parameter: y[i] = f(x[i], w[i]).
ctypedef void (*weighted_t)(const void* x, const void* w, void* y, Py_ssize_t n,
                            const double* p) noexcept nogil

# What an op computes: its slots.
cdef enum:
    VALUE = 0        # y = f(x)
    DERIVATIVE = 1   # y = f'(x)
    FROM_OUTPUT = 2  # f'(x) from f(x); NULL where f' is no function of f(x)
    SLOTS = 3

cdef struct Op:
    const char* name
    int nparams
    bint weighted                 # its kernels are weighted_t
    bint exact                    # of a half, f and f' are exact in float32
    bint copies                   # f(x) = x
    int simple                    # the way in which halves may be had, or LOOKED_UP
    double cost                   # rough nanoseconds an element, to choose a thread count
    kernel_t kernels[SLOTS][DTYPES]
    kernel_t rest                 # in double: the sign of what f(x) is above the double result

# The arrays of a call, in the order in which ufuncs take them:
# y = (grad * factor) * kernel(x + bias, weight), each of them but x and y optional.
cdef enum:
    GRAD = 0
    FACTOR = 1
    X = 2
    WEIGHT = 3
    BIAS = 4
    Y = 5
    OPERANDS = 6

# How the results of an op for all 65,536 halves can be had without computing them again.
cdef enum:
    LOOKED_UP = 0
    CHOSEN = 1    # among x, -x and constants
    BENT = 2      # x, or slope x where x is negative
    RAMP = 3      # slope clip(x + shift, 0, top)
    GATED = 4     # x times that
    SHRUNK = 5    # x - clip(x, -top, top), with the sign of x
    # of derivatives in float, which are multiplied by a gradient:
    LINE = 6          # b x + c; low where x < first, high where x > last
    LONG_LINE = 7     # (a + b) (x + c), rounded once, a much less than b; low and high as before
    PARABOLA = 8      # (a x + b) x + c
    PARABOLA_AT_0 = 9     # a x x + b x
    UNKNOWN = 10      # only computed

cdef struct Known:
    int way
    const unsigned short* results     # halves by x; NULL if they are CHOSEN
    const float* slopes               # floats by x, if they are LOOKED_UP
    # CHOSEN: finite numbers and infinities in their order, as counted by `cyact_order` in
    # _half.pxd, fall into three pieces, in each of which y is (x & keep) ^ flip.
    unsigned short keep[3]
    unsigned short flip[3]
    short start[3]                # where pieces begin; that of the first is not looked at
    unsigned short infinity       # the largest half that is no NaN
    unsigned short quiet          # the bit that is set in the NaN of a NaN
    # The others: in float, each operation rounded. That gives the halves of `results`,
    # but for |x| <= rare other than 0.
    unsigned short rare
    float slope[2]                # for negative x and for others
    float shift
    float top
    float coefficients[7]         # of LINE to PARABOLA: first, last, low, high, a, b, c

# Steps are in bytes: `step` from an element to the next, `row` from a row to the next.
cdef struct Operand:
    char* data
    Py_ssize_t step
    Py_ssize_t row

# `rows` runs of n elements. y may be exactly x, grad or factor; no other overlap. WEIGHT and
# BIAS have the dtype computed in, float32 for the half types.
cdef struct Span:
    kernel_t kernel
    kernel_t wide                 # the same in double, to round half types correctly
    kernel_t rest                 # for where even that is a tie, though f(x) is none; or NULL
    const double* p
    bint weighted
    bint exact
    bint copies
    const Known* known            # of half types, or NULL: kernel(x) in float if there is GRAD
    int dtype                     # of the arrays
    double slack                  # absolute error of the kernel, besides 1 ULP
    bint stream                   # store past the caches
    Py_ssize_t rows
    Py_ssize_t n
    Operand at[OPERANDS]          # data is NULL where there is none
    double* sums                  # where to add the rows of y up, or NULL
    Py_ssize_t rests              # sums[rests + j]: what rounding took from sums[j]

ctypedef void (*run_span_t)(const Span* span) noexcept nogil

cdef struct Kernels:
    int abi
    int count
    const Op* ops
    run_span_t run_span
    # to find out what is known: x = h; y = slopes of h
    void (*widen)(const unsigned short* h, float* x, Py_ssize_t n, int dtype) noexcept nogil
    void (*slopes)(const Known* known, const unsigned short* h, float* y, Py_ssize_t n,
                   int dtype) noexcept nogil

# `rows` rows of n items: item j of row r is at x + r * x_row + j * x_item, all in bytes.
# y may be exactly x (or grad); no other overlap. Unused pointers are NULL.
cdef struct Rows:
    int dtype
    Py_ssize_t rows
    Py_ssize_t n
    const char* x                 # the input; for a backward from the output, the output
    const char* grad              # backward: the incoming gradient
    char* y
    Py_ssize_t x_row
    Py_ssize_t x_item
    Py_ssize_t grad_row           # a gradient with one entry a row (logsumexp) has no grad_item
    Py_ssize_t grad_item
    Py_ssize_t y_row
    Py_ssize_t y_item             # a reduction (logsumexp) writes one entry a row
    const double* p

ctypedef void (*row_kernel_t)(const Rows* rows) noexcept nogil

cdef struct RowOp:
    const char* name
    double cost
    row_kernel_t value
    row_kernel_t backward         # from x
    row_kernel_t from_output      # backward from the output; NULL where that is not enough

# Cross-entropy with class targets or probability targets, value and gradient in one pass.
cdef struct CrossEntropy:
    Rows rows                     # x: logits; y: gradient, or NULL when only the loss is wanted
    const Py_ssize_t* target      # a class a row, -1 for an ignored row; NULL for probabilities
    const char* probability       # probability targets, laid out by the two steps below
    Py_ssize_t probability_row
    Py_ssize_t probability_item
    const double* weight          # n class weights, or NULL
    double smoothing
    double scale                  # the gradient is multiplied by this
    double* loss                  # one entry a row, float64, not multiplied by scale

ctypedef void (*cross_entropy_t)(const CrossEntropy* call) noexcept nogil

cdef struct RowKernels:
    int abi
    int count
    const RowOp* ops
    cross_entropy_t cross_entropy
