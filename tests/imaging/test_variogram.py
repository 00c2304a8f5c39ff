"""The variogram's slope keeps the order of textures under noise; noise is measured."""

import numpy as np
import pytest
from scipy import ndimage

from dxa_causal._core.errors import ImageError, OptionError, UnmeasurableScanError
from dxa_causal.imaging.texture import fractal_dimension, noise_variance, variogram_slope

PIXEL = (0.6, 0.6)
LENGTHS = (0.8, 1.2, 2.0, 4.0)  # px
NOISE = 0.3  # SD, of fields of SD 1
SEEDS = 20


def field(rng, shape, length):
    """Gaussian field of SD 1 whose correlation at d px is exp(-d2 / (4 length2)); cut from a periodic one."""
    wide = ndimage.gaussian_filter(rng.normal(size=(shape[0] + 40, shape[1] + 40)), length, mode="wrap")
    return (wide / wide.std())[: shape[0], : shape[1]]


def expected(length):
    d = np.arange(1.0, 5.0)
    return np.polyfit(np.log(d), np.log(2.0 * (1.0 - np.exp(-(d**2) / (4.0 * length**2)))), 1)[0]


def slopes(rng, shape, source):
    mask = np.ones(shape, dtype=bool)
    found = []
    for length in LENGTHS:
        truth = field(rng, shape, length)
        image, repeat, air = (a + rng.normal(0.0, NOISE, shape) for a in (truth, truth, 0.0))
        variance = {
            "none": lambda: 0.0,
            "known": lambda: NOISE**2,
            "repeat": lambda image=image, repeat=repeat: noise_variance(image, mask, repeat=repeat),
            "air": lambda air=air: noise_variance(air, mask),
        }[source]()
        found.append(variogram_slope(image, mask, PIXEL, noise_variance=variance))
    return found


@pytest.mark.parametrize("source", ["known", "repeat", "air"])
def test_the_order_of_textures_holds_under_noise(source):
    found = np.array([slopes(np.random.default_rng(seed), (120, 100), source) for seed in range(SEEDS)])
    assert (np.diff(found, axis=1) > 0).all()
    assert found.mean(axis=0) == pytest.approx([expected(length) for length in LENGTHS], abs=0.03)


@pytest.mark.slow
def test_in_a_small_region_the_order_holds_nine_times_in_ten():
    """40 x 30 px hold some twenty patches of the coarsest texture; the others' order never fails."""
    found = np.array([slopes(np.random.default_rng(seed), (40, 30), "repeat") for seed in range(100)])
    assert (np.diff(found, axis=1) > 0).all(axis=1).mean() >= 0.85
    assert (np.diff(found[:, :3], axis=1) > 0).all()


def test_noise_left_in_turns_the_order_round():
    found = slopes(np.random.default_rng(0), (120, 100), "none")
    assert found[3] < found[1] < found[2]


def test_against_pairs_counted_in_loops():
    rng = np.random.default_rng(1)
    image, mask = rng.random((9, 8)), rng.random((9, 8)) < 0.8
    logs = []
    for d in range(1, 5):
        steps = [
            (image[r + a, c + b] - image[r, c]) ** 2
            for a, b in ((d, 0), (0, d))
            for r in range(9 - a)
            for c in range(8 - b)
            if mask[r, c] and mask[r + a, c + b]
        ]
        logs.append(np.log(np.mean(steps) - 0.02))
    slope = np.polyfit(np.log([1, 2, 3, 4]), logs, 1)[0]
    assert variogram_slope(image, mask, PIXEL, noise_variance=0.01) == pytest.approx(slope, rel=1e-9)
    assert fractal_dimension(image, mask, noise_variance=0.01) == pytest.approx(3 - slope / 2, rel=1e-9)


def test_pixels_that_are_not_square():
    """The same field, its columns twice as near: lags along columns are doubled, and the slope stays."""
    wide = field(np.random.default_rng(3), (240, 480), 6.0)
    square = variogram_slope(wide[::2, ::2], np.ones((120, 240), dtype=bool), (0.6, 0.6))
    oblong = variogram_slope(wide[::2], np.ones((120, 480), dtype=bool), (0.6, 0.3))
    assert oblong == pytest.approx(square, abs=0.01)
    scaled = variogram_slope(wide[::2, ::2], np.ones((120, 240), dtype=bool), (1.2, 1.2))
    assert scaled == pytest.approx(square, rel=1e-12)


def test_a_surface_and_noise():
    flat = np.random.default_rng(4).normal(0.8, 0.03, (200, 200))
    everywhere = np.ones(flat.shape, dtype=bool)
    assert fractal_dimension(flat, everywhere) == pytest.approx(3.0, abs=0.01)
    steps = np.random.default_rng(5).normal(size=(400, 400)).cumsum(axis=1)  # along rows a walk, H = 1/2
    assert variogram_slope(steps[:1], np.ones((1, 400), dtype=bool), PIXEL) == pytest.approx(1.0, abs=0.2)
    tilted = flat + 0.01 * np.arange(200)
    again = 0.1 + tilted + np.random.default_rng(6).normal(0.0, 0.03, flat.shape) - flat + 0.8
    assert noise_variance(tilted, everywhere) == pytest.approx(0.03**2, rel=0.05)
    assert noise_variance(tilted, everywhere, repeat=again) == pytest.approx(0.03**2, rel=0.05)


def test_what_is_refused():
    image, mask = np.random.default_rng(0).random((20, 20)), np.ones((20, 20), dtype=bool)
    with pytest.raises(UnmeasurableScanError, match="no more than twice the noise variance"):
        variogram_slope(image, mask, PIXEL, noise_variance=1.0)
    with pytest.raises(UnmeasurableScanError, match="no texture is left"):
        variogram_slope(np.ones((20, 20)), mask, PIXEL)
    with pytest.raises(OptionError, match="noise_variance=-1"):
        variogram_slope(image, mask, PIXEL, noise_variance=-1.0)
    with pytest.raises(UnmeasurableScanError, match="no two pixels 4 apart"):
        variogram_slope(image[:4, :4], mask[:4, :4], PIXEL)
    with pytest.raises(UnmeasurableScanError, match="no pixel is set"):
        fractal_dimension(image, ~mask)
    with pytest.raises(UnmeasurableScanError, match="three pixels of the mask in a line"):
        noise_variance(image[:2, :2], mask[:2, :2])
    with pytest.raises(UnmeasurableScanError, match="two pixels or more"):
        noise_variance(image[:1, :1], mask[:1, :1], repeat=image[:1, :1])
    with pytest.raises(ImageError, match="repeat .10, 20. must have the shape"):
        noise_variance(image, mask, repeat=image[:10])
    image[5, 5] = np.inf
    with pytest.raises(ImageError, match="not finite"):
        variogram_slope(image, mask, PIXEL)
