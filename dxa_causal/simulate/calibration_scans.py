"""The wedge and the forearm phantom of a simulated device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from dxa_causal._core.files import atomic_folder
from dxa_causal._core.rng import Seed, spawn
from dxa_causal.simulate._physics import DENSITY, CountArray, Device, device_named, expose
from dxa_causal.simulate.writers import write_images

AL_MM = (0.0, 1.0, 2.0, 3.5, 5.0, 7.5, 10.5, 14.0)
PLASTIC_MM = (  # PMMA, polyethylene
    *((float(pmma), 0.0) for pmma in (0, 10, 20, 30, 40, 52, 65)),
    *((float(pmma), 15.0) for pmma in (0, 20, 40)),
    *((float(pmma), 30.0) for pmma in (10, 30)),
)
HA_G_CM2 = (0.0, 0.25, 0.55, 0.95)
BINDER_PER_HA = 0.7  # g of a muscle-equivalent binder per g of hydroxyapatite
RESIN_MM = ((20, 0, 0), (40, 0, 0), (60, 0, 0), (0, 30, 0), (20, 10, 0), (40, 10, 0), (30, 25, 0), (0, 0, 40))
BORDER = 6  # pixels of air around the cells
GUTTER = 2  # pixels of a cell next to its edge that the box leaves out


@dataclass(frozen=True, eq=False, slots=True)
class CalibrationScan:
    """A scan of a wedge or a phantom and the list of its cells.

    Attributes
    ----------
    low, high : (rows, columns) ndarray of uint16
    meta : mapping
    steps : DataFrame
        One row per cell: half-open pixel box and layers.
    """

    low: CountArray
    high: CountArray
    meta: Mapping[str, Any]
    steps: pd.DataFrame

    def write(self, folder: str | Path) -> None:
        """Write low.tif, high.tif, meta.json and steps.csv; the folder is whole or absent."""
        with atomic_folder(Path(folder)) as temporary:
            write_images(temporary, self.low, self.high, self.meta)
            self.steps.to_csv(temporary / "steps.csv", index=False)


def calibration_scans(*, device: str = "k_edge", seed: Seed = None) -> tuple[CalibrationScan, CalibrationScan]:
    """Simulate a device's scans of its step wedge and of its forearm phantom.

    Parameters
    ----------
    device : {"k_edge", "kvp_switch", "portable"}
    seed : int, Generator or None
        Of the noise.

    Returns
    -------
    wedge : CalibrationScan
        Aluminium by PMMA by polyethylene, 96 cells.
    phantom : CalibrationScan
        Hydroxyapatite (with 0.7 g of a muscle-equivalent binder per g) in front
        of muscle- and fat-equivalent resin or water, 32 cells.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> wedge, phantom = dc.simulate.calibration_scans(device="portable", seed=1)
    >>> len(wedge.steps), len(phantom.steps)
    (96, 32)
    """
    kind = device_named(device)
    wedge_rng, phantom_rng = spawn(seed, 2)
    wedge_cells = pd.DataFrame(
        [(al, *plastic) for plastic, al in product(PLASTIC_MM, AL_MM)], columns=["al_mm", "pmma_mm", "pe_mm"]
    )
    wedge_masses = {m: wedge_cells[f"{m}_mm"].to_numpy() * DENSITY[m] / 10.0 for m in ("al", "pmma", "pe")}
    phantom_cells = pd.DataFrame(
        [(ha, BINDER_PER_HA * ha, *map(float, resin)) for resin, ha in product(RESIN_MM, HA_G_CM2)],
        columns=["ha_g_cm2", "ha_binder_g_cm2", "lean_eq_mm", "fat_eq_mm", "water_mm"],
    )
    phantom_masses = {
        "ha": phantom_cells["ha_g_cm2"].to_numpy(),
        "lean": phantom_cells["ha_binder_g_cm2"].to_numpy()
        + phantom_cells["lean_eq_mm"].to_numpy() * DENSITY["lean"] / 10.0,
        "fat": phantom_cells["fat_eq_mm"].to_numpy() * DENSITY["fat"] / 10.0,
        "water": phantom_cells["water_mm"].to_numpy() * DENSITY["water"] / 10.0,
    }
    wedge_density = {m: DENSITY[m] for m in ("al", "pmma", "pe")}
    phantom_density = {"lean_eq": DENSITY["lean"], "fat_eq": DENSITY["fat"], "water": DENSITY["water"]}
    wedge = _scan("wedge", device, kind, wedge_cells, wedge_masses, wedge_density, len(AL_MM), wedge_rng)
    phantom = _scan("phantom", device, kind, phantom_cells, phantom_masses, phantom_density, len(HA_G_CM2), phantom_rng)
    return wedge, phantom


def _scan(
    kind: str,
    device_id: str,
    device: Device,
    cells: pd.DataFrame,
    masses: Mapping[str, Sequence[float] | np.ndarray[Any, Any]],
    density: Mapping[str, float],
    columns: int,
    rng: np.random.Generator,
) -> CalibrationScan:
    """Lay the cells on a grid with air around it and expose them."""
    n_rows = len(cells) // columns
    height, width = (device.shape[0] - 2 * BORDER) // n_rows, (device.shape[1] - 2 * BORDER) // columns
    grid = [divmod(cell, columns) for cell in range(len(cells))]
    maps = {material: np.zeros(device.shape) for material in masses}
    boxes = []
    for cell, (row, column) in enumerate(grid):
        top, left = BORDER + row * height, BORDER + column * width
        for material, values in masses.items():
            maps[material][top : top + height, left : left + width] = values[cell]
        boxes.append((top + GUTTER, top + height - GUTTER, left + GUTTER, left + width - GUTTER))
    steps = pd.concat([pd.DataFrame(boxes, columns=["row0", "row1", "col0", "col1"]), cells], axis=1).rename_axis(
        "cell"
    )
    low, high = expose(maps, device, rng)
    meta = {
        "scan_id": f"{kind}_{device_id}",
        "kind": kind,
        "device_id": device_id,
        "spacing_mm": list(device.spacing_mm),
        "density_g_cm3": dict(density),
    }
    return CalibrationScan(low, high, MappingProxyType(meta), steps.reset_index())
