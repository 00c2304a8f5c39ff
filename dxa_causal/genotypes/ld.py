"""Linkage disequilibrium in a panel: signed correlations between variants."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal._core.options import check_option
from dxa_causal.genotypes.matching import require_all
from dxa_causal.genotypes.panel import Panel, as_panel

Missing = Literal["pairwise", "mean"]


def ld(panel: Panel | str, variants: Any, *, squared: bool = False, missing: Missing = "pairwise") -> pd.DataFrame:
    r"""Correlations between variants, signed by their alleles.

    Parameters
    ----------
    panel : Panel or path
        What :func:`read_panel` returned, or the prefix of its files.
    variants : sequence of str or frame
        Ids or "chromosome:position:allele:allele": the panel's allele_1 counts.
        Or a frame with variant, effect_allele, other_allele (the table of
        harmonised variants, summary statistics): its effect alleles count.
    squared : bool
        Return :math:`r^2`.
    missing : {"pairwise", "mean"}
        What to make of missing genotypes: each correlation from the founders in whom both are known, as plink does;
        or the variant's mean in their place. Fine-mapping needs the latter where genotypes are
        missing: pairs from different people form a matrix with negative eigenvalues.

    Returns
    -------
    (m, m) DataFrame
        Labelled with the names given, in their order.

    Raises
    ------
    SummaryStatisticsError
        A variant is not in the panel, has other alleles there, occurs twice or
        does not vary among its founders.

    Notes
    -----
    Pearson's correlation of the numbers of copies among founders, as ``plink
    --r``. Chromosome X is read as it is coded, men with no or two copies.

    ``h.with_ld(ld(panel, h.table))`` needs no alleles; with names alone it is
    ``h.with_ld(ld(panel, names), effect_alleles=panel_alleles)`` where
    ``panel_alleles`` is the column allele_1 of ``match(panel, names)``.

    References
    ----------
    Chang CC et al. GigaScience 2015;4:7. doi:10.1186/s13742-015-0047-8

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "tiny"
    ...     _ = prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 1, 0b11101000, 0b00101011]))
    ...     _ = prefix.with_suffix(".bim").write_text("1 rs1 0 1000 A G\n1 rs2 0 2000 C T\n")
    ...     _ = prefix.with_suffix(".fam").write_text("".join(f"f{i} i{i} 0 0 0 -9\n" for i in range(4)))
    ...     ld(prefix, ["rs1", "rs2"]).round(3).values.tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    from dxa_causal.genotypes._kernels import bits, matrix

    check_option("missing", missing, Missing)
    panel = as_panel(panel)
    found = require_all(panel, variants)
    planes = panel.planes(found.place)
    counts = bits.count(planes)
    constant = found.names[(counts > 0).sum(axis=1) <= 1]  # all alike, if only heterozygous
    if constant.size:
        raise SummaryStatisticsError(
            f"variants: {constant.size} of {found.names.size} do not vary in {panel.prefix}, first "
            f"{', '.join(repr(v) for v in constant[:5])}; leave them out: they have no correlation"
        )
    if missing == "mean" and (counts.sum(axis=1) < panel.founders.sum()).any():
        r = _filled(panel.genotypes(variants).to_numpy(dtype=np.float64)[panel.founders])
    else:
        r = matrix.correlations(planes, counts, int(panel.founders.sum()))
        r *= _signs(found.turned)
    undefined = np.argwhere(np.isnan(r))
    if undefined.size:
        i, j = undefined[0]
        raise SummaryStatisticsError(
            f"variants: {found.names[i]!r} and {found.names[j]!r} have no correlation in {panel.prefix}: among those "
            f"with both genotypes one of them does not vary (so for {undefined.shape[0] // 2} pairs). missing='mean' "
            f"puts the mean in the place of missing genotypes; or leave rare variants out (panel.frequencies())"
        )
    np.fill_diagonal(r, 1.0)
    return pd.DataFrame(r**2 if squared else r, index=found.names, columns=found.names)


def _signs(turned: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    sign = np.where(turned, -1.0, 1.0)
    return np.asarray(sign[:, None] * sign[None, :])


def _filled(copies: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Correlations with the mean in the place of missing genotypes."""
    centred = copies - np.nanmean(copies, axis=0)
    centred[np.isnan(centred)] = 0.0
    scaled = centred / np.sqrt((centred**2).sum(axis=0))
    return np.asarray(np.clip(scaled.T @ scaled, -1.0, 1.0))
