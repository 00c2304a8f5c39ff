"""Missing values: multiple imputation by chained equations, and Rubin's rules for any result."""

from dxa_causal.imputation.chained import chained
from dxa_causal.imputation.imputations import Imputations
from dxa_causal.imputation.long_format import from_long
from dxa_causal.imputation.pooling import PooledFit, pool

__all__ = ["Imputations", "PooledFit", "chained", "from_long", "pool"]
