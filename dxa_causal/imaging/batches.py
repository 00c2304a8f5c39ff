"""Harmonise features of several devices or sites by ComBat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import (
    CollinearityError,
    MeasurementError,
    MissingDataError,
    UnseenLevelError,
    shown,
)
from dxa_causal._core.options import check_option
from dxa_causal._design.matrix import to_pandas
from dxa_causal._numerics.combat import CombatFit, apply_combat, fit_combat
from dxa_causal.imaging.columns import name_list, read_numbers, read_table
from dxa_causal.results import Provenance, Result
from dxa_causal.results.provenance import format_call

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Prior = Literal["parametric", "nonparametric", "none"]

# Beyond this association a covariate says so much of the batch that their effects cannot be told apart.
LARGEST_ASSOCIATION = 0.8
FEW_FEATURES = 10


@dataclass(frozen=True, slots=True)
class ProtectedCovariate:
    """How a covariate enters the design: its number, or a column per level but the first."""

    name: str
    levels: tuple[Any, ...] | None

    def columns(self, table: pd.DataFrame) -> FloatArray:
        """(n, q) columns of the design."""
        if self.levels is None:
            values = read_numbers(table[self.name], f"column {self.name!r}")
            return values[:, None]
        known = table[self.name].isin(self.levels)
        if not known.all():
            row = int(np.flatnonzero(~known)[0])
            raise UnseenLevelError(
                f"column {self.name!r} holds {shown(table[self.name].iloc[row])} in row {shown(table.index[row])}; "
                f"known when ComBat was fitted: {', '.join(map(shown, self.levels))}"
            )
        return np.column_stack([table[self.name] == level for level in self.levels[1:]]).astype(np.float64)


@dataclass(frozen=True, eq=False, repr=False)
class Harmonisation(Result):
    """Shifts and scales of batches, to be taken from the same batches' rows, old or new.

    Attributes
    ----------
    features, batches : tuple of str
    fit : CombatFit
        Estimates; see there.
    frame : DataFrame
        The frame given, features harmonised.
    prior : {"parametric", "nonparametric", "none"}
    mean_only : bool
    batch_column : str
    covariates : tuple of ProtectedCovariate
    nobs : int
    """

    title: ClassVar[str] = "Features harmonised over batches (ComBat)"

    features: tuple[str, ...]
    batches: tuple[str, ...]
    fit: CombatFit
    frame: pd.DataFrame
    prior: Prior
    mean_only: bool
    batch_column: str
    covariates: tuple[ProtectedCovariate, ...]
    nobs: int
    provenance: Provenance
    estimand: str = "shift and scale of each batch"

    def apply(self, frame: Any) -> pd.DataFrame:
        """Remove the batches' effects as they were estimated from new rows of the same batches.

        Parameters
        ----------
        frame : pandas or polars frame
            With the features, the batch and the covariates.

        Returns
        -------
        DataFrame
            A copy with the features harmonised.

        Raises
        ------
        UnseenLevelError
            A batch that was not there: its effects are not known.
        """
        return self._moved(_whole(frame, self.features, self.batch_column, [c.name for c in self.covariates]), frame)

    def _moved(self, table: pd.DataFrame, frame: Any) -> pd.DataFrame:
        label = table[self.batch_column].astype(str)
        unknown = np.flatnonzero(~label.isin(self.batches))
        if unknown.size:
            raise UnseenLevelError(
                f"batch={self.batch_column!r} holds {shown(label.iloc[unknown[0]])} in row "
                f"{shown(table.index[unknown[0]])}; known when ComBat was fitted: {', '.join(map(repr, self.batches))}"
            )
        codes = pd.Index(self.batches).get_indexer(pd.Index(label)).astype(np.int64)
        values = table[list(self.features)].to_numpy(dtype=np.float64)
        moved = apply_combat(self.fit, values, codes, _design(table, self.covariates))
        new = pd.DataFrame(moved, columns=list(self.features), index=table.index)
        return to_pandas(frame).assign(**{str(name): new[name] for name in self.features})

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """Two rows per batch (group) and feature (term).

        metric "shift" is what is subtracted, in the feature's unit; "scale" the factor by which the
        batch spreads more than all. There are no limits, and `exponentiate` has no effect.
        """
        shape = (len(self.batches), len(self.features))
        table = pd.DataFrame(
            {
                "group": np.repeat(self.batches, shape[1]),
                "term": np.tile(self.features, shape[0]),
                "shift": (self.fit.shift * self.fit.scale).ravel(),
                "scale": np.sqrt(self.fit.variance).ravel(),
            }
        )
        return table.melt(["group", "term"], var_name="metric", value_name="estimate")

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_groups (batches), n_features, method (prior), reference (batch), converged."""
        reference = self.batches[self.fit.reference] if self.fit.reference >= 0 else ""
        counts = {"nobs": [self.nobs], "n_groups": [len(self.batches)], "n_features": [len(self.features)]}
        return pd.DataFrame(
            {**counts, "method": [self.prior], "reference": [reference], "converged": [self.fit.converged]}
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Shifts of the batches in residual standard deviations."""
        from dxa_causal.plots.densitometry import estimates_by_group

        table = self.tidy().query("metric == 'shift'")
        shown_as = table.assign(estimate=self.fit.shift.ravel())
        return estimates_by_group(shown_as, label="Shift removed (residual SD)", ax=ax)


def combat(
    frame: Any,
    features: Sequence[str] | str,
    batch: str,
    *,
    covariates: Sequence[str] | str | None = None,
    prior: Prior = "parametric",
    mean_only: bool = False,
    reference: Any = None,
) -> Harmonisation:
    """Remove differences in level and spread between batches (devices, sites) from features.

    Parameters
    ----------
    frame : pandas or polars frame
        One row per person (or scan), without missing values in the columns used.
    features : sequence of str
        Columns of numbers, the more the better: empirical Bayes learns the batches' effects
        from all of them.
    batch : str
        Column.
    covariates : sequence of str, optional
        Columns whose effects are kept: numbers as they are, others by level. Name what differs
        between the batches' people (age, sex) and is known for new rows. Never name the
        outcome where the features are to predict it: it would be written into them.
    prior : {"parametric", "nonparametric", "none"}
        Normal and inverse gamma priors, the other features themselves as prior, or no
        empirical Bayes: each feature by itself.
    mean_only : bool
        Leave the spread as it is; allows batches of one row.
    reference : optional
        Batch that stays as it is, the others being brought to it.

    Returns
    -------
    Harmonisation
        ``.frame`` is the harmonised frame, ``.apply(new)`` harmonises new rows of the same batches.

    Raises
    ------
    MeasurementError
        One batch only, a batch with one row, a feature without variation within a batch, one feature
        with an empirical prior.
    CollinearityError
        A covariate is confounded with the batch: collinear, or associated by more than 0.8
        (Cramér's V, or the correlation ratio of a number).
    MissingDataError
        Values are missing.

    Notes
    -----
    The model and its estimates are in :func:`dxa_causal._numerics.combat.fit_combat`. Results equal those of the
    published Python and R programs neuroCombat to 1e-12.

    References
    ----------
    Johnson WE, Li C, Rabinovic A. Biostatistics 2007;8:118-127. doi:10.1093/biostatistics/kxj037
    Fortin JP et al. Neuroimage 2018;167:104-120. doi:10.1016/j.neuroimage.2017.11.024

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame(rng.standard_normal((40, 6)), columns=list("abcdef")).assign(site=["x", "y"] * 20)
    >>> table.loc[table["site"] == "y", list("abcdef")] += 2
    >>> found = combat(table, list("abcdef"), "site")
    >>> means = found.frame.groupby("site")[["a", "b"]].mean()
    >>> bool((means.loc["y"] - means.loc["x"]).abs().max() < 0.2)
    True
    """
    check_option("prior", prior, Prior)
    names = list(dict.fromkeys(name_list(features, "features")))
    protected = (
        [] if covariates is None or len(covariates) == 0 else list(dict.fromkeys(name_list(covariates, "covariates")))
    )
    table = _whole(frame, names, batch, protected)
    label = table[batch].astype(str)
    batches = tuple(str(b) for b in _sorted_levels(table[batch]))
    if reference is not None:
        check_option("reference", str(reference), batches)
    codes = pd.Index(batches).get_indexer(pd.Index(label)).astype(np.int64)
    values = table[names].to_numpy(dtype=np.float64)
    kept = tuple(_covariate(table, name) for name in protected)
    design = _design(table, kept)
    _check_batches(values, codes, batches, names, mean_only=mean_only, prior=prior)
    _check_confounding(table, codes, batch, kept, design)
    place = -1 if reference is None else batches.index(str(reference))
    _check_variation(values, codes, design, names, place)
    fit = fit_combat(
        values,
        codes,
        design,
        parametric=prior == "parametric",
        mean_only=mean_only,
        empirical_bayes=prior != "none",
        reference=place,
    )
    notes = []
    if prior != "none" and len(names) < FEW_FEATURES:
        notes.append(f"the prior of the batches' effects rests on {len(names)} features")
    if not fit.converged:
        notes.append("empirical Bayes did not converge; prior='none' takes each feature by itself")
    bare = Harmonisation(
        features=tuple(names), batches=batches, fit=fit, frame=table, prior=prior, mean_only=mean_only,
        batch_column=batch, covariates=kept, nobs=len(table),
        provenance=Provenance(
            call=format_call(
                "imaging.combat", features=names, batch=batch, covariates=protected or None, prior=prior,
                mean_only=mean_only, reference=None if reference is None else str(reference),
            ),
            n_rows=len(table), n_used=len(table), notes=tuple(notes),
        ),
    )  # fmt: skip
    return replace(bare, frame=bare._moved(table, frame))


def _whole(frame: Any, features: Sequence[str], batch: str, covariates: Sequence[str]) -> pd.DataFrame:
    """The columns used, none with a missing value."""
    labels = {"batch": batch, **{f"covariates, {name}": name for name in covariates}}
    table = read_table(frame, labels, list(features))
    for name in features:
        absent = np.flatnonzero(table[name].isna())
        if absent.size:
            raise MissingDataError(
                f"feature {name!r} is missing in {absent.size} rows, first row {shown(table.index[absent[0]])}; ComBat "
                "needs all values: leave rows out or impute them"
            )
    return table


def _sorted_levels(column: pd.Series) -> list[Any]:
    levels = list(column.unique())
    try:
        return sorted(levels)
    except TypeError:
        return sorted(levels, key=str)


def _covariate(table: pd.DataFrame, name: str) -> ProtectedCovariate:
    column = table[name]
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        if column.nunique() > 1:
            return ProtectedCovariate(name, None)
    elif column.nunique() > 1:
        return ProtectedCovariate(name, tuple(_sorted_levels(column)))
    raise MeasurementError(f"covariate {name!r} has one value, {shown(column.iloc[0])}; there is nothing to protect")


def _design(table: pd.DataFrame, covariates: Sequence[ProtectedCovariate]) -> FloatArray:
    columns = [covariate.columns(table) for covariate in covariates]
    return np.hstack(columns) if columns else np.empty((len(table), 0))


def _check_batches(
    values: FloatArray, codes: IntArray, batches: tuple[str, ...], names: list[str], *, mean_only: bool, prior: Prior
) -> None:
    if len(batches) < 2:
        raise MeasurementError(f"all rows are of batch {batches[0]!r}; there is nothing to harmonise")
    if prior != "none" and len(names) < 2:
        raise MeasurementError(f"one feature, {names[0]!r}, has no others to learn a prior from; use prior='none'")
    if mean_only:
        return
    for i, name in enumerate(batches):
        rows = values[codes == i]
        if len(rows) < 2:
            raise MeasurementError(
                f"batch {name!r} has one row, which has no spread; use mean_only=True or leave it out"
            )
        flat = np.flatnonzero(np.ptp(rows, axis=0) == 0)
        if flat.size:
            raise MeasurementError(
                f"feature {names[flat[0]]!r} is {rows[0, flat[0]]:g} in all {len(rows)} rows of batch {name!r}, which "
                "has no spread; leave it out or use mean_only=True"
            )


def _check_confounding(
    table: pd.DataFrame, codes: IntArray, batch: str, covariates: Sequence[ProtectedCovariate], design: FloatArray
) -> None:
    """Refuse covariates whose effects cannot be told from the batches'."""
    for covariate in covariates:
        columns = covariate.columns(table)
        if covariate.levels is None:
            measure, found = "correlation ratio", _correlation_ratio(columns[:, 0], codes)
        else:
            measure, found = "Cramér's V", _cramers_v(columns, codes)
        if found > LARGEST_ASSOCIATION:
            raise CollinearityError(
                f"covariate {covariate.name!r} is confounded with batch={batch!r} ({measure} {found:.2f}, allowed up "
                f"to {LARGEST_ASSOCIATION}): their effects cannot be told apart, so none can be removed"
            )
    member = np.eye(int(codes.max()) + 1)[codes]
    spread = (design - design.mean(axis=0)) / design.std(axis=0) if design.size else design
    both = np.hstack([member, spread])
    if np.linalg.matrix_rank(both) < both.shape[1]:
        raise CollinearityError(
            f"batch={batch!r} and the covariates {', '.join(repr(c.name) for c in covariates)} are collinear: their "
            "effects cannot be told apart; leave a covariate out"
        )


def _check_variation(values: FloatArray, codes: IntArray, design: FloatArray, names: list[str], reference: int) -> None:
    """Refuse features that batch and covariates explain whole: there is no spread to measure shifts by."""
    x = np.hstack([np.eye(int(codes.max()) + 1)[codes], design])
    rest = values - x @ np.linalg.lstsq(x, values, rcond=None)[0]
    among = codes == reference if reference >= 0 else np.ones(len(codes), dtype=bool)
    flat = np.flatnonzero(np.abs(rest[among]).max(axis=0) <= 1e-10 * np.abs(values).max(axis=0))
    if flat.size:
        where = " in the reference batch" if reference >= 0 else ""
        raise MeasurementError(
            f"feature {names[flat[0]]!r} does not vary beyond batch and covariates{where}; leave it out"
        )


def _correlation_ratio(values: FloatArray, codes: IntArray) -> float:
    means = np.bincount(codes, values) / np.bincount(codes)
    return float(np.sqrt(np.var(means[codes]) / np.var(values)))


def _cramers_v(dummies: FloatArray, codes: IntArray) -> float:
    level = np.where(dummies.any(axis=1), dummies.argmax(axis=1) + 1, 0)
    counts = np.zeros((int(codes.max()) + 1, dummies.shape[1] + 1))
    np.add.at(counts, (codes, level), 1.0)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    chi_square = float(np.sum((counts - expected) ** 2 / expected))
    return float(np.sqrt(chi_square / (counts.sum() * (min(counts.shape) - 1))))
