"""The catalogue: one record a function, from which derivatives, tests and benchmarks follow.

The decorators `activation` and `loss` stand above the functions themselves, write their records
and complete their docstrings. Names, parameters and defaults are read from the functions.
"""

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple, TypeVar

from cyact._docs import ELEMENTWISE, LOSS, Skeleton, documented, error_bound
from cyact._errors import ERRORS

F = TypeVar("F")
SMOOTH = float("inf")

# Families of functions: whose kernels are in cyact/_level/elementwise/NAME.pxd, or which are
# computed along an axis in one way.
FAMILIES = ("rectifiers", "exponential", "sigmoids", "self_gated", "normal", "algebraic",
            "logarithms", "gated", "softmax", "sparse", "maxima", "losses")


class _Required:
    """Stands where a parameter has no default."""

    def __repr__(self):
        return "REQUIRED"


REQUIRED = _Required()


class Parameter(NamedTuple):
    """A parameter of a function, with its default (or REQUIRED) and what it may be."""

    name: str
    default: Any
    domain: Any


class Interval(NamedTuple):
    """An interval of numbers; prints as it is written, ``[-1, inf)``."""

    low: float
    high: float
    low_closed: bool
    high_closed: bool

    def __contains__(self, value: object) -> bool:
        return (self.low < value or (self.low_closed and self.low == value)) and (
            value < self.high or (self.high_closed and self.high == value))

    def __repr__(self) -> str:
        return (f"{'[' if self.low_closed else '('}{self.low:.6g}, "
                f"{self.high:.6g}{']' if self.high_closed else ')'}")


class Record(NamedTuple):
    """What is known of one function.

    The properties, from `range` on, are those of the function with its default parameters, over
    its domain: the finite numbers for which it is not NaN. They are None where they make no
    sense: for functions along an axis or of two arrays, and where a parameter has no default.

    Attributes
    ----------
    name, kind, family : str
        What it is called in `cyact`; how it is called: "loss", or its module ("elementwise",
        "prelu", "gated", "rows", "sparse", "maxima", "sampling"); and which of FAMILIES it is of.
    aliases, importable : tuple of str
        Other names `catalog` finds it by, and those of them that are attributes of `cyact`, too.
    parameters : tuple of Parameter
        Their names, defaults and domains.
    formula, derivative, reference : str
        The formula, that of the derivative, and where it was published; "" if it is not told.
    function : callable
        The function itself.
    summary : str
        The first line of the docstring.
    range : Interval
        The smallest interval that holds its values, before rounding. An end is closed if some
        finite input attains it; an infinite one, if it does so at a pole.
    bounded : bool
        Whether both ends of `range` are finite.
    monotonic : bool
        Whether it never falls, or never rises.
    monotonic_derivative : bool
        Whether f' never falls, or never rises: f is convex or concave. A function that jumps
        has no monotonic derivative.
    zero_centred : bool
        Whether it takes values of both signs.
    continuity : float
        How often it is continuously differentiable; inf for a smooth function, 0 for one that
        is continuous with a kink, -1 for one that jumps.
    kinks : tuple of float
        Where a derivative of some order jumps, or the function itself.
    identity_at_origin : bool
        Whether f(0) = 0 and f'(0) = 1, f' continuous there.
    saturates : str
        Where it has a finite limit: "left" (towards the low end of its domain), "right",
        "both" or "neither".
    nonlinear : bool
        Whether it is anything but a straight line.
    error : dict
        The largest errors measured, in ULP, over several values of the parameters, too:
        ``{dtype name: (error of the value, error of the derivative)}``. Where the derivative
        passes through 0, its error is that in ulps of ``max(|f'|, 2**-10)`` in float32 and
        ``max(|f'|, 2**-2)`` in float64. None where it is not measured.
    """

    name: str
    kind: str
    family: str
    parameters: tuple[Parameter, ...]
    formula: str
    derivative: str
    reference: str
    function: Callable[..., Any]
    engine: Any = None      # the engine's side of the function, unless it is composed of others
    aliases: tuple[str, ...] = ()
    importable: tuple[str, ...] = ()
    range: Interval | None = None
    monotonic: bool | None = None
    monotonic_derivative: bool | None = None
    continuity: float | None = None
    kinks: tuple[float, ...] | None = None
    identity_at_origin: bool | None = None
    saturates: str | None = None

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.function.__doc__.partition("\n")[0]

    @property
    def bounded(self) -> bool | None:
        """Whether all values lie between two finite numbers."""
        return None if self.range is None else isfinite(self.range.low + self.range.high)

    @property
    def nonlinear(self) -> bool | None:
        """Whether it is anything but a straight line."""
        return None if self.range is None else self.name != "identity"

    @property
    def zero_centred(self) -> bool | None:
        """Whether it takes values of both signs."""
        return None if self.range is None else self.range.low < 0 < self.range.high

    @property
    def error(self) -> dict[str, tuple[float, float]] | None:
        """The largest errors measured, in ULP."""
        return ERRORS.get(self.name) if self.kind == "elementwise" else None


# What `find` can be asked for
_ATTRIBUTES = sorted({*Record._fields, "bounded", "error", "nonlinear", "summary", "zero_centred"}
                     - {"engine"})


def _interval(text):
    low, high = text[1:-1].split(",")
    return Interval(float(low), float(high), text[0] == "[", text[-1] == "]")


class Catalog(Mapping[str, Record]):
    """The functions by name; an alias, and any case, ``_`` or ``-``, finds them too.

    A mapping from names to records, in the order of the documentation; `find` looks functions
    up by their properties.

    Examples
    --------
    >>> import cyact
    >>> cyact.catalog["Leaky-ReLU"].formula
    'x if x >= 0 else negative_slope * x'
    """

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._names: dict[str, str] = {}

    def _add(self, record: Record) -> None:
        self._records[record.name] = record
        for name in (record.name, *record.aliases):
            self._names[self._key(name)] = record.name

    @staticmethod
    def _key(name: object) -> str:
        return str(name).lower().replace("_", "").replace("-", "")

    def __getitem__(self, name: str) -> Record:
        try:
            return self._records[self._names[self._key(name)]]
        except KeyError:
            raise KeyError(f"no function is called {name!r}; cyact has "
                           f"{', '.join(self._records)}") from None

    def find(self, **properties: Any) -> tuple[Record, ...]:
        """The records that have all of the given properties.

        Parameters
        ----------
        **properties
            Attributes of `Record` and what they must be equal to. Functions of which a property
            is None are found only where it is not asked.

        Returns
        -------
        tuple of Record
            In the catalogue's order; empty if there is none.

        Raises
        ------
        TypeError
            An attribute is none of a record's; the message lists those.

        Examples
        --------
        >>> import cyact
        >>> [record.name for record in cyact.catalog.find(bounded=True, continuity=1)]
        ['softsign']
        """
        for name in properties:
            if name not in _ATTRIBUTES:
                raise TypeError(f"catalog.find: records have no attribute {name!r}; ask for "
                                f"{', '.join(_ATTRIBUTES)}")
        return tuple(record for record in self._records.values()
                     if all(getattr(record, name) == value
                            for name, value in properties.items()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"<catalog of {len(self)} functions: {', '.join(self)}>"


catalog = Catalog()


def activation(family: str, formula: str, derivative: str = "", *, engine: Any = None,
               parameters: dict[str, Any] | None = None, aliases: tuple[str, ...] = (),
               importable: tuple[str, ...] = (), range: str = "", monotonic: bool | None = None,
               monotonic_derivative: bool | None = None, continuity: float = SMOOTH,
               kinks: tuple[float, ...] = (), identity_at_origin: bool = False,
               saturates: str = "neither", reference: str = "", exact: str = "",
               skeleton: Skeleton = ELEMENTWISE) -> Callable[[F], F]:
    """A decorator that puts a function into the catalogue and completes its docstring.

    What it takes are fields of `Record`; `parameters`, names with their domains, are those of
    `engine` if that has any. Without a `range` nothing is claimed of the function. `exact` says
    how results are rounded where that is better than the common bound, `skeleton` what of the
    docstring is shared.
    """
    def register(function: F) -> F:
        claims = {"range": _interval(range), "monotonic": monotonic,
                  "monotonic_derivative": monotonic_derivative, "continuity": continuity,
                  "kinks": kinks, "identity_at_origin": identity_at_origin,
                  "saturates": saturates} if range else {}
        _enter(function, _domains(engine) if parameters is None else parameters,
               kind=function.__module__.rpartition(".")[2], family=family, formula=formula,
               derivative=derivative, reference=reference, engine=engine,
               aliases=aliases + importable, importable=importable, **claims)
        bound = exact or (engine and skeleton is ELEMENTWISE)
        return documented(skeleton, reference=reference, lead=_lead(function, formula, derivative),
                          error=error_bound(function.__name__, exact) if bound else "")(function)
    return register


def loss(formula: str, gradient: str, *, parameters: dict[str, Any] | None = None,
         reference: str = "", skeleton: Skeleton = LOSS) -> Callable[[F], F]:
    """The same for a loss."""
    def register(function: F) -> F:
        _enter(function, parameters or {}, kind="loss", family="losses", formula=formula,
               derivative=gradient, reference=reference)
        return documented(skeleton, reference=reference,
                          lead=f"``loss = {formula}``,\n``grad = {gradient}``.")(function)
    return register


def _domains(engine):
    """The engine's parameters, with what each may be."""
    domains = getattr(engine, "domains", None) or [tuple(getattr(engine, "options", ()))]
    return dict(zip(engine.parameters, domains, strict=False))


def _enter(function, domains, **fields):
    """Put a record into the catalogue; defaults are read from the function."""
    code = function.__code__
    names = code.co_varnames[:code.co_argcount]
    defaults = dict(zip(reversed(names), reversed(function.__defaults__ or ()), strict=False))
    defaults |= function.__kwdefaults__ or {}
    parameters = tuple(Parameter(name, defaults.get(name, REQUIRED), domain)
                       for name, domain in domains.items())
    catalog._add(Record(function.__name__, parameters=parameters, function=function, **fields))


def _lead(function, formula, derivative):
    """Formula and derivative, as they stand under the summary."""
    code = function.__code__
    told = f"f({', '.join(code.co_varnames[:code.co_posonlyargcount])})"
    slope = f",\n``f'(x) = {derivative}``" if derivative else ""
    return f"``{told} = {formula}``{slope}."
