"""What the engine and the instruction-set levels agree on.

Each level is one compilation of the same sources (see setup.py) and hands the engine one
table through a capsule. Nothing behind these pointers touches Python, allocates or starts
threads. Change ABI whenever a struct or a meaning below changes.
"""

cdef enum:
    ABI = 1
    LANES = 16    # kernels get a multiple of this many elements: one path, no scalar tail
    TILE = 1024   # elements a stage works on at a time; fits L1 with its neighbours

cdef enum:
    FLOAT32 = 0
    FLOAT64 = 1
    DTYPES = 2

# y[i] = f(x[i]) for i < n. n is a multiple of LANES; x and y hold the op's dtype, are
# contiguous and do not overlap. p: the function's parameters (NULL when it has none).
ctypedef void (*kernel_t)(const void* x, void* y, Py_ssize_t n, const double* p) noexcept nogil

cdef struct Op:
    const char* name
    int nparams
    double cost                   # rough nanoseconds an element, to choose a thread count
    kernel_t value[DTYPES]        # y = f(x)
    kernel_t derivative[DTYPES]   # y = f'(x)
    kernel_t from_output[DTYPES]  # f'(x) from f(x); NULL where f' is no function of f(x)

# One strided run of elements: y = kernel(x), or y = grad * kernel(x) when grad is set.
# Steps are in bytes. y may be exactly x or exactly grad; no other overlap.
cdef struct Span:
    kernel_t kernel
    const double* p
    int dtype
    bint stream                   # store past the caches
    Py_ssize_t n
    const char* x
    const char* grad
    char* y
    Py_ssize_t x_step
    Py_ssize_t grad_step
    Py_ssize_t y_step

ctypedef void (*run_span_t)(const Span* span) noexcept nogil

cdef struct Kernels:
    int abi
    int count
    const Op* ops
    run_span_t run_span

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
