"""The STROBE-MR checklist, filled with what a run knows."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from dxa_causal._core.errors import OptionError

BLANK = "to be filled in by the authors"

# Item -> part of the paper, and what is to be reported, in our own short words.
ITEMS: dict[str, tuple[str, str]] = {
    "1": ("Title and abstract", "Name Mendelian randomisation as the design"),
    "2": ("Introduction", "Background: why the exposure might be a cause, and why genes help to tell"),
    "3": ("Introduction", "Objectives: causal hypotheses set beforehand; that the answer rests on assumptions"),
    "4a": ("Methods", "Setting, design and sources of the data"),
    "4b": ("Methods", "Participants: who was eligible, how many; power, if computed beforehand"),
    "4c": ("Methods", "Genetic variants: measurement, quality control, selection"),
    "4d": ("Methods", "How exposure, outcome and other variables were assessed"),
    "4e": ("Methods", "Ethics approval and consent"),
    "5": ("Methods", "Assumptions: the three of an instrument, and those of further methods"),
    "6a": ("Methods", "Scale, unit and model of quantitative variables"),
    "6b": ("Methods", "How variants were coded, aligned and weighted"),
    "6c": ("Methods", "Estimators, and the covariates adjusted for in either sample"),
    "6d": ("Methods", "Missing data"),
    "6e": ("Methods", "Multiple testing"),
    "7": ("Methods", "How the assumptions were examined"),
    "8": ("Methods", "Sensitivity and additional analyses"),
    "9a": ("Methods", "Software, versions and settings"),
    "9b": ("Methods", "Registration of the protocol"),
    "10a": ("Results", "Numbers at every stage, and reasons for exclusion"),
    "10b": ("Results", "Summary of exposures, outcomes and other variables"),
    "10c": ("Results", "Heterogeneity between the studies of a meta-analysis"),
    "10d": ("Results", "Two samples: similar populations, and how many people are in both"),
    "11a": ("Results", "Associations of the variants with exposure and outcome"),
    "11b": ("Results", "Estimates with their uncertainty, on a scale that can be read"),
    "11c": ("Results", "Absolute risk, where it helps"),
    "11d": ("Results", "Plots of the results"),
    "12a": ("Results", "Were the assumptions met"),
    "12b": ("Results", "Further statistics, such as heterogeneity between variants"),
    "13a": ("Results", "Sensitivity to violated assumptions"),
    "13b": ("Results", "Further analyses"),
    "13c": ("Results", "Direction of the causal relation"),
    "13d": ("Results", "Comparison with estimates not from genes"),
    "13e": ("Results", "Further plots, such as leave-one-out"),
    "14": ("Discussion", "Key results"),
    "15": ("Discussion", "Limitations: assumptions, bias, imprecision"),
    "16": ("Discussion", "Interpretation: meaning, mechanism, clinical relevance"),
    "17": ("Discussion", "Generalisability to other people, doses and periods"),
    "18": ("Other", "Funding"),
    "19": ("Other", "Where data and code can be had"),
    "20": ("Other", "Conflicts of interest"),
}


def strobe_mr(found: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Make the STROBE-MR checklist.

    Parameters
    ----------
    found : mapping of str to str, optional
        Item ("4a") to what is known of it. Other items are marked as blanks
        for the authors.

    Returns
    -------
    DataFrame
        Columns item, section, topic, found: the 20 items with their parts.

    Notes
    -----
    The wording is a short paraphrase; the authoritative text is the statement
    and its explanation. What a program writes here is a beginning: authors
    check every line.

    References
    ----------
    Skrivankova VW et al. JAMA 2021;326:1614-1621. doi:10.1001/jama.2021.18236

    Examples
    --------
    >>> table = strobe_mr({"9a": "dxa_causal"})
    >>> table.loc[table["item"].isin(["9a", "9b"]), "found"].tolist()
    ['dxa_causal', 'to be filled in by the authors']
    """
    given = dict(found or {})
    unknown = sorted(set(given) - set(ITEMS))
    if unknown:
        raise OptionError(f"found: {unknown} are not items of STROBE-MR; they are {', '.join(ITEMS)}")
    rows = [(item, section, topic, given.get(item) or BLANK) for item, (section, topic) in ITEMS.items()]
    return pd.DataFrame(rows, columns=["item", "section", "topic", "found"])
