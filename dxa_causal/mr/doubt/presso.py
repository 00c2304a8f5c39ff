"""MR-PRESSO: is there direct effect at all, which variants have it, and does it distort the estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.options import check_whole_number
from dxa_causal._core.rng import Seed, spawn
from dxa_causal.mr._kernels.presso import residual_squares, simulate
from dxa_causal.mr._kernels.regression import ivw
from dxa_causal.mr.doubt.presso_tests import Counts, Piece, global_test, in_words, judge, pieces
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.mr.estimator import refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.method_table import method_table
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.mr.multivariable.presso import MVPressoResult, multivariable_presso
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class PressoResult(Result):
    """MR-PRESSO's three tests and its two estimates.

    Attributes
    ----------
    harmonised : Harmonised
    rss_observed : float
        Observed residual sum of squares, each variant judged by the others.
    global_p, distortion_p : float
        p-values; 0 means smaller than ``1 / n_draws``. nan where not done.
    distortion : float
        Change of the estimate by the outliers, in per cent of the corrected one.
    outlier_p : (n,) ndarray
        Of the outlier test, times the number of variants.
    squares : (n,) ndarray
        Squared distance of each variant from the slope of the others.
    outlier : (n,) ndarray of bool
        Variants left out of the corrected estimate.
    estimates, std_errors, df : (2,) ndarray
        Raw and corrected.
    n_draws, nobs : int
    reason : str
        Why there is no corrected estimate; empty where there is one.
    """

    title: ClassVar[str] = "MR-PRESSO"

    harmonised: Harmonised
    rss_observed: float
    global_p: float
    distortion_p: float
    distortion: float
    outlier_p: FloatArray
    squares: FloatArray
    outlier: BoolArray
    estimates: FloatArray
    std_errors: FloatArray
    df: FloatArray
    n_draws: int
    nobs: int
    reason: str
    provenance: Provenance
    estimand: str = "effect of the exposure on the outcome per unit of the exposure"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Rows "raw" and "outlier_corrected": estimate, t test and limits with one df less than variants."""
        methods = ("raw", "outlier_corrected")
        table = method_table(
            methods, ("effect", "effect"), self.estimates, self.std_errors, self.df, conf_level=conf_level,
            exponentiate=exponentiate,
        )  # fmt: skip
        used = [self.nobs, self.nobs - int(self.outlier.sum())]
        return table.assign(n_variants=used, reason=["", self.reason])

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, n_resamples."""
        return pd.DataFrame({"n_variants": [self.nobs], "n_resamples": [self.n_draws]})

    @property
    def global_test(self) -> HypothesisTest:
        """Global test: no variant has a direct effect on the outcome."""
        return global_test(self.rss_observed, self.global_p)

    @property
    def distortion_test(self) -> HypothesisTest | NotApplicable:
        """Distortion test: the outliers do not change the estimate more than chance would."""
        name = "MR-PRESSO distortion test"
        reason = self.reason
        if not reason and math.isnan(self.distortion_p):
            reason = f"{int(self.outlier.sum())} of {self.nobs} variants are outliers: the others cannot be redrawn"
        if reason:
            return NotApplicable(reason, method=name)
        return HypothesisTest(self.distortion, None, self.distortion_p, name, "outliers do not change the estimate")

    def outliers(self) -> pd.DataFrame:
        """One row per variant: variant, statistic (squared distance), p_value (Bonferroni), outlier."""
        return pd.DataFrame(
            {
                "variant": self.harmonised.table["variant"].to_numpy(),
                "statistic": self.squares,
                "p_value": self.outlier_p,
                "outlier": self.outlier,
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Scatter of the variants with the raw and the corrected line."""
        from dxa_causal.plots.mr import mr_scatter

        h = self.harmonised
        return mr_scatter(h.table, self.tidy(), ax=ax, exposure=h.exposure, outcome=h.outcome)

    def describe(self) -> str:
        """Say in words what the tests found."""
        names = self.harmonised.table["variant"][self.outlier].astype(str).tolist()
        return in_words(self.rss_observed, self.global_p, self.n_draws, names, self.reason)

    def _notes(self) -> list[str]:
        return [
            self.describe(),
            "the corrected interval does not know that outliers were chosen, and is too narrow",
            *super()._notes(),
        ]


@overload
def presso(
    harmonised: Harmonised, *, n_draws: int = ..., seed: Seed = ..., significance: float = ..., upstream: bool = ...,
    n_jobs: int | None = ...,
) -> PressoResult | NotApplicable: ...  # fmt: skip


@overload
def presso(
    harmonised: MultivariableHarmonised, *, n_draws: int = ..., seed: Seed = ..., significance: float = ...,
    upstream: bool = ..., n_jobs: int | None = ...,
) -> MVPressoResult | NotApplicable: ...  # fmt: skip


def presso(
    harmonised: Harmonised | MultivariableHarmonised,
    *,
    n_draws: int = 1000,
    seed: Seed = None,
    significance: float = 0.05,
    upstream: bool = False,
    n_jobs: int | None = None,
) -> PressoResult | MVPressoResult | NotApplicable:
    r"""Find variants with direct effects on the outcome, and estimate without them.

    Parameters
    ----------
    harmonised : Harmonised or MultivariableHarmonised
    n_draws : int
        Draws under "no direct effects". An outlier can be found only where
        ``n / n_draws`` is at most `significance`.
    seed : int, Generator or None
    significance : float
        For the global test and, times n, for the outlier test.
    upstream : bool
        Distortion test as the R package 1.0 does it: draws keep the outliers
        and are compared with the estimate from all variants.
    n_jobs : int, optional
        The result does not depend on it.

    Returns
    -------
    PressoResult, MVPressoResult or NotApplicable
        Of several exposures the second, which has no distortion test; the
        last with fewer than three variants more than exposures.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given).

    Notes
    -----
    With :math:`\hat\beta_{-j}` the IVW slope without variant j,
    :math:`RSS = \sum_j \sigma_{yj}^{-2} (y_j - \hat\beta_{-j} x_j)^2` is compared
    with its distribution when :math:`x^*_j \sim N(x_j, \sigma_{xj}^2)`,
    :math:`y^*_j \sim N(\hat\beta_{-j} x_j, \sigma_{yj}^2)`; each variant's own
    term gives the outlier test. All slopes follow from two sums, so a draw
    costs O(n).

    The distortion test takes the k outliers as replaced: n - 2k of the n - k
    others are drawn with replacement, as the paper has it, and its p-value is
    the share of draws whose estimate is further, in per cent, from that of all
    n - k than the estimate with the outliers is. The paper leaves open what a
    draw is compared with; the authors' package (`upstream`) adds the outliers
    to the n - 2k and compares with the estimate from all variants.

    References
    ----------
    Verbanck M et al. Nat Genet 2018;50:693-698. doi:10.1038/s41588-018-0099-7

    Examples
    --------
    >>> x = np.linspace(0.1, 0.3, 20)
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=x, se_exposure=[0.01] * 20, beta_outcome=0.5 * x + 0.2 * (x == x[3]), se_outcome=[0.02] * 20
    ... )
    >>> result = presso(h, seed=1)
    >>> result.outliers().query("outlier")["variant"].tolist()
    ['variant_4']
    """
    if isinstance(harmonised, MultivariableHarmonised):
        return multivariable_presso(harmonised, n_draws=n_draws, seed=seed, significance=significance, n_jobs=n_jobs)
    refuse_correlated(harmonised)
    check_whole_number("n_draws", n_draws, 10)
    h, n = harmonised, harmonised.n_variants
    if n < 4:
        return NotApplicable(f"needs at least 4 variants; there are {n}", method="MR-PRESSO")
    bx, by, sx, sy = h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome
    if np.count_nonzero(bx) < 2:
        return NotApplicable("fewer than two variants have an effect on the exposure", method="MR-PRESSO")
    w = sy**-2
    weighted, slope = residual_squares(bx, by, w)
    squares = (by - slope * bx) ** 2
    last, *streams = spawn(seed, 1 + len(pieces(n_draws)))
    work = partial(_piece, bx, sx, sy, slope, squares)
    global_p, outlier_p, outlier, reason = judge(work, streams, n, n_draws, significance, 3, n_jobs)
    raw = _fit(bx, by, sy)
    corrected, distortion, distortion_p = (math.nan, math.nan, math.nan), math.nan, math.nan
    if not reason:
        good = ~outlier
        corrected = _fit(bx[good], by[good], sy[good])
        distortion, distortion_p = _distortion(bx, by, w, outlier, n_draws, last, upstream)
    call = f"mr.presso(harmonised, n_draws={n_draws}, seed={seed_shown(seed)!r}, significance={significance}, "
    return PressoResult(
        harmonised=h,
        rss_observed=float(weighted.sum()),
        global_p=global_p,
        distortion_p=distortion_p,
        distortion=distortion,
        outlier_p=read_only(outlier_p),
        squares=read_only(squares),
        outlier=read_only(outlier),
        estimates=read_only([raw[0], corrected[0]]),
        std_errors=read_only([raw[1], corrected[1]]),
        df=read_only([raw[2], corrected[2]]),
        n_draws=n_draws,
        nobs=n,
        reason=reason,
        provenance=Provenance(call=f"{call}upstream={upstream})", n_rows=n, n_used=n, seed=seed_shown(seed), notes=()),
    )


def _piece(
    bx: FloatArray, sx: FloatArray, sy: FloatArray, slope: FloatArray, squares: FloatArray,
    work: Piece,
) -> Counts:  # fmt: skip
    rng, draws = work
    return simulate(bx, sx, sy, slope, squares, rng, draws)


def _fit(bx: FloatArray, by: FloatArray, sy: FloatArray) -> tuple[float, float, float]:
    fit = ivw(bx, by, sy)
    return fit.estimate, fit.std_error_fixed * fit.sigma, float(fit.df)


def _distortion(
    bx: FloatArray, by: FloatArray, w: FloatArray, outlier: BoolArray, n_draws: int, rng: np.random.Generator,
    upstream: bool,
) -> tuple[float, float]:  # fmt: skip
    """Per cent change by the outliers, and how often redrawn valid variants change an estimate more."""
    good, k = np.flatnonzero(~outlier), int(outlier.sum())
    xy, xx = w * bx * by, w * bx * bx
    everybody = xy.sum() / xx.sum()
    without = xy[good].sum() / xx[good].sum()
    bias = (everybody - without) / abs(without)
    kept = np.flatnonzero(outlier)[: good.size if upstream else 0]
    before = everybody if upstream else without
    size, exceed = max(0, good.size - k), 0
    if not size and not upstream:  # half of the variants are outliers
        return 100.0 * bias, math.nan
    for start in range(0, n_draws, 1000):
        chosen = good[rng.integers(0, good.size, (min(1000, n_draws - start), size))]
        after = (xy[chosen].sum(axis=1) + xy[kept].sum()) / (xx[chosen].sum(axis=1) + xx[kept].sum())
        exceed += int((np.abs((before - after) / np.abs(after)) > abs(bias)).sum())
    return 100.0 * bias, exceed / n_draws
