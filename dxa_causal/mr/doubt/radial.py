"""Radial MR: weights that know the error of the exposure, and outliers variant by variant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.options import check_option
from dxa_causal._core.rng import Seed, generator
from dxa_causal.mr._kernels.radial import Line, minimise_q, modified_weights, profile_q, through_origin, with_intercept
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.mr.estimator import refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.method_table import method_table
from dxa_causal.results import NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Weights = Literal[1, 2, 3]
_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class RadialResult(Result):
    """Radial estimates and each variant's part of Q.

    Attributes
    ----------
    harmonised : Harmonised
    weights : {1, 2, 3}
    method, term : tuple of str
    estimates, std_errors, df, q : (6,) ndarray
        `df` is nan for the normal distribution; `q` is Cochran's or Rucker's Q.
    square_weights, ratios : (n,) ndarray
        Axes of the radial plot: square root of the weights, and that times
        the ratio.
    q_ivw, q_egger : (n,) ndarray
        Parts of Q.
    alpha : float
    nobs : int
    """

    title: ClassVar[str] = "Radial Mendelian randomisation"

    harmonised: Harmonised
    weights: Weights
    method: tuple[str, ...]
    term: tuple[str, ...]
    estimates: FloatArray
    std_errors: FloatArray
    df: FloatArray
    q: FloatArray
    square_weights: FloatArray
    ratios: FloatArray
    q_ivw: FloatArray
    q_egger: FloatArray
    alpha: float
    nobs: int
    provenance: Provenance
    estimand: str = "effect of the exposure on the outcome per unit of the exposure"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Rows ivw_first, ivw_iterative, ivw_exact_fe, ivw_exact_re, egger (effect, intercept)."""
        table = method_table(
            self.method, self.term, self.estimates, self.std_errors, self.df, conf_level=conf_level,
            exponentiate=exponentiate,
        )  # fmt: skip
        return table.assign(n_variants=self.nobs)

    def heterogeneity(self) -> pd.DataFrame:
        """Q of the first-pass line, of the exact fixed-effect slope and of Egger: method, statistic, df, p_value."""
        from scipy.special import chdtrc

        rows = [(self.method[k], self.q[k], self.nobs - 1 - (k == 4)) for k in (0, 2, 4)]
        table = pd.DataFrame(rows, columns=["method", "statistic", "df"])
        return table.assign(p_value=chdtrc(table["df"], table["statistic"]), n_variants=self.nobs)

    def outliers(self, method: Literal["ivw", "egger"] = "ivw") -> pd.DataFrame:
        """One row per variant: variant, statistic (part of Q), p_value (chi-square, 1 df), outlier (p < alpha)."""
        from scipy.special import chdtrc

        check_option("method", method, ("ivw", "egger"))
        part = self.q_ivw if method == "ivw" else self.q_egger
        p_value = chdtrc(1, part)
        variant = self.harmonised.table["variant"].to_numpy()
        return pd.DataFrame(
            {"variant": variant, "statistic": part, "p_value": p_value, "outlier": p_value < self.alpha}
        )

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, f_statistic (mean over variants)."""
        h = self.harmonised
        return pd.DataFrame(
            {"n_variants": [self.nobs], "f_statistic": [float(np.mean((h.beta_exposure / h.se_exposure) ** 2))]}
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Radial plot: the slope from the origin is the estimate; outliers are filled."""
        from dxa_causal.plots.mr_doubt import radial_plot

        lines = {"IVW": (0.0, self.estimates[0]), "MR-Egger": (self.estimates[5], self.estimates[4])}
        return radial_plot(self.square_weights, self.ratios, self.outliers()["outlier"].to_numpy(), lines, ax=ax)

    def _notes(self) -> list[str]:
        flat = "all variants have the same weight: no line with an intercept can be told (egger is nan)"
        return [*([flat] if math.isnan(float(self.estimates[-1])) else []), *super()._notes()]


def radial(
    harmonised: Harmonised, *, weights: Weights = 1, alpha: float = 0.05, seed: Seed = None, n_draws: int = 1000
) -> RadialResult | NotApplicable:
    r"""Radial IVW and MR-Egger with first-order, second-order or modified weights.

    Parameters
    ----------
    harmonised : Harmonised
    weights : {1, 2, 3}
        Inverse variances of the ratios: 1 first order, 2 second order, 3
        second order at the first-order slope ("modified").
    alpha : float
        A variant is an outlier where its part of Q has a p-value below it.
    seed : int, Generator or None
        For the standard error of "ivw_exact_re", a parametric bootstrap.
    n_draws : int

    Returns
    -------
    RadialResult or NotApplicable
        The latter with fewer than three variants or a variant without effect
        on the exposure.

    Raises
    ------
    SummaryStatisticsError
        The variants are correlated (`ld` given).

    Notes
    -----
    Ratios :math:`r_j = y_j / x_j`, :math:`Q(\beta) = \sum w_j(\beta) (r_j - \beta)^2`
    with :math:`w_j(\beta) = x_j^2 / (\sigma_{yj}^2 + \beta^2 \sigma_{xj}^2)`.
    "ivw_iterative" repeats the weighted mean until the slope in its weights is
    its own; "ivw_exact_fe" minimises :math:`Q(\beta)` (R's RadialMR stops its
    search at 2e-5 of it, and looks only between -2 and 2); "ivw_exact_re"
    inflates :math:`\sigma_y^2` by a factor until the minimum equals n - 1. Standard
    errors as in RadialMR 1.2: with the dispersion even below one (first,
    iterative, Egger), :math:`(\sum w)^{-1/2}` (exact_fe), bootstrap (exact_re,
    t with n - 1 df).

    References
    ----------
    Bowden J et al. Int J Epidemiol 2018;47:1264-1278. doi:10.1093/ije/dyy101
    Bowden J et al. Int J Epidemiol 2019;48:728-742. doi:10.1093/ije/dyy258

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.1, 0.2, 0.15], se_exposure=[0.01] * 3,
    ...     beta_outcome=[0.05, 0.11, 0.07], se_outcome=[0.02] * 3,
    ... )
    >>> radial(h, seed=1).tidy()[["method", "estimate"]].round(3).to_dict("list")["estimate"][:2]
    [0.517, 0.517]
    """
    refuse_correlated(harmonised)
    check_option("weights", weights, (1, 2, 3))
    h, n = harmonised, harmonised.n_variants
    if n < 3:
        return NotApplicable(f"needs at least 3 variants; there {'is' if n == 1 else 'are'} {n}", method="radial MR")
    bx, by, sx, sy = h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome
    if (bx == 0).any():
        variant = h.table["variant"].iloc[int(np.flatnonzero(bx == 0)[0])]
        return NotApplicable(f"the effect of {variant!r} on the exposure is zero: no ratio", method="radial MR")
    ratios = by / bx
    first = through_origin(ratios, modified_weights(bx, sx, sy, 0.0))
    w, w_egger = _weights(weights, bx, by, sx, sy, first.estimate)
    line, egger = through_origin(ratios, w), with_intercept(ratios, w_egger)
    iterated = _iterate(bx, sx, sy, ratios, first.estimate)
    reach = 20.0 * max(first.std_error, float(np.median(np.abs(ratios - first.estimate))))
    low, high = np.array([first.estimate - reach]), np.array([first.estimate + reach])
    fixed = float(minimise_q(bx, by, sx, sy, low, high)[0])
    fixed_se = float(modified_weights(bx, sx, sy, fixed).sum()) ** -0.5
    phi, random = _random_effects(bx, by, sx, sy, low, high)
    rng = generator(seed)
    x = bx + sx * rng.standard_normal((n_draws, n))
    y = random * bx + math.sqrt(phi) * sy * rng.standard_normal((n_draws, n))
    ends = np.full(n_draws, random - reach), np.full(n_draws, random + reach)
    random_se = float(minimise_q(x, y, sx, sy, *ends, phi).std(ddof=1))
    nan = math.nan
    return RadialResult(
        harmonised=h,
        weights=weights,
        method=("ivw_first", "ivw_iterative", "ivw_exact_fe", "ivw_exact_re", "egger", "egger"),
        term=("effect", "effect", "effect", "effect", "effect", "intercept"),
        estimates=read_only([line.estimate, iterated.estimate, fixed, random, egger.slope, egger.intercept]),
        std_errors=read_only(
            [
                line.std_error,
                iterated.std_error,
                fixed_se,
                random_se,
                egger.slope_std_error,
                egger.intercept_std_error,
            ]
        ),  # fmt: skip
        df=read_only([nan, nan, nan, n - 1, n - 2, n - 2]),
        q=read_only(
            [
                line.q,
                iterated.q,
                float(profile_q(bx, by, sx, sy, np.array([fixed]), 1.0)[0]),
                n - 1,
                egger.q,
                egger.q,
            ]
        ),  # fmt: skip
        square_weights=read_only(np.sqrt(w)),
        ratios=read_only(np.sqrt(w) * ratios),
        q_ivw=read_only(line.parts),
        q_egger=read_only(egger.parts),
        alpha=alpha,
        nobs=n,
        provenance=Provenance(
            call=f"mr.radial(harmonised, weights={weights}, alpha={alpha}, seed={seed_shown(seed)!r})",
            n_rows=n,
            n_used=n,
            seed=seed_shown(seed),
            notes=(),
        ),
    )


def _weights(
    which: Weights, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, slope: float
) -> tuple[FloatArray, FloatArray]:
    """Weights of IVW and of Egger; the modified ones of Egger take the first-order slope of Egger."""
    simple = modified_weights(bx, sx, sy, 0.0)
    if which == 1:
        return simple, simple
    if which == 2:
        second = modified_weights(bx, sx, sy, by / bx)
        return second, second
    egger = with_intercept(by / bx, simple).slope
    return modified_weights(bx, sx, sy, slope), modified_weights(bx, sx, sy, egger)


def _iterate(bx: FloatArray, sx: FloatArray, sy: FloatArray, ratios: FloatArray, slope: float) -> Line:
    for _ in range(200):
        line = through_origin(ratios, modified_weights(bx, sx, sy, slope))
        if abs(line.estimate - slope) <= _TOLERANCE * max(1.0, abs(slope)):
            break
        slope = line.estimate
    return line


def _random_effects(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[float, float]:
    """Factor of the outcome's variance at which the smallest Q is n - 1, never below 1, and the slope there."""
    from scipy.optimize import brentq

    def slope(phi: float) -> FloatArray:
        return minimise_q(bx, by, sx, sy, low, high, phi)

    def excess(phi: float) -> float:
        return float(profile_q(bx, by, sx, sy, slope(phi), phi)[0]) - (bx.size - 1)

    if excess(1.0) <= 0:
        return 1.0, float(slope(1.0)[0])
    top = 2.0
    while excess(top) > 0:
        top *= 2.0
    phi = float(brentq(excess, 1.0, top, xtol=1e-12))
    return phi, float(slope(phi)[0])
