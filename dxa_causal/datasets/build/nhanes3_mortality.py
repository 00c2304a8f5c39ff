"""NHANES III (1988-1994) adults with mortality over the 20 years after examination.

``python -m dxa_causal.datasets.build.nhanes3_mortality SOURCE.parquet``

SOURCE.parquet is the table ``NHANES3`` (file ``data/NHANES3.rda``) of the
repository dayoonkwon/BioAge at commit b1f9fc0, read in R and written with
``arrow::write_parquet``. It gathers public-use files of NHANES III, which are
works of the US government. Only measurements and mortality are taken, none of
the scores that BioAge computes.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dxa_causal._core.files import sha256_file
from dxa_causal.datasets.build.nhanes_mortality import CAUSES, LEVELS, TRIMMED
from dxa_causal.datasets.build.writing import Column, drop_implausible, source_arguments, write_dataset

LAST_MONTH = 240  # where the source cuts the time since examination

COLUMNS = [
    Column("id", "", "NHANES III sample person number (SEQN); joins to any NHANES III public-use file."),
    Column("age", "years", "Age at interview, completed years; top-coded by NHANES at 90.", "age"),
    Column("sex", "", "Sex.", "gender"),
    Column("race_ethnicity", "", "Self-reported; Hispanic is Mexican American.", "ethnicity"),
    Column("education", "", "Highest education reached.", "education"),
    Column("poverty_ratio", "", "Family income over the poverty threshold; not top-coded.", "poverty_ratio"),
    Column("self_rated_health", "", "General health.", "health"),
    Column("bmi", "kg/m2", "Body mass index, measured.", "bmi", 10, 100),
    Column("height_cm", "cm", "Standing height, measured.", "height", 115, 220),
    Column("weight_kg", "kg", "Body weight, measured.", "weight", 20, 300),
    Column("waist_cm", "cm", "Waist circumference, measured.", "waist", 40, 200),
    Column("fev1_ml", "mL", f"Forced expiratory volume in one second. {TRIMMED}", "fev", 100, 8000),
    Column("sbp_mmhg", "mm Hg", f"Systolic blood pressure. {TRIMMED}", "sbp", 60, 270),
    Column("albumin_g_dl", "g/dL", f"Serum albumin (x 10 = g/L). {TRIMMED}", "albumin", 1, 7),
    Column(
        "creatinine_mg_dl",
        "mg/dL",
        f"Serum creatinine (x 88.4 = umol/L), calibrated as NHANES advises. {TRIMMED} This removes nearly all dialysis "
        "patients.",
        "creat",
        0.2,
        20,
    ),
    Column(
        "cystatin_c_mg_l",
        "mg/L",
        "Serum cystatin C from stored samples: a quarter of those under 60, most of those over. " + TRIMMED,
        "cyst",
        0.2,
        15,
    ),
    Column("hba1c_pct", "%", f"Glycated haemoglobin. {TRIMMED}", "hba1c", 2.5, 20),
    Column("cholesterol_mg_dl", "mg/dL", f"Total cholesterol (/ 38.67 = mmol/L). {TRIMMED}", "totchol", 50, 1000),
    Column(
        "crp_mg_dl",
        "mg/dL",
        f"C-reactive protein (x 10 = mg/L); 0.21 stands for what lies below detection. {TRIMMED}",
        "crp",
        0,
        50,
    ),
    Column(
        "time",
        "years",
        "From the examination to death or, at most, 20 years: whole months / 12. Zero for those who died within a "
        "month.",
    ),
    Column("died", "0/1", "1 = died of any cause within 20 years of the examination, 0 = alive then."),
    Column(
        "cause_of_death",
        "",
        "Leading underlying cause (NCHS groups; ICD-9 and ICD-10); 'alive' = censored comes first, so the column can "
        "stand as a competing-risk outcome.",
    ),
]

ABOUT = {
    "name": "nhanes3_mortality",
    "description": "US adults examined in NHANES III (1988-1994), followed 20 years: body size, lung, blood, death",
    "source": "NHANES III public-use files and the NCHS 2015 public-use linked mortality file, as gathered in table "
    "NHANES3 of https://github.com/dayoonkwon/BioAge at commit b1f9fc0",
    "citation": "National Center for Health Statistics, Third National Health and Nutrition Examination Survey "
    "(https://www.cdc.gov/nchs/nhanes) and linked mortality files "
    "(https://www.cdc.gov/nchs/data-linkage/mortality-public.htm); gathered by Kwon and Belsky 2021, "
    "doi:10.1007/s11357-021-00480-5",
    "licence": "Public domain (US government work)",
    "script": "python -m dxa_causal.datasets.build.nhanes3_mortality SOURCE.parquet",
    "notes": [
        "The source cuts the time since examination at 240 months, so follow-up ends there: who died later is alive at "
        "20 years here. Deaths by accident, influenza, pneumonia and other causes, which the source's own 'status' "
        "calls censored, are counted; of those in month 240 only the ones that the time since interview puts there.",
        "Neither grip strength nor walking time is in the source, and no bone density.",
        "Survey weights, strata and clusters are not in the source: estimates describe these participants, not the US "
        "population. Join the NHANES III files on id to weight.",
        "NCHS replaced a small part of follow-up times and causes by synthetic values to protect participants.",
    ],
}


def build(source: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int], dict[str, int]]:
    """Turn the source table into the data set.

    Returns
    -------
    frame : DataFrame
        The columns of `COLUMNS`.
    implausible : dict of str to int
        Values set missing, per column.
    rows : dict of str to int
        From source rows to kept rows.
    """
    linked, examined = source["status"].notna(), source["time"].notna()
    keep = linked & examined
    rows = {
        "source": len(source),
        "not eligible for mortality linkage": int((~linked).sum()),
        "interviewed but not examined: no time since examination": int((linked & ~examined).sum()),
        "kept": int(keep.sum()),
    }
    source = source[keep].reset_index(drop=True)
    frame = pd.DataFrame({c.name: source[c.source] for c in COLUMNS if c.source}).round(4)  # single precision before
    for name in {c.name for c in COLUMNS} & set(LEVELS):
        frame[name] = pd.Categorical(frame[name].map(LEVELS[name]), categories=[*LEVELS[name].values()])
    frame["id"] = source["sampleID"].str.split("_").str[1].astype(float)
    frame["time"] = source["time"] / 12
    # the interview came before the examination: 240 months from it are not more than 240 from the examination
    within = (source["time"] < LAST_MONTH) | (source["status"] == 1) | (source["permth_int"] <= LAST_MONTH)
    died = within & ((source["status"] == 1) | source["ucod_leading"].notna())
    frame["died"] = died.astype("int64")
    cause = source["ucod_leading"].fillna(99).where(died, 0)
    frame["cause_of_death"] = pd.Categorical(cause.map(CAUSES), categories=[*CAUSES.values()])
    frame = frame.astype({"id": "int64", "age": "int64"})
    frame, implausible = drop_implausible(frame, COLUMNS)
    return frame[[c.name for c in COLUMNS]], implausible, rows


def main(path: Path) -> None:
    """Write the data set from the file at `path`."""
    frame, implausible, rows = build(pd.read_parquet(path))
    about = ABOUT | {"source_sha256": sha256_file(path), "row_counts": rows}
    write_dataset(frame, COLUMNS, about, implausible=implausible)


if __name__ == "__main__":
    main(*source_arguments(__doc__, "source"))
