"""What one writes in NumPy for functions along an axis, their backward passes and losses."""

import numpy as np


def softmax(x, axis, temperature=None):
    x = x - x.max(axis, keepdims=True)
    e = np.exp(x if temperature is None else x / temperature)
    return e / e.sum(axis, keepdims=True)


def log_softmax(x, axis):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def softmin(x, axis):
    e = np.exp(x.min(axis, keepdims=True) - x)
    return e / e.sum(axis, keepdims=True)


def logsumexp(x, axis):
    top = x.max(axis, keepdims=True)
    return np.log(np.exp(x - top).sum(axis)) + top.squeeze(axis)


def logmeanexp(x, axis):
    top = x.max(axis, keepdims=True)
    return np.log(np.exp(x - top).mean(axis)) + top.squeeze(axis)


def backward_softmax(g, y, axis):
    return y * (g - (g * y).sum(axis, keepdims=True))


def backward_log_softmax(g, p, axis):
    return g - p * g.sum(axis, keepdims=True)


def backward_logsumexp(g, x, axis):
    return softmax(x, axis) * np.expand_dims(g, axis)


def _falling(x, axis):
    """Entries in falling order, and their number so far, along the axis."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return (np.flip(np.sort(x, axis), axis),
            np.arange(1, x.shape[axis] + 1, dtype=x.dtype).reshape(shape))


def sparsemax(x, axis):
    z, k = _falling(x, axis)
    sums = z.cumsum(axis) - 1
    count = (k * z > sums).sum(axis, keepdims=True)
    tau = np.take_along_axis(sums, count - 1, axis) / count.astype(x.dtype)
    return np.maximum(x - tau, 0)


def entmax15(x, axis):
    x = (x - x.max(axis, keepdims=True)) / 2
    z, k = _falling(x, axis)
    mean, squares = z.cumsum(axis) / k, (z * z).cumsum(axis) / k
    tau = mean - np.sqrt(np.maximum((1 - k * (squares - mean * mean)) / k, 0))
    count = (tau <= z).sum(axis, keepdims=True)
    return np.maximum(x - np.take_along_axis(tau, count - 1, axis), 0) ** 2


def hardmax(x, axis):
    y = np.zeros_like(x)
    np.put_along_axis(y, np.expand_dims(x.argmax(axis), axis), 1, axis)
    return y


def maxima(x, axis):
    return x.max(axis, keepdims=True)


# Losses by classes, by probabilities and by classes with label smoothing; with gradients of x

def cross_entropy(x, target, axis):
    return -np.take_along_axis(log_softmax(x, axis), np.expand_dims(target, axis), axis).mean()


def cross_entropy_grad(x, target, axis):
    at = np.expand_dims(target, axis)
    shifted = x - x.max(axis, keepdims=True)
    grad = np.exp(shifted)
    total = grad.sum(axis, keepdims=True)
    loss = (np.log(total) - np.take_along_axis(shifted, at, axis)).mean()
    grad /= total
    np.put_along_axis(grad, at, np.take_along_axis(grad, at, axis) - 1, axis)
    grad /= target.size
    return loss, grad


def of_probabilities(x, q, axis):
    return -(q * log_softmax(x, axis)).sum(axis).mean()


def of_probabilities_grad(x, q, axis):
    log_p = log_softmax(x, axis)
    rows = x.size // x.shape[axis]
    return -(q * log_p).sum(axis).mean(), (np.exp(log_p) - q) / rows


def smoothed(x, target, axis, share):
    log_p = log_softmax(x, axis)
    picked = np.take_along_axis(log_p, np.expand_dims(target, axis), axis)
    return -((1 - share) * picked + share * log_p.mean(axis, keepdims=True)).mean()


def smoothed_grad(x, target, axis, share):
    log_p, at = log_softmax(x, axis), np.expand_dims(target, axis)
    picked = np.take_along_axis(log_p, at, axis)
    grad = np.exp(log_p) - share / x.shape[axis]
    np.put_along_axis(grad, at, np.take_along_axis(grad, at, axis) - (1 - share), axis)
    loss = -((1 - share) * picked + share * log_p.mean(axis, keepdims=True)).mean()
    return loss, grad / target.size


def nll_loss_grad(x, target, axis):
    at = np.expand_dims(target, axis)
    grad = np.zeros_like(x)
    np.put_along_axis(grad, at, -1 / target.size, axis)
    return -np.take_along_axis(x, at, axis).mean(), grad


def focal_loss_grad(x, target, axis):
    at = np.expand_dims(target, axis)
    grad = softmax(x, axis)
    p = np.take_along_axis(grad, at, axis)
    loss = -np.log(p)
    factor = (1 - p) ** 2 + 2 * (1 - p) * p * loss
    np.put_along_axis(grad, at, p - 1, axis)
    grad *= factor / target.size
    return ((1 - p) ** 2 * loss).mean(), grad
