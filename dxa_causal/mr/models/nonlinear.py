"""Non-linear Mendelian randomisation: effects in strata of the exposure, and tests of whether they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, OutcomeError, PredictorError
from dxa_causal._core.options import check_conf_level, check_option, check_whole_number
from dxa_causal._core.rng import Seed, generator
from dxa_causal._core.warnings import SummaryStatisticsWarning, warn
from dxa_causal.mr._kernels.strata import Association, by_residual, doubly_ranked, fractional_polynomial, linear
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only, wald_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Stratification = Literal["doubly_ranked", "residual"]
Family = Literal["linear", "logistic"]
_NO_EXPOSURE = "the instrument or a covariate does not vary in the stratum"
_NO_OUTCOME = {
    "linear": _NO_EXPOSURE,
    "logistic": "no cases (or only cases) in the stratum, or a covariate separates them: no finite estimate",
}
_RESIDUAL = (
    "method='residual' is biased where the effect of the instrument on the exposure differs from person to person, "
    "and has found effects on sex and age; use 'doubly_ranked'"
)


@dataclass(frozen=True, eq=False, repr=False)
class NonlinearResult(Result):
    """Localised average causal effects in strata of the exposure.

    Attributes
    ----------
    strata : (n,) ndarray
        Stratum of every row analysed, from 1.
    index : Index
        Labels of these rows.
    means, lows, highs : (k,) ndarray
        Mean, 10th and 90th percentile of the exposure in each stratum.
    sizes : (k,) ndarray
    beta_exposure, se_exposure, beta_outcome, se_outcome : (k,) ndarray
        Associations of the instrument in each stratum.
    family, method : str
    exposure, outcome, instrument : str
    nobs : int
    """

    title: ClassVar[str] = "Non-linear Mendelian randomisation"

    strata: FloatArray
    index: pd.Index
    means: FloatArray
    lows: FloatArray
    highs: FloatArray
    sizes: FloatArray
    beta_exposure: FloatArray
    se_exposure: FloatArray
    beta_outcome: FloatArray
    se_outcome: FloatArray
    family: Family
    method: Stratification
    exposure: str
    outcome: str
    instrument: str
    nobs: int
    provenance: Provenance
    estimand: str = "average causal effect of one unit of the exposure around its level in each stratum"

    @property
    def lace(self) -> FloatArray:
        """Localised average causal effects (k,)."""
        return self.beta_outcome / self.beta_exposure

    @property
    def lace_se(self) -> FloatArray:
        """Their standard errors, from the outcome's association alone."""
        return self.se_outcome / np.abs(self.beta_exposure)

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per stratum, lowest first: group, value (mean exposure), effect with Wald test, limits, n, reason."""
        columns = wald_columns(self.lace, self.lace_se, conf_level=conf_level, exponentiate=exponentiate)
        reason = np.where(np.isfinite(self.beta_outcome), "", _NO_OUTCOME[self.family])
        reason = np.where(np.isfinite(self.beta_exposure), reason, _NO_EXPOSURE)
        group = np.arange(1, self.means.size + 1).astype(str)
        table = pd.DataFrame({"group": group, "value": self.means, **columns})
        return table.assign(n=self.sizes.astype(int), reason=reason)

    def strengths(self) -> pd.DataFrame:
        """One row per stratum: group, low, mean, high (10th, 90th percentile) of the exposure, F of the instrument."""
        f = (self.beta_exposure / self.se_exposure) ** 2
        group = np.arange(1, self.means.size + 1).astype(str)
        columns = {"low": self.lows, "mean": self.means, "high": self.highs, "f_statistic": f}
        return pd.DataFrame({"group": group, **columns})

    def tests(self) -> tuple[HypothesisTest | NotApplicable, ...]:
        """Tests of one effect throughout: heterogeneity (Q), trend, and fractional polynomial against a line."""
        return _tests(self)

    def curve(
        self, values: npt.ArrayLike | None = None, *, reference: float | None = None, conf_level: float = 0.95
    ) -> pd.DataFrame:
        """Piecewise linear curve of the outcome: value, estimate (against the reference), std_error, limits.

        Parameters
        ----------
        values : (m,) array_like, optional
            Of the exposure; 101 between the lowest and the highest stratum's mean
            when omitted. Beyond, the outer slopes go on.
        reference : float, optional
            Where the curve is zero; the mean of the strata's means when omitted.
        conf_level : float

        Notes
        -----
        Slopes change half way between the means of neighbouring strata.
        """
        check_conf_level(conf_level)
        fine = np.isfinite(self.lace)
        if not fine.any():
            raise OptionError("curve: no stratum has an effect; tidy() says why")
        means, slope, error = self.means[fine], self.lace[fine], self.lace_se[fine]
        at = np.linspace(means[0], means[-1], 101) if values is None else np.asarray(values, dtype=np.float64)
        origin = float(means.mean()) if reference is None else float(reference)
        ends = np.concatenate([[-np.inf], 0.5 * (means[1:] + means[:-1]), [np.inf]])

        def position(x: npt.ArrayLike) -> FloatArray:
            """Signed length of the way from the first inner end to x within each piece."""
            lowest = ends[1] if ends.size > 2 else 0.0
            x = np.asarray(x, dtype=np.float64)[..., None]
            return np.clip(x, ends[:-1], ends[1:]) - np.clip(lowest, ends[:-1], ends[1:])

        length = position(at) - position(origin)
        columns = wald_columns(length @ slope, np.sqrt(length**2 @ error**2), conf_level=conf_level)
        return pd.DataFrame(
            {"value": at, **{c: columns[c] for c in ("estimate", "std_error", "conf_low", "conf_high")}}
        )

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_groups, method, f_statistic (of the weakest stratum)."""
        f = float(np.nanmin((self.beta_exposure / self.se_exposure) ** 2))
        row = {"nobs": self.nobs, "n_groups": self.means.size, "method": self.method, "f_statistic": f}
        return pd.DataFrame([row])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Effect by mean exposure of the stratum, with 95% limits."""
        from dxa_causal.plots.mr_models import strata_plot

        effect = "Effect" if self.family == "linear" else "Log odds ratio per unit"
        return strata_plot(self.tidy(), ax=ax, exposure=self.exposure, outcome=self.outcome, effect=effect)

    def _notes(self) -> list[str]:
        notes = [str(test) for test in self.tests()]
        if self.method == "residual":
            notes.append(_RESIDUAL)
        return [*notes, *super()._notes()]


def nonlinear(
    formula: str,
    data: Any,
    *,
    exposure: str,
    instrument: str,
    n_strata: int = 10,
    method: Stratification = "doubly_ranked",
    family: Family = "linear",
    seed: Seed = None,
) -> NonlinearResult | NotApplicable:
    r"""Estimate the effect of an exposure at its several levels, from people in one study.

    Parameters
    ----------
    formula : str
        Outcome and covariates that the associations are adjusted for, such as
        ``"sbp ~ age + C(sex)"`` or ``"sbp ~ 1"``.
    data : pandas or polars frame
    exposure, instrument : str
        Columns; the instrument usually is a genetic score.
    n_strata : int
    method : {"doubly_ranked", "residual"}
        How strata are made. The residual method warns.
    family : {"linear", "logistic"}
        Of the outcome; with "logistic" effects are log odds ratios.
    seed : int, Generator or None
        Where the instrument or the exposure has ties, people are put in random
        order first; None keeps the order of rows.

    Returns
    -------
    NonlinearResult or NotApplicable
        The latter with fewer than 20 people a stratum.

    Warns
    -----
    SummaryStatisticsWarning
        With ``method="residual"``.

    Notes
    -----
    People with like exposures differ in what else they have inherited:
    strata of the exposure itself open a path through its other causes. Doubly-ranked
    strata are made within small sets of people with like
    instruments: rank all by the instrument, cut into sets as large as there are
    strata, and put the j-th exposure of each set into stratum j. They need only
    that the instrument does not change the order of exposures among people, not that its effect is the
    same for all. The effect of stratum k is the ratio of the instrument's
    associations, :math:`\hat\beta_{Yk} / \hat\beta_{Xk}`, with standard error
    :math:`\sigma_{Yk} / |\hat\beta_{Xk}|`. Q weights by
    :math:`\sigma_{Yk}^2 + \hat\theta^2 \sigma_{Xk}^2`, as the R package DRMR does.

    References
    ----------
    Tian H et al. PLoS Genet 2023;19:e1010823. doi:10.1371/journal.pgen.1010823
    Staley JR, Burgess S. Genet Epidemiol 2017;41:341-352. doi:10.1002/gepi.22041

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> score, cause = rng.standard_normal((2, 20_000))
    >>> bmi = 27 + score + 2 * cause + rng.standard_normal(20_000)
    >>> people = pd.DataFrame({"score": score, "bmi": bmi, "sbp": 0.05 * (bmi - 27) ** 2 + cause})
    >>> fit = nonlinear("sbp ~ 1", people, exposure="bmi", instrument="score", n_strata=4)
    >>> fit.tidy()["estimate"].round(1).tolist()
    [-0.2, -0.1, 0.1, 0.2]
    """
    from dxa_causal._design.matrix import build_design  # loads formulaic; not needed until data arrive

    check_option("method", method, Stratification)
    check_option("family", family, Family)
    check_whole_number("n_strata", n_strata, 2)
    if exposure == instrument:
        raise OptionError(f"instrument={instrument!r} is the exposure itself")
    design = build_design(formula, data, arguments={"exposure": exposure, "instrument": instrument})
    x = np.asarray(design.number(exposure, argument="exposure"))
    z = np.asarray(design.number(instrument, argument="instrument"))
    y = _outcome(design.outcome, design.parts.outcome, family)
    if y.size < 20 * n_strata:
        return NotApplicable(
            f"{y.size} rows; {n_strata} strata need {20 * n_strata}", method="non-linear Mendelian randomisation"
        )
    if np.ptp(z) == 0 or np.ptp(x) == 0:
        name = instrument if np.ptp(z) == 0 else exposure
        raise PredictorError(f"{name!r} has the same value in every row")
    ties = np.unique(z).size < z.size or np.unique(x).size < x.size
    order = generator(seed).permutation(z.size) if ties and seed is not None else np.arange(z.size)
    if method == "residual":
        warn(_RESIDUAL, SummaryStatisticsWarning)
    stratify = doubly_ranked if method == "doubly_ranked" else by_residual
    strata = np.empty(z.size, dtype=np.int64)
    strata[order] = stratify(z[order], x[order], n_strata)
    full = np.column_stack([np.ones_like(z), z, design.x])
    members = [strata == k for k in range(n_strata)]
    first = [linear(full[m], x[m]) for m in members]
    second = [linear(full[m], y[m]) if family == "linear" else _logistic(full[m], y[m]) for m in members]
    quantiles = np.array([np.quantile(x[m], [0.1, 0.9]) for m in members])
    notes = ("ties in instrument or exposure were broken by the order of rows; seed= breaks them at random",)
    return NonlinearResult(
        strata=read_only(strata + 1.0), index=design.index, means=read_only([x[m].mean() for m in members]),
        lows=read_only(quantiles[:, 0]), highs=read_only(quantiles[:, 1]),
        sizes=read_only([m.sum() for m in members]),
        beta_exposure=read_only([a.estimate for a in first]), se_exposure=read_only([a.std_error for a in first]),
        beta_outcome=read_only([a.estimate for a in second]), se_outcome=read_only([a.std_error for a in second]),
        family=family, method=method, exposure=exposure, outcome=design.parts.outcome, instrument=instrument,
        nobs=y.size,
        provenance=design.provenance(
            f"mr.nonlinear({formula!r}, data, exposure={exposure!r}, instrument={instrument!r}, n_strata={n_strata}, "
            f"method={method!r}, family={family!r}, seed={seed_shown(seed)!r})",
            seed=seed_shown(seed), notes=notes if ties and seed is None else (),
        ),
    )  # fmt: skip


def _outcome(outcome: Any, name: str, family: Family) -> FloatArray:
    try:
        y = np.asarray(outcome, dtype=np.float64)
    except (TypeError, ValueError):
        raise OutcomeError(f"the outcome {name!r} must hold numbers") from None
    if y.ndim != 1 or not np.isfinite(y).all():
        raise OutcomeError(f"the outcome {name!r} must be one column of finite numbers")
    if family == "logistic" and not np.isin(y, (0.0, 1.0)).all():
        raise OutcomeError(f"the outcome {name!r} must be 0 or 1 with family='logistic'; it has {np.unique(y)[:4]} ...")
    return y


def _logistic(design: FloatArray, y: FloatArray) -> Association:
    from dxa_causal._numerics.logistic import fit_logistic

    if np.linalg.matrix_rank(design) < design.shape[1] or np.ptp(y) == 0:
        return Association(np.nan, np.nan)
    fit = fit_logistic(design, y)
    if not fit.converged:
        return Association(np.nan, np.nan)
    return Association(float(fit.coefficients[1]), float(np.sqrt(fit.covariance[1, 1])))


def _tests(fit: NonlinearResult) -> tuple[HypothesisTest | NotApplicable, ...]:
    from scipy.stats import chi2, norm

    fine = np.isfinite(fit.lace) & np.isfinite(fit.lace_se)
    k = int(fine.sum())
    names = ("heterogeneity (Cochran's Q)", "trend of the effect", "fractional polynomial against a line")
    if k < 3:
        return tuple(NotApplicable(f"{k} strata with an effect; 3 are needed", method=name) for name in names)
    bx, sx, by, sy = (v[fine] for v in (fit.beta_exposure, fit.se_exposure, fit.beta_outcome, fit.se_outcome))
    mean, slope, weight = fit.means[fine], fit.lace[fine], 1.0 / fit.lace_se[fine] ** 2
    common = float((by * bx / sy**2).sum() / (bx**2 / sy**2).sum())
    q = float(((by - common * bx) ** 2 / (sy**2 + common**2 * sx**2)).sum())
    tests: list[HypothesisTest | NotApplicable] = [
        HypothesisTest(q, k - 1.0, float(chi2.sf(q, k - 1)), names[0], "the effect is the same in all strata")
    ]
    centred = mean - (weight * mean).sum() / weight.sum()
    information = float((weight * centred**2).sum())
    z = float((weight * centred * slope).sum()) / np.sqrt(information)
    tests.append(
        HypothesisTest(
            float(z), None, float(2 * norm.sf(abs(z))), names[1], "the effect does not rise or fall linearly"
        )
    )
    if (mean <= 0).any():
        tests.append(NotApplicable("the exposure is not positive in all strata", method=names[2]))
        return tuple(tests)
    fits = fractional_polynomial(mean, slope, weight)
    best = min(fits, key=lambda f: f.deviance)
    line = next(f for f in fits if f.power == 1.0)
    gain = line.deviance - best.deviance
    method = f"{names[2]} (power {best.power:g})"
    tests.append(HypothesisTest(gain, 1.0, float(chi2.sf(gain, 1)), method, "the curve is a straight line"))
    return tuple(tests)
