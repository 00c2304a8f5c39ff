"""Restricted mean survival time: by arm, compared between arms, and in regression."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import FormulaError, OptionError, PredictorError, shown
from dxa_causal._core.options import Missing, check_option
from dxa_causal._core.warnings import ConvergenceWarning, warn
from dxa_causal._design import Design, build_design, refuse_collinear
from dxa_causal._design.groups import MAX_GROUPS
from dxa_causal._design.parse import parse
from dxa_causal.results import Provenance, Result, Summary, read_only, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.kaplan_meier import KaplanMeierFit, kaplan_meier
from dxa_causal.survival.pseudo import refuse_delayed_entry
from dxa_causal.survival.restricted_means import (
    ArmMeans,
    MeanModel,
    RmstLink,
    RmstQuantity,
    arm_means,
    horizon,
    known_rows,
    pseudo_means,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
RmstMethod = Literal["ipcw", "pseudo"]

_CONTRASTS: tuple[tuple[str, RmstQuantity, RmstLink], ...] = (
    ("RMST difference", "rmst", "identity"),
    ("RMST ratio", "rmst", "log"),
    ("RMTL ratio", "rmtl", "log"),
)
# The arm, alone or first of a sum: arm, `arm`, C(arm).
_FIRST = re.compile(
    r"\s*(?P<factor>C\()?\s*(?:`(?P<quoted>[^`]+)`|(?P<plain>[\w.]+))\s*(?(factor)\)\s*)(?:\+(?P<rest>.*))?", re.DOTALL
)


@dataclass(frozen=True, eq=False, repr=False)
class RmstFit(Result):
    """Restricted mean survival times and how they depend on the arm and covariates.

    Attributes
    ----------
    curves : KaplanMeierFit
        Survival of each arm.
    model : MeanModel
        What `contrasts` asks for the other quantities and scales.
    terms : tuple of str
        The arm (its levels after the first), covariates, and last the intercept.
    arm_terms : tuple of str
    coefficients : (p,) ndarray
        Unit of time for link "identity", logarithms for "log".
    covariance : (p, p) ndarray
    tau : float
        Horizon, unit of the data.
    method : str
        "Kaplan-Meier" (without covariates), "IPCW" or "pseudo-observations".
    link, quantity : str
    arms : DataFrame
        group, estimate, std_error of the restricted mean of each arm, unadjusted.
    """

    title: ClassVar[str] = "Restricted mean survival time"

    curves: KaplanMeierFit
    model: MeanModel
    terms: tuple[str, ...]
    arm_terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    tau: float
    method: str
    link: RmstLink
    quantity: RmstQuantity
    arms: pd.DataFrame
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term: the arm's effect first, covariates, and last the intercept.

        The intercept is the mean of the first arm (at zero of the covariates).
        With `exponentiate` (for link "log") estimates are ratios of means, as
        ``exp(coef)`` in R.
        """
        if exponentiate and self.link == "identity":
            raise OptionError("exponentiate=True has no meaning for differences of means; fit with link='log'")
        std_error = np.sqrt(np.diag(self.covariance))
        columns = wald_columns(self.coefficients, std_error, conf_level=conf_level, exponentiate=exponentiate)
        return pd.DataFrame({"term": list(self.terms), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_groups, tau, method."""
        columns = {"nobs": self.nobs, "n_events": self.n_events, "n_groups": len(self.arms), "tau": self.tau}
        return pd.DataFrame({**columns, "method": self.method}, index=[0])

    def by_arm(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Restricted mean survival time and time lost of each arm, from its Kaplan-Meier curve.

        Returns
        -------
        DataFrame
            group, effect_measure ("RMST", then "RMTL"), estimate, std_error,
            conf_low, conf_high.
        """
        frames = []
        for measure, estimate in (("RMST", self.arms["estimate"]), ("RMTL", self.tau - self.arms["estimate"])):
            columns = wald_columns(estimate, self.arms["std_error"], conf_level=conf_level)
            kept = {name: columns[name] for name in ("estimate", "std_error", "conf_low", "conf_high")}
            frames.append(pd.DataFrame({"group": self.arms["group"], "effect_measure": measure, **kept}))
        return pd.concat(frames).sort_index(kind="stable").reset_index(drop=True)

    def contrasts(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Difference and ratios of each arm against the first, adjusted if the fit has covariates.

        Returns
        -------
        DataFrame
            term, effect_measure ("RMST difference", "RMST ratio", "RMTL
            ratio"), estimate, std_error (of the logarithm for ratios),
            statistic, p_value, conf_low, conf_high, reason (why a value is
            missing): what R's survRM2 calls the unadjusted or adjusted result.
        """
        frames = []
        k = len(self.arm_terms)
        for measure, quantity, link in _CONTRASTS:
            fitted = self.model.estimate(quantity, link)
            columns = wald_columns(
                fitted.coefficients[:k],
                np.sqrt(np.diag(fitted.covariance)[:k]),
                conf_level=conf_level,
                exponentiate=link == "log",
            )
            reason = np.where(np.isnan(columns["std_error"]), "no time is lost in some group: no ratio exists", "")
            names = {"term": list(self.arm_terms), "effect_measure": measure}
            frames.append(pd.DataFrame({**names, **columns, "reason": reason}))
        return pd.concat(frames, ignore_index=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Survival curves up to tau, of two arms with the area between them; with covariates the coefficients."""
        if self.method == "Kaplan-Meier":
            return self._plot_curves(ax)
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        return forest(table[: max(1, len(table) - 1)], effect_measure=self.estimand, reference=0.0, log=False, ax=ax)

    def _plot_curves(self, ax: Axes | None) -> Axes:
        from dxa_causal.plots.style import COLOURS, GREY

        ax = self.curves.plot(ax)
        ax.axvline(self.tau, color=GREY, linewidth=0.8, linestyle="--")
        steps, shown = self.curves.steps, self.by_arm()
        grid = np.unique([0.0, *steps.loc[steps["time"] < self.tau, "time"], self.tau])
        heights = [
            np.append(1.0, own["estimate"])[np.searchsorted(own["time"], grid, side="right")]
            for _, own in steps.groupby("group", sort=False)
        ]
        if len(heights) == 1:
            heights.append(np.zeros(grid.size))
        elif len(heights) == 2:
            shown = self.contrasts()
        else:
            return ax  # areas of many arms hide each other
        upper = np.maximum(*heights)
        for colour, lower in zip(COLOURS, reversed(heights), strict=False):
            hatched = ax.fill_between(grid, lower, upper, step="post", linewidth=0, alpha=0.6, hatch="////")
            hatched.set(facecolor="none", edgecolor=colour)
        name, value, low, high = shown.loc[0, ["effect_measure", "estimate", "conf_low", "conf_high"]]
        ax.set_title(f"Hatched: {name} to {self.tau:g} = {value:.3g} ({low:.3g} to {high:.3g})", fontsize="small")
        return ax

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Means of the arms (or coefficients, with covariates), and comparisons of arms."""
        tables = [self.by_arm(conf_level)] if self.method == "Kaplan-Meier" else [self.tidy(conf_level)]
        if self.arm_terms:
            tables.append(self.contrasts(conf_level).drop(columns="reason"))
        return Summary(self.title, [*tables, self.glance()], self._notes())

    def _notes(self) -> list[str]:
        return [f"{self.estimand}; {self.method}", *super()._notes()]


def rmst(
    formula: str,
    data: Any,
    *,
    tau: float | None = None,
    covariates: Sequence[str] | str | None = None,
    method: RmstMethod = "ipcw",
    link: RmstLink = "identity",
    quantity: RmstQuantity = "rmst",
    weights: str | None = None,
    missing: Missing = "drop",
) -> RmstFit:
    r"""Compare mean survival times up to a horizon between arms, with or without adjustment.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ arm``, or ``~ 1`` for one mean. The first variable
        on the right is the arm, always taken as groups: an arm of two numbers
        keeps its name as term and means the larger against the smaller; others
        give one term per level after the first. What follows (``arm + age``)
        are covariates. ``Surv(entry, time, event)`` only without covariates.
    data : pandas or polars frame
    tau : float, optional
        Horizon, unit of the data. None: the smallest of the last times of
        those arms that end in censoring; if all end with an event, the largest
        last time (as R's survRM2).
    covariates : sequence of str, optional
        Further terms of the right side: ``["age", "C(stage)"]``.
    method : {"ipcw", "pseudo"}
        "ipcw": rows followed to their event or to `tau` are weighted by the
        inverse of the Kaplan-Meier of censoring in their arm (Tian, Zhao and
        Wei); without covariates, the areas under the arms' Kaplan-Meier curves.
        "pseudo": regression on pseudo-observations of all rows together.
    link : {"identity", "log"}
        Coefficients are differences of means, or logarithms of their ratios.
    quantity : {"rmst", "rmtl"}
        Mean time survived, or mean time lost (`tau` less the former).
    weights : str, optional
        Column of positive weights, such as inverse probabilities of treatment;
        standard errors are robust and take them as known.
    missing : {"drop", "raise"}

    Returns
    -------
    RmstFit
        `tidy` holds the effect of the arm and covariates, `by_arm` the arms'
        means, `contrasts` difference and ratios between arms.

    Raises
    ------
    OutcomeError
        No event happens before `tau`.

    Warns
    -----
    HorizonWarning
        `tau` lies beyond follow-up of an arm that ends in censoring (means are
        then taken up to that time; survRM2 stops), or beyond the last time of
        an arm whose curve has reached zero.

    Notes
    -----
    The mean is :math:`\int_0^\tau \hat S(t) dt`, with variance
    :math:`\sum_k A_k^2 d_k / (n_k (n_k - d_k))`, :math:`A_k` the area from
    :math:`t_k` to :math:`\tau`; ratios have their limits on the log scale.
    Regression solves :math:`\sum_i x_i \Delta_i (\min(T_i, \tau) - \mu_i) / \hat G(T_i) = 0`,
    with the variance of :math:`\hat G` accounted for. Cost: O(n p^2) after a sort.

    References
    ----------
    Uno H, et al. J Clin Oncol 2014;32:2380-2385. doi:10.1200/JCO.2014.55.2208
    Tian L, Zhao L, Wei LJ. Biostatistics 2014;15:222-233. doi:10.1093/biostatistics/kxt050

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"time": [1, 2, 3, 4, 5, 6], "died": [1, 1, 0, 1, 1, 0], "arm": [0, 1, 0, 1, 0, 1]})
    >>> rmst("Surv(time, died) ~ arm", data, tau=4).tidy()[["term", "estimate"]]
            term  estimate
    0        arm  0.333333
    1  Intercept  3.000000
    """
    check_option("method", method, RmstMethod)
    check_option("link", link, RmstLink)
    check_option("quantity", quantity, RmstQuantity)
    parts = parse(formula)
    arm, is_factor, rest = _split_arm(parts.fixed)
    right = [rest, *([covariates] if isinstance(covariates, str) else covariates or [])]
    fixed = " + ".join(t for t in right if t) or "1"
    design = build_design(
        f"{parts.outcome} ~ {fixed}", data, arguments={"the arm": arm, "weights": weights}, missing=missing
    )
    _check_arm(design, arm)
    curves = kaplan_meier(f"{parts.outcome} ~ {f'`{arm}`' if arm else 1}", design.rows.frame, weights=weights)
    tau = horizon(curves, tau)
    given = design.number(weights, argument="weights", positive=True)
    adjusted = bool(design.terms)
    if adjusted or method == "pseudo" or given is not None:
        refuse_delayed_entry(design.survival, "RMST regression and weighted means")
    arms = arm_means(curves, tau, given)
    arm_terms = _arm_terms(arm, is_factor, curves.groups.labels)
    dummies = (curves.groups.codes[:, None] == np.arange(1, len(arms))).astype(np.float64)
    full = replace(design, x=np.column_stack([dummies, design.x]), terms=[*arm_terms, *design.terms])
    refuse_collinear(full)
    if method == "pseudo" and weights is not None:
        raise OptionError("weights are not taken with method='pseudo'; use method='ipcw'")
    model: MeanModel
    if method == "pseudo":
        model, name = pseudo_means(full, tau), "pseudo-observations"
    elif adjusted:
        model, name = known_rows(full, curves.groups.codes, tau, given), "IPCW"
    else:
        mean, std_error = (arms[column].to_numpy() for column in ("estimate", "std_error"))
        model, name = ArmMeans(mean, std_error**2, tau), "Kaplan-Meier"
    estimate = model.estimate(quantity, link)
    if not estimate.converged:
        warn(f"no logarithm of the {quantity.upper()} exists: some mean is zero", ConvergenceWarning)
    what = f"restricted mean {'survival time' if quantity == 'rmst' else 'time lost'} to {tau:g}"
    if full.terms:
        what = f"{'difference' if link == 'identity' else 'log ratio'} of {what}"
    call = format_call(
        "survival.rmst",
        formula,
        tau=tau,
        covariates=covariates if covariates is None or isinstance(covariates, str) else list(covariates),
        method=method,
        link=link,
        quantity=quantity,
        weights=weights,
    )
    return RmstFit(
        curves=curves,
        model=model,
        terms=(*full.terms, "Intercept"),
        arm_terms=arm_terms,
        coefficients=read_only(estimate.coefficients),
        covariance=read_only(estimate.covariance),
        tau=tau,
        method=name,
        link=link,
        quantity=quantity,
        arms=arms,
        nobs=design.survival.time.size,
        n_events=int(design.survival.event.sum()),
        provenance=design.provenance(call),
        estimand=what,
    )


def _split_arm(fixed: str) -> tuple[str | None, bool, str]:
    """Column of the arm (None for ``1``), whether it stands in C(), and the rest of the right side."""
    match = _FIRST.fullmatch(fixed)
    if match is None:
        raise FormulaError(
            f"the right side {fixed!r} must begin with the arm, a column or C(column); covariates follow: arm + age"
        )
    name = match["quoted"] or match["plain"]
    return (None if name == "1" else name), match["factor"] is not None, (match["rest"] or "").strip()


def _check_arm(design: Design, arm: str | None) -> None:
    if arm is None:
        return
    n = design.rows.frame[arm].nunique()
    if n < 2:
        value = design.rows.frame[arm].iloc[0]
        raise PredictorError(
            f"the arm {arm!r} has one value ({shown(value)}) in the {len(design.index)} rows analysed; comparing needs "
            "two. For one mean write ~ 1"
        )
    if n > MAX_GROUPS:
        raise PredictorError(
            f"the first variable on the right is the arm, but {arm!r} holds {n} values; write the arm first, then "
            f"covariates: arm + {arm}"
        )


def _arm_terms(arm: str | None, is_factor: bool, labels: tuple[Any, ...]) -> tuple[str, ...]:
    if arm is None:
        return ()
    if len(labels) == 2 and not is_factor and all(isinstance(v, bool | int | float) for v in labels):
        return (arm,)
    text = f"C({arm})" if is_factor else arm
    return tuple(f"{text}[T.{label}]" for label in labels[1:])
