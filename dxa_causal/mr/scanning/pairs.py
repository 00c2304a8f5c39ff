"""Estimates of many pairs at once: closed forms, medians in compiled code, any other method pair by pair."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal.mr._kernels import pair_sums
from dxa_causal.mr._kernels.median import second_order_weights
from dxa_causal.mr.estimates import estimate
from dxa_causal.mr.estimators import ESTIMATORS, Method
from dxa_causal.mr.harmonised import Harmonised

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
CLOSED: tuple[Method, ...] = ("wald_ratio", "ivw", "ivw_fe", "ivw_mre", "egger")
MEDIANS: tuple[Method, ...] = ("simple_median", "weighted_median", "penalised_weighted_median")
_TYPES = {"pair": "int64", "estimate": float, "std_error": float, "df": float, "p_value": float, "q": float}


def _nothing(*columns: str) -> pd.DataFrame:
    frame = pd.DataFrame(columns=list(columns), dtype=object)
    return frame.astype({name: kind for name, kind in _TYPES.items() if name in columns})


NO_ESTIMATES = _nothing("pair", "method", "term", "estimate", "std_error", "df", "p_value")
NO_Q = _nothing("pair", "method", "q", "df")
NO_REASONS = _nothing("pair", "method", "reason")
_PENALTY = 20.0
_CHUNK = 512  # pairs in one piece of work: bounds what a thread holds and lets an interrupt through


class Settings(NamedTuple):
    """What every piece of work needs to know."""

    methods: tuple[Method, ...]
    key: bytes  # of the random numbers
    n_draws: int
    n_jobs: int


class Work(NamedTuple):
    """Pairs with at least one variant: their rows, names (for random numbers) and the table behind the rows."""

    rows: pair_sums.Rows
    names: list[str]
    table: pd.DataFrame


def pair_key(key: bytes, name: str) -> tuple[int, int]:
    """Two 32-bit words that belong to the pair, whichever others are scanned with it."""
    digest = hashlib.blake2b(name.encode(), key=key, digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def estimates(work: Work, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows pair, method, term, estimate, std_error, df, p_value (where it is not Wald's); and pair, method, reason."""
    size = work.rows.size
    null = np.add.reduceat(work.rows.bx == 0, work.rows.start[:-1])
    found, reasons = [], []
    for method in settings.methods:
        able, why = _able(method, size, null)
        pairs = np.flatnonzero(able)
        reasons.append(pd.DataFrame({"pair": np.flatnonzero(~able), "method": method, "reason": why[~able]}))
        if not pairs.size:
            continue
        if method in CLOSED:
            found.append(_closed(method, work.rows, pairs))
        elif method in MEDIANS:
            found.append(_medians(method, work, pairs, settings))
        else:
            found.append(_any(method, work, pairs, settings))
    return pd.concat(found, ignore_index=True) if found else NO_ESTIMATES, pd.concat(reasons, ignore_index=True)


def heterogeneity(work: Work) -> pd.DataFrame:
    """Rows pair, method (ivw, egger), q, df of pairs with enough variants."""
    parts = []
    for method, least in (("ivw", 2), ("egger", 3)):
        pairs = np.flatnonzero(work.rows.size >= least)
        if pairs.size:
            rows = work.rows.take(pairs)
            q = pair_sums.ivw(rows).q if method == "ivw" else pair_sums.egger(rows).q
            df = rows.size - (1 if method == "ivw" else 2)
            parts.append(pd.DataFrame({"pair": pairs, "method": method, "q": q, "df": df}))
    return pd.concat(parts, ignore_index=True) if parts else NO_Q


def _able(method: Method, size: IntArray, null: IntArray) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.object_]]:
    estimator = ESTIMATORS[method]
    why = np.full(size.size, "", dtype=object)
    few = size < estimator.least
    why[few] = [f"needs at least {estimator.least} variants; there {'is' if n == 1 else 'are'} {n}" for n in size[few]]
    if method == "wald_ratio":
        many = size > 1
        why[many] = [f"the Wald ratio is for one variant; there are {n}" for n in size[many]]
    zero = (null > 0) if estimator.ratio else (null == size)
    zero &= why == ""
    why[zero] = "the effect on the exposure is zero for a variant: no ratio"
    return why == "", why


def _frame(
    method: str, pairs: IntArray, term: str, b: FloatArray, se: FloatArray, df: FloatArray | float
) -> pd.DataFrame:
    columns = {
        "pair": pairs,
        "method": method,
        "term": term,
        "estimate": b,
        "std_error": se,
        "df": df,
        "p_value": np.nan,
    }
    return pd.DataFrame(columns)


def _closed(method: str, rows: pair_sums.Rows, pairs: IntArray) -> pd.DataFrame:
    part = rows.take(pairs)
    if method == "wald_ratio":
        return _frame(method, pairs, "effect", part.by / part.bx, part.sy / np.abs(part.bx), np.nan)
    if method == "egger":
        line, df = pair_sums.egger(part), (part.size - 2).astype(float)
        widen = np.maximum(1.0, np.sqrt(line.q / df))
        return pd.concat(
            [
                _frame(method, pairs, "effect", line.slope, line.slope_std_error * widen, df),
                _frame(method, pairs, "intercept", line.intercept, line.intercept_std_error * widen, df),
            ]
        )
    slope = pair_sums.ivw(part)
    sigma = np.sqrt(slope.q / (part.size - 1))
    widen = {"ivw": np.maximum(1.0, sigma), "ivw_mre": sigma, "ivw_fe": np.ones(sigma.size)}[method]
    return _frame(method, pairs, "effect", slope.estimate, slope.std_error * widen, np.nan)


def _medians(method: Method, work: Work, pairs: IntArray, settings: Settings) -> pd.DataFrame:
    keys = np.array([pair_key(settings.key, f"{work.names[p]}\x1f{method}") for p in pairs], dtype=np.int64)

    def piece(at: IntArray) -> FloatArray:
        from dxa_causal.mr._kernels.pair_medians import medians

        rows = work.rows.take(pairs[at])
        weight = _weights(method, rows)
        return np.asarray(medians(*rows[:4], weight, rows.start, keys[at], settings.n_draws))

    pieces = np.array_split(np.arange(pairs.size), pairs.size // _CHUNK + 1)
    if settings.n_jobs == 1:
        done = [piece(at) for at in pieces]
    else:
        with ThreadPoolExecutor(settings.n_jobs) as pool:  # the kernel lets go of the interpreter's lock
            done = list(pool.map(piece, pieces))
    values = np.concatenate(done)
    return _frame(method, pairs, "effect", values[:, 0], values[:, 1], np.nan)


def _weights(method: str, r: pair_sums.Rows) -> FloatArray:
    if method == "simple_median":
        return np.ones(r.bx.size)
    weight = second_order_weights(r.bx, r.by, r.sx, r.sy)
    if method == "weighted_median":
        return weight
    from scipy.special import chdtrc

    from dxa_causal.mr._kernels.pair_medians import medians

    none = np.zeros((r.size.size, 2), dtype=np.int64)
    centre = np.asarray(medians(*r[:4], weight, r.start, none, 0))[:, 0]
    distant = chdtrc(1, weight * (r.by / r.bx - r.spread(centre)) ** 2)
    return np.asarray(weight * np.minimum(1.0, _PENALTY * distant), dtype=np.float64)


def _harmonised(part: pd.DataFrame) -> Harmonised:
    sizes = {name: part[name].to_numpy() if part[name].notna().all() else None for name in ("n_exposure", "n_outcome")}
    return Harmonised.from_arrays(
        variant=part["variant"], n_exposure=sizes["n_exposure"], n_outcome=sizes["n_outcome"],
        **{name: part[name] for name in ("beta_exposure", "se_exposure", "beta_outcome", "se_outcome")},
    )  # fmt: skip


def _any(method: Method, work: Work, pairs: IntArray, settings: Settings) -> pd.DataFrame:
    """Pair by pair, as `estimate` does."""
    rows, start = [], work.rows.start
    for p in pairs:
        h = _harmonised(work.table.iloc[start[p] : start[p + 1]])
        seed = pair_key(settings.key, f"{work.names[p]}\x1f{method}")
        fit = estimate(h, method, seed=np.random.default_rng(seed), n_draws=settings.n_draws)
        for term, b, se, df, own in zip(fit.term, fit.estimates, fit.std_errors, fit.df, fit.p_values, strict=True):
            rows.append((p, method, term, b, se, df, own))
    return pd.DataFrame(rows, columns=["pair", "method", "term", "estimate", "std_error", "df", "p_value"])
