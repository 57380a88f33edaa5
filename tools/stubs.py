"""Write the type stubs of cyact.derivative and cyact.backward from the catalogue.

    python tools/stubs.py            write cyact/derivative.pyi and cyact/backward.pyi
    python tools/stubs.py --check    exit 1 if they are not up to date

Needs cyact installed; the stubs are committed.
"""

import argparse
import inspect
import sys
from pathlib import Path

import cyact

HEAD = '''# Written by tools/stubs.py; do not edit.
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
    used = [name for name in ("Literal", "DTypeLike") if any(name in line for line in lines)]
    head = HEAD
    if "Literal" not in used:
        head = head.replace(", Literal", "")
    if "DTypeLike" not in used:
        head = head.replace(", DTypeLike", "")
    return head + "\n" + "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only say whether they are stale")
    arguments = parser.parse_args()
    folder = Path(__file__).resolve().parent.parent / "cyact"
    stale = []
    for module in (cyact.derivative, cyact.backward):
        path = folder / f"{module.__name__.rpartition('.')[2]}.pyi"
        if not path.exists() or path.read_text() != stubs(module):
            stale.append(path.name)
            if not arguments.check:
                path.write_text(stubs(module))
    if arguments.check and stale:
        sys.exit(f"stale: {', '.join(stale)}; run python tools/stubs.py")


if __name__ == "__main__":
    main()
