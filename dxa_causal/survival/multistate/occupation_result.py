"""Shares of people in the states over time, found without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, shown
from dxa_causal._core.options import ConfType, check_conf_level, check_option
from dxa_causal._design import Groups
from dxa_causal.results import Provenance, Result, Summary
from dxa_causal.survival._kernels.state_occupation import Occupation, occupation
from dxa_causal.survival._kernels.transition_probabilities import TransitionHazards, follow, without_covariates
from dxa_causal.survival.multistate.histories import Histories
from dxa_causal.survival.step_curves import check_times, given_weights, probability_limits, warn_beyond

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TransitionVariance = Literal["greenwood", "aalen"]


@dataclass(frozen=True, eq=False, repr=False)
class StateOccupationFit(Result):
    """Aalen-Johansen estimate of the probabilities of the states, by group.

    Attributes
    ----------
    groups : Groups
        Outcome and group of every row analysed.
    states : tuple
        The state everybody starts in first, where there is one.
    steps : DataFrame
        group, time, state, n_risk (in the state just before), n_event (moves
        into it), estimate, std_error, one row per state and distinct exit time
        of a group; sums of weights for a weighted fit.
    at_start : DataFrame
        group, state, estimate, std_error before the first step.
    id : str
        Column that names the person.
    initial, weights, cluster : str or None
    conf_type : str
        Scale of the limits.
    nobs, n_events, n_persons : int
        Rows, changes of state, persons.
    histories : Histories
    """

    title: ClassVar[str] = "Aalen-Johansen state occupation"

    groups: Groups
    states: tuple[Any, ...]
    steps: pd.DataFrame
    at_start: pd.DataFrame
    id: str
    initial: str | None
    weights: str | None
    cluster: str | None
    conf_type: ConfType
    nobs: int
    n_events: int
    n_persons: int
    provenance: Provenance
    histories: Histories
    estimand: str = "probability of being in a state"

    @property
    def transitions(self) -> pd.DataFrame:
        """Number of rows that lead from a state (index) to another or to the end of observation (columns)."""
        return self.histories.counts()

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per group, exit time and state: n_risk, n_event, estimate, std_error, limits."""
        if exponentiate:
            raise OptionError(f"exponentiate=True has no meaning for a {self.estimand}")
        return self._with_limits(self.steps, conf_level)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_groups."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events], "n_groups": [len(self.groups.labels)]})

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Moves into each state and its probability at the last time, per group."""
        table = self.tidy(conf_level)
        last = table.groupby(["group", "state"], sort=False).tail(1).drop(columns="n_risk")
        moves = table.groupby(["group", "state"], sort=False)["n_event"].sum().to_numpy()
        return Summary(self.title, [last.assign(n_event=moves), self.transitions.reset_index()], self._notes())

    def predict(self, times: npt.ArrayLike, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Probability of every state at given times, right-continuous.

        Parameters
        ----------
        times : (k,) array_like
        conf_level : float

        Returns
        -------
        DataFrame
            group, time, state, estimate, std_error, conf_low, conf_high, n_risk
            (in the state just before the time).
        """
        at = check_times(times)
        frames = []
        for label, step in self.steps.groupby("group", sort=False):
            warn_beyond(at, float(step["time"].max()))
            ahead = self.at_start[self.at_start["group"] == label]
            for state, own in step.groupby("state", sort=False):
                place = np.searchsorted(own["time"].to_numpy(), at, side="right")
                before = ahead[ahead["state"] == state]
                frame = pd.DataFrame({"group": [label] * at.size, "time": at, "state": [state] * at.size})
                for name in ("estimate", "std_error"):
                    frame[name] = np.concatenate([before[name], own[name]])[place]
                frame["n_risk"] = self._at_risk(label, state, at)
                frames.append(frame)
        table = self._with_limits(pd.concat(frames, ignore_index=True), conf_level)
        return table[["group", "time", "state", "estimate", "std_error", "conf_low", "conf_high", "n_risk"]]

    def length_of_stay(self, tau: float, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Mean time in every state from time zero to `tau`, with jackknife errors.

        Parameters
        ----------
        tau : float
            Horizon, in the unit of the times.
        conf_level : float

        Returns
        -------
        DataFrame
            group, state, time (the horizon), estimate, std_error, conf_low, conf_high.

        Notes
        -----
        The area under the occupation of the state. With delayed entry the
        time before the first move counts as spent where those at risk at that
        move are.
        """
        check_conf_level(conf_level)
        horizon = float(check_times(tau)[0])
        if not 0 < horizon < np.inf:
            raise OptionError(f"tau={tau!r} must be a positive number, the horizon in the unit of the times")
        frames = []
        for code, label in enumerate(self.groups.labels):
            found = follow_group(self.groups, self.histories, self.weights, self.cluster, code, horizon)
            warn_beyond(np.array([horizon]), float(self.histories.times.distinct[found.place[-1]]))
            columns = {"group": [label] * len(self.states), "state": list(self.states), "time": horizon}
            errors = np.sqrt(found.area_variance)
            frames.append(pd.DataFrame({**columns, "estimate": found.area, "std_error": errors}))
        return plain_limits(pd.concat(frames, ignore_index=True), conf_level)

    def transition_probabilities(
        self,
        times: npt.ArrayLike | None = None,
        *,
        start: float = 0.0,
        variance: TransitionVariance = "greenwood",
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        r"""Probability of every state at time t for those in a state at time s.

        Parameters
        ----------
        times : (k,) array_like, optional
            Times t; all after `start` at which somebody moves when omitted.
        start : float
            Time s.
        variance : {"greenwood", "aalen"}
            Moves out of a state at one time as multinomial, or as independent Poisson numbers.
        conf_level : float

        Returns
        -------
        DataFrame
            group, from, state, time, estimate, std_error, conf_low, conf_high.

        Notes
        -----
        :math:`\hat P(s, t) = \prod_{u \in (s, t]} \{I + d\hat A(u)\}` with the covariance of Andersen et al. (1993),
        (4.4.17)-(4.4.20), as R's ``mstate`` and ``etm``: it takes rows as independent, and the process as Markov (only
        the present state matters for what comes next). The occupation itself needs no such assumption.

        References
        ----------
        Andersen PK, Borgan O, Gill RD, Keiding N. Statistical models based on counting processes. Springer, 1993.
        """
        check_option("variance", variance, TransitionVariance)
        check_conf_level(conf_level)
        frames = []
        for code, label in enumerate(self.groups.labels):
            hazards = self.hazards(code, greenwood=variance == "greenwood")
            at = hazards.after(start).time if times is None else np.sort(check_times(times))
            if (at < start).any():
                raise OptionError(f"times: {at[0]:g} lies before start={start:g}")
            warn_beyond(at, float(self.steps.loc[self.steps["group"] == label, "time"].max()))
            for origin in sorted(set(hazards.origin)):
                one = np.ones((1, hazards.origin.size))
                first = np.eye(len(self.states))[origin]
                found = follow(hazards, first, float(start), at, np.zeros((*one.shape, 0)), one)
                for j, state in enumerate(self.states):
                    key = {"group": label, "from": self.states[origin], "state": state}
                    frames.append(
                        pd.DataFrame(
                            {
                                **{name: [value] * at.size for name, value in key.items()},
                                "time": at,
                                "estimate": found.probability[0, :, j],
                                "std_error": np.sqrt(found.variance[0, :, j]),
                            }
                        )
                    )
        return self._with_limits(pd.concat(frames, ignore_index=True), conf_level)

    def hazards(self, group: int = 0, *, greenwood: bool = True) -> TransitionHazards:
        """Nelson-Aalen increments of every transition of a group (its code), with their covariance."""
        h, own = self.histories, self.groups.codes == group
        weight = given_weights(self.groups, self.weights)
        moves = np.array(h.moves)
        place = np.unique(h.leave[own & (h.target >= 0)])
        n_event = np.zeros((place.size, len(moves)))
        for g, (origin, target) in enumerate(moves):
            rows = own & (h.origin == origin) & (h.target == target)
            n_event[:, g] = np.bincount(np.searchsorted(place, h.leave[rows]), weight[rows], place.size)
        in_state = [own & (h.origin == state) for state in range(len(self.states))]
        n_risk = np.column_stack([at_risk(h.entry[rows], h.leave[rows], weight[rows], place) for rows in in_state])
        time = h.times.distinct[place]
        return without_covariates(time, moves[:, 0], moves[:, 1], n_event, n_risk, greenwood=greenwood)

    def plot(self, ax: Axes | None = None, *, time_label: str | None = None, group: Any = None) -> Axes:
        """Stacked probabilities of the states of one group.

        Parameters
        ----------
        ax : Axes, optional
        time_label : str, optional
            Should name the unit.
        group : object, optional
            Which one; the first when omitted. :meth:`plot_curves` compares groups.
        """
        from dxa_causal.plots.states import stacked_states

        label = self.groups.labels[0] if group is None else group
        if label not in self.groups.labels:
            listed = ", ".join(shown(v) for v in self.groups.labels)
            raise OptionError(f"group={shown(group)} is unknown; the groups are {listed}")
        table = self._from_start(label)
        name = time_label or self.groups.outcome.time_name
        ax = stacked_states(table, time_label=name, ax=ax)
        if len(self.groups.labels) > 1:
            ax.set_title(f"{' + '.join(self.groups.names)} = {label}" if len(self.groups.names) == 1 else str(label))
        return ax

    def plot_curves(self, ax: Axes | None = None, *, time_label: str | None = None) -> Axes:
        """One line per state and group, with pointwise limits."""
        from dxa_causal.plots.states import state_curves

        table = pd.concat([self._from_start(label) for label in self.groups.labels])
        return state_curves(table, time_label=time_label or self.groups.outcome.time_name, ax=ax)

    def _from_start(self, label: Any) -> pd.DataFrame:
        """Steps of a group with the line before the first."""
        entry = self.groups.outcome.entry
        first = 0.0 if entry is None else float(entry.min())
        ahead = self._with_limits(self.at_start.assign(time=first), 0.95)
        table = pd.concat([ahead, self.tidy()], ignore_index=True)
        return table[table["group"] == label]

    def _at_risk(self, label: Any, state: Any, times: FloatArray) -> FloatArray:
        h, outcome = self.histories, self.groups.outcome
        own = (self.groups.codes == self.groups.labels.index(label)) & (h.origin == self.states.index(state))
        weight = given_weights(self.groups, self.weights)[own]
        entry = np.full(weight.size, -np.inf) if outcome.entry is None else outcome.entry[own]
        return at_risk(entry, outcome.time[own], weight, times)

    def _with_limits(self, table: pd.DataFrame, conf_level: float) -> pd.DataFrame:
        check_conf_level(conf_level)
        estimate, error = table["estimate"].to_numpy(), table["std_error"].to_numpy()
        low, high = chance_limits(estimate, error, self.conf_type, conf_level)
        return table.assign(conf_low=low, conf_high=high)

    def _notes(self) -> list[str]:
        told = [f"{self.n_persons} persons ({self.id}), {self.n_events} changes of state"]
        told += [f"{name}: {getattr(self, name)}" for name in ("initial", "weights", "cluster") if getattr(self, name)]
        return [f"{'; '.join(told)}; limits on the {self.conf_type} scale", *super()._notes()]


def follow_group(
    groups: Groups, histories: Histories, weights: str | None, cluster: str | None, code: int, tau: float = -np.inf
) -> Occupation:
    """Steps of one group (its code), with the area up to `tau`."""
    own = groups.codes == code
    unit = histories.person if cluster is None else pd.factorize(groups.rows.frame[cluster])[0].astype(np.int64)
    h = histories
    return occupation(
        h.entry[own],
        h.leave[own],
        h.origin[own],
        h.target[own],
        given_weights(groups, weights)[own],
        unit[own],
        h.times.distinct,
        len(h.states),
        tau=tau,
    )


def at_risk(entry: npt.NDArray[Any], leave: npt.NDArray[Any], weight: FloatArray, at: npt.NDArray[Any]) -> FloatArray:
    """Weight of the rows with entry < t <= leave, for each t."""
    total = np.zeros(at.size)
    for sign, moment in ((1.0, leave), (-1.0, entry)):
        order = np.argsort(moment, kind="stable")
        passed = np.concatenate([[0.0], np.cumsum(weight[order])])
        total += sign * (passed[-1] - passed[np.searchsorted(moment[order], at, side="left")])
    total[np.abs(total) < 1e-12 * weight.sum()] = 0.0  # what differences of sums leave
    return total


def chance_limits(
    estimate: FloatArray, error: FloatArray, conf_type: ConfType, conf_level: float
) -> tuple[FloatArray, FloatArray]:
    """Limits of probabilities, some of which may be so small that they say nothing on the scale of the limits."""
    with np.errstate(over="ignore", under="ignore"):
        return probability_limits(estimate, error, conf_type, conf_level)


def plain_limits(table: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Add symmetric limits."""
    half = float(special.ndtri(0.5 + conf_level / 2)) * table["std_error"]
    return table.assign(conf_low=table["estimate"] - half, conf_high=table["estimate"] + half)
