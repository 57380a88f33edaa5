"""Write the type stubs of cyact, cyact.derivative and cyact.backward from the catalogue.

    python tools/stubs.py            write __init__.pyi, derivative.pyi and backward.pyi
    python tools/stubs.py --check    exit 1 if they are not up to date

Needs cyact installed; the stubs are committed.
"""

import argparse
import inspect
import sys
import textwrap
from pathlib import Path

import cyact

NOTE = "# Written by tools/stubs.py; do not edit.\n"
HEAD = NOTE + '''\
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
'''
HINTS = {
    "x": "ArrayLike",
    "grad": "ArrayLike",
    "output": "ArrayLike | None",
    "out": "np.ndarray | None",
    "dtype": "DTypeLike | None",
}


def stub(function):
    """One function's signature: hints of its own, else by name, else those of its value."""
    value = inspect.signature(cyact.catalog[function.__name__].function)
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        hint = parameter.annotation
        if hint is parameter.empty:
            hint = HINTS.get(parameter.name) or value.parameters[parameter.name].annotation
            if parameter.name == "x" and parameter.default is None:
                hint += " | None"
        parameters.append(parameter.replace(annotation=hint))
    text = str(inspect.Signature(parameters)).replace("'ArrayLike'", "ArrayLike")
    for quoted in {p.annotation for p in parameters}:
        text = text.replace(repr(quoted), quoted)
    return f"def {function.__name__}{text} -> Any: ..."


def stubs(module):
    lines = [stub(getattr(module, name)) for name in dir(module)
             if cyact.catalog[name].name == name]
    lines += [f"{alias} = {name}" for name in dir(module)
              for alias in cyact.catalog[name].importable if cyact.catalog[name].name == name]
    used = [name for name in ("Literal", "DTypeLike", "Axis")
            if any(name in line for line in lines)]
    head = HEAD
    if "Literal" not in used:
        head = head.replace(", Literal", "")
    if "DTypeLike" not in used:
        head = head.replace(", DTypeLike", "")
    if "Axis" in used:
        head += "\nfrom cyact.rows import Axis\n"
    return head + "\n" + "\n".join(lines) + "\n"


def package():
    """The stub of cyact itself: where each public name comes from, and the aliases."""
    homes, aliases = {}, {}
    for name in cyact.__all__:
        value = getattr(cyact, name)
        if inspect.ismodule(value):
            homes.setdefault("cyact", []).append(name)
        elif getattr(value, "__name__", name) != name:
            aliases[name] = value.__name__
        else:
            home = "cyact._catalog" if value is cyact.catalog else value.__module__
            homes.setdefault(home, []).append(name)
    lines = []
    for home in sorted(homes):
        lines += [f"from {home} import {name} as {name}" for name in homes[home]]
    lines += ["", *(f"{alias} = {name}" for alias, name in aliases.items())]
    listed = textwrap.fill(", ".join(map(repr, cyact.__all__)), 95,
                           initial_indent=" " * 4, subsequent_indent=" " * 4)
    return (NOTE + "\n".join(lines)
            + f"\n\n__version__: str\n__all__ = [\n{listed.replace(chr(39), chr(34))},\n]\n")


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
