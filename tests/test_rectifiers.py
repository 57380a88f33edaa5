"""prelu, rrelu, noisy_relu and crelu against NumPy formulas: values, gradients, randomness."""

import math
import re

import numpy as np
import pytest
from cases import DTYPES, INFERENCE, inputs, same_bits, special
from numpy.exceptions import AxisError
from reference import in_wider, ulps

import cyact

pytestmark = pytest.mark.levels

by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
HALVES = ["float16", "bfloat16"]
by_half = pytest.mark.parametrize("half", HALVES)
SHAPES = [(6,), (4, 6), (3, 4, 5), (2, 3, 4, 5)]
AXES = [(shape, axis) for shape in SHAPES for axis in range(-len(shape), len(shape))]
backward, derivative = cyact.backward, cyact.derivative


def half_type(name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    return {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[name]


def rounded(y, half):
    from test_half import rounded
    return rounded(y, half)


def sample(dtype, shape, seed=0):
    """Numbers of all magnitudes and the special ones."""
    x = np.concatenate([inputs(dtype, 2000), special(dtype), special(dtype)])
    return np.resize(np.random.default_rng(seed).permutation(x), shape)


def moderate(dtype, shape, seed=0):
    return np.random.default_rng(seed).uniform(-4, 4, shape).astype(dtype)


def weights(dtype, n):
    return (np.random.default_rng(n).uniform(-0.5, 1.5, n)).astype(dtype)


def along(weight, x, axis):
    """A weight in a shape that broadcasts to x."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return np.reshape(weight, shape)


def leaky(x, w):
    with np.errstate(all="ignore"):
        return np.where(x >= 0, x, x * w).astype(x.dtype)


def slope_of(x, w):
    return np.where(np.isnan(x), np.nan, np.where(x > 0, 1, w)).astype(x.dtype)


def product(a, b):
    with np.errstate(all="ignore"):
        return a * b


def refused(error, text, call, *arguments, shape, **keywords):
    """The error comes, says that, and nothing is written to out."""
    out = np.full(shape, 7.0)
    with pytest.raises(error, match=text):
        call(*arguments, out=out, **keywords)
    assert (out == 7).all()


# prelu

@by_dtype
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_prelu_along_any_axis(shape, axis, dtype):
    x, grad = sample(dtype, shape), sample(dtype, shape, 1)
    w = weights(dtype, shape[axis])
    wide = along(w, x, axis)
    assert same_bits(cyact.prelu(x, w, axis=axis), leaky(x, wide))
    assert same_bits(derivative.prelu(x, w, axis=axis), slope_of(x, wide))
    dx, dw = backward.prelu(grad, x, w, axis=axis)
    assert same_bits(dx, product(grad, slope_of(x, wide)))
    assert dw.shape == w.shape
    assert dw.dtype == dtype
    for laid in (np.asfortranarray(x), x[::-1].copy()[::-1], np.repeat(x, 2, -1)[..., ::2],
                 x.astype(x.dtype.newbyteorder())):
        assert same_bits(cyact.prelu(laid, w, axis=axis), leaky(x, wide))
        assert same_bits(cyact.prelu(laid, w[::-1].copy()[::-1], axis), leaky(x, wide))
        assert same_bits(backward.prelu(grad, laid, w, axis=axis)[0], dx)


@by_dtype
@pytest.mark.parametrize("shape", [(), (1,), *SHAPES], ids=str)
def test_prelu_with_one_weight(shape, dtype):
    x, grad = moderate(dtype, shape), moderate(dtype, shape, 1)
    for weight, given in [(0.25, ()), ([0.25], (1,)), (np.float32(0.25), ()),
                          (np.array(0.25), ())]:
        y = cyact.prelu(x, weight)
        assert same_bits(y, leaky(x, dtype(0.25)))
        assert np.shape(y) == shape
        assert isinstance(y, np.ndarray) == (shape != ())
        assert same_bits(derivative.prelu(x, weight), slope_of(x, dtype(0.25)))
        dx, dw = backward.prelu(grad, x, weight)
        assert same_bits(dx, grad * slope_of(x, dtype(0.25)))
        assert np.shape(dw) == given
        assert dw.dtype == dtype
        assert dw == pytest.approx((grad * np.minimum(x, 0)).astype(float).sum(), rel=1e-6)


def test_prelu_takes_weights_of_any_real_dtype():
    x = moderate(np.float32, (4, 6))
    w = weights(np.float64, 6)
    for given in (w, w.tolist(), tuple(w), w.astype(">f8"), np.repeat(w, 2)[::2]):
        assert same_bits(cyact.prelu(x, given), leaky(x, w.astype(np.float32)))
    assert same_bits(cyact.prelu(x, np.arange(6)), leaky(x, np.arange(6, dtype=np.float32)))
    for dtype, wide in [("i1", np.float32), ("?", np.float32), ("i8", np.float64)]:
        y = cyact.prelu(x.astype(dtype), w)
        assert same_bits(y, leaky(x.astype(dtype).astype(wide), w.astype(wide)))
    assert same_bits(cyact.prelu(x.tolist(), w, dtype=np.float32), cyact.prelu(x, w))


@by_dtype
def test_prelu_at_special_values(dtype):
    x = np.array([-np.inf, -1, -0.0, 0.0, 1, np.inf, np.nan], dtype)
    expected = np.array([-np.inf, -0.5, -0.0, 0.0, 1, np.inf, np.nan], dtype)
    assert same_bits(cyact.prelu(x, 0.5), expected)
    expected = np.array([np.inf, 0.5, -0.0, 0.0, 1, np.inf, np.nan], dtype)
    assert same_bits(cyact.prelu(x, -0.5), expected)
    assert same_bits(cyact.prelu(x, 0.0), cyact.leaky_relu(x, 0.0))
    assert same_bits(derivative.prelu(x, 0.5), np.array([.5, .5, .5, .5, 1, 1, np.nan], dtype))
    # a weight that is not finite is the caller's
    assert same_bits(cyact.prelu(x[3:], np.nan), expected[3:])


@by_dtype
def test_prelu_on_any_number_of_threads(dtype, threads):
    for shape, axis in [((30, 8, 40, 30), 1), ((700, 500), 0), ((700, 500), 1), ((2, 200_000), 0)]:
        x, grad = sample(dtype, shape), moderate(dtype, shape)
        w = weights(dtype, shape[axis])
        wide = along(w, x, axis)
        assert same_bits(cyact.prelu(x, w, axis), leaky(x, wide))
        dx, dw = backward.prelu(grad, np.where(np.abs(x) < 1e9, x, 1), w, axis)
        with cyact.num_threads(1):
            again = backward.prelu(grad, np.where(np.abs(x) < 1e9, x, 1), w, axis)
        assert same_bits(dx, again[0])
        assert same_bits(dw, again[1])


@by_dtype
def test_prelu_in_place_and_over_its_weight(dtype):
    x, w = moderate(dtype, (6, 6)), weights(dtype, 6)
    expected = cyact.prelu(x, w)
    y = x.copy()
    assert cyact.prelu(y, w, out=y) is y
    assert same_bits(y, expected)
    y = x.copy()
    y[2] = w
    expected = leaky(x, w)
    assert same_bits(cyact.prelu(x, y[2], out=y), expected)
    y = x.copy()
    dx, dw = backward.prelu(x[::-1], y, w, out=y)     # dweight is not of what was written
    assert dx is y
    expected = backward.prelu(x[::-1], x, w)
    assert same_bits(dx, expected[0])
    assert same_bits(dw, expected[1])


@by_dtype
def test_prelu_with_a_bias(dtype):
    x, grad, b = moderate(dtype, (3, 4, 5)), moderate(dtype, (3, 4, 5), 1), moderate(dtype, 5, 2)
    for w, axis in [(weights(dtype, 4), 1), (weights(dtype, 5), -1), (0.25, 1)]:
        assert same_bits(cyact.prelu(x, w, axis, bias=b), cyact.prelu(x + b, w, axis))
        assert same_bits(derivative.prelu(x, w, axis, bias=b), derivative.prelu(x + b, w, axis))
        dx, dw, db = backward.prelu(grad, x, w, axis, bias=b)
        expected = backward.prelu(grad, x + b, w, axis)
        assert same_bits(dx, expected[0])
        assert same_bits(dw, expected[1])
        np.testing.assert_allclose(db, dx.astype(np.float64).sum((0, 1)), rtol=1e-6)


@by_half
def test_prelu_of_half_types_is_rounded_once(half):
    half = half_type(half)
    x, grad = moderate(half, (300, 70)), moderate(half, (300, 70), 1)
    w = weights(np.float32, 70)
    wide = x.astype(np.float64)
    y, slope = cyact.prelu(x, w), derivative.prelu(x, w)
    dx, dw = backward.prelu(grad, x, w)
    assert y.dtype == slope.dtype == dx.dtype == half
    assert dw.dtype == np.float32
    slopes = slope_of(wide, w.astype(np.float64))
    for found, true in [(y, leaky(wide, w.astype(np.float64))), (slope, slopes),
                        (dx, np.float32(grad.astype(np.float64) * slopes).astype(np.float64))]:
        assert same_bits(found.astype(np.float32), rounded(true, half).astype(np.float32))
    products = grad.astype(np.float32) * np.minimum(x.astype(np.float32), 0)
    np.testing.assert_allclose(dw, [math.fsum(c) for c in products.T.tolist()], rtol=1e-7)


def test_weight_gradients_of_half_types_do_not_overflow():
    x = np.full((5, 3), -300, np.float16)
    for w, expected in [(0.25, -15 * 9e4), (np.full(3, 0.25), np.full(3, -5 * 9e4))]:
        _, dw = backward.prelu(-x, x, w)
        assert dw.dtype == np.float32
        np.testing.assert_array_equal(dw, expected)


def exact(products, axes):
    """Sums over all axes but one, rounded once to float64."""
    rows = np.moveaxis(products, axes, -1).reshape(-1, products.shape[axes]).astype(np.float64)
    return np.array([math.fsum(column) for column in rows.T.tolist()])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), [
    ((10**6,), None), ((1000, 1000), None), ((200_000, 2), 1), ((2, 200_000), 0),
    ((30, 40, 25, 7), 1), ((2, 3, 70_000), 1), ((3, 65_537), 0), ((300, 4, 5), 0),
    ((5, 1), 1)], ids=str)
def test_weight_gradients_are_accurate(shape, axis, dtype):
    rng = np.random.default_rng(0)
    x = rng.uniform(-4, 1, shape).astype(dtype)
    grad = rng.standard_normal(shape).astype(dtype)
    wide = np.float64 if dtype == "float64" else np.float32
    products = grad.astype(wide) * np.minimum(x, 0).astype(wide)
    if axis is None:
        w, expected = 0.25, exact(products.reshape(-1, 1), 1)[0]
        size = np.abs(products).sum(dtype=np.float64)
    else:
        w, expected = np.full(shape[axis], 0.25), exact(products, axis)
        size = np.abs(products).sum(tuple(i for i in range(len(shape)) if i != axis), np.float64)
    allowed = np.finfo(wide).eps * np.abs(expected) + 2.0**-47 * size
    if dtype == "float64":
        allowed = 2.0**-52 * (np.abs(expected) + size)
    for g, a in [(grad, x), (np.asfortranarray(grad), np.asfortranarray(x)),
                 (np.repeat(grad, 2, 0)[::2], x)]:
        _, dw = backward.prelu(g, a, w, axis=1 if axis is None else axis)
        assert dw.dtype == wide
        assert (np.abs(dw - expected) <= allowed).all()


def test_weight_gradients_are_numerical_derivatives():
    x, grad = moderate(np.float64, (3, 4, 5)), moderate(np.float64, (3, 4, 5), 1)
    for axis, n in enumerate(x.shape):
        w, h = weights(np.float64, n), 1e-3
        _, dw = backward.prelu(grad, x, w, axis=axis)
        for i in range(n):
            step = h * (np.arange(n) == i)
            change = cyact.prelu(x, w + step, axis=axis) - cyact.prelu(x, w - step, axis=axis)
            assert dw[i] == pytest.approx((grad * change).sum() / (2 * h), rel=1e-9)


@by_dtype
def test_weight_gradients_that_are_not_finite(dtype):
    x = np.full((2, 4), -1, dtype)
    grad = np.array([[np.inf, np.nan, np.inf, 3e38], [1, 1, -np.inf, 3e38]], dtype)
    _, dw = backward.prelu(grad, x, np.ones(4))
    last = -np.inf if dtype == np.float32 else -6e38
    assert same_bits(dw[:3], np.array([-np.inf, np.nan, np.nan], dtype))
    assert dw[3] == pytest.approx(last)
    assert same_bits(backward.prelu(grad[:, :1], x[:, :1], 0.5)[1], dtype(-np.inf))
    assert np.isnan(backward.prelu(grad, x, 0.5)[1])
    grad = np.array([[np.inf, 1], [1, -np.inf]], dtype)
    assert np.isnan(backward.prelu(grad, x[:, :2], 0.5)[1])
    assert np.isnan(backward.prelu(np.tile(grad, (300, 300)), np.full((600, 600), -1.0), 0.5)[1])
    for axis in (0, 1):
        _, dw = backward.prelu(grad, x[:, :2], np.ones(2), axis)
        assert same_bits(dw, np.array([-np.inf, np.inf], dtype))


def test_numbers_too_large_for_float32_are_infinite_without_a_warning():
    x = np.array([[-1.0, 2.0], [3.0, -4.0]], np.float32)
    with np.errstate(all="raise"):
        _, slope = cyact.rrelu(x, -1e300, 1e300, True, 0, return_slope=True)
        assert np.isinf(slope).all()
        y, noise = cyact.noisy_relu(x, 1e300, True, 0, return_noise=True)
        assert np.isinf(noise).all()
        assert set(y.ravel()) <= {0, np.inf}
        y = cyact.noisy_relu(x, 1.0, True, 0, bias=[1e300, -1e300])
        assert same_bits(y, np.array([[np.inf, 0], [np.inf, 0]], np.float32))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 4)], ids=str)
def test_prelu_without_entries(shape):
    x = np.ones(shape, np.float32)
    w = np.ones(shape[1])
    dx, dw = backward.prelu(x, x, w)
    assert cyact.prelu(x, w).shape == dx.shape == shape
    assert same_bits(dw, np.zeros(shape[1], np.float32))
    assert backward.prelu(x, x, 0.5)[1] == 0


def test_prelu_of_other_arrays():
    x, w = moderate(np.float64, (4, 6)), weights(np.float64, 6)
    mask = x > 2
    hidden = np.ma.array(np.where(mask, np.nan, x), mask=mask)
    y = cyact.prelu(hidden, w)
    np.testing.assert_array_equal(y.mask, mask)
    _, dw = backward.prelu(hidden, hidden, w)
    np.testing.assert_allclose(dw, np.where(mask, 0, x * np.minimum(x, 0)).sum(0), rtol=1e-14)
    pd, xr = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    da = pytest.importorskip("dask.array")
    for given, values in [(pd.DataFrame(x), lambda y: y.to_numpy()),
                          (xr.DataArray(x, dims=("a", "b")), lambda y: y.data),
                          (da.from_array(x, chunks=(2, 3)), lambda y: y.compute())]:
        for weight, axis in [(w, 1), (w[:4], 0), (0.25, 1)]:
            y = cyact.prelu(given, weight, axis)
            assert type(y) is type(given)
            assert same_bits(values(y), cyact.prelu(x, weight, axis))
            dx, dw = backward.prelu(given, given, weight, axis)
            expected = backward.prelu(x, x, weight, axis)
            assert same_bits(values(dx), expected[0])
            np.testing.assert_allclose(np.asarray(dw), expected[1], rtol=1e-14)
    lazy = da.from_array(x.astype(np.float16), chunks=2)
    dx, dw, db = backward.prelu(lazy, lazy, w, bias=np.ones(6))
    assert all(isinstance(v, da.Array) for v in (dx, dw, db))
    expected = backward.prelu(*[x.astype(np.float16)] * 2, w, bias=np.ones(6))
    assert dw.dtype == np.float32
    np.testing.assert_allclose(dw.compute(), expected[1], rtol=1e-6)


@pytest.mark.parametrize(("weight", "axis", "error", "text"), [
    (np.ones(5), 1, ValueError, "weight must be one number or have 6 entries.*axis 1.*got.*(5,)"),
    (np.ones(6), 0, ValueError, "weight must be one number or have 4 entries"),
    (np.ones((1, 6)), 1, ValueError, "weight must be one number or 1-D, got shape (1, 6)"),
    ([], 1, ValueError, "weight must be one number"),
    (np.ones(6) * 1j, 1, TypeError, "weight of dtype complex128"),
    (["a"] * 6, 1, TypeError, "weight of dtype <U1"), (None, 1, TypeError, "weight of dtype obj"),
    (np.ones(6), 2, AxisError, "axis 2 is out of bounds"),
    (np.ones(6), -3, AxisError, "axis -3 is out of bounds"),
    (np.ones(6), 1.0, TypeError, "axis must be an integer"),
    ([[1.0], [1.0, 2.0]], 1, ValueError, "ragged"),
])
def test_bad_weights_are_refused(weight, axis, error, text):
    x, text = np.ones((4, 6)), re.escape(text).replace(r"\.\*", ".*")
    refused(error, f"^prelu: .*{text}", cyact.prelu, x, weight, axis, shape=x.shape)
    refused(error, f"derivative.prelu: .*{text}", derivative.prelu, x, weight, axis, shape=x.shape)
    refused(error, f"backward.prelu: .*{text}", backward.prelu, x, x, weight, axis, shape=x.shape)


# Random ones

def draw_slopes(x, seed, lower=1 / 8, upper=1 / 3):
    slopes = np.random.default_rng(seed).uniform(lower, upper, x.shape)
    return slopes.astype(np.float64 if x.dtype in (np.float64, np.int64) else np.float32)


def draw_noise(x, seed, scale=1.0):
    noise = np.random.default_rng(seed).standard_normal(x.shape) * scale
    return noise.astype(np.float64 if x.dtype in (np.float64, np.int64) else np.float32)


def expected_rrelu(x, slope):
    return leaky(x, slope)


def expected_noisy(x, noise):
    with np.errstate(all="ignore"):
        return np.where(x + noise > 0, x + noise, np.where(np.isnan(x), x, 0)).astype(x.dtype)


RANDOM = [("rrelu", "slope", draw_slopes, expected_rrelu),
          ("noisy_relu", "noise", draw_noise, expected_noisy)]
by_random = pytest.mark.parametrize(("name", "what", "draw", "formula"), RANDOM,
                                    ids=[r[0] for r in RANDOM])


def train(name, what, x, rng=0, **keywords):
    return getattr(cyact, name)(x, training=True, rng=rng, **{f"return_{what}": True}, **keywords)


@by_dtype
@by_random
def test_numbers_are_drawn_in_c_order(name, what, draw, formula, dtype, threads):
    for shape in ((), (50,), (4, 6), (3, 4, 50), (1000, 700)):
        x = sample(dtype, shape)
        drawn = draw(x, 0)
        for laid in (x, x.copy(order="F"), x.astype(x.dtype.newbyteorder()),
                     *([x[::-1].copy()[::-1], np.repeat(x, 2, -1)[..., ::2]] if shape else [])):
            y, found = train(name, what, laid)
            assert same_bits(found, drawn)
            assert same_bits(y, formula(x, drawn))


@by_random
def test_the_same_seed_gives_the_same_numbers(name, what, draw, formula):
    x = moderate(np.float64, (40, 50))
    y, drawn = train(name, what, x, 7)
    for rng in (7, np.random.default_rng(7), np.random.SeedSequence(7), np.int64(7)):
        again = train(name, what, x, rng)
        assert same_bits(again[0], y)
        assert same_bits(again[1], drawn)
    assert same_bits(getattr(cyact, name)(x, training=True, rng=7), y)
    for rng in (8, None, [7, 8]):
        assert not same_bits(train(name, what, x, rng)[1], drawn)
    generator = np.random.default_rng(7)        # goes on where it stands
    train(name, what, x, generator)
    assert not same_bits(train(name, what, x, generator)[1], drawn)


@by_dtype
@by_random
def test_backward_uses_what_was_drawn(name, what, draw, formula, dtype):
    x, grad, b = sample(dtype, (40, 50)), sample(dtype, (40, 50), 1), moderate(dtype, 50)
    _, drawn = train(name, what, x)
    with np.errstate(all="ignore"):
        slope = slope_of(x, drawn) if name == "rrelu" else slope_of(x + drawn, 0)
    assert same_bits(getattr(derivative, name)(x, drawn), slope)
    dx = getattr(backward, name)(grad, x, drawn)
    assert same_bits(dx, product(grad, slope))
    y, drawn = train(name, what, x, bias=b)
    with np.errstate(all="ignore"):
        shifted = x + b if name == "rrelu" else x + (drawn + b)
        assert same_bits(y, formula(shifted, drawn if name == "rrelu" else 0))
        slope = slope_of(shifted, drawn if name == "rrelu" else 0)
        dx, db = getattr(backward, name)(grad, x, drawn, bias=b)
    assert same_bits(dx, product(grad, slope))
    assert db.shape == (50,)
    _, db = getattr(backward, name)(np.ones_like(x), moderate(dtype, x.shape), drawn, bias=b)
    slope = getattr(derivative, name)(moderate(dtype, x.shape), drawn, bias=b)
    np.testing.assert_allclose(db, slope.astype(float).sum(0), rtol=1e-6)


@by_random
def test_gradients_are_numerical_derivatives(name, what, draw, formula):
    x = moderate(np.float64, (40, 50))
    _, drawn = train(name, what, x)
    h = 1e-6
    kink = np.abs(x + (drawn if name == "noisy_relu" else 0)) < 2 * h
    change = train(name, what, x + h)[0] - train(name, what, x - h)[0]
    found = getattr(backward, name)(np.ones_like(x), x, drawn)
    np.testing.assert_allclose(found[~kink], (change / (2 * h))[~kink], atol=1e-8)


@by_dtype
@by_random
def test_outside_training_nothing_is_drawn(name, what, draw, formula, dtype):
    x, grad, b = sample(dtype, (40, 50)), sample(dtype, (40, 50), 1), moderate(dtype, 50)
    inner, slope = (("leaky_relu", (1 / 16 + 1 / 6,)) if name == "rrelu" else ("relu", ()))
    generator = np.random.default_rng(0)
    y, given = getattr(cyact, name)(x, rng=generator, **{f"return_{what}": True})
    assert generator.random() == np.random.default_rng(0).random()
    assert same_bits(y, getattr(cyact, inner)(x, *slope))
    assert same_bits(getattr(cyact, name)(x), y)
    assert given == (slope or (0.0,))[0]
    for keywords in ({}, {"bias": b}):
        assert same_bits(getattr(cyact, name)(x, **keywords),
                         getattr(cyact, inner)(x, *slope, **keywords))
        assert same_bits(getattr(derivative, name)(x, **keywords),
                         getattr(derivative, inner)(x, *slope, **keywords))
    expected = getattr(backward, inner)(grad, x, *slope)
    assert same_bits(getattr(backward, name)(grad, x), expected)
    assert same_bits(getattr(backward, name)(grad, x, given), expected)


@by_dtype
@pytest.mark.parametrize("case", INFERENCE, ids=str)
def test_errors_outside_training(case, dtype):
    x = inputs(dtype, 30_000)
    bound = {np.float32: 1, np.float64: 0.5001}[dtype]
    assert ulps(case.value(x), in_wider(case.reference.wide, x, ())).max() <= bound
    assert ulps(case.derivative(x), in_wider(case.reference.wide_derivative, x, ())).max() <= bound


@by_half
@by_random
def test_random_ones_of_half_types_are_rounded_once(name, what, draw, formula, half):
    half = half_type(half)
    x, grad = moderate(half, (40, 50)), moderate(half, (40, 50), 1)
    y, drawn = train(name, what, x)
    assert y.dtype == half
    assert drawn.dtype == np.float32
    wide = x.astype(np.float64)
    if name == "noisy_relu":                   # the sum is that of float32
        wide, drawn_wide = (x.astype(np.float32) + drawn).astype(np.float64), 0.0
    else:
        drawn_wide = drawn.astype(np.float64)
    assert same_bits(y.astype(np.float32),
                     rounded(formula(wide, drawn_wide), half).astype(np.float32))
    dx = getattr(backward, name)(grad, x, drawn)
    slope = np.float32(slope_of(wide, drawn_wide))
    true = (grad.astype(np.float32) * slope).astype(half)
    assert same_bits(dx.astype(np.float32), true.astype(np.float32))


@by_random
def test_out_dtype_and_integers(name, what, draw, formula):
    for given, wide in [("i1", "f4"), ("?", "f4"), ("i8", "f8"), ("f4", "f4")]:
        x = np.arange(-12, 12).reshape(4, 6).astype(given)
        y, drawn = train(name, what, x)
        assert y.dtype == drawn.dtype == wide
        assert same_bits(y, formula(x.astype(wide), drawn))
        out = np.empty((4, 6))
        assert train(name, what, x, out=out)[0] is out
        assert same_bits(out, y.astype(np.float64))
        for dtype in DTYPES:
            found, drawn = train(name, what, x, dtype=dtype)
            expected = train(name, what, x.astype(dtype))
            assert same_bits(found, expected[0])
            assert same_bits(drawn, expected[1])
    y = moderate(np.float64, (4, 6))
    expected = train(name, what, y)[0]
    assert same_bits(train(name, what, y, out=y)[0], expected)
    assert type(train(name, what, -1.5)[0]) is np.float64
    assert same_bits(train(name, what, [[-1.0, 2.0]])[0],
                     train(name, what, np.array([[-1.0, 2.0]]))[0])


@by_random
def test_random_ones_of_other_arrays(name, what, draw, formula):
    x = moderate(np.float32, (4, 6))
    expected = train(name, what, x)[0]
    y, _ = train(name, what, np.ma.array(x, mask=x > 2))
    np.testing.assert_array_equal(y.mask, x > 2)
    assert same_bits(y.data[x <= 2], expected[x <= 2])
    pd, xr = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    da = pytest.importorskip("dask.array")
    for given, values in [(pd.DataFrame(x), lambda y: y.to_numpy()),
                          (xr.DataArray(x, dims=("a", "b")), lambda y: y.data),
                          (da.from_array(x, chunks=(2, 3)), lambda y: y.compute())]:
        y, _ = train(name, what, given)
        assert type(y) is type(given)
        assert same_bits(values(y), expected)


def test_statistics_of_slopes():
    x = np.zeros(200_000)
    for lower, upper in [(1 / 8, 1 / 3), (-2.0, 5.0), (0.3, 0.3)]:
        _, slope = cyact.rrelu(x, lower, upper, True, 0, return_slope=True)
        width = upper - lower
        assert lower <= slope.min() <= lower + width / 1000
        assert upper - width / 1000 <= slope.max() <= upper
        assert slope.mean() == pytest.approx((lower + upper) / 2, abs=width / 100 + 1e-9)
        assert slope.std() == pytest.approx(width / math.sqrt(12), abs=width / 100 + 1e-9)


def test_statistics_of_noise():
    x = np.full(200_000, 0.7)
    for scale, deviation in [(1.0, 1.0), (3.0, 3.0), (0.0, 0.0),
                             ("sigmoid", math.sqrt(1 / (1 + math.exp(-0.7))))]:
        y, noise = cyact.noisy_relu(x, scale, True, 0, return_noise=True)
        assert same_bits(y, np.maximum(x + noise, 0))
        assert noise.mean() == pytest.approx(0, abs=deviation / 50)
        assert noise.std() == pytest.approx(deviation, rel=1e-2)


@by_dtype
def test_noise_by_sigmoid(dtype):
    x, b = moderate(dtype, (40, 50)), moderate(dtype, 50, 1)
    for bias, shifted in [(None, x), (b, x.astype(np.float64) + b)]:
        _, noise = cyact.noisy_relu(x, "sigmoid", True, 0, return_noise=True, bias=bias)
        deviation = np.sqrt(1 / (1 + np.exp(-shifted.astype(np.float64))))
        expected = np.random.default_rng(0).standard_normal(x.shape) * deviation
        np.testing.assert_allclose(noise, expected, rtol=2 * np.finfo(dtype).eps)


@by_dtype
def test_random_ones_at_special_values(dtype):
    x = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan], dtype)
    y, _ = train("rrelu", "slope", x)
    assert same_bits(y, np.array([-np.inf, -0.0, 0.0, np.inf, np.nan], dtype))
    for scale in (1.0, "sigmoid"):
        y, _ = train("noisy_relu", "noise", x, scale=scale)
        assert y[0] == 0
        assert y[3] == np.inf
        assert np.isnan(y[4])
    y, _ = train("noisy_relu", "noise", x, scale=0.0)
    assert same_bits(y, np.array([0, 0, 0, np.inf, np.nan], dtype))


X = np.ones((4, 6))


@pytest.mark.parametrize(("name", "keywords", "error", "text"), [
    ("rrelu", {"lower": 0.5, "upper": 0.25}, ValueError, "lower must not be above upper, got 0.5"),
    ("rrelu", {"lower": np.nan}, ValueError, "lower must be finite"),
    ("rrelu", {"upper": np.inf}, ValueError, "upper must be finite"),
    ("rrelu", {"lower": "a"}, TypeError, "lower must be a single real number"),
    ("rrelu", {"lower": -1.7e308, "upper": 1.7e308, "training": True}, ValueError, "too far apart"),
    ("noisy_relu", {"scale": -1.0}, ValueError, "scale must be at least 0"),
    ("noisy_relu", {"scale": np.inf}, ValueError, "scale must be at least 0"),
    ("noisy_relu", {"scale": "tanh"}, TypeError, "scale must be a single real number"),
    ("noisy_relu", {"scale": np.ones(2)}, TypeError, "scale must be a single real number"),
    *[(name, {"training": True, **keywords}, error, text) for name in ("rrelu", "noisy_relu")
      for keywords, error, text in [
          ({"rng": "a"}, TypeError, "rng must be a numpy.random.Generator, a seed or None"),
          ({"rng": -1}, ValueError, "rng must be"), ({"rng": 0.5}, TypeError, "rng must be")]],
    *[(name, {"training": training, **keywords}, error, text)
      for name in ("rrelu", "noisy_relu") for training in (False, True)
      for keywords, error, text in [
          ({"bias": np.ones(5)}, ValueError, "bias must have one entry"),
          ({"bias": np.ones((1, 6))}, ValueError, "bias must have one entry"),
          ({"bias": np.ones(6) * 1j}, TypeError, "bias .*complex128"),
          ({"dtype": "i4"}, TypeError, "int32")]],
])
def test_bad_keywords_of_random_ones_are_refused(name, keywords, error, text):
    refused(error, f"^{name}: .*{text}", getattr(cyact, name), X, shape=X.shape, **keywords)


@by_random
def test_bad_input_of_random_ones_is_refused(name, what, draw, formula):
    function = getattr(cyact, name)
    for training in (False, True):
        for x in (X * 1j, X.astype(object), np.array(["a"]), None):
            with pytest.raises(TypeError, match=f"^{name}: .*not supported"):
                function(x, training=training)
        for out, error in [(np.ones(3), ValueError), ([], TypeError), (np.ones((4, 6), int),
                                                                     TypeError)]:
            with pytest.raises(error, match=f"^{name}: "):
                function(X, training=training, out=out)
    for module, leading in ((derivative, ()), (backward, (X,))):
        call, full = getattr(module, name), f"^{module.__name__.removeprefix('cyact.')}.{name}: "
        refused(ValueError, f"{full}{what} must have the shape of x", call, *leading, X, np.ones(6),
                shape=X.shape)
        refused(TypeError, f"{full}{what} must hold real numbers", call, *leading, X, X * 1j,
                shape=X.shape)
        for drawn in (None, X):
            refused(TypeError, f"{full}.*complex128 is not supported", call, *leading, X * 1j,
                    drawn, shape=X.shape)
            refused(ValueError, f"{full}bias must have one", call, *leading, X, drawn,
                    bias=np.ones(5), shape=X.shape)
    for drawn in (None, X):
        refused(ValueError, f"^backward.{name}: grad and x must have equal shapes",
                getattr(backward, name), X[0], X, drawn, shape=X.shape)


# crelu

@pytest.mark.parametrize("dtype", [*HALVES, "float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_crelu_along_any_axis(shape, axis, dtype):
    dtype = half_type(dtype) if dtype in HALVES else np.dtype(dtype)
    with np.errstate(all="ignore"):
        x = sample(np.float32, shape).astype(dtype)
        wide = x.astype(np.float32) if dtype not in DTYPES else x
        halves = [np.where(np.isnan(v), v, np.where(v > 0, v, 0)) for v in (wide, -wide)]
    expected = np.concatenate(halves, axis).astype(dtype)
    for laid in (x, np.asfortranarray(x), x[::-1].copy()[::-1], np.repeat(x, 2, -1)[..., ::2]):
        y = cyact.crelu(laid, axis=axis)
        assert y.dtype == dtype
        assert same_bits(y.astype(np.float32), expected.astype(np.float32))
    assert same_bits(cyact.crelu(wide, axis, dtype=dtype).astype(np.float32),
                     expected.astype(np.float32))
    out = np.empty(expected.shape[::-1], dtype).T
    assert cyact.crelu(x, axis, out=out) is out
    assert same_bits(out.astype(np.float32), expected.astype(np.float32))
    grad = np.resize(np.float32([1, -2, 3, 0.5, -0.25]), expected.shape).astype(dtype)
    first, second = np.split(grad.astype(np.float32), 2, axis)
    true = np.where(np.isnan(wide), np.nan,
                    np.where(wide > 0, first, np.where(wide < 0, -second, 0)))
    dx = backward.crelu(grad, x, axis)
    assert dx.dtype == dtype
    np.testing.assert_array_equal(dx.astype(np.float32), true)
    room = x.copy()
    assert backward.crelu(grad, room, axis, out=room) is room
    np.testing.assert_array_equal(room.astype(np.float32), true)


@by_dtype
def test_crelu_at_special_values(dtype):
    x = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan], dtype)
    expected = np.array([0, 0, 0, np.inf, np.nan, np.inf, 0, 0, 0, np.nan], dtype)
    assert same_bits(cyact.crelu(x), expected)


def test_crelu_of_integers_and_other_arrays():
    x = np.arange(-12, 12).reshape(4, 6)
    for given, wide in [("i1", "f4"), ("i8", "f8"), (">f4", "f4")]:
        y = cyact.crelu(x.astype(given))
        assert y.dtype == wide
        assert same_bits(y, np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], 1).astype(wide))
    assert same_bits(cyact.crelu(x.tolist()), cyact.crelu(x))
    assert cyact.crelu(np.ones((0, 3))).shape == (0, 6)
    wide = x.astype(float)
    hidden = np.ma.array(wide, mask=x > 5)
    y = cyact.crelu(hidden, 0)
    assert same_bits(y.data[~y.mask], cyact.crelu(wide, 0)[~y.mask])
    np.testing.assert_array_equal(y.mask, np.concatenate([x > 5] * 2))
    dx = backward.crelu(np.ma.array(np.ones((8, 6))), hidden, 0)
    np.testing.assert_array_equal(dx.mask, x > 5)
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(wide, chunks=(2, 3))
    y = cyact.crelu(lazy)
    assert isinstance(y, da.Array)
    assert same_bits(y.compute(), cyact.crelu(wide))
    dx = backward.crelu(y, lazy)
    assert isinstance(dx, da.Array)
    assert same_bits(dx.compute(), backward.crelu(cyact.crelu(wide), wide))


def test_bad_calls_of_crelu_are_refused():
    for axis in (2, -3):
        refused(AxisError, f"^crelu: axis {axis} is out of bounds", cyact.crelu, X, axis,
                shape=(4, 12))
    refused(TypeError, "^crelu: axis must be an integer", cyact.crelu, X, 1.0, shape=(4, 12))
    refused(TypeError, "^crelu: .*complex128 is not supported", cyact.crelu, X * 1j, shape=(4, 12))
    refused(TypeError, "^crelu: dtype= must be", cyact.crelu, X, dtype="i4", shape=(4, 12))
    refused(ValueError, r"^crelu: out must have the result's shape \(4, 12\), got \(4, 6\)",
            cyact.crelu, X, shape=(4, 6))
    with pytest.raises(AxisError, match=r"^crelu: "):
        cyact.crelu(1.0)
    room = np.full((4, 12), 7.0)
    for call in (lambda: cyact.crelu(room[:, :6], out=room),
                 lambda: backward.crelu(room, X, out=room[:, 3:9])):
        with pytest.raises(ValueError, match="crelu: out must not overlap"):
            call()
    assert (room == 7).all()
    # interleaved is not overlapping
    room[:, ::2] = X
    backward.crelu(np.ones((4, 12)), X, out=room[:, 1::2])
    assert (room == 1).all()
    refused(ValueError, r"^backward.crelu: grad must have the shape of the output, \(4, 12\)",
            backward.crelu, X, X, shape=(4, 6))
    refused(TypeError, "^backward.crelu: .*complex128", backward.crelu, room * 1j, X, shape=(4, 6))
    refused(AxisError, "^backward.crelu: axis 2", backward.crelu, room, X, 2, shape=(4, 6))
