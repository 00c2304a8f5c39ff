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
_HALF = "More than half of the variants are valid"
_HALF_WEIGHT = "Variants with more than half of the weight are valid"
_PLURAL = "More variants agree on the true effect than on any other value (plurality, ZEMPA)"
_FEW = "Most variants are valid, a few may be outliers"
_STRONG = "no error in the effects on the exposure (NOME)"

_VICE = "Direct effects may point one way, but are the smaller the stronger the variant (VICE)"

_PRECISE = "The most precise when every variant is valid"
_WIDER = "Less precise than IVW"
_WIDE = "Much less precise than IVW; needs variants of different strength"
_BANDWIDTH = "Less precise than IVW and medians; depends on the bandwidth"
_SEPARATE = "Not biased by weak variants if the two samples do not overlap"

_WORDS: dict[Method, tuple[str, str]] = {
    "wald_ratio": ("The one variant is a valid instrument", "As precise as that variant; nothing can be checked"),
    "ivw": (f"{_BALANCED}; {_STRONG}", f"{_PRECISE}; standard error widened when variants disagree"),
    "ivw_fe": (f"{_ALL} and all see one and the same effect; {_STRONG}", "Too precise when variants disagree"),
    "ivw_mre": (f"{_BALANCED}; {_STRONG}", f"{_PRECISE}; too precise when variants agree better than chance"),
    "egger": (f"{_INSIDE}; {_STRONG}", _WIDE),
    "simple_median": (_HALF, _WIDER),
    "weighted_median": (_HALF_WEIGHT, f"{_WIDER}, mostly not by much"),
    "penalised_weighted_median": (f"{_HALF_WEIGHT}, those far from the median counted less", _WIDER),
    "uwr": (
        f"{_BALANCED}; every variant counts the same; {_STRONG}",
        "TwoSampleMR's standard error, kept for comparison, is many times too large; plain_std_error is beside it",
    ),
    "maxlik": (f"{_ALL} and all see one and the same effect", "Allows for error in the effects on the exposure"),
    "egger_bootstrap": (_INSIDE, _WIDE),
    "grip": (f"{_VICE}; does not depend on which allele is counted", f"{_WIDER}; needs variants of different strength"),
    "simple_mode": (_PLURAL, _BANDWIDTH),
    "weighted_mode": (f"{_PLURAL}, by weight", _BANDWIDTH),
    "simple_mode_nome": (f"{_PLURAL}; {_STRONG}", _BANDWIDTH),
    "weighted_mode_nome": (f"{_PLURAL}, by weight; {_STRONG}", _BANDWIDTH),
    "penalised_mode": (f"{_PLURAL}, those far from the mode counted less", _BANDWIDTH),
    "sign": ("Direct effects are as often positive as negative", "Tells the direction only; little power"),
    "ivw_penalised": (f"{_FEW}, found by their share of Cochran's Q", _WIDER),
    "ivw_robust": (f"{_FEW}, found as outliers of the regression", _WIDER),
    "ivw_robust_penalised": (f"{_FEW}, found as outliers or by their share of Cochran's Q", _WIDER),
    "egger_penalised": (f"{_INSIDE}, a few outliers apart; {_STRONG}", _WIDE),
    "egger_robust": (f"{_INSIDE}, a few outliers apart; {_STRONG}", _WIDE),
    "egger_robust_penalised": (f"{_INSIDE}, a few outliers apart; {_STRONG}", _WIDE),
    "raps": (
        "Direct effects are normal around zero and do not go with strength, a few outliers apart",
        f"{_SEPARATE}; about as precise as IVW",
    ),
    "conmix": (
        f"{_PLURAL}, by likelihood; what the invalid ones would give is normal around zero",
        "Limits may be several pieces, and too narrow when valid and invalid variants are hard to tell apart",
    ),
    "lasso": (f"{_FEW}, found by a penalty on direct effects", "Limits do not allow for the choice of variants"),
    "hetpen": (f"{_PLURAL}, by weight", "Limits may be several pieces; few variants only, as it takes all subsets"),
    "divw": (_BALANCED, f"{_SEPARATE}; imprecise when they are very weak"),
    "adivw": (_BALANCED, "Leaves the weakest variants out; chosen in the same sample, the others look too strong"),
    "pivw": (_BALANCED, f"{_SEPARATE}; steadier than dIVW when they are very weak"),
    "cml_ma": (f"{_PLURAL}; averaged over how many are invalid", "Limits allow only in part for the choice"),
    "cml_bic": (f"{_PLURAL}; the number of invalid ones by BIC", "Limits do not allow for the choice of variants"),
    "cml_ma_dp": (f"{_PLURAL}; averaged, with perturbed data", "Limits allow for the choice; wider"),
    "clr": (_ALL, "Limits hold however weak the variants; may be infinite. Too narrow if any variant is invalid"),
    "ar": (_ALL, "Limits hold however weak the variants; less precise than clr, empty where the variants disagree"),
    "k": (_ALL, "Limits hold however weak the variants; may hold a second piece far off"),
    "pc_gmm": (_BALANCED, "For variants in linkage disequilibrium in one region, where pleiotropy is shared"),
}


def assumptions(methods: Sequence[Method] | Method | None = None) -> pd.DataFrame:
    """Say in words what estimators assume.

    All are drawn to zero by weak variants from separate samples, and to the
    confounded association by weak variants from one sample; "maxlik", "raps",
    "divw", "adivw", "pivw" and the "cml" methods allow for the former.

    Parameters
    ----------
    methods : sequence of str or str, optional
        All methods when omitted.

    Returns
    -------
    DataFrame
        One row per method: method, name, assumes (in addition to relevance and
        independence), power (what that costs).

    References
    ----------
    VICE: Dudbridge F et al. PLoS Genet 2025:e1011967. doi:10.1371/journal.pgen.1011967

    Examples
    --------
    >>> assumptions(["weighted_median"])["assumes"].tolist()
    ['Variants with more than half of the weight are valid']
    """
    asked = METHODS if methods is None else [methods] if isinstance(methods, str) else list(methods)
    for method in asked:
        check_option("methods", method, Method)
    return pd.DataFrame(
        [(m, LABELS.get(m, m.replace("_", " ")), *_WORDS[m]) for m in asked],
        columns=["method", "name", "assumes", "power"],
    )
