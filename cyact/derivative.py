"""The derivative of every elementwise function, under the function's name.

``cyact.derivative.gelu(x)`` is gelu'(x), with the same parameters and keywords as
``cyact.gelu``.
"""

from cyact import _fill


def __getattr__(name):
    return _fill.lookup(globals(), _fill.DERIVATIVE, name)


def __dir__():
    return sorted(_fill.names())
