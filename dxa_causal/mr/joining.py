"""Which row of one GWAS file belongs to which row of the other: by id, or by place and alleles."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
By = Literal["auto", "variant", "position"]

# Ids that stand at other places in the two files, as a share of those whose place both give: beyond it the builds
# differ. Within one build the places of a few ids move from one release of dbSNP to the next.
_BUILDS_DIFFER = 0.5


class Join(NamedTuple):
    """Rows of each file that are in the other one, and the row of the second that belongs to each such row."""

    in_first: BoolArray
    in_second: BoolArray
    partner: IntArray


def join(a: pd.DataFrame, b: pd.DataFrame, by: By, builds: tuple[str, str]) -> Join:
    """Match rows by id, by place and alleles, or (auto) by id and the rest by place and alleles.

    Parameters
    ----------
    a, b : DataFrame
        As `read_side` returns them.
    by : {"auto", "variant", "position"}
    builds : tuple of str
        What is known of their genome builds, for messages; "" where nothing is.

    Raises
    ------
    SummaryStatisticsError
        Nothing is shared, something shared is there twice, or ids stand at
        other places in the two files (not with "variant").
    """
    if by == "position":
        for side, frame in (("exposure", a), ("outcome", b)):
            if frame["position"].isna().all() or frame["chromosome"].isna().all():
                raise SummaryStatisticsError(f"{side}: by='position' needs columns chromosome and position")
        return _matched(a, b, _keys(a), _keys(b), "place and alleles")
    if by == "variant" or not (_placed(a) and _placed(b)):
        return _matched(a, b, _ids(a), _ids(b), "id")
    try:
        found = _matched(a, b, _ids(a), _ids(b), "id")
    except _NothingShared:
        return _matched(a, b, _keys(a), _keys(b), "id or place and alleles")
    _refuse_other_build(a, b, found, builds)
    return _with_places(a, b, found)


def fill_ids(a: pd.DataFrame, b: pd.DataFrame, found: Join) -> None:
    """Give rows without an id that of their partner in the other file, else chromosome:position:alleles; in place."""
    ids = [_ids(a).copy(), _ids(b).copy()]
    rows = np.flatnonzero(found.in_first)
    for (mine, i), (theirs, j) in (((0, rows), (1, found.partner)), ((1, found.partner), (0, rows))):
        lacks = pd.isna(ids[mine][i])
        ids[mine][i[lacks]] = ids[theirs][j[lacks]]
    for frame, names in zip((a, b), ids, strict=True):
        lacks = pd.isna(names) & (frame["chromosome"].notna() & frame["position"].notna()).to_numpy()
        part = frame[lacks]
        names[lacks] = [
            ":".join([c, f"{p:.0f}", *(x for x in alleles if x is not None)])
            for c, p, *alleles in zip(
                part["chromosome"], part["position"], part["other_allele"], part["effect_allele"], strict=True
            )
        ]
        frame["variant"] = names


class _NothingShared(SummaryStatisticsError):
    """No row of one file is in the other."""


def _placed(frame: pd.DataFrame) -> bool:
    return bool(frame["position"].notna().any() and frame["chromosome"].notna().any())


def _ids(frame: pd.DataFrame) -> npt.NDArray[np.object_]:
    return frame["variant"].to_numpy(dtype=object)


def _keys(frame: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Chromosome, position and alleles, the same for both strands and either effect allele; None if one is missing."""
    import polars as pl

    text = {name: frame[name].to_numpy(dtype=object) for name in ("chromosome", "effect_allele", "other_allele")}
    p = frame["position"].to_numpy(dtype=np.float64, na_value=np.nan)
    table = pl.DataFrame({name: pl.Series(values, dtype=pl.String) for name, values in text.items()}).with_columns(
        position=pl.Series(p, nan_to_null=True).cast(pl.Int64)
    )
    one, two = pl.col("effect_allele"), pl.col("other_allele")
    both_strands = [(x, x.str.replace_many(["A", "C", "G", "T"], ["T", "G", "C", "A"])) for x in (one, two)]
    pairs = [
        pl.concat_str([pl.min_horizontal(x, y), pl.max_horizontal(x, y)], separator=":")
        for x, y in zip(*both_strands, strict=True)
    ]
    key = pl.concat_str(["chromosome", pl.col("position").cast(pl.String), pl.min_horizontal(*pairs)], separator=":")
    complete = pl.when(one.is_not_null() & two.is_not_null()).then(key)
    return table.select(key=complete)["key"].to_numpy().astype(object)


def _matched(
    a: pd.DataFrame, b: pd.DataFrame, keys_a: npt.NDArray[np.object_], keys_b: npt.NDArray[np.object_], by: str
) -> Join:
    code, names = pd.factorize(np.concatenate([keys_a, keys_b]))
    code_a, code_b = np.split(code, [len(a)])
    count_a = np.bincount(code_a[code_a >= 0], minlength=names.size)
    count_b = np.bincount(code_b[code_b >= 0], minlength=names.size)
    both = (count_a > 0) & (count_b > 0)
    if not both.any():
        examples = " and ".join(
            f"{[k for k in keys[:1000] if k is not None and k == k][:2]} in the {side}"
            for keys, side in ((keys_a, "exposure"), (keys_b, "outcome"))
        )
        raise _NothingShared(
            f"no variant is in both files ({len(a)} exposure, {len(b)} outcome rows): the ids look like {examples}. "
            f"Variants are joined by {by}; give both files the same kind"
        )
    for side, count in (("exposure", count_a), ("outcome", count_b)):
        twice = names[both & (count > 1)]
        if twice.size:
            raise SummaryStatisticsError(
                f"{side}: {twice.size} shared variants are listed more than once, first "
                f"{', '.join(repr(v) for v in twice[:5])}; keep one row of each (the right alleles of a variant "
                f"with several, or one of several studies)"
            )
    shared = np.append(both, False)  # code -1, no id, is the last
    row_of_b = np.full(names.size, -1, dtype=np.int64)
    row_of_b[code_b[code_b >= 0]] = np.flatnonzero(code_b >= 0)
    in_a = shared[code_a]
    return Join(in_a, shared[code_b], row_of_b[code_a[in_a]])


def _refuse_other_build(a: pd.DataFrame, b: pd.DataFrame, found: Join, builds: tuple[str, str]) -> None:
    rows = np.flatnonzero(found.in_first)
    places = [
        (f["chromosome"].to_numpy(dtype=object)[i], f["position"].to_numpy(dtype=np.float64, na_value=np.nan)[i])
        for f, i in ((a, rows), (b, found.partner))
    ]
    (chromosome_a, position_a), (chromosome_b, position_b) = places
    given = ~(np.isnan(position_a) | np.isnan(position_b) | pd.isna(chromosome_a) | pd.isna(chromosome_b))
    differ = given & ((position_a != position_b) | (chromosome_a != chromosome_b))
    if differ.sum() > _BUILDS_DIFFER * given.sum():
        i = int(np.flatnonzero(differ)[0])
        named = [f" ({build})" if build else "" for build in builds]
        raise SummaryStatisticsError(
            f"the files are on different genome builds: {int(differ.sum())} of {int(given.sum())} shared ids stand at "
            f"other places, first {a['variant'].iloc[rows[i]]!r}: {chromosome_a[i]}:{position_a[i]:.0f} in the "
            f"exposure{named[0]}, {chromosome_b[i]}:{position_b[i]:.0f} in the outcome{named[1]}. Lift one of them "
            f"over, or join by id alone with by='variant'"
        )


def _with_places(a: pd.DataFrame, b: pd.DataFrame, found: Join) -> Join:
    """Add rows that no id matches but place and alleles do; what is there twice stays out."""
    rest_a, rest_b = np.flatnonzero(~found.in_first), np.flatnonzero(~found.in_second)
    if not (rest_a.size and rest_b.size):
        return found
    first, second = (pd.Series(rows, index=_keys(f.iloc[rows])) for f, rows in ((a, rest_a), (b, rest_b)))
    first, second = (s[s.index.notna() & ~s.index.duplicated(keep=False)] for s in (first, second))
    position = second.index.get_indexer(first.index)
    more_a, more_b = first.to_numpy()[position >= 0], second.to_numpy()[position[position >= 0]]
    if not more_a.size:
        return found
    partner = np.full(len(a), -1, dtype=np.int64)
    partner[found.in_first] = found.partner
    partner[more_a] = more_b
    in_second = found.in_second.copy()
    in_second[more_b] = True
    in_first = partner >= 0
    return Join(in_first, in_second, partner[in_first])
