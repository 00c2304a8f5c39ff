"""Instruments of four bone and muscle traits in UK Biobank, and a list of OpenGWAS studies of such traits.

``python -m dxa_causal.datasets.build.bone_muscle_gwas INSTRUMENTS.tsv.gz STUDIES.csv``

INSTRUMENTS.tsv.gz is the table of clumped instruments of the MR-Base methods
paper (MIT), STUDIES.csv the bone and muscle rows of the catalogue of OpenGWAS
studies that TwoSampleMR carries (MIT).
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from dxa_causal._core.files import sha256_file
from dxa_causal.datasets.build.writing import Column, source_arguments, write_dataset

SCRIPT = "python -m dxa_causal.datasets.build.bone_muscle_gwas INSTRUMENTS.tsv.gz STUDIES.csv"
SOURCE = (
    "Instruments of the MR-Base methods paper (https://github.com/explodecomputer/mr-base-methods-paper), clumped at "
    "r2 < 0.001 within 10 Mb and p < 5e-8, from the GWAS of UK Biobank by Neale's laboratory (round 1, 2017)"
)
LICENCE = "MIT (c) 2018 Gibran Hemani; text in LICENSE-mr-base-methods-paper.txt"
CITATION = (
    "Hemani et al. 2018, eLife 7:e34408, doi:10.7554/eLife.34408; Neale's laboratory 2017, "
    "http://www.nealelab.is/uk-biobank"
)
STUDIES_SOURCE = "Catalogue of OpenGWAS studies in the R package TwoSampleMR (https://github.com/MRCIEU/TwoSampleMR)"
STUDIES_LICENCE = "MIT (c) 2019 Gibran Hemani; text in LICENSE-TwoSampleMR.txt"
STUDIES_CITATION = "Elsworth et al. 2020, bioRxiv, doi:10.1101/2020.08.10.244293"

PLAIN = {
    "variant": "SNP",
    "effect_allele": "effect_allele",
    "other_allele": "other_allele",
    "eaf": "eaf",
    "beta": "beta",
    "se": "se",
    "p_value": "pval",
    "n": "samplesize",
}
# data set -> id in the table, trait in words, OpenGWAS id
TRAITS = {
    "heel_bmd_gwas": ("UKB-a:500", "heel bone mineral density (T-score, automated)", "ukb-a-500"),
    "grip_gwas": ("UKB-a:379", "grip strength of the right hand", "ukb-a-379"),
    "fat_free_mass_gwas": ("UKB-a:266", "whole-body fat-free mass", "ukb-a-266"),
    "walking_pace_gwas": ("UKB-a:513", "usual walking pace (slow, steady, brisk)", "ukb-a-513"),
}
_LETTER = re.compile(r"<U\+([0-9A-F]{4})>")  # as R writes what its locale lacks
_PARTLY = ("Atkins JL", "Jones G")  # meta-analyses to which UK Biobank belongs
_ALL = ("Loh PR", "Barton AR", "Mbatchou J", "Pei YF", "Morris JA", "Kemp JP")
_NONE = ("Zheng", "Estrada K", "Medina-Gomez C", "Ishigaki K")


def columns(trait: str) -> list[Column]:
    """Codebook of one trait's instruments."""
    unit = "SD, as OpenGWAS lists it"
    return [
        Column("variant", "", "rs number."),
        Column("effect_allele", "", "Allele whose effect is given."),
        Column("other_allele", "", "The other allele."),
        Column("eaf", "proportion", "Frequency of the effect allele."),
        Column("beta", unit, f"Effect of one more copy of the effect allele on {trait}."),
        Column("se", unit, "Standard error of beta."),
        Column("p_value", "", "Two-sided p-value."),
        Column("n", "people", "Sample size."),
    ]


STUDY_COLUMNS = [
    Column("id", "", "OpenGWAS id; ebi-a-GCST... is GWAS Catalog study GCST..."),
    Column("trait", "", "Trait."),
    Column("n", "people", "Sample size."),
    Column("n_case", "people", "Cases, of a disease."),
    Column("n_control", "people", "Controls."),
    Column("population", "", "Ancestry as OpenGWAS has it."),
    Column("build", "", "Genome build."),
    Column("unit", "", "Unit of the effects, as OpenGWAS has it."),
    Column("year", "", "Year."),
    Column("author", "", "First author, or laboratory."),
    Column("consortium", "", "Consortium."),
    Column("pmid", "", "PubMed id."),
    Column(
        "uk_biobank",
        "",
        "Are its people in UK Biobank? yes, partly (a meta-analysis with others), no, or not known. Judged by prefix, "
        "consortium and paper; part of this package, not of OpenGWAS.",
    ),
]


def in_uk_biobank(identifier: str, author: str, population: str) -> str:
    """Whether the people of an OpenGWAS study are of UK Biobank."""
    if identifier.startswith("ukb-") or author in _ALL or author.startswith("D\u00f6nerta"):
        return "yes"
    if identifier.startswith("finn-") or author in _NONE:
        return "no"
    if author.startswith("Sakaue"):  # Biobank Japan; the European part joins UK Biobank and FinnGen
        return "no" if population == "East Asian" else "partly"
    return "partly" if author in _PARTLY else "not known"


def studies(raw: pd.DataFrame) -> pd.DataFrame:
    """The list of studies under plain names, sorted by trait."""
    frame = raw.rename(columns={"sample_size": "n", "ncase": "n_case", "ncontrol": "n_control"})
    frame["author"] = [_LETTER.sub(lambda m: chr(int(m[1], 16)), name) for name in frame["author"].fillna("")]
    text = ("trait", "population", "unit", "consortium")
    frame[[*text]] = frame[[*text]].fillna("")
    frame["build"] = frame["build"].str.replace("HG19/", "", regex=False)
    counts = ["n", "n_case", "n_control", "pmid"]
    frame[counts] = frame[counts].astype("Int64")
    frame.loc[frame["n_control"] == 0, ["n_case", "n_control"]] = pd.NA  # a quantity: Pan-UKB lists all as cases
    frame["uk_biobank"] = [
        in_uk_biobank(*row) for row in frame[["id", "author", "population"]].itertuples(index=False, name=None)
    ]
    frame = frame[[c.name for c in STUDY_COLUMNS]]
    return frame.sort_values(["trait", "id"], key=lambda s: s.str.lower(), ignore_index=True)


def instruments(raw: pd.DataFrame, identifier: str) -> pd.DataFrame:
    """The instruments of one trait under plain names."""
    part = raw[raw["id.exposure"] == identifier]
    table = pd.DataFrame({plain: part[stem if stem == "SNP" else f"{stem}.exposure"] for plain, stem in PLAIN.items()})
    table["n"] = table["n"].astype("int64")
    return table.reset_index(drop=True)


def main(instruments_path: Path, studies_path: Path) -> None:
    """Write the five data sets."""
    raw = pd.read_csv(instruments_path, sep="\t", dtype={"id.exposure": str})
    for name, (identifier, trait, opengwas) in TRAITS.items():
        table = instruments(raw, identifier)
        about = {
            "name": name,
            "description": f"Instruments of {trait}, UK Biobank, {len(table)} variants",
            "source": SOURCE,
            "citation": f"{CITATION} (OpenGWAS {opengwas})",
            "licence": LICENCE,
            "script": SCRIPT,
            "notes": [
                "Chosen and estimated in the same people: the effects are too large (winner's curse).",
                "No positions: these variants join other files by rs number.",
            ],
            "source_sha256": {"instruments": sha256_file(instruments_path)},
        }
        write_dataset(table, columns(trait), about)
    listed = studies(pd.read_csv(studies_path))
    about = {
        "name": "opengwas_bone_muscle",
        "description": f"OpenGWAS studies of bone and muscle traits: {len(listed)} ids, and which are of UK Biobank",
        "source": STUDIES_SOURCE,
        "citation": STUDIES_CITATION,
        "licence": STUDIES_LICENCE,
        "script": SCRIPT,
        "notes": ["A list of studies, without their results."],
        "source_sha256": {"studies": sha256_file(studies_path)},
    }
    write_dataset(listed, STUDY_COLUMNS, about)


if __name__ == "__main__":
    main(*source_arguments(__doc__, "instruments", "studies"))
