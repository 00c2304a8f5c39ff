"""Additive interaction: published example, definitions, simulation of limits."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dxa_causal._core.errors import OptionError, PredictorError
from dxa_causal.results import Provenance
from dxa_causal.survival.cox import cox
from dxa_causal.survival.interaction import interaction


def _logistic(cells, terms=("alc", "smk", "alc:smk")):
    """The saturated logistic regression of four (cases, controls): neither, first, second, both."""
    cells = np.asarray(cells, dtype=float)
    contrast = np.array([[-1.0, 1, 0, 0], [-1, 0, 1, 0], [1, -1, -1, 1]])
    return SimpleNamespace(
        terms=terms,
        coefficients=contrast @ np.log(cells[:, 0] / cells[:, 1]),
        covariance=contrast @ np.diag((1 / cells).sum(axis=1)) @ contrast.T,
        nobs=int(cells.sum()),
        provenance=Provenance("logistic", int(cells.sum()), int(cells.sum())),
    )


# Rothman & Keller (1972): oral cancer by alcohol and smoking, as Hosmer & Lemeshow (1992) and Zou (2008) analyse it.
ORAL_CANCER = [(3, 20), (6, 12), (8, 18), (225, 166)]


def _numbers(table, term):
    return table.loc[term, ["estimate", "conf_low", "conf_high"]].astype(float)


def test_published_example():
    table = interaction(_logistic(ORAL_CANCER), "alc", "smk").tidy().set_index("term")
    printed = {"RERI": (3.74, -1.84, 9.32), "S": (1.87, 0.65, 5.42)}
    printed |= {"alc": (3.33, 0.70, 15.86), "smk": (2.96, 0.68, 12.91), "alc and smk": (9.04, 2.64, 30.91)}
    for term, numbers in printed.items():
        np.testing.assert_allclose(_numbers(table, term), numbers, atol=5e-3)
    # printed from an estimate and a standard error that were rounded first
    np.testing.assert_allclose(_numbers(table, "AP"), (0.41, -0.07, 0.89), atol=1.2e-2)


def test_published_mover_limits():
    table = interaction(_logistic(ORAL_CANCER), "alc", "smk", conf_method="mover").tidy().set_index("term")
    np.testing.assert_allclose(table.loc["RERI", ["conf_low", "conf_high"]].astype(float), (-11.43, 21.87), atol=5e-3)


def test_ap_is_reri_over_the_joint_ratio():
    fit = interaction(_logistic(ORAL_CANCER), "alc", "smk")
    table = fit.tidy().set_index("term")["estimate"]
    assert table["AP"] == pytest.approx(table["RERI"] / table["alc and smk"], rel=1e-12)


def test_standard_errors_are_numerical_derivatives():
    model = _logistic(ORAL_CANCER)
    measures = ["RERI", "AP", "S"]

    def at(beta):
        shifted = SimpleNamespace(**vars(model) | {"coefficients": beta})
        value = interaction(shifted, "alc", "smk").tidy().set_index("term")["estimate"][measures]
        return np.where([False, False, True], np.log(value), value)

    step = 1e-6 * np.eye(3)
    gradient = np.column_stack([(at(model.coefficients + h) - at(model.coefficients - h)) / 2e-6 for h in step])
    want = np.sqrt(np.diag(gradient @ model.covariance @ gradient.T))
    got = interaction(model, "alc", "smk").tidy().set_index("term")["std_error"][measures]
    np.testing.assert_allclose(got, want, rtol=1e-7)


def test_mover_is_delta_in_large_samples():
    cells = 1e8 * np.array(ORAL_CANCER)
    delta, mover = (
        interaction(_logistic(cells), "alc", "smk", conf_method=m).tidy()[["conf_low", "conf_high"]].to_numpy()
        for m in ("delta", "mover")
    )
    np.testing.assert_allclose(mover, delta, rtol=1e-4)


def test_synergy_without_meaning_says_why():
    table = interaction(_logistic([(10, 10), (5, 10), (20, 10), (30, 10)]), "alc", "smk")
    row = table.tidy().set_index("term").loc["S"]
    assert row["estimate"] == pytest.approx((3 - 1) / (0.5 + 2 - 2))
    assert "alc lowers the risk" in str(table)
    row = (
        interaction(_logistic([(10, 10), (5, 10), (12, 10), (30, 10)]), "alc", "smk").tidy().set_index("term").loc["S"]
    )
    assert np.isnan(row["estimate"])
    assert row["reason"].startswith("joint excess 2 and sum of separate excesses -0.3")


@pytest.mark.parametrize("method", ["delta", "mover"])
def test_coverage_of_reri(method):
    rng = np.random.default_rng(1)
    odds, controls = np.array([0.05, 0.1, 0.1, 0.25]), np.array([4000, 1500, 1500, 800])
    truth = odds[3] / odds[0] - odds[1] / odds[0] - odds[2] / odds[0] + 1
    cases = rng.poisson(odds * controls, size=(400, 4))
    inside = 0
    for line in cases:
        row = interaction(_logistic(np.column_stack([line, controls])), "alc", "smk", conf_method=method)
        low, high = row.tidy().set_index("term").loc["RERI", ["conf_low", "conf_high"]]
        inside += low <= truth <= high
    # three standard errors of a share of 0.95 in 400
    assert inside / 400 == pytest.approx(0.95, abs=0.033)


def test_terms_are_found():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        {"a": rng.integers(0, 2, 500), "b": rng.choice(["no", "yes"], 500), "age": rng.normal(size=500)}
    )
    data["time"] = rng.exponential(1, 500)
    fit = cox("Surv(time, time < 2) ~ a * C(b) + age", data)
    by_column = interaction(fit, "a", "b")
    assert by_column.b == "C(b)[T.yes]"
    by_term = interaction(fit, "a", "C(b)[T.yes]", product="a:C(b)[T.yes]")
    pd.testing.assert_frame_equal(by_term.tidy(), by_column.tidy())
    swapped = interaction(fit, "b", "a").tidy().set_index("term")["estimate"]
    assert swapped["RERI"] == pytest.approx(by_term.tidy().set_index("term")["estimate"]["RERI"])
    with pytest.raises(PredictorError, match="no product of 'a' and 'age'; fit it with 'a \\* age'"):
        interaction(fit, "a", "age")
    with pytest.raises(PredictorError, match="a: no term 'aeg'; did you mean 'age'"):
        interaction(fit, "aeg", "b")
    with pytest.raises(PredictorError, match="'age' is not 0/1"):
        interaction(cox("Surv(time, time < 2) ~ a * age", data), "a", "age")
    with pytest.raises(OptionError, match="conf_method='movre' is not allowed"):
        interaction(fit, "a", "b", conf_method="movre")
