"""Many scans to one table, whatever one of them holds."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from dxa_causal._core.errors import ImageError, column_not_found
from dxa_causal._core.files import atomic_file
from dxa_causal._core.parallel import parallel_map
from dxa_causal._version import __version__
from dxa_causal.imaging.calibrate import calibrate
from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.dictionary import FEATURE_NAMES
from dxa_causal.imaging.features import features
from dxa_causal.imaging.read import read
from dxa_causal.imaging.scan_files import files_of

Job = tuple[str, str | None]  # path and device
_COLUMNS = [*FEATURE_NAMES, "qc_flag", "error"]
_PART = 100

CalibrationSource = Calibration | str | Path | tuple[str | Path, str | Path]


def extract(
    manifest: Any,
    *,
    calibrations: Mapping[str, CalibrationSource] | None = None,
    out: str | Path | None = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure every scan of a manifest.

    Parameters
    ----------
    manifest : DataFrame or path of a CSV file
        Columns scan_id (unique) and path (as :func:`read` takes it). Other
        columns are kept, except path. In a CSV file relative paths are relative
        to the file's folder.
    calibrations : mapping of device to calibration, optional
        Keys are device_id, values a :class:`Calibration`, the path of one saved
        as JSON, or a pair of folders (wedge, phantom). The device is the
        manifest's device_id, else the sidecar's.
    out : str or Path, optional
        Parquet file to write the table to. While it grows, finished scans are kept
        in a folder beside it (its name with ``.parts``): a run that was stopped goes
        on from there, measuring again only what changed (files, calibration, package
        version). The folder goes when the file is whole.
    n_jobs : int, optional
        Number of joblib workers; the table does not depend on it.
    progress : bool

    Returns
    -------
    DataFrame
        One row per scan in the order of the manifest: its columns, the features
        of :func:`feature_dictionary`, qc_flag and error. A scan that cannot be
        read has NaN features, the flag ``unreadable`` and the reason in `error`
        (empty text otherwise).

    Raises
    ------
    ColumnNotFoundError
        The manifest has no scan_id or no path.
    ImageError
        A scan_id occurs twice, a manifest column has the name of a feature, or a
        calibration cannot be read.

    Examples
    --------
    >>> import tempfile, pandas as pd, dxa_causal as dc
    >>> wedge, phantom = dc.simulate.calibration_scans(device="k_edge", seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dc.simulate.forearm(1)[0].write(folder + "/a")
    ...     manifest = pd.DataFrame({"scan_id": ["a", "b"], "path": [folder + "/a", folder + "/b"]})
    ...     table = dc.imaging.extract(manifest, calibrations={"k_edge": dc.imaging.calibrate(wedge, phantom)})
    >>> table["qc_flag"].tolist()
    ['ok', 'unreadable']
    """
    table, base = read_manifest(manifest)
    ready = read_calibrations(calibrations)
    devices = table["device_id"] if "device_id" in table else [None] * len(table)
    jobs = [
        (str(base / str(path)), None if pd.isna(device) else str(device))
        for path, device in zip(table["path"], devices)
    ]
    parts = _Parts(Path(f"{out}.parts"), ready) if out is not None else None
    rows = parts.finished(jobs) if parts is not None else {}
    todo = [job for job in dict.fromkeys(jobs) if job not in rows]
    found = parallel_map(
        partial(_row, calibrations=ready), todo, n_jobs=n_jobs, progress=progress, description="measuring scans"
    )
    for job, row in zip(todo, found):
        rows[job] = row
        if parts is not None:
            parts.add(job, row)
    measured = pd.DataFrame([rows[job] for job in jobs], columns=_COLUMNS, index=table.index)
    whole = pd.concat([table.drop(columns="path"), measured], axis=1)
    if out is not None and parts is not None:
        with atomic_file(Path(out)) as temporary:
            whole.to_parquet(temporary, index=False)
        shutil.rmtree(parts.folder, ignore_errors=True)
    return whole


class _Parts:
    """Rows of a run that is not yet whole, in files of a hundred, each under the key of what it was measured from."""

    def __init__(self, folder: Path, calibrations: Mapping[str, Calibration]) -> None:
        self.folder = folder
        self._known = "\n".join(f"{device} {c.to_json()}" for device, c in sorted(calibrations.items()))
        self._keys: dict[Job, str] = {}
        self._waiting: list[dict[str, Any]] = []

    def finished(self, jobs: list[Job]) -> dict[Job, dict[str, Any]]:
        """Rows of an earlier run that are still true; files that cannot be read are measured again."""
        self._keys = {job: self._key(job) for job in dict.fromkeys(jobs)}
        kept: dict[str, dict[str, Any]] = {}
        for file in sorted(self.folder.glob("*.parquet")):
            try:
                part = pd.read_parquet(file)
                kept |= {row.pop("_key"): row for row in part.to_dict("records")}
            except (OSError, ValueError, KeyError):
                file.unlink(missing_ok=True)
        return {job: kept[key] for job, key in self._keys.items() if key in kept}

    def add(self, job: Job, row: dict[str, Any]) -> None:
        """Keep a finished row; a hundred are written at once, so a killed run loses fewer."""
        self._waiting.append({**row, "_key": self._keys[job]})
        if len(self._waiting) >= _PART:
            with atomic_file(self.folder / f"{self._waiting[0]['_key'][:20]}.parquet") as temporary:
                pd.DataFrame(self._waiting).to_parquet(temporary, index=False)
            self._waiting = []

    def _key(self, job: Job) -> str:
        path, device = Path(job[0]), job[1]
        seen = [(f.name, s.st_size, s.st_mtime_ns) for f in files_of(path) for s in [f.stat()]]
        text = "\n".join([__version__, str(path.resolve()), str(device), str(seen), self._known])
        return hashlib.sha256(text.encode()).hexdigest()


def _row(job: Job, *, calibrations: Mapping[str, Calibration]) -> dict[str, Any]:
    path, device = job
    nothing: dict[str, Any] = dict.fromkeys(FEATURE_NAMES, math.nan)
    try:
        scan = read(path)
    except ImageError as error:
        return nothing | {"qc_flag": "unreadable", "error": str(error)}
    if device is not None and scan.device_id and device != scan.device_id:
        message = f"the manifest says device {device!r}, the sidecar {scan.device_id!r}"
        return nothing | {"qc_flag": "device_mismatch", "error": message}
    try:
        row = features(scan, calibration=calibrations.get(device or scan.device_id)).iloc[0].to_dict()
    except Exception as error:  # whatever one scan holds, the others are measured
        return nothing | {"qc_flag": "failed", "error": f"{type(error).__name__}: {error}"}
    del row["scan_id"]
    return row | {"error": ""}


def read_manifest(manifest: Any) -> tuple[pd.DataFrame, Path]:
    """Read and check a manifest; also the folder that its relative paths start from."""
    if isinstance(manifest, str | Path):
        file = Path(manifest)
        if not file.is_file():
            raise ImageError(f"{file}: there is no such manifest")
        table, base = pd.read_csv(file, dtype={"scan_id": str, "subject_id": str, "device_id": str}), file.parent
    else:
        table, base = nw.from_native(manifest).to_pandas().reset_index(drop=True), Path()
    for needed in ("scan_id", "path"):
        if needed not in table:
            raise column_not_found(needed, table.columns, argument="manifest")
        if table[needed].isna().any():
            row = int(table[needed].isna().to_numpy().argmax())
            raise ImageError(f"manifest, row {row}: {needed} is empty")
    if (twice := table["scan_id"].duplicated()).any():
        raise ImageError(f"manifest: scan_id {table['scan_id'][twice].iloc[0]!r} occurs more than once")
    if clash := sorted({*FEATURE_NAMES, "qc_flag", "error"} & set(table.columns)):
        raise ImageError(f"manifest: column {clash[0]!r} has the name of a column that extract writes; rename it")
    return table, base


def read_calibrations(calibrations: Mapping[str, CalibrationSource] | None) -> dict[str, Calibration]:
    """Calibration of every device, whichever way it was given."""
    return {device: _calibration(source) for device, source in (calibrations or {}).items()}


def _calibration(source: CalibrationSource) -> Calibration:
    if isinstance(source, Calibration):
        return source
    if isinstance(source, str | Path):
        return Calibration.load(source)
    wedge, phantom = source
    return calibrate(wedge, phantom)
