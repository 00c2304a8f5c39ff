"""Where a distribution known up to intervals can have mass: Turnbull's innermost intervals, also under truncation.

Every row says that its time lies in (left, right], or is exactly t, given that it is beyond entry. On the ranks r of
the distinct times an interval is (2 r(left), 2 r(right)] and an exact time (2 r - 1, 2 r], so that all are half-open
intervals of whole numbers.

Mass moved to the right over a bound gains the rows that begin there and loses those that end there; moved to the left
over an entry time it leaves the denominator of those who enter there. So a region (q, p] can hold mass only if some row
begins at q, some row ends or enters at p, and no bound lies between.

Turnbull BW. J R Stat Soc B 1976;38:290-295. Alioum A, Commenges D. Biometrics 1996;52:512-524.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._numerics.times import rank_times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Support:
    """Regions that can hold mass, and which of them each row covers.

    Attributes
    ----------
    left, right : (m,) ndarray
        Region k is (left[k], right[k]]; equal where it is a point; the last `right` may be infinite.
    entry, low, high : (n,) ndarray of int64
        Row i is under observation from region ``entry[i]`` on, known to survive those before ``low[i]``, and its time
        lies in one of ``low[i] .. high[i] - 1``.
    """

    left: FloatArray
    right: FloatArray
    entry: IntArray
    low: IntArray
    high: IntArray


def innermost(left: FloatArray, right: FloatArray, entry: FloatArray | None) -> Support:
    """Find the regions by sorting the bounds once."""
    n = left.size
    finite = np.isfinite(right)
    given = np.concatenate([left, right[finite], np.empty(0) if entry is None else entry])
    times = rank_times(given)
    begin = 2 * times.rank[:n]
    end = np.full(n, 2 * times.distinct.size, dtype=np.int64)
    end[finite] = 2 * times.rank[n : n + finite.sum()]
    begin = np.where(begin == end, end - 1, begin)
    start = np.full(n, -2, dtype=np.int64) if entry is None else 2 * times.rank[n + finite.sum() :]
    closing = np.unique(np.concatenate([end, start]))
    opening = np.unique(begin)
    bounds = np.unique(np.concatenate([opening, closing]))
    following = bounds[np.searchsorted(bounds, opening, side="right").clip(max=bounds.size - 1)]
    holds = np.isin(following, closing) & (following > opening)
    a, b = opening[holds], following[holds]
    value = np.append(times.distinct, np.inf)
    return Support(
        left=value[(a + 1) // 2],
        right=value[b // 2],
        entry=np.searchsorted(a, start, side="left"),
        low=np.searchsorted(a, begin, side="left"),
        high=np.searchsorted(b, end, side="right"),
    )


def spent(support: Support) -> BoolArray:
    """Regions that nobody under observation is known to survive: survival falls to zero there, (m,)."""
    m = support.left.size
    at_risk = np.cumsum(np.bincount(support.entry, minlength=m + 1) - np.bincount(support.low, minlength=m + 1))
    gone: BoolArray = at_risk[:m] == 0
    return gone
