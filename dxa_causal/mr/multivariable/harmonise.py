"""Bring the files of several exposures and of one outcome onto the alleles of the first exposure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError, shown
from dxa_causal._core.options import check_option
from dxa_causal._core.warnings import SummaryStatisticsWarning, warn
from dxa_causal.genotypes.alignment import check_tolerance
from dxa_causal.mr.audit import FATE, FIRST_KEPT, FateArray, Flag
from dxa_causal.mr.columns import build_of, read_side
from dxa_causal.mr.harmonise import Action, aligned_rows
from dxa_causal.mr.joining import By, Join, fill_ids, join
from dxa_causal.mr.multivariable.account import OWN_FAULTS, Account
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.results import read_only

FloatArray = npt.NDArray[np.float64]
RowArray = npt.NDArray[np.intp]


def harmonise_exposures(
    exposures: Any,
    outcome: Any,
    *,
    action: Action = 2,
    tolerance: float = 0.08,
    by: By = "auto",
    instruments: Iterable[str] | None = None,
) -> MultivariableHarmonised:
    """Bring the effects on several exposures and an outcome onto the same alleles, for multivariable MR.

    Parameters
    ----------
    exposures : mapping of str to frame, or frame
        Name to a pandas or polars frame or what `read_gwas` returns, columns
        as for `harmonise`; all variants of a file or only those needed. Or
        one frame that holds all exposures (TwoSampleMR's long form), told
        apart by its column ``id.exposure`` or, without it, ``exposure``.
    outcome : pandas or polars frame, or what `read_gwas` returns
    action, tolerance, by
        As for `harmonise`; each file is joined to, and aligned with, the
        first exposure's.
    instruments : iterable of str, optional
        Keep to these variants (such as the clumped union of the exposures'
        instruments), ids as in the first exposure's file.

    Returns
    -------
    MultivariableHarmonised
        Variants that are in every file, in the order and on the alleles of
        the first exposure's file, with an `audit`: one row per variant of any
        exposure (of any instrument, where they are given) with the reason and
        the file it lies with. p-values that a file lacks follow from the z
        statistics; sample sizes are medians over the variants kept.

    Raises
    ------
    SummaryStatisticsError
        As for `harmonise`, naming the file; two exposures or an exposure and
        the outcome have the same name; no instrument is in the first file.

    Warns
    -----
    SummaryStatisticsWarning
        No variant was kept.

    See Also
    --------
    dxa_causal.mr.harmonise : One exposure, and the rules for alleles.

    Notes
    -----
    The numbers are those of ``TwoSampleMR::mv_harmonise_data`` 0.7.9 where its
    exposures are on the same alleles already. It aligns the outcome with the
    first exposure only and takes the others as they stand, trusting that
    ``mv_extract_exposures`` has aligned them; ours aligns every file. It
    keeps a variant that is listed as many times as there are exposures; ours
    has to be in each file, and once.

    Files are aligned one after the other. Where the first exposure's file
    does not spell out both alleles (one missing, or I/D), the next file that
    does settles them for all (an effect of the first is turned where its
    allele is that file's other one): two files cannot each match the first
    and yet be about different alleles.

    References
    ----------
    Hartwig FP et al. Int J Epidemiol 2016;45:1717-1726. doi:10.1093/ije/dyx028
    Sanderson E et al. Int J Epidemiol 2019;48:713-727. doi:10.1093/ije/dyy262

    Examples
    --------
    >>> import pandas as pd
    >>> ldl = pd.DataFrame(
    ...     {"variant": ["rs1", "rs2", "rs3"], "effect_allele": ["A", "A", "C"], "other_allele": ["G", "T", "T"],
    ...      "beta": [0.10, 0.08, 0.02], "se": [0.01, 0.01, 0.01], "eaf": [0.3, 0.5, 0.2]}
    ... )
    >>> hdl = ldl.assign(effect_allele=["G", "A", "C"], other_allele=["A", "T", "T"], beta=[-0.02, 0.0, 0.09])
    >>> chd = ldl.iloc[:2].assign(beta=[0.05, 0.04])
    >>> mh = harmonise_exposures({"LDL": ldl, "HDL": hdl}, chd)
    >>> mh.beta_exposures.tolist()
    [[0.1, 0.02]]
    >>> mh.audit.set_index("variant")["reason"].to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'rs1': 'effect turned in HDL',
     'rs2': 'palindromic (A/T or C/G), and a frequency in LDL or HDL is too near 0.5 to tell the strand in HDL',
     'rs3': 'not in outcome'}
    """
    check_option("action", action, Action)
    check_option("by", by, By)
    check_tolerance(tolerance)
    files = _files(exposures)
    wanted = None if instruments is None else _wanted(instruments)
    first, *others = files
    a = _read(files[first], first)
    if wanted is not None:
        a = _only(a, wanted, first)
    account = Account(a["variant"].cast(pl.String), first)
    together = _started(a, account)
    for name in (*others, None):
        source = outcome if name is None else files[name]
        b, trait = read_side(outcome, "outcome") if name is None else (_read(source, name), name)
        if name is None and trait in files:
            raise SummaryStatisticsError(
                f"{shown(trait)} is the name of an exposure and of the outcome; give the exposure another name"
            )
        found = _joined(a, b, by, (first, trait), (build_of(files[first]), build_of(source)))
        account.add("missing", np.flatnonzero(found.partner < 0), trait)
        ids, theirs = _names(a, b, found, by)
        account.ids = account.ids.zip_with(account.ids.is_not_null(), ids)
        if name is not None:
            account.rest[name] = theirs.filter(~found.in_second)
        together = _with_file(together, b, found, account, trait, action=action, tolerance=tolerance)
    return _finished(together, account, account.frame(together.rows, wanted), tuple(files), trait)


class _Together(NamedTuple):
    """The variants that are still in: their rows in the first file, and what each file says of them.

    `coding` holds the common alleles and the first file's frequencies. Effects in it are 1: what they become in
    aligning another file says where the common alleles turn. `numbers` has one array a file.
    """

    rows: RowArray
    coding: pl.DataFrame
    numbers: dict[str, list[FloatArray]]


def _files(given: Any) -> dict[str, Any]:
    """Name of each exposure -> its file."""
    if isinstance(given, Mapping):
        names = [str(name) for name in given]
        if not names:
            raise SummaryStatisticsError("exposures is empty; give at least one")
        if len(set(names)) < len(names):
            raise SummaryStatisticsError(f"exposures must have different names; they are {names}")
        return dict(zip(names, given.values(), strict=True))
    frame = given.collect() if isinstance(given, pl.LazyFrame) else given
    columns = list(frame.columns) if isinstance(frame, pd.DataFrame | pl.DataFrame) else []
    named = [name for name in ("id.exposure", "exposure") if name in columns]
    if not named:
        raise SummaryStatisticsError(
            "exposures must be a mapping of name to frame, or a frame with a column 'exposure'; "
            + (f"its columns are {', '.join(map(str, columns[:12]))}" if columns else f"it is a {type(given).__name__}")
        )
    labels = pd.Series(frame[named[0]].to_list(), dtype=object)
    if labels.isna().any():
        raise SummaryStatisticsError(
            f"exposures: column {named[0]!r} is empty in {labels.isna().sum()} rows, first row {labels.isna().argmax()}"
        )
    code, ids = pd.factorize(labels)
    parts = [
        frame.filter(pl.Series(code == i)) if isinstance(frame, pl.DataFrame) else frame[code == i]
        for i in range(len(ids))
    ]
    traits = [str(part[named[-1]].to_list()[0]).split(" || ")[0] for part in parts]
    names = traits if len(set(traits)) == len(traits) else [str(i) for i in ids]
    return dict(zip(names, parts, strict=True))


def _read(source: Any, name: str) -> pl.DataFrame:
    try:
        return read_side(source, "exposure")[0]
    except SummaryStatisticsError as error:
        raise SummaryStatisticsError(f"{name}: {error}") from None


def _wanted(instruments: Iterable[str]) -> pl.Series:
    ids = [] if isinstance(instruments, str) else list(instruments)
    if not ids or not all(isinstance(i, str) for i in ids):
        raise SummaryStatisticsError(
            f"instruments must be one or more ids of variants, such as ['rs1', 'rs2']; it is {shown(instruments)}"
        )
    return pl.Series(ids, dtype=pl.String).unique(maintain_order=True)


def _only(a: pl.DataFrame, wanted: pl.Series, name: str) -> pl.DataFrame:
    """Rows of the instruments."""
    part = a.filter(a["variant"].cast(pl.String).is_in(wanted.implode()))
    if not part.height:
        raise SummaryStatisticsError(
            f"none of the {wanted.len()} instruments is in {name}: they look like {wanted.head(2).to_list()}, its ids "
            f"like {a['variant'].drop_nulls().head(2).to_list()}"
        )
    return part


def _joined(a: pl.DataFrame, b: pl.DataFrame, by: By, names: tuple[str, str], builds: tuple[str, str]) -> Join:
    try:
        return join(a, b, by, builds)
    except SummaryStatisticsError as error:
        first, other = names
        raise SummaryStatisticsError(f"{first} (here the exposure) and {other} (here the outcome): {error}") from None


def _names(a: pl.DataFrame, b: pl.DataFrame, found: Join, by: By) -> tuple[pl.Series, pl.Series]:
    """Ids of both files, those of the other one or of the place where they are missing."""
    if by != "variant" and (a["variant"].null_count() or b["variant"].null_count()):
        a, b = fill_ids(a, b, found)
    return a["variant"].cast(pl.String), b["variant"].cast(pl.String)


def _own(frame: pl.DataFrame) -> FateArray:
    """What is wrong with rows of a file whatever the other one says: their fate beside themselves."""
    itself = Join(np.arange(frame.height, dtype=np.int32), frame.height)
    fate = aligned_rows(frame, frame, itself, action=1, tolerance=0.0).fate
    return np.where(np.isin(fate, [FATE[name] for name in OWN_FAULTS]), fate, np.int8(FIRST_KEPT))


def _started(a: pl.DataFrame, account: Account) -> _Together:
    """The first file by itself."""
    fate = _own(a)
    account.blame(np.flatnonzero(fate < FIRST_KEPT), fate[fate < FIRST_KEPT], account.first, OWN_FAULTS)
    rows = np.flatnonzero(fate >= FIRST_KEPT)
    part = a[rows]
    columns = part.select(pl.col("beta", "se", "p_value", "n").cast(pl.Float64).fill_null(np.nan))
    numbers = {name: [columns[name].to_numpy()] for name in columns.columns}
    return _Together(rows, part.with_columns(beta=pl.lit(1.0), se=pl.lit(1.0)), numbers)


def _with_file(
    done: _Together, b: pl.DataFrame, found: Join, account: Account, file: str, *, action: Action, tolerance: float
) -> _Together:
    """Align one more file with what is in; what does not agree goes, with the reason."""
    partner = found.partner[done.rows]
    aligned = aligned_rows(done.coding, b, Join(partner, b.height), action=action, tolerance=tolerance)
    kept = aligned.fate >= FIRST_KEPT
    account.blame(done.rows[~kept], aligned.fate[~kept], file)
    rows, table, flags = done.rows[kept], aligned.table, aligned.flags[kept]
    turn = table["beta_exposure"].to_numpy(dtype=np.float64)
    swapped = (flags & Flag.SWAPPED) > 0
    account.add("turned", rows[swapped & (turn > 0)], file)
    account.add("turned", rows[turn < 0], account.first)
    account.add("flipped", rows[(flags & Flag.STRAND_FLIPPED) > 0], file)
    numbers = {name: [column[kept] for column in columns] for name, columns in done.numbers.items()}
    numbers["beta"] = [beta * turn for beta in numbers["beta"]]
    for name, column in (("beta", "beta"), ("se", "se"), ("p_value", "p"), ("n", "n")):
        numbers[name].append(table[f"{column}_outcome"].to_numpy(dtype=np.float64))
    coding = done.coding.filter(pl.Series(kept, dtype=pl.Boolean)).with_columns(
        effect_allele=pl.Series(table["effect_allele"].to_list(), dtype=pl.String),
        other_allele=pl.Series(table["other_allele"].to_list(), dtype=pl.String),
        eaf=pl.Series(table["eaf_exposure"].to_numpy()).fill_nan(None),
    )
    return _Together(rows, coding, numbers)


def _finished(
    done: _Together, account: Account, audit: pd.DataFrame, exposures: tuple[str, ...], outcome: str
) -> MultivariableHarmonised:
    from scipy.special import ndtr

    if not done.rows.size:
        why = "; ".join(f"{n} {reason}" for reason, n in audit["reason"].value_counts().items())
        warn(f"none of the {len(audit)} variants was kept: {why}", SummaryStatisticsWarning)
    beta, se, p, n = (np.column_stack(done.numbers[name]) for name in ("beta", "se", "p_value", "n"))
    p = np.where(np.isnan(p), 2.0 * ndtr(-np.abs(beta / se)), p)
    sizes = np.array([np.median(known) if (known := column[column > 0]).size else np.nan for column in n.T])
    ids = account.ids.gather(done.rows)
    if ids.is_duplicated().any():
        raise SummaryStatisticsError(
            f"{account.first}: {shown(ids.filter(ids.is_duplicated())[0])} is the id of several variants that are in "
            f"all files; keep one of them, or give each an id of its own"
        )
    plain = MultivariableHarmonised.from_arrays(
        beta_exposures=beta[:, :-1], se_exposures=se[:, :-1], p_exposures=p[:, :-1], exposures=exposures,
        beta_outcome=beta[:, -1], se_outcome=se[:, -1], variant=ids, outcome=outcome,
    )  # fmt: skip
    effect, other = (done.coding[name].cast(pl.String).to_numpy() for name in ("effect_allele", "other_allele"))
    return replace(
        plain, n_exposures=read_only(sizes[:-1]), n_outcome=float(sizes[-1]), effect_allele=effect, other_allele=other,
        audit=audit,
    )  # fmt: skip
