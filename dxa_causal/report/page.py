"""The report: one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dxa_causal._core.files import atomic_file
from dxa_causal.report.blocks import Block
from dxa_causal.report.tables import html_table


def write_page(
    path: Path,
    *,
    title: str,
    description: str,
    blocks: Sequence[tuple[Block, Path]],
    manifest: Mapping[str, Any],
) -> None:
    """Write the report.

    Parameters
    ----------
    path : Path
    title, description : str
    blocks : sequence of (Block, Path)
        Each block with the folder that holds its files.
    manifest : mapping
        Shown at the end: inputs, versions, seed, steps.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dxa_causal.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    sections: dict[str, list[dict[str, Any]]] = {}
    for block, folder in blocks:
        items = [
            {"kind": item.kind, "name": item.name, "caption": item.caption, "html": _item(item.kind, item.name, folder)}
            for item in block.items
        ]
        shown = {"title": block.title, "text": block.text, "notes": block.notes, "parts": items}
        sections.setdefault(block.section, []).append(shown)
    page = environment.get_template("report.html").render(
        title=title, description=description, sections=sections, manifest=manifest
    )
    with atomic_file(path) as temporary:
        temporary.write_text(page + "\n", "utf-8")


def _item(kind: str, name: str, folder: Path) -> str:
    if kind == "figure":
        data = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode("ascii")
        return f"<img alt='{name}' src='data:image/svg+xml;base64,{data}'>"
    if kind == "file":
        return ""
    table = pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""])  # "null" is a word
    return _flow(table) if kind == "flow" else html_table(table)


def _flow(table: pd.DataFrame) -> str:
    """Participant flow as boxes: who was there, who left and why, who stayed."""
    first, *others = table.itertuples(index=False)
    lines = ["<ol class='flow'>", f"<li><b>{first.n_remaining:,}</b> {html.escape(str(first.step))}</li>"]
    for row in others:
        lines.append(
            f"<li class='out'><b>{row.n_excluded:,}</b> left out: {html.escape(str(row.step))} "
            f"<span class='stay'>{row.n_remaining:,} remain</span></li>"
        )
    lines.append(f"<li><b>{table['n_remaining'].iloc[-1]:,}</b> analysed</li></ol>")
    return "\n".join(lines)
