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


accuracy, bars, catalog, contenders = map(load, ("accuracy", "bars", "catalog", "contenders"))
main, matrix, measure, peers = map(load, ("__main__", "matrix", "measure", "peers"))
report, rows, tables, timing = map(load, ("report", "rows", "tables", "timing"))

EVERY = catalog.ELEMENTWISE.values()
by_function = pytest.mark.parametrize("function", EVERY, ids=lambda f: f.name)


def test_every_elementwise_function_is_compared():
    compared = {f.case.name for f in EVERY}
    assert {r.name for r in cyact.catalog.values() if r.kind == "elementwise"} <= compared
    assert set(peers.EXPRESSIONS) <= {*catalog.ELEMENTWISE, *catalog.ROWS}
    assert set(catalog.COMMON) <= set(catalog.ELEMENTWISE)
    libraries = {*contenders.CONTENDERS, "torch backward"}
    for function, entry in peers.EXPRESSIONS.items():
        assert set(entry) <= libraries, function


@by_function
def test_inputs_are_inside_the_domain(function):
    x = function.inputs(np.array([-3.5, -1.1, -0.2, 0.3, 1.7, 4.3]))
    assert len(function.inside(x)) == len(x)
    for dtype in (np.float16, np.float32):
        sample = accuracy.sample(function, np.dtype(dtype))
        assert len(sample) > 10_000
        assert np.isfinite(sample).all()


def test_functions_are_named_by_themselves_or_with_a_choice():
    assert catalog.named(["gelu"]) == ["gelu", "gelu(tanh)", "gelu(sigmoid)"]
    assert catalog.named(["gelu(tanh)", "softmax", "mish"]) == ["mish", "gelu(tanh)", "softmax"]
    with pytest.raises(KeyError, match="no function is called nonsense"):
        catalog.named(["relu", "nonsense"])


def test_a_run_takes_functions_as_arguments(capsys):
    options = main.arguments(["mish"])
    assert options.functions == ["mish"]
    cases = main.cases_of(options)
    assert {case.function for case in cases} == {"mish"}
    assert {case.section for case in cases} == {"elementwise", "backward", "calls"}
    with pytest.raises(SystemExit):
        main.arguments(["nonsense"])
    assert "no function is called nonsense" in capsys.readouterr().err


def test_every_function_is_measured_where_that_is_asked():
    cases = main.cases_of(main.arguments(["--every"]))
    assert {c.function for c in cases} == set(catalog.ELEMENTWISE)
    assert {c.dtype for c in cases} == {"float32", "float16", "bfloat16"}
    usual = main.cases_of(main.arguments([]))
    assert {c.function for c in usual} == {*catalog.COMMON, *catalog.COMMON_ROWS}


@pytest.mark.parametrize(("entry", "fresh", "into"), [
    ("nn.mish(x)", "nn.mish(x)", "nn.mish(x, out=y)"),
    (("f(x)",), "f(x)", None),
    (("2 * np.exp(x)", "exp(x); multiply(y, 2)"), "2 * np.exp(x)",
     "np.exp(x, out=y); np.multiply(y, 2, out=y)"),
    (("x.copy()", "np.copyto(y, x)"), "x.copy()", "np.copyto(y, x)"),
    ("aten.gelu_backward(g, x)", "aten.gelu_backward(g, x)",
     "aten.gelu_backward.grad_input(g, x, grad_input=y)")])
def test_entries_of_the_table_are_written_out(entry, fresh, into):
    assert contenders.statements(entry) == (fresh, into)


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


def wide(function, what, x):
    """True values in float64."""
    formulas = function.case.reference
    formula = formulas.wide if what == "value" else formulas.wide_derivative
    return np.asarray(formula(x.astype(np.float64), *function.case.numbers), np.float64)


@by_function
@pytest.mark.parametrize("name", ["cyact", "NumPy"])
def test_contenders_compute_the_function_they_are_listed_for(name, function):
    case = measure.Case("elementwise", function.name, (100,))
    check_values(name, function.name, lambda a: wide(function, "value", a.x), case, 1e-5)


@by_function
def test_cyact_s_backward_passes_are_the_derivatives(function):
    if not function.backward:
        pytest.skip("has none of x alone")
    case = measure.Case("backward", function.name, (100,))
    check_values("cyact", case.key, lambda a: wide(function, "derivative", a.x), case, 1e-5)


@pytest.mark.parametrize("function", accuracy.ROWS)
@pytest.mark.parametrize("name", ["cyact", "NumPy"])
@pytest.mark.parametrize(("shape", "axis"), [((6, 10), -1), ((2, 5, 3, 4), 1)])
def test_contenders_compute_the_row_function_they_are_listed_for(name, function, shape, axis):
    case = measure.Case("rows", function, shape, axis=axis)
    check_values(name, function, lambda a: accuracy.ROWS[function](
        a.x, a.axis, a.target).astype(np.float64), case, 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("section", "function", "least", "most"), [
    ("elementwise", "gelu(tanh)", 0.4, 2), ("backward", "sigmoid", 0.3, 2),
    ("backward", "silu", 0.3, 2), ("elementwise", "relu", 0, 0)])
def test_errors_are_found_and_within_the_bounds(section, function, least, most, dtype):
    errors = measure.Errors(contenders.installed(["cyact", "NumPy"])[0])
    found = errors.of(measure.Case(section, function, (16,), dtype))
    assert least <= found["cyact"] <= (most if dtype == "float64" else min(most, 1))
    assert section == "backward" or found["NumPy"] >= found["cyact"]


def test_errors_of_rows():
    errors = measure.Errors(contenders.installed(["cyact", "NumPy"])[0])
    found = errors.of(measure.Case("rows", "softmax", (60, 100), fresh=True))
    assert 0.5 < found["cyact"] <= 2 < found["NumPy"]
    assert errors.of(measure.Case("rows", "backward.softmax", (6, 10))) == {}


PEER = """
import contextlib, importlib.util, sys, warnings
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

def compare(key, statement, dtype, x, result, exact):
    compared.add(key)
    inside = np.abs(exact) < 1e4        # float16 overflows soon
    if result.dtype != dtype or not np.allclose(
            result.astype(float)[inside], exact[inside], known[dtype], known[dtype]):
        at = np.argmax(np.abs(result - exact))
        wrong.append((key, statement, dtype, x[at], result[at], exact[at]))

for function in catalog.ELEMENTWISE.values():
    for section in ("elementwise", "backward"):
        formulas = function.case.reference
        formula = formulas.wide_derivative if section == "backward" else formulas.wide
        for dtype in set(peer.dtypes) & set(known):
            case = measure.Case(section, function.name, (300,), dtype)
            arrays = measure.make_arrays(case)
            exact = formula(arrays.x.astype(np.float64), *function.case.numbers)
            for fresh in (True, False):
                with peer.threads(count), np.errstate(all="ignore"):
                    bound = peer.offer(case.key, arrays, fresh, count)
                    if bound is not None:
                        compare(case.key, bound.statement, dtype, arrays.x, bound.result(), exact)
            if dtype in ("float32", "float64"):
                f = peer.derivative(function.name) if section == "backward" else (
                    peer.value(function.name))
                if f is not None and function.name not in ("step", "rrelu", "prelu"):
                    with contextlib.suppress(TypeError):      # ORT has not every dtype
                        compare("tool." + case.key, "", dtype, arrays.x, f(arrays.x), exact)
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
    timings = {"cyact": timing.Timing("", [1.0, 1.0, 2.0]),
               "peer": timing.Timing("", [2.0, 3.0, 6.0])}
    peer = timing.summarize(timings)["peer"]
    assert peer.median == 3
    assert peer.ratio == 3
    assert (peer.low, peer.high) == (2.5, 3)
    assert timings["cyact"].ratio == 1
    assert timings["cyact"].spread == 0


def result(ratio, size=16 << 10, section="elementwise", ulp=0.5, threads=1, fresh=False):
    ours = timing.Timing("", [], median=1e-9 * size, ulp=ulp)
    peer = timing.Timing("", [], median=ratio * 1e-9 * size, ratio=ratio, ulp=1.5)
    function = "softmax" if section == "rows" else "gelu"
    name = "np.exp" if section == "calls" else "torch"
    return (measure.Case(section, function, (size,), "float32", threads, fresh),
            {"cyact": ours, name: peer})


@pytest.mark.parametrize(("changed", "fails"), [
    ({}, None), (0, "16K: geometric mean"), (0, "commonest alone"), (1, "1M: geometric mean"),
    (2, "fresh 16M"), (3, "rows of 10"), (4, "call on 16"),
])
def test_check_fails_when_a_bar_is_missed(changed, fails):
    sizes = [(16 << 10, "elementwise", 2.5), (1 << 20, "elementwise", 2.5),
             (16 << 20, "elementwise", 1.5), (10240, "rows", 7), (16, "calls", 1.5)]
    results = [result(0.9 if i == changed else ratio, size, section)
               for i, (size, section, ratio) in enumerate(sizes)]
    lines, good = bars.check(results)
    assert good == (fails is None)
    assert fails is None or any(line.startswith("FAIL") and fails in line for line in lines)


def test_check_fails_without_measurements_and_on_an_error_above_one_ulp():
    assert not bars.check([])[1]
    lines, good = bars.check([result(3, ulp=1.01)])
    assert not good
    assert any(line.startswith("FAIL") and "1.01 (gelu)" in line for line in lines)


def test_tables_fit_a_hundred_columns_and_name_losses():
    text = tables.full_text([result(0.5), result(3.0)])
    assert "loses 1 of 2" in text
    assert "0.50x" in text
    assert max(map(len, text.splitlines()[:8])) <= 100


@pytest.mark.parametrize(("number", "text"), [
    (0.123456, "0.123"), (12.345, "12.3"), (999.9, "1000"), (1.7e7, "2e7"), (math.inf, "inf"),
])
def test_numbers_are_short(number, text):
    assert tables.short(number) == text


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
    assert options.functions == rows.FUNCTIONS == catalog.ROWS
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
        s, g = accuracy.ROWS["softmax"](x, axis, None), np.flip(x, axis)
        if function == "softmax":
            exact = s * (g - (g * s).sum(axis, keepdims=True))
        else:
            exact = g - s * g.sum(axis, keepdims=True)
        return exact.astype(np.float64)

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
    assert worst["cyact"]["sum"] <= rows.sum_bound(dtype)
    assert 0 < worst["cyact"]["softmax"] <= 2
    assert worst["NumPy"]["softmax"] > worst["cyact"]["softmax"]


def test_rows_check_fails_when_a_bar_is_missed_or_nothing_was_measured():
    cases = rows.bar_cases()
    good = {"softmax": 1.9, "log_softmax": 1.2, "sum": 1e-8}
    timed = [(case, bar, 1.01 * bar) for case, bar in cases]
    assert rows.check(timed, {"float32": {"cyact": good}})[1]
    assert not rows.check([], {"float32": {"cyact": good}})[1]
    lines, holds = rows.check([(cases[0][0], 10.0, 9.9)], {"float32": {"cyact": good}})
    assert not holds
    assert lines[0].startswith("FAIL  softmax 1024x10: torch/cyact at least 10: 9.90")
    for key in good:
        assert not rows.check(timed, {"float32": {"cyact": good | {key: 2.1}}})[1]
    assert not rows.check(timed, {"float32": {}})[1]


# python -m benchmarks.rows --matrix

EVERY_CELL = matrix.cells(matrix.OPERATIONS, ["float64"], [5, 48])


@pytest.mark.parametrize("cell", EVERY_CELL, ids=str)
def test_numpy_expressions_of_the_matrix_compute_what_cyact_does(cell):
    shape, axis = cell.place
    shape = tuple(n if i == axis else min(n, 7) for i, n in enumerate(shape))
    names = matrix.names(cyact, cell, shape, axis)
    call, expression = matrix.OPERATIONS[cell.operation]
    ours, theirs = eval(f"cyact.{call}", names), eval(f"rows.{expression}", names)
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
    assert matrix.main([*tiny, "--save", file]) == 0
    assert "maxout, float32" in capsys.readouterr().out
    before = matrix.read(Path(file))
    assert set(before) == {str(c) for c in matrix.cells(["maxout"], ["float32"], [3, 8])}
    matrix.main([*tiny, "--check", "--before", file])
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


# The pages

def timed(function, size, ours, torch, section="elementwise", dtype="float32"):
    timings = {name: timing.Timing("", [seconds, 2 * seconds], median=1.5 * seconds)
               for name, seconds in (("cyact", ours), ("torch", torch)) if seconds}
    timings["cyact"].ulp = 0.5
    return measure.Case(section, function, (size,), dtype), timings


FACTS = {"machine": "a machine", "cores": 2, "system": "Linux", "python": "3.12", "commit": "c",
         "versions": {"NumPy": "2.0", "cyact": "1", "torch": "2.5+cpu"}, "notes": [],
         "environment": {}, "cyact": {"level": "v3"}, "date": "2026-01-02"}


def test_the_page_has_both_times_of_each_function_and_lists_where_pytorch_is_faster():
    results = [timed("gelu", 1 << 14, 2e-5, 1e-5), timed("gelu", 1 << 20, 1e-3, 2e-3),
               timed("relu", 1 << 14, 1e-5, 2e-5), timed("prelu", 1 << 14, 1e-5, None),
               timed("gelu", 1 << 14, 2e-5, 1e-5, "backward", "float16"),
               timed("hard_swish", 1 << 20, 2e-5, 1e-5)]
    lines = report.every(FACTS, results)
    assert "a machine, 2 cores, level v3, Python 3.12, NumPy 2.0, PyTorch 2.5" in lines[0]
    assert lines[0].endswith("2026-01-02, commit c.")
    assert "| gelu | 1.22, **0.50×** | 0.954, 2.00× | – | – | 0.500, - | – |" in lines
    assert "| prelu | 0.610 | – | – | – | 0.500 | – |" in lines
    assert "| float16 | – | – | 0.50× (0.50–0.50) | – |" in lines
    assert "3 of 5 comparisons have a ratio below 0.97:" in lines
    assert "| gelu, float32, 16K | 1.22 | 0.610 | 0.50× | 0.500, - |  |" in lines
    assert any(line.startswith("| backward of gelu, float16, 16K") and "oneDNN" in line
               for line in lines)
    assert "0 of 1 comparisons have a ratio below 0.97:" in report.every(FACTS, results[1:2])


def test_only_what_lies_between_the_marks_is_replaced():
    begin, end = report.BEGIN.format("a"), report.END.format("a")
    page = f"before\n{begin}\nold\n{end}\nafter\n"
    assert report.replaced(page, "a", ["new"]) == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    with pytest.raises(SystemExit, match="no place"):
        report.replaced(page, "b", ["new"])


def test_the_pages_have_a_place_for_every_part():
    root = PACKAGE.parent.parent
    if not (root / "docs").is_dir():
        pytest.skip("docs/ is in the checkout only")
    report.replaced((root / "README.md").read_text(encoding="utf-8"), "speed", [])
    page = (root / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for part in ("glance", "every", "rows", "matrix"):
        page = report.replaced(page, part, [])


def test_the_readme_and_the_page_get_the_tables_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "chart", lambda path, *_: path.write_bytes(b"picture"))
    results = [result(1.5), result(0.5, section="rows", fresh=True), result(3.0, size=1 << 20)]
    folder = tmp_path / "results"
    tables.write_json(folder / "results.json", FACTS, results=measure.as_records(results))
    marks = {name: (report.BEGIN.format(name), report.END.format(name))
             for name in ("speed", "glance", "rows")}
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "benchmarks.md"
    page.write_text("before\n{}\nold\n{}\n".format(*marks["glance"])
                    + "{}\nkept\n{}\nafter\n".format(*marks["rows"]))
    (tmp_path / "README.md").write_text("before\n{}\nold\n{}\nafter\n".format(*marks["speed"]))
    assert report.main(["results"]) == 0
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| gelu, 16K elements | **1.00 · 0.500** | 1.50 · 1.50 | – | – | – |" in text
    assert "| softmax, 16384 | 1.00 · 0.500 | **0.500 · 1.50** | – | – | – |" in text
    assert ("| 1M elements, one thread, `out=` | 3.00× (3.00–3.00) | – | – | – | – |") in text
    assert "a machine, 2 cores, level v3, Python 3.12, NumPy 2.0, PyTorch 2.5;" in text
    written = page.read_text()
    assert "old" not in written
    assert "kept" in written
    assert "cyact is slower in 1 of 3 comparisons" in written
    assert page.with_suffix(".png").read_bytes() == b"picture"
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(SystemExit, match=r"no place for this: .*benchmarks\.report"):
        report.main(["results"])
    assert page.read_text() == written
    with pytest.raises(SystemExit, match=r"has none of results\.json"):
        report.main(["docs"])


def test_rows_and_the_matrix_become_tables():
    results = [(measure.Case("rows", "softmax", shape, axis=axis, fresh=True),
                {"cyact": timing.Timing("", [], median=1e-6, ulp=1.5),
                 "NumPy": timing.Timing("", [], median=2e-6, ulp=20.0)})
               for shape, axis in (((1024, 10), -1), ((7, 7), -1), ((8, 21, 256, 256), 1))]
    worst = {"float32": {"cyact": {"softmax": 1.5, "sum": 1e-8}, "NumPy": {}}}
    lines = report.along_an_axis(FACTS, results, worst)
    assert "| softmax, 1024 × 10 | **0.0977 · 1.50** | 0.195 · 20.0 |" in lines
    assert any(line.startswith("| softmax, 8 × 21 × 256 × 256, axis 1 |") for line in lines)
    assert not any("7 × 7" in line for line in lines)
    assert "| float32: sum of softmax - 1 | 1.0e-08 | – |" in lines
    cells = {"softmax float32 (2, 9) axis 0": {"cyact": 3.0, "numpy": 1.0, "twin": 1.0},
             "softmax float32 (9, 2) axis 1": {"cyact": 1.0, "numpy": 4.0}}
    assert report.every_shape(FACTS, cells)[-1] == (
        "| `softmax` | 2 | **1**; 3.00×, 3.00× | **1**; 3.00×, 3.00× |")
