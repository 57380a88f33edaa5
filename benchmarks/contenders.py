"""Who takes part, and what each of them writes for a function.

A contender is a class with a table of statements: for each function what its user writes for
a fresh result, and its best form into the array `y` (None where it has none). Statements are
text, as for `timeit`: nothing of ours is called between the clock and the contender, and the
JSON says what was timed. `x` is the input, `y` the output, `t` scratch, `g` an incoming
gradient, `axis` and `target` what functions along an axis need; every contender gets them as
its own kind of array over the same memory.

To add a contender, add a class to `CONTENDERS`; to add a function, add it to `catalog` and
a line to the tables of those who have it.
"""

import contextlib
import importlib
import importlib.metadata
import os
import re
from typing import ClassVar, NamedTuple

import numpy as np

from .accuracy import dtype_of
from .catalog import ELEMENTWISE, EVERY_ROW, LOSSES, ROWS


def cores():
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class Arrays(NamedTuple):
    """The memory of one case, shared by all contenders."""

    x: np.ndarray
    y: np.ndarray
    axis: int = -1
    target: np.ndarray | None = None


class Bound(NamedTuple):
    """A statement ready to run, and the names in it."""

    statement: str
    names: dict
    returns: str    # expression for the result once the statement has run; "" is its own value

    def result(self):
        """Run once and return the result as an array; of (loss, gradient), the gradient."""
        if self.returns:
            exec(self.statement, dict(self.names))
            value = eval(self.returns, dict(self.names))
        else:
            value = eval(self.statement, dict(self.names))
        if isinstance(value, tuple | list):
            value = value[-1]
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":
            value = value.float()       # NumPy has no view of it
        return np.array(value)


class Contender:
    """What all have in common; subclasses fill the table and import their package."""

    name = ""
    package = ""
    dtypes = ("float32", "float64")
    statements: ClassVar[dict] = {}

    def __init__(self):
        self.module = importlib.import_module(self.package)

    @property
    def version(self):
        return importlib.metadata.version(self.package)

    def note(self):
        """Something the reader must know, for the report's head."""
        return ""

    def supports(self, threads):
        return True

    def threads(self, count):
        """Context in which it runs with that many threads."""
        return contextlib.nullcontext()

    def names(self, function, arrays):
        """Names for the statements, or None if it cannot do this function on these arrays."""
        scratch = np.empty_like(arrays.x)
        gradient = np.ones_like(arrays.x) if function.startswith("backward.") else None
        saved = None
        inputs = {key: np.ascontiguousarray(make(arrays.x, arrays.axis), arrays.x.dtype)
                  for key, make in LOSSES.get(function, {}).items()}
        if function in EVERY_ROW and gradient is not None:
            gradient = np.ascontiguousarray(np.flip(arrays.x, arrays.axis))
            saved = ROWS[function.removeprefix("backward.")](arrays.x, arrays.axis, None)
        numbers = {"one": np.ones(1, arrays.x.dtype), "weight": np.full(1, 0.25, arrays.x.dtype)}
        return {"np": np, "t": scratch, "g": gradient, "s": saved, **numbers,
                **arrays._asdict(), **inputs}

    def bind(self, function, arrays, fresh, threads):
        """Return a `Bound`, or None where it has nothing to offer."""
        del threads
        entry = self.statements.get(function)
        statement = entry and entry[0 if fresh else 1]
        names = statement and self.names(function, arrays)
        return Bound(statement, names, "" if fresh else "y") if names else None


    def offer(self, function, arrays, fresh, threads):
        """What `bind` returns if it runs: of half types not every operator exists."""
        bound = self.bind(function, arrays, fresh, threads)
        if bound is None or arrays.x.dtype.itemsize > 2:
            return bound
        try:
            bound.result()
        except (NotImplementedError, RuntimeError, TypeError):
            return None
        return bound


class Cyact(Contender):
    name = package = "cyact"

    def __init__(self):
        super().__init__()
        self.statements = {
            "softmax": ("cyact.softmax(x, axis=axis)", "cyact.softmax(x, axis=axis, out=y)"),
            "log_softmax": ("cyact.log_softmax(x, axis=axis)",
                            "cyact.log_softmax(x, axis=axis, out=y)"),
            "cross_entropy": ("cyact.cross_entropy(x, target, axis=axis, return_grad=True)", None),
            "nll_loss": ("cyact.nll_loss(s, target, axis=axis, return_grad=True)", None),
            "focal_loss": ("cyact.focal_loss(x, target, axis=axis, return_grad=True)", None),
            "binary_cross_entropy": (
                "cyact.binary_cross_entropy(s, q, return_grad=True)", None),
            "binary_cross_entropy_with_logits": (
                "cyact.binary_cross_entropy_with_logits(x, q, return_grad=True)", None),
            "kl_div": ("cyact.kl_div(s, q, return_grad=True)", None),
            "logsumexp": ("cyact.logsumexp(x, axis=axis)", None),
            "backward.softmax": ("cyact.backward.softmax(g, axis=axis, output=s)",
                                 "cyact.backward.softmax(g, axis=axis, output=s, out=y)"),
            "backward.log_softmax": (
                "cyact.backward.log_softmax(g, axis=axis, output=s)",
                "cyact.backward.log_softmax(g, axis=axis, output=s, out=y)"),
        }
        for function in ELEMENTWISE:
            name, _, parameters = (function.call or f"{function.name}()").partition("(")
            rest = f", {parameters}" if parameters != ")" else parameters
            into = rest[:-1] + ", out=y)"
            self.statements[function.name] = (f"cyact.{name}(x{rest}", f"cyact.{name}(x{into}")
            self.statements[f"backward.{function.name}"] = (
                f"cyact.backward.{name}(g, x{rest}", f"cyact.backward.{name}(g, x{into}")

    @property
    def version(self):
        return self.module.__version__

    @property
    def dtypes(self):
        return [name for name in ("float16", "bfloat16", "float32", "float64") if self._takes(name)]

    def _takes(self, name):
        try:
            self.module.relu(np.zeros(1, dtype_of(name)))
        except (TypeError, ImportError):
            return False
        return True

    def threads(self, count):
        return self.module.num_threads(count)

    def names(self, function, arrays):
        return super().names(function, arrays) | {"cyact": self.module}


class NumPy(Contender):
    """Plain expressions. Fresh: what one writes. Into y: without temporaries where possible."""

    name, package = "NumPy", "numpy"
    dtypes = ("float16", "float32", "float64")
    sigmoid = "np.negative(x, out=y); np.exp(y, out=y); np.add(y, 1, out=y)"
    root = "np.multiply(x, x, out=y); np.add(y, 1, out=y); np.sqrt(y, out=y); "
    softmax = ("np.subtract(x, x.max(axis, keepdims=True), out=y); np.exp(y, out=y); "
               "np.divide(y, y.sum(axis, keepdims=True), out=y)")
    statements: ClassVar[dict] = {
        "identity": ("x.copy()", "np.copyto(y, x)"),
        "relu": ("np.maximum(x, 0)", "np.maximum(x, 0, out=y)"),
        "step": ("np.heaviside(x, one)", "np.heaviside(x, one, out=y)"),
        "relu6": ("np.clip(x, 0, 6)", "np.clip(x, 0, 6, out=y)"),
        "relu_k": ("np.clip(x, 0, 4)", "np.clip(x, 0, 4, out=y)"),
        "squared_relu": ("np.square(np.maximum(x, 0))",
                         "np.maximum(x, 0, out=y); np.square(y, out=y)"),
        "leaky_relu": ("np.maximum(x, 0.01 * x)",
                       "np.multiply(x, 0.01, out=y); np.maximum(x, y, out=y)"),
        "prelu": ("np.maximum(x, 0.25 * x)",
                  "np.multiply(x, 0.25, out=y); np.maximum(x, y, out=y)"),
        "rrelu": ("np.maximum(x, 11 / 48 * x)",
                  "np.multiply(x, 11 / 48, out=y); np.maximum(x, y, out=y)"),
        "noisy_relu": ("np.maximum(x, 0)", "np.maximum(x, 0, out=y)"),
        "threshold": ("np.where(x > 0.5, x, x.dtype.type(-1))", None),
        "thresholded_relu": ("x * (x > 1)", "np.greater(x, 1, out=y); np.multiply(x, y, out=y)"),
        "celu": ("np.maximum(x, 0) + np.minimum(0, 2 * np.expm1(x / 2))", None),
        "selu": ("1.0507009873554805 * np.where("
                 "x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))", None),
        "mish": ("x * np.tanh(np.log1p(np.exp(x)))",
                 "np.exp(x, out=y); np.log1p(y, out=y); np.tanh(y, out=y); "
                 "np.multiply(x, y, out=y)"),
        "gelu_sigmoid": ("x / (1 + np.exp(-1.702 * x))",
                         "np.multiply(x, -1.702, out=y); np.exp(y, out=y); np.add(y, 1, out=y); "
                         "np.divide(x, y, out=y)"),
        "generalized_logistic": ("3 / (1 + np.exp(1 - 2 * x)) ** 2 - 1", None),
        "log_sigmoid": ("np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))",
                        "np.abs(x, out=y); np.negative(y, out=y); np.exp(y, out=y); "
                        "np.log1p(y, out=y); np.minimum(x, 0, out=t); np.subtract(t, y, out=y)"),
        "logit": ("np.log(x / (1 - x))",
                  "np.subtract(1, x, out=y); np.divide(x, y, out=y); np.log(y, out=y)"),
        "hard_sigmoid": ("np.clip(x / 6 + 0.5, 0, 1)",
                         "np.divide(x, 6, out=y); np.add(y, 0.5, out=y); np.clip(y, 0, 1, out=y)"),
        "hard_swish": ("x * np.clip(x / 6 + 0.5, 0, 1)",
                       "np.divide(x, 6, out=y); np.add(y, 0.5, out=y); np.clip(y, 0, 1, out=y); "
                       "np.multiply(x, y, out=y)"),
        "hard_tanh": ("np.clip(x, -1, 1)", "np.clip(x, -1, 1, out=y)"),
        "squareplus": ("(x + np.sqrt(x * x + 4)) / 2",
                       "np.multiply(x, x, out=y); np.add(y, 4, out=y); np.sqrt(y, out=y); "
                       "np.add(x, y, out=y); np.divide(y, 2, out=y)"),
        "algebraic_sigmoid": ("x / np.sqrt(1 + x * x)", root + "np.divide(x, y, out=y)"),
        "isrlu": ("np.where(x < 0, x / np.sqrt(1 + x * x), x)",
                  root + "np.divide(x, y, out=y); np.maximum(x, y, out=y)"),
        "arctan": ("np.arctan(x)", "np.arctan(x, out=y)"),
        "gudermannian": ("2 * np.arctan(np.tanh(x / 2))",
                         "np.divide(x, 2, out=y); np.tanh(y, out=y); np.arctan(y, out=y); "
                         "np.multiply(y, 2, out=y)"),
        "exp": ("np.exp(x)", "np.exp(x, out=y)"),
        "expm1": ("np.expm1(x)", "np.expm1(x, out=y)"),
        "log1p": ("np.log1p(x)", "np.log1p(x, out=y)"),
        "log1mexp": ("np.log(-np.expm1(-x))",
                     "np.negative(x, out=y); np.expm1(y, out=y); np.negative(y, out=y); "
                     "np.log(y, out=y)"),
        "gaussian": ("np.exp(-x * x)",
                     "np.multiply(x, x, out=y); np.negative(y, out=y); np.exp(y, out=y)"),
        "bent_identity": ("(np.sqrt(x * x + 1) - 1) / 2 + x",
                          root + "np.subtract(y, 1, out=y); np.divide(y, 2, out=y); "
                          "np.add(x, y, out=y)"),
        "hard_shrink": ("x * (np.abs(x) > 0.5)",
                        "np.abs(x, out=y); np.greater(y, 0.5, out=y); np.multiply(x, y, out=y)"),
        "soft_shrink": ("x - np.clip(x, -0.5, 0.5)",
                        "np.clip(x, -0.5, 0.5, out=y); np.subtract(x, y, out=y)"),
        "tanh_shrink": ("x - np.tanh(x)", "np.tanh(x, out=y); np.subtract(x, y, out=y)"),
        "sparse_plus": ("np.where(x < 1, np.square(np.maximum(x + 1, 0)) / 4, x)", None),
        "sparse_sigmoid": ("np.clip((x + 1) / 2, 0, 1)",
                           "np.add(x, 1, out=y); np.divide(y, 2, out=y); np.clip(y, 0, 1, out=y)"),
        "dish": ("x / 2 * (1 + x / np.sqrt(1 + x * x))",
                 root + "np.divide(x, y, out=y); np.add(y, 1, out=y); np.multiply(x, y, out=y); "
                 "np.divide(y, 2, out=y)"),
        "elu": ("np.maximum(x, np.expm1(np.minimum(x, 0)))",
                "np.minimum(x, 0, out=y); np.expm1(y, out=y); np.maximum(x, y, out=y)"),
        "sigmoid": ("1 / (1 + np.exp(-x))", sigmoid + "; np.divide(1, y, out=y)"),
        "tanh": ("np.tanh(x)", "np.tanh(x, out=y)"),
        "softplus": ("np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))",
                     "np.abs(x, out=y); np.negative(y, out=y); np.exp(y, out=y); "
                     "np.log1p(y, out=y); np.maximum(x, 0, out=t); np.add(y, t, out=y)"),
        "softsign": ("x / (1 + np.abs(x))",
                     "np.abs(x, out=y); np.add(y, 1, out=y); np.divide(x, y, out=y)"),
        "silu": ("x / (1 + np.exp(-x))", sigmoid + "; np.divide(x, y, out=y)"),
        "gelu_tanh": ("0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))",
                      "np.multiply(x, x, out=y); np.multiply(y, 0.044715, out=y); "
                      "np.add(y, 1, out=y); np.multiply(y, x, out=y); "
                      "np.multiply(y, 0.7978845608028654, out=y); np.tanh(y, out=y); "
                      "np.add(y, 1, out=y); np.multiply(y, x, out=y); "
                      "np.multiply(y, 0.5, out=y)"),
        "softmax": ("(e := np.exp(x - x.max(axis, keepdims=True))) / e.sum(axis, keepdims=True)",
                    softmax),
        "log_softmax": (
            "(s := x - x.max(axis, keepdims=True)) - np.log(np.exp(s).sum(axis, keepdims=True))",
            "np.subtract(x, x.max(axis, keepdims=True), out=y); np.exp(y, out=t); "
            "np.subtract(y, np.log(t.sum(axis, keepdims=True)), out=y)"),
        "logsumexp": ("(m := x.max(axis, keepdims=True)).squeeze(axis) "
                      "+ np.log(np.exp(x - m).sum(axis))", None),
        "backward.softmax": ("s * (g - (g * s).sum(axis, keepdims=True))", None),
        "backward.log_softmax": ("g - np.exp(s) * g.sum(axis, keepdims=True)", None),
        "cross_entropy": ("cross_entropy(x, target, axis)", None),
        "nll_loss": ("nll_loss(s, target, axis)", None),
        "focal_loss": ("focal_loss(x, target, axis)", None),
        "binary_cross_entropy": (
            "-(q * np.log(s) + (1 - q) * np.log1p(-s)).mean(), (s - q) / (s * (1 - s) * s.size)",
            None),
        "binary_cross_entropy_with_logits": (
            "(np.maximum(x, 0) - x * q + np.log1p(np.exp(-np.abs(x)))).mean(), "
            "(1 / (1 + np.exp(-x)) - q) / x.size", None),
        "kl_div": ("(q * (np.log(q) - s)).mean(), q / -q.size", None),
    }

    def names(self, function, arrays):
        return super().names(function, arrays) | {
            "cross_entropy": _numpy_cross_entropy, "nll_loss": _numpy_nll_loss,
            "focal_loss": _numpy_focal_loss}


def _numpy_cross_entropy(x, target, axis):
    at = np.expand_dims(target, axis)
    shifted = x - x.max(axis, keepdims=True)
    grad = np.exp(shifted)
    total = grad.sum(axis, keepdims=True)
    loss = (np.log(total) - np.take_along_axis(shifted, at, axis)).mean()
    grad /= total
    np.put_along_axis(grad, at, np.take_along_axis(grad, at, axis) - 1, axis)
    grad /= target.size
    return loss, grad


def _numpy_nll_loss(x, target, axis):
    at = np.expand_dims(target, axis)
    grad = np.zeros_like(x)
    np.put_along_axis(grad, at, -1 / target.size, axis)
    return -np.take_along_axis(x, at, axis).mean(), grad


def _numpy_focal_loss(x, target, axis):
    at = np.expand_dims(target, axis)
    grad = np.exp(x - x.max(axis, keepdims=True))
    grad /= grad.sum(axis, keepdims=True)
    p = np.take_along_axis(grad, at, axis)
    loss = -np.log(p)
    factor = (1 - p) ** 2 + 2 * (1 - p) * p * loss
    np.put_along_axis(grad, at, p - 1, axis)
    grad *= factor / target.size
    return ((1 - p) ** 2 * loss).mean(), grad


class SciPy(Contender):
    """scipy.special, with NumPy around it."""

    name, package = "SciPy", "scipy"
    statements: ClassVar[dict] = {
        "sigmoid": ("special.expit(x)", "special.expit(x, out=y)"),
        "silu": ("x * special.expit(x)", "special.expit(x, out=y); np.multiply(x, y, out=y)"),
        "softplus": ("-special.log_expit(-x)", "np.negative(x, out=y); "
                     "special.log_expit(y, out=y); np.negative(y, out=y)"),
        "gelu": ("x * special.ndtr(x)", "special.ndtr(x, out=y); np.multiply(x, y, out=y)"),
        "gelu_sigmoid": ("x * special.expit(1.702 * x)",
                         "np.multiply(x, 1.702, out=y); special.expit(y, out=y); "
                         "np.multiply(x, y, out=y)"),
        "log_sigmoid": ("special.log_expit(x)", "special.log_expit(x, out=y)"),
        "logit": ("special.logit(x)", "special.logit(x, out=y)"),
        "erf": ("special.erf(x)", "special.erf(x, out=y)"),
        "erfc": ("special.erfc(x)", "special.erfc(x, out=y)"),
        "ndtr": ("special.ndtr(x)", "special.ndtr(x, out=y)"),
        "log_ndtr": ("special.log_ndtr(x)", "special.log_ndtr(x, out=y)"),
        "expm1": ("special.expm1(x)", "special.expm1(x, out=y)"),
        "log1p": ("special.log1p(x)", "special.log1p(x, out=y)"),
        "softmax": ("special.softmax(x, axis)", None),
        "log_softmax": ("special.log_softmax(x, axis)", None),
        "logsumexp": ("special.logsumexp(x, axis)", None),
    }

    def names(self, function, arrays):
        special = importlib.import_module("scipy.special")
        return super().names(function, arrays) | {"special": special}


class Torch(Contender):
    """PyTorch in inference mode.

    `nn` is the module torch.nn.functional itself calls, where functions take `out`; backward
    passes are the operators autograd calls. Of these sigmoid's, tanh's and log_sigmoid's are
    given what the forward pass saved (`s`: f(x), exponentials), cyact computes it from x.
    """

    name, package = "torch", "torch"
    dtypes = ("float16", "bfloat16", "float32", "float64")
    statements: ClassVar[dict] = {
        "identity": ("torch.clone(x)", "y.copy_(x)"),
        "relu": ("torch.relu(x)", "torch.clamp_min(x, 0, out=y)"),
        "step": ("torch.heaviside(x, one)", "torch.heaviside(x, one, out=y)"),
        "relu6": ("nn.relu6(x)", "nn.hardtanh(x, 0, 6, out=y)"),
        "relu_k": ("nn.hardtanh(x, 0, 4)", "nn.hardtanh(x, 0, 4, out=y)"),
        "squared_relu": ("torch.relu(x).square_()", "torch.clamp_min(x, 0, out=y); y.square_()"),
        "leaky_relu": ("nn.leaky_relu(x, 0.01)", "nn.leaky_relu(x, 0.01, out=y)"),
        "prelu": ("torch.prelu(x, weight)", None),
        "rrelu": ("torch.rrelu(x)", None),
        "noisy_relu": ("torch.relu(x)", "torch.clamp_min(x, 0, out=y)"),
        "threshold": ("torch.threshold(x, 0.5, -1)", "torch.threshold(x, 0.5, -1, out=y)"),
        "thresholded_relu": ("torch.threshold(x, 1, 0)", "torch.threshold(x, 1, 0, out=y)"),
        "elu": ("nn.elu(x)", "nn.elu(x, out=y)"),
        "celu": ("torch.celu(x, 2)", "nn.elu(x, 2, 1, 0.5, out=y)"),
        "selu": ("torch.selu(x)",
                 "nn.elu(x, 1.6732632423543772, 1.0507009873554805, 1, out=y)"),
        "mish": ("nn.mish(x)", "nn.mish(x, out=y)"),
        "log_sigmoid": ("nn.log_sigmoid(x)", "nn.log_sigmoid(x, out=y)"),
        "logit": ("torch.logit(x)", "torch.logit(x, out=y)"),
        "hard_sigmoid": ("nn.hardsigmoid(x)", "nn.hardsigmoid(x, out=y)"),
        "hard_swish": ("nn.hardswish(x)", "nn.hardswish(x, out=y)"),
        "hard_tanh": ("nn.hardtanh(x)", "nn.hardtanh(x, out=y)"),
        "arctan": ("torch.atan(x)", "torch.atan(x, out=y)"),
        "erf": ("torch.erf(x)", "torch.erf(x, out=y)"),
        "erfc": ("torch.erfc(x)", "torch.erfc(x, out=y)"),
        "ndtr": ("torch.special.ndtr(x)", "torch.special.ndtr(x, out=y)"),
        "log_ndtr": ("torch.special.log_ndtr(x)", "torch.special.log_ndtr(x, out=y)"),
        "exp": ("torch.exp(x)", "torch.exp(x, out=y)"),
        "expm1": ("torch.expm1(x)", "torch.expm1(x, out=y)"),
        "log1p": ("torch.log1p(x)", "torch.log1p(x, out=y)"),
        "hard_shrink": ("torch.hardshrink(x, 0.5)", "torch.hardshrink(x, 0.5, out=y)"),
        "soft_shrink": ("nn.softshrink(x, 0.5)", "nn.softshrink(x, 0.5, out=y)"),
        "tanh_shrink": ("torch.sub(x, torch.tanh(x))",
                        "torch.tanh(x, out=y); torch.sub(x, y, out=y)"),
        "gelu_sigmoid": ("torch.sigmoid(1.702 * x).mul_(x)",
                         "torch.mul(x, 1.702, out=y); y.sigmoid_(); y.mul_(x)"),
        "sigmoid": ("torch.sigmoid(x)", "torch.sigmoid(x, out=y)"),
        "tanh": ("torch.tanh(x)", "torch.tanh(x, out=y)"),
        "softplus": ("nn.softplus(x)", "nn.softplus(x, out=y)"),
        "softsign": ("torch.div(x, torch.abs(x).add_(1))",
                     "torch.abs(x, out=y); y.add_(1); torch.div(x, y, out=y)"),
        "silu": ("nn.silu(x)", "nn.silu(x, out=y)"),
        "gelu": ("nn.gelu(x)", "nn.gelu(x, out=y)"),
        "gelu_tanh": ("nn.gelu(x, approximate='tanh')", "nn.gelu(x, approximate='tanh', out=y)"),
        "softmax": ("torch.softmax(x, axis)", "torch.softmax(x, axis, out=y)"),
        "log_softmax": ("torch.log_softmax(x, axis)", "torch.log_softmax(x, axis, out=y)"),
        "logsumexp": ("torch.logsumexp(x, axis)", None),
        "backward.softmax": (
            "aten._softmax_backward_data(g, s, axis, x.dtype)",
            "aten._softmax_backward_data.out(g, s, axis, x.dtype, grad_input=y)"),
        "backward.log_softmax": (
            "aten._log_softmax_backward_data(g, s, axis, x.dtype)",
            "aten._log_softmax_backward_data.out(g, s, axis, x.dtype, out=y)"),
        "cross_entropy": ("cross_entropy(x, target, axis)", None),
        "nll_loss": ("nll_loss(s, target)", None),
        "binary_cross_entropy": (
            "aten.binary_cross_entropy(s, q), aten.binary_cross_entropy_backward(one, s, q)", None),
        "binary_cross_entropy_with_logits": (
            "aten.binary_cross_entropy_with_logits(x, q), "
            "torch.sigmoid(x).sub_(q).mul_(1 / x.numel())", None),
        "kl_div": ("aten.kl_div(s, q), torch.mul(q, -1 / q.numel())", None),
    } | {
        f"backward.{name}": (f"aten.{call})", f"aten.{operator}.grad_input({rest}, grad_input=y)")
        for name, call in {
            "relu": "threshold_backward(g, x, 0",
            "leaky_relu": "leaky_relu_backward(g, x, 0.01, False",
            "elu": "elu_backward(g, 1, 1, 1, False, x",
            "sigmoid": "sigmoid_backward(g, s",
            "tanh": "tanh_backward(g, s",
            "softplus": "softplus_backward(g, x, 1, 20",
            "silu": "silu_backward(g, x",
            "gelu": "gelu_backward(g, x",
            "relu6": "hardtanh_backward(g, x, 0, 6",
            "relu_k": "hardtanh_backward(g, x, 0, 4",
            "threshold": "threshold_backward(g, x, 0.5",
            "thresholded_relu": "threshold_backward(g, x, 1",
            "celu": "elu_backward(g, 2, 1, 0.5, False, x",
            "selu": "elu_backward(g, 1.6732632423543772, 1.0507009873554805, 1, False, x",
            "log_sigmoid": "log_sigmoid_backward(g, x, s",
            "logit": "logit_backward(g, x",
            "hard_sigmoid": "hardsigmoid_backward(g, x",
            "hard_tanh": "hardtanh_backward(g, x, -1, 1",
            "hard_shrink": "hardshrink_backward(g, x, 0.5",
            "soft_shrink": "softshrink_backward(g, x, 0.5",
        }.items()
        for operator, rest in [call.split("(")]
    } | {
        "backward.gelu_tanh": (
            "aten.gelu_backward(g, x, approximate='tanh')",
            "aten.gelu_backward.grad_input(g, x, approximate='tanh', grad_input=y)"),
        "backward.hard_swish": ("aten.hardswish_backward(g, x)",
                                "aten.hardswish_backward.out(g, x, out=y)"),
        "backward.mish": ("aten.mish_backward(g, x)", None),
    }

    def note(self):
        level = self.module.backends.cpu.get_cpu_capability()
        return f"torch runs its {level} code (ATEN_CPU_CAPABILITY sets it)"

    @contextlib.contextmanager
    def threads(self, count):
        before = self.module.get_num_threads()
        self.module.set_num_threads(count)
        try:
            with self.module.inference_mode():
                yield
        finally:
            self.module.set_num_threads(before)

    def names(self, function, arrays):
        torch = self.module
        with torch.inference_mode():
            names = {key: self._tensor(value) if isinstance(value, np.ndarray) else value
                     for key, value in super().names(function, arrays).items()}
            saved = {"backward.sigmoid": torch.sigmoid, "backward.tanh": torch.tanh,
                     "backward.log_sigmoid": lambda x: torch.ops.aten.log_sigmoid_forward(x)[1]}
            if function in saved:
                names["s"] = saved[function](names["x"])
        return names | {"torch": torch, "nn": torch._C._nn, "aten": torch.ops.aten,
                        "cross_entropy": self._cross_entropy, "nll_loss": self._nll_loss}

    def _tensor(self, array):
        if array.dtype.kind != "V":
            return self.module.from_numpy(array)
        return self.module.from_numpy(array.view(np.int16)).view(self.module.bfloat16)

    def _cross_entropy(self, x, target, axis):
        """Loss and gradient by the operators autograd runs, without its bookkeeping."""
        log_p = self.module.log_softmax(x, axis)
        loss, grad = self._nll_loss(log_p, target)
        return loss, self.module.ops.aten._log_softmax_backward_data(grad, log_p, axis, x.dtype)

    def _nll_loss(self, log_p, target):
        aten = self.module.ops.aten
        forward, backward = ((aten.nll_loss_forward, aten.nll_loss_backward) if log_p.ndim == 2
                             else (aten.nll_loss2d_forward, aten.nll_loss2d_backward))
        loss, total = forward(log_p, target, None, 1, -100)
        return loss, backward(self.module.ones_like(loss), log_p, target, None, 1, -100, total)


class NumExpr(Contender):
    """numexpr, compiled beforehand; constants in the dtype of x, or it computes in float64."""

    name = package = "numexpr"
    expressions: ClassVar[dict] = {
        "identity": "x",
        "relu": "where(x > 0, x, zero)",
        "leaky_relu": "where(x > 0, x, slope * x)",
        "elu": "where(x > 0, x, expm1(x))",
        "sigmoid": "1 / (1 + exp(-x))",
        "tanh": "tanh(x)",
        "softplus": "where(x > 0, x, zero) + log1p(exp(-abs(x)))",
        "softsign": "x / (1 + abs(x))",
        "silu": "x / (1 + exp(-x))",
        "gelu_tanh": "x / (1 + exp(scale * (x + cubic * x * x * x)))",
        "relu6": "where(x < zero, zero, where(x > six, six, x))",
        "squared_relu": "where(x > 0, x * x, zero)",
        "selu": "where(x > 0, lam * x, lam_alpha * expm1(x))",
        "log_sigmoid": "where(x < 0, x, zero) - log1p(exp(-abs(x)))",
        "logit": "log(x / (1 - x))",
        "hard_tanh": "where(x < -1, -one, where(x > 1, one, x))",
        "squareplus": "(x + sqrt(x * x + 4)) / 2",
        "algebraic_sigmoid": "x / sqrt(1 + x * x)",
        "isrlu": "where(x < 0, x / sqrt(1 + x * x), x)",
        "arctan": "arctan(x)",
        "gudermannian": "2 * arctan(tanh(x / 2))",
        "exp": "exp(x)",
        "expm1": "expm1(x)",
        "log1p": "log1p(x)",
        "gaussian": "exp(-x * x)",
        "bent_identity": "(sqrt(x * x + 1) - 1) / 2 + x",
        "tanh_shrink": "x - tanh(x)",
        "dish": "x / 2 * (1 + x / sqrt(1 + x * x))",
    }
    constants: ClassVar[dict] = {"zero": 0.0, "one": 1.0, "six": 6.0, "slope": 0.01,
                                 "cubic": 0.044715, "scale": -2 * (2 / np.pi) ** 0.5,
                                 "lam": 1.0507009873554805, "lam_alpha": 1.7580993408473768}

    def note(self):
        return f"numexpr {'with' if self.module.use_vml else 'without'} Intel VML"

    @contextlib.contextmanager
    def threads(self, count):
        before = self.module.set_num_threads(count)
        try:
            yield
        finally:
            self.module.set_num_threads(before)

    def bind(self, function, arrays, fresh, threads):
        expression = self.expressions.get(function)
        if expression is None:
            return None
        # numexpr calls float32 `float` and float64 `np.double`.
        kind = float if arrays.x.dtype == np.float32 else np.double
        used = [name for name in self.constants if re.search(rf"\b{name}\b", expression)]
        compiled = self.module.NumExpr(expression, [(name, kind) for name in ["x", *used]])
        values = [arrays.x.dtype.type(self.constants[name]) for name in used]
        names = {"f": compiled, "x": arrays.x, "y": arrays.y, "c": values,
                 "k": {"order": "K", "casting": "safe", "ex_uses_vml": False}}
        return (Bound("f(x, *c, **k)", names, "") if fresh
                else Bound("f(x, *c, out=y, **k)", names, "y"))


class OnnxRuntime(Contender):
    """ONNX Runtime: one session a function; into y through an IO binding."""

    name, package = "ORT", "onnxruntime"
    # Nodes as (operator, inputs, attributes); the last one's output is the result.
    graphs: ClassVar[dict] = {
        "identity": [("Identity", "x", {})],
        "relu": [("Relu", "x", {})],
        "leaky_relu": [("LeakyRelu", "x", {"alpha": 0.01})],
        "elu": [("Elu", "x", {})],
        "sigmoid": [("Sigmoid", "x", {})],
        "tanh": [("Tanh", "x", {})],
        "softplus": [("Softplus", "x", {})],
        "softsign": [("Softsign", "x", {})],
        "silu": [("Sigmoid", "x", {}), ("Mul", "x n0", {})],
        "gelu": [("Gelu", "x", {})],
        "gelu_tanh": [("Gelu", "x", {"approximate": "tanh"})],
        "thresholded_relu": [("ThresholdedRelu", "x", {"alpha": 1.0})],
        "celu": [("Celu", "x", {"alpha": 2.0})],
        "selu": [("Selu", "x", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805})],
        "mish": [("Mish", "x", {})],
        "hard_sigmoid": [("HardSigmoid", "x", {"alpha": 1 / 6, "beta": 0.5})],
        "hard_swish": [("HardSwish", "x", {})],
        "log_sigmoid": [("Sigmoid", "x", {}), ("Log", "n0", {})],
        "arctan": [("Atan", "x", {})],
        "erf": [("Erf", "x", {})],
        "exp": [("Exp", "x", {})],
        "hard_shrink": [("Shrink", "x", {"lambd": 0.5})],
        "soft_shrink": [("Shrink", "x", {"lambd": 0.5, "bias": 0.5})],
        "tanh_shrink": [("Tanh", "x", {}), ("Sub", "x n0", {})],
        "softmax": [("Softmax", "x", {"axis": None})],
        "log_softmax": [("LogSoftmax", "x", {"axis": None})],
    }

    def __init__(self):
        super().__init__()
        self.onnx = importlib.import_module("onnx")
        self.module.set_default_logger_severity(4)

    def bind(self, function, arrays, fresh, threads):
        if function not in self.graphs:
            return None
        try:
            session = self._session(function, arrays, threads)
        except Exception:  # it has no common base class: no kernel for this operator and dtype
            return None
        if fresh:
            return Bound("run(None, feed)", {"run": session.run, "feed": {"x": arrays.x}}, "")
        binding = session.io_binding()
        binding.bind_cpu_input("x", arrays.x)
        binding.bind_output("y", "cpu", 0, arrays.y.dtype, arrays.y.shape, arrays.y.ctypes.data)
        names = {"run": session.run_with_iobinding, "binding": binding, "y": arrays.y}
        return Bound("run(binding)", names, "y")

    def _session(self, function, arrays, threads):
        helper = self.onnx.helper
        kind = helper.np_dtype_to_tensor_dtype(arrays.x.dtype)
        nodes = []
        for i, (operator, inputs, attributes) in enumerate(self.graphs[function]):
            last = i == len(self.graphs[function]) - 1
            given = {key: arrays.axis if value is None else value
                     for key, value in attributes.items()}
            nodes.append(helper.make_node(operator, inputs.split(), ["y" if last else f"n{i}"],
                                          **given))
        ends = [helper.make_tensor_value_info(name, kind, arrays.x.shape) for name in "xy"]
        graph = helper.make_graph(nodes, function, ends[:1], ends[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)],
                                  ir_version=9)
        options = self.module.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Its threads would spin on while the others are measured.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return self.module.InferenceSession(model.SerializeToString(), options,
                                            providers=["CPUExecutionProvider"])


class Jax(Contender):
    """JAX, compiled beforehand. It has no `out`, and its threads are fixed when it starts."""

    name = package = "jax"
    dtypes = ("float16", "bfloat16", "float32", "float64")

    def __init__(self):
        super().__init__()
        self.module.config.update("jax_platforms", "cpu")
        self.module.config.update("jax_enable_x64", True)

    def note(self):
        return "JAX always uses all cores and has no out=: it appears only where both are so"

    def supports(self, threads):
        return threads == cores()

    def bind(self, function, arrays, fresh, threads):
        compute = self._functions(arrays).get(function)
        if compute is None or not fresh:
            return None
        names = {"f": self.module.jit(compute), "wait": self.module.block_until_ready,
                 "x": self.module.device_put(arrays.x)}
        if function not in LOSSES:
            return Bound("wait(f(x))", names, "")
        given = self.names(function, arrays)
        first = "s" if "s" in LOSSES[function] else "x"
        second = "q" if "q" in LOSSES[function] else "target"
        names |= {key: self.module.device_put(given[key]) for key in (first, second)}
        return Bound(f"wait(f({first}, {second}))", names, "")

    def _functions(self, arrays):
        jnp, nn, special = self.module.numpy, self.module.nn, self.module.scipy.special

        def picked(s, target):
            return jnp.take_along_axis(s, jnp.expand_dims(target, arrays.axis), arrays.axis)

        def cross_entropy(x, target):
            return -picked(nn.log_softmax(x, arrays.axis), target).mean()

        def focal_loss(x, target):
            log_p = picked(nn.log_softmax(x, arrays.axis), target)
            return -((1 - jnp.exp(log_p)) ** 2 * log_p).mean()

        losses = {
            "cross_entropy": cross_entropy,
            "nll_loss": lambda s, target: -picked(s, target).mean(),
            "focal_loss": focal_loss,
            "binary_cross_entropy":
                lambda s, q: -(q * jnp.log(s) + (1 - q) * jnp.log1p(-s)).mean(),
            "binary_cross_entropy_with_logits":
                lambda x, q: -(q * nn.log_sigmoid(x) + (1 - q) * nn.log_sigmoid(-x)).mean(),
            "kl_div": lambda s, q: (q * (jnp.log(q) - s)).mean(),
        }

        return {
            "identity": lambda x: x.copy(), "relu": nn.relu, "leaky_relu": nn.leaky_relu,
            "elu": nn.elu, "sigmoid": nn.sigmoid, "tanh": jnp.tanh, "softplus": nn.softplus,
            "softsign": nn.soft_sign, "silu": nn.silu,
            "gelu": lambda x: nn.gelu(x, approximate=False),
            "gelu_tanh": lambda x: nn.gelu(x, approximate=True),
            "relu6": nn.relu6, "celu": lambda x: nn.celu(x, 2.0), "selu": nn.selu,
            "mish": nn.mish, "log_sigmoid": nn.log_sigmoid, "hard_sigmoid": nn.hard_sigmoid,
            "hard_swish": nn.hard_swish, "hard_tanh": nn.hard_tanh, "squareplus": nn.squareplus,
            "sparse_plus": nn.sparse_plus, "sparse_sigmoid": nn.sparse_sigmoid,
            "log1mexp": nn.log1mexp, "arctan": jnp.arctan, "exp": jnp.exp, "expm1": jnp.expm1,
            "log1p": jnp.log1p, "erf": special.erf, "erfc": special.erfc, "ndtr": special.ndtr,
            "log_ndtr": special.log_ndtr, "logit": special.logit,
            "softmax": lambda x: nn.softmax(x, arrays.axis),
            "log_softmax": lambda x: nn.log_softmax(x, arrays.axis),
            "logsumexp": lambda x: nn.logsumexp(x, arrays.axis),
        } | {name: self.module.value_and_grad(loss) for name, loss in losses.items()}


class Yardstick(Contender):
    """One fixed function that the call overhead of every other is measured with."""

    def __init__(self, name, package, fresh):
        self.name, self.package, self.fresh = name, package, fresh
        self.module = importlib.import_module(package)

    def bind(self, function, arrays, fresh, threads):
        names = {"np": np, "m": self.module, "x": arrays.x, "y": arrays.y}
        return Bound(self.fresh + ("(x)" if fresh else "(x, out=y)"), names, "" if fresh else "y")


CONTENDERS = {c.name: c for c in [Cyact, Torch, NumPy, SciPy, NumExpr, OnnxRuntime, Jax]}
YARDSTICKS = [("np.exp", "numpy", "np.exp"), ("expit", "scipy.special", "m.expit")]


def installed(names=None):
    """Instances of the contenders (all, or those named) whose packages can be imported."""
    found, missing = [], []
    for name in CONTENDERS if names is None else names:
        try:
            found.append(CONTENDERS[name]())
        except ImportError:
            missing.append(name)
    return found, missing


def yardsticks():
    """Those of the yardsticks that are installed."""
    found = []
    for name, package, fresh in YARDSTICKS:
        with contextlib.suppress(ImportError):
            found.append(Yardstick(name, package, fresh))
    return found
