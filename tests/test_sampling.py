"""gumbel_softmax: its distribution, reproducibility, gradient and errors."""

import numpy as np
import pytest
from cases import DTYPES, HALVES, same_bits

import cyact

by_dtype = pytest.mark.parametrize("dtype", [*DTYPES, *HALVES], ids=lambda d: np.dtype(d).name)
LOGITS = np.log([[0.5, 0.3, 0.15, 0.05]])


def test_categories_come_with_their_probabilities():
    y = cyact.gumbel_softmax(np.repeat(LOGITS, 40_000, 0), hard=True, rng=1)
    assert set(np.unique(y)) == {0, 1}
    assert (y.sum(-1) == 1).all()
    # five standard deviations
    np.testing.assert_allclose(y.mean(0), np.exp(LOGITS[0]), atol=5 * np.sqrt(0.25 / 40_000))


@by_dtype
def test_the_formula(dtype):
    x = np.random.default_rng(0).standard_normal((50, 7)).astype(dtype)
    wide = np.float64 if dtype is np.float64 else np.float32
    noise = np.random.default_rng(5).gumbel(size=x.shape).astype(wide)
    expected = cyact.softmax(x.astype(wide) + noise, 0.7).astype(dtype)
    y, soft = cyact.gumbel_softmax(x, 0.7, rng=5, return_soft=True)
    assert y is soft
    assert same_bits(y, expected)
    hard, soft = cyact.gumbel_softmax(x, 0.7, True, 5, return_soft=True)
    assert same_bits(soft, expected)
    assert same_bits(hard, cyact.hardmax(expected))
    bias = np.linspace(-1, 1, 7).astype(dtype)
    y = cyact.gumbel_softmax(x, rng=5, bias=bias)
    shift = (noise.astype(np.float64) + bias.astype(np.float64)).astype(wide)
    np.testing.assert_allclose(y.astype(float), cyact.softmax(x.astype(wide) + shift).astype(float),
                               rtol=4e-3 if x.itemsize == 2 else 1e-5, atol=1e-7)


def test_seeds_threads_layouts_and_out_change_nothing():
    x = np.random.default_rng(0).standard_normal((3000, 10))
    expected = cyact.gumbel_softmax(x, rng=3)
    for threads in (1, 2, 5):
        with cyact.num_threads(threads):
            assert same_bits(cyact.gumbel_softmax(x, rng=3), expected)
    assert same_bits(cyact.gumbel_softmax(np.asfortranarray(x), rng=3), expected)
    assert same_bits(cyact.gumbel_softmax(x, rng=np.random.default_rng(3)), expected)
    room = x.copy()
    assert cyact.gumbel_softmax(room, rng=3, out=room) is room
    assert same_bits(room, expected)
    assert not same_bits(cyact.gumbel_softmax(x), cyact.gumbel_softmax(x))
    y = cyact.gumbel_softmax(x, rng=3, axis=0)
    np.testing.assert_allclose(y.sum(0), 1)
    hard = np.empty_like(x)
    assert cyact.gumbel_softmax(x, 1, True, 3, out=hard) is hard
    assert same_bits(hard, cyact.hardmax(expected))


def test_masked_categories_are_never_drawn():
    x = np.zeros((2000, 4))
    x[:, 2] = np.nan
    where = np.array([True, True, False, True])
    for hard in (False, True):
        y = cyact.gumbel_softmax(x, hard=hard, rng=0, where=where)
        assert (y[:, 2] == 0).all()
        np.testing.assert_allclose(y.sum(-1), 1)
    y = cyact.gumbel_softmax(x[:2], hard=True, rng=0, where=np.zeros((2, 4), bool))
    assert (y == 0).all()


@by_dtype
def test_the_gradient_goes_through_the_soft_sample(dtype):
    x = np.random.default_rng(0).standard_normal((6, 5)).astype(dtype)
    grad = np.random.default_rng(1).standard_normal((6, 5)).astype(dtype)
    _, soft = cyact.gumbel_softmax(x, 0.5, True, rng=1, return_soft=True)
    dx = cyact.backward.gumbel_softmax(grad, 0.5, output=soft)
    assert same_bits(dx, cyact.backward.softmax(grad, None, 0.5, output=soft))
    dx, dbias = cyact.backward.gumbel_softmax(grad, 0.5, output=soft, bias=np.zeros(5))
    np.testing.assert_allclose(dbias.astype(float), dx.astype(float).sum(0), rtol=1e-5, atol=1e-5)


def test_other_array_types():
    x = np.random.default_rng(0).standard_normal((4, 3))
    expected = cyact.gumbel_softmax(x, rng=2)
    pd = pytest.importorskip("pandas")
    y = cyact.gumbel_softmax(pd.DataFrame(x, columns=list("abc")), rng=2)
    assert isinstance(y, pd.DataFrame)
    assert same_bits(y.to_numpy(), expected)
    xr, da = pytest.importorskip("xarray"), pytest.importorskip("dask.array")
    y = cyact.gumbel_softmax(xr.DataArray(x, dims=("a", "b")), rng=2, axis="b", hard=True)
    assert same_bits(y.data, cyact.hardmax(expected))
    y = cyact.gumbel_softmax(da.from_array(x, chunks=(2, 2)), rng=2)
    assert isinstance(y, da.Array)
    assert same_bits(y.compute(), expected)
    mask = x > 1
    y = cyact.gumbel_softmax(np.ma.array(x, mask=mask), rng=2)
    assert (y.mask == mask).all()
    assert same_bits(y.data, cyact.gumbel_softmax(x, rng=2, where=~mask))


def test_bad_input_is_refused_and_nothing_drawn_or_written():
    x = np.zeros((3, 4))
    room = np.full((3, 4), 7.0)
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    for error, message, given in [
            (ValueError, "tau must be positive", {"tau": 0}),
            (ValueError, "out of bounds", {"axis": 2}),
            (ValueError, "bias must have", {"bias": np.ones(3)}),
            (ValueError, "where must broadcast", {"where": np.ones(3, bool)}),
            (TypeError, "where must be boolean", {"where": np.ones(4)}),
            (ValueError, "out must have", {"out": np.empty(3)}),
            (TypeError, "dtype complex", {"dtype": "c16"})]:
        with pytest.raises(error, match=f"gumbel_softmax: .*{message}"):
            cyact.gumbel_softmax(x, rng=rng, **{"out": room, **given})
    with pytest.raises(TypeError, match="gumbel_softmax: dtype complex"):
        cyact.gumbel_softmax(x + 1j, rng=rng)
    with pytest.raises((TypeError, ValueError), match="gumbel_softmax: rng must be"):
        cyact.gumbel_softmax(x, rng="no", out=room)
    assert rng.bit_generator.state == state
    assert (room == 7).all()
