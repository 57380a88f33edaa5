"""Gated units: one half of the features, activated, multiplies the other.

Each takes gate and value as two arrays of one shape, or packed as the halves of one array along
an axis. Backward passes are in `cyact.backward` under the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cyact._docs import documented
from cyact._engine.arrays import as_array, check_out, result_dtype
from cyact._engine.domains import FINITE
from cyact._engine.elementwise import Choice, Function
from cyact._engine.rows import normalize_axis
from cyact.elementwise import _identity, _relu, _sigmoid
from cyact.rectifiers import array, concatenated, divisible, halves, overlap, twice

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@documented
def glu(x: ArrayLike, /, axis: int = -1, *, out: np.ndarray | None = None) -> Any:
    """Gated linear unit: the first half of x times the sigmoid of the second.

    Parameters
    ----------
    x : array_like, at least 1-D
        The value, then the gate, along `axis`, whose length is even.
    axis : int, default -1
        The axis that holds the two halves.
    out : ndarray, optional
        Where to put the result; must have its shape.

    {gated_returns}

    {gated_raises}

    Notes
    -----
    ``a * sigmoid(b)`` for ``x = [a, b]``. {gated_error}

    References
    ----------
    Y. N. Dauphin, A. Fan, M. Auli and D. Grangier, "Language modeling with gated convolutional
    networks", ICML 2017, arXiv:1612.08083.

    Examples
    --------
    >>> import cyact
    >>> cyact.glu([2.0, 3.0, 0.0, 0.0])
    array([1. , 1.5])
    """
    return _forward("glu", x, None, axis, "second", out)


@documented
def swiglu(
    gate: ArrayLike, value: ArrayLike | None = None, /, beta: float = 1.0, *, axis: int = -1,
    gate_half: Literal["first", "second"] = "first", out: np.ndarray | None = None
) -> Any:
    """Gated unit with silu (swish): ``silu(gate) * value``.

    Parameters
    ----------
    {gate}
    beta : float, default 1.0
        That of `silu`; finite.
    {packing}

    {gated_returns}

    {gated_raises}

    Notes
    -----
    ``value * gate * sigmoid(beta * gate)``. {gated_error}

    References
    ----------
    N. Shazeer, "GLU variants improve Transformer", arXiv:2002.05202.

    Examples
    --------
    >>> import cyact
    >>> cyact.swiglu([0.0, 1.0], [5.0, 2.0])
    array([0.        , 1.46211716])
    """
    return _forward("swiglu", gate, value, axis, gate_half, out, beta)


@documented
def geglu(
    gate: ArrayLike, value: ArrayLike | None = None, /,
    approximate: Literal["none", "tanh", "sigmoid"] = "none", *, axis: int = -1,
    gate_half: Literal["first", "second"] = "first", out: np.ndarray | None = None
) -> Any:
    """Gated unit with gelu: ``gelu(gate) * value``.

    Parameters
    ----------
    {gate}
    approximate : {"none", "tanh", "sigmoid"}, default "none"
        That of `gelu`.
    {packing}

    {gated_returns}

    {gated_raises}

    Notes
    -----
    ``value * gate * Phi(gate)``. {gated_error}

    References
    ----------
    N. Shazeer, "GLU variants improve Transformer", arXiv:2002.05202.

    Examples
    --------
    >>> import cyact
    >>> cyact.geglu([0.0, 1.0], [5.0, 2.0])
    array([0.        , 1.68268949])
    """
    return _forward("geglu", gate, value, axis, gate_half, out, approximate)


@documented
def reglu(
    gate: ArrayLike, value: ArrayLike | None = None, /, *, axis: int = -1,
    gate_half: Literal["first", "second"] = "first", out: np.ndarray | None = None
) -> Any:
    """Gated unit with relu: ``relu(gate) * value``.

    Parameters
    ----------
    {gate}
    {packing}

    {gated_returns}

    {gated_raises}

    Notes
    -----
    ``value * max(gate, 0)``. {gated_error}

    References
    ----------
    N. Shazeer, "GLU variants improve Transformer", arXiv:2002.05202.

    Examples
    --------
    >>> import cyact
    >>> cyact.reglu([-1.0, 3.0], [5.0, 2.0])
    array([0., 6.])
    """
    return _forward("reglu", gate, value, axis, gate_half, out)


@documented
def bilinear(
    gate: ArrayLike, value: ArrayLike | None = None, /, *, axis: int = -1,
    gate_half: Literal["first", "second"] = "first", out: np.ndarray | None = None
) -> Any:
    """Gated unit without an activation: ``gate * value``.

    Parameters
    ----------
    {gate}
    {packing}

    {gated_returns}

    {gated_raises}

    Notes
    -----
    ``gate * value``, rounded once.

    References
    ----------
    N. Shazeer, "GLU variants improve Transformer", arXiv:2002.05202.

    Examples
    --------
    >>> import cyact
    >>> cyact.bilinear([-1.0, 3.0, 5.0, 2.0])
    array([-5.,  6.])
    """
    return _forward("bilinear", gate, value, axis, gate_half, out)


# The activation of each unit's gate; errors of its parameters name the unit
GATES = {
    "glu": _sigmoid,
    "swiglu": Function("swiglu", kernel="silu", beta=FINITE),
    "geglu": Choice("geglu", "approximate", none=Function("geglu", kernel="gelu"),
                    tanh=Function("geglu", kernel="gelu_tanh"),
                    sigmoid=Function("geglu", kernel="gelu_sigmoid")),
    "reglu": _relu,
    "bilinear": _identity,
}


def _forward(function, gate, value, axis, gate_half, out, *params):
    gate, value, _ = _pair(function, gate, value, axis, gate_half)
    return GATES[function].gated(function, gate, value, out, *params)


def _pair(function, gate, value, axis, gate_half):
    """Gate and value, and the axis along which they were packed, or None."""
    if not isinstance(gate_half, str) or gate_half not in ("first", "second"):
        raise ValueError(f"{function}: gate_half must be 'first' or 'second', got {gate_half!r}")
    if value is not None:
        gate, value = array(function, gate), array(function, value)
        if gate.shape != value.shape:
            raise ValueError(f"{function}: gate and value must have equal shapes, "
                             f"got {gate.shape} and {value.shape}")
        return gate, value, None
    packed = divisible(function, gate)
    axis = normalize_axis(function, packed, axis)
    if packed.shape[axis] % 2:
        raise ValueError(f"{function}: axis {axis} must have an even length to be split in "
                         f"halves, got {packed.shape[axis]}")
    return (*_ordered(halves(packed, axis), gate_half), axis)


def _ordered(pair, gate_half):
    """(gate, value) from (first, second), or the other way round."""
    return pair if gate_half == "first" else pair[::-1]


def backward(function, grad, gate, value, axis, gate_half, out, *params):
    """(dgate, dvalue), or dx for packed input."""
    name = f"backward.{function}"
    gate, value, axis = _pair(name, gate, value, axis, gate_half)
    grad = array(name, grad)
    if grad.shape != gate.shape:
        raise ValueError(f"{name}: grad must have the shape of the output, {gate.shape}, "
                         f"got {grad.shape}")
    inputs = grad, gate, value
    if out is not None:
        inputs = tuple(as_array(name, a) for a in inputs)
    elif axis is not None and all(type(a) is np.ndarray for a in inputs):
        out = np.empty(twice(gate.shape, axis), _dtype(name, inputs))
    places = _places(name, out, inputs, axis, gate_half)
    grad, gate, value = inputs
    activation = GATES[function]
    dgate = activation.gated_derivative(name, grad, gate, value, places[0], *params)
    dvalue = activation.gated(name, gate, grad, places[1], *params)
    if axis is None:
        return dgate, dvalue
    return concatenated(_ordered((dgate, dvalue), gate_half), axis) if out is None else out


def _places(function, out, inputs, axis, gate_half):
    """Where dgate and dvalue go; the first is written before the second is computed."""
    if out is None:
        return None, None
    shape, dtype = inputs[1].shape, _dtype(function, inputs)
    if axis is not None:
        _check(function, out, twice(shape, axis), dtype, inputs)
        return _ordered(halves(out, axis), gate_half)
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(f"{function}: out must be a tuple (dgate, dvalue) of arrays, "
                        f"got {type(out).__name__}")
    for i, place in enumerate(out):
        _check(function, place, shape, dtype, (*inputs, *out[:i]))
    return out


def _dtype(function, arrays):
    return np.result_type(*[result_dtype(function, a.dtype) for a in arrays])


def _check(function, out, shape, dtype, others):
    check_out(function, out, shape, dtype)
    if any(overlap(out, a) for a in others):
        raise ValueError(f"{function}: out must not overlap the other arrays")
