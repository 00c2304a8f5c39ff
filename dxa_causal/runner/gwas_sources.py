"""GWAS summary statistics that a study names: a data set, a file, or a simulation under ``[gwas.NAME]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import polars as pl

from dxa_causal import datasets, mr, simulate
from dxa_causal.mr.columns import read_side
from dxa_causal.runner.blocks import SimulatedGwas
from dxa_causal.runner.sources import read_frame
from dxa_causal.runner.steps import Context, Step

Gwas: TypeAlias = pd.DataFrame | mr.GWAS
GENOME_WIDE = 5e-8
_TABLE = "gwas.parquet"


def is_dataset(source: str) -> bool:
    """Whether the name is that of a data set that ships."""
    return source in set(datasets.list()["name"])


def gwas_file(source: str, base: Path) -> Path:
    """Path of GWAS summary statistics: a data set that ships, or a file."""
    return datasets.path(source) if is_dataset(source) else base / source


def panel_files(prefix: Path, base: Path) -> list[Path]:
    """The three files of a panel."""
    return [base / f"{prefix}.{ending}" for ending in ("bed", "bim", "fam")]


def read_gwas(source: str, base: Path) -> Gwas:
    """Read GWAS summary statistics: a data set that ships, or a file in any format of `mr.read_gwas`."""
    if is_dataset(source):
        return datasets.load(source)
    path = base / source
    return read_frame(path) if path.suffix == ".parquet" else mr.read_gwas(path)


def gwas_of(source: str, base: Path, inputs: Mapping[str, Path]) -> Gwas:
    """Read what `source` names, a finished simulation first."""
    folder = inputs.get(step_name(source))
    return read_gwas(source, base) if folder is None else pd.read_parquet(folder / _TABLE)


def step_name(name: str) -> str:
    """Name of the step that simulates ``[gwas.NAME]``."""
    return f"gwas.{name}"


def gwas_steps(simulated: Mapping[str, SimulatedGwas], base: Path) -> list[Step]:
    """One step per simulated GWAS."""
    steps = []
    for name, spec in simulated.items():
        files = [gwas_file(spec.at, base)] if spec.at is not None else []
        files += panel_files(spec.panel, base) if spec.panel is not None else []
        steps.append(Step(step_name(name), _Simulate(spec, base), spec.model_dump(mode="json"), (), files))
    return steps


def simulated_gwas(spec: SimulatedGwas, base: Path, seed: int) -> pd.DataFrame:
    """Simulate one GWAS.

    The true effects behind the estimates of an exposure are those with winner's curse allowed for
    (`mr.shrink`, average of mean and maximum of the conditional likelihood); what is left counts as their error.
    """
    if spec.panel is not None:
        return simulate.gwas(base / spec.panel, {"trait": spec.effects}, n=spec.n, seed=seed)["trait"]
    table, _ = read_side(read_gwas(str(spec.at), base), "exposure")
    exposure = table.with_columns(pl.col(pl.Categorical).cast(pl.String)).to_pandas()
    return simulate.gwas_outcome(
        exposure, spec.effect, n=spec.n, true_effects=_true_effects(exposure), case_share=spec.case_share,
        shared=spec.shared, correlation=spec.correlation, direct_mean=spec.direct_mean, direct_sd=spec.direct_sd,
        seed=seed,
    )  # fmt: skip


def _true_effects(exposure: pd.DataFrame) -> Any:
    shrunk = mr.shrink(exposure, GENOME_WIDE, estimate="average")
    if not isinstance(shrunk, mr.ShrunkEffects):
        return exposure["beta"].to_numpy()
    by_name = dict(zip(shrunk.variant, shrunk.estimates, strict=True))
    return np.array([by_name.get(v, b) for v, b in zip(exposure["variant"], exposure["beta"], strict=True)])


@dataclass(frozen=True, slots=True)
class _Simulate:
    spec: SimulatedGwas
    base: Path

    def __call__(self, context: Context) -> None:
        frame = simulated_gwas(self.spec, self.base, context.seed)
        frame.attrs = {}
        frame.to_parquet(context.folder / _TABLE, index=False)
