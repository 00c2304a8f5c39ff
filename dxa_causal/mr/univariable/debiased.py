"""Debiased and penalised inverse-variance weighting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._core.rng import Seed
from dxa_causal.mr._kernels import debiased as kernel
from dxa_causal.mr.estimator import Estimator, Row, Settings, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.univariable.one_method import one_method

if TYPE_CHECKING:
    from dxa_causal.mr.estimates import MREstimates

FloatArray = npt.NDArray[np.float64]
_ADAPTIVE_LEAST = 2


@dataclass(frozen=True)
class _Fieller:
    """Confidence set from the bootstrap of Fieller's statistic."""

    moments: kernel.Moments
    draws: FloatArray

    def __call__(self, conf_level: float) -> FloatArray:
        place = min(self.draws.size, max(1, round(self.draws.size * conf_level)))
        return kernel.fieller_set(self.moments, float(self.draws[place - 1]))


def _arrays(h: Harmonised) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    return h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome


def _row(fit: kernel.Debiased) -> Row:
    return Row("effect", fit.estimate, fit.std_error, details={"tau2": fit.tau2, "condition": fit.condition})


def _divw_row(h: Harmonised, *, overdispersion: bool = True) -> Row:
    return _row(kernel.divw(*_arrays(h), overdispersed=overdispersion))


def _strong(h: Harmonised) -> npt.NDArray[np.bool_]:
    return np.abs(h.beta_exposure) > h.se_exposure * math.sqrt(2 * math.log(max(2, h.n_variants)))


def _adivw_row(h: Harmonised) -> Row:
    keep = _strong(h)
    row = _row(kernel.divw(*_arrays(h), overdispersed=True, keep=keep))
    return row._replace(details={**row.details, "n_kept": float(keep.sum())})


def _too_few_strong(h: Harmonised) -> str:
    kept = int(_strong(h).sum())
    if kept >= _ADAPTIVE_LEAST:
        return ""
    return f"only {kept} of {h.n_variants} variants have |z| above sqrt(2 log n); adivw needs {_ADAPTIVE_LEAST}"


def _pivw_row(
    h: Harmonised,
    *,
    penalty: float = 1.0,
    overdispersion: bool = True,
    fieller: tuple[np.random.Generator, int] | None = None,
) -> Row:
    """`fieller` is what its bootstrap draws from, and how often."""
    bx, by, sx, sy = _arrays(h)
    fit = kernel.pivw(bx, by, sx, sy, penalty=penalty, overdispersed=overdispersion)
    row = _row(fit)
    if fieller is None:
        return row
    rng, n_draws = fieller
    draws = kernel.fieller_draws(
        bx, sx, sy, beta=fit.estimate, tau2=fit.tau2, penalty=penalty, rng=rng, n_draws=n_draws
    )
    moments = kernel.penalised_moments(bx, by, sx, sy, penalty=penalty, tau2=fit.tau2)
    p_value = float(np.mean(draws > float(moments.mu1**2 / moments.v1)))
    return row._replace(p_value=p_value, interval=_Fieller(moments, draws))


def divw(harmonised: Harmonised, *, overdispersion: bool = True) -> MREstimates:
    r"""Debiased inverse-variance weighting, for many weak instruments.

    Parameters
    ----------
    harmonised : Harmonised
    overdispersion : bool
        Allow for balanced pleiotropy (variance ``tau2`` in ``further()``).

    Returns
    -------
    MREstimates

    Notes
    -----
    .. math:: \hat\beta = \sum w_j x_j y_j \Big/ \sum w_j (x_j^2 - \sigma_{xj}^2), \quad w_j = \sigma_{yj}^{-2}

    ``condition``, :math:`(\bar F - 1)\sqrt n`, should be above 20. The method
    "adivw" of :func:`estimate` keeps the variants with
    :math:`|x_j| > \sigma_{xj} \sqrt{2 \log n}`;
    the theory takes these z from another sample: chosen on the same one, the
    kept effects are a little too large (winner's curse).

    References
    ----------
    Ye T, Shao J, Kang H. Ann Stat 2021;49:2079-2100. doi:10.1214/20-AOS2027

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.01, 0.01, 0.01],
    ...     beta_outcome=[0.05, 0.10, 0.08], se_outcome=[0.02, 0.02, 0.02],
    ... )
    >>> divw(h).estimates.round(4).tolist()
    [0.498]
    """
    refuse_correlated(harmonised)
    estimator = FAMILY["divw"]._replace(rows=lambda h, settings: [_divw_row(h, overdispersion=overdispersion)])
    return one_method(harmonised, "divw", estimator, {"overdispersion": overdispersion}, call="divw")


def pivw(
    harmonised: Harmonised, *, penalty: float = 1.0, overdispersion: bool = True, fieller: bool = False,
    n_draws: int = 1000, seed: Seed = None,
) -> MREstimates:  # fmt: skip
    r"""Penalised inverse-variance weighting: the debiased ratio kept away from a zero denominator.

    Parameters
    ----------
    harmonised : Harmonised
    penalty : float
        :math:`\lambda \ge 0`; 1 is usual, 0 gives dIVW.
    overdispersion : bool
        Allow for balanced pleiotropy (variance ``tau2`` in ``further()``).
    fieller : bool
        Test and confidence set by bootstrap of Fieller's statistic instead of
        the normal ones; the set may be two half-lines or the whole line.
    n_draws : int
        Bootstrap draws for it.
    seed : int, Generator or None

    Returns
    -------
    MREstimates

    Notes
    -----
    With :math:`\hat\mu_2 = \sum w_j (x_j^2 - \sigma_{xj}^2)` of variance
    :math:`v_2`, :math:`\tilde\mu_2 = \hat\mu_2 / 2 + \mathrm{sign}(\hat\mu_2)
    (\hat\mu_2^2 / 4 + \lambda v_2)^{1/2}`, and the numerator moves along by its
    regression on the denominator.

    References
    ----------
    Xu S, Wang P, Fung WK, Liu Z. Biometrics 2023;79:2184-2195. doi:10.1111/biom.13732

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.01, 0.01, 0.01],
    ...     beta_outcome=[0.05, 0.10, 0.08], se_outcome=[0.02, 0.02, 0.02],
    ... )
    >>> bool(abs(pivw(h).estimates[0] - divw(h).estimates[0]) < 0.01)
    True
    """
    refuse_correlated(harmonised)
    if not (math.isfinite(penalty) and penalty >= 0):
        raise OptionError(f"penalty={penalty!r} must be zero or a positive number; 1 is usual")

    def rows(h: Harmonised, settings: Settings) -> list[Row]:
        drawn = (settings.rng, settings.n_draws) if fieller else None
        return [_pivw_row(h, penalty=penalty, overdispersion=overdispersion, fieller=drawn)]

    options = {"penalty": penalty, "overdispersion": overdispersion, "fieller": fieller, "n_draws": n_draws}
    estimator = FAMILY["pivw"]._replace(rows=rows)
    return one_method(harmonised, "pivw", estimator, options, call="pivw", seed=seed, n_draws=n_draws)


def _divw(h: Harmonised, settings: Settings) -> list[Row]:
    return [_divw_row(h)]


def _adivw(h: Harmonised, settings: Settings) -> list[Row]:
    return [_adivw_row(h)]


def _pivw(h: Harmonised, settings: Settings) -> list[Row]:
    return [_pivw_row(h)]


FAMILY: dict[str, Estimator] = {
    "divw": Estimator("Debiased IVW", _divw, least=2, ratio=False),
    "adivw": Estimator("Debiased IVW (adaptive)", _adivw, least=2, ratio=False, why_not=_too_few_strong),
    "pivw": Estimator("Penalised-denominator IVW", _pivw, least=2, ratio=False),
}
