"""Write the data behind generate.R as CSV: ``python make_inputs.py FOLDER``.

All come from installed packages (lifelines, MIT) or from the data sets that ship here,
so that no data file has to stand beside the numbers.
"""

import sys
import warnings
from pathlib import Path

import dxa_causal as dc


def frames():
    """Name -> frame, as the tests load them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lifelines reads its files with deprecated calls
        from lifelines import datasets

        return {
            "lung": datasets.load_lung(),
            "heart": datasets.load_stanford_heart_transplants(),
            "recur": datasets.load_recur(),
            "rossi": datasets.load_rossi(),
            "larynx": datasets.load_larynx(),
        }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (frames() | {"nhefs": dc.datasets.load("nhefs")}).items():
        frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.17g")
