"""Join an exposure and an outcome file and bring every effect onto the same allele."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal._core.options import check_option
from dxa_causal._core.warnings import SummaryStatisticsWarning, warn
from dxa_causal.genotypes.alignment import CodedAlignment, CodedAlleles, align_codes, check_tolerance
from dxa_causal.genotypes.alleles import Words
from dxa_causal.mr.audit import FATE, FATES, FIRST_KEPT, REASONS, Account, FateArray, Flag
from dxa_causal.mr.columns import build_of, read_side
from dxa_causal.mr.harmonised import TABLE_COLUMNS, Harmonised
from dxa_causal.mr.joining import By, Join, RowArray, fill_ids, join

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
Action = Literal[1, 2, 3]

_ALLELES = ("effect_allele", "other_allele")
_TEXT = ("variant", "chromosome", *_ALLELES)
_ROWS = 500_000  # shared variants taken at a time: what is needed of both files beside the answer stays small


def harmonise(
    exposure: Any, outcome: Any, *, action: Action = 2, tolerance: float = 0.08, by: By = "auto"
) -> Harmonised:
    """Bring the effects of two GWAS files onto the same alleles, variant by variant.

    Parameters
    ----------
    exposure, outcome : pandas or polars frame, or what `read_gwas` returns
        One row per variant: id (or chromosome and position), effect allele, beta, standard error, and where
        known other allele, effect-allele frequency, p-value and sample size.
        Names as here (``variant effect_allele other_allele beta se eaf p_value
        n``), as in TwoSampleMR (``SNP beta.exposure ...``) or as in GWAS-SSF
        (``rsid standard_error effect_allele_frequency odds_ratio ...``; an
        odds ratio is taken to its logarithm). A frame with both suffixes may
        be given twice.
    action : {1, 2, 3}
        Palindromic variants (A/T, C/G): 1 takes both files to be on the
        forward strand; 2 infers the strand from the allele frequencies and
        drops those that cannot be told; 3 drops them all.
    tolerance : float
        With `action` 2 a frequency closer than this to 0.5 cannot tell.
    by : {"auto", "variant", "position"}
        Join by id; by chromosome, position and the pair of alleles (whichever
        strand and order they are written in; both have to be known); or by id
        and, where both files give positions, what no id matches by position.

    Returns
    -------
    Harmonised
        The table of variants kept, and an audit with the reason for every
        row of either file.

    Raises
    ------
    SummaryStatisticsError
        A column is missing or holds impossible values, a shared variant is
        listed twice in a file, the files share no variant, or the shared ids
        stand at other positions (another genome build; not with
        ``by="variant"``).

    Warns
    -----
    SummaryStatisticsWarning
        Variants are shared, but none was kept.

    Notes
    -----
    The rules are those of ``TwoSampleMR::harmonise_data`` 0.7.9: exchange of
    alleles, strands and I/D codes whatever the `action`; missing frequencies
    count as 0.5. Where ours is stricter:
    variants whose two alleles are the same letter, whose standard error is not
    positive, or which match on no strand while one file lacks the other
    allele, are dropped (TwoSampleMR keeps the latter with `action` 1); an id
    that is shared and listed twice is an error, not all pairs.

    References
    ----------
    Hartwig FP et al. Int J Epidemiol 2016;45:1717-1726. doi:10.1093/ije/dyx028
    Hemani G et al. eLife 2018;7:e34408. doi:10.7554/eLife.34408

    Examples
    --------
    >>> import pandas as pd
    >>> exposure = pd.DataFrame(
    ...     {"variant": ["rs1", "rs2"], "effect_allele": ["A", "A"], "other_allele": ["G", "T"],
    ...      "beta": [0.10, 0.08], "se": [0.01, 0.01], "eaf": [0.3, 0.5]}
    ... )
    >>> outcome = exposure.assign(effect_allele=["G", "A"], other_allele=["A", "T"], beta=[-0.05, 0.02], eaf=[0.7, 0.5])
    >>> h = harmonise(exposure, outcome)
    >>> h.table[["variant", "effect_allele", "beta_outcome"]].to_dict("records")
    [{'variant': 'rs1', 'effect_allele': 'A', 'beta_outcome': 0.05}]
    >>> h.audit["reason"].tolist()[1]
    'palindromic (A/T or C/G), and an allele frequency is too near 0.5 to tell the strand'
    """
    check_option("action", action, Action)
    check_option("by", by, By)
    check_tolerance(tolerance)
    a, exposure_name = read_side(exposure, "exposure")
    b, outcome_name = read_side(outcome, "outcome")
    found = join(a, b, by, (build_of(exposure), build_of(outcome)))
    if by != "variant" and (a["variant"].null_count() or b["variant"].null_count()):
        a, b = fill_ids(a, b, found)
    kept, first, flags = aligned_rows(a, b, found, action=action, tolerance=tolerance)
    rest = ~found.in_second
    account = Account(
        a["variant"].cast(pl.String), b["variant"].cast(pl.String).filter(rest),
        np.append(first, _fates(b["variant"], "outcome")[rest]), found.partner >= 0, flags,
    )  # fmt: skip
    counts = account.counts()
    if not counts["n_kept"]:
        why = "; ".join(f"{counts[name]} {said}" for name, said in REASONS.items() if counts.get(name))
        warn(f"none of the {counts['n_both']} shared variants was kept: {why}", SummaryStatisticsWarning)
    return Harmonised(kept, account, MappingProxyType(counts), exposure_name, outcome_name)


class Aligned(NamedTuple):
    """The variants kept, in the order of the first file's rows; what became of each of its rows, and what was seen."""

    table: pd.DataFrame
    fate: FateArray
    flags: npt.NDArray[np.uint8]


def aligned_rows(a: pl.DataFrame, b: pl.DataFrame, found: Join, *, action: Action, tolerance: float) -> Aligned:
    """Bring the rows that belong together onto the same alleles; several of `a` may belong to one of `b`."""
    coding = _coding(a, b)
    first, flags = _fates(a["variant"], "exposure"), np.zeros(a.height, dtype=np.uint8)
    table, n = _empty_table(found.rows.size), 0
    for rows in np.array_split(found.rows, found.rows.size // _ROWS + 1):
        one, two = _part(a, rows, coding), _part(b, found.partner[rows], coding)
        aligned = align_codes(coding.words, one.alleles, two.alleles, tolerance=tolerance, infer_strand=action == 2)
        first[rows] = fate = _fate(one, two, aligned, action)
        flags[rows] = _flags(aligned, fate)
        n = _fill(table, n, _table(one, two, aligned, coding, fate >= FIRST_KEPT))
    kept = pd.DataFrame({name: column[:n] for name, column in table.items()}, copy=False)
    return Aligned(kept, first, flags)


class _Coding(NamedTuple):
    """All alleles of both files: the dictionary, and the type of a column that is coded by it."""

    words: Words
    kind: pl.Enum

    def codes(self, column: pl.Series) -> npt.NDArray[np.int64]:
        """Codes of a column of alleles, -1 where missing."""
        return column.cast(self.kind).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()


class _Part(NamedTuple):
    """Some rows of one file: the frame, its alleles as codes, and its numbers."""

    frame: pl.DataFrame
    alleles: CodedAlleles
    beta: FloatArray
    se: FloatArray

    def numbers(self, name: str) -> FloatArray:
        """Column as floats, nan where missing."""
        return _numbers(self.frame[name])


def _coding(a: pl.DataFrame, b: pl.DataFrame) -> _Coding:
    alleles = [f[name].unique().drop_nulls().cast(pl.String) for f in (a, b) for name in _ALLELES]
    names = pl.concat(alleles).unique().sort()
    return _Coding(Words.of(names.to_numpy()), pl.Enum(names))


def _numbers(column: pl.Series) -> FloatArray:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _part(frame: pl.DataFrame, rows: RowArray, coding: _Coding) -> _Part:
    part = frame[rows]
    effect, other = (coding.codes(part[name]) for name in _ALLELES)
    return _Part(part, CodedAlleles(effect, other, _numbers(part["eaf"])), _numbers(part["beta"]), _numbers(part["se"]))


def _fates(ids: pl.Series, side: Literal["exposure", "outcome"]) -> FateArray:
    """What is true of every row that is in no other file."""
    other = "outcome" if side == "exposure" else "exposure"
    lacks = ids.is_null().to_numpy()
    return np.where(lacks, np.int8(FATE[f"{side}_without_id"]), np.int8(FATE[f"not_in_{other}"]))


def _fate(a: _Part, b: _Part, aligned: CodedAlignment, action: Action) -> FateArray:
    """Position in `FATES` of the first check that is true."""
    one_allele = (a.alleles.other < 0) | (b.alleles.other < 0)
    no_eaf = np.isnan(a.alleles.eaf) | np.isnan(b.alleles.eaf)
    palindromic, ambiguous = aligned.palindromic, aligned.ambiguous & (action != 1)
    checks = {
        "dropped_no_effect_allele": (a.alleles.effect < 0) | (b.alleles.effect < 0),
        "dropped_equal_alleles": _equal(a.alleles) | _equal(b.alleles),
        "dropped_beta": ~(np.isfinite(a.beta) & np.isfinite(b.beta)),
        "dropped_se": ~(_positive(a.se) & _positive(b.se)),
        "dropped_palindromic_one_allele": palindromic & one_allele,
        "dropped_incompatible_alleles": aligned.incompatible,
        "dropped_palindromic": palindromic & (action == 3),
        "dropped_palindromic_no_eaf": ambiguous & palindromic & no_eaf,
        "dropped_palindromic_eaf": ambiguous & palindromic,
        "dropped_unconfirmed": ambiguous,
        "kept_swapped_and_flipped": aligned.swapped & aligned.strand_flipped,
        "kept_swapped": aligned.swapped,
        "kept_strand_flipped": aligned.strand_flipped,
    }
    fate = np.full(a.beta.size, FATE["kept_aligned"], dtype=np.int8)
    for name in sorted(checks, key=FATES.index, reverse=True):
        fate[checks[name]] = FATE[name]
    return fate


def _equal(alleles: CodedAlleles) -> BoolArray:
    return (alleles.effect == alleles.other) & (alleles.effect >= 0)


def _positive(se: FloatArray) -> BoolArray:
    return np.isfinite(se) & (se > 0)


def _flags(aligned: CodedAlignment, fate: FateArray) -> npt.NDArray[np.uint8]:
    """What was seen; nothing of variants that could not be compared."""
    matched = ~aligned.incompatible
    seen = {
        Flag.ALIGNED: matched & ~aligned.swapped & ~aligned.strand_flipped,
        Flag.SWAPPED: matched & aligned.swapped,
        Flag.STRAND_FLIPPED: matched & aligned.strand_flipped,
        Flag.PALINDROMIC: aligned.palindromic,
        Flag.AMBIGUOUS: aligned.ambiguous,
    }
    flags = sum((flag.value * is_so.astype(np.uint8) for flag, is_so in seen.items()), np.zeros(fate.size, np.uint8))
    return np.where(fate > FATE["dropped_se"], flags, np.uint8(0))


def _table(a: _Part, b: _Part, aligned: CodedAlignment, coding: _Coding, kept: BoolArray) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    columns["variant"] = a.frame["variant"].filter(kept).to_numpy()
    columns["effect_allele"], columns["other_allele"] = (
        coding.words.spelling(x[kept]) for x in (aligned.effect, aligned.other)
    )
    here, there = (f.frame["chromosome"].filter(kept).cast(pl.String) for f in (a, b))
    columns["chromosome"] = _shared_text(here.zip_with(here.is_not_null(), there))
    place_a, place_b = (f.numbers("position")[kept] for f in (a, b))
    columns["position"] = np.where(np.isnan(place_a), place_b, place_a)
    columns["palindromic"], columns["ambiguous"] = aligned.palindromic[kept], aligned.ambiguous[kept]
    for side, f, sign, eaf in (
        ("exposure", a, aligned.sign_first, aligned.eaf_first),
        ("outcome", b, aligned.sign_second, aligned.eaf_second),
    ):
        columns[f"beta_{side}"] = f.beta[kept] * sign[kept]
        columns[f"se_{side}"] = f.se[kept]
        columns[f"eaf_{side}"] = eaf[kept]
        columns[f"p_{side}"] = f.numbers("p_value")[kept]
        columns[f"n_{side}"] = f.numbers("n")[kept]
    return columns


def _shared_text(column: pl.Series) -> npt.NDArray[np.object_]:
    """Strings of Python, one for each distinct value and not one a row."""
    known = column.unique().drop_nulls()
    codes = column.cast(pl.Enum(known)).to_physical().cast(pl.Int64).fill_null(known.len()).to_numpy()
    return np.array([*known, None], dtype=object)[codes]


def _empty_table(size: int) -> dict[str, npt.NDArray[Any]]:
    """Room for as many rows as there may be; what is never written takes no memory."""
    kinds = dict.fromkeys(_TEXT, object) | dict.fromkeys(("palindromic", "ambiguous"), bool)
    return {name: np.empty(size, dtype=kinds.get(name, float)) for name in TABLE_COLUMNS}


def _fill(table: dict[str, npt.NDArray[Any]], start: int, part: dict[str, Any]) -> int:
    """Write the part behind the rows that are there; return where the next one begins."""
    end = start + part["variant"].size
    for name, column in table.items():
        column[start:end] = part[name]
    return int(end)
