"""Random numbers: one generator from `seed`, children spawned before work is sent out."""

from __future__ import annotations

import numpy as np

from dxa_causal._core.errors import OptionError

Seed = int | np.random.Generator | None


def generator(seed: Seed) -> np.random.Generator:
    """Return `seed` itself if it is a generator, else ``numpy.random.default_rng(seed)``."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise OptionError(f"seed={seed!r} must be a whole number that is not negative, or a Generator") from None


def spawn(seed: Seed, n: int) -> list[np.random.Generator]:
    """Return `n` independent generators that do not depend on how work is split.

    Examples
    --------
    >>> a, b = spawn(1, 2)
    >>> bool(a.random() == spawn(1, 2)[0].random())
    True
    """
    return generator(seed).spawn(n)
