"""Importing: levels, what comes along, what is left alone; configuration; pickling."""

import copy
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from cases import KERNELS, same_bits

import cyact

CONFIG = cyact.show_config("dict")
AVAILABLE = CONFIG["levels available"].split(", ")


@pytest.mark.parametrize("level", ["v9", "V3", "avx2", " ", "baseline,v3"])
def test_a_level_that_does_not_exist_is_an_import_error(run_python, level):
    done = run_python("import cyact", CYACT_ISA=level, check=False)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: CYACT_ISA={level!r}: there is no such level; use one of")
    assert "baseline" in last


@pytest.mark.parametrize("level", ["baseline", "v3", "v4"])
def test_every_level_can_be_asked_for(run_python, level):
    code = "import cyact; print(cyact.show_config('dict')['level'], float(cyact.sigmoid(1.0)))"
    if level in AVAILABLE:
        assert run_python(code, CYACT_ISA=level).stdout.split() == [level, "0.7310585786300049"]
    else:
        done = run_python(code, CYACT_ISA=level, check=False)
        assert f"ImportError: CYACT_ISA={level!r}" in done.stderr
        assert "does not" in done.stderr


def test_the_best_level_is_the_default(run_python):
    code = "import cyact; print(cyact.show_config('dict')['level'])"
    assert run_python(code, CYACT_ISA="").stdout.strip() == AVAILABLE[-1]


def test_only_one_level_is_loaded(run_python):
    code = "import sys, cyact; print(*sorted(m for m in sys.modules if m.startswith('cyact._')))"
    loaded = run_python(code, CYACT_ISA="baseline").stdout.split()
    for part in ("elementwise", "rows", "losses"):
        assert f"cyact._level.{part}_baseline" in loaded
    assert not [m for m in loaded if m.endswith(("_v3", "_v4"))]


def test_a_tree_that_is_not_compiled_says_what_to_do(run_python, tmp_path):
    shutil.copytree(Path(cyact.__file__).parent, tmp_path / "cyact",
                    ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import cyact"
    done = run_python(code, check=False)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: cyact's compiled modules cannot be imported from ")
    assert "pip install -e ." in last


def test_importing_leaves_subnormal_numbers_alone(run_python):
    code = """
        import numpy as np
        tiny, small = np.float32(1e-40), np.float64(1e-310)
        def alive():
            return (tiny * np.float32(1) != 0 and small * np.float64(1) != 0
                    and (np.full(64, tiny) * np.float32(0.5)).all()
                    and (np.full(64, small) * np.float64(0.5)).all())
        assert alive()
        import cyact
        assert alive()
        cyact.gelu(np.linspace(-20, 20, 1_000_000))
        cyact.softmax(np.linspace(-900, 20, 1_000_000, dtype=np.float32))
        assert alive()
        import threading
        found = []
        t = threading.Thread(target=lambda: found.append(alive()))
        t.start(); t.join()
        assert found == [True]
    """
    run_python(code)


def test_importing_brings_nothing_heavy_along(run_python):
    code = """
        import sys
        import numpy
        before = set(sys.modules)
        import cyact
        print(*{m.partition(".")[0] for m in set(sys.modules) - before})
    """
    brought = set(run_python(code).stdout.split())
    heavy = {"scipy", "pandas", "xarray", "dask", "torch", "matplotlib", "inspect",
             "typing_extensions", "multiprocessing", "asyncio", "unittest", "mpmath", "Cython"}
    assert not brought & heavy


def test_using_functions_brings_nothing_heavy_along(run_python):
    code = """
        import sys
        import numpy as np, cyact
        cyact.softmax([1.0, 2.0]); cyact.derivative.gelu(1.0); cyact.backward.gelu(1.0, 1.0)
        cyact.cross_entropy([[1.0, 2.0]], [0]); cyact.softmax(np.ma.array([1.0, 2.0]))
        print(*{m.partition(".")[0] for m in sys.modules})
    """
    assert not {"scipy", "pandas", "xarray", "dask", "torch", "matplotlib"} & set(
        run_python(code).stdout.split())


# Configuration

def test_show_config_as_a_dict():
    told = cyact.show_config("dict")
    assert told["cyact"] == cyact.__version__
    assert told["level"] in AVAILABLE
    assert set(AVAILABLE) <= set(told["levels built"].split(", "))
    assert told["NumPy"] == np.__version__
    assert told["threads"] == cyact.get_num_threads()
    assert "ffast-math" not in told["flags"]


def test_show_config_as_text(capsys):
    assert cyact.show_config() is None
    lines = capsys.readouterr().out.splitlines()
    told = cyact.show_config("dict")
    assert len(lines) == len(told)
    for line, (name, value) in zip(lines, told.items(), strict=True):
        assert line.startswith(name)
        assert line.endswith(str(value))


@pytest.mark.parametrize("mode", ["json", None, 1])
def test_show_config_names_its_modes(mode):
    with pytest.raises(ValueError, match="'stdout' or 'dict', got"):
        cyact.show_config(mode)


# Pickling

@pytest.mark.parametrize("case", KERNELS, ids=str)
def test_functions_pickle_by_name(case):
    for module in (cyact, cyact.derivative, cyact.backward):
        function = getattr(module, case.name)
        assert pickle.loads(pickle.dumps(function)) is function
        assert copy.deepcopy(function) is function


def test_other_public_functions_pickle():
    for function in (cyact.softmax, cyact.logsumexp, cyact.backward.softmax, cyact.cross_entropy,
                     cyact.kl_div, cyact.swish, cyact.derivative.expit):
        assert pickle.loads(pickle.dumps(function)) is function


def test_pickled_functions_work_in_a_process_that_has_not_used_them(run_python, tmp_path):
    (tmp_path / "functions").write_bytes(pickle.dumps(
        [cyact.gelu, cyact.derivative.gelu, cyact.backward.gelu, cyact.softmax]))
    run_python("""
        import pickle
        with open("functions", "rb") as file:
            value, derivative, backward, softmax = pickle.load(file)
        assert backward(2.0, 0.5) == 2 * derivative(0.5)
        assert value(0.0) == 0 and softmax([0.0]) == 1
    """)


def test_ufuncs_pickle(run_python, tmp_path):
    """Dask sends them to other processes, which may not have used them yet."""
    from cyact._engine import ufuncs
    x = np.linspace(-1, 1, 6).reshape(2, 3)
    kept = np.ma.masked_array(x)        # anything but an exact ndarray goes through a ufunc
    cyact.sigmoid(kept), cyact.sigmoid(kept, bias=x[0]), cyact.derivative.sigmoid(kept)
    cyact.backward.sigmoid(kept, kept), cyact.backward.sigmoid(kept, output=kept)
    found = [v for v in vars(ufuncs).values() if isinstance(v, np.ufunc)]
    assert len(found) >= 5
    for ufunc in found:
        assert pickle.loads(pickle.dumps(ufunc)) is ufunc
    (tmp_path / "ufuncs").write_bytes(pickle.dumps(found))
    run_python("""
        import pickle
        with open("ufuncs", "rb") as file:
            print([f.nin for f in pickle.load(file)])
    """)
    assert same_bits(ufuncs.sigmoid__value(x), cyact.sigmoid(x))
    with pytest.raises(AttributeError, match="no attribute 'nonsense__value'"):
        ufuncs.nonsense__value  # noqa: B018
