"""Weighted minimax approximation by polynomials and rationals, in mpmath.

`fit` minimises max |f(x) - P(x)/Q(x)| / |weight(x)| over an interval by the Remez exchange
algorithm; for rationals the bilinear equations of each exchange are solved by Newton's method. Used
by constants32.py.
"""

from mpmath import cos, linspace, lu_solve, matrix, mp, mpf, pi


def horner(coefficients, x):
    """Value at x of the polynomial whose constant term comes first."""
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def solve(xs, fs, ws, n, d, q, error):
    """P, Q and E with f(x_i) - P(x_i)/Q(x_i) = (-1)^i E w(x_i) and Q(0) = 1, by Newton."""
    size = n + d + 2
    for _ in range(1 if d == 0 else 12):
        a, b = matrix(size, size), matrix(size, 1)
        for i in range(size):
            level = (-1) ** i * ws[i]
            for j in range(n + 1):
                a[i, j] = xs[i] ** j
            for j in range(1, d + 1):
                a[i, n + j] = (level * error - fs[i]) * xs[i] ** j
            a[i, size - 1] = level * horner(q, xs[i])
            b[i] = fs[i] + level * error * (horner(q, xs[i]) - 1)
        solution = lu_solve(a, b)
        q, error = [mpf(1), *solution[n + 1 : size - 1]], solution[size - 1]
    return list(solution[: n + 1]), q, error


def alternation(errors, count):
    """Indices of `count` neighbouring extrema of alternating sign, the largest ones."""
    peaks = []
    for i, e in enumerate(errors):
        if peaks and (errors[peaks[-1]] > 0) == (e > 0):
            if abs(e) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > count:
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    if len(peaks) < count:
        raise ArithmeticError(f"{len(peaks)} extrema instead of {count}: a degree is too high")
    return peaks


def fit(f, lo, hi, n, d=0, weight=None, bend=1, points=60):
    """Coefficients of P (degree n) and Q (degree d, Q(0) = 1), and the weighted error.

    `weight(x, f(x))` defaults to |f|: relative error. `bend` > 1 crowds the starting points
    and the grid towards `lo`, where a rational on a long interval has most of its extrema.
    """
    size = n + d + 2
    spread = [(1 - cos(pi * t)) / 2 for t in linspace(mpf(0), mpf(1), points * size)]
    grid = [lo + (hi - lo) * t / (t + bend * (1 - t)) for t in spread]
    fs = [f(x) for x in grid]
    ws = [abs(v) if weight is None else weight(x, v) for x, v in zip(grid, fs, strict=True)]
    chosen = [round(i * (len(grid) - 1) / (size - 1)) for i in range(size)]
    q, error = [mpf(1)], mpf(0)
    for _ in range(30):
        p, q, error = solve([grid[i] for i in chosen], [fs[i] for i in chosen],
                            [ws[i] for i in chosen], n, d, q, error)
        errors = [(v - horner(p, x) / horner(q, x)) / w
                  for x, v, w in zip(grid, fs, ws, strict=True)]
        worst = max(abs(e) for e in errors)
        if worst <= abs(error) * mpf("1.0001"):
            return p, q, worst
        chosen = alternation(errors, size)
    raise ArithmeticError(f"no convergence after 30 exchanges, {mp.nstr(worst / abs(error))}")
