"""Texture through pyradiomics: right matrices, honest refusal, no noise on the log."""

import logging

import numpy as np
import pytest

from dxa_causal._core.errors import UnmeasurableScanError
from dxa_causal.imaging.texture import BIN_WIDTH, TEXTURE, texture


def glcm_by_hand(levels, mask):
    """Symmetric co-occurrence at one pixel in each of four directions; the mean of contrast over them."""
    contrasts, homogeneities = [], []
    rows, columns = levels.shape
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        pairs = [
            (levels[r, c], levels[r + down, c + right])
            for r in range(rows - down)
            for c in range(max(0, -right), columns - max(0, right))
            if mask[r, c] and mask[r + down, c + right]
        ]
        gap = np.array([a - b for a, b in pairs], dtype=float)
        contrasts.append(np.mean(gap**2))
        homogeneities.append(np.mean(1.0 / (1.0 + gap**2)))
    return np.mean(contrasts), np.mean(homogeneities)


def test_against_a_matrix_counted_by_hand():
    rng = np.random.default_rng(3)
    image = rng.gamma(6.0, 0.1, (24, 18))
    mask = np.ones(image.shape, dtype=bool)
    mask[:3, :5] = False
    found = texture(image, mask, (0.6, 0.6))
    levels = np.floor(image / BIN_WIDTH) - np.floor(image[mask].min() / BIN_WIDTH)
    contrast, homogeneity = glcm_by_hand(levels, mask)
    share = np.unique(levels[mask], return_counts=True)[1] / mask.sum()
    assert found["glcm_contrast"] == pytest.approx(contrast, rel=1e-9)
    assert found["glcm_homogeneity"] == pytest.approx(homogeneity, rel=1e-9)
    assert found["firstorder_entropy"] == pytest.approx(-np.sum(share * np.log2(share)), rel=1e-9)
    assert found["firstorder_mean"] == pytest.approx(image[mask].mean(), rel=1e-9)
    assert found["firstorder_variance"] == pytest.approx(image[mask].var(), rel=1e-9)
    assert list(found) == list(TEXTURE)


def test_few_pixels_are_refused():
    with pytest.raises(UnmeasurableScanError, match="100 pixels; texture needs 200"):
        texture(np.ones((10, 10)), np.ones((10, 10), dtype=bool), (0.6, 0.6))


def test_the_log_is_quiet_and_its_level_restored(caplog):
    log = logging.getLogger("radiomics")
    before = log.level
    with caplog.at_level(logging.INFO):
        texture(np.random.default_rng(0).random((20, 20)), np.ones((20, 20), dtype=bool), (0.6, 0.6))
    assert log.level == before
    assert not [r for r in caplog.records if r.name.startswith("radiomics")]
