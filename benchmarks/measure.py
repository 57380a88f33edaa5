"""The cases, and how each is measured: all contenders in turns, and the errors of their results."""

import contextlib
from dataclasses import asdict, dataclass, replace

import numpy as np

from . import accuracy, catalog
from .contenders import Arrays
from .timing import Timing, array, cores, summarize, take_turns


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


def plan(what, functions, shapes, sizes, dtypes, threads, modes):
    """Every case asked for, the cross product of the arguments."""
    cases = []
    for section in what:
        for dtype in dtypes:
            for fresh in modes:
                for count in threads:
                    if section == "rows":
                        cases += [Case(section, f, shape, dtype, count, fresh, axis)
                                  for f in catalog.COMMON_ROWS if f in functions
                                  if fresh or f != "cross_entropy"
                                  for shape, axis in shapes]
                    else:
                        cases += [Case(section, f.name, (size,), dtype, count, fresh)
                                  for size in sizes for f in catalog.ELEMENTWISE.values()
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


def every_plan(functions):
    """Values and backward passes in three dtypes, in cache and beyond, and calls."""
    return [
        *plan(["calls"], functions, [], [16], ["float32"], [1], [True]),
        *plan(["elementwise", "backward"], functions, [], [16 << 10, 1 << 20],
              ["float32", "float16", "bfloat16"], [1], [False]),
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
        x = catalog.ELEMENTWISE[case.function].inputs(x)
    x = x.astype(dtype, copy=False)
    y = np.zeros_like(x)
    y.fill(1)
    target = None
    if case.section == "rows":
        reduced = list(case.shape)
        classes = reduced.pop(case.axis)
        target = rng.integers(0, classes, reduced)
    return Arrays(x, y, case.axis, target)


def run_case(case, contenders, rounds, seconds):
    """Time all contenders in turns; return {name: Timing}, cyact first."""
    arrays = make_arrays(case)
    with contextlib.ExitStack() as stack, np.errstate(all="ignore"):
        bound = {}
        for contender in contenders:
            if not contender.supports(case.threads) or case.dtype not in contender.dtypes:
                continue
            stack.enter_context(contender.threads(case.threads))
            entry = contender.offer(case.key, arrays, case.fresh, case.threads)
            if entry is not None:
                bound[contender.name] = entry
        return summarize(take_turns(bound, rounds, seconds, case.threads))


class Errors:
    """Largest errors of contenders, measured once for each function and dtype."""

    def __init__(self, contenders):
        self.contenders = contenders
        self.known = {}

    def of(self, case):
        """Return {contender: largest error in ULP}."""
        key = case.key, case.dtype, case.shape if case.section == "rows" else None
        if key not in self.known:
            rows = case.section == "rows"
            self.known[key] = dict(self._of_rows(case) if rows else self._of_elements(case))
        return self.known[key]

    def _of_rows(self, case):
        fewer = max(1, case.shape[0] * accuracy.ROW_POINTS // case.size)
        arrays = make_arrays(replace(case, shape=(min(fewer, case.shape[0]), *case.shape[1:])))
        true = accuracy.rows_truth(case.function, arrays.x, arrays.axis, arrays.target)
        if true is not None:
            for contender, bound in self._bound(case, arrays):
                yield contender.name, accuracy.largest(bound.result(), true, 0.0, case.dtype)

    def _of_elements(self, case):
        function = catalog.ELEMENTWISE[case.function]
        what = "derivative" if case.section == "backward" else "value"
        x = accuracy.sample(function, accuracy.dtype_of(case.dtype))
        given = what == "derivative" and function.given_output
        true = None if given else accuracy.truth(function, what, x)
        for contender, bound in self._bound(case, Arrays(x, np.empty_like(x))):
            exact = (accuracy.truth(function, what, x, array(bound.names["s"])) if given else true)
            yield contender.name, accuracy.largest(bound.result(), *exact, case.dtype)

    def _bound(self, case, arrays):
        for contender in self.contenders:
            if case.dtype in contender.dtypes:
                with contender.threads(cores()), np.errstate(all="ignore"):
                    bound = (contender.offer(case.key, arrays, False, 1)
                             or contender.offer(case.key, arrays, True, 1))
                    if bound is not None:
                        yield contender, bound


def run(cases, contenders, yardsticks, *, rounds, seconds, errors=True, progress=lambda c: c):
    """Measure every case; yield (case, {name: Timing})."""
    measured = Errors(contenders)
    for case in progress(cases):
        rivals = contenders
        if case.section == "calls":
            rivals = [c for c in contenders if c.name in {"cyact", "torch"}] + yardsticks
        timings = run_case(case, rivals, rounds, seconds)
        if errors:
            for name, largest in measured.of(case).items():
                if name in timings:
                    timings[name].ulp = largest
        yield case, timings


def as_records(results):
    """Cases and their timings as plain data for JSON."""
    return [{**asdict(case), "contenders": {
        name: {key: value for key, value in asdict(timing).items() if value is not None}
        for name, timing in timings.items()}} for case, timings in results]


def from_records(records):
    """[(Case, {contender: Timing})] of what `as_records` gave."""
    return [(Case(**{key: tuple(value) if key == "shape" else value
                     for key, value in record.items() if key != "contenders"}),
             {name: Timing(**timing) for name, timing in record["contenders"].items()})
            for record in records]
