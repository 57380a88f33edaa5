"""Turn the values of actions into probabilities, to find the measurement that tells wines apart.

A laboratory can afford one measurement of each wine that comes in, and guesses the grower from
it alone; it earns 1 if the guess is right. Which of the 13 to choose? It has to try them to know,
and every try of a bad one costs: a multi-armed bandit. Each action is drawn from the softmax of
the values over a temperature, by Gumbel noise; a policy-gradient learner joins in.

The wines and their growers, and so the chances of each arm, are the data that ship inside
scikit-learn: nothing is downloaded. The rules that guess are made from one half of the wines, and
the wines that come in are of the other half.

    python examples/bandit.py
    python examples/bandit.py --rounds 10000 --runs 50 --seed 1 --output bandit.svg
"""

import sys
from typing import NamedTuple

import common
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import cyact

TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
SHOWN = (0.02, 0.1, 0.5)        # of them, in the panel of the probabilities
DRAWS, DRAWN_AT = 100_000, 0.1         # how many, and at which temperature
COLORS = {0.01: "#440154", 0.02: "#3b528b", 0.05: "#21918c", 0.1: "#5ec962", 0.2: "#d9b300",
          0.5: "#e8703a", "greedy": "black", "policy gradient": "crimson"}


class Bandit(NamedTuple):
    """The arms: what each is called, and whether it is right on each of the wines."""

    names: list
    right: np.ndarray           # wines x arms, of bool

    @property
    def chances(self):
        """The probability of a reward, for each arm."""
        return self.right.mean(axis=0)


class Values:
    """Keeps the mean reward of each arm; draws from their softmax, or takes the largest.

    One row for each run: all runs go on side by side.
    """

    def __init__(self, temperature, runs, arms):
        self.temperature = temperature      # None: greedy
        self.values = np.zeros((runs, arms))
        self.tries = np.zeros((runs, arms))

    def act(self, rng):
        """Draw an arm for each run, as one-hot rows."""
        if self.temperature is None:
            return cyact.hardmax(self.values)
        # Not tau=temperature: that divides values and noise alike, and no winner would change.
        return cyact.gumbel_softmax(self.values / self.temperature, hard=True, rng=rng)

    def learn(self, action, reward):
        """Move the mean of the arm that was tried towards its reward."""
        self.tries += action
        self.values += action * (reward[:, None] - self.values) / np.maximum(self.tries, 1)

    def probabilities(self):
        """How likely each arm is next."""
        if self.temperature is None:
            return cyact.hardmax(self.values)
        return cyact.softmax(self.values, self.temperature)


class PolicyGradient:
    """Learns the logits of the softmax itself: REINFORCE with the mean reward as baseline.

    R. J. Williams, "Simple statistical gradient-following algorithms for connectionist
    reinforcement learning", 1992.
    """

    def __init__(self, runs, arms, rate=0.2):
        self.logits = np.zeros((runs, arms))
        self.baseline = np.zeros(runs)
        self.rounds = 0
        self.rate = rate

    def act(self, rng):
        """Draw an arm for each run, as one-hot rows."""
        return cyact.gumbel_softmax(self.logits, hard=True, rng=rng)

    def learn(self, action, reward):
        """Make actions likelier that earned more than usual.

        The loss of an action is the cross-entropy to it, -log of its probability.
        """
        _, grad = cyact.cross_entropy(self.logits, action, reduction="sum", return_grad=True)
        self.logits -= self.rate * (reward - self.baseline)[:, None] * grad
        self.rounds += 1
        self.baseline += (reward - self.baseline) / self.rounds

    def probabilities(self):
        """How likely each arm is next."""
        return cyact.softmax(self.logits)


class Course(NamedTuple):
    """How one learner fared: runs x rounds of regret so far, and its probabilities at the end."""

    regret: np.ndarray
    probabilities: np.ndarray

    @property
    def total(self):
        """Each run's regret in the end."""
        return self.regret[:, -1]


def make_bandit(seed):
    """Learn to guess the grower from one half of the wines; look how right it is on the other.

    Each arm looks at one measurement alone, and says the grower whose median is nearest.
    """
    wines = load_wine()
    learnt_x, x, learnt_y, y = train_test_split(wines.data, wines.target, test_size=0.5,
                                                stratify=wines.target, random_state=seed)
    medians = np.array([np.median(learnt_x[learnt_y == grower], axis=0) for grower in range(3)])
    guesses = np.abs(x[:, None, :] - medians).argmin(axis=1)
    names = [name.replace("_", " ") for name in wines.feature_names]
    names = [name.replace("od280/od315 of diluted wines", "od280/od315") for name in names]
    return Bandit(names, guesses == y[:, None])


def play(learner, bandit, visits, rng, progress):
    """Let the learner meet the wines of each round, every run its own; return its course.

    First each arm is tried once. Regret is what the best arm would have earned on average, less
    the same of the arm chosen: the luck with a wine is left out.
    """
    lost = bandit.chances.max() - bandit.chances
    arms = np.eye(len(lost))
    regret = np.empty(visits.T.shape)
    for number, wines in enumerate(visits):
        first = number < len(arms)
        action = np.tile(arms[number], (len(wines), 1)) if first else learner.act(rng)
        chosen = action.argmax(axis=1)
        learner.learn(action, bandit.right[wines, chosen].astype(float))
        regret[:, number] = lost[chosen]
        progress.update()
    return Course(regret.cumsum(axis=1), learner.probabilities().mean(axis=0))


def compete(bandit, rounds, runs, seed):
    """Let every learner meet the same wines; return the course of each."""
    arms = len(bandit.names)
    learners = {"greedy": Values(None, runs, arms),
                **{t: Values(t, runs, arms) for t in TEMPERATURES},
                "policy gradient": PolicyGradient(runs, arms)}
    visits = np.random.default_rng([seed, 0]).integers(len(bandit.right), size=(rounds, runs))
    with tqdm(total=len(learners) * rounds, desc="playing", unit="round") as progress:
        return {name: play(learner, bandit, visits, np.random.default_rng([seed, number]), progress)
                for number, (name, learner) in enumerate(learners.items(), 1)}


def count_draws(logits, seed):
    """Return how often each arm came in many draws."""
    rows = np.broadcast_to(logits, (DRAWS, len(logits)))
    return cyact.gumbel_softmax(rows, hard=True, rng=np.random.default_rng([seed, 99])).mean(axis=0)


def standard_error(values):
    """How uncertain the mean of the runs is."""
    return values.std(axis=0, ddof=1) / len(values) ** 0.5


def label(name):
    """What a learner is called in print."""
    return name if isinstance(name, str) else f"softmax, T = {name:g}"


def draw(path, bandit, courses, logits, shares):
    """Save regret by round and by temperature, the probabilities, and the draws."""
    figure = Figure(figsize=(14, 10), layout="constrained")
    (by_round, by_temperature), (actions, draws) = figure.subplots(2, 2)
    draw_regret(by_round, courses)
    draw_temperatures(by_temperature, courses)
    draw_actions(actions, bandit, courses)
    draw_draws(draws, bandit, logits, shares)
    common.save(figure, path)


def draw_regret(axis, courses):
    """Draw the mean regret so far, with two standard errors to each side."""
    for name, course in courses.items():
        mean, error = course.regret.mean(axis=0), standard_error(course.regret)
        rounds = np.arange(1, len(mean) + 1)
        axis.plot(rounds, mean, color=COLORS[name], linewidth=2, label=label(name),
                  linestyle="--" if isinstance(name, str) else "-")
        axis.fill_between(rounds, mean - 2 * error, mean + 2 * error, color=COLORS[name],
                          alpha=0.15, linewidth=0)
    axis.set(title=f"Regret so far: mean of {len(course.total)} runs, ± 2 standard errors",
             xlabel="wines", ylabel="right answers lost to the best arm", xlim=(0, len(mean)))
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=9)
    axis.grid(alpha=0.3)


def draw_temperatures(axis, courses):
    """Draw the regret in the end against the temperature: each run, their mean and median."""
    rng = np.random.default_rng(0)
    for t in TEMPERATURES:
        total = courses[t].total
        axis.scatter(t * np.exp(rng.uniform(-0.12, 0.12, len(total))), total, s=7, alpha=0.35,
                     color=COLORS[t], linewidths=0)
    means = np.array([courses[t].total.mean() for t in TEMPERATURES])
    errors = [2 * standard_error(courses[t].total) for t in TEMPERATURES]
    axis.errorbar(TEMPERATURES, means, errors, color="black", marker="o", capsize=4, linewidth=1.5,
                  label="mean, ± 2 standard errors")
    for name in ("greedy", "policy gradient"):
        axis.axhline(courses[name].total.mean(), color=COLORS[name], linestyle="--",
                     label=f"mean, {name}")
    axis.set(title="Too cold settles too soon, too hot never settles", xscale="log",
             xlabel="temperature T", ylabel="regret in the end, one dot a run")
    axis.set_xticks(TEMPERATURES, [f"{t:g}" for t in TEMPERATURES])
    axis.minorticks_off()
    axis.set_ylim(0, 1.25 * max(courses[t].total.max() for t in TEMPERATURES))
    axis.legend(frameon=False, fontsize=9, loc="upper right", ncols=3)
    axis.grid(alpha=0.3, axis="y")


def draw_actions(axis, bandit, courses):
    """Draw each arm's chance, and how likely it is chosen after all rounds."""
    order = np.argsort(-bandit.chances)
    at = np.arange(len(order))
    axis.bar(at, bandit.chances[order], width=0.86, color="lightgray",
             label="chance that the arm is right")
    names = [*SHOWN, "policy gradient"]
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        axis.bar(at + (i - (len(names) - 1) / 2) * width, courses[name].probabilities[order], width,
                 color=COLORS[name], label=label(name))
    axis.set(title="Probability of each arm in the end, mean of the runs", ylabel="probability",
             ylim=(0, 1.0))
    axis.set_xticks(at, [bandit.names[i] for i in order], rotation=35, ha="right", fontsize=9)
    axis.legend(frameon=False, fontsize=9, loc="upper right")


def draw_draws(axis, bandit, logits, shares):
    """Draw softmax's probabilities, and how often Gumbel noise drew each arm."""
    order = np.argsort(-bandit.chances)
    at = np.arange(len(order))
    p = cyact.softmax(logits)[order]
    axis.bar(at, p, width=0.7, color="tab:blue", alpha=0.5, label=f"softmax(chances / {DRAWN_AT})")
    axis.plot(at, shares[order], "o", color="crimson", markersize=5,
              label=f"share of {DRAWS:,} draws of gumbel_softmax(…, hard=True)")
    axis.set(title="Gumbel noise draws with softmax's probabilities", ylabel="probability")
    axis.set_xticks(at, [bandit.names[i] for i in order], rotation=35, ha="right", fontsize=9)
    axis.legend(frameon=False, fontsize=9, loc="upper right")


def report(bandit, courses):
    """Print the arms, and what each learner lost and came to prefer."""
    best = bandit.chances.argmax()
    ranking = np.argsort(-bandit.chances)
    print("\nArms, by how often they are right:",
          ", ".join(f"{bandit.names[i]} {bandit.chances[i]:.0%}" for i in ranking[:3]), "…",
          f"{bandit.names[ranking[-1]]} {bandit.chances[ranking[-1]]:.0%}")
    print(f"\n  {'learner':18}{'regret':>8} ± s.e. {'middle half of runs':>21}"
          f"{'best arm in the end':>22}")
    for name, course in courses.items():
        low, high = np.percentile(course.total, [25, 75])
        print(f"  {label(name):18}{course.total.mean():8.1f} ± {standard_error(course.total):4.1f}"
              f"{f'{low:.0f} to {high:.0f}':>22}{course.probabilities[best]:>22.0%}")
    rounds = courses["greedy"].regret.shape[1]
    chance = (bandit.chances.max() - bandit.chances).mean() * rounds
    print(f"  Choosing at random loses {chance:.0f}. Which temperature is best is known only "
          "afterwards: it depends\n  on the gaps between the arms and on the number of rounds.")


def main(argv=None):
    """Play, draw, report; return the exit status."""
    parser = common.command_line(__doc__, "bandit.png")
    parser.add_argument("--rounds", type=common.positive, default=4000, help="wines that come in")
    parser.add_argument("--runs", type=common.positive, default=100, help="repetitions, at least 2")
    options = parser.parse_args(argv)
    if options.runs < 2:
        parser.error("--runs 1: the spread between runs needs at least 2")

    bandit = make_bandit(options.seed)
    if options.rounds <= len(bandit.names):
        parser.error(f"--rounds {options.rounds}: each of the {len(bandit.names)} arms is tried "
                     "once at first; give more")
    courses = compete(bandit, options.rounds, options.runs, options.seed)
    logits = bandit.chances / DRAWN_AT
    p, shares = cyact.softmax(logits), count_draws(logits, options.seed)
    draw(options.output, bandit, courses, logits, shares)
    report(bandit, courses)
    deviation = np.abs((shares - p) / np.sqrt(p * (1 - p) / DRAWS)).max()
    print(f"\nGumbel noise: {DRAWS:,} draws are within {np.abs(shares - p).max():.4f} of softmax's "
          f"probabilities,\n{deviation:.1f} standard errors at most. The picture is in "
          f"{options.output}.")

    if deviation > 5:
        print("\nFAILED: the draws do not have softmax's probabilities", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
