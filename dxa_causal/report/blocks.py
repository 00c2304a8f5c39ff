"""What one step of a study hands to the report: text, tables and figures in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from dxa_causal.report.figures import write_figure
from dxa_causal.report.tables import write_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE = "block.json"


@dataclass(frozen=True, slots=True)
class Item:
    """A table, a figure or a list in a block.

    Attributes
    ----------
    kind : {"table", "figure", "flow", "file"}
        A "file" is a table that the page names but does not print.
    name : str
        File name without ending, unique in a run.
    caption : str
    """

    kind: str
    name: str
    caption: str


@dataclass(frozen=True, slots=True)
class Block:
    """A section of the report.

    Attributes
    ----------
    section, title : str
    text : sequence of str
        Paragraphs before the items.
    notes : sequence of str
        Small print after them: provenance, warnings.
    items : sequence of Item
    """

    section: str
    title: str
    text: Sequence[str] = ()
    notes: Sequence[str] = ()
    items: Sequence[Item] = ()


@dataclass(slots=True)
class BlockWriter:
    """Collects the tables and figures of one block in `folder`.

    Attributes
    ----------
    folder : Path
    name : str
        Prefix of the file names.
    section, title : str
    """

    folder: Path
    name: str
    section: str
    title: str
    text: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def table(self, table: pd.DataFrame, what: str, caption: str, *, kind: str = "table") -> None:
        """Write a table as ``{name}_{what}.csv``."""
        write_table(table, self.folder / f"{self.name}_{what}.csv")
        self.items.append(Item(kind, f"{self.name}_{what}", caption))

    def figure(self, ax: Axes, what: str, caption: str) -> None:
        """Write a figure as ``{name}_{what}.svg`` and ``.png``."""
        write_figure(ax, self.folder / f"{self.name}_{what}")
        self.items.append(Item("figure", f"{self.name}_{what}", caption))

    def close(self) -> None:
        """Write ``block.json``."""
        block = Block(self.section, self.title, self.text, self.notes, self.items)
        (self.folder / FILE).write_text(json.dumps(asdict(block), indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_block(folder: Path) -> Block | None:
    """Read the block of a finished step.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Block or None
        None when the step shows nothing.
    """
    path = folder / FILE
    if not path.exists():
        return None
    raw = json.loads(path.read_text("utf-8"))
    return Block(**{**raw, "items": [Item(**item) for item in raw["items"]]})
