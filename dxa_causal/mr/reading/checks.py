"""Checks of a table of summary statistics: everything is counted, nothing dropped."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal._core.warnings import SummaryStatisticsWarning, warn
from dxa_causal.mr.reading.repeats import listed_before

FloatArray = npt.NDArray[np.float64]
_MISMATCH = "p does not follow from beta and se"
_CODES = {"1": "A", "2": "C", "3": "G", "4": "T"}


def neg_log10_p_of_z(z: FloatArray) -> FloatArray:
    """-log10 of the two-sided normal p-value, at any size of z.

    Examples
    --------
    >>> float(neg_log10_p_of_z(np.array([100.0]))[0].round(2))
    2173.57
    """
    from scipy.special import log_ndtr

    return np.asarray(-(np.log(2.0) + log_ndtr(-np.abs(z))) / np.log(10.0), dtype=np.float64)


def letters(table: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Turn the codes 1 2 3 4 into A C G T when no other allele occurs."""
    pair = ["effect_allele", "other_allele"]
    seen = {allele for name in pair for allele in table[name].unique().drop_nulls()}
    if not seen or not seen <= _CODES.keys():
        return table
    if seen <= {"1", "2"}:
        notes.append("alleles are coded 1 and 2, which may be allele numbers and not A and C: left as they are")
        return table
    notes.append("alleles coded 1 2 3 4 were read as A C G T")
    return table.with_columns(pl.col(pair).cast(pl.String).replace(_CODES).cast(pl.Categorical))


def scales(table: pl.DataFrame, file: str, counts: Counter[str], notes: list[str]) -> pl.DataFrame:
    """Refuse whole columns on another scale; single values that are impossible become missing and are counted."""
    eaf = table["eaf"].drop_nulls()
    if eaf.len():
        over = int((eaf > 1).sum())
        if over * 2 > eaf.len() and eaf.to_numpy().max() <= 100:
            raise SummaryStatisticsError(
                f"{file}: effect-allele frequencies look like percentages ({over} of {eaf.len()} above 1, up to "
                f"{eaf.to_numpy().max():g}); divide by 100"
            )
    p = table["p_value"].drop_nulls()
    over = int((p > 1).sum())
    if p.len() and over * 10 > p.len():
        raise SummaryStatisticsError(
            f"{file}: {over} of {p.len()} p-values are above 1, up to {p.to_numpy().max():g}; if the column "
            "holds -log10 p say columns={'neg_log10_p': ...}"
        )
    logs = table["neg_log10_p"].drop_nulls().to_numpy()
    if logs.size and logs.max() <= 0 and logs.min() < 0:
        notes.append("the column of -log10 p holds log10 p: its sign was turned")
        table = table.with_columns(-pl.col("neg_log10_p"))
    for name, wrong, text in (
        ("eaf", (pl.col("eaf") < 0) | (pl.col("eaf") > 1), "eaf outside 0 to 1, set to missing"),
        ("p_value", (pl.col("p_value") < 0) | (pl.col("p_value") > 1), "p outside 0 to 1, set to missing"),
        ("neg_log10_p", pl.col("neg_log10_p") < 0, "-log10 p below 0, set to missing"),
        ("n", pl.col("n") <= 0, "n not positive, set to missing"),
    ):
        n = int(table.select(wrong.sum()).item() or 0)
        counts[text] += n
        if n:
            table = table.with_columns(pl.when(wrong).then(None).otherwise(pl.col(name)).alias(name))
    for name in ("beta", "se", "eaf", "p_value", "neg_log10_p", "n"):
        bad = int(table.select((~pl.col(name).is_finite()).sum()).item() or 0)
        if bad:
            counts[f"{name} not finite, set to missing"] += bad
            finite = pl.when(pl.col(name).is_finite()).then(pl.col(name)).otherwise(None)
            table = table.with_columns(finite.alias(name))
    return table


def fill_p(table: pl.DataFrame, counts: Counter[str], file: str) -> pl.DataFrame:
    """Fill p and -log10 p from each other and, where p is 0 or missing, from beta and se; compare them."""
    logs, values = [], []
    off: list[FloatArray] = []
    compared = 0
    for part in table.select("beta", "se", "p_value", "neg_log10_p").iter_slices(1_000_000):
        beta, se, p, log = (part[c].cast(pl.Float64).to_numpy() for c in part.columns)
        with np.errstate(divide="ignore", invalid="ignore"):
            ours = neg_log10_p_of_z(np.where(se > 0, beta / se, np.nan))
            theirs = np.where(np.isnan(log), np.where(p > 0, -np.log10(p), np.nan), log)
        taken = np.isnan(theirs) & np.isfinite(ours)
        counts["p = 0, -log10 p taken from beta and se"] += int((taken & (p == 0)).sum())
        counts["p missing, taken from beta and se"] += int((taken & np.isnan(p)).sum())
        gap = np.abs(theirs - ours)
        compared += int(np.isfinite(gap).sum())
        # Rounding of beta and se to three digits moves -log10 p by a few per cent: beyond that it is a mismatch.
        off.append(gap[gap > np.maximum(0.3, 0.1 * np.maximum(theirs, ours))])
        theirs = np.where(taken, ours, theirs)
        logs.append(pl.Series("neg_log10_p", theirs).fill_nan(None))
        values.append(pl.Series("p_value", np.where(np.isnan(p), 10.0**-theirs, p)).fill_nan(None))
    _say(np.concatenate(off), compared, counts, file)
    return table.with_columns(pl.concat(logs), pl.concat(values))


def _say(gap: FloatArray, compared: int, counts: Counter[str], file: str) -> None:
    counts[_MISMATCH] += gap.size
    if compared and gap.size * 20 > compared:
        warn(
            f"{file}: in {gap.size} of {compared} rows p does not follow from beta and se (median "
            f"difference of log10 p among them {np.median(gap):.2g}, largest {gap.max():.2g}): p corrected or "
            f"from another model, or a standard error on another scale",
            SummaryStatisticsWarning,
        )


def warn_again(found: pd.DataFrame, size: int, file: str) -> None:
    """Repeat, for a file that was read before, that p-values and effects do not belong together."""
    n = int(found.loc[found["check"] == _MISMATCH, "n"].sum())
    if n * 20 > size:
        warn(f"{file}: in {n} of {size} rows {_MISMATCH} (seen when it was first read)", SummaryStatisticsWarning)


def report(table: pl.DataFrame, counts: Counter[str]) -> pd.DataFrame:
    """Count what is missing, invalid or doubled."""
    pair = pl.col("effect_allele"), pl.col("other_allele")
    alleles = pl.concat(
        [table[name].unique().drop_nulls().cast(pl.String) for name in ("effect_allele", "other_allele")]
    )
    strange = alleles.filter(~alleles.str.contains(r"^[ACGT]+$|^[ID]$")).unique()
    symbols = strange.filter(strange.str.starts_with("<"))
    checks = {
        "no variant id": pl.col("variant").is_null(),
        "no effect allele": pair[0].is_null(),
        "no other allele": pair[1].is_null(),
        "allele is not of A C G T (or I, D)": pair[0].is_in(strange.implode()) | pair[1].is_in(strange.implode()),
        "allele is a symbol such as <DEL>": pair[0].is_in(symbols.implode()) | pair[1].is_in(symbols.implode()),
        "effect and other allele are the same": pair[0] == pair[1],
        "beta missing": pl.col("beta").is_null(),
        "se missing": pl.col("se").is_null(),
        "se not positive": pl.col("se") <= 0,
        "eaf missing": pl.col("eaf").is_null(),
        "p missing": pl.col("neg_log10_p").is_null(),
        "n missing": pl.col("n").is_null(),
        "position missing": pl.col("position").is_null() | pl.col("chromosome").is_null(),
    }
    rows = []
    for name, check in checks.items():
        flag = table.select(check.fill_null(False).alias("x"))["x"]
        n = int(flag.sum())
        rows.append((name, n, int(flag.arg_max() or 0) + 1 if n else None))
    again = listed_before(table["variant"])
    rows.append(("variant listed before", again.len(), int(again[0]) + 1 if again.len() else None))
    rows += [(name, n, None) for name, n in counts.items()]
    frame = pd.DataFrame(rows, columns=["check", "n", "first_row"])
    return frame.astype({"n": "int64", "first_row": "Int64"})
