"""Profile likelihood of the causal effect when both effects of a variant carry error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_GRID = 721  # directions (1, b) looked at before the search
_NEWTON = 100


@dataclass(frozen=True, slots=True)
class ProfileEstimate:
    """Effect at the highest likelihood, standard error from the observed information, minus twice the log ratio."""

    estimate: float
    std_error: float
    q: float


def deviance(b: FloatArray, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, psi: float) -> FloatArray:
    """Squared distances of the variants from the line with slope b (m,), summed."""
    b = b[:, None]
    found: FloatArray = ((by - b * bx) ** 2 / (sy**2 - 2 * psi * b * sx * sy + (b * sx) ** 2)).sum(axis=1)
    return found


def profile_maximum(
    bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, psi: float = 0.0
) -> ProfileEstimate | None:
    """Find the slope with the least deviance anywhere; None if it is infinite."""
    from scipy.optimize import minimize_scalar

    unit = float(np.median(sy) / np.median(sx))  # directions evenly spread in units of the errors
    angles = np.linspace(-np.pi / 2, np.pi / 2, _GRID)[1:-1]
    narrow = float(np.sum(bx * by / sy**2) / np.sum((bx / sy) ** 2))  # the IVW slope and its surroundings
    span = 40 / float(np.sqrt(np.sum((bx / sy) ** 2)))
    grid = np.unique(np.concatenate([unit * np.tan(angles), narrow + span * np.linspace(-1, 1, 401)]))
    height = deviance(grid, bx, by, sx, sy, psi)
    at = int(np.argmin(height))
    if at in (0, grid.size - 1):
        return None
    arrays = (bx, by, sx, sy, psi)
    low, high = float(grid[at - 1]), float(grid[at + 1])
    found = minimize_scalar(
        lambda b: float(deviance(np.array([b]), *arrays)[0]), bounds=(low, high), method="bounded",
        options={"xatol": 1e-7 * (high - low)},
    )  # fmt: skip
    b = float(found.x)
    for _ in range(_NEWTON):
        slope, curvature = _derivatives(b, *arrays)
        if curvature <= 0:
            return None
        new = b - slope / curvature
        if not low <= new <= high or abs(new - b) <= 1e-14 * max(1e-300, abs(b)):
            break
        b = new
    return ProfileEstimate(b, (2 / _derivatives(b, *arrays)[1]) ** 0.5, float(deviance(np.array([b]), *arrays)[0]))


def _derivatives(
    b: float, bx: FloatArray, by: FloatArray, sx: FloatArray, sy: FloatArray, psi: float
) -> tuple[float, float]:
    r, r1 = by - b * bx, -bx
    v, v1, v2 = sy**2 - 2 * psi * b * sx * sy + (b * sx) ** 2, 2 * sx * (b * sx - psi * sy), 2 * sx**2
    slope = 2 * r * r1 / v - r**2 * v1 / v**2
    curvature = 2 * r1**2 / v - 4 * r * r1 * v1 / v**2 - r**2 * v2 / v**2 + 2 * r**2 * v1**2 / v**3
    return float(slope.sum()), float(curvature.sum())
