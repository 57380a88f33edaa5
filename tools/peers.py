"""Other libraries' activation functions, for tools/errors.py: those with the same meaning."""

import importlib
from functools import cache

import numpy as np

# As tests/cases.py writes functions and their parameters
TORCH = {
    "relu": "F.relu(x)", "relu6": "F.relu6(x)", "squared_relu": "F.relu(x).square()",
    "leaky_relu(0.01)": "F.leaky_relu(x, 0.01)", "threshold(1.0, 0.0)": "F.threshold(x, 1, 0)",
    "elu(1.0)": "F.elu(x)", "celu(1.0)": "F.celu(x)", "selu": "F.selu(x)",
    "sigmoid": "F.sigmoid(x)", "log_sigmoid": "F.logsigmoid(x)",
    "hard_sigmoid(0.16666666666666666, 0.5)": "F.hardsigmoid(x)", "hard_swish": "F.hardswish(x)",
    "tanh": "F.tanh(x)", "hard_tanh(-1.0, 1.0)": "F.hardtanh(x)", "softplus(1.0)": "F.softplus(x)",
    "softsign": "F.softsign(x)", "silu(1.0)": "F.silu(x)", "mish": "F.mish(x)",
    "gelu(none)": "F.gelu(x)", "gelu(tanh)": "F.gelu(x, approximate='tanh')",
    "erf": "m.erf(x)", "erfc": "m.erfc(x)", "ndtr": "m.special.ndtr(x)",
    "log_ndtr": "m.special.log_ndtr(x)", "logit(None)": "m.logit(x)", "arctan": "m.atan(x)",
    "log1p": "m.log1p(x)", "tanh_shrink": "F.tanhshrink(x)", "exp": "m.exp(x)",
    "expm1": "m.expm1(x)", "hard_shrink(0.5)": "F.hardshrink(x)",
    "soft_shrink(0.5)": "F.softshrink(x)",
}
JAX = {
    "relu": "nn.relu(x)", "relu6": "nn.relu6(x)", "leaky_relu(0.01)": "nn.leaky_relu(x)",
    "elu(1.0)": "nn.elu(x)", "celu(1.0)": "nn.celu(x)", "selu": "nn.selu(x)",
    "sigmoid": "nn.sigmoid(x)", "log_sigmoid": "nn.log_sigmoid(x)",
    "hard_sigmoid(0.16666666666666666, 0.5)": "nn.hard_sigmoid(x)",
    "hard_swish": "nn.hard_swish(x)", "tanh": "nn.tanh(x)",
    "hard_tanh(-1.0, 1.0)": "nn.hard_tanh(x)",
    "softplus(1.0)": "nn.softplus(x)", "softsign": "nn.soft_sign(x)",
    "squareplus(4.0)": "nn.squareplus(x)", "silu(1.0)": "nn.silu(x)", "mish": "nn.mish(x)",
    "gelu(none)": "nn.gelu(x, approximate=False)", "gelu(tanh)": "nn.gelu(x, approximate=True)",
    "erf": "s.erf(x)", "erfc": "s.erfc(x)", "ndtr": "s.ndtr(x)", "log_ndtr": "s.log_ndtr(x)",
    "logit(None)": "s.logit(x)", "arctan": "m.numpy.arctan(x)", "log1p": "m.numpy.log1p(x)",
    "log1mexp": "nn.log1mexp(x)", "exp": "m.numpy.exp(x)", "expm1": "m.numpy.expm1(x)",
    "sparse_plus": "nn.sparse_plus(x)", "sparse_sigmoid": "nn.sparse_sigmoid(x)",
}
SCIPY = {"sigmoid": "expit", "log_sigmoid": "log_expit", "softplus(1.0)": "softplus",
         "erf": "erf", "erfc": "erfc", "ndtr": "ndtr", "log_ndtr": "log_ndtr",
         "logit(None)": "logit", "log1p": "log1p", "expm1": "expm1"}
# Operator and attributes
ONNX = {
    "relu": ("Relu", {}), "leaky_relu(0.01)": ("LeakyRelu", {"alpha": 0.01}),
    "thresholded_relu(1.0)": ("ThresholdedRelu", {"alpha": 1.0}), "elu(1.0)": ("Elu", {}),
    "celu(1.0)": ("Celu", {}), "selu": ("Selu", {}), "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid(0.16666666666666666, 0.5)": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_swish": ("HardSwish", {}), "tanh": ("Tanh", {}), "softplus(1.0)": ("Softplus", {}),
    "softsign": ("Softsign", {}), "mish": ("Mish", {}), "gelu(none)": ("Gelu", {}),
    "gelu(tanh)": ("Gelu", {"approximate": "tanh"}), "erf": ("Erf", {}), "arctan": ("Atan", {}),
    "exp": ("Exp", {}), "hard_shrink(0.5)": ("Shrink", {"lambd": 0.5}),
    "soft_shrink(0.5)": ("Shrink", {"lambd": 0.5, "bias": 0.5}),
}


def bfloat16():
    return importlib.import_module("ml_dtypes").bfloat16


def torch(case, what):
    if case not in TORCH:
        return None
    m = importlib.import_module("torch")
    m.set_num_threads(1)
    f = eval(f"lambda x: {TORCH[case]}", {"m": m, "F": m.nn.functional})

    def value(x):
        with m.no_grad():
            return array(f(tensor(x)))

    def derivative(x):
        t = tensor(x).requires_grad_()
        f(t).backward(m.ones_like(t))
        return array(t.grad)

    def tensor(x):
        if x.dtype.kind == "f":
            return m.from_numpy(x.copy())
        return m.from_numpy(x.view(np.int16).copy()).view(m.bfloat16)

    def array(t):
        return t.view(m.int16).numpy().view(bfloat16()) if t.dtype == m.bfloat16 else t.numpy()

    return value if what == "value" else derivative


def jax(case, what):
    if case not in JAX:
        return None
    m = importlib.import_module("jax")
    m.config.update("jax_platforms", "cpu")
    m.config.update("jax_enable_x64", True)
    f = eval(f"lambda x: {JAX[case]}", {"m": m, "nn": m.nn, "s": m.scipy.special})
    if what == "value":
        run = m.jit(f)
    else:
        run = m.jit(lambda x: m.jvp(f, (x,), (m.numpy.ones_like(x),))[1])
    return lambda x: np.asarray(run(x))


def scipy(case, what):
    special = importlib.import_module("scipy.special")
    return getattr(special, SCIPY.get(case, ""), None) if what == "value" else None


def onnxruntime(case, what):
    if case not in ONNX or what != "value":
        return None
    session = cache(lambda dtype: _session(*ONNX[case], dtype))
    return lambda x: session(x.dtype).run(None, {"x": x})[0]


def _session(operator, attributes, dtype):
    helper, runtime = importlib.import_module("onnx.helper"), importlib.import_module("onnxruntime")
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    x, y = (helper.make_tensor_value_info(name, kind, ["n"]) for name in "xy")
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], **attributes)], "f",
                              [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return runtime.InferenceSession(model.SerializeToString(), options,
                                    providers=["CPUExecutionProvider"])


PEERS = {"torch": torch, "scipy": scipy, "jax": jax, "onnxruntime": onnxruntime}


@cache
def function(library, case, what):
    """A library's function of an array, or None where it has none that means the same."""
    return PEERS[library](case, what)
