"""Nested cross-validation: what is tuned is tuned anew in every fold, and judged outside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import DxaCausalError, OptionError
from dxa_causal._core.options import check_option
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed, generator
from dxa_causal._core.selected_rows import refuse_selected
from dxa_causal._design import build_design, to_pandas
from dxa_causal.results import Provenance, Result, wald_columns
from dxa_causal.survival.evaluation.performance import USUAL, Measured, Performance, Score, measured, neutral

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class NestedCrossValidation(Result):
    """Performance of models on rows that took no part in their making.

    Attributes
    ----------
    folds : DataFrame
        fold, model, metric, time, estimate.
    chosen : DataFrame
        fold, model, parameter, value: what the inner search chose.
    fold : (nobs,) ndarray of int64
        Fold in which each row was left out, from 1.
    """

    title: ClassVar[str] = "Nested cross-validation"

    folds: pd.DataFrame
    chosen: pd.DataFrame
    fold: IntArray
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "performance of the whole procedure on new rows"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per model, metric and time: the mean over folds; the standard error is their spread / sqrt(folds).

        Folds share training rows, so the standard error is only a guide; limits use the t distribution. Folds without
        a value are left out of the mean, and `reason` counts them.
        """
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for measures of performance")
        by = self.folds.groupby(["model", "metric", "time"], sort=False, dropna=False)["estimate"]
        mean, known, n_folds = by.mean(), by.count().to_numpy(), int(self.fold.max())
        error = by.std(ddof=1) / np.sqrt(np.maximum(known, 1))
        columns = wald_columns(mean, error, conf_level=conf_level, df=np.maximum(known - 1, 1))
        keep = ("estimate", "std_error", "conf_low", "conf_high")
        reason = [f"no value in {n_folds - k} of {n_folds} folds" if k < n_folds else "" for k in known]
        return mean.index.to_frame(index=False).assign(**{k: columns[k] for k in keep}, reason=reason)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_folds."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events], "n_folds": [int(self.fold.max())]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Models one below the other, by the first metric."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        first = table.iloc[0]
        at = table["time"].isna() if np.isnan(first["time"]) else table["time"] == first["time"]
        own = table[(table["metric"] == first["metric"]) & at].rename(columns={"model": "term"})
        return forest(own, effect_measure=str(first["metric"]), reference=neutral([first["metric"]]), log=False, ax=ax)


def nested_cross_validation(
    models: Mapping[str, Any],
    data: Any,
    horizons: npt.ArrayLike,
    *,
    outcome: str,
    features: Sequence[str] | None = None,
    grids: Mapping[str, Mapping[str, Any]] | None = None,
    folds: int = 5,
    inner_folds: int = 5,
    metrics: Sequence[Performance] | Mapping[str, Score] = USUAL,
    seed: Seed = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> NestedCrossValidation:
    """Judge whole procedures, tuning included, on rows left out.

    Parameters
    ----------
    models : mapping of str to callable or estimator
        A function (frame) -> model that does all its choosing on the frame it gets; or an unfitted estimator with
        scikit-survival's interface (a pipeline too), which gets `features` and a structured outcome.
    data : pandas or polars frame
        Rows complete in the outcome and the features count.
    horizons : (k,) array_like
        Times by which the event is predicted, unit of the data.
    outcome : str
        ``"Surv(time, event)"``.
    features : sequence of str, optional
        Columns for estimators.
    grids : mapping of str to mapping, optional
        Name of an estimator -> parameters to try, as scikit-learn's ``GridSearchCV`` takes them; each outer fold
        searches anew, by the estimator's own score.
    folds, inner_folds : int
        Parts of the data, each with its share of the events.
    metrics : sequence of str, or mapping of str to callable
        As of `optimism`.
    seed : int, Generator or None
        Decides who falls into which fold; results do not depend on `n_jobs`.
    n_jobs : int or None
        Outer folds at once.
    progress : bool

    Returns
    -------
    NestedCrossValidation

    References
    ----------
    Varma S, Simon R. BMC Bioinformatics 2006;7:91. doi:10.1186/1471-2105-7-91

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 65").dropna(subset=["grip_kg"])
    >>> models = {"age": lambda frame: dc.survival.cox("Surv(time, died) ~ age", frame),
    ...           "with grip": lambda frame: dc.survival.cox("Surv(time, died) ~ age + grip_kg", frame)}
    >>> found = nested_cross_validation(models, cohort, 4, outcome="Surv(time, died)", folds=3, metrics=["auc"], seed=1)
    >>> found.tidy()["model"].tolist()
    ['age', 'with grip']
    """
    if not isinstance(models, Mapping) or not models:
        raise OptionError("models must name each procedure: {'tuned': lambda frame: ...}")
    for name, model in models.items():
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        if not (hasattr(last, "predict_survival_function") if hasattr(model, "fit") else callable(model)):
            raise OptionError(
                f"model {name!r} is a {type(model).__name__}; give a function (frame) -> model, or an unfitted "
                "estimator with predict_survival_function"
            )
    grids = {} if grids is None else grids
    for name, grid in grids.items():
        if not hasattr(models.get(name), "fit"):
            raise OptionError(f"grids: {name!r} is not the name of an estimator in models")
        for parameter, values in grid.items():
            check_option(f"grids[{name!r}]: parameter", parameter, sorted(models[name].get_params()))
            if isinstance(values, str) or not hasattr(values, "__len__"):
                raise OptionError(f"grids[{name!r}][{parameter!r}]={values!r} must be a list of values to try")
    if isinstance(features, str):
        raise OptionError(f"features={features!r} must be a list of columns: [{features!r}]")
    if features is None and any(hasattr(m, "fit") for m in models.values()):
        raise OptionError("estimators need features=[...], the columns they may use")
    what = measured(metrics, horizons, outcome=outcome, cause=None)
    refuse_selected(data, "nested_cross_validation")
    frame = to_pandas(data)
    columns = list(features or [])
    design = build_design(f"{outcome} ~ 1", frame, arguments={f"feature {c}": c for c in columns})
    survival = design.survival
    n_events = int(survival.event.sum())
    for argument, number in (("folds", folds), ("inner_folds", inner_folds)):
        if not isinstance(number, int) or not 2 <= number <= n_events:
            raise OptionError(
                f"{argument}={number!r} must be a whole number from 2 to the number of events ({n_events})"
            )
    rng = generator(seed)
    kept = frame.loc[design.rows.keep]
    fold = _folds(survival.event, folds, rng)
    fold.flags.writeable = False
    y = np.array(
        list(zip(survival.event.astype(bool), survival.time, strict=True)),
        dtype=[("event", bool), ("time", np.float64)],
    )
    work = _Fold(dict(models), kept, y, columns, dict(grids), fold, inner_folds, what)
    seeds = [(k, child) for k, child in enumerate(rng.spawn(folds), start=1)]
    done = list(parallel_map(work, seeds, n_jobs=n_jobs, progress=progress, description="folds"))
    call = f"survival.nested_cross_validation({list(models)}, data, {list(what.horizons)}, folds={folds})"
    return NestedCrossValidation(
        folds=pd.concat([table for table, _ in done], ignore_index=True),
        chosen=pd.DataFrame([row for _, rows in done for row in rows], columns=["fold", "model", "parameter", "value"]),
        fold=fold,
        nobs=len(kept),
        n_events=n_events,
        provenance=Provenance(
            call=call,
            n_rows=len(frame),
            n_used=len(kept),
            missing=dict(design.rows.missing),
            seed=seed if isinstance(seed, int) else None,
        ),
    )


def _folds(event: IntArray, number: int, rng: np.random.Generator) -> IntArray:
    """Fold of each row from 1, the same share of events in each."""
    fold = np.empty(event.size, dtype=np.int64)
    for value in (0, 1):
        members = np.flatnonzero(event == value)
        fold[rng.permutation(members)] = np.arange(members.size) % number + 1
    return fold


@dataclass(frozen=True, slots=True)
class _Fold:
    """All procedures without one fold, judged on it; picklable where they are."""

    models: dict[str, Any]
    frame: pd.DataFrame
    y: npt.NDArray[Any]
    features: list[str]
    grids: dict[str, Mapping[str, Any]]
    fold: IntArray
    inner_folds: int
    what: Measured

    def __call__(self, piece: tuple[int, np.random.Generator]) -> tuple[pd.DataFrame, list[tuple[int, str, str, Any]]]:
        k, rng = piece
        train = self.fold != k
        inner = _folds(self.y["event"][train].astype(np.int64), self.inner_folds, rng)
        fitted, chosen = {}, []
        try:
            for name, model in self.models.items():
                if not hasattr(model, "fit"):
                    fitted[name] = model(self.frame[train])
                    continue
                fitted[name], parameters = self._fit(name, model, train, inner)
                chosen += [(k, name, parameter, value) for parameter, value in parameters.items()]
            table = self.what.table(fitted, self.frame[~train])
        except DxaCausalError as error:
            raise type(error)(f"fold {k} of {int(self.fold.max())}: {error}") from None
        return table.drop(columns="std_error").assign(fold=k), chosen

    def _fit(
        self, name: str, model: Any, train: npt.NDArray[np.bool_], inner: IntArray
    ) -> tuple[Any, Mapping[str, Any]]:
        from sklearn.base import clone
        from sklearn.model_selection import GridSearchCV

        x, y = self.frame.loc[train, self.features], self.y[train]
        if name not in self.grids:
            return clone(model).fit(x, y), {}
        splits = [(np.flatnonzero(inner != k), np.flatnonzero(inner == k)) for k in range(1, self.inner_folds + 1)]
        search = GridSearchCV(clone(model), dict(self.grids[name]), cv=splits).fit(x, y)
        return search.best_estimator_, search.best_params_
