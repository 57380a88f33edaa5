"""Adding a function touches two places: the example of CONTRIBUTING.md, done word for word.

The sources are copied, the text's pieces of code inserted, and the one module that they change
compiled for the baseline level, with little optimisation. Everything else has to follow.
"""

import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

import cyact

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = Path(cyact.__file__).parent

# Before what each piece of code goes, in the order of the text
ANCHORS = ["# threshold: x if x > threshold", 'add(table, name=b"thresholded_relu"',
           "_thresholded_relu = ", '@activation("rectifiers", "x if x > theta else 0"',
           '("thresholded_relu",): Reference(']


def pieces():
    """(file, code) of each piece of code: the file is the last one named before it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    text = text.partition("## Add a function: two places\n")[2].partition("\n## ")[0]
    told, found = "", []
    for match in re.finditer(r"(.*?)^( *)```\w+\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
        told += match[1]
        place = re.findall(r"in\s`((?:cyact|tests)/[\w/]+\.\w+)`", told)[-1]
        found.append((place, textwrap.dedent(match[3])))
    return found


def insert(path, code, anchor):
    """Put code before an anchor, as far indented."""
    text = path.read_text(encoding="utf-8")
    assert text.count(anchor) == 1, f"{path.name} has not one {anchor!r}"
    at = text.index(anchor)
    line = text.rfind("\n", 0, at) + 1
    gap = "\n\n" if "def " in code else ""
    path.write_text(text[:line] + textwrap.indent(code, text[line:at]) + gap + text[line:],
                    encoding="utf-8")


def require_sources():
    """Skip where a function cannot be added: there are no sources, or nothing to compile them."""
    if not (ROOT / "setup.py").exists():
        pytest.skip("the tests are not in the source tree")
    for module in ("Cython", "setuptools"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")
    compiler = (sysconfig.get_config_var("CC") or "cl").split()[0]
    if not shutil.which(compiler):
        pytest.skip(f"needs the C compiler {compiler}")
    for source in (ROOT / "cyact").glob("*.py"):
        installed = INSTALLED / source.name
        if not installed.exists() or installed.read_bytes() != source.read_bytes():
            pytest.skip(f"the cyact that is installed has another {source.name} than the sources")


def build(folder):
    """Compile the elementwise kernels for the baseline; the other modules are the installed."""
    for module in INSTALLED.rglob("*"):
        if module.name.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)) \
                and not module.name.startswith("elementwise_"):
            shutil.copy(module, folder / "cyact" / module.relative_to(INSTALLED))
    script = folder / "setup.py"
    text = script.read_text(encoding="utf-8").replace('"-O3"', '"-O1"')
    for name, modules in (("LEVELS", ["baseline"]), ("SHARED", []),
                          ("PER_LEVEL", {"elementwise": "elementwise/table.pyx"})):
        text, found = re.subn(rf"^{name} = ({{[^}}]*}}|\[[^\]]*\].*|.*)", f"{name} = {modules}",
                              text, flags=re.MULTILINE)
        assert found == 1
    script.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "setup.py", "build_ext", "--inplace"], cwd=folder,
                          text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The sources with one function more, compiled."""
    require_sources()
    folder = tmp_path_factory.mktemp("tree")
    for part in ("cyact", "tests", "tools"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns(
            "__pycache__", *["*" + suffix for suffix in importlib.machinery.EXTENSION_SUFFIXES]))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for (place, code), anchor in zip(pieces(), ANCHORS, strict=True):
        insert(folder / place, code, anchor)
    build(folder)
    return folder


def run(folder, *command):
    """Python in the tree: its cyact, at the baseline level."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "CYACT_ISA": "baseline"}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(folder, code):
    run(folder, "-c", """
import numpy as np
import cyact
x = np.array([[-2.0, -1.0, -0.5], [np.nan, 0.3, np.inf]], np.float32)
same = lambda a, b: np.testing.assert_array_equal(a, b, strict=True)
""" + textwrap.dedent(code))


def test_the_text_names_two_places_in_the_package():
    if not (ROOT / "CONTRIBUTING.md").exists():
        pytest.skip("the tests are not in the source tree")
    places = dict.fromkeys(place for place, _ in pieces())
    assert [place for place in places if place.startswith("cyact/")] == \
        ["cyact/_level/elementwise/rectifiers.pxd", "cyact/elementwise.py"]


def test_it_has_value_derivative_and_backward(tree):
    check(tree, """
        value = np.array([[-1, -1, -0.5], [np.nan, 0.3, np.inf]], np.float32)
        slope = np.array([[0, 0, 1], [np.nan, 1, 1]], np.float32)
        same(cyact.shifted_relu(x), value)
        same(cyact.derivative.shifted_relu(x), slope)
        same(cyact.backward.shifted_relu(3 * np.ones_like(x), x), 3 * slope)
        same(cyact.shifted_relu(x.astype(float), low=0.1), np.maximum(x.astype(float), 0.1))
        """)


def test_it_takes_a_bias(tree):
    check(tree, """
        bias = np.array([0.5, -3, 1], np.float32)
        same(cyact.shifted_relu(x, bias=bias), cyact.shifted_relu(x + bias))
        dx, dbias = cyact.backward.shifted_relu(np.ones_like(x), x, bias=bias)
        same(dx, cyact.derivative.shifted_relu(x + bias))
        same(dbias, dx.sum(0))
        """)


def test_it_takes_half_types_integers_strides_and_out(tree):
    check(tree, """
        small = x.astype(np.float16)
        same(cyact.shifted_relu(small, 0.3001), np.maximum(small, np.float16(0.3001)))
        same(cyact.shifted_relu(np.arange(-3, 3)), np.maximum(np.arange(-3.0, 3), -1))
        same(cyact.shifted_relu(x[:, ::-2]), cyact.shifted_relu(x)[:, ::-2])
        expected = cyact.shifted_relu(x)
        assert cyact.shifted_relu(x, out=x) is x
        same(x, expected)
        """)


def test_it_has_a_ufunc_that_other_array_types_take(tree):
    check(tree, """
        y = cyact.shifted_relu(np.ma.masked_invalid(x))
        assert type(y) is np.ma.MaskedArray
        same(y.mask, ~np.isfinite(x))
        same(y[0].data, np.array([-1, -1, -0.5], np.float32))
        """)


def test_it_is_in_the_catalogue_and_its_parameter_is_checked(tree):
    check(tree, """
        record = cyact.catalog["Shifted-ReLU"]
        assert record.function is cyact.shifted_relu
        assert [(p.name, p.default) for p in record.parameters] == [("low", -1.0)]
        assert record in cyact.catalog.find(saturates="left", identity_at_origin=True)
        assert record.reference.startswith("D.-A. Clevert")
        assert "shifted_relu" in cyact.__all__
        assert "float16, bfloat16" in cyact.shifted_relu.__doc__
        for module in (cyact, cyact.derivative, cyact.backward):
            try:
                getattr(module, "shifted_relu")(x, *[x] * (module is cyact.backward), np.inf)
            except ValueError as error:
                assert "shifted_relu: low must be finite" in str(error)
            else:
                assert False
        """)


def test_its_stubs_are_written(tree):
    run(tree, "tools/stubs.py")
    run(tree, "tools/stubs.py", "--check")
    for module in ("__init__", "derivative", "backward"):
        text = (tree / "cyact" / f"{module}.pyi").read_text()
        assert re.search(r"^def shifted_relu\(.*low: float = -1.0", text, re.MULTILINE)


def test_the_generic_tests_take_it_up(tree):
    """All but those for which its error is measured, or its machine code read."""
    told = run(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k",
               "shifted_relu and not errors_are_measured", "--ignore=tests/test_vectorised.py",
               "tests")
    assert int(re.search(r"(\d+) passed", told)[1]) > 50
