"""The difference in means of an outcome between weighted arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import DxaCausalError, MissingDataError, OptionError, OutcomeError, column_not_found, shown
from dxa_causal._core.options import Estimand, Missing, WeightedStdError, check_option
from dxa_causal._design import to_pandas
from dxa_causal.propensity._kernels.hajek import influence, weighted_means
from dxa_causal.propensity.weighting import PropensityWeights
from dxa_causal.results import Provenance, Result, wald_columns
from dxa_causal.results.provenance import format_call

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class MeanDifference(Result):
    """A weighted difference in means, treated minus control.

    Attributes
    ----------
    term : str
        The treatment, as in the formula of the weights.
    outcome : str
    estimand : {"ATE", "ATT", "ATC", "ATO", "ATM"}
    estimate, std_error : float
        In the unit of the outcome.
    mean_treated, mean_control : float
        Weighted means of the arms.
    method : {"m_estimation", "robust"}
        How the standard error was computed.
    nobs, n_treated, n_control : int
        Rows with weight and outcome.
    """

    title: ClassVar[str] = "Difference in means, weighted by propensity score"

    term: str
    outcome: str
    estimand: Estimand
    estimate: float
    std_error: float
    mean_treated: float
    mean_control: float
    method: WeightedStdError
    nobs: int
    n_treated: int
    n_control: int
    provenance: Provenance

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row: the difference with z test and limits; `effect_measure` is "mean difference"."""
        if exponentiate:
            raise OptionError("exponentiate=True: a difference in means is not on a logarithmic scale")
        columns = wald_columns([self.estimate], [self.std_error], conf_level=conf_level)
        return pd.DataFrame({"term": [self.term], **columns, "effect_measure": ["mean difference"]})

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_treated, n_control, estimand, method (of the standard error)."""
        names = ("nobs", "n_treated", "n_control", "estimand", "method")
        return pd.DataFrame({name: [getattr(self, name)] for name in names})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Estimate and confidence limits."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(), effect_measure=f"Difference in {self.outcome}", reference=0.0, log=False, ax=ax)

    def _notes(self) -> list[str]:
        means = f"weighted mean of {self.outcome}: treated {self.mean_treated:.4g}, control {self.mean_control:.4g}"
        return [means, *super()._notes()]


def mean_difference(
    outcome: str,
    ps: PropensityWeights,
    data: Any,
    *,
    std_error: WeightedStdError = "m_estimation",
    missing: Missing = "drop",
) -> MeanDifference:
    r"""Compare the weighted means of an outcome between treated and controls.

    Parameters
    ----------
    outcome : str
        Column of `data`: numbers, or 0/1 or boolean for a risk difference.
    ps : PropensityWeights
    data : pandas or polars frame
        The frame the weights were made from, or one with the same rows.
    std_error : {"m_estimation", "robust"}
        Count the estimation of the scores, or treat the weights as known (the
        HC0 sandwich, equal to independence GEE; usually too large for ATE).
    missing : {"drop", "raise"}
        Rows without outcome are left out of the means, and counted in
        ``provenance``; the scores keep them. Subset the frame before
        `weight` to fit the scores on rows with an outcome.

    Returns
    -------
    MeanDifference

    Notes
    -----
    The estimate is :math:`\hat\tau = \sum_{A=1} w y / \sum_{A=1} w -
    \sum_{A=0} w y / \sum_{A=0} w` (Hajek), the slope of weighted least
    squares of outcome on treatment. The M-estimation variance stacks the
    score equations of the logistic model on those of the two means. It equals
    the default (``"asympt"``) of WeightIt's ``lm_weightit``, also in this: the
    derivative of a trimmed weight is that of the weight before trimming.

    References
    ----------
    Lunceford JK, Davidian M. Stat Med 2004;23:2937-2960. doi:10.1002/sim.1903
    Stefanski LA, Boos DD. Am Stat 2002;56:29-38. doi:10.1198/000313002753631330

    Examples
    --------
    >>> import pandas as pd
    >>> from dxa_causal import propensity
    >>> data = pd.DataFrame(
    ...     {
    ...         "treated": [1, 0, 0, 0, 1, 1, 1, 0, 0, 1],
    ...         "frail": [0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
    ...         "grip_kg": [30.0, 27, 29, 28, 22, 24, 20, 18, 20, 22],
    ...     }
    ... )
    >>> ps = propensity.weight("treated ~ frail", data)
    >>> propensity.mean_difference("grip_kg", ps, data).tidy()["estimate"].round(6).tolist()
    [2.6]
    """
    if not isinstance(ps, PropensityWeights):
        raise OptionError(f"ps must be what propensity.weight returns, not {type(ps).__name__}")
    check_option("std_error", std_error, WeightedStdError)
    check_option("missing", missing, Missing)
    frame = to_pandas(data)
    kept = ps.design.rows.keep
    values = _outcome_values(frame, outcome, ps, missing=missing)
    observed = ~np.isnan(values[kept])
    y, treated = values[kept][observed], ps.treated[observed]
    for arm, name in ((treated, "treated"), (~treated, "control")):
        if not arm.any():
            raise OutcomeError(f"outcome {outcome!r} is missing in all {name} rows that have a weight")
    weight = (ps.balancing.weight * ps.sampling)[observed]
    means = weighted_means(y, treated, weight)
    if std_error == "robust":
        phi = weight * means.residual
    else:
        phi = influence(
            means,
            weight,
            observed=observed,
            slope=(ps.balancing.slope * ps.sampling)[observed],
            x=np.column_stack([np.ones(ps.nobs), ps.design.x]),
            score=ps.sampling * (ps.treated - ps.fit.fitted),
            covariance=ps.fit.covariance,
        )
    absent = int(np.isnan(values).sum())
    call = format_call("propensity.mean_difference", outcome, std_error=std_error)
    return MeanDifference(
        term=ps.design.parts.outcome,
        outcome=outcome,
        estimand=ps.estimand,
        estimate=means.difference,
        std_error=float(np.sqrt(phi @ phi)),
        mean_treated=means.mean_treated,
        mean_control=means.mean_control,
        method=std_error,
        nobs=y.size,
        n_treated=int(treated.sum()),
        n_control=int((~treated).sum()),
        provenance=Provenance(
            call=call,
            n_rows=kept.size,
            n_used=y.size,
            missing=dict(ps.provenance.missing) | ({outcome: absent} if absent else {}),
            notes=(f"weights: {ps.provenance.call}",),
        ),
    )


def _outcome_values(frame: pd.DataFrame, outcome: str, ps: PropensityWeights, *, missing: Missing) -> FloatArray:
    if not frame.index.equals(ps.index):
        raise DxaCausalError(
            f"data must hold the rows the weights were made from: it has {len(frame)} rows, the weights {len(ps.index)}"
            + (" with other labels or in another order" if len(frame) == len(ps.index) else "")
            + "; pass the same frame, and subset before propensity.weight"
        )
    if outcome not in frame.columns:
        raise column_not_found(outcome, frame.columns, argument="outcome")
    series = frame[outcome]
    if not pd.api.types.is_numeric_dtype(series.dtype):
        raise OutcomeError(f"outcome {outcome!r} must be numbers, but the column holds {series.dtype} values")
    values: FloatArray = series.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise OutcomeError(f"outcome {outcome!r} is infinite in row {shown(frame.index[infinite[0]])}")
    absent = np.flatnonzero(np.isnan(values))
    if absent.size and missing == "raise":
        raise MissingDataError(
            f"outcome {outcome!r} is missing in {absent.size} of {len(frame)} rows, first row "
            f"{shown(frame.index[absent[0]])}; use missing='drop' to leave them out"
        )
    return values
