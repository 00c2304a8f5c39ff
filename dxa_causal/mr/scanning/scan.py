"""Every exposure on every outcome."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OptionError, SummaryStatisticsError
from dxa_causal._core.files import atomic_file
from dxa_causal._core.options import check_option, check_whole_number
from dxa_causal._core.progress import track
from dxa_causal._core.rng import Seed, generator
from dxa_causal.genotypes.alignment import check_tolerance
from dxa_causal.mr._kernels.pair_sums import Rows
from dxa_causal.mr.audit import FATES, REASONS
from dxa_causal.mr.estimates import seed_shown
from dxa_causal.mr.estimators import Method
from dxa_causal.mr.harmonise import Action
from dxa_causal.mr.joining import By
from dxa_causal.mr.scanning.exposures import Exposures, Source, exposures_of, read_source, shared_with
from dxa_causal.mr.scanning.pairs import NO_ESTIMATES, NO_Q, NO_REASONS, Settings, Work, estimates, heterogeneity
from dxa_causal.mr.scanning.result import ScanResult, Sources
from dxa_causal.results import Provenance

USUAL: tuple[Method, ...] = ("wald_ratio", "ivw", "egger", "weighted_median")


def scan(
    exposures: Any,
    outcomes: Mapping[str, Source],
    methods: Method | Sequence[Method] = USUAL,
    *,
    action: Action = 2,
    tolerance: float = 0.08,
    by: By = "auto",
    seed: Seed = None,
    n_draws: int = 1000,
    n_jobs: int = 1,
    cache: str | PathLike[str] | None = None,
    client: Any = None,
    progress: bool = True,
) -> ScanResult:
    """Estimate the effect of every exposure on every outcome.

    Parameters
    ----------
    exposures : frame or mapping
        One frame with a column ``exposure`` (polars or pandas; the other
        columns as :func:`harmonise` takes them), or name -> frame, what
        :func:`read_gwas` returns, or a path. Instruments only: chosen and
        clumped before (:func:`clump`).
    outcomes : mapping of str to frame, GWAS or path
        Paths are read when their turn comes, one at a time.
    methods : str or sequence of str
        As in :func:`estimate`. "wald_ratio", "ivw", "ivw_fe", "ivw_mre" and
        "egger" are computed for all pairs at once, medians in compiled code;
        any other method takes the time that it takes for one pair.
    action, tolerance, by
        As in :func:`harmonise`.
    seed : int, Generator or None
        For bootstraps. The random numbers of a pair hang on the seed and the
        two names alone: not on `n_jobs` nor on which other pairs are scanned.
    n_draws : int
    n_jobs : int
        Threads for the medians; -1 for all processors.
    cache : path, optional
        Folder in which each outcome's estimates are kept as they are made:
        the same call goes on where it was stopped. An outcome counts as the
        same when its name, its file (size and time) or its rows, the
        instruments and all settings are.
    client : distributed.Client, optional
        Spread the outcomes over the workers of a dask cluster; pieces of a
        worker that dies are done again by the others.
    progress : bool
        Draw a bar when standard error is a terminal.

    Returns
    -------
    ScanResult

    Raises
    ------
    SummaryStatisticsError
        An exposure lists a variant twice, or an outcome cannot be read: its
        name is said.

    Notes
    -----
    False discovery rates are over all pairs of a method (Benjamini and
    Hochberg). Estimates equal those of :func:`harmonise` and
    :func:`estimate`; bootstrap standard errors equal them within Monte-Carlo
    error, from other random numbers (Philox 4x32-10, one stream per pair).

    References
    ----------
    Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300. doi:10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> import pandas as pd
    >>> alleles = {"effect_allele": "A", "other_allele": "G", "se": 0.01}
    >>> proteins = pd.DataFrame(
    ...     {"exposure": ["SOST", "SOST", "MSTN"], "variant": ["rs1", "rs2", "rs3"], "beta": [0.1, 0.2, 0.1], **alleles}
    ... )
    >>> bmd = pd.DataFrame({"variant": ["rs1", "rs2", "rs3"], "beta": [-0.05, -0.1, 0.0], **alleles})
    >>> scan(proteins, {"heel BMD": bmd}).tidy()[["exposure", "method", "estimate"]].round(3).values.tolist()
    [['SOST', 'ivw', -0.5], ['MSTN', 'wald_ratio', 0.0]]
    """
    check_option("action", action, Action)
    check_option("by", by, By)
    check_whole_number("n_draws", n_draws, 2)
    check_tolerance(tolerance)
    if not isinstance(outcomes, Mapping) or not outcomes:
        raise OptionError("outcomes must be a mapping of name to frame, GWAS or path, and not empty")
    named: Sequence[Any] = [methods] if isinstance(methods, str) else methods
    asked: tuple[Method, ...] = tuple(dict.fromkeys(named))
    if not asked:
        raise OptionError("methods is empty: name at least one, as 'ivw'")
    if cache is not None and Path(cache).exists() and not Path(cache).is_dir():
        raise OptionError(f"cache={str(cache)!r} is a file; a folder is needed")
    if client is not None and not (hasattr(client, "submit") and hasattr(client, "scatter")):
        raise OptionError(f"client must be a distributed.Client, not {type(client).__name__}")
    for method in asked:
        check_option("methods", method, Method)
    instruments = exposures_of(exposures)
    key = _key(seed)
    settings = Settings(asked, key, n_draws, _threads(n_jobs))
    job = _Job(instruments, settings, action, tolerance, by, None if cache is None else Path(cache))
    found = list(_each(job, outcomes, client, progress))
    call = f"mr.scan(exposures, outcomes, methods={list(asked)!r}, action={action}, seed={seed_shown(seed)!r})"
    kept = sum(int(piece.counts.loc[piece.counts["status"] == "kept", "n_variants"].sum()) for piece in found)
    rows = instruments.table.height * len(outcomes)
    return ScanResult(
        exposures=instruments.names,
        outcomes=tuple(str(name) for name in outcomes),
        found=pd.concat([p.found for p in found], ignore_index=True),
        q=pd.concat([p.q for p in found], ignore_index=True),
        not_applicable=pd.concat([p.reasons for p in found], ignore_index=True),
        counts=pd.concat([p.counts for p in found], ignore_index=True),
        sources=Sources(instruments, {str(name): source for name, source in outcomes.items()}, action, tolerance, by),
        nobs=len(instruments.names) * len(outcomes),
        provenance=Provenance(
            call=call, n_rows=rows, n_used=kept, seed=seed_shown(seed),
            notes=(f"{len(instruments.names)} exposures on {len(outcomes)} outcomes; rows are variants of a pair",),
        ),
    )  # fmt: skip


class _Job(NamedTuple):
    """All that is needed beside the outcome; travels to workers."""

    exposures: Exposures
    settings: Settings
    action: Action
    tolerance: float
    by: By
    cache: Path | None


class _Piece(NamedTuple):
    """What one outcome gives."""

    found: pd.DataFrame
    q: pd.DataFrame
    reasons: pd.DataFrame
    counts: pd.DataFrame


def _key(seed: Seed) -> bytes:
    if seed is None:
        return secrets.token_bytes(16)
    return generator(seed).integers(0, 256, 16, dtype=np.uint8).tobytes()


def _threads(n_jobs: int) -> int:
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or (n_jobs < 1 and n_jobs != -1):
        raise OptionError(f"n_jobs={n_jobs!r} must be a whole number of threads, or -1 for all processors")
    if n_jobs == -1:
        from joblib import cpu_count

        return int(cpu_count())
    return int(n_jobs)


def _each(job: _Job, outcomes: Mapping[str, Source], client: Any, progress: bool) -> Iterator[_Piece]:
    """Pieces in the order of the outcomes."""
    total = len(outcomes)
    if client is None:
        done = (_one(job, str(name), source) for name, source in outcomes.items())
        yield from track(done, total=total, description="outcomes", enabled=progress)
        return
    shared = client.scatter(job, broadcast=True)
    futures = [
        client.submit(_one, shared, str(name), source, retries=3, pure=False) for name, source in outcomes.items()
    ]
    yield from track((f.result() for f in futures), total=total, description="outcomes", enabled=progress)


def _one(job: _Job, name: str, source: Source) -> _Piece:
    """Harmonise and estimate, or take up what an earlier run has kept."""
    stamp = _stamp_of_file(source)
    if stamp is not None and (kept := _kept(job, name, stamp)) is not None:
        return kept
    try:
        outcome = read_source(source)
        shared = shared_with(job.exposures, outcome, action=job.action, tolerance=job.tolerance, by=job.by)
    except SummaryStatisticsError as error:
        raise SummaryStatisticsError(f"outcome {name!r}: {error}") from None
    if stamp is None and job.cache is not None:
        columns = shared.table[["beta_exposure", "se_exposure", "beta_outcome", "se_outcome"]]
        stamp = hashlib.sha256(columns.to_numpy(dtype=np.float64).tobytes() + shared.code.tobytes()).hexdigest()
        if (kept := _kept(job, name, stamp)) is not None:
            return kept
    names = np.array(job.exposures.names, dtype=object)
    present, start = np.unique(shared.code, return_index=True)
    bx, by, sx, sy = (
        shared.table[f"{what}_{side}"].to_numpy(dtype=np.float64)
        for what in ("beta", "se")
        for side in ("exposure", "outcome")
    )
    rows = Rows(bx, by, sx, sy, np.append(start, shared.code.size).astype(np.int64))
    work = Work(rows, [f"{e}\x1f{name}" for e in names[present]], shared.table)
    if present.size:
        found, reasons = estimates(work, job.settings)
        q = heterogeneity(work)
    else:
        found, q, reasons = NO_ESTIMATES, NO_Q, NO_REASONS
    labels = names[present]
    size = rows.size if present.size else np.array([], dtype=np.int64)
    absent, methods = np.setdiff1d(np.arange(names.size), present), job.settings.methods
    without = pd.DataFrame(
        {
            "exposure": np.repeat(names[absent], len(methods)),
            "outcome": name,
            "method": np.tile(np.array(methods, dtype=object), absent.size),
            "reason": "no variant left: see counts",
        }
    )
    piece = _Piece(
        _labelled(found, labels, name, size),
        _labelled(q, labels, name, None),
        pd.concat([_labelled(reasons, labels, name, None), without], ignore_index=True),
        _counts(job.exposures.names, name, shared.fates),
    )
    if stamp is not None:
        _keep(job, name, stamp, piece)
    return piece


def _labelled(
    frame: pd.DataFrame, labels: npt.NDArray[np.object_], outcome: str, size: npt.NDArray[np.int64] | None
) -> pd.DataFrame:
    pair = frame["pair"].to_numpy(dtype=np.int64)
    named = frame.drop(columns="pair")
    named.insert(0, "exposure", labels[pair])
    named.insert(1, "outcome", outcome)
    return named if size is None else named.assign(n_variants=size[pair])


def _counts(exposures: tuple[str, ...], outcome: str, fates: npt.NDArray[np.int64]) -> pd.DataFrame:
    """How many variants of each pair met which fate; fates that nobody met are left out."""
    at, fate = np.nonzero(fates)
    reason = np.array([REASONS[name] for name in FATES], dtype=object)[fate]
    status = np.array([name.split("_")[0] for name in FATES], dtype=object)[fate]
    status[(status != "kept")] = "dropped"
    columns = {
        "exposure": np.array(exposures, dtype=object)[at],
        "outcome": outcome,
        "status": status,
        "reason": reason,
    }
    return pd.DataFrame({**columns, "n_variants": fates[at, fate]})


def _stamp_of_file(source: Source) -> str | None:
    if not isinstance(source, str | PathLike):
        return None
    path = Path(source)
    if not path.is_file():
        return None  # the reader says so
    found = path.stat()
    return f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"


def _folder(job: _Job, name: str, stamp: str) -> Path | None:
    if job.cache is None:
        return None
    e = job.exposures
    numbers = e.table.select("beta", "se").to_numpy().tobytes()
    ids = "\n".join(e.table["variant"].cast(str).fill_null("").to_list())
    said = repr((e.names, e.code.tobytes(), numbers, ids, job.settings._replace(n_jobs=1), *job[2:5], name, stamp))
    return job.cache / hashlib.sha256(said.encode()).hexdigest()[:32]


def _kept(job: _Job, name: str, stamp: str) -> _Piece | None:
    folder = _folder(job, name, stamp)
    if folder is None or not (folder / "counts.parquet").is_file():  # written last
        return None
    try:
        return _Piece(*(pd.read_parquet(folder / f"{part}.parquet") for part in _Piece._fields))
    except (OSError, ValueError):  # damaged (arrow's errors are ValueErrors): done anew
        return None


def _keep(job: _Job, name: str, stamp: str, piece: _Piece) -> None:
    folder = _folder(job, name, stamp)
    if folder is None:
        return
    for part, frame in zip(_Piece._fields, piece, strict=True):
        with atomic_file(folder / f"{part}.parquet") as path:
            frame.to_parquet(path, index=False)
