"""The cohort itself: who was included, who was left out, what they look like."""

from dxa_causal.cohort.participant_flow import exclude, flow
from dxa_causal.cohort.table_one import TableOne, table_one

__all__ = ["TableOne", "exclude", "flow", "table_one"]
