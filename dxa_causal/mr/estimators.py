"""The estimators by name."""

from __future__ import annotations

from typing import Literal, get_args

from dxa_causal.mr.estimator import Estimator
from dxa_causal.mr.univariable import (
    allele_coding,
    constrained,
    debiased,
    joint,
    lasso,
    likelihood,
    medians,
    mixture,
    modes,
    raps,
    regression,
    robust,
)

# Each method draws from the stream of its place here: new ones are added at the end.
Method = Literal[
    "wald_ratio",
    "ivw",
    "ivw_fe",
    "ivw_mre",
    "egger",
    "simple_median",
    "weighted_median",
    "penalised_weighted_median",
    "uwr",
    "maxlik",
    "egger_bootstrap",
    "grip",
    "simple_mode",
    "weighted_mode",
    "simple_mode_nome",
    "weighted_mode_nome",
    "penalised_mode",
    "sign",
    "ivw_penalised",
    "ivw_robust",
    "ivw_robust_penalised",
    "egger_penalised",
    "egger_robust",
    "egger_robust_penalised",
    "raps",
    "conmix",
    "lasso",
    "hetpen",
    "divw",
    "adivw",
    "pivw",
    "cml_ma",
    "cml_bic",
    "cml_ma_dp",
    "clr",
    "ar",
    "k",
    "pc_gmm",
]
METHODS: tuple[Method, ...] = get_args(Method)
USUAL: tuple[Method, ...] = METHODS[:8]  # asked for when none is named

ESTIMATORS: dict[str, Estimator] = {
    name: estimator
    for family in (
        regression, medians, likelihood, allele_coding, modes, robust, raps, mixture, lasso, debiased, constrained,
        joint,
    )
    for name, estimator in family.FAMILY.items()
}  # fmt: skip
LABELS: dict[str, str] = {name: estimator.label for name, estimator in ESTIMATORS.items()}
