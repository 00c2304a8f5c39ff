"""Which distribution with which parameterisation, what its parameters are called, and its kernel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_option
from dxa_causal.survival._kernels.distributions import Family, Gompertz, Located, RowModel, Transformed

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Distribution = Literal[
    "exponential",
    "weibull",
    "lognormal",
    "loglogistic",
    "gengamma",
    "gompertz",
    "gaussian",
    "logistic",
    "piecewise_exponential",
]
Parameterisation = Literal["aft", "ph", "po"]

# standard distribution of the (log) time, and standard deviation of that
ERRORS = {
    "exponential": ("extreme", 1.28),
    "weibull": ("extreme", 1.28),
    "lognormal": ("normal", 1.0),
    "gaussian": ("normal", 1.0),
    "loglogistic": ("logistic", 1.81),
    "logistic": ("logistic", 1.81),
    "gengamma": ("gengamma", 1.1),
}
REAL = ("gaussian", "logistic")
HAZARD_ONLY = ("gompertz", "piecewise_exponential")
# where a proportional model of the distribution is the same distribution with another intercept
CLOSED = {("exponential", "ph"): 1, ("weibull", "ph"): 1, ("loglogistic", "po"): -1}


def choose_parameterisation(distribution: Distribution, given: Parameterisation | None) -> Parameterisation:
    """The parameterisation asked for or that of the distribution; an impossible one is refused."""
    if given is None:
        return "ph" if distribution in HAZARD_ONLY else "aft"
    check_option("parameterisation", given, Parameterisation)
    allowed = ("ph",) if distribution in HAZARD_ONLY else ("aft",) if distribution in REAL else ("aft", "ph", "po")
    if given not in allowed:
        raise OptionError(
            f"parameterisation={given!r} is not possible with distribution={distribution!r}; use "
            f"{' or '.join(repr(a) for a in allowed)}"
        )
    return given


def scale_name(distribution: str) -> str | None:
    """Whether strata get a scale or a shape of their own; None where the distribution has neither."""
    if distribution in ("exponential", "piecewise_exponential"):
        return None
    return "shape" if distribution == "gompertz" else "scale"


def family_of(distribution: str, kind: Parameterisation) -> Family:
    """Kernel of a distribution with its parameterisation."""
    if distribution == "gompertz":
        return Gompertz()
    scaled, log_time = distribution != "exponential", distribution not in REAL
    error = ERRORS[distribution][0]
    if kind == "aft":
        return Located(error, log_time, scaled)
    if (distribution, kind) in CLOSED:
        return Located(error, log_time, scaled, CLOSED[distribution, kind])
    return Transformed(Located(error, log_time, scaled), kind)


def parameter_names(
    family: Family, distribution: str, covariates: list[str], strata: str | None, labels: tuple[Any, ...]
) -> tuple[tuple[str, ...], range]:
    """Names of the parameters, and places of the covariates among them."""
    name = {"gompertz": "shape", "gengamma": "log(sigma)"}.get(distribution, "log(scale)")
    if isinstance(family, Located) and family.sign:
        name = "log(shape)"
    scales = [name] if strata is None else [f"{name}[{strata}={label}]" for label in labels]
    ancillary = (scales if scale_name(distribution) else []) + (["Q"] if distribution == "gengamma" else [])
    p = len(covariates)
    if isinstance(family, Transformed):
        return ("Intercept", *ancillary, *covariates), range(1 + len(ancillary), 1 + len(ancillary) + p)
    return ("Intercept", *covariates, *ancillary), range(1, 1 + p)


def row_model(family: Family, x: FloatArray, offset: FloatArray, codes: IntArray | None, n_strata: int) -> RowModel:
    """The family with the design matrix of each of its parameters."""
    n = len(x)
    ones = np.ones((n, 1))
    scales = ones if codes is None else np.eye(n_strata)[codes]
    base = family.baseline if isinstance(family, Transformed) else family
    blocks = [ones] if isinstance(family, Transformed) else [np.hstack([ones, x])]
    if isinstance(base, Gompertz) or (isinstance(base, Located) and base.scaled):
        blocks.append(scales)
    if isinstance(base, Located) and base.error == "gengamma":
        blocks.append(ones)
    if isinstance(family, Transformed):
        blocks.append(x)
    return RowModel(family, tuple(blocks), offset, len(blocks) - 1 if isinstance(family, Transformed) else 0)
