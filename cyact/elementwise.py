"""Elementwise activation functions: one definition each, and one call into the engine.

The formulas are in ``_level/elementwise/table.pyx``; derivatives and backward passes are in
`cyact.derivative` and `cyact.backward` under the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cyact._docs import documented
from cyact._engine.domains import FINITE, NONNEGATIVE, POSITIVE, Domain
from cyact._engine.elementwise import Choice, Function

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike

EXTENDED = Domain("finite or infinite, not NaN", infinite=True)
NONZERO = Domain("finite and not 0", nonzero=True)

_identity = Function("identity")
_step = Function("step", threshold=FINITE)
_relu = Function("relu")
_relu6 = Function("relu6")
_relu_k = Function("relu_k", n=NONNEGATIVE)
_squared_relu = Function("squared_relu")
_leaky_relu = Function("leaky_relu", negative_slope=FINITE, output_domains=(POSITIVE,))
_threshold = Function("threshold", threshold=EXTENDED, value=EXTENDED)
_thresholded_relu = Function("thresholded_relu", theta=FINITE)
_elu = Function("elu", alpha=FINITE, output_domains=(POSITIVE,))
_celu = Function("celu", alpha=NONZERO, output_domains=(POSITIVE,))
_selu = Function("selu")
_sigmoid = Function("sigmoid")
_generalized_logistic = Function(
    "generalized_logistic", lower=FINITE, upper=FINITE, growth=FINITE, midpoint=FINITE,
    nu=POSITIVE, strictly_ordered=("lower", "upper"))
_log_sigmoid = Function("log_sigmoid")
_hard_sigmoid = Function("hard_sigmoid", alpha=FINITE, beta=FINITE)
_hard_swish = Function("hard_swish")
_tanh = Function("tanh")
_hard_tanh = Function("hard_tanh", min_val=EXTENDED, max_val=EXTENDED,
                      ordered=("min_val", "max_val"))
_softplus = Function("softplus", beta=POSITIVE)
_softsign = Function("softsign")
_squareplus = Function("squareplus", b=NONNEGATIVE)
_algebraic_sigmoid = Function("algebraic_sigmoid", alpha=POSITIVE)
_isrlu = Function("isrlu", alpha=POSITIVE)
_silu = Function("silu", beta=FINITE)
_mish = Function("mish")
_gelu = Choice("gelu", "approximate",
               none=Function("gelu"), tanh=Function("gelu", kernel="gelu_tanh"),
               sigmoid=Function("gelu", kernel="gelu_sigmoid"))
_erf = Function("erf")
_erfc = Function("erfc")
_ndtr = Function("ndtr")
_log_ndtr = Function("log_ndtr")
# the kernels take an eps that is NaN for none
_logit = Function("logit", eps=Domain("None or between 0 and 1/2", low=0, high=0.5,
                                      none=float("nan")))
_arctan = Function("arctan")
_gudermannian = Function("gudermannian")
_log1p = Function("log1p")
_log1mexp = Function("log1mexp")
_tanh_shrink = Function("tanh_shrink")
_exp = Function("exp")
_expm1 = Function("expm1")
_gaussian = Function("gaussian")
_bent_identity = Function("bent_identity")
_hard_shrink = Function("hard_shrink", lambd=NONNEGATIVE)
_soft_shrink = Function("soft_shrink", lambd=NONNEGATIVE)
_sparse_plus = Function("sparse_plus")
_sparse_sigmoid = Function("sparse_sigmoid")
_dish = Function("dish")


@documented
def identity(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Identity: the input, unchanged, in new memory.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x``, exact.

    Examples
    --------
    >>> import cyact
    >>> cyact.identity([-1.5, 0.0, 2.0])
    array([-1.5,  0. ,  2. ])
    """
    return _identity.value(x, bias, out, dtype)


@documented
def step(
    x: ArrayLike, /, threshold: float = 0.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Binary step, the Heaviside function.

    Parameters
    ----------
    {x}
    threshold : float, default 0.0
        Where it steps; finite. Used as the float64 it is, whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = 1 if x >= threshold else 0``, exact. The derivative is 0 everywhere.

    References
    ----------
    W. S. McCulloch and W. Pitts, "A logical calculus of the ideas immanent in nervous activity",
    Bulletin of Mathematical Biophysics 5, 1943.

    Examples
    --------
    >>> import cyact
    >>> cyact.step([-1.5, 0.0, 2.0])
    array([0., 1., 1.])
    """
    return _step.value(x, bias, out, dtype, threshold)


@documented
def relu(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Rectified linear unit.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = max(x, 0)``, exact. ``relu(-0.0)`` is ``0.0``, ``relu(nan)`` is ``nan``, and the
    derivative at 0 is 0.

    References
    ----------
    V. Nair and G. E. Hinton, "Rectified linear units improve restricted Boltzmann machines",
    ICML 2010.

    Examples
    --------
    >>> import cyact
    >>> cyact.relu([-1.5, 0.0, 2.0])
    array([0., 0., 2.])
    """
    return _relu.value(x, bias, out, dtype)


@documented
def relu6(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Rectified linear unit that stops at 6.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = min(max(x, 0), 6)``, exact. The derivative is 0 at 0 and at 6.

    References
    ----------
    A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", unpublished manuscript,
    2010.

    Examples
    --------
    >>> import cyact
    >>> cyact.relu6([-1.5, 2.0, 9.0])
    array([0., 2., 6.])
    """
    return _relu6.value(x, bias, out, dtype)


@documented
def relu_k(
    x: ArrayLike, /, n: float = 6.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Rectified linear unit that stops at `n`.

    Parameters
    ----------
    {x}
    n : float, default 6.0
        Largest value; at least 0 and finite.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = min(max(x, 0), n)``, correctly rounded. The derivative is 0 at 0 and at `n`.

    References
    ----------
    A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", unpublished manuscript,
    2010.

    Examples
    --------
    >>> import cyact
    >>> cyact.relu_k([-1.5, 2.0, 9.0], 1)
    array([0., 1., 1.])
    """
    return _relu_k.value(x, bias, out, dtype, n)


@documented
def squared_relu(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Squared rectified linear unit.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = max(x, 0)**2``, correctly rounded; the derivative, ``2 * max(x, 0)``, is exact.

    References
    ----------
    D. R. So et al., "Primer: Searching for efficient transformers for language modeling",
    NeurIPS 2021, arXiv:2109.08668.

    Examples
    --------
    >>> import cyact
    >>> cyact.squared_relu([-1.5, 0.5, 3.0])
    array([0.  , 0.25, 9.  ])
    """
    return _squared_relu.value(x, bias, out, dtype)


@documented
def leaky_relu(
    x: ArrayLike, /, negative_slope: float = 0.01, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Leaky rectified linear unit.

    Parameters
    ----------
    {x}
    negative_slope : float, default 0.01
        Slope for negative input; finite. Used as the float64 it is, whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x if x >= 0 else negative_slope * x``, correctly rounded in float64. {error}.
    The derivative at 0 is `negative_slope`.

    References
    ----------
    A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier nonlinearities improve neural network
    acoustic models", ICML 2013.

    Examples
    --------
    >>> import cyact
    >>> cyact.leaky_relu([-2.0, 0.0, 2.0], 0.25)
    array([-0.5,  0. ,  2. ])
    """
    return _leaky_relu.value(x, bias, out, dtype, negative_slope)


@documented
def threshold(
    x: ArrayLike, /, threshold: float, value: float, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Input above a threshold, a constant elsewhere.

    Parameters
    ----------
    {x}
    threshold : float
        What `x` has to exceed; may be infinite. Used as the float64 it is, whatever the dtype
        of `x`.
    value : float
        The result where it does not; may be infinite. Rounded to the dtype of the result.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x if x > threshold else value``, exact. The derivative is 0 at `threshold`. There are
    no defaults; ``backward.threshold`` therefore needs `x`.

    Examples
    --------
    >>> import cyact
    >>> cyact.threshold([-1.5, 0.5, 3.0], 0.5, -1.0)
    array([-1., -1.,  3.])
    """
    return _threshold.value(x, bias, out, dtype, threshold, value)


@documented
def thresholded_relu(
    x: ArrayLike, /, theta: float = 1.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Rectified linear unit with a threshold.

    Parameters
    ----------
    {x}
    theta : float, default 1.0
        What `x` has to exceed; finite. Used as the float64 it is, whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x if x > theta else 0``, exact. The derivative at `theta` is 0.

    References
    ----------
    K. Konda, R. Memisevic and D. Krueger, "Zero-bias autoencoders and the benefits of
    co-adapting features", ICLR 2015, arXiv:1402.3337.

    Examples
    --------
    >>> import cyact
    >>> cyact.thresholded_relu([-1.5, 0.5, 3.0])
    array([0., 0., 3.])
    """
    return _thresholded_relu.value(x, bias, out, dtype, theta)


@documented
def elu(
    x: ArrayLike, /, alpha: float = 1.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Exponential linear unit.

    Parameters
    ----------
    {x}
    alpha : float, default 1.0
        Minus the limit for large negative input; finite. Used as the float64 it is, whatever
        the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x if x > 0 else alpha * (exp(x) - 1)``, without the cancellation of ``exp(x) - 1``
    near 0. {error}. ``elu(-inf)`` is ``-alpha``; the
    derivative at 0 is `alpha`.

    References
    ----------
    D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep network learning
    by exponential linear units (ELUs)", ICLR 2016, arXiv:1511.07289.

    Examples
    --------
    >>> import cyact
    >>> cyact.elu([-1e-10, 0.0, 2.0])
    array([-1.e-10,  0.e+00,  2.e+00])
    """
    return _elu.value(x, bias, out, dtype, alpha)


@documented
def celu(
    x: ArrayLike, /, alpha: float = 1.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Continuously differentiable exponential linear unit.

    Parameters
    ----------
    {x}
    alpha : float, default 1.0
        Minus the limit for large negative input if positive; finite and not 0. Used as the
        float64 it is, whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``, which is ``x`` for positive `x`
    and the second term for negative `x`. {error}. The derivative at 0 is 1. The formula holds
    for a negative `alpha`, too: there ``f(x)`` falls exponentially for negative `x`, and
    ``celu(-inf)`` is ``-inf`` with slope ``inf``; a backward pass from the output needs a
    positive one.

    References
    ----------
    J. T. Barron, "Continuously differentiable exponential linear units", arXiv:1704.07483.

    Examples
    --------
    >>> import cyact
    >>> cyact.celu([-1000.0, -1.0, 0.0, 2.0], 0.5)
    array([-0.5       , -0.43233236,  0.        ,  2.        ])
    """
    return _celu.value(x, bias, out, dtype, alpha)


@documented
def selu(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Scaled exponential linear unit.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = scale * x if x > 0 else scale * alpha * (exp(x) - 1)`` with
    ``scale = 1.0507009873554804934...`` and ``alpha = 1.6732632423543772848...``, the solution
    of the paper's fixed-point equations, not rounded. {error}. ``selu(-inf)`` is
    ``-scale * alpha``, which is also the derivative at 0 but for its sign.

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-normalizing neural
    networks", NeurIPS 2017, arXiv:1706.02515.

    Examples
    --------
    >>> import cyact
    >>> cyact.selu([-1.0, 0.0, 1.0])
    array([-1.11133074,  0.        ,  1.05070099])
    """
    return _selu.value(x, bias, out, dtype)


@documented
def sigmoid(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logistic sigmoid.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = 1 / (1 + exp(-x))``. {error}, for every
    input: it does not overflow, and decays through the subnormal numbers. Also importable as
    ``expit``.

    Examples
    --------
    >>> import cyact
    >>> cyact.sigmoid([-800.0, -1.0, 0.0, 800.0])
    array([0.        , 0.26894142, 0.5       , 1.        ])
    """
    return _sigmoid.value(x, bias, out, dtype)


@documented
def generalized_logistic(
    x: ArrayLike, /, lower: float = 0.0, upper: float = 1.0, growth: float = 1.0,
    midpoint: float = 0.0, nu: float = 1.0, *,
    bias: ArrayLike | None = None, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
) -> Any:
    """Generalized logistic function, also called Richards' curve.

    Parameters
    ----------
    {x}
    lower, upper : float, default 0.0 and 1.0
        The limits for small and large `x` if `growth` is positive; finite, `lower` less than
        `upper`.
    growth : float, default 1.0
        Growth rate; finite. A negative one exchanges the limits.
    midpoint : float, default 0.0
        Shift along x; finite. With `nu` 1 the value there is halfway between the limits.
    nu : float, default 1.0
        Asymmetry; positive and finite. The steepest point is at
        ``midpoint - log(nu) / growth``.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = lower + (upper - lower) / (1 + exp(-growth * (x - midpoint)))**(1 / nu)``. All
    parameters are used as the float64 they are, whatever the dtype of `x`. {error}, tails
    included. Exception: where the curve crosses 0, results smaller than
    ``2**-14 * (upper - lower)`` in float64, ``2**-40 * (upper - lower)`` in float32, have an
    error of up to ``2**-65 * (upper - lower)``; not so for ``lower = -upper`` and `nu` 1, which
    is ``upper * tanh(growth * (x - midpoint) / 2)`` and has no exception.

    References
    ----------
    F. J. Richards, "A flexible growth function for empirical use", Journal of Experimental
    Botany 10(2), 1959.

    Examples
    --------
    >>> import cyact
    >>> cyact.generalized_logistic([-2.0, 0.0, 2.0], lower=1, upper=5, growth=2, nu=0.5)
    array([1.00129401, 2.        , 4.85740434])
    """
    return _generalized_logistic.value(x, bias, out, dtype, lower, upper, growth, midpoint, nu)


@documented
def log_sigmoid(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of the logistic sigmoid.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = -log(1 + exp(-x))``, that is ``-softplus(-x)``. {error}, for every input: it
    neither overflows nor stops at 0 for large `x`, where it is ``-exp(-x)``.
    ``log_sigmoid(inf)`` is ``-0.0``.

    Examples
    --------
    >>> import cyact
    >>> cyact.log_sigmoid([-1000.0, 0.0, 40.0])
    array([-1.00000000e+03, -6.93147181e-01, -4.24835426e-18])
    """
    return _log_sigmoid.value(x, bias, out, dtype)


@documented
def hard_sigmoid(
    x: ArrayLike, /, alpha: float = 1 / 6, beta: float = 0.5, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Piecewise linear sigmoid.

    Parameters
    ----------
    {x}
    alpha : float, default 1 / 6
        Slope; finite. Used as the float64 it is, whatever the dtype of `x`.
    beta : float, default 0.5
        Value at 0; finite. Exact as well.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = min(max(alpha * x + beta, 0), 1)``. {error}, also where
    ``alpha * x`` and `beta` cancel. With the default, the float64 nearest to 1/6, that is
    2.8e-17 at -3, not 0. The derivative is 0 at both clip points, ``-beta / alpha`` and
    ``(1 - beta) / alpha`` rounded to float64. Keras 2 had ``alpha=0.2``.

    References
    ----------
    M. Courbariaux, Y. Bengio and J.-P. David, "BinaryConnect: Training deep neural networks with
    binary weights during propagations", NeurIPS 2015, arXiv:1511.00363.

    Examples
    --------
    >>> import cyact
    >>> cyact.hard_sigmoid([-4.0, 0.0, 1.5, 4.0])
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    return _hard_sigmoid.value(x, bias, out, dtype, alpha, beta)


@documented
def hard_swish(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Piecewise quadratic form of silu.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x * min(max(x + 3, 0), 6) / 6``. {error}.
    ``hard_swish(-inf)`` is the limit, ``-0.0``; the derivative is 0 at -3 and 1 at 3.

    References
    ----------
    A. Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244.

    Examples
    --------
    >>> import cyact
    >>> cyact.hard_swish([-4.0, -1.5, 0.0, 4.0])
    array([-0.   , -0.375,  0.   ,  4.   ])
    """
    return _hard_swish.value(x, bias, out, dtype)


@documented
def tanh(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Hyperbolic tangent.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))``. {error}.

    Examples
    --------
    >>> import cyact
    >>> cyact.tanh([-1.0, 0.0, 1e-20])
    array([-7.61594156e-01,  0.00000000e+00,  1.00000000e-20])
    """
    return _tanh.value(x, bias, out, dtype)


@documented
def hard_tanh(
    x: ArrayLike, /, min_val: float = -1.0, max_val: float = 1.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Input clipped to an interval.

    Parameters
    ----------
    {x}
    min_val : float, default -1.0
        Smallest value; may be infinite.
    max_val : float, default 1.0
        Largest value, at least `min_val`; may be infinite.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = min(max(x, min_val), max_val)``, correctly rounded. The derivative is 0 at
    `min_val` and at `max_val`.

    References
    ----------
    R. Collobert, "Large scale machine learning", PhD thesis, Université Paris VI, 2004.

    Examples
    --------
    >>> import cyact
    >>> cyact.hard_tanh([-4.0, 0.5, 4.0])
    array([-1. ,  0.5,  1. ])
    """
    return _hard_tanh.value(x, bias, out, dtype, min_val, max_val)


@documented
def softplus(
    x: ArrayLike, /, beta: float = 1.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Softplus, a smooth rectifier.

    Parameters
    ----------
    {x}
    beta : float, default 1.0
        Sharpness; positive and finite. Used as the float64 it is, whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = log(1 + exp(beta * x)) / beta``, with no threshold above which it turns into `x`.
    {error}.

    References
    ----------
    C. Dugas et al., "Incorporating second-order functional knowledge for better option
    pricing", NeurIPS 2000.

    Examples
    --------
    >>> import cyact
    >>> cyact.softplus([-40.0, 0.0, 1000.0])
    array([4.24835426e-18, 6.93147181e-01, 1.00000000e+03])
    """
    return _softplus.value(x, bias, out, dtype, beta)


@documented
def softsign(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Softsign.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x / (1 + abs(x))``. {error};
    ``softsign(inf)`` is 1.

    References
    ----------
    J. Bergstra et al., "Quadratic polynomials learn better image features", Technical report
    1337, Université de Montréal, 2009.

    Examples
    --------
    >>> import cyact
    >>> cyact.softsign([-1.0, 0.0, 3.0])
    array([-0.5 ,  0.  ,  0.75])
    """
    return _softsign.value(x, bias, out, dtype)


@documented
def squareplus(
    x: ArrayLike, /, b: float = 4.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Squareplus, an algebraic form of softplus.

    Parameters
    ----------
    {x}
    b : float, default 4.0
        Roundness, at least 0 and finite. Used as the float64 it is, whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = (x + sqrt(x**2 + b)) / 2``, without cancellation for negative `x` and without overflow.
    {error}. ``squareplus(-inf)`` is 0. With ``b=0`` this is relu, but the
    derivative at 0 is 1/2, as it is for every other `b`.

    References
    ----------
    J. T. Barron, "Squareplus: A softplus-like algebraic rectifier", arXiv:2112.11687.

    Examples
    --------
    >>> import cyact
    >>> cyact.squareplus([-1e10, 0.0, 1.5])
    array([1.e-10, 1.e+00, 2.e+00])
    """
    return _squareplus.value(x, bias, out, dtype, b)


@documented
def algebraic_sigmoid(
    x: ArrayLike, /, alpha: float = 1.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Algebraic sigmoid, the inverse square root unit (ISRU).

    Parameters
    ----------
    {x}
    alpha : float, default 1.0
        The limits are ``-1 / sqrt(alpha)`` and ``1 / sqrt(alpha)``; positive and finite. Used as
        the float64 it is, whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x / sqrt(1 + alpha * x**2)``, without overflow. {error}.

    References
    ----------
    B. Carlile et al., "Improving deep learning by inverse square root linear units (ISRLUs)",
    arXiv:1710.09967.

    Examples
    --------
    >>> import cyact
    >>> cyact.algebraic_sigmoid([-1e200, 0.0, 0.75])
    array([-1. ,  0. ,  0.6])
    """
    return _algebraic_sigmoid.value(x, bias, out, dtype, alpha)


@documented
def isrlu(
    x: ArrayLike, /, alpha: float = 1.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Inverse square root linear unit.

    Parameters
    ----------
    {x}
    alpha : float, default 1.0
        Minus the limit for large negative input is ``1 / sqrt(alpha)``; positive and finite.
        Used as the float64 it is, whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x if x >= 0 else x / sqrt(1 + alpha * x**2)``, without overflow.
    {error}.

    References
    ----------
    B. Carlile et al., "Improving deep learning by inverse square root linear units (ISRLUs)",
    arXiv:1710.09967.

    Examples
    --------
    >>> import cyact
    >>> cyact.isrlu([-1e200, -0.75, 2.0])
    array([-1. , -0.6,  2. ])
    """
    return _isrlu.value(x, bias, out, dtype, alpha)


@documented
def silu(
    x: ArrayLike, /, beta: float = 1.0, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Sigmoid linear unit, also called swish.

    Parameters
    ----------
    {x}
    beta : float, default 1.0
        Sharpness; finite. Used as the float64 it is, whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x * sigmoid(beta * x)``. {error}.
    ``silu(-inf)`` is the limit, ``-0.0``. Also importable as ``swish``.

    References
    ----------
    S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units for neural network
    function approximation in reinforcement learning", Neural Networks 107, 2018.
    P. Ramachandran, B. Zoph and Q. V. Le, "Searching for activation functions",
    arXiv:1710.05941.

    Examples
    --------
    >>> import cyact
    >>> cyact.silu([-1.0, 0.0, 1.0])
    array([-0.26894142,  0.        ,  0.73105858])
    """
    return _silu.value(x, bias, out, dtype, beta)


@documented
def mish(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Mish, a smooth, self-gated unit.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x * tanh(softplus(x))``. {error}. ``mish(-inf)`` is the limit, ``-0.0``.

    References
    ----------
    D. Misra, "Mish: A self regularized non-monotonic activation function", BMVC 2020,
    arXiv:1908.08681.

    Examples
    --------
    >>> import cyact
    >>> cyact.mish([-1.0, 0.0, 1.0])
    array([-0.30340146,  0.        ,  0.86509839])
    """
    return _mish.value(x, bias, out, dtype)


@documented
def gelu(
    x: ArrayLike, /, approximate: Literal["none", "tanh", "sigmoid"] = "none", *,
    bias: ArrayLike | None = None, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
) -> Any:
    """Gaussian error linear unit.

    Parameters
    ----------
    {x}
    approximate : {"none", "tanh", "sigmoid"}, default "none"
        The exact function, its tanh form, or its sigmoid form (known as "quick gelu").
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``"none"``: ``f(x) = x * Phi(x)``, Phi the normal distribution function.
    ``"tanh"``: ``f(x) = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3)))``.
    ``"sigmoid"``: ``f(x) = x * sigmoid(1.702 * x)``.

    {error}, each form against its formula, also in the negative tail. ``gelu(-inf)`` is the
    limit, ``-0.0``.

    References
    ----------
    D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415.

    Examples
    --------
    >>> import cyact
    >>> cyact.gelu([-10.0, -1.0, 1.0])
    array([-7.61985302e-23, -1.58655254e-01,  8.41344746e-01])
    """
    return _gelu.value(x, bias, out, dtype, approximate)


@documented
def erf(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Error function.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = 2/sqrt(pi) * (integral of exp(-t**2) from 0 to x)``. {error}. The derivative is
    ``2/sqrt(pi) * exp(-x**2)``.

    Examples
    --------
    >>> import cyact
    >>> cyact.erf([-1.0, 0.0, 0.5])
    array([-0.84270079,  0.        ,  0.52049988])
    """
    return _erf.value(x, bias, out, dtype)


@documented
def erfc(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Complementary error function.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = 1 - erf(x)``, without the cancellation where `erf` is near 1. {error}, also in the
    tail, which decays through the subnormal numbers.

    References
    ----------
    M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x
    in 0 <= x < inf", Mathematics of Computation 36, 1981.

    Examples
    --------
    >>> import cyact
    >>> cyact.erfc([-1.0, 0.0, 10.0])
    array([1.84270079e+00, 1.00000000e+00, 2.08848758e-45])
    """
    return _erfc.value(x, bias, out, dtype)


@documented
def ndtr(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Distribution function of the standard normal distribution.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = erfc(-x / sqrt(2)) / 2``, the Phi of `gelu`. {error}, also in the tail, which
    decays through the subnormal numbers. The derivative is the density
    ``exp(-x**2 / 2) / sqrt(2 * pi)``.

    Examples
    --------
    >>> import cyact
    >>> cyact.ndtr([-10.0, -1.0, 0.0, 1.0])
    array([7.61985302e-24, 1.58655254e-01, 5.00000000e-01, 8.41344746e-01])
    """
    return _ndtr.value(x, bias, out, dtype)


@documented
def log_ndtr(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of the standard normal distribution function.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = log(ndtr(x))``, also where `ndtr` underflows or rounds to 1: it goes as
    ``-x**2 / 2 - log(-x) - log(2 * pi) / 2`` for large negative `x` and as ``-ndtr(-x)`` for
    large positive. {error}.

    The derivative is the inverse Mills ratio, ``exp(-x**2 / 2) / sqrt(2 * pi) / ndtr(x)``: near
    ``-x`` for large negative `x`, infinite at ``-inf``.

    Examples
    --------
    >>> import cyact
    >>> cyact.log_ndtr([-1e6, -1.0, 0.0, 10.0])
    array([-5.00000000e+11, -1.84102165e+00, -6.93147181e-01, -7.61985302e-24])
    """
    return _log_ndtr.value(x, bias, out, dtype)


@documented
def logit(
    x: ArrayLike, /, eps: float | None = None, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logit, the log-odds of a probability; the inverse of `sigmoid`.

    Parameters
    ----------
    {x}
    eps : float, optional
        Clip `x` to ``[eps, 1 - eps]`` first; at least 0 and at most 1/2. Used as the float64 it
        is, and ``1 - eps`` unrounded, whatever the dtype of `x`. Without it nothing is clipped.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = log(x / (1 - x))``, without cancellation near 1/2, where it crosses 0. {error}.
    ``logit(0)`` is ``-inf``, ``logit(1)`` is ``inf``, and outside [0, 1] both `f` and its
    derivative are NaN unless `eps` is given. Where `eps` clips, the derivative is 0; at `eps` and
    ``1 - eps`` themselves it is not.

    References
    ----------
    J. Berkson, "Application of the logistic function to bio-assay", Journal of the American
    Statistical Association 39(227), 1944.

    Examples
    --------
    >>> import cyact
    >>> cyact.logit([0.0, 0.25, 0.5, 1.0])
    array([       -inf, -1.09861229,  0.        ,         inf])
    >>> cyact.logit([0.0, 0.25, 0.5, 1.0], eps=1e-20)
    array([-46.05170186,  -1.09861229,   0.        ,  46.05170186])
    """
    return _logit.value(x, bias, out, dtype, eps)


@documented
def arctan(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Inverse tangent.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = atan(x)``. {error}. ``arctan(inf)`` is pi/2; ``f'(x) = 1 / (1 + x**2)``.

    Examples
    --------
    >>> import cyact
    >>> cyact.arctan([-1.0, 0.0, float("inf")])
    array([-0.78539816,  0.        ,  1.57079633])
    """
    return _arctan.value(x, bias, out, dtype)


@documented
def gudermannian(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Gudermannian function, a sigmoid from -pi/2 to pi/2.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = 2 * atan(tanh(x / 2))``, also ``atan(sinh(x))``. {error}. ``f'(x) = 1 / cosh(x)``.

    References
    ----------
    NIST Digital Library of Mathematical Functions, section 4.23(viii),
    https://dlmf.nist.gov/4.23#viii.

    Examples
    --------
    >>> import cyact
    >>> cyact.gudermannian([-1.0, 0.0, float("inf")])
    array([-0.86576948,  0.        ,  1.57079633])
    """
    return _gudermannian.value(x, bias, out, dtype)


@documented
def log1p(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of 1 + x, accurate also for small x.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = log(1 + x)``. {error}.
    ``log1p(-1)`` is ``-inf``; below -1 both `f` and its derivative ``1 / (1 + x)`` are NaN.

    Examples
    --------
    >>> import cyact
    >>> cyact.log1p([-1.0, 1e-20, 1.0])
    array([          -inf, 1.00000000e-20, 6.93147181e-01])
    """
    return _log1p.value(x, bias, out, dtype)


@documented
def log1mexp(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Logarithm of 1 - exp(-x), accurate for small and for large x.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = log(1 - exp(-x))``: about ``log(x)`` near 0, and ``-exp(-x)`` for large `x`, down to
    the subnormal numbers. {error}. ``log1mexp(0)`` is ``-inf``, ``log1mexp(inf)`` is ``-0.0``;
    below 0 both `f` and its derivative ``1 / (exp(x) - 1)`` are NaN.

    References
    ----------
    M. Mächler, "Accurately computing log(1 - exp(-|a|)), assessed by the Rmpfr package", 2012,
    vignette of the R package Rmpfr.

    Examples
    --------
    >>> import cyact
    >>> cyact.log1mexp([0.0, 1e-20, 1.0, 50.0])
    array([           -inf, -4.60517019e+01, -4.58675145e-01, -1.92874985e-22])
    """
    return _log1mexp.value(x, bias, out, dtype)


@documented
def tanh_shrink(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Tanh shrinkage.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x - tanh(x)``, without the cancellation near 0, where it is about ``x**3 / 3``.
    {error}. An odd function, also at 0: ``tanh_shrink(-0.0)`` is ``-0.0``.
    ``f'(x) = tanh(x)**2``.

    Examples
    --------
    >>> import cyact
    >>> cyact.tanh_shrink([-1.0, 0.0, 1e-5])
    array([-2.38405844e-01,  0.00000000e+00,  3.33333333e-16])
    """
    return _tanh_shrink.value(x, bias, out, dtype)


@documented
def exp(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Exponential function.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = exp(x)``. {error}. It overflows to ``inf`` where the true value rounds beyond the
    largest number, and decays through the subnormal numbers.

    Examples
    --------
    >>> import cyact
    >>> cyact.exp([-745.0, 0.0, 1.0])
    array([4.94065646e-324, 1.00000000e+000, 2.71828183e+000])
    """
    return _exp.value(x, bias, out, dtype)


@documented
def expm1(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Exponential function minus 1.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = exp(x) - 1``, without its cancellation near 0. {error}. ``expm1(-inf)`` is -1.

    Examples
    --------
    >>> import cyact
    >>> cyact.expm1([-1e-20, 0.0, 1.0])
    array([-1.00000000e-20,  0.00000000e+00,  1.71828183e+00])
    """
    return _expm1.value(x, bias, out, dtype)


@documented
def gaussian(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Gaussian bell, unnormalised.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = exp(-x**2)``. {error}: the square is not rounded before it is exponentiated.

    Examples
    --------
    >>> import cyact
    >>> cyact.gaussian([-1.0, 0.0, 5.0])
    array([3.67879441e-01, 1.00000000e+00, 1.38879439e-11])
    """
    return _gaussian.value(x, bias, out, dtype)


@documented
def bent_identity(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Bent identity.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = (sqrt(x**2 + 1) - 1) / 2 + x``, without cancellation or overflow.
    {error}.

    Examples
    --------
    >>> import cyact
    >>> cyact.bent_identity([-0.75, 0.0, 0.75])
    array([-0.625,  0.   ,  0.875])
    """
    return _bent_identity.value(x, bias, out, dtype)


@documented
def hard_shrink(
    x: ArrayLike, /, lambd: float = 0.5, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Hard shrinkage.

    Parameters
    ----------
    {x}
    lambd : float, default 0.5
        Largest magnitude that becomes 0; at least 0 and finite. Used as the float64 it is,
        whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x if abs(x) > lambd else 0``, exact. The derivative is 0 at ``-lambd`` and `lambd`.

    References
    ----------
    D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
    Biometrika 81(3), 1994.

    Examples
    --------
    >>> import cyact
    >>> cyact.hard_shrink([-2.0, 0.5, 1.0])
    array([-2.,  0.,  1.])
    """
    return _hard_shrink.value(x, bias, out, dtype, lambd)


@documented
def soft_shrink(
    x: ArrayLike, /, lambd: float = 0.5, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Soft shrinkage.

    Parameters
    ----------
    {x}
    lambd : float, default 0.5
        How much nearer to 0 the result is; at least 0 and finite. Used as the float64 it is,
        whatever the dtype of `x`.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = sign(x) * max(abs(x) - lambd, 0)``, correctly rounded in float64. {error}.
    The derivative is 0 at ``-lambd`` and `lambd`; a result of 0 has the sign of `x`.

    References
    ----------
    D. L. Donoho, "De-noising by soft-thresholding", IEEE Transactions on Information Theory
    41(3), 1995.

    Examples
    --------
    >>> import cyact
    >>> cyact.soft_shrink([-2.0, 0.5, 1.0])
    array([-1.5,  0. ,  0.5])
    """
    return _soft_shrink.value(x, bias, out, dtype, lambd)


@documented
def sparse_plus(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Piecewise quadratic form of softplus that reaches 0.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = 0`` up to -1, ``(x + 1)**2 / 4`` from there to 1, and `x` beyond.
    {error}. The derivative is `sparse_sigmoid`.

    Examples
    --------
    >>> import cyact
    >>> cyact.sparse_plus([-2.0, 0.0, 2.0])
    array([0.  , 0.25, 2.  ])
    """
    return _sparse_plus.value(x, bias, out, dtype)


@documented
def sparse_sigmoid(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Piecewise linear sigmoid that reaches 0 and 1.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = min(max((x + 1) / 2, 0), 1)``, correctly rounded. It is the derivative of
    `sparse_plus`; its own derivative is 0 at -1 and 1.

    Examples
    --------
    >>> import cyact
    >>> cyact.sparse_sigmoid([-2.0, 0.0, 0.5])
    array([0.  , 0.5 , 0.75])
    """
    return _sparse_sigmoid.value(x, bias, out, dtype)


@documented
def dish(
    x: ArrayLike, /, *, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Dish, an algebraic form of silu.

    Parameters
    ----------
    {x}
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``f(x) = x/2 * (1 + x / sqrt(1 + x**2))``, without cancellation or overflow.
    {error}. ``dish(-inf)`` is the limit, ``-0.0``.

    Examples
    --------
    >>> import cyact
    >>> cyact.dish([-0.75, 0.0, 0.75])
    array([-0.15,  0.  ,  0.6 ])
    """
    return _dish.value(x, bias, out, dtype)


expit = sigmoid
swish = silu
