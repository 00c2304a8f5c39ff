"""Rucker's framework: which of four models the heterogeneity supports."""

from __future__ import annotations

import math

import pandas as pd

from dxa_causal.mr._kernels.regression import egger, ivw
from dxa_causal.mr.estimator import refuse_correlated
from dxa_causal.mr.estimators import ESTIMATORS
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.method_table import method_table
from dxa_causal.results import NotApplicable


def rucker(
    harmonised: Harmonised, *, significance: float = 0.05, conf_level: float = 0.95
) -> pd.DataFrame | NotApplicable:
    r"""Choose between fixed and random effects, IVW and MR-Egger.

    Parameters
    ----------
    harmonised : Harmonised
    significance : float
        For the tests of heterogeneity.
    conf_level : float

    Returns
    -------
    DataFrame or NotApplicable
        Rows "ivw_fixed", "ivw_random", "egger_fixed", "egger_random" (models A to D):
        method, model, term, estimate ... conf_high, selected.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given).

    Notes
    -----
    A when Q of IVW is not significant; else B when
    :math:`Q - Q'` (1 df) is not; else C when :math:`Q'` of MR-Egger is not; else D. Fixed-effect
    standard errors take a dispersion of one (TwoSampleMR keeps one below
    one), random-effect ones the residual dispersion or one, whichever is larger.

    References
    ----------
    Bowden J et al. Int J Epidemiol 2018;47:1264-1278. doi:10.1093/ije/dyy101

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.01] * 3, beta_outcome=[0.05, 0.10, 0.08],
    ...     se_outcome=[0.02] * 3,
    ... )
    >>> rucker(h).query("selected")["method"].tolist()
    ['ivw_fixed']
    """
    from scipy.special import chdtrc

    refuse_correlated(harmonised)
    arrays = (harmonised.beta_exposure, harmonised.beta_outcome, harmonised.se_outcome)
    reason = ESTIMATORS["egger"].reason(harmonised)
    line = None if reason else egger(*arrays)
    if line is None:
        return NotApplicable(reason, method="Rucker's framework")
    origin = ivw(*arrays)
    widen = max(1.0, (line.q / line.df) ** 0.5)
    estimate = [origin.estimate] * 2 + [line.slope] * 2
    std_error = [
        origin.std_error_fixed, origin.std_error_fixed * max(1.0, origin.sigma),
        line.slope_std_error / widen, line.slope_std_error,
    ]  # fmt: skip
    if chdtrc(origin.df, origin.q) > significance:
        chosen = 0
    elif chdtrc(1, max(origin.q - line.q, 0.0)) > significance:
        chosen = 1
    else:
        chosen = 2 if chdtrc(line.df, line.q) > significance else 3
    methods = ("ivw_fixed", "ivw_random", "egger_fixed", "egger_random")
    df = [math.nan, math.nan, float(line.df), float(line.df)]
    table = method_table(methods, ("effect",) * 4, estimate, std_error, df, conf_level=conf_level)
    table.insert(1, "model", list("ABCD"))
    return table.assign(selected=[k == chosen for k in range(4)])
