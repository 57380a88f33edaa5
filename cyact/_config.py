"""Which level, threads and build this is."""

import os
import platform
from typing import Any, Literal

import numpy as np

from cyact._chosen_level import LEVEL
from cyact._engine import cpu, threads
from cyact._version import __version__


def show_config(mode: Literal["stdout", "dict"] = "stdout") -> Any:
    """Show how cyact was built and what it runs on: the text to put into a bug report.

    Parameters
    ----------
    mode : {"stdout", "dict"}, default "stdout"
        Print it, or return it.

    Returns
    -------
    dict or None
        With "dict": version, level chosen and levels available, OpenMP, threads and the rule
        that decided their number, NumPy, Python, compiler and flags.

    Raises
    ------
    ValueError
        `mode` is something else.
    """
    if mode not in ("stdout", "dict"):
        raise ValueError(f"show_config: mode must be 'stdout' or 'dict', got {mode!r}")
    date = threads.openmp()
    config = {
        "cyact": __version__,
        "level": LEVEL,
        "levels available": ", ".join(cpu.supported()),
        "levels built": ", ".join(cpu.flags),
        "CYACT_ISA": os.environ.get("CYACT_ISA", "not set"),
        "OpenMP": f"{date // 100}-{date % 100:02}" if date else "none: built single-threaded",
        "threads": threads.get_num_threads(),
        "threads decided by": threads.rule(),
        "NumPy": np.__version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "compiler": cpu.compiler,
        "flags": cpu.flags[LEVEL],
    }
    if mode == "dict":
        return config
    width = max(map(len, config))
    for name, value in config.items():
        print(f"{name:<{width}}  {value}")
