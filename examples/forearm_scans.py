"""A small cohort with scans: simulate, write, calibrate, measure, compare with the truth."""

from pathlib import Path

import dxa_causal as dc

folder = Path("forearm_cohort")
folder.mkdir(exist_ok=True)
people, truth = dc.simulate.cohort(6, seed=1)
people.write(folder)
calibration = dc.imaging.calibrate(folder / "calibration" / "wedge_k_edge", folder / "calibration" / "phantom_k_edge")
table = dc.imaging.extract(folder / "manifest.csv", calibrations={"k_edge": calibration})
known = [people.scan(row)[1]["radius_third_bmd"] for row in range(len(table))]
print(table[["scan_id", "radius_third_bmd", "soft_fat_fraction", "qc_flag"]].assign(true_bmd=known))
print(dict(truth))
