"""Doubt about an estimate: outliers, influence, direct effects."""
