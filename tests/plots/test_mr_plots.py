from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dxa_causal.plots.mr import mr_density, mr_forest, mr_funnel, mr_scatter

TABLE = pd.DataFrame(
    {
        "beta_exposure": [0.1, -0.2, 0.3],
        "se_exposure": [0.01] * 3,
        "beta_outcome": [0.05, -0.1, 0.2],
        "se_outcome": [0.02] * 3,
    }
)
ESTIMATES = pd.DataFrame(
    {
        "method": ["IVW", "IVW (fixed)", "MR-Egger", "MR-Egger", "Wald ratio"],
        "term": ["effect", "effect", "effect", "intercept", "effect"],
        "estimate": [0.5, 0.5, 0.6, -0.01, np.nan],
        "conf_low": [0.3, 0.4, 0.2, -0.1, np.nan],
        "conf_high": [0.7, 0.6, 1.0, 0.1, np.nan],
    }
)


def singles(n: int) -> pd.DataFrame:
    estimate = np.linspace(-2, 2, n)
    return pd.DataFrame(
        {
            "variant": [f"rs{i}" for i in range(n)],
            "estimate": estimate,
            "conf_low": estimate - 1,
            "conf_high": estimate + 1,
        }
    )


def test_funnel_has_precision_upward_and_shares_lines():
    ax = mr_funnel(singles(4).assign(std_error=[0.5, 0.25, np.nan, 0.1], estimate=[0.0, 1.0, np.nan, 2.0]), ESTIMATES)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0, 2], [1, 4], [2, 10]])
    assert ax.get_legend_handles_labels()[1] == ["IVW / IVW (fixed)", "MR-Egger"]


@pytest.mark.parametrize("estimate", [[0.0, 1.0, 1.2, 2.0], [0.5] * 4, [0.0] * 4])
def test_density_integrates_to_one(estimate):
    ax = mr_density(singles(4).assign(std_error=[0.5, 0.25, 0.3, 0.1], estimate=estimate), ESTIMATES)
    x, y = ax.lines[0].get_xydata().T
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.005)


def test_density_of_no_and_one_variant():
    mr_density(singles(0).assign(std_error=[]), ESTIMATES)
    mr_density(singles(1).assign(std_error=[0.1]), ESTIMATES)


def test_scatter_codes_variants_upward_and_draws_each_line_once():
    ax = mr_scatter(TABLE, ESTIMATES, exposure="BMI", outcome="CHD")
    labels = ax.get_legend_handles_labels()[1]
    assert labels == ["IVW / IVW (fixed)", "MR-Egger"]
    points = ax.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points, [[0.1, 0.05], [0.2, 0.1], [0.3, 0.2]])
    egger = next(line for line in ax.lines if line.get_label() == "MR-Egger")
    x, y = egger.get_xdata(), egger.get_ydata()
    np.testing.assert_allclose(y, -0.01 + 0.6 * x)
    assert "BMI" in ax.get_xlabel()
    assert "CHD" in ax.get_ylabel()


def test_forest_sorts_and_separates():
    ax = mr_forest(singles(4), ESTIMATES, outcome="CHD")
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == ["rs3", "rs2", "rs1", "rs0", "IVW", "IVW (fixed)", "MR-Egger"]
    places = ax.get_yticks()
    assert (np.diff(places) < 0).all()
    assert places[3] - places[4] == 2


@pytest.mark.parametrize("n", [1, 79])
def test_nothing_is_clipped(n):
    long = {"exposure": "appendicular lean mass, adjusted for whole-body fat mass", "outcome": "heel bone density"}
    for ax in (mr_forest(singles(n), ESTIMATES, **long), mr_scatter(TABLE, ESTIMATES, **long)):
        canvas = FigureCanvasAgg(ax.figure)
        canvas.draw()
        needed = ax.figure.get_tightbbox(canvas.get_renderer())
        width, height = ax.figure.get_size_inches()
        assert needed.x0 >= -0.02
        assert needed.y0 >= -0.02
        assert needed.x1 <= width + 0.02
        assert needed.y1 <= height + 0.02


def test_given_axes_are_used():
    ax = mr_scatter(TABLE, ESTIMATES)
    other = ax.figure.add_subplot(2, 1, 1)
    assert mr_forest(singles(3), ESTIMATES, other) is other
