"""Every feature with its unit and definition."""

from __future__ import annotations

import pandas as pd

from dxa_causal.imaging.quality import FLAGS
from dxa_causal.imaging.texture import BIN_WIDTH, FEATURES, TEXTURE

_SITES = {
    "third": "one-third site (20 mm along the ulna's axis, centred a third of the forearm's length from the styloid)",
    "mid": "mid site (25 mm from the styloid to the one-third site)",
    "ultradistal": "ultradistal site (10 to 25 mm from the styloid)",
}
_MINERAL = {
    "bmd": ("g/cm2", "bone mineral content over projected area"),
    "bmc": ("g", "hydroxyapatite mass"),
    "area": ("cm2", "projected area within the bone's outline"),
    "width": ("mm", "area over the length of the band"),
}
_SHAFT = {
    "cortical_thickness": ("mm", "wall normal to the outline, mean of an elliptic tube that holds the mineral seen"),
    "medullary_width": ("mm", "width less two walls"),
    "cortical_index": ("1", "two walls over width"),
    "csmi_mineral": ("g cm", "second moment of mineral about its centre across the ulna's axis, mean of rows"),
    "csmi": ("cm4", "csmi_mineral over the mineral density assumed"),
    "csa": ("cm2", "mineral per length over the mineral density assumed"),
    "section_modulus": ("cm3", "csmi over the largest distance from the centre to the outline, mean of rows"),
}
_RANGE = "styloid to the proximal end of the one-third site"
_CLEAR = f"{_RANGE}, at least 2 mm from the skin's edge and from bone"
_SOFT = {
    "soft_fat_fraction": ("1", f"fat over fat and lean mass of soft tissue, {_CLEAR}"),
    "soft_fat_mass": ("g", f"fat, {_CLEAR}"),
    "muscle_lean_mass": ("g", f"lean, {_CLEAR}"),
    "muscle_area": ("cm2", f"pixels with muscle and no bone, {_RANGE}"),
    "subcutaneous_area": ("cm2", f"pixels of the arm beside the muscle, skin included, {_RANGE}"),
    "intermuscular_area": ("cm2", "muscle_area times the share of fat between muscles; fat under the skin is guessed"),
    "muscle_fat_fraction": ("1", "fat over fat and lean mass on muscle_area, fat under the skin included"),
    "muscle_heterogeneity": ("1", "standard deviation of the fat share over muscle_area, smoothed by 3 mm"),
    "subcutaneous_thickness": ("mm", "from skin to muscle on the flanks, mean of both, 10 mm to one-third + 10 mm"),
}
_ARM = {
    "forearm_width": ("mm", "width of the arm at the one-third site, across the ulna's axis"),
    "forearm_length": ("mm", "ulnar styloid to olecranon, as given by the site (or 0.146 of the height, flagged)"),
    "forearm_rotation": (
        "deg",
        "ulna's axis to the columns of the image as it was stored, positive towards high columns",
    ),
    "ulna_styloid_row": ("px", "row of the ulnar styloid's tip, pixel centres are integers from 0"),
}
_ASSUMED = {
    "radius_mineral_density_assumed": ("g/cm3", "hydroxyapatite per volume of the wall, for thickness, csmi and csa"),
    "marrow_fat_assumed": ("1", "share of yellow marrow in the marrow"),
}
_TRABECULAR = {
    "variogram_slope": ("1", "slope of the log variogram of mineral on log distance, noise taken off; large if coarse"),
    "fractal_dimension": ("1", "3 less half of the variogram's slope"),
}


def _measured() -> dict[str, tuple[str, str]]:
    found = {}
    for site, where in _SITES.items():
        for bone in ("radius", "ulna"):
            for name, (unit, text) in _MINERAL.items():
                if (bone, name) != ("ulna", "width"):
                    found[f"{bone}_{site}_{name}"] = unit, f"{text}, {bone}, {where}"
    found |= {
        f"radius_third_{name}": (unit, f"{text}, radius, {_SITES['third']}") for name, (unit, text) in _SHAFT.items()
    }
    return found | _SOFT | _ARM


_MEASURED = _measured()
_TEXTURE = {
    **{
        f"radius_third_{name}": (FEATURES[key].unit, f"{FEATURES[key].definition}, {_SITES['third']}")
        for name, key in TEXTURE.items()
    },
    **{
        f"radius_ultradistal_texture_{key}": (feature.unit, f"{feature.definition}, {_SITES['ultradistal']}")
        for key, feature in FEATURES.items()
    },
    **{
        f"radius_ultradistal_{name}": (unit, f"{text}, {_SITES['ultradistal']}")
        for name, (unit, text) in _TRABECULAR.items()
    },
}

FEATURE_NAMES = (
    *(column for name in _MEASURED for column in (name, f"{name}_se")),
    *_TEXTURE,
    *_ASSUMED,
)


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
    rows = []
    for name, (unit, text) in _MEASURED.items():
        rows += [(name, unit, text), (f"{name}_se", unit, f"standard error of {name}")]
    rows += [
        (name, unit, f"{text} (mineral map, bins of {BIN_WIDTH} g/cm2)") for name, (unit, text) in _TEXTURE.items()
    ]
    rows += [(name, *entry) for name, entry in _ASSUMED.items()]
    flags = "; ".join(f"{code}: {text}" for code, text in FLAGS.items())
    rows.append(("qc_flag", "text", f"'ok', or codes joined by ';' ({flags})"))
    return pd.DataFrame(rows, columns=["name", "unit", "definition"])
