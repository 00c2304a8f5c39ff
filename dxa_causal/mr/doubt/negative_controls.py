"""Outcomes that the exposure cannot cause: an effect on them speaks against the instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.rng import Seed, spawn
from dxa_causal.mr._kernels.adjusted_p import benjamini_hochberg, holm
from dxa_causal.mr.estimates import MREstimates, estimate, seed_shown
from dxa_causal.mr.estimators import Method
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import Provenance, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FOUND = (
    "An effect on an outcome that the exposure cannot cause means that the variants reach outcomes by another way: "
    "population structure, assortative mating, parents' genes, selection of the participants, or a direct effect of "
    "variants. The same may hold for the outcome of interest."
)
_NOT_FOUND = (
    "No effect on the negative controls stands out. That clears the instruments only of what would also have touched "
    "these outcomes, and only as far as their limits are narrow."
)


@dataclass(frozen=True, eq=False, repr=False)
class NegativeControlsResult(Result):
    """Estimates for outcomes that the exposure cannot cause.

    Attributes
    ----------
    outcomes : tuple of str
    fits : tuple of MREstimates
        One per outcome, in the same order.
    nobs : int
        Variants, summed over outcomes.
    """

    title: ClassVar[str] = "Negative control outcomes"

    outcomes: tuple[str, ...]
    fits: tuple[MREstimates, ...]
    nobs: int
    provenance: Provenance
    estimand: str = "effect of the exposure on an outcome that it cannot cause, per unit of the exposure"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per outcome and method: outcome, method, estimate ... conf_high, p_holm, p_bh, n_variants, reason.

        Adjusted p-values take the outcomes of one method together. Intercepts
        are left out; they stand in `fits`.
        """
        tables = []
        for outcome, fit in zip(self.outcomes, self.fits, strict=True):
            table = fit.tidy(conf_level=conf_level, exponentiate=exponentiate).query("term == 'effect'")
            tables.append(table.drop(columns="term").assign(outcome=outcome))
        table = pd.concat(tables, ignore_index=True)
        by_method = table.groupby("method", sort=False)["p_value"]
        table["p_holm"] = by_method.transform(lambda p: holm(p.to_numpy()))
        table["p_bh"] = by_method.transform(lambda p: benjamini_hochberg(p.to_numpy()))
        last = ["p_holm", "p_bh", "n_variants", "reason"]
        return table[["outcome", *(c for c in table if c not in ("outcome", *last)), *last]]

    def joint(self) -> pd.DataFrame:
        """Test per method that all effects are zero: method, statistic, df, p_value.

        The sum of squared normal deviates (those of the p-values),
        chi-square with as many df as outcomes. Valid where the outcomes were
        measured in different people; where they share people, go by the
        smallest `p_holm` of `tidy` instead.
        """
        from scipy.special import chdtrc, ndtri

        rows = []
        for method, p_value in self.tidy().groupby("method", sort=False)["p_value"]:
            known = p_value.dropna().to_numpy()
            statistic = float(np.sum(ndtri(np.maximum(known, np.finfo(float).tiny) / 2.0) ** 2))
            p = float(chdtrc(known.size, statistic)) if known.size else np.nan
            rows.append((method, statistic if known.size else np.nan, float(known.size), p))
        return pd.DataFrame(rows, columns=["method", "statistic", "df", "p_value"])

    def in_words(self, significance: float = 0.05) -> str:
        """Say which outcomes stand out (Holm, per method), and what that would mean."""
        found = self.tidy().query("p_holm < @significance")
        if found.empty:
            return _NOT_FOUND
        by_outcome = found.groupby("outcome", sort=False)["method"].agg(", ".join)
        named = "; ".join(f"{outcome} ({methods})" for outcome, methods in by_outcome.items())
        return f"Not zero after Holm's adjustment: {named}. {_FOUND}"

    def glance(self) -> pd.DataFrame:
        """One row: n_outcomes, n_variants (most of any outcome)."""
        most = max(fit.nobs for fit in self.fits)
        return pd.DataFrame({"n_outcomes": [len(self.outcomes)], "n_variants": [most]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest of the estimates, which should all lie about zero."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy().assign(label=lambda d: d["outcome"] + ", " + d["method"])
        exposure = self.fits[0].harmonised.exposure
        measure = f"Effect per unit of {exposure}"
        return forest(table, effect_measure=measure, reference=0.0, log=False, label="label", ax=ax)

    def _notes(self) -> list[str]:
        tests = [
            f"{method}: chi-square = {statistic:.4g}, df = {df:g}, p = {p:.3g}"
            for method, statistic, df, p in self.joint().itertuples(index=False)
        ]
        joint = f"all effects zero, for outcomes in different people: {'; '.join(tests)}"
        return [self.in_words(), joint, *super()._notes()]


def negative_controls(
    outcomes: Mapping[str, Harmonised],
    *,
    methods: Sequence[Method] | Method = ("ivw", "egger", "weighted_median"),
    seed: Seed = None,
) -> NegativeControlsResult:
    r"""Estimate effects of the exposure on outcomes that it cannot cause.

    Parameters
    ----------
    outcomes : mapping of str to Harmonised
        For each negative control its name and the exposure harmonised with it.
    methods : str or sequence of str
        As in :func:`dxa_causal.mr.estimate`.
    seed : int, Generator or None
        For standard errors by resampling; one stream per outcome, in order.

    Returns
    -------
    NegativeControlsResult

    Raises
    ------
    OptionError
        No outcomes, or an unknown method.
    SummaryStatisticsError
        A value is not harmonised, the outcomes belong to different exposures, or variants
        are correlated and a method does not allow for it.

    Notes
    -----
    A good negative control shares the likely faults of the outcome of interest and is
    fixed before the exposure can act, or lies outside its reach: hair or skin
    colour for population structure, an outcome of childhood for an exposure of
    adults. An effect on it means that variants reach outcomes other than through
    the exposure (population structure, assortative mating, parents' genes, selection,
    pleiotropy). No effect is no proof: only faults that also touch these outcomes
    can show.

    References
    ----------
    Sanderson E et al. Int J Epidemiol 2021;50:1350-1361. doi:10.1093/ije/dyaa288
    Holm S. Scand J Stat 1979;6:65-70.

    Examples
    --------
    >>> x = np.linspace(0.1, 0.3, 10)
    >>> def with_outcome(y):
    ...     return Harmonised.from_arrays(
    ...         beta_exposure=x, se_exposure=[0.01] * 10, beta_outcome=y, se_outcome=[0.02] * 10
    ...     )
    >>> result = negative_controls(
    ...     {"skin colour": with_outcome(0.2 * x), "hair colour": with_outcome(0.01 * (-1.0) ** np.arange(10))},
    ...     methods="ivw",
    ... )
    >>> result.tidy()[["outcome", "estimate", "p_holm"]].round(3).to_dict("list")
    {'outcome': ['skin colour', 'hair colour'], 'estimate': [0.2, -0.003], 'p_holm': [0.0, 0.933]}
    """
    _check(outcomes)
    fits = tuple(
        estimate(harmonised, methods, seed=stream)
        for harmonised, stream in zip(outcomes.values(), spawn(seed, len(outcomes)), strict=True)
    )
    total = sum(fit.nobs for fit in fits)
    return NegativeControlsResult(
        outcomes=tuple(outcomes),
        fits=fits,
        nobs=total,
        provenance=Provenance(
            call=f"mr.negative_controls({list(outcomes)!r}, methods={methods!r}, seed={seed_shown(seed)!r})",
            n_rows=total,
            n_used=total,
            seed=seed_shown(seed),
            notes=(),
        ),
    )


def _check(outcomes: Mapping[str, Harmonised]) -> None:
    if not isinstance(outcomes, Mapping) or not outcomes:
        raise OptionError(
            f"outcomes={outcomes!r:.60} must be a mapping from names of outcomes to harmonised variants, at least one"
        )
    for name, harmonised in outcomes.items():
        if not isinstance(harmonised, Harmonised):
            raise SummaryStatisticsError(
                f"outcomes[{name!r}] must be what mr.harmonise or Harmonised.from_arrays returns, "
                f"not {type(harmonised).__name__}"
            )
    exposures = list(dict.fromkeys(harmonised.exposure for harmonised in outcomes.values()))
    if len(exposures) > 1:
        raise SummaryStatisticsError(f"outcomes belong to different exposures ({', '.join(exposures)}); one is needed")
