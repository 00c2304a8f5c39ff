"""Texture against matrices counted in plain loops, and at the edges of what can be measured."""

import numpy as np
import pandas as pd
import pytest

from dxa_causal import imaging
from dxa_causal._core.errors import ImageError, OptionError, UnmeasurableScanError
from dxa_causal.imaging._kernels.texture import levels_of_number, levels_of_width
from dxa_causal.imaging.texture import BIN_WIDTH, CLASSES, FEATURES, TEXTURE, texture

PIXEL = (0.6, 0.6)
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
EIGHT = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
EXACT = 1e-10


def pixels(levels):
    """Positions and levels in the mask; 0 is outside."""
    return {(r, c): int(v) for (r, c), v in np.ndenumerate(levels) if v > 0}


def pairs(levels, step):
    at = pixels(levels)
    found = [(v, at[r + step[0], c + step[1]]) for (r, c), v in at.items() if (r + step[0], c + step[1]) in at]
    return found + [(b, a) for a, b in found]


def runs(levels, step):
    """Walk back to a run's start from every pixel; each start is one run."""
    at = pixels(levels)
    lengths = {}
    for (r, c), v in at.items():
        while at.get((r - step[0], c - step[1])) == v:
            r, c = r - step[0], c - step[1]
        lengths[r, c] = lengths.get((r, c), 0) + 1
    return [(at[start], length) for start, length in lengths.items()]


def zones(levels):
    at = pixels(levels)
    left, found = set(at), []
    while left:
        zone = {left.pop()}
        while grown := {
            p for r, c in zone for p in ((r + a, c + b) for a, b in EIGHT) if p in left and at[p] == at[r, c]
        }:
            zone |= grown
            left -= grown
        found.append((at[next(iter(zone))], len(zone)))
    return found


def neighbours(levels):
    at = pixels(levels)
    return [(v, [at[r + a, c + b] for a, b in EIGHT if (r + a, c + b) in at]) for (r, c), v in at.items()]


def by_size(found, n_pixels):
    """The sixteen numbers of (level, size) pairs, in the order of the runs' names."""
    i, s = np.array(found, dtype=float).T
    n = len(found)
    count = [np.unique(a, return_counts=True, axis=0)[1] for a in (i, s, np.array(found))]
    share = count[2] / n
    return [
        np.mean(1 / s**2),
        np.mean(s**2),
        np.sum(count[0] ** 2) / n,
        np.sum((count[0] / n) ** 2),
        np.sum(count[1] ** 2) / n,
        np.sum((count[1] / n) ** 2),
        n / n_pixels,
        i.var(),
        s.var(),
        -np.sum(share * np.log2(share)),
        np.mean(1 / i**2),
        np.mean(i**2),
        np.mean(1 / (i * s) ** 2),
        np.mean((i / s) ** 2),
        np.mean((s / i) ** 2),
        np.mean((i * s) ** 2),
    ]


def of_pairs(found):
    """Some features of pairs, straight from the list of them."""
    i, j = np.array(found, dtype=float).T
    share = np.unique(np.array(found), return_counts=True, axis=0)[1] / len(found)
    half = np.unique(i, return_counts=True)[1] / len(found)
    entropy = -np.sum(share * np.log2(share))
    one = -np.sum(half * np.log2(half))
    gap = np.abs(i - j)
    return {
        "autocorrelation": np.mean(i * j),
        "cluster_shade": np.mean((i + j - 2 * i.mean()) ** 3),
        "contrast": np.mean(gap**2),
        "correlation": np.corrcoef(i, j)[0, 1],
        "difference_variance": gap.var(),
        "idm": np.mean(1 / (1 + gap**2)),
        "imc1": (entropy - 2 * one) / one,
        "imc2": np.sqrt(1 - np.exp(-2 * (2 * one - entropy))),
        "inverse_variance": np.sum(1 / gap[gap > 0] ** 2) / len(gap),
        "joint_entropy": entropy,
        "maximum_probability": share.max(),
        "sum_squares": i.var(),
    }


def small_map(seed):
    """Levels 1, 2, 4 and 0 outside the mask."""
    rng = np.random.default_rng(seed)
    levels = rng.choice([1, 2, 4], (6, 7), p=[0.5, 0.3, 0.2]) * (rng.random((6, 7)) < 0.85)
    levels[0, :3] = 1, 2, 4
    return levels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("directions", ["averaged", "merged"])
def test_against_matrices_counted_in_loops(seed, directions):
    levels = small_map(seed)
    found = texture(levels, levels > 0, PIXEL, bin_width=1.0, directions=directions, min_pixels=1)
    n = int((levels > 0).sum())

    each = [pairs(levels, step) for step in DIRECTIONS]
    each = each if directions == "averaged" else [sum(each, [])]
    for name, value in pd.DataFrame([of_pairs(p) for p in each]).mean().items():
        assert found[f"glcm_{name}"] == pytest.approx(value, rel=EXACT), name

    each = [runs(levels, step) for step in DIRECTIONS]
    each = [(r, n) for r in each] if directions == "averaged" else [(sum(each, []), 4 * n)]
    expected = np.mean([by_size(*r) for r in each], axis=0)
    assert [v for k, v in found.items() if k.startswith("glrlm")] == pytest.approx(expected, rel=EXACT)

    expected = by_size(zones(levels), n)
    assert [v for k, v in found.items() if k.startswith("glszm")] == pytest.approx(expected, rel=EXACT)

    around = neighbours(levels)
    expected = by_size([(v, 1 + others.count(v)) for v, others in around], n)
    expected = [value for k, value in enumerate(expected) if k not in (3, 6)]
    assert [v for k, v in found.items() if k.startswith("gldm")] == pytest.approx(expected, rel=EXACT)

    around = [(v, abs(v - np.mean(others))) for v, others in around if others]
    share = {level: np.mean([v == level for v, _ in around]) for level in {v for v, _ in around}}
    summed = {level: sum(d for v, d in around if v == level) for level in share}
    two = [(a, b) for a in share for b in share]
    weighted, total = sum(share[a] * summed[a] for a in share), sum(summed.values())
    expected = [
        1 / weighted,
        sum(share[a] * share[b] * (a - b) ** 2 for a, b in two)
        / (len(share) * (len(share) - 1))
        * (total / len(around)),
        weighted / sum(abs(a * share[a] - b * share[b]) for a, b in two),
        sum(abs(a - b) * (share[a] * summed[a] + share[b] * summed[b]) / (share[a] + share[b]) for a, b in two)
        / len(around),
        sum((share[a] + share[b]) * (a - b) ** 2 for a, b in two) / total,
    ]
    assert [v for k, v in found.items() if k.startswith("ngtdm")] == pytest.approx(expected, rel=EXACT)


def test_maximal_correlation_of_two_levels_is_the_correlation():
    """A function of two levels is linear, so no other does better."""
    levels = np.random.default_rng(5).integers(1, 3, (20, 20))
    found = texture(levels, levels > 0, PIXEL, classes=["glcm"], bin_width=1.0, directions="merged")
    assert found["glcm_mcc"] == pytest.approx(abs(found["glcm_correlation"]), rel=1e-9)


def test_first_order():
    rng = np.random.default_rng(3)
    image = rng.gamma(6.0, 0.1, (24, 18))
    mask = rng.random(image.shape) < 0.9
    found = texture(image, mask, (0.5, 0.6), classes=["firstorder"])
    x = image[mask]
    low, high = np.percentile(x, [10, 90])
    middle = x[(x >= low) & (x <= high)]
    share = np.unique(np.floor(x / BIN_WIDTH), return_counts=True)[1] / x.size
    series = pd.Series(x)
    expected = {
        "energy": np.sum(x**2),
        "total_energy": np.sum(x**2) * 0.3,
        "entropy": -np.sum(share * np.log2(share)),
        "minimum": x.min(),
        "10_percentile": low,
        "90_percentile": high,
        "maximum": x.max(),
        "mean": x.mean(),
        "median": np.median(x),
        "interquartile_range": series.quantile(0.75) - series.quantile(0.25),
        "range": np.ptp(x),
        "mean_absolute_deviation": np.abs(x - x.mean()).mean(),
        "robust_mean_absolute_deviation": np.abs(middle - middle.mean()).mean(),
        "root_mean_squared": np.sqrt(np.mean(x**2)),
        "skewness": np.mean((x - x.mean()) ** 3) / x.std() ** 3,
        "kurtosis": np.mean((x - x.mean()) ** 4) / x.var() ** 2 - 3,
        "variance": x.var(),
        "uniformity": np.sum(share**2),
    }
    assert found == pytest.approx({f"firstorder_{k}": v for k, v in expected.items()}, rel=EXACT)


def test_levels():
    assert list(levels_of_width(np.array([0.149, 0.15, 0.2, 0.34]), 0.05)) == [1, 2, 3, 5]
    assert list(levels_of_width(np.arange(40) * 0.05, 0.05)) == list(range(1, 41))
    assert list(levels_of_width(np.array([-0.01, 0.0]), 0.05)) == [1, 2]
    assert list(levels_of_number(np.array([1.0, 3.0, 4.0, 6.0]), 6)) == [1, 3, 4, 6]
    assert list(levels_of_number(np.array([2.0, 2.0]), 6)) == [1, 1]


@pytest.mark.parametrize("classes", [CLASSES, ("ngtdm",), ("gldm", "firstorder")])
def test_names(classes):
    image = np.random.default_rng(0).gamma(6.0, 0.1, (20, 20))
    found = texture(image, image > 0, PIXEL, classes=classes)
    assert list(found) == [name for name in FEATURES if name.split("_")[0] in classes]
    assert all(type(value) is float and np.isfinite(value) for value in found.values())


def test_one_grey_level():
    found = texture(np.full((20, 15), 0.1), np.ones((20, 15), dtype=bool), PIXEL)
    assert all(np.isfinite(list(found.values())))
    nothing = ["variance", "skewness", "kurtosis", "entropy", "range", "interquartile_range", "mean_absolute_deviation"]
    assert [found[f"firstorder_{name}"] for name in nothing] == [0.0] * 7
    assert found["firstorder_mean"] == 0.1
    assert (found["glcm_contrast"], found["glcm_joint_entropy"], found["glcm_imc1"], found["glcm_imc2"]) == (0, 0, 0, 0)
    assert (found["glcm_correlation"], found["glcm_mcc"], found["glcm_joint_energy"]) == (1, 1, 1)
    assert found["glszm_large_area_emphasis"] == 300**2
    assert [found[f"ngtdm_{n}"] for n in ("coarseness", "contrast", "busyness", "complexity", "strength")] == [
        1e6,
        0,
        0,
        0,
        0,
    ]


def test_one_pixel():
    mask = np.zeros((5, 5), dtype=bool)
    mask[2, 3] = True
    found = texture(np.full((5, 5), 0.7), mask, PIXEL, min_pixels=1)
    without = {name for name, value in found.items() if np.isnan(value)}
    assert without == {name for name in found if name.startswith(("glcm", "ngtdm"))}
    assert found["firstorder_mean"] == 0.7
    assert found["glrlm_run_percentage"] == found["glszm_zone_percentage"] == 1.0


def test_parts_that_do_not_touch():
    """Zones and runs of two far parts are those of each; what lies between them is not read."""
    part = np.random.default_rng(2).integers(1, 4, (6, 6)).astype(float)
    apart = np.full((6, 20), np.nan)
    apart[:, :6] = apart[:, 14:] = part
    both = texture(apart, np.isfinite(apart), PIXEL, bin_width=1.0, min_pixels=1)
    one = texture(part, part > 0, PIXEL, bin_width=1.0, min_pixels=1)
    doubled = {"firstorder_energy", "firstorder_total_energy", "ngtdm_coarseness", "ngtdm_busyness", "ngtdm_strength"}
    doubled |= {name for name in FEATURES if name.endswith("non_uniformity")}
    for name in set(FEATURES) - doubled:
        assert both[name] == pytest.approx(one[name], rel=EXACT, abs=EXACT), name
    assert both["glszm_size_zone_non_uniformity"] == pytest.approx(2 * one["glszm_size_zone_non_uniformity"])


def test_turning_and_mirroring_change_nothing():
    image = np.random.default_rng(4).gamma(6.0, 0.1, (25, 18))
    mask = np.random.default_rng(5).random(image.shape) < 0.9
    first = texture(image, mask, PIXEL)
    for turned in (lambda a: np.rot90(a), lambda a: a[::-1], lambda a: a.T):
        assert texture(turned(image), turned(mask), PIXEL) == pytest.approx(first, rel=1e-9)
    shifted = texture(image + 40 * BIN_WIDTH, mask, PIXEL)
    assert shifted["glcm_imc1"] == pytest.approx(first["glcm_imc1"], rel=1e-9)


def test_what_is_refused():
    image, mask = np.random.default_rng(0).random((20, 20)), np.ones((20, 20), dtype=bool)
    with pytest.raises(UnmeasurableScanError, match="100 pixels; texture needs 200"):
        texture(image[:10, :10], mask[:10, :10], PIXEL)
    with pytest.raises(UnmeasurableScanError, match="no pixel is set"):
        texture(image, ~mask, PIXEL)
    hole = image.copy()
    hole[3, 4] = np.nan
    with pytest.raises(
        ImageError, match=r"1 of 400 pixels in the mask are not finite, first at \(row, column\) \(3, 4\)"
    ):
        texture(hole, mask, PIXEL)
    assert texture(hole, np.isfinite(hole), PIXEL)["firstorder_maximum"] < 1
    with pytest.raises(ImageError, match=r"image \(20, 20\) and mask \(10, 20\)"):
        texture(image, mask[:10], PIXEL)
    with pytest.raises(ImageError, match="two positive numbers"):
        texture(image, mask, (0.6, 0.0))
    with pytest.raises(OptionError, match="classes='glcn' is not allowed; .*did you mean 'glcm'"):
        texture(image, mask, PIXEL, classes=["glcn"])
    with pytest.raises(OptionError, match="directions='mean'"):
        texture(image, mask, PIXEL, directions="mean")
    with pytest.raises(OptionError, match="bin_width=0"):
        texture(image, mask, PIXEL, bin_width=0.0)
    with pytest.raises(OptionError, match="n_bins=0"):
        texture(image, mask, PIXEL, n_bins=0)
    image[0, 0] = 1e6
    with pytest.raises(UnmeasurableScanError, match="grey levels of values from .* to 1e.06"):
        texture(image, mask, PIXEL)


def test_the_dictionary_has_every_feature():
    assert len(FEATURES) == 93
    assert all(f.unit and f.definition for f in FEATURES.values())
    codes = [f.ibsi for f in FEATURES.values() if f.ibsi]
    assert len(set(codes)) == len(codes) == 91
    assert set(TEXTURE.values()) <= set(FEATURES)
    table = imaging.feature_dictionary().set_index("name")
    assert table.loc["radius_third_glcm_homogeneity", "unit"] == "1"
    assert [name for name in table.index if name.removeprefix("radius_third_") in TEXTURE] == [
        f"radius_third_{name}" for name in TEXTURE
    ]
