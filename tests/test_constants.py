"""Constants of the kernels come from scripts in tools/, which print their errors."""

import math
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "tools").is_dir():
    pytest.skip("tools/ is in the checkout only", allow_module_level=True)
SCRIPTS = ["constants32.py", "constants64.py", "constants_rows.py"]
LEVEL = ROOT / "cyact" / "_level"
SOURCES = sorted(path.relative_to(LEVEL).as_posix()
                 for path in LEVEL.rglob("*") if path.suffix in {".pyx", ".pxd", ".pxi", ".h"}
                 and path.name not in {"__init__.pxd", "abi.pxd"})
NUMBER = re.compile(r"(?<![\w.])-?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
# Where something ends, or some slack: nothing is approximated by them
LIMITS = {3.402823669209385e38, 1.0000001, 128.9240}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def printed():
    """What each script prints; they fail where a constant is not in the source as it is there."""
    def run(script):
        return subprocess.run([sys.executable, ROOT / "tools" / script, "--check"], text=True,
                              capture_output=True, check=True).stdout
    with ThreadPoolExecutor() as pool:
        return list(pool.map(run, SCRIPTS))


def numbers(text):
    return {abs(float(n)) for n in NUMBER.findall(text)}


def short(x):
    """Whole numbers, and those of few digits or bits: thresholds, and terms that shift."""
    return x == int(x) or x == float(f"{x:.4g}") or math.frexp(x)[0] * 2**12 % 1 == 0


@pytest.mark.parametrize("source", SOURCES)
def test_every_constant_is_made_by_a_script(source, printed):
    made = set().union(*map(numbers, printed))
    made |= {float(np.float32(x)) for x in made if x < 3e38}
    code = re.sub(r"#.*|\"\"\"(?s:.*?)\"\"\"", "", (LEVEL / source).read_text())
    unknown = [x for x in sorted(numbers(code)) if not short(x) and x not in LIMITS | made
               and float(np.float32(x)) not in made]
    assert unknown == []


def test_every_script_prints_errors(printed):
    for script, text in zip(SCRIPTS, printed, strict=True):
        assert text.count("2^-") > 3, script


@pytest.mark.parametrize("source", ["maths32.pxd", "maths64.pxd", "rows/exponentials.pxd"])
def test_the_source_names_its_script(source):
    assert re.search(r"tools/constants\w+\.py", (LEVEL / source).read_text())
