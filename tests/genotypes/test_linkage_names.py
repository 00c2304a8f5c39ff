"""Names with alleles, and a matrix of squares."""

import numpy as np
import pandas as pd
import pytest

from dxa_causal import mr
from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal._core.warnings import SummaryStatisticsWarning


def harmonised(n=8):
    frame = pd.DataFrame(
        {"variant": [f"rs{i}" for i in range(n)], "effect_allele": "A", "other_allele": "G", "beta": 0.1, "se": 0.01}
    )
    return mr.harmonise(frame, frame)


def correlations(n=8):
    sign = np.where(np.arange(n) % 2, -1.0, 1.0)
    return 0.5 ** np.abs(np.subtract.outer(np.arange(n), np.arange(n))) * np.outer(sign, sign)


def test_names_of_ieugwasr():
    h, r = harmonised(), correlations()
    names = [f"rs{i}_{'G_A' if i % 3 == 0 else 'A_G'}" for i in range(8)]
    turned = np.where(np.arange(8) % 3 == 0, -1.0, 1.0)
    found = h.with_ld(pd.DataFrame(r * np.outer(turned, turned), index=names, columns=names))
    np.testing.assert_allclose(found.ld, r)
    with pytest.raises(SummaryStatisticsError, match=r"the matrix has 'x0', 'x1', 'x2'"):
        h.with_ld(r, variants=[f"x{i}" for i in range(8)])


def test_squares_are_suspected():
    with pytest.warns(SummaryStatisticsWarning, match="is it r squared"):
        harmonised().with_ld(correlations() ** 2 + 0.02 * (1 - np.eye(8)), variants=[f"rs{i}" for i in range(8)])
