"""Write what was measured into README.md and docs/benchmarks.md: `python -m benchmarks.report`.

Nothing is measured here. Each part of the pages that stands between two marks comes from one file
in benchmarks/results, and stays as it is where that file is missing:

    python -m benchmarks                                        results.json: README.md, chart,
                                                                "At a glance"
    python -m benchmarks --every                                every.json: "Every function"
    python -m benchmarks.rows                                   rows.json: "Along an axis"
    python -m benchmarks.rows --matrix --save benchmarks/results/matrix.json   "Every shape"
"""

import argparse
import json
import math
import re
import sys
import textwrap
from itertools import groupby
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    from .__main__ import use_installed_cyact

    use_installed_cyact()

from . import matrix, measure, tables
from .tables import LOSS, geometric_mean, short

BEGIN, END = "<!-- begin: {}, written by python -m benchmarks.report -->", "<!-- end: {} -->"
NAMES = {"cyact": "cyact", "torch": "PyTorch", "NumPy": "NumPy", "SciPy": "SciPy",
         "numexpr": "numexpr", "ORT": "ONNX Runtime", "jax": "JAX"}
# (section, dtype, size, threads, fresh) of the README's rows of means
MEANS = {
    "a call on 1 element, `out=`": ("elementwise", "float32", 1, 1, False),
    "16K elements, one thread, `out=`": ("elementwise", "float32", 16 << 10, 1, False),
    "1M elements, one thread, `out=`": ("elementwise", "float32", 1 << 20, 1, False),
    "16M elements, two threads, fresh result": ("elementwise", "float32", 16 << 20, 2, True),
    "16K elements, one thread, `out=`, float64": ("elementwise", "float64", 16 << 10, 1, False),
}
LISTED = 15         # losses at a glance
# Of "Along an axis"
SHAPES = [(1024, 10), (4096, 1000), (8, 21, 256, 256)]
THREADED = [(4096, 1000)]
WHAT = {"softmax": "softmax, ULP", "log_softmax": "log_softmax, ULP", "sum": "sum of softmax - 1"}
# Why PyTorch is faster
CHEAP = "both mostly wait for memory"
REASONS = {
    ("backward", "gelu"): "PyTorch's is oneDNN's, generated at run time",
    ("backward", "log_sigmoid"): "PyTorch's forward pass has stored e^-\\|x\\| in an array",
    ("backward", "logit"): "carries the rounding error of x (1 - x)",
    ("elementwise", "hard_swish"): "rounded once; PyTorch's overflows",
    **{("backward", name): CHEAP for name in ("relu6", "relu_k", "thresholded_relu", "tanh",
                                              "hard_sigmoid")},
    ("elementwise", "hard_shrink"): CHEAP,
}


# Pieces

def row(cells):
    return f"| {' | '.join(cells)} |"


def table(head, rows):
    return [row(head), "|" + "---|" * len(head), *map(row, rows)]


def ulp(error):
    return short(error).replace("inf", "∞")


def cross(ratio):
    return tables.times(ratio)[:-1] + "×"


def bold(text, condition):
    return f"**{text}**" if condition else text


def about(facts, before=""):
    """Machine, versions and date, in lines of at most 100 columns."""
    versions = ", ".join(f"{NAMES[name]} {version.partition('+')[0]}"
                         for name, version in facts["versions"].items()
                         if name in NAMES and name != "cyact")
    notes = "".join(f" {note}." for note in facts["notes"])
    return textwrap.wrap(f"{before}{facts['machine']}, {facts['cores']} cores, level "
                         f"{facts['cyact']['level']}, Python {facts['python']}, {versions}; "
                         f"{facts['date']}, commit {facts['commit']}.{notes}", 100)


def group(results, section, dtype, size, threads, fresh):
    return [(case, timings) for case, timings in results
            if (case.section, case.dtype, case.threads, case.fresh)
            == (section, dtype, threads, fresh) and size in (None, case.size)]


def mean(ratios):
    """Geometric mean (smallest–largest)."""
    if not ratios:
        return "–"
    return f"{cross(geometric_mean(ratios))} ({cross(min(ratios))[:-1]}–{cross(max(ratios))[:-1]})"


# README.md

def speed_and_error(results):
    """Nanoseconds an element and ULP, a function a row; the fastest in bold."""
    names = [name for name in NAMES if name not in ("jax", "numexpr")]
    chosen = group(results, *MEANS["16K elements, one thread, `out=`"])
    chosen += sorted(group(results, "rows", "float32", None, 1, True), key=lambda r: r[0].shape)
    rows = []
    for case, timings in chosen:
        here = [name for name in names if name in timings]
        fastest = min(here, key=lambda name: timings[name].median)
        size = ("16K elements" if case.section == "elementwise"
                else " × ".join(map(str, case.shape)))
        both = case.function.replace("cross_entropy", "cross_entropy and gradient")
        rows.append([f"{both}, {size}", *(
            bold(f"{short(tables.per_unit(case, timings[name].median))} · "
                 f"{ulp(timings[name].ulp)}", name == fastest) if name in here else "–"
            for name in names)])
    return table(["float32, one thread", *(NAMES[name] for name in names)], rows)


def means(results):
    names = [name for name in NAMES if name not in ("cyact", "numexpr")]
    return table(["time of the other as a multiple of cyact's", *(NAMES[n] for n in names)], [
        [title, *(mean([t[name].ratio for _, t in group(results, *which) if name in t])
                  for name in names)] for title, which in MEANS.items()])


def readme(facts, results):
    return [*speed_and_error(results), "",
            "Over these elementwise functions, geometric mean (smallest–largest):", "",
            *means(results), "", *about(facts, "Medians of one interleaved run: ")]


# docs/benchmarks.md

def glance(facts, results):
    """Means of every group, calls, and where cyact is slower."""
    names = [name for name in NAMES if name != "cyact"]
    groups = [list(each) for _, each in groupby(results, key=lambda r: r[0].group)]
    rows = [[tables.group_title(each[0][0]),
             *(mean([t[name].ratio for _, t in each if name in t]) for name in names)]
            for each in groups if each[0][0].section != "calls"]
    lines = [*about(facts), "", *table(["", *(NAMES[name] for name in names)], rows), ""]
    lines += call_times(group(results, "calls", "float32", 16, 1, True))
    lost = tables.losses(results)
    compared = sum(len(timings) - 1 for _, timings in results)
    lines += [f"cyact is slower in {len(lost)} of {compared} comparisons (a ratio below {LOSS}); "
              f"{'the worst' if len(lost) > LISTED else 'these'}:", "",
              *(f"- {line.replace('  ', ' ')}" for line in lost[:LISTED])]
    return lines


def call_times(calls):
    """The range of each contender's times of small calls, as a sentence."""
    if not calls:
        return []
    said = []
    for name in dict.fromkeys(name for _, timings in calls for name in timings):
        times = [t[name].median * 1e9 for _, t in calls if name in t]
        said.append(f"{NAMES.get(name, f'`{name}`')} {min(times):.0f} to {max(times):.0f} ns")
    return [*textwrap.wrap("A call on 16 elements, with a fresh result, takes " + ", ".join(said)
                           + ".", 100), ""]


def every(facts, results):
    """Every function against PyTorch: float32 in full, the half types by their means."""
    cases = {(c.section, c.dtype, c.size, c.function): (c, t) for c, t in results}
    columns = [(section, size) for section in ("elementwise", "backward")
               for size in (16 << 10, 1 << 20)]
    rows = []
    for name in dict.fromkeys(c.function for c, _ in results if c.section == "elementwise"):
        found = [cases.get((section, "float32", size, name)) for section, size in columns]
        rows.append([name, *map(against_torch, found), errors(found[0]), errors(found[2])])
    titles = [f"{'values' if section == 'elementwise' else 'backward'}, {tables.size_name(size)}"
              for section, size in columns]
    lines = [*about(facts), "", *table(["float32", *titles, "ULP", "ULP, backward"], rows), "",
             "PyTorch's time as a multiple of cyact's, geometric mean (smallest–largest):", ""]
    lines += table(["", *titles], [
        [dtype, *(mean([best(t) for (section, kind, size, _), (_, t) in cases.items()
                        if (section, kind, size) == (*column[:1], dtype, *column[1:])
                        and "torch" in t]) for column in columns)]
        for dtype in dict.fromkeys(c.dtype for c, _ in results)])
    slower = [(c, t) for c, t in results if "torch" in t and best(t) < LOSS
              and c.section != "calls"]
    compared = sum("torch" in t for c, t in results if c.section != "calls")
    lines += ["", "### Where PyTorch is faster, and why", "",
              f"{len(slower)} of {compared} comparisons have a ratio below {LOSS}:", ""]
    lines += table(["", "cyact, ns", "PyTorch, ns", "ratio", "ULP", ""], [
        [f"{'backward of ' * (c.section == 'backward')}{c.function}, {c.dtype}, "
         f"{tables.size_name(c.size)}", fastest(c, t, "cyact"), fastest(c, t, "torch"),
         cross(best(t)), errors((c, t)), REASONS.get((c.section, c.function), "")]
        for c, t in slower])
    calls = group(results, "calls", "float32", 16, 1, True)
    shares = sorted(((1 / best(t, "np.exp"), c.function) for c, t in calls if "np.exp" in t),
                    reverse=True)
    if shares:
        dear = ", ".join(f"{name} {share:.2f}" for share, name in shares if share > 0.8)
        lines += ["", *textwrap.wrap(
            f"A call on 16 elements with a fresh result takes {shares[-1][0]:.2f} to "
            f"{shares[0][0]:.2f} of `np.exp`'s time; more than 0.8 take: {dear or 'none'}.", 100)]
    return lines


def best(timings, other="torch"):
    """Ratio of the shortest times: whatever else the machine did made them only longer."""
    return min(timings[other].seconds) / min(timings["cyact"].seconds)


def fastest(case, timings, name):
    return short(min(timings[name].seconds) * 1e9 / case.size)


def against_torch(found):
    if found is None:
        return "–"
    case, timings = found
    ours = fastest(case, timings, "cyact")
    if "torch" not in timings:
        return ours
    return f"{ours}, {bold(cross(best(timings)), best(timings) < LOSS)}"


def errors(found):
    if found is None:
        return "–"
    timings = found[1]
    return ulp(timings["cyact"].ulp) + (
        f", {ulp(timings['torch'].ulp)}" if "torch" in timings else "")


def along_an_axis(facts, results, worst):
    """Speed and error of functions on a few shapes, and the largest errors of all rows."""
    names = [name for name in NAMES if any(name in t for _, t in results)]
    chosen = {}
    for case, timings in results:       # JAX takes part with all cores alone
        if case.shape in (SHAPES if case.threads == 1 else THREADED if "jax" in timings else ()):
            chosen.setdefault((case.function, case.shape, case.threads), (case, timings))
    rows = []
    for (function, shape, threads), (case, timings) in chosen.items():
        cells = [cell_of(case, timings, name) for name in names]
        title = f"{function}, {' × '.join(map(str, shape))}" + (
            f", axis {case.axis}" if case.axis != -1 else "")
        rows.append([title + (f", {threads} threads" if threads > 1 else ""), *cells])
    head = ["ns an entry · ULP", *(NAMES[name] for name in names)]
    lines = [*about(facts), "", *table(head, rows), "",
             "The largest errors over rows that are flat, normal, peaked or sorted, of 2 to 2^20 "
             "entries:", ""]
    names = list(dict.fromkeys(name for found in worst.values() for name in found))
    return lines + table(["", *(NAMES[name] for name in names)], [
        [f"{dtype}: {title}", *(number(found.get(name, {}).get(what), what) for name in names)]
        for dtype, found in worst.items() for what, title in WHAT.items()])


def cell_of(case, timings, name):
    if name not in timings:
        return "–"
    timing = timings[name]
    time = short(tables.per_unit(case, timing.median))
    time = time if timing.ulp is None else f"{time} · {ulp(timing.ulp)}"
    return bold(time, timing.median == min(t.median for t in timings.values()))


def number(value, what):
    return "–" if value is None else f"{value:.1e}" if what == "sum" else ulp(value)


def every_shape(facts, cells):
    """The matrix: an operation a row, with how many cells are how slow."""
    rows = []
    for name in matrix.OPERATIONS:
        found = [each for key, each in cells.items() if key.split(" ")[0] == name]
        if found:
            rows.append([f"`{name}`", str(len(found)),
                         *(share(found, other) for other in ("numpy", "twin"))])
    limits = matrix.LIMITS
    return [*about(facts), "", *table(
        ["", "cells", f"over {limits['numpy']:g}× NumPy's time; median, worst",
         f"over {limits['twin']:g}× the last axis's time; median, worst"], rows)]


def share(found, other):
    ratios = sorted(each["cyact"] / each[other] for each in found if other in each)
    slow = sum(ratio > matrix.LIMITS[other] for ratio in ratios)
    return f"{bold(str(slow), slow)}; {cross(ratios[len(ratios) // 2])}, {cross(ratios[-1])}"


def chart(path, facts, results, most=6):
    """Dots on a logarithmic axis: how many times cyact's time each contender takes."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    # The groups that say most: large and fresh before small ones.
    groups = [list(group) for _, group in groupby(results, key=lambda result: result[0].group)]
    groups = [g for g in groups if g[0][0].section == "rows" or g[0][0].size >= 16]
    groups.sort(key=lambda g: (g[0][0].section == "calls", -g[0][0].size, -g[0][0].threads))
    groups = sorted(groups[:most], key=lambda g: (g[0][0].section, g[0][0].size))
    names = list(dict.fromkeys(n for g in groups for _, t in g for n in t if n != "cyact"))
    look = {name: (f"C{i}", "osD^vPX*"[i % 8]) for i, name in enumerate(names)}

    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    heights = [max(len(g) for g in groups[i * columns:(i + 1) * columns]) + 2.5
               for i in range(rows)]
    figure = Figure(figsize=(6.5 * columns, 0.33 * sum(heights) + 1.2), layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False, height_ratios=heights))
    for axis in axes[len(groups):]:
        axis.axis("off")
    for axis, group in zip(axes, groups, strict=False):
        ratios = [1.0]
        for row, (_, timings) in enumerate(group):
            for name, timing in timings.items():
                if name == "cyact":
                    continue
                color, marker = look[name]
                hollow = timing.ulp is not None and timing.ulp > 1
                height = row + 0.09 * (names.index(name) - (len(names) - 1) / 2)
                axis.plot(timing.ratio, height, marker, color=color, markersize=7, zorder=3,
                          markerfacecolor="white" if hollow else color)
                axis.hlines(height, timing.low, timing.high, color=color, linewidth=1.5)
                ratios.append(timing.ratio)
        axis.axvline(1, color="black", linewidth=1.2)
        axis.axvspan(min(ratios) / 1.6, 1, color="tab:red", alpha=0.07)
        axis.set_xscale("log")
        axis.set(xlim=(min(ratios) / 1.6, max(ratios) * 1.6), ylim=(len(group) - 0.4, -0.6),
                 yticks=range(len(group)), yticklabels=[tables.case_name(c) for c, _ in group])
        axis.set_title(tables.group_title(group[0][0]), fontsize=10)
        steps = (1, 2, 5) if max(ratios) / min(ratios) < 200 else (1,)
        axis.xaxis.set_major_locator(LogLocator(subs=steps))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    handles = [Line2D([], [], color=look[n][0], marker=look[n][1], linestyle="", label=n)
               for n in names]
    handles.append(Line2D([], [], color="gray", marker="o", markerfacecolor="white",
                          linestyle="", label="hollow: error above 1 ULP"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8))
    level = facts["cyact"].get("level", "")
    figure.suptitle("Time of others, as a multiple of cyact's "
                    f"(right of 1×: cyact is faster)\n{facts['machine']}, cyact level {level}",
                    fontsize=12)
    kind = path.suffix[1:] or "png"
    tables.write_whole(path, lambda partial: figure.savefig(partial, format=kind, dpi=110))


# The pages

def replaced(page, name, lines):
    """The page with what lies between the marks of that name replaced."""
    begin, end = BEGIN.format(name), END.format(name)
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    if not re.search(pattern, page, re.DOTALL):
        sys.exit(f"the page has no place for this: {begin} … {end}")
    text = "\n".join([begin, "", *lines, "", end])
    return re.sub(pattern, lambda _: text, page, count=1, flags=re.DOTALL)


def load(path):
    """(environment, what was measured) of a file, or None without it."""
    if not path.exists():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    if "results" in facts:
        facts["results"] = measure.from_records(facts["results"])
    return facts


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=Path("benchmarks/results"),
                        help="folder of the JSON files (default %(default)s)")
    folder = parser.parse_args(argv).results
    paths = {"README.md": Path("README.md"), "page": Path("docs/benchmarks.md")}
    pages = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    files = {name: load(folder / f"{name}.json")
             for name in ("results", "every", "rows", "matrix")}
    parts = {
        "results": [("README.md", "speed", lambda f: readme(f, f["results"])),
                    ("page", "glance", lambda f: glance(f, f["results"]))],
        "every": [("page", "every", lambda f: every(f, f["results"]))],
        "rows": [("page", "rows", lambda f: along_an_axis(f, f["results"], f["worst"]))],
        "matrix": [("page", "matrix", lambda f: every_shape(f, f["cells"]))],
    }
    found = [name for name, facts in files.items() if facts]
    if not found:
        sys.exit(f"{folder} has none of {', '.join(f'{name}.json' for name in files)}")
    for name in found:
        for page, mark, lines in parts[name]:
            pages[page] = replaced(pages[page], mark, lines(files[name]))
    for name, path in paths.items():
        tables.write_whole(path, lambda p, text=pages[name]: p.write_text(text, "utf-8"))
    print("written:", *paths.values(), "from", *(f"{name}.json" for name in found))
    if files["results"]:
        try:
            picture = paths["page"].with_suffix(".png")
            chart(picture, files["results"], files["results"]["results"])
            print("written:", picture)
        except ImportError:
            print("no chart: matplotlib is not installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
