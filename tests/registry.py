"""Every kind of result the package returns, made on small data: tests of what all share go over this list."""

from pathlib import Path

import numpy as np
import pandas as pd

import dxa_causal as dc


def _cohort():
    cohort = dc.datasets.load("nhanes_mortality").query("age >= 60")
    return cohort.dropna(subset=["grip_kg", "bmi"]).head(800).reset_index(drop=True)


def _weighted():
    data = dc.datasets.load("nhefs").dropna(subset=["wt82_71"])
    return data, dc.propensity.weight("qsmk ~ sex + age + wt71", data)


def _harmonised():
    return dc.mr.harmonise(dc.datasets.load("bmi_gwas"), dc.datasets.load("chd_gwas"))


def _back():
    """Other variants, of the outcome, and their effects on the exposure."""
    rng = np.random.default_rng(4)
    x = rng.normal(0.1, 0.03, 20)
    return dc.mr.Harmonised.from_arrays(
        beta_exposure=x, se_exposure=np.full(20, 0.01), beta_outcome=0.02 * rng.standard_normal(20),
        se_outcome=np.full(20, 0.02),
    )  # fmt: skip


def _scanned():
    outcome = dc.datasets.load("chd_gwas")
    exposures = dc.datasets.load("bmi_gwas").assign(exposure=lambda d: np.where(np.arange(len(d)) % 2, "a", "b"))
    return dc.mr.scan(exposures, {"CHD": outcome}, ["ivw", "egger"], seed=1)


def _clumped():
    panel = Path(__file__).parent / "reference" / "genotypes" / "eur"
    ids = [line.split()[1] for line in Path(f"{panel}.bim").read_text().splitlines()]
    p = 10.0 ** -(10 * (0.6180339887 * np.arange(1, len(ids) + 1) % 1))
    return dc.genotypes.clump(pd.DataFrame({"variant": ids, "p_value": p}), panel, p1=1e-4, r2=0.1, kb=250)


def _region():
    """Two traits with one causal variant of 20, and the correlations of the variants."""
    rng = np.random.default_rng(5)
    r = 0.6 ** np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
    names = [f"rs{i}" for i in range(20)]
    traits = [
        pd.DataFrame(
            {
                "variant": names, "effect_allele": "A", "other_allele": "G", "se": 0.0141, "n": 5000, "type": "quant",
                "sdY": 1.0, "beta": 0.12 * r[7] + 0.0141 * np.linalg.cholesky(r) @ rng.standard_normal(20),
            }
        )
        for _ in range(2)
    ]  # fmt: skip
    return *traits, pd.DataFrame(r, index=names, columns=names)


def _studies():
    """Two GWAS of 4000 variants that share an architecture, and LD scores."""
    rng = np.random.default_rng(4)
    scores = rng.uniform(1, 60, 4000)
    effect = rng.standard_normal(4000) * np.sqrt(0.4 * scores * 50_000 / (4000 * scores.mean() * 20))
    common = {"variant": [f"rs{i}" for i in range(4000)], "effect_allele": "A", "other_allele": "C", "n": 50_000}
    one, two = (
        pd.DataFrame({**common, "beta": 0.005 * (share * effect + rng.standard_normal(4000)), "se": 0.005})
        for share in (1.0, 0.6)
    )
    return one, two, pd.DataFrame({"SNP": common["variant"], "L2": scores})


def _people():
    rng = np.random.default_rng(4)
    z, cause = rng.standard_normal((2, 3000))
    x = 12 + 0.8 * z + cause + rng.standard_normal(3000)
    return pd.DataFrame({"z": z, "x": x, "y": 0.1 * x + cause + rng.standard_normal(3000)})


def _noisy():
    rng = np.random.default_rng(1)
    b = np.where(rng.random(250) < 0.3, rng.normal(0, 0.05, 250), 0.0)
    x, y = b + 0.01 * rng.standard_normal(250), 0.4 * b + 0.01 * rng.standard_normal(250)
    se = np.full(250, 0.01)
    return dc.mr.Harmonised.from_arrays(beta_exposure=x, se_exposure=se, beta_outcome=y, se_outcome=se)


def _repeats():
    """Forty people scanned twice, half of them on each of two devices."""
    rng = np.random.default_rng(6)
    person = np.repeat(np.arange(40), 2)
    columns = {"subject_id": person, "device_id": np.where(person % 2, "a", "b"), "repeat": np.tile([1, 2], 40)}
    noise = rng.standard_normal((2, 80))
    bmd, fat = rng.normal(0.7, 0.1, 40)[person], rng.normal(0.3, 0.05, 40)[person]
    return pd.DataFrame({**columns, "bmd": bmd + 0.01 * noise[0], "fat": fat + 0.01 * noise[1]})


def _two_devices():
    means = _repeats().groupby(["subject_id", "repeat"])["bmd"].mean().unstack()
    return means[1], 0.05 + 1.1 * means[2]


def _phantom():
    values = np.random.default_rng(7).normal(1.0, 0.004, 60) + 0.01 * (np.arange(60) >= 40)
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=60, freq="7D"), "ha": values})


def _sites():
    rng = np.random.default_rng(8)
    site = np.arange(60) % 3
    table = pd.DataFrame(rng.standard_normal((60, 4)) * (1 + site[:, None] / 4) + site[:, None], columns=list("abcd"))
    return table.assign(site=np.array(["x", "y", "z"])[site], age=rng.normal(60, 8, 60))


def _cox(**options):
    return dc.survival.cox("Surv(time, died) ~ age + C(sex) + grip_kg", _cohort(), **options)


def _competing():
    cohort = _cohort()
    return cohort.assign(cause=cohort["died"] * (1 + (cohort["grip_kg"] > 30)))


def _mean_difference():
    data, ps = _weighted()
    return dc.propensity.mean_difference("wt82_71", ps, data)


def _visits():
    """Start-stop rows of 40 people with events that happen again and, for some, death."""
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 3)
    stop = rng.gamma(2.0, size=(40, 3)).cumsum(axis=1).ravel()
    start = np.where(np.arange(120) % 3 == 0, 0.0, np.roll(stop, 1))
    event, died = rng.integers(0, 2, 120), rng.integers(0, 2, 120) * (np.arange(120) % 3 == 2)
    columns = {"id": person, "start": start, "stop": stop, "event": event, "died": died}
    return pd.DataFrame(columns).assign(arm=person % 2, age=50.0 + rng.normal(size=40)[person])


def _moves():
    """The visits as moves to illness (1) and death (2)."""
    return _visits().assign(state=lambda d: np.where(d["died"] == 1, 2, d["event"]))


def _seen():
    """The visits as what is seen at them."""
    return _visits().assign(state=lambda d: 1 + d["event"])


def _subcohort():
    cohort = _cohort().assign(sub=np.random.default_rng(1).random(800) < 0.3)
    return cohort[cohort["sub"] | cohort["died"].astype(bool)]


def _matched():
    return dc.survival.sample_controls("Surv(time, died)", _cohort(), m=2, seed=1)


def _weak():
    cohort = _cohort()
    return cohort.assign(weak=(cohort["grip_kg"] < 28).astype(int), old=(cohort["age"] >= 70).astype(int))


def _standardised(kind):
    value = {"smr": "rate", "rate": "population"}[kind]
    table = pd.DataFrame({"sex": ["female", "male"], value: [0.03, 0.05]})
    if kind == "smr":
        return dc.survival.smr("Surv(time, died) ~ old", _weak(), rates=table)
    return dc.survival.standardised_rate("Surv(time, died) ~ old", _weak(), standard=table)


def _features():
    rng = np.random.default_rng(1)
    x = pd.DataFrame(rng.normal(size=(60, 4)), columns=["a", "b", "c", "d"])
    return x, x["a"] + rng.normal(size=60)


def _illness_death(**options):
    people = dc.simulate.illness_death_cohort(250, seed=1)
    onset = "Surv(last_free_age, first_seen_age, type='interval')"
    death = "Surv(age_entry, age_end, died)"
    return dc.survival.illness_death(ill=onset, death=death, covariates="C(sex) + grip_z", data=people, **options)


def _halves():
    """Two models made on one half of the cohort, and the other half."""
    cohort = _cohort()
    one = dc.survival.cox("Surv(time, died) ~ age", cohort.iloc[::2])
    two = dc.survival.cox("Surv(time, died) ~ age + grip_kg", cohort.iloc[::2])
    return {"age": one, "with grip": two}, cohort.iloc[1::2]


def _make(frame):
    return dc.survival.cox("Surv(time, died) ~ age + grip_kg", frame)


def _binary():
    cohort = _cohort()
    return cohort, {"age": cohort["age"] / 100, "grip": 0.5 - cohort["grip_kg"] / 200}


def _imputed():
    cohort = _cohort()
    cohort["grip_kg"] = cohort["grip_kg"].mask(cohort.index % 4 == 0)
    return dc.imputation.chained(cohort, "Surv(time, died) ~ age + C(sex) + grip_kg", m=3, seed=1)


ONSET = "Surv(left, right, type='interval')"


def _onsets():
    """150 people seen twice; half of those who fall ill do so between the visits."""
    rng = np.random.default_rng(4)
    arm, x = rng.integers(0, 2, 150), rng.normal(size=150)
    onset, first = rng.exponential(2.0, 150) * np.exp(-0.5 * arm), rng.uniform(0.5, 1.5, 150)
    second = first + rng.uniform(0.5, 1.5, 150)
    left = np.where(onset > second, second, np.where(onset > first, first, 0.0))
    right = np.where(onset > second, np.inf, np.where(onset > first, second, first))
    return pd.DataFrame({"left": left, "right": right, "arm": arm, "x": x})


def _two_exposures():
    rng = np.random.default_rng(4)
    x = rng.normal(0.0, 0.1, (20, 2))
    return dc.mr.MultivariableHarmonised.from_arrays(
        beta_exposures=x, se_exposures=np.full((20, 2), 0.01),
        beta_outcome=x @ [0.3, -0.2] + 0.02 * rng.standard_normal(20), se_outcome=np.full(20, 0.02),
    )  # fmt: skip


RESULTS = {
    "imputations": _imputed,
    "pooled": lambda: dc.imputation.pool(_imputed(), lambda d: dc.survival.cox("Surv(time, died) ~ age + grip_kg", d)),
    "selectors": lambda: dc.selection.compare({"lasso": dc.selection.ElasticNetSelector(cv=3)}, *_features(), cv=3),
    "cox": _cox,
    "cox robust": lambda: _cox(robust=True),
    "cox stratified": lambda: dc.survival.cox("Surv(time, died) ~ age + grip_kg", _cohort(), strata="sex"),
    "cox ridge": lambda: _cox(ridge=2.0),
    "cox firth": lambda: _cox(firth=True),
    "cox exact": lambda: _cox(ties="exact"),
    "cox function of time": lambda: _cox(time_varying={"age": "log(t + 1)"}),
    "cox bootstrap": lambda: dc.survival.bootstrap(_cox(), n_resamples=60, seed=1),
    "proportional hazards": lambda: dc.survival.ph_test(_cox()),
    "anova": lambda: dc.survival.anova(_cox()),
    "permutation importance": lambda: dc.survival.permutation_importance(
        dc.survival.CoxNet(lambdas=[0.01]),
        _cohort()[["age", "grip_kg"]],
        dc.survival.survival_outcome("Surv(time, died)", _cohort()),
        cv=3,
        seed=1,
    ),
    "concordance comparison": lambda: dc.survival.concordance([_cox(), _cox(ridge=50.0)]),
    "dose-response": lambda: dc.survival.dose_response(
        dc.survival.cox("Surv(time, died) ~ age + rcs(grip_kg, 4)", _cohort()), "grip_kg", reference=30
    ),
    "frailty": lambda: dc.survival.cox_frailty(
        "Surv(time, died) ~ age + C(sex)", _cohort(), frailty="race_ethnicity", theta=0.2
    ),
    "aalen": lambda: dc.survival.aalen_additive("Surv(time, died) ~ age + C(sex) + grip_kg", _cohort(), max_time=4),
    "illness-death": _illness_death,
    "illness-death splines": lambda: _illness_death(hazards="splines", knots=5, penalty=1e5),
    "lin-ying": lambda: dc.survival.lin_ying("Surv(time, died) ~ age + C(sex) + grip_kg", _cohort()),
    "recurrent": lambda: dc.survival.recurrent("Surv(start, stop, event) ~ arm + age", _visits(), id="id"),
    "recurrent by event": lambda: dc.survival.recurrent(
        "Surv(start, stop, event) ~ arm", _visits(), id="id", model="pwp-gap", by_event=True, max_events=2
    ),
    "mean cumulative": lambda: dc.survival.mean_cumulative(
        "Surv(start, stop, event) ~ arm", _visits(), id="id", death="died"
    ),
    "multi-state": lambda: dc.survival.multi_state("Surv(start, stop, state) ~ arm + age", _moves(), id="id"),
    "state occupation": lambda: dc.survival.state_occupation("Surv(start, stop, state) ~ arm", _moves(), id="id"),
    "panel markov": lambda: dc.survival.panel_markov(
        _seen(), state="state", time="stop", id="id", transitions={1: [2], 2: [1]}, covariates="arm"
    ),
    "kaplan-meier": lambda: dc.survival.kaplan_meier("Surv(time, died) ~ sex", _cohort()),
    "nelson-aalen": lambda: dc.survival.nelson_aalen("Surv(time, died) ~ sex", _cohort()),
    "aalen-johansen": lambda: dc.survival.aalen_johansen("Surv(time, cause) ~ sex", _competing()),
    "fine-gray": lambda: dc.survival.fine_gray("Surv(time, cause) ~ age + bmi", _competing(), cause=1),
    "cause-specific": lambda: dc.survival.cause_specific("Surv(time, cause) ~ age + bmi", _competing(), cause=1),
    "cause-specific, all": lambda: dc.survival.cause_specific("Surv(time, cause) ~ age + bmi", _competing()),
    "person-years": lambda: dc.survival.person_years(
        "Surv(time, died) ~ sex", _cohort(), scales={"age band": ("age", [65, 70, 75, 80])}
    ),
    "rate ratio": lambda: dc.survival.rate_ratio("Surv(time, died) ~ sex", _cohort()),
    "rate ratio pooled": lambda: dc.survival.rate_ratio("Surv(time, died) ~ sex", _weak(), strata="old"),
    "smr": lambda: _standardised("smr"),
    "standardised rate": lambda: _standardised("rate"),
    "interaction": lambda: dc.survival.interaction(
        dc.survival.cox("Surv(time, died) ~ weak * old", _weak()), "weak", "old"
    ),
    "attributable fraction": lambda: dc.survival.attributable_fraction(
        dc.survival.cox("Surv(time, died) ~ weak + age", _weak()), exposure="weak"
    ),
    "attributable fraction in time": lambda: dc.survival.attributable_fraction(
        dc.survival.cox("Surv(time, died) ~ weak + age", _weak()), exposure="weak", times=[1, 3]
    ),
    "parametric": lambda: dc.survival.parametric(
        "Surv(time, died) ~ age + C(sex)", _cohort().query("time > 0"), distribution="loglogistic"
    ),
    "parametric odds": lambda: dc.survival.parametric(
        "Surv(time, died) ~ age", _cohort().query("time > 0"), parameterisation="po", strata="sex"
    ),
    "royston-parmar": lambda: dc.survival.royston_parmar(
        "Surv(time, died) ~ age + C(sex)", _cohort().query("time > 0"), knots=1
    ),
    "distributions": lambda: dc.survival.compare_distributions(
        "Surv(time, died) ~ age", _cohort().query("time > 0"), distributions=["weibull", "lognormal"]
    ),
    "turnbull": lambda: dc.survival.turnbull(f"{ONSET} ~ arm", _onsets()),
    "turnbull bootstrap": lambda: dc.survival.turnbull(
        f"{ONSET} ~ 1", _onsets(), std_error="bootstrap", n_resamples=20, seed=1
    ),
    "interval cox": lambda: dc.survival.interval_cox(f"{ONSET} ~ arm + x", _onsets()),
    "interval cox odds": lambda: dc.survival.interval_cox(f"{ONSET} ~ arm + x", _onsets(), model="po"),
    "interval cox bootstrap": lambda: dc.survival.interval_cox(
        f"{ONSET} ~ arm + x", _onsets(), std_error="bootstrap", n_resamples=20, seed=1
    ),
    "case-cohort": lambda: dc.survival.case_cohort(
        "Surv(time, died) ~ age + C(sex)", _subcohort(), subcohort="sub", cohort_size=800
    ),
    "nested case-control": lambda: dc.survival.nested_case_control(
        "case ~ age + C(sex)", _matched(), matched_set="matched_set"
    ),
    "concordance": lambda: dc.survival.concordance(_cox()),
    "rmst": lambda: dc.survival.rmst("Surv(time, died) ~ sex", _cohort()),
    "rmst adjusted": lambda: dc.survival.rmst("Surv(time, died) ~ sex + age", _cohort()),
    "pseudo regression": lambda: dc.survival.pseudo_regression("Surv(time, died) ~ age + C(sex)", _cohort(), times=3),
    "cross-validation": lambda: dc.survival.cross_validate(
        {"age": "Surv(time, died) ~ age", "grip": "Surv(time, died) ~ age + grip_kg"}, _cohort(), seed=1
    ),
    "evaluation": lambda: dc.survival.evaluate(
        {"age": _cox(), "weak": "grip_risk"}, _cohort().assign(grip_risk=lambda d: 1 / (1 + d["grip_kg"] / 10)), [2, 4]
    ),
    "calibration": lambda: dc.survival.calibration(*_halves(), horizon=3),
    "calibration binary": lambda: dc.survival.calibration(
        _binary()[1], outcome=_binary()[0]["died"], n_resamples=8, seed=1
    ),
    "d-calibration": lambda: dc.survival.d_calibration(*_halves()),
    "decision curve": lambda: dc.survival.decision_curve(*_halves(), horizon=3, thresholds=[0.05, 0.1, 0.2]),
    "reclassification": lambda: dc.survival.reclassification(*_halves(), horizon=3, cuts=[0.05, 0.1]),
    "delong": lambda: dc.survival.delong("died", _binary()[1], data=_binary()[0]),
    "royston d": lambda: dc.survival.royston_d(_cox()),
    "optimism": lambda: dc.survival.optimism(_make, _cohort(), 3, n_resamples=4, seed=1),
    "nested cross-validation": lambda: dc.survival.nested_cross_validation(
        {"cox": _make}, _cohort(), 3, outcome="Surv(time, died)", folds=2, seed=1
    ),
    "internal-external": lambda: dc.survival.internal_external(_make, _cohort(), 3, site="sex"),
    "subgroups": lambda: dc.survival.evaluate_subgroups(*_halves(), 3, by=["sex"]),
    "propensity": lambda: _weighted()[1],
    "mean difference": _mean_difference,
    "mr": lambda: dc.mr.estimate(_harmonised(), seed=1),
    "mvmr": lambda: dc.mr.mvmr(_two_exposures(), ["ivw", "egger", "residual"]),
    "mr_mediation": lambda: dc.mr.mediation(*[_harmonised()] * 3, seed=1, n_draws=200),
    "mr_bidirectional": lambda: dc.mr.bidirectional(_harmonised(), _back(), "ivw"),
    "mr_scan": _scanned,
    "clump": _clumped,
    "mr_overlap": lambda: dc.mr.overlap(*_studies()[:2], ldscores=_studies()[2], n_reference=4000, n_blocks=20),
    "mr_overlap_correction": lambda: dc.mr.overlap_correction(
        _harmonised(), h2=0.2, h2_se=0.02, error_correlation=0.1, error_correlation_se=0.01, n_draws=100, seed=1
    ),
    "mr_three_sample": lambda: dc.mr.three_sample(*_studies()[:2], _studies()[1], p1=0.01),
    "mr_nonlinear": lambda: dc.mr.nonlinear("y ~ 1", _people(), exposure="x", instrument="z"),
    "mr_cause": lambda: dc.mr.cause(_noisy(), error_correlation=0.0, n_draws=100, n_tune=100, n_chains=2, seed=1),
    "mr_mix": lambda: dc.mr.mix(_harmonised()),
    "mr_grapple": lambda: dc.mr.grapple(_two_exposures()),
    "mr_bma": lambda: dc.mr.bma(_two_exposures()),
    "mr_shrink": lambda: dc.mr.shrink(dc.datasets.load("bmi_gwas")),
    "mr_coloc": lambda: dc.mr.coloc_abf(*_region()[:2]),
    "mr_finemap": lambda: dc.mr.finemap_abf(_region()[0]),
    "mr_susie": lambda: dc.mr.susie(_region()[0], ld=_region()[2]),
    "mr_coloc_susie": lambda: dc.mr.coloc_susie(*_region()[:2], ld=_region()[2]),
    "mr_hyprcoloc": lambda: dc.mr.hyprcoloc(list(_region()[:2])),
    "mr_smr": lambda: dc.mr.smr(*_region()[:2], ld=_region()[2]),
    "mr_ld_check": lambda: dc.mr.ld_check(_region()[0], _region()[2]),
    "mr_presso several": lambda: dc.mr.presso(_two_exposures(), n_draws=200, seed=1),
    "mr_presso": lambda: dc.mr.presso(_harmonised(), n_draws=2000, seed=1),
    "mr_simex": lambda: dc.mr.simex(_harmonised(), n_draws=50, seed=1),
    "mr_rucker": lambda: dc.mr.rucker(_harmonised()),
    "mr_clusters": lambda: dc.mr.clusters(_harmonised(), max_clusters=4, seed=1),
    "mr_negative_controls": lambda: dc.mr.negative_controls({"skin": _harmonised(), "hair": _harmonised()}, seed=1),
    "mr_radial": lambda: dc.mr.radial(_harmonised(), seed=1, n_draws=100),
    "precision": lambda: dc.imaging.precision(_repeats(), ["bmd", "fat"]),
    "stability": lambda: dc.imaging.stability(_repeats(), ["bmd", "fat"]),
    "cross-calibration": lambda: dc.imaging.cross_calibrate(*_two_devices()),
    "cross-calibration ranks": lambda: dc.imaging.cross_calibrate(*_two_devices(), method="passing_bablok"),
    "drift": lambda: dc.imaging.drift(_phantom()),
    "combat": lambda: dc.imaging.combat(_sites(), list("abcd"), "site", covariates="age"),
}

COEFFICIENTS = (
    "pooled",
    "cox",
    "cox robust",
    "cox stratified",
    "frailty",
    "propensity",
    "lin-ying",
    "fine-gray",
    "cause-specific",
    "recurrent",
    "rmst adjusted",
    "pseudo regression",
    "case-cohort",
    "nested case-control",
    "interval cox",
    "interval cox odds",
    "interval cox bootstrap",
    "illness-death",
)


def covariance(fit):
    """Covariance of a fit's coefficients, where it has one."""
    if hasattr(fit, "covariance"):
        return np.asarray(fit.covariance)
    return np.asarray(fit.fit.covariance)
