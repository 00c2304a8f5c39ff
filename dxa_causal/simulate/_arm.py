"""Anatomy of the simulated forearm: areal masses of mineral, lean and fat in the plane of the bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dxa_causal.simulate._physics import DENSITY, HA_SOLID, BoolArray, FloatArray

CORTICAL_HA = 1.15  # g/cm3
TRABECULAR_HA = 0.18
CARPAL_HA = 0.25
TEXTURE_SHARE = 0.25  # SD of the trabecular texture over its mean
TEXTURE_CM, STREAKS_CM = (0.14, 0.07), (0.48, 0.18)  # reach of texture and of fat in muscle, along and across
FIELD_CM = ((-5.0, 16.0), (-10.0, 10.0))  # part of the arm that has them, along and across
MAX_FILL = 0.9  # cortex may fill this share of the section's depth


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One forearm. Lengths in cm, angles in radians."""

    length: float
    bone_size: float  # of a woman of 165 cm
    bone_scale: float
    muscle_size: float
    subcutaneous: float
    muscle_fat: float  # share of the muscle compartment that is fat
    marrow_fat: float  # share of the marrow that is adipose
    tilt: float


@dataclass(frozen=True, eq=False, slots=True)
class Arm:
    """Areal masses (g/cm2) on the fine grid, the radius (cm, by row), depth below the arm's flank (cm), bone."""

    masses: dict[str, FloatArray]
    radius_ha: FloatArray
    depth: FloatArray
    radius_centre: FloatArray
    radius_width: FloatArray
    bone: BoolArray


def build(anatomy: Anatomy, z: FloatArray, x: FloatArray, rng: np.random.Generator) -> Arm:
    """Project one forearm.

    Parameters
    ----------
    anatomy : Anatomy
    z : (rows,) ndarray
        cm from the ulnar styloid's tip, towards the elbow.
    x : (columns,) ndarray
        cm from the arm's axis at z = 0; the radius lies at negative x.
    rng : Generator
        For the trabecular texture and the distribution of fat within muscle.
    """
    a = anatomy
    along = z[:, None]
    across = x[None, :] - np.tan(a.tilt) * along
    half_width = a.muscle_size * np.interp(z, (0, 11), (2.6, 3.6))
    half_depth = a.muscle_size * np.interp(z, (0, 11), (1.7, 2.9))
    compartment = _chord(across, 0.0, half_width, half_depth)
    arm = _chord(across, 0.0, half_width + a.subcutaneous, half_depth + a.subcutaneous)

    texture = _field(rng, along, across, TEXTURE_CM)
    streaks = np.maximum(1.0 + 0.3 * _field(rng, along, across, STREAKS_CM), 0.0)
    radius_width = a.bone_size * np.interp(z, (0, 1.5, 3.5, 11), (1.25, 1.08, 0.72, 0.70)) * _cap(z, -0.2, 0.3)
    radius_ratio = np.interp(z, (0, 2, 4), (0.62, 0.80, 0.90))
    ulna_width = a.bone_size * np.interp(z, (0, 1.5, 3.5, 11), (0.66, 0.62, 0.56, 0.56)) * _cap(z, 0.0, 0.3)
    radius = _bone(across, -1.15 * a.bone_size, radius_width, radius_ratio, z, texture, a)
    ulna = _bone(across, 1.25 * a.bone_size, ulna_width, np.full(len(z), 0.9), z, texture, a)
    solid, ha, marrow = _carpus(across, z, a.bone_size), np.zeros_like(arm), np.zeros_like(arm)
    ha += CARPAL_HA * solid
    for bone in (radius, ulna):
        solid[bone.at] += bone.chord
        ha[bone.at] += bone.ha
        marrow[bone.at] += bone.marrow
    radius_ha = np.zeros_like(arm)
    radius_ha[radius.at] = radius.ha

    compartment = np.minimum(np.maximum(compartment, solid), arm)
    fat = np.minimum(a.muscle_fat * streaks, 0.9) * (compartment - solid)
    fat += arm - compartment
    fat += a.marrow_fat * marrow
    lean = arm - fat - ha / HA_SOLID
    return Arm(
        masses={"ha": ha, "lean": DENSITY["lean"] * lean, "fat": DENSITY["fat"] * fat},
        radius_ha=radius_ha,
        radius_centre=-1.15 * a.bone_size + np.tan(a.tilt) * z,
        radius_width=2.0 * radius_width,
        depth=(half_width + a.subcutaneous)[:, None] - np.abs(across),
        bone=solid > 0,
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Bone:
    at: tuple[slice, slice]  # the window of the grid that holds it
    chord: FloatArray  # cm, outer
    marrow: FloatArray  # cm, free of mineral
    ha: FloatArray  # g/cm2


def _bone(
    across: FloatArray,
    centre: float,
    width: FloatArray,
    ratio: FloatArray,
    z: FloatArray,
    texture: FloatArray,
    anatomy: Anatomy,
) -> _Bone:
    """An elliptic tube of cortex with trabeculae towards the wrist; mineral is proportional to bone_scale."""
    seen = np.flatnonzero((np.abs(across - centre) < width[:, None]).any(axis=0))
    at = np.s_[:, int(seen[0]) : int(seen[-1]) + 1] if seen.size else np.s_[:, :0]
    across, texture = across[at], texture[at]
    a, b = width, width * ratio
    thick = np.minimum(anatomy.bone_size * np.interp(z, (0, 1.5, 3.5, 7), (0.07, 0.08, 0.15, 0.25)), 0.8 * b)
    # wall whose cross-section is bone_scale times that of `thick`
    section = np.minimum(anatomy.bone_scale * thick * (a + b - thick), MAX_FILL * a * b)
    wall = 0.5 * (a + b - np.sqrt(np.maximum((a + b) ** 2 - 4.0 * section, 0.0)))
    outer = _chord(across, centre, a, b)
    inner = _chord(across, centre, np.maximum(a - wall, 0.0), np.maximum(b - wall, 0.0))
    fill = anatomy.bone_scale * np.interp(z, (0, 2, 4, 11), (1.0, 1.0, 0.25, 0.0))[:, None]
    trabecular = TRABECULAR_HA * fill * np.clip(1.0 + TEXTURE_SHARE * texture, 0.0, 2.0)
    ha = CORTICAL_HA * (outer - inner) + trabecular * inner
    return _Bone(at=at, chord=outer, marrow=inner * (1.0 - np.minimum(trabecular / HA_SOLID, 1.0)), ha=ha)


def _carpus(across: FloatArray, z: FloatArray, size: float) -> FloatArray:
    """Beam path, cm, through three balls distal of the wrist."""
    path = np.zeros_like(across)
    wrist = z < 0.0
    for centre in (-1.2, -0.1, 1.0):
        half = 0.6 * size * np.sqrt(np.maximum(1.0 - ((z[wrist] + 1.25 * size) / (0.6 * size)) ** 2, 0.0))
        path[wrist] += _chord(across[wrist], centre * size, half, half)
    return path


def _chord(across: FloatArray, centre: float, half_width: FloatArray, half_depth: FloatArray) -> FloatArray:
    """Beam path, cm, through an ellipse in every row."""
    path = across - centre
    path /= np.maximum(half_width, 1e-9)[:, None]
    np.multiply(path, path, out=path)
    np.subtract(1.0, path, out=path)
    np.maximum(path, 0.0, out=path)
    np.sqrt(path, out=path)
    path *= 2.0 * half_depth[:, None]
    return path


def _cap(z: FloatArray, tip: float, length: float) -> FloatArray:
    """Rounded end of a bone: 0 at its tip, 1 from `length` cm on."""
    return np.sqrt(np.maximum(1.0 - np.clip((tip + length - z) / length, 0.0, 1.0) ** 2, 0.0)) * (z > tip)


def _field(
    rng: np.random.Generator, along: FloatArray, across: FloatArray, reach_cm: tuple[float, float]
) -> FloatArray:
    """Gaussian field of mean 0 and SD 1 that belongs to the arm, not to the pixels, so that it moves with it."""
    from scipy import ndimage

    steps = [reach / 2.0 for reach in reach_cm]
    shape = [round((high - low) / step) for (low, high), step in zip(FIELD_CM, steps)]
    grown = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0, mode="wrap", truncate=3.0)
    grown *= 2.0 * 2.0 * np.sqrt(np.pi)  # SD of white noise after the filter is 1 / (2 sigma sqrt(pi))
    places = [(cm - low) / step for cm, (low, _), step in zip((along, across), FIELD_CM, steps)]
    found: FloatArray = ndimage.map_coordinates(
        grown, np.stack(np.broadcast_arrays(*places)), order=1, mode="grid-wrap"
    )
    return found
