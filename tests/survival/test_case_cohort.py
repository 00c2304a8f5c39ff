"""Case-cohort fits: R's cch, the full cohort as a limit, properties and refusals."""

import numpy as np
import pandas as pd
import pytest

from dxa_causal._core.errors import CollinearityError, OptionError, OutcomeError, PredictorError
from dxa_causal.survival.case_cohort import case_cohort
from dxa_causal.survival.cox import cox

# Newton's last step in both programs leaves about 1e-10 of a standard error.
TIGHT = 1e-9

METHODS = {"Prentice": "prentice", "SelfPrentice": "self-prentice", "LinYing": "lin-ying", "II.Borgan": "borgan-ii"}
FORMULAS = {
    "nwtco": "Surv(edrel, rel) ~ C(stage) + C(histol) + years",
    "ties": "Surv(coarse, rel) ~ C(histol) + years",
    "age": "Surv(years, age_out, rel) ~ C(stage) + C(histol)",
}


@pytest.fixture(scope="module")
def expected(reference):
    return reference("survival/sampled_cohorts/expected.json")


@pytest.fixture(scope="module")
def cohort(frames):
    data = frames["nwtco"].rename(columns={"in.subcohort": "sub"})
    years = data["age"] / 12
    return data.assign(
        years=years,
        age_out=years + data["edrel"] / 365.25,
        coarse=np.ceil(data["edrel"] / 100),
        seventh=data["seqno"] % 7 == 0,
    )


@pytest.fixture(scope="module")
def sample(cohort):
    return cohort[(cohort["rel"] == 1) | cohort["sub"]]


def _agrees(fit, want):
    tidy = fit.tidy()
    terms = [t.replace("C(", "").replace(")[T.", "").replace("]", "") for t in tidy["term"]]
    assert terms == list(np.atleast_1d(want["terms"]))
    se = np.atleast_1d(want["se"])
    np.testing.assert_allclose(tidy["estimate"], want["coef"], rtol=TIGHT, atol=TIGHT * se.max())
    np.testing.assert_allclose(tidy["std_error"], se, rtol=TIGHT)
    np.testing.assert_allclose(fit.covariance, want["cov"], rtol=TIGHT, atol=TIGHT * se.max() ** 2)
    np.testing.assert_allclose(fit.covariance_sampling, want["sampling"], rtol=TIGHT, atol=TIGHT * se.max() ** 2)
    assert fit.n_cohort == want["n_cohort"]


@pytest.mark.parametrize("method", ["Prentice", "SelfPrentice", "LinYing"])
@pytest.mark.parametrize("case", FORMULAS)
def test_unstratified(case, method, sample, expected):
    fit = case_cohort(FORMULAS[case], sample, subcohort="sub", cohort_size=4028, method=METHODS[method], id="seqno")
    _agrees(fit, expected[f"{case}_{method}"])


@pytest.mark.parametrize("case", FORMULAS)
def test_robust_lin_ying(case, sample, expected):
    fit = case_cohort(FORMULAS[case], sample, subcohort="sub", cohort_size=4028, method="lin-ying", robust=True)
    _agrees(fit, expected[f"{case}_LinYing_robust"])


@pytest.mark.parametrize("case", FORMULAS)
def test_borgan(case, cohort, sample, expected):
    size = cohort["instit"].value_counts().to_dict()
    options = {"subcohort": "sub", "cohort_size": size, "method": "borgan-ii", "strata": "instit"}
    _agrees(case_cohort(FORMULAS[case], sample, **options), expected[f"{case}_II.Borgan"])


@pytest.mark.parametrize("method", ["Prentice", "SelfPrentice", "LinYing", "II.Borgan"])
def test_another_subcohort(method, cohort, expected):
    sample = cohort[(cohort["rel"] == 1) | cohort["seventh"]]
    options = {"subcohort": "seventh", "cohort_size": 4028, "method": METHODS[method]}
    formula = "Surv(edrel, rel) ~ C(stage) + C(histol)"
    if method == "II.Borgan":
        formula = "Surv(edrel, rel) ~ C(histol) + years"
        options |= {"cohort_size": cohort["stage"].value_counts().to_dict(), "strata": "stage"}
    _agrees(case_cohort(formula, sample, **options), expected[f"seventh_{method}"])


@pytest.mark.parametrize("method", ["Prentice", "SelfPrentice"])
def test_events_after_the_last_member_left(method, cohort, expected):
    data = cohort.assign(short=cohort["seventh"] & (cohort["edrel"] < 1000))
    sample = data[(data["rel"] == 1) | data["short"]]
    options = {"subcohort": "short", "cohort_size": 4028, "method": METHODS[method]}
    _agrees(case_cohort("Surv(edrel, rel) ~ C(histol) + years", sample, **options), expected[f"short_{method}"])


@pytest.mark.parametrize("method", ["prentice", "self-prentice"])
def test_events_before_the_first_member_came_say_nothing(method):
    rng = np.random.default_rng(1)
    late = pd.DataFrame({"start": rng.uniform(1, 3, 60), "x": rng.normal(size=60), "sub": 1})
    late = late.assign(stop=late["start"] + rng.exponential(3, 60), died=rng.integers(0, 2, 60))
    early = pd.DataFrame({"start": 0.0, "x": [1.0, -1, 2], "sub": 0, "stop": [0.5, 0.7, 0.9], "died": 1})
    options = {"subcohort": "sub", "cohort_size": 300, "method": method}
    one = case_cohort("Surv(start, stop, died) ~ x", late, **options)
    two = case_cohort("Surv(start, stop, died) ~ x", pd.concat([late, early], ignore_index=True), **options)
    np.testing.assert_allclose([two.coefficients, two.std_error], [one.coefficients, one.std_error], rtol=1e-9)


@pytest.mark.parametrize("method", METHODS.values())
def test_subcohort_of_everyone_is_the_cohort(method, cohort):
    data = cohort.assign(everyone=1)
    strata = "instit" if method == "borgan-ii" else None
    size = data["instit"].value_counts().to_dict() if strata else len(data)
    formula = "Surv(edrel, rel) ~ C(histol) + years"
    fit = case_cohort(formula, data, subcohort="everyone", cohort_size=size, method=method, strata=strata)
    # the event rows of Self and Prentice never share a risk set: ties are Breslow's there
    ties = "breslow" if method == "self-prentice" else "efron"
    full = cox(formula, data, ties=ties)
    np.testing.assert_allclose(fit.coefficients, full.coefficients, rtol=TIGHT)
    if method != "prentice":
        np.testing.assert_allclose(fit.covariance, full.covariance, rtol=TIGHT)
    np.testing.assert_allclose(fit.covariance_sampling, 0.0, atol=1e-15)


@pytest.mark.parametrize("method", ["prentice", "self-prentice"])
def test_robust_of_prentice_is_the_sandwich_by_person(method, cohort):
    data = cohort.assign(everyone=1)
    formula = "Surv(edrel, rel) ~ C(histol) + years"
    fit = case_cohort(formula, data, subcohort="everyone", cohort_size=len(data), method=method, robust=True)
    np.testing.assert_allclose(fit.covariance, cox(formula, data, ties="breslow", robust=True).covariance, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS.values())
def test_order_and_unit_do_not_matter(method, cohort, sample):
    strata = "instit" if method == "borgan-ii" else None
    size = cohort["instit"].value_counts().to_dict() if strata else 4028
    options = {"subcohort": "sub", "cohort_size": size, "method": method, "strata": strata}
    fit = case_cohort("Surv(edrel, rel) ~ C(histol) + years", sample, **options)
    mixed = sample.sample(frac=1, random_state=1).assign(edrel=lambda d: d["edrel"] / 365.25)
    again = case_cohort("Surv(edrel, rel) ~ C(histol) + years", mixed, **options)
    np.testing.assert_allclose(again.coefficients, fit.coefficients, rtol=1e-9)
    np.testing.assert_allclose(again.covariance, fit.covariance, rtol=1e-9)


def test_missing_rows_are_counted(sample):
    data = sample.astype({"years": float})
    data.loc[data.index[:5], "years"] = np.nan
    fit = case_cohort("Surv(edrel, rel) ~ years", data, subcohort="sub", cohort_size=4000)
    assert fit.provenance.n_dropped == 5
    assert fit.provenance.missing == {"years": 5}


def test_refusals(cohort, sample):
    def fit(data=sample, formula="Surv(edrel, rel) ~ years", **options):
        return case_cohort(formula, data, **{"subcohort": "sub", "cohort_size": 4028} | options)

    with pytest.raises(OutcomeError, match=r"2874 rows are neither cases nor in the subcohort 'sub', first row"):
        fit(cohort)
    with pytest.raises(OutcomeError, match="no event"):
        fit(sample[sample["rel"] == 0])
    with pytest.raises(OptionError, match="cohort_size: the cohort has 1154 rows, more than its size of 100"):
        fit(cohort_size=100)
    with pytest.raises(OptionError, match=r"cohort_size must give the size of each stratum of 'instit': 1, 2"):
        fit(method="borgan-ii", strata="instit")
    for wrong in (4028.5, "4028", None, [4028]):
        with pytest.raises(
            OptionError, match="cohort_size: the size of the cohort, .* must be a whole number of persons"
        ):
            fit(cohort_size=wrong)
    with pytest.raises(OptionError, match="the size of stratum 2, 1000.5, must be"):
        fit(method="borgan-ii", strata="instit", cohort_size={1: 3500, 2: 1000.5})
    assert fit(cohort_size=np.int64(4028)).provenance.call == fit(cohort_size=4028.0).provenance.call
    with pytest.raises(OptionError, match="needs strata="):
        fit(method="borgan-ii")
    with pytest.raises(OptionError, match="only method='borgan-ii' has"):
        fit(strata="instit")
    with pytest.raises(OptionError, match="did you mean 'prentice'"):
        fit(method="prentise")
    with pytest.raises(OutcomeError, match=r"id='instit': 1152 rows repeat a person"):
        fit(id="instit")
    with pytest.raises(PredictorError, match="subcohort='stage' must be 0/1 or True/False, but holds"):
        fit(subcohort="stage")
    with pytest.raises(CollinearityError, match="'twice' is"):
        fit(sample.assign(twice=2 * sample["years"]), "Surv(edrel, rel) ~ years + twice")


def test_takes_polars(sample):
    import polars as pl

    options = {"subcohort": "sub", "cohort_size": 4028}
    ours = case_cohort("Surv(edrel, rel) ~ years", pl.from_pandas(sample), **options)
    pd.testing.assert_frame_equal(ours.tidy(), case_cohort("Surv(edrel, rel) ~ years", sample, **options).tidy())


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("method", METHODS.values())
def test_coverage(method, robust):
    rng, inside = np.random.default_rng(1), []
    for _ in range(200):
        data = pd.DataFrame({"x": rng.normal(size=1500), "g": rng.integers(0, 2, 1500)})
        event = rng.exponential(150 * np.exp(-0.5 * data["x"]))
        censoring = rng.uniform(2, 15, 1500)
        data = data.assign(time=np.minimum(event, censoring), died=event <= censoring)
        strata = "g" if method == "borgan-ii" else None
        chosen = np.concatenate([rng.choice(data.index[data["g"] == g], 120, replace=False) for g in (0, 1)])
        if strata is None:
            chosen = rng.choice(1500, 240, replace=False)
        data = data.assign(sub=data.index.isin(chosen))
        size = data["g"].value_counts().to_dict() if strata else 1500
        sample = data[data["sub"] | data["died"]]
        options = {"subcohort": "sub", "cohort_size": size, "method": method, "strata": strata, "robust": robust}
        row = case_cohort("Surv(time, died) ~ x", sample, **options).tidy().iloc[0]
        inside.append(row["conf_low"] <= 0.5 <= row["conf_high"])
    # three standard errors of a share of 0.95 in 200
    assert np.mean(inside) == pytest.approx(0.95, abs=0.047)
