"""NHEFS, the smoking cessation cohort of Hernan and Robins, "Causal Inference: What If".

``python -m dxa_causal.datasets.build.nhefs SOURCE.csv``

SOURCE.csv is the table ``nhefs`` of the R package causaldata 0.1.4 (MIT), as
the Rdatasets collection exports it: 1,629 cigarette smokers of the NHANES I
Epidemiologic Follow-up Study, whose public-use files are works of the US
government. Column names are the book's.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dxa_causal._core.files import sha256_file
from dxa_causal.datasets.build.writing import Column, source_arguments, write_dataset

EVER = "1 = ever, 0 = never"
MONTHS_OF_FOLLOWUP = 120


def _diagnosis(name: str, illness: str, codes: str = EVER) -> Column:
    return Column(name, "code", f"{illness} diagnosed by a doctor, 1971: {codes}.")


def _medication(name: str, complaint: str, codes: str = EVER) -> Column:
    return Column(name, "code", f"Takes medication for {complaint}, 1971: {codes}.")


OR_MISSING = f"{EVER}, 2 = missing"
COLUMNS = [
    Column("seqn", "", "Identifier of the person."),
    Column("qsmk", "0/1", "Quit smoking between the first questionnaire and 1982: 1 = yes, 0 = no."),
    Column("death", "0/1", "Died by 1992: 1 = yes, 0 = no."),
    Column("yrdth", "year - 1900", "Year of death, 83 to 92."),
    Column("modth", "month", "Month of death; given for 4 people without death = 1."),
    Column("dadth", "day", "Day of death; given for 4 people without death = 1."),
    Column("sbp", "mm Hg", "Systolic blood pressure, 1982 (after treatment)."),
    Column("dbp", "mm Hg", "Diastolic blood pressure, 1982 (after treatment)."),
    Column("sex", "code", "0 = male, 1 = female."),
    Column("age", "years", "Age in 1971."),
    Column("race", "code", "0 = white, 1 = black or other."),
    Column(
        "income",
        "code",
        "Family income, 1971, US dollars: 11 = under 1000, 12 = 1000-1999, 13 = 2000-2999, 14 = 3000-3999, "
        "15 = 4000-4999, 16 = 5000-5999, 17 = 6000-6999, 18 = 7000-9999, 19 = 10000-14999, 20 = 15000-19999, "
        "21 = 20000-24999, 22 = 25000 and over.",
    ),
    Column(
        "marital",
        "code",
        "Marital status, 1971: 1 = under 17, 2 = married, 3 = widowed, 4 = never married, 5 = divorced, "
        "6 = separated, 8 = unknown.",
    ),
    Column("school", "years", "Highest grade of regular school, 1971."),
    Column(
        "education",
        "code",
        "Education by 1971: 1 = 8th grade or less, 2 = left high school, 3 = high school, 4 = left college, "
        "5 = college or more.",
    ),
    Column("ht", "cm", "Height, 1971."),
    Column("wt71", "kg", "Weight, 1971."),
    Column("wt82", "kg", "Weight, 1982; missing for 63."),
    Column("wt82_71", "kg", "Change of weight, wt82 - wt71; the outcome of chapters 12 to 15 (n = 1566)."),
    Column("birthplace", "code", "State of birth, NHANES I state code."),
    Column("smokeintensity", "cigarettes/day", "Cigarettes smoked per day, 1971."),
    Column("smkintensity82_71", "cigarettes/day", "Change of cigarettes per day, 1971 to 1982."),
    Column("smokeyrs", "years", "Years of smoking, 1971."),
    _diagnosis("asthma", "Asthma"),
    _diagnosis("bronch", "Chronic bronchitis or emphysema"),
    _diagnosis("tb", "Tuberculosis"),
    _diagnosis("hf", "Heart failure"),
    _diagnosis("hbp", "High blood pressure", OR_MISSING),
    _diagnosis("pepticulcer", "Peptic ulcer"),
    _diagnosis("colitis", "Colitis"),
    _diagnosis("hepatitis", "Hepatitis"),
    _diagnosis("chroniccough", "Chronic cough"),
    _diagnosis("hayfever", "Hay fever"),
    _diagnosis("diabetes", "Diabetes", OR_MISSING),
    _diagnosis("polio", "Polio"),
    _diagnosis("tumor", "Malignant tumour"),
    _diagnosis("nervousbreak", "Nervous breakdown"),
    Column("alcoholpy", "code", f"One drink in the past year, 1971: {OR_MISSING}."),
    Column(
        "alcoholfreq",
        "code",
        "How often drinks, 1971: 0 = almost every day, 1 = 2-3 times a week, 2 = 1-4 times a month, "
        "3 = under 12 times a year, 4 = not in the last year, 5 = unknown.",
    ),
    Column("alcoholtype", "code", "Most frequent drink, 1971: 1 = beer, 2 = wine, 3 = liquor, 4 = other or unknown."),
    Column("alcoholhowmuch", "drinks", "Drinks on an occasion, 1971."),
    Column("pica", "code", f"Eats dirt, clay, starch or other non-food, 1971: {OR_MISSING}."),
    _medication("headache", "headache"),
    _medication("otherpain", "other pain"),
    _medication("weakheart", "a weak heart"),
    _medication("allergies", "allergies"),
    _medication("nerves", "nerves"),
    _medication("lackpep", "lack of pep"),
    _medication("hbpmed", "high blood pressure", OR_MISSING),
    _medication("boweltrouble", "bowel trouble", OR_MISSING),
    _medication("wtloss", "weight loss"),
    _medication("infection", "infection"),
    Column("active", "code", "Activity on a usual day, 1971: 0 = very active, 1 = moderately active, 2 = inactive."),
    Column("exercise", "code", "Exercise in recreation, 1971: 0 = much, 1 = moderate, 2 = little or none."),
    Column("birthcontrol", "code", "Birth control pills in the past 6 months, 1971: 1 = yes, 0 = no, 2 = missing."),
    Column("pregnancies", "count", "Number of pregnancies, 1971."),
    Column("cholesterol", "mg/dL", "Serum cholesterol, 1971."),
    Column("hightax82", "0/1", "Lives in a state with high tobacco tax, 1982: 1 = yes, 0 = no."),
    Column("price71", "US$ of 2008", "Average tobacco price in the state of residence, 1971."),
    Column("price82", "US$ of 2008", "Average tobacco price in the state of residence, 1982."),
    Column("tax71", "US$ of 2008", "Tobacco tax in the state of residence, 1971."),
    Column("tax82", "US$ of 2008", "Tobacco tax in the state of residence, 1982."),
    Column("price71_82", "US$ of 2008", "price71 - price82."),
    Column("tax71_82", "US$ of 2008", "tax71 - tax82."),
    Column("censored", "0/1", "1 = weight in 1982 missing, 0 = known."),
    Column(
        "survtime",
        "months",
        "Derived as in chapter 17: months from January 1983 to death, 12 (yrdth - 83) + modth; 120 if alive in 1992.",
    ),
]

ABOUT = {
    "name": "nhefs",
    "description": "Smoking cessation, weight gain and death in NHEFS: the data of 'Causal Inference: What If'",
    "source": "Table nhefs of the R package causaldata 0.1.4 (https://github.com/NickCH-K/causaldata), from the NHANES "
    "I Epidemiologic Follow-up Study public-use files",
    "citation": "National Center for Health Statistics, NHEFS (https://wwwn.cdc.gov/nchs/nhanes/nhefs); Hernan MA, "
    "Robins JM 2020, Causal Inference: What If, Chapman & Hall/CRC",
    "licence": "Public domain (US government work); table causaldata: MIT, text in LICENSE-causaldata.txt",
    "script": "python -m dxa_causal.datasets.build.nhefs SOURCE.csv",
    "notes": [
        "All 1629 rows are kept; chapters 12 to 15 of the book use the 1566 with wt82_71 known.",
        "Left out: rownames and id (row numbers), older (age > 50). Added: survtime.",
        "Diagnoses, medication and habits coded 2 are missing, not a third level of severity.",
    ],
}


def build(source: pd.DataFrame) -> pd.DataFrame:
    """Turn the source table into the data set."""
    frame = source.copy()
    died = frame["death"] == 1
    frame["survtime"] = (12 * (frame["yrdth"] - 83) + frame["modth"]).where(died, MONTHS_OF_FOLLOWUP).astype("int64")
    return frame[[c.name for c in COLUMNS]]


def main(path: Path) -> None:
    """Write the data set from the file at `path`."""
    write_dataset(build(pd.read_csv(path)), COLUMNS, ABOUT | {"source_sha256": sha256_file(path)})


if __name__ == "__main__":
    main(*source_arguments(__doc__, "source"))
