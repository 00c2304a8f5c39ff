"""D-calibration: whether predicted survival, read at each person's own time, is spread as chance would have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.calibration import survival_bins
from dxa_causal.survival.checks import chi_square_test
from dxa_causal.survival.evaluation.predictions import EvaluationRows, evaluation_rows, predicted_risks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
BinVariance = Literal["multinomial", "empirical"]

_LEAST = 5  # events that a bin must hold for its variance to be estimated
_BLOCK = 1000  # rows whose own times are predicted together
_NULL = "the predicted survival at the event time is uniform"


@dataclass(frozen=True, eq=False, repr=False)
class DCalibration(Result):
    """D-calibration of models.

    Attributes
    ----------
    tests : dict of str to HypothesisTest or NotApplicable
    bins : DataFrame
        model, low, high (predicted survival), n (rows, censored ones in parts), n_expected.
    variance : {"multinomial", "empirical"}
    """

    title: ClassVar[str] = "D-calibration"

    tests: dict[str, HypothesisTest | NotApplicable]
    bins: pd.DataFrame
    variance: BinVariance
    nobs: int
    n_events: int
    provenance: Provenance
    estimand: str = "distribution of predicted survival at the event time"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per model: statistic, df, p_value, reason."""
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning for a test")
        table = pd.concat([test.tidy() for test in self.tests.values()], ignore_index=True)
        table.insert(0, "model", list(self.tests))
        return table.drop(columns="method")

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_events, method (variance of the counts)."""
        return pd.DataFrame({"nobs": [self.nobs], "n_events": [self.n_events], "method": [self.variance]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Share of the rows in each bin; all are alike where the model is right."""
        from dxa_causal.plots.calibration import survival_bins as draw

        return draw(self.bins, ax=ax)


def d_calibration(
    models: Any,
    data: Any,
    *,
    outcome: str | None = None,
    cause: Any = None,
    n_bins: int = 10,
    variance: BinVariance = "multinomial",
) -> DCalibration:
    r"""Test whether predicted survival curves as a whole agree with the outcomes.

    Parameters
    ----------
    models : mapping of str to model, or one model
        Fits of this package or estimators that predict survival at any time.
    data : pandas or polars frame
        Rows to judge on, not those of the fit.
    outcome : str, optional
        ``"Surv(time, event)"``; that of the fits when omitted.
    cause : optional
        The event, where its code is not 1.
    n_bins : int
    variance : {"multinomial", "empirical"}
        "multinomial" is the test of Haider et al., which with censoring rejects too rarely: a censored row is spread
        over bins and varies less than an event. "empirical" takes the covariance of the rows' shares, so that the
        level holds with censoring; bins with fewer than five events are joined with the next.

    Returns
    -------
    DCalibration

    Notes
    -----
    Under the model S(T) is uniform. An event counts in the bin of its :math:`s = \hat S(t)`, a censored row is spread
    evenly over (0, s). With :math:`o_b` rows in each of B bins the statistic is
    :math:`\sum_b (o_b - n / B)^2 / (n / B)` on B - 1 degrees of freedom. It sees neither discrimination nor where in
    time a model is wrong, and on the rows of the fit it is too small.

    References
    ----------
    Haider H, et al. J Mach Learn Res 2020;21(85):1-63.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhefs")
    >>> fit = dc.survival.cox("Surv(survtime, death) ~ age", cohort.iloc[::2])
    >>> float(d_calibration(fit, cohort.iloc[1::2]).tidy()["p_value"].round(1).iloc[0])
    1.0
    """
    check_option("variance", variance, BinVariance)
    if not isinstance(n_bins, int) or n_bins < 2:
        raise OptionError(f"n_bins={n_bins!r} must be a whole number, at least 2")
    rows = evaluation_rows(models, data, outcome=outcome, cause=cause)
    tests: dict[str, HypothesisTest | NotApplicable] = {}
    frames = []
    for name in rows.models:
        shares = _shares(rows, name, n_bins)
        if isinstance(shares, NotApplicable):
            tests[name] = shares
            continue
        tests[name] = _test(shares, rows.outcome.event > 0, variance)
        edges = np.arange(n_bins + 1) / n_bins
        frames.append(
            pd.DataFrame(
                {
                    "model": name,
                    "low": edges[:-1],
                    "high": edges[1:],
                    "n": shares.sum(axis=0),
                    "n_expected": len(shares) / n_bins,
                }
            )
        )
    call = format_call("survival.d_calibration", list(rows.models), outcome=outcome, n_bins=n_bins, variance=variance)
    empty = pd.DataFrame(columns=["model", "low", "high", "n", "n_expected"])
    return DCalibration(
        tests=tests,
        bins=pd.concat(frames, ignore_index=True) if frames else empty,
        variance=variance,
        nobs=len(rows.frame),
        n_events=int((rows.outcome.event > 0).sum()),
        provenance=rows.design.provenance(call),
    )


def _test(shares: FloatArray, event: npt.NDArray[np.bool_], variance: BinVariance) -> HypothesisTest | NotApplicable:
    n, n_bins = shares.shape
    method = f"D-calibration, {n_bins} bins"
    deviation = shares - 1 / n_bins
    if variance == "multinomial":
        statistic, df = float(np.sum(deviation.sum(axis=0) ** 2)) * n_bins / n, n_bins - 1
    else:
        joined = _joined(shares[event].sum(axis=0))
        df = joined.size - 1
        if df < 1:
            return NotApplicable(f"fewer than two bins hold {_LEAST} events", method)
        part = np.add.reduceat(deviation, joined, axis=1)[:, 1:]
        total = part.sum(axis=0)
        statistic = float(total @ np.linalg.solve(part.T @ part, total))
    test = chi_square_test(statistic, df, method)
    return HypothesisTest(test.statistic, test.df, test.p_value, test.method, _NULL)


def _joined(n_events: FloatArray) -> npt.NDArray[np.int64]:
    """First bins of runs that hold enough events each; bins of low survival, which few reach, join the next."""
    starts, held = [0], 0.0
    for b, number in enumerate(n_events):
        if held >= _LEAST and n_events[b:].sum() >= _LEAST:
            starts.append(b)
            held = 0.0
        held += number
    return np.array(starts)


def _shares(rows: EvaluationRows, name: str, n_bins: int) -> FloatArray | NotApplicable:
    method = f"D-calibration, {n_bins} bins"
    model = rows.models[name]
    if rows.competing:
        return NotApplicable("with competing causes the incidence does not reach one", method)
    if isinstance(model, str | np.ndarray):
        return NotApplicable("risks at fixed horizons say nothing of other times; give the fit", method)
    try:
        survival = survival_at_own_time(model, rows.frame, rows.outcome.time)
    except OptionError as error:
        return NotApplicable(str(error), method)
    return survival_bins(survival, rows.outcome.event > 0, n_bins)


def survival_at_own_time(model: Any, frame: pd.DataFrame, time: FloatArray) -> FloatArray:
    """Predicted survival of each row at its time of event or censoring, (n,)."""
    survival = np.empty(time.size)
    for block in np.array_split(np.argsort(time, kind="stable"), max(1, time.size // _BLOCK)):
        distinct, place = np.unique(time[block], return_inverse=True)
        risk = predicted_risks({"model": model}, frame.iloc[block], distinct)["model"]
        survival[block] = 1.0 - risk[np.arange(block.size), place]
    return survival
