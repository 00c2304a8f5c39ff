"""NHANES 1999-2014 adults with mortality follow-up to the end of 2015.

``python -m dxa_causal.datasets.build.nhanes_mortality SOURCE.parquet``

SOURCE.parquet is the table ``NHANES4`` (file ``data/NHANES4.rda``) of the
repository dayoonkwon/BioAge at commit b1f9fc0, read in R and written with
``arrow::write_parquet``. It gathers public-use files of NHANES, which are
works of the US government. Only measurements and mortality are taken, none of
the scores that BioAge computes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from dxa_causal._core.files import sha256_file
from dxa_causal.datasets.build.writing import Column, drop_implausible, source_arguments, write_dataset

WALK_LENGTH_M = 6.096  # 20 feet
GAIT_RANGE_M_S = (0.1, 2.5)

LEVELS: dict[str, dict[int, str]] = {
    "sex": {2: "female", 1: "male"},
    "race_ethnicity": {1: "non-Hispanic white", 2: "non-Hispanic black", 3: "Hispanic", 4: "other"},
    "education": {
        1: "less than 9th grade",
        2: "9th to 11th grade",
        3: "high school",
        4: "some college",
        5: "college graduate",
    },
    "self_rated_health": {1: "excellent", 2: "very good", 3: "good", 4: "fair", 5: "poor"},
}
# 0 stands first: the first level of a cause is censoring
CAUSES = {
    0: "alive",
    1: "heart disease",
    2: "cancer",
    3: "chronic lower respiratory disease",
    4: "accident",
    5: "stroke",
    6: "Alzheimer disease",
    7: "diabetes",
    8: "influenza or pneumonia",
    9: "kidney disease",
    10: "other",
    99: "not released",
}
TRIMMED = "Values over 5 SD from the mean of the sex were already missing in the source."

COLUMNS = [
    Column("id", "", "NHANES respondent sequence number (SEQN); joins to any NHANES public-use file."),
    Column("cycle", "", "Two-year cycle of the survey."),
    Column("age", "years", "Age at interview; top-coded by NHANES at 85 (1999-2006) or 80 (2007-2014).", "age"),
    Column("sex", "", "Sex.", "gender"),
    Column("race_ethnicity", "", "Self-reported; Hispanic holds Mexican American and other Hispanic.", "ethnicity"),
    Column("education", "", "Highest education reached.", "education"),
    Column("poverty_ratio", "", "Family income over the poverty threshold; top-coded at 5.", "poverty_ratio"),
    Column("pregnant", "0/1", "1 = pregnant at examination; 0 also when this was not determined.", "pregnant"),
    Column("self_rated_health", "", "General health; not asked in 1999-2000.", "health"),
    Column("bmi", "kg/m2", "Body mass index, measured.", "bmi", 10, 100),
    Column("height_cm", "cm", "Standing height, measured.", "height", 120, 220),
    Column("weight_kg", "kg", "Body weight, measured.", "weight", 25, 300),
    Column("waist_cm", "cm", "Waist circumference, measured.", "waist", 40, 200),
    Column("fat_free_mass_kg", "kg", "By bioelectrical impedance, ages 20-49, 1999-2004 only.", "ffm", 15, 150),
    Column("fat_mass_kg", "kg", "By bioelectrical impedance, ages 20-49, 1999-2004 only.", "fm", 0.5, 150),
    Column(
        "grip_kg",
        "kg",
        "Hand grip of the stronger hand: the larger of grip_left_kg and grip_right_kg. Each is a mean of up to three "
        "trials, so it lies somewhat below the best single trial on which EWGSOP2 and AWGS cut-offs rest. 2011-2014.",
        low=1,
        high=100,
    ),
    Column("grip_left_kg", "kg", "Left hand grip, mean of up to three trials, 2011-2014.", "grip_l", 1, 100),
    Column("grip_right_kg", "kg", "Right hand grip, mean of up to three trials, 2011-2014.", "grip_r", 1, 100),
    Column(
        "walk_time_s",
        "s",
        "Time to walk 20 feet (6.096 m) at usual pace, ages 50 and over, 1999-2002. Plausible: 0.1 to 2.5 m/s.",
        low=WALK_LENGTH_M / GAIT_RANGE_M_S[1],
        high=WALK_LENGTH_M / GAIT_RANGE_M_S[0],
    ),
    Column("gait_speed_m_s", "m/s", "Usual gait speed, 6.096 / walk_time_s; ages 50 and over, 1999-2002."),
    Column(
        "adl_difficulties",
        "count 0-19",
        "Of 19 daily activities, how many are done with any difficulty or not at all. Asked of those aged 60 and over "
        "or reporting a limitation: missing is not 'none'.",
        "adl",
        0,
        19,
    ),
    Column("sbp_mmhg", "mm Hg", f"Systolic blood pressure, mean of up to four readings. {TRIMMED}", "sbp", 60, 270),
    Column(
        "dbp_mmhg",
        "mm Hg",
        "Diastolic blood pressure, mean of up to four readings; readings of 0 (no fifth Korotkoff sound) entered the "
        f"mean in the source, hence the lower limit. {TRIMMED}",
        "dbp",
        30,
        150,
    ),
    Column("albumin_g_dl", "g/dL", f"Serum albumin (x 10 = g/L). {TRIMMED}", "albumin", 1, 7),
    Column("alp_u_l", "U/L", f"Serum alkaline phosphatase. {TRIMMED}", "alp", 5, 2000),
    Column("bone_alp_ug_l", "ug/L", f"Bone alkaline phosphatase, 1999-2004. {TRIMMED}", "bap", 0.5, 500),
    Column("bun_mg_dl", "mg/dL", f"Blood urea nitrogen (x 0.357 = mmol/L). {TRIMMED}", "bun", 1, 200),
    Column(
        "creatinine_mg_dl",
        "mg/dL",
        "Serum creatinine (x 88.4 = umol/L), 1999-2000 and 2005-2006 calibrated as NHANES advises. "
        f"{TRIMMED} This removes nearly all dialysis patients.",
        "creat",
        0.2,
        20,
    ),
    Column("cystatin_c_mg_l", "mg/L", f"Serum cystatin C, 1999-2002, subsample. {TRIMMED}", "cyst", 0.2, 15),
    Column(
        "glucose_mg_dl", "mg/dL", f"Serum glucose, fasting or not (x 0.0555 = mmol/L). {TRIMMED}", "glucose", 20, 1500
    ),
    Column("hba1c_pct", "%", f"Glycated haemoglobin. {TRIMMED}", "hba1c", 3, 20),
    Column("cholesterol_mg_dl", "mg/dL", f"Total cholesterol (/ 38.67 = mmol/L). {TRIMMED}", "totchol", 50, 1000),
    Column("hdl_mg_dl", "mg/dL", f"HDL cholesterol (/ 38.67 = mmol/L). {TRIMMED}", "hdl", 5, 250),
    Column("uric_acid_mg_dl", "mg/dL", f"Serum uric acid (x 59.48 = umol/L). {TRIMMED}", "uap", 0.3, 25),
    Column(
        "crp_mg_dl",
        "mg/dL",
        f"C-reactive protein (x 10 = mg/L), 1999-2010. {TRIMMED} Severe inflammation is cut off at about 5.",
        "crp",
        0,
        50,
    ),
    Column("lymphocyte_pct", "%", f"Lymphocytes, share of white cells. {TRIMMED}", "lymph", 0, 100),
    Column("mcv_fl", "fL", f"Mean red cell volume. {TRIMMED}", "mcv", 50, 150),
    Column("rdw_pct", "%", f"Red cell distribution width. {TRIMMED}", "rdw", 10, 40),
    Column("wbc_1000_ul", "1000/uL", f"White blood cells. {TRIMMED}", "wbc", 0.05, 400),
    Column(
        "time",
        "years",
        "From the examination to death or 31 December 2015: whole months / 12. Zero for 16 who died within a month.",
    ),
    Column("died", "0/1", "1 = died of any cause by 31 December 2015, 0 = censored."),
    Column(
        "cause_of_death",
        "",
        "Leading underlying cause (NCHS groups of ICD-10); 'alive' = censored comes first, so the column can stand as "
        "a competing-risk outcome.",
    ),
]

ABOUT = {
    "name": "nhanes_mortality",
    "description": "US adults examined in NHANES 1999-2014 with mortality to 2015: body size, grip, gait, blood, death",
    "source": "NHANES 1999-2014 public-use files and the NCHS 2015 public-use linked mortality files, as gathered in "
    "table NHANES4 of https://github.com/dayoonkwon/BioAge at commit b1f9fc0",
    "citation": "National Center for Health Statistics, National Health and Nutrition Examination Survey "
    "(https://www.cdc.gov/nchs/nhanes) and linked mortality files "
    "(https://www.cdc.gov/nchs/data-linkage/mortality-public.htm); gathered by Kwon and Belsky 2021, "
    "doi:10.1007/s11357-021-00480-5",
    "licence": "Public domain (US government work)",
    "script": "python -m dxa_causal.datasets.build.nhanes_mortality SOURCE.parquet",
    "notes": [
        "The source's own 'status' counts deaths by accident, influenza or pneumonia and all other causes as censored. "
        "Here 'died' is death of any cause: status 1, or a leading cause recorded.",
        "Survey weights, strata and clusters are not in the source: estimates describe these participants, not the US "
        "population. Join the NHANES demographic files on id to weight.",
        "NCHS replaced a small part of follow-up times and causes by synthetic values to protect participants.",
        "Grip (2011-2014) and gait (1999-2002) were never measured in the same person.",
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
        Rows left out, per reason; they and the rows kept add up to the source.
    """
    linked = source["status"].notna()
    examined = source["time"].notna()
    adult = source["age"] >= 20
    keep = linked & examined & adult
    rows = {
        "source": len(source),
        "no mortality linkage (2015-2018 cycles, or not eligible)": int((~linked).sum()),
        "interviewed but not examined: no time since examination": int((linked & ~examined).sum()),
        "younger than 20": int((linked & examined & ~adult).sum()),
        "kept": int(keep.sum()),
    }
    source = source[keep].reset_index(drop=True)
    frame = pd.DataFrame({c.name: source[c.source] for c in COLUMNS if c.source})
    for name, levels in LEVELS.items():
        frame[name] = pd.Categorical(frame[name].map(levels), categories=[*levels.values()])
    # R's paste0 wrote 100000 as 1e+05, hence through float
    frame["id"] = source["sampleID"].str.split("_").str[1].astype(float)
    start = source["year"].astype(int)
    labels = (start.astype(str) + "-" + (start + 1).astype(str)).to_numpy()
    frame["cycle"] = pd.Categorical(labels, categories=sorted(set(labels)))
    frame["grip_kg"] = source[["grip_l", "grip_r"]].max(axis=1)
    frame["walk_time_s"] = np.exp(source["lnwalk"]).round(2)  # recorded in hundredths of a second
    frame["time"] = source["time"] / 12
    died = (source["status"] == 1) | source["ucod_leading"].notna()
    cause = source["ucod_leading"].fillna(99).where(died, 0)
    frame["died"] = died.astype("int64")
    frame["cause_of_death"] = pd.Categorical(cause.map(CAUSES), categories=[*CAUSES.values()])
    whole = ["id", "age", "pregnant"]
    frame = frame.astype(dict.fromkeys(whole, "int64"))
    frame, implausible = drop_implausible(frame, COLUMNS)
    frame["gait_speed_m_s"] = WALK_LENGTH_M / frame["walk_time_s"]
    return frame[[c.name for c in COLUMNS]], implausible, rows


def main(path: Path) -> None:
    """Write the data set from the file at `path`."""
    frame, implausible, rows = build(pd.read_parquet(path))
    about = ABOUT | {"source_sha256": sha256_file(path), "row_counts": rows}
    write_dataset(frame, COLUMNS, about, implausible=implausible)


if __name__ == "__main__":
    main(*source_arguments(__doc__, "source"))
