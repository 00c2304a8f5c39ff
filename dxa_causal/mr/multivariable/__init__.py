"""Multivariable Mendelian randomisation: several exposures at once."""
