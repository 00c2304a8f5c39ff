"""``[[subgroups]]``: one term of a Cox model in everybody and in every level of some columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from dxa_causal import survival
from dxa_causal._core.errors import StudyFileError
from dxa_causal._design import build_design
from dxa_causal.plots.coefficients import forest
from dxa_causal.plots.style import new_axes
from dxa_causal.report import BlockWriter
from dxa_causal.runner.blocks import SubgroupsBlock
from dxa_causal.runner.terms import naming, right_terms, with_terms
from dxa_causal.survival import CoxFit

# A hazard ratio of fewer events says nothing, and the model may not even converge.
FEWEST_EVENTS = 10


def subgroups(block: SubgroupsBlock, writer: BlockWriter, frame: pd.DataFrame) -> None:
    """Write the hazard ratios by subgroup, their forest plot and a test of interaction per column."""
    check_terms(block)
    everybody = _fit(block, block.formula, frame)
    frame = frame.loc[everybody.design.index]
    rows = [_row(everybody, block.term) | {"group": "all", "level": ""}]
    for column in block.by:
        without = [t for t in right_terms(block.formula) if t not in naming(column, block.formula, frame)]
        formula = with_terms(block.formula, without)
        levels = pd.Categorical(frame[column]).categories
        for level in levels:
            own = frame.loc[(frame[column] == level).to_numpy()]
            if len(own):
                rows.append(_level(block, formula, own) | {"group": column, "level": str(level)})
    table = pd.DataFrame(rows)
    first = ["group", "level", "nobs", "n_events"]
    table = table[[*first, *(c for c in table.columns if c not in first)]]
    name = block.term_label or block.term
    ax = new_axes(None, width=9.0, height=1.1 + 0.3 * len(table))
    forest(table.assign(label=_labels(table)), effect_measure=f"Hazard ratio, {name}", label="label", ax=ax)
    writer.figure(ax, "forest", f"Hazard ratios, {name}, with 95% limits, in everybody and by subgroup.")
    writer.table(table, "hazard_ratios", "The same in numbers; the standard error is of the logarithm.")
    writer.table(
        pd.DataFrame([_heterogeneity(table, column) for column in block.by]),
        "interactions",
        "Does the hazard ratio differ between the levels? Cochran's Q: the test of the interaction in a model whose "
        "every coefficient and baseline hazard may differ. One small p-value among several tests is no finding.",
    )
    writer.notes += [f"{block.formula}; in a subgroup without the terms of its own column"]
    writer.notes.append(everybody.provenance.describe())


def check_terms(block: SubgroupsBlock) -> None:
    """Raise when the term is not one of the formula."""
    terms = right_terms(block.formula)
    if block.term not in terms:
        raise StudyFileError(f"term = {block.term!r} is no term of the formula; its terms are {terms}")


def _fit(block: SubgroupsBlock, formula: str, frame: pd.DataFrame) -> CoxFit:
    return survival.cox(formula, frame, ties=block.ties, strata=block.strata)


def _level(block: SubgroupsBlock, formula: str, frame: pd.DataFrame) -> dict[str, Any]:
    n_events = int(build_design(with_terms(block.formula, []), frame).survival.event.sum())
    if n_events < FEWEST_EVENTS:
        return {"nobs": len(frame), "n_events": n_events, "reason": f"fewer than {FEWEST_EVENTS} events"}
    return _row(_fit(block, formula, frame), block.term)


def _row(fit: CoxFit, term: str) -> dict[str, Any]:
    table = fit.tidy(exponentiate=True).set_index("term")
    if term not in table.index:
        raise StudyFileError(f"term = {term!r} must be one coefficient; the model has {list(table.index)}")
    return {"nobs": fit.nobs, "n_events": fit.n_events, **table.loc[term].to_dict(), "reason": ""}


def _heterogeneity(table: pd.DataFrame, column: str) -> dict[str, Any]:
    """Cochran's Q of the levels, whose people and so whose estimates are independent."""
    known = table[(table["group"] == column) & table["estimate"].notna()]
    log_ratio, weight = np.log(known["estimate"].to_numpy()), known["std_error"].to_numpy() ** -2.0
    statistic = float(weight @ (log_ratio - weight @ log_ratio / weight.sum()) ** 2) if len(known) else 0.0
    df = len(known) - 1
    p_value = float(special.chdtrc(df, statistic)) if df > 0 else float("nan")
    return {"group": column, "statistic": statistic, "df": df, "p_value": p_value}


def _labels(table: pd.DataFrame) -> list[str]:
    return [
        f"{row.group}: {row.level} ({row.nobs:,}, {row.n_events:,} events)"
        if row.level
        else f"all ({row.nobs:,}, {row.n_events:,} events)"
        for row in table.itertuples()
    ]
