"""Reference rows of IBSI and features by pyradiomics; run where both sources lie.

    python tests/reference/texture/generate.py IBSI_FOLDER PYRADIOMICS_DATA_FOLDER

IBSI_FOLDER holds ibsi1_reference_values.csv and ibsi_1_digital_phantom, PYRADIOMICS_DATA_FOLDER the package's data.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk

from tests.imaging.texture_peer import by_pyradiomics

HERE = Path(__file__).parent
CASES = {
    "width": {"binWidth": 25},
    "narrow": {"binWidth": 10},
    "number": {"binCount": 16},
}
SLICE, LABELS = 6, ((9,), (1, 7, 8, 9))


def ibsi(folder: Path) -> None:
    for name in ("image/phantom", "mask/mask"):
        source = folder / "ibsi_1_digital_phantom" / "nifti" / f"{name}.nii.gz"
        shutil.copyfile(source, HERE / f"ibsi_{source.name}")
    table = pd.read_csv(folder / "ibsi1_reference_values.csv", keep_default_na=False)
    table = table[table["data"] == "dig. phantom"]
    first = (table["family"] == "Aggregating features") & (table["aggregation"] == "")
    planar = table["aggregation"].isin(["2D", "2D, averaged", "2D, slice-merged"])
    columns = ["feature", "ibsi_code", "aggregation", "value", "consensus"]
    table.loc[first | planar, columns].to_csv(HERE / "ibsi_digital_phantom.csv", index=False)


def pyradiomics(folder: Path) -> None:
    image, label = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"prostate_phantom_subvolume{end}.nrrd")))[SLICE]
        for end in ("", "-label")
    )
    np.savetxt(HERE / "pyradiomics_phantom.csv", image, fmt="%d", delimiter=",")
    np.savetxt(HERE / "pyradiomics_label.csv", label, fmt="%d", delimiter=",")
    expected = {
        "package": "pyradiomics 3.0.1",
        "call": "feature class(image, mask, force2D=True, force2Ddimension=0, **settings).execute()",
        "cases": [
            {
                "labels": labels,
                "settings": settings,
                "features": by_pyradiomics(image, np.isin(label, labels), **settings),
            }
            for labels in LABELS
            for settings in CASES.values()
        ],
    }
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    ibsi(Path(sys.argv[1]))
    pyradiomics(Path(sys.argv[2]))
