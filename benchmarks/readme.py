"""Put what `python -m benchmarks` measured into README.md and docs/benchmarks.md.

`python -m benchmarks.readme` reads benchmarks/results/results.json, writes the README's tables of
speed and error between their marks, the whole output into docs/benchmarks.md, and the chart beside
it. Nothing is measured here.
"""

import argparse
import json
import shutil
import textwrap
from pathlib import Path

from .pages import replaced

BEGIN, END = "<!-- begin: written by python -m benchmarks.readme -->", "<!-- end -->"
NAMES = {"cyact": "cyact", "torch": "PyTorch", "NumPy": "NumPy", "SciPy": "SciPy",
         "ORT": "ONNX Runtime", "jax": "JAX"}
# (section, dtype, size, threads, fresh) of the second table's rows
MEANS = {
    "a call on 1 element, `out=`": ("elementwise", "float32", 1, 1, False),
    "16K elements, one thread, `out=`": ("elementwise", "float32", 16 << 10, 1, False),
    "1M elements, one thread, `out=`": ("elementwise", "float32", 1 << 20, 1, False),
    "16M elements, two threads, fresh result": ("elementwise", "float32", 16 << 20, 2, True),
    "16K elements, one thread, `out=`, float64": ("elementwise", "float64", 16 << 10, 1, False),
}


def load(path):
    """The environment, and [(Case, {contender: Timing})], as `benchmarks` wrote them."""
    from . import measure

    facts = json.loads(path.read_text())
    results = []
    for record in facts.pop("results"):
        timings = {name: measure.Timing(**timing)
                   for name, timing in record.pop("contenders").items()}
        results.append((measure.Case(**{**record, "shape": tuple(record["shape"])}), timings))
    return facts, results


def group(results, section, dtype, size, threads, fresh):
    return [(case, timings) for case, timings in results
            if (case.section, case.dtype, case.threads, case.fresh)
            == (section, dtype, threads, fresh) and size in (None, case.size)]


def row(cells):
    return f"| {' | '.join(cells)} |"


def speed_and_error(results):
    """Nanoseconds an element and ULP, a function a row; the fastest in bold."""
    from . import report

    names = [name for name in NAMES if name != "jax"]
    lines = [row(["float32, one thread", *(NAMES[name] for name in names)]),
             row(["---"] * (len(names) + 1)).replace(" ", "")]
    chosen = group(results, *MEANS["16K elements, one thread, `out=`"])
    rows = group(results, "rows", "float32", None, 1, True)
    chosen += sorted(rows, key=lambda result: result[0].shape)
    for case, timings in chosen:
        here = [name for name in names if name in timings]
        fastest = min(here, key=lambda name: timings[name].median)
        cells = []
        for name in names:
            if name not in here:
                cells.append("–")
                continue
            time = report.short(report.per_unit(case, timings[name].median))
            cell = f"{time} · {report.short(timings[name].ulp).replace('inf', '∞')}"
            cells.append(f"**{cell}**" if name == fastest else cell)
        size = ("16K elements" if case.section == "elementwise"
                else " × ".join(map(str, case.shape)))
        both = case.function.replace("cross_entropy", "cross_entropy and gradient")
        lines.append(row([f"{both}, {size}", *cells]))
    return lines


def means(results):
    """Geometric means of the ratios, with the smallest and the largest."""
    from . import report

    names = [name for name in NAMES if name != "cyact"]
    lines = [row(["time of the other as a multiple of cyact's", *(NAMES[name] for name in names)]),
             row(["---"] * (len(names) + 1)).replace(" ", "")]
    for title, which in MEANS.items():
        cells = []
        for name in names:
            ratios = [t[name].ratio for _, t in group(results, *which) if name in t]
            of = [report.times(v)[:-1] for v in (
                report.geometric_mean(ratios), min(ratios), max(ratios))] if ratios else None
            cells.append(f"{of[0]}× ({of[1]}–{of[2]})" if of else "–")
        lines.append(row([title, *cells]))
    return lines


def about(facts):
    level = facts["cyact"]["level"]
    versions = ", ".join(f"{NAMES.get(name, name)} {version.partition('+')[0]}"
                         for name, version in facts["versions"].items()
                         if name in NAMES and name != "cyact")
    return textwrap.wrap(f"Medians of one interleaved run on {facts['machine']}, {facts['cores']} "
                         f"cores, level {level}, Python {facts['python']}, {versions}.", 100)


def tables(facts, results):
    return "\n".join([*speed_and_error(results), "",
                      "Over these elementwise functions, geometric mean (smallest–largest):", "",
                      *means(results), "", *about(facts)])


def main(argv=None):
    from . import report

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.readme", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?",
                        default=Path("benchmarks/results/results.json"),
                        help="what `python -m benchmarks` wrote (default %(default)s)")
    options = parser.parse_args(argv)
    facts, results = load(options.results)
    readme, page = Path("README.md"), Path("docs/benchmarks.md")
    written = {
        readme: replaced(readme.read_text(encoding="utf-8"),
                         f"{BEGIN}\n\n{tables(facts, results)}\n\n{END}", BEGIN, END),
        page: replaced(page.read_text(encoding="utf-8"),
                       f"```text\n{report.head(facts)}\n\n{report.full_text(results)}\n```",
                       "```text\n", "\n```"),
    }
    for path, text in written.items():
        report.write_whole(path, lambda partial, text=text: partial.write_text(text, "utf-8"))
    shutil.copyfile(options.results.with_name("chart.png"), page.with_name("benchmarks.png"))
    print("written:", *written, page.with_name("benchmarks.png"))


if __name__ == "__main__":
    main()
