"""The texts that list functions list all of them, as the catalogue knows them."""

import importlib.util
import re
from pathlib import Path

import pytest

import cyact
from cyact._catalog import FAMILIES

ROOT = Path(__file__).resolve().parent.parent
TOOL = ROOT / "tools" / "functions_page.py"


@pytest.fixture(scope="module")
def tool():
    if not TOOL.exists():
        pytest.skip("the tests are not in the source tree")
    spec = importlib.util.spec_from_file_location("functions_page", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_not_stale(tool):
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), \
        "run python tools/functions_page.py"


def test_the_page_has_a_section_for_each_function(tool):
    by_families = [record.name for family in FAMILIES
                   for record in cyact.catalog.find(family=family)]
    assert re.findall(r"^### (\w+)$", tool.page(), re.MULTILINE) == by_families
    assert sorted(by_families) == sorted(cyact.catalog)
    assert tuple(tool.FAMILIES) == FAMILIES


def test_its_claims_are_those_of_the_record(tool):
    softsign = "\n".join(tool.entry(cyact.catalog["softsign"]))
    assert "range (-1, 1), bounded, monotonic, f' not monotonic, zero-centred" in softsign
    assert "once continuously differentiable, a higher derivative jumps at 0" in softsign
    assert "the identity near 0, saturates on both sides" in softsign
    assert "jumps at -0.5 and 0.5" in "\n".join(tool.entry(cyact.catalog["hard_shrink"]))
    assert "  - `alpha`: finite; default 1/6" in tool.entry(cyact.catalog["hard_sigmoid"])
    assert "  - `threshold`: finite or infinite, not NaN; no default" in \
        tool.entry(cyact.catalog["threshold"])


def test_answers_of_the_page_are_those_of_find(tool):
    call, answer = tool.question({"bounded": True, "continuity": 1}).split("\n")
    assert call == ">>> [r.name for r in cyact.catalog.find(bounded=True, continuity=1)]"
    assert answer == "['softsign']"


@pytest.fixture(scope="module")
def readme():
    if not (ROOT / "README.md").exists():
        pytest.skip("the tests are not in the source tree")
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_function(readme):
    assert set(cyact.catalog) <= set(re.findall(r"`(\w+)`", readme))


def test_the_ten_lines_of_the_readme_run(readme, capsys):
    code = readme.partition("## In ten lines")[2].partition("```python\n")[2].partition("```")[0]
    assert len(code.strip().splitlines()) == 2 + 10
    found = {}
    exec(code, found)
    assert capsys.readouterr().out.startswith("x * sigmoid(beta * x) silu mish")
    assert (found["h"] == cyact.swiglu(found["x"])).all()
    assert found["half"].dtype == "float16"


@pytest.mark.parametrize("record", cyact.catalog.values(), ids=lambda r: r.name)
def test_references_of_records_are_in_the_docstring(record):
    text = " ".join(record.function.__doc__.partition("References")[2].split())
    assert bool(record.reference) == bool(text)
    assert text.startswith(f"---------- {record.reference}" if text else "")
