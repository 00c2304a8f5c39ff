"""Constrained maximum likelihood with model averaging."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._core.rng import Seed
from dxa_causal.mr._kernels import constrained as kernel
from dxa_causal.mr.estimator import Estimator, Row, Settings, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.univariable.one_method import one_method

if TYPE_CHECKING:
    from dxa_causal.mr.estimates import MREstimates

FloatArray = npt.NDArray[np.float64]
Kind = Literal["cml_ma", "cml_bic", "cml_ma_dp"]
_MOST_STARTS = 25
_PERTURBATIONS = 200


def _sample_size(h: Harmonised) -> float:
    sizes = h.table[["n_exposure", "n_outcome"]].to_numpy(dtype=np.float64)
    return float(np.nanmin(sizes)) if np.isfinite(sizes).any() else math.nan


def _no_sample_size(h: Harmonised) -> str:
    if math.isnan(_sample_size(h)):
        return "the sample sizes are missing (n_exposure, n_outcome), and BIC needs one; give it with mr.cml(h, n=...)"
    return ""


def _starts(h: Harmonised, n_random: int, rng: np.random.Generator) -> FloatArray:
    some = h.beta_exposure != 0
    ratios = np.sort(h.beta_outcome[some] / h.beta_exposure[some])
    if ratios.size > _MOST_STARTS:
        ratios = np.quantile(ratios, np.linspace(0, 1, _MOST_STARTS))
    return np.concatenate(([0.0], ratios, rng.uniform(ratios[0], ratios[-1], n_random)))


def _row(
    h: Harmonised, rng: np.random.Generator, *, n: float, average: bool, perturbations: int, random_starts: int
) -> Row:
    bx, by, sx, sy = h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome
    counts = np.arange(bx.size - 1)
    starts = np.repeat(_starts(h, random_starts, rng)[:, None], counts.size, axis=1)
    fits = kernel.best_of_starts(bx[None], by[None], sx, sy, counts, starts)
    theta, error = fits.theta[0], fits.std_error[0]
    criterion = kernel.bic(fits.loss[0], counts, n)
    best = int(np.argmin(criterion))
    details = {"n": n, "n_invalid": float(best), "bic": float(criterion[best])}
    if perturbations:
        shape = (perturbations, bx.size)
        drawn = kernel.best_of_starts(
            rng.normal(bx, sx, shape),
            rng.normal(by, sy, shape),
            sx,
            sy,
            counts,
            np.stack([np.zeros(theta.size), theta]),
        )
        first, second = kernel.goodness_of_fit(float(error[best]), drawn.theta[:, best], drawn.std_error[:, best])
        details |= {"n_perturbations": float(perturbations), "gof_p_moments": first, "gof_p_normal": second}
        theta, error = drawn.theta.mean(axis=0), drawn.theta.std(axis=0, ddof=1)
        criterion = kernel.bic(drawn.loss.mean(axis=0), counts, n)
    chosen = int(np.argmin(criterion))
    found = kernel.average(theta, error, criterion) if average else kernel.Averaged(theta[chosen], error[chosen])
    return Row("effect", float(found.estimate), float(found.std_error), details=details, valid=~fits.invalid[0, best])


def cml(
    harmonised: Harmonised, *, n: float | None = None, average: bool = True, perturbations: int = 0,
    random_starts: int = 0, seed: Seed = 1,
) -> MREstimates:  # fmt: skip
    r"""Constrained maximum likelihood: an unknown number of invalid instruments of any kind.

    Parameters
    ----------
    harmonised : Harmonised
    n : float, optional
        Sample size in BIC; the smallest of exposure and outcome when omitted.
    average : bool
        Average over the number of invalid variants; otherwise take the best BIC.
    perturbations : int
        Data perturbation: estimate and standard error from so many redrawn
        data sets (200 is usual), which allow for the choice of variants.
        ``further()`` then has the p-values of the two goodness-of-fit tests,
        small when the plain standard error is too small.
    random_starts : int
        Starts beyond zero and the variants' own ratios.
    seed : int, Generator or None

    Returns
    -------
    MREstimates
        The variants held to be valid, by BIC, in ``valid_variants()``.

    Notes
    -----
    For K = 0 ... J - 2, the least of

    .. math:: \sum_j \frac{(x_j - b_j)^2}{2 \sigma_{xj}^2} +
              \sum_{j \notin I} \frac{(y_j - \theta b_j)^2}{2 \sigma_{yj}^2}

    over :math:`\theta`, :math:`b` and sets I of K invalid variants, by
    blockwise descent from several starts; weights
    :math:`\exp(-\mathrm{BIC}_K / 2)`, :math:`\mathrm{BIC}_K` twice the least
    value plus :math:`K \log n`. Needs most valid variants to agree (plurality).

    References
    ----------
    Xue H, Shen X, Pan W. Am J Hum Genet 2021;108:1251-1269. doi:10.1016/j.ajhg.2021.05.014

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15, 0.12], se_exposure=[0.01] * 4,
    ...     beta_outcome=[0.05, 0.10, 0.08, 0.40], se_outcome=[0.02] * 4,
    ... )
    >>> cml(h, n=10_000).valid_variants()["cml_ma"].tolist()
    [True, True, True, False]
    """
    refuse_correlated(harmonised)
    if n is not None and not (math.isfinite(n) and n > 1):
        raise OptionError(f"n={n!r} must be a sample size above 1")
    if perturbations < 0 or perturbations in (1, 2, 3):
        raise OptionError(f"perturbations={perturbations!r} must be 0 (none) or at least 4; 200 is usual")
    if random_starts < 0:
        raise OptionError(f"random_starts={random_starts!r} must not be negative")
    kind: Kind = "cml_bic" if not average else "cml_ma_dp" if perturbations else "cml_ma"

    def rows(h: Harmonised, settings: Settings) -> list[Row]:
        size = _sample_size(h) if n is None else float(n)
        return [
            _row(h, settings.rng, n=size, average=average, perturbations=perturbations, random_starts=random_starts)
        ]

    estimator = FAMILY[kind]._replace(rows=rows, why_not=None if n is not None else _no_sample_size)
    options = {"n": n, "average": average, "perturbations": perturbations, "random_starts": random_starts}
    return one_method(harmonised, kind, estimator, options, call="cml", seed=seed)


def _rows(h: Harmonised, settings: Settings, *, average: bool, perturbations: int) -> list[Row]:
    n = _sample_size(h)
    return [_row(h, settings.rng, n=n, average=average, perturbations=perturbations, random_starts=0)]


def _estimator(label: str, *, average: bool = True, perturbations: int = 0) -> Estimator:
    rows = partial(_rows, average=average, perturbations=perturbations)
    return Estimator(label, rows, ratio=False, why_not=_no_sample_size)


FAMILY: dict[str, Estimator] = {
    "cml_ma": _estimator("cML-MA-BIC"),
    "cml_bic": _estimator("cML-BIC", average=False),
    "cml_ma_dp": _estimator("cML-MA-BIC-DP", perturbations=_PERTURBATIONS),
}
