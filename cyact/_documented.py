"""The parts of a docstring that every elementwise function shares, written once.

A docstring in elementwise.py holds ``{x}``, ``{keywords}``, ``{returns}`` and ``{raises}``
where these belong, and ``{error}`` for the error bound, with what was measured of it.
"""

from typing import TypeVar

from cyact._errors import ERRORS, INTERIOR_ZERO

F = TypeVar("F")

PARTS = {
    "x": """x : array_like of float16, bfloat16, float32, float64, integers or bool, any shape
    Input; bfloat16 is that of ml_dtypes. Integers and bool become
    ``np.result_type(x, np.float32)``.""",
    "keywords": """bias : array_like, optional
    Added to `x` first, in the same pass over memory: 1-D, an entry for each of the last axis of
    `x`, in the dtype that `x` is computed in (float32 for the half types).
out : ndarray, optional
    Where to put the result; must have its shape. ``out=x`` works in place.
dtype : {float16, bfloat16, float32, float64}, optional
    Compute ``f(x.astype(dtype))``.""",
    "returns": """Returns
-------
ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
    Shape and floating dtype of `x`; a NumPy scalar if `x` is one.""",
    "raises": """Raises
------
TypeError
    A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
ValueError
    A parameter is outside its domain, `bias` does not match the last axis of `x`, or `out` is
    read-only or has another shape.""",
    "gate": """gate : array_like
    What the activation takes; or gate and value packed, if `value` is omitted. The float types,
    integers and bool, as elsewhere.
value : array_like, optional
    What the activated gate multiplies; the shape of `gate`.""",
    "packing": """axis : int, default -1
    The axis that holds the two halves of packed input; of even length.
gate_half : {"first", "second"}, default "first"
    Which half of packed input is the gate.
out : ndarray, optional
    Where to put the result; must have its shape.""",
    "gated_returns": """Returns
-------
ndarray, or the type of the input
    The shape of `gate`, or of one half. Packed input of another array type than a masked or
    Dask array gives an ndarray.""",
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
gate, value, beta, approximate, axis, gate_half
    As in the forward pass.
out : tuple of two ndarrays, or for packed input an ndarray, optional
    Where to put the result; must not overlap the other arrays.

Returns
-------
dgate, dvalue : ndarrays, or the types of the inputs
    ``(grad * value) * f'(gate)`` and ``grad * f(gate)``; for packed input one array, packed
    alike.

Raises
------
TypeError
    A dtype is not supported, or `out` is not what it must be.
ValueError
    Shapes do not match, the axis has an odd length, a parameter is outside its domain, or `out`
    overlaps an input.""",
    "gated_error": """The activation is rounded as by itself, and the product
once more; of half types, both are computed in float32 and the product is rounded once.""",
}


def error_bound(name: str) -> str:
    """The documented bound, and the largest errors measured: a clause without full stop."""
    bound = "Error at most 1 ULP in float32, 2 ULP in float64"
    if name not in ERRORS:
        return bound
    value, slope = zip(*(ERRORS[name][dtype] for dtype in ("float32", "float64")), strict=True)
    away = " away from its zero" if name in INTERIOR_ZERO else ""
    return (f"{bound}\n(measured: {value[0]:g} and {value[1]:g}; "
            f"derivative{away}: {slope[0]:g} and {slope[1]:g})")


def documented(function: F) -> F:
    """Fill the shared parts into a function's docstring."""
    if function.__doc__:                    # python -OO drops it
        # Python 3.13 takes the indentation off by itself
        doc = "\n".join(line.removeprefix("    ") for line in function.__doc__.split("\n"))
        for name, text in PARTS.items():
            doc = doc.replace(f"{{{name}}}", text)
        function.__doc__ = doc.replace("{error}", error_bound(function.__name__))
    return function
