"""Markov models of states that are seen at visits only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import OptionError, OutcomeError
from dxa_causal._core.options import Missing
from dxa_causal._core.warnings import ConvergenceWarning, warn
from dxa_causal._design import build_design
from dxa_causal.results import read_only
from dxa_causal.results.provenance import format_call
from dxa_causal.survival._kernels.marquardt import maximise
from dxa_causal.survival._kernels.panel_markov import PanelModel, approach, derivatives, log_likelihood
from dxa_causal.survival.multistate.coefficients import (
    Coefficients,
    assign_coefficients,
    refuse_no_mapping,
    refuse_unknown,
)
from dxa_causal.survival.multistate.panel_markov_result import PanelMarkovFit, in_place
from dxa_causal.survival.multistate.panel_visits import PanelVisits, read_visits, state_graph

if TYPE_CHECKING:
    pass

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Limits = Literal["log", "logit", "plain"]
PredictionType = Literal["state_probability", "length_of_stay"]

INTENSITY = "intensity"
_FLAT = 1e-8  # information, relative to that of the parameter itself, below which nothing is known
_NOTHING = 20.0  # standard error of a log intensity that says nothing


def panel_markov(
    data: Any,
    *,
    state: str,
    time: str,
    id: str,
    transitions: Mapping[Any, Sequence[Any]],
    covariates: str | Mapping[str, str] | None = None,
    shared: Sequence[str] | Mapping[str, Sequence[str]] = (),
    exact: Any = None,
    censored: Mapping[Any, Sequence[Any]] | None = None,
    initial: Mapping[str, float] | None = None,
    missing: Missing = "drop",
) -> PanelMarkovFit:
    r"""Fit a Markov model in continuous time to states seen at visits.

    Parameters
    ----------
    data : pandas or polars frame
        One row per visit.
    state, time, id : str
        Columns: the state at the visit, its time, the person.
    transitions : mapping of state to sequence of states
        Moves that can happen at an instant: ``{1: [2, 4], 2: [1, 3, 4], 3: [2, 4]}``. A state that is no key cannot
        be left.
    covariates : str, or mapping of str to str, optional
        Right side of a formula for all transitions, ``"age + sex"``, or for some: ``{"1 -> 2": "age"}``. A row's
        values hold until the next visit; those of a person's last row are not used and may be missing.
    shared : sequence of str, or mapping of str to sequence of str
        Terms with one coefficient for all transitions they are in, or for those named.
    exact : object or sequence, optional
        States whose time of entry is known, such as death: the state just before is not.
    censored : mapping of code to sequence of states, optional
        Codes in the column `state` that stand for "one of these": ``{99: [1, 2, 3]}``.
    initial : mapping of str to float, optional
        Intensities to start from, ``{"1 -> 2": 0.1}``; numbers of moves seen over time when omitted.
    missing : {"drop", "raise"}

    Returns
    -------
    PanelMarkovFit

    Raises
    ------
    OutcomeError
        A state nobody is ever seen in, an unknown one, a change that the transitions do not allow (which person, which
        rows), rows after a state that cannot be left, two rows of a person at one time, nobody seen twice.

    Warns
    -----
    ConvergenceWarning
        The iteration did not converge, or the data do not determine all parameters.

    Notes
    -----
    With :math:`P(t) = \exp(Qt)`, a person seen in r and, a time t later, in s contributes :math:`P_{rs}(t)`; one who
    enters the exact state D then, :math:`\sum_{k \ne D} P_{rk}(t)\, q_{kD}`; one who is in an unknown state of a set,
    the sum over it. Intensities are :math:`q_{rs}(x) = q_{rs} \exp\{(x - \bar x)'\beta_{rs}\}` with the means of all
    rows but each person's last, as R's ``msm``. Visits must not depend on the state given the past ones: where deaths
    are known beyond the last visit, survivors need a row at the end of that time, with a code for "alive" in
    `censored`; without it, time survived goes missing and death seems too frequent. Standard errors are from the
    observed information.

    References
    ----------
    Kalbfleisch JD, Lawless JF. J Am Stat Assoc 1985;80:863-871. doi:10.1080/01621459.1985.10478195
    Jackson CH. J Stat Softw 2011;38(8):1-28. doi:10.18637/jss.v038.i08

    Examples
    --------
    >>> import pandas as pd
    >>> visits = pd.DataFrame({"id": [1, 1, 1, 2, 2, 3, 3, 4, 4], "years": [0, 1, 2, 0, 1.5, 0, 1, 0, 2],
    ...                        "state": [1, 1, 2, 1, 2, 1, 1, 1, 2]})
    >>> fit = panel_markov(visits, state="state", time="years", id="id", transitions={1: [2]})
    >>> fit.intensity_matrix().round(3).values.tolist()
    [[-0.792, 0.792], [0.0, -0.0]]
    """
    if not isinstance(covariates, str):
        refuse_no_mapping(covariates)
    graph = state_graph(transitions, exact, censored)
    names = graph.names
    frame = read_visits(data, state=state, time=time, id=id)
    formulas = covariates if isinstance(covariates, Mapping) else {}
    right = covariates if isinstance(covariates, str) else "1"
    for name in formulas:
        refuse_unknown(name, names, "covariates")
    everything = " + ".join([right, *formulas.values()])
    arguments = {"state": state, "time": time, "id": id}
    design = build_design(f"`{time}` ~ {everything}", frame, arguments=arguments, missing=missing)
    found = assign_coefficients(right, formulas, shared, design, names)
    visits = graph.intervals(design, state=state, time=time, id=id)
    means = design.x[visits.begins].mean(axis=0)
    patterns, code = np.unique(design.x[visits.begins], axis=0, return_inverse=True)
    spread = design.x[visits.begins].std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    model = PanelModel(len(graph.states), graph.origin, graph.target, in_place((patterns - means) / scale, found))
    intervals = visits.intervals(code.ravel())
    start = np.concatenate([np.log(_start(initial, names, visits, graph.origin)), np.zeros(len(found.terms))])
    if not np.isfinite(log_likelihood(model, intervals, start)[0]):
        raise OutcomeError(
            "the likelihood is zero at the initial intensities, whose times may be on another scale: "
            "give initial={'1 -> 2': 0.1, ...}; or a code in censored= leaves out the state a person is in"
        )
    near = approach(model, intervals, start)
    top = maximise(lambda p: log_likelihood(model, intervals, p)[0], lambda p: derivatives(model, intervals, p), near)
    unit = np.ones(top.parameters.size)  # of the parameters of standardised covariates
    for column, k in (pair for pairs in found.columns for pair in pairs):
        unit[len(names) + k] = 1 / scale[column]
    covariance = _covariance(top.hessian, top.converged, top.n_iter, names, found) * np.outer(unit, unit)
    call = format_call(
        "survival.panel_markov",
        **arguments,
        transitions=str(dict(transitions)),
        covariates=covariates if covariates is None or isinstance(covariates, str) else str(dict(covariates)),
        exact=exact,
        censored=None if censored is None else str(dict(censored)),
    )
    return PanelMarkovFit(
        states=graph.states,
        transitions=names,
        parameters=read_only(top.parameters * unit),
        covariance=read_only(covariance),
        terms=found.terms,
        of_transition=found.transitions,
        means=read_only(means),
        log_likelihood=top.value,
        nobs=len(design.x),
        n_events=visits.n_changes,
        n_persons=visits.n_persons,
        n_single=visits.n_single,
        converged=top.converged,
        provenance=design.provenance(call),
        design=design,
        coefficients_of=found,
        model=model,
        visits=visits,
    )


def _start(
    initial: Mapping[str, float] | None, names: tuple[str, ...], visits: PanelVisits, origin: IntArray
) -> FloatArray:
    """Intensities given, or moves seen over the time in the state; what was never seen is taken to be rare."""
    rate = visits.crude_rates(origin)
    seen = rate > 0
    rate[~seen] = 0.1 * (rate[seen].min() if seen.any() else 1.0)
    for name, value in (initial or {}).items():
        refuse_unknown(name, names, "initial")
        if not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
            raise OptionError(f"initial[{name!r}]={value!r} must be a positive number, an intensity")
        rate[names.index(name)] = value
    return rate


def _covariance(
    hessian: FloatArray, converged: bool, n_iter: int, names: tuple[str, ...], found: Coefficients
) -> FloatArray:
    labels = [*names, *(f"{t} ({g})" for t, g in zip(found.terms, found.transitions, strict=True))]
    diagonal = np.diag(-hessian)
    scale = np.sqrt(np.maximum(diagonal, 1e-12 * diagonal.max()))
    values, vectors = np.linalg.eigh(-hessian / np.outer(scale, scale))
    inverse = np.asarray((vectors / np.maximum(values, 1e-14)) @ vectors.T / np.outer(scale, scale))
    unknown = np.sqrt(np.diag(inverse))[: len(names)] > _NOTHING
    if values[0] > _FLAT and not unknown.any():
        if not converged:
            weakest = np.abs(vectors[:, 0]) > 0.3
            named = ", ".join(label for label, here in zip(labels, weakest, strict=True) if here)
            warn(
                f"the iteration did not converge in {n_iter} steps; look at {named} first, of which the data tell "
                "least, or try other initial intensities",
                ConvergenceWarning,
            )
        return inverse
    flat = (np.abs(vectors[:, values <= _FLAT]) > 0.3).any(axis=1)
    flat[: len(names)] |= unknown
    named = ", ".join(label for label, here in zip(labels, flat, strict=True) if here)
    warn(
        f"the data do not determine {named}: the likelihood is flat there (a transition that is hardly ever seen, or a "
        "covariate that does not vary among those at risk of it?). The estimate, and a standard error that is huge, "
        "mean nothing; leave it out",
        ConvergenceWarning,
    )
    return inverse
