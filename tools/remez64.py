"""Weighted minimax polynomials by Remez's exchange algorithm, in mpmath alone."""

from mpmath import cos, lu_solve, matrix, mp, mpf, pi, polyval


def minimax(function, weight, low, high, degree, grid=60, rounds=40):
    """Return (coefficients, error): the polynomial c0 + c1*x + … nearest to `function`.

    `error` is the largest of weight(x) * |polynomial(x) - function(x)| on [low, high]. The
    weight must be positive except at single points where it may vanish. `grid` is the number
    of points a coefficient at which the error is looked at in each round.
    """
    low, high = mpf(low), mpf(high)
    points = grid * (degree + 2)
    xs = [(low + high) / 2 - (high - low) / 2 * cos(pi * (i + mpf(1) / 2) / points)
          for i in range(points)]
    ys = [function(x) for x in xs]
    ws = [weight(x) for x in xs]
    chosen = [grid // 2 + grid * i for i in range(degree + 2)]
    for _ in range(rounds):
        coefficients, level = _interpolate(chosen, xs, ys, ws, degree)
        errors = [w * (polyval(coefficients[::-1], x) - y)
                  for x, y, w in zip(xs, ys, ws, strict=True)]
        largest = max(abs(e) for e in errors)
        if largest < abs(level) * (1 + mpf(2) ** -7):
            break
        chosen = _alternation(errors, degree + 2)
    return coefficients, largest


def _interpolate(chosen, xs, ys, ws, degree):
    """The polynomial whose weighted error is +e, -e, +e, … at the chosen points, and e."""
    rows = [[xs[k] ** j for j in range(degree + 1)] + [(-1) ** i / ws[k]]
            for i, k in enumerate(chosen)]
    solution = lu_solve(matrix(rows), matrix([ys[k] for k in chosen]))
    return list(solution)[:-1], solution[degree + 1]


def _alternation(errors, count):
    """Indices of `count` extremes of alternating sign, dropping the smallest at the ends."""
    extremes = []
    for k, error in enumerate(errors):
        if extremes and (errors[extremes[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[extremes[-1]]):
                extremes[-1] = k
        else:
            extremes.append(k)
    while len(extremes) > count:
        ends = abs(errors[extremes[0]]), abs(errors[extremes[-1]])
        extremes.pop(0 if ends[0] < ends[1] else -1)
    return extremes


def largest_error(coefficients, function, weight, low, high, points=2000):
    """The largest weight(x) * |polynomial(x) - function(x)| on an even grid, ends included."""
    low, step = mpf(low), (mpf(high) - mpf(low)) / points
    return max(weight(x) * abs(polyval(coefficients[::-1], x) - function(x))
               for x in (low + step * i for i in range(points + 1)))


mp.prec = max(mp.prec, 200)
