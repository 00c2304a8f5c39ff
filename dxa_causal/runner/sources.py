"""Steps that bring cohorts in: load or simulate, measure scans, exclude."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from dxa_causal import cohort as cohort_room
from dxa_causal import datasets
from dxa_causal._core.errors import StudyFileError, column_not_found
from dxa_causal.report import BlockWriter
from dxa_causal.runner.blocks import Cohort, Scans, Simulation
from dxa_causal.runner.derive import derive
from dxa_causal.runner.steps import Context, Step

# Scans measured per step: what a killed run loses at most.
BATCH = 50
TRUTH = "truth.json"


def read_frame(path: Path) -> pd.DataFrame:
    """Read a table: .parquet, .csv or .tsv (the latter two also gzipped)."""
    suffixes = "".join(path.suffixes[-2:]).lower()
    try:
        if suffixes.endswith(".parquet"):
            return pd.read_parquet(path)
        if not any(kind in suffixes for kind in (".csv", ".tsv", ".txt")):
            raise StudyFileError(f"{path}: a table must be a .parquet, .csv or .tsv file")
        frame = pd.read_csv(path, sep="," if ".csv" in suffixes else "\t")
    except UnicodeDecodeError:
        raise StudyFileError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise StudyFileError(f"{path}: the file is empty") from None
    except pd.errors.ParserError as error:
        raise StudyFileError(f"{path}: rows of unequal length: {str(error).strip()}") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise StudyFileError(f"{path}: cannot be read: {error}") from None
    header = str(frame.columns[0])
    if len(frame.columns) == 1 and any(mark in header for mark in ";,\t|"):
        raise StudyFileError(
            f"{path}: one column named {header[:60]!r}: another separator? Commas are for .csv, tabs for .tsv"
        )
    return frame


def read_manifest(scans: Scans, base: Path) -> pd.DataFrame:
    """Read the manifest of a cohort's scans; every row needs scan_id, path and the id."""
    path = base / scans.manifest
    manifest = read_frame(path)
    for name in ("scan_id", "path", scans.id):
        if name not in manifest.columns:
            raise column_not_found(name, manifest.columns, argument=str(path))
        if manifest[name].isna().any():
            row = int(manifest[name].isna().to_numpy().argmax())
            raise StudyFileError(f"{path}: {name} is empty in row {row + 1}")
        if name != "path" and manifest[name].duplicated().any():
            twice = manifest.loc[manifest[name].duplicated(), name].iloc[0]
            raise StudyFileError(f"{path}: {name} {twice!r} stands twice; one scan per person")
    if manifest.empty:
        raise StudyFileError(f"{path}: no scans")
    return manifest


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
    if spec.simulate is not None and spec.simulate.kind == "illness_death":
        simulated = Step(f"simulate.{name}", _SimulateVisits(spec.simulate), spec.simulate.model_dump(mode="json"))
        return [simulated, Step(f"cohort.{name}", _Assemble(name, spec, base, None), _config(spec), [simulated.name])]
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
    from dxa_causal.imaging.scan_files import files_of

    manifest = base / spec.scans.manifest
    scans = read_manifest(spec.scans, base)
    images = [p for path in scans["path"] for p in files_of(manifest.parent / str(path))]
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
class _SimulateVisits:
    spec: Simulation

    def __call__(self, context: Context) -> None:
        from dxa_causal import simulate

        people = simulate.illness_death_cohort(
            self.spec.n, seed=context.seed, visit_gap=self.spec.visit_gap, effects=self.spec.effects
        )
        effects = people.attrs["log_hazard_ratio"]
        truth = {f"{transition}: {name}": b for transition, of in effects.items() for name, b in of.items()}
        people.attrs = {}
        people.to_parquet(context.folder / "subjects.parquet", index=False)
        (context.folder / TRUTH).write_text(json.dumps(truth, indent=1, sort_keys=True) + "\n", "utf-8")


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
    rows = read_frame(manifest).iloc[batch * BATCH : (batch + 1) * BATCH]
    rows = rows.assign(path=[str((manifest.parent / p).resolve()) for p in rows["path"]])
    features = imaging.extract(rows, calibrations=calibrations, n_jobs=context.n_jobs, progress=context.progress)
    features = features.drop(columns="path", errors="ignore")
    features.to_parquet(context.folder / "features.parquet", index=False)
    good = features.index[features["qc_flag"] == "ok"]
    if batch == 0 and len(good):
        first = str(rows["path"].iloc[int(good[0])])
        device = str(features["device_id"].loc[good[0]]) if "device_id" in features else imaging.read(first).device_id
        if device in pairs:  # one scan to look at in the report
            example = {"path": first, "calibration": [str(p) for p in pairs[device]]}
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
            frame = _join(frame, features, id_column, writer)
            counts = frame["qc_flag"].value_counts().rename_axis("qc_flag").reset_index(name="people")
            writer.table(counts, "quality", "Quality flags of the scans.")
            failed = frame.loc[frame["error"].fillna("") != "", [id_column, "qc_flag", "error"]]
            if len(failed):
                writer.table(failed, "unreadable", "Scans that could not be read, and why.")
            self._example(context, writer)
        frame, flow = cohort_room.exclude(frame, {e.because: e.where for e in spec.exclude})
        writer.table(flow, "flow", "Participant flow.", kind="flow")
        if frame.empty:
            raise StudyFileError(
                f"cohorts.{self.name}: the exclusions leave nobody of {flow['n_remaining'].iloc[0]} people"
            )
        derive(frame.reset_index(drop=True), spec).to_parquet(context.folder / "cohort.parquet", index=False)
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


def _join(frame: pd.DataFrame, features: pd.DataFrame, key: str, writer: BlockWriter) -> pd.DataFrame:
    """People with their scans; who has none keeps a row, flagged, and strangers' scans are counted."""
    if key not in frame.columns:
        raise column_not_found(key, frame.columns, argument="scans.id in the cohort")
    if frame[key].duplicated().any():
        twice = frame.loc[frame[key].duplicated(), key].iloc[0]
        raise StudyFileError(f"the cohort has {key} {twice!r} twice; one row per person is needed to join scans")
    features = features.assign(**{key: features[key].astype(str)})
    joined = frame.assign(_key=frame[key].astype(str)).merge(
        features.rename(columns={key: "_key"}), on="_key", how="left", validate="one_to_one"
    )
    strangers = int((~features[key].isin(joined["_key"])).sum())
    without = joined["qc_flag"].isna()
    if without.all():
        raise StudyFileError(
            f"no {key} of the cohort (first {frame[key].iloc[0]!r}) is in the manifest "
            f"(first {features[key].iloc[0]!r})"
        )
    if strangers or without.any():
        writer.notes.append(
            f"{int(without.sum())} people without a scan (flag no_scan), {strangers} scans of nobody here"
        )
    return joined.assign(qc_flag=joined["qc_flag"].fillna("no_scan")).drop(columns="_key")
