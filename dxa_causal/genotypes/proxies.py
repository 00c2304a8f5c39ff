"""Proxies: variants that stand in for one that a file lacks, with the alleles that go together."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal.genotypes.alleles import IntArray
from dxa_causal.genotypes.columns import is_gwas, listed
from dxa_causal.genotypes.grouping import one_line, reach_of
from dxa_causal.genotypes.matching import Places, locate, refuse_other_build
from dxa_causal.genotypes.panel import Panel, as_panel

_MEMORY = 2**27  # bytes of genotypes unpacked at a time


def proxies(
    panel: Panel | str | PathLike[str], variants: Any, *, r2: float = 0.8, kb: float = 250, available: Any = None
) -> pd.DataFrame:
    r"""Find variants correlated with those named, and which of their alleles travel together.

    Parameters
    ----------
    panel : Panel or path
    variants : sequence of str or frame
        The targets; see :func:`ld`. The effect alleles of a frame come first in
        the result, else the panel's allele_1.
    r2 : float
        Smallest squared correlation.
    kb : float
        Largest distance, thousand base pairs.
    available : sequence of str or frame, optional
        Only these may be proxies: the variants of the other file.

    Returns
    -------
    DataFrame
        One row per target and proxy, the best proxy first: variant, proxy, r (of
        effect_allele and proxy_effect_allele: never negative), r2, distance (of the proxy from
        the target, base pairs), effect_allele, other_allele,
        proxy_effect_allele, proxy_other_allele, reason. A target without proxies has
        one row that says why: "not in the panel", "alleles differ", "monomorphic",
        "no variant with r2 of at least 0.8 within 250 kb".

    Raises
    ------
    SummaryStatisticsError
        Most ids stand at another position: two genome builds.

    Notes
    -----
    The correlation of allele counts in founders (:func:`ld`) has a sign: where
    it is positive allele_1 of both are found on the same haplotypes more often than by chance,
    where it is negative allele_1 of one with allele_2 of the other. The effect of the
    proxy's effect allele then stands for that of the target's. Equally good
    proxies stand by distance, then by position.

    References
    ----------
    Lyon MS et al. Genome Biol 2021;22:32. doi:10.1186/s13059-020-02248-0

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "tiny"
    ...     _ = prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 1, 0b11101000, 0b00101011]))
    ...     _ = prefix.with_suffix(".bim").write_text("1 rs1 0 1000 A G\n1 rs2 0 2000 C T\n")
    ...     _ = prefix.with_suffix(".fam").write_text("".join(f"f{i} i{i} 0 0 0 -9\n" for i in range(4)))
    ...     found = proxies(prefix, ["rs1"])
    >>> found[["proxy", "r2", "effect_allele", "proxy_effect_allele"]].values.tolist()
    [['rs2', 1.0, 'A', 'T']]
    """
    if not 0.0 < r2 <= 1.0:
        raise OptionError(f"r2={r2!r} must be above 0 and at most 1; 0.8 is usual")
    reach = reach_of(kb) + 1
    panel = as_panel(panel)
    if is_gwas(variants):
        refuse_other_build(panel, variants, "variants")
    found = locate(panel, listed(variants, "variants"))
    targets = np.flatnonzero(found.place >= 0)
    allowed = np.ones(panel.n_variants, dtype=bool)
    if available is not None:
        there = locate(panel, listed(available, "available"), "available").place
        allowed = np.zeros(panel.n_variants, dtype=bool)
        allowed[there[there >= 0]] = True
    who, proxy, r, still = _near(panel, found.place[targets], allowed, reach)
    good = r * r >= r2 - 1e-12
    table = _table(panel, found, targets[who[good]], proxy[good], r[good])
    reason = found.reason.copy()
    lacking = np.setdiff1d(targets, targets[who[good]])
    reason[lacking] = f"no variant with r2 of at least {r2:g} within {kb:g} kb"
    reason[targets[still]] = "monomorphic"
    alone = np.flatnonzero(reason != "")
    lines = pd.DataFrame({"target": alone, "variant": found.names[alone], "reason": reason[alone]})
    whole = pd.concat([table, lines], ignore_index=True) if len(lines) else table
    return whole.sort_values("target", kind="stable", ignore_index=True).drop(columns="target")


def _near(
    panel: Panel, place: IntArray, allowed: np.ndarray, reach: int
) -> tuple[IntArray, IntArray, np.ndarray, np.ndarray]:
    """Pairs of a target (its number) and a variant in reach (its place), their r, and which targets do not vary."""
    from dxa_causal.genotypes._kernels import bits, matrix

    chromosomes = panel.variants["chromosome"]
    near = np.flatnonzero(chromosomes.is_in(chromosomes[place].unique().implode()).to_numpy())
    line, order = one_line(panel, near, reach)
    order = near[order]
    where = np.zeros(panel.n_variants, dtype=np.int64)
    where[order] = np.arange(order.size)
    start = np.searchsorted(line, line[where[place]] - reach, side="left")
    end = np.searchsorted(line, line[where[place]] + reach, side="right")
    by_start = np.argsort(start, kind="stable")
    most = max(1, _MEMORY // (24 * -(-panel.n_samples // 64)))
    who, proxy, r, still = [], [], [], np.zeros(place.size, dtype=bool)
    first, n = 0, int(panel.founders.sum())
    while first < by_start.size:
        low = start[by_start[first]]
        last = first + max(1, int(np.searchsorted(start[by_start[first:]], low + most)))
        some = by_start[first:last]
        stretch = order[low : end[some].max()]
        planes = panel.planes(stretch)
        target = np.ascontiguousarray(where[place[some]] - low)
        counts = bits.count(planes)
        still[some] = (counts[target][:, [0, 1]].sum(axis=1) == 0) | (counts[target][:, [1, 2]].sum(axis=1) == 0)
        r.append(matrix.neighbours(planes, counts, n, target, start[some] - low, end[some] - low))
        who.append(np.repeat(some, end[some] - start[some]))
        proxy.append(np.concatenate([order[a:b] for a, b in zip(start[some], end[some], strict=True)]))
        first = last
    if not who:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0), still
    pairs, partner, value = np.concatenate(who), np.concatenate(proxy), np.concatenate(r)
    keep = allowed[partner] & (partner != place[pairs]) & ~np.isnan(value)
    return pairs[keep], partner[keep], value[keep], still


def _table(panel: Panel, found: Places, target: IntArray, proxy: IntArray, r: np.ndarray) -> pd.DataFrame:
    """Rows of targets and proxies, the best first."""
    place, turned = found.place[target], found.turned[target]
    here, there = panel.variants[place], panel.variants[proxy]
    other_way = turned ^ (r < 0.0)
    position = there["position"].to_numpy()
    distance = position - here["position"].to_numpy()
    table = pd.DataFrame(
        {
            "target": target,
            "variant": found.names[target],
            "proxy": there["variant"].to_numpy(),
            "r": np.abs(r),
            "r2": r * r,
            "distance": distance,
            "effect_allele": np.where(turned, here["allele_2"].to_numpy(), here["allele_1"].to_numpy()),
            "other_allele": np.where(turned, here["allele_1"].to_numpy(), here["allele_2"].to_numpy()),
            "proxy_effect_allele": np.where(other_way, there["allele_2"].to_numpy(), there["allele_1"].to_numpy()),
            "proxy_other_allele": np.where(other_way, there["allele_1"].to_numpy(), there["allele_2"].to_numpy()),
            "reason": "",
        }
    )
    rank = np.lexsort((position, np.abs(distance), -(r * r), target))
    return table.iloc[rank].reset_index(drop=True)
