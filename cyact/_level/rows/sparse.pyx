"""Sparse relatives of softmax, maxima, and weighted sums of exponentials: the formulas.

A strip is what the passes of a function work on at a time: up to SIDE short rows, each in a lane
of its own, or one long row whose entries lie over all lanes. A pass is the same loop for both,
16 lanes at a time; after it the lanes of a long row are folded in a fixed order. So a row's
result depends on the row alone.

sparsemax and entmax15 are y = ((x - m) c - t)_+^p with c = 1, p = 1 or c = 1/2, p = 2, and t
such that y sums to 1. Newton's method finds t from the left: the p-norm of (z - t)_+ is convex
in t, so no step passes the root, and what falls out of the support stays out. Some steps in double
come near, one or two more with every difference and sum carried in two doubles give t to about
2^-100: an entry close to the border of the support is the difference of two numbers near 1, and
keeps its digits only if t has more of them.
"""

from libc.math cimport INFINITY, NAN, sqrt
from libc.string cimport memcpy
from cpython.pycapsule cimport PyCapsule_New

from cyact._level.abi cimport ABI, FLOAT32, FLOAT64, Lines, RowKernels, RowOp, Rows
from cyact._level.bits cimport (
    fma,
    at_least,
    at_most,
    bits64,
    exponent_of,
    from_bits64,
    unbiased,
)
from cyact._level.constants cimport LIFT
from cyact._level.exact cimport (
    as_pair,
    fast_two_sum,
    pair,
    pair_of,
    product,
    product_error,
    quotient,
    reciprocal,
    times,
    two_sum,
)
from cyact._level.maths64 cimport (
    exp,
    exp_fine,
    expanded,
    fast_plus,
    log,
    log1p_any,
    log1p_over,
    log_of,
    lower,
    scale,
)

include "panel.pxi"

cdef extern from *:
    """
    #if defined(_MSC_VER)
      #define CYACT_LINE __declspec(align(64))
    #else
      #define CYACT_LINE __attribute__((aligned(64)))
    #endif
    typedef struct { CYACT_LINE double at[1024]; } cyact_doubles;
    """
    ctypedef struct doubles "cyact_doubles":
        double at[1024]

cdef extern from *:
    """
    /* As many lanes as SIDE, but not known to the compiler: GCC would unroll a loop over them
       before it comes to vectorising, and then leave it scalar. */
    static const volatile Py_ssize_t cyact_lanes = 16;
    """
    const Py_ssize_t lanes "cyact_lanes"

cdef enum:
    SHORT_ROW = 64      # the longest row that stands in one lane
    PIECE = 1024        # entries of a long row that a pass takes at a time

# What a function is: y = ((x - m) c - t)_+^p
cdef enum:
    SPARSEMAX           # c = 1, p = 1
    ENTMAX15            # c = 1/2, p = 2
    ENTMAX              # any; see below

cdef struct Strip:
    const char* x
    Py_ssize_t row
    Py_ssize_t item
    Py_ssize_t n
    Py_ssize_t take     # rows
    bint apart          # each row stands in a lane of its own
    const void* held    # all of it, if it is one part; else parts are loaded for each pass

cdef struct StripWork:
    doubles x
    doubles grad
    doubles y
    doubles s
    doubles kept        # of a long row, what can be in the support


# Reading and writing

cdef inline Py_ssize_t strip_rows(Py_ssize_t n, Py_ssize_t left) noexcept nogil:
    """How many rows the next strip takes."""
    if n > SHORT_ROW:
        return 1
    return left if left < SIDE else SIDE


cdef void gather_rows(const char* x, Py_ssize_t row, Py_ssize_t item, Py_ssize_t take,
                      Py_ssize_t n, real* to) noexcept nogil:
    """Short rows side by side: entry k of row r to to[k SIDE + r]; lanes without a row get 0."""
    cdef Py_ssize_t r, k
    if row == sizeof(real) and take == SIDE:
        for k in range(n):
            memcpy(to + k * SIDE, x + k * item, SIDE * sizeof(real))
        return
    for r in range(take):
        for k in range(n):
            to[k * SIDE + r] = (<const real*> (x + r * row + k * item))[0]
    for r in range(take, SIDE):
        for k in range(n):
            to[k * SIDE + r] = 0


cdef const real* load_part(const Strip* s, Py_ssize_t start, real* buffer,
                           real pad) noexcept nogil:
    """Entries from `start` on, padded to whole steps of SIDE lanes."""
    cdef const char* x = s.x + start * s.item
    cdef Py_ssize_t i, count = min(s.n - start, <Py_ssize_t> PIECE)
    if s.held != NULL:
        return <const real*> s.held
    if s.apart:
        gather_rows(s.x, s.row, s.item, s.take, s.n, buffer)
        return buffer
    if s.item == sizeof(real):
        if count % SIDE == 0:
            return <const real*> x
        memcpy(buffer, x, count * sizeof(real))
    else:
        for i in range(count):
            buffer[i] = (<const real*> (x + i * s.item))[0]
    for i in range(count, (count + SIDE - 1) & -SIDE):
        buffer[i] = pad
    return buffer


cdef inline Py_ssize_t steps_from(const Strip* s, Py_ssize_t start) noexcept nogil:
    """Steps of SIDE lanes in the part from `start` on."""
    if s.apart:
        return s.n
    return (min(s.n - start, <Py_ssize_t> PIECE) + SIDE - 1) // SIDE


cdef Strip open_strip(const char* x, Py_ssize_t row, Py_ssize_t item, Py_ssize_t n,
                      Py_ssize_t take, real* buffer, real pad) noexcept nogil:
    cdef Strip s
    s.x = x
    s.row = row
    s.item = item
    s.n = n
    s.take = take
    s.apart = n <= SHORT_ROW
    s.held = NULL
    if n <= PIECE:
        s.held = load_part(&s, 0, buffer, pad)
    return s


cdef void store_part(const Strip* s, const real* y, Py_ssize_t start) noexcept nogil:
    """Results of a part to their places, s being the strip of the result."""
    cdef char* to = <char*> s.x + start * s.item
    cdef Py_ssize_t r, k, count = min(s.n - start, <Py_ssize_t> PIECE)
    if not s.apart:
        if s.item == sizeof(real):
            memcpy(to, y, count * sizeof(real))
        else:
            for k in range(count):
                (<real*> (to + k * s.item))[0] = y[k]
    elif s.row == sizeof(real) and s.take == SIDE:
        for k in range(s.n):
            memcpy(to + k * s.item, y + k * SIDE, SIDE * sizeof(real))
    else:
        for r in range(s.take):
            for k in range(s.n):
                (<real*> (to + r * s.row + k * s.item))[0] = y[k * SIDE + r]


cdef inline Strip result_strip(const Strip* s, char* y, Py_ssize_t row,
                               Py_ssize_t item) noexcept nogil:
    cdef Strip result = s[0]
    result.x = y
    result.row = row
    result.item = item
    result.held = NULL
    return result


# Lanes: 16 numbers, one a row or 16 shares of one row

cdef inline void fill(double* lanes, double value) noexcept nogil:
    cdef int j
    for j in range(SIDE):
        lanes[j] = value


cdef inline void fold_sums(double* lanes) noexcept nogil:
    """Every lane becomes the sum of all."""
    cdef double s[8]
    cdef int j
    for j in range(8):
        s[j] = lanes[j] + lanes[j + 8]
    for j in range(4):
        s[j] += s[j + 4]
    fill(lanes, (s[0] + s[2]) + (s[1] + s[3]))


cdef inline double exact_sum(double a, double b, double* rest) noexcept nogil:
    """a + b rounded; rest[0] is what was rounded off (Knuth's two-sum)."""
    cdef double s = a + b
    cdef double z = s - a
    rest[0] = (a - (s - z)) + (b - z)
    return s


cdef inline void fold_pairs(double* high, double* low) noexcept nogil:
    """Every lane becomes the sum of all, as high + low."""
    cdef double s = high[0], rest = low[0], e = 0
    cdef int j
    for j in range(1, SIDE):
        s = exact_sum(s, high[j], &e)
        rest += e + low[j]
    fill(high, s)
    fill(low, rest)


cdef inline void fold_least(double* lanes) noexcept nogil:
    cdef double least = lanes[0]
    cdef int j
    for j in range(1, SIDE):
        least = lanes[j] if lanes[j] < least else least
    fill(lanes, least)


cdef inline double size_of(double x) noexcept nogil:
    return x if x > 0 else -x


# Maxima

cdef inline void raise_lanes(const real* x, Py_ssize_t steps, real* top, real* bad) noexcept nogil:
    """top[j] becomes the largest entry of lane j that is a number, bad[j] one that is not."""
    cdef real v
    cdef Py_ssize_t k, j, side = lanes & -SIDE
    for k in range(steps):
        for j in range(side):
            v = x[k * SIDE + j]
            top[j] = v if v > top[j] else top[j]
            bad[j] = bad[j] if v == v else v


cdef inline void maxima(const Strip* s, real* buffer, double* top) noexcept nogil:
    """The rows' maxima; NaN for a row that holds one."""
    cdef real most[SIDE]
    cdef real bad[SIDE]
    cdef double m
    cdef Py_ssize_t start = 0, j
    for j in range(SIDE):
        most[j] = -INFINITY
        bad[j] = 0
    while start < s.n:
        raise_lanes(load_part(s, start, buffer, <real> -INFINITY), steps_from(s, start), most, bad)
        start += PIECE
    for j in range(SIDE):
        top[j] = most[j] if bad[j] == 0 else bad[j]
    if not s.apart:
        m = top[0]
        for j in range(1, SIDE):
            m = m if m != m or m > top[j] else top[j]
        for j in range(SIDE):
            top[j] = m


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


# sparsemax and entmax15

cdef Strip candidates(const Strip* s, double least, real* buffer, real* kept) noexcept nogil:
    """What of a long row can be in the support: steps with an entry of at least `least`.

    What is left out would have added nothing to any lane. The whole row, if too much is left.
    """
    cdef Strip few = s[0]
    cdef const real* x
    cdef Py_ssize_t start = 0, k, j, count = 0, side = lanes & -SIDE
    cdef long long hits
    if s.apart or least != least:
        return few
    while start < s.n:
        x = load_part(s, start, buffer, <real> -INFINITY)
        for k in range(steps_from(s, start)):
            hits = 0
            for j in range(side):
                hits += 1 if <double> x[k * SIDE + j] >= least else 0
            if hits:
                if count == PIECE:
                    return few
                for j in range(side):
                    kept[count + j] = x[k * SIDE + j]
                count += SIDE
        start += PIECE
    few.held = kept
    few.n = count
    return few


cdef inline double height(double x, double m, double th, double tl, double c, double floor,
                          double* low) noexcept nogil:
    """(x - m) c - (th + tl) as high + low; `floor`, below every t, stands for what is far below."""
    cdef double d = x - m
    cdef double z = d - x
    cdef double rest = (x - (d - z)) - (m + z)
    cdef double a, high
    d *= c
    rest = 0 if d < floor else rest * c
    d = floor if d < floor else d
    a = d - th
    z = a - d
    rest += ((d - (a - z)) - (th + z)) - tl
    high = a + rest
    low[0] = rest - (high - a)
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
    cdef double w, rest = 0, p, u, z, size, zero = 0, floor = -4
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
            u = s[j] + p
            z = u - s[j]
            r[j] += ((s[j] - (u - z)) + (p - z)) + rest
            s[j] = u
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
    cdef double over, rest = 0, d, size, e = 0, enough, short = 2.0**-44, shorter = 2.0**-98
    cdef long long far = 0
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        over = exact_sum(high[j], -1, &rest)
        over += rest + low[j]
        d = over / (other[j] if op == SPARSEMAX else 2 * other[j])
        size = size_of(d)
        enough = short
        if op == SPARSEMAX:
            enough = short if size < near[j] else shorter
        far += 1 if size > enough else 0
        d = exact_sum(tl[j], d, &e)
        th[j] = exact_sum(th[j], d, &rest)
        tl[j] = rest + e
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
            measure(load_part(&s, start, buffer, <real> -INFINITY), steps_from(&s, start), op, m, th,
                    a, b)
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
            measure_finely(load_part(&s, start, buffer, <real> -INFINITY), steps_from(&s, start), op,
                           m, th, tl, a, low, b, near)
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


cdef void sparse_rows(const Rows* call, int op, real kind) noexcept nogil:
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


# entmax of any alpha > 1: y = (1 + v)_+^p / sum, v = b (x - m) / T, b = alpha - 1, p = 1/b, with
# T = sum^-b. (In the other notation T = -t.) Dividing by the sum, y keeps its digits as alpha
# approaches 1, where v vanishes and p grows. Newton's method on the norm as above; for p < 1 the
# norm is not convex and the steps are kept between bounds. It is double arithmetic for float32 up
# to alpha = 2 and pairs of doubles else, to 2^-64.

cdef struct Entmax:
    double alpha
    double b
    pair p
    bint fine

# What a lane knows: T, between two bounds, and the maximum.
cdef struct Root:
    double m[16]
    double t[16]
    double t_low[16]
    double least[16]
    double most[16]
    double factor[16]       # b / T
    double factor_low[16]
    double sum[16]
    double sum_low[16]
    double slope[16]        # the sum of (1 + v)^(p - 1)


cdef inline Entmax entmax_of(const double* p, bint wide) noexcept nogil:
    cdef Entmax c
    c.alpha = p[0]
    c.b = p[0] - 1
    c.p = reciprocal(as_pair(c.b))
    c.p.lo = c.p.lo if c.p.lo - c.p.lo == 0 else 0
    c.fine = wide or p[0] > 2
    return c


cdef inline double power(double v, double p, double* u) noexcept nogil:
    """(1 + v)_+^p; u[0] becomes 1 + v, or 1 where that is not positive."""
    cdef double one = 1, zero = 0
    cdef bint inside = v > -one
    v = v if inside else zero
    u[0] = one + v
    v = exp(p * log1p_any(v))
    return v if inside else zero


cdef inline void add_powers(const real* x, Py_ssize_t steps, double p, Root* root) noexcept nogil:
    cdef double m[SIDE]
    cdef double f[SIDE]
    cdef double s[SIDE]
    cdef double q[SIDE]
    cdef double w, u = 1
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        m[j] = root.m[j]
        f[j] = root.factor[j]
        s[j] = root.sum[j]
        q[j] = root.slope[j]
    for k in range(steps):
        for j in range(SIDE):
            w = power((<double> x[k * SIDE + j] - m[j]) * f[j], p, &u)
            s[j] += w
            q[j] += w / u
    for j in range(SIDE):
        root.sum[j] = s[j]
        root.slope[j] = q[j]


cdef double step_between(const Entmax* c, Root* root) noexcept nogil:
    """A Newton step of T, or half the way between its bounds; returns how far the lanes had to go.

    For p < 1 the slope is infinite where an entry joins the support, and a short step alone does
    not tell that T is near.
    """
    cdef double t, s, over, d, far = 0
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        t = root.t[j]
        s = root.sum[j] if root.sum[j] >= 1 else 1
        over = t - exp(at_least(-c.b * log(s), -740.0))
        root.most[j] = t if over > 0 and t < root.most[j] else root.most[j]
        root.least[j] = t if over <= 0 and t > root.least[j] else root.least[j]
        t -= over * s / (root.slope[j] if root.slope[j] > 0 else 1)
        if not root.least[j] < t < root.most[j] and t != root.t[j]:
            t = sqrt(root.least[j]) * sqrt(root.most[j])
        d = size_of(t - root.t[j])
        if c.b > 1 and root.most[j] - root.least[j] > t * 2.0**-51:
            d = d if d > size_of(over) else size_of(over)
        far = d / t if d > far * t else far
        # the sum for the new T: its derivative is p (slope - sum) / T
        root.sum_low[j] += c.p.hi * (root.slope[j] - root.sum[j]) / root.t[j] * (t - root.t[j])
        root.t[j] = t
        root.factor[j] = at_most(c.b / t, 1e300)
    return far


# The same with pairs

cdef inline pair log_pair(pair u, pair v) noexcept nogil:
    """log(u), u = 1 + v; v serves where u is near 1."""
    cdef unsigned long long k = exponent_of(u.hi)
    cdef double n = unbiased(k)
    cdef pair e, s
    e = fast_two_sum(from_bits64(bits64(u.hi) - ((k - 1024ULL) << 52)) - 1, scale(u.lo, -n))
    e.hi = v.hi if n == 0 else e.hi
    e.lo = v.lo if n == 0 else e.lo
    e = product(e, log1p_over(e))
    s = two_sum(n * 0.6931471805592082, e.hi)
    s.lo += e.lo + n * 7.371002565167799e-13
    return fast_two_sum(s.hi, s.lo)


cdef inline pair exp_parts_of(pair x, double* n) noexcept nogil:
    """e^x as a pair times 2^n; 0 below -2400."""
    cdef expanded e = exp_fine(lower(x, -2400.0))
    n[0] = e.n
    return fast_plus(1.0, e.a)


cdef inline pair power_pair(double x, double m, pair f, double b, pair p, double* n,
                            double* u) noexcept nogil:
    """(1 + v)_+^p without its factor 2^n, v = (x - m) f; u[0] as in power()."""
    cdef double zero = 0, one = 1
    cdef pair z = two_sum(x, -m), v, w
    cdef bint inside = z.hi * f.hi > -2
    z.hi = z.hi if inside else zero
    z.lo = z.lo if inside else zero
    v = product(z, f)
    v = fast_two_sum(v.hi, v.lo)
    w = fast_plus(one, v)
    w = fast_two_sum(w.hi, w.lo)
    inside &= w.hi > zero
    v.hi = v.hi if inside else zero
    v.lo = v.lo if inside else zero
    w.hi = w.hi if inside else one
    w.lo = w.lo if inside else zero
    u[0] = w.hi
    w = exp_parts_of(product(log_pair(w, v), p), n)
    w.hi = w.hi if inside else zero
    w.lo = w.lo if inside else zero
    return w


cdef inline void add_power_pairs(const real* x, Py_ssize_t steps, const Entmax* c,
                                 Root* root) noexcept nogil:
    cdef double m[SIDE]
    cdef double s[SIDE]
    cdef double r[SIDE]
    cdef double q[SIDE]
    cdef double n = 0, u = 1, b = c.b
    cdef pair w, sum, p = c.p
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        m[j] = root.m[j]
        s[j] = root.sum[j]
        r[j] = root.sum_low[j]
        q[j] = root.slope[j]
    for k in range(steps):
        for j in range(SIDE):
            w = power_pair(x[k * SIDE + j], m[j], pair_of(root.factor[j], root.factor_low[j]), b,
                           p, &n, &u)
            w.hi = scale(w.hi, at_least(n, -2000.0))
            w.lo = scale(w.lo, at_least(n, -2000.0))
            sum = two_sum(s[j], w.hi)
            s[j] = sum.hi
            r[j] += sum.lo + w.lo
            q[j] += w.hi / u
    for j in range(SIDE):
        root.sum[j] = s[j]
        root.sum_low[j] = r[j]
        root.slope[j] = q[j]


cdef void find_factors(const Entmax* c, Root* root) noexcept nogil:
    """b / T."""
    cdef pair f
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        f = quotient(as_pair(c.b), fast_two_sum(root.t[j], root.t_low[j]))
        root.factor[j] = at_most(f.hi, 1e300)
        root.factor_low[j] = f.lo if f.hi < 1e300 else 0


cdef void bound_finely(const Entmax* c, Root* root) noexcept nogil:
    """From here on t stays, t_low moves, and the bounds are those of t_low."""
    cdef double slack
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        slack = root.t[j] * 2.0**-50
        root.least[j] = root.least[j] - root.t[j] - slack
        root.most[j] = root.most[j] - root.t[j] + slack
    find_factors(c, root)


cdef double step_finely(const Entmax* c, Root* root) noexcept nogil:
    """The same with pairs."""
    cdef pair s, target
    cdef double n = 0, over, d, at, far = 0
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        s = fast_two_sum(root.sum[j], root.sum_low[j])
        s.hi = s.hi if s.hi >= 1 else 1
        target = exp_parts_of(times(log_pair(s, fast_two_sum(s.hi - 1, s.lo)), -c.b), &n)
        n = at_least(n, -2000.0)
        over = root.t[j] - scale(target.hi, n)
        over += root.t_low[j] - scale(target.lo, n)
        at = root.t_low[j]
        root.most[j] = at if over > 0 and at < root.most[j] else root.most[j]
        root.least[j] = at if over <= 0 and at > root.least[j] else root.least[j]
        at -= over * s.hi / (root.slope[j] if root.slope[j] > 0 else 1)
        if not root.least[j] < at < root.most[j] and at != root.t_low[j]:
            at = 0.5 * (root.least[j] + root.most[j])
        d = size_of(at - root.t_low[j])
        if c.b > 1:
            d = d if d > size_of(over) else size_of(over)
        far = d / root.t[j] if d > far * root.t[j] else far
        root.sum_low[j] += (c.p.hi * (root.slope[j] - root.sum[j]) / root.t[j]
                            * (at - root.t_low[j]))
        root.t_low[j] = at
    find_factors(c, root)
    return far


cdef void sum_powers(const Strip* s, const Entmax* c, bint fine, real* buffer,
                     Root* root) noexcept nogil:
    cdef Py_ssize_t start = 0
    cdef const real* x
    fill(root.sum, 0)
    fill(root.sum_low, 0)
    fill(root.slope, 0)
    while start < s.n:
        x = load_part(s, start, buffer, <real> -INFINITY)
        if fine:
            add_power_pairs(x, steps_from(s, start), c, root)
        else:
            add_powers(x, steps_from(s, start), c.p.hi, root)
        start += PIECE
    if not s.apart:
        fold_pairs(root.sum, root.sum_low)
        fold_sums(root.slope)


cdef void find_root(const Strip* whole, const Entmax* c, real* buffer, real* kept,
                    Root* root) noexcept nogil:
    """The maxima, T and the sum."""
    cdef Strip s
    cdef double top[SIDE]
    cdef double far = 1, none = NAN, zero = 0, near = 2.0**-58
    cdef Py_ssize_t j
    cdef int tries = 0
    maxima(whole, buffer, top)
    for j in range(lanes & -SIDE):
        root.m[j] = top[j] if top[j] - top[j] == zero else none
    s = whole[0]
    fill(root.t, 1)
    fill(root.t_low, 0)
    fill(root.most, 1)
    fill(root.least, at_least(exp(at_least(-c.b * log(whole.n), -740.0)), 1e-290) * 0.999)
    fill(root.factor, at_most(c.b, 1e300))
    while far > 2.0**-40 and tries < 200:
        sum_powers(&s, c, False, buffer, root)
        far = step_between(c, root)
        tries += 1
        if tries > 1 and s.held == whole.held:
            s = candidates(whole, root.m[0] - c.p.hi * root.most[0] * 1.0000001, buffer, kept)
    if not c.fine:
        return
    bound_finely(c, root)
    # up to alpha = 1.5 the norm is smooth enough for the step after a short one to be shorter by
    # its square
    near = 2.0**-45 if c.b <= 0.5 else near
    far = 1
    tries = 0
    while far > near and tries < 60:
        sum_powers(&s, c, True, buffer, root)
        far = step_finely(c, root)
        tries += 1


cdef inline void entmax_part(const real* x, Py_ssize_t steps, const Entmax* c, const Root* root,
                             double* y) noexcept nogil:
    cdef double n = 0, u = 1, p = c.p.hi, b = c.b
    cdef double over[SIDE]
    cdef double rest[SIDE]
    cdef pair v, p2 = c.p
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        v = reciprocal(fast_two_sum(root.sum[j], root.sum_low[j]))
        over[j] = v.hi if root.m[j] == root.m[j] else NAN
        rest[j] = v.lo
    if not c.fine:
        for k in range(steps):
            for j in range(SIDE):
                y[k * SIDE + j] = over[j] * power(
                    (<double> x[k * SIDE + j] - root.m[j]) * root.factor[j], p, &u)
        return
    for k in range(steps):
        for j in range(SIDE):
            v = power_pair(x[k * SIDE + j], root.m[j],
                           pair_of(root.factor[j], root.factor_low[j]), b, p2, &n, &u)
            v = product(v, pair_of(over[j], rest[j]))
            y[k * SIDE + j] = scale(v.hi + v.lo, at_least(n, -2000.0))


cdef void entmax_rows(const Rows* call, real kind) noexcept nogil:
    cdef StripWork* work = <StripWork*> call.scratch
    cdef Root root
    cdef Strip s, y
    cdef real* to = <real*> work.y.at
    cdef Entmax c = entmax_of(call.p, real is double)
    cdef Py_ssize_t done = 0, start, take, i
    while done < call.rows:
        take = strip_rows(call.n, call.rows - done)
        s = open_strip(call.x.data + done * call.x.row, call.x.row, call.x.item, call.n, take,
                       <real*> work.x.at, <real> -INFINITY)
        y = result_strip(&s, call.y.data + done * call.y.row, call.y.row, call.y.item)
        find_root(&s, &c, <real*> work.x.at, <real*> work.kept.at, &root)
        start = 0
        while start < call.n:
            entmax_part(load_part(&s, start, <real*> work.x.at, <real> -INFINITY),
                        steps_from(&s, start), &c, &root, work.s.at)
            for i in range(steps_from(&s, start) * SIDE):
                to[i] = <real> work.s.at[i]
            store_part(&y, to, start)
            start += PIECE
        done += take


cdef void raise_slopes(double* y, Py_ssize_t n, double exponent, bint fine) noexcept nogil:
    """y becomes y^(2 - alpha), 0 stays."""
    cdef double v, zero = 0, one = 1
    cdef pair w
    cdef expanded e
    cdef Py_ssize_t i
    for i in range(n & -SIDE):
        v = at_least(y[i], 1e-300)
        if fine:
            w = times(log_pair(as_pair(v), pair_of(v - one, 0)), exponent)
            w.hi = at_most(at_least(w.hi, -740.0), 460.0)
            e = exp_fine(w)
            v = scale(one + e.a.hi, e.n)
        else:
            v = exp(at_most(exponent * log(v), 460.0))
        y[i] = y[i] if (y[i] == zero) | (y[i] != y[i]) else v


# Their gradients: s (g - sum(s g) / sum(s)), s = y^(2 - alpha) on the support: 1 for sparsemax, and
# for entmax15 the square root of y, which is w

cdef inline void slopes_of_output(const real* y, Py_ssize_t steps, int op,
                                  double* s) noexcept nogil:
    cdef double v, zero = 0
    cdef Py_ssize_t i
    for i in range(steps * SIDE):
        v = y[i]
        if op == SPARSEMAX:
            s[i] = 1 if v > zero else v
        else:
            s[i] = sqrt(v)


cdef inline void slopes_of_input(const real* x, Py_ssize_t steps, int op, const double* m,
                                 const double* th, const double* tl, double* s) noexcept nogil:
    cdef double c = 1 if op == SPARSEMAX else 0.5
    cdef double w, rest = 0, zero = 0, floor = -4
    cdef Py_ssize_t k
    cdef int j
    for k in range(steps):
        for j in range(SIDE):
            w = height(x[k * SIDE + j], m[j], th[j], tl[j], c, floor, &rest)
            w = zero if w <= zero else w
            if op == SPARSEMAX:
                w = 1 if w > zero else w
            s[k * SIDE + j] = w


cdef inline void weigh(const double* s, const real* g, Py_ssize_t steps, double* high, double* low,
                       double* total, double* total_low) noexcept nogil:
    """Add up s g and s, with what rounds off; where s is 0, g does not count."""
    cdef double a[SIDE]
    cdef double b[SIDE]
    cdef double c[SIDE]
    cdef double d[SIDE]
    cdef double v, p, e, u, z, zero = 0
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        a[j] = high[j]
        b[j] = low[j]
        c[j] = total[j]
        d[j] = total_low[j]
    for k in range(steps):
        for j in range(SIDE):
            v = s[k * SIDE + j]
            p = v * g[k * SIDE + j]
            e = product_error(v, g[k * SIDE + j], p)
            p = zero if v == zero else p
            e = zero if v == zero else e
            u = a[j] + p
            z = u - a[j]
            b[j] += ((a[j] - (u - z)) + (p - z)) + e
            a[j] = u
            u = c[j] + v
            z = u - c[j]
            d[j] += (c[j] - (u - z)) + (v - z)
            c[j] = u
    for j in range(SIDE):
        high[j] = a[j]
        low[j] = b[j]
        total[j] = c[j]
        total_low[j] = d[j]


cdef inline void divide_pairs(double* high, double* low, const double* total,
                              const double* total_low) noexcept nogil:
    """high + low becomes (high + low) / (total + total_low)."""
    cdef double q, p, rest
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        q = (high[j] + low[j]) / total[j]
        p = q * total[j]
        rest = (high[j] - p) - product_error(q, total[j], p)
        rest = (rest + low[j] - q * total_low[j]) / total[j]
        high[j] = q
        low[j] = rest if rest - rest == 0 else 0


cdef inline void tilt(const double* s, const real* g, Py_ssize_t steps, const double* high,
                      const double* low, real* y) noexcept nogil:
    cdef double v, zero = 0
    cdef Py_ssize_t k
    cdef int j
    for k in range(steps):
        for j in range(SIDE):
            v = s[k * SIDE + j] * ((g[k * SIDE + j] - high[j]) - low[j])
            v = zero if s[k * SIDE + j] == zero else v
            y[k * SIDE + j] = <real> v


# Where a strip's rows have their border, in either notation

cdef struct Border:
    int op
    bint output         # x is the output of the forward pass: nothing to be found
    double m[16]
    double high[16]
    double low[16]
    Entmax entmax
    Root root


cdef void slopes(const Strip* s, Py_ssize_t start, const Border* at, real* buffer, real pad,
                 double* to) noexcept nogil:
    """y^(2 - alpha) of one part."""
    cdef const real* x = load_part(s, start, buffer, pad)
    cdef Py_ssize_t i, steps = steps_from(s, start)
    if at.op != ENTMAX:
        if at.output:
            slopes_of_output(x, steps, at.op, to)
        else:
            slopes_of_input(x, steps, at.op, at.m, at.high, at.low, to)
        return
    if at.output:
        for i in range(steps * SIDE):
            to[i] = x[i]
    else:
        entmax_part(x, steps, &at.entmax, &at.root, to)
    raise_slopes(to, steps * SIDE, 2 - at.entmax.alpha, at.entmax.fine)


cdef void sparse_gradients(const Rows* call, int op, bint output, real kind) noexcept nogil:
    cdef StripWork* work = <StripWork*> call.scratch
    cdef Strip s, y, g
    cdef Border at
    cdef double high[SIDE]
    cdef double low[SIDE]
    cdef double total[SIDE]
    cdef double total_low[SIDE]
    cdef real* x = <real*> work.x.at
    cdef real* grad = <real*> work.grad.at
    cdef real pad = 0 if output else -INFINITY
    cdef Py_ssize_t done = 0, start, take
    at.op = op
    at.output = output
    if op == ENTMAX:
        at.entmax = entmax_of(call.p, real is double)
    while done < call.rows:
        take = strip_rows(call.n, call.rows - done)
        s = open_strip(call.x.data + done * call.x.row, call.x.row, call.x.item, call.n, take, x, pad)
        g = open_strip(call.grad.data + done * call.grad.row, call.grad.row, call.grad.item, call.n,
                       take, grad, <real> 0)
        y = result_strip(&s, call.y.data + done * call.y.row, call.y.row, call.y.item)
        if op == ENTMAX and not output:
            find_root(&s, &at.entmax, x, <real*> work.kept.at, &at.root)
        elif not output:
            find_border(&s, op, x, <real*> work.kept.at, at.m, at.high, at.low)
        fill(high, 0)
        fill(low, 0)
        fill(total, 0)
        fill(total_low, 0)
        start = 0
        while start < call.n:
            slopes(&s, start, &at, x, pad, work.s.at)
            weigh(work.s.at, load_part(&g, start, grad, <real> 0), steps_from(&s, start), high, low,
                  total, total_low)
            start += PIECE
        if not s.apart:
            fold_pairs(high, low)
            fold_pairs(total, total_low)
        divide_pairs(high, low, total, total_low)
        start = 0
        while start < call.n:
            if call.n > PIECE:
                slopes(&s, start, &at, x, pad, work.s.at)
            tilt(work.s.at, load_part(&g, start, grad, <real> 0), steps_from(&s, start), high, low,
                 <real*> work.y.at)
            store_part(&y, <real*> work.y.at, start)
            start += PIECE
        done += take


# log|sum b e^x|. Terms are b e^(x - M), M the largest x + log 2^exponent(b), so that neither a
# large b overflows nor a small one hides larger terms. Terms and sums are carried in two doubles,
# 2^-64: that is what cancelling starts from. Entries with b = 0 do not count, whatever x is.

cdef struct Weighted:
    double m[16]            # M
    double high[16]         # the sum
    double low[16]
    double special[16]      # the sum of what is infinite or NaN; 0 without it


cdef inline double exponent_of_weight(double b) noexcept nogil:
    """The binary exponent of b; of 0 some small number."""
    cdef double tiny = 2.2250738585072014e-308
    cdef double size = from_bits64(bits64(b) & 0x7fffffffffffffffULL)
    cdef double y = size * LIFT if size < tiny else size
    cdef double k = from_bits64((bits64(y) >> 52) | 0x4330000000000000ULL) - 4503599627370496.0
    return k - (1119 if size < tiny else 1023)


cdef inline void raise_weighted(const real* x, const real* b, Py_ssize_t steps,
                                Weighted* w) noexcept nogil:
    cdef double m[SIDE]
    cdef double special[SIDE]
    cdef double v, key, factor, term, inf = INFINITY, one = 1, zero = 0
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        m[j] = w.m[j]
        special[j] = w.special[j]
    for k in range(steps):
        for j in range(SIDE):
            v = x[k * SIDE + j]
            factor = b[k * SIDE + j]
            key = v + exponent_of_weight(factor) * 0.6931471805599453
            key = -inf if factor == zero else key
            m[j] = key if key > m[j] else m[j]
            # what b e^x is where one of them is infinite or NaN
            term = v if v - v != zero else one
            term = zero if v == -inf else term
            term *= factor
            term = zero if (term - term == zero) | (factor == zero) else term
            special[j] += term
    for j in range(SIDE):
        w.m[j] = m[j]
        w.special[j] = special[j]


cdef inline pair weighted_term(double x, double b, double m) noexcept nogil:
    """b e^(x - m); 0 for b = 0, whatever x is."""
    cdef pair d, one_a
    cdef expanded e
    cdef double bound = -2400
    x = m if b == 0 else x
    d = two_sum(x, -m)
    d.lo = 0 if d.hi < bound else d.lo
    d.hi = at_most(at_least(d.hi, bound), 800.0)
    e = exp_fine(d)
    one_a = fast_plus(1.0, e.a)
    return times(one_a, scale(b, at_least(e.n, -2000.0)))


cdef inline void add_weighted(const real* x, const real* b, Py_ssize_t steps,
                              Weighted* w) noexcept nogil:
    cdef double m[SIDE]
    cdef double s[SIDE]
    cdef double r[SIDE]
    cdef pair term, sum
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        m[j] = w.m[j]
        s[j] = w.high[j]
        r[j] = w.low[j]
    for k in range(steps):
        for j in range(SIDE):
            term = weighted_term(x[k * SIDE + j], b[k * SIDE + j], m[j])
            sum = two_sum(s[j], term.hi)
            s[j] = sum.hi
            r[j] += sum.lo + term.lo
    for j in range(SIDE):
        w.high[j] = s[j]
        w.low[j] = r[j]


cdef void sum_weighted(const Strip* x, const Strip* b, real* x_buffer, real* b_buffer,
                       Weighted* w) noexcept nogil:
    cdef Py_ssize_t start = 0
    cdef double most
    cdef int j
    fill(w.m, -INFINITY)
    fill(w.special, 0)
    fill(w.high, 0)
    fill(w.low, 0)
    while start < x.n:
        raise_weighted(load_part(x, start, x_buffer, <real> 0),
                       load_part(b, start, b_buffer, <real> 0), steps_from(x, start), w)
        start += PIECE
    if not x.apart:
        fold_sums(w.special)
        most = w.m[0]
        for j in range(1, SIDE):
            most = w.m[j] if w.m[j] > most else most
        fill(w.m, most)
    for j in range(SIDE):
        w.m[j] = w.m[j] if w.m[j] - w.m[j] == 0 else 0
    start = 0
    while start < x.n:
        add_weighted(load_part(x, start, x_buffer, <real> 0),
                     load_part(b, start, b_buffer, <real> 0), steps_from(x, start), w)
        start += PIECE
    if not x.apart:
        fold_pairs(w.high, w.low)


cdef inline double log_of_sum(double m, pair s) noexcept nogil:
    """m + log(s), s > 0."""
    cdef unsigned long long k = exponent_of(s.hi)
    cdef pair f
    f.hi = from_bits64(bits64(s.hi) - ((k - 1024ULL) << 52)) - 1
    f.lo = scale(s.lo, -unbiased(k))
    f = fast_two_sum(f.hi, f.lo) if f.hi != 0 else as_pair(f.lo)
    return m + log_of(unbiased(k), f)


cdef void put_log(const Weighted* w, int j, real* value, real* sign) noexcept nogil:
    cdef pair s = fast_two_sum(w.high[j], w.low[j])
    if w.special[j] != 0:
        value[0] = <real> (w.special[j] * w.special[j])
        sign[0] = 1 if w.special[j] > 0 else -1 if w.special[j] < 0 else <real> w.special[j]
    elif s.hi == 0:
        value[0] = -INFINITY
        sign[0] = 0
    elif s.hi < 0:
        value[0] = <real> log_of_sum(w.m[j], pair_of(-s.hi, -s.lo))
        sign[0] = -1
    else:
        value[0] = <real> log_of_sum(w.m[j], s)
        sign[0] = 1


cdef void weighted_rows(const Rows* call, bint quotients, real kind) noexcept nogil:
    """grad holds b; y becomes the logarithm and the sign, or the terms over their sum."""
    cdef StripWork* work = <StripWork*> call.scratch
    cdef Weighted w
    cdef Strip x, b, y
    cdef const real* xs
    cdef const real* bs
    cdef real* to
    cdef pair term, v
    cdef double over[SIDE]
    cdef double rest[SIDE]
    cdef Py_ssize_t done = 0, start, take, r, k
    cdef int j
    while done < call.rows:
        take = strip_rows(call.n, call.rows - done)
        x = open_strip(call.x.data + done * call.x.row, call.x.row, call.x.item, call.n, take,
                       <real*> work.x.at, <real> 0)
        b = open_strip(call.grad.data + done * call.grad.row, call.grad.row, call.grad.item, call.n,
                       take, <real*> work.grad.at, <real> 0)
        sum_weighted(&x, &b, <real*> work.x.at, <real*> work.grad.at, &w)
        if not quotients:
            for r in range(take):
                to = <real*> (call.y.data + (done + r) * call.y.row)
                put_log(&w, <int> r, to, <real*> (<char*> to + call.y.item))
            done += take
            continue
        for j in range(SIDE):
            v = reciprocal(fast_two_sum(w.high[j], w.low[j]))
            over[j] = v.hi if w.special[j] == 0 else NAN
            rest[j] = v.lo if v.lo - v.lo == 0 else 0
        y = result_strip(&x, call.y.data + done * call.y.row, call.y.row, call.y.item)
        to = <real*> work.y.at
        start = 0
        while start < call.n:
            xs = load_part(&x, start, <real*> work.x.at, <real> 0)
            bs = load_part(&b, start, <real*> work.grad.at, <real> 0)
            for k in range(steps_from(&x, start)):
                for j in range(SIDE):
                    term = weighted_term(xs[k * SIDE + j], bs[k * SIDE + j], w.m[j])
                    to[k * SIDE + j] = <real> (0 if bs[k * SIDE + j] == 0 else fma(
                        term.hi, over[j], fma(term.hi, rest[j], term.lo * over[j])))
            store_part(&y, to, start)
            start += PIECE
        done += take


# What the kernels take: rows of the dtype computed in, short ones in any steps, long ones without
# gaps. Others are packed, as many at a time as a panel has.

ctypedef void (*kernel_t)(const Rows* call) noexcept nogil


cdef inline bint fits(const Rows* call, const Lines* a, Py_ssize_t size) noexcept nogil:
    return a.data == NULL or (a.dtype == call.dtype and a.row % size == 0 and (
        a.item == size or call.n <= SHORT_ROW))


cdef inline bint packs_nothing(const Rows* call) noexcept nogil:
    cdef Py_ssize_t size = 8 if call.dtype == FLOAT64 else 4
    return (fits(call, &call.x, size) and fits(call, &call.y, size)
            and fits(call, &call.grad, size) and call.mask.data == NULL
            and call.bias.data == NULL and not call.turns_x and not call.turns_y)


cdef inline void run(const Rows* call, kernel_t kernel, Py_ssize_t grads, Py_ssize_t results,
                     real kind) noexcept nogil:
    """`grads`, `results`: how many entries a row of the gradient and of the result has; 0: n."""
    cdef Panel p
    cdef Rows piece
    cdef Lines rows
    cdef Py_ssize_t size = sizeof(real)
    if packs_nothing(call):
        kernel(call)
        return
    piece = call[0]
    piece.scratch = open_rows(&p, call)
    piece.mask.data = piece.bias.data = NULL
    piece.turns_x = piece.turns_y = False
    piece.x = packed_lines(&p, p.x, size)
    piece.y = packed_lines(&p, p.y, size)
    if call.grad.data != NULL:
        piece.grad = packed_lines(&p, p.grad, size)
    while next_rows(&p):
        pack_x(&p, 0, kind)
        if call.grad.data != NULL:
            pack(&p, &call.grad, 0, grads or call.n, 0, p.grad, kind)
            if call.mask.data != NULL and grads == 0:
                set_blank(&p, <real*> p.grad, 0, call.n, 0)
        piece.rows = p.rows
        kernel(&piece)
        if results:
            rows = from_row(&call.y, p.first)
            scatter(<const real*> p.y, p.width, &rows, p.rows, results)
        else:
            unpack(&p, 0, kind)


cdef inline Lines packed_lines(const Panel* p, char* buffer, Py_ssize_t size) noexcept nogil:
    cdef Lines a
    a.data = buffer
    a.dtype = p.call.dtype
    a.row = p.width * size
    a.item = size
    return a


# The table; the engine keeps the status flags

cdef void run_hardmax32(const Rows* call) noexcept nogil:
    hardmax_rows(call, <float> 0)


cdef void run_hardmax64(const Rows* call) noexcept nogil:
    hardmax_rows(call, <double> 0)


cdef void run_hardmax(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, run_hardmax32, 0, 0, <float> 0)
    else:
        run(call, run_hardmax64, 0, 0, <double> 0)


cdef void hardmax_backward32(const Rows* call) noexcept nogil:
    hardmax_gradients(call, <float> 0)


cdef void hardmax_backward64(const Rows* call) noexcept nogil:
    hardmax_gradients(call, <double> 0)


cdef void hardmax_backward(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, hardmax_backward32, 0, 0, <float> 0)
    else:
        run(call, hardmax_backward64, 0, 0, <double> 0)


cdef void run_maxout32(const Rows* call) noexcept nogil:
    maxout_rows(call, <float> 0)


cdef void run_maxout64(const Rows* call) noexcept nogil:
    maxout_rows(call, <double> 0)


cdef void run_maxout(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, run_maxout32, 0, 1, <float> 0)
    else:
        run(call, run_maxout64, 0, 1, <double> 0)


cdef void maxout_backward32(const Rows* call) noexcept nogil:
    maxout_gradients(call, <float> 0)


cdef void maxout_backward64(const Rows* call) noexcept nogil:
    maxout_gradients(call, <double> 0)


cdef void maxout_backward(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, maxout_backward32, 1, 0, <float> 0)
    else:
        run(call, maxout_backward64, 1, 0, <double> 0)


cdef void run_sparsemax32(const Rows* call) noexcept nogil:
    sparse_rows(call, SPARSEMAX, <float> 0)


cdef void run_sparsemax64(const Rows* call) noexcept nogil:
    sparse_rows(call, SPARSEMAX, <double> 0)


cdef void run_sparsemax(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, run_sparsemax32, 0, 0, <float> 0)
    else:
        run(call, run_sparsemax64, 0, 0, <double> 0)


cdef void sparsemax_backward32(const Rows* call) noexcept nogil:
    sparse_gradients(call, SPARSEMAX, False, <float> 0)


cdef void sparsemax_backward64(const Rows* call) noexcept nogil:
    sparse_gradients(call, SPARSEMAX, False, <double> 0)


cdef void sparsemax_backward(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, sparsemax_backward32, 0, 0, <float> 0)
    else:
        run(call, sparsemax_backward64, 0, 0, <double> 0)


cdef void sparsemax_from_output32(const Rows* call) noexcept nogil:
    sparse_gradients(call, SPARSEMAX, True, <float> 0)


cdef void sparsemax_from_output64(const Rows* call) noexcept nogil:
    sparse_gradients(call, SPARSEMAX, True, <double> 0)


cdef void sparsemax_from_output(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, sparsemax_from_output32, 0, 0, <float> 0)
    else:
        run(call, sparsemax_from_output64, 0, 0, <double> 0)


cdef void run_entmax1532(const Rows* call) noexcept nogil:
    sparse_rows(call, ENTMAX15, <float> 0)


cdef void run_entmax1564(const Rows* call) noexcept nogil:
    sparse_rows(call, ENTMAX15, <double> 0)


cdef void run_entmax15(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, run_entmax1532, 0, 0, <float> 0)
    else:
        run(call, run_entmax1564, 0, 0, <double> 0)


cdef void entmax15_backward32(const Rows* call) noexcept nogil:
    sparse_gradients(call, ENTMAX15, False, <float> 0)


cdef void entmax15_backward64(const Rows* call) noexcept nogil:
    sparse_gradients(call, ENTMAX15, False, <double> 0)


cdef void entmax15_backward(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, entmax15_backward32, 0, 0, <float> 0)
    else:
        run(call, entmax15_backward64, 0, 0, <double> 0)


cdef void entmax15_from_output32(const Rows* call) noexcept nogil:
    sparse_gradients(call, ENTMAX15, True, <float> 0)


cdef void entmax15_from_output64(const Rows* call) noexcept nogil:
    sparse_gradients(call, ENTMAX15, True, <double> 0)


cdef void entmax15_from_output(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, entmax15_from_output32, 0, 0, <float> 0)
    else:
        run(call, entmax15_from_output64, 0, 0, <double> 0)


cdef void run_entmax32(const Rows* call) noexcept nogil:
    entmax_rows(call, <float> 0)


cdef void run_entmax64(const Rows* call) noexcept nogil:
    entmax_rows(call, <double> 0)


cdef void run_entmax(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, run_entmax32, 0, 0, <float> 0)
    else:
        run(call, run_entmax64, 0, 0, <double> 0)


cdef void entmax_backward32(const Rows* call) noexcept nogil:
    sparse_gradients(call, ENTMAX, False, <float> 0)


cdef void entmax_backward64(const Rows* call) noexcept nogil:
    sparse_gradients(call, ENTMAX, False, <double> 0)


cdef void entmax_backward(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, entmax_backward32, 0, 0, <float> 0)
    else:
        run(call, entmax_backward64, 0, 0, <double> 0)


cdef void entmax_from_output32(const Rows* call) noexcept nogil:
    sparse_gradients(call, ENTMAX, True, <float> 0)


cdef void entmax_from_output64(const Rows* call) noexcept nogil:
    sparse_gradients(call, ENTMAX, True, <double> 0)


cdef void entmax_from_output(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        run(call, entmax_from_output32, 0, 0, <float> 0)
    else:
        run(call, entmax_from_output64, 0, 0, <double> 0)


# Two arrays, the second in the gradient's place

cdef void weighted_logsumexp(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        weighted_rows(call, False, <float> 0)
    else:
        weighted_rows(call, False, <double> 0)


cdef void weighted_softmax(const Rows* call) noexcept nogil:
    if call.dtype == FLOAT32:
        weighted_rows(call, True, <float> 0)
    else:
        weighted_rows(call, True, <double> 0)


cdef Py_ssize_t scratch_of(const Rows* call) noexcept nogil:
    cdef Panel p
    cdef Rows rows = call[0]
    rows.scratch = NULL
    if packs_nothing(call):
        return sizeof(StripWork)
    return (open_rows(&p, &rows) - <char*> NULL) + sizeof(StripWork)


cdef RowOp SPARSE_OPS[7]
cdef RowKernels SPARSE

SPARSE_OPS[0] = RowOp(name=b"hardmax", cost=0.5, value=run_hardmax, backward=hardmax_backward,
                      from_output=NULL)
SPARSE_OPS[1] = RowOp(name=b"maxout", cost=0.5, value=run_maxout, backward=maxout_backward,
                      from_output=NULL)
SPARSE_OPS[2] = RowOp(name=b"sparsemax", cost=2, value=run_sparsemax,
                      backward=sparsemax_backward, from_output=sparsemax_from_output)
SPARSE_OPS[3] = RowOp(name=b"entmax15", cost=2, value=run_entmax15,
                      backward=entmax15_backward, from_output=entmax15_from_output)
SPARSE_OPS[4] = RowOp(name=b"entmax", cost=20, value=run_entmax, backward=entmax_backward,
                      from_output=entmax_from_output)
SPARSE_OPS[5] = RowOp(name=b"weighted_logsumexp", cost=4, value=NULL,
                      backward=weighted_logsumexp, from_output=NULL)
SPARSE_OPS[6] = RowOp(name=b"weighted_softmax", cost=6, value=NULL, backward=weighted_softmax,
                      from_output=NULL)
SPARSE.abi = ABI
SPARSE.count = 7
SPARSE.ops = SPARSE_OPS
SPARSE.scratch = scratch_of
table = PyCapsule_New(&SPARSE, b"cyact.RowKernels", NULL)
