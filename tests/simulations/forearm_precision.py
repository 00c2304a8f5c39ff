"""Precision of repositioned scans, and whether the least significant change it gives holds for other people.

    python -m tests.simulations.forearm_precision

Per device 200 simulated people scanned twice give the precision error; 500 others, scanned twice and unchanged, should
differ by less than the least significant change in 95 % (Monte-Carlo error 1 point). Tables go to
docs/explanation/forearm.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import dxa_causal as dc
from dxa_causal._core.parallel import parallel_map

FOLDER = Path(__file__).parents[2] / "docs" / "explanation" / "forearm"
FEATURES = [
    *(f"{bone}_{site}_{what}" for site in ("third", "mid", "ultradistal") for bone in ("radius", "ulna")
      for what in ("bmd", "bmc", "area")),
    "radius_third_cortical_thickness", "radius_third_csmi_mineral", "radius_ultradistal_variogram_slope",
    "soft_fat_fraction", "muscle_lean_mass", "muscle_area", "subcutaneous_thickness", "forearm_width",
]  # fmt: skip


def pair(job):
    """Two scans of one person, measured."""
    device, seed, calibration = job
    rng = np.random.default_rng(seed)
    person = {"age": float(rng.uniform(40, 85)), "sex": "F" if rng.random() < 0.5 else "M", "device": device}
    rows = []
    for repeat in (0, 1):
        row = dc.imaging.features(dc.simulate.forearm(seed, repeat=repeat, **person)[0], calibration).iloc[0]
        rows.append({"subject": seed, "device": device, "flag": row["qc_flag"], **row[FEATURES]})
    return rows


def run(n_precision=200, n_others=500):
    """One row per device and feature."""
    tables = []
    for device in ("k_edge", "kvp_switch", "portable"):
        calibration = dc.imaging.calibrate(*dc.simulate.calibration_scans(device=device, seed=1))
        jobs = [(device, seed, calibration) for seed in range(1000, 1000 + n_precision + n_others)]
        rows = pd.DataFrame([r for p in parallel_map(pair, jobs, n_jobs=2) for r in p])
        first = rows["subject"] < 1000 + n_precision
        found = dc.imaging.precision(rows[first], features=FEATURES, subject="subject", device="device").tidy()
        wide = found.pivot(index="term", columns="metric", values="estimate")
        one, two = (rows[~first].groupby("subject")[FEATURES].nth(k).to_numpy(float) for k in (0, 1))
        change = pd.Series((np.abs(two - one) <= wide.loc[FEATURES, "lsc"].to_numpy()).mean(axis=0), FEATURES)
        measured = pd.Series(np.isfinite(one + two).sum(axis=0), FEATURES)
        tables.append(
            wide.loc[FEATURES].assign(device=device, within_lsc_percent=100 * change, n_others=measured).reset_index()
        )
    return pd.concat(tables).round(4)


if __name__ == "__main__":
    table = run()
    table.to_csv(FOLDER / "precision.csv", index=False)
    print(table.to_string(index=False))
