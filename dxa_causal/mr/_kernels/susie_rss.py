"""Sum of single effects from z statistics and their correlations: iterative Bayesian stepwise selection.

Symbols are those of Wang et al. (2020) and Zou et al. (2022): L single effects over p variants, alpha the
probability of each variant within an effect, mu its posterior mean given that, V the prior variance of the effect, on
the scale of standardised genotypes and trait.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.bayes_factors import log_sum

FloatArray = npt.NDArray[np.float64]

_LOG_VARIANCE = (-30.0, 15.0)  # where prior variances are sought


@dataclass(frozen=True, slots=True)
class Fit:
    """alpha, mu, second moments and log Bayes factors (L, p); prior variances and log Bayes factors (L,); ELBO path."""

    alpha: FloatArray
    mu: FloatArray
    mu2: FloatArray
    log_bf_variable: FloatArray
    prior_variance: FloatArray
    log_bf: FloatArray
    elbo: FloatArray
    residual_variance: float
    converged: bool


@dataclass(frozen=True, slots=True)
class Single:
    """One single effect: alpha, mu, mu2 and log Bayes factors (p,), prior variance and log Bayes factor."""

    alpha: FloatArray
    mu: FloatArray
    mu2: FloatArray
    log_bf_variable: FloatArray
    prior_variance: float
    log_bf: float


def adjusted(z: FloatArray, n: float) -> FloatArray:
    """Statistics z with the variance each variant explains taken out of the residual: sqrt(n - 1) times r."""
    return np.asarray(z * np.sqrt((n - 1.0) / (z**2 + n - 2.0)))


def single_effect(xty: FloatArray, d: float, sigma2: float, variance: float, log_prior: FloatArray) -> Single:
    """Posterior of one effect whose variant is unknown; d is the diagonal of X'X, the same for all variants."""
    s2 = sigma2 / d
    shrinkage = variance / (variance + s2)
    beta = xty / d
    log_bf = 0.5 * (shrinkage * beta**2 / s2 - np.log1p(variance / s2))
    joint = log_bf + log_prior
    total = float(log_sum(joint))
    mu = shrinkage * beta
    return Single(np.exp(joint - total), mu, mu**2 + shrinkage * s2, log_bf, variance, total)


def best_prior_variance(xty: FloatArray, d: float, sigma2: float, current: float, log_prior: FloatArray) -> float:
    """Prior variance of highest likelihood; zero where no effect is as likely."""
    from scipy.optimize import minimize_scalar

    s2 = sigma2 / d
    half = 0.5 * (xty / d) ** 2 / s2

    def minus(log_variance: float) -> float:
        variance = np.exp(log_variance)
        shrinkage = variance / (variance + s2)
        return -float(log_sum(shrinkage * half + log_prior) - 0.5 * np.log1p(variance / s2))

    found = minimize_scalar(minus, bounds=_LOG_VARIANCE, method="bounded", options={"xatol": 1e-8})
    best, value = float(np.exp(found.x)), float(found.fun)
    if current > 0.0 and minus(float(np.log(current))) < value:
        best, value = current, minus(float(np.log(current)))
    return 0.0 if value >= 0.0 else best  # the null has log-likelihood 0


def fit(
    z: FloatArray,
    r: FloatArray,
    n: float,
    *,
    n_effects: int,
    log_prior: FloatArray,
    prior_variance: float,
    estimate_prior_variance: bool,
    estimate_residual_variance: bool,
    max_iterations: int,
    tolerance: float,
) -> Fit:
    """Fit the model; z are `adjusted`, r (p, p) correlations, the trait has variance 1."""
    p, d = z.size, n - 1.0
    xty = np.sqrt(d) * z
    effects = [Single(np.full(p, 1.0 / p), np.zeros(p), np.zeros(p), np.zeros(p), prior_variance, 0.0)] * n_effects
    fitted = np.zeros((n_effects, p))  # X'X times the mean of each effect
    total = np.zeros(p)
    sigma2, elbo, converged = 1.0, [-np.inf], False
    for _ in range(max_iterations):
        divergence = 0.0
        for k in range(n_effects):
            rest = xty - (total - fitted[k])
            variance = effects[k].prior_variance
            if estimate_prior_variance:
                variance = best_prior_variance(rest, d, sigma2, variance, log_prior)
            effect = single_effect(rest, d, sigma2, variance, log_prior)
            mean = effect.alpha * effect.mu
            effects[k], divergence = effect, divergence + _divergence(effect, mean, rest, d, sigma2)
            new = d * (r @ mean) if variance > 0.0 else np.zeros(p)
            total, fitted[k] = total - fitted[k] + new, new
        loss = _expected_loss(effects, fitted, total, xty, d)
        elbo.append(-0.5 * n * np.log(2.0 * np.pi * sigma2) - 0.5 * loss / sigma2 - divergence)
        if elbo[-1] - elbo[-2] < tolerance:
            converged = True
            break
        if estimate_residual_variance:
            sigma2 = loss / n
    return Fit(
        alpha=np.array([e.alpha for e in effects]),
        mu=np.array([e.mu for e in effects]),
        mu2=np.array([e.mu2 for e in effects]),
        log_bf_variable=np.array([e.log_bf_variable for e in effects]),
        prior_variance=np.array([e.prior_variance for e in effects]),
        log_bf=np.array([e.log_bf for e in effects]),
        elbo=np.array(elbo[1:]),
        residual_variance=float(sigma2),
        converged=converged,
    )


def _divergence(effect: Single, mean: FloatArray, rest: FloatArray, d: float, sigma2: float) -> float:
    """Kullback-Leibler divergence of one effect's posterior from its prior."""
    expected = -0.5 / sigma2 * (-2.0 * float(mean @ rest) + d * float(effect.alpha @ effect.mu2))
    return expected - effect.log_bf


def _expected_loss(effects: list[Single], fitted: FloatArray, total: FloatArray, xty: FloatArray, d: float) -> float:
    """Posterior expectation of the residual sum of squares; that of the trait is d."""
    mean = np.array([e.alpha * e.mu for e in effects])
    second = d * sum(float(e.alpha @ e.mu2) for e in effects)
    whole = mean.sum(axis=0)
    return float(d - 2.0 * whole @ xty + whole @ total - np.sum(mean * fitted) + second)


def inclusion(alpha: FloatArray) -> FloatArray:
    """Probability (p,) that a variant is in at least one of the effects (L, p)."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(np.sum(np.log1p(-alpha), axis=0)))


def smallest_set(probability: FloatArray, coverage: float) -> npt.NDArray[np.intp]:
    """Indices of the fewest variants that together reach the coverage, the likeliest first."""
    order = np.argsort(-probability, kind="stable")
    size = int(np.sum(np.cumsum(probability[order]) < coverage)) + 1
    return order[:size]
