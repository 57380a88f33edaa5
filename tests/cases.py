"""What to test of each function: its parameters, and inputs that find errors.

Everything follows from `cyact.catalog`: a new function is tested with its default parameters
at once, and with more of them when PARAMETERS lists it.
"""

from dataclasses import dataclass

import numpy as np
from reference import REFERENCES

import cyact
from cyact._catalog import REQUIRED

DTYPES = [np.float32, np.float64]

# Ordinary values, values float32 cannot hold, signs, zero, and ones that reach the extremes.
PARAMETERS = {
    "step": [(0.0,), (0.1,), (-1.7,), (1e300,)],
    "relu_k": [(6.0,), (0.1,), (0.0,), (1e-3,), (1e300,)],
    "leaky_relu": [(0.01,), (0.1,), (1.5,), (0.0,), (-0.3,)],
    "threshold": [(1.0, 0.0), (0.1, -0.3), (-1.5, 20.0), (-np.inf, 0.1), (1e300, -1e300)],
    "thresholded_relu": [(1.0,), (0.1,), (0.0,), (-1.7,)],
    "elu": [(1.0,), (0.1,), (1.7,), (0.0,), (-1.3,)],
    "celu": [(1.0,), (0.1,), (1.7,), (-1.3,), (300.0,), (1e-3,)],
    "generalized_logistic": [
        (0.0, 1.0, 1.0, 0.0, 1.0), (0.25, 2.5, 1.5, 0.3, 2.5), (0.1, 7.0, -0.7, -3.3, 1e-3),
        (-3.0, -0.1, 100.0, 0.2, 0.7), (-2.0, 0.0, 1.0, 5000.1, 300.0), (0.0, 1.0, 0.0, 0.1, 3.0),
        (-1.7, 1.7, 0.3, 0.1, 1.0), (-0.1, 25.0, 1e-3, -1.0, 0.1)],
    "hard_sigmoid": [(1 / 6, 0.5), (0.2, 0.5), (0.3, 0.1), (-1.3, 0.7), (0.0, 0.3), (1e-3, -0.2),
                     (25.0, 1.7)],
    "hard_tanh": [(-1.0, 1.0), (0.1, 20.0), (-np.inf, 0.3), (-1e-3, np.inf), (0.1, 0.1)],
    "softplus": [(1.0,), (0.1,), (7.3,), (1e-3,)],
    "squareplus": [(4.0,), (0.1,), (0.0,), (50.0,), (1e-300,), (1e300,)],
    "algebraic_sigmoid": [(1.0,), (0.1,), (7.3,), (1e-300,), (1e300,)],
    "isrlu": [(1.0,), (0.1,), (7.3,), (1e-300,), (1e300,)],
    "silu": [(1.0,), (1.702,), (0.1,), (0.0,), (-0.7,), (25.0,)],
    "gelu": [("none",), ("tanh",), ("sigmoid",)],
    "logit": [(None,), (0.0,), (1e-6,), (0.1,), (0.5,), (1e-20,)],
    "hard_shrink": [(0.5,), (0.1,), (0.0,), (3.3,), (1e300,)],
    "soft_shrink": [(0.5,), (0.1,), (0.0,), (3.3,), (1e300,)],
}


@dataclass(frozen=True)
class Case:
    """An elementwise function with parameters."""

    name: str
    params: tuple

    @property
    def numbers(self):
        """The parameters that are numbers: what the reference formulas take."""
        return tuple(p for p in self.params if isinstance(p, float))

    @property
    def reference(self):
        """The independent formulas."""
        key = (self.name, *(p for p in self.params if isinstance(p, str)))
        assert key in REFERENCES, f"add {key} to REFERENCES in tests/reference.py"
        return REFERENCES[key]

    @property
    def takes_output(self):
        """Whether backward works from the output with these parameters."""
        domains = getattr(cyact.catalog[self.name].engine, "output_domains", ())
        return (cyact.catalog[self.name].engine.from_output
                and all(p in domain for p, domain in zip(self.numbers, domains, strict=True)))

    def value(self, x, **keywords):
        return getattr(cyact, self.name)(x, *self.params, **keywords)

    def derivative(self, x, **keywords):
        return getattr(cyact.derivative, self.name)(x, *self.params, **keywords)

    def backward(self, grad, x=None, **keywords):
        return getattr(cyact.backward, self.name)(grad, x, *self.params, **keywords)

    def __str__(self):
        return f"{self.name}({', '.join(map(str, self.params))})" if self.params else self.name


def _elementwise():
    for record in cyact.catalog.values():
        if record.kind == "elementwise":
            default = tuple(p.default for p in record.parameters)
            for params in PARAMETERS.get(record.name, [default]):
                yield Case(record.name, params)


ELEMENTWISE = list(_elementwise())
# One a kernel: where the parameter's value does not matter.
KERNELS = [c for i, c in enumerate(ELEMENTWISE)
           if not any(o.name == c.name and o.numbers and c.numbers for o in ELEMENTWISE[:i])]
# The form outside training of functions that are random in it
INFERENCE = [Case(record.name, ()) for record in cyact.catalog.values()
             if record.kind == "sampling" and record.range is not None]
FAMILY = [record.name for record in cyact.catalog.values() if record.kind == "rows"]
# Those along an axis that need no parameter; maxout has its tests in test_sparse.py
ROWS = FAMILY + [
    record.name for record in cyact.catalog.values()
    if record.kind in ("sparse", "maxima")
    and REQUIRED not in [p.default for p in record.parameters]]
try:
    from ml_dtypes import bfloat16
    HALVES = [np.float16, bfloat16]
except ImportError:
    HALVES = [np.float16]
REDUCING = ["logsumexp", "logmeanexp"]


def bit_patterns(dtype, count, seed=0):
    """`count` finite numbers spread evenly over all bit patterns of the dtype, in random order."""
    rng = np.random.default_rng(seed)
    bits = np.dtype(f"u{np.dtype(dtype).itemsize}")
    step = 2.0 ** (8 * bits.itemsize) / count
    start = np.arange(count) * step
    patterns = (start + rng.random(count) * min(step, 2.0 ** 50) * 0.99).astype(bits)
    x = rng.permutation(patterns).view(dtype)
    return x[np.isfinite(x)]


# Where exponentials and error functions run through the subnormal numbers to 0, or overflow.
_TAILS = {
    np.float32: [(-15, -12), (-11, -9.5), (-105, -86), (86, 105), (-55, -40), (-9, 9), (-1, 1),
                 (9, 14.5)],
    np.float64: [(-39, -36), (-22, -20), (-750, -705), (705, 750), (-375, -350), (-40, 40),
                 (-1, 1), (26, 39)],
}


def inputs(dtype, count, points=(), seed=1):
    """About `count` finite inputs: all bit patterns, moderate numbers, tails, and neighbours."""
    rng = np.random.default_rng(seed)
    info = np.finfo(dtype)
    third = count // 3
    moderate = (rng.choice([-1, 1], third) * np.exp2(rng.uniform(-info.nmant - 3, 10, third)))
    tails = np.concatenate([rng.uniform(low, high, third // len(_TAILS[dtype]) + 1)
                            for low, high in _TAILS[dtype]])
    near = [0.0, -0.0, 1.0, -1.0, float(info.max), float(info.min), info.tiny, -info.tiny, *points]
    return np.concatenate([bit_patterns(dtype, third, seed), moderate.astype(dtype),
                           tails.astype(dtype), *(neighbours(p, dtype) for p in near)])


def neighbours(point, dtype, reach=12):
    """The numbers next to a point, on both sides of it; none if the dtype cannot hold it."""
    with np.errstate(over="ignore"):
        found = [np.array([point], dtype)]
    if not np.isfinite(found[0]).all():
        return found[0][:0]
    for direction in (-np.inf, np.inf):
        step = found[0]
        for _ in range(reach):
            with np.errstate(all="ignore"):
                step = np.nextafter(step, np.array([direction], dtype))
            if np.isfinite(step).all():
                found.append(step)
    return np.concatenate(found)


def special(dtype):
    """NaN, infinities, zeros and the ends of the range."""
    info = np.finfo(dtype)
    ends = [0.0, info.smallest_subnormal, info.tiny, info.eps, 1.0, info.max, np.inf, np.nan]
    return np.array([s * v for v in ends for s in (1, -1)], dtype)


def same_bits(a, b):
    """Whether two arrays hold the same bits; any NaN equals any NaN."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(np.all(((a == b) & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b))))
