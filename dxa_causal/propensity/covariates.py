"""The covariates of a propensity formula as a balance table shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from formulaic import Formula
from formulaic.parser.types import Factor, Term

from dxa_causal._design import Design
from dxa_causal._design.rows import columns_used

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Covariates:
    """Columns to balance, each with its term and, for a factor, its level.

    Attributes
    ----------
    x : (n, k) ndarray
    terms, levels : list of str
        `levels` is empty text for what is not a level.
    """

    x: FloatArray
    terms: list[str]
    levels: list[str]


def covariates(design: Design) -> Covariates:
    """Every level of every factor, the variable behind a spline, and all else as in the formula.

    A factor with two levels gives one column, the second level. Products give
    the factors they are made of, once.
    """
    frame = design.rows.frame
    factors = dict.fromkeys(
        factor
        for term in design.spec.formula
        for factor in term.factors
        if factor.eval_method is not Factor.EvalMethod.LITERAL  # the intercept
    )
    # One term per factor, and no full-rank rule: formulaic then keeps the reference levels.
    formula = Formula([Term([factor]) for factor in factors])
    spec = design.spec.update(formula=formula, structure=None, ensure_full_rank=False)
    matrix = spec.get_model_matrix(frame, output="pandas", na_action="raise")
    columns: dict[tuple[str, str], Any] = {}
    for factor in factors:
        name = str(factor).replace("`", "")
        values = matrix.iloc[:, matrix.model_spec.term_indices[Term([factor])]]
        levels = matrix.model_spec.encoder_state[str(factor)][1].get("categories")
        if levels is not None:
            for j in range(len(levels) == 2, len(levels)):
                columns[name, str(levels[j])] = values.iloc[:, j]
        elif values.shape[1] > 1:  # a spline or polynomial: show the variable itself
            for variable in columns_used(str(factor), frame.columns):
                columns[variable, ""] = frame[variable]
        else:
            columns[name, ""] = values.iloc[:, 0]
    x = np.empty((len(frame), len(columns)))
    for j, column in enumerate(columns.values()):
        x[:, j] = column
    return Covariates(x, [term for term, _ in columns], [level for _, level in columns])
