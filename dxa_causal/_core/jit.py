"""The one numba decorator, and the command that warms every kernel.

``python -m dxa_causal._core.jit`` compiles all kernels once, so that nobody
waits on the first fit.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from dxa_causal._core.warnings import KernelCacheWarning, warn

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": False, "parallel": False, "error_model": "numpy"}
_WARMERS: list[Callable[[], object]] = []
_said_no_cache = False


def _compile(function: Callable[..., Any]) -> Any:
    global _said_no_cache
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # numba found no writable place for its cache
        if not _said_no_cache:
            _said_no_cache = True
            warn(
                "compiled kernels cannot be stored: neither the package folder nor NUMBA_CACHE_DIR is "
                "writable; each process compiles them anew (seconds). Set NUMBA_CACHE_DIR to a writable folder.",
                KernelCacheWarning,
            )
        return numba.njit(cache=False, **_OPTIONS)(function)


def _is_compiled(dispatcher: Any) -> bool:
    """Whether this process or an earlier one has compiled the kernel."""
    if dispatcher.signatures:
        return True
    folder = dispatcher.stats.cache_path
    return folder is not None and any(Path(folder).glob(f"*{dispatcher.py_func.__qualname__}-*.nbc"))


def inner(function: F) -> F:
    """Compile a function that only other kernels call."""
    compiled: F = _compile(function)
    return compiled


def kernel(function: F) -> F:
    """Compile an entry kernel; the first compilation of an installation is announced.

    Arguments must be C-contiguous float64 or int64 arrays (or scalars): one
    specialisation each.
    """
    dispatcher = _compile(function)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if sys.stderr.isatty() and not _is_compiled(dispatcher):
            sys.stderr.write(f"dxa_causal: compiling {function.__name__}, once per installation\n")
        return dispatcher(*args)

    call.dispatcher = dispatcher  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def warms(function: Callable[[], object]) -> Callable[[], object]:
    """Register a function without arguments that calls each kernel of its module once."""
    _WARMERS.append(function)
    return function


def warm_all() -> None:
    """Import every room with kernels and run each registered warmer."""
    import dxa_causal

    dxa_causal._import_kernels()
    start = time.perf_counter()
    for warmer in _WARMERS:
        warmer()
    sys.stdout.write(f"dxa_causal: {len(_WARMERS)} kernel modules ready in {time.perf_counter() - start:.1f} s\n")


if __name__ == "__main__":
    from dxa_causal._core.jit import warm_all as _warm_all  # the module proper, not this __main__ copy

    _warm_all()
