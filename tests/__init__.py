"""Tests, benchmarks and simulations."""
