"""Tables, JSON, the chart, and the bars of `--check`."""

import contextlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import numpy as np

from . import catalog, measure
from .contenders import cores

LOSS = 0.97     # below this ratio cyact is called slower; nearer to 1 is noise
MOST_LOSSES = 40


def size_name(size):
    for unit, name in ((1 << 20, "M"), (1 << 10, "K")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def case_name(case):
    if case.section != "rows":
        return case.function
    return f"{case.function} {'x'.join(map(str, case.shape))}" + (
        f" axis {case.axis}" if case.axis != -1 else "")


def group_title(case):
    what = {"elementwise": "Values", "backward": "Backward", "rows": "Along an axis",
            "calls": "A call"}[case.section]
    size = "" if case.section == "rows" else f" · {size_name(case.size)} elements"
    threads = "1 thread" if case.threads == 1 else f"{case.threads} threads"
    mode = "fresh result" if case.fresh else "into out="
    return f"{what} · {case.dtype}{size} · {threads} · {mode}"


def per_unit(case, seconds):
    """Nanoseconds: of an element, or of the whole call where that is what counts."""
    return seconds * 1e9 / (1 if case.section == "calls" or case.size <= 16 else case.size)


def short(number):
    """Three significant digits in at most six characters."""
    if number is None:
        return "-"
    if not math.isfinite(number):
        return "inf"
    if number >= 9999.5:
        return f"{number:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{number:.0f}" if number >= 999.5 else f"{number:#.3g}".rstrip(".")


def times(ratio):
    """A ratio in at most five characters and its x."""
    digits = 2 if ratio < 9.995 else 1 if ratio < 99.95 else 0
    return f"{ratio:.{digits}f}x"


def percent(spread):
    return f"±{spread:.0%}" if spread < 9.995 else "±>999%"


def geometric_mean(ratios):
    return statistics.geometric_mean(ratios) if ratios else math.nan


def table(results):
    """The text of one group of results: time and ratio above, error and spread below."""
    first = results[0][0]
    names = list(dict.fromkeys(name for _, timings in results for name in timings))
    others = [name for name in names if name != "cyact"]
    wide = max(len("geometric mean"), *(len(case_name(case)) for case, _ in results))
    unit = "ns a call" if first.section == "calls" or first.size <= 16 else "ns an element"
    lines = [group_title(first),
             f"{unit}, and as a multiple of cyact's; below: max ULP, ± spread of the ratio",
             " " * wide + "  cyact" + "".join(f"{name:>13}" for name in others)]
    for case, timings in results:
        above = f"{case_name(case):{wide}}{short(per_unit(case, timings['cyact'].median)):>7}"
        below = f"{'':{wide}}{short(timings['cyact'].ulp):>7}"
        for name in others:
            timing = timings.get(name)
            if timing is None:
                above, below = above + f"{'-':>13}", below + " " * 13
                continue
            time = short(per_unit(case, timing.median))
            above += f"{time:>7}{times(timing.ratio):>6}"
            error = short(timing.ulp) if name not in {"np.exp", "expit"} else ""
            below += f"{error:>7}{percent(timing.spread):>6}"
        lines += [above, below]
    means = [geometric_mean([t[name].ratio for _, t in results if name in t]) for name in others]
    lines.append(f"{'geometric mean':{wide}}{'':7}"
                 + "".join(f"{times(mean):>13}" for mean in means))
    return "\n".join(lines)


def losses(results):
    """Where a contender was faster, as lines of text, the worst first."""
    found = []
    for case, timings in results:
        for name, timing in timings.items():
            if name != "cyact" and timing.ratio < LOSS:
                error = ("" if timing.ulp is None or name in {"np.exp", "expit"} else
                         f" (max ULP {short(timing.ulp)}, ours {short(timings['cyact'].ulp)})")
                found.append((timing.ratio, f"{times(timing.ratio)} {percent(timing.spread)}  "
                              f"{name}: {case_name(case)}, {group_title(case)}{error}"))
    return [line for _, line in sorted(found)]


def full_text(results):
    """All tables, then where cyact loses."""
    parts = [table(list(group)) for _, group in
             groupby(results, key=lambda result: result[0].group)]
    lost = losses(results)
    compared = sum(len(timings) - 1 for _, timings in results)
    lines = [f"cyact loses {len(lost)} of {compared} comparisons (ratio below {LOSS}):",
             *(f"  {line}" for line in lost[:MOST_LOSSES])]
    if len(lost) > MOST_LOSSES:
        lines.append(f"  … and {len(lost) - MOST_LOSSES} more, in the JSON")
    parts.append("\n".join(lines))
    return "\n\n".join(parts)


def environment(contenders):
    """Machine, versions and settings that the numbers depend on."""
    ours = next(c for c in contenders if c.name == "cyact")
    return {
        "command": "python -m benchmarks " + " ".join(sys.argv[1:]),
        "commit": git_commit(),
        "machine": cpu_name(),
        "cores": cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {"NumPy": np.__version__} | {c.name: c.version for c in contenders},
        "cyact": ours.module.show_config(mode="dict"),
        "environment": {name: os.environ.get(name) for name in (
            "CYACT_ISA", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS",
            "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "NPY_DISABLE_CPU_FEATURES")},
        "notes": [note for c in contenders if (note := c.note())],
    }


def git_commit():
    root = Path(__file__).resolve().parent.parent
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, check=True,
                              capture_output=True, text=True).stdout.strip()
    return None


def cpu_name():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def load_average():
    """How busy the machine is."""
    with contextlib.suppress(AttributeError, OSError):
        one, _, fifteen = os.getloadavg()
        return f"load average {one:.1f} in the minute before, {fifteen:.1f} in 15 minutes"
    return "load average unknown"


def head(facts):
    """The environment as a few lines of text."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    settings = ", ".join(f"{name}={value or '(unset)'}" for name, value in
                         facts["environment"].items() if value or name.endswith(("ISA", "TY")))
    level = facts["cyact"].get("level", facts["cyact"])
    return "\n".join([f"{facts['machine']}, {facts['cores']} cores, {facts['system']}",
                      f"Python {facts['python']}, {versions}",
                      f"cyact level {level}, commit {facts['commit']}; {settings}",
                      *facts["notes"]])


def write_whole(path, write):
    """Call write(partial path), then rename: nobody sees half a file."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path, facts, results):
    records = [measure.as_record(case, timings) for case, timings in results]
    text = json.dumps({**facts, "results": records}, indent=1, default=str) + "\n"
    write_whole(path, lambda partial: partial.write_text(text))


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
                 yticks=range(len(group)), yticklabels=[case_name(c) for c, _ in group])
        axis.set_title(group_title(group[0][0]), fontsize=10)
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
    write_whole(path, lambda partial: figure.savefig(partial, format=kind, dpi=110))


def check(results):
    """Compare with the bars of the first release; return (lines of text, whether all hold)."""
    lines, good = [], True

    def bar(text, value, holds):
        nonlocal good
        good &= bool(holds)
        lines.append(f"{'ok  ' if holds else 'FAIL'}  {text}: {value}")

    def torch(section, size=None):
        return [(case, timings) for case, timings in results
                if case.section == section and "torch" in timings
                and (size is None or case.size == size)]

    for size in (16 << 10, 1 << 20):
        found = torch("elementwise", size)
        name = f"float32, 1 thread, {size_name(size)}"
        ulp, worst = max(((t["cyact"].ulp, c.function) for c, t in found), default=(math.inf, ""))
        bar(f"{name}: error at most 1 ULP", f"{short(ulp)} ({worst})", ulp <= 1)
        mean = geometric_mean([t["torch"].ratio for _, t in found])
        bar(f"{name}: geometric mean of torch/cyact at least 2", f"{mean:.2f}", mean >= 2)
        low, worst = min(((t["torch"].ratio, c.function) for c, t in found), default=(0, ""))
        bar(f"{name}: none below 0.85", f"{low:.2f} ({worst})", low >= 0.85)
    first = {size_name(size): [t["torch"].ratio for c, t in torch("elementwise", size)
                               if c.function in catalog.COMMON] for size in (16 << 10, 1 << 20)}
    mean = geometric_mean([ratio for ratios in first.values() for ratio in ratios])
    each = ", ".join(f"{name} {geometric_mean(ratios):.2f}" for name, ratios in first.items())
    bar(f"the same of the {len(catalog.COMMON)} commonest alone, both sizes at once",
        f"{mean:.2f} ({each})", mean >= 2)
    found = [(c, t) for c, t in torch("rows") if c.function == "softmax"]
    ratio = min((t["torch"].ratio for _, t in found), default=0)
    bar("softmax over rows of 10: torch/cyact at least 6", f"{ratio:.2f}", ratio >= 6)
    found = torch("elementwise", 16 << 20)
    low, worst = min(((t["torch"].ratio, c.function) for c, t in found), default=(0, ""))
    bar("fresh 16M on two threads: torch/cyact above 1 for each", f"{low:.2f} ({worst})", low > 1)
    calls = [(1 / t["np.exp"].ratio, c.function) for c, t in results if c.section == "calls"]
    high, worst = max((call for call in calls if call[1] in catalog.COMMON),
                      default=(math.inf, ""))
    bar("a call on 16 elements: cyact/np.exp at most 0.8", f"{high:.2f} ({worst})", high <= 0.8)
    others = [f"{name} {share:.2f}" for share, name in sorted(calls, reverse=True)
              if share > 0.8 and name not in catalog.COMMON]
    lines.append(f"      of the later functions these are above it: {', '.join(others) or 'none'}")
    return lines, good
