"""The parts of a docstring that every elementwise function shares, written once.

A docstring in elementwise.py holds ``{x}``, ``{keywords}``, ``{returns}`` and ``{raises}``
where these belong, and ``{error}`` for the error bound, with what was measured of it.
"""

import re
import textwrap
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
    "row_x": """x : array_like of float16, bfloat16, float32, float64, integers or bool
    Input; bfloat16 is that of ml_dtypes. Integers and bool become
    ``np.result_type(x, np.float32)``.""",
    "row_axis": """axis : int, tuple of ints or None, default -1
    The axis along which a row lies; with a tuple, or None for all axes, these together make a
    row. For xarray also dimension names.""",
    "row_single_axis": """axis : int, default -1
    The axis along which a row lies; for xarray also a dimension name.""",
    "row_mask": """where : array_like of bool, optional
    Must broadcast to the shape of `x`. False means "not in the row": such entries are {masked}
    in the result, whatever they hold.
{row_bias}
out : ndarray, optional
    Where to put the result; must have its shape. ``out=x`` works in place.
dtype : {float16, bfloat16, float32, float64}, optional
    Compute ``f(x.astype(dtype))``.

Returns
-------
ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
    Shape and floating dtype of `x`. Masked entries of a masked array are as if `where` were
    False there, and stay masked.""",
    "row_reduced": """keepdims : bool, default False
    Keep the summed axes, with length 1.
where : array_like of bool, optional
    Must broadcast to the shape of `x`. False means "not in the row".
{row_bias}
out : ndarray, optional
    Where to put the result; must have its shape.
dtype : {float16, bfloat16, float32, float64}, optional
    Compute ``f(x.astype(dtype))``.

Returns
-------
ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
    Shape of `x` without the summed axes, floating dtype of `x`; a NumPy scalar if none is
    left. Masked entries of a masked array are as if `where` were False there.""",
    "row_bias": """bias : array_like, optional
    Added to `x` first, while that is in the cache: 1-D, an entry for each of the last axis of
    `x`. It and the sum are rounded to the dtype that `x` is computed in (float32 for the half
    types).""",
    "row_raises": """Raises
------
TypeError
    A dtype is not supported, `where` is not boolean, or `out` is not an ndarray that can hold
    the result's dtype.
ValueError
    A parameter is outside its domain, `bias` or `where` does not fit `x`, or `out` is
    read-only or has another shape.
numpy.exceptions.AxisError
    `axis` is out of bounds (a ValueError).""",
    "jacobian": """where : array_like of bool, optional
    Must broadcast to the shape of `x`; masked entries have derivative 0.
out : ndarray, optional
    Where to put the result; must have its shape.
dtype : {float16, bfloat16, float32, float64}, optional
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
    "row_error": """Error at most 2 ULP in float32 and float64 for rows of up to 2**20
entries, whichever axis they lie along, and 1 ULP in the half types. A row's result has the
same bits whatever the batch, layout and number of threads.""",
    "row_gradient": """Parameters
----------
grad : array_like
    Gradient with respect to the output; the shape of `x`.
x : array_like, optional
    The input of the forward pass.
{row_names}
    As in the forward pass.
output : array_like, optional
    The output of the forward pass, instead of `x`: saves the exponentials.
where : array_like of bool, optional
    That of the forward pass: masked entries have gradient 0, whatever `grad` holds there.
bias : array_like, optional
    The bias of the forward pass; then its gradient is returned, too. With `output`, which
    has it in it, only its shape and dtype matter.
out : ndarray, optional
    Where to put the result; may be `grad` or `x`.

Returns
-------
dx : ndarray, or the type of `x`
    Shape of `x`; the dtype is that of `grad` and `x` together.
dbias : ndarray
    Only with `bias`: dx summed over all axes but the last, in float64 or better; float64 for
    float64, else float32.

Raises
------
TypeError
    Both or neither of `x` and `output` are given, or a dtype is not supported.
ValueError
    Shapes differ, `axis` is out of bounds, or a parameter is outside its domain.""",
    "row_reduced_gradient": """Parameters
----------
grad : array_like
    Gradient with respect to the output: the shape of `x` without the summed axes, or with
    length 1 there.
x : array_like
    The input of the forward pass.
axis, where
    As in the forward pass; masked entries have gradient 0.
bias : array_like, optional
    The bias of the forward pass; then its gradient is returned, too.""",
    "row_reduced_gradient_rest": """out : ndarray, optional
    Where to put the result; may be `x`.

Returns
-------
dx : ndarray, or the type of `x`
    Shape of `x`; the dtype is that of `grad` and `x` together.
dbias : ndarray
    Only with `bias`: dx summed over all axes but the last.

Raises
------
TypeError
    A dtype is not supported, or `where` is not boolean.
ValueError
    The shape of `grad` is not that of the output, or `axis` is out of bounds.""",
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
        first, _, rest = function.__doc__.partition("\n")
        doc = f"{first}\n{textwrap.dedent(rest)}"       # Python 3.13 has done so, Cython not
        for name, text in PARTS.items():
            doc = doc.replace(f"{{{name}}}", text)
        code = function.__code__
        doc = doc.replace("{row_names}", ", ".join(code.co_varnames[2:code.co_argcount]))
        doc = doc.replace("{masked}", "-inf" if function.__name__.startswith("log") else "0")
        doc = doc.replace("{gated_names}", ", ".join(
            (*code.co_varnames[1:code.co_argcount], "axis", "gate_half")))
        function.__doc__ = filled(doc.replace("{error}", error_bound(function.__name__)))
    return function
