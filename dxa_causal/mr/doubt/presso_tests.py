"""What MR-PRESSO of one and of several exposures have in common: draws in pieces, and the verdict on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dxa_causal._core.parallel import parallel_map
from dxa_causal.results import HypothesisTest

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Counts = tuple[int, npt.NDArray[np.int64]]  # draws beyond the total, and per variant
Piece = tuple[np.random.Generator, int]

_PIECE = 500  # draws per random stream: the same whatever n_jobs is


class Verdict(NamedTuple):
    """p-values of the global and the outlier tests, who is an outlier, and why there is no corrected estimate."""

    global_p: float
    outlier_p: FloatArray
    outlier: BoolArray
    reason: str


def pieces(n_draws: int) -> list[int]:
    """Sizes of the pieces that the draws are made in."""
    return [min(_PIECE, n_draws - start) for start in range(0, n_draws, _PIECE)]


def judge(
    simulate: Callable[[Piece], Counts], streams: list[np.random.Generator], n: int, n_draws: int, significance: float,
    least: int, n_jobs: int | None,
) -> Verdict:  # fmt: skip
    """Draw, and test all n variants together and each by itself (Bonferroni); `least` have to be left."""
    parts = list(parallel_map(simulate, list(zip(streams, pieces(n_draws), strict=True)), n_jobs=n_jobs))
    global_p = sum(total for total, _ in parts) / n_draws
    outlier_p = np.minimum(np.sum([own for _, own in parts], axis=0) / n_draws * n, 1.0)
    findable = n / n_draws <= significance  # one draw beyond would be too many otherwise
    outlier = (outlier_p <= significance) & (global_p < significance) & findable
    reason = ""
    if global_p >= significance:
        reason = f"the global test finds no direct effects (p = {global_p:.3g})"
    elif not outlier.any():
        reason = "no variant stands out in the outlier test"
        if not findable:
            needed = math.ceil(n / significance)
            reason += f", which could find none with n_draws={n_draws}: {n} variants need {needed}"
    elif n - outlier.sum() < least:
        reason = f"{int(outlier.sum())} of {n} variants are outliers: too few are left"
    return Verdict(global_p, outlier_p, outlier, reason)


def global_test(rss: float, p: float) -> HypothesisTest:
    """Test that no variant has a direct effect on the outcome."""
    return HypothesisTest(rss, None, p, "MR-PRESSO global test", "no variant has a direct effect")


def in_words(rss: float, p: float, n_draws: int, names: list[str], reason: str) -> str:
    """What the tests found."""
    shown = f"p = {p:.4g}" if p else f"p < {1 / n_draws:.2g}"
    found = f"outliers: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}" if names else reason
    return f"global test: RSS = {rss:.6g}, {shown}; {found}"
