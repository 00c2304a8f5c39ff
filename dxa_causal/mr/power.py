"""Power of a Mendelian randomisation, and the smallest effect it can be expected to find."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option

FloatArray = npt.NDArray[np.float64]
Formula = Literal["burgess", "brion"]


def power(
    *,
    effect: npt.ArrayLike,
    n: npt.ArrayLike,
    r2: npt.ArrayLike,
    case_share: npt.ArrayLike | None = None,
    alpha: float = 0.05,
    formula: Formula = "burgess",
    observational: npt.ArrayLike | None = None,
) -> FloatArray:
    r"""Chance that the test of the causal effect is significant.

    Parameters
    ----------
    effect : float or array_like
        Causal effect per standard deviation of the exposure: in standard
        deviations of a quantitative outcome, log odds ratio of a binary one.
    n : float or array_like
        Size of the outcome sample.
    r2 : float or array_like
        Variance of the exposure explained by the variants
        (``mr.strength(h).r2``).
    case_share : float or array_like, optional
        Share of cases in the sample; makes the outcome binary.
    alpha : float
        Two-sided level.
    formula : {"burgess", "brion"}
    observational : float or array_like, optional
        With "brion" and a quantitative outcome: the confounded regression
        slope; the causal effect itself when omitted.

    Returns
    -------
    ndarray
        In the common shape of the arguments.

    Notes
    -----
    Burgess (2014): :math:`\Phi(|\beta| \sqrt{n R^2} - z_{1-\alpha/2})`, binary outcome
    :math:`\Phi(|\beta| \sqrt{n R^2 c (1 - c)} - z_{1-\alpha/2})` with c the share of cases.
    Brion (2013): :math:`P(\chi^2_1(\lambda) > \chi^2_{1, 1-\alpha})`; quantitative outcome
    :math:`\lambda = n R^2 \beta^2 / (1 - \beta (2 b - \beta))` with b the observational slope; binary outcome
    :math:`\lambda = n R^2 d^2 / (c (1 - c) - d^2)`, :math:`d = c (\mathrm{OR} / (1 + c (\mathrm{OR} - 1)) - 1)`.
    Both hold for valid instruments and a correct model only; the weak-instrument bias towards the observational
    slope in one sample is not in them.

    References
    ----------
    Brion MJ, Shakhbazov K, Visscher PM. Int J Epidemiol 2013;42:1497-1501. doi:10.1093/ije/dyt179
    Burgess S. Int J Epidemiol 2014;43:922-929. doi:10.1093/ije/dyu005

    Examples
    --------
    >>> power(effect=0.1, n=[20_000, 50_000], r2=0.02).round(3).tolist()
    [0.516, 0.885]
    >>> float(power(effect=0.2, n=50_000, r2=0.02, case_share=0.5).round(3))
    0.885
    """
    from scipy.special import ndtr, ndtri

    beta = _within("effect", effect, -np.inf, np.inf)
    ncp = _noncentrality(beta, n, r2, case_share, formula, observational)
    z = -float(ndtri(_level("alpha", alpha) / 2.0))
    other_tail = ndtr(-z - np.sqrt(ncp)) if formula == "brion" else 0.0
    return np.asarray(ndtr(np.sqrt(ncp) - z) + other_tail, dtype=np.float64)


def detectable_effect(
    *,
    n: npt.ArrayLike,
    r2: npt.ArrayLike,
    power: float = 0.8,
    case_share: npt.ArrayLike | None = None,
    alpha: float = 0.05,
) -> FloatArray:
    r"""Smallest effect found with a given power.

    Parameters
    ----------
    n, r2, case_share, alpha
        As in :func:`dxa_causal.mr.power`.
    power : float
        Above alpha / 2.

    Returns
    -------
    ndarray
        Positive effect per standard deviation of the exposure: in standard
        deviations of the outcome, or log odds ratio with `case_share`.

    Notes
    -----
    :math:`(z_{1-\alpha/2} + z_{power}) / \sqrt{n R^2}`; binary outcome: n times c (1 - c).

    References
    ----------
    Burgess S. Int J Epidemiol 2014;43:922-929. doi:10.1093/ije/dyu005

    Examples
    --------
    >>> float(detectable_effect(n=20_000, r2=0.02).round(3))
    0.14
    """
    from scipy.special import ndtri

    level, wanted = _level("alpha", alpha), _level("power", power)
    if wanted <= level / 2.0:
        raise OptionError(f"power={power!r} must be above alpha / 2 = {level / 2.0:g}, which no effect at all has")
    unit = _noncentrality(np.ones(()), n, r2, case_share, "burgess", None)
    return np.asarray((ndtri(wanted) - ndtri(level / 2.0)) / np.sqrt(unit), dtype=np.float64)


def _noncentrality(
    beta: FloatArray,
    n: npt.ArrayLike,
    r2: npt.ArrayLike,
    case_share: npt.ArrayLike | None,
    formula: Formula,
    observational: npt.ArrayLike | None,
) -> FloatArray:
    check_option("formula", formula, Formula)
    size = _within("n", n, 0.0, np.inf) * _within("r2", r2, 0.0, 1.0)
    if observational is not None and (formula != "brion" or case_share is not None):
        raise OptionError("observational is used with formula='brion' and a quantitative outcome only")
    if case_share is None:
        if formula == "burgess":
            return np.asarray(size * beta**2)
        slope = beta if observational is None else _within("observational", observational, -np.inf, np.inf)
        residual = 1.0 - beta * (2.0 * slope - beta)
        if np.any(residual <= 0.0):
            raise OptionError(
                "effect and observational leave no residual variance of the outcome: they have to be in standard "
                "deviations of the outcome per standard deviation of the exposure"
            )
        return np.asarray(size * beta**2 / residual)
    share = _within("case_share", case_share, 0.0, 1.0)
    if formula == "burgess":
        return np.asarray(size * beta**2 * share * (1.0 - share))
    odds = np.exp(beta)
    difference = share * (odds / (1.0 + share * (odds - 1.0)) - 1.0)
    return np.asarray(size * difference**2 / (share * (1.0 - share) - difference**2))


def _within(name: str, values: npt.ArrayLike, low: float, high: float) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not ((array > low) & (array < high)).all():
        rule = "finite" if low == -np.inf else f"above {low:g}" + (f" and below {high:g}" if high < np.inf else "")
        raise OptionError(f"{name} must be {rule}; got {values!r}")
    return array


def _level(name: str, value: float) -> float:
    if not 0.0 < value < 1.0:
        raise OptionError(f"{name}={value!r} must lie between 0 and 1")
    return float(value)
