"""Functions along an axis in depth: `python -m benchmarks.rows`.

Speed over the shapes that differ, with the largest error beside each time, and accuracy over rows
of five kinds and many lengths. `--check` measures what a release must clear, against PyTorch in
the same run with the same number of threads, and exits with 1 where it falls short. `--matrix`
measures every length, axis and dtype instead (matrix.py).
"""

import argparse
import sys
from itertools import groupby
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    from .__main__ import use_installed_cyact

    use_installed_cyact()
    if "--matrix" in sys.argv:
        from . import matrix  # needs nothing of what follows, so that it measures other builds

        sys.exit(matrix.main())

from . import accuracy, catalog, contenders, measure, tables, timing

FUNCTIONS = catalog.ROWS
SHAPES = [((1024, 2), -1), ((1024, 10), -1), ((1024, 48), -1), ((1024, 128), -1),
          ((32, 12, 128, 128), -1), ((1024, 1000), -1), ((4096, 1000), -1), ((256, 32000), -1),
          ((8, 21, 256, 256), 1)]

# (function, shape, axis, times PyTorch's speed), float32
BARS = [
    ("softmax", (1024, 10), -1, 10.0),
    ("softmax", (1024, 128), -1, 1.0),
    ("softmax", (32, 12, 128, 128), -1, 1.0),
    ("softmax", (1024, 1000), -1, 1.2),
    ("softmax", (256, 32000), -1, 1.2),
    ("softmax", (8, 21, 256, 256), 1, 2.0),
    ("cross_entropy", (4096, 1000), -1, 2.0),
]
LARGE = 1 << 20             # from so many entries on, several threads are compared, too

DISTRIBUTIONS = {
    "flat": lambda rng, shape: np.full(shape, 1.7),
    "normal, 1": lambda rng, shape: rng.standard_normal(shape),
    "normal, 10": lambda rng, shape: 10 * rng.standard_normal(shape),
    "peaked": lambda rng, shape: peaked(rng, shape),
    "sorted": lambda rng, shape: np.sort(10 * rng.standard_normal(shape), axis=-1),
}
OUTPUT = Path("benchmarks/results/rows.json")
LENGTHS = [2, 10, 128, 1000, 32000, 1 << 20]
MOST_ULP = {"softmax": 2, "log_softmax": 2}


def peaked(rng, shape):
    """One entry of each row far above the rest."""
    x = rng.standard_normal(shape)
    x[..., shape[-1] // 3] += 30
    return x


def sum_bound(dtype):
    """How far the sum of a row's probabilities may be from 1."""
    return float(np.finfo(dtype).eps)


def speed_cases(functions, threads):
    """Every function on every shape, with one thread, and several where there is much to do."""
    cases = []
    for function in functions:
        for count in dict.fromkeys([1, threads]):
            cases += [measure.Case("rows", function, shape, "float32", count,
                                   function == "logsumexp" or function in catalog.LOSSES, axis)
                      for shape, axis in SHAPES if count == 1 or np.prod(shape) >= LARGE
                      # PyTorch takes the classes of images along axis 1 only
                      if function not in catalog.LOSSES or len(shape) == 2 or axis == 1]
    return cases


def bar_cases():
    return [(measure.Case("rows", function, shape, "float32", 1, function == "cross_entropy", axis),
             bar) for function, shape, axis, bar in BARS]


def rows_of(kind, n, dtype):
    """A few rows of n entries, fewer where they are long; and the axis they lie along."""
    rng = np.random.default_rng([n, list(DISTRIBUTIONS).index(kind)])
    count = max(1, min(256, (1 << 18) // n))
    return DISTRIBUTIONS[kind](rng, (count, n)).astype(dtype)


def accuracy_inputs(dtype, longest):
    """(name, array, axis) of each kind of rows, and of long rows along the first axis."""
    for kind in DISTRIBUTIONS:
        for n in LENGTHS:
            if n <= longest:
                yield f"{kind} · {n}", rows_of(kind, n, dtype), -1
    for kind in DISTRIBUTIONS:
        pair = np.concatenate([rows_of(kind, longest, dtype)] * 2)[:2]
        yield f"{kind} · axis 0 of {longest} x 2", np.ascontiguousarray(pair.T), 0


def errors_of(function, x, axis, rivals):
    """{contender: (largest error in ULP, largest distance of a row's sum from 1)}."""
    arrays = contenders.Arrays(x, np.empty_like(x), axis)
    true = accuracy.rows_truth(function, x, axis)
    found = {}
    for rival in rivals:
        if x.dtype.name not in rival.dtypes:
            continue
        count = timing.cores()
        with rival.threads(count), np.errstate(all="ignore"):
            bound = rival.supports(count) and rival.bind(function, arrays, True, count)
            if not bound:
                continue
            result = bound.result()
        # pairwise: along axis 0 NumPy would add one after the other
        last = np.ascontiguousarray(np.moveaxis(result, axis, -1), np.longdouble)
        off = float(np.abs(last.sum(-1) - 1).max())
        ulp = None if true is None else accuracy.largest(result, true, 0.0, x.dtype)
        found[rival.name] = ulp, off
    return found


def accuracy_table(rivals, dtype, longest):
    """Text: largest errors of every contender on every kind of row."""
    names = [r.name for r in rivals]
    lines = [f"Accuracy · {dtype} · softmax: max ULP, and |sum - 1| in units of "
             f"2^{round(np.log2(sum_bound(dtype)))}; log_softmax: max ULP",
             f"{'':30}" + "".join(f"{name:>22}" for name in names)]
    worst = {name: {} for name in names}
    for name, x, axis in accuracy_inputs(dtype, longest):
        line = f"{name:30}"
        soft = errors_of("softmax", x, axis, rivals)
        log = errors_of("log_softmax", x, axis, rivals)
        for rival in names:
            cell = "-"
            if rival in soft:
                ulp, off = soft[rival]
                of_log = log[rival][0] if rival in log else None
                cell = (f"{tables.short(ulp)} {tables.short(off / sum_bound(dtype))} "
                        f"{tables.short(of_log)}")
                for key, value in (("softmax", ulp), ("sum", off), ("log_softmax", of_log)):
                    if value is not None:
                        worst[rival][key] = max(worst[rival].get(key, 0.0), value)
            line += f"{cell:>22}"
        lines.append(line)
    return "\n".join(lines), worst


def check(timed, worst):
    """Compare with the bars: lines of text, and whether all hold.

    `timed`: (case, bar, ratio of PyTorch's time to cyact's); `worst`: {dtype: {name: {what:
    largest}}}.
    """
    lines, good = [], bool(timed)
    for case, bar, ratio in timed:
        holds = ratio >= bar
        good &= holds
        lines.append(f"{'ok  ' if holds else 'FAIL'}  {tables.case_name(case)}: torch/cyact at "
                     f"least {bar:g}: {ratio:.2f} (aim: {1.5 * bar:g})")
    for dtype, found in worst.items():
        bounds = {**MOST_ULP, "sum": sum_bound(dtype)}
        for what, bound in bounds.items():
            value = found.get("cyact", {}).get(what, np.inf)
            holds = value <= bound
            good &= holds
            unit = "" if what == "sum" else " ULP"
            lines.append(f"{'ok  ' if holds else 'FAIL'}  {dtype}: {what} at most "
                         f"{bound:.3g}{unit}: {value:.3g}")
    return lines, good


def arguments(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rows", description="Speed and accuracy along an axis, against "
        "whichever of NumPy expressions, SciPy, PyTorch, JAX and ONNX Runtime are installed.")
    parser.add_argument("--check", action="store_true",
                        help="only what the bars need; exit with 1 where one is missed")
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=FUNCTIONS,
                        metavar="NAME", help=f"only these of: {', '.join(FUNCTIONS)}")
    parser.add_argument("--threads", type=int, default=timing.cores(), metavar="N",
                        help="also this many threads on large arrays (default: every core)")
    parser.add_argument("--rounds", type=int, default=15, metavar="N",
                        help="rounds of each case at least (default 15)")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="S",
                        help="time after which a case gets no further rounds (default 0.5)")
    parser.add_argument("--longest", type=int, default=LENGTHS[-1], metavar="N",
                        help="longest rows of the accuracy tables (default 2^20)")
    parser.add_argument("--no-speed", action="store_true", help="only the accuracy")
    parser.add_argument("--matrix", action="store_true", help="functions over every length, axis "
                        "and dtype instead: see `--matrix --help`")
    options = parser.parse_args(argv)
    if options.rounds < 2:
        parser.error("--rounds must be at least 2: the spread needs two")
    if options.threads < 1 or options.longest < 2:
        parser.error("--threads must be at least 1 and --longest at least 2")
    if options.check and options.no_speed:
        parser.error("--check measures the speed, too")
    return options


def main(argv=None):
    options = arguments(argv)
    found, missing = contenders.installed(["cyact", "torch", "NumPy", "SciPy", "ORT", "jax"])
    if options.check and "torch" in missing:
        sys.exit("--check compares with torch, which is not installed")
    rounds = options.rounds, 5 * options.rounds
    facts = contenders.facts(found)
    facts["command"] = "python -m benchmarks.rows " + " ".join(sys.argv[1:])
    print(tables.head(facts))
    if options.check:
        rivals = [c for c in found if c.name in ("cyact", "torch")]
        timed = []
        for case, bar in bar_cases():
            timings = measure.run_case(case, rivals, rounds, options.seconds)
            timed.append((case, bar, timings["torch"].ratio))
    elif not options.no_speed:
        results = list(measure.run(speed_cases(options.functions, options.threads), found, [],
                                   rounds=rounds, seconds=options.seconds))
        for _, group in groupby(results, key=lambda r: (r[0].function, *r[0].group)):
            print("\n" + tables.table(list(group)))
    worst = {}
    for dtype in ("float32", "float64"):
        # Against float64 references float32 takes a moment, against longdouble float64 longer
        longest = options.longest if dtype == "float32" else min(options.longest, 1 << 17)
        text, worst[dtype] = accuracy_table(
            [c for c in found if not options.check or c.name in ("cyact", "torch")], dtype, longest)
        print("\n" + text)
    if not options.check:
        if not options.no_speed:
            tables.write_json(OUTPUT, facts, results=measure.as_records(results), worst=worst)
            print(f"\nwritten: {OUTPUT}")
        return 0
    lines, good = check(timed, worst)
    print("\nThe bars:", *lines, sep="\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
