"""Generalised method of moments on the variants' joint effects, or on principal components of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.joint_effects import (
    explains_all,
    joint_effects,
    joint_exposures,
    principal_components,
)
from dxa_causal.mr._kernels.liml import Moments, liml, liml_widened
from dxa_causal.mr.multivariable.estimator import Estimator, Row, Settings, rows_of
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised

FloatArray = npt.NDArray[np.float64]
SHARE = 0.99  # of the variance of the weighted correlations that the components have to hold


def _components(h: MultivariableHarmonised) -> FloatArray:
    """Principal components (n, r) of the correlations, weighted by the effects on the exposures."""
    return principal_components(np.abs(h.beta_exposures).sum(axis=1) / h.se_outcome, h.correlations, SHARE, None)


def _without_sample_sizes(h: MultivariableHarmonised, settings: Settings) -> str:
    if np.isnan(h.n_exposures).any() or np.isnan(h.n_outcome):
        return "needs the sample sizes: give n_exposures and n_outcome to from_arrays"
    return ""


def _why_not(h: MultivariableHarmonised, settings: Settings) -> str:
    return _without_sample_sizes(h, settings) or _more_than_all(h, None)


def _more_than_all(h: MultivariableHarmonised, basis: FloatArray | None) -> str:
    """Effects that explain more than the whole variance cannot belong to these sample sizes and correlations."""
    sides = [(h.beta_exposures[:, j], h.se_exposures[:, j], float(n)) for j, n in enumerate(h.n_exposures)]
    for name, (beta, se, n) in zip(
        (*h.exposures, h.outcome), [*sides, (h.beta_outcome, h.se_outcome, h.n_outcome)], strict=True
    ):
        if explains_all(beta, se, n, h.correlations, basis):
            return f"the variants explain all of {name}: effects, standard errors, sample size or ld do not fit"
    return ""


def _too_few_components(h: MultivariableHarmonised, settings: Settings) -> str:
    if h.ld is None:
        return "needs the correlations of the variants: give ld to from_arrays"
    without = _without_sample_sizes(h, settings)
    if without:
        return without
    found, k = _components(h).shape[1], len(h.exposures)
    if found <= k:
        return (
            f"{found} principal components hold {SHARE:.0%} of the correlations; {k + 1} are needed for {k} exposures"
        )
    return _more_than_all(h, _components(h))


def _gmm(h: MultivariableHarmonised, settings: Settings, basis: FloatArray | None = None) -> list[Row]:
    k = len(h.exposures)
    exposures = joint_exposures(
        h.beta_exposures, h.se_exposures, h.n_exposures, h.correlations, settings.correlation[:k, :k], basis
    )
    outcome = joint_effects(h.beta_outcome, h.se_outcome, h.n_outcome, h.correlations, basis)
    m = Moments(exposures.effects, outcome.effect, exposures.cov, outcome.cov)
    fit, extra = liml_widened(m) if settings.overdispersion else (liml(m), 0.0)
    details = {"q": fit.q}
    if basis is not None:
        details["n_components"] = float(basis.shape[1])
    if settings.overdispersion:
        details["overdispersion"] = extra * h.n_outcome
    return rows_of(h, fit.coef, np.sqrt(np.diag(fit.cov)), details=details)


FAMILY: dict[str, Estimator] = {
    "gmm": Estimator("Generalised method of moments", _gmm, correlated=True, why_not=_why_not),
    "pc_gmm": Estimator(
        "Generalised method of moments, principal components", lambda h, s: _gmm(h, s, _components(h)),
        correlated=True, why_not=_too_few_components,
    ),
}  # fmt: skip
