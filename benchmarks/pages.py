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
GIVEN_OUTPUT = ["sigmoid", "tanh"]      # whose backward passes PyTorch computes from f(x)

# Why PyTorch is faster: instructions are those of the loops' machine code for 16 elements at
# AVX-512, of cyact by objdump (the product with the gradient takes 6 more), of PyTorch 2.13 by
# objdump of the addresses that perf finds hot.
CHEAP = "4 to 10 instructions for 16 elements; at 1M both mostly wait for memory"
REASONS = {
    ("backward", "silu"): "61 instructions, PyTorch 53, 35 of them a call of SLEEF's exp",
    ("backward", "gelu"): "83 instructions in double; PyTorch's is oneDNN's, in float, generated "
                          "at run time",
    ("backward", "sigmoid"): "47 instructions from x; PyTorch is given f(x) and takes 6: see the "
                             "table of passes from the output",
    ("backward", "tanh"): "48 instructions from x; PyTorch is given f(x): see the table of passes "
                          "from the output",
    ("backward", "log_sigmoid"): "45 instructions from x; PyTorch 16, for its forward pass has "
                                 "stored e^-|x| in an array",
    ("backward", "elu"): "42 instructions",
    ("backward", "logit"): "22 instructions, which carry the rounding error of x (1 - x)",
    ("elementwise", "hard_swish"): "19 instructions: rounded once; PyTorch's overflows",
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
    from cyact import _engine

    return bound._replace(statement=f"forget(); {bound.statement}",
                          names=bound.names | {"forget": _engine.forget})


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
    found = []
    for title, what, dtype, sizes, change in progress(tables):
        results = []
        functions = [f for f in options.functions if change is not from_output or f in GIVEN_OUTPUT]
        for case in measure.plan([what], functions, [], sizes, [dtype], [1], [False]):
            timings = measure.run_case(case, contenders, (options.rounds, 5 * options.rounds),
                                       options.seconds, change)
            if change is from_output:
                case = dataclasses.replace(case, function=f"{case.function} from f(x)")
            elif dtype == "float32":
                for name, (largest, _) in errors.of(case).items():
                    if name in timings:
                        timings[name].ulp = largest
            results.append((case, timings))
        found.append((title, results))
    return found


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


def exceptions(results):
    """Where PyTorch is faster in float32, as the rows of a Markdown table."""
    from . import report

    lines = ["| | cyact, ns | PyTorch, ns | ratio | ULP of cyact | of PyTorch | why |",
             "|---|---|---|---|---|---|---|"]
    for case, timings in results:
        if not is_slower(timings):
            continue
        ours, torch = timings["cyact"], timings["torch"]
        what = "backward of " if case.section == "backward" else ""
        why = REASONS.get((case.section, case.function), CHEAP)
        lines.append(
            f"| {what}{case.function}, {report.size_name(case.size)} "
            f"| {report.short(nanoseconds(case, ours))} "
            f"| {report.short(nanoseconds(case, torch))} | {report.times(ratio(timings))} "
            f"| {report.short(ours.ulp)} | {report.short(torch.ulp)} | {why} |")
    return lines if len(lines) > 2 else ["Nowhere."]


def half_exceptions(tables):
    """The same for half types: a line a table, functions with their ratios."""
    from . import report

    lines = []
    for title, results in tables:
        found = {}
        for case, timings in results:
            if is_slower(timings):
                found.setdefault(case.function, []).append(
                    f"{report.size_name(case.size)} {report.times(ratio(timings))}")
        if found:
            names = "; ".join(f"{name} {', '.join(ratios)}" for name, ratios in found.items())
            lines.append(f"- {title}: {names}.")
    return lines or ["Nowhere."]


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
    single = [result for title, results in tables if "float32" in title for result in results]
    halves = [(title, results) for title, results in tables if "float32" not in title]
    parts = [
        BEGIN, f"```text\n{report.head(facts)}\n{busy}\n```",
        "### Where PyTorch is faster, and why",
        f"{sum(map(is_slower, compared))} of {len(compared)} comparisons have a ratio below "
        f"{report.LOSS}. In float32:",
        "\n".join(exceptions(single)),
        "In half types:",
        "\n".join(half_exceptions(halves)),
        f"Of small calls (16 elements, a fresh result) these take more than {CALL_BAR} of "
        f"`np.exp`'s time: {dear_calls(calls)}."]
    for title, results in tables:
        parts += [f"### {title}", "```text\n" + "\n".join(lines_of(results)) + "\n```"]
    parts += ["### Calls on 16 elements, ns", "```text\n" + "\n".join(call_lines(calls)) + "\n```"]
    return "\n\n".join([*parts, END])


def replaced(page, text):
    """The page with what lies between the marks replaced."""
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    if not re.search(pattern, page, re.DOTALL):
        sys.exit(f"the page has no place for this: {BEGIN} … {END}")
    return re.sub(pattern, lambda _: text, page, flags=re.DOTALL)


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
