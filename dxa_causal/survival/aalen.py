"""Aalen's additive hazards model: effects that change freely with time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError
from dxa_causal._core.options import AalenTies, Missing, check_conf_level, check_option
from dxa_causal._core.warnings import HorizonWarning, warn
from dxa_causal._design import Design, build_design, refuse_collinear
from dxa_causal._numerics.times import RankedTimes, rank_times
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.aalen import AalenData, AalenSteps, break_ties, influence, prepare, steps
from dxa_causal.survival._kernels.risk_sets import build_risk_sets
from dxa_causal.survival.checks import refuse_empty_intervals
from dxa_causal.survival.step_curves import check_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PredictionType = Literal["coefficient", "survival", "cumulative_hazard"]
TestWeight = Literal["aalen", "n_risk"]
_BLOCK = 4_000_000  # values of events x rows held at a time


@dataclass(frozen=True, eq=False, repr=False)
class AalenFit(Result):
    """A fitted additive hazards model with cumulative coefficients B(t).

    Attributes
    ----------
    terms : tuple of str
        "Intercept" (the baseline) and the covariates.
    event_times : (e,) ndarray
        Times of the events used, increasing.
    increments : (e, p) ndarray
        What each event adds to B.
    horizon : float
        Time up to which B is estimated: the last time observed or `max_time`,
        or the last event whose risk set still determined the coefficients.
    robust : bool
    ties : {"break", "joint"}
    weights, cluster : str or None
    nobs, n_events : int
    """

    title: ClassVar[str] = "Aalen additive hazards model"

    terms: tuple[str, ...]
    event_times: FloatArray
    increments: FloatArray
    horizon: float
    max_time: float | None
    robust: bool
    ties: AalenTies
    weights: str | None
    cluster: str | None
    nobs: int
    n_events: int
    provenance: Provenance
    design: Design
    times: RankedTimes
    data: AalenData
    steps: AalenSteps
    estimand: str = "mean hazard difference"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term: hazard difference per unit of time, averaged over time, its test and limits.

        The average weighs times by how well they determine the coefficient;
        statistic and p-value are those of `tests` (R's ``aareg``).
        """
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for differences of hazards")
        total, variance, duration = self._weighted_sum("aalen")
        columns = wald_columns(total / duration, np.sqrt(np.diag(variance)) / duration, conf_level=conf_level)
        return pd.DataFrame({"term": list(self.terms), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events]})

    def predict(
        self,
        new: Any = None,
        *,
        type: PredictionType = "coefficient",
        times: npt.ArrayLike | None = None,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        """Cumulative coefficients at given times, or survival of given rows.

        Parameters
        ----------
        new : pandas or polars frame, optional
            Rows to predict for, those analysed when omitted. For coefficients,
            the times may stand here: ``fit.predict([1, 3, 5])``.
        type : {"coefficient", "survival", "cumulative_hazard"}
        times : (k,) array_like, optional
            All event times when omitted.
        conf_level : float

        Returns
        -------
        DataFrame
            term (or row), time, estimate, std_error, conf_low, conf_high;
            right-continuous. Limits of a survival probability are symmetric
            for its logarithm. The model lets a hazard be negative: a predicted
            curve may then rise, or exceed 1.
        """
        check_option("type", type, PredictionType)
        check_conf_level(conf_level)
        z = float(special.ndtri(0.5 + conf_level / 2))
        if type == "coefficient" and new is not None:
            if times is not None or hasattr(new, "columns"):
                raise OptionError("rows of new data have no coefficients; ask for type='survival'")
            times = new
        at = np.unique(self.event_times) if times is None else check_times(times)
        if (at > self.horizon).any():
            warn(
                f"time {at.max():g} lies beyond {self.horizon:g}, up to which the model is estimated; the last value "
                "is carried forward",
                HorizonWarning,
            )
        if type == "coefficient":
            x, names, key = np.eye(len(self.terms)), pd.Index(self.terms), "term"
        else:
            x, names = (self.design.x, self.design.index) if new is None else self.design.new(new)
            key = "row"
        estimate, std_error = (part.T.ravel() for part in self._combine(x, at))
        table = pd.DataFrame({key: np.repeat(names, at.size), "time": np.tile(at, len(x)), "estimate": estimate})
        low, high = estimate - z * std_error, estimate + z * std_error
        if type == "survival":
            survival = np.exp(-estimate)
            table["estimate"] = survival
            std_error, low, high = survival * std_error, np.exp(-high), np.exp(-low)
        return table.assign(std_error=std_error, conf_low=low, conf_high=high)

    def covariance_at(self, time: float) -> FloatArray:
        """Covariance of the cumulative coefficients at `time`, (p, p); the sandwich when `robust`."""
        if not self.robust:
            used = self.increments[self.event_times <= time]
            return np.asarray(used.T @ used)
        group_time = self.times.distinct[self.data.sets.group_rank]
        factor = np.repeat((group_time <= time)[:, None], len(self.terms), axis=1).astype(np.float64)
        return _outer(_by_cluster(influence(self.data, factor), self.data, self.design.column(self.cluster)))

    def tests(self, *, weight: TestWeight = "aalen") -> pd.DataFrame:
        """Tests that a term has no effect at any time, up to the horizon.

        Parameters
        ----------
        weight : {"aalen", "n_risk"}
            What the increments are multiplied by before they are added: the
            inverse of their variance up to a constant, or the number at risk.

        Returns
        -------
        DataFrame
            term, estimate (the weighted sum), std_error, statistic (normal),
            p_value: what R's ``aareg`` calls test statistic. As there, tied
            events share their risk set, and times with fewer at risk than
            three per covariate are left out (unless all are such).
        """
        total, variance, _ = self._weighted_sum(weight)
        columns = wald_columns(total, np.sqrt(np.diag(variance)))
        del columns["conf_low"], columns["conf_high"]
        return pd.DataFrame({"term": list(self.terms), **columns})

    def global_test(self, *, weight: TestWeight = "aalen") -> HypothesisTest | NotApplicable:
        """Test that no covariate has an effect at any time; weights as in `tests`."""
        method = f"Aalen's test (chi-square), weights: {'number at risk' if weight == 'n_risk' else weight}"
        total, variance, _ = self._weighted_sum(weight)
        total, variance = total[1:], variance[1:, 1:]
        df = total.size
        if df == 0 or np.linalg.matrix_rank(variance) < df:
            return NotApplicable("there is no covariate" if df == 0 else "fewer events than covariates", method)
        statistic = float(total @ np.linalg.solve(variance, total))
        return HypothesisTest(statistic, df, float(special.chdtrc(df, statistic)), method, "no covariate has an effect")

    def plot(self, ax: Axes | None = None, *, term: str | None = None, time_label: str | None = None) -> Axes:
        """Cumulative coefficient of one term (the first covariate) with pointwise limits."""
        from dxa_causal.plots.cumulative import cumulative_coefficient

        term = self.terms[min(1, len(self.terms) - 1)] if term is None else term
        check_option("term", term, self.terms)
        at = np.unique(self.event_times)
        at = at[at <= self.horizon]
        if self.robust:  # each time costs a pass over the data
            at = at[np.unique(np.linspace(0, at.size - 1, 100).round().astype(int))]
        table = self.predict(times=at)
        time_label = time_label or self.design.survival.time_name
        return cumulative_coefficient(table[table["term"] == term], term=term, time_label=time_label, ax=ax)

    def _notes(self) -> list[str]:
        return [
            f"estimated up to time {self.horizon:g}; tied events: {self.ties}"
            + (f"; weights: {self.weights}" if self.weights else "")
            + ("; robust standard errors" if self.robust else "")
            + (f", clustered on {self.cluster}" if self.cluster else ""),
            str(self.global_test()),
        ] + super()._notes()

    def _combine(self, x: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray]:
        """x'B(t) of each row of `x` at each time, and its standard error; both (k, m)."""
        place = np.searchsorted(self.event_times, at, side="right")
        estimate, variance = np.empty((at.size, len(x))), np.empty((at.size, len(x)))
        for rows in np.array_split(np.arange(len(x)), 1 + len(x) * self.event_times.size // _BLOCK):
            part = np.concatenate([np.zeros((1, rows.size)), self.increments @ x[rows].T])
            estimate[:, rows] = np.cumsum(part, axis=0)[place]
            if not self.robust:
                variance[:, rows] = np.cumsum(part**2, axis=0)[place]
        if self.robust:
            for k, time in enumerate(at):
                variance[k] = np.einsum("ij,jk,ik->i", x, self.covariance_at(float(time)), x)
        return estimate, np.sqrt(variance)

    @cached_property
    def _joint(self) -> tuple[AalenData, AalenSteps, FloatArray]:
        """Data, increments and event times with the risk set of tied events in common."""
        times, data, found = self.times, self.data, self.steps
        if (np.diff(times.distinct) == 0).any():
            outcome = self.design.survival
            times = rank_times(outcome.time, outcome.entry)
            event = _events_until(self.max_time, times, outcome.event)
            weight = self.design.number(self.weights, argument="weights")
            data = prepare(self.design.x, build_risk_sets(times, event, None), weight)
            found = steps(data)
        return data, found, times.distinct[data.sets.group_rank]

    def _weighted_sum(self, weight: TestWeight) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Weighted sum of the increments, its covariance, and the weights integrated over time."""
        check_option("weight", weight, TestWeight)
        data, found, time = self._joint
        used = found.determined & (found.n_risk >= 3 * (len(self.terms) - 1))
        if used.sum() < 2:
            used = found.determined
        factor = np.zeros_like(found.variance_factor)
        factor[used] = 1 / found.variance_factor[used] if weight == "aalen" else found.n_risk[used, None]
        parts = factor[found.group] * found.increments
        per_unit = parts
        if self.robust:
            per_unit = _by_cluster(influence(data, factor), data, self.design.column(self.cluster))
        entry = self.design.survival.entry
        start = 0.0 if entry is None else float(entry.min())
        return parts.sum(axis=0), _outer(per_unit), np.diff(time, prepend=start) @ factor


def aalen_additive(
    formula: str,
    data: Any,
    *,
    max_time: float | None = None,
    weights: str | None = None,
    cluster: str | None = None,
    robust: bool | None = None,
    ties: AalenTies = "break",
    missing: Missing = "drop",
) -> AalenFit:
    r"""Fit Aalen's additive hazards model by least squares at each event.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ covariates`` or ``Surv(entry, time, event) ~
        covariates``, one row per subject or, for covariates that change, per
        interval.
    data : pandas or polars frame
    max_time : float, optional
        Events after it are not used. The estimate grows unstable as few stay
        at risk, so a time of interest is worth giving.
    weights : str, optional
        Column of positive weights; implies `robust`.
    cluster : str, optional
        Column naming the unit whose rows belong together; implies `robust`.
    robust : bool, optional
        Standard errors from each row's (cluster's) contribution in place of
        the martingale variance. None: when weights or clusters are given.
    ties : {"break", "joint"}
        "break" takes tied events one after the other, in the order of the
        rows, each leaving the risk set before the next (R's ``timereg``, which
        draws the order of three or more at random). "joint": tied events share
        the risk set (R's ``aareg``).
    missing : {"drop", "raise"}

    Returns
    -------
    AalenFit

    Raises
    ------
    OutcomeError
        No event up to `max_time`, or too few at risk from the start.
    CollinearityError
        A column is a linear combination of others; it is named.

    Warns
    -----
    HorizonWarning
        `max_time` lies beyond the time where the risk set determines the
        coefficients.

    Notes
    -----
    The hazard is :math:`\lambda(t \mid x) = \beta_0(t) + \beta(t)'x` and
    :math:`B(t) = \int_0^t \beta`. With X(t) the rows (1, x) at risk,

    .. math::

        \hat B(t) = \sum_{s \le t} (X'WX)^{-1} X'W\, dN(s), \qquad
        \widehat{\mathrm{var}}\, \hat B(t) = \sum_{s \le t} (X'WX)^{-1} X'W\,
        \mathrm{diag}(dN(s))\, WX (X'WX)^{-1}.

    At a time whose risk set leaves the coefficients undetermined the estimate
    does not move. The robust variance sums squares of
    :math:`\int (X'WX)^{-1} w_i x_i (dN_i - Y_i x_i' d\hat B)` over rows or
    clusters. Cost: O(n p^2 + events p^3).

    References
    ----------
    Aalen OO. Stat Med 1989;8:907-925. doi:10.1002/sim.4780080803
    Scheike TH, Zhang MJ. Scand J Stat 2002;29:75-88. doi:10.1111/1467-9469.00065

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 50")
    >>> fit = dc.survival.aalen_additive("Surv(time, died) ~ age + grip_kg", cohort, max_time=4)
    >>> fit.predict([2, 4])["term"].tolist()
    ['Intercept', 'Intercept', 'age', 'age', 'grip_kg', 'grip_kg']
    """
    check_option("ties", ties, AalenTies)
    arguments = {"weights": weights, "cluster": cluster}
    design = build_design(formula, data, arguments=arguments, missing=missing, intercept=True)
    outcome = design.survival
    weight = design.number(weights, argument="weights", positive=True)
    refuse_collinear(design)
    if cluster is not None and design.rows.frame[cluster].nunique() < 2:
        raise PredictorError(f"cluster={cluster!r} has one value in the rows analysed; robust errors need several")
    times = rank_times(outcome.time, outcome.entry)
    refuse_empty_intervals(design, times)
    last = min(float(outcome.time.max()), np.inf if max_time is None else max_time)
    event = _events_until(max_time, times, outcome.event)
    if not event.any():
        until = "" if max_time is None else f" up to max_time={max_time:g}"
        raise OutcomeError(f"no event{until} in the {event.size} rows analysed, so no hazard can be estimated")
    broken = break_ties(times, event) if ties == "break" else times
    prepared = prepare(design.x, build_risk_sets(broken, event, None), weight)
    found = steps(prepared)
    group_time = broken.distinct[prepared.sets.group_rank]
    horizon, notes = _horizon(found.determined, group_time, last, len(design.terms))
    if max_time is not None and horizon < last:
        warn(notes[-1], HorizonWarning)
    if robust is None:
        robust = weights is not None or cluster is not None
    call = format_call(
        "survival.aalen_additive", formula, max_time=max_time, **arguments, robust=robust or None, ties=ties
    )
    return AalenFit(
        terms=tuple(design.terms),
        event_times=read_only(group_time[found.group]),
        increments=read_only(found.increments),
        horizon=horizon,
        max_time=max_time,
        robust=robust,
        ties=ties,
        weights=weights,
        cluster=cluster,
        nobs=event.size,
        n_events=int(event.sum()),
        provenance=design.provenance(call, notes=notes),
        design=design,
        times=broken,
        data=prepared,
        steps=found,
    )


def _events_until(max_time: float | None, times: RankedTimes, event: IntArray) -> IntArray:
    return event if max_time is None else np.where(times.distinct[times.rank] <= max_time, event, 0)


def _horizon(
    determined: npt.NDArray[np.bool_], group_time: FloatArray, last: float, p: int
) -> tuple[float, tuple[str, ...]]:
    """Time up to which the coefficients are estimated, and what to say of event times that are left out."""
    good = np.flatnonzero(determined)
    if good.size == 0:
        raise OutcomeError(
            f"at no event time do the rows at risk determine the {p} coefficients: fewer rows than coefficients, or "
            "terms that do not vary among them"
        )
    notes = []
    early = int((~determined[: good[-1]]).sum())
    if early:
        notes.append(f"{early} event times before {group_time[good[-1]]:g} have too few at risk and add nothing")
    late = determined.size - 1 - int(good[-1])
    if late == 0:
        return last, tuple(notes)
    horizon = float(group_time[good[-1]])
    notes.append(
        f"estimated up to {horizon:g}: at the {late} later event times the rows at risk do not determine the "
        "coefficients"
    )
    return horizon, tuple(notes)


def _by_cluster(values: FloatArray, data: AalenData, cluster: pd.Series | None) -> FloatArray:
    """Sums over the rows of a cluster, rows in the order of the risk sets."""
    if cluster is None:
        return values
    codes, labels = pd.factorize(cluster)
    total = np.zeros((len(labels), values.shape[1]))
    np.add.at(total, codes[data.sets.order], values)
    return total


def _outer(values: FloatArray) -> FloatArray:
    return np.asarray(values.T @ values)
