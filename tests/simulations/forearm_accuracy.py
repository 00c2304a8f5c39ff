"""Error of the forearm measurements on scans whose truth is known.

    python -m tests.simulations.forearm_accuracy FOLDER [kept]

Measures the two thirds of the subjects that the measurements were developed on, or, with `kept`, the third kept aside
(subject number div 3, mod 3 is 2), which is looked at once. FOLDER holds ``scans/``, ``calibration/`` and
``truth.csv`` in the format of tests/reference/forearm (an independent 3-D generator that shares nothing with this
package). Every scan counts; failures are shown.
"""

import sys
from pathlib import Path

import pandas as pd

import dxa_causal as dc


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
    """Per device: scans, flagged, and mean, sd and 90th percentile of the error of unflagged scans."""
    rows = []
    for device, part in table.groupby("device_id"):
        good = part[part["qc_flag"] == "ok"]
        errors = {
            "bmd_percent": 100 * (good["radius_third_bmd"] / good["radius_third_bmd_truth"] - 1),
            "bmc_percent": 100 * (good["radius_third_bmc"] / good["radius_third_bmc_truth"] - 1),
            "area_percent": 100 * (good["radius_third_area"] / good["radius_third_area_truth"] - 1),
            "fat_points": 100 * (good["soft_fat_fraction"] - good["soft_fat_fraction_truth"]),
            "width_mm": good["forearm_width"] - good["forearm_width_truth"],
        }
        row = {"device": device, "scans": len(part), "flagged": int((part["qc_flag"] != "ok").sum())}
        for name, error in errors.items():
            row |= {f"{name}_mean": error.mean(), f"{name}_sd": error.std(), f"{name}_p90": error.abs().quantile(0.9)}
        rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    found = measure(Path(sys.argv[1]), kept="kept" in sys.argv[2:])
    print(summarise(found).T.to_string(header=False, float_format=lambda v: f"{v:.2f}"))
    flagged = found.loc[found["qc_flag"] != "ok", ["scan_id", "qc_flag", "artefact"]]
    print(flagged.to_string(index=False))
