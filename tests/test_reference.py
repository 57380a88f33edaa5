"""The formulas of reference.py against each other, and the measure of errors."""

import numpy as np
import pytest
import reference
from cases import ELEMENTWISE, INFERENCE, Case
from mpmath import mp, mpf
from reference import in_wider, least, mp_ulps, precisely, ulps
from test_accuracy import (
    assert_within,
    by_dtype,
    points,
    skip_unless_wide,
    true_values,
)

by_case = pytest.mark.parametrize(
    "case", [*ELEMENTWISE, *INFERENCE, Case("prelu", (0.25,))], ids=str)


class TestTheReferencesThemselves:
    """They are formulas by hand, so they are checked against each other."""

    @by_dtype
    @by_case
    def test_wider_formulas_agree_with_mpmath(self, case, dtype):
        skip_unless_wide(case, dtype)
        x = points(case, dtype, 500)
        for exact, wide, floor in [
                (case.reference.value, case.reference.wide, 0.0),
                (case.reference.derivative, case.reference.wide_derivative,
                 least(case, "derivative", dtype))]:
            found = in_wider(wide, x, case.numbers)
            true = true_values(exact, x, case.numbers)
            errors = mp_ulps(found, true, floor, dtype)
            assert_within(1 / 64, errors, x, found, f"formula of {case}")

    @by_case
    def test_derivatives_are_those_of_the_values(self, case):
        value = precisely(case.reference.value)
        derivative = precisely(case.reference.derivative)
        for x in (-30.0, -8.5, -2.25, -0.7, -0.01, 0.01, 0.7, 2.25, 8.5, 30.0):
            if not case.reference.defined(x, *case.numbers):
                assert mp.isnan(value(x, *case.numbers))
                assert mp.isnan(derivative(x, *case.numbers))
                continue
            if mp.isinf(value(x, *case.numbers)):         # clipped to a pole
                assert derivative(x, *case.numbers) == 0
                continue
            with mp.workprec(8 * reference.MP):     # for parameters like 1e300
                slope = mp.diff(lambda t: case.reference.value(t, *map(mpf, case.numbers)),
                                mpf(x))
            found = derivative(x, *case.numbers)
            assert abs(found - slope) <= abs(slope) * mpf(2)**-100 + mpf(2)**-140, (case, x)
            assert value(x, *case.numbers) is not None

    @pytest.mark.parametrize("case", [c for c in ELEMENTWISE if c.takes_output], ids=str)
    def test_derivatives_from_the_output_are_those_of_the_values(self, case):
        for x in (-30.0, -2.25, -0.01, 0.01, 0.7, 8.5):
            # outputs come near the end of their range, in celu(0.001) as near as e^-30000
            smallest = min([1.0, *(abs(n) for n in case.numbers if n)])
            with mp.workprec(2 * reference.MP + int(50 / smallest)):
                numbers = list(map(mpf, case.numbers))
                y = case.reference.value(mpf(x), *numbers)
                found = case.reference.from_output(y, *numbers)
                true = case.reference.derivative(mpf(x), *numbers)
            assert abs(found - true) <= abs(true) * mpf(2)**-100, (case, x)


class TestTheMeasure:
    """Units in the last place, counted by hand."""

    @pytest.mark.parametrize("measure", [
        lambda y, t, *floor: float(ulps(np.array([y]), np.array([t], np.float64), *floor)[0]),
        lambda y, t, *floor: float(mp_ulps(np.array([y]), [mpf(float(t))], *floor)[0]),
    ], ids=["NumPy", "mpmath"])
    def test_counts(self, measure):
        one = np.float32(1)
        tiny = np.float32(1e-45)
        assert measure(one, 1.0) == 0
        assert measure(np.nextafter(one, np.float32(2)), 1.0) == 1
        assert measure(np.nextafter(one, np.float32(0)), 1.0) == 0.5
        assert measure(one, 1 + 2.0**-25) == 0.25
        assert measure(tiny, 0.0) == 1
        assert measure(np.float32(0), float(tiny) / 2) == 0.5
        assert measure(np.float32(0), 1e-60) < 1e-10
        assert measure(np.float32(2.0**-33), 0.0, 2.0**-10) == 1
        assert measure(np.float32(np.inf), 2.0**128) == 0
        assert measure(np.float32(np.inf), float(np.finfo(np.float32).max)) == 1
        assert measure(np.finfo(np.float32).max, 2.0**128) == np.inf
        assert measure(np.float32(np.nan), 1.0) == np.inf
        assert measure(-one, 1.0) > 1e6
        assert measure(one, np.nan) == np.inf
        assert measure(np.float32(np.nan), np.nan) == 0

    @pytest.mark.parametrize("dtype", [np.float16, np.float32])
    def test_a_correctly_rounded_result_is_within_half_a_unit(self, dtype):
        exact = np.random.default_rng(0).normal(size=1000)
        assert ulps(exact.astype(dtype), exact).max() <= 0.5
        above = np.nextafter(exact.astype(dtype), dtype(np.inf))
        assert 0.5 <= ulps(above, exact).max() <= 1.5
