"""Clumping: of variants that are associated, those that stand for independent signals."""

from __future__ import annotations

from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from dxa_causal._core.errors import OptionError, SummaryStatisticsError, shown
from dxa_causal._core.options import check_number
from dxa_causal.genotypes.alleles import BoolArray, FloatArray, IntArray, TextArray
from dxa_causal.genotypes.builds import HLA
from dxa_causal.genotypes.clump_result import ClumpResult, code_of
from dxa_causal.genotypes.columns import build_of, standard
from dxa_causal.genotypes.grouping import check_r2, group, reach_of
from dxa_causal.genotypes.matching import ABSENT, OTHER_ALLELES, locate, refuse_other_build
from dxa_causal.genotypes.panel import Panel, as_panel
from dxa_causal.results import NotApplicable, Provenance

_UNDECIDED = -1


def clump(
    gwas: Any,
    panel: Panel | str | PathLike[str],
    *,
    p1: float = 5e-8,
    p2: float | None = None,
    r2: float = 0.001,
    kb: float = 10_000,
    exclude_hla: bool = False,
) -> ClumpResult | NotApplicable:
    r"""Keep, of variants in linkage disequilibrium, the one with the smallest p-value.

    Parameters
    ----------
    gwas : GWAS or frame
        What ``mr.read_gwas`` returned, or a pandas or polars frame with variant
        (or chromosome, position and effect_allele), p_value or neg_log10_p, and as far as
        known chromosome, position, effect_allele, other_allele.
    panel : Panel or path
        What :func:`read_panel` returned, or the prefix of its files.
    p1 : float
        Largest p-value of an index variant.
    p2 : float, optional
        Variants with a p-value below it are listed in clumps too; they never
        become index variants and change nothing about those. None: only variants up to `p1`.
    r2 : float
        Variants whose squared correlation with an index variant exceeds it are taken into its clump.
    kb : float
        Only variants less than so many thousand base pairs away are.
    exclude_hla : bool
        Leave out chromosome 6, 25 to 34 million base pairs (GRCh37; the same
        sequence in other builds; GRCh37 where no build is known).

    Returns
    -------
    ClumpResult or NotApplicable
        The latter where no p-value reaches `p1`. `kept` holds the rows of the
        index variants; `fates()` says of every row what became of it.

    Raises
    ------
    SummaryStatisticsError
        A column is missing, p-values outside [0, 1], builds differ, or no
        variant up to `p1` is in the panel.

    Notes
    -----
    The variant with the smallest p-value becomes an index; all others within
    `kb` with

    .. math:: r^2 = \frac{(p_{11} - p_{1\cdot} p_{\cdot 1})^2}
                        {p_{1\cdot} (1 - p_{1\cdot}) p_{\cdot 1} (1 - p_{\cdot 1})} > r2

    join its clump; then the smallest of the rest, and so on. The haplotype
    frequency :math:`p_{11}` maximises the likelihood of the genotypes of
    founders in whom both are known (a cubic equation for double
    heterozygotes). All this is ``plink --clump``, whose index variants come
    out, with these rules: equal p-values in the order of the bim file (where
    p is too small for a double and neg_log10_p is given, that decides first);
    `kb` excludes its end, `r2` too (plink leaves a correlation that equals it to
    rounding errors; here it is never taken), `p1` does not. Different is that a variant
    that does not vary in the panel is no index: its correlations are unknown
    (plink makes it one, alone in its clump), and that alleles must agree.
    Chromosome X is read as it is coded (plink counts the allele of a man once).

    References
    ----------
    Purcell S et al. Am J Hum Genet 2007;81:559-575. doi:10.1086/519795
    Chang CC et al. GigaScience 2015;4:7. doi:10.1186/s13742-015-0047-8

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "tiny"
    ...     rows = [0b11101000, 0b00101011, 0b10111000]
    ...     _ = prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 1, *rows]))
    ...     _ = prefix.with_suffix(".bim").write_text("1 rs1 0 100 A G\n1 rs2 0 200 C T\n2 rs3 0 300 C T\n")
    ...     _ = prefix.with_suffix(".fam").write_text("".join(f"f{i} i{i} 0 0 0 -9\n" for i in range(4)))
    ...     gwas = pd.DataFrame({"variant": ["rs1", "rs2", "rs3", "rs4"], "p_value": [1e-9, 1e-12, 1e-8, 1e-10]})
    ...     found = clump(gwas, prefix)
    >>> found.fates()["fate"].tolist(), found.kept["variant"].tolist()
    (['clumped', 'index', 'index', 'not in the panel'], ['rs2', 'rs3'])
    """
    _check_options(p1, p2)
    check_r2(r2)
    reach = reach_of(kb)
    panel = as_panel(panel)
    refuse_other_build(panel, gwas, "gwas")
    table = standard(gwas, "gwas")
    p, strength = _p_values(table)
    if not (p <= p1).any():
        known = p[~np.isnan(p)]
        smallest = f"the smallest of {known.size} is {known.min():.3g}" if known.size else "none is known"
        return NotApplicable(f"no variant has a p-value up to p1={p1:g} ({smallest})", method="clump")
    hla = _hla(panel, gwas) if exclude_hla else None
    sorted_out = _sort_out(table, panel, p, strength, p1, p2, hla)
    fate, rows, place = sorted_out.fate, sorted_out.rows, sorted_out.place
    order = np.lexsort((place, -strength[rows], p[rows]))
    ranking = np.empty(rows.size, dtype=np.int64)
    ranking[order] = np.arange(rows.size)
    groups = group(panel, place, np.where(p[rows] <= p1, ranking, -1), reach=reach, r2=r2)
    taken = groups.owner >= 0
    owner, r = np.full(p.size, -1, dtype=np.int64), np.full(p.size, np.nan)
    owner[rows[taken]], r[rows] = rows[groups.owner[taken]], groups.r
    index = groups.owner == np.arange(rows.size)
    fate[rows] = np.select(
        [~groups.varies, index, taken],
        [code_of("monomorphic"), code_of("index"), code_of("clumped")],
        code_of("p above p1"),
    )
    for array in (fate, owner, r, p, strength, sorted_out.chromosome, sorted_out.position):
        array.flags.writeable = False
    options = f"p1={p1:g}, p2={p2}, r2={r2:g}, kb={kb:g}{', exclude_hla=True' if exclude_hla else ''}"
    return ClumpResult(
        gwas=gwas,
        fate=fate,
        owner=owner,
        r=r,
        variant=_frozen(table["variant"]),
        chromosome=sorted_out.chromosome,
        position=sorted_out.position,
        p_value=p,
        neg_log10_p=strength,
        nobs=int(taken.sum()),
        provenance=Provenance(
            call=f"genotypes.clump(gwas, {str(panel.prefix)!r}, {options})",
            n_rows=p.size,
            n_used=int(taken.sum()),
            notes=(repr(panel), *sorted_out.notes),
        ),
    )


class _SortedOut(NamedTuple):
    """Fates known before any correlation is; rows that are left and their places in the panel, each place once."""

    fate: IntArray
    rows: IntArray
    place: IntArray
    chromosome: TextArray
    position: FloatArray
    notes: tuple[str, ...]


def _sort_out(
    table: pl.DataFrame,
    panel: Panel,
    p: FloatArray,
    strength: FloatArray,
    p1: float,
    p2: float | None,
    hla: tuple[str, int, int] | None,
) -> _SortedOut:
    candidate = (p <= p1) | (p < (0.0 if p2 is None else p2))
    fate = np.where(np.isnan(p), code_of("p missing"), code_of("p above p1"))
    rows = np.flatnonzero(candidate)
    found = locate(panel, table[rows], "gwas")
    chromosome, position = _where(table, panel, rows, found.place)
    here = np.full(rows.size, _UNDECIDED)
    for reason in (ABSENT, OTHER_ALLELES):
        here[found.reason == reason] = code_of(reason)
    notes: tuple[str, ...] = ()
    if hla is not None:
        build, low, high = hla
        inside = (chromosome[rows] == "6") & (position[rows] >= low) & (position[rows] <= high)
        here[inside] = code_of("HLA region")
        notes = (f"{int(inside.sum())} variants in the HLA region left out ({build})",)
    _refuse_strangers(panel, table, rows, here, p[rows] <= p1)
    left = np.flatnonzero(here == _UNDECIDED)
    best = left[np.lexsort((left, -strength[rows[left]], p[rows[left]]))]
    first = best[np.unique(found.place[best], return_index=True)[1]]
    here[np.setdiff1d(left, first)] = code_of("repeated")
    fate[rows] = here
    first.sort()
    return _SortedOut(fate, rows[first], found.place[first], chromosome, position, notes)


def _hla(panel: Panel, gwas: Any) -> tuple[str, int, int]:
    """Build in words, first and last base."""
    build = panel.build or build_of(gwas)
    return (build or "build not known, GRCh37 taken", *HLA[build or "GRCh37"])


def _check_options(p1: float, p2: float | None) -> None:
    for name, value in (("p1", p1), ("p2", p2)):
        if value is not None or name == "p1":
            check_number(name, value)
        if value is not None and not 0.0 < value <= 1.0:
            raise OptionError(f"{name}={value!r} must be above 0 and at most 1")


def _p_values(table: pl.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Return p and -log10 p, each from the other where it is missing; nan for none."""
    p = table["p_value"].to_numpy().astype(np.float64)
    strength = table["neg_log10_p"].to_numpy().astype(np.float64)
    if np.isnan(p).all() and np.isnan(strength).all() and p.size:
        raise SummaryStatisticsError("gwas: no p-values; a column p_value or neg_log10_p is needed")
    for name, wrong in (("p_value", (p < 0.0) | (p > 1.0)), ("neg_log10_p", strength < 0.0)):
        if wrong.any():
            row = int(np.argmax(wrong))
            value = (p if name == "p_value" else strength)[row]
            raise SummaryStatisticsError(
                f"gwas: column {name!r}, row {row + 1} (variant {shown(table['variant'][row])}): {value:g} is not "
                f"possible; p-values lie in [0, 1], so -log10 p is not negative"
            )
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        strength = np.where(np.isnan(strength), -np.log10(p), strength)
        p = np.where(np.isnan(p), 10.0**-strength, p)
    return p, np.where(strength == 0.0, 0.0, strength)


def _where(table: pl.DataFrame, panel: Panel, rows: IntArray, place: IntArray) -> tuple[Any, FloatArray]:
    """Chromosome and position of every row: the panel's where the variant is there, else as given."""
    chromosome = table["chromosome"].fill_null("").to_numpy().astype(object)
    position = table["position"].cast(pl.Float64).to_numpy().astype(np.float64)
    known = place >= 0
    chromosome[rows[known]] = panel.variants["chromosome"][place[known]].fill_null("").to_numpy()
    position[rows[known]] = panel.variants["position"][place[known]].to_numpy()
    return chromosome, position


def _refuse_strangers(panel: Panel, table: pl.DataFrame, rows: IntArray, here: IntArray, sought: BoolArray) -> None:
    """Say so where variants up to p1 were looked for and the panel has none of their ids and places."""
    sought = sought & (here != code_of("HLA region"))
    strange = np.isin(here[sought], (code_of(ABSENT), code_of(OTHER_ALLELES)))
    if not sought.any() or not strange.all():
        return
    if (here[sought] == code_of(OTHER_ALLELES)).any():
        row = int(rows[sought][here[sought] == code_of(OTHER_ALLELES)][0])
        pair = "/".join(shown(table[column][row]) for column in ("effect_allele", "other_allele"))
        raise SummaryStatisticsError(
            f"gwas: of {int(sought.sum())} variants that may be an index none has the alleles of the panel "
            f"{panel.prefix}, first {table['variant'][row]!r} with {pair}; genotypes.match(panel, gwas) shows both"
        )
    ours = [str(v) for v in table["variant"].gather(rows[sought][:3].tolist())]
    theirs = panel.variants["variant"].head(3).to_list()
    raise SummaryStatisticsError(
        f"gwas: none of {int(sought.sum())} variants that may be an index is in the panel {panel.prefix}: ids such as "
        f"{', '.join(map(repr, ours))} against {', '.join(map(repr, theirs))}; chromosome, position and alleles in the "
        f"frame match them too, where both are of one genome build"
    )


def _frozen(names: pl.Series) -> Any:
    array = names.fill_null("").to_numpy().astype(object)
    array.flags.writeable = False
    return array
