"""Steps that are done once: content-addressed folders, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dxa_causal._core.errors import DxaCausalError
from dxa_causal._core.files import atomic_folder, sha256_file
from dxa_causal._core.warnings import DxaCausalWarning
from dxa_causal._version import __version__

RECORD = "step.json"
PREFIX = ".step-"


@dataclass(frozen=True, slots=True)
class Context:
    """What a step may see.

    Attributes
    ----------
    folder : Path
        Where it writes; renamed into place when the step returns.
    inputs : mapping of str to Path
        Folders of the steps it needs, by name.
    seed : int
        Its own seed, from the study's seed and the step's name.
    n_jobs : int or None
    progress : bool
    """

    folder: Path
    inputs: Mapping[str, Path]
    seed: int
    n_jobs: int | None
    progress: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A function with everything its result depends on.

    Attributes
    ----------
    name : str
    work : callable (Context) -> None
    config : mapping
        Plain values; part of the key.
    needs : sequence of str
        Names of earlier steps; their keys are part of the key.
    files : sequence of Path
        Input files; their hashes are part of the key.
    """

    name: str
    work: Callable[[Context], None]
    config: Mapping[str, Any]
    needs: Sequence[str] = ()
    files: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """A step that is done.

    Attributes
    ----------
    name, key : str
    folder : Path
    wall_s : float
        Seconds it took when it was done.
    reused : bool
        Whether it was found done.
    warnings : sequence of str
    files : mapping of str to str
        Input file -> SHA-256.
    """

    name: str
    key: str
    folder: Path
    wall_s: float
    reused: bool
    warnings: Sequence[str]
    files: Mapping[str, str] = field(default_factory=dict)


@cache
def source_hash() -> str:
    """Hash of the package's own source: another program, another key."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def step_seed(seed: int, name: str) -> int:
    """Seed of a step, independent of which other steps there are.

    Examples
    --------
    >>> step_seed(1, "a") == step_seed(1, "a") != step_seed(1, "b")
    True
    """
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype=np.uint32)
    return int(np.random.SeedSequence([seed, *words.tolist()]).generate_state(1)[0])


def execute(
    steps: Sequence[Step],
    folder: Path,
    *,
    seed: int,
    n_jobs: int | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> list[Finished]:
    """Do every step that is not done yet, in order.

    Parameters
    ----------
    steps : sequence of Step
        Each after the steps it needs.
    folder : Path
        Holds one folder per finished step.
    seed : int
    n_jobs : int, optional
    progress : bool
    say : callable
        Told about each step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{PREFIX}*"):  # of a run that was killed
        shutil.rmtree(leftover)
    done: dict[str, Finished] = {}
    hashes: dict[Path, str] = {}
    for i, step in enumerate(steps, start=1):
        for path in step.files:
            if path not in hashes:
                hashes[path] = sha256_file(path)
        files = {str(path): hashes[path] for path in step.files}
        key = _key(step, seed, sorted(files.values()), [done[n].key for n in step.needs])
        target = folder / f"{step.name}-{key[:16]}"
        label = f"[{i}/{len(steps)}] {step.name}"
        if (target / RECORD).exists():
            record = json.loads((target / RECORD).read_text("utf-8"))
            say(f"{label}: done before, kept")
            done[step.name] = Finished(step.name, key, target, record["wall_s"], True, record["warnings"], files)
            continue
        say(f"{label} ...")
        inputs = {name: done[name].folder for name in step.needs}
        start = time.perf_counter()
        with atomic_folder(target, prefix=PREFIX) as temporary:
            context = Context(temporary, inputs, step_seed(seed, step.name), n_jobs, progress)
            caught = _work(step, context)
            wall = time.perf_counter() - start
            record = {"name": step.name, "key": key, "wall_s": round(wall, 3), "warnings": caught}
            (temporary / RECORD).write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        say(f"{label}: {wall:.1f} s")
        done[step.name] = Finished(step.name, key, target, wall, False, caught, files)
    return list(done.values())


def remove_stale(finished: Sequence[Finished], folder: Path) -> None:
    """Remove step folders that the finished run did not use."""
    used = {f.folder for f in finished}
    for path in folder.iterdir():
        if path.is_dir() and path not in used:
            shutil.rmtree(path)


def _work(step: Step, context: Context) -> list[str]:
    from threadpoolctl import threadpool_limits

    try:
        # one BLAS thread: sums come out in one order
        with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            warnings.simplefilter("always", DxaCausalWarning)
            step.work(context)
    except DxaCausalError as error:
        raise type(error)(f"step {step.name}: {error}") from error
    for warning in caught:
        if not issubclass(warning.category, DxaCausalWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    own = [w for w in caught if issubclass(w.category, DxaCausalWarning)]
    return [f"{w.category.__name__}: {w.message}" for w in own]


def _key(step: Step, seed: int, files: list[str], needs: list[str]) -> str:
    parts = [step.name, step.config, seed, files, needs, __version__, source_hash()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
