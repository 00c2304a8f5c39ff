"""Precision of repeated scans and the least change that is more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import MeasurementError, shown
from dxa_causal._core.options import check_conf_level
from dxa_causal.imaging._kernels import repeats as kernel
from dxa_causal.imaging.columns import missing_notes, name_list, read_table
from dxa_causal.results import Provenance, Result, Summary, read_only
from dxa_causal.results.provenance import format_call

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

# ISCD's rounding of 1.96 * sqrt(2): two scans differ, each with the precision error, at 95 % confidence.
LSC_FACTOR = 2.77
ISCD_DF = 30  # 30 subjects scanned twice, or 15 three times
ALL_DEVICES = "all"


@dataclass(frozen=True, eq=False, repr=False)
class PrecisionResult(Result):
    """Precision error per device and feature.

    Attributes
    ----------
    device, feature : tuple of str
        Of each line.
    rms_sd : (m,) ndarray
        In the feature's unit; nan where no subject was scanned twice.
    rms_cv : (m,) ndarray
        Per cent; nan where a subject's mean is not positive.
    df : (m,) ndarray
        Degrees of freedom of `rms_sd`.
    n_subjects, n_single : (m,) ndarray
        Subjects scanned repeatedly, and once (left out).
    subjects : DataFrame
        device, feature, subject, n, mean, sd of those scanned repeatedly.
    subject_column : str
    device_column : str or None
    conf_level : float
        Level of the limits unless `tidy` is asked for another.
    nobs : int
        Scans used for at least one feature.
    """

    title: ClassVar[str] = "Precision of repeated scans"

    device: tuple[str, ...]
    feature: tuple[str, ...]
    rms_sd: FloatArray
    rms_cv: FloatArray
    df: FloatArray
    n_subjects: FloatArray
    n_single: FloatArray
    subjects: pd.DataFrame
    subject_column: str
    device_column: str | None
    conf_level: float
    nobs: int
    provenance: Provenance
    estimand: str = "standard deviation of repeated scans of one subject"

    @property
    def lsc(self) -> FloatArray:
        """Least significant change, in the feature's unit, of each line."""
        return LSC_FACTOR * self.rms_sd

    def tidy(self, conf_level: float | None = None, exponentiate: bool = False) -> pd.DataFrame:
        """Three rows per device (group) and feature (term): metric rms_sd, cv_percent, lsc.

        With limits, df, n (subjects) and the reason where there is no value. `exponentiate` has no effect.
        """
        level = self.conf_level if conf_level is None else conf_level
        check_conf_level(level)
        low, high = kernel.chi_square_limits(self.df, level)
        rows = []
        for i, (device, feature) in enumerate(zip(self.device, self.feature, strict=True)):
            for metric, value in (("rms_sd", self.rms_sd[i]), ("cv_percent", self.rms_cv[i]), ("lsc", self.lsc[i])):
                reason = ""
                if not self.n_subjects[i]:
                    reason = "no subject was scanned twice"
                elif np.isnan(value):
                    reason = "a subject's mean is not positive"
                rows.append(
                    {
                        "group": device, "term": feature, "metric": metric, "estimate": value,
                        "conf_low": value * low[i], "conf_high": value * high[i], "df": self.df[i],
                        "n": int(self.n_subjects[i]), "reason": reason,
                    }
                )  # fmt: skip
        return pd.DataFrame(rows)

    def glance(self) -> pd.DataFrame:
        """One row: nobs (scans used), n_groups (devices), n_features."""
        counts = {"n_groups": [len(set(self.device))], "n_features": [len(set(self.feature))]}
        return pd.DataFrame({"nobs": [self.nobs], **counts})

    def summary(self, conf_level: float | None = None) -> Summary:
        """Tables and notes, at the level asked of `precision` unless another is given."""
        return Summary(self.title, [self.tidy(conf_level=conf_level), self.glance()], self._notes())

    def changed(self, before: Any, after: Any) -> pd.DataFrame:
        """Which changes reach the least significant change.

        Parameters
        ----------
        before, after : frame
            One row per subject, with the columns that `precision` was given.

        Returns
        -------
        DataFrame
            One row per subject and feature: subject, device, feature, before, after, change, lsc, exceeds
            (change of at least the LSC; missing where there is no answer), reason (of a missing answer).

        Raises
        ------
        MeasurementError
            A subject stands in two rows of one frame.

        Notes
        -----
        A subject scanned on another device the second time has no answer: the
        difference of devices would be taken for a change.
        """
        features = list(dict.fromkeys(self.feature))
        first, second = self._visit(before, features, "before"), self._visit(after, features, "after")
        if first["subject"].dtype.kind != second["subject"].dtype.kind:
            one, two = (shown(visit["subject"].iloc[0]) for visit in (first, second))
            raise MeasurementError(
                f"before has subjects like {one}, after like {two}: are they of one type, text or number?"
            )
        pair = first.merge(second, on=["subject", "feature"], how="outer", suffixes=("_before", "_after"), sort=False)
        known = pd.DataFrame({"device": self.device, "feature": self.feature, "lsc": self.lsc})
        pair["device"] = pair["device_before"].fillna(pair["device_after"])
        pair = pair.merge(known, on=["device", "feature"], how="left", sort=False)
        pair["change"] = pair["after"] - pair["before"]
        reason = pd.Series("", index=pair.index)
        reason[pair["lsc"].isna()] = "no precision of this device"
        reason[pair["before"].isna()] = "no value before"
        reason[pair["after"].isna()] = "no value after"
        elsewhere = pair["device_before"].notna() & pair["device_after"].notna()
        reason[elsewhere & (pair["device_before"] != pair["device_after"])] = "another device"
        exceeds = (pair["change"].abs() >= pair["lsc"]).astype("boolean").mask(reason != "")
        pair = pair.assign(exceeds=exceeds, reason=reason)
        return pair[["subject", "device", "feature", "before", "after", "change", "lsc", "exceeds", "reason"]]

    def _visit(self, data: Any, features: list[str], argument: str) -> pd.DataFrame:
        """One visit in long form: subject, feature, device, value."""
        labels = {f"{argument}, subject": self.subject_column, f"{argument}, device": self.device_column}
        table = read_table(data, labels, features)
        twice = np.flatnonzero(table[self.subject_column].duplicated())
        if twice.size:
            who = table[self.subject_column].iloc[twice[0]]
            raise MeasurementError(
                f"{argument}: subject {shown(who)} stands in two rows, the second {shown(table.index[twice[0]])}; "
                "allowed is one row per subject (take the mean of repeated scans, or choose one)"
            )
        device = table[self.device_column].astype(str) if self.device_column else ALL_DEVICES
        parts = [
            pd.DataFrame({"subject": table[self.subject_column], "feature": f, "device": device, argument: table[f]})
            for f in features
        ]
        return pd.concat(parts, ignore_index=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Coefficient of variation with its limits, per device and feature."""
        from dxa_causal.plots.densitometry import estimates_by_group

        table = self.tidy().query("metric == 'cv_percent'")
        return estimates_by_group(table, label="Precision, RMS coefficient of variation (%)", ax=ax)


def precision(
    frame: Any,
    features: Sequence[str] | str,
    *,
    subject: str = "subject_id",
    device: str | None = "device_id",
    conf_level: float = 0.95,
) -> PrecisionResult:
    r"""Precision error and least significant change from repeated scans.

    Parameters
    ----------
    frame : pandas or polars frame
        One row per scan; subjects were repositioned between scans.
    features : sequence of str
        Columns of numbers. A missing value is a scan less for that feature.
    subject, device : str
        Columns. ``device=None`` takes all scans as of one device. Scans of a
        subject on two devices are never compared with each other.
    conf_level : float

    Returns
    -------
    PrecisionResult
        Subjects with one scan are left out and counted. Fewer than 30 degrees
        of freedom (ISCD: 30 subjects scanned twice or 15 three times) are noted.

    Raises
    ------
    MeasurementError
        A feature is not of numbers, or no subject was scanned twice.

    Notes
    -----
    With the variance :math:`s_j^2` of the :math:`k_j` scans of subject j of m,

    .. math:: \mathrm{RMS\text{-}SD} = \sqrt{\frac1m\sum_j s_j^2}, \qquad
              \%CV = 100\sqrt{\frac1m\sum_j (s_j/\bar x_j)^2}, \qquad \mathrm{LSC} = 2.77\;\mathrm{RMS\text{-}SD}

    (2.77 is ISCD's rounding of :math:`1.96\sqrt2`). Limits are
    :math:`\mathrm{RMS\text{-}SD}\sqrt{\nu/\chi^2_\nu}`, :math:`\nu = m^2/\sum_j (k_j-1)^{-1}`,
    which is :math:`\sum_j (k_j - 1)` where all were scanned equally often; they
    take the subjects' true variances for equal. Those of the %CV are
    the same multiples.

    In 4000 simulated studies of 30 subjects scanned twice 94.5 % of the limits of the
    RMS-SD held the true value; with 10 to 20 subjects scanned two to four times 95.3 %.

    References
    ----------
    Glüer CC et al. Osteoporos Int 1995;5:262-270. doi:10.1007/BF01774016

    Examples
    --------
    >>> scans = pd.DataFrame({"subject_id": [1, 1, 2, 2, 3], "device_id": "a", "bmd": [0.70, 0.72, 0.61, 0.60, 0.8]})
    >>> found = precision(scans, ["bmd"])
    >>> found.tidy()[["metric", "estimate", "df"]].round(4).values.tolist()
    [['rms_sd', 0.0112, 2.0], ['cv_percent', 1.633, 2.0], ['lsc', 0.031, 2.0]]
    >>> found.changed(scans.iloc[[0, 2]], scans.iloc[[0, 2]].assign(bmd=[0.66, 0.60]))["exceeds"].tolist()
    [True, False]
    """
    check_conf_level(conf_level)
    names = list(dict.fromkeys(name_list(features, "features")))
    table = read_table(frame, {"subject": subject, "device": device}, names)
    where = table[device].astype(str) if device else pd.Series(ALL_DEVICES, index=table.index)
    lines, spread, used = [], [], np.zeros(len(table), dtype=bool)
    for group in dict.fromkeys(where):
        here = (where == group).to_numpy()
        for name in names:
            line, people, rows = _one(table, here, name, subject)
            lines.append((group, name, *line))
            spread.append(people.assign(device=group, feature=name))
            used |= rows
    if not used.any():
        raise MeasurementError(
            f"no {subject!r} has two scans{' on one device' if device else ''} with a value of {', '.join(names)}, "
            "but precision needs repeated scans: at best 30 subjects scanned twice or 15 three times"
        )
    columns = [read_only(np.array(c, dtype=np.float64)) for c in list(zip(*lines, strict=True))[2:]]
    rms_sd, rms_cv, df, n_subjects, n_single = columns
    pairs = [(line[0], line[1]) for line in lines]
    return PrecisionResult(
        device=tuple(d for d, _ in pairs), feature=tuple(f for _, f in pairs), rms_sd=rms_sd, rms_cv=rms_cv, df=df,
        n_subjects=n_subjects, n_single=n_single,
        subjects=pd.concat(spread, ignore_index=True)[["device", "feature", "subject", "n", "mean", "sd"]],
        subject_column=subject, device_column=device, conf_level=conf_level, nobs=int(used.sum()),
        provenance=Provenance(
            call=format_call("imaging.precision", features=names, subject=subject, device=device),
            n_rows=len(table), n_used=int(used.sum()),
            notes=missing_notes(table, names) + _notes(pairs, df, n_subjects, n_single),
        ),
    )  # fmt: skip


def _one(
    table: pd.DataFrame, here: npt.NDArray[np.bool_], name: str, subject: str
) -> tuple[tuple[float, ...], pd.DataFrame, npt.NDArray[np.bool_]]:
    """RMS-SD, %CV, df, subjects, single scans of one feature on one device; its subjects; the rows used."""
    rows = here & table[name].notna().to_numpy()
    codes, labels = pd.factorize(table[subject].to_numpy()[rows])
    found = kernel.within_subjects(table[name].to_numpy()[rows], codes.astype(np.int64))
    several = found.count > 1
    sd, mean, count = found.sd[several], found.mean[several], found.count[several]
    people = pd.DataFrame({"subject": np.asarray(labels)[several], "n": count, "mean": mean, "sd": sd})
    used = np.zeros(len(table), dtype=bool)
    used[np.flatnonzero(rows)[several[codes]]] = True
    single = float((~several).sum())
    if sd.size == 0:
        return (np.nan, np.nan, np.nan, 0.0, single), people, used
    cv = float(100.0 * np.sqrt(np.mean((sd / mean) ** 2))) if (mean > 0).all() else np.nan
    rms_sd = float(np.sqrt(np.mean(sd**2)))
    return (rms_sd, cv, kernel.mean_variance_df(count), float(sd.size), single), people, used


def _notes(
    pairs: list[tuple[str, str]], df: FloatArray, n_subjects: FloatArray, n_single: FloatArray
) -> tuple[str, ...]:
    notes = []
    for (device, feature), free, n, single in zip(pairs, df, n_subjects, n_single, strict=True):
        where = f"device {device}, {feature}"
        if single:
            notes.append(f"{where}: {int(single)} subjects with one scan left out")
        if n and free < ISCD_DF - 1e-9:
            notes.append(
                f"{where}: {int(n)} subjects, {free:.3g} degrees of freedom; ISCD asks for 30 subjects scanned twice "
                f"or 15 three times ({ISCD_DF} degrees of freedom)"
            )
    return tuple(notes)
