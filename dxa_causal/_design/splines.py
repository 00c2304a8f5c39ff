"""Spline terms of formulas that formulaic lacks, or gives another meaning: ns, rcs, cr."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from formulaic.materializers.types import FactorValues
from formulaic.transforms import TRANSFORMS
from formulaic.utils.stateful_transforms import stateful_transform

from dxa_causal._core.errors import FormulaError

FloatArray = npt.NDArray[np.float64]

# Where Harrell puts 3 to 7 knots (quantiles of the covariate).
_HARRELL = {
    3: (0.10, 0.50, 0.90),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.50, 0.725, 0.95),
    6: (0.05, 0.23, 0.41, 0.59, 0.77, 0.95),
    7: (0.025, 0.1833, 0.3417, 0.50, 0.6583, 0.8167, 0.975),
}


def ns(
    x: Any,
    df: int | None = None,
    knots: Iterable[float] | None = None,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
    _state: dict[str, Any] | None = None,
) -> Any:
    """Natural cubic spline with R's B-spline basis: ``splines::ns(x, df)``, linear beyond the bounds.

    `df` columns with ``df - 1`` inner knots at quantiles, or one column more than `knots`.
    """
    values = np.asarray(x, dtype=np.float64)
    state = {} if _state is None else _state
    if "knots" not in state:
        low = float(values.min()) if lower_bound is None else float(lower_bound)
        high = float(values.max()) if upper_bound is None else float(upper_bound)
        if knots is not None:
            inner = np.sort(np.asarray(list(knots), dtype=np.float64))
        else:
            inner = _quantiles(values, np.arange(1, df or 1) / (df or 1))
        if not low < high or (inner.size and (inner[0] <= low or inner[-1] >= high)) or (np.diff(inner) <= 0).any():
            raise FormulaError(
                f"ns(): knots {inner.tolist()} must increase between the bounds {low:g} and {high:g}; a covariate with "
                "few different values takes a smaller df"
            )
        state["knots"] = [low, *inner.tolist(), high]
    return _columns(_natural(values, state["knots"]))


def _natural(values: FloatArray, knots: list[float]) -> FloatArray:
    from scipy.interpolate import BSpline

    low, high = knots[0], knots[-1]
    full = np.array([low] * 3 + knots + [high] * 3)
    spline = BSpline(full, np.eye(full.size - 4), 3)
    curvature = spline.derivative(2)(np.array([low, high]))[:, 1:]
    # what is left of the basis once both end curvatures are zero
    null = np.linalg.qr(curvature.T, mode="complete")[0][:, 2:]
    basis: FloatArray = spline(np.clip(values, low, high))
    slope = spline.derivative(1)
    for end, outside in ((low, values < low), (high, values > high)):
        if outside.any():
            basis[outside] = spline(end) + (values[outside] - end)[:, None] * slope(end)
    return np.asarray(basis[:, 1:] @ null)


def rcs(
    x: Any,
    n_knots: int | Iterable[float] = 4,
    knots: Iterable[float] | None = None,
    _state: dict[str, Any] | None = None,
) -> Any:
    """Restricted cubic spline with Harrell's truncated-power basis: ``rms::rcs(x, 4)``.

    The first column is x itself, so that the others together test non-linearity. `n_knots` (3 to 7) puts knots at
    Harrell's quantiles; `knots` gives them.
    """
    values = np.asarray(x, dtype=np.float64)
    state = {} if _state is None else _state
    if "knots" not in state:
        given = knots if knots is not None else n_knots if not isinstance(n_knots, int | float) else None
        if given is not None:
            at = np.sort(np.asarray(list(given), dtype=np.float64))
        elif n_knots in _HARRELL:
            at = _quantiles(values, np.array(_HARRELL[int(n_knots)]))
        else:
            raise FormulaError(f"rcs(): {n_knots} knots; give 3 to 7, or knots=[...]")
        if at.size < 3 or (np.diff(at) <= 0).any():
            raise FormulaError(
                f"rcs(): knots {at.tolist()} must be at least three different values; a covariate with few different "
                "values takes fewer knots, or knots=[...]"
            )
        state["knots"] = at.tolist()
    t = np.array(state["knots"])
    cube = np.maximum(values[:, None] - t, 0.0) ** 3
    last, gap = t[-1], t[-1] - t[-2]
    bent = cube[:, :-2] - cube[:, [-2]] * (last - t[:-2]) / gap + cube[:, [-1]] * (t[-2] - t[:-2]) / gap
    return _columns(np.column_stack([values, bent / (last - t[0]) ** 2]))


def cr(
    x: Any,
    df: int | None = None,
    knots: Iterable[float] | None = None,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
    constraints: Any = "center",
    _state: dict[str, Any] | None = None,
) -> Any:
    """Cubic regression spline as in patsy and mgcv, centred unless asked otherwise.

    Uncentred it would hold the constant, which a model with an intercept or a baseline hazard has already.
    """
    return TRANSFORMS["cr"].__wrapped__(
        x,
        df=df,
        knots=knots,
        lower_bound=lower_bound,
        upper_bound=upper_bound,
        constraints=constraints,
        _state={} if _state is None else _state,
    )


def _quantiles(values: FloatArray, at: FloatArray) -> FloatArray:
    return np.asarray(np.quantile(values, at), dtype=np.float64)


def _columns(matrix: FloatArray) -> Any:
    return FactorValues({k + 1: matrix[:, k] for k in range(matrix.shape[1])}, kind="numerical", spans_intercept=False)


# What formulas may call beyond the functions of formulaic itself.
TRANSFORMS_ADDED = {
    "ns": stateful_transform(ns),
    "rcs": stateful_transform(rcs),
    "cr": stateful_transform(cr),
    "sqrt": np.sqrt,
}
