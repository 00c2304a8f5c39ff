"""Data with their missing values filled in several times over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import ImputationError, OptionError, column_not_found
from dxa_causal._core.options import check_whole_number
from dxa_causal._core.parallel import parallel_map
from dxa_causal.imputation.chain import ChainEnd, Plan, run_chain
from dxa_causal.results import Provenance, Result, read_only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class ImputedColumn:
    """What was filled in for one column.

    Attributes
    ----------
    name, method : str
    rows : (k,) ndarray of int64
        Positions of the missing values.
    values : (m, k) ndarray
        Numbers, or codes of `levels`.
    levels : Index or None
    """

    name: str
    method: str
    rows: npt.NDArray[np.int64]
    values: FloatArray
    levels: pd.Index | None

    def filled(self, series: pd.Series, i: int) -> pd.Series:
        """A column with its missing values replaced by those of imputation `i` (from 0)."""
        values = self.values[i]
        if self.levels is None:
            whole = pd.api.types.is_integer_dtype(series.dtype) and (values == np.floor(values)).all()
            numbers = series.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
            numbers[self.rows] = values
            return pd.Series(numbers, index=series.index, name=series.name, dtype=series.dtype if whole else np.float64)
        codes = values.astype(np.int64)
        if isinstance(series.dtype, pd.CategoricalDtype):
            place = series.cat.categories.get_indexer(self.levels)
            all_codes = series.cat.codes.to_numpy(copy=True)
            all_codes[self.rows] = place[codes]
            return pd.Series(pd.Categorical.from_codes(all_codes, dtype=series.dtype), series.index, name=series.name)
        drawn = self.levels.to_numpy()[codes]
        filled = series.copy()
        filled.iloc[self.rows] = drawn
        return filled.astype(bool) if filled.dtype == object and isinstance(drawn[0], bool) else filled


class CompletedFrames(Sequence[pd.DataFrame]):
    """The completed frames, each made when asked for."""

    def __init__(self, imputations: Imputations) -> None:
        self._imputations = imputations

    def __len__(self) -> int:
        return self._imputations.m

    @overload
    def __getitem__(self, place: int) -> pd.DataFrame: ...
    @overload
    def __getitem__(self, place: slice) -> list[pd.DataFrame]: ...
    def __getitem__(self, place: int | slice) -> pd.DataFrame | list[pd.DataFrame]:
        chosen = range(self._imputations.m)[place]
        if isinstance(chosen, int):
            return self._imputations.complete(chosen + 1)
        return [self._imputations.complete(i + 1) for i in chosen]


@dataclass(frozen=True, eq=False, repr=False)
class Imputations(Result):
    """Multiply imputed data: the frame as it came, and what was filled in.

    Attributes
    ----------
    m : int
        Number of imputations.
    data : DataFrame
        With missing values, and computed columns.
    columns : tuple of ImputedColumn
    trace_mean, trace_sd : (n_iterations, m, k) ndarray
        Mean and standard deviation of the imputed values (codes of categories) of the k columns drawn, by iteration and
        chain; empty where the imputations came from elsewhere.
    traced : tuple of str
        Those columns.
    nobs : int
    """

    title: ClassVar[str] = "Multiple imputation"

    m: int
    data: pd.DataFrame
    columns: tuple[ImputedColumn, ...]
    trace_mean: FloatArray
    trace_sd: FloatArray
    traced: tuple[str, ...]
    nobs: int
    provenance: Provenance
    plan: Plan | None
    root: np.random.SeedSequence | None
    estimand: str = "completed data"

    def complete(self, i: int) -> pd.DataFrame:
        """The data with the missing values of imputation `i` (1, ..., m) filled in; 0 for the data as they came."""
        if not isinstance(i, int | np.integer) or not 0 <= i <= self.m:
            raise OptionError(f"complete({i!r}): imputations are numbered 1 to {self.m}; 0 is the data as they came")
        frame = self.data.copy()
        if i:
            for column in self.columns:
                frame[column.name] = column.filled(frame[column.name], i - 1)
        return frame

    @property
    def frames(self) -> CompletedFrames:
        """The completed frames; each is made when asked for."""
        return CompletedFrames(self)

    def to_long(self, *, original: bool = False) -> pd.DataFrame:
        """All completed frames below one another, with columns .imp and .id (row labels), as R's mice writes them.

        Parameters
        ----------
        original : bool
            Begin with the data as they came, as imputation 0.
        """
        numbers = range(0 if original else 1, self.m + 1)
        frames = [self.complete(i) for i in numbers]
        long = pd.concat(frames, ignore_index=True)
        long.insert(0, ".imp", np.repeat(list(numbers), self.nobs))
        long.insert(1, ".id", np.tile(self.data.index, len(frames)))
        return long

    @property
    def missing(self) -> pd.DataFrame:
        """One row per column that took part: column, n_missing, share, method."""
        took_part = {c.name: c.method for c in self.columns}
        if self.plan is not None:
            took_part = {name: took_part.get(name, "") for name in self.plan.variables}
        count = {c.name: len(c.rows) for c in self.columns}
        n = [count.get(name, 0) for name in took_part]
        share = np.array(n) / max(self.nobs, 1)
        return pd.DataFrame({"column": [*took_part], "n_missing": n, "share": share, "method": [*took_part.values()]})

    def extend(self, m: int, *, n_jobs: int | None = None, progress: bool = False) -> Imputations:
        """Add imputations until there are `m`: the same as if they had been asked for at once.

        Parameters
        ----------
        m : int
            At least as many as there are.
        n_jobs : int or None
        progress : bool
        """
        check_whole_number("m", m, 1)
        if self.plan is None or self.root is None:
            raise OptionError("these imputations were made elsewhere; only those of imputation.chained can be extended")
        if m < self.m:
            raise OptionError(f"extend(m={m}): there are {self.m} imputations already; complete(1), ..., complete({m})")
        provenance = replace(self.provenance, call=f"{self.provenance.call}.extend({m})")
        return grow(
            self.data, self.plan, self.root, m, provenance, before=self, n_jobs=n_jobs, progress=progress
        )  # fmt: skip

    @property
    def r_hat(self) -> dict[str, float]:
        """Gelman and Rubin's ratio for the mean of the imputed values, over the second half of the iterations.

        Near 1 when the chains agree; missing with less than 4 iterations or 2 chains, or values that do not vary.
        """
        half = self.trace_mean[len(self.trace_mean) // 2 :]
        n = len(half)
        if len(self.trace_mean) < 4 or self.m < 2:
            return dict.fromkeys(self.traced, np.nan)
        within = half.var(axis=0, ddof=1).mean(axis=0)
        between = half.mean(axis=0).var(axis=0, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.sqrt((n - 1) / n + between / within)
        return {name: float(r) if np.isfinite(r) else np.nan for name, r in zip(self.traced, ratio, strict=True)}

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per imputed column, or level of one: what is observed beside what was filled in.

        Parameters
        ----------
        conf_level, exponentiate
            Without meaning here.

        Returns
        -------
        DataFrame
            term, level, method, n (observed), n_missing, mean_observed, mean_imputed (shares of levels), r_hat. The two
            means differ where values are not missing at random; that is no error.
        """
        r_hat = self.r_hat
        rows: list[tuple[Any, ...]] = []
        for column in self.columns:
            known = self.observed(column.name)
            common = (column.method, len(known), len(column.rows))
            if column.levels is None:
                each = [("", float(np.mean(known)), float(column.values.mean()))]
            else:
                each = [
                    (str(level), float(np.mean(known == k)), float(np.mean(column.values == k)))
                    for k, level in enumerate(column.levels)
                ]
            for level, observed, imputed in each:
                rows.append((column.name, level, *common, observed, imputed, r_hat.get(column.name, np.nan)))
        names = ["term", "level", "method", "n", "n_missing", "mean_observed", "mean_imputed", "r_hat"]
        return pd.DataFrame(rows, columns=names)

    def glance(self) -> pd.DataFrame:
        """One row: nobs, n_incomplete (rows with a value filled in), n_imputations, n_iterations."""
        incomplete = np.zeros(self.nobs, dtype=bool)
        for column in self.columns:
            incomplete[column.rows] = True
        return pd.DataFrame(
            {
                "nobs": [self.nobs],
                "n_incomplete": [int(incomplete.sum())],
                "n_imputations": [self.m],
                "n_iterations": [len(self.trace_mean)],
            }
        )

    def _column(self, name: str) -> ImputedColumn:
        for column in self.columns:
            if column.name == name:
                return column
        if name in self.data.columns:
            raise OptionError(f"nothing was filled in for column {name!r}")
        raise column_not_found(name, [c.name for c in self.columns], argument="column")

    def observed(self, name: str) -> FloatArray:
        """Observed values of an imputed column, as numbers or codes of its levels."""
        column = self._column(name)
        known = np.ones(self.nobs, dtype=bool)
        known[column.rows] = False
        series = self.data[name][known]
        if column.levels is None:
            return series.to_numpy(dtype=np.float64)
        return column.levels.get_indexer(series).astype(np.float64)

    def plot(self, ax: Axes | None = None, *, column: str | None = None) -> Axes:
        """Trace of the mean of the imputed values over iterations, a line per chain.

        Parameters
        ----------
        ax : Axes, optional
        column : str, optional
            The column; by default that whose chains agree least.
        """
        from dxa_causal.plots.imputation import traces

        if not self.traced:
            raise OptionError("there are no chains to draw; plot_density(column) compares observed and imputed values")
        if column is None:
            column = max(self.traced, key=lambda name: np.nan_to_num(self.r_hat[name]))
        if column not in self.traced:
            raise column_not_found(column, self.traced, argument="column")
        return traces(self.trace_mean[:, :, self.traced.index(column)], label=f"Mean of imputed {column}", ax=ax)

    def plot_density(self, column: str, ax: Axes | None = None) -> Axes:
        """Distribution of the observed values beside that of each imputation; shares where it is a category."""
        from dxa_causal.plots.imputation import densities, shares

        imputed, known = self._column(column), self.observed(column)
        if imputed.levels is None:
            return densities(known, imputed.values, label=column, ax=ax)
        return shares(known, imputed.values, [str(v) for v in imputed.levels], label=column, ax=ax)

    def plot_strip(self, column: str, ax: Axes | None = None) -> Axes:
        """Observed values and those of each imputation as points side by side."""
        from dxa_causal.plots.imputation import strips

        imputed = self._column(column)
        names = None if imputed.levels is None else [str(v) for v in imputed.levels]
        return strips(self.observed(column), imputed.values, label=column, levels=names, ax=ax)

    def plot_missing(self, ax: Axes | None = None) -> Axes:
        """Which columns are missing together, a line per pattern with its number of rows."""
        from dxa_causal.plots.imputation import patterns

        return patterns(self.missing_patterns, ax=ax)

    @property
    def missing_patterns(self) -> pd.DataFrame:
        """Columns with missing values (True = missing) and n, the rows of each pattern, the most frequent first."""
        absent = pd.DataFrame(False, index=range(self.nobs), columns=[c.name for c in self.columns])
        for column in self.columns:
            absent.iloc[column.rows, absent.columns.get_loc(column.name)] = True
        if not self.columns:
            return pd.DataFrame({"n": [self.nobs]})
        counts = absent.value_counts(sort=True)
        return counts.rename("n").reset_index()


def grow(
    data: pd.DataFrame,
    plan: Plan,
    root: Any,
    m: int,
    provenance: Provenance,
    *,
    before: Imputations | None = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Imputations:
    """Run the chains that are not there yet and put them behind those that are."""
    done = 0 if before is None else before.m
    # the i-th chain has a seed of its own, whatever their number
    seeds = [np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, i)) for i in range(done, m)]
    ends: list[ChainEnd] = []
    if plan.targets:
        work = _Chain(plan)
        ends = list(parallel_map(work, seeds, n_jobs=n_jobs, progress=progress, description="imputing"))
    columns = []
    for name, variable in plan.variables.items():
        rows = np.flatnonzero(variable.missing)
        if rows.size:
            place = rows if variable.method == "derived" else slice(None)
            values = [end.values[name][place] for end in ends]
            if before is not None:
                values = [*before._column(name).values, *values]
            columns.append(ImputedColumn(name, variable.method, rows, read_only(np.array(values)), variable.levels))
    traced = tuple(target.name for target in plan.targets)
    traces = []
    for part in ("mean", "sd"):
        new = [getattr(end, part) for end in ends]
        old = [] if before is None or not traced else [*np.moveaxis(getattr(before, f"trace_{part}"), 1, 0)]
        traces.append(read_only(np.stack([*old, *new], axis=1) if traced else np.empty((plan.n_iterations, m, 0))))
    missing = [c for c in columns if not np.isfinite(c.values).all()]
    if missing:
        raise ImputationError(f"the draws of column {missing[0].name!r} are not finite; is it on a very large scale?")
    return Imputations(
        m=m,
        data=data,
        columns=tuple(columns),
        trace_mean=traces[0],
        trace_sd=traces[1],
        traced=traced,
        nobs=len(data),
        provenance=provenance,
        plan=plan,
        root=root,
    )


@dataclass(frozen=True, slots=True)
class _Chain:
    """A chain from its seed; picklable."""

    plan: Plan

    def __call__(self, seed: np.random.SeedSequence) -> ChainEnd:
        return run_chain(self.plan, np.random.default_rng(seed))
