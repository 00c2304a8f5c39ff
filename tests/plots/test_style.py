from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from dxa_causal.plots.style import fold, make_room, term_label


@pytest.mark.parametrize(
    ("term", "label"),
    [
        ("long[T.Other]:sex[T.M]", "long: Other × sex: M"),
        ("C(sex)[F]:age", "sex: F × age"),
        ("band[T.(50, 60]]:C(trt)[T.2]", "band: (50, 60] × trt: 2"),
        ("C(cell, contr.treatment('large'))[T.small]", "cell: small"),
        ("sex[T.M] (cause pcm)", "sex: M (cause pcm)"),
        ("bs(karno, df=4)[3]", "bs(karno, df=4), column 3"),
        ("stage[2]", "stage: 2"),
        ("np.log(bili)", "np.log(bili)"),
        ("tt(karno)", "tt(karno)"),
        # not terms: left alone
        ("age: [40, 50) (228, 10 events)", "age: [40, 50) (228, 10 events)"),
        ("[40, 50)", "[40, 50)"),
        ("all (1,200, 30 events)", "all (1,200, 30 events)"),
        ("", ""),
    ],
)
def test_terms_are_written_as_people_read_them(term, label):
    assert term_label(term) == label


def test_folded_labels_are_short_and_keep_their_ends():
    label = fold("histological type of the tumour as read by the local laboratory and again elsewhere: squamous")
    lines = label.split("\n")
    assert len(lines) <= 4
    assert max(map(len, lines)) <= 28
    assert lines[-1].endswith("squamous")
    assert fold("") == ""


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_room_is_made_only_where_no_layout_engine_does_it(layout):
    figure, ax = plt.subplots(layout=layout)
    before = ax.get_window_extent().height
    ax.annotate("below", (0, 0), (0, -80), "axes fraction", "offset points")
    make_room(ax)
    figure.draw_without_rendering()
    assert (ax.get_axes_locator() is None) == (layout is not None)
    assert ax.get_window_extent().height < before
    assert ax.get_tightbbox().y0 >= 0
