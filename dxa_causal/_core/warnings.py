"""One warning class per cause, and the one function that issues them."""

from __future__ import annotations

import sys
import warnings as _warnings


class DxaCausalWarning(UserWarning):
    """Base of all warnings issued by this package."""


class ConvergenceWarning(DxaCausalWarning):
    """An iteration stopped before its criterion was met."""


class SeparationWarning(ConvergenceWarning):
    """A coefficient runs to infinity: a covariate separates events from non-events."""


class AllCensoredWarning(DxaCausalWarning):
    """A group or stratum has no event."""


class CodingWarning(DxaCausalWarning):
    """Codes may mean something else than they seem to."""


class FallingHazardWarning(DxaCausalWarning):
    """A fitted cumulative hazard falls somewhere, which none can."""


class HorizonWarning(DxaCausalWarning):
    """A time asked for lies beyond the last observation."""


class RiskSetWarning(DxaCausalWarning):
    """A curve is spent on a handful of rows at risk before others enter."""


class FewControlsWarning(DxaCausalWarning):
    """Some cases have fewer eligible controls than were asked for."""


class OverlapWarning(DxaCausalWarning):
    """Start-stop rows of one unit overlap in time."""


class GapWarning(DxaCausalWarning):
    """Start-stop rows of one person leave a gap in time."""


class TimeUnitWarning(DxaCausalWarning):
    """Times of two columns seem to be counted in different units."""


class IncidenceSumWarning(DxaCausalWarning):
    """Cumulative incidences of all causes, fitted one by one, add up to more than one."""


class PositivityWarning(DxaCausalWarning):
    """Some propensity scores are so close to 0 or 1 that weights explode."""


class SummaryStatisticsWarning(DxaCausalWarning):
    """GWAS summary statistics hold values that were repaired or look wrong."""


class SharedPeopleWarning(DxaCausalWarning):
    """The same people gave the effects on exposure and outcome."""


class ImputationWarning(DxaCausalWarning):
    """A column cannot take the part in an imputation that it was given."""


class CalibrationRangeWarning(DxaCausalWarning):
    """Values lie outside the range that a cross-calibration was fitted on."""


class KernelCacheWarning(DxaCausalWarning):
    """Compiled kernels cannot be kept on disk; each process compiles anew."""


def warn(message: str, category: type[DxaCausalWarning]) -> None:
    """Issue `message` at the first frame outside this package."""
    frame = sys._getframe(1)
    level = 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("dxa_causal."):
        frame = frame.f_back
        level += 1
    _warnings.warn(message, category, stacklevel=level)
