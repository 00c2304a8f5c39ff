"""Rubin's rules for whatever was fitted to completed data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

from dxa_causal._core.errors import ImputationError, OptionError, column_not_found
from dxa_causal._core.options import check_option
from dxa_causal._core.parallel import parallel_map
from dxa_causal._design import to_pandas
from dxa_causal.imputation._kernels.rubin import Pooled, pool_scalars, wald_d1, wald_d2
from dxa_causal.imputation.estimates import Estimates, read_estimates
from dxa_causal.imputation.imputations import Imputations
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only, wald_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
Scale = Literal["identity", "log", "logit", "cloglog"]
PooledTest = Literal["D1", "D2"]


@dataclass(frozen=True, eq=False, repr=False)
class PooledFit(Result):
    """Estimates over imputations, put together by Rubin's rules.

    Attributes
    ----------
    m : int
    keys : DataFrame
        What tells the p estimates apart: term, and time, cause, model ... where there are.
    estimates, std_errors : (m, p) ndarray
        Of each imputation, on `scale`.
    covariances : (m, p, p) ndarray or None
    df_complete : float
        Degrees of freedom without missing values.
    scale : str
        Scale on which the estimates are put together.
    nobs : int
    """

    title: ClassVar[str] = "Pooled over imputations (Rubin's rules)"

    m: int
    keys: pd.DataFrame
    estimates: FloatArray
    std_errors: FloatArray
    covariances: FloatArray | None
    df_complete: float
    scale: Scale
    nobs: int
    provenance: Provenance
    estimand: str

    @cached_property
    def pooled(self) -> Pooled:
        """Variances within and between imputations, degrees of freedom and what missing values cost."""
        return pool_scalars(self.estimates, self.std_errors, self.df_complete)

    @cached_property
    def covariance(self) -> FloatArray:
        """Total covariance of the estimates, (p, p): that within imputations and (1 + 1/m) times that between."""
        if self.covariances is None:
            raise OptionError("the fits have no covariance of all their estimates")
        between = np.atleast_2d(np.cov(self.estimates, rowvar=False))
        total: FloatArray = read_only(self.covariances.mean(axis=0) + (1.0 + 1.0 / self.m) * between)
        return total

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per estimate: t test and limits, fmi, lambda and riv.

        Parameters
        ----------
        conf_level : float
        exponentiate : bool
            Exponentiate the estimate and its limits.

        Returns
        -------
        DataFrame
            The keys, estimate, std_error, statistic, df, p_value, conf_low, conf_high; fmi, the fraction of missing
            information; lambda, the share of the variance due to missing values; riv, their relative increase of it.
            With a `scale` the estimate and its limits are transformed back, the standard error and test are not.
        """
        if exponentiate and self.scale != "identity":
            raise OptionError(f"exponentiate=True: the estimates, pooled on the {self.scale} scale, are back from it")
        found = self.pooled
        columns = wald_columns(
            found.estimate, np.sqrt(found.total), conf_level=conf_level, exponentiate=exponentiate, df=found.df
        )
        for name in ("estimate", "conf_low", "conf_high"):
            columns[name] = _back(columns[name], self.scale)
        if self.scale == "cloglog":  # it falls as the estimate rises
            columns["conf_low"], columns["conf_high"] = columns["conf_high"], columns["conf_low"]
        order = ["estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]
        columns["df"] = found.df
        extra = {"fmi": found.fmi, "lambda": found.share, "riv": found.riv}
        return self.keys.assign(**{name: columns[name] for name in order}, **extra)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_imputations, df_complete and the largest fmi."""
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_imputations": [self.m],
                "df_complete": [self.df_complete],
                "max_fmi": [float(np.max(self.pooled.fmi))],
            }
        )

    def test(self, terms: Sequence[str] | None = None, *, method: PooledTest = "D1") -> HypothesisTest | NotApplicable:
        r"""Test that several coefficients are zero together.

        Parameters
        ----------
        terms : sequence of str, optional
            Terms, all by default.
        method : {"D1", "D2"}
            "D1" pools estimates and covariances; "D2" the chi-square statistics of the imputations, less exactly.

        Returns
        -------
        HypothesisTest or NotApplicable
            An F statistic; its df are those of the numerator, the denominator's stand in the method. D1 takes Reiter's
            denominator where `df_complete` is finite.

        References
        ----------
        Li KH, Raghunathan TE, Rubin DB. J Am Stat Assoc 1991;86:1065-1073. doi:10.1080/01621459.1991.10475152
        Li KH, Meng XL, Raghunathan TE, Rubin DB. Stat Sin 1991;1:65-92.
        Reiter JP. Biometrika 2007;94:502-508. doi:10.1093/biomet/asm028
        """
        check_option("method", method, PooledTest)
        if isinstance(terms, str):
            raise OptionError(f"terms={terms!r} must be a list of terms: [{terms!r}]")
        name = f"Wald test over imputations, {method}"
        if self.covariances is None:
            return NotApplicable("the fits have no covariance of all their estimates", name)
        known = list(self.keys["term"]) if "term" in self.keys else []
        for term in terms or ():
            if term not in known:
                raise column_not_found(term, known, argument="terms")
        once = dict.fromkeys(terms or ())
        chosen = np.arange(len(self.keys)) if terms is None else np.array([known.index(t) for t in once])
        if chosen.size == 0:
            raise OptionError("terms: name at least one")
        estimates = self.estimates[:, chosen]
        covariances = self.covariances[:, chosen[:, None], chosen]
        if method == "D1":
            found = wald_d1(estimates, covariances, self.df_complete)
        else:
            solved = np.linalg.solve(covariances, estimates[:, :, None])[:, :, 0]
            found = wald_d2(np.einsum("ij,ij->i", estimates, solved), chosen.size)
        p_value = float(stats.f.sf(found.statistic, found.df, found.df_denominator))
        if np.isinf(found.df_denominator):
            p_value = float(special.chdtrc(found.df, found.df * found.statistic))
        null = " = ".join(str(v) for v in self.keys["term"].iloc[chosen]) + " = 0" if known else "all are zero"
        return HypothesisTest(
            found.statistic, float(found.df), p_value, f"{name}: F({found.df}, {found.df_denominator:.6g})", null
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the pooled estimates; ratios where they are logarithms of ratios."""
        from dxa_causal.plots.coefficients import forest

        ratio = self.estimand.startswith("log ") and self.scale == "identity"
        table = self.tidy(exponentiate=ratio)
        table["term"] = table[list(self.keys.columns)].astype(str).agg(", ".join, axis=1)
        measure = self.estimand.removeprefix("log ") if ratio else self.estimand
        return forest(
            table, effect_measure=measure[:1].upper() + measure[1:], reference=float(ratio), log=ratio, ax=ax
        )  # fmt: skip

    def _notes(self) -> list[str]:
        scale = [] if self.scale == "identity" else [f"pooled on the {self.scale} scale; std_error is on that scale"]
        return [*super()._notes(), *scale]


def pool(
    imputations: Imputations | Sequence[Any],
    fit: Callable[[pd.DataFrame], Any],
    *,
    terms: Sequence[str] | None = None,
    df_complete: float | None = None,
    scale: Scale = "identity",
    n_jobs: int | None = None,
    progress: bool = False,
) -> PooledFit:
    r"""Fit a model to each completed data set and put the estimates together.

    Parameters
    ----------
    imputations : Imputations, or sequence of frames
        At least two.
    fit : callable
        From a completed frame to a result of this package or of statsmodels, to a table with columns estimate and
        std_error (others tell its rows apart), or to a pair (estimate, covariance) or (estimate, standard error).
    terms : sequence of str, optional
        Terms to keep; all by default.
    df_complete : float, optional
        Degrees of freedom that the estimates would have without missing values. By default those of the fit's
        residuals; of a survival model the number of events less that of the coefficients, as in R's mice; infinite
        where nothing tells.
    scale : {"identity", "log", "logit", "cloglog"}
        Scale on which estimates are close to normal: "log" for ratios or variances that are not logarithms already,
        "logit" for probabilities, concordance and AUC, "cloglog", :math:`\log(-\log S)`, for survival. Standard errors
        follow by the delta method.
    n_jobs : int or None
    progress : bool

    Returns
    -------
    PooledFit

    Raises
    ------
    ImputationError
        With fewer than two imputations, when the fit fails in some of them, or when they disagree about the terms.

    Notes
    -----
    With :math:`\bar U` the mean squared standard error and B the variance of the estimates, the variance is
    :math:`T = \bar U + (1 + 1/m) B`, and :math:`\lambda = (1 + 1/m) B / T`. The degrees of freedom of the t statistic
    are Barnard and Rubin's: :math:`1/\nu = 1/\nu_m + 1/\nu_{obs}` with :math:`\nu_m = (m - 1) / \lambda^2` and
    :math:`\nu_{obs} = (1 - \lambda) \nu_c (\nu_c + 1) / (\nu_c + 3)`.

    References
    ----------
    Barnard J, Rubin DB. Biometrika 1999;86:948-955. doi:10.1093/biomet/86.4.948

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 75")
    >>> formula = "Surv(time, died) ~ age + C(sex) + grip_kg"
    >>> imp = dc.imputation.chained(cohort, formula, m=3, seed=1, n_iterations=3)
    >>> table = pool(imp, lambda d: dc.survival.cox(formula, d)).tidy(exponentiate=True)
    >>> table["term"].tolist()
    ['age', 'C(sex)[T.male]', 'grip_kg']
    """
    check_option("scale", scale, Scale)
    if isinstance(terms, str):
        raise OptionError(f"terms={terms!r} must be a list of terms: [{terms!r}]")
    if not callable(fit):
        raise OptionError(f"fit={fit!r} must be a function of a completed frame: lambda d: cox('...', d)")
    if isinstance(imputations, str) or not isinstance(imputations, Sequence | Imputations):
        raise OptionError(
            f"imputations must come from imputation.chained or be a list of completed frames, not "
            f"{type(imputations).__name__}"
        )
    if df_complete is not None and not (isinstance(df_complete, int | float | np.number) and df_complete > 0):
        raise OptionError(f"df_complete={df_complete!r} must be positive")
    frames = imputations.frames if isinstance(imputations, Imputations) else [to_pandas(f) for f in imputations]
    m = len(frames)
    if m < 2:
        raise ImputationError(
            f"pooling needs at least two imputations, there {'is' if m == 1 else 'are'} {m}: from one completed data "
            "set the variance between imputations cannot be told"
        )
    found = list(parallel_map(_Fit(fit), frames, n_jobs=n_jobs, progress=progress, description="fitting"))
    _refuse_failures(found)
    fits = [f for f in found if isinstance(f, Estimates)]
    _refuse_disagreement(fits)
    first = fits[0]
    estimates, std_errors = (np.stack([getattr(f, part) for f in fits]) for part in ("estimate", "std_error"))
    covariances = None
    if all(f.covariance is not None for f in fits):
        covariances = np.stack([np.asarray(f.covariance) for f in fits])
    keys = first.keys
    if terms is not None:
        keep = _chosen(keys, terms)
        keys, estimates, std_errors = keys.iloc[keep].reset_index(drop=True), estimates[:, keep], std_errors[:, keep]
        covariances = None if covariances is None else covariances[:, keep[:, None], keep]
    _refuse_not_finite(keys, estimates, std_errors)
    estimates, slope = _forth(estimates, scale, keys)
    if covariances is not None:
        covariances = covariances * slope[:, :, None] * slope[:, None, :]
    complete = min(f.df_complete for f in fits) if df_complete is None else float(df_complete)
    n_rows = len(frames[0])
    return PooledFit(
        m=m,
        keys=keys,
        estimates=read_only(estimates),
        std_errors=read_only(std_errors * slope),
        covariances=None if covariances is None else read_only(covariances),
        df_complete=complete,
        scale=scale,
        nobs=first.nobs or n_rows,
        provenance=Provenance(
            call="imputation.pool(imputations, fit)"
            + (f" of {imputations.provenance.call}" if isinstance(imputations, Imputations) else ""),
            n_rows=n_rows,
            n_used=first.nobs or n_rows,
            seed=imputations.provenance.seed if isinstance(imputations, Imputations) else None,
        ),
        estimand=first.estimand,
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """The user's function, its errors handed back rather than raised; picklable if the function is."""

    function: Callable[[pd.DataFrame], Any]

    def __call__(self, frame: pd.DataFrame) -> Estimates | Exception:
        try:
            return read_estimates(self.function(frame))
        except Exception as error:
            return error


def _refuse_failures(found: list[Estimates | Exception]) -> None:
    failed = {i: f for i, f in enumerate(found, start=1) if isinstance(f, Exception)}
    if not failed:
        return
    first = next(iter(failed.values()))
    if isinstance(first, ImputationError):
        raise first
    which = ", ".join(map(str, [*failed][:10])) + (", ..." if len(failed) > 10 else "")
    raise ImputationError(
        f"the fit failed in {len(failed)} of {len(found)} imputations ({which}): {type(first).__name__}: {first}"
    ) from first


def _refuse_disagreement(fits: list[Estimates]) -> None:
    first = fits[0].keys
    for i, fit in enumerate(fits[1:], start=2):
        if fit.keys.equals(first):
            continue
        own, expected = (
            [", ".join(map(str, row)) for row in keys.itertuples(index=False)] for keys in (fit.keys, first)
        )
        lacking = [term for term in expected if term not in own]
        more = [term for term in own if term not in expected]
        if lacking:
            what, term = "lacks", lacking[0]
        elif more:
            what, term = "also has", more[0]
        else:
            raise ImputationError(f"the fits to imputations 1 and {i} give their estimates in different orders")
        raise ImputationError(
            f"the fits do not agree about their terms: that to imputation {i} {what} {term!r} in contrast to the "
            "first. Is a rare level of a category imputed in some data sets only, or a knot placed anew in each? Group "
            "rare levels, or fix levels and knots beforehand"
        )


def _refuse_not_finite(keys: pd.DataFrame, estimates: FloatArray, std_errors: FloatArray) -> None:
    bad = np.argwhere(~(np.isfinite(estimates) & np.isfinite(std_errors) & (std_errors >= 0)))
    if bad.size:
        i, k = bad[0]
        label = ", ".join(map(str, keys.iloc[k]))
        raise ImputationError(
            f"estimate {label!r} of imputation {i + 1} is {estimates[i, k]:g} with standard error {std_errors[i, k]:g}"
            "; only finite ones, with errors not below 0, can be pooled. Name the others: terms=[...]"
        )


def _chosen(keys: pd.DataFrame, terms: Sequence[str]) -> npt.NDArray[np.int64]:
    if "term" not in keys:
        raise OptionError(f"terms: the estimates have no terms; {', '.join(keys.columns)} tell them apart")
    for term in terms:
        if term not in set(keys["term"]):
            raise column_not_found(term, keys["term"].unique(), argument="terms")
    return np.flatnonzero(keys["term"].isin(list(terms)))


def _forth(values: FloatArray, scale: Scale, keys: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Estimates on the scale, and the absolute slope of the transformation."""
    if scale == "identity":
        return values, np.ones_like(values)
    bad = np.argwhere((values <= 0) | ((values >= 1) if scale != "log" else False))
    if bad.size:
        i, k = bad[0]
        label = ", ".join(map(str, keys.iloc[k]))
        need = "positive" if scale == "log" else "between 0 and 1"
        raise ImputationError(
            f"scale={scale!r} needs estimates that are {need}; {label!r} of imputation {i + 1} is {values[i, k]:g}"
        )
    if scale == "log":
        return np.log(values), 1.0 / values
    if scale == "logit":
        return special.logit(values), 1.0 / (values * (1.0 - values))
    return np.log(-np.log(values)), -1.0 / (values * np.log(values))


def _back(values: FloatArray, scale: Scale) -> FloatArray:
    if scale == "identity":
        return values
    if scale == "log":
        return np.exp(values)
    if scale == "logit":
        back: FloatArray = special.expit(values)
        return back
    return np.exp(-np.exp(values))
