"""Lasso and elastic-net paths of the three outcomes, and the first features to enter one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from dxa_causal.selection.features import FloatArray, Kind

_STEPS = 100
_NEWTON = 25
_SMALLEST = 0.01  # of the penalty at which the first feature enters


def standardise(x: FloatArray) -> FloatArray:
    """Columns of mean 0 and variance 1 (1/n); constants become 0."""
    centred = x - x.mean(axis=0)
    sd = np.sqrt((centred**2).mean(axis=0))
    return np.asarray(np.divide(centred, sd, out=np.zeros_like(centred), where=np.ptp(x, axis=0) > 0))


def logistic_penalties(x: FloatArray, y: FloatArray, l1_ratio: float) -> FloatArray:
    """Penalties from the one at which the first feature enters downwards."""
    largest = np.abs(x.T @ (y - y.mean())).max() / len(y) / l1_ratio
    return np.geomspace(largest, _SMALLEST * largest, _STEPS)


def logistic_path(
    x: FloatArray, y: FloatArray, penalties: FloatArray, l1_ratio: float, *, most: int | None = None
) -> Any:
    """Coefficients (k, p) and intercepts (k,) along `penalties`; stops after more than `most` have entered.

    Minimises minus the mean log-likelihood plus penalty * (l1_ratio |b| + (1 - l1_ratio) b^2 / 2): each Newton step is
    a penalised weighted least squares, solved by coordinate descent from where the last one ended.
    """
    from sklearn.linear_model import ElasticNet

    model = ElasticNet(l1_ratio=l1_ratio, fit_intercept=False, warm_start=True, tol=1e-10, max_iter=5000)
    model.coef_ = np.zeros(x.shape[1])
    intercept = float(special.logit(y.mean()))
    coefficients, intercepts = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the far end of the path, which is not chosen
        for penalty in penalties:
            model.alpha = penalty
            for _ in range(_NEWTON):
                before = model.coef_.copy()  # the fit writes into it
                predictor = intercept + x @ before
                mean = special.expit(predictor)
                weight = np.maximum(mean * (1 - mean), 1e-5)
                response = predictor + (y - mean) / weight
                centre, middle = np.average(x, axis=0, weights=weight), np.average(response, weights=weight)
                root = np.sqrt(weight)
                model.fit((x - centre) * root[:, None], (response - middle) * root)
                intercept = float(middle - centre @ model.coef_)
                if np.abs(model.coef_ - before).max() <= 1e-7 * max(1.0, np.abs(model.coef_).max()):
                    break
            coefficients.append(model.coef_.copy())
            intercepts.append(intercept)
            if most is not None and np.count_nonzero(coefficients[-1]) > most:
                break
    return np.array(coefficients), np.array(intercepts)


def first_to_enter(x: FloatArray, y: Any, kind: Kind, most: int) -> npt.NDArray[np.int64]:
    """Columns of the first (up to) `most` features to enter the lasso path."""
    z = standardise(x)
    if kind == "linear":
        from sklearn.linear_model import lars_path

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # steps that are dropped near the end of a path
            _, active, _ = lars_path(z, y - y.mean(), method="lasso", max_iter=most, return_path=False)
        return np.sort(np.asarray(active, dtype=np.int64))[:most]
    if kind == "logistic":
        path, _ = logistic_path(z, y, logistic_penalties(z, y, 1.0), 1.0, most=most)
    else:
        path = _cox_path(z, y)
    count = np.count_nonzero(path, axis=1)
    fits = np.flatnonzero(count <= most)
    return np.flatnonzero(path[fits[-1]]) if fits.size else np.empty(0, dtype=np.int64)


def _cox_path(z: FloatArray, y: Any) -> FloatArray:
    from sksurv.linear_model import CoxnetSurvivalAnalysis

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the far end of the path, which is not chosen
        try:
            model = CoxnetSurvivalAnalysis(l1_ratio=1.0, n_alphas=_STEPS, alpha_min_ratio=0.05).fit(z, y)
        except ArithmeticError:  # coefficients run away where the penalty is small
            model = CoxnetSurvivalAnalysis(l1_ratio=1.0, n_alphas=_STEPS, alpha_min_ratio=0.3).fit(z, y)
    return np.ascontiguousarray(model.coef_.T)
