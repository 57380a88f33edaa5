"""The command line: `python -m benchmarks`."""

import argparse
import re
import sys
from pathlib import Path

EPILOG = """\
examples:
  python -m benchmarks                          a sensible subset, under 5 minutes
  python -m benchmarks --check                  the bars a release must clear; exit status 1
                                                if one does not
  python -m benchmarks mish                     one function
  python -m benchmarks gelu silu --sizes 16K 1M --threads 1
  python -m benchmarks --every                  every function against PyTorch, 15 minutes
  python -m benchmarks.report                   what these wrote, into README.md and docs/
  CYACT_ISA=v3 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks --check
                                                both held to AVX2 (PyTorch's gelu of large arrays
                                                is oneDNN's, which heeds its own variable)
"""


def use_installed_cyact():
    """Look for cyact in the environment first.

    `python -m` puts the current directory in front, and in a checkout that holds cyact's
    uncompiled sources.
    """
    root = str(Path(__file__).resolve().parent.parent)
    here = [entry for entry in sys.path if entry in ("", root)]
    sys.path[:] = [entry for entry in sys.path if entry not in ("", root)] + here[:1]
    try:
        import cyact  # noqa: F401
    except ImportError as error:
        sys.exit(f"cyact is not installed here, `python -m pip install .` first: {error}")


def progress_bar():
    """tqdm, or where it is missing a stand-in that shows nothing."""
    try:
        from tqdm import tqdm
    except ImportError:
        def tqdm(iterable, **_):
            return iterable
    return tqdm


def size(text):
    match = re.fullmatch(r"(\d+)([KMkm]?)", text)
    number = match and int(match[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20}[match[2].lower()]
    if not number or number > 64 << 20:
        raise argparse.ArgumentTypeError(f"{text!r}: give 1 to 64M elements, as 16, 16K or 16M")
    return number


def thread_count(text):
    from .timing import cores

    if text == "all":
        return cores()
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number of threads, or 'all'")
    return int(text)


def arguments(argv):
    from . import catalog, contenders

    sections = ["elementwise", "backward", "rows", "calls"]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=
        "Compare cyact with whichever of NumPy expressions, SciPy, PyTorch, numexpr, ONNX "
        "Runtime and JAX are installed: time and error, in one interleaved run.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", metavar="FUNCTION",
                        help="only these, as gelu or 'gelu(tanh)' (default: the commonest; all "
                        "with --check or --every)")
    which = parser.add_argument_group("what is measured (giving any of these replaces the subset)")
    which.add_argument("--what", nargs="+", choices=sections, metavar="SECTION",
                       help=f"sections: {', '.join(sections)}")
    which.add_argument("--sizes", nargs="+", type=size, metavar="N", help="elements, as 16K or 1M")
    which.add_argument("--dtypes", nargs="+", choices=["float16", "bfloat16", "float32", "float64"])
    which.add_argument("--threads", nargs="+", type=thread_count, metavar="N",
                       help="numbers of threads; 'all': every core")
    which.add_argument("--modes", nargs="+", choices=["out", "fresh"],
                       help="into out=, or a fresh result each time")
    which.add_argument("--every", action="store_true", help="values and backward passes of every "
                       "function against PyTorch, in float32 and the half types")
    which.add_argument("--check", action="store_true",
                       help="measure what the bars need and exit with 1 if one is missed")
    parser.add_argument("--contenders", nargs="+", choices=list(contenders.CONTENDERS),
                        metavar="NAME", help="cyact and only these of: "
                        + ", ".join(contenders.CONTENDERS))
    parser.add_argument("--rounds", type=int, default=7, metavar="N",
                        help="rounds of each case at least (default 7; at most five times as many)")
    parser.add_argument("--seconds", type=float, default=0.25, metavar="S",
                        help="time after which a case gets no further rounds (default 0.25)")
    parser.add_argument("--no-errors", action="store_true", help="do not measure errors")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), metavar="DIR",
                        help="folder of the figures as JSON (default benchmarks/results)")
    options = parser.parse_args(argv)
    try:
        options.functions = catalog.named(options.functions)
    except KeyError as error:
        parser.error(error.args[0])
    if options.rounds < 2:
        parser.error("--rounds must be at least 2: the spread needs two")
    if options.check and options.no_errors:
        parser.error("--check needs the errors: leave --no-errors away")
    if options.check and options.contenders and "torch" not in options.contenders:
        parser.error("--check compares with torch: put it among --contenders")
    if (options.check or options.every) and not options.contenders:
        options.contenders = ["torch"]      # they name nobody else
    return options


def cases_of(options):
    from . import catalog, measure

    every = options.check or options.every
    functions = options.functions or [
        *(catalog.ELEMENTWISE if every else catalog.COMMON), *catalog.COMMON_ROWS]
    if every:
        return (measure.check_plan if options.check else measure.every_plan)(functions)
    given = (options.what, options.sizes, options.dtypes, options.threads, options.modes)
    if not any(given):
        return measure.default_plan(functions)
    return measure.plan(
        options.what or ["elementwise"], functions, catalog.ROW_SHAPES,
        options.sizes or [16 << 10, 1 << 20], options.dtypes or ["float32"],
        options.threads or [1], [mode == "fresh" for mode in options.modes or ["out"]])


def main(argv=None):
    use_installed_cyact()
    options = arguments(argv)
    tqdm = progress_bar()
    from . import bars, contenders, measure, tables

    names = options.contenders and ["cyact", *(n for n in options.contenders if n != "cyact")]
    found, missing = contenders.installed(names)
    if options.check and "torch" in missing:
        sys.exit("--check compares with torch, which is not installed")
    cases = cases_of(options)
    if not cases:
        sys.exit("nothing to measure: these functions are in none of these sections")
    lacking = {case.dtype for case in cases} - set(found[0].dtypes)
    if lacking:
        sys.exit(f"this cyact, or its environment, has no {', '.join(sorted(lacking))}")
    facts = contenders.facts(found)
    print(tables.head(facts))
    if missing:
        print(f"not installed, left out: {', '.join(missing)}")

    rounds = (options.rounds, 5 * options.rounds)
    if options.check:       # a bar deserves more certainty than a table
        rounds = (max(15, rounds[0]), max(75, rounds[1]))
    results = list(measure.run(
        cases, found, contenders.yardsticks(), rounds=rounds, seconds=options.seconds,
        errors=not options.no_errors, progress=lambda c: tqdm(c, desc="measuring", unit="case")))

    print("\n" + tables.full_text(results))
    path = options.output / ("every.json" if options.every else "results.json")
    tables.write_json(path, facts, results=measure.as_records(results))
    print(f"\nwritten: {path}")
    if not options.check:
        return 0
    lines, good = bars.check(results)
    print("\nThe bars:", *lines, sep="\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
