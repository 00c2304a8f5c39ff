"""``[[dose_response]]``: the hazard ratio along an exposure that enters a Cox model as a spline."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal import survival
from dxa_causal._core.errors import StudyFileError
from dxa_causal.report import BlockWriter
from dxa_causal.runner.blocks import DoseResponseBlock
from dxa_causal.runner.terms import only_term, right_terms, with_terms

FloatArray = npt.NDArray[np.float64]

SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)


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
    curve = survival.dose_response(fit, block.exposure, reference=block.reference)
    said = f"Hazard ratio against {block.reference:g}"
    writer.figure(curve.plot(label=label), "curve", f"{said}, 95% limits; bars: people.")
    ratios = survival.dose_response(fit, block.exposure, reference=block.reference, values=at)
    writer.table(_table(ratios), "ratios", f"{said} with 95% limits.")
    tests = pd.concat([survival.anova(without, fit).tidy(), survival.anova(linear, fit).tidy()], ignore_index=True)
    tests = tests.assign(term=["any association", "not a straight line"]).drop(columns="log_likelihood")
    writer.table(tests, "tests", "Likelihood-ratio tests of the exposure and of the bend in its log hazard ratio.")
    writer.table(_table(curve), "points", "Every point of the curve:", kind="file")
    writer.text.append(f"{fit.nobs:,} people, {fit.n_events:,} events.")
    writer.notes += [block.formula, fit.provenance.describe()]


def _readable(values: FloatArray) -> list[float]:
    return [float(f"{v:.2g}") for v in values]


def _table(curve: survival.DoseResponse) -> pd.DataFrame:
    columns = ["value", "estimate", "std_error", "conf_low", "conf_high"]
    return curve.tidy(exponentiate=True)[columns].rename(columns={"value": curve.exposure})
