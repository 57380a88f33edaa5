"""The kernels, compiled once for each instruction-set level from one source: no Python in them."""
