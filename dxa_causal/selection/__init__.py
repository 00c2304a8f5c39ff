"""Feature selectors for use inside a Pipeline: filters, elastic net, forests, stability selection."""

from dxa_causal.selection.comparison import SelectorComparison, compare
from dxa_causal.selection.elastic_net import ElasticNetSelector
from dxa_causal.selection.filters import CorrelationPruner, MutualInformation, VarianceFilter
from dxa_causal.selection.forest import ForestImportance
from dxa_causal.selection.selector import Selector
from dxa_causal.selection.stability import StabilitySelection

__all__ = [
    "CorrelationPruner",
    "ElasticNetSelector",
    "ForestImportance",
    "MutualInformation",
    "Selector",
    "SelectorComparison",
    "StabilitySelection",
    "VarianceFilter",
    "compare",
]
