from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import DxaCausalError, OptionError, SummaryStatisticsError
from dxa_causal.mr._kernels.pair_medians import medians, philox
from dxa_causal.mr.scanning.scan import scan

METHODS = ["wald_ratio", "ivw", "ivw_fe", "ivw_mre", "egger", "simple_median", "weighted_median",
           "penalised_weighted_median"]  # fmt: skip


def proteome(n_exposures=12, seed=1, n_outcomes=2):
    """Exposures of 1 to 6 variants, some shared; outcomes with other alleles, strands, palindromes and gaps."""
    rng = np.random.default_rng(seed)
    pairs = np.array(["AG", "CT", "AT", "CG", "AC", "TG"])
    alleles = pairs[rng.integers(0, 6, 40)]
    rows = []
    for e in range(n_exposures):
        for v in rng.choice(40, rng.integers(1, 7), replace=False):
            turned = rng.random() < 0.3
            a, b = alleles[v][:: -1 if turned else 1]
            rows.append((f"protein {e}", f"rs{v}", a, b, rng.normal(0.1, 0.05), 0.01, 0.3))
    names = ["exposure", "variant", "effect_allele", "other_allele", "beta", "se", "eaf"]
    exposures = pd.DataFrame(rows, columns=names)
    outcomes = {}
    for o in range(n_outcomes):
        order = rng.permutation(40)[:34]
        outcomes[f"outcome {o}"] = pd.DataFrame(
            {
                "variant": [f"rs{v}" for v in order], "effect_allele": [alleles[v][1] for v in order],
                "other_allele": [alleles[v][0] for v in order], "beta": rng.normal(0.0, 0.05, 34), "se": 0.02,
                "eaf": rng.uniform(0.1, 0.9, 34),
            }
        )  # fmt: skip
    return exposures, outcomes


def one_by_one(exposures, outcomes, methods, n_draws=50):
    for e, part in exposures.groupby("exposure", sort=False):
        for o, outcome in outcomes.items():
            try:
                h = mr.harmonise(part.drop(columns="exposure"), outcome)
            except SummaryStatisticsError:  # nothing shared
                continue
            if h.n_variants:
                yield e, o, mr.estimate(h, methods, seed=1, n_draws=n_draws).tidy(), h


@pytest.mark.filterwarnings("ignore:none of the")
def test_equals_estimate_pair_by_pair():
    exposures, outcomes = proteome()
    fit = scan(exposures, outcomes, METHODS, seed=1, n_draws=50)
    ours = fit.tidy().set_index(["exposure", "outcome", "method", "term"]).sort_index()
    reasons = fit.not_applicable.set_index(["exposure", "outcome", "method"])["reason"]
    seen = 0
    for e, o, table, h in one_by_one(exposures, outcomes, METHODS):
        for row in table.to_dict("records"):
            if row["reason"]:
                assert reasons[e, o, row["method"]] == row["reason"]
                continue
            mine = ours.loc[(e, o, row["method"], row["term"])]
            assert mine["estimate"] == pytest.approx(row["estimate"], rel=1e-9)
            assert mine["n_variants"] == h.n_variants
            if "median" not in row["method"]:
                for column in ("std_error", "p_value", "conf_low", "conf_high"):
                    assert mine[column] == pytest.approx(row[column], rel=1e-8), (row["method"], column)
            seen += 1
        q = fit.heterogeneity().set_index(["exposure", "outcome", "method"])
        for row in mr.heterogeneity(h).query("reason == ''").to_dict("records"):
            assert q.loc[(e, o, row["method"]), "statistic"] == pytest.approx(row["statistic"], rel=1e-8, abs=1e-12)
    assert seen == len(ours) > 60


def test_counts_reconcile_with_the_audit():
    exposures, outcomes = proteome()
    counts = scan(exposures, outcomes, ["ivw"]).counts
    total = counts.groupby(["exposure", "outcome"])["n_variants"].sum()
    instruments = exposures.groupby("exposure").size()
    for (e, _), n in total.items():
        assert n == instruments[e]
    for e, o, _, h in one_by_one(exposures, outcomes, ["ivw"]):
        kept = counts[(counts["exposure"] == e) & (counts["outcome"] == o) & (counts["status"] == "kept")]
        assert kept["n_variants"].sum() == h.n_variants


def test_median_standard_errors():
    exposures, outcomes = proteome(40, seed=3)
    draws = 20_000
    ours = scan(exposures, outcomes, ["weighted_median"], seed=1, n_draws=draws).tidy()
    pairs = dict(list(exposures.groupby("exposure")))
    checked = 0
    for row in ours.head(6).to_dict("records"):
        h = mr.harmonise(pairs[row["exposure"]].drop(columns="exposure"), outcomes[row["outcome"]])
        if np.min(np.abs(h.beta_exposure / h.se_exposure)) < 5:  # ratios without variance: the errors do not settle
            continue
        theirs = mr.estimate(h, "weighted_median", seed=2, n_draws=draws).std_errors[0]
        # four Monte-Carlo errors of the difference; tails of ratios double the 1 / sqrt(2 B) of the normal
        assert row["std_error"] == pytest.approx(theirs, rel=4 * 2 * np.sqrt(2 / (2 * draws)))
        checked += 1
    assert checked >= 2


def test_philox_known_answers():
    """Random123's test vectors for ten rounds."""
    assert [f"{int(x):08x}" for x in philox(0, 0, 0, 0)] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


def test_draws_are_normal():
    n = 200_000
    one = np.ones(1)
    found = medians(one, np.zeros(1), np.zeros(1), one, one, np.array([0, 1]), np.array([[7, 9]]), n)
    assert abs(found[0, 1] - 1) < 4 / np.sqrt(2 * n)


def test_random_numbers_belong_to_the_pair():
    exposures, outcomes = proteome()
    methods = ["weighted_median", "simple_mode"]
    whole = scan(exposures, outcomes, methods, seed=5, n_draws=50).tidy()
    few = exposures[exposures["exposure"].isin(["protein 3", "protein 7"])]
    part = scan(few, {"outcome 1": outcomes["outcome 1"]}, methods, seed=5, n_draws=50, n_jobs=2).tidy()
    columns = ["exposure", "outcome", "method", "estimate", "std_error"]
    both = part[columns].merge(whole[columns], on=columns[:3], suffixes=("", "_whole"))
    assert len(both) == len(part) > 0
    np.testing.assert_array_equal(both["std_error"], both["std_error_whole"])


def test_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    exposures, outcomes = proteome(n_outcomes=3)
    whole = scan(exposures, outcomes, ["weighted_median"], seed=5, n_draws=50)
    from dxa_causal.mr.scanning import scan as module

    done = []

    def stop(work, settings, original=module.estimates):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return original(work, settings)

    monkeypatch.setattr(module, "estimates", stop)
    with pytest.raises(KeyboardInterrupt):
        scan(exposures, outcomes, ["weighted_median"], seed=5, n_draws=50, cache=tmp_path)
    done.clear()
    again = scan(exposures, outcomes, ["weighted_median"], seed=5, n_draws=50, cache=tmp_path)
    assert len(done) == 1  # the third outcome only
    pd.testing.assert_frame_equal(again.tidy(), whole.tidy())
    pd.testing.assert_frame_equal(again.counts, whole.counts)
    done.clear()
    some = {name: outcomes[name] for name in ("outcome 0", "outcome 1")}
    scan(exposures, some, ["weighted_median"], seed=5, n_draws=60, cache=tmp_path)
    assert len(done) == 2  # other settings: nothing kept fits


def test_files_polars_and_mappings(tmp_path):
    exposures, outcomes = proteome(n_outcomes=1)
    path = tmp_path / "outcome.tsv"
    outcomes["outcome 0"].to_csv(path, sep="\t", index=False)
    from_frames = scan(exposures, outcomes, ["ivw"]).tidy()
    by_file = scan(pl.from_pandas(exposures), {"outcome 0": path}, ["ivw"], cache=tmp_path / "kept")
    mapping = {name: part.drop(columns="exposure") for name, part in exposures.groupby("exposure")}
    for other in (by_file, scan(mapping, outcomes, ["ivw"])):
        pd.testing.assert_frame_equal(other.tidy(), from_frames, rtol=1e-9)
    h = by_file.pair("protein 1", "outcome 0")
    assert (h.exposure, h.outcome) == ("protein 1", "outcome 0")
    strict = scan(exposures, outcomes, ["ivw"], action=3)
    for name in strict.exposures:
        n = strict.counts.query("exposure == @name and status == 'kept'")["n_variants"].sum()
        assert strict.pair(name, "outcome 0").n_variants == n


def test_bad_input():
    exposures, outcomes = proteome()
    with pytest.raises(SummaryStatisticsError, match="column 'exposure'"):
        scan(exposures.drop(columns="exposure"), outcomes)
    twice = pd.concat([exposures, exposures.head(1)])
    with pytest.raises(SummaryStatisticsError, match=r"exposure 'protein 0' lists 'rs\d+' more than once"):
        scan(twice, outcomes)
    with pytest.raises(SummaryStatisticsError, match="outcome 'bad': outcome: no standard errors"):
        scan(exposures, {"bad": outcomes["outcome 0"].drop(columns="se")})
    with pytest.raises(OptionError, match="n_jobs"):
        scan(exposures, outcomes, n_jobs=0)
    with pytest.raises(OptionError, match="near it: 'protein 1'"):
        scan(exposures, outcomes, ["ivw"]).pair("protien 1", "outcome 0")
    none = outcomes["outcome 0"].assign(variant=[f"rs9{i}00" for i in range(34)])
    fit = scan(exposures, {"elsewhere": none, **outcomes}, ["ivw"])
    assert not (fit.found["outcome"] == "elsewhere").any()
    assert fit.counts.query("outcome == 'elsewhere'")["reason"].eq("not in the outcome file").all()


def test_false_discoveries_and_recall():
    """400 proteins on one outcome, 40 with an effect: the rate among discoveries is near 5 %, most are found."""
    rng = np.random.default_rng(8)
    rows, bmd = [], []
    for e in range(400):
        effect = 0.5 if e < 40 else 0.0
        for v in range(4):
            bx = rng.normal(0.12, 0.02)
            rows.append((f"p{e}", f"rs{4 * e + v}", "A", "G", bx + 0.01 * rng.standard_normal(), 0.01))
            bmd.append((f"rs{4 * e + v}", "A", "G", effect * bx + 0.02 * rng.standard_normal(), 0.02))
    exposures = pd.DataFrame(rows, columns=["exposure", "variant", "effect_allele", "other_allele", "beta", "se"])
    outcome = pd.DataFrame(bmd, columns=["variant", "effect_allele", "other_allele", "beta", "se"])
    table = scan(exposures, {"BMD": outcome}, ["ivw"]).tidy().query("p_bh < 0.05")
    true = table["exposure"].str[1:].astype(int) < 40
    assert true.sum() >= 38
    assert (~true).sum() <= 7  # expected about 2


def test_a_worker_may_die(tmp_path):
    """Outcomes on a real cluster of two processes, one of which is killed while it works."""
    script = textwrap.dedent(
        """
        import os, signal, sys, threading, time
        import pandas as pd
        from distributed import Client, LocalCluster
        from tests.mr.test_scan import proteome
        from dxa_causal.mr.scanning.scan import scan

        if __name__ == "__main__":
            exposures, outcomes = proteome(60, n_outcomes=8)
            here = scan(exposures, outcomes, ["weighted_median"], seed=5, n_draws=20_000).tidy()
            with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
                with Client(cluster) as client:
                    pids = list(client.run(os.getpid).values())
                    threading.Timer(1.0, os.kill, (pids[0], signal.SIGKILL)).start()
                    there = scan(exposures, outcomes, ["weighted_median"], seed=5, n_draws=20_000, client=client).tidy()
                    alive = list(client.run(os.getpid).values())
            pd.testing.assert_frame_equal(here, there)
            print("killed" if pids[0] not in alive else "not killed")
        """
    )
    path = tmp_path / "cluster.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=240, env=_environment(), check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().endswith("killed")
    assert "not killed" not in done.stdout


def _environment():
    import os
    from pathlib import Path

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_pairs_without_a_variant_are_said():
    exposures, outcome = small()
    r = mr.scan(exposures, {"x": outcome.assign(variant="zz" + outcome["variant"])}, ["ivw", "egger"])
    assert r.tidy().empty
    assert r.heterogeneity().empty
    assert r.not_applicable["reason"].eq("no variant left: see counts").all()
    assert len(r.not_applicable) == 2 * len(r.exposures)
    assert f"{r.nobs} pairs without an estimate" in str(r)
    assert r.plot() is not None
    assert r.heatmap() is not None
    some = mr.scan(exposures, {"x": outcome.iloc[:2]}, "ivw")
    assert set(some.tidy()["exposure"]) | set(some.not_applicable["exposure"]) == set(some.exposures)


def small():
    alleles = {"effect_allele": "A", "other_allele": "G", "se": 0.01}
    exposures = pd.DataFrame(
        {"exposure": ["SOST", "SOST", "MSTN"], "variant": ["rs1", "rs2", "rs3"], "beta": [0.1, 0.2, 0.1], **alleles}
    )
    return exposures, pd.DataFrame({"variant": ["rs1", "rs2", "rs3"], "beta": [-0.05, -0.1, 0.0], **alleles})


def test_studies_of_one_name_are_told_apart_by_their_id():
    exposures, outcome = small()
    one = mr.scan(exposures.assign(**{"id.exposure": ["a", "a", "b"]}), {"x": outcome}, "wald_ratio")
    assert one.exposures == ("SOST", "MSTN")
    two = mr.scan(exposures.assign(**{"id.exposure": ["a", "b", "c"]}), {"x": outcome}, "wald_ratio")
    assert two.exposures == ("SOST (a)", "SOST (b)", "MSTN")


def test_a_damaged_cache_is_made_anew(tmp_path):
    exposures, outcome = small()
    wanted = mr.scan(exposures, {"x": outcome}, "ivw", seed=1, cache=tmp_path).tidy()
    for name, damage in (("found", b"PAR1"), ("q", b""), ("counts", b"text")):
        path = next(tmp_path.rglob(f"{name}.parquet"))
        path.write_bytes(damage)
        pd.testing.assert_frame_equal(mr.scan(exposures, {"x": outcome}, "ivw", seed=1, cache=tmp_path).tidy(), wanted)
    next(tmp_path.rglob("reasons.parquet")).unlink()
    pd.testing.assert_frame_equal(mr.scan(exposures, {"x": outcome}, "ivw", seed=1, cache=tmp_path).tidy(), wanted)


def test_names_that_are_numbers():
    exposures, outcome = small()
    r = mr.scan({1: exposures.iloc[:2].drop(columns="exposure")}, {2: outcome}, ["ivw"])
    assert r.pair(1, 2).n_variants == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methods": []}, "methods is empty"),
        ({"client": "x"}, "must be a distributed.Client, not str"),
        ({"cache": __file__}, "is a file; a folder is needed"),
        ({"exposures": small()[0].iloc[:0]}, "no rows"),
        ({"exposures": {"MSTN": small()[0].drop(columns="exposure").assign(n=-5)}}, "exposure 'MSTN': .* above 0"),
    ],
)
def test_more_that_cannot_be_scanned(change, said):
    exposures, outcome = small()
    with pytest.raises(DxaCausalError, match=said):
        mr.scan(**{"exposures": exposures, "outcomes": {"x": outcome}, "methods": ["ivw"], **change})


@pytest.fixture(scope="module")
def heterogeneous():
    """80 proteins with three variants and one with one; direct effects as large as the errors on one outcome of two."""
    rng = np.random.default_rng(5)
    code = np.append(np.repeat(np.arange(80), 3), 80)
    base = pd.DataFrame({"variant": [f"rs{k}" for k in range(code.size)], "effect_allele": "A", "other_allele": "G"})
    x = rng.uniform(0.05, 0.15, code.size)
    exposures = base.assign(exposure=[f"P{c}" for c in code], beta=x, se=0.001)
    y = {"clean": 0.0, "direct": rng.normal(0, 0.02, code.size)}
    outcomes = {
        name: base.assign(beta=direct + rng.normal(0, 0.015, code.size), se=0.015) for name, direct in y.items()
    }
    return exposures, outcomes


def test_heterogeneity_is_pooled_over_an_outcome(heterogeneous):
    exposures, outcomes = heterogeneous
    r = mr.scan(exposures, outcomes, ["wald_ratio", "ivw", "ivw_fe"])
    pooled = r.pooled()
    assert len(pooled) == r.nobs
    q = r.heterogeneity().query("method == 'ivw'").groupby("outcome")[["statistic", "df"]].sum()
    scale = np.sqrt((q["statistic"] / q["df"]).clip(lower=1))
    assert scale["direct"] > 1.3
    fixed = r.tidy().query("method == 'ivw_fe' or method == 'wald_ratio'").set_index(["exposure", "outcome"])
    got = pooled.set_index(["exposure", "outcome"]).loc[fixed.index]
    np.testing.assert_allclose(got["estimate"], fixed["estimate"])
    np.testing.assert_allclose(got["std_error"], fixed["std_error"] * got["scale"])
    np.testing.assert_allclose(got["scale"], [scale[o] for o in fixed.index.get_level_values("outcome")])
    only = mr.scan(exposures, outcomes, ["wald_ratio", "ivw"]).pooled()
    columns = ["estimate", "std_error", "p_value", "p_bh"]
    np.testing.assert_allclose(only[columns], pooled[columns])  # fixed errors follow from Q
    assert pooled["p_value"].is_monotonic_increasing
    with pytest.raises(OptionError, match="pooled: scan with method 'ivw'"):
        mr.scan(exposures, outcomes, ["simple_median"], seed=1, n_draws=50).pooled()
    nothing = mr.scan(exposures, {"x": outcomes["clean"].assign(variant="z")}, "ivw").pooled()
    assert nothing.empty
