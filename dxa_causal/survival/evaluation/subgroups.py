"""Performance within subgroups: by age, sex, ancestry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import DxaCausalError, OptionError, PredictorError, column_not_found
from dxa_causal._core.options import check_conf_level, check_whole_number
from dxa_causal._design import to_pandas
from dxa_causal._design.groups import MAX_GROUPS
from dxa_causal.results import Provenance, Result
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.evaluation.performance import (
    USUAL,
    Measured,
    Performance,
    from_pooling_scale,
    measured,
    neutral,
    poolable,
    to_pooling_scale,
    why_missing,
)
from dxa_causal.survival.evaluation.predictions import evaluation_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

EVERYBODY = "all"


@dataclass(frozen=True, eq=False, repr=False)
class SubgroupEvaluation(Result):
    """Performance of models within subgroups.

    Attributes
    ----------
    measures : DataFrame
        group (column), level, n, n_event, model, metric, time, estimate, std_error, reason; the first rows are of all.
    min_events : int
    """

    title: ClassVar[str] = "Performance within subgroups"

    measures: pd.DataFrame
    min_events: int
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "predictive performance within a subgroup"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per subgroup, model, metric and time.

        Limits are symmetric as log odds for AUC and concordance, as logarithms for the ratio of observed to expected.
        """
        check_conf_level(conf_level)
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for measures of performance")
        z = float(special.ndtri(0.5 + conf_level / 2))
        table = self.measures.assign(conf_low=np.nan, conf_high=np.nan)
        for metric, own in self.measures.groupby("metric", sort=False):
            centre, error = to_pooling_scale(str(metric), own["estimate"].to_numpy(), own["std_error"].to_numpy())
            for name, sign in (("conf_low", -1), ("conf_high", 1)):
                table.loc[own.index, name] = from_pooling_scale(str(metric), centre + sign * z * error)
        return table[[c for c in table if c != "reason"] + ["reason"]]

    def heterogeneity(self) -> pd.DataFrame:
        """Tests that a metric is the same in all levels of a column.

        Returns
        -------
        DataFrame
            group (column), model, metric, time, statistic (Cochran's Q), df, p_value, reason.
        """
        rows = []
        by = ["group", "model", "metric", "time"]
        inside = self.measures[self.measures["group"] != EVERYBODY]
        for (group, model, metric, time), own in inside.groupby(by, sort=False, dropna=False):
            usable = own[poolable(metric, own)]
            value, error = to_pooling_scale(metric, usable["estimate"].to_numpy(), usable["std_error"].to_numpy())
            weight, df = 1 / error**2, len(usable) - 1
            q = p_value = np.nan
            if df > 0:
                q = float(weight @ (value - weight @ value / weight.sum()) ** 2)
                p_value = float(special.chdtrc(df, q))
            reason = "" if df > 0 else f"{len(usable)} levels with a standard error"
            rows.append((group, model, metric, time, q, df, p_value, reason))
        return pd.DataFrame(rows, columns=[*by, "statistic", "df", "p_value", "reason"])

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_groups."""
        levels = self.measures[["group", "level"]].drop_duplicates()
        number = int((levels["group"] != EVERYBODY).sum())
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events], "n_groups": [number]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the first metric, all rows on top."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        first = table.iloc[0]
        at = table["time"].isna() if np.isnan(first["time"]) else table["time"] == first["time"]
        own = table[(table["metric"] == first["metric"]) & at & table["estimate"].notna()]
        place = own["group"].where(own["group"] == EVERYBODY, own["group"] + ": " + own["level"].astype(str))
        names = place if table["model"].nunique() < 2 else place + ", " + own["model"]
        middle = neutral([first["metric"]])
        return forest(own.assign(term=names), effect_measure=first["metric"], reference=middle, log=False, ax=ax)


def evaluate_subgroups(
    models: Any,
    data: Any,
    horizons: npt.ArrayLike,
    *,
    by: Sequence[str],
    metrics: Sequence[Performance] = USUAL,
    outcome: str | None = None,
    cause: Any = None,
    min_events: int = 10,
) -> SubgroupEvaluation:
    """Judge predictions within the levels of columns.

    Parameters
    ----------
    models : mapping of str to model, or one model
        As of `evaluate`: fits, estimators, columns of `data` or arrays of risks.
    data : pandas or polars frame
    horizons : (k,) array_like
        Times by which the event is predicted, unit of the data.
    by : sequence of str
        Columns, each by itself: ``["sex", "age_group", "ancestry"]``. Cut numbers into bands first.
    metrics, outcome, cause
        As of `optimism`.
    min_events : int
        A subgroup with fewer events by the last horizon, or fewer rows still followed then, is not judged, and says so.

    Returns
    -------
    SubgroupEvaluation

    Notes
    -----
    Censoring weights are estimated within each subgroup. A lower AUC or concordance in a subgroup need not mean that
    the model works less well there: the narrower the spread of risk, the harder people are to tell apart; look at
    calibration beside it.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 65").dropna(subset=["grip_kg"])
    >>> fit = dc.survival.cox("Surv(time, died) ~ age + grip_kg", cohort.iloc[::2])
    >>> found = evaluate_subgroups(fit, cohort.iloc[1::2], 4, by=["sex"], metrics=["auc"])
    >>> found.tidy()["level"].tolist()
    ['all', 'female', 'male']
    """
    frame = to_pandas(data)
    check_whole_number("min_events", min_events, 0)
    names = [by] if isinstance(by, str) else list(dict.fromkeys(by))
    if not names:
        raise OptionError("by is empty; name at least one column, for instance by=['sex']")
    what = measured(metrics, horizons, outcome=outcome, cause=cause)
    for name in names:
        if name not in frame.columns:
            raise column_not_found(name, frame.columns, argument="by")
        if frame[name].nunique() > MAX_GROUPS:
            raise PredictorError(
                f"by: {name!r} has {frame[name].nunique()} values, more than {MAX_GROUPS}; cut them into bands first, "
                "for instance with pd.cut"
            )
    rows = evaluation_rows(models, frame, outcome=outcome, cause=cause)
    judged = frame.loc[rows.rows.keep, names].reset_index(drop=True)
    found = [_subgroup(rows, what, np.ones(len(judged), dtype=bool), min_events, EVERYBODY, EVERYBODY)]
    for name in names:
        codes, levels = pd.factorize(judged[name], sort=True)
        for code, level in enumerate(levels):
            found.append(_subgroup(rows, what, codes == code, min_events, name, level))
    # a subgroup that is not judged gets the rows of the others, with its reason
    shape = next((t[["model", "metric", "time"]] for t in found if "metric" in t), None)
    if shape is None:
        raise OptionError(f"no subgroup can be judged: {found[0]['reason'].iloc[0]}")
    table = pd.concat([t if "metric" in t else shape.merge(t, how="cross") for t in found], ignore_index=True)
    columns = ["group", "level", "n", "n_event", "model", "metric", "time", "estimate", "std_error", "reason"]
    missing = {name: int(judged[name].isna().sum()) for name in names if judged[name].isna().any()}
    provenance = rows.design.provenance(
        format_call("survival.evaluate_subgroups", list(rows.models), horizons=list(what.horizons), by=names)
    )
    notes = tuple(f"{n} rows without {name!r} count in all only" for name, n in missing.items())
    return SubgroupEvaluation(
        measures=table[columns],
        min_events=min_events,
        nobs=len(judged),
        n_events=int((rows.outcome.event == rows.code).sum()),
        provenance=Provenance(
            call=provenance.call,
            n_rows=provenance.n_rows,
            n_used=provenance.n_used,
            missing=provenance.missing,
            notes=(*provenance.notes, *notes),
        ),
    )


def _subgroup(
    rows: Any, what: Measured, here: npt.NDArray[np.bool_], min_events: int, group: str, level: Any
) -> pd.DataFrame:
    outcome, last = rows.outcome, max(what.horizons)
    events = int(((outcome.event == rows.code) & (outcome.time <= last) & here).sum())
    followed = int(((outcome.time > last) & here).sum())
    row = {"group": group, "level": level, "n": int(here.sum()), "n_event": events}
    reason = ""
    if events < min_events:
        reason = f"{events} events by {last:g}, fewer than min_events={min_events}"
    elif followed < min_events:
        reason = f"{followed} rows followed beyond {last:g}, fewer than min_events={min_events}"
    if not reason:
        models = {name: m[here] if isinstance(m, np.ndarray) else m for name, m in rows.models.items()}
        try:
            table = what.table(models, rows.frame[here])
        except DxaCausalError as error:
            reason = str(error)
        else:
            return table.assign(**row, reason=why_missing(table))
    return pd.DataFrame([{**row, "estimate": np.nan, "std_error": np.nan, "reason": reason}])
