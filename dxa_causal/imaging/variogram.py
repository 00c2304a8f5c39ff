"""How fast a planar map changes with distance: its variogram, freed of noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError, OptionError, UnmeasurableScanError
from dxa_causal.imaging._kernels.variogram import squares
from dxa_causal.imaging.planar import check_pixel, within
from dxa_causal.imaging.read import BoolArray, FloatArray

LAGS = 4  # pixels of the coarser side: far enough to see a texture's length, near enough for a narrow shaft


def variogram_slope(
    image: FloatArray, mask: BoolArray, pixel_mm: tuple[float, float], *, noise_variance: float = 0.0
) -> float:
    r"""Slope of the logarithm of the variogram on that of the distance: large for coarse texture.

    Parameters
    ----------
    image : (rows, columns) ndarray
        Map, say of bone mineral, g/cm².
    mask : (rows, columns) ndarray of bool
        Pixels to measure.
    pixel_mm : (float, float)
        Size of a pixel (row, column), mm.
    noise_variance : float
        Variance of white noise in a pixel, in the square of the map's unit; see
        :func:`noise_variance`.

    Returns
    -------
    float
        Without unit; 0 for white noise, 2 for a smooth surface.

    Raises
    ------
    UnmeasurableScanError
        A lag has no pair of pixels, or the noise leaves nothing of the
        variogram.

    Notes
    -----
    With :math:`g` the map and means over all pairs inside the mask, along rows and
    along columns, :math:`d` pixels apart,

    .. math:: V(d) = \overline{(g(x + d) - g(x))^2} - 2 \sigma^2

    and the slope is that of the least-squares line of :math:`\ln V` on
    :math:`\ln d` over :math:`d = 1, 2, 3, 4`. Where pixels are not square, lags
    along the finer side are the nearest whole number of pixels to the same
    distance. Noise adds a constant to :math:`V`, most of it felt at short lags of
    coarse textures: left in, it can turn round the order of two textures, so give
    its variance. The slope depends on the pixel's size; compare it between maps of
    one device. It is akin to the trabecular bone score, whose own formula is not
    public.

    References
    ----------
    Pothuaud L, Carceller P, Hans D (2008) Bone 42:775, doi:10.1016/j.bone.2007.11.018.

    Examples
    --------
    >>> import numpy as np
    >>> from dxa_causal.imaging.variogram import variogram_slope
    >>> ramp = np.add.outer(np.arange(20.0), np.arange(30.0))
    >>> round(variogram_slope(ramp, np.ones((20, 30), dtype=bool), (0.6, 0.6)), 6)
    2.0
    """
    check_pixel(pixel_mm)
    if not (np.isfinite(noise_variance) and noise_variance >= 0):
        raise OptionError(f"noise_variance={noise_variance!r} must be a number, 0 or more")
    values, inside = within(image, mask)
    distance, v = _variogram(values, inside, pixel_mm)
    left = v - 2.0 * noise_variance
    if not (left > 0).all():
        lag = int(np.flatnonzero(~(left > 0))[0])
        raise UnmeasurableScanError(
            f"a mean squared difference of {v[lag]:.3g} at lag {lag + 1} is no more than twice the noise variance "
            f"({2.0 * noise_variance:.3g}): no texture is left there",
            "texture_failed",
        )
    x = np.log(distance) - np.log(distance).mean()
    return float((x * np.log(left)).sum() / (x * x).sum())


def fractal_dimension(
    image: FloatArray,
    mask: BoolArray,
    pixel_mm: tuple[float, float] = (1.0, 1.0),
    *,
    noise_variance: float = 0.0,
) -> float:
    r"""Fractal dimension of a map seen as a surface, from its variogram.

    Parameters
    ----------
    image, mask, pixel_mm, noise_variance
        As for :func:`variogram_slope`; pixels are square unless `pixel_mm` says
        otherwise.

    Returns
    -------
    float
        Without unit; 2 for a smooth surface, 3 for one that fills space.

    Notes
    -----
    A self-affine surface of Hurst exponent :math:`H` has :math:`V(d) \propto d^{2H}`
    and dimension :math:`D = 3 - H`, so :math:`D = 3 - s / 2` with :math:`s` the slope
    of :func:`variogram_slope`. It says nothing that the slope does not, and is a
    dimension only as far as the map is self-affine over one to four pixels.

    References
    ----------
    Mandelbrot BB, Van Ness JW (1968) SIAM Rev 10:422, doi:10.1137/1010093.

    Examples
    --------
    >>> import numpy as np
    >>> from dxa_causal.imaging.variogram import fractal_dimension
    >>> ramp = np.add.outer(np.arange(20.0), np.arange(30.0))
    >>> round(fractal_dimension(ramp, np.ones((20, 30), dtype=bool)), 6)
    2.0
    """
    return 3.0 - 0.5 * variogram_slope(image, mask, pixel_mm, noise_variance=noise_variance)


def noise_variance(image: FloatArray, mask: BoolArray, *, repeat: FloatArray | None = None) -> float:
    r"""Variance of white noise in a pixel, from a repeat of the map or from a flat part of it.

    Parameters
    ----------
    image : (rows, columns) ndarray
    mask : (rows, columns) ndarray of bool
        With a repeat: the pixels whose texture is to be measured. Without: a part
        of the map that is flat but for noise, such as air or a uniform phantom.
    repeat : (rows, columns) ndarray, optional
        The same object, measured again and not moved.

    Returns
    -------
    float
        In the square of the map's unit.

    Raises
    ------
    UnmeasurableScanError
        Too few pixels: one with a repeat, no three in line without.

    Notes
    -----
    With a repeat, half the variance of the difference of the two maps: what does
    not change falls out. Without, a sixth of the mean squared second difference
    :math:`g(x - 1) - 2 g(x) + g(x + 1)` along rows and columns, in which a level and
    a slope fall out but texture does not, so that in a textured part it is too
    large. Fewer quanta pass through bone than through air: a map's noise under bone
    is larger than beside it, and a repeat measures it where it matters.

    Examples
    --------
    >>> import numpy as np
    >>> from dxa_causal.imaging.variogram import noise_variance
    >>> flat = np.random.default_rng(1).normal(0.8, 0.03, (200, 200))
    >>> round(noise_variance(flat, np.ones(flat.shape, dtype=bool)) / 0.03**2, 1)
    1.0
    """
    if repeat is None:
        return _of_second_differences(*within(image, mask))
    first, again = np.asarray(image, dtype=float), np.asarray(repeat, dtype=float)
    if first.shape != again.shape:
        raise ImageError(f"repeat {again.shape} must have the shape of image {first.shape}")
    difference, inside = within(first - again, mask)
    if inside.sum() < 2:
        raise UnmeasurableScanError("noise needs two pixels or more in the mask", "texture_failed")
    return float(0.5 * difference[inside].var(ddof=1))


def _of_second_differences(values: FloatArray, inside: BoolArray) -> float:
    total, n = 0.0, 0
    for g, m in ((values, inside), (values.T, inside.T)):
        three = m[:-2] & m[1:-1] & m[2:]
        bend = (g[:-2] - 2.0 * g[1:-1] + g[2:])[three]
        total, n = total + float(bend @ bend), n + bend.size
    if n == 0:
        raise UnmeasurableScanError("noise needs three pixels of the mask in a line", "texture_failed")
    return total / (6.0 * n)


def _variogram(values: FloatArray, inside: BoolArray, pixel_mm: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    """Mean distance, mm, and mean squared difference of the pairs at each lag."""
    coarse = max(pixel_mm)
    steps = np.array([[round(d * coarse / side) for side in pixel_mm] for d in range(1, LAGS + 1)], dtype=np.int64)
    lags: npt.NDArray[np.int64] = np.zeros((2 * LAGS, 2), dtype=np.int64)
    lags[:LAGS, 0], lags[LAGS:, 1] = steps[:, 0], steps[:, 1]
    total, pairs = squares(values, inside.astype(np.int64), lags).reshape(2, LAGS, 2).transpose(2, 0, 1)
    n = pairs.sum(axis=0)
    if not n.all():
        raise UnmeasurableScanError(
            f"the mask has no two pixels {int(np.flatnonzero(n == 0)[0]) + 1} apart in a row or a column; the "
            f"variogram needs lags from 1 to {LAGS}",
            "texture_failed",
        )
    mm = steps.T * np.array(pixel_mm)[:, None]
    return (pairs * mm).sum(axis=0) / n, total.sum(axis=0) / n
