"""``[[competing_risks]]``: how many die of what, and whose hazard of which cause is higher."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from dxa_causal import survival
from dxa_causal.plots.coefficients import forest
from dxa_causal.plots.style import new_axes, term_label
from dxa_causal.plots.survival import step_curves
from dxa_causal.report import BlockWriter
from dxa_causal.runner.blocks import CompetingRisksBlock
from dxa_causal.survival.step_curves import nice_ticks, risk_table


def competing_risks(block: CompetingRisksBlock, writer: BlockWriter, frame: pd.DataFrame) -> None:
    """Write incidence curves with Gray's tests, and the models of every cause."""
    if block.curves is not None:
        _curves(block, block.curves, writer, frame)
    if block.formula is not None:
        _models(block, block.formula, writer, frame)


def _curves(block: CompetingRisksBlock, formula: str, writer: BlockWriter, frame: pd.DataFrame) -> None:
    fit = survival.aalen_johansen(formula, frame)
    groups = fit.groups
    table, at_risk = fit.tidy(), risk_table(groups, None)
    for cause in groups.outcome.causes:
        ax = step_curves(
            table[table["cause"] == cause].drop(columns="cause"),
            at_risk=at_risk,
            time_label=block.time_label or groups.outcome.time_name,
            value_label=f"Cumulative incidence: {cause}",
            start=0.0,
        )
        writer.figure(ax, f"incidence_{_slug(cause)}", f"Cumulative incidence (Aalen-Johansen) of {cause}, 95% limits.")
    last = float(table.groupby("group", observed=True)["time"].max().min())
    times = [t for t in nice_ticks(last) if t > 0]
    writer.table(
        fit.predict(times), "incidence", "Cumulative incidence: the share who have died of the cause by the time."
    )
    writer.table(table, "steps", "Every step of the curves:", kind="file")
    if len(groups.labels) > 1 and groups.outcome.entry is None:
        tests = [survival.gray_test(formula, frame, cause=c).tidy().assign(cause=c) for c in groups.outcome.causes]
        found = pd.concat(tests, ignore_index=True)[["cause", "statistic", "df", "p_value", "reason"]]
        writer.table(found, "gray", "Gray's tests of equal cumulative incidence.")
    writer.notes += [formula, fit.provenance.describe()]


def _models(block: CompetingRisksBlock, formula: str, writer: BlockWriter, frame: pd.DataFrame) -> None:
    specific = survival.cause_specific(formula, frame)
    hazards = specific.tidy(exponentiate=True)
    writer.table(
        hazards,
        "cause_specific",
        "Cause-specific hazard ratios with 95% limits, other causes as censoring: what raises the rate of this cause "
        "among those still alive. The standard error is of the logarithm.",
    )
    events = {cause: fit.n_events for cause, fit in specific.fits.items()}
    writer.table(pd.DataFrame({"cause": list(events), "n_events": list(events.values())}), "events", "Events by cause.")
    shown = [_of_first(hazards, "cause-specific", events)]
    if block.fine_gray:
        fits = {cause: survival.fine_gray(formula, frame, cause=cause) for cause in block.fine_gray}
        tables = [fit.tidy(exponentiate=True).assign(cause=cause) for cause, fit in fits.items()]
        ratios = pd.concat(tables, ignore_index=True)[list(hazards.columns)]
        writer.table(
            ratios,
            "fine_gray",
            "Subdistribution hazard ratios (Fine and Gray): what raises the share who die of this cause, be it through "
            "its rate or because other causes leave more people to it. For prediction, not for aetiology.",
        )
        shown.append(_of_first(ratios, "subdistribution", events))
    name = block.term_label or term_label(specific.terms[0])
    table = pd.concat(shown, ignore_index=True)
    ax = new_axes(None, width=8.0, height=1.1 + 0.32 * len(table))
    forest(table, effect_measure=f"Hazard ratio, {name}", label="label", ax=ax)
    writer.figure(ax, "forest", f"Hazard ratios of each cause, {name}, with 95% limits.")
    writer.notes += [formula, specific.provenance.describe()]


def _of_first(table: pd.DataFrame, kind: str, events: Mapping[Any, int]) -> pd.DataFrame:
    """Rows of the first term, labelled by cause."""
    first = table[table["term"] == table["term"].iloc[0]]
    return first.assign(label=[f"{cause} ({events[cause]:,} events), {kind}" for cause in first["cause"]])


def _slug(cause: object) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(cause).lower()).strip("_")
