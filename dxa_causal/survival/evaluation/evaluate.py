"""Discrimination and accuracy of predicted risks in a test set, with limits and tests of differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import DxaCausalError, OptionError, OutcomeError
from dxa_causal._core.options import check_option
from dxa_causal.results import Provenance, Result, Summary, read_only, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.evaluation.measures import (
    NULL,
    Block,
    auc_blocks,
    brier_blocks,
    check_horizons,
    concordance_block,
    judged,
    refuse_outside,
)
from dxa_causal.survival.evaluation.predictions import EvaluationRows, evaluation_rows, read_horizons, risk_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Metric = Literal["auc", "brier", "ipa", "ibs", "concordance_harrell", "concordance_uno"]
Controls = Literal["all", "event_free"]
AtHorizon = Literal["case", "neither"]
Integration = Literal["horizons", "all_times"]

METRICS: tuple[Metric, ...] = ("auc", "brier", "ipa", "ibs", "concordance_harrell", "concordance_uno")
_BY_RISK = {"brier", "ipa", "ibs"}
_LIMITS = ("estimate", "std_error", "conf_low", "conf_high")


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Result):
    """How well models predict the rows of a test set.

    Attributes
    ----------
    models : tuple of str
    horizons : (k,) ndarray
    metrics : tuple of str
    blocks : tuple of Block
        Estimates of a metric at a time, one per model, and their covariance.
    reference : str or None
        Model that differences are taken from; None for all pairs.
    cause : object
    nobs, n_events : int
        Rows judged, and events of the cause among them (by any time).
    """

    title: ClassVar[str] = "Evaluation of predictions"

    models: tuple[str, ...]
    horizons: FloatArray
    metrics: tuple[str, ...]
    blocks: tuple[Block, ...]
    reference: str | None
    cause: Any
    integration: Integration
    nobs: int
    n_events: int
    provenance: Provenance
    rows: EvaluationRows
    estimand: str = "predictive performance"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per metric, model and time: model, metric, time, estimate, std_error, conf_low, conf_high.

        The time of a concordance is the one up to which events count, missing where all do. Limits are estimate plus
        or minus normal quantiles of the standard error, kept within 0 and 1 (not those of the IPA, which may be
        negative).
        """
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for measures of predictive performance")
        estimates = np.concatenate([b.estimates for b in self.blocks])
        errors = np.sqrt(np.concatenate([np.diag(b.covariance) for b in self.blocks]))
        columns = wald_columns(estimates, errors, conf_level=conf_level)
        table = pd.DataFrame(
            {
                "model": [model for b in self.blocks for model in b.models],
                "metric": [b.metric for b in self.blocks for _ in b.models],
                "time": [b.time for b in self.blocks for _ in b.models],
                **{name: columns[name] for name in _LIMITS},
            }
        )
        bounded = table["metric"] != "ipa"
        table.loc[bounded, "conf_low"] = table.loc[bounded, "conf_low"].clip(lower=0.0)
        table["conf_high"] = table["conf_high"].clip(upper=1.0)
        order = {name: i for i, name in enumerate((NULL, *self.models))}
        place = [table["metric"].map(METRICS.index), table["model"].map(order), table["time"]]
        return table.iloc[np.lexsort([np.asarray(p) for p in reversed(place)])].reset_index(drop=True)

    def differences(self, reference: str | None = None, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Metric of a model less that of a reference on the same rows, with the test of no difference.

        Parameters
        ----------
        reference : str, optional
            A model, or "Null model" for Brier scores; that of the evaluation when omitted, and if it has none every
            earlier model in turn.
        conf_level : float

        Returns
        -------
        DataFrame
            model, reference, metric, time, estimate, std_error, statistic (z), p_value, conf_low, conf_high. The test
            is missing where two models predict alike, so that the standard error is zero.
        """
        reference = self.reference if reference is None else reference
        if reference is not None:
            check_option("reference", reference, (*self.models, NULL))
        lines, values = [], []
        for b in self.blocks:
            chosen = (
                range(len(b.models)) if reference is None else [i for i, m in enumerate(b.models) if m == reference]
            )
            for i in chosen:
                others = range(i + 1, len(b.models)) if reference is None else range(len(b.models))
                for j in (j for j in others if j != i):
                    lines.append((b.models[j], b.models[i], b.metric, b.time))
                    values.append(b.difference(j, i))
        table = pd.DataFrame(lines, columns=["model", "reference", "metric", "time"])
        estimate, std_error = np.array(values, dtype=np.float64).reshape(-1, 2).T
        table = table.assign(**wald_columns(estimate, std_error, conf_level=conf_level))
        place = table["metric"].map({name: i for i, name in enumerate(METRICS)})
        return table.assign(place=place).sort_values("place", kind="stable", ignore_index=True).drop(columns="place")

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events]})

    def plot(self, ax: Axes | None = None, *, metric: Metric | None = None, time_label: str | None = None) -> Axes:
        """One panel per metric with the limits of every model; or one metric on given axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes for one metric; a new figure with all of them when omitted.
        metric : str, optional
            The metric to draw; the first when `ax` is given and it is omitted.
        time_label : str, optional
            Should name the unit; how the formula calls the time when omitted.

        Returns
        -------
        Axes
            The first panel; its ``figure`` holds them all. Where all predictions are risks the last panel is the
            calibration at the last horizon.
        """
        from dxa_causal.plots.evaluation import evaluation_figure, evaluation_panel

        if metric is not None:
            check_option("metric", metric, self.metrics)
        label = time_label or self.rows.outcome.time_name
        table = self.tidy()
        if ax is None and metric is None:
            further = [self._draw_calibration] if self._has_risks else []
            return evaluation_figure(table, self.models, time_label=label, further=further)
        chosen = metric or self.metrics[0]
        return evaluation_panel(table[table["metric"] == chosen], self.models, time_label=label, ax=ax)

    def summary(self, conf_level: float = 0.95) -> Summary:
        """The table, differences between models, and where the rows come from."""
        tables = [self.tidy(conf_level=conf_level)]
        if len(self.models) > 1:
            change = self.differences(conf_level=conf_level)
            tables.append(change[(change["reference"] != NULL) & (change["std_error"] > 0)].reset_index(drop=True))
        return Summary(self.title, [*tables, self.glance()], self._notes())

    @property
    def _has_risks(self) -> bool:
        """Whether all predictions are probabilities."""
        risks = self.rows.risks(self.horizons[-1:]).values()
        return all(bool(((risk >= 0.0) & (risk <= 1.0)).all()) for risk in risks)

    def _draw_calibration(self, ax: Axes) -> None:
        from dxa_causal.survival.evaluation.calibration import calibration

        rows, horizon = self.rows, float(self.horizons[-1])
        risks = {name: risk[:, 0] for name, risk in rows.risks([horizon]).items()}
        try:
            calibration(risks, rows.frame, horizon=horizon, outcome=rows.formula, cause=rows.cause).plot(ax)
        except DxaCausalError as error:  # too few events for a smooth curve, say
            ax.text(0.5, 0.5, fill(f"No calibration curve: {error}", 40), ha="center", va="center", fontsize="small")
            ax.set_axis_off()

    def _notes(self) -> list[str]:
        notes = ["standard errors hold the estimation of the censoring weights, but not of the models"]
        if {"concordance_harrell", "concordance_uno"} & set(self.metrics):
            notes[0] += " (concordance: weights taken as known)"
        if "ibs" in self.metrics and self.integration == "horizons":
            notes.append(
                "ibs: Brier scores at the horizons, each held until the next, from 0 at time 0 (as riskRegression), "
                "so that the first is 0; "
                "integration='all_times' integrates over every time"
            )
        return [*notes, *super()._notes()]


def evaluate(
    models: Any,
    data: Any,
    horizons: npt.ArrayLike,
    *,
    outcome: str | None = None,
    cause: Any = None,
    metrics: Sequence[str] = METRICS,
    censoring_strata: str | None = None,
    controls: Controls = "all",
    at_horizon: AtHorizon = "case",
    integration: Integration = "horizons",
    tau: float | None = None,
    reference: str | None = None,
) -> Evaluation:
    r"""Judge predicted risks in a test set: AUC(t), Brier score, IPA and concordance of one or several models.

    Parameters
    ----------
    models : model or mapping of str to model
        A model is a fit of this package that predicts survival or a cumulative incidence (Cox, Fine-Gray,
        cause-specific, parametric, ...); an estimator with scikit-survival's ``predict_survival_function`` (a pipeline
        too), fitted on a frame; a column of `data`; or an array of risks, (n,) or (n, k).
    data : pandas or polars frame
        The test set. Rows count that are complete in the outcome and in what all models need.
    horizons : (k,) array_like
        Times by which the event is predicted, unit of the data.
    outcome : str, optional
        ``Surv(time, event)``; that of the fits when omitted.
    cause : object, optional
        Cause predicted; that of the fits when omitted.
    metrics : sequence of str
        Of "auc", "brier", "ipa", "ibs", "concordance_harrell", "concordance_uno".
    censoring_strata : str, optional
        Column; the censoring distribution is estimated within its values. One marginal Kaplan-Meier curve when
        omitted, which asks that censoring depends on nothing in the models.
    controls : {"all", "event_free"}
        Whether rows that failed from another cause by the horizon are controls of the AUC too.
    at_horizon : {"case", "neither"}
        An event exactly at the horizon is a case of the AUC (riskRegression), or left out (timeROC).
    integration : {"horizons", "all_times"}
        The integrated Brier score takes the scores at the horizons, each held until the next, as riskRegression does
        (so the first is 0), or by the trapezoidal rule those at every distinct time of the test set (at 250, evenly
        spread over them, where there are more).
    tau : float, optional
        Events after it do not count for concordance. When omitted, all count for Harrell's and those up to the last
        horizon for Uno's, whose weights grow without bound.
    reference : str, optional
        Model that differences are taken from; all pairs when omitted.

    Returns
    -------
    Evaluation

    Raises
    ------
    OptionError
        A horizon that nobody is observed beyond (the last usable one is named), or beyond the follow-up of the rows a
        model was fitted on.
    OutcomeError
        No event by a horizon, delayed entry.
    PredictorError
        A Brier score of numbers that are no risks.

    Notes
    -----
    A row with an event by t weighs :math:`1 / \hat G(T-)`, one observed beyond t :math:`1 / \hat G(t)`, one censored
    before t nothing; :math:`\hat G` is the Kaplan-Meier estimate of the censoring times in the test set. The AUC is the
    weighted share of pairs of a case (event of the cause by t) and a control in which the case has the higher risk; the
    Brier score the mean of :math:`w(t) \{1(\text{case}) - \hat F(t)\}^2`; the IPA one less its ratio to that of the
    null model, which predicts the Kaplan-Meier or Aalen-Johansen estimate of the test set for everyone.

    Standard errors come from influence functions that hold the estimation of :math:`\hat G` (Blanche et al. 2013);
    those of concordances take the weights as known, as R's survival does. The models count as given: limits are those
    for these models in new rows, so data the models were fitted on flatter them. With other causes of failure a
    concordance pairs a case with those who go on longer and with those who failed from another cause before
    (Wolbers et al. 2014). All costs are O(n log n).

    References
    ----------
    Blanche P, Dartigues JF, Jacqmin-Gadda H. Stat Med 2013;32:5381-5397. doi:10.1002/sim.5958
    Gerds TA, Schumacher M. Biom J 2006;48:1029-1040. doi:10.1002/bimj.200610301
    Kattan MW, Gerds TA. Diagn Progn Res 2018;2:7. doi:10.1186/s41512-018-0029-2
    Uno H, et al. Stat Med 2011;30:1105-1117. doi:10.1002/sim.4154
    Wolbers M, et al. Biostatistics 2014;15:526-539. doi:10.1093/biostatistics/kxt059

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 60").dropna(subset=["grip_kg"])
    >>> train, test = cohort.iloc[::2], cohort.iloc[1::2]
    >>> fits = {"age": dc.survival.cox("Surv(time, died) ~ age", train),
    ...         "with grip": dc.survival.cox("Surv(time, died) ~ age + grip_kg", train)}
    >>> judged = dc.survival.evaluate(fits, test, horizons=[5], metrics=["auc"])
    >>> judged.tidy()[["model", "metric", "time"]].to_dict("records")[1]
    {'model': 'with grip', 'metric': 'auc', 'time': 5.0}
    """
    chosen = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    for metric in chosen:
        check_option("metrics", metric, Metric)
    if not chosen:
        raise OptionError("metrics is empty; name at least one, for instance metrics=['auc', 'brier']")
    check_option("controls", controls, Controls)
    check_option("at_horizon", at_horizon, AtHorizon)
    check_option("integration", integration, Integration)
    if tau is not None and not (isinstance(tau, int | float | np.number) and tau > 0):
        raise OptionError(f"tau={tau!r} must be a positive time")
    times = read_horizons(horizons)
    rows = evaluation_rows(
        models, data, outcome=outcome, cause=cause, columns=[] if censoring_strata is None else [censoring_strata]
    )
    if reference is not None:
        check_option("reference", reference, (*rows.models, NULL))
    if NULL in rows.models:
        raise OptionError(f"{NULL!r} is the name of the null model; call the model something else")
    strata = None
    if censoring_strata is not None:
        strata = np.asarray(pd.factorize(rows.frame[censoring_strata], sort=True)[0], dtype=np.int64)
    known = judged(rows.outcome, rows.code, strata)
    if not known.of_cause.any():
        raise OutcomeError(f"no event in the {len(rows.frame)} rows judged of {rows.formula!r}")
    check_horizons(times, known)
    at_horizons = rows.risks(times)
    blocks: list[Block] = []
    if "auc" in chosen:
        blocks += auc_blocks(at_horizons, times, known, controls=controls, at_horizon=at_horizon)
    if _BY_RISK & set(chosen):
        refuse_outside(at_horizons, rows.frame.index)
        blocks += brier_blocks(
            lambda at: at_horizons if at is times else rows.risks(at),
            times,
            known,
            metrics=chosen,
            integration=integration,
        )
    if {"concordance_harrell", "concordance_uno"} & set(chosen):
        scores = risk_scores(rows.models, rows.frame, float(times[-1]), cause=rows.cause)
        for weighting, until in (("harrell", tau), ("uno", times[-1] if tau is None else tau)):
            if f"concordance_{weighting}" in chosen:
                blocks += concordance_block(scores, known, weighting=weighting, tau=until)
    call = format_call(
        "survival.evaluate",
        f"{{{', '.join(map(repr, rows.models))}}}",
        horizons=times.tolist(),
        outcome=outcome,
        cause=cause,
        metrics=None if chosen == METRICS else list(chosen),
        censoring_strata=censoring_strata,
        controls=None if controls == "all" else controls,
        at_horizon=None if at_horizon == "case" else at_horizon,
        integration=None if integration == "horizons" else integration,
        tau=tau,
    )
    return Evaluation(
        models=tuple(rows.models),
        horizons=read_only(times),
        metrics=tuple(m for m in METRICS if m in chosen),
        blocks=tuple(blocks),
        reference=reference,
        cause=rows.cause,
        integration=integration,
        nobs=len(rows.frame),
        n_events=int(known.of_cause.sum()),
        provenance=rows.design.provenance(call),
        rows=rows,
    )
