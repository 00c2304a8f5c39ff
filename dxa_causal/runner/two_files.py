"""Mendelian randomisation without a study file: one is written, then run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from dxa_causal import datasets
from dxa_causal._core.errors import StudyFileError
from dxa_causal.runner.run import MARKED, MARKER, RunResult, refuse_foreign, run

NAME = "study.toml"


def run_mr(
    exposure: str | Path,
    outcome: str | Path,
    *,
    out: str | Path,
    methods: str = "all",
    action: int = 2,
    by: str = "auto",
    p_below: float | None = None,
    clump: Mapping[str, object] | None = None,
    people: Mapping[str, object] | None = None,
    seed: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> RunResult:
    """Run Mendelian randomisation on two files of summary statistics.

    Parameters
    ----------
    exposure, outcome : str or Path
        A file, or the name of a data set that ships.
    out : str or Path
        Output folder: new, empty, or of an earlier run. Its ``study.toml``
        repeats the run with ``dxa-causal run``; one that differs is kept beside
        it as ``study.1.toml`` and so on.
    methods : str
        Estimators with commas between them, or "all".
    action : {1, 2, 3}
        As in :func:`dxa_causal.mr.harmonise`.
    by : {"auto", "variant", "position"}
        How the files are joined; "variant" is by id alone, whatever their builds.
    p_below : float, optional
        Use the variants with a smaller p-value for the exposure.
    clump : mapping, optional
        Use one variant per region: panel (prefix of bed, bim, fam), r2, kb, p1.
    people : mapping, optional
        exposure and outcome: lists of the cohorts in either study.
    seed : int
    say : callable
        Told one line per step.

    Returns
    -------
    RunResult
    """
    folder = Path(out)
    refuse_foreign(folder)
    sources = [_source(name, value) for name, value in (("exposure", exposure), ("outcome", outcome))]
    labels = [Path(source).name.split(".")[0] for source in sources]
    asked = "all" if methods.strip() == "all" else [m.strip() for m in methods.split(",")]
    title = f"{labels[0]} and {labels[1]}: Mendelian randomisation"
    block = {
        "name": "mr",
        "title": "Two-sample Mendelian randomisation",
        "exposure": sources[0],
        "outcome": sources[1],
        "exposure_label": labels[0],
        "outcome_label": labels[1],
        "action": action,
        **({} if by == "auto" else {"by": by}),
        **({} if p_below is None else {"p_below": p_below}),
        **({} if clump is None else {"clump": {**clump, "panel": _panel(str(clump.get("panel", "")))}}),
        **({} if people is None else {"people": dict(people)}),
        "methods": asked,
        "checks": True,
        "strobe_mr": True,
    }
    lines = ["[study]", f"title = {_toml(title)}", f"seed = {seed}", "", "[[mr]]"]
    lines += [f"{key} = {_toml(value)}" for key, value in block.items()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(MARKED)
    text = "\n".join(lines) + "\n"
    if (folder / NAME).is_file() and (folder / NAME).read_text("utf-8") != text:
        kept = next(p for k in itertools.count(1) if not (p := folder / f"study.{k}.toml").exists())
        (folder / NAME).rename(kept)
        say(f"{folder / NAME} differed (edited, or other options) and is kept as {kept.name}")
    (folder / NAME).write_text(text, "utf-8")
    return run(folder / NAME, out=folder, say=say)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _panel(prefix: str) -> str:
    prefix = prefix.removesuffix(".bed")
    if not Path(f"{prefix}.bed").is_file():
        raise StudyFileError(f"clump: no panel {prefix!r}: there is no file {prefix}.bed")
    return str(Path(prefix).resolve())


def _source(argument: str, value: str | Path) -> str:
    if str(value) in set(datasets.list()["name"]):
        return str(value)
    if not Path(value).is_file():
        raise StudyFileError(f"{argument} = {str(value)!r}: no such file, and no data set of that name")
    return str(Path(value).resolve())
