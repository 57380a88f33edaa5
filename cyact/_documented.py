"""The parts of a docstring that every elementwise function shares, written once.

A docstring in elementwise.py holds ``{x}``, ``{keywords}``, ``{returns}`` and ``{raises}``
where these belong, and ``{error}`` for the measured error bound.
"""

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
    "error": "Error at most 1 ULP in float32, 2 ULP in float64",
}


def documented(function):
    """Fill the shared parts into a function's docstring."""
    if function.__doc__:                    # python -OO drops it
        # Python 3.13 takes the indentation off by itself
        doc = "\n".join(line.removeprefix("    ") for line in function.__doc__.split("\n"))
        for name, text in PARTS.items():
            doc = doc.replace(f"{{{name}}}", text)
        function.__doc__ = doc
    return function
