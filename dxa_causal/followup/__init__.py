"""Person-time: long visits to start-stop rows, interval-censored outcomes, landmark sets, splits."""

from dxa_causal.followup.changes import Change, cumevent, cumtdc, event, tdc
from dxa_causal.followup.check import check_start_stop
from dxa_causal.followup.eligibility import exclude, flow
from dxa_causal.followup.landmark import landmark
from dxa_causal.followup.lexis import lexis_split
from dxa_causal.followup.split import split
from dxa_causal.followup.start_stop import start_stop
from dxa_causal.followup.visit_outcome import visit_outcome

__all__ = [
    "Change",
    "check_start_stop",
    "cumevent",
    "cumtdc",
    "event",
    "exclude",
    "flow",
    "landmark",
    "lexis_split",
    "split",
    "start_stop",
    "tdc",
    "visit_outcome",
]
