"""Write "Every elementwise function against PyTorch" of docs/benchmarks.md: all its numbers.

`python -m benchmarks.pages` measures values and backward passes in float32 and the half types,
half types with a bias and before their results are known, and small calls; and writes the tables,
with a list of where PyTorch is faster, between the two marks of the page.
"""

import argparse
import dataclasses
import re
import sys
from itertools import groupby
from pathlib import Path

from .__main__ import progress_bar, use_installed_cyact

BEGIN, END = "<!-- begin: written by python -m benchmarks.pages -->", "<!-- end -->"
SIZES = 16 << 10, 1 << 20
CALL_BAR = 0.8          # of np.exp's time
# f' from f(x): what PyTorch computes the backward passes of these from
GIVEN_OUTPUT = {"sigmoid": lambda s: s * (1 - s), "tanh": lambda s: 1 - s * s}

# What the counts of instructions do not say of why PyTorch is faster
FEW = 20
CHEAP = "both mostly wait for memory"
FROM_X = "PyTorch is given f(x): see the passes from the output"
REASONS = {
    ("backward", "gelu"): "PyTorch's is oneDNN's, generated at run time",
    ("backward", "sigmoid"): FROM_X,
    ("backward", "tanh"): FROM_X,
    ("backward", "log_sigmoid"): "PyTorch's forward pass has stored e^-\\|x\\| in an array",
    ("backward", "logit"): "carries the rounding error of x (1 - x)",
    ("elementwise", "hard_swish"): "rounded once; PyTorch's overflows",
}


def arguments(argv):
    from . import catalog

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pages", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"),
                        help="default docs/benchmarks.md")
    parser.add_argument("--functions", nargs="+", metavar="NAME",
                        choices=[f.name for f in catalog.ELEMENTWISE], help="default: all")
    parser.add_argument("--rounds", type=int, default=15, metavar="N",
                        help="rounds of a case (default 15; at most five times as many)")
    parser.add_argument("--seconds", type=float, default=0.25, metavar="S",
                        help="time after which a case gets no further rounds (default 0.25)")
    options = parser.parse_args(argv)
    if options.functions is None:
        options.functions = [f.name for f in catalog.ELEMENTWISE]
    return options


# What is timed

def computed(name, bound):
    """The same while cyact does not know a half type's results yet."""
    if name != "cyact":
        return bound
    from cyact._engine import halves

    return bound._replace(statement=f"forget(); {bound.statement}",
                          names=bound.names | {"forget": halves.forget})


def with_bias(name, bound):
    """The same of x plus a bias of 512; PyTorch adds it in a pass of its own, into scratch."""
    import numpy as np

    names = dict(bound.names)
    x = names["x"] = names["x"].reshape(-1, 512)
    names["y"] = names["y"].reshape(x.shape)
    if name == "cyact":
        names["b"] = np.linspace(-1, 1, 512, dtype=np.float32)
        return bound._replace(statement=bound.statement[:-1] + ", bias=b)", names=names)
    names |= {"x": names["t"].reshape(x.shape), "a": x,
              "b": names["torch"].linspace(-1, 1, 512).to(x.dtype)}
    return bound._replace(statement=f"torch.add(a, b, out=x); {bound.statement}", names=names)


def from_output(name, bound):
    """Cyact's backward pass from f(x), which PyTorch's are given anyhow."""
    if name != "cyact":
        return bound
    names = bound.names
    function = re.search(r"backward\.(\w+)", bound.statement)[1]
    return bound._replace(statement=bound.statement.replace("(g, x", "(g, output=s"),
                          names=names | {"s": getattr(names["cyact"], function)(names["x"])})


def unchanged(name, bound):
    del name
    return bound


def measured(options, contenders, progress):
    """[(title, results)] of all tables but the calls'."""
    from . import measure

    halves = ["float16", "bfloat16"]
    tables = [(f"{dtype}, {title}", what, dtype, SIZES, unchanged)
              for dtype in ["float32", *halves]
              for what, title in (("elementwise", "values"), ("backward", "backward passes"))]
    tables += [(f"{dtype}, {title}", "elementwise", dtype, sizes, change)
               for title, change, sizes in (
                   ("values before they are known", computed, SIZES[:1]),
                   ("values with bias=", with_bias, SIZES))
               for dtype in halves]
    tables += [(f"{dtype}, backward passes from the output", "backward", dtype, SIZES, from_output)
               for dtype in ["float32", *halves]]
    errors = measure.Errors(contenders)
    found, slower = [], {}
    for title, what, dtype, sizes, change in progress(tables):
        results = []
        functions = [f for f in options.functions if change is not from_output or f in GIVEN_OUTPUT]
        for case in measure.plan([what], functions, [], sizes, [dtype], [1], [False]):
            timings = measure.run_case(case, contenders, (options.rounds, 5 * options.rounds),
                                       options.seconds, change)
            largest = (errors_of(case, contenders, change) if change in (with_bias, from_output)
                       else {name: error for name, (error, _) in errors.of(case).items()})
            for name in timings:
                timings[name].ulp = largest.get(name)
            if is_slower(timings):
                same = dataclasses.replace(case, shape=(1,)), change.__name__
                slower.setdefault(same, []).append(timings)
            if change is from_output:
                case = dataclasses.replace(case, function=f"{case.function} from f(x)")
            results.append((case, timings))
        found.append((title, results))
    count_instructions(slower)
    return found


def errors_of(case, contenders, change):
    """Largest errors on the data that is timed, where a change puts in more or other than x."""
    import numpy as np

    from . import accuracy, measure

    function = measure.by_name(case.function)
    found = {}
    for contender in contenders:
        arrays = measure.make_arrays(dataclasses.replace(case, shape=SIZES[:1]))
        with contender.threads(1), np.errstate(all="ignore"):
            bound = contender.offer(case.key, arrays, False, 1)
            if bound is None:
                continue
            bound = change(contender.name, bound)
            if change is from_output:
                exact = GIVEN_OUTPUT[case.function](np.array(bound.names["s"].tolist()))
            else:
                x = arrays.x.astype(np.float64).reshape(bound.names["y"].shape)
                exact = function.value(accuracy.WIDE, x + np.array(bound.names["b"].tolist()))
            exact = accuracy.reference(exact, arrays.x.dtype)
            found[contender.name] = float(accuracy.ulp_error(bound.result(), exact).max())
    return found


def count_instructions(questions):
    """Fill in the instructions of those timings: {(case, name of a change): [timings]}."""
    from . import instructions

    for question, counts in instructions.counts(list(questions)).items():
        for timings in questions[question]:
            for name, count in counts.items():
                timings[name].instructions = count


def measured_calls(options, contenders):
    from . import contenders as everybody
    from . import measure

    yardsticks = [y for y in everybody.yardsticks() if y.name == "np.exp"]
    return list(measure.run(
        measure.plan(["calls"], options.functions, [], [16], ["float32"], [1], [True]),
        contenders, yardsticks, rounds=(options.rounds, 5 * options.rounds),
        seconds=options.seconds, errors=False))


# Numbers: the best of all rounds, for whatever else the machine did made them only longer

def nanoseconds(case, timing):
    return min(timing.seconds) * 1e9 / case.size


def ratio(timings, other="torch"):
    return min(timings[other].seconds) / min(timings["cyact"].seconds)


def is_slower(timings):
    from . import report

    return "torch" in timings and ratio(timings) < report.LOSS


# Text

def lines_of(results):
    """One line a function: for each size both times and their ratio; then both errors."""
    from . import report

    by_name = {name: list(group) for name, group in
               groupby(sorted(results, key=lambda r: r[0].function), key=lambda r: r[0].function)}
    names = list(dict.fromkeys(case.function for case, _ in results))
    sizes = list(dict.fromkeys(case.size for case, _ in results))
    errors = any(t["cyact"].ulp is not None for _, t in results)
    wide = max(len("geometric mean"), *map(len, names))
    lines = [" " * wide + "".join(f"{report.size_name(size):>15}{'':9}" for size in sizes)
             + (f"{'max ULP':>13}" if errors else ""),
             " " * wide + f"{'cyact':>9}{'torch':>7}{'':8}" * len(sizes)
             + (f"{'cyact':>6}{'torch':>7}" if errors else "")]
    for name in names:
        line = f"{name:{wide}}"
        for case, timings in by_name[name]:
            line += f"{report.short(nanoseconds(case, timings['cyact'])):>9}"
            line += f"{'-':>7}{'':8}" if "torch" not in timings else (
                f"{report.short(nanoseconds(case, timings['torch'])):>7}"
                f"{report.times(ratio(timings)):>7} ")
        if errors:
            torch = timings.get("torch")
            line += f"{report.short(timings['cyact'].ulp):>6}"
            line += f"{report.short(torch.ulp) if torch else '-':>7}"
        lines.append(line)
    line = f"{'geometric mean':{wide}}"
    for size in sizes:
        mean = report.geometric_mean([ratio(t) for c, t in results
                                      if c.size == size and "torch" in t])
        line += f"{'':16}{report.times(mean):>7} "
    return [text.rstrip() for text in [*lines, line]]


def exceptions(tables, titled=False):
    """Where PyTorch is faster, as the rows of a Markdown table; with the tables' titles or not."""
    from . import report

    lines = ["| | cyact, ns | PyTorch, ns | ratio | ULP of cyact | of PyTorch "
             "| instructions of cyact | of PyTorch | |",
             "|---|---|---|---|---|---|---|---|---|"]
    for title, results in tables:
        for case, timings in results:
            if not is_slower(timings):
                continue
            ours, torch = timings["cyact"], timings["torch"]
            what = f"{title}: " if titled else "backward of " if case.section == "backward" else ""
            cells = [f"{what}{case.function}, {report.size_name(case.size)}",
                     report.short(nanoseconds(case, ours)),
                     report.short(nanoseconds(case, torch)), report.times(ratio(timings)),
                     report.short(ours.ulp), report.short(torch.ulp), whole(ours.instructions),
                     whole(torch.instructions), reason(case, ours)]
            lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return lines if len(lines) > 2 else ["Nowhere."]


def whole(number):
    return "-" if number is None else f"{number:.0f}"


def reason(case, ours):
    few = ours.instructions is not None and ours.instructions <= FEW
    return REASONS.get((case.section, case.function),
                       CHEAP if few and case.size == max(SIZES) else "")


def dear_calls(calls):
    """Functions whose small calls miss the bar, with their share of np.exp's time."""
    shares = [(1 / ratio(timings, "np.exp"), case.function) for case, timings in calls]
    return ", ".join(f"{name} {share:.2f}" for share, name in sorted(shares, reverse=True)
                     if share > CALL_BAR) or "none"


def call_lines(calls):
    from . import report

    wide = max(len(case.function) for case, _ in calls)
    lines = [f"{'':{wide}}{'cyact':>8}{'torch':>8}{'np.exp':>8}{'cyact/np.exp':>14}"]
    for case, timings in calls:
        each = {name: min(timing.seconds) * 1e9 for name, timing in timings.items()}
        torch = report.short(each.get("torch"))
        lines.append(f"{case.function:{wide}}{report.short(each['cyact']):>8}{torch:>8}"
                     f"{report.short(each['np.exp']):>8}{each['cyact'] / each['np.exp']:>14.2f}")
    return lines


def section(facts, busy, tables, calls):
    """All that is written, as Markdown."""
    from . import report

    compared = [t for _, results in tables for _, t in results if "torch" in t]
    single = [table for table in tables if "float32" in table[0]]
    halves = [table for table in tables if "float32" not in table[0]]
    parts = [
        BEGIN, f"```text\n{report.head(facts)}\n{busy}\n```",
        "### Where PyTorch is faster, and why",
        f"{sum(map(is_slower, compared))} of {len(compared)} comparisons have a ratio below "
        f"{report.LOSS}. Instructions are executed ones for 16 elements, of cyact's level and "
        f"PyTorch's, counted by [benchmarks/instructions.py](../benchmarks/instructions.py). "
        f"In float32:",
        "\n".join(exceptions(single)),
        "In half types, errors in ULP of the half type:",
        "\n".join(exceptions(halves, titled=True)),
        f"Of small calls (16 elements, a fresh result) these take more than {CALL_BAR} of "
        f"`np.exp`'s time: {dear_calls(calls)}."]
    for title, results in tables:
        parts += [f"### {title}", "```text\n" + "\n".join(lines_of(results)) + "\n```"]
    parts += ["### Calls on 16 elements, ns", "```text\n" + "\n".join(call_lines(calls)) + "\n```"]
    return "\n\n".join([*parts, END])


def replaced(page, text, begin=BEGIN, end=END):
    """The page with the first marks and what lies between them replaced."""
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    if not re.search(pattern, page, re.DOTALL):
        sys.exit(f"the page has no place for this: {begin} … {end}")
    return re.sub(pattern, lambda _: text, page, count=1, flags=re.DOTALL)


def main(argv=None):
    use_installed_cyact()
    options = arguments(argv)
    tqdm = progress_bar()
    from . import contenders, report

    found, missing = contenders.installed(["cyact", "torch"])
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    replaced(options.page.read_text(), "")      # a page without the marks fails at once
    busy = report.load_average()
    calls = measured_calls(options, found)
    tables = measured(options, found, lambda cases: tqdm(cases, unit="table"))
    text = section(report.environment(found), busy, tables, calls)
    page = replaced(options.page.read_text(), text)
    report.write_whole(options.page, lambda path: path.write_text(page))
    print(f"written: {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
