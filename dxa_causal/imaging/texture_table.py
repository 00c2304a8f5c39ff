"""Every texture feature: unit, definition and code of the Image Biomarker Standardisation Initiative (IBSI).

Names are those of pyradiomics 3.0.1 in snake case, after the class.
"""

from __future__ import annotations

from typing import NamedTuple

from dxa_causal.imaging._kernels.texture import FIRSTORDER, GLCM, GLDM, GLRLM, GLSZM, NGTDM


class Feature(NamedTuple):
    """Unit, definition and IBSI code (empty where IBSI has none) of a feature."""

    unit: str
    definition: str
    ibsi: str


_FIRSTORDER = {
    "energy": ("g2/cm4", "sum of squares", "N8CA"),
    "total_energy": ("g2/cm4 mm2", "sum of squares times a pixel's area", ""),
    "entropy": ("bit", "entropy of the grey-level histogram", "TLU2"),
    "minimum": ("g/cm2", "minimum", "1GSF"),
    "10_percentile": ("g/cm2", "10th percentile, linear between order statistics", "QG58"),
    "90_percentile": ("g/cm2", "90th percentile, linear between order statistics", "8DWT"),
    "maximum": ("g/cm2", "maximum", "84IY"),
    "mean": ("g/cm2", "mean", "Q4LE"),
    "median": ("g/cm2", "median", "Y12H"),
    "interquartile_range": ("g/cm2", "75th less 25th percentile", "SALO"),
    "range": ("g/cm2", "maximum less minimum", "2OJQ"),
    "mean_absolute_deviation": ("g/cm2", "mean distance from the mean", "4FUA"),
    "robust_mean_absolute_deviation": (
        "g/cm2",
        "mean distance from the mean among pixels from the 10th to the 90th percentile",
        "1128",
    ),
    "root_mean_squared": ("g/cm2", "root of the mean square", "5ZWQ"),
    "skewness": ("1", "skewness", "KE2A"),
    "kurtosis": ("1", "excess kurtosis, 0 for a normal distribution (pyradiomics adds 3)", "IPH6"),
    "variance": ("g2/cm4", "variance", "ECT3"),
    "uniformity": ("1", "sum of squared shares of the grey levels", "BJ5W"),
}

_GLCM = {
    "autocorrelation": ("1", "mean product of neighbouring grey levels", "QWB0"),
    "joint_average": ("1", "mean grey level of pairs", "60VM"),
    "cluster_prominence": ("1", "mean fourth power of a pair's sum about its mean", "AE86"),
    "cluster_shade": ("1", "mean third power of a pair's sum about its mean", "7NFM"),
    "cluster_tendency": ("1", "variance of a pair's sum", "DG8W"),
    "contrast": ("1", "mean squared difference of neighbouring grey levels", "ACUI"),
    "correlation": ("1", "correlation of neighbouring grey levels (1 where they do not vary)", "NI2N"),
    "difference_average": ("1", "mean absolute difference of neighbouring grey levels", "TF7R"),
    "difference_entropy": ("bit", "entropy of the absolute difference of neighbours", "NTRS"),
    "difference_variance": ("1", "variance of the absolute difference of neighbours", "D3YU"),
    "joint_energy": ("1", "sum of squared shares of pairs (angular second moment)", "8ZQL"),
    "joint_entropy": ("bit", "entropy of pairs", "TU9B"),
    "imc1": ("1", "information correlation 1: mutual information over the entropy of one pixel, negative", "R8DG"),
    "imc2": ("1", "information correlation 2: root of 1 - exp(-2 x mutual information in bits)", "JN9H"),
    "idm": ("1", "inverse difference moment of neighbouring grey levels", "WF0Z"),
    "mcc": ("1", "maximal correlation coefficient: the largest of any functions of two neighbours", ""),
    "idmn": ("1", "inverse difference moment, differences as shares of the number of grey levels", "1QCO"),
    "id": ("1", "mean of 1 / (1 + absolute difference of neighbours)", "IB1Z"),
    "idn": ("1", "inverse difference, differences as shares of the number of grey levels", "NDRX"),
    "inverse_variance": ("1", "sum over unequal pairs of 1 / squared difference, over all pairs", "E8JP"),
    "maximum_probability": ("1", "share of the commonest pair", "GYBY"),
    "sum_average": ("1", "mean sum of neighbouring grey levels", "ZGXS"),
    "sum_entropy": ("bit", "entropy of the sum of neighbouring grey levels", "P6QZ"),
    "sum_squares": ("1", "variance of the grey level of pairs (joint variance)", "UR99"),
}

# the sixteen of a matrix of grey level i by size s; {many} are what is counted
_BY_SIZE = (
    ("1", "mean of 1 / s2 over {many}"),
    ("1", "mean of s2 over {many}"),
    ("1", "sum over grey levels of squared numbers of {many}, over the number of {many}"),
    ("1", "sum of squared shares of the grey levels among {many}"),
    ("1", "sum over sizes of squared numbers of {many}, over the number of {many}"),
    ("1", "sum of squared shares of the sizes among {many}"),
    ("1", "number of {many} over number of pixels"),
    ("1", "variance of the grey level over {many}"),
    ("1", "variance of s over {many}"),
    ("bit", "entropy of grey level and s over {many}"),
    ("1", "mean of 1 / i2 over {many}"),
    ("1", "mean of i2 over {many}"),
    ("1", "mean of 1 / (i2 s2) over {many}"),
    ("1", "mean of i2 / s2 over {many}"),
    ("1", "mean of s2 / i2 over {many}"),
    ("1", "mean of i2 s2 over {many}"),
)
_RUN_CODES = "22OV W4KF R5YN OVBL W92Y IC23 9ZK5 8CE5 SXLW HJ9O V3SW G3QZ HTZT GD3A IVPO 3KUM"
_ZONE_CODES = "9SAK 48P8 JNSA Y1RO 4JP3 VB3A P30P BYLV 3NSA GU8N XMSY 5GN9 5RAI HW1V YH51 J17V"
_DEPENDENCE_CODES = "SODN IMOQ FP8K 5SPA Z87G OKJI 6XV8 1PFV DNX2 FCBV TL9H OAE7 EQ3F JA6D NBZI 9QMG"
_NOT_OF_DEPENDENCES = (3, 6)

_NGTDM = {
    "coarseness": ("1", "inverse of the mean difference of a pixel from its neighbours, weighted by level", "QCDE"),
    "contrast": ("1", "spread of the grey levels times the mean difference from the neighbours", "65HE"),
    "busyness": ("1", "weighted difference from the neighbours over the differences of level times share", "NQ30"),
    "complexity": ("1", "level differences weighted by the differences from the neighbours", "HDEZ"),
    "strength": ("1", "squared level differences over the summed differences from the neighbours", "1X9X"),
}


def _by_size(names: tuple[str, ...], many: str, size: str, codes: str) -> dict[str, Feature]:
    rows = [
        Feature(unit, f"{text.format(many=many)} (i: grey level; s: {size})", code)
        for (unit, text), code in zip(_BY_SIZE, codes.split())
    ]
    if len(names) < len(rows):
        rows = [row for k, row in enumerate(rows) if k not in _NOT_OF_DEPENDENCES]
    return dict(zip(names, rows))


NAMES = {
    "firstorder": FIRSTORDER,
    "glcm": GLCM,
    "glrlm": GLRLM,
    "glszm": GLSZM,
    "gldm": GLDM,
    "ngtdm": NGTDM,
}
_TABLES = {
    "firstorder": {name: Feature(*row) for name, row in _FIRSTORDER.items()},
    "glcm": {name: Feature(*row) for name, row in _GLCM.items()},
    "glrlm": _by_size(GLRLM, "runs", "length of a run of one grey level, pixels", _RUN_CODES),
    "glszm": _by_size(GLSZM, "zones", "size of a zone of one grey level, pixels", _ZONE_CODES),
    "gldm": _by_size(GLDM, "pixels", "number of its eight neighbours of its own grey level, and 1", _DEPENDENCE_CODES),
    "ngtdm": {name: Feature(*row) for name, row in _NGTDM.items()},
}
FEATURES = {f"{family}_{name}": _TABLES[family][name] for family, names in NAMES.items() for name in names}
