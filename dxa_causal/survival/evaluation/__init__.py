"""How well predicted risks do: discrimination, calibration, overall accuracy, clinical value, validation."""
