"""Arrays and their dtypes: what every function asks of them, and the checks that all share."""

cimport numpy as cnp
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

from cyact._level.abi cimport BFLOAT16, FLOAT16, FLOAT32, FLOAT64

cdef extern from "numpy/arrayobject.h":    # what NumPy's own declarations lack
    int NPY_HALF
    cnp.ndarray PyArray_NewLikeArray(cnp.ndarray like, cnp.NPY_ORDER order, void* dtype, int subok)
    object PyArray_NewFromDescr(PyTypeObject* subtype, cnp.dtype descr, int ndim,
                                const cnp.npy_intp* shape, const cnp.npy_intp* strides,
                                void* data, int flags, PyObject* like)

cdef int BFLOAT16_NUMBER       # NumPy's number of ml_dtypes' bfloat16, once it has been seen

cdef object FLOAT32_DTYPE
cdef object new_like(object like)
cdef int check_shape(str function, str name, a, x) except -1
cdef object any_operand(str function, x, bint to_numpy)
cdef object parameter_array(str function, str name, a, x, dtype)


cdef inline int dtype_of(object x) noexcept:
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


cdef inline bint along_last(object a, object x) noexcept:
    """Whether a has one entry for each of x's last axis."""
    cdef int n = cnp.PyArray_NDIM(<cnp.ndarray> x)
    return (n > 0 and cnp.PyArray_NDIM(<cnp.ndarray> a) == 1
            and cnp.PyArray_DIM(<cnp.ndarray> a, 0) == cnp.PyArray_DIM(<cnp.ndarray> x, n - 1))


cdef inline bint same_shape(object a, object x) noexcept:
    """Whether both are NumPy arrays, and of one shape."""
    return type(a) is cnp.ndarray and type(x) is cnp.ndarray and same_dimensions(a, x)


cdef inline bint takes(object out, object x) noexcept:
    """Whether it is plain to see that `out` can take a result of x's shape and dtype."""
    return (same_shape(out, x) and plain(x) >= 0 and plain(out) == plain(x)
            and cnp.PyArray_ISWRITEABLE(<cnp.ndarray> out))


cdef inline bint apart(const char* a, const char* b, Py_ssize_t size) noexcept:
    """Whether two equally long pieces of memory are the same piece or do not meet."""
    return a == b or a + size <= b or b + size <= a


cdef inline Py_ssize_t magnitude(Py_ssize_t step) noexcept nogil:
    return -step if step < 0 else step


cdef inline object new_array(object like, int dtype):
    """An array of the same shape, its axes in the same order in memory."""
    cdef cnp.dtype descr
    if not contiguous(like):
        return new_like(like)
    if dtype == FLOAT32:
        descr = <cnp.dtype> FLOAT32_DTYPE
    else:
        descr = cnp.PyArray_DescrFromType(number_of(dtype))
    Py_INCREF(descr)              # PyArray_NewFromDescr takes it
    return PyArray_NewFromDescr(
        <PyTypeObject*> cnp.ndarray, descr, cnp.PyArray_NDIM(<cnp.ndarray> like),
        cnp.PyArray_DIMS(<cnp.ndarray> like), NULL, NULL,
        0 if cnp.PyArray_FLAGS(<cnp.ndarray> like) & cnp.NPY_ARRAY_C_CONTIGUOUS
        else cnp.NPY_ARRAY_F_CONTIGUOUS, NULL)


cdef inline object operand(str function, x, bint to_numpy):
    """An operand for a ufunc: an array of a supported dtype, of any array type."""
    if type(x) is cnp.ndarray and plain(x) >= 0:
        return x
    return any_operand(function, x, to_numpy)
