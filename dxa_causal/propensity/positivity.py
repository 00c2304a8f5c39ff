"""Rows whose arm was next to impossible, and weights that rule the rest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import shown
from dxa_causal._core.options import Estimand
from dxa_causal._core.warnings import PositivityWarning, warn

FloatArray = npt.NDArray[np.float64]

# Scores this close to 0 or 1 mean weights of a thousand.
EXTREME_SCORE = 1e-3
# One row with more than this share of its arm's weights, and so many times its fair share, rules the arm.
DOMINANT_SHARE = 0.10
DOMINANT_MULTIPLE = 5.0


def check_positivity(
    score: FloatArray,
    weight: FloatArray,
    treated: npt.NDArray[np.bool_],
    *,
    estimand: Estimand,
    index: pd.Index,
) -> None:
    """Warn, with numbers, where the estimand asks for comparisons the data hardly hold.

    Scores near 0 matter where controls stand for treated or the whole sample
    (ATE, ATC), near 1 for ATE and ATT; overlap and matching weights give
    such rows no weight.

    Parameters
    ----------
    score, weight : (n,) ndarray
    treated : (n,) ndarray of bool
    estimand : Estimand
    index : Index
        Row labels, for the message.
    """
    findings = []
    low = int((score < EXTREME_SCORE).sum()) if estimand in ("ATE", "ATC") else 0
    high = int((score > 1 - EXTREME_SCORE).sum()) if estimand in ("ATE", "ATT") else 0
    if low or high:
        findings.append(
            f"{low + high} of {score.size} rows have a propensity score within {EXTREME_SCORE:g} of 0 or 1 "
            f"(range {score.min():.3g} to {score.max():.6g})"
        )
    for name, arm in (("treated", treated), ("control", ~treated)):
        share = weight[arm] / weight[arm].sum()
        top = int(np.argmax(share))
        if share[top] > DOMINANT_SHARE and share[top] * share.size > DOMINANT_MULTIPLE:
            label = shown(index[arm][top])
            findings.append(
                f"row {label} carries {share[top]:.0%} of the weights of the {share.size} {name} rows "
                f"(weight {weight[arm][top]:.4g})"
            )
    if findings:
        warn(
            f"{'; '.join(findings)}. The {estimand} leans on comparisons these data hardly hold: look at balance() and "
            "plot(), consider estimand='ATO', trim=0.99, or a narrower study population",
            PositivityWarning,
        )
