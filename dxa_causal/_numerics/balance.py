"""Balance of covariates between two weighted groups: means, SMD, variance ratio, Kolmogorov-Smirnov."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Denominator = Literal["treated", "control", "pooled", "weighted"]

# Values closer than this share of the range are one value: fitted scores of
# equal rows differ by rounding.
TIE_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Balance:
    """One value per covariate; `_unadjusted` is before weighting.

    Attributes
    ----------
    binary : (k,) ndarray of bool
        Covariates with two distinct values.
    mean_treated, mean_control : (k,) ndarray
        Weighted.
    difference_unadjusted, difference : (k,) ndarray
        Treated minus control.
    sd : (k,) ndarray
        Standard deviation that standardises both differences.
    variance_ratio_unadjusted, variance_ratio : (k,) ndarray
        Treated over control; NaN for binary covariates.
    ks_unadjusted, ks : (k,) ndarray
        Largest distance between the two distribution functions.
    """

    binary: BoolArray
    mean_treated: FloatArray
    mean_control: FloatArray
    difference_unadjusted: FloatArray
    difference: FloatArray
    sd: FloatArray
    variance_ratio_unadjusted: FloatArray
    variance_ratio: FloatArray
    ks_unadjusted: FloatArray
    ks: FloatArray


def measure_balance(
    x: FloatArray, treated: BoolArray, weight: FloatArray, *, base: FloatArray, denominator: Denominator
) -> Balance:
    r"""Compare the covariates of two groups before and after weighting.

    Parameters
    ----------
    x : (n, k) ndarray
    treated : (n,) ndarray of bool
    weight : (n,) ndarray
        After weighting.
    base : (n,) ndarray
        Before weighting: ones, or sampling weights.
    denominator : {"treated", "control", "pooled", "weighted"}
        Which standard deviation standardises: of one arm, the root of the mean
        of both variances (all three with `base`), or of the whole sample with
        `weight`. The same one serves before and after.

    Returns
    -------
    Balance

    Notes
    -----
    The variance of a covariate with mean :math:`\bar x = \sum w x / \sum w` is
    :math:`\sum w (x - \bar x)^2 \sum w / [(\sum w)^2 - \sum w^2]`, for a binary
    one :math:`\sum w (x - \bar x)^2 / \sum w` = p(1 - p). A standard
    deviation of zero gives way to that of the whole sample.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(4)
    >>> arm = np.array([True, True, False, False])
    >>> found = measure_balance(np.array([[1.0], [3], [0], [2]]), arm, one, base=one, denominator="pooled")
    >>> float(found.difference[0]), float(found.sd[0]), float(found.ks[0])
    (1.0, 1.4142135623730951, 0.5)
    """
    columns = [_one_covariate(column, treated, weight, base, denominator) for column in x.T]
    table = np.array(columns).reshape(len(columns), 10)
    return Balance(table[:, 0] > 0, *table[:, 1:].T)


def _one_covariate(
    x: FloatArray, treated: BoolArray, weight: FloatArray, base: FloatArray, denominator: Denominator
) -> tuple[float, ...]:
    order = np.argsort(x, kind="stable")
    ordered = x[order]
    apart = np.diff(ordered) > TIE_TOLERANCE * (ordered[-1] - ordered[0])
    last_of_ties = np.append(np.flatnonzero(apart), x.size - 1)
    binary = last_of_ties.size == 2
    arms = (treated, ~treated)
    (mean1, var1), (mean0, var0) = (_moments(x[arm], weight[arm], binary) for arm in arms)
    (base1, base_var1), (base0, base_var0) = (_moments(x[arm], base[arm], binary) for arm in arms)
    whole = _moments(x, base, binary)[1]
    variance = {
        "treated": base_var1,
        "control": base_var0,
        "pooled": (base_var1 + base_var0) / 2.0,
        "weighted": _moments(x, weight, binary)[1] if denominator == "weighted" else np.nan,
    }[denominator]
    sd = np.sqrt(variance if variance > 0 else whole)
    ratios = [v1 / v0 if v0 > 0 and not binary else np.nan for v1, v0 in ((base_var1, base_var0), (var1, var0))]
    distances = [_ks(treated[order], w[order], last_of_ties) for w in (base, weight)]
    return (binary, mean1, mean0, base1 - base0, mean1 - mean0, sd, *ratios, *distances)


def _moments(x: FloatArray, w: FloatArray, binary: bool) -> tuple[float, float]:
    total = float(w.sum())
    mean = float(w @ x) / total
    if x.min() == x.max():
        return mean, 0.0  # exactly, not rounding noise: zero decides what standardises
    lost = 0.0 if binary else float(w @ w) / total
    return mean, float(w @ np.square(x - mean)) / (total - lost)


def _ks(treated: BoolArray, w: FloatArray, last_of_ties: npt.NDArray[np.int64]) -> float:
    share = np.where(treated, w / w[treated].sum(), -w / w[~treated].sum())
    return float(np.max(np.abs(np.cumsum(share)[last_of_ties])))


def standardise(balance: Balance, *, raw_binary: bool = False) -> tuple[FloatArray, FloatArray]:
    """Standardised mean differences before and after weighting.

    Parameters
    ----------
    balance : Balance
    raw_binary : bool
        Leave binary covariates as differences in proportion.

    Returns
    -------
    unadjusted, adjusted : (k,) ndarray
    """
    unit = np.where(balance.sd > 0, balance.sd, 1.0)
    unit = np.where(balance.binary, 1.0, unit) if raw_binary else unit
    return balance.difference_unadjusted / unit, balance.difference / unit


def effective_sample_size(weight: FloatArray) -> float:
    """(sum w)^2 / sum w^2, Kish's effective number of equally weighted rows.

    Examples
    --------
    >>> import numpy as np
    >>> effective_sample_size(np.array([1.0, 1.0, 2.0]))
    2.6666666666666665
    """
    return float(weight.sum() ** 2 / (weight @ weight))
