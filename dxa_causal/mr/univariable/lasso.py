"""Lasso on the direct effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dxa_causal._core.errors import OptionError
from dxa_causal.mr._kernels.lasso import chosen, default_path, paths, residual_design
from dxa_causal.mr._kernels.regression import ivw
from dxa_causal.mr.estimator import Estimator, Row, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised

if TYPE_CHECKING:
    from dxa_causal.mr.estimates import MREstimates


def _lasso(h: Harmonised, lambda_: float | None) -> tuple[str, Row]:
    from scipy.stats import chi2

    sign = np.where(h.beta_exposure < 0, -1.0, 1.0)
    bx, by, sy = h.beta_exposure * sign, h.beta_outcome * sign, h.se_outcome
    x, y = residual_design(bx[:, None], by, sy)
    path = default_path(x, y) if lambda_ is None else np.array([lambda_])
    valid = paths(x, y, path) == 0.0
    if valid.sum(axis=1).max() < 2:
        return f"fewer than two variants have no direct effect at lambda_={lambda_!r}; raise it", Row("effect")
    place = chosen(valid, bx[:, None], by, sy, float(chi2.ppf(0.95, 1)))
    keep = valid[place]
    fit = ivw(bx[keep], by[keep], sy[keep])
    details = {"lambda": float(path[place]), "n_valid": float(keep.sum())}
    return "", Row("effect", fit.estimate, fit.std_error_fixed * max(1.0, fit.sigma), details=details, valid=keep)


def lasso(harmonised: Harmonised, *, lambda_: float | None = None) -> MREstimates:
    r"""Estimate by IVW on the variants whose direct effect an L1 penalty sets to zero.

    Parameters
    ----------
    harmonised : Harmonised
    lambda_ : float, optional
        Penalty; by the heterogeneity of the valid variants when omitted.

    Returns
    -------
    MREstimates

    Notes
    -----
    Minimises :math:`\sum_j \sigma_{yj}^{-2}(y_j - \theta x_j - a_j)^2 / 2n
    + \lambda \sum_j s_j |a_j|`, :math:`s_j` the standard deviation of column
    :math:`j` of the design with :math:`\theta` projected out (as glmnet
    standardises). Of 100 rising penalties the last before the first step that
    lifts the residual standard error above 1 and by more than
    :math:`\chi^2_{1, .95} / n_{valid}` is kept, or the largest.

    References
    ----------
    Rees JMB et al. PLoS One 2019;14:e0222362. doi:10.1371/journal.pone.0222362

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.1, 0.2, 0.15, 0.1], se_exposure=[0.01] * 4,
    ...     beta_outcome=[0.05, 0.1, 0.08, 0.4], se_outcome=[0.02] * 4,
    ... )
    >>> lasso(h).valid_variants()["lasso"].tolist()
    [True, True, True, False]
    """
    from dxa_causal.mr.estimates import collect

    refuse_correlated(harmonised)
    if lambda_ is not None and not 0 < lambda_ < np.inf:
        raise OptionError(f"lambda_={lambda_!r} must be positive, or None to choose it by heterogeneity")
    reason, row = FAMILY["lasso"].reason(harmonised), Row("effect")
    if not reason:
        reason, row = _lasso(harmonised, lambda_)
    return collect(harmonised, [("lasso", reason, row)], call=f"mr.lasso(harmonised, lambda_={lambda_!r})")


FAMILY: dict[str, Estimator] = {"lasso": Estimator("Lasso", lambda h, settings: [_lasso(h, None)[1]], ratio=False)}
