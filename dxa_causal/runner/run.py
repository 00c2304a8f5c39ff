"""Check a study, run it, put its results in place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dxa_causal._core.errors import DxaCausalError, OutputInUseError, StudyFileError
from dxa_causal._core.files import atomic_file, atomic_folder, sha256_file
from dxa_causal._design.matrix import selected_columns
from dxa_causal._design.parse import parse
from dxa_causal.report import read_block, write_page
from dxa_causal.results import versions
from dxa_causal.runner.analyses import analysis_step, gwas_file
from dxa_causal.runner.sources import cohort_steps, load_source, source_file
from dxa_causal.runner.steps import Finished, Step, execute, remove_stale
from dxa_causal.runner.study import (
    CoxBlock,
    KaplanMeierBlock,
    MrBlock,
    Study,
    TableOneBlock,
    ValidationBlock,
    read_study,
)

MARKER = "manifest.json"
LOCK = ".lock"
STEPS = "steps"


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run put its results.

    Attributes
    ----------
    out, report, manifest : Path
    steps : sequence of Finished
    """

    out: Path
    report: Path
    manifest: Path
    steps: Sequence[Finished]


def check(study: str | Path) -> Study:
    """Check a study file and that what it names exists, without running anything.

    Parameters
    ----------
    study : str or Path
        ``study.toml`` or its folder.

    Raises
    ------
    StudyFileError, ColumnNotFoundError, FormulaError
    """
    path = _study_path(study)
    spec = read_study(path)
    base = path.parent
    for name, cohort in spec.cohorts.items():
        file = source_file(cohort, base)
        if file is not None and not file.exists():
            raise StudyFileError(f"{path}: cohorts.{name}.file = {str(cohort.file)!r}: no such file")
        if cohort.scans is not None and not (base / cohort.scans.manifest).exists():
            raise StudyFileError(
                f"{path}: cohorts.{name}.scans.manifest = {str(cohort.scans.manifest)!r}: no such file"
            )
    frames = {
        name: load_source(cohort, base)
        for name, cohort in spec.cohorts.items()
        if cohort.simulate is None and cohort.scans is None
    }
    for kind, block in spec.blocks():
        where = f"{path}: {kind} {block.name!r}"
        if isinstance(block, MrBlock):
            for side in ("exposure", "outcome"):
                source = getattr(block, side)
                if not gwas_file(source, base).exists():
                    raise StudyFileError(f"{where}: {side} = {source!r}: neither a data set nor a file")
            continue
        if block.cohort not in frames:
            continue
        try:
            if isinstance(block, TableOneBlock):
                names = [*block.columns, *([block.by] if block.by else [])]
                selected_columns("", " + ".join(f"`{n}`" for n in names), frames[block.cohort], {})
                continue
            formulas = block.formulas if isinstance(block, ValidationBlock) else {"": block.formula}
            arguments: dict[str, str | None] = {}
            if isinstance(block, CoxBlock):
                arguments = {k: getattr(block, k) for k in ("strata", "cluster", "weights", "offset")}
            elif isinstance(block, KaplanMeierBlock):
                arguments = {"weights": block.weights}
            for formula in formulas.values():
                parts = parse(formula)
                selected_columns(parts.outcome, parts.fixed, frames[block.cohort], arguments)
        except DxaCausalError as error:
            raise type(error)(f"{where}: {error}") from None
    return spec


def run(
    study: str | Path,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    n_jobs: int | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> RunResult:
    """Run a study: do its steps, keep what was finished before, write the report.

    Parameters
    ----------
    study : str or Path
        ``study.toml`` or its folder.
    out : str or Path, optional
        Output folder; ``results/`` beside the study file when omitted. It may
        hold an earlier run of any study, nothing else.
    seed : int, optional
        In place of the seed in the file.
    n_jobs : int, optional
        Processes for scans; the results do not depend on it.
    progress : bool
    say : callable
        Told one line per step.

    Returns
    -------
    RunResult
        ``out/report.html``, ``out/tables/*.csv``, ``out/figures/*``, ``out/manifest.json``.
    """
    path = _study_path(study)
    spec = check(path)
    seed = spec.study.seed if seed is None else seed
    folder = Path(out) if out is not None else path.parent / "results"
    steps = plan(spec, path.parent)
    with _locked(folder):
        finished = execute(steps, folder / STEPS, seed=seed, n_jobs=n_jobs, progress=progress, say=say)
        manifest = _manifest(spec, path, seed, finished)
        _collect(finished, folder)
        blocks = []
        for step in finished:
            block = read_block(step.folder)
            if block is not None:
                notes = [*block.notes, *step.warnings]
                blocks.append((type(block)(block.section, block.title, block.text, notes, block.items), step.folder))
        report = folder / "report.html"
        write_page(report, title=spec.study.title, description=spec.study.description, blocks=blocks, manifest=manifest)
        with atomic_file(folder / MARKER) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        remove_stale(finished, folder / STEPS)
    return RunResult(folder, report, folder / MARKER, finished)


def plan(spec: Study, base: Path) -> list[Step]:
    """All steps of a study, each after those it needs."""
    steps = [step for name, cohort in spec.cohorts.items() for step in cohort_steps(name, cohort, base)]
    return steps + [analysis_step(kind, block, base) for kind, block in spec.blocks()]


def _study_path(study: str | Path) -> Path:
    path = Path(study)
    return path / "study.toml" if path.is_dir() else path


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    if folder.exists() and not folder.is_dir():
        raise OutputInUseError(f"output {str(folder)!r} is a file, not a folder")
    foreign = folder.exists() and any(folder.iterdir())
    if foreign and not any((folder / name).exists() for name in (MARKER, LOCK, STEPS)):
        raise OutputInUseError(f"output folder {str(folder)!r} holds files that are not of a run; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)  # the system lets go of it when a run is killed
    except Timeout:
        raise OutputInUseError(
            f"another run is writing to {str(folder)!r}; wait for it, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _collect(finished: Sequence[Finished], folder: Path) -> None:
    for kind, suffixes in (("tables", {".csv"}), ("figures", {".svg", ".png"})):
        with atomic_folder(folder / kind) as temporary:
            for step in finished:
                if read_block(step.folder) is None:
                    continue
                for path in sorted(step.folder.iterdir()):
                    if path.suffix in suffixes:
                        shutil.copyfile(path, temporary / path.name)


def _manifest(spec: Study, path: Path, seed: int, finished: Sequence[Finished]) -> dict[str, Any]:
    inputs = {str(path): sha256_file(path)}
    for step in finished:
        inputs |= step.files
    return {
        "title": spec.study.title,
        "call": f"dxa-causal run {os.path.relpath(path)} --seed {seed}",
        "seed": seed,
        "inputs": [{"name": _short(Path(name)), "sha256": digest} for name, digest in inputs.items()],
        "versions": dict(versions()),
        "steps": [
            {
                "name": s.name,
                "key": s.key,
                "wall_s": round(s.wall_s, 3),
                "reused": s.reused,
                "warnings": list(s.warnings),
            }
            for s in finished
        ],
    }


def _short(path: Path) -> str:
    """Path relative to where the run was started when it lies below, else the last two parts."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(Path(*path.parts[-2:]))
