"""DeLong's test: pROC, brute force over pairs, bad input."""

import numpy as np
import pytest

import dxa_causal as dc
from dxa_causal._core.errors import ColumnNotFoundError, OptionError, OutcomeError, PredictorError

s = dc.survival

EXACT = 1e-11


@pytest.fixture(scope="module")
def cases(frames, reference):
    pbc, nhefs = frames["pbc"], frames["nhefs"]
    known = pbc[(pbc["time"] >= 2000) | (pbc["status"] == 2)]
    y = ((known["status"] == 2) & (known["time"] <= 2000)).astype(int)
    nhefs = nhefs.dropna(subset=["wt82"])
    given = {
        "delong_pbc": (y, known["bili"], -known["albumin"]),
        "delong_ties": (y, known["edema"], (known["age"] / 10).round()),
        "delong_nhefs": (nhefs["death"], nhefs["age"], nhefs["smokeyrs"]),
    }
    expected = reference("survival/calibration/expected.json")
    return {name: (given[name], expected[name]) for name in given}


@pytest.mark.parametrize("name", ["delong_pbc", "delong_ties", "delong_nhefs"])
def test_equals_proc(cases, name):
    given, case = cases[name]
    fit = s.delong(*given)
    np.testing.assert_allclose(fit.area, case["area"], rtol=EXACT)
    np.testing.assert_allclose(np.diag(fit.covariance), case["variance"], rtol=EXACT)
    np.testing.assert_allclose(fit.covariance[0, 1], case["covariance"], rtol=1e-10)
    difference = fit.tidy().iloc[2]
    np.testing.assert_allclose(difference["statistic"], case["z"], rtol=1e-10)
    np.testing.assert_allclose(difference["p_value"], case["pvalue"], rtol=1e-10)


def test_equals_all_pairs():
    rng = np.random.default_rng(2)
    y, scores = rng.integers(0, 2, 60).astype(bool), rng.integers(0, 8, (60, 3))
    fit = s.delong(y, {name: scores[:, k] for k, name in enumerate("abc")})
    wins = [np.sign(x[y][:, None] - x[~y]) / 2 + 0.5 for x in scores.T]
    np.testing.assert_allclose(fit.area, [w.mean() for w in wins], rtol=EXACT)
    m, n = y.sum(), (~y).sum()
    by_case, by_control = (np.cov([w.mean(axis=a) for w in wins]) for a in (1, 0))
    np.testing.assert_allclose(fit.covariance, by_case / m + by_control / n, rtol=1e-10, atol=1e-15)
    assert list(fit.tidy()["term"]) == ["a", "b", "c", "a - b", "a - c", "b - c"]


def test_columns_one_score_and_figure(frames):
    pbc = frames["pbc"].assign(died=lambda d: d["status"] == 2)
    fit = s.delong("died", "bili", data=pbc)
    assert list(fit.tidy()["term"]) == ["bili"]
    two = s.delong("died", "bili", "chol", data=pbc)
    assert two.nobs == pbc["chol"].notna().sum()
    assert two.provenance.missing == {"model chol": pbc["chol"].isna().sum()}
    fit.plot()


def test_bad_input(frames):
    pbc = frames["pbc"]
    with pytest.raises(OutcomeError, match="0/1 or True/False"):
        s.delong("status", "bili", data=pbc)
    with pytest.raises(ColumnNotFoundError, match="no column 'bilii'"):
        s.delong("status", "bilii", data=pbc)
    with pytest.raises(OptionError, match="same column"):
        s.delong("status", "bili", "bili", data=pbc)
    with pytest.raises(OptionError, match="names a column; give the frame"):
        s.delong("status", "bili")
    with pytest.raises(OptionError, match="two events and two"):
        s.delong([0, 0, 1], [1, 2, 3])
    with pytest.raises(PredictorError, match="must be numbers"):
        s.delong([0, 1, 0, 1], np.array(["a", "b", "c", "d"]))
