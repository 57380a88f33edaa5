"""What is compiled once and knows Python: checks, layouts, threads, and the calls of kernels."""
