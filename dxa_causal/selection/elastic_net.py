"""Features with a coefficient in a cross-validated lasso or elastic net."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option, check_whole_number
from dxa_causal.selection.features import FloatArray, check_folds, read_outcome
from dxa_causal.selection.paths import logistic_path, logistic_penalties, standardise
from dxa_causal.selection.selector import Selector

OutcomeKind = Literal["auto", "linear", "logistic", "cox"]
PenaltyRule = Literal["min", "1se"]


class ElasticNetSelector(Selector):
    r"""Keep the features with a coefficient that is not zero in an elastic net.

    The penalty is chosen by cross-validation within the rows given, so inside
    a Pipeline it is chosen anew in every fold.

    Parameters
    ----------
    l1_ratio : float
        1 is the lasso; must be above 0, or nothing would be left out.
    kind : {"auto", "linear", "logistic", "cox"}
        Model of the outcome; by the type of `y` when "auto".
    cv : int
        Folds.
    rule : {"min", "1se"}
        Penalty of smallest cross-validated deviance, or the largest within
        one standard error of it.
    seed : int

    Attributes
    ----------
    coef_ : (p,) ndarray
        Per standard deviation of the feature.
    penalty_ : float
        Chosen penalty, as glmnet's lambda on standardised features.
    kind_ : str

    Notes
    -----
    Minimises :math:`-\ell(b)/n + \lambda(\alpha|b|_1 + \tfrac{1-\alpha}{2}|b|_2^2)` with features of variance one
    [1]_; a lasso tuned for prediction keeps many noise features: see :class:`StabilitySelection` for error control.

    References
    ----------
    .. [1] Friedman J, Hastie T, Tibshirani R (2010). Regularization paths for generalized linear models via coordinate
       descent. Journal of Statistical Software 33(1). doi:10.18637/jss.v033.i01

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from dxa_causal.selection import ElasticNetSelector
    >>> rng = np.random.default_rng(1)
    >>> X = pd.DataFrame(rng.normal(size=(100, 4)), columns=list("abcd"))
    >>> y = 2 * X["a"] - X["d"] + rng.normal(size=100)
    >>> ElasticNetSelector(rule="1se").fit(X, y).get_feature_names_out().tolist()
    ['a', 'd']
    """

    def __init__(
        self,
        l1_ratio: float = 1.0,
        *,
        kind: OutcomeKind = "auto",
        cv: int = 10,
        rule: PenaltyRule = "min",
        seed: int = 0,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.kind = kind
        self.cv = cv
        self.rule = rule
        self.seed = seed

    def _select(self, x: FloatArray, y: Any) -> tuple[npt.NDArray[np.bool_], FloatArray]:
        check_option("kind", self.kind, OutcomeKind)
        check_option("rule", self.rule, PenaltyRule)
        if not (isinstance(self.l1_ratio, int | float) and 0 < self.l1_ratio <= 1):
            raise OptionError(f"l1_ratio={self.l1_ratio!r} must lie between 0 (exclusive) and 1: a ridge drops nothing")
        check_folds(self.cv, len(x))
        check_whole_number("seed", self.seed, 0)
        values, self.kind_ = read_outcome(y, len(x), self.kind)
        z = standardise(x)
        match self.kind_:
            case "linear":
                self.coef_, self.penalty_ = self._linear(z, values)
            case "logistic":
                self.coef_, self.penalty_ = self._logistic(z, values)
            case _:
                self.coef_, self.penalty_ = self._cox(z, values)
        return self.coef_ != 0, np.abs(self.coef_)

    def _linear(self, z: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
        from sklearn.linear_model import ElasticNetCV, enet_path
        from sklearn.model_selection import KFold

        folds = KFold(self.cv, shuffle=True, random_state=self.seed)
        model = ElasticNetCV(l1_ratio=self.l1_ratio, cv=folds, tol=1e-6, max_iter=10_000).fit(z, y)
        penalty = self._chosen(model.alphas_, model.mse_path_)
        _, path, _ = enet_path(z, y - y.mean(), l1_ratio=self.l1_ratio, alphas=[penalty], tol=1e-8, max_iter=10_000)
        return path[:, 0], penalty

    def _logistic(self, z: FloatArray, classes: npt.NDArray[np.int64]) -> tuple[FloatArray, float]:
        from sklearn.model_selection import StratifiedKFold

        fewest, y = int(np.bincount(classes).min()), classes.astype(np.float64)
        if fewest < self.cv:
            raise OptionError(f"cv={self.cv} folds need as many rows of each class; the smaller has {fewest}")
        penalties = logistic_penalties(z, y, self.l1_ratio)
        loss = np.empty((penalties.size, self.cv))
        splits = StratifiedKFold(self.cv, shuffle=True, random_state=self.seed).split(z, classes)
        for fold, (train, test) in enumerate(splits):
            path, intercepts = logistic_path(z[train], y[train], penalties, self.l1_ratio)
            predictor = z[test] @ path.T + intercepts
            loss[:, fold] = (np.logaddexp(0, predictor) - y[test, None] * predictor).mean(axis=0)
        penalty = self._chosen(penalties, loss)
        path, _ = logistic_path(z, y, penalties[penalties >= penalty], self.l1_ratio)
        return path[-1], penalty

    def _cox(self, z: FloatArray, y: Any) -> tuple[FloatArray, float]:
        from dxa_causal.survival import CoxNet

        model = CoxNet(l1_ratio=self.l1_ratio, cv=self.cv, selection=self.rule, seed=self.seed).fit(z, y)
        return np.array(model.coef_), float(model.lambda_)

    def _chosen(self, penalties: FloatArray, loss: FloatArray) -> float:
        """Penalty by the rule; `loss` is penalties x folds."""
        mean, error = loss.mean(axis=1), loss.std(axis=1, ddof=1) / np.sqrt(loss.shape[1])
        k = int(mean.argmin())
        if self.rule == "min":
            return float(penalties[k])
        return float(penalties[mean <= mean[k] + error[k]].max())
