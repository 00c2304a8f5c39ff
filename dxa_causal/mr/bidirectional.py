"""Both directions at once: does the exposure cause the outcome, or the outcome the exposure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from dxa_causal._core.errors import SummaryStatisticsError
from dxa_causal._core.rng import Seed, spawn
from dxa_causal._core.warnings import SummaryStatisticsWarning, warn
from dxa_causal.mr.estimates import MREstimates, estimate, seed_shown
from dxa_causal.mr.estimator import Convention, check_harmonised
from dxa_causal.mr.estimators import Method
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.results import Provenance, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class BidirectionalEstimates(Result):
    """Estimates of the exposure on the outcome and of the outcome on the exposure.

    Attributes
    ----------
    forward, reverse : MREstimates
    shared : tuple of str
        Variants used in both directions.
    nobs : int
        Variants of both.
    """

    title: ClassVar[str] = "Bidirectional Mendelian randomisation"

    forward: MREstimates
    reverse: MREstimates
    shared: tuple[str, ...]
    nobs: int
    provenance: Provenance
    estimand: str = "effect of each trait on the other, per unit"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per direction, method and term: exposure and outcome, then the columns of `estimate`."""
        parts = []
        for fit in (self.forward, self.reverse):
            part = fit.tidy(conf_level, exponentiate)
            part.insert(0, "exposure", fit.harmonised.exposure)
            part.insert(1, "outcome", fit.harmonised.outcome)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """One row: n_variants of both directions together."""
        return pd.DataFrame({"n_variants": [self.nobs]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest of the effects in both directions."""
        from dxa_causal.plots.coefficients import forest

        table = self.tidy().query("term == 'effect'")
        named = table.assign(term=table["exposure"] + " on " + table["outcome"] + ", " + table["method"])
        return forest(named, effect_measure="Effect", reference=0.0, log=False, ax=ax)

    def _notes(self) -> list[str]:
        notes = super()._notes()
        if self.shared:
            some = ", ".join(self.shared[:5])
            notes.insert(
                0, f"{len(self.shared)} variants are instruments in both directions ({some}): valid in one at most"
            )
        return notes


def bidirectional(
    forward: Harmonised,
    reverse: Harmonised,
    methods: Sequence[Method] | Method = ("ivw", "egger", "weighted_median"),
    *,
    convention: Convention = "twosamplemr",
    seed: Seed = None,
    n_draws: int = 1000,
) -> BidirectionalEstimates:
    """Estimate the effect of one trait on another and back.

    Parameters
    ----------
    forward : Harmonised
        Instruments of the first trait: its effects, and those on the second.
    reverse : Harmonised
        Instruments of the second trait: its effects, and those on the first.
    methods, convention, seed, n_draws
        As in :func:`estimate`; each direction has a stream of its own.

    Returns
    -------
    BidirectionalEstimates

    Warns
    -----
    SummaryStatisticsWarning
        Variants are instruments in both directions: they can be valid in one
        at most. :func:`steiger_filter` says in which.

    References
    ----------
    Davey Smith G, Hemani G. Hum Mol Genet 2014;23:R89-R98. doi:10.1093/hmg/ddu328
    Hemani G et al. PLoS Genet 2017;13:e1007081. doi:10.1371/journal.pgen.1007081

    Examples
    --------
    >>> sides = {"se_exposure": [0.01] * 3, "se_outcome": [0.01] * 3, "beta_exposure": [0.1, 0.2, 0.3]}
    >>> forward = Harmonised.from_arrays(beta_outcome=[0.05, 0.1, 0.15], variant=["rs1", "rs2", "rs3"], **sides)
    >>> back = Harmonised.from_arrays(beta_outcome=[0.0, 0.01, 0.0], variant=["rs4", "rs5", "rs6"], **sides)
    >>> bidirectional(forward, back, "ivw").tidy()["estimate"].round(2).tolist()
    [0.5, 0.01]
    """
    for h in (forward, reverse):
        check_harmonised(h)
    one, other = (
        estimate(h, methods, convention=convention, seed=stream, n_draws=n_draws)
        for h, stream in zip((forward, reverse), spawn(seed, 2), strict=True)
    )
    names = {forward.exposure, forward.outcome, reverse.exposure, reverse.outcome} - {"exposure", "outcome"}
    if names and (forward.exposure, forward.outcome) != (reverse.outcome, reverse.exposure) and len(names) > 2:
        raise SummaryStatisticsError(
            f"forward is {forward.exposure} on {forward.outcome}, reverse {reverse.exposure} on {reverse.outcome}: not "
            f"the same two traits. Give them the same names if they are"
        )
    used = set(reverse.table["variant"])
    shared = tuple(str(v) for v in forward.table["variant"] if v in used and not str(v).startswith("variant_"))
    if shared:
        warn(
            f"{len(shared)} variants are instruments in both directions, first {', '.join(shared[:3])}: each can be "
            f"valid in one at most; mr.steiger_filter says in which",
            SummaryStatisticsWarning,
        )
    n = forward.n_variants + reverse.n_variants
    call = f"mr.bidirectional(forward, reverse, methods={methods!r}, seed={seed_shown(seed)!r})"
    return BidirectionalEstimates(
        forward=one, reverse=other, shared=shared, nobs=n,
        provenance=Provenance(call=call, n_rows=n, n_used=n, seed=seed_shown(seed), notes=()),
    )  # fmt: skip
