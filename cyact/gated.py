"""Gated units: one half of the features, activated, multiplies the other; and crelu, of two halves.

Gated units take gate and value as two arrays of one shape, or packed as the halves of one array
along an axis. Backward passes are in `cyact.backward` under the same names.
"""

from functools import partial

import numpy as np

from cyact import _docs
from cyact._arrays import QUIETLY, concatenated, divisible, halves, overlap, shaped, twice
from cyact._catalog import activation
from cyact._engine.arrays import as_array, check_out, result_dtype
from cyact._engine.domains import FINITE
from cyact._engine.elementwise import Choice, Function
from cyact._engine.rows import normalize_axis
from cyact.elementwise import _identity, _relu, _sigmoid

_relu_of_minus = Function("crelu", kernel="relu_of_minus")

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
_gated = partial(activation, "gated", skeleton=_docs.GATED, parameters={},
                 exact="The activation is rounded as by itself, and the product once more; of half "
                       "types, both are computed in float32 and the product is rounded once",
                 reference='N. Shazeer, "GLU variants improve Transformer", arXiv:2002.05202.')


@_gated("a * sigmoid(b), x = [a, b]",
        reference='Y. N. Dauphin, A. Fan, M. Auli and D. Grangier, "Language modeling with gated '
                  'convolutional networks", ICML 2017, arXiv:1612.08083.')
def glu(x, /, axis=-1, *, out=None):
    """Gated linear unit: the first half of x times the sigmoid of the second.

    x : array_like, at least 1-D
        The value, then the gate, along `axis`, whose length is even.
    axis : int, default -1
        The axis that holds the two halves.

    >>> cyact.glu([2.0, 3.0, 0.0, 0.0])
    array([1. , 1.5])
    """
    return _forward("glu", x, None, axis, "second", out)


@_gated("silu(gate, beta) * value", parameters={"beta": FINITE})
def swiglu(gate, value=None, /, beta=1.0, *, axis=-1, gate_half="first", out=None):
    """Gated unit with silu (swish): ``silu(gate) * value``.

    beta : float, default 1.0
        That of `silu`; finite.

    That is ``value * gate * sigmoid(beta * gate)``.

    >>> cyact.swiglu([0.0, 1.0], [5.0, 2.0])
    array([0.        , 1.46211716])
    """
    return _forward("swiglu", gate, value, axis, gate_half, out, beta)


@_gated("gelu(gate) * value", parameters={"approximate": tuple(GATES["geglu"].options)})
def geglu(gate, value=None, /, approximate="none", *, axis=-1, gate_half="first", out=None):
    """Gated unit with gelu: ``gelu(gate) * value``.

    approximate : {"none", "tanh", "sigmoid"}, default "none"
        That of `gelu`.

    That is ``value * gate * Phi(gate)``.

    >>> cyact.geglu([0.0, 1.0], [5.0, 2.0])
    array([0.        , 1.68268949])
    """
    return _forward("geglu", gate, value, axis, gate_half, out, approximate)


@_gated("relu(gate) * value")
def reglu(gate, value=None, /, *, axis=-1, gate_half="first", out=None):
    """Gated unit with relu: ``relu(gate) * value``.

    That is ``value * max(gate, 0)``.

    >>> cyact.reglu([-1.0, 3.0], [5.0, 2.0])
    array([0., 6.])
    """
    return _forward("reglu", gate, value, axis, gate_half, out)


@_gated("gate * value", exact="Rounded once")
def bilinear(gate, value=None, /, *, axis=-1, gate_half="first", out=None):
    """Gated unit without an activation: ``gate * value``.

    >>> cyact.bilinear([-1.0, 3.0, 5.0, 2.0])
    array([-5.,  6.])
    """
    return _forward("bilinear", gate, value, axis, gate_half, out)


def _forward(function, gate, value, axis, gate_half, out, *params):
    gate, value, _ = _pair(function, gate, value, axis, gate_half)
    return GATES[function].gated(function, gate, value, out, *params)


def _pair(function, gate, value, axis, gate_half):
    """Gate and value, and the axis along which they were packed, or None."""
    if not isinstance(gate_half, str) or gate_half not in ("first", "second"):
        raise ValueError(f"{function}: gate_half must be 'first' or 'second', got {gate_half!r}")
    if value is not None:
        gate, value = shaped(function, gate), shaped(function, value)
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
    grad = shaped(name, grad)
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


@activation("rectifiers", "[max(x, 0), max(-x, 0)]", parameters={}, exact="Exact",
            reference='W. Shang, K. Sohn, D. Almeida and H. Lee, "Understanding and improving '
                      'convolutional neural networks via concatenated rectified linear units", '
                      'ICML 2016, arXiv:1603.05201.')
def crelu(x, /, axis=-1, *, out=None, dtype=None):
    """Concatenated rectified linear unit: relu(x) and relu(-x), one after the other.

    axis : int, default -1
        Along which the two are concatenated: the result is twice as long there.
    out : ndarray, optional
        Where to put the result; must have its shape, and not overlap `x`.

    Returns
    -------
    ndarray, or the type of `x` if that is a Dask or masked array
        Floating dtype of `x`.

    Raises
    ------
    TypeError
        A dtype is not supported, or `out` is not an ndarray that can hold the result's dtype.
    ValueError
        `out` is read-only, has another shape, or overlaps `x`.
    numpy.exceptions.AxisError
        `axis` is out of bounds (a ValueError).

    >>> cyact.crelu([-2.0, 3.0])
    array([0., 3., 2., 0.])
    """
    name = "crelu"
    x = divisible(name, x)
    if dtype is not None:
        dtype = np.dtype(dtype)
    result = result_dtype(name, x.dtype if dtype is None else dtype)
    axis = normalize_axis(name, x, axis)
    if out is None and type(x) is not np.ndarray:
        return concatenated([unit.weighted(name, x, None, None, None, dtype)
                              for unit in (_relu, _relu_of_minus)], axis)
    shape = twice(x.shape, axis)
    if out is None:
        out = np.empty(shape, result)
    else:
        check_out(name, out, shape, result)
        if overlap(x, out):
            raise ValueError("crelu: out must not overlap x")
    for unit, half in zip((_relu, _relu_of_minus), halves(out, axis), strict=True):
        unit.weighted(name, x, None, None, half, dtype)
    return out


@QUIETLY
def crelu_backward(grad, x, axis, out):
    """The first half of grad where x > 0, minus the second where x < 0."""
    name = "backward.crelu"
    grad, x = divisible(name, grad), divisible(name, x)
    dtype = np.result_type(result_dtype(name, grad.dtype), result_dtype(name, x.dtype))
    axis = normalize_axis(name, x, axis)
    shape = twice(x.shape, axis)
    if grad.shape != shape:
        raise ValueError(f"{name}: grad must have the shape of the output, {shape}, "
                         f"got {grad.shape}")
    first, second = halves(grad, axis)
    if out is not None:
        check_out(name, out, x.shape, dtype)
        if overlap(out, grad):
            raise ValueError(f"{name}: out must not overlap grad")
    # one of the two is 0 at each element
    rest = _relu_of_minus.weighted_backward(name, second, x, None, None, None)
    dx = _relu.weighted_backward(name, first, x, None, None, out)
    return dx + rest if out is None else np.add(dx, rest, out=out)
