"""The catalogue lists every function, each is documented, and nothing is missing or stale."""

import ast
import doctest
import importlib
import inspect
import math
import pathlib
import pkgutil
import re
import typing
from collections.abc import Mapping

import numpy as np
import pytest
from cases import DTYPES, ELEMENTWISE
from claims import CHECKS
from reference import BOUND

import cyact
from cyact import _docs, _errors
from cyact._catalog import FAMILIES, REQUIRED

RECORDS = list(cyact.catalog.values())
by_record = pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.name)
ELEMENTWISE_RECORDS = [r for r in RECORDS if r.kind == "elementwise"]
by_elementwise = pytest.mark.parametrize("record", ELEMENTWISE_RECORDS, ids=lambda r: r.name)
NO_FUNCTIONS_OF_ARRAYS = {"backward", "catalog", "derivative", "get_num_threads", "num_threads",
                          "set_num_threads", "show_config"}


def public_functions():
    for name in sorted(cyact.__all__):
        if callable(getattr(cyact, name)):
            yield f"cyact.{name}", getattr(cyact, name)
    for module in (cyact.derivative, cyact.backward):
        for name in dir(module):
            yield f"{module.__name__}.{name}", getattr(module, name)


by_function = pytest.mark.parametrize(("name", "function"), list(public_functions()),
                                      ids=[name for name, _ in public_functions()])


# The catalogue

def test_every_public_function_is_in_the_catalogue_and_the_other_way_round():
    listed = {name for r in RECORDS for name in (r.name, *r.importable)}
    assert set(cyact.__all__) - NO_FUNCTIONS_OF_ARRAYS == listed
    assert sorted(cyact.__all__) == list(cyact.__all__)
    assert len(set(cyact.__all__)) == len(cyact.__all__)


def test_the_catalogue_is_a_mapping_that_cannot_be_changed():
    assert isinstance(cyact.catalog, Mapping)
    assert len(cyact.catalog) == len(list(cyact.catalog)) == len(RECORDS)
    with pytest.raises(TypeError):
        cyact.catalog["relu"] = None
    with pytest.raises(AttributeError):
        cyact.catalog["relu"].formula = ""


@by_record
def test_names_and_aliases_find_their_record(record):
    for name in (record.name, *record.aliases, *record.importable):
        for spelled in (name, name.upper(), name.replace("_", "-"), name.replace("_", ""),
                        name.title()):
            assert cyact.catalog[spelled] is record
            assert spelled in cyact.catalog
    for name in record.importable:
        assert getattr(cyact, name) is record.function


def test_documented_aliases():
    for alias, name in [("linear", "identity"), ("logistic", "sigmoid"), ("expit", "sigmoid"),
                        ("swish", "silu"), ("smooth_relu", "softplus"),
                        ("LeakyReLU", "leaky_relu"), ("binary_step", "step"),
                        ("heaviside", "step"), ("relu2", "squared_relu"), ("ReLU6", "relu6"),
                        ("hard_silu", "hard_swish"), ("hardtanh", "hard_tanh"),
                        ("Hardsigmoid", "hard_sigmoid"), ("hardshrink", "hard_shrink"),
                        ("Softshrink", "soft_shrink"), ("isru", "algebraic_sigmoid")]:
        assert cyact.catalog[alias].name == name
    assert cyact.swish is cyact.silu
    assert cyact.expit is cyact.sigmoid


@pytest.mark.parametrize("name", ["reluu", "", "softmin!", None, 3])
def test_unknown_names_are_key_errors_that_list_what_there_is(name):
    with pytest.raises(KeyError, match=rf"no function is called {name!r}.*relu.*softmax"):
        cyact.catalog[name]
    assert name not in cyact.catalog


@by_record
def test_records_tell_what_the_functions_do(record):
    assert record.function is getattr(cyact, record.name)
    assert record.formula
    assert record.summary == record.function.__doc__.splitlines()[0]
    signature = inspect.signature(record.function)
    for parameter in record.parameters:
        default = signature.parameters[parameter.name].default
        if parameter.default is REQUIRED:
            assert default is inspect.Parameter.empty
        else:
            assert default == parameter.default
            assert default in parameter.domain
    told = {p.name for p in record.parameters}
    assert set(signature.parameters) - told <= {
        "x", "axis", "b", "keepdims", "return_sign", "where", "bias", "out", "dtype", "gate",
        "value", "gate_half", "rng", "return_slope", "return_noise", "return_soft"} | (
        {"logits", "log_probabilities", "p", "log_p", "target", "weight", "pos_weight", "alpha",
         "ignore_index", "reduction", "return_grad"} if record.kind == "loss" else set())


def test_functions_stand_by_families():
    """In the catalogue's order; elementwise ones also in their source."""
    families = list(dict.fromkeys(r.family for r in RECORDS))
    assert set(families) == set(FAMILIES)
    elementwise = [r.family for r in ELEMENTWISE_RECORDS]
    assert elementwise == sorted(elementwise, key=FAMILIES.index)
    assert {r.kind for r in RECORDS if r.family == "losses"} == {"loss"}
    assert {r.name for r in cyact.catalog.find(family="self_gated")} >= {"silu", "mish"}


@by_elementwise
def test_kernels_are_in_the_source_of_their_family(record):
    folder = pathlib.Path(__file__).resolve().parent.parent / "cyact/_level/elementwise"
    source = folder / f"{record.family}.pxd"
    if not source.exists():
        pytest.skip("the tests are not in the source tree")
    assert f'name=b"{record.name}"' in source.read_text(encoding="utf-8")


# Formulas are told in Python

def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def normal(x):
    return math.erfc(-x / math.sqrt(2)) / 2


NAMES = {name: getattr(math, name) for name in (
    "atan", "cosh", "erf", "erfc", "exp", "log", "pi", "sqrt", "tanh")} | {
    "abs": abs, "max": max, "min": min, "sigmoid": sigmoid, "Phi": normal, "ndtr": normal,
    "sign": lambda x: math.copysign(1, x), "softplus": lambda x: math.log1p(math.exp(x)),
    "scale": 1.0507009873554805, "alpha": 1.6732632423543772}


@by_elementwise
def test_formulas_are_those_of_value_and_derivative(record):
    values = {p.name: 0.25 if p.default is REQUIRED else p.default for p in record.parameters}
    if record.name == "generalized_logistic":
        values = {"lower": -1.0, "upper": 2.5, "growth": 0.75, "midpoint": 0.5, "nu": 1.5}
    names = NAMES | values
    names["f"] = lambda x: eval(record.formula, names, {"x": x})
    for x in (-2.3, -0.7, -0.2, 0.3, 0.8, 1.7, 4.1):
        y = getattr(cyact, record.name)(x, **values)
        if np.isfinite(y):
            assert eval(record.formula, names, {"x": x}) == pytest.approx(y, rel=1e-9)
            slope = getattr(cyact.derivative, record.name)(x, **values)
            assert eval(record.derivative, names, {"x": x}) == pytest.approx(slope, rel=1e-9)


def test_no_alias_means_two_functions():
    names = [n for r in RECORDS for n in {cyact.catalog._key(name) for name in
                                          (r.name, *r.aliases, *r.importable)}]
    assert len(names) == len(set(names))


# Measured errors

@by_elementwise
def test_errors_are_measured_and_within_the_bound(record):
    assert record.error, f"run python -P tools/errors.py --functions {record.name}"
    for dtype in DTYPES:
        for error in record.error[dtype.__name__]:
            assert 0 <= error <= BOUND[dtype]
    doc = inspect.getdoc(record.function)
    doc = " ".join(doc.split())
    (small, slope), (large, slope64) = record.error["float32"], record.error["float64"]
    if "measured:" in doc:
        assert f"measured: {small:g} and {large:g}, of the derivative" in doc
        assert f": {slope:g} and {slope64:g}." in doc
    else:
        assert max(small, large) <= 0.5
        assert "Exact." in doc or "orrectly rounded" in doc
    told = " ".join(inspect.getdoc(getattr(cyact.derivative, record.name)).split())
    assert f"measured: {slope:g} and {slope64:g}." in told


def test_measured_errors_are_of_functions_there_are():
    assert set(_errors.ERRORS) <= {record.name for record in ELEMENTWISE_RECORDS}
    zeros = {case.name for case in ELEMENTWISE if case.reference.interior_zero}
    assert set(_errors.INTERIOR_ZERO) == zeros & set(_errors.ERRORS)
    assert cyact.catalog["softmax"].error is None


def test_a_function_that_is_not_measured_documents_the_bound_alone():
    assert _docs.error_bound("nonsense") == \
        "Error at most 1 ULP in float32 and 2 ULP in float64."


# Finding functions by their properties

def test_find_gives_the_records_with_all_properties_in_order():
    found = cyact.catalog.find(monotonic=True, bounded=True, kind="elementwise")
    assert isinstance(found, tuple)
    assert {"sigmoid", "tanh", "softsign"} <= {record.name for record in found}
    assert [r for r in RECORDS if r.kind == "elementwise" and r.monotonic and r.bounded] == \
        list(found)
    assert cyact.catalog.find(name="gelu") == (cyact.catalog["gelu"],)
    assert cyact.catalog.find(range=(0, np.inf, True, False), kinks=(0,), continuity=0)[0].name \
        == "relu"
    assert cyact.catalog.find() == tuple(RECORDS)
    assert cyact.catalog.find(name="gelu", kind="rows") == ()


@pytest.mark.parametrize("claim", [False, True])
def test_find_leaves_out_what_a_property_makes_no_sense_for(claim):
    found = cyact.catalog.find(monotonic=claim)
    assert found == tuple(r for r in RECORDS if r.range is not None and r.monotonic == claim)
    assert {r.kind for r in found} <= {"elementwise", "sampling"}


@pytest.mark.parametrize("name", ["monoton", "engine", "index", "_fields", "zero_centered"])
def test_find_refuses_what_no_record_has_and_lists_what_they_have(name):
    with pytest.raises(TypeError, match=rf"catalog\.find.*{name}.*bounded, .*kinks.*zero_centred"):
        cyact.catalog.find(**{name: True})


# Properties

by_claim = pytest.mark.parametrize("claim", CHECKS)
CLAIMING = [record for record in RECORDS if record.range is not None]


def test_every_property_is_checked():
    """What follows `formula` in the record, and what is derived from that, is a claim."""
    fields = set(cyact.catalog["relu"]._fields)
    fields = {f for f in fields if getattr(cyact.catalog["softmax"], f) is None} - {"error"}
    assert fields | {"bounded", "nonlinear", "zero_centred"} == set(CHECKS)


@by_claim
@pytest.mark.parametrize("record", CLAIMING, ids=lambda r: r.name)
def test_claims_are_true(record, claim):
    CHECKS[claim](record)


@by_record
def test_all_claim_something_but_functions_along_an_axis_or_without_defaults(record):
    claims = {getattr(record, claim) for claim in CHECKS}
    parameters = inspect.signature(record.function).parameters
    needed = [p for p in parameters.values() if p.default is p.empty]
    if "axis" in parameters or len(needed) > 1:
        assert claims == {None}
    else:
        assert None not in claims


class Claiming:
    """A record that says something else about one property."""

    def __init__(self, record, claim, value):
        self.record = record
        setattr(self, claim, value)

    def __getattr__(self, name):
        return getattr(self.record, name)


def wrong_claims():
    """For every property of every function, something that is not true of it."""
    for record in CLAIMING:
        for claim in ("bounded", "monotonic", "monotonic_derivative", "zero_centred",
                      "identity_at_origin", "nonlinear"):
            yield record, claim, not getattr(record, claim)
        for value in ("left", "right", "both", "neither"):
            if value != record.saturates:
                yield record, "saturates", value
        for value in (-1, 0, 1, 2, np.inf):
            if value != record.continuity:
                yield record, "continuity", value
        for at in record.kinks:
            yield record, "kinks", tuple(k for k in record.kinks if k != at)
        yield record, "kinks", tuple(sorted({*record.kinks, 0.875}))
        low, high, low_closed, high_closed = record.range
        for changed in ((low - 0.01, high), (low + 0.01, high), (low, high - 0.01),
                        (low, high + 0.01), (-np.inf, high), (low, np.inf)):
            if changed != (low, high):
                yield record, "range", (*changed, low_closed, high_closed)
        yield record, "range", (low, high, not low_closed, high_closed)
        yield record, "range", (low, high, low_closed, not high_closed)


@pytest.mark.parametrize(
    ("record", "claim", "value"),
    [pytest.param(*wrong, id=f"{wrong[0].name}-{wrong[1]}-{wrong[2]}") for wrong in wrong_claims()])
def test_wrong_claims_are_found_out(record, claim, value):
    with pytest.raises(AssertionError):
        CHECKS[claim](Claiming(record, claim, value))


# Signatures

@by_elementwise
def test_derivatives_have_the_signature_of_their_function(record):
    value, slope = (inspect.signature(getattr(m, record.name)) for m in (cyact, cyact.derivative))
    assert [(p.name, p.kind, p.default) for p in value.parameters.values()] == \
        [(p.name, p.kind, p.default) for p in slope.parameters.values()]


@by_elementwise
def test_backwards_take_grad_x_the_parameters_output_and_out(record):
    found = list(inspect.signature(getattr(cyact.backward, record.name)).parameters.values())
    names = [p.name for p in found]
    assert names == ["grad", "x", *(p.name for p in record.parameters), "output", "bias", "out"]
    assert [p.kind for p in found[:2]] == [inspect.Parameter.POSITIONAL_ONLY] * 2
    assert [p.kind for p in found[-3:]] == [inspect.Parameter.KEYWORD_ONLY] * 3
    assert found[0].default is inspect.Parameter.empty
    optional = [p.default is not REQUIRED for p in record.parameters]
    assert found[1].default is (None if all(optional) else inspect.Parameter.empty)
    for p, parameter in zip(found[2:-3], record.parameters, strict=True):
        assert p.default == (inspect.Parameter.empty if parameter.default is REQUIRED
                             else parameter.default)


@by_record
def test_conventions_of_all_signatures(record):
    parameters = inspect.signature(record.function).parameters
    arrays = (["x"] if "x" in parameters else ["gate", "value"] if record.family == "gated"
              else list(parameters)[:2])
    assert list(parameters)[:len(arrays)] == arrays
    for name in arrays:
        assert parameters[name].kind == inspect.Parameter.POSITIONAL_ONLY
    keywords = set()
    if record.kind == "loss":
        assert arrays[1] == "target"
        assert (parameters["reduction"].default, parameters["return_grad"].default) \
            == ("mean", False)
    else:
        keywords |= {"out"}
        if record.family != "gated":
            keywords |= {"dtype"}
    if record.kind == "elementwise" or record.name in ("prelu", "rrelu", "noisy_relu"):
        keywords |= {"bias"}
    if record.family in ALONG_AN_AXIS:
        keywords |= {"where"} | ({"bias"} & set(parameters))
    for name in keywords:
        assert parameters[name].kind == inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default is None
    assert not {"out", "dtype", "bias", "where"} & set(parameters) - keywords
    if record.family in (*ALONG_AN_AXIS, "gated") or record.name == "crelu":
        assert parameters["axis"].default == -1


@by_function
def test_signatures_are_plain_and_types_are_in_the_stubs(name, function):
    for parameter in inspect.signature(function).parameters.values():
        assert not isinstance(parameter.annotation, str)        # it would be shown in quotes
    typing.get_type_hints(function)


ALONG_AN_AXIS = ("softmax", "sparse", "maxima")
GATED = [record.name for record in RECORDS if record.family == "gated"]
BY_HAND = ["prelu", "rrelu", "noisy_relu", "crelu", *GATED]


@pytest.mark.parametrize("name", BY_HAND)
def test_backwards_by_hand_take_what_their_function_takes(name):
    """Grad first; what is drawn in training is given instead of drawn; no dtype."""
    value, backward = (inspect.signature(getattr(m, name)).parameters
                       for m in (cyact, cyact.backward))
    drawn = {"rrelu": ["slope"], "noisy_relu": ["noise"]}.get(name, [])
    replaced = {"training", "rng", "return_slope", "return_noise", "dtype", "scale"}
    names = [n for n in value if n not in replaced]
    arrays = 2 if name in ("prelu", *GATED) and name != "glu" else 1
    assert list(backward) == ["grad", *names[:arrays], *drawn, *names[arrays:]]
    for n in ("grad", *names[:arrays], *drawn):
        assert backward[n].kind == inspect.Parameter.POSITIONAL_ONLY
    for n in set(names) - {"out"}:
        assert backward[n].default == value[n].default
        assert backward[n].kind == value[n].kind


@pytest.mark.parametrize("name", ["prelu", "rrelu", "noisy_relu"])
def test_derivatives_by_hand_take_what_their_function_takes(name):
    value, slope = (inspect.signature(getattr(m, name)).parameters
                    for m in (cyact, cyact.derivative))
    drawn = {"rrelu": ["slope"], "noisy_relu": ["noise"]}.get(name, [])
    replaced = {"training", "rng", "return_slope", "return_noise", "scale"}
    names = [n for n in value if n not in replaced]
    arrays = 2 if name == "prelu" else 1
    assert list(slope) == [*names[:arrays], *drawn, *names[arrays:]]
    for n in names:
        assert (slope[n].kind, slope[n].default) == (value[n].kind, value[n].default)


@pytest.mark.parametrize("module", [cyact.derivative, cyact.backward], ids=lambda m: m.__name__)
def test_modules_of_derivatives_list_all_and_refuse_the_rest(module):
    assert {r.name for r in ELEMENTWISE_RECORDS} <= set(dir(module))
    for alias in ("swish", "expit"):
        assert getattr(module, alias) is getattr(module, cyact.catalog[alias].name)
    for name in ("nonsense", "linear", "_relu"):
        with pytest.raises(AttributeError, match=f"{module.__name__}.*{name}"):
            getattr(module, name)


def test_derivatives_know_their_names():
    for module in (cyact.derivative, cyact.backward):
        function = module.leaky_relu
        assert function.__name__ == "leaky_relu"
        assert function.__module__ == module.__name__


# Documentation

@by_function
def test_docstrings_have_numpy_sections(name, function):
    doc = inspect.getdoc(function)
    assert doc, name
    first = doc.splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 90
    sections = re.findall(r"^(\w[\w ]+)\n-+$", doc, re.MULTILINE)
    order = ["Parameters", "Returns", "Raises", "See Also", "Notes", "References", "Examples"]
    assert sections == sorted(sections, key=order.index)
    if inspect.signature(function).parameters:
        assert "Parameters" in sections
        described = re.findall(r"^(\w+(?:, \w+)*) ?(?::|$)", doc, re.MULTILINE)
        described = {d for line in described for d in line.split(", ")}
        assert set(inspect.signature(function).parameters) <= described


@by_record
def test_docstrings_of_functions_are_complete(record):
    doc = inspect.getdoc(record.function)
    for section in ("Parameters", "Returns", "Raises", "Notes", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in doc
    assert ">>> " in doc
    # the formula comes first, and the derivative
    _, _, told = doc.partition("\n\n")
    told = " ".join(told.partition("\n\n")[0].split())
    assert told.startswith("``loss = " if record.kind == "loss" else "``f(")
    assert f"= {record.formula}``" in told
    assert f"= {record.derivative}``." in told or not record.derivative


@by_function
def test_help_fits_into_100_columns(name, function):
    """All but signatures, which pydoc writes on one line before Python 3.13."""
    lines = inspect.getdoc(function).splitlines()
    assert max(map(len, lines)) <= 100 - 4, name      # help() indents by 4
    assert "\n\n\n" not in "\n".join(lines)
    assert not re.search(r"\{\w+\}", "\n".join(lines)), "a placeholder was not filled"


def modules():
    for found in pkgutil.iter_modules(cyact.__path__, "cyact."):
        if found.name.rpartition("_")[2] not in ("baseline", "v3", "v4") \
                and found.name not in ("cyact.__main__",):
            yield found.name


@pytest.mark.parametrize("name", ["cyact", *modules()])
def test_examples_in_docstrings_run(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"needs something optional: {error}")
    with np.printoptions():
        failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize(("name", "function"), list(public_functions()),
                         ids=[name for name, _ in public_functions()])
def test_examples_of_public_functions_run(name, function):
    """Compiled and generated functions, too, which a module's doctests do not find."""
    doc = inspect.getdoc(function)
    test = doctest.DocTestParser().get_doctest(doc, {}, name, None, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test)
    assert runner.failures == 0


# Nothing is missing

def test_every_parameter_choice_is_tested():
    for record in ELEMENTWISE_RECORDS:
        cases = [case for case in ELEMENTWISE if case.name == record.name]
        assert cases
        for i, parameter in enumerate(record.parameters):
            if isinstance(parameter.domain, tuple):
                assert {case.params[i] for case in cases} == set(parameter.domain)
            else:
                assert len({case.params[i] for case in cases}) > 2


@pytest.mark.parametrize("module", [cyact.derivative, cyact.backward], ids=lambda m: m.__name__)
def test_stubs_are_not_stale(module):
    """The .pyi beside the module declares each of its functions, with its parameters."""
    path = pathlib.Path(module.__file__).with_suffix(".pyi")
    if not path.exists():
        pytest.fail(f"{path.name} is missing from the installation")
    tree = ast.parse(path.read_text())
    declared = {node.name: node.args for node in tree.body if isinstance(node, ast.FunctionDef)}
    also = {target.id: node.value.id for node in tree.body if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Name) for target in node.targets}
    assert set(declared) | set(also) == set(dir(module))
    for name, args in declared.items():
        listed = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
        assert listed == list(inspect.signature(getattr(module, name)).parameters)
    for alias, name in also.items():
        assert getattr(module, alias) is getattr(module, name)


def test_the_stub_of_the_package_is_not_stale():
    """__init__.pyi declares every function, and names where else a public name is defined."""
    path = pathlib.Path(cyact.__file__).with_suffix(".pyi")
    if not path.exists():
        pytest.fail(f"{path.name} is missing from the installation")
    tree = ast.parse(path.read_text())
    imported = {name.asname: (node.module, name.name) for node in tree.body
                if isinstance(node, ast.ImportFrom) and node.module.startswith("cyact")
                for name in node.names}
    assigned = {target.id: node.value for node in tree.body if isinstance(node, ast.Assign)
                for target in node.targets}
    declared = {node.name: node.args for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert ast.literal_eval(assigned.pop("__all__")) == cyact.__all__
    assert set(imported) | set(assigned) | set(declared) == set(cyact.__all__)
    assert set(declared) == set(cyact.catalog)
    for name, (module, original) in imported.items():
        assert name == original     # "as" itself: only then a stub's import is public
        if module == "cyact":
            assert inspect.ismodule(getattr(cyact, name))
        else:
            assert getattr(importlib.import_module(module), name) is getattr(cyact, name)
    for name, args in declared.items():
        listed = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
        assert listed == list(inspect.signature(getattr(cyact, name)).parameters)
    for alias, value in assigned.items():
        assert getattr(cyact, alias) is getattr(cyact, value.id)
    assert [node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)] == \
        ["Axis", "__version__"]
