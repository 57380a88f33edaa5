"""Who takes part: how each library runs what its users write for a function (peers.py).

Statements are text, as for `timeit`: nothing of ours is called between the clock and the
contender, and the JSON says what was timed. Every contender gets the names in them as its own kind
of array over the same memory. To add a contender, add a class to `CONTENDERS`.
"""

import contextlib
import importlib
import importlib.metadata
import re
from functools import cache
from typing import ClassVar, NamedTuple

import numpy as np

from . import numpy_rows, tables
from .accuracy import dtype_of
from .catalog import ELEMENTWISE, LOSSES, ROWS
from .peers import EXPRESSIONS
from .timing import Bound, array, cores


class Arrays(NamedTuple):
    """The memory of one case, shared by all contenders."""

    x: np.ndarray
    y: np.ndarray
    axis: int = -1
    target: np.ndarray | None = None


def known(function, library):
    """A library's entry for a function; for "backward.gelu" its operator."""
    if function not in EXPRESSIONS and function.startswith("backward."):
        function, library = function.removeprefix("backward."), f"{library} backward"
    return EXPRESSIONS.get(function, {}).get(library)


def statements(entry):
    """(fresh, into y) of an entry of NumPy, SciPy or torch; None where there is none."""
    if isinstance(entry, str):
        operator = re.fullmatch(r"(aten\.\w+)\((.*)\)", entry)
        return entry, (f"{operator[1]}.grad_input({operator[2]}, grad_input=y)" if operator
                       else f"{entry[:-1]}, out=y)")
    fresh, into = *entry, *[None] * (2 - len(entry))
    if into:
        into = "; ".join(re.sub(r"^(\w+)\((.*)\)$", r"np.\1(\2, out=y)", step)
                         for step in into.split("; "))
    return fresh, into


class Contender:
    """What all have in common: statements of peers.py in NumPy's arrays."""

    name = ""
    package = ""
    dtypes = ("float32", "float64")

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

    def statements(self, function):
        """(fresh, into y), None where it has none."""
        entry = known(function, self.name)
        return (None, None) if entry is None else statements(entry)

    def names(self, function, arrays):
        """Names for the statements."""
        names = {"np": np, "rows": numpy_rows, "t": np.empty_like(arrays.x), "g": None, "s": None,
                 "one": np.ones(1, arrays.x.dtype), "weight": np.full(1, 0.25, arrays.x.dtype),
                 **arrays._asdict()}
        for key, make in LOSSES.get(function, {}).items():
            names[key] = np.ascontiguousarray(make(arrays.x, arrays.axis), arrays.x.dtype)
        if function in ROWS and function.startswith("backward."):
            names["g"] = np.ascontiguousarray(np.flip(arrays.x, arrays.axis))
            output = getattr(numpy_rows, function.removeprefix("backward."))
            names["s"] = output(arrays.x, arrays.axis)
        elif function.startswith("backward."):
            names["g"] = np.ones_like(arrays.x)
        return names

    def bind(self, function, arrays, fresh, threads):
        """Return a `Bound`, or None where it has nothing to offer."""
        del threads
        statement = self.statements(function)[0 if fresh else 1]
        if statement is None:
            return None
        return Bound(statement, self.names(function, arrays), "" if fresh else "y")

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

    def value(self, function):
        """A function of an array, or None where it has none."""
        def run(x):
            bound = self.bind(function, Arrays(x, x), True, 1)
            if bound is None:
                raise TypeError(f"{self.name} has no {function} of {x.dtype}")
            return bound.result()
        return run if known(function, self.name) is not None else None

    def derivative(self, function):
        """Its derivative by automatic differentiation, or None."""
        del function


class Cyact(Contender):
    name = package = "cyact"
    # {function: (operands, whether it takes out=)}
    rows: ClassVar[dict] = {
        "softmax": ("x", True), "log_softmax": ("x", True), "logsumexp": ("x", False),
        "backward.softmax": ("g, output=s", True), "backward.log_softmax": ("g, output=s", True),
        "cross_entropy": ("x, target", False), "nll_loss": ("s, target", False),
        "focal_loss": ("x, target", False), "binary_cross_entropy": ("s, q", False),
        "binary_cross_entropy_with_logits": ("x, q", False), "kl_div": ("s, q", False),
    }

    def statements(self, function):
        if function in self.rows:
            operands, into = self.rows[function]
            # losses that are not along an axis take two arrays of the same shape
            end = "" if operands.endswith("q") else ", axis=axis"
            call = f"cyact.{function}({operands}{end}"
            return (f"{call}{', return_grad=True' if function in LOSSES else ''})",
                    f"{call}, out=y)" if into else None)
        entry = ELEMENTWISE[function.removeprefix("backward.")]
        if function.startswith("backward."):
            operands = "g, output=s" if entry.given_output else "g, x"
            call = f"cyact.backward.{entry.case.name}({operands}{entry.parameters}"
        else:
            call = f"cyact.{entry.case.name}(x{entry.parameters}"
        return f"{call})", f"{call}, out=y)"

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
        names = super().names(function, arrays) | {"cyact": self.module}
        entry = ELEMENTWISE.get(function.removeprefix("backward."))
        if entry is not None and function.startswith("backward.") and entry.given_output:
            names["s"] = entry.case.value(arrays.x)
        return names


class NumPy(Contender):
    """Plain expressions. Fresh: what one writes. Into y: without temporaries where possible."""

    name, package = "NumPy", "numpy"
    dtypes = ("float16", "float32", "float64")


class SciPy(Contender):
    """scipy.special, with NumPy around it."""

    name, package = "SciPy", "scipy"

    def names(self, function, arrays):
        special = importlib.import_module("scipy.special")
        return super().names(function, arrays) | {"special": special}


class Torch(Contender):
    """PyTorch in inference mode.

    `nn` is the module torch.nn.functional itself calls, where functions take `out`; backward
    passes are the operators autograd calls. What the forward pass saved for them (`s`: f(x), or
    log_sigmoid's exponentials) is computed beforehand.
    """

    name, package = "torch", "torch"
    dtypes = ("float16", "bfloat16", "float32", "float64")

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
        names = {key: self._tensor(value) if isinstance(value, np.ndarray) else value
                 for key, value in super().names(function, arrays).items()}
        with torch.inference_mode():
            if function == "backward.log_sigmoid":
                names["s"] = torch.ops.aten.log_sigmoid_forward(names["x"])[1]
            elif function in ("backward.sigmoid", "backward.tanh"):
                names["s"] = getattr(torch, function.removeprefix("backward."))(names["x"])
        return names | {"torch": torch, "nn": torch._C._nn, "aten": torch.ops.aten,
                        "cross_entropy": self._cross_entropy, "nll_loss": self._nll_loss}

    def _tensor(self, values):
        if values.dtype.kind != "V":
            return self.module.from_numpy(values)
        return self.module.from_numpy(values.view(np.int16)).view(self.module.bfloat16)

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

    def derivative(self, function):
        if known(function, self.name) is None:
            return None

        def run(x):
            names = self.names(function, Arrays(x, x))
            names["x"] = t = self._tensor(x.copy()).requires_grad_()
            eval(self.statements(function)[0], names).backward(self.module.ones_like(t))
            return array(t.grad)
        return run


class NumExpr(Contender):
    """numexpr, compiled beforehand; constants in the dtype of x, or it computes in float64."""

    name = package = "numexpr"
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
        expression = known(function, self.name)
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

    def __init__(self):
        super().__init__()
        self.onnx = importlib.import_module("onnx")
        self.module.set_default_logger_severity(4)
        self._session = cache(self._new_session)

    def bind(self, function, arrays, fresh, threads):
        if known(function, self.name) is None:
            return None
        try:
            session = self._session(function, arrays.x.shape, arrays.x.dtype, arrays.axis, threads)
        except Exception:  # it has no common base class: no kernel for this operator and dtype
            return None
        if fresh:
            return Bound("run(None, feed)", {"run": session.run, "feed": {"x": arrays.x}}, "")
        binding = session.io_binding()
        binding.bind_cpu_input("x", arrays.x)
        binding.bind_output("y", "cpu", 0, arrays.y.dtype, arrays.y.shape, arrays.y.ctypes.data)
        names = {"run": session.run_with_iobinding, "binding": binding, "y": arrays.y}
        return Bound("run(binding)", names, "y")

    def _new_session(self, function, shape, dtype, axis, threads):
        helper = self.onnx.helper
        kind = helper.np_dtype_to_tensor_dtype(dtype)
        entry = known(function, self.name)
        if isinstance(entry, str):
            entry = entry, {}
        steps = entry if isinstance(entry, list) else [(entry[0], "x", entry[1])]
        nodes = []
        for i, (operator, operands, attributes) in enumerate(steps):
            given = {key: axis if value is None else value for key, value in attributes.items()}
            nodes.append(helper.make_node(operator, operands.split(),
                                          ["y" if i == len(steps) - 1 else f"n{i}"], **given))
        ends = [helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
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
        self._compiled = cache(self._compile)

    def note(self):
        return "JAX always uses all cores and has no out=: it appears only where both are so"

    def supports(self, threads):
        return threads == cores()

    def bind(self, function, arrays, fresh, threads):
        if known(function, self.name) is None or not fresh:
            return None
        given = self.names(function, arrays)
        operands = self._operands(function)
        names = {"f": self._compiled(function, arrays.axis, "value"),
                 "wait": self.module.block_until_ready}
        names |= {key: self.module.device_put(given[key]) for key in operands}
        return Bound(f"wait(f({', '.join(operands)}))", names, "")

    def derivative(self, function):
        if known(function, self.name) is None:
            return None
        compiled = self._compiled(function, -1, "derivative")
        return lambda x: np.asarray(compiled(x))

    @staticmethod
    def _operands(function):
        if function not in LOSSES:
            return ["x"]
        given = LOSSES[function]
        return ["s" if "s" in given else "x", "q" if "q" in given else "target"]

    def _compile(self, function, axis, what):
        jax, jnp = self.module, self.module.numpy

        def picked(s, target, axis):
            return jnp.take_along_axis(s, jnp.expand_dims(target, axis), axis)

        f = eval(f"lambda {', '.join(self._operands(function))}: {known(function, self.name)}",
                 {"nn": jax.nn, "jnp": jnp, "special": jax.scipy.special, "axis": axis,
                  "picked": picked})
        if function in LOSSES:
            return jax.jit(jax.value_and_grad(f))
        if what == "derivative":
            return jax.jit(lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1])
        return jax.jit(f)


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


def facts(found):
    """Machine, versions and settings that the numbers of these contenders depend on."""
    ours = next(c for c in found if c.name == "cyact")
    return tables.environment(ours.module, {c.name: c.version for c in found},
                              [note for c in found if (note := c.note())])


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
