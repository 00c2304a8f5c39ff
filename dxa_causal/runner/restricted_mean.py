"""``[[rmst]]``: time lived up to a horizon, by group, and the difference."""

from __future__ import annotations

import pandas as pd

from dxa_causal import survival
from dxa_causal.report import BlockWriter
from dxa_causal.runner.blocks import RmstBlock


def restricted_mean(block: RmstBlock, writer: BlockWriter, frame: pd.DataFrame) -> None:
    """Write the restricted mean of each group and the contrasts, crude and adjusted."""
    crude = survival.rmst(block.formula, frame, tau=block.tau)
    ax = crude.plot()
    label = block.time_label or "Time"
    ax.set_xlabel(label)
    two = crude.by_arm()["group"].nunique() == 2
    hatched = f"; hatched: the difference of the means up to {block.tau:g}" if two else ""
    writer.figure(ax, "curves", f"Kaplan-Meier curves with 95% limits{hatched}.")
    means = "Mean time lived (RMST) and lost (RMTL)"
    writer.table(crude.by_arm(), "means", f"{means} up to {block.tau:g} with 95% limits. {label}.")
    contrasts = [crude.contrasts().assign(method="unadjusted")]
    provenance = crude.provenance
    if block.covariates:
        adjusted = survival.rmst(block.formula, frame, tau=block.tau, covariates=list(block.covariates))
        contrasts.append(adjusted.contrasts().assign(method=f"adjusted for {', '.join(block.covariates)}"))
        provenance = adjusted.provenance
    table = pd.concat(contrasts, ignore_index=True)
    first = ["term", "effect_measure", "method"]
    writer.table(
        table[[*first, *(c for c in table.columns if c not in first)]],
        "contrasts",
        "Contrasts of these means with 95% limits; of ratios, the standard error is of the logarithm. Adjusted: "
        "regression of the restricted time, weighted by the inverse probability of not being censored in the group.",
    )
    writer.notes += [block.formula, provenance.describe()]
