"""IVW, MR-Egger and the medians with their options, by the conventions of MendelianRandomization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dxa_causal._core.options import check_option
from dxa_causal._core.rng import Seed
from dxa_causal.mr.estimator import Model, check_harmonised, check_psi, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.univariable import medians
from dxa_causal.mr.univariable.correlated import correlated_egger, correlated_ivw
from dxa_causal.mr.univariable.one_method import one_method
from dxa_causal.mr.univariable.robust import Distribution, Weights, regression_estimator

if TYPE_CHECKING:
    from dxa_causal.mr.estimates import MREstimates
    from dxa_causal.mr.estimators import Method

MedianWeighting = Literal["simple", "weighted", "penalised"]
_IVW: dict[tuple[bool, bool], Method] = {
    (False, False): "ivw",
    (False, True): "ivw_penalised",
    (True, False): "ivw_robust",
    (True, True): "ivw_robust_penalised",
}
_EGGER: dict[tuple[bool, bool], Method] = {
    (False, False): "egger",
    (False, True): "egger_penalised",
    (True, False): "egger_robust",
    (True, True): "egger_robust_penalised",
}
_MEDIAN: dict[str, Method] = {
    "simple": "simple_median",
    "weighted": "weighted_median",
    "penalised": "penalised_weighted_median",
}


def ivw(
    harmonised: Harmonised,
    *,
    model: Model = "default",
    weights: Weights = "simple",
    psi: float = 0.0,
    distribution: Distribution = "normal",
    robust: bool = False,
    penalised: bool = False,
) -> MREstimates:
    r"""Inverse-variance weighted estimate with the options of MendelianRandomization.

    Parameters
    ----------
    harmonised : Harmonised
    model : {"default", "fixed", "random"}
        "random" lets the residual scale :math:`\hat\sigma` widen the standard
        error, never narrow it; "default" is random from four variants on.
    weights : {"simple", "delta"}
        :math:`w_j^{-1}` is :math:`\sigma_{yj}^2`, or with the ratio
        :math:`r_j = y_j/x_j` the second-order
        :math:`\sigma_{yj}^2 - 2\psi r_j\sigma_{xj}\sigma_{yj} + r_j^2\sigma_{xj}^2`.
    psi : float
        Correlation of the two effects' errors, from overlapping samples;
        only in the delta weights.
    distribution : {"normal", "t"}
        Of tests and limits; t has n - 1 degrees of freedom.
    robust : bool
        MM-regression (bisquare, 50 % breakdown, 95 % efficiency) in place of
        least squares.
    penalised : bool
        Weights times :math:`\min(1, 100\,p_j)` (20 with delta weights), with
        :math:`p_j` the p-value of the distance from the median ratio.

    Returns
    -------
    MREstimates
        `further` holds sigma and, unless penalised, q, q_df and q_p_value.

    Raises
    ------
    OptionError
        An unknown option, or psi outside -1 to 1.

    Notes
    -----
    The robust fit is that of R's ``robustbase::lmrob``: an S-estimate from all
    elemental starts, then the M-estimate with its scale, both iterated to
    convergence (R draws 500 random starts and stops at a relative step of
    1e-7, so that its numbers agree to about six digits).

    References
    ----------
    Burgess S et al. Genet Epidemiol 2013;37:658-665. doi:10.1002/gepi.21758
    Yohai VJ. Ann Stat 1987;15:642-656. doi:10.1214/aos/1176350366

    Examples
    --------
    >>> from dxa_causal.mr import Harmonised
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.1, 0.2, 0.15, 0.1], se_exposure=[0.01] * 4,
    ...     beta_outcome=[0.05, 0.10, 0.08, 0.2], se_outcome=[0.02] * 4,
    ... )
    >>> [ivw(h, penalised=p).tidy()["estimate"].round(3).item() for p in (False, True)]
    [0.691, 0.51]
    """
    check_harmonised(harmonised)
    check_option("model", model, Model)
    check_option("weights", weights, Weights)
    check_option("distribution", distribution, Distribution)
    check_psi(psi)
    plain = not robust and not penalised and weights == "simple" and distribution == "normal"
    if not plain:
        refuse_correlated(harmonised)
    method = _IVW[bool(robust), bool(penalised)]
    estimator = regression_estimator(
        method, intercept=False, model=model, weights=weights, psi=psi, distribution=distribution, robust=robust,
        penalised=penalised,
    )  # fmt: skip
    if harmonised.correlated:
        estimator = estimator._replace(rows=lambda h, settings: correlated_ivw(h, model))
    options = {
        "model": model, "weights": weights, "psi": psi, "distribution": distribution, "robust": robust,
        "penalised": penalised,
    }  # fmt: skip
    return one_method(harmonised, method, estimator, options, call="ivw")


def egger(
    harmonised: Harmonised, *, distribution: Distribution = "normal", robust: bool = False, penalised: bool = False
) -> MREstimates:
    r"""MR-Egger regression with the options of MendelianRandomization.

    Parameters
    ----------
    harmonised : Harmonised
    distribution : {"normal", "t"}
        Of tests and limits; t has n - 2 degrees of freedom. Where the residual
        scale is below 1, t tests and limits use it as it is, but never claim
        more than the normal ones.
    robust : bool
        MM-regression in place of least squares, as in :func:`ivw`.
    penalised : bool
        Weights times :math:`\min(1, 100\,p_j)`, with :math:`p_j` the p-value of
        the distance from the MR-Egger line.

    Returns
    -------
    MREstimates
        Rows "effect" and "intercept".

    Raises
    ------
    OptionError
        An unknown distribution.

    References
    ----------
    Bowden J et al. Int J Epidemiol 2015;44:512-525. doi:10.1093/ije/dyv080

    Examples
    --------
    >>> from dxa_causal.mr import Harmonised
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.1, 0.2, 0.15, 0.1], se_exposure=[0.01] * 4,
    ...     beta_outcome=[0.05, 0.10, 0.08, 0.2], se_outcome=[0.02] * 4,
    ... )
    >>> egger(h, distribution="t").tidy()["estimate"].round(3).tolist()
    [-0.309, 0.15]
    """
    check_harmonised(harmonised)
    check_option("distribution", distribution, Distribution)
    if robust or penalised or distribution == "t":
        refuse_correlated(harmonised)
    method = _EGGER[bool(robust), bool(penalised)]
    estimator = regression_estimator(
        method, intercept=True, distribution=distribution, robust=robust, penalised=penalised
    )
    if harmonised.correlated:
        estimator = estimator._replace(rows=lambda h, settings: correlated_egger(h))
    options = {"distribution": distribution, "robust": robust, "penalised": penalised}
    return one_method(harmonised, method, estimator, options, call="egger")


def median(
    harmonised: Harmonised, *, weighting: MedianWeighting = "weighted", seed: Seed = None, n_draws: int = 10_000
) -> MREstimates:
    r"""Median of the variants' ratios by the conventions of MendelianRandomization.

    Parameters
    ----------
    harmonised : Harmonised
    weighting : {"weighted", "simple", "penalised"}
        Weights :math:`x_j^2/\sigma_{yj}^2`, all equal, or the former times
        :math:`\min(1, 20\,p_j)`, with :math:`p_j` the p-value of the distance from
        the weighted median.
    seed : int, Generator or None
    n_draws : int
        Bootstrap draws for the standard error.

    Returns
    -------
    MREstimates

    Raises
    ------
    OptionError
        An unknown weighting, or fewer than two draws.

    References
    ----------
    Bowden J et al. Genet Epidemiol 2016;40:304-314. doi:10.1002/gepi.21965

    Examples
    --------
    >>> from dxa_causal.mr import Harmonised
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.1, 0.2, 0.15, 0.1], se_exposure=[0.01] * 4,
    ...     beta_outcome=[0.05, 0.10, 0.08, 0.2], se_outcome=[0.02] * 4,
    ... )
    >>> median(h, weighting="simple", seed=1, n_draws=50).tidy()["estimate"].round(3).tolist()
    [0.517]
    """
    refuse_correlated(harmonised)
    check_option("weighting", weighting, MedianWeighting)
    method = _MEDIAN[weighting]
    options = {"weighting": weighting, "n_draws": n_draws}
    return one_method(harmonised, method, medians.FAMILY[method], options, call="median", seed=seed, n_draws=n_draws)
