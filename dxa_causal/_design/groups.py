"""The formula door of models whose right side names groups: Kaplan-Meier, log-rank."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import FormulaError, PredictorError
from dxa_causal._core.options import Missing, check_option
from dxa_causal._design.interval import is_interval, read_interval, with_bounds
from dxa_causal._design.matrix import plain_types, selected_columns, to_pandas
from dxa_causal._design.outcome import coding_notes, read_survival
from dxa_causal._design.parse import parse
from dxa_causal._design.rows import Rows, complete_rows
from dxa_causal.results import Provenance

MAX_GROUPS = 30


@dataclass(frozen=True, eq=False)
class Groups:
    """A survival outcome by group.

    Attributes
    ----------
    outcome : SurvivalOutcome or IntervalOutcome
    codes : (n,) ndarray of int64
        Group of each row.
    labels : tuple
        What the codes stand for: the column's values, or "a=1, b=2" for
        several columns, or "all" for a formula without groups.
    names : list of str
        Grouping columns.
    rows : Rows
    """

    outcome: Any
    codes: npt.NDArray[np.int64]
    labels: tuple[Any, ...]
    names: list[str]
    rows: Rows

    def provenance(self, call: str) -> Provenance:
        """Provenance of an estimate on these rows."""
        return Provenance(
            call=call,
            n_rows=self.rows.n_rows,
            n_used=len(self.rows.frame),
            missing=dict(self.rows.missing),
            notes=coding_notes(self.outcome),
        )


def read_groups(
    formula: str,
    data: Any,
    *,
    arguments: Mapping[str, str | None] | None = None,
    missing: Missing = "drop",
    causes: bool = False,
    interval: bool = False,
) -> Groups:
    """Read ``Surv(...) ~ a + b``: every combination of the columns is a group; `causes`, `interval`: `build_design`."""
    check_option("missing", missing, Missing)
    frame = to_pandas(data)
    parts = parse(formula)
    text = re.sub(r"\bC\(([^()]*)\)", r"\1", parts.fixed)
    names: list[str] = []
    for word in (w.strip().strip("`") for w in text.split("+")):
        if word in ("1", "0", ""):
            continue
        if word not in frame.columns and not word.replace(".", "_").isidentifier():
            raise FormulaError(
                f"the right side {parts.fixed!r} must name grouping columns joined by '+', not expressions; "
                f"make {word!r} a column first"
            )
        names.append(word)
    used = selected_columns(parts.outcome, " + ".join(f"`{n}`" for n in names), frame, arguments or {})
    picked = plain_types(frame[used])
    by_interval = interval and is_interval(parts.outcome, picked)
    rows = complete_rows(with_bounds(parts.outcome, picked) if by_interval else picked, missing=missing)
    outcome: Any
    if by_interval:
        outcome = read_interval(parts.outcome, rows.frame)
    else:
        outcome = read_survival(parts.outcome, rows.frame, causes=causes)
    if not names:
        return Groups(outcome, np.zeros(len(rows.frame), dtype=np.int64), ("all",), names, rows)
    n_groups = int(rows.frame.groupby(names, observed=True).ngroups)
    if n_groups > MAX_GROUPS:
        raise PredictorError(
            f"{' and '.join(names)} make {n_groups} groups, more than {MAX_GROUPS}; cut them into fewer first"
        )
    if len(names) == 1:
        codes, labels = pd.factorize(rows.frame[names[0]], sort=True)
        plain = tuple(v.item() if hasattr(v, "item") else v for v in labels)
        return Groups(outcome, codes.astype(np.int64), plain, names, rows)
    grouped = rows.frame.groupby(names, sort=True, observed=True)
    keys = list(grouped.groups)
    texts = tuple(", ".join(f"{n}={v}" for n, v in zip(names, key, strict=True)) for key in keys)
    return Groups(outcome, grouped.ngroup().to_numpy(dtype=np.int64), texts, names, rows)
