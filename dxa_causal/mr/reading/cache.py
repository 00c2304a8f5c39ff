"""Tables that were read before, as Parquet in a folder of the user's choice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import polars as pl

from dxa_causal._core.files import atomic_file
from dxa_causal.mr.reading.gwas import GWAS

_VERSION = 2


def key(file: Path, options: object) -> str:
    """Return a name for the file as it is now, read with these options."""
    state = file.stat()
    beside = Path(f"{file}-meta.yaml")
    meta = beside.stat().st_mtime_ns if beside.is_file() else None
    text = repr((_VERSION, str(file.resolve()), state.st_mtime_ns, state.st_size, meta, options))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load(folder: Path, name: str) -> GWAS | None:
    """Return what was stored under that name, None if nothing is."""
    path = folder / f"{name}.parquet"
    if not path.is_file():
        return None
    try:
        kept = json.loads(pl.read_parquet_metadata(path)["dxa_causal"])
    except (pl.exceptions.PolarsError, KeyError, ValueError):
        return None  # damaged: read anew and written over
    rows = pd.DataFrame(kept["report"], columns=["check", "n", "first_row"])
    rows = rows.astype({"n": "int64", "first_row": "Int64"})
    return GWAS(pl.scan_parquet(path), kept["format"], kept["build"], rows, kept["trait"], tuple(kept["notes"]))


def save(gwas: GWAS, folder: Path, name: str) -> GWAS:
    """Store under that name, whole or not at all; return what is stored there."""
    rows = [[c, int(n), None if pd.isna(r) else int(r)] for c, n, r in gwas.report.itertuples(index=False)]
    about = {"format": gwas.format, "build": gwas.build, "trait": gwas.trait, "notes": list(gwas.notes), "report": rows}
    with atomic_file(folder / f"{name}.parquet") as beside:
        gwas.table.write_parquet(beside, metadata={"dxa_causal": json.dumps(about)})
    return replace(gwas, frame=pl.scan_parquet(folder / f"{name}.parquet"))
