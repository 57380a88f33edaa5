"""What users of other libraries write for a function: one table for benchmarks, tests and tools.

A function's entry names libraries; each says what its user writes for a fresh result, and its best
form into the array `y`:

NumPy, SciPy, torch  (fresh, into y), (fresh,) where there is no such form, or one call that takes
                     `out=y` as well. `add(x, 1)` into y is short for `np.add(x, 1, out=y)`.
torch backward       the operator that autograd calls; into y by its overload `grad_input`
numexpr              the expression
ORT                  an operator, (operator, attributes), or nodes [(operator, inputs, attributes)],
                     `n0` being the first one's output
jax                  the expression of arrays, compiled beforehand; of a loss, which is
                     differentiated

`x` is the input, `t` scratch, `g` an incoming gradient, `s` a saved output or a first operand other
than x, `q` probabilities, `target` classes along `axis`. Parameters are the first ones of
tests/cases.py; a choice stands in brackets, as in gelu(tanh). To add a function, add its entry.
"""

EXPRESSIONS = {
    "identity": {
        "NumPy": ("x.copy()", "np.copyto(y, x)"), "torch": ("torch.clone(x)", "y.copy_(x)"),
        "numexpr": "x", "ORT": "Identity", "jax": "x.copy()",
    },
    "step": {"NumPy": "np.heaviside(x, one)", "torch": "torch.heaviside(x, one)"},
    "relu": {
        "NumPy": "np.maximum(x, 0)", "torch": ("torch.relu(x)", "torch.clamp_min(x, 0, out=y)"),
        "torch backward": "aten.threshold_backward(g, x, 0)", "numexpr": "where(x > 0, x, zero)",
        "ORT": "Relu", "jax": "nn.relu(x)",
    },
    "relu6": {
        "NumPy": "np.clip(x, 0, 6)", "torch": ("nn.relu6(x)", "nn.hardtanh(x, 0, 6, out=y)"),
        "torch backward": "aten.hardtanh_backward(g, x, 0, 6)",
        "numexpr": "where(x < zero, zero, where(x > six, six, x))", "jax": "nn.relu6(x)",
    },
    "relu_k": {
        "NumPy": "np.clip(x, 0, 6)", "torch": "nn.hardtanh(x, 0, 6)",
        "torch backward": "aten.hardtanh_backward(g, x, 0, 6)",
    },
    "squared_relu": {
        "NumPy": ("np.square(np.maximum(x, 0))", "maximum(x, 0); square(y)"),
        "torch": ("torch.relu(x).square()", "torch.clamp_min(x, 0, out=y); y.square_()"),
        "numexpr": "where(x > 0, x * x, zero)",
    },
    "leaky_relu": {
        "NumPy": ("np.maximum(x, 0.01 * x)", "multiply(x, 0.01); maximum(x, y)"),
        "torch": "nn.leaky_relu(x, 0.01)",
        "torch backward": "aten.leaky_relu_backward(g, x, 0.01, False)",
        "numexpr": "where(x > 0, x, slope * x)", "ORT": ("LeakyRelu", {"alpha": 0.01}),
        "jax": "nn.leaky_relu(x)",
    },
    "prelu": {
        "NumPy": ("np.maximum(x, 0.25 * x)", "multiply(x, 0.25); maximum(x, y)"),
        "torch": ("torch.prelu(x, weight)",),
    },
    "rrelu": {
        "NumPy": ("np.maximum(x, 11 / 48 * x)", "multiply(x, 11 / 48); maximum(x, y)"),
        "torch": ("torch.rrelu(x)",),
    },
    "noisy_relu": {
        "NumPy": "np.maximum(x, 0)", "torch": ("torch.relu(x)", "torch.clamp_min(x, 0, out=y)"),
    },
    "threshold": {
        "NumPy": ("np.where(x > 1, x, x.dtype.type(0))",), "torch": "torch.threshold(x, 1, 0)",
        "torch backward": "aten.threshold_backward(g, x, 1)",
    },
    "thresholded_relu": {
        "NumPy": ("x * (x > 1)", "greater(x, 1); multiply(x, y)"),
        "torch": "torch.threshold(x, 1, 0)", "torch backward": "aten.threshold_backward(g, x, 1)",
        "ORT": ("ThresholdedRelu", {"alpha": 1.0}),
    },
    "elu": {
        "NumPy": ("np.maximum(x, np.expm1(np.minimum(x, 0)))",
                  "minimum(x, 0); expm1(y); maximum(x, y)"),
        "torch": "nn.elu(x)", "torch backward": "aten.elu_backward(g, 1, 1, 1, False, x)",
        "numexpr": "where(x > 0, x, expm1(x))", "ORT": "Elu", "jax": "nn.elu(x)",
    },
    "celu": {
        "NumPy": ("np.maximum(x, 0) + np.minimum(0, np.expm1(x))",),
        "torch": ("torch.celu(x)", "nn.elu(x, 1, 1, 1, out=y)"),
        "torch backward": "aten.elu_backward(g, 1, 1, 1, False, x)", "ORT": "Celu",
        "jax": "nn.celu(x)",
    },
    "selu": {
        "NumPy": ("1.0507009873554805 * np.where("
                  "x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))",),
        "torch": ("torch.selu(x)", "nn.elu(x, 1.6732632423543772, 1.0507009873554805, 1, out=y)"),
        "torch backward": "aten.elu_backward("
                          "g, 1.6732632423543772, 1.0507009873554805, 1, False, x)",
        "numexpr": "where(x > 0, lam * x, lam_alpha * expm1(x))",
        "ORT": ("Selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
        "jax": "nn.selu(x)",
    },
    "gelu": {
        "SciPy": ("x * special.ndtr(x)", "special.ndtr(x, out=y); multiply(x, y)"),
        "torch": "nn.gelu(x)", "torch backward": "aten.gelu_backward(g, x)", "ORT": "Gelu",
        "jax": "nn.gelu(x, approximate=False)",
    },
    "gelu(tanh)": {
        "NumPy": ("0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))",
                  "multiply(x, x); multiply(y, 0.044715); add(y, 1); multiply(y, x); "
                  "multiply(y, 0.7978845608028654); tanh(y); add(y, 1); multiply(y, x); "
                  "multiply(y, 0.5)"),
        "torch": "nn.gelu(x, approximate='tanh')",
        "torch backward": "aten.gelu_backward(g, x, approximate='tanh')",
        "numexpr": "x / (1 + exp(scale * (x + cubic * x * x * x)))",
        "ORT": ("Gelu", {"approximate": "tanh"}), "jax": "nn.gelu(x, approximate=True)",
    },
    "gelu(sigmoid)": {
        "NumPy": ("x / (1 + np.exp(-1.702 * x))",
                  "multiply(x, -1.702); exp(y); add(y, 1); divide(x, y)"),
        "SciPy": ("x * special.expit(1.702 * x)",
                  "multiply(x, 1.702); special.expit(y, out=y); multiply(x, y)"),
        "torch": ("torch.sigmoid(1.702 * x) * x",
                  "torch.mul(x, 1.702, out=y); y.sigmoid_(); y.mul_(x)"),
    },
    "silu": {
        "NumPy": ("x / (1 + np.exp(-x))", "negative(x); exp(y); add(y, 1); divide(x, y)"),
        "SciPy": ("x * special.expit(x)", "special.expit(x, out=y); multiply(x, y)"),
        "torch": "nn.silu(x)", "torch backward": "aten.silu_backward(g, x)",
        "numexpr": "x / (1 + exp(-x))", "ORT": [("Sigmoid", "x", {}), ("Mul", "x n0", {})],
        "jax": "nn.silu(x)",
    },
    "mish": {
        "NumPy": ("x * np.tanh(np.log1p(np.exp(x)))", "exp(x); log1p(y); tanh(y); multiply(x, y)"),
        "torch": "nn.mish(x)", "torch backward": ("aten.mish_backward(g, x)",), "ORT": "Mish",
        "jax": "nn.mish(x)",
    },
    "sigmoid": {
        "NumPy": ("1 / (1 + np.exp(-x))", "negative(x); exp(y); add(y, 1); divide(1, y)"),
        "SciPy": "special.expit(x)", "torch": "torch.sigmoid(x)",
        "torch backward": "aten.sigmoid_backward(g, s)", "numexpr": "1 / (1 + exp(-x))",
        "ORT": "Sigmoid", "jax": "nn.sigmoid(x)",
    },
    "generalized_logistic": {"NumPy": ("(1 + np.exp(-x)) ** -1.0",)},
    "log_sigmoid": {
        "NumPy": ("np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))",
                  "abs(x); negative(y); exp(y); log1p(y); "
                  "np.minimum(x, 0, out=t); subtract(t, y)"),
        "SciPy": "special.log_expit(x)", "torch": "nn.log_sigmoid(x)",
        "torch backward": "aten.log_sigmoid_backward(g, x, s)",
        "numexpr": "where(x < 0, x, zero) - log1p(exp(-abs(x)))",
        "ORT": [("Sigmoid", "x", {}), ("Log", "n0", {})], "jax": "nn.log_sigmoid(x)",
    },
    "logit": {
        "NumPy": ("np.log(x / (1 - x))", "subtract(1, x); divide(x, y); log(y)"),
        "SciPy": "special.logit(x)", "torch": "torch.logit(x)",
        "torch backward": "aten.logit_backward(g, x)", "numexpr": "log(x / (1 - x))",
        "jax": "special.logit(x)",
    },
    "hard_sigmoid": {
        "NumPy": ("np.clip(x / 6 + 0.5, 0, 1)", "divide(x, 6); add(y, 0.5); clip(y, 0, 1)"),
        "torch": "nn.hardsigmoid(x)", "torch backward": "aten.hardsigmoid_backward(g, x)",
        "ORT": ("HardSigmoid", {"alpha": 0.16666666666666666, "beta": 0.5}),
        "jax": "nn.hard_sigmoid(x)",
    },
    "hard_swish": {
        "NumPy": ("x * np.clip(x / 6 + 0.5, 0, 1)",
                  "divide(x, 6); add(y, 0.5); clip(y, 0, 1); multiply(x, y)"),
        "torch": "nn.hardswish(x)",
        "torch backward": ("aten.hardswish_backward(g, x)",
                           "aten.hardswish_backward.out(g, x, out=y)"),
        "ORT": "HardSwish", "jax": "nn.hard_swish(x)",
    },
    "tanh": {
        "NumPy": "np.tanh(x)", "torch": "torch.tanh(x)",
        "torch backward": "aten.tanh_backward(g, s)", "numexpr": "tanh(x)", "ORT": "Tanh",
        "jax": "jnp.tanh(x)",
    },
    "hard_tanh": {
        "NumPy": "np.clip(x, -1, 1)", "torch": "nn.hardtanh(x)",
        "torch backward": "aten.hardtanh_backward(g, x, -1, 1)",
        "numexpr": "where(x < -1, -one, where(x > 1, one, x))", "jax": "nn.hard_tanh(x)",
    },
    "softplus": {
        "NumPy": ("np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))",
                  "abs(x); negative(y); exp(y); log1p(y); np.maximum(x, 0, out=t); add(y, t)"),
        "SciPy": "special.softplus(x)", "torch": "nn.softplus(x)",
        "torch backward": "aten.softplus_backward(g, x, 1, 20)",
        "numexpr": "where(x > 0, x, zero) + log1p(exp(-abs(x)))", "ORT": "Softplus",
        "jax": "nn.softplus(x)",
    },
    "softsign": {
        "NumPy": ("x / (1 + np.abs(x))", "abs(x); add(y, 1); divide(x, y)"),
        "torch": ("torch.div(x, torch.abs(x).add_(1))",
                  "torch.abs(x, out=y); y.add_(1); torch.div(x, y, out=y)"),
        "numexpr": "x / (1 + abs(x))", "ORT": "Softsign", "jax": "nn.soft_sign(x)",
    },
    "squareplus": {
        "NumPy": ("(x + np.sqrt(x * x + 4)) / 2",
                  "multiply(x, x); add(y, 4); sqrt(y); add(x, y); divide(y, 2)"),
        "numexpr": "(x + sqrt(x * x + 4)) / 2", "jax": "nn.squareplus(x)",
    },
    "algebraic_sigmoid": {
        "NumPy": ("x / np.sqrt(1 + x * x)", "multiply(x, x); add(y, 1); sqrt(y); divide(x, y)"),
        "numexpr": "x / sqrt(1 + x * x)",
    },
    "isrlu": {
        "NumPy": ("np.where(x < 0, x / np.sqrt(1 + x * x), x)",
                  "multiply(x, x); add(y, 1); sqrt(y); divide(x, y); maximum(x, y)"),
        "numexpr": "where(x < 0, x / sqrt(1 + x * x), x)",
    },
    "arctan": {
        "NumPy": "np.arctan(x)", "torch": "torch.atan(x)", "numexpr": "arctan(x)", "ORT": "Atan",
        "jax": "jnp.arctan(x)",
    },
    "gudermannian": {
        "NumPy": ("2 * np.arctan(np.tanh(x / 2))",
                  "divide(x, 2); tanh(y); arctan(y); multiply(y, 2)"),
        "numexpr": "2 * arctan(tanh(x / 2))",
    },
    "erf": {
        "SciPy": "special.erf(x)", "torch": "torch.erf(x)", "ORT": "Erf", "jax": "special.erf(x)",
    },
    "erfc": {"SciPy": "special.erfc(x)", "torch": "torch.erfc(x)", "jax": "special.erfc(x)"},
    "ndtr": {
        "SciPy": "special.ndtr(x)", "torch": "torch.special.ndtr(x)", "jax": "special.ndtr(x)",
    },
    "log_ndtr": {
        "SciPy": "special.log_ndtr(x)", "torch": "torch.special.log_ndtr(x)",
        "jax": "special.log_ndtr(x)",
    },
    "exp": {
        "NumPy": "np.exp(x)", "torch": "torch.exp(x)", "numexpr": "exp(x)", "ORT": "Exp",
        "jax": "jnp.exp(x)",
    },
    "expm1": {
        "NumPy": "np.expm1(x)", "SciPy": "special.expm1(x)", "torch": "torch.expm1(x)",
        "numexpr": "expm1(x)", "jax": "jnp.expm1(x)",
    },
    "log1p": {
        "NumPy": "np.log1p(x)", "SciPy": "special.log1p(x)", "torch": "torch.log1p(x)",
        "numexpr": "log1p(x)", "jax": "jnp.log1p(x)",
    },
    "log1mexp": {
        "NumPy": ("np.log(-np.expm1(-x))", "negative(x); expm1(y); negative(y); log(y)"),
        "jax": "nn.log1mexp(x)",
    },
    "gaussian": {
        "NumPy": ("np.exp(-x * x)", "multiply(x, x); negative(y); exp(y)"),
        "numexpr": "exp(-x * x)",
    },
    "bent_identity": {
        "NumPy": ("(np.sqrt(x * x + 1) - 1) / 2 + x",
                  "multiply(x, x); add(y, 1); sqrt(y); subtract(y, 1); divide(y, 2); add(x, y)"),
        "numexpr": "(sqrt(x * x + 1) - 1) / 2 + x",
    },
    "hard_shrink": {
        "NumPy": ("x * (np.abs(x) > 0.5)", "abs(x); greater(y, 0.5); multiply(x, y)"),
        "torch": "torch.hardshrink(x, 0.5)",
        "torch backward": "aten.hardshrink_backward(g, x, 0.5)", "ORT": ("Shrink", {"lambd": 0.5}),
    },
    "soft_shrink": {
        "NumPy": ("x - np.clip(x, -0.5, 0.5)", "clip(x, -0.5, 0.5); subtract(x, y)"),
        "torch": "nn.softshrink(x, 0.5)", "torch backward": "aten.softshrink_backward(g, x, 0.5)",
        "ORT": ("Shrink", {"lambd": 0.5, "bias": 0.5}),
    },
    "tanh_shrink": {
        "NumPy": ("x - np.tanh(x)", "tanh(x); subtract(x, y)"),
        "torch": ("torch.sub(x, torch.tanh(x))", "torch.tanh(x, out=y); torch.sub(x, y, out=y)"),
        "numexpr": "x - tanh(x)", "ORT": [("Tanh", "x", {}), ("Sub", "x n0", {})],
    },
    "sparse_plus": {
        "NumPy": ("np.where(x < 1, np.square(np.maximum(x + 1, 0)) / 4, x)",),
        "jax": "nn.sparse_plus(x)",
    },
    "sparse_sigmoid": {
        "NumPy": ("np.clip((x + 1) / 2, 0, 1)", "add(x, 1); divide(y, 2); clip(y, 0, 1)"),
        "jax": "nn.sparse_sigmoid(x)",
    },
    "dish": {
        "NumPy": ("x / 2 * (1 + x / np.sqrt(1 + x * x))",
                  "multiply(x, x); add(y, 1); sqrt(y); divide(x, y); add(y, 1); multiply(x, y); "
                  "divide(y, 2)"),
        "numexpr": "x / 2 * (1 + x / sqrt(1 + x * x))",
    },
    "softmax": {
        "NumPy": ("rows.softmax(x, axis)",
                  "subtract(x, x.max(axis, keepdims=True)); exp(y); "
                  "divide(y, y.sum(axis, keepdims=True))"),
        "SciPy": ("special.softmax(x, axis)",), "torch": "torch.softmax(x, axis)",
        "ORT": ("Softmax", {"axis": None}), "jax": "nn.softmax(x, axis)",
    },
    "log_softmax": {
        "NumPy": ("rows.log_softmax(x, axis)",
                  "subtract(x, x.max(axis, keepdims=True)); np.exp(y, out=t); "
                  "subtract(y, np.log(t.sum(axis, keepdims=True)))"),
        "SciPy": ("special.log_softmax(x, axis)",), "torch": "torch.log_softmax(x, axis)",
        "ORT": ("LogSoftmax", {"axis": None}), "jax": "nn.log_softmax(x, axis)",
    },
    "logsumexp": {
        "NumPy": ("rows.logsumexp(x, axis)",), "SciPy": ("special.logsumexp(x, axis)",),
        "torch": ("torch.logsumexp(x, axis)",), "jax": "nn.logsumexp(x, axis)",
    },
    "backward.softmax": {
        "NumPy": ("rows.backward_softmax(g, s, axis)",),
        "torch": ("aten._softmax_backward_data(g, s, axis, x.dtype)",
                  "aten._softmax_backward_data.out(g, s, axis, x.dtype, grad_input=y)"),
    },
    "backward.log_softmax": {
        "NumPy": ("rows.backward_log_softmax(g, np.exp(s), axis)",),
        "torch": ("aten._log_softmax_backward_data(g, s, axis, x.dtype)",
                  "aten._log_softmax_backward_data.out(g, s, axis, x.dtype, out=y)"),
    },
    "cross_entropy": {
        "NumPy": ("rows.cross_entropy_grad(x, target, axis)",),
        "torch": ("cross_entropy(x, target, axis)",),
        "jax": "-picked(nn.log_softmax(x, axis), target, axis).mean()",
    },
    "nll_loss": {
        "NumPy": ("rows.nll_loss_grad(s, target, axis)",), "torch": ("nll_loss(s, target)",),
        "jax": "-picked(s, target, axis).mean()",
    },
    "focal_loss": {
        "NumPy": ("rows.focal_loss_grad(x, target, axis)",),
        "jax": "-((1 - jnp.exp(l := picked(nn.log_softmax(x, axis), target, axis))) ** 2"
               " * l).mean()",
    },
    "binary_cross_entropy": {
        "NumPy": ("-(q * np.log(s) + (1 - q) * np.log1p(-s)).mean(), "
                  "(s - q) / (s * (1 - s) * s.size)",),
        "torch": ("aten.binary_cross_entropy(s, q), "
                  "aten.binary_cross_entropy_backward(one, s, q)",),
        "jax": "-(q * jnp.log(s) + (1 - q) * jnp.log1p(-s)).mean()",
    },
    "binary_cross_entropy_with_logits": {
        "NumPy": ("(np.maximum(x, 0) - x * q + np.log1p(np.exp(-np.abs(x)))).mean(), "
                  "(1 / (1 + np.exp(-x)) - q) / x.size",),
        "torch": ("aten.binary_cross_entropy_with_logits(x, q), "
                  "torch.sigmoid(x).sub_(q).mul_(1 / x.numel())",),
        "jax": "-(q * nn.log_sigmoid(x) + (1 - q) * nn.log_sigmoid(-x)).mean()",
    },
    "kl_div": {
        "NumPy": ("(q * (np.log(q) - s)).mean(), q / -q.size",),
        "torch": ("aten.kl_div(s, q), torch.mul(q, -1 / q.numel())",),
        "jax": "(q * (jnp.log(q) - s)).mean()",
    },
}
