"""What the engine and the instruction-set levels agree on.

Each level is one compilation of the same sources (see setup.py) and hands the engine one
table through a capsule. Nothing behind these pointers touches Python, allocates or starts
threads. Change ABI whenever a struct or a meaning below changes.
"""

cdef enum:
    ABI = 13
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

cdef inline Py_ssize_t itemsize(int dtype) noexcept nogil:
    return 4 if dtype == FLOAT32 else 8 if dtype == FLOAT64 else 2

cdef enum:
    MAX_PARAMETERS = 5
    MAX_DIMENSIONS = 64           # NumPy's own limit

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

cdef enum:
    EXACT_OF_HALVES = 1
    EXACT = 2                     # of any float

# What the results of an op for all 65,536 halves are: looked up in a table, or, where that says
# it all, chosen among x, -x and constants. Finite numbers and infinities in their order, as
# counted by `cyact_order` in halves.h, then fall into three pieces, in each of which y is
# (x & keep) ^ flip.
cdef struct Known:
    const unsigned short* results     # halves by x; NULL if they are chosen
    const float* slopes               # floats by x, which are multiplied by a gradient
    unsigned short keep[3]
    unsigned short flip[3]
    short start[3]                # where pieces begin; that of the first is not looked at
    unsigned short infinity       # the largest half that is no NaN
    unsigned short quiet          # the bit that is set in the NaN of a NaN

cdef struct Op:
    const char* name
    int nparams
    bint weighted                 # its kernels are weighted_t
    int exact                     # f and f' in float32: EXACT of what
    bint copies                   # f(x) = x
    bint keeps                    # f(x) = x for positive x
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
    int exact
    bint copies
    bint keeps
    const Known* known            # of half types, or NULL: kernel(x) in float if there is GRAD
    int dtype                     # of the arrays
    double slack                  # absolute error of the kernel, besides 1 ULP
    Py_ssize_t rows
    Py_ssize_t n
    Operand at[OPERANDS]          # data is NULL where there is none
    bint far                      # whether the arrays stay in no cache
    double* sums                  # where to add the rows of y up, or NULL
    Py_ssize_t rests              # sums[rests + j]: what rounding took from sums[j]
    char* scratch                 # as many bytes as the span needs, aligned to 64

ctypedef void (*run_span_t)(const Span* span) noexcept nogil

cdef struct Kernels:
    int abi
    int count
    const Op* ops
    run_span_t run_span
    Py_ssize_t (*scratch)(const Span* span) noexcept nogil    # the bytes a thread needs
    void (*widen)(const unsigned short* h, float* x, Py_ssize_t n, int dtype) noexcept nogil

# Targets and weights of losses may have the dtypes above, or one of these; others are converted
# before.
cdef enum:
    UINT8 = 4                     # also bool
    INT64 = 5

# The arrays of a loss that is computed element by element.
cdef enum:
    LOSS_X = 0
    LOSS_TARGET = 1
    LOSS_WEIGHT = 2               # broadcast by steps of 0; 1 where there is none
    LOSS_POSITIVE = 3             # the weight of positive targets, likewise
    LOSS_VALUE = 4                # where to put the losses; without it they are summed
    LOSS_GRAD = 5
    LOSS_ARRAYS = 6

# `loss` and `grad` (NULL when only the loss is wanted) get one double an element: grad is
# multiplied by scale[0] + scale[1]. The inputs hold the dtype computed in; n is a multiple of
# LANES.
ctypedef void (*loss_kernel_t)(const void* x, const void* target, const void* weight,
                               const void* positive, double* loss, double* grad, Py_ssize_t n,
                               const double* scale) noexcept nogil

cdef enum:
    POINTWISE = 4                 # losses of one element each

cdef struct Loss:
    const char* name
    double cost                   # rough nanoseconds an element, to choose a thread count
    loss_kernel_t float32
    loss_kernel_t float64

# All arrays have one shape, whose dimensions are merged where they can be; elements are counted
# in that order. Steps are in bytes.
cdef struct Pointwise:
    loss_kernel_t kernel
    int dtype                     # computed in
    double scale[2]
    Py_ssize_t size
    int dims
    Py_ssize_t shape[64]
    char* data[6]                 # NULL where there is none
    int dtypes[6]
    bint flat[6]                  # contiguous in that order
    Py_ssize_t steps[6][64]
    bint reordered                # whether it is another order than that of the user's arrays
    # Where in the scratch a tile of an array goes, in bytes. Before them are TILE losses and TILE
    # gradients, in double.
    Py_ssize_t buffer[6]

# The tile that begins with element `start`. Its losses' sum is sums[0] + sums[1]; sums[2], if the
# elements are reordered, that of their absolute values.
ctypedef void (*run_tile_t)(const Pointwise* call, Py_ssize_t start, char* scratch,
                            double* sums) noexcept nogil

# Rows of an array: item j of row r is at data + r * row + j * item, in bytes. data is NULL where
# there is no such array.
cdef struct Lines:
    char* data
    int dtype                     # of the array
    Py_ssize_t row
    Py_ssize_t item

# Focal loss from cross-entropy c, an entry a row; `rows` is a multiple of LANES.
# loss[r] = alpha (1 - e^-c)^gamma c, and
# factor[r], by which its gradient is that of c.
ctypedef void (*focal_t)(const double* c, const double* alpha, double* loss, double* factor,
                         Py_ssize_t rows, double gamma) noexcept nogil
# loss[r] = -weight x[r, target[r]]; y, which is 0 or NULL, gets the gradient times `scale`. A
# target below 0 is ignored.
ctypedef void (*nll_t)(const Lines* x, const Lines* y, const Lines* target, const Lines* loss,
                       Py_ssize_t rows, const double* weight, double scale) noexcept nogil

cdef struct LossKernels:
    int abi
    int count
    const Loss* pointwise
    run_tile_t run_tile
    focal_t focal
    nll_t nll

# `rows` rows of n items. y may be exactly x or grad; no other overlap.
cdef struct Rows:
    int dtype                     # computed in
    Py_ssize_t rows
    Py_ssize_t n
    Lines x                       # the input; for a backward from the output, the output
    Lines grad                    # backward: the incoming gradient; one entry a row of logsumexp's
    Lines y                       # a reduction (logsumexp) writes one entry a row
    Lines mask                    # a byte an entry: where it is 0 the entry is not in its row
    Lines bias                    # added to x, of the dtype computed in
    double hidden                 # what an entry of x that is not in its row is taken for
    double blank                  # what it is in the result
    bint turns_x                  # the sign of x is turned
    bint turns_y                  # and that of the result
    bint stream                   # y is better stored past the caches
    const double* p
    char* scratch                 # as many bytes as the kernel asks for, aligned to 64

ctypedef void (*row_kernel_t)(const Rows* rows) noexcept nogil

cdef struct RowOp:
    const char* name
    double cost                   # rough nanoseconds an entry, to choose a thread count
    row_kernel_t value
    row_kernel_t backward         # from x
    row_kernel_t from_output      # backward from the output; NULL where that is not enough

# Cross-entropy with class targets or probability targets, value and gradient in one pass.
cdef struct CrossEntropy:
    Rows rows                     # x: logits; y: gradient, or none when only the loss is wanted
    Lines target                  # a class a row (Py_ssize_t), -1 for an ignored row; or none
    Lines probability             # probability targets
    Lines loss                    # one entry a row, float64, not multiplied by scale
    const double* weight          # n class weights, or NULL
    double smoothing
    double scale                  # the gradient is multiplied by this
    focal_t focal                 # NULL where it is not focal loss
    double gamma
    const double* alpha           # n class weights of focal loss, or NULL

ctypedef void (*cross_entropy_t)(const CrossEntropy* call) noexcept nogil

cdef struct RowKernels:
    int abi
    int count
    const RowOp* ops
    cross_entropy_t cross_entropy
    # how many bytes of scratch a thread needs for pieces of so many rows
    Py_ssize_t (*scratch)(const Rows* rows) noexcept nogil
