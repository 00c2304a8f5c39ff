from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from dxa_causal.plots.coefficients import forest, log_ticks


def table(estimate, low, high, terms=None):
    terms = terms or [f"x{i}" for i in range(len(estimate))]
    return pd.DataFrame({"term": terms, "estimate": estimate, "conf_low": low, "conf_high": high})


@pytest.mark.parametrize("width", [1e-3, 0.01, 0.1, 0.7, 1.5, 3, 5, 8, 20, 60, 600])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.77, 1.0])
def test_log_ticks_hold_one_and_are_not_crowded(width, share):
    low, high = np.exp(-share * width), np.exp((1 - share) * width)
    ticks = log_ticks(np.array([low, high]))
    assert 1.0 in ticks
    assert 2 <= len(ticks) <= 7
    assert low * 0.999 <= min(ticks) < max(ticks) <= high * 1.001
    assert np.diff(np.log(ticks)).min() >= 0.149 * width


def test_log_ticks_take_anything():
    assert log_ticks(np.array([0.0, np.inf, np.nan, 1.0])) == [0.95, 1.0, 1.05, 1.1]
    assert len(log_ticks(np.array([3.1, 3.9]))) >= 3
    assert 1.0 in log_ticks(np.array([1e-320, 1e308]))


@pytest.mark.parametrize("log", [True, False])
def test_absurd_limits_end_in_arrows(log):
    wild = table([1.2, 1.0, 3e8, 1e-9, np.nan], [0.9, 1e-300, 0, 0, np.nan], [1.6, 1e300, np.inf, np.inf, np.nan])
    ax = forest(wild, effect_measure="HR", log=log)
    ax.figure.draw_without_rendering()
    if log:
        left, right = ax.get_xlim()
        assert 0.5 < left < 0.9
        assert 1.6 < right < 3
        markers = [line.get_marker() for line in ax.lines]
        assert {"<", ">", "s"} <= set(markers)
    assert ax.texts[-1].get_text() == "not estimated"


def test_an_axis_of_one_absurd_row_and_of_none():
    for frame in (table([1.0], [0.0], [np.inf]), table([0.0], [0.0], [3.7]), table([], [], [])):
        ax = forest(frame, effect_measure="HR")
        ax.figure.draw_without_rendering()
        assert ax.get_xlim()[0] < 1 < ax.get_xlim()[1]


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_long_labels_leave_room_in_subplots(layout):
    long = table([0.8, 2.0], [0.5, 1.0], [1.3, 4.0], ["type of the tumour as read by the local laboratory: x"] * 2)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout=layout)
    for ax in axes:
        forest(long, effect_measure="HR", ax=ax)
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in axes]
    assert boxes[0].x0 >= 0
    assert boxes[0].x1 <= boxes[1].x0 + 20
    assert boxes[1].x1 <= figure.bbox.width
    assert all(ax.get_window_extent().width > 80 for ax in axes)
