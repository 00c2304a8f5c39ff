"""Cox models of all transitions between several states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import CollinearityError, OptionError, OutcomeError, PredictorError
from dxa_causal._core.options import Missing, TiesApproximation, check_option
from dxa_causal._design import Design, build_design, refuse_collinear
from dxa_causal._design.parse import parse
from dxa_causal._numerics.times import RankedTimes
from dxa_causal.results import read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.cox import (
    BRESLOW,
    EFRON,
    maximise,
    prepare,
    score_residuals,
)
from dxa_causal.survival._kernels.risk_sets import build_risk_sets
from dxa_causal.survival.checks import report_convergence, well_conditioned
from dxa_causal.survival.multistate.coefficients import Shared, assign_coefficients, refuse_no_mapping
from dxa_causal.survival.multistate.histories import ORIGIN, TARGET, Histories, Moves, ranked, read_states
from dxa_causal.survival.multistate.multi_state_result import Component, MultiStateFit

if TYPE_CHECKING:
    pass

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def multi_state(
    formula: str,
    data: Any,
    *,
    id: str,
    initial: str | None = None,
    covariates: Mapping[str, str] | None = None,
    shared: Shared = (),
    ties: TiesApproximation = "efron",
    weights: str | None = None,
    cluster: str | None = None,
    robust: bool = True,
    missing: Missing = "drop",
) -> MultiStateFit:
    r"""Fit Cox's model to every transition between states, each with a baseline hazard of its own.

    Parameters
    ----------
    formula : str
        ``Surv(start, stop, state) ~ covariates``, one row per person and
        interval; ``Surv(time, state) ~ ...`` where each person has one row.
        The state is the one entered at the end of the row: a categorical whose
        first category is censoring (no change), or integers with 0 = no change.
    data : pandas or polars frame
    id : str
        Column that names the person.
    initial : str, optional
        Column with the state during the row. Without it everybody starts in
        "(s0)" and is then where the row before led to, as in R.
    covariates : mapping of str to str, optional
        Right sides for some transitions, in place of that of the formula:
        ``{"ill -> dead": "age"}``; "1" for none.
    shared : sequence of str, or mapping of str to sequence of str
        Terms with one coefficient for all transitions they are in; a mapping
        names the transitions: ``{"age": ["(s0) -> dead", "ill -> dead"]}``.
    ties : {"efron", "breslow"}
    weights : str, optional
        Column of weights (positive).
    cluster : str, optional
        Column naming the unit whose rows belong together; the person when omitted.
    robust : bool
        Sandwich standard errors, by person or cluster.
    missing : {"drop", "raise"}

    Returns
    -------
    MultiStateFit

    Raises
    ------
    OutcomeError
        Nobody changes state, rows of a person overlap or contradict each other.
    CollinearityError
        A column is a linear combination of others among those at risk of a transition.

    Warns
    -----
    GapWarning
        Rows of a person leave a gap.
    SeparationWarning
        A coefficient runs to infinity.

    See Also
    --------
    state_occupation : the same without covariates, by group.
    illness_death, panel_markov : when changes of state are seen only at visits.

    Notes
    -----
    The hazard of the transition from h to j is :math:`\lambda_{hj}(t \mid x) = \lambda_{hj,0}(t) \exp(x'\beta_{hj})`
    on the time axis of the rows. The partial likelihood is the product over transitions of that of a Cox model of the
    rows in state h, in which moves to other states than j are censoring. A row that leads to the state it is in
    already changes nothing. Rows that lack a covariate are left out, but still tell in which state the person is.

    References
    ----------
    Andersen PK, Gill RD. Ann Stat 1982;10:1100-1120. doi:10.1214/aos/1176345976
    Putter H, Fiocco M, Geskus RB. Stat Med 2007;26:2389-2430. doi:10.1002/sim.2712

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"id": [1, 1, 2, 3, 4, 4, 5, 6], "age": [60, 60, 71, 64, 72, 72, 58, 66],
    ...                      "start": [0, 2, 0, 0, 0, 1, 0, 0], "stop": [2, 5, 3, 4, 1, 6, 7, 8],
    ...                      "state": pd.Categorical(["ill", "dead", "dead", "dead", "ill", "", "dead", ""],
    ...                                              ["", "ill", "dead"])})
    >>> fit = multi_state("Surv(start, stop, state) ~ age", rows, id="id", covariates={"ill -> dead": "1"})
    >>> fit.tidy()[["transition", "term"]].to_numpy().tolist()
    [['(s0) -> ill', 'age'], ['(s0) -> dead', 'age']]
    """
    check_option("ties", ties, TiesApproximation)
    if not isinstance(robust, bool | np.bool_):
        raise OptionError(f"robust={robust!r} must be True or False")
    if cluster is not None and not robust:
        raise OptionError(f"cluster={cluster!r} asks for robust standard errors; leave robust=False out")
    refuse_no_mapping(covariates)
    frame, states = read_states(formula, data, id=id, initial=initial, missing=missing)
    arguments = {"id": id, "initial": initial, "weights": weights, "cluster": cluster}
    added = {"origin": ORIGIN, "target": TARGET}
    everything = " + ".join([formula, *(covariates or {}).values()])
    design = build_design(everything, frame, arguments={**arguments, **added}, missing=missing, causes=True)
    rows = design.rows.frame
    origin, target = rows[ORIGIN].to_numpy(dtype=np.int64), rows[TARGET].to_numpy(dtype=np.int64)
    person = pd.factorize(rows[id])[0].astype(np.int64)
    histories = ranked(design.survival, origin, target, person, states)
    moves = histories.moves
    if not moves:
        raise OutcomeError(f"nobody changes state in the {origin.size} rows analysed")
    names = tuple(histories.name(move) for move in moves)
    found = assign_coefficients(parse(formula).fixed, covariates or {}, shared, design, names, causes=True)
    columns, terms = found.columns, found.terms
    unit = person if cluster is None else pd.factorize(rows[cluster])[0].astype(np.int64)
    if robust and unit.max() < 1:
        raise PredictorError(f"{cluster or id!r} has one value in the rows analysed; robust errors need several")
    weight = design.number(weights, argument="weights", positive=True)
    components = tuple(
        _fit_component(members, columns, moves, names, terms, design, histories, weight, ties)
        for members in _connected(columns, len(terms))
    )
    q = len(terms)
    coefficients, model = np.zeros(q), np.zeros((q, q))
    influence = np.zeros((int(unit.max()) + 1, q)) if robust else None
    for part in components:
        own = list(part.own)
        if not own:
            continue
        scale = part.data.scale
        inverse = np.linalg.inv(part.estimate.information)
        coefficients[own] = part.estimate.beta / scale
        model[np.ix_(own, own)] = inverse / np.outer(scale, scale)
        if influence is not None:
            dfbeta = score_residuals(part.data, part.estimate.beta) @ inverse / scale * part.data.weight[:, None]
            total = np.zeros((len(influence), len(own)))
            np.add.at(total, unit[part.rows[part.data.sets.order]], dfbeta)
            influence[:, own] = total
    call = format_call(
        "survival.multi_state",
        formula,
        **arguments,
        covariates=None if covariates is None else str(dict(covariates)),
        shared=str(shared) if shared else None,
        ties=ties,
        robust=robust,
    )
    return MultiStateFit(
        states=states,
        transitions=names,
        n_transitions=tuple(int(((origin == h) & (target == j)).sum()) for h, j in moves),
        terms=terms,
        of_transition=found.transitions,
        coefficients=read_only(coefficients),
        covariance=read_only(model if influence is None else influence.T @ influence),
        covariance_model=read_only(model),
        robust=bool(robust),
        ties=ties,
        id=id,
        initial=initial,
        cluster=cluster,
        weights=weights,
        log_likelihood=float(sum(c.estimate.log_likelihood for c in components)),
        log_likelihood_null=float(sum(c.estimate.log_likelihood_null for c in components)),
        nobs=origin.size,
        n_events=int((target >= 0).sum()),
        n_persons=int(person.max()) + 1,
        converged=all(c.estimate.converged for c in components),
        provenance=design.provenance(call),
        design=design,
        histories=histories,
        moves=moves,
        columns=columns,
        components=components,
    )


def _connected(columns: tuple[tuple[tuple[int, int], ...], ...], q: int) -> list[tuple[int, ...]]:
    """Transitions that share coefficients, directly or through others."""
    parts: list[tuple[set[int], list[int]]] = []
    for g, pairs in enumerate(columns):
        own, members = {k for _, k in pairs}, [g]
        apart = []
        for other, those in parts:
            if own & other:
                own, members = own | other, those + members
            else:
                apart.append((other, those))
        parts = [*apart, (own, members)]
    return sorted(tuple(sorted(members)) for _, members in parts)


def _fit_component(
    members: tuple[int, ...],
    columns: tuple[tuple[tuple[int, int], ...], ...],
    moves: Moves,
    names: tuple[str, ...],
    terms: tuple[str, ...],
    design: Design,
    histories: Histories,
    weight: FloatArray | None,
    ties: TiesApproximation,
) -> Component:
    own = tuple(sorted({k for g in members for _, k in columns[g]}))
    at = {k: place for place, k in enumerate(own)}
    blocks, rows_of, event, stratum = [], [], [], []
    for s, g in enumerate(members):
        h, j = moves[g]
        rows = np.flatnonzero(histories.origin == h)
        block = np.zeros((rows.size, len(own)))
        for column, k in columns[g]:
            block[:, at[k]] = design.x[rows, column]
        blocks.append(block)
        rows_of.append(rows)
        event.append((histories.target[rows] == j).astype(np.int64))
        stratum.append(np.full(rows.size, s))
    x, rows, strata = np.concatenate(blocks), np.concatenate(rows_of), np.concatenate(stratum)
    times = histories.times
    entry = None if times.entry_rank is None else times.entry_rank[rows]
    sets = build_risk_sets(RankedTimes(times.distinct, times.rank[rows], entry), np.concatenate(event), strata)
    data = prepare(
        x,
        sets,
        weight=None if weight is None else weight[rows],
        offset=None,
        ties=EFRON if ties == "efron" else BRESLOW,
    )
    estimate = maximise(data)
    where = " & ".join(names[g] for g in members)
    labels = tuple(f"{terms[k]} ({where})" for k in own)
    try:
        if not well_conditioned(estimate.information_null):
            refuse_collinear(replace(design, x=x, terms=[terms[k] for k in own], intercept=False), strata)
        report_convergence(estimate, labels, None)
    except CollinearityError as error:
        cure = f"a transition seen too seldom can do without covariates: covariates={{{names[members[0]]!r}: '1'}}"
        raise CollinearityError(f"transition {where}: {error}; {cure}") from None
    return Component(members, own, rows, data, estimate)
