"""Status flags come out as they went in; flush-to-zero, set by somebody else, does no harm.

Both are seen through a few lines of C, compiled by the test.
"""

import ctypes
import os
import platform
import shutil
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest
from cases import DTYPES, ELEMENTWISE, HALVES, KERNELS, ROWS, inputs, special

import cyact

pytestmark = pytest.mark.levels

HELPER = r"""
#if defined(__x86_64__)
#include <immintrin.h>
/* invalid, denormal, zero, overflow, underflow, inexact; flush-to-zero, denormals-are-zero */
enum { FLAGS = 0x3f, FLUSH = 0x8040 };
unsigned get(void) { return _mm_getcsr(); }
void set(unsigned v) { _mm_setcsr(v); }
unsigned flags(void) { return _mm_getcsr() & FLAGS; }
void set_flags(unsigned v) { _mm_setcsr((_mm_getcsr() & ~FLAGS) | v); }
#else
/* FPSR's cumulative flags; FPCR.FZ */
enum { FLAGS = 0x9f, FLUSH = 1 << 24 };
unsigned get(void) { unsigned long v; __asm__ volatile("mrs %0, fpcr" : "=r"(v)); return v; }
void set(unsigned v) { __asm__ volatile("msr fpcr, %0" :: "r"((unsigned long)v)); }
unsigned flags(void) {
    unsigned long v; __asm__ volatile("mrs %0, fpsr" : "=r"(v)); return v & FLAGS;
}
void set_flags(unsigned v) {
    unsigned long old; __asm__ volatile("mrs %0, fpsr" : "=r"(old));
    __asm__ volatile("msr fpsr, %0" :: "r"((old & ~(unsigned long)FLAGS) | v));
}
#endif
unsigned all_flags(void) { return FLAGS; }
unsigned flush(void) { return FLUSH; }
"""


@pytest.fixture(scope="module")
def cpu(tmp_path_factory):
    """The floating-point control and status of the thread that calls it."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"):
        pytest.skip("needs a C compiler, and x86-64 or aarch64")
    folder = tmp_path_factory.mktemp("environment")
    (folder / "helper.c").write_text(HELPER)
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", "helper.so", "helper.c"],
                   cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "helper.so"))


@contextmanager
def flushing(cpu):
    """Flush-to-zero and denormals-are-zero in this thread, as -ffast-math's start-up sets it."""
    before = cpu.get()
    cpu.set(before | cpu.flush())
    try:
        yield
        assert cpu.get() & cpu.flush() == cpu.flush()
    finally:
        cpu.set(before)


def sample(dtype, count):
    x = np.concatenate([inputs(np.float32, count), special(np.float32)]).astype(dtype)
    return np.random.default_rng(4).permutation(x)


def calls(case, x):
    """(name, function without arguments, inputs) of all that one case computes."""
    grad, out = x[::-1].copy(), np.empty_like(x)
    grad[np.isinf(grad)] = 3            # infinity times a slope that is flushed is NaN
    yield "value", lambda: case.value(x, out=out)
    yield "derivative", lambda: case.derivative(x, out=out)
    yield "backward", lambda: case.backward(grad, x, out=out)
    if case.takes_output:
        yield "backward from output", lambda: case.backward(grad, output=x, out=out)


# Status flags

DIRECT = [*DTYPES, *HALVES]


def assert_flags_stay(cpu, call, what):
    call()                                # what is imported or made once
    for flags in (0, cpu.all_flags()):
        cpu.set_flags(flags)
        call()
        found = cpu.flags()
        cpu.set_flags(0)
        assert found & cpu.all_flags() == flags, (what, flags, found)


@pytest.mark.parametrize("dtype", DIRECT, ids=lambda d: d.__name__)
@pytest.mark.parametrize("case", KERNELS, ids=str)
def test_status_flags_are_left_as_found(case, dtype, cpu):
    with np.errstate(all="ignore"):
        x = sample(dtype, 300)
        for what, call in calls(case, x):
            assert_flags_stay(cpu, call, what)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", ROWS)
def test_status_flags_are_left_as_found_by_rows(name, dtype, cpu):
    with np.errstate(all="ignore"):
        x = sample(dtype, 300)[:480].reshape(6, -1)
        y = getattr(cyact, name)(x)
        grad = np.ones_like(y)
        for call in (lambda: getattr(cyact, name)(x), lambda: getattr(cyact, name)(x, axis=0),
                     lambda: getattr(cyact.backward, name)(grad, x)):
            assert_flags_stay(cpu, call, name)


# Flush to zero

def assert_sound(found, expected, what):
    """NaN only where it belongs, infinities likewise, and ordinary results nearly the same."""
    info = np.finfo(expected.dtype)
    y, true = found.astype(np.float64), expected.astype(np.float64)
    assert not (np.isnan(y) & ~np.isnan(true)).any(), what
    if what.startswith("backward"):     # where the slope is flushed, the gradient is 0
        true = np.where(y == 0, 0, true)
    ordinary = (np.abs(true) > 4 * float(info.tiny)) & np.isfinite(true)
    with np.errstate(invalid="ignore"):
        unlike = ordinary & ~(np.abs(y - true) <= 1e-3 * np.abs(true))
    assert not unlike.any(), (what, expected[unlike][:5], found[unlike][:5])


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
def test_flush_to_zero_does_no_harm(case, dtype, cpu):
    with np.errstate(all="ignore"):
        x = sample(dtype, 1500)
        x = x[np.isnan(x) | (np.abs(x) == 0) | (np.abs(x) > 4 * np.finfo(dtype).tiny)]
        for what, call in calls(case, x):
            expected = call().copy()
            with flushing(cpu):
                found = call()
            assert_sound(found, expected, what)


@pytest.mark.parametrize("case", KERNELS, ids=str)
def test_subnormal_inputs_do_no_harm_with_flush_to_zero(case, cpu):
    """They count as 0 then, and so the result is what it is there."""
    for dtype in DTYPES:
        tiny = np.finfo(dtype).tiny
        x = tiny * np.linspace(-1, 1, 101, dtype=dtype)
        zero = case.value(np.zeros(2, dtype))
        if not np.isfinite(zero).all() or case.name == "step":      # poles, and a jump at 0
            continue
        with flushing(cpu):
            y = case.value(x)
        assert not np.isnan(y).any(), dtype
        assert np.abs(y.astype(np.float64) - float(zero[0])).max() <= 1e-6, dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", ROWS)
def test_flush_to_zero_does_no_harm_to_rows(name, dtype, cpu):
    rng = np.random.default_rng(3)
    for n in (1, 7, 64, 1000):
        x = (rng.standard_normal((9, n)) * np.geomspace(0.1, 300, 9)[:, None]).astype(dtype)
        grad = rng.standard_normal((9, n)).astype(dtype)
        forward, backward = getattr(cyact, name), getattr(cyact.backward, name)
        y = forward(x)
        g = grad[:, 0] if y.ndim == 1 else grad
        dx = backward(g, x)
        with flushing(cpu):
            found = forward(x), backward(g, x)
        assert np.isfinite(found[0]).all()
        assert np.isfinite(found[1]).all()
        assert np.allclose(found[0], y, rtol=1e-3, atol=1e-30)
        assert np.allclose(found[1], dx, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize(("name", "inputs"), [
    ("cross_entropy", "x classes"), ("focal_loss", "x classes"), ("kl_div", "x t"),
    ("binary_cross_entropy_with_logits", "x t"), ("binary_cross_entropy", "p t")])
def test_flush_to_zero_does_no_harm_to_losses(name, inputs, dtype, cpu):
    rng = np.random.default_rng(3)
    t = rng.random((40, 11)).astype(dtype)
    arrays = {"x": (rng.standard_normal((40, 11)) * 50).astype(dtype), "t": t,
              "classes": rng.integers(0, 11, 40),
              "p": np.clip(t * 1.2 - 0.1, 0, 1).astype(dtype)}
    arguments = [arrays[key] for key in inputs.split()]
    expected = getattr(cyact, name)(*arguments, return_grad=True)
    with flushing(cpu):
        found = getattr(cyact, name)(*arguments, return_grad=True)
    for a, b in zip(found, expected, strict=True):
        assert np.allclose(a, b, rtol=1e-3, atol=1e-30)


def test_flush_to_zero_in_other_threads(cpu, threads):
    """Whether the other threads of a large call have it set or not."""
    x = np.resize(sample(np.float32, 9000), 900_000)
    x = x[np.isfinite(x) & (np.abs(x) > 1e-37)]
    expected = cyact.gelu(x)
    with flushing(cpu):
        found = cyact.gelu(x)
    assert_sound(found, expected, "gelu")


def test_importing_leaves_subnormal_numbers_alone(run_python):
    run_python("import cyact; assert 5e-324 / 2**0 == 5e-324 and 1e-310 * 0.5 > 0")
