"""What every result can do: tidy, glance, summary, plot."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from dxa_causal._core.options import check_conf_level
from dxa_causal.results.provenance import Provenance
from dxa_causal.results.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


class Result(abc.ABC):
    """Base of every fitted model: frozen, made of read-only arrays.

    Subclasses are ``@dataclass(frozen=True, eq=False)`` with at least the
    fields `nobs`, `estimand` and `provenance`, and a class attribute `title`.
    """

    title: ClassVar[str]
    nobs: int
    estimand: str
    provenance: Provenance

    @abc.abstractmethod
    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term, columns from the glossary."""

    @abc.abstractmethod
    def glance(self) -> pd.DataFrame:
        """One row that describes the fit."""

    @abc.abstractmethod
    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the result and return the axes."""

    def _notes(self) -> list[str]:
        """Lines printed below the tables."""
        return [self.provenance.describe()]

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Tables and notes that print as text or HTML."""
        return Summary(self.title, [self.tidy(conf_level=conf_level), self.glance()], self._notes())

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def read_only(array: npt.ArrayLike) -> Any:
    """Return a float64 (or boolean) array that cannot be written to, a view where possible."""
    given = np.asarray(array)
    frozen = given.view() if given.dtype == bool else given.astype(np.float64, copy=False).view()
    frozen.flags.writeable = False
    return frozen


def wald_columns(
    estimate: npt.ArrayLike,
    std_error: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
    exponentiate: bool = False,
    df: npt.ArrayLike | None = None,
) -> dict[str, FloatArray]:
    """Columns estimate ... conf_high of a table of Wald tests.

    Parameters
    ----------
    estimate, std_error : (p,) array_like
    conf_level : float
    exponentiate : bool
        Exponentiate the estimate and its limits; the standard error stays on
        the log scale, as in R's broom.
    df : float or (p,) array_like, optional
        Degrees of freedom of a t statistic; None, or nan row by row, for the
        normal distribution.

    Returns
    -------
    dict of str to (p,) ndarray
        estimate, std_error, statistic, p_value, conf_low, conf_high.
    """
    from scipy import special

    check_conf_level(conf_level)
    estimate = np.asarray(estimate, dtype=np.float64)
    std_error = np.asarray(std_error, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / std_error
    p_value = 2.0 * special.ndtr(-np.abs(statistic))
    quantile: npt.ArrayLike = special.ndtri(0.5 + conf_level / 2.0)
    if df is not None:
        df = np.asarray(df, dtype=np.float64)
        normal = np.isnan(df)
        p_value = np.where(normal, p_value, 2.0 * special.stdtr(df, -np.abs(statistic)))
        quantile = np.where(normal, quantile, special.stdtrit(df, 0.5 + conf_level / 2.0))
    low, high = estimate - quantile * std_error, estimate + quantile * std_error
    if exponentiate:
        with np.errstate(over="ignore"):
            estimate, low, high = np.exp(estimate), np.exp(low), np.exp(high)
    return {
        "estimate": estimate,
        "std_error": std_error,
        "statistic": statistic,
        "p_value": p_value,
        "conf_low": low,
        "conf_high": high,
    }
