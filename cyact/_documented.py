"""The parts of a docstring that every elementwise function shares, written once.

A docstring in elementwise.py holds ``{x}``, ``{keywords}``, ``{returns}`` and ``{raises}``
where these belong, and ``{error}`` for the error bound, with what was measured of it.
"""

import re
import sys
from typing import TypeVar

from cyact._errors import ERRORS, INTERIOR_ZERO

F = TypeVar("F")
WIDTH = 96              # help() indents by 4
BOUND = "Error at most 1 ULP in float32, 2 ULP in float64"

PARTS = {
    "x": """x : array_like of float16, bfloat16, float32, float64, integers or bool, any shape
    Input; bfloat16 is that of ml_dtypes. Integers and bool become
    ``np.result_type(x, np.float32)``.""",
    "keywords": """bias : array_like, optional
    Added to `x` first, in the same pass over memory: 1-D, an entry for each of the last axis
    of `x`. It and the sum are rounded to the dtype that `x` is computed in (float32 for the
    half types).
out : ndarray, optional
    Where to put the result; must have its shape. ``out=x`` works in place.
dtype : {float16, bfloat16, float32, float64}, optional
    Compute ``f(x.astype(dtype))``.""",
    "returns": """Returns
-------
ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
    Shape and floating dtype of `x`; a NumPy scalar if `x` is one. float16 and bfloat16 are
    correctly rounded.""",
    "raises": """Raises
------
TypeError
    A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
ValueError
    A parameter is outside its domain, `bias` does not match the last axis of `x`, or `out` is
    read-only or has another shape.""",
    "row_x": """x : array_like of float32, float64, integers or bool, at least 1-D
    Input. Integers and bool become ``np.result_type(x, np.float32)``.""",
    "row_keywords": """out : ndarray, optional
    Where to put the result; must have its shape. ``out=x`` works in place.
dtype : {float32, float64}, optional
    Compute ``f(x.astype(dtype))``.""",
    "row_returns": """Returns
-------
ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
    Shape and floating dtype of `x`. Masked entries stay masked and are not in the row.""",
    "row_raises": """Raises
------
TypeError
    A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
ValueError
    A parameter is outside its domain, or `out` is read-only or has another shape.
numpy.exceptions.AxisError
    `axis` is out of bounds (a ValueError).""",
    "jacobian": """out : ndarray, optional
    Where to put the result; must have its shape.
dtype : {float32, float64}, optional
    The derivative at ``x.astype(dtype)``.

Returns
-------
ndarray
    Floating dtype of `x`; its shape without `axis`, followed by (n, n) for rows of n entries.

Raises
------
TypeError
    A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
ValueError
    A parameter is outside its domain, or `out` is read-only or has another shape.
numpy.exceptions.AxisError
    `axis` is out of bounds (a ValueError).""",
    "row_grad": """grad : array_like
    Gradient with respect to the output; the shape of `x`.""",
    "row_output": """output : array_like, optional
    The output of the forward pass, instead of `x`: saves the search for the threshold.
out : ndarray, optional
    Where to put the result; may be `grad` or `x`.""",
    "row_backward_raises": """Raises
------
TypeError
    Both or neither of `x` and `output` are given, or a dtype is not supported.
ValueError
    Shapes differ, a parameter is outside its domain, or `axis` is out of bounds.""",
    "gate": """gate : array_like of float16, bfloat16, float32, float64, integers or bool
    What the activation takes; if `value` is omitted, gate and value in one array.
value : array_like, optional
    What the activated gate multiplies; the shape of `gate`.""",
    "packing": """axis : int, default -1
    Without `value`: the axis whose halves are gate and value; of even length.
gate_half : {"first", "second"}, default "first"
    Without `value`: which half is the gate.
out : ndarray, optional
    Where to put the result; must have its shape.""",
    "gated_returns": """Returns
-------
ndarray, or the type of the input
    The shape of `gate`, or of one half. If both are in one pandas or xarray object, an
    ndarray.""",
    "gated_raises": """Raises
------
TypeError
    A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
ValueError
    Shapes differ, the axis has an odd length, a parameter is outside its domain, or `out` is
    read-only or has another shape.
numpy.exceptions.AxisError
    `axis` is out of bounds (a ValueError).""",
    "gated_backward": """Parameters
----------
grad : array_like
    Gradient with respect to the output.
{gated_names}
    As in the forward pass.
out : tuple of two ndarrays, or without `value` an ndarray, optional
    Where to put the result; must not overlap the other arrays.

Returns
-------
dgate, dvalue : ndarrays, or the types of the inputs
    ``(grad * value) * f'(gate)`` and ``grad * f(gate)``; without `value` one array, whose
    halves they are.

Raises
------
TypeError
    A dtype is not supported, or `out` is not what it must be.
ValueError
    Shapes do not match, the axis has an odd length, a parameter is outside its domain, or
    `out` overlaps an input.""",
    "gated_error": """The activation is rounded as by itself, and the product
once more; of half types, both are computed in float32 and the product is rounded once.""",
}


def error_bound(name: str) -> str:
    """The documented bound, and the largest errors measured: a clause without full stop."""
    if name not in ERRORS:
        return BOUND
    value, slope = zip(*(ERRORS[name][dtype] for dtype in ("float32", "float64")), strict=True)
    away = " away from its zero" if name in INTERIOR_ZERO else ""
    return (f"{BOUND}\n(measured: {value[0]:g} and {value[1]:g}; "
            f"derivative{away}: {slope[0]:g} and {slope[1]:g})")


def slope_bound(name: str) -> str:
    """The same of the derivative."""
    bound = BOUND
    if name in INTERIOR_ZERO or name not in ERRORS:
        bound += ("; near a zero of f' inside its range in ulps of ``max(abs(f'), 2**-10)`` and "
                  "of ``max(abs(f'), 2**-2)``")
    if name not in ERRORS:
        return bound
    (_, single), (_, double) = (ERRORS[name][dtype] for dtype in ("float32", "float64"))
    return f"{bound}\n(measured: {single:g} and {double:g})"


def filled(doc: str) -> str:
    """Fill the paragraphs in which a line has become too long, without breaking literals."""
    if max(map(len, doc.split("\n"))) <= WIDTH:
        return doc
    done, block = [], []
    for line in [*doc.split("\n"), ""]:
        if block and (not line.strip() or indentation(line) != indentation(block[0])
                      or block[-1].endswith("---") or line.startswith("(measured")):
            done += fill(block) if max(map(len, block)) > WIDTH else block
            block = []
        if line.strip():
            block.append(line)
        else:
            done.append(line)
    return "\n".join(done[:-1])


def indentation(line: str) -> str:
    return line[:len(line) - len(line.lstrip())]


def fill(block: list[str]) -> list[str]:
    indent = indentation(block[0])
    lines = [indent]
    for word in re.findall(r"(?:``.*?``|\S)+", " ".join(line.strip() for line in block)):
        if len(lines[-1]) + len(word) > WIDTH and lines[-1] != indent:
            lines.append(indent)
        lines[-1] += word + " "
    return [line.rstrip() for line in lines]


def documented(function: F) -> F:
    """Put the shared parts into a function's docstring."""
    if function.__doc__:                    # python -OO drops it
        doc = function.__doc__
        if sys.version_info < (3, 13):      # which takes the indentation off by itself
            doc = "\n".join(line.removeprefix("    ") for line in doc.split("\n"))
        for name, text in PARTS.items():
            doc = doc.replace(f"{{{name}}}", text)
        code = function.__code__
        doc = doc.replace("{gated_names}", ", ".join(
            (*code.co_varnames[1:code.co_argcount], "axis", "gate_half")))
        function.__doc__ = filled(doc.replace("{error}", error_bound(function.__name__)))
    return function
