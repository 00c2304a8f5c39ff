"""Concordance of a Cox model on rows it was not fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from dxa_causal._core.errors import OptionError, PredictorError
from dxa_causal._core.rng import Seed, generator
from dxa_causal._core.selected_rows import refuse_selected
from dxa_causal._design import build_design, to_pandas
from dxa_causal.results import Provenance, Result, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.concordance import concordance
from dxa_causal.survival.cox import cox

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation(Result):
    """Concordance per model, averaged over folds.

    Attributes
    ----------
    folds : DataFrame
        term (model), row (fold number), nobs, n_events, estimate.
    """

    title: ClassVar[str] = "Cross-validated concordance"

    folds: pd.DataFrame
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "concordance on new rows"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per model: mean over folds; the standard error is the folds' spread / sqrt(folds).

        Folds share training rows, so the standard error is only a guide.
        """
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a concordance")
        by = self.folds.groupby("term", sort=False)["estimate"]
        mean, se = by.mean(), by.std(ddof=1) / np.sqrt(by.size())
        columns = wald_columns(mean, se, conf_level=conf_level)
        test = wald_columns(mean - 0.5, se, conf_level=conf_level)
        return pd.DataFrame({"term": mean.index, **columns, "statistic": test["statistic"], "p_value": test["p_value"]})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Models one below the other."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(), effect_measure="Concordance", reference=0.5, log=False, ax=ax)


def cross_validate(formulas: Mapping[str, str], data: Any, *, folds: int = 5, seed: Seed = None) -> CrossValidation:
    """Compare Cox models by their concordance on rows left out.

    Parameters
    ----------
    formulas : mapping of str to str
        Name -> formula. All are fitted and evaluated on the same rows: those
        complete in the columns of every formula.
    data : pandas or polars frame
    folds : int
        Parts of the data, each with its share of the events.
    seed : int or Generator, optional
        Decides who falls into which fold.

    Returns
    -------
    CrossValidation

    Raises
    ------
    PredictorError
        A level is so rare that the rows without one fold, or those of a fold,
        lack it.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhefs")
    >>> models = {"age": "Surv(survtime, death) ~ age", "age, sex": "Surv(survtime, death) ~ age + C(sex)"}
    >>> dc.survival.cross_validate(models, cohort, seed=1).tidy()["estimate"].round(1).tolist()
    [0.8, 0.8]
    """
    if not isinstance(formulas, Mapping) or not formulas:
        raise OptionError(f"formulas must name each model: {{'age': 'Surv(time, died) ~ age'}}, not {formulas!r}")
    refuse_selected(data, "cross_validate")
    frame = to_pandas(data)
    designs = {name: build_design(formula, frame) for name, formula in formulas.items()}
    outcomes = {name: "".join(d.parts.outcome.split()) for name, d in designs.items()}
    if len(set(outcomes.values())) > 1:
        raise OptionError(f"the formulas must share one outcome to be compared, found {outcomes}")
    keep = np.logical_and.reduce([d.rows.keep for d in designs.values()])
    rows = frame.loc[keep]
    event = next(iter(designs.values())).survival.event[keep[next(iter(designs.values())).rows.keep]]
    n_events = int(event.sum())
    if not isinstance(folds, int | np.integer) or not 2 <= folds <= n_events:
        raise OptionError(f"folds={folds!r} must be a number from 2 to the number of events ({n_events})")
    rng = generator(seed)
    fold = np.empty(len(rows), dtype=np.int64)
    for value in (0, 1):  # the same share of events in every fold
        members = np.flatnonzero(event == value)
        fold[rng.permutation(members)] = np.arange(members.size) % folds
    table = []
    for name, formula in formulas.items():
        for k in range(folds):
            try:
                fit = cox(formula, rows.loc[fold != k])
                left_out = concordance(fit, rows.loc[fold == k])
            except PredictorError as error:
                raise PredictorError(
                    f"model {name!r} cannot be fitted without fold {k + 1} of {folds} and judged on it: {error}. Is "
                    "there a rare level? Join it with another, or use more folds"
                ) from None
            table.append(
                {
                    "term": name,
                    "row": k + 1,
                    "nobs": left_out.nobs,
                    "n_events": int(event[fold == k].sum()),
                    "estimate": left_out.estimate,
                }
            )
    missing: dict[str, int] = {}
    for design in designs.values():
        missing |= design.rows.missing
    call = format_call("survival.cross_validate", dict(formulas), folds=folds)
    provenance = Provenance(
        call=call,
        n_rows=len(frame),
        n_used=len(rows),
        missing=missing,
        seed=seed if isinstance(seed, int) else None,
    )
    return CrossValidation(pd.DataFrame(table), len(rows), n_events, provenance)
