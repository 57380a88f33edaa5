"""Elementwise activation functions: one definition each, and one call into the engine.

The formulas are in ``_kernels.pyx``; derivatives and backward passes are in
`cyact.derivative` and `cyact.backward` under the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cyact._documented import documented
from cyact._engine import FINITE, POSITIVE, Choice, Function

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike

_identity = Function("identity")
_relu = Function("relu")
_leaky_relu = Function("leaky_relu", negative_slope=FINITE, output_domains=(POSITIVE,))
_elu = Function("elu", alpha=FINITE, output_domains=(POSITIVE,))
_sigmoid = Function("sigmoid")
_tanh = Function("tanh")
_softplus = Function("softplus", beta=POSITIVE)
_softsign = Function("softsign")
_silu = Function("silu", beta=FINITE)
_gelu = Choice("gelu", "approximate",
               none=Function("gelu"), tanh=Function("gelu", kernel="gelu_tanh"))


@documented
def identity(
    x: ArrayLike, /, *, out: np.ndarray | None = None, dtype: DTypeLike | None = None
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
    return _identity.value(x, out, dtype)


@documented
def relu(x: ArrayLike, /, *, out: np.ndarray | None = None, dtype: DTypeLike | None = None) -> Any:
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
    return _relu.value(x, out, dtype)


@documented
def leaky_relu(
    x: ArrayLike, /, negative_slope: float = 0.01, *, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
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
    ``f(x) = x if x >= 0 else negative_slope * x``. Error at most 1 ULP in float32, 0.5 in
    float64. The derivative at 0 is `negative_slope`.

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
    return _leaky_relu.value(x, out, dtype, negative_slope)


@documented
def elu(
    x: ArrayLike, /, alpha: float = 1.0, *, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
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
    return _elu.value(x, out, dtype, alpha)


@documented
def sigmoid(
    x: ArrayLike, /, *, out: np.ndarray | None = None, dtype: DTypeLike | None = None
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
    return _sigmoid.value(x, out, dtype)


@documented
def tanh(x: ArrayLike, /, *, out: np.ndarray | None = None, dtype: DTypeLike | None = None) -> Any:
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
    return _tanh.value(x, out, dtype)


@documented
def softplus(
    x: ArrayLike, /, beta: float = 1.0, *, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
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
    return _softplus.value(x, out, dtype, beta)


@documented
def softsign(
    x: ArrayLike, /, *, out: np.ndarray | None = None, dtype: DTypeLike | None = None
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
    return _softsign.value(x, out, dtype)


@documented
def silu(
    x: ArrayLike, /, beta: float = 1.0, *, out: np.ndarray | None = None,
    dtype: DTypeLike | None = None
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
    return _silu.value(x, out, dtype, beta)


@documented
def gelu(
    x: ArrayLike, /, approximate: Literal["none", "tanh"] = "none", *,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None
) -> Any:
    """Gaussian error linear unit.

    Parameters
    ----------
    {x}
    approximate : {"none", "tanh"}, default "none"
        The exact function, or its tanh form.
    {keywords}

    {returns}

    {raises}

    Notes
    -----
    ``"none"``: ``f(x) = x * Phi(x)``, Phi the normal distribution function.
    ``"tanh"``: ``f(x) = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3)))``.
    Error of either form, against that formula, at most 1 ULP in float32 and 2 ULP in float64,
    also in the negative tail. ``gelu(-inf)`` is the limit, ``-0.0``.

    References
    ----------
    D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415.

    Examples
    --------
    >>> import cyact
    >>> cyact.gelu([-10.0, -1.0, 1.0])
    array([-7.61985302e-23, -1.58655254e-01,  8.41344746e-01])
    """
    return _gelu.value(x, out, dtype, approximate)


expit = sigmoid
swish = silu
