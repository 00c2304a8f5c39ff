"""Limits and p-value of a t test that never claim more than the normal test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class WiderLimits(NamedTuple):
    """Wider of normal limits with `std_error` and t limits with the smaller `plain`, which is not held at scale one."""

    estimate: float
    std_error: float
    plain: float
    df: float

    def __call__(self, conf_level: float) -> npt.NDArray[np.float64]:
        """Give the limits, (1, 2)."""
        from scipy.special import ndtri, stdtrit

        tail = (1 + conf_level) / 2
        half = max(float(ndtri(tail)) * self.std_error, float(stdtrit(self.df, tail)) * self.plain)
        return np.array([[self.estimate - half, self.estimate + half]])

    def p_value(self) -> float:
        """Give the larger of the two p-values."""
        from scipy.special import ndtr, stdtr

        z, t = abs(self.estimate / self.std_error), abs(self.estimate / self.plain)
        return 2 * max(float(ndtr(-z)), float(stdtr(self.df, -t)))
