"""What comes out at NaN, infinities, zeros, kinks, subnormal numbers and the ends of the range."""

import numpy as np
import pytest
from cases import DTYPES, ELEMENTWISE, inputs, same_bits, special
from reference import true_values

import cyact

pytestmark = pytest.mark.levels

by_case = pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)

INF, NAN = np.inf, np.nan

# function, parameters: value at -inf, -0.0, 0.0, inf
VALUES = {
    ("identity",): (-INF, -0.0, 0.0, INF),
    ("step", 0.0): (0.0, 1.0, 1.0, 1.0),
    ("step", 0.1): (0.0, 0.0, 0.0, 1.0),
    ("step", -1.7): (0.0, 1.0, 1.0, 1.0),
    ("step", 1e300): (0.0, 0.0, 0.0, 1.0),
    ("relu",): (0.0, 0.0, 0.0, INF),
    ("relu6",): (0.0, 0.0, 0.0, 6.0),
    ("relu_k", 6.0): (0.0, 0.0, 0.0, 6.0),
    ("relu_k", 0.1): (0.0, 0.0, 0.0, 0.1),
    ("relu_k", 0.0): (0.0, 0.0, 0.0, 0.0),
    ("squared_relu",): (0.0, 0.0, 0.0, INF),
    ("leaky_relu", 0.01): (-INF, -0.0, 0.0, INF),
    ("leaky_relu", 0.1): (-INF, -0.0, 0.0, INF),
    ("leaky_relu", 1.5): (-INF, -0.0, 0.0, INF),
    ("leaky_relu", 0.0): (-0.0, -0.0, 0.0, INF),
    ("leaky_relu", -0.3): (INF, -0.0, 0.0, INF),
    ("threshold", 1.0, 0.0): (0.0, 0.0, 0.0, INF),
    ("threshold", 0.1, -0.3): (-0.3, -0.3, -0.3, INF),
    ("threshold", -1.5, 20.0): (20.0, -0.0, 0.0, INF),
    ("threshold", -INF, 0.1): (0.1, -0.0, 0.0, INF),
    ("thresholded_relu", 1.0): (0.0, 0.0, 0.0, INF),
    ("thresholded_relu", 0.0): (0.0, 0.0, 0.0, INF),
    ("thresholded_relu", -1.7): (0.0, -0.0, 0.0, INF),
    ("elu", 1.0): (-1.0, -0.0, 0.0, INF),
    ("elu", 0.1): (-0.1, -0.0, 0.0, INF),
    ("elu", 1.7): (-1.7, -0.0, 0.0, INF),
    ("elu", 0.0): (-0.0, -0.0, 0.0, INF),
    ("elu", -1.3): (1.3, 0.0, -0.0, INF),
    ("celu", 1.0): (-1.0, -0.0, 0.0, INF),
    ("celu", 0.1): (-0.1, -0.0, 0.0, INF),
    ("celu", 1.7): (-1.7, -0.0, 0.0, INF),
    ("celu", -1.3): (-INF, -0.0, 0.0, INF),
    ("celu", 300.0): (-300.0, -0.0, 0.0, INF),
    ("celu", 1e-3): (-1e-3, -0.0, 0.0, INF),
    ("selu",): (-1.7580993408473769, -0.0, 0.0, INF),
    ("sigmoid",): (0.0, 0.5, 0.5, 1.0),
    ("generalized_logistic", 0.0, 1.0, 1.0, 0.0, 1.0): (0.0, 0.5, 0.5, 1.0),
    ("generalized_logistic", 0.0, 1.0, 0.0, 0.1, 3.0): (0.5 ** (1 / 3),) * 4,
    ("generalized_logistic", 0.1, 7.0, -0.7, -3.3, 1e-3): (7.0, 0.1, 0.1, 0.1),
    ("generalized_logistic", -2.0, 0.0, 1.0, 5000.1, 300.0):
        (-2.0, -2.0 + 2.0 * np.exp(-5000.1 / 300), -2.0 + 2.0 * np.exp(-5000.1 / 300), -0.0),
    ("log_sigmoid",): (-INF, -np.log(2), -np.log(2), -0.0),
    ("hard_sigmoid", 1 / 6, 0.5): (0.0, 0.5, 0.5, 1.0),
    ("hard_sigmoid", 0.3, 0.1): (0.0, 0.1, 0.1, 1.0),
    ("hard_sigmoid", -1.3, 0.7): (1.0, 0.7, 0.7, 0.0),
    ("hard_sigmoid", 0.0, 0.3): (0.3, 0.3, 0.3, 0.3),
    ("hard_sigmoid", 1e-3, -0.2): (0.0, 0.0, 0.0, 1.0),
    ("hard_sigmoid", 25.0, 1.7): (0.0, 1.0, 1.0, 1.0),
    ("hard_swish",): (-0.0, -0.0, 0.0, INF),
    ("tanh",): (-1.0, -0.0, 0.0, 1.0),
    ("hard_tanh", -1.0, 1.0): (-1.0, -0.0, 0.0, 1.0),
    ("hard_tanh", 0.1, 20.0): (0.1, 0.1, 0.1, 20.0),
    ("hard_tanh", -INF, 0.3): (-INF, -0.0, 0.0, 0.3),
    ("hard_tanh", -1e-3, INF): (-1e-3, -0.0, 0.0, INF),
    ("hard_tanh", 0.1, 0.1): (0.1, 0.1, 0.1, 0.1),
    ("softplus", 1.0): (0.0, np.log(2), np.log(2), INF),
    ("softsign",): (-1.0, -0.0, 0.0, 1.0),
    ("squareplus", 4.0): (0.0, 1.0, 1.0, INF),
    ("squareplus", 0.0): (0.0, 0.0, 0.0, INF),
    ("algebraic_sigmoid", 1.0): (-1.0, -0.0, 0.0, 1.0),
    ("algebraic_sigmoid", 1e300): (-1e-150, -0.0, 0.0, 1e-150),
    ("isrlu", 1.0): (-1.0, -0.0, 0.0, INF),
    ("isrlu", 1e300): (-1e-150, -0.0, 0.0, INF),
    ("silu", 1.0): (-0.0, -0.0, 0.0, INF),
    ("silu", 1.702): (-0.0, -0.0, 0.0, INF),
    ("silu", 0.1): (-0.0, -0.0, 0.0, INF),
    ("silu", 25.0): (-0.0, -0.0, 0.0, INF),
    ("silu", 0.0): (-INF, -0.0, 0.0, INF),
    ("silu", -0.7): (-INF, -0.0, 0.0, 0.0),
    ("gelu", "none"): (-0.0, -0.0, 0.0, INF),
    ("gelu", "tanh"): (-0.0, -0.0, 0.0, INF),
    ("erf",): (-1.0, -0.0, 0.0, 1.0),
    ("erfc",): (2.0, 1.0, 1.0, 0.0),
    ("ndtr",): (0.0, 0.5, 0.5, 1.0),
    ("log_ndtr",): (-INF, -np.log(2), -np.log(2), -0.0),
    ("logit", None): (NAN, -INF, -INF, NAN),
    ("logit", 0.0): (-INF, -INF, -INF, INF),
    ("logit", 0.5): (0.0, 0.0, 0.0, 0.0),
    ("arctan",): (-np.pi / 2, -0.0, 0.0, np.pi / 2),
    ("gudermannian",): (-np.pi / 2, -0.0, 0.0, np.pi / 2),
    ("log1p",): (NAN, -0.0, 0.0, INF),
    ("log1mexp",): (NAN, -INF, -INF, -0.0),
    ("tanh_shrink",): (-INF, -0.0, 0.0, INF),
    ("gelu", "sigmoid"): (-0.0, -0.0, 0.0, INF),
    ("mish",): (-0.0, -0.0, 0.0, INF),
    ("exp",): (0.0, 1.0, 1.0, INF),
    ("expm1",): (-1.0, -0.0, 0.0, INF),
    ("gaussian",): (0.0, 1.0, 1.0, 0.0),
    ("bent_identity",): (-INF, 0.0, 0.0, INF),
    ("hard_shrink", 0.5): (-INF, 0.0, 0.0, INF),
    ("hard_shrink", 0.0): (-INF, 0.0, 0.0, INF),
    ("hard_shrink", 1e300): (-INF, 0.0, 0.0, INF),
    ("soft_shrink", 0.5): (-INF, -0.0, 0.0, INF),
    ("soft_shrink", 0.1): (-INF, -0.0, 0.0, INF),
    ("soft_shrink", 1e300): (-INF, -0.0, 0.0, INF),
    ("sparse_plus",): (0.0, 0.25, 0.25, INF),
    ("sparse_sigmoid",): (0.0, 0.5, 0.5, 1.0),
    ("dish",): (-0.0, -0.0, 0.0, INF),
}

# the derivative at the same four points
DERIVATIVES = {
    ("identity",): (1, 1, 1, 1),
    ("step", 0.0): (0, 0, 0, 0),
    ("step", 0.1): (0, 0, 0, 0),
    ("relu",): (0, 0, 0, 1),
    ("relu6",): (0, 0, 0, 0),
    ("relu_k", 6.0): (0, 0, 0, 0),
    ("squared_relu",): (0, 0, 0, INF),
    ("leaky_relu", 0.01): (0.01, 0.01, 0.01, 1),
    ("leaky_relu", 0.1): (0.1, 0.1, 0.1, 1),
    ("leaky_relu", 1.5): (1.5, 1.5, 1.5, 1),
    ("leaky_relu", 0.0): (0, 0, 0, 1),
    ("leaky_relu", -0.3): (-0.3, -0.3, -0.3, 1),
    ("threshold", 1.0, 0.0): (0, 0, 0, 1),
    ("threshold", -1.5, 20.0): (0, 1, 1, 1),
    ("threshold", -INF, 0.1): (0, 1, 1, 1),
    ("thresholded_relu", 1.0): (0, 0, 0, 1),
    ("thresholded_relu", 0.0): (0, 0, 0, 1),
    ("thresholded_relu", -1.7): (0, 1, 1, 1),
    ("elu", 1.0): (0, 1, 1, 1),
    ("elu", 0.1): (0, 0.1, 0.1, 1),
    ("elu", 1.7): (0, 1.7, 1.7, 1),
    ("elu", 0.0): (0, 0, 0, 1),
    ("elu", -1.3): (0, -1.3, -1.3, 1),
    ("celu", 1.0): (0, 1, 1, 1),
    ("celu", 0.1): (0, 1, 1, 1),
    ("celu", 1.7): (0, 1, 1, 1),
    ("celu", -1.3): (INF, 1, 1, 1),
    ("celu", 300.0): (0, 1, 1, 1),
    ("celu", 1e-3): (0, 1, 1, 1),
    ("selu",): (0, 1.7580993408473769, 1.7580993408473769, 1.0507009873554805),
    ("sigmoid",): (0, 0.25, 0.25, 0),
    ("generalized_logistic", 0.0, 1.0, 1.0, 0.0, 1.0): (0, 0.25, 0.25, 0),
    ("generalized_logistic", 0.0, 1.0, 0.0, 0.1, 3.0): (0, 0, 0, 0),
    ("log_sigmoid",): (1, 0.5, 0.5, 0),
    ("hard_sigmoid", 1 / 6, 0.5): (0, 1 / 6, 1 / 6, 0),
    ("hard_sigmoid", -1.3, 0.7): (0, -1.3, -1.3, 0),
    ("hard_sigmoid", 0.0, 0.3): (0, 0, 0, 0),
    ("hard_swish",): (0, 0.5, 0.5, 1),
    ("tanh",): (0, 1, 1, 0),
    ("hard_tanh", -1.0, 1.0): (0, 1, 1, 0),
    ("hard_tanh", 0.1, 20.0): (0, 0, 0, 0),
    ("hard_tanh", -INF, 0.3): (0, 1, 1, 0),
    ("hard_tanh", -1e-3, INF): (0, 1, 1, 0),
    ("hard_tanh", 0.1, 0.1): (0, 0, 0, 0),
    ("softplus", 1.0): (0, 0.5, 0.5, 1),
    ("softplus", 0.1): (0, 0.5, 0.5, 1),
    ("softplus", 7.3): (0, 0.5, 0.5, 1),
    ("softplus", 1e-3): (0, 0.5, 0.5, 1),
    ("softsign",): (0, 1, 1, 0),
    ("squareplus", 4.0): (0, 0.5, 0.5, 1),
    ("squareplus", 0.0): (0, 0.5, 0.5, 1),
    ("squareplus", 1e-300): (0, 0.5, 0.5, 1),
    ("squareplus", 1e300): (0, 0.5, 0.5, 1),
    ("algebraic_sigmoid", 1.0): (0, 1, 1, 0),
    ("algebraic_sigmoid", 1e-300): (0, 1, 1, 0),
    ("algebraic_sigmoid", 1e300): (0, 1, 1, 0),
    ("isrlu", 1.0): (0, 1, 1, 1),
    ("isrlu", 1e-300): (0, 1, 1, 1),
    ("silu", 1.0): (0, 0.5, 0.5, 1),
    ("silu", 1.702): (0, 0.5, 0.5, 1),
    ("silu", 0.1): (0, 0.5, 0.5, 1),
    ("silu", 25.0): (0, 0.5, 0.5, 1),
    ("silu", 0.0): (0.5, 0.5, 0.5, 0.5),
    ("silu", -0.7): (1, 0.5, 0.5, 0),
    ("gelu", "none"): (0, 0.5, 0.5, 1),
    ("gelu", "tanh"): (0, 0.5, 0.5, 1),
    ("erf",): (0, 2 / np.sqrt(np.pi), 2 / np.sqrt(np.pi), 0),
    ("erfc",): (0, -2 / np.sqrt(np.pi), -2 / np.sqrt(np.pi), 0),
    ("ndtr",): (0, 1 / np.sqrt(2 * np.pi), 1 / np.sqrt(2 * np.pi), 0),
    ("log_ndtr",): (INF, np.sqrt(2 / np.pi), np.sqrt(2 / np.pi), 0),
    ("logit", None): (NAN, INF, INF, NAN),
    ("logit", 0.0): (0, INF, INF, 0),
    ("logit", 1e-6): (0, 0, 0, 0),
    ("logit", 0.1): (0, 0, 0, 0),
    ("logit", 0.5): (0, 0, 0, 0),
    ("logit", 1e-20): (0, 0, 0, 0),
    ("arctan",): (0, 1, 1, 0),
    ("gudermannian",): (0, 1, 1, 0),
    ("log1p",): (NAN, 1, 1, 0),
    ("log1mexp",): (NAN, INF, INF, 0),
    ("tanh_shrink",): (1, 0, 0, 1),
    ("gelu", "sigmoid"): (0, 0.5, 0.5, 1),
    ("mish",): (0, 0.6, 0.6, 1),
    ("exp",): (0, 1, 1, INF),
    ("expm1",): (0, 1, 1, INF),
    ("gaussian",): (0, 0, 0, 0),
    ("bent_identity",): (0.5, 1, 1, 1.5),
    ("hard_shrink", 0.5): (1, 0, 0, 1),
    ("hard_shrink", 0.0): (1, 0, 0, 1),
    ("soft_shrink", 0.5): (1, 0, 0, 1),
    ("soft_shrink", 0.0): (1, 0, 0, 1),
    ("sparse_plus",): (0, 0.5, 0.5, 1),
    ("sparse_sigmoid",): (0, 0.5, 0.5, 0),
    ("dish",): (0, 0.5, 0.5, 1),
}

# from the output: (y, f') pairs, among them the ends of the function's range
FROM_OUTPUT = {
    ("relu",): [(0.0, 0), (-0.0, 0), (3.0, 1), (INF, 1)],
    ("leaky_relu", 0.01): [(0.0, 0.01), (-0.0, 0.01), (-2.0, 0.01), (2.0, 1), (INF, 1),
                           (-INF, 0.01)],
    ("elu", 1.0): [(0.0, 1), (-0.0, 1), (-1.0, 0), (2.0, 1), (INF, 1)],
    ("elu", 1.7): [(0.0, 1.7), (2.0, 1), (INF, 1)],
    ("celu", 1.0): [(0.0, 1), (-0.0, 1), (-1.0, 0), (2.0, 1), (INF, 1)],
    ("celu", 300.0): [(0.0, 1), (-300.0, 0), (-150.0, 0.5), (2.0, 1), (INF, 1)],
    ("selu",): [(0.0, 1.7580993408473769), (-0.7580993408473769, 1), (2.0, 1.0507009873554805),
                (INF, 1.0507009873554805)],
    ("sigmoid",): [(0.0, 0), (1.0, 0), (0.5, 0.25)],
    ("log_sigmoid",): [(-INF, 1), (-0.0, 0), (0.0, 0), (-np.log(2), 0.5)],
    ("tanh",): [(-1.0, 0), (1.0, 0), (0.0, 1), (-0.0, 1), (0.5, 0.75)],
    ("softplus", 1.0): [(0.0, 0), (INF, 1), (np.log(2), 0.5)],
    ("exp",): [(0.0, 0), (1.0, 1), (INF, INF)],
    ("expm1",): [(-1.0, 0), (0.0, 1), (-0.0, 1), (INF, INF)],
}


def key(case):
    return (case.name, *case.params)


def listed(table):
    return pytest.mark.parametrize("case", [c for c in ELEMENTWISE if key(c) in table], ids=str)


def test_every_function_is_in_the_tables():
    names = {case.name for case in ELEMENTWISE}
    assert {k[0] for k in VALUES} == names
    assert {k[0] for k in DERIVATIVES} == names
    assert {k[0] for k in FROM_OUTPUT} == {c.name for c in ELEMENTWISE if c.takes_output}


@by_dtype
@listed(VALUES)
def test_values_at_infinities_and_zeros(case, dtype):
    y = case.value(np.array([-INF, -0.0, 0.0, INF], dtype))
    assert same_bits(y, np.array(VALUES[key(case)], dtype)), y


@by_dtype
@listed(DERIVATIVES)
def test_derivatives_at_infinities_and_kinks(case, dtype):
    y = case.derivative(np.array([-INF, -0.0, 0.0, INF], dtype))
    np.testing.assert_array_equal(y, np.array(DERIVATIVES[key(case)], dtype))


@by_dtype
@listed(FROM_OUTPUT)
def test_derivatives_from_outputs_at_the_ends_of_their_range(case, dtype):
    y, slopes = np.array(FROM_OUTPUT[key(case)], dtype).T
    found = case.backward(np.ones_like(y), output=y.copy())
    np.testing.assert_allclose(found, slopes, rtol=4 * np.finfo(dtype).eps, atol=0)


@by_dtype
@by_case
def test_nan_comes_from_nan_or_from_outside_the_domain_alone(case, dtype):
    points = case.reference.interesting(*case.numbers)
    x = np.concatenate([special(dtype), inputs(dtype, 2000, points)])
    for y in (case.value(x), case.derivative(x)):
        np.testing.assert_array_equal(np.isnan(y), ~case.reference.defined(x, *case.numbers))


@by_dtype
@by_case
def test_nan_of_any_payload_and_sign_gives_nan(case, dtype):
    bits = np.dtype(f"u{np.dtype(dtype).itemsize}").type
    quiet = np.array(NAN, dtype).view(bits)
    sign = np.array(-0.0, dtype).view(bits)
    payloads = np.array([quiet | 1, quiet | 12345, quiet | sign, quiet | sign | 7,
                         np.array(INF, dtype).view(bits) | 1], bits)     # the last: signalling
    x = payloads.view(dtype)
    assert np.isnan(case.value(x)).all()
    assert np.isnan(case.derivative(x)).all()
    assert np.isnan(case.backward(np.ones(len(x), dtype), x)).all()
    if case.takes_output:
        assert np.isnan(case.backward(np.ones(len(x), dtype), output=x)).all()


@by_dtype
@by_case
def test_no_finite_input_overflows(case, dtype):
    """Unless the true value does."""
    info = np.finfo(dtype)
    x = np.concatenate([inputs(dtype, 3000), [info.max, -info.max, info.max / 2, -info.max / 2]])
    x = x.astype(dtype)
    for function, exact in ((case.value, case.reference.value),
                            (case.derivative, case.reference.derivative)):
        infinite = x[np.isinf(function(x))]
        true = true_values(exact, infinite, case.numbers)
        assert all(abs(t) > float(info.max) for t in true)


@by_dtype
@pytest.mark.parametrize("name", ["identity", "leaky_relu", "elu", "celu", "tanh", "hard_tanh",
                                  "softsign", "algebraic_sigmoid", "isrlu", "bent_identity",
                                  "expm1", "arctan", "gudermannian", "log1p"])
def test_subnormal_numbers_are_not_flushed(name, dtype):
    """These functions are x near 0 (leaky_relu above it)."""
    tiny = np.finfo(dtype).smallest_subnormal
    x = tiny * np.arange(1, 40).astype(dtype)
    assert same_bits(getattr(cyact, name)(x), x)
    if name != "leaky_relu":
        assert same_bits(getattr(cyact, name)(-x), -x)


@by_dtype
@pytest.mark.parametrize("function", [
    cyact.sigmoid, cyact.softplus, cyact.exp, lambda x: -cyact.log1mexp(-x),
], ids=["sigmoid", "softplus", "exp", "log1mexp"])
def test_tails_decay_through_the_subnormal_numbers(function, dtype):
    lowest = np.log(np.finfo(dtype).smallest_subnormal.astype(np.float64))
    x = np.linspace(np.log(float(np.finfo(dtype).tiny)), lowest + 0.1, 50).astype(dtype)
    y = function(x)
    assert (y > 0).all()
    assert (y[1:] < np.finfo(dtype).tiny).all()
    assert (np.diff(y) <= 0).all()


@by_dtype
@by_case
def test_gradient_times_derivative_is_ordinary_multiplication(case, dtype):
    """inf * 0 is NaN, -0.0 keeps its sign, and so on."""
    x = np.repeat(special(dtype), 16)
    grad = np.tile(special(dtype), 16)
    with np.errstate(all="ignore"):
        expected = grad * case.derivative(x)
    assert same_bits(case.backward(grad, x), expected)


@by_dtype
def test_negative_zero_through_relu_is_zero(dtype):
    assert not np.signbit(cyact.relu(dtype(-0.0)))


@by_dtype
@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "softsign", "algebraic_sigmoid",
                                  "soft_shrink", "identity", "arctan", "gudermannian",
                                  "tanh_shrink", "erf"])
def test_odd_functions_are_odd_to_the_bit(name, dtype):
    x = np.concatenate([special(dtype), inputs(dtype, 3000)])
    assert same_bits(getattr(cyact, name)(-x), -getattr(cyact, name)(x))


@by_dtype
def test_logit_clips_without_rounding_its_bounds(dtype):
    eps = 1e-20                                       # 1 - eps is 1 in float64
    x = np.array([-INF, -3, 0, 0.5, 1, 3, INF, NAN], dtype)
    end = dtype(np.log(eps))
    np.testing.assert_array_equal(cyact.logit(x, eps), [end, end, end, 0, -end, -end, -end, NAN])
    np.testing.assert_array_equal(cyact.derivative.logit(x, eps), [0, 0, 0, 4, 0, 0, 0, NAN])
    tenth = np.nextafter(dtype(0.1), dtype(1)) if float(dtype(0.1)) < 0.1 else dtype(0.1)
    below = np.nextafter(tenth, dtype(0))
    slopes = cyact.derivative.logit(np.array([below, tenth], dtype), 0.1)
    assert slopes[0] == 0
    assert slopes[1] > 11


def test_logit_takes_none_for_eps_in_all_forms():
    x = np.array([-0.5, 0.25, 1.5])
    expected = [NAN, 16 / 3, NAN]
    for given in ({}, {"eps": None}):
        np.testing.assert_allclose(cyact.logit(x, **given), [NAN, -np.log(3), NAN])
        np.testing.assert_allclose(cyact.derivative.logit(x, **given), expected)
        np.testing.assert_allclose(cyact.backward.logit(np.ones(3), x, **given), expected)
        np.testing.assert_allclose(cyact.backward.logit(np.ones(3), x[::-1], **given), expected)
    for eps in (-0.1, 0.6, NAN, -INF):
        with pytest.raises(ValueError, match="logit: eps must be None or between 0 and 1/2"):
            cyact.logit(x, eps)
    with pytest.raises(TypeError, match="softplus: beta must be a real number, got NoneType"):
        cyact.softplus(x, None)


# function, parameters: where it bends, and the derivative there
KINKS = {
    ("relu6",): [(0, 0), (6, 0)],
    ("relu_k", 6.0): [(0, 0), (6, 0)],
    ("thresholded_relu", 1.0): [(1, 0)],
    ("hard_sigmoid", 1 / 6, 0.5): [(-3, 0), (3, 0)],
    ("hard_sigmoid", 0.2, 0.5): [(-2.5, 0), (2.5, 0)],
    ("hard_swish",): [(-3, 0), (3, 1)],
    ("hard_tanh", -1.0, 1.0): [(-1, 0), (1, 0)],
    ("hard_shrink", 0.5): [(-0.5, 0), (0.5, 0)],
    ("soft_shrink", 0.5): [(-0.5, 0), (0.5, 0)],
    ("sparse_plus",): [(-1, 0), (1, 1)],
    ("sparse_sigmoid",): [(-1, 0), (1, 0)],
}


@by_dtype
@listed(KINKS)
def test_derivatives_where_a_function_bends(case, dtype):
    x, slopes = np.array(KINKS[key(case)], dtype).T
    np.testing.assert_array_equal(case.derivative(x.copy()), slopes)


@by_dtype
@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.1), (-1.3, 0.7), (7.7, 0.5), (1e-3, 33.3)])
def test_derivative_of_hard_sigmoid_is_0_at_its_clip_points_as_rounded(alpha, beta, dtype):
    points = np.array([-beta / alpha, (1 - beta) / alpha])
    same = points.astype(dtype) == points
    slopes = cyact.derivative.hard_sigmoid(points.astype(dtype), alpha, beta)
    assert (slopes[same] == 0).all()


@by_dtype
def test_infinite_parameters(dtype):
    x = np.array([-INF, -2, 0, 3, INF], dtype)
    assert same_bits(cyact.threshold(x, INF, 1.5), np.full(5, 1.5, dtype))
    assert same_bits(cyact.threshold(x, 1.0, INF), np.array([INF, INF, INF, 3, INF], dtype))
    assert same_bits(cyact.threshold(x, 1.0, -INF), np.array([-INF, -INF, -INF, 3, INF], dtype))
    assert same_bits(cyact.hard_tanh(x, -INF, INF), x)
    assert same_bits(cyact.hard_tanh(x, INF, INF), np.full(5, INF, dtype))
    np.testing.assert_array_equal(cyact.derivative.hard_tanh(x, -INF, INF), [0, 1, 1, 1, 0])


@by_dtype
def test_negative_zero_through_the_rectifiers_is_zero(dtype):
    x = np.array([-0.0], dtype)
    for y in (cyact.relu6(x), cyact.relu_k(x), cyact.squared_relu(x), cyact.hard_shrink(x)):
        assert same_bits(y, np.zeros(1, dtype))
