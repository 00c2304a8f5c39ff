"""Interaction of two exposures on the additive scale: RERI, AP and S."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from dxa_causal._core.errors import OptionError, PredictorError, nearest
from dxa_causal._core.options import check_conf_level, check_option
from dxa_causal.results import Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
InteractionLimits = Literal["delta", "mover"]


class LogRatioModel(Protocol):
    """A fit whose coefficients are logs of hazard, odds or rate ratios."""

    @property
    def terms(self) -> Any:
        """Names of the coefficients."""

    @property
    def coefficients(self) -> FloatArray:
        """Log ratios, (p,)."""

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the coefficients, (p, p)."""

    @property
    def nobs(self) -> int:
        """Rows analysed."""

    @property
    def provenance(self) -> Provenance:
        """Where the numbers come from."""


@dataclass(frozen=True, eq=False, repr=False)
class Interaction(Result):
    """Measures of additive interaction of two binary exposures.

    Attributes
    ----------
    a, b : str
        Terms.
    log_ratios : (3,) ndarray
        Of a alone, b alone and both, against neither.
    covariance : (3, 3) ndarray
        Of `log_ratios`.
    conf_method : {"delta", "mover"}
    """

    title: ClassVar[str] = "Additive interaction"

    a: str
    b: str
    log_ratios: FloatArray
    covariance: FloatArray
    conf_method: InteractionLimits
    nobs: int
    provenance: Provenance
    estimand: str = "relative excess risk due to interaction"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Ratios of the three exposure groups, then RERI, AP and S.

        Columns term, effect_measure, estimate, std_error, conf_low, conf_high,
        reason; the standard error of a ratio and of S is that of its logarithm.
        S is missing, with the reason, unless both joint and separate excess
        have one sign.
        """
        if exponentiate:
            raise OptionError("exponentiate=True has no meaning: the ratios are not on the log scale")
        check_conf_level(conf_level)
        z = float(special.ndtri(0.5 + conf_level / 2))
        spread = z * np.sqrt(np.diag(self.covariance))
        ratios = np.exp(self.log_ratios)
        names = [self.a, self.b, f"{self.a} and {self.b}"]
        rows = [
            (name, "ratio", ratios[k], spread[k] / z, *np.exp(self.log_ratios[k] + np.array([-1, 1]) * spread[k]), "")
            for k, name in enumerate(names)
        ]
        rows += [("RERI", "excess relative risk", *self._sum(ratios, 1.0, self.log_ratios, self.covariance, z), "")]
        # AP = 1 + 1/r_ab - r_a/r_ab - r_b/r_ab, a sum of ratios as well
        mix = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0], [0.0, 0.0, -1.0]])
        logs, covariance = mix @ self.log_ratios, mix @ self.covariance @ mix.T
        rows += [("AP", "attributable proportion", *self._sum(np.exp(logs), 1.0, logs, covariance, z), "")]
        rows += [("S", "synergy index", *self._synergy(ratios, z))]
        columns = ["term", "effect_measure", "estimate", "std_error", "conf_low", "conf_high", "reason"]
        return pd.DataFrame(rows, columns=columns)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, method."""
        return pd.DataFrame({"nobs": [self.nobs], "method": [self.conf_method]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Ratios of the three exposure groups with their limits."""
        from dxa_causal.plots.coefficients import forest

        return forest(self.tidy().iloc[:3], effect_measure="Ratio to neither exposure", ax=ax)

    def _sum(
        self, ratios: FloatArray, constant: float, logs: FloatArray, covariance: FloatArray, z: float
    ) -> tuple[float, float, float, float]:
        """Estimate, standard error and limits of `constant` - first - second + third ratio."""
        sign = np.array([-1.0, -1.0, 1.0])
        estimate = float(constant + sign @ ratios)
        gradient = sign * ratios
        std_error = float(np.sqrt(gradient @ covariance @ gradient))
        if self.conf_method == "delta":
            return estimate, std_error, estimate - z * std_error, estimate + z * std_error
        own = np.sqrt(np.diag(covariance))
        with np.errstate(invalid="ignore"):
            correlation = np.where(np.outer(own, own) > 0, covariance / np.outer(own, own), 0.0)
        down, up = ratios - np.exp(logs - z * own), np.exp(logs + z * own) - ratios
        # distances to the limits that pull the sum down, and up
        low, high = sign * np.where(sign > 0, down, up), sign * np.where(sign > 0, up, down)
        return (
            estimate,
            std_error,
            estimate - float(np.sqrt(low @ correlation @ low)),
            estimate + float(np.sqrt(high @ correlation @ high)),
        )

    def _synergy(self, ratios: FloatArray, z: float) -> tuple[float, float, float, float, str]:
        joint, separate = ratios[2] - 1, ratios[0] + ratios[1] - 2
        if not joint * separate > 0:
            reason = f"joint excess {joint:.3g} and sum of separate excesses {separate:.3g} differ in sign or are zero"
            missing = float("nan")
            return missing, missing, missing, missing, reason
        gradient = ratios * np.array([-1 / separate, -1 / separate, 1 / joint])
        log_s, std_error = np.log(joint / separate), float(np.sqrt(gradient @ self.covariance @ gradient))
        return joint / separate, std_error, np.exp(log_s - z * std_error), np.exp(log_s + z * std_error), ""

    def _notes(self) -> list[str]:
        notes = [f"limits of RERI and AP by the {self.conf_method} method, of S on the log scale"]
        low = [name for name, r in zip((self.a, self.b), self.log_ratios[:2], strict=True) if r < 0]
        if low:
            notes.append(
                f"{' and '.join(low)} lowers the risk: the measures are meant for exposures that raise it; code the "
                "group of lowest risk as neither"
            )
        return [*notes, *super()._notes()]


def interaction(
    fit: LogRatioModel, a: str, b: str, *, product: str | None = None, conf_method: InteractionLimits = "delta"
) -> Interaction:
    r"""Measure the interaction of two binary exposures on the additive scale.

    Parameters
    ----------
    fit : CoxFit, CaseCohortFit, NestedCaseControlFit or another
        With `terms`, `coefficients` (log ratios) and `covariance`; fitted with
        both exposures and their product, ``a * b``.
    a, b : str
        Terms of the exposures, as ``tidy()`` names them; a column's name will
        do when one term comes from it.
    product : str, optional
        Term of the product; found when omitted.
    conf_method : {"delta", "mover"}
        Limits of RERI and AP: symmetric (Hosmer and Lemeshow), or recovered
        from the limits of the ratios (Zou), which are not.

    Returns
    -------
    Interaction

    Notes
    -----
    With ratios :math:`r_{10}, r_{01}, r_{11}` against neither exposure,
    :math:`RERI = r_{11} - r_{10} - r_{01} + 1`, :math:`AP = RERI / r_{11}` and
    :math:`S = (r_{11} - 1) / (r_{10} + r_{01} - 2)`. Additive effects have RERI and AP of
    zero and S of one. Odds ratios stand for risk ratios where the outcome is rare.

    References
    ----------
    Hosmer DW, Lemeshow S. Epidemiology 1992;3:452-456. doi:10.1097/00001648-199209000-00012
    Zou GY. Am J Epidemiol 2008;168:212-224. doi:10.1093/aje/kwn104

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 50").dropna(subset=["grip_kg"])
    >>> cohort["weak"] = (cohort["grip_kg"] < 25).astype(int)
    >>> cohort["old"] = (cohort["age"] >= 70).astype(int)
    >>> fit = dc.survival.cox("Surv(time, died) ~ weak * old", cohort)
    >>> interaction(fit, "weak", "old").tidy()["term"].tolist()
    ['weak', 'old', 'weak and old', 'RERI', 'AP', 'S']
    """
    check_option("conf_method", conf_method, InteractionLimits)
    terms = [str(t) for t in fit.terms]
    first, second = _term(a, terms, "a"), _term(b, terms, "b")
    if product is None:
        product = next((t for t in (f"{first}:{second}", f"{second}:{first}") if t in terms), None)
        if product is None:
            raise PredictorError(
                f"the fit has no product of {first!r} and {second!r}; fit it with '{a} * {b}' or name the term as "
                f"product=. Its terms: {', '.join(map(repr, terms))}"
            )
    places = [terms.index(t) for t in (first, second, _term(product, terms, "product"))]
    design = getattr(fit, "design", None)
    for term, place in zip((first, second), places, strict=False):
        if design is not None and not np.isin(design.x[:, place], (0, 1)).all():
            raise PredictorError(f"{term!r} is not 0/1 in the rows analysed; make the exposure binary")
    mix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    return Interaction(
        a=first,
        b=second,
        log_ratios=read_only(mix @ fit.coefficients[places]),
        covariance=read_only(mix @ fit.covariance[np.ix_(places, places)] @ mix.T),
        conf_method=conf_method,
        nobs=fit.nobs,
        provenance=fit.provenance,
    )


def _term(name: str, terms: list[str], argument: str) -> str:
    if name in terms:
        return name
    own = [t for t in terms if ":" not in t and t.startswith((f"{name}[", f"C({name})[", f"C({name},"))]
    if len(own) == 1:
        return own[0]
    if own:
        raise PredictorError(
            f"{argument}={name!r} has several terms ({', '.join(map(repr, own))}); name one, or join levels"
        )
    near = nearest(name, terms, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise PredictorError(f"{argument}: no term {name!r}{hint} The fit's terms: {', '.join(map(repr, terms))}")
