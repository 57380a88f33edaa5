"""Row functions over every length, axis and dtype: `python -m benchmarks.rows --matrix`.

    python -m benchmarks.rows --matrix --save before.json           one build, a few minutes
    python -m benchmarks.rows --matrix --check --before before.json another build, and the verdict
    python -m benchmarks.rows --matrix --operations softmax backward --dtypes float32

A cell is an operation on rows of one length along one axis, in one dtype and one thread. It is
timed in turns with the NumPy expression a user would write, and, unless its rows lie along the
last axis already, with its twin: the same operation on as many rows along the last axis. What
counts is the minimum of many short rounds. With `--check` a cell that looks a little too slow is
measured again, longer, before it is listed.

The module calls public functions only, so that one version of it can measure several builds:
`PYTHONPATH=/path/to/build CYACT_ISA=v3 python -m benchmarks.rows --matrix`.
"""

import json
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from . import measure, report
from .contenders import Bound

LENGTHS = [2, 3, 5, 8, 10, 16, 17, 32, 48, 64, 100, 128, 256, 257, 1000]
AXES = ["last", "first", "middle"]
DTYPES = ["float32", "float64"]
FEWEST, MOST = 1 << 16, 1 << 20     # entries of a cell

# How many times as long as the other a cell may take
LIMITS = {"twin": 2.0, "numpy": 1.1, "before": 1.1}
AGAIN = 6           # times the seconds, for a cell that looks a little too slow
BATCH = 5e-4        # seconds of a statement's share of a round


# What one writes in NumPy. `a` holds x, the gradient g, outputs s and l, classes c, etc.

def _exponentials(a):
    e = np.exp(a.x - a.x.max(a.axis, keepdims=True))
    return e, e.sum(a.axis, keepdims=True)


def _softmax(a):
    e, total = _exponentials(a)
    return e / total


def _log_softmax(a):
    shifted = a.x - a.x.max(a.axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(a.axis, keepdims=True))


def _softmin(a):
    e = np.exp(a.x.min(a.axis, keepdims=True) - a.x)
    return e / e.sum(a.axis, keepdims=True)


def _softmax_temperature(a):
    e = np.exp((a.x - a.x.max(a.axis, keepdims=True)) / 2)
    return e / e.sum(a.axis, keepdims=True)


def _logsumexp(a):
    top = a.x.max(a.axis, keepdims=True)
    return np.log(np.exp(a.x - top).sum(a.axis)) + top.squeeze(a.axis)


def _logmeanexp(a):
    top = a.x.max(a.axis, keepdims=True)
    return np.log(np.exp(a.x - top).mean(a.axis)) + top.squeeze(a.axis)


def _cross_entropy(a):
    return -np.take_along_axis(_log_softmax(a), a.at, a.axis).mean()


def _cross_entropy_grad(a):
    log_p = _log_softmax(a)
    loss = -np.take_along_axis(log_p, a.at, a.axis).mean()
    grad = np.exp(log_p)
    np.put_along_axis(grad, a.at, np.take_along_axis(grad, a.at, a.axis) - 1, a.axis)
    return loss, grad / a.c.size


def _of_probabilities(a):
    return -(a.q * _log_softmax(a)).sum(a.axis).mean()


def _of_probabilities_grad(a):
    log_p = _log_softmax(a)
    return -(a.q * log_p).sum(a.axis).mean(), (np.exp(log_p) - a.q) / a.c.size


def _smoothed(a):
    log_p = _log_softmax(a)
    picked = np.take_along_axis(log_p, a.at, a.axis)
    return -(0.9 * picked + 0.1 * log_p.mean(a.axis, keepdims=True)).mean()


def _smoothed_grad(a):
    log_p = _log_softmax(a)
    picked = np.take_along_axis(log_p, a.at, a.axis)
    grad = np.exp(log_p) - 0.1 / a.x.shape[a.axis]
    np.put_along_axis(grad, a.at, np.take_along_axis(grad, a.at, a.axis) - 0.9, a.axis)
    return (-(0.9 * picked + 0.1 * log_p.mean(a.axis, keepdims=True)).mean(),
            grad / a.c.size)


def _backward_softmax(a, y):
    return y * (a.g - (a.g * y).sum(a.axis, keepdims=True))


def _backward_log_softmax(a, p):
    return a.g - p * a.g.sum(a.axis, keepdims=True)


def _backward_logsumexp(a):
    return _softmax(a) * np.expand_dims(a.r, a.axis)


def _sorted(x, axis):
    """Entries in falling order, and their number so far, along the axis."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return (np.flip(np.sort(x, axis), axis),
            np.arange(1, x.shape[axis] + 1, dtype=x.dtype).reshape(shape))


def _sparsemax(a):
    z, k = _sorted(a.x, a.axis)
    sums = z.cumsum(a.axis) - 1
    count = (k * z > sums).sum(a.axis, keepdims=True)
    tau = np.take_along_axis(sums, count - 1, a.axis) / count.astype(a.x.dtype)
    return np.maximum(a.x - tau, 0)


def _entmax15(a):
    x = (a.x - a.x.max(a.axis, keepdims=True)) / 2
    z, k = _sorted(x, a.axis)
    mean, squares = z.cumsum(a.axis) / k, (z * z).cumsum(a.axis) / k
    tau = mean - np.sqrt(np.maximum((1 - k * (squares - mean * mean)) / k, 0))
    count = (tau <= z).sum(a.axis, keepdims=True)
    return np.maximum(x - np.take_along_axis(tau, count - 1, a.axis), 0) ** 2


def _hardmax(a):
    y = np.zeros_like(a.x)
    np.put_along_axis(y, np.expand_dims(a.x.argmax(a.axis), a.axis), 1, a.axis)
    return y


def _maxout(a):
    return a.x.max(a.axis, keepdims=True)


# {operation: (cyact's call, the NumPy expression)}
OPERATIONS = {
    "softmax": ("softmax(x, axis=axis, out=y)", _softmax),
    "softmax.temperature": ("softmax(x, temperature=2.0, axis=axis, out=y)", _softmax_temperature),
    "log_softmax": ("log_softmax(x, axis=axis, out=y)", _log_softmax),
    "softmin": ("softmin(x, axis=axis, out=y)", _softmin),
    "logsumexp": ("logsumexp(x, axis=axis, out=z)", _logsumexp),
    "logmeanexp": ("logmeanexp(x, axis=axis, out=z)", _logmeanexp),
    "cross_entropy": ("cross_entropy(x, c, axis=axis)", _cross_entropy),
    "cross_entropy.grad": ("cross_entropy(x, c, axis=axis, return_grad=True)",
                           _cross_entropy_grad),
    "cross_entropy.probabilities": ("cross_entropy(x, q, axis=axis)", _of_probabilities),
    "cross_entropy.probabilities.grad": ("cross_entropy(x, q, axis=axis, return_grad=True)",
                                         _of_probabilities_grad),
    "cross_entropy.smoothed": ("cross_entropy(x, c, axis=axis, label_smoothing=0.1)", _smoothed),
    "cross_entropy.smoothed.grad": (
        "cross_entropy(x, c, axis=axis, label_smoothing=0.1, return_grad=True)", _smoothed_grad),
    "backward.softmax.input": ("backward.softmax(g, x, axis=axis, out=y)",
                               lambda a: _backward_softmax(a, _softmax(a))),
    "backward.softmax.output": ("backward.softmax(g, output=s, axis=axis, out=y)",
                                lambda a: _backward_softmax(a, a.s)),
    "backward.log_softmax.input": ("backward.log_softmax(g, x, axis=axis, out=y)",
                                   lambda a: _backward_log_softmax(a, _softmax(a))),
    "backward.log_softmax.output": ("backward.log_softmax(g, output=l, axis=axis, out=y)",
                                    lambda a: _backward_log_softmax(a, np.exp(a.l))),
    "backward.logsumexp": ("backward.logsumexp(r, x, axis=axis, out=y)", _backward_logsumexp),
    "sparsemax": ("sparsemax(x, axis=axis, out=y)", _sparsemax),
    "entmax15": ("entmax15(x, axis=axis, out=y)", _entmax15),
    "hardmax": ("hardmax(x, axis=axis, out=y)", _hardmax),
    "maxout": ("maxout(x, n, axis=axis, out=m)", _maxout),
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


def arrays(cyact, cell, shape, axis):
    """All that the calls and expressions name."""
    size, n = math.prod(shape), shape[axis]
    reduced = shape[:axis] + shape[axis + 1:]
    a = SimpleNamespace(axis=axis, n=n, x=numbers(cell.dtype, 0, size).reshape(shape),
                        g=numbers(cell.dtype, 1, size).reshape(shape))
    a.y, a.z = np.ones_like(a.x), np.ones(reduced, cell.dtype)
    a.m, a.r = np.expand_dims(a.z, axis), numbers(cell.dtype, 1, size // n).reshape(reduced)
    a.c = np.random.default_rng(0).integers(0, n, reduced)
    a.at = np.expand_dims(a.c, axis)
    a.s = a.l = a.q = None
    if cell.operation == "backward.softmax.output":
        a.s = cyact.softmax(a.x, axis=axis)
    elif cell.operation == "backward.log_softmax.output":
        a.l = cyact.log_softmax(a.x, axis=axis)
    elif "probabilities" in cell.operation:
        a.q = cyact.softmax(a.g, axis=axis)
    return a


def statements(cyact, cell):
    """{"cyact", "numpy" and perhaps "twin": Bound}."""
    call, expression = OPERATIONS[cell.operation]
    a = arrays(cyact, cell, *cell.place)
    names = {"cyact": cyact, **vars(a)}
    bound = {"cyact": Bound(f"cyact.{call}", names, ""),
             "numpy": Bound("f(a)", {"f": expression, "a": a}, "")}
    if cell.twin:
        there = {"cyact": cyact, **vars(arrays(cyact, cell, *cell.twin))}
        bound["twin"] = Bound(f"cyact.{call}", there, "")
    return bound


def best(cyact, cell, seconds):
    """{"cyact", "numpy", "twin": ns an entry}, the minimum of the rounds that time allows."""
    with np.errstate(all="ignore"):
        timings = measure.take_turns(statements(cyact, cell), (3, 200), seconds, batch=BATCH)
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
    """Whether more rounds may decide."""
    return any(LIMITS[name] < ratio < 2 * LIMITS[name]
               for name, ratio in ratios(found, before).items())


def measured(cyact, wanted, seconds, before=None, passes=1, progress=lambda things, text: things):
    """{cell: ns an entry of each}; with `before` cells in doubt are measured again."""
    found = {}
    for number in range(passes):
        for cell in progress(wanted, f"pass {number + 1} of {passes}"):
            found[cell] = lower(found.get(cell, {}), best(cyact, cell, seconds))
    if before is not None:
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
                line += (f"{report.short(ours):>9}{ours / found[cell]['numpy']:>6.2f}"
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
                  f"{report.short(found[cell]['cyact'])} ns an entry" for cell in failing]
        if compared:
            counts.append(f"{'FAIL' if failing else 'ok  '}  {len(failing)} of {len(compared)} "
                          f"cells take over {LIMITS[name]:g} times as long {text}")
    return [*lines, *counts], not lines


def write(path, facts, found):
    text = json.dumps({**facts, "cells": {str(cell): each for cell, each in found.items()}},
                      indent=1, default=str)
    report.write_whole(path, lambda partial: partial.write_text(text + "\n"))


def read(path):
    """{name of a cell: ns an entry of each} as written before."""
    return json.loads(path.read_text())["cells"]


def add_arguments(parser):
    group = parser.add_argument_group("the matrix")
    group.add_argument("--matrix", action="store_true",
                       help="every operation on rows of every length along every axis instead, "
                       "beside NumPy expressions and rows along the last axis; with --check exit "
                       "with 1 where a cell is too slow")
    heads = list(dict.fromkeys(name.partition(".")[0] for name in OPERATIONS))
    group.add_argument("--operations", nargs="+", metavar="NAME", default=heads,
                       choices=list(dict.fromkeys([*heads, *OPERATIONS])),
                       help=f"only these, or those beginning so: {', '.join(OPERATIONS)}")
    group.add_argument("--dtypes", nargs="+", choices=[*DTYPES, "float16"], default=DTYPES)
    group.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, metavar="N",
                       help="entries of a row")
    group.add_argument("--passes", type=int, default=1, metavar="N",
                       help="go through the matrix so often, and keep each minimum (default 1)")
    group.add_argument("--before", metavar="FILE", help="compare with what --save wrote")
    group.add_argument("--save", metavar="FILE", help="write the figures as JSON")
