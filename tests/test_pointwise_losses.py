"""Losses of one element each, against mpmath: values, gradients, limits, layouts, memory."""

import math
import tracemalloc
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from cases import DTYPES, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cyact

pytestmark = pytest.mark.levels

INF, NAN = math.inf, math.nan
REDUCTIONS = ["mean", "sum", "none"]


# The losses by definition; the gradients are their derivatives by mpmath

def binary(p, t):
    on = t * -mp.log(p) if t else mp.mpf(0)
    return on + ((1 - t) * -mp.log1p(-p) if t != 1 else 0)


def softplus(x):
    return mp.log1p(mp.exp(x)) if x < 40 else x + mp.log1p(mp.exp(-x))


def logits(x, t, v=1):
    return (1 - t) * x + (1 + (v - 1) * t) * softplus(-x)


def divergence(x, t):
    return t * (mp.log(t) - x) if t else mp.mpf(0)


def log_divergence(x, t):
    return mp.exp(t) * (t - x)


@dataclass(frozen=True)
class Loss:
    """A loss as called here, its definition, inputs, and what cancels in loss and gradient."""

    name: str
    call: Any
    definition: Any
    inputs: Any
    cancelling: Any = lambda *entries: (0, 0)

    def __str__(self):
        return self.name


def probabilities(rng, n):
    """Near 0, near 1 and between; targets that are hard or soft."""
    tiny = 10.0 ** rng.uniform(-30, 0, n)
    p = rng.permutation(np.concatenate([rng.random(n), tiny, 1 - tiny]))[:n]
    return np.clip(p, 1e-37, 1 - 1e-7), hard_or_soft(rng, n)


def hard_or_soft(rng, n):
    return np.where(rng.random(n) < 0.5, rng.integers(0, 2, n), rng.random(n))


def spread(rng, n):
    return np.where(rng.random(n) < 0.5, rng.standard_normal(n) * 3, rng.uniform(-90, 90, n))


def logit_terms(x, t, v=1):
    """The larger of the two terms of the gradient, which may cancel."""
    s = 1 / (1 + mp.exp(-x))
    return 0, max((1 - t) * s, v * t * (1 - s))


LOSSES = [
    Loss("binary_cross_entropy", cyact.binary_cross_entropy, binary, probabilities),
    Loss("binary_cross_entropy_with_logits", cyact.binary_cross_entropy_with_logits, logits,
         lambda rng, n: (spread(rng, n), hard_or_soft(rng, n)), logit_terms),
    Loss("pos_weight", lambda x, t, v, **k: cyact.binary_cross_entropy_with_logits(
             x, t, None, v, **k), logits,
         lambda rng, n: (spread(rng, n), hard_or_soft(rng, n), rng.uniform(0.1, 9, n)),
         logit_terms),
    Loss("kl_div", cyact.kl_div, divergence,
         lambda rng, n: (np.log(rng.random(n)), probabilities(rng, n)[0]),
         lambda x, t: (abs(t * x), 0)),
    Loss("log_target", lambda x, t, **k: cyact.kl_div(x, t, True, **k), log_divergence,
         lambda rng, n: (np.log(rng.random(n)), np.log(probabilities(rng, n)[0]))),
]
by_loss = pytest.mark.parametrize("loss", LOSSES, ids=str)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
# How much of cancelling terms is left in sight: the bounds of the docstrings
SEEN = {"float32": 2.0**-9, "float64": 2.0**-2}
SEEN_IN_DIVERGENCE = {"float32": 2.0**-28, "float64": 2.0**-4}


def ulps(y, true, dtype, least):
    """The error of y in units in the last place of `true`, or of `least` if that is larger."""
    info = np.finfo(dtype)
    size = max(abs(true), least)
    exponent = max(int(mp.floor(mp.log(size, 2))) if size else info.minexp, info.minexp)
    return float(abs(mp.mpf(float(y)) - true) / mp.mpf(2) ** (exponent - info.nmant))


def worst(loss, arrays, dtype):
    """The largest errors of losses and gradients in ULP."""
    given = [np.asarray(a, dtype) for a in arrays]
    values, grads = loss.call(*given, reduction="none", return_grad=True)
    assert values.dtype == grads.dtype == dtype
    errors = [0, 0]
    seen = SEEN_IN_DIVERGENCE if loss.name == "kl_div" else SEEN
    with mp.workprec(400):
        for i, value in enumerate(values):
            entries = [mp.mpf(float(a[i])) for a in given]
            wide = [s * c for s, c in zip([seen[np.dtype(dtype).name]] * 2,
                                          loss.cancelling(*entries), strict=True)]
            true = loss.definition(*entries)
            slope = mp.diff(lambda x, rest=entries[1:]: loss.definition(x, *rest), entries[0],
                            h=mp.mpf(2) ** -150 * entries[0])
            errors[0] = max(errors[0], ulps(value, true, dtype, wide[0]))
            errors[1] = max(errors[1], ulps(grads[i], slope, dtype, wide[1]))
    return errors


@by_loss
@by_dtype
def test_losses_and_gradients_are_within_2_ulp(loss, dtype):
    arrays = loss.inputs(np.random.default_rng(1), 700)
    assert max(worst(loss, arrays, dtype)) <= 2


@by_loss
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_types_are_rounded_once(loss, kind):
    """Against the float64 result for the same half numbers."""
    dtype = np.float16 if kind == "float16" else pytest.importorskip("ml_dtypes").bfloat16
    digits, lowest = (10, -14) if kind == "float16" else (7, -126)
    arrays = [np.asarray(a, np.float32).astype(dtype)
              for a in loss.inputs(np.random.default_rng(2), 5000)]
    found = loss.call(*arrays, reduction="none", return_grad=True)
    wide = loss.call(*[a.astype(np.float64) for a in arrays], reduction="none", return_grad=True)
    for y, true in zip(found, wide, strict=True):
        assert y.dtype == dtype
        y = y.astype(np.float64)
        large = ~np.isfinite(y)
        assert (np.abs(true[large]) > 65_500).all()
        y, true = y[~large], true[~large]
        exponent = np.maximum(np.frexp(true)[1] - 1, lowest)
        assert (np.abs(y - true) / 2.0 ** (exponent - digits)).max() <= 0.501


W = cyact.binary_cross_entropy_with_logits


@by_dtype
@pytest.mark.parametrize(("x", "t", "loss", "grad"), [
    (INF, 1, 0, 0), (-INF, 0, 0, 0), (INF, 0, INF, 1), (-INF, 1, INF, -1), (INF, 0.5, INF, 0.5),
    (-INF, 0.5, INF, -0.5), (NAN, 0, NAN, NAN), (NAN, 1, NAN, NAN), (0, NAN, NAN, NAN),
    (0, 0, math.log(2), 0.5), (0, 1, math.log(2), -0.5), (-0.0, 0.5, math.log(2), 0),
    (1e30, 1, 0, 0), (1e30, 0, 1e30, 1), (40, 1, math.exp(-40), -math.exp(-40)),
    (-40, 0, math.exp(-40), math.exp(-40)), (-800, 1, 800, -1),
])
def test_limits_with_logits(dtype, x, t, loss, grad):
    found = W(dtype(x), dtype(t), reduction="sum", return_grad=True)
    np.testing.assert_allclose(found, (dtype(loss), dtype(grad)), rtol=2 * np.finfo(dtype).eps)
    for weight in (2.0, 0.5):
        found = W(dtype(x), dtype(t), weight, reduction="sum", return_grad=True)
        np.testing.assert_allclose(found, (dtype(loss * weight), dtype(grad * weight)),
                                   rtol=2 * np.finfo(dtype).eps)


@by_dtype
@pytest.mark.parametrize(("p", "t", "loss", "grad"), [
    (0, 0, 0, 1), (1, 1, 0, -1), (0, 1, INF, -INF), (1, 0, INF, INF), (0, 0.5, INF, -INF),
    (1, 0.5, INF, INF), (0.5, 0.5, math.log(2), 0), (0.25, 0, -math.log(0.75), 4 / 3),
    (-0.0, 0, 0, 1), (-0.1, 0, NAN, NAN), (1.5, 1, NAN, NAN), (0.5, -0.5, NAN, NAN),
    (0.5, 1.5, NAN, NAN), (NAN, 0, NAN, NAN), (0.5, NAN, NAN, NAN), (INF, 1, NAN, NAN),
    (2.0**-60, 0, 2.0**-60, 1), (2.0**-60, 1, 60 * math.log(2), -(2.0**60)),
])
def test_limits_of_probabilities(dtype, p, t, loss, grad):
    found = cyact.binary_cross_entropy(dtype(p), dtype(t), reduction="sum", return_grad=True)
    np.testing.assert_allclose(found, (dtype(loss), dtype(grad)), rtol=2 * np.finfo(dtype).eps)


@by_dtype
@pytest.mark.parametrize(("x", "t", "loss", "grad"), [
    (-INF, 0, 0, 0), (INF, 0, 0, 0), (0, 0, 0, 0), (-INF, 0.5, INF, -0.5), (0, 1, 0, -1),
    (-1, -0.5, NAN, 0.5), (NAN, 0.5, NAN, -0.5), (NAN, 0, NAN, 0), (0, NAN, NAN, NAN),
    (-2, 0.25, 0.25 * (math.log(0.25) + 2), -0.25),
])
def test_limits_of_divergence(dtype, x, t, loss, grad):
    found = cyact.kl_div(dtype(x), dtype(t), reduction="sum", return_grad=True)
    np.testing.assert_allclose(found, (dtype(loss), dtype(grad)), rtol=2 * np.finfo(dtype).eps)
    if t >= 0:
        with np.errstate(divide="ignore"):
            log = np.log(dtype(t))
        found = cyact.kl_div(dtype(x), log, True, reduction="sum", return_grad=True)
        np.testing.assert_allclose(found, (dtype(loss), dtype(grad)), rtol=8 * np.finfo(dtype).eps)


@by_dtype
def test_a_weight_of_zero_takes_an_infinite_loss_away(dtype):
    p = np.array([0, 1, 0, 1, 0.5, NAN, -1], dtype)
    t = np.array([1, 0, 0.5, 0.5, 0, 0, 0], dtype)
    loss, grad = cyact.binary_cross_entropy(p, t, 0, reduction="none", return_grad=True)
    np.testing.assert_array_equal(loss, [0, 0, 0, 0, 0, NAN, NAN])
    np.testing.assert_array_equal(grad, [0, 0, 0, 0, 0, NAN, NAN])
    x = np.array([INF, -INF, -INF, 3, NAN], dtype)
    t = np.array([0, 1, 0.5, 0, 0], dtype)
    loss, grad = W(x, t, 0, reduction="none", return_grad=True)
    np.testing.assert_array_equal(loss, [0, 0, 0, 0, NAN])
    np.testing.assert_array_equal(grad, [0, 0, 0, 0, NAN])
    loss, grad = W(x[1], t[1], None, 0, reduction="none", return_grad=True)
    assert (loss, grad) == (0, 0)
    x, t = np.array([-INF, INF], dtype), np.zeros(2, dtype)
    with np.errstate(divide="ignore"):
        assert (cyact.kl_div(x, t, reduction="none") == 0).all()
        assert (cyact.kl_div(x, np.log(t), True, reduction="none") == 0).all()


def test_small_weights_leave_infinite_losses_infinite():
    tiny = np.float32(2.0**-149)
    for loss in (cyact.binary_cross_entropy(np.float32(0), np.float32(1), tiny),
                 cyact.binary_cross_entropy(np.float32(0), tiny, tiny),
                 W(np.float32(INF), np.float32(0), tiny)):
        assert loss == INF


def test_subnormal_probabilities_keep_their_digits():
    p = np.array([5e-324, 1e-310, 3e-300])
    loss, grad = cyact.binary_cross_entropy(p, np.zeros(3), 3, reduction="none", return_grad=True)
    np.testing.assert_allclose(loss, 3 * p, rtol=1e-15)
    np.testing.assert_allclose(grad, 3)
    loss, grad = cyact.binary_cross_entropy(p, np.ones(3), reduction="none", return_grad=True)
    np.testing.assert_allclose(loss, -np.log(p), rtol=1e-15)
    np.testing.assert_array_equal(grad, [-INF, -INF, -1 / 3e-300])
    _, grad = cyact.binary_cross_entropy(2e-309, 1, 0.25, return_grad=True)
    np.testing.assert_allclose(grad, -1.25e308, rtol=1e-9)


# Reductions

def sample(loss, shape, dtype, seed=0):
    arrays = loss.inputs(np.random.default_rng(seed), int(np.prod(shape)))
    return [np.asarray(a, dtype).reshape(shape) for a in arrays]


@by_loss
@by_dtype
def test_reductions(loss, dtype):
    arrays = sample(loss, (40, 70), dtype)
    each, slopes = loss.call(*arrays, reduction="none", return_grad=True)
    total, same = loss.call(*arrays, reduction="sum", return_grad=True)
    mean, scaled = loss.call(*arrays, return_grad=True)
    eps = np.finfo(dtype).eps
    assert same_bits(same, slopes)
    np.testing.assert_allclose(total, math.fsum(each.ravel().tolist()), rtol=eps)
    np.testing.assert_allclose(mean, math.fsum(each.ravel().tolist()) / each.size, rtol=2 * eps)
    np.testing.assert_allclose(scaled, slopes.astype(np.longdouble) / each.size, rtol=2 * eps,
                               atol=eps / 16 / each.size)        # where its terms cancel
    for reduction, value in zip(REDUCTIONS, (mean, total, each), strict=True):
        assert same_bits(loss.call(*arrays, reduction=reduction), value)


def test_batchmean_divides_by_the_length_of_the_first_axis():
    x, t = sample(LOSSES[3], (8, 5), np.float64)
    total, slopes = cyact.kl_div(x, t, reduction="sum", return_grad=True)
    mean, scaled = cyact.kl_div(x, t, reduction="batchmean", return_grad=True)
    assert mean == total / 8
    np.testing.assert_array_equal(scaled, slopes / 8)
    assert cyact.kl_div(x[0, 0], t[0, 0], reduction="batchmean") == cyact.kl_div(x[0, 0], t[0, 0])


@by_loss
@by_dtype
def test_a_mean_over_nothing_is_nan_and_a_sum_is_zero(loss, dtype):
    for shape in ((0,), (3, 0), (0, 2)):
        arrays = sample(loss, shape, dtype)
        mean, grad = loss.call(*arrays, return_grad=True)
        assert np.isnan(mean)
        assert grad.shape == shape
        assert loss.call(*arrays, reduction="sum") == 0
        assert loss.call(*arrays, reduction="none").shape == shape


@by_loss
def test_a_single_number_gives_scalars(loss):
    numbers = [float(a[0]) for a in loss.inputs(np.random.default_rng(0), 1)]
    arrays = [np.array([n]) for n in numbers]
    for reduction in REDUCTIONS:
        value, grad = loss.call(*numbers, reduction=reduction, return_grad=True)
        expected = loss.call(*arrays, reduction=reduction, return_grad=True)
        assert type(value) is np.float64
        assert value == np.squeeze(expected[0])
        assert np.ndim(grad) == 0
        assert grad == expected[1][0]


def test_large_batches_are_summed_in_float64():
    x = np.zeros(3_000_001, np.float32)
    assert W(x, x) == np.float32(np.log(2))
    assert W(x, x, reduction="sum") == np.float32(len(x) * np.log(2))


def test_sums_are_compensated():
    x = np.full(2**16 + 5, 0.1)
    assert cyact.kl_div(-x, np.ones_like(x), reduction="sum") == math.fsum(x)


# Layouts, threads, dtypes

@by_loss
@by_dtype
@pytest.mark.parametrize("shape", [(1,), (15,), (1023,), (1025,), (40, 60), (3, 4, 5, 6), (7, 1, 9),
                                   (300, 701)], ids=str)
def test_bits_do_not_depend_on_layout_or_threads(loss, dtype, shape, threads):
    arrays = sample(loss, shape, dtype)
    with cyact.num_threads(1):
        value, grad = loss.call(*arrays, return_grad=True)
        each = loss.call(*arrays, reduction="none")
    layouts = [
        arrays, [np.asfortranarray(a) for a in arrays], [a[::-1].copy()[::-1] for a in arrays],
        [np.repeat(a, 2, -1)[..., ::2] for a in arrays],
        [np.asfortranarray(arrays[0]), *arrays[1:]], [a.astype(a.dtype.newbyteorder())
                                                      for a in arrays],
        [arrays[0], *(a.astype(np.longdouble) for a in arrays[1:])]]
    for laid in layouts:
        again, slopes = loss.call(*laid, return_grad=True)
        assert same_bits(again, value)
        assert same_bits(slopes, grad)
        assert same_bits(loss.call(*laid, reduction="none"), each)
    laid, slopes = loss.call(*layouts[1], return_grad=True)
    assert slopes.flags.f_contiguous


@by_dtype
@pytest.mark.parametrize("integer", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2",
                                     "f4", "f8", ">i4", ">f8", "bfloat16"])
def test_targets_and_weights_of_any_dtype(dtype, integer):
    if integer == "bfloat16":
        integer = pytest.importorskip("ml_dtypes").bfloat16
    rng = np.random.default_rng(4)
    x, t = rng.standard_normal((30, 41)).astype(dtype), rng.integers(0, 2, (30, 41))
    w = rng.integers(0, 2, 41)
    expected = W(x, t.astype(dtype), w.astype(dtype), 1 + w.astype(dtype), return_grad=True)
    found = W(x, t.astype(integer), w.astype(integer), (1 + w).astype(dtype), return_grad=True)
    for one, two in zip(found, expected, strict=True):
        assert same_bits(one, two)


@pytest.mark.parametrize("integer", [np.bool_, np.int8, np.uint16, np.int32, np.int64])
def test_integers_become_floating_point(integer):
    x = np.array([[0, 1, 1], [1, 0, 1]], integer)
    dtype = np.result_type(x, np.float32)
    for f in (W, cyact.binary_cross_entropy, cyact.kl_div):
        found = f(x, x, return_grad=True)
        expected = f(x.astype(dtype), x.astype(dtype), return_grad=True)
        assert found[1].dtype == dtype
        for one, two in zip(found, expected, strict=True):
            assert same_bits(one, two)


@by_dtype
@pytest.mark.parametrize("weight", [3, (7,), (5, 1), (4, 1, 7), (1, 1, 1), (4, 5, 7)], ids=str)
def test_weights_broadcast(dtype, weight):
    rng = np.random.default_rng(6)
    shape = weight if isinstance(weight, tuple) else ()
    x = (rng.standard_normal((4, 5, 7)) * 3).astype(dtype)
    t = rng.random(x.shape).astype(dtype)
    w, v = rng.uniform(0, 3, (2, *shape)).astype(dtype)
    full = [np.broadcast_to(a, x.shape).copy() for a in (w, v)]
    for one, two in zip(W(x, t, w, v, return_grad=True), W(x, t, *full, return_grad=True),
                        strict=True):
        assert same_bits(one, two)
    p = 1 / (1 + np.exp(-x))
    loss, grad = cyact.binary_cross_entropy(p, t, w, reduction="none", return_grad=True)
    plain, slopes = cyact.binary_cross_entropy(p, t, reduction="none", return_grad=True)
    np.testing.assert_allclose(loss, plain * full[0], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(grad, slopes * full[0], rtol=4 * np.finfo(dtype).eps)


@by_dtype
@pytest.mark.parametrize("kind", ["own", "half", "mixed"])
@pytest.mark.parametrize("axes", [(2, 1, 0), (0, 2, 1), (1, 0, 2), (2, 0, 1)], ids=str)
def test_arrays_that_lie_across_memory(dtype, kind, axes, threads):
    rng = np.random.default_rng(7)
    shape = (11, 60, 130)
    x, t = rng.standard_normal(shape).astype(dtype), rng.integers(0, 2, shape)
    w = rng.uniform(0, 3, (60, 1)).astype(dtype)
    v = rng.uniform(0, 3, 130).astype(dtype)
    t = t.astype(dtype if kind == "own" else np.int16)
    if kind == "half":
        x, w = x.astype(np.float16), w.astype(np.float16)

    def laid(a):
        return a.transpose(axes).copy().transpose(np.argsort(axes))

    assert laid(x).strides != x.strides
    for reduction in REDUCTIONS:
        expected = W(x, t, w, v, reduction=reduction, return_grad=True)
        for found in (W(laid(x), laid(t), w, v, reduction=reduction, return_grad=True),
                      W(laid(x), t, w, v, reduction=reduction, return_grad=True),
                      W(x, laid(t), w, v, reduction=reduction, return_grad=True)):
            for one, two in zip(found, expected, strict=True):
                assert same_bits(one, two)


@by_dtype
@pytest.mark.parametrize("last", [0, 1e-30, -1e-30, INF, -INF, NAN])
def test_a_sum_between_two_numbers_rounds_as_in_c_order(dtype, last, threads):
    """Memory is read in another order, in which rounding errors of the sum might decide."""
    x = np.zeros((60, 70), dtype)
    half = np.finfo(dtype).eps / 2          # 1 + half is a tie; so is 3/2 + 5 half
    x[0, :3] = -1, 1e15, last
    x[1:5, 7] = -half, half / 2, -half / 4, -half / 4
    x[-1, -1] = -1e15
    ones = np.ones_like(x)
    for reduction in ("sum", "mean"):
        expected = cyact.kl_div(x, ones, reduction=reduction)
        laid = np.asfortranarray(x)
        assert same_bits(cyact.kl_div(laid, ones, reduction=reduction), expected)
        assert same_bits(cyact.kl_div(laid, np.asfortranarray(ones), reduction=reduction),
                         expected)


few = settings(max_examples=60, deadline=None)


@few
@given(data=st.data())
def test_any_shape_and_strides(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6))
    weights = data.draw(hnp.broadcastable_shapes(shape, max_dims=len(shape), max_side=6).filter(
        lambda s: np.broadcast_shapes(s, shape) == shape))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    order = data.draw(st.permutations(range(len(shape))))
    steps = tuple(data.draw(st.sampled_from([slice(None), slice(None, None, -1),
                                             slice(None, None, 2)])) for _ in shape)

    def drawn(values):
        wide = np.zeros([2 * shape[a] for a in order]).transpose(np.argsort(order))
        view = wide[(*steps, ...)][(*(slice(n) for n in shape), ...)]
        view[...] = values
        return view.astype(dtype, copy=False) if dtype == np.float64 else view.astype(dtype)

    x, t = drawn(rng.standard_normal(shape) * 3), drawn(rng.random(shape))
    w = rng.uniform(0.5, 2, weights).astype(dtype)
    loss, grad = W(x, t, w, reduction="none", return_grad=True)
    z, s = x.astype(np.longdouble), t.astype(np.longdouble)
    true = w * ((1 - s) * z + np.logaddexp(0, -z))
    np.testing.assert_allclose(loss, true, rtol=1e-6 if dtype == np.float32 else 1e-12)
    np.testing.assert_allclose(grad, w * (1 / (1 + np.exp(-z)) - s), rtol=1e-6,
                               atol=1e-8 if dtype == np.float32 else 1e-15)


# Memory, and what is left alone

@by_loss
@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "int16", "strided", "mixed",
                                  "across"])
def test_the_gradient_is_the_only_memory_of_its_size(loss, kind):
    arrays = sample(loss, (1000, 1000), np.float32)
    if kind == "across":
        arrays = [a.T for a in arrays]
    elif kind == "strided":
        arrays = [np.repeat(a, 2, 1)[:, ::2] for a in arrays]
    elif kind == "mixed":
        arrays = [arrays[0], *(a.astype(np.float64) for a in arrays[1:])]
    else:
        arrays = [a.astype(kind) for a in arrays]
    size = np.result_type(arrays[0], np.float32 if kind == "int16" else np.float16).itemsize * 10**6
    for grad in (False, True):
        loss.call(*[a[:2] for a in arrays], return_grad=grad)
        tracemalloc.start()
        with cyact.num_threads(1):
            result = loss.call(*arrays, return_grad=grad)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # besides: integers of unusual types, converted once, and a thread's buffers of a tile
        converted = len(arrays) if kind == "int16" else 0
        assert peak < (grad + converted + 0.01) * size + 70_000
        del result


@by_loss
def test_input_is_never_modified_and_may_be_read_only(loss):
    arrays = sample(loss, (5, 6), np.float32)
    copies = [a.copy() for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    loss.call(*arrays, return_grad=True)
    for a, b in zip(arrays, copies, strict=True):
        assert same_bits(a, b)


@by_loss
def test_no_warnings_and_no_floating_point_flags(loss):
    arrays = sample(loss, (70, 30), np.float32)
    arrays[0][0, :4] = [0, 1, NAN, -1]
    halves = [a.astype(np.float16) for a in arrays]
    with np.errstate(all="raise"):
        for reduction in REDUCTIONS:
            loss.call(*arrays, reduction=reduction, return_grad=True)
        loss.call(*halves, return_grad=True)
        np.float64(1) + np.float64(1)


# Other libraries

@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
@by_dtype
def test_agrees_with_torch(dtype):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    rng = np.random.default_rng(3)
    x, t = rng.standard_normal((6, 5, 4)).astype(dtype) * 4, rng.random((6, 5, 4)).astype(dtype)
    p, w = rng.random(x.shape).astype(dtype), rng.uniform(0.1, 2, (5, 4)).astype(dtype)
    v, log = rng.uniform(0.1, 5, 4).astype(dtype), np.log(p)
    w_full = np.broadcast_to(w, x.shape).copy()
    tensor = torch.tensor
    pairs = [
        (lambda **k: W(x, t, w, v, **k), x, lambda a, r: f.binary_cross_entropy_with_logits(
            a, tensor(t), tensor(w), reduction=r, pos_weight=tensor(v))),
        (lambda **k: W(x, t, **k), x, lambda a, r: f.binary_cross_entropy_with_logits(
            a, tensor(t), reduction=r)),
        (lambda **k: cyact.binary_cross_entropy(p, t, w, **k), p, lambda a, r:
         f.binary_cross_entropy(a, tensor(t), tensor(w_full), reduction=r)),
        (lambda **k: cyact.kl_div(log, t, **k), log, lambda a, r: f.kl_div(
            a, tensor(t), reduction=r)),
        (lambda **k: cyact.kl_div(x, log, True, **k), x, lambda a, r: f.kl_div(
            a, tensor(log), reduction=r, log_target=True)),
    ]
    for reduction in [*REDUCTIONS, "batchmean"]:
        for ours, of, theirs in pairs[3 if reduction == "batchmean" else 0:]:
            variable = tensor(of, requires_grad=True)
            value = theirs(variable, reduction)
            value.sum().backward()
            loss, grad = ours(reduction=reduction, return_grad=True)
            tolerance = ({"rtol": 1e-4, "atol": 1e-5} if dtype is np.float32
                         else {"rtol": 1e-10, "atol": 1e-12})
            np.testing.assert_allclose(loss, value.detach().numpy(), **tolerance)
            np.testing.assert_allclose(grad, variable.grad.numpy(), **tolerance)


def test_lists_tensors_frames_and_masked_arrays_without_masked_entries():
    x, t = np.array([[0.5, -1.0], [2.0, 0.0]]), np.array([[1, 0], [0, 1]])
    expected = W(x, t, return_grad=True)
    forms = [(x.tolist(), t.tolist()), (np.ma.array(x), np.ma.array(t, mask=False))]
    try:
        import pandas as pd
        forms.append((pd.DataFrame(x), pd.DataFrame(t)))
    except ImportError:
        pass
    try:
        import torch
        forms.append((torch.tensor(x), torch.tensor(t)))
    except ImportError:
        pass
    for form in forms:
        found = W(*form, return_grad=True)
        assert found[0] == expected[0]
        assert type(found[1]) is np.ndarray
        np.testing.assert_array_equal(found[1], expected[1])


# Errors

X = np.full((2, 3), 0.5)


@pytest.mark.parametrize(("name", "arguments", "options", "error", "text"), [
    ("binary_cross_entropy", (X, X[0]), {}, ValueError, r"shape of p, \(2, 3\); got \(3,\)"),
    ("binary_cross_entropy", (X, X, X[:, :2]), {}, ValueError, r"weight must broadcast.*\(2, 2\)"),
    ("binary_cross_entropy", (X, X, X[None]), {}, ValueError, "weight must broadcast"),
    ("binary_cross_entropy", (X, X), {"reduction": "batchmean"}, ValueError, "'mean'.*'batchmean'"),
    ("binary_cross_entropy", (X.astype(complex), X), {}, TypeError, "complex128 is not supported"),
    ("binary_cross_entropy", (X, X.astype(complex)), {}, TypeError, "target.*complex128"),
    ("binary_cross_entropy", (X, X.astype("M8[s]")), {}, TypeError, "target.*datetime64"),
    ("binary_cross_entropy", (X, X, X.astype(object)), {}, TypeError, "weight.*object"),
    ("binary_cross_entropy", (X.astype(np.longdouble), X), {}, TypeError, "not supported"),
    ("binary_cross_entropy", (np.ma.array(X, mask=X > 0), X), {}, ValueError,
     "p is a masked array"),
    ("binary_cross_entropy", (X, np.ma.array(X, mask=X > 0)), {}, ValueError,
     "target is a masked array.*weight of 0"),
    ("binary_cross_entropy_with_logits", (X, X[:1]), {}, ValueError, "shape of logits"),
    ("binary_cross_entropy_with_logits", (X, X, None, X[:, :1, None]), {}, ValueError,
     "pos_weight must broadcast"),
    ("binary_cross_entropy_with_logits", (X, X), {"reduction": None}, ValueError, "got None"),
    ("binary_cross_entropy_with_logits", ([[1.0], [1.0, 2.0]], X), {}, ValueError, "ragged"),
    ("kl_div", (X, X[0]), {}, ValueError, "shape of log_p"),
    ("kl_div", (X, X), {"reduction": "avg"}, ValueError, "'batchmean'.*got 'avg'"),
    ("kl_div", (X, X), {"dtype": "f4"}, TypeError, "dtype"),
], ids=lambda v: f"{v}"[:40] if isinstance(v, (str, dict)) else "")
def test_bad_arguments(name, arguments, options, error, text):
    with pytest.raises(error, match=text) as caught:
        getattr(cyact, name)(*arguments, **options)
    assert name in str(caught.value)
