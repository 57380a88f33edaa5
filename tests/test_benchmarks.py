"""The benchmark's own logic: errors, statistics, and that contenders compute what they say."""

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import cyact

PACKAGE = Path(__file__).resolve().parent.parent / "benchmarks" / "__init__.py"
if not PACKAGE.is_file():
    pytest.skip("benchmarks/ is in the checkout only", allow_module_level=True)


def load(name):
    """Import a module of the benchmark wherever pytest was started."""
    if "benchmarks" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "benchmarks", PACKAGE, submodule_search_locations=[str(PACKAGE.parent)])
        sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["benchmarks"])
    return importlib.import_module(f"benchmarks.{name}")


accuracy, catalog, contenders = load("accuracy"), load("catalog"), load("contenders")
measure, report = load("measure"), load("report")
matrix, pages, readme, rows = load("matrix"), load("pages"), load("readme"), load("rows")
strided = load("strided")
instructions = load("instructions")


def test_the_unit_changes_at_powers_of_two_and_stops_at_the_smallest_subnormal():
    units = accuracy.unit_in_last_place(np.array([1.0, 0.999, 2.0, 1e-45, 0.0]), np.float32)
    assert units.tolist() == [2.0**-23, 2.0**-24, 2.0**-22, 2.0**-149, 2.0**-149]


def test_a_correctly_rounded_result_is_within_half_a_unit():
    exact = np.random.default_rng(0).normal(size=1000)
    ref = accuracy.reference(exact, np.float32)
    assert accuracy.ulp_error(exact.astype(np.float32), ref).max() <= 0.5
    above = np.nextafter(exact.astype(np.float32), np.float32(np.inf))
    assert 0.5 <= accuracy.ulp_error(above, ref).max() <= 1.5


def test_a_nan_or_infinity_of_its_own_is_an_infinite_error():
    ref = accuracy.reference(np.array([1.0, 1.0, np.inf, np.nan]), np.float32)
    result = np.array([np.nan, np.inf, np.inf, np.nan], dtype=np.float32)
    assert accuracy.ulp_error(result, ref).tolist() == [np.inf, np.inf, 0, 0]


by_function = pytest.mark.parametrize("function", catalog.EVERY, ids=lambda f: f.name)
AT = np.array([-3.5, -1.1, -0.2, 0.3, 1.7, 4.3])


@by_function
def test_the_derivative_formula_is_the_slope_of_the_value_formula(function):
    x = function.inputs(AT)
    assert len(function.inside(x)) == len(x)
    step = 1e-6
    slope = (function.value(catalog.WIDE, x + step)
             - function.value(catalog.WIDE, x - step)) / (2 * step)
    np.testing.assert_allclose(function.derivative(catalog.WIDE, x), slope, atol=1e-8)


@by_function
def test_the_two_arithmetics_agree(function):
    m = accuracy.Multiprecision()
    x = function.inside(np.concatenate([AT, [-60.0, -25.0, -7.0, 0.01, 0.6, 0.999, 30.0]]))
    with np.errstate(all="ignore"):
        for formula in (function.value, function.derivative):
            precise = [float(formula(m, m.mpf(v))) for v in x.tolist()]
            np.testing.assert_allclose(formula(catalog.WIDE, x), precise, rtol=1e-11, atol=1e-300)


def test_functions_that_cyact_has_not_are_left_out():
    assert {f.name for f in catalog.ELEMENTWISE} >= set(catalog.COMMON)
    assert not catalog.Function("nonsense", None, None).in_cyact(cyact)
    assert catalog.Function("g", None, None, "gelu(approximate='tanh')").in_cyact(cyact)
    assert not catalog.Function("g", None, None, "gelu(approximate='other')").in_cyact(cyact)


def test_every_elementwise_function_is_compared():
    compared = {(f.call or f.name).partition("(")[0] for f in catalog.EVERY}
    assert {r.name for r in cyact.catalog.values() if r.kind == "elementwise"} <= compared
    names = {f.name for f in catalog.EVERY}
    for contender in contenders.CONTENDERS.values():
        listed = {key.removeprefix("backward.") for key in contender.statements}
        assert listed <= names | {key.removeprefix("backward.") for key in catalog.EVERY_ROW}, (
            contender.name)


def check_values(name, key, formula, case, tolerance):
    found, missing = contenders.installed([name])
    if missing:
        pytest.skip(f"{name} is not installed")
    arrays = measure.make_arrays(case)
    compared = 0
    for fresh in (True, False):
        with found[0].threads(1), np.errstate(all="ignore"):
            bound = found[0].supports(1) and found[0].bind(key, arrays, fresh, 1)
            if bound:
                compared += 1
                exact = formula(arrays)
                np.testing.assert_allclose(bound.result(), exact, rtol=tolerance, atol=tolerance)
    if not compared:
        pytest.skip(f"{name} has no {key}")


@pytest.mark.parametrize("function", catalog.ELEMENTWISE, ids=lambda f: f.name)
@pytest.mark.parametrize("name", ["cyact", "NumPy"])
def test_contenders_compute_the_function_they_are_listed_for(name, function):
    case = measure.Case("elementwise", function.name, (100,))
    check_values(name, function.name,
                 lambda a: function.value(catalog.WIDE, a.x.astype(np.float64)), case, 1e-5)


@pytest.mark.parametrize("function", [f for f, formula in catalog.EVERY_ROW.items() if formula])
@pytest.mark.parametrize("name", ["cyact", "NumPy"])
@pytest.mark.parametrize(("shape", "axis"), [((6, 10), -1), ((2, 5, 3, 4), 1)])
def test_contenders_compute_the_row_function_they_are_listed_for(name, function, shape, axis):
    case = measure.Case("rows", function, shape, axis=axis)
    check_values(name, function, lambda a: catalog.EVERY_ROW[function](
        a.x.astype(np.float64), a.axis, a.target), case, 1e-5)


PEER = """
import importlib.util, sys, warnings
warnings.simplefilter("ignore")
sys.path.append({root!r})
import numpy as np
from benchmarks import catalog, contenders, measure
found, missing = contenders.installed([{name!r}])
if missing:
    print("missing")
    sys.exit()
peer, count, wrong = found[0], contenders.cores(), []
known = {{"float32": 1e-5, "float64": {precise}, "float16": 5e-3, "bfloat16": 5e-2}}
if not importlib.util.find_spec("ml_dtypes"):
    del known["bfloat16"]
compared = set()
with peer.threads(count), np.errstate(all="ignore"):
    for function in catalog.EVERY:
        for section in ("elementwise", "backward"):
            formula = function.derivative if section == "backward" else function.value
            for dtype in set(peer.dtypes) & set(known):
                tolerance = known[dtype]
                case = measure.Case(section, function.name, (300,), dtype)
                arrays = measure.make_arrays(case)
                exact = formula(catalog.WIDE, arrays.x.astype(np.float64))
                for fresh in (True, False):
                    bound = peer.offer(case.key, arrays, fresh, count)
                    if bound is None:
                        continue
                    result = bound.result()
                    compared.add(case.key)
                    inside = np.abs(exact) < 1e4        # float16 overflows soon
                    if dtype != "bfloat16" and result.dtype != dtype or not np.allclose(
                            result.astype(float)[inside], exact[inside], tolerance, tolerance):
                        at = np.argmax(np.abs(result - exact))
                        wrong.append((bound.statement, dtype, arrays.x[at], result[at], exact[at]))
print(len(compared), wrong)
assert not wrong, wrong
"""


@pytest.mark.parametrize("name", list(contenders.CONTENDERS)[1:])
def test_peers_compute_the_functions_they_are_listed_for(name, run_python):
    """Each in a process of its own: some start threads, and then forking is not safe."""
    precise = 1e-6 if name == "ORT" else 1e-8       # ORT's Shrink goes through float32
    code = PEER.format(root=str(PACKAGE.parent.parent), name=name, precise=precise)
    told = run_python(code, timeout=300).stdout
    if told.startswith("missing"):
        pytest.skip(f"{name} is not installed")
    assert int(told.split()[0]) >= 9


def test_ratios_are_of_the_medians_and_their_spread_of_the_rounds():
    timings = {"cyact": measure.Timing("", [1.0, 1.0, 2.0]),
               "peer": measure.Timing("", [2.0, 3.0, 6.0])}
    peer = measure.summarize(timings)["peer"]
    assert peer.median == 3
    assert peer.ratio == 3
    assert (peer.low, peer.high) == (2.5, 3)
    assert timings["cyact"].ratio == 1
    assert timings["cyact"].spread == 0


def result(ratio, size=16 << 10, section="elementwise", ulp=0.5, threads=1, fresh=False):
    timing = measure.Timing("", [], median=1e-9 * size, ulp=ulp)
    peer = measure.Timing("", [], median=ratio * 1e-9 * size, ratio=ratio, ulp=1.5)
    function = "softmax" if section == "rows" else "gelu"
    name = "np.exp" if section == "calls" else "torch"
    return (measure.Case(section, function, (size,), "float32", threads, fresh),
            {"cyact": timing, name: peer})


@pytest.mark.parametrize(("changed", "fails"), [
    ({}, None), (0, "16K: geometric mean"), (0, "commonest alone"), (1, "1M: geometric mean"),
    (2, "fresh 16M"), (3, "rows of 10"), (4, "call on 16"),
])
def test_check_fails_when_a_bar_is_missed(changed, fails):
    sizes = [(16 << 10, "elementwise", 2.5), (1 << 20, "elementwise", 2.5),
             (16 << 20, "elementwise", 1.5), (10240, "rows", 7), (16, "calls", 1.5)]
    results = [result(0.9 if i == changed else ratio, size, section)
               for i, (size, section, ratio) in enumerate(sizes)]
    lines, good = report.check(results)
    assert good == (fails is None)
    assert fails is None or any(line.startswith("FAIL") and fails in line for line in lines)


def test_check_fails_without_measurements_and_on_an_error_above_one_ulp():
    assert not report.check([])[1]
    lines, good = report.check([result(3, ulp=1.01)])
    assert not good
    assert any(line.startswith("FAIL") and "1.01 (gelu)" in line for line in lines)


def test_tables_fit_a_hundred_columns_and_name_losses():
    text = report.full_text([result(0.5), result(3.0)])
    assert "loses 1 of 2" in text
    assert "0.50x" in text
    assert max(map(len, text.splitlines()[:8])) <= 100


@pytest.mark.parametrize(("number", "text"), [
    (0.123456, "0.123"), (12.345, "12.3"), (999.9, "1000"), (1.7e7, "2e7"), (math.inf, "inf"),
])
def test_numbers_are_short(number, text):
    assert report.short(number) == text


# python -m benchmarks.rows

@pytest.mark.parametrize("given", [["--rounds", "1"], ["--threads", "0"], ["--longest", "1"],
                                   ["--functions", "nonsense"], ["--check", "--no-speed"]])
def test_rows_refuses_what_it_cannot_measure(given, capsys):
    with pytest.raises(SystemExit) as error:
        rows.arguments(given)
    assert error.value.code == 2
    assert "usage: python -m benchmarks.rows" in capsys.readouterr().err


def test_rows_measures_everything_unless_told_otherwise():
    options = rows.arguments([])
    assert options.functions == rows.FUNCTIONS == list(catalog.EVERY_ROW)
    assert not options.check
    cases = rows.speed_cases(["softmax"], 2)
    assert {case.shape for case in cases} == {shape for shape, _ in rows.SHAPES}
    assert all(case.size >= rows.LARGE for case in cases if case.threads == 2)
    assert len(rows.speed_cases(["softmax"], 1)) == len(rows.SHAPES)


@pytest.mark.parametrize("name", ["cyact", "NumPy"])
@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1])
def test_row_backward_passes_compute_the_vector_product(function, name, axis):
    case = measure.Case("rows", f"backward.{function}", (6, 10), axis=axis)

    def formula(a):
        x = a.x.astype(np.float64)
        s, g = catalog.ROWS["softmax"](x, axis, None), np.flip(x, axis)
        if function == "softmax":
            return s * (g - (g * s).sum(axis, keepdims=True))
        return g - s * g.sum(axis, keepdims=True)

    check_values(name, f"backward.{function}", formula, case, 1e-5)


@pytest.mark.parametrize("shape", [(6, 10), (2, 5, 3, 4)])
@pytest.mark.parametrize("function", catalog.LOSSES)
def test_contenders_compute_the_same_losses_and_gradients(function, shape):
    arrays = measure.make_arrays(measure.Case("rows", function, shape, axis=1))
    ours, *others = contenders.installed(["cyact", "NumPy", "torch"])[0]
    expected = None
    for contender in (ours, *others):
        with contender.threads(1):
            bound = contender.bind(function, arrays, True, 1)
            if bound is None:
                continue
            loss, grad = eval(bound.statement, dict(bound.names))
        if expected is None:
            expected = float(loss), grad
        np.testing.assert_allclose(float(loss), expected[0], rtol=1e-5)
        np.testing.assert_allclose(np.asarray(grad), expected[1], rtol=2e-4, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_measures_errors_of_every_kind_of_row(dtype):
    found, _ = contenders.installed(["cyact", "NumPy"])
    text, worst = rows.accuracy_table(found, dtype, 128)
    assert all(kind in text for kind in rows.DISTRIBUTIONS)
    assert "axis 0 of 128 x 2" in text
    assert worst["cyact", "sum"] <= rows.sum_bound(dtype)
    assert 0 < worst["cyact", "softmax"] <= 2
    assert worst["NumPy", "softmax"] > worst["cyact", "softmax"]


def test_rows_check_fails_when_a_bar_is_missed_or_nothing_was_measured():
    cases = rows.bar_cases()
    good = {("cyact", "softmax"): 1.9, ("cyact", "log_softmax"): 1.2, ("cyact", "sum"): 1e-8}
    timed = [(case, bar, 1.01 * bar) for case, bar in cases]
    assert rows.check(timed, {"float32": good})[1]
    assert not rows.check([], {"float32": good})[1]
    lines, holds = rows.check([(cases[0][0], 10.0, 9.9)], {"float32": good})
    assert not holds
    assert lines[0].startswith("FAIL  softmax 1024x10: torch/cyact at least 10: 9.90")
    for key in good:
        assert not rows.check(timed, {"float32": good | {key: 2.1}})[1]
    assert not rows.check(timed, {"float32": {}})[1]


# python -m benchmarks.rows --matrix

EVERY_CELL = matrix.cells(matrix.OPERATIONS, ["float64"], [5, 48])


@pytest.mark.parametrize("cell", EVERY_CELL, ids=str)
def test_numpy_expressions_of_the_matrix_compute_what_cyact_does(cell):
    small = matrix.Cell(cell.operation, cell.dtype, cell.n, cell.where)
    shape, axis = small.place
    shape = tuple(n if i == axis else min(n, 7) for i, n in enumerate(shape))
    a = matrix.arrays(cyact, small, shape, axis)
    call, expression = matrix.OPERATIONS[small.operation]
    ours, theirs = eval(f"cyact.{call}", {"cyact": cyact, **vars(a)}), expression(a)
    for one, other in zip(*(v if isinstance(v, tuple) else (v,) for v in (ours, theirs)),
                          strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_cells_have_as_many_entries_as_their_twins():
    for cell in matrix.cells(["softmax"], ["float32"], matrix.LENGTHS):
        shape, axis = cell.place
        assert shape[axis] == cell.n
        assert matrix.FEWEST * 0.9 < cell.size < matrix.MOST * 1.01
        if cell.where != "last":
            there, last = cell.twin
            assert there[last] == cell.n
            assert math.prod(there) == cell.size


def test_a_tiny_matrix(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(matrix, "BATCH", 1e-6)
    tiny = ["--matrix", "--operations", "maxout", "--dtypes", "float32", "--lengths", "3", "8",
            "--seconds", "0.001"]
    file = str(tmp_path / "before.json")
    assert rows.main([*tiny, "--save", file]) == 0
    assert "maxout, float32" in capsys.readouterr().out
    before = matrix.read(Path(file))
    assert set(before) == {str(c) for c in matrix.cells(["maxout"], ["float32"], [3, 8])}
    rows.main([*tiny, "--check", "--before", file])
    assert "of 6 cells take over 1.1 times as long as before" in capsys.readouterr().out


@pytest.mark.parametrize(("changed", "slow"), [
    ({}, None), ({"twin": 0.9}, "as the same along the last axis"),
    ({"numpy": 1.8}, "as NumPy's expression"), ({"before": 1.8}, "as before")])
def test_the_matrix_tells_which_cells_are_too_slow(changed, slow):
    cell = matrix.Cell("softmax", "float32", 10, "first")
    times = {"cyact": 2.0, "numpy": 4.0, "twin": 2.0, **changed}
    before = {str(cell): {"cyact": times.pop("before", 2.0)}}
    lines, good = matrix.verdict({cell: times}, before)
    assert good == (slow is None)
    assert [line for line in lines if line.startswith("FAIL")] == (
        [line for line in lines[1:] if slow and line.endswith(slow)])
    assert good or lines[0].endswith(f"{slow}: {cell}: 2.00 ns an entry")


# The page of elementwise functions

def timed(function, size, ours, torch, section="elementwise"):
    timings = {name: measure.Timing("", [seconds, 2 * seconds])
               for name, seconds in (("cyact", ours), ("torch", torch)) if seconds}
    timings["cyact"].ulp = 0.5
    return measure.Case(section, function, (size,)), timings


def test_the_page_lists_where_pytorch_is_faster():
    results = [timed("gelu", 1 << 14, 2e-5, 1e-5), timed("gelu", 1 << 20, 1e-3, 2e-3),
               timed("relu", 1 << 14, 1e-5, 2e-5), timed("prelu", 1 << 14, 1e-5, None)]
    results[0][1]["torch"].instructions = 41.3
    tables = [("float16, values", results)]
    assert pages.exceptions(tables)[2:] == [
        "| gelu, 16K | 1.22 | 0.610 | 0.50x | 0.500 | - | - | 41 | |"]
    assert pages.exceptions(tables, titled=True)[2].startswith("| float16, values: gelu, 16K |")
    assert pages.exceptions([("float32, values", results[1:])]) == ["Nowhere."]


@pytest.mark.skipif(not instructions.possible(), reason="Linux on x86-64 with a C compiler only")
def test_instructions_are_counted():
    """Of relu at least a load, a store and two or three between, for each vector."""
    case = measure.Case("elementwise", "relu", (1,))
    (counts,) = instructions.counts([(case, "unchanged")]).values()
    assert 4 < counts["cyact"] < 60
    assert instructions.counts([]) == {}


@pytest.mark.parametrize("change", ["with_bias", "from_output"])
def test_errors_of_what_gets_more_than_x(change):
    ours = contenders.installed(["cyact"])[0]
    section = "backward" if change == "from_output" else "elementwise"
    case = measure.Case(section, "sigmoid", (1024,), "float16")
    error = pages.errors_of(case, ours, getattr(pages, change))["cyact"]
    assert 0.4 < error < 0.51


def test_a_line_of_the_page_has_both_times_of_each_size():
    lines = pages.lines_of([timed("gelu", 1 << 14, 2e-5, 1e-5), timed("gelu", 1 << 20, 1e-3, 2e-3)])
    assert lines[2].split() == ["gelu", "1.22", "0.610", "0.50x", "0.954", "1.91", "2.00x",
                                "0.500", "-"]
    assert lines[-1].split()[-2:] == ["0.50x", "2.00x"]


def test_only_what_lies_between_the_marks_is_replaced():
    page = f"before\n{pages.BEGIN}\nold\n{pages.END}\nafter\n"
    assert pages.replaced(page, "new") == "before\nnew\nafter\n"
    with pytest.raises(SystemExit, match="no place"):
        pages.replaced("a page", "new")


@pytest.mark.parametrize("change", ["computed", "with_bias"])
def test_changed_statements_compute_what_they_are_said_to(change):
    case = measure.Case("elementwise", "relu", (1024,), "float16")
    arrays = measure.make_arrays(case)
    ours = contenders.installed(["cyact"])[0][0]
    bound = getattr(pages, change)("cyact", ours.offer("relu", arrays, False, 1))
    exact = np.maximum(arrays.x if change == "computed" else
                       arrays.x.reshape(2, 512) + np.linspace(-1, 1, 512), 0)
    np.testing.assert_allclose(bound.result(), exact, rtol=2e-3, atol=2e-3)


def test_the_readme_gets_the_tables_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = [result(1.5), result(0.5, section="rows", fresh=True), result(3.0, size=1 << 20)]
    facts = {"machine": "a machine", "cores": 2, "system": "Linux", "python": "3.12", "commit": "c",
             "versions": {"NumPy": "2.0", "cyact": "1", "torch": "2.5+cpu"}, "notes": [],
             "environment": {}, "cyact": {"level": "v3"}}
    report.write_json(tmp_path / "results.json", facts, results)
    (tmp_path / "chart.png").write_bytes(b"picture")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "benchmarks.md").write_text("before\n```text\nold\n```\nafter\n")
    (tmp_path / "README.md").write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    readme.main(["results.json"])
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| gelu, 16K elements | **1.00 · 0.500** | 1.50 · 1.50 | – | – | – |" in text
    assert "| softmax, 16384 | 1.00 · 0.500 | **0.500 · 1.50** | – | – | – |" in text
    assert "| 1M elements, one thread, `out=` | 3.00× (3.00–3.00) | – | – | – | – |" in text
    assert "a machine, 2 cores, level v3, Python 3.12, NumPy 2.0, PyTorch 2.5." in text
    page = (tmp_path / "docs" / "benchmarks.md").read_text()
    assert page.startswith("before\n```text\na machine, 2 cores")
    assert page.endswith("\n```\nafter\n")
    assert (tmp_path / "docs" / "benchmarks.png").read_bytes() == b"picture"
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(SystemExit, match=r"no place for this: .*benchmarks\.readme"):
        readme.main(["results.json"])
    assert (tmp_path / "docs" / "benchmarks.md").read_text() == page


# python -m benchmarks.strided

@pytest.mark.parametrize("function", strided.CALLS)
def test_rows_with_gaps_and_without_give_one_result(function):
    bound = strided.bound_calls(function, "float32", 60, 3, 4)
    gaps, none, whole = (bound[name].result() for name in ("gaps", "none", "whole"))
    assert gaps.shape == (20, 3)
    assert not bound["gaps"].names["x"].flags.contiguous
    np.testing.assert_array_equal(gaps, none)
    np.testing.assert_array_equal(gaps, whole[:, :3])


@pytest.mark.parametrize(("gaps", "whole", "function", "missed"), [
    (1.9, 1.0, "relu", False), (2.1, 1.0, "relu", True), (2.1, 1.8, "relu", False),
    (2.1, 1.0, "backward.relu", False)])
def test_gaps_may_double_an_input_s_time(monkeypatch, capsys, gaps, whole, function, missed):
    monkeypatch.setattr(strided, "measured", lambda *_: (gaps, 1.0, whole, 3.0))
    assert strided.main(["--check", "--functions", function]) == missed
    assert strided.main(["--functions", function]) == 0
    assert f"1.000 {gaps:.1f} {whole:.1f}  3.0" in capsys.readouterr().out
