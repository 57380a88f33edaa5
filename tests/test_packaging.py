"""The installed package holds what it should and nothing else."""

import importlib.metadata
import importlib.util
import platform
import sys
from pathlib import Path

import pytest

import cyact

FOLDER = Path(cyact.__file__).parent
LEVELS = (["baseline", "v3", "v4"]
          if platform.machine().lower() in {"x86_64", "amd64"} and sys.maxsize > 2**32
          else ["baseline"])


@pytest.fixture
def installed():
    """Its files as installed; an editable installation points at the sources instead."""
    files = importlib.metadata.files("cyact")
    if "cyact/__init__.py" not in map(str, files):
        pytest.skip("cyact is installed in editable mode")
    return files


def test_the_version_is_that_of_the_metadata():
    assert cyact.__version__ == importlib.metadata.version("cyact")


def test_numpy_is_all_it_requires():
    requires = importlib.metadata.requires("cyact")
    assert [line for line in requires if "extra ==" not in line] == ["numpy>=2.0"]


@pytest.mark.parametrize("extra", ["test", "interop", "plot", "examples", "bench", "docs"])
def test_the_extras_exist(extra):
    assert extra in importlib.metadata.metadata("cyact").get_all("Provides-Extra")


def test_type_checkers_find_its_types():
    assert (FOLDER / "py.typed").is_file()
    for name in ["__init__", "_engine/threads", "backward", "derivative"]:
        assert (FOLDER / f"{name}.pyi").is_file()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("part", ["elementwise", "rows", "sparse", "losses"])
def test_every_level_is_built(part, level):
    assert importlib.util.find_spec(f"cyact._level.{part}_{level}") is not None


def test_no_other_level_is_built():
    assert cyact.show_config("dict")["levels built"].split(", ") == LEVELS


def test_no_sources_are_installed(installed):
    assert not [file for file in installed if file.suffix in {".pyx", ".c", ".h", ".html", ".o"}]


def test_only_the_package_is_installed(installed):
    """No tests, benchmarks or build folders beside it."""
    places = {file.parts[0] for file in installed if file.parts[0] != ".."}
    assert places == {"cyact", f"cyact-{cyact.__version__}.dist-info"}


def test_it_is_small(installed):
    """The compiled modules take about 2 MB, the wheel about 1."""
    assert sum(file.size or 0 for file in installed) < 10_000_000
