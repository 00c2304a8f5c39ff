"""Every feature with its unit and definition."""

from __future__ import annotations

import pandas as pd

from dxa_causal.imaging.quality import FLAGS
from dxa_causal.imaging.texture import BIN_WIDTH, FEATURES, TEXTURE

_SITE = "one-third radius (20 mm along the ulna's axis, centred a third of the forearm's length from the styloid)"

_MEASURED = {
    "radius_third_bmd": ("g/cm2", f"bone mineral content over projected area, {_SITE}"),
    "radius_third_bmc": ("g", f"hydroxyapatite mass, {_SITE}"),
    "radius_third_area": ("cm2", f"projected area within the bone's outline, {_SITE}"),
    "soft_fat_fraction": (
        "1",
        "fat over fat and lean mass of soft tissue, styloid to the proximal end of the one-third site, at least 2 mm "
        "from the skin's edge and from bone",
    ),
    "forearm_width": ("mm", "width of the arm at the one-third site, across the ulna's axis"),
    "forearm_length": ("mm", "ulnar styloid to olecranon, as given by the site (or 0.146 of the height, flagged)"),
    "ulna_styloid_row": ("px", "row of the ulnar styloid's tip, pixel centres are integers from 0"),
}

MEASURED_NAMES = tuple(_MEASURED)
TEXTURE_NAMES = tuple(f"radius_third_{name}" for name in TEXTURE)


def feature_dictionary() -> pd.DataFrame:
    """Name, unit and definition of every column that :func:`features` returns.

    Returns
    -------
    DataFrame
        Columns name, unit, definition.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> table = dc.imaging.feature_dictionary().set_index("name")
    >>> table.loc["radius_third_bmd", "unit"]
    'g/cm2'
    """
    rows = [(name, *entry) for name, entry in _MEASURED.items()]
    rows += [
        (
            f"radius_third_{name}",
            FEATURES[feature].unit,
            f"{FEATURES[feature].definition} (mineral map of the one-third radius, bins of {BIN_WIDTH} g/cm2)",
        )
        for name, feature in TEXTURE.items()
    ]
    flags = "; ".join(f"{code}: {text}" for code, text in FLAGS.items())
    rows.append(("qc_flag", "text", f"'ok', or codes joined by ';' ({flags})"))
    return pd.DataFrame(rows, columns=["name", "unit", "definition"])
