# cython: autotestdict=False
"""Elementwise activation functions: one definition each, and one call into the engine.

They stand by families, whose kernels are in ``_level/elementwise/``; derivatives and backward
passes are in `cyact.derivative` and `cyact.backward` under the same names.
"""

from cyact._catalog import activation
from cyact._engine.domains import FINITE, NONNEGATIVE, POSITIVE, Domain
from cyact._engine.elementwise import Choice, Function

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
_hard_shrink = Function("hard_shrink", lambd=NONNEGATIVE)
_soft_shrink = Function("soft_shrink", lambd=NONNEGATIVE)
_sparse_plus = Function("sparse_plus")
_exp = Function("exp")
_expm1 = Function("expm1")
_elu = Function("elu", alpha=FINITE, output_domains=(POSITIVE,))
_celu = Function("celu", alpha=NONZERO, output_domains=(POSITIVE,))
_selu = Function("selu")
_sigmoid = Function("sigmoid")
_generalized_logistic = Function(
    "generalized_logistic", lower=FINITE, upper=FINITE, growth=FINITE, midpoint=FINITE,
    nu=POSITIVE, strictly_ordered=("lower", "upper"))
_hard_sigmoid = Function("hard_sigmoid", alpha=FINITE, beta=FINITE)
_sparse_sigmoid = Function("sparse_sigmoid")
_tanh = Function("tanh")
_hard_tanh = Function("hard_tanh", min_val=EXTENDED, max_val=EXTENDED,
                      ordered=("min_val", "max_val"))
_tanh_shrink = Function("tanh_shrink")
_arctan = Function("arctan")
_gudermannian = Function("gudermannian")
_silu = Function("silu", beta=FINITE)
_mish = Function("mish")
_gelu = Choice("gelu", "approximate",
               none=Function("gelu"), tanh=Function("gelu", kernel="gelu_tanh"),
               sigmoid=Function("gelu", kernel="gelu_sigmoid"))
_hard_swish = Function("hard_swish")
_dish = Function("dish")
_erf = Function("erf")
_erfc = Function("erfc")
_ndtr = Function("ndtr")
_log_ndtr = Function("log_ndtr")
_gaussian = Function("gaussian")
_softsign = Function("softsign")
_squareplus = Function("squareplus", b=NONNEGATIVE)
_algebraic_sigmoid = Function("algebraic_sigmoid", alpha=POSITIVE)
_isrlu = Function("isrlu", alpha=POSITIVE)
_bent_identity = Function("bent_identity")
_softplus = Function("softplus", beta=POSITIVE)
_log_sigmoid = Function("log_sigmoid")
# the kernels take an eps that is NaN for none
_logit = Function("logit", eps=Domain("None or between 0 and 1/2", low=0, high=0.5,
                                      none=float("nan")))
_log1p = Function("log1p")
_log1mexp = Function("log1mexp")


@activation("rectifiers", "x", "1", engine=_identity, aliases=("linear",), range="(-inf, inf)",
            monotonic=True, monotonic_derivative=True, identity_at_origin=True, exact="Exact")
def identity(x, /, *, bias=None, out=None, dtype=None):
    """Identity: the input, unchanged, in new memory.

    >>> cyact.identity([-1.5, 0.0, 2.0])
    array([-1.5,  0. ,  2. ])
    """
    return _identity.value(x, bias, out, dtype)


@activation("rectifiers", "1 if x >= threshold else 0", "0", engine=_step,
            aliases=("binary_step", "heaviside"), range="[0, 1]", monotonic=True,
            monotonic_derivative=False, continuity=-1, kinks=(0,), saturates="both", exact="Exact",
            reference='W. S. McCulloch and W. Pitts, "A logical calculus of the ideas immanent in '
                      'nervous activity", Bulletin of Mathematical Biophysics 5, 1943.')
def step(x, /, threshold=0.0, *, bias=None, out=None, dtype=None):
    """Binary step, the Heaviside function.

    threshold : float, default 0.0
        Where it steps; finite. Used as the float64 it is, whatever the dtype of `x`.

    >>> cyact.step([-1.5, 0.0, 2.0])
    array([0., 1., 1.])
    """
    return _step.value(x, bias, out, dtype, threshold)


@activation("rectifiers", "max(x, 0)", "1 if x > 0 else 0", engine=_relu, range="[0, inf)",
            monotonic=True, monotonic_derivative=True, continuity=0, kinks=(0,), saturates="left",
            exact="Exact",
            reference='V. Nair and G. E. Hinton, "Rectified linear units improve restricted '
                      'Boltzmann machines", ICML 2010.')
def relu(x, /, *, bias=None, out=None, dtype=None):
    """Rectified linear unit.

    ``relu(-0.0)`` is ``0.0``, ``relu(nan)`` is ``nan``, and the derivative at 0 is 0.

    >>> cyact.relu([-1.5, 0.0, 2.0])
    array([0., 0., 2.])
    """
    return _relu.value(x, bias, out, dtype)


@activation("rectifiers", "min(max(x, 0), 6)", "1 if 0 < x < 6 else 0", engine=_relu6,
            range="[0, 6]", monotonic=True, monotonic_derivative=False, continuity=0, kinks=(0, 6),
            saturates="both", exact="Exact",
            reference='A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", '
                      'unpublished manuscript, 2010.')
def relu6(x, /, *, bias=None, out=None, dtype=None):
    """Rectified linear unit that stops at 6.

    The derivative is 0 at 0 and at 6.

    >>> cyact.relu6([-1.5, 2.0, 9.0])
    array([0., 2., 6.])
    """
    return _relu6.value(x, bias, out, dtype)


@activation("rectifiers", "min(max(x, 0), n)", "1 if 0 < x < n else 0", engine=_relu_k,
            range="[0, 6]", monotonic=True, monotonic_derivative=False, continuity=0, kinks=(0, 6),
            saturates="both", exact="Correctly rounded",
            reference='A. Krizhevsky, "Convolutional deep belief networks on CIFAR-10", '
                      'unpublished manuscript, 2010.')
def relu_k(x, /, n=6.0, *, bias=None, out=None, dtype=None):
    """Rectified linear unit that stops at `n`.

    n : float, default 6.0
        Largest value; at least 0 and finite.

    The derivative is 0 at 0 and at `n`.

    >>> cyact.relu_k([-1.5, 2.0, 9.0], 1)
    array([0., 1., 1.])
    """
    return _relu_k.value(x, bias, out, dtype, n)


@activation("rectifiers", "max(x, 0)**2", "2 * max(x, 0)", engine=_squared_relu, aliases=("relu2",),
            range="[0, inf)", monotonic=True, monotonic_derivative=True, continuity=1, kinks=(0,),
            saturates="left", exact="Correctly rounded; the derivative is exact",
            reference='D. R. So et al., "Primer: Searching for efficient transformers for '
                      'language modeling", NeurIPS 2021, arXiv:2109.08668.')
def squared_relu(x, /, *, bias=None, out=None, dtype=None):
    """Squared rectified linear unit.

    >>> cyact.squared_relu([-1.5, 0.5, 3.0])
    array([0.  , 0.25, 9.  ])
    """
    return _squared_relu.value(x, bias, out, dtype)


@activation("rectifiers", "x if x >= 0 else negative_slope * x", "1 if x > 0 else negative_slope",
            engine=_leaky_relu, range="(-inf, inf)", monotonic=True, monotonic_derivative=True,
            continuity=0, kinks=(0,),
            reference='A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier nonlinearities improve '
                      'neural network acoustic models", ICML 2013.')
def leaky_relu(x, /, negative_slope=0.01, *, bias=None, out=None, dtype=None):
    """Leaky rectified linear unit.

    negative_slope : float, default 0.01
        Slope for negative input; finite. Used as the float64 it is, whatever the dtype of `x`.

    Correctly rounded in float64. The derivative at 0 is `negative_slope`.

    >>> cyact.leaky_relu([-2.0, 0.0, 2.0], 0.25)
    array([-0.5,  0. ,  2. ])
    """
    return _leaky_relu.value(x, bias, out, dtype, negative_slope)


@activation("rectifiers", "x if x > threshold else value", "1 if x > threshold else 0",
            engine=_threshold, exact="Exact")
def threshold(x, /, threshold, value, *, bias=None, out=None, dtype=None):
    """Input above a threshold, a constant elsewhere.

    threshold : float
        What `x` has to exceed; may be infinite. Used as the float64 it is, whatever the dtype
        of `x`.
    value : float
        The result where it does not; may be infinite. Rounded to the dtype of the result.

    The derivative is 0 at `threshold`. There are no defaults; ``backward.threshold`` therefore
    needs `x`.

    >>> cyact.threshold([-1.5, 0.5, 3.0], 0.5, -1.0)
    array([-1., -1.,  3.])
    """
    return _threshold.value(x, bias, out, dtype, threshold, value)


@activation("rectifiers", "x if x > theta else 0", "1 if x > theta else 0",
            engine=_thresholded_relu, range="[0, inf)", monotonic=True, monotonic_derivative=False,
            continuity=-1, kinks=(1,), saturates="left", exact="Exact",
            reference='K. Konda, R. Memisevic and D. Krueger, "Zero-bias autoencoders and the '
                      'benefits of co-adapting features", ICLR 2015, arXiv:1402.3337.')
def thresholded_relu(x, /, theta=1.0, *, bias=None, out=None, dtype=None):
    """Rectified linear unit with a threshold.

    theta : float, default 1.0
        What `x` has to exceed; finite. Used as the float64 it is, whatever the dtype of `x`.

    The derivative at `theta` is 0.

    >>> cyact.thresholded_relu([-1.5, 0.5, 3.0])
    array([0., 0., 3.])
    """
    return _thresholded_relu.value(x, bias, out, dtype, theta)


@activation("rectifiers", "x if abs(x) > lambd else 0", "1 if abs(x) > lambd else 0",
            engine=_hard_shrink, range="(-inf, inf)", monotonic=True, monotonic_derivative=False,
            continuity=-1, kinks=(-0.5, 0.5), exact="Exact",
            reference='D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet '
                      'shrinkage", Biometrika 81(3), 1994.')
def hard_shrink(x, /, lambd=0.5, *, bias=None, out=None, dtype=None):
    """Hard shrinkage.

    lambd : float, default 0.5
        Largest magnitude that becomes 0; at least 0 and finite. Used as the float64 it is,
        whatever the dtype of `x`.

    The derivative is 0 at ``-lambd`` and `lambd`.

    >>> cyact.hard_shrink([-2.0, 0.5, 1.0])
    array([-2.,  0.,  1.])
    """
    return _hard_shrink.value(x, bias, out, dtype, lambd)


@activation("rectifiers", "sign(x) * max(abs(x) - lambd, 0)", "1 if abs(x) > lambd else 0",
            engine=_soft_shrink, range="(-inf, inf)", monotonic=True, monotonic_derivative=False,
            continuity=0, kinks=(-0.5, 0.5),
            reference='D. L. Donoho, "De-noising by soft-thresholding", IEEE Transactions on '
                      'Information Theory 41(3), 1995.')
def soft_shrink(x, /, lambd=0.5, *, bias=None, out=None, dtype=None):
    """Soft shrinkage.

    lambd : float, default 0.5
        How much nearer to 0 the result is; at least 0 and finite. Used as the float64 it is,
        whatever the dtype of `x`.

    Correctly rounded in float64. The derivative is 0 at ``-lambd`` and `lambd`; a result of 0 has
    the sign of `x`.

    >>> cyact.soft_shrink([-2.0, 0.5, 1.0])
    array([-1.5,  0. ,  0.5])
    """
    return _soft_shrink.value(x, bias, out, dtype, lambd)


@activation("rectifiers", "0 if x <= -1 else (x + 1)**2 / 4 if x < 1 else x",
            "min(max((x + 1) / 2, 0), 1)", engine=_sparse_plus, range="[0, inf)", monotonic=True,
            monotonic_derivative=True, continuity=1, kinks=(-1, 1), saturates="left")
def sparse_plus(x, /, *, bias=None, out=None, dtype=None):
    """Piecewise quadratic form of softplus that reaches 0.

    The derivative is `sparse_sigmoid`.

    >>> cyact.sparse_plus([-2.0, 0.0, 2.0])
    array([0.  , 0.25, 2.  ])
    """
    return _sparse_plus.value(x, bias, out, dtype)


@activation("exponential", "exp(x)", "exp(x)", engine=_exp, aliases=("exponential",),
            range="(0, inf)", monotonic=True, monotonic_derivative=True, saturates="left")
def exp(x, /, *, bias=None, out=None, dtype=None):
    """Exponential function.

    It overflows to ``inf`` where the true value rounds beyond the largest number, and decays
    through the subnormal numbers.

    >>> cyact.exp([-745.0, 0.0, 1.0])
    array([4.94065646e-324, 1.00000000e+000, 2.71828183e+000])
    """
    return _exp.value(x, bias, out, dtype)


@activation("exponential", "exp(x) - 1", "exp(x)", engine=_expm1, range="(-1, inf)", monotonic=True,
            monotonic_derivative=True, identity_at_origin=True, saturates="left")
def expm1(x, /, *, bias=None, out=None, dtype=None):
    """Exponential function minus 1.

    Without the cancellation of the formula near 0. ``expm1(-inf)`` is -1.

    >>> cyact.expm1([-1e-20, 0.0, 1.0])
    array([-1.00000000e-20,  0.00000000e+00,  1.71828183e+00])
    """
    return _expm1.value(x, bias, out, dtype)


@activation("exponential", "x if x > 0 else alpha * (exp(x) - 1)", "1 if x > 0 else alpha * exp(x)",
            engine=_elu, range="(-1, inf)", monotonic=True, monotonic_derivative=True, continuity=1,
            kinks=(0,), identity_at_origin=True, saturates="left",
            reference='D.-A. Clevert, T. Unterthiner and S. Hochreiter, "Fast and accurate deep '
                      'network learning by exponential linear units (ELUs)", ICLR 2016, '
                      'arXiv:1511.07289.')
def elu(x, /, alpha=1.0, *, bias=None, out=None, dtype=None):
    """Exponential linear unit.

    alpha : float, default 1.0
        Minus the limit for large negative input; finite. Used as the float64 it is, whatever
        the dtype of `x`.

    Without the cancellation of ``exp(x) - 1`` near 0. ``elu(-inf)`` is ``-alpha``; the derivative
    at 0 is `alpha`.

    >>> cyact.elu([-1e-10, 0.0, 2.0])
    array([-1.e-10,  0.e+00,  2.e+00])
    """
    return _elu.value(x, bias, out, dtype, alpha)


@activation("exponential", "max(0, x) + min(0, alpha * (exp(x / alpha) - 1))",
            "1 if x > 0 else exp(x / alpha)", engine=_celu, range="(-1, inf)", monotonic=True,
            monotonic_derivative=True, continuity=1, kinks=(0,), identity_at_origin=True,
            saturates="left",
            reference='J. T. Barron, "Continuously differentiable exponential linear units", '
                      'arXiv:1704.07483.')
def celu(x, /, alpha=1.0, *, bias=None, out=None, dtype=None):
    """Continuously differentiable exponential linear unit.

    alpha : float, default 1.0
        Minus the limit for large negative input if positive; finite and not 0. Used as the
        float64 it is, whatever the dtype of `x`.

    That is ``x`` for positive `x` and the second term for negative `x`. The derivative at 0 is 1.
    The formula holds for a negative `alpha`, too: there ``f(x)`` falls exponentially for negative
    `x`, and ``celu(-inf)`` is ``-inf`` with slope ``inf``; a backward pass from the output needs a
    positive one.

    >>> cyact.celu([-1000.0, -1.0, 0.0, 2.0], 0.5)
    array([-0.5       , -0.43233236,  0.        ,  2.        ])
    """
    return _celu.value(x, bias, out, dtype, alpha)


@activation("exponential", "scale * x if x > 0 else scale * alpha * (exp(x) - 1)",
            "scale if x > 0 else scale * alpha * exp(x)", engine=_selu,
            range="(-1.7580993408473769, inf)", monotonic=True, monotonic_derivative=False,
            continuity=0, kinks=(0,), saturates="left",
            reference='G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-normalizing '
                      'neural networks", NeurIPS 2017, arXiv:1706.02515.')
def selu(x, /, *, bias=None, out=None, dtype=None):
    """Scaled exponential linear unit.

    ``scale = 1.0507009873554804934...`` and ``alpha = 1.6732632423543772848...`` are the solution
    of the paper's fixed-point equations, not rounded. ``selu(-inf)`` is ``-scale * alpha``, which
    is also the derivative at 0 but for its sign.

    >>> cyact.selu([-1.0, 0.0, 1.0])
    array([-1.11133074,  0.        ,  1.05070099])
    """
    return _selu.value(x, bias, out, dtype)


@activation("sigmoids", "1 / (1 + exp(-x))", "f(x) * (1 - f(x))", engine=_sigmoid,
            aliases=("logistic",), importable=("expit",), range="(0, 1)", monotonic=True,
            monotonic_derivative=False, saturates="both")
def sigmoid(x, /, *, bias=None, out=None, dtype=None):
    """Logistic sigmoid.

    The bound holds for every input: it does not overflow, and decays through the subnormal numbers.
    Also importable as ``expit``.

    >>> cyact.sigmoid([-800.0, -1.0, 0.0, 800.0])
    array([0.        , 0.26894142, 0.5       , 1.        ])
    """
    return _sigmoid.value(x, bias, out, dtype)


@activation("sigmoids", "lower + (upper - lower) / (1 + exp(-growth * (x - midpoint)))**(1 / nu)",
            "growth / nu * (f(x) - lower) * (1 - ((f(x) - lower) / (upper - lower))**nu)",
            engine=_generalized_logistic, range="(0, 1)", monotonic=True,
            monotonic_derivative=False, saturates="both",
            reference='F. J. Richards, "A flexible growth function for empirical use", Journal of '
                      'Experimental Botany 10(2), 1959.')
def generalized_logistic(x, /, lower=0.0, upper=1.0, growth=1.0, midpoint=0.0, nu=1.0,
                         *, bias=None, out=None, dtype=None):
    """Generalized logistic function, also called Richards' curve.

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

    All parameters are used as the float64 they are, whatever the dtype of `x`. The bound holds in
    the tails, too. Exception: where the curve crosses 0, results smaller than
    ``2**-14 * (upper - lower)`` in float64, ``2**-40 * (upper - lower)`` in float32, have an error
    of up to ``2**-65 * (upper - lower)``; not so for ``lower = -upper`` and `nu` 1, which is
    ``upper * tanh(growth * (x - midpoint) / 2)`` and has no exception.

    >>> cyact.generalized_logistic([-2.0, 0.0, 2.0], lower=1, upper=5, growth=2, nu=0.5)
    array([1.00129401, 2.        , 4.85740434])
    """
    return _generalized_logistic.value(x, bias, out, dtype, lower, upper, growth, midpoint, nu)


@activation("sigmoids", "min(max(alpha * x + beta, 0), 1)",
            "alpha if 0 < alpha * x + beta < 1 else 0", engine=_hard_sigmoid, range="[0, 1]",
            monotonic=True, monotonic_derivative=False, continuity=0, kinks=(-3, 3),
            saturates="both",
            reference='M. Courbariaux, Y. Bengio and J.-P. David, "BinaryConnect: Training deep '
                      'neural networks with binary weights during propagations", NeurIPS 2015, '
                      'arXiv:1511.00363.')
def hard_sigmoid(x, /, alpha=1 / 6, beta=0.5, *, bias=None, out=None, dtype=None):
    """Piecewise linear sigmoid.

    alpha : float, default 1 / 6
        Slope; finite. Used as the float64 it is, whatever the dtype of `x`.
    beta : float, default 0.5
        Value at 0; finite. Exact as well.

    The bound holds also where ``alpha * x`` and `beta` cancel: with the default, the float64
    nearest to 1/6, ``f(-3)`` is 2.8e-17, not 0. The derivative is 0 at both clip points,
    ``-beta / alpha`` and ``(1 - beta) / alpha`` rounded to float64. Keras 2 had ``alpha=0.2``.

    >>> cyact.hard_sigmoid([-4.0, 0.0, 1.5, 4.0])
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    return _hard_sigmoid.value(x, bias, out, dtype, alpha, beta)


@activation("sigmoids", "min(max((x + 1) / 2, 0), 1)", "1/2 if -1 < x < 1 else 0",
            engine=_sparse_sigmoid, range="[0, 1]", monotonic=True, monotonic_derivative=False,
            continuity=0, kinks=(-1, 1), saturates="both", exact="Correctly rounded")
def sparse_sigmoid(x, /, *, bias=None, out=None, dtype=None):
    """Piecewise linear sigmoid that reaches 0 and 1.

    It is the derivative of `sparse_plus`; its own derivative is 0 at -1 and 1.

    >>> cyact.sparse_sigmoid([-2.0, 0.0, 0.5])
    array([0.  , 0.5 , 0.75])
    """
    return _sparse_sigmoid.value(x, bias, out, dtype)


@activation("sigmoids", "tanh(x)", "1 - tanh(x)**2", engine=_tanh, range="(-1, 1)", monotonic=True,
            monotonic_derivative=False, identity_at_origin=True, saturates="both")
def tanh(x, /, *, bias=None, out=None, dtype=None):
    """Hyperbolic tangent.

    ``f(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))``.

    >>> cyact.tanh([-1.0, 0.0, 1e-20])
    array([-7.61594156e-01,  0.00000000e+00,  1.00000000e-20])
    """
    return _tanh.value(x, bias, out, dtype)


@activation("sigmoids", "min(max(x, min_val), max_val)", "1 if min_val < x < max_val else 0",
            engine=_hard_tanh, range="[-1, 1]", monotonic=True, monotonic_derivative=False,
            continuity=0, kinks=(-1, 1), identity_at_origin=True, saturates="both",
            exact="Correctly rounded",
            reference='R. Collobert, "Large scale machine learning", PhD thesis, Université Paris '
                      'VI, 2004.')
def hard_tanh(x, /, min_val=-1.0, max_val=1.0, *, bias=None, out=None, dtype=None):
    """Input clipped to an interval.

    min_val : float, default -1.0
        Smallest value; may be infinite.
    max_val : float, default 1.0
        Largest value, at least `min_val`; may be infinite.

    The derivative is 0 at `min_val` and at `max_val`.

    >>> cyact.hard_tanh([-4.0, 0.5, 4.0])
    array([-1. ,  0.5,  1. ])
    """
    return _hard_tanh.value(x, bias, out, dtype, min_val, max_val)


@activation("sigmoids", "x - tanh(x)", "tanh(x)**2", engine=_tanh_shrink, range="(-inf, inf)",
            monotonic=True, monotonic_derivative=False)
def tanh_shrink(x, /, *, bias=None, out=None, dtype=None):
    """Tanh shrinkage.

    Without the cancellation near 0, where it is about ``x**3 / 3``. An odd function, also at 0:
    ``tanh_shrink(-0.0)`` is ``-0.0``.

    >>> cyact.tanh_shrink([-1.0, 0.0, 1e-5])
    array([-2.38405844e-01,  0.00000000e+00,  3.33333333e-16])
    """
    return _tanh_shrink.value(x, bias, out, dtype)


@activation("sigmoids", "atan(x)", "1 / (1 + x**2)", engine=_arctan, aliases=("atan",),
            range="(-1.5707963267948966, 1.5707963267948966)", monotonic=True,
            monotonic_derivative=False, identity_at_origin=True, saturates="both")
def arctan(x, /, *, bias=None, out=None, dtype=None):
    """Inverse tangent.

    ``arctan(inf)`` is pi/2.

    >>> cyact.arctan([-1.0, 0.0, float("inf")])
    array([-0.78539816,  0.        ,  1.57079633])
    """
    return _arctan.value(x, bias, out, dtype)


@activation("sigmoids", "2 * atan(tanh(x / 2))", "1 / cosh(x)", engine=_gudermannian,
            range="(-1.5707963267948966, 1.5707963267948966)", monotonic=True,
            monotonic_derivative=False, identity_at_origin=True, saturates="both",
            reference="NIST Digital Library of Mathematical Functions, section 4.23(viii), "
                      "https://dlmf.nist.gov/4.23#viii.")
def gudermannian(x, /, *, bias=None, out=None, dtype=None):
    """Gudermannian function, a sigmoid from -pi/2 to pi/2.

    Also ``f(x) = atan(sinh(x))``.

    >>> cyact.gudermannian([-1.0, 0.0, float("inf")])
    array([-0.86576948,  0.        ,  1.57079633])
    """
    return _gudermannian.value(x, bias, out, dtype)


@activation("self_gated", "x * sigmoid(beta * x)",
            "sigmoid(beta * x) * (1 + beta * x * sigmoid(-beta * x))", engine=_silu,
            importable=("swish",), range="[-0.27846454276107379, inf)", monotonic=False,
            monotonic_derivative=False, saturates="left",
            reference='S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-weighted linear units for '
                      'neural network function approximation in reinforcement learning", Neural '
                      'Networks 107, 2018. P. Ramachandran, B. Zoph and Q. V. Le, "Searching for '
                      'activation functions", arXiv:1710.05941.')
def silu(x, /, beta=1.0, *, bias=None, out=None, dtype=None):
    """Sigmoid linear unit, also called swish.

    beta : float, default 1.0
        Sharpness; finite. Used as the float64 it is, whatever the dtype of `x`.

    ``silu(-inf)`` is the limit, ``-0.0``. Also importable as ``swish``.

    >>> cyact.silu([-1.0, 0.0, 1.0])
    array([-0.26894142,  0.        ,  0.73105858])
    """
    return _silu.value(x, bias, out, dtype, beta)


@activation("self_gated", "x * tanh(softplus(x))",
            "tanh(softplus(x)) + x * (1 - tanh(softplus(x))**2) * sigmoid(x)", engine=_mish,
            range="[-0.30884341301725041, inf)", monotonic=False, monotonic_derivative=False,
            saturates="left",
            reference='D. Misra, "Mish: A self regularized non-monotonic activation function", '
                      'BMVC 2020, arXiv:1908.08681.')
def mish(x, /, *, bias=None, out=None, dtype=None):
    """Mish, a smooth, self-gated unit.

    ``mish(-inf)`` is the limit, ``-0.0``.

    >>> cyact.mish([-1.0, 0.0, 1.0])
    array([-0.30340146,  0.        ,  0.86509839])
    """
    return _mish.value(x, bias, out, dtype)


@activation("self_gated", "x * Phi(x)", "Phi(x) + x * exp(-x**2 / 2) / sqrt(2 * pi)", engine=_gelu,
            aliases=("quick_gelu",), range="[-0.16997120747990369, inf)", monotonic=False,
            monotonic_derivative=False, saturates="left",
            reference='D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", '
                      'arXiv:1606.08415.')
def gelu(x, /, approximate="none", *, bias=None, out=None, dtype=None):
    """Gaussian error linear unit.

    approximate : {"none", "tanh", "sigmoid"}, default "none"
        The exact function, its tanh form, or its sigmoid form (known as "quick gelu").

    ``"none"``: ``f(x) = x * Phi(x)``, Phi the normal distribution function, `ndtr`.
    ``"tanh"``: ``f(x) = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3)))``.
    ``"sigmoid"``: ``f(x) = x * sigmoid(1.702 * x)``.

    The bound holds for each form against its own formula, also in the negative tail.
    ``gelu(-inf)`` is the limit, ``-0.0``.

    >>> cyact.gelu([-10.0, -1.0, 1.0])
    array([-7.61985302e-23, -1.58655254e-01,  8.41344746e-01])
    """
    return _gelu.value(x, bias, out, dtype, approximate)


@activation("self_gated", "x * min(max(x + 3, 0), 6) / 6",
            "0 if x <= -3 else 1 if x >= 3 else (2 * x + 3) / 6", engine=_hard_swish,
            aliases=("hard_silu",), range="[-0.375, inf)", monotonic=False,
            monotonic_derivative=False, continuity=0, kinks=(-3, 3), saturates="left",
            reference='A. Howard et al., "Searching for MobileNetV3", ICCV 2019, '
                      'arXiv:1905.02244.')
def hard_swish(x, /, *, bias=None, out=None, dtype=None):
    """Piecewise quadratic form of silu.

    ``hard_swish(-inf)`` is the limit, ``-0.0``; the derivative is 0 at -3 and 1 at 3.

    >>> cyact.hard_swish([-4.0, -1.5, 0.0, 4.0])
    array([-0.   , -0.375,  0.   ,  4.   ])
    """
    return _hard_swish.value(x, bias, out, dtype)


@activation("self_gated", "x/2 * (1 + x / sqrt(1 + x**2))",
            "(1 + x / sqrt(1 + x**2) + x / (1 + x**2)**1.5) / 2", engine=_dish,
            range="[-0.1501415530003888, inf)", monotonic=False, monotonic_derivative=False,
            saturates="left")
def dish(x, /, *, bias=None, out=None, dtype=None):
    """Dish, an algebraic form of silu.

    Without cancellation or overflow. ``dish(-inf)`` is the limit, ``-0.0``.

    >>> cyact.dish([-0.75, 0.0, 0.75])
    array([-0.15,  0.  ,  0.6 ])
    """
    return _dish.value(x, bias, out, dtype)


@activation("normal", "erf(x)", "2 / sqrt(pi) * exp(-x**2)", engine=_erf, range="(-1, 1)",
            monotonic=True, monotonic_derivative=False, saturates="both")
def erf(x, /, *, bias=None, out=None, dtype=None):
    """Error function.

    ``f(x) = 2/sqrt(pi) * (integral of exp(-t**2) from 0 to x)``.

    >>> cyact.erf([-1.0, 0.0, 0.5])
    array([-0.84270079,  0.        ,  0.52049988])
    """
    return _erf.value(x, bias, out, dtype)


@activation("normal", "1 - erf(x)", "-2 / sqrt(pi) * exp(-x**2)", engine=_erfc, range="(0, 2)",
            monotonic=True, monotonic_derivative=False, saturates="both",
            reference='M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation of (1 + 2x) '
                      'exp(x^2) erfc x in 0 <= x < inf", Mathematics of Computation 36, 1981.')
def erfc(x, /, *, bias=None, out=None, dtype=None):
    """Complementary error function.

    Without the cancellation where `erf` is near 1. The bound holds also in the tail, which decays
    through the subnormal numbers.

    >>> cyact.erfc([-1.0, 0.0, 10.0])
    array([1.84270079e+00, 1.00000000e+00, 2.08848758e-45])
    """
    return _erfc.value(x, bias, out, dtype)


@activation("normal", "erfc(-x / sqrt(2)) / 2", "exp(-x**2 / 2) / sqrt(2 * pi)", engine=_ndtr,
            range="(0, 1)", monotonic=True, monotonic_derivative=False, saturates="both")
def ndtr(x, /, *, bias=None, out=None, dtype=None):
    """Distribution function of the standard normal distribution.

    The Phi of `gelu`. The bound holds also in the tail, which decays through the subnormal numbers.
    The derivative is the density.

    >>> cyact.ndtr([-10.0, -1.0, 0.0, 1.0])
    array([7.61985302e-24, 1.58655254e-01, 5.00000000e-01, 8.41344746e-01])
    """
    return _ndtr.value(x, bias, out, dtype)


@activation("normal", "log(ndtr(x))", "exp(-x**2 / 2) / sqrt(2 * pi) / ndtr(x)", engine=_log_ndtr,
            range="(-inf, 0)", monotonic=True, monotonic_derivative=True, saturates="right")
def log_ndtr(x, /, *, bias=None, out=None, dtype=None):
    """Logarithm of the standard normal distribution function.

    Right also where `ndtr` underflows or rounds to 1: it goes as
    ``-x**2 / 2 - log(-x) - log(2 * pi) / 2`` for large negative `x` and as ``-ndtr(-x)`` for large
    positive.

    The derivative is the inverse Mills ratio: near ``-x`` for large negative `x`, infinite at
    ``-inf``.

    >>> cyact.log_ndtr([-1e6, -1.0, 0.0, 10.0])
    array([-5.00000000e+11, -1.84102165e+00, -6.93147181e-01, -7.61985302e-24])
    """
    return _log_ndtr.value(x, bias, out, dtype)


@activation("normal", "exp(-x**2)", "-2 * x * exp(-x**2)", engine=_gaussian, range="(0, 1]",
            monotonic=False, monotonic_derivative=False, saturates="both")
def gaussian(x, /, *, bias=None, out=None, dtype=None):
    """Gaussian bell, unnormalised.

    The square is not rounded before it is exponentiated.

    >>> cyact.gaussian([-1.0, 0.0, 5.0])
    array([3.67879441e-01, 1.00000000e+00, 1.38879439e-11])
    """
    return _gaussian.value(x, bias, out, dtype)


@activation("algebraic", "x / (1 + abs(x))", "1 / (1 + abs(x))**2", engine=_softsign,
            range="(-1, 1)", monotonic=True, monotonic_derivative=False, continuity=1, kinks=(0,),
            identity_at_origin=True, saturates="both",
            reference='J. Bergstra et al., "Quadratic polynomials learn better image features", '
                      'Technical report 1337, Université de Montréal, 2009.')
def softsign(x, /, *, bias=None, out=None, dtype=None):
    """Softsign.

    ``softsign(inf)`` is 1.

    >>> cyact.softsign([-1.0, 0.0, 3.0])
    array([-0.5 ,  0.  ,  0.75])
    """
    return _softsign.value(x, bias, out, dtype)


@activation("algebraic", "(x + sqrt(x**2 + b)) / 2", "(1 + x / sqrt(x**2 + b)) / 2",
            engine=_squareplus, range="(0, inf)", monotonic=True, monotonic_derivative=True,
            saturates="left",
            reference='J. T. Barron, "Squareplus: A softplus-like algebraic rectifier", '
                      'arXiv:2112.11687.')
def squareplus(x, /, b=4.0, *, bias=None, out=None, dtype=None):
    """Squareplus, an algebraic form of softplus.

    b : float, default 4.0
        Roundness, at least 0 and finite. Used as the float64 it is, whatever the dtype of `x`.

    Without cancellation for negative `x` and without overflow. ``squareplus(-inf)`` is 0. With
    ``b=0`` this is relu, but the derivative at 0 is 1/2, as it is for every other `b`.

    >>> cyact.squareplus([-1e10, 0.0, 1.5])
    array([1.e-10, 1.e+00, 2.e+00])
    """
    return _squareplus.value(x, bias, out, dtype, b)


@activation("algebraic", "x / sqrt(1 + alpha * x**2)", "(1 + alpha * x**2)**-1.5",
            engine=_algebraic_sigmoid, aliases=("isru",), range="(-1, 1)", monotonic=True,
            monotonic_derivative=False, identity_at_origin=True, saturates="both",
            reference='B. Carlile et al., "Improving deep learning by inverse square root linear '
                      'units (ISRLUs)", arXiv:1710.09967.')
def algebraic_sigmoid(x, /, alpha=1.0, *, bias=None, out=None, dtype=None):
    """Algebraic sigmoid, the inverse square root unit (ISRU).

    alpha : float, default 1.0
        The limits are ``-1 / sqrt(alpha)`` and ``1 / sqrt(alpha)``; positive and finite. Used as
        the float64 it is, whatever the dtype of `x`.

    Without overflow.

    >>> cyact.algebraic_sigmoid([-1e200, 0.0, 0.75])
    array([-1. ,  0. ,  0.6])
    """
    return _algebraic_sigmoid.value(x, bias, out, dtype, alpha)


@activation("algebraic", "x if x >= 0 else x / sqrt(1 + alpha * x**2)",
            "1 if x >= 0 else (1 + alpha * x**2)**-1.5", engine=_isrlu, range="(-1, inf)",
            monotonic=True, monotonic_derivative=True, continuity=2, kinks=(0,),
            identity_at_origin=True, saturates="left",
            reference='B. Carlile et al., "Improving deep learning by inverse square root linear '
                      'units (ISRLUs)", arXiv:1710.09967.')
def isrlu(x, /, alpha=1.0, *, bias=None, out=None, dtype=None):
    """Inverse square root linear unit.

    alpha : float, default 1.0
        Minus the limit for large negative input is ``1 / sqrt(alpha)``; positive and finite.
        Used as the float64 it is, whatever the dtype of `x`.

    Without overflow.

    >>> cyact.isrlu([-1e200, -0.75, 2.0])
    array([-1. , -0.6,  2. ])
    """
    return _isrlu.value(x, bias, out, dtype, alpha)


@activation("algebraic", "(sqrt(x**2 + 1) - 1) / 2 + x", "x / (2 * sqrt(x**2 + 1)) + 1",
            engine=_bent_identity, range="(-inf, inf)", monotonic=True, monotonic_derivative=True,
            identity_at_origin=True)
def bent_identity(x, /, *, bias=None, out=None, dtype=None):
    """Bent identity.

    Without cancellation or overflow.

    >>> cyact.bent_identity([-0.75, 0.0, 0.75])
    array([-0.625,  0.   ,  0.875])
    """
    return _bent_identity.value(x, bias, out, dtype)


@activation("logarithms", "log(1 + exp(beta * x)) / beta", "1 / (1 + exp(-beta * x))",
            engine=_softplus, aliases=("smooth_relu",), range="(0, inf)", monotonic=True,
            monotonic_derivative=True, saturates="left",
            reference='C. Dugas et al., "Incorporating second-order functional knowledge for '
                      'better option pricing", NeurIPS 2000.')
def softplus(x, /, beta=1.0, *, bias=None, out=None, dtype=None):
    """Softplus, a smooth rectifier.

    beta : float, default 1.0
        Sharpness; positive and finite. Used as the float64 it is, whatever the dtype of `x`.

    There is no threshold above which it turns into `x`.

    >>> cyact.softplus([-40.0, 0.0, 1000.0])
    array([4.24835426e-18, 6.93147181e-01, 1.00000000e+03])
    """
    return _softplus.value(x, bias, out, dtype, beta)


@activation("logarithms", "-log(1 + exp(-x))", "1 / (1 + exp(x))", engine=_log_sigmoid,
            range="(-inf, 0)", monotonic=True, monotonic_derivative=True, saturates="right")
def log_sigmoid(x, /, *, bias=None, out=None, dtype=None):
    """Logarithm of the logistic sigmoid.

    That is ``-softplus(-x)``. The bound holds for every input: it neither overflows nor stops at 0
    for large `x`, where it is ``-exp(-x)``. ``log_sigmoid(inf)`` is ``-0.0``.

    >>> cyact.log_sigmoid([-1000.0, 0.0, 40.0])
    array([-1.00000000e+03, -6.93147181e-01, -4.24835426e-18])
    """
    return _log_sigmoid.value(x, bias, out, dtype)


@activation("logarithms", "log(x / (1 - x))", "1 / (x * (1 - x))", engine=_logit,
            range="[-inf, inf]", monotonic=True, monotonic_derivative=False,
            reference='J. Berkson, "Application of the logistic function to bio-assay", Journal '
                      'of the American Statistical Association 39(227), 1944.')
def logit(x, /, eps=None, *, bias=None, out=None, dtype=None):
    """Logit, the log-odds of a probability; the inverse of `sigmoid`.

    eps : float, optional
        Clip `x` to ``[eps, 1 - eps]`` first; at least 0 and at most 1/2. Used as the float64 it
        is, and ``1 - eps`` unrounded, whatever the dtype of `x`. Without it nothing is clipped.

    Without cancellation near 1/2, where it crosses 0. ``logit(0)`` is ``-inf``, ``logit(1)`` is
    ``inf``, and outside [0, 1] both `f` and its derivative are NaN unless `eps` is given. Where
    `eps` clips, the derivative is 0; at `eps` and ``1 - eps`` themselves it is not.

    >>> cyact.logit([0.0, 0.25, 0.5, 1.0])
    array([       -inf, -1.09861229,  0.        ,         inf])
    >>> cyact.logit([0.0, 0.25, 0.5, 1.0], eps=1e-20)
    array([-46.05170186,  -1.09861229,   0.        ,  46.05170186])
    """
    return _logit.value(x, bias, out, dtype, eps)


@activation("logarithms", "log(1 + x)", "1 / (1 + x)", engine=_log1p, range="[-inf, inf)",
            monotonic=True, monotonic_derivative=True, identity_at_origin=True)
def log1p(x, /, *, bias=None, out=None, dtype=None):
    """Logarithm of 1 + x, accurate also for small x.

    ``log1p(-1)`` is ``-inf``; below -1 both `f` and its derivative are NaN.

    >>> cyact.log1p([-1.0, 1e-20, 1.0])
    array([          -inf, 1.00000000e-20, 6.93147181e-01])
    """
    return _log1p.value(x, bias, out, dtype)


@activation("logarithms", "log(1 - exp(-x))", "1 / (exp(x) - 1)", engine=_log1mexp,
            range="[-inf, 0)", monotonic=True, monotonic_derivative=True, saturates="right",
            reference='M. Mächler, "Accurately computing log(1 - exp(-|a|)), assessed by the '
                      'Rmpfr package", 2012, vignette of the R package Rmpfr.')
def log1mexp(x, /, *, bias=None, out=None, dtype=None):
    """Logarithm of 1 - exp(-x), accurate for small and for large x.

    About ``log(x)`` near 0, and ``-exp(-x)`` for large `x`, down to the subnormal numbers.
    ``log1mexp(0)`` is ``-inf``, ``log1mexp(inf)`` is ``-0.0``; below 0 both `f` and its derivative
    are NaN.

    >>> cyact.log1mexp([0.0, 1e-20, 1.0, 50.0])
    array([           -inf, -4.60517019e+01, -4.58675145e-01, -1.92874985e-22])
    """
    return _log1mexp.value(x, bias, out, dtype)


expit = sigmoid
swish = silu
