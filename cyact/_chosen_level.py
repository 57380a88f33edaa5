"""Choose the instruction-set level and give its kernels to the engine, once, at import."""

import os
from importlib import import_module

try:
    from cyact._engine import cpu, cross_entropy, losses, rows, run
except ImportError as error:
    raise ImportError(
        f"cyact's compiled modules cannot be imported from {os.path.dirname(__file__)}. If that is "
        f"the source tree, run Python from another folder, or compile in place: "
        f"python -m pip install -e .") from error

# Chosen before its modules are imported: they may use its instructions at once.
LEVEL = cpu.choose(os.environ.get("CYACT_ISA"))


def _kernels(name):
    return import_module(f"cyact._level.{name}_{LEVEL}")


run.use_level(_kernels("elementwise"))
rows.use_level(_kernels("rows"), _kernels("sparse"))
losses.use_level(_kernels("losses"))
cross_entropy.use_level(_kernels("rows"), _kernels("losses"))
