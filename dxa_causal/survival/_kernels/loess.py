"""Local regression (loess) of one covariate, interpolated between the vertices of a k-d tree as in R."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

SPAN = 0.75
DEGREE = 2
CELL = 0.2  # a cell of the tree is cut while it holds more than this share of a neighbourhood


@dataclass(frozen=True, slots=True)
class Loess:
    """A local regression before the response is known, which enters linearly.

    Attributes
    ----------
    vertices : (v,) ndarray
        Increasing.
    value, slope : (v, n) ndarray
        What each row adds to the value and the slope at each vertex.
    """

    vertices: FloatArray
    value: FloatArray
    slope: FloatArray

    def fitted(self, at: FloatArray, y: FloatArray) -> FloatArray:
        """Fitted values at some points within the range of the data, (m,)."""
        return self._between(at, self.value @ y, self.slope @ y)

    def std_error(self, at: FloatArray, variance: FloatArray) -> FloatArray:
        """Standard errors there, from the (n,) variances of independent responses."""
        rows = self._between(at[:, None], self.value, self.slope)
        return np.asarray(np.sqrt(rows**2 @ variance))

    def _between(self, at: FloatArray, value: FloatArray, slope: FloatArray) -> FloatArray:
        """Cubics with the values and slopes of the vertices on either side."""
        flat = at.reshape(-1)
        place = np.clip(np.searchsorted(self.vertices, flat, side="left") - 1, 0, self.vertices.size - 2)
        width = np.diff(self.vertices)[place].reshape(at.shape)
        h = (at - self.vertices[place].reshape(at.shape)) / width
        return np.asarray(
            (1 - h) ** 2 * (1 + 2 * h) * value[place]
            + h**2 * (3 - 2 * h) * value[place + 1]
            + h * (1 - h) * ((1 - h) * slope[place] - h * slope[place + 1]) * width
        )


def loess(x: FloatArray, *, span: float = SPAN) -> Loess:
    r"""Local quadratic regression on x.

    At each vertex of the tree the ``floor(n * span)`` nearest rows are fitted by weighted least squares with tricube
    weights :math:`(1 - (d / d_{max})^3)^3`; between two vertices stands the cubic with their values and slopes. The
    number of vertices does not grow with n, so that the cost is O(n log n). R's ``loess`` with its default surface
    gives the same numbers.
    """
    vertices = _vertices(np.sort(x), int(np.floor(x.size * (span * CELL))))
    nearest = min(x.size, int(np.floor(x.size * span)))
    rows = np.array([_local(x, v, nearest) for v in vertices])
    return Loess(vertices, rows[:, 0], rows[:, 1])


def _vertices(x: FloatArray, most: int) -> FloatArray:
    """Ends of the cells: medians of cells that hold more than `most` rows, and a box a little wider than the data."""
    low, high = float(x[0]), float(x[-1])
    margin = 0.005 * max(high - low, 1e-10 * max(abs(low), abs(high)) + 1e-30)
    box = (low - margin, high + margin)
    found = list(box)
    cells = [(0, x.size - 1, *box)]
    while cells:
        first, last, left, right = cells.pop()
        if last - first + 1 <= most:
            continue
        m = _between_ties(x, first, last)
        if x[m] in (left, right):
            continue
        cut = float(x[m])
        found.append(cut)
        cells += [(first, m, left, cut), (m + 1, last, cut, right)]
    return np.array(sorted(found))


def _between_ties(x: FloatArray, first: int, last: int) -> int:
    """The place nearest the middle of a cell after which the value changes; the middle itself where none does."""
    middle = (first + last + 2) // 2 - 1  # counted from one, as the tree's authors do
    offset = 0
    while first <= middle + offset < last:
        if x[middle + offset] != x[middle + offset + 1]:
            return middle + offset
        offset = -offset if offset > 0 else -offset + 1
    return middle


def _local(x: FloatArray, at: float, nearest: int) -> FloatArray:
    """What each row adds to the value and the slope at a vertex, (2, n)."""
    distance = np.abs(x - at)
    reach = np.partition(distance, nearest - 1)[nearest - 1]
    if reach == 0:  # more than the neighbourhood is tied here
        reach = distance[distance > 0].min()
    rows = distance < reach
    root = np.sqrt((1.0 - (distance[rows] / reach) ** 3) ** 3)
    basis = root[:, None] * (x[rows] - at)[:, None] ** np.arange(DEGREE + 1)
    scale = np.sqrt(np.sum(basis**2, axis=0))
    scale[scale == 0] = 1.0
    # neighbours with fewer than three values leave a shortest solution, as in R
    inverse = np.linalg.pinv(basis / scale, rcond=100 * np.finfo(np.float64).eps) / scale[:, None]
    added = np.zeros((2, x.size))
    added[:, rows] = inverse[:2] * root
    return added
