"""Fraction of events attributable to an exposure, from a Cox model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, column_not_found, shown
from dxa_causal._core.options import check_conf_level
from dxa_causal._design.rows import columns_used
from dxa_causal.results import Provenance, Result, read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.attributable import Rows, baseline, mean_survival
from dxa_causal.survival.checks import stratum_codes
from dxa_causal.survival.cox import CoxFit
from dxa_causal.survival.step_curves import check_times, warn_beyond

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class AttributableFraction(Result):
    """Attributable fraction, of the event rate or of the risk up to given times.

    Attributes
    ----------
    times : (k,) ndarray or None
        None: of the rate.
    remaining : (k,) ndarray
        One minus the fraction: events without the exposure over events.
    log_std_error : (k,) ndarray
        Of the logarithm of `remaining`.
    exposure : str
    reference : object
    n_events : int
    """

    title: ClassVar[str] = "Attributable fraction"

    times: FloatArray | None
    remaining: FloatArray
    log_std_error: FloatArray
    exposure: str
    reference: Any
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "fraction of events attributable to the exposure"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per time (one in all for the rate): term, time, estimate, std_error, limits, reason."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a fraction")
        check_conf_level(conf_level)
        half = float(special.ndtri(0.5 + conf_level / 2)) * self.log_std_error
        times = np.full(1, np.nan) if self.times is None else self.times
        return pd.DataFrame(
            {
                "term": [self.exposure] * times.size,
                "time": times,
                "estimate": 1 - self.remaining,
                "std_error": self.remaining * self.log_std_error,
                "conf_low": 1 - self.remaining * np.exp(half),
                "conf_high": 1 - self.remaining * np.exp(-half),
                "reason": np.where(np.isnan(self.remaining), "no event up to this time", ""),
            }
        ).drop(columns=["time"] if self.times is None else [])

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """The fraction with its limits."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        label = "term" if self.times is None else "time"
        return forest(table, effect_measure="Attributable fraction", reference=0.0, log=False, label=label, ax=ax)

    def _notes(self) -> list[str]:
        what = "of the event rate" if self.times is None else "of the risk up to each time"
        return [f"{what}; without exposure: {self.exposure} = {self.reference}", *super()._notes()]


def attributable_fraction(
    fit: CoxFit, *, exposure: str, reference: Any = 0, times: npt.ArrayLike | None = None
) -> AttributableFraction:
    r"""Estimate which fraction of events would not happen without an exposure.

    Parameters
    ----------
    fit : CoxFit
        With the exposure and its confounders; one row per person, except for
        the fraction of the rate, which also takes start-stop rows with
        `cluster` naming the person.
    exposure : str
        Column.
    reference : object
        Its value without exposure, which the fit must have seen: a level, or a
        number within the range of the column.
    times : (k,) array_like, optional
        Horizons. None: the fraction of the event rate.

    Returns
    -------
    AttributableFraction

    Raises
    ------
    OptionError
        `reference` was not observed, or the fit is of a kind not taken.

    Notes
    -----
    Of the rate, with :math:`x_i^*` the covariates without exposure and the sum over
    events (Bruzzi et al.; for one binary exposure Miettinen's
    :math:`p_d (1 - 1/HR)`):

    .. math:: AF = 1 - \frac{1}{D} \sum_{i: event} e^{(x_i^* - x_i)'\hat\beta}.

    Of the risk up to t, from survival averaged over the rows analysed
    (Sjolander and Vansteelandt):

    .. math:: AF(t) = 1 - \frac{1 - \frac1n \sum_i \hat S(t \mid x_i^*)}{1 - \frac1n \sum_i \hat S(t \mid x_i)}.

    Standard errors come from the influence of each row (cluster) on
    coefficients, baseline hazard and averages; limits are those of
    :math:`\log(1 - AF)`. The fraction has a causal meaning when the model holds all
    confounders.

    References
    ----------
    Bruzzi P, et al. Am J Epidemiol 1985;122:904-914. doi:10.1093/oxfordjournals.aje.a114174
    Chen L, Lin DY, Zeng D. Biometrika 2010;97:713-726. doi:10.1093/biomet/asq023
    Sjolander A, Vansteelandt S. Stat Methods Med Res 2017;26:948-969. doi:10.1177/0962280214564003

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 50").dropna(subset=["grip_kg"])
    >>> cohort["weak"] = (cohort["grip_kg"] < 25).astype(int)
    >>> fit = dc.survival.cox("Surv(time, died) ~ weak + age + C(sex)", cohort)
    >>> table = attributable_fraction(fit, exposure="weak", times=[2, 4]).tidy()
    >>> bool((table["conf_low"] < table["estimate"]).all())
    True
    """
    _refuse(fit, exposure)
    frame = fit.design.rows.frame
    _refuse_unseen(frame[exposure], reference, is_factor=_is_factor(fit, exposure))
    changed, _ = fit.design.new(frame.assign(**{exposure: reference}))
    scale = fit.data.scale
    inverse = fit.covariance_model * np.outer(scale, scale)
    weight = fit.design.number(fit.weights, argument="weights")
    weight = np.ones(len(frame)) if weight is None else weight
    dfbeta = weight[:, None] * (fit.score_residuals / scale) @ inverse
    if times is None:
        horizons = None
        remaining, influence = _of_rate(fit, changed, weight, dfbeta)
    else:
        horizons = check_times(times)
        warn_beyond(horizons, float(fit.design.survival.time.max()))
        remaining, influence = _of_risk(fit, changed, weight, dfbeta, horizons)
    cluster = fit.design.column(fit.cluster)
    if cluster is not None:
        codes, labels = pd.factorize(cluster)
        summed = np.zeros((len(labels), influence.shape[1]))
        np.add.at(summed, codes, influence)
        influence = summed
    call = format_call("survival.attributable_fraction", exposure=exposure, reference=reference)
    return AttributableFraction(
        times=None if horizons is None else read_only(horizons),
        remaining=read_only(remaining),
        log_std_error=read_only(np.sqrt((influence**2).sum(axis=0))),
        exposure=exposure,
        reference=reference,
        nobs=fit.nobs,
        n_events=fit.n_events,
        provenance=fit.design.provenance(call.replace("(data", "(fit")),
    )


def _of_rate(fit: CoxFit, changed: FloatArray, weight: FloatArray, dfbeta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One minus the fraction, and the influence of rows on its logarithm, (n, 1)."""
    shift = (changed - fit.design.x) / fit.data.scale
    share = weight * fit.design.survival.event
    share = share / share.sum()
    ratio = np.exp(shift @ fit.estimate.beta)
    remaining = float(share @ ratio)
    influence = share * (ratio - remaining) + dfbeta @ ((share * ratio) @ shift)
    return np.array([remaining]), influence[:, None] / remaining


def _of_risk(
    fit: CoxFit, changed: FloatArray, weight: FloatArray, dfbeta: FloatArray, times: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """One minus the fraction at each time, and the influence of rows on its logarithm, (n, times)."""
    data, sets, beta = fit.data, fit.data.sets, fit.estimate.beta
    base = baseline(data, beta)
    codes, labels = stratum_codes(fit.design, fit.strata)
    stratum = np.zeros(weight.size, dtype=np.int64) if codes is None else codes
    offset = fit.design.number(fit.offset, argument="offset")
    offset = np.zeros(weight.size) if offset is None else offset
    actual, without = (Rows((x - data.centre) / data.scale, offset, weight, stratum) for x in (fit.design.x, changed))
    group_time = fit.times.distinct[sets.group_rank]
    first = np.searchsorted(sets.group_stratum, np.arange(max(len(labels), 1)))
    remaining, influence = np.full(times.size, np.nan), np.full((weight.size, times.size), np.nan)
    for k, t in enumerate(times):
        passed = np.bincount(sets.group_stratum, group_time <= t, first.size).astype(np.int64)
        if not passed.any():
            continue
        stop = np.where(passed > 0, first + passed - 1, -1)
        survival, change = mean_survival(base, data, actual, beta, dfbeta, stop)
        survival_without, change_without = mean_survival(base, data, without, beta, dfbeta, stop)
        remaining[k] = (1 - survival_without) / (1 - survival)
        influence[:, k] = change / (1 - survival) - change_without / (1 - survival_without)
    return remaining, influence


def _refuse(fit: CoxFit, exposure: str) -> None:
    if not isinstance(fit, CoxFit):
        raise OptionError(f"attributable_fraction needs a fit of survival.cox, not {type(fit).__name__}")
    fit.refuse_time_varying("an attributable fraction")
    for wrong, what in (
        (fit.ties == "exact", "ties='exact'"),
        (fit.ridge is not None, "a ridge"),
        (fit.firth, "Firth's correction"),
        (fit.weight_type == "frequency", "frequency weights; repeat the rows"),
    ):
        if wrong:
            raise OptionError(f"attributable_fraction is not there for a fit with {what}")
    if not isinstance(exposure, str):
        raise OptionError(f"exposure must be the name of a column, not {exposure!r}")
    used = columns_used(fit.design.parts.fixed, fit.design.rows.frame.columns)
    if exposure not in used:
        raise column_not_found(exposure, used, argument="exposure (covariates of the fit)")


def _is_factor(fit: CoxFit, name: str) -> bool:
    return re.search(rf"\bC\(\s*`?{re.escape(name)}`?\s*[,)]", fit.design.parts.fixed) is not None


def _refuse_unseen(values: pd.Series, reference: Any, *, is_factor: bool) -> None:
    """A reference outside of the data would be extrapolation, or no level at all."""
    name, numeric = str(values.name), pd.api.types.is_numeric_dtype(values.dtype)
    if numeric and not is_factor and not pd.api.types.is_bool_dtype(values.dtype):
        if not isinstance(reference, int | float | np.number) or not values.min() <= reference <= values.max():
            raise OptionError(
                f"reference={shown(reference)} was never observed: {name!r} lies between {values.min():g} and "
                f"{values.max():g}; give its value without exposure, within that range"
            )
        return
    levels = pd.unique(values)
    if reference not in list(levels):
        listed = ", ".join(shown(v) for v in sorted(levels, key=str)[:10])
        raise OptionError(
            f"reference={shown(reference)} was never observed in {name!r}, which holds {listed}; say which of them is "
            f"no exposure: reference={shown(min(levels, key=str))}"
        )
