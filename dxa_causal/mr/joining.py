"""Which row of one GWAS file belongs to which row of the other: by id, or by place and alleles."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.mr.reading.repeats import repeated

BoolArray = npt.NDArray[np.bool_]
RowArray = npt.NDArray[np.int32]
By = Literal["auto", "variant", "position"]

# Ids that stand at other places in the two files, as a share of those whose place both give: beyond it the builds
# differ. Within one build the places of a few ids move from one release of dbSNP to the next.
_BUILDS_DIFFER = 0.5


class Join(NamedTuple):
    """For each row of the first file the row of the second that belongs to it, -1 where none does; sizes of both."""

    partner: RowArray
    n_second: int

    @property
    def rows(self) -> RowArray:
        """Rows of the first file that are in the second too, in their order."""
        return np.flatnonzero(self.partner >= 0).astype(np.int32)

    @property
    def in_second(self) -> BoolArray:
        """Which rows of the second file are in the first too."""
        found = np.zeros(self.n_second, dtype=bool)
        found[self.partner[self.partner >= 0]] = True
        return found


def join(a: pl.DataFrame, b: pl.DataFrame, by: By, builds: tuple[str, str]) -> Join:
    """Match rows by id, by place and alleles, or (auto) by id and the rest by place and alleles.

    Parameters
    ----------
    a, b : polars.DataFrame
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
            if not _placed(frame):
                raise SummaryStatisticsError(f"{side}: by='position' needs columns chromosome and position")
        _refuse_said_builds(builds)
        return _matched(_keys(a), _keys(b), "place and alleles")
    if by == "variant" or not (_placed(a) and _placed(b)):
        return _matched(_ids(a), _ids(b), "id")
    try:
        found = _matched(_ids(a), _ids(b), "id")
    except NothingShared as by_id:
        _refuse_said_builds(builds)
        try:
            return _matched(_keys(a), _keys(b), "id or place and alleles")
        except NothingShared:
            ids = str(by_id).replace("joined by id;", "joined by id or place and alleles;")
            raise NothingShared(ids) from None  # the ids are what the user knows
    _refuse_other_build(a, b, found, builds)
    _refuse_said_builds(builds)
    return _with_places(a, b, found)


def fill_ids(a: pl.DataFrame, b: pl.DataFrame, found: Join) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give rows without an id that of their partner in the other file, else chromosome:position:alleles."""
    back = np.full(b.height, -1, dtype=np.int32)
    back[found.partner[found.rows]] = found.rows
    filled = []
    for frame, other, partner in ((a, b, found.partner), (b, a, back)):
        theirs = _ids(other).gather(pl.Series(partner).replace(-1, None))
        filled.append(frame.with_columns(variant=pl.coalesce(_ids(frame), theirs, _place_name())))
    return filled[0], filled[1]


class NothingShared(SummaryStatisticsError):
    """No row of one file is in the other."""


def _placed(frame: pl.DataFrame) -> bool:
    return all(frame[name].null_count() < frame.height for name in ("chromosome", "position"))


def _ids(frame: pl.DataFrame) -> pl.Series:
    return frame["variant"].cast(pl.String)


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String)


def _place_name() -> pl.Expr:
    place = pl.concat_str([_text("chromosome"), pl.col("position").cast(pl.Int64).cast(pl.String)], separator=":")
    alleles = [_text("other_allele"), _text("effect_allele")]
    return pl.when(place.is_not_null()).then(pl.concat_str([place, *alleles], separator=":", ignore_nulls=True))


def _keys(frame: pl.DataFrame) -> pl.Series:
    """Chromosome, position and alleles, the same for both strands and either effect allele; null if one is missing."""
    pairs = []
    one, two = _text("effect_allele"), _text("other_allele")
    for x, y in ((one, two), (_other_strand(one), _other_strand(two))):
        pairs.append(pl.concat_str([pl.min_horizontal(x, y), pl.max_horizontal(x, y)], separator=":"))
    place = [_text("chromosome"), pl.col("position").cast(pl.Int64).cast(pl.String)]
    key = pl.concat_str([*place, pl.min_horizontal(*pairs)], separator=":")
    return frame.select(key=pl.when(one.is_not_null() & two.is_not_null()).then(key))["key"]


def _other_strand(allele: pl.Expr) -> pl.Expr:
    return allele.str.replace_many(["A", "C", "G", "T"], ["T", "G", "C", "A"])


def _matched(first: pl.Series, second: pl.Series, by: str) -> Join:
    doubled = repeated(first), repeated(second)
    for side, twice, other in (("exposure", doubled[0], second), ("outcome", doubled[1], first)):
        shared = twice.filter(twice.is_in(other.filter(other.is_in(twice.implode())).unique().implode()))
        if shared.len():
            raise SummaryStatisticsError(
                f"{side}: {shared.len()} shared variants are listed more than once, first "
                f"{', '.join(repr(v) for v in shared.head(5))}; keep one row of each (the right alleles of a variant "
                f"with several, or one of several studies)"
            )
    partner = _one_to_one(first, second, doubled)
    if (partner < 0).all():
        examples = " and ".join(
            f"{keys.head(1000).drop_nulls().head(2).to_list()} in the {side}"
            for keys, side in ((first, "exposure"), (second, "outcome"))
        )
        raise NothingShared(
            f"no variant is in both files ({first.len()} exposure, {second.len()} outcome rows): the ids look like "
            f"{examples}. Variants are joined by {by}; give both files the same kind"
        )
    return Join(partner, second.len())


def _one_to_one(first: pl.Series, second: pl.Series, doubled: tuple[pl.Series, pl.Series]) -> RowArray:
    """Row of the second with the same key, -1 where there is none, the key is missing or there twice in a file."""
    sides = []
    for name, keys, twice in (("i", first, doubled[0]), ("j", second, doubled[1])):
        side = pl.LazyFrame({"key": keys}).with_row_index(name).filter(pl.col("key").is_not_null())
        sides.append(side.filter(~pl.col("key").is_in(twice.implode())) if twice.len() else side)
    pairs = sides[0].join(sides[1], on="key").select("i", "j").collect(engine="streaming")
    partner = np.full(first.len(), -1, dtype=np.int32)
    partner[pairs["i"].to_numpy()] = pairs["j"].to_numpy()
    return partner


def _refuse_said_builds(builds: tuple[str, str]) -> None:
    if all(builds) and builds[0] != builds[1]:
        raise SummaryStatisticsError(
            f"the files are on different genome builds: {builds[0]} in the exposure, {builds[1]} in the outcome. Lift "
            f"one of them over (GWAS.liftover), or join by id alone with by='variant'"
        )


def _refuse_other_build(a: pl.DataFrame, b: pl.DataFrame, found: Join, builds: tuple[str, str]) -> None:
    place = ("chromosome", "position")
    rows = found.rows
    first, second = a.select(place)[rows], b.select(place)[found.partner[rows]]
    one, two = ([frame["chromosome"], frame["position"]] for frame in (first, second))
    given = one[0].is_not_null() & one[1].is_not_null() & two[0].is_not_null() & two[1].is_not_null()
    differ = given & ((one[0] != two[0]) | (one[1] != two[1]))
    n, n_given = int(differ.sum()), int(given.sum())
    if n > _BUILDS_DIFFER * n_given:
        i = differ.arg_max() or 0
        named = [f" ({build})" if build else "" for build in builds]
        raise SummaryStatisticsError(
            f"the files are on different genome builds: {n} of {n_given} shared ids stand at other places, first "
            f"{a['variant'][int(rows[i])]!r}: {one[0][i]}:{one[1][i]:.0f} in the exposure{named[0]}, "
            f"{two[0][i]}:{two[1][i]:.0f} in the outcome{named[1]}. Lift one of them over, or join by id alone with "
            f"by='variant'"
        )


def _with_places(a: pl.DataFrame, b: pl.DataFrame, found: Join) -> Join:
    """Add rows that no id matches but place and alleles do; what is there twice stays out."""
    rest_a, rest_b = np.flatnonzero(found.partner < 0), np.flatnonzero(~found.in_second)
    if not (rest_a.size and rest_b.size):
        return found
    keys = [_keys(frame[rest]) for frame, rest in ((a, rest_a), (b, rest_b))]
    more = _one_to_one(keys[0], keys[1], (repeated(keys[0]), repeated(keys[1])))
    partner = found.partner.copy()
    partner[rest_a[more >= 0]] = rest_b[more[more >= 0]]
    return Join(partner, found.n_second)
