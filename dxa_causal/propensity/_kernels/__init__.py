"""Weights and weighted means on arrays. Nothing is re-exported here."""
