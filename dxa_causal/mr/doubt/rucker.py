"""Rucker's framework: which of four models the heterogeneity supports."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.mr._kernels.regression import EggerEstimate, IvwEstimate, egger, ivw
from dxa_causal.mr.estimator import Convention, refuse_correlated
from dxa_causal.mr.estimators import ESTIMATORS
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.method_table import method_table
from dxa_causal.results import NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Letter = Literal["A", "B", "C", "D"]
_LETTERS: tuple[Letter, ...] = ("A", "B", "C", "D")
_METHODS = ("ivw_fixed", "ivw_random", "egger_fixed", "egger_random")
_WORDS = ("IVW, fixed effects", "IVW, random effects", "MR-Egger, fixed effects", "MR-Egger, random effects")


@dataclass(frozen=True, eq=False, repr=False)
class RuckerResult(Result):
    """Four models of the same variants, and the one that the heterogeneity supports.

    Attributes
    ----------
    harmonised : Harmonised
    selected : {"A", "B", "C", "D"}
        Fixed-effect IVW, random-effects IVW, fixed-effect or random-effects
        MR-Egger.
    estimates, std_errors, df : (4,) ndarray
        Of the models in that order; `df` is nan for the normal distribution.
    q, q_df, q_p : (3,) ndarray
        Cochran's Q of IVW, Rucker's Q' of MR-Egger, and their difference.
    significance : float
    nobs : int
    """

    title: ClassVar[str] = "Rucker's framework"

    harmonised: Harmonised
    selected: Letter
    estimates: FloatArray
    std_errors: FloatArray
    df: FloatArray
    q: FloatArray
    q_df: FloatArray
    q_p: FloatArray
    significance: float
    nobs: int
    provenance: Provenance
    estimand: str = "effect of the exposure on the outcome per unit of the exposure"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Rows ivw_fixed, ivw_random, egger_fixed, egger_random (models A to D), with `selected` true for one."""
        table = method_table(
            _METHODS, ("effect",) * 4, self.estimates, self.std_errors, self.df, conf_level=conf_level,
            exponentiate=exponentiate,
        )  # fmt: skip
        table.insert(1, "model", list(_LETTERS))
        return table.assign(n_variants=self.nobs, selected=[letter == self.selected for letter in _LETTERS])

    def heterogeneity(self) -> pd.DataFrame:
        """Rows ivw (Cochran's Q), egger (Rucker's Q'), difference: method, statistic, df, p_value."""
        columns = {"method": ["ivw", "egger", "difference"], "statistic": self.q, "df": self.q_df, "p_value": self.q_p}
        return pd.DataFrame(columns)

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, method (the one selected)."""
        return pd.DataFrame({"n_variants": [self.nobs], "method": [_METHODS[_LETTERS.index(self.selected)]]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Q of IVW and Q' of MR-Egger, in the plane that the tests part into A to D."""
        from dxa_causal.plots.mr_rucker import rucker_plane

        return rucker_plane(float(self.q[0]), float(self.q[1]), self.nobs, self.significance, ax=ax)

    def _notes(self) -> list[str]:
        return [f"selected: {self.selected} ({_WORDS[_LETTERS.index(self.selected)]})", *super()._notes()]


def rucker(
    harmonised: Harmonised, *, significance: float = 0.05, convention: Convention = "twosamplemr"
) -> RuckerResult | NotApplicable:
    r"""Choose between fixed and random effects, IVW and MR-Egger.

    Parameters
    ----------
    harmonised : Harmonised
    significance : float
        For the tests of heterogeneity.
    convention : {"twosamplemr", "mendelianrandomization"}
        Standard errors where the variants agree better than chance
        (:math:`\hat\sigma < 1`). "twosamplemr" has all four smaller for it, the
        fixed-effect ones too; "mendelianrandomization", the cautious choice, sets
        :math:`\hat\sigma` to one, as that package's models do, and takes MR-Egger's
        tests from the normal distribution.

    Returns
    -------
    RuckerResult or NotApplicable
        The latter where MR-Egger does not apply.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given).

    Notes
    -----
    A (fixed-effect IVW) when Q of IVW is not significant; else B (random effects)
    when :math:`Q - Q'` (1 df) is not; else C (fixed-effect MR-Egger) when
    :math:`Q'` of MR-Egger is not; else D (random effects). With the standard error
    :math:`s` of the regression and its residual standard error :math:`\hat\sigma`:
    TwoSampleMR has :math:`s / \max(1, \hat\sigma)` for fixed and :math:`s` for random
    effects; MendelianRandomization :math:`s / \hat\sigma` and
    :math:`s \max(1, \hat\sigma) / \hat\sigma`.

    The choice is made on the same data as the estimate: limits of the selected
    model are too narrow by what the choice hides.

    References
    ----------
    Bowden J et al. Int J Epidemiol 2018;47:1264-1278. doi:10.1093/ije/dyy101

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.01] * 3, beta_outcome=[0.05, 0.10, 0.08],
    ...     se_outcome=[0.02] * 3,
    ... )
    >>> result = rucker(h)
    >>> result.selected, result.heterogeneity()["statistic"].round(3).tolist()
    ('A', [0.122, 0.088, 0.034])
    """
    from scipy.special import chdtrc

    refuse_correlated(harmonised)
    check_option("convention", convention, Convention)
    if not 0.0 < significance < 1.0:
        raise OptionError(f"significance={significance!r} must lie between 0 and 1; 0.05 is usual")
    h, n = harmonised, harmonised.n_variants
    arrays = (h.beta_exposure, h.beta_outcome, h.se_outcome)
    reason = ESTIMATORS["egger"].reason(h)
    line = None if reason else egger(*arrays)
    if line is None:
        return NotApplicable(reason, method="Rucker's framework")
    origin = ivw(*arrays)
    found = _models(origin, line, convention)
    q = np.array([origin.q, line.q, max(origin.q - line.q, 0.0)])
    q_df = np.array([origin.df, line.df, 1.0])
    q_p = np.asarray(chdtrc(q_df, q), dtype=np.float64)
    selected: Letter = "A"
    if q_p[0] <= significance:
        selected = "B" if q_p[2] > significance else "C" if q_p[1] > significance else "D"
    return RuckerResult(
        harmonised=h,
        selected=selected,
        estimates=read_only([origin.estimate] * 2 + [line.slope] * 2),
        std_errors=read_only(found.std_errors),
        df=read_only([math.nan, math.nan, found.df, found.df]),
        q=read_only(q),
        q_df=read_only(q_df),
        q_p=read_only(q_p),
        significance=significance,
        nobs=n,
        provenance=Provenance(
            call=f"mr.rucker(harmonised, significance={significance}, convention={convention!r})",
            n_rows=n, n_used=n, seed=None, notes=(),
        ),
    )  # fmt: skip


class _Models(NamedTuple):
    std_errors: list[float]
    df: float  # of MR-Egger's t


def _models(origin: IvwEstimate, line: EggerEstimate, convention: Convention) -> _Models:
    """Standard errors of A to D."""
    sigma = (line.q / line.df) ** 0.5
    fixed = origin.std_error_fixed, line.slope_std_error / max(1.0, sigma)  # at a residual standard error of one
    if convention == "twosamplemr":
        narrow = min(1.0, origin.sigma), min(1.0, sigma)
        std_errors = [fixed[0] * narrow[0], fixed[0] * origin.sigma, fixed[1] * narrow[1], fixed[1] * sigma]
        return _Models(std_errors, float(line.df))
    return _Models([fixed[0], fixed[0] * max(1.0, origin.sigma), fixed[1], fixed[1] * max(1.0, sigma)], math.nan)
