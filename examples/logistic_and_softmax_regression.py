"""Train logistic and softmax regression on real data, and see when to use sigmoid, when softmax.

Logistic regression tells malignant from benign tumours (scikit-learn's breast-cancer data), softmax
regression tells the ten digits apart, and ten sigmoids do the same without knowing that a digit
is only one of them. All three are linear; cyact supplies loss and gradient in one call, and the
probabilities. The losses are convex, so there is one right answer, and scikit-learn's
LogisticRegression has to find the same. The data ship inside scikit-learn: nothing is downloaded.

    python examples/logistic_and_softmax_regression.py
    python examples/logistic_and_softmax_regression.py --penalty 10 --seed 3 --output strong.svg
"""

import argparse
import sys
from typing import NamedTuple

import common
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import cyact

REQUIRED_ACCURACY = {"tumours": 0.92, "digits": 0.92}
AGREEMENT = 1e-4            # scikit-learn's probabilities are this near, or something is wrong
LOGITS = np.array([-0.5, 1.2, -0.1, 2.4])
SIGMOID, SOFTMAX, WRONG = "tab:orange", "tab:blue", "crimson"


class Data(NamedTuple):
    """What to learn from, and what is held out; also that as it was before scaling."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    unscaled: np.ndarray


class Regression:
    """Linear logits: a column of weights for each output, the last row without penalty."""

    def fit(self, x, labels, penalty):
        """Minimise the mean loss and penalty / (2 n) times the squared weights."""
        inputs, target = with_ones(x), self.target(labels)
        n = len(inputs)
        shrink = np.full((inputs.shape[1], 1), penalty / n)
        shrink[-1] = 0

        def objective(weights):
            loss, grad = self.loss(inputs @ weights, target)
            value = loss / n + 0.5 * (shrink * weights**2).sum()
            return value, inputs.T @ grad / n + shrink * weights

        outputs = target.shape[1] if target.ndim == 2 else target.max() + 1
        steepest = self.curvature * np.linalg.eigvalsh(inputs.T @ inputs / n)[-1] + penalty / n
        self.weights, self.losses = minimize(objective, np.zeros((inputs.shape[1], outputs)),
                                             steepest, penalty / n, self.name)
        return self

    def logits(self, x):
        """One number for each output."""
        return with_ones(x) @ self.weights


class LogisticRegressions(Regression):
    """A sigmoid for each column of the target: independent yes-or-no questions."""

    name = "sigmoid"
    curvature = 0.25        # the second derivative of the loss is s (1 - s)

    def target(self, labels):
        """One column of zeros and ones; for more classes than two, one for each."""
        classes = labels.max() + 1
        return (labels[:, None] == (np.arange(classes) if classes > 2 else [1])).astype(float)

    def loss(self, logits, target):
        """Binary cross-entropy, summed, and its gradient."""
        return cyact.binary_cross_entropy_with_logits(logits, target, reduction="sum",
                                                      return_grad=True)

    def probabilities(self, x):
        """Each answer's own probability."""
        return cyact.sigmoid(self.logits(x))

    def second_opinion(self, x, labels, penalty, test_x):
        """The probabilities of scikit-learn's LogisticRegression, one for each column."""
        return np.column_stack([
            scikit_learn(x, column, penalty).predict_proba(test_x)[:, 1]
            for column in self.target(labels).T])


class SoftmaxRegression(Regression):
    """One softmax over all classes: exactly one of them is right."""

    name = "softmax"
    curvature = 0.5         # largest eigenvalue of diag(p) - p p', D. Böhning 1992

    def target(self, labels):
        """The classes themselves."""
        return labels

    def loss(self, logits, target):
        """Cross-entropy, summed, and its gradient."""
        return cyact.cross_entropy(logits, target, reduction="sum", return_grad=True)

    def probabilities(self, x):
        """Those of the classes, which sum to 1."""
        return cyact.softmax(self.logits(x))

    def second_opinion(self, x, labels, penalty, test_x):
        """The probabilities of scikit-learn's LogisticRegression."""
        return scikit_learn(x, labels, penalty).predict_proba(test_x)


def with_ones(x):
    """Append the column that the bias multiplies."""
    return np.column_stack([x, np.ones(len(x))])


def scikit_learn(x, labels, penalty):
    """Fit the same model by other means, to far below what we compare."""
    return LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=10_000).fit(x, labels)


def minimize(objective, start, steepest, flattest, name, tolerance=1e-8, limit=20_000):
    """Nesterov's accelerated gradient descent; return the minimum and the values on the way.

    The bounds of the curvature are known, and with them the best step and momentum: nothing to
    tune. (Y. Nesterov, "Introductory lectures on convex optimization", 2004, section 2.2.)
    """
    ratio = np.sqrt(flattest / steepest)
    momentum = (1 - ratio) / (1 + ratio)
    here = ahead = start
    values = []
    with tqdm(desc=f"training {name}", unit="step") as progress:
        for _ in range(limit):
            value, grad = objective(ahead)
            values.append(float(value))
            progress.update()
            progress.set_postfix(loss=f"{value:.6f}", refresh=False)
            if np.abs(grad).max() < tolerance:
                return ahead, values
            there = ahead - grad / steepest
            here, ahead = there, there + momentum * (there - here)
    sys.exit(f"{name}: no minimum within {limit:,} steps; a larger --penalty helps")


def split(data, seed):
    """Hold out a quarter, and scale by what the rest says of each column."""
    x, labels = data
    train_x, test_x, train_y, test_y = train_test_split(
        x, labels, test_size=0.25, stratify=labels, random_state=seed)
    mean, spread = train_x.mean(axis=0), train_x.std(axis=0)
    spread[spread == 0] = 1             # pixels that are white in every picture
    return Data((train_x - mean) / spread, train_y, (test_x - mean) / spread, test_y, test_x)


def right_answers(probabilities, labels):
    """Which rows' likeliest class is the true one."""
    if probabilities.shape[1] == 1:
        return (probabilities[:, 0] > 0.5) == labels
    return probabilities.argmax(axis=1) == labels


def judge(name, model, data, penalty):
    """Print the held-out score beside scikit-learn's; return whether both are as they should."""
    ours = model.probabilities(data.test_x)
    theirs = model.second_opinion(data.train_x, data.train_y, penalty, data.test_x)
    right = [right_answers(p, data.test_y).mean() for p in (ours, theirs)]
    spread = np.sqrt(right[0] * (1 - right[0]) / len(data.test_y))
    apart = np.abs(ours - theirs).max()
    print(f"  {name:22}{right[0]:7.1%} ± {spread:.1%} of {len(data.test_y)}{right[1]:13.1%}"
          f"{apart:20.0e}{len(model.losses):12,}")
    return right[0] >= REQUIRED_ACCURACY[name.partition(",")[0]] and apart < AGREEMENT


def draw(path, tumours, digits):
    """Save the picture: sigmoid and softmax on the same logits, then on real data."""
    figure = Figure(figsize=(14, 9.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.05])
    curve, bars, raised = top.subplots(1, 3)
    draw_tumours(curve, *tumours)
    draw_bars(bars)
    draw_raised_logit(raised)
    left, right = bottom.subfigures(1, 2, width_ratios=[1, 2.1])
    draw_sums(left.subplots(), *digits)
    draw_digits(right, *digits)
    common.save(figure, path)


def draw_tumours(axis, logits, labels):
    """Draw the sigmoid, with the held-out cases at their logits."""
    edge = 1.05 * np.abs(logits).max()
    z = np.linspace(-edge, edge, 601)
    axis.plot(z, cyact.sigmoid(z), color=SIGMOID, linewidth=5, alpha=0.5, label="sigmoid(z)")
    axis.plot(z, cyact.softmax(np.column_stack([np.zeros_like(z), z]))[:, 1], color=SOFTMAX,
              linestyle=(0, (4, 3)), label="softmax over (0, z)")
    # Equal heights would hide how many there are.
    heights = labels + (1 - 2 * labels) * np.linspace(-0.06, -0.16, len(labels))
    right = (logits > 0) == labels
    axis.scatter(logits[right], heights[right], s=9, color="gray", alpha=0.6, linewidths=0)
    axis.scatter(logits[~right], heights[~right], s=36, color=WRONG, marker="x",
                 label=f"mistakes: {np.sum(~right)} of {len(right)}")
    axis.axvline(0, color="black", linewidth=0.8, alpha=0.4)
    axis.set(title="Two classes: softmax is a sigmoid", xlabel="logit z of a held-out tumour",
             ylabel="probability of being malignant", ylim=(-0.22, 1.22))
    axis.set_yticks([-0.11, 0, 0.5, 1, 1.11], ["benign", "0", "0.5", "1", "malignant"])
    axis.legend(loc="center left", fontsize=9, frameon=False)


def draw_bars(axis):
    """Draw both functions of the same four logits."""
    at = np.arange(len(LOGITS))
    for function, color, shift in [(cyact.sigmoid, SIGMOID, -0.2), (cyact.softmax, SOFTMAX, 0.2)]:
        p = function(LOGITS)
        drawn = axis.bar(at + shift, p, width=0.38, color=color,
                         label=f"{function.__name__}: sum {p.sum():.2f}")
        axis.bar_label(drawn, fmt="%.2f", fontsize=9, padding=2)
    axis.set(title="The same four logits", xlabel="logit", ylabel="probability", ylim=(0, 1.05),
             xticks=at)
    axis.set_xticklabels([f"{logit:g}" for logit in LOGITS])
    axis.legend(loc="upper left", frameon=False)


def draw_raised_logit(axis):
    """Draw what one growing logit does to the probabilities of the others."""
    z = np.linspace(-4, 8, 400)
    rows = np.column_stack([np.broadcast_to(LOGITS[:3], (len(z), 3)), z])
    for function, color in [(cyact.sigmoid, SIGMOID), (cyact.softmax, SOFTMAX)]:
        p = function(rows)
        axis.plot(z, p[:, 3], color=color, linewidth=2.5,
                  label=f"{function.__name__}: the growing one")
        axis.plot(z, p[:, 1], color=color, linewidth=1.5, linestyle="--",
                  label=f"{function.__name__}: the one at 1.2")
    axis.set(title="One logit grows: softmax takes from the others",
             xlabel="the fourth logit", ylabel="probability", ylim=(-0.03, 1.27), xlim=(-4, 8),
             yticks=np.linspace(0, 1, 6))
    axis.legend(loc="upper center", ncols=2, fontsize=8.5, columnspacing=1,
                handlelength=1.6, frameon=False)
    axis.grid(alpha=0.3)


def draw_sums(axis, images, labels, sigmoids, softmax):
    """Draw how the ten probabilities of a held-out digit add up."""
    sums = sigmoids.sum(axis=1)
    bins = np.linspace(0, max(2, sums.max()), 41)
    axis.hist(sums, bins, color=SIGMOID,
              label=f"ten sigmoids: {sums.min():.2f} to {sums.max():.2f}")
    axis.axvline(softmax.sum(axis=1).mean(), ymax=0.86, color=SOFTMAX, linewidth=2.5,
                 linestyle="--", label="softmax: always 1")
    axis.set(title=f"Sum of the ten probabilities, {len(labels)} held-out digits",
             xlabel="sum", ylabel="digits", yscale="log", ylim=(0.7, 3000))
    axis.legend(loc="upper right", frameon=False)


def draw_digits(figure, images, labels, sigmoids, softmax):
    """Draw the digits that are no class to the sigmoids, and those that are several."""
    order = np.argsort(sigmoids.sum(axis=1))
    shown = np.concatenate([order[:3], order[:-4:-1]])
    figure.suptitle("Held-out digits whose sigmoids add up to least, and to most (true class "
                    "in green)")
    for (image, bars), at in zip(figure.subplots(2, 6, height_ratios=[1, 2.2]).T, shown,
                                 strict=True):
        image.imshow(images[at].reshape(8, 8), cmap="gray_r")
        image.set_title(f"a {labels[at]}; sum {sigmoids[at].sum():.2f}", fontsize=10)
        image.axis("off")
        classes = np.arange(10)
        bars.barh(classes - 0.2, sigmoids[at], 0.38, color=SIGMOID, label="sigmoid")
        bars.barh(classes + 0.2, softmax[at], 0.38, color=SOFTMAX, label="softmax")
        bars.set(xlim=(0, 1), ylim=(9.6, -0.6), xticks=[0, 1], yticks=classes)
        bars.tick_params(axis="y", length=0)
        bars.get_yticklabels()[labels[at]].set(weight="bold", color="tab:green")
        for side in ("top", "right"):
            bars.spines[side].set_visible(False)
    figure.legend(*bars.get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  frameon=False)


def explain(logits, sigmoids, softmax):
    """Print what the picture shows, in numbers."""
    print("\nSigmoid or softmax?")
    print("  logits  ", *(f"{value:6.1f}" for value in LOGITS), "   sum")
    for function in (cyact.sigmoid, cyact.softmax):
        p = function(LOGITS)
        print(f"  {function.__name__} ", *(f"{value:6.2f}" for value in [*p, p.sum()]))
    two = cyact.softmax(np.column_stack([np.zeros_like(logits), logits]))[:, 1]
    apart = np.abs(two - cyact.sigmoid(logits)).max()
    print(f"  Two classes: softmax over (0, z) is sigmoid(z): on the {len(logits)} held-out "
          f"tumours they are\n  at most {apart:.0e} apart.")
    sums = sigmoids.sum(axis=1)
    print(f"  Ten digits: ten sigmoids sum to {sums.min():.2f} to {sums.max():.2f}: "
          f"{np.sum(sigmoids.max(axis=1) < 0.5)} pictures are none of the digits to them, "
          f"{np.sum((sigmoids > 0.5).sum(axis=1) > 1)} are\n  several. Softmax knows that one is "
          f"right: its sums are 1 (to {np.abs(softmax.sum(axis=1) - 1).max():.0e}).\n"
          "  So: softmax for labels that exclude each other, a sigmoid each for labels that "
          "may come together.")


def positive_number(text):
    """Read a strength of the penalty."""
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number above 0")
    return value


def main(argv=None):
    """Train, compare, draw; return the exit status."""
    parser = common.command_line(__doc__, "logistic_and_softmax_regression.png")
    parser.add_argument("--penalty", type=positive_number, default=1.0,
                        help="strength of the squared penalty: 1 / C of scikit-learn")
    options = parser.parse_args(argv)
    x, benign = load_breast_cancer(return_X_y=True)
    tumours = split((x, 1 - benign), options.seed)
    digits = split(load_digits(return_X_y=True), options.seed)
    tasks = [("tumours, sigmoid", LogisticRegressions(), tumours),
             ("digits, softmax", SoftmaxRegression(), digits),
             ("digits, ten sigmoids", LogisticRegressions(), digits)]

    # The sums of BLAS depend on its threads in the last bit. (threadpoolctl comes with
    # scikit-learn.)
    with threadpool_limits(1, user_api="blas"):
        for _, model, data in tasks:
            model.fit(data.train_x, data.train_y, options.penalty)
        print("\n  right on held-out data        cyact            scikit-learn   "
              "at most apart       steps")
        fine = [judge(name, model, data, options.penalty) for name, model, data in tasks]

        (_, sigmoid, _), (_, softmax, _), (_, sigmoids, _) = tasks
        logits = sigmoid.logits(tumours.test_x)[:, 0]
        answers = sigmoids.probabilities(digits.test_x), softmax.probabilities(digits.test_x)
    draw(options.output, (logits, tumours.test_y), (digits.unscaled, digits.test_y, *answers))
    explain(logits, *answers)
    print(f"  The picture is in {options.output}.")

    if not all(fine):
        print(f"\nFAILED: right answers below {REQUIRED_ACCURACY}, or farther than {AGREEMENT:g} "
              "from scikit-learn", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
