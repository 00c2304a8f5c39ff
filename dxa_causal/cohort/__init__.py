"""The cohort itself: who was included, who was left out, what they look like."""

from dxa_causal.cohort.table_one import TableOne, table_one
from dxa_causal.followup.eligibility import exclude, flow

__all__ = ["TableOne", "exclude", "flow", "table_one"]
