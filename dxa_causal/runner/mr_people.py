"""Who is in both studies of a ``[[mr]]`` block, and what that may do to the estimate."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dxa_causal import mr
from dxa_causal._core.warnings import SharedPeopleWarning, warn
from dxa_causal.mr.sample_overlap.mrlap import few_instruments
from dxa_causal.report import BlockWriter
from dxa_causal.runner.blocks import MrBlock, People
from dxa_causal.runner.mr_instruments import threshold

_GRID = (-0.4, -0.2, 0.0, 0.2, 0.4)


def shared_people(block: MrBlock, h: mr.Harmonised, writer: BlockWriter, seed: int) -> str:
    """Say who is in both studies and show the estimate under several correlations of errors; return it in words."""
    people = block.people
    if people is None:
        return ""
    sides = f"exposure: {', '.join(people.exposure)}; outcome: {', '.join(people.outcome)}"
    if not people.common:
        return f"{sides}. No cohort has the same name on both sides."
    common = ", ".join(people.common)
    psi = _error_correlation(people, h)
    unknown = "the share and the correlation of the traits are not stated"
    if people.shared is not None:
        unknown = "not known, since a file has no sample sizes (column n)"
    known = unknown if psi is None else f"{psi:.3f} as stated"
    said = f"{sides}. People of {common} are on both sides; correlation of the errors: {known}"
    warn(
        f"{block.exposure_label} and {block.outcome_label}: people of {common} are in both studies. The errors of both "
        f"files then correlate, which pulls estimates towards the observational association, the more the weaker the "
        f"instruments",
        SharedPeopleWarning,
    )
    writer.text.append(
        f"Overlap: people of {common} are in both studies. A variant that by chance looks stronger in them for the "
        f"exposure looks so for the outcome too, in proportion to the correlation of the errors: people in both over "
        f"the root of both sample sizes, times the correlation of the traits. With weak or selected instruments "
        f"estimates move towards the observational association; without shared people they move towards zero."
    )
    if people.shared is not None and psi is None:
        writer.text.append(
            "Share and correlation are stated, but a file has no sample sizes (column n): what they imply is not shown."
        )
    if h.n_variants < 2:
        writer.text.append("One variant: the estimate under other correlations of the errors is not shown.")
        return said
    writer.table(
        _table(block, h, psi),
        "overlap",
        "The effect by maximum likelihood if the errors correlated as stated in the first column (selection of the "
        "variants not allowed for); and IVW with effects on the exposure shrunk for their selection, which "
        "over-corrects: a bound.",
    )
    if psi is not None and people.h2 is not None:
        if why := _not_corrected(h):
            writer.text.append(f"Not corrected for overlap by MRlap: {why}.")
        else:
            _corrected(block, h, people.h2, psi, writer, seed)
    return said


def _not_corrected(h: mr.Harmonised) -> str:
    if h.correlated:
        return "it takes the variants for independent, and ld gives correlations"
    return few_instruments(h.n_variants)


def _error_correlation(people: People, h: mr.Harmonised) -> float | None:
    if people.shared is None or people.correlation is None:
        return None
    n_x, n_y = (h.table[f"n_{side}"].astype(float).mean() for side in ("exposure", "outcome"))
    if not (np.isfinite(n_x) and np.isfinite(n_y)):
        return None
    return float(people.correlation * people.shared * min(n_x, n_y) / np.sqrt(n_x * n_y))


def _table(block: MrBlock, h: mr.Harmonised, psi: float | None) -> pd.DataFrame:
    grid = sorted({*_GRID, *(() if psi is None else (round(psi, 6),))})
    rows = []
    for value in grid:
        row = mr.maxlik(h, psi=value).tidy().iloc[0]
        what = "as stated" if psi is not None and value == round(psi, 6) else "what if"
        rows.append(_row("nobody shared" if value == 0.0 and psi != 0.0 else what, value, row))
    shrunk = mr.shrink(h, threshold(block), estimate="mean")
    if isinstance(shrunk, mr.ShrunkEffects):
        rows.append(_row("IVW, shrunk effects", np.nan, mr.ivw(shrunk.harmonised).tidy().iloc[0]))
    return pd.DataFrame(rows)


def _row(what: str, psi: float, row: pd.Series) -> dict[str, object]:
    columns = ("estimate", "std_error", "conf_low", "conf_high")
    return {"what": what, "error_correlation": psi, **{c: row[c] for c in columns}}


def _corrected(block: MrBlock, h: mr.Harmonised, h2: float, psi: float, writer: BlockWriter, seed: int) -> None:
    fit = mr.overlap_correction(h, p1=threshold(block), h2=h2, error_correlation=psi, seed=seed)
    table = fit.tidy()
    if isinstance(fit, mr.OverlapCorrection):
        writer.notes += list(fit.provenance.notes)
        per_unit = float(mr.ivw(h).tidy()["estimate"].iloc[0]) / fit.observed
        table.insert(2, "in_units_of_the_files", table["estimate"] * per_unit)
    writer.table(
        table,
        "overlap_correction",
        f"IVW corrected for overlap, winner's curse and weak instruments at once (MRlap), heritability {h2:g}; in "
        f"standard deviations (what covariates leave of them) of both traits.",
    )
