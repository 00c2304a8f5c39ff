"""Texture beside the digital phantom of IBSI and beside pyradiomics."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from dxa_causal.imaging.texture import FEATURES, texture
from tests.conftest import REFERENCE
from tests.imaging.texture_peer import by_pyradiomics

FOLDER = REFERENCE / "texture"
PEER = 1e-6  # relative: pyradiomics adds 2e-16 to every share in a logarithm and a denominator
NOTHING = 1e-10  # absolute, where the true value is 0
NOT_IN_IBSI = {"firstorder_total_energy", "glcm_mcc"}


@pytest.fixture(scope="module")
def phantom():
    """Slices of the digital phantom and of its mask."""
    sitk = pytest.importorskip("SimpleITK")
    image, mask = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(FOLDER / f"ibsi_{name}.nii.gz"))) for name in ("phantom", "mask")
    )
    return image, mask > 0


@pytest.fixture(scope="module")
def consensus():
    table = pd.read_csv(FOLDER / "ibsi_digital_phantom.csv", keep_default_na=False)
    return {(row.ibsi_code, row.aggregation): float(row.value) for row in table.itertuples()}


def of_slices(phantom, directions):
    rows = [texture(i, m, (2.0, 2.0), n_bins=6, directions=directions, min_pixels=1) for i, m in zip(*phantom)]
    return pd.DataFrame(rows).mean()


def in_three_digits(value):
    return float(f"{value:.3g}")


@pytest.mark.parametrize(
    ("directions", "aggregations"), [("averaged", ("2D, averaged", "2D")), ("merged", ("2D, slice-merged",))]
)
def test_planar_consensus_of_ibsi(phantom, consensus, directions, aggregations):
    found = of_slices(phantom, directions)
    compared = set()
    for name, feature in FEATURES.items():
        for aggregation in aggregations:
            if (feature.ibsi, aggregation) in consensus:
                assert in_three_digits(found[name]) == consensus[feature.ibsi, aggregation], name
                compared.add(name)
    families = ("glcm", "glrlm", "glszm", "gldm", "ngtdm") if directions == "averaged" else ("glcm", "glrlm")
    assert compared == {name for name in FEATURES if name.startswith(families)} - NOT_IN_IBSI


def test_first_order_consensus_of_ibsi(phantom, consensus):
    image, mask = (a.reshape(-1, a.shape[-1]) for a in phantom)
    found = texture(image, mask, (2.0, 2.0), classes=["firstorder"], bin_width=1.0, min_pixels=1)
    for name in set(found) - NOT_IN_IBSI:
        assert in_three_digits(found[name]) == consensus[FEATURES[name].ibsi, ""], name


def as_pyradiomics(ours):
    """Our features as it defines them: kurtosis with 3 added."""
    return ours | {"firstorder_kurtosis": ours["firstorder_kurtosis"] + 3.0}


def agree(ours, theirs):
    assert set(ours) == set(theirs) == set(FEATURES)
    ours = as_pyradiomics(ours)
    for name in FEATURES:
        assert math.isclose(ours[name], theirs[name], rel_tol=PEER, abs_tol=NOTHING), name


def test_stored_pyradiomics(reference):
    image, label = (np.loadtxt(FOLDER / f"pyradiomics_{name}.csv", delimiter=",") for name in ("phantom", "label"))
    for case in reference("texture/expected.json")["cases"]:
        settings = case["settings"]
        bins = {"bin_width": settings["binWidth"]} if "binWidth" in settings else {"n_bins": settings["binCount"]}
        agree(texture(image, np.isin(label, case["labels"]), (1.0, 1.0), **bins), case["features"])


@pytest.mark.parametrize("seed", range(12))
def test_pyradiomics_itself_on_random_maps(seed):
    pytest.importorskip("radiomics")
    rng = np.random.default_rng(seed)
    image = rng.gamma(6.0, 0.1, rng.integers(6, 45, 2))
    mask = rng.random(image.shape) < (1.0, 0.9, 0.7)[seed % 3]
    mask &= ndimage.convolve(mask.astype(int), np.ones((3, 3), dtype=int), mode="constant") > 1  # each has a neighbour
    if seed % 4 == 3:
        ours = texture(image, mask, (1.0, 1.0), n_bins=5 * seed, min_pixels=1)
        agree(ours, by_pyradiomics(image, mask, binCount=5 * seed))
    else:
        width = (0.05, 0.02, 0.3)[seed % 3]
        agree(
            texture(image, mask, (1.0, 1.0), bin_width=width, min_pixels=1), by_pyradiomics(image, mask, binWidth=width)
        )


def test_where_pyradiomics_leaves_ibsi():
    """A pixel without neighbours, and a line of pixels in which two directions hold single pixels only."""
    pytest.importorskip("radiomics")
    image = np.arange(36.0).reshape(6, 6) % 5
    lonely = np.zeros((6, 6), dtype=bool)
    lonely[:3, :3] = lonely[5, 5] = True
    ours, theirs = (
        texture(image, lonely, (1.0, 1.0), bin_width=1.0, min_pixels=1),
        by_pyradiomics(image, lonely, binWidth=1),
    )
    different = {
        k for k, v in as_pyradiomics(ours).items() if not math.isclose(v, theirs[k], rel_tol=PEER, abs_tol=NOTHING)
    }
    assert different == {f"ngtdm_{name}" for name in ("coarseness", "contrast", "busyness", "complexity", "strength")}
    alone = texture(
        image, lonely & (np.indices((6, 6))[0] < 5), (1.0, 1.0), classes=["ngtdm"], bin_width=1.0, min_pixels=1
    )
    assert alone == {k: ours[k] for k in alone}

    line = np.eye(6, dtype=bool)
    image[line] = [0, 0, 1, 1, 1, 2]
    ours, theirs = (
        texture(image, line, (1.0, 1.0), bin_width=1.0, min_pixels=1),
        by_pyradiomics(image, line, binWidth=1),
    )
    runs, singles = 3 / 6, 1.0
    assert ours["glrlm_run_percentage"] == pytest.approx((runs + 3 * singles) / 4)
    assert theirs["glrlm_run_percentage"] != pytest.approx(ours["glrlm_run_percentage"])
