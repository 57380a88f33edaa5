"""Fixtures that several test files share."""

import os
import subprocess
import sys
import textwrap

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:     # OpenMP's idle threads leave the cores to the others
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import cyact


@pytest.fixture
def run_python(tmp_path):
    """Run code in a fresh interpreter, away from the source tree; gives the finished process."""
    def run(code, *, timeout=120, check=True, **environment):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, text=True,
            capture_output=True, timeout=timeout,
            env={**os.environ, **{k: str(v) for k, v in environment.items()}})
        if check:
            assert done.returncode == 0, done.stderr
        return done
    return run


@pytest.fixture(autouse=True)
def threads_as_before():
    """A test that sets the number of threads does not change what later tests see."""
    yield
    cyact.set_num_threads(None)


@pytest.fixture(params=[1, 2, 5], ids=lambda n: f"{n} threads")
def threads(request):
    """Run the test on each of these numbers of threads."""
    with cyact.num_threads(request.param):
        yield request.param


def pytest_report_header(config):
    told = cyact.show_config("dict")
    return f"cyact {told['cyact']}: level {told['level']}, {told['threads']} threads"
