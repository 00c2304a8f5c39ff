"""Error of the forearm measurements on scans whose truth is known.

    python -m tests.simulations.forearm_accuracy FOLDER [kept]

Measures the two thirds of the subjects that the measurements were developed on, or, with `kept`, the third kept aside
(subject number div 3, mod 3 is 2), which is looked at once; tables go to docs/explanation/forearm. FOLDER holds
``scans/``, ``calibration/`` and ``truth.csv`` in the format of tests/reference/forearm (an independent 3-D generator
that shares nothing with this package). Every scan counts; failures are shown.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import dxa_causal as dc

FOLDER = Path(__file__).parents[2] / "docs" / "explanation" / "forearm"


def measure(folder, *, kept=False):
    """Features of every scan of one part beside its truth."""
    truth = pd.read_csv(folder / "truth.csv")
    subject = truth["scan_id"].str.extract(r"s(\d+)_", expand=False).astype(int)
    truth = truth[(subject // 3 % 3 == 2) == kept].reset_index(drop=True)
    scans = truth[["scan_id", "device_id"]].assign(path=[str(folder / "scans" / s) for s in truth["scan_id"]])
    devices = truth["device_id"].unique()
    pairs = {d: (folder / "calibration" / f"wedge_{d}", folder / "calibration" / f"phantom_{d}") for d in devices}
    measured = dc.imaging.extract(scans, calibrations=pairs, n_jobs=2, progress=True)
    return measured.merge(truth, on=["scan_id", "device_id"], suffixes=("", "_truth"))


def summarise(table):
    """Per feature with a truth: relative error by device, over all, slope on the truth, share within 1.96 errors."""
    good = table[table["qc_flag"] == "ok"]
    rows = []
    for name in [c.removesuffix("_truth") for c in table if c.endswith("_truth")]:
        if f"{name}_se" not in good:
            continue
        value, truth = good[name], good[f"{name}_truth"]
        in_points = name.endswith("fraction") or name in ("ulna_styloid_row", "forearm_rotation")
        error = value - truth if in_points else 100 * (value / truth - 1)
        error = 100 * error if name.endswith("fraction") else error
        unit = (
            "points"
            if name.endswith("fraction")
            else {"ulna_styloid_row": "px", "forearm_rotation": "deg"}.get(name, "%")
        )
        row = {"feature": name, "unit": unit, "n": int(error.notna().sum())}
        for device, part in error.groupby(good["device_id"]):
            row |= {f"{device}_mean": part.mean(), f"{device}_sd": part.std()}
        known = value.notna() & truth.notna()
        row |= {
            "p90": error.abs().quantile(0.9),
            "slope": np.polyfit(truth[known], value[known], 1)[0],
            "covered_percent": 100 * ((value - truth).abs() < 1.96 * good[f"{name}_se"])[known].mean(),
        }
        rows.append(row)
    return pd.DataFrame(rows).round(3)


def summarise_by_sex(table):
    """The one-third, mid and ultradistal radius by device, sex and site, every scan counted."""
    rows = []
    for (device, sex), part in table.groupby(["device_id", "sex_truth" if "sex_truth" in table else "sex"]):
        for site in ("third", "mid", "ultradistal"):
            error = 100 * (part[f"radius_{site}_bmd"] / part[f"radius_{site}_bmd_truth"] - 1)
            n, half = error.notna().sum(), 1.96 * error.std() / np.sqrt(error.notna().sum())
            rows.append(
                {"device": device, "sex": sex, "site": site, "scans": len(part), "measured": n,
                 "bmd_mean": error.mean(), "low": error.mean() - half, "high": error.mean() + half,
                 "p90": error.abs().quantile(0.9)}
            )  # fmt: skip
    return pd.DataFrame(rows).round(2)


def between_people(table):
    """Share of the variance of the error of one-third BMC, means of devices taken out, that repeats in a person."""
    good = table[table["qc_flag"] == "ok"]
    error = 100 * (good["radius_third_bmc"] / good["radius_third_bmc_truth"] - 1)
    error -= error.groupby(good["device_id"]).transform("mean")
    within = error.groupby(good["scan_id"].str[:5]).var().mean()  # people scanned once have none
    return 1 - within / error.var()


def of_marrow(folder, table, n=24):
    """Change of one-third BMC, %, as the marrow is taken for 0.4 or 0.95 instead of 0.7 yellow, mean of some scans."""
    pairs = {
        d: dc.imaging.calibrate(folder / "calibration" / f"wedge_{d}", folder / "calibration" / f"phantom_{d}")
        for d in table["device_id"].unique()
    }
    rows = table[table["qc_flag"] == "ok"].head(n)
    found = np.array([
        [dc.imaging.features(folder / "scans" / s, pairs[d], marrow_fat=m)["radius_third_bmc"].iloc[0]
         for m in (0.4, 0.7, 0.95)]
        for s, d in zip(rows["scan_id"], rows["device_id"])
    ])  # fmt: skip
    return (100 * (found[:, [0, 2]] / found[:, [1]] - 1)).mean(axis=0)


if __name__ == "__main__":
    part = "kept" if "kept" in sys.argv[2:] else "development"
    found = measure(Path(sys.argv[1]), kept=part == "kept")
    for kind, summary in (("features", summarise(found)), ("by_sex", summarise_by_sex(found))):
        summary.to_csv(FOLDER / f"{part}_{kind}.csv", index=False)
        print(summary.to_string(index=False))
    print(f"error of one-third BMC: {between_people(found):.0%} of its variance lies between people")
    print("marrow of 0.4 and of 0.95 change it by {:+.1f} and {:+.1f} %".format(*of_marrow(Path(sys.argv[1]), found)))
    pairs = found[found["qc_flag"] == "ok"].assign(subject_id=lambda t: t["scan_id"].str[:5])
    names = [*(f"radius_{s}" for s in ("third_bmd", "third_bmc", "mid_bmd", "ultradistal_bmd")), "soft_fat_fraction"]
    repeats = dc.imaging.precision(pairs, names, device=None).tidy()
    print(repeats[repeats["metric"] != "lsc"][["term", "metric", "estimate", "conf_low", "conf_high", "n"]].round(4))
    flagged = found.loc[found["qc_flag"] != "ok", ["scan_id", "qc_flag", "artefact"]]
    flagged.to_csv(FOLDER / f"{part}_flagged.csv", index=False)
    print(flagged.to_string(index=False))
