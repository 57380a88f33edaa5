"""Digests of what every function gives for the same inputs, to compare levels and machines.

    python tests/bits.py write FILE       the inputs, and this machine's digests
    python tests/bits.py compare FILE     compute them again: lists what differs

NumPy's own functions may differ from one machine to another, so inputs are made once.
"""

import hashlib
import sys

import numpy as np
from cases import DTYPES, ELEMENTWISE, HALVES, ROWS, inputs, special

import cyact

LENGTHS = (1, 2, 7, 10, 16, 65, 1000, 20_000)
PARAMETERS = {"softmax": [(1.0,), (0.3,)], "log_softmax": [(1.0,), (0.3,)],
              "entmax": [(1.3,), (2.6,)]}


def arrays(count=120_000):
    """Inputs by name."""
    found = {}
    for dtype in DTYPES:
        rng, name = np.random.default_rng(5), dtype.__name__
        x = np.concatenate([inputs(dtype, count), special(dtype)])
        found[f"x {name}"] = x
        found[f"t {name}"] = np.resize(np.concatenate([[0, 1], rng.random(999)]),
                                       x.shape).astype(dtype)
        with np.errstate(all="ignore"):
            found[f"p {name}"] = 1 / (1 + np.exp(-np.clip(x, -80, 80)))
            found[f"sin {name}"] = np.sin(np.clip(x, -1e9, 1e9))
        for n in LENGTHS:
            x = rng.standard_normal((8, n)) * np.geomspace(0.01, 300, 8)[:, None]
            found[f"rows {n} {name}"] = x.astype(dtype)
            found[f"grad {n} {name}"] = rng.standard_normal((8, n)).astype(dtype)
    return found


def told(y):
    y = np.where(np.isnan(y), np.array(np.nan, y.dtype), y)
    return hashlib.sha256(np.ascontiguousarray(y).tobytes()).hexdigest()[:16]


def digests(given):
    """{what: digest of its bits} of all functions."""
    found = {}
    with np.errstate(all="ignore"):
        for dtype in DTYPES:
            of = {key.rpartition(" ")[0]: x for key, x in given.items()
                  if key.endswith(f" {dtype.__name__}")}
            for what, y in [*elementwise(of["x"]), *pairs(of), *rows(of), *losses(of)]:
                found[f"{what} {dtype.__name__}"] = told(y)
        for half in HALVES:
            x = np.arange(65536, dtype=np.uint16).view(half)
            single = {key.removesuffix(" float32"): x.astype(half) for key, x in given.items()
                      if key.endswith(" float32")}
            for what, y in [*elementwise(x), *rows(single)]:
                found[f"{what} {half.__name__}"] = told(y.astype(np.float32))
    return found


def elementwise(x):
    for case in ELEMENTWISE:
        yield str(case), case.value(x)
        yield f"derivative.{case}", case.derivative(x)
        if case.takes_output:
            yield f"backward.{case}", case.backward(np.ones_like(x), output=np.abs(x))


def pairs(of):
    """Gated units, weights and biases."""
    rows = len(of["x"]) // 300 * 300
    x, sin = of["x"][:rows].reshape(-1, 300), of["sin"][:rows].reshape(-1, 300)
    grad, weight = x[::-1, :150].copy(), np.arange(300) / 100 - 1
    for name in ("glu", "swiglu", "geglu", "reglu", "bilinear"):
        yield name, getattr(cyact, name)(x)
        yield f"backward.{name}", getattr(cyact.backward, name)(grad, x)
    x = np.clip(x, -1e9, 1e9)
    found = (cyact.prelu(x, weight), *cyact.backward.prelu(sin, x, weight, bias=weight),
             cyact.crelu(x), *cyact.backward.gelu(sin, x, bias=weight),
             cyact.rrelu(x, training=True, rng=0), cyact.noisy_relu(x, training=True, rng=0))
    for i, y in enumerate(found):
        yield f"rectifiers and biases {i}", y


def rows(of):
    for n in LENGTHS:
        x, grad = of[f"rows {n}"], of[f"grad {n}"]
        for name in ROWS:
            for parameters in PARAMETERS.get(name, [()]):
                y = getattr(cyact, name)(x, *parameters)
                g = grad[..., 0] if y.ndim == 1 else grad
                yield f"{name}{parameters} {n}", y
                yield (f"backward.{name}{parameters} {n}",
                       getattr(cyact.backward, name)(g, x, *parameters))
        if n % 2 == 0:
            yield f"maxout {n}", cyact.maxout(x, 2)
            yield f"backward.maxout {n}", cyact.backward.maxout(grad[:, :n // 2], x, 2)
        y = cyact.gumbel_softmax(x, rng=0)
        yield f"gumbel_softmax {n}", y
        yield f"backward.gumbel_softmax {n}", cyact.backward.gumbel_softmax(grad, output=y)
        for name, arguments in [("nll_loss", {}), ("cross_entropy", {"label_smoothing": 0.1}),
                                ("focal_loss", {"gamma": 1.7})]:
            loss = getattr(cyact, name)(x, np.arange(8) % n, reduction="none", return_grad=True,
                                        **arguments)
            for what, y in zip(("loss", "gradient"), loss, strict=True):
                yield f"{name} {n} {what}", y


def losses(of):
    x, t, p = of["x"], of["t"], of["p"]
    v = x.dtype.type(1.7)
    for what, arguments in {
            "binary_cross_entropy_with_logits": (x, t, v, v), "kl_div": (x, t),
            "binary_cross_entropy": (p, t, v), "kl_div of logarithms": (x, -np.abs(x), True),
            }.items():
        loss = getattr(cyact, what.partition(" ")[0])
        found = (*loss(*arguments, reduction="none", return_grad=True),
                 *loss(*[a[:9999] if np.ndim(a) else a for a in arguments], return_grad=True))
        for i, y in enumerate(found):
            yield f"{what} {i}", np.asarray(y)


def main(mode, path):
    if mode == "write":
        given = arrays()
        found = digests(given)
        np.savez(path, digests=np.array(sorted(found.items())), **given)
        return 0
    with np.load(path) as kept:
        given = {name: kept[name] for name in kept if name != "digests"}
        expected = dict(kept["digests"])
    found = digests(given)
    differing = [what for what in expected if expected[what] != found.get(what)]
    print(f"{len(expected)} compared, {len(differing)} differ", *differing, sep="\n")
    return len(differing) > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
