"""Draws of one column given the others, and Rubin's rules: arrays in, arrays out."""
