"""Measure the largest error of every elementwise function and write cyact/_errors.py.

    python -P tools/errors.py                    everything not yet measured with these kernels
    python -P tools/errors.py --functions gelu silu --again
    python -P tools/errors.py --every 1          all 2^32 float32 inputs of each: hours

Values and derivatives, with all the parameters of tests/cases.py. float32: every Nth bit pattern
and a dense sample near kinks, zeros and tails, against formulas in float64. float64: a sample of
bit patterns, tails and neighbourhoods, against formulas in longdouble where one is good enough,
else in mpmath. The worst inputs that tests/test_accuracy.py keeps are among them. The formulas
are those of tests/reference.py, which the tests compare with each other.

What is done is kept in --results, a parameter set at a time: a run that is stopped goes on where
it was. What was measured with other kernels, another level or coarser sampling is measured
again. Needs cyact installed with its extras test and bench.
"""

import argparse
import contextlib
import datetime
import json
import math
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

import reference  # noqa: E402
from cases import ELEMENTWISE, inputs  # noqa: E402
from test_accuracy import EXTENDED, WORST, crossing, floor  # noqa: E402

import cyact  # noqa: E402

BLOCK = 1 << 20         # patterns of float32 at a time
SAMPLE = 250_000        # points at a time of samples for NumPy formulas
PRECISE = 2_000         # and for mpmath
WIDER = {"float32": np.float64, "float64": np.longdouble}
WHATS = ("value", "derivative")
KERNELS = ["cyact/_kernels.pyx", "cyact/_math32.pxd", "cyact/_math64.pxd", "cyact/_lanes.pxd"]

HEAD = '''\
"""The largest errors measured, in ULP: {{function: {{dtype: (value, derivative)}}}}.

Written by tools/errors.py; do not edit. Rounded up to two digits; over all parameters of
tests/cases.py. The derivatives of INTERIOR_ZERO pass through 0: their errors are in ulps of
max(|f'|, 2^-10) in float32 and max(|f'|, 2^-2) in float64. Where a value is a sum that crosses
0 between two numbers, its error there is absolute, too (crossing in tests/test_accuracy.py).

command    {command}
measured   {date}, level {level}, kernels of commit {kernels}
float32    {float32}
float64    {float64}
"""
'''


# One block: a process of its own does it, and gives back a small dictionary

def points(case, dtype, block):
    """The inputs of a block: ("patterns", first, last, step), ("sample", size, seed), ("worst",).
    """
    kind, *rest = block
    if kind == "worst":
        return np.array(WORST[(case.name, *case.params)], np.uint32).view(np.float32)
    if kind == "patterns":
        x = np.arange(*rest, dtype=np.uint64).astype(np.uint32).view(np.float32)
        return x[np.isfinite(x)]
    size, seed = rest
    return inputs(np.dtype(dtype).type, size, case.reference.interesting(*case.numbers), seed)


def run(task):
    """Errors of one block of one function; the worst and how many were correctly rounded."""
    index, what, dtype, precise, block = task
    case = ELEMENTWISE[index]
    x = points(case, dtype, block)
    y = getattr(case, what)(x)
    wide = case.reference.wide if what == "value" else case.reference.wide_derivative
    least = (floor if what == "derivative" else crossing)(case, np.dtype(dtype).type)
    with np.errstate(all="ignore"):
        true = wide(x.astype(WIDER[dtype]), *case.numbers)
    if precise:
        # outside a function's domain both are NaN, and mpmath has complex numbers there
        outside = np.isnan(true) & np.isnan(y)
        x, y = x[~outside], y[~outside]
        exact = reference.precisely(getattr(case.reference, what))
        errors = reference.mp_ulps(y, [exact(float(v), *case.numbers) for v in x], least)
    else:
        errors = reference.ulps(y, true, least)
    worst = int(errors.argmax())
    return {"points": len(x), "error": float(errors[worst]), "at": float(x[worst]).hex(),
            "correct": int((errors <= 0.5).sum())}


def combine(a, b):
    worst = max(a, b, key=lambda found: found["error"])
    return {**worst, "points": a["points"] + b["points"], "correct": a["correct"] + b["correct"]}


def start():
    cyact.set_num_threads(1)        # the processes share the cores


# What to run

def precise(case, dtype):
    """Whether only mpmath knows the true values."""
    if dtype == "float32":
        return not case.reference.in_double(*case.numbers)
    return not (EXTENDED and case.reference.in_longdouble(*case.numbers))


def blocks(case, dtype, options):
    if precise(case, dtype):
        return [("sample", PRECISE, seed) for seed in range(math.ceil(options.mpmath / PRECISE))]
    samples = options.points if dtype == "float64" else SAMPLE
    found = [("sample", SAMPLE, seed) for seed in range(math.ceil(samples / SAMPLE))]
    if dtype == "float32":
        if (case.name, *case.params) in WORST:
            found.append(("worst",))
        step = BLOCK * options.every
        found += [("patterns", first, min(first + step, 2**32), options.every)
                  for first in range(0, 2**32, step)]
    return found


def tasks(index, options):
    case = ELEMENTWISE[index]
    return [(index, what, dtype, precise(case, dtype), block)
            for dtype in WIDER for what in WHATS for block in blocks(case, dtype, options)]


def kernels():
    """The commit that last changed the kernels, with a + if they have changed since."""
    def git(*arguments):
        return subprocess.run(["git", *arguments, "--", *KERNELS], cwd=ROOT, check=True, text=True,
                              capture_output=True).stdout.strip()
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return git("log", "-1", "--format=%h") + ("+" if git("status", "--porcelain") else "")
    return "unknown"


def settings(options):
    return {"every": options.every, "points": options.points, "mpmath": options.mpmath,
            "level": cyact.show_config("dict")["level"], "kernels": kernels()}


def is_done(entry, wanted):
    """Whether it was measured with these kernels, at least as finely."""
    return (entry is not None
            and all(entry[key] == wanted[key] for key in ("level", "kernels"))
            and not wanted["kernels"].endswith("+")
            and entry["every"] <= wanted["every"]
            and all(entry[key] >= wanted[key] for key in ("points", "mpmath")))


def measure(options, known, progress):
    """Run what is missing; `known` is kept on disk after each set of parameters."""
    wanted = settings(options)
    todo = [i for i, case in enumerate(ELEMENTWISE)
            if case.name in options.functions
            and (options.again or not is_done(known.get(str(case)), wanted))]
    bar = progress(total=sum(len(tasks(i, options)) for i in todo), unit="block")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, initializer=start) as pool:
        for i in todo:
            case = ELEMENTWISE[i]
            bar.set_description(str(case))
            found = {}
            listed = tasks(i, options)
            for task, result in zip(listed, pool.map(run, listed), strict=True):
                key = f"{task[2]} {task[1]}"
                found[key] = combine(found[key], result) if key in found else result
                bar.update()
            known[str(case)] = {"name": case.name, **wanted, **found,
                                "date": datetime.date.today().isoformat()}
            save(options.results, json.dumps(known, indent=1) + "\n")
    bar.close()


def save(path, text):
    """Write a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


# The data file

def rounded_up(error):
    """To two significant digits."""
    if error == 0 or not math.isfinite(error):
        return error
    unit = 10.0 ** (math.floor(math.log10(error)) - 1)
    return float(f"{math.ceil(error / unit * (1 - 1e-12)) * unit:.2g}")


def table(known):
    """{function: {dtype: (value, derivative)}} of those with all their parameters measured."""
    found = {}
    for name in dict.fromkeys(case.name for case in ELEMENTWISE):
        entries = [known.get(str(case)) for case in ELEMENTWISE if case.name == name]
        if all(entries):
            found[name] = {dtype: tuple(rounded_up(max(e[f"{dtype} {what}"]["error"]
                                                       for e in entries)) for what in WHATS)
                           for dtype in WIDER}
    return found


def text(known, options):
    """The source of cyact/_errors.py."""
    wanted = settings(options)
    every = "all bit patterns" if options.every == 1 else f"every {options.every}th bit pattern"
    lines = [HEAD.format(
        command="python -P tools/errors.py" + "".join(
            f" --{key} {getattr(options, key)}" for key in ("every", "points", "mpmath")),
        date=datetime.date.today().isoformat(), level=wanted["level"], kernels=wanted["kernels"],
        float32=f"{every}, and {SAMPLE} points in tails and near kinks",
        float64=f"{options.points} points against longdouble, or {options.mpmath} against mpmath")]
    zeros = sorted({case.name for case in ELEMENTWISE if case.reference.interior_zero})
    listed = table(known)
    lines.append("INTERIOR_ZERO = frozenset({" + ", ".join(
        f'"{name}"' for name in zeros if name in listed) + "})\n")
    lines.append("ERRORS = {")
    lines += [f'    "{name}": {{"float32": {errors["float32"]}, "float64": {errors["float64"]}}},'
              for name, errors in listed.items()]
    return "\n".join(lines) + "\n}\n"


def report(known):
    """Lines of text: each parameter set, its four errors and where the largest are."""
    for case in ELEMENTWISE:
        entry = known.get(str(case))
        if entry:
            told = "  ".join(
                f"{entry[key]['error']:.4f} at {float.fromhex(entry[key]['at']):<12.6g}"
                f" ({entry[key]['correct'] / entry[key]['points']:.2%} correctly rounded)"
                for key in (f"{dtype} {what}" for dtype in WIDER for what in WHATS))
            yield f"{case!s:32} {told}"


def main():
    from tqdm import tqdm

    names = list(dict.fromkeys(case.name for case in ELEMENTWISE))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--functions", nargs="+", choices=names, default=names, metavar="NAME",
                        help="only these (default: all)")
    parser.add_argument("--every", type=int, default=211, metavar="N",
                        help="take every Nth float32 (default 211; 1: all of them)")
    parser.add_argument("--points", type=int, default=1_000_000, metavar="N",
                        help="float64 points for formulas in longdouble (default 1000000)")
    parser.add_argument("--mpmath", type=int, default=20_000, metavar="N",
                        help="float64 points where only mpmath is good enough (default 20000)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0))
                        if hasattr(os, "sched_getaffinity") else os.cpu_count(), metavar="N")
    parser.add_argument("--again", action="store_true", help="measure what is known, too")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "errors.json",
                        metavar="FILE", help="what is known (default build/errors.json)")
    options = parser.parse_args()
    if min(options.every, options.points, options.mpmath, options.processes) < 1:
        parser.error("numbers must be at least 1")
    known = json.loads(options.results.read_text()) if options.results.exists() else {}
    measure(options, known, tqdm)
    print(*report(known), sep="\n")
    save(ROOT / "cyact" / "_errors.py", text(known, options))


if __name__ == "__main__":
    main()
