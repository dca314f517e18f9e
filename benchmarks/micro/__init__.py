"""Micro-benchmarks: one process, no network, CPU time per operation."""
