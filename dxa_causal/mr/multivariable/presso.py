"""MR-PRESSO with several exposures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal._core.options import check_whole_number
from dxa_causal._core.rng import Seed, spawn
from dxa_causal.mr._kernels.multivariable import weighted
from dxa_causal.mr._kernels.presso import simulate_many, slopes_without_each
from dxa_causal.mr.doubt.presso_tests import Counts, Piece, global_test, in_words, judge, pieces
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.mr.method_table import method_table
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class MVPressoResult(Result):
    """Global and outlier test, and the direct effects with and without outliers.

    Attributes
    ----------
    harmonised : MultivariableHarmonised
    rss_observed, global_p : float
        The p-value 0 means smaller than ``1 / n_draws``.
    outlier_p, squares : (n,) ndarray
        Outlier test (times n), and squared distances from the fit of the others.
    outlier : (n,) ndarray of bool
    estimates, std_errors : (2, k) ndarray
        Raw and corrected.
    n_draws, nobs : int
    reason : str
        Why there is no corrected estimate; empty where there is one.
    """

    title: ClassVar[str] = "MR-PRESSO, several exposures"

    harmonised: MultivariableHarmonised
    rss_observed: float
    global_p: float
    outlier_p: FloatArray
    squares: FloatArray
    outlier: BoolArray
    estimates: FloatArray
    std_errors: FloatArray
    n_draws: int
    nobs: int
    reason: str
    provenance: Provenance
    estimand: str = "effect of each exposure on the outcome, the other exposures held fixed"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Rows "raw" and "outlier_corrected" for every exposure: estimate, t test and limits."""
        names, k = self.harmonised.exposures, len(self.harmonised.exposures)
        used = np.repeat([self.nobs, self.nobs - int(self.outlier.sum())], k)
        table = method_table(
            ["raw"] * k + ["outlier_corrected"] * k, [*names, *names], self.estimates.ravel(), self.std_errors.ravel(),
            (used - k).astype(float), conf_level=conf_level, exponentiate=exponentiate,
        )  # fmt: skip
        return table.assign(n_variants=used, reason=[""] * k + [self.reason] * k)

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, n_resamples."""
        return pd.DataFrame({"n_variants": [self.nobs], "n_resamples": [self.n_draws]})

    @property
    def global_test(self) -> HypothesisTest:
        """Global test: no variant has a direct effect on the outcome."""
        return global_test(self.rss_observed, self.global_p)

    def outliers(self) -> pd.DataFrame:
        """One row per variant: variant, statistic (squared distance), p_value (Bonferroni), outlier."""
        columns = {"statistic": self.squares, "p_value": self.outlier_p, "outlier": self.outlier}
        return pd.DataFrame({"variant": self.harmonised.variant, **columns})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest of the raw and the corrected direct effects."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy().dropna(subset=["estimate"])
        named = table.assign(term=table["method"].str.replace("_", " ") + ": " + table["term"])
        return forest(named, effect_measure=f"Effect on {self.harmonised.outcome}", reference=0.0, log=False, ax=ax)

    def _notes(self) -> list[str]:
        names = self.harmonised.variant[self.outlier].astype(str).tolist()
        return [
            in_words(self.rss_observed, self.global_p, self.n_draws, names, self.reason),
            "the corrected intervals do not know that outliers were chosen, and are too narrow",
            *super()._notes(),
        ]


def multivariable_presso(
    harmonised: MultivariableHarmonised, *, n_draws: int, seed: Seed, significance: float, n_jobs: int | None
) -> MVPressoResult | NotApplicable:
    """Run the tests of :func:`dxa_causal.mr.presso`, which hands several exposures on to here."""
    check_whole_number("n_draws", n_draws, 10)
    h, (n, k) = harmonised, harmonised.beta_exposures.shape
    if h.correlated:
        raise SummaryStatisticsError(
            "ld holds correlations between the variants, and MR-PRESSO does not allow for them"
        )
    if n < k + 3:
        return NotApplicable(f"needs at least {k + 3} variants for {k} exposures; there are {n}", method="MR-PRESSO")
    x, y, w = h.beta_exposures, h.beta_outcome, h.se_outcome**-2.0
    slopes = slopes_without_each(x, y, w)
    squares = (y - np.einsum("nk,nk->n", slopes, x)) ** 2
    work = partial(_piece, x, h.se_exposures, h.se_outcome, slopes, squares)
    streams = spawn(seed, len(pieces(n_draws)))
    global_p, outlier_p, outlier, reason = judge(work, streams, n, n_draws, significance, k + 2, n_jobs)
    raw = weighted(x, y, w)
    estimates, errors = np.full((2, k), math.nan), np.full((2, k), math.nan)
    estimates[0], errors[0] = raw.coef, raw.std_error
    if not reason:
        fit = weighted(x[~outlier], y[~outlier], w[~outlier])
        estimates[1], errors[1] = fit.coef, fit.std_error
    call = f"mr.presso(harmonised, n_draws={n_draws}, seed={seed_shown(seed)!r}, significance={significance})"
    return MVPressoResult(
        harmonised=h, rss_observed=float((w * squares).sum()), global_p=global_p, outlier_p=read_only(outlier_p),
        squares=read_only(squares), outlier=read_only(outlier), estimates=read_only(estimates),
        std_errors=read_only(errors), n_draws=n_draws, nobs=n, reason=reason,
        provenance=Provenance(call=call, n_rows=n, n_used=n, seed=seed_shown(seed), notes=()),
    )  # fmt: skip


def _piece(
    x: FloatArray, sx: FloatArray, sy: FloatArray, slopes: FloatArray, squares: FloatArray,
    work: Piece,
) -> Counts:  # fmt: skip
    rng, draws = work
    return simulate_many(x, sx, sy, slopes, squares, rng, draws)
