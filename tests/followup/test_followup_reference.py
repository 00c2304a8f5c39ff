"""Agreement with R's tmerge and survSplit (tests/reference/followup/generate.R)."""

import numpy as np
import pandas as pd
import pytest

import dxa_causal as dc

f = dc.followup
# sums of products in two orders; the rows themselves are compared exactly where they can be stored
DIGEST = 1e-12
COX = 1e-9


@pytest.fixture(scope="module")
def expected(reference):
    return reference("followup/expected.json")


def _same_digest(rows, want):
    for name, (weighted, missing) in want.items():
        values = rows[name].to_numpy(dtype=float)
        place = np.arange(1, len(values) + 1)
        np.testing.assert_allclose(np.nansum(place * values), weighted, rtol=DIGEST, err_msg=name)
        assert np.isnan(values).sum() == missing, name


def _same_counts(counts, want):
    assert counts["term"].tolist() == want["term"]
    np.testing.assert_array_equal(counts.drop(columns=["term", "no_time", "no_value"]), want["n"])  # tmerge skips these


def _same_fit(fit, want):
    np.testing.assert_allclose(fit.coefficients, want["coef"], rtol=COX)
    np.testing.assert_allclose(fit.tidy()["std_error"], want["se"], rtol=COX)
    assert fit.glance()["log_likelihood"].iloc[0] == pytest.approx(want["loglik"][1], rel=1e-12)


def _trial(frames):
    return frames["pbc"].query("id <= 312")[["id", "time", "status", "trt", "age"]]


def test_pbc_laboratory_visits(frames, expected):
    want = expected["pbcseq"]
    names = ["ascites", "bili", "albumin", "protime", "alk.phos"]
    visits = frames["pbcseq"]
    changes = {name: f.tdc(visits, "day", name) for name in names}
    rows, counts = f.start_stop(_trial(frames), changes, id="id", time="time", event={"death": "status"})
    assert len(rows) == want["nrow"]
    assert list(rows.columns) == list(want["digest"])
    _same_digest(rows, want["digest"])
    _same_counts(counts, want["counts"])
    fit = dc.survival.cox("Surv(tstart, tstop, death == 2) ~ log(bili) + log(protime) + age", rows)
    _same_fit(fit, want["cox"])


def test_heart_transplants(frames, expected):
    want = expected["jasa"]
    jasa = frames["jasa"]
    accepted, left, operated = (pd.to_datetime(jasa[c]) for c in ("accept.dt", "fu.date", "tx.date"))
    base = jasa[["age", "surgery", "fustat"]].assign(
        subject=np.arange(1, len(jasa) + 1),
        futime=(left - accepted).dt.days.clip(lower=0.5),
        txtime=(operated - accepted).dt.days - 0.5 * (operated == left),
    )
    rows, counts = f.start_stop(
        base, {"trt": f.tdc(base, "txtime")}, id="subject", time="futime", event={"death": "fustat"}
    )
    assert len(rows) == want["nrow"]
    _same_digest(rows, want["digest"])
    _same_counts(counts, want["counts"])
    _same_fit(dc.survival.cox("Surv(tstart, tstop, death) ~ age + surgery + trt", rows), want["cox"])


def test_recurrent_infections(frames):
    """The cgd data of R are made from cgd0 by tmerge."""
    cgd0, cgd = frames["cgd0"], frames["cgd"]
    times = [c for c in cgd0.columns if c.startswith("etime")]
    infections = cgd0.melt("id", times, value_name="day")
    base = cgd0.drop(columns=times)
    rows, _ = f.start_stop(base, {"status": f.event(infections, "day")}, id="id", time="futime")
    rows, _ = f.start_stop(
        rows, {"enum": f.cumtdc(rows, "tstart")}, id="id", entry="tstart", time="tstop", event="status"
    )
    for name in ("id", "tstart", "tstop", "status", "enum"):
        np.testing.assert_array_equal(rows[name], cgd[name])


@pytest.mark.parametrize("case", range(6))
def test_random_records(case, expected):
    """Ties, early, late, in gaps, missing, unknown people; spans that touch or leave gaps."""
    want = expected["random"][case]
    spans, visits, rows = (pd.DataFrame(want[k]) for k in ("spans", "visits", "rows"))
    options = {"missing": "skip" if want["na.rm"] else "keep", "delay": want["delay"]}
    changes = {
        "x": f.tdc(visits, "t", "y", **options),
        "x0": f.tdc(visits, "t", "y", initial=-1, **options),
        "on": f.tdc(visits, "t", delay=want["delay"]),
        "n": f.cumtdc(visits, "t", delay=want["delay"]),
        "sum": f.cumtdc(visits, "t", "y", **options),
        "sum5": f.cumtdc(visits, "t", "y", initial=5, **options),
        "e": f.event(visits, "t"),
        "u": f.event(visits, "t", "u"),
        "k": f.cumevent(visits, "t"),
        "ku": f.cumevent(visits, "t", "u"),
        "y": f.event(visits, "t", "y"),
        "last": f.event(visits, "t", "u"),
    }
    got, counts = f.start_stop(spans, changes, id="id", entry="a", time="b", event="last")
    for name in ("id", "tstart", "tstop", *changes):
        np.testing.assert_array_equal(got[name].to_numpy(float), rows[name].to_numpy(float), err_msg=name)
    _same_counts(counts, want["counts"])


def test_split_of_lung(frames, expected):
    want = expected["split_lung"]
    lung = frames["lung"].assign(row=lambda d: np.arange(1, len(d) + 1))
    rows = f.split(lung, cuts=[365, 90, 180], time="time", event="status", id="row")
    assert len(rows) == want["nrow"]
    _same_digest(rows, want["digest"])
    by_episode = {f"sex_{k}": rows["sex"].where(rows["episode"] == k, 0) for k in range(1, 5)}
    formula = "Surv(tstart, time, status) ~ age + " + " + ".join(by_episode)
    _same_fit(dc.survival.cox(formula, rows.assign(**by_episode), strata="episode"), want["cox"])


def test_split_of_start_stop_rows(frames, expected):
    want = expected["split_heart"]
    rows = f.split(frames["heart"], cuts=[100, 10, 0, 50], entry="start", time="stop", event="event", id="id")
    assert len(rows) == want["nrow"]
    _same_digest(rows, want["digest"])


def test_landmark_supermodel(frames, expected):
    want = expected["landmark"]
    year = 365.25
    base = _trial(frames).assign(died=lambda d: (d["status"] == 2).astype(int))
    bili = f.tdc(frames["pbcseq"], "day", "bili")
    rows, counts = f.landmark(
        base,
        {"bili": bili},
        at=[year, 2 * year, 3 * year],
        horizon=5 * year,
        max_gap=400,
        id="id",
        time="time",
        event="died",
    )
    assert len(rows) == want["nrow"] == counts["n_at_risk"].sum()
    _same_digest(rows, want["digest"])
    fit = dc.survival.cox("Surv(entry, time, died) ~ log(bili) + age", rows, strata="landmark", cluster="id")
    _same_fit(fit, want["cox"])
    assert counts["n_event"].sum() == rows["died"].sum()
    assert (counts["n_at_risk"] + counts["n_ended"] == len(base)).all()
    assert counts["n_missing"].sum() == rows["bili"].isna().sum()
