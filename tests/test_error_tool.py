"""tools/errors.py: it looks at every input it says it does, and finds a wrong one."""

import importlib.util
import json
import math
import shutil
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import reference
from cases import ELEMENTWISE, KERNELS, Case, inputs
from reference import REFERENCES

TOOLS = Path(__file__).resolve().parent.parent / "tools"
if not TOOLS.is_dir():
    pytest.skip("tools/ is in the checkout only", allow_module_level=True)


@pytest.fixture(scope="module")
def tool():
    before = sys.path.copy()
    spec = importlib.util.spec_from_file_location("errors_tool", TOOLS / "errors.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


def index_of(name):
    return next(i for i, case in enumerate(ELEMENTWISE) if str(case) == name)


RELU, ELU = index_of("relu"), index_of("elu(1.0)")


@pytest.mark.parametrize("every", [1, 211, 4096])
def test_patterns_are_all_taken_once(tool, every):
    blocks = tool.blocks(ELEMENTWISE[RELU], "float32", every, 0)
    taken = [range(*block[1:]) for block in blocks]
    assert sum(map(len, taken)) == -(-2**32 // every)
    assert taken[0][0] == 0
    for before, after in pairwise(taken):
        assert after[0] - before[-1] == every


def test_a_block_holds_the_patterns_it_names(tool):
    def bits(*block):
        chunks = tool.points(ELEMENTWISE[RELU], "float32", ("patterns", *block))
        return np.concatenate([c.view(np.uint32) for c in chunks]).tolist()
    assert bits(0x3F800000, 0x3F800010, 5) == [0x3F800000, 0x3F800005, 0x3F80000A, 0x3F80000F]
    assert bits(2**32 - 50_000, 2**32, 1) == list(range(2**32 - 50_000, 2**32))
    assert bits(7, 2_000_000, 211) == list(range(7, 2_000_000, 211))


def test_float64_gets_as_many_points_as_asked(tool):
    sizes = [size for _, size, _ in tool.blocks(ELEMENTWISE[RELU], "float64", 211, 1_000_000)]
    assert sum(sizes) == 1_000_000


@pytest.mark.parametrize(("dtype", "block"), [
    ("float32", ("patterns", 0, 2**32, 50_021)), ("float64", ("sample", 3000, 0)),
    ("float16", ("all",))])
def test_a_wrong_result_is_found(tool, monkeypatch, dtype, block):
    task = ("cyact", RELU, "value", dtype, block, False)
    right = tool.run(task)
    assert right["worst"] == []
    assert right["correct"] == right["points"] > 1000
    true = REFERENCES[("relu",)]
    monkeypatch.setitem(REFERENCES, ("relu",), replace(
        true, value=lambda x: true.value(x) * (3 if 1 < x < 2 else 1),
        wide=lambda x: true.wide(x) * np.where((x > 1) & (x < 2), 3, 1)))
    found = tool.run(task)
    assert found["worst"][0][0] > 100
    assert 1 < float.fromhex(found["worst"][0][1]) < 2
    assert 0 < found["correct"] < found["points"]
    assert found["digest"] == right["digest"]


def test_a_formula_that_is_wrong_is_overruled_by_mpmath(tool, monkeypatch):
    true = REFERENCES[("relu",)]
    monkeypatch.setitem(REFERENCES, ("relu",), replace(
        true, wide=lambda x: true.wide(x) * np.where((x > 1) & (x < 1.00001), 3, 1)))
    found = tool.run(("cyact", RELU, "value", "float32", ("patterns", 0, 2**32, 50_021), False))
    assert found["worst"] == []


@pytest.mark.parametrize(("y", "true", "what"), [
    ([0.0], [1e-40], "flushed"), ([np.inf], [3e38], "overflowed"), ([-1e-45], [1e-50], "signs")])
def test_flushed_overflowed_and_wrong_signs_are_counted(tool, y, true, what):
    truth = tool.Truth(ELEMENTWISE[ELU], "value", "float32")
    truth.wide = lambda x: np.array(true)
    found = truth.examine(np.ones(1, np.float32), np.array(y, np.float32), False)
    assert {key: found[key] for key in ("flushed", "overflowed", "signs")} == {
        **dict.fromkeys(("flushed", "overflowed", "signs"), 0), what: 1}


def test_nan_that_is_lost_and_wrong_limits_are_found(tool):
    truth = tool.Truth(ELEMENTWISE[ELU], "value", "float32")
    x = np.array([np.nan, 1], np.float32)
    assert truth.examine(x, x, True)["nan"] == 0
    assert truth.examine(x, np.ones(2, np.float32), True)["nan"] == 1
    assert truth.limits(ELEMENTWISE[ELU].value)
    assert not truth.limits(np.abs)


def test_a_digest_tells_one_bit_and_no_nan_from_another(tool):
    y = np.array([1, np.nan, -0.0], np.float32)
    other = y.copy()
    other.view(np.uint32)[1] ^= 5
    assert tool.canonical(y).tolist() == tool.canonical(other).tolist()
    other[2] = 0.0
    assert tool.canonical(y).tolist() != tool.canonical(other).tolist()


def test_libraries_are_those_of_the_benchmarks(tool):
    assert set(tool.LIBRARIES) == set(tool.accuracy_page.PEERS)
    assert set(tool.LIBRARIES.values()) <= set(tool.contenders.CONTENDERS)
    assert tool.COMPARED["gelu(tanh)"] == "gelu(tanh)"
    assert tool.COMPARED["elu(1.0)"] == "elu"
    assert "elu(0.1)" not in tool.COMPARED         # others' functions have the usual parameters


def test_another_library_s_functions_are_called(tool):
    special = pytest.importorskip("scipy.special")
    erf, x = ELEMENTWISE[index_of("erf")], np.linspace(-3, 3, 10)
    np.testing.assert_array_equal(tool.called("scipy", erf, "value")(x), special.erf(x))
    assert tool.called("scipy", erf, "derivative") is None
    assert tool.called("scipy", ELEMENTWISE[RELU], "value") is None
    assert tool.supported("scipy", erf, "value", "float32")


@pytest.mark.parametrize("case", [c for c in ELEMENTWISE if not c.reference.in_longdouble(
    *c.numbers)], ids=str)
def test_quad_precision_agrees_with_mpmath(tool, case):
    if not shutil.which("gcc"):
        pytest.skip("needs gcc and libquadmath")
    x = inputs(np.float64, 60, case.reference.interesting(*case.numbers))
    for what in tool.WHATS:
        truth = tool.Truth(case, what, "float64")
        with np.errstate(all="ignore"):
            wide = truth.wide(x)
        errors = truth.precise(x, wide)
        assert errors.max() <= 1 / 64, (what, x[errors.argmax()])


@pytest.mark.parametrize(("error", "rounded"), [
    (0.0, 0.0), (0.5, 0.5), (0.5001, 0.51), (0.999, 1.0), (1.0, 1.0), (1.001, 1.1), (2.0, 2.0),
    (1234.5, 1300.0), (np.inf, np.inf), ("inf", np.inf)])
def test_errors_are_rounded_up(tool, error, rounded):
    assert tool.rounded_up(error) == rounded


@pytest.mark.parametrize("error", [0.0, 0.5, 0.87654321, 1e-9, 123456789.0, np.inf])
def test_rows_tell_errors_in_six_digits_and_no_less(tool, error):
    told = float(tool.told(error))
    assert error <= told <= error * (1 + 1e-5)


def rows(errors, **changed):
    """Rows of elu: an error for each of its parameter sets."""
    found = {}
    for case, error in zip([c for c in ELEMENTWISE if c.name == "elu"], errors, strict=False):
        for dtype in ("float32", "float64", "float16"):
            for what in ("value", "derivative"):
                if dtype == "float16" and case not in KERNELS:
                    continue
                found[f"cyact {case} {what} {dtype}"] = {
                    "library": "cyact", "case": str(case), "what": what, "dtype": dtype,
                    "every": 1, "points": 1000, "asked": 10, "error": error, "worst": ["0x1p-3"],
                    "correct": 990, "flushed": 0, "overflowed": 0, "signs": 0, "special": True,
                    "digest": "", "level": "v4", "version": "abc", "date": "", **changed}
    return found


def test_a_table_has_the_largest_of_all_parameters_and_no_half_done_function(tool):
    count = sum(case.name == "elu" for case in ELEMENTWISE)
    known = rows([i / 8 for i in range(count)])
    largest = tool.rounded_up((count - 1) / 8)
    assert tool.table(known) == {"elu": dict.fromkeys(("float32", "float64"), (largest,) * 2)}
    assert '"elu": {"float32": ' in tool.errors_module(known)
    known.popitem()
    assert tool.table(known) == {}


def test_worst_inputs_are_never_forgotten(tool):
    kept = [{"case": "elu(1.0)", "dtype": "float32", "what": "value", "inputs": ["0x1p-9"]},
            {"case": "no more", "dtype": "float32", "what": "value", "inputs": ["0x1p-9"]}]
    told = [json.loads(line) for line in tool.worst_inputs(rows([0.7]), kept).splitlines()]
    assert {row["case"] for row in told} == {"elu(1.0)"}
    assert told[0] == {**kept[0], "inputs": ["0x1p-9", "0x1p-3"]}


@pytest.mark.parametrize(("changed", "listed"), [
    ({}, "None"), ({"error": 1.01}, "1.01 ULP"), ({"error": "inf"}, "∞"),
    ({"flushed": 3}, "3 flushed"), ({"special": False}, "wrong at NaN")])
def test_the_page_lists_exceptions(tool, changed, listed):
    known = {key: row for key, row in rows([0.25], **changed).items() if "float32" in key}
    assert listed in tool.accuracy_page.text(known).partition("## Exceptions")[2]


def test_the_page_tells_what_is_no_sample(tool):
    assert "all 2 rows are over all 2^32 inputs" in tool.accuracy_page.text(rows([0.5]))
    assert "0 of the 2 rows" in tool.accuracy_page.text(rows([0.5], every=211))


@pytest.mark.parametrize(("dtype", "every", "count", "fine"), [
    ("float32", 211, 0, True), ("float32", 50, 0, False), ("float64", 1, 100, True),
    ("float64", 1, 101, False), ("float16", 1, 1000, True)])
def test_what_was_measured_as_finely_is_not_measured_again(tool, dtype, every, count, fine):
    assert tool.is_as_fine({"every": 100, "asked": 100}, dtype, every, count) == fine
    assert not tool.is_as_fine(None, dtype, every, count)


@pytest.fixture(scope="module")
def known(tool):
    return tool.load(tool.RESULTS)


class TestWhatIsCommitted:
    """The rows, and what was made of them."""

    def test_files_follow_from_the_rows(self, tool, known):
        assert (TOOLS.parent / "cyact" / "_errors.py").read_text() == tool.errors_module(known)
        kept = [json.loads(line) for line in tool.WORST.read_text().splitlines()]
        assert tool.WORST.read_text() == tool.worst_inputs(known, kept)
        page = tool.RESULTS.with_name("README.md").read_text(encoding="utf-8")
        assert page == tool.accuracy_page.text(known)

    def test_every_function_has_its_rows(self, tool, known):
        for case in ELEMENTWISE:
            for dtype in tool.DTYPES if case in KERNELS else ("float32", "float64"):
                for what in tool.WHATS:
                    row = known[tool.key("cyact", case, what, dtype)]
                    assert row["points"] > 60_000
                    assert row["special"]
                    assert not row["flushed"] + row["overflowed"] + row["signs"]
                    assert float(row["error"]) <= tool.accuracy_page.BOUNDS[dtype], row

    def test_errors_are_those_at_the_worst_inputs(self, tool, known):
        """At any level: the levels' bits differ at most from baseline to the others."""
        for case in (ELEMENTWISE[ELU], Case("gelu", ("none",)), Case("silu", (1.0,))):
            for dtype in ("float32", "float64"):
                for what in tool.WHATS:
                    row = known[tool.key("cyact", case, what, dtype)]
                    x = np.array([float.fromhex(v) for v in row["worst"]], dtype)
                    y = getattr(case, what)(x)
                    true = reference.true_values(getattr(case.reference, what), x, case.numbers)
                    floor = reference.least(case, what, x.dtype.type)
                    errors = reference.mp_ulps(y, true, floor)
                    assert math.isclose(errors.max(), row["error"], abs_tol=0.3)
