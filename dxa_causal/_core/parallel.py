"""Work spread over processes or threads with joblib, results in the order of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

import numpy as np

from dxa_causal._core.errors import OptionError
from dxa_causal._core.progress import track

A = TypeVar("A")
R = TypeVar("R")


def parallel_map(
    function: Callable[[A], R],
    items: Iterable[A],
    *,
    n_jobs: int | None = None,
    progress: bool = False,
    description: str = "working",
) -> Iterator[R]:
    """Yield ``function(item)`` for each item, in order, as results arrive.

    Parameters
    ----------
    function : callable
        Must be picklable for process backends.
    items : iterable with a length
    n_jobs : int or None
        None is one job, or what ``joblib.parallel_config`` says.
    progress : bool
        Draw a progress bar when standard error is a terminal.
    description : str
        Text beside the bar.
    """
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs == 0):
        raise OptionError(f"n_jobs={n_jobs!r} must be a whole number: so many processes, or -1 for all processors")
    items = items if isinstance(items, Sized) else list(items)
    total = len(items)
    if n_jobs in (None, 1):
        from joblib.parallel import get_active_backend

        _, configured = get_active_backend()
        if n_jobs == 1 or configured in (None, 1):
            yield from track((function(i) for i in items), total=total, description=description, enabled=progress)
            return
    from joblib import Parallel, cpu_count, delayed

    if n_jobs is not None and n_jobs > 1:  # more workers than pieces of work or processors only cost their start
        n_jobs = max(1, min(n_jobs, total, cpu_count()))
    results = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(i) for i in items)
    yield from track(results, total=total, description=description, enabled=progress)
