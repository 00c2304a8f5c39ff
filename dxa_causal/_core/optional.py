"""Optional packages: found or named, never a bare ImportError."""

from __future__ import annotations

from importlib.util import find_spec

from dxa_causal._core.errors import MissingDependencyError


def require(module: str, *, extra: str) -> None:
    """Raise an error that names the extra if `module` is not installed.

    Call it in the function that needs the package, then import plainly.

    Examples
    --------
    >>> require("numpy", extra="core")
    >>> require("not_a_package", extra="imaging")
    Traceback (most recent call last):
    ...
    dxa_causal._core.errors.MissingDependencyError: this needs the package ...
    """
    if find_spec(module) is None:
        raise MissingDependencyError(
            f'this needs the package {module!r}; install it with: pip install "dxa_causal[{extra}]"'
        )
