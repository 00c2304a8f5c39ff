"""What every result looks like: protocol, vocabulary, tests as values, provenance."""

from dxa_causal.results.glossary import GLANCE, TIDY
from dxa_causal.results.hypothesis import HypothesisTest, NotApplicable
from dxa_causal.results.protocol import Result, read_only, wald_columns
from dxa_causal.results.provenance import Provenance, versions
from dxa_causal.results.summary import Summary, format_value

__all__ = [
    "GLANCE",
    "TIDY",
    "HypothesisTest",
    "NotApplicable",
    "Provenance",
    "Result",
    "Summary",
    "format_value",
    "read_only",
    "versions",
    "wald_columns",
]
