"""The left side of a propensity formula: who was treated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import FormulaError, OutcomeError, PredictorError, shown
from dxa_causal._design import Design
from dxa_causal._design.rows import columns_used


def read_treatment(design: Design) -> tuple[npt.NDArray[np.bool_], str]:
    """Treated rows, and what being treated means in words.

    Accepts 0/1, boolean, a categorical with two levels (the second is
    treated) and an expression such as ``arm == 2``.

    Raises
    ------
    OutcomeError
        Any other coding, or rows of one arm only.
    """
    name, values = design.parts.outcome, design.outcome
    if not isinstance(values, pd.Series):
        raise FormulaError(
            f"the left side {name!r} must name the treatment, for instance 'treated ~ age + sex'; "
            "outcomes come after the weights"
        )
    columns = design.rows.frame.columns
    both = set(columns_used(name, columns)) & set(columns_used(design.parts.fixed, columns))
    if both:
        raise PredictorError(f"{sorted(both)} stands on both sides of the formula: a treatment cannot predict itself")
    treated, meaning = _decode(values, name)
    if treated.all() or not treated.any():
        arm = "treated" if treated.all() else "controls"
        raise OutcomeError(
            f"treatment {name!r}: all {treated.size} rows analysed are {arm}; weighting needs both arms; "
            f"{_found(values)}"
        )
    return treated, meaning


def _decode(values: pd.Series, name: str) -> tuple[npt.NDArray[np.bool_], str]:
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = list(values.cat.remove_unused_categories().cat.categories)
        if len(levels) == 2:
            return np.asarray(values == levels[1]), f"treated is {name} == {shown(levels[1])}"
    elif pd.api.types.is_bool_dtype(values.dtype):
        return np.asarray(values, dtype=np.bool_), f"treated is {name}"
    else:
        levels = list(pd.unique(values))
        if set(levels) <= {0, 1}:  # also True and False in a column that had missing values
            return np.asarray(values == 1), f"treated is {name} == 1" if "==" not in name else f"treated is {name}"
        levels = sorted(levels, key=lambda level: (isinstance(level, str), level))
    if len(levels) > 6:
        cure = "make a column of 0 and 1, or compare with a value: (dose > 10) ~ ..."
    else:
        cure = f"say who is treated, for instance ({name} == {shown(levels[-1])}) ~ ..."
    hint = " (R's coding of a factor?)" if set(levels) == {1, 2} else ""
    raise OutcomeError(
        f"treatment {name!r} must be 0/1, True/False or a categorical with two levels, but {_found(values)}{hint}; "
        f"{cure}"
    )


def _found(values: pd.Series) -> str:
    counts = values.value_counts()
    counts = counts[counts > 0]
    if len(counts) > 6:
        return f"the column holds {len(counts)} different values, such as {shown(values.iloc[0])}"
    listed = ", ".join(f"{shown(level)} ({n} rows)" for level, n in counts.items())
    return f"the column holds {listed}"
