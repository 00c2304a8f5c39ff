"""The figure of a scan."""

import numpy as np
import pytest

from dxa_causal import imaging, simulate
from dxa_causal.plots.images import scan_with_rois

NAMES = ["radius", "ulna", "carpus", "one-third radius", "mid radius", "ultradistal radius"]


def test_the_figure_has_bones_site_scale_and_unit(calibrations):
    ax = imaging.show(simulate.forearm(1)[0], calibrations["k_edge"])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == NAMES
    assert "20 mm" in [t.get_text() for t in ax.texts]
    assert ax.figure.axes[1].get_ylabel() == "bone mineral, g/cm²"
    ax.figure.canvas.draw()


def test_a_left_arm_from_its_folder(forearm_reference, independent_calibration):
    ax = imaging.show(forearm_reference / "scans" / "s0018_a", independent_calibration)
    assert len(ax.get_legend().get_texts()) == len(NAMES)


def test_map_and_labels_must_match():
    with pytest.raises(ValueError, match="bmd_map is"):
        scan_with_rois(np.ones((5, 5)), np.ones((5, 6)), {}, spacing=(1.0, 1.0))
