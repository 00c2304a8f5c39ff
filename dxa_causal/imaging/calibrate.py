"""Calibrate a device from its wedge and phantom, never from attenuation tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import ImageError
from dxa_causal.imaging.air import air_level
from dxa_causal.imaging.calibration import POWERS, Calibration, fixed, response_terms
from dxa_causal.imaging.pair import HasImages, load
from dxa_causal.imaging.read import FloatArray


def calibrate(wedge: str | Path | HasImages, phantom: str | Path | HasImages) -> Calibration:
    """Calibrate a device from scans of its step wedge and its forearm phantom.

    Parameters
    ----------
    wedge, phantom : path or calibration scan
        Folders with ``low.tif``, ``high.tif``, ``meta.json`` and ``steps.csv``
        (or objects with `low`, `high`, `meta` and `steps`). ``steps.csv`` has
        one row per cell: the half-open pixel box ``row0, row1, col0, col1`` and
        the layers. Wedge: ``al_mm``, ``pmma_mm``, ``pe_mm``. Phantom:
        ``ha_g_cm2``, ``lean_eq_mm``, ``fat_eq_mm``, optionally ``water_mm`` and
        ``beam_stop`` (rows with 1 are left out). Densities in g/cm3 are in
        ``meta.json`` under ``density_g_cm3``.

    Returns
    -------
    Calibration

    Raises
    ------
    ImageError
        A file or column is missing, the two scans are of different devices, or
        there are too few cells to fit the response.

    Notes
    -----
    The wedge gives the inverse of the device's two-energy response: a cubic in
    the two attenuations without a constant, weighted by the transmitted counts,
    to equivalent areal masses of aluminium and PMMA (polyethylene cells join in
    through two equivalents of their own, solved in the same least squares). The
    phantom then expresses hydroxyapatite (with its binder, which stands for
    collagen), lean and fat in that basis. Beam hardening and the mean scatter of
    the device are absorbed in the response; no spectrum or table is used.

    References
    ----------
    Alvarez RE, Macovski A (1976) Phys Med Biol 21:733, doi:10.1088/0031-9155/21/5/002.
    Cardinal HN, Fenster A (1990) Med Phys 17:327, doi:10.1118/1.596512.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> wedge, phantom = dc.simulate.calibration_scans(device="k_edge", seed=1)
    >>> cal = dc.imaging.calibrate(wedge=wedge, phantom=phantom)
    >>> cal.device_id, cal.residual_ha < 0.01
    ('k_edge', True)
    """
    wedge_cells, wedge_meta, wedge_name = _cells(wedge, ("al_mm", "pmma_mm", "pe_mm"))
    phantom_cells, phantom_meta, phantom_name = _cells(phantom, ("ha_g_cm2", "lean_eq_mm", "fat_eq_mm"))
    device = str(wedge_meta.get("device_id", ""))
    if device != str(phantom_meta.get("device_id", "")):
        raise ImageError(
            f"wedge and phantom are of different devices: {device!r} ({wedge_name}) and "
            f"{phantom_meta.get('device_id')!r} ({phantom_name})"
        )
    response = _fit_response(wedge_cells, wedge_meta, wedge_name)
    materials, residual_ha, residual_fat = _fit_materials(phantom_cells, phantom_meta, phantom_name, response)
    return Calibration(
        device_id=device,
        response=fixed(response, response.shape),
        materials=fixed(materials, materials.shape),
        max_attenuation=fixed(wedge_cells[["low", "high"]].max().to_numpy(), (2,)),
        residual_ha=residual_ha,
        residual_fat=residual_fat,
    )


def _fit_response(cells: pd.DataFrame, meta: Any, where: str) -> FloatArray:
    al, pmma, pe = (cells[f"{m}_mm"].to_numpy(float) * _density(meta, m, where) / 10.0 for m in ("al", "pmma", "pe"))
    design = response_terms(cells["low"].to_numpy(), cells["high"].to_numpy())
    if pe.any():
        design = np.column_stack([design, -pe])
    solved = _weighted_fit(design, np.column_stack([al, pmma]), cells["low"].to_numpy(), f"{where}: wedge")
    return solved[: len(POWERS)]


def _fit_materials(cells: pd.DataFrame, meta: Any, where: str, response: FloatArray) -> tuple[FloatArray, float, float]:
    masses = [cells["ha_g_cm2"].to_numpy(float)]
    for name in ("lean_eq", "fat_eq", "water"):
        if name == "water" and not ("water_mm" in cells and cells["water_mm"].any()):
            continue
        masses.append(cells[f"{name}_mm"].to_numpy(float) * _density(meta, name, where) / 10.0)
    design = np.column_stack(masses)
    low, high = cells["low"].to_numpy(), cells["high"].to_numpy()
    basis = response_terms(low, high) @ response
    solved = _weighted_fit(design, basis, low, f"{where}: phantom")
    # what each cell's mineral would be read as, its fat (and water) being known
    read = (basis - design[:, 2:] @ solved[2:]) @ np.linalg.inv(solved[:2])
    soft = design[:, 0] == 0
    read_soft = (basis - design[:, 3:] @ solved[3:])[soft] @ np.linalg.inv(solved[1:3])
    residual_ha = float(np.sqrt(np.mean((read[:, 0] - design[:, 0]) ** 2)))
    residual_fat = float(np.sqrt(np.mean((read_soft[:, 1] - design[soft, 2]) ** 2)))
    return solved[:3], residual_ha, residual_fat


def _weighted_fit(design: FloatArray, target: FloatArray, low: FloatArray, where: str) -> FloatArray:
    """Least squares, each cell weighted by its transmitted counts (Poisson variance of -ln I)."""
    root_weight = np.exp(-low / 2.0)[:, None]
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ImageError(f"{where} has {len(design)} cells, too few or too alike to fit {design.shape[1]} coefficients")
    solved = np.linalg.lstsq(design * root_weight, target * root_weight, rcond=None)[0]
    return np.asarray(solved, dtype=np.float64)


def _cells(source: str | Path | HasImages, columns: tuple[str, ...]) -> tuple[pd.DataFrame, Any, str]:
    """The cells of a calibration scan with their attenuations `low` and `high`."""
    pair = load(source)
    meta, where = pair.meta, pair.where
    if isinstance(source, str | Path):
        file = Path(source) / "steps.csv"
        if not file.is_file():
            raise ImageError(f"{file} is missing; it lists the cells of the calibration scan")
        steps = pd.read_csv(file)
    else:
        found = getattr(source, "steps", None)
        if not isinstance(found, pd.DataFrame):
            raise ImageError(f"{where}: a calibration scan in memory needs a frame 'steps'")
        steps = found
    needed = ("row0", "row1", "col0", "col1", *columns)
    if absent := [c for c in needed if c not in steps]:
        raise ImageError(f"{where}: steps.csv has no column {', '.join(map(repr, absent))}; it needs {needed}")
    if "beam_stop" in steps:
        steps = steps[steps["beam_stop"] == 0]
    cells = steps.reset_index(drop=True).copy()
    for name, image in (("low", pair.low), ("high", pair.high)):
        air = air_level(image)
        if not math.isfinite(air):
            raise ImageError(f"{where}: no unattenuated border around the cells, so there is no reference for air")
        means = [_box_mean(image, box, where) for box in cells[["row0", "row1", "col0", "col1"]].to_numpy(int)]
        cells[name] = -np.log(np.asarray(means) / air)
    return cells, meta, where


def _box_mean(image: npt.NDArray[Any], box: npt.NDArray[Any], where: str) -> float:
    row0, row1, col0, col1 = (int(v) for v in box)
    if not (0 <= row0 < row1 <= image.shape[0] and 0 <= col0 < col1 <= image.shape[1]):
        raise ImageError(f"{where}: the box rows {row0}-{row1}, columns {col0}-{col1} leaves the {image.shape} image")
    return max(float(image[row0:row1, col0:col1].mean()), 1.0)


def _density(meta: Any, material: str, where: str) -> float:
    try:
        value = float(meta["density_g_cm3"][material])
    except (KeyError, TypeError, ValueError):
        raise ImageError(f"{where}: meta.json has no density_g_cm3 for {material!r}") from None
    if not (math.isfinite(value) and value > 0):
        raise ImageError(f"{where}: density_g_cm3 of {material!r} is {value}; it must be positive")
    return value
