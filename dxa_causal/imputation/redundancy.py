"""Columns that others determine, found before the first draw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dxa_causal._core.warnings import ImputationWarning, warn
from dxa_causal.imputation.variables import Variable

FloatArray = npt.NDArray[np.float64]

# Share of variance of a column that others leave unexplained, below which they are taken to determine it.
UNEXPLAINED = 1e-3


def determined_columns(x: FloatArray) -> dict[int, list[int]]:
    """Columns that earlier columns explain almost wholly -> those they are made of.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> a, b = rng.normal(size=(2, 50))
    >>> determined_columns(np.column_stack([a, b, a + b, 2.2 * a]))
    {2: [0, 1], 3: [0]}
    """
    sd = x.std(axis=0)
    varies = np.flatnonzero(sd > 1e-12 * np.maximum(np.abs(x).max(axis=0, initial=0.0), 1e-300))
    if varies.size == 0:
        return {}
    z = (x[:, varies] - x[:, varies].mean(axis=0)) / sd[varies]
    correlation = z.T @ z / len(z)
    found: dict[int, list[int]] = {}
    basis: list[int] = []
    for j in range(len(varies)):
        if basis:
            r = correlation[basis, j]
            slope = np.linalg.solve(correlation[np.ix_(basis, basis)], r)
            if 1.0 - slope @ r < UNEXPLAINED:
                found[int(varies[j])] = [int(varies[basis[k]]) for k in np.flatnonzero(np.abs(slope) > 0.02)]
                continue
        basis.append(j)
    return found


def redundant_columns(
    design: FloatArray, place: Mapping[str, slice], variables: Mapping[str, Variable], computed: set[str]
) -> set[int]:
    """Columns of the design that take no part as predictors, said in a warning unless they are computed ones.

    Judged on rows without a missing value where there are enough of them, otherwise on pairs of columns. The more
    complete column of a set stands.
    """
    names = sorted(variables, key=lambda name: (name in computed, variables[name].n_missing))
    order = [j for name in names for j in range(place[name].start, place[name].stop)]
    owner = {j: name for name in names for j in range(place[name].start, place[name].stop)}
    complete = ~np.column_stack([variables[name].missing for name in names]).any(axis=1)
    found: dict[int, list[int]] = {}
    if complete.sum() >= 3 * len(order) + 20:
        order = [j for j in order if not _rare(design[complete, j])]
        local = determined_columns(design[complete][:, order])
        found = {order[j]: [order[k] for k in made_of] for j, made_of in local.items()}
    else:
        for a, j in enumerate(order):
            for k in order[:a]:
                both = ~(variables[owner[j]].missing | variables[owner[k]].missing)
                if k in found or both.sum() < 30 or _rare(design[both, j]) or _rare(design[both, k]):
                    continue
                if determined_columns(design[:, [k, j]][both]):
                    found[j] = [k]
                    break
    said: dict[str, dict[str, None]] = {}
    for j, made_of in found.items():
        others = dict.fromkeys(owner[k] for k in made_of if owner[k] != owner[j])
        if owner[j] not in computed and others:
            said.setdefault(owner[j], {}).update(others)
    for name, others in said.items():
        warn(
            f"column {name!r} is determined by {', '.join(repr(o) for o in others)}: it is left out of the imputation "
            "models of other columns. If it is computed from them, say so with derived={...}, which keeps them "
            "consistent; otherwise leave it out",
            ImputationWarning,
        )
    return set(found)


def _rare(x: FloatArray) -> bool:
    """Whether an indicator is one, or zero, in so few rows that it may agree with another by chance."""
    ones = float(x.sum())
    return bool(((x == 0) | (x == 1)).all()) and min(ones, len(x) - ones) < 5
