"""Do the variants explain more of the exposure than of the outcome, as they should if it is the cause."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dxa_causal.mr._kernels.variance_explained import compare_correlations, sensitivity_ratio
from dxa_causal.mr.estimator import refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.variance import Scale, explained
from dxa_causal.results import NotApplicable

_NAME = "Steiger test of direction (z)"


@dataclass(frozen=True, eq=False, slots=True)
class SteigerTest:
    """Steiger's test of the causal direction.

    Attributes
    ----------
    r2_exposure, r2_outcome : float
        Variance explained by all variants together.
    correct_direction : bool
        Whether they explain more of the exposure.
    statistic, p_value : float
        Fisher's z of the difference of the two correlations; two-sided p.
    sensitivity_ratio : float
        Of all precisions with which exposure and outcome may have been
        measured, those (in volume) that keep the direction over those that
        turn it.
    n_exposure, n_outcome : float
        Mean sample sizes.
    n_variants : int
    """

    r2_exposure: float
    r2_outcome: float
    correct_direction: bool
    statistic: float
    p_value: float
    sensitivity_ratio: float
    n_exposure: float
    n_outcome: float
    n_variants: int

    @property
    def applicable(self) -> bool:
        """Always True."""
        return True

    def tidy(self) -> pd.DataFrame:
        """One row: method, r2_exposure, r2_outcome, correct_direction, statistic, p_value, sensitivity_ratio ..."""
        return pd.DataFrame(
            {
                "method": [_NAME],
                "r2_exposure": [self.r2_exposure],
                "r2_outcome": [self.r2_outcome],
                "correct_direction": [self.correct_direction],
                "statistic": [self.statistic],
                "p_value": [self.p_value],
                "sensitivity_ratio": [self.sensitivity_ratio],
                "n_variants": [self.n_variants],
                "reason": [""],
            }
        )

    def __str__(self) -> str:
        direction = "exposure to outcome" if self.correct_direction else "outcome to exposure"
        return (
            f"{_NAME}: R2 = {self.r2_exposure:.4g} of the exposure, {self.r2_outcome:.4g} of the outcome "
            f"({self.n_variants} variants); direction {direction}, z = {self.statistic:.4g}, p = {self.p_value:.4g}; "
            f"sensitivity ratio {self.sensitivity_ratio:.3g}"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self))}</p>"


def steiger(
    harmonised: Harmonised, *, exposure: Scale = "auto", outcome: Scale = "auto"
) -> SteigerTest | NotApplicable:
    r"""Test whether the variants explain more of the exposure than of the outcome.

    Parameters
    ----------
    harmonised : Harmonised
        With sample sizes (``n_exposure``, ``n_outcome``) of quantitative traits.
    exposure, outcome : {"auto", "p", "beta", "sd"} or CaseControl
        Where the variance explained comes from. Quantitative traits: "p" the
        p-value (not below 1e-300) and n, "beta" effect, standard error and n,
        "sd" effects in standard deviations and allele frequency; "auto" is
        "p" where there is one above 1e-300 and "beta" elsewhere. Binary
        traits: :class:`~dxa_causal.mr.CaseControl`, which takes log odds to the
        liability scale.

    Returns
    -------
    SteigerTest or NotApplicable
        Not applicable where sample sizes or frequencies are missing.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated: their shares of variance do not add up.

    Notes
    -----
    With :math:`r_x^2, r_y^2` the sums over variants, :math:`z = (\operatorname{artanh} r_x -
    \operatorname{artanh} r_y) / \sqrt{1/(n_x - 3) + 1/(n_y - 3)}` at the mean sample sizes. Quantitative:
    :math:`R^2 = F / (n - 2 + F)`. Binary: :math:`\beta^2 f (1 - f) / (\beta^2 f (1 - f) + \pi^2/3)` at the
    frequency :math:`f` in the population and the effective size :math:`2 / (1/n_1 + 1/n_0)`. These are
    TwoSampleMR's conventions (the lack of a factor 2 in the last one included). The test says nothing where
    confounding or measurement error differ between the traits: hence the sensitivity ratio.

    References
    ----------
    Hemani G et al. PLoS Genet 2017;13:e1007081. doi:10.1371/journal.pgen.1007081
    Lee SH et al. Genet Epidemiol 2012;36:214-224. doi:10.1002/gepi.21614

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21], se_exposure=[0.01, 0.01], beta_outcome=[0.05, 0.10], se_outcome=[0.02, 0.02],
    ...     n_exposure=20000, n_outcome=10000,
    ... )
    >>> steiger(h).tidy()[["r2_exposure", "r2_outcome", "correct_direction"]].round(4).to_dict("list")
    {'r2_exposure': [0.0266], 'r2_outcome': [0.0031], 'correct_direction': [True]}
    """
    refuse_correlated(harmonised)
    if harmonised.n_variants == 0:
        return NotApplicable("needs at least 1 variant; there are 0", method=_NAME)
    x, y = explained(harmonised, "exposure", exposure), explained(harmonised, "outcome", outcome)
    missing = " and ".join(side.missing for side in (x, y) if side.missing)
    if missing:
        return NotApplicable(f"needs {missing}", method=_NAME)
    r2_x, r2_y = float(x.r2.sum()), float(y.r2.sum())
    if max(r2_x, r2_y) >= 1.0:
        return NotApplicable(
            f"the variants would explain {100 * max(r2_x, r2_y):.4g} % of the variance: correlated variants, "
            "wrong sample sizes or effects that are not in standard deviations",
            method=_NAME,
        )
    n_x, n_y = float(x.n.mean()), float(y.n.mean())
    test = compare_correlations(r2_x, n_x, r2_y, n_y)
    return SteigerTest(
        r2_exposure=r2_x,
        r2_outcome=r2_y,
        correct_direction=r2_x > r2_y,
        statistic=float(test.z),
        p_value=float(test.p_value),
        sensitivity_ratio=sensitivity_ratio(r2_x, r2_y) if min(r2_x, r2_y) > 0.0 else math.inf,
        n_exposure=n_x,
        n_outcome=n_y,
        n_variants=harmonised.n_variants,
    )


def steiger_filter(harmonised: Harmonised, *, exposure: Scale = "auto", outcome: Scale = "auto") -> pd.DataFrame:
    """Test the direction variant by variant.

    Parameters
    ----------
    harmonised : Harmonised
    exposure, outcome : {"auto", "p", "beta", "sd"} or CaseControl
        As in :func:`dxa_causal.mr.steiger`.

    Returns
    -------
    DataFrame
        One row per variant: variant, r2_exposure, r2_outcome, n_exposure,
        n_outcome (effective sizes of binary traits), correct_direction,
        statistic, p_value (two-sided), and the reason where a number is
        missing.

    Notes
    -----
    Keeping only variants that explain more of the exposure is a sensitivity
    analysis: where the outcome GWAS is the larger one it drops true
    instruments too, and what is kept was chosen by both files.

    References
    ----------
    Hemani G et al. PLoS Genet 2017;13:e1007081. doi:10.1371/journal.pgen.1007081

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.01], se_exposure=[0.01, 0.01], beta_outcome=[0.01, 0.20], se_outcome=[0.02, 0.02],
    ...     n_exposure=20000, n_outcome=10000,
    ... )
    >>> steiger_filter(h)["correct_direction"].tolist()
    [True, False]
    """
    refuse_correlated(harmonised)
    x, y = explained(harmonised, "exposure", exposure), explained(harmonised, "outcome", outcome)
    with np.errstate(invalid="ignore", divide="ignore"):
        test = compare_correlations(
            np.where(x.r2 < 1.0, x.r2, np.nan), np.where(x.n > 3.0, x.n, np.nan),
            np.where(y.r2 < 1.0, y.r2, np.nan), np.where(y.n > 3.0, y.n, np.nan),
        )  # fmt: skip
    unknown = np.isnan(test.z)
    missing = " and ".join(side.missing for side in (x, y) if side.missing) or "shares of variance below 1"
    known = np.isfinite(x.r2) & np.isfinite(y.r2)
    direction = pd.array(np.where(known, x.r2 > y.r2, False), dtype="boolean")
    direction[~known] = pd.NA
    return pd.DataFrame(
        {
            "variant": harmonised.table["variant"].to_numpy(),
            "r2_exposure": x.r2,
            "r2_outcome": y.r2,
            "n_exposure": x.n,
            "n_outcome": y.n,
            "correct_direction": direction if not known.all() else x.r2 > y.r2,
            "statistic": test.z,
            "p_value": test.p_value,
            "reason": np.where(unknown, f"needs {missing}", ""),
        }
    )
