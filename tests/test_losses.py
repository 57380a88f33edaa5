"""Losses of a row each: cross_entropy, nll_loss and focal_loss, with their gradients.

Values of cross_entropy are compared with longdouble, those of focal_loss with mpmath.
"""

import itertools
import math
import tracemalloc

import mpmath as mp
import numpy as np
import pytest
from cases import DTYPES, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cyact
from cyact._engine import losses as _engine

pytestmark = pytest.mark.levels

by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
REDUCTIONS = ["mean", "sum", "none"]
INF, NAN = np.inf, np.nan


def expected(x, target, axis=-1, weight=None, ignore_index=-100, label_smoothing=0.0,
             reduction="mean"):
    """(loss, gradient) in longdouble, from the definition."""
    z = np.moveaxis(np.asarray(x), axis, -1).astype(np.longdouble)
    n = z.shape[-1]
    w = np.ones(n) if weight is None else np.asarray(weight, np.longdouble)
    target = np.asarray(target)
    classes = target.dtype.kind in "iu"
    if classes:
        ignored = target == ignore_index
        index = np.where(ignored, 0, target).astype(int)
        hot = np.arange(n) == index[..., None]
        z = np.where(ignored[..., None], 0, z)
        count = np.sum(np.where(ignored, 0, w[index]))
    else:
        ignored = np.zeros(z.shape[:-1], bool)
        hot = np.moveaxis(target, axis, -1).astype(np.longdouble)
        count = np.longdouble(z[..., 0].size)
    a = w * (hot * (1 - np.longdouble(label_smoothing)) + np.longdouble(label_smoothing) / n)
    top = z.max(-1, keepdims=True)
    e = np.exp(z - top)
    others = e.copy()
    np.put_along_axis(others, z.argmax(-1)[..., None], 0, -1)
    log = (z - top) - np.log1p(others.sum(-1, keepdims=True))
    loss = np.where(ignored, 0, -(a * log).sum(-1))
    grad = e / e.sum(-1, keepdims=True) * a.sum(-1, keepdims=True) - a
    grad = np.where(ignored[..., None], 0, grad)
    if reduction == "mean":
        grad = grad / count
        loss = loss.sum() / count
    elif reduction == "sum":
        loss = loss.sum()
    return loss, np.moveaxis(grad, -1, axis)


def assert_matches(x, target, **options):
    loss, grad = cyact.cross_entropy(x, target, return_grad=True, **options)
    true_loss, true_grad = expected(x, target, **options)
    eps = np.finfo(x.dtype).eps
    assert loss.dtype == x.dtype
    assert grad.dtype == x.dtype
    assert loss.shape == true_loss.shape
    assert grad.shape == x.shape
    np.testing.assert_allclose(loss.astype(np.longdouble), true_loss, rtol=8 * eps)
    np.testing.assert_allclose(grad.astype(np.longdouble), true_grad, rtol=8 * eps,
                               atol=8 * eps * np.abs(true_grad).max())
    alone = cyact.cross_entropy(x, target, **options)
    assert same_bits(alone, loss)


def logits(shape, dtype, spread=3, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * spread).astype(dtype)


@by_dtype
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0, 0.1, 1])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", ["classes", "probabilities"])
def test_all_options_together(dtype, reduction, smoothing, weighted, kind):
    rng = np.random.default_rng(8)
    for shape, axis in [((9, 5), -1), ((7, 1), 1), ((5, 9), 0), ((4, 6, 3, 2), 1), ((5,), 0),
                        ((40, 33), 1), ((3, 1500), 1)]:
        x = logits(shape, dtype)
        n = shape[axis]
        rest = tuple(np.delete(shape, axis))
        if kind == "classes":
            target = np.asarray(rng.integers(0, n, rest))
        else:
            target = np.moveaxis(rng.dirichlet(np.ones(n), rest), -1, axis).astype(dtype)
        weight = rng.uniform(0.5, 2, n).astype(dtype) if weighted else None
        assert_matches(x, target, axis=axis, weight=weight, label_smoothing=smoothing,
                       reduction=reduction)


@by_dtype
@pytest.mark.parametrize("smoothing", [0, 0.2])
def test_ignored_rows_contribute_nothing_whatever_they_hold(dtype, smoothing):
    x = logits((6, 4), dtype)
    target = np.array([0, -100, 3, -100, 2, -100])
    clean = cyact.cross_entropy(x, target, label_smoothing=smoothing, return_grad=True)
    x[1], x[3], x[5] = NAN, INF, [-INF, INF, NAN, 0]
    loss, grad = cyact.cross_entropy(x, target, label_smoothing=smoothing, return_grad=True)
    assert same_bits(loss, clean[0])
    assert same_bits(grad, clean[1])
    assert not grad[[1, 3, 5]].any()
    each = cyact.cross_entropy(x, target, label_smoothing=smoothing, reduction="none")
    assert not each[[1, 3, 5]].any()
    assert each[[0, 2, 4]].all()
    assert_matches(np.nan_to_num(x, posinf=0, neginf=0), target, label_smoothing=smoothing)


@by_dtype
def test_ignore_index_may_be_any_number(dtype):
    x = logits((4, 3), dtype)
    for index in (-1, 2, 255, 0):
        target = np.array([0, 1, index, 2])
        assert_matches(x, target, ignore_index=index)
        assert_matches(x, target, ignore_index=index, weight=np.array([1, 2, 0.5], dtype))


@by_dtype
def test_a_mean_over_nothing_is_nan_and_a_sum_is_zero(dtype):
    x = logits((3, 4), dtype)
    nothing = np.full(3, -100)
    for rows, target in [(x, nothing), (x[:0], nothing[:0])]:
        loss, grad = cyact.cross_entropy(rows, target, return_grad=True)
        assert np.isnan(loss)
        assert not grad.any()
        loss, grad = cyact.cross_entropy(rows, target, reduction="sum", return_grad=True)
        assert loss == 0
        assert not grad.any()
        assert not cyact.cross_entropy(rows, target, reduction="none").any()


@pytest.mark.parametrize("integer", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32,
                                     np.int64, np.uint64, ">i4"])
def test_classes_of_any_integer_type(integer):
    x = logits((5, 4), np.float32)
    target = np.array([0, 3, 1, 2, 2])
    assert same_bits(cyact.cross_entropy(x, target.astype(integer)), cyact.cross_entropy(x, target))
    assert same_bits(cyact.cross_entropy(x, target.tolist()), cyact.cross_entropy(x, target))


@by_dtype
def test_confident_rows_keep_their_digits(dtype):
    x = np.array([[0, -20], [-20, 0]], dtype)
    loss, grad = cyact.cross_entropy(x, [0, 1], reduction="none", return_grad=True)
    np.testing.assert_allclose(loss, [2.0611536181902037e-09] * 2, rtol=3e-7)
    share = 2.0611536139418493e-09
    np.testing.assert_allclose(grad, [[-share, share], [share, -share]], rtol=3e-7)


@by_dtype
@pytest.mark.parametrize("shape", [(2, 5, 3, 4), (6, 5)], ids=str)
def test_classes_may_lie_along_any_axis(shape, dtype):
    x = logits(shape, dtype)
    for axis in range(-x.ndim, x.ndim):
        rest = tuple(np.delete(shape, axis))
        target = np.random.default_rng(1).integers(0, shape[axis], rest)
        assert_matches(x, target, axis=axis)
        for laid in (np.asfortranarray(x), x[..., ::-1].copy()[..., ::-1]):
            for one, two in zip(cyact.cross_entropy(laid, target, axis=axis, return_grad=True),
                                cyact.cross_entropy(x, target, axis=axis, return_grad=True),
                                strict=True):
                assert same_bits(one, two)


@by_dtype
def test_special_rows(dtype):
    x = np.array([[0, 1, NAN], [0, 1, INF], [-INF] * 3, [0, -INF, 1]], dtype)
    loss, grad = cyact.cross_entropy(x, [0, 0, 0, 1], reduction="none", return_grad=True)
    assert np.isnan(loss[:3]).all()
    assert loss[3] == INF
    assert np.isnan(grad[:3]).all()
    np.testing.assert_allclose(grad[3], [0.26894142, -1, 0.73105858], rtol=1e-6)


@by_dtype
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.3}, {"weight": [0.5, 2, 1, 1.5]},
                                     {"reduction": "sum"}], ids=str)
def test_gradients_are_slopes(dtype, options):
    x = logits((3, 4), np.float64)
    target = [0, 3, 1]
    slopes = np.empty_like(x)
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += 1e-6
        down[at] -= 1e-6
        slopes[at] = (cyact.cross_entropy(up, target, **options)
                      - cyact.cross_entropy(down, target, **options)) / 2e-6
    _, grad = cyact.cross_entropy(x.astype(dtype), target, return_grad=True, **options)
    np.testing.assert_allclose(grad, slopes, atol=1e-8 if dtype is np.float64 else 1e-5)


def test_large_batches_are_summed_in_float64():
    x = np.zeros((300_000, 3), np.float32)
    target = np.zeros(len(x), int)
    assert cyact.cross_entropy(x, target) == np.float32(np.log(3))
    total = cyact.cross_entropy(x, target, reduction="sum")
    assert total == pytest.approx(len(x) * np.log(3), rel=1e-7)


def test_integers_become_floating_point():
    assert cyact.cross_entropy([[2, 0, 0]], [0]).dtype == np.float64
    assert cyact.cross_entropy(np.array([[2, 0, 0]], np.int8), [0]).dtype == np.float32


def test_input_is_never_modified_and_may_be_read_only():
    x, target, weight = logits((4, 3), np.float32), np.array([0, 1, 2, -100]), np.ones(3)
    copies = x.copy(), target.copy(), weight.copy()
    for a in (x, target, weight):
        a.flags.writeable = False
    cyact.cross_entropy(x, target, weight=weight, return_grad=True)
    for a, b in zip((x, target, weight), copies, strict=True):
        np.testing.assert_array_equal(a, b)


X = np.zeros((2, 3, 4))


@pytest.mark.parametrize(("arguments", "options", "error", "text"), [
    ((X, np.zeros((2, 4), int)), {}, ValueError, r"target.*shape.*\(2, 3\).*got \(2, 4\)"),
    ((X, np.zeros((2, 3))), {}, ValueError, r"probabilities.*\(2, 3, 4\).*integer dtype"),
    ((X, 0), {}, ValueError, "shape"),
    ((X, np.zeros((2, 3), complex)), {}, (TypeError, ValueError), "target"),
    ((X, np.zeros(X.shape, complex)), {}, TypeError, "target.*complex128"),
    ((X, np.zeros((2, 3), int)), {"axis": 3}, ValueError, "axis 3 is out of bounds"),
    ((X, np.zeros((2, 3), int)), {"axis": 1.5}, TypeError, "axis must be an integer"),
    ((X, np.zeros((2, 3), int)), {"weight": np.ones(3)}, ValueError, r"per class.*\(4,\)"),
    ((X, np.zeros((2, 3), int)), {"weight": 1.0}, ValueError, "one entry per class"),
    ((X, np.zeros((2, 3), int)), {"label_smoothing": 1.5}, ValueError, "smoothing.*from 0 to 1"),
    ((X, np.zeros((2, 3), int)), {"label_smoothing": NAN}, ValueError, "label_smoothing"),
    ((X, np.zeros((2, 3), int)), {"label_smoothing": "a"}, TypeError, "label_smoothing"),
    ((X, np.zeros((2, 3), int)), {"reduction": "avg"}, ValueError, "'mean'.*got 'avg'"),
    ((X.astype(complex), np.zeros((2, 3), int)), {}, TypeError, "complex128 is not supported"),
    ((1.0, 0), {}, ValueError, "axis"),
], ids=lambda v: f"{v}"[:40] if isinstance(v, (str, dict)) else "")
def test_bad_arguments(arguments, options, error, text):
    with pytest.raises(error, match=text) as caught:
        cyact.cross_entropy(*arguments, **options)
    assert "cross_entropy" in str(caught.value)


@pytest.mark.parametrize("wrong", [4, -1, -101, 10**6])
def test_classes_out_of_range_name_the_row(wrong):
    target = np.zeros((2, 3), int)
    target[1, 2] = wrong
    with pytest.raises(IndexError, match=rf"target\[1, 2\] is {wrong}, but the classes are 0 to 3"):
        cyact.cross_entropy(X, target)
    with pytest.raises(IndexError, match=f"target is {wrong}"):
        cyact.cross_entropy(X[0, 0], wrong)


def test_unsigned_classes_beyond_any_row_are_out_of_range():
    with pytest.raises(IndexError, match="18446744073709551615"):
        cyact.cross_entropy([[1.0, 2.0]], np.array([2**64 - 1], np.uint64))


@by_dtype
def test_agrees_with_torch(dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x = logits((6, 5, 4), dtype)
    for reduction, smoothing, weighted, probabilities in itertools.product(
            REDUCTIONS, [0.0, 0.3], [False, True], [False, True]):
        weight = rng.uniform(0.5, 2, 5).astype(dtype) if weighted else None
        target = (np.moveaxis(rng.dirichlet(np.ones(5), (6, 4)), -1, 1).astype(dtype)
                  if probabilities else rng.integers(0, 5, (6, 4)))
        if not probabilities:
            target[0, 0] = -100
        theirs_x = torch.tensor(x, requires_grad=True)
        theirs = torch.nn.functional.cross_entropy(
            theirs_x, torch.tensor(target), None if weight is None else torch.tensor(weight),
            reduction=reduction, label_smoothing=smoothing)
        theirs.sum().backward()
        loss, grad = cyact.cross_entropy(x, target, axis=1, weight=weight, reduction=reduction,
                                         label_smoothing=smoothing, return_grad=True)
        tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype is np.float32 else {"rtol": 1e-9,
                                                                             "atol": 1e-12}
        np.testing.assert_allclose(loss, theirs.detach().numpy(), **tolerance)
        np.testing.assert_allclose(grad, theirs_x.grad.numpy(), **tolerance)


# Other dtypes: half types, integers, targets of another dtype than the logits

HALVES = pytest.mark.parametrize("kind", ["float16", "bfloat16"])


def half(kind):
    return np.float16 if kind == "float16" else pytest.importorskip("ml_dtypes").bfloat16


def assert_rounded_once(y, true, kind):
    """y, of a half type, is the float64 `true` rounded, but for float32's own error."""
    assert y.dtype == half(kind)
    digits, lowest = (10, -14) if kind == "float16" else (7, -126)
    exponent = np.maximum(np.frexp(true)[1] - 1, lowest)
    error = np.abs(y.astype(np.float64) - true) / 2.0 ** (exponent - digits)
    assert error.max() <= 0.505


LAYOUTS = [lambda x: x, np.asfortranarray, lambda x: x[::-1].copy()[::-1],
           lambda x: np.repeat(x, 2, -1)[..., ::2]]


@HALVES
@pytest.mark.parametrize(("shape", "axis"), [
    ((9, 5), -1), ((7, 1), 1), ((5, 9), 0), ((4, 6, 3, 2), 1), ((5,), 0), ((40, 33), 1),
    ((3, 1500), 1), ((2, 70_000), 1), ((1300, 17), 1)], ids=str)
def test_half_types_are_rounded_once(kind, shape, axis, threads):
    rng = np.random.default_rng(8)
    x = logits(shape, np.float64).astype(half(kind))
    rest = tuple(np.delete(shape, axis))
    classes = np.asarray(rng.integers(0, shape[axis], rest))
    shares = np.moveaxis(rng.dirichlet(np.ones(shape[axis]), rest), -1, axis).astype(np.float32)
    for f, target, options in [(cyact.cross_entropy, classes, {}),
                               (cyact.cross_entropy, classes, {"label_smoothing": 0.1}),
                               (cyact.cross_entropy, shares, {}),
                               (cyact.focal_loss, classes, {}), (cyact.nll_loss, classes, {})]:
        options |= {"axis": axis, "reduction": "none", "return_grad": True}
        found = f(x, target, **options)
        for y, true in zip(found, f(x.astype(np.float64), target, **options), strict=True):
            assert_rounded_once(y, true, kind)
        for lay in LAYOUTS:
            for one, two in zip(f(lay(x), target, **options), found, strict=True):
                assert same_bits(one, two)
        assert f(x, target, axis=axis).dtype == half(kind)


@by_dtype
@pytest.mark.parametrize("given_as", ["f2", "f4", "f8", "g", ">f4", "bfloat16"])
def test_probabilities_of_any_float_dtype(dtype, given_as):
    rng = np.random.default_rng(5)
    for shape, axis in [((6, 5), 1), ((3, 4, 40), 1), ((2, 3000), 1)]:
        x = logits(shape, dtype)
        target = np.moveaxis(rng.dirichlet(np.ones(shape[axis]), np.delete(shape, axis)), -1, axis)
        target = target.astype(half(given_as) if given_as == "bfloat16" else given_as)
        expected = cyact.cross_entropy(x, target.astype(dtype), axis=axis, return_grad=True)
        for lay in LAYOUTS:
            found = cyact.cross_entropy(lay(x), lay(target), axis=axis, return_grad=True)
            for one, two in zip(found, expected, strict=True):
                assert same_bits(one, two)


@pytest.mark.parametrize("integer", [np.bool_, np.int8, np.uint16, np.int32, np.int64])
def test_integer_logits_are_those_floating_point_numbers(integer):
    x = np.random.default_rng(0).integers(0, 9, (5, 3, 4)).astype(integer)
    target = np.random.default_rng(0).integers(0, 3, (5, 4))
    wide = x.astype(np.result_type(x, np.float32))
    for f in (cyact.cross_entropy, cyact.nll_loss, cyact.focal_loss):
        found = f(x, target, axis=1, return_grad=True)
        for one, two in zip(found, f(wide, target, axis=1, return_grad=True), strict=True):
            assert same_bits(one, two)


# Negative log-likelihood

@by_dtype
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_nll_loss_picks_the_classes(dtype, reduction, weighted, threads):
    rng = np.random.default_rng(8)
    for shape, axis in [((9, 5), -1), ((7, 1), 1), ((5, 9), 0), ((4, 6, 3, 2), 1), ((5,), 0),
                        ((5000, 40), 1), ((3, 2, 1500, 3), 2)]:
        x = cyact.log_softmax(logits(shape, dtype), axis=axis)
        target = np.asarray(rng.integers(0, shape[axis], tuple(np.delete(shape, axis))))
        if target.size > 1:
            target.flat[0] = -100
            np.moveaxis(x, axis, -1)[(0,) * (x.ndim - 1)] = NAN
        w = rng.uniform(0.5, 2, shape[axis]).astype(dtype) if weighted else np.ones(shape[axis])
        index = np.where(target == -100, 0, target)[..., None]
        used = np.where(target == -100, 0, w[index[..., 0]]).astype(np.longdouble)
        picked = np.take_along_axis(np.moveaxis(x, axis, -1), index, -1)[..., 0]
        true = np.where(target == -100, 0, -used * picked)
        count = used.sum() if reduction == "mean" else 1
        slopes = np.zeros(np.moveaxis(x, axis, -1).shape)
        np.put_along_axis(slopes, index, (-used / count)[..., None].astype(float), -1)
        for lay in LAYOUTS:
            loss, grad = cyact.nll_loss(lay(x), target, axis=axis, reduction=reduction,
                                        weight=w.astype(dtype) if weighted else None,
                                        return_grad=True)
            assert loss.dtype == grad.dtype == dtype
            np.testing.assert_allclose(
                loss, true if reduction == "none" else true.sum() / count,
                rtol=3 * np.finfo(dtype).eps)
            np.testing.assert_allclose(np.moveaxis(grad, axis, -1), slopes,
                                       rtol=3 * np.finfo(dtype).eps)


@by_dtype
def test_limits_of_nll_loss(dtype):
    x = np.array([[-INF, 0], [-INF, 0], [NAN, -1], [INF, -0.0]], dtype)
    loss, grad = cyact.nll_loss(x, [0, 1, 1, 0], reduction="none", return_grad=True)
    np.testing.assert_array_equal(loss, [INF, 0, 1, -INF])
    assert not np.signbit(loss[1])
    np.testing.assert_array_equal(grad, [[-1, 0], [0, -1], [0, -1], [-1, 0]])
    assert np.isnan(cyact.nll_loss(x[:0], np.zeros(0, int)))
    assert np.isnan(cyact.nll_loss(x, [-100] * 4))
    assert cyact.nll_loss(x, [-100] * 4, reduction="sum") == 0


def test_nll_loss_gives_the_gradient_the_layout_of_the_input():
    x = np.zeros((3, 4, 5), np.float32)
    for axes in itertools.permutations(range(3)):
        laid = x.transpose(axes)
        target = np.zeros(laid.shape[:1] + laid.shape[2:], int)
        _, grad = cyact.nll_loss(laid, target, axis=1, return_grad=True)
        assert grad.strides == laid.strides


# Focal loss

def focal(c, others, gamma, alpha):
    """The loss as a function of the class's logit and those of the others."""
    q = 1 / (1 + mp.exp(c) / mp.fsum(map(mp.exp, others)))
    return -alpha * q**gamma * mp.log1p(-q) if q else mp.mpf(0)


@by_dtype
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.7])
@pytest.mark.parametrize("spread", [1, 20])
def test_focal_loss_against_mpmath(dtype, gamma, spread):
    rng = np.random.default_rng(1)
    eps = np.finfo(dtype).eps
    bound = 2 * eps if dtype == np.float32 else (4 + 2 * gamma) * eps
    # A gradient is that of cross_entropy, rounded, times a factor: this shows where it is
    # subnormal.
    least = 4 * np.finfo(dtype).smallest_subnormal
    for n in (2, 3, 40):
        x = logits((12, n), dtype, spread)
        target, alpha = rng.integers(0, n, 12), rng.uniform(0.2, 2, n).astype(dtype)
        loss, grad = cyact.focal_loss(x, target, gamma, alpha, reduction="none", return_grad=True)
        with mp.workprec(300):
            for r, c in enumerate(target):
                z = [mp.mpf(float(v)) for v in x[r]]
                others = z[:c] + z[c + 1:]
                a = mp.mpf(float(alpha[c]))
                true = focal(z[c], others, gamma, a)
                slope = mp.diff(lambda v, o=others, a=a: focal(v, o, gamma, a), z[c],
                                h=mp.mpf(2) ** -90)
                assert abs(loss[r] - true) <= bound * abs(true) + least
                assert abs(grad[r, c] - slope) <= bound * abs(slope) + least
                total = mp.fsum(map(mp.exp, others))
                for k in range(n):
                    share = -slope * mp.exp(z[k]) / total
                    if k != c:
                        assert abs(grad[r, k] - share) <= bound * abs(share) + least


@by_dtype
def test_focal_loss_without_focus_is_cross_entropy(dtype):
    x, target = logits((50, 7), dtype), np.random.default_rng(0).integers(-1, 7, 50)
    for reduction in REDUCTIONS:
        options = {"ignore_index": -1, "reduction": reduction, "return_grad": True}
        for one, two in zip(cyact.focal_loss(x, target, 0, **options),
                            cyact.cross_entropy(x, target, **options), strict=True):
            np.testing.assert_allclose(one, two, rtol=4 * np.finfo(dtype).eps)


@by_dtype
@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 50])
def test_limits_of_focal_loss(dtype, gamma):
    x = np.array([[0, -1000], [-1000, 0], [0, -INF], [-INF, 0], [0, NAN], [0, INF], [NAN, INF],
                  [0, -40]], dtype)
    target = [0, 0, 0, 0, 0, 0, -100, 0]
    loss, grad = cyact.focal_loss(x, target, gamma, reduction="none", return_grad=True)
    np.testing.assert_array_equal(loss[:4], [0, 1000, 0, INF])
    assert np.isnan(loss[4:6]).all()
    assert loss[6] == 0
    np.testing.assert_allclose(loss[7], dtype(math.exp(-40) ** (1 + gamma)), rtol=1e-5)
    np.testing.assert_array_equal(grad[:4], [[0, 0], [-1, 1], [0, 0], [-1, 1]])
    assert np.isnan(grad[4:6]).all()
    assert not grad[6].any()
    assert np.isnan(cyact.focal_loss(x[:0], np.zeros(0, int), gamma))


@by_dtype
def test_the_mean_of_focal_loss_counts_rows_whatever_their_factor(dtype):
    x, target = logits((6, 3), dtype), np.array([0, 1, 2, -100, 1, 0])
    alpha = np.array([0.25, 1, 3], dtype)
    each, slopes = cyact.focal_loss(x, target, 2, alpha, reduction="none", return_grad=True)
    mean, grad = cyact.focal_loss(x, target, 2, alpha, return_grad=True)
    np.testing.assert_allclose(mean, each.sum() / 5, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(grad, slopes / 5, rtol=4 * np.finfo(dtype).eps)
    one = cyact.focal_loss(x, target, 2, 0.25, reduction="none", return_grad=True)
    same = cyact.focal_loss(x, target, 2, np.full(3, 0.25, dtype), reduction="none",
                            return_grad=True)
    for a, b in zip(one, same, strict=True):
        assert same_bits(a, b)


@by_dtype
def test_focal_loss_agrees_with_torch(dtype):
    torch = pytest.importorskip("torch")
    x, target = logits((6, 5, 4), dtype), np.random.default_rng(0).integers(0, 5, (6, 4))
    variable = torch.tensor(x, requires_grad=True)
    log = variable.log_softmax(1).gather(1, torch.tensor(target).unsqueeze(1))
    theirs = (-((1 - log.exp()) ** 2) * log).mean()
    theirs.backward()
    loss, grad = cyact.focal_loss(x, target, axis=1, return_grad=True)
    np.testing.assert_allclose(loss, theirs.item(), rtol=1e-5)
    np.testing.assert_allclose(grad, variable.grad.numpy(), rtol=1e-4, atol=1e-7)


@by_dtype
def test_nll_loss_agrees_with_torch(dtype):
    torch = pytest.importorskip("torch")
    x, target = logits((6, 5, 4), dtype), np.random.default_rng(0).integers(0, 5, (6, 4))
    target[0, 0] = -100
    w = np.random.default_rng(1).uniform(0.5, 2, 5).astype(dtype)
    for reduction in REDUCTIONS:
        variable = torch.tensor(x, requires_grad=True)
        theirs = torch.nn.functional.nll_loss(variable, torch.tensor(target), torch.tensor(w),
                                              reduction=reduction)
        theirs.sum().backward()
        loss, grad = cyact.nll_loss(x, target, axis=1, weight=w, reduction=reduction,
                                    return_grad=True)
        np.testing.assert_allclose(loss, theirs.detach().numpy(), rtol=1e-5)
        np.testing.assert_allclose(grad, variable.grad.numpy(), rtol=1e-5)


# All of them

ROW_LOSSES = [cyact.cross_entropy, cyact.nll_loss, cyact.focal_loss]
by_loss = pytest.mark.parametrize("loss", ROW_LOSSES, ids=lambda f: f.__name__)


@by_loss
@by_dtype
def test_bits_do_not_depend_on_threads_or_layout(loss, dtype, threads):
    rng = np.random.default_rng(2)
    for shape, axis in [((20_011, 10), 1), ((6, 21, 40, 30), 1), ((300, 1000), 1)]:
        x = (rng.standard_normal(shape) * 8).astype(dtype)
        target = rng.integers(0, shape[axis], np.delete(shape, axis))
        with cyact.num_threads(1):
            expected = [loss(x, target, axis=axis, reduction=r, return_grad=True)
                        for r in REDUCTIONS]
        for lay in LAYOUTS:
            for reduction, two in zip(REDUCTIONS, expected, strict=True):
                again = loss(lay(x), target, axis=axis, reduction=reduction, return_grad=True)
                assert same_bits(again[0], two[0])
                assert same_bits(again[1], two[1])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_losses_of_any_shape_agree(data):
    """nll_loss of log_softmax, and focal_loss without focus, are cross_entropy."""
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=7))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    reduction = data.draw(st.sampled_from(REDUCTIONS))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = (rng.standard_normal(shape) * 3).astype(dtype)
    x = x.transpose(data.draw(st.permutations(range(len(shape)))))
    target = np.asarray(rng.integers(0, x.shape[axis], np.delete(x.shape, axis).tolist()))
    options = {"axis": axis, "reduction": reduction}
    expected = cyact.cross_entropy(x, target, **options)
    for found in (cyact.nll_loss(cyact.log_softmax(x, axis=axis), target, **options),
                  cyact.focal_loss(x, target, 0, **options)):
        np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(dtype).eps)


@by_dtype
def test_a_class_weight_of_zero_takes_an_infinite_loss_away(dtype):
    x = np.array([[-INF, 0], [0, -INF], [NAN, 0]], dtype)
    target = [0, 1, 0]
    loss = cyact.nll_loss(x, target, weight=[0, 2], reduction="none")
    np.testing.assert_array_equal(loss, [0, INF, NAN])
    loss = cyact.focal_loss(x[:2], target[:2], alpha=[0, 2], reduction="none")
    np.testing.assert_array_equal(loss, [0, INF])


@pytest.mark.parametrize("kind", [np.intp, np.uint8])
def test_classes_are_checked_in_a_copy_of_their_own(kind):
    """So another thread cannot change a class between the check and its use as an index."""
    target = np.array([0, 2, 1], kind)
    classes = _engine.classes_of("nll_loss", target, (3,), 3, 2)
    assert classes.tolist() == [0, -1, 1]
    assert not np.shares_memory(classes, target)
    assert target.tolist() == [0, 2, 1]
    with pytest.raises(IndexError, match="is 18446744073709551615, but"):
        cyact.nll_loss(np.zeros((1, 2)), np.array([2**64 - 1], np.uint64))


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "int16", "strided", "axis 0"])
@pytest.mark.parametrize(("loss", "soft"), [(f, False) for f in ROW_LOSSES] + [
    (cyact.cross_entropy, True)], ids=lambda v: getattr(v, "__name__", f"soft={v}"))
def test_the_gradient_is_the_only_memory_of_its_size(loss, soft, kind):
    x = logits((1000, 2000), np.float32, spread=30)
    axis = 0 if kind == "axis 0" else 1
    target = np.random.default_rng(0).integers(0, 1000, x.shape[1 - axis])
    if soft:
        target = np.full(x.shape, 1e-3)         # float64: not the dtype of the logits
    if kind == "strided":
        x = np.repeat(x, 2, 1)[:, ::2]
    elif kind != "axis 0":
        x = x.astype(kind)
    size = np.result_type(x, np.float32 if kind == "int16" else np.float16).itemsize * x.size
    for grad in (False, True):
        tracemalloc.start()
        with cyact.num_threads(2):
            result = loss(x, target, axis=axis, return_grad=grad)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # besides: integers converted once, a few numbers a row, and buffers of a block of rows for
        # each thread
        assert peak < ((grad + (kind == "int16")) * size + 40 * x.shape[1 - axis]
                       + (1_100_000 if axis == 0 else 500_000))
        del result


@by_loss
@pytest.mark.parametrize(("options", "arguments", "error", "text"), [
    ({}, (X, np.zeros((2, 4), int)), ValueError, r"target.*shape.*\(2, 3\).*got \(2, 4\)"),
    ({}, (X, 0), ValueError, "shape"),
    ({"axis": 3}, (X, np.zeros((2, 3), int)), ValueError, "axis 3 is out of bounds"),
    ({"axis": 1.5}, (X, np.zeros((2, 3), int)), TypeError, "axis must be an integer"),
    ({"reduction": "avg"}, (X, np.zeros((2, 3), int)), ValueError, "'mean'.*got 'avg'"),
    ({"ignore_index": 1.5}, (X, np.zeros((2, 3), int)), TypeError, "ignore_index.*1.5"),
    ({}, (X.astype(complex), np.zeros((2, 3), int)), TypeError, "complex128 is not supported"),
    ({}, (X, np.full((2, 3), 4)), IndexError, r"target\[0, 0\] is 4.*0 to 3"),
    ({}, (X, np.full((2, 3), 2**64 - 100, np.uint64)), IndexError, "18446744073709551516"),
    ({}, (np.ma.array(X, mask=X == 0), np.zeros((2, 3), int)), ValueError, "is a masked array"),
    ({}, (X, np.ma.array(np.zeros((2, 3), int), mask=True)), ValueError,
     "target is a masked array.*ignore_index"),
], ids=lambda v: f"{v}"[:40] if isinstance(v, (str, dict)) else "")
def test_bad_arguments_of_each(loss, options, arguments, error, text):
    with pytest.raises(error, match=text) as caught:
        loss(*arguments, **options)
    assert loss.__name__ in str(caught.value)


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda t: cyact.nll_loss(X, t, weight=np.ones(3)), ValueError, r"per class.*\(4,\)"),
    (lambda t: cyact.nll_loss(X, t.astype(float)), TypeError, "integers.*float64"),
    (lambda t: cyact.focal_loss(X, t.astype(bool)), TypeError, "integers.*bool"),
    (lambda t: cyact.focal_loss(X, t, -1), ValueError, "gamma.*at least 0.*-1"),
    (lambda t: cyact.focal_loss(X, t, NAN), ValueError, "gamma"),
    (lambda t: cyact.focal_loss(X, t, "2"), TypeError, "gamma"),
    (lambda t: cyact.focal_loss(X, t, 2, INF), ValueError, "alpha must be finite"),
    (lambda t: cyact.focal_loss(X, t, 2, [0.5, 0.5]), ValueError, r"alpha.*\(4,\); got \(2,\)"),
    (lambda t: cyact.focal_loss(X, t, 2, np.ones(4) * 1j), TypeError, "alpha.*complex128"),
    (lambda t: cyact.cross_entropy(X, X.astype(bool)), TypeError, "target.*bool"),
])
def test_bad_arguments_of_one(call, error, text):
    with pytest.raises(error, match=text):
        call(np.zeros((2, 3), int))


def test_masked_arrays_without_masked_entries_are_taken():
    x, target = logits((3, 4), np.float64), np.array([0, 1, 2])
    assert (cyact.cross_entropy(np.ma.array(x), np.ma.array(target))
            == cyact.cross_entropy(x, target))


def test_a_class_to_ignore_may_be_beyond_any_integer():
    x = logits((2, 3), np.float64)
    assert (cyact.cross_entropy(x, [0, 2], ignore_index=2**80)
            == cyact.cross_entropy(x, [0, 2]))
