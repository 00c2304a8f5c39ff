"""Write a data set: the Parquet file and, beside it, the TOML file with source, licence and codebook."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dxa_causal._core.files import atomic_file
from dxa_causal.datasets.catalogue import DATA


@dataclass(frozen=True, slots=True)
class Column:
    """One line of a codebook.

    Attributes
    ----------
    name, unit, description : str
    source : str
        Column of the source it is copied from; empty when it is derived.
    low, high : float or None
        Plausible range, in `unit`; values outside become missing and are counted.
    """

    name: str
    unit: str
    description: str
    source: str = ""
    low: float | None = None
    high: float | None = None


def drop_implausible(frame: pd.DataFrame, columns: Sequence[Column]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Set values outside the plausible range of their column missing, and count them."""
    kept, counts = frame.copy(), {}
    for column in columns:
        if column.low is not None and column.high is not None:
            values = kept[column.name]
            outside = (values < column.low) | (values > column.high)
            kept[column.name] = values.mask(outside)
            counts[column.name] = int(outside.sum())
    return kept, counts


def write_dataset(
    frame: pd.DataFrame,
    columns: Sequence[Column],
    about: Mapping[str, Any],
    *,
    folder: Path = DATA,
    implausible: Mapping[str, int] | None = None,
) -> None:
    """Write ``<name>.parquet`` and ``<name>.toml``; the same input gives the same bytes.

    Parameters
    ----------
    frame : DataFrame
        Exactly the columns of `columns`, in that order.
    columns : sequence of Column
    about : mapping
        name, description, source, citation, licence, script, notes; whole
        sections (mappings) last.
    folder : Path
    implausible : mapping of str to int, optional
        From `drop_implausible`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [c.name for c in columns]
    if names != [*frame.columns]:
        raise ValueError(f"{about['name']}: codebook and frame differ: {set(names) ^ set(frame.columns)}")
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with atomic_file(folder / f"{about['name']}.parquet") as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=19)
    text = _toml(frame, columns, about, implausible or {})
    with atomic_file(folder / f"{about['name']}.toml") as temporary:
        temporary.write_text(text, encoding="utf-8")


def source_arguments(description: str, *names: str) -> list[Path]:
    """Read the source files from the command line."""
    parser = argparse.ArgumentParser(description=description)
    for name in names:
        parser.add_argument(name, type=Path)
    found = vars(parser.parse_args(sys.argv[1:]))
    return [found[name] for name in names]


def _type(values: pd.Series) -> str:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_bool_dtype(values.dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(values.dtype):
        return "integer"
    return "number" if pd.api.types.is_float_dtype(values.dtype) else "text"


def _toml(
    frame: pd.DataFrame, columns: Sequence[Column], about: Mapping[str, Any], implausible: Mapping[str, int]
) -> str:
    # JSON's strings, numbers and arrays are valid TOML
    lines = [f"{key} = {_value(value)}" for key, value in about.items() if not isinstance(value, Mapping)]
    lines.insert(2, f"rows = {len(frame)}")
    for section, entries in about.items():
        if isinstance(entries, Mapping):
            lines += ["", f"[{section}]", *(f"{_value(key)} = {_value(value)}" for key, value in entries.items())]
    for column in columns:
        values = frame[column.name]
        lines += ["", f"[columns.{_value(column.name)}]", f"type = {_value(_type(values))}"]
        lines += [f"unit = {_value(column.unit)}", f"description = {_value(column.description)}"]
        if column.low is not None and column.high is not None:
            lines.append(f"plausible = {_value([column.low, column.high])}")
        lines.append(f"n_implausible = {implausible.get(column.name, 0)}")
        if _type(values) == "category":
            lines.append(f"levels = {_value([*values.cat.categories])}")
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
