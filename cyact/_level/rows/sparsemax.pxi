"""sparsemax and entmax15: y = ((x - m) c - t)_+^p, m the maximum.

c = 1, p = 1 or c = 1/2, p = 2, and t such that y sums to 1. Newton's method finds t from the left:
the p-norm of (z - t)_+ is convex in t, so no step passes the root, and what falls out of the
support stays out. Some steps in double come near, one or two more with every difference and sum
carried in two doubles give t to about 2^-100: an entry close to the border of the support is the
difference of two numbers near 1, and keeps its digits only if t has more of them.
"""

# What a function is
cdef enum:
    SPARSEMAX           # c = 1, p = 1
    ENTMAX15            # c = 1/2, p = 2
    ENTMAX              # any; see entmax.pxi


cdef inline double height(double x, double m, double th, double tl, double c, double floor,
                          double* low) noexcept nogil:
    """(x - m) c - (th + tl) as high + low; `floor`, below every t, stands for what is far below."""
    cdef pair d = two_sum(x, -m), a
    cdef double high
    d.hi *= c
    d.lo = 0 if d.hi < floor else d.lo * c
    a = two_sum(at_least(d.hi, floor), -th)
    a.lo = d.lo + (a.lo - tl)
    high = a.hi + a.lo
    low[0] = a.lo - (high - a.hi)
    return high


cdef inline void measure(const real* x, Py_ssize_t steps, int op, const double* m, const double* t,
                         double* sum, double* other) noexcept nogil:
    """Add up w = (z - t)_+; and w^2 for entmax15, the number of positive w for sparsemax."""
    cdef double c = 1 if op == SPARSEMAX else 0.5
    cdef double tops[SIDE]
    cdef double border[SIDE]
    cdef double a[SIDE]
    cdef double b[SIDE]
    cdef double w, zero = 0
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        tops[j] = m[j]
        border[j] = t[j]
        a[j] = sum[j]
        b[j] = other[j]
    for k in range(steps):
        for j in range(SIDE):
            w = (<double> x[k * SIDE + j] - tops[j]) * c - border[j]
            w = w if w > zero else zero
            a[j] += w
            if op == SPARSEMAX:
                b[j] += 1 if w > zero else 0
            else:
                b[j] += w * w
    for j in range(SIDE):
        sum[j] = a[j]
        other[j] = b[j]


cdef inline long long approach(int op, const double* sum, const double* other,
                               double* t) noexcept nogil:
    """A Newton step on the norm of w; returns how many lanes have not come near yet."""
    cdef double norm, d, zero = 0, near = 2.0**-26
    cdef long long far = 0
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        if op == SPARSEMAX:
            d = (sum[j] - 1) / other[j]
        else:
            norm = sqrt(other[j])
            d = (norm - 1) * norm / sum[j]
        d = d if d > zero else zero
        t[j] += d
        far += 1 if d > near else 0
    return far


cdef inline void measure_finely(const real* x, Py_ssize_t steps, int op, const double* m,
                                const double* th, const double* tl, double* high, double* low,
                                double* other, double* near) noexcept nogil:
    """high + low = the sum of w (entmax15: of w^2), other the number of them (the sum of w).

    near becomes the smallest |z - t|: t may move by less without changing the support.
    """
    cdef double c = 1 if op == SPARSEMAX else 0.5
    cdef double tops[SIDE]
    cdef double h[SIDE]
    cdef double l[SIDE]
    cdef double s[SIDE]
    cdef double r[SIDE]
    cdef double o[SIDE]
    cdef double least[SIDE]
    cdef double w, rest = 0, p, size, zero = 0, floor = -4
    cdef pair sum
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        tops[j] = m[j]
        h[j] = th[j]
        l[j] = tl[j]
        s[j] = high[j]
        r[j] = low[j]
        o[j] = other[j]
        least[j] = near[j]
    for k in range(steps):
        for j in range(SIDE):
            w = height(x[k * SIDE + j], tops[j], h[j], l[j], c, floor, &rest)
            size = w if w > zero else -w
            least[j] = size if size < least[j] else least[j]
            rest = zero if w <= zero else rest
            w = zero if w <= zero else w       # NaN stays
            if op == SPARSEMAX:
                o[j] += 1 if w > zero else 0
                p = w
            else:
                o[j] += w
                p = w * w
                rest = product_error(w, w, p) + 2 * w * rest
            sum = two_sum(s[j], p)
            s[j] = sum.hi
            r[j] += sum.lo + rest
    for j in range(SIDE):
        high[j] = s[j]
        low[j] = r[j]
        other[j] = o[j]
        near[j] = least[j]


cdef inline long long settle(int op, const double* high, const double* low, const double* other,
                             const double* near, double* th, double* tl) noexcept nogil:
    """Another Newton step, of t = th + tl; returns how many lanes need one more.

    It is the last one if it is short and, for sparsemax, passes no entry (one that it passes counts
    as long as the step; for entmax15, as its square).
    """
    cdef pair over, moved
    cdef double d, size, enough, short = 2.0**-44, shorter = 2.0**-98
    cdef long long far = 0
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        over = two_sum(high[j], -1)
        d = (over.hi + (over.lo + low[j])) / (other[j] if op == SPARSEMAX else 2 * other[j])
        size = absolute(d)
        enough = short
        if op == SPARSEMAX:
            enough = short if size < near[j] else shorter
        far += 1 if size > enough else 0
        over = two_sum(tl[j], d)
        moved = two_sum(th[j], over.hi)
        th[j] = moved.hi
        tl[j] = moved.lo + over.lo
    return far


cdef inline void find_border(const Strip* whole, int op, real* buffer, real* kept, double* m,
                             double* th, double* tl) noexcept nogil:
    """The maxima, and t = th + tl; NaN where a row holds NaN or +inf, or only -inf."""
    cdef Strip s
    cdef double top[SIDE]
    cdef double a[SIDE]
    cdef double b[SIDE]
    cdef double low[SIDE]
    cdef double near[SIDE]
    cdef double none = NAN, zero = 0
    cdef long long far = 1
    cdef Py_ssize_t start, j
    cdef int tries = 0
    maxima(whole, buffer, top)
    for j in range(lanes & -SIDE):
        m[j] = top[j] if top[j] - top[j] == zero else none
    s = whole[0]
    fill(th, -1)
    fill(tl, 0)
    while far:
        fill(a, 0)
        fill(b, 0)
        start = 0
        while start < s.n:
            measure(load_part(&s, start, buffer, <real> -INFINITY), steps_from(&s, start), op, m,
                    th, a, b)
            start += PIECE
        if not s.apart:
            fold_sums(a)
            fold_sums(b)
        far = approach(op, a, b, th)
        tries += 1
        if tries > 1 and s.held == whole.held:
            s = candidates(whole, m[0] + (th[0] - 2.0**-30) * (1 if op == SPARSEMAX else 2),
                           buffer, kept)
    far = 1
    tries = 0
    while far and tries < 20:
        fill(a, 0)
        fill(b, 0)
        fill(low, 0)
        fill(near, INFINITY)
        start = 0
        while start < s.n:
            measure_finely(load_part(&s, start, buffer, <real> -INFINITY), steps_from(&s, start),
                           op, m, th, tl, a, low, b, near)
            start += PIECE
        if not s.apart:
            fold_pairs(a, low)
            fold_sums(b)
            fold_least(near)
        far = settle(op, a, low, b, near, th, tl)
        tries += 1


cdef inline void rise(const real* x, Py_ssize_t steps, int op, const double* m, const double* th,
                      const double* tl, real* y) noexcept nogil:
    cdef double c = 1 if op == SPARSEMAX else 0.5
    cdef double w, rest = 0, zero = 0, floor = -4
    cdef Py_ssize_t k
    cdef int j
    for k in range(steps):
        for j in range(SIDE):
            w = height(x[k * SIDE + j], m[j], th[j], tl[j], c, floor, &rest)
            if op == ENTMAX15:
                rest = w if w <= zero else fma(w, w, 2 * w * rest)
                w = zero if w <= zero else rest
            else:
                w = zero if w <= zero else w
            y[k * SIDE + j] = <real> w


cdef inline void sparse_rows(const Rows* call, int op, real kind) noexcept nogil:
    cdef StripWork* work = <StripWork*> call.scratch
    cdef Strip s, y
    cdef double m[SIDE]
    cdef double th[SIDE]
    cdef double tl[SIDE]
    cdef Py_ssize_t done = 0, start, take
    while done < call.rows:
        take = strip_rows(call.n, call.rows - done)
        s = open_strip(call.x.data + done * call.x.row, call.x.row, call.x.item, call.n, take,
                       <real*> work.x.at, <real> -INFINITY)
        y = result_strip(&s, call.y.data + done * call.y.row, call.y.row, call.y.item)
        find_border(&s, op, <real*> work.x.at, <real*> work.kept.at, m, th, tl)
        start = 0
        while start < call.n:
            rise(load_part(&s, start, <real*> work.x.at, <real> -INFINITY), steps_from(&s, start),
                 op, m, th, tl, <real*> work.y.at)
            store_part(&y, <real*> work.y.at, start)
            start += PIECE
        done += take


cdef void sparsemax_rows(const Rows* call, real kind) noexcept nogil:
    sparse_rows(call, SPARSEMAX, kind)


cdef void entmax15_rows(const Rows* call, real kind) noexcept nogil:
    sparse_rows(call, ENTMAX15, kind)
