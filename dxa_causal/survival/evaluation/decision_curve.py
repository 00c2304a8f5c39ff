"""Decision curves: what acting on a predicted risk gains, by the threshold at which one acts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.results import Provenance, Result, Summary, read_only, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.evaluation.forecasts import Forecasts, read_cuts, read_forecasts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

TREAT_ALL, TREAT_NONE = "treat all", "treat none"
NET_BENEFIT, STANDARDISED, AVOIDED = "net benefit", "standardised net benefit", "interventions avoided per 100"
_SHOWN = 9  # thresholds in a summary


@dataclass(frozen=True, eq=False, repr=False)
class DecisionCurve(Result):
    """Net benefit of acting on predicted risks at or above a threshold.

    Attributes
    ----------
    models : tuple of str
    thresholds : (t,) ndarray
    net_benefit : (t, k) ndarray
        Missing where the risk among those above the threshold is not known.
    prevalence : float
        Observed risk (by the horizon).
    covariance : (t, k + 1, k + 1) ndarray
        Of the net benefits and, last, the prevalence.
    reasons : (t, k) ndarray of str
        Why a net benefit is missing; empty where it is not.
    horizon : float or None
    """

    title: ClassVar[str] = "Decision curve"

    models: tuple[str, ...]
    thresholds: FloatArray
    net_benefit: FloatArray
    prevalence: float
    covariance: FloatArray
    reasons: npt.NDArray[np.str_]
    horizon: float | None
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "net benefit"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Metric by model and threshold, also of treating all and none.

        Metrics: the net benefit, the same divided by the prevalence ("standardised"), and, for models, the
        interventions avoided per 100 people without missing an event, against treating all.
        """
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a net benefit")
        odds = self.thresholds / (1 - self.thresholds)
        frames = []
        for name in (*self.models, TREAT_ALL, TREAT_NONE):
            weights, constant = self._combination(name)
            value = self._value(weights, constant)
            reasons = self.reasons[:, self.models.index(name)] if name in self.models else ""
            standard = weights / self.prevalence
            standard[:, -1] -= value / self.prevalence**2
            parts = [(NET_BENEFIT, value, weights), (STANDARDISED, value / self.prevalence, standard)]
            if name in self.models:
                all_weights, all_constant = self._combination(TREAT_ALL)
                factor = 100.0 / odds
                gain = (value - self._value(all_weights, all_constant)) * factor
                parts.append((AVOIDED, gain, (weights - all_weights) * factor[:, None]))
            for metric, estimate, slope in parts:
                columns = wald_columns(estimate, self._std_error(slope), conf_level=conf_level)
                keep = ("estimate", "std_error", "conf_low", "conf_high")
                frames.append(
                    pd.DataFrame(
                        {"model": name, "metric": metric, "threshold": self.thresholds}
                        | {k: columns[k] for k in keep}
                        | {"reason": reasons}
                    )
                )
        return pd.concat(frames, ignore_index=True)

    def differences(self, reference: str | None = None, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Net benefit of every model less that of `reference`.

        Parameters
        ----------
        reference : str, optional
            A model, "treat all" or "treat none"; the first model when omitted, treating all where there is one model.
        conf_level : float

        Returns
        -------
        DataFrame
            model, reference, threshold, estimate, std_error, statistic, p_value, conf_low, conf_high.
        """
        if reference is None:
            reference = self.models[0] if len(self.models) > 1 else TREAT_ALL
        check_option("reference", reference, (*self.models, TREAT_ALL, TREAT_NONE))
        base, start = self._combination(reference)
        frames = []
        for name in (m for m in self.models if m != reference):
            weights, constant = self._combination(name)
            difference = self._value(weights, constant) - self._value(base, start)
            columns = wald_columns(difference, self._std_error(weights - base), conf_level=conf_level)
            frames.append(
                pd.DataFrame({"model": name, "reference": reference, "threshold": self.thresholds, **columns})
            )
        return pd.concat(frames, ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, prevalence."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events], "prevalence": [self.prevalence]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Net benefit against threshold, with bands, beside treating all and none."""
        from dxa_causal.plots.decision_curve import decision_curve as draw

        table = self.tidy()
        return draw(table[table["metric"] == NET_BENEFIT], ax=ax)

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Net benefits at some of the thresholds."""
        table = self.tidy(conf_level=conf_level)
        places = np.unique(np.linspace(0, self.thresholds.size - 1, _SHOWN).astype(int))
        few = table[(table["metric"] == NET_BENEFIT) & table["threshold"].isin(self.thresholds[places])]
        return Summary(self.title, [few.drop(columns="metric"), self.glance()], self._notes())

    def _combination(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Weights (t, k + 1) of the estimates in the net benefit of a strategy, and its constant."""
        t, k = self.net_benefit.shape
        weights, odds = np.zeros((t, k + 1)), self.thresholds / (1 - self.thresholds)
        if name == TREAT_ALL:
            weights[:, -1] = 1 + odds
            return weights, -odds
        if name != TREAT_NONE:
            weights[:, self.models.index(name)] = 1.0
        return weights, np.zeros(t)

    def _value(self, weights: FloatArray, constant: FloatArray) -> FloatArray:
        estimates = np.column_stack([self.net_benefit, np.full(len(self.thresholds), self.prevalence)])
        return np.asarray(constant + _weighted(weights, estimates))

    def _std_error(self, weights: FloatArray) -> FloatArray:
        variance, size = (
            _weighted(w, np.stack([_weighted(w, row) for row in np.moveaxis(values, 1, 0)], axis=1))
            for w, values in ((weights, self.covariance), (np.abs(weights), np.abs(self.covariance)))
        )
        # who treats all by another name differs from it by rounding only
        return np.asarray(np.sqrt(np.where(variance > 1e-12 * size, variance, np.where(np.isnan(size), np.nan, 0.0))))

    def _notes(self) -> list[str]:
        by = "" if self.horizon is None else f" by {self.horizon:g}"
        notes = [f"observed risk{by}: {self.prevalence:.4g}"]
        missing = int((self.reasons != "").sum())
        if missing:
            notes.append(f"{missing} net benefits are not known; column reason of tidy() says why")
        return [*notes, *super()._notes()]


def _weighted(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Row sums of a product in which a weight of zero hides a missing value."""
    return np.asarray(np.where(weights == 0, 0.0, weights * values).sum(axis=1))


def decision_curve(
    models: Any,
    data: Any = None,
    *,
    horizon: float | None = None,
    thresholds: npt.ArrayLike | None = None,
    outcome: Any = None,
    cause: Any = None,
) -> DecisionCurve:
    r"""Net benefit of acting when the predicted risk reaches a threshold.

    Parameters
    ----------
    models : mapping of str to model, or one model
        Fits of this package, scikit-learn estimators, columns of `data` or arrays of risks.
    data : pandas or polars frame
        Rows to judge on; not needed where risks and a binary outcome are arrays.
    horizon : float, optional
        Time by which the event counts, unit of the data. None: the outcome is binary.
    thresholds : (t,) array_like, optional
        Risks at which one would act, between 0 and 1; 0.01, 0.02, ..., 0.5 when omitted.
    outcome : str or (n,) array_like, optional
        ``"Surv(time, event)"`` (that of the fits when omitted), or the column or array of a binary outcome.
    cause : optional
        The cause that counts, where there are several.

    Returns
    -------
    DecisionCurve

    Notes
    -----
    With a share :math:`\pi` of people at or above the threshold p and the risk F observed among them, the net
    benefit is :math:`\pi \{F - (1 - F) \, p / (1 - p)\}`: events found, less the others weighed by the odds at which
    one is willing to act. F is the proportion for a binary outcome, one minus Kaplan-Meier at the horizon, or
    Aalen-Johansen with competing causes (who dies of another cause does not have the event). Standard errors come
    from the influence of each row on :math:`\pi` and F; the predictions count as given.

    References
    ----------
    Vickers AJ, Elkin EB. Med Decis Making 2006;26:565-574. doi:10.1177/0272989X06295361
    Vickers AJ, et al. BMC Med Inform Decis Mak 2008;8:53. doi:10.1186/1472-6947-8-53

    Examples
    --------
    >>> risk, died = [0.1, 0.2, 0.3, 0.6, 0.7, 0.9], [0, 0, 1, 0, 1, 1]
    >>> curve = decision_curve({"score": risk}, outcome=died, thresholds=[0.25, 0.5])
    >>> curve.tidy().query("metric == 'net benefit'")["estimate"].round(4).tolist()
    [0.4444, 0.1667, 0.3333, 0.0, 0.0, 0.0]
    """
    at = np.arange(1, 51) / 100 if thresholds is None else read_cuts("thresholds", thresholds)
    if not at.size:
        raise OptionError("thresholds is empty; give at least one risk at which one would act")
    forecasts = read_forecasts(models, data, horizon=horizon, outcome=outcome, cause=cause)
    for taken in {TREAT_ALL, TREAT_NONE} & set(forecasts.models):
        raise OptionError(f"{taken!r} is the name of a strategy; call the model something else")
    everybody = forecasts.shares()
    value, covariance, reasons = _curve(forecasts, at, everybody)
    call = format_call(
        "survival.decision_curve",
        list(forecasts.models),
        horizon=horizon,
        thresholds=at.tolist() if at.size <= 6 else f"{at[0]:g} to {at[-1]:g}",
        outcome=outcome if isinstance(outcome, str) else None,
        cause=cause,
    )
    return DecisionCurve(
        models=forecasts.models,
        thresholds=read_only(at),
        net_benefit=read_only(value),
        prevalence=float(everybody.mean()),
        covariance=read_only(covariance),
        reasons=reasons,
        horizon=forecasts.horizon,
        nobs=forecasts.n,
        n_events=forecasts.n_events,
        provenance=replace(forecasts.provenance, call=call),
    )


def _curve(
    forecasts: Forecasts, thresholds: FloatArray, everybody: FloatArray
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.str_]]:
    """Net benefits (t, k), their covariance with the prevalence, and why some are missing."""
    n, k = forecasts.risk.shape
    value = np.empty((thresholds.size, k))
    covariance = np.empty((thresholds.size, k + 1, k + 1))
    reasons = np.full(value.shape, "", dtype="<U80")
    for i, threshold in enumerate(thresholds):
        odds = threshold / (1 - threshold)
        gain = np.zeros((n, k + 1))
        gain[:, k] = everybody
        for j in range(k):
            above = forecasts.risk[:, j] >= threshold
            reasons[i, j] = forecasts.unknown(above) if above.any() else ""
            if reasons[i, j]:
                gain[:, j] = np.nan
            elif above.any():
                gain[above, j] = (1 + odds) * forecasts.shares(above) - odds
        mean = gain.mean(axis=0)
        value[i] = mean[:k]
        deviation = gain - mean
        covariance[i] = deviation.T @ deviation / n**2
    reasons.flags.writeable = False
    return value, covariance, reasons
