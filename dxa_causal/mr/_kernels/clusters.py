"""Mixture of ratio estimates: clusters of one effect each, a null cluster and a junk cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_DF = 4.0  # of the junk cluster's t distribution
_SHARES = np.arange(0.05, 0.41, 0.05)  # null and junk shares that starts are drawn from
_RANDOM_STARTS = 10
_GROWN_STARTS = 4
_MAX_ITERATIONS = 5000
_TOLERANCE, _POLISHED = 1e-4, 1e-8  # steps of the log-likelihood at which a start and the best one rest
_WORTH = 0.1  # how far below the best so far a start may rest and still be followed


@dataclass(frozen=True, slots=True)
class Ratios:
    """Ratio estimates (m,), their standard errors, and their log densities in the null and the junk cluster."""

    ratio: FloatArray
    se: FloatArray
    constant: FloatArray
    null: FloatArray
    junk: FloatArray
    junk_scale: float


@dataclass(frozen=True, slots=True)
class Mixture:
    """Means (k,), shares (k + 2,; null and junk last), probabilities (m, k + 2) and log-likelihood."""

    means: FloatArray
    weights: FloatArray
    probabilities: FloatArray
    log_likelihood: float

    def bic(self) -> float:
        """Bayesian information criterion: k means and k + 1 free shares."""
        return -2.0 * self.log_likelihood + (2 * self.means.size + 1) * float(np.log(self.probabilities.shape[0]))


def prepare(ratio: FloatArray, se: FloatArray) -> Ratios:
    """Densities that do not change with the clusters; the junk cluster is as wide as the ratios' range and more."""
    scale = float(np.ptp(ratio) + se[np.argmax(np.abs(ratio) + 2.0 * se)])
    constant = -0.5 * np.log(2.0 * np.pi) - np.log(se)
    peak = np.log(3.0 / 8.0) - np.log(scale)  # density of t with 4 df at zero, over the scale
    junk = peak - 0.5 * (_DF + 1.0) * np.log1p((ratio / scale) ** 2 / _DF)
    return Ratios(ratio, se, constant, constant - 0.5 * (ratio / se) ** 2, junk, scale)


def fit(data: Ratios, k: int, smaller: Mixture | None, rng: np.random.Generator) -> Mixture:
    """Mixture with k clusters of highest likelihood over several starts; `smaller` is the one with k - 1."""
    if k == 0:
        shares = np.array([[0.5, 0.5], [0.9, 0.1], [0.1, 0.9]])
        return _best(data, np.empty((3, 0)), shares)
    means = [_kmeans(data.ratio, np.quantile(data.ratio, (np.arange(k) + 0.5) / k))]
    for start in range(_RANDOM_STARTS):
        centres = rng.choice(data.ratio, k, replace=False)
        means.append(_kmeans(data.ratio, centres) if start % 2 else centres)
    null_junk = rng.choice(_SHARES, (len(means), 2))
    null_junk[0] = _apparent_shares(data)
    free = (1.0 - null_junk.sum(axis=1, keepdims=True)) / k
    centres, weights = np.array(means), np.hstack([np.repeat(free, k, axis=1), null_junk])
    if smaller is not None:
        grown = _grown(data, smaller)
        centres, weights = np.vstack([centres, grown[0]]), np.vstack([weights, grown[1]])
    return _best(data, centres, weights)


def _apparent_shares(data: Ratios) -> FloatArray:
    """Shares of ratios that could be null, and that lie far from the median, cut so that clusters get a fifth."""
    null = float(np.mean(np.abs(data.ratio / data.se) < 1.96))
    junk = float(np.mean(np.abs(data.ratio - np.median(data.ratio)) / data.se > 1.96))
    shares = np.maximum([null, junk], 1.0 / data.ratio.size)
    return np.asarray(shares * min(1.0, 0.8 / shares.sum()))


def _grown(data: Ratios, smaller: Mixture) -> tuple[FloatArray, FloatArray]:
    """Starts with one cluster more, where the likelihood would rise fastest."""
    fitted = _terms(data, smaller.means[None], smaller.weights[None])[0]
    density = np.logaddexp.reduce(fitted, axis=1)
    candidate = data.constant - 0.5 * ((data.ratio - data.ratio[:, None]) / data.se) ** 2  # (place, variant)
    gain = np.exp(candidate - density).mean(axis=1)
    chosen: list[int] = []
    for place in np.argsort(-gain):
        if all(abs(data.ratio[place] - data.ratio[c]) > 2.0 * data.se[c] for c in chosen):
            chosen.append(int(place))
        if len(chosen) == _GROWN_STARTS:
            break
    places, share = data.ratio[chosen], 1.0 / data.ratio.size
    means = np.column_stack([places, np.tile(smaller.means, (places.size, 1))])
    weights = np.tile(np.concatenate([[share], smaller.weights * (1.0 - share)]), (places.size, 1))
    return means, weights


def shrink(data: Ratios, larger: Mixture, found: Mixture) -> Mixture:
    """The better of `found` and what comes of leaving out each cluster in turn from the mixture with one more."""
    k = found.means.size
    left = np.array([np.delete(np.arange(k + 3), out) for out in range(k + 1)])  # null and junk stay
    weights = larger.weights[left] + np.finfo(float).tiny  # all others may be empty
    means = larger.means[left[:, :k]] if k else np.empty((1, 0))
    means, weights, likelihood = _climb(data, means, weights / weights.sum(axis=1, keepdims=True), _TOLERANCE)
    if likelihood.max() < found.log_likelihood - _WORTH:
        return found
    other = _polish(data, means, weights, likelihood)
    return other if other.log_likelihood > found.log_likelihood else found


def _kmeans(ratio: FloatArray, centres: FloatArray) -> FloatArray:
    """Lloyd's iterations on the line; an empty cluster keeps its centre."""
    for _ in range(50):
        nearest = np.argmin(np.abs(ratio[:, None] - centres), axis=1)
        count = np.bincount(nearest, minlength=centres.size)
        total = np.bincount(nearest, weights=ratio, minlength=centres.size)
        moved = np.where(count > 0, total / np.maximum(count, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _best(data: Ratios, means: FloatArray, weights: FloatArray) -> Mixture:
    return _polish(data, *_climb(data, means, weights, _TOLERANCE))


def _polish(data: Ratios, means: FloatArray, weights: FloatArray, likelihood: FloatArray) -> Mixture:
    """Climb on from the two best, and put the clusters in order."""
    top = np.argsort(-likelihood)[:2]
    means, weights, likelihood = _climb(data, means[top], weights[top], _POLISHED)
    at = int(np.argmax(likelihood))
    order = np.argsort(means[at])
    mean, weight = means[at][order], np.concatenate([weights[at][order], weights[at][-2:]])
    terms = _terms(data, mean[None], weight[None])[0]
    density = np.logaddexp.reduce(terms, axis=1)
    return Mixture(mean, weight, np.exp(terms - density[:, None]), float(density.sum()))


def _climb(
    data: Ratios, means: FloatArray, weights: FloatArray, tolerance: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Expectation and maximisation from every start (row) at once, each until its likelihood stands still."""
    means, weights, k = means.copy(), weights.copy(), means.shape[1]
    likelihood = np.full(len(means), -np.inf)
    active = np.arange(len(means))
    precision = data.se**-2.0
    for _ in range(_MAX_ITERATIONS):
        terms = _terms(data, means[active], weights[active])
        top = terms.max(axis=2, keepdims=True)
        share = np.exp(terms - top)
        total = share.sum(axis=2, keepdims=True)
        share /= total
        new = (top + np.log(total)).sum(axis=(1, 2))
        going = new - likelihood[active] > tolerance
        likelihood[active] = new
        if not going.any():
            break
        active, share = active[going], share[going]
        weights[active] = share.mean(axis=1)
        clusters = share[:, :, :k]
        down = np.einsum("smk,m->sk", clusters, precision)
        up = np.einsum("smk,m->sk", clusters, precision * data.ratio)
        means[active] = np.where(down > 0, up / np.where(down > 0, down, 1.0), means[active])
    return means, weights, likelihood


def _terms(data: Ratios, means: FloatArray, weights: FloatArray) -> FloatArray:
    """Log of share times density: (start, variant, cluster)."""
    start, k = means.shape
    terms = np.empty((start, data.ratio.size, k + 2))
    distance = (data.ratio[:, None] - means[:, None, :]) / data.se[:, None]
    terms[:, :, :k] = data.constant[:, None] - 0.5 * distance**2
    terms[:, :, k], terms[:, :, k + 1] = data.null, data.junk
    with np.errstate(divide="ignore"):
        terms += np.log(weights)[:, None, :]
    return terms
