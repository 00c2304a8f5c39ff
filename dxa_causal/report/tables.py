"""Tables as CSV that is the same byte for byte, and as HTML."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import pandas as pd

from dxa_causal.plots.style import term_label
from dxa_causal.report.labels import label
from dxa_causal.results import format_value

FLOAT_FORMAT = "%.10g"


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write CSV that is the same byte for byte: ten significant digits, Unix line ends, no index.

    Parameters
    ----------
    table : DataFrame
    path : Path
    """
    with open(path, "w", encoding="utf-8", newline="") as handle:
        table.to_csv(handle, index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def html_table(table: pd.DataFrame, *, max_rows: int = 60) -> str:
    """Write a table as HTML, numbers right-aligned, p-values readable.

    Parameters
    ----------
    table : DataFrame
    max_rows : int
        A longer table is cut and says so.
    """
    if "reason" in table and table["reason"].fillna("").eq("").all():
        table = table.drop(columns="reason")
    shown = table.head(max_rows)
    numeric = [pd.api.types.is_numeric_dtype(shown[c].dtype) for c in shown.columns]
    kind = ["num" if n else "txt" for n in numeric]
    lines = ["<div class='scroll'><table>", "<thead><tr>"]
    lines += [f"<th class='{k}'>{html.escape(label(str(c)))}</th>" for c, k in zip(shown.columns, kind, strict=True)]
    lines.append("</tr></thead><tbody>")
    for row in shown.itertuples(index=False):
        cells = []
        for column, value, k in zip(shown.columns, row, kind, strict=True):
            cells.append(f"<td class='{k}'>{html.escape(_cell(str(column), value))}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</tbody></table></div>")
    if len(table) > max_rows:
        lines.append(f"<p class='note'>First {max_rows} of {len(table)} rows; all are in the CSV file.</p>")
    return "\n".join(lines)


def _cell(column: str, value: object) -> str:
    if column == "p_value" and isinstance(value, float | np.floating) and value == value:
        return "<0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
    if isinstance(value, float | np.floating):
        return "" if value != value else format_value(float(value))
    if value is None or value is pd.NA:
        return ""
    if column == "term":
        return term_label(str(value))
    return str(value)
