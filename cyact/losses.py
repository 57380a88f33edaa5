"""Losses: value and gradient in one pass over the input.

The formulas are in ``_level/rows/`` (cross-entropy) and ``_level/losses/`` (the others).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

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
    logits : array_like, at least 1-D
        Unnormalised log-probabilities; the classes lie along `axis`. float16, bfloat16, float32
        or float64; integers and bool become ``np.result_type(logits, np.float32)``.
    target : array_like
        Classes: integers of any dtype, in the shape of `logits` without `axis`. Or
        probabilities: floats of any dtype, in the shape of `logits`.
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
        Shapes do not fit, an array has masked entries, or `label_smoothing` or `reduction` is not
        one of the above.
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


def nll_loss(
    log_probabilities: ArrayLike, target: ArrayLike, /, *, axis: int = -1,
    weight: ArrayLike | None = None, ignore_index: int = -100,
    reduction: Literal["none", "mean", "sum"] = "mean", return_grad: bool = False
) -> Any:
    """Negative log-likelihood of classes, given log-probabilities.

    Parameters
    ----------
    log_probabilities : array_like, at least 1-D
        Such as the result of `log_softmax`; the classes lie along `axis`. float16, bfloat16,
        float32 or float64; integers and bool become ``np.result_type(x, np.float32)``.
    target : array_like of integers, of any dtype
        Classes, in the shape of `log_probabilities` without `axis`.
    axis : int, default -1
        The axis of the classes.
    weight : array_like, optional
        A weight per class.
    ignore_index : int, default -100
        Rows with this class contribute exactly 0, gradient included, whatever they hold.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides by the summed weights of the rows' classes that are not ignored.
    return_grad : bool, default False
        Also return the gradient with respect to `log_probabilities`, from the same pass; with
        ``reduction="none"`` the gradient of the summed loss.

    Returns
    -------
    loss : scalar, or ndarray in the shape of `log_probabilities` without `axis` for "none"
        In the dtype of `log_probabilities`, summed in float64. A mean over nothing is NaN, a sum 0.
    grad : ndarray
        Only with `return_grad`; shape, dtype and layout of `log_probabilities`.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not fit, an array has masked entries, or `reduction` is not one of the above.
    IndexError
        A class is out of range; the message names the row.

    See Also
    --------
    cross_entropy : of logits, more accurate than of their `log_softmax`.

    Notes
    -----
    ``loss[r] = -weight[t] * x[r, t]`` for the row's class t; the gradient is ``-weight[t]``
    there and 0 elsewhere, both times the row's share. Correctly rounded but for that share.

    Examples
    --------
    >>> import cyact
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


def focal_loss(
    logits: ArrayLike, target: ArrayLike, /, gamma: float = 2.0,
    alpha: ArrayLike | None = None, *, axis: int = -1, ignore_index: int = -100,
    reduction: Literal["none", "mean", "sum"] = "mean", return_grad: bool = False
) -> Any:
    """Focal loss: cross-entropy that plays down what is classified well.

    Parameters
    ----------
    logits : array_like, at least 1-D
        Unnormalised log-probabilities; the classes lie along `axis`. float16, bfloat16, float32
        or float64; integers and bool become ``np.result_type(logits, np.float32)``.
    target : array_like of integers, of any dtype
        Classes, in the shape of `logits` without `axis`.
    gamma : float, default 2.0
        At least 0 and finite; 0 is cross-entropy.
    alpha : array_like, optional
        A factor per class, or a number for all of them. (Where a binary alpha is meant that
        stands for its complement in the other class, give ``[1 - alpha, alpha]``.)
    axis : int, default -1
        The axis of the classes.
    ignore_index : int, default -100
        Rows with this class contribute exactly 0, gradient included, whatever their logits.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides by the number of rows that are not ignored, whatever `alpha`.
    return_grad : bool, default False
        Also return the gradient with respect to `logits`, from the same pass; with
        ``reduction="none"`` the gradient of the summed loss.

    Returns
    -------
    loss : scalar, or ndarray in the shape of `logits` without `axis` for "none"
        In the dtype of `logits`, summed in float64. A mean over nothing is NaN, a sum 0.
    dlogits : ndarray
        Only with `return_grad`; shape, dtype and layout of `logits`.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not fit, an array has masked entries, or `gamma`, `alpha` or `reduction` is not
        one of the above.
    IndexError
        A class is out of range; the message names the row.

    Notes
    -----
    ``loss[r] = -alpha[t] * (1 - p)**gamma * log(p)`` with p the softmax of the row's class t. 1 - p
    is the share of all others, so that confident rows keep their digits. A row's loss and
    gradient are within 2 ULP (float64: 4 + 2 `gamma`; half types: 1).

    References
    ----------
    T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollar, "Focal loss for dense object
    detection", ICCV 2017, arXiv:1708.02002.

    Examples
    --------
    >>> import cyact
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


def binary_cross_entropy(
    p: ArrayLike, target: ArrayLike, /, weight: ArrayLike | None = None, *,
    reduction: Literal["none", "mean", "sum"] = "mean", return_grad: bool = False
) -> Any:
    """Binary cross-entropy between probabilities and targets.

    Parameters
    ----------
    p : array_like
        Probabilities, from 0 to 1. float16, bfloat16, float32 or float64; integers and bool
        become ``np.result_type(p, np.float32)``.
    target : array_like of any real dtype
        From 0 to 1, in the shape of `p`.
    weight : array_like, optional
        Factors of the losses; broadcast to the shape of `p`.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides by the number of entries.
    return_grad : bool, default False
        Also return the gradient with respect to `p`, from the same pass; with
        ``reduction="none"`` the gradient of the summed loss.

    Returns
    -------
    loss : scalar, or ndarray in the shape of `p` for "none"
        In the dtype of `p`, summed in float64. A mean over nothing is NaN, a sum 0.
    dp : ndarray
        Only with `return_grad`; shape, dtype and layout of `p`.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not fit, an array has masked entries, or `reduction` is not one of the above.

    See Also
    --------
    binary_cross_entropy_with_logits : accurate also where p rounds to 1.

    Notes
    -----
    ``loss = -weight * (target * log(p) + (1 - target) * log(1 - p))``, the logarithm not clamped:
    infinite for ``p = 0, target = 1``. ``0 * log(0)`` is 0. The gradient is ``weight * (p - target)
    / (p * (1 - p))``, with its limits 1 at ``p = target = 0`` and -1 at ``p = target = 1``. Where
    `p` or `target` is outside [0, 1], both are NaN. Within 2 ULP in float32 and float64 (measured:
    0.52 and 0.7), within 1 in half types.

    Examples
    --------
    >>> import cyact
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


def binary_cross_entropy_with_logits(
    logits: ArrayLike, target: ArrayLike, /, weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None, *,
    reduction: Literal["none", "mean", "sum"] = "mean", return_grad: bool = False
) -> Any:
    """Binary cross-entropy between the sigmoid of logits and targets.

    Parameters
    ----------
    logits : array_like
        Log-odds. float16, bfloat16, float32 or float64; integers and bool become
        ``np.result_type(logits, np.float32)``.
    target : array_like of any real dtype
        From 0 to 1, in the shape of `logits`.
    weight : array_like, optional
        Factors of the losses; broadcast to the shape of `logits`.
    pos_weight : array_like, optional
        Factors of the positive part, usually one per class along the last axis; broadcast to
        the shape of `logits`.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides by the number of entries.
    return_grad : bool, default False
        Also return the gradient with respect to `logits`, from the same pass; with
        ``reduction="none"`` the gradient of the summed loss.

    Returns
    -------
    loss : scalar, or ndarray in the shape of `logits` for "none"
        In the dtype of `logits`, summed in float64. A mean over nothing is NaN, a sum 0.
    dlogits : ndarray
        Only with `return_grad`; shape, dtype and layout of `logits`.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not fit, an array has masked entries, or `reduction` is not one of the above.

    Notes
    -----
    ``loss = weight * ((1 - t) * x + (1 + (pos_weight - 1) * t) * softplus(-x))``, computed as a sum
    in which nothing cancels: a confident loss keeps its digits, and that of ``(inf, 1)`` is 0.
    Within 2 ULP in float32 and float64 (measured: 0.82 and 0.94), within 1 in half types, and so
    is the gradient ``weight * ((1 - t) * sigmoid(x) - pos_weight * t * sigmoid(-x))``; where, for a
    target between 0 and 1, its two terms cancel, within 2 ulp of 2**-9 times the larger (float32)
    or 2**-2 (float64).

    Examples
    --------
    >>> import cyact
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


def kl_div(
    log_p: ArrayLike, target: ArrayLike, /, log_target: bool = False, *,
    reduction: Literal["none", "mean", "batchmean", "sum"] = "mean", return_grad: bool = False
) -> Any:
    """Kullback-Leibler divergence of log-probabilities from a target distribution.

    Parameters
    ----------
    log_p : array_like
        Log-probabilities. float16, bfloat16, float32 or float64; integers and bool become
        ``np.result_type(log_p, np.float32)``.
    target : array_like of any real dtype
        Probabilities, or their logarithms with `log_target`, in the shape of `log_p`.
    log_target : bool, default False
        Whether `target` holds logarithms.
    reduction : {"mean", "batchmean", "sum", "none"}, default "mean"
        "mean" divides by the number of entries, "batchmean" by the length of the first axis,
        which is the divergence of distributions along the others.
    return_grad : bool, default False
        Also return the gradient with respect to `log_p`, from the same pass; with
        ``reduction="none"`` the gradient of the summed loss.

    Returns
    -------
    loss : scalar, or ndarray in the shape of `log_p` for "none"
        In the dtype of `log_p`, summed in float64. A mean over nothing is NaN, a sum 0.
    dlog_p : ndarray
        Only with `return_grad`; shape, dtype and layout of `log_p`.

    Raises
    ------
    TypeError
        A dtype is not supported.
    ValueError
        Shapes do not fit, an array has masked entries, or `reduction` is not one of the above.

    Notes
    -----
    ``loss = t * (log(t) - log_p)``, with `log_target` ``exp(t) * (t - log_p)``; 0 where the target
    probability is 0, NaN where it is negative. The gradient is minus the target probability.
    Within 2 ULP in float32 and float64 (measured: 0.53 and 0.70), within 1 in half types; where
    ``log(t)`` and `log_p` cancel, within 2 ulp of 2**-28 times ``t * log_p`` (float32) or 2**-4
    (float64).

    Examples
    --------
    >>> import cyact, numpy as np
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
