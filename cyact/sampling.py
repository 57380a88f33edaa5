"""Random functions along an axis. Noise is drawn first, in C order: threads do not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cyact._containers import interop as _interop
from cyact._docs import documented
from cyact._engine.arrays import as_array, bias_array, check_out, dtype_within, result_dtype
from cyact._engine.domains import POSITIVE
from cyact._engine.rows import RowFunction, mask_array, normalize_axis
from cyact.rectifiers import _generator
from cyact.sparse import hardmax

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

_gumbel_softmax = RowFunction("gumbel_softmax", kernel="softmax", tau=POSITIVE)


@documented
def gumbel_softmax(
    x: ArrayLike, /, tau: float = 1.0, hard: bool = False, rng: Any = None,
    axis: int | str = -1, *, where: ArrayLike | None = None, bias: ArrayLike | None = None,
    out: np.ndarray | None = None, dtype: DTypeLike | None = None, return_soft: bool = False
) -> Any:
    """Softmax with Gumbel noise: samples of categories that a gradient can pass.

    Parameters
    ----------
    {row_x}
        Unnormalised log-probabilities.
    tau : float, default 1.0
        Temperature; positive and finite. The smaller, the nearer to one-hot.
    hard : bool, default False
        Give one-hot vectors; each category comes as often as ``softmax(x)`` says.
    rng : numpy.random.Generator or seed, optional
        What to draw from.
    {row_single_axis}
    return_soft : bool, default False
        Whether to return ``(y, soft)``: the soft sample is what
        ``cyact.backward.gumbel_softmax(grad, output=soft)`` needs; y is the same if not `hard`.
    {row_mask}

    {row_raises}

    Notes
    -----
    ``f(x) = softmax((x + g) / tau)`` where g is ``rng.gumbel(size=x.shape)``, rounded to the
    dtype that `x` is computed in, as is the sum; with `bias` it is ``x + (g + bias)``. `hard`
    gives the `hardmax` of that.

    References
    ----------
    E. Jang, S. Gu and B. Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017,
    arXiv:1611.01144; C. J. Maddison, A. Mnih and Y. W. Teh, "The concrete distribution: a
    continuous relaxation of discrete random variables", ICLR 2017, arXiv:1611.00712.

    Examples
    --------
    >>> import cyact, numpy as np
    >>> rng = np.random.default_rng(0)
    >>> cyact.gumbel_softmax(np.log([[0.1, 0.9]] * 10_000), hard=True, rng=rng).mean(0).round(1)
    array([0.1, 0.9])
    """
    name = "gumbel_softmax"
    tau = POSITIVE.checked(name, "tau", tau)
    if not hasattr(x, "__array_ufunc__"):
        x = as_array(name, x)
    computed = result_dtype(name, np.dtype(dtype)) if dtype else dtype_within(name, x)
    if out is not None:
        check_out(name, out, x.shape, computed)
    if not isinstance(axis, str):
        normalize_axis(name, x, axis)
    mask_array(name, where, x.shape)
    noise = 0 if bias is None else bias_array(name, bias, x.shape, computed)
    drawn = _generator(name, rng).gumbel(size=x.shape)
    noise = np.add(drawn, noise, dtype=np.float64 if computed == np.float64 else np.float32,
                   casting="same_kind")
    soft = _interop.along_axis(_gumbel_softmax, x, axis, None if hard else out, dtype, where,
                               None, tau, added=noise)
    y = hardmax(soft, axis, where=where, out=out) if hard else soft
    return (y, soft) if return_soft else y
