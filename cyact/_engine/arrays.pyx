"""Arrays and their dtypes: the checks that every function shares."""

cimport numpy as cnp

import numpy as np

cnp.import_array()

cdef int BFLOAT16_NUMBER = -1
cdef object FLOAT32_DTYPE = np.dtype(np.float32)
cdef object FLOAT64_DTYPE = np.dtype(np.float64)

SUPPORTED = "float16, bfloat16, float32 or float64"


def dtype_within(function, x):
    """The dtype of the result for x alone; a DataFrame has a dtype for each column."""
    dtypes = [x.dtype] if hasattr(x, "dtype") else set(x.dtypes)
    return np.result_type(*[result_dtype(function, np.dtype(dtype)) for dtype in dtypes])


def is_bfloat16(dtype):
    """Whether a dtype is ml_dtypes' bfloat16; from then on its number is known."""
    global BFLOAT16_NUMBER
    if dtype.name != "bfloat16" or not dtype.isbuiltin == 2:
        return False
    if BFLOAT16_NUMBER < 0:
        BFLOAT16_NUMBER = dtype.num
    return True


def unsupported(str function, dtype):
    return TypeError(
        f"{function}: dtype {dtype} is not supported; use {SUPPORTED}, or integers or "
        f"bool (they become floating point)")


cpdef object result_dtype(str function, dtype):
    """The float types in kind and native; integers and bool become floating point."""
    if dtype.kind in "biu":
        return np.result_type(dtype, np.float32)
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return dtype.newbyteorder("=")
    if is_bfloat16(dtype):
        return dtype
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
    if not (out.dtype.kind in "fc" or is_bfloat16(out.dtype)) \
            or not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(f"{function}: the result's dtype {dtype} cannot be stored in out's "
                        f"dtype {out.dtype} (casting rule 'same_kind')")
    if not out.flags.writeable:
        raise ValueError(f"{function}: out is read-only")


def bias_array(str function, bias, tuple shape, dtype):
    """A bias for an x of this shape and dtype, in the dtype that x is computed in."""
    bias = as_array(function, bias)
    if not shape or bias.shape != shape[len(shape) - 1:]:
        raise ValueError(f"{function}: bias must have one entry for each of x's last axis: "
                         f"x has shape {shape}, bias {bias.shape}")
    return in_computed(function, "bias", bias, dtype)


cdef object in_computed(str function, str name, a, dtype):
    """A bias or weight in the dtype that an x of `dtype` is computed in."""
    wanted = FLOAT64_DTYPE if dtype == FLOAT64_DTYPE else FLOAT32_DTYPE
    if a.dtype is wanted and plain(a) >= 0:
        return a
    if not (np.can_cast(a.dtype, wanted, "same_kind") or is_bfloat16(a.dtype)):
        raise TypeError(f"{function}: {name} of dtype {a.dtype} cannot be used with x of "
                        f"dtype {dtype} (casting rule 'same_kind')")
    with np.errstate(over="ignore"):       # what is beyond float32 is infinite there
        return np.require(a, wanted, "A")


cdef object any_operand(str function, x, bint to_numpy):
    if to_numpy or not hasattr(x, "__array_ufunc__"):
        x = as_array(function, x)
    dtype = getattr(x, "dtype", None)      # a DataFrame has none: its ufunc call checks
    if isinstance(dtype, np.dtype):
        result_dtype(function, dtype)
    return x


cdef object parameter_array(str function, str name, a, x, dtype):
    """A bias or weight as an array of the dtype that x is computed in."""
    if type(a) is not cnp.ndarray:
        a = as_array(function, a)
    if (dtype is None and type(x) is cnp.ndarray and plain(x) >= 0
            and plain(a) == computed(plain(x)) and (name != "bias" or along_last(a, x))):
        return a
    if dtype is None:
        dtype = dtype_within(function, x)
    if name == "bias":
        return bias_array(function, a, x.shape, dtype)
    return in_computed(function, name, a, dtype)


cdef int check_shape(str function, str name, a, x) except -1:
    if not same_shape(a, x) and a.shape != x.shape:
        raise ValueError(f"{function}: {name} and x must have equal shapes, "
                         f"got {a.shape} and {x.shape}")
    return 0


cdef bint in_c_order(object a) noexcept:
    """Whether no axis has longer steps than those before it, but where all steps are 0."""
    cdef int i
    cdef Py_ssize_t step, least = 0
    for i in range(cnp.PyArray_NDIM(<cnp.ndarray> a)):
        step = magnitude(cnp.PyArray_STRIDE(<cnp.ndarray> a, i))
        if least and step > least:
            return False
        if step:
            least = step
    return True


cdef object new_like(object like):
    """The same of one that is not contiguous: in C order if its axes are."""
    if in_c_order(like):
        return PyArray_NewLikeArray(<cnp.ndarray> like, cnp.NPY_CORDER, NULL, 0)
    return PyArray_NewLikeArray(<cnp.ndarray> like, cnp.NPY_KEEPORDER, NULL, 0)
