"""Test of proportional hazards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.results import HypothesisTest, Provenance, Result, read_only
from dxa_causal.survival._kernels.cox import increments, information_over_time
from dxa_causal.survival._kernels.product_limit import product_limit
from dxa_causal.survival.cox import CoxFit
from dxa_causal.survival.residuals import residuals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
Transform = Literal["km", "rank", "identity", "log"]
GLOBAL = "GLOBAL"
_SINGULAR = 1e-12  # smallest eigenvalue of a scaled information that can be inverted


@dataclass(frozen=True, eq=False, repr=False)
class PhTest(Result):
    """Score tests of a change of the log hazard ratios with time.

    Attributes
    ----------
    terms : tuple of str
        Terms of the formula, then "GLOBAL".
    statistic, df, p_value : (k + 1,) ndarray
    transform : str
    fit : CoxFit
    transformed : (n_events,) ndarray
        Transformed time of each event, in the order of the Schoenfeld residuals.
    """

    title: ClassVar[str] = "Test of proportional hazards"

    terms: tuple[str, ...]
    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    transform: str
    fit: CoxFit
    transformed: FloatArray
    nobs: int
    provenance: Provenance
    estimand: str = "change of the log hazard ratio with time"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term of the formula, then GLOBAL: term, statistic (chi-square), df, p_value."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a test")
        return pd.DataFrame(
            {"term": list(self.terms), "statistic": self.statistic, "df": self.df, "p_value": self.p_value}
        )

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, method (the transform of time)."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.fit.n_events], "method": [self.transform]})

    @property
    def global_test(self) -> HypothesisTest:
        """All terms together."""
        return HypothesisTest(
            float(self.statistic[-1]),
            float(self.df[-1]),
            float(self.p_value[-1]),
            f"score test, time transformed by {self.transform} (chi-square)",
            "no hazard ratio changes with time",
        )

    def plot(self, ax: Axes | None = None, *, term: str | None = None, time_label: str | None = None) -> Axes:
        """Scaled Schoenfeld residuals of one coefficient against time with a smooth curve; see `plot_all`.

        Parameters
        ----------
        ax : Axes, optional
        term : str, optional
            A coefficient of the fit; the first when omitted.
        time_label : str, optional
            Should name the unit; how the formula calls the time when omitted.
        """
        from dxa_causal.plots.residuals import residuals_over_time

        named = self.fit.terms[0] if term is None else term
        if named not in self.fit.terms:
            raise OptionError(f"term={named!r} is not a coefficient of the fit; there are {list(self.fit.terms)}")
        j = self.fit.terms.index(named)
        scaled = residuals(self.fit, type="scaled_schoenfeld")
        return residuals_over_time(
            scaled.index.get_level_values("time").to_numpy(),
            self.transformed,
            scaled[named].to_numpy(),
            variance=float(self.fit.covariance_model[j, j]) * len(scaled),
            coefficient=float(self.fit.coefficients[j]),
            term=named,
            time_label=time_label or self.fit.design.survival.time_name,
            ax=ax,
        )

    def plot_all(self, *, time_label: str | None = None) -> Figure:
        """One panel per coefficient; `time_label` should name the unit."""
        from dxa_causal.plots.residuals import panels

        figure, axes = panels(len(self.fit.terms))
        for term, ax in zip(self.fit.terms, axes):
            self.plot(ax, term=term, time_label=time_label)
        return figure


def ph_test(fit: CoxFit, *, transform: Transform | Callable[[FloatArray], FloatArray] = "km") -> PhTest:
    r"""Test proportional hazards term by term: the score test of :math:`\beta(t) = \beta + \theta g(t)` at 0.

    Parameters
    ----------
    fit : CoxFit
    transform : {"km", "rank", "identity", "log"} or function of an array of times
        The g(t) in which a coefficient is linear: one less the Kaplan-Meier
        estimate before t, the rank among all times, the time, its logarithm.

    Returns
    -------
    PhTest
        A row per term of the formula (all levels of a factor, all columns of a
        spline together) and a global one.

    Notes
    -----
    The covariates :math:`x (g(t) - \bar g)` are added to the model at zero. With Schoenfeld residuals
    :math:`r_k` and information :math:`V_k` at event k the score is :math:`\sum_k (g_k - \bar g) r_k`, and its
    variance comes from the joint information with blocks :math:`\sum V_k`, :math:`\sum (g_k - \bar g) V_k` and
    :math:`\sum (g_k - \bar g)^2 V_k`. This exact form is that of R's ``cox.zph`` since survival 3.0; older versions,
    Stata and lifelines take :math:`V_k` as constant. For a robust fit the test stays model-based, as in R.

    References
    ----------
    Grambsch PM, Therneau TM. Biometrika 1994;81:515-526. doi:10.1093/biomet/81.3.515

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 50 and grip_kg > 0")
    >>> fit = dc.survival.cox("Surv(time, died) ~ age + C(sex) + grip_kg", cohort)
    >>> ph_test(fit).tidy()["term"].tolist()
    ['age', 'C(sex)', 'grip_kg', 'GLOBAL']
    """
    if not isinstance(fit, CoxFit):
        raise OptionError(f"ph_test needs a fit of survival.cox, not {type(fit).__name__}")
    fit.refuse_time_varying("a test of proportional hazards")
    if not fit.terms:
        raise OptionError("the fit has no covariate whose effect could change with time")
    data, sets = fit.data, fit.data.sets
    by_rank = _transformed(fit, transform)
    events = fit.design.survival.event == 1
    group = by_rank[sets.group_rank]
    g = group - by_rank[fit.times.rank[events]].mean()
    if np.ptp(group) == 0.0:
        raise OptionError("all events happen at one time: the test has nothing to compare")
    inc = increments(data, fit.estimate.beta)
    died = sets.event == 1
    seen = np.zeros_like(inc.s1)
    np.add.at(seen, sets.last[died], data.x[died] * data.weight[died, None])
    score = g @ (seen - inc.expected)
    p = len(fit.terms)
    blocks = [information_over_time(data, fit.estimate.beta, inc, f) for f in (np.ones_like(g), g, g * g)]
    if fit.ridge is not None:
        penalty = np.diag(fit.ridge / data.scale**2)
        blocks[0], blocks[2] = blocks[0] + penalty, blocks[2] + penalty
    joint = np.block([[blocks[0], blocks[1]], [blocks[1], blocks[2]]])
    columns = [*fit.design.term_columns.values(), list(range(p))]
    statistic = np.array([_score_test(score, joint, own) for own in columns])
    df = np.array([float(len(own)) for own in columns])
    return PhTest(
        terms=(*fit.design.term_columns, GLOBAL),
        statistic=read_only(statistic),
        df=read_only(df),
        p_value=read_only(special.chdtrc(df, statistic)),
        transform=transform if isinstance(transform, str) else getattr(transform, "__name__", "function"),
        fit=fit,
        transformed=read_only(by_rank[sets.group_rank[sets.last[died]]]),
        nobs=fit.nobs,
        provenance=fit.provenance,
    )


def _score_test(score: FloatArray, joint: FloatArray, own: list[int]) -> float:
    p = score.size
    used = np.concatenate([np.arange(p), p + np.array(own)])
    u = np.concatenate([np.zeros(p), score[own]])
    scale = np.sqrt(np.maximum(np.diag(joint)[used], np.finfo(np.float64).tiny))
    matrix = joint[np.ix_(used, used)] / np.outer(scale, scale)
    if np.linalg.eigvalsh(matrix)[0] < _SINGULAR:
        raise OptionError(
            "ph_test: with so few events, or terms that hardly vary among those at risk, effects that change with time "
            "cannot be told apart from constant ones"
        )
    return float(u / scale @ np.linalg.solve(matrix, u / scale))


def _count(fit: CoxFit) -> FloatArray:
    """Rows that each row stands for; other weights do not count, as in R."""
    weight = fit.design.number(fit.weights, argument="weights") if fit.weight_type == "frequency" else None
    return np.ones(len(fit.design.x)) if weight is None else weight


def _transformed(fit: CoxFit, transform: Transform | Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Value of g at every distinct time."""
    times = fit.times
    if callable(transform):
        value = np.asarray(transform(times.distinct), dtype=np.float64)
        if value.shape != times.distinct.shape:
            raise OptionError(f"transform: the function returned shape {value.shape} for {times.distinct.size} times")
    else:
        check_option("transform", transform, Transform)
        if transform == "identity":
            value = times.distinct
        elif transform == "log":
            with np.errstate(divide="ignore", invalid="ignore"):
                value = np.log(times.distinct)
        elif transform == "rank":
            n = np.bincount(times.rank, _count(fit), times.distinct.size)
            value = np.cumsum(n) - (n - 1) / 2
        else:
            event = fit.design.survival.event
            curve = product_limit(times.rank, times.entry_rank, event, _count(fit), robust=False)
            before = np.searchsorted(curve.place, np.arange(times.distinct.size), side="left")
            value = 1.0 - np.concatenate([[1.0], curve.survival])[before]
    at_events = value[fit.data.sets.group_rank]
    if not np.isfinite(at_events).all():
        bad = fit.times.distinct[fit.data.sets.group_rank][~np.isfinite(at_events)][0]
        raise OptionError(f"transform={transform!r} is not finite at event time {bad:g}; use 'km' or 'rank'")
    return value
