"""Printed summaries: text in a terminal, HTML in a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def format_value(value: object) -> str:
    """Four significant digits (one decimal from 1000 on), small p-values readable, missing as a dash.

    Examples
    --------
    >>> format_value(0.123456), format_value(227), format_value(float("nan")), format_value(float("inf"))
    ('0.1235', '227', '-', 'inf')
    """
    if isinstance(value, float):
        if value != value:
            return "-"
        if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
            return f"{int(value)}"
        return f"{value:.1f}" if 1e3 <= abs(value) < 1e7 else f"{value:.4g}"
    return str(value)


@dataclass(frozen=True, eq=False, slots=True)
class Summary:
    """A title, tables and notes that print well.

    Attributes
    ----------
    title : str
    tables : sequence of DataFrame
    notes : sequence of str
    """

    title: str
    tables: Sequence[pd.DataFrame]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        blocks = [self.title]
        for table in self.tables:
            text = table.map(format_value)
            blocks.append(text.to_string(index=False))
        if self.notes:
            blocks.append("\n".join(self.notes))
        return "\n\n".join(blocks)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<h4>{html.escape(self.title)}</h4>"]
        parts += [t.map(format_value).to_html(index=False, border=0) for t in self.tables]
        parts += [f"<p>{html.escape(note)}</p>" for note in self.notes]
        return "\n".join(parts)
