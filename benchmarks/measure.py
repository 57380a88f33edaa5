"""The cases, and the interleaved timing.

pyperf and pytest-benchmark measure one contender to the end, then the next, in fresh
processes or one after the other: on a shared machine whose speed drifts by 10 % within
minutes that compares the machine with itself. Here all contenders of a case take turns in
short batches, so that drift meets all of them, and ratios are taken within a round. The batch
itself is the standard library's `timeit.Timer`: its loop, its clock, garbage collection off.
"""

import contextlib
import random
import statistics
import time
import timeit
from dataclasses import asdict, dataclass, field

import numpy as np

from . import accuracy, catalog
from .contenders import Arrays, cores

BATCH_SECONDS = 0.002
# Idle OpenMP workers spin for a few milliseconds; they must not eat the next one's core.
SETTLE_SECONDS = 0.01
# On a machine so busy (or a case so long) fewer rounds must do.
PATIENCE = 20
FULL_SIZES = [1, 16, 128, 1024, 16 << 10, 128 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20]


@dataclass(frozen=True)
class Case:
    """What is measured together: one function on one kind of input."""

    section: str            # "elementwise", "backward", "rows" or "calls"
    function: str
    shape: tuple
    dtype: str = "float32"
    threads: int = 1
    fresh: bool = False
    axis: int = -1

    @property
    def key(self):
        """The function's name in the contenders' tables."""
        return f"backward.{self.function}" if self.section == "backward" else self.function

    @property
    def size(self):
        return int(np.prod(self.shape))

    @property
    def group(self):
        """Cases with the same group share a table."""
        shape = () if self.section == "rows" else self.shape
        return self.section, self.dtype, shape, self.threads, self.fresh


@dataclass
class Timing:
    """One contender's part in a case. Seconds a call; ratios to cyact."""

    statement: str
    seconds: list = field(repr=False)
    median: float = 0.0
    ratio: float = 1.0          # of the medians
    low: float = 1.0            # quartiles of the rounds' ratios
    high: float = 1.0
    ulp: float | None = None    # largest error, over data and tails
    ulp_data: float | None = None
    instructions: float | None = None   # for 16 elements

    @property
    def spread(self):
        """Half the distance of the quartiles of the ratio, relative to it."""
        return (self.high - self.low) / 2 / self.ratio


def plan(what, functions, shapes, sizes, dtypes, threads, modes):
    """Every case asked for, the cross product of the arguments."""
    cases = []
    for section in what:
        for dtype in dtypes:
            for fresh in modes:
                for count in threads:
                    if section == "rows":
                        cases += [Case(section, f, shape, dtype, count, fresh, axis)
                                  for f in catalog.ROWS if f in functions
                                  if fresh or f != "cross_entropy"
                                  for shape, axis in shapes]
                    else:
                        cases += [Case(section, f.name, (size,), dtype, count, fresh)
                                  for size in sizes for f in catalog.ELEMENTWISE
                                  if f.name in functions
                                  and (f.backward or section != "backward")]
    return cases


def default_plan(functions):
    """A subset that shows each effect once: overhead, speed in cache and beyond, page faults."""
    small, large = catalog.ROW_SHAPES[:3], catalog.ROW_SHAPES[3:]
    all_cores = [cores()]
    return [
        *plan(["calls"], functions, [], [16], ["float32"], [1], [True, False]),
        *plan(["elementwise"], functions, [], [1, 1024, 16 << 10, 1 << 20], ["float32"], [1],
              [False]),
        *plan(["elementwise"], functions, [], [16 << 20], ["float32"], all_cores, [False, True]),
        *plan(["elementwise"], functions, [], [16 << 10], ["float64"], [1], [False]),
        *plan(["elementwise"], functions, [], [1 << 20], ["float64"], all_cores, [True]),
        *plan(["backward"], functions, [], [16 << 10], ["float32"], [1], [False]),
        *plan(["rows"], functions, small, [], ["float32"], [1], [False, True]),
        *plan(["rows"], functions, large, [], ["float32"], all_cores, [True]),
    ]


def check_plan(functions):
    """What the bars of `--check` need."""
    return [
        *plan(["calls"], functions, [], [16], ["float32"], [1], [True]),
        *plan(["elementwise"], functions, [], [16 << 10, 1 << 20], ["float32"], [1], [False]),
        *plan(["elementwise"], functions, [], [16 << 20], ["float32"], [2], [True]),
        *plan(["rows"], functions, catalog.ROW_SHAPES[:1], [], ["float32"], [1], [False]),
    ]


def make_arrays(case):
    """Input N(0, 3), mapped into the function's domain, and an output whose pages exist already."""
    rng = np.random.default_rng(0)
    dtype = accuracy.dtype_of(case.dtype)
    x = rng.standard_normal(case.shape, np.float32 if dtype.itemsize == 2 else dtype)
    x *= 3
    if case.section != "rows":
        x = by_name(case.function).inputs(x)
    x = x.astype(dtype, copy=False)
    y = np.zeros_like(x)
    y.fill(1)
    target = None
    if case.section == "rows":
        reduced = list(case.shape)
        classes = reduced.pop(case.axis)
        target = rng.integers(0, classes, reduced)
    return Arrays(x, y, case.axis, target)


def by_name(name):
    """An elementwise function of the catalogue."""
    return next(f for f in catalog.EVERY if f.name == name)


def batch_size(timer, batch):
    """Calls that take about `batch` seconds together; warms up on the way."""
    number, seconds = 1, timer.timeit(1)
    seconds = min(seconds, timer.timeit(1))
    while seconds < batch / 4:
        number *= 4
        seconds = timer.timeit(number)
    return max(1, round(number * batch / seconds))


def run_case(case, contenders, rounds, seconds, change=lambda name, bound: bound):
    """Time all contenders in turns; return {name: Timing}, cyact first.

    `change` may put another statement in a contender's place.
    """
    arrays = make_arrays(case)
    with contextlib.ExitStack() as stack, np.errstate(all="ignore"):
        bound = {}
        for contender in contenders:
            if not contender.supports(case.threads) or case.dtype not in contender.dtypes:
                continue
            stack.enter_context(contender.threads(case.threads))
            entry = contender.offer(case.key, arrays, case.fresh, case.threads)
            if entry is not None:
                bound[contender.name] = change(contender.name, entry)
        return summarize(take_turns(bound, rounds, seconds, case.threads))


def take_turns(bound, rounds, seconds, threads=1, batch=BATCH_SECONDS):
    """Time the statements of {name: Bound}, in a batch each in every round: {name: Timing}.

    `rounds` is the smallest and the largest number of rounds, `seconds` the time after which
    no round above the smallest number is begun; after PATIENCE times as long, none at all.
    """
    timers = {name: timeit.Timer(entry.statement, globals=entry.names)
              for name, entry in bound.items()}
    numbers = {name: batch_size(timer, batch) for name, timer in timers.items()}
    taken = {name: [] for name in timers}
    order = list(timers)
    shuffle = random.Random(0).shuffle
    begin = time.perf_counter()
    for done in range(rounds[1]):
        spent = time.perf_counter() - begin
        if spent > (seconds if done >= rounds[0] else PATIENCE * seconds) and done >= 3:
            break
        shuffle(order)      # so that nobody always runs in the same one's wake
        for name in order:
            if threads > 1:
                time.sleep(SETTLE_SECONDS)
            timers[name].timeit(1)      # wakes its threads, brings its code into cache
            taken[name].append(timers[name].timeit(numbers[name]) / numbers[name])
    return {name: Timing(bound[name].statement, taken[name]) for name in bound}


def summarize(timings):
    """Fill in medians, and ratios to cyact's times of the same rounds."""
    base = timings["cyact"]
    for timing in timings.values():
        timing.median = statistics.median(timing.seconds)
    for timing in timings.values():
        ratios = [a / b for a, b in zip(timing.seconds, base.seconds, strict=True)]
        timing.ratio = timing.median / base.median
        timing.low, _, timing.high = statistics.quantiles(ratios, n=4, method="inclusive")
    return timings


class Errors:
    """Largest errors of contenders, measured once for each function and dtype."""

    def __init__(self, contenders):
        self.contenders = contenders
        self.known = {}

    def of(self, case):
        """Return {contender: (largest error, largest on the data alone)} in ULP."""
        key = case.key, case.dtype, case.shape if case.section == "rows" else None
        if key not in self.known:
            self.known[key] = self._measure(case)
        return self.known[key]

    def _measure(self, case):
        arrays = make_arrays(case if case.section == "rows" else
                             Case(case.section, case.function, (1 << 14,), case.dtype))
        data = arrays.x.size
        if case.section == "rows":
            formula = catalog.EVERY_ROW[case.function]
            ref = formula and accuracy.rows_reference(formula, arrays.x, arrays.axis,
                                                      arrays.target)
        else:
            function = by_name(case.function)
            x = function.inside(accuracy.sample(case.dtype, arrays.x))
            data = min(data, accuracy.MULTIPRECISION_POINTS if case.dtype == "float64" else data)
            arrays = arrays._replace(x=x, y=np.empty_like(x))
            ref = accuracy.elementwise_reference(function, x, case.section == "backward")
        if ref is None:
            return {}
        found = {}
        for contender in self.contenders:
            if case.dtype not in contender.dtypes:
                continue
            with contender.threads(cores()), np.errstate(all="ignore"):
                bound = (contender.offer(case.key, arrays, False, 1)
                         or contender.offer(case.key, arrays, True, 1))
                if bound is not None:
                    error = accuracy.ulp_error(bound.result(), ref).ravel()
                    found[contender.name] = float(error.max()), float(error[:data].max())
        return found


def run(cases, contenders, yardsticks, *, rounds, seconds, errors=True, progress=lambda c: c):
    """Measure every case; yield (case, {name: Timing})."""
    measured = Errors(contenders)
    for case in progress(cases):
        rivals = contenders
        if case.section == "calls":
            rivals = [c for c in contenders if c.name in {"cyact", "torch"}] + yardsticks
        timings = run_case(case, rivals, rounds, seconds)
        if errors:
            for name, (largest, on_data) in measured.of(case).items():
                if name in timings:
                    timings[name].ulp, timings[name].ulp_data = largest, on_data
        yield case, timings


def as_record(case, timings):
    """One case as plain data for JSON."""
    return {**asdict(case), "contenders": {
        name: {key: value for key, value in asdict(timing).items() if value is not None}
        for name, timing in timings.items()}}
