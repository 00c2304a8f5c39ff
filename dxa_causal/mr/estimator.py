"""What an estimator of Mendelian randomisation is: what it needs, and its rows of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal.mr.harmonised import Harmonised

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Convention = Literal["twosamplemr", "mendelianrandomization"]
Model = Literal["default", "fixed", "random"]
RANDOM_FROM = 4  # variants from which MendelianRandomization's default model has random effects
NOTHING: Mapping[str, float] = MappingProxyType({})


class Interval(Protocol):
    """Confidence limits that are not estimate and standard error: (k, 2) pieces at a level. Must pickle."""

    def __call__(self, conf_level: float) -> FloatArray:
        """Pieces in rising order; usually one."""


class Row(NamedTuple):
    """One line of numbers.

    `df` is None for the normal distribution. `p_value` and `interval` stand in
    for the Wald test and limits where the method has its own. `details` are
    further numbers by name (tau2, q, sigma ...); `valid` marks the variants
    that the method holds to be valid instruments.
    """

    term: str
    estimate: float = np.nan
    std_error: float = np.nan
    df: float | None = None
    p_value: float | None = None
    interval: Interval | None = None
    details: Mapping[str, float] = NOTHING
    valid: BoolArray | None = None


class Settings(NamedTuple):
    """What `estimate` hands to every estimator."""

    rng: np.random.Generator
    n_draws: int
    convention: Convention = "twosamplemr"


class Estimator(NamedTuple):
    """An estimator by what it needs.

    `least` variants; `ratio` says whether a variant without effect on the
    exposure is in its way; `correlated` whether it uses the LD matrix; `why_not`
    may find further reasons, in words, and returns "" when there is none.
    """

    label: str
    rows: Callable[[Harmonised, Settings], list[Row]]
    least: int = 3
    ratio: bool = True
    correlated: bool = False
    why_not: Callable[[Harmonised], str] | None = None

    def reason(self, h: Harmonised) -> str:
        """Why it does not apply to these variants; empty if it does."""
        n = h.n_variants
        if n < self.least:
            return f"needs at least {self.least} variants; there {'is' if n == 1 else 'are'} {n}"
        null = h.beta_exposure == 0
        if null.any() if self.ratio else null.all():
            variant = h.table["variant"].iloc[int(np.flatnonzero(null)[0])]
            return (
                f"the effect on the exposure is zero for {int(null.sum())} of {n} variants, first {variant!r}: no ratio"
            )
        return "" if self.why_not is None else self.why_not(h)


def has_random_effects(h: Harmonised, model: Model) -> bool:
    """Whether the standard error widens when the variants disagree."""
    return h.n_variants >= RANDOM_FROM if model == "default" else model == "random"


def check_psi(psi: float, name: str = "psi") -> None:
    """Refuse a correlation of the two effects' errors outside (-1, 1)."""
    if not -1 < psi < 1:
        raise OptionError(f"{name}={psi!r} must lie between -1 and 1: the correlation of the errors of the two effects")


def check_harmonised(h: object) -> None:
    """Refuse anything but harmonised variants."""
    if not isinstance(h, Harmonised):
        raise SummaryStatisticsError(
            f"this needs what mr.harmonise or Harmonised.from_arrays returns, not {type(h).__name__}"
        )


def refuse_correlated(h: Harmonised) -> None:
    """Raise rather than treat variants in linkage disequilibrium as independent."""
    check_harmonised(h)
    if h.correlated:
        raise SummaryStatisticsError(
            "ld holds correlations between the variants, and this method does not allow for them; "
            "keep one variant per region (clumping) and leave ld out, or use ivw, egger, maxlik, pc_gmm, clr, ar or k"
        )
