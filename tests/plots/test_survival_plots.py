from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import dxa_causal.survival as s
from dxa_causal._core.errors import OptionError
from dxa_causal.plots.residuals import residuals_over_time
from dxa_causal.plots.survival import predicted_curves, step_curves
from dxa_causal.survival.step_curves import nice_ticks, risk_table


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(3)
    n = 240
    entry = rng.uniform(50.4, 75, n)
    return pd.DataFrame(
        {
            "entry": entry,
            "age": entry + rng.exponential(8, n),
            "time": rng.exponential(4, n),
            "died": rng.integers(0, 2, n),
            "cause": rng.integers(0, 3, n),
            "surgery": np.arange(n) % 2,
            "arm": np.where(np.arange(n) % 2, "new", "old"),
            "site": [f"site {i % 24 + 1:02d}" for i in range(n)],
            "x": rng.normal(size=n),
        }
    )


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_numbers_are_named_by_their_column_and_texts_stay(cohort):
    ax = s.kaplan_meier("Surv(time, died) ~ surgery", cohort).plot()
    assert legend(ax) == ["surgery = 0", "surgery = 1"]
    assert {"At risk", "surgery = 0", "surgery = 1", "120"} <= set(texts(ax))
    assert legend(s.kaplan_meier("Surv(time, died) ~ arm", cohort).plot()) == ["new", "old"]
    for column, want in [(cohort["surgery"] * 1.0, "g = 0"), (cohort["surgery"] == 1, "g = False")]:
        fit = s.kaplan_meier("Surv(time, died) ~ g", cohort.assign(g=column))
        assert risk_table(fit.groups, None).index[0] == want


def test_the_age_scale_begins_where_people_are(cohort):
    fit = s.kaplan_meier("Surv(entry, age, died) ~ arm", cohort)
    at_risk = risk_table(fit.groups, None)
    assert at_risk.columns[0] >= cohort["entry"].min()
    assert 4 <= len(at_risk.columns) <= 9
    assert (at_risk.sum() > 0).all()
    ax = fit.plot()
    assert ax.get_xlim()[0] == pytest.approx(cohort["entry"].min())
    # counted by hand
    for time in at_risk.columns:
        present = cohort[(cohort["entry"] < time) & (cohort["age"] >= time)]
        assert at_risk[time].tolist() == present["arm"].value_counts().reindex(["new", "old"], fill_value=0).tolist()


def test_round_ticks():
    assert nice_ticks(999.0).tolist() == [0, 200, 400, 600, 800]
    assert nice_ticks(83.9, 50.4).tolist() == [55, 60, 65, 70, 75, 80]
    assert not np.signbit(nice_ticks(7.0)).any()


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_the_table_stays_on_the_figure_in_subplots(cohort, layout):
    figure, axes = plt.subplots(2, 2, figsize=(10, 8), layout=layout)
    for ax, group in zip(axes.ravel(), ["arm", "surgery", "1", "arm"], strict=True):
        s.kaplan_meier(f"Surv(time, died) ~ {group}", cohort).plot(ax)
        assert "At risk" in texts(ax)
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in axes.ravel()]
    assert min(box.y0 for box in boxes) >= -1
    assert min(box.x0 for box in boxes) >= -1
    for above, below in zip(boxes[:2], boxes[2:], strict=True):
        assert above.y0 >= below.y1 - 2


def test_tight_layout_afterwards_finds_axes_with_a_table(cohort):
    figure, axes = plt.subplots(1, 2, figsize=(8, 3))
    for ax in axes:
        s.kaplan_meier("Surv(time, died) ~ arm", cohort).plot(ax)
        ax.set_title("a title")
    figure.tight_layout()
    figure.draw_without_rendering()
    box = axes[0].get_tightbbox()
    assert box.y0 >= -1
    assert box.y1 <= figure.bbox.height + 1
    assert axes[0].get_window_extent().height > 0.3 * figure.bbox.height


def test_many_groups_differ_in_line_and_their_legend_stands_outside(cohort):
    fit = s.kaplan_meier("Surv(time, died) ~ site", cohort)
    ax = fit.plot()
    ax.figure.draw_without_rendering()
    steps = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
    assert len({(line.get_color(), line.get_linestyle()) for line in steps}) == 24
    assert not ax.collections
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
    _, given = plt.subplots(figsize=(6, 4))
    assert "At risk" not in texts(fit.plot(given))


def test_curves_without_limits_and_numbers_at_risk():
    table = pd.DataFrame({"group": ["a", "a", "b"], "time": [1.0, 2.0, 1.5], "estimate": [0.9, 0.5, 0.7]})
    ax = step_curves(table, value_label="S", start=1.0)
    assert not ax.collections
    assert legend(ax) == ["a", "b"]


def test_predicted_curves(cohort):
    new = pd.DataFrame({"x": [-1.0, 1.0]})
    fit = s.cox("Surv(time, died) ~ x", cohort)
    table = fit.predict(new, type="survival")
    ax = predicted_curves(table, time_label="Years")
    assert legend(ax) == ["row 0", "row 1"]
    assert ax.get_xlabel() == "Years"
    line = ax.lines[0]
    own = table[table["row"] == 0]
    np.testing.assert_allclose(line.get_xydata()[1:], own[["time", "estimate"]])
    assert line.get_xydata()[0].tolist() == [0.0, 1.0]
    assert legend(predicted_curves(table, labels=["low", "high"])) == ["low", "high"]
    with pytest.raises(OptionError, match="3 names for 2 rows"):
        predicted_curves(table, labels=["a", "b", "c"])
    with pytest.raises(OptionError, match="type"):
        predicted_curves(table, type="risk")
    incidence = s.cause_specific("Surv(time, cause) ~ x", cohort).predict(new)
    ax = predicted_curves(incidence, type="cumulative_incidence")
    assert legend(ax) == [f"row {r}, cause {c}" for r in (0, 1) for c in (1, 2)]
    assert ax.lines[0].get_ydata()[0] == 0.0
    one = predicted_curves(fit.predict(new[:1], type="cumulative_hazard"), type="cumulative_hazard")
    assert one.get_legend() is None


@pytest.mark.parametrize("transform", ["km", "rank", "identity", "log"])
def test_times_of_residuals_are_round_and_none_vanishes(cohort, transform):
    days = cohort.assign(days=np.round(cohort["time"] * 900) + 1)
    test = s.ph_test(s.cox("Surv(days, died) ~ x", days), transform=transform)
    ax = test.plot()
    ax.figure.draw_without_rendering()
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert 3 <= len(labels) <= 7
    assert not any("e" in text for text in labels)
    places = ax.get_xticks()
    assert (np.diff(places) >= 0.09 * np.ptp(test.transformed)).all()
    assert ax.get_xlabel() == "days"
    low, high = ax.get_ylim()
    seen = sum(
        int(((line.get_ydata() > low) & (line.get_ydata() < high)).sum())
        for line in ax.lines
        if line.get_marker() in ("o", "^", "v")
    )
    assert seen == len(test.transformed)
    figure = test.plot_all(time_label="Days since entry")
    assert figure.axes[0].get_xlabel() == "Days since entry"


def test_one_time_of_events():
    time, residual = np.full(3, 2.0), np.array([-1.0, 0.0, 1.0])
    ax = residuals_over_time(time, time, residual, variance=1.0, coefficient=0.0, term="x")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2"]


def test_the_hatched_area_is_the_difference(cohort):
    fit = s.rmst("Surv(time, died) ~ arm", cohort, tau=5)
    ax = fit.plot()
    hatched = [c for c in ax.collections if c.get_hatch()]
    assert len(hatched) == 2
    area = 0.0
    for sign, part in zip((-1, 1), hatched, strict=True):  # where the first arm is above, where the second is
        for path in part.get_paths():
            x, y = path.vertices.T
            area += sign * abs(0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    assert area == pytest.approx(fit.coefficients[0])
    assert "RMST difference to 5" in ax.get_title()
    assert s.rmst("Surv(time, died) ~ 1", cohort, tau=5).plot().get_title().startswith("Hatched: RMST to 5")
    assert not s.rmst("Surv(time, died) ~ C(cause)", cohort, tau=2).plot().get_title()
