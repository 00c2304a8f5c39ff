"""Probabilities from the hazards of several causes, with influence-function standard errors.

Ozenne B et al. R J 2017;9:440-460. doi:10.32614/RJ-2017-062
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from dxa_causal.survival._kernels.cox import CoxData, increments

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BLOCK = 4_000_000  # values of new rows x rows of the fit held at a time


@dataclass(frozen=True, slots=True)
class Hazard:
    """Hazard of one cause in one stratum on a grid of g times, and what every row adds to it.

    Attributes
    ----------
    beta, centre, scale : (p,) ndarray
        Coefficients and standardisation of the covariates.
    shift : float
        Linear predictor to which the increments belong.
    increment, variance : (g,) ndarray
        A and a of the Cox kernel.
    drift : (g, p) ndarray
    come, go : (m,) ndarray of int64
        Grid times up to the entry and up to the exit of the stratum's rows.
    risk : (m,) ndarray
    died : (d,) ndarray of int64
        Those of the m rows that have the event.
    jump : (d,) ndarray
        What the event adds to the baseline hazard.
    members : (units, m) sparse array
        Which unit (row or cluster) each of the m rows belongs to.
    beta_influence : (units, p) ndarray
        Influence of all units on the coefficients, standardised scale.
    """

    beta: FloatArray
    centre: FloatArray
    scale: FloatArray
    shift: float
    increment: FloatArray
    variance: FloatArray
    drift: FloatArray
    come: IntArray
    go: IntArray
    risk: FloatArray
    died: IntArray
    jump: FloatArray
    members: sparse.csr_array
    beta_influence: FloatArray


def hazard_on_grid(
    data: CoxData, beta: FloatArray, influence: FloatArray, stratum: int, grid: IntArray, unit: IntArray
) -> Hazard:
    """Put one stratum of a Cox fit on a grid of ranked times that holds its event times.

    Parameters
    ----------
    data : CoxData
    beta : (p,) ndarray
        Standardised scale, as `influence`.
    influence : (m, p) ndarray
        Of the rows ``data.sets.order`` on `beta`, not weighted.
    stratum : int
    grid : (g,) ndarray of int64
    unit : (n,) ndarray of int64
        Unit of each row of the data.
    """
    sets, inc = data.sets, increments(data, beta)
    p, n_units = beta.size, int(unit.max()) + 1
    beta_influence = np.zeros((n_units, p))
    np.add.at(beta_influence, unit[sets.order], influence * data.weight[:, None])
    groups = np.flatnonzero(sets.group_stratum == stratum)
    place = np.searchsorted(grid, sets.group_rank[groups])
    increment, variance, drift = np.zeros(grid.size), np.zeros(grid.size), np.zeros((grid.size, p))
    increment[place], variance[place], drift[place] = inc.hazard[groups], inc.a[groups], inc.drift[groups]
    start = groups[0] if groups.size else 0
    rows = np.flatnonzero((sets.last >= start) & (sets.last < start + groups.size))
    last, before = sets.last[rows], sets.before[rows]
    after = np.concatenate([[0], place + 1])  # grid times up to a group of the stratum; 0 for none
    shift = float(inc.centre[start]) if groups.size else 0.0
    risk = data.weight[rows] * np.exp(data.offset[rows] + data.x[rows] @ beta - shift)
    died = np.flatnonzero(sets.event[rows] == 1)
    g = last[died]
    members = (np.ones(rows.size), (unit[sets.order[rows]], np.arange(rows.size)))
    return Hazard(
        beta=beta,
        centre=data.centre,
        scale=data.scale,
        shift=shift,
        increment=increment,
        variance=variance,
        drift=drift,
        come=after[np.maximum(before - start + 1, 0)],
        go=after[last - start + 1],
        risk=risk,
        died=died,
        jump=data.weight[rows][died] * (inc.hazard / inc.weight)[g] + risk[died] * inc.b[g],
        members=sparse.csr_array(members, shape=(n_units, rows.size)),
        beta_influence=beta_influence,
    )


def incidence(
    hazards: Sequence[Hazard], x: FloatArray, cause: int, upto: IntArray, *, product_limit: bool, errors: bool
) -> tuple[FloatArray, FloatArray]:
    """Cumulative incidence of one cause, or event-free survival, of new rows.

    Parameters
    ----------
    hazards : sequence of Hazard
        One per cause, on the same grid.
    x : (r, p) ndarray
    cause : int
        Position among `hazards`; -1 for survival.
    upto : (k,) ndarray of int64
        Number of grid times up to each time asked for.
    product_limit : bool
    errors : bool
        Whether standard errors are wanted; they cost O(rows of the fit) for each new row and time.

    Returns
    -------
    estimate, std_error : (r, k) ndarray
    """
    estimate = np.empty((len(x), upto.size))
    std_error = np.zeros_like(estimate)
    most = max(hazards[0].increment.size, hazards[0].members.shape[0] if errors else 1)
    for rows in np.array_split(np.arange(len(x)), 1 + len(x) * most // _BLOCK):
        standard = [(x[rows] - h.centre) / h.scale for h in hazards]
        risk = [np.exp(s @ h.beta - h.shift)[:, None] for s, h in zip(standard, hazards, strict=True)]
        increment = [r * h.increment for r, h in zip(risk, hazards, strict=True)]
        total = np.sum(increment, axis=0)
        if product_limit:
            left = np.maximum(1.0 - total, 0.0)
            survival = np.cumprod(left, axis=1)
            with np.errstate(divide="ignore"):
                loss = np.where(left > 0.0, 1.0 / left, 0.0)
        else:
            survival, loss = np.exp(-np.cumsum(total, axis=1)), np.ones_like(total)
        survival = np.column_stack([np.ones(rows.size), survival])
        before = survival[:, :-1]
        if cause < 0:
            value = survival
        else:
            share = increment[cause] / np.maximum(total, 1.0) if product_limit else increment[cause]
            value = _prefix(before * share)
        estimate[rows] = value[:, upto]
        if not errors:
            continue
        for column, m in enumerate(upto):
            # an increment of any cause at u takes away its share of what comes after u; one of the cause adds S(u-)
            lost = -loss[:, :m] * (value[:, [m]] - (0.0 if cause < 0 else value[:, 1 : m + 1]))
            influence = np.zeros((rows.size, hazards[0].members.shape[0]))
            for j, h in enumerate(hazards):
                effect = risk[j] * (lost + before[:, :m] if j == cause else lost)
                influence += _influence(h, standard[j], effect, m)
            std_error[rows, column] = np.sqrt(np.einsum("ij,ij->i", influence, influence))
    return estimate, std_error


def _influence(h: Hazard, standard: FloatArray, effect: FloatArray, m: int) -> FloatArray:
    """Influence of every unit on the sum of effect times baseline increment over the first m times, (r, units)."""
    spent = _prefix(effect * h.variance[:m])
    own = spent[:, np.minimum(h.go, m)]
    if h.come.any():
        own = own - spent[:, np.minimum(h.come, m)]
    own = -h.risk * own
    seen = h.go[h.died] <= m
    own[:, h.died[seen]] += effect[:, h.go[h.died[seen]] - 1] * h.jump[seen]
    slope = standard * (effect @ h.increment[:m])[:, None] - effect @ h.drift[:m]
    out: FloatArray = slope @ h.beta_influence.T
    out += (h.members @ own.T).T
    return out


def _prefix(values: FloatArray) -> FloatArray:
    """Running sums along the rows, with a leading zero."""
    return np.column_stack([np.zeros(len(values)), np.cumsum(values, axis=1)])
