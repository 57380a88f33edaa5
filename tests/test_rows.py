"""softmax, log_softmax and logsumexp: errors, special rows, axes, backward."""

import numpy as np
import pytest
import reference
from cases import DTYPES, FAMILY, REDUCING, same_bits
from reference import mp_ulps, ulps

import cyact

by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
by_name = pytest.mark.parametrize("name", ["softmax", "log_softmax"])
levels = pytest.mark.levels
INF, NAN = np.inf, np.nan
EXTENDED = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant + 8
wide_only = pytest.mark.skipif(not EXTENDED, reason="longdouble is no wider than float64 here")

TEMPERED = ["softmax", "log_softmax"]
TEMPERATURES = [1.0, 0.1, 3.7]


def rows_of(n, dtype, seed=0):
    """Rows of n entries: many spreads and offsets, ties, one entry far above the rest."""
    rng = np.random.default_rng([n, seed])
    rows = [rng.standard_normal(n) * spread + offset
            for spread in (0.01, 1, 10, 30, 200) for offset in (0, 100.3, -1000.7)]
    rows.append(np.zeros(n))
    rows.append(np.repeat(5.5, n))
    confident = rng.standard_normal(n)
    confident[n // 2] += 40
    rows.append(confident)
    with_gaps = rng.standard_normal(n) * 3
    with_gaps[1::3] = -INF
    rows.append(with_gaps)
    return np.array(rows).astype(dtype)


# Errors

@levels
@by_dtype
@by_name
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_values_are_within_two_ulps(name, dtype, temperature):
    for n in [*range(1, 18), 31, 33, 64, 70]:
        x = rows_of(n, dtype)
        y = getattr(cyact, name)(x, temperature)
        for row, found in zip(x, y, strict=True):
            finite = np.isfinite(row)          # -inf: 0 or -inf, in the special rows below
            true = getattr(reference, name)(row[finite].tolist(), temperature)
            errors = mp_ulps(found[finite], true)
            worst = errors.argmax()
            assert errors[worst] <= 2, (n, errors[worst], row, worst)


@levels
@by_dtype
def test_logsumexp_is_within_its_bound(dtype):
    """2 ulp of max(|f|, M) in float64, of max(|f|, 2^-28 M) in float32."""
    share = 2.0**-28 if dtype is np.float32 else 1.0
    for n in [*range(1, 18), 31, 33, 64, 70]:
        x = rows_of(n, dtype)
        cancelling = np.zeros((3, n), dtype)        # M and the logarithm cancel
        cancelling -= np.log(np.array([n, n + 1e-3, n - 1e-3]))[:, None].astype(dtype)
        for row in [*x, *cancelling]:
            true, scale = reference.logsumexp(row[np.isfinite(row)].tolist())
            error = mp_ulps(np.atleast_1d(cyact.logsumexp(row)), [true], scale * share)
            assert error <= 2, (n, error, row)


@levels
@wide_only
@by_dtype
@pytest.mark.parametrize("n", [128, 1000, 1025, 4096, 5000, 20_000, 2**17, 2**20])
def test_long_rows_are_within_two_ulps(n, dtype):
    rng = np.random.default_rng(n)
    for spread in (1, 10):
        x = (rng.standard_normal((2 if n < 2**17 else 1, n)) * spread).astype(dtype)
        assert ulps(cyact.softmax(x), reference.wide_softmax(x)).max() <= 2
        assert ulps(cyact.log_softmax(x), reference.wide_log_softmax(x)).max() <= 2
        true = reference.wide_logsumexp(x)
        assert ulps(cyact.logsumexp(x), true).max() <= 2


def winner(rng, n, share):
    """One entry, and others whose exponentials are much the same and add up to a share of it."""
    return np.append(np.log(share / max(n - 1, 1)) + 0.01 * rng.standard_normal(n - 1), 0)


ROWS = {
    "flat": lambda rng, n: np.full(n, 1.7),
    "flat but one": lambda rng, n: np.append(np.full(n - 1, -0.3), 2.9),
    "normal, 1": lambda rng, n: rng.standard_normal(n),
    "normal, 10": lambda rng, n: 10 * rng.standard_normal(n),
    "peaked": lambda rng, n: rng.standard_normal(n) + 30 * (np.arange(n) == n // 3),
    "rising": lambda rng, n: np.sort(10 * rng.standard_normal(n)),
    "falling": lambda rng, n: -np.sort(10 * rng.standard_normal(n)),
    "far out": lambda rng, n: rng.standard_normal(n) - 1000,
    "just below 256": lambda rng, n: 255.9 + rng.uniform(-200, 0, n),
    "an eighth for the others": lambda rng, n: winner(rng, n, 0.126),
    "a half for the others": lambda rng, n: winner(rng, n, 0.501),
}
LENGTHS = [2, 3, 10, 16, 100, 256, 257, 1000, 5000]
LONG = [32_000, 2**20]


@levels
@wide_only
@by_dtype
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize(
    "n", LENGTHS + [pytest.param(n, marks=pytest.mark.slow) for n in LONG])
def test_rows_of_every_kind_are_within_their_bounds(n, kind, dtype):
    """Along the last axis, and the same bits along the first."""
    rng = np.random.default_rng(n)
    x = np.array([ROWS[kind](rng, n) for _ in range(40 if n < 2000 else 2)]).astype(dtype)
    soft, log = cyact.softmax(x), cyact.log_softmax(x)
    some = slice(None, None, 1 if n < 100 else 5)      # the references take their time
    assert ulps(soft[some], reference.wide_softmax(x[some])).max() <= 2
    assert ulps(log[some], reference.wide_log_softmax(x[some])).max() <= 2
    assert np.abs(soft.astype(np.longdouble).sum(1) - 1).max() <= np.finfo(dtype).eps
    along = np.ascontiguousarray(x.T)
    assert same_bits(cyact.softmax(along, axis=0).T, soft)
    assert same_bits(cyact.log_softmax(along, axis=0).T, log)


@levels
@wide_only
@by_dtype
@pytest.mark.parametrize("n", [2, 3, 5, 8, 9, 16, 17, 48, 128, 256, 257, 1000])
def test_the_winner_is_right_whatever_share_the_others_have(n, dtype):
    """All others alike: their sums' rounding errors add up. Some beside coarse units."""
    rng = np.random.default_rng(n)
    shares = 2.0 ** np.arange(-30, 3, 0.37)
    x = np.array([winner(rng, n, share) for share in shares])
    x[1::2, :-1] = np.log(shares[1::2] / (n - 1))[:, None]
    for offset in (0, 37.3, -500):
        logits = (x + offset).astype(dtype)
        true = reference.wide_log_softmax(logits)
        assert ulps(cyact.log_softmax(logits), true).max() <= 2
        loss = cyact.cross_entropy(logits, np.full(len(x), n - 1), reduction="none")
        assert ulps(loss, -true[:, -1]).max() <= 2


@levels
@by_dtype
@pytest.mark.parametrize("n", [1, 2, 5, 8, 9, 15, 16, 17, 31, 33, 64, 100, 255, 256, 257, 300,
                               600, 1025])
def test_every_way_through_the_kernels_gives_the_same_bits(n, dtype):
    """Batches, layouts and places where rows are read in blocks or packed, and nothing beside."""
    rng = np.random.default_rng(n)
    x = (rng.standard_normal((70, n)) * 4).astype(dtype)
    x[5] += 300
    x[6, 0] += 50
    x[7] = np.nan
    g = rng.standard_normal(x.shape).astype(dtype)
    calls = [
        lambda x, g, axis, **out: cyact.softmax(x, axis=axis, **out),
        lambda x, g, axis, **out: cyact.log_softmax(x, axis=axis, **out),
        lambda x, g, axis, **out: cyact.backward.softmax(g, None, axis=axis, output=x, **out),
        lambda x, g, axis, **out: cyact.backward.log_softmax(g, None, axis=axis, output=x, **out),
    ]
    wide = np.zeros((70, n + 3), dtype)
    target = rng.integers(0, n, 70)
    for call in calls:
        expected = call(x, g, 1)
        for rows in (1, 2, 3, 33, 40):
            assert same_bits(call(x[:rows], g[:rows], 1), expected[:rows])
        assert same_bits(call(x[::-1], g[::-1], 1), expected[::-1])
        for lay in (np.asfortranarray, lambda a: np.repeat(a, 2, 1)[:, ::2],
                    lambda a: np.hstack([a, a])[:, :n]):
            assert same_bits(call(lay(x), lay(g), 1), expected)
        columns = np.ascontiguousarray(x.T), np.ascontiguousarray(g.T)
        assert same_bits(call(*columns, 0).T, expected)
        assert same_bits(call(*(a[:, 3:40] for a in columns), 0).T, expected[3:40])
        wide[:] = 7
        call(x, g, 1, out=wide[:, :n])
        assert same_bits(wide[:, :n], expected)
        assert (wide[:, n:] == 7).all()
        room = np.full(70 * n + 40, 7, dtype)
        call(x, g, 1, out=room[20:-20].reshape(70, n))
        assert same_bits(room[20:-20].reshape(70, n), expected)
        assert (room[:20] == 7).all()
        assert (room[-20:] == 7).all()
        for place in (0, 1):
            a = x.copy(), g.copy()
            call(*a, 1, out=a[place])
            assert same_bits(a[place], expected)
    loss, grad = cyact.cross_entropy(x, target, reduction="none", return_grad=True)
    across = cyact.cross_entropy(columns[0], target, axis=0, reduction="none", return_grad=True)
    assert same_bits(across[0], loss)
    assert same_bits(across[1].T, grad)
    few = cyact.cross_entropy(x[:3], target[:3], reduction="none", return_grad=True)
    assert same_bits(few[0], loss[:3])
    assert same_bits(few[1], grad[:3])


@levels
@pytest.mark.parametrize("n", [3, 10, 40, 300])
def test_cross_entropy_takes_factors_that_are_no_floats(n):
    """Divided by the sum, which is kept 2^60 times too great, the weights would be 0 or inf."""
    x = np.random.default_rng(n).standard_normal((4, n)).astype(np.float32)
    target = np.array([0, 1, 2, 0])
    plain = cyact.cross_entropy(x, target, reduction="sum", return_grad=True)[1]
    for weight in (1e-35, 1e30):
        got = cyact.cross_entropy(x, target, reduction="sum", return_grad=True,
                                  weight=np.full(n, weight))[1]
        np.testing.assert_allclose(got.astype(float), plain.astype(float) * weight, rtol=1e-6,
                                   atol=1e-44)


@levels
@by_dtype
@pytest.mark.parametrize("n", [1, 2, 10, 1000, 50_000, 2**20])
def test_softmax_sums_to_one(n, dtype):
    rng = np.random.default_rng(n)
    for spread in (0.1, 3, 30):
        x = (rng.standard_normal((3, n)) * spread).astype(dtype)
        for axis, laid in [(-1, x), (0, np.ascontiguousarray(x.T))]:
            sums = cyact.softmax(laid, axis=axis).astype(np.longdouble).sum(axis)
            assert np.abs(sums - 1).max() <= (2.0**-23 if dtype is np.float32 else 2.0**-52)


@levels
@by_dtype
def test_confident_rows_keep_their_digits(dtype):
    """Others give 0 here."""
    y = cyact.log_softmax(np.array([0, -20], dtype))
    np.testing.assert_allclose(y, [-2.0611536181902037e-09, -20.000000002061153], rtol=3e-7)
    y = cyact.log_softmax(np.array([[0, -80], [-80, 0]], dtype))
    np.testing.assert_allclose(y.diagonal(), [-1.8048513878454153e-35] * 2, rtol=3e-7)
    y = cyact.logsumexp(np.array([0, -20], dtype))
    np.testing.assert_allclose(y, 2.0611536181902037e-09, rtol=3e-7)


def test_the_documented_example():
    np.testing.assert_array_equal(cyact.softmax([-0.5, 1.2, -0.1, 2.4]).round(2),
                                  [0.04, 0.21, 0.06, 0.70])


@levels
@by_dtype
def test_temperature_is_exact_in_float32(dtype):
    """As if x / T were not rounded: 0.1 is not a float32."""
    x = np.array([0, -50.5, -70.25], dtype)
    for temperature in (0.1, 1 / 3, 1e-3, 1e5, 1e-300, 1e300):
        true = reference.softmax(x.tolist(), temperature)
        assert mp_ulps(cyact.softmax(x, temperature), true).max() <= 2


@levels
@by_dtype
def test_values_near_the_ends_of_the_range(dtype):
    top = np.finfo(dtype).max
    np.testing.assert_array_equal(cyact.softmax(np.array([top, -top, top], dtype)), [0.5, 0, 0.5])
    np.testing.assert_array_equal(cyact.softmax(np.array([-top, -top], dtype)), [0.5, 0.5])
    assert cyact.logsumexp(np.array([top, -top, 0], dtype)) == top
    y = cyact.log_softmax(np.array([top, 0], dtype))
    np.testing.assert_array_equal(y, [0, -top])
    tiny = np.finfo(dtype).smallest_subnormal
    np.testing.assert_array_equal(cyact.softmax(np.array([tiny, -tiny], dtype)), [0.5, 0.5])


@levels
@by_dtype
def test_small_probabilities_are_not_flushed(dtype):
    lowest = float(np.log(float(np.finfo(dtype).smallest_subnormal)))
    tails = np.linspace(np.log(float(np.finfo(dtype).tiny)), lowest + 0.5, 20)
    x = np.array([0, *tails], dtype)
    y = cyact.softmax(x)
    assert (y > 0).all()
    assert mp_ulps(y, reference.softmax(x.tolist())).max() <= 2


@levels
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n", [600, 2100, 5000, 20_000])
@pytest.mark.parametrize("more", [1, 2, 17])
def test_the_last_rows_of_many_fit_as_the_first_do(n, more, dtype):
    """Rows are packed in pieces, and the last piece has fewer of them."""
    x = np.random.default_rng(n).standard_normal((n, 64 + more)).astype(dtype)
    rows = np.ascontiguousarray(x.T)
    for function in (cyact.softmax, cyact.log_softmax, cyact.logsumexp, cyact.sparsemax):
        assert same_bits(np.asarray(function(x, axis=0)).T, function(rows, axis=1))


@levels
def test_a_gradient_of_one_entry_a_row_may_lie_in_any_order():
    x = np.random.default_rng(0).standard_normal((3, 20_000)).astype(np.float16)
    grad = np.arange(1, 4, dtype=np.float16).reshape(3, 1)
    expected = cyact.backward.logsumexp(grad, x)
    assert same_bits(cyact.backward.logsumexp(np.asfortranarray(grad), x), expected)
    assert same_bits(cyact.backward.logsumexp(grad[:, 0], x), expected)


# Special rows

@levels
@by_dtype
@pytest.mark.parametrize("n", [1, 2, 5, 16, 17, 40, 3000])
@pytest.mark.parametrize("axis", [0, 1])
def test_special_rows(dtype, n, axis):
    fine = np.linspace(-1, 1, n)
    rows = {"fine": fine}
    for at in {0, n // 2, n - 1}:
        for label, value in [("nan", NAN), ("+inf", INF), ("-inf", -INF)]:
            rows[f"{label} at {at}"] = np.where(np.arange(n) == at, value, fine)
    rows["-inf everywhere"] = np.full(n, -INF)
    rows["+inf everywhere"] = np.full(n, INF)
    rows["nan and +inf"] = np.where(np.arange(n) % 2, INF, NAN)
    x = np.array(list(rows.values()), dtype)
    given = x if axis == 1 else np.ascontiguousarray(x.T)
    soft, log = (np.moveaxis(f(given, axis=axis), axis, 1)
                 for f in (cyact.softmax, cyact.log_softmax))
    total = cyact.logsumexp(given, axis=axis)
    for i, label in enumerate(rows):
        row = x[i]
        if np.isnan(row).any() or (row == INF).any() or (row == -INF).all():
            assert np.isnan(soft[i]).all(), label
            assert np.isnan(log[i]).all(), label
        else:
            assert np.isfinite(soft[i]).all(), label
            np.testing.assert_array_equal(soft[i] == 0, row == -INF, label)
            np.testing.assert_array_equal(log[i] == -INF, row == -INF, label)
        if np.isnan(row).any():
            assert np.isnan(total[i]), label
        elif (row == INF).any():
            assert total[i] == INF, label
        elif (row == -INF).all():
            assert total[i] == -INF, label
        else:
            assert np.isfinite(total[i]), label


@levels
@by_dtype
def test_a_row_of_one_entry(dtype):
    x = np.array([[3.7], [-1e30], [0.0], [-0.0]], dtype)
    np.testing.assert_array_equal(cyact.softmax(x), np.ones_like(x))
    assert same_bits(np.abs(cyact.log_softmax(x)), np.zeros_like(x))
    np.testing.assert_array_equal(cyact.logsumexp(x), x[:, 0])


@by_dtype
def test_axes_of_length_zero(dtype):
    x = np.empty((3, 0), dtype)
    for function in (cyact.softmax, cyact.log_softmax):
        assert function(x).shape == (3, 0)
        assert function(x, axis=0).shape == (3, 0)
    np.testing.assert_array_equal(cyact.logsumexp(x), [-INF] * 3)
    assert cyact.logsumexp(x, axis=0).shape == (0,)
    assert cyact.logsumexp(x, keepdims=True).shape == (3, 1)
    assert cyact.logsumexp(np.empty(0, dtype)) == -INF
    assert cyact.backward.softmax(x, x).shape == (3, 0)
    assert cyact.backward.logsumexp(np.ones(3, dtype), x).shape == (3, 0)


# Axes and shapes

@by_dtype
@pytest.mark.parametrize("shape", [(5,), (4, 7), (3, 4, 5), (2, 3, 4, 5), (2, 1, 3, 1, 4)], ids=str)
def test_every_axis(shape, dtype):
    x = (np.random.default_rng(0).standard_normal(shape) * 4).astype(dtype)
    for axis in range(-x.ndim, x.ndim):
        last = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        for function in (cyact.softmax, cyact.log_softmax):
            assert same_bits(np.moveaxis(function(x, axis=axis), axis, -1), function(last))
        total = cyact.logsumexp(x, axis=axis)
        assert same_bits(total, cyact.logsumexp(last))
        kept = cyact.logsumexp(x, axis=axis, keepdims=True)
        assert same_bits(kept, np.expand_dims(np.asarray(total), axis))
        out = np.empty(total.shape, dtype)
        assert cyact.logsumexp(x, axis=axis, out=out) is out
        assert same_bits(out, np.asarray(total))


# Backward

def rounded_gradients(name, grad, x, axis, temperature=1.0):
    """The formulas in longdouble."""
    grad = grad.astype(np.longdouble)
    if name in REDUCING:
        return np.expand_dims(grad, axis) * reference.wide_softmax(x, axis)
    if name == "softmin":
        return -rounded_gradients("softmax", grad, -x, axis)
    y = reference.wide_softmax(x, axis, temperature)
    if name == "softmax":
        return y * (grad - (grad * y).sum(axis, keepdims=True)) / np.longdouble(temperature)
    return (grad - y * grad.sum(axis, keepdims=True)) / np.longdouble(temperature)


@levels
@wide_only
@by_dtype
@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("shape", [(6, 1), (6, 2), (6, 10), (6, 33), (4, 300), (2, 5000)], ids=str)
def test_backward_is_the_vector_product(name, shape, dtype):
    """Relative to the terms of the difference, which is what its cancelling allows."""
    rng = np.random.default_rng(4)
    for axis in (0, 1):
        for temperature in TEMPERATURES if name in TEMPERED else [1.0]:
            x = (rng.standard_normal(shape) * 3).astype(dtype)
            grad = rng.standard_normal(cyact.logsumexp(x, axis=axis).shape
                                       if name in REDUCING else shape).astype(dtype)
            params = (temperature,) if name in TEMPERED else ()
            y = getattr(cyact.backward, name)(grad, x, *params, axis=axis)
            true = rounded_gradients(name, grad, x, axis, temperature)
            soft = reference.wide_softmax(-x if name == "softmin" else x, axis, temperature)
            scale = np.abs(grad).max() / temperature * soft
            if name == "log_softmax":
                scale = (np.abs(grad) + soft * np.abs(grad.sum(axis, keepdims=True))) / temperature
            eps = np.finfo(dtype).eps
            assert (np.abs(y - true) <= 4 * eps * scale + np.finfo(dtype).smallest_subnormal).all()
            assert y.dtype == dtype


@by_dtype
@by_name
def test_backward_from_the_output_agrees_with_backward_from_x(name, dtype):
    rng = np.random.default_rng(4)
    x = (rng.standard_normal((7, 10)) * 3).astype(dtype)
    grad = rng.standard_normal(x.shape).astype(dtype)
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    for temperature in TEMPERATURES:
        for axis in (0, 1):
            output = function(x, temperature, axis)
            found = backward(grad, None, temperature, axis, output=output)
            np.testing.assert_allclose(found, backward(grad, x, temperature, axis), rtol=0,
                                       atol=200 * np.finfo(dtype).eps / temperature)


@by_dtype
@pytest.mark.parametrize("name", FAMILY)
def test_backward_is_the_slope_of_the_value(name, dtype):
    """Against central differences in float64."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 5))
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    grad = rng.standard_normal(function(x).shape)
    slopes = np.empty_like(x)
    step = 1e-6
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += step
        down[at] -= step
        slopes[at] = ((function(up) - function(down)) * grad).sum() / (2 * step)
    found = backward(grad.astype(dtype), x.astype(dtype))
    np.testing.assert_allclose(found, slopes, atol=1e-8 if dtype is np.float64 else 1e-5)


@by_dtype
def test_backward_in_place(dtype):
    x = np.linspace(-3, 3, 70).reshape(7, 10).astype(dtype)
    grad = np.cos(x)
    for name in ("softmax", "log_softmax"):
        backward = getattr(cyact.backward, name)
        expected = backward(grad, x)
        for over in ("grad", "x"):
            a, b = grad.copy(), x.copy()
            out = a if over == "grad" else b
            assert backward(a, b, out=out) is out
            assert same_bits(out, expected)
    room = x.copy()
    g = np.ones(7, dtype)
    expected = cyact.backward.logsumexp(g, x)
    assert same_bits(cyact.backward.logsumexp(g, room, out=room), expected)


@by_dtype
def test_logsumexp_gradients_come_in_both_shapes(dtype):
    x = np.linspace(-3, 3, 24).reshape(2, 3, 4).astype(dtype)
    for axis in (0, 1, 2, -1):
        grad = np.cos(cyact.logsumexp(x, axis=axis))
        one = cyact.backward.logsumexp(grad, x, axis)
        assert same_bits(one, cyact.backward.logsumexp(np.expand_dims(grad, axis), x, axis))
        assert one.shape == x.shape


def test_backward_refuses_what_does_not_fit():
    x = np.ones((3, 4))
    for name in ("softmax", "log_softmax"):
        backward = getattr(cyact.backward, name)
        with pytest.raises(TypeError, match="exactly one of x and output"):
            backward(x)
        with pytest.raises(TypeError, match="exactly one of x and output"):
            backward(x, x, output=x)
        for grad in (x[0], x.T, 1.0, x[None]):
            with pytest.raises(ValueError, match=rf"backward.{name}.*\(3, 4\), got"):
                backward(grad, x)
        with pytest.raises(TypeError, match="not supported"):
            backward(x.astype(complex), x)
        with pytest.raises(ValueError, match="temperature must be positive"):
            backward(x, x, 0)
    for grad in (x, np.ones(4), 1.0, np.ones((1, 3))):
        with pytest.raises(ValueError, match=r"backward.logsumexp: grad must have the shape"):
            cyact.backward.logsumexp(grad, x)


# Bias

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "axis"), [((7, 10), -1), ((7, 10), 0), ((40, 3, 50), 1),
                                             ((300, 1000), -1), ((5,), 0), ((0, 4), 1)])
def test_a_bias_is_added_first_to_the_bit(name, shape, axis, dtype):
    rng = np.random.default_rng(4)
    x = rng.normal(0, 3, shape).astype(dtype)
    bias = rng.normal(0, 3, shape[-1]).astype(dtype)
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    expected = function(x + bias, 0.7, axis)
    assert same_bits(function(x, 0.7, axis, bias=bias), expected)
    room = np.empty_like(x)
    assert function(x, 0.7, axis, bias=bias, out=room) is room
    assert same_bits(room, expected)
    room = x.copy()
    assert same_bits(function(room, 0.7, axis, bias=bias, out=room), expected)
    transposed = np.asfortranarray(x)
    assert same_bits(function(transposed, 0.7, axis, bias=bias), expected)
    for count in (1, 3):
        with cyact.num_threads(count):
            assert same_bits(function(x, 0.7, axis, bias=bias), expected)
    grad = rng.standard_normal(shape).astype(dtype)
    for given in ({"x": x}, {"output": expected}):
        dx = backward(grad, x + bias if "x" in given else None, 0.7, axis,
                      output=given.get("output"))
        found, dbias = backward(grad, given.get("x"), 0.7, axis, output=given.get("output"),
                                bias=bias)
        assert same_bits(found, dx)
        assert dbias.dtype == dtype
        total = dx.reshape(-1, shape[-1]).sum(0, dtype=np.longdouble)
        np.testing.assert_allclose(dbias, total, rtol=2 * np.finfo(dtype).eps, atol=1e-15)


def test_a_bias_that_does_not_fit_is_refused_and_nothing_written():
    x, room = np.ones((3, 4)), np.full((3, 4), 7.0)
    for bad in (np.ones(3), np.ones((1, 4)), 1.0):
        with pytest.raises(ValueError, match="softmax: bias must have one entry"):
            cyact.softmax(x, bias=bad, out=room)
        with pytest.raises(ValueError, match=r"backward\.softmax: bias must have one entry"):
            cyact.backward.softmax(x, output=x, bias=bad)
    with pytest.raises(ValueError, match="temperature must be positive"):
        cyact.softmax(x, -1.0, bias=np.ones(4), out=room)
    with pytest.raises(ValueError, match="out of bounds"):
        cyact.softmax(x, axis=2, bias=np.ones(4), out=room)
    with pytest.raises(ValueError, match="out must have"):
        cyact.softmax(x, bias=np.ones(4), out=np.empty(3))
    assert (room == 7).all()
