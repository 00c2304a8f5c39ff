"""A forearm cohort with visits, sarcopenia, death and one exposure whose effect is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed, generator
from dxa_causal.simulate.calibration_scans import calibration_scans
from dxa_causal.simulate.forearm import SimulatedScan, forearm

FloatArray = npt.NDArray[np.float64]

YEARS = np.arange(6.0)  # planned visits
END = 5.5  # years of follow-up at most
LOG_HAZARD_RATIO = -0.5  # of sarcopenia, training against none
GRIP_GAIN = 1.5  # kg, training against none, from the first year on
GRIP_LOSS = 3.0  # kg, after onset of sarcopenia


@dataclass(frozen=True, eq=False, slots=True)
class SimulatedCohort:
    """A cohort as a study would hold it.

    Attributes
    ----------
    subjects : DataFrame
        One row per person: subject_id, age (years), sex, height_cm, bmi
        (kg/m2), training (0/1), grip_baseline_kg, gait_baseline_m_s,
        grip_2y_kg (missing if not seen), left and right (years between which
        sarcopenia began; right is infinite if it was not found), sarcopenia
        (0/1), sarcopenia_time (years to the visit that found it, else to the
        last visit), died (0/1), time (years to death or end of follow-up).
    visits : DataFrame
        One row per visit: subject_id, years, grip_kg, gait_m_s, sarcopenia.
    device : str
        Device of all scans.
    """

    subjects: pd.DataFrame
    visits: pd.DataFrame
    device: str
    _scan_options: tuple[Mapping[str, object], ...]
    _calibration_seed: int

    def scan_options(self, row: int) -> dict[str, object]:
        """What the scan of the person in `row` is simulated from, as :func:`forearm` takes it."""
        return dict(self._scan_options[row])

    def scan(self, row: int) -> tuple[SimulatedScan, Mapping[str, float]]:
        """Simulate the baseline scan of the person in `row`, with its truth."""
        return forearm(device=self.device, **self._scan_options[row])  # type: ignore[arg-type]

    def write(self, folder: str | Path, *, n_jobs: int | None = None, progress: bool = False) -> None:
        """Write the cohort as files.

        ``subjects.parquet``, ``visits.parquet``, ``manifest.csv`` (scan_id,
        subject_id, path, device_id), ``scans/``, and the device's
        ``calibration/wedge_*`` and ``calibration/phantom_*``.

        Parameters
        ----------
        folder : str or Path
        n_jobs : int, optional
            Processes; the files do not depend on it.
        progress : bool
        """
        folder = Path(folder)
        self.subjects.to_parquet(folder / "subjects.parquet", index=False)
        self.visits.to_parquet(folder / "visits.parquet", index=False)
        names = self.subjects["subject_id"]
        manifest = {"scan_id": names, "subject_id": names, "path": "scans/" + names, "device_id": self.device}
        pd.DataFrame(manifest).to_csv(folder / "manifest.csv", index=False, lineterminator="\n")
        wedge, phantom = calibration_scans(device=self.device, seed=self._calibration_seed)
        wedge.write(folder / "calibration" / f"wedge_{self.device}")
        phantom.write(folder / "calibration" / f"phantom_{self.device}")
        write_one = partial(_write_scan, self.device, folder / "scans")
        jobs = list(zip(names, self._scan_options, strict=True))
        for _ in parallel_map(write_one, jobs, n_jobs=n_jobs, progress=progress, description="simulating scans"):
            pass


def _write_scan(device: str, folder: Path, job: tuple[str, Mapping[str, object]]) -> None:
    name, options = job
    forearm(device=device, **options)[0].write(folder / name)  # type: ignore[arg-type]


def cohort(n: int, seed: Seed = None, *, device: str = "k_edge") -> tuple[SimulatedCohort, Mapping[str, float]]:
    r"""Simulate a cohort of older people with a forearm scan at baseline.

    Parameters
    ----------
    n : int
        People, all free of sarcopenia at baseline.
    seed : int or Generator, optional
    device : {"k_edge", "kvp_switch", "portable"}

    Returns
    -------
    cohort : SimulatedCohort
    truth : mapping of str to float
        ``log_hazard_ratio_training`` of sarcopenia given age, sex, mineral and
        fat; ``grip_difference_training_2y``, the average causal effect of
        training on grip strength two years on (kg) in these people;
        ``risk_difference_training_4y``, on the risk of sarcopenia within four
        years.

    Notes
    -----
    Training is chosen more often by the younger, leaner and by men. Onset of
    sarcopenia is Weibull (shape 1.4) with

    .. math::

        \log \mathrm{HR} = 0.06\,(\mathrm{age} - 72) - 0.25\,\frac{\log \mathrm{mineral}}{0.12}
        + 0.35\,\frac{\mathrm{muscle\ fat} - 0.09}{0.04} - 0.5\,\mathrm{training},

    with mineral relative to others of the same age and sex. It is seen only
    at visits, about yearly, some of them missed, so it is interval-censored.
    Death depends on age, sex and muscle fat, not on training. The average
    effects are taken over each person's two potential outcomes.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> people, truth = dc.simulate.cohort(100, seed=1)
    >>> len(people.subjects), truth["log_hazard_ratio_training"]
    (100, -0.5)
    """
    if n < 1:
        raise OptionError(f"n={n} must be at least 1")
    rng = generator(seed)
    man = rng.random(n) < 0.45
    age = np.clip(rng.normal(72.0, 6.0, n), 60.0, 90.0).round(1)
    height = rng.normal(np.where(man, 174.0, 161.0), 6.0).round(1)
    bmi = np.clip(rng.normal(26.5, 3.8, n), 17.5, 42.0).round(1)
    mineral = np.exp(rng.normal(0.0, 0.12, n))
    fat = np.clip(0.09 + 0.001 * (age - 72) + 0.004 * (bmi - 26.5) + rng.normal(0.0, 0.035, n), 0.02, 0.40)
    chosen = -0.2 - 0.05 * (age - 72) - 0.08 * (bmi - 26.5) + 0.4 * man
    training = (rng.random(n) < 1 / (1 + np.exp(-chosen))).astype(np.int64)

    risk = 0.06 * (age - 72) - 0.25 * np.log(mineral) / 0.12 + 0.35 * (fat - 0.09) / 0.04
    exponential = rng.exponential(size=n)
    onset = {a: _weibull(exponential, risk + LOG_HAZARD_RATIO * a, rate=0.085) for a in (0, 1)}
    own_onset = np.where(training == 1, onset[1], onset[0])
    death = _weibull(rng.exponential(size=n), 0.09 * (age - 72) + 0.4 * man + 4.0 * (fat - 0.09), rate=0.022)
    lost = rng.exponential(1 / 0.04, n)
    followed = np.minimum(np.minimum(death, lost), END)

    strength = np.where(man, 39.0, 24.5) - 0.35 * (age - 72) - 25.0 * (fat - 0.09) + rng.normal(0.0, 3.5, n)
    pace = 1.12 - 0.013 * (age - 72) - 0.01 * (bmi - 26.5) + rng.normal(0.0, 0.12, n)
    planned = np.maximum(YEARS + np.concatenate([np.zeros((n, 1)), rng.normal(0.0, 0.05, (n, 5))], axis=1), 0.0)
    seen = (planned < followed[:, None]) & (rng.random((n, 6)) < 0.94)
    seen[:, 0] = True
    sick = planned > own_onset[:, None]
    gain = GRIP_GAIN * training[:, None] * np.minimum(planned, 1.0)
    grip = strength[:, None] - 0.4 * planned + gain - GRIP_LOSS * sick + rng.normal(0.0, 1.2, (n, 6))
    grip = np.maximum(grip, 3.0).round(1)
    gait = np.maximum(pace[:, None] - 0.012 * planned - 0.06 * sick + rng.normal(0.0, 0.05, (n, 6)), 0.15).round(2)

    names = np.array([f"p{i + 1:05d}" for i in range(n)])
    person, visit = np.nonzero(seen)
    visits = pd.DataFrame(
        {
            "subject_id": names[person],
            "years": planned[person, visit].round(3),
            "grip_kg": grip[person, visit],
            "gait_m_s": gait[person, visit],
            "sarcopenia": sick[person, visit].astype(np.int64),
        }
    )
    found = seen & sick
    free = np.where(seen & ~sick, planned, -np.inf).max(axis=1)
    first = np.where(found, planned, np.inf).min(axis=1)
    has = np.isfinite(first)
    subjects = pd.DataFrame(
        {
            "subject_id": names,
            "age": age,
            "sex": pd.Categorical(np.where(man, "male", "female"), categories=["female", "male"]),
            "height_cm": height,
            "bmi": bmi,
            "training": training,
            "grip_baseline_kg": grip[:, 0],
            "gait_baseline_m_s": gait[:, 0],
            "grip_2y_kg": np.where(seen[:, 2], grip[:, 2], np.nan),
            "left": free.round(3),
            "right": first.round(3),
            "sarcopenia": has.astype(np.int64),
            "sarcopenia_time": np.where(has, first, free).round(3),
            "died": ((death <= lost) & (death <= END)).astype(np.int64),
            "time": followed.round(3),
        }
    )
    scan_seeds = rng.integers(2**31, size=n)
    options = tuple(
        {
            "seed": int(scan_seeds[i]),
            "age": float(age[i]),
            "sex": "M" if man[i] else "F",
            "height_cm": float(height[i]),
            "bmi": float(bmi[i]),
            "bone_scale": float(mineral[i]),
            "muscle_fat": float(fat[i]),
        }
        for i in range(n)
    )
    year_two = {a: GRIP_GAIN * a - GRIP_LOSS * float(np.mean(planned[:, 2] > onset[a])) for a in (0, 1)}
    truth = {
        "log_hazard_ratio_training": LOG_HAZARD_RATIO,
        "grip_difference_training_2y": year_two[1] - year_two[0],
        "risk_difference_training_4y": float(np.mean(onset[1] <= 4.0) - np.mean(onset[0] <= 4.0)),
    }
    people = SimulatedCohort(subjects, visits, device, options, int(rng.integers(2**31)))
    return people, MappingProxyType(truth)


def _weibull(exponential: FloatArray, log_hazard_ratio: FloatArray, *, rate: float, shape: float = 1.4) -> FloatArray:
    """Times with cumulative hazard (rate t)^shape exp(log_hazard_ratio)."""
    return (exponential / np.exp(log_hazard_ratio)) ** (1 / shape) / rate
