"""The list of functions: one record each, from which derivatives, tests and benchmarks follow.

Names, parameters and defaults are read from the functions themselves.
"""

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple

from cyact import elementwise, gated, rectifiers, rows, sampling, sparse
from cyact._engine.domains import FINITE, NONNEGATIVE, POSITIVE, Domain
from cyact._errors import ERRORS


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
    name, kind : str
        What it is called in `cyact`, and the module it is in: "elementwise", "rectifiers",
        "gated", "rows", "sparse" or "sampling".
    aliases, importable : tuple of str
        Other names `catalog` finds it by, and those of them that are attributes of `cyact`, too.
    parameters : tuple of Parameter
        Their names, defaults and domains.
    formula, summary, reference : str
        The formula, the first line of the docstring, and where it was published ("" if the
        docstring has no References).
    function : callable
        The function itself.
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
    aliases: tuple[str, ...]
    importable: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    formula: str
    range: Interval | None
    monotonic: bool | None
    monotonic_derivative: bool | None
    continuity: float | None
    kinks: tuple[float, ...] | None
    identity_at_origin: bool | None
    saturates: str | None

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.function.__doc__.partition("\n")[0]

    @property
    def function(self) -> Callable[..., Any]:
        """The public function."""
        return getattr(_MODULES[self.kind], self.name)

    @property
    def engine(self) -> Any:
        """The engine's side of it; None for what is composed of other functions."""
        return getattr(_MODULES[self.kind], "_" + self.name, None)

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

    @property
    def reference(self) -> str:
        """Where it was published: the References of the docstring; "" if it has none."""
        # before Python 3.13 docstrings keep their indentation
        text = "\n".join(line.strip() for line in self.function.__doc__.split("\n"))
        text = text.partition("\nReferences\n----------\n")[2]
        return " ".join(text.partition("\n\n")[0].split())


# What `find` can be asked for
_ATTRIBUTES = sorted([*Record._fields, *(name for name, value in vars(Record).items()
                                         if isinstance(value, property) and name != "engine")])

_MODULES = {"elementwise": elementwise, "rectifiers": rectifiers, "gated": gated, "rows": rows,
            "sparse": sparse, "sampling": sampling}
SMOOTH = float("inf")


def _record(kind, name, formula, aliases=(), importable=(), *, range=None, monotonic=None,
            monotonic_derivative=None, continuity=SMOOTH, kinks=(), identity_at_origin=False,
            saturates="neither", parameters=None):
    function = getattr(_MODULES[kind], name)
    if parameters is None:
        engine = getattr(_MODULES[kind], "_" + name)
        domains = getattr(engine, "domains", None) or [tuple(getattr(engine, "options", ()))]
        parameters = dict(zip(engine.parameters, domains, strict=False))
    defaults = _defaults(function)
    parameters = tuple(Parameter(p, defaults.get(p, REQUIRED), d) for p, d in parameters.items())
    if range is None:
        continuity = kinks = identity_at_origin = saturates = None
    return Record(name, kind, aliases + importable, importable, parameters, formula,
                  range and _interval(range), monotonic, monotonic_derivative, continuity, kinks,
                  identity_at_origin, saturates)


def _defaults(function):
    # inspect.signature would do, but importing inspect takes longer than all the rest of cyact
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[:code.co_argcount]
    return dict(zip(names[len(names) - len(values):], values, strict=True))


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

    def __init__(self, records: list[Record]) -> None:
        self._records = {record.name: record for record in records}
        self._names = {self._key(name): record.name for record in records
                       for name in (record.name, *record.aliases)}

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


catalog = Catalog([
    _record("elementwise", "identity", "x", ("linear",),
            range="(-inf, inf)", monotonic=True, monotonic_derivative=True,
            identity_at_origin=True),
    _record("elementwise", "step", "1 if x >= threshold else 0", ("binary_step", "heaviside"),
            range="[0, 1]", monotonic=True, monotonic_derivative=False, continuity=-1, kinks=(0,),
            saturates="both"),
    _record("elementwise", "relu", "max(x, 0)",
            range="[0, inf)", monotonic=True, monotonic_derivative=True, continuity=0, kinks=(0,),
            saturates="left"),
    _record("elementwise", "relu6", "min(max(x, 0), 6)",
            range="[0, 6]", monotonic=True, monotonic_derivative=False, continuity=0, kinks=(0, 6),
            saturates="both"),
    _record("elementwise", "relu_k", "min(max(x, 0), n)",
            range="[0, 6]", monotonic=True, monotonic_derivative=False, continuity=0, kinks=(0, 6),
            saturates="both"),
    _record("elementwise", "squared_relu", "max(x, 0)**2", ("relu2",),
            range="[0, inf)", monotonic=True, monotonic_derivative=True, continuity=1, kinks=(0,),
            saturates="left"),
    _record("elementwise", "leaky_relu", "x if x >= 0 else negative_slope * x",
            range="(-inf, inf)", monotonic=True, monotonic_derivative=True, continuity=0,
            kinks=(0,)),
    _record("elementwise", "threshold", "x if x > threshold else value"),
    _record("elementwise", "thresholded_relu", "x if x > theta else 0",
            range="[0, inf)", monotonic=True, monotonic_derivative=False, continuity=-1, kinks=(1,),
            saturates="left"),
    _record("elementwise", "elu", "x if x > 0 else alpha * (exp(x) - 1)",
            range="(-1, inf)", monotonic=True, monotonic_derivative=True, continuity=1, kinks=(0,),
            identity_at_origin=True, saturates="left"),
    _record("elementwise", "celu", "max(0, x) + min(0, alpha * (exp(x / alpha) - 1))",
            range="(-1, inf)", monotonic=True, monotonic_derivative=True, continuity=1, kinks=(0,),
            identity_at_origin=True, saturates="left"),
    _record("elementwise", "selu", "scale * x if x > 0 else scale * alpha * (exp(x) - 1)",
            range="(-1.7580993408473769, inf)", monotonic=True, monotonic_derivative=False,
            continuity=0, kinks=(0,), saturates="left"),
    _record("elementwise", "sigmoid", "1 / (1 + exp(-x))", ("logistic",), ("expit",),
            range="(0, 1)", monotonic=True, monotonic_derivative=False, saturates="both"),
    _record("elementwise", "generalized_logistic",
            "lower + (upper - lower) / (1 + exp(-growth * (x - midpoint)))**(1 / nu)",
            range="(0, 1)", monotonic=True, monotonic_derivative=False, saturates="both"),
    _record("elementwise", "log_sigmoid", "-log(1 + exp(-x))",
            range="(-inf, 0)", monotonic=True, monotonic_derivative=True, saturates="right"),
    _record("elementwise", "hard_sigmoid", "min(max(alpha * x + beta, 0), 1)",
            range="[0, 1]", monotonic=True, monotonic_derivative=False, continuity=0,
            kinks=(-3, 3), saturates="both"),
    _record("elementwise", "hard_swish", "x * min(max(x + 3, 0), 6) / 6", ("hard_silu",),
            range="[-0.375, inf)", monotonic=False, monotonic_derivative=False, continuity=0,
            kinks=(-3, 3), saturates="left"),
    _record("elementwise", "tanh", "tanh(x)",
            range="(-1, 1)", monotonic=True, monotonic_derivative=False, identity_at_origin=True,
            saturates="both"),
    _record("elementwise", "hard_tanh", "min(max(x, min_val), max_val)",
            range="[-1, 1]", monotonic=True, monotonic_derivative=False, continuity=0,
            kinks=(-1, 1), identity_at_origin=True, saturates="both"),
    _record("elementwise", "softplus", "log(1 + exp(beta * x)) / beta", ("smooth_relu",),
            range="(0, inf)", monotonic=True, monotonic_derivative=True, saturates="left"),
    _record("elementwise", "softsign", "x / (1 + |x|)",
            range="(-1, 1)", monotonic=True, monotonic_derivative=False, continuity=1, kinks=(0,),
            identity_at_origin=True, saturates="both"),
    _record("elementwise", "squareplus", "(x + sqrt(x**2 + b)) / 2",
            range="(0, inf)", monotonic=True, monotonic_derivative=True, saturates="left"),
    _record("elementwise", "algebraic_sigmoid", "x / sqrt(1 + alpha * x**2)", ("isru",),
            range="(-1, 1)", monotonic=True, monotonic_derivative=False, identity_at_origin=True,
            saturates="both"),
    _record("elementwise", "isrlu", "x if x >= 0 else x / sqrt(1 + alpha * x**2)",
            range="(-1, inf)", monotonic=True, monotonic_derivative=True, continuity=2, kinks=(0,),
            identity_at_origin=True, saturates="left"),
    _record("elementwise", "silu", "x * sigmoid(beta * x)", (), ("swish",),
            range="[-0.27846454276107379, inf)", monotonic=False, monotonic_derivative=False,
            saturates="left"),
    _record("elementwise", "mish", "x * tanh(log(1 + exp(x)))",
            range="[-0.30884341301725041, inf)", monotonic=False, monotonic_derivative=False,
            saturates="left"),
    _record("elementwise", "gelu", "x * Phi(x)", ("quick_gelu",),
            range="[-0.16997120747990369, inf)", monotonic=False, monotonic_derivative=False,
            saturates="left"),
    _record("elementwise", "erf", "erf(x)",
            range="(-1, 1)", monotonic=True, monotonic_derivative=False, saturates="both"),
    _record("elementwise", "erfc", "1 - erf(x)",
            range="(0, 2)", monotonic=True, monotonic_derivative=False, saturates="both"),
    _record("elementwise", "ndtr", "erfc(-x / sqrt(2)) / 2",
            range="(0, 1)", monotonic=True, monotonic_derivative=False, saturates="both"),
    _record("elementwise", "log_ndtr", "log(ndtr(x))",
            range="(-inf, 0)", monotonic=True, monotonic_derivative=True, saturates="right"),
    _record("elementwise", "logit", "log(x / (1 - x)), x clipped to [eps, 1 - eps]",
            range="[-inf, inf]", monotonic=True, monotonic_derivative=False),
    _record("elementwise", "arctan", "atan(x)", ("atan",),
            range="(-1.5707963267948966, 1.5707963267948966)", monotonic=True,
            monotonic_derivative=False, identity_at_origin=True, saturates="both"),
    _record("elementwise", "gudermannian", "2 * atan(tanh(x / 2))",
            range="(-1.5707963267948966, 1.5707963267948966)", monotonic=True,
            monotonic_derivative=False, identity_at_origin=True, saturates="both"),
    _record("elementwise", "log1p", "log(1 + x)",
            range="[-inf, inf)", monotonic=True, monotonic_derivative=True,
            identity_at_origin=True),
    _record("elementwise", "log1mexp", "log(1 - exp(-x))",
            range="[-inf, 0)", monotonic=True, monotonic_derivative=True, saturates="right"),
    _record("elementwise", "tanh_shrink", "x - tanh(x)",
            range="(-inf, inf)", monotonic=True, monotonic_derivative=False),
    _record("elementwise", "exp", "exp(x)", ("exponential",),
            range="(0, inf)", monotonic=True, monotonic_derivative=True, saturates="left"),
    _record("elementwise", "expm1", "exp(x) - 1",
            range="(-1, inf)", monotonic=True, monotonic_derivative=True, identity_at_origin=True,
            saturates="left"),
    _record("elementwise", "gaussian", "exp(-x**2)",
            range="(0, 1]", monotonic=False, monotonic_derivative=False, saturates="both"),
    _record("elementwise", "bent_identity", "(sqrt(x**2 + 1) - 1) / 2 + x",
            range="(-inf, inf)", monotonic=True, monotonic_derivative=True,
            identity_at_origin=True),
    _record("elementwise", "hard_shrink", "x if |x| > lambd else 0",
            range="(-inf, inf)", monotonic=True, monotonic_derivative=False, continuity=-1,
            kinks=(-0.5, 0.5)),
    _record("elementwise", "soft_shrink", "sign(x) * max(|x| - lambd, 0)",
            range="(-inf, inf)", monotonic=True, monotonic_derivative=False, continuity=0,
            kinks=(-0.5, 0.5)),
    _record("elementwise", "sparse_plus", "0 if x <= -1 else (x + 1)**2 / 4 if x < 1 else x",
            range="[0, inf)", monotonic=True, monotonic_derivative=True, continuity=1,
            kinks=(-1, 1), saturates="left"),
    _record("elementwise", "sparse_sigmoid", "min(max((x + 1) / 2, 0), 1)",
            range="[0, 1]", monotonic=True, monotonic_derivative=False, continuity=0,
            kinks=(-1, 1), saturates="both"),
    _record("elementwise", "dish", "x/2 * (1 + x / sqrt(1 + x**2))",
            range="[-0.1501415530003888, inf)", monotonic=False, monotonic_derivative=False,
            saturates="left"),
    _record("rectifiers", "prelu", "x if x >= 0 else weight * x", parameters={"weight": FINITE}),
    _record("rectifiers", "rrelu", "x if x >= 0 else slope * x, slope random",
            parameters={"lower": FINITE, "upper": FINITE, "training": (False, True)},
            range="(-inf, inf)", monotonic=True, monotonic_derivative=True, continuity=0,
            kinks=(0,)),
    _record("rectifiers", "noisy_relu", "max(x + noise, 0)",
            parameters={"scale": NONNEGATIVE, "training": (False, True)},
            range="[0, inf)", monotonic=True, monotonic_derivative=True, continuity=0, kinks=(0,),
            saturates="left"),
    _record("rectifiers", "crelu", "[max(x, 0), max(-x, 0)]", parameters={}),
    _record("gated", "glu", "a * sigmoid(b), x = [a, b]", parameters={}),
    _record("gated", "swiglu", "silu(gate, beta) * value", parameters={"beta": FINITE}),
    _record("gated", "geglu", "gelu(gate) * value",
            parameters={"approximate": tuple(elementwise._gelu.options)}),
    _record("gated", "reglu", "relu(gate) * value", parameters={}),
    _record("gated", "bilinear", "gate * value", parameters={}),
    _record("rows", "softmax", "exp(x / T) / sum(exp(x / T))"),
    _record("rows", "log_softmax", "x / T - log(sum(exp(x / T)))"),
    _record("rows", "softmin", "exp(-x) / sum(exp(-x))"),
    _record("rows", "logsumexp", "log(sum(exp(x)))"),
    _record("rows", "logmeanexp", "log(sum(exp(x)) / n)"),
    _record("sparse", "hardmax", "1 at the first maximum of x, else 0"),
    _record("sparse", "sparsemax", "max(x - tau, 0), tau such that the row sums to 1"),
    _record("sparse", "entmax15", "max(x/2 - tau, 0)**2, tau such that the row sums to 1",
            ("1.5-entmax",)),
    _record("sparse", "entmax", "max((alpha - 1) * x - tau, 0)**(1 / (alpha - 1)), tau such that "
            "the row sums to 1"),
    _record("sparse", "maxout", "max of each run of pieces entries",
            parameters={"pieces": Domain("an integer that divides the axis", low=1)}),
    _record("sampling", "gumbel_softmax", "softmax((x + g) / tau), g Gumbel noise",
            parameters={"tau": POSITIVE, "hard": (False, True)}),
])
