"""Survival, causal and Mendelian randomisation analysis for the bone-muscle axis.

Rooms load on first use: ``import dxa_causal as dc`` costs little more than numpy and pandas.

Examples
--------
>>> import dxa_causal as dc
>>> cohort = dc.datasets.load("nhanes_mortality")
>>> fit = dc.survival.cox("Surv(time, died) ~ age + C(sex)", cohort)
>>> [str(term) for term in fit.tidy()["term"]]
['age', 'C(sex)[T.male]']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from dxa_causal._version import __version__

if TYPE_CHECKING:
    from dxa_causal import (
        cohort,
        datasets,
        followup,
        genotypes,
        imaging,
        imputation,
        mr,
        propensity,
        report,
        results,
        runner,
        selection,
        simulate,
        survival,
    )

_ROOMS = (
    "cohort",
    "datasets",
    "followup",
    "genotypes",
    "imaging",
    "imputation",
    "mr",
    "propensity",
    "report",
    "results",
    "runner",
    "selection",
    "simulate",
    "survival",
)
_ROOMS_WITH_KERNELS = ("survival._kernels", "mr._kernels.pair_medians", "genotypes._kernels", "imaging._kernels")

__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"dxa_causal.{name}")
    raise AttributeError(f"module 'dxa_causal' has no attribute {name!r}; rooms: {', '.join(_ROOMS)}")


def __dir__() -> list[str]:
    return sorted(__all__)


def _import_kernels() -> None:
    """Import every module with kernels, so that their warmers register (see _core.jit)."""
    for room in _ROOMS_WITH_KERNELS:
        import_module(f"dxa_causal.{room}")
