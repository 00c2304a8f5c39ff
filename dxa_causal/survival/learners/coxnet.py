"""Cox's model with an elastic-net penalty, its strength chosen by cross-validation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.exceptions import NotFittedError

from dxa_causal._core.errors import OptionError, PredictorError
from dxa_causal._core.options import check_option
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed
from dxa_causal._core.warnings import ConvergenceWarning, warn
from dxa_causal.survival.learners.baseline import breslow_hazard
from dxa_causal.survival.learners.features import FloatArray
from dxa_causal.survival.learners.folds import make_folds
from dxa_causal.survival.learners.learner import SurvivalLearner, with_last
from dxa_causal.survival.learners.penalised_path import PenalisedProblem, left_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LambdaChoice = Literal["min", "1se"]
LambdaCriterion = Literal["deviance", "concordance"]


class CoxNet(SurvivalLearner):
    r"""Elastic-net Cox regression with glmnet's path, scaling and choice of lambda.

    For prediction and screening. No standard errors, intervals or p-values
    are offered: after selection by a penalty they would not mean what they
    say. For inference fit :func:`cox` to covariates chosen beforehand.

    Parameters
    ----------
    l1_ratio : float
        Share of the absolute penalty, glmnet's alpha: 1 lasso, 0 ridge.
    lambdas : (l,) array_like, optional
        Strengths of the penalty; glmnet's path when omitted.
    n_lambdas : int
    lambda_ratio : float, optional
        Last lambda of the path / first; 1e-4, or 0.01 with more features than
        rows, when omitted.
    cv : int, splitter, iterable of (train, test), or None
        Folds; a number is drawn with the events spread evenly. None: no
        choice is made, unless there is one lambda.
    selection : {"min", "1se"}
        The lambda of the best cross-validated criterion, or the largest within one
        standard error of it (fewer features).
    criterion : {"deviance", "concordance"}
        Deviance after Verweij and van Houwelingen, as cv.glmnet; or Harrell's
        concordance of the rows left out.
    penalty_factor : (p,) array_like, optional
        Multiplies lambda for each feature, rescaled to mean one; 0 is not
        penalised, infinite left out.
    standardize : bool
        Divide features by their standard deviation (1/n) before the penalty;
        coefficients are reported on the original scale either way.
    tolerance : float
        Change of a standardised coefficient that ends the iteration. Beyond
        100 coefficients that are not zero 5e-4 is enough: there further
        digits cost most and serve prediction least.
    max_iter : int
        Quadratic approximations for each lambda.
    seed : int or Generator, optional
        Draws the folds.
    n_jobs : int, optional

    Attributes
    ----------
    coef_ : (p,) ndarray
        At `lambda_`, log hazard ratios per unit of the feature.
    lambda_, lambda_min_, lambda_1se_ : float
        The lambda chosen, and both candidates.
    lambdas_ : (l,) ndarray
        Decreasing.
    coef_path_ : (l, p) ndarray
    deviance_ratio_ : (l,) ndarray
        Share of `null_deviance_` explained.
    null_deviance_ : float
    cv_results_ : DataFrame
        lambda, estimate (deviance per event, or concordance), std_error,
        n_nonzero.
    n_nonzero_ : (l,) ndarray of int64

    See Also
    --------
    cox : Cox's model with standard errors, and a ridge.

    Notes
    -----
    Minimises :math:`-\frac1n \log PL(\beta) + \lambda \sum_j f_j (\alpha |\beta_j| + \tfrac{1-\alpha}{2} \beta_j^2)`
    with Breslow's ties [1]_, for features of standard deviation one. The
    cross-validated deviance of a fold is the deviance of all rows minus that
    of the rows learnt from, at the coefficients learnt, per event left out
    [2]_. Survival curves use Breslow's baseline at `coef_`.

    glmnet moves censored times behind events at the same time by 2e-14, which
    is lost in times beyond about 128: there it may leave a row censored at the
    time of an event out of the risk set. Here it is always in it.

    References
    ----------
    .. [1] Simon N, Friedman J, Hastie T, Tibshirani R (2011). Regularization paths for Cox's proportional hazards model
       via coordinate descent. Journal of Statistical Software 39(5):1-13. doi:10.18637/jss.v039.i05
    .. [2] Verweij PJM, van Houwelingen HC (1993). Cross-validation in survival analysis. Statistics in Medicine
       12:2305-2314. doi:10.1002/sim.4780122407

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 70 and grip_kg > 0")
    >>> X, y = cohort[["age", "grip_kg"]], dc.survival.survival_outcome("Surv(time, died)", cohort)
    >>> est = dc.survival.CoxNet(l1_ratio=0.5, cv=5, seed=1).fit(X, y)
    >>> est.tidy()["term"].tolist(), round(est.score(X, y), 1)
    (['age', 'grip_kg'], 0.7)
    """

    coef_: FloatArray
    lambda_: float
    lambdas_: FloatArray
    coef_path_: FloatArray
    cv_results_: pd.DataFrame

    def __init__(
        self,
        l1_ratio: float = 0.5,
        *,
        lambdas: npt.ArrayLike | None = None,
        n_lambdas: int = 100,
        lambda_ratio: float | None = None,
        cv: Any = 10,
        selection: LambdaChoice = "min",
        criterion: LambdaCriterion = "deviance",
        penalty_factor: npt.ArrayLike | None = None,
        standardize: bool = True,
        tolerance: float = 1e-10,
        max_iter: int = 100,
        seed: Seed = None,
        n_jobs: int | None = None,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.lambdas = lambdas
        self.n_lambdas = n_lambdas
        self.lambda_ratio = lambda_ratio
        self.cv = cv
        self.selection = selection
        self.criterion = criterion
        self.penalty_factor = penalty_factor
        self.standardize = standardize
        self.tolerance = tolerance
        self.max_iter = max_iter
        self.seed = seed
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> CoxNet:
        """Fit the path and choose a lambda.

        Parameters
        ----------
        X : (n, p) frame or array
            Numbers without missing values.
        y : (n,) structured ndarray
            From :func:`survival_outcome`; entry times are used.
        sample_weight : (n,) array_like, optional
            Case weights.

        Returns
        -------
        CoxNet

        Warns
        -----
        ConvergenceWarning
            Some lambdas did not converge.
        """
        self._check_options()
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)  # of an earlier fit
        values, outcome = self._training(X, y, delayed=True)
        weight = _weights(sample_weight, len(values))
        factor = self._factor(values.shape[1])
        given = self._given_lambdas()
        problem = PenalisedProblem(
            values=values,
            outcome=outcome,
            weight=weight,
            factor=factor,
            l1_ratio=self.l1_ratio,
            standardize=self.standardize,
            n_lambdas=self.n_lambdas,
            lambda_ratio=self.lambda_ratio,
            tolerance=self.tolerance,
            max_iter=self.max_iter,
        )
        path = problem.path(given)
        self.lambdas_ = path.lambdas
        self.coef_path_ = path.coefficients
        self.n_nonzero_ = (path.coefficients != 0).sum(axis=1)
        self.deviance_ratio_ = path.deviance_ratio
        self.null_deviance_ = path.deviance_null
        if not path.converged.all():
            first = path.lambdas[~path.converged][0]
            warn(
                f"{int((~path.converged).sum())} of {path.lambdas.size} lambdas did not converge in {self.max_iter} "
                f"iterations, the largest {first:g}; raise lambda_ratio (a shorter path) or max_iter",
                ConvergenceWarning,
            )
        self._scale = problem.scale
        if path.lambdas.size == 1:
            self._choose(0)
        elif self.cv is not None:
            self._cross_validate(problem)
        self.unique_times_ = with_last(outcome.time[outcome.event == 1], float(outcome.time.max()))
        if hasattr(self, "lambda_"):
            risk = values @ self.coef_
            self._centre = float(risk.mean())
            self._hazard = breslow_hazard(risk - self._centre, outcome, weight, self.unique_times_)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Linear predictor at `lambda_`; higher means an earlier event.

        Parameters
        ----------
        X : (n, p) frame or array

        Returns
        -------
        (n,) ndarray
            Not centred: differences between rows are log hazard ratios.
        """
        return np.asarray(self._features(X) @ self._chosen())

    def tidy(self) -> pd.DataFrame:
        """One row per feature with a coefficient that is not zero: term, estimate (log hazard ratio), largest first."""
        coef = self._chosen()
        table = pd.DataFrame({"term": self._names(), "estimate": coef})[coef != 0]
        return table.sort_values("estimate", key=np.abs, ascending=False, ignore_index=True)

    def plot_path(self, ax: Axes | None = None) -> Axes:
        """Draw coefficients (per standard deviation where standardised) against lambda.

        Parameters
        ----------
        ax : Axes, optional

        Returns
        -------
        Axes
        """
        from dxa_causal.plots.elastic_net import coefficient_path

        self._refuse_unfitted()
        chosen = getattr(self, "lambda_", None)
        scaled = self.coef_path_ * self._scale
        unit = "standard deviation" if self.standardize else "unit"
        label = f"Log hazard ratio per {unit}"
        return coefficient_path(self.lambdas_, scaled, names=self._names(), chosen=chosen, value_label=label, ax=ax)

    def plot_cv(self, ax: Axes | None = None) -> Axes:
        """Draw the cross-validated criterion against lambda, both candidates marked.

        Parameters
        ----------
        ax : Axes, optional

        Returns
        -------
        Axes
        """
        from dxa_causal.plots.elastic_net import cross_validation_curve

        self._refuse_unfitted()
        if not hasattr(self, "cv_results_"):
            raise OptionError("there is no cross-validation to draw; fit with cv= and several lambdas")
        label = "Partial likelihood deviance per event" if self.criterion == "deviance" else "Concordance"
        marks = {"min": self.lambda_min_, "1se": self.lambda_1se_}
        return cross_validation_curve(self.cv_results_, marks=marks, value_label=label, ax=ax)

    def _check_options(self) -> None:
        check_option("selection", self.selection, LambdaChoice)
        check_option("criterion", self.criterion, LambdaCriterion)
        for name in ("l1_ratio", "n_lambdas", "max_iter", "tolerance"):
            if not isinstance(getattr(self, name), int | float | np.number):
                raise OptionError(f"{name}={getattr(self, name)!r} must be a number")
        if not 0.0 <= self.l1_ratio <= 1.0:
            raise OptionError(f"l1_ratio={self.l1_ratio!r} must lie between 0 (ridge) and 1 (lasso)")
        if self.lambda_ratio is not None and not 0.0 < self.lambda_ratio < 1.0:
            raise OptionError(f"lambda_ratio={self.lambda_ratio!r} must lie between 0 and 1, for instance 0.01")
        if self.n_lambdas < 1 or self.max_iter < 1 or not self.tolerance > 0:
            raise OptionError(
                f"n_lambdas={self.n_lambdas!r}, max_iter={self.max_iter!r} and tolerance={self.tolerance!r} must be "
                "positive"
            )

    def _given_lambdas(self) -> FloatArray | None:
        if self.lambdas is None:
            return None
        given = _option_numbers("lambdas", self.lambdas)
        if given.ndim != 1 or given.size == 0 or not (np.isfinite(given) & (given >= 0)).all():
            raise OptionError(f"lambdas={self.lambdas!r} must be finite numbers that are not negative")
        return np.sort(given)[::-1].copy()

    def _factor(self, p: int) -> FloatArray:
        if self.penalty_factor is None:
            return np.ones(p)
        factor = _option_numbers("penalty_factor", self.penalty_factor)
        if factor.shape != (p,) or np.isnan(factor).any() or (factor < 0).any():
            raise OptionError(f"penalty_factor must hold {p} numbers that are not negative, one per column of X")
        inside = np.isfinite(factor)
        if not (factor[inside] > 0).any():
            raise OptionError("penalty_factor leaves no feature to penalise; use survival.cox without a penalty")
        # as glmnet: a feature left out counts one in the mean
        return factor * (p / np.where(inside, factor, 1.0).sum())

    def _cross_validate(self, problem: PenalisedProblem) -> None:
        outcome, weight = problem.outcome, problem.weight
        folds = make_folds(self.cv, problem.values, outcome, self.seed)
        judge = partial(left_out, problem, self.lambdas_, self.criterion)
        found = list(parallel_map(judge, folds, n_jobs=self.n_jobs))
        if self.criterion == "deviance":
            share = np.array([weight[test][outcome.event[test] == 1].sum() for _, test in folds])
        else:
            share = np.array([weight[test].sum() for _, test in folds])
        used = share > 0  # a fold without events says nothing of the deviance
        by_fold, share = np.array(found)[used], share[used]
        if used.sum() < 2:
            raise OptionError(f"cv: only {int(used.sum())} of {used.size} folds leave events out; two are needed")
        mean = share @ by_fold / share.sum()
        error = np.sqrt(share @ (by_fold - mean) ** 2 / share.sum() / (used.sum() - 1))
        loss = mean if self.criterion == "deviance" else -mean
        best = int(np.argmin(loss))  # the first: the largest lambda
        within = int(np.flatnonzero(loss <= loss[best] + error[best])[0])
        self.cv_results_ = pd.DataFrame(
            {"lambda": self.lambdas_, "estimate": mean, "std_error": error, "n_nonzero": self.n_nonzero_}
        )
        self.lambda_min_, self.lambda_1se_ = float(self.lambdas_[best]), float(self.lambdas_[within])
        self._choose(best if self.selection == "min" else within)

    def _choose(self, k: int) -> None:
        self.lambda_ = float(self.lambdas_[k])
        self.coef_ = self.coef_path_[k].copy()

    def _refuse_unfitted(self) -> None:
        if not hasattr(self, "unique_times_"):
            raise NotFittedError("this CoxNet has not been fitted; call fit(X, y) first")

    def _chosen(self) -> FloatArray:
        self._refuse_unfitted()
        if not hasattr(self, "lambda_"):
            raise OptionError(
                f"no lambda has been chosen: cv=None leaves {self.lambdas_.size} of them (see coef_path_); give one, "
                "lambdas=[0.05], or folds, cv=10"
            )
        return self.coef_

    def _survival(self, values: FloatArray) -> FloatArray:
        relative = np.exp(values @ self._chosen() - self._centre)
        return np.exp(-np.outer(relative, self._hazard))


def _option_numbers(name: str, given: npt.ArrayLike) -> FloatArray:
    try:
        return np.atleast_1d(np.array(given, dtype=np.float64))
    except (TypeError, ValueError):
        raise OptionError(f"{name}={given!r} must be numbers") from None


def _weights(given: npt.ArrayLike | None, n: int) -> FloatArray:
    if given is None:
        return np.ones(n)
    weight = np.array(given, dtype=np.float64)
    if weight.shape != (n,) or not (np.isfinite(weight) & (weight >= 0)).all() or not weight.any():
        raise PredictorError(f"sample_weight must hold {n} finite numbers that are not negative, and not all zero")
    return weight
