"""Docstrings: what functions share is written here, once.

In the source a docstring holds what is particular to its function, a paragraph for each thing:

- the summary;
- parameters that are described nowhere else, or differently (a name, and indented lines);
- sections that differ from the shared ones (a heading, underlined);
- notes;
- examples (from ``>>>`` on).

`documented` adds formula and derivative under the summary, the other parameters in the order of
the signature, Returns, Raises, the error bound and the reference.
"""

import re
import textwrap
from typing import Any, NamedTuple, TypeVar

from cyact._errors import ERRORS, INTERIOR_ZERO

F = TypeVar("F")
WIDTH = 96              # help() indents by 4
SECTIONS = ("Parameters", "Returns", "Raises", "See Also", "Notes", "References", "Examples")


class Skeleton(NamedTuple):
    """What the functions of one kind share.

    `parameters` has their descriptions by name; what it and the function lack is described by
    `others`, where that is not empty. `{name}` becomes the function's name, `{x}` that of its
    first parameter.
    """

    parameters: dict[str, str]
    returns: str
    raises: str
    others: str = ""


INPUT = """float16, bfloat16 (of ml_dtypes), float32 or float64; integers and bool
    become ``np.result_type({x}, np.float32)``."""
OUT = """out : ndarray, optional
    Where to put the result; must have its shape. ``out=x`` works in place."""
DTYPE = """dtype : {float16, bfloat16, float32, float64}, optional
    Compute ``f(x.astype(dtype))``."""
BIAS = """bias : array_like, optional
    Added to `x` first, in the same pass over memory: 1-D, an entry for each of the last axis
    of `x`. It and the sum are rounded to the dtype that `x` is computed in (float32 for the
    half types)."""
X = f"x : array_like\n    Input, of any shape: {INPUT}"
RNG = """rng : numpy.random.Generator or seed, optional
    What to draw from."""
TYPE_ERROR = "TypeError\n    A dtype is not supported"
NO_OUT = ", or `out` is not an ndarray that can hold the result's dtype."
AXIS_ERROR = "numpy.exceptions.AxisError\n    `axis` is out of bounds (a ValueError)."
DBIAS = """dbias : ndarray
    Only with `bias`: dx summed over all axes but the last, in float64 or better, and rounded
    to the dtype that `x` is computed in."""
GRAD = "grad : array_like\n    Gradient with respect to the output; the shape of `x`."
FORWARD_X = "x : array_like, optional\n    The input of the forward pass."
FORWARD_BIAS = """bias : array_like, optional
    The bias of the forward pass; then its gradient is returned, too."""

ELEMENTWISE = Skeleton(
    {"x": X, "bias": BIAS, "out": OUT, "dtype": DTYPE, "rng": RNG},
    returns="""ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
    Shape and floating dtype of `x`; a NumPy scalar if `x` is one. float16 and bfloat16 are
    correctly rounded.""",
    raises=f"""{TYPE_ERROR}{NO_OUT}
ValueError
    A parameter is outside its domain, `bias` does not match the last axis of `x`, or `out` is
    read-only or has another shape.""")

DERIVATIVE = Skeleton(
    {"x": X},
    returns="""ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
    Shape and floating dtype of `x`; float16 and bfloat16 are correctly rounded.""",
    raises="As `cyact.{name}`.",
    others="As in `cyact.{name}`.")

BACKWARD = Skeleton(
    {"grad": GRAD, "x": FORWARD_X,
     "bias": "bias : array_like, optional\n    The bias of the forward pass; goes with `x`.",
     "out": "out : ndarray, optional\n    Where to put the result; may be `grad` or `x`."},
    returns=f"""dx : ndarray, or the type of `grad`
    ``grad * f'(x)``, equal to the last bit to ``grad * cyact.derivative.{{name}}(x)`` when
    computed from `x` (half types: that product in float32, rounded once).
{DBIAS}""",
    raises=f"""{TYPE_ERROR}, or both or neither of `x` and `output` are given.
ValueError
    Shapes differ, or a parameter is out of its domain.""",
    others="As in `cyact.{name}`.")

# Of functions that are not elementwise throughout: their Returns are their own
PLAIN_BACKWARD = BACKWARD._replace(
    parameters=BACKWARD.parameters | {
        "x": "x : array_like\n    The input of the forward pass.", "bias": FORWARD_BIAS},
    raises=f"""{TYPE_ERROR}.
ValueError
    Shapes do not match, `axis` is out of bounds, or a parameter is out of its domain.""")

GATED = Skeleton(
    {"gate": f"""gate : array_like
    What the activation takes: {INPUT}
    If `value` is omitted, gate and value in one array.""",
     "value": """value : array_like, optional
    What the activated gate multiplies; the shape of `gate`.""",
     "axis": """axis : int, default -1
    Without `value`: the axis whose halves are gate and value; of even length.""",
     "gate_half": """gate_half : {"first", "second"}, default "first"
    Without `value`: which half is the gate.""",
     "out": "out : ndarray, optional\n    Where to put the result; must have its shape."},
    returns="""ndarray, or the type of the input
    The shape of `gate`, or of one half. If both are in one pandas or xarray object, an
    ndarray.""",
    raises=f"""{TYPE_ERROR}{NO_OUT}
ValueError
    Shapes differ, the axis has an odd length, a parameter is outside its domain, or `out` is
    read-only or has another shape.
{AXIS_ERROR}""")

GATED_BACKWARD = Skeleton(
    {"grad": "grad : array_like\n    Gradient with respect to the output.",
     "out": """out : tuple of two ndarrays, or without `value` an ndarray, optional
    Where to put the result; must not overlap the other arrays."""},
    returns="""dgate, dvalue : ndarrays, or the types of the inputs
    ``(grad * value) * f'(gate)`` and ``grad * f(gate)``; without `value` one array, whose
    halves they are.""",
    raises=f"""{TYPE_ERROR}, or `out` is not what it must be.
ValueError
    Shapes do not match, the axis has an odd length, a parameter is outside its domain, or
    `out` overlaps an input.""",
    others="As in the forward pass.")

ROW_RAISES = f"""TypeError
    A dtype is not supported, `where` is not boolean, or `out` is not an ndarray that can hold
    the result's dtype.
ValueError
    A parameter is outside its domain, `bias` or `where` does not fit `x`, or `out` is
    read-only or has another shape.
{AXIS_ERROR}"""
ROWS = Skeleton(
    {"x": f"x : array_like\n    Input: {INPUT}",
     "axis": """axis : int, tuple of ints or None, default -1
    The axis along which a row lies; with a tuple, or None for all axes, these together make a
    row. For xarray also dimension names.""",
     "where": """where : array_like of bool, optional
    Must broadcast to the shape of `x`. False means "not in the row": such entries are 0 in the
    result, whatever they hold.""",
     "bias": BIAS, "out": OUT, "dtype": DTYPE, "rng": RNG},
    returns="""ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
    Shape and floating dtype of `x`. Masked entries of a masked array are as if `where` were
    False there, and stay masked.""",
    raises=ROW_RAISES)

# Of one axis
SINGLE = """axis : int, default -1
    The axis along which a row lies; for xarray also a dimension name."""
ROWS_OF_ONE_AXIS = ROWS._replace(parameters=ROWS.parameters | {"axis": SINGLE})

REDUCED_ROWS = Skeleton(
    ROWS.parameters | {
        "keepdims": "keepdims : bool, default False\n    Keep the summed axes, with length 1.",
        "where": """where : array_like of bool, optional
    Must broadcast to the shape of `x`. False means "not in the row".""",
        "out": "out : ndarray, optional\n    Where to put the result; must have its shape."},
    returns="""ndarray, or the type of `x` if that is a pandas, xarray, Dask or masked array
    Shape of `x` without the summed axes, floating dtype of `x`; a NumPy scalar if none is
    left. Masked entries of a masked array are as if `where` were False there.""",
    raises=ROW_RAISES)

JACOBIAN = Skeleton(
    {"x": ROWS.parameters["x"],
     "where": """where : array_like of bool, optional
    Must broadcast to the shape of `x`; masked entries have derivative 0.""",
     "out": "out : ndarray, optional\n    Where to put the result; must have its shape.",
     "dtype": """dtype : {float16, bfloat16, float32, float64}, optional
    The derivative at ``x.astype(dtype)``."""},
    returns="""ndarray
    Floating dtype of `x`; its shape without `axis`, followed by (n, n) for rows of n entries.""",
    raises=f"""{TYPE_ERROR}{NO_OUT}
ValueError
    A parameter is outside its domain, or `out` is read-only or has another shape.
{AXIS_ERROR}""",
    others="As in `cyact.{name}`.")

ROWS_DERIVATIVE = ROWS._replace(
    parameters={name: text for name, text in ROWS.parameters.items() if name != "axis"},
    others="As in `cyact.{name}`.")

ROWS_BACKWARD = Skeleton(
    {"grad": GRAD, "x": FORWARD_X,
     "output": """output : array_like, optional
    The output of the forward pass, instead of `x`: saves the exponentials.""",
     "where": """where : array_like of bool, optional
    That of the forward pass: masked entries have gradient 0, whatever `grad` holds there.""",
     "bias": f"""{FORWARD_BIAS} With `output`, which
    has it in it, only its shape and dtype matter.""",
     "out": BACKWARD.parameters["out"]},
    returns=f"""dx : ndarray, or the type of `x`
    Shape of `x`; the dtype is that of `grad` and `x` together.
{DBIAS}""",
    raises=f"""{TYPE_ERROR}, or both or neither of `x` and `output` are given.
ValueError
    Shapes differ, `axis` is out of bounds, or a parameter is outside its domain.""",
    others="As in the forward pass.")

REDUCED_ROWS_BACKWARD = ROWS_BACKWARD._replace(
    parameters={
        "grad": """grad : array_like
    Gradient with respect to the output: the shape of `x` without the summed axes, or with
    length 1 there.""",
        "x": "x : array_like\n    The input of the forward pass.",
        "where": """where : array_like of bool, optional
    That of the forward pass: masked entries have gradient 0.""",
        "bias": FORWARD_BIAS,
        "out": "out : ndarray, optional\n    Where to put the result; may be `x`."},
    raises=f"""{TYPE_ERROR}, or `where` is not boolean.
ValueError
    The shape of `grad` is not that of the output, or `axis` is out of bounds.""")

LOSS = Skeleton(
    {"logits": f"logits : array_like, at least 1-D\n    Unnormalised log-probabilities: {INPUT}",
     "axis": "axis : int, default -1\n    The axis of the classes.",
     "ignore_index": """ignore_index : int, default -100
    Rows with this class contribute exactly 0, gradient included, whatever they hold.""",
     "weight": """weight : array_like, optional
    Factors of the losses; broadcast to the shape of `{x}`.""",
     "reduction": """reduction : {"mean", "sum", "none"}, default "mean"
    "mean" divides by the number of entries.""",
     "return_grad": """return_grad : bool, default False
    Also return the gradient with respect to `{x}`, from the same pass; with
    ``reduction="none"`` the gradient of the summed loss."""},
    returns="""loss : scalar, or ndarray in the shape of `{x}` for "none"
    In the dtype of `{x}`, summed in float64. A mean over nothing is NaN, a sum 0.
d{x} : ndarray
    Only with `return_grad`; shape, dtype and layout of `{x}`.""",
    raises=f"""{TYPE_ERROR}.
ValueError
    Shapes do not fit, an array has masked entries, or a parameter is outside its domain.""")

CLASS_LOSS = LOSS._replace(
    parameters=LOSS.parameters | {
        "target": """target : array_like of integers, of any dtype
    Classes, in the shape of `{x}` without `axis`.""",
        "weight": "weight : array_like, optional\n    A weight per class.",
        "reduction": """reduction : {"mean", "sum", "none"}, default "mean"
    "mean" divides by the summed weights of the rows' classes that are not ignored."""},
    returns=LOSS.returns.replace("`{x}` for", "`{x}` without `axis` for"),
    raises=f"{LOSS.raises}\nIndexError\n    A class is out of range; the message names the row.")


def error_bound(name: str, exact: str = "") -> str:
    """The documented bound of a value, and the largest errors measured."""
    if exact:
        return f"{exact}."
    bound = "Error at most 1 ULP in float32 and 2 ULP in float64"
    if name not in ERRORS:
        return f"{bound}."
    value, slope = _measured(name)
    away = " away from its zero" if name in INTERIOR_ZERO else ""
    return f"{bound};\nmeasured: {value}, of the derivative{away}: {slope}."


def slope_bound(name: str) -> str:
    """The same of a derivative."""
    bound = "Error at most 1 ULP in float32 and 2 ULP in float64"
    measured = f";\nmeasured: {_measured(name)[1]}." if name in ERRORS else "."
    if name in INTERIOR_ZERO or name not in ERRORS:
        measured += (" Where f' passes through 0, errors are in ulps of ``max(abs(f'), 2**-10)`` "
                     "in float32 and of ``max(abs(f'), 2**-2)`` in float64.")
    return bound + measured


def _measured(name: str) -> list[str]:
    """What value and derivative were measured to be off by."""
    return [f"{single:g} and {double:g}"
            for single, double in zip(*ERRORS[name].values(), strict=True)]


def documented(skeleton: Skeleton, *, lead: str = "", error: str = "", reference: str = "") -> Any:
    """A decorator that completes a function's docstring; it returns the function itself."""
    def complete(function: F) -> F:
        if function.__doc__:                    # python -OO drops it
            function.__doc__ = _completed(function, skeleton, lead, error, reference)
        return function
    return complete


def _completed(function, skeleton, lead, error, reference):
    first, _, rest = function.__doc__.partition("\n")
    doc = f"{first}\n{textwrap.dedent(rest)}"       # Python 3.13 has done so, Cython not
    summary, *paragraphs = doc.strip().split("\n\n")
    own, sections, notes, examples = {}, {}, [], []
    for paragraph in paragraphs:
        head, _, body = paragraph.partition("\n")
        if body.startswith("---"):
            sections[head] = body.partition("\n")[2]
        elif paragraph.startswith(">>>"):
            examples.append(paragraph)
        elif body.startswith("    "):
            for entry in re.split(r"\n(?! )", paragraph):
                names = entry.partition("\n")[0].partition(" :")[0]
                own |= dict.fromkeys(names.split(", "), entry)
        else:
            notes.append(paragraph)
    names = parameters_of(function)
    sections = {
        "Parameters": "\n".join(_described(names, own, skeleton)),
        "Returns": skeleton.returns,
        "Raises": skeleton.raises,
        "Notes": "\n\n".join([error, *notes] if error else notes),
        "References": reference,
        "Examples": "\n".join([">>> import cyact", *examples]) if examples else "",
    } | sections
    text = "\n\n".join([summary, *([lead] if lead else []), *(
        f"{name}\n{'-' * len(name)}\n{sections[name]}" for name in SECTIONS if sections.get(name))])
    return _filled(text.replace("{name}", function.__name__).replace("{x}", names[0])) + "\n"


def parameters_of(function: Any) -> tuple[str, ...]:
    """The names of a function's parameters."""
    # inspect.signature would do, but importing inspect takes longer than all the rest of cyact
    code = function.__code__
    return code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]


def _described(names, own, skeleton):
    """A description for each parameter, in order; neighbours that have none share one."""
    told, waiting = [], []
    for name in names:
        text = own.get(name) or skeleton.parameters.get(name)
        if text is None and skeleton.others:
            waiting.append(name)
            continue
        if text is None:
            raise ValueError(f"the parameter {name} is not described")
        if waiting:
            yield f"{', '.join(waiting)}\n    {skeleton.others}"
            waiting = []
        if text not in told:
            told.append(text)
            yield text
    if waiting:
        yield f"{', '.join(waiting)}\n    {skeleton.others}"


def _filled(doc):
    """Fill the paragraphs in which a line is too long, without breaking literals."""
    if max(map(len, doc.split("\n"))) <= WIDTH:
        return doc
    done, block = [], []
    for line in [*doc.split("\n"), ""]:
        if block and (not line.strip() or _indentation(line) != _indentation(block[0])
                      or block[-1].endswith("---") or line.startswith("``f'")):
            done += _fill(block) if max(map(len, block)) > WIDTH else block
            block = []
        if line.strip():
            block.append(line)
        else:
            done.append(line)
    return "\n".join(done[:-1])


def _indentation(line):
    return line[:len(line) - len(line.lstrip())]


def _fill(block):
    indent = _indentation(block[0])
    lines = [indent]
    for word in re.findall(r"(?:``.*?``|\S)+", " ".join(line.strip() for line in block)):
        if len(lines[-1]) + len(word) > WIDTH and lines[-1] != indent:
            lines.append(indent)
        lines[-1] += word + " "
    return [line.rstrip() for line in lines]
