"""Scattered light: its size from the phantom's beam stops, and the primary beam without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.imaging.read import BoolArray, FloatArray

WIDTHS_MM = tuple(range(4, 42, 2))  # searched: from a pencil beam's to a wide fan's
LEAST = 1e-4  # of the beam; transmissions are held above it, so that their logarithm exists
BLUR_MM = 0.6  # around a plug's shadow
_ROUNDS = 3  # of scatter and primary in turn; then the primary is within 1e-5 of where it settles


@dataclass(frozen=True, eq=False, slots=True)
class Scatter:
    r"""Scatter of one device: a Gaussian blur of what the beam loses.

    Attributes
    ----------
    share : (2,) ndarray
        :math:`k` at the low and the high energy; 0 where nothing is known.
    width_mm : float
        Standard deviation of the Gaussian, mm in the detector's plane.
    residual : float
        Root mean square difference behind the beam stops, relative to their mean;
        NaN without stops.

    Notes
    -----
    With :math:`T` the primary transmission, the scattered light is
    :math:`k\, G_\sigma * [T (-\ln T)]`: a photon is scattered once in proportion
    to the mass it meets and then has the rest of the way to go.
    """

    share: FloatArray
    width_mm: float
    residual: float

    def primary(
        self, transmission: FloatArray, energy: int, spacing_mm: npt.ArrayLike, hidden: BoolArray | None = None
    ) -> FloatArray:
        """Transmission without scatter; `hidden` pixels (a lead plug) scatter nothing."""
        if self.share[energy] == 0.0:
            return np.maximum(transmission, LEAST)
        found = np.maximum(transmission, LEAST)
        for _ in range(_ROUNDS):
            found = np.maximum(
                transmission - self.share[energy] * _source(found, self.width_mm, spacing_mm, hidden), LEAST
            )
        return found


NO_SCATTER = Scatter(np.zeros(2), 14.0, float("nan"))


def fit_scatter(
    low: FloatArray, high: FloatArray, stops: npt.NDArray[np.int_], spacing_mm: npt.ArrayLike, plug_mm: float
) -> Scatter:
    """Size and width of the scatter that lies behind beam stops.

    Parameters
    ----------
    low, high : (rows, columns) ndarray
        Transmissions of the phantom.
    stops : (n, 4) ndarray of int
        Half-open boxes row0, row1, col0, col1 within the stops' shadow.
    spacing_mm : (float, float)
    plug_mm : float
        Side of a plug; its shadow scatters nothing.
    """
    if not len(stops):
        return NO_SCATTER
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    hidden = plug_shadow(low.shape, stops, spacing_mm, plug_mm)
    images = (low, high)
    seen = [_behind(image, stops) for image in images]
    best = NO_SCATTER
    for width in WIDTHS_MM:
        shares, errors = np.zeros(2), []
        for energy, (image, light) in enumerate(zip(images, seen)):
            for _ in range(_ROUNDS):
                primary = Scatter(shares, float(width), 0.0).primary(image, energy, spacing, hidden)
                source = _behind(_source(primary, float(width), spacing, hidden), stops)
                shares[energy] = max(float(light @ source / (source @ source)), 0.0)
            errors.append((light - shares[energy] * source) / max(float(light.mean()), LEAST**2))
        residual = float(np.sqrt(np.mean(np.square(errors))))
        if not residual >= best.residual:  # also true for the first, where it is NaN
            best = Scatter(shares, float(width), residual)
    return best


def plug_shadow(
    shape: tuple[int, ...], stops: npt.NDArray[np.int_], spacing_mm: npt.ArrayLike, plug_mm: float
) -> BoolArray:
    """Pixels that plugs around the middles of `stops` hide, blur included."""
    hidden = np.zeros(shape, dtype=bool)
    half = (0.5 * plug_mm + BLUR_MM) / np.asarray(spacing_mm, dtype=np.float64)
    for row0, row1, col0, col1 in stops:
        middle = 0.5 * np.array([row0 + row1, col0 + col1])
        first, last = np.maximum(middle - half, 0.0).astype(int), (middle + half).astype(int) + 1
        hidden[first[0] : last[0], first[1] : last[1]] = True
    return hidden


def _source(primary: FloatArray, width_mm: float, spacing_mm: npt.ArrayLike, hidden: BoolArray | None) -> FloatArray:
    from scipy import ndimage

    beam = np.clip(primary, LEAST, 1.0)
    lost = -beam * np.log(beam)
    if hidden is not None:
        lost[hidden] = 0.0
    blurred: FloatArray = ndimage.gaussian_filter(lost, width_mm / np.asarray(spacing_mm), mode="nearest")
    return blurred


def _behind(image: FloatArray, stops: npt.NDArray[np.int_]) -> FloatArray:
    return np.array([image[r0:r1, c0:c1].mean() for r0, r1, c0, c1 in stops])
