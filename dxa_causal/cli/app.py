"""Commands: run, check, datasets, version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dxa_causal._core.errors import DxaCausalError

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
