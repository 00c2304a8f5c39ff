"""Look at what a block will meet before any step runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from dxa_causal import datasets, mr
from dxa_causal._core.errors import StudyFileError, column_not_found, nearest
from dxa_causal._design import build_design, read_groups, to_pandas
from dxa_causal._design.matrix import selected_columns
from dxa_causal._design.parse import parse
from dxa_causal.propensity.treatment import read_treatment
from dxa_causal.runner.blocks import (
    Block,
    Cohort,
    CompetingRisksBlock,
    CoxBlock,
    DoseResponseBlock,
    KaplanMeierBlock,
    MrBlock,
    OnsetBlock,
    RmstBlock,
    Simulation,
    SubgroupsBlock,
    TableOneBlock,
    ValidationBlock,
    WeightingBlock,
)
from dxa_causal.runner.derive import restrict
from dxa_causal.runner.gwas_sources import Gwas, is_dataset, panel_files, read_gwas, simulated_gwas
from dxa_causal.runner.sources import load_source, read_manifest
from dxa_causal.runner.study import Study
from dxa_causal.runner.subgroups import check_terms
from dxa_causal.runner.terms import only_term, with_terms


def preview(spec: Cohort, base: Path) -> pd.DataFrame:
    """Rows of a cohort, or a few example rows with all its columns where steps have to make them."""
    if spec.simulate is None and spec.scans is None:
        return load_source(spec, base)
    from dxa_causal import imaging, simulate

    if spec.simulate is not None and spec.simulate.kind == "illness_death":
        return simulate.illness_death_cohort(10, seed=1)
    features = {name: 0.5 for name in imaging.feature_dictionary()["name"]} | {"qc_flag": "ok", "error": ""}
    if spec.scans is None:
        return _beside(simulate.cohort(10, seed=1)[0].subjects, features)
    manifest = read_manifest(spec.scans, base).drop(columns="path")
    rows = load_source(spec, base)
    if spec.scans.id not in rows.columns:
        raise column_not_found(spec.scans.id, rows.columns, argument="scans.id in the cohort")
    others = [c for c in manifest.columns if c != spec.scans.id]
    return _beside(rows, {c: manifest[c].iloc[0] for c in others} | features)


def _beside(frame: pd.DataFrame, constants: dict[str, Any]) -> pd.DataFrame:
    """Add constant columns, all at once."""
    kept = frame.drop(columns=[c for c in constants if c in frame])
    return pd.concat([kept, pd.DataFrame(constants, index=frame.index)], axis=1)


def check_block(block: Block, spec: Study, frames: dict[str, pd.DataFrame], base: Path) -> None:
    """Raise what the step of `block` would raise about names and codes."""
    if isinstance(block, MrBlock):
        _check_mr(block, spec, base)
        return
    cohort = spec.cohorts[block.cohort]
    frame = frames[block.cohort]
    example = cohort.simulate is not None or cohort.scans is not None
    if not example:
        frame = restrict(frame, block.where)
    known = _truths(cohort.simulate) if cohort.simulate is not None else []
    match block:
        case TableOneBlock():
            _columns(frame, "columns", *block.columns, *([block.by] if block.by else []))
        case KaplanMeierBlock():
            _read(block.formula, frame, {"weights": block.weights}, example, groups=True)
        case CoxBlock():
            arguments = {k: getattr(block, k) for k in ("strata", "cluster", "weights", "offset")}
            _read(block.formula, frame, arguments, example)
            for name in block.truth.values():
                _known(name, known)
        case DoseResponseBlock():
            _read(block.formula, frame, {"strata": block.strata}, example)
            _columns(frame, "exposure", block.exposure)
            only_term(block.exposure, block.formula, frame)
        case SubgroupsBlock():
            _read(block.formula, frame, {"strata": block.strata}, example)
            _columns(frame, "by", *block.by)
            check_terms(block)
        case CompetingRisksBlock():
            if block.curves is not None:
                _read(block.curves, frame, {}, example, groups=True, causes=True)
            if block.formula is not None:
                design = _read(block.formula, frame, {}, example, causes=True)
                for cause in block.fine_gray if design is not None else ():
                    design.survival.cause_code(cause)
        case RmstBlock():
            _read(block.formula, frame, {}, example, groups=True)
            if block.covariates:
                _read(with_terms(block.formula, block.covariates), frame, {}, example)
        case OnsetBlock():
            beside = {"entry": block.entry, "group": block.group}
            _read(f"{block.death} ~ {block.covariates}", frame, beside, example)
            if example:
                selected_columns(block.onset, "1", to_pandas(frame), {})
            else:
                design = build_design(f"{block.onset} ~ {block.covariates}", frame, interval=True)
                _ = design.interval  # raises when the left side is no interval
            if block.true_onset is not None:
                _columns(frame, "true_onset", block.true_onset)
            for name in block.truth.values():
                _known(f"healthy -> ill: {name}", known)
        case ValidationBlock():
            for formula in block.formulas.values():
                _read(formula, frame, {}, example)
        case WeightingBlock():
            design = _read(block.formula, frame, {}, example, survival=False)
            if design is not None:
                read_treatment(design)
            if block.outcome is not None:
                _columns(frame, "outcome", block.outcome)
            if block.survival is not None:
                _read(f"{block.survival} ~ 1", frame, {}, example)
            if block.truth is not None:
                _known(block.truth, known)


def _check_mr(block: MrBlock, spec: Study, base: Path) -> None:
    for argument, prefix in (("clump.panel", block.clump.panel if block.clump else None), ("ld", block.ld)):
        for path in panel_files(prefix, base) if prefix is not None else ():
            if not path.exists():
                raise StudyFileError(f"{argument} = {str(prefix)!r}: no file {path}")
    exposure, outcome = (_gwas(source, spec, base) for source in (block.exposure, block.outcome))
    mr.harmonise(exposure, outcome, action=block.action, by=block.by)


def _gwas(source: str, spec: Study, base: Path) -> Gwas:
    if source in spec.gwas:
        try:
            return simulated_gwas(spec.gwas[source], base, seed=1)
        except OSError as error:
            raise StudyFileError(f"gwas.{source}: {error}") from None
    if not is_dataset(source) and not (base / source).exists():
        known = [*spec.gwas, *datasets.list()["name"]]
        near = nearest(source, known)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise StudyFileError(f"{source!r}: no such file, no [gwas.{source}] and no data set of that name{hint}")
    return read_gwas(source, base)


def _columns(frame: pd.DataFrame, argument: str, *names: str) -> None:
    for name in names:
        if name not in frame.columns:
            raise column_not_found(name, frame.columns, argument=argument)


def _read(
    formula: str,
    frame: Any,
    arguments: dict[str, str | None],
    example: bool,
    *,
    groups: bool = False,
    survival: bool = True,
    causes: bool = False,
) -> Any:
    if example:  # values are made up: only the names can be checked
        parts = parse(formula)
        selected_columns(parts.outcome, parts.fixed, to_pandas(frame), arguments)
        return None
    if groups:
        return read_groups(formula, frame, arguments=arguments, causes=causes)
    design = build_design(formula, frame, arguments=arguments, causes=causes)
    if survival:
        _ = design.survival  # raises when the left side is no survival outcome
    return design


def _truths(simulation: Simulation) -> list[str]:
    from dxa_causal import simulate

    if simulation.kind == "illness_death":
        effects = simulate.illness_death_cohort(10, seed=1).attrs["log_hazard_ratio"]
        return sorted(f"{transition}: {name}" for transition, of in effects.items() for name in of)
    return sorted(simulate.cohort(10, seed=1)[1])


def _known(name: str, known: list[str]) -> None:
    if name in known:
        return
    near = nearest(name, known)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    has = f"It knows {known}" if known else "Only simulated cohorts know the truth"
    raise StudyFileError(f"truth = {name!r}: the cohort knows no such truth{hint} {has}")
