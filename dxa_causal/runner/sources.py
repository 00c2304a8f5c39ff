"""Steps that bring cohorts in: load or simulate, measure scans, exclude."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dxa_causal import cohort as cohort_room
from dxa_causal import datasets
from dxa_causal._core.errors import StudyFileError, column_not_found
from dxa_causal.report import BlockWriter
from dxa_causal.runner.steps import Context, Step
from dxa_causal.runner.study import Cohort

# Scans measured per step: what a killed run loses at most.
BATCH = 50
TRUTH = "truth.json"


def read_frame(path: Path) -> pd.DataFrame:
    """Read a cohort file: .parquet, .csv or .tsv (also gzipped)."""
    suffixes = "".join(path.suffixes[-2:]).lower()
    if suffixes.endswith(".parquet"):
        return pd.read_parquet(path)
    if ".csv" in suffixes or ".tsv" in suffixes or ".txt" in suffixes:
        return pd.read_csv(path, sep="," if ".csv" in suffixes else "\t")
    raise StudyFileError(f"{path}: a cohort must be a .parquet, .csv or .tsv file")


def load_source(spec: Cohort, base: Path) -> pd.DataFrame:
    """Rows of a cohort that is a data set or a file, before exclusions."""
    if spec.dataset is not None:
        return datasets.load(spec.dataset)
    if spec.file is None:
        raise StudyFileError("a simulated cohort has no file")
    return read_frame(base / spec.file)


def source_file(spec: Cohort, base: Path) -> Path | None:
    """The file behind a cohort; None for a simulated one."""
    if spec.dataset is not None:
        return datasets.path(spec.dataset)
    return None if spec.file is None else base / spec.file


def cohort_steps(name: str, spec: Cohort, base: Path) -> list[Step]:
    """Steps that end in ``cohort.{name}`` with the rows to analyse in ``cohort.parquet``."""
    if spec.simulate is not None:
        simulated = Step(f"simulate.{name}", _Simulate(spec.simulate.n), {"n": spec.simulate.n})
        n_batches = -(-spec.simulate.n // BATCH)
        measured = [
            Step(f"scans.{name}.{k + 1}of{n_batches}", _Measure(simulated.name, k), {"batch": k}, [simulated.name])
            for k in range(n_batches)
        ]
        needs = [simulated.name, *(s.name for s in measured)]
        final = Step(f"cohort.{name}", _Assemble(name, spec, base, measured[0].name), _config(spec), needs)
        return [simulated, *measured, final]
    files = [source_file(spec, base)]
    if spec.scans is None:
        final = Step(f"cohort.{name}", _Assemble(name, spec, base, None), _config(spec), (), [f for f in files if f])
        return [final]
    manifest = base / spec.scans.manifest
    scans = pd.read_csv(manifest)
    images = [p for folder in scans["path"] for p in sorted((manifest.parent / str(folder)).glob("*")) if p.is_file()]
    calibration = [
        p
        for pair in spec.scans.calibrations.values()
        for folder in (pair.wedge, pair.phantom)
        for p in sorted((base / folder).glob("*"))
    ]
    n_batches = -(-len(scans) // BATCH)
    measured = [
        Step(
            f"scans.{name}.{k + 1}of{n_batches}",
            _MeasureFile(
                manifest, {d: (base / c.wedge, base / c.phantom) for d, c in spec.scans.calibrations.items()}, k
            ),
            {"batch": k},
            (),
            [manifest, *images, *calibration],
        )
        for k in range(n_batches)
    ]
    needs = [s.name for s in measured]
    final = Step(f"cohort.{name}", _Assemble(name, spec, base, needs[0]), _config(spec), needs, [f for f in files if f])
    return [*measured, final]


def _config(spec: Cohort) -> dict[str, Any]:
    return spec.model_dump(mode="json")


@dataclass(frozen=True, slots=True)
class _Simulate:
    n: int

    def __call__(self, context: Context) -> None:
        from dxa_causal import simulate

        cohort, truth = simulate.cohort(self.n, context.seed)
        cohort.write(context.folder, n_jobs=context.n_jobs, progress=context.progress)
        (context.folder / TRUTH).write_text(json.dumps(dict(truth), indent=1, sort_keys=True) + "\n", "utf-8")


@dataclass(frozen=True, slots=True)
class _Measure:
    source: str
    batch: int

    def __call__(self, context: Context) -> None:
        folder = context.inputs[self.source]
        pairs = {
            path.name.removeprefix("wedge_"): (path, path.with_name(path.name.replace("wedge_", "phantom_")))
            for path in sorted((folder / "calibration").glob("wedge_*"))
        }
        _measure(folder / "manifest.csv", pairs, self.batch, context)


@dataclass(frozen=True, slots=True)
class _MeasureFile:
    manifest: Path
    calibrations: Mapping[str, tuple[Path, Path]]
    batch: int

    def __call__(self, context: Context) -> None:
        _measure(self.manifest, self.calibrations, self.batch, context)


def _measure(manifest: Path, pairs: Mapping[str, tuple[Path, Path]], batch: int, context: Context) -> None:
    from dxa_causal import imaging

    calibrations = {device: imaging.calibrate(wedge=w, phantom=p) for device, (w, p) in pairs.items()}
    rows = pd.read_csv(manifest).iloc[batch * BATCH : (batch + 1) * BATCH]
    rows = rows.assign(path=[str((manifest.parent / p).resolve()) for p in rows["path"]])
    features = imaging.extract(rows, calibrations=calibrations, n_jobs=context.n_jobs, progress=context.progress)
    features = features.drop(columns="path", errors="ignore")
    features.to_parquet(context.folder / "features.parquet", index=False)
    good = features.index[features["qc_flag"] == "ok"]
    if batch == 0 and len(good):
        device = str(features.loc[good[0], "device_id"]) if "device_id" in features else ""
        if device in pairs:  # one scan to look at in the report
            example = {"path": rows["path"].iloc[int(good[0])], "calibration": [str(p) for p in pairs[device]]}
            (context.folder / "example.json").write_text(json.dumps(example) + "\n", "utf-8")


@dataclass(frozen=True, slots=True)
class _Assemble:
    name: str
    spec: Cohort
    base: Path
    first_scans: str | None

    def __call__(self, context: Context) -> None:
        spec = self.spec
        writer = BlockWriter(context.folder, self.name, "Participants", spec.title or f"Cohort {self.name}")
        frame, id_column = self._rows(context)
        if self.first_scans is not None:
            scans = [n for n in context.inputs if n.startswith("scans.")]
            features = pd.concat(
                [pd.read_parquet(context.inputs[n] / "features.parquet") for n in scans], ignore_index=True
            )
            if id_column not in features.columns:
                raise column_not_found(id_column, features.columns, argument="scans.id")
            frame = frame.merge(features, on=id_column, how="left", validate="one_to_one")
            counts = features["qc_flag"].value_counts().rename_axis("qc_flag").reset_index(name="scans")
            writer.table(counts, "quality", "Quality flags of the scans.")
            self._example(context, writer)
        frame, flow = cohort_room.exclude(frame, {e.because: e.where for e in spec.exclude})
        writer.table(flow, "flow", "Participant flow.", kind="flow")
        frame.reset_index(drop=True).to_parquet(context.folder / "cohort.parquet", index=False)
        for source in context.inputs.values():
            if (source / TRUTH).exists():
                (context.folder / TRUTH).write_bytes((source / TRUTH).read_bytes())
        writer.close()

    def _rows(self, context: Context) -> tuple[pd.DataFrame, str]:
        if self.spec.simulate is not None:
            return pd.read_parquet(context.inputs[f"simulate.{self.name}"] / "subjects.parquet"), "subject_id"
        return load_source(self.spec, self.base), self.spec.scans.id if self.spec.scans else ""

    def _example(self, context: Context, writer: BlockWriter) -> None:
        from dxa_causal import imaging

        path = context.inputs[str(self.first_scans)] / "example.json"
        if not path.exists():
            writer.notes.append("No scan passed its quality check, so none is shown.")
            return
        example = json.loads(path.read_text("utf-8"))
        ax = imaging.show(example["path"], imaging.calibrate(*example["calibration"]))
        writer.figure(
            ax, "scan", "One scan of the cohort: areal bone mineral with bone outlines and the region measured."
        )
