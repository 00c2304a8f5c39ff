"""Gray's score statistic for equal cumulative incidences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.comparison import GroupCounts, lagged, product_within, sum_within

FloatArray = npt.NDArray[np.float64]


def gray_score(counts: GroupCounts, *, rho: float) -> tuple[FloatArray, FloatArray]:
    r"""Score and covariance over groups, summed over strata, for the first of two causes.

    Parameters
    ----------
    counts : GroupCounts
        Of two causes: the one tested, and all others together.
    rho : float

    Notes
    -----
    Per stratum, with S the Kaplan-Meier estimate of each group k, F its
    incidence, :math:`h_k = Y_k / S_k(s-)`, :math:`R_k = h_k (1 - F_k(s-))`, and
    :math:`F_0` the incidence common to all under the null hypothesis,
    :math:`dF_0 = dN / h_.`, the score is

    .. math:: z_k = \sum_s L (dN_k - dN R_k / R_.), \quad L = (1 - F_0(s-))^\rho.

    Written as a sum over the martingales of group r and both causes, an event
    of the cause itself moves it by :math:`a_{kr} + (1 - g_r)(c_{kr}(\infty) - c_{kr}(s))` and one of
    another cause by :math:`-g_r (c_{kr}(\infty) - c_{kr}(s))`, times :math:`1 / h_r`, with

    .. math:: a_{kr} = L h_k (\delta_{kr} - h_r / h_.), \quad c_{kr} = \sum a_{kr} dF_0 / (1 - F_0(s-)),
              \quad g_r = (1 - F_0) / S_r.

    The variance of the first is estimated by :math:`dF_0 / h_r` from all groups
    together, of the second from group r; d tied events among n at risk have their
    variance times :math:`(n - d) / (n - 1)`, n being :math:`h_. S_r(s-)` for the first.
    """
    (own, other), y, closes = counts.n_event, counts.n_risk, counts.closes
    n_groups = y.shape[0]
    present = y > 0
    safe = np.where(present, y, 1.0)
    survival = product_within(1.0 - (own + other) / safe, closes)
    before = lagged(survival, closes, 1.0)
    incidence = sum_within(before * own / safe, closes)
    h = np.divide(y, before, out=np.zeros_like(y), where=present)
    r = h * (1.0 - lagged(incidence, closes, 0.0))
    d, h_all = own.sum(axis=0), h.sum(axis=0)
    common_step = d / h_all
    common = sum_within(common_step, closes)
    common_before = lagged(common, closes, 0.0)
    free = 1.0 - common_before
    weight = np.maximum(free, 0.0) ** rho
    # in a tiny stratum the common incidence can reach one before the last event
    hazard = np.divide(common_step, free, out=np.zeros_like(free), where=free != 0.0)
    score = (weight * (own - d * r / r.sum(axis=0))).sum(axis=1)
    variance = np.zeros((n_groups, n_groups))
    last = np.flatnonzero(closes)
    stratum = np.cumsum(closes) - closes
    for k in range(n_groups):
        share = h[k] / h_all
        a = -weight * h * share
        a[k] = weight * h[k] * (1.0 - share)
        c = sum_within(a * hazard, closes)
        rest = c[:, last[stratum]] - c
        alive = survival[k] > 0
        g = np.divide(1.0 - common, survival[k], out=np.zeros_like(common), where=alive)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = common_step / h[k] * np.where(d > 1, 1.0 - (d - 1) / (h_all * before[k] - 1), 1.0)
            spread_other = other[k] / h[k] ** 2 * np.where(other[k] > 1, 1.0 - (other[k] - 1) / (y[k] - 1), 1.0)
        spread = np.where(present[k], spread, 0.0)
        spread_other = np.where(present[k] & alive, spread_other, 0.0)
        moved, moved_other = a + (1.0 - g) * rest, g * rest
        variance += (moved * spread) @ moved.T + (moved_other * spread_other) @ moved_other.T
    return score, variance
