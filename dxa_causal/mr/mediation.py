"""Two-step Mendelian randomisation: how much of an effect runs through a mediator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.options import check_whole_number
from dxa_causal._core.rng import Seed, generator
from dxa_causal._core.warnings import SummaryStatisticsWarning, warn
from dxa_causal.mr.estimates import estimate, seed_shown
from dxa_causal.mr.estimator import check_harmonised
from dxa_causal.mr.estimators import Method
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.method_table import method_table
from dxa_causal.mr.multivariable.estimates import MultivariableMethod, mvmr
from dxa_causal.mr.multivariable.harmonised import MultivariableHarmonised
from dxa_causal.results import Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
_TERMS = ("total", "exposure_to_mediator", "mediator_to_outcome", "indirect", "direct", "proportion_mediated")


@dataclass(frozen=True, eq=False, repr=False)
class MediationEstimates(Result):
    """Total, indirect and direct effect of an exposure.

    Attributes
    ----------
    exposure, mediator, outcome : str
    estimates, std_errors : (6,) ndarray
        total, exposure_to_mediator, mediator_to_outcome, indirect, direct,
        proportion_mediated; standard errors by the delta method.
    draws : (b, 3) ndarray
        indirect, direct, proportion_mediated in the parametric bootstrap.
    n_variants : (6,) ndarray
        Of the estimates that are no combination of others; 0 for these.
    nobs : int
        Variants of the total effect.
    """

    title: ClassVar[str] = "Two-step Mendelian randomisation"

    exposure: str
    mediator: str
    outcome: str
    estimates: FloatArray
    std_errors: FloatArray
    draws: FloatArray
    n_variants: FloatArray
    nobs: int
    provenance: Provenance
    estimand: str = "effect through the mediator, and effect past it"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per effect by the delta method, then the indirect, direct and mediated part by bootstrap.

        The bootstrap's standard error is that of the draws and its limits are
        their percentiles. The mediated proportion and the
        effect on the mediator are never exponentiated.
        """
        k = len(_TERMS)
        bootstrap = self.draws.std(axis=0, ddof=1)
        table = method_table(
            ["delta"] * k + ["bootstrap"] * 3,
            [*_TERMS, *_TERMS[3:]],
            np.concatenate([self.estimates, self.estimates[3:]]),
            np.concatenate([self.std_errors, bootstrap]),
            np.full(k + 3, math.nan),
            conf_level=conf_level,
        )
        tail = (1 - conf_level) / 2
        low, high = np.quantile(self.draws, [tail, 1 - tail], axis=0)
        table.loc[k:, "conf_low"], table.loc[k:, "conf_high"] = low, high
        below = (self.draws <= 0).mean(axis=0)
        table.loc[k:, "statistic"] = math.nan
        table.loc[k:, "p_value"] = np.minimum(1.0, 2 * np.maximum(np.minimum(below, 1 - below), 1 / len(self.draws)))
        if exponentiate:
            effects = ~table["term"].isin(["proportion_mediated", "exposure_to_mediator"])
            columns = ["estimate", "conf_low", "conf_high"]
            table.loc[effects, columns] = np.exp(table.loc[effects, columns])
        return table.assign(n_variants=np.concatenate([self.n_variants, np.zeros(3)]).astype(int))

    def glance(self) -> pd.DataFrame:
        """One row: n_variants of the total effect."""
        return pd.DataFrame({"n_variants": [self.nobs]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest of total, indirect and direct effect."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy()
        shown = pd.concat([table[table["term"] == "total"], table[table["method"] == "bootstrap"].iloc[:2]])
        label = f"Effect of {self.exposure} on {self.outcome}"
        return forest(shown, effect_measure=label, reference=0.0, log=False, ax=ax)

    def _notes(self) -> list[str]:
        indirect = f"indirect: {self.exposure} -> {self.mediator} -> {self.outcome}"
        if abs(self.estimates[0]) < 2 * self.std_errors[0]:
            indirect += "; the total effect is within two standard errors of 0, so the mediated proportion says nothing"
        return [indirect, "the three estimates are taken to have independent errors", *super()._notes()]


def mediation(
    total: Harmonised,
    exposure_mediator: Harmonised,
    mediator_outcome: Harmonised | MultivariableHarmonised,
    *,
    method: Literal["ivw", "ivw_fe", "weighted_median", "egger", "maxlik", "raps"] = "ivw",
    multivariable_method: MultivariableMethod = "ivw",
    mediator: str | None = None,
    seed: Seed = None,
    n_draws: int = 10_000,
) -> MediationEstimates:
    r"""Split the effect of an exposure into the part through a mediator and the rest.

    Parameters
    ----------
    total : Harmonised
        Exposure and outcome.
    exposure_mediator : Harmonised
        Exposure and mediator, the same instruments as in `total`.
    mediator_outcome : Harmonised or MultivariableHarmonised
        Mediator and outcome, with instruments of the mediator; or mediator
        and exposure together and the outcome, so that the effect of the
        mediator is that with the exposure held fixed. The latter is needed
        where instruments of the mediator act through the exposure.
    method : str
        Estimator of all effects but those of a `MultivariableHarmonised`.
    multivariable_method : str
        Estimator of these.
    mediator : str, optional
        Its name among the exposures of a `MultivariableHarmonised`; the
        outcome of `exposure_mediator` when omitted.
    seed : int, Generator or None
    n_draws : int
        Bootstrap draws.

    Returns
    -------
    MediationEstimates

    Raises
    ------
    SummaryStatisticsError
        An estimate is missing, the mediator is not among the exposures, or
        names say that the pieces do not belong together.

    Warns
    -----
    SummaryStatisticsWarning
        `total` and `exposure_mediator` have other instruments.

    Notes
    -----
    With total effect :math:`\tau`, exposure on mediator :math:`\alpha` and
    mediator on outcome :math:`\beta`, the indirect effect is
    :math:`\alpha\beta`, the direct effect :math:`\tau - \alpha\beta`, the
    mediated proportion :math:`\alpha\beta/\tau`. Delta method:
    :math:`\mathrm{var}(\alpha\beta) = \alpha^2 s_\beta^2 + \beta^2 s_\alpha^2`.
    Bootstrap: :math:`\tau, \alpha, \beta` drawn from independent normal
    distributions; percentiles. Valid where effects are linear and do not interact.

    References
    ----------
    Relton CL, Davey Smith G. Int J Epidemiol 2012;41:161-176. doi:10.1093/ije/dyr233
    Carter AR et al. Eur J Epidemiol 2021;36:465-478. doi:10.1007/s10654-021-00757-1

    Examples
    --------
    >>> sides = {"se_exposure": [0.01] * 3, "se_outcome": [0.01] * 3, "beta_exposure": [0.1, 0.2, 0.3]}
    >>> total = Harmonised.from_arrays(beta_outcome=[0.05, 0.1, 0.15], **sides)
    >>> to_mediator = Harmonised.from_arrays(beta_outcome=[0.04, 0.08, 0.12], **sides)
    >>> from_mediator = Harmonised.from_arrays(beta_outcome=[0.05, 0.1, 0.15], **sides)
    >>> fit = mediation(total, to_mediator, from_mediator, seed=1)
    >>> fit.estimates.round(2).tolist()
    [0.5, 0.4, 0.5, 0.2, 0.3, 0.4]
    """
    check_whole_number("n_draws", n_draws, 100)
    for h in (total, exposure_mediator):
        check_harmonised(h)
    name = exposure_mediator.outcome if mediator is None else mediator
    _refuse_strangers(total, exposure_mediator, mediator_outcome)
    t, a = (_one(h, method, seed) for h in (total, exposure_mediator))
    if isinstance(mediator_outcome, MultivariableHarmonised):
        b = _among(mediator_outcome, name, multivariable_method, seed)
    elif mediator is not None:
        raise OptionError("mediator names one of several exposures; mediator_outcome has one, so leave it out")
    else:
        check_harmonised(mediator_outcome)
        b = _one(mediator_outcome, method, seed)
    values, errors = np.array([t[0], a[0], b[0]]), np.array([t[1], a[1], b[1]])
    indirect_error = math.hypot(a[0] * b[1], b[0] * a[1])
    if t[0] == 0:
        raise SummaryStatisticsError("the total effect is exactly 0: no proportion of it can be mediated")
    proportion = a[0] * b[0] / t[0]
    proportion_error = math.hypot(indirect_error, proportion * t[1]) / abs(t[0])
    drawn = values + errors * generator(seed).standard_normal((n_draws, 3))
    through = drawn[:, 1] * drawn[:, 2]
    return MediationEstimates(
        exposure=total.exposure,
        mediator=name,
        outcome=total.outcome,
        estimates=read_only([*values, a[0] * b[0], t[0] - a[0] * b[0], proportion]),
        std_errors=read_only([*errors, indirect_error, math.hypot(indirect_error, t[1]), proportion_error]),
        draws=read_only(np.column_stack([through, drawn[:, 0] - through, through / drawn[:, 0]])),
        n_variants=read_only([t[2], a[2], b[2], 0, 0, 0]),
        nobs=int(t[2]),
        provenance=Provenance(
            call=f"mr.mediation(total, exposure_mediator, mediator_outcome, method={method!r}, "
            f"seed={seed_shown(seed)!r})",
            n_rows=int(t[2]),
            n_used=int(t[2]),
            seed=seed_shown(seed),
            notes=(),
        ),
    )


def _refuse_strangers(total: Harmonised, first: Harmonised, second: Harmonised | MultivariableHarmonised) -> None:
    """Refuse pieces whose names say that they do not belong together; warn where the instruments differ."""
    pairs = [("exposure", total.exposure, first.exposure), ("outcome", total.outcome, second.outcome)]
    if isinstance(second, Harmonised):
        pairs.append(("mediator", first.outcome, second.exposure))
    for what, one, other in pairs:
        if one != other and not {one, other} & {"exposure", "outcome"}:
            raise SummaryStatisticsError(
                f"the {what} is {one!r} in one of the three pieces and {other!r} in another; exchanged? Give both the "
                f"same name if they are the same trait"
            )
    a, b = set(total.table["variant"]), set(first.table["variant"])
    if a != b:
        warn(
            f"total and exposure_mediator have other instruments: {len(a & b)} are shared, {len(a - b)} and "
            f"{len(b - a)} are in one alone; the effects of the exposure are taken to be the same for all",
            SummaryStatisticsWarning,
        )


def _one(h: Harmonised, method: Method, seed: Seed) -> tuple[float, float, int]:
    fit = estimate(h, method, seed=seed)
    if fit.reason[0]:
        raise SummaryStatisticsError(f"no estimate of {h.exposure} on {h.outcome} by {method}: {fit.reason[0]}")
    return float(fit.estimates[0]), float(fit.std_errors[0]), fit.nobs


def _among(h: MultivariableHarmonised, name: str, method: MultivariableMethod, seed: Seed) -> tuple[float, float, int]:
    if name not in h.exposures:
        raise SummaryStatisticsError(
            f"the mediator {name!r} is not among the exposures {', '.join(h.exposures)}; name it with mediator="
        )
    fit = mvmr(h, method, seed=seed)
    at = fit.term.index(name)
    if fit.reason[at]:
        raise SummaryStatisticsError(f"no estimate of {name} by {method}: {fit.reason[at]}")
    return float(fit.estimates[at]), float(fit.std_errors[at]), int(fit.n_variants[at])
