"""Which genome build positions belong to: by the ends of chromosomes, and by the places of known variants."""

from __future__ import annotations

import polars as pl

CHROMOSOMES = (*(str(c) for c in range(1, 23)), "X")
# Lengths of chromosomes 1 to 22 and X.
LENGTHS: dict[str, tuple[int, ...]] = {
    "GRCh37": (
        249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431, 135534747,
        135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248, 59128983, 63025520,
        48129895, 51304566, 155270560,
    ),
    "GRCh38": (
        248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422,
        135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167,
        46709983, 50818468, 156040895,
    ),
    "NCBI36": (
        247249719, 242951149, 199501827, 191273063, 180857866, 170899992, 158821424, 146274826, 140273252, 135374737,
        134452384, 132349534, 114142980, 106368585, 100338915, 88827254, 78774742, 76117153, 63811651, 62435964,
        46944323, 49691432, 154913754,
    ),
}  # fmt: skip
# Much studied variants: id, chromosome, position in GRCh37, GRCh38 and, where known, NCBI36 (dbSNP).
_PLACES: tuple[tuple[str, str, int, int, int | None], ...] = (
    ("rs1801133", "1", 11856378, 11796321, None),
    ("rs11591147", "1", 55505647, 55039974, None),
    ("rs12740374", "1", 109817590, 109274968, 109619113),
    ("rs646776", "1", 109818530, 109275908, 109620053),
    ("rs599839", "1", 109822166, 109279544, 109623689),
    ("rs2476601", "1", 114377568, 113834946, None),
    ("rs6025", "1", 169519049, 169549811, None),
    ("rs1260326", "2", 27730940, 27508073, None),
    ("rs4988235", "2", 136608646, 135851076, None),
    ("rs13107325", "4", 103188709, 102267552, None),
    ("rs9349379", "6", 12903957, 12903725, 13011943),
    ("rs1799945", "6", 26091179, 26090951, 26199158),
    ("rs1800562", "6", 26093141, 26092913, 26201120),
    ("rs3798220", "6", 160961137, 160540105, None),
    ("rs10455872", "6", 161010118, 160589086, None),
    ("rs11556924", "7", 129663496, 130023656, None),
    ("rs10757278", "9", 22124477, 22124478, None),
    ("rs1333049", "9", 22125503, 22125504, None),
    ("rs7903146", "10", 114758349, 112998590, 114748339),
    ("rs5219", "11", 17409572, 17388025, None),
    ("rs10830963", "11", 92708710, 92975544, 92348358),
    ("rs964184", "11", 116648917, 116778201, None),
    ("rs3184504", "12", 111884608, 111446804, None),
    ("rs12913832", "15", 28365618, 28120472, None),
    ("rs1421085", "16", 53800954, 53767042, 52358455),
    ("rs1558902", "16", 53803574, 53769662, 52361075),
    ("rs9939609", "16", 53820527, 53786615, 52378028),
    ("rs6567160", "18", 57829135, 60161902, 55980115),
    ("rs17782313", "18", 57851097, 60183864, 56002077),
    ("rs58542926", "19", 19379549, 19268740, None),
    ("rs429358", "19", 45411941, 44908684, None),
    ("rs7412", "19", 45412079, 44908822, None),
    ("rs4420638", "19", 45422946, 44919689, None),
    ("rs738409", "22", 44324727, 43928847, None),
)
_AGREE = 0.9  # share of those found whose place has to be that of one build


def by_length(length: int) -> str | None:
    """Return the build whose chromosome 1 is that long."""
    return next((build for build, lengths in LENGTHS.items() if lengths[0] == length), None)


def beyond(table: pl.DataFrame) -> dict[str, int]:
    """Rows per build whose position lies behind the end of their chromosome."""
    if table["position"].null_count() == table.height:
        return dict.fromkeys(LENGTHS, 0)
    farthest = table.lazy().group_by("chromosome").agg(pl.col("position").max()).collect(engine="streaming")
    reached = dict(farthest.with_columns(pl.col("chromosome").cast(pl.String)).iter_rows())
    counts = dict.fromkeys(LENGTHS, 0)
    for build, lengths in LENGTHS.items():
        for name, end in zip(CHROMOSOMES, lengths, strict=True):
            if (reached.get(name) or 0) > end:
                behind = (pl.col("chromosome") == name) & (pl.col("position") > end)
                counts[build] += int(table.select(behind.sum()).item())
    return counts


def by_places(table: pl.DataFrame) -> tuple[str | None, int]:
    """Build at whose places the much studied variants of this table stand, and how many of them do."""
    places = pl.DataFrame(_PLACES, schema=["variant", "chromosome", "GRCh37", "GRCh38", "NCBI36"], orient="row").lazy()
    here = table.lazy().select("variant", pl.col("chromosome").cast(pl.String), "position")
    found = here.join(places, on=["variant", "chromosome"], how="inner").drop_nulls("position")
    counts = found.select(pl.len(), *(pl.col(build).eq(pl.col("position")).sum() for build in LENGTHS)).collect(
        engine="streaming"
    )
    n, best = int(counts["len"][0]), max(LENGTHS, key=lambda build: int(counts[build][0]))
    matched = int(counts[best][0])
    return (best, matched) if matched and matched >= _AGREE * n else (None, 0)
