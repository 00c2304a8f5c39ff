"""Commands: run, check, mr, datasets, version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dxa_causal._core.errors import DxaCausalError, OptionError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Cohort studies of the bone-muscle axis: survival, causal and Mendelian randomisation analysis.",
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="study.toml, or the folder that holds it.")]


def _say(text: str) -> None:
    typer.echo(text, err=True)


@app.command()
def run(
    study: StudyFile,
    out: Annotated[Path | None, typer.Option(help="Output folder; results/ beside the study when omitted.")] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the seed in the file.")] = None,
    n_jobs: Annotated[int | None, typer.Option(help="Processes; the results do not depend on it.")] = None,
) -> None:
    """Run a study and write its report; finished steps of an earlier run are kept."""
    from dxa_causal import runner

    try:
        result = runner.run(study, out=out, seed=seed, n_jobs=n_jobs, progress=True, say=_say)
    except KeyboardInterrupt:
        _say("interrupted; run the same command again to go on from the last finished step")
        raise typer.Exit(130) from None
    typer.echo(f"report: {result.report}")


@app.command()
def check(study: StudyFile) -> None:
    """Check a study file and the columns it names, without running it."""
    from dxa_causal import runner

    spec = runner.check(study)
    typer.echo(f"{spec.study.title}: {len(spec.cohorts)} cohorts, {sum(1 for _ in spec.blocks())} analyses; all fine")


@app.command()
def mr(
    exposure: Annotated[str, typer.Option(help="GWAS summary statistics of the exposure: a file or a data set.")],
    outcome: Annotated[str, typer.Option(help="The same of the outcome.")],
    methods: Annotated[str, typer.Option(help="Estimators, with commas between them, or all.")] = "all",
    action: Annotated[int, typer.Option(help="Palindromic variants: 1 keep, 2 by frequency, 3 drop.")] = 2,
    p_below: Annotated[float | None, typer.Option(help="Use variants with a smaller p for the exposure.")] = None,
    clump: Annotated[
        Path | None, typer.Option(help="Panel (prefix of bed, bim, fam): use one variant per region of it.")
    ] = None,
    r2: Annotated[
        float | None, typer.Option(help="Clumping: largest squared correlation of two instruments (0.001).")
    ] = None,
    kb: Annotated[float | None, typer.Option(help="Clumping: within so many thousand base pairs (10,000).")] = None,
    p1: Annotated[float | None, typer.Option(help="Clumping: largest p of an instrument (5e-8).")] = None,
    by: Annotated[str, typer.Option(help="Join files: auto, variant (by id, whatever the builds), position.")] = "auto",
    exposure_people: Annotated[str, typer.Option(help="Cohorts in the exposure's study, with commas.")] = "",
    outcome_people: Annotated[str, typer.Option(help="The same of the outcome: who is in both?")] = "",
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("results/mr"),
    seed: Annotated[int, typer.Option(help="For standard errors by resampling.")] = 1,
) -> None:
    """Run Mendelian randomisation on two files: report, tables, figures and a study.toml to go on from."""
    from dxa_causal import runner

    people = [[name.strip() for name in side.split(",") if name.strip()] for side in (exposure_people, outcome_people)]
    if any(people) and not all(people):
        side = "--outcome-people" if people[0] else "--exposure-people"
        raise OptionError(f"{side} is missing: cohorts are compared between the two studies; write unknown if so")
    given = {name: value for name, value in (("r2", r2), ("kb", kb), ("p1", p1)) if value is not None}
    if given and clump is None:
        hint = "; --p-below uses the variants with a smaller p without a panel" if "p1" in given else ""
        raise OptionError(f"--{' --'.join(given)}: only with --clump PANEL{hint}")
    result = runner.run_mr(
        exposure, outcome, methods=methods, action=action, by=by, p_below=p_below,
        clump=None if clump is None else {"panel": str(clump), **given},
        people={"exposure": people[0], "outcome": people[1]} if any(people) else None,
        out=out, seed=seed, say=_say,
    )  # fmt: skip
    typer.echo(f"report: {result.report}")


@app.command()
def datasets() -> None:
    """List the data sets that ship."""
    from dxa_causal import datasets as room

    table = room.list()
    typer.echo(table.to_string(index=False))


@app.command()
def version() -> None:
    """Print the version."""
    from dxa_causal import __version__

    typer.echo(__version__)


def main() -> None:
    """Entry point: errors of the package are one clear message and exit status 2."""
    try:
        app()
    except DxaCausalError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
