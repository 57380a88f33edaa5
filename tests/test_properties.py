"""Whatever the shape, strides, dtype and parameters: the right values, the same as for a copy."""

import numpy as np
import pytest
import reference
from cases import KERNELS, REDUCING, ROWS, Case, same_bits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reference import BOUND, CROSSING, INTERIOR_ZERO, mp_ulps, true_values, ulps

import cyact

by_kernel = pytest.mark.parametrize("case", KERNELS, ids=str)
by_row_function = pytest.mark.parametrize("name", ROWS)
few = settings(max_examples=20, deadline=None, derandomize=True,
               suppress_health_check=[HealthCheck.too_slow])
EXTENDED = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant + 8

floats = st.sampled_from([np.float32, np.float64])
dtypes = st.sampled_from(["f4", "f8", ">f4", ">f8", "i1", "u1", "i2", "i4", "i8", "u8", "?"])
shapes = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=7)


@st.composite
def arrays(draw, dtype=dtypes, shape=shapes):
    """Arrays of any strides: sliced with any step, transposed, broadcast; with special values."""
    x = draw(hnp.arrays(draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype, shape))
    if x.ndim and draw(st.booleans()):
        x = x.transpose(draw(st.permutations(range(x.ndim))))
    for axis in range(x.ndim):
        step = draw(st.sampled_from([1, 1, 1, 2, 3, -1, -2]))
        x = x[(slice(None),) * axis + (slice(None, None, step),)]
    if draw(st.integers(0, 5)) == 0:
        x = np.broadcast_to(x, (draw(st.integers(1, 3)), *x.shape))
    return x


def plain(x):
    """A fresh, contiguous, native copy in the working dtype."""
    kind = x.dtype if x.dtype.kind == "f" else np.result_type(x.dtype, np.float32)
    return np.array(x, np.dtype(kind).newbyteorder("="), order="C")


@by_kernel
@few
@given(x=arrays())
def test_any_array_gives_what_a_plain_copy_gives(case, x):
    before = x.copy()
    for function in (case.value, case.derivative):
        y = np.asarray(function(x))
        assert y.shape == x.shape
        assert same_bits(y, np.asarray(function(plain(x))))
    assert same_bits(x, before)


@by_kernel
@few
@given(data=st.data())
def test_any_pair_of_arrays_through_backward(case, data):
    x = data.draw(arrays())
    grad = data.draw(arrays(shape=st.just(x.shape))
                     .filter(lambda g: g.shape == x.shape))
    kind = np.result_type(plain(x).dtype, plain(grad).dtype)
    with np.errstate(all="ignore"):
        expected = plain(grad).astype(kind) * case.derivative(plain(x).astype(kind))
    assert same_bits(np.asarray(case.backward(grad, x)), np.asarray(expected))


@by_kernel
@few
@given(data=st.data())
def test_any_out(case, data):
    x = data.draw(arrays(dtype=floats))
    room = data.draw(arrays(dtype=floats, shape=st.just(x.shape))
                     .filter(lambda a: a.shape == x.shape))
    if not room.flags.writeable:
        room = room.copy()
    with np.errstate(all="ignore"):
        expected = np.asarray(case.value(x)).astype(room.dtype)
        assert case.value(x, out=room) is room
    assert same_bits(room, expected)


def numbers(dtype):
    """Any finite number, and moderate ones as often."""
    width = np.dtype(dtype).itemsize * 8
    return (st.floats(width=width, allow_nan=False, allow_infinity=False)
            | st.floats(-800, 800, width=width) | st.floats(-4, 4, width=width))


def parameters(name):
    """Any parameters a function allows, of ordinary magnitudes."""
    choices = []
    for p in cyact.catalog[name].parameters:
        if isinstance(p.domain, tuple):
            choices.append(st.sampled_from(p.domain))
        else:
            allowed = (st.floats(max(-50, p.domain.low), min(50, p.domain.high))
                       .filter(lambda v: abs(v) > 1e-3).filter(p.domain.__contains__))
            choices.append(allowed | st.none() if None in p.domain else allowed)
    return st.tuples(*choices).filter(lambda values: in_order(name, values))


def in_order(name, values):
    """Whether the parameters go together: each alone is in its domain."""
    try:
        getattr(cyact, name)(0.0, *values)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", sorted({case.name for case in KERNELS}))
@settings(few, max_examples=60)
@given(data=st.data())
def test_values_and_derivatives_for_any_parameters(name, data):
    dtype = data.draw(floats)
    case = Case(name, data.draw(parameters(name)))
    x = np.array(data.draw(st.lists(numbers(dtype), min_size=1, max_size=8)), dtype)
    true = true_values(case.reference.value, x, case.numbers)
    floor = CROSSING[dtype] * case.reference.terms(*case.numbers)
    assert mp_ulps(case.value(x), true, floor).max() <= BOUND[dtype]
    true = true_values(case.reference.derivative, x, case.numbers)
    floor = INTERIOR_ZERO[dtype] * case.reference.interior_zero
    assert mp_ulps(case.derivative(x), true, floor).max() <= BOUND[dtype]


# Along an axis

row_shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=20)


@by_row_function
@few
@given(data=st.data())
def test_any_array_along_any_axis_gives_what_plain_rows_give(name, data):
    x = data.draw(arrays(shape=row_shapes))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    function = getattr(cyact, name)
    y = np.asarray(function(x, axis=axis))
    rows = np.ascontiguousarray(np.moveaxis(plain(x), axis, -1))
    expected = np.asarray(function(rows))
    if name in REDUCING:
        assert same_bits(y, expected)
    else:
        assert same_bits(np.moveaxis(y, axis, -1), expected)


@pytest.mark.skipif(not EXTENDED, reason="longdouble is no wider than float64 here")
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@settings(few, max_examples=60)
@given(data=st.data())
def test_rows_of_any_numbers(name, data):
    dtype = data.draw(floats)
    row = np.array(data.draw(st.lists(numbers(dtype), min_size=1, max_size=40)), dtype)
    temperature = data.draw(st.just(1.0) | st.floats(0.01, 100))
    true = getattr(reference, name)(row.tolist(), temperature)
    assert mp_ulps(getattr(cyact, name)(row, temperature), true).max() <= 2


@few
@given(data=st.data())
def test_softmax_is_invariant_under_exact_shifts(data):
    """To the bit in float64; float32 only within the bounds, as its rows are not shifted by x."""
    row = np.array(data.draw(st.lists(st.integers(-200, 200), min_size=1, max_size=40)), np.float64)
    shift = data.draw(st.integers(-1000, 1000))
    expected = cyact.softmax(row)
    assert same_bits(cyact.softmax(row + shift), expected)
    y = cyact.softmax((row + shift).astype(np.float32))
    np.testing.assert_allclose(y, expected, rtol=2 * 2.0**-23, atol=2.0**-149)


@few
@given(data=st.data())
def test_permuting_a_row_permutes_its_log_probabilities(data):
    """To rounding: the partial sums are those of the positions."""
    row = np.array(data.draw(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=40)),
                   np.float32)
    order = data.draw(st.permutations(range(len(row))))
    assert ulps(cyact.log_softmax(row[order]),
                cyact.log_softmax(row.astype(np.float64))[order]).max() <= 2


@few
@given(data=st.data())
def test_cross_entropy_is_the_log_probability(data):
    dtype = data.draw(floats)
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=9))
    x = data.draw(hnp.arrays(dtype, shape, elements=st.floats(-50, 50, width=32)))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    rest = tuple(np.delete(shape, axis).tolist())
    target = data.draw(hnp.arrays(np.int64, rest, elements=st.integers(0, shape[axis] - 1)))
    loss = cyact.cross_entropy(x, target, axis=axis, reduction="none")
    log = cyact.log_softmax(x, axis=axis)
    picked = np.take_along_axis(log, np.expand_dims(target, axis), axis).squeeze(axis)
    np.testing.assert_allclose(loss, -picked, rtol=4 * np.finfo(dtype).eps)
