"""Attributable fractions against their definition, derivatives taken numerically, and the bootstrap."""

import numpy as np
import pandas as pd
import pytest

from dxa_causal._core.errors import ColumnNotFoundError, OptionError
from dxa_causal._core.warnings import HorizonWarning
from dxa_causal.survival.attributable import attributable_fraction
from dxa_causal.survival.cox import cox

TIMES = [3.0, 6.0, 9.0]


def _cohort(n=24, seed=1, digits=0, entry=False):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"smoker": rng.integers(0, 2, n), "age": rng.normal(size=n), "site": rng.integers(0, 2, n)})
    event = rng.exponential(8 * np.exp(-0.9 * data["smoker"] - 0.4 * data["age"]))
    censoring = rng.uniform(2, 14, n)
    data["start"] = rng.integers(0, 3, n).astype(float) if entry else 0.0
    data["time"] = data["start"] + np.maximum(np.round(np.minimum(event, censoring), digits), 1)
    data["died"] = (event <= censoring).astype(int)
    return data.assign(w=1 + (np.arange(n) % 3) / 4, person=np.arange(n) // 2)


def _by_definition(data, weight, formula, **options):
    """The fractions, of the rate and of the risks, from predictions of the public functions."""
    data = data.assign(weight=weight)
    fit = cox(formula, data, weights="weight", robust=False, **options)
    without = data.assign(smoker=0)
    log_hr = fit.tidy().set_index("term")["estimate"]["smoker"]
    cases = weight * data["died"]
    fractions = [1 - np.sum(cases * np.exp(-log_hr * data["smoker"])) / cases.sum()]
    for t in TIMES:
        means = [
            np.average(fit.predict(d, type="survival", times=[t])["estimate"], weights=weight) for d in (data, without)
        ]
        fractions.append(1 - (1 - means[1]) / (1 - means[0]))
    return np.array(fractions)


CASES = {
    "efron": ({}, {}),
    "breslow": ({}, {"ties": "breslow"}),
    "no ties": ({"digits": 9}, {}),
    "entry": ({"entry": True}, {}),
    "strata": ({"entry": True}, {"strata": "site"}),
}


@pytest.mark.parametrize(
    ("case", "weighted"), [(c, False) for c in CASES] + [(c, True) for c in ("efron", "breslow", "strata")]
)
def test_estimate_and_numerical_influence(case, weighted):
    shape, options = CASES[case]
    data = _cohort(**shape)
    formula = f"Surv({'start, ' if shape.get('entry') else ''}time, died) ~ smoker + age"
    weight = data["w"].to_numpy() if weighted else np.ones(len(data))
    fit = cox(formula, data, weights="w" if weighted else None, **options)
    got = [attributable_fraction(fit, exposure="smoker", times=t).tidy() for t in (None, TIMES)]
    want = _by_definition(data, weight, formula, **options)
    np.testing.assert_allclose(np.concatenate([g["estimate"] for g in got]), want, rtol=1e-9)
    step, total = 1e-4, np.zeros(want.size)
    for i in range(len(data)):
        up, down = weight.copy(), weight.copy()
        up[i] *= 1 + step
        down[i] *= 1 - step
        ends = [_by_definition(data, w, formula, **options) for w in (up, down)]
        total += ((ends[0] - ends[1]) / (2 * step)) ** 2
    # central differences of step h are exact to h^2
    np.testing.assert_allclose(np.concatenate([g["std_error"] for g in got]), np.sqrt(total), rtol=1e-5)


def test_of_the_rate_is_miettinen_for_one_binary_exposure():
    data = _cohort(200)
    fit = cox("Surv(time, died) ~ smoker", data)
    exposed = data.loc[data["died"] == 1, "smoker"].mean()
    row = attributable_fraction(fit, exposure="smoker").tidy().iloc[0]
    assert row["estimate"] == pytest.approx(exposed * (1 - np.exp(-fit.coefficients[0])), rel=1e-12)


def test_clusters_add_up():
    data = _cohort(200)
    twice = pd.concat([data, data]).assign(person=lambda d: np.tile(np.arange(200), 2))
    one = attributable_fraction(cox("Surv(time, died) ~ smoker + age", data, ties="breslow"), exposure="smoker")
    fit = cox("Surv(time, died) ~ smoker + age", twice, ties="breslow", cluster="person")
    two = attributable_fraction(fit, exposure="smoker")
    np.testing.assert_allclose(two.tidy().iloc[0, 1:5].tolist(), one.tidy().iloc[0, 1:5].tolist(), rtol=1e-9)


def test_bootstrap_agrees():
    data = _cohort(400, digits=9)
    formula = "Surv(time, died) ~ smoker + age"
    got = attributable_fraction(cox(formula, data), exposure="smoker", times=TIMES).tidy()
    rng, drawn = np.random.default_rng(1), []
    for _ in range(200):
        again = data.iloc[rng.integers(0, len(data), len(data))].reset_index(drop=True)
        drawn.append(attributable_fraction(cox(formula, again), exposure="smoker", times=TIMES).tidy()["estimate"])
    # the standard deviation of 200 draws has an error of 5 %
    np.testing.assert_allclose(np.std(drawn, axis=0), got["std_error"], rtol=0.15)


def test_words_as_exposure():
    data = _cohort(200).assign(smoking=lambda d: np.where(d["smoker"] == 1, "now", "never"))
    words = attributable_fraction(
        cox("Surv(time, died) ~ C(smoking)", data), exposure="smoking", reference="never", times=[5]
    )
    numbers = attributable_fraction(cox("Surv(time, died) ~ smoker", data), exposure="smoker", times=[5])
    np.testing.assert_allclose(words.remaining, numbers.remaining, rtol=1e-10)
    np.testing.assert_allclose(words.log_std_error, numbers.log_std_error, rtol=1e-10)


def test_refusals():
    data = _cohort(200)
    fit = cox("Surv(time, died) ~ smoker + age", data)
    with pytest.raises(ColumnNotFoundError, match="did you mean 'smoker'"):
        attributable_fraction(fit, exposure="smoke")
    with pytest.raises(OptionError, match="needs a fit of survival.cox"):
        attributable_fraction(data, exposure="smoker")
    with pytest.raises(OptionError, match="ties='exact'"):
        attributable_fraction(cox("Surv(time, died) ~ smoker", data, ties="exact"), exposure="smoker")
    with pytest.raises(OptionError, match="a ridge"):
        attributable_fraction(cox("Surv(time, died) ~ smoker", data, ridge=1.0), exposure="smoker")
    with pytest.raises(OptionError, match="exposure must be the name of a column"):
        attributable_fraction(fit, exposure=["smoker"])
    with pytest.warns(HorizonWarning, match="time 99"):
        attributable_fraction(fit, exposure="smoker", times=[99])
    before = attributable_fraction(fit, exposure="smoker", times=[0.5]).tidy().iloc[0]
    assert np.isnan(before["estimate"])
    assert before["reason"] == "no event up to this time"


def test_a_reference_must_have_been_observed():
    data = _cohort(200).assign(age=lambda d: 60 + 8 * d["age"], sex=np.where(np.arange(200) % 2, "m", "f"))
    fit = cox("Surv(time, died) ~ age + sex + smoker + C(site)", data)
    with pytest.raises(OptionError, match=r"reference=0 was never observed: 'age' lies between \d\d.* and \d\d"):
        attributable_fraction(fit, exposure="age")
    with pytest.raises(OptionError, match="reference='x' was never observed: 'age' lies"):
        attributable_fraction(fit, exposure="age", reference="x")
    with pytest.raises(OptionError, match="'sex', which holds 'f', 'm'; say .*: reference='f'"):
        attributable_fraction(fit, exposure="sex")
    with pytest.raises(OptionError, match="reference=0.5 was never observed in 'site', which holds 0, 1"):
        attributable_fraction(fit, exposure="site", reference=0.5)
    for exposure, reference in (("age", 60), ("sex", "f"), ("site", 0), ("smoker", 1)):
        attributable_fraction(fit, exposure=exposure, reference=reference)
    yes = cox("Surv(time, died) ~ smoker", data.astype({"smoker": bool}))
    assert attributable_fraction(yes, exposure="smoker").remaining == pytest.approx(
        attributable_fraction(yes, exposure="smoker", reference=False).remaining
    )
