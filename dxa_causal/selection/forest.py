"""Features by how much a forest's prediction of rows it has not seen suffers when they are shuffled."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.options import check_whole_number
from dxa_causal.selection.features import FloatArray, check_folds, read_outcome
from dxa_causal.selection.selector import Selector, best


class ForestImportance(Selector):
    """Keep features by their permutation importance in a random forest.

    Parameters
    ----------
    k : int, optional
        Number of features kept. None keeps those whose importance is more
        than `n_std_errors` standard errors above zero.
    n_std_errors : float
    n_trees : int
    cv : int
        Folds: a forest grown on the others is judged on each.
    n_repeats : int
        Shuffles per feature and fold.
    seed : int
    n_jobs : int, optional

    Attributes
    ----------
    std_errors_ : (p,) ndarray
        Spread over folds and shuffles, divided by the root of the number of folds.

    Notes
    -----
    Importance is the loss of R2 (numbers), of the area under the ROC curve
    (two classes) or of Harrell's concordance (survival) on held-out rows.
    Importances in the trees themselves favour features of many values [1]_;
    these do not. Correlated features share their importance: prune first.

    References
    ----------
    .. [1] Strobl C et al. (2007). Bias in random forest variable importance measures. BMC Bioinformatics 8:25.
       doi:10.1186/1471-2105-8-25

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from dxa_causal.selection import ForestImportance
    >>> rng = np.random.default_rng(1)
    >>> X = pd.DataFrame(rng.normal(size=(120, 3)), columns=["a", "b", "c"])
    >>> ForestImportance(1, n_trees=20, cv=2).fit(X, X["b"].abs()).get_feature_names_out().tolist()
    ['b']
    """

    def __init__(
        self,
        k: int | None = None,
        *,
        n_std_errors: float = 2.0,
        n_trees: int = 200,
        cv: int = 5,
        n_repeats: int = 5,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.k = k
        self.n_std_errors = n_std_errors
        self.n_trees = n_trees
        self.cv = cv
        self.n_repeats = n_repeats
        self.seed = seed
        self.n_jobs = n_jobs

    def _select(self, x: FloatArray, y: Any) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        from sklearn.inspection import permutation_importance
        from sklearn.model_selection import KFold, StratifiedKFold

        if self.k is not None:
            check_whole_number("k", self.k, 1, x.shape[1])
        values, kind = read_outcome(y, len(x))
        check_folds(self.cv, len(x))
        for argument, low in (("n_trees", 1), ("n_repeats", 1), ("seed", 0)):
            check_whole_number(argument, getattr(self, argument), low)
        classes = values[values.dtype.names[0]] if kind == "cox" else values
        splitter = KFold if kind == "linear" else StratifiedKFold
        folds = splitter(self.cv, shuffle=True, random_state=self.seed).split(x, classes)
        losses = []
        for train, test in folds:
            forest = self._forest(kind).fit(x[train], values[train])
            shuffled = permutation_importance(
                forest,
                x[test],
                values[test],
                scoring="roc_auc" if kind == "logistic" else None,
                n_repeats=self.n_repeats,
                random_state=self.seed,
                n_jobs=self.n_jobs,
            )
            losses.append(shuffled.importances_mean)
        scores = np.mean(losses, axis=0)
        self.std_errors_ = np.std(losses, axis=0, ddof=1) / np.sqrt(self.cv)
        if self.k is not None:
            return best(scores, self.k), scores
        return (scores > 0) & (scores > self.n_std_errors * self.std_errors_), scores

    def _forest(self, kind: str) -> Any:
        settings = {"n_estimators": self.n_trees, "random_state": self.seed, "n_jobs": self.n_jobs}
        if kind == "cox":
            from sksurv.ensemble import RandomSurvivalForest

            return RandomSurvivalForest(min_samples_leaf=15, max_features="sqrt", low_memory=True, **settings)
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        grow = RandomForestClassifier if kind == "logistic" else RandomForestRegressor
        return grow(min_samples_leaf=5, max_features="sqrt", **settings)
