"""Columns computed from others, kept true to them in every imputation."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import FormulaError, ImputationError, column_not_found

FloatArray = npt.NDArray[np.float64]

_FUNCTIONS = {"np": np, "abs": np.abs, "exp": np.exp, "log": np.log, "sqrt": np.sqrt}


@dataclass(frozen=True, slots=True)
class Derived:
    """One computed column.

    Attributes
    ----------
    name : str
    text : str
        Expression of other columns, evaluated on arrays.
    sources : tuple of str
        Columns it is made of, those behind other computed columns included.
    """

    name: str
    text: str
    sources: tuple[str, ...]

    def compute(self, columns: Mapping[str, npt.NDArray[np.generic]]) -> FloatArray:
        """Values from those of its sources; a result that is not finite counts as missing."""
        try:
            with np.errstate(all="ignore"):
                found = eval(self.text, {"__builtins__": {}, **_FUNCTIONS}, dict(columns))
            values = np.asarray(found, dtype=np.float64)
        except (TypeError, ValueError, NameError, AttributeError) as error:
            raise FormulaError(f"derived[{self.name!r}]: {self.text!r} cannot be evaluated: {error}") from None
        return values

    def refuse_missing(self, values: FloatArray) -> None:
        """Refuse a value that is not finite though all its sources are known."""
        bad = ~np.isfinite(values)
        if bad.any():
            raise ImputationError(
                f"derived[{self.name!r}]: {self.text!r} is not finite in {int(bad.sum())} rows of a completed frame; a "
                "logarithm of zero or a division by zero? Impute its sources with method 'pmm', which takes observed "
                "values only"
            )


def read_derived(derived: Mapping[str, str] | None, columns: list[str]) -> tuple[Derived, ...]:
    """Check expressions in order; a later one may use an earlier.

    Examples
    --------
    >>> read_derived({"bmi": "weight / height**2"}, ["weight", "height"])[0].sources
    ('weight', 'height')
    """
    read: dict[str, Derived] = {}
    for name, text in (derived or {}).items():
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except SyntaxError:
            raise FormulaError(f"derived[{name!r}]: {text!r} cannot be read; write for instance 'a / b**2'") from None
        words = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id not in _FUNCTIONS]
        sources: dict[str, None] = {}
        for word in words:
            if word == name or (word not in columns and word not in read):
                raise column_not_found(word, [*columns, *read], argument=f"derived[{name!r}]")
            sources |= dict.fromkeys((word, *read[word].sources) if word in read else (word,))
        read[str(name)] = Derived(str(name), text.strip(), tuple(sources))
    return tuple(read.values())
