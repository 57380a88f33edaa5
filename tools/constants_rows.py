"""Make the constants of cyact/_level/rows/exponentials.pxd and .h, and print their errors.

Each is the Chebyshev interpolant of a smooth function, computed by mpmath with 60 digits and
rounded to double: within a factor of two of the best polynomial of its degree, which is far
inside what the callers need. Needs mpmath: python tools/constants_rows.py; with --check, fails
unless each constant stands in one of these files.
"""

import re
import struct
import sys
from pathlib import Path

import mpmath as mp

mp.mp.dps = 60
LN2 = mp.log(2)
SOURCES = [Path(__file__).parents[1] / "cyact" / "_level" / "rows" / name
           for name in ("exponentials.pxd", "exponentials.h")]
made, words = [], []


def interpolate(f, low, high, degree):
    """Coefficients, lowest first, of the interpolant of f at the Chebyshev points."""
    points = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * degree + 2))
              for i in range(degree + 1)]
    matrix = mp.matrix(degree + 1, degree + 1)
    for i, x in enumerate(points):
        for j in range(degree + 1):
            matrix[i, j] = x**j
    solution = mp.lu_solve(matrix, mp.matrix([f(x) for x in points]))
    return [float(c) for c in solution]


def to_float32(x):
    """x rounded to the nearest float32."""
    return struct.unpack("f", struct.pack("f", x))[0]


def worst(error, low, high):
    """log2 of the largest |error| on a fine grid, ends included."""
    steps = 4001
    return mp.log(max(abs(error(low + (high - low) * i / steps)) for i in range(steps + 1)), 2)


def show(name, coefficients, error):
    print(f"{name}: relative error 2^{mp.nstr(error, 4)}")
    for i, c in enumerate(coefficients):
        tell(f"    {name}{i}", c)


def tell(name, x):
    print(f"{name} = {float(x)!r}")
    made.append(float(x))


def horner(coefficients, x):
    return mp.polyval([mp.mpf(c) for c in reversed(coefficients)], x)


def main():
    half = mp.mpf(1) / 2
    edge = LN2 / 2 + mp.mpf(2) ** -20
    # 1/2 is kept exact: its rounding would be the largest error left.
    tail = [0.5] + interpolate(
        lambda r: (mp.expm1(r) - r - r * r / 2) / r**3 if abs(r) > 1e-15 else mp.mpf(1) / 6,
        -edge, edge, 9)
    show("EXP_", tail,
         worst(lambda r: (1 + r + r * r * horner(tail, r)) / mp.exp(r) - 1, -edge, edge))

    edge = LN2 / 16 + mp.mpf(2) ** -20
    tail = interpolate(lambda r: (mp.expm1(r) - r) / r**2 if abs(r) > 1e-12 else half,
                       -edge, edge, 2)
    tail = [float(to_float32(c)) for c in tail]
    show("EXPF_", tail,
         worst(lambda r: (1 + r + r * r * horner(tail, r)) / mp.exp(r) - 1, -edge, edge))

    top = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * (1 + mp.mpf(2) ** -20)

    def series(z):
        s = mp.sqrt(z)
        return (2 * mp.atanh(s) / s - 2) / z if z else mp.mpf(2) / 3

    log = interpolate(series, mp.mpf(0), top, 6)
    show("LOG_", log, worst(
        lambda z: z * (horner(log, z) - series(z)) / (2 + z * series(z)), mp.mpf(0), top))

    high = mp.floor(LN2 * mp.mpf(2) ** 41) / mp.mpf(2) ** 41
    tell("LN2_HI (41 bits: times an 11-bit integer is exact)", high)
    tell("LN2_LO", LN2 - high)
    tell("LOG2E", 1 / LN2)
    tell("8 LOG2E (float)", to_float32(float(8 / LN2)))
    high = to_float32(float(LN2 / 8))
    tell("LN2/8 (float)", high)
    tell("what is missing of it", to_float32(float(LN2 / 8 - mp.mpf(high))))
    off = []
    for k in range(8):
        exact = mp.power(2, mp.mpf(k) / 8)
        power = to_float32(float(exact))
        bits = struct.unpack("I", struct.pack("f", power))[0] - (127 << 23) - (k << 20)
        words.append(bits % 2**32)
        print(f"2^({k}/8): {words[-1]:#010x}")
        shift = to_float32(float(mp.log(exact / power)))
        tell("    shift", shift)
        off.append(abs(power * mp.exp(shift) / exact - 1))
    print(f"powers with their shifts: relative error 2^{mp.nstr(mp.log(max(off), 2), 4)}")
    if "--check" in sys.argv:
        check()


def check():
    """Each is in one of the sources, as it is or in the fewer digits of a float32."""
    text = "".join(source.read_text() for source in SOURCES)
    there = {abs(float(n)) for n in re.findall(r"\d+\.\d+(?:e[-+]?\d+)?", text)}
    there |= {to_float32(x) for x in there if x < 3e38}
    missing = [x for x in made if abs(x) not in there]
    missing += [f"{x:#010x}" for x in words if x and f"{x:#010x}u" not in text]
    if missing:
        sys.exit(f"not in {', '.join(source.name for source in SOURCES)}: {missing}")


if __name__ == "__main__":
    main()
