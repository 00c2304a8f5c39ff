"""A page to look at many scans: thumbnails with what was found on them, flags and a few numbers."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import ImageError, UnmeasurableScanError, column_not_found
from dxa_causal._core.files import atomic_file
from dxa_causal._core.optional import require
from dxa_causal._core.parallel import parallel_map
from dxa_causal.imaging.air import air_level
from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.decomposition import decompose
from dxa_causal.imaging.extract import CalibrationSource, read_calibrations, read_manifest
from dxa_causal.imaging.quality import FLAGS
from dxa_causal.imaging.read import ForearmScan, read
from dxa_causal.imaging.segmentation import CARPUS, RADIUS, ULNA, segment

HEIGHT_PX = 180
OUTLINES = {RADIUS: (86, 180, 233), ULNA: (230, 159, 0), CARPUS: (204, 121, 167)}  # Okabe and Ito's colours
SHOWN = {
    "radius_third_bmd": ("BMD 1/3", "g/cm2", 3),
    "soft_fat_fraction": ("fat", "", 2),
    "forearm_width": ("width", "mm", 0),
}
_STYLE = """body{font:14px system-ui,sans-serif;margin:1.5rem;color:#222}
.cards{display:flex;flex-wrap:wrap;gap:.8rem}.card{width:170px;border:1px solid #ccc;border-radius:6px;padding:.5rem}
.card.bad{border:2px solid #d55e00}.card img{height:180px;display:block;margin:auto;image-rendering:auto}
.none{height:180px;line-height:180px;text-align:center;background:#eee}.flags{color:#a33c00;font-weight:600}
.id{font-weight:600;overflow-wrap:anywhere}.error{font-size:12px;overflow-wrap:anywhere}
td,th{padding:.15rem .6rem;text-align:left}"""


def qc_sheet(
    manifest: Any,
    table: pd.DataFrame,
    out: str | Path,
    *,
    calibrations: Mapping[str, CalibrationSource] | None = None,
    only_flagged: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Path:
    """Write a page of thumbnails of measured scans, flagged ones first.

    Parameters
    ----------
    manifest : DataFrame or path of a CSV file
        As given to :func:`extract`.
    table : DataFrame
        What :func:`extract` returned for it.
    out : str or Path
        HTML file; it needs no other file and no network, about 20 kB a scan.
    calibrations : mapping of device to calibration, optional
        As given to :func:`extract`; with them the outlines of the bones are drawn.
    only_flagged : bool
        Leave out scans whose flag is "ok".
    n_jobs : int, optional
    progress : bool

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    ColumnNotFoundError
        The table has no scan_id or no qc_flag.
    ImageError
        A scan of the table is not in the manifest.

    Examples
    --------
    >>> import tempfile, pandas as pd, dxa_causal as dc
    >>> cal = dc.imaging.calibrate(*dc.simulate.calibration_scans(device="k_edge", seed=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dc.simulate.forearm(1)[0].write(folder + "/a")
    ...     manifest = pd.DataFrame({"scan_id": ["a"], "path": [folder + "/a"]})
    ...     table = dc.imaging.extract(manifest, calibrations={"k_edge": cal})
    ...     page = dc.imaging.qc_sheet(manifest, table, folder + "/qc.html", calibrations={"k_edge": cal})
    ...     "data:image/png;base64" in page.read_text()
    True
    """
    for needed in ("scan_id", "qc_flag"):
        if needed not in table:
            raise column_not_found(needed, table.columns, argument="table")
    listed, base = read_manifest(manifest)
    paths = dict(zip(listed["scan_id"].astype(str), listed["path"]))
    rows = table[table["qc_flag"] != "ok"] if only_flagged else table
    rows = rows.assign(_ok=rows["qc_flag"] == "ok").sort_values(["_ok", "scan_id"], kind="stable")
    if strangers := [s for s in rows["scan_id"].astype(str) if s not in paths]:
        raise ImageError(f"table: scan_id {strangers[0]!r} is not in the manifest")
    jobs = [str(base / str(paths[s])) for s in rows["scan_id"].astype(str)]
    ready = read_calibrations(calibrations)
    drawn = parallel_map(
        partial(_thumbnail, calibrations=ready), jobs, n_jobs=n_jobs, progress=progress, description="drawing scans"
    )
    cards = [_card(row, image) for row, image in zip(rows.to_dict("records"), drawn)]
    counts = table["qc_flag"].str.split(";").explode().value_counts()
    lines = [
        f"<tr><td>{html.escape(code)}</td><td>{n:,}</td><td>{html.escape(FLAGS.get(code, 'measured'))}</td></tr>"
        for code, n in counts.items()
    ]
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Quality of {len(table):,} scans</title>"
        f"<style>{_STYLE}</style><h1>Quality of {len(table):,} scans</h1>"
        f"<table><tr><th>flag</th><th>scans</th><th>meaning</th></tr>{''.join(lines)}</table>"
        f"<p>Attenuation at the low energy; distal is up, the radius on the left. Outlines: radius blue, ulna orange, "
        f"carpus pink.</p><div class='cards'>{''.join(cards)}</div></html>\n"
    )
    target = Path(out)
    with atomic_file(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def _thumbnail(path: str, *, calibrations: Mapping[str, Calibration]) -> str:
    """PNG in base64, "" for what cannot be read."""
    require("PIL", extra="imaging")
    from PIL import Image

    try:
        scan = read(path)
    except ImageError:
        return ""
    picture = Image.fromarray(_picture(scan, calibrations.get(scan.device_id)))
    row_mm, column_mm = scan.pixel_mm if all(map(math.isfinite, scan.pixel_mm)) else (1.0, 1.0)
    width = max(1, round(HEIGHT_PX * picture.width * column_mm / (picture.height * row_mm)))
    buffer = io.BytesIO()
    picture.resize((width, HEIGHT_PX), Image.Resampling.LANCZOS).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _picture(scan: ForearmScan, calibration: Calibration | None) -> npt.NDArray[np.uint8]:
    from scipy import ndimage

    air = air_level(scan.low, saturated=scan.max_count)
    level = air if math.isfinite(air) else float(scan.low.max())
    attenuation = -np.log(np.maximum(scan.low, 1.0) / max(level, 1.0))
    top = max(float(np.percentile(attenuation, 99.8)), 1e-6)
    grey = np.clip(255.0 * attenuation / top, 0.0, 255.0).astype(np.uint8)
    picture = np.repeat(grey[:, :, None], 3, axis=2)
    if calibration is None:
        return picture
    try:
        labels = segment(decompose(scan, calibration)).labels
    except UnmeasurableScanError:
        return picture
    for label, colour in OUTLINES.items():
        mask = labels == label
        picture[mask & ~ndimage.binary_erosion(mask)] = colour
    return picture


def _card(row: Mapping[Any, Any], image: str) -> str:
    flag, bad = str(row["qc_flag"]), str(row["qc_flag"]) != "ok"
    seen = f"<img alt='' src='data:image/png;base64,{image}'>" if image else "<div class='none'>not readable</div>"
    numbers = [
        f"{name} {row[column]:.{digits}f} {unit}".strip()
        for column, (name, unit, digits) in SHOWN.items()
        if column in row and isinstance(row[column], float) and math.isfinite(row[column])
    ]
    error = str(row.get("error") or "")
    return (
        f"<div class='card{' bad' if bad else ''}'>{seen}<div class='id'>{html.escape(str(row['scan_id']))}</div>"
        f"<div class='{'flags' if bad else ''}'>{html.escape(flag.replace(';', ', '))}</div>"
        f"<div>{html.escape('; '.join(numbers))}</div><div class='error'>{html.escape(error)}</div></div>"
    )
