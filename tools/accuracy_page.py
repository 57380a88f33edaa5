"""docs/accuracy/README.md, from the rows of docs/accuracy/results.jsonl; for tools/errors.py."""

from itertools import groupby

PEERS = {"torch": "PyTorch", "scipy": "SciPy", "jax": "JAX", "onnxruntime": "ONNX Runtime"}
BOUNDS = {"float32": 1, "float64": 2, "float16": 0.5, "bfloat16": 0.5}
ALL = {"float32": 1, "float16": 211, "bfloat16": 211}
SIGNS = {"value": "f", "derivative": "f′"}

HEAD = """\
# Accuracy

Written by `tools/errors.py` from [results.jsonl](results.jsonl); do not edit.

The largest error of each elementwise function f and of its derivative f′, in units in the last
place (ULP) of the true result, subnormal results included; the input, in hexadecimal, where it
is; and the share of results that are correctly rounded. Near a zero of f′ inside its range (dish,
gelu, hard_swish, mish, silu) a unit is that of max(|f′|, 2^-10) in float32 and of
max(|f′|, 2^-2) in float64. cyact's bounds: 1 ULP in float32, 2 ULP in float64, correct rounding
in float16 and bfloat16.

{state}

Each row can be had again with one command, in a few minutes on two cores:

```console
python -m pip install -e ".[test,bench]"
python -P tools/errors.py --again --every 1 --dtypes float32 --functions gelu
python -P tools/errors.py --again --dtypes float64 float16 bfloat16 --functions gelu
python -P tools/errors.py --again --libraries torch scipy jax onnxruntime --functions gelu
python -P tools/errors.py --check                  # are all results' bits still those measured?
```

- float32: cyact at every bit pattern where the column `inputs` says "all", else at every 211th
  and around the worst of them; other libraries at every 211th and around the worst, but not at
  kinks, where conventions differ. True values: NumPy formulas in float64; what they find beyond
  the bound, and the worst of all, is computed again in mpmath with 160 bits, and that counts.
- float64: {points} points a row: all bit patterns, moderate numbers, the tails, the neighbourhoods
  of breakpoints and of the worst cases of float32. True values: longdouble, or quad precision
  where that is not enough; the worst again in mpmath.
- float16 and bfloat16: all 65,536 inputs.
- NaN and infinities are looked at, too, and so is whether a result is flushed to 0 or overflows
  where the true value does neither, and whether its sign is wrong.
- The formulas are in tests/reference.py, where tests compare them with mpmath. The worst inputs
  of every row are in tests/worst_inputs.jsonl, and every run of the tests computes them.

Rounding to nearest, IEEE 754's default, is assumed. Where something else in the process has set
flush-to-zero, what is subnormal counts as 0, and nothing becomes NaN by it.

Functions along an axis and losses have errors that depend on their rows; `python -m
benchmarks.rows` measures them beside other libraries, and [docs/benchmarks.md](../benchmarks.md)
holds its tables. The levels v3 and v4 give the same bits; these rows are level {level}'s.

In other libraries' columns: the largest error and the share correctly rounded; † where results
are flushed to 0, overflow, have the wrong sign, or are wrong at infinities or no longer NaN at NaN.
{versions}.
"""


def text(known):
    rows = list(known.values())
    ours = [r for r in rows if r["library"] == "cyact"]
    first = default_cases(ours)
    parts = [head(rows, ours, first)]
    for dtype in ("float32", "float64"):
        parts.append(f"## {dtype}\n")
        parts.append(table(known, first, dtype))
    parts.append("## float16 and bfloat16\n")
    parts.append(halves(known, first))
    parts.append("## Other parameters\n")
    parts.append(others(ours, first))
    parts.append("## Exceptions\n")
    parts.append(exceptions(ours))
    return "\n".join(parts)


def default_cases(ours):
    """Those that are measured in all dtypes: a function's first parameters, in order."""
    return list(dict.fromkeys(r["case"] for r in ours if r["dtype"] == "float16"))


def head(rows, ours, first):
    single = [r for r in ours if r["dtype"] == "float32" and r["case"] in first]
    done = sum(r["every"] == 1 for r in single)
    state = (f"In float32 {done} of the {len(single)} rows are over all 2^32 inputs; the others, "
             "marked 1/211,\nare samples so far." if done < len(single) else
             f"In float32 all {done} rows are over all 2^32 inputs.")
    versions = {r["library"]: r["version"] for r in rows if r["library"] != "cyact"}
    points = min((r["points"] for r in ours if r["dtype"] == "float64"), default=0)
    return HEAD.format(
        state=state, points=f"{points:,}", level=", ".join(sorted({r["level"] for r in ours})),
        versions=", ".join(f"{PEERS[name]} {versions[name]}" for name in PEERS
                           if name in versions) or "None are measured")


def table(known, first, dtype):
    lines = ["| function | | ULP | worst at | correctly rounded | inputs | kernels | "
             + " | ".join(PEERS.values()) + " |", "|---|---|" + "---|" * (5 + len(PEERS))]
    for case in first:
        for what, sign in SIGNS.items():
            row = known.get(f"cyact {case} {what} {dtype}")
            if row is None:
                continue
            worst = f"`{row['worst'][0]}`" if row["worst"] else ""
            cells = [f"`{case}`" if what == "value" else "", sign, ulp(row), worst, share(row),
                     how_many(row), row["version"]]
            cells += [peer(known.get(f"{name} {case} {what} {dtype}")) for name in PEERS]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def how_many(row):
    if row["dtype"] == "float64":
        return f"{row['points']:,}"
    return "all" if row["every"] <= ALL[row["dtype"]] else f"1/{row['every']}"


def halves(known, first):
    pairs = [(name, dtype) for name in ("cyact", *PEERS) for dtype in ("float16", "bfloat16")]
    pairs = [p for p in pairs if any(f"{p[0]} {c} value {p[1]}" in known for c in first)]
    titles = [f"{PEERS.get(name, name)} {dtype}" for name, dtype in pairs]
    lines = ["| function | | " + " | ".join(titles) + " |", "|---|---|" + "---|" * len(pairs)]
    for case in first:
        for what, sign in SIGNS.items():
            found = [known.get(f"{name} {case} {what} {dtype}") for name, dtype in pairs]
            lines.append("| " + " | ".join([
                f"`{case}`" if what == "value" else "", sign, *map(peer, found)]) + " |")
    return "\n".join(lines) + "\n"


def others(ours, first):
    """The largest over all parameter sets but the first, and with which."""
    lines = ["The largest over several other values of the parameters: float32 at every 211th bit",
             "pattern and around the worst, float64 as above.", "",
             "| function | sets | float32 f | float32 f′ | float64 f | float64 f′ |",
             "|---|---|---|---|---|---|"]
    rest = [r for r in ours if r["case"] not in first]
    for name, group in groupby(sorted(rest, key=lambda r: r["case"].partition("(")[0]),
                               key=lambda r: r["case"].partition("(")[0]):
        group = list(group)
        cells = []
        for dtype in ("float32", "float64"):
            for what in SIGNS:
                rows = [r for r in group if (r["dtype"], r["what"]) == (dtype, what)]
                worst = max(rows, key=lambda r: float(r["error"]), default=None)
                told = worst and worst["case"].removeprefix(name)
                cells.append(f"{ulp(worst)} with {told}" if worst and worst["error"] else "0")
        sets = len({r["case"] for r in group})
        lines.append(f"| `{name}` | {sets} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def exceptions(ours):
    found = [f"- `{r['case']}` {SIGNS[r['what']]} in {r['dtype']}: {ulp(r)} ULP at {r['worst'][:1]}"
             + blemishes(r) for r in ours
             if float(r["error"]) > BOUNDS[r["dtype"]] or blemishes(r)]
    return "\n".join(found or ["None: every row is within its bound."]) + "\n"


def blemishes(row):
    counts = [f"{row[key]:,} {key}" for key in ("flushed", "overflowed") if row[key]]
    counts += [f"{row['signs']:,} of the wrong sign"] * bool(row["signs"])
    counts += ["wrong at NaN or infinities"] * (not row["special"])
    return "".join(", " + c for c in counts)


def ulp(row):
    error = float(row["error"])
    return "∞" if error == float("inf") else f"{error:.3g}" if error >= 100 else f"{error:.4g}"


def share(row):
    """In percent, rounded down: 100 % is all."""
    return f"{int(row['correct'] / row['points'] * 1e4) / 100:.2f} %"


def peer(row):
    return "" if row is None else f"{ulp(row)}, {share(row)}{'†' if blemishes(row) else ''}"
