"""Lin and Ying's additive hazards model: effects that stay the same over time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import (
    CollinearityError,
    OptionError,
    OutcomeError,
    PredictorError,
    UnseenLevelError,
    shown,
)
from dxa_causal._core.options import Missing, check_conf_level, check_option
from dxa_causal._core.warnings import HorizonWarning, warn
from dxa_causal._design import Design, build_design, refuse_collinear, to_pandas
from dxa_causal._numerics.times import rank_times
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only, wald_columns
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.lin_ying import (
    AdditiveSums,
    additive_sums,
    baseline_hazard,
    score_residuals,
    sum_by_unit,
)
from dxa_causal.survival.checks import refuse_empty_intervals, stratum_codes
from dxa_causal.survival.step_curves import check_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
PredictionType = Literal["survival", "cumulative_hazard"]


@dataclass(frozen=True, eq=False, repr=False)
class LinYingFit(Result):
    """A fitted additive hazards model with constant coefficients.

    Attributes
    ----------
    terms : tuple of str
    coefficients : (p,) ndarray
        Differences of the hazard, per unit of time.
    covariance : (p, p) ndarray
        The sandwich of rows or clusters when `robust`.
    robust : bool
    strata, cluster, weights : str or None
    nobs, n_events : int
    """

    title: ClassVar[str] = "Lin-Ying additive hazards model"

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    robust: bool
    strata: str | None
    cluster: str | None
    weights: str | None
    nobs: int
    n_events: int
    provenance: Provenance
    design: Design
    stratum_labels: tuple[Any, ...]
    sums: AdditiveSums
    estimand: str = "hazard difference"

    @property
    def std_error(self) -> FloatArray:
        """Standard errors of the coefficients, (p,)."""
        return np.sqrt(np.diag(self.covariance))

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term: hazard difference per unit of time, Wald test, limits."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for differences of hazards")
        columns = wald_columns(self.coefficients, self.std_error, conf_level=conf_level)
        return pd.DataFrame({"term": list(self.terms), **columns})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events]})

    @cached_property
    def wald_test(self) -> HypothesisTest | NotApplicable:
        """All coefficients zero, with the covariance of the fit."""
        b, method = self.coefficients, "Wald test (chi-square)"
        if np.linalg.matrix_rank(self.covariance, hermitian=True) < b.size:
            return NotApplicable(f"too few events or clusters for a covariance of {b.size} coefficients", method)
        statistic = float(b @ np.linalg.solve(self.covariance, b))
        return HypothesisTest(
            statistic, b.size, float(special.chdtrc(b.size, statistic)), method, "all coefficients are zero"
        )

    def predict(
        self,
        new: Any = None,
        *,
        type: PredictionType = "survival",
        times: npt.ArrayLike | None = None,
        conf_level: float = 0.95,
    ) -> pd.DataFrame:
        """Survival or cumulative hazard of given rows.

        Parameters
        ----------
        new : pandas or polars frame, optional
            The rows analysed when omitted. Needs the covariates and, for a
            stratified fit, the stratum.
        type : {"survival", "cumulative_hazard"}
        times : (k,) array_like, optional
            All event times of the row's stratum when omitted.
        conf_level : float

        Returns
        -------
        DataFrame
            row, time, estimate, std_error, conf_low, conf_high. Limits of a
            survival probability are symmetric for its logarithm. Where nobody
            was at risk the hazard is taken as zero. The model lets a hazard be
            negative: a predicted curve may then rise, or exceed 1.
        """
        check_option("type", type, PredictionType)
        check_conf_level(conf_level)
        quantile = float(special.ndtri(0.5 + conf_level / 2))
        x, index, codes = self._rows(new)
        last = float(self.sums.time.max())
        if times is not None:
            times = check_times(times)
            if (times > last).any():
                warn(
                    f"time {times.max():g} lies beyond the last observation ({last:g}); the last value is carried "
                    "forward",
                    HorizonWarning,
                )
        unit = self._unit if self.robust else None
        inverse = np.linalg.inv(self.sums.information)
        z = x - self.sums.centre
        linear = z @ self.coefficients
        frames = []
        for code in np.unique(codes):
            at = self._event_times(int(code)) if times is None else times
            base = baseline_hazard(self.sums, self.coefficients, int(code), at, unit)
            rows = np.flatnonzero(codes == code)
            # the derivative in beta is d z - m; its quadratic form and its product with the covariance, expanded so
            # that no rows x times x terms array is needed
            d, m, v, cross = base.exposed, base.exposed_mean, z[rows] @ self.covariance, base.covariance @ inverse
            spread = (
                np.einsum("ij,ij->i", v, z[rows])[:, None] * d**2
                - 2 * (v @ m.T) * d
                + np.einsum("ij,jk,ik->i", m, self.covariance, m)
                + 2 * ((z[rows] @ cross.T) * d - np.einsum("ij,ij->i", m, cross))
            )
            frames.append(
                pd.DataFrame(
                    {
                        "place": np.repeat(rows, at.size),
                        "row": np.repeat(index[rows], at.size),
                        "time": np.tile(at, rows.size),
                        "estimate": (base.hazard + linear[rows, None] * d).ravel(),
                        "std_error": np.sqrt(np.maximum(base.variance + spread, 0.0)).ravel(),
                    }
                )
            )
        table = pd.concat(frames).sort_values("place", kind="stable", ignore_index=True).drop(columns="place")
        hazard, half = table["estimate"], quantile * table["std_error"]
        if type == "cumulative_hazard":
            return table.assign(conf_low=hazard - half, conf_high=hazard + half)
        survival = np.exp(-hazard)
        return table.assign(
            estimate=survival,
            std_error=survival * table["std_error"],
            conf_low=np.exp(-hazard - half),
            conf_high=np.exp(-hazard + half),
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the hazard differences."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(), effect_measure="Hazard difference", reference=0.0, log=False, ax=ax)

    def _notes(self) -> list[str]:
        kind = "robust standard errors" if self.robust else "martingale standard errors"
        return [
            kind
            + (f", clustered on {self.cluster}" if self.cluster else "")
            + (f"; strata: {self.strata}" if self.strata else "")
            + (f"; weights: {self.weights}" if self.weights else ""),
            str(self.wald_test),
        ] + super()._notes()

    @property
    def _unit(self) -> IntArray:
        return _units(self.design, self.cluster)

    def _event_times(self, code: int) -> FloatArray:
        places = np.unique(self.sums.left[self.sums.event == 1])
        return np.asarray(self.sums.time[places[self.sums.stratum[places] == code]])

    def _rows(self, new: Any) -> tuple[FloatArray, pd.Index, IntArray]:
        if new is None:
            x, index, frame = self.design.x, self.design.index, self.design.rows.frame
        else:
            frame = to_pandas(new)
            x, index = self.design.new(frame)
        if self.strata is None:
            return x, index, np.zeros(len(index), dtype=np.int64)
        if self.strata not in frame.columns:
            raise UnseenLevelError(f"new data: the fit is stratified by {self.strata!r}, which the new data lack")
        codes = pd.Index(self.stratum_labels).get_indexer(frame[self.strata]).astype(np.int64)
        if (codes < 0).any():
            i = int(np.flatnonzero(codes < 0)[0])
            raise UnseenLevelError(
                f"new data: stratum {self.strata}={shown(frame[self.strata].iloc[i])} (row {shown(index[i])}) was not "
                f"in the fit; its strata are {', '.join(shown(s) for s in self.stratum_labels)}"
            )
        return x, index, codes


def lin_ying(
    formula: str,
    data: Any,
    *,
    weights: str | None = None,
    strata: str | None = None,
    cluster: str | None = None,
    robust: bool | None = None,
    missing: Missing = "drop",
) -> LinYingFit:
    r"""Fit the additive hazards model with constant coefficients of Lin and Ying.

    Parameters
    ----------
    formula : str
        ``Surv(time, event) ~ covariates`` or ``Surv(entry, time, event) ~
        covariates``.
    data : pandas or polars frame
        One row per subject or, for covariates that change, per interval.
    weights : str, optional
        Column of positive weights; implies `robust`.
    strata : str, optional
        Column; each value has its own baseline hazard.
    cluster : str, optional
        Column naming the unit whose rows belong together; implies `robust`.
    robust : bool, optional
        Sandwich standard errors that hold when the model does not. None: when
        weights or clusters are given.
    missing : {"drop", "raise"}

    Returns
    -------
    LinYingFit

    Raises
    ------
    OutcomeError
        No event.
    CollinearityError
        A column is a linear combination of others; it is named.

    Notes
    -----
    The hazard is :math:`\lambda(t \mid x) = \lambda_0(t) + \beta'x`, with any
    baseline. With the mean :math:`\bar x(t)` of those at risk,

    .. math::

        \hat\beta = A^{-1} \sum_i \int w_i (x_i - \bar x)\, dN_i, \quad
        A = \sum_i \int w_i Y_i (x_i - \bar x)(x_i - \bar x)'\, dt, \quad
        \widehat{\mathrm{var}}\, \hat\beta = A^{-1} \Big[\sum_i \int w_i^2
        (x_i - \bar x)(x_i - \bar x)'\, dN_i\Big] A^{-1}.

    The robust variance has outer products of :math:`\int w_i (x_i - \bar x)\,
    d\hat M_i`, summed within clusters, in the middle. The estimate depends on
    the time scale, not only on the order of the times. Cost: O(n p^2).

    References
    ----------
    Lin DY, Ying Z. Biometrika 1994;81:61-71. doi:10.1093/biomet/81.1.61

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 50")
    >>> fit = dc.survival.lin_ying("Surv(time, died) ~ age + C(sex)", cohort)
    >>> fit.tidy()["term"].tolist()
    ['age', 'C(sex)[T.male]']
    """
    arguments = {"weights": weights, "strata": strata, "cluster": cluster}
    design = build_design(formula, data, arguments=arguments, missing=missing)
    outcome = design.survival
    if not design.terms:
        raise PredictorError("lin_ying needs at least one covariate; for a hazard alone use aalen_additive")
    if not outcome.event.any():
        raise OutcomeError(f"no event: all {outcome.event.size} rows analysed are censored")
    weight = design.number(weights, argument="weights", positive=True)
    codes, labels = stratum_codes(design, strata)
    if cluster is not None and design.rows.frame[cluster].nunique() < 2:
        raise PredictorError(f"cluster={cluster!r} has one value in the rows analysed; robust errors need several")
    times = rank_times(outcome.time, outcome.entry)
    refuse_empty_intervals(design, times)
    refuse_collinear(design, codes)
    sums = additive_sums(
        design.x,
        times,
        outcome.event,
        np.ones(outcome.time.size) if weight is None else weight,
        np.zeros(outcome.time.size, dtype=np.int64) if codes is None else codes,
    )
    _refuse_singular(sums.information, tuple(design.terms))
    inverse = np.linalg.inv(sums.information)
    beta = inverse @ sums.score
    if robust is None:
        robust = weights is not None or cluster is not None
    scores = sum_by_unit(score_residuals(sums, beta), _units(design, cluster)) if robust else sums.deviation
    spread = scores @ inverse
    call = format_call("survival.lin_ying", formula, **arguments, robust=robust or None)
    return LinYingFit(
        terms=tuple(design.terms),
        coefficients=read_only(beta),
        covariance=read_only(spread.T @ spread),
        robust=robust,
        strata=strata,
        cluster=cluster,
        weights=weights,
        nobs=outcome.time.size,
        n_events=int(outcome.event.sum()),
        provenance=design.provenance(call),
        design=design,
        stratum_labels=labels,
        sums=sums,
    )


def _units(design: Design, cluster: str | None) -> IntArray:
    column = design.column(cluster)
    if column is None:
        return np.arange(len(design.index))
    return pd.factorize(column)[0].astype(np.int64)


def _refuse_singular(information: FloatArray, terms: tuple[str, ...]) -> None:
    """Columns may differ over all rows and still not among those at risk together."""
    scale = np.sqrt(np.maximum(np.diag(information), 0.0))
    weakest = terms[int(np.argmin(scale))]
    if (scale > 0).all():
        values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
        if values[0] > 1e-10:
            return
        weakest = terms[int(np.argmax(np.abs(vectors[:, 0])))]
    raise CollinearityError(
        "the data cannot tell the coefficients apart: among those at risk at the same time some terms do not vary, or "
        f"only together; look at {weakest!r} first"
    )
