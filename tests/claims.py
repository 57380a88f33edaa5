"""Whether what a record claims of its function is true: one check a property.

Each takes a record and raises AssertionError where numbers contradict it. Values and derivatives
come from cyact on dense grids; where rounding would hide the answer (one-sided derivatives of
high order, ends of a range that are approached and not attained) from the formulas of
reference.py in as many bits as it takes.
"""

from functools import cache
from math import comb, inf, isfinite, isinf

import numpy as np
from cases import DTYPES, ELEMENTWISE, INFERENCE, bit_patterns, neighbours, special
from mpmath import mp, mpf

FAR = 12.0             # kinks are looked for within this distance of 0
STEP = 2.0**-9         # of that grid
BITS = 2000            # enough to tell 1 from erf(30)
HIGHEST = 5            # order of the last derivative looked at


def standard(record):
    """The function with its default parameters; where one has none, the first in PARAMETERS."""
    cases = [case for case in (*ELEMENTWISE, *INFERENCE) if case.name == record.name]
    defaults = tuple(parameter.default for parameter in record.parameters)
    return next((case for case in cases if case.params == defaults), cases[0])


@cache
def graph(case, dtype):
    """(x, f(x), f'(x)) at sorted finite x of all magnitudes in the domain."""
    near = [0.0, 1.0, -1.0, *case.reference.interesting(*case.numbers)]
    x = np.concatenate([
        bit_patterns(dtype, 100_000), np.linspace(-FAR, FAR, 50_001), np.linspace(-99, 99, 20_001),
        special(dtype), *(neighbours(p, dtype) for p in near)]).astype(dtype)
    x = np.unique(x[np.isfinite(x)])
    y = case.value(x)
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    return x, y, case.derivative(x)


def domain(case):
    """The smallest and largest float64 for which it is not NaN, infinities included."""
    x = graph(case, np.float64)[0]
    low, high = float(x[0]), float(x[-1])
    outside = case.value(np.array([-inf, inf]))
    return (low if np.isnan(outside[0]) else -inf, high if np.isnan(outside[1]) else inf)


@cache
def exact(case, x, bits=BITS):
    with mp.workprec(bits):
        return case.reference.value(mpf(x), *map(mpf, case.numbers))


def slack(y, least=0.0):
    """What rounding may move a value by: the documented error, doubled for a difference."""
    return 4 * np.spacing(np.maximum(np.abs(y), y.dtype.type(least)))


# One-sided derivatives

@cache
def one_sided(case, at, order, side):
    """A derivative's limit from the left (side -1) or the right (1), without f(at) itself.

    From points 2^-48 apart: hard_sigmoid's kink is nearer to 3 than that, alpha being a float64.
    """
    with mp.workprec(700):
        h = side * mpf(2)**-48
        values = [case.reference.value(mpf(at) + (i + 1) * h, *map(mpf, case.numbers))
                  for i in range(order + 1)]
        return mp.fsum((-1)**(order - i) * comb(order, i) * v
                       for i, v in enumerate(values)) / h**order


def jump(case, at, order):
    """Whether the derivative of that order (0: the function) has unequal limits at a point."""
    left, right = (one_sided(case, at, order, side) for side in (-1, 1))
    return abs(left - right) > mpf(2)**-30 * max(1, abs(left), abs(right))


def smooth_points(case):
    """Points inside the domain where a formula might change, and some others."""
    low, high = domain(case)
    points = [0.0, 0.3125, 0.5, 1.0, -1.0, 2.5, -2.5, 6.0, -6.0,
              *case.reference.interesting(*case.numbers)]
    return [p for p in points if low < p < high]


@cache
def kinks_seen(case):
    """Where differences on a dense grid stand out from their neighbours: found without hints.

    A jump of the j-th derivative makes m-th differences of size step^j at one place, step^m
    everywhere else.
    """
    low, high = domain(case)
    edge = 64 * STEP                        # not where the function runs to infinity
    ends = (-FAR if isinf(low) else low + edge), (FAR if isinf(high) else high - edge)
    count = round((ends[1] - ends[0]) / STEP)
    # off the round numbers that kinks are, so that each lies between two points
    x = ends[0] + (np.arange(count) + 0.37) * STEP
    value, slope = case.value(x), case.derivative(x)
    found = []
    for y, orders in ((value, (1, 2)), (slope, (1, 2, 3))):
        for m in orders:
            differences = np.abs(np.diff(y, m))
            noise = 2.0**-44 * max(1.0, float(np.abs(y).max()))
            padded = np.pad(differences, 24, mode="edge")
            windows = np.lib.stride_tricks.sliding_window_view(padded, 49)
            around = np.maximum(windows[:, :18].max(1), windows[:, -18:].max(1))
            found.append(x[:len(differences)][differences > 20 * around + noise])
    return np.sort(np.concatenate(found))


# The checks

def check_range(record):
    """All values lie in it; each end is attained if closed, approached and not if open."""
    case = standard(record)
    low, high, low_closed, high_closed = record.range
    assert low < high
    for dtype in DTYPES:
        _, y, _ = graph(case, dtype)
        ends = np.clip(np.array([low, high]), np.finfo(dtype).min, np.finfo(dtype).max)
        unit = np.spacing(np.abs(ends.astype(dtype)))
        if isfinite(low):
            assert (y >= ends[0] - 2 * unit[0]).all(), f"{y.min()!r} is below {record.range}"
        if isfinite(high):
            assert (y <= ends[1] + 2 * unit[1]).all(), f"{y.max()!r} is above {record.range}"
    for end, closed, extreme in ((low, low_closed, np.argmin), (high, high_closed, np.argmax)):
        x, y, _ = graph(case, np.float64)
        at = float(x[extreme(y)])
        if isinf(end):
            reached = isinf(y[extreme(y)]) and mp.isinf(exact(case, at))    # a pole, no overflow
            assert closed == reached, f"{record.range}: f({at}) is {y[extreme(y)]}"
            assert abs(y[extreme(y)]) > 30, f"{record.range}: {end} is not approached"
            continue
        assert abs(y[extreme(y)] - end) <= 1e-12 * max(1, abs(end)), \
            f"{record.range}: {end} is not approached, the extreme is {y[extreme(y)]!r}"
        assert attained(case, end, at) == closed, \
            f"{record.range}: {end} is {'not ' if closed else ''}attained"


def attained(case, end, at):
    """Whether some input gives exactly `end` (to the 16 digits it is written with).

    An end that is only approached comes ever nearer outwards, so the nearest of points within
    30 is an outermost one, and not quite there.
    """
    low, high = domain(case)
    points = {p for p in (*np.linspace(-30, 30, 41).tolist(), *smooth_points(case), at)
              if low < p < high and abs(p) <= 30}
    points = sorted(points)
    with mp.workprec(BITS):
        distances = [abs(exact(case, p) - mpf(end)) for p in points]
        nearest = min(range(len(points)), key=distances.__getitem__)
        if distances[nearest] == 0:
            return True
        return (0 < nearest < len(points) - 1
                and distances[nearest] <= mpf(2)**-50 * max(1, abs(end)))


def check_bounded(record):
    """Bounded values stay small however large the input."""
    _, y, _ = graph(standard(record), np.float64)
    assert record.bounded == bool(np.abs(y).max() < 30)


def _never(y, direction, allowed):
    steps = direction * np.diff(y)      # inf - inf is NaN: no step
    return not (steps < -(allowed[1:] + allowed[:-1])).any()


def _moves(y, direction):
    """Whether it goes that way by more than rounding explains, between any two inputs."""
    y = np.clip(direction * y, -1e6, 1e6)
    return bool((np.maximum.accumulate(y) - y).max() > 1e-5)


def _check_monotonic(case, claim, column, least):
    for dtype in DTYPES:
        y = graph(case, dtype)[column]
        steady = [_never(y, direction, slack(y, least[dtype])) for direction in (1, -1)]
        if claim:
            assert any(steady), f"{case} both rises and falls in {dtype.__name__}"
        else:
            y = y[np.isfinite(y)]
            assert _moves(y, 1), f"{case} never falls"
            assert _moves(y, -1), f"{case} never rises"


def check_monotonic(record):
    """Values at sorted inputs go one way, or provably both."""
    _check_monotonic(standard(record), record.monotonic, 1, dict.fromkeys(DTYPES, 0.0))


def check_monotonic_derivative(record):
    """The same of f'; a function that jumps is neither convex nor concave."""
    case = standard(record)
    if any(jump(case, p, 0) for p in smooth_points(case)):
        assert not record.monotonic_derivative, f"{case} jumps"
        return
    least = ({np.float32: 2.0**-10, np.float64: 2.0**-2} if case.reference.interior_zero
             else dict.fromkeys(DTYPES, 0.0))
    _check_monotonic(case, record.monotonic_derivative, 2, least)


def check_zero_centred(record):
    """There are values of both signs."""
    _, y, _ = graph(standard(record), np.float64)
    assert record.zero_centred == bool((y < 0).any() and (y > 0).any())


def check_continuity(record):
    """The first k derivatives have no jump anywhere, the next one has."""
    case = standard(record)
    points = sorted({*record.kinks, *smooth_points(case)})
    orders = {p: next((j for j in range(HIGHEST + 1) if jump(case, p, j)), inf) for p in points}
    assert record.continuity == min(orders.values()) - 1, f"{case}: {orders}"
    if record.continuity >= 0:      # and f itself takes its limits
        for p in points:
            with mp.workprec(BITS):
                assert abs(exact(case, p) - one_sided(case, p, 0, 1)) < mpf(2)**-30
    for p in points:
        for j in range(HIGHEST + 1):
            for side in (-1, 1):
                limit = one_sided(case, p, j, side)
                assert abs(limit) < 1e6, f"{case}: derivative {j} at {p}"


def check_kinks(record):
    """Each listed one is one, in the formula and on a grid; the grid shows no other."""
    case = standard(record)
    assert list(record.kinks) == sorted(set(record.kinks))
    seen = kinks_seen(case)
    for kink in record.kinks:
        assert any(jump(case, kink, j) for j in range(HIGHEST + 1)), f"{case}: {kink} is none"
        assert (np.abs(seen - kink) < 4 * STEP).any(), f"{case}: no grid shows {kink}"
    listed = np.array([*record.kinks, inf])
    for place in seen:
        assert np.abs(listed - place).min() < 4 * STEP, f"{case}: a kink near {place}"
    for place in smooth_points(case):
        if place not in record.kinks:
            assert not any(jump(case, place, j) for j in range(HIGHEST + 1)), \
                f"{case}: {place} is a kink"


def check_identity_at_origin(record):
    """f(0) = 0 and f'(0) = 1 from both sides, and cyact's agree."""
    case = standard(record)
    low, high = domain(case)
    claim = (low < 0 < high
             and exact(case, 0) == 0
             and all(abs(one_sided(case, 0.0, 1, side) - 1) < mpf(2)**-30 for side in (-1, 1))
             and not jump(case, 0.0, 0)
             and float(case.value(np.float64(0))) == 0
             and float(case.derivative(np.float64(0))) == 1)
    assert record.identity_at_origin == bool(claim)


def check_saturates(record):
    """Values settle towards that end of the domain, and do not towards the other."""
    case = standard(record)
    low, high = domain(case)
    settles = [_settles(case, end, away) for end, away in ((low, -1), (high, 1))]
    names = {(True, True): "both", (True, False): "left", (False, True): "right",
             (False, False): "neither"}
    assert record.saturates == names[tuple(settles)]


def _settles(case, end, away):
    if isinf(end):
        x = away * np.array([1e100, 1e200, 1e300, inf])
    else:
        x = np.array([end - away * 2.0**-20, end - away * 2.0**-40, end])
    y = case.value(x)
    return bool(np.isfinite(y).all() and np.ptp(y) <= 1e-6)


def check_nonlinear(record):
    """The middle of some chord is not on the graph."""
    x, y, _ = graph(standard(record), np.float64)
    inner = np.abs(x) < 9
    x, y = x[inner], y[inner]
    straight = np.interp(x, [x[1], x[-2]], [y[1], y[-2]])
    assert record.nonlinear == bool(np.nanmax(np.abs(y - straight)) > 1e-3)


# Differences of the largest numbers overflow; that is no failure
CHECKS = {name.removeprefix("check_"): np.errstate(all="ignore")(check)
          for name, check in dict(globals()).items() if name.startswith("check_")}
