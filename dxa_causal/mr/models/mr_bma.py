"""MR-BMA: which of many exposures, averaged over every model that can be made of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_option, check_whole_number
from dxa_causal._core.rng import Seed, generator
from dxa_causal.mr._kernels.bma import Moments, all_models, inclusion, log_prior
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.results import NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Prior = Literal["independence", "g"]
_MOST_MODELS = 2_000_000


@dataclass(frozen=True, eq=False, repr=False)
class BmaResult(Result):
    """Posterior over models of several exposures.

    Attributes
    ----------
    harmonised : MultivariableHarmonised
    inclusion : (k,) ndarray
        Marginal inclusion probabilities.
    estimates : (k,) ndarray
        Model-averaged causal effects, zero where a model leaves an exposure out.
    members : (m, k) ndarray of bool
        The models, likeliest first.
    probabilities : (m,) ndarray
        Their posterior probabilities.
    coefficients : (m, k) ndarray
        Posterior means in each model.
    log_bayes_factors : (m,) ndarray
        Against the model without exposures.
    p_values : (k,) ndarray
        From permutations; nan without.
    prior, sigma, prior_probability : str, float, float
    nobs : int
    """

    title: ClassVar[str] = "Bayesian model averaging of exposures (MR-BMA)"

    harmonised: MultivariableHarmonised
    inclusion: FloatArray
    estimates: FloatArray
    members: BoolArray
    probabilities: FloatArray
    coefficients: FloatArray
    log_bayes_factors: FloatArray
    p_values: FloatArray
    prior: Prior
    sigma: float
    prior_probability: float
    nobs: int
    provenance: Provenance
    estimand: str = "direct effect of each exposure, averaged over models"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per exposure, likeliest first: exposure, estimate (averaged), inclusion, p_value, p_bh.

        The average is meant for ranking: it shrinks towards zero and has no
        standard error. p-values (permutations) and their false discovery rates
        are nan without `n_permutations`.
        """
        from scipy.stats import false_discovery_control

        known = np.isfinite(self.p_values).all()
        adjusted = false_discovery_control(self.p_values) if known else self.p_values
        table = pd.DataFrame(
            {
                "exposure": self.harmonised.exposures,
                "estimate": np.exp(self.estimates) if exponentiate else self.estimates,
                "inclusion": self.inclusion,
                "p_value": self.p_values,
                "p_bh": adjusted,
                "n_variants": self.nobs,
            }
        )
        return table.sort_values("inclusion", ascending=False, kind="stable").reset_index(drop=True)

    def models(self, n: int = 10) -> pd.DataFrame:
        """One row per model, likeliest first: model, probability, log_bayes_factor, and the effect of each exposure."""
        names = np.array(self.harmonised.exposures, dtype=object)
        rows = slice(0, n)
        table = pd.DataFrame(
            {
                "model": [", ".join(names[member]) or "none" for member in self.members[rows]],
                "probability": self.probabilities[rows],
                "log_bayes_factor": self.log_bayes_factors[rows],
            }
        )
        effects = np.where(self.members[rows], self.coefficients[rows], np.nan)
        return pd.concat([table, pd.DataFrame(effects, columns=list(names))], axis=1)

    def diagnostics(self, *, min_probability: float = 0.02) -> pd.DataFrame:
        """One row per variant and model: model, variant, q (squared standardised residual), cooks_distance, flags.

        Parameters
        ----------
        min_probability : float
            Models of at least this posterior probability.

        Notes
        -----
        q above 10 marks an outlier, Cook's distance above the median of
        F(d, n - d) an influential variant, as in the paper: in all of the best
        models they are to be looked at, and the analysis repeated without.
        """
        from scipy.stats import f

        y, x = _weighted(self.harmonised)
        tables = []
        for member in self.members[self.probabilities >= min_probability]:
            size = int(member.sum())
            own = x[:, member]
            inner = own.T @ own
            if self.prior == "independence":
                hat = np.einsum("ij,ij->i", own, np.linalg.solve(inner + np.eye(size) / self.sigma**2, own.T).T)
                fitted = own @ np.linalg.solve(inner + np.eye(size) / self.sigma**2, own.T @ y)
            else:
                g = self.sigma**2
                hat = g / (1 + g) * np.einsum("ij,ij->i", own, np.linalg.solve(inner, own.T).T)
                fitted = g / (1 + g) * own @ np.linalg.solve(inner, own.T @ y)
            residual = y - fitted
            scale = (residual**2).sum() / (y.size - size)
            with np.errstate(divide="ignore", invalid="ignore"):
                cooks = residual**2 / (scale * size) * hat / (1 - hat) ** 2
            cut = f.ppf(0.5, size, y.size - size) if size else np.nan
            name = ", ".join(np.array(self.harmonised.exposures, dtype=object)[member]) or "none"
            tables.append(
                pd.DataFrame(
                    {
                        "model": name,
                        "variant": self.harmonised.variant,
                        "q": residual**2,
                        "cooks_distance": cooks,
                        "outlier": residual**2 > 10,
                        "influential": cooks > cut,
                    }
                )  # fmt: skip
            )
        return pd.concat(tables, ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, n_models, model (the likeliest), probability."""
        best = self.models(1).iloc[0]
        row = {"n_variants": self.nobs, "n_models": self.probabilities.size, "model": best["model"]}
        return pd.DataFrame([{**row, "probability": best["probability"]}])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Inclusion probabilities as bars, likeliest on top."""
        from dxa_causal.plots.mr_models import inclusion_plot

        return inclusion_plot(self.tidy(), self.prior_probability, ax=ax)


def bma(
    harmonised: MultivariableHarmonised,
    *,
    prior: Prior = "independence",
    sigma: float = 0.5,
    prior_probability: float = 0.5,
    max_size: int | None = None,
    empty_model: bool = False,
    n_permutations: int = 0,
    seed: Seed = None,
) -> BmaResult | NotApplicable:
    r"""Find the exposures behind an outcome by averaging over all models of them (MR-BMA).

    Parameters
    ----------
    harmonised : MultivariableHarmonised
        Independent variants; exposures on like scales (standard deviations), since one
        prior serves all.
    prior : {"independence", "g"}
        Of the effects, in units of the residual variance:
        :math:`N(0, \sigma^2 I)`, or Zellner's :math:`N(0, \sigma^2 (X'X)^{-1})`.
    sigma : float
        0.5 is the published choice for "independence"; for "g" the root of g
        (with n variants, :math:`\sqrt n` is unit information).
    prior_probability : float
        That an exposure belongs to the model.
    max_size : int, optional
        Largest model; all sizes when omitted and there are at most 15
        exposures.
    empty_model : bool
        Whether the model without any exposure is among them. The published
        code leaves it out, so that inclusion probabilities never are all small.
    n_permutations : int
        Permutations of the outcome over the variants for p-values; 1000 is usual, 0 none.
    seed : int, Generator or None
        For the permutations.

    Returns
    -------
    BmaResult or NotApplicable
        The latter with fewer than three variants, an outcome without effects, or (prior "g") collinear exposures.

    Raises
    ------
    SummaryStatisticsError
        Correlated variants (`ld` given).
    OptionError
        More than two million models: give `max_size` or fewer exposures.

    Notes
    -----
    With :math:`y = \beta_Y / \sigma_Y` and :math:`X = \beta_X / \sigma_Y` the Bayes factor of the exposures
    :math:`\gamma` against none is, under the independence prior,

    .. math::
        |\sigma^2 \Omega|^{-1/2} \left(1 - \frac{X_\gamma'y \,\Omega^{-1} X_\gamma'y}{y'y}\right)^{-n/2},
        \qquad \Omega = X_\gamma'X_\gamma + \sigma^{-2} I,

    and effects have posterior mean :math:`\Omega^{-1} X_\gamma'y`. All models are
    evaluated; there is no stochastic search. The p-value is
    (1 + permutations whose inclusion probability reaches the observed one) / (1 + permutations).

    References
    ----------
    Zuber V et al. Nat Commun 2020;11:29. doi:10.1038/s41467-019-13870-3

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(0, 0.1, (60, 4))
    >>> mh = MultivariableHarmonised.from_arrays(
    ...     beta_exposures=x, se_exposures=np.full((60, 4), 0.01), beta_outcome=0.4 * x[:, 1] + rng.normal(0, 0.02, 60),
    ...     se_outcome=np.full(60, 0.02), exposures=["LDL", "HDL", "TG", "ApoB"],
    ... )
    >>> fit = bma(mh, prior_probability=0.25)
    >>> fit.tidy()[["exposure", "estimate", "inclusion"]].head(1).round(2).to_dict("list")
    {'exposure': ['HDL'], 'estimate': [0.42], 'inclusion': [1.0]}
    """
    check_option("prior", prior, Prior)
    check_whole_number("n_permutations", n_permutations, 0)
    if not sigma > 0:
        raise OptionError(f"sigma={sigma!r} must be positive")
    if not 0 < prior_probability < 1:
        raise OptionError(f"prior_probability={prior_probability!r} must lie between 0 and 1")
    if not isinstance(harmonised, MultivariableHarmonised):
        raise SummaryStatisticsError(
            f"this needs what MultivariableHarmonised.from_arrays returns, not {type(harmonised).__name__}"
        )
    if harmonised.correlated:
        raise SummaryStatisticsError("ld holds correlations between the variants; MR-BMA needs independent ones")
    n, k = harmonised.beta_exposures.shape
    if n < 3:
        return NotApplicable(f"needs at least 3 variants; there are {n}", method="MR-BMA")
    sizes = _sizes(k, max_size, n, prior, empty_model)
    y, x = _weighted(harmonised)
    if not y.any():
        return NotApplicable("the effects on the outcome are all zero", method="MR-BMA")
    if prior == "g" and np.linalg.matrix_rank(x) < min(k, sizes.stop - 1):
        return NotApplicable(
            "effects on the exposures are linear combinations of each other: prior='g' does not exist for them",
            method="MR-BMA",
        )
    g = sigma**2 if prior == "g" else None
    moments = Moments(x.T @ x, (x.T @ y)[:, None], np.array([y @ y]), n)
    found = all_models(moments, sizes, sigma, g)
    weight = found.log_bayes + log_prior(found.members.sum(axis=1).astype(np.float64), k, prior_probability)
    probability = np.exp(weight - weight.max())
    probability /= probability.sum()
    best = np.argsort(-probability, kind="stable")
    included = probability @ found.members
    p_values = np.full(k, np.nan)
    if n_permutations:
        shuffled = generator(seed).permuted(np.tile(y, (n_permutations, 1)), axis=1)
        many = Moments(x.T @ x, x.T @ shuffled.T, np.full(n_permutations, y @ y), n)
        null = inclusion(many, sizes, sigma, g, prior_probability)
        p_values = (1.0 + (null >= included - 1e-12).sum(axis=0)) / (1.0 + n_permutations)
    return BmaResult(
        harmonised=harmonised, inclusion=read_only(included), estimates=read_only(probability @ found.coefficients),
        members=read_only(found.members[best]), probabilities=read_only(probability[best]),
        coefficients=read_only(found.coefficients[best]), log_bayes_factors=read_only(found.log_bayes[best]),
        p_values=read_only(p_values), prior=prior, sigma=sigma, prior_probability=prior_probability, nobs=n,
        provenance=Provenance(
            call=f"mr.bma(harmonised, prior={prior!r}, sigma={sigma!r}, prior_probability={prior_probability!r}, "
            f"max_size={max_size!r}, empty_model={empty_model!r}, n_permutations={n_permutations}, "
            f"seed={seed_shown(seed)!r})",
            n_rows=n, n_used=n, seed=seed_shown(seed),
            notes=(f"{probability.size} models of up to {sizes.stop - 1} of {k} exposures",),
        ),
    )  # fmt: skip


def _sizes(k: int, max_size: int | None, n: int, prior: Prior, empty_model: bool) -> range:
    if max_size is not None:
        check_whole_number("max_size", max_size, 1)
    elif k > 15:
        raise OptionError(f"max_size: with {k} exposures give the size of the largest model; up to 15 all are tried")
    most = min(k, k if max_size is None else max_size)
    if prior == "g":
        most = min(most, n - 1)  # X'X of more exposures than variants is singular
    sizes = range(0 if empty_model else 1, most + 1)
    count = sum(comb(k, s) for s in sizes)
    if count > _MOST_MODELS:
        raise OptionError(
            f"max_size={max_size!r} of {k} exposures makes {count:,} models; at most {_MOST_MODELS:,} are tried: "
            f"lower max_size or choose among the exposures first"
        )
    return sizes


def _weighted(mh: MultivariableHarmonised) -> tuple[FloatArray, FloatArray]:
    """Effects on outcome and exposures over the outcome's standard errors."""
    return mh.beta_outcome / mh.se_outcome, mh.beta_exposures / mh.se_outcome[:, None]
