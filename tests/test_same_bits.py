"""A result has the same bits wherever its element lies: a statement per way of lying there."""

import ctypes
import mmap
import os
import subprocess
import sys
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cases import DTYPES, ELEMENTWISE, KERNELS, REDUCING, ROWS, inputs, same_bits, special

import cyact

pytestmark = pytest.mark.levels

by_kernel = pytest.mark.parametrize("case", KERNELS, ids=str)
by_case = pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
by_row_function = pytest.mark.parametrize("name", ROWS)

LENGTHS = range(71)                 # several registers of every width, and every remainder
LARGE = 600_000                     # float32 relu, the cheapest, is threaded from about here


def sample(dtype, count=4000):
    """Inputs of all magnitudes and the special values, shuffled."""
    x = np.concatenate([inputs(dtype, count), special(dtype)])
    return np.random.default_rng(7).permutation(x)


def one_at_a_time(function, x):
    """The function of each element on its own: what every other layout has to agree with."""
    return np.array([function(x[i:i + 1])[0] for i in range(len(x))], x.dtype)


def layouts(x):
    """The entries of a 1-D x, in order, as arrays laid out in many ways: (name, array)."""
    n = len(x) // 12 * 12
    x = x[:n]
    yield "contiguous", x.copy()
    for step in (2, 3, 7):
        spread = np.zeros(n * step, x.dtype)
        spread[::step] = x
        yield f"every {step}th", spread[::step]
    yield "reversed", x[::-1].copy()[::-1]
    yield "swapped bytes", x.astype(x.dtype.newbyteorder())
    raw = np.zeros(n * x.itemsize + 1, np.uint8)
    raw[1:] = x.view(np.uint8)
    yield "misaligned", raw[1:].view(x.dtype)
    record = np.zeros(n, [("flag", "i1"), ("x", x.dtype)])
    record["x"] = x
    yield "field of a packed record", record["x"]
    yield "C order", x.reshape(12, -1).copy()
    yield "Fortran order", np.array(x.reshape(12, -1), order="F")
    yield "transposed", np.ascontiguousarray(x.reshape(12, -1).T).T
    permuted = np.ascontiguousarray(x.reshape(3, 4, -1).transpose(1, 2, 0))
    yield "axes permuted", permuted.transpose(2, 0, 1)
    yield "both axes reversed", x.reshape(12, -1)[::-1, ::-1].copy()[::-1, ::-1]
    wide = np.zeros((12, n // 12 + 5), x.dtype)
    wide[:, :n // 12] = x.reshape(12, -1)
    yield "rows with gaps", wide[:, :n // 12]
    read_only = x.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only


def functions(case):
    """What a case can compute from x alone."""
    yield "value", case.value
    yield "derivative", case.derivative


# Elements

@by_dtype
@by_kernel
def test_every_length_and_every_offset(case, dtype):
    base = sample(dtype)[:160]
    for what, function in functions(case):
        expected = one_at_a_time(function, base)
        for n in LENGTHS:
            for offset in (0, 1, 2, 3, 7, 15, 16, 31):
                assert same_bits(function(base[offset:offset + n]), expected[offset:offset + n]), (
                    what, n, offset)


@by_dtype
@by_kernel
def test_results_go_to_every_offset_and_no_further(case, dtype):
    x = sample(dtype)[:70]
    expected = one_at_a_time(case.value, x)
    for n in LENGTHS:
        for offset in (0, 1, 5, 16):
            room = np.full(100, 77, dtype)
            case.value(x[:n], out=room[offset:offset + n])
            assert same_bits(room[offset:offset + n], expected[:n])
            assert (room[:offset] == 77).all()
            assert (room[offset + n:] == 77).all()


@by_dtype
@by_case
def test_every_layout(case, dtype):
    x = sample(dtype, 1500)
    for what, function in functions(case):
        expected = function(x)
        for layout, laid in layouts(x):
            found = function(laid)
            assert found.dtype == dtype
            assert found.dtype.isnative
            assert same_bits(found.reshape(-1), expected[:laid.size]), (what, layout)


@by_dtype
@by_kernel
def test_every_layout_of_out(case, dtype):
    x = sample(dtype, 1500)
    expected = case.value(x)
    for layout, out in layouts(np.zeros_like(x)):
        if not out.flags.writeable:
            continue
        source = x[:out.size].reshape(out.shape)
        assert case.value(source, out=out) is out
        assert same_bits(out.astype(dtype).reshape(-1), expected[:out.size]), layout


@by_dtype
@by_case
def test_in_place(case, dtype):
    x = sample(dtype, 1500)
    expected = case.value(x), case.derivative(x)
    for layout, laid in layouts(x):
        if laid.flags.writeable and not np.may_share_memory(laid, x):
            assert case.value(laid, out=laid) is laid
            assert same_bits(laid.astype(dtype).reshape(-1), expected[0][:laid.size]), layout
    y = x.copy()
    assert case.derivative(y, out=y) is y
    assert same_bits(y, expected[1])


@by_dtype
@by_kernel
def test_scalars_and_zero_dimensions(case, dtype):
    x = sample(dtype, 200)
    expected = case.value(x)
    for v, y in zip(x, expected, strict=True):
        for found in (case.value(v), case.value(np.array(v))):
            assert isinstance(found, dtype)
            assert same_bits(found, y)


# Rows with gaps between them: how they are brought together depends on their length

ROW_LENGTHS = [*range(2, 35), 48, 63, 64, 65, 80, 191, 192, 193, 256, 257, 300, 512, 513]


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16], ids=lambda d: d.__name__)
@pytest.mark.parametrize("gap", [1, 2, 3, 16, 1500])
def test_rows_with_gaps_are_computed_like_rows_without(dtype, gap):
    rng = np.random.default_rng(gap)
    for n in ROW_LENGTHS:
        rows = 2 * 1024 // n + 3
        x, grad, y = (rng.standard_normal((rows, n + gap)).astype(dtype) for _ in range(3))
        b = np.linspace(-1, 1, n).astype(dtype)
        before = y.copy()
        cut = [a[:, :n] for a in (x, grad)]
        whole = [a.copy() for a in cut]
        assert same_bits(cyact.silu(cut[0]), cyact.silu(whole[0]))
        assert same_bits(cyact.silu(cut[0], bias=b), cyact.silu(whole[0], bias=b))
        dx, db = cyact.backward.silu(cut[1], cut[0], bias=b)
        expected = cyact.backward.silu(whole[1], whole[0], bias=b)
        assert same_bits(dx, expected[0])
        assert same_bits(db, expected[1])
        expected = cyact.backward.silu(*whole[::-1])
        cyact.backward.silu(cut[1], cut[0], out=y[:, :n])
        assert same_bits(y[:, :n], expected)
        assert same_bits(y[:, n:], before[:, n:])
        for g, a in ((cut[1], cut[0]), (cut[1], whole[0]), (whole[1], cut[0])):
            room = np.full((rows + 2, n), 77, dtype)
            cyact.backward.silu(g, a, out=room[1:-1])
            assert same_bits(room[1:-1], expected)
            assert (room[[0, -1]] == 77).all()


@by_dtype
@pytest.mark.skipif(sys.platform != "linux", reason="protects a page")
def test_nothing_behind_the_last_row_is_read(dtype):
    """The page after the one in which the array ends is out of bounds."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 3 * page)
    whole = np.frombuffer(memory, np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    end = ctypes.c_void_p(whole.ctypes.data + 2 * page)
    assert protect(end, ctypes.c_size_t(page), 0) == 0
    try:
        x = whole[:2 * page].view(dtype)
        for n in ROW_LENGTHS:
            for pitch in (n + 1, n + 20):
                rows = (len(x) - n) // pitch + 1
                last = len(x) - n - (rows - 1) * pitch
                cut = np.lib.stride_tricks.as_strided(
                    x[last:], (rows, n), (pitch * x.itemsize, x.itemsize))
                assert same_bits(cyact.relu(cut), cyact.relu(cut.copy()))
                assert (cyact.backward.relu(cut, cut) == 0).all()
    finally:
        assert protect(end, ctypes.c_size_t(page), 3) == 0


@by_dtype
@by_kernel
def test_broadcast_input(case, dtype):
    x = sample(dtype, 100)
    expected = case.value(x)
    rows = case.value(np.broadcast_to(x, (5, len(x))))
    assert all(same_bits(row, expected) for row in rows)
    for n in (2, 3, 5, 13, 20):
        columns = case.value(np.broadcast_to(x[:, None], (len(x), n)))
        assert all(same_bits(column, expected) for column in columns.T)


@by_dtype
@by_kernel
def test_large_calls_on_any_number_of_threads(case, dtype, threads):
    x = np.resize(sample(dtype, 9973), LARGE + 13)
    small = [slice(i, i + 997) for i in range(0, len(x), 50_003)]
    for _, function in functions(case):
        y = function(x)
        in_place = x.copy()
        function(in_place, out=in_place)
        strided = function(np.repeat(x, 2)[::2])
        assert same_bits(in_place, y)
        assert same_bits(strided, y)
        for piece in small:
            assert same_bits(y[piece], function(x[piece].copy()))


@by_dtype
def test_results_larger_than_the_cache(dtype):
    """They may be stored another way."""
    x = np.resize(sample(dtype, 9973), 80 * 2**20 // np.dtype(dtype).itemsize + 21)
    few = cyact.sigmoid(x[:9973])
    period = len(sample(dtype, 9973))
    for n in (1, 2):
        with cyact.num_threads(n):
            for y in (cyact.sigmoid(x), cyact.sigmoid(x, out=np.empty(len(x) + 1, dtype)[1:])):
                assert same_bits(y[:9973], few)
                assert same_bits(y[period:], y[:-period])


# Backward

@by_dtype
@by_case
def test_backward_is_gradient_times_derivative(case, dtype):
    x = sample(dtype, 1500)
    grad = np.random.default_rng(3).permutation(x)
    with np.errstate(all="ignore"):
        expected = grad * case.derivative(x)
    assert same_bits(case.backward(grad, x), expected)
    for n in LENGTHS:
        assert same_bits(case.backward(grad[3:3 + n], x[3:3 + n]), expected[3:3 + n])
    for (layout, a), (_, b) in zip(layouts(grad), layouts(x), strict=True):
        assert same_bits(case.backward(a, b).reshape(-1), expected[:a.size]), layout
        assert same_bits(case.backward(a.copy(), b).reshape(-1), expected[:a.size]), layout
    for target in (grad.copy(), x.copy()):
        a, b = (target, x) if same_bits(target, grad) else (grad, target)
        assert case.backward(a, b, out=target) is target
        assert same_bits(target, expected)


@by_dtype
@pytest.mark.parametrize("case", [c for c in ELEMENTWISE if c.takes_output], ids=str)
def test_backward_from_the_output_is_gradient_times_slope(case, dtype):
    y = case.value(sample(dtype, 1500))
    grad = np.random.default_rng(3).permutation(sample(dtype, 1500))[:len(y)]
    with np.errstate(all="ignore"):
        expected = grad * case.backward(np.ones_like(y), output=y)
    assert same_bits(case.backward(grad, output=y), expected)
    for (layout, a), (_, b) in zip(layouts(grad), layouts(y), strict=True):
        assert same_bits(case.backward(a, output=b).reshape(-1), expected[:a.size]), layout


@by_dtype
@by_kernel
def test_large_backward_on_any_number_of_threads(case, dtype, threads):
    x = np.resize(sample(dtype, 9973), LARGE + 13)
    grad = np.resize(sample(dtype, 7919), len(x))
    with np.errstate(all="ignore"):
        expected = grad * case.derivative(x)
    assert same_bits(case.backward(grad, x), expected)
    assert same_bits(case.backward(grad[::-1], x[::-1])[::-1], expected)
    assert case.backward(grad, x, out=grad) is grad
    assert same_bits(grad, expected)


# Views: whatever strides can do, in all four dtypes

ARRAY_DTYPES = ["float16", "bfloat16", "float32", "float64"]
VIEWED = [c for c in ELEMENTWISE if str(c) in ("relu", "gelu(none)", "elu(0.1)", "sigmoid")]


def dtype_of(name):
    if name == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.dtype(name)


def views(x):
    """Views of a 1-D x, by name."""
    n = len(x) // 240 * 240
    table, cube = x[:n].reshape(24, -1), x[:n].reshape(4, 6, -1)
    yield "rows with gaps", table[:, 3:-2]
    yield "every 2nd column", table[:, ::2]
    yield "every 3rd row, every 2nd column reversed", table[::3, ::-2]
    yield "one column", table[:, 5]
    yield "transposed", table.T
    for axes in [(2, 0, 1), (1, 0, 2), (0, 2, 1), (2, 1, 0)]:
        yield f"axes {axes}", cube.transpose(axes)
        yield f"axes {axes}, some of each", cube.transpose(axes)[::2, 1:, ::-1]
    yield "one row again and again", np.broadcast_to(x[:130], (7, 130))
    yield "one column again and again", np.broadcast_to(x[:130, None], (130, 7))
    yield "a middle axis broadcast", np.broadcast_to(cube[:, :1], cube.shape)
    yield "an outer axis broadcast", np.broadcast_to(table[:, 1:], (3, 24, table.shape[1] - 1))
    yield "one number everywhere", np.broadcast_to(x[7], (5, 40))
    yield "windows that overlap", np.lib.stride_tricks.sliding_window_view(x[:200], 40)
    yield "diagonal", np.lib.stride_tricks.as_strided(
        x, (20,), (25 * x.itemsize,), writeable=False)
    yield "axes of length 1", table[3:4, 2:-1][:, None, :, None]
    yield "axes of length 1 with any strides", np.lib.stride_tricks.as_strided(
        x, (1, 20, 1, 10), (12344, 11 * x.itemsize, -888, x.itemsize), writeable=False)
    yield "33 dimensions", x[:32].reshape((1, 1) * 14 + (2,) * 5)
    yield "40 dimensions, reversed", x[:64].reshape((2, 1) * 6 + (1,) * 28).T
    yield "64 dimensions", x[:8].reshape((1,) * 30 + (2, 2, 2) + (1,) * 31)[..., ::-1, :]
    yield "20 dimensions of 2, not to be merged", np.repeat(x[:1024], 2).reshape(
        (2,) * 11)[..., 0].transpose(3, 1, 4, 0, 5, 9, 2, 6, 8, 7)


def assert_same(found, expected, what):
    """Bits of any of the dtypes."""
    assert found.dtype == expected.dtype, what
    wide = np.float64 if found.dtype == np.float64 else np.float32
    with np.errstate(invalid="ignore"):
        assert same_bits(found.astype(wide), expected.astype(wide)), what


@pytest.mark.parametrize("dtype", ARRAY_DTYPES)
@pytest.mark.parametrize("case", VIEWED, ids=str)
def test_views(case, dtype):
    dtype = dtype_of(dtype)
    with np.errstate(all="ignore"):
        x = sample(np.float32, 1200)[:1200].astype(dtype)
        other = np.random.default_rng(3).permutation(x)
    for (what, a), (_, g) in zip(views(x), views(other), strict=True):
        flat, grad = a.flatten(), g.flatten()
        for call in (case.value, case.derivative):
            expected = call(flat).reshape(a.shape)
            assert_same(call(a), expected, what)
            out = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), dtype)[..., ::2]
            assert call(a, out=out) is out
            assert_same(out, expected, what)
        expected = case.backward(grad, flat).reshape(a.shape)
        for one, two in ((g, a), (g.copy(), a), (g, a.copy())):
            assert_same(case.backward(one, two), expected, what)
        out = np.zeros(a.shape[::-1], dtype).T
        assert case.backward(g, a, out=out) is out
        assert_same(out, expected, what)


@pytest.mark.parametrize("dtype", ARRAY_DTYPES)
@pytest.mark.parametrize("name", ["swiglu", "reglu"])
def test_views_of_gate_and_value(name, dtype):
    dtype = dtype_of(dtype)
    unit, backward = getattr(cyact, name), getattr(cyact.backward, name)
    with np.errstate(all="ignore"):
        gates = sample(np.float32, 1200)[:1200].astype(dtype)
        values = np.random.default_rng(3).permutation(gates)
        grads = np.random.default_rng(4).permutation(gates)
    for (what, a), (_, b), (_, g) in zip(*map(views, (gates, values, grads)), strict=True):
        flat = [v.flatten() for v in (g, a, b)]
        expected = unit(*flat[1:]).reshape(a.shape)
        for one, two in ((a, b), (a.copy(), b), (a, b.copy())):
            assert_same(unit(one, two), expected, what)
        for found, dx in zip(backward(g, a, b), backward(*flat), strict=True):
            assert_same(found, dx.reshape(a.shape), what)
        if a.shape[-1] % 2 == 0:
            first, second = np.split(a, 2, axis=-1)
            expected = unit(first.flatten(), second.flatten()).reshape(first.shape)
            assert_same(unit(a), expected, what)


# No copy behind the scenes: NumPy tells tracemalloc what it allocates

@cache
def with_gaps(shape, dtype):
    """An array of another layout than any in the test below; made once."""
    return np.zeros((shape[0], shape[1] + 3), dtype)[:, 1:-2]


LARGE_CALLS = {
    "value": lambda x, out: cyact.gelu(x, out=out),
    "derivative": lambda x, out: cyact.derivative.elu(x, 0.3, out=out),
    "backward": lambda x, out: cyact.backward.gelu(x, x, out=out),
    "backward, another layout": lambda x, out: cyact.backward.gelu(
        with_gaps(x.shape, x.dtype), x, out=out),
    "with a bias": lambda x, out: cyact.relu(x, bias=np.ones(x.shape[-1], np.float32), out=out),
    "gradient of a bias": lambda x, out: cyact.backward.relu(
        x, x, bias=np.ones(x.shape[-1], np.float32), out=out),
    "a weight a column": lambda x, out: cyact.prelu(x, np.ones(x.shape[1], np.float32), out=out),
    "gated": lambda x, out: cyact.swiglu(x, x, out=out),
    "gated, packed": lambda x, out: cyact.swiglu(x, axis=0) if out is None else None,
}


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("what", LARGE_CALLS)
def test_no_hidden_copy(what, dtype):
    table = np.ones((1000, 1000), dtype)
    for name, x in [("contiguous", table), ("rows with gaps", table[:, :900]),
                    ("every 2nd column", table[:, ::2]), ("reversed", table[::-1, ::-1]),
                    ("Fortran order", table.T), ("transposed rows", table[:, :900].T),
                    ("one row", np.broadcast_to(table[0], (1000, 1000))),
                    ("one column", np.broadcast_to(table[:, :1], (1000, 1000)))]:
        for out in (None, np.empty(x.shape, dtype)):
            LARGE_CALLS[what](x, out)              # what is made once
            tracemalloc.start()
            y = LARGE_CALLS[what](x, out)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            allowed = sum(v.nbytes for v in (y if isinstance(y, tuple) else (y,))
                          if v is not None and v is not out)
            assert peak <= allowed + 100_000, (name, peak, allowed)


# Rows

def rows_of(dtype, n, count=24):
    """Rows of n entries of very different spreads."""
    rng = np.random.default_rng(n)
    return (rng.standard_normal((count, n)) * np.geomspace(0.01, 300, count)[:, None]).astype(dtype)


def row_calls(name):
    """What a function along an axis can compute from x alone: (name, call(x, axis))."""
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    yield "value", lambda x, axis=-1: function(x, axis=axis)
    if name not in REDUCING:
        yield "backward", lambda x, axis=-1: backward(gradient(x, axis), x, axis=axis)


def gradient(x, axis):
    """Some gradient in the layout of x, the same for every row."""
    entries = np.sin(np.arange(1, x.shape[axis] + 1))
    grad = np.empty_like(x)
    np.moveaxis(grad, axis, -1)[...] = entries
    return grad


@by_dtype
@by_row_function
def test_a_row_does_not_depend_on_its_batch(name, dtype):
    for what, call in row_calls(name):
        for n in [*range(1, 71), 127, 128, 129, 1000, 5000]:
            x = rows_of(dtype, n)
            alone = np.array([call(row) for row in x])
            assert same_bits(call(x), alone), (what, n)
            assert same_bits(call(x[5:6]), alone[5:6]), (what, n)
            assert same_bits(call(x[3:20:4]), alone[3:20:4]), (what, n)


@by_dtype
@by_row_function
def test_a_row_does_not_depend_on_its_layout(name, dtype):
    for what, call in row_calls(name):
        for n in (1, 7, 10, 16, 33, 300, 3000):
            x = rows_of(dtype, n)
            expected = call(x)
            for layout, laid in layouts(x.reshape(-1)):
                laid = laid.reshape(24, n) if laid.ndim == 1 else laid
                if laid.shape == (24, n):
                    assert same_bits(call(laid), expected), (what, n, layout)
            down = np.moveaxis(call(np.ascontiguousarray(x.T), axis=0), 0, -1)
            assert same_bits(down.reshape(-1), expected.T.reshape(-1) if expected.ndim == 1
                             else expected.reshape(-1)), (what, n)
            for view in (np.asfortranarray(x), x[::-1].copy()[::-1], x[:, ::-1].copy()[:, ::-1],
                         np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3]):
                assert same_bits(call(view), expected), (what, n)
            cube = x.reshape(2, 3, 4, n)
            for axis in range(4):
                moved = call(np.ascontiguousarray(np.moveaxis(cube, -1, axis)), axis=axis)
                back = moved if expected.ndim == 1 else np.moveaxis(moved, axis, -1)
                assert same_bits(back.reshape(expected.shape), expected), (what, n, axis)


@by_dtype
@by_row_function
@pytest.mark.parametrize("shape", [(70_000, 10), (3, 250_000), (700, 1000), (1, 700_000)], ids=str)
def test_large_calls_along_an_axis_on_any_number_of_threads(name, dtype, shape, threads):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(shape) * 8).astype(dtype)
    for what, call in row_calls(name):
        y = call(x)
        for row in (0, shape[0] // 2, shape[0] - 1):
            assert same_bits(y[row], call(x[row])), (what, row)
        columns = call(np.asfortranarray(x))
        assert same_bits(columns, y), what


@by_dtype
@pytest.mark.parametrize("name", [name for name in ROWS if name not in REDUCING])
def test_rows_in_place(name, dtype):
    for n in (1, 10, 70, 5000):
        x = rows_of(dtype, n)
        expected = getattr(cyact, name)(x)
        for laid in (x.copy(), np.asfortranarray(x), x[:, ::-1].copy()[:, ::-1]):
            assert getattr(cyact, name)(laid, out=laid) is laid
            assert same_bits(laid, expected)


@by_dtype
def test_cross_entropy_does_not_depend_on_threads_or_layout(dtype, threads):
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((30_011, 10)) * 8).astype(dtype)
    target = rng.integers(0, 10, len(x))
    loss, grad = cyact.cross_entropy(x, target, reduction="none", return_grad=True)
    for laid in (np.asfortranarray(x), x[::-1].copy()[::-1]):
        again = cyact.cross_entropy(laid, target, reduction="none", return_grad=True)
        assert same_bits(again[0], loss)
        assert same_bits(again[1], grad)
    for row in (0, 17, 30_010):
        alone = cyact.cross_entropy(x[row], target[row], reduction="none", return_grad=True)
        assert same_bits(alone[0], loss[row])
        assert same_bits(alone[1], grad[row])
    means = {cyact.cross_entropy(x, target).item() for _ in range(5)}
    assert len(means) == 1


# Levels

def test_v3_and_v4_agree_to_the_bit(tmp_path):
    available = cyact.show_config("dict")["levels available"].split(", ")
    if not {"v3", "v4"} <= set(available):
        pytest.skip(f"this CPU or build has {', '.join(available)} only")
    for mode, level in (("write", "v3"), ("compare", "v4")):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", Path(__file__).with_name("bits.py"), mode,
             tmp_path / "bits.npz"],
            env={**os.environ, "CYACT_ISA": level}, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 1000
