"""Count the instructions that a contender executes for 16 elements; Linux on x86-64 only.

The processor is told to stop after every instruction (the trap flag), and a signal handler counts
the stops: whatever is executed in this thread is counted, be it cyact's, PyTorch's or code that
oneDNN generates at run time, and no privileges or hardware counters are needed. What a call costs
besides its elements drops out: counted are 12K elements less 4K, and the lesser of two counts.

`python -m benchmarks.instructions` reads lines of JSON, each the fields of a `measure.Case` and
the name of a change in `pages`, and writes a line of JSON for each: the contenders' counts. It is
run so by `benchmarks.pages`, so that a crash costs no more than the counts.
"""

import contextlib
import ctypes
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

SIZES = 4 << 10, 12 << 10
LANES = 16
WARM_UP = 40        # then half types' results are known, if they are going to be
REPEATS = 2
PATIENCE = 600      # seconds

SOURCE = r"""
#define _GNU_SOURCE
#include <signal.h>
#include <ucontext.h>

static volatile long long count, last;

static void stopped(int number, siginfo_t *info, void *context) {
    long long here = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    count += here != last;      /* `rep movsb` stops after every byte */
    last = here;
    (void)number; (void)info;
}

int prepare(void) {
    struct sigaction action = {0};
    action.sa_sigaction = stopped;
    action.sa_flags = SA_SIGINFO;
    return sigaction(SIGTRAP, &action, 0);
}

/* The red zone below the stack pointer is the compiler's. */
void start(void) {
    count = 0;
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq;"
                     "lea 128(%%rsp), %%rsp" ::: "cc", "memory");
}

long long stop(void) {
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq;"
                     "lea 128(%%rsp), %%rsp" ::: "cc", "memory");
    return count;
}
"""


def possible():
    return (sys.platform == "linux" and platform.machine() == "x86_64"
            and shutil.which("cc") is not None)


def build(folder):
    """The counter as a library, compiled on the spot."""
    source, library = Path(folder, "count.c"), Path(folder, "count.so")
    source.write_text(SOURCE)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    counter = ctypes.PyDLL(str(library))        # with the GIL: nobody else may run meanwhile
    counter.stop.restype = ctypes.c_longlong
    if counter.prepare() != 0:
        raise OSError("cannot catch SIGTRAP")
    return counter


def executed(counter, bound):
    """Instructions of one run of a statement."""
    code = compile(bound.statement, "statement", "exec")
    for _ in range(WARM_UP):
        exec(code, bound.names)
    start, stop = counter.start, counter.stop
    found = []
    for _ in range(REPEATS):
        start()
        exec(code, bound.names)
        found.append(stop())
    return min(found)


def of_16(counter, case, contender, change):
    """Instructions for 16 elements, of the loops alone."""
    from . import measure

    found = []
    for size in SIZES:
        arrays = measure.make_arrays(measure.Case(**{**case, "shape": (size,)}))
        key = measure.Case(**case).key
        with contender.threads(1):
            bound = contender.offer(key, arrays, False, 1)
            if bound is None:
                return None
            found.append(executed(counter, change(contender.name, bound)))
    return (found[1] - found[0]) * LANES / (SIZES[1] - SIZES[0])


def counts(questions):
    """{question: {contender: instructions}} of (case, name of a change); {} where impossible."""
    if not possible() or not questions:
        return {}
    text = "".join(json.dumps([asdict(case), change]) + "\n" for case, change in questions)
    done = subprocess.run([sys.executable, "-m", "benchmarks.instructions"], input=text, text=True,
                          stdout=subprocess.PIPE, timeout=PATIENCE, check=False,
                          cwd=Path(__file__).resolve().parent.parent)
    answers = done.stdout.splitlines()
    return dict(zip(questions, map(json.loads, answers), strict=False))


def main():
    from .__main__ import use_installed_cyact

    use_installed_cyact()
    import numpy as np

    from . import contenders, pages

    found, _ = contenders.installed(["cyact", "torch"])
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        counter = build(folder)
        for line in sys.stdin:
            case, change = json.loads(line)
            answer = {c.name: of_16(counter, case, c, getattr(pages, change))
                      for c in found if case["dtype"] in c.dtypes}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
