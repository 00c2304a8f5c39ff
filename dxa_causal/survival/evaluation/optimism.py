"""Optimism of a model judged on its own rows, estimated by repeating its making on bootstrap samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import DxaCausalError, OptionError, OutcomeError
from dxa_causal._core.options import check_conf_level, check_option, check_whole_number
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed, spawn
from dxa_causal._core.selected_rows import refuse_selected
from dxa_causal._core.warnings import ConvergenceWarning, warn
from dxa_causal._design import to_pandas
from dxa_causal.results import Provenance, Result, read_only
from dxa_causal.survival.evaluation.performance import USUAL, Measured, Performance, Score, measured, neutral
from dxa_causal.survival.evaluation.predictions import evaluation_rows, read_horizon

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Correction = Literal["harrell", "632", "632+"]

_BLOCK = 5  # resamples per piece of work
_OUTSIDE = 0.632
# What a model without information reaches.
_NO_INFORMATION = {"auc": 0.5, "concordance_harrell": 0.5, "concordance_uno": 0.5, "ipa": 0.0}


@dataclass(frozen=True, eq=False, repr=False)
class OptimismCorrection(Result):
    """Apparent performance, its optimism, and what is left.

    Attributes
    ----------
    apparent : DataFrame
        metric, time, estimate: the model judged on its own rows.
    training, testing, outside : (n_resamples, k) ndarray
        Models of the samples on their samples, on all rows, and on the rows not drawn (missing for "harrell").
        A row of missing values where a sample gave no model.
    corrected : (k,) ndarray
    correction : {"harrell", "632", "632+"}
    n_failed : int
    """

    title: ClassVar[str] = "Optimism-corrected performance"

    apparent: pd.DataFrame
    training: FloatArray
    testing: FloatArray
    outside: FloatArray
    corrected: FloatArray
    correction: Correction
    n_failed: int
    nobs: int
    provenance: Provenance
    estimand: str = "performance in new rows of the same kind"

    @property
    def optimism(self) -> FloatArray:
        """Apparent less corrected performance, (k,)."""
        return np.asarray(self.apparent["estimate"].to_numpy() - self.corrected)

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per metric and time: apparent, optimism, estimate (corrected), std_error and limits.

        Limits are the percentiles of the models of the samples on their own samples, moved by the optimism; the
        standard error is their spread.
        """
        check_conf_level(conf_level)
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for measures of performance")
        tail = (1 - conf_level) / 2
        low, high = np.nanquantile(self.training, [tail, 1 - tail], axis=0)
        moved = np.nanmean(self.training, axis=0) - self.corrected
        return self.apparent[["metric", "time"]].assign(
            apparent=self.apparent["estimate"],
            optimism=self.optimism,
            estimate=self.corrected,
            std_error=np.nanstd(self.training, axis=0, ddof=1),
            conf_low=low - moved,
            conf_high=high - moved,
        )

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_resamples, n_failed, method."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_resamples": [len(self.training)],
                "n_failed": [self.n_failed],
                "method": [self.correction],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Corrected performance with its limits."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        at = ["" if np.isnan(t) else f" at {t:g}" for t in table["time"]]
        return forest(
            table.assign(term=table["metric"] + at),
            effect_measure="Performance",
            reference=neutral(table["metric"]),
            log=False,
            ax=ax,
        )


def optimism(
    fit: Callable[[pd.DataFrame], Any],
    data: Any,
    horizon: float,
    *,
    metrics: Sequence[Performance] | Mapping[str, Score] = USUAL,
    outcome: str | None = None,
    cause: Any = None,
    correction: Correction = "harrell",
    n_resamples: int = 200,
    seed: Seed = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> OptimismCorrection:
    r"""Correct the performance of a model for having been made on the same rows.

    Parameters
    ----------
    fit : callable
        (frame) -> model: everything that looked at the outcome, selection and tuning too.
    data : pandas or polars frame
    horizon : float
        Time by which the event is predicted, unit of the data.
    metrics : sequence of str, or mapping of str to callable
        Of "auc", "brier", "ipa", "ibs", "concordance_harrell", "concordance_uno", "calibration_slope",
        "calibration_intercept", "observed_expected"; or functions (model, frame) -> number by name.
    outcome : str, optional
        ``"Surv(time, event)"``; that of the model when omitted.
    cause : optional
        The cause that counts, where there are several.
    correction : {"harrell", "632", "632+"}
        "harrell": the mean difference between samples and all rows is taken off. "632" weighs the apparent
        performance with that on rows not drawn, "632+" the more to the latter the more the model overfits (for auc,
        ipa, brier and concordances).
    n_resamples : int
    seed : int, Generator or None
        The same seed gives the same samples for any `n_jobs`.
    n_jobs : int or None
        With processes `fit` must be picklable.
    progress : bool

    Returns
    -------
    OptimismCorrection

    Notes
    -----
    With models :math:`m_b` of samples :math:`D_b` the optimism is the mean of
    :math:`M(m_b, D_b) - M(m_b, D)`, and the corrected performance :math:`M(m, D)` less it. With the mean performance
    e on the rows not drawn, .632 is :math:`0.368 M(m, D) + 0.632 e`; .632+ replaces 0.632 by
    :math:`0.632 / (1 - 0.368 R)`, :math:`R = (e - M) / (\gamma - M)` between 0 and 1, with :math:`\gamma` the
    performance without information: one half (auc, concordance), zero (ipa), or that of permuted risks (brier).

    References
    ----------
    Harrell FE, Lee KL, Mark DB. Stat Med 1996;15:361-387.
    doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4
    Efron B, Tibshirani R. J Am Stat Assoc 1997;92:548-560. doi:10.1080/01621459.1997.10474007

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 75").dropna(subset=["grip_kg"])
    >>> found = optimism(lambda frame: dc.survival.cox("Surv(time, died) ~ age + grip_kg", frame), cohort, 4,
    ...                  metrics=["concordance_harrell"], n_resamples=10, seed=1)
    >>> bool(found.tidy()["optimism"].abs().iloc[0] < 0.02)
    True
    """
    check_option("correction", correction, Correction)
    if not callable(fit):
        raise OptionError("fit must be a function of a frame that returns a model: lambda frame: cox('...', frame)")
    check_whole_number("n_resamples", n_resamples, 2)
    horizon = read_horizon(horizon)
    what = measured(metrics, horizon, outcome=outcome, cause=cause)
    if correction == "632+":
        unknown = [m for m in (*what.metrics, *what.scores) if m not in _NO_INFORMATION and m != "brier"]
        if unknown:
            raise OptionError(f"correction='632+' does not know what {unknown[0]!r} is without information")
    refuse_selected(data, "optimism")
    frame = to_pandas(data).reset_index(drop=True)
    model = fit(frame)
    apparent = what.table({"model": model}, frame)
    lost = apparent["metric"][apparent["estimate"].isna()]
    if len(lost):
        raise OutcomeError(
            f"{lost.iloc[0]!r} has no value on the data themselves: the regression behind it does not converge, or a "
            "function returned none; leave it out of metrics"
        )
    *draws, extra = spawn(seed, n_resamples + 1)
    work = _Draws(fit, frame, what, correction != "harrell", len(apparent))
    blocks = [draws[i : i + _BLOCK] for i in range(0, n_resamples, _BLOCK)]
    done = np.concatenate(
        list(parallel_map(work, blocks, n_jobs=n_jobs, progress=progress, description="optimism")), axis=0
    )
    failed = np.isnan(done[:, :2]).any(axis=(1, 2))
    n_failed = int(failed.sum())
    if n_failed > n_resamples - 2:
        raise OptionError(f"{n_failed} of {n_resamples} bootstrap samples give no model or no performance")
    if n_failed:
        warn(
            f"{n_failed} of {n_resamples} bootstrap samples give no model or no performance and are left out",
            ConvergenceWarning,
        )
    done[failed] = np.nan
    training, testing, outside = done[:, 0], done[:, 1], done[:, 2]
    value = apparent["estimate"].to_numpy()
    if correction == "harrell":
        corrected = value - np.nanmean(training - testing, axis=0)
    else:
        beyond = np.nanmean(outside, axis=0)
        weight = np.full(value.size, _OUTSIDE)
        if correction == "632+":
            gamma = _without_information(apparent, model, frame, what, extra)
            # no worse than without information, no better than apparent
            beyond = np.clip(beyond, np.minimum(value, gamma), np.maximum(value, gamma))
            room = gamma - value
            overfit = np.divide(beyond - value, room, out=np.zeros_like(value), where=room != 0)
            weight = _OUTSIDE / (1 - (1 - _OUTSIDE) * np.clip(overfit, 0.0, 1.0))
        corrected = (1 - weight) * value + weight * beyond
    call = f"survival.optimism(fit, data, {horizon:g}, correction={correction!r}, n_resamples={n_resamples})"
    provenance = Provenance(call=call, n_rows=len(frame), n_used=len(frame))
    if what.metrics:  # functions of the user's may judge on any rows
        rows = evaluation_rows({"model": model}, frame, outcome=outcome, cause=cause)
        provenance = rows.design.provenance(call)
    return OptimismCorrection(
        apparent=apparent[["metric", "time", "estimate"]],
        training=read_only(training),
        testing=read_only(testing),
        outside=read_only(outside),
        corrected=read_only(corrected),
        correction=correction,
        n_failed=n_failed,
        nobs=provenance.n_used,
        provenance=replace(provenance, seed=seed if isinstance(seed, int) else None),
    )


@dataclass(frozen=True, slots=True)
class _Draws:
    """Performance of the models of a block of samples, (draws, 3, k)."""

    fit: Callable[[pd.DataFrame], Any]
    frame: pd.DataFrame
    what: Measured
    outside: bool
    n_values: int

    def __call__(self, generators: list[np.random.Generator]) -> FloatArray:
        return np.stack([self._one(rng) for rng in generators])

    def _one(self, rng: np.random.Generator) -> FloatArray:
        n = len(self.frame)
        rows = rng.integers(n, size=n)
        sample = self.frame.iloc[rows].reset_index(drop=True)
        found = np.full((3, self.n_values), np.nan)
        try:
            model = {"model": self.fit(sample)}
            found[0] = self.what.table(model, sample)["estimate"]
            found[1] = self.what.table(model, self.frame)["estimate"]
            if self.outside:
                out = np.setdiff1d(np.arange(n), rows)
                found[2] = self.what.table(model, self.frame.iloc[out])["estimate"]
        except DxaCausalError:
            pass  # counted: a rare level may be missing from a sample
        return found


def _without_information(
    apparent: pd.DataFrame, model: Any, frame: pd.DataFrame, what: Measured, rng: np.random.Generator
) -> FloatArray:
    """Performance of predictions that have nothing to do with the rows they are for."""
    known = apparent["metric"].map(_NO_INFORMATION).to_numpy(dtype=np.float64)
    if not np.isnan(known).any():
        return known
    from dxa_causal.survival.evaluation.evaluate import evaluate

    rows = evaluation_rows({"model": model}, frame, outcome=what.outcome, cause=what.cause)
    risk = rows.risks(list(what.horizons))["model"]
    mixed = {f"mixed {k}": risk[rng.permutation(len(risk))] for k in range(20)}
    found = evaluate(
        mixed, rows.frame, list(what.horizons), metrics=["brier"], outcome=rows.formula, cause=rows.cause
    ).tidy()
    found = found[found["model"].isin(mixed)]
    return np.where(np.isnan(known), found["estimate"].mean(), known)
