"""Losses: value and gradient in one pass over the input.

The formulas are in ``_level/rows/`` (cross-entropy) and ``_level/losses/`` (the others).
"""

import numpy as np

from cyact import _docs
from cyact._catalog import loss
from cyact._engine import losses as _engine
from cyact._engine.cross_entropy import over_rows
from cyact._engine.domains import FINITE, NONNEGATIVE, Domain
from cyact._engine.losses import (
    array_of,
    classes_of,
    loss_input,
    readable,
    reduced,
    weight_of,
)
from cyact._engine.rows import normalize_axis

_SMOOTHING = Domain("from 0 to 1", low=0, high=1)
_REDUCTIONS = ("none", "mean", "sum")


@loss("-sum(t * log_softmax(logits))", "softmax(logits) * sum(t) - t",
      parameters={"label_smoothing": _SMOOTHING}, skeleton=_docs.CLASS_LOSS)
def cross_entropy(logits, target, /, *, axis=-1, weight=None, ignore_index=-100,
                  label_smoothing=0.0, reduction="mean", return_grad=False):
    """Cross-entropy between logits and classes or class probabilities.

    target : array_like
        Classes: integers of any dtype, in the shape of `logits` without `axis`. Or
        probabilities: floats of any dtype, in the shape of `logits`.
    label_smoothing : float, default 0.0
        Share, from 0 to 1, of the target that is spread evenly over the classes.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides by the summed weights of the rows' classes that are not ignored; with
        probabilities, by the number of rows.

    The formulas are those of a row, for targets t; both are multiplied by the row's share. A
    confident row keeps its digits: the loss of ``[0, -20]`` against class 0 is 2.06e-9. The
    gradient is the only extra memory of the logits' size.

    >>> loss, dlogits = cyact.cross_entropy([[2.0, 0.0, 0.0]], [0], return_grad=True)
    >>> round(float(loss), 6)
    0.239545
    >>> dlogits.round(3)
    array([[-0.213,  0.107,  0.107]])
    """
    name = "cross_entropy"
    smoothing = _SMOOTHING.checked(name, "label_smoothing", label_smoothing)
    _check_reduction(name, reduction)
    x, dtype = loss_input(name, "logits", logits)
    axis = normalize_axis(name, x, axis)
    weight = _class_weights(name, "weight", weight, x, axis, dtype)
    classes = probabilities = None
    target = array_of(name, "target", target)
    if target.dtype.kind in "iu":
        classes = _classes(name, target, x, axis, ignore_index)
    else:
        probabilities = _probabilities(name, target, x)
    shape = x.shape[:axis] + x.shape[axis + 1:]
    count = 1.0
    if reduction == "mean":
        count = float(np.prod(shape)) if classes is None else weight_of(classes, weight)
    loss = np.zeros(shape)
    dlogits = np.empty_like(x, dtype) if return_grad else None
    over_rows(x, dtype, axis, _kept(classes, x, axis), probabilities, weight, smoothing,
              1 / count if count else 0.0, _kept(loss, x, axis), dlogits)
    loss = reduced(loss, dtype, reduction, count)
    return (loss, dlogits) if return_grad else loss


@loss("-weight[t] * log_probabilities[t]", "-weight[t] at t, 0 elsewhere",
      skeleton=_docs.CLASS_LOSS)
def nll_loss(log_probabilities, target, /, *, axis=-1, weight=None, ignore_index=-100,
             reduction="mean", return_grad=False):
    """Negative log-likelihood of classes, given log-probabilities.

    log_probabilities : array_like, at least 1-D
        Such as the result of `log_softmax`; the classes lie along `axis`. float16, bfloat16,
        float32 or float64; integers and bool become ``np.result_type(x, np.float32)``.

    See Also
    --------
    cross_entropy : of logits, more accurate than of their `log_softmax`.

    The formulas are those of a row, for the row's class t; both are multiplied by the row's share.
    Correctly rounded but for that share.

    >>> float(cyact.nll_loss([[-0.5, -1.0], [-2.0, -0.25]], [1, 0]))
    1.5
    """
    name = "nll_loss"
    _check_reduction(name, reduction)
    x, dtype = loss_input(name, "log_probabilities", log_probabilities)
    axis = normalize_axis(name, x, axis)
    weight = _class_weights(name, "weight", weight, x, axis, dtype)
    classes = _classes(name, array_of(name, "target", target), x, axis, ignore_index)
    count = weight_of(classes, weight) if reduction == "mean" else 1.0
    loss = np.zeros(x.shape[:axis] + x.shape[axis + 1:])
    grad = _engine.zeros_like(x, dtype) if return_grad else None
    _engine.nll(x, axis, _kept(classes, x, axis), weight, 1 / count if count else 0.0,
                _kept(loss, x, axis), grad)
    loss = reduced(loss, dtype, reduction, count)
    return (loss, grad) if return_grad else loss


@loss("-alpha[t] * (1 - p)**gamma * log(p), p = q[t], q = softmax(logits)",
      "alpha[t] * (1 - p)**(gamma - 1) * (gamma * p * log(p) + p - 1) * ((i == t) - q[i])",
      parameters={"gamma": NONNEGATIVE}, skeleton=_docs.CLASS_LOSS,
      reference='T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollar, "Focal loss for dense '
                'object detection", ICCV 2017, arXiv:1708.02002.')
def focal_loss(logits, target, /, gamma=2.0, alpha=None, *, axis=-1, ignore_index=-100,
               reduction="mean", return_grad=False):
    """Focal loss: cross-entropy that plays down what is classified well.

    gamma : float, default 2.0
        At least 0 and finite; 0 is cross-entropy.
    alpha : array_like, optional
        A factor per class, or a number for all of them. (Where a binary alpha is meant that
        stands for its complement in the other class, give ``[1 - alpha, alpha]``.)
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides by the number of rows that are not ignored, whatever `alpha`.

    The formulas are those of a row of class t; both are multiplied by the row's share. 1 - p is
    the share of all others, so that confident rows keep their digits. A row's loss and gradient
    are within 2 ULP (float64: 4 + 2 `gamma`; half types: 1).

    >>> round(float(cyact.focal_loss([[2.0, 0.0, 0.0]], [0])), 6)
    0.010869
    """
    name = "focal_loss"
    gamma = NONNEGATIVE.checked(name, "gamma", gamma)
    _check_reduction(name, reduction)
    x, dtype = loss_input(name, "logits", logits)
    axis = normalize_axis(name, x, axis)
    if alpha is not None and np.ndim(alpha) == 0:
        alpha = np.full(x.shape[axis], FINITE.checked(name, "alpha", alpha))
    else:
        alpha = _class_weights(name, "alpha", alpha, x, axis, dtype)
    classes = _classes(name, array_of(name, "target", target), x, axis, ignore_index)
    count = weight_of(classes, None) if reduction == "mean" else 1.0
    loss = np.zeros(x.shape[:axis] + x.shape[axis + 1:])
    dlogits = np.empty_like(x, dtype) if return_grad else None
    over_rows(x, dtype, axis, _kept(classes, x, axis), None, None, 0.0,
              1 / count if count else 0.0, _kept(loss, x, axis), dlogits, (gamma, alpha))
    loss = reduced(loss, dtype, reduction, count)
    return (loss, dlogits) if return_grad else loss


@loss("-weight * (t * log(p) + (1 - t) * log(1 - p))", "weight * (p - t) / (p * (1 - p))")
def binary_cross_entropy(p, target, /, weight=None, *, reduction="mean", return_grad=False):
    """Binary cross-entropy between probabilities and targets.

    p : array_like
        Probabilities, from 0 to 1: float16, bfloat16 (of ml_dtypes), float32 or float64; integers
        and bool become ``np.result_type(p, np.float32)``.
    target : array_like of any real dtype
        From 0 to 1, in the shape of `p`.

    See Also
    --------
    binary_cross_entropy_with_logits : accurate also where p rounds to 1.

    t is the target. The logarithm is not clamped: the loss is infinite for ``p = 0, t = 1``.
    ``0 * log(0)`` is 0. The gradient has its limits 1 at ``p = t = 0`` and -1 at ``p = t = 1``.
    Where `p` or t is outside [0, 1], both are NaN. Within 2 ULP in float32 and float64
    (measured: 0.52 and 0.7), within 1 in half types.

    >>> round(float(cyact.binary_cross_entropy([0.9, 0.2], [1, 0])), 6)
    0.164252
    """
    name = "binary_cross_entropy"
    _check_reduction(name, reduction)
    x, dtype = loss_input(name, "p", p)
    target = _same_shape(name, target, x, dtype, "p")
    weight = _broadcast(name, "weight", weight, x, dtype)
    loss, grad = _engine.pointwise(name, x, dtype, target, weight, None, reduction, x.size,
                                        return_grad)
    return (loss, grad) if return_grad else loss


@loss("weight * ((1 - t) * x + (1 + (pos_weight - 1) * t) * softplus(-x))",
      "weight * ((1 - t) * sigmoid(x) - pos_weight * t * sigmoid(-x))")
def binary_cross_entropy_with_logits(logits, target, /, weight=None, pos_weight=None, *,
                                     reduction="mean", return_grad=False):
    """Binary cross-entropy between the sigmoid of logits and targets.

    logits : array_like
        Log-odds: float16, bfloat16 (of ml_dtypes), float32 or float64; integers and bool become
        ``np.result_type(logits, np.float32)``.
    target : array_like of any real dtype
        From 0 to 1, in the shape of `logits`.
    pos_weight : array_like, optional
        Factors of the positive part, usually one per class along the last axis; broadcast to
        the shape of `logits`.

    x are the logits, t the target. Computed as a sum in which nothing cancels: a confident loss
    keeps its digits, and that of ``(inf, 1)`` is 0. Within 2 ULP in float32 and float64 (measured:
    0.82 and 0.94), within 1 in half types, and so is the gradient; where, for a target between 0
    and 1, its two terms cancel, within 2 ulp of 2**-9 times the larger (float32) or 2**-2
    (float64).

    >>> loss, dlogits = cyact.binary_cross_entropy_with_logits(
    ...     [40.0, -1.0], [1, 0], return_grad=True)
    >>> round(float(loss), 6)
    0.156631
    >>> dlogits
    array([-2.12417713e-18,  1.34470711e-01])
    """
    name = "binary_cross_entropy_with_logits"
    _check_reduction(name, reduction)
    x, dtype = loss_input(name, "logits", logits)
    target = _same_shape(name, target, x, dtype, "logits")
    weight = _broadcast(name, "weight", weight, x, dtype)
    pos_weight = _broadcast(name, "pos_weight", pos_weight, x, dtype)
    loss, grad = _engine.pointwise(name, x, dtype, target, weight, pos_weight, reduction,
                                        x.size, return_grad)
    return (loss, grad) if return_grad else loss


@loss("t * (log(t) - log_p)", "-t", parameters={"log_target": (False, True)})
def kl_div(log_p, target, /, log_target=False, *, reduction="mean", return_grad=False):
    """Kullback-Leibler divergence of log-probabilities from a target distribution.

    log_p : array_like
        Log-probabilities: float16, bfloat16 (of ml_dtypes), float32 or float64; integers and bool
        become ``np.result_type(log_p, np.float32)``.
    target : array_like of any real dtype
        Probabilities, or their logarithms with `log_target`, in the shape of `log_p`.
    log_target : bool, default False
        Whether `target` holds logarithms.
    reduction : {"mean", "batchmean", "sum", "none"}, default "mean"
        "mean" divides by the number of entries, "batchmean" by the length of the first axis,
        which is the divergence of distributions along the others.

    t is the target probability; with `log_target` the loss is ``exp(target) * (target - log_p)``.
    It is 0 where t is 0, NaN where it is negative. Within 2 ULP in float32 and float64 (measured:
    0.53 and 0.70), within 1 in half types; where ``log(t)`` and `log_p` cancel, within 2 ulp of
    2**-28 times ``t * log_p`` (float32) or 2**-4 (float64).

    >>> import numpy as np
    >>> p, q = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    >>> round(float(cyact.kl_div(np.log(p), q, reduction="batchmean")), 6)
    0.368064
    """
    name = "kl_div"
    _check_reduction(name, reduction, (*_REDUCTIONS, "batchmean"))
    x, dtype = loss_input(name, "log_p", log_p)
    target = _same_shape(name, target, x, dtype, "log_p")
    count = x.size
    if reduction == "batchmean":
        reduction = "mean"
        count = x.shape[0] if x.ndim else 1
    loss, grad = _engine.pointwise(
        "kl_div of logarithms" if log_target else name, x, dtype, target, None, None, reduction,
        count, return_grad)
    return (loss, grad) if return_grad else loss


def _check_reduction(name, reduction, allowed=_REDUCTIONS):
    if reduction not in allowed:
        raise ValueError(f"{name}: reduction must be one of "
                         f"{', '.join(map(repr, allowed))}, got {reduction!r}")


def _same_shape(name, target, x, dtype, called):
    """The target of a loss that has one for each entry."""
    target = array_of(name, "target", target)
    if target.shape != x.shape:
        raise ValueError(f"{name}: target must have the shape of {called}, {x.shape}; "
                         f"got {target.shape}")
    return readable(name, "target", target, dtype)


def _broadcast(name, called, weight, x, dtype):
    """A weight for each entry, as a view; None where there is none."""
    if weight is None:
        return None
    weight = readable(name, called, array_of(name, called, weight), dtype)
    try:
        return np.broadcast_to(weight, x.shape)
    except ValueError:
        raise ValueError(f"{name}: {called} must broadcast to the shape of the input, {x.shape}; "
                         f"got {weight.shape}") from None


def _classes(name, target, x, axis, ignore_index):
    return classes_of(name, target, x.shape[:axis] + x.shape[axis + 1:], x.shape[axis],
                      ignore_index)


def _probabilities(name, target, x):
    if target.shape != x.shape:
        raise ValueError(f"{name}: target holds probabilities, so it must have the shape of the "
                         f"logits, {x.shape}; got {target.shape}. For classes use an integer dtype")
    if target.dtype.kind == "b":
        raise TypeError(f"{name}: target must hold integer classes or float probabilities, "
                        f"got dtype {target.dtype}")
    return readable(name, "target", target)


def _kept(a, x, axis):
    """An entry a row, C order, as an array of x's shape but for the axis."""
    return None if a is None else a.reshape(x.shape[:axis] + (1,) + x.shape[axis + 1:])


def _class_weights(name, called, weight, x, axis, dtype):
    """One weight a class, in float64 as rounded to what the loss is computed in."""
    if weight is None:
        return None
    weight = readable(name, called, array_of(name, called, weight))
    if weight.shape != (x.shape[axis],):
        raise ValueError(f"{name}: {called} must have one entry per class, shape "
                         f"({x.shape[axis]},); got {weight.shape}")
    with np.errstate(over="ignore"):
        weight = weight.astype(np.float64 if dtype == np.float64 else np.float32)
    return np.ascontiguousarray(weight, np.float64)
