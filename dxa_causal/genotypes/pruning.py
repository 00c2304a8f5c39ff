"""Pruning: a set of variants of a panel none of which is correlated with another nearby."""

from __future__ import annotations

from os import PathLike

import numpy as np
import pandas as pd

from dxa_causal.genotypes.columns import names_at
from dxa_causal.genotypes.grouping import check_r2, group, reach_of
from dxa_causal.genotypes.panel import Panel, as_panel, minor_frequency


def prune(panel: Panel | str | PathLike[str], *, r2: float = 0.1, kb: float = 250) -> pd.DataFrame:
    r"""Thin a panel until no two variants within `kb` have a squared correlation above `r2`.

    Parameters
    ----------
    panel : Panel or path
    r2 : float
    kb : float
        Thousand base pairs; variants as far apart as that are not compared.

    Returns
    -------
    DataFrame
        One row per variant: variant, chromosome, position, frequency (of the rarer
        allele), kept, index_variant (the kept one that stands for it), r2 (with
        that), reason ("" or "monomorphic").

    Notes
    -----
    The commonest variant (largest frequency of its rarer allele; equals in the order
    of the file) is kept and those correlated with it go, then the commonest of
    the rest: clumping by frequency. Correlations are those of allele counts,
    as in :func:`ld`. The set is as free of correlations as that of ``plink --indep-pairwise``
    but larger: there a variant may go because of one that goes itself; here
    each that goes has one that stays for it.

    References
    ----------
    Privé F et al. Bioinformatics 2018;34:2781-2787. doi:10.1093/bioinformatics/bty185

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "tiny"
    ...     rows = [0b11101000, 0b00101011, 0b11100011]
    ...     _ = prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 1, *rows]))
    ...     _ = prefix.with_suffix(".bim").write_text("1 rs1 0 100 A G\n1 rs2 0 200 C T\n1 rs3 0 300 C T\n")
    ...     _ = prefix.with_suffix(".fam").write_text("".join(f"f{i} i{i} 0 0 0 -9\n" for i in range(4)))
    ...     prune(prefix, r2=0.5)[["variant", "kept"]].values.tolist()
    [['rs1', True], ['rs2', False], ['rs3', True]]
    """
    check_r2(r2)
    panel = as_panel(panel)
    frequency = minor_frequency(panel)
    place = np.arange(panel.n_variants)
    ranking = np.empty(place.size, dtype=np.int64)
    ranking[np.lexsort((place, -np.nan_to_num(frequency)))] = place
    groups = group(panel, place, ranking, reach=reach_of(kb), r2=r2, haplotype=False)
    names = panel.variants["variant"].to_numpy().astype(object)
    return pd.DataFrame(
        {
            "variant": names,
            "chromosome": panel.variants["chromosome"].to_numpy(),
            "position": panel.variants["position"].to_numpy(),
            "frequency": frequency,
            "kept": groups.owner == place,
            "index_variant": names_at(names, groups.owner),
            "r2": groups.r**2,
            "reason": np.where(groups.varies, "", "monomorphic"),
        }
    )
