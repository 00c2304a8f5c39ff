"""Which columns of a matrix are linear combinations of earlier ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# A column whose part not explained by earlier columns is smaller than this
# share of its norm counts as dependent: R's lm uses the same figure.
RANK_TOLERANCE = 1e-7


def dependent_columns(x: npt.NDArray[np.float64], groups: npt.NDArray[np.int64] | None = None) -> dict[int, list[int]]:
    """Columns that earlier columns (and a constant) determine.

    Parameters
    ----------
    x : (n, p) ndarray
    groups : (n,) ndarray of int64, optional
        Codes 0, 1, ...: a constant per group in place of one constant.

    Returns
    -------
    dict of int to list of int
        Dependent column -> the earlier columns it is made of; an empty list
        for a constant column.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.arange(5.0), np.array([1.0, 0, 2, 1, 0])
    >>> dependent_columns(np.column_stack([a, b, 2 * a - b, np.ones(5)]))
    {2: [0, 1], 3: []}
    """
    p = x.shape[1]
    if p == 0:
        return {}
    if groups is None:
        centred = x - x.mean(axis=0)
    else:
        size_of = np.bincount(groups)
        mean = np.column_stack([np.bincount(groups, x[:, j]) for j in range(p)]) / np.maximum(size_of, 1)[:, None]
        centred = x - mean[groups]
    norm = np.sqrt(np.einsum("ij,ij->j", centred, centred))
    size = np.sqrt(np.einsum("ij,ij->j", x, x))
    constant = norm <= RANK_TOLERANCE * np.maximum(size, np.finfo(np.float64).tiny)
    centred /= np.where(constant, 1.0, norm)
    if not constant.any():
        # Cheap certificate: the smallest eigenvalue bounds every residual share from below.
        smallest = np.linalg.eigvalsh(centred.T @ centred)[0]
        if smallest > 1e-10:
            return {}
    found: dict[int, list[int]] = {}
    basis: list[int] = []
    for j in range(p):
        if constant[j]:
            found[j] = []
            continue
        if basis:
            coefficient = np.linalg.lstsq(centred[:, basis], centred[:, j], rcond=None)[0]
            residual = centred[:, j] - centred[:, basis] @ coefficient
            if np.sqrt(residual @ residual) <= RANK_TOLERANCE:
                found[j] = [basis[k] for k in np.flatnonzero(np.abs(coefficient) > 1e-6)]
                continue
        basis.append(j)
    return found
