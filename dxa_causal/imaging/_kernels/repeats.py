"""Spread of repeated measurements: within subjects, and between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WithinSubjects:
    """Mean, standard deviation and number of values of each subject.

    Attributes
    ----------
    mean, sd : (m,) ndarray
        The standard deviation of a single value is nan.
    count : (m,) ndarray of int
    """

    mean: FloatArray
    sd: FloatArray
    count: IntArray


def within_subjects(values: FloatArray, subject: IntArray) -> WithinSubjects:
    """Summarise `values` by `subject`, codes 0, ..., m - 1.

    Examples
    --------
    >>> import numpy as np
    >>> within_subjects(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 1])).mean
    array([2., 5.])
    """
    count = np.bincount(subject)
    mean = np.bincount(subject, values) / count
    squares = np.bincount(subject, (values - mean[subject]) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(squares / (count - 1))
    return WithinSubjects(mean, sd, count.astype(np.int64))


def mean_variance_df(count: IntArray) -> float:
    """Degrees of freedom of the unweighted mean of m variances, each of `count` values.

    ``m**2 / sum(1 / (count - 1))`` matches the variance of the mean (Satterthwaite) where all have one true variance;
    with equally many values it is ``sum(count - 1)``.

    Examples
    --------
    >>> import numpy as np
    >>> mean_variance_df(np.array([3, 3, 3, 3, 3]))
    10.0
    """
    return float(count.size**2 / np.sum(1.0 / (count - 1)))


def chi_square_limits(df: FloatArray, conf_level: float) -> tuple[FloatArray, FloatArray]:
    """Factors from a standard deviation to its confidence limits.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = chi_square_limits(np.array([30.0]), 0.95)
    >>> low.round(4), high.round(4)
    (array([0.7991]), array([1.3367]))
    """
    tail = 0.5 - conf_level / 2.0
    return np.sqrt(df / special.chdtri(df, tail)), np.sqrt(df / special.chdtri(df, 1.0 - tail))


@dataclass(frozen=True, slots=True)
class Intraclass:
    """Mean squares of subjects, repeats and the rest, of n subjects and k repeats."""

    subjects: float
    repeats: float
    residual: float
    n: int
    k: int

    @property
    def icc(self) -> float:
        """ICC(2,1): two-way random, absolute agreement, single measurement; nan where nothing varies."""
        between = self.subjects - self.residual
        total = self.subjects + (self.k - 1) * self.residual + self.k * (self.repeats - self.residual) / self.n
        return between / total if total > 0 else float("nan")

    def limits(self, conf_level: float) -> tuple[float, float]:
        """Limits by F distributions with Satterthwaite's degrees of freedom (McGraw and Wong, table 7)."""
        icc, n, k = self.icc, self.n, self.k
        if not icc < 1.0:  # of values that do not vary within subjects; nan where nothing varies
            return icc, icc
        a, b = k * icc / (n * (1.0 - icc)), 1.0 + k * icc * (n - 1) / (n * (1.0 - icc))
        # without Satterthwaite's weights (both mean squares 0) there is nothing to weigh
        spread = (a * self.repeats) ** 2 / (k - 1) + (b * self.residual) ** 2 / ((n - 1) * (k - 1))
        v = (a * self.repeats + b * self.residual) ** 2 / spread
        tail = 0.5 - conf_level / 2.0
        f_low, f_high = special.fdtri(n - 1, v, 1.0 - tail), special.fdtri(v, n - 1, 1.0 - tail)
        error = k * self.repeats + (k * n - k - n) * self.residual
        low = n * (self.subjects - f_low * self.residual) / (f_low * error + n * self.subjects)
        high = n * (f_high * self.subjects - self.residual) / (error + n * f_high * self.subjects)
        return float(low), float(high)


def intraclass(values: FloatArray) -> Intraclass:
    """Two-way analysis of variance of an (n, k) table: subjects in rows, repeats in columns.

    Examples
    --------
    >>> import numpy as np
    >>> round(intraclass(np.array([[1.0, 2], [3, 4], [5, 6]])).icc, 3)
    0.889
    """
    n, k = values.shape
    mean, rows, columns = values.mean(), values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns + mean
    return Intraclass(
        subjects=float(k * np.sum((rows - mean) ** 2) / (n - 1)),
        repeats=float(n * np.sum((columns - mean) ** 2) / (k - 1)),
        residual=float(np.sum(rest**2) / ((n - 1) * (k - 1))),
        n=n,
        k=k,
    )
