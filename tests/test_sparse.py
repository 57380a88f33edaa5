"""sparsemax, entmax, hardmax, maxout, weighted logsumexp and the Jacobians along an axis."""

from functools import partial

import numpy as np
import pytest
import reference
from cases import DTYPES, same_bits
from mpmath import mp, mpf
from reference import mp_ulps

import cyact

by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
levels = pytest.mark.levels
INF, NAN = np.inf, np.nan

# alpha: 2 is sparsemax, 1.5 entmax15
ALPHAS = [1 + 2.0**-40, 1.01, 1.1, 1.25, 1.5, 1.7, 1.999, 2, 2.001, 2.5, 4]
# At each level one for each way of computing; all of them at one level
by_alpha = pytest.mark.parametrize(
    "alpha", [pytest.param(a, marks=levels if a in (1.1, 1.5, 2, 2.5) else ()) for a in ALPHAS])
SPARSE = {"sparsemax": 2, "entmax15": 1.5}
by_sparse = pytest.mark.parametrize("name", SPARSE)
LENGTHS = [1, 2, 3, 10, 17, 64, 65]


def rows_of(n, dtype):
    """Rows of n entries: many spreads and offsets, ties, entries close to the border."""
    rng = np.random.default_rng(n)
    for spread in (1e-3, 0.1, 1, 30):
        for offset in (0, 100.3, -1e5):
            yield (rng.standard_normal(n) * spread + offset).astype(dtype)
    yield np.zeros(n, dtype)
    yield rng.standard_normal(n).round(1).astype(dtype)
    yield (-np.geomspace(1e-6, 3, n)).astype(dtype)
    yield np.geomspace(1e-30, 1, n).astype(dtype)           # y is as small as the entries
    gaps = rng.standard_normal(n).astype(dtype)
    gaps[1::3] = -INF
    yield gaps
    huge = np.zeros(n, dtype)
    huge[::2] = np.finfo(dtype).max
    huge[1::4] = -np.finfo(dtype).max
    yield huge


def ulps_of_one(found, true):
    """The largest error against mpmath numbers, in ulps of 1."""
    errors = [abs(mpf(y) - t) for y, t in zip(found.tolist(), true, strict=True)]
    return float(max(errors)) / np.finfo(found.dtype).eps


# Values

@by_dtype
@by_alpha
def test_values_are_within_their_bound(alpha, dtype):
    for n in LENGTHS if alpha <= 2 else LENGTHS[:4]:
        for row in rows_of(n, dtype):
            true = reference.entmax(row.tolist(), alpha)
            found = cyact.entmax(row, alpha)
            least = np.finfo(dtype).smallest_subnormal
            np.testing.assert_array_equal(found[[y == 0 or y > least for y in true]] == 0,
                                          [y == 0 for y in true if y == 0 or y > least])
            if dtype is np.float32 or alpha in SPARSE.values():
                errors = mp_ulps(found, true)
                assert errors.max() <= 1, (n, row, errors.argmax())
            else:
                assert ulps_of_one(found, true) <= 4, (n, row)


@by_dtype
@pytest.mark.parametrize("alpha", [1.001, 1.3, 2.6, 10, 20])
@pytest.mark.parametrize("n", [100, 1000])
def test_rows_of_many_entries_are_within_their_bound(n, alpha, dtype):
    row = np.random.default_rng(n).standard_normal(n).astype(dtype)
    true = reference.entmax(row.tolist(), alpha)
    found = cyact.entmax(row, alpha)
    np.testing.assert_array_equal(found == 0, [y == 0 for y in true])
    assert ulps_of_one(found, true) <= 4


@levels
@by_dtype
def test_a_small_entry_of_a_large_alpha(dtype):
    """It exceeds tau by 2e-31, and (alpha - 1) * max(x) does so by 0.6."""
    row = np.array([0.06154744601361212, 0.02842804075114971], dtype)
    true = [0.97591597676, 0.02408402324] if dtype is np.float64 else reference.entmax(
        row.tolist(), 20.0)
    np.testing.assert_allclose(cyact.entmax(row, 20.0), np.array(true, float), rtol=0,
                               atol=max(1e-11, np.finfo(dtype).eps))


@by_dtype
@pytest.mark.parametrize("alpha", [1.25, 1.75, 3, 5])
def test_an_entry_at_the_edge_of_the_support_is_zero(alpha, dtype):
    """One that is 1 / (alpha - 1) below the maximum, for alphas of which that is exact or above."""
    edge = np.array([0, -1 / (alpha - 1)], dtype)
    for value, last in [(edge[1], 0), (np.nextafter(edge[1], dtype(-9)), 0)]:
        np.testing.assert_array_equal(cyact.entmax(np.array([0, value], dtype), alpha), [1, last])


@levels
@by_dtype
@by_sparse
@pytest.mark.parametrize("n", [1000, 1025, 20_000, 2**20])
def test_long_rows(name, n, dtype):
    """The threshold of a long row, from its support alone."""
    rng = np.random.default_rng(n)
    for spread in (1e-6, 1, 10):
        row = (rng.standard_normal(n) * spread).astype(dtype)
        if spread < 1 and n > 2000:       # hardly anything falls out: too much for mpmath
            row = row[:2000]
        candidates = np.sort(row[row > row.max() - 2])[::-1]
        true = iter(reference.entmax(candidates.tolist(), SPARSE[name]))
        errors = mp_ulps(np.sort(getattr(cyact, name)(row))[::-1][:len(candidates)], list(true))
        assert errors.max() <= 1


@by_dtype
def test_entmax_is_the_others_for_their_alpha(dtype):
    x = np.random.default_rng(1).standard_normal((50, 12)).astype(dtype)
    grad = x[::-1]
    for alpha, name in [(1, "softmax"), (1.5, "entmax15"), (2, "sparsemax")]:
        assert same_bits(cyact.entmax(x, alpha), getattr(cyact, name)(x))
        assert same_bits(cyact.backward.entmax(grad, x, alpha),
                         getattr(cyact.backward, name)(grad, x))
    assert same_bits(cyact.entmax(x), cyact.entmax15(x))


@by_dtype
@pytest.mark.parametrize("alpha", [1, 1.3, 1.5, 2, 3, 50, 1e6])
def test_rows_sum_to_one(alpha, dtype):
    x = np.random.default_rng(1).standard_normal((50, 200)).astype(dtype)
    sums = cyact.entmax(x, alpha).astype(np.longdouble).sum(-1)
    assert np.abs(sums - 1).max() <= 4 * np.finfo(dtype).eps


@by_dtype
def test_a_large_alpha_shares_among_the_maxima(dtype):
    np.testing.assert_array_equal(cyact.entmax(np.array([3, 1, 3, 2.5], dtype), 1e4),
                                  [0.5, 0, 0.5, 0])


# Rows with infinities and NaN

@levels
@by_dtype
@pytest.mark.parametrize("n", [1, 2, 17, 64, 65, 1500])
@pytest.mark.parametrize("axis", [0, 1])
def test_special_rows(n, axis, dtype):
    fine = np.linspace(-1, 1, n)
    rows = {"fine": fine, "-inf": np.full(n, -INF), "+inf": np.full(n, INF),
            "both": np.where(np.arange(n) % 2, -INF, INF)}
    for at in {0, n // 2, n - 1}:
        for value in (NAN, INF, -INF):
            rows[f"{value} at {at}"] = np.where(np.arange(n) == at, value, fine)
    x = np.array(list(rows.values()), dtype)
    given = x if axis == 1 else np.ascontiguousarray(x.T)
    functions = [cyact.sparsemax, cyact.entmax15, partial(cyact.entmax, alpha=1.2),
                 partial(cyact.entmax, alpha=3)]
    for function in functions:
        y = np.moveaxis(function(given, axis=axis), axis, 1)
        for label, row, found in zip(rows, x, y, strict=True):
            if np.isnan(row).any() or (row == INF).any() or (row == -INF).all():
                assert np.isnan(found).all(), label
            else:
                assert np.isfinite(found).all(), label
                assert (found[row == -INF] == 0).all(), label
                assert found.sum() == pytest.approx(1), label
    hard = np.moveaxis(cyact.hardmax(given, axis=axis), axis, 1)
    for label, row, found in zip(rows, x, hard, strict=True):
        if np.isnan(row).any():
            assert np.isnan(found).all(), label
        else:
            np.testing.assert_array_equal(found, np.arange(n) == row.argmax(), label)


@by_dtype
def test_entries_that_are_left_out_do_not_disturb_the_row(dtype):
    """-inf stands for them."""
    rng = np.random.default_rng(2)
    for n in (5, 64, 65, 1500):
        row = rng.standard_normal(n).astype(dtype)
        keep = rng.random(n) < 0.7
        keep[0] = True
        for function in (cyact.hardmax, cyact.sparsemax, cyact.entmax15,
                         partial(cyact.entmax, alpha=1.2)):
            y = function(np.where(keep, row, dtype(-INF)))
            np.testing.assert_allclose(y[keep], function(row[keep]), rtol=1e-6)
            assert (y[~keep] == 0).all()


@by_dtype
def test_axes_of_length_zero(dtype):
    x = np.empty((3, 0), dtype)
    for name in ("hardmax", "sparsemax", "entmax15", "entmax"):
        assert getattr(cyact, name)(x).shape == (3, 0)
        assert getattr(cyact, name)(x, axis=0).shape == (3, 0)
        assert getattr(cyact.backward, name)(x, x).shape == (3, 0)
    assert cyact.maxout(x, 2).shape == (3, 0)
    assert cyact.backward.maxout(x, x, 2).shape == (3, 0)
    np.testing.assert_array_equal(cyact.logsumexp(x, b=1.0), [-INF] * 3)
    assert cyact.derivative.softmax(x).shape == (3, 0, 0)
    assert cyact.derivative.sparsemax(x).shape == (3, 0, 0)


# maxout

@by_dtype
@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 70])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_maxout(pieces, axis, dtype):
    shape = [3, 4, 2]
    shape[axis] *= pieces
    x = np.random.default_rng(0).standard_normal(shape).round(1).astype(dtype)
    y = cyact.maxout(x, pieces, axis)
    runs = np.moveaxis(x, axis, -1)
    runs = runs.reshape(*runs.shape[:-1], -1, pieces)
    assert same_bits(np.moveaxis(y, axis, -1), runs.max(-1))
    out = np.empty_like(y)
    assert cyact.maxout(x, pieces, axis, out=out) is out
    assert same_bits(out, y)
    grad = np.cos(y)
    dx = cyact.backward.maxout(grad, x, pieces, axis)
    expected = np.zeros_like(runs)
    np.put_along_axis(expected, runs.argmax(-1)[..., None],
                      np.moveaxis(grad, axis, -1)[..., None], -1)
    expected = np.moveaxis(expected.reshape(np.moveaxis(x, axis, -1).shape), -1, axis)
    assert same_bits(dx, np.ascontiguousarray(expected))
    assert cyact.backward.maxout(grad, x, pieces, axis, out=x) is x
    assert same_bits(x, dx)


@by_dtype
def test_maxout_of_nan_and_infinities(dtype):
    x = np.array([1, NAN, 2, 3, -INF, -INF, INF, INF], dtype)
    np.testing.assert_array_equal(cyact.maxout(x, 2), [NAN, 3, -INF, INF])
    np.testing.assert_array_equal(cyact.backward.maxout(np.full(4, 5, dtype), x, 2),
                                  [NAN, NAN, 0, 5, 5, 0, 5, 0])


def test_maxout_of_masked_arrays():
    x = np.ma.array([1.0, 9.0, 2.0, 3.0], mask=[0, 1, 1, 1])
    y = cyact.maxout(x, 2)
    assert y[0] == 1
    np.testing.assert_array_equal(y.mask, [False, True])


def test_maxout_refuses_what_does_not_divide():
    x = np.ones((4, 6))
    for pieces in (4, 0, -2):
        with pytest.raises(ValueError, match=r"maxout: pieces must be at least 1 and divide.*6"):
            cyact.maxout(x, pieces)
        with pytest.raises(ValueError, match=r"backward\.maxout: pieces must"):
            cyact.backward.maxout(x, x, pieces)
    for pieces in (2.0, "2", None):
        with pytest.raises(TypeError, match="maxout: pieces must be an integer"):
            cyact.maxout(x, pieces)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        cyact.maxout(x, 2, 2)
    with pytest.raises(ValueError, match=r"maxout: out"):
        cyact.maxout(x, 2, out=x)
    with pytest.raises(ValueError, match=r"backward\.maxout: grad must have the shape"):
        cyact.backward.maxout(x, x, 2)


@pytest.mark.parametrize("alpha", [0.99, -1, INF, NAN])
def test_alpha_below_one_is_refused(alpha):
    for call in (cyact.entmax, cyact.derivative.entmax, partial(cyact.backward.entmax, [1.0])):
        with pytest.raises(ValueError, match="entmax: alpha must be at least 1 and finite"):
            call([1.0], alpha)


# Backward

def true_gradient(row, grad, alpha):
    """The formula in mpmath, and the size of the terms whose difference it is."""
    y = reference.entmax(row.tolist(), alpha)
    s = [v ** (2 - mpf(alpha)) if v else mpf(0) for v in y]
    mean = mp.fsum(a * mpf(float(g)) for a, g in zip(s, grad, strict=True)) / mp.fsum(s)
    size = mp.fsum(a * abs(mpf(float(g))) for a, g in zip(s, grad, strict=True)) / mp.fsum(s)
    pairs = list(zip(s, map(mpf, map(float, grad)), strict=True))
    return [a * (g - mean) for a, g in pairs], [a * (abs(g) + size) for a, g in pairs]


@levels
@by_dtype
@pytest.mark.parametrize("alpha", [1.25, 1.5, 1.9, 2, 3])
def test_backward_is_the_vector_product(alpha, dtype):
    """Within 2 eps of each term's size, or 4 where float64 has tau but to a few ulps.

    Up to alpha = 2 that counts most next to the border of the support, where s is steep.
    """
    exact = dtype is np.float32 or alpha in SPARSE.values()
    rng = np.random.default_rng(3)
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).smallest_subnormal
    for n in (1, 2, 10, 64, 65, 1100):
        for spread in (0.1, 1, 5):
            row = (rng.standard_normal(n) * spread).astype(dtype)
            grad = rng.standard_normal(n).astype(dtype)
            true, size = true_gradient(row, grad, alpha)
            found = cyact.backward.entmax(grad, row, alpha)
            if not exact and alpha < 2:
                y = reference.entmax(row.tolist(), alpha)
                size = [max(s * v ** (1 - alpha) for s, v in zip(size, y, strict=True) if v)] * n
            for a, t, s in zip(found.tolist(), true, size, strict=True):
                assert abs(a - t) <= (2 if exact else 4) * eps * s + tiny


@by_dtype
@pytest.mark.parametrize("alpha", [1, 1.25, 1.5, 2, 3])
@pytest.mark.parametrize("n", [10, 65, 1100])
def test_backward_from_the_output_agrees_with_backward_from_x(alpha, n, dtype):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((7, n)).astype(dtype)
    grad = rng.standard_normal(x.shape).astype(dtype)
    for axis in (0, 1):
        y = cyact.entmax(x, alpha, axis)
        found = cyact.backward.entmax(grad, None, alpha, axis, output=y)
        np.testing.assert_allclose(found, cyact.backward.entmax(grad, x, alpha, axis), rtol=1e-4,
                                   atol=200 * np.finfo(dtype).eps)


@pytest.mark.parametrize("alpha", [1, 1.25, 1.5, 1.9, 2, 3])
def test_backward_is_the_slope_of_the_value(alpha):
    """Against central differences."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 5))
    grad = rng.standard_normal(x.shape)
    step = 1e-7
    slopes = np.empty_like(x)
    for at in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[at] = step
        difference = cyact.entmax(x + moved, alpha) - cyact.entmax(x - moved, alpha)
        slopes[at] = (difference * grad).sum() / (2 * step)
    np.testing.assert_allclose(cyact.backward.entmax(grad, x, alpha), slopes, atol=1e-6)


@by_dtype
@pytest.mark.parametrize("alpha", [1.2, 1.5, 2])
def test_gradients_off_the_support_do_not_count(alpha, dtype):
    x = np.array([1, 0.9, -30, -INF], dtype)
    grad = np.array([1, 2, NAN, INF], dtype)
    for n in (4, 2):
        found = cyact.backward.entmax(grad[:n], x[:n], alpha)
        assert np.isfinite(found).all()
        assert (found[2:] == 0).all()
        assert found[:2].sum() == pytest.approx(0, abs=1e-6)


@by_dtype
def test_the_gradient_of_hardmax_is_zero(dtype):
    x = np.array([[1, 2], [INF, NAN]], dtype)
    assert same_bits(cyact.backward.hardmax(np.full_like(x, NAN), x), np.zeros_like(x))
    with pytest.raises(ValueError, match=r"backward\.hardmax: grad must have the shape"):
        cyact.backward.hardmax(x[0], x)


@by_dtype
@by_sparse
def test_backward_in_place_and_refusals(name, dtype):
    backward = getattr(cyact.backward, name)
    for n in (10, 70, 1500):
        x = np.random.default_rng(n).standard_normal((3, n)).astype(dtype)
        grad = np.cos(x)
        expected = backward(grad, x)
        for over in ("grad", "x"):
            a, b = grad.copy(), x.copy()
            out = a if over == "grad" else b
            assert backward(a, b, out=out) is out
            assert same_bits(out, expected)
    with pytest.raises(TypeError, match="exactly one of x and output"):
        backward(x)
    with pytest.raises(TypeError, match="exactly one of x and output"):
        backward(x, x, output=x)
    with pytest.raises(ValueError, match=rf"backward.{name}: grad must have the shape"):
        backward(x[0], x)


# The same bits

CALLS = {
    "hardmax": cyact.hardmax,
    "sparsemax": cyact.sparsemax,
    "entmax15": cyact.entmax15,
    "entmax": partial(cyact.entmax, alpha=1.3),
    "entmax beyond 2": partial(cyact.entmax, alpha=2.7),
    "logsumexp": lambda x, axis: cyact.logsumexp(x, axis, b=np.ones_like(x), keepdims=True),
    "gradient": lambda x, axis: cyact.backward.entmax15(x, x, axis),
    "gradient of sparsemax": lambda x, axis: cyact.backward.sparsemax(
        x, axis=axis, output=cyact.sparsemax(x, axis)),
}
by_call = pytest.mark.parametrize("call", CALLS)


@levels
@by_dtype
@by_call
@pytest.mark.parametrize("n", [1, 5, 16, 17, 64, 65, 100, 1024, 1100])
def test_a_row_has_the_same_bits_wherever_it_lies(call, n, dtype):
    function = CALLS[call]
    x = np.random.default_rng(n).standard_normal((37, n)).astype(dtype)
    expected = np.concatenate([function(x[i:i + 1], axis=1) for i in range(len(x))])
    assert same_bits(function(x, axis=1), expected)
    assert same_bits(function(x[3:20], axis=1), expected[3:20])
    assert same_bits(function(np.ascontiguousarray(x.T), axis=0).T, expected)
    assert same_bits(function(np.asfortranarray(x), axis=1), expected)
    spread = np.repeat(x, 3, axis=1)[:, ::3]
    assert same_bits(function(spread, axis=1), expected)
    assert same_bits(function(x[::-1, ::-1].copy()[::-1, ::-1], axis=1), expected)
    cube = np.ascontiguousarray(np.broadcast_to(x[:, :, None], (37, n, 3)))
    assert same_bits(np.ascontiguousarray(function(cube, axis=1)[..., 1]), expected)


@levels
@by_dtype
@by_call
def test_any_number_of_threads(call, dtype, threads):
    function = CALLS[call]
    for shape in ((3000, 10), (64, 2000)):
        x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        rows = [0, 17, len(x) - 1]
        y = function(np.tile(x, (4, 1)), axis=1)
        assert same_bits(y[rows], np.concatenate([function(x[i:i + 1], axis=1) for i in rows]))


# logsumexp with weights

@levels
@by_dtype
@pytest.mark.parametrize("n", [1, 2, 10, 64, 65, 1100])
def test_weighted_logsumexp(n, dtype):
    """4 ulp of max(|f|, M + c) in float64, of max(|f|, 2^-28 (M + c)) in float32.

    M is the larger of |max(x)| and the log of the shifted sum, c what cancels.
    """
    rng = np.random.default_rng(n)
    share = 2.0**-28 if dtype is np.float32 else 1.0
    for spread in (0.1, 1, 10, 100):
        x = (rng.standard_normal(n) * spread).astype(dtype)
        for b in (rng.standard_normal(n), rng.random(n), np.where(rng.random(n) < 0.5, 0, 2),
                  rng.standard_normal(n) * 10.0 ** rng.uniform(-30, 30, n)):
            b = b.astype(dtype)
            b[0] = b[0] or 1
            y = np.where(b == 0, dtype(INF), x)          # what has no weight does not count
            with mp.workprec(400):
                terms = [mpf(c) * mp.exp(mpf(v)) for v, c in zip(x.tolist(), b.tolist(),
                                                                 strict=True) if c]
                total = mp.fsum(terms)
                top = max(mpf(v) for v, c in zip(x.tolist(), b.tolist(), strict=True) if c)
                log = mp.log(abs(total))
                cancels = mp.fsum(map(abs, terms)) / abs(total)
                size = float(max(abs(top), abs(log - top)) + cancels)
            found, sign = cyact.logsumexp(y, b=b, return_sign=True)
            assert sign == mp.sign(total)
            assert mp_ulps(np.atleast_1d(found), [log], size * share) <= 4
            plain = cyact.logsumexp(y, b=b)
            assert same_bits(plain, found) if sign > 0 else np.isnan(plain)
            gradient = cyact.backward.logsumexp(dtype(1), y, b=b)
            parts = iter(terms)
            true = [next(parts) / total if c else mpf(0) for c in b.tolist()]
            assert mp_ulps(gradient, true, float(cancels) ** 2 * share).max() <= 4


@by_dtype
def test_weighted_logsumexp_where_terms_cancel(dtype):
    """e^x - e^x' for neighbours: in float32 nothing is lost but what the inputs lack."""
    x = dtype(1.5)
    near = np.nextafter(x, dtype(2))
    found = cyact.logsumexp(np.array([near, x]), b=np.array([1, -1], dtype))
    with mp.workprec(400):
        terms = mp.exp(mpf(float(near))), mp.exp(mpf(float(x)))
        true = mp.log(terms[0] - terms[1])
        cancels = float((terms[0] + terms[1]) / (terms[0] - terms[1]))
    size = cancels if dtype is np.float64 else 2.0**-28 * cancels
    assert mp_ulps(np.atleast_1d(found), [true], size) <= 4
    found = cyact.logsumexp(np.array([0, -40], dtype), b=np.ones(2, dtype))
    assert found == pytest.approx(4.248354255291589e-18, abs=2.0**-50)


@by_dtype
def test_weighted_logsumexp_of_special_values(dtype):
    for x, b, log, sign in [
            ([INF, 1], [1, 1], INF, 1), ([INF, 1], [-1, 1], INF, -1),
            ([INF, INF], [-1, 1], NAN, NAN), ([INF, NAN], [0, 0], -INF, 0),
            ([-INF, 0], [1, 1], 0, 1), ([-INF, -INF], [1, -1], -INF, 0),
            ([0, 0], [1, -1], -INF, 0), ([NAN, 1], [1, 1], NAN, NAN),
            ([0, 1], [NAN, 1], NAN, NAN),
            ([0, 1], [INF, 1], INF, 1), ([0, 1], [-INF, 1], INF, -1), ([NAN, 0], [0, 1], 0, 1)]:
        for more in (0, 100):               # one row in a lane, and over all of them
            row = np.append(np.array(x, dtype), np.zeros(more, dtype))
            weight = np.append(np.array(b, dtype), np.zeros(more, dtype))
            found = cyact.logsumexp(row, b=weight, return_sign=True)
            np.testing.assert_array_equal(found, (log, sign), f"{x} {b}")


@by_dtype
def test_weighted_logsumexp_shapes_and_refusals(dtype):
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(dtype)
    b = np.array([1, -2, 3, 0.5], dtype)[:, None]
    wide = np.broadcast_to(b, x.shape)
    for axis in (0, 1, -1):
        log, sign = cyact.logsumexp(x, axis, b=b, return_sign=True)
        true = (wide * np.exp(x)).sum(axis)
        np.testing.assert_allclose(log, np.log(np.abs(true)), atol=1e-5)
        np.testing.assert_array_equal(sign, np.sign(true))
        kept = cyact.logsumexp(x, axis, b=b, keepdims=True, return_sign=True)
        assert same_bits(kept[0].squeeze(axis), log)
        out = np.empty_like(log)
        assert cyact.logsumexp(x, axis, b=np.abs(b), out=out) is out
        assert same_bits(out, cyact.logsumexp(x, axis, b=np.abs(b)))
        grad = np.cos(log)
        dx = cyact.backward.logsumexp(grad, x, axis, b=b)
        scale = np.expand_dims(grad / true, axis)
        np.testing.assert_allclose(dx, scale * wide * np.exp(x), rtol=1e-4)
        assert same_bits(dx, cyact.backward.logsumexp(np.expand_dims(grad, axis), x, axis, b=b))
    log, sign = cyact.logsumexp(x, return_sign=True)
    np.testing.assert_allclose(log, cyact.logsumexp(x), rtol=1e-6)
    assert (sign == 1).all()
    with pytest.raises(ValueError, match=r"logsumexp: b must broadcast to the shape of x"):
        cyact.logsumexp(x, b=np.ones(4))
    with pytest.raises(TypeError, match=r"logsumexp: b must hold real numbers"):
        cyact.logsumexp(x, b=1j)
    with pytest.raises(ValueError, match=r"backward\.logsumexp: grad must have the shape"):
        cyact.backward.logsumexp(x, x, b=b)


def test_weighted_logsumexp_of_other_array_types():
    x = np.random.default_rng(0).standard_normal((4, 6))
    b = np.linspace(0.5, 2, 6)
    expected = cyact.logsumexp(x, b=b)
    pd, da = pytest.importorskip("pandas"), pytest.importorskip("dask.array")
    frame = cyact.logsumexp(pd.DataFrame(x, index=list("abcd")), b=b)
    assert isinstance(frame, pd.Series)
    assert same_bits(frame.to_numpy(), expected)
    log, sign = cyact.logsumexp(da.from_array(x, chunks=(2, 3)), b=b, return_sign=True)
    assert same_bits(log.compute(scheduler="synchronous"), expected)
    assert (sign.compute(scheduler="synchronous") == 1).all()
    masked = np.ma.array(x, mask=x > 1)
    np.testing.assert_allclose(cyact.logsumexp(masked, b=b),
                               np.log((np.exp(x) * b * (x <= 1)).sum(-1)))


# Jacobians

@levels
@by_dtype
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_jacobians_of_softmax_and_log_softmax(temperature, dtype):
    rng = np.random.default_rng(0)
    bound = 1 if dtype is np.float32 else 4
    for n in (1, 2, 5, 20):
        for spread in (0.1, 1, 10, 100):
            x = (rng.standard_normal(n) * spread).astype(dtype)
            soft = cyact.derivative.softmax(x, temperature)
            log = cyact.derivative.log_softmax(x, temperature)
            with mp.workprec(3000):
                e = [mp.exp((mpf(v) - mpf(max(x.tolist()))) / mpf(temperature))
                     for v in x.tolist()]
                total = mp.fsum(e)
                for i in range(n):
                    row = [-v / total for v in e]
                    row[i] = mp.fsum(e[:i] + e[i + 1:]) / total
                    row = [v / mpf(temperature) for v in row]
                    assert mp_ulps(log[i], row).max() <= bound
                    assert mp_ulps(soft[i], [v * e[i] / total for v in row]).max() <= bound


@by_dtype
@pytest.mark.parametrize(("name", "params"), [
    ("softmax", ()), ("softmax", (0.5,)), ("log_softmax", (2.0,)), ("sparsemax", ()),
    ("entmax15", ()), ("entmax", (1.3,)), ("entmax", (3.0,)), ("entmax", (1.0,))])
def test_a_jacobian_times_a_gradient_is_the_backward_pass(name, params, dtype):
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(dtype)
    grad = np.cos(7 * x)
    for axis in (0, 1, -1):
        jacobian = getattr(cyact.derivative, name)(x, *params, axis=axis)
        last = np.moveaxis(x, axis, -1)
        assert jacobian.shape == (*last.shape, last.shape[-1])
        assert jacobian.dtype == dtype
        product = np.einsum("...ij,...i->...j", jacobian, np.moveaxis(grad, axis, -1))
        dx = getattr(cyact.backward, name)(grad, x, *params, axis=axis)
        np.testing.assert_allclose(np.moveaxis(product, -1, axis), dx,
                                   atol=20 * np.finfo(dtype).eps)
        out = np.empty_like(jacobian)
        assert getattr(cyact.derivative, name)(x, *params, axis=axis, out=out) is out
        assert same_bits(out, jacobian)


@by_dtype
def test_jacobians_take_a_bias_a_dtype_and_masks(dtype):
    x = np.linspace(-1, 1, 12).reshape(3, 4).astype(dtype)
    bias = np.arange(4).astype(dtype)
    for name in ("softmax", "log_softmax"):
        function = getattr(cyact.derivative, name)
        assert same_bits(function(x, bias=bias), function(x + bias))
        assert function(x, dtype=np.float32).dtype == np.float32
        masked = np.ma.array(x, mask=x > 0.9)
        np.testing.assert_array_equal(function(masked)[2, :3, :3], function(x[2, :3]))


@by_dtype
def test_derivative_of_logsumexp(dtype):
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(dtype)
    for axis in (0, 1):
        assert same_bits(cyact.derivative.logsumexp(x, axis), cyact.softmax(x, axis=axis))
        b = np.array([-1, 2, 0.5, 4], dtype)
        true = b * np.exp(x) / (b * np.exp(x)).sum(axis, keepdims=True)
        np.testing.assert_allclose(cyact.derivative.logsumexp(x, axis, b=b), true, rtol=1e-4)


def test_jacobians_refuse_what_does_not_fit():
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"derivative\.softmax: temperature must be positive"):
        cyact.derivative.softmax(x, 0)
    with pytest.raises(ValueError, match="out of bounds"):
        cyact.derivative.softmax(x, axis=2)
    with pytest.raises(ValueError, match=r"derivative\.softmax: out"):
        cyact.derivative.softmax(x, out=x)
    with pytest.raises(TypeError, match=r"derivative\.sparsemax.*complex"):
        cyact.derivative.sparsemax(x.astype(complex))
