"""Survival of times that are known only up to an interval: Turnbull's estimate, by group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import FormulaError, OptionError, shown
from dxa_causal._core.options import Missing, check_conf_level, check_option
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed, spawn
from dxa_causal._core.warnings import AllCensoredWarning, ConvergenceWarning, HorizonWarning, RiskSetWarning, warn
from dxa_causal._design import Groups, IntervalOutcome, read_groups
from dxa_causal.results import Provenance, Result, read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.interval_cox import baseline, maximise, prepare, resample
from dxa_causal.survival._kernels.turnbull import Support, innermost, spent
from dxa_causal.survival.step_curves import check_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
TurnbullError = Literal["none", "bootstrap"]
_BLOCK = 25  # samples per piece of work
_HALF_TOLERANCE = float(np.sqrt(np.finfo(np.float64).eps))


@dataclass(frozen=True, eq=False, repr=False)
class TurnbullFit(Result):
    """Survival by group from intervals.

    Attributes
    ----------
    groups : Groups
        Outcome and group of every row analysed.
    regions : DataFrame
        group, time_left, time_right, probability, estimate: every region (time_left, time_right] that can hold
        probability (a point where the two are equal), what it holds, and the survival after it. Where in a region its
        probability lies the data do not say.
    replicates : tuple of (n_resamples, m) ndarray
        Survival after each region in bootstrap samples, by group; empty without a bootstrap.
    log_likelihood : float
    gain : float
        Largest rate, relative to the number at risk, at which probability moved into a region would still raise the
        likelihood; zero at the maximum.
    """

    title: ClassVar[str] = "Turnbull's survival from interval-censored times"

    groups: Groups
    regions: pd.DataFrame
    replicates: tuple[FloatArray, ...]
    log_likelihood: float
    gain: float
    entry: str | None
    weights: str | None
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "survival probability"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per group and region with probability: its bounds, the probability, the survival after it.

        With a bootstrap also std_error and percentile limits of the survival.
        """
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a survival probability")
        check_conf_level(conf_level)
        table = self.regions
        if self.replicates:
            columns = [_spread(values, conf_level) for values in self.replicates]
            table = pd.concat([table, pd.concat(columns, ignore_index=True)], axis=1)
        return table[table["probability"] > 0].reset_index(drop=True)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_groups, log_likelihood."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "n_groups": [len(self.groups.labels)],
                "log_likelihood": [self.log_likelihood],
            }
        )

    def predict(self, times: npt.ArrayLike, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Survival at given times.

        Parameters
        ----------
        times : (k,) array_like
        conf_level : float

        Returns
        -------
        DataFrame
            group, time, estimate, bound_low, bound_high, and std_error,
            conf_low, conf_high after a bootstrap. Within a region any value
            between the bounds has the same likelihood; `estimate` falls in its
            middle, as R's survfit draws it (never where the region has no end).
        """
        check_conf_level(conf_level)
        given = check_times(times)
        frames = []
        for code, label in enumerate(self.groups.labels):
            own = self.regions[self.regions["group"] == label]
            left, right = own["time_left"].to_numpy(), own["time_right"].to_numpy()
            middle = np.where(np.isinf(right), np.inf, (left + right) / 2)
            after = np.concatenate([[1.0], own["estimate"]])
            place = np.searchsorted(middle, given, side="right")
            certain = np.searchsorted(right, given, side="right")
            begun = np.maximum(np.searchsorted(left, given, side="left"), certain)
            columns = {"time": given, "estimate": after[place], "bound_low": after[begun], "bound_high": after[certain]}
            frame = pd.DataFrame({"group": [label] * given.size, **columns})
            if self.replicates:
                values = np.column_stack([np.ones(len(self.replicates[code])), self.replicates[code]])[:, place]
                frame = pd.concat([frame, _spread(values, conf_level)], axis=1)
            last = _last_bound(self.groups, code)
            if given.max() > last:
                warn(
                    f"time {given.max():g} lies beyond the last bound ({last:g}); the last value is carried forward",
                    HorizonWarning,
                )
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def quantile(self, p: npt.ArrayLike = 0.5) -> pd.DataFrame:
        """Time by which a share p has had the event.

        Parameters
        ----------
        p : float or (k,) array_like

        Returns
        -------
        DataFrame
            group, p, estimate, time_left, time_right: the quantile lies in
            (time_left, time_right]; `estimate` is the middle, missing where
            the region has no end.
        """
        shares = check_times(p)
        if ((shares <= 0) | (shares >= 1)).any():
            raise OptionError(f"p={p!r} must lie strictly between 0 and 1")
        rows = []
        for label in self.groups.labels:
            own = self.regions[(self.regions["group"] == label) & (self.regions["probability"] > 0)]
            left, right, after = (own[c].to_numpy() for c in ("time_left", "time_right", "estimate"))
            for share in shares:
                i = int(np.flatnonzero(after <= 1 - share + _HALF_TOLERANCE)[0])
                # survival rests at the level until the next region
                j = i + 1 if abs(after[i] - (1 - share)) < _HALF_TOLERANCE and i + 1 < after.size else i
                middle = (left[i] + right[i] + left[j] + right[j]) / 4
                rows.append(
                    {
                        "group": label,
                        "p": share,
                        "estimate": middle if np.isfinite(middle) else np.nan,
                        "time_left": left[i],
                        "time_right": right[j],
                    }
                )
        return pd.DataFrame(rows)

    def median(self) -> pd.DataFrame:
        """Median time per group: its middle and the interval that holds it."""
        return self.quantile(0.5).drop(columns="p")

    def plot(self, ax: Axes | None = None, *, time_label: str | None = None) -> Axes:
        """Curves, with a shaded box where the data do not say how survival falls; `time_label` should name the unit."""
        from dxa_causal.plots.interval_curves import interval_curves

        outcome: IntervalOutcome = self.groups.outcome
        origin = 0.0 if outcome.entry is None else float(outcome.entry.min())
        return interval_curves(self.tidy(), origin=origin, time_label=time_label or "time", ax=ax)

    def _notes(self) -> list[str]:
        outcome: IntervalOutcome = self.groups.outcome
        notes = [kind_counts(outcome) + (f"; weights: {self.weights}" if self.weights else "")]
        if self.replicates:
            notes.append(f"limits from {len(self.replicates[0])} bootstrap samples of the rows of each group")
        else:
            notes.append("no limits: ask for std_error='bootstrap'")
        return notes + super()._notes()


def turnbull(
    formula: str,
    data: Any,
    *,
    entry: str | None = None,
    weights: str | None = None,
    std_error: TurnbullError = "none",
    n_resamples: int = 200,
    seed: Seed = None,
    n_jobs: int | None = None,
    progress: bool = False,
    missing: Missing = "drop",
) -> TurnbullFit:
    r"""Estimate survival without a model from times known up to an interval.

    Parameters
    ----------
    formula : str
        ``Surv(left, right, type='interval') ~ group``, or ``~ 1`` for one
        curve. The event lies in (left, right]; equal bounds are an exact time;
        left 0 (or -inf) is left-censored, right inf right-censored.
    data : pandas or polars frame
    entry : str, optional
        Column: start of observation of people who were free of the event then
        (left truncation).
    weights : str, optional
        Column of positive weights.
    std_error : {"none", "bootstrap"}
    n_resamples : int
        Bootstrap samples.
    seed : int, Generator or None
        The same seed gives the same samples for any `n_jobs`.
    n_jobs : int or None
    progress : bool
    missing : {"drop", "raise"}

    Returns
    -------
    TurnbullFit

    Warns
    -----
    AllCensoredWarning
        A group in which the event was never seen: its curve is flat.
    RiskSetWarning
        With `entry`, survival falls to zero while others enter only later.

    Notes
    -----
    Maximised is :math:`\sum_i w_i [\log\{S(L_i) - S(R_i)\} - \log S(V_i)]`
    over all survival curves. Only innermost intervals can hold probability;
    entry times end them as right bounds do (Alioum and Commenges). In the
    hazards of these regions the likelihood is concave; constrained Newton
    steps end when no region has a gradient above zero (relative to the number
    at risk, 1e-9), which EM alone reaches late or never.

    With exact and right-censored times only this is Kaplan-Meier's curve. Of
    narrow intervals the curve converges slowly (as the cube root of n) and the
    bootstrap is not exact; its limits are a guide.

    References
    ----------
    Turnbull BW. J R Stat Soc B 1976;38:290-295.
    Alioum A, Commenges D. Biometrics 1996;52:512-524.
    Wang Y. Comput Stat Data Anal 2008;52:2388-2402.

    Examples
    --------
    >>> import pandas as pd
    >>> visits = pd.DataFrame({"left": [0, 1, 2, 2], "right": [2, 3, 3, float("inf")]})
    >>> fit = turnbull("Surv(left, right, type='interval') ~ 1", visits)
    >>> fit.tidy()[["time_left", "time_right"]].values.tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    check_option("std_error", std_error, TurnbullError)
    check_resamples(n_resamples)
    groups = read_groups(formula, data, arguments={"entry": entry, "weights": weights}, missing=missing, interval=True)
    if not isinstance(groups.outcome, IntervalOutcome):
        raise FormulaError("turnbull needs Surv(left, right, type='interval'); of exact times use kaplan_meier")
    index = groups.rows.frame.index
    outcome = groups.outcome.observed_from(groups.rows.number(entry, argument="entry"), entry, index)
    groups = replace(groups, outcome=outcome)
    given = groups.rows.number(weights, argument="weights", positive=True)
    weight = np.ones(len(index)) if given is None else given
    frames, replicates = [], []
    seeds = spawn(seed, len(groups.labels))
    total, gain = 0.0, 0.0
    for code, label in enumerate(groups.labels):
        own = groups.codes == code
        where = f"group {shown(label)}" if groups.names else "the data"
        if not np.isfinite(outcome.right[own]).any():
            warn(f"the event was never seen in {where}: the curve is flat", AllCensoredWarning)
        support = innermost(
            outcome.left[own], outcome.right[own], None if outcome.entry is None else outcome.entry[own]
        )
        _warn_when_spent(support, where)
        sample = prepare(support, weight[own], "ph")
        none = np.empty((int(own.sum()), 0))
        found = maximise(sample, none)
        if not found.converged:
            warn(f"the estimate for {where} did not converge in {found.n_iter} steps", ConvergenceWarning)
        total, gain = total + found.log_likelihood, max(gain, found.gain)
        hazard = baseline(support, sample, found)
        frames.append(_table(label, support, hazard))
        if std_error == "bootstrap":
            work = _Draws(support, weight[own])
            draws = spawn(seeds[code], n_resamples)
            blocks = [draws[i : i + _BLOCK] for i in range(0, n_resamples, _BLOCK)]
            done = parallel_map(work, blocks, n_jobs=n_jobs, progress=progress, description=f"bootstrap of {where}")
            replicates.append(read_only(np.concatenate(list(done))))
    drawn = std_error == "bootstrap"
    call = format_call(
        "survival.turnbull",
        formula,
        entry=entry,
        weights=weights,
        std_error=std_error if drawn else None,
        n_resamples=n_resamples if drawn else None,
        seed=seed if drawn else None,
    )
    provenance = groups.provenance(call)
    return TurnbullFit(
        groups=groups,
        regions=pd.concat(frames, ignore_index=True),
        replicates=tuple(replicates),
        log_likelihood=total,
        gain=gain,
        entry=entry,
        weights=weights,
        nobs=len(index),
        n_events=outcome.n_events,
        provenance=replace(provenance, seed=seed) if drawn and isinstance(seed, int) else provenance,
    )


@dataclass(frozen=True, slots=True)
class _Draws:
    """Survival after each region in samples drawn with a block of generators; picklable."""

    support: Support
    weight: FloatArray

    def __call__(self, draws: list[np.random.Generator]) -> FloatArray:
        none = np.empty((self.weight.size, 0))
        hazards = [resample(self.support, self.weight, none, "ph", rng)[1] for rng in draws]
        survival: FloatArray = np.exp(-np.stack(hazards))
        return survival


def _warn_when_spent(support: Support, where: str) -> None:
    """Say that survival falls to zero while others enter only later."""
    gone = np.flatnonzero(spent(support))
    first = int(gone[0]) if gone.size else support.left.size
    later = int((support.entry > first).sum())
    if later:
        warn(
            f"in {where} nobody under observation is known to survive {support.right[first]:g}, so survival is 0 from "
            f"there on; {later} of {support.entry.size} rows enter only later. If that is early, start later, at a "
            "time s when enough are at risk: keep rows with right > s and set their entry and left to max(., s)",
            RiskSetWarning,
        )


def check_resamples(n_resamples: int) -> None:
    """Refuse fewer than two bootstrap samples."""
    if n_resamples < 2:
        raise OptionError(f"n_resamples={n_resamples!r} must be at least 2")


def kind_counts(outcome: IntervalOutcome) -> str:
    """How many rows are exact, left-, interval- and right-censored."""
    inside = np.isfinite(outcome.right) & ~outcome.exact & ~outcome.left_censored
    kinds = {
        "exact": outcome.exact,
        "left-censored": outcome.left_censored,
        "between two visits": inside,
        "right-censored": outcome.right_censored,
    }
    counts = ", ".join(f"{int(rows.sum())} {name}" for name, rows in kinds.items() if rows.any())
    return counts + ("" if outcome.entry is None else "; left-truncated at entry")


def _table(label: Any, support: Support, hazard: FloatArray) -> pd.DataFrame:
    before = np.concatenate([[0.0], hazard[:-1]])
    with np.errstate(invalid="ignore"):
        lost = np.where(np.isinf(before), 0.0, hazard - before)
    return pd.DataFrame(
        {
            "group": [label] * hazard.size,
            "time_left": support.left,
            "time_right": support.right,
            "probability": -np.exp(-before) * np.expm1(-lost),
            "estimate": np.exp(-hazard),
        }
    )


def _spread(values: FloatArray, conf_level: float) -> pd.DataFrame:
    """Standard error and percentile limits of the columns of replicates."""
    tail = (1 - conf_level) / 2
    low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    return pd.DataFrame({"std_error": values.std(axis=0, ddof=1), "conf_low": low, "conf_high": high})


def _last_bound(groups: Groups, code: int) -> float:
    own = groups.codes == code
    left, right = groups.outcome.left[own], groups.outcome.right[own]
    return float(np.where(np.isfinite(right), right, left).max())
