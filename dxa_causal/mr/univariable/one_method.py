"""The result of one method called by its own function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dxa_causal._core.errors import OptionError
from dxa_causal._core.rng import Seed, generator
from dxa_causal.mr.estimator import Estimator, Row, Settings
from dxa_causal.mr.harmonised import Harmonised

if TYPE_CHECKING:
    from dxa_causal.mr.estimates import MREstimates
    from dxa_causal.mr.estimators import Method


def one_method(
    h: Harmonised,
    method: Method,
    estimator: Estimator,
    options: Mapping[str, Any],
    *,
    call: str,
    seed: Seed = None,
    n_draws: int = 1000,
) -> MREstimates:
    """Rows of one estimator, or its reason, as a result."""
    from dxa_causal.mr.estimates import collect

    if n_draws < 2:
        raise OptionError(f"n_draws={n_draws!r} must be at least 2; 1000 is usual")
    reason = estimator.reason(h)
    rows = [Row("effect")]
    if not reason:
        rows = estimator.rows(h, Settings(generator(seed), n_draws, "mendelianrandomization"))
    shown = "".join(f", {name}={value!r}" for name, value in options.items())
    return collect(h, [(method, reason, row) for row in rows], call=f"mr.{call}(harmonised{shown})", seed=seed)
