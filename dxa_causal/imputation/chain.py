"""One chain of the sampler: each column with missing values is drawn anew from the others, over and over."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from dxa_causal.imputation._kernels.categorical import Draw, draw_multinomial, draw_ordered
from dxa_causal.imputation._kernels.linear import draw_matched, draw_normal
from dxa_causal.imputation.derived import Derived
from dxa_causal.imputation.variables import Variable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """A column with missing values and the model it is drawn from.

    Attributes
    ----------
    name, method : str
    observed, missing : ndarray of int64
        Rows.
    predictors : (p,) ndarray of int64
        Columns of the design matrix, the first is that of ones.
    """

    name: str
    method: str
    observed: IntArray
    missing: IntArray
    predictors: IntArray


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """All a chain needs; the same for every imputation.

    Attributes
    ----------
    variables : dict of str to Variable
    design : (n, P) ndarray
        Ones, outcome, then each variable's columns; zero where missing.
    place : dict of str to slice
        Columns of each variable in the design.
    scaling : dict of str to (centre, scale)
    targets : tuple of Target
        In the order they are visited.
    derived : tuple of Derived
    donors : int
    n_iterations : int
    """

    variables: dict[str, Variable]
    design: FloatArray
    place: dict[str, slice]
    scaling: dict[str, tuple[float, float]]
    targets: tuple[Target, ...]
    derived: tuple[Derived, ...]
    donors: int
    n_iterations: int


@dataclass(frozen=True, eq=False, slots=True)
class ChainEnd:
    """Where a chain came to, and how it went.

    Attributes
    ----------
    values : dict of str to ndarray
        Imputed values (codes of levels) in the order of the missing rows; of computed columns all rows.
    mean, sd : (n_iterations, k) ndarray
        Of the imputed values of each target.
    """

    values: dict[str, FloatArray]
    mean: FloatArray
    sd: FloatArray


@cache
def _threads() -> Any:
    """Looking for the libraries takes longer than a short chain."""
    return ThreadpoolController()


class _State:
    """Values of one chain: by column, and as the design matrix."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.design = plan.design.copy()
        self.values = {name: v.values.copy() for name, v in plan.variables.items()}

    def put(self, name: str, rows: IntArray | slice, values: FloatArray) -> None:
        """Set values and the columns of the design that stand for them."""
        self.values[name][rows] = values
        place, levels = self.plan.place[name], self.plan.variables[name].levels
        if levels is None:
            centre, scale = self.plan.scaling[name]
            self.design[rows, place.start] = (values - centre) / scale
        else:
            self.design[rows, place] = values[:, None] == np.arange(1, place.stop - place.start + 1)

    def derive(self, changed: str | None) -> None:
        """Compute columns made of the one that changed; all of them for None."""
        for column in self.plan.derived:
            if changed is None or changed in column.sources:
                values = column.compute({name: self._shown(name) for name in column.sources})
                values = np.broadcast_to(values, (len(self.design),)).copy()
                column.refuse_missing(values)
                self.put(column.name, slice(None), values)

    def _shown(self, name: str) -> Any:
        levels = self.plan.variables[name].levels
        values = self.values[name]
        return values if levels is None else np.asarray(levels)[values.astype(np.int64)]


def run_chain(plan: Plan, rng: np.random.Generator) -> ChainEnd:
    """Start from observed values drawn at random, and go round `n_iterations` times.

    One thread: sums come out in one order wherever the chain runs, so that a seed gives the same values.
    """
    with _threads().limit(limits=1):
        state = _State(plan)
        for target in plan.targets:
            known = state.values[target.name][target.observed]
            state.put(target.name, target.missing, rng.choice(known, len(target.missing)))
        state.derive(None)
        estimates: dict[str, FloatArray] = {}
        mean = np.empty((plan.n_iterations, len(plan.targets)))
        sd = np.empty_like(mean)
        for iteration in range(plan.n_iterations):
            for k, target in enumerate(plan.targets):
                drawn = _draw(state, target, estimates, rng)
                state.put(target.name, target.missing, drawn)
                state.derive(target.name)
                mean[iteration, k], sd[iteration, k] = drawn.mean(), drawn.std(ddof=min(1, drawn.size - 1))
    values = {t.name: state.values[t.name][t.missing] for t in plan.targets}
    values |= {column.name: state.values[column.name] for column in plan.derived}
    return ChainEnd(values, mean, sd)


def _draw(state: _State, target: Target, estimates: dict[str, FloatArray], rng: np.random.Generator) -> FloatArray:
    observed = state.design[np.ix_(target.observed, target.predictors)]
    missing = state.design[np.ix_(target.missing, target.predictors)]
    y = state.values[target.name][target.observed]
    if target.method == "norm":
        return draw_normal(observed, y, missing, rng)
    if target.method == "pmm":
        return draw_matched(observed, y, missing, state.plan.donors, rng)
    levels = state.plan.variables[target.name].levels
    assert levels is not None
    if len(levels) == 1:
        return np.zeros(len(target.missing))
    draw = draw_ordered if target.method == "polr" else draw_multinomial
    found: Draw = draw(observed, y.astype(np.int64), missing, len(levels), estimates.get(target.name), rng)
    estimates[target.name] = found.estimate
    return found.codes.astype(np.float64)
