"""A site's own numbers: precision, least significant change, a new device, the phantom, two devices together."""

import numpy as np
import pandas as pd

import dxa_causal as dc

rng = np.random.default_rng(1)
true = rng.normal(0.68, 0.08, 30)  # BMD of the one-third radius, g/cm2

print("Precision: thirty people scanned twice on each device")
scans = pd.DataFrame(
    {
        "subject_id": np.tile(np.repeat(range(30), 2), 2),
        "device_id": np.repeat(["old", "new"], 60),
        "repeat": np.tile([1, 2], 60),
        "bmd": np.concatenate([np.repeat(true, 2), 0.03 + 1.04 * np.repeat(true, 2)]) + rng.normal(0, 0.009, 120),
    }
)
precision = dc.imaging.precision(scans, ["bmd"])
print(precision.tidy()[["group", "metric", "estimate", "conf_low", "conf_high"]].round(4).to_string(index=False))
print(dc.imaging.stability(scans.query("device_id == 'old'"), ["bmd"]).tidy().round(3).to_string(index=False))

print("\nWho changed within the year?")
first = scans.query("device_id == 'old' and repeat == 1")
second = first.assign(bmd=first["bmd"] - np.where(first["subject_id"] < 3, 0.05, 0.0))
changed = precision.changed(first, second)
print(changed.loc[changed["exceeds"], ["subject", "before", "after", "change", "lsc"]].round(3).to_string(index=False))

print("\nFrom the old device to the new")
mean = scans.groupby(["device_id", "subject_id"])["bmd"].mean()
for method in ("deming", "passing_bablok"):
    line = dc.imaging.cross_calibrate(mean["old"], mean["new"], method=method)
    print(line.tidy().round(3).to_string(index=False))
print(line.agreement().round(3).to_string(index=False))
print("0.65 on the old device is", round(line.apply(0.65), 3), "on the new")

print("\nThe phantom, once a week; the tube was changed after scan 70")
phantom = pd.DataFrame({"date": pd.date_range("2024-01-08", periods=104, freq="7D"), "ha": rng.normal(1.0, 0.004, 104)})
phantom.loc[70:, "ha"] += 0.006
chart = dc.imaging.drift(phantom)
print(chart.tidy()[["effect_measure", "estimate", "conf_low", "conf_high"]].round(4).to_string(index=False))
print(chart.shifts().to_string(index=False))

print("\nFeatures of both devices brought together")
people = pd.DataFrame({f"feature_{i}": rng.normal(size=80) for i in range(12)})
people = people.assign(device=np.repeat(["old", "new"], 40), age=rng.normal(60, 8, 80))
people.loc[people["device"] == "new", people.columns[:12]] *= 1.3
people.loc[people["device"] == "new", people.columns[:12]] += 0.8
together = dc.imaging.combat(people, list(people.columns[:12]), "device", covariates="age", reference="old")
print(together.frame.groupby("device")[["feature_0", "feature_1"]].agg(["mean", "std"]).round(2))

print("\nT-score, from values that the site registers for its device")
own = {"device": "old", "site": "radius_third", "sex": "F", "ancestry": "white", "source": "simulated, not for use"}
bands = pd.DataFrame({"age_low": [20, 50, 60], "age_high": [30, 60, 80], "mean": [0.69, 0.66, 0.61], "sd": 0.055})
dc.imaging.register_reference(bands.assign(young_adult=[True, False, False], **own))
key = {"device": "old", "site": "radius_third", "sex": "F", "ancestry": "white"}
print("T", round(dc.imaging.t_score(0.55, **key), 2), "Z", round(dc.imaging.z_score(0.55, 64, **key), 2))
dc.imaging.forget_references()
