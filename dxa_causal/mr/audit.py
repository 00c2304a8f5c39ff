"""What happened to every variant of two files and why, in two bytes a row until someone looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

BoolArray = npt.NDArray[np.bool_]

# A variant's fate -> what the audit says. Where several apply the first one counts; the kept ones come last.
REASONS: dict[str, str] = {
    "exposure_without_id": "no variant id in the exposure file",
    "outcome_without_id": "no variant id in the outcome file",
    "not_in_outcome": "not in the outcome file",
    "not_in_exposure": "not in the exposure file",
    "dropped_no_effect_allele": "no effect allele in one of the files",
    "dropped_equal_alleles": "effect and other allele are the same in one of the files",
    "dropped_beta": "beta missing or not finite in one of the files",
    "dropped_se": "standard error missing, not finite or not positive in one of the files",
    "dropped_palindromic_one_allele": "palindromic (A/T or C/G), and one file does not name the other allele",
    "dropped_incompatible_alleles": "the alleles of the two files do not match on either strand",
    "dropped_palindromic": "palindromic (A/T or C/G), which action=3 drops",
    "dropped_palindromic_no_eaf": "palindromic (A/T or C/G), and without both allele frequencies the strand is unknown",
    "dropped_palindromic_eaf": "palindromic (A/T or C/G), and an allele frequency is too near 0.5 to tell the strand",
    "dropped_unconfirmed": "one file does not name the other allele, and the frequencies do not confirm the match",
    "kept_swapped_and_flipped": "read on the other strand and effect turned",
    "kept_swapped": "effect alleles exchanged: effect turned",
    "kept_strand_flipped": "read on the other strand",
    "kept_aligned": "same alleles in both files",
    "kept_as_given": "given as aligned",
}
FATES = tuple(REASONS)
FATE = {name: code for code, name in enumerate(FATES)}
FIRST_KEPT = FATE["kept_swapped_and_flipped"]
FateArray = npt.NDArray[np.int8]


class Flag(IntFlag):
    """What was seen of a variant in comparing the two files."""

    ALIGNED = 1
    SWAPPED = 2
    STRAND_FLIPPED = 4
    PALINDROMIC = 8
    AMBIGUOUS = 16


@dataclass(frozen=True, eq=False, slots=True)
class Account:
    """One row per row of the exposure file, then one per row of the outcome file that the exposure does not have.

    Attributes
    ----------
    ids_exposure, ids_rest : polars.Series of str
        Ids of all exposure rows, and of the rest of the outcome file.
    fate : (m,) ndarray of int8
        Position in `FATES`.
    in_outcome : (n_exposure,) ndarray of bool
        Which exposure rows the outcome file has.
    flags : (n_exposure,) ndarray of uint8
        `Flag`; 0 where nothing was compared.
    """

    ids_exposure: pl.Series
    ids_rest: pl.Series
    fate: FateArray
    in_outcome: BoolArray
    flags: npt.NDArray[np.uint8]

    def counts(self) -> dict[str, int]:
        """Rows of each file, shared, kept and dropped, and of each fate that files can have."""
        by_fate = {name: int(np.count_nonzero(self.fate == code)) for name, code in FATE.items()}
        del by_fate["kept_as_given"]
        kept = sum(n for name, n in by_fate.items() if name.startswith("kept"))
        dropped = sum(n for name, n in by_fate.items() if name.startswith("dropped"))
        both = int(self.in_outcome.sum())
        return {
            "n_exposure": self.in_outcome.size,
            "n_outcome": both + self.ids_rest.len(),
            "n_both": both,
            "n_kept": kept,
            "n_dropped": dropped,
            **by_fate,
        }

    def frame(self) -> pd.DataFrame:
        """The account as a table, one line a variant."""
        size, first = self.fate.size, self.in_outcome.size
        flags = np.zeros(size, dtype=np.uint8)
        flags[:first] = self.flags
        rest = np.ones(size - first, dtype=bool)
        columns = {
            "variant": np.concatenate([ids.to_numpy() for ids in (self.ids_exposure, self.ids_rest)]),
            "in_exposure": np.arange(size) < first,
            "in_outcome": np.concatenate([self.in_outcome, rest]),
            "status": np.array(["dropped", "kept"], dtype=object)[(self.fate >= FIRST_KEPT).astype(np.intp)],
            **{flag.name.lower(): (flags & flag) > 0 for flag in Flag if flag.name},
            "reason": np.array(list(REASONS.values()), dtype=object)[self.fate],
        }
        return pd.DataFrame(columns, copy=False)
