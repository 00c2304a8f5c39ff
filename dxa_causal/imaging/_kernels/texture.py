"""Texture of a map discretised to grey levels: matrices counted in one plane, and their features.

A map enters as ranks, (rows, columns): -1 outside the mask, else the position of the pixel's grey level among those
that occur, `grey`, which start at 1. Ranks keep the matrices small where levels are skipped. Each entry returns its
features in the order of the tuple of names of its class.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dxa_causal._core.jit import inner, kernel, warms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FIRSTORDER = (
    "energy",
    "total_energy",
    "entropy",
    "minimum",
    "10_percentile",
    "90_percentile",
    "maximum",
    "mean",
    "median",
    "interquartile_range",
    "range",
    "mean_absolute_deviation",
    "robust_mean_absolute_deviation",
    "root_mean_squared",
    "skewness",
    "kurtosis",
    "variance",
    "uniformity",
)
GLCM = (
    "autocorrelation",
    "joint_average",
    "cluster_prominence",
    "cluster_shade",
    "cluster_tendency",
    "contrast",
    "correlation",
    "difference_average",
    "difference_entropy",
    "difference_variance",
    "joint_energy",
    "joint_entropy",
    "imc1",
    "imc2",
    "idm",
    "mcc",
    "idmn",
    "id",
    "idn",
    "inverse_variance",
    "maximum_probability",
    "sum_average",
    "sum_entropy",
    "sum_squares",
)
GLRLM = (
    "short_run_emphasis",
    "long_run_emphasis",
    "gray_level_non_uniformity",
    "gray_level_non_uniformity_normalized",
    "run_length_non_uniformity",
    "run_length_non_uniformity_normalized",
    "run_percentage",
    "gray_level_variance",
    "run_variance",
    "run_entropy",
    "low_gray_level_run_emphasis",
    "high_gray_level_run_emphasis",
    "short_run_low_gray_level_emphasis",
    "short_run_high_gray_level_emphasis",
    "long_run_low_gray_level_emphasis",
    "long_run_high_gray_level_emphasis",
)
GLSZM = (
    "small_area_emphasis",
    "large_area_emphasis",
    "gray_level_non_uniformity",
    "gray_level_non_uniformity_normalized",
    "size_zone_non_uniformity",
    "size_zone_non_uniformity_normalized",
    "zone_percentage",
    "gray_level_variance",
    "zone_variance",
    "zone_entropy",
    "low_gray_level_zone_emphasis",
    "high_gray_level_zone_emphasis",
    "small_area_low_gray_level_emphasis",
    "small_area_high_gray_level_emphasis",
    "large_area_low_gray_level_emphasis",
    "large_area_high_gray_level_emphasis",
)
GLDM = (
    "small_dependence_emphasis",
    "large_dependence_emphasis",
    "gray_level_non_uniformity",
    "dependence_non_uniformity",
    "dependence_non_uniformity_normalized",
    "gray_level_variance",
    "dependence_variance",
    "dependence_entropy",
    "low_gray_level_emphasis",
    "high_gray_level_emphasis",
    "small_dependence_low_gray_level_emphasis",
    "small_dependence_high_gray_level_emphasis",
    "large_dependence_low_gray_level_emphasis",
    "large_dependence_high_gray_level_emphasis",
)
NGTDM = ("coarseness", "contrast", "busyness", "complexity", "strength")

# of the 16 numbers of a size matrix, those that say something of dependences: every pixel has one, so their number
# per pixel is 1 and their share by level is the histogram's
_OF_DEPENDENCES = np.array([0, 1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15])
_ON_EDGE = 1e-9  # of a bin: a value this near below an edge is on it, but for rounding
_SMOOTHEST = 1e6  # coarseness where no pixel differs from its neighbours


def levels_of_width(values: FloatArray, width: float) -> FloatArray:
    """Grey levels from 1 of bins `width` wide that start at a multiple of the width."""
    level = np.floor(values / width + _ON_EDGE)
    return level - level.min() + 1.0


def levels_of_number(values: FloatArray, n: int) -> FloatArray:
    """Grey levels from 1 to `n` of equal bins from the smallest value to the largest; all 1 where those are equal."""
    low, high = values.min(), values.max()
    if low == high:
        return np.ones_like(values)
    return np.minimum(np.floor(n * (values - low) / (high - low) + _ON_EDGE) + 1.0, n)


def ranks(levels: FloatArray, mask: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Map of ranks and the grey levels that occur, from the levels of the pixels in the mask."""
    grey, rank = np.unique(levels, return_inverse=True)
    image = np.full(mask.shape, -1, dtype=np.int64)
    image[mask] = rank
    return image, grey.astype(np.int64)


def tally(image: IntArray, grey: IntArray) -> IntArray:
    """Pixels at each grey level that occurs."""
    return np.bincount(image[image >= 0], minlength=grey.size)


@inner
def _bits(p):
    return -p * math.log2(p) if p > 0.0 else 0.0


@inner
def _quantile(ordered, q):
    at = (ordered.size - 1) * q
    below = int(at)
    if below + 1 >= ordered.size:
        return ordered[ordered.size - 1]
    return ordered[below] + (at - below) * (ordered[below + 1] - ordered[below])


@kernel
def _firstorder(values, counts, pixel_area, out):
    n = values.size
    ordered = np.sort(values)
    low, high = _quantile(ordered, 0.1), _quantile(ordered, 0.9)
    energy, total, middle, n_middle = 0.0, 0.0, 0.0, 0
    for x in ordered:
        energy += x * x
        total += x
        if low <= x <= high:
            middle += x
            n_middle += 1
    mean = total / n
    middle /= n_middle
    off, off_middle, m2, m3, m4 = 0.0, 0.0, 0.0, 0.0, 0.0
    for x in ordered:
        d = x - mean
        off += abs(d)
        m2 += d * d
        m3 += d * d * d
        m4 += d * d * d * d
        if low <= x <= high:
            off_middle += abs(x - middle)
    if ordered[0] == ordered[n - 1]:  # what rounding leaves of the moments is no shape
        mean, off, off_middle, m2, m3, m4 = ordered[0], 0.0, 0.0, 0.0, 0.0, 0.0
    m2, m3, m4 = m2 / n, m3 / n, m4 / n
    entropy, uniformity = 0.0, 0.0
    for count in counts:
        p = count / n
        entropy += _bits(p)
        uniformity += p * p
    out[0] = energy
    out[1] = energy * pixel_area
    out[2] = entropy
    out[3] = ordered[0]
    out[4] = low
    out[5] = high
    out[6] = ordered[n - 1]
    out[7] = mean
    out[8] = _quantile(ordered, 0.5)
    out[9] = _quantile(ordered, 0.75) - _quantile(ordered, 0.25)
    out[10] = ordered[n - 1] - ordered[0]
    out[11] = off / n
    out[12] = off_middle / n_middle
    out[13] = math.sqrt(energy / n)
    out[14] = m3 / m2**1.5 if m2 > 0.0 else 0.0
    out[15] = m4 / (m2 * m2) - 3.0 if m2 > 0.0 else 0.0
    out[16] = m2
    out[17] = uniformity


@inner
def _direction(k):
    """Rows down and columns right of one of the four directions in a plane."""
    if k == 0:
        return 0, 1
    if k == 1:
        return 1, 0
    if k == 2:
        return 1, 1
    return 1, -1


@inner
def _count_pairs(image, down, right, counts):
    """Add the pairs of neighbours in one direction, each counted both ways round."""
    rows, columns = image.shape
    for r in range(rows - down):
        for c in range(max(0, -right), columns - max(0, right)):
            i, j = image[r, c], image[r + down, c + right]
            if i >= 0 and j >= 0:
                counts[i, j] += 1.0
                counts[j, i] += 1.0


@inner
def _maximal_correlation(p, px):
    """Second largest singular value of p(i, j) / sqrt(px(i) px(j)); 1 where there is one level."""
    n = px.size
    if n == 1:
        return 1.0
    scaled = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if p[i, j] > 0.0:
                scaled[i, j] = p[i, j] / math.sqrt(px[i] * px[j])
    size = np.sort(np.abs(np.linalg.eigvalsh(scaled)))
    return size[n - 2]


@inner
def _pair_features(counts, grey, out):
    """Add the features of one symmetric matrix of pairs to `out`."""
    n, n_levels = grey.size, grey[grey.size - 1]
    p = counts / counts.sum()
    px = p.sum(axis=1)
    of_sum, of_gap = np.zeros(2 * n_levels + 1), np.zeros(n_levels)
    mean, hx = 0.0, 0.0
    for i in range(n):
        mean += px[i] * grey[i]
        hx += _bits(px[i])
    product, prominence, shade, tendency, variance, covariance = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    energy, hxy, hxy1, hxy2, largest = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        for j in range(n):
            independent = px[i] * px[j]
            hxy2 += _bits(independent)
            q = p[i, j]
            if q == 0.0:
                continue
            of_sum[grey[i] + grey[j]] += q
            of_gap[abs(grey[i] - grey[j])] += q
            product += q * grey[i] * grey[j]
            both = grey[i] + grey[j] - 2.0 * mean
            square = q * both * both
            tendency += square
            shade += square * both
            prominence += square * both * both
            variance += q * (grey[i] - mean) ** 2
            covariance += q * (grey[i] - mean) * (grey[j] - mean)
            energy += q * q
            hxy += _bits(q)
            hxy1 -= q * math.log2(independent)
            largest = max(largest, q)
    contrast, gap, gap_entropy, idm, idmn, inverse, idn, near = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(n_levels):
        q = of_gap[k]
        gap += q * k
        contrast += q * k * k
        gap_entropy += _bits(q)
        idm += q / (1.0 + k * k)
        idmn += q / (1.0 + (k / n_levels) ** 2)
        inverse += q / (1.0 + k)
        idn += q / (1.0 + k / n_levels)
        if k > 0:
            near += q / (k * k)
    gap_variance = 0.0
    for k in range(n_levels):
        gap_variance += of_gap[k] * (k - gap) ** 2
    sum_average, sum_entropy = 0.0, 0.0
    for k in range(of_sum.size):
        sum_average += of_sum[k] * k
        sum_entropy += _bits(of_sum[k])
    out[0] += product
    out[1] += mean
    out[2] += prominence
    out[3] += shade
    out[4] += tendency
    out[5] += contrast
    out[6] += covariance / variance if variance > 0.0 else 1.0
    out[7] += gap
    out[8] += gap_entropy
    out[9] += gap_variance
    out[10] += energy
    out[11] += hxy
    out[12] += (hxy - hxy1) / hx if hx > 0.0 else 0.0
    out[13] += math.sqrt(1.0 - math.exp(-2.0 * (hxy2 - hxy))) if hxy2 > hxy else 0.0
    out[14] += idm
    out[15] += _maximal_correlation(p, px)
    out[16] += idmn
    out[17] += inverse
    out[18] += idn
    out[19] += near
    out[20] += largest
    out[21] += sum_average
    out[22] += sum_entropy
    out[23] += variance


@kernel
def _glcm(image, grey, merged, out):
    n = grey.size
    counts = np.zeros((n, n))
    used = 0
    for k in range(4):
        down, right = _direction(k)
        _count_pairs(image, down, right, counts)
        if not merged and counts.sum() > 0.0:
            _pair_features(counts, grey, out)
            used += 1
            counts[:] = 0.0
    if merged and counts.sum() > 0.0:
        _pair_features(counts, grey, out)
        used = 1
    for k in range(out.size):
        out[k] = out[k] / used if used > 0 else math.nan


@inner
def _size_features(counts, grey, sizes, out):
    """Add the 16 features of a matrix of grey level by size (of runs, zones or dependences) to `out`."""
    n, m = counts.shape
    of_level, of_size = np.zeros(n), np.zeros(m)
    total = counts.sum()
    entropy, low_short, high_short, low_long, high_long = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        g2 = float(grey[i]) * grey[i]
        for j in range(m):
            c = counts[i, j]
            if c == 0.0:
                continue
            s2 = float(sizes[j]) * sizes[j]
            of_level[i] += c
            of_size[j] += c
            entropy += _bits(c / total)
            low_short += c / (g2 * s2)
            high_short += c * g2 / s2
            low_long += c * s2 / g2
            high_long += c * g2 * s2
    level_mean, level_unevenness, low, high = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        c, g = of_level[i], float(grey[i])
        level_mean += c * g / total
        level_unevenness += c * c
        low += c / (g * g)
        high += c * g * g
    size_mean, size_unevenness, short, long, pixels = 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(m):
        c, s = of_size[j], float(sizes[j])
        size_mean += c * s / total
        size_unevenness += c * c
        short += c / (s * s)
        long += c * s * s
        pixels += c * s
    level_variance, size_variance = 0.0, 0.0
    for i in range(n):
        level_variance += of_level[i] * (grey[i] - level_mean) ** 2
    for j in range(m):
        size_variance += of_size[j] * (sizes[j] - size_mean) ** 2
    out[0] += short / total
    out[1] += long / total
    out[2] += level_unevenness / total
    out[3] += level_unevenness / total**2
    out[4] += size_unevenness / total
    out[5] += size_unevenness / total**2
    out[6] += total / pixels
    out[7] += level_variance / total
    out[8] += size_variance / total
    out[9] += entropy
    out[10] += low / total
    out[11] += high / total
    out[12] += low_short / total
    out[13] += high_short / total
    out[14] += low_long / total
    out[15] += high_long / total


@inner
def _count_runs(image, down, right, counts):
    """Add the runs of equal neighbours in one direction to counts by level and length, less one."""
    rows, columns = image.shape
    for r in range(rows):
        for c in range(columns):
            level = image[r, c]
            if level < 0:
                continue
            before_r, before_c = r - down, c - right
            if before_r >= 0 and 0 <= before_c < columns and image[before_r, before_c] == level:
                continue  # inside a run counted from its first pixel
            length = 1
            at_r, at_c = r + down, c + right
            while at_r < rows and 0 <= at_c < columns and image[at_r, at_c] == level:
                length += 1
                at_r += down
                at_c += right
            counts[level, length - 1] += 1.0


@kernel
def _glrlm(image, grey, merged, out):
    longest = max(image.shape[0], image.shape[1])
    sizes = np.arange(1, longest + 1)
    counts = np.zeros((grey.size, longest))
    for k in range(4):
        down, right = _direction(k)
        _count_runs(image, down, right, counts)
        if not merged:
            _size_features(counts, grey, sizes, out)
            counts[:] = 0.0
    if merged:
        _size_features(counts, grey, sizes, out)
    else:
        out /= 4.0


@kernel
def _glszm(image, grey, out):
    rows, columns = image.shape
    n_pixels = rows * columns
    left = image.copy()
    of_zone, stack = np.empty((n_pixels, 2), dtype=np.int64), np.empty((n_pixels, 2), dtype=np.int64)
    column_of = np.zeros(n_pixels + 1, dtype=np.int64)  # of a size in the matrix, 1 more
    zones, n_sizes = 0, 0
    for r in range(rows):
        for c in range(columns):
            level = left[r, c]
            if level < 0:
                continue
            left[r, c] = -1
            stack[0, 0], stack[0, 1] = r, c
            waiting, size = 1, 0
            while waiting > 0:
                waiting -= 1
                at_r, at_c = stack[waiting, 0], stack[waiting, 1]
                size += 1
                for rr in range(max(at_r - 1, 0), min(at_r + 2, rows)):
                    for cc in range(max(at_c - 1, 0), min(at_c + 2, columns)):
                        if left[rr, cc] == level:
                            left[rr, cc] = -1
                            stack[waiting, 0], stack[waiting, 1] = rr, cc
                            waiting += 1
            of_zone[zones, 0], of_zone[zones, 1] = level, size
            zones += 1
            if column_of[size] == 0:
                n_sizes += 1
                column_of[size] = n_sizes
    sizes = np.empty(n_sizes, dtype=np.int64)
    counts = np.zeros((grey.size, n_sizes))
    for k in range(zones):
        column = column_of[of_zone[k, 1]] - 1
        sizes[column] = of_zone[k, 1]
        counts[of_zone[k, 0], column] += 1.0
    _size_features(counts, grey, sizes, out)


@kernel
def _neighbourhoods(image, grey, dependences, differences):
    """Pixels by level and number of equal neighbours; pixels that have neighbours, and how they differ, by level."""
    rows, columns = image.shape
    for r in range(rows):
        for c in range(columns):
            level = image[r, c]
            if level < 0:
                continue
            equal, n, total = 0, 0, 0
            for rr in range(max(r - 1, 0), min(r + 2, rows)):
                for cc in range(max(c - 1, 0), min(c + 2, columns)):
                    other = image[rr, cc]
                    if other < 0 or (rr == r and cc == c):
                        continue
                    n += 1
                    total += grey[other]
                    equal += other == level
            dependences[level, equal] += 1.0
            if n > 0:
                differences[level, 0] += 1.0
                differences[level, 1] += abs(grey[level] - total / n)


@kernel
def _gldm(dependences, grey, out):
    _size_features(dependences, grey, np.arange(1, 10), out)


@kernel
def _ngtdm(differences, grey, out):
    pixels = differences[:, 0].sum()
    if pixels == 0.0:  # no pixel has a neighbour
        out[:] = math.nan
        return
    n = grey.size
    present = 0
    weighted, total = 0.0, 0.0
    for i in range(n):
        present += differences[i, 0] > 0.0
        weighted += differences[i, 0] / pixels * differences[i, 1]
        total += differences[i, 1]
    contrast, busy, complexity, strength = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        p = differences[i, 0] / pixels
        for j in range(n):
            q = differences[j, 0] / pixels
            if p == 0.0 or q == 0.0:
                continue
            gap = float(grey[i] - grey[j])
            contrast += p * q * gap * gap
            busy += abs(grey[i] * p - grey[j] * q)
            complexity += abs(gap) * (p * differences[i, 1] + q * differences[j, 1]) / (p + q)
            strength += (p + q) * gap * gap
    out[0] = 1.0 / weighted if weighted > 0.0 else _SMOOTHEST
    out[1] = contrast / (present * (present - 1)) * total / pixels if present > 1 else 0.0
    out[2] = weighted / busy if busy > 0.0 else 0.0
    out[3] = complexity / pixels
    out[4] = strength / total if total > 0.0 else 0.0


def firstorder(values: FloatArray, counts: IntArray, pixel_area: float) -> FloatArray:
    """Features of the values in the mask, (n,), and of the number of pixels at each grey level."""
    out = np.empty(len(FIRSTORDER))
    _firstorder(values, counts, pixel_area, out)
    return out


def glcm(image: IntArray, grey: IntArray, merged: bool) -> FloatArray:
    """Co-occurrence of neighbours, symmetric: features averaged over four directions, or of their merged matrix."""
    out = np.zeros(len(GLCM))
    _glcm(image, grey, merged, out)
    return out


def glrlm(image: IntArray, grey: IntArray, merged: bool) -> FloatArray:
    """Runs of one grey level: features averaged over four directions, or of their merged matrix."""
    out = np.zeros(len(GLRLM))
    _glrlm(image, grey, merged, out)
    return out


def glszm(image: IntArray, grey: IntArray) -> FloatArray:
    """Zones of one grey level, neighbours at corners included."""
    out = np.zeros(len(GLSZM))
    _glszm(image, grey, out)
    return out


def neighbourhoods(image: IntArray, grey: IntArray) -> tuple[FloatArray, FloatArray]:
    """Counts by level and equal neighbours, (n, 9); pixels with a neighbour and summed differences, (n, 2)."""
    dependences, differences = np.zeros((grey.size, 9)), np.zeros((grey.size, 2))
    _neighbourhoods(image, grey, dependences, differences)
    return dependences, differences


def gldm(dependences: FloatArray, grey: IntArray) -> FloatArray:
    """Number of equal pixels around each, itself included."""
    out = np.zeros(16)
    _gldm(dependences, grey, out)
    return out[_OF_DEPENDENCES]


def ngtdm(differences: FloatArray, grey: IntArray) -> FloatArray:
    """Difference of each pixel from the mean of its neighbours."""
    out = np.empty(len(NGTDM))
    _ngtdm(differences, grey, out)
    return out


@warms
def _warm() -> None:
    image, grey = ranks(np.array([1.0, 2.0]), np.array([[True, True]]))
    firstorder(np.array([0.0, 1.0]), np.array([1, 1]), 1.0)
    glcm(image, grey, False)
    glrlm(image, grey, False)
    glszm(image, grey)
    dependences, differences = neighbourhoods(image, grey)
    gldm(dependences, grey)
    ngtdm(differences, grey)
