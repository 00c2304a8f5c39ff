"""The figure that fits with `predict` share: curves predicted for some rows."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._design import SurvivalOutcome, to_pandas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dxa_causal.plots.survival import CurveType

MOST = 24  # more curves cannot be told apart


class PredictedCurves(abc.ABC):
    """Mixin of fits whose ``predict(new, type=...)`` gives curves."""

    curve: ClassVar[str] = "survival"

    @abc.abstractmethod
    def _outcome(self) -> SurvivalOutcome:
        """Times of the rows analysed."""

    @abc.abstractmethod
    def predict(self, new: Any = None, *, type: str = ..., times: npt.ArrayLike | None = None) -> pd.DataFrame:
        """Predict; each fit says what."""

    def plot_prediction(
        self,
        new: Any,
        *,
        type: str | None = None,
        labels: Sequence[str] | None = None,
        time_label: str | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Curves predicted for a few people, with limits.

        Parameters
        ----------
        new : pandas or polars frame
            One row per person.
        type : str, optional
            As of `predict`: "survival", "cumulative_hazard" or "cumulative_incidence".
        labels : sequence of str, optional
            Names of the rows, for the legend.
        time_label : str, optional
            Should name the unit.
        ax : Axes, optional
        """
        from dxa_causal.plots.survival import predicted_curves

        n = len(to_pandas(new))
        if n > MOST:
            raise OptionError(f"plot_prediction draws a curve per row: {n} rows are more than {MOST}; choose a few")
        kind = type or self.curve
        outcome = self._outcome()
        return predicted_curves(
            self.predict(new, type=kind),
            type=cast("CurveType", kind),  # predict has refused any other
            labels=labels,
            origin=0.0 if outcome.entry is None else float(outcome.entry.min()),
            time_label=time_label or outcome.time_name,
            ax=ax,
        )
