"""A forearm scan with its truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option, check_whole_number
from dxa_causal._core.rng import Seed, generator
from dxa_causal.simulate._arm import Anatomy, Arm, build
from dxa_causal.simulate._physics import CountArray, FloatArray, binned, device_named, expose
from dxa_causal.simulate.writers import ScanFormat, write_scan

SUPERSAMPLED = 2  # columns per detector pixel
DISTAL_MM = 20.0  # of the field beyond the styloid
HALF_SITE_MM = 10.0
CLEAR_MM = 2.0


@dataclass(frozen=True, eq=False, slots=True)
class SimulatedScan:
    """A scan as a device would deliver it.

    Attributes
    ----------
    low, high : (rows, columns) ndarray of uint16
        Counts, air about 50 000, row 0 distal; right arms with the radius at low
        columns, left arms mirrored.
    meta : mapping
        What the site knows: spacing, magnification, forearm length and so on.
    """

    low: CountArray
    high: CountArray
    meta: Mapping[str, Any]

    def write(self, folder: str | Path, *, format: ScanFormat = "tiff") -> None:
        """Write the scan as :func:`write_scan` does, low.tif, high.tif and meta.json unless told otherwise."""
        write_scan(self, folder, format=format)


def forearm(
    seed: Seed,
    *,
    device: str = "k_edge",
    age: float = 65.0,
    sex: Literal["F", "M"] = "F",
    height_cm: float | None = None,
    bmi: float | None = None,
    bone_scale: float = 1.0,
    muscle_scale: float = 1.0,
    muscle_fat: float | None = None,
    subcutaneous_mm: float | None = None,
    laterality: Literal["R", "L"] = "R",
    repeat: int = 0,
) -> tuple[SimulatedScan, Mapping[str, float]]:
    r"""Simulate one dual-energy forearm scan.

    Parameters
    ----------
    seed : int, Generator or None
        Decides what is not given, the position of the arm and the noise.
    device : {"k_edge", "kvp_switch", "portable"}
        Two single energies each: 38/70, 50/80 and 30/50 keV.
    age : float
        Years; mineral falls with age from 50 on, faster in women.
    sex : {"F", "M"}
    height_cm, bmi : float, optional
        Drawn when omitted.
    bone_scale : float
        Multiplies mineral content and BMD of radius and ulna (wall thickness and
        trabeculae); the outline stays.
    muscle_scale : float
        Multiplies the cross-section of the muscle compartment.
    muscle_fat : float, optional
        Share of fat within muscle, 0 to 0.6; rises with age and BMI when omitted.
    subcutaneous_mm : float, optional
        Thickness of subcutaneous fat; follows BMI and sex when omitted.
    laterality : {"R", "L"}
    repeat : int
        1, 2, ... scan the same person again: the arm laid down anew (rotation and
        shift within the field), other noise. Needs an int as `seed`.

    Returns
    -------
    scan : SimulatedScan
    truth : mapping of str to float
        radius_third_bmd (g/cm2), radius_third_bmc (g), radius_third_area (cm2),
        soft_fat_fraction, forearm_width and forearm_length (mm),
        ulna_styloid_row (px), under the names the imaging room uses.

    Notes
    -----
    Elliptic tubes of cortex with trabeculae inside a muscle compartment inside a
    shell of fat, projected along the beam; Beer-Lambert at two energies, blur,
    Poisson noise. No scatter, no beam hardening, no skin. Ages, sexes and builds
    differ plausibly but are not fitted to a population.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> scan, truth = dc.simulate.forearm(seed=1, device="k_edge", age=70, sex="F")
    >>> scan.low.shape, scan.low.dtype.name
    ((250, 200), 'uint16')
    >>> round(truth["radius_third_bmd"], 2)
    0.56
    """
    kind = device_named(device)
    check_option("sex", sex, ("F", "M"))
    check_option("laterality", laterality, ("R", "L"))
    for name, value, low, high in (
        ("age", age, 18.0, 110.0),
        ("height_cm", height_cm, 120.0, 220.0),
        ("bmi", bmi, 12.0, 60.0),
        ("bone_scale", bone_scale, 0.2, 2.0),
        ("muscle_scale", muscle_scale, 0.4, 2.0),
        ("muscle_fat", muscle_fat, 0.0, 0.6),
        ("subcutaneous_mm", subcutaneous_mm, 0.5, 20.0),
    ):
        if value is not None and not low <= value <= high:
            raise OptionError(f"{name}={value!r} must lie between {low:g} and {high:g}")
    check_whole_number("repeat", repeat, 0)
    rng = generator(seed)
    draw = rng.standard_normal(8)  # always eight, so that giving one value does not move the others
    again = _laid_down_anew(seed, repeat) if repeat else None
    if again is not None:
        draw[5:] = again.standard_normal(3)
    man = sex == "M"
    height = height_cm if height_cm is not None else (175.0 if man else 162.0) + 6.5 * draw[0]
    mass_index = bmi if bmi is not None else float(np.clip(26.0 + 3.5 * draw[1], 17.0, 42.0))
    length_mm = float(round(1.46 * height * (1.0 + 0.02 * draw[2])))
    if muscle_fat is None:
        muscle_fat = float(np.clip(0.05 + 0.001 * (age - 40.0) + 0.003 * (mass_index - 25.0), 0.02, 0.25))
    if subcutaneous_mm is None:
        subcutaneous_mm = float(np.clip((2.8 if man else 4.2) * (1.0 + 0.07 * (mass_index - 25.0)), 1.2, 12.0))
    size = height / 165.0
    anatomy = Anatomy(
        length=length_mm / 10.0,
        bone_size=size * (1.10 if man else 1.0) * (1.0 + 0.03 * draw[3]),
        bone_scale=bone_scale * _mineral_at(age, man),
        muscle_size=size * (1.08 if man else 1.0) * math.sqrt(muscle_scale),
        subcutaneous=subcutaneous_mm / 10.0,
        muscle_fat=muscle_fat,
        marrow_fat=float(np.clip(0.8 + 0.07 * draw[4], 0.5, 1.0)),
        tilt=math.radians(float(np.clip(1.5 * draw[5], -4.0, 4.0))),
    )
    pixel = (kind.spacing_mm[0] / kind.magnification, kind.spacing_mm[1] / kind.magnification)
    rows, columns = kind.shape
    tip_mm = DISTAL_MM + float(np.clip(1.5 * draw[6], -4.0, 4.0))
    middle_mm = 0.5 * columns * pixel[1] + float(np.clip(1.5 * draw[7], -4.0, 4.0)) - 60.0 * math.tan(anatomy.tilt)
    z: FloatArray = ((np.arange(rows, dtype=np.float64) + 0.5) * pixel[0] - tip_mm) / 10.0
    x: FloatArray = (
        (np.arange(columns * SUPERSAMPLED, dtype=np.float64) + 0.5) * pixel[1] / SUPERSAMPLED - middle_mm
    ) / 10.0
    arm = build(anatomy, z, x, rng)
    low_image, high_image = expose(arm.masses, kind, rng if again is None else again, supersampled=SUPERSAMPLED)
    truth = _truth(arm, anatomy, z, x, pixel) | {
        "forearm_length": length_mm,
        "ulna_styloid_row": tip_mm / pixel[0] - 0.5,
    }
    if laterality == "L":
        low_image, high_image = low_image[:, ::-1], high_image[:, ::-1]
    person = f"sim_{seed}" if isinstance(seed, int) else "sim"
    name = f"{person}_{repeat}" if repeat else person
    meta = {
        "scan_id": name,
        "subject_id": person,
        "device_id": device,
        "spacing_mm": list(kind.spacing_mm),
        "magnification": kind.magnification,
        "forearm_length_mm": length_mm,
        "laterality": laterality,
        "sex": sex,
        "age_years": float(age),
        "height_cm": round(float(height), 1),
        "weight_kg": round(mass_index * (height / 100.0) ** 2, 1),
    }
    return SimulatedScan(low_image, high_image, MappingProxyType(meta)), MappingProxyType(truth)


def _laid_down_anew(seed: Seed, repeat: int) -> np.random.Generator:
    """Position and noise of another scan of the person whom `seed` names."""
    if isinstance(seed, np.random.Generator) or seed is None:
        raise OptionError(f"repeat={repeat} needs a whole number as seed: it names the person to scan again")
    return np.random.default_rng([int(seed), repeat])


def _mineral_at(age: float, man: bool) -> float:
    """Mineral relative to a young woman's: about -0.9 % a year from 50 to 65, -0.6 % after; men -0.4 %."""
    if man:
        return 1.08 * (1.0 - 0.004 * max(age - 50.0, 0.0))
    early, late = min(max(age - 50.0, 0.0), 15.0), max(age - 65.0, 0.0)
    return 1.0 - 0.009 * early - 0.006 * late


def _truth(arm: Arm, anatomy: Anatomy, z: FloatArray, x: FloatArray, pixel_mm: tuple[float, float]) -> dict[str, float]:
    """Sums over the projected tissues before blur and noise, NaN where the site leaves the field."""
    from scipy import ndimage

    tip_x = 1.25 * anatomy.bone_size
    distance = 10.0 * (z[:, None] * math.cos(anatomy.tilt) + (x - tip_x)[None, :] * math.sin(anatomy.tilt))
    third = 10.0 * anatomy.length / 3.0
    step = pixel_mm[0]
    site = _within(distance - third, step)
    cell_cm2 = pixel_mm[0] * pixel_mm[1] / SUPERSAMPLED / 100.0
    bmc = float((site * arm.radius_ha).sum()) * cell_cm2
    at_radius = 10.0 * (z * math.cos(anatomy.tilt) + (arm.radius_centre - tip_x) * math.sin(anatomy.tilt))
    area = float((_within(at_radius - third, step) * arm.radius_width).sum()) * pixel_mm[0] / 10.0
    width = float((site * (arm.depth > 0.0)).sum()) * cell_cm2 * 100.0 / (2.0 * HALF_SITE_MM)
    if third + HALF_SITE_MM > distance[-1][arm.bone[-1]].min(initial=math.inf):
        bmc = area = width = math.nan

    steps = max(1, round(CLEAR_MM / pixel_mm[1]))
    soft = ~ndimage.binary_dilation(binned(arm.bone, SUPERSAMPLED) > 0.0, iterations=steps)
    soft &= 10.0 * binned(arm.depth, SUPERSAMPLED) >= CLEAR_MM
    along = binned(distance, SUPERSAMPLED)
    soft &= (along >= 0.0) & (along <= third + HALF_SITE_MM)
    fat, lean = (float(binned(arm.masses[tissue], SUPERSAMPLED)[soft].sum()) for tissue in ("fat", "lean"))
    return {
        "radius_third_bmd": bmc / area if area > 0 else math.nan,
        "radius_third_bmc": bmc,
        "radius_third_area": area,
        "soft_fat_fraction": fat / (fat + lean),
        "forearm_width": width,
    }


def _within(offset_mm: FloatArray, step_mm: float) -> FloatArray:
    """Share of a row of height `step_mm` that lies within the site."""
    share: FloatArray = np.clip((HALF_SITE_MM - np.abs(offset_mm)) / step_mm + 0.5, 0.0, 1.0)
    return share
