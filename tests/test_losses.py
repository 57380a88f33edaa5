"""cross_entropy: value and gradient for every combination of options, against longdouble."""

import itertools

import numpy as np
import pytest
from cases import DTYPES, same_bits

import cyact

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
    for given, target in [(x, nothing), (x[:0], nothing[:0])]:
        loss, grad = cyact.cross_entropy(given, target, return_grad=True)
        assert np.isnan(loss)
        assert not grad.any()
        loss, grad = cyact.cross_entropy(given, target, reduction="sum", return_grad=True)
        assert loss == 0
        assert not grad.any()
        assert not cyact.cross_entropy(given, target, reduction="none").any()


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
