"""Make the functions of `cyact.derivative` and `cyact.backward` from the catalogue.

They are compiled from source text, as namedtuple does, so that each has its function's own
signature and costs no more to call than a function written by hand.
"""

from cyact import _docs
from cyact._catalog import REQUIRED, catalog


def names():
    """What can be made: elementwise functions and their importable aliases."""
    return [name for record in catalog.values() if record.kind == "elementwise"
            for name in (record.name, *record.importable)]


def lookup(module, make, name):
    """What ``module.__getattr__(name)`` returns: made once, then a plain attribute."""
    if name not in names():
        raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
    record = catalog[name]
    if record.name not in module:
        module[record.name] = make(record, module["__name__"])
    module[name] = module[record.name]
    return module[name]


def derivative(record, module):
    """``cyact.derivative.NAME``."""
    name = record.name
    function = _compiled(
        record, module, "x, /, {parameters}*, bias=None, out=None, dtype=None",
        "derivative(x, bias, out, dtype{arguments})", f"Derivative of `{name}` with respect to x.")
    return _docs.documented(
        _docs.DERIVATIVE, error=_docs.slope_bound(name),
        lead=f"``f(x) = {record.formula}``,\n``f'(x) = {record.derivative}``.")(function)


def backward(record, module):
    """``cyact.backward.NAME``."""
    # what precedes a parameter without a default can have none
    x = "x" if any(p.default is REQUIRED for p in record.parameters) else "x=None"
    function = _compiled(
        record, module, f"grad, {x}, /, {{parameters}}*, output=None, bias=None, out=None",
        "backward(grad, x, output, bias, out{arguments})",
        f"Backward pass of `{record.name}`: the gradient with respect to x.\n\n"
        f"output : array_like, optional\n    {_output(record.engine)}")
    return _docs.documented(
        _docs.BACKWARD, lead=f"``dx = grad * f'(x)``,\n``f'(x) = {record.derivative}``.")(function)


def _compiled(record, module, signature, call, doc):
    """A function of this signature that makes a call to the engine."""
    parameters = "".join(p.name + (", " if p.default is REQUIRED else f"={p.default!r}, ")
                         for p in record.parameters)
    arguments = "".join(f", {p.name}" for p in record.parameters)
    source = (f"def {record.name}({signature.format(parameters=parameters)}):\n"
              f"    return _function.{call.format(arguments=arguments)}\n")
    scope = {"__name__": module, "_function": record.engine}
    exec(compile(source, f"<{module}.{record.name}>", "exec"), scope)
    function = scope[record.name]
    function.__doc__ = doc
    return function


def _output(function):
    """What a backward pass says of its `output`."""
    if not function.from_output:
        return "Refused: the derivative is not a function of the output."
    needs = "".join(f"; `{name}` must then be {taken.text}" for name, domain, taken in zip(
        function.parameters, function.domains, function.output_domains, strict=True)
        if taken is not domain)
    return f"The output of the forward pass, instead of `x`{needs}."
