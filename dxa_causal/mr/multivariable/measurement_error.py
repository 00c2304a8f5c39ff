"""Estimators that allow for the errors of the exposures' effects: IVW, Q minimised, constrained likelihood."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels import profile_errors as kernel
from dxa_causal.mr._kernels.multivariable import least_absolute_many, weighted
from dxa_causal.mr.multivariable.estimator import Estimator, Row, Settings, rows_of
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised

FloatArray = npt.NDArray[np.float64]
_BLOCK = 2_000_000  # numbers in one array at a time


def _errors(h: MultivariableHarmonised, correlation: FloatArray) -> FloatArray:
    """Covariance (n, k + 1, k + 1) of the errors of every variant's effects, the outcome last."""
    se = np.column_stack([h.se_exposures, h.se_outcome])
    return se[:, :, None] * correlation * se[:, None, :]


def _data(h: MultivariableHarmonised, errors: FloatArray) -> kernel.Data:
    k = len(h.exposures)
    return kernel.Data(
        h.beta_exposures[None], h.beta_outcome[None], errors[:, :k, :k], errors[:, :k, k], errors[:, k, k]
    )


def _start(h: MultivariableHarmonised) -> FloatArray:
    return weighted(h.beta_exposures, h.beta_outcome, h.se_outcome**-2.0).coef[None]


def _sandwich(d: kernel.Data, theta: FloatArray, w: FloatArray) -> FloatArray:
    """Standard errors (k,) that allow for the estimated variances."""
    _, hessian, squares = kernel.curvature(d, theta, w)
    bread = np.linalg.inv(hessian[0])
    found: FloatArray = np.sqrt(np.diag(bread @ squares[0] @ bread))
    return found


def _ivw_me(h: MultivariableHarmonised, settings: Settings) -> list[Row]:
    d, w = _data(h, _errors(h, settings.correlation)), np.ones((1, h.n_variants))
    theta = kernel.minimise(d, w, _start(h))
    e = h.beta_outcome - h.beta_exposures @ theta[0]
    df = h.n_variants - len(h.exposures)
    dispersion = float(np.sqrt(np.sum((e / h.se_outcome) ** 2) / df))
    se = _sandwich(d, theta, w) * (max(1.0, dispersion) if settings.random(h) else 1.0)
    details = {"q": float(kernel.objective(d, theta, w)[0])}
    return rows_of(h, theta[0], se, df=df if settings.convention == "mvmr" else None, details=details)


def _q_het(h: MultivariableHarmonised, settings: Settings) -> list[Row]:
    """Minimise Q with the variance between variants that brings the minimum down to its df."""
    from scipy.optimize import brentq

    d, w, start = _data(h, _errors(h, settings.correlation)), np.ones((1, h.n_variants)), _start(h)
    df = h.n_variants - len(h.exposures)

    def fit(tau2: float) -> tuple[kernel.Data, FloatArray]:
        wider = d._replace(yy=d.yy + tau2)
        return wider, kernel.minimise(wider, w, start)

    def excess(tau2: float) -> float:
        return float(kernel.objective(*fit(tau2), w)[0]) - df

    tau2 = 0.0
    if settings.convention != "mvmr" and excess(0.0) > 0:
        top = float(np.mean(h.se_outcome**2))
        while excess(top) > 0:
            top *= 4
        tau2 = float(brentq(excess, 0.0, top, rtol=1e-12, xtol=1e-14 * top))
    wider, theta = fit(tau2)
    details = {"tau2": tau2, "q": float(kernel.objective(wider, theta, w)[0])}
    return rows_of(h, theta[0], _sandwich(wider, theta, w), details=details)


def _without_sample_size(h: MultivariableHarmonised, settings: Settings) -> str:
    if math.isnan(settings.n):
        return "BIC needs a sample size: give n_exposures and n_outcome to from_arrays, or n to mvmr"
    return ""


def _best(
    d: kernel.Data, counts: npt.NDArray[np.int64], starts: FloatArray
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Least loss over the starts (m, s, k): theta (m, c, k), loss (m, c), invalid (m, c, n) for the c counts."""
    m, s, k = starts.shape
    c, n = counts.size, d.y.shape[1]
    step = max(1, _BLOCK // (s * c * n * k))
    thetas, losses, invalids = np.empty((m, c, k)), np.empty((m, c)), np.empty((m, c, n), dtype=bool)
    for first in range(0, m, step):
        rows = np.arange(first, min(m, first + step))
        size = rows.size
        theta, loss, invalid = kernel.constrained(
            d.take(np.repeat(rows, s * c)), np.tile(counts, size * s),
            np.repeat(starts[rows].reshape(size * s, k), c, axis=0),
        )  # fmt: skip
        best = np.argmin(loss.reshape(size, s, c), axis=1)
        place = (np.arange(size)[:, None] * s + best) * c + np.arange(c)
        thetas[rows], losses[rows], invalids[rows] = theta[place], loss[place], invalid[place]
    return thetas, losses, invalids


def _starts(d: kernel.Data) -> FloatArray:
    """Zero, IVW and median of every data set, (m, 3, k)."""
    w = 1.0 / d.yy
    xx, xy = np.einsum("n,mnk,mnl->mkl", w, d.x, d.x), np.einsum("n,mnk,mn->mk", w, d.x, d.y)
    ivw = np.linalg.solve(xx, xy[..., None])[..., 0]
    return np.stack([np.zeros_like(ivw), ivw, least_absolute_many(d.x, d.y, w)], axis=1)


def _cml(h: MultivariableHarmonised, settings: Settings, perturbations: int = 0) -> list[Row]:
    n, k = h.beta_exposures.shape
    errors = _errors(h, settings.correlation)
    d = _data(h, errors)
    counts = np.arange(min(math.ceil(n / 2), n - k - 1) + 1)
    thetas, losses, invalids = _best(d, counts, _starts(d))
    best = int(np.argmin(2 * losses[0] + np.log(settings.n) * counts))
    valid = ~invalids[0, best]
    details = {"n": settings.n, "n_invalid": float(best), "bic": float(2 * losses[0, best] + np.log(settings.n) * best)}
    if not perturbations:
        _, hessian, _ = kernel.curvature(d, thetas[:, best], valid[None].astype(float))
        return rows_of(h, thetas[0, best], np.sqrt(np.diag(np.linalg.inv(hessian[0]))), details=details, valid=valid)
    noise = np.einsum(
        "nij,mnj->mni", np.linalg.cholesky(errors), settings.rng.standard_normal((perturbations, n, k + 1))
    )
    drawn = d._replace(x=h.beta_exposures + noise[..., :k], y=h.beta_outcome + noise[..., k])
    thetas, losses, _ = _best(drawn, counts, _starts(drawn))
    chosen = np.argmin(2 * losses + np.log(settings.n) * counts, axis=1)
    found = thetas[np.arange(perturbations), chosen]
    details["n_perturbations"] = float(perturbations)
    return rows_of(h, found.mean(axis=0), found.std(axis=0, ddof=1), details=details, valid=valid)


FAMILY: dict[str, Estimator] = {
    "ivw_me": Estimator("Inverse-variance weighted, measurement error", _ivw_me),
    "q_het": Estimator("Minimised heterogeneity", _q_het),
    "cml": Estimator("Constrained maximum likelihood", _cml, spare=2, why_not=_without_sample_size),
    "cml_dp": Estimator(
        "Constrained maximum likelihood, data perturbation", lambda h, s: _cml(h, s, s.perturbations), spare=2,
        why_not=_without_sample_size,
    ),
}  # fmt: skip
