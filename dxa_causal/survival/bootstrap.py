"""Bootstrap of a Cox model by resampling persons as whole-number weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError
from dxa_causal._core.options import check_conf_level, check_option
from dxa_causal._core.parallel import parallel_map
from dxa_causal._core.rng import Seed, spawn
from dxa_causal._core.warnings import ConvergenceWarning, warn
from dxa_causal.results import Provenance, Result, read_only, wald_columns
from dxa_causal.survival._kernels.cox import EFRON, FREQUENCY, CoxData, maximise
from dxa_causal.survival.cox import CoxFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BootstrapInterval = Literal["percentile", "basic", "normal"]
_BLOCK = 25  # draws per piece of work


@dataclass(frozen=True, eq=False, repr=False)
class CoxBootstrap(Result):
    """Coefficients of a Cox model over bootstrap samples.

    Attributes
    ----------
    fit : CoxFit
    replicates : (n_resamples, p) ndarray
        Log hazard ratios; a row of missing values where a sample had no
        finite estimate.
    n_failed : int
        Such rows.
    interval : {"percentile", "basic", "normal"}
    """

    title: ClassVar[str] = "Bootstrap of a Cox model"

    fit: CoxFit
    replicates: FloatArray
    n_failed: int
    interval: BootstrapInterval
    nobs: int
    provenance: Provenance
    estimand: str = "log hazard ratio"

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the replicates, (p, p)."""
        good = self.replicates[~np.isnan(self.replicates).any(axis=1)]
        return np.atleast_2d(np.cov(good, rowvar=False))

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term: the estimate of the fit, bootstrap standard error, z test, limits as `interval` says."""
        check_conf_level(conf_level)
        estimate = self.fit.coefficients
        columns = wald_columns(estimate, np.sqrt(np.diag(self.covariance)), conf_level=conf_level)
        if self.interval != "normal":
            tail = (1 - conf_level) / 2
            low, high = np.nanquantile(self.replicates, [tail, 1 - tail], axis=0)
            if self.interval == "basic":
                low, high = 2 * estimate - high, 2 * estimate - low
            columns["conf_low"], columns["conf_high"] = low, high
        if exponentiate:
            columns |= {k: np.exp(columns[k]) for k in ("estimate", "conf_low", "conf_high")}
        return pd.DataFrame({"term": list(self.fit.terms), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, n_resamples, n_failed."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_events": [self.fit.n_events],
                "n_resamples": [len(self.replicates)],
                "n_failed": [self.n_failed],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the hazard ratios with their bootstrap limits."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(exponentiate=True), effect_measure="Hazard ratio", ax=ax)


def bootstrap(
    fit: CoxFit,
    *,
    n_resamples: int = 1000,
    interval: BootstrapInterval = "percentile",
    seed: Seed = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> CoxBootstrap:
    """Refit a Cox model on bootstrap samples of its persons.

    Parameters
    ----------
    fit : CoxFit
        With `id` or `cluster` its values are drawn, otherwise rows.
    n_resamples : int
    interval : {"percentile", "basic", "normal"}
    seed : int, Generator or None
        The same seed gives the same replicates for any `n_jobs`.
    n_jobs : int or None
    progress : bool

    Returns
    -------
    CoxBootstrap

    Notes
    -----
    A sample is a vector of whole-number weights, so that rows are neither
    copied nor sorted again; in an Efron fit a row drawn twice counts as two
    tied rows, as if it stood there twice. (With case weights a row drawn twice
    counts as one of twice the weight; of frequency weights each of the rows it
    stands for is drawn by itself.) Newton's iteration starts from the
    estimate of the fit.

    References
    ----------
    Efron B, Tibshirani R. Stat Sci 1986;1:54-75. doi:10.1214/ss/1177013815

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 70 and grip_kg > 0")
    >>> fit = dc.survival.cox("Surv(time, died) ~ age + grip_kg", cohort)
    >>> bootstrap(fit, n_resamples=50, seed=1).replicates.shape
    (50, 2)
    """
    check_option("interval", interval, BootstrapInterval)
    if not isinstance(fit, CoxFit):
        raise OptionError(f"bootstrap needs a fit of survival.cox, not {type(fit).__name__}")
    fit.refuse_time_varying("a bootstrap")
    if fit.ties == "exact" or fit.firth:
        raise OptionError("bootstrap takes ties='efron' or 'breslow' and no Firth correction")
    if not fit.terms:
        raise OptionError("bootstrap: the fit has no coefficients")
    if n_resamples < 2:
        raise OptionError(f"n_resamples={n_resamples!r} must be at least 2")
    person = fit.design.column(fit.id or fit.cluster)
    unit = np.arange(len(fit.design.index)) if person is None else pd.factorize(person)[0]
    n_units = int(unit.max()) + 1
    # a row that stands for w rows is w units to draw
    share = None
    if fit.weight_type == "frequency" and person is None:
        share, n_units = fit.data.weight / fit.data.weight.sum(), int(fit.data.weight.sum())
    penalty = None if fit.ridge is None else fit.ridge / fit.data.scale**2
    draws = spawn(seed, n_resamples)
    work = _Draws(
        fit.data, fit.estimate.beta, unit[fit.data.sets.order], n_units, penalty, fit.weights is not None, share
    )
    blocks = [draws[i : i + _BLOCK] for i in range(0, n_resamples, _BLOCK)]
    done = parallel_map(work, blocks, n_jobs=n_jobs, progress=progress, description="bootstrap")
    replicates = np.concatenate(list(done)) / fit.data.scale
    n_failed = int(np.isnan(replicates).any(axis=1).sum())
    if n_failed > n_resamples - 2:
        raise OutcomeError(
            f"{n_failed} of {n_resamples} bootstrap samples have no finite estimate: the fit is separated, or has too "
            "few events"
        )
    if n_failed:
        warn(
            f"{n_failed} of {n_resamples} bootstrap samples have no finite estimate and are left out (a rare level "
            "without events?)",
            ConvergenceWarning,
        )
    call = f"survival.bootstrap(fit, n_resamples={n_resamples}, interval={interval!r}) of {fit.provenance.call}"
    return CoxBootstrap(
        fit=fit,
        replicates=read_only(replicates),
        n_failed=n_failed,
        interval=interval,
        nobs=fit.nobs,
        provenance=replace(fit.provenance, call=call, seed=seed if isinstance(seed, int) else None),
    )


@dataclass(frozen=True, slots=True)
class _Draws:
    """Refits for a block of generators; picklable."""

    data: CoxData
    start: FloatArray
    unit: IntArray
    n_units: int
    penalty: FloatArray | None
    weighted: bool
    share: FloatArray | None

    def __call__(self, draws: list[np.random.Generator]) -> FloatArray:
        return np.stack([self._one(rng) for rng in draws])

    def _one(self, rng: np.random.Generator) -> FloatArray:
        if self.share is not None:
            count = rng.multinomial(self.n_units, self.share).astype(np.float64)
            data = replace(self.data, weight=count).rows(count > 0)
            return self._estimate(data)
        drawn = np.bincount(rng.integers(self.n_units, size=self.n_units), minlength=self.n_units)
        count = drawn[self.unit].astype(np.float64)
        if self.data.ties == EFRON and not self.weighted:
            data = replace(self.data, weight=count, ties=FREQUENCY)
        else:
            data = replace(self.data, weight=count * self.data.weight).rows(count > 0)
        return self._estimate(data)

    def _estimate(self, data: CoxData) -> FloatArray:
        estimate = maximise(data, penalty=self.penalty, start=self.start)
        failed = estimate.singular or not estimate.converged or estimate.diverging.any()
        return np.full(self.start.size, np.nan) if failed else estimate.beta
