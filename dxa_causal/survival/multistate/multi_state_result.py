"""What a multi-state Cox model found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import ConfType, TiesApproximation
from dxa_causal._design import Design
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, wald_columns
from dxa_causal.survival._kernels.cox import (
    CoxData,
    cumulate,
    increments,
)
from dxa_causal.survival._kernels.newton import CoxEstimate
from dxa_causal.survival.checks import chi_square_test
from dxa_causal.survival.hazard_ratios import HazardRatios
from dxa_causal.survival.multistate.histories import Histories, Moves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Component:
    """Transitions that share coefficients, fitted together as the strata of one Cox model.

    Attributes
    ----------
    members : tuple of int
        Transitions, in the order of the strata.
    own : tuple of int
        Coefficients, in the order of the columns.
    rows : (m,) ndarray of int64
        Rows of the data that were stacked.
    data : CoxData
    estimate : CoxEstimate
    """

    members: tuple[int, ...]
    own: tuple[int, ...]
    rows: IntArray
    data: CoxData
    estimate: CoxEstimate


@dataclass(frozen=True, eq=False, repr=False)
class MultiStateFit(HazardRatios):
    """Cox models of the transitions between states.

    Attributes
    ----------
    states : tuple
    transitions : tuple of str
        "from -> to", in the order of the states.
    n_transitions : tuple of int
        How often each happened.
    terms : tuple of str
        Covariate of each coefficient.
    of_transition : tuple of str
        Transition of each coefficient; joined by " & " where several share it.
    coefficients : (q,) ndarray
        Log hazard ratios.
    covariance, covariance_model : (q, q) ndarray
        The sandwich by person or cluster when `robust`, and the inverse information.
    robust : bool
    ties : {"efron", "breslow"}
    id : str
    initial, cluster, weights : str or None
        Columns used.
    log_likelihood, log_likelihood_null : float
        Sums over transitions of the log partial likelihoods.
    nobs, n_events, n_persons : int
        Rows, changes of state, persons.
    converged : bool
    """

    title: ClassVar[str] = "Multi-state Cox model"

    states: tuple[Any, ...]
    transitions: tuple[str, ...]
    n_transitions: tuple[int, ...]
    terms: tuple[str, ...]
    of_transition: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    covariance_model: FloatArray
    robust: bool
    ties: TiesApproximation
    id: str
    initial: str | None
    cluster: str | None
    weights: str | None
    log_likelihood: float
    log_likelihood_null: float
    nobs: int
    n_events: int
    n_persons: int
    converged: bool
    provenance: Provenance
    design: Design
    histories: Histories
    moves: Moves
    columns: tuple[tuple[tuple[int, int], ...], ...]  # of each transition: (column of the design, coefficient)
    components: tuple[Component, ...]
    estimand: str = "log hazard ratio of a transition"

    @property
    def r_names(self) -> tuple[str, ...]:
        """Names of the coefficients as R's ``coxph`` writes them: "age_1:2"."""
        names = [""] * len(self.terms)
        for (h, j), own in zip(self.moves, self.columns, strict=True):
            for _, k in own:
                names[k] = names[k] or f"{self.terms[k]}_{h + 1}:{j + 1}"
        return tuple(names)

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per transition and term: log hazard ratio (hazard ratio if `exponentiate`), Wald test, limits."""
        columns = wald_columns(self.coefficients, self.std_error, conf_level=conf_level, exponentiate=exponentiate)
        return pd.DataFrame({"transition": list(self.of_transition), "term": list(self.terms), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events (changes of state), log_likelihood, log_likelihood_null, aic."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "log_likelihood": [self.log_likelihood],
                "log_likelihood_null": [self.log_likelihood_null],
                "aic": [-2 * self.log_likelihood + 2 * len(self.terms)],
            }
        )

    @cached_property
    def likelihood_ratio_test(self) -> HypothesisTest:
        """All coefficients zero; the model-based test, also for a robust fit."""
        statistic = 2 * (self.log_likelihood - self.log_likelihood_null)
        return chi_square_test(statistic, len(self.terms), "likelihood ratio test")

    def wald(self, terms: str | list[str], transition: str | None = None) -> HypothesisTest | NotApplicable:
        """Wald test that some terms have no effect.

        Parameters
        ----------
        terms : str or list of str
            Terms of the formula ("C(stage)", all levels) or names as in the column `term`.
        transition : str, optional
            "from -> to"; all transitions together when omitted.
        """
        wanted = [terms] if isinstance(terms, str) else list(terms)
        known = self.design.term_columns
        names: list[str] = []
        for term in wanted:
            if term not in known and term not in self.terms:
                listed = list(dict.fromkeys([*known, *self.terms]))
                raise OptionError(f"wald: no term {term!r} in the fit; there are {listed}")
            names += [self.design.terms[c] for c in known[term]] if term in known else [term]
        if transition is not None and transition not in self.transitions:
            raise OptionError(f"transition={transition!r} is unknown; the transitions are {list(self.transitions)}")
        own = [
            k
            for k, (term, where) in enumerate(zip(self.terms, self.of_transition, strict=True))
            if term in names and (transition is None or transition in where.split(" & "))
        ]
        return self._wald(own, f"Wald test of {', '.join(wanted)}", "these coefficients are zero")

    def baseline_cumulative_hazard(self, *, centered: bool = False) -> pd.DataFrame:
        """Cumulative baseline hazard of each transition at its event times.

        Parameters
        ----------
        centered : bool
            At the mean of every covariate in the rows at risk of the transition instead of at zero.

        Returns
        -------
        DataFrame
            transition, time, estimate.
        """
        frames = []
        for part in self.components:
            data, inc = part.data, increments(part.data, part.estimate.beta)
            hazard = cumulate(inc.hazard, data.sets.group_closes)
            for s, g in enumerate(part.members):
                groups = data.sets.group_stratum == s
                shift = -float(inc.centre[groups][0])
                if not centered:
                    shift -= float((data.centre / data.scale) @ part.estimate.beta)
                frames.append(
                    pd.DataFrame(
                        {
                            "transition": self.transitions[g],
                            "time": self.histories.times.distinct[data.sets.group_rank[groups]],
                            "estimate": hazard[groups] * np.exp(shift),
                        }
                    )
                )
        return pd.concat(frames, ignore_index=True)

    def predict(
        self,
        new: Any = None,
        *,
        type: str = "state_probability",
        start: float = 0.0,
        state: Any = None,
        times: npt.ArrayLike | None = None,
        variance: str = "delta",
        conf_type: ConfType = "log",
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        r"""Predict for the rows analysed or for new ones.

        Parameters
        ----------
        new : pandas or polars frame, optional
            Persons; the rows analysed when omitted. Covariates stay what they are, also after a change of state.
        type : {"state_probability", "length_of_stay", "cumulative_hazard"}
            The mean time in each state is counted from `start` to each of `times`;
            cumulative hazards, of every transition, from `start` on.
        start : float
            Time at which a person is known to be in `state`.
        state : object, optional
            The one everybody begins in when omitted.
        times : (k,) array_like, optional
            All event times after `start` when omitted; of "length_of_stay" the horizons.
        variance : {"delta", "mstate"}
            "mstate" is what R's ``probtrans`` returns (its method "aalen"); see Notes.
        conf_type : {"log", "log-log", "plain", "logit", "arcsin"}
            Scale of the limits of probabilities; those of times and hazards are symmetric.
        conf_level : float

        Returns
        -------
        DataFrame
            row, state (or transition), time, estimate, std_error, conf_low, conf_high.

        Notes
        -----
        :math:`\hat P(s, t \mid x) = \prod_{u \in (s, t]} \{I + d\hat A(u \mid x)\}` with the increments
        :math:`d\hat A_{hj}(u \mid x) = d\hat A_{hj,0}(u) \exp(x'\hat\beta_{hj})`, Efron's or Breslow's as fitted;
        increments out of a state that add up to more than one are scaled down to one.

        Standard errors: of a baseline increment given the coefficients, those of the model; of the coefficients, the
        covariance of the fit (robust when it is). The error of the coefficients is shared by all times: "delta" carries
        it along as the derivative of the probabilities. R's ``mstate`` takes differences of the variances of cumulative
        hazards for variances of increments that are independent over time, and the states after a move for those
        before it; without covariates and with few ties the two are close.

        References
        ----------
        Andersen PK, Hansen LS, Keiding N. Scand J Stat 1991;18:153-167.
        de Wreede LC, Fiocco M, Putter H. Comput Methods Programs Biomed 2010;99:261-274. doi:10.1016/j.cmpb.2010.01.001
        """
        from dxa_causal.survival.multistate.prediction import predict_multi_state

        return predict_multi_state(
            self,
            new,
            type=type,
            start=start,
            state=state,
            times=times,
            variance=variance,
            conf_type=conf_type,
            conf_level=conf_level,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the hazard ratios."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy(exponentiate=True)
        table["term"] = [f"{t} ({g})" for t, g in zip(table["term"], table["transition"], strict=True)]
        return forest(table, effect_measure=self.effect_measure, ax=ax)

    def plot_states(
        self, new: Any, *, start: float = 0.0, state: Any = None, time_label: str | None = None, ax: Axes | None = None
    ) -> Axes:
        """Stacked probabilities of the states of one person (a frame of one row)."""
        from dxa_causal.plots.states import stacked_states

        moments = self.histories.times.distinct
        times = np.append(start, moments[moments > start])  # the band begins where the person does
        table = self.predict(new, start=start, state=state, times=times)
        if table["row"].nunique() != 1:
            raise OptionError(f"plot_states draws one person, but new has {table['row'].nunique()} rows; choose one")
        return stacked_states(table, time_label=time_label or self.design.survival.time_name, ax=ax)

    def _notes(self) -> list[str]:
        counts = ", ".join(f"{name} ({n})" for name, n in zip(self.transitions, self.n_transitions, strict=True))
        told = [f"{self.n_persons} persons ({self.id})", f"ties: {self.ties}"]
        told += [f"{name}: {getattr(self, name)}" for name in ("initial", "weights") if getattr(self, name)]
        told += [f"robust standard errors, by {self.cluster or self.id}"] if self.robust else []
        tests = [str(self.likelihood_ratio_test), str(self.wald_test)] if self.terms else []
        return [f"transitions (times seen): {counts}", "; ".join(told), *tests, *super()._notes()]
