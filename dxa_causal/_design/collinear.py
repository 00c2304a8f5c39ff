"""Columns of a design matrix that others determine, refused by name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import CollinearityError
from dxa_causal._design.matrix import Design
from dxa_causal._numerics.rank import dependent_columns


def refuse_collinear(design: Design, strata: npt.NDArray[np.int64] | None = None) -> None:
    """Raise `CollinearityError` naming columns that other columns determine, within strata if given."""
    skip = 1 if design.intercept else 0
    terms = design.terms[skip:]
    dependent = dependent_columns(design.x[:, skip:], strata)
    if not dependent:
        return
    within = "" if strata is None else " within strata"
    said = []
    for j, others in dependent.items():
        made_of = ", ".join(repr(terms[k]) for k in others)
        said.append(
            f"{terms[j]!r} is "
            + (f"a linear combination of {made_of}" if others else "constant up to rounding")
            + within
        )
    raise CollinearityError(f"{'; '.join(said)}. Leave {'it' if len(said) == 1 else 'them'} out of the formula")
