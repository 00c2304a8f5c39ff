"""Check a study, run it, put its results in place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dxa_causal import cohort as cohort_room
from dxa_causal._core.errors import DxaCausalError, OptionError, OutputInUseError, StudyFileError
from dxa_causal._core.files import atomic_file, atomic_folder, sha256_file
from dxa_causal.report import read_block, write_page
from dxa_causal.results import versions
from dxa_causal.runner.analyses import analysis_step
from dxa_causal.runner.derive import derive
from dxa_causal.runner.gwas_sources import gwas_steps
from dxa_causal.runner.preview import check_block, preview
from dxa_causal.runner.sources import cohort_steps, source_file
from dxa_causal.runner.steps import Finished, Step, execute, remove_stale
from dxa_causal.runner.study import Study, read_study

MARKER = ".dxa-causal"
MANIFEST = "manifest.json"
MARKED = "This folder belongs to dxa-causal run: what else lies here may be removed.\n"
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
    frames = {name: preview(cohort, base) for name, cohort in spec.cohorts.items()}
    for name, cohort in spec.cohorts.items():
        try:
            steps = {e.because: e.where for e in cohort.exclude}
            kept, _ = cohort_room.exclude(frames[name], steps)
        except DxaCausalError as error:
            raise type(error)(f"{path}: cohorts.{name}.exclude: {error}") from None
        example = cohort.simulate is not None or cohort.scans is not None
        if not example:
            if kept.empty:
                n = len(frames[name])
                raise StudyFileError(f"{path}: cohorts.{name}: the exclusions leave nobody of {n} people")
            frames[name] = kept
        try:
            frames[name] = derive(frames[name], cohort, example=example)
        except DxaCausalError as error:
            raise type(error)(f"{path}: cohorts.{name}.{error}") from None
    for kind, block in spec.blocks():
        try:
            check_block(block, spec, frames, base)
        except DxaCausalError as error:
            raise type(error)(f"{path}: {kind} {block.name!r}: {error}") from None
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
        Output folder; ``results/`` beside the study file when omitted. It must
        be new, empty, or of an earlier run, whose results are replaced.
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
    if seed is not None and seed < 0:
        raise OptionError(f"seed={seed} must not be negative")
    spec = check(path)
    given = seed is not None
    seed = spec.study.seed if seed is None else seed
    folder = Path(out) if out is not None else path.parent / "results"
    steps = plan(spec, path.parent)
    with _locked(folder):
        finished = execute(steps, folder / STEPS, seed=seed, n_jobs=n_jobs, progress=progress, say=say)
        typed = {"--out": out, "--seed": seed if given else None, "--n-jobs": n_jobs}
        call = " ".join(["dxa-causal run", str(study), *(f"{k} {v}" for k, v in typed.items() if v is not None)])
        manifest = _manifest(spec, path, call, seed, finished)
        _collect(finished, folder)
        blocks = []
        for step in finished:
            block = read_block(step.folder)
            if block is not None:
                notes = [*block.notes, *step.warnings]
                blocks.append((type(block)(block.section, block.title, block.text, notes, block.items), step.folder))
        report = folder / "report.html"
        write_page(report, title=spec.study.title, description=spec.study.description, blocks=blocks, manifest=manifest)
        with atomic_file(folder / MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        remove_stale(finished, folder / STEPS)
    return RunResult(folder, report, folder / MANIFEST, finished)


def plan(spec: Study, base: Path) -> list[Step]:
    """All steps of a study, each after those it needs."""
    steps = [step for name, cohort in spec.cohorts.items() for step in cohort_steps(name, cohort, base)]
    steps += gwas_steps(spec.gwas, base)
    return steps + [analysis_step(kind, block, base, spec.gwas) for kind, block in spec.blocks()]


def _study_path(study: str | Path) -> Path:
    path = Path(study)
    return path / "study.toml" if path.is_dir() else path


def refuse_foreign(folder: Path) -> None:
    """Raise unless `folder` is new, empty, or of an earlier run."""
    if folder.exists() and not folder.is_dir():
        raise OutputInUseError(f"output {str(folder)!r} is a file, not a folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise OutputInUseError(f"output folder {str(folder)!r} holds files that are not of a run; choose another --out")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    refuse_foreign(folder)
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text(MARKED)
        lock.acquire(timeout=0)  # the system lets go of it when a run is killed
    except Timeout:
        raise OutputInUseError(
            f"another run is writing to {str(folder)!r}; wait for it, or choose another --out"
        ) from None
    except OSError as error:
        raise OutputInUseError(f"output folder {str(folder)!r} cannot be written to: {error.strerror}") from None
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


def _manifest(spec: Study, path: Path, call: str, seed: int, finished: Sequence[Finished]) -> dict[str, Any]:
    inputs = {str(path): sha256_file(path)}
    for step in finished:
        inputs |= step.files
    return {
        "title": spec.study.title,
        "call": call,
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
