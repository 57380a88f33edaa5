"""tools/errors.py: it looks at every input it says it does, and finds a wrong one."""

import importlib.util
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cases import ELEMENTWISE, Case
from reference import REFERENCES

TOOL = Path(__file__).resolve().parent.parent / "tools" / "errors.py"
if not TOOL.is_file():
    pytest.skip("tools/ is in the checkout only", allow_module_level=True)
spec = importlib.util.spec_from_file_location("errors_tool", TOOL)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

OPTIONS = SimpleNamespace(every=1, points=1_000_000, mpmath=20_000)
RELU = next(case for case in ELEMENTWISE if case.name == "relu")


@pytest.mark.parametrize("every", [1, 211, 4096])
def test_patterns_are_all_taken_once(every):
    blocks = [b for b in tool.blocks(RELU, "float32", SimpleNamespace(**{
        **vars(OPTIONS), "every": every})) if b[0] == "patterns"]
    taken = [range(*block[1:]) for block in blocks]
    assert sum(map(len, taken)) == -(-2**32 // every)
    assert taken[0][0] == 0
    for before, after in pairwise(taken):
        assert after[0] - before[-1] == every


def test_a_block_holds_the_patterns_it_names():
    x = tool.points(RELU, "float32", ("patterns", 0x3F800000, 0x3F800010, 5))
    assert x.view(np.uint32).tolist() == [0x3F800000, 0x3F800005, 0x3F80000A, 0x3F80000F]
    assert len(tool.points(RELU, "float32", ("patterns", 0x7F7FFFFF, 0x7F800010, 1))) == 1


def test_float64_gets_as_many_points_as_asked():
    for case in (RELU, Case("gelu", ("none",))):
        sizes = sum(size for _, size, _ in tool.blocks(case, "float64", OPTIONS))
        assert sizes == (20_000 if tool.precise(case, "float64") else 1_000_000)


@pytest.mark.parametrize("exact", [False, True], ids=["wide", "mpmath"])
def test_a_wrong_result_is_found(monkeypatch, exact):
    reference = REFERENCES[("relu",)]
    wrong = replace(reference,
                    value=lambda x: reference.value(x) * (3 if 1 < x < 2 else 1),
                    wide=lambda x: reference.wide(x) * np.where((x > 1) & (x < 2), 3, 1))
    task = (ELEMENTWISE.index(RELU), "value", "float64", exact, ("sample", 3000, 0))
    assert tool.run(task)["error"] == 0
    monkeypatch.setitem(REFERENCES, ("relu",), wrong)
    found = tool.run(task)
    assert found["error"] > 1e15
    assert 1 < float.fromhex(found["at"]) < 2
    assert 0 < found["correct"] < found["points"]


@pytest.mark.parametrize(("error", "rounded"), [
    (0.0, 0.0), (0.5, 0.5), (0.5001, 0.51), (0.999, 1.0), (1.0, 1.0), (1.001, 1.1), (2.0, 2.0),
    (1234.5, 1300.0), (np.inf, np.inf)])
def test_errors_are_rounded_up(error, rounded):
    assert tool.rounded_up(error) == rounded


def test_a_table_has_the_largest_of_all_parameters_and_no_half_done_function():
    def entry(error):
        return {f"{d} {w}": {"error": error} for d in tool.WIDER for w in tool.WHATS}
    cases = [case for case in ELEMENTWISE if case.name == "elu"]
    known = {str(case): entry(i / 8) for i, case in enumerate(cases)}
    largest = tool.rounded_up((len(cases) - 1) / 8)
    assert tool.table(known) == {"elu": dict.fromkeys(tool.WIDER, (largest, largest))}
    known.popitem()
    assert tool.table(known) == {}


@pytest.mark.parametrize(("changed", "done"), [
    ({}, True), ({"every": 1}, True), ({"every": 999}, False), ({"points": 10}, False),
    ({"level": "v3"}, False), ({"kernels": "0"}, False)])
def test_what_was_measured_as_finely_with_these_kernels_is_not_measured_again(changed, done):
    wanted = {"every": 211, "points": 100, "mpmath": 100, "level": "v4", "kernels": "abc"}
    assert tool.is_done({**wanted, **changed}, wanted) == done
    dirty = {**wanted, "kernels": "abc+"}
    assert not tool.is_done(dirty, dirty)
    assert not tool.is_done(None, wanted)
