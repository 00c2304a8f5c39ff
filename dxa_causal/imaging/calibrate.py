"""Calibrate a device from its wedge and phantom, never from attenuation tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
from dxa_causal.imaging.scatter import LEAST, NO_SCATTER, Scatter, fit_scatter, plug_shadow

PLUG_MM = 6.0  # side of a lead plug, unless the phantom's meta.json has beam_stop_mm
_BOX = ["row0", "row1", "col0", "col1"]


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
        ``beam_stop``: rows with 1 lie in the shadow of a lead plug (6 mm square,
        or ``beam_stop_mm`` of ``meta.json``) and give the scatter. Densities in
        g/cm3 are in ``meta.json`` under ``density_g_cm3``.

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
    Light behind the phantom's beam stops is scatter; its size and reach are fitted
    (see ``imaging/scatter.py``) and it is taken from wedge, phantom and every later scan
    before anything else. Without beam stops the mean scatter of the device is
    left to the response, which fits objects as large as the wedge.

    The wedge gives the inverse of the device's two-energy response: a cubic in
    the two attenuations without a constant, weighted by the transmitted counts,
    to equivalent areal masses of aluminium and PMMA (polyethylene cells join in
    through two equivalents of their own, solved in the same least squares). The
    phantom then expresses hydroxyapatite (with its binder, which stands for
    collagen), lean and fat in that basis. Beam hardening is absorbed in the
    response; no spectrum or table is used.

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
    wedge_scan = _Scan.load(wedge, ("al_mm", "pmma_mm", "pe_mm"))
    phantom_scan = _Scan.load(phantom, ("ha_g_cm2", "lean_eq_mm", "fat_eq_mm"))
    device = str(wedge_scan.meta.get("device_id", ""))
    if device != str(phantom_scan.meta.get("device_id", "")):
        raise ImageError(
            f"wedge and phantom are of different devices: {device!r} ({wedge_scan.where}) and "
            f"{phantom_scan.meta.get('device_id')!r} ({phantom_scan.where})"
        )
    scatter = phantom_scan.scatter()
    wedge_cells, phantom_cells = wedge_scan.cells(scatter), phantom_scan.cells(scatter)
    response = _fit_response(wedge_cells, wedge_scan.meta, wedge_scan.where)
    materials, residual_ha, residual_fat = _fit_materials(
        phantom_cells, phantom_scan.meta, phantom_scan.where, response
    )
    return Calibration(
        device_id=device,
        response=fixed(response, response.shape),
        materials=fixed(materials, materials.shape),
        max_attenuation=fixed(wedge_cells[["low", "high"]].max().to_numpy(), (2,)),
        residual_ha=residual_ha,
        residual_fat=residual_fat,
        scatter=scatter,
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


@dataclass(frozen=True, slots=True)
class _Scan:
    """A calibration scan: transmissions, what its meta.json says, and its cells."""

    low: FloatArray
    high: FloatArray
    meta: Any
    where: str
    steps: pd.DataFrame

    @classmethod
    def load(cls, source: str | Path | HasImages, columns: tuple[str, ...]) -> _Scan:
        pair = load(source)
        low, high, meta, where = pair.low, pair.high, pair.meta, pair.where
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
        needed = (*_BOX, *columns)
        if absent := [c for c in needed if c not in steps]:
            raise ImageError(f"{where}: steps.csv has no column {', '.join(map(repr, absent))}; it needs {needed}")
        for box in steps[_BOX].to_numpy(int):
            _check_box(low, box, where)
        levels = air_level(low), air_level(high)
        if not all(map(math.isfinite, levels)):
            raise ImageError(f"{where}: no unattenuated border around the cells, so there is no reference for air")
        return cls(low / levels[0], high / levels[1], meta, where, steps)

    @property
    def stops(self) -> npt.NDArray[np.bool_]:
        """Rows of `steps` that lie behind a beam stop."""
        if "beam_stop" not in self.steps:
            return np.zeros(len(self.steps), dtype=bool)
        return np.asarray(self.steps["beam_stop"] == 1)

    @property
    def hidden(self) -> npt.NDArray[np.int_]:
        return self.steps.loc[self.stops, _BOX].to_numpy(int)

    @property
    def plug_mm(self) -> float:
        value = self.meta.get("beam_stop_mm", PLUG_MM)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ImageError(
                f"{self.where}: beam_stop_mm of meta.json is {value!r}; it must be a positive number of mm"
            )
        return float(value)

    def spacing(self) -> tuple[float, float]:
        try:
            row, column = (float(v) for v in self.meta["spacing_mm"])
        except (KeyError, TypeError, ValueError):
            row = column = math.nan
        if not (0 < row < math.inf and 0 < column < math.inf):
            raise ImageError(f"{self.where}: meta.json has no spacing_mm [row, column]; the reach of scatter needs it")
        return row, column

    def scatter(self) -> Scatter:
        if not self.stops.any():
            return NO_SCATTER
        return fit_scatter(self.low, self.high, self.hidden, self.spacing(), self.plug_mm)

    def cells(self, scatter: Scatter) -> pd.DataFrame:
        """The cells in the open beam with their attenuations `low` and `high`."""
        cells = self.steps[~self.stops].reset_index(drop=True)
        shadow = plug_shadow(self.low.shape, self.hidden, self.spacing(), self.plug_mm) if self.stops.any() else None
        for energy, (name, image) in enumerate((("low", self.low), ("high", self.high))):
            primary = scatter.primary(image, energy, self.spacing(), shadow) if scatter.share.any() else image
            means = [primary[r0:r1, c0:c1].mean() for r0, r1, c0, c1 in cells[_BOX].to_numpy(int)]
            cells[name] = -np.log(np.maximum(means, LEAST))
        return cells


def _check_box(image: FloatArray | npt.NDArray[Any], box: npt.NDArray[Any], where: str) -> None:
    row0, row1, col0, col1 = (int(v) for v in box)
    if not (0 <= row0 < row1 <= image.shape[0] and 0 <= col0 < col1 <= image.shape[1]):
        raise ImageError(f"{where}: the box rows {row0}-{row1}, columns {col0}-{col1} leaves the {image.shape} image")


def _density(meta: Any, material: str, where: str) -> float:
    try:
        value = float(meta["density_g_cm3"][material])
    except (KeyError, TypeError, ValueError):
        raise ImageError(f"{where}: meta.json has no density_g_cm3 for {material!r}") from None
    if not (math.isfinite(value) and value > 0):
        raise ImageError(f"{where}: density_g_cm3 of {material!r} is {value}; it must be positive")
    return value
