"""Estimators on arrays: effects on exposure (bx, sx) and outcome (by, sy) in, small records out."""
