"""The functions that are compared: those of cyact's catalogue that tests/reference.py knows.

A function has the first of its parameters in tests/cases.py, and its formulas from there.
"""

import math
from dataclasses import dataclass

import numpy as np
from cases import INFERENCE, KERNELS, Case

import cyact
from cyact._catalog import REQUIRED

from . import numpy_rows, peers


@dataclass(frozen=True)
class Function:
    """One elementwise function; `backward` says whether it is compared, too."""

    case: Case
    backward: bool = True

    @property
    def name(self):
        """Its name, with the choice in brackets where it is not the usual one."""
        choices = [p for p in self.case.params if isinstance(p, str) and p != "none"]
        return self.case.name + (f"({', '.join(choices)})" if choices else "")

    @property
    def parameters(self):
        """Those that have to be given, as the text of a call: ", approximate='tanh'"."""
        known = zip(cyact.catalog[self.case.name].parameters, self.case.params, strict=False)
        return "".join(f", {value!r}" if p.default is REQUIRED else f", {p.name}={value!r}"
                       for p, value in known if value != p.default)

    @property
    def given_output(self):
        """Whether the backward pass gets f(x), not x, as PyTorch's does."""
        entry = peers.EXPRESSIONS.get(self.name, {}).get("torch backward", "")
        return "(g, s" in entry

    def inputs(self, normal):
        """Numbers inside the domain, from as many of any size."""
        low, high = self.domain
        if math.isfinite(low + high):
            return low + (high - low) / (1 + np.exp(-normal))
        return low + np.abs(normal) if math.isfinite(low) else normal

    def inside(self, x):
        """Those of x that are in the domain, and not at its ends."""
        low, high = self.domain
        return x[(x > low) & (x < high)]

    @property
    def domain(self):
        known = self.case.reference.domain
        return known(*self.case.numbers) if callable(known) else known


def _elementwise():
    found = {}
    for case in KERNELS:
        function = Function(case)
        found.setdefault(function.name, function)
    for case in [*INFERENCE, Case("prelu", (0.25,))]:
        function = Function(case, backward=False)
        found[function.name] = function
    return found


ELEMENTWISE = _elementwise()
# What a run measures, unless it is a check or is told what
COMMON = ["identity", "relu", "leaky_relu", "elu", "gelu", "gelu(tanh)", "silu", "sigmoid", "tanh",
          "softplus", "softsign"]


def _flipped(x, axis):
    return 1 / (1 + np.exp(-np.flip(x, axis)))


# Mean losses with their gradients: what they take besides x and the classes, `s` for x and `q`
# for the target, the same probabilities the other way round.
LOSSES = {
    "cross_entropy": {},
    "nll_loss": {"s": numpy_rows.log_softmax},
    "binary_cross_entropy": {"s": lambda x, axis: 1 / (1 + np.exp(-x)), "q": _flipped},
    "binary_cross_entropy_with_logits": {"q": _flipped},
    "kl_div": {"s": numpy_rows.log_softmax,
               "q": lambda x, axis: numpy_rows.softmax(np.flip(x, axis), axis)},
    "focal_loss": {},
}
# Of a usual run, and those that `python -m benchmarks.rows` compares besides. The backward passes
# are from the output, of the gradient x the other way round.
COMMON_ROWS = ["softmax", "log_softmax", "cross_entropy"]
ROWS = [*COMMON_ROWS, "logsumexp", "backward.softmax", "backward.log_softmax",
        *(name for name in LOSSES if name not in COMMON_ROWS)]
ROW_SHAPES = [((1024, 10), -1), ((1024, 128), -1), ((1024, 1000), -1), ((256, 32000), -1),
              ((8, 21, 256, 256), 1)]


def named(given):
    """Every function with one of these names, `gelu` being each of its forms, too."""
    wanted = set(given)
    unknown = wanted - {f.case.name for f in ELEMENTWISE.values()} - set(ELEMENTWISE) - set(ROWS)
    if unknown:
        raise KeyError(f"no function is called {', '.join(sorted(unknown))}")
    return [name for name, f in ELEMENTWISE.items() if wanted & {name, f.case.name}] + [
        name for name in ROWS if name in wanted]
