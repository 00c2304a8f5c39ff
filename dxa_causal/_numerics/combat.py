"""ComBat: shifts and scales of batches, drawn together across features by empirical Bayes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Of the published implementations; a smaller one would move results away from theirs by about 1e-5.
RELATIVE_CHANGE = 1e-4
MAX_ITER = 1000


@dataclass(frozen=True, slots=True)
class CombatFit:
    """What ComBat learnt of k batches and p features.

    Attributes
    ----------
    mean : (p,) ndarray
        Level that all batches are brought to, covariates at 0.
    slopes : (q, p) ndarray
        Effects of the covariates, which are kept.
    scale : (p,) ndarray
        Residual standard deviation.
    raw_shift, raw_variance : (k, p) ndarray
        Of each batch, in units of `scale`, feature by feature.
    shift, variance : (k, p) ndarray
        What is removed: after empirical Bayes, or the same.
    covariate_mean : (q,) ndarray
        Over the rows fitted.
    reference : int
        Batch left as it is; -1 for none.
    converged : bool
    """

    mean: FloatArray
    slopes: FloatArray
    scale: FloatArray
    raw_shift: FloatArray
    raw_variance: FloatArray
    shift: FloatArray
    variance: FloatArray
    covariate_mean: FloatArray
    reference: int
    converged: bool


def fit_combat(
    y: FloatArray,
    batch: IntArray,
    covariates: FloatArray,
    *,
    parametric: bool = True,
    mean_only: bool = False,
    empirical_bayes: bool = True,
    reference: int = -1,
) -> CombatFit:
    r"""Estimate shifts and scales of batches.

    Parameters
    ----------
    y : (n, p) ndarray
    batch : (n,) ndarray of int
        0, ..., k - 1; each with at least two rows unless `mean_only`.
    covariates : (n, q) ndarray
        Not collinear with the batches. May have no column.
    parametric : bool
        Normal and inverse gamma priors; otherwise the other features are the prior.
    mean_only : bool
        Shifts only.
    empirical_bayes : bool
    reference : int
        Batch whose level and spread the others are brought to; -1 for the mean of all.

    Notes
    -----
    :math:`y_{ijg} = \alpha_g + x_{ij}^T\beta_g + \sigma_g(\gamma_{ig} + \delta_{ig}\varepsilon_{ijg})`. With
    :math:`\gamma_{ig} \sim N(\bar\gamma_i, \tau_i^2)` and :math:`\delta_{ig}^2 \sim IG(\lambda_i, \theta_i)`,
    moments over the features, the parametric estimates solve

    .. math::
        \gamma^* = \frac{n\tau^2\hat\gamma + \delta^{*2}\bar\gamma}{n\tau^2 + \delta^{*2}}, \qquad
        \delta^{*2} = \frac{\theta + \frac12\sum(z - \gamma^*)^2}{n/2 + \lambda - 1}.

    With `mean_only` :math:`n = \delta^2 = 1` in the first, as in the published programs.

    References
    ----------
    Johnson WE, Li C, Rabinovic A. Biostatistics 2007;8:118-127. doi:10.1093/biostatistics/kxj037

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([[1.0, 2], [3, 5], [11, 7], [13, 10]])
    >>> fit = fit_combat(y, np.array([0, 0, 1, 1]), np.empty((4, 0)), empirical_bayes=False)
    >>> apply_combat(fit, y, np.array([0, 0, 1, 1]), np.empty((4, 0))).mean(axis=0)
    array([7., 6.])
    """
    n, k = len(y), int(batch.max()) + 1
    count = np.bincount(batch, minlength=k)
    member = np.eye(k)[batch]
    coef = np.asarray(np.linalg.lstsq(np.hstack([member, covariates]), y, rcond=None)[0], dtype=np.float64)
    level, slopes = coef[:k], coef[k:]
    residual = y - member @ level - covariates @ slopes
    # of the reference alone, or of all: divided by the rows, as the published programs do
    among = batch == reference if reference >= 0 else np.ones(n, dtype=bool)
    mean = level[reference] if reference >= 0 else (count / n) @ level
    scale = np.asarray(np.sqrt(np.mean(residual[among] ** 2, axis=0)), dtype=np.float64)
    z = (y - mean - covariates @ slopes) / scale
    raw_shift = np.vstack([z[batch == i].mean(axis=0) for i in range(k)])
    raw_variance = np.ones_like(raw_shift)
    if not mean_only:
        raw_variance = np.vstack([z[batch == i].var(axis=0, ddof=1) for i in range(k)])
    shift, variance, converged = raw_shift.copy(), raw_variance.copy(), True
    for i in range(k if empirical_bayes else 0):
        if i == reference:
            continue
        rows = z[batch == i]
        if not parametric:
            shift[i], variance[i] = _other_features(rows, raw_shift[i], raw_variance[i])
        elif mean_only:
            shift[i] = _shift(raw_shift[i], 1.0, np.ones(1), raw_shift[i].mean(), raw_shift[i].var(ddof=1))
        else:
            shift[i], variance[i], done = _conjugate(rows, raw_shift[i], raw_variance[i])
            converged &= done
    if mean_only:
        variance[:] = 1.0
    if reference >= 0:
        shift[reference], variance[reference] = 0.0, 1.0
    return CombatFit(
        mean, slopes, scale, raw_shift, raw_variance, shift, variance, covariates.mean(axis=0), reference, converged
    )


def apply_combat(fit: CombatFit, y: FloatArray, batch: IntArray, covariates: FloatArray) -> FloatArray:
    """Remove the shifts and scales of known batches from rows old or new.

    Parameters
    ----------
    fit : CombatFit
    y : (n, p) ndarray
    batch : (n,) ndarray of int
    covariates : (n, q) ndarray

    Returns
    -------
    (n, p) ndarray
    """
    kept = fit.mean + covariates @ fit.slopes
    z = (y - kept) / fit.scale
    moved = (z - fit.shift[batch]) / np.sqrt(fit.variance[batch]) * fit.scale + kept
    untouched = batch == fit.reference
    moved[untouched] = y[untouched]  # to the last bit
    return np.asarray(moved, dtype=np.float64)


def _shift(raw: FloatArray, n: float, variance: FloatArray, prior_mean: float, prior_variance: float) -> FloatArray:
    return np.asarray((n * prior_variance * raw + variance * prior_mean) / (n * prior_variance + variance))


def _conjugate(z: FloatArray, raw_shift: FloatArray, raw_variance: FloatArray) -> tuple[FloatArray, FloatArray, bool]:
    """Alternate the two conditional posterior means until neither moves."""
    n = len(z)
    prior_mean, prior_variance = float(raw_shift.mean()), float(raw_shift.var(ddof=1))
    m, s2 = raw_variance.mean(), raw_variance.var(ddof=1)
    shift, variance = raw_shift, raw_variance
    for _ in range(MAX_ITER):
        new_shift = _shift(raw_shift, n, variance, prior_mean, prior_variance)
        squares = np.sum((z - new_shift) ** 2, axis=0)
        # theta / s2 and lambda / s2 times s2, so that features with one and the same variance divide by nothing
        new_variance = (0.5 * squares * s2 + m * s2 + m**3) / (s2 * (n / 2.0 - 1.0) + 2.0 * s2 + m**2)
        moved = max(
            np.max(np.abs(new_shift - shift) / np.maximum(np.abs(shift), 1e-12)),
            np.max(np.abs(new_variance - variance) / variance),
        )
        shift, variance = new_shift, new_variance
        if moved <= RELATIVE_CHANGE:
            return shift, variance, True
    return shift, variance, False


def _other_features(z: FloatArray, raw_shift: FloatArray, raw_variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of the other features' estimates, each weighted by how well it fits this feature's rows."""
    n, p = z.shape
    shift, variance = np.empty(p), np.empty(p)
    mean, ss = z.mean(axis=0), np.sum((z - z.mean(axis=0)) ** 2, axis=0)
    for g in range(p):
        squares = ss[g] + n * (mean[g] - raw_shift) ** 2
        log_fit = -0.5 * n * np.log(2.0 * np.pi * raw_variance) - squares / (2.0 * raw_variance)
        log_fit[g] = -np.inf
        weight = np.exp(log_fit - log_fit.max())
        weight /= weight.sum()
        shift[g], variance[g] = weight @ raw_shift, weight @ raw_variance
    return shift, variance
