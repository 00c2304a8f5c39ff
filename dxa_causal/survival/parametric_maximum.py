"""Where the likelihood of a parametric model is highest, and where the search for it begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError
from dxa_causal.survival._kernels.distributions import Family, Gompertz, Located, Transformed
from dxa_causal.survival._kernels.lifetime_likelihood import Maximum, evaluate, maximise
from dxa_causal.survival._kernels.piecewise_exponential import PiecewiseModel
from dxa_causal.survival.lifetimes import Lifetimes
from dxa_causal.survival.parametric_families import ERRORS, row_model

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def maximise_family(family: Family, data: Lifetimes, codes: IntArray | None, n_strata: int) -> tuple[Maximum, float]:
    """The fit, and the log-likelihood without covariates."""

    def fit(family: Family, x: FloatArray, starts: list[FloatArray]) -> Maximum:
        model = row_model(family, x, data.offset, codes, n_strata)
        starts = sorted(starts, key=lambda s: -np.nan_to_num(evaluate(model, data.observed, s).value, nan=-np.inf))
        found = maximise(model, data.observed, starts[0])
        for other in starts[1:]:
            if not found.converged:
                found = max(found, maximise(model, data.observed, other), key=lambda m: (m.converged, m.at.value))
        return found

    none = np.empty((len(data.x), 0))
    null = fit(family, none, _starts(family, data, none, codes, n_strata))
    if not data.x.shape[1]:
        return null, null.at.value
    found = fit(family, data.x, _starts(family, data, data.x, codes, n_strata))
    if not found.converged or found.at.value < null.at.value - 1e-6:
        place = null.theta.size if isinstance(family, Transformed) else 1
        again = fit(family, data.x, [np.insert(null.theta, place, np.zeros(data.x.shape[1]))])
        found = max(found, again, key=lambda m: (m.converged, m.at.value))
    return found, null.at.value


def maximise_located(family: Located, data: Lifetimes, x: FloatArray) -> Maximum:
    """Fit of one unstratified distribution with covariates x as they stand."""
    (start,) = _starts(family, data, x, None, 0)
    return maximise(row_model(family, x, data.offset, None, 0), data.observed, start)


def _starts(
    family: Family,
    data: Lifetimes,
    x: FloatArray,
    codes: IntArray | None,
    n_strata: int,
) -> list[FloatArray]:
    """Where the iteration begins: least squares of the (log) time, or the maximum of a simpler model."""
    k = max(n_strata, 1)

    def best(simple: Located) -> FloatArray:
        model = row_model(simple, x, data.offset, codes, n_strata)
        return maximise(model, data.observed, _least_squares(simple, data, x, k)).theta

    if isinstance(family, Gompertz):
        rate = best(Located("extreme", scaled=False, sign=1))
        return [np.concatenate([rate, np.zeros(k)])]
    if isinstance(family, Transformed):
        bare = np.empty((len(x), 0))
        return [np.append(s, np.zeros(x.shape[1])) for s in _starts(family.baseline, data, bare, codes, n_strata)]
    assert isinstance(family, Located)
    if family.error == "gengamma":
        return [np.append(best(Located("extreme")), 1.0), np.append(best(Located("normal")), 0.0)]
    if family.sign and family.scaled:
        # from z = (y - mu) / sigma to z = sign * eta + y / sigma
        theta, p = best(Located(family.error)), x.shape[1]
        shape = np.exp(-theta[p + 1 :])
        return [np.append(-family.sign * shape.mean() * theta[: p + 1], np.log(shape))]
    return [_least_squares(family, data, x, k)]


def _least_squares(family: Located, data: Lifetimes, x: FloatArray, k: int) -> FloatArray:
    y = data.guess(log_time=family.log_time)
    away = data.offset * (-family.sign or 1)
    columns = np.column_stack([np.ones(len(x)), x])
    beta = np.asarray(np.linalg.lstsq(columns, y - away, rcond=None)[0], dtype=np.float64)
    spread = float(np.std(y - away - columns @ beta)) or 1.0
    typical = next(s for e, s in ERRORS.values() if e == family.error)
    if family.sign:
        return np.asarray(-family.sign * beta)
    return np.append(beta, np.full(k, np.log(spread / typical))) if family.scaled else beta


def maximise_piecewise(data: Lifetimes, cuts: FloatArray) -> tuple[Maximum, float]:
    """Fit of a piecewise constant hazard, and its log-likelihood without covariates."""
    simple = Located("extreme", scaled=False, sign=1)
    found = []
    for x in (np.empty((len(data.x), 0)), data.x):
        model = row_model(simple, x, data.offset, None, 0)
        rate = maximise(model, data.observed, _least_squares(simple, data, x, 1)).theta
        start = np.concatenate([np.full(cuts.size + 1, rate[0]), rate[1:]])
        found.append(maximise(PiecewiseModel(cuts, x, data.offset), data.observed, start))
    return found[1], found[0].at.value


def choose_breaks(given: int | Sequence[float] | None, data: Lifetimes) -> FloatArray:
    """Checked times between pieces; quantiles of the event times for a number of pieces."""
    known = data.event_times()
    if isinstance(given, int | np.integer):
        if given < 1:
            raise OptionError(f"breaks={given!r}: the number of pieces must be at least 1")
        if given > np.unique(known).size:
            raise OptionError(f"breaks={given!r}: more pieces than event times ({np.unique(known).size}); use fewer")
        cuts = np.unique(np.quantile(known, np.linspace(0, 1, int(given) + 1)[1:-1]))
        return np.asarray(cuts, dtype=np.float64)
    try:
        cuts = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(f"breaks={given!r} must be times or a number of pieces") from None
    if cuts.ndim != 1 or not np.isfinite(cuts).all() or (cuts <= 0).any() or (np.diff(cuts) <= 0).any():
        raise OptionError(f"breaks={given!r} must be positive times in rising order (0 and the end left out)")
    empty = np.bincount(np.searchsorted(cuts, known, side="left"), minlength=cuts.size + 1) == 0
    if empty.any() and not data.observed.between.size and not data.observed.left.size:
        k = int(np.flatnonzero(empty)[0])
        ends = [0.0, *cuts, np.inf]
        raise OptionError(f"breaks: no event in the piece from {ends[k]:g} to {ends[k + 1]:g}; join it with another")
    return cuts
