"""Ground truth: scans, cohorts and GWAS whose every number is known."""

from dxa_causal.simulate.calibration_scans import calibration_scans
from dxa_causal.simulate.cohort import SimulatedCohort, cohort
from dxa_causal.simulate.forearm import SimulatedScan, forearm
from dxa_causal.simulate.gwas import gwas, gwas_outcome
from dxa_causal.simulate.onset_and_death import illness_death_cohort
from dxa_causal.simulate.writers import write_scan

__all__ = [
    "SimulatedCohort",
    "SimulatedScan",
    "calibration_scans",
    "cohort",
    "forearm",
    "gwas",
    "gwas_outcome",
    "illness_death_cohort",
    "write_scan",
]
