"""An ageing cohort whose disease begins between visits, and in which people die in between."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError
from dxa_causal._core.options import check_whole_number
from dxa_causal._core.rng import Seed, generator

FloatArray = npt.NDArray[np.float64]

LOG_HAZARD_RATIOS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "healthy -> ill": MappingProxyType({"male": 0.2, "grip_z": -0.5, "bmd_z": -0.3}),
        "healthy -> dead": MappingProxyType({"male": 0.5, "grip_z": -0.2, "bmd_z": 0.0}),
        "ill -> dead": MappingProxyType({"male": 0.3, "grip_z": -0.1, "bmd_z": 0.0}),
    }
)
# cumulative hazard (age / scale)^shape at covariates of zero
WEIBULL: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"healthy -> ill": (9.0, 89.0), "healthy -> dead": (8.0, 95.0), "ill -> dead": (6.0, 85.0)}
)
ENTRY = (65.0, 80.0)  # ages at the first visit
MOST_VISITS = 40


def illness_death_cohort(
    n: int,
    *,
    seed: Seed = None,
    years: float = 15.0,
    visit_gap: float = 2.5,
    drop_out: float = 0.03,
    effects: Mapping[str, Mapping[str, float]] | None = None,
) -> pd.DataFrame:
    r"""Simulate onset of sarcopenia and death in an ageing cohort seen at irregular visits.

    Parameters
    ----------
    n : int
        People, all free of sarcopenia at their first visit.
    seed : int or Generator, optional
    years : float
        Between the first visit and the end of the study.
    visit_gap : float
        Years between visits, on average.
    drop_out : float
        Rate per year at which people stop coming; their death is still known.
    effects : mapping of transition to mapping of covariate to float, optional
        Log hazard ratios of male, grip_z and bmd_z on "healthy -> ill",
        "healthy -> dead" and "ill -> dead" in place of those in ``attrs``;
        what is not named is zero.

    Returns
    -------
    DataFrame
        One row per person: id, age_entry, last_free_age and first_seen_age
        (ages at the visits between which sarcopenia began; infinite if it was
        never seen), age_end, died (0/1), sex, grip_z, bmd_z (standardised), and
        the truth that no study knows: true_onset_age (infinite if death came
        first) and true_state_at_end ("healthy" or "ill"). ``attrs`` holds
        ``log_hazard_ratio`` and ``weibull`` (shape and scale) by transition.

    Notes
    -----
    The cumulative hazard of a transition at age a is :math:`(a /
    \mathrm{scale})^{\mathrm{shape}} e^{x'\beta}`; people are sampled among
    those healthy and alive at entry. After onset death follows its own hazard
    from that age on. Gaps between visits are uniform within half of their
    mean, and each visit after the first is missed with probability 0.1.

    Examples
    --------
    >>> import dxa_causal as dc
    >>> people = dc.simulate.illness_death_cohort(200, seed=1)
    >>> people.attrs["log_hazard_ratio"]["healthy -> ill"]["grip_z"]
    -0.5
    """
    check_whole_number("n", n, 1)
    for name, value in (("years", years), ("visit_gap", visit_gap)):
        if not value > 0:
            raise OptionError(f"{name}={value!r} must be positive")
    if not drop_out >= 0:
        raise OptionError(f"drop_out={drop_out!r} must not be negative")
    beta = _effects(effects)
    rng = generator(seed)
    male = (rng.random(n) < 0.45).astype(np.float64)
    x = {"male": male, "grip_z": rng.normal(size=n), "bmd_z": rng.normal(size=n)}
    entry = rng.uniform(*ENTRY, n)
    risk = {k: np.exp(sum(b * x[name] for name, b in beta[k].items()) + np.zeros(n)) for k in WEIBULL}
    onset = _after(rng, entry, risk["healthy -> ill"], WEIBULL["healthy -> ill"])
    death_healthy = _after(rng, entry, risk["healthy -> dead"], WEIBULL["healthy -> dead"])
    death_ill = _after(rng, onset, risk["ill -> dead"], WEIBULL["ill -> dead"])
    falls_ill = onset < death_healthy
    death = np.where(falls_ill, death_ill, death_healthy)
    onset = np.where(falls_ill, onset, np.inf)
    end = np.minimum(death, entry + years)

    gaps = rng.uniform(0.5 * visit_gap, 1.5 * visit_gap, (n, MOST_VISITS))
    visit = entry[:, None] + np.concatenate([np.zeros((n, 1)), gaps.cumsum(axis=1)], axis=1)
    lost = np.full(n, np.inf) if drop_out == 0 else entry + rng.exponential(1 / drop_out, n)
    seen = (visit < np.minimum(end, lost)[:, None]) & (rng.random(visit.shape) < 0.9)
    seen[:, 0] = True
    ill = visit > onset[:, None]
    frame = pd.DataFrame(
        {
            "id": np.arange(1, n + 1),
            "age_entry": entry,
            "last_free_age": np.where(seen & ~ill, visit, -np.inf).max(axis=1),
            "first_seen_age": np.where(seen & ill, visit, np.inf).min(axis=1),
            "age_end": end,
            "died": (death <= entry + years).astype(np.int64),
            "sex": pd.Categorical(np.where(male == 1, "male", "female"), categories=["female", "male"]),
            "grip_z": x["grip_z"],
            "bmd_z": x["bmd_z"],
            "true_onset_age": onset,
            "true_state_at_end": np.where(onset <= end, "ill", "healthy"),
        }
    )
    frame.attrs = {"log_hazard_ratio": {k: dict(v) for k, v in beta.items()}, "weibull": dict(WEIBULL)}
    return frame


def _effects(given: Mapping[str, Mapping[str, float]] | None) -> dict[str, dict[str, float]]:
    beta = {k: dict(v) for k, v in LOG_HAZARD_RATIOS.items()}
    if given is None:
        return beta
    for transition, effects in given.items():
        if transition not in beta:
            raise OptionError(f"effects: no transition {transition!r}; there are {', '.join(map(repr, beta))}")
        for name in effects:
            if name not in beta[transition]:
                raise OptionError(f"effects: no covariate {name!r}; there are male, grip_z and bmd_z")
    return {k: {name: float(given.get(k, {}).get(name, 0.0)) for name in v} for k, v in beta.items()}


def _after(rng: np.random.Generator, begin: FloatArray, risk: FloatArray, weibull: tuple[float, float]) -> FloatArray:
    """Times of events that have not happened at `begin`."""
    shape, scale = weibull
    passed = (begin / scale) ** shape
    return np.asarray(scale * (passed + rng.exponential(size=begin.size) / risk) ** (1 / shape))
