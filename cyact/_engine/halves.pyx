"""What is known of half types: there are only 65,536 of them.

Once a function has been computed for twice as many elements, its results for all halves are
computed, once, in the same way. From then on they are looked up; or chosen, where that has just
given all of them, bit for bit (see Known in abi.pxd). For a backward pass and for gates, which
multiply f in float, a table holds f in float, unless that is computed as fast.

Each function remembers a few of its uses: value or derivative, dtype and parameters. Calls look
for theirs, and tables are made, in a critical section: one thread at a time, without the GIL, too
(with it, it costs nothing). What a call has been given is complete and never changes, and is
freed by the last of function and calls that refer to it: a call may compute with it anywhere.
"""

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from cyact._engine.run cimport KERNELS, begin, run_alone
from cyact._level.abi cimport BFLOAT16, FLOAT32, FROM_OUTPUT, GRAD, X, Y, Known, Op, Span

cdef enum:
    HALVES = 65536
    USES = 8                     # that a function remembers; up to 256 KB each

cdef double CHEAP = 0.3          # kernels that cost less, in ns, are as fast as a table of floats

cdef list MEMORIES = []


def forget():
    """Forget what is known of half types."""
    for memory in MEMORIES:
        (<Memory> memory).forget()


def known():
    """How many uses of functions are known; for tests."""
    cdef Memory memory
    cdef Use use
    cdef int count = 0
    for memory in MEMORIES:
        with cython.critical_section(memory):
            for use in memory.uses:
                count += use.full
    return count


@cython.final
cdef class Use:
    """One use of a function, and its results for all halves once they are known."""

    def __dealloc__(self):
        free(<void*> self.known.results)
        free(<void*> self.known.slopes)


@cython.final
cdef class Memory:
    """The last uses of a function with half types."""

    cdef Use recall(self, Span* span, int slot, Py_ssize_t n):
        """Have a call of n elements use what is known, which is found out if it is time.

        Until it is done it keeps what this returns: None if nothing is known.
        """
        cdef bint slopes = span.at[GRAD].data != NULL
        cdef Use use
        if span.copies or (slopes and (slot == FROM_OUTPUT or self.op.cost < CHEAP)):
            return None
        with cython.critical_section(self):
            use = self.latest
            if not is_for(use, self.op, slot, span.dtype, slopes, span.p):
                use = self.latest = self.find(slot, span.dtype, slopes, span.p)
            use.seen += n
            if not use.full and use.seen > 2 * HALVES:
                use.full = find_out_slopes(self.op, use) if slopes else find_out(self.op, use)
            if not use.full:
                return None
        span.known = &use.known
        return use

    cdef Use find(self, int slot, int dtype, bint slopes, const double* p):
        """The use that is so, among those that are remembered, or instead of the oldest."""
        cdef Use use
        for use in self.uses:
            if is_for(use, self.op, slot, dtype, slopes, p):
                self.uses.remove(use)
                break
        else:
            use = Use()
            use.slot = slot
            use.dtype = dtype
            use.slopes = slopes
            if self.op.nparams:
                memcpy(use.p, p, self.op.nparams * sizeof(double))
        self.uses.append(use)
        del self.uses[:-USES]
        return use

    cdef void forget(self):
        with cython.critical_section(self):
            self.uses = []
            self.latest = Use()


cdef Memory memory_of(const Op* op):
    cdef Memory memory = Memory()
    memory.op = op
    memory.forget()
    MEMORIES.append(memory)
    return memory


cdef inline bint is_for(Use use, const Op* op, int slot, int dtype, bint slopes,
                        const double* p) noexcept:
    return (use.slot == slot and use.dtype == dtype and use.slopes == slopes
            and (op.nparams == 0 or memcmp(use.p, p, op.nparams * sizeof(double)) == 0))


cdef bint find_out(const Op* op, Use use) noexcept:
    """Compute all results; False without memory for them."""
    cdef Known* known = &use.known
    cdef unsigned short* x = <unsigned short*> malloc(2 * HALVES)
    cdef unsigned short* y = <unsigned short*> malloc(2 * HALVES)
    cdef unsigned short* other = <unsigned short*> malloc(2 * HALVES)
    cdef bint found = x != NULL and y != NULL and other != NULL, chosen = False
    cdef int i
    if found:
        for i in range(HALVES):
            x[i] = i
        found = compute(op, use, use.dtype, 2, NULL, x, y)
    if found:
        known.infinity = 0x7f80 if use.dtype == BFLOAT16 else 0x7c00
        known.quiet = 0x40 if use.dtype == BFLOAT16 else 0x200
        if find_pieces(known, y):
            chosen = (compute(op, use, use.dtype, 2, known, x, other)
                      and memcmp(y, other, 2 * HALVES) == 0)
    if found and not chosen:
        known.results = y
    else:
        free(y)
    free(x)
    free(other)
    return found


cdef bint find_out_slopes(const Op* op, Use use) noexcept:
    """Compute all derivatives, or values of a gate, in float; False without memory for them."""
    cdef unsigned short* h = <unsigned short*> malloc(2 * HALVES)
    cdef float* x = <float*> malloc(4 * HALVES)
    cdef float* y = <float*> malloc(4 * HALVES)
    cdef bint found = h != NULL and x != NULL and y != NULL
    cdef int i
    if found:
        for i in range(HALVES):
            h[i] = i
        KERNELS.widen(h, x, HALVES, use.dtype)
        found = compute(op, use, FLOAT32, 4, NULL, x, y)
    if found:
        use.known.slopes = y
    else:
        free(y)
    free(x)
    free(h)
    return found


cdef bint compute(const Op* op, Use use, int dtype, Py_ssize_t size, const Known* known, void* x,
                  void* y) noexcept:
    """y = f(x) for as many x as there are halves; False without memory for scratch."""
    cdef Span span
    begin(&span, op, use.slot, dtype, use.p)
    span.known = known
    span.n = HALVES
    span.at[X].data = <char*> x
    span.at[Y].data = <char*> y
    span.at[X].step = span.at[Y].step = size
    return run_alone(&span) == 0


cdef inline int half_of(int order) noexcept nogil:
    """What stands there among the halves: -0 is at -1."""
    return order if order >= 0 else 0x7fff ^ (order & 0xffff)


cdef bint find_pieces(Known* known, const unsigned short* results) noexcept:
    """Whether there are at most three pieces, in each of which y is x, -x or a constant."""
    cdef int order, count = 0
    cdef unsigned short h, y, first = 0
    cdef bint same = False, negated = False, constant = False
    known.start[1] = known.start[2] = 0x7fff
    for order in range(-known.infinity - 1, known.infinity + 1):
        h = half_of(order)
        y = results[h]
        same = same and y == h
        negated = negated and y == h ^ 0x8000
        constant = constant and y == first
        if not (same or negated or constant):
            if count == 3:
                return False
            known.start[count] = order
            count += 1
            same = y == h
            negated = y == h ^ 0x8000
            constant = True
            first = y
        known.keep[count - 1] = 0xffff if same or negated else 0
        known.flip[count - 1] = 0 if same else 0x8000 if negated else first
    return True
