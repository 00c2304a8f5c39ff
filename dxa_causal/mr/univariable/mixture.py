"""Contamination mixture and heterogeneity penalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal.mr._kernels.mixture import mixture, pieces, subset_log_density
from dxa_causal.mr.estimator import Convention, Estimator, Row, Settings, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.univariable.one_method import one_method

if TYPE_CHECKING:
    from dxa_causal.mr.estimates import MREstimates

FloatArray = npt.NDArray[np.float64]
MOST_SUBSETS = 18  # variants of hetpen: 2^18 subsets on 500 grid points take seconds
_MOST_POINTS = 1_000_000


class GridSet(NamedTuple):
    """Grid points whose doubled log-likelihood is within chi-squared times `factor` of the highest."""

    grid: FloatArray
    log_likelihood: FloatArray
    factor: float

    def __call__(self, conf_level: float) -> FloatArray:
        """Pieces in rising order."""
        from scipy.stats import chi2

        cut = 2.0 * self.log_likelihood.max() - chi2.ppf(conf_level, 1) * self.factor
        return pieces(self.grid, 2.0 * self.log_likelihood > cut)


def _grid(h: Harmonised, low: float | None, high: float | None, step: float) -> FloatArray:
    ends = (h.beta_outcome + 2.0 * np.array([[-1.0], [1.0]]) * h.se_outcome) / h.beta_exposure
    low = float(ends.min()) if low is None else float(low)
    high = float(ends.max()) if high is None else float(high)
    if not (np.isfinite([low, high, step]).all() and low < high and step > 0):
        raise OptionError(f"low={low!r}, high={high!r}, step={step!r}: low must be below high and step positive")
    points = int(np.floor((high - low) / step + 1e-9)) + 1
    if points > _MOST_POINTS:
        raise OptionError(f"step={step!r} makes {points} grid points from {low:g} to {high:g}; at most {_MOST_POINTS}")
    return np.asarray(low + step * np.arange(points), dtype=np.float64)


def _upstream_ends(h: Harmonised, low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Ends of R's grid, which take every variant to raise the exposure; ours where they are the wrong way round."""
    first = float(((h.beta_outcome - 2.0 * h.se_outcome) / h.beta_exposure).min())
    last = float(((h.beta_outcome + 2.0 * h.se_outcome) / h.beta_exposure).max())
    if not first < last:
        return low, high
    return first if low is None else low, last if high is None else high


def _conmix(
    h: Harmonised, psi: float, step: float, low: float | None, high: float | None, convention: Convention
) -> Row:
    from scipy.stats import chi2

    ratio, se = h.beta_outcome / h.beta_exposure, np.abs(h.se_outcome / h.beta_exposure)
    psi = psi or 1.5 * float(ratio.std(ddof=1))
    if convention == "mendelianrandomization":
        low, high = _upstream_ends(h, low, high)
    fit = mixture(_grid(h, low, high, step), ratio, se, psi)
    excess = 2.0 * (float(fit.log_likelihood.max()) - fit.at_zero)
    scale = fit.phi**2 if convention == "mendelianrandomization" else fit.phi**-2
    return Row(
        "effect",
        fit.estimate,
        p_value=float(chi2.sf(max(excess, 0.0) * scale, 1)),
        interval=GridSet(fit.grid, fit.log_likelihood, fit.phi**2),
        details={"psi": psi, "phi": fit.phi},
        valid=fit.valid,
    )


def conmix(
    harmonised: Harmonised,
    *,
    psi: float = 0.0,
    step: float = 0.01,
    low: float | None = None,
    high: float | None = None,
    convention: Convention = "twosamplemr",
) -> MREstimates:
    r"""Estimate by the contamination mixture: each variant valid or not, whichever is likelier.

    Parameters
    ----------
    harmonised : Harmonised
    psi : float
        Standard deviation of the effects that invalid variants estimate; 0
        for 1.5 times the standard deviation of the ratios.
    step, low, high : float
        Grid of the effect; from the lowest to the highest two-standard-error
        limit of a ratio unless given. The estimate and limits are grid points.
    convention : {"twosamplemr", "mendelianrandomization"}
        The R package MendelianRandomization multiplies the test statistic by
        the overdispersion :math:`\phi^2` ("mendelianrandomization"); dividing
        agrees with its own interval (the default). Its grid ends where it
        should only if every variant is coded to raise the exposure.

    Returns
    -------
    MREstimates
        The interval may have several pieces (``confidence_sets``).

    Notes
    -----
    With ratios :math:`r_j` and :math:`s_j = \sigma_{yj}/|x_j|` the profile is
    :math:`\sum_j \max\{\log N(r_j; \theta, s_j^2), \log N(r_j; 0, \psi^2 + s_j^2)\}`;
    the interval holds all :math:`\theta` with twice the distance from the
    maximum below :math:`\chi^2_1 \phi^2`, :math:`\phi \ge 1` the residual
    standard error of the valid variants.

    References
    ----------
    Burgess S et al. Nat Commun 2020;11:376. doi:10.1038/s41467-019-14156-4

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.1, 0.2, 0.15, 0.1], se_exposure=[0.01] * 4,
    ...     beta_outcome=[0.05, 0.1, 0.08, 0.4], se_outcome=[0.02] * 4,
    ... )
    >>> conmix(h).valid_variants()["conmix"].tolist()
    [True, True, True, False]
    """
    refuse_correlated(harmonised)
    if not psi >= 0:
        raise OptionError(f"psi={psi!r} must be 0 (chosen from the data) or positive")
    estimator = FAMILY["conmix"]._replace(rows=lambda h, settings: [_conmix(h, psi, step, low, high, convention)])
    options = {"psi": psi, "step": step, "low": low, "high": high, "convention": convention}
    return one_method(harmonised, "conmix", estimator, options, call="conmix")


def _hetpen(h: Harmonised, prior: float, step: float, low: float | None, high: float | None) -> Row:
    grid = _grid(h, low, high, step)
    found = subset_log_density(grid, h.beta_exposure, h.beta_outcome, h.se_outcome, prior)
    return Row("effect", float(grid[int(np.argmax(found))]), interval=GridSet(grid, found, 1.0))


def hetpen(
    harmonised: Harmonised,
    *,
    prior: float = 0.5,
    low: float | None = -1.0,
    high: float | None = 1.0,
    step: float = 0.001,
) -> MREstimates:
    r"""Estimate by averaging over all subsets of variants, heterogeneous ones penalised.

    Parameters
    ----------
    harmonised : Harmonised
        At most 18 variants.
    prior : float
        Prior probability that a variant is valid.
    low, high, step : float
        Grid of the effect.

    Returns
    -------
    MREstimates
        Estimate and limits are grid points; the interval may have several pieces (``confidence_sets``).

    Notes
    -----
    A subset :math:`k` of two or more variants has weight
    :math:`\pi^{n_k}(1-\pi)^{n-n_k}\prod_{j \in k} (|x_j|/\sigma_{yj}) \exp(-Q_k/2)`
    and contributes a normal density at its IVW estimate with its
    random-effects standard error; the mixture is treated as a likelihood.

    References
    ----------
    Burgess S et al. Int J Epidemiol 2018;47:1242-1254. doi:10.1093/ije/dyy080

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.1, 0.2, 0.15], se_exposure=[0.01] * 3,
    ...     beta_outcome=[0.05, 0.1, 0.08], se_outcome=[0.02] * 3,
    ... )
    >>> hetpen(h).tidy()["estimate"].round(2).tolist()
    [0.51]
    """
    refuse_correlated(harmonised)
    if not 0 < prior < 1:
        raise OptionError(f"prior={prior!r} must lie strictly between 0 and 1")
    estimator = FAMILY["hetpen"]._replace(rows=lambda h, settings: [_hetpen(h, prior, step, low, high)])
    options = {"prior": prior, "low": low, "high": high, "step": step}
    return one_method(harmonised, "hetpen", estimator, options, call="hetpen")


def _too_many(h: Harmonised) -> str:
    if h.n_variants <= MOST_SUBSETS:
        return ""
    return f"averages over all subsets of variants: at most {MOST_SUBSETS}; there are {h.n_variants}"


def _conmix_rows(h: Harmonised, settings: Settings) -> list[Row]:
    return [_conmix(h, 0.0, 0.01, None, None, settings.convention)]


def _hetpen_rows(h: Harmonised, settings: Settings) -> list[Row]:
    return [_hetpen(h, 0.5, 0.001, -1.0, 1.0)]


FAMILY: dict[str, Estimator] = {
    "conmix": Estimator("Contamination mixture", _conmix_rows),
    "hetpen": Estimator("Heterogeneity-penalised", _hetpen_rows, why_not=_too_many),
}
