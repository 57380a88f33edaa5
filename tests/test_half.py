"""float16 and bfloat16: all 65,536 inputs of every function and derivative, correctly rounded.

Calls are computed until a function has been called for 131,072 elements; then its results for all
halves are known, and looked up or chosen. The bits must not show it.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cases import ELEMENTWISE, KERNELS, same_bits
from mpmath import mp, mpf
from reference import MP, precisely

import cyact
from cyact._engine import halves

ml_dtypes = pytest.importorskip("ml_dtypes")

levels = pytest.mark.levels
HALVES = [np.float16, ml_dtypes.bfloat16]
by_half = pytest.mark.parametrize("half", HALVES, ids=lambda d: d.__name__)
# At each level once a kernel, where the results are computed; with all parameters at one
by_case = pytest.mark.parametrize(
    "case", [pytest.param(case, marks=levels if case in KERNELS else ()) for case in ELEMENTWISE],
    ids=str)
ALL = np.arange(65536, dtype=np.uint16)


@pytest.fixture(autouse=True)
def nothing_known():
    """What is known is the last tests' business."""
    halves.forget()


def rounded(y, half):
    """float64 to the half type, once; ml_dtypes goes by way of float32 and rounds twice."""
    with np.errstate(all="ignore"):
        if half is np.float16:
            return y.astype(half)
        single = y.astype(np.float32)
        bits = single.view(np.uint32).copy()
        inexact = (single != y) & ~np.isnan(y)
        bits[inexact & (np.abs(single.astype(np.float64)) > np.abs(y))] -= 1
        bits[inexact] |= 1                       # to odd: the second rounding is then the only one
        return bits.view(np.float32).astype(half)


def expected(exact, wide, case, x, half, absolute):
    """Correctly rounded true values: the float64 formula, or mpmath where a tie is near."""
    with np.errstate(all="ignore"):
        y = np.asarray(wide(x, *case.numbers), np.float64)
    margin = np.abs(y) * 2.0**-28 + absolute
    margin[~np.isfinite(margin)] = 0
    near = rounded(y - margin, half).view(np.uint16) != rounded(y + margin, half).view(np.uint16)
    near &= np.isfinite(x) & ~np.isnan(y)
    exact = precisely(exact)
    y[near] = [to_float64(exact(float(v), *case.numbers)) for v in x[near]]
    return rounded(y, half)


def to_float64(true):
    """Towards zero, and odd unless exact: so that rounding it is rounding the true value."""
    with mp.workprec(MP):
        y = float(true)
        if mpf(y) == true or not np.isfinite(y):
            return y
        if abs(mpf(y)) > abs(true):
            y = np.nextafter(y, 0.0)
        bits = np.float64(y).view(np.uint64) | np.uint64(1)
        return float(bits.view(np.float64))


def assert_same(y, true, x, what):
    """Equal, or both NaN; the sign of a zero is looked at in test_special_values.py."""
    with np.errstate(invalid="ignore"):
        found, wanted = y.astype(np.float32), true.astype(np.float32)
    wrong = (found != wanted) & ~(np.isnan(found) & np.isnan(wanted))
    assert not wrong.any(), (
        f"{what}: {wrong.sum()} of {len(x)} wrong, first f({x[wrong][0]!r}) = {y[wrong][0]!r}, "
        f"not {true[wrong][0]!r}")


def finite(x):
    """Where the formulas hold: finite numbers. Infinities are in test_special_values.py."""
    with np.errstate(invalid="ignore"):
        return x[np.isfinite(x.astype(np.float64))]


@by_half
@by_case
def test_every_value_is_correctly_rounded(case, half):
    x = finite(ALL.view(half))
    true = expected(case.reference.value, case.reference.wide, case, x.astype(np.float64), half, 0)
    y = case.value(x)
    assert y.dtype == half
    assert_same(y, true, x, str(case))


@by_half
@by_case
def test_every_derivative_is_correctly_rounded(case, half):
    x = finite(ALL.view(half))
    absolute = 2.0**-38 if case.reference.interior_zero else 0
    true = expected(case.reference.derivative, case.reference.wide_derivative, case,
                    x.astype(np.float64), half, absolute)
    assert_same(case.derivative(x), true, x, f"derivative.{case}")


def bits(y):
    """As integers, with one for all NaN."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isnan(y.astype(np.float32)), 0x7fff, y.view(np.uint16))


def assert_known_as_computed(f, *x):
    """f of arrays of 65,536 halves, computed; then of more of them, again and again."""
    y = bits(f(*x))
    many = [np.concatenate([a, a, a, a[:5]]) for a in x]
    expected = np.concatenate([y, y, y, y[:5]])
    for _ in range(2):
        assert (bits(f(*many)) == expected).all()
    for step in (2, -1):
        assert (bits(f(*[a[::step] for a in many])) == expected[::step]).all()
    assert (bits(f(*[a[:10] for a in many])) == expected[:10]).all()


@by_half
@by_case
def test_results_are_the_same_when_they_are_known(case, half):
    x = ALL.view(half)
    grad = np.random.default_rng(5).permutation(ALL).view(half)
    with np.errstate(all="ignore"):
        assert_known_as_computed(case.value, x)
        assert_known_as_computed(case.derivative, x)
        assert_known_as_computed(case.backward, grad, x)
        if case.takes_output:
            assert_known_as_computed(lambda g, y: case.backward(g, output=y), grad, x)


@levels
@by_half
@pytest.mark.parametrize("name", ["leaky_relu", "hard_sigmoid", "hard_swish"])
def test_cheap_functions_are_right_in_place_and_in_pieces(name, half):
    f = getattr(cyact, name)
    x = np.random.default_rng(9).permutation(ALL).view(half)
    with np.errstate(all="ignore"):
        y = x.copy()
        f(y[:-7], out=y[:-7])
        assert_same(y[:-7], f(x)[:-7], x[:-7], name)
        parts = [f(part) for part in np.array_split(x, 4001)]
        assert_same(np.concatenate(parts), f(x), x, name)
        assert_same(f(x[::-3]), f(x)[::-3], x[::-3], name)


@levels
@by_half
@pytest.mark.parametrize("name", ["swiglu", "geglu", "reglu"])
def test_gated_units_are_the_same_when_they_are_known(name, half):
    rng = np.random.default_rng(6)
    grad, x, y = (rng.permutation(ALL).view(half) for _ in range(3))
    with np.errstate(all="ignore"):
        assert_known_as_computed(getattr(cyact, name), x, y)
        for i in range(2):
            assert_known_as_computed(lambda *a, i=i: getattr(cyact.backward, name)(*a)[i],
                                     grad, x, y)


@levels
@by_half
@pytest.mark.parametrize("name", ["identity", "relu", "leaky_relu", "hard_sigmoid", "hard_swish",
                                  "soft_shrink", "gelu"])
def test_known_results_in_place_and_with_threads(name, half):
    f = getattr(cyact, name)
    x = np.random.default_rng(7).permutation(np.tile(ALL, 5)).view(half)[3:]
    with np.errstate(all="ignore"):
        true = np.concatenate([f(part) for part in np.array_split(x, 99)])
        y = x.copy()
        f(y, out=y)
        assert (bits(y) == bits(true)).all()
        grad = x[::-1].copy()
        backward = getattr(cyact.backward, name)(grad, x)
        getattr(cyact.backward, name)(grad, x, out=grad)
        assert (bits(grad) == bits(backward)).all()
    before = cyact.get_num_threads()
    try:
        cyact.set_num_threads(2)
        assert (bits(f(np.tile(x, 20))) == np.tile(bits(true), 20)).all()
    finally:
        cyact.set_num_threads(before)


@levels
@by_half
def test_what_is_known_of_many_functions_is_bounded_and_not_mixed_up(half):
    x = np.random.default_rng(8).standard_normal(200_000).astype(half)
    slopes = np.linspace(0.3, 2.3, 50).tolist()
    first = [cyact.silu(x[:500], beta) for beta in slopes]

    def all_of(beta):
        return bits(cyact.silu(x, beta))[:500]

    with ThreadPoolExecutor(4) as pool:           # as one forgets, another may be reading
        for y, known in zip(first * 2, pool.map(all_of, slopes * 2), strict=True):
            assert (bits(y) == known).all()


def test_many_functions_in_turn_are_all_remembered():
    """Else each call would compute again: five times as long."""
    x = np.random.default_rng(4).standard_normal(70_000).astype(np.float16)
    cases = {case.name: case for case in ELEMENTWISE if case.name != "identity"}
    functions = list(cases)
    assert len(functions) > 30
    for _ in range(2):
        for case in cases.values():
            case.value(x)
    assert halves.known() >= len(functions)


def test_what_one_function_remembers_is_bounded():
    x = np.zeros(140_000, np.float16)
    for beta in np.linspace(0.5, 1.5, 30).tolist():
        cyact.silu(x, beta)
    assert 1 < halves.known() <= 10
    halves.forget()
    assert halves.known() == 0


@by_half
@by_case
def test_infinities_and_nan_are_those_of_float32(case, half):
    x = ALL.view(half)
    with np.errstate(all="ignore"):
        x = x[~np.isfinite(x.astype(np.float64))]
    with np.errstate(all="ignore"):
        single = x.astype(np.float32)
        assert_same(case.value(x), case.value(single).astype(half), x, str(case))
        assert_same(case.derivative(x), case.derivative(single).astype(half), x, str(case))


@by_half
@by_case
def test_a_bias_of_halves_is_rounded_right_at_ties(case, half):
    """Sums of two halves have few bits, so that functions give ties far more often than of any
    number."""
    if case.name == "silu" and case.numbers[0] > 20:
        pytest.skip("x and what is missing of it are further apart than the reference has digits")
    x = np.ldexp(np.arange(-2048, 2048, 7), -8)
    x = np.concatenate([x, x / 64]).astype(half)
    b = np.array([0.5, -1.0, 0.01220703125, 2.5], np.float64)
    total = x.astype(np.float64)[:, None] + b
    true = expected(case.reference.value, case.reference.wide, case, total.ravel(), half, 0)
    y = case.value(np.repeat(x[:, None], len(b), 1), bias=b.astype(np.float32))
    assert_same(y.ravel(), true, total.ravel(), str(case))


@by_half
@by_case
def test_infinities_do_not_depend_on_what_is_beside_them(case, half):
    """Results near a tie are computed again, with those beside them."""
    x = finite(ALL.view(half))[:9000 * 7].reshape(-1, 7)
    for infinity in np.array([-np.inf, np.inf], half):
        mixed = np.column_stack([x, np.full(len(x), infinity)])
        with np.errstate(all="ignore"):
            y = case.value(mixed.ravel())[7::8]
            true = case.value(np.array([infinity]))
        assert (bits(y) == bits(true)).all()


@by_half
@by_case
def test_backward_is_the_product_in_float32_rounded_once(case, half):
    rng = np.random.default_rng(3)
    x = rng.standard_normal(3000).astype(half)
    grad = rng.standard_normal(3000).astype(half)
    slopes = case.derivative(x.astype(np.float32))
    true = (grad.astype(np.float32) * slopes).astype(half)
    assert_same(case.backward(grad, x), true, x, f"backward.{case}")


@levels
@by_half
def test_results_come_back_in_kind(half):
    x = np.array([-1.0, 0.5, 2.0], half)
    room = np.empty_like(x)
    for y in (cyact.gelu(x), cyact.gelu(x[::-1])[::-1], cyact.gelu(x, out=room), room,
              cyact.gelu(x.reshape(3, 1), out=room.reshape(3, 1)).ravel(),
              cyact.gelu(np.ma.masked_array(x)).data,
              cyact.gelu([-1.0, 0.5, 2.0], dtype=half),
              np.array([cyact.gelu(v) for v in x])):
        assert y.dtype == half
        assert same_bits(y.astype(np.float32), cyact.gelu(x).astype(np.float32))
    y = x.copy()
    cyact.gelu(y, out=y)
    assert same_bits(y.astype(np.float32), room.astype(np.float32))


@levels
@by_half
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 1023, 1024, 1025, 5000])
def test_results_do_not_depend_on_length_or_stride(count, half):
    x = np.random.default_rng(count).standard_normal(2 * count).astype(half)
    whole = cyact.silu(x)
    assert (cyact.silu(x[:count]) == whole[:count]).all()
    assert (cyact.silu(x[::2]) == whole[::2]).all()
    assert (cyact.silu(x[::-1]) == whole[::-1]).all()


@levels
@by_half
def test_byte_swapped_and_mixed_input(half):
    x = np.linspace(-3, 3, 50).astype(half)
    if half is np.float16:
        assert (cyact.tanh(x.astype(">f2")) == cyact.tanh(x)).all()
    single = np.ones(50, np.float32)
    assert cyact.backward.tanh(single, x).dtype == np.float32
    assert cyact.backward.tanh(x, x).dtype == half
    assert cyact.tanh(x, out=np.empty(50)).dtype == np.float64
