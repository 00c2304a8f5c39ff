"""Joint effects of correlated variants from their marginal ones, as a regression on all of them would find."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Joint(NamedTuple):
    """Effects (r,) of the variants or of their components on one trait, and their covariance (r, r)."""

    effect: FloatArray
    cov: FloatArray


class JointExposures(NamedTuple):
    """Effects (r, k) on k traits, and the covariance (k, k, r, r) of the errors of each pair."""

    effects: FloatArray
    cov: FloatArray


class _Moments(NamedTuple):
    gram: FloatArray  # correlations of the variants, in units of the trait's standard deviation
    score: FloatArray
    inverse: FloatArray
    df: float


def _moments(beta: FloatArray, se: FloatArray, n: float, ld: FloatArray, basis: FloatArray | None) -> _Moments:
    a = 1.0 / (n * se**2 + beta**2)
    root = np.sqrt(a)
    gram, score = root[:, None] * ld * root, a * beta
    if basis is not None:
        gram, score = basis.T @ gram @ basis, basis.T @ score
    return _Moments(gram, score, np.asarray(np.linalg.inv(gram), dtype=np.float64), n - score.size + 1)


def joint_effects(beta: FloatArray, se: FloatArray, n: float, ld: FloatArray, basis: FloatArray | None = None) -> Joint:
    """Effects of the variants given each other; of the components ``basis`` (p, r) where given."""
    m = _moments(beta, se, n, ld, basis)
    effect = m.inverse @ m.score
    return Joint(effect, m.inverse * (1.0 - float(m.score @ effect)) / m.df)


def explains_all(beta: FloatArray, se: FloatArray, n: float, ld: FloatArray, basis: FloatArray | None = None) -> bool:
    """Whether the variants explain the whole variance or more, so that these numbers cannot belong together."""
    return n <= beta.size or not np.diag(joint_effects(beta, se, n, ld, basis).cov).min() > 0


def joint_exposures(
    beta: FloatArray,
    se: FloatArray,
    n: FloatArray,
    ld: FloatArray,
    correlation: FloatArray,
    basis: FloatArray | None = None,
) -> JointExposures:
    """Effects on several traits whose errors have this correlation (k, k); beta, se (p, k), n (k,)."""
    k = beta.shape[1]
    moments = [_moments(beta[:, j], se[:, j], float(n[j]), ld, basis) for j in range(k)]
    roots = [_square_root(m.gram) for m in moments]
    r = moments[0].score.size
    cov = np.empty((k, k, r, r))
    for i in range(k):
        for j in range(k):
            inverse = np.linalg.inv(roots[i] @ roots[j])
            left = correlation[i, j] - float(moments[i].score @ inverse @ moments[j].score)
            cov[i, j] = inverse * left / np.sqrt(moments[i].df * moments[j].df)
    return JointExposures(np.column_stack([m.inverse @ m.score for m in moments]), cov)


def _square_root(matrix: FloatArray) -> FloatArray:
    value, vector = np.linalg.eigh(matrix)
    root: FloatArray = (vector * np.sqrt(value)) @ vector.T
    return root


def principal_components(weight: FloatArray, ld: FloatArray, share: float, count: int | None) -> FloatArray:
    """Orthonormal directions (p, r) of the weighted correlations that hold more than `share` of their variance.

    The matrix ``w w' * ld`` is taken as a table of p rows and centred, as ``prcomp``
    does. Centring makes the directions depend on which alleles are counted.
    """
    table = np.outer(weight, weight) * ld
    _, singular, directions = np.linalg.svd(table - table.mean(axis=0))
    if count is None:
        held = np.cumsum(singular**2) / np.sum(singular**2)
        count = int(np.argmax(held > share)) + 1
    found: FloatArray = directions[:count].T
    return found
