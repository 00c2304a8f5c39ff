"""DeLong's comparison of areas under ROC curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal.results import Provenance, Result, read_only, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.delong import roc_areas
from dxa_causal.survival.evaluation.forecasts import read_binary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class DelongComparison(Result):
    """Areas under the ROC curves of scores on the same rows.

    Attributes
    ----------
    models : tuple of str
    area : (k,) ndarray
    covariance : (k, k) ndarray
        Of the areas.
    """

    title: ClassVar[str] = "Areas under ROC curves (DeLong)"

    models: tuple[str, ...]
    area: FloatArray
    covariance: FloatArray
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "P(score of an event > score of a non-event)"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per score (test: area of one half), then one per pair (test: no difference)."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for an area under a ROC curve")
        pairs = list(combinations(range(len(self.models)), 2))
        weights = np.zeros((len(pairs), len(self.models)))
        for row, (i, j) in enumerate(pairs):
            weights[row, [i, j]] = 1.0, -1.0
        weights = np.vstack([np.eye(len(self.models)), weights])
        estimate = weights @ self.area
        variance = np.einsum("ij,jk,ik->i", weights, self.covariance, weights)
        std_error = np.sqrt(np.maximum(variance, 0.0))
        columns = wald_columns(estimate, std_error, conf_level=conf_level)
        null = np.where(np.arange(len(weights)) < len(self.models), 0.5, 0.0)
        test = wald_columns(estimate - null, std_error, conf_level=conf_level)
        columns |= {"statistic": test["statistic"], "p_value": test["p_value"]}
        terms = [*self.models, *(f"{self.models[i]} - {self.models[j]}" for i, j in pairs)]
        return pd.DataFrame({"term": terms, **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """The areas with their limits."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy().head(len(self.models))
        return forest(table, effect_measure="Area under the ROC curve", reference=0.5, log=False, ax=ax)


def delong(y: Any, score_1: Any, score_2: Any = None, *, data: Any = None) -> DelongComparison:
    r"""Areas under ROC curves, their covariance and the tests of their differences.

    Parameters
    ----------
    y : str or (n,) array_like
        Binary outcome, a column of `data` or an array of 0 and 1.
    score_1, score_2 : str or (n,) array_like
        Scores that are larger where the event is more likely. `score_1` may be a mapping of names to several scores.
    data : pandas or polars frame, optional
        Where the columns are.

    Returns
    -------
    DelongComparison

    Notes
    -----
    The area is the probability that a random event has the larger score, ties counting one half. Its variance and the
    covariances come from the placement of each event among the non-events and of each non-event among the events.
    Midranks make the cost O(n log n).

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845. doi:10.2307/2531595
    Sun X, Xu W. IEEE Signal Process Lett 2014;21:1389-1393. doi:10.1109/LSP.2014.2337313

    Examples
    --------
    >>> y, one, two = [0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], [3, 1, 2, 2, 6, 4]
    >>> delong(y, one, two).tidy()[["term", "estimate"]].round(3).values.tolist()
    [['score_1', 0.889], ['score_2', 0.833], ['score_1 - score_2', 0.056]]
    """
    if isinstance(score_1, Mapping):
        if score_2 is not None:
            raise OptionError("give several scores as one mapping, or as score_1 and score_2")
        named = dict(score_1)
    else:
        given = {"score_1": score_1} if score_2 is None else {"score_1": score_1, "score_2": score_2}
        named = {v if isinstance(v, str) else k: v for k, v in given.items()}
        if len(named) < len(given):
            raise OptionError(f"score_1 and score_2 are the same column, {score_1!r}")
    found = read_binary(named, data, y)
    assert found.happened is not None
    if min(found.n_events, found.n - found.n_events) < 2:
        raise OptionError(f"DeLong's variance needs two events and two non-events, not {found.n_events} of {found.n}")
    areas = roc_areas(found.happened, found.risk)
    call = format_call("survival.delong", y if isinstance(y, str) else "y", list(found.models))
    return DelongComparison(
        models=found.models,
        area=read_only(areas.area),
        covariance=read_only(areas.influence.T @ areas.influence),
        nobs=found.n,
        n_events=found.n_events,
        provenance=replace(found.provenance, call=call),
    )
