"""Write docs/functions.md, a page on every function, from the catalogue.

    python tools/functions_page.py            write it
    python tools/functions_page.py --check    exit 1 if it is not up to date

Needs cyact installed; the page is committed.
"""

import argparse
import inspect
import re
import sys
from fractions import Fraction
from pathlib import Path

import cyact
from cyact._catalog import REQUIRED
from cyact._errors import INTERIOR_ZERO

PAGE = Path(__file__).resolve().parent.parent / "docs" / "functions.md"

# A section for each family: its heading, and how its functions are called
ELEMENTWISE = "`cyact.NAME(x, /, …, *, bias=None, out=None, dtype=None)`."
FAMILIES = {
    "rectifiers": ("Rectifiers and steps", f"""\
{ELEMENTWISE} `prelu` takes a weight, a slope for each channel. `rrelu` and `noisy_relu` draw from
`rng` before they compute, and give back what their backward pass needs; their properties are those
outside training. `crelu` is of twice the length."""),
    "exponential": ("Exponential", ELEMENTWISE),
    "sigmoids": ("Sigmoids", ELEMENTWISE),
    "self_gated": ("Self-gated units", ELEMENTWISE),
    "normal": ("Of the normal distribution", ELEMENTWISE),
    "algebraic": ("Algebraic", ELEMENTWISE),
    "logarithms": ("Logarithms", ELEMENTWISE),
    "gated": ("Gated units", """\
Of two arrays, `gate` and `value`, or of one array that holds both halves along `axis`. `glu` takes
one array, whose second half is the gate. `cyact.backward.NAME` gives both gradients."""),
    "softmax": ("Along an axis: the softmax family", """\
`cyact.NAME(x, /, …, axis=-1, *, where=None, out=None, dtype=None)`; the axis is an integer, a
tuple, or None for all. `cyact.backward.NAME(grad, x)`, or where that is enough
`cyact.backward.NAME(grad, output=y)`. Error bounds are in the docstrings. `gumbel_softmax` goes
along one axis, and draws its noise from `rng` before anything is computed."""),
    "sparse": ("Along an axis: sparse relatives of softmax", """\
Along one axis; otherwise as the softmax family."""),
    "maxima": ("Along an axis: maxima", "Along one axis; otherwise as the softmax family."),
    "losses": ("Losses", """\
Value and, with `return_grad=True`, gradient in one pass: the gradient is the only memory of the
input's size. `reduction` is "mean", "sum" or "none". Sums are made in float64, in an order that
depends neither on threads nor on layout; results have the dtype of the input. Results are plain
ndarrays; an array with masked entries is refused, for they would count."""),
}

# Questions of the introduction, answered by the catalogue
QUESTIONS = [
    {"bounded": True, "zero_centred": True, "continuity": float("inf")},
    {"monotonic": False},
    {"continuity": float("inf"), "monotonic_derivative": True},
    {"identity_at_origin": True, "saturates": "left"},
]

HEAD = """\
<!-- Written by tools/functions_page.py; do not edit. -->
# The functions

{count} functions by families, from `cyact.catalog`, which holds the same as records:
`cyact.catalog["gelu"].range`. Names are found in any case and with or without `_` and `-`;
`help(cyact.gelu)` has limits, special values and examples. `cyact.derivative.NAME` takes what an
elementwise function takes, `cyact.backward.NAME(grad, x)` gives `grad * f'(x)`.

## What the properties mean

They are those of the function with its default parameters. The tests check each of them
numerically (`tests/claims.py`).

- **Nonlinear**: not a straight line. Layers with linear activations collapse into one; with a
  nonlinear one that is no polynomial, two layers can approximate any continuous function. All
  functions here are nonlinear, but {linear}.
- **Range**: the smallest interval that holds all values; a bracket says that an end is reached, a
  parenthesis that it is not. A **bounded** function has two finite ends, which keeps activations
  and gradients in check; an unbounded one does not hold back large signals.
- **Monotonic**: never falls (or never rises). More input then never means less output, and with
  a loss that matches the function the error surface of a single layer is convex.
- **f' monotonic**: the derivative never falls (or never rises): the function is convex or
  concave. Smooth functions of this kind are said to generalise better in some cases.
- **Zero-centred**: takes values of both signs. The next layer's input is then not all of one sign,
  nor are the gradients of its weights.
- **Continuity**: how often it is continuously differentiable. ∞: smooth. 0: continuous with a
  kink, which gradient methods pass over in practice. −1: jumps; the derivative of a step is 0
  wherever it has one, so that gradient methods make no progress. Where f' or a higher derivative
  jumps is listed with each function.
- **Identity at 0**: f(0) = 0 and f'(0) = 1, f' continuous there: near 0 it passes its input on, so
  that a network with small random weights learns well from the start. Others want more care with
  initial weights.
- **Saturates**: where it has a finite limit. There the gradient vanishes.
- **Error**: the largest found, in units in the last place (ULP), of the value and, in
  parentheses, of the derivative, over several values of the parameters. At most 0.5 is correctly
  rounded; float16 and bfloat16 always are.

Ask the catalogue for functions by their properties:

```python
{questions}
```
"""


def names(records):
    return ", ".join(f"`{record.name}`" for record in records)


def question(properties):
    """A call of find, and its answer."""
    asked = ", ".join(f"{name}=" + ('float("inf")' if value == float("inf") else
                                    f'"{value}"' if isinstance(value, str) else repr(value))
                      for name, value in properties.items())
    listed = [record.name for record in cyact.catalog.find(**properties)]
    lines = [f">>> [r.name for r in cyact.catalog.find({asked})]"]
    line = "["
    for i, name in enumerate(listed):
        item = repr(name) + (", " if i + 1 < len(listed) else "]")
        if len(line + item.rstrip()) > 98:
            lines.append(line.rstrip())
            line = " "
        line += item
    return "\n".join([*lines, line])


def yes(value):
    return "yes" if value else "no"


def order(continuity):
    return "∞" if continuity == float("inf") else f"{continuity:.0f}".replace("-", "−")


def overview(records):
    """A table: one line a function."""
    yield ("| function | f(x) | range | monotonic | f' monotonic | zero-centred | continuity "
           "| identity at 0 | saturates |")
    yield "|---|---|---|---|---|---|---|---|---|"
    for record in records:
        claims = ["–"] * 7 if record.range is None else [
            str(record.range), yes(record.monotonic), yes(record.monotonic_derivative),
            yes(record.zero_centred), order(record.continuity), yes(record.identity_at_origin),
            record.saturates]
        formula = record.formula.replace("|", "\\|")
        yield f"| [{record.name}](#{record.name}) | `{formula}` | " + " | ".join(claims) + " |"


def call(name, function):
    """How to call it."""
    return f"{name}{inspect.signature(function)}"


def parameter(p):
    default = "no default" if p.default is REQUIRED else f"default {number(p.default)}"
    domain = (" or ".join(repr(choice) for choice in p.domain) if isinstance(p.domain, tuple)
              else p.domain.text)
    return f"  - `{p.name}`: {domain}; {default}"


def number(value):
    """A float in six digits, or as the fraction it was meant as."""
    if not isinstance(value, float):
        return repr(value)
    short = f"{value:.6g}"
    fraction = Fraction(value).limit_denominator(9)
    return str(fraction) if float(short) != value == float(fraction) else short


def properties(record):
    """One sentence with all claims."""
    told = [f"range {record.range}", "bounded" if record.bounded else "unbounded",
            "monotonic" if record.monotonic else "not monotonic",
            f"f' {'' if record.monotonic_derivative else 'not '}monotonic",
            "zero-centred" if record.zero_centred else "not zero-centred"]
    at = " and ".join(f"{kink:g}" for kink in record.kinks)
    told.append({
        -1: f"jumps at {at}", 0: f"continuous with a kink at {at}",
        float("inf"): "smooth"}.get(record.continuity) or (
        f"{'once' if record.continuity == 1 else 'twice'} continuously differentiable, "
        f"a higher derivative jumps at {at}"))
    if record.identity_at_origin:
        told.append("the identity near 0")
    told.append({"both": "saturates on both sides", "neither": "does not saturate"}.get(
        record.saturates, f"saturates on the {record.saturates}"))
    if not record.nonlinear:
        told.append("linear")
    return ", ".join(told)


def errors(record):
    told = [f"{dtype} {value:g} ({slope:g})" for dtype, (value, slope) in record.error.items()]
    zero = ("; the derivative's where it is not small, for it passes through 0"
            if record.name in INTERIOR_ZERO else "")
    return ", ".join(told) + zero


def entry(record):
    """The section of one function."""
    yield f"### {record.name}"
    yield ""
    yield record.summary.replace("``", "`")
    yield ""
    if record.kind != "elementwise":
        yield f"- Call: `{call(record.name, record.function)}`"
    yield f"- Formula: `{record.formula}`"
    if record.derivative:
        yield f"- {'Gradient' if record.kind == 'loss' else 'Derivative'}: `{record.derivative}`"
    if record.parameters:
        yield "- Parameters:"
        yield from map(parameter, record.parameters)
    if record.range is not None:
        yield f"- Properties: {properties(record)}"
    if record.aliases:
        importable = set(record.importable)
        yield "- Also called: " + ", ".join(
            f"`cyact.{alias}`" if alias in importable else alias for alias in record.aliases)
    if record.error:
        yield f"- Largest error in ULP: {errors(record)}"
    if record.reference:
        yield f"- Reference: {record.reference}"
    yield ""


def notes(record):
    """What the docstring says of a loss, for nothing else tells its error and limits."""
    text = inspect.getdoc(record.function).partition("\nNotes\n-----\n")[2]
    text = re.split(r"\n\n[A-Z][\w ]+\n-+\n", text)[0]
    return text.strip().replace("``", "`")


def page():
    records = list(cyact.catalog.values())
    linear = names(record for record in records if record.nonlinear is False)
    lines = [HEAD.format(count=len(records), linear=linear,
                         questions="\n".join(map(question, QUESTIONS)))]
    for family, (title, text) in FAMILIES.items():
        found = [record for record in records if record.family == family]
        claiming = [record for record in found if record.range is not None]
        lines += [f"## {title}", "", text, "", *(overview(found) if claiming else ())]
        lines += [""] if claiming else []
        for record in found:
            lines += entry(record)
            if record.kind == "loss":
                lines += [notes(record), ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only say whether it is stale")
    arguments = parser.parse_args()
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return
    if arguments.check:
        sys.exit(f"stale: {PAGE.name}; run python tools/functions_page.py")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
