"""NumPy ufuncs over the kernels."""

from cyact._level.abi cimport Op

cdef object ufunc_of(const Op* op, int slot, int operands)
