"""The values that parameters may take: check, error message and documentation in one object."""

cimport cython
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check

import numpy as np


@cython.final
cdef class Domain:
    """The values a parameter may take; NaN never is one of them.

    `none` is the number that kernels get where None is given; without it None is refused.
    """

    def __init__(self, text, *, low=-np.inf, high=np.inf, open_low=False, infinite=False,
                 nonzero=False, none=None):
        self.text = text
        self.low = low
        self.high = high
        self.open_low = open_low
        self.infinite = infinite
        self.nonzero = nonzero
        self.none = none

    def __contains__(self, v):
        return self.none is not None if v is None else self.holds(v)

    def checked(self, function, name, value):
        """The value as a float, or an error that says what is allowed."""
        return self.check(function, name, value)

    cdef double check(self, str function, str name, value) except? -1:
        cdef double v
        if PyFloat_Check(value):          # np.float64 is one
            v = PyFloat_AS_DOUBLE(value)
        elif value is None and self.none is not None:
            return self.none
        else:
            v = as_double(function, name, value)
        if not self.holds(v):
            raise ValueError(f"{function}: {name} must be {self.text}, got {value!r}")
        return v

    def __repr__(self):
        return f"<{self.text}>"


cdef double as_double(str function, str name, value) except? -1:
    if type(value) is not int and (isinstance(value, (str, bytes)) or np.ndim(value) != 0):
        raise TypeError(
            f"{function}: {name} must be a single real number, got {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{function}: {name} is too large for a float: {value!r}") from None
    except (TypeError, ValueError):
        raise TypeError(
            f"{function}: {name} must be a real number, got {type(value).__name__}") from None


FINITE = Domain("finite")
POSITIVE = Domain("positive and finite", low=0, open_low=True)
NONNEGATIVE = Domain("at least 0 and finite", low=0)
