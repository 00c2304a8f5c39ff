"""Scatter from beam stops, and the primary beam without it."""

import numpy as np
import pytest
from scipy import ndimage

from dxa_causal.imaging.scatter import NO_SCATTER, Scatter, fit_scatter

SPACING = (0.6, 0.5)
STOPS = np.array([(28, 32, 38, 42), (60, 64, 58, 62), (90, 94, 98, 102), (58, 62, 118, 122)])


def phantom(share, width_mm):
    """Steps of plastic with lead plugs, and the light scattered by them."""
    rows, columns = np.mgrid[:120, :150]
    images = []
    for energy, attenuation in enumerate((1.3, 0.9)):
        primary = np.exp(-attenuation * (0.4 + 0.3 * (rows // 30) / 3 + 0.5 * (columns // 40) / 3))
        plug = np.zeros(primary.shape, dtype=bool)
        for r0, r1, c0, c1 in STOPS:
            plug[(r0 + r1) // 2 - 5 : (r0 + r1) // 2 + 5, (c0 + c1) // 2 - 6 : (c0 + c1) // 2 + 6] = True
        primary[plug] = 0.0
        lost = np.where(plug, 0.0, -primary * np.log(np.maximum(primary, 1e-9)))
        light = share[energy] * ndimage.gaussian_filter(lost, np.array([width_mm, width_mm]) / SPACING, mode="nearest")
        images.append((primary, primary + light, plug))
    return images


@pytest.mark.parametrize("width_mm", [10.0, 14.0, 22.0])
def test_size_and_reach_come_back_and_leave_the_primary(width_mm):
    low, high = phantom((0.03, 0.045), width_mm)
    found = fit_scatter(low[1], high[1], STOPS, SPACING, plug_mm=6.0)
    assert found.width_mm == pytest.approx(width_mm, abs=2.0)
    np.testing.assert_allclose(found.share, (0.03, 0.045), rtol=0.06)  # the plug's margin is not known exactly
    for energy, (primary, seen, plug) in enumerate((low, high)):
        open_beam = ~ndimage.binary_dilation(plug, iterations=3)
        corrected = found.primary(seen, energy, SPACING, plug)
        np.testing.assert_allclose(corrected[open_beam], primary[open_beam], rtol=4e-3)  # a tenth of the scatter
        assert np.abs(seen[open_beam] / primary[open_beam] - 1.0).max() > 0.02  # what it was before


def test_without_stops_nothing_is_taken():
    light = np.full((20, 20), 0.4)
    assert fit_scatter(light, light, np.empty((0, 4), dtype=int), SPACING, 6.0) is NO_SCATTER
    np.testing.assert_array_equal(NO_SCATTER.primary(light, 0, SPACING), light)


def test_dark_pixels_stay_above_nothing():
    light = np.full((30, 30), 0.5)
    light[10:12, 10:12] = 0.0
    primary = Scatter(np.array([0.05, 0.05]), 14.0, 0.0).primary(light, 0, SPACING)
    assert np.isfinite(np.log(primary)).all()


def test_the_independent_device_scatters_as_its_plugs_show(independent_calibration):
    scatter = independent_calibration.scatter
    # behind 5 cm of muscle (attenuations about 1.5 and 1.05) its maker set 1.2 % of the primary light
    np.testing.assert_allclose(scatter.share * (1.5, 1.05), 0.012, atol=0.001)
    assert scatter.width_mm == 14.0
