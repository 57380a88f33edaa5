"""Errors in units in the last place (ULP), against references of higher precision."""

from typing import NamedTuple

import numpy as np

from .catalog import WIDE

# An odd stride through the bit patterns: a power of two would leave the low bits of every
# significand zero, where products happen to be exact. 4093 gives a million float32 values.
FLOAT32_STRIDE = 4093
MULTIPRECISION_POINTS = 1500


class Reference(NamedTuple):
    """A true value as its rounding, the unit there, and what the rounding left, in units."""

    rounded: np.ndarray
    unit: np.ndarray
    rest: np.ndarray


def dtype_of(name):
    """A dtype by name; NumPy knows bfloat16 once ml_dtypes is imported."""
    if name == "bfloat16":
        import ml_dtypes  # noqa: F401
    return np.dtype(name)


def finfo(dtype):
    """`numpy.finfo`, for bfloat16 too."""
    if np.dtype(dtype).kind == "f":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)


def unit_in_last_place(values, dtype, floor=0.0):
    """The spacing of `dtype` in the binade of each value, at least the smallest subnormal."""
    info = finfo(dtype)
    _, exponent = np.frexp(np.maximum(np.abs(values).astype(np.float64), floor))
    exponent = np.where(np.abs(values) > 0, exponent, info.minexp + 1)
    if floor:
        exponent = np.maximum(exponent, np.frexp(floor)[1])
    return np.ldexp(1.0, np.maximum(exponent - 1, info.minexp) - info.nmant)


def reference(exact, dtype, floor=0.0):
    """Split wide values (an array of float64 or longdouble, or a list of mpf) for `ulp_error`."""
    dtype = np.dtype(dtype)
    with np.errstate(all="ignore"):
        if isinstance(exact, np.ndarray):
            rounded = exact.astype(dtype).astype(np.float64)
            unit = unit_in_last_place(exact, dtype, floor)
            rest = ((exact - rounded) / unit).astype(np.float64)
        else:
            rounded = np.array([float(value) for value in exact])
            unit = unit_in_last_place(rounded, dtype, floor)
            rest = np.array([float((value - r.item()) / u.item()) if np.isfinite(r) else 0.0
                             for value, r, u in zip(exact, rounded, unit, strict=True)])
    return Reference(rounded, unit, np.where(np.isfinite(rounded), rest, 0.0))


def ulp_error(result, ref):
    """Error of each entry in ULP; a NaN or infinity the truth does not have counts as inf."""
    got = np.asarray(result).astype(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs((got - ref.rounded) / ref.unit - ref.rest)
    same = (got == ref.rounded) & ~np.isfinite(got) | np.isnan(got) & np.isnan(ref.rounded)
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


class Multiprecision:
    """mpmath with the names `catalog` uses."""

    def __init__(self, bits=200):
        import mpmath

        m = mpmath.mp.clone()
        m.prec = bits
        self.mpf = self.number = m.mpf
        self.exp, self.expm1, self.log, self.log1p = m.exp, m.expm1, m.log, m.log1p
        self.tanh, self.atan, self.erf, self.sqrt = m.tanh, m.atan, m.erf, m.sqrt
        self.abs, self.pi, self.far, self.terms = abs, m.pi(), 100, 16
        # Beyond 200 erfc is 0 in float64, and mpmath refuses very large arguments.
        self.erfc = lambda x: m.erfc(min(x, m.mpf(200)))

    # Both sides are computed, as of arrays: 0 * x stands in for the one that is not wanted.
    @staticmethod
    def where(condition, yes, no):
        return yes if condition else no


def bit_patterns(dtype, count=None):
    """Finite values of every magnitude: evenly spaced bit patterns; of 16 bits, all."""
    bits = np.dtype(dtype).itemsize * 8
    stride = 1 if bits == 16 else FLOAT32_STRIDE if count is None else (2**bits // count) | 1
    patterns = np.arange(0, 2**bits, stride, dtype=np.uint64).astype(f"u{bits // 8}")
    values = patterns.view(dtype)
    with np.errstate(invalid="ignore"):         # bfloat16's signalling NaNs
        return values[np.isfinite(values)]


def sample(dtype, data):
    """Data and tails: `data`, then bit patterns over the whole range of the dtype."""
    if np.dtype(dtype).itemsize <= 4:
        return np.concatenate([data, bit_patterns(dtype)])
    # Patterns of float64 are mostly far outside; the second set is where functions bend.
    tails = np.random.default_rng(1).uniform(-750, 750, MULTIPRECISION_POINTS)
    return np.concatenate([data[:MULTIPRECISION_POINTS], tails,
                           bit_patterns(dtype, MULTIPRECISION_POINTS)]).astype(dtype)


def elementwise_reference(function, x, derivative=False):
    """The reference of a catalogue function for the sample x, or None without mpmath."""
    formula = function.derivative if derivative else function.value
    if x.dtype.itemsize <= 4:
        floor = 2.0**-10 if derivative and function.floor and x.dtype.itemsize == 4 else 0.0
        with np.errstate(all="ignore"):
            return reference(formula(WIDE, x.astype(np.float64)), x.dtype, floor)
    try:
        m = Multiprecision()
    except ImportError:
        return None
    floor = 2.0**-2 if derivative and function.floor else 0.0
    return reference([m.mpf(formula(m, m.mpf(v))) for v in x.tolist()], x.dtype, floor)


def rows_reference(formula, x, axis, target):
    """The same along an axis; None where no wider NumPy type exists."""
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    if np.finfo(wide).nmant <= np.finfo(x.dtype).nmant:
        return None
    with np.errstate(all="ignore"):
        return reference(formula(x.astype(wide), axis, target), x.dtype)
