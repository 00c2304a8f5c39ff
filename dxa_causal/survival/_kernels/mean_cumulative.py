r"""Mean number of recurrent events per person, with the variance from what each person adds to it.

Notation inside this file, at the distinct exit times of one group:

    Y          sum of weights of the persons at risk
    dR, dD     events / Y, deaths / Y
    S          survival, product of 1 - dD; S- its value just before a time
    f          a factor known just before each time: 1 for the mean, a weight for a test
    mu         running sum of f S- dR

Person i adds to mu(t) (Ghosh & Lin 2000; Lawless & Nadeau 1995 when nobody dies)

    sum_{s <= t} w f S-/Y (dN_i - Y_i dR)  -  sum_{s <= t} (mu(t) - mu(s)) w/Y (dD_i - Y_i dD)

which is G_i(t) - mu(t) P_i(t). A person at risk has G = a - w C(t), P = b - w K(t) with sums C, K common to all,
so the sums of squares over persons follow from running sums of a, b and w: nobody is visited at each event.

Ghosh D, Lin DY. Biometrics 2000;56:554-562. doi:10.1111/j.0006-341X.2000.00554.x
Lawless JF, Nadeau C. Technometrics 1995;37:158-168. doi:10.1080/00401706.1995.10484300
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def mean_cumulative_of_group(
    person: IntArray,
    weight: FloatArray,
    event: IntArray,
    died: IntArray,
    entry_rank: IntArray | None,
    rank: IntArray,
    factor: FloatArray,
) -> FloatArray:
    """At risk, events, deaths, mean and its variance at each rank, (5, k); arguments as in the kernel."""
    names, codes = np.unique(person, return_inverse=True)
    entry = np.full(rank.size, -1, dtype=np.int64) if entry_rank is None else entry_rank
    by_entry, by_leave = np.argsort(entry, kind="stable"), np.argsort(rank, kind="stable")
    return np.asarray(
        mean_cumulative_steps(codes, names.size, weight, event, died, entry, rank, by_entry, by_leave, factor)
    )


@kernel
def mean_cumulative_steps(
    person, n_persons, weight, event, death, entry, leave, by_entry, by_leave, factor
):  # fmt: skip
    """Mean cumulative function of one group.

    Parameters
    ----------
    person : (n,) ndarray of int64
        Codes 0 ... n_persons - 1; rows of a person do not overlap.
    n_persons : int
    weight : (n,) ndarray
    event, death : (n,) ndarray of int64
        What happens at the end of the row.
    entry, leave : (n,) ndarray of int64
        Rank of the times among those of `factor`; -1 for rows at risk from the start.
    by_entry, by_leave : (n,) ndarray of int64
        Rows sorted by either.
    factor : (k,) ndarray

    Returns
    -------
    (5, k) ndarray
        Y, events, deaths, mu and its variance, at each rank.
    """
    n, k = person.shape[0], factor.shape[0]
    out = np.zeros((5, k))
    g, p = np.zeros(n_persons), np.zeros(n_persons)
    # sums over those not at risk: gg, gp, pp; over those at risk: aa, ab, bb, wa, wb, ww
    away, here = np.zeros(3), np.zeros(6)
    at_risk, count = 0.0, 0
    c = kk = mu = 0.0
    survival = 1.0
    come, go = 0, 0
    for t in range(k):
        while come < n and entry[by_entry[come]] < t:
            i = by_entry[come]
            who, w = person[i], weight[i]
            _move(away, g[who], p[who], -1.0)
            g[who] += w * c
            p[who] += w * kk
            _meet(here, g[who], p[who], w, 1.0)
            at_risk += w
            count += 1
            come += 1
        first = go
        events = deaths = 0.0
        while go < n and leave[by_leave[go]] == t:
            i = by_leave[go]
            events += weight[i] * event[i]
            deaths += weight[i] * death[i]
            go += 1
        if count > 0:
            gain = factor[t] * survival / at_risk
            mu += gain * events
            c += gain * events / at_risk + mu * deaths / at_risk**2
            kk += deaths / at_risk**2
            out[0, t] = at_risk
            survival *= max(1.0 - deaths / at_risk, 0.0)
            y = at_risk
            for q in range(first, go):
                i = by_leave[q]
                who, w = person[i], weight[i]
                _meet(here, g[who], p[who], w, -1.0)
                g[who] += w * (gain * event[i] + mu * death[i] / y - c)
                p[who] += w * (death[i] / y - kk)
                _move(away, g[who], p[who], 1.0)
                at_risk -= w
                count -= 1
            if count == 0:
                at_risk = 0.0
        out[1, t], out[2, t], out[3, t] = events, deaths, mu
        gg = away[0] + here[0] - 2 * c * here[3] + c * c * here[5]
        gp = away[1] + here[1] - kk * here[3] - c * here[4] + c * kk * here[5]
        pp = away[2] + here[2] - 2 * kk * here[4] + kk * kk * here[5]
        out[4, t] = max(gg - 2 * mu * gp + mu * mu * pp, 0.0)
    return out


@inner
def _move(away, g, p, sign):
    away[0] += sign * g * g
    away[1] += sign * g * p
    away[2] += sign * p * p


@inner
def _meet(here, a, b, w, sign):
    here[0] += sign * a * a
    here[1] += sign * a * b
    here[2] += sign * b * b
    here[3] += sign * w * a
    here[4] += sign * w * b
    here[5] += sign * w * w


@warms
def _warm() -> None:
    zero, one = np.zeros(2, dtype=np.int64), np.ones(2, dtype=np.int64)
    rows = np.arange(2)
    mean_cumulative_steps(rows, 2, np.ones(2), one, zero, zero - 1, rows, rows, rows, np.ones(2))
