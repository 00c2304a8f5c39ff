"""Robust adjusted profile score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dxa_causal._core.options import check_option
from dxa_causal.mr._kernels.raps import raps as fit_raps
from dxa_causal.mr.estimator import Estimator, Row, Settings, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.univariable.one_method import one_method

if TYPE_CHECKING:
    from dxa_causal.mr.estimates import MREstimates

Loss = Literal["l2", "huber", "tukey"]


def _row(h: Harmonised, *, loss: Loss = "huber", overdispersion: bool = True) -> Row:
    fit = fit_raps(
        h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome, loss=loss, overdispersed=overdispersion
    )
    details = {"converged": float(fit.converged)}
    if overdispersion:
        details = {"tau2": fit.tau2, "tau2_std_error": fit.tau2_std_error, **details}
    return Row("effect", fit.estimate, fit.std_error, details=details)


def raps(harmonised: Harmonised, *, loss: Loss = "huber", overdispersion: bool = True) -> MREstimates:
    r"""Robust adjusted profile score: weak instruments, balanced pleiotropy and outliers.

    Parameters
    ----------
    harmonised : Harmonised
    loss : {"huber", "l2", "tukey"}
        "l2" is the profile likelihood; the others bound the weight of outliers.
    overdispersion : bool
        Allow for balanced pleiotropy of variance ``tau2`` (in ``further()``).

    Returns
    -------
    MREstimates

    Notes
    -----
    With :math:`t_j = (y_j - \beta x_j) / v_j^{1/2}`,
    :math:`v_j = \tau^2 + \sigma_{yj}^2 + \beta^2 \sigma_{xj}^2` and loss
    :math:`\rho`, in turn: :math:`\hat\beta = \arg\min \sum \rho(t_j)` over all
    effects, and :math:`\sum \sigma_{xj}^2 (t_j \rho'(t_j) - \delta) / v_j = 0`
    for :math:`\tau^2`, zero when there is no positive root; sandwich standard
    errors. As ``mr.raps.mle`` in R, with residuals standardised one by one.

    References
    ----------
    Zhao Q et al. Ann Stat 2020;48:1742-1769. doi:10.1214/19-AOS1866

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.01, 0.01, 0.01],
    ...     beta_outcome=[0.05, 0.10, 0.08], se_outcome=[0.02, 0.02, 0.02],
    ... )
    >>> raps(h, loss="l2", overdispersion=False).estimates.round(3).tolist()
    [0.496]
    """
    refuse_correlated(harmonised)
    check_option("loss", loss, Loss)
    estimator = FAMILY["raps"]._replace(rows=lambda h, settings: [_row(h, loss=loss, overdispersion=overdispersion)])
    options = {"loss": loss, "overdispersion": overdispersion}
    return one_method(harmonised, "raps", estimator, options, call="raps")


def _rows(h: Harmonised, settings: Settings) -> list[Row]:
    return [_row(h)]


FAMILY: dict[str, Estimator] = {"raps": Estimator("RAPS", _rows, ratio=False)}
