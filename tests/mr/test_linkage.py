from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import OptionError, SummaryStatisticsError

NAMES = ["rs1", "rs2", "rs3"]
R = np.array([[1.0, 0.5, -0.2], [0.5, 1.0, 0.1], [-0.2, 0.1, 1.0]])


@pytest.fixture
def h() -> mr.Harmonised:
    frame = pd.DataFrame(
        {
            "variant": NAMES,
            "effect_allele": ["A", "C", "G"],
            "other_allele": ["G", "T", "GA"],
            "beta": [0.1, 0.2, 0.15],
            "se": 0.01,
            "eaf": 0.2,
        }
    )
    return mr.harmonise(frame, frame)


def test_order_further_variants_and_signs(h):
    order = [2, 0, 3, 1]
    big = np.eye(4)
    big[:3, :3] = R
    panel = big[np.ix_(order, order)]
    names = np.array([*NAMES, "rs9"])[order]
    same = h.with_ld(panel, variants=names)
    np.testing.assert_array_equal(same.ld, R)
    assert h.ld is None
    assert same.correlated
    framed = h.with_ld(pd.DataFrame(panel, index=names, columns=names))
    np.testing.assert_array_equal(framed.ld, R)
    # rs1 counted by its other allele on the other strand (C), rs2 by its effect allele on the other strand.
    alleles = np.array(["c", "G", "G", "X"])[order]
    turned = h.with_ld(panel, variants=names, effect_alleles=alleles)
    sign = np.array([-1.0, 1.0, 1.0])
    np.testing.assert_array_equal(turned.ld, R * np.outer(sign, sign))
    with pytest.raises(ValueError, match="read-only"):
        turned.ld[0, 0] = 2.0


def test_estimate_does_not_depend_on_the_coding_of_the_panel(h):
    sign = np.array([-1.0, 1.0, -1.0])
    a = h.with_ld(R, variants=NAMES)
    b = h.with_ld(R * np.outer(sign, sign), variants=NAMES, effect_alleles=["G", "C", "GA"])
    np.testing.assert_array_equal(a.ld, b.ld)


def test_not_positive_definite_names_the_eigenvalue_and_ridge_helps(h):
    bad = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]])
    smallest = np.linalg.eigvalsh(bad)[0]
    with pytest.raises(
        SummaryStatisticsError, match=rf"smallest eigenvalue is {smallest:.3g}.*'rs1' and 'rs2'.*ridge="
    ):
        h.with_ld(bad, variants=NAMES)
    stable = h.with_ld(bad, variants=NAMES, ridge=0.6).ld
    np.testing.assert_allclose(stable, (bad + 0.6 * np.eye(3)) / 1.6)
    with pytest.raises(SummaryStatisticsError, match="smallest eigenvalue"):
        h.with_ld(np.ones((3, 3)), variants=NAMES)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"variants": ["rs1", "rs2", "rs4"]}, "1 of 3 variants are not among its 3, first 'rs3'"),
        ({"variants": ["rs1", "rs2", "rs2"]}, "'rs2' is there more than once"),
        ({"variants": NAMES[:2]}, "must be 2 by 2"),
        ({}, "rows have no names"),
        ({"variants": NAMES, "effect_alleles": ["T", "C", "T"]}, "first 'rs3': the matrix counts 'T'.*'G' .effect."),
        ({"variants": NAMES, "effect_alleles": ["A", None, "G"]}, "first 'rs2': the matrix counts None"),
        ({"variants": NAMES, "effect_alleles": ["A"]}, "holds 1 alleles for 3"),
    ],
)
def test_what_does_not_match(h, options, said):
    with pytest.raises(SummaryStatisticsError, match=said):
        h.with_ld(R, **options)


def test_more_that_does_not_match(h):
    with pytest.raises(SummaryStatisticsError, match="rows and its columns differ"):
        h.with_ld(pd.DataFrame(R, index=NAMES, columns=NAMES[::-1]))
    with pytest.raises(
        SummaryStatisticsError, match="1 on the diagonal; 3 of its values are not so, first 2 .'rs1' and 'rs1'"
    ):
        h.with_ld(2 * R, variants=NAMES)
    with pytest.raises(OptionError, match="ridge=-1"):
        h.with_ld(R, variants=NAMES, ridge=-1)
    arrays = mr.Harmonised.from_arrays(
        beta_exposure=[0.1] * 3, se_exposure=[0.1] * 3, beta_outcome=[0.1] * 3, se_outcome=[0.1] * 3, variant=NAMES
    )
    with pytest.raises(SummaryStatisticsError, match="the table has None"):
        arrays.with_ld(R, variants=NAMES, effect_alleles=["A", "A", "A"])


def test_arrays_with_a_matrix_that_cannot_be():
    bad = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]])
    arrays = dict.fromkeys(("beta_exposure", "se_exposure", "beta_outcome", "se_outcome"), [0.1] * 3)
    with pytest.raises(SummaryStatisticsError, match="ld is not positive definite: its smallest eigenvalue is -0.273"):
        mr.Harmonised.from_arrays(**arrays, ld=bad)
    assert mr.Harmonised.from_arrays(**arrays, ld=np.ones((3, 3))).correlated
