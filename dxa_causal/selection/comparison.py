"""What several selectors keep, and how steadily, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import clone

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_whole_number
from dxa_causal._core.parallel import parallel_map
from dxa_causal.results import Provenance, Result
from dxa_causal.results.provenance import format_call
from dxa_causal.selection.features import FloatArray, check_folds, read_features, read_outcome, refuse_other_order
from dxa_causal.selection.selector import Selector

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class SelectorComparison(Result):
    """Features kept by several selectors, on all rows and over folds.

    Attributes
    ----------
    table : DataFrame
        term, method, score, selected, frequency.
    """

    title: ClassVar[str] = "Selectors compared"

    table: pd.DataFrame
    n_features: int
    cv: int
    nobs: int
    provenance: Provenance
    estimand: str = "features selected"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per feature and selector that keeps it on all rows or in a fold.

        Columns term, method, score, selected (on all rows), frequency (share
        of the folds whose training rows select it).
        """
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a selection")
        return self.table.copy()

    def wide(self) -> pd.DataFrame:
        """One row per feature, one column of frequencies per selector, steadiest features first."""
        wide = self.table.pivot(index="term", columns="method", values="frequency").fillna(0.0)
        wide = wide[list(dict.fromkeys(self.table["method"]))]
        order = wide.mean(axis=1).sort_values(ascending=False, kind="stable").index
        return wide.loc[order].rename_axis(columns=None)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_features, n_folds."""
        return pd.DataFrame({"nobs": [self.nobs], "n_features": [self.n_features], "n_folds": [self.cv]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Shares of folds as a grid of features and selectors; the 30 steadiest features."""
        from dxa_causal.plots.grid import shares

        return shares(self.wide().head(30), label="share of folds", ax=ax)


def compare(
    selectors: Mapping[str, Selector],
    X: Any,
    y: Any = None,
    *,
    cv: int = 5,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = False,
) -> SelectorComparison:
    """Fit selectors on all rows and on the training rows of each fold.

    Parameters
    ----------
    selectors : mapping of str to Selector
    X : (n, p) frame or array
    y : (n,) array, optional
        As for the selectors.
    cv : int
        Folds.
    seed : int
    n_jobs : int, optional
        The result does not depend on it.
    progress : bool

    Returns
    -------
    SelectorComparison

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from dxa_causal import selection
    >>> rng = np.random.default_rng(1)
    >>> X = pd.DataFrame(rng.normal(size=(100, 5)), columns=list("abcde"))
    >>> y = X["a"] + X["b"] + rng.normal(size=100)
    >>> methods = {"correlation": selection.CorrelationPruner(), "lasso": selection.ElasticNetSelector(rule="1se")}
    >>> table = selection.compare(methods, X, y, cv=3).wide()
    >>> table.loc[["a", "b"], "lasso"].tolist()
    [1.0, 1.0]
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if not isinstance(selectors, Mapping) or not selectors:
        raise OptionError("selectors is empty or no mapping; name at least one: {'lasso': ElasticNetSelector()}")
    values, names, labels = read_features(X)
    refuse_other_order(y, labels)
    n = len(values)
    for name, selector in selectors.items():
        if not isinstance(selector, Selector):
            raise OptionError(
                f"selectors[{name!r}]={selector!r} is no selector of this room, for instance ElasticNetSelector()"
            )
    check_folds(cv, n)
    check_whole_number("seed", seed, 0)
    outcome: Any = None
    classes = np.zeros(n)
    splitter: Any = KFold
    if y is not None:
        outcome = np.asarray(y)
        checked, kind = read_outcome(y, n)
        if kind != "linear":
            splitter, classes = StratifiedKFold, checked[checked.dtype.names[0]] if kind == "cox" else checked
    folds = [train for train, _ in splitter(cv, shuffle=True, random_state=seed).split(values, classes)]
    work = [(name, rows) for name in selectors for rows in (np.arange(n), *folds)]
    fit = partial(_fit, selectors=selectors, x=values, y=outcome)
    fitted = list(parallel_map(fit, work, n_jobs=n_jobs, progress=progress, description="selectors"))
    tables = []
    for place, name in enumerate(selectors):
        (support, scores), *others = fitted[place * (cv + 1) : (place + 1) * (cv + 1)]
        frequency = np.mean([kept for kept, _ in others], axis=0)
        seen = np.flatnonzero(support | (frequency > 0))
        columns = {"term": np.array(names, dtype=object)[seen], "method": name, "score": scores[seen]}
        tables.append(pd.DataFrame({**columns, "selected": support[seen], "frequency": frequency[seen]}))
    call = format_call("selection.compare", list(selectors), cv=cv, seed=seed)
    provenance = Provenance(call=call, n_rows=n, n_used=n, missing={}, seed=seed)
    return SelectorComparison(pd.concat(tables, ignore_index=True), len(names), cv, n, provenance)


def _fit(work: tuple[str, Any], *, selectors: Mapping[str, Selector], x: FloatArray, y: Any) -> tuple[Any, FloatArray]:
    name, rows = work
    fitted = clone(selectors[name]).fit(x[rows], None if y is None else y[rows])
    return fitted.support_, fitted.scores_
