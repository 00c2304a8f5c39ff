"""One region of the genome: whether traits share a causal variant there, and which it is."""
