"""What goes in, what comes out, what is refused: dtypes, shapes, `out`, errors, side effects."""

import array
import gc
import inspect
import re
import sys
import tracemalloc
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from cases import DTYPES, FAMILY, KERNELS, REDUCING, ROWS, same_bits
from numpy.exceptions import AxisError

import cyact

by_kernel = pytest.mark.parametrize("case", KERNELS, ids=str)
# What only samples has its own tests in test_sampling.py
DETERMINISTIC = [name for name in cyact.catalog if name != "gumbel_softmax"]
LOSSES = [record.name for record in cyact.catalog.find(kind="loss")]
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
X = np.linspace(-3, 3, 24).reshape(4, 6)


def calls():
    """Every way to call something with an x: (name, call(x, **keywords))."""
    for case in KERNELS:
        yield pytest.param(case.value, id=str(case))
    yield pytest.param(cyact.derivative.gelu, id="derivative.gelu")
    for name in ROWS:
        yield pytest.param(getattr(cyact, name), id=name)


by_call = pytest.mark.parametrize("call", list(calls()))


def result_shape(call, x):
    return call(np.asarray(x, np.float64)).shape


# Input and its dtype

@by_call
@pytest.mark.parametrize(("given", "result"), [
    ("bool", "float32"), ("int8", "float32"), ("uint8", "float32"), ("int16", "float32"),
    ("uint16", "float32"), ("int32", "float64"), ("uint32", "float64"), ("int64", "float64"),
    ("uint64", "float64"), ("float32", "float32"), ("float64", "float64"),
    (">f4", "float32"), (">f8", "float64"), (">i2", "float32"),
])
def test_result_dtypes(call, given, result):
    x = np.array([[0, 1, 1], [1, 0, 1]], given)
    y = call(x)
    assert y.dtype == np.dtype(result)
    assert y.dtype.isnative
    assert same_bits(y, call(x.astype(result)))


@by_call
@pytest.mark.parametrize("given", [
    [[-1.0, 0.5], [2.0, 3.0]], ((-1.0, 0.5), (2.0, 3.0)), [np.array([-1.0, 0.5]), (2.0, 3.0)],
    memoryview(np.array([[-1.0, 0.5], [2.0, 3.0]])),
], ids=["lists", "tuples", "mixed", "memoryview"])
def test_array_likes(call, given):
    assert same_bits(call(given), call(np.array(given)))


@by_call
def test_buffers_keep_their_dtype(call):
    assert call(array.array("f", [1.0, 2.0])).dtype == np.float32
    assert call(array.array("d", [1.0, 2.0])).dtype == np.float64
    assert call(array.array("b", [1, 2])).dtype == np.float32
    assert call(memoryview(b"\x01\x02")).dtype == np.float32


@by_kernel
def test_python_scalars_give_numpy_scalars(case):
    for x, kind in [(1.5, np.float64), (2, np.float64), (True, np.float32),
                    (np.float32(1.5), np.float32), (np.int8(1), np.float32),
                    (np.array(1.5, np.float32), np.float32), (np.array(3), np.float64)]:
        y = case.value(x)
        assert type(y) is kind
        assert same_bits(y, case.value(np.array([x], kind))[0])


def test_logsumexp_of_one_row_is_a_scalar():
    assert type(cyact.logsumexp([1.0, 2.0])) is np.float64
    assert type(cyact.logsumexp(np.ones(3, np.float32))) is np.float32


@by_call
@by_dtype
def test_dtype_argument_is_astype_before(call, dtype):
    for x in (X.astype(np.float32), X, np.arange(6, dtype=np.int64), [1, 2, 3]):
        y = call(x, dtype=dtype)
        assert y.dtype == dtype
        assert same_bits(y, call(np.asarray(x).astype(dtype)))
    assert same_bits(call(X, dtype=np.dtype(dtype).name), call(X.astype(dtype)))


@by_kernel
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 4), (1,), (1, 1, 1), (2, 3, 4, 5)],
                         ids=str)
def test_shapes(case, shape):
    x = np.ones(shape, np.float32)
    for y in (case.value(x), case.derivative(x), case.backward(x, x), case.value(x, out=x.copy())):
        assert y.shape == shape
        assert y.dtype == np.float32


@by_kernel
def test_more_dimensions_than_anyone_needs(case):
    x = np.arange(2.0**10).reshape((2,) * 10).transpose(3, 1, 4, 0, 5, 9, 2, 6, 8, 7)
    assert same_bits(case.value(x).ravel(), case.value(x.ravel()))


@by_kernel
def test_results_have_the_layout_of_the_input(case):
    fortran = np.asfortranarray(X)
    permuted = np.ones((2, 3, 4)).transpose(2, 0, 1)
    for function in (case.value, case.derivative, lambda x: case.backward(x, x)):
        assert function(X).flags.c_contiguous
        assert function(fortran).flags.f_contiguous
        assert function(permuted).strides == permuted.strides
        assert function(X[:, ::2]).flags.c_contiguous


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_results_along_an_axis_have_the_layout_of_the_input(name):
    function = getattr(cyact, name)
    assert function(np.asfortranarray(X)).flags.f_contiguous
    assert function(X).flags.c_contiguous


@by_call
@by_dtype
def test_results_are_fresh_memory(call, dtype):
    x = X.astype(dtype)
    assert not np.may_share_memory(call(x), x)


@by_call
@by_dtype
def test_input_is_never_modified(call, dtype):
    for x in (X.astype(dtype), np.asfortranarray(X.astype(dtype)), X.astype(dtype)[::-1, ::2],
              X.astype(np.dtype(dtype).newbyteorder()), X.astype(np.int16)):
        before = x.copy()
        x.flags.writeable = False
        call(x)
        assert same_bits(x.astype(np.float64), before.astype(np.float64))


# out

@by_call
def test_out_is_returned_and_filled(call):
    expected = call(X)
    out = np.empty(expected.shape)
    assert call(X, out=out) is out
    assert same_bits(out, expected)


@by_call
def test_out_may_be_of_a_wider_or_narrower_float(call):
    for given, held in [(np.float32, np.float64), (np.float64, np.float32),
                        (np.int16, np.float64), (np.float32, ">f8")]:
        x = X.astype(given)
        out = np.empty(result_shape(call, x), held)
        assert call(x, out=out) is out
        assert same_bits(out, call(x).astype(held))


@by_call
def test_out_of_an_ndarray_subclass_is_welcome(call):
    class Mine(np.ndarray):
        pass
    out = np.empty(result_shape(call, X)).view(Mine)
    assert call(X, out=out) is out
    assert same_bits(np.asarray(out), call(X))


@by_call
@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda shape: np.full((*shape, 1), 7.0), ValueError, "out must have the result's shape"),
    (lambda shape: np.full(shape[:-1] + (shape[-1] + 1,), 7.0), ValueError, "shape"),
    (lambda shape: np.full(shape, 7), TypeError, "cannot be stored in out's dtype int64"),
    (lambda shape: np.full(shape, True), TypeError, "cannot be stored in out's dtype bool"),
    (lambda shape: read_only(np.full(shape, 7.0)), ValueError, "out is read-only"),
    (lambda shape: np.full(shape, 7.0).tolist(), TypeError, "out must be a NumPy array, got list"),
    (lambda shape: "out", TypeError, "out must be a NumPy array, got str"),
    (lambda shape: (np.full(shape, 7.0),), TypeError, "out must be a NumPy array, got tuple"),
], ids=["more dimensions", "longer", "integers", "bool", "read-only", "list", "str", "tuple"])
def test_bad_out_is_refused_and_untouched(call, make, error, text):
    for x in (X, X.astype(np.float32)[::2], X.astype(np.int8)):
        out = make(result_shape(call, x))
        before = np.array(out, copy=True)
        with pytest.raises(error, match=re.escape(text)):
            call(x, out=out)
        np.testing.assert_array_equal(np.asarray(out), before)


def read_only(x):
    x.flags.writeable = False
    return x


@by_dtype
@by_kernel
def test_overlapping_memory_gives_the_right_answer(case, dtype):
    for n in (50, 5000):
        base = np.linspace(-4, 4, n).astype(dtype)
        for shift in (1, 3, 16):
            for source, target in [(slice(shift, None), slice(None, -shift)),
                                   (slice(None, -shift), slice(shift, None)),
                                   (slice(None), slice(None, None, -1))]:
                room = base.copy()
                expected = case.value(base[source])
                case.value(room[source], out=room[target])
                assert same_bits(room[target], expected), (n, shift)
                room = base.copy()
                grad = base[::-1][source].copy()
                expected = case.backward(grad, base[source].copy())
                case.backward(grad, room[source], out=room[target])
                assert same_bits(room[target], expected), (n, shift)


@by_dtype
@pytest.mark.parametrize("name", ROWS)
def test_overlapping_memory_along_an_axis_gives_the_right_answer(name, dtype):
    function = getattr(cyact, name)
    base = np.linspace(-4, 4, 130 * 10).reshape(130, 10).astype(dtype)
    if name in REDUCING:
        room = base.copy()
        expected = function(base)
        function(room, out=room.reshape(-1)[:130])
        assert same_bits(room.reshape(-1)[:130], expected)
        return
    for source, target in [(slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None)),
                           (slice(None), slice(None, None, -1))]:
        room = base.copy()
        function(room[source], out=room[target])
        assert same_bits(room[target], function(base[source]))
        grad = np.sin(base[source])
        room = base.copy()
        expected = getattr(cyact.backward, name)(grad, base[source])
        getattr(cyact.backward, name)(grad, room[source], out=room[target])
        assert same_bits(room[target], expected)


@by_dtype
def test_transposed_input_over_its_own_memory(dtype):
    x = np.linspace(-4, 4, 400).reshape(20, 20).astype(dtype)
    for function in (cyact.gelu, cyact.softmax):
        expected = function(x.T.copy())
        room = x.copy()
        assert same_bits(function(room.T, out=room), expected)


# Refused input

@by_call
@pytest.mark.parametrize("x", [
    np.ones(3, complex), np.ones(3, np.complex64), np.ones(3, object), np.array(["a", "b"]),
    np.array([b"a"]), np.array(["2026-01-01"], "M8[D]"), np.array([1], "m8[s]"),
    np.zeros(3, [("a", "f4")]), np.zeros(3, "V4"), ["a", "b"], "abc", [None, 1.0], None, [{}],
    1j, object(),
    pytest.param(np.ones(3, np.longdouble), marks=pytest.mark.skipif(
        np.longdouble(1).itemsize == 8, reason="longdouble is float64 here")),
], ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', x)!s:.20}")
def test_unsupported_dtypes_are_type_errors_that_name_function_and_dtype(call, x):
    with pytest.raises(TypeError) as caught:
        call(x)
    name = getattr(call, "__name__", "")
    text = str(caught.value)
    assert "not supported" in text
    assert text.split(":")[0].split(".")[-1] in {*cyact.catalog}
    assert name in ("value", "derivative") or name in text
    if isinstance(x, np.ndarray):
        assert str(x.dtype) in text


@by_call
@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64", "O", "U3"])
def test_dtype_argument_has_to_be_a_supported_float(call, dtype):
    with pytest.raises(TypeError, match=re.escape(str(np.dtype(dtype)))):
        call(X, dtype=dtype)


@by_call
def test_dtype_argument_does_not_let_unsupported_input_in(call):
    for x in (np.array(["1", "2"]), np.ones(2, complex), np.ones(2, object)):
        with pytest.raises(TypeError, match="not supported"):
            call(x, dtype=np.float32)


@by_call
def test_ragged_lists_are_value_errors(call):
    with pytest.raises(ValueError, match="ragged"):
        call([[1.0, 2.0], [3.0]])


@by_call
def test_unknown_arguments_are_type_errors(call):
    with pytest.raises(TypeError):
        call(X, nonsense=1)
    with pytest.raises(TypeError):
        call()


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_x_is_positional_only(name):
    for module in (cyact,) if name in LOSSES else (cyact, cyact.backward):
        first = next(iter(inspect.signature(getattr(cyact, name)).parameters))
        with pytest.raises(TypeError, match="positional"):
            getattr(module, name)(**{first: X})


# Parameters

PARAMETERS = [(name, p) for name in DETERMINISTIC for p in cyact.catalog[name].parameters
              if isinstance(p.default, float)]
by_parameter = pytest.mark.parametrize(("name", "parameter"), PARAMETERS,
                                       ids=lambda v: getattr(v, "name", v))


def arrays_of(name):
    """What stands before the parameters of a function."""
    return (X, X) if cyact.catalog[name].family == "gated" else (X,)


def function_of(name):
    """The function; of a loss of classes the gradient, a function of x like any other."""
    function = getattr(cyact, name)
    if name not in LOSSES:
        return function
    return lambda x, *params, **keywords: function(
        x, np.zeros(x.shape[:-1], int), *params, return_grad=True, **keywords)[1]


def forms(name):
    """The function, its derivative and its backward, as call(**keywords)."""
    def first(y):
        return y[0] if isinstance(y, tuple) else y

    yield lambda **k: function_of(name)(*arrays_of(name), **k)
    if name in ("noisy_relu", *LOSSES):       # the others are given the noise, not its scale
        return
    if name in dir(cyact.derivative):
        yield lambda **k: getattr(cyact.derivative, name)(*arrays_of(name), **k)
    yield lambda **k: first(getattr(cyact.backward, name)(X, *arrays_of(name), **k))


def with_room(name, parameter, value):
    """The keyword for the parameter, and one for another that has to stay above or below it."""
    other, far = {"lower": ("upper", 1000.0), "upper": ("lower", -1000.0)}.get(
        parameter.name, (None, None))
    room = {other: far} if other in {p.name for p in cyact.catalog[name].parameters} else {}
    return {parameter.name: value, **room}


@by_parameter
@pytest.mark.parametrize("value", [np.nan, float("nan"), np.inf, -np.inf, np.float32(np.nan)])
def test_parameters_that_are_not_finite_are_value_errors(name, parameter, value):
    if value in parameter.domain:
        pytest.skip("may be infinite")
    for call in forms(name):
        with pytest.raises(ValueError, match=f"{name}: {parameter.name} must be "
                                             f"{re.escape(parameter.domain.text)}, got"):
            call(**{parameter.name: value})


@by_parameter
def test_parameters_out_of_their_domain_are_value_errors(name, parameter):
    for value in (0.0, -1.0, -0.0):
        for call in forms(name):
            if value in parameter.domain:
                assert call(**with_room(name, parameter, value)).shape == X.shape
            else:
                with pytest.raises(ValueError, match=f"{name}: {parameter.name} must be "
                                                     f"{re.escape(parameter.domain.text)}, got"):
                    call(**{parameter.name: value})


@by_parameter
@pytest.mark.parametrize("value", ["1", b"1", [1.0], (1.0, 2.0), np.ones(2), None, 1j, {},
                                   object()],
                         ids=lambda v: type(v).__name__)
def test_parameters_that_are_not_one_real_number_are_type_errors(name, parameter, value):
    for call in forms(name):
        with pytest.raises(TypeError, match=f"{name}: {parameter.name} must be a"):
            call(**{parameter.name: value})


@by_parameter
def test_parameters_too_large_for_a_float_are_value_errors(name, parameter):
    for call in forms(name):
        with pytest.raises(ValueError, match=parameter.name):
            call(**{parameter.name: 10**400})


@by_parameter
def test_parameters_of_any_number_type_are_taken_at_full_precision(name, parameter):
    x = X.astype(np.float32)
    function = function_of(name)
    if name == "noisy_relu":
        function = partial(function, training=True, rng=0)
    more = 0 if 0.1 in parameter.domain else 1
    for value in (1, np.int8(1), np.float64(0.1), np.float32(0.1), np.array(0.1), Fraction(1, 10)):
        value = value + more
        y = function(x, **with_room(name, parameter, value))
        assert y.dtype == np.float32
        assert same_bits(y, function(x, **with_room(name, parameter, float(value))))
    x = np.append(X, [0.1, np.float32(0.1)])       # a parameter may only be what x is compared to
    assert not same_bits(function(x, **with_room(name, parameter, more + 0.1)),
                         function(x, **with_room(name, parameter, float(np.float32(more + 0.1)))))


@by_parameter
def test_parameters_may_be_positional(name, parameter):
    kind = inspect.signature(getattr(cyact, name)).parameters[parameter.name].kind
    if kind == inspect.Parameter.KEYWORD_ONLY:
        assert name in LOSSES
        return
    parameters = cyact.catalog[name].parameters
    before = parameters[:[p.name for p in parameters].index(parameter.name)]
    value = 0.7 if 0.7 in parameter.domain else 1.7
    room = with_room(name, parameter, value)
    later = {n: v for n, v in room.items() if n not in [parameter.name, *(p.name for p in before)]}
    call = function_of(name)
    assert same_bits(call(*arrays_of(name), *(p.default for p in before), value, **later),
                     call(*arrays_of(name), **{parameter.name: value}, **later))


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.5), (np.inf, -np.inf), (2, 1), (-0.5, -1e300)])
def test_parameters_out_of_order_are_value_errors(low, high):
    text = f"hard_tanh: min_val must be at most max_val, got {float(low)!r} and {float(high)!r}"
    for call in forms("hard_tanh"):
        assert call(min_val=low, max_val=low).shape == X.shape
        with pytest.raises(ValueError, match=re.escape(text)):
            call(min_val=low, max_val=high)


def test_threshold_has_no_defaults():
    for call in forms("threshold"):
        assert call(threshold=0.5, value=-1.0).shape == X.shape
        for keywords in ({}, {"threshold": 0.5}, {"value": 0.5}):
            with pytest.raises(TypeError, match="positional argument"):
                call(**keywords)
    with pytest.raises(TypeError, match="positional argument"):
        cyact.backward.threshold(X, output=X, threshold=0.5, value=-1.0)


@pytest.mark.parametrize("choice", ["quick", "", None, 1, ["tanh"], "NONE", {}])
def test_gelu_names_its_choices(choice):
    for call in forms("gelu"):
        with pytest.raises(ValueError, match="gelu: approximate must be one of 'none', 'tanh', "
                                             "'sigmoid'"):
            call(approximate=choice)


@pytest.mark.parametrize("upper", [1.0, 0.5, -1e300])
def test_lower_must_be_less_than_upper(upper):
    for call in forms("generalized_logistic"):
        with pytest.raises(ValueError, match="generalized_logistic: lower must be less than upper, "
                                             f"got 1.0 and {re.escape(repr(upper))}"):
            call(lower=1.0, upper=upper)


# Backward

@by_kernel
def test_backward_takes_exactly_one_of_x_and_output(case):
    with pytest.raises(TypeError, match=f"backward.{case.name}.*exactly one of x and output"):
        case.backward(X)
    with pytest.raises(TypeError, match=f"backward.{case.name}.*exactly one of x and output"):
        case.backward(X, X, output=X)


@by_kernel
def test_backward_from_the_output_works_or_says_why_not(case):
    if case.takes_output:
        assert case.backward(X, output=case.value(X)).shape == X.shape
    else:
        with pytest.raises(TypeError, match="not a function of the output; give x instead"):
            case.backward(X, output=X)


@pytest.mark.parametrize(("name", "value"), [("leaky_relu", 0.0), ("leaky_relu", -0.1),
                                             ("elu", 0.0), ("elu", -1.0), ("celu", -1.0)])
def test_backward_from_the_output_needs_an_invertible_function(name, value):
    with pytest.raises(ValueError, match="must be positive"):
        getattr(cyact.backward, name)(X, None, value, output=X)


@by_kernel
def test_backward_needs_equal_shapes(case):
    for grad, x in [(X, X[0]), (X[0], X), (X, X.T), (1.0, X), (X, 1.0), (X[..., None], X)]:
        with pytest.raises(ValueError, match=f"backward.{case.name}.*equal shapes.*got"):
            case.backward(grad, x)


@by_kernel
def test_backward_promotes_dtypes(case):
    a, b = X.astype(np.float32), X
    for grad, x in [(a, b), (b, a), (a, X.astype(int)), (X.astype(int), a)]:
        y = case.backward(grad, x)
        assert y.dtype == np.float64
    assert case.backward(X.astype(np.int8), a).dtype == np.float32


@by_kernel
def test_backward_refuses_bad_dtypes_and_out(case):
    for grad, x in [(X.astype(complex), X), (X, X.astype(complex)), (X.astype(object), X)]:
        with pytest.raises(TypeError, match="not supported"):
            case.backward(grad, x)
    for out, error in [(np.empty(3), ValueError), (np.zeros(X.shape, int), TypeError),
                       (read_only(X.copy()), ValueError), ([], TypeError)]:
        with pytest.raises(error):
            case.backward(X, X, out=out)


# Along an axis

@pytest.mark.parametrize("name", ROWS)
def test_bad_axes(name):
    function, backward = getattr(cyact, name), getattr(cyact.backward, name)
    for axis in (2, -3, 100, 2**40):
        with pytest.raises(AxisError, match=name):
            function(X, axis=axis)
        with pytest.raises(AxisError, match=name):
            backward(X, X, axis=axis)
    for axis in (1.0, "0", [0], (0.5, 1)):
        with pytest.raises(TypeError, match=f"{name}: axis must be an integer"):
            function(X, axis=axis)
    for axes in ((), (1, 1), (1, -1)):
        error = ValueError if name in FAMILY else TypeError     # others take one axis
        with pytest.raises(error, match=f"{name}: axis"):
            function(X, axis=axes)
    with pytest.raises(AxisError):
        function(1.0)
    with pytest.raises(ValueError, match=name):      # AxisError is one
        function(X, axis=7)


@pytest.mark.parametrize("name", ROWS)
def test_axis_may_be_any_integer_type(name):
    for axis in (np.int8(0), np.uint64(0), False):
        assert same_bits(getattr(cyact, name)(X, axis=axis), getattr(cyact, name)(X, axis=0))


# Side effects

@by_call
def test_floating_point_status_is_left_alone(call):
    """Not even inexact-, overflow- or invalid-raising input shows."""
    tough = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 5e-324, -750.0, 0.1])
    with np.errstate(all="raise"):
        for x in (tough, np.repeat(tough, 2)[::2], np.tile(tough, (2, 40)), tough[None],
                  np.tile(tough, 50_000), tough.astype(">f8"), X.astype(np.int16),
                  X.astype(np.float32)):
            call(x)
            assert np.add(1.0, 0.1) == 1.1        # would raise what a call left behind
            assert np.multiply(np.ones(100), 0.1).sum() > 9


@by_kernel
def test_floating_point_status_is_left_alone_by_backward(case):
    tough = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 5e-324, -750.0, 0.1])
    with np.errstate(all="raise"):
        for x in (tough, tough[::-1], np.tile(tough, 50_000)):
            case.backward(np.full_like(x, 1e308), x)
            case.backward(np.full_like(x, 1e308), np.repeat(x, 2)[::2])
            assert np.add(1.0, 0.1) == 1.1


ERRORS = [
    lambda: cyact.gelu(np.ones(50, complex)),
    lambda: cyact.gelu([[1.0], [1.0, 2.0]]),
    lambda: cyact.elu(X, alpha="no"),
    lambda: cyact.elu(X, alpha=np.nan),
    lambda: cyact.gelu(X, out=np.zeros(3)),
    lambda: cyact.gelu(X, approximate=object()),
    lambda: cyact.softmax(X, axis=5),
    lambda: cyact.softmax(X, -1.0),
    lambda: cyact.softmax(X, out=np.zeros(3)),
    lambda: cyact.backward.gelu(X, X[0]),
    lambda: cyact.backward.gelu(X, output=X),
    lambda: cyact.cross_entropy(X, np.full(4, 9)),
    lambda: cyact.nll_loss(X, np.zeros(4)),
    lambda: cyact.focal_loss(X, np.zeros(4, int), -1),
    lambda: cyact.binary_cross_entropy(X, X[0]),
    lambda: cyact.kl_div(np.ma.array(X, mask=True), X),
]


def everything():
    """A bit of everything that a call can be, and every kind of error."""
    for x in (X, X.T, X[:, ::2], X.astype(">f4"), X.astype(np.int8), 1.5, [1.0, 2.0]):
        for case in KERNELS[:4]:
            case.value(x)
            case.derivative(x)
            case.backward(x, x)
        if np.ndim(x):
            for name in ROWS:
                getattr(cyact, name)(x)
            cyact.backward.softmax(x, x)
    cyact.elu(X, 0.3, out=np.empty_like(X))
    for loss in (cyact.cross_entropy, cyact.nll_loss, cyact.focal_loss):
        loss(X, [0, 1, 2, 3], return_grad=True)
        loss(X.astype(np.float16), [0, 1, 2, 3], return_grad=True)
    for x in (X, X.T, X[:, ::2], X.astype(np.float16), X.astype(">f4")):
        cyact.binary_cross_entropy_with_logits(x, x, x[0], x[0], return_grad=True)
        cyact.binary_cross_entropy(x, x, reduction="none", return_grad=True)
        cyact.kl_div(x, x, True, return_grad=True)
    for call in ERRORS:
        with pytest.raises((TypeError, ValueError, IndexError)):
            call()


def test_no_memory_is_lost():
    everything()
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(400):
            everything()
        gc.collect()
        before = tracemalloc.take_snapshot()
        for _ in range(100):
            everything()
        gc.collect()
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    only = [tracemalloc.Filter(False, tracemalloc.__file__)]
    grown = sum(s.size_diff for s in after.filter_traces(only).compare_to(
        before.filter_traces(only), "filename"))
    # Free lists keep some 10 kB; one lost array a round would be 30 kB.
    assert grown < 25_000, f"{grown} bytes kept by 100 rounds"


def test_reference_counts_do_not_grow():
    x, out, grad = X.copy(), X.copy(), X.copy()
    large = np.zeros(300_000)
    watched = (x, out, grad, large, cyact.gelu, X)

    def round_of_calls():
        cyact.gelu(x, out=out)
        cyact.gelu(x.T, out=out.T)
        cyact.backward.gelu(grad, x, out=out)
        cyact.softmax(x, out=out)
        cyact.backward.softmax(grad, x, out=out)
        cyact.tanh(large)
        cyact.softmax(large)
        cyact.logsumexp(x)
        for call in ERRORS:
            with pytest.raises((TypeError, ValueError, IndexError)):
                call()
        with pytest.raises(TypeError):
            cyact.gelu(x, out=out.astype(int))

    round_of_calls()
    gc.collect()
    before = [sys.getrefcount(w) for w in watched]
    for _ in range(50):
        round_of_calls()
    gc.collect()
    after = [sys.getrefcount(w) for w in watched]
    assert max(a - b for a, b in zip(after, before, strict=True)) < 25


# More than 2^31 elements

@pytest.mark.slow
def test_more_than_two_to_the_31_elements():
    n = 2**31 + 77
    available = memory_available()
    if available < 2.2 * 4 * n:
        pytest.skip(f"needs {2.2 * 4 * n / 2**30:.0f} GiB of memory, has {available / 2**30:.0f}")
    x = np.zeros(n, np.float32)
    x[-100:] = np.linspace(-3, 3, 100)
    expected = cyact.gelu(x[-100:].copy())
    y = cyact.gelu(x)
    assert same_bits(y[-100:], expected)
    assert not y[:-100].any()
    cyact.gelu(x, out=x)
    assert same_bits(x[-100:], expected)
    x[:-100] = 0
    assert cyact.logsumexp(x) == pytest.approx(np.log(n), rel=1e-6)


def memory_available():
    try:
        with open("/proc/meminfo") as file:
            told = dict(line.split(":") for line in file)
        return int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return 0
