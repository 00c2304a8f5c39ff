"""Influence of single rows on a Fine-Gray fit, with what the estimation of the weights adds.

Notation as in `_kernels/fine_gray.py`.

Fine JP, Gray RJ. J Am Stat Assoc 1999;94:496-509. doi:10.1080/01621459.1999.10474144
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dxa_causal.survival._kernels.fine_gray import EventSums, FineGrayData, Leaving, event_sums, exposure, prefix
from dxa_causal.survival._kernels.influence import sum_of_squares

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def score_influence(data: FineGrayData, beta: FloatArray) -> FloatArray:
    """What each row of `data` adds to the score, (n, p), weighted, standardised scale.

    The sum over rows is zero. Unless W is `known` its estimation is part of
    it: eta_i + psi_i of Fine & Gray (1999), section 4.
    """
    s = event_sums(data, beta)
    groups = s.groups
    score = exposure(data, s.risk, groups.drift) - data.x * exposure(data, s.risk, groups.hazard[:, None])
    died = data.event == 1
    g, x = data.last[died], data.x[died]
    score[died] += data.weight[died, None] * (x - groups.mean[g])
    score[died] += s.risk[died, None] * (x * groups.tie_share[g][:, None] - groups.tie_drift[g])
    if not data.known:
        for part in data.leaving:
            c = _carry(data, s.risk, part)
            ahead = prefix(data.level[c.stratum][:, None] * np.column_stack([groups.hazard, groups.drift]))
            ahead = ahead[-1] - ahead[c.groups]
            q = c.share_x * ahead[:, :1] - c.share[:, None] * ahead[:, 1:]
            running = prefix(q * c.per_hazard[:, None])
            score[part.leavers] += data.weight[part.leavers, None] * (q * c.per_leaver[:, None])[c.own]
            score[part.rows] -= data.weight[part.rows, None] * (running[c.go] - running[c.come])
    return score


@dataclass(frozen=True, slots=True)
class Carried:
    """How the estimation of one part of W acts, at its u times of leaving.

    The derivative of a sum over late rows and groups by the hazard of leaving
    at u takes the rows with T < u and the groups t >= u (T <= u < t for entry,
    with the opposite sign), Fine & Gray p. 501. A row then adds q(u) times its
    martingale of leaving over the number at risk.

    Attributes
    ----------
    stratum : int
    groups : (u,) ndarray of int64
        Number of groups before each time.
    share, share_x : (u,), (u, p) ndarray
        Sum of risk / W(T), and of the same times x, over the late rows carried past each time.
    per_leaver, per_hazard : (u,) ndarray
        Factors of q for the row that leaves and for each row at risk.
    own : (l,) ndarray of int64
        Time at which each leaver leaves.
    come, go : (m,) ndarray of int64
        Rows at risk of leaving from time `come` up to before time `go`.
    """

    stratum: int
    groups: IntArray
    share: FloatArray
    share_x: FloatArray
    per_leaver: FloatArray
    per_hazard: FloatArray
    own: IntArray
    come: IntArray
    go: IntArray


def _carry(data: FineGrayData, risk: FloatArray, part: Leaving) -> Carried:
    censoring = part.kind == "censoring"
    side: Literal["left", "right"] = "left" if censoring else "right"
    other: Literal["left", "right"] = "right" if censoring else "left"
    stratum = int(data.curve[part.rows[0]])
    late = data.late[data.curve[data.late] == stratum]
    past = np.searchsorted(data.rank[late], part.at, side=side)
    share = risk[late] * data.after[late]
    per_leaver = (1.0 if censoring else -1.0) / part.n_risk
    left = data.rank if censoring else data.entry_rank
    return Carried(
        stratum=stratum,
        groups=np.searchsorted(data.group_rank, part.at, side=side),
        share=prefix(share)[past],
        share_x=prefix(share[:, None] * data.x[late])[past],
        per_leaver=per_leaver,
        per_hazard=per_leaver * part.n_leave / part.n_risk,
        own=np.searchsorted(part.at, left[part.leavers]),
        come=np.searchsorted(part.at, data.entry_rank[part.rows], side=other),
        go=np.searchsorted(part.at, data.rank[part.rows], side=other),
    )


def hazard_moments(
    data: FineGrayData, s: EventSums, unit: IntArray, beta_influence: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Sums over units of the squared influence on the baseline hazard, and of it times that on beta.

    A row's influence on the hazard after m groups (at fixed beta) is
    :math:`\sum_j c_j P_j(m)` with paths P that all rows share and
    coefficients c that change when the row comes and when it leaves (see
    `jackknife_variance`), so no array of rows x times is needed.

    Parameters
    ----------
    data : FineGrayData
    s : EventSums
    unit : (n,) ndarray of int64
        Unit of each row.
    beta_influence : (units, p) ndarray
        Standardised scale.

    Returns
    -------
    variance : (g + 1,) ndarray
        After 0, 1, ..., g groups.
    shared : (g + 1, p) ndarray
    """
    n, groups, n_curves = unit.size, s.groups, len(data.level)
    plain = prefix(groups.a)
    weighted = prefix((data.level * groups.a).T)
    come, go = data.before + 1, data.last + 1
    died = np.flatnonzero(data.event == 1)
    # columns of `during` and `after`: the paths `plain`, 1, `weighted` per stratum, and the loss through estimating W
    path = np.column_stack([plain, np.ones(plain.size), weighted, np.zeros_like(weighted)])
    during, after = np.zeros((n, path.shape[1])), np.zeros((n, path.shape[1]))
    during[:, 0] = -s.risk
    during[:, 1] = s.risk * plain[come]
    after[:, 1] = -s.risk * (plain[go] - plain[come])
    g = data.last[died]
    after[died, 1] += data.weight[died] * groups.hazard[g] / groups.weight[g] + s.risk[died] * groups.b[g]
    late, curve = data.late, data.curve[data.late]
    share = s.risk[late] * data.after[late]
    after[late, 2 + curve] -= share
    after[late, 1] += share * weighted[go[late], curve]
    for part in () if data.known else data.leaving:
        c = _carry(data, s.risk, part)
        column, lost, w = 2 + c.stratum, 2 + n_curves + c.stratum, data.weight[part.rows]
        start = weighted[c.groups, c.stratum]
        slope = prefix(c.share * c.per_hazard)
        level = prefix(c.share * c.per_hazard * start)
        begun = np.searchsorted(c.groups, np.arange(plain.size))
        path[:, lost] += weighted[:, c.stratum] * slope[begun] - level[begun]
        during[part.rows, lost] = -w
        during[part.rows, column] += w * slope[c.come]
        during[part.rows, 1] -= w * level[c.come]
        after[part.rows, column] -= w * (slope[c.go] - slope[c.come])
        after[part.rows, 1] += w * (level[c.go] - level[c.come])
        jump = data.weight[part.leavers] * (c.share * c.per_leaver)[c.own]
        for state in (after,) if part.kind == "censoring" else (during, after):
            state[part.leavers, column] += jump
            state[part.leavers, 1] -= jump * start[c.own]
    place = np.concatenate([come, go])
    change = np.concatenate([during, after - during])
    units = np.tile(unit, 2)
    order = np.argsort(place, kind="stable")
    variance = sum_of_squares(path, place[order], units[order], change[order], len(beta_influence))
    shared = np.zeros((plain.size, beta_influence.shape[1]))
    for j in range(path.shape[1]):
        for k in range(shared.shape[1]):
            moved = np.bincount(place, change[:, j] * beta_influence[units, k], plain.size)
            shared[:, k] += path[:, j] * np.cumsum(moved)
    return variance, shared
