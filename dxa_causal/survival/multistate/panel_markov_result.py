"""What a Markov model of panel data found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special
from scipy.linalg import expm

from dxa_causal._core.errors import OptionError, shown
from dxa_causal._core.options import check_conf_level, check_option
from dxa_causal._design import Design
from dxa_causal.results import Provenance, Result, wald_columns
from dxa_causal.survival._kernels.panel_markov import PanelModel
from dxa_causal.survival.multistate.coefficients import Coefficients
from dxa_causal.survival.multistate.panel_visits import PanelVisits
from dxa_causal.survival.step_curves import check_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Limits = Literal["log", "logit", "plain"]
PredictionType = Literal["state_probability", "length_of_stay"]

INTENSITY = "intensity"


@dataclass(frozen=True, eq=False, repr=False)
class PanelMarkovFit(Result):
    """A Markov model in continuous time, fitted to states seen at visits.

    Attributes
    ----------
    states : tuple
    transitions : tuple of str
        "from -> to".
    parameters : (T + q,) ndarray
        Logarithms of the intensities at the means of the covariates, then log hazard ratios.
    covariance : (T + q, T + q) ndarray
        Inverse of the observed information.
    terms, of_transition : tuple of str
        Covariate and transition of each log hazard ratio.
    means : (p,) ndarray
        Of the columns of the design.
    log_likelihood : float
    nobs, n_events, n_persons : int
        Visits (rows), changes of state seen from one visit to the next, persons.
    n_single : int
        Persons seen once, who tell nothing.
    converged : bool
    """

    title: ClassVar[str] = "Markov model of panel data"

    states: tuple[Any, ...]
    transitions: tuple[str, ...]
    parameters: FloatArray
    covariance: FloatArray
    terms: tuple[str, ...]
    of_transition: tuple[str, ...]
    means: FloatArray
    log_likelihood: float
    nobs: int
    n_events: int
    n_persons: int
    n_single: int
    converged: bool
    provenance: Provenance
    design: Design
    coefficients_of: Coefficients
    model: PanelModel
    visits: PanelVisits
    estimand: str = "log intensity; log hazard ratio"

    @property
    def std_error(self) -> FloatArray:
        """Standard errors of the parameters."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def counts(self) -> pd.DataFrame:
        """Pairs of visits from a state (index) to a state or code of a set (columns), as R's ``statetable``."""
        return self.visits.counts

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per parameter, on the log scale unless `exponentiate`: intensities at the means, hazard ratios."""
        n = len(self.transitions)
        columns = wald_columns(self.parameters, self.std_error, conf_level=conf_level, exponentiate=exponentiate)
        columns["statistic"][:n] = columns["p_value"][:n] = np.nan  # an intensity of one is no hypothesis
        return pd.DataFrame(
            {
                "transition": [*self.transitions, *self.of_transition],
                "term": [INTENSITY] * n + list(self.terms),
                **columns,
            }
        )

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events (changes of state seen), log_likelihood, aic."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "log_likelihood": [self.log_likelihood],
                "aic": [-2 * self.log_likelihood + 2 * self.parameters.size],
            }
        )

    def intensity_matrix(self, new: Any = None) -> pd.DataFrame:
        """Matrix of intensities, at the means of the covariates or for one row of `new`."""
        z = self._covariates(new)[0]
        if len(z) != 1:
            raise OptionError(f"intensity_matrix is of one row, but new has {len(z)}; choose one")
        q = self.model.matrices(self.model.rates(self.parameters, z))[0]
        return pd.DataFrame(q, index=pd.Index(self.states, name="from"), columns=list(self.states))

    def intensities(self, new: Any = None, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Intensities and, as from = state, the negative rates of leaving.

        Parameters
        ----------
        new : pandas or polars frame, optional
            Rows with covariates; at their means when omitted.
        conf_level : float

        Returns
        -------
        DataFrame
            row, from, state, estimate, std_error, conf_low, conf_high; limits on the log scale.
        """
        z, index = self._covariates(new)
        m = self.model
        leaving = np.unique(m.origin)
        pairs = [*zip(m.origin, m.target, strict=True), *((h, h) for h in leaving)]
        at, to = (np.array([p[side] for p in pairs]) for side in (0, 1))
        keys = {"from": [self.states[h] for h in at], "state": [self.states[j] for j in to]}
        table = self._derived(lambda q: np.abs(q[:, at, to]), z, index, keys, "log", conf_level)
        negative = np.tile(at == to, len(index))
        low, high = table["conf_low"].copy(), table["conf_high"].copy()
        sign = np.where(negative, -1.0, 1.0)
        return table.assign(
            estimate=sign * table["estimate"],
            conf_low=np.where(negative, -high, low),
            conf_high=np.where(negative, -low, high),
        )

    def sojourn_times(self, new: Any = None, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Mean time of one stay in each state that can be left.

        Returns
        -------
        DataFrame
            row, state, estimate, std_error, conf_low, conf_high; limits on the log scale.
        """
        z, index = self._covariates(new)
        leaving = np.unique(self.model.origin)
        keys = {"state": [self.states[h] for h in leaving]}
        return self._derived(lambda q: -1 / q[:, leaving, leaving], z, index, keys, "log", conf_level)

    def next_states(self, new: Any = None, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Probability that a state is the next one.

        Returns
        -------
        DataFrame
            row, from, state, estimate, std_error, conf_low, conf_high; limits on the logit scale.
        """
        z, index = self._covariates(new)
        f, j = self.model.origin, self.model.target
        keys = {"from": [self.states[h] for h in f], "state": [self.states[k] for k in j]}
        return self._derived(lambda q: -q[:, f, j] / q[:, f, f], z, index, keys, "logit", conf_level)

    def predict(
        self,
        new: Any = None,
        *,
        type: str = "state_probability",
        state: Any = None,
        times: npt.ArrayLike,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        """Probabilities of the states a time after being in one, or mean times spent in them until then.

        Parameters
        ----------
        new : pandas or polars frame, optional
            Rows with covariates, constant over time; at their means when omitted.
        type : {"state_probability", "length_of_stay"}
        state : object, optional
            State at time zero; every one that can be left when omitted.
        times : (k,) array_like
        conf_level : float

        Returns
        -------
        DataFrame
            row, from, state, time, estimate, std_error, conf_low, conf_high; limits on the logit scale, of times
            symmetric.
        """
        check_option("type", type, PredictionType)
        at = check_times(times)
        if (at < 0).any() or not np.isfinite(at).all():
            wrong = at[(at < 0) | ~np.isfinite(at)][0]
            raise OptionError(f"times must be finite and not negative, but {wrong:g} is among them")
        begin = np.unique(self.model.origin) if state is None else np.array([self._code(state)])
        z, index = self._covariates(new)
        n, k = len(self.states), at.size
        keys = {
            "from": np.repeat(np.array(self.states, dtype=object)[begin], n * k),
            "state": np.tile(np.repeat(np.array(self.states, dtype=object), k), begin.size),
            "time": np.tile(at, begin.size * n),
        }

        def chances(q: FloatArray) -> FloatArray:
            p = expm(q[:, None] * at[:, None, None])
            return p[:, :, begin].transpose(0, 2, 3, 1)

        def stays(q: FloatArray) -> FloatArray:
            both = np.zeros((len(q), 2 * n, 2 * n))
            both[:, :n, :n], both[:, :n, n:] = q, np.eye(n)
            integral = expm(both[:, None] * at[:, None, None])[:, :, :n, n:]
            return integral[:, :, begin].transpose(0, 2, 3, 1)

        chance = type == "state_probability"
        return self._derived(chances if chance else stays, z, index, keys, "logit" if chance else "plain", conf_level)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the hazard ratios; of the intensities where there are no covariates."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy(exponentiate=True)
        table = table[(table["term"] != INTENSITY) | (not self.terms)]
        names = [g if t == INTENSITY else f"{t} ({g})" for t, g in zip(table["term"], table["transition"], strict=True)]
        measure = "Hazard ratio" if self.terms else "Intensity"
        return forest(table.assign(term=names), effect_measure=measure, ax=ax)

    def plot_states(
        self,
        new: Any = None,
        *,
        state: Any,
        until: float,
        time_label: str | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Stacked probabilities of the states from time zero, in `state`, up to the time `until`."""
        from dxa_causal.plots.states import stacked_states

        if not 0 < until < np.inf:
            raise OptionError(f"until={until!r} must be a positive time")
        table = self.predict(new, state=state, times=np.linspace(0.0, until, 201))
        if table["row"].nunique() != 1:
            raise OptionError(f"plot_states draws one person, but new has {table['row'].nunique()} rows; choose one")
        return stacked_states(table, time_label=time_label or self.visits.time_name, ax=ax)

    def _code(self, state: Any) -> int:
        if state not in self.states:
            raise OptionError(
                f"state={shown(state)} is unknown; the states are {', '.join(shown(v) for v in self.states)}"
            )
        return self.states.index(state)

    def _covariates(self, new: Any) -> tuple[FloatArray, pd.Index]:
        if new is None:
            return np.zeros((1, len(self.transitions), len(self.terms))), pd.Index(["mean"])
        x, index = self.design.new(new)
        return in_place(x - self.means, self.coefficients_of), index

    def _derived(
        self,
        function: Callable[[FloatArray], FloatArray],
        z: FloatArray,
        index: pd.Index,
        keys: Mapping[str, Any],
        scale: Limits,
        conf_level: float,
    ) -> pd.DataFrame:
        """Table of a function of the matrices of intensities of some rows, with errors by the delta method."""
        check_conf_level(conf_level)

        def values(parameters: FloatArray) -> FloatArray:
            return function(self.model.matrices(self.model.rates(parameters, z))).reshape(len(z), -1)

        estimate = values(self.parameters)
        slopes = np.empty((*estimate.shape, self.parameters.size))
        for k in range(self.parameters.size):
            step = np.zeros(self.parameters.size)
            step[k] = 1e-5
            slopes[..., k] = (values(self.parameters + step) - values(self.parameters - step)) / 2e-5
        error = np.sqrt(np.maximum(((slopes @ self.covariance) * slopes).sum(axis=2), 0.0))
        table = pd.DataFrame({"row": np.repeat(index, estimate.shape[1])})
        for name, labels in keys.items():
            table[name] = np.tile(np.asarray(labels), len(z))
        low, high = _limits(estimate.ravel(), error.ravel(), scale, conf_level)
        return table.assign(estimate=estimate.ravel(), std_error=error.ravel(), conf_low=low, conf_high=high)

    def _notes(self) -> list[str]:
        alone = f", of whom {self.n_single} were seen once and tell nothing" if self.n_single else ""
        notes = [f"{self.n_persons} persons{alone}; {self.nobs} visits"]
        if self.terms:
            means = ", ".join(f"{t} {m:.4g}" for t, m in zip(self.design.terms, self.means, strict=True))
            notes.append(f"intensities at the means of the covariates: {means}")
        return [*notes, *self.visits.notes, *super()._notes()]


def in_place(x: FloatArray, found: Coefficients) -> FloatArray:
    """Covariates in the place of the coefficients of each transition, (n, T, q)."""
    z = np.zeros((len(x), len(found.columns), len(found.terms)))
    for g, pairs in enumerate(found.columns):
        for column, k in pairs:
            z[:, g, k] = x[:, column]
    return z


def _limits(estimate: FloatArray, error: FloatArray, scale: Limits, conf_level: float) -> tuple[FloatArray, FloatArray]:
    half = float(special.ndtri(0.5 + conf_level / 2)) * error
    if scale == "plain":
        return estimate - half, estimate + half
    fixed = error == 0  # a probability of zero or one by construction
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if scale == "log":
            factor = np.exp(half / estimate)
            low, high = estimate / factor, estimate * factor
        else:
            inside = np.clip(estimate, 1e-300, 1 - 1e-16)
            centre, width = special.logit(inside), half / (inside * (1 - inside))
            low, high = special.expit(centre - width), special.expit(centre + width)
    return np.where(fixed, estimate, low), np.where(fixed, estimate, high)
