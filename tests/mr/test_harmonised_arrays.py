from __future__ import annotations

import numpy as np
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import SummaryStatisticsError

GOOD = {
    "beta_exposure": [0.1, 0.2, 0.3],
    "se_exposure": [0.01, 0.01, 0.01],
    "beta_outcome": [0.05, 0.1, 0.2],
    "se_outcome": [0.02, 0.02, 0.02],
}


def test_table_audit_and_counts():
    h = mr.Harmonised.from_arrays(**GOOD, variant=["a", "b", "c"], n_exposure=1000, n_outcome=[10, 20, 30])
    assert h.table["variant"].tolist() == ["a", "b", "c"]
    assert h.table["n_exposure"].tolist() == [1000.0] * 3
    assert h.table["n_outcome"].tolist() == [10.0, 20.0, 30.0]
    assert h.counts["n_kept"] == 3
    assert (h.audit["status"] == "kept").all()
    assert "given as aligned" in h.audit["reason"].tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"beta_exposure": [0.1, np.nan, 0.3]},
            "beta_exposure must be finite; 1 values are not, first nan at position 1",
        ),
        ({"se_outcome": [0.1, 0.1, 0.0]}, "se_outcome must be finite and positive.*position 2"),
        ({"se_exposure": [0.1, 0.1]}, "a vector of 3 values"),
        ({"beta_outcome": [["a"]]}, "must hold numbers"),
        ({"variant": ["a", "a", "b"]}, "'a' is there more than once"),
        ({"variant": ["a"]}, "1 names for 3 effects"),
        ({"ld": np.eye(2)}, "ld must be 3 by 3"),
        ({"ld": np.diag([1.0, 1.0, 2.0])}, "1 on the diagonal"),
        ({"ld": np.triu(np.ones((3, 3)))}, "symmetric"),
    ],
)
def test_bad_arrays(change, said):
    with pytest.raises(SummaryStatisticsError, match=said):
        mr.Harmonised.from_arrays(**{**GOOD, **change})


def test_user_arrays_are_copied():
    beta = np.array(GOOD["beta_exposure"])
    h = mr.Harmonised.from_arrays(**{**GOOD, "beta_exposure": beta})
    beta[0] = 9.0
    assert h.beta_exposure[0] == 0.1


def medians(h):
    return mr.estimate(h, ["ivw", "weighted_median"], seed=1)


@pytest.mark.parametrize("function", [medians, mr.heterogeneity, mr.pleiotropy])
def test_correlated_variants_are_refused_not_ignored(function):
    ld = np.eye(3)
    assert function(mr.Harmonised.from_arrays(**GOOD, ld=ld)) is not None
    ld[0, 1] = ld[1, 0] = 0.4
    h = mr.Harmonised.from_arrays(**GOOD, ld=ld)
    assert h.ld is not None
    with pytest.raises(SummaryStatisticsError, match="correlations between the variants"):
        function(h)
