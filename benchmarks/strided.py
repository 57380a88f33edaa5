"""What gaps between rows cost: `python -m benchmarks.strided`.

A function of x[:, :n], rows of n entries out of longer ones, and the same function of as many
entries without gaps, in turns, the best of 15 rounds or more. Beside them stands what memory alone
costs: the function of the whole rows, gaps and all, where nothing has to be brought together; and
the same ratio for NumPy's maximum and multiply. `--check` exits with 1 where an input with gaps
takes more than twice as long as without, unless the whole rows take about as long.
"""

import argparse
import sys
from itertools import product

import numpy as np

if __name__ == "__main__":
    from .__main__ import use_installed_cyact

    use_installed_cyact()

from . import contenders, measure, report
from .__main__ import size as a_size

# Entries of a row, and from one row to the next
ROWS = [(3, 4), (5, 8), (10, 16), (64, 80), (300, 400), (900, 1000)]
SIZES = [16 << 10, 256 << 10, 1 << 20, 16 << 20]
CALLS = {"relu": "cyact.relu(x, out=y)",
         "silu": "cyact.silu(x, out=y)",
         "gelu": "cyact.gelu(x, out=y)",
         "backward.relu": "cyact.backward.relu(g, x, out=y)",
         "backward.gelu": "cyact.backward.gelu(g, x, out=y)"}
MOST = 2.0
MEMORY = 1.25       # times what the whole rows take


def bound_calls(function, dtype, size, n, step):
    """{name: Bound}: the function with gaps, without and of whole rows; NumPy with and without."""
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((size // n, step)).astype(dtype) for _ in range(2)]
    arrays = {"gaps": [a[:, :n] for a in rows], "none": [a[:, :n].copy() for a in rows],
              "whole": rows}
    numpy = "np.multiply(g, x, out=y)" if "backward" in function else "np.maximum(x, 0, out=y)"
    found, _ = contenders.installed(["cyact"])
    bound = {}
    for name, (x, g) in arrays.items():
        names = {"cyact": found[0].module, "np": np, "x": x, "g": g, "y": np.ones(x.shape, dtype)}
        bound[name] = contenders.Bound(CALLS[function], names, "y")
        if name != "whole":
            bound[f"NumPy, {name}"] = contenders.Bound(numpy, names, "y")
    return bound


def measured(function, dtype, size, n, step, rounds, seconds):
    """(with gaps, without, whole rows) in ns an entry; and NumPy's ratio.

    Of the best rounds: where memory counts, others on the machine slow rows with gaps down most.
    """
    timings = measure.take_turns(bound_calls(function, dtype, size, n, step), rounds, seconds)
    best = {name: min(timing.seconds) / (size // n * n) * 1e9 for name, timing in timings.items()}
    return best["gaps"], best["none"], best["whole"], best["NumPy, gaps"] / best["NumPy, none"]


def arguments(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.strided", description="What gaps between rows cost: a function "
        "of rows out of longer ones, beside the same without gaps.")
    parser.add_argument("--check", action="store_true",
                        help=f"exit with 1 where an input with gaps costs over {MOST:g} times one "
                        f"without, and over {MEMORY:g} times the whole rows")
    parser.add_argument("--functions", nargs="+", choices=CALLS, default=list(CALLS),
                        metavar="NAME", help=f"only these of: {', '.join(CALLS)}")
    parser.add_argument("--sizes", nargs="+", type=a_size, default=SIZES, metavar="N",
                        help="entries, as 16K or 1M (default: "
                        f"{', '.join(map(report.size_name, SIZES))})")
    parser.add_argument("--rounds", type=int, default=15, metavar="N",
                        help="rounds of each case at least (default 15)")
    parser.add_argument("--seconds", type=float, default=0.1, metavar="S",
                        help="time after which a case gets no further rounds (default 0.1)")
    options = parser.parse_args(argv)
    if options.rounds < 2:
        parser.error("--rounds must be at least 2: the spread needs two")
    return options


def main(argv=None):
    options = arguments(argv)
    found, missing = contenders.installed(["cyact", "NumPy"])
    if missing:
        sys.exit("cyact is not installed here: `python -m pip install .` first")
    print(report.head({**report.environment(found), "command": "python -m benchmarks.strided"}))
    print("\nns an entry without gaps; then, as multiples of it: with gaps, the whole rows, and "
          "what\ngaps cost NumPy. One thread, into out=.")
    missed = []
    with found[0].threads(1):
        measured("relu", "float32", SIZES[0], *ROWS[0], (15, 75), 1)      # warms up
        for dtype, entries in product(("float32", "float64"), options.sizes):
            title = f"{dtype} · {report.size_name(entries)}"
            print(f"\n{title:22}" + "".join(f"{f'{n} of {step}':>13}" for n, step in ROWS))
            for function in options.functions:
                print(f"{function:15}", end="")
                for n, step in ROWS:
                    gaps, none, whole, numpy = measured(
                        function, dtype, entries, n, step,
                        (options.rounds, 5 * options.rounds), options.seconds)
                    first = f"{none:7.3f}" if (n, step) == ROWS[0] else ""
                    cell = f"{gaps / none:.1f} {whole / none:.1f} {numpy:4.1f}"
                    print(f"{first}{cell:>13}", end="", flush=True)
                    if gaps > max(MOST * none, MEMORY * whole) and "backward" not in function:
                        missed.append(f"{function}, {title}, rows of {n} of {step}: "
                                      f"{gaps / none:.2f} times as long")
                print()
    if options.check:
        print("\nInput with gaps at most twice as long as without, or as whole rows: "
              + ("ok" if not missed else "FAIL"), *missed, sep="\n")
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
