"""The outcome of a test of a hypothesis is a value: done, or not applicable and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, slots=True)
class HypothesisTest:
    """A test statistic with its distribution under the null hypothesis.

    Attributes
    ----------
    statistic : float
    df : float or None
        Degrees of freedom; None for a normal statistic.
    p_value : float
    method : str
        Name of the test, with the reference distribution.
    null : str
        The null hypothesis in words.
    """

    statistic: float
    df: float | None
    p_value: float
    method: str
    null: str = ""

    @property
    def applicable(self) -> bool:
        """Always True."""
        return True

    def tidy(self) -> pd.DataFrame:
        """One row: method, statistic, df, p_value, reason (empty)."""
        import pandas as pd

        return pd.DataFrame(
            {
                "method": [self.method],
                "statistic": [self.statistic],
                "df": [math.nan if self.df is None else self.df],
                "p_value": [self.p_value],
                "reason": [""],
            }
        )

    def __str__(self) -> str:
        df = "" if self.df is None else f", df = {self.df:g}"
        null = f"; null hypothesis: {self.null}" if self.null else ""
        return f"{self.method}: statistic = {self.statistic:.6g}{df}, p = {self.p_value:.4g}{null}"

    def _repr_html_(self) -> str:
        import html

        return f"<p>{html.escape(str(self))}</p>"


@dataclass(frozen=True, eq=False, slots=True)
class NotApplicable:
    """A test that cannot be done on these data, and why.

    Attributes
    ----------
    reason : str
    method : str
        Name of the test.
    """

    reason: str
    method: str = ""

    @property
    def applicable(self) -> bool:
        """Always False."""
        return False

    def tidy(self) -> pd.DataFrame:
        """One row: method, missing statistic, df and p_value, and the reason."""
        import pandas as pd

        return pd.DataFrame(
            {
                "method": [self.method],
                "statistic": [math.nan],
                "df": [math.nan],
                "p_value": [math.nan],
                "reason": [self.reason],
            }
        )

    def __str__(self) -> str:
        return f"{self.method or 'test'} not applicable: {self.reason}"
