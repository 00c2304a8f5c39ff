"""The formula door: the one way from a formula and a frame to arrays."""

from dxa_causal._design.collinear import refuse_collinear
from dxa_causal._design.groups import Groups, read_groups
from dxa_causal._design.interval import IntervalOutcome
from dxa_causal._design.matrix import Design, build_design, to_pandas
from dxa_causal._design.outcome import SurvivalOutcome

__all__ = [
    "Design",
    "Groups",
    "IntervalOutcome",
    "SurvivalOutcome",
    "build_design",
    "read_groups",
    "refuse_collinear",
    "to_pandas",
]
