"""How many threads a call gets.

The number is, in this order: that of the innermost `with num_threads(n)` of this Python
thread; the one given to `set_num_threads`; the smallest of OpenMP's own limit
(`OMP_NUM_THREADS`, threadpoolctl), the CPU affinity and the control group's quota. A call
then uses no more of them than its work keeps busy. Nobody else's settings are changed:
omp_set_num_threads is never called.

After fork() a child has OpenMP's bookkeeping but none of its worker threads, and a parallel
region would wait for them for ever, whichever library had started them. A forked child
therefore computes on one thread.
"""

import os
from contextlib import contextmanager
from operator import index

cdef extern from *:
    """
    #ifdef _OPENMP
      #include <omp.h>
      #define CYACT_OPENMP _OPENMP
    #else
      #define CYACT_OPENMP 0
      static int omp_get_max_threads(void) { return 1; }
      static int omp_get_num_procs(void) { return 1; }
    #endif

    #if defined(_MSC_VER)
      static __declspec(thread) int cyact_context = 0;
    #else
      static __thread int cyact_context = 0;
    #endif
    static int cyact_context_get(void) { return cyact_context; }
    static void cyact_context_set(int n) { cyact_context = n; }
    """
    const int CYACT_OPENMP
    int omp_get_max_threads() noexcept nogil
    int omp_get_num_procs() noexcept nogil
    int context_get "cyact_context_get" () noexcept nogil
    void context_set "cyact_context_set" (int n) noexcept nogil


cdef enum:
    LARGEST = 1024   # more threads than any machine has; OpenMP ends the process beyond its limit
    # A thread has to have this much to do, in nanoseconds, to be worth waking. Measured break-even
    # between one and two threads is 2,000 to 256,000 elements, by OpenMP's wait policy: be
    # conservative.
    GRAIN = 25_000

cdef int preferred = 0      # set_num_threads
cdef int quota = 0          # the control group's, 0 when there is none
cdef bint forked = False


cdef int limit() noexcept nogil:
    if forked or not CYACT_OPENMP:
        return 1
    if context_get():
        return context_get()
    if preferred:
        return preferred
    cdef int n = min(omp_get_max_threads(), omp_get_num_procs())
    return min(n, quota) if quota else n


cdef int choose(double nanoseconds) noexcept nogil:
    """Threads for a call that takes one thread about this long.

    Costs are whole 64ths, so that sizes times costs are exact, and so is this: a call leaves
    the status flag of inexact results as it was.
    """
    cdef long long useful = <long long> (64 * nanoseconds) // (64 * GRAIN)
    if useful < 2:
        return 1
    return <int> min(<long long> limit(), useful)


cdef int checked(str function, n) except -1:
    try:
        n = index(n)
    except TypeError:
        raise TypeError(f"{function}: n must be an integer, got {type(n).__name__}") from None
    if not 1 <= n <= LARGEST:
        raise ValueError(f"{function}: n must be from 1 to {LARGEST}, got {n}")
    return n


def get_num_threads():
    """The number of threads a large call would use now, in this Python thread.

    Returns
    -------
    int

    See Also
    --------
    set_num_threads, num_threads, show_config

    Examples
    --------
    >>> import cyact
    >>> with cyact.num_threads(1):
    ...     cyact.get_num_threads()
    1
    """
    return limit()


def set_num_threads(n):
    """Let large calls use `n` threads, in the whole process, until changed.

    The number is taken as it is, even above the CPU's count; small calls still use fewer,
    and a forked child uses one. `num_threads` overrides it for a block of code.

    Parameters
    ----------
    n : int
        From 1 to 1024, or None to go back to the automatic choice.

    Raises
    ------
    TypeError, ValueError
        `n` is not such a number.
    """
    global preferred
    preferred = 0 if n is None else checked("set_num_threads", n)


@contextmanager
def _num_threads(int n):
    cdef int before = context_get()
    context_set(n)
    try:
        yield
    finally:
        context_set(before)


def num_threads(n):
    """A context in which large calls of this Python thread use `n` threads.

    Contexts nest; other Python threads are not affected.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Raises
    ------
    TypeError, ValueError
        `n` is not such a number.

    Examples
    --------
    >>> import cyact, numpy as np
    >>> with cyact.num_threads(2):
    ...     y = cyact.gelu(np.linspace(-3, 3, 1_000_000))
    """
    return _num_threads(checked("num_threads", n))


def rule():
    """What decided get_num_threads(), in words."""
    if not CYACT_OPENMP:
        return "built without OpenMP"
    if forked:
        return "forked child: OpenMP's threads did not come along"
    if context_get():
        return "with num_threads(n)"
    if preferred:
        return "set_num_threads(n)"
    limits = {"OpenMP's limit": omp_get_max_threads(), "CPU affinity": omp_get_num_procs()}
    if quota:
        limits["control group quota"] = quota
    return min(limits, key=limits.get)


def openmp():
    """OpenMP's version date (yyyymm), or None when built without it."""
    return CYACT_OPENMP or None


def _read(path):
    try:
        with open(path) as file:
            return file.read().split()
    except OSError:
        return []


def _control_group_quota():
    """Whole CPUs this process's control group may use, rounded up; 0 when not limited."""
    found = []
    groups = [line.split(":", 2) for line in _read("/proc/self/cgroup") if line.count(":") >= 2]
    for _, controllers, path in groups:
        if not controllers:                                  # version 2: one tree
            root = "/sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            root = "/sys/fs/cgroup/cpu"
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):                  # a limit anywhere above counts
            folder = "/".join([root, *parts[:depth]])
            if controllers:
                values = _read(folder + "/cpu.cfs_quota_us") + _read(folder + "/cpu.cfs_period_us")
            else:
                values = _read(folder + "/cpu.max")
            if len(values) == 2 and values[0] not in ("max", "-1"):
                found.append(max(1, -(-int(values[0]) // int(values[1]))))
    return min(found, default=0)


def _after_fork():
    global forked
    forked = True


quota = _control_group_quota()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
