"""What became of every variant of several exposures, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal.mr.audit import FATE, FateArray

RowArray = npt.NDArray[np.intp]
TextArray = npt.NDArray[np.object_]

# What one file alone is to blame for; then what it and the first exposure do not agree on.
OWN_FAULTS = {
    "dropped_no_effect_allele": "no effect allele in {file}",
    "dropped_equal_alleles": "effect and other allele are the same in {file}",
    "dropped_beta": "beta missing or not finite in {file}",
    "dropped_se": "standard error missing, not finite or not positive in {file}",
}
_WHY = {
    **OWN_FAULTS,
    "dropped_palindromic_one_allele": "palindromic (A/T or C/G), and {first} or {file} does not name the other allele",
    "dropped_incompatible_alleles": "alleles in {file} do not match those of {first} on either strand",
    "dropped_palindromic": "palindromic (A/T or C/G) in {file}, which action=3 drops",
    "dropped_palindromic_no_eaf": "palindromic (A/T or C/G), and without frequencies in both {first} and {file} the "
    "strand in {file} is unknown",
    "dropped_palindromic_eaf": "palindromic (A/T or C/G), and a frequency in {first} or {file} is too near 0.5 to tell "
    "the strand in {file}",
    "dropped_unconfirmed": "{first} or {file} does not name the other allele, and the frequencies do not confirm the "
    "match",
}


class Account:
    """What is known of each variant of the first exposure's file in words, and the ids that only others have."""

    def __init__(self, ids: pl.Series, first: str) -> None:
        self.ids = ids
        self.first = first
        self.rest: dict[str, pl.Series] = {}
        self.notes: dict[str, TextArray] = {
            kind: np.full(ids.len(), "", dtype=object) for kind in ("missing", "why", "turned", "flipped")
        }

    def add(self, kind: str, rows: RowArray, text: str) -> None:
        """Say it of these rows, behind what was said of them before."""
        note = self.notes[kind]
        note[rows] = np.where(note[rows] == "", text, note[rows] + f", {text}")

    def blame(self, rows: RowArray, fate: FateArray, file: str, reasons: Mapping[str, str] = _WHY) -> None:
        """Note why these rows were dropped."""
        for name, why in reasons.items():
            self.add("why", rows[fate == FATE[name]], why.format(first=self.first, file=file))

    def frame(self, kept: RowArray, wanted: pl.Series | None) -> pd.DataFrame:
        """One row per variant: of the first file, of the others, and instruments that are nowhere."""
        missing, why, turned, flipped = self.notes.values()
        no_id = self.ids.is_null().to_numpy() & (missing != "")
        reason = np.where(missing == "", why, "not in " + missing)
        reason[no_id] = f"no variant id in {self.first}"
        reason[kept] = _said(turned[kept], flipped[kept])
        status = np.full(reason.size, "dropped", dtype=object)
        status[kept] = "kept"
        parts = [pd.DataFrame({"variant": self.ids.to_numpy(), "status": status, "reason": reason})]
        known = self.ids.drop_nulls()
        for name, ids in self.rest.items():
            if wanted is None and ids.null_count():
                parts.append(_dropped([None] * ids.null_count(), f"no variant id in {name}"))
            ids = ids.drop_nulls().unique(maintain_order=True)
            ids = ids.filter(~ids.is_in(known.implode()))
            ids = ids if wanted is None else ids.filter(ids.is_in(wanted.implode()))
            parts.append(_dropped(ids.to_list(), f"not in {self.first}"))
            known = pl.concat([known, ids])
        if wanted is not None:
            parts.append(_dropped(wanted.filter(~wanted.is_in(known.implode())).to_list(), "in no exposure's file"))
        return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _said(turned: TextArray, flipped: TextArray) -> TextArray:
    """What was done to variants that were kept."""
    said = np.where(turned == "", "", "effect turned in " + turned)
    other = np.where(flipped == "", "", "read on the other strand in " + flipped)
    both = np.where((turned != "") & (flipped != ""), "; ", "")
    return np.where((turned == "") & (flipped == ""), "same alleles in all files", said + both + other)


def _dropped(ids: list[Any], reason: str) -> pd.DataFrame:
    return pd.DataFrame({"variant": pd.Series(ids, dtype=object), "status": "dropped", "reason": reason})
