"""Neural-network activation functions for NumPy arrays, compiled with Cython and OpenMP.

>>> import cyact
>>> cyact.gelu([-1.0, 0.0, 1.0])
array([-0.15865525,  0.        ,  0.84134475])

Values are `cyact.NAME(x)`, derivatives `cyact.derivative.NAME(x)`, backward passes
`cyact.backward.NAME(grad, x)`; `cyact.catalog` lists the functions.
"""

import os
from importlib import import_module

try:
    from cyact import _cpu, _engine, _loss_engine, _row_engine
except ImportError as error:
    raise ImportError(
        f"cyact's compiled modules cannot be imported from {__path__[0]}. If that is the source "
        f"tree, run Python from another folder, or compile in place: "
        f"python -m pip install -e .") from error

__version__ = "0.1.0"

# The level is chosen before its modules are imported: they may use its instructions at once.
_level = _cpu.choose(os.environ.get("CYACT_ISA"))
_engine.use_level(import_module(f"cyact._kernels_{_level}"))
_rows = import_module(f"cyact._rows_{_level}")
_row_engine.use_level(_rows, import_module(f"cyact._sparse_{_level}"))
_loss_engine.use_level(_rows, import_module(f"cyact._losses_{_level}"))

from cyact import backward, derivative  # noqa: E402
from cyact._catalog import catalog  # noqa: E402
from cyact._config import show_config  # noqa: E402
from cyact._threads import get_num_threads, num_threads, set_num_threads  # noqa: E402
from cyact.losses import (  # noqa: E402
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    focal_loss,
    kl_div,
    nll_loss,
)

__all__ = ["backward", "binary_cross_entropy", "binary_cross_entropy_with_logits", "catalog",
           "cross_entropy", "derivative", "focal_loss", "get_num_threads", "kl_div", "nll_loss",
           "num_threads", "set_num_threads", "show_config"]

# Every function of the catalogue, under its name and its importable aliases; __init__.pyi lists
# them for type checkers and editors.
for _record in catalog.values():
    for _name in (_record.name, *_record.importable):
        globals()[_name] = _record.function
        __all__.append(_name)
__all__.sort()
