"""Measure the error of every elementwise function, and write the files that state it.

    python -P tools/errors.py                                     what is missing, or out of date
    python -P tools/errors.py --every 1 --functions gelu          all 2^32 float32 inputs
    python -P tools/errors.py --libraries torch scipy jax onnxruntime
    python -P tools/errors.py --check                             only compare bits with the record
    python -P tools/errors.py --write                             only write the files again

Values and derivatives in four dtypes, a row each in docs/accuracy/results.jsonl:

float32     every Nth bit pattern (--every 1: all) with the first of each function's parameters in
            tests/cases.py, every 211th with the others; against NumPy formulas in float64
float64     --points: bit patterns, moderate numbers, tails, neighbourhoods of kinks and of the
            worst of float32; against longdouble, or quad precision (quad.c)
half types  all 65,536

The formulas are those of tests/reference.py, which the tests compare with mpmath. Whatever they
find beyond the bound, and the worst of all in the end, is computed again in mpmath, and that
counts. Rows name the commit of the kernels; with others, rows whose results have the same bits
(a digest of them is kept) stay, the rest is measured again. A run that is stopped goes on where
it was, a row at a time. From the rows follow cyact/_errors.py, tests/worst_inputs.jsonl and
docs/accuracy/README.md.

Needs cyact installed with its extras test and bench; the libraries compared, with theirs.
"""

import argparse
import contextlib
import ctypes
import datetime
import decimal
import hashlib
import importlib.metadata
import json
import math
import multiprocessing
import os
import re
import subprocess
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "tests"), str(ROOT / "tools"), str(ROOT)]

import accuracy_page  # noqa: E402
import reference  # noqa: E402
from cases import ELEMENTWISE, KERNELS, inputs, neighbours  # noqa: E402

import cyact  # noqa: E402
from benchmarks import catalog, contenders  # noqa: E402

RESULTS = ROOT / "docs" / "accuracy" / "results.jsonl"
WORST = ROOT / "tests" / "worst_inputs.jsonl"
LIBRARIES = {"torch": "torch", "scipy": "SciPy", "jax": "jax", "onnxruntime": "ORT"}
COMPARED = {str(f.case): name for name, f in catalog.ELEMENTWISE.items()}   # in benchmarks/peers.py
DTYPES = ("float32", "float64", "float16", "bfloat16")
WHATS = ("value", "derivative")
SOURCES = [f"cyact/_level/{name}" for name in (
    "elementwise", "maths32.pxd", "maths64.pxd", "constants.h", "bits.h", "bits.pxd", "exact.pxd",
    "simd.h", "halves.pxd")]
BLOCK = 1 << 26         # float32 patterns that a process goes through at a time
SAMPLE = 250_000        # float64 points likewise
CHUNK = 1 << 13         # numbers at a time, so that all that is computed of them stays in cache;
                        # digests depend on it, and on BLOCK and SAMPLE
OTHERS = 211            # every so manieth pattern where not all are measured
KEPT = 4                # worst inputs in a row
LOOKED_AT = 8           # worst inputs computed again in mpmath, and looked around
DOUBTFUL = 200          # of a chunk, computed again in mpmath, at most


# One block: a process of its own goes through it, and gives back a small dictionary

def points(case, dtype, block):
    """The inputs of a block, a chunk at a time: ("patterns", first, last, step),
    ("sample", size, seed), ("near", inputs) or ("all",).
    """
    kind, *rest = block
    if kind == "patterns":
        first, last, step = rest
        steps = np.arange(0, CHUNK * step, step, dtype=np.uint32)
        for start in range(first, last, CHUNK * step):
            yield (steps[:-(-(last - start) // step)] + np.uint32(start)).view(np.float32)
        return
    if kind == "all":
        x = np.arange(65536, dtype=np.uint16).view(numpy_type(dtype))
    elif kind == "near":
        x = np.concatenate([around(w, numpy_type(dtype)) for w in rest[0]])
    else:
        size, seed = rest
        x = inputs(numpy_type(dtype), size, case.reference.interesting(*case.numbers), seed)
    yield from (x[i:i + CHUNK] for i in range(0, len(x), CHUNK))


def numpy_type(dtype):
    if dtype == "bfloat16":
        from ml_dtypes import bfloat16
        return bfloat16
    return np.dtype(dtype).type


def around(worst, dtype):
    """A number and those next to it; of float64, which has more of them, also some farther."""
    near = neighbours(worst, dtype, 2 * OTHERS)
    if dtype is np.float64:
        rng = np.random.default_rng(0)
        spread = rng.choice([-1, 1], 4000) * np.exp2(rng.uniform(-40, -8, 4000))
        near = np.concatenate([near, worst * (1 + spread)])
    return near


def run(task):
    """What a block of one function shows; only a digest of its results if that is wanted."""
    library, index, what, dtype, block, digest_only = task
    case = ELEMENTWISE[index]
    function = called(library, case, what)
    known = Truth(case, what, dtype)
    found, digest = nothing(), hashlib.sha256()
    with np.errstate(all="ignore"):
        for x in points(case, dtype, block):
            if library != "cyact" and what == "derivative":
                x = x[~np.isin(x.astype(np.float64), kinks(case))]
            y = function(x)
            digest.update(zlib.crc32(canonical(y)).to_bytes(4, "big"))
            if not digest_only:
                found = combine(found, known.examine(x, np.asarray(y), library == "cyact"))
    return {**found, "digest": digest.hexdigest()}


def kinks(case):
    """Where libraries differ in which slope they call the derivative."""
    known = cyact.catalog[case.name].kinks
    return case.reference.interesting(*case.numbers) if known is None else known


def all_finite(x):
    """Patterns in a row are, if the ends of it are; NaN are between those of the two signs."""
    if x.dtype == np.float32:
        return len(x) and np.isfinite(x[[0, -1]]).all() and np.signbit(x[0]) == np.signbit(x[-1])
    return np.isfinite(x).all()


@cache
def called(library, case, what):
    """A library's function of an array, or None where it has none that means the same."""
    if library == "cyact":
        return getattr(case, what)
    name = COMPARED.get(str(case))
    return name and getattr(contender(library), what)(name)


@cache
def contender(library):
    found = contenders.CONTENDERS[LIBRARIES[library]]()
    if library == "torch":
        found.module.set_num_threads(1)     # the processes share the cores
    return found


def canonical(y):
    """The bits of an array, with one for all NaN."""
    y = np.ascontiguousarray(y)
    unlike = y != y
    if unlike.any():
        y = y.copy()
        y[unlike] = np.nan
    return y.view(np.uint8)


def nothing():
    return {"points": 0, "correct": 0, "worst": [], "flushed": 0, "overflowed": 0, "signs": 0,
            "nan": 0, "inexact": False}


def combine(a, b):
    """What two blocks show together; the inputs with the largest errors come first."""
    worst = sorted({*map(tuple, a["worst"]), *map(tuple, b["worst"])}, reverse=True)
    return {key: worst[:LOOKED_AT] if key == "worst" else a[key] + b[key] for key in a
            if key != "digest"}


class Truth:
    """A function's true values for a dtype, and the errors of computed ones."""

    def __init__(self, case, what, dtype):
        self.case, self.what, self.dtype, self.inexact = case, what, dtype, False
        self.single = np.dtype(dtype if dtype == "float64" else "float32").type
        self.exact = reference.precisely(getattr(case.reference, what))
        digits, self.smallest, highest = reference.FORMATS[dtype]
        self.smallest = 2.0 ** (self.smallest - digits)
        self.largest = float(np.ldexp(2 - 2.0**-digits, highest - 1))
        self.bound = 0.5 if digits < 23 else reference.BOUND[self.single]
        # halves are computed as float32 and meet its bound near zeros of derivatives
        self.least = reference.least(case, what, self.single)

    def wide(self, x):
        """True values in a wider type, to a small part of the last place."""
        if self.dtype != "float64":
            name = "wide" if self.what == "value" else "wide_derivative"
            return getattr(self.case.reference, name)(x.astype(np.float64), *self.case.numbers)
        symbol = "_".join([self.case.name, *(p for p in self.case.params
                                             if isinstance(p, str) and p != "none"), self.what])
        if not self.case.reference.in_longdouble(*self.case.numbers) and hasattr(quad(), symbol):
            y = np.empty(len(x), np.longdouble)
            numbers = (ctypes.c_double * 8)(*self.case.numbers)
            getattr(quad(), symbol)(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data),
                                    ctypes.c_long(len(x)), numbers)
            return y
        name = "wide" if self.what == "value" else "wide_derivative"
        return getattr(self.case.reference, name)(x.astype(np.longdouble), *self.case.numbers)

    def precise(self, x, y):
        """Errors from mpmath."""
        true = [self.exact(float(v), *self.case.numbers) for v in x]
        return reference.mp_ulps(y, true, self.least, self.dtype)

    def examine(self, x, y, doubt):
        """Count and measure; with `doubt`, errors beyond the bound are for mpmath to tell."""
        found = nothing()
        if not all_finite(x):
            nans, finite = np.isnan(x), np.isfinite(x)
            found["nan"] = int((nans & ~np.isnan(y)).sum())
            x, y = x[finite], y[finite]
        found["points"] = found["correct"] = len(x)
        true = self.wide(x)
        x, y, true = self.suspects(found, x, y, true)
        if not len(x):
            return found
        errors = reference.ulps(y, true, self.least, self.dtype)
        beyond = np.flatnonzero(errors > self.bound) if doubt else ()
        if len(beyond) > 0:
            beyond = beyond[np.argsort(-errors[beyond])][:DOUBTFUL]
            errors[beyond] = self.precise(x[beyond], y[beyond])
        found["correct"] -= int(np.count_nonzero(errors > 0.5))
        at = int(errors.argmax())
        if errors[at]:
            found["worst"] = [(float(errors[at]), short(x[at]), short(y[at]))]
        self.count(found, y, true)
        return found

    def suspects(self, found, x, y, true):
        """All that is not certain to be correctly rounded; notes if some of the rest is inexact.
        """
        if self.dtype != "float32":
            return x, (y.astype(np.float64) if self.dtype == "bfloat16" else y), true
        found["inexact"] = self.inexact = bool(self.inexact or (true != y).any())
        nearest = true.astype(np.float32)
        at = np.flatnonzero(nearest.view(np.int32) != y.view(np.int32))
        return x[at], y[at], true[at]

    def count(self, found, y, true):
        zero, infinite = y == 0, np.isinf(y)
        wrong = (np.signbit(y) != np.signbit(true)) & (true != 0)
        found["flushed"] = int((zero & (np.abs(true) >= self.smallest)).sum())
        found["overflowed"] = int((infinite & (np.abs(true) <= self.largest)).sum())
        found["signs"] = int((wrong & (y == y) & (true == true)).sum())

    def limits(self, function):
        """Whether NaN gives NaN, and infinities what mpmath finds far out."""
        y = function(np.array([-np.inf, np.inf, np.nan], numpy_type(self.dtype)))
        *y, nan = np.asarray(y).astype(np.float64)
        if np.isinf(self.case.numbers).any():       # such parameters are farther out
            return bool(np.isnan(nan))
        with reference.mp.workprec(reference.MP):
            true = [self.exact(s * reference.mpf(2)**5000, *self.case.numbers) for s in (-1, 1)]
            errors = reference.mp_ulps(y, true, self.least, self.dtype)
            return bool(np.isnan(nan)) and all(
                e <= self.bound or (np.isinf(v) and t * int(np.sign(v)) > 1000)
                for e, v, t in zip(errors, y, true, strict=True))


@cache
def quad():
    """quad.c, compiled where that has not been done."""
    source, library = ROOT / "tools" / "quad.c", ROOT / "build" / "quad.so"
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        library.parent.mkdir(exist_ok=True)
        partial = library.with_name(f"quad.{os.getpid()}.so")
        subprocess.run([os.environ.get("CC", "gcc"), "-O2", "-shared", "-fPIC", "-o", partial,
                        source, "-lquadmath"], check=True)
        partial.replace(library)
    return ctypes.CDLL(str(library))


def start():
    cyact.set_num_threads(1)        # the processes share the cores


# What to run

def blocks(case, dtype, every, count):
    if dtype == "float32":
        step = max(BLOCK, CHUNK * every)
        step -= step % every
        return [("patterns", first, min(first + step, 2**32), every)
                for first in range(0, 2**32, step)]
    if dtype == "float64":
        return [("sample", SAMPLE, seed) for seed in range(math.ceil(count / SAMPLE))]
    return [("all",)]


def kernels():
    """The commit that last changed the kernels, with a + if they have changed since."""
    def git(*arguments):
        return subprocess.run(["git", *arguments, "--", *SOURCES], cwd=ROOT, check=True, text=True,
                              capture_output=True).stdout.strip()
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return git("log", "-1", "--format=%h") + ("+" if git("status", "--porcelain") else "")
    return "unknown"


def version(library):
    return kernels() if library == "cyact" else importlib.metadata.version(library)


def wanted(options):
    """The rows asked for: (library, index of the case, what, dtype, every, number of points)."""
    for library in options.libraries:
        for index, case in enumerate(ELEMENTWISE):
            first = case in KERNELS
            if case.name not in options.functions or not (first or library == "cyact"):
                continue
            every = options.every if first else max(options.every, OTHERS)
            for dtype in DTYPES if first else ("float32", "float64"):
                if dtype not in options.dtypes:
                    continue
                for what in options.whats:
                    if library == "cyact" or supported(library, case, what, dtype):
                        yield library, index, what, dtype, every, options.points


def supported(library, case, what, dtype):
    """Whether a peer has the function, for that dtype."""
    function = called(library, case, what)
    if function is None:
        return False
    one = np.full(4, 0.25, numpy_type(dtype))
    with contextlib.suppress(Exception), np.errstate(all="ignore"):
        return function(one).dtype == one.dtype
    return False


def key(library, case, what, dtype):
    return f"{library} {case} {what} {dtype}"


def is_as_fine(row, dtype, every, count):
    """Whether a row was measured at least so finely."""
    return row is not None and (row["every"] <= every if dtype == "float32" else
                                dtype != "float64" or row["asked"] >= count)


def through(pool, tasks, bar):
    for result in pool.map(run, tasks):
        yield result
        bar.update()


def digest_of(results):
    return hashlib.sha256("".join(r["digest"] for r in results).encode()).hexdigest()[:16]


def measure(pool, known, row, bar):
    """One row: all its blocks, then the neighbourhoods of the worst, then mpmath's word on it."""
    library, index, what, dtype, every, count = row
    case = ELEMENTWISE[index]
    listed = blocks(case, dtype, every, count)
    bar.reset(len(listed))
    results = list(through(pool, [(library, index, what, dtype, b, False) for b in listed], bar))
    found = nothing()
    for result in results:
        found = combine(found, result)
    worst = [float.fromhex(at) for _, at, _ in found["worst"]]
    if dtype == "float64":
        single = known.get(key(library, case, what, "float32"), {"worst": []})
        worst += [float.fromhex(at) for at in single["worst"]]
    if worst and (dtype == "float64" or (dtype == "float32" and every > 1)):
        near = next(through(pool, [(library, index, what, dtype, ("near", worst), False)], bar))
        found = combine(found, near)
    truths = Truth(case, what, dtype)
    x, y = (np.array([float.fromhex(w[i]) for w in found["worst"]], numpy_type(dtype))
            for i in (1, 2))
    errors = truths.precise(x, y.astype(np.float64))
    order = np.argsort(-errors, kind="stable")[:KEPT]
    off = [abs(e - w[0]) for e, w in zip(errors, found["worst"], strict=True)]
    if library == "cyact" and max(off, default=0) > 1 / 64:
        print(f"{key(library, case, what, dtype)}: formulas are off by {max(off)} ULP at one of "
              f"{[w[1] for w in found['worst']]}", file=sys.stderr)
    with np.errstate(all="ignore"):
        limits = truths.limits(called(library, case, what))
    return {
        "library": library, "case": str(case), "what": what, "dtype": dtype, "every": every,
        "points": found["points"], "asked": count if dtype == "float64" else 0,
        "error": told(errors.max(initial=0.5 if found["inexact"] else 0)),
        "worst": [short(x[i]) for i in order],
        "correct": found["correct"], "flushed": found["flushed"],
        "overflowed": found["overflowed"], "signs": found["signs"],
        "special": limits and found["nan"] == 0, "digest": digest_of(results),
        "level": cyact.show_config("dict")["level"] if library == "cyact" else "",
        "version": version(library), "date": datetime.date.today().isoformat()}


def told(error):
    """Six digits, rounded up; "inf" is no number in JSON."""
    if not math.isfinite(error):
        return "inf"
    return float(decimal.Context(6, decimal.ROUND_CEILING).create_decimal_from_float(error))


def short(x):
    """A number in hexadecimal without the zeros at its end."""
    return re.sub(r"\.?0+p", "p", float(x).hex())


def same(pool, old, index, bar):
    """Whether the row's results still have the bits they had."""
    case = ELEMENTWISE[index]
    listed = blocks(case, old["dtype"], old["every"], old["asked"])
    bar.reset(len(listed))
    return old["digest"] == digest_of(list(through(
        pool, [(old["library"], index, old["what"], old["dtype"], b, True) for b in listed], bar)))


def go_through(options, known, progress):
    """Measure or check what is asked for; `known` is kept on disk after each row."""
    rows = list(wanted(options))
    differing = []
    bar, all_rows = progress(unit="block", position=1, leave=False), progress(rows, unit="row")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, initializer=start) as pool:
        for row in all_rows:
            library, index, what, dtype, every, count = row
            name = key(library, ELEMENTWISE[index], what, dtype)
            all_rows.set_description(name)
            old = known.get(name)
            if options.check:
                if old is not None and not same(pool, old, index, bar):
                    differing.append(name)
                continue
            now = version(library)
            if old is not None and not options.again and not now.endswith("+"):
                finer = min(every, old["every"]), max(count, old["asked"])
                if is_as_fine(old, dtype, every, count):
                    if old["version"] == now:
                        continue
                    if same(pool, old, index, bar):
                        save_row(options.results, known, name, {**old, "version": now})
                        continue
                row = (library, index, what, dtype, *finer)
            save_row(options.results, known, name, measure(pool, known, row, bar))
    bar.close()
    return differing


# The files

def load(path):
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {key(r["library"], r["case"], r["what"], r["dtype"]): r for r in rows}


def order_of_rows():
    names = {str(case): i for i, case in enumerate(ELEMENTWISE)}
    libraries = ["cyact", *LIBRARIES]
    return lambda r: (libraries.index(r["library"]), names.get(r["case"], -1),
                      DTYPES.index(r["dtype"]), WHATS.index(r["what"]))


def save_row(path, known, name, row):
    known.update(load(path))            # another run may have added to it
    known[name] = row
    save(path, "".join(json.dumps(r) + "\n" for r in sorted(known.values(), key=order_of_rows())))


def save(path, text):
    """Write a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


HEAD = '''\
"""The largest errors measured, in ULP: {function: {dtype: (value, derivative)}}.

Written by tools/errors.py from docs/accuracy/results.jsonl, which tells how and when each was
measured; do not edit. Rounded up to two digits; over all parameters of tests/cases.py. The
derivatives of INTERIOR_ZERO pass through 0: their errors are in ulps of max(|f'|, 2^-10) in
float32 and max(|f'|, 2^-2) in float64. Where a value is a sum that crosses 0 between two
numbers, its error there is absolute, too (CROSSING in tests/reference.py).
"""
'''


def rounded_up(error):
    """To two significant digits."""
    error = float(error)
    if error == 0 or not math.isfinite(error):
        return error
    unit = 10.0 ** (math.floor(math.log10(error)) - 1)
    return float(f"{math.ceil(error / unit * (1 - 1e-12)) * unit:.2g}")


def table(known):
    """{function: {dtype: (value, derivative)}} of those with all their parameters measured."""
    found = {}
    for name in dict.fromkeys(case.name for case in ELEMENTWISE):
        cases = [case for case in ELEMENTWISE if case.name == name]
        rows = {(d, w): [known.get(key("cyact", case, w, d)) for case in cases]
                for d in ("float32", "float64") for w in WHATS}
        if all(map(all, rows.values())):
            found[name] = {d: tuple(rounded_up(max(float(r["error"]) for r in rows[d, w]))
                                    for w in WHATS) for d in ("float32", "float64")}
    return found


def errors_module(known):
    """The source of cyact/_errors.py."""
    listed = table(known)
    zeros = sorted({case.name for case in ELEMENTWISE if case.reference.interior_zero})
    lines = [HEAD, "INTERIOR_ZERO = frozenset({" + ", ".join(
        f'"{name}"' for name in zeros if name in listed) + "})\n", "ERRORS = {"]
    lines += [f'    "{name}": {{"float32": {errors["float32"]}, "float64": {errors["float64"]}}},'
              for name, errors in listed.items()]
    return "\n".join(lines) + "\n}\n"


def worst_inputs(known, kept):
    """The source of tests/worst_inputs.jsonl: those kept there already, and the rows' worst."""
    found = {}
    for row in [*kept, *(r for r in known.values() if r["library"] == "cyact")]:
        listed = found.setdefault((row["case"], row["dtype"], row["what"]), {})
        listed.update(dict.fromkeys(row["inputs"] if "inputs" in row else row["worst"]))
    place = order_of_rows()
    rows = [{"case": case, "dtype": dtype, "what": what, "inputs": list(listed)}
            for (case, dtype, what), listed in found.items()
            if listed and case in map(str, ELEMENTWISE)]
    rows.sort(key=lambda r: place({"library": "cyact", **r}))
    return "".join(json.dumps(r) + "\n" for r in rows)


def write(known):
    kept = [json.loads(line) for line in WORST.read_text().splitlines()] if WORST.exists() else []
    save(WORST, worst_inputs(known, kept))
    save(ROOT / "cyact" / "_errors.py", errors_module(known))
    save(RESULTS.with_name("README.md"), accuracy_page.text(known))


def main():
    from tqdm import tqdm

    names = list(dict.fromkeys(case.name for case in ELEMENTWISE))
    cores = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--functions", nargs="+", choices=names, default=names, metavar="NAME",
                        help="only these (default: all)")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--whats", nargs="+", choices=WHATS, default=list(WHATS))
    parser.add_argument("--libraries", nargs="+", choices=["cyact", *LIBRARIES],
                        default=["cyact"])
    parser.add_argument("--every", type=int, default=OTHERS, metavar="N",
                        help=f"take every Nth float32 (default {OTHERS}; 1: all of them)")
    parser.add_argument("--points", type=int, default=2_000_000, metavar="N",
                        help="float64 points (default 2000000)")
    parser.add_argument("--processes", type=int, default=cores, metavar="N")
    parser.add_argument("--again", action="store_true", help="measure what is known, too")
    parser.add_argument("--check", action="store_true",
                        help="only look whether results have the bits they had when measured")
    parser.add_argument("--write", action="store_true", help="only write what follows from rows")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE",
                        help="the rows (default docs/accuracy/results.jsonl)")
    options = parser.parse_args()
    if min(options.every, options.points, options.processes) < 1:
        parser.error("numbers must be at least 1")
    known = load(options.results)
    if not options.write:
        differing = go_through(options, known, tqdm)
        if options.check:
            sys.exit("\n".join(["these have other bits now:", *differing]) if differing else 0)
    if options.results == RESULTS:
        write(known)


if __name__ == "__main__":
    main()
