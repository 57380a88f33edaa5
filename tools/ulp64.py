"""Measure the float64 kernels of the built cyact against quadruple precision.

    python tools/ulp64.py [--points N] [--levels baseline,v3,v4] [--functions gelu,silu]

Every kernel in the table of each level this CPU can run is called on points drawn uniformly
over bit patterns (all binades, subnormal numbers included), over the active ranges, and near
breakpoints and zeros. The reference is written in C with __float128 (GCC and libquadmath),
from the definitions and independent of the kernels; with --mpmath N it is itself checked
against mpmath at N of the points. Errors are in ulps of the true value (for a derivative with a
zero inside: of max(|true value|, 1/4)); subnormal results are listed apart.
"""

import argparse
import ctypes
import importlib
import subprocess
import tempfile
from pathlib import Path

import mpmath
import numpy as np

REFERENCE = r"""
#include <math.h>
#include <quadmath.h>
typedef __float128 quad;

static quad logistic(quad v) {
    quad e = expq(-fabsq(v));
    return v < 0 ? e / (1 + e) : 1 / (1 + e);
}
static quad slope(quad v, quad w) { return logistic(v) * (1 + w * logistic(-v)); }

#define K (2 * sqrtq(2 / M_PIq))
#define CUBE (x * x * x * 44715 / 1000000)

quad sigmoid(quad x, quad p) { return logistic(x); }
quad sigmoid_d(quad x, quad p) { return logistic(x) * logistic(-x); }
quad tanh_(quad x, quad p) { return tanhq(x); }
quad tanh_d(quad x, quad p) { quad c = coshq(fminq(fabsq(x), 5000)); return 1 / (c * c); }
quad softplus(quad x, quad p) {
    return fmaxq(x, 0) + log1pq(expq(-fabsq(p * x))) / p;
}
quad softplus_d(quad x, quad p) { return logistic(p * x); }
quad softplus_y(quad x, quad p) { return -expm1q(-p * x); }
quad silu(quad x, quad p) { return x * logistic(p * x); }
quad silu_d(quad x, quad p) { return slope(p * x, p * x); }
quad gelu(quad x, quad p) { return x * erfcq(-x * M_SQRT1_2q) / 2; }
quad gelu_d(quad x, quad p) {
    return erfcq(-x * M_SQRT1_2q) / 2 + x * expq(-x * x / 2) / sqrtq(2 * M_PIq);
}
quad gelu_tanh(quad x, quad p) { return x * logistic(K * (x + CUBE)); }
quad gelu_tanh_d(quad x, quad p) { return slope(K * (x + CUBE), K * (x + 3 * CUBE)); }
quad elu(quad x, quad p) { return x > 0 ? x : p * expm1q(x); }
quad elu_d(quad x, quad p) { return x > 0 ? 1 : p * expq(x); }
quad softsign(quad x, quad p) { return x / (1 + fabsq(x)); }
quad softsign_d(quad x, quad p) { quad d = 1 + fabsq(x); return 1 / (d * d); }
quad erf_(quad x, quad p) { return erfq(x); }
quad erf_d(quad x, quad p) { return 2 / sqrtq(M_PIq) * expq(-x * x); }
quad erfc_(quad x, quad p) { return erfcq(x); }
quad erfc_d(quad x, quad p) { return -erf_d(x, p); }
quad ndtr(quad x, quad p) { return erfcq(-x * M_SQRT1_2q) / 2; }
quad ndtr_d(quad x, quad p) { return expq(-x * x / 2) / sqrtq(2 * M_PIq); }

/* Phi(-a) sqrt(2 pi) a e^(a^2/2) by its asymptotic series, for a > 20 */
static quad mills(quad a) {
    quad term = 1, sum = 0;
    for (int k = 1; fabsq(term) > 1e-35Q; k++) { sum += term; term *= -(2 * k - 1) / (a * a); }
    return sum;
}
quad log_ndtr(quad x, quad p) {
    if (x < -20) return logq(mills(-x) / (-x * sqrtq(2 * M_PIq))) - x * x / 2;
    return x < 0 ? logq(ndtr(x, p)) : log1pq(-ndtr(-x, p));
}
quad log_ndtr_d(quad x, quad p) {
    return x < -20 ? -x / mills(-x) : ndtr_d(x, p) / ndtr(x, p);
}


quad logit(quad x, quad p) {
    if (x < p) x = p;
    if (1 - x < p) return -logit(p, 0);
    return x < 0.25Q ? logq(x) - log1pq(-x) : log1pq((2 * x - 1) / (1 - x));
}
quad logit_d(quad x, quad p) { return x < p || 1 - x < p ? 0 : 1 / (fabsq(x) * (1 - x)); }
quad arctan(quad x, quad p) { return atanq(x); }
quad arctan_d(quad x, quad p) { return 1 / (1 + x * x); }
quad gudermannian(quad x, quad p) { return 2 * atanq(tanhq(x / 2)); }
quad gudermannian_d(quad x, quad p) { return 1 / coshq(fminq(fabsq(x), 5000)); }
quad log1p_(quad x, quad p) { return log1pq(x); }
quad log1p_d(quad x, quad p) { return x < -1 ? NAN : 1 / (1 + x); }
quad log1mexp(quad x, quad p) {
    return x < 0.7Q ? logq(-expm1q(-x)) : log1pq(-expq(-x));
}
quad log1mexp_d(quad x, quad p) { return x < 0 ? NAN : 1 / expm1q(fabsq(x)); }
quad tanh_shrink(quad x, quad p) {
    static const quad c[] = {1 / 3.Q, -2 / 15.Q, 17 / 315.Q, -62 / 2835.Q, 1382 / 155925.Q,
                             -21844 / 6081075.Q};
    quad z = x * x, sum = 0;
    if (z > 1e-6Q) return x - tanhq(x);
    for (int i = 5; i >= 0; i--) sum = sum * z + c[i];
    return x * z * sum;
}
quad tanh_shrink_d(quad x, quad p) { quad t = tanhq(x); return t * t; }

static double ulps(double y, quad truth, double least) {
    quad size = fmaxq(fabsq(truth), least);
    int e = -1022;
    if (isnanq(truth)) return isnan(y) ? 0 : INFINITY;
    if (size >= 0x1p1024Q - 0x1p970Q) return isinf(y) ? 0 : INFINITY;
    if (isnan(y) || isinf(y)) return INFINITY;
    if (size >= 0x1p-1022Q) { frexpq(size, &e); e -= 1; }
    return (double)(fabsq(y - truth) / ldexpq(1, e - 52));
}

void errors(quad (*f)(quad, quad), double p, double least, long n,
            const double *x, const double *y, double *error, double *value, double *rest) {
    for (long i = 0; i < n; i++) {
        quad truth = f(x[i], p);
        error[i] = ulps(y[i], truth, least);
        value[i] = (double)truth;
        rest[i] = (double)(truth - (quad)value[i]);
    }
}
"""

# kernel: parameters to try; those without one are called with 1, which they ignore
PARAMETERS = {
    "softplus": (1, 0.7, 20, 1e-300, 1e300, 3e-309), "softplus_d": (1, 1.702, 1e-300, 1e300),
    "softplus_y": (1, 0.7, 1e-300, 1e300),
    "silu": (1, 1.702, -0.9, 0, 1e-300, 1e300, 3e-306),
    "silu_d": (1, 1.702, -0.9, 0, 1e-300, 1e300),
    "logit": (0, 1e-6, 0.1), "logit_d": (0, 1e-6, 0.1),
    "elu": (1, 0.37, -2.7, 1e308, 1e-308), "elu_d": (1, 0.37, -2.7, 1.7e308, 1e-310),
}
LEAST = dict.fromkeys(("silu_d", "gelu_d", "gelu_tanh_d"), 0.25)
NAMES = ["sigmoid", "sigmoid_d", "tanh", "tanh_d", "softplus", "softplus_d", "softplus_y",
         "silu", "silu_d", "gelu", "gelu_d", "gelu_tanh", "gelu_tanh_d", "elu", "elu_d",
         "softsign", "softsign_d", "erf", "erf_d", "erfc", "erfc_d", "ndtr", "ndtr_d", "log_ndtr",
         "log_ndtr_d", "logit", "logit_d", "arctan", "arctan_d", "gudermannian",
         "gudermannian_d", "log1p", "log1p_d", "log1mexp", "log1mexp_d", "tanh_shrink",
         "tanh_shrink_d"]
# zeros of derivatives, ends of ranges, where a reduction changes
SPECIAL = (-0.7517915, -1.2784645, -0.7525, -38.5, -21.2, -745.1, -708.4, 37, 20, 39, 0.3466,
           0.1733, 1, 1e-8, 1e-16, 0.5, 0.75, 0.88, 2, 0.6931, 1e-30, 1e-60, 1e-280, 5.9, 0.545,
           8.2, -27)


class Op(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("nparams", ctypes.c_int), ("cost", ctypes.c_double),
                ("value", ctypes.c_void_p * 2), ("derivative", ctypes.c_void_p * 2),
                ("from_output", ctypes.c_void_p * 2)]


class Kernels(ctypes.Structure):
    _fields_ = [("abi", ctypes.c_int), ("count", ctypes.c_int), ("ops", ctypes.POINTER(Op)),
                ("run_span", ctypes.c_void_p)]


DOUBLES = np.ctypeslib.ndpointer(np.float64, flags="C")
KERNEL = ctypes.CFUNCTYPE(None, DOUBLES, DOUBLES, ctypes.c_ssize_t, DOUBLES)


def kernels(level):
    """The float64 kernels of a level by name: f, f_d and f_y."""
    module = importlib.import_module(f"cyact._kernels_{level}")
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    table = Kernels.from_address(pointer(module.table, b"cyact.Kernels"))
    found = {}
    for op in table.ops[:table.count]:
        name = op.name.decode()
        for suffix, pair in (("", op.value), ("_d", op.derivative), ("_y", op.from_output)):
            if pair[1]:
                found[name + suffix] = KERNEL(pair[1])
    return found


def reference(folder):
    source, library = Path(folder, "reference.c"), Path(folder, "reference.so")
    source.write_text(REFERENCE)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, source, "-lquadmath"],
                   check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.errors.argtypes = [ctypes.c_void_p, ctypes.c_double, ctypes.c_double, ctypes.c_long,
                              *[DOUBLES] * 5]
    return loaded


def points(name, parameter, count, rng):
    def patterns(low, high, n):
        ends = np.array([low, high]).view(np.int64)
        return rng.integers(*ends, n, endpoint=True).view(np.float64) * rng.choice([-1, 1], n)

    part = count // 8
    x = np.concatenate([
        patterns(5e-324, np.finfo(float).max, part), patterns(1e-20, 1000.0, 2 * part),
        rng.uniform(-760, 760, part), rng.uniform(-45, 45, part), rng.uniform(-5, 5, part),
        rng.normal(0, 1, part), rng.choice(SPECIAL, part) * (1 + rng.normal(0, 0.01, part))])
    if name == "softplus_y":
        x = np.abs(x)
    if name.startswith(("logit", "log1")):            # next to poles and zeros, on both sides
        near = patterns(1e-17, 0.5, 2 * part)
        x = np.concatenate([x, np.abs(near), 1 - np.abs(near), 0.5 + near / 2, np.abs(near) - 1])
    if name.startswith(("silu", "softplus")) and parameter and not 1e-9 < abs(parameter) < 1e9:
        with np.errstate(over="ignore"):
            x = x / parameter
        x = x[np.isfinite(x)]
    return np.ascontiguousarray(x[:len(x) & -16])


def against_mpmath(name, parameter, x, value, rest):
    """The largest relative difference between the reference and mpmath."""
    def logistic(v):
        return 1 / (1 + mpmath.exp(-v))

    def tanh_form(x, factor):
        return 2 * mpmath.sqrt(2 / mpmath.pi) * (x + factor * mpmath.mpf("0.044715") * x**3)

    p = mpmath.mpf(parameter)
    formulas = {
        "sigmoid": logistic, "sigmoid_d": lambda x: logistic(x) * logistic(-x),
        "tanh": mpmath.tanh, "tanh_d": lambda x: mpmath.sech(x) ** 2,
        "softplus": lambda x: mpmath.log1p(mpmath.exp(p * x)) / p,
        "softplus_d": lambda x: logistic(p * x),
        "softplus_y": lambda x: -mpmath.expm1(-p * x),
        "silu": lambda x: x * logistic(p * x),
        "silu_d": lambda x: logistic(p * x) * (1 + p * x * logistic(-p * x)),
        "gelu": lambda x: x * mpmath.ncdf(x),
        "gelu_d": lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x),
        "gelu_tanh": lambda x: x * logistic(tanh_form(x, 1)),
        "gelu_tanh_d": lambda x: logistic(tanh_form(x, 1)) * (
            1 + tanh_form(x, 3) * logistic(-tanh_form(x, 1))),
        "elu": lambda x: x if x > 0 else p * mpmath.expm1(x),
        "elu_d": lambda x: mpmath.mpf(1) if x > 0 else p * mpmath.exp(x),
        "erf": mpmath.erf, "erf_d": lambda x: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x),
        "erfc": mpmath.erfc, "erfc_d": lambda x: -formulas["erf_d"](x),
        "ndtr": mpmath.ncdf, "ndtr_d": mpmath.npdf,
        "log_ndtr": lambda x: mpmath.log1p(-mpmath.ncdf(-x)) if x > 0 else mpmath.log(
            mpmath.ncdf(x)),
        "log_ndtr_d": lambda x: mpmath.npdf(x) / mpmath.ncdf(x),
        "softsign": lambda x: x / (1 + abs(x)), "softsign_d": lambda x: (1 + abs(x)) ** -2,
        "logit": lambda x: mpmath.log(x / (1 - x)) if p <= x <= 1 - p else
            mpmath.log(p / (1 - p)) * (1 if x < p else -1),
        "logit_d": lambda x: 1 / (x * (1 - x)) if p <= x <= 1 - p else mpmath.mpf(0),
        "arctan": mpmath.atan, "arctan_d": lambda x: 1 / (1 + x * x),
        "gudermannian": lambda x: 2 * mpmath.atan(mpmath.tanh(x / 2)),
        "gudermannian_d": mpmath.sech,
        "log1p": mpmath.log1p, "log1p_d": lambda x: 1 / (1 + x),
        "log1mexp": lambda x: (mpmath.log(-mpmath.expm1(-x)) if x < 1 else
                               mpmath.log1p(-mpmath.exp(-x))),
        "log1mexp_d": lambda x: 1 / mpmath.expm1(x),
        "tanh_shrink": lambda x: x - mpmath.tanh(x) if abs(x) > 1e-30 else x**3 / 3,
        "tanh_shrink_d": lambda x: mpmath.tanh(x) ** 2,
    }
    # below 2^-970 the second part of the reference is itself not exact
    least, largest = LEAST.get(name, mpmath.mpf(2) ** -970), mpmath.mpf(0)
    with mpmath.workprec(400):
        for a, high, low in zip(x, value, rest, strict=True):
            if abs(a * (parameter if name in PARAMETERS else 1)) > 1e6 or not np.isfinite(high):
                continue  # far beyond where anything happens, and slow
            truth = formulas[name](mpmath.mpf(a))
            difference = abs(truth - mpmath.mpf(high) - mpmath.mpf(low))
            largest = max(largest, difference / max(abs(truth), least))
    return float(largest)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--mpmath", type=int, default=0)
    parser.add_argument("--levels", default="baseline,v3,v4")
    parser.add_argument("--functions", default=",".join(NAMES))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    levels = {level: kernels(level) for level in arguments.levels.split(",")}
    rng = np.random.default_rng(arguments.seed)
    print(f"{'kernel':12} {'param':>7} {'level':9} {'max ULP':>8} at {'':24} subnormal results")
    with tempfile.TemporaryDirectory() as folder:
        quad = reference(folder)
        for name in arguments.functions.split(","):
            for parameter in PARAMETERS.get(name, (1,)):
                measure(name, float(parameter), levels, quad, arguments, rng)


def measure(name, parameter, levels, quad, arguments, rng):
    x = points(name, parameter, arguments.points, rng)
    error, value, rest = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    function = getattr(quad, name + "_" * (name in ("tanh", "log1p", "erf", "erfc")))
    results = {}
    for level, table in levels.items():
        if name not in table:
            continue
        y = results[level] = np.empty_like(x)
        table[name](x, y, len(x), np.array([parameter]))
        quad.errors(ctypes.cast(function, ctypes.c_void_p), parameter, LEAST.get(name, 0.0),
                    len(x), x, y, error, value, rest)
        tiny = np.abs(value) < np.finfo(float).tiny
        at = np.where(tiny, 0, error).argmax()
        below = np.where(tiny, error, 0).argmax()
        print(f"{name:12} {parameter:7.4g} {level:9} {error[at]:8.3f} at {x[at]:<24.17g} "
              f"{error[below] if tiny.any() else 0:.3f} at {x[below]:.17g}", flush=True)
    if {"v3", "v4"} <= results.keys():
        same = results["v3"].view(np.int64) == results["v4"].view(np.int64)
        if not same.all():
            print(f"  v3 and v4 differ at {x[~same][:3]}")
    if arguments.mpmath and results:
        chosen = rng.choice(len(x), min(arguments.mpmath, len(x)), replace=False)
        worst = against_mpmath(name, parameter, x[chosen], value[chosen], rest[chosen])
        print(f"  reference against mpmath: {worst:.1e} relative")


if __name__ == "__main__":
    main()
