"""Multiple imputation by chained equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import (
    EmptyDataError,
    FormulaError,
    ImputationError,
    OptionError,
    column_not_found,
)
from dxa_causal._core.options import check_whole_number
from dxa_causal._core.rng import Seed, spawn
from dxa_causal._core.warnings import ImputationWarning, warn
from dxa_causal._design import to_pandas
from dxa_causal._design.matrix import plain_types, selected_columns
from dxa_causal._design.outcome import is_survival
from dxa_causal._design.parse import parse
from dxa_causal._design.rows import columns_used
from dxa_causal.imputation.chain import Plan, Target
from dxa_causal.imputation.derived import Derived, read_derived
from dxa_causal.imputation.imputations import Imputations, grow
from dxa_causal.imputation.redundancy import redundant_columns
from dxa_causal.imputation.survival_outcome import outcome_columns
from dxa_causal.imputation.variables import Variable, check_methods, read_variable, refuse_unknown
from dxa_causal.results import Provenance
from dxa_causal.results.provenance import format_call

FloatArray = npt.NDArray[np.float64]


def chained(
    data: Any,
    formula: str | None = None,
    *,
    m: int = 20,
    seed: Seed = None,
    auxiliary: Sequence[str] = (),
    exclude: Sequence[str] = (),
    methods: Mapping[str, str] | str | None = None,
    predictors: Mapping[str, Sequence[str]] | None = None,
    derived: Mapping[str, str] | None = None,
    donors: int = 5,
    n_iterations: int = 10,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Imputations:
    r"""Fill in missing values m times, each column drawn from a model given the others.

    Parameters
    ----------
    data : pandas or polars frame
    formula : str, optional
        The analysis to come, ``Surv(time, died) ~ age + grip`` or ``bmi ~ age``. Its columns are imputed and predict
        each other. None for all columns of the frame; times and events are then columns like others.
    m : int
        Number of imputations; about the percentage of incomplete rows is a good choice.
    seed : int, Generator or None
        The same seed gives the same values for any `n_jobs`, and the first 20 of ``m=40`` are those of ``m=20``.
    auxiliary : sequence of str
        Further columns that predict missing values, or whether they are missing.
    exclude : sequence of str
        Columns to leave alone (identifiers, dates).
    methods : mapping of str to str, or str, optional
        By column: "pmm" (predictive mean matching, the default for numbers), "norm" (Bayesian linear regression),
        "logreg" (Bayesian logistic, two values), "polyreg" (multinomial, categories), "polr" (proportional odds,
        ordered categoricals). One name holds for all columns with missing values.
    predictors : mapping of str to sequence of str, optional
        Columns that predict a column; all others by default. A survival outcome always does.
    derived : mapping of str to str, optional
        Columns computed from others, such as ``{"bmi": "weight / height**2"}``, with +, -, *, /, **, comparisons,
        abs, exp, log, sqrt and numpy as np. They are computed anew whenever a source is drawn, and never predict their
        sources.
    donors : int
        Observed values among which "pmm" chooses.
    n_iterations : int
        Rounds over the columns; ``imputations.plot()`` and r_hat show whether they were enough.
    n_jobs : int or None
    progress : bool

    Returns
    -------
    Imputations

    Raises
    ------
    MissingDataError
        When a time or event of a survival outcome is missing.
    ImputationError
        When a column has no value at all, or fewer than its model needs.

    Warns
    -----
    ImputationWarning
        When others determine a column (it then predicts nothing), or it holds one value only.

    Notes
    -----
    Models of the analysis stay valid when the outcome takes part in the imputation. A survival outcome enters as the
    event indicator and the Nelson-Aalen estimate of the cumulative hazard at the time, :math:`\hat H(t_i)`, never as
    the time itself; with delayed entry as :math:`\hat H(t_i) - \hat H(e_i)`, with competing causes as an indicator and
    a cause-specific cumulative hazard for each, and for an interval-censored outcome at the middle of the interval.
    This is an approximation: estimates of strong effects (hazard ratios beyond 2 per standard deviation) are drawn
    somewhat towards no effect.

    Parameters of each model are drawn from their posterior before values are, so that the imputations are proper.
    Matching is of type 1: observed rows are predicted with the estimate, missing ones with the draw. Models of
    categories have a few rows of small weight added, against perfect prediction. Columns are visited from the fewest
    missing values to the most. Interactions and powers in the analysis are not imputed as such: list those that
    matter in `derived`, or impute within the groups that interact. Rows are taken to be independent, one per person.

    References
    ----------
    van Buuren S, Groothuis-Oudshoorn K. J Stat Softw 2011;45(3). doi:10.18637/jss.v045.i03
    White IR, Royston P. Stat Med 2009;28:1982-1998. doi:10.1002/sim.3618
    White IR, Royston P, Wood AM. Stat Med 2011;30:377-399. doi:10.1002/sim.4067
    White IR, Daniel R, Royston P. Comput Stat Data Anal 2010;54:2267-2275. doi:10.1016/j.csda.2010.04.005

    Examples
    --------
    >>> import dxa_causal as dc
    >>> cohort = dc.datasets.load("nhanes_mortality").query("age >= 80")
    >>> imp = chained(cohort, "Surv(time, died) ~ age + C(sex) + grip_kg + bmi", m=3, seed=1, n_iterations=3)
    >>> sorted(imp.missing.query("n_missing > 0")["column"])
    ['bmi', 'grip_kg']
    >>> int(imp.complete(1)["grip_kg"].isna().sum())
    0
    """
    for argument, value in (("m", m), ("n_iterations", n_iterations), ("donors", donors)):
        check_whole_number(argument, value, 1)
    frame = to_pandas(data).copy()
    frame.columns = frame.columns.map(str)
    if len(frame) == 0:
        raise EmptyDataError("the frame has no rows")
    for argument, listed in (("auxiliary", auxiliary), ("exclude", exclude)):
        if isinstance(listed, str):
            raise OptionError(f"{argument}={listed!r} must be a list of columns: [{listed!r}]")
        for name in listed:
            if name not in frame.columns:
                raise column_not_found(name, frame.columns, argument=argument)
    computed = read_derived(derived, list(frame.columns))
    outcome, names = _columns(frame, formula, [*auxiliary], set(exclude), computed)
    plain = plain_types(frame[names])
    settled = check_methods(methods, [n for n in names if plain[n].isna().any()])
    if isinstance(methods, Mapping):
        refuse_unknown("methods", methods, names)
    variables = {name: read_variable(plain[name], settled.get(name)) for name in names}
    frame, variables = _computed(frame, plain, variables, computed)
    plan = _plan(variables, outcome, computed, predictors, donors, n_iterations)
    call = format_call(
        "imputation.chained", formula=formula, m=m, auxiliary=list(auxiliary) or None, n_iterations=n_iterations
    )
    missing = {name: v.n_missing for name, v in variables.items() if v.n_missing}
    notes = () if missing else ("nothing is missing: every completed frame is the data",)
    provenance = Provenance(
        call=call,
        n_rows=len(frame),
        n_used=len(frame),
        missing=missing,
        seed=seed if isinstance(seed, int) else None,
        notes=notes,
    )
    (root,) = spawn(seed, 1)
    return grow(frame, plan, root.bit_generator.seed_seq, m, provenance, n_jobs=n_jobs, progress=progress)


def _columns(
    frame: pd.DataFrame, formula: str | None, auxiliary: list[str], exclude: set[str], computed: tuple[Derived, ...]
) -> tuple[FloatArray, list[str]]:
    """What stands for a survival outcome, and the columns to impute (computed ones left out) in the frame's order."""
    known = [*frame.columns, *(c.name for c in computed if c.name not in frame.columns)]
    outcome = np.empty((len(frame), 0))
    if formula is None:
        used = set(frame.columns)
    else:
        parts = parse(formula)
        used = set(columns_used(parts.fixed, known)) | set(auxiliary)
        if is_survival(parts.outcome):
            times = selected_columns(parts.outcome, "1", frame, {})
            outcome = outcome_columns(parts.outcome, plain_types(frame[times]))
            used -= set(times) - set(columns_used(parts.fixed, known))
        elif parts.outcome:
            used |= set(columns_used(parts.outcome, known))
    used |= {name for column in computed for name in column.sources}
    for name in exclude & {source for column in computed for source in column.sources}:
        raise OptionError(f"exclude: column {name!r} is needed for a computed column")
    used -= exclude | {column.name for column in computed}
    names = [name for name in frame.columns if name in used]
    if not names:
        raise FormulaError("there is no column to impute; name covariates in the formula, or auxiliary=[...]")
    return outcome, names


def _computed(
    frame: pd.DataFrame, plain: pd.DataFrame, variables: dict[str, Variable], computed: tuple[Derived, ...]
) -> tuple[pd.DataFrame, dict[str, Variable]]:
    """Add computed columns: known where all sources are known."""
    values: dict[str, Any] = {}
    for name, v in variables.items():
        levels = v.levels
        values[name] = v.values if levels is None else plain[name].where(plain[name].notna(), levels[0]).to_numpy()
    for column in computed:
        sources = [name for name in column.sources if name in variables]
        absent = np.any([variables[name].missing for name in sources], axis=0) | np.zeros(len(frame), dtype=bool)
        found = np.broadcast_to(column.compute(values), (len(frame),))
        column.refuse_missing(found[~absent])
        found = np.where(absent, np.nan, found)
        if column.name in frame.columns:
            given = pd.to_numeric(plain_types(frame[[column.name]])[column.name], errors="coerce").to_numpy(np.float64)
            found = np.where(absent | np.isnan(given), found, given)
            replaced = int((frame[column.name].notna().to_numpy() & absent).sum())
            if replaced:
                warn(
                    f"column {column.name!r} is known in {replaced} rows where {_or(sources)} is missing: there it is "
                    "replaced by what the imputed values give. Its values tell of theirs only if it is a column of its "
                    "own, under another name, among the auxiliary ones",
                    ImputationWarning,
                )
        frame[column.name] = values[column.name] = found
        variables = {**variables, column.name: Variable(column.name, values[column.name], None, "derived")}
    return frame, variables


def _plan(
    variables: dict[str, Variable],
    outcome: FloatArray,
    computed: tuple[Derived, ...],
    predictors: Mapping[str, Sequence[str]] | None,
    donors: int,
    n_iterations: int,
) -> Plan:
    """Lay out the design matrix, and settle what predicts what."""
    n = len(next(iter(variables.values())).values)
    blocks, place, scaling = [np.ones((n, 1)), outcome], {}, {}
    width = 1 + outcome.shape[1]
    for name, variable in variables.items():
        block, centre, scale = variable.coded()
        blocks.append(block)
        place[name], scaling[name] = slice(width, width + block.shape[1]), (centre, scale)
        width += block.shape[1]
    design = np.ascontiguousarray(np.hstack(blocks))
    names = list(variables)
    refuse_unknown("predictors", predictors or {}, names)
    for name, chosen in (predictors or {}).items():
        if isinstance(chosen, str):
            raise OptionError(f"predictors[{name!r}]={chosen!r} must be a list of columns: [{chosen!r}]")
        refuse_unknown(f"predictors[{name!r}]", chosen, names)
    sources = {column.name: set(column.sources) for column in computed}
    incomplete = [v for v in variables.values() if v.n_missing and v.method != "derived"]
    idle = redundant_columns(design, place, variables, set(sources)) if incomplete else set()
    constant = {name for name, v in variables.items() if np.ptp(v.values[~v.missing]) == 0}
    targets = []
    for v in sorted(incomplete, key=lambda v: v.n_missing):
        chosen = (predictors or {}).get(v.name, names)
        columns = list(range(1 + outcome.shape[1]))
        for name in names:
            if name in chosen and name != v.name and name not in constant and v.name not in sources.get(name, ()):
                columns += [j for j in range(place[name].start, place[name].stop) if j not in idle]
        observed, missing = np.flatnonzero(~v.missing), np.flatnonzero(v.missing)
        if v.name in constant:
            warn(
                f"column {v.name!r} holds one value in all {observed.size} rows that have one; the "
                f"{missing.size} others get it too",
                ImputationWarning,
            )
        elif v.method in ("pmm", "norm") and observed.size <= len(columns):
            raise ImputationError(
                f"column {v.name!r} is known in {observed.size} rows, too few for its model of {len(columns)} "
                f"coefficients; name fewer predictors: predictors={{{v.name!r}: [...]}}"
            )
        method = "pmm" if v.name in constant and v.levels is None else v.method
        targets.append(Target(v.name, method, observed, missing, np.array(columns, dtype=np.int64)))
    return Plan(variables, design, place, scaling, tuple(targets), computed, donors, n_iterations)


def _or(names: Sequence[str]) -> str:
    return " or ".join(repr(n) for n in names)
