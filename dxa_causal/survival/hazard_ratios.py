"""What fits of log hazard ratios share: table, figure, Wald tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, nearest, shown
from dxa_causal._design import Design
from dxa_causal.results import HypothesisTest, NotApplicable, Result, wald_columns
from dxa_causal.survival.checks import chi_square_test

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


class HazardRatios(Result):
    """Base of fits with log hazard ratios and their covariance."""

    effect_measure: ClassVar[str] = "Hazard ratio"

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    design: Design

    @property
    def std_error(self) -> FloatArray:
        """Standard errors of the coefficients, (p,)."""
        return np.sqrt(np.diag(self.covariance))

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per term: log hazard ratio (hazard ratio if `exponentiate`), Wald test, limits."""
        columns = wald_columns(self.coefficients, self.std_error, conf_level=conf_level, exponentiate=exponentiate)
        return pd.DataFrame({"term": list(self.terms), **columns})

    @property
    def wald_test(self) -> HypothesisTest | NotApplicable:
        """All coefficients zero, with the covariance of the fit."""
        return self._wald(list(range(len(self.terms))), "Wald test", "all coefficients are zero")

    def wald(self, terms: str | list[str]) -> HypothesisTest | NotApplicable:
        """Wald test that some coefficients are zero together.

        Parameters
        ----------
        terms : str or list of str
            Terms of the formula (``"C(stage)"``, all columns of a factor or
            spline) or single coefficients (``"C(stage)[T.2]"``).
        """
        wanted = list(terms) if isinstance(terms, list | tuple) else [terms]
        known = self.design.term_columns
        own: list[int] = []
        for term in wanted:
            if not isinstance(term, str):
                raise OptionError(f"wald: terms are named by text, not {term!r}; there are {[*known]}")
            if term not in known and term not in self.terms:
                near = ", ".join(shown(t) for t in nearest(term, [*known, *self.terms]) or [*known])
                raise OptionError(f"wald: no term {term!r} in the fit; did you mean one of {near}?")
            own += known.get(term) or [self.terms.index(term)]
        return self._wald(sorted(set(own)), f"Wald test of {', '.join(wanted)}", "these coefficients are zero")

    def _wald(self, own: list[int], method: str, null: str) -> HypothesisTest | NotApplicable:
        b, v = self.coefficients[own], self.covariance[np.ix_(own, own)]
        scale = np.sqrt(np.diag(v))
        correlation = v / np.outer(scale, scale)
        if not np.isfinite(correlation).all() or np.linalg.matrix_rank(correlation, hermitian=True) < len(own):
            return NotApplicable(f"the covariance of the {len(own)} coefficients is singular (few clusters?)", method)
        z = b / scale
        statistic = float(z @ np.linalg.solve(correlation, z)) if own else 0.0
        return chi_square_test(statistic, len(own), method, null)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the hazard ratios."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy(exponentiate=True), effect_measure=self.effect_measure, ax=ax)
