"""``[[mr]]``: estimates of a causal effect from two GWAS files, doubts about them, and the STROBE-MR checklist."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dxa_causal import datasets, genotypes, mr
from dxa_causal.mr.assumptions import CORE
from dxa_causal.mr.estimators import ESTIMATORS, LABELS, METHODS, Method
from dxa_causal.plots.mr import mr_density, mr_forest, mr_funnel, mr_scatter
from dxa_causal.plots.mr_doubt import leave_one_out_plot
from dxa_causal.report import BlockWriter
from dxa_causal.report.strobe_mr import BLANK, strobe_mr
from dxa_causal.results import HypothesisTest, NotApplicable, versions
from dxa_causal.runner.blocks import MrBlock
from dxa_causal.runner.gwas_sources import gwas_of
from dxa_causal.runner.mr_instruments import instruments, whole_file, without_places
from dxa_causal.runner.mr_people import shared_people
from dxa_causal.runner.steps import Context

MAX_LINES = 6  # more lines cannot be told apart
DRAWN: tuple[Method, ...] = ("ivw", "egger", "weighted_median", "weighted_mode", "raps", "conmix")
MIN_SPREAD = 2  # variants; more show how ratios spread
UNITLESS = ("sign",)  # its estimate is no effect per unit of the exposure
DETECTABLE = 1.959963984540054 + 0.8416212335729143  # standard errors: 80% power at a level of 5%


def mendelian_randomisation(block: MrBlock, writer: BlockWriter, context: Context, base: Path) -> None:
    """Write counts, estimates, figures and tests; `checks` and `strobe_mr` add to them."""
    exposure, outcome = (gwas_of(source, base, context.inputs) for source in (block.exposure, block.outcome))
    chosen, selection = instruments(block, exposure, writer, base)
    harmonised = mr.harmonise(chosen, outcome, action=block.action, by=block.by)
    if said := selection or whole_file(harmonised):
        writer.text.append(said)
    if block.ld is not None:
        harmonised = harmonised.with_ld(genotypes.ld(str(base / block.ld), without_places(block, harmonised.table)))
        if harmonised.n_variants > 1:
            writer.text.append(f"The variants are correlated, as they are in the panel {block.ld.name}.")
    counts = pd.DataFrame({"what": list(harmonised.counts), "variants": list(harmonised.counts.values())})
    counts = counts.loc[(counts["variants"] > 0) | counts["what"].str.startswith("n_")].copy()
    counts["what"] = counts["what"].str.replace("_", " ")
    writer.table(counts, "counts", "What happened to the variants; the counts add up.")
    fit = mr.estimate(
        harmonised, methods=_methods(block, harmonised), convention=block.convention, seed=context.seed,
        n_draws=block.n_draws,
    )  # fmt: skip
    by = {"twosamplemr": "TwoSampleMR", "mendelianrandomization": "MendelianRandomization"}[block.convention]
    effect = f"Effect of {block.exposure_label} on {block.outcome_label}, as estimated"
    writer.table(_beside_truth(fit.tidy(), block), "estimates", f"{effect}; where R packages differ, as {by} does.")
    if block.exponentiate:
        effects = fit.tidy(exponentiate=True).query("term == 'effect' and method not in @UNITLESS")
        caption = (
            f"The same as odds ratios per unit of {block.exposure_label}; standard errors are of their logarithms."
        )
        writer.table(effects, "odds_ratios", caption)
    _figures(block, writer, fit)
    _pieces(writer, fit)
    agreement = _agreement(writer, fit)
    people = shared_people(block, harmonised, writer, context.seed)
    if block.checks:
        _checks(writer, fit, block, context.seed)
    if block.strobe_mr:
        found = _known(block, fit, counts, agreement, context.seed) | _told(selection, people)
        caption = "STROBE-MR checklist (doi:10.1001/jama.2021.18236, in short words): what this run knows; the rest is "
        writer.table(strobe_mr(found), "strobe_mr", f"{caption}for the authors, who check every line.")
    writer.table(harmonised.audit, "audit", "Every variant, kept, flipped or dropped, and why:", kind="file")
    writer.notes.append(fit.provenance.describe())


def _beside_truth(tidy: pd.DataFrame, block: MrBlock) -> pd.DataFrame:
    if block.truth is None:
        return tidy
    effect = tidy["term"].eq("effect") & tidy["estimate"].notna() & ~tidy["method"].isin(UNITLESS)
    inside = tidy["conf_low"].le(block.truth) & tidy["conf_high"].ge(block.truth)
    words = inside.map({True: "inside", False: "outside"}).where(effect, "")
    return tidy.assign(truth=effect.map({True: block.truth}), truth_is=words)


def _agreement(writer: BlockWriter, fit: mr.MREstimates) -> tuple[pd.DataFrame, HypothesisTest | NotApplicable] | None:
    """Cochran's Q and Egger's intercept; None for correlated variants, whose Q stands beside the estimate."""
    h = fit.harmonised
    if h.correlated:
        caption = "Further numbers of the methods; q is Cochran's Q with the variants' correlations."
        writer.table(fit.further(), "further", caption)
        return None
    heterogeneity, pleiotropy = mr.heterogeneity(h), mr.pleiotropy(h)
    writer.table(heterogeneity, "heterogeneity", "Cochran's Q: do the variants agree?")
    writer.table(pleiotropy.tidy(), "pleiotropy", "Egger's intercept: directional pleiotropy?")
    return heterogeneity, pleiotropy


def _pieces(writer: BlockWriter, fit: mr.MREstimates) -> None:
    """Show confidence sets of several pieces, of which the estimates' limits are the outer ends."""
    sets = fit.confidence_sets()
    broken = sets[sets.duplicated(["method", "term"], keep=False)]
    if not broken.empty:
        names = ", ".join(dict.fromkeys(LABELS[m] for m in broken["method"]))
        writer.table(
            broken,
            "confidence_sets",
            f"{names}: the confidence set has several pieces. Limits in the table and bars in the figures run from its "
            "outer ends and hold values that the data exclude.",
        )


def _told(selection: str, people: str) -> dict[str, str]:
    """Items of the checklist that the study file answers."""
    return {item: words for item, words in (("4c", selection), ("10d", people)) if words}


def _methods(block: MrBlock, harmonised: mr.Harmonised) -> list[Method]:
    if block.methods == "all":
        fitting = [method for method in METHODS if method in ESTIMATORS]
        return [m for m in fitting if ESTIMATORS[m].correlated] if harmonised.correlated else fitting
    methods: list[Method] = list(block.methods)
    if harmonised.n_variants == 1 and "wald_ratio" not in methods:
        methods.insert(0, "wald_ratio")
    return methods


def _figures(block: MrBlock, writer: BlockWriter, fit: mr.MREstimates) -> None:
    x, y = block.exposure_label, block.outcome_label
    tidy = fit.tidy()
    few = tidy["method"].nunique() <= MAX_LINES
    drawn = tidy if few else tidy[tidy["method"].isin(DRAWN)]
    named = drawn.assign(method=[LABELS[m] for m in drawn["method"]])
    table = fit.harmonised.table
    writer.figure(mr_scatter(table, named, exposure=x, outcome=y), "scatter", "Variant effects and fitted lines.")
    single = mr.single_variant(fit.harmonised)
    writer.figure(
        mr_forest(single, named, exposure=x, outcome=y), "forest", "Wald ratio of each variant, and the estimates."
    )
    if not few:
        every = tidy[~tidy["method"].isin([*UNITLESS, "uwr"])]
        every = every.assign(method=[LABELS[m] for m in every["method"]])
        writer.figure(
            mr_forest(single.iloc[:0], every, exposure=x, outcome=y),
            "methods",
            "The estimates of all methods on this scale; unweighted regression, whose limits are far wider, is in the "
            "table.",
        )
    if block.checks and fit.harmonised.n_variants > MIN_SPREAD:
        caption = "Funnel: without directional pleiotropy the variants spread evenly around the estimate."
        writer.figure(mr_funnel(single, named, exposure=x, outcome=y), "funnel", caption)
        caption = "Where the variants' ratios lie, weighted by precision; two hills would be two effects."
        writer.figure(mr_density(single, named, exposure=x, outcome=y), "density", caption)


def _checks(writer: BlockWriter, fit: mr.MREstimates, block: MrBlock, seed: int) -> None:
    x, y = block.exposure_label, block.outcome_label
    writer.text.append(
        "An instrument needs " + "; ".join(f"{name}: {words}" for name, words in CORE.items()) + ". The first can be "
        "seen in the data, the others cannot; methods differ in what they put in the place of the third."
    )
    tidy = fit.tidy().query("term == 'effect'")
    words = mr.assumptions(tidy["method"].tolist())
    beside = tidy[["method", "estimate", "conf_low", "conf_high"]].reset_index(drop=True)
    beside["detectable"] = DETECTABLE * tidy["std_error"].to_numpy()
    writer.table(
        beside.assign(assumes=words["assumes"], power=words["power"]),
        "assumptions",
        "What each estimate rests on besides relevance and independence. Detectable: the effect that its standard "
        "error lets be found with 80% power at a level of 5%; of a smaller one, absence of evidence says nothing.",
    )
    h = fit.harmonised
    writer.table(mr.strength(h).glance(), "strength", "Strength of the instruments; an F below 10 is weak.")
    writer.table(h.table, "variants", "Associations of every variant used, aligned:", kind="file")
    if h.correlated:
        writer.text.append(
            "Steiger's test, radial regression, Rucker's framework, SIMEX, MR-Clust, MR-PRESSO and leave-one-out are "
            "for independent variants and left out."
        )
        return
    if not fit.further().empty:
        writer.table(fit.further(), "further", "Further numbers of the methods:", kind="file")
    writer.table(mr.steiger(h).tidy(), "steiger", "Steiger's test: do the variants explain more of the exposure?")
    radial = mr.radial(h, seed=seed)
    writer.table(radial.tidy(), "radial", "Radial regression.")
    if isinstance(radial, mr.RadialResult):
        writer.figure(radial.plot(), "radial", "Radial plot; outliers stand out from the lines.")
    rucker = mr.rucker(h, convention=block.convention)
    said = f" Selected: {rucker.selected}." if isinstance(rucker, mr.RuckerResult) else ""
    writer.table(rucker.tidy(), "rucker", f"Rucker's framework: IVW or Egger, fixed or random effects.{said}")
    simex = mr.simex(h, seed=seed)
    said = f"; I2_GX = {simex.i2_gx:.2f}" if isinstance(simex, mr.SimexResult) else ""
    writer.table(simex.tidy(), "simex", f"MR-Egger corrected for the errors of the effects on {x} (SIMEX){said}.")
    clusters = mr.clusters(h, seed=seed)
    writer.table(clusters.tidy(), "clusters", "MR-Clust: groups of variants that agree on an effect.")
    if isinstance(clusters, mr.ClustersResult):
        writer.figure(clusters.plot(), "clusters", "Variants by cluster; lines are the clusters' effects.")
    presso = mr.presso(h, n_draws=max(1000, 40 * h.n_variants), seed=seed)  # an outlier needs 20 draws a variant
    said = f"MR-PRESSO; {presso.describe()}." if isinstance(presso, mr.PressoResult) else "MR-PRESSO."
    writer.table(presso.tidy(), "presso", said)
    left_out = mr.leave_one_out(h)
    if isinstance(left_out, NotApplicable):
        writer.text.append(f"{left_out.method} not applicable: {left_out.reason}.")
    else:
        writer.table(left_out, "leave_one_out", "IVW without each variant in turn:", kind="file")
        label = f"Effect of {x} on {y}"
        writer.figure(leave_one_out_plot(left_out, label=label), "leave_one_out", "IVW without each variant in turn.")


def _source(source: str) -> str:
    table = datasets.list().set_index("name")
    return f"{source} ({table.loc[source, 'description']})" if source in table.index else Path(source).name


def _people(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "sample size not in the file"
    low, high = known.min(), known.max()
    return f"n = {low:,.0f}" if low == high else f"n = {low:,.0f} to {high:,.0f}, by variant"


def _known(
    block: MrBlock,
    fit: mr.MREstimates,
    counts: pd.DataFrame,
    agreement: tuple[pd.DataFrame, HypothesisTest | NotApplicable] | None,
    seed: int,
) -> dict[str, str]:
    h = fit.harmonised
    independent = block.checks and not h.correlated
    x, y = block.exposure_label, block.outcome_label
    f = (h.beta_exposure / h.se_exposure) ** 2
    tidy = fit.tidy()
    effects = tidy[(tidy["term"] == "effect") & tidy["estimate"].notna() & ~tidy["method"].isin(UNITLESS)]
    names = ", ".join(LABELS[m] for m in effects["method"])
    lines = [
        f"{LABELS[r.method]} {r.estimate:.3g} ({r.conf_low:.3g} to {r.conf_high:.3g})" for r in effects.itertuples()
    ]
    heterogeneity, pleiotropy = agreement or (pd.DataFrame(columns=["reason"]), None)
    q = [
        f"Q ({LABELS[r.method]}) = {r.statistic:.1f} on {r.df:.0f} df, p = {r.p_value:.2g}"
        for r in heterogeneity.itertuples()
        if not r.reason
    ]
    found = {
        "4a": f"Two-sample design on summary statistics. Exposure: {_source(block.exposure)}. "
        f"Outcome: {_source(block.outcome)}.",
        "4b": f"Exposure: {_people(h.table['n_exposure'])}. Outcome: {_people(h.table['n_outcome'])}.",
        "5": "; ".join(f"{name}: {words}" for name, words in CORE.items()),
        "6b": f"Alleles aligned with action {block.action} (TwoSampleMR); {h.n_variants} variants used",
        "6c": f"{names}. Covariates of the two samples: {BLANK}",
        "8": f"{len(effects)} methods with different assumptions"
        + (", heterogeneity, Egger's intercept" if isinstance(pleiotropy, HypothesisTest) else "")
        + (", radial regression, MR-PRESSO, SIMEX, clusters, leave-one-out" if independent else ""),
        "9a": ", ".join(f"{name} {version}" for name, version in versions().items()) + f"; seed {seed}",
        "10a": "; ".join(f"{r.what}: {r.variants}" for r in counts.itertuples()),
        "11a": "table of the variants; scatter and forest" if block.checks else "scatter and forest",
        "11b": f"{y} per unit of {x}: " + "; ".join(lines),
        "11d": "scatter, forest" + (", funnel, density" if block.checks and h.n_variants > MIN_SPREAD else ""),
        "12b": "; ".join(q),
    }
    if h.n_variants:
        found["7"] = "Relevance by F statistics" + (
            "; heterogeneity and Egger's intercept for direct effects" if isinstance(pleiotropy, HypothesisTest) else ""
        )
        found["12a"] = (
            f"F statistics of the variants: mean {f.mean():.1f}, {f.min():.1f} to {f.max():.1f}; "
            f"{int((f < 10).sum())} below 10. Independence and exclusion restriction: to be argued by the authors"
        )
    if independent and isinstance(direction := mr.steiger(h), mr.SteigerTest):
        found["13c"] = str(direction)
    if independent:
        found["13e"] = "radial and leave-one-out plots, where they apply"
    if isinstance(pleiotropy, HypothesisTest):
        found["13a"] = (
            f"Egger's intercept: t = {pleiotropy.statistic:.2f}, p = {pleiotropy.p_value:.2g}; methods as in 11b"
        )
    return found
