"""What an illness-death model gives: effects on three transitions, hazards, tests, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special
from threadpoolctl import threadpool_limits

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_conf_level
from dxa_causal._design import Design, SurvivalOutcome
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, wald_columns
from dxa_causal.survival._kernels.illness_death import Persons, places_of
from dxa_causal.survival._kernels.illness_death_curves import Curves
from dxa_causal.survival._kernels.illness_death_estimate import IllnessDeathEstimate, estimate
from dxa_causal.survival._kernels.transition_hazards import Baseline, WeibullHazard
from dxa_causal.survival.checks import chi_square_test
from dxa_causal.survival.multistate.visits import VisitedLives
from dxa_causal.survival.predicted_curves import PredictedCurves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Hazards = Literal["weibull", "exponential", "splines"]
Designs = tuple[Design, Design, Design]

TRANSITIONS = ("healthy -> ill", "healthy -> dead", "ill -> dead")


@dataclass(frozen=True, eq=False, repr=False)
class IllnessDeathFit(PredictedCurves, Result):
    """A fitted illness-death model.

    Attributes
    ----------
    terms : tuple of str
        Name of each coefficient; those of one transition stand together.
    transitions : tuple of str
        Transition of each coefficient.
    coefficients : (p,) ndarray
        Log hazard ratios.
    covariance : (p, p) ndarray
        Of the coefficients: inverse observed information, of splines the
        inverse of minus the penalised Hessian.
    parameters, parameter_covariance : (P,) and (P, P) ndarray
        Of all: for each transition those of the baseline hazard, then the
        coefficients. Weibull: log of the hazard at its `unit`, times that, and
        log of the shape; splines: square roots of the coefficients.
    hazards : {"weibull", "exponential", "splines"}
    baselines : three WeibullHazard or SplineHazard
    penalty : (3,) ndarray or None
        Weights of the integrals of squared second derivatives.
    log_likelihood : float
        Without the penalty.
    df : float
        Number of parameters, effective where penalised.
    nobs, n_events : int
        Persons; onsets seen and deaths.
    n_ill, n_died_healthy, n_died_ill : int
        Persons seen ill; deaths of those not seen ill, and of those seen ill.
    n_nodes : int
        Quadrature nodes per interval, or between knots.
    """

    title: ClassVar[str] = "Illness-death model with interval-censored onset"
    curve: ClassVar[str] = "cumulative_incidence"

    terms: tuple[str, ...]
    transitions: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    parameters: FloatArray
    parameter_covariance: FloatArray
    hazards: Hazards
    baselines: tuple[Baseline, Baseline, Baseline]
    penalty: FloatArray | None
    log_likelihood: float
    df: float
    nobs: int
    n_events: int
    n_ill: int
    n_died_healthy: int
    n_died_ill: int
    n_nodes: int
    n_iter: int
    converged: bool
    provenance: Provenance
    designs: Designs
    lives: VisitedLives
    estimand: str = "log hazard ratio"

    @property
    def std_error(self) -> FloatArray:
        """Standard errors of the coefficients, (p,)."""
        return np.sqrt(np.diag(self.covariance))

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per transition and term: log hazard ratio (hazard ratio if `exponentiate`), Wald test, limits."""
        columns = wald_columns(self.coefficients, self.std_error, conf_level=conf_level, exponentiate=exponentiate)
        return pd.DataFrame({"transition": list(self.transitions), "term": list(self.terms), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events (onsets seen and deaths), log_likelihood, aic (with the effective df of splines)."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "log_likelihood": [self.log_likelihood],
                "aic": [-2 * self.log_likelihood + 2 * self.df],
            }
        )

    def baseline(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Shape and scale of the Weibull hazards at covariates of zero.

        Returns
        -------
        DataFrame
            transition, term ("shape", "scale"), estimate, std_error, conf_low,
            conf_high; the hazard is ``shape / scale * (t / scale) ** (shape - 1)``. Limits are
            symmetric for the logarithm, of which `std_error` is. R's
            SmoothHazard calls the shape a and 1 / scale b.
        """
        check_conf_level(conf_level)
        if self.hazards == "splines":
            raise OptionError("hazards of splines have no shape and scale; see predict(type='hazard')")
        rows = []
        for name, weibull, (at, _) in zip(TRANSITIONS, self.baselines, self._places, strict=True):
            assert isinstance(weibull, WeibullHazard)
            theta, v = self.parameters[at], self.parameter_covariance[at, at]
            log_shape = 0.0 if weibull.fixed else float(theta[1])
            inverse, gap = np.exp(-log_shape), log_shape - float(theta[0])
            gradient = inverse * np.array([-1.0, 1.0 - gap][: theta.size])
            found = {"shape": (log_shape, 0.0 if weibull.fixed else float(np.sqrt(v[1, 1])))}
            found["scale"] = (float(np.log(weibull.unit)) + inverse * gap, float(np.sqrt(gradient @ v @ gradient)))
            rows += [(name, term, *values) for term, values in found.items()]
        table = pd.DataFrame(rows, columns=["transition", "term", "estimate", "std_error"])
        half = float(special.ndtri(0.5 + conf_level / 2)) * table["std_error"]
        log = table["estimate"]
        with np.errstate(over="ignore"):  # where a shape has run to zero
            return table.assign(estimate=np.exp(log), conf_low=np.exp(log - half), conf_high=np.exp(log + half))

    @property
    def wald_test(self) -> HypothesisTest | NotApplicable:
        """All coefficients of all transitions zero."""
        return self._wald(list(range(len(self.terms))), "Wald test")

    def wald(self, terms: str | Sequence[str]) -> HypothesisTest | NotApplicable:
        """Wald test that some terms have no effect on any transition.

        Parameters
        ----------
        terms : str or sequence of str
            Names as in the column `term`.
        """
        wanted = [terms] if isinstance(terms, str) else list(terms)
        for term in wanted:
            if term not in self.terms:
                raise OptionError(f"wald: no term {term!r} in the fit; there are {list(dict.fromkeys(self.terms))}")
        return self._wald([k for k, t in enumerate(self.terms) if t in wanted], f"Wald test of {', '.join(wanted)}")

    def _wald(self, own: list[int], method: str) -> HypothesisTest | NotApplicable:
        b, v = self.coefficients[own], self.covariance[np.ix_(own, own)]
        if not own:
            return NotApplicable("the model has no covariates", method)
        if not (np.isfinite(v).all() and np.linalg.matrix_rank(v, hermitian=True) == len(own)):
            return NotApplicable(f"the covariance of the {len(own)} coefficients is singular", method)
        return chi_square_test(float(b @ np.linalg.solve(v, b)), len(own), method, "these coefficients are zero")

    @cached_property
    def likelihood_ratio_test(self) -> HypothesisTest | NotApplicable:
        """All coefficients of all transitions zero; the model without them is fitted when asked."""
        method = "likelihood ratio test"
        if self.hazards == "splines":
            return NotApplicable("a penalised likelihood has no chi-square distribution", method)
        none = np.empty((self.nobs, 0))
        null = fit_lives(self.lives, (none, none, none), self.baselines, penalised=False, kappa=None)
        return chi_square_test(2 * (self.log_likelihood - null.log_likelihood), len(self.terms), method)

    def predict(
        self,
        new: Any = None,
        *,
        type: str = "state_probability",
        start: float | None = None,
        state: str = "healthy",
        times: npt.ArrayLike | None = None,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        r"""Probabilities, expected times and hazards of given rows.

        Parameters
        ----------
        new : pandas or polars frame, optional
            The rows analysed when omitted.
        type : str
            "state_probability": of being healthy, ill and dead at `times`.
            "cumulative_incidence": of falling ill by `times`, dead since or not.
            "lifetime_risk": of ever falling ill; of splines until the last knot.
            "life_expectancy": expected time healthy and ill, and alive, until
            `times` or, when omitted, for ever; of splines until the last knot.
            "hazard" and "cumulative_hazard": of each transition, from the origin.
        start : float, optional
            Time (age) at which the person is in `state`; the earliest entry
            when omitted.
        state : {"healthy", "ill"}
            At the start; the incidence is that of the healthy.
        times : (k,) array_like, optional
            50 between the start and the last time observed when omitted.
        conf_level : float

        Returns
        -------
        DataFrame
            row, state or transition (where it applies), time, estimate,
            std_error, conf_low, conf_high. Limits by the delta method, of
            probabilities on the logit scale, else on that of the logarithm.

        Notes
        -----
        With :math:`S(s, u) = \exp\{-A_{01}(s, u) - A_{02}(s, u)\}` the
        probabilities from health at s are

        .. math::

            p_{00}(s, t) = S(s, t), \quad
            p_{01}(s, t) = \int_s^t S(s, u)\, a_{01}(u)\, e^{-A_{12}(u, t)}\, du, \quad
            F_{01}(s, t) = \int_s^t S(s, u)\, a_{01}(u)\, du.
        """
        from dxa_causal.survival.multistate.illness_death_prediction import predict_illness_death

        return predict_illness_death(self, new, type=type, start=start, state=state, times=times, conf_level=conf_level)

    def plot(self, ax: Axes | None = None, *, time_label: str | None = None) -> Axes:
        """Draw the hazards of the three transitions at the means of the covariates, with limits."""
        from dxa_causal.plots.transition_hazards import transition_hazards
        from dxa_causal.survival.multistate.illness_death_prediction import mean_hazards

        return transition_hazards(mean_hazards(self), time_label=time_label or self._outcome().time_name, ax=ax)

    def curves(self, x: tuple[FloatArray, FloatArray, FloatArray], start: float) -> Curves:
        """Return the fitted model for rows with these covariates."""
        return Curves(self.baselines, np.asarray(self.parameters), x, start)

    @property
    def _places(self) -> list[tuple[slice, slice]]:
        return places_of(self.baselines, [d.x.shape[1] for d in self.designs])

    def _outcome(self) -> SurvivalOutcome:
        return self.designs[0].survival

    def _notes(self) -> list[str]:
        notes = [
            f"{self.n_ill} seen ill, of whom {self.n_died_ill} died; {self.n_died_healthy} died without illness seen",
            f"hazards: {self.hazards}",
        ]
        if self.penalty is not None:
            kappas = ", ".join(f"{k:.3g}" for k in self.penalty)
            notes[-1] += f"; penalties {kappas}; effective df {self.df:.3g}"
        return [*notes, str(self.wald_test), *super()._notes()]


def fit_lives(
    lives: VisitedLives,
    x: tuple[FloatArray, FloatArray, FloatArray],
    baselines: tuple[Baseline, Baseline, Baseline],
    *,
    penalised: bool,
    kappa: FloatArray | None,
) -> IllnessDeathEstimate:
    """Maximise the likelihood of lives seen at visits; see :func:`estimate`."""
    persons = Persons(lives.time, lives.died, lives.entry, x)
    # many small products: threads would only wait for each other; points where a hazard overflows are refused
    with threadpool_limits(1), np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return estimate(persons, lives.left, lives.right, baselines, penalised=penalised, kappa=kappa)
