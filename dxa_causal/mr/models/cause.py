"""A causal effect, or something that causes both traits: a model of CAUSE's kind, sampled with PyMC."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.optional import require
from dxa_causal._core.options import check_conf_level, check_whole_number
from dxa_causal._core.rng import Seed, generator
from dxa_causal.mr._kernels.cause import Components, Effects, components, expected_density, pointwise, r_hat
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.mr.estimator import check_psi, refuse_correlated
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import HypothesisTest, NotApplicable, Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
_LEAST = 100
_TERMS = {"causal": ("gamma", "eta", "q"), "sharing": ("eta", "q")}
_LARGEST_R_HAT = 1.05


@dataclass(frozen=True, eq=False, repr=False)
class CauseResult(Result):
    """Posterior of a causal and of a sharing model.

    Attributes
    ----------
    harmonised : Harmonised
    causal, sharing : mapping of str to (chains, draws) ndarray
        Draws of gamma (causal effect), eta (effect of the shared cause) and q
        (share of variants that act through it); the sharing model has no gamma.
    components : Components
        Variances and shares of the mixture of effects.
    elpd : (n,) ndarray
        By how much the sharing model predicts each variant better.
    prior_scale : float
        Of gamma and eta.
    error_correlation : float
    nobs : int
    """

    title: ClassVar[str] = "Causal effect or shared cause (CAUSE-type)"

    harmonised: Harmonised
    causal: dict[str, FloatArray]
    sharing: dict[str, FloatArray]
    components: Components
    elpd: FloatArray
    prior_scale: float
    error_correlation: float
    nobs: int
    provenance: Provenance
    estimand: str = "effect of the exposure on the outcome per unit of the exposure"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per model and parameter: posterior median, standard deviation, limits (quantiles), r_hat.

        `exponentiate` turns gamma and eta into ratios, not q.
        """
        check_conf_level(conf_level)
        tail = 0.5 - conf_level / 2.0
        rows = []
        for model, draws in (("causal", self.causal), ("sharing", self.sharing)):
            for term in _TERMS[model]:
                middle, low, high = np.quantile(draws[term], [0.5, tail, 1.0 - tail])
                if exponentiate and term != "q":
                    middle, low, high = np.exp([middle, low, high])
                rows.append((model, term, middle, draws[term].std(ddof=1), low, high, r_hat(draws[term])))
        columns = ["model", "term", "estimate", "std_error", "conf_low", "conf_high", "r_hat"]
        return pd.DataFrame(rows, columns=columns).assign(n_variants=self.nobs)

    def comparison(self) -> HypothesisTest:
        """Whether the causal model predicts better: difference of expected log densities over its error, one-sided."""
        from scipy.special import ndtr

        error = np.sqrt(self.nobs * self.elpd.var(ddof=1))
        z = float(self.elpd.sum() / error)
        return HypothesisTest(
            z, None, float(ndtr(z)), "difference of expected log predictive densities, sharing minus causal",
            "a shared cause explains the variants as well as a causal effect",
        )  # fmt: skip

    def glance(self) -> pd.DataFrame:
        """One row: n_variants, elpd_difference (sharing minus causal, negative for causal), p_value (one-sided)."""
        row = {"n_variants": self.nobs, "elpd_difference": float(self.elpd.sum()), "p_value": self.comparison().p_value}
        return pd.DataFrame([row])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Posterior of the causal effect, and of the shared effect in both models."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        table = table[table["term"] != "q"].assign(label=lambda d: d["model"] + ": " + d["term"])
        return forest(table, effect_measure="Effect", reference=0.0, log=False, label="label", ax=ax)

    def _notes(self) -> list[str]:
        notes = [str(self.comparison())]
        worst = float(self.tidy()["r_hat"].max())
        if worst > _LARGEST_R_HAT:
            notes.append(f"chains disagree (r_hat {worst:.2f}): take more draws")
        return [*notes, *super()._notes()]


def cause(
    harmonised: Harmonised,
    *,
    error_correlation: float = 0.0,
    prior_scale: float | None = None,
    q_prior: tuple[float, float] = (1.0, 10.0),
    n_draws: int = 1000,
    n_tune: int = 1000,
    n_chains: int = 2,
    seed: Seed = None,
) -> CauseResult | NotApplicable:
    r"""Tell a causal effect from a cause that both traits share, with variants of all strengths.

    Parameters
    ----------
    harmonised : Harmonised
        Independent variants from the whole genome, weak and null ones
        included: the mixture of effects is learnt from them.
    error_correlation : float
        Of the errors of both effects on a variant (cross-trait intercept of LD
        score regression); 0 without shared people.
    prior_scale : float, optional
        Standard deviation of the normal priors of gamma and eta; chosen so that
        1.5 times the largest ratio among variants with p < 0.001 lies at 1.96
        of it when omitted.
    q_prior : tuple of float
        Parameters of the beta prior of q.
    n_draws, n_tune, n_chains : int
    seed : int, Generator or None

    Returns
    -------
    CauseResult or NotApplicable
        The latter with fewer than 100 variants, or none with p < 0.001.

    Notes
    -----
    Effects on the exposure :math:`b_j` and direct effects :math:`\theta_j` are drawn from a mixture of normal
    distributions on a grid of scales. A share q of the variants acts through a shared cause:

    .. math::
        x_j = b_j + e_j, \qquad y_j = \gamma b_j + Z_j \eta b_j + \theta_j + \epsilon_j,
        \qquad Z_j \sim \mathrm{Bernoulli}(q).

    :math:`b, \theta, Z` are integrated out in closed form. The mixture is estimated first, without
    effects, as CAUSE does; then gamma, eta and q are sampled (PyMC's NUTS), once with
    and once without gamma, and the two models are compared by the expected log
    predictive density of each variant (WAIC from the draws). This is a model of CAUSE's
    kind, not a copy of the R package: the grid of scales, the sampler
    and the criterion differ, and numbers will too. Needs the extra "bayes".

    References
    ----------
    Morrison J et al. Nat Genet 2020;52:740-747. doi:10.1038/s41588-020-0631-4
    """
    from scipy.special import ndtri

    refuse_correlated(harmonised)
    check_psi(error_correlation, "error_correlation")
    for name, value, low in (("n_draws", n_draws, 100), ("n_tune", n_tune, 100), ("n_chains", n_chains, 2)):
        check_whole_number(name, value, low)
    if prior_scale is not None and not prior_scale > 0:
        raise OptionError(f"prior_scale={prior_scale!r} must be positive")
    if len(q_prior) != 2 or not min(q_prior) > 0:
        raise OptionError(f"q_prior={q_prior!r} must be the two positive parameters of a beta distribution")
    h, n = harmonised, harmonised.n_variants
    if n < _LEAST:
        return NotApplicable(f"needs {_LEAST} variants, weak ones included; there are {n}", method="CAUSE")
    strong = np.abs(h.beta_exposure / h.se_exposure) > -ndtri(0.0005)
    if not strong.any():
        return NotApplicable("no variant has p < 0.001 for the exposure", method="CAUSE")
    require("pymc", extra="bayes")
    e = Effects(h.beta_exposure, h.beta_outcome, h.se_exposure, h.se_outcome, error_correlation)
    found = components(e, _scales(e.x, e.sx), _scales(e.y, e.sy), prior=10.0)
    if prior_scale is None:
        prior_scale = 1.5 * float(np.abs(e.y[strong] / e.x[strong]).max()) / 1.96
    seeds = generator(seed).integers(0, 2**31 - 1, 2)
    causal, sharing = (
        _sample(e, found, prior_scale, q_prior, model, n_draws, n_tune, n_chains, int(s))
        for model, s in zip(("causal", "sharing"), seeds, strict=True)
    )
    elpd = [
        expected_density(pointwise(e, found, *(draws[t].ravel() for t in ("gamma", "eta", "q"))))
        for draws in (causal, {**sharing, "gamma": np.zeros_like(sharing["eta"])})
    ]
    return CauseResult(
        harmonised=h, causal=causal, sharing=sharing, components=found, elpd=read_only(elpd[1] - elpd[0]),
        prior_scale=prior_scale, error_correlation=error_correlation, nobs=n,
        provenance=Provenance(
            call=f"mr.cause(harmonised, error_correlation={error_correlation!r}, prior_scale={prior_scale:.6g}, "
            f"q_prior={q_prior!r}, n_draws={n_draws}, n_tune={n_tune}, n_chains={n_chains}, "
            f"seed={seed_shown(seed)!r})",
            n_rows=n, n_used=n, seed=seed_shown(seed),
            notes=(f"{found.share.size} components of effects in use",),
        ),
    )  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyMC's log of chains and the warnings of its dependencies to itself."""
    log = logging.getLogger("pymc")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _scales(beta: FloatArray, se: FloatArray) -> FloatArray:
    """Zero, and scales from half of the smallest error up to twice the largest effect, doubling."""
    low, high = float(se.min()) / 2.0, 2.0 * float(np.sqrt(max((beta**2 - se**2).max(), float(se.min()) ** 2)))
    steps = max(1, int(np.ceil(np.log2(high / low))))
    return np.concatenate([[0.0], low * 2.0 ** np.arange(steps + 1)])


def _sample(
    e: Effects, c: Components, scale: float, q_prior: tuple[float, float], model: str, n_draws: int, n_tune: int,
    n_chains: int, seed: int,
) -> dict[str, FloatArray]:  # fmt: skip
    """Draws (chains, draws) of the parameters of one model."""
    import pymc as pm
    import pytensor.tensor as pt

    xx, cross = e.sx[:, None] ** 2 + c.exposure, e.cross * (e.sx * e.sy)[:, None]
    rest, x, y = e.sy[:, None] ** 2 + c.direct, e.x[:, None], e.y[:, None]

    def density(slope: Any) -> Any:
        xy, yy = cross + slope * c.exposure, rest + slope**2 * c.exposure
        determinant = xx * yy - xy**2
        square = (yy * x**2 - 2.0 * xy * x * y + xx * y**2) / determinant
        parts = np.log(c.share) - 0.5 * (pt.log(determinant) + square)
        return pt.logsumexp(parts, axis=1)

    with pm.Model(), _quiet():
        gamma = pm.Normal("gamma", 0.0, scale) if model == "causal" else 0.0
        eta = pm.Normal("eta", 0.0, scale)
        q = pm.Beta("q", *q_prior)
        apart, shared = density(pt.as_tensor_variable(gamma)), density(gamma + eta)
        both = pt.logaddexp(pt.log1p(-q) + apart, pt.log(q) + shared)
        pm.Potential("likelihood", both.sum())
        trace = pm.sample(
            draws=n_draws, tune=n_tune, chains=n_chains, cores=1, random_seed=seed, progressbar=False,
            compute_convergence_checks=False, target_accept=0.9,
        )  # fmt: skip
    return {term: read_only(trace.posterior[term].values) for term in _TERMS[model]}
