"""f(x, bias=b) is f(x + b) to the bit, in one pass; the gradient of b is the exact sum of dx."""

import math
import re

import numpy as np
import pytest
from cases import DTYPES, KERNELS, Case, inputs, same_bits, special

import cyact

pytestmark = pytest.mark.levels

by_kernel = pytest.mark.parametrize("case", KERNELS, ids=str)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
# What a bias is added to is none of the kernels' business: without and with parameters
FEW = [Case("relu", ()), Case("gelu", ("none",)), Case("elu", (0.3,)), Case("hard_tanh", (-1., .1))]
by_two = pytest.mark.parametrize("case", FEW[1:3], ids=str)
by_few = pytest.mark.parametrize("case", FEW, ids=str)

LENGTHS = [1, 2, 3, 7, 15, 16, 17, 31, 33, 100, 511, 512, 513, 1023, 1024, 1025, 1500]
LONG = [16_383, 16_384, 16_385, 40_000]       # a piece of a row is 16,384 entries


def sample(dtype, shape, seed=0):
    """Numbers of all magnitudes and the special ones, in any order."""
    x = np.concatenate([inputs(dtype, 3000), special(dtype), special(dtype)])
    return np.resize(np.random.default_rng(seed).permutation(x), shape)


def biases(dtype, n):
    rng = np.random.default_rng(n)
    return (rng.standard_normal(n) * np.exp2(rng.integers(-4, 4, n))).astype(dtype)


def forms(case, grad):
    """(name, call(x, **keywords)) of what takes a bias; of backward, its dx."""
    yield "value", case.value
    yield "derivative", case.derivative

    def dx(x, bias=None, **keywords):
        with np.errstate(over="ignore"):
            found = case.backward(grad, x, bias=bias, **keywords)
        return found if bias is None else found[0]
    yield "backward", dx


def added(x, b):
    with np.errstate(all="ignore"):
        return x + b


# The same as adding it first

@by_dtype
@by_kernel
def test_rows_of_any_length(case, dtype):
    for n in LENGTHS:
        x, b, grad = sample(dtype, (5, n), n), biases(dtype, n), sample(dtype, (5, n), n + 1)
        for what, call in forms(case, grad):
            assert same_bits(call(x, bias=b), call(added(x, b))), (what, n)


@by_dtype
@by_two
@pytest.mark.parametrize("n", LONG)
def test_long_rows_on_any_number_of_threads(case, dtype, n, threads):
    x, b, grad = sample(dtype, (3, n), n), biases(dtype, n), sample(dtype, (3, n), n + 1)
    for what, call in forms(case, grad):
        assert same_bits(call(x, bias=b), call(added(x, b))), what


@by_dtype
@by_two
@pytest.mark.parametrize("shape", [(700, 1000), (70_000, 10), (20, 30, 40, 30)], ids=str)
def test_many_rows_on_any_number_of_threads(case, dtype, shape, threads):
    x, b, grad = sample(dtype, shape), biases(dtype, shape[-1]), sample(dtype, shape, 1)
    for what, call in forms(case, grad):
        assert same_bits(call(x, bias=b), call(added(x, b))), what


def layouts(x):
    """A 3-D array laid out in many ways: (name, array)."""
    yield "C order", x.copy()
    yield "Fortran order", x.copy(order="F")
    yield "axes permuted", x.transpose(1, 2, 0).copy().transpose(2, 0, 1)
    yield "every 2nd column", np.repeat(x, 2, axis=-1)[..., ::2]
    yield "every 3rd row", np.repeat(x, 3, axis=1)[:, ::3]
    yield "reversed", x[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]
    wide = np.zeros((*x.shape[:-1], x.shape[-1] + 5), x.dtype)
    wide[..., 2:-3] = x
    yield "rows with gaps", wide[..., 2:-3]
    yield "swapped bytes", x.astype(x.dtype.newbyteorder())
    raw = np.zeros(x.nbytes + 1, np.uint8)
    raw[1:] = x.reshape(-1).view(np.uint8)
    yield "misaligned", raw[1:].view(x.dtype).reshape(x.shape)
    read_only = x.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only


@by_dtype
@by_few
def test_every_layout(case, dtype):
    for shape in ((3, 4, 130), (3, 4, 7), (2, 5, 1), (1, 1, 40)):
        x, b, grad = sample(dtype, shape), biases(dtype, shape[-1]), sample(dtype, shape, 1)
        for what, call in forms(case, grad):
            expected = call(added(x, b))
            for layout, laid in layouts(x):
                y = call(laid, bias=b)
                assert y.dtype.isnative
                assert same_bits(y, expected), (what, layout, shape)
                for _, other in layouts(np.broadcast_to(b, (1, 1, len(b)))):
                    assert same_bits(call(laid, bias=other[0, 0]), expected), (what, layout)
                if laid.flags.writeable:
                    assert call(laid, bias=b, out=laid) is laid
                    assert same_bits(laid.astype(dtype), expected), (what, layout)
            for layout, out in layouts(np.zeros_like(x)):
                if out.flags.writeable:
                    assert call(x, bias=b, out=out) is out
                    assert same_bits(out.astype(dtype), expected), (what, layout)


@by_dtype
@by_few
def test_broadcast_input(case, dtype):
    b = biases(dtype, 50)
    for given in (sample(dtype, 50), sample(dtype, (6, 1)), dtype(0.3)):
        x = np.broadcast_to(given, (6, 50))
        for what, call in forms(case, x):
            assert same_bits(call(x, bias=b), call(added(x, b))), what
    same = np.broadcast_to(dtype(0.7), 50)
    x = sample(dtype, (6, 50))
    assert same_bits(case.value(x, bias=same), case.value(added(x, same)))


@by_few
@pytest.mark.parametrize("given", ["?", "i1", "i8", ">i2", "f4", ">f8", "f8"])
def test_input_of_any_dtype_and_biases_of_any_dtype(case, given):
    x = np.arange(-12, 12).reshape(4, 6).astype(given)
    wide = np.result_type(x.dtype, np.float32).newbyteorder("=")
    for b in (biases(np.float64, 6), biases(np.float32, 6), [1, 2, 3, 4, 5, 6], np.arange(6) > 2,
              biases(np.float16, 6), tuple(biases(np.float64, 6))):
        expected = x.astype(wide) + np.asarray(b).astype(wide)
        y = case.value(x, bias=b)
        assert y.dtype == wide
        assert same_bits(y, case.value(expected))
        dx, db = case.backward(x, x, bias=b)
        assert same_bits(dx, x.astype(wide) * case.derivative(expected))
        assert db.dtype == wide


@by_few
@by_dtype
def test_dtype_argument_is_astype_before(case, dtype):
    x, b = np.linspace(-3, 3, 24).reshape(4, 6), biases(np.float64, 6)
    for given in (x, x.astype(np.float32), x.astype(np.int8), x.tolist()):
        expected = case.value(np.asarray(given).astype(dtype), bias=b.astype(dtype))
        assert same_bits(case.value(given, bias=b, dtype=dtype), expected)


@by_dtype
@by_few
def test_out_over_the_bias_or_over_part_of_x(case, dtype):
    for n in (6, 40, 2000):
        room = sample(dtype, (5, n))
        for target, source in [((slice(1, None),), (slice(None, -1),)),
                               ((slice(None, -1),), (slice(1, None),)),
                               ((slice(None), slice(None, None, -1)), (slice(None),))]:
            b = biases(dtype, n)
            for what, call in forms(case, sample(dtype, room[source].shape, 2)):
                expected = call(added(room[source], b))
                work = room.copy()
                call(work[source], bias=b, out=work[target])
                assert same_bits(work[target], expected), (what, n)
        x = sample(dtype, (5, n), 1)
        for what, call in forms(case, sample(dtype, x.shape, 2)):
            for row in (0, 2):
                expected = call(added(x, room[row]))
                work = room.copy()
                call(x, bias=work[row], out=work)
                assert same_bits(work, expected), (what, n, row)


@by_few
def test_shapes_without_entries(case):
    for shape in ((0, 4), (3, 0), (2, 0, 4), (0,)):
        x = np.ones(shape, np.float32)
        dx, db = case.backward(x, x, bias=np.ones(shape[-1]))
        assert case.value(x, bias=np.ones(shape[-1])).shape == dx.shape == shape
        assert db.dtype == np.float32
        assert same_bits(db, np.zeros(shape[-1], np.float32))


# Half types: x + b and f of it in float32 or better, rounded once

def rounded(y, half):
    from test_half import rounded
    return rounded(y, half)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
@by_kernel
def test_half_types_are_rounded_once(case, half):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    half = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[half]
    rng = np.random.default_rng(0)
    x = np.exp2(rng.uniform(-8, 3, (30, 70))) * rng.choice([-1, 1], (30, 70))
    x, grad = x.astype(half), rng.standard_normal((30, 70)).astype(half)
    b = biases(np.float32, 70)
    total = x.astype(np.float32) + b
    y, slope = case.value(x, bias=b), case.derivative(x, bias=b)
    dx, db = case.backward(grad, x, bias=b)
    assert y.dtype == slope.dtype == dx.dtype == half
    assert db.dtype == np.float32
    wide = total.astype(np.float64)
    with np.errstate(all="ignore"):
        product = (grad.astype(np.float32) * case.derivative(total)).astype(half)
    for found, true in ((y, rounded(case.value(wide), half)),
                        (slope, rounded(case.derivative(wide), half)), (dx, product)):
        assert same_bits(found.astype(np.float32), true.astype(np.float32))
    for found in (case.value(x, bias=b.astype(np.float64)), case.value(x[:, ::-1], bias=b[::-1])
                  [:, ::-1], case.value(np.asfortranarray(x), bias=b),
                  case.value(x, bias=b, out=np.empty_like(x)),
                  case.value(total.astype(np.float64) * 0 + x, bias=b, dtype=half)):
        assert same_bits(found.astype(np.float32), y.astype(np.float32))


# Other array types

def array_types(x):
    """(what to hand in, how to get the values back): of every library that is installed."""
    mask = np.abs(x) > 2
    yield np.ma.array(x, mask=mask), lambda y: np.where(mask, 0, y.data)
    pytest.importorskip("pandas")
    import pandas as pd
    yield pd.DataFrame(x, index=list("abcd")), lambda y: y.to_numpy()
    pytest.importorskip("xarray")
    import xarray as xr
    yield xr.DataArray(x, dims=("row", "class")), lambda y: y.data
    da = pytest.importorskip("dask.array")
    for chunks in ((2, 3), (4, 6), (1, 6)):
        yield da.from_array(x, chunks=chunks), lambda y: y.compute(scheduler="synchronous")


@by_few
@pytest.mark.parametrize("given", ["f4", "f8", "i1", "i8"])
def test_other_arrays_come_back_as_themselves(case, given):
    x = (np.arange(-12, 12) / 3).reshape(4, 6).astype(given)
    b = biases(np.result_type(x.dtype, np.float32), 6)
    for laid, values in array_types(x):
        for what, call in forms(case, laid):
            y = call(laid, bias=b)
            expected = case.backward(x, x, bias=b)[0] if what == "backward" else call(x, bias=b)
            assert type(y) is type(laid)
            if isinstance(laid, np.ma.MaskedArray):
                np.testing.assert_array_equal(y.mask, laid.mask)
                expected = np.where(laid.mask, 0, expected)
            assert same_bits(values(y), expected), (what, type(laid))
        if isinstance(laid, np.ma.MaskedArray):
            continue                            # see below
        _, db = case.backward(laid, laid, bias=b)
        dx, expected = case.backward(x, x, bias=b)
        assert db.dtype == expected.dtype
        error = np.abs(np.asarray(db) - expected)
        assert (error <= 4 * np.finfo(db.dtype).eps * np.abs(dx).sum(0)).all()


def test_masked_entries_have_no_part_in_the_gradient():
    x = np.ma.array([[np.nan, 1.0], [2.0, 3.0]], mask=[[True, False], [False, False]])
    _, db = cyact.backward.identity(x, x, bias=np.zeros(2))
    assert same_bits(db, np.array([2.0, 4.0]))


@pytest.mark.parametrize("given", ["f2", "f4", "i1"])
def test_frames_do_not_take_on_the_dtype_of_a_bias(given):
    pd = pytest.importorskip("pandas")
    case = FEW[1]
    x = (np.arange(-12, 12) / 3).reshape(4, 6).astype(given)
    b = biases(np.float64, 6)
    for y, expected in [(case.value(pd.DataFrame(x), bias=b), case.value(x, bias=b)),
                        (case.value(pd.Series(x[0]), bias=b), case.value(x[0], bias=b))]:
        assert same_bits(y.to_numpy(), expected)
    with pytest.raises(TypeError, match="bias of dtype complex128"):
        case.value(pd.DataFrame(x), bias=b * 1j)


# The gradient of the bias

def exact_sums(dx):
    """Column sums, rounded once to float64."""
    dx = dx.reshape(-1, dx.shape[-1]).astype(np.float64)
    return np.array([math.fsum(column) for column in dx.T.tolist()])


@by_kernel
@by_dtype
def test_the_gradient_is_the_sum_of_dx(case, dtype):
    x = np.random.default_rng(0).uniform(-4, 4, (3, 41, 19)).astype(dtype)
    grad = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
    b = biases(dtype, 19)
    dx, db = case.backward(grad, x, bias=b)
    assert same_bits(dx, grad * case.derivative(x + b))
    assert same_bits(db, exact_sums(dx).astype(dtype))


@pytest.mark.parametrize("dtype", [np.float16, *DTYPES], ids=lambda d: d.__name__)
def test_the_gradient_over_a_million_rows(dtype):
    rng = np.random.default_rng(0)
    grad = (rng.standard_normal((10**6, 3)) + np.float64([0, 1, -1e-3])).astype(dtype)
    _, db = cyact.backward.identity(grad, grad, bias=np.zeros(3, np.float32))
    expected = exact_sums(grad)
    assert db.dtype == (dtype if dtype != np.float16 else np.float32)
    if dtype == np.float64:
        assert same_bits(db, expected)
    else:           # added in float64
        assert (np.abs(db - expected) <= 2.0**-24 * np.abs(expected)
                + 10**6 * 2.0**-53 * np.abs(grad).astype(np.float64).sum(0)).all()


@pytest.mark.parametrize("shape", [(1000, 3), (7, 300, 20), (3, 40_000), (300, 2, 2000)], ids=str)
def test_the_gradient_survives_cancellation_in_float64(shape):
    """Terms of 1e16 that cancel leave what is smaller than the rounding of their sums."""
    rng = np.random.default_rng(0)
    rows, n = math.prod(shape[:-1]), shape[-1]
    grad = np.zeros((rows, n))
    half = rows // 2
    grad[:half] = rng.uniform(1, 9, (half, n)) * 1e16
    grad[-half:] = -grad[:half][::-1]
    grad += np.where(np.abs(grad) < 1e3, rng.standard_normal((rows, n)), 0)
    order = rng.permutation(rows)
    grad[order] = grad.copy()
    grad[rng.integers(0, rows)] += 4.0              # 1e16 has units of 2
    _, db = cyact.backward.identity(grad.reshape(shape), grad.reshape(shape), bias=np.zeros(n))
    expected = exact_sums(grad)
    # twice the precision, and a rounding
    allowed = 2.0**-52 * np.abs(expected) + rows**2 * 2.0**-104 * np.abs(grad).sum(0)
    assert (np.abs(db - expected) <= allowed).all()


@by_dtype
def test_the_gradient_does_not_depend_on_layout_or_threads(dtype):
    case = Case("gelu", ("none",))
    for shape in ((3, 40, 130), (2, 30_000, 3), (2, 2, 40_000)):
        rng = np.random.default_rng(0)
        x, grad = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
        b = biases(dtype, shape[-1])
        expected = case.backward(grad, x, bias=b)
        for n in (1, 2, 5):
            with cyact.num_threads(n):
                for (layout, g), (_, laid) in zip(layouts(grad), layouts(x), strict=True):
                    for found in (case.backward(g, laid, bias=b),
                                  case.backward(grad, laid, bias=b, out=np.empty_like(x)),
                                  case.backward(g, x, bias=b)):
                        assert same_bits(found[0], expected[0]), (shape, layout, n)
                        assert same_bits(found[1], expected[1]), (shape, layout, n)
                flat = [a.reshape(-1, shape[-1]) for a in (grad, x)]
                assert same_bits(case.backward(*flat, bias=b)[1], expected[1])


def test_one_row_is_its_own_gradient():
    x = np.linspace(-3, 3, 40)
    dx, db = cyact.backward.silu(x, x, bias=np.ones(40))
    assert same_bits(dx, db)
    assert not np.may_share_memory(dx, db)


def test_infinities_and_nan_stay_in_their_columns():
    grad = np.ones((5, 6))
    grad[1, 1] = np.inf
    grad[2, 2] = -np.inf
    grad[3, 3] = np.nan
    grad[1:3, 4] = np.inf, -np.inf
    for dtype in DTYPES:
        _, db = cyact.backward.identity(grad.astype(dtype), grad.astype(dtype), bias=np.zeros(6))
        assert same_bits(db, np.array([5, np.inf, -np.inf, np.nan, np.nan, 5], dtype))


def test_biases_too_large_for_float32_are_infinite_without_a_warning():
    with np.errstate(all="raise"):
        y = cyact.relu(np.ones((3, 2), np.float32), bias=[1e300, -1e300])
    assert same_bits(y, np.tile(np.array([np.inf, 0], np.float32), (3, 1)))


def test_sums_too_large_for_float32_are_infinite_without_a_warning():
    grad = np.full((3, 2), 3e38, np.float32)
    with np.errstate(all="raise"):
        _, db = cyact.backward.identity(grad, grad, bias=np.zeros(2))
    assert same_bits(db, np.full(2, np.inf, np.float32))


# Refused, and nothing written

BAD = [
    (np.ones(5), ValueError, "bias must have one entry for each of x's last axis.*(4, 6).*(5,)"),
    (np.ones((1, 6)), ValueError, "bias must have one entry"),
    (np.ones((4, 6)), ValueError, "bias must have one entry"),
    (1.0, ValueError, "bias must have one entry"),
    ([], ValueError, "bias must have one entry"),
    (np.ones(6) * 1j, TypeError, "bias of dtype complex128 cannot be used with x of dtype float"),
    (np.ones(6, object), TypeError, "bias of dtype object"),
    (["a"] * 6, TypeError, "bias of dtype"),
    ([[1.0], [1.0, 2.0]], ValueError, "ragged"),
]


@by_few
@pytest.mark.parametrize(("bias", "error", "text"), BAD)
def test_bad_biases_are_refused(case, bias, error, text):
    text = text.replace("(", r"\(").replace(")", r"\)")
    for x in (np.ones((4, 6)), np.ones((6, 4), np.float32).T, np.ones((4, 6), ">f8")):
        for what, call in forms(case, x):
            out = np.full(x.shape, 7.0)
            with pytest.raises(error, match=f"{case.name}: .*{text}"):
                call(x, bias=bias, out=out)
            assert (out == 7).all(), what


@by_few
def test_scalars_have_no_last_axis(case):
    for x in (1.0, np.float32(1), np.array(1.0)):
        for bias in (1.0, [1.0]):
            with pytest.raises(ValueError, match="bias must have one entry"):
                case.value(x, bias=bias)


def test_a_bias_goes_with_x():
    with pytest.raises(TypeError, match=re.escape("backward.sigmoid: bias goes with x")):
        cyact.backward.sigmoid(np.ones(3), output=np.ones(3), bias=np.ones(3))
