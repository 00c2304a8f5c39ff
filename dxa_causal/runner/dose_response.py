"""``[[dose_response]]``: the hazard ratio along an exposure that enters a Cox model as a spline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal import survival
from dxa_causal._core.errors import StudyFileError
from dxa_causal.plots.coefficients import log_ticks
from dxa_causal.plots.style import COLOURS, GREY, new_axes, strip
from dxa_causal.report import BlockWriter
from dxa_causal.results import wald_columns
from dxa_causal.runner.blocks import DoseResponseBlock
from dxa_causal.runner.terms import only_term, right_terms, with_terms
from dxa_causal.survival import CoxFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

RANGE = (0.025, 0.975)  # quantiles of the exposure between which the curve is drawn
SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)
POINTS = 101
BEYOND = 3.0  # how far, as a ratio, limits are drawn beyond the curve


def dose_response(block: DoseResponseBlock, writer: BlockWriter, frame: pd.DataFrame) -> None:
    """Write the curve, the hazard ratios at some values, and the tests."""
    term = only_term(block.exposure, block.formula, frame)
    terms = right_terms(block.formula)
    fit = survival.cox(block.formula, frame, ties=block.ties, strata=block.strata)
    # models with less must not gain the rows that lack the exposure
    used = frame.loc[fit.design.index]
    linear, without = (
        survival.cox(with_terms(block.formula, left), used, ties=block.ties, strata=block.strata)
        for left in ([block.exposure if t == term else t for t in terms], [t for t in terms if t != term])
    )
    values = fit.design.rows.frame[block.exposure].to_numpy(dtype=np.float64)
    if not values.min() <= block.reference <= values.max():
        raise StudyFileError(
            f"reference = {block.reference:g} lies outside the values of {block.exposure!r}, "
            f"{values.min():g} to {values.max():g}"
        )
    at = np.array(block.at or _readable(np.quantile(values, SHOWN)))
    label = block.exposure_label or block.exposure
    first, last = (float(v) for v in np.quantile(values, RANGE))
    curve = hazard_ratio(fit, block.exposure, np.linspace(first, last, POINTS), block.reference)
    said = f"Hazard ratio against {block.reference:g}"
    writer.figure(_draw(curve, values, block.reference, label), "curve", f"{said}, 95% limits; bars: people.")
    writer.table(hazard_ratio(fit, block.exposure, at, block.reference), "ratios", f"{said} with 95% limits.")
    tests = pd.concat([survival.anova(without, fit).tidy(), survival.anova(linear, fit).tidy()], ignore_index=True)
    tests = tests.assign(term=["any association", "not a straight line"]).drop(columns="log_likelihood")
    writer.table(tests, "tests", "Likelihood-ratio tests of the exposure and of the bend in its log hazard ratio.")
    writer.table(curve, "points", "Every point of the curve:", kind="file")
    writer.text.append(f"{fit.nobs:,} people, {fit.n_events:,} events.")
    writer.notes += [block.formula, fit.provenance.describe()]


def hazard_ratio(fit: CoxFit, exposure: str, values: npt.ArrayLike, reference: float) -> pd.DataFrame:
    """Hazard ratios of a fit at values of `exposure` against a reference, all else equal.

    Returns
    -------
    DataFrame
        The exposure, estimate, conf_low, conf_high; std_error of the logarithm.
    """
    grid = np.concatenate([[reference], np.asarray(values, dtype=np.float64)])
    rows = fit.design.rows.frame.iloc[[0] * grid.size].assign(**{exposure: grid})
    x, _ = fit.design.new(rows)
    contrast = x[1:] - x[0]
    variance = np.einsum("ij,jk,ik->i", contrast, fit.covariance, contrast)
    columns = wald_columns(
        contrast @ fit.coefficients, np.sqrt(np.maximum(variance, 0.0)), conf_level=0.95, exponentiate=True
    )
    table = pd.DataFrame({exposure: grid[1:], **columns})
    return table[[exposure, "estimate", "std_error", "conf_low", "conf_high"]]


def _readable(values: FloatArray) -> list[float]:
    return [float(f"{v:.2g}") for v in values]


def _draw(curve: pd.DataFrame, values: FloatArray, reference: float, label: str) -> Axes:
    from matplotlib.ticker import NullLocator

    ax = new_axes(None)
    x = curve.iloc[:, 0].to_numpy()
    ax.fill_between(x, curve["conf_low"], curve["conf_high"], color=COLOURS[0], alpha=0.18, linewidth=0)
    ax.plot(x, curve["estimate"], color=COLOURS[0], linewidth=1.8)
    ax.plot([reference], [1.0], "o", color=COLOURS[0], markersize=5)
    ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle="--")
    ax.set_yscale("log")
    drawn = np.append(curve["estimate"], 1.0)
    low = max(float(curve["conf_low"].min()), drawn.min() / BEYOND)
    high = min(float(curve["conf_high"].max()), drawn.max() * BEYOND)
    # room for the bars below
    ax.set_ylim(low / (high / low) ** 0.12, high * (high / low) ** 0.04)
    ticks = log_ticks(np.array([low, high, 1.0]))
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.yaxis.set_minor_locator(NullLocator())
    people = ax.twinx()
    people.hist(values, bins=40, range=(x[0], x[-1]), color="0.8", zorder=0)
    people.set_ylim(0, 5 * people.get_ylim()[1])
    people.set_axis_off()
    ax.set_zorder(people.get_zorder() + 1)
    ax.patch.set_visible(False)
    ax.set_xlim(x[0], x[-1])
    ax.set_xlabel(label)
    ax.set_ylabel(f"Hazard ratio (reference {reference:g})")
    strip(ax)
    return ax
