"""What the examples share: a look for their packages, the command line, and saving a picture."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

MISSING = [name for name in ("numpy", "cyact", "matplotlib", "sklearn", "threadpoolctl", "tqdm")
           if importlib.util.find_spec(name) is None]
if MISSING:
    sys.exit(f"not installed: {', '.join(MISSING)}. In the folder that holds pyproject.toml run\n"
             '    python -m pip install ".[examples]"')

from matplotlib.figure import Figure  # noqa: E402  (after the look whether it is there)


def command_line(description, output):
    """Return a parser that knows --seed and --output, to be given more."""
    parser = argparse.ArgumentParser(
        description=description.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seed", type=natural, default=0, help="seed of all that is random")
    parser.add_argument("--output", type=picture, default=output, help="picture to write")
    return parser


def positive(text):
    """Read a whole number, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number, at least 1")
    return int(text)


def natural(text):
    """Read a seed."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number from 0 to 2**32 - 1")
    return int(text)


def picture(text):
    """Read the name of a picture that can be written."""
    path = Path(text)
    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise argparse.ArgumentTypeError(
            f"{text}: the name must end in one of {', '.join(f'.{name}' for name in formats)}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: there is no folder {path.parent}")
    return path


def save(figure, path):
    """Write the picture, renamed when complete: a reader never sees half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        figure.savefig(partial, format=path.suffix[1:], dpi=120)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
