"""Likelihood-ratio comparison of nested Cox models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError
from dxa_causal.results import Provenance, Result, read_only
from dxa_causal.survival._kernels.cox import maximise
from dxa_causal.survival._kernels.exact import maximise_exact
from dxa_causal.survival.cox import CoxFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Anova(Result):
    """Likelihood-ratio tests, one per step from a smaller to a larger model.

    Attributes
    ----------
    terms : tuple of str
        What was added.
    log_likelihoods : (k + 1,) ndarray
        Of the smallest model, then after each step.
    statistics, dfs, p_values : (k,) ndarray
    """

    title: ClassVar[str] = "Analysis of deviance (likelihood-ratio tests)"

    terms: tuple[str, ...]
    log_likelihoods: FloatArray
    statistics: FloatArray
    dfs: FloatArray
    p_values: FloatArray
    nobs: int
    provenance: Provenance
    estimand: str = "twice the gain in log-likelihood"

    @property
    def statistic(self) -> float:
        """Chi-square of the last step: the only one when two models are compared."""
        return float(self.statistics[-1])

    @property
    def df(self) -> float:
        """Degrees of freedom of the last step."""
        return float(self.dfs[-1])

    @property
    def p_value(self) -> float:
        """P-value of the last step."""
        return float(self.p_values[-1])

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per step: term (what was added), log_likelihood (after it), statistic, df, p_value."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a test")
        return pd.DataFrame(
            {
                "term": list(self.terms),
                "log_likelihood": self.log_likelihoods[1:],
                "statistic": self.statistics,
                "df": self.dfs,
                "p_value": self.p_values,
            }
        )

    def glance(self) -> pd.DataFrame:
        """One row: nobs, log_likelihood (largest model), log_likelihood_null (smallest)."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "log_likelihood": [self.log_likelihoods[-1]],
                "log_likelihood_null": [self.log_likelihoods[0]],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Bars of the chi-square of each step, less its degrees of freedom."""
        from dxa_causal.plots.coefficients import bars

        return bars(list(self.terms), self.statistics - self.dfs, label="Chi-square less degrees of freedom", ax=ax)


def anova(*fits: CoxFit) -> Anova:
    """Compare nested Cox models, or the terms of one, by likelihood ratio.

    Parameters
    ----------
    *fits : CoxFit
        Two or more fits to the same rows, smaller before larger; or one fit,
        whose terms are then added one after another as in R.

    Returns
    -------
    Anova

    Raises
    ------
    OptionError
        Fits to different rows, outcomes, strata, weights or handling of ties;
        not nested; robust or penalised.

    Notes
    -----
    The partial likelihood of a fit with robust errors has no likelihood-ratio
    distribution; test its terms with ``fit.wald(terms)``.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 50 and grip_kg > 0")
    >>> small = dc.survival.cox("Surv(time, died) ~ age", cohort)
    >>> large = dc.survival.cox("Surv(time, died) ~ age + rcs(grip_kg, 4)", cohort)
    >>> anova(small, large).tidy()["df"].tolist()
    [3.0]
    """
    if not fits or not all(isinstance(f, CoxFit) for f in fits):
        raise OptionError("anova needs one fit of survival.cox, or several from small to large")
    for fit in fits:
        if fit.robust:
            raise OptionError(
                "anova: a fit with robust standard errors has no likelihood-ratio test; use fit.wald([...])"
            )
        if fit.ridge is not None or fit.firth:
            raise OptionError("anova: penalised fits cannot be compared by likelihood ratio")
    if len(fits) == 1:
        return _sequential(fits[0])
    for small, large in zip(fits[:-1], fits[1:]):
        _refuse_unlike(small, large)
    names = tuple(f"{b.design.parts.fixed} vs {a.design.parts.fixed}" for a, b in zip(fits[:-1], fits[1:]))
    sizes = np.array([len(f.terms) for f in fits], dtype=np.float64)
    return _anova(names, np.array([f.log_likelihood for f in fits]), np.diff(sizes), fits[-1])


def _anova(terms: tuple[str, ...], log_likelihoods: FloatArray, dfs: FloatArray, fit: CoxFit) -> Anova:
    statistics = np.maximum(2 * np.diff(log_likelihoods), 0.0)
    return Anova(
        terms=terms,
        log_likelihoods=read_only(log_likelihoods),
        statistics=read_only(statistics),
        dfs=read_only(dfs),
        p_values=read_only(special.chdtrc(dfs, statistics)),
        nobs=fit.nobs,
        provenance=fit.provenance,
    )


def _sequential(fit: CoxFit) -> Anova:
    if fit.time_varying:
        raise OptionError("anova of a single fit takes no time_varying; fit the smaller model and compare the two")
    if not fit.terms:
        raise OptionError("anova: the fit has no terms")
    values = [fit.log_likelihood_null]
    used: list[int] = []
    search = maximise_exact if fit.ties == "exact" else maximise
    for own in fit.design.term_columns.values():
        used += own
        whole = len(used) == len(fit.terms)
        values.append(fit.log_likelihood if whole else search(fit.data.select(used)).log_likelihood)
    dfs = np.array([float(len(own)) for own in fit.design.term_columns.values()])
    return _anova(tuple(fit.design.term_columns), np.array(values), dfs, fit)


def _refuse_unlike(small: CoxFit, large: CoxFit) -> None:
    for what in ("ties", "strata", "weights", "weight_type", "offset"):
        a, b = getattr(small, what), getattr(large, what)
        if a != b:
            raise OptionError(f"anova: the fits differ in {what} ({a!r} and {b!r}); only their terms may differ")
    a, b = small.design, large.design
    if a.parts.outcome != b.parts.outcome:
        raise OptionError(f"anova: the fits have different outcomes, {a.parts.outcome} and {b.parts.outcome}")
    if len(a.index) != len(b.index) or not a.index.equals(b.index):
        raise OptionError(
            f"anova: the fits used different rows ({len(a.index)} and {len(b.index)}); missing values in one model "
            "only? Drop the rows incomplete in any of them first"
        )
    if not np.array_equal(a.survival.time, b.survival.time) or not np.array_equal(a.survival.event, b.survival.event):
        raise OptionError("anova: the fits used different times or events")
    if len(small.terms) >= len(large.terms):
        raise OptionError(
            f"anova: give the smaller model first; they have {len(small.terms)} and {len(large.terms)} coefficients"
        )
    if small.terms and a.x.size:
        # every column of the smaller model must be a combination of those of the larger one
        basis = np.column_stack([np.ones(len(b.x)), b.x])
        scale = np.sqrt((basis**2).mean(axis=0))
        fitted, *_ = np.linalg.lstsq(basis / scale, a.x, rcond=None)
        rest = a.x - basis / scale @ fitted
        spread = np.sqrt((a.x**2).mean(axis=0))
        outside = np.sqrt((rest**2).mean(axis=0)) > 1e-6 * spread
        if outside.any() and not large.time_varying:
            named = ", ".join(small.terms[k] for k in np.flatnonzero(outside))
            raise OptionError(f"anova: the models are not nested; the larger one cannot express {named}")
