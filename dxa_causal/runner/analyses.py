"""Steps that answer questions: one function per kind of block in ``study.toml``."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dxa_causal import cohort as cohort_room
from dxa_causal import propensity, survival
from dxa_causal._core.errors import StudyFileError
from dxa_causal.report import BlockWriter
from dxa_causal.results import Result
from dxa_causal.runner.blocks import (
    Block,
    CohortBlock,
    CompetingRisksBlock,
    CoxBlock,
    DoseResponseBlock,
    KaplanMeierBlock,
    MrBlock,
    OnsetBlock,
    RmstBlock,
    SubgroupsBlock,
    TableOneBlock,
    ValidationBlock,
    WeightingBlock,
)
from dxa_causal.runner.competing_risks import competing_risks
from dxa_causal.runner.derive import restrict
from dxa_causal.runner.dose_response import dose_response
from dxa_causal.runner.gwas_sources import gwas_file, panel_files, step_name
from dxa_causal.runner.mendelian_randomisation import mendelian_randomisation
from dxa_causal.runner.onset import onset
from dxa_causal.runner.restricted_mean import restricted_mean
from dxa_causal.runner.sources import TRUTH
from dxa_causal.runner.steps import Context, Step
from dxa_causal.runner.subgroups import subgroups

MAX_PANELS = 6  # more coefficients than that: the first is drawn


def analysis_step(kind: str, block: Block, base: Path, simulated: Collection[str] = ()) -> Step:
    """The step of one block; `simulated` are the names under ``[gwas.NAME]``."""
    config = block.model_dump(mode="json")
    if isinstance(block, MrBlock):
        sources = (block.exposure, block.outcome)
        files = [gwas_file(source, base) for source in sources if source not in simulated]
        panels = {block.clump.panel if block.clump else None, block.ld} - {None}
        files += [file for prefix in sorted(panels, key=str) for file in panel_files(Path(str(prefix)), base)]
        needs = [step_name(source) for source in sources if source in simulated]
        return Step(f"{kind}.{block.name}", _Analysis(block, base), config, needs, files)
    return Step(f"{kind}.{block.name}", _Analysis(block, base), config, (f"cohort.{block.cohort}",))


@dataclass(frozen=True, slots=True)
class _Analysis:
    block: Block
    base: Path

    def __call__(self, context: Context) -> None:
        block = self.block
        writer = BlockWriter(context.folder, block.name, block.section, block.title)
        if block.text:
            writer.text.append(block.text)
        if isinstance(block, MrBlock):
            mendelian_randomisation(block, writer, context, self.base)
        else:
            _of_cohort(block, writer, context)
        writer.close()


def _of_cohort(block: CohortBlock, writer: BlockWriter, context: Context) -> None:
    folder = context.inputs[f"cohort.{block.cohort}"]
    everybody = pd.read_parquet(folder / "cohort.parquet")
    frame = restrict(everybody, block.where)
    if block.where is not None:
        writer.notes.append(f"only where {block.where}: {len(frame)} of {len(everybody)} people")
    truth = json.loads((folder / TRUTH).read_text("utf-8")) if (folder / TRUTH).exists() else {}
    match block:
        case TableOneBlock():
            _table_one(block, writer, frame)
        case KaplanMeierBlock():
            _kaplan_meier(block, writer, frame)
        case CoxBlock():
            _cox(block, writer, frame, truth)
        case DoseResponseBlock():
            dose_response(block, writer, frame)
        case SubgroupsBlock():
            subgroups(block, writer, frame)
        case CompetingRisksBlock():
            competing_risks(block, writer, frame)
        case RmstBlock():
            restricted_mean(block, writer, frame)
        case OnsetBlock():
            onset(block, writer, frame, truth)
        case ValidationBlock():
            _validation(block, writer, frame, context)
        case WeightingBlock():
            _weighting(block, writer, frame, truth)


def _known(name: str, truth: dict[str, float], key: str) -> float:
    if name not in truth:
        raise StudyFileError(f"{key} = {name!r}: the cohort knows no such truth; it knows {sorted(truth)}")
    return truth[name]


def _provenance(result: Result, writer: BlockWriter) -> None:
    writer.notes.append(result.provenance.describe())


def _table_one(block: TableOneBlock, writer: BlockWriter, frame: pd.DataFrame) -> None:
    table = cohort_room.table_one(frame, by=block.by, columns=list(block.columns))
    writer.table(table.display(), "table", "Characteristics: mean (SD) or number (%).")


def _kaplan_meier(block: KaplanMeierBlock, writer: BlockWriter, frame: pd.DataFrame) -> None:
    fit = survival.kaplan_meier(block.formula, frame, weights=block.weights, conf_type=block.conf_type)
    writer.figure(
        fit.plot(time_label=block.time_label), "curves", "Kaplan-Meier curves with 95% limits and the numbers at risk."
    )
    writer.table(fit.tidy(), "steps", "Every step of the curves:", kind="file")
    median = fit.median()
    if median["estimate"].notna().any():
        writer.table(
            median,
            "median",
            f"Median survival ({block.time_label or 'time'}); empty where a curve stays above one half.",
        )
    else:
        writer.text.append("No curve comes down to one half: the median survival time lies beyond follow-up.")
    if len(fit.groups.labels) > 1 and block.weights is None:
        test = survival.logrank(block.formula, frame)
        writer.table(test.tidy(), "logrank", "Log-rank test.")
    _provenance(fit, writer)


def _cox(block: CoxBlock, writer: BlockWriter, frame: pd.DataFrame, truth: dict[str, float]) -> None:
    fit = survival.cox(
        block.formula,
        frame,
        ties=block.ties,
        strata=block.strata,
        cluster=block.cluster,
        weights=block.weights,
        offset=block.offset,
        robust=block.robust,
    )
    table = fit.tidy(exponentiate=True)
    caption = "Hazard ratios with 95% limits; the standard error is of the logarithm."
    if block.truth:
        values = {term: float(np.exp(_known(key, truth, f"truth.{term}"))) for term, key in block.truth.items()}
        unknown = sorted(set(values) - set(table["term"]))
        if unknown:
            raise StudyFileError(f"truth: {unknown} are not terms of the model; its terms are {list(table['term'])}")
        table = table.assign(truth=table["term"].map(values))
        caption += " Truth: the value the cohort was simulated with."
    writer.table(table, "hazard_ratios", caption)
    writer.figure(fit.plot(), "forest", "Hazard ratios with 95% limits.")
    writer.table(fit.glance(), "fit", "The fit as a whole.")
    if block.ph_test:
        _proportional(fit, writer, block.time_label)
    options = {k: getattr(block, k) for k in ("ties", "strata", "cluster", "weights", "offset")}
    said = [block.formula, *(f"{k}: {v}" for k, v in options.items() if v is not None)]
    writer.notes.append("; ".join([*said, *(["robust standard errors"] if fit.robust else [])]))
    _provenance(fit, writer)


def _proportional(fit: survival.CoxFit, writer: BlockWriter, time_label: str | None) -> None:
    test = survival.ph_test(fit)
    caption = "Proportional hazards: score tests of a change of the log hazard ratio with time."
    writer.table(test.tidy(), "ph_test", caption)
    few = len(fit.terms) <= MAX_PANELS
    label = time_label or "Time"
    panels = test.plot_all(time_label=label).axes if few else [test.plot(time_label=label)]
    which = "coefficient by coefficient" if few else fit.terms[0]
    writer.figure(panels[0], "ph", f"Log hazard ratio over time (scaled Schoenfeld residuals, smoothed): {which}.")


def _validation(block: ValidationBlock, writer: BlockWriter, frame: pd.DataFrame, context: Context) -> None:
    result = survival.cross_validate(block.formulas, frame, folds=block.folds, seed=context.seed)
    writer.table(
        result.tidy()[["term", "estimate", "std_error", "conf_low", "conf_high"]],
        "concordance",
        f"Concordance on rows left out, mean of {block.folds} folds. Standard error and limits come from the spread "
        "of the folds, which share training rows: a guide, not a test.",
    )
    writer.figure(result.plot(), "forest", f"{block.folds}-fold cross-validated concordance.")
    writer.text.append(f"{result.nobs:,} people, {result.n_events:,} events; every model sees the same rows.")
    _provenance(result, writer)


def _weighting(block: WeightingBlock, writer: BlockWriter, frame: pd.DataFrame, truth: dict[str, float]) -> None:
    named = [f"propensity: {block.formula}"]
    named += [f"outcome: {block.outcome}"] if block.outcome else []
    named += [f"survival: {block.survival}"] if block.survival else []
    writer.notes.append("; ".join(named))
    needed = frame.dropna(subset=[block.outcome]) if block.outcome else frame
    if len(needed) < len(frame):
        writer.notes.append(f"{len(frame) - len(needed)} of {len(frame)} rows lack {block.outcome} and are left out")
    weights = propensity.weight(
        block.formula, needed, estimand=block.estimand, stabilize=block.stabilize, trim=block.trim
    )
    rows = []
    if block.outcome:
        rows.append(propensity.mean_difference(block.outcome, weights, needed).tidy())
    if block.survival:
        treated = block.formula.split("~")[0].strip()
        data = needed.assign(_weight=weights.weights)
        fit = survival.cox(f"{block.survival} ~ {treated}", data, weights="_weight", robust=True)
        rows.append(fit.tidy(exponentiate=True).assign(effect_measure="HR"))
    effect = pd.concat(rows, ignore_index=True)
    caption = (
        f"Effect of treatment ({block.estimand}), weighted by the propensity score. Standard errors: of a mean "
        "difference with the estimation of the score taken into account, of a hazard ratio robust, of its logarithm."
    )
    if block.truth:
        effect["truth"] = _known(block.truth, truth, "truth") if block.outcome else float("nan")
        caption += " Truth: the value the cohort was simulated with."
    writer.table(effect, "effect", caption)
    writer.table(weights.balance(), "balance", "Balance of the covariates before and after weighting.")
    writer.figure(weights.plot(), "love", "Standardised mean differences before and after weighting.")
    writer.table(weights.glance(), "weights", "The weights.")
    _provenance(weights, writer)
