"""What a scan found: tables over all pairs, pictures, and the way back to one pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from dxa_causal._core.errors import OptionError, nearest
from dxa_causal._core.options import check_whole_number
from dxa_causal.mr._kernels.adjusted_p import benjamini_hochberg
from dxa_causal.mr.harmonise import Action, harmonise
from dxa_causal.mr.harmonised import Harmonised
from dxa_causal.mr.joining import By
from dxa_causal.mr.method_table import method_table
from dxa_causal.mr.scanning.exposures import Exposures, Source, read_source
from dxa_causal.results import Provenance, Result, Summary, wald_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_SHOWN = 15


class Sources(NamedTuple):
    """Instruments, outcomes by name, and the options of `harmonise`."""

    exposures: Exposures
    outcomes: dict[str, Source]
    action: Action
    tolerance: float
    by: By


@dataclass(frozen=True, eq=False, repr=False)
class ScanResult(Result):
    """Estimates of many exposures on many outcomes.

    Attributes
    ----------
    exposures, outcomes : tuple of str
    found : DataFrame
        exposure, outcome, method, term, estimate, std_error, df, p_value
        (where it is not Wald's), n_variants.
    q : DataFrame
        exposure, outcome, method, q, df.
    not_applicable : DataFrame
        exposure, outcome, method, reason: what was asked for and could not be.
    counts : DataFrame
        exposure, outcome, status, reason, n_variants: what became of every
        instrument of every pair.
    sources : Sources
        What was scanned, and how it was harmonised.
    nobs : int
        Pairs.
    """

    title: ClassVar[str] = "Scan by Mendelian randomisation"

    exposures: tuple[str, ...]
    outcomes: tuple[str, ...]
    found: pd.DataFrame
    q: pd.DataFrame
    not_applicable: pd.DataFrame
    counts: pd.DataFrame
    sources: Sources
    nobs: int
    provenance: Provenance
    estimand: str = "effect of each exposure on each outcome per unit of the exposure"

    def tidy(self, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row per pair, method and term, sorted by method, term and p-value; `p_bh` is the false discovery rate.

        `p_bh` is over all pairs of a method and term.
        """
        f = self.found
        table = method_table(
            f["method"], f["term"], f["estimate"], f["std_error"], f["df"].astype(float), conf_level=conf_level,
            exponentiate=exponentiate,
        )  # fmt: skip
        own = f["p_value"].notna().to_numpy()
        table.loc[own, "p_value"] = f["p_value"].to_numpy(dtype=float)[own]
        table.insert(0, "exposure", f["exposure"].to_numpy())
        table.insert(1, "outcome", f["outcome"].to_numpy())
        table["p_bh"] = np.nan
        for rows in table.groupby(["method", "term"], sort=False).indices.values():
            at = table.index[rows]
            table.loc[at, "p_bh"] = benjamini_hochberg(table.loc[at, "p_value"].to_numpy(dtype=float))
        table["n_variants"] = f["n_variants"].to_numpy()
        return table.sort_values(["method", "term", "p_value", "exposure", "outcome"], ignore_index=True)

    def heterogeneity(self) -> pd.DataFrame:
        """Cochran's and Rucker's Q: exposure, outcome, method, statistic, df, p_value, p_bh."""
        from scipy.special import chdtrc

        table = self.q.rename(columns={"q": "statistic"})
        p = chdtrc(table["df"].to_numpy(dtype=float), table["statistic"].to_numpy(dtype=float))
        table = table.assign(p_value=p, p_bh=np.nan)
        for rows in table.groupby("method", sort=False).indices.values():
            at = table.index[rows]
            table.loc[at, "p_bh"] = benjamini_hochberg(table.loc[at, "p_value"].to_numpy(dtype=float))
        return table

    def pooled(self, conf_level: float = 0.95) -> pd.DataFrame:
        r"""IVW (Wald ratio of one variant) with the heterogeneity of each outcome pooled over all exposures.

        Returns
        -------
        DataFrame
            exposure, outcome, method, estimate, std_error, statistic, p_value, limits, p_bh, scale, n_variants; the
            smallest p first. One row per pair with an estimate by "ivw", "ivw_fe" or "wald_ratio".

        Raises
        ------
        OptionError
            None of the three was scanned.

        Notes
        -----
        With three to five variants a pair's own residual scale hangs on two to four degrees of freedom, and the
        normal p-values of random-effects IVW are too small where variants have direct effects: with balanced ones
        as large as the outcome's errors 9 % of pairs without effect had p < 0.05, and 18 % of the discoveries at a
        rate of 5 % were false (``docs/explanation/mr_two_simulations.md``). Here fixed-effect errors of all
        pairs of an outcome are widened by

        .. math:: \hat\phi = \sqrt{\max\left(1, \sum_k Q_k / \sum_k (n_k - 1)\right)},

        which kept the rate at its level. It takes direct effects to be alike for all exposures.
        """
        table = self.tidy(conf_level).query("term == 'effect' and method in ('ivw', 'ivw_fe', 'wald_ratio')")
        if table.empty and not {"ivw", "ivw_fe", "wald_ratio"} & set(self.not_applicable["method"]):
            raise OptionError("pooled: scan with method 'ivw', 'ivw_fe' or 'wald_ratio' first")
        rank = table["method"].map({"ivw_fe": 0, "ivw": 1, "wald_ratio": 2})
        table = table.assign(rank=rank).sort_values("rank", kind="stable").drop_duplicates(["exposure", "outcome"])
        q = self.q[self.q["method"] == "ivw"].astype({"q": float, "df": float})
        total = q.groupby("outcome")[["q", "df"]].sum()
        scale = np.sqrt(np.maximum(total["q"] / total["df"], 1.0)).reindex(self.outcomes, fill_value=1.0)
        own = table.merge(q, on=["exposure", "outcome"], how="left", suffixes=("", "_of_q"))
        widened = (own["method"] == "ivw") & own["q"].notna()
        fixed = own["std_error"] / np.where(widened, np.sqrt(np.maximum(own["q"] / own["df_of_q"], 1.0)), 1.0)
        own_scale = own["outcome"].map(scale).to_numpy(dtype=float)
        columns = wald_columns(own["estimate"], fixed * own_scale, conf_level=conf_level)
        found = own[["exposure", "outcome", "method"]].assign(
            **columns, p_bh=benjamini_hochberg(columns["p_value"]), scale=own_scale, n_variants=own["n_variants"]
        )
        return found.sort_values(["p_value", "exposure", "outcome"], ignore_index=True)

    def glance(self) -> pd.DataFrame:
        """One row: n_exposures, n_outcomes, n_variants (kept, over all pairs)."""
        kept = int(self.counts.loc[self.counts["status"] == "kept", "n_variants"].sum())
        row = {"n_exposures": len(self.exposures), "n_outcomes": len(self.outcomes), "n_variants": kept}
        return pd.DataFrame([row])

    def pair(self, exposure: str, outcome: str) -> Harmonised:
        """Harmonise one pair anew, with its audit: for `estimate`, `presso` and all other doubts."""
        exposure, outcome = str(exposure), str(outcome)
        for name, value, known in (("exposure", exposure, self.exposures), ("outcome", outcome, self.outcomes)):
            if value not in known:
                near = ", ".join(repr(n) for n in nearest(value, list(known), n=3))
                raise OptionError(f"{name}={value!r} was not scanned" + (f"; near it: {near}" if near else ""))
        s = self.sources
        source = read_source(s.outcomes[outcome])
        found = harmonise(s.exposures.only(exposure), source, action=s.action, tolerance=s.tolerance, by=s.by)
        return replace(found, exposure=exposure, outcome=outcome)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Volcano: effect and p-value of every pair by IVW (Wald ratio of one variant), the clearest named."""
        from dxa_causal.plots.mr_scan import volcano

        return volcano(self._main(), ax=ax)

    def heatmap(self, ax: Axes | None = None, *, n_exposures: int = 40) -> Axes:
        """Draw z statistics of the exposures with the smallest p-values on all outcomes; dots mark a rate below 5 %."""
        from dxa_causal.plots.mr_scan import heatmap

        check_whole_number("n_exposures", n_exposures, 1)
        return heatmap(self._main(), n_exposures=n_exposures, ax=ax)

    def _main(self) -> pd.DataFrame:
        """One row per pair: IVW, or the Wald ratio of pairs with one variant, with a rate over both."""
        table = self.tidy().query("term == 'effect'")
        order = {"ivw": 0, "wald_ratio": 1}
        rank = table["method"].map(lambda m: order.get(m, 2))
        best = table.assign(rank=rank).sort_values("rank", kind="stable").drop_duplicates(["exposure", "outcome"])
        return best.drop(columns="rank").assign(p_bh=benjamini_hochberg(best["p_value"].to_numpy(dtype=float)))

    def summary(self, conf_level: float = 0.95) -> Summary:
        """Print the pairs with the smallest p-values."""
        main = self._main()
        best = main.nsmallest(_SHOWN, "p_value")
        shown = best[["exposure", "outcome", "method", "estimate", "std_error", "p_value", "p_bh", "n_variants"]]
        notes = [f"{int((main['p_bh'] < 0.05).sum())} of {self.nobs} pairs below a false discovery rate of 5 %"]
        if len(main) < self.nobs:
            notes.append(
                f"{self.nobs - len(main)} pairs without an estimate: not_applicable says why, counts what left"
            )
        return Summary(self.title, [*([shown] if len(main) else []), self.glance()], [*notes, *self._notes()])
