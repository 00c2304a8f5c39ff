"""Colocalisation of many traits: regional and alignment probabilities (HyPrColoc)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal.mr._kernels.bayes_factors import log_difference, log_sum

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shared:
    """Regional and alignment probability of all traits, which trait to drop by each, posterior of variants (m,)."""

    regional: float
    alignment: float
    drop_regional: int
    drop_alignment: int
    variant: FloatArray


def log_prior(p1: float, shared: float, k: int) -> float:
    """Log prior that a variant is causal for k given traits: p1 times the product over j < k of 1 - (1 - shared)^j."""
    return float(np.log(p1) + np.sum(np.log1p(-((1.0 - shared) ** np.arange(1, k)))))


def all_together(log_bf: FloatArray, p1: float, shared: float) -> Shared:
    """Compare one causal variant for all traits with the hypotheses next to it; log_bf is (m variants, k traits).

    Regional: against none, and against all traits but one. Alignment: against
    all but one, whose causal variant is another.
    """
    k = log_bf.shape[1]
    total = log_bf.sum(axis=1)
    everything = float(log_sum(total))
    without = log_sum((total[:, None] - log_bf).T)  # (k,) all but one trait, for each
    single = log_sum(log_bf.T)
    apart = log_difference(without + single, np.full(k, everything))  # the other trait at another variant
    prior_all, prior_less = log_prior(p1, shared, k), log_prior(p1, shared, k - 1)
    full = prior_all + everything
    against_regional = log_sum(np.append(prior_less + without, [0.0, full]))
    halves = np.log(0.25) if k == 2 else 0.0
    against_alignment = log_sum(np.append(halves + np.log(p1) + prior_less + apart, full))
    return Shared(
        regional=float(np.exp(full - against_regional)),
        alignment=float(np.exp(full - against_alignment)),
        drop_regional=int(np.argmax(without)),
        drop_alignment=int(np.argmax(without if k == 2 else apart)),  # of two traits each is as far from the other
        variant=np.asarray(np.exp(total - everything)),
    )
