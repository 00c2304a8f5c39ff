"""Whether predicted risks can be trusted and are worth acting on: calibration, decision curve, reclassification."""

import dxa_causal as dc

cohort = dc.datasets.load("nhanes_mortality").query("age >= 60").dropna(subset=["grip_kg"])
train, test = cohort.iloc[::2], cohort.iloc[1::2]
models = {
    "age and sex": dc.survival.cox("Surv(time, died) ~ age + C(sex)", train),
    "with grip": dc.survival.cox("Surv(time, died) ~ age + C(sex) + grip_kg", train),
}

print("Calibration at four years")
calibration = dc.survival.calibration(models, test, horizon=4)
print(calibration.tidy()[["model", "metric", "estimate", "std_error"]].round(3).to_string(index=False))

print("\nNet benefit of acting at a risk of 10 per cent")
curve = dc.survival.decision_curve(models, test, horizon=4, thresholds=[0.1])
print(curve.tidy().query("metric == 'net benefit'").round(4).to_string(index=False))

print("\nDoes grip strength move people the right way?")
moved = dc.survival.reclassification(models, test, horizon=4, cuts=[0.05, 0.1, 0.2])
print(moved.tidy()[["metric", "estimate", "conf_low", "conf_high"]].round(3).to_string(index=False))

print("\nConcordance corrected for optimism")
corrected = dc.survival.optimism(
    lambda frame: dc.survival.cox("Surv(time, died) ~ age + C(sex) + grip_kg", frame),
    train,
    4,
    metrics=["concordance_harrell"],
    n_resamples=20,
    seed=1,
)
print(corrected.tidy().round(3).to_string(index=False))
