"""Sparse relatives of softmax along an axis.

The formulas are in ``_level/rows/``; backward passes are in `cyact.backward`.
"""

from functools import partial

from cyact import _docs
from cyact._catalog import activation
from cyact._containers import interop as _interop
from cyact._row_functions import entmax as _entmax
from cyact._row_functions import entmax15 as _entmax15
from cyact._row_functions import sparsemax as _sparsemax

_sparse = partial(activation, "sparse", skeleton=_docs.ROWS_OF_ONE_AXIS)
_PETERS = ('B. Peters, V. Niculae and A. F. T. Martins, "Sparse sequence-to-sequence models", '
           'ACL 2019, arXiv:1905.05702.')


@_sparse("max(x - tau, 0), tau such that the row sums to 1", engine=_sparsemax,
         reference='A. F. T. Martins and R. F. Astudillo, "From softmax to sparsemax: a sparse '
                   'model of attention and multi-label classification", ICML 2016, '
                   'arXiv:1602.02068.')
def sparsemax(x, /, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Sparsemax: the probabilities nearest to x, many of them exactly 0.

    The Euclidean projection onto the simplex. tau is carried in two doubles. Error at most 0.51
    ULP in float32 and in float64, results below 2**-45 included (those to 2**-98), for rows of up
    to 2**20 entries. The same bits whatever the batch, layout, axis and number of threads. A row
    that holds NaN or +inf, or nothing but -inf, gives NaN.

    >>> cyact.sparsemax([1.0, 0.5, -1.0])
    array([0.75, 0.25, 0.  ])
    """
    return _interop.along_axis(_sparsemax, x, axis, out, dtype, where, bias)


@_sparse("max(x/2 - tau, 0)**2, tau such that the row sums to 1", engine=_entmax15,
         aliases=("1.5-entmax",), reference=_PETERS)
def entmax15(x, /, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """1.5-entmax: between softmax and sparsemax, smooth and sparse.

    tau is carried in two doubles. Error at most 0.51 ULP in float32 and in float64, for rows of up
    to 2**20 entries. The same bits whatever the batch, layout, axis and number of threads. A row
    that holds NaN or +inf, or nothing but -inf, gives NaN.

    >>> cyact.entmax15([1.0, 0.0, -1.0]).round(4)
    array([0.8307, 0.1693, 0.    ])
    """
    return _interop.along_axis(_entmax15, x, axis, out, dtype, where, bias)


@_sparse("max((alpha - 1) * x - tau, 0)**(1 / (alpha - 1)), tau such that the row sums to 1",
         engine=_entmax, reference=_PETERS)
def entmax(x, /, alpha=1.5, axis=-1, *, where=None, bias=None, out=None, dtype=None):
    """Entmax: softmax for alpha = 1, sparsemax for alpha = 2, and what lies between and beyond.

    alpha : float, default 1.5
        The larger, the fewer entries are not 0; finite and at least 1.

    For an alpha of 1, 1.5 and 2 it is `softmax`, `entmax15` and `sparsemax`, to the bit. For others
    tau is found in double. In float64 the error is at most 4 ulps of 1, ``2**-50`` (measured: 3.3,
    and 1.4 but for alpha next to 2), in float32 half an ulp of the result and ``2**-38``; what is
    outside the support is exactly 0. The same bits whatever the batch, layout, axis and number of
    threads. A row that holds NaN or +inf, or nothing but -inf, gives NaN.

    >>> cyact.entmax([1.0, 0.0, -1.0], 1.25).round(4)
    array([0.7507, 0.2148, 0.0345])
    """
    return _interop.along_axis(_entmax, x, axis, out, dtype, where, bias, alpha)
