"""Many exposures on many outcomes."""
