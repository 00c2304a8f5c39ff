"""The terms of a formula, as text: which one names a column, and the formula without it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dxa_causal._core.errors import StudyFileError
from dxa_causal._design.parse import parse
from dxa_causal._design.rows import columns_used


def right_terms(formula: str) -> list[str]:
    """Terms of the right side, joined there by plus signs.

    Examples
    --------
    >>> right_terms("Surv(age, end, died) ~ rcs(grip, knots=[20 + 5, 30, 40]) + C(sex)+bmi")
    ['rcs(grip, knots=[20 + 5, 30, 40])', 'C(sex)', 'bmi']
    """
    terms, depth = [""], 0
    for letter in parse(formula).fixed:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "+" and depth == 0:
            terms.append("")
        else:
            terms[-1] += letter
    return [t.strip() for t in terms]


def with_terms(formula: str, terms: Sequence[str]) -> str:
    """The formula with other terms on its right side.

    Examples
    --------
    >>> with_terms("Surv(time, died) ~ age + sex", ["age"]), with_terms("Surv(time, died) ~ age", [])
    ('Surv(time, died) ~ age', 'Surv(time, died) ~ 1')
    """
    return f"{parse(formula).outcome} ~ {' + '.join(terms) or '1'}"


def naming(column: str, formula: str, frame: pd.DataFrame) -> list[str]:
    """Terms of the right side that name `column`."""
    return [t for t in right_terms(formula) if column in columns_used(t, frame.columns)]


def only_term(column: str, formula: str, frame: pd.DataFrame) -> str:
    """The one term of the right side that names `column`; an error when there is none or another."""
    found = naming(column, formula, frame)
    if len(found) != 1:
        said = ", ".join(found) if found else "none"
        raise StudyFileError(f"exactly one term of the formula must name {column!r}; found {said}")
    return found[0]
