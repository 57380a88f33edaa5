"""Functions along an axis: masks, half types, several axes at once, softmin and logmeanexp."""

import itertools

import numpy as np
import pytest
import reference
from cases import DTYPES, FAMILY, HALVES, REDUCING, ROWS, same_bits

import cyact

SPARSE = [name for name in ROWS if name not in FAMILY]
by_any = pytest.mark.parametrize("name", ROWS)
by_name = pytest.mark.parametrize("name", FAMILY)
by_dtype = pytest.mark.parametrize("dtype", [*DTYPES, *HALVES], ids=lambda d: np.dtype(d).name)
levels = pytest.mark.levels
INF, NAN = np.inf, np.nan
BLANK = {"log_softmax": -INF}
NOTHING = {"log_softmax": -INF, "logsumexp": -INF, "logmeanexp": NAN}
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def eps(dtype):
    return EPS[np.dtype(dtype).name]


def rows(shape, dtype, spread=3, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * spread).astype(dtype)


def wide(name, x, axis=-1):
    """An independent reference in longdouble."""
    x = x.astype(np.longdouble)
    if name == "softmin":
        return reference.wide_softmax(-x, axis)
    if name == "logmeanexp":
        return reference.wide_logsumexp(x, axis) - np.log(np.longdouble(x.shape[axis]))
    return getattr(reference, "wide_" + name)(x, axis)


# Masks

@levels
@by_dtype
@by_name
@pytest.mark.parametrize("shape", [(7, 5), (40, 10), (6, 70), (5, 300), (2, 1500)], ids=str)
def test_masked_entries_are_not_in_the_row(name, shape, dtype):
    """As if the row held nothing else, whatever the masked entries hold."""
    x = rows(shape, dtype)
    where = np.random.default_rng(1).random(shape) < 0.6
    where[:, 0] = True
    hidden = np.array([NAN, INF, -INF, 1e4])
    x[~where] = hidden[np.arange((~where).sum()) % 4].astype(dtype)
    y = getattr(cyact, name)(x, where=where)
    assert y.dtype == dtype
    for r, kept in enumerate(where):
        true = wide(name, x[r][kept])
        found = y[r] if name in REDUCING else y[r][kept]
        scale = 1 if name in REDUCING or "log" in name else np.abs(true)
        np.testing.assert_array_less(np.abs(found.astype(np.longdouble) - true),
                                     2 * eps(dtype) * np.maximum(scale, np.abs(true))
                                     + float(np.finfo(np.float16).smallest_subnormal) * 1e-8
                                     + (2.0**-25 if dtype is np.float16 else 0)
                                     + np.finfo(np.float64).smallest_subnormal)
        if name not in REDUCING:
            assert (y[r][~kept].astype(float) == BLANK.get(name, 0)).all()


@levels
@by_dtype
@by_any
def test_a_mask_of_nothing_but_true_changes_no_bit(name, dtype):
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    for shape in [(5, 3), (9, 10), (3, 64), (4, 100), (3, 1025), (2, 3000)]:
        x = rows(shape, dtype)
        assert same_bits(function(x, where=np.True_), function(x))
        grad = rows(function(x).shape, dtype, 1, 1)
        assert same_bits(backward(grad, x, where=np.ones(shape, bool)), backward(grad, x))
        if name not in REDUCING and name != "hardmax":
            y = function(x)
            assert same_bits(backward(grad, output=y, where=[[True]]), backward(grad, output=y))


@levels
@by_dtype
@pytest.mark.parametrize("name", SPARSE)
def test_masked_entries_are_not_in_sparse_rows(name, dtype):
    function = getattr(cyact, name)
    for shape in [(30, 3), (40, 10), (6, 70), (3, 1500)]:
        x = rows(shape, dtype)
        where = np.random.default_rng(1).random(shape) < 0.6
        where[:, 0] = True
        x[~where] = NAN
        y = function(x, where=where)
        assert (y[~where] == 0).all()
        for r, kept in enumerate(where):
            np.testing.assert_allclose(y[r][kept].astype(float), function(x[r][kept]).astype(float),
                                       rtol=2 * eps(dtype), atol=1e-7)
        assert (function(x, where=np.zeros(shape, bool)) == 0).all()
        dx = getattr(cyact.backward, name)(np.ones_like(x), x, where=where)
        assert (dx[~where] == 0).all()


@levels
@by_dtype
@by_name
def test_rows_with_nothing_in_them(name, dtype):
    """All masked is nothing; nothing but -inf is not."""
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    x = rows((4, 6), dtype)
    x[1] = NAN
    x[2] = -INF if name != "softmin" else INF
    where = np.array([True, False, True, True])[:, None]
    y = np.asarray(function(x, where=where)).astype(float)
    np.testing.assert_array_equal(y[1], np.full(y[1].shape, NOTHING.get(name, 0.0)))
    np.testing.assert_array_equal(
        y[2], np.full(y[2].shape, -INF if name in REDUCING else NAN))
    assert np.isfinite(y[[0, 3]]).all()
    grad = np.ones(y.shape, dtype)
    dx = backward(grad, x, where=where).astype(float)
    assert (dx[1] == 0).all()
    assert np.isfinite(dx[[0, 3]]).all()


@levels
@by_dtype
@by_name
def test_masked_entries_have_no_gradient(name, dtype):
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    x = rows((5, 12), dtype)
    where = np.random.default_rng(3).random(x.shape) < 0.6
    where[:, 3] = True
    grad = rows(function(x).shape, dtype, 1, 1)
    soiled = grad.copy()
    if name not in REDUCING:
        soiled[~where] = NAN
    y = function(x, where=where)
    given = [{"x": x}] if name in REDUCING else [{"x": x}, {"output": y}]
    for how in given:
        dx = backward(soiled, how.get("x"), where=where,
                      **{k: v for k, v in how.items() if k != "x"})
        assert (dx[~where] == 0).all()
        for r, kept in enumerate(where):
            part = {k: v[r][kept] for k, v in how.items()}
            alone = backward(grad[r] if name in REDUCING else grad[r][kept],
                             part.get("x"), **{k: v for k, v in part.items() if k != "x"})
            np.testing.assert_allclose(dx[r][kept].astype(float), alone.astype(float),
                                       rtol=4 * eps(dtype), atol=4 * eps(dtype))


@by_dtype
@by_any
def test_masks_of_any_layout(name, dtype):
    x = rows((3, 4, 5), dtype)
    where = np.random.default_rng(1).random(x.shape) < 0.7
    function = getattr(cyact, name)
    for axis in (0, 1, 2):
        expected = function(np.ascontiguousarray(np.moveaxis(x, axis, -1)),
                            where=np.ascontiguousarray(np.moveaxis(where, axis, -1)))
        for given in (x, np.asfortranarray(x)):
            for mask in (where, np.asfortranarray(where), where[::-1][::-1], where.tolist()):
                y = function(given, axis=axis, where=mask)
                y = y if name in REDUCING else np.moveaxis(y, axis, -1)
                assert same_bits(y, expected)
        room = x.copy()
        if name not in REDUCING:
            y = function(room, axis=axis, where=where, out=room)
            assert y is room
            assert same_bits(np.moveaxis(y, axis, -1), expected)
    one = np.array([True, False, True, True, False])
    assert same_bits(function(x, where=one), function(x, where=np.broadcast_to(one, x.shape)))
    one = one[:4, None]
    assert same_bits(function(x, axis=1, where=one),
                     function(x, axis=1, where=np.broadcast_to(one, x.shape)))


@by_any
def test_masks_that_do_not_fit_are_refused_and_nothing_written(name):
    x = rows((3, 4), np.float32)
    room = np.full((3, 4) if name not in REDUCING else 3, 7, np.float32)
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    with pytest.raises(TypeError, match=f"{name}: where must be boolean, got dtype int64"):
        function(x, where=np.ones((3, 4), int), out=room)
    for bad in (np.ones(3, bool), np.ones((2, 3, 4), bool)):
        with pytest.raises(ValueError, match=rf"{name}: where must broadcast to x's shape"):
            function(x, where=bad, out=room)
        with pytest.raises(ValueError, match=rf"backward\.{name}: where must broadcast"):
            backward(room, x, where=bad)
    assert (room == 7).all()


def test_a_mask_and_a_bias_and_a_temperature():
    x, where = rows((6, 9), np.float64), np.random.default_rng(1).random((6, 9)) < 0.7
    bias = rows(9, np.float64)
    for function in (cyact.softmax, cyact.log_softmax):
        assert same_bits(function(x, 0.3, where=where, bias=bias),
                         function(x + bias, 0.3, where=where))


# Half types

@levels
@by_name
@pytest.mark.parametrize("dtype", HALVES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("n", [1, 2, 3, 10, 16, 33, 100, 1000, 5000])
def test_half_types_are_within_one_ulp(name, n, dtype):
    x = np.concatenate([rows((5, n), dtype, spread, n) for spread in (0.1, 3, 30)])
    y = getattr(cyact, name)(x)
    assert y.dtype == dtype
    true = wide(name, x)
    tiny = 2.0**-24 if dtype is np.float16 else 2.0**-133
    normal = 2.0**-14 if dtype is np.float16 else 2.0**-126
    exponent = np.frexp(np.maximum(np.abs(true), normal))[1] - 1
    unit = np.maximum(np.ldexp(np.longdouble(eps(dtype)), exponent), tiny)
    assert (np.abs(y.astype(np.longdouble) - true) <= unit).all()


@by_any
@pytest.mark.parametrize("dtype", HALVES, ids=lambda d: np.dtype(d).name)
def test_half_types_have_the_same_bits_in_any_layout(name, dtype):
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    for shape in [(37, 10), (5, 33), (3, 1500)]:
        x = rows(shape, dtype)
        expected = function(x)
        grad = rows(expected.shape, dtype, 1, 1)
        slope = backward(grad, x)
        assert same_bits(slope, backward(grad.astype("f4"), x.astype("f4")).astype(dtype))
        spaced = np.zeros((shape[0], 2 * shape[1]), dtype)[:, ::2]
        spaced[...] = x
        for given in (np.asfortranarray(x), spaced, x[::-1][::-1]):
            assert same_bits(function(given), expected)
            assert same_bits(backward(grad, given), slope)
        assert same_bits(np.asarray(function(np.ascontiguousarray(x.T), axis=0)).T, expected.T
                         if name in REDUCING else expected)
        for threads in (2, 5):
            with cyact.num_threads(threads):
                big = np.tile(x, (4000 // shape[0], 1))
                assert same_bits(function(big)[:shape[0]], expected)
        if name not in REDUCING:
            room = x.copy()
            assert function(room, out=room) is room
            assert same_bits(room, expected)
            assert same_bits(function(x, out=np.empty(shape, "f4")), expected.astype("f4"))
        assert same_bits(function(x.astype("f4"), dtype=dtype), expected)


@by_dtype
def test_integers_and_half_types_keep_their_rules(dtype):
    assert cyact.softmax([1, 2]).dtype == np.float64
    assert cyact.softmax(np.array([1, 2], np.int8)).dtype == np.float32
    assert cyact.softmax(np.array([1, 2], np.int8), dtype=dtype).dtype == dtype
    for bad in ("c8", "longdouble", "i4", object):
        with pytest.raises(TypeError, match="softmax: dtype"):
            cyact.softmax([1.0], dtype=bad)


# Several axes

@by_dtype
@by_name
def test_several_axes_make_one_row(name, dtype):
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    x = rows((3, 4, 5, 2), dtype)
    for count in (2, 3, 4):
        for axes in itertools.combinations(range(4), count):
            rest = [i for i in range(4) if i not in axes]
            lead = [x.shape[i] for i in rest]
            flat = x.transpose([*rest, *axes]).reshape([*lead, -1])
            expected = function(flat)
            if name not in REDUCING:
                back = np.argsort([*rest, *axes])
                shape = [x.shape[i] for i in [*rest, *axes]]
                expected = expected.reshape(shape).transpose(back)
            expected = np.asarray(expected)
            for given in (axes, axes[::-1], tuple(a - 4 for a in axes)):
                y = np.asarray(function(x, axis=given))
                assert same_bits(y, expected)
            for laid in (np.asfortranarray(x), x[::-1][::-1]):
                assert same_bits(np.asarray(function(laid, axis=axes)), expected)
            out = np.empty(expected.shape, dtype)
            assert function(x, axis=axes, out=out) is out
            assert same_bits(out, expected)
            grad = rows(expected.shape, dtype, 1, 1)
            flat_grad = grad.reshape(lead) if name in REDUCING else grad.transpose(
                [*rest, *axes]).reshape([*lead, -1])
            slope = backward(flat_grad, flat).reshape([x.shape[i] for i in [*rest, *axes]])
            assert same_bits(backward(grad, x, axis=axes), slope.transpose(
                np.argsort([*rest, *axes])))
            if name in REDUCING:
                kept = function(x, axis=axes, keepdims=True)
                assert same_bits(kept, expected.reshape(
                    [1 if i in axes else n for i, n in enumerate(x.shape)]))


@by_name
def test_all_axes(name):
    function = getattr(cyact, name)
    x = rows((3, 4), np.float32)
    flat = function(x.reshape(-1))
    assert same_bits(np.asarray(function(x, axis=None)).reshape(np.shape(flat)), flat)
    where = x > -1
    flat = function(x.reshape(-1), where=where.reshape(-1))
    assert same_bits(np.asarray(function(x, axis=None, where=where)).reshape(np.shape(flat)), flat)
    y = function(np.float32(2.5), axis=None)       # a row of one entry
    assert type(y) is np.float32
    assert y == (2.5 if name in REDUCING else 0 if "log" in name else 1)
    one = function(x[0], axis=None)
    assert same_bits(one, function(x[0]))


def test_a_bias_along_several_axes():
    x, bias = rows((3, 4, 5), np.float64), rows(5, np.float64)
    y = cyact.softmax(x, axis=(0, 2), bias=bias)
    assert same_bits(y, cyact.softmax(x + bias, axis=(0, 2)))
    grad = rows(x.shape, np.float64, 1, 1)
    dx, dbias = cyact.backward.softmax(grad, x, axis=(0, 2), bias=bias)
    assert same_bits(dx, cyact.backward.softmax(grad, x + bias, axis=(0, 2)))
    np.testing.assert_allclose(dbias, dx.sum((0, 1)), rtol=1e-12, atol=1e-15)


# softmin and logmeanexp

@levels
@by_dtype
def test_softmin_is_softmax_of_minus_x(dtype):
    for shape in [(6, 10), (4, 100), (2, 2000)]:
        x = rows(shape, dtype)
        x[0, 1] = NAN
        x[1, 0] = INF
        assert same_bits(cyact.softmin(x), cyact.softmax(-x))
        grad = rows(shape, dtype, 1, 1)
        y = cyact.softmin(x)
        assert same_bits(cyact.backward.softmin(grad, x), -cyact.backward.softmax(grad, -x))
        assert same_bits(cyact.backward.softmin(grad, output=y),
                         -cyact.backward.softmax(grad, output=y))


@levels
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_logmeanexp_is_within_the_bound_of_logsumexp(dtype):
    """2 ulp of max(|f|, M) in float64, of max(|f|, 2^-28 M) in float32."""
    share = 2.0**-28 if dtype is np.float32 else 1.0
    for n in [*range(1, 18), 33, 70, 1000]:
        for spread in (1e-6, 1, 30):
            x = rows((3, n), dtype, spread, n)
            for row, found in zip(x, cyact.logmeanexp(x), strict=True):
                with reference.mp.workprec(200):
                    total, scale = reference.logsumexp(row.tolist())
                    true = total - reference.mp.log(n)
                error = reference.mp_ulps(np.atleast_1d(found), [true], scale * share)
                assert error <= 2, (n, spread, error)
    x = np.full((2, 7), 1000.25, dtype)
    assert (cyact.logmeanexp(x) == 1000.25).all()


def test_means_of_nothing():
    assert np.isnan(cyact.logmeanexp([]))
    assert np.isnan(cyact.logmeanexp([1.0, 2.0], where=[False, False]))
    assert cyact.logmeanexp([-INF, -INF]) == -INF
    assert cyact.logmeanexp([INF, 0.0]) == INF
    assert np.isnan(cyact.logmeanexp([INF, NAN]))
    y = cyact.logmeanexp([[1.0, NAN], [3.0, 3.0]], where=[[True, False], [True, True]])
    assert y.tolist() == [1.0, 3.0]
