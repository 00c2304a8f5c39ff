"""Layouts of GWAS files: which header belongs to which, and which column holds what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dxa_causal._core.errors import SummaryStatisticsError, nearest

FormatName = Literal[
    "gwas-ssf", "gwas-vcf", "finngen", "neale", "pan-ukb", "regenie", "saige", "bolt-lmm", "metal", "fastgwa", "plink2",
    "plink1", "ldsc", "daner", "mach2qtl", "epacts", "twosamplemr", "table",
]  # fmt: skip


@dataclass(frozen=True)
class Format:
    """One layout.

    Attributes
    ----------
    needs : tuple of str
        Columns that tell it, in squashed spelling (see `squash`); alternatives are parted by "|".
    fields : mapping of str to tuple of str
        For each field here the columns that may hold it, the first one there counts.
    """

    needs: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]
    build: str | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Layout:
    """What was found in one file: its format, and the column of each field."""

    format: str
    columns: dict[str, str]
    build: str | None = None
    notes: list[str] = field(default_factory=list)


def squash(name: str) -> str:
    """Lower case, runs of anything but letters and digits as one underscore.

    Examples
    --------
    >>> squash("#CHROM"), squash("P-value"), squash("LOG(OR)_SE")
    ('chrom', 'p_value', 'log_or_se')
    """
    return re.sub(r"[^a-z0-9]+", "_", name.strip().strip('"').lower()).strip("_")


# The synonym map of tables without a format of their own, after `squash`.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "variant": (
        "variant", "rsid", "rs_id", "rsids", "snp", "markername", "marker_name", "marker", "rs", "rs_number",
        "snp_name",
        "variant_id", "snpid", "snp_id", "id", "marker_id", "rsnumber", "dbsnp", "variantid",
    ),
    "chromosome": ("chromosome", "chr", "chrom", "hm_chrom", "chr_name", "chromosome_name", "scaffold"),
    "position": (
        "position", "pos", "bp", "base_pair_location", "base_pair", "basepair", "hm_pos", "chr_position", "bp_hg19",
        "pos_hg19", "bp_hg38", "pos_hg38", "genpos", "beg", "physical_position", "chr_pos", "ps", "location",
    ),
    "beta": (
        "beta", "effect", "b", "es", "effect_size", "log_or", "logor", "lnor", "estimate", "effects", "coef",
        "effect_weight", "all_inv_var_meta_beta", "beta_effect",
    ),
    "odds_ratio": ("odds_ratio", "or", "oddsratio"),
    "se": (
        "se", "standard_error", "stderr", "sebeta", "se_beta", "std_err", "beta_se", "stderr_beta", "std_error",
        "sd_beta",
        "log_or_se", "se_log_or", "logor_se", "standarderror", "all_inv_var_meta_sebeta", "effect_se", "b_se",
    ),
    "p_value": (
        "p_value", "pval", "p", "pvalue", "p_val", "p_bolt_lmm", "p_bolt_lmm_inf", "p_wald", "p_lrt", "gwas_p", "p_gc",
        "all_inv_var_meta_p", "pvalue_gc", "pval_nominal", "p_adj", "sig",
    ),
    "neg_log10_p": (
        "neg_log10_p", "neg_log_10_p_value", "neg_log10_p_value", "mlog10p", "mlogp", "log10p", "lp",
        "neglog10_pval", "nlog10p",
        "minus_log10_p", "neg_log10_pval", "log10_p", "neg_log10p", "mlog10_p",
    ),
    "n": (
        "n", "samplesize", "sample_size", "n_total", "nobs", "obs_ct", "n_complete_samples", "ncompletesamples",
        "totaln",
        "total_n", "n_samples", "ns", "n_obs", "total_sample_size", "totalsamplesize", "nmiss", "weight", "neff",
        "n_eff",
    ),
    "n_cases": ("n_cases", "n_case", "ncase", "ncases", "nca", "cases", "num_cases"),
    "n_controls": ("n_controls", "n_control", "ncontrol", "ncontrols", "nco", "controls", "num_controls"),
    "z": ("z", "zscore", "z_score", "z_stat", "tstat", "t_stat", "stat"),
    "ci_low": ("ci_lower", "l95", "or_95l", "ci_low", "lower_ci", "beta_95l", "ci_lower_95"),
    "ci_high": ("ci_upper", "u95", "or_95u", "ci_high", "upper_ci", "beta_95u", "ci_upper_95"),
    "trait": ("trait", "phenotype", "study", "id_study", "study_id", "study_accession", "gwas_id"),
}  # fmt: skip

# Pairs of names for the allele that beta belongs to and for the other one; the first pair there counts.
_ALLELES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("effect_allele", "ea", "coded_allele", "tested_allele", "risk_allele", "effectallele", "hm_effect_allele",
        "inc_allele",
         "alleleb", "effect_all", "a_effect", "test_allele", "allele_effect", "assessed_allele"),
        ("other_allele", "oa", "nea", "non_effect_allele", "noncoded_allele", "non_coded_allele",
        "noneffect_allele", "ref_allele",
         "hm_other_allele", "reference_allele", "allelea", "noneffectallele", "otherallele", "non_assessed_allele",
         "baseline_allele", "other_all", "a_other"),
    ),
    (("a1",), ("a2", "a0")),
    (("allele1",), ("allele2", "allele0")),
    (("al1",), ("al2",)),
    (("allele_1",), ("allele_2", "allele_0")),
    (("alt", "alternate_allele", "alt_allele", "alternative_allele"), ("ref", "reference", "reference_allele",
    "ref_allele")),
)  # fmt: skip
_FREQUENCIES = (
    "eaf", "effect_allele_frequency", "effect_allele_freq", "freq_effect", "af_coded", "coded_allele_frequency",
    "freq1",
    "af1", "a1freq", "a1_freq", "freq_a1", "eaf_effect", "freq", "frq", "freq_effect_allele", "effect_allele_frq",
    "eaf_a1",
    "hm_effect_allele_frequency", "freq1_hapmap", "eaf_hapmap_release_22", "caf", "af", "tested_allele_frequency",
    "freq_tested_allele", "all_af", "allele_frequency", "effectallelefreq",
)  # fmt: skip
_FREQUENCIES_ALT = ("af_alt", "alt_freq", "alt_freqs", "af_allele2", "aaf", "af", "alt_af", "freq_alt")

_POSITION = {"chromosome": ("chrom", "chr"), "position": ("pos", "bp", "genpos")}
_ID = ("rsid", "rsids", "snp", "id", "markerid", "snpid", "variant_id")


FORMATS: dict[str, Format] = {
    "gwas-ssf": Format(
        ("chromosome", "base_pair_location", "effect_allele", "other_allele", "standard_error"),
        {
            "variant": ("rsid", "rs_id", "hm_rsid", "variant_id"), "chromosome": ("chromosome",),
            "position": ("base_pair_location",), "effect_allele": ("effect_allele",), "other_allele": ("other_allele",),
            "beta": ("beta",), "odds_ratio": ("odds_ratio",), "se": ("standard_error",),
            "eaf": ("effect_allele_frequency",), "p_value": ("p_value",), "n": ("n", "n_total"),
            "neg_log10_p": ("neg_log_10_p_value", "neg_log10_p_value"), "hazard_ratio": ("hazard_ratio",),
        },
    ),
    "finngen": Format(
        ("chrom", "pos", "ref", "alt", "sebeta", "rsids|af_alt|nearest_genes|mlogp"),
        {
            "variant": ("rsids", "rsid"), "chromosome": ("chrom",), "position": ("pos",), "effect_allele": ("alt",),
            "other_allele": ("ref",), "beta": ("beta",), "se": ("sebeta",), "eaf": ("af_alt",), "p_value": ("pval",),
            "neg_log10_p": ("mlogp",),
        },
        "GRCh38",
    ),
    "neale": Format(
        ("variant", "ytx", "beta", "se", "tstat", "pval"),
        {
            "neale_variant": ("variant",), "variant": ("rsid",), "minor_allele": ("minor_allele",),
            "minor_af": ("minor_af",),
            "beta": ("beta",), "se": ("se",), "p_value": ("pval",), "n": ("n_complete_samples", "ncompletesamples"),
        },
        "GRCh37",
        ("effects belong to the last allele of chr:pos:ref:alt",),
    ),
    "pan-ukb": Format(
        ("chr", "pos", "ref", "alt"),
        {"chromosome": ("chr",), "position": ("pos",), "effect_allele": ("alt",), "other_allele": ("ref",),
         "variant": ("rsid",)},
        "GRCh37",
    ),
    "regenie": Format(
        ("chrom", "genpos", "allele0", "allele1", "se", "log10p"),
        {
            "variant": ("id",), "chromosome": ("chrom",), "position": ("genpos",), "effect_allele": ("allele1",),
            "other_allele": ("allele0",), "beta": ("beta",), "se": ("se",), "eaf": ("a1freq",),
            "neg_log10_p": ("log10p",),
            "n": ("n",), "test": ("test",),
        },
    ),
    "saige": Format(
        ("chr", "pos", "allele1", "allele2", "ac_allele2|af_allele2", "se"),
        {
            "variant": ("rsid", "markerid", "snpid"), "chromosome": ("chr",), "position": ("pos",),
            "effect_allele": ("allele2",), "other_allele": ("allele1",), "beta": ("beta",), "se": ("se",),
            "eaf": ("af_allele2",), "p_value": ("p_value",), "n": ("n",), "n_cases": ("n_case",),
            "n_controls": ("n_ctrl",),
        },
        None,
        ("effects belong to Allele2",),
    ),
    "bolt-lmm": Format(
        ("snp", "chr", "bp", "allele1", "allele0", "se", "p_bolt_lmm|p_bolt_lmm_inf"),
        {
            "variant": ("snp",), "chromosome": ("chr",), "position": ("bp",), "effect_allele": ("allele1",),
            "other_allele": ("allele0",), "beta": ("beta",), "se": ("se",), "eaf": ("a1freq",),
            "p_value": ("p_bolt_lmm", "p_bolt_lmm_inf"),
        },
        None,
        ("beta and se are those of the infinitesimal model; P_BOLT_LMM, where there, is of another and may differ",),
    ),
    "metal": Format(
        ("markername", "allele1", "allele2", "effect|zscore", "direction"),
        {
            "variant": ("markername",), "chromosome": ("chr", "chromosome", "chrom"), "position": ("bp", "pos",
            "position"),
            "effect_allele": ("allele1",), "other_allele": ("allele2",), "beta": ("effect",), "se": ("stderr",),
            "eaf": ("freq1",), "p_value": ("p_value",), "neg_log10_p": ("log_p",),
            "n": ("n", "weight", "totalsamplesize", "n_total"), "z": ("zscore",),
        },
        None,
        ("METAL's effects are on the strand of its reference file",),
    ),
    "fastgwa": Format(
        ("chr", "snp", "pos", "a1", "a2", "n", "af1", "beta", "se", "p"),
        {
            "variant": ("snp",), "chromosome": ("chr",), "position": ("pos",), "effect_allele": ("a1",),
            "other_allele": ("a2",), "beta": ("beta",), "se": ("se",), "eaf": ("af1",), "p_value": ("p",), "n": ("n",),
        },
    ),
    "plink2": Format(
        ("chrom", "pos", "id", "ref", "alt", "a1", "obs_ct|test"),
        {
            "variant": ("id",), "chromosome": ("chrom",), "position": ("pos",), "effect_allele": ("a1",),
            "ref": ("ref",),
            "alt": ("alt",), "other_allele": ("omitted", "ax", "a2"), "beta": ("beta",), "odds_ratio": ("or",),
            "se": ("se", "log_or_se"), "eaf": ("a1_freq",), "p_value": ("p",), "neg_log10_p": ("neg_log10_p",
            "log10_p"),
            "n": ("obs_ct",), "test": ("test",), "ci_low": ("l95",), "ci_high": ("u95",),
        },
    ),
    "plink1": Format(
        ("chr", "snp", "bp", "a1", "test", "nmiss", "beta|or"),
        {
            "variant": ("snp",), "chromosome": ("chr",), "position": ("bp",), "effect_allele": ("a1",),
            "other_allele": ("a2",), "beta": ("beta",), "odds_ratio": ("or",), "se": ("se",), "p_value": ("p",),
            "n": ("nmiss",), "test": ("test",), "ci_low": ("l95",), "ci_high": ("u95",),
        },
        None,
        ("the other allele is not in PLINK 1 output unless a column A2 was added",),
    ),
    "ldsc": Format(
        ("snp", "a1", "a2", "z", "n"),
        {
            "variant": ("snp",), "chromosome": ("chr",), "position": ("bp", "pos"), "effect_allele": ("a1",),
            "other_allele": ("a2",), "z": ("z",), "n": ("n",), "eaf": ("eaf", "frq", "freq"), "beta": ("beta",),
            "se": ("se",), "p_value": ("p",),
        },
    ),
    "mach2qtl": Format(
        ("marker", "alleles", "freq1", "effect1|effect1_a", "stderr|stderr_a"),
        {
            "variant": ("marker",), "chromosome": ("chr",), "alleles": ("alleles",), "beta": ("effect1", "effect1_a"),
            "se": ("stderr", "stderr_a"), "eaf": ("freq1",), "p_value": ("pvalue", "pvalue_a"), "position": ("pos",
            "bp"),
        },
        None,
        ("effects belong to the first allele of the column ALLELES",),
    ),
    "epacts": Format(
        ("chrom", "beg", "end", "marker_id", "ns", "ac", "beta", "sebeta"),
        {
            "epacts_id": ("marker_id",), "chromosome": ("chrom",), "position": ("beg",), "beta": ("beta",),
            "se": ("sebeta",), "p_value": ("pvalue",), "n": ("ns",), "alt_count": ("ac",), "call_rate": ("callrate",),
        },
        None,
        ("effects belong to the second allele of MARKER_ID; eaf is AC / (2 NS CALLRATE)",),
    ),
}  # fmt: skip

_SUFFIXED = ("effect_allele", "other_allele", "beta", "se", "eaf", "pval", "samplesize", "chr", "pos")


def find_layout(
    header: Sequence[str],
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    side: str | None = None,
    population: str | None = None,
    where: str = "the file",
) -> Layout:
    """Return the layout of a header; raises SummaryStatisticsError when none fits."""
    there = {squash(h): h for h in reversed(header)}
    if format is not None and format != "table" and format in FORMATS:
        missing = [n for n in FORMATS[format].needs if not any(a in there for a in n.split("|"))]
        if missing:
            raise SummaryStatisticsError(
                f"{where}: format={format!r} needs the columns {', '.join(missing)}, which are not there; "
                f"the file has {listed(header)}"
            )
    layout = _named_layout(there, format, side, population, where)
    for name, column in (columns or {}).items():
        if column not in header:
            raise SummaryStatisticsError(
                f"{where}: columns={{{name!r}: {column!r}}} is not there; nearest: "
                f"{', '.join(map(repr, nearest(column, header))) or 'none'}; the file has {listed(header)}"
            )
        layout.columns[name] = column
    _refuse_incomplete(layout, header, where)
    return layout


def _named_layout(
    there: dict[str, str], format: str | None, side: str | None, population: str | None, where: str
) -> Layout:
    if format == "twosamplemr" or (format is None and any(f"beta_{s}" in there for s in ("exposure", "outcome"))):
        return _twosamplemr(there, side, where)
    if format == "pan-ukb" or (format is None and _pan_populations(there)):
        return _pan_ukb(there, population, where)
    if format in (None, "daner") and (daner := _daner(there)) is not None:
        return daner
    if format == "daner":
        raise SummaryStatisticsError(f"{where}: format='daner' needs a column FRQ_U_<number of controls>")
    for name, one in FORMATS.items():
        fits = all(any(a in there for a in need.split("|")) for need in one.needs)
        if fits and name != "pan-ukb" and format in (None, name):
            return Layout(name, _pick(there, one.fields), one.build, list(one.notes))
    return _table(there)


def _pick(there: dict[str, str], fields: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    found = {f: next((there[n] for n in names if n in there), None) for f, names in fields.items()}
    return {f: column for f, column in found.items() if column is not None}


def _table(there: dict[str, str]) -> Layout:
    columns = _pick(there, SYNONYMS)
    notes: list[str] = []
    for effect, other in _ALLELES:
        pair = _pick(there, {"effect_allele": effect, "other_allele": other})
        if "effect_allele" in pair:
            columns |= pair
            by_alt = effect[0] == "alt"
            names = (*_FREQUENCIES_ALT, *_FREQUENCIES) if by_alt else _FREQUENCIES
            columns |= _pick(there, {"eaf": names})
            if effect[0] != "effect_allele":
                notes.append(
                    f"effects were taken to belong to {pair['effect_allele']}; "
                    "say columns={'effect_allele': ...} where they do not"
                )
            break
    return Layout("table", columns, None, notes)


def _twosamplemr(there: dict[str, str], side: str | None, where: str) -> Layout:
    sides = [s for s in ("exposure", "outcome") if f"beta_{s}" in there]
    if len(sides) == 2 and side is None:
        raise SummaryStatisticsError(
            f"{where} is a harmonised table that holds exposure and outcome; say which with side='exposure' or "
            f"side='outcome'"
        )
    side = side or (sides[0] if sides else "exposure")
    if side not in sides:
        raise SummaryStatisticsError(f"{where} has no column beta.{side}; sides there: {sides or 'none'}")
    fields = {
        "variant": ("snp",), "chromosome": (f"chr_{side}", "chr"), "position": (f"pos_{side}", "pos"),
        "effect_allele": (f"effect_allele_{side}",), "other_allele": (f"other_allele_{side}",),
        "beta": (f"beta_{side}",),
        "se": (f"se_{side}",), "eaf": (f"eaf_{side}",), "p_value": (f"pval_{side}",), "n": (f"samplesize_{side}",),
        "trait": (side,),
    }  # fmt: skip
    return Layout("twosamplemr", _pick(there, fields))


def _pan_populations(there: dict[str, str]) -> list[str]:
    if not all(c in there for c in ("chr", "pos", "ref", "alt")):
        return []
    return [c[5:] for c in there if c.startswith("beta_") and f"se_{c[5:]}" in there]


def _pan_ukb(there: dict[str, str], population: str | None, where: str) -> Layout:
    have = _pan_populations(there)
    key = None if population is None else squash(population)
    if key is None:
        key = next((p for p in ("meta_hq", "meta") if p in have), have[0] if len(have) == 1 else None)
    if key is None or key not in have:
        raise SummaryStatisticsError(
            f"{where} holds several populations; population={population!r} is not one of "
            f"{', '.join(map(repr, have)) or 'none'}"
        )
    fields = dict(FORMATS["pan-ukb"].fields)
    fields |= {
        "beta": (f"beta_{key}",), "se": (f"se_{key}",), "eaf": (f"af_{key}", f"af_controls_{key}"),
        "neg_log10_p": (f"neglog10_pval_{key}",), "ln_p": (f"pval_{key}",),
    }  # fmt: skip
    picked = _pick(there, fields)
    notes = [f"population {key}"]
    if picked.get("eaf", "").lower().startswith("af_controls"):
        notes.append("eaf is that of the controls")
    return Layout("pan-ukb", picked, "GRCh37", notes)


def _daner(there: dict[str, str]) -> Layout | None:
    cases = next((c for c in there if re.fullmatch(r"frq_a_\d+", c)), None)
    controls = next((c for c in there if re.fullmatch(r"frq_u_\d+", c)), None)
    if cases is None or controls is None or "or" not in there:
        return None
    columns = _pick(there, {**SYNONYMS, "effect_allele": ("a1",), "other_allele": ("a2",), "eaf": (controls,)})
    columns.pop("n", None)
    total = int(cases[6:]) + int(controls[6:])
    layout = Layout("daner", columns, None, ["eaf is that of the controls", f"n from the header: {total}"])
    layout.columns["n_of_all"] = str(total)
    return layout


def _refuse_incomplete(layout: Layout, header: Sequence[str], where: str) -> None:
    has = layout.columns
    need: list[str] = []
    if not {"effect_allele", "alleles", "neale_variant", "epacts_id"} & has.keys():
        need.append("effect allele")
    if not {"variant", "neale_variant", "epacts_id"} & has.keys() and not {"chromosome", "position"} <= has.keys():
        need.append("variant")
    z_only = "z" in has and not {"beta", "odds_ratio", "hazard_ratio"} & has.keys()
    if z_only and "n" in has and "eaf" in has:
        layout.notes.append("beta and se follow from z, n and eaf, in standard deviations of the trait")
    elif z_only and not need:
        raise SummaryStatisticsError(
            f"{where} ({layout.format}) holds z only: without effect sizes Mendelian randomisation has no scale. "
            f"With n and the effect-allele frequency they can be recovered; missing here: "
            f"{' and '.join(w for w in ('n', 'eaf') if w not in has)}. The file has {listed(header)}"
        )
    elif not z_only:
        if not {"beta", "odds_ratio", "hazard_ratio"} & has.keys():
            need.append("beta")
        if "se" not in has and not {"ci_low", "ci_high"} <= has.keys():
            need.append("se")
    if not need:
        return
    keys = {"effect allele": "effect_allele", "variant": "variant", "beta": "beta", "se": "se"}
    looked = {what: nearest(keys[what], header, n=2) for what in need}
    near = "; ".join(f"nearest to {w}: {', '.join(map(repr, n))}" for w, n in looked.items() if n)
    named = ["se (standard errors)" if name == "se" else name for name in need]
    message = f"{where}: no column for {', '.join(named)}. The file has {listed(header)}."
    if near:
        message += f" {near[0].upper()}{near[1:]}."
    if need == ["se"]:
        message += " Standard errors cannot be invented."
        if "p_value" in has or "neg_log10_p" in has:
            message += (
                " From beta and an unrounded two-sided p they follow as abs(beta) / scipy.stats.norm.isf(p / 2); "
                "add them as a column se and report it."
            )
    else:
        message += " Name the columns with columns={'beta': ..., 'se': ...}."
    raise SummaryStatisticsError(message)


def listed(header: Sequence[str]) -> str:
    """Return the names of a header, the first fifteen at most."""
    return ", ".join(repr(h[:40]) for h in header[:15]) + (", ..." if len(header) > 15 else "")
