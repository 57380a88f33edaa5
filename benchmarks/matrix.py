"""Row functions over every length, axis and dtype: `python -m benchmarks.rows --matrix`.

    python -m benchmarks.rows --matrix --save before.json           one build, a few minutes
    python -m benchmarks.rows --matrix --check --before before.json another build, and the verdict
    python -m benchmarks.rows --matrix --operations softmax backward --dtypes float32

A cell is an operation on rows of one length along one axis, in one dtype and one thread. It is
timed in turns with the NumPy expression a user would write, and, unless its rows lie along the
last axis already, with its twin: the same operation on as many rows along the last axis. What
counts is the minimum of many short rounds, in seconds of the thread: while another process has the
core, none pass. With `--check` a cell that looks too slow is measured again, longer, before it is
listed.

The module calls public functions only, so that one version of it can measure several builds:
`PYTHONPATH=/path/to/build CYACT_ISA=v3 python -m benchmarks.rows --matrix`.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    from .__main__ import use_installed_cyact

    use_installed_cyact()

from . import numpy_rows, tables, timing
from .__main__ import progress_bar
from .timing import Bound

LENGTHS = [2, 3, 5, 8, 10, 16, 17, 32, 48, 64, 100, 128, 256, 257, 1000]
AXES = ["last", "first", "middle"]
DTYPES = ["float32", "float64"]
FEWEST, MOST = 1 << 16, 1 << 20     # entries of a cell

# How many times as long as the other a cell may take
LIMITS = {"twin": 2.0, "numpy": 1.1, "before": 1.1}
AGAIN = 4           # times the seconds, for a cell that looks too slow, and
TRIES = 3           # so often
BATCH = 5e-4        # seconds of a statement's share of a round


# {operation: (cyact's call, NumPy's of numpy_rows)}. x is the input, g a gradient, r one of what is
# reduced, s, l and q outputs of softmax and log_softmax, and probabilities; c classes.
OPERATIONS = {
    "softmax": ("softmax(x, axis=axis, out=y)", "softmax(x, axis)"),
    "softmax.temperature": ("softmax(x, temperature=2.0, axis=axis, out=y)",
                            "softmax(x, axis, 2)"),
    "log_softmax": ("log_softmax(x, axis=axis, out=y)", "log_softmax(x, axis)"),
    "softmin": ("softmin(x, axis=axis, out=y)", "softmin(x, axis)"),
    "logsumexp": ("logsumexp(x, axis=axis, out=z)", "logsumexp(x, axis)"),
    "logmeanexp": ("logmeanexp(x, axis=axis, out=z)", "logmeanexp(x, axis)"),
    "cross_entropy": ("cross_entropy(x, c, axis=axis)", "cross_entropy(x, c, axis)"),
    "cross_entropy.grad": ("cross_entropy(x, c, axis=axis, return_grad=True)",
                           "cross_entropy_grad(x, c, axis)"),
    "cross_entropy.probabilities": ("cross_entropy(x, q, axis=axis)",
                                    "of_probabilities(x, q, axis)"),
    "cross_entropy.probabilities.grad": ("cross_entropy(x, q, axis=axis, return_grad=True)",
                                         "of_probabilities_grad(x, q, axis)"),
    "cross_entropy.smoothed": ("cross_entropy(x, c, axis=axis, label_smoothing=0.1)",
                               "smoothed(x, c, axis, 0.1)"),
    "cross_entropy.smoothed.grad": (
        "cross_entropy(x, c, axis=axis, label_smoothing=0.1, return_grad=True)",
        "smoothed_grad(x, c, axis, 0.1)"),
    "backward.softmax.input": ("backward.softmax(g, x, axis=axis, out=y)",
                               "backward_softmax(g, rows.softmax(x, axis), axis)"),
    "backward.softmax.output": ("backward.softmax(g, output=s, axis=axis, out=y)",
                                "backward_softmax(g, s, axis)"),
    "backward.log_softmax.input": ("backward.log_softmax(g, x, axis=axis, out=y)",
                                   "backward_log_softmax(g, rows.softmax(x, axis), axis)"),
    "backward.log_softmax.output": ("backward.log_softmax(g, output=l, axis=axis, out=y)",
                                    "backward_log_softmax(g, np.exp(l), axis)"),
    "backward.logsumexp": ("backward.logsumexp(r, x, axis=axis, out=y)",
                           "backward_logsumexp(r, x, axis)"),
    "sparsemax": ("sparsemax(x, axis=axis, out=y)", "sparsemax(x, axis)"),
    "entmax15": ("entmax15(x, axis=axis, out=y)", "entmax15(x, axis)"),
    "hardmax": ("hardmax(x, axis=axis, out=y)", "hardmax(x, axis)"),
    "maxout": ("maxout(x, n, axis=axis, out=m)", "maxima(x, axis)"),
}


@dataclass(frozen=True)
class Cell:
    """One operation on rows of n entries along an axis."""

    operation: str
    dtype: str
    n: int
    where: str      # of AXES

    def __str__(self):
        shape, axis = self.place
        return f"{self.operation} {self.dtype} {shape} axis {axis}"

    @property
    def place(self):
        """(shape, axis)."""
        if self.where == "middle":
            most, fewest = MOST // (64 * self.n), FEWEST // (64 * self.n)
            return (max(fewest, min(64, most)), self.n, 64), 1
        count = max(1024, FEWEST // self.n)
        return ((count, self.n), 1) if self.where == "last" else ((self.n, count), 0)

    @property
    def size(self):
        return math.prod(self.place[0])

    @property
    def twin(self):
        """(shape, axis) of the same rows along the last axis; None where that is the cell."""
        return None if self.where == "last" else ((self.size // self.n, self.n), 1)


def cells(operations, dtypes, lengths):
    """Every cell of the operations named: by their whole name, or by what is before a dot."""
    chosen = [name for name in OPERATIONS
              if any(name == given or name.startswith(given + ".") for given in operations)]
    return [Cell(name, dtype, n, where)
            for name in chosen for dtype in dtypes for n in lengths for where in AXES]


_numbers = {}


def numbers(dtype, which, size):
    """So many of the normal numbers that all cells of a dtype share."""
    if (dtype, which) not in _numbers:
        rng = np.random.default_rng(which)
        _numbers[dtype, which] = (3 * rng.standard_normal(MOST + (1 << 16))).astype(dtype)
    return _numbers[dtype, which][:size]


def names(cyact, cell, shape, axis):
    """All that the calls name."""
    size, n = math.prod(shape), shape[axis]
    reduced = shape[:axis] + shape[axis + 1:]
    x = numbers(cell.dtype, 0, size).reshape(shape)
    g = numbers(cell.dtype, 1, size).reshape(shape)
    z = np.ones(reduced, cell.dtype)
    found = {"cyact": cyact, "np": np, "rows": numpy_rows, "axis": axis, "n": n, "x": x, "g": g,
             "y": np.ones_like(x), "z": z, "m": np.expand_dims(z, axis),
             "r": numbers(cell.dtype, 1, size // n).reshape(reduced),
             "c": np.random.default_rng(0).integers(0, n, reduced)}
    if cell.operation == "backward.softmax.output":
        found["s"] = cyact.softmax(x, axis=axis)
    elif cell.operation == "backward.log_softmax.output":
        found["l"] = cyact.log_softmax(x, axis=axis)
    elif "probabilities" in cell.operation:
        found["q"] = cyact.softmax(g, axis=axis)
    return found


def statements(cyact, cell):
    """{"cyact", "numpy" and perhaps "twin": Bound}."""
    call, expression = OPERATIONS[cell.operation]
    here = names(cyact, cell, *cell.place)
    bound = {"cyact": Bound(f"cyact.{call}", here, ""),
             "numpy": Bound(f"rows.{expression}", here, "")}
    if cell.twin:
        bound["twin"] = Bound(f"cyact.{call}", names(cyact, cell, *cell.twin), "")
    return bound


def best(cyact, cell, seconds):
    """{"cyact", "numpy", "twin": ns an entry}, the minimum of the rounds that time allows."""
    with np.errstate(all="ignore"):
        timings = timing.take_turns(statements(cyact, cell), (3, 200), seconds, batch=BATCH,
                                    clock=time.thread_time)
    return {name: min(timing.seconds) / cell.size * 1e9 for name, timing in timings.items()}


def lower(known, found):
    """The smaller of two measurements of each."""
    return {name: min(value, known.get(name, value)) for name, value in found.items()}


def ratios(found, before=None):
    """{"twin", "numpy", "before": how many times as long a cell takes}."""
    others = {name: value for name, value in found.items() if name != "cyact"}
    if before is not None:
        others["before"] = before["cyact"]
    return {name: found["cyact"] / other for name, other in others.items()}


def is_doubtful(found, before=None):
    """Whether more rounds may decide: times of another run differ by more than those in turns."""
    return any(ratio > LIMITS[name] and (name == "before" or ratio < 2 * LIMITS[name])
               for name, ratio in ratios(found, before).items())


def measured(cyact, wanted, seconds, before=None, passes=1, progress=lambda things, text: things):
    """{cell: ns an entry of each}; with `before` cells in doubt are measured again."""
    found = {}
    for number in range(passes):
        for cell in progress(wanted, f"pass {number + 1} of {passes}"):
            found[cell] = lower(found.get(cell, {}), best(cyact, cell, seconds))
    if before is not None:
        for _ in range(TRIES):
            doubtful = [cell for cell in wanted if is_doubtful(found[cell], before.get(str(cell)))]
            for cell in progress(doubtful, "again"):
                found[cell] = lower(found[cell], best(cyact, cell, AGAIN * seconds))
    return found


def table(found):
    """A few lines of text for each operation and dtype."""
    lines = []
    for (operation, dtype) in dict.fromkeys((c.operation, c.dtype) for c in found):
        lines += ["", f"{operation}, {dtype}: ns an entry, as a multiple of NumPy's and of the "
                  f"twin's", f"{'n':>6}" + "".join(f"{where:>22}" for where in AXES)]
        chosen = [c for c in found if (c.operation, c.dtype) == (operation, dtype)]
        for n in dict.fromkeys(c.n for c in chosen):
            line = f"{n:6}"
            for cell in (c for c in chosen if c.n == n):
                ours = found[cell]["cyact"]
                twin = found[cell].get("twin")
                line += (f"{tables.short(ours):>9}{ours / found[cell]['numpy']:>6.2f}"
                         + (f"{ours / twin:>7.2f}" if twin else f"{'':7}"))
            lines.append(line.rstrip())
    return "\n".join(lines)


def verdict(found, before):
    """Lines of text, the worst cells first and the counts last; and whether all are fast enough."""
    said = {"twin": "as the same along the last axis", "numpy": "as NumPy's expression",
            "before": "as before"}
    each = {cell: ratios(times, before.get(str(cell))) for cell, times in found.items()}
    lines, counts = [], []
    for name, text in said.items():
        compared = {cell: of[name] for cell, of in each.items() if name in of}
        failing = sorted((cell for cell in compared if compared[cell] > LIMITS[name]),
                         key=lambda cell, known=compared: -known[cell])
        lines += [f"{compared[cell]:.2f} times as long {text}: {cell}: "
                  f"{tables.short(found[cell]['cyact'])} ns an entry" for cell in failing]
        if compared:
            counts.append(f"{'FAIL' if failing else 'ok  '}  {len(failing)} of {len(compared)} "
                          f"cells take over {LIMITS[name]:g} times as long {text}")
    return [*lines, *counts], not lines


def read(path):
    """{name of a cell: ns an entry of each} as --save writes them."""
    return json.loads(path.read_text())["cells"]


def arguments(argv):
    heads = list(dict.fromkeys(name.partition(".")[0] for name in OPERATIONS))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rows --matrix", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrix", action="store_true", help="that is what this is")
    parser.add_argument("--check", action="store_true", help="list the cells that are too slow, "
                        "and exit with 1 if there are any")
    parser.add_argument("--before", type=Path, metavar="FILE",
                        help="compare with what --save wrote, too")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--operations", nargs="+", metavar="NAME", default=heads,
                        choices=list(dict.fromkeys([*heads, *OPERATIONS])),
                        help=f"only these, or those beginning so: {', '.join(OPERATIONS)}")
    parser.add_argument("--dtypes", nargs="+", choices=[*DTYPES, "float16"], default=DTYPES)
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, metavar="N",
                        help="entries of a row")
    parser.add_argument("--passes", type=int, default=1, metavar="N",
                        help="go through the matrix so often, and keep each minimum (default 1)")
    parser.add_argument("--seconds", type=float, default=0.05, metavar="S",
                        help="time after which a cell gets no further rounds (default 0.05)")
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    import cyact

    facts = tables.environment(cyact, {"cyact": cyact.__version__})
    facts["command"] = "python -m benchmarks.rows " + " ".join(sys.argv[1:])
    print(tables.head(facts))
    before = read(options.before) if options.before else {}
    tqdm = progress_bar()
    with cyact.num_threads(1):
        found = measured(
            cyact, cells(options.operations, options.dtypes, options.lengths), options.seconds,
            before if options.check else None, options.passes,
            lambda cells, text: tqdm(cells, desc=text, unit="cell"))
    if options.save:
        tables.write_json(options.save, facts,
                          cells={str(cell): each for cell, each in found.items()})
    if not options.check:
        print(table(found))
        return 0
    lines, good = verdict(found, before)
    print("", *lines, sep="\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
