"""The engine's side of the functions along an axis.

They have a module of their own because others find them by name: blocks of Dask arrays that
are computed in another process bring the name along.
"""

import numpy as np

from cyact._engine.domains import POSITIVE, Domain
from cyact._engine.rows import RowFunction

softmax = RowFunction("softmax", several=True, temperature=POSITIVE)
log_softmax = RowFunction("log_softmax", several=True, blank=-np.inf, temperature=POSITIVE)
softmin = RowFunction("softmin", kernel="softmax", negative=True, several=True)
logsumexp = RowFunction("logsumexp", reduces=True, several=True)
logmeanexp = RowFunction("logmeanexp", reduces=True, several=True, empty=np.nan)
hardmax = RowFunction("hardmax")
sparsemax = RowFunction("sparsemax")
entmax15 = RowFunction("entmax15")
maxout = RowFunction("maxout", reduces=True)
gumbel_softmax = RowFunction("gumbel_softmax", kernel="softmax", tau=POSITIVE)


class _Entmax:
    """entmax by its alpha: kernels of their own where there are any."""

    name = "entmax"
    reduces = False
    parameters = ("alpha",)
    domains = (Domain("at least 1 and finite", low=1),)

    _softmax = RowFunction("entmax", kernel="softmax", temperature=POSITIVE)
    _entmax15 = RowFunction("entmax", kernel="entmax15")
    _sparsemax = RowFunction("entmax", kernel="sparsemax")
    _other = RowFunction("entmax", alpha=domains[0])

    def _kernels(self, function, alpha):
        """The row function for this alpha, and its parameters."""
        alpha = self.domains[0].checked(function, "alpha", alpha)
        if alpha == 1:
            return self._softmax, (1.0,)
        if alpha == 1.5:
            return self._entmax15, ()
        if alpha == 2:
            return self._sparsemax, ()
        return self._other, (alpha,)

    def value(self, x, axis, out, dtype, where, bias, alpha, **options):
        function, params = self._kernels("entmax", alpha)
        return function.value(x, axis, out, dtype, where, bias, *params, **options)

    def backward(self, grad, x, output, axis, out, where, bias, alpha):
        function, params = self._kernels("backward.entmax", alpha)
        return function.backward(grad, x, output, axis, out, where, bias, *params)

    def gradient(self, grad, x, output, axis, out, where, bias, alpha):
        function, params = self._kernels("backward.entmax", alpha)
        return function.gradient(grad, x, output, axis, out, where, bias, *params)


entmax = _Entmax()

BY_NAME = {function.name: function for function in (
    softmax, log_softmax, softmin, logsumexp, logmeanexp, hardmax, sparsemax, entmax15, entmax,
    maxout, gumbel_softmax)}
