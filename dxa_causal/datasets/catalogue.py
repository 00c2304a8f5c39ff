"""The data sets that ship: which there are, where they lie, what their columns mean."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pandas as pd

from dxa_causal._core.errors import DatasetError, nearest

DATA = Path(__file__).parent / "data"


def path(name: str) -> Path:
    """Return the Parquet file of a data set, to be read by other tools (R's arrow, polars, DuckDB).

    Parameters
    ----------
    name : str
        One of ``list()["name"]``.

    Returns
    -------
    Path

    Raises
    ------
    DatasetError
        No data set has this name.

    Examples
    --------
    >>> path("nhefs").name
    'nhefs.parquet'
    >>> path("nhfes")
    Traceback (most recent call last):
    ...
    dxa_causal._core.errors.DatasetError: no data set 'nhfes'; did you mean 'nhefs'? There are: ...
    """
    return _file(name, "parquet")


def load(name: str) -> pd.DataFrame:
    """Read a data set into a new frame; changing it does not change the next one.

    Parameters
    ----------
    name : str
        One of ``list()["name"]``. Units and codes: ``describe(name)``.

    Returns
    -------
    DataFrame

    Raises
    ------
    DatasetError
        No data set has this name.

    Examples
    --------
    >>> cohort = load("nhanes_mortality")
    >>> cohort.shape[0], int(cohort["died"].sum())
    (41597, 5519)
    """
    return pd.read_parquet(path(name))


def list() -> pd.DataFrame:
    """One row per data set: name, description, rows, columns, licence.

    Examples
    --------
    >>> list().set_index("name").loc[["bmi_gwas", "nhefs"], "rows"].to_dict()
    {'bmi_gwas': 79, 'nhefs': 1629}
    """
    about = [_read(toml) for toml in sorted(DATA.glob("*.toml"))]
    return pd.DataFrame(
        {
            "name": [a["name"] for a in about],
            "description": [a["description"] for a in about],
            "rows": [a["rows"] for a in about],
            "columns": [len(a["columns"]) for a in about],
            "licence": [a["licence"] for a in about],
        }
    )


def describe(name: str) -> pd.DataFrame:
    """Codebook of a data set, one row per column of the data.

    Parameters
    ----------
    name : str
        One of ``list()["name"]``.

    Returns
    -------
    DataFrame
        column, type (integer, number, category, text or boolean), unit (empty
        when it has none), description, n_missing, n_implausible (values that
        were set missing because they lie outside the plausible range; part of
        n_missing), min, max (numbers only) and levels (categories only).
        Source, citation, licence and notes are in ``.attrs``.

    Raises
    ------
    DatasetError
        No data set has this name.

    Examples
    --------
    >>> codebook = describe("nhanes_mortality").set_index("column")
    >>> codebook.loc["time", "unit"], codebook.loc["sex", "levels"]
    ('years', 'female, male')
    """
    about = _read(_file(name, "toml"))
    frame = load(name)
    rows = []
    for column, entry in about.pop("columns").items():
        values = frame[column]
        numeric = entry["type"] in ("integer", "number")
        rows.append(
            {
                "column": column,
                "type": entry["type"],
                "unit": entry["unit"],
                "description": entry["description"],
                "n_missing": int(values.isna().sum()),
                "n_implausible": entry["n_implausible"],
                "min": float(values.min()) if numeric else float("nan"),
                "max": float(values.max()) if numeric else float("nan"),
                "levels": ", ".join(entry.get("levels", ())),
            }
        )
    codebook = pd.DataFrame(rows)
    codebook.attrs = about
    return codebook


def _file(name: str, suffix: str) -> Path:
    names = sorted(toml.stem for toml in DATA.glob("*.toml"))
    if name not in names:
        near = nearest(str(name), names)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
        raise DatasetError(f"no data set {name!r}{hint} There are: {', '.join(map(repr, names))}")
    return DATA / f"{name}.{suffix}"


def _read(toml: Path) -> dict[str, Any]:
    return tomllib.loads(toml.read_text(encoding="utf-8"))
