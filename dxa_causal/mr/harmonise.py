"""Join an exposure and an outcome file and bring every effect onto the same allele."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.options import check_option
from dxa_causal._core.warnings import SummaryStatisticsWarning, warn
from dxa_causal.genotypes import Alignment, Alleles, align_alleles
from dxa_causal.mr.columns import build_of, read_side
from dxa_causal.mr.harmonised import TABLE_COLUMNS, Harmonised
from dxa_causal.mr.joining import By, fill_ids, join

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Action = Literal[1, 2, 3]

# A variant's fate -> what the audit says. Where several apply the first one counts; the kept ones come last.
_REASONS: dict[str, str] = {
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
}
_FATES = tuple(_REASONS)
_FIRST_KEPT = _FATES.index("kept_swapped_and_flipped")


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
    a, exposure_name = read_side(exposure, "exposure")
    b, outcome_name = read_side(outcome, "outcome")
    found = join(a, b, by, (build_of(exposure), build_of(outcome)))
    in_a, in_b, partner = found
    if by != "variant" and (a["variant"].isna().any() or b["variant"].isna().any()):
        fill_ids(a, b, found)
    a_both, b_both = _rows(a, in_a), b.take(partner).reset_index(drop=True)

    fate = _unusable(a_both, b_both)
    usable = fate < 0
    a_both, b_both = _rows(a_both, usable), _rows(b_both, usable)
    aligned = align_alleles(_alleles(a_both), _alleles(b_both), tolerance=tolerance, infer_strand=action == 2)
    fate[usable] = _fate(a_both, b_both, aligned, action)
    table = _table(a_both, b_both, aligned, fate[usable] >= _FIRST_KEPT)
    del a_both, b_both

    every_fate = _every_fate(a, b, in_a, in_b, fate)
    audit = _audit(a, b, in_a, in_b, every_fate, usable, aligned)
    counts = _counts(len(a), len(b), every_fate)
    if not len(table):
        why = "; ".join(f"{counts[name]} {said}" for name, said in _REASONS.items() if counts[name])
        warn(f"none of the {counts['n_both']} shared variants was kept: {why}", SummaryStatisticsWarning)
    return Harmonised(table, audit, MappingProxyType(counts), exposure_name, outcome_name)


def _rows(frame: pd.DataFrame, keep: BoolArray) -> pd.DataFrame:
    """Rows of a frame, numbered anew; the frame itself where all stay."""
    if keep.all():
        return frame
    part = frame[keep]
    part.index = pd.RangeIndex(len(part))
    return part


def _alleles(frame: pd.DataFrame) -> Alleles:
    return Alleles(frame["effect_allele"].to_numpy(), frame["other_allele"].to_numpy(), frame["eaf"].to_numpy())


def _first_that_applies(checks: dict[str, BoolArray], default: int) -> IntArray:
    """Position in `_FATES` of the first check that is true."""
    fate = np.full(next(iter(checks.values())).size, default, dtype=np.int64)
    for name in sorted(checks, key=_FATES.index, reverse=True):
        fate[checks[name]] = _FATES.index(name)
    return fate


def _unusable(a: pd.DataFrame, b: pd.DataFrame) -> IntArray:
    """Why a shared variant cannot even be compared; -1 where it can."""
    checks = {
        name: np.zeros(len(a), dtype=bool)
        for name in ("dropped_no_effect_allele", "dropped_equal_alleles", "dropped_beta", "dropped_se")
    }
    for f in (a, b):
        se = f["se"].to_numpy()
        checks["dropped_no_effect_allele"] |= f["effect_allele"].isna().to_numpy()
        checks["dropped_equal_alleles"] |= (f["effect_allele"] == f["other_allele"]).to_numpy()
        checks["dropped_beta"] |= ~np.isfinite(f["beta"].to_numpy())
        checks["dropped_se"] |= ~(np.isfinite(se) & (se > 0))
    return _first_that_applies(checks, -1)


def _fate(a: pd.DataFrame, b: pd.DataFrame, aligned: Alignment, action: Action) -> IntArray:
    one_allele = (a["other_allele"].isna() | b["other_allele"].isna()).to_numpy()
    no_eaf = (a["eaf"].isna() | b["eaf"].isna()).to_numpy()
    palindromic = aligned.palindromic
    ambiguous = aligned.ambiguous & (action != 1)
    checks = {
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
    return _first_that_applies(checks, _FATES.index("kept_aligned"))


def _table(a: pd.DataFrame, b: pd.DataFrame, aligned: Alignment, kept: BoolArray) -> pd.DataFrame:
    columns: dict[str, Any] = dict.fromkeys(TABLE_COLUMNS)  # in this order
    columns["variant"] = a["variant"].to_numpy()[kept]
    columns["effect_allele"], columns["other_allele"] = aligned.effect[kept], aligned.other[kept]
    for name in ("chromosome", "position"):
        columns[name] = a[name].where(a[name].notna(), b[name]).to_numpy()[kept]
    columns["palindromic"], columns["ambiguous"] = aligned.palindromic[kept], aligned.ambiguous[kept]
    for side, f, sign, eaf in (
        ("exposure", a, aligned.sign_first, aligned.eaf_first),
        ("outcome", b, aligned.sign_second, aligned.eaf_second),
    ):
        columns[f"beta_{side}"] = f["beta"].to_numpy()[kept] * sign[kept]
        columns[f"se_{side}"] = f["se"].to_numpy()[kept]
        columns[f"eaf_{side}"] = eaf[kept]
        columns[f"p_{side}"] = f["p_value"].to_numpy()[kept]
        columns[f"n_{side}"] = f["n"].to_numpy()[kept]
    return pd.DataFrame(columns, copy=False)


def _every_fate(a: pd.DataFrame, b: pd.DataFrame, in_a: BoolArray, in_b: BoolArray, fate: IntArray) -> IntArray:
    """Fates of the rows of the exposure file, then of those of the outcome file that it does not have."""
    code = {name: position for position, name in enumerate(_FATES)}
    first = np.where(a["variant"].isna(), code["exposure_without_id"], code["not_in_outcome"])
    first[in_a] = fate
    second = np.where(b["variant"][~in_b].isna(), code["outcome_without_id"], code["not_in_exposure"])
    return np.concatenate([first, second]).astype(np.int64)


def _audit(
    a: pd.DataFrame,
    b: pd.DataFrame,
    in_a: BoolArray,
    in_b: BoolArray,
    fate: IntArray,
    usable: BoolArray,
    aligned: Alignment,
) -> pd.DataFrame:
    same = ~(aligned.incompatible | aligned.swapped | aligned.strand_flipped)
    flags = {
        "aligned": same,
        "swapped": aligned.swapped & ~aligned.incompatible,
        "strand_flipped": aligned.strand_flipped & ~aligned.incompatible,
        "palindromic": aligned.palindromic,
        "ambiguous": aligned.ambiguous,
    }
    compared = np.flatnonzero(in_a)[usable]
    columns: dict[str, Any] = {
        "variant": np.concatenate([a["variant"].to_numpy(), b["variant"][~in_b].to_numpy()]),
        "in_exposure": np.arange(fate.size) < len(a),
        "in_outcome": np.concatenate([in_a, np.ones(fate.size - len(a), dtype=bool)]),
        "status": np.array(["dropped", "kept"], dtype=object)[(fate >= _FIRST_KEPT).astype(np.int64)],
    }
    for name, flag in flags.items():
        columns[name] = np.zeros(fate.size, dtype=bool)
        columns[name][compared] = flag
    columns["reason"] = np.array(list(_REASONS.values()), dtype=object)[fate]
    return pd.DataFrame(columns, copy=False)


def _counts(n_exposure: int, n_outcome: int, fate: IntArray) -> dict[str, int]:
    by_fate = dict(zip(_FATES, np.bincount(fate, minlength=len(_FATES)).tolist(), strict=True))
    kept = sum(n for name, n in by_fate.items() if name.startswith("kept"))
    dropped = sum(n for name, n in by_fate.items() if name.startswith("dropped"))
    return {
        "n_exposure": n_exposure,
        "n_outcome": n_outcome,
        "n_both": kept + dropped,
        "n_kept": kept,
        "n_dropped": dropped,
        **by_fate,
    }
