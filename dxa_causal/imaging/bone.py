"""Mineral, size and shape of one bone at one site, with standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dxa_causal.imaging.calibration import Calibration
from dxa_causal.imaging.decomposition import DEPTH_TO_WIDTH, FAT_G_CM3, RED_MARROW_FAT, TissueMaps
from dxa_causal.imaging.read import BoolArray, FloatArray
from dxa_causal.imaging.regions import ForearmAxis
from dxa_causal.imaging.segmentation import RADIUS, Segmentation, bone_coverage

SPILL_PX = 2  # mineral that blur carries past the bone's outline is counted with it

# Standard deviations between people of what a scan cannot show:
FAT_ABOVE_G_CM2 = {"third": 0.24, "mid": 0.19, "ultradistal": 0.16}  # fat above a bone around that near by
MARROW_SD = 0.55 / math.sqrt(12.0)  # yellow marrow anywhere between 0.4 and 0.95
WALL_G_CM3 = 1.09  # hydroxyapatite per volume of a wall, which is denser outside than inside
DENSITY_SD = 0.04
MAGNIFICATION_SD = 0.003  # of a length, relative
EDGE_MM = {"third": 0.10, "mid": 0.15, "ultradistal": 0.30}  # of the distance of a bone's two edges
CALIBRATION_SHARE = 0.5  # of the phantom's residual is left in a fit to all its cells
DEPTH_SD = 0.05  # depth to width of a shaft, relative


@dataclass(frozen=True, eq=False, slots=True)
class BoneSite:
    """One bone within one band: pixel shares, mineral, and what it is uncertain by.

    Attributes
    ----------
    share : (rows, columns) ndarray
        Share of each pixel in the band, 0 outside the widened outline.
    covered : (rows, columns) ndarray
        Share of each pixel within band and outline.
    ha : (rows, columns) ndarray
        Mineral, g/cm2, 0 where unknown.
    pixel_mm : (float, float)
    length_mm : float
        Of the band.
    seen : float
        Share of the bone in the band whose mineral is known.
    per_fat : float
        Mineral, g/cm2, that 1 g/cm2 of unseen fat hides.
    marrow_cm : (rows, columns) ndarray
        Assumed thickness of the marrow.
    calibration_se, edge_mm, fat_sd : float
        Standard deviations: of mineral (g/cm2) by the calibration, of the bone's
        width (mm), of fat above the bone (g/cm2).
    """

    share: FloatArray
    covered: FloatArray
    ha: FloatArray
    pixel_mm: tuple[float, float]
    length_mm: float
    seen: float
    per_fat: float
    marrow_cm: FloatArray
    calibration_se: float
    edge_mm: float
    fat_sd: float

    @property
    def pixel_cm2(self) -> float:
        """Area of a pixel in the plane of the bones."""
        return self.pixel_mm[0] * self.pixel_mm[1] / 100.0

    def mineral(self) -> dict[str, tuple[float, float]]:
        """Mineral and size: bmd (g/cm2), bmc (g), area (cm2) and width (mm) as value and standard error."""
        content = float((self.share * self.ha).sum()) * self.pixel_cm2 / self.seen
        area = float(self.covered.sum()) * self.pixel_cm2
        width = 100.0 * area / self.length_mm
        marrow = float((self.covered * self.marrow_cm).sum()) * self.pixel_cm2  # cm3
        fat = self.fat_sd * area, MARROW_SD * (1.0 - RED_MARROW_FAT) * FAT_G_CM3 * marrow
        content_se = math.hypot(self.per_fat * math.hypot(*fat), self.calibration_se * area)
        size = math.hypot(2.0 * MAGNIFICATION_SD, self.edge_mm / width)
        return {
            "bmd": (content / area, math.hypot(content_se / area, content / area * self.edge_mm / width)),
            "bmc": (content, math.hypot(content_se, 2.0 * MAGNIFICATION_SD * content)),
            "area": (area, area * size),
            "width": (width, width * math.hypot(MAGNIFICATION_SD, self.edge_mm / width)),
        }

    def shaft(self, axis: ForearmAxis) -> dict[str, tuple[float, float]]:
        """Wall, marrow space and resistance to bending of a shaft, as value and standard error.

        The shaft is taken for an elliptic tube whose outer width is seen and whose
        depth is 0.9 of it; its wall holds the mineral that is seen at the density
        of compact bone.
        """
        found = self.mineral()
        content, width_mm = found["bmc"][0], found["width"][0]
        relative = math.hypot(found["bmc"][1] / content, DENSITY_SD / WALL_G_CM3)
        wall = wall_mm(content, width_mm, self.length_mm, WALL_G_CM3, DEPTH_TO_WIDTH)
        up = wall_mm(content * (1.0 + relative), width_mm, self.length_mm, WALL_G_CM3, DEPTH_TO_WIDTH)
        deep = wall_mm(content, width_mm, self.length_mm, WALL_G_CM3, DEPTH_TO_WIDTH * (1.0 + DEPTH_SD))
        wide = wall_mm(content, width_mm + self.edge_mm, self.length_mm, WALL_G_CM3, DEPTH_TO_WIDTH)
        wall_se = math.hypot(up - wall, deep - wall, wide - wall)
        medullary = width_mm - 2.0 * wall
        medullary_se = math.hypot(2.0 * wall_se, found["width"][1])
        moment, far = self._bending(axis)
        moment_se = moment * math.hypot(
            found["bmc"][1] / content, 4.0 * self.edge_mm / width_mm, 3.0 * MAGNIFICATION_SD
        )
        density = DENSITY_SD / WALL_G_CM3
        area = 10.0 * content / self.length_mm / WALL_G_CM3  # cm2 across the axis
        second = moment / WALL_G_CM3
        second_se = second * math.hypot(moment_se / moment, density)
        return {
            "cortical_thickness": (wall, wall_se),
            "medullary_width": (medullary, medullary_se),
            "cortical_index": (1.0 - medullary / width_mm, medullary_se / width_mm),
            "csmi_mineral": (moment, moment_se),
            "csmi": (second, second_se),
            "csa": (area, area * relative),
            "section_modulus": (second / far, second_se / far),
        }

    def _bending(self, axis: ForearmAxis) -> tuple[float, float]:
        """Second moment of mineral across the axis (g cm), mean of the band's rows, and the far edge (cm)."""
        columns = (np.arange(self.ha.shape[1]) * self.pixel_mm[1]) / 10.0
        mass = self.share * np.maximum(self.ha, 0.0)
        total = mass.sum(axis=1)
        rows = total > 0.5 * total.max()
        centre = (mass[rows] * columns).sum(axis=1) / total[rows]
        away = columns[None, :] - centre[:, None]
        weight = self.share[rows].max(axis=1)
        # a row's cut is slanted to the axis: across it lengths are cosine times, so a moment is its third power
        across = abs(float(axis.direction[0]))
        step = self.pixel_mm[1] / 10.0
        moments = (mass[rows] * away**2).sum(axis=1) * step * across**3
        edges = np.where(self.covered[rows] > 0.5, np.abs(away) + 0.5 * step, 0.0).max(axis=1) * across
        return float(moments.sum() / weight.sum()), float((edges * weight).sum() / weight.sum())


def bone_site(
    maps: TissueMaps,
    seg: Segmentation,
    calibration: Calibration,
    bone: str,
    name: str,
    site: FloatArray,
    length_mm: float,
) -> BoneSite:
    """Cut one bone within the band of the site `name` out of the maps."""
    from scipy import ndimage

    mask = seg.mask(bone)
    other: BoolArray = (seg.labels >= RADIUS) & ~mask  # bone that is not this one
    known = np.isfinite(maps.ha)
    within = site * mask
    widened = ndimage.binary_dilation(mask, iterations=SPILL_PX) & ~other
    edge = ndimage.binary_dilation(mask, iterations=1) & ~other
    covered = np.where(known, bone_coverage(maps.ha, edge), mask)
    per_fat = float(-(calibration.materials[2] @ np.linalg.inv(calibration.materials[:2]))[0])
    return BoneSite(
        share=np.where(widened & known, site, 0.0),
        covered=site * covered,
        ha=np.nan_to_num(maps.ha),
        pixel_mm=maps.pixel_mm,
        length_mm=length_mm,
        seen=float(within[known].sum() / within.sum()),  # the few dead pixels count as their neighbours
        per_fat=abs(per_fat),
        marrow_cm=maps.marrow,
        calibration_se=CALIBRATION_SHARE * calibration.residual_ha,
        edge_mm=EDGE_MM[name],
        fat_sd=FAT_ABOVE_G_CM2[name],
    )


def wall_mm(content_g: float, width_mm: float, length_mm: float, density: float, depth: float) -> float:
    r"""Even wall of an elliptic tube that holds a mass of mineral.

    Parameters
    ----------
    content_g, width_mm, length_mm : float
    density : float
        g/cm3.
    depth : float
        Outer depth over width.

    Notes
    -----
    :math:`\pi t (w + d - 2t) / 2 = m / (\rho l)` with outer axes w and d: the
    difference of two ellipses. Never more than half of the smaller axis.

    Examples
    --------
    >>> round(wall_mm(2.0, 15.0, 20.0, 1.12, 0.9), 2)
    2.4
    """
    area = 1000.0 * content_g / (density * length_mm)  # mm2
    total = width_mm * (1.0 + depth)
    inside = total**2 - 16.0 * area / math.pi
    wall = 0.25 * (total - math.sqrt(max(inside, 0.0)))
    return min(wall, 0.5 * width_mm * min(depth, 1.0))
