"""From a block of text to the standard columns."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.genotypes.reading import plain_chromosome
from dxa_causal.mr.reading.blocks import Block
from dxa_causal.mr.reading.formats import Layout

COLUMNS: dict[str, type[pl.DataType]] = {
    "variant": pl.String, "chromosome": pl.Categorical, "position": pl.Int64, "effect_allele": pl.Categorical,
    "other_allele": pl.Categorical, "beta": pl.Float64, "se": pl.Float64, "eaf": pl.Float64, "p_value": pl.Float64,
    "neg_log10_p": pl.Float64, "n": pl.Float64,
}  # fmt: skip
MISSING = ["", ".", "NA", "NaN", "nan", "#NA", "NULL", "null", "None", "NR", "na", "N/A", "<NA>", "-nan", "-9.0e999"]
_NUMBERS = frozenset({
    "position", "beta", "odds_ratio", "hazard_ratio", "se", "eaf", "p_value", "neg_log10_p", "ln_p", "n", "n_cases",
    "n_controls", "z", "ci_low", "ci_high", "minor_af", "alt_count", "call_rate",
})  # fmt: skip
_LINE_END = b"\x1e"
_ONE_QUOTE = re.compile(rb'"[^"]*"')
_BLANK = re.compile(rb"\n[ \t]*\n(?:[ \t]*\n)*|\A[ \t]*\n")
_COUNTS = ("n", "n_cases", "n_controls", "position")
_LN10 = 2.302585092994046


@dataclass
class Rows:
    """How the rows of one file are read, and what was met on the way."""

    layout: Layout
    header: list[str]
    separator: str
    file: str
    study: str | None = None
    counts: Counter[str] = field(default_factory=Counter)
    traits: set[str] = field(default_factory=set)

    def read(self, block: Block) -> pl.DataFrame:
        """Return the block's rows in the columns of `COLUMNS`."""
        text = block.text
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        separator = self.separator
        if separator == " ":
            text, separator = re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", text), "\t"
            text = re.sub(rb"[ \t]+", b"\t", text)
        opens = rb'(?m)(?:^|%b)"' % re.escape(separator.encode())
        quoted = b'"' in text and re.search(opens, text) is not None
        self._refuse_ragged(text, separator.encode(), quoted, block)
        try:
            raw = self._frame(text, separator, quoted)
        except pl.exceptions.PolarsError as error:
            said = str(error).split("\n", 1)[0]
            raise SummaryStatisticsError(f"{self.file}, line {block.line} or behind: {said}") from error
        if raw.height == 0:
            return pl.DataFrame(schema=COLUMNS)
        raw = self._one_study(raw)
        return standard(raw, self.layout, self.counts)

    def _refuse_ragged(self, text: bytes, separator: bytes, quoted: bool, block: Block) -> None:
        """Too few or too many fields: polars would fill the former with missing values."""
        want = len(self.header) - 1
        last = text[text.rfind(b"\n", 0, -1) + 1 :]
        if text.count(separator) == want * text.count(b"\n") and last.count(separator) == want:
            return
        if quoted:
            # Separators inside quotes part no fields. Of quoted line ends nothing is left but a mark that counts.
            text = re.sub(rb'"[^"\n]*"', b"", text)
            if b'"' in text and (whole := _ONE_QUOTE.sub(_line_ends, text)).count(b'"') == 0:
                text = whole
        line = block.line
        rows = text.split(b"\n")[:-1]
        for i, row in enumerate(rows):
            fields = row.count(separator)
            if row.strip(b" \t") and fields != want:
                cut = block.last and i == len(rows) - 1 and fields < want
                raise SummaryStatisticsError(
                    f"{self.file}, line {line}: {fields + 1} fields where the header has {want + 1}"
                    f"{' (the last line; the file was probably cut short)' if cut else ''}; "
                    f"the line begins {row[:60].decode(errors='replace')!r}"
                )
            line += 1 + row.count(_LINE_END)

    def _frame(self, text: bytes, separator: str, quoted: bool) -> pl.DataFrame:
        used: dict[str, list[str]] = {}
        for name, column in self.layout.columns.items():
            if name != "n_of_all":
                used.setdefault(column, []).append(name)
        if _BLANK.search(text):
            text = _BLANK.sub(b"\n", text).lstrip(b"\n")
        places = {self.header.index(c): names for c, names in used.items()}
        numbers = {i for i, names in places.items() if set(names) <= _NUMBERS}
        try:
            frame = self._scan(text, separator, quoted, places, numbers)
        except pl.exceptions.PolarsError:
            frame = self._scan(text, separator, quoted, places, set())
            frame = frame.with_columns(self._number(frame, i, places[i]) for i in sorted(numbers))
        p = self.layout.columns.get("p_value")
        out = {name: frame[f"c{i}"] for i, names in places.items() for name in names}
        if p is not None and "neg_log10_p" not in out and (out["p_value"] < 1e-300).any():
            at = self.header.index(p)
            written = self._scan(text, separator, quoted, places, numbers - {at})[f"c{at}"]
            out["neg_log10_p"] = _tiny(written, out["p_value"])
        return pl.DataFrame(out)

    def _scan(
        self, text: bytes, separator: str, quoted: bool, places: dict[int, list[str]], numbers: set[int]
    ) -> pl.DataFrame:
        schema = {f"c{i}": pl.Float64 if i in numbers else pl.String for i in range(len(self.header))}
        return (
            pl.scan_csv(
                text,
                has_header=False,
                separator=separator,
                schema=schema,
                null_values=MISSING,
                quote_char='"' if quoted else None,
                encoding="utf8-lossy",
                ignore_errors=False,
                low_memory=True,
            )
            .select(f"c{i}" for i in places)
            .filter(~pl.all_horizontal(pl.all().is_null()) if len(places) == len(self.header) else pl.lit(True))
            .collect()
        )

    def _number(self, frame: pl.DataFrame, i: int, names: list[str]) -> pl.Series:
        text = frame[f"c{i}"].str.strip_chars()
        text = text.set(text.is_in(MISSING), None)
        number = text.cast(pl.Float64, strict=False)
        bad = text.is_not_null() & number.is_null()
        if bad.any():
            where = str(text.filter(bad)[0])
            if int(bad.sum()) * 2 > text.len() - text.null_count():
                advice = ""
                if re.fullmatch(r"-?\d{1,3}(,\d{3})+", where) and names[0] in _COUNTS:
                    advice = "; leave out the commas between thousands"
                elif re.fullmatch(r"-?\d+,\d+", where):
                    advice = "; decimal commas have to become points"
                raise SummaryStatisticsError(
                    f"{self.file}: column {self.header[i]!r} must hold numbers ({names[0]}); most do not, first "
                    f"{where!r}{advice}"
                )
            self.counts[f"{names[0]}: not a number"] += int(bad.sum())
        return number.alias(f"c{i}")

    def _one_study(self, raw: pl.DataFrame) -> pl.DataFrame:
        if "study_column" in raw.columns and self.study is not None:
            kept = raw.filter(pl.col("study_column") == self.study)
            self.counts["rows of other studies, left out"] += raw.height - kept.height
            raw = kept
        for name in ("study_column", "trait"):
            if name in raw.columns:
                self.traits |= set(raw[name].drop_nulls().unique().to_list())
                if len(self.traits) > 1:
                    column = self.layout.columns[name]
                    raise SummaryStatisticsError(
                        f"{self.file}: column {column!r} holds several studies "
                        f"({', '.join(sorted(self.traits)[:3])}, ...); "
                        f"read one at a time with study=({column!r}, value)"
                    )
        return raw


def _line_ends(quoted: re.Match[bytes]) -> bytes:
    return _LINE_END * quoted.group().count(b"\n")


def _tiny(written: pl.Series, p: pl.Series) -> pl.Series:
    """-log10 of p from its text, where a double would underflow; null where the text says zero."""
    parts = pl.DataFrame({"w": written, "p": p}).select(
        mantissa=pl.col("w").str.extract(r"^\s*([0-9.]+)[eE]").cast(pl.Float64, strict=False),
        power=pl.col("w").str.extract(r"[eE](-?\d+)\s*$").cast(pl.Float64, strict=False),
        p=pl.col("p"),
    )
    exact = -(pl.col("mantissa").log10() + pl.col("power"))
    return parts.select(
        pl.when((pl.col("p") < 1e-300) & (pl.col("mantissa") > 0)).then(exact).otherwise(None).alias("x")
    )["x"]


def standard(raw: pl.DataFrame, layout: Layout, counts: Counter[str]) -> pl.DataFrame:
    """Bring the fields of any format to the standard columns."""
    has = set(raw.columns)
    raw = _special(raw, layout, has)
    has = set(raw.columns)
    if "test" in has:
        test = pl.col("test")
        keep = test.is_null() | test.str.to_uppercase().is_in(
            ["ADD", "ADDITIVE", "ADD-WGR-FIRTH", "ADD-WGR-LR", "ADD-WGR-SPA"]
        )
        kept = raw.filter(keep)
        counts["rows of other tests (not additive), left out"] += raw.height - kept.height
        raw = kept
    e: dict[str, pl.Expr] = {n: pl.col(n) if n in has else pl.lit(None, dtype=t) for n, t in COLUMNS.items()}
    ratio = next((r for r in ("odds_ratio", "hazard_ratio") if r in has), None)
    if "beta" not in has and ratio is not None:
        value = pl.col(ratio)
        counts[f"{ratio.replace('_', ' ')} not positive"] += int(raw.select((value <= 0).sum()).item() or 0)
        e["beta"] = pl.when(value > 0).then(value.log()).otherwise(None)
    if "se" not in has and {"ci_low", "ci_high"} <= has:
        low, high = pl.col("ci_low"), pl.col("ci_high")
        if "beta" not in has:
            low, high = low.log(), high.log()
        e["se"] = (high - low) / (2 * 1.959963984540054)
    if "beta" not in has and ratio is None and "z" in has:
        scale = (2 * pl.col("eaf") * (1 - pl.col("eaf")) * (pl.col("n") + pl.col("z") ** 2)).sqrt()
        e["beta"], e["se"] = pl.col("z") / scale, 1 / scale
    if "n" not in has:
        if "n_of_all" in layout.columns:
            e["n"] = pl.lit(float(layout.columns["n_of_all"]))
        elif {"n_cases", "n_controls"} <= has:
            e["n"] = pl.col("n_cases") + pl.col("n_controls")
    if "ln_p" in has and "neg_log10_p" not in has:
        e["neg_log10_p"] = pl.when(pl.col("ln_p") < 0).then(-pl.col("ln_p") / _LN10).otherwise(-pl.col("ln_p").log10())
    e["neg_log10_p"] = e["neg_log10_p"].cast(pl.Float64)
    e["chromosome"] = plain_chromosome(e["chromosome"])
    e["position"] = e["position"].cast(pl.Int64, strict=False)
    for allele in ("effect_allele", "other_allele"):
        e[allele] = e[allele].cast(pl.String).str.strip_chars().str.to_uppercase()
    e["variant"] = e["variant"].cast(pl.String).str.strip_chars()
    return raw.select(x.cast(COLUMNS[n], strict=False).alias(n) for n, x in e.items())


def _special(raw: pl.DataFrame, layout: Layout, has: set[str]) -> pl.DataFrame:
    """Fields that only one format has."""
    if "neale_variant" in has:
        parts = pl.col("neale_variant").str.splitn(":", 4)
        raw = raw.with_columns(
            chromosome=parts.struct[0], position=parts.struct[1].cast(pl.Float64, strict=False),
            other_allele=parts.struct[2], effect_allele=parts.struct[3],
            **({} if "variant" in has else {"variant": pl.col("neale_variant")}),
        )  # fmt: skip
        if {"minor_allele", "minor_af"} <= has:
            same = pl.col("minor_allele") == pl.col("effect_allele")
            raw = raw.with_columns(eaf=pl.when(same).then(pl.col("minor_af")).otherwise(1 - pl.col("minor_af")))
    if "epacts_id" in has:
        found = pl.col("epacts_id").str.extract_groups(r"^[^_]*_([^/_]+)/([^_]+)_?(.*)$")
        raw = raw.with_columns(
            variant=pl.col("epacts_id"), other_allele=found.struct[0], effect_allele=found.struct[1],
        )  # fmt: skip
        if {"alt_count", "call_rate", "n"} <= has:
            raw = raw.with_columns(eaf=pl.col("alt_count") / (2 * pl.col("n") * pl.col("call_rate")))
    if "alleles" in has:
        parts = pl.col("alleles").str.splitn(",", 2)
        raw = raw.with_columns(effect_allele=parts.struct[0], other_allele=parts.struct[1])
    if layout.format == "plink2" and "other_allele" not in has:
        tested_alt = pl.col("effect_allele") == pl.col("alt")
        raw = raw.with_columns(other_allele=pl.when(tested_alt).then(pl.col("ref")).otherwise(pl.col("alt")))
    if layout.format == "finngen" and "variant" in has:
        raw = raw.with_columns(pl.col("variant").str.split(",").list.first())
    return raw
