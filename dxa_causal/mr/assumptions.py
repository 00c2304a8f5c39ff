"""What each estimator assumes about the variants, and what it pays for that, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dxa_causal._core.options import check_option
from dxa_causal.mr.estimators import LABELS, METHODS, Method

# What makes a variant an instrument.
CORE: dict[str, str] = {
    "relevance": "the variant is associated with the exposure",
    "independence": "nothing causes both the variant and the outcome (ancestry, family, assortative mating)",
    "exclusion restriction": "the variant acts on the outcome through the exposure and in no other way",
}

_ALL = "Every variant is a valid instrument"
_BALANCED = "Direct effects of the variants on the outcome average to zero and do not go with their strength (InSIDE)"
_INSIDE = "Direct effects may point one way, but do not go with the strength of the variants (InSIDE)"
_HALF = "At least half of the variants are valid"
_HALF_WEIGHT = "Variants with at least half of the weight are valid"
_PLURAL = "More variants agree on the true effect than on any other value (plurality, ZEMPA)"
_FEW = "Most variants are valid, a few may be outliers"
_STRONG = "no error in the effects on the exposure (NOME)"

_PRECISE = "The most precise when it holds"
_WIDER = "Less precise than IVW"
_WIDE = "Much less precise than IVW; needs variants of different strength"

_WORDS: dict[Method, tuple[str, str]] = {
    "wald_ratio": ("The one variant is a valid instrument", "As precise as that variant; nothing can be checked"),
    "ivw": (f"{_BALANCED}; {_STRONG}", f"{_PRECISE}; standard error widened when variants disagree"),
    "ivw_fe": (f"{_ALL} and all see one and the same effect; {_STRONG}", "Too precise when variants disagree"),
    "ivw_mre": (f"{_BALANCED}; {_STRONG}", f"{_PRECISE}; too precise when variants agree better than chance"),
    "egger": (f"{_INSIDE}; {_STRONG}", _WIDE),
    "simple_median": (_HALF, _WIDER),
    "weighted_median": (_HALF_WEIGHT, f"{_WIDER}, mostly not by much"),
    "penalised_weighted_median": (f"{_HALF_WEIGHT}, those far from the median counted less", _WIDER),
    "uwr": (f"{_ALL}, or direct effects average to zero; every variant counts the same", _WIDER),
    "maxlik": (f"{_ALL} and all see one and the same effect", "Allows for error in the effects on the exposure"),
    "egger_bootstrap": (_INSIDE, _WIDE),
    "grip": (f"{_INSIDE}; does not depend on which allele is counted", _WIDE),
    "simple_mode": (_PLURAL, "Imprecise; depends on the bandwidth"),
    "weighted_mode": (f"{_PLURAL}, by weight", "Imprecise; depends on the bandwidth"),
    "simple_mode_nome": (f"{_PLURAL}; {_STRONG}", "Imprecise; depends on the bandwidth"),
    "weighted_mode_nome": (f"{_PLURAL}, by weight; {_STRONG}", "Imprecise; depends on the bandwidth"),
    "penalised_mode": (f"{_PLURAL}, those far from the mode counted less", "Imprecise; depends on the bandwidth"),
    "sign": ("Direct effects are as often positive as negative", "Tells the direction only; little power"),
    "ivw_penalised": (f"{_FEW}, found by their share of Cochran's Q", _WIDER),
    "ivw_robust": (f"{_FEW}, found as outliers of the regression", _WIDER),
    "ivw_robust_penalised": (f"{_FEW}, found as outliers or by their share of Cochran's Q", _WIDER),
    "egger_penalised": (f"{_INSIDE}, a few outliers apart", _WIDE),
    "egger_robust": (f"{_INSIDE}, a few outliers apart", _WIDE),
    "egger_robust_penalised": (f"{_INSIDE}, a few outliers apart", _WIDE),
    "raps": (
        "Direct effects are normal around zero and do not go with strength, a few outliers apart",
        "Uses weak variants without bias; about as precise as IVW",
    ),
    "conmix": (f"{_PLURAL}, by likelihood", "Nearly as precise as IVW; limits may be several pieces"),
    "lasso": (f"{_FEW}, found by a penalty on direct effects", "Limits do not allow for the choice of variants"),
    "hetpen": (f"{_PLURAL}, by likelihood", "Limits may be several pieces"),
    "divw": (_BALANCED, "Not biased by weak variants; imprecise when they are very weak"),
    "adivw": (_BALANCED, "Not biased by weak variants; leaves the weakest out"),
    "pivw": (_BALANCED, "Not biased by weak variants; steadier than dIVW when they are very weak"),
    "cml_ma": (f"{_PLURAL}; averaged over how many are invalid", "Limits allow only in part for the choice"),
    "cml_bic": (f"{_PLURAL}; the number of invalid ones by BIC", "Limits do not allow for the choice of variants"),
    "cml_ma_dp": (f"{_PLURAL}; averaged, with perturbed data", "Limits allow for the choice; wider"),
}


def assumptions(methods: Sequence[Method] | Method | None = None) -> pd.DataFrame:
    """Say in words what estimators assume.

    Parameters
    ----------
    methods : sequence of str or str, optional
        All methods when omitted.

    Returns
    -------
    DataFrame
        One row per method: method, name, assumes (in addition to relevance and
        independence), power (what that costs).

    Examples
    --------
    >>> assumptions(["weighted_median"])["assumes"].tolist()
    ['Variants with at least half of the weight are valid']
    """
    asked = METHODS if methods is None else [methods] if isinstance(methods, str) else list(methods)
    for method in asked:
        check_option("methods", method, Method)
    return pd.DataFrame(
        [(m, LABELS.get(m, m.replace("_", " ")), *_WORDS[m]) for m in asked],
        columns=["method", "name", "assumes", "power"],
    )
