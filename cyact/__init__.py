"""Neural-network activation functions for NumPy arrays, compiled with Cython and OpenMP.

>>> import cyact
>>> cyact.gelu([-1.0, 0.0, 1.0])
array([-0.15865525,  0.        ,  0.84134475])

Values are `cyact.NAME(x)`, derivatives `cyact.derivative.NAME(x)`, backward passes
`cyact.backward.NAME(grad, x)`; `cyact.catalog` lists the functions.
"""

from importlib import import_module

from cyact._catalog import catalog
from cyact._chosen_level import LEVEL as _LEVEL  # noqa: F401  before any function is defined
from cyact._config import show_config
from cyact._engine.threads import get_num_threads, num_threads, set_num_threads
from cyact._version import __version__  # noqa: F401

# Functions enter the catalogue when their module is imported, in the order of the documentation.
for _name in ("elementwise", "prelu", "gated", "rows", "sparse", "maxima", "sampling", "losses",
              "derivative", "backward"):
    import_module("cyact." + _name)

__all__ = ["backward", "catalog", "derivative", "get_num_threads", "num_threads",
           "set_num_threads", "show_config"]

# Every function of the catalogue, under its name and its importable aliases; __init__.pyi lists
# them for type checkers and editors.
for _record in catalog.values():
    for _name in (_record.name, *_record.importable):
        globals()[_name] = _record.function
        __all__.append(_name)
__all__.sort()
