"""Areas under ROC curves and their covariance (DeLong) from midranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._numerics.midranks import midranks

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RocAreas:
    """Areas of several scores on the same rows.

    Attributes
    ----------
    area : (k,) ndarray
    influence : (n, k) ndarray
        Of each row on each area, scaled so that the covariance of the areas is ``influence.T @ influence``.
    """

    area: FloatArray
    influence: FloatArray


def roc_areas(event: BoolArray, scores: FloatArray) -> RocAreas:
    r"""Mann-Whitney areas of the (n, k) `scores`, ties counting one half, in O(k n log n).

    The placement of a case is the share of controls with a smaller score, :math:`(R - R_1) / n_0`, with its midrank R
    among all and :math:`R_1` among cases; of a control the share of cases with a larger one. The covariance is that of
    the placements, cases and controls each divided by their number.
    """
    cases, controls = int(event.sum()), int((~event).sum())
    overall = midranks(scores)
    below = (overall[event] - midranks(scores[event])) / controls
    above = 1.0 - (overall[~event] - midranks(scores[~event])) / cases
    area = below.mean(axis=0)
    influence = np.empty_like(scores)
    influence[event] = (below - area) / np.sqrt(cases * (cases - 1.0))
    influence[~event] = (above - area) / np.sqrt(controls * (controls - 1.0))
    return RocAreas(area, influence)
