"""Body mass index and coronary heart disease: 79 variants, as one pair and as two files.

``python -m dxa_causal.datasets.build.bmi_chd EXPOSURE.csv OUTCOME.csv``

EXPOSURE.csv and OUTCOME.csv are the exposure and outcome tables of the BMI ->
CHD example of TwoSampleMR (MIT), written from R with ``write.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from dxa_causal._core.files import sha256_file
from dxa_causal.datasets.build.writing import Column, source_arguments, write_dataset

GENOME = "GRCh37"
UNITS = {"exposure": "SD of BMI (about 4.77 kg/m2)", "outcome": "log odds ratio of CHD"}
# plain name -> name in a TwoSampleMR table; chromosome and position have no suffix on the outcome side
PLAIN = {
    "variant": "SNP",
    "chr": "chr",
    "pos": "pos",
    "effect_allele": "effect_allele",
    "other_allele": "other_allele",
    "eaf": "eaf",
    "beta": "beta",
    "se": "se",
    "p_value": "pval",
    "n": "samplesize",
}
CITATIONS = {
    "exposure": "GIANT: Locke et al. 2015, Nature 518:197, doi:10.1038/nature14177 (OpenGWAS ieu-a-2)",
    "outcome": "CARDIoGRAMplusC4D: Nikpay et al. 2015, Nature Genetics 47:1121, doi:10.1038/ng.3396, 60,801 cases and "
    "123,504 controls (OpenGWAS ieu-a-7)",
}
SOURCE = "Example data of the R package TwoSampleMR (https://github.com/MRCIEU/TwoSampleMR), extracted from OpenGWAS"
LICENCE = "MIT (c) 2019 Gibran Hemani; text in LICENSE-TwoSampleMR.txt"
SCRIPT = "python -m dxa_causal.datasets.build.bmi_chd EXPOSURE.csv OUTCOME.csv"


def plain_columns(side: str) -> list[Column]:
    """Codebook of a one-sided file."""
    unit = UNITS[side]
    return [
        Column("variant", "", "rs number."),
        Column("chr", "", f"Chromosome, {GENOME}."),
        Column("pos", "base pairs", f"Position, {GENOME}."),
        Column("effect_allele", "", "Allele whose effect is given."),
        Column("other_allele", "", "The other allele."),
        Column("eaf", "proportion", "Frequency of the effect allele."),
        Column("beta", unit, "Effect of one more copy of the effect allele."),
        Column("se", unit, "Standard error of beta."),
        Column("p_value", "", "Two-sided p-value."),
        Column("n", "people", "Sample size."),
    ]


def wide_columns(frame: pd.DataFrame) -> list[Column]:
    """Codebook of the pair, in the order of its columns and in TwoSampleMR's names."""
    meaning: dict[str, tuple[str, str]] = {"SNP": ("", "rs number.")}
    for side, trait in (("exposure", "Exposure"), ("outcome", "Outcome")):
        for column, (plain, stem) in zip(plain_columns(side)[1:], [*PLAIN.items()][1:]):
            suffix = "" if side == "outcome" and plain in ("chr", "pos") else f".{side}"
            text = column.description[0].lower() + column.description[1:]
            meaning[f"{stem}{suffix}"] = (column.unit, f"{trait}: {text}")
        meaning |= {
            side: ("", f"{trait}: trait and OpenGWAS id."),
            f"id.{side}": ("", f"{trait}: OpenGWAS id."),
            f"mr_keep.{side}": ("", f"{trait}: whether TwoSampleMR found the row complete."),
            f"pval_origin.{side}": ("", f"{trait}: whether the p-value was reported or inferred."),
            f"data_source.{side}": ("", f"{trait}: where TwoSampleMR read it, igd = OpenGWAS."),
            f"originalname.{side}": ("", f"{trait}: trait alone."),
            f"{side}.deprecated": ("", f"{trait}: old label, kept by TwoSampleMR."),
        }
    return [Column(name, *meaning[name]) for name in frame]


def to_plain(frame: pd.DataFrame, side: str) -> pd.DataFrame:
    """One side under plain names."""
    names = {plain: f"{stem}.{side}" if f"{stem}.{side}" in frame else stem for plain, stem in PLAIN.items()}
    return frame[[*names.values()]].set_axis([*names], axis=1)


def main(exposure_path: Path, outcome_path: Path) -> None:
    """Write the three data sets."""
    exposure = pd.read_csv(exposure_path, dtype={"chr.exposure": str})
    outcome = pd.read_csv(outcome_path, dtype={"chr": str})
    wide = exposure.merge(outcome, on="SNP", validate="one_to_one")
    hashes = {"exposure": sha256_file(exposure_path), "outcome": sha256_file(outcome_path)}

    def about(name: str, description: str, citation: str, notes: list[str]) -> Mapping[str, object]:
        return {
            "name": name,
            "description": description,
            "source": SOURCE,
            "citation": citation,
            "licence": LICENCE,
            "script": SCRIPT,
            "notes": notes,
            "source_sha256": hashes,
        }

    note = f"Variants: the {len(exposure)} independent ones genome-wide significant for BMI (p < 5e-8)."
    write_dataset(
        wide,
        wide_columns(wide),
        about(
            "bmi_chd",
            "Body mass index (exposure) and coronary heart disease (outcome), 79 variants, one row each, "
            "in TwoSampleMR's names, not harmonised",
            "; ".join(CITATIONS.values()),
            [note, "Both files were aligned to the same effect allele by OpenGWAS; 4 variants are palindromic."],
        ),
    )
    write_dataset(
        to_plain(exposure, "exposure"),
        plain_columns("exposure"),
        about("bmi_gwas", "GWAS of body mass index, 79 variants", CITATIONS["exposure"], [note]),
    )
    write_dataset(
        to_plain(outcome, "outcome"),
        plain_columns("outcome"),
        about("chd_gwas", "GWAS of coronary heart disease, the same 79 variants", CITATIONS["outcome"], [note]),
    )


if __name__ == "__main__":
    main(*source_arguments(__doc__, "exposure", "outcome"))
