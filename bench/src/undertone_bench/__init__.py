"""Benchmarks of Undertone, compared with other ways to serve the same model."""
