"""What all selectors share: names kept, a table of scores, and a mark that lets a model refuse a leak."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectorMixin

from dxa_causal._core.errors import PredictorError
from dxa_causal._core.selected_rows import KEY, SelectedArray, SelectedRows, row_signatures
from dxa_causal.selection.features import FloatArray, read_features, refuse_other_order
from dxa_causal.survival.learners.features import as_frame


class Selector(SelectorMixin, BaseEstimator, abc.ABC):
    """Base of the selectors: a scikit-learn transformer that hands out columns of what it is given.

    A frame comes back as a frame, an array as an array, with a mark that says
    on which rows the selection was made. The estimators of
    :mod:`dxa_causal.survival` refuse to be fitted to a part of those rows
    (:class:`LeakageError`): selection belongs into the Pipeline that is
    cross-validated, and there it is refitted in every fold.

    Attributes
    ----------
    support_ : (p,) ndarray of bool
    scores_ : (p,) ndarray
        What the selection went by; larger is better.
    feature_names_in_ : (p,) ndarray of str
    n_features_in_ : int
    """

    needs_outcome: ClassVar[bool] = True
    support_: npt.NDArray[np.bool_]
    scores_: FloatArray

    def fit(self, X: Any, y: Any = None) -> Selector:
        """Select.

        Parameters
        ----------
        X : (n, p) frame or array
            Numbers without missing values.
        y : (n,) array, optional
            Numbers, two classes, or scikit-survival's structured array of event and time.
        """
        values, names, labels = read_features(X)
        refuse_other_order(y, labels)
        self.n_features_in_ = len(names)
        self.feature_names_in_ = np.array(names, dtype=object)
        self.support_, self.scores_ = self._select(values, y)
        kept = np.flatnonzero(self.support_)
        columns = (
            tuple(np.asarray(X.columns)[kept]) if isinstance(X, pd.DataFrame) else tuple(self.get_feature_names_out())
        )
        self._rows = SelectedRows(type(self).__name__, row_signatures(values[:, kept], labels), columns)
        return self

    def transform(self, X: Any) -> Any:
        """The selected columns of `X`, by name for a frame.

        Parameters
        ----------
        X : (m, p) frame or array

        Returns
        -------
        (m, k) DataFrame or ndarray
        """
        mask = self._get_support_mask()
        if isinstance(X, np.ndarray):
            if X.shape[1] != self.n_features_in_:
                raise PredictorError(f"X has {X.shape[1]} columns; at the fit it had {self.n_features_in_}")
            picked = np.ascontiguousarray(np.asarray(X)[:, mask], dtype=np.float64).view(SelectedArray)
            picked.rows = self._rows
            return picked
        _, names, _ = read_features(X)
        wanted = self.get_feature_names_out()
        lacking = [n for n in wanted if n not in set(names)]
        if lacking:
            raise PredictorError(f"X lacks the selected column {lacking[0]!r} ({len(lacking)} in all)")
        frame, _ = as_frame(X)
        chosen = frame.iloc[:, [names.index(n) for n in wanted]].copy()
        chosen.attrs[KEY] = self._rows
        return chosen

    def table(self) -> pd.DataFrame:
        """One row per feature, best first: feature, score, selected."""
        mask = self._get_support_mask()
        table = pd.DataFrame({"feature": self.feature_names_in_, "score": self.scores_, "selected": mask})
        return table.sort_values(["selected", "score"], ascending=False, kind="stable", ignore_index=True)

    @abc.abstractmethod
    def _select(self, x: FloatArray, y: Any) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        """Which columns are kept, and the scores behind it."""

    def _get_support_mask(self) -> npt.NDArray[np.bool_]:
        if not hasattr(self, "support_"):
            raise NotFittedError(f"{type(self).__name__} has not been fitted; call fit(X, y) first")
        return self.support_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.needs_outcome
        return tags


def best(scores: FloatArray, k: int) -> npt.NDArray[np.bool_]:
    """The `k` largest scores; ties go to the earlier column."""
    mask = np.zeros(scores.size, dtype=bool)
    mask[np.argsort(-scores, kind="stable")[:k]] = True
    return mask
