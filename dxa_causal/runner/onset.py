"""``[[onset]]``: what predicts an onset that is seen only at visits, when people die in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from dxa_causal import survival
from dxa_causal._core.errors import StudyFileError
from dxa_causal._design import Design, IntervalOutcome, build_design
from dxa_causal.plots.coefficients import forest
from dxa_causal.plots.style import term_label
from dxa_causal.plots.survival import step_curves
from dxa_causal.report import BlockWriter
from dxa_causal.runner.blocks import OnsetBlock

FloatArray = npt.NDArray[np.float64]

_ILL, _DEAD = "healthy -> ill", "healthy -> dead"
_COLUMNS = ["transition", "term", "method", "estimate", "std_error", "conf_low", "conf_high", "p_value"]


@dataclass(frozen=True, eq=False)
class _Lives:
    """The people of a block, as the naive analyses see them."""

    block: OnsetBlock
    frame: pd.DataFrame

    @cached_property
    def design(self) -> Design:
        return build_design(f"{self.block.death} ~ {self.block.covariates}", self.frame, beside=self.block.onset)

    @cached_property
    def visits(self) -> IntervalOutcome:
        if self.design.beside is None:
            raise StudyFileError(f"onset = {self.block.onset!r} must be Surv(left, right, type='interval')")
        return self.design.beside

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.visits.right)

    @property
    def entry(self) -> FloatArray:
        entry = self.design.survival.entry
        return np.zeros(self.found.size) if entry is None else entry

    def cox(self, time: FloatArray, event: npt.NDArray[np.bool_]) -> pd.DataFrame:
        """Hazard ratios from entry to `time`; who was seen once only has no time."""
        rows = self.design.rows.frame.assign(_entry=self.entry, _time=time, _event=event.astype(int))
        fit = survival.cox(f"Surv(_entry, _time, _event) ~ {self.block.covariates}", rows[time > self.entry])
        return fit.tidy(exponentiate=True)

    def incidence(self, onset: FloatArray, times: list[float]) -> pd.DataFrame:
        """Aalen-Johansen incidence of the illness among those healthy at the start, onset taken for known."""
        lives = self.design.survival
        ill = np.isfinite(onset) & (onset <= lives.time)
        cause = np.where(ill, 1, 2 * lives.event)
        data = pd.DataFrame(
            {"entry": np.maximum(self.entry, self.block.start), "time": np.where(ill, onset, lives.time)}
        )
        data["cause"] = pd.Categorical.from_codes(cause, ["alive", "ill", "dead"])
        fit = survival.aalen_johansen("Surv(entry, time, cause) ~ 1", data[data["time"] > data["entry"]])
        table = fit.predict(times)
        return table.loc[table["cause"] == "ill", ["time", "estimate", "conf_low", "conf_high"]]


def onset(block: OnsetBlock, writer: BlockWriter, frame: pd.DataFrame, truth: Mapping[str, float]) -> None:
    """Write the distribution of onset, its effects by several analyses side by side, and the illness-death model."""
    lives = _Lives(block, frame)
    fit = survival.illness_death(
        ill=block.onset, death=block.death, covariates=block.covariates, data=frame, hazards=block.hazards
    )
    _distribution(block, writer, lives)
    _effects(block, writer, lives, fit, truth)
    _risks(block, writer, lives)
    _illness_death(block, writer, fit, truth)
    if block.people:
        _people(block, writer, fit)
    once = int(((lives.visits.left <= lives.entry) & ~lives.found).sum())
    if once:
        writer.notes.append(f"{once} people were seen at one visit only: Cox models of onset leave them out")
    writer.notes += [f"{block.onset}; {block.death}; covariates: {block.covariates}", fit.provenance.describe()]


def _distribution(block: OnsetBlock, writer: BlockWriter, lives: _Lives) -> None:
    """Turnbull's curve from the start on: before it, few are at risk where people enter late."""
    rows, visits = lives.frame.loc[lives.design.index], lives.visits
    entry = np.maximum(lives.entry, block.start)
    rows = rows.assign(_left=np.maximum(visits.left, entry), _right=visits.right, _entry=entry)
    formula = f"Surv(_left, _right, type='interval') ~ {block.group or 1}"
    fit = survival.turnbull(formula, rows[visits.right > entry], entry=None if (entry == 0).all() else "_entry")
    writer.figure(
        fit.plot(time_label=block.time_label),
        "free",
        f"Share of those healthy at {block.start:g} still free of the illness, by Turnbull's estimate, which takes "
        "death for censoring; shaded where the curve may lie anywhere.",
    )
    writer.table(fit.tidy(), "free_steps", "Every interval of the curve:", kind="file")


def _effects(
    block: OnsetBlock,
    writer: BlockWriter,
    lives: _Lives,
    fit: survival.IllnessDeathFit,
    truth: Mapping[str, float],
) -> None:
    """Effects on onset and on death without it, analysis by analysis."""
    interval = f"{block.onset} ~ {block.covariates}"
    visits, found, end = lives.visits, lives.found, lives.design.survival
    free = survival.interval_cox(interval, lives.frame, entry=block.entry)
    weibull = survival.parametric(
        interval, lives.frame, distribution="weibull", parameterisation="ph", entry=block.entry
    )
    joint = fit.tidy(exponentiate=True)
    middle = (visits.left + visits.right) / 2
    analyses = {
        (_ILL, "Cox, onset at the visit that found it"): lives.cox(np.where(found, visits.right, visits.left), found),
        (_ILL, "Cox, onset in the middle"): lives.cox(np.where(found, middle, visits.left), found),
        (_ILL, "Cox, healthy until death unless found ill"): lives.cox(np.where(found, visits.right, end.time), found),
        (_ILL, "interval-censored Cox"): free.tidy(exponentiate=True),
        (_ILL, "interval-censored Weibull"): weibull.tidy(exponentiate=True),
        (_ILL, "illness-death"): joint[joint["transition"] == _ILL],
        (_DEAD, "Cox, healthy until death unless found ill"): lives.cox(
            np.where(found, visits.right, end.time), ~found & (end.event == 1)
        ),
        (_DEAD, "illness-death"): joint[joint["transition"] == _DEAD],
    }
    terms = list(dict.fromkeys(joint["term"]))
    tables = [t[t["term"].isin(terms)].assign(transition=k, method=m) for (k, m), t in analyses.items()]
    table = pd.concat(tables, ignore_index=True)[_COLUMNS]
    order = np.lexsort([table["term"].map(terms.index), table["transition"].map([_ILL, _DEAD].index)])
    table = table.iloc[order].reset_index(drop=True)
    caption = "Hazard ratios with 95% limits, by analysis; the standard error is of the logarithm."
    if block.truth:
        table = table.assign(truth=_true(block, truth, table))
        caption += " Truth: the value the cohort was simulated with."
    writer.table(table, "effects", caption)
    for transition, name in ((_ILL, "onset"), (_DEAD, "death_without")):
        drawn = table[table["transition"] == transition]
        drawn = drawn.assign(line=drawn["term"].map(term_label) + ": " + drawn["method"])
        what = "Hazard ratio of onset" if transition == _ILL else "Hazard ratio of death without the illness"
        writer.figure(forest(drawn, effect_measure=what, label="line"), f"{name}_forest", f"{what}, by analysis.")


def _risks(block: OnsetBlock, writer: BlockWriter, lives: _Lives) -> None:
    """Share of the healthy at the start who fall ill by some times, death left in place."""
    whole = survival.illness_death(ill=block.onset, death=block.death, data=lives.frame, hazards=block.hazards)
    anybody = pd.DataFrame(index=["all"])
    times = np.union1d(np.linspace(block.start, max(block.at), 81)[1:], block.at).tolist()
    joint = whole.predict(anybody, type="cumulative_incidence", start=block.start, times=times)
    tables = {
        "Aalen-Johansen, onset at the visit that found it": lives.incidence(lives.visits.right, times),
        "illness-death": joint[["time", "estimate", "conf_low", "conf_high"]],
    }
    if block.true_onset is not None:
        known = lives.frame.loc[lives.design.index, block.true_onset].to_numpy(dtype=np.float64)
        tables["Aalen-Johansen, onset known (simulation)"] = lives.incidence(known, times)
    drawn = pd.concat([t.assign(group=name) for name, t in tables.items()], ignore_index=True)
    table = drawn[drawn["time"].isin(block.at)].rename(columns={"group": "method"})
    table = table[["method", "time", "estimate", "conf_low", "conf_high"]].reset_index(drop=True)
    caption = f"Share of those healthy at {block.start:g} who fall ill by a time, death left in place."
    writer.table(table, "risks", caption)
    label = block.time_label or "Time"
    writer.figure(
        step_curves(drawn, value_label="Cumulative incidence", start=0.0, origin=block.start, time_label=label),
        "risks",
        caption,
    )


def _illness_death(
    block: OnsetBlock, writer: BlockWriter, fit: survival.IllnessDeathFit, truth: Mapping[str, float]
) -> None:
    table = fit.tidy(exponentiate=True)
    caption = f"Illness-death model ({block.hazards} hazards): hazard ratios of each transition with 95% limits."
    if block.truth:
        table = table.assign(truth=_true(block, truth, table))
        caption += " Truth: the value the cohort was simulated with."
    writer.table(table, "transitions", caption)
    if block.hazards != "splines":
        writer.table(fit.baseline(), "baseline", "Shape and scale of the hazards at covariates of zero.")
    writer.figure(fit.plot(time_label=block.time_label), "hazards", "Hazards of the three transitions, 95% limits.")
    writer.table(fit.glance(), "fit", "The fit as a whole.")


def _people(block: OnsetBlock, writer: BlockWriter, fit: survival.IllnessDeathFit) -> None:
    new = pd.DataFrame(list(block.people.values()), index=list(block.people))
    for kind, caption in (
        ("lifetime_risk", f"Chance of ever falling ill, for people healthy at {block.start:g}."),
        ("life_expectancy", f"Time ahead of people healthy at {block.start:g}: in health, with the illness, in all."),
    ):
        writer.table(fit.predict(new, type=kind, start=block.start), kind, caption)


def _true(block: OnsetBlock, truth: Mapping[str, float], table: pd.DataFrame) -> FloatArray:
    """Hazard ratios of the simulation, for the lines of a table."""
    unknown = sorted(set(block.truth) - set(table["term"]))
    if unknown:
        raise StudyFileError(f"truth: {unknown} are not terms of the model; its terms are {sorted(set(table['term']))}")
    keys = [f"{transition}: {block.truth.get(term)}" for transition, term in zip(table["transition"], table["term"])]
    absent = [key for term, key in zip(table["term"], keys) if term in block.truth and key not in truth]
    if absent:
        raise StudyFileError(f"truth: the cohort knows no {absent[0]!r}; it knows {sorted(truth)}")
    return np.exp([truth.get(key, np.nan) for key in keys])
