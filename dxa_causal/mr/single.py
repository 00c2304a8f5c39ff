"""The effect as each variant alone sees it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import wald_columns


def single_variant(harmonised: Harmonised, *, conf_level: float = 0.95) -> pd.DataFrame:
    r"""Wald ratio of every variant.

    Parameters
    ----------
    harmonised : Harmonised
    conf_level : float

    Returns
    -------
    DataFrame
        One row per variant: variant, estimate, std_error, statistic, p_value,
        conf_low, conf_high, reason (why there is no ratio; mostly empty).

    Notes
    -----
    :math:`y_j / x_j` with standard error :math:`\sigma_{yj} / |x_j|`, normal.

    Examples
    --------
    >>> h = Harmonised.from_arrays(beta_exposure=[0.1], se_exposure=[0.01], beta_outcome=[0.05], se_outcome=[0.02])
    >>> single_variant(h)[["variant", "estimate", "std_error"]].round(6).to_dict("records")
    [{'variant': 'variant_1', 'estimate': 0.5, 'std_error': 0.2}]
    """
    null = harmonised.beta_exposure == 0
    bx = np.where(null, np.nan, harmonised.beta_exposure)
    columns = wald_columns(harmonised.beta_outcome / bx, harmonised.se_outcome / np.abs(bx), conf_level=conf_level)
    table = pd.DataFrame({"variant": harmonised.table["variant"].to_numpy(), **columns})
    return table.assign(reason=np.where(null, "the effect on the exposure is zero: no ratio", ""))
