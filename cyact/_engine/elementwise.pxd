"""What the engine of functions along an axis shares with the elementwise one."""

cimport numpy as cnp

cdef extern from "numpy/arrayobject.h":    # what NumPy's own declarations lack
    cnp.ndarray PyArray_NewLikeArray(cnp.ndarray like, cnp.NPY_ORDER order, void* dtype, int subok)

cdef int dtype_of(object x) noexcept
cdef long long CACHED
