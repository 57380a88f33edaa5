"""entmax of any alpha > 1: y = (T - d)_+^p / sum, d = b (m - x), b = alpha - 1, p = 1/b.

m is the maximum, and T between 0 and 1 makes the powers sum to 1. (In the other notation T is
b m - tau.) Newton's method finds T from above: what it is applied to is convex, so no step passes
the root.

Up to alpha = 2 that is the p-norm of (T - d)_+ as a function of T. What is raised is 1 - d/T, so
that y keeps its digits as alpha approaches 1, where d vanishes and p grows.

Beyond alpha = 2 the slope is infinite where an entry joins the support, and T has too few digits
for a power next to the border. So the smallest entry of the support is found first, by bisection:
an entry belongs to the support if the powers of what larger ones exceed it by sum to less than 1.
With that entry as the base, T - d = s + b (x - base) keeps its digits however small s is, and the
sum is convex as a function of s^p, which is the power of the base.
"""

cdef struct Entmax:
    double alpha
    double b
    double p
    double near             # the last step of T is shorter than this share of it
    bint steep              # beyond alpha = 2

cdef struct Root:
    double base[16]         # the maximum, or the smallest entry of the support
    double t[16]            # T, or s
    double power[16]        # s^p
    double factor[16]       # b / T, or s / s^p
    double sum[16]          # of the powers
    double slope[16]        # of the sum, but for a factor up to alpha = 2


cdef inline Entmax entmax_of(const double* p, bint wide) noexcept nogil:
    cdef Entmax c
    c.alpha = p[0]
    c.b = p[0] - 1
    c.p = 1 / c.b
    c.near = 2.0**-52 if wide else 2.0**-40
    c.steep = c.alpha > 2
    return c


cdef inline double raised(double x, const Entmax* c, double base, double t, double power,
                          double factor, bint steep, double* slope) noexcept nogil:
    """(1 - d/T)_+^p, or (T - d)_+^p if steep; slope[0] becomes what it adds to the slope."""
    cdef double v, w, u, zero = 0, one = 1
    cdef bint inside
    if steep:
        v = c.b * (x - base)
        inside = v >= zero
        u = at_least(v + t, 1e-300)
        w = exp(c.p * log(u))
        slope[0] = w / u * factor
        w = power if v == zero else w
        slope[0] = one if v == zero else slope[0]
    else:
        v = (x - base) * factor
        inside = v > -one
        v = v if inside else zero
        w = exp(c.p * log1p_any(v))
        slope[0] = w / (one + v)
    slope[0] = slope[0] if inside else zero
    return w if inside else zero


cdef inline void add_powers(const real* x, Py_ssize_t steps, const Entmax* c, bint steep,
                            Root* root) noexcept nogil:
    cdef Root r = root[0]
    cdef Entmax e = c[0]
    cdef double slope = 0
    cdef Py_ssize_t k
    cdef int j
    for k in range(steps):
        for j in range(SIDE):
            r.sum[j] += raised(x[k * SIDE + j], &e, r.base[j], r.t[j], r.power[j], r.factor[j],
                               steep, &slope)
            r.slope[j] += slope
    for j in range(SIDE):
        root.sum[j] = r.sum[j]
        root.slope[j] = r.slope[j]


cdef void sum_powers(const Strip* s, const Entmax* c, real* buffer, Root* root) noexcept nogil:
    cdef Py_ssize_t start = 0
    cdef const real* x
    fill(root.sum, 0)
    fill(root.slope, 0)
    while start < s.n:
        x = load_part(s, start, buffer, <real> -INFINITY)
        if c.steep:
            add_powers(x, steps_from(s, start), c, True, root)
        else:
            add_powers(x, steps_from(s, start), c, False, root)
        start += PIECE
    if not s.apart:
        fold_sums(root.sum)
        fold_sums(root.slope)


cdef inline void near_middle(const real* x, Py_ssize_t steps, const double* low,
                             const double* high, double* above, double* below) noexcept nogil:
    """The entries next to the middle of (low, high)."""
    cdef double middle[SIDE]
    cdef double up[SIDE]
    cdef double down[SIDE]
    cdef double v
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        middle[j] = 0.5 * low[j] + 0.5 * high[j]
        up[j] = above[j]
        down[j] = below[j]
    for k in range(steps):
        for j in range(SIDE):
            v = x[k * SIDE + j]
            up[j] = v if (v >= middle[j]) & (v > low[j]) & (v < up[j]) else up[j]
            down[j] = v if (v < middle[j]) & (v < high[j]) & (v > down[j]) else down[j]
    for j in range(SIDE):
        above[j] = up[j]
        below[j] = down[j]


cdef void find_base(const Strip* s, const Entmax* c, real* buffer, Root* root) noexcept nogil:
    """The smallest entry of the support, and the power that is left for it."""
    cdef double low[SIDE]           # is not in the support
    cdef double high[SIDE]          # is in it
    cdef double above[SIDE]
    cdef double below[SIDE]
    cdef double v
    cdef long long left = 1
    cdef Py_ssize_t start, j
    for j in range(lanes & -SIDE):
        high[j] = root.base[j]
        low[j] = high[j] - 2 * c.p
    fill(root.t, 0)
    fill(root.power, 0)
    fill(root.factor, 0)
    while left:
        fill(above, INFINITY)
        fill(below, -INFINITY)
        start = 0
        while start < s.n:
            near_middle(load_part(s, start, buffer, <real> -INFINITY), steps_from(s, start), low,
                        high, above, below)
            start += PIECE
        if not s.apart:
            fold_least(above)
            fold_most(below)
        left = 0
        for j in range(lanes & -SIDE):
            v = above[j] if above[j] < high[j] else below[j]
            left += 1 if (low[j] < v) & (v < high[j]) else 0
            root.base[j] = v if (low[j] < v) & (v < high[j]) else high[j]
        sum_powers(s, c, buffer, root)
        for j in range(lanes & -SIDE):
            low[j] = low[j] if root.sum[j] < 1 else root.base[j]
            high[j] = root.base[j] if root.sum[j] < 1 else high[j]
    for j in range(lanes & -SIDE):      # each lane's last sum is that of its base
        root.power[j] = 1 - root.sum[j]


cdef void set_factors(const Entmax* c, Root* root) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        if c.steep:
            root.t[j] = exp(c.b * log(root.power[j]))
            root.factor[j] = root.t[j] / root.power[j]
        else:
            root.factor[j] = c.b / root.t[j]


cdef long long step_down(const Entmax* c, Root* root) noexcept nogil:
    """A Newton step; returns how many lanes have not arrived. One that has stays as it is."""
    cdef double d, s, at
    cdef long long far = 0
    cdef Py_ssize_t j
    for j in range(lanes & -SIDE):
        at = root.power[j] if c.steep else root.t[j]
        s = at_least(root.sum[j], 1.0)
        if c.steep:
            d = s - 1
        else:
            d = (at - exp(-c.b * log(s))) * s
        d /= root.slope[j] if root.slope[j] > 0 else 1
        d = d if d > at * c.near else 0
        far += 1 if d > 0 else 0
        root.t[j] = at - d
        root.power[j] = at_least(at - d, 1e-300)
    set_factors(c, root)
    return far


cdef void find_root(const Strip* whole, const Entmax* c, real* buffer, real* kept,
                    Root* root) noexcept nogil:
    """The base, T and the sum; the base is NaN where a row is not finite."""
    cdef Strip s = whole[0]
    cdef double top[SIDE]
    cdef double none = NAN, zero = 0
    cdef Py_ssize_t j
    cdef int tries = 0
    maxima(whole, buffer, top)
    for j in range(lanes & -SIDE):
        root.base[j] = top[j] if top[j] - top[j] == zero else none
    if c.steep:
        s = candidates(whole, root.base[0] - c.p * 1.0000001, buffer, kept)
        find_base(&s, c, buffer, root)
    else:
        fill(root.t, 1)
        fill(root.power, 1)
    set_factors(c, root)
    sum_powers(&s, c, buffer, root)
    while step_down(c, root) and tries < 100:
        tries += 1
        if tries > 1 and not c.steep and s.held == whole.held:
            s = candidates(whole, root.base[0] - c.p * root.t[0] * 1.0000001, buffer, kept)
        sum_powers(&s, c, buffer, root)


cdef inline void entmax_part(const real* x, Py_ssize_t steps, const Entmax* c, const Root* root,
                             bint steep, double* y) noexcept nogil:
    cdef Root r = root[0]
    cdef Entmax e = c[0]
    cdef double slope = 0
    cdef Py_ssize_t k
    cdef int j
    for j in range(SIDE):
        r.sum[j] = 1 / r.sum[j] if r.base[j] == r.base[j] else NAN
    for k in range(steps):
        for j in range(SIDE):
            y[k * SIDE + j] = r.sum[j] * raised(x[k * SIDE + j], &e, r.base[j], r.t[j], r.power[j],
                                                r.factor[j], steep, &slope)


cdef void probabilities(const real* x, Py_ssize_t steps, const Entmax* c, const Root* root,
                        double* y) noexcept nogil:
    if c.steep:
        entmax_part(x, steps, c, root, True, y)
    else:
        entmax_part(x, steps, c, root, False, y)


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
            probabilities(load_part(&s, start, <real*> work.x.at, <real> -INFINITY),
                          steps_from(&s, start), &c, &root, work.s.at)
            for i in range(steps_from(&s, start) * SIDE):
                to[i] = <real> work.s.at[i]
            store_part(&y, to, start)
            start += PIECE
        done += take
