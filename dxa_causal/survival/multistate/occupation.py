"""Which share of people is in which state over time, and how they get there, without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal._core.errors import OutcomeError, PredictorError
from dxa_causal._core.options import ConfType, Missing, check_option
from dxa_causal._design import read_groups
from dxa_causal.results.provenance import format_call
from dxa_causal.survival.multistate.histories import ORIGIN, TARGET, ranked, read_states
from dxa_causal.survival.multistate.occupation_result import StateOccupationFit, follow_group

if TYPE_CHECKING:
    pass

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TransitionVariance = Literal["greenwood", "aalen"]


def state_occupation(
    formula: str,
    data: Any,
    *,
    id: str,
    initial: str | None = None,
    weights: str | None = None,
    cluster: str | None = None,
    conf_type: ConfType = "log",
    missing: Missing = "drop",
) -> StateOccupationFit:
    r"""Estimate the probability of being in each state over time.

    Parameters
    ----------
    formula : str
        ``Surv(start, stop, state) ~ group`` or ``~ 1``, one row per person and
        interval; ``Surv(time, state)`` where each person has one row. The
        state is the one entered at the end of the row: a categorical whose
        first category is censoring (no change), or integers with 0 = no change.
    data : pandas or polars frame
    id : str
        Column that names the person.
    initial : str, optional
        Column with the state during the row. Without it everybody starts in
        "(s0)" and is then where the row before led to.
    weights : str, optional
        Column of positive weights.
    cluster : str, optional
        Column; rows with the same value are dependent. The person when omitted.
    conf_type : {"log", "log-log", "plain", "logit", "arcsin"}
        Scale on which limits of probabilities are symmetric.
    missing : {"drop", "raise"}

    Returns
    -------
    StateOccupationFit

    Raises
    ------
    OutcomeError
        Rows of a person overlap, or start in another state than the row before ended in.

    Warns
    -----
    GapWarning
        Rows of a person leave a gap.

    Notes
    -----
    :math:`\hat p(t) = \hat p(0) \prod_{u \le t} \{I + d\hat A(u)\}`, with the Nelson-Aalen increments of all
    transitions and, for :math:`\hat p(0)`, where those at risk at the first change of state are. Standard errors are
    those of the infinitesimal jackknife by person, as in R's ``survfit``: they hold whether or not the process is
    Markov. Costs O(persons x distinct times).

    References
    ----------
    Aalen OO, Johansen S. Scand J Stat 1978;5:141-150. https://www.jstor.org/stable/4615704
    Datta S, Satten GA. Stat Probab Lett 2001;55:403-411. doi:10.1016/S0167-7152(01)00155-9

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"id": [1, 1, 2, 3, 4], "start": [0, 2, 0, 0, 0], "stop": [2, 5, 3, 4, 6],
    ...                      "state": pd.Categorical(["ill", "dead", "dead", "", "ill"], ["", "ill", "dead"])})
    >>> fit = state_occupation("Surv(start, stop, state) ~ 1", rows, id="id")
    >>> fit.predict([3])[["state", "estimate"]].values.tolist()
    [['(s0)', 0.5], ['ill', 0.25], ['dead', 0.25]]
    """
    check_option("conf_type", conf_type, ConfType)
    frame, states = read_states(formula, data, id=id, initial=initial, missing=missing)
    columns = {"id": id, "initial": initial, "weights": weights, "cluster": cluster}
    added = {"origin": ORIGIN, "target": TARGET}
    groups = read_groups(formula, frame, arguments={**columns, **added}, missing=missing, causes=True)
    rows = groups.rows.frame
    origin, target = rows[ORIGIN].to_numpy(dtype=np.int64), rows[TARGET].to_numpy(dtype=np.int64)
    if not (target >= 0).any():
        raise OutcomeError(f"nobody changes state in the {origin.size} rows analysed")
    person = pd.factorize(rows[id])[0].astype(np.int64)
    if cluster is not None and rows[cluster].nunique() < 2:
        raise PredictorError(f"cluster={cluster!r} has one value in the rows analysed; robust errors need several")
    histories = ranked(groups.outcome, origin, target, person, states)
    steps, ahead = [], []
    for code, label in enumerate(groups.labels):
        found = follow_group(groups, histories, weights, cluster, code)
        k, n = found.probability.shape
        first = {"group": [label] * n, "state": list(states)}
        ahead.append(pd.DataFrame({**first, "estimate": found.start, "std_error": np.sqrt(found.start_variance)}))
        columns_of = {
            "group": [label] * (k * n),
            "time": np.repeat(histories.times.distinct[found.place], n),
            "state": list(states) * k,
            "n_risk": found.n_risk.ravel(),
            "n_event": found.n_event.ravel(),
            "estimate": found.probability.ravel(),
            "std_error": np.sqrt(found.variance).ravel(),
        }
        steps.append(pd.DataFrame(columns_of))
    call = format_call("survival.state_occupation", formula, **columns, conf_type=conf_type)
    return StateOccupationFit(
        groups=groups,
        states=states,
        steps=pd.concat(steps, ignore_index=True),
        at_start=pd.concat(ahead, ignore_index=True),
        id=id,
        initial=initial,
        weights=weights,
        cluster=cluster,
        conf_type=conf_type,
        nobs=origin.size,
        n_events=int((target >= 0).sum()),
        n_persons=int(person.max()) + 1,
        provenance=groups.provenance(call),
        histories=histories,
    )
