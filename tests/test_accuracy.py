"""Errors of values and derivatives, in units in the last place, over all magnitudes.

The bounds are the documented ones: float32 1 ULP, float64 2 ULP; where a derivative has a zero
inside its range, 1 ulp of max(|f'|, 2^-10) and 2 ulp of max(|f'|, 2^-2).
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import reference
from cases import DTYPES, ELEMENTWISE, inputs
from mpmath import mp
from reference import BOUND, in_wider, least, mp_ulps, true_values, ulps

pytestmark = pytest.mark.levels

FEW = 1500         # points for mpmath
MANY = 150_000     # points for NumPy formulas
EXTENDED = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant + 8

by_case = pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


def assert_within(bound, errors, x, y, what):
    worst = int(np.argmax(errors))
    assert errors[worst] <= bound, (
        f"{what}: {errors[worst]:.4g} ULP at {x[worst]!r} ({float(x[worst]).hex()}), "
        f"got {y[worst]!r}; {np.count_nonzero(errors > bound)} of {len(x)} above {bound}")


def seed(case, dtype):
    return zlib.crc32(f"{case} {dtype}".encode())


def points(case, dtype, count):
    return inputs(dtype, count, case.reference.interesting(*case.numbers), seed(case, dtype))


@by_dtype
@by_case
def test_values_match_mpmath(case, dtype):
    x = points(case, dtype, FEW)
    true = true_values(case.reference.value, x, case.numbers)
    y = case.value(x)
    assert_within(BOUND[dtype], mp_ulps(y, true, least(case, "value", dtype)), x, y, str(case))
    for v, t, at in zip(y.tolist(), true, x, strict=True):
        assert t == 0 or mp.isnan(t) or np.signbit(v) == (t < 0), f"wrong sign at {at!r}: {v!r}"


def worst_inputs():
    """{(case, dtype): [(what, inputs)]}: where tools/errors.py ever found the largest errors."""
    found = {}
    for line in Path(__file__).with_name("worst_inputs.jsonl").read_text().splitlines():
        row = json.loads(line)
        x = [float.fromhex(v) for v in row["inputs"]]
        found.setdefault((row["case"], row["dtype"]), []).append((row["what"], x))
    return found


WORST = worst_inputs()


@pytest.mark.parametrize("dtype", reference.FORMATS)
@by_case
def test_the_worst_inputs_of_all_stay_within_the_bound(case, dtype):
    for what, x in WORST.get((str(case), dtype), ()):
        if dtype == "bfloat16":
            kind = pytest.importorskip("ml_dtypes").bfloat16
        else:
            kind = np.dtype(dtype).type
        single = kind if dtype == "float64" else np.float32
        x = np.array(x, kind)
        y = getattr(case, what)(x).astype(np.float64)
        true = true_values(getattr(case.reference, what), x, case.numbers)
        errors = mp_ulps(y, true, least(case, what, single), dtype)
        assert_within(BOUND.get(kind, 0.5), errors, x, y, f"{what} of {case}")


@by_dtype
@by_case
def test_derivatives_match_mpmath(case, dtype):
    x = points(case, dtype, FEW)
    true = true_values(case.reference.derivative, x, case.numbers)
    y = case.derivative(x)
    errors = mp_ulps(y, true, least(case, "derivative", dtype))
    assert_within(BOUND[dtype], errors, x, y, f"derivative.{case}")


@by_dtype
@pytest.mark.parametrize("case", [c for c in ELEMENTWISE if c.takes_output], ids=str)
def test_derivatives_from_the_output_match_mpmath(case, dtype):
    low, high = case.reference.outputs(*case.numbers)
    y = points(case, dtype, FEW)
    close = 1 - np.exp2(-np.linspace(0, 60, 200))     # outputs near the ends of their range
    y = np.concatenate([y, *((end * close).astype(dtype) for end in (low, high)
                             if np.isfinite(end))])
    y = y[(y >= low) & (y <= high)]
    true = true_values(case.reference.from_output, y, case.numbers)
    slopes = case.backward(np.ones_like(y), output=y)
    assert_within(BOUND[dtype], mp_ulps(slopes, true), y, slopes, f"backward.{case} of the output")


@by_dtype
@by_case
def test_values_match_wider_formulas(case, dtype):
    skip_unless_wide(case, dtype)
    x = points(case, dtype, MANY)
    y = case.value(x)
    assert_within(BOUND[dtype], ulps(y, in_wider(case.reference.wide, x, case.numbers)), x, y,
                  str(case))


@by_dtype
@by_case
def test_derivatives_match_wider_formulas(case, dtype):
    skip_unless_wide(case, dtype)
    x = points(case, dtype, MANY)
    y = case.derivative(x)
    true = in_wider(case.reference.wide_derivative, x, case.numbers)
    errors = ulps(y, true, least(case, "derivative", dtype))
    assert_within(BOUND[dtype], errors, x, y, f"derivative.{case}")


def skip_unless_wide(case, dtype):
    if dtype is np.float64 and not EXTENDED:
        pytest.skip("longdouble is no wider than float64 here")
    if dtype is np.float32 and not case.reference.in_double(*case.numbers):
        pytest.skip("no formula in double is good enough; mpmath's tests cover it")
    if dtype is np.float64 and not case.reference.in_longdouble(*case.numbers):
        pytest.skip("no formula in longdouble is good enough; mpmath's tests cover it")
