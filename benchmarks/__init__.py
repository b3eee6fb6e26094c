"""Benchmarks: ratios to a bare forward pass, from interleaved rounds, against other tools."""
