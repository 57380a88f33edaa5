"""Make the functions of `cyact.derivative` and `cyact.backward` from the catalogue.

They are compiled from source text, as namedtuple does, so that each has its function's own
signature and costs no more to call than a function written by hand.
"""

from cyact._catalog import REQUIRED, catalog
from cyact._docs import documented, slope_bound

DERIVATIVE = '''
def {name}(x, /, {signature}*, bias=None, out=None, dtype=None):
    """Derivative of `{name}` with respect to x.

    Parameters
    ----------
    x : array_like
        Where to take it.
    {parameters}bias, out, dtype
        As in `cyact.{name}`, and so are the result and the errors raised.

    Returns
    -------
    ndarray, or the type of `x`
        ``f'(x)`` for ``f(x) = {formula}``.

    Notes
    -----
    {error}.
    """
    return _function.derivative(x, bias, out, dtype{arguments})
'''

BACKWARD = '''
def {name}(grad, x{default}, /, {signature}*, output=None, bias=None, out=None):
    """Backward pass of `{name}`: the gradient with respect to x.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the output; the shape of `x`.
    x : array_like, optional
        The input of the forward pass.
    {parameters}output : array_like, optional
        {output}
    bias : array_like, optional
        The bias of the forward pass; goes with `x`.
    out : ndarray, optional
        Where to put the result; may be `grad` or `x`.

    Returns
    -------
    dx : ndarray, or the type of `grad`
        ``grad * f'(x)`` for ``f(x) = {formula}``, equal to the last bit to
        ``grad * cyact.derivative.{name}(x)`` when computed from `x` (half types: that product
        in float32, rounded once).
    dbias : ndarray
        Only with `bias`: dx summed over all axes but the last, in float64 or better, and rounded
        to the dtype that `x` is computed in.

    Raises
    ------
    TypeError
        Both or neither of `x` and `output` are given, or a dtype is not supported.
    ValueError
        Shapes differ, or a parameter is out of its domain.
    """
    return _function.backward(grad, x, output, bias, out{arguments})
'''


def names():
    """What can be made: elementwise functions and their importable aliases."""
    return [name for record in catalog.values() if record.kind == "elementwise"
            for name in (record.name, *record.importable)]


def lookup(module, template, name):
    """What ``module.__getattr__(name)`` returns: made once, then a plain attribute."""
    if name not in names():
        raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
    record = catalog[name]
    if record.name not in module:
        module[record.name] = _make(template, record, module["__name__"])
    module[name] = module[record.name]
    return module[name]


def _make(template, record, module):
    listed = [p.name for p in record.parameters]
    source = template.format(
        name=record.name,
        formula=record.formula,
        signature="".join(p.name + (", " if p.default is REQUIRED else f"={p.default!r}, ")
                          for p in record.parameters),
        # what precedes a parameter without a default can have none
        default="" if REQUIRED in [p.default for p in record.parameters] else "=None",
        arguments="".join(f", {p}" for p in listed),
        parameters=(f"{', '.join(listed)}\n        As in `cyact.{record.name}`.\n    "
                    if listed else ""),
        output=_output(record.engine),
        # indented as the rest, or Python 3.13 finds nothing to take off
        error=slope_bound(record.name).replace("\n", "\n    "))
    scope = {"__name__": module, "_function": record.engine}
    exec(compile(source, f"<{module}.{record.name}>", "exec"), scope)
    return documented(scope[record.name])


def _output(function):
    """What a backward pass says of its `output`."""
    if not function.from_output:
        return "Refused: the derivative is not a function of the output."
    needs = "".join(f"; `{name}` must then be {taken.text}" for name, domain, taken in zip(
        function.parameters, function.domains, function.output_domains, strict=True)
        if taken is not domain)
    return f"The output of the forward pass, instead of `x`{needs}."
