"""Several distributions for the same times, by AIC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import Missing, WeightType, check_conf_level, check_option
from dxa_causal.results import Provenance, Result
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.parametric import ParametricFit, parametric
from dxa_causal.survival.parametric_families import Distribution, Parameterisation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_USUAL: tuple[Distribution, ...] = ("exponential", "weibull", "lognormal", "loglogistic", "gompertz", "gengamma")


@dataclass(frozen=True, eq=False, repr=False)
class DistributionComparison(Result):
    """Parametric models of the same rows with different distributions.

    Attributes
    ----------
    fits : mapping of str to ParametricFit
    nobs : int
    """

    title: ClassVar[str] = "Comparison of distributions"

    fits: Mapping[str, ParametricFit]
    nobs: int
    provenance: Provenance
    estimand: str = "information criteria"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per distribution, best AIC first: model, df, log_likelihood, aic, bic."""
        check_conf_level(conf_level)
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for information criteria")
        rows = [
            {
                "model": name,
                "df": fit.df,
                **fit.glance()[["log_likelihood", "aic", "bic"]].iloc[0].to_dict(),
            }
            for name, fit in self.fits.items()
        ]
        return pd.DataFrame(rows).sort_values("aic", ignore_index=True, kind="stable")

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [next(iter(self.fits.values())).n_events]})

    @property
    def best(self) -> ParametricFit:
        """The fit with the lowest AIC."""
        return self.fits[self.tidy()["model"].iloc[0]]

    def plot(self, ax: Axes | None = None) -> Axes:
        """AIC above that of the best distribution."""
        from dxa_causal.plots.style import COLOURS, new_axes

        table = self.tidy().iloc[::-1]
        ax = new_axes(ax, height=1.0 + 0.35 * len(table))
        ax.plot(table["aic"] - table["aic"].min(), np.arange(len(table)), "o", color=COLOURS[0])
        ax.set_yticks(np.arange(len(table)), list(table["model"]))
        ax.set_xlabel("AIC above the lowest")
        return ax


def compare_distributions(
    formula: str,
    data: Any,
    *,
    distributions: Sequence[Distribution] = _USUAL,
    parameterisation: Parameterisation | None = None,
    strata: str | None = None,
    entry: str | None = None,
    weights: str | None = None,
    weight_type: WeightType = "case",
    offset: str | None = None,
    missing: Missing = "drop",
) -> DistributionComparison:
    """Fit several distributions to the same rows and compare their information criteria.

    Parameters
    ----------
    formula, data
        As in :func:`parametric`.
    distributions : sequence of str
        Names of distributions as in :func:`parametric`, but "piecewise_exponential".
    parameterisation, strata, entry, weights, weight_type, offset, missing
        As in :func:`parametric`, for every fit; strata only where the distribution has a scale.

    Returns
    -------
    DistributionComparison

    Notes
    -----
    BIC counts rows. Compare what has been fitted to the same rows only: with
    covariates "aft" and "ph" of one distribution are different models.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 60 and time > 0")
    >>> table = dc.survival.compare_distributions(
    ...     "Surv(time, died) ~ age", cohort, distributions=["exponential", "weibull"]
    ... ).tidy()
    >>> table["model"].tolist()
    ['weibull', 'exponential']
    """
    names: list[Any] = [distributions] if isinstance(distributions, str) else list(distributions)
    if not names:
        raise OptionError("distributions is empty; name at least one")
    known = [d for d in get_args(Distribution) if d != "piecewise_exponential"]
    for name in names:
        check_option("distributions", name, known)
    fits: dict[str, ParametricFit] = {
        name: parametric(
            formula,
            data,
            distribution=name,
            parameterisation=None if name == "gompertz" and parameterisation == "aft" else parameterisation,
            strata=None if name == "exponential" else strata,
            entry=entry,
            weights=weights,
            weight_type=weight_type,
            offset=offset,
            missing=missing,
        )
        for name in names
    }
    first = fits[names[0]]
    call = format_call("survival.compare_distributions", formula, distributions=str(names))
    return DistributionComparison(fits, first.nobs, first.data.design.provenance(call))
