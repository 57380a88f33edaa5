"""How many threads a call gets, who else notices, and what happens after fork()."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from cases import KERNELS, same_bits

import cyact
from cyact._catalog import FAMILIES

needs_openmp = pytest.mark.skipif(cyact.show_config("dict")["OpenMP"].startswith("none"),
                                  reason="built without OpenMP")
X = np.linspace(-5, 5, 600_000)


# Setting and asking

@needs_openmp
def test_the_set_number_holds_until_changed():
    automatic = cyact.get_num_threads()
    assert automatic >= 1
    for n in (3, 1, 7):
        cyact.set_num_threads(n)
        assert cyact.get_num_threads() == n
    cyact.set_num_threads(None)
    assert cyact.get_num_threads() == automatic


@needs_openmp
def test_contexts_nest_and_win_over_the_set_number():
    cyact.set_num_threads(4)
    with cyact.num_threads(2):
        assert cyact.get_num_threads() == 2
        with cyact.num_threads(6):
            assert cyact.get_num_threads() == 6
            cyact.set_num_threads(5)
            assert cyact.get_num_threads() == 6
        assert cyact.get_num_threads() == 2
    assert cyact.get_num_threads() == 5


@needs_openmp
def test_an_exception_ends_a_context():
    before = cyact.get_num_threads()
    with pytest.raises(KeyError), cyact.num_threads(before + 3):
        raise KeyError
    assert cyact.get_num_threads() == before


@needs_openmp
def test_contexts_belong_to_one_python_thread():
    before = cyact.get_num_threads()
    seen = []
    with cyact.num_threads(before + 2):
        other = threading.Thread(target=lambda: seen.append(cyact.get_num_threads()))
        other.start()
        other.join()
    assert seen == [before]


@needs_openmp
def test_the_set_number_belongs_to_the_process():
    seen = []
    cyact.set_num_threads(3)
    other = threading.Thread(target=lambda: seen.append(cyact.get_num_threads()))
    other.start()
    other.join()
    assert seen == [3]


@pytest.mark.parametrize("function", [cyact.set_num_threads, cyact.num_threads])
def test_bad_numbers(function):
    before = cyact.get_num_threads()
    for n in (0, -1, 1025, 10**30):
        with pytest.raises(ValueError, match=f"{function.__name__}: n must be from 1 to 1024, got"):
            function(n)
    for n in (1.0, "2", [2], 2.5):
        with pytest.raises(TypeError, match=f"{function.__name__}: n must be an integer"):
            function(n)
    assert cyact.get_num_threads() == before


def test_a_context_needs_a_number():
    with pytest.raises(TypeError):
        cyact.num_threads(None)


@needs_openmp
def test_show_config_names_the_rule_that_decided():
    with cyact.num_threads(2):
        assert "num_threads" in cyact.show_config("dict")["threads decided by"]
    cyact.set_num_threads(2)
    assert "set_num_threads" in cyact.show_config("dict")["threads decided by"]


# Limits of others

@needs_openmp
def test_openmp_environment_is_respected(run_python):
    code = """
        import cyact
        print(cyact.get_num_threads(), cyact.show_config("dict")["threads decided by"])
    """
    n, _, rule = run_python(code, OMP_NUM_THREADS=1).stdout.strip().partition(" ")
    assert n == "1"
    assert rule == "OpenMP's limit"


@needs_openmp
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_affinity_is_respected(run_python):
    code = """
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import cyact
        print(cyact.get_num_threads())
    """
    assert run_python(code, OMP_NUM_THREADS=8).stdout.strip() == "1"


@needs_openmp
def test_threadpoolctl_is_respected():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        assert cyact.get_num_threads() == 1
        y = cyact.gelu(X)
    assert same_bits(cyact.gelu(X), y)


@needs_openmp
def test_limits_of_others_are_left_alone():
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def limits():
        return sorted((p["filepath"], p["num_threads"]) for p in threadpoolctl.threadpool_info())
    before = limits()
    cyact.set_num_threads(3)
    with cyact.num_threads(5):
        cyact.gelu(X)
    assert limits() == before


# The GIL

def other_thread_progress(call):
    """How often another Python thread got to run during the call."""
    count, running, stop = [0], threading.Event(), threading.Event()

    def work():
        running.set()
        while not stop.is_set():
            count[0] += 1
            time.sleep(0)

    other = threading.Thread(target=work)
    other.start()
    try:
        running.wait()
        before = count[0]
        call()
        return count[0] - before
    finally:
        stop.set()
        other.join()


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("function", [
    cyact.gelu, cyact.softmax, cyact.logsumexp, lambda x: cyact.gelu(x[::2]),
    lambda x: cyact.backward.gelu(x, x), lambda x: cyact.cross_entropy(x.reshape(-1, 10),
                                                                       np.zeros(len(x) // 10, int)),
    lambda x: cyact.binary_cross_entropy_with_logits(x, x),
], ids=["gelu", "softmax", "logsumexp", "strided gelu", "backward", "cross_entropy",
        "binary_cross_entropy_with_logits"])
def test_other_python_threads_run_during_a_large_call(function, n):
    x = np.linspace(-5, 5, 12_000_000)
    function(x[:100])
    with cyact.num_threads(n):
        # With the GIL held all along the other thread would be let in at most once or twice.
        progress = max(other_thread_progress(lambda: function(x)) for _ in range(3))
    assert progress > 10


def test_calls_from_many_python_threads_give_the_right_bits():
    expected = {case: case.value(X) for case in KERNELS[:6]}
    rows = X.reshape(-1, 10)
    soft = cyact.softmax(rows)
    wrong, barrier = [], threading.Barrier(8)

    def work(number):
        barrier.wait()
        with cyact.num_threads(1 + number % 3):
            for case in KERNELS[:6]:
                if not same_bits(case.value(X), expected[case]):
                    wrong.append((number, case))
            if not same_bits(cyact.softmax(rows), soft):
                wrong.append((number, "softmax"))
            if cyact.get_num_threads() != 1 + number % 3 and cyact.get_num_threads() != 1:
                wrong.append((number, "threads"))

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


# fork()

FORK = """
    import os, signal, sys, warnings
    warnings.simplefilter("ignore")
    import numpy as np, cyact
    x = np.linspace(-5, 5, 1_000_000)
    rows = x.reshape(-1, 10)
    before = {first}
    expected = None if before is None else (cyact.gelu(x), cyact.softmax(rows))
    child = os.fork()
    if child == 0:
        signal.alarm(60)                    # a hang ends the child
        cyact.set_num_threads(4)            # stays 1 nevertheless
        threads = cyact.get_num_threads()
        found = cyact.gelu(x), cyact.softmax(rows)
        with cyact.num_threads(2):
            again = cyact.gelu(x), cyact.softmax(rows)
        if before is not None:
            same = all((a == b).all() for a, b in zip(found + again, expected * 2))
        else:
            same = (found[0] == again[0]).all()
        os._exit(0 if same and threads == 1 else 3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, os.waitstatus_to_exitcode(status)
    if before is not None:                  # and the parent goes on in parallel
        assert (cyact.gelu(x) == expected[0]).all()
        built_with_openmp = "none" not in cyact.show_config("dict")["OpenMP"]
        assert cyact.get_num_threads() == (2 if built_with_openmp else 1)
    print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")
@pytest.mark.parametrize("first", ["cyact.set_num_threads(2) or cyact.gelu(x)", "None"],
                         ids=["after a parallel region", "before any"])
def test_a_forked_child_computes_and_does_not_hang(run_python, first):
    assert run_python(FORK.format(first=first)).stdout == "fine\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")
def test_a_pool_of_forked_processes_computes(run_python):
    code = """
        import multiprocessing, warnings
        warnings.simplefilter("ignore")
        import numpy as np, cyact
        x = np.linspace(-5, 5, 500_000)
        cyact.set_num_threads(2)
        expected = cyact.gelu(x)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = pool.map_async(cyact.gelu, [x] * 4).get(60)
        assert all((y == expected).all() for y in results)
    """
    run_python(code)


# Small stacks: musl gives threads 128 KB

SMALL_STACK = """
    import sys, threading, traceback, warnings
    sys.path.insert(0, {tests!r})
    import numpy as np, cyact
    from cases import DTYPES, ELEMENTWISE, HALVES, ROWS

    def elementwise(case):
        for dtype in DTYPES + HALVES:
            wide = np.float64 if dtype == np.float64 else np.float32
            for shape in ((2, 7), (30, 100), (3, 2, 3000)):
                x = np.ones(shape, dtype)
                bias = np.ones(shape[-1], wide)
                for a in (x, x[..., ::2], x[:, :-1], x.T):
                    case.value(a)
                    case.derivative(a)
                    case.backward(a, a)
                case.value(x, out=x.copy())
                case.value(x, bias=bias)
                case.backward(x, x, bias=bias)
                case.value(x.tolist())

    def others(name):
        for dtype in DTYPES + HALVES:
            for shape in ((9, 8), (30, 1000), (3000, 10)):
                x = np.full(shape, 0.5, dtype)
                for a in (x, x[::2, ::2], x.T):
                    if cyact.catalog[name].kind == "loss":
                        classes = name in ("cross_entropy", "nll_loss", "focal_loss")
                        getattr(cyact, name)(a, np.zeros(len(a), int) if classes else a,
                                             return_grad=True)
                        continue
                    a = a[:, :a.shape[1] // 2 * 2]
                    arguments = [a] + {{"prelu": [a[0] / 2], "maxout": [2]}}.get(name, [])
                    y = getattr(cyact, name)(*arguments)
                    if name not in ("rrelu", "noisy_relu", "gumbel_softmax"):
                        getattr(cyact.backward, name)(np.ones_like(y), *arguments)

    def work():
        try:
            for record in cyact.catalog.values():
                if record.family == {family!r}:
                    print(record.name, flush=True)
                    for case in ELEMENTWISE:
                        if case.name == record.name:
                            elementwise(case)
                    if record.kind != "elementwise":
                        others(record.name)
            print("fine")
        except BaseException:
            traceback.print_exc()

    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    threading.stack_size(65536)
    for n in (1, 2):
        cyact.set_num_threads(n)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
"""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_thread_with_a_small_stack_is_enough(run_python, family):
    done = run_python(SMALL_STACK.format(tests=str(Path(__file__).parent), family=family),
                      check=False)
    assert done.stdout.count("fine\n") == 2, f"{done.returncode}\n{done.stdout}\n{done.stderr}"


# Memory that runs out

def test_no_memory_for_scratch_is_a_memory_error(run_python):
    code = """
        import numpy as np, cyact
        from _testcapi import remove_mem_hooks, set_nomemory

        x = np.ones(5_000)[::2]
        y = np.empty(2_500)
        calls = {"by strides": lambda: cyact.gelu(x, out=y),
                 "in place": lambda: cyact.gelu(y, out=y)}
        for call in calls.values():
            call()
        for name, call in calls.items():
            for start in range(1, 20):
                set_nomemory(start, start + 1)
                try:
                    call()
                except MemoryError:
                    break
                finally:
                    remove_mem_hooks()
            else:
                raise AssertionError(name)
    """
    run_python(code)
