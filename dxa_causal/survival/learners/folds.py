"""Parts of the rows for cross-validation, each with its share of the events."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._core.rng import Seed, generator
from dxa_causal.survival.learners.outcome import TrainingOutcome

IntArray = npt.NDArray[np.int64]
Folds = list[tuple[IntArray, IntArray]]


def make_folds(cv: Any, x: Any, outcome: TrainingOutcome, seed: Seed) -> Folds:
    """Rows to learn from and rows left out, one pair a fold.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, test)
        A number of folds is drawn with the events spread evenly.
    x : (n, p) array or frame
    outcome : TrainingOutcome
    seed : int or Generator, optional
    """
    n, n_events = outcome.event.size, int(outcome.event.sum())
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        if not 2 <= cv <= n_events:
            raise OptionError(f"cv={cv} must be a number of folds from 2 to the number of events ({n_events})")
        rng = generator(seed)
        fold = np.empty(n, dtype=np.int64)
        for value in (0, 1):
            members = np.flatnonzero(outcome.event == value)
            fold[rng.permutation(members)] = np.arange(members.size) % cv
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(cv)]
    try:
        splits = cv.split(x, outcome.event) if hasattr(cv, "split") else cv
        folds: Folds = [(np.arange(n)[train], np.arange(n)[test]) for train, test in splits]
    except (TypeError, ValueError, IndexError) as error:
        raise OptionError(
            f"cv={cv!r} must be a number of folds, a splitter or pairs of row numbers ({error})"
        ) from None
    for k, (train, test) in enumerate(folds, start=1):
        if not outcome.event[train].any() or test.size == 0:
            raise OptionError(f"cv: fold {k} of {len(folds)} leaves no event to learn from, or no row out")
    return folds
