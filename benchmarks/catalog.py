"""The functions that are compared, with reference formulas independent of every contender.

A formula is written once for two arithmetics: `m` is `WIDE` (float64 arrays, for float32
results) or an `accuracy.Multiprecision` (mpmath scalars, for float64 results).
"""

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


class WIDE:
    """float64 arrays: 29 bits more than float32 has."""

    exp, expm1, log, log1p, tanh = np.exp, np.expm1, np.log, np.log1p, np.tanh
    sqrt, where, abs, atan, pi = np.sqrt, np.where, np.abs, np.arctan, np.pi
    number = float              # a decimal constant, as exactly as this arithmetic has it
    far, terms = 20, 8          # from here on so many terms of the normal tail's series do

    @staticmethod
    def erf(x):
        return np.frompyfunc(math.erf, 1, 1)(x).astype(np.float64)

    @staticmethod
    def erfc(x):
        return np.frompyfunc(math.erfc, 1, 1)(x).astype(np.float64)


@dataclass(frozen=True)
class Function:
    """One elementwise function.

    `call` is cyact's name and parameters, where they are not just `name`. `floor` is the
    magnitude below which errors of the derivative count in units of that magnitude: where f'
    has an interior zero, no fixed precision reaches it. Inputs are taken between `low` and
    `high`. `backward` says whether its backward pass takes a gradient and x, and gives one array.
    """

    name: str
    value: Callable
    derivative: Callable
    call: str = ""
    floor: bool = False
    low: float = -math.inf
    high: float = math.inf
    backward: bool = True

    def inputs(self, normal):
        """Numbers inside the domain, from as many of any size."""
        if math.isfinite(self.low + self.high):
            return self.low + (self.high - self.low) / (1 + np.exp(-normal))
        return self.low + np.abs(normal) if math.isfinite(self.low) else normal

    def inside(self, x):
        """Those of x that are in the domain."""
        return x[(x > self.low) & (x < self.high)]

    def in_cyact(self, cyact):
        """Whether this cyact has it, and the choice that `call` names."""
        tree = ast.parse(self.call or f"{self.name}()", mode="eval").body
        if tree.func.id not in cyact.catalog:
            return False
        domains = {p.name: p.domain for p in cyact.catalog[tree.func.id].parameters}
        given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in tree.keywords}
        return all(value in domains[name] for name, value in given.items()
                   if isinstance(value, str))


def _sigmoid(m, x):
    return 1 / (1 + m.exp(-x))


def _bell(m, x):
    """sigmoid'(x), from the side that does not cancel."""
    e = m.exp(-m.abs(x))
    return e / (1 + e) ** 2


def _clip(m, x, low, high):
    return m.where(x > low, m.where(x < high, x, x * 0 + high), x * 0 + low)


def _between(m, x, low, high, slope):
    """The derivative of something clipped outside (low, high)."""
    return m.where((x > low) & (x < high), slope, x * 0)


def _negative(m, x):
    """min(x, 0)."""
    return m.where(x > 0, x * 0, x)


def _positive(m, x):
    return m.where(x > 0, x, x * 0)


def _indicator(m, condition, x):
    return m.where(condition, x * 0 + 1, x * 0)


def _normal_cdf(m, x):
    return m.erfc(-x / m.sqrt(2)) / 2


def _normal_pdf(m, x):
    return m.exp(-x * x / 2) / m.sqrt(2 * m.pi)


def _normal_tail(m, x):
    """-x Phi(x) / phi(x) far left of 0: 1 - 1/x^2 + 3/x^4 - 15/x^6 + …."""
    total, term = x * 0, x * 0 + 1
    for k in range(m.terms):
        total, term = total + term, -term * (2 * k + 1) / x**2
    return total


def _log_ndtr(m, x):
    far = m.where(x < -m.far, x, x * 0 - m.far)
    tail = -far * far / 2 - m.log(-far * m.sqrt(2 * m.pi)) + m.log(_normal_tail(m, far))
    middle = m.where(x < -m.far, x * 0, _negative(m, x))
    right = m.log1p(-m.erfc(_positive(m, x) / m.sqrt(2)) / 2)
    return m.where(x < -m.far, tail, m.where(x < 0, m.log(_normal_cdf(m, middle)), right))


def _log_ndtr_derivative(m, x):
    far = m.where(x < -m.far, x, x * 0 - m.far)
    near = m.where(x < -m.far, x * 0, x)
    return m.where(x < -m.far, -far / _normal_tail(m, far),
                   _normal_pdf(m, near) / _normal_cdf(m, near))


def _gelu_inner(m, x):
    """Twice the argument of gelu_tanh's tanh: (1 + tanh(u))/2 is sigmoid(2u)."""
    return 2 * m.sqrt(2 / m.pi) * (x + m.number("0.044715") * x**3)


def _gelu_tanh_derivative(m, x):
    u = _gelu_inner(m, x)
    slope = 2 * m.sqrt(2 / m.pi) * (1 + 3 * m.number("0.044715") * x**2)
    return _sigmoid(m, u) + x * slope * _bell(m, u)


def _mish_parts(m, x):
    """tanh(softplus(x)) and 1 minus that, without overflow or cancellation."""
    e = m.exp(-m.abs(x))
    below = e * e + 2 * e
    above = 1 + 2 * e
    return (m.where(x > 0, above / (above + 2 * e * e), below / (below + 2)),
            m.where(x > 0, 2 * e * e / (above + 2 * e * e), 2 / (below + 2)))


def _mish(m, x):
    return x * _mish_parts(m, x)[0]


def _mish_derivative(m, x):
    t, rest = _mish_parts(m, x)
    return t + x * _sigmoid(m, x) * rest * (1 + t)


def _tanh_shrink(m, x):
    """The difference x - tanh(x); its series where that cancels."""
    small = m.abs(x) < 0.03
    s = m.where(small, x, x * 0) ** 2
    series = x * s * (1 / (x * 0 + 3) + s * (-2 / (x * 0 + 15) + s * (
        17 / (x * 0 + 315) + s * (-62 / (x * 0 + 2835) + s * (
            1382 / (x * 0 + 155925) + s * (-21844 / (x * 0 + 6081075)
                                           + s * 929569 / (x * 0 + 638512875)))))))
    return m.where(small, series, x - m.tanh(x))


def _root(m, x, b=1):
    return m.sqrt(x * x + b)


def _selu_scale(m):
    return m.number("1.0507009873554804934193349852946")


def _selu_slope(m):
    return m.number("1.7580993408473768599402175208123")


def _hard_sigmoid(m, x):
    return _clip(m, x * (1 / 6) + 0.5, 0, 1)


EVERY = [
    Function("identity", lambda m, x: x, lambda m, x: x * 0 + 1),
    Function("step", lambda m, x: _indicator(m, x >= 0, x), lambda m, x: x * 0),
    Function("relu", _positive, lambda m, x: _indicator(m, x > 0, x)),
    Function("relu6", lambda m, x: _clip(m, x, 0, 6),
             lambda m, x: _between(m, x, 0, 6, x * 0 + 1)),
    Function("relu_k", lambda m, x: _clip(m, x, 0, 4),
             lambda m, x: _between(m, x, 0, 4, x * 0 + 1), call="relu_k(n=4)"),
    Function("squared_relu", lambda m, x: _positive(m, x) ** 2, lambda m, x: 2 * _positive(m, x)),
    Function("leaky_relu", lambda m, x: m.where(x > 0, x, 0.01 * x),
             lambda m, x: m.where(x > 0, x * 0 + 1, x * 0 + 0.01)),
    Function("prelu", lambda m, x: m.where(x > 0, x, 0.25 * x),
             lambda m, x: m.where(x > 0, x * 0 + 1, x * 0 + 0.25), call="prelu(0.25)",
             backward=False),
    Function("rrelu", lambda m, x: m.where(x > 0, x, 11 * x / 48),
             lambda m, x: m.where(x > 0, x * 0 + 1, 11 / (x * 0 + 48)), backward=False),
    Function("noisy_relu", _positive, lambda m, x: _indicator(m, x > 0, x), backward=False),
    Function("threshold", lambda m, x: m.where(x > 0.5, x, x * 0 - 1),
             lambda m, x: _indicator(m, x > 0.5, x), call="threshold(threshold=0.5, value=-1.0)"),
    Function("thresholded_relu", lambda m, x: m.where(x > 1, x, x * 0),
             lambda m, x: _indicator(m, x > 1, x)),
    Function("elu", lambda m, x: m.where(x > 0, x, m.expm1(_negative(m, x))),
             lambda m, x: m.exp(_negative(m, x))),
    Function("celu", lambda m, x: m.where(x > 0, x, 2 * m.expm1(_negative(m, x) / 2)),
             lambda m, x: m.exp(_negative(m, x) / 2), call="celu(alpha=2.0)"),
    Function("selu", lambda m, x: m.where(x > 0, _selu_scale(m) * x,
                                          _selu_slope(m) * m.expm1(_negative(m, x))),
             lambda m, x: m.where(x > 0, x * 0 + _selu_scale(m),
                                  _selu_slope(m) * m.exp(_negative(m, x)))),
    Function("gelu", lambda m, x: x * _normal_cdf(m, x),
             lambda m, x: _normal_cdf(m, x) + x * _normal_pdf(m, x), floor=True),
    Function("gelu_tanh", lambda m, x: x * _sigmoid(m, _gelu_inner(m, x)),
             _gelu_tanh_derivative, call="gelu(approximate='tanh')", floor=True),
    Function("gelu_sigmoid", lambda m, x: x * _sigmoid(m, 1.702 * x),
             lambda m, x: _sigmoid(m, 1.702 * x) + 1.702 * x * _bell(m, 1.702 * x),
             call="gelu(approximate='sigmoid')", floor=True),
    Function("silu", lambda m, x: x * _sigmoid(m, x),
             lambda m, x: _sigmoid(m, x) + x * _bell(m, x), floor=True),
    Function("mish", _mish, _mish_derivative, floor=True),
    Function("sigmoid", _sigmoid, _bell),
    Function("generalized_logistic", lambda m, x: -1 + 3 * _sigmoid(m, 2 * (x - 0.5)) ** 2,
             lambda m, x: 12 * _sigmoid(m, 2 * (x - 0.5)) * _bell(m, 2 * (x - 0.5)),
             call="generalized_logistic(lower=-1.0, upper=2.0, growth=2.0, midpoint=0.5, nu=0.5)"),
    Function("log_sigmoid", lambda m, x: _negative(m, x) - m.log1p(m.exp(-m.abs(x))),
             lambda m, x: _sigmoid(m, -x)),
    Function("logit", lambda m, x: m.where(
                 m.abs(x - 0.5) < 0.25, m.log1p((2 * x - 1) / (1 - x)), m.log(x) - m.log1p(-x)),
             lambda m, x: 1 / (x * (1 - x)), low=0, high=1),
    Function("hard_sigmoid", _hard_sigmoid,
             lambda m, x: _between(m, x, -3, 3, x * 0 + 1 / 6)),
    Function("hard_swish", lambda m, x: x * _hard_sigmoid(m, x),
             lambda m, x: m.where(x < 3, _between(m, x, -3, 3, (2 * x + 3) / 6), x * 0 + 1),
             floor=True),
    Function("tanh", lambda m, x: m.tanh(x), lambda m, x: 4 * _bell(m, 2 * x)),
    Function("hard_tanh", lambda m, x: _clip(m, x, -1, 1),
             lambda m, x: _between(m, x, -1, 1, x * 0 + 1)),
    Function("softplus", lambda m, x: _positive(m, x) + m.log1p(m.exp(-m.abs(x))), _sigmoid),
    Function("softsign", lambda m, x: x / (1 + m.abs(x)), lambda m, x: 1 / (1 + m.abs(x)) ** 2),
    Function("squareplus", lambda m, x: m.where(
                 x > 0, (x + _root(m, x, 4)) / 2, 2 / (_root(m, x, 4) + m.abs(x))),
             lambda m, x: m.where(x > 0, (1 + x / _root(m, x, 4)) / 2,
                                  2 / (_root(m, x, 4) * (_root(m, x, 4) + m.abs(x))))),
    Function("algebraic_sigmoid", lambda m, x: x / _root(m, x),
             lambda m, x: 1 / _root(m, x) ** 3),
    Function("isrlu", lambda m, x: m.where(x < 0, x / _root(m, x), x),
             lambda m, x: m.where(x < 0, 1 / _root(m, x) ** 3, x * 0 + 1)),
    Function("arctan", lambda m, x: m.atan(x), lambda m, x: 1 / (1 + x * x)),
    Function("gudermannian", lambda m, x: 2 * m.atan(m.tanh(x / 2)),
             lambda m, x: 2 * m.exp(-m.abs(x)) / (1 + m.exp(-2 * m.abs(x)))),
    Function("erf", lambda m, x: m.erf(x), lambda m, x: 2 * m.exp(-x * x) / m.sqrt(m.pi)),
    Function("erfc", lambda m, x: m.erfc(x), lambda m, x: -2 * m.exp(-x * x) / m.sqrt(m.pi)),
    Function("ndtr", _normal_cdf, _normal_pdf),
    Function("log_ndtr", _log_ndtr, _log_ndtr_derivative),
    Function("exp", lambda m, x: m.exp(x), lambda m, x: m.exp(x)),
    Function("expm1", lambda m, x: m.expm1(x), lambda m, x: m.exp(x)),
    Function("log1p", lambda m, x: m.log1p(x), lambda m, x: 1 / (1 + x), low=-1),
    Function("log1mexp", lambda m, x: m.where(
                 x < 0.7, m.log(-m.expm1(-x)), m.log1p(-m.exp(-x))),
             lambda m, x: m.exp(-x) / -m.expm1(-x), low=0),
    Function("gaussian", lambda m, x: m.exp(-x * x), lambda m, x: -2 * x * m.exp(-x * x)),
    Function("bent_identity", lambda m, x: x * (1 + x / (2 * (1 + _root(m, x)))),
             lambda m, x: x / (2 * _root(m, x)) + 1),
    Function("hard_shrink", lambda m, x: m.where(m.abs(x) > 0.5, x, x * 0),
             lambda m, x: _indicator(m, m.abs(x) > 0.5, x)),
    Function("soft_shrink", lambda m, x: x - _clip(m, x, -0.5, 0.5),
             lambda m, x: _indicator(m, m.abs(x) > 0.5, x)),
    Function("tanh_shrink", _tanh_shrink, lambda m, x: m.tanh(x) ** 2),
    Function("sparse_plus", lambda m, x: m.where(
                 x < 1, _clip(m, x + 1, 0, 2) ** 2 / 4, x),
             lambda m, x: _clip(m, (x + 1) / 2, 0, 1)),
    Function("sparse_sigmoid", lambda m, x: _clip(m, (x + 1) / 2, 0, 1),
             lambda m, x: _between(m, x, -1, 1, x * 0 + 0.5)),
    Function("dish", lambda m, x: m.where(
                 x > 0, x / 2 * (1 + x / _root(m, x)),
                 x / (2 * _root(m, x) * (_root(m, x) + m.abs(x)))),
             lambda m, x: m.where(x > 0, (1 + x / _root(m, x)) / 2,
                                  1 / (2 * _root(m, x) * (_root(m, x) + m.abs(x))))
             + x / (2 * _root(m, x) ** 3), floor=True),
]
# What a run without --functions measures, unless it is a check or a full one.
COMMON = ["identity", "relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh",
          "softplus", "softsign"]


def _in_cyact(functions):
    """Those of the functions that the installed cyact has; all of them without one."""
    try:
        import cyact
    except ImportError:
        return functions
    return [function for function in functions if function.in_cyact(cyact)]


ELEMENTWISE = _in_cyact(EVERY)


def _log_softmax(x, axis):
    """Exact to the last digits also where one entry has nearly all the probability.

    There log(p) is -log1p(the others' sum); the usual log of the whole sum rounds to 0.
    """
    shifted = x - x.max(axis, keepdims=True)
    others = np.exp(shifted)
    np.put_along_axis(others, x.argmax(axis, keepdims=True), 0, axis)
    return shifted - np.log1p(others.sum(axis, keepdims=True))


def _cross_entropy(x, axis, target):
    """The gradient of the mean loss, the target's p - 1 as minus the sum of the others."""
    at = np.expand_dims(target, axis)
    p = np.exp(_log_softmax(x, axis))
    np.put_along_axis(p, at, 0, axis)
    np.put_along_axis(p, at, -p.sum(axis, keepdims=True), axis)
    return p / target.size


ROWS = {
    "softmax": lambda x, axis, target: np.exp(_log_softmax(x, axis)),
    "log_softmax": lambda x, axis, target: _log_softmax(x, axis),
    "cross_entropy": _cross_entropy,
}

def _logsumexp(x, axis):
    return np.max(x, axis) - np.max(_log_softmax(x, axis), axis)


# What `python -m benchmarks.rows` compares besides. The backward passes are from the output, of
# the gradient x the other way round; their errors are those of a difference, and not compared.
EVERY_ROW = ROWS | {
    "logsumexp": lambda x, axis, target: _logsumexp(x, axis),
    "backward.softmax": None,
    "backward.log_softmax": None,
    "nll_loss": None,
    "binary_cross_entropy": None,
    "binary_cross_entropy_with_logits": None,
    "kl_div": None,
    "focal_loss": None,
}

def _flipped(x, axis):
    return 1 / (1 + np.exp(-np.flip(x, axis)))


# Mean losses with their gradients: what they take besides x and the classes, `s` for x and `q`
# for the target, the same probabilities the other way round.
LOSSES = {
    "cross_entropy": {},
    "nll_loss": {"s": _log_softmax},
    "binary_cross_entropy": {"s": lambda x, axis: 1 / (1 + np.exp(-x)),
                             "q": _flipped},
    "binary_cross_entropy_with_logits": {"q": _flipped},
    "kl_div": {"s": _log_softmax,
               "q": lambda x, axis: np.exp(_log_softmax(np.flip(x, axis), axis))},
    "focal_loss": {},
}
ROW_SHAPES = [((1024, 10), -1), ((1024, 128), -1), ((1024, 1000), -1), ((256, 32000), -1),
              ((8, 21, 256, 256), 1)]
