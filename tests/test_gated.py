"""glu, swiglu, geglu, reglu and bilinear against the activation and a product."""

import re

import numpy as np
import pytest
from cases import DTYPES, inputs, same_bits, special
from numpy.exceptions import AxisError

import cyact

pytestmark = pytest.mark.levels

backward = cyact.backward
# name, parameters, activation of the gate
UNITS = [("swiglu", (), "silu", ()), ("swiglu", (1.7,), "silu", (1.7,)), ("geglu", (), "gelu", ()),
         ("geglu", ("tanh",), "gelu", ("tanh",)), ("geglu", ("sigmoid",), "gelu", ("sigmoid",)),
         ("reglu", (), "relu", ()), ("bilinear", (), "identity", ())]
HALVES = ["float16", "bfloat16"]
SHAPES = [(6,), (4, 6), (6, 4, 2), (2, 4, 6, 2)]
AXES = [(shape, axis) for shape in SHAPES for axis in range(-len(shape), len(shape))]


class Unit:
    """A gated unit with parameters, and what it is made of."""

    def __init__(self, name, params, inner, inner_params):
        self.name, self.params = name, params
        self.inner, self.inner_params = inner, inner_params

    def __call__(self, gate, value=None, **keywords):
        return getattr(cyact, self.name)(gate, value, *self.params, **keywords)

    def backward(self, grad, gate, value=None, **keywords):
        return getattr(backward, self.name)(grad, gate, value, *self.params, **keywords)

    def formula(self, gate, value):
        with np.errstate(all="ignore"):
            return value * getattr(cyact, self.inner)(gate, *self.inner_params)

    def gradients(self, grad, gate, value):
        slope = getattr(cyact.derivative, self.inner)(gate, *self.inner_params)
        with np.errstate(all="ignore"):
            return (grad * value) * slope, self.formula(gate, grad)

    def __str__(self):
        return f"{self.name}({', '.join(map(str, self.params))})"


ALL = [Unit(*unit) for unit in UNITS]
by_unit = pytest.mark.parametrize("unit", ALL, ids=str)
by_name = pytest.mark.parametrize("unit", [u for u in ALL if not u.params], ids=str)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


def sample(dtype, shape, seed=0):
    """Numbers of all magnitudes and the special ones."""
    x = np.concatenate([inputs(dtype, 2000), special(dtype), special(dtype)])
    return np.resize(np.random.default_rng(seed).permutation(x), shape)


def moderate(dtype, shape, seed=0):
    return np.random.default_rng(seed).uniform(-4, 4, shape).astype(dtype)


def three(dtype, shape, make=sample):
    """Grad, gate and value."""
    return [make(dtype, shape, seed) for seed in range(3)]


def layouts(x):
    """An array laid out in many ways."""
    yield x.copy()
    yield x.copy(order="F")
    yield x[..., ::-1].copy()[..., ::-1]
    yield np.repeat(x, 2, axis=-1)[..., ::2]
    yield np.repeat(x, 3, axis=0)[::3]
    yield x.astype(x.dtype.newbyteorder())
    raw = np.zeros(x.nbytes + 1, np.uint8)
    raw[1:] = x.reshape(-1).view(np.uint8)
    yield raw[1:].view(x.dtype).reshape(x.shape)


def half_type(name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    return {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[name]


def refused(error, text, call, *arguments, out, **keywords):
    """The error comes, says that, and nothing is written to out."""
    outs = out if isinstance(out, tuple) else (out,)
    before = [np.array(o) for o in outs]
    with pytest.raises(error, match=text):
        call(*arguments, out=out, **keywords)
    for now, then in zip(outs, before, strict=True):
        np.testing.assert_array_equal(now, then)


# Two operands

@by_dtype
@by_unit
def test_two_operands_are_the_activation_times_the_value(unit, dtype):
    for shape in [(), (1,), (15,), (16,), (17,), (1023,), (1025,), (5, 7), (3, 4, 50), (2, 20_000)]:
        grad, gate, value = three(dtype, shape)
        y, expected = unit(gate, value), unit.formula(gate, value)
        assert same_bits(y, expected)
        assert np.shape(y) == shape
        found, gradients = unit.backward(grad, gate, value), unit.gradients(grad, gate, value)
        assert same_bits(found[0], gradients[0])
        assert same_bits(found[1], gradients[1])
        assert isinstance(y, np.ndarray) == (shape != ())


@by_dtype
@by_unit
def test_every_layout(unit, dtype):
    for shape in ((3, 4, 40), (5, 3)):
        grad, gate, value = three(dtype, shape)
        y, gradients = unit.formula(gate, value), unit.gradients(grad, gate, value)
        for g, a, v in zip(*map(layouts, (grad, gate, value)), strict=True):
            for a_, v_ in ((a, v), (gate, v), (a, value)):
                assert same_bits(unit(a_, v_), y)
                dgate, dvalue = unit.backward(g, a_, v_)
                assert same_bits(dgate, gradients[0])
                assert same_bits(dvalue, gradients[1])
        for out in layouts(np.zeros(shape, dtype)):
            assert unit(gate, value, out=out) is out
            assert same_bits(out.astype(dtype), y)
        for room, a, v in [(value.copy(), gate, None), (gate.copy(), None, value)]:
            found = unit(room if a is None else a, room if v is None else v, out=room)
            assert found is room                      # in place
            assert same_bits(room, y)


@by_dtype
@by_name
def test_any_number_of_threads(unit, dtype, threads):
    for shape in ((900, 700), (2, 300_000), (20, 30, 1000)):
        grad, gate, value = three(dtype, shape)
        gradients = unit.gradients(grad, gate, value)
        assert same_bits(unit(gate, value), unit.formula(gate, value))
        assert same_bits(unit(gate.T, value.T).T, unit.formula(gate, value))
        for found, expected in zip(unit.backward(grad, gate, value), gradients, strict=True):
            assert same_bits(found, expected)
        packed = np.concatenate([gate, value], -1)
        assert same_bits(unit(packed), unit.formula(gate, value))
        assert same_bits(unit.backward(grad, packed), np.concatenate(gradients, -1))


# Packed

@by_dtype
@by_unit
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_packed_input_is_split_along_the_axis(unit, shape, axis, dtype):
    x = sample(dtype, shape)
    halves = np.split(x, 2, axis)
    grad = sample(dtype, halves[0].shape, 5)
    for gate_half, (gate, value) in (("first", halves), ("second", halves[::-1])):
        keywords = {"axis": axis, "gate_half": gate_half}
        expected = unit.formula(gate, value)
        order = slice(None, None, 1 if gate_half == "first" else -1)
        dx = np.concatenate(unit.gradients(grad, gate, value)[order], axis)
        for laid in layouts(x):
            assert same_bits(unit(laid, **keywords), expected)
            assert same_bits(unit.backward(grad, laid, **keywords), dx)
        out = np.empty(expected.shape[::-1], dtype).T
        assert unit(x, out=out, **keywords) is out
        assert same_bits(out, expected)
        out = np.empty(x.shape[::-1], dtype).T
        assert unit.backward(grad, x, out=out, **keywords) is out
        assert same_bits(out, dx)


@by_dtype
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_the_second_half_of_glu_gates(shape, axis, dtype):
    x = sample(dtype, shape)
    value, gate = np.split(x, 2, axis)
    grad = sample(dtype, value.shape, 5)
    unit = Unit("glu", (), "sigmoid", ())
    dgate, dvalue = unit.gradients(grad, gate, value)
    for laid in layouts(x):
        assert same_bits(cyact.glu(laid, axis), unit.formula(gate, value))
        assert same_bits(backward.glu(grad, laid, axis), np.concatenate([dvalue, dgate], axis))
    for out in (np.empty(value.shape, dtype), np.empty(value.shape)):
        assert cyact.glu(x, axis, out=out) is out
        assert same_bits(out, unit.formula(gate, value).astype(out.dtype))
    out = np.empty_like(x)
    assert backward.glu(grad, x, axis, out=out) is out
    assert same_bits(out, np.concatenate([dvalue, dgate], axis))


@by_name
def test_shapes_without_entries(unit):
    assert unit(np.ones((0, 4))).shape == (0, 2)
    assert unit(np.ones((4, 0))).shape == (4, 0)
    assert unit.backward(np.ones((0, 2)), np.ones((0, 4))).shape == (0, 4)
    assert [d.shape for d in unit.backward(*[np.ones((3, 0))] * 3)] == [(3, 0)] * 2


# Mathematics

@by_unit
def test_gradients_are_numerical_derivatives(unit):
    grad, gate, value = three(np.float64, (40, 50), moderate)
    gate[np.abs(gate) < 1e-4] = 1           # reglu's kink
    dgate, dvalue = unit.backward(grad, gate, value)
    h = 2.0**-17
    change = unit(gate + h, value) - unit(gate - h, value)
    np.testing.assert_allclose(dgate, grad * change / (2 * h), atol=1e-8)
    change = unit(gate, value + h) - unit(gate, value - h)
    np.testing.assert_allclose(dvalue, grad * change / (2 * h), atol=1e-8)


def test_values_by_other_formulas():
    gate, value = moderate(np.float64, 1000), moderate(np.float64, 1000, 1)
    for y, expected in [
            (cyact.swiglu(gate, value), value * gate / (1 + np.exp(-gate))),
            (cyact.swiglu(gate, value, 2.5), value * gate / (1 + np.exp(-2.5 * gate))),
            (cyact.geglu(gate, value, "tanh"), value * gate / 2 * (1 + np.tanh(
                np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))),
            (cyact.reglu(gate, value), value * np.maximum(gate, 0)),
            (cyact.bilinear(gate, value), gate * value),
            (cyact.glu(np.concatenate([value, gate])), value / (1 + np.exp(-gate)))]:
        np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-13)


@by_dtype
def test_special_values(dtype):
    inf, nan = np.inf, np.nan
    gate = np.array([-inf, -0.0, 0.0, inf, nan, 1, inf, -inf], dtype)
    value = np.array([2, 2, -2, 2, 2, nan, 0, 3], dtype)
    for name, expected in [("swiglu", [-0.0, -0.0, -0.0, inf, nan, nan, nan, -0.0]),
                           ("geglu", [-0.0, -0.0, -0.0, inf, nan, nan, nan, -0.0]),
                           ("reglu", [0, 0, -0.0, inf, nan, nan, nan, 0]),
                           ("bilinear", [-inf, -0.0, -0.0, inf, nan, nan, nan, -inf])]:
        assert same_bits(getattr(cyact, name)(gate, value), np.array(expected, dtype)), name


# Dtypes

@pytest.mark.parametrize("half", HALVES)
@by_unit
def test_half_types_are_rounded_once(unit, half):
    half = half_type(half)
    grad, gate, value = (a.astype(half) for a in three(np.float32, (60, 70), moderate))
    singles = [a.astype(np.float32) for a in (grad, gate, value)]
    for found, true in [(unit(gate, value), unit.formula(*singles[1:])),
                        *zip(unit.backward(grad, gate, value), unit.gradients(*singles),
                             strict=True),
                        (unit(np.concatenate([gate, value], 1)), unit.formula(*singles[1:])),
                        (unit(gate.T, value.T).T, unit.formula(*singles[1:]))]:
        assert found.dtype == half
        assert same_bits(found.astype(np.float32), true.astype(half).astype(np.float32))


@by_name
def test_integers_lists_and_mixed_dtypes(unit):
    x = np.arange(-12, 12).reshape(4, 6)
    for given, wide in [("i1", "f4"), ("?", "f4"), ("i8", "f8"), (">f4", "f4")]:
        a = x.astype(given)
        y = unit(a)
        assert y.dtype == wide
        assert same_bits(y, unit(a.astype(wide)))
        assert same_bits(unit(a, a), unit(a.astype(wide), a.astype(wide)))
        dx = unit.backward(np.ones((4, 3), wide), a)
        assert dx.dtype == wide
    assert same_bits(unit(x.tolist()), unit(x))
    assert same_bits(unit(x.tolist(), x.tolist()), unit(x, x))
    single, double = x.astype("f4"), x.astype("f8")
    for gate, value in ((single, double), (double, single)):
        assert same_bits(unit(gate, value), unit(double, double))
    assert unit(x.astype("i1"), single).dtype == np.float32
    out = np.empty((4, 3))
    assert unit(single, out=out) is out
    assert same_bits(out, unit(single).astype("f8"))


@by_name
def test_other_arrays(unit):
    grad, gate, value = three(np.float64, (4, 6), moderate)
    y, gradients = unit(gate, value), unit.backward(grad, gate, value)
    masked = np.ma.array(gate, mask=gate > 2)
    found = unit(masked, value)
    np.testing.assert_array_equal(found.mask, gate > 2)
    assert same_bits(found.data[gate <= 2], y[gate <= 2])
    found = unit(masked)
    np.testing.assert_array_equal(found.mask, (gate > 2)[:, :3] | (gate > 2)[:, 3:])
    assert isinstance(unit.backward(grad[:, :3], masked), np.ma.MaskedArray)
    pd, xr = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    da = pytest.importorskip("dask.array")
    for make, values in [(pd.DataFrame, lambda y: y.to_numpy()), (xr.DataArray, lambda y: y.data),
                         (lambda a: da.from_array(a, chunks=(2, 3)), lambda y: y.compute())]:
        laid = [make(a) for a in (grad, gate, value)]
        found = unit(*laid[1:])
        assert type(found) is type(laid[0])
        assert same_bits(values(found), y)
        for d, expected in zip(unit.backward(*laid), gradients, strict=True):
            assert type(d) is type(laid[0])
            assert same_bits(values(d), expected)
        out = np.empty_like(grad), np.empty_like(grad)
        unit.backward(*laid, out=out)
        assert same_bits(out[0], gradients[0])
        packed, half = make(np.concatenate([gate, value], 1)), make(grad)
        for found, expected in [(unit(packed), y), (unit.backward(half, packed),
                                                    np.concatenate(gradients, 1))]:
            assert type(found) is (da.Array if isinstance(packed, da.Array) else np.ndarray)
            assert same_bits(np.asarray(found), expected)


# out, overlap, errors

@by_name
def test_out_of_backward_is_a_pair(unit):
    grad, gate, value = three(np.float64, (4, 6), moderate)
    expected = unit.backward(grad, gate, value)
    wide = np.zeros((4, 12))
    for out in [(np.empty((4, 6)), np.empty((4, 6))), (np.empty((6, 4)).T, np.empty((4, 6))),
                (wide[:, :6], wide[:, 6:]), (wide[:, ::2], wide[:, 1::2])]:
        found = unit.backward(grad, gate, value, out=out)
        for f, o, e in zip(found, out, expected, strict=True):
            assert f is o
            assert same_bits(o, e)
    room = [a.copy() for a in (grad, gate, value)]
    fresh = np.full((4, 6), 7.0)
    for held in room:
        for out in ((held, fresh), (fresh, held)):
            refused(ValueError, f"backward.{unit.name}: out must not overlap", unit.backward,
                    *room, out=out)
    refused(ValueError, "out must not overlap", unit.backward, *room, out=(fresh, fresh))
    packed = np.concatenate([gate, value], 1)
    refused(ValueError, "out must not overlap", unit.backward, grad, packed, out=packed)
    for out, error, text in [
            ([fresh, fresh.copy()], TypeError, r"out must be a tuple \(dgate, dvalue\)"),
            (fresh, TypeError, "out must be a tuple"), ((fresh,), TypeError, "tuple"),
            ((fresh, wide), ValueError, "out must have the result's shape"),
            ((fresh, np.full((4, 6), 7)), TypeError, "cannot be stored in out's dtype int64"),
            ((fresh, None), TypeError, "out must be a NumPy array, got NoneType")]:
        with pytest.raises(error, match=f"^backward.{unit.name}: .*{text}"):
            unit.backward(*room, out=out)
    assert (fresh == 7).all()


@by_name
def test_out_over_the_input_of_the_forward_pass(unit):
    x = moderate(np.float64, (4, 12))
    expected = unit(x)
    for place in (slice(0, 6), slice(6, 12), slice(3, 9)):
        room = x.copy()
        unit(room, out=room[:, place])
        assert same_bits(room[:, place], expected)


@by_name
def test_bad_calls_are_refused(unit):
    x, out = np.ones((4, 6)), np.full((4, 3), 7.0)
    back, outs = f"^backward.{unit.name}: ", np.full((4, 6), 7.0)
    for arguments, keywords, error, text in [
            ((np.ones((4, 5)),), {}, ValueError,
             "axis 1 must have an even length to be split in halves, got 5"),
            ((np.ones((3, 6)),), {"axis": 0}, ValueError, "axis 0 must have an even length"),
            ((x, x[0]), {}, ValueError,
             "gate and value must have equal shapes, got (4, 6) and (6,)"),
            ((x, x.T), {}, ValueError, "gate and value must have equal shapes"),
            ((x, 1.0), {}, ValueError, "gate and value must have equal shapes"),
            ((x,), {"axis": 2}, AxisError, "axis 2 is out of bounds"),
            ((x,), {"axis": 0.5}, TypeError, "axis must be an integer"),
            ((1.0,), {}, AxisError, "axis -1 is out of bounds"),
            ((x,), {"gate_half": "third"}, ValueError, "gate_half must be 'first' or 'second'"),
            ((x,), {"gate_half": None}, ValueError, "gate_half must be"),
            ((x,), {"gate_half": np.ones(2)}, ValueError, "gate_half must be"),
            ((x * 1j,), {}, TypeError, "complex128 is not supported"),
            ((x * 1j, x), {}, TypeError, "complex128 is not supported"),
            ((x, x * 1j), {}, TypeError, "complex128 is not supported"),
            ((x.astype(object),), {}, TypeError, "object is not supported"),
            ((None,), {}, TypeError, "not supported"),
            (([[1.0], [1.0, 2.0]],), {}, ValueError, "ragged")]:
        text = re.escape(text)
        place = outs if len(arguments) == 2 else out
        refused(error, f"^{unit.name}: .*{text}", unit, *arguments, out=place, **keywords)
        if len(arguments) == 2:
            refused(error, f"{back}.*{text}", unit.backward, x, *arguments, out=(outs, outs + 0),
                    **keywords)
        else:
            refused(error, f"{back}.*{text}", unit.backward, out, *arguments, out=outs, **keywords)
    for place, error, text in [(np.ones((4, 6)), ValueError, "out must have the result's shape"),
                               (np.ones((4, 3), int), TypeError, "cannot be stored"),
                               (np.broadcast_to(7.0, (4, 3)), ValueError, "out is read-only")]:
        refused(error, f"^{unit.name}: .*{text}", unit, x, out=place)
    for grad in (x, x[0], 1.0):
        refused(ValueError, f"{back}grad must have the shape of the output", unit.backward, grad, x,
                out=outs)
    refused(TypeError, f"{back}.*complex128 is not supported", unit.backward, out * 1j, x, out=outs)


@pytest.mark.parametrize(("name", "value", "error", "text"), [
    ("swiglu", np.nan, ValueError, "beta must be finite, got nan"),
    ("swiglu", np.inf, ValueError, "beta must be finite"),
    ("swiglu", "a", TypeError, "beta must be a single real number"),
    ("geglu", "erf", ValueError, "approximate must be one of 'none', 'tanh', 'sigmoid', got 'erf'"),
    ("geglu", ["none"], ValueError, "approximate must be one of"),
    ("geglu", None, ValueError, "approximate must be one of"),
])
def test_bad_parameters_name_the_unit(name, value, error, text):
    x, out, outs = np.ones((4, 6)), np.full((4, 3), 7.0), np.full((4, 6), 7.0)
    refused(error, f"{name}: {text}", getattr(cyact, name), x, None, value, out=out)
    refused(error, f"{name}: {text}", getattr(cyact, name), x, x, value, out=outs)
    refused(error, f"{name}: {text}", getattr(backward, name), out, x, None, value, out=outs)
    refused(error, f"{name}: {text}", getattr(backward, name), x, x, x, value,
            out=(outs, outs + 0))


def test_glu_refuses_what_it_cannot_split():
    for call, leading in ((cyact.glu, ()), (backward.glu, (np.ones((4, 3)),))):
        name = "backward.glu" if leading else "glu"
        for x, axis, error, text in [
                (np.ones((4, 5)), -1, ValueError, "must have an even length"),
                (np.ones((4, 6)), 2, AxisError, "axis 2 is out of bounds"),
                (np.ones((4, 6)) * 1j, -1, TypeError, "complex128 is not supported"),
                (1.0, -1, AxisError, "axis -1 is out of bounds")]:
            with pytest.raises(error, match=f"^{name}: .*{text}"):
                call(*leading, x, axis)
