"""Train a small network on real handwritten digits with NumPy and cyact.

The network is plain NumPy (`@` for the layers, Adam for the updates); cyact supplies the
activations, their backward pass and the loss. The data are the 1,797 scanned digits that ship
inside scikit-learn, so nothing is downloaded.

    python examples/digits.py
    python examples/digits.py --activation silu --epochs 60 --output silu.png
"""

import sys
import time
from itertools import pairwise

import common
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import cyact

REQUIRED_ACCURACY = 0.97
LAYERS = (64, 256, 128, 10)
BATCH = 64


class Cyact:
    """The mathematics of the network, from cyact: three calls."""

    name = "cyact"

    def __init__(self, activation):
        self.activation = getattr(cyact, activation)
        self.backward = getattr(cyact.backward, activation)

    def loss(self, logits, labels):
        """Mean cross-entropy and its gradient with respect to the logits."""
        return cyact.cross_entropy(logits, labels, return_grad=True)


class Network:
    """A multi-layer perceptron: linear layers with one activation between them."""

    def __init__(self, math, layers=LAYERS, seed=0):
        self.math = math
        self.clock = Clock()
        rng = np.random.default_rng(seed)
        self.weights = [rng.normal(0, np.sqrt(2 / n), (n, m)).astype(np.float32)
                        for n, m in pairwise(layers)]
        self.biases = [np.zeros(m, np.float32) for m in layers[1:]]
        self.optimizer = Adam(self.weights + self.biases)

    def forward(self, images):
        """Return each layer's input, and what the activations were applied to."""
        inputs, sums = [images], []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            sums.append(inputs[-1] @ weight + bias)
            if len(sums) < len(self.weights):
                inputs.append(self.clock(self.math.activation, sums[-1]))
        return inputs, sums

    def logits(self, images):
        """The network's answer: one number for each class."""
        return self.forward(images)[1][-1]

    def step(self, images, labels):
        """Learn from one mini-batch and return its loss."""
        inputs, sums = self.forward(images)
        loss, grad = self.clock(self.math.loss, sums[-1], labels)
        weight_grads, bias_grads = [], []
        for layer in reversed(range(len(self.weights))):
            weight_grads.insert(0, inputs[layer].T @ grad)
            bias_grads.insert(0, grad.sum(axis=0))
            if layer > 0:
                grad = self.clock(self.math.backward, grad @ self.weights[layer].T,
                                  sums[layer - 1])
        self.optimizer.update(weight_grads + bias_grads)
        return float(loss)


class Adam:
    """Kingma & Ba, "Adam: a method for stochastic optimization", 2015."""

    def __init__(self, parameters, rate=3e-3, decay=(0.9, 0.999), eps=1e-8):
        self.parameters, self.rate, self.decay, self.eps = parameters, rate, decay, eps
        self.mean = [np.zeros_like(p) for p in parameters]
        self.square = [np.zeros_like(p) for p in parameters]
        self.steps = 0

    def update(self, grads):
        """Move every parameter, in place, against its gradient."""
        self.steps += 1
        b1, b2 = self.decay
        rate = self.rate * (1 - b2**self.steps) ** 0.5 / (1 - b1**self.steps)
        for p, g, m, v in zip(self.parameters, grads, self.mean, self.square, strict=True):
            m += (1 - b1) * (g - m)
            v += (1 - b2) * (g * g - v)
            p -= rate * m / (np.sqrt(v) + self.eps)


class Clock:
    """Calls functions and adds up the seconds spent in them."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self, function, *args):
        """Return function(*args)."""
        start = time.perf_counter()
        result = function(*args)
        self.seconds += time.perf_counter() - start
        return result


def shifted_copies(images):
    """Add to the images their copies moved by one pixel left, right, up and down.

    A digit stays the same digit when it moves; seeing that cuts the mistakes in half.
    """
    padded = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    moves = [(1, 1), (1, 0), (1, 2), (0, 1), (2, 1)]
    return np.concatenate([padded[:, i:i + 8, j:j + 8].reshape(-1, 64) for i, j in moves])


def epoch(network, images, labels, order):
    """Learn once from every image, in the given order; return the mean loss."""
    losses = [network.step(images[batch], labels[batch])
              for batch in np.array_split(order, max(1, len(order) // BATCH))]
    return float(np.mean(losses))


def train(networks, images, labels, epochs, seed):
    """Train the networks side by side on the same batches; return losses and seconds of each.

    They take turns within every epoch, and in who begins, so that a busy machine slows all
    of them alike.
    """
    losses = [[] for _ in networks]
    clocks = [Clock() for _ in networks]
    rng = np.random.default_rng(seed)
    progress = tqdm(range(epochs), desc="training", unit="epoch")
    for number in progress:
        order = rng.permutation(len(images))
        turns = range(len(networks)) if number % 2 else reversed(range(len(networks)))
        for i in turns:
            losses[i].append(clocks[i](epoch, networks[i], images, labels, order))
        progress.set_postfix(loss=f"{losses[0][-1]:.4f}")
    return losses, [clock.seconds for clock in clocks]


# What the same network costs without cyact: the expressions one writes in plain NumPy.
# NumPy has no erf; SciPy, which scikit-learn needs anyway, lends its own for gelu.

def numpy_sigmoid(x):
    """1 / (1 + e^-x), as one writes it."""
    return 1 / (1 + np.exp(-x))


def numpy_gelu(x):
    """The normal distribution function at x, times x."""
    from scipy.special import erf

    return 0.5 * x * (1 + erf(x * np.float32(0.5**0.5)))


def numpy_gelu_backward(grad, x):
    """Gradient of gelu: the distribution plus x times its density."""
    from scipy.special import erf

    density = np.exp(-0.5 * x * x) * np.float32((2 * np.pi) ** -0.5)
    return grad * (0.5 * (1 + erf(x * np.float32(0.5**0.5))) + x * density)


def numpy_silu_backward(grad, x):
    """Gradient of x * sigmoid(x)."""
    s = numpy_sigmoid(x)
    return grad * s * (1 + x * (1 - s))


def numpy_sigmoid_backward(grad, x):
    """Gradient of sigmoid, s * (1 - s)."""
    s = numpy_sigmoid(x)
    return grad * s * (1 - s)


NUMPY = {  # name: (value, backward)
    "identity": (np.copy, lambda grad, x: grad),
    "relu": (lambda x: np.maximum(x, 0), lambda grad, x: grad * (x > 0)),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.01 * x),
                   lambda grad, x: np.where(x > 0, grad, 0.01 * grad)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
            lambda grad, x: grad * np.exp(np.minimum(x, 0))),
    "sigmoid": (numpy_sigmoid, numpy_sigmoid_backward),
    "tanh": (np.tanh, lambda grad, x: grad * (1 - np.tanh(x) ** 2)),
    "softplus": (lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
                 lambda grad, x: grad * numpy_sigmoid(x)),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda grad, x: grad / (1 + np.abs(x)) ** 2),
    "silu": (lambda x: x * numpy_sigmoid(x), numpy_silu_backward),
    "gelu": (numpy_gelu, numpy_gelu_backward),
}


class PlainNumPy:
    """The same three calls as `Cyact`, from NumPy expressions."""

    name = "NumPy expressions"

    def __init__(self, activation):
        self.activation, self.backward = NUMPY[activation]

    def loss(self, logits, labels):
        """Mean cross-entropy and its gradient with respect to the logits."""
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        rows = np.arange(len(labels))
        grad = np.exp(log_p)
        grad[rows, labels] -= 1
        grad /= len(labels)
        return -log_p[rows, labels].mean(), grad


def draw(path, losses, images, labels, probabilities):
    """Save the loss curve, the confusion matrix and predictions, the mistakes among them."""
    predicted = probabilities.argmax(axis=1)
    accuracy = np.mean(predicted == labels)
    figure = Figure(figsize=(12, 9), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.35, 1])

    curve, matrix = top.subplots(1, 2)
    curve.semilogy(np.arange(1, len(losses) + 1), losses, color="tab:blue", linewidth=2)
    curve.set(title="Training loss", xlabel="epoch", ylabel="mean cross-entropy")
    curve.xaxis.set_major_locator(MaxNLocator(integer=True))
    curve.grid(alpha=0.3, which="both")

    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, predicted), 1)
    # The diagonal dwarfs the mistakes; on a logarithmic colour scale a single one shows.
    matrix.imshow(np.log1p(counts), cmap="Blues")
    for true, guess in zip(*np.nonzero(counts), strict=True):
        mistake = true != guess
        matrix.text(guess, true, counts[true, guess], ha="center", va="center",
                    color="crimson" if mistake else "white",
                    weight="bold" if mistake else "normal")
    matrix.set(title=f"Held-out digits: {accuracy:.1%} of {len(labels)} right",
               xlabel="predicted", ylabel="true", xticks=range(10), yticks=range(10))

    mistakes = np.flatnonzero(predicted != labels)
    worst = mistakes[np.argsort(-probabilities[mistakes, predicted[mistakes]])][:8]
    right = np.flatnonzero(predicted == labels)
    unsure = right[np.argsort(probabilities[right, predicted[right]])][: 12 - len(worst)]
    shown = np.concatenate([worst, unsure])
    bottom.suptitle(f"Softmax probabilities of the hardest digits: {len(worst)} of the "
                    f"{len(mistakes)} mistakes, predicted ≠ true (red), then the right answers "
                    "it was least sure of")
    axes = bottom.subplots(2, 12, height_ratios=[1, 1.4], squeeze=False)
    for i, (image_axis, bars) in enumerate(axes.T):
        image_axis.axis("off")
        bars.axis("off")
        if i >= len(shown):
            continue
        at = shown[i]
        wrong = predicted[at] != labels[at]
        image_axis.imshow(images[at].reshape(8, 8), cmap="gray_r")
        image_axis.set_title(f"{predicted[at]} ≠ {labels[at]}" if wrong else f"{predicted[at]}",
                             color="crimson" if wrong else "black", fontsize=12)
        bars.axis("on")
        colors = ["tab:green" if k == labels[at] else "crimson" if k == predicted[at]
                  else "lightgray" for k in range(10)]
        bars.barh(range(10), probabilities[at], color=colors)
        bars.set(xlim=(0, 1), ylim=(9.6, -0.6), xticks=[], yticks=range(10))
        bars.tick_params(axis="y", labelsize=8, length=0)
        bars.set_xlabel(f"{probabilities[at, predicted[at]]:.0%}", fontsize=9)
        for side in ("top", "right", "bottom"):
            bars.spines[side].set_visible(False)

    common.save(figure, path)


def report_costs(networks, seconds, steps):
    """Print where the time went, and the ratio between the networks."""
    print(f"\nCost of the same {steps:,} training steps:")
    for network, total in zip(networks, seconds, strict=True):
        share = network.clock.seconds / total
        print(f"  {network.math.name:18}{total:6.2f} s, of which {network.clock.seconds:5.2f} s "
              f"({share:4.0%}) in activations, their backward and the loss")
    if len(networks) == 2:
        ours, plain = networks
        print(f"  NumPy expressions take {plain.clock.seconds / ours.clock.seconds:.1f} times as "
              f"long for these functions, {seconds[1] / seconds[0]:.2f} times for all of the "
              "training (the rest is matrix products and Adam, the same in both).")
    else:
        print(f"  ({networks[0].math.name} alone: no plain NumPy expression for this activation)")


def compare_sigmoid_and_softmax():
    """Print what the two make of the same logits, and what that means."""
    logits = np.array([-0.5, 1.2, -0.1, 2.4], dtype=np.float32)
    rows = {"logits": logits, "softmax": cyact.softmax(logits), "sigmoid": cyact.sigmoid(logits)}
    print("\nSoftmax or sigmoid at the output?")
    for name, values in rows.items():
        digits = 1 if name == "logits" else 2
        print(f"  {name}", *(f"{value:6.{digits}f}" for value in values))
    print("  softmax: the labels exclude each other (this is one of the ten digits), so the "
          "probabilities sum to 1.\n"
          "  sigmoid: the labels are independent (a photo may show a cat and a dog), so each "
          "has its own probability.")


def arguments(argv):
    """Read and check the command line."""
    activations = [name for name, record in cyact.catalog.items() if record.kind == "elementwise"]
    parser = common.command_line(__doc__, "digits.png")
    parser.add_argument("--activation", choices=activations, default="gelu", metavar="NAME",
                        help=f"activation of the hidden layers: {', '.join(activations)}")
    parser.add_argument("--epochs", type=common.positive, default=20, help="passes over the data")
    return parser.parse_args(argv)


def main(argv=None):
    """Train, draw, report; return the exit status."""
    options = arguments(argv)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=0.25, stratify=labels, random_state=options.seed)
    print(f"{len(train_x)} digits to learn from, {len(test_x)} held out; layers "
          f"{' - '.join(map(str, LAYERS))}, {options.activation}")

    train_x, train_y = shifted_copies(train_x), np.tile(train_y, 5)
    maths = [Cyact] + [PlainNumPy] * (options.activation in NUMPY)
    networks = [Network(math(options.activation), seed=options.seed) for math in maths]
    # These matrices are too small for several BLAS threads, which would also make the last
    # bits depend on the number of cores. (threadpoolctl comes with scikit-learn.)
    with threadpool_limits(1, user_api="blas"):
        losses, seconds = train(networks, train_x, train_y, options.epochs, options.seed)

    probabilities = cyact.softmax(networks[0].logits(test_x))
    accuracy = float(np.mean(probabilities.argmax(axis=1) == test_y))
    draw(options.output, losses[0], test_x, test_y, probabilities)
    print(f"loss {losses[0][0]:.4f} -> {losses[0][-1]:.4f}; accuracy on held-out digits "
          f"{accuracy:.2%}; picture in {options.output}")
    report_costs(networks, seconds, networks[0].optimizer.steps)
    compare_sigmoid_and_softmax()

    if accuracy < REQUIRED_ACCURACY:
        print(f"\nFAILED: {accuracy:.2%} of the held-out digits are right, "
              f"{REQUIRED_ACCURACY:.0%} are expected", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
