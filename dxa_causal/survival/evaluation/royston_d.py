"""Royston and Sauerbrei's D and measures of explained variation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError
from dxa_causal._core.options import check_conf_level
from dxa_causal._design import SurvivalOutcome
from dxa_causal.results import Provenance, Result
from dxa_causal.survival._kernels.normal_scores import implied_concordance, normal_scores
from dxa_causal.survival.cox import CoxFit, cox
from dxa_causal.survival.evaluation.predictions import evaluation_rows, name_models, risk_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

SCALE = float(np.sqrt(8 / np.pi))  # mean distance of the upper from the lower half of a normal score
_EXTREME = np.pi**2 / 6  # variance of the error of a proportional hazards model


@dataclass(frozen=True, eq=False, repr=False)
class RoystonD(Result):
    """Prognostic separation of models.

    Attributes
    ----------
    measures : DataFrame
        model, metric, estimate, std_error. Metrics: "D", the log hazard ratio of the upper against the lower half of
        the ranks; "R2_D", the variation it explains; "R2_KO", Kent and O'Quigley's from the variance of the linear
        predictor; "R2_N", Nagelkerke's, on the rows of a fit only; "concordance (Gönen-Heller)".
    adjusted : bool
    """

    title: ClassVar[str] = "Prognostic separation (Royston and Sauerbrei)"

    measures: pd.DataFrame
    adjusted: bool
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "prognostic separation"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per model and metric; `std_error` of D and R2_D, limits of R2_D from those of D."""
        check_conf_level(conf_level)
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning here; D itself is a log hazard ratio")
        z = float(special.ndtri(0.5 + conf_level / 2))
        table = self.measures.copy()
        low = table["estimate"] - z * table["std_error"]
        high = table["estimate"] + z * table["std_error"]
        share = (table["metric"] == "R2_D").to_numpy()
        if not self.adjusted:
            d = np.flatnonzero(share) - 1  # D stands before its R2
            ends = np.column_stack([low.to_numpy()[d], high.to_numpy()[d]])
            squares = _explained(ends / SCALE)
            low[share] = np.where(ends[:, 0] * ends[:, 1] < 0, 0.0, squares.min(axis=1))
            high[share] = squares.max(axis=1)
        reason = np.where(table["std_error"].isna(), "no standard error is known", "")
        return table.assign(conf_low=low, conf_high=high, reason=reason)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """D of each model with its limits."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        own = table[table["metric"] == "D"].rename(columns={"model": "term"})
        return forest(own, effect_measure="D", reference=0.0, log=False, ax=ax)


def royston_d(
    models: Any, data: Any = None, *, outcome: str | None = None, adjust: bool = False, ties: bool = True
) -> RoystonD:
    r"""Royston and Sauerbrei's D and related measures of explained variation.

    Parameters
    ----------
    models : CoxFit, or mapping of str to model
        Cox fits; with `data` also other models that rank rows, columns of scores or arrays.
    data : pandas or polars frame, optional
        Rows to judge on; those of each fit when omitted.
    outcome : str, optional
        ``"Surv(time, event)"``; that of the fits when omitted.
    adjust : bool
        Correct D for the number of coefficients, on the rows of the fit only.
    ties : bool
        Rows with one prediction share the mean of their normal scores; False: the score of their mean rank.

    Returns
    -------
    RoystonD

    Notes
    -----
    The ranks of the linear predictor become normal scores :math:`z_i = \Phi^{-1}\{(r_i - 3/8) / (n + 1/4)\}`; with
    the coefficient b of z in a Cox model, :math:`D = b \sqrt{8 / \pi}` and
    :math:`R^2_D = b^2 / (\pi^2 / 6 + b^2)`. On new rows the linear predictor is first recalibrated by a Cox model, as
    in R's ``survival::royston``. Strata and weights of the fit are not used.

    References
    ----------
    Royston P, Sauerbrei W. Stat Med 2004;23:723-748. doi:10.1002/sim.1621
    Gönen M, Heller G. Biometrika 2005;92:965-970. doi:10.1093/biomet/92.4.965

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhefs")
    >>> fit = dc.survival.cox("Surv(survtime, death) ~ age + C(sex)", cohort)
    >>> float(royston_d(fit).tidy().set_index("metric").loc["D", "estimate"].round(2))
    1.99
    """
    named = name_models(models)
    rows = []
    if data is None:
        for name, fit in named.items():
            if not isinstance(fit, CoxFit):
                raise OptionError(f"model {name!r} is a {type(fit).__name__}: give data and outcome to judge it on")
            own = _measures(fit.linear_predictor, fit.design.survival, ties=ties)
            rows += _rows(name, _adjusted(own, fit) if adjust else own, _nagelkerke(fit))
        fits = list(named.values())
        if len({fit.nobs for fit in fits}) > 1:
            raise OptionError("the fits have different rows; give data to judge them on the same")
        first = fits[0]
        nobs, n_events, provenance = first.nobs, first.n_events, first.provenance
    else:
        if adjust:
            raise OptionError("adjust=True corrects for the coefficients fitted on the same rows; leave data out")
        found = evaluation_rows(models, data, outcome=outcome)
        if len(found.outcome.causes) > 1:
            raise OutcomeError(f"{found.formula}: D is defined for one kind of event, not for {found.outcome.causes}")
        scores = risk_scores(found.models, found.frame, float(np.median(found.outcome.time)), cause=found.cause)
        for name, score in scores.items():
            once = _cox_of(score, found.outcome, name)
            rows += _rows(name, _measures(once.linear_predictor, found.outcome, ties=ties), None)
        nobs, n_events = len(found.frame), int(found.outcome.event.sum())
        provenance = found.design.provenance("")
    call = f"survival.royston_d({list(named)}{'' if data is None else ', data'}, adjust={adjust}, ties={ties})"
    return RoystonD(
        measures=pd.DataFrame(rows, columns=["model", "metric", "estimate", "std_error"]),
        adjusted=adjust,
        nobs=nobs,
        n_events=n_events,
        provenance=replace(provenance, call=call),
    )


@dataclass(frozen=True, slots=True)
class _Separation:
    d: float
    d_error: float
    explained: float
    explained_error: float
    kent: float
    concordance: float


def _cox_of(score: FloatArray, outcome: SurvivalOutcome, name: str) -> CoxFit:
    if np.ptp(score) == 0:
        raise PredictorError(f"model {name!r} predicts the same for all {score.size} rows: nothing is separated")
    data = pd.DataFrame({"time": outcome.time, "event": outcome.event, "score": score})
    if outcome.entry is None:
        return cox("Surv(time, event) ~ score", data)
    return cox("Surv(entry, time, event) ~ score", data.assign(entry=outcome.entry))


def _explained(b: FloatArray) -> FloatArray:
    return np.asarray(b**2 / (_EXTREME + b**2))


def _measures(eta: FloatArray, outcome: SurvivalOutcome, *, ties: bool) -> _Separation:
    fit = _cox_of(normal_scores(eta, average_ties=ties), outcome, "model")
    b, se = float(fit.coefficients[0]), float(np.sqrt(fit.covariance[0, 0]))
    variance = float(np.var(eta, ddof=1))
    return _Separation(
        d=b * SCALE,
        d_error=se * SCALE,
        explained=float(_explained(np.array(b))),
        explained_error=2 * abs(b) * _EXTREME / (_EXTREME + b**2) ** 2 * se,
        kent=variance / (_EXTREME + variance),
        concordance=implied_concordance(eta),
    )


def _adjusted(found: _Separation, fit: CoxFit) -> _Separation:
    """D with the share of explained variation corrected as in linear regression."""
    b = found.d / SCALE
    if fit.n_events <= len(fit.terms):
        raise OptionError(f"adjust=True needs more events ({fit.n_events}) than coefficients ({len(fit.terms)})")
    ratio = fit.n_events / (fit.n_events - len(fit.terms))
    left = (1 + b**2 - ratio) / ratio
    slope = abs(b) / (ratio * np.sqrt(abs(left)))
    # the share counts the error's variance as one, as in R
    explained = 1 - ratio / (1 + b**2)
    explained_error = 2 * ratio * abs(b) / (1 + b**2) ** 2 * found.d_error / SCALE
    d = float(np.sign(b) * np.sign(left) * np.sqrt(abs(left)) * SCALE)
    return replace(found, d=d, d_error=found.d_error * slope, explained=explained, explained_error=explained_error)


def _nagelkerke(fit: CoxFit) -> float:
    n = fit.nobs
    gain = 2 * (fit.log_likelihood - fit.log_likelihood_null)
    return float(-np.expm1(-gain / n) / -np.expm1(2 * fit.log_likelihood_null / n))


def _rows(name: str, found: _Separation, nagelkerke: float | None) -> list[tuple[str, str, float, float]]:
    rows = [
        (name, "D", found.d, found.d_error),
        (name, "R2_D", found.explained, found.explained_error),
        (name, "R2_KO", found.kent, np.nan),
    ]
    if nagelkerke is not None:
        rows.append((name, "R2_N", nagelkerke, np.nan))
    return [*rows, (name, "concordance (Gönen-Heller)", found.concordance, np.nan)]
