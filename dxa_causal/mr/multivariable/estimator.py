"""What an estimator of several exposures needs, and its rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal.mr.estimator import NOTHING, RANDOM_FROM, Model
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Convention = Literal["twosamplemr", "mendelianrandomization", "mvmr"]


class Row(NamedTuple):
    """One line of numbers; `df` None means normal, `valid` the variants held to be valid instruments."""

    term: str
    estimate: float = math.nan
    std_error: float = math.nan
    df: float | None = None
    n_variants: int = 0
    details: Mapping[str, float] = NOTHING
    valid: BoolArray | None = None


class Settings(NamedTuple):
    """What `mvmr` hands to every estimator; its docstring says what they are."""

    rng: np.random.Generator
    convention: Convention
    model: Model
    correlation: FloatArray  # (k + 1, k + 1), the outcome last
    orientate: int  # from 0
    instrument_specific: bool
    intercept: bool
    lambda_: float | None
    n: float
    overdispersion: bool
    n_draws: int
    perturbations: int

    def random(self, h: MultivariableHarmonised) -> bool:
        """Whether the standard error widens when the variants disagree."""
        return h.n_variants >= RANDOM_FROM if self.model == "default" else self.model == "random"


class Estimator(NamedTuple):
    """An estimator: `spare` variants needed beyond the number of exposures; `why_not` finds further reasons."""

    label: str
    rows: Callable[[MultivariableHarmonised, Settings], list[Row]]
    spare: int = 1
    correlated: bool = False
    why_not: Callable[[MultivariableHarmonised, Settings], str] | None = None

    def reason(self, h: MultivariableHarmonised, settings: Settings) -> str:
        """Why it does not apply to these variants; empty if it does."""
        k = len(h.exposures)
        if h.n_variants < k + self.spare:
            return f"needs at least {k + self.spare} variants for {k} exposures; there are {h.n_variants}"
        return "" if self.why_not is None else self.why_not(h, settings)


def by_scale(std_error: FloatArray | float, scale: float) -> FloatArray:
    """Standard errors over the residual scale; zero, and no noise, where the variants fit exactly."""
    error = np.asarray(std_error, dtype=np.float64)
    return error / scale if scale > 0 else np.zeros_like(error)


def rows_of(
    h: MultivariableHarmonised,
    coef: FloatArray,
    std_error: FloatArray,
    *,
    df: float | None = None,
    n_variants: int | None = None,
    details: Mapping[str, float] = NOTHING,
    valid: BoolArray | None = None,
) -> list[Row]:
    """One row per exposure, and one for the intercept where there is one more coefficient."""
    size = h.n_variants if n_variants is None else n_variants
    names = (*h.exposures, "intercept")[: len(coef)]
    return [
        Row(name, float(b), float(s), df, size, details, valid)
        for name, b, s in zip(names, coef, std_error, strict=True)
    ]
