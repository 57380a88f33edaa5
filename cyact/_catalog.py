"""The list of functions: one record each, from which derivatives, tests and benchmarks follow.

Names, parameters and defaults are read from the functions themselves.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from cyact import elementwise, rows


class Parameter(NamedTuple):
    """A parameter of a function, with its default and what it may be."""

    name: str
    default: Any
    domain: Any


class Record(NamedTuple):
    """What is known of one function."""

    name: str
    kind: str                  # "elementwise" or "rows"
    aliases: tuple             # other names `catalog` finds it by
    importable: tuple          # those of them that are attributes of cyact, too
    parameters: tuple
    formula: str

    @property
    def summary(self):
        """The first line of the docstring."""
        return self.function.__doc__.partition("\n")[0]

    @property
    def function(self):
        """The public function."""
        return getattr(_MODULES[self.kind], self.name)

    @property
    def engine(self):
        """The engine's side of it."""
        return getattr(_MODULES[self.kind], "_" + self.name)


_MODULES = {"elementwise": elementwise, "rows": rows}


def _record(kind, name, formula, aliases=(), importable=()):
    function = getattr(_MODULES[kind], name)
    engine = getattr(_MODULES[kind], "_" + name)
    defaults = dict(zip(_positional(function)[-len(function.__defaults__ or ()):],
                        function.__defaults__ or (), strict=False))
    domains = getattr(engine, "domains", None) or [tuple(getattr(engine, "options", ()))]
    parameters = tuple(Parameter(p, defaults[p], d)
                       for p, d in zip(engine.parameters, domains, strict=False))
    return Record(name, kind, aliases + importable, importable, parameters, formula)


def _positional(function):
    return function.__code__.co_varnames[:function.__code__.co_argcount]


class Catalog(Mapping):
    """The functions by name; an alias, and any case, ``_`` or ``-``, finds them too.

    Examples
    --------
    >>> import cyact
    >>> cyact.catalog["Leaky-ReLU"].formula
    'x if x >= 0 else negative_slope * x'
    """

    def __init__(self, records):
        self._records = {record.name: record for record in records}
        self._names = {self._key(name): record.name for record in records
                       for name in (record.name, *record.aliases)}

    @staticmethod
    def _key(name):
        return str(name).lower().replace("_", "").replace("-", "")

    def __getitem__(self, name):
        try:
            return self._records[self._names[self._key(name)]]
        except KeyError:
            raise KeyError(f"no function is called {name!r}; cyact has "
                           f"{', '.join(self._records)}") from None

    def __iter__(self):
        return iter(self._records)

    def __len__(self):
        return len(self._records)

    def __repr__(self):
        return f"<catalog of {len(self)} functions: {', '.join(self)}>"


catalog = Catalog([
    _record("elementwise", "identity", "x", ("linear",)),
    _record("elementwise", "relu", "max(x, 0)"),
    _record("elementwise", "leaky_relu", "x if x >= 0 else negative_slope * x"),
    _record("elementwise", "elu", "x if x > 0 else alpha * (exp(x) - 1)"),
    _record("elementwise", "sigmoid", "1 / (1 + exp(-x))", ("logistic",), ("expit",)),
    _record("elementwise", "tanh", "tanh(x)"),
    _record("elementwise", "softplus", "log(1 + exp(beta * x)) / beta", ("smooth_relu",)),
    _record("elementwise", "softsign", "x / (1 + |x|)"),
    _record("elementwise", "silu", "x * sigmoid(beta * x)", (), ("swish",)),
    _record("elementwise", "gelu", "x * Phi(x)"),
    _record("rows", "softmax", "exp(x / T) / sum(exp(x / T))"),
    _record("rows", "log_softmax", "x / T - log(sum(exp(x / T)))"),
    _record("rows", "logsumexp", "log(sum(exp(x)))"),
])
