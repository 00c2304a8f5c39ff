"""Linkage disequilibrium in a panel: signed correlations between variants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal.genotypes.matching import require_all
from dxa_causal.genotypes.panel import Panel, as_panel


def ld(panel: Panel | str, variants: Any, *, squared: bool = False) -> pd.DataFrame:
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
    Pearson's correlation of the numbers of copies, each pair from the founders
    in whom both genotypes are known, as ``plink --r``; where genotypes are
    missing the matrix may then have (small) negative eigenvalues, for which
    ``Harmonised.with_ld`` takes ``ridge=``. Chromosome X is read as it is
    coded, men with no or two copies.

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
    r = matrix.correlations(planes, counts, int(panel.founders.sum()))
    sign = np.where(found.turned, -1.0, 1.0)
    r *= sign[:, None] * sign[None, :]
    undefined = np.argwhere(np.isnan(r))
    if undefined.size:
        i, j = undefined[0]
        raise SummaryStatisticsError(
            f"variants: {found.names[i]!r} and {found.names[j]!r} have no correlation in {panel.prefix}: among those "
            f"with both genotypes one of them does not vary"
        )
    np.fill_diagonal(r, 1.0)
    return pd.DataFrame(r**2 if squared else r, index=found.names, columns=found.names)
