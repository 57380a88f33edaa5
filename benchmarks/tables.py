"""Tables for the terminal, the environment, and JSON."""

import contextlib
import datetime
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

from .timing import cores

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
    elements = "element" if case.size == 1 else "elements"
    size = "" if case.section == "rows" else f" · {size_name(case.size)} {elements}"
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


def environment(cyact, versions, notes=()):
    """Machine, versions and settings that the numbers depend on."""
    return {
        "command": "python -m benchmarks " + " ".join(sys.argv[1:]),
        "date": datetime.date.today().isoformat(),
        "commit": git_commit(),
        "machine": cpu_name(),
        "cores": cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {"NumPy": np.__version__} | versions,
        "cyact": cyact.show_config(mode="dict"),
        "environment": {name: os.environ.get(name) for name in (
            "CYACT_ISA", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS",
            "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "NPY_DISABLE_CPU_FEATURES")},
        "notes": list(notes),
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


def write_json(path, facts, **parts):
    """Write the environment with what was measured as JSON."""
    text = json.dumps({**facts, **parts}, indent=1, default=str) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
