"""Reclassification: whether a second model moves the risks of people with and without the event the right way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.results import Provenance, Result, Summary, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.ipcw import (
    CensoringWeights,
    censoring_curves,
    censoring_influence,
    censoring_weights,
)
from dxa_causal.survival.evaluation.forecasts import Forecasts, read_cuts, read_forecasts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
ReclassificationMethod = Literal["kaplan-meier", "ipcw"]

CATEGORY_FREE, CATEGORICAL, IDI = "category-free NRI", "NRI", "IDI"


@dataclass(frozen=True, eq=False, repr=False)
class Reclassification(Result):
    """Net reclassification and integrated discrimination improvement of models over a reference.

    Attributes
    ----------
    measures : DataFrame
        model, metric, estimate, std_error, reason.
    tables : mapping of str to DataFrame
        Model -> reference category x new category: n and observed risk; empty without `cuts`.
    reference : str
    cuts : tuple of float
    horizon : float or None
    method : {"kaplan-meier", "ipcw"}
    """

    title: ClassVar[str] = "Reclassification"

    measures: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    reference: str
    cuts: tuple[float, ...]
    horizon: float | None
    method: ReclassificationMethod
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "net share moved the right way"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per model and metric, each with its parts among events and non-events."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a net reclassification")
        columns = wald_columns(self.measures["estimate"], self.measures["std_error"], conf_level=conf_level)
        table = self.measures[["model", "metric"]].assign(reference=self.reference)
        return pd.DataFrame({**table, **columns, "reason": self.measures["reason"]})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, reference, method."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.n_events],
                "reference": [self.reference],
                "method": [self.method if self.horizon is not None else "proportions"],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Every measure with its limits."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy().dropna(subset=["estimate"])
        names = table["metric"] if table["model"].nunique() < 2 else table["model"] + ": " + table["metric"]
        return forest(table.assign(term=names), effect_measure="Improvement", reference=0.0, log=False, ax=ax)

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Measures and, with cuts, who moved where."""
        moved = [self.tables[name].reset_index() for name in self.tables]
        return Summary(self.title, [self.tidy(conf_level=conf_level), *moved, self.glance()], self._notes())

    def _notes(self) -> list[str]:
        cuts = [f"categories cut at {', '.join(f'{c:g}' for c in self.cuts)}"] if self.cuts else []
        warning = (
            "the category-free NRI counts moves of any size and can be above zero for a useless marker in a badly "
            "calibrated model: report net benefit beside it"
        )
        return [*cuts, warning, *super()._notes()]


def reclassification(
    models: Any,
    data: Any = None,
    *,
    horizon: float | None = None,
    cuts: npt.ArrayLike | None = None,
    reference: str | None = None,
    outcome: Any = None,
    cause: Any = None,
    method: ReclassificationMethod = "kaplan-meier",
) -> Reclassification:
    r"""Net reclassification (NRI) and integrated discrimination improvement (IDI).

    Parameters
    ----------
    models : mapping of str to model
        At least two: fits of this package, scikit-learn estimators, columns of `data` or arrays of risks.
    data : pandas or polars frame
        Rows to judge on; not needed where risks and a binary outcome are arrays.
    horizon : float, optional
        Time by which the event counts. None: the outcome is binary.
    cuts : array_like, optional
        Risks that separate categories, ``[0.1, 0.3]``; a risk on a cut belongs to the upper category. The
        category-free NRI is given always.
    reference : str, optional
        Model that the others are compared with; the first when omitted.
    outcome : str or (n,) array_like, optional
        ``"Surv(time, event)"`` (that of the fits when omitted), or the column or array of a binary outcome.
    cause : optional
        The cause that counts, where there are several.
    method : {"kaplan-meier", "ipcw"}
        How censored rows count in the NRI: by Kaplan-Meier (with competing causes Aalen-Johansen) among those moved
        up and those moved down, or by weights from the Kaplan-Meier estimate of censoring. The IDI is weighted.

    Returns
    -------
    Reclassification

    Notes
    -----
    Among events the NRI is the share moved up less the share moved down, among non-events the reverse; the NRI is
    their sum. With F the observed risk of all, :math:`\pi_u, \pi_d` the shares moved up and down and
    :math:`F_u, F_d` their risks,

    .. math::

        NRI = \frac{\pi_u F_u - \pi_d F_d}{F} + \frac{\pi_d (1 - F_d) - \pi_u (1 - F_u)}{1 - F}.

    The IDI is the mean change of the risk among events less that among non-events. Standard errors are those of the
    rows' influences, with the estimation of F and of the weights; for a binary outcome they are those of R's
    ``Hmisc::improveProb``. Predictions count as given.

    References
    ----------
    Pencina MJ, et al. Stat Med 2008;27:157-172. doi:10.1002/sim.2929
    Pencina MJ, et al. Stat Med 2011;30:11-21. doi:10.1002/sim.4085

    Examples
    --------
    >>> died = [0, 0, 0, 1, 1, 1]
    >>> risks = {"old": [0.2, 0.4, 0.5, 0.4, 0.6, 0.5], "new": [0.1, 0.3, 0.6, 0.7, 0.8, 0.4]}
    >>> found = reclassification(risks, outcome=died).tidy().set_index("metric")["estimate"]
    >>> found[["category-free NRI", "IDI"]].round(4).tolist()
    [0.6667, 0.1667]
    """
    check_option("method", method, ReclassificationMethod)
    forecasts = read_forecasts(models, data, horizon=horizon, outcome=outcome, cause=cause)
    if len(forecasts.models) < 2:
        raise OptionError("reclassification compares models: give two or more, {'clinical': fit1, 'with scan': fit2}")
    reference = forecasts.models[0] if reference is None else reference
    check_option("reference", reference, forecasts.models)
    edges = read_cuts("cuts", [] if cuts is None else cuts)
    status = _status(forecasts)
    old = forecasts.risk[:, forecasts.models.index(reference)]
    rows, tables = [], {}
    for name, new in zip(forecasts.models, forecasts.risk.T, strict=True):
        if name == reference:
            continue
        moves = {CATEGORY_FREE: np.sign(new - old)}
        if edges.size:
            before, after = (np.searchsorted(edges, risk, side="right") for risk in (old, new))
            moves = {CATEGORICAL: np.sign(after - before).astype(np.float64), **moves}
            tables[name] = _cross_table(forecasts, before, after, edges)
        for metric, move in moves.items():
            rows += _nri(forecasts, status, name, metric, move, method)
        rows += _idi(forecasts, status, name, new - old)
    call = format_call(
        "survival.reclassification",
        list(forecasts.models),
        horizon=horizon,
        cuts=edges.tolist() or None,
        reference=reference,
        outcome=outcome if isinstance(outcome, str) else None,
        cause=cause,
        method=method,
    )
    return Reclassification(
        measures=pd.DataFrame(rows, columns=["model", "metric", "estimate", "std_error", "reason"]),
        tables=tables,
        reference=reference,
        cuts=tuple(edges.tolist()),
        horizon=forecasts.horizon,
        method=method,
        nobs=forecasts.n,
        n_events=forecasts.n_events,
        provenance=replace(forecasts.provenance, call=call),
    )


_Row = tuple[str, str, float, float, str]


@dataclass(frozen=True, eq=False, slots=True)
class KnownStatus:
    """Rows whose status at the horizon is known, weighted for those whose is not."""

    event: npt.NDArray[np.bool_]
    weights: CensoringWeights

    def parts(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Weighted means of the first column among events and the second among others, their bases, influences."""
        chosen = np.column_stack([self.event, ~self.event]).astype(np.float64)
        terms = np.column_stack([values * chosen, chosen]) * self.weights.weight
        mean = terms.mean(axis=0)
        return mean[:2], mean[2:], terms - mean + censoring_influence(self.weights, terms, exact=True)


def _status(forecasts: Forecasts) -> KnownStatus | None:
    """Weights of the rows whose status at the horizon is known; None for a binary outcome."""
    if forecasts.happened is not None:
        return None
    outcome = forecasts.survival
    rank, place = forecasts.ranks
    curves = censoring_curves(rank, int(rank.max()) + 1, outcome.event == 0, np.zeros_like(rank))
    weights = censoring_weights(curves, np.array([place]))
    event = weights.by[:, 0] & (outcome.event == forecasts.code)
    free = weights.weight[~event]
    if not (np.isfinite(free).all() and (free > 0).any()):
        raise OptionError(
            f"horizon={forecasts.until:g}: nobody is known to be without the event then; the last usable horizon "
            f"lies before {outcome.time.max():g}"
        )
    return KnownStatus(event, weights)


def _ratios(numerators: FloatArray, bases: FloatArray, influence: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ratios of means and their influences; `influence` is that of the numerators, then of the bases."""
    k = numerators.size
    ratio = numerators / bases
    return ratio, (influence[:, :k] - ratio * influence[:, k:]) / bases


def _nri(
    forecasts: Forecasts,
    status: KnownStatus | None,
    model: str,
    metric: str,
    move: FloatArray,
    method: ReclassificationMethod,
) -> list[_Row]:
    n = forecasts.n
    if status is not None and method == "ipcw":
        ratio, influence = _ratios(*status.parts(np.column_stack([move, -move])))
        return _rows(model, metric, ratio, influence)
    share = forecasts.shares()
    gain, loss = np.zeros(n), np.zeros(n)
    for direction in (1.0, -1.0):
        moved = move == direction
        if not moved.any():
            continue
        why = forecasts.unknown(moved)
        if why:
            return _rows(model, metric, np.full(2, np.nan), np.full((n, 2), np.nan), f"moved one way: {why}")
        own = forecasts.shares(moved)
        gain[moved], loss[moved] = direction * own, -direction * (1 - own)
    terms = np.column_stack([gain, loss, share, 1 - share])
    mean = terms.mean(axis=0)
    ratio, influence = _ratios(mean[:2], mean[2:], terms - mean)
    return _rows(model, metric, ratio, influence)


def _idi(forecasts: Forecasts, status: KnownStatus | None, model: str, change: FloatArray) -> list[_Row]:
    values = np.column_stack([change, -change])
    if status is not None:
        ratio, influence = _ratios(*status.parts(values))
        return _rows(model, IDI, ratio, influence)
    assert forecasts.happened is not None
    chosen = np.column_stack([forecasts.happened, ~forecasts.happened]).astype(np.float64)
    terms = np.column_stack([values * chosen, chosen])
    mean = terms.mean(axis=0)
    ratio, influence = _ratios(mean[:2], mean[2:], terms - mean)
    # variances of changes among events and among the others, each with its degree of freedom taken off
    number = chosen.sum(axis=0)
    if number.min() < 2:
        reason = f"{number[0]:g} events and {number[1]:g} non-events; a standard error needs two of each"
        return _rows(model, IDI, ratio, np.full_like(influence, np.nan), reason)
    return _rows(model, IDI, ratio, influence * np.sqrt(number / (number - 1)))


def _rows(model: str, metric: str, parts: FloatArray, influence: FloatArray, reason: str = "") -> list[_Row]:
    n = len(influence)
    both = np.column_stack([influence.sum(axis=1), influence])
    std_error = np.sqrt(np.sum(both**2, axis=0)) / n
    named = (metric, f"{metric}, events", f"{metric}, non-events")
    return [
        (model, name, float(value), float(se), reason)
        for name, value, se in zip(named, (parts.sum(), *parts), std_error, strict=True)
    ]


def _cross_table(
    forecasts: Forecasts, before: npt.NDArray[np.int64], after: npt.NDArray[np.int64], edges: FloatArray
) -> pd.DataFrame:
    ends = ["0", *(f"{e:g}" for e in edges), "1"]
    labels = [f"{low} to {high}" for low, high in zip(ends[:-1], ends[1:], strict=True)]
    rows = []
    for i, old in enumerate(labels):
        for j, new in enumerate(labels):
            here = (before == i) & (after == j)
            known = not forecasts.unknown(here)
            risk = float(forecasts.shares(here).mean()) if known else np.nan
            rows.append({"reference_category": old, "category": new, "n": int(here.sum()), "observed": risk})
    return pd.DataFrame(rows).set_index(["reference_category", "category"])
