"""The functions that are compared, with reference formulas independent of every contender.

A formula is written once for two arithmetics: `m` is `WIDE` (float64 arrays, for float32
results) or an `accuracy.Multiprecision` (mpmath scalars, for float64 results).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


class WIDE:
    """float64 arrays: 29 bits more than float32 has."""

    exp, expm1, log1p, tanh = np.exp, np.expm1, np.log1p, np.tanh
    sqrt, where, abs, pi = np.sqrt, np.where, np.abs, np.pi
    gelu_cubic = 0.044715

    @staticmethod
    def erfc(x):
        return np.frompyfunc(math.erfc, 1, 1)(x).astype(np.float64)


@dataclass(frozen=True)
class Function:
    """One elementwise function.

    `call` is cyact's name and parameters, where they are not just `name`. `floor` is the
    magnitude below which errors of the derivative count in units of that magnitude: where f'
    has an interior zero, no fixed precision reaches it.
    """

    name: str
    value: Callable
    derivative: Callable
    call: str = ""
    floor: bool = False


def _sigmoid(m, x):
    return 1 / (1 + m.exp(-x))


def _bell(m, x):
    """sigmoid'(x), from the side that does not cancel."""
    e = m.exp(-m.abs(x))
    return e / (1 + e) ** 2


def _normal_cdf(m, x):
    return m.erfc(-x / m.sqrt(2)) / 2


def _gelu_inner(m, x):
    """Twice the argument of gelu_tanh's tanh: (1 + tanh(u))/2 is sigmoid(2u)."""
    return 2 * m.sqrt(2 / m.pi) * (x + m.gelu_cubic * x**3)


def _gelu_tanh_derivative(m, x):
    u = _gelu_inner(m, x)
    slope = 2 * m.sqrt(2 / m.pi) * (1 + 3 * m.gelu_cubic * x**2)
    return _sigmoid(m, u) + x * slope * _bell(m, u)


ELEMENTWISE = [
    Function("identity", lambda m, x: x, lambda m, x: x * 0 + 1),
    Function("relu", lambda m, x: m.where(x > 0, x, x * 0),
             lambda m, x: m.where(x > 0, x * 0 + 1, x * 0)),
    Function("leaky_relu", lambda m, x: m.where(x > 0, x, 0.01 * x),
             lambda m, x: m.where(x > 0, x * 0 + 1, x * 0 + 0.01)),
    Function("elu", lambda m, x: m.where(x > 0, x, m.expm1(m.where(x > 0, x * 0, x))),
             lambda m, x: m.exp(m.where(x > 0, x * 0, x))),
    Function("sigmoid", _sigmoid, _bell),
    Function("tanh", lambda m, x: m.tanh(x), lambda m, x: 4 * _bell(m, 2 * x)),
    Function("softplus", lambda m, x: m.where(x > 0, x, x * 0) + m.log1p(m.exp(-m.abs(x))),
             _sigmoid),
    Function("softsign", lambda m, x: x / (1 + m.abs(x)), lambda m, x: 1 / (1 + m.abs(x)) ** 2),
    Function("silu", lambda m, x: x * _sigmoid(m, x),
             lambda m, x: _sigmoid(m, x) + x * _bell(m, x), floor=True),
    Function("gelu", lambda m, x: x * _normal_cdf(m, x),
             lambda m, x: _normal_cdf(m, x) + x * m.exp(-x * x / 2) / m.sqrt(2 * m.pi),
             floor=True),
    Function("gelu_tanh", lambda m, x: x * _sigmoid(m, _gelu_inner(m, x)),
             _gelu_tanh_derivative, call="gelu(approximate='tanh')", floor=True),
]


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
ROW_SHAPES = [((1024, 10), -1), ((1024, 128), -1), ((1024, 1000), -1), ((256, 32000), -1),
              ((8, 21, 256, 256), 1)]
