"""Losses: value and gradient in one pass over the logits. The formulas are in ``_rows.pyx``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cyact import _loss_engine
from cyact._engine import Domain, as_array
from cyact._row_engine import as_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_SMOOTHING = Domain("from 0 to 1", low=0, high=1)
_REDUCTIONS = ("none", "mean", "sum")


def cross_entropy(
    logits: ArrayLike, target: ArrayLike, /, *, axis: int = -1,
    weight: ArrayLike | None = None, ignore_index: int = -100, label_smoothing: float = 0.0,
    reduction: Literal["none", "mean", "sum"] = "mean", return_grad: bool = False
) -> Any:
    """Cross-entropy between logits and classes or class probabilities.

    Parameters
    ----------
    logits : array_like of float32, float64, integers or bool, at least 1-D
        Unnormalised log-probabilities; the classes lie along `axis`.
    target : array_like
        Classes: integers of any dtype, in the shape of `logits` without `axis`. Or
        probabilities: floats in the shape of `logits`.
    axis : int, default -1
        The axis of the classes.
    weight : array_like, optional
        A weight per class.
    ignore_index : int, default -100
        Rows with this class contribute exactly 0, gradient included, whatever their logits.
    label_smoothing : float, default 0.0
        Share, from 0 to 1, of the target that is spread evenly over the classes.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides by the summed weights of the rows' classes that are not ignored; with
        probabilities, by the number of rows.
    return_grad : bool, default False
        Also return the gradient with respect to `logits`, from the same pass; with
        ``reduction="none"`` the gradient of the summed loss.

    Returns
    -------
    loss : scalar, or ndarray in the shape of `logits` without `axis` for "none"
        In the dtype of `logits`, summed in float64. A mean over nothing is NaN.
    dlogits : ndarray
        Only with `return_grad`; shape, dtype and layout of `logits`.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not fit, or `label_smoothing` or `reduction` is not one of the above.
    IndexError
        A class is out of range; the message names the row.

    Notes
    -----
    ``loss[r] = -sum(t[r] * log_softmax(logits[r]))``, ``dlogits[r] = softmax(logits[r]) *
    sum(t[r]) - t[r]``, both times the row's share, for targets t. A confident row keeps its
    digits: the loss of ``[0, -20]`` against class 0 is 2.06e-9. The gradient is the only extra
    memory of the logits' size.

    Examples
    --------
    >>> import cyact
    >>> loss, dlogits = cyact.cross_entropy([[2.0, 0.0, 0.0]], [0], return_grad=True)
    >>> round(float(loss), 6)
    0.239545
    >>> dlogits.round(3)
    array([[-0.213,  0.107,  0.107]])
    """
    name = "cross_entropy"
    smoothing = _SMOOTHING.checked(name, "label_smoothing", label_smoothing)
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{name}: reduction must be one of "
                         f"{', '.join(map(repr, _REDUCTIONS))}, got {reduction!r}")
    x, axis = as_rows(name, logits, axis)
    shape = x.shape[:axis] + x.shape[axis + 1:]
    weight = _class_weights(name, weight, x, axis)
    classes = probabilities = None
    target = as_array(name, target)
    if target.dtype.kind in "iu":
        classes = _classes(name, target, x.shape[axis], shape, ignore_index)
    else:
        probabilities = _probabilities(name, target, x)

    count = 1.0
    if reduction == "mean":
        count = _total_weight(classes, weight, shape)
    loss = np.zeros(shape)
    dlogits = np.empty_like(x) if return_grad else None
    _loss_engine.cross_entropy(x, axis, classes, probabilities, weight, smoothing,
                               1 / count if count else 0.0, loss.reshape(-1), dlogits)
    if reduction != "none":
        with np.errstate(invalid="ignore", divide="ignore"):
            loss = np.sum(loss) / np.float64(count)
    loss = loss.astype(x.dtype) if shape or reduction != "none" else x.dtype.type(loss)
    return (loss, dlogits) if return_grad else loss


def _classes(name, target, n, shape, ignore_index):
    """One class a row as a flat array, -1 where the row is ignored."""
    if target.shape != shape:
        raise ValueError(f"{name}: target holds classes, so its shape must be that of the logits "
                         f"without the class axis, {shape}; got {target.shape}")
    ignored = target == ignore_index
    wrong = ((target < 0) | (target >= n)) & ~ignored
    if wrong.any():
        row = tuple(int(i) for i in np.argwhere(wrong)[0])
        at = f"target[{', '.join(map(str, row))}]" if row else "target"
        raise IndexError(f"{name}: {at} is {target[row]}, but the classes are 0 to {n - 1} "
                         f"(ignore_index is {ignore_index})")
    return np.where(ignored, -1, target.astype(np.intp)).reshape(-1)


def _probabilities(name, target, x):
    if target.shape != x.shape:
        raise ValueError(f"{name}: target holds probabilities, so it must have the shape of the "
                         f"logits, {x.shape}; got {target.shape}. For classes use an integer dtype")
    if not np.can_cast(target.dtype, x.dtype, "same_kind"):
        raise TypeError(f"{name}: target must hold integer classes or float probabilities, "
                        f"got dtype {target.dtype}")
    return np.require(target, x.dtype, "A")


def _class_weights(name, weight, x, axis):
    if weight is None:
        return None
    weight = as_array(name, weight)
    if weight.shape != (x.shape[axis],):
        raise ValueError(f"{name}: weight must have one entry per class, shape "
                         f"({x.shape[axis]},); got {weight.shape}")
    return np.ascontiguousarray(weight.astype(x.dtype, casting="same_kind"), np.float64)


def _total_weight(classes, weight, shape):
    """What "mean" divides by."""
    if classes is None:
        return float(np.prod(shape))
    used = classes[classes >= 0]
    return float(used.size if weight is None else weight[used].sum())
