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
    from cyact._engine import cpu as _cpu
    from cyact._engine import cross_entropy as _cross_entropy
    from cyact._engine import elementwise as _elementwise
    from cyact._engine import losses as _losses
    from cyact._engine import rows as _rows
except ImportError as error:
    raise ImportError(
        f"cyact's compiled modules cannot be imported from {__path__[0]}. If that is the source "
        f"tree, run Python from another folder, or compile in place: "
        f"python -m pip install -e .") from error

__version__ = "0.1.0"

# The level is chosen before its modules are imported: they may use its instructions at once.
_isa = _cpu.choose(os.environ.get("CYACT_ISA"))
_kernels = {name: import_module(f"cyact._level.{name}_{_isa}")
            for name in ("elementwise", "rows", "sparse", "losses")}
_elementwise.use_level(_kernels["elementwise"])
_rows.use_level(_kernels["rows"], _kernels["sparse"])
_losses.use_level(_kernels["losses"])
_cross_entropy.use_level(_kernels["rows"], _kernels["losses"])

from cyact import backward, derivative  # noqa: E402
from cyact._catalog import catalog  # noqa: E402
from cyact._config import show_config  # noqa: E402
from cyact._engine.threads import get_num_threads, num_threads, set_num_threads  # noqa: E402
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
