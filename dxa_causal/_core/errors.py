"""Every error a user can meet, in one flat file.

All derive from :class:`DxaCausalError`, which is a ``ValueError``: code that
catches the latter keeps working.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DxaCausalError(ValueError):
    """Base of all errors raised by this package for bad input."""


class OptionError(DxaCausalError):
    """An argument has a value that is not among the allowed ones."""


class ColumnNotFoundError(DxaCausalError):
    """A column named by the user is not in the frame."""


class FormulaError(DxaCausalError):
    """A formula cannot be read, or holds something that belongs elsewhere."""


class OutcomeError(DxaCausalError):
    """Times, events or outcome values are not what the model needs."""


class PredictorError(DxaCausalError):
    """A column on the right-hand side (or a weight) cannot be used."""


class CollinearityError(PredictorError):
    """Some columns of the design matrix are linear combinations of others."""


class UnseenLevelError(PredictorError):
    """New data hold a category that was not there when the model was fitted."""


class MissingDataError(DxaCausalError):
    """Values are missing where ``missing="raise"`` forbids it."""


class EmptyDataError(DxaCausalError):
    """No rows are left to analyse."""


class LeakageError(DxaCausalError):
    """Rows held out for validation have taken part in a choice made before."""


class ImputationError(DxaCausalError):
    """Missing values cannot be imputed, or estimates from completed data cannot be pooled."""


class DatasetError(DxaCausalError):
    """A data set that ships with the package was asked for by a wrong name."""


class SummaryStatisticsError(DxaCausalError):
    """GWAS summary statistics lack a column or hold impossible values."""


class ImageError(DxaCausalError):
    """An image or its sidecar cannot be read or is not a forearm scan."""


class UnmeasurableScanError(ImageError):
    """A scan was read but something cannot be measured; `code` is the quality flag that says why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, code)  # both, so that the error survives pickling
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class MeasurementError(DxaCausalError):
    """Measurements cannot be used for quality control: not numbers, too few, or of several devices."""


class ReferenceValueError(DxaCausalError):
    """There are no reference values for a device, site, sex, ancestry or age, or they contradict each other."""


class StudyFileError(DxaCausalError):
    """A ``study.toml`` holds an unknown key or a value that is not allowed."""


class OutputInUseError(DxaCausalError):
    """Another run writes into the same output folder."""


class MissingDependencyError(DxaCausalError, ImportError):
    """An optional package is needed; the message names the extra to install."""


def nearest(name: str, candidates: Iterable[object], n: int = 3) -> list[str]:
    """Names closest to `name`, ignoring case, best first.

    Examples
    --------
    >>> nearest("grip_KG", ["age", "grip_kg", "sex"])
    ['grip_kg']
    """
    by_lower = {str(c).lower(): str(c) for c in candidates}
    return [by_lower[m] for m in difflib.get_close_matches(name.lower(), by_lower, n=n, cutoff=0.5)]


def column_not_found(name: str, columns: Iterable[object], *, argument: str) -> ColumnNotFoundError:
    """Build the error for a column that is not there, with the nearest names.

    Examples
    --------
    >>> print(column_not_found("grib", ["grip", "age"], argument="formula"))
    formula: no column 'grib'; did you mean 'grip'? The frame has 2 columns: 'grip', 'age'
    """
    columns = [str(c) for c in columns]
    near = nearest(name, columns)
    hint = f"; did you mean {' or '.join(repr(c) for c in near)}?" if near else "."
    shown = ", ".join(repr(c) for c in columns[:12]) + (", ..." if len(columns) > 12 else "")
    return ColumnNotFoundError(f"{argument}: no column {name!r}{hint} The frame has {len(columns)} columns: {shown}")


def shown(value: object) -> str:
    """Return a value or row label as a user would type it (no numpy wrappers).

    Examples
    --------
    >>> import numpy as np
    >>> shown(np.int64(3)), shown("a")
    ('3', "'a'")
    """
    return repr(value.item() if hasattr(value, "item") else value)
