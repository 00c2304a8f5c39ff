"""Where a number comes from: the call, the versions, the rows left out and why."""

from __future__ import annotations

import copyreg
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from types import MappingProxyType
from typing import Any

# read-only mappings stand in many results, which are to be saved, copied and sent to other processes
copyreg.pickle(MappingProxyType, lambda view: (_read_only, (dict(view),)))


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


@cache
def versions() -> Mapping[str, str]:
    """Versions of Python, this package and what its numbers rest on."""
    found = {"python": platform.python_version()}
    for name in ("dxa_causal", "numpy", "scipy", "pandas", "numba", "formulaic"):
        found[name] = metadata.version(name)
    return MappingProxyType(found)


@dataclass(frozen=True, eq=False, slots=True)
class Provenance:
    """What was asked, on how many rows, and what was left out.

    Attributes
    ----------
    call : str
        The call, as it could be typed again.
    n_rows : int
        Rows of the frame that was given.
    n_used : int
        Rows analysed.
    missing : mapping of str to int
        Missing values per column used; a row may count in several columns.
    seed : int or None
        Seed of random work, None when there was none.
    versions : mapping of str to str
    notes : tuple of str
        Anything else a reader should know (rows with weight zero, times merged ...).
    """

    call: str
    n_rows: int
    n_used: int
    missing: Mapping[str, int] = field(default_factory=dict)
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=versions)
    notes: tuple[str, ...] = ()

    @property
    def n_dropped(self) -> int:
        """Rows left out."""
        return self.n_rows - self.n_used

    def describe(self) -> str:
        """One or two lines of text for a summary."""
        lines = [f"{self.n_used} of {self.n_rows} rows used"]
        if self.n_dropped:
            counts = ", ".join(f"{column} {n}" for column, n in self.missing.items() if n)
            lines[0] += f"; {self.n_dropped} dropped for missing values ({counts})" if counts else ""
        lines += list(self.notes)
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return {
            "call": self.call,
            "n_rows": self.n_rows,
            "n_used": self.n_used,
            "n_dropped": self.n_dropped,
            "missing": dict(self.missing),
            "seed": self.seed,
            "versions": dict(self.versions),
            "notes": list(self.notes),
        }


def format_call(function: str, *positional: object, **options: object) -> str:
    """Write a call as text: strings quoted, frames named ``data``, None left out.

    Parameters
    ----------
    function : str
        Room and name.
    positional : object
        Arguments before the frame.
    options : object
        Keyword arguments.

    Examples
    --------
    >>> format_call("survival.cox", "Surv(time, died) ~ age", ties="efron", strata=None)
    "survival.cox('Surv(time, died) ~ age', data, ties='efron')"
    """
    parts = [repr(p) for p in positional] + ["data"]
    parts += [f"{k}={_short(v)}" for k, v in options.items() if v is not None]
    return f"{function}({', '.join(parts)})"


def _short(value: object) -> str:
    if isinstance(value, str | int | float | bool | tuple | list):
        return repr(value)
    return f"<{type(value).__name__}>"
