"""hardmax and maxout: where the first maximum of a row is, and what it is."""

cdef inline void lower_first(const real* x, Py_ssize_t steps, const double* top,
                             double from_, double* first) noexcept nogil:
    """first[j] becomes the first step at which lane j holds its maximum, counted from `from_`."""
    cdef double at[SIDE]
    cdef double k = from_ + steps
    cdef Py_ssize_t back
    cdef int j
    for j in range(SIDE):
        at[j] = INFINITY
    for back in range(steps):
        k -= 1
        for j in range(SIDE):
            at[j] = k if x[(steps - 1 - back) * SIDE + j] == top[j] else at[j]
    for j in range(SIDE):
        first[j] = first[j] if first[j] < at[j] else at[j]


cdef inline void first_maxima(const Strip* s, real* buffer, const double* top,
                              double* first) noexcept nogil:
    """The index of each row's first maximum; infinite for a row with NaN."""
    cdef Py_ssize_t start = 0
    cdef int j
    fill(first, INFINITY)
    while start < s.n:
        lower_first(load_part(s, start, buffer, <real> -INFINITY), steps_from(s, start), top,
                    <double> (start // SIDE), first)
        start += PIECE
    if not s.apart:
        for j in range(SIDE):
            first[j] = first[j] * SIDE + j
        fold_least(first)


cdef inline void pick(const Strip* s, Py_ssize_t start, const double* first, const real* chosen,
                      const real* others, real* y) noexcept nogil:
    """y = chosen at the index `first`, others elsewhere."""
    cdef double stride = 1 if s.apart else SIDE
    cdef double index[SIDE]
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        index[j] = start if s.apart else start + j
    for k in range(steps_from(s, start)):
        for j in range(SIDE):
            y[k * SIDE + j] = chosen[j] if index[j] == first[j] else others[j]
            index[j] += stride


cdef void put_at_maxima(const Rows* call, const char* grad, bint one,
                        real kind) noexcept nogil:
    """At each row's first maximum 1, or the row's gradient; 0 elsewhere, NaN if there is one."""
    cdef StripWork* work = <StripWork*> call.scratch
    cdef Strip s, y
    cdef double top[SIDE]
    cdef real chosen[SIDE]
    cdef real others[SIDE]
    cdef double first[SIDE]
    cdef Py_ssize_t done = 0, start, r, take
    cdef int j
    while done < call.rows:
        take = strip_rows(call.n, call.rows - done)
        s = open_strip(call.x.data + done * call.x.row, call.x.row, call.x.item, call.n, take,
                       <real*> work.x.at, <real> -INFINITY)
        y = result_strip(&s, call.y.data + done * call.y.row, call.y.row, call.y.item)
        maxima(&s, <real*> work.x.at, top)
        first_maxima(&s, <real*> work.x.at, top, first)
        for j in range(SIDE):
            others[j] = 0 if top[j] == top[j] else <real> top[j]
            chosen[j] = 1
        if not one:
            for r in range(take):
                chosen[r] = (<const real*> (grad + (done + r) * call.grad.row))[0]
            if not s.apart:
                for j in range(1, SIDE):
                    chosen[j] = chosen[0]
        start = 0
        while start < call.n:
            pick(&s, start, first, chosen, others, <real*> work.y.at)
            store_part(&y, <real*> work.y.at, start)
            start += PIECE
        done += take


cdef void hardmax_rows(const Rows* call, real kind) noexcept nogil:
    put_at_maxima(call, NULL, True, kind)


cdef void hardmax_gradients(const Rows* call, real kind) noexcept nogil:
    cdef Py_ssize_t r, i
    for r in range(call.rows):
        for i in range(call.n):
            (<real*> (call.y.data + r * call.y.row + i * call.y.item))[0] = 0


# maxout: a row is one run of `pieces` entries

cdef void maxout_rows(const Rows* call, real kind) noexcept nogil:
    cdef StripWork* work = <StripWork*> call.scratch
    cdef Strip s
    cdef double top[SIDE]
    cdef Py_ssize_t done = 0, r, take
    while done < call.rows:
        take = strip_rows(call.n, call.rows - done)
        s = open_strip(call.x.data + done * call.x.row, call.x.row, call.x.item, call.n, take,
                       <real*> work.x.at, <real> -INFINITY)
        maxima(&s, <real*> work.x.at, top)
        for r in range(take):
            (<real*> (call.y.data + (done + r) * call.y.row))[0] = <real> top[r]
        done += take


cdef void maxout_gradients(const Rows* call, real kind) noexcept nogil:
    put_at_maxima(call, call.grad.data, False, kind)
