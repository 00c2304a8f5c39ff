"""Methods on the variants' joint effects: weak-instrument tests, and principal-components GMM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option, check_whole_number
from dxa_causal.mr._kernels import weak_instruments as weak
from dxa_causal.mr._kernels.joint_effects import Joint, explains_all, joint_effects, principal_components
from dxa_causal.mr._kernels.liml import Liml, Moments, liml, liml_widened
from dxa_causal.mr.estimator import Estimator, Row, Settings, check_harmonised
from dxa_causal.mr.harmonised import Harmonised

if TYPE_CHECKING:
    from dxa_causal.mr.estimates import MREstimates
    from dxa_causal.mr.estimators import Method

FloatArray = npt.NDArray[np.float64]
SHARE = 0.99
_Test = Callable[[weak.Statistics, int], FloatArray]
_TESTS: dict[str, _Test] = {"clr": weak.likelihood_ratio, "ar": weak.anderson_rubin, "k": weak.kleibergen}


def _size(h: Harmonised, side: str) -> float:
    """Sample size of one study: the mean over its variants."""
    return float(h.table[f"n_{side}"].astype(float).mean())


def _no_sample_sizes(h: Harmonised) -> str:
    if np.isnan([_size(h, "exposure"), _size(h, "outcome")]).any():
        return "needs the sample sizes (n_exposure, n_outcome) of the two studies"
    return ""


def _why_not(h: Harmonised) -> str:
    return _no_sample_sizes(h) or _more_than_all(h)


def _more_than_all(h: Harmonised, basis: FloatArray | None = None) -> str:
    """Effects that explain more than the whole variance cannot belong to these sample sizes and correlations."""
    for name, side, beta, se in (
        (h.exposure, "exposure", h.beta_exposure, h.se_exposure), (h.outcome, "outcome", h.beta_outcome, h.se_outcome),
    ):  # fmt: skip
        if explains_all(beta, se, _size(h, side), h.correlations, basis):
            return f"the variants explain all of {name}: effects, standard errors, sample size or ld do not fit"
    return ""


def _joint(h: Harmonised, basis: FloatArray | None = None) -> tuple[Joint, Joint]:
    x = joint_effects(h.beta_exposure, h.se_exposure, _size(h, "exposure"), h.correlations, basis)
    y = joint_effects(h.beta_outcome, h.se_outcome, _size(h, "outcome"), h.correlations, basis)
    return x, y


def _moments(x: Joint, y: Joint) -> Moments:
    return Moments(x.effect[:, None], y.effect, x.cov[None, None], y.cov)


@dataclass(frozen=True)
class _Weak:
    """Joint effects, the likelihood's best effect, and what the tests need at many others."""

    x: Joint
    y: Joint
    fit: Liml
    places: FloatArray
    on_places: weak.Statistics

    @classmethod
    def of(cls, h: Harmonised) -> _Weak:
        x, y = _joint(h)
        fit = liml(_moments(x, y))
        places = weak.grid(x, y, float(fit.coef[0]), float(np.sqrt(fit.cov[0, 0])))
        return cls(x, y, fit, places, weak.statistics(x, y, places))


@dataclass(frozen=True)
class _Set:
    """Effects that a test does not reject, by confidence level."""

    test: str
    found: _Weak

    def p_value(self, theta: FloatArray) -> FloatArray:
        f = self.found
        return _TESTS[self.test](weak.statistics(f.x, f.y, theta), f.x.effect.size)

    def __call__(self, conf_level: float) -> FloatArray:
        f = self.found
        at_places = _TESTS[self.test](f.on_places, f.x.effect.size)
        return weak.confidence_set(self.p_value, f.places, at_places, conf_level)


def _test(found: _Weak, test: str) -> Row:
    x, fit, limits = found.x, found.fit, _Set(test, found)
    f_statistic = float(x.effect @ np.linalg.solve(x.cov, x.effect)) / x.effect.size
    p = float(limits.p_value(np.zeros(1))[0])
    return Row(
        "effect", float(fit.coef[0]), p_value=p, interval=limits, details={"f_statistic": f_statistic, "q": fit.q}
    )


def _components(h: Harmonised, share: float, count: int | None, *, raising: bool = False) -> FloatArray:
    weight = np.abs(h.beta_exposure) / h.se_outcome
    if not raising:
        return principal_components(weight, h.correlations, share, count)
    sign = np.where(h.beta_exposure < 0, -1.0, 1.0)
    return principal_components(weight * sign, h.correlations, share, count) * sign[:, None]


def _no_components(h: Harmonised) -> str:
    return "needs the correlations of the variants (ld)" if h.ld is None else _no_sample_sizes(h)


def _too_few_components(h: Harmonised) -> str:
    without = _no_components(h)
    if without:
        return without
    basis = _components(h, SHARE, None)
    return _one_component(basis.shape[1]) or _more_than_all(h, basis)


def _one_component(count: int) -> str:
    return "one principal component holds the correlations, and two are needed; raise share" if count < 2 else ""


def _pc_gmm(h: Harmonised, basis: FloatArray, *, robust: bool) -> Row:
    x, y = _joint(h, basis)
    m = _moments(x, y)
    fit, extra = liml_widened(m) if robust else (liml(m), 0.0)
    details = {
        "q": fit.q,
        "n_components": float(basis.shape[1]),
        "f_statistic": float(x.effect @ np.linalg.solve(x.cov, x.effect)) / basis.shape[1],
    }
    if robust:
        details["overdispersion"] = extra * _size(h, "outcome")
    return Row("effect", float(fit.coef[0]), float(np.sqrt(fit.cov[0, 0])), details=details)


def clr(harmonised: Harmonised, *, n_exposure: float | None = None, n_outcome: float | None = None) -> MREstimates:
    r"""Weak-instrument tests: conditional likelihood ratio, Anderson-Rubin, Kleibergen's K.

    Parameters
    ----------
    harmonised : Harmonised
        With or without correlations (`ld`).
    n_exposure, n_outcome : float, optional
        Sample sizes; the means over the table's variants when omitted.

    Returns
    -------
    MREstimates
        Rows "clr", "ar", "k": the estimate is that of limited-information
        maximum likelihood, p-value and limits are of the tests, which keep
        their level however weak the instruments are. Sets in several pieces
        are in ``confidence_sets()``, outer ends in ``tidy()``; they may be
        infinite or, for "ar", empty. That of "k" has a second piece, often tiny
        and far off, where the likelihood is lowest: prefer "clr".

    Notes
    -----
    With joint effects :math:`\hat\gamma_x, \hat\gamma_y` (see "gmm" in
    :func:`mvmr`), :math:`S = (\Sigma_y + \theta^2 \Sigma_x)^{-1/2} (\hat\gamma_y -
    \theta \hat\gamma_x)` and :math:`R = (\Sigma_x^{-1} + \theta^2
    \Sigma_y^{-1})^{-1/2} (\Sigma_x^{-1} \hat\gamma_x + \theta \Sigma_y^{-1}
    \hat\gamma_y)`: AR is :math:`S'S`, K :math:`(S'R)^2 / R'R`, and the
    likelihood ratio :math:`\frac12 [S'S - R'R + \{(S'S + R'R)^2 - 4 (S'S \, R'R -
    (S'R)^2)\}^{1/2}]`. R's ``mr_clr`` gives the points of a grid of step 0.01 that lie
    within; here the limits are exact.

    References
    ----------
    Wang S, Kang H. Biometrics 2022;78:1699-1713. doi:10.1111/biom.13524
    Andrews DWK, Moreira MJ, Stock JH. Econometrica 2006;74:715-752. doi:10.1111/j.1468-0262.2006.00680.x

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.03] * 3, beta_outcome=[0.05, 0.10, 0.08],
    ...     se_outcome=[0.02] * 3,
    ... )
    >>> clr(h, n_exposure=1000, n_outcome=2000).confidence_sets()[["method", "conf_low", "conf_high"]].round(2).values
    array([['clr', 0.34, 0.7],
           ['ar', 0.28, 0.81],
           ['k', -0.93, -0.92],
           ['k', 0.34, 0.7]], dtype=object)
    """
    h = _sized(harmonised, n_exposure, n_outcome)
    rows: list[tuple[Method, str, Row]]
    names: tuple[Method, ...] = ("clr", "ar", "k")
    reason = FAMILY["clr"].reason(h)
    if reason:
        rows = [(name, reason, Row("effect")) for name in names]
    else:
        found = _Weak.of(h)
        rows = [(name, "", _test(found, name)) for name in names]
    return _collect(h, rows, f"mr.clr(harmonised, n_exposure={n_exposure!r}, n_outcome={n_outcome!r})")


def pc_gmm(
    harmonised: Harmonised,
    *,
    n_exposure: float | None = None,
    n_outcome: float | None = None,
    components: int | None = None,
    share: float = SHARE,
    robust: bool = True,
    coding: Literal["given", "raising"] = "given",
) -> MREstimates:
    r"""Estimate from principal components of many correlated variants in one gene region.

    Parameters
    ----------
    harmonised : Harmonised
        With `ld`.
    n_exposure, n_outcome : float, optional
        Sample sizes; the means over the table's variants when omitted.
    components : int, optional
        Their number; as many as hold more than `share` when omitted.
    share : float
        Of the variance of the weighted correlations.
    robust : bool
        Widen the variances until the components agree.
    coding : {"given", "raising"}
        Take the components of the correlations as the variants are coded, as
        R's ``mr_pcgmm``, or coded to raise the exposure: the answer then does
        not depend on which alleles were counted.

    Returns
    -------
    MREstimates
        ``further()`` has Q, the F statistic, the number of components, and
        the overdispersion (below zero: not used).

    Notes
    -----
    As "pc_gmm" in :func:`mvmr`, with weights :math:`|x_j| / \sigma_{yj}`.

    References
    ----------
    Patel A, Gill D, Newcombe P, Burgess S. Conditional inference in cis-Mendelian
    randomization using weak genetic factors. Biometrics 2023.

    Examples
    --------
    >>> h = Harmonised.from_arrays(
    ...     beta_exposure=[0.10, 0.21, 0.15], se_exposure=[0.03] * 3, beta_outcome=[0.05, 0.10, 0.08],
    ...     se_outcome=[0.02] * 3, ld=[[1, 0.3, 0.2], [0.3, 1, 0.1], [0.2, 0.1, 1]],
    ... )
    >>> pc_gmm(h, n_exposure=1000, n_outcome=2000).tidy()["estimate"].round(2).tolist()
    [0.49]
    """
    h = _sized(harmonised, n_exposure, n_outcome)
    check_option("coding", coding, ("given", "raising"))
    if not 0 < share < 1:
        raise OptionError(f"share={share!r} must lie between 0 and 1")
    if components is not None:
        check_whole_number("components", components, 2, h.n_variants)
    reason = FAMILY["pc_gmm"]._replace(why_not=_no_components).reason(h)
    row = Row("effect")
    if not reason:
        basis = _components(h, share, components, raising=coding == "raising")
        reason = _one_component(basis.shape[1]) or _more_than_all(h, basis)
        row = row if reason else _pc_gmm(h, basis, robust=robust)
    call = f"mr.pc_gmm(harmonised, components={components!r}, share={share!r}, robust={robust!r})"
    return _collect(h, [("pc_gmm", reason, row)], call)


def _sized(h: Harmonised, n_exposure: float | None, n_outcome: float | None) -> Harmonised:
    check_harmonised(h)
    table = h.table
    for name, value in (("n_exposure", n_exposure), ("n_outcome", n_outcome)):
        if value is not None:
            if not value > h.n_variants:
                raise OptionError(f"{name}={value!r} must be larger than the number of variants, {h.n_variants}")
            table = table.assign(**{name: float(value)})
    return h if table is h.table else replace(h, table=table)


def _collect(h: Harmonised, rows: list[tuple[Method, str, Row]], call: str) -> MREstimates:
    from dxa_causal.mr.estimates import collect

    return collect(h, rows, call=call)


def _row_of(test: str) -> Callable[[Harmonised, Settings], list[Row]]:
    return lambda h, settings: [_test(_Weak.of(h), test)]


FAMILY: dict[str, Estimator] = {
    name: Estimator(label, _row_of(name), least=1, ratio=False, correlated=True, why_not=_why_not)
    for name, label in (("clr", "Conditional likelihood ratio"), ("ar", "Anderson-Rubin"), ("k", "Kleibergen's K"))
}
FAMILY["pc_gmm"] = Estimator(
    "Principal-components GMM", lambda h, settings: [_pc_gmm(h, _components(h, SHARE, None), robust=True)],
    least=2, ratio=False, correlated=True, why_not=_too_few_components,
)  # fmt: skip
