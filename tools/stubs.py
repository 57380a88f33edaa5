"""Write the type stubs of cyact, cyact.derivative and cyact.backward.

    python tools/stubs.py            write __init__.pyi, derivative.pyi and backward.pyi
    python tools/stubs.py --check    exit 1 if they are not up to date

Signatures in the source have no annotations: names mean the same everywhere, so types follow from
the names of parameters, and from domains and defaults. Needs cyact installed; the stubs are
committed.
"""

import argparse
import inspect
import sys
import textwrap
from pathlib import Path

import cyact

NOTE = "# Written by tools/stubs.py; do not edit.\n"
HEAD = NOTE + '''\
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
'''
AXIS = "\nAxis: TypeAlias = int | str | tuple[int | str, ...] | None\n"
ARRAYS = {"x", "grad", "gate", "value", "logits", "log_probabilities", "p", "log_p", "target",
          "weight", "pos_weight", "slope", "noise", "output", "bias", "where", "b"}
HINTS = {
    "out": "np.ndarray | None",
    "dtype": "DTypeLike | None",
    "rng": "np.random.Generator | int | None",
    "gate_half": 'Literal["first", "second"]',
    "reduction": 'Literal["none", "mean", "sum"]',
}
# By function and parameter, where the name does not tell
SPECIAL = {
    ("focal_loss", "alpha"): "ArrayLike | None",
    ("kl_div", "reduction"): 'Literal["none", "mean", "batchmean", "sum"]',
    ("maxout", "axis"): "int",
    ("maxout", "pieces"): "int",
    ("noisy_relu", "scale"): 'float | Literal["sigmoid"]',
    ("threshold", "value"): "float",
}


def hint(record, parameter, module):
    """The type of a parameter."""
    name, default = parameter.name, parameter.default
    domains = {p.name: p.domain for p in record.parameters}
    if (record.name, name) in SPECIAL:
        return SPECIAL[record.name, name]
    if name == "axis":
        if record.kind == "rows":
            jacobian = module is cyact.derivative and not record.engine.reduces
            return "int" if jacobian else "Axis"
        along = record.family in ("softmax", "sparse", "maxima") and module is not cyact.derivative
        return "int | str" if along else "int"
    if name == "out" and record.kind == "gated" and module is cyact.backward \
            and record.name not in ("glu", "crelu"):
        return "np.ndarray | tuple[np.ndarray, np.ndarray] | None"
    if name in ARRAYS and not isinstance(default, float):
        return "ArrayLike" if default is parameter.empty else "ArrayLike | None"
    if isinstance(domains.get(name), tuple) and isinstance(default, str):
        return f"Literal[{', '.join(map(quoted, domains[name]))}]"
    if name in HINTS:
        return HINTS[name]
    if name in domains and not isinstance(default, bool):
        return "float | None" if default is None else "float"
    return type(default).__name__


def quoted(value):
    """A value as it is written in the source."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


class Hint(str):
    """A type that a signature shows without quotes."""

    def __repr__(self):
        return str(self)


def stub(function, module):
    record = cyact.catalog[function.__name__]
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=Hint(hint(record, p, module)))
                  for p in signature.parameters.values()]
    text = str(inspect.Signature(parameters)).replace("'", '"')
    return f"def {function.__name__}{text} -> Any: ..."


def functions(module, names):
    """Stubs of functions, then of their aliases."""
    records = [cyact.catalog[name] for name in names if cyact.catalog[name].name == name]
    lines = [stub(getattr(module, record.name), module) for record in records]
    return lines + [f"{alias} = {record.name}" for record in records
                    for alias in record.importable if alias in names]


def head(lines):
    """The imports that these lines need."""
    text = HEAD
    for name in ("Literal", "TypeAlias", "DTypeLike"):
        needed = "Axis" if name == "TypeAlias" else name
        if not any(needed in line for line in lines):
            text = text.replace(f", {name}", "")
    return text + (AXIS if "TypeAlias" in text else "") + "\n"


def stubs(module):
    lines = functions(module, dir(module))
    return head(lines) + "\n".join(lines) + "\n"


def package():
    """The stub of cyact itself: its functions, and where other public names come from."""
    homes, names = {}, []
    for name in cyact.__all__:
        value = getattr(cyact, name)
        if name in cyact.catalog:
            names.append(name)
        elif inspect.ismodule(value):
            homes.setdefault("cyact", []).append(name)
        else:
            home = "cyact._catalog" if value is cyact.catalog else value.__module__
            homes.setdefault(home, []).append(name)
    lines = functions(cyact, names)
    imports = [f"from {home} import {name} as {name}" for home in sorted(homes)
               for name in homes[home]]
    listed = textwrap.fill(", ".join(map(quoted, cyact.__all__)), 95,
                           initial_indent=" " * 4, subsequent_indent=" " * 4)
    top = head(lines)
    at = top.index("\nAxis")
    return "\n".join([top[:at], *imports, top[at:], *lines, "", "__version__: str", "__all__ = [",
                      f"{listed},", "]", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only say whether they are stale")
    arguments = parser.parse_args()
    folder = Path(__file__).resolve().parent.parent / "cyact"
    stale = []
    for name, text in (("__init__", package()), ("derivative", stubs(cyact.derivative)),
                       ("backward", stubs(cyact.backward))):
        path = folder / f"{name}.pyi"
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if not arguments.check:
                path.write_text(text)
    if arguments.check and stale:
        sys.exit(f"stale: {', '.join(stale)}; run python tools/stubs.py")


if __name__ == "__main__":
    main()
