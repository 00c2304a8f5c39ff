"""What may stand in the tables of a ``study.toml``: cohorts and blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from dxa_causal._core.options import ConfType, Estimand, Ties
from dxa_causal.mr.estimators import Method

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


Column = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]


class Table(BaseModel):
    """A table of the file: no key but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class About(Table):
    """``[study]``."""

    title: str
    description: str = ""
    seed: int = Field(default=1, ge=0)


class Exclusion(Table):
    """One line of the participant flow: rows where `where` holds leave, because of `because`."""

    where: str
    because: str


class Simulation(Table):
    """A simulated cohort of `n` people: "forearm" with scans, or "illness_death" with onset between visits and death.

    Of the latter: `visit_gap` is the mean time between visits, years; `effects` log hazard ratios by transition and
    covariate.
    """

    n: int = Field(ge=10, le=100_000)
    kind: Literal["forearm", "illness_death"] = "forearm"
    visit_gap: float = Field(default=2.5, gt=0)
    effects: dict[str, dict[str, float]] | None = None

    @model_validator(mode="after")
    def _only_of_visits(self) -> Self:
        if self.kind == "forearm" and self.model_fields_set & {"visit_gap", "effects"}:
            raise ValueError("visit_gap and effects belong to kind = 'illness_death'")
        return self


class Calibrations(Table):
    """Folders of a device's calibration scans."""

    wedge: Path
    phantom: Path


class Scans(Table):
    """Forearm scans of a cohort read from a file.

    `manifest` is a CSV with scan_id, path and the cohort's `id` column;
    `calibrations` maps each device to the folder of its calibration scans.
    """

    manifest: Path
    id: str
    calibrations: dict[str, Calibrations] = {}


class Cut(Table):
    """A new category from a column of numbers: cut `at` given values, or into `parts` of equal size.

    `unit` stands behind the limits in the labels; `within` makes the parts in
    each group of that column by itself.
    """

    column: str
    at: tuple[float, ...] = ()
    unit: str = ""
    parts: int | None = Field(default=None, ge=2, le=10)
    within: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.at) == (self.parts is not None):
            raise ValueError("give at = [values] or parts = number, one of them")
        if self.within is not None and self.parts is None:
            raise ValueError("within belongs to parts")
        if self.unit and not self.at:
            raise ValueError("unit belongs to at")
        if any(low >= high for low, high in zip(self.at, self.at[1:])):
            raise ValueError(f"at = {list(self.at)} must increase")
        return self


class Regroup(Table):
    """A new category from the levels of another: `levels` maps each new level to the old ones, in order."""

    column: str
    levels: dict[str, tuple[str | int, ...]]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        old = [level for levels in self.levels.values() for level in levels]
        twice = sorted({str(level) for level in old if old.count(level) > 1})
        if twice:
            raise ValueError(f"levels lists {twice} twice")
        return self


class Cohort(Table):
    """``[cohorts.NAME]``: exactly one of `dataset`, `file` and `simulate`.

    New columns are made of the rows that the exclusions leave: `derive` (an expression each), then `cut`, then
    `regroup`.
    """

    title: str = ""
    dataset: str | None = None
    file: Path | None = None
    simulate: Simulation | None = None
    scans: Scans | None = None
    exclude: tuple[Exclusion, ...] = ()
    derive: dict[Column, str] = {}
    cut: dict[Column, Cut] = {}
    regroup: dict[Column, Regroup] = {}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [k for k in ("dataset", "file", "simulate") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of dataset, file, simulate; found {given or 'none'}")
        if self.scans is not None and self.file is None:
            raise ValueError("scans belongs to a cohort with file = ...; a simulated cohort brings its own")
        reasons = [e.because for e in self.exclude]
        for reason in reasons:
            if reasons.count(reason) > 1:
                raise ValueError(f"exclude: because = {reason!r} is used twice; give each exclusion its own reason")
        return self


class _Block(Table):
    name: Name
    title: str
    section: str = "Results"
    text: str = ""


class _CohortBlock(_Block):
    cohort: str
    where: str | None = None


class TableOneBlock(_CohortBlock):
    """``[[table_one]]``."""

    columns: tuple[str, ...]
    by: str | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        twice = sorted({c for c in self.columns if self.columns.count(c) > 1})
        if twice:
            raise ValueError(f"columns lists {twice} twice")
        return self


class KaplanMeierBlock(_CohortBlock):
    """``[[kaplan_meier]]``: curves, numbers at risk, log-rank test."""

    formula: str
    weights: str | None = None
    conf_type: ConfType = "log"
    time_label: str | None = None


class CoxBlock(_CohortBlock):
    """``[[cox]]``: `truth` maps terms to known values of a simulated cohort.

    `ph_test` adds the test of proportional hazards and its figure, whose axis is `time_label`.
    """

    formula: str
    ties: Ties = "efron"
    strata: str | None = None
    cluster: str | None = None
    weights: str | None = None
    offset: str | None = None
    robust: StrictBool | None = None
    ph_test: StrictBool = False
    time_label: str | None = None
    truth: dict[str, str] = {}


class DoseResponseBlock(_CohortBlock):
    """``[[dose_response]]``: hazard ratio along `exposure`, whose term of the formula is a spline."""

    formula: str
    exposure: str
    reference: float
    exposure_label: str | None = None
    at: tuple[float, ...] = ()
    ties: Ties = "efron"
    strata: str | None = None


class SubgroupsBlock(_CohortBlock):
    """``[[subgroups]]``: one term of a Cox model in every level of some columns, and whether it differs."""

    formula: str
    term: str
    by: tuple[str, ...] = Field(min_length=1)
    term_label: str | None = None
    ties: Ties = "efron"
    strata: str | None = None


class CompetingRisksBlock(_CohortBlock):
    """``[[competing_risks]]``: incidence `curves` by group, cause-specific hazards, subdistribution hazards.

    `formula` is fitted for every cause, and by Fine and Gray's model for the
    causes listed in `fine_gray`; its first term is drawn.
    """

    curves: str | None = None
    formula: str | None = None
    fine_gray: tuple[str | int, ...] = ()
    term_label: str | None = None
    time_label: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.curves is None and self.formula is None:
            raise ValueError("give curves = 'Surv(time, cause) ~ group', formula = 'Surv(...) ~ covariates', or both")
        if self.fine_gray and self.formula is None:
            raise ValueError("fine_gray lists causes to fit `formula` for; give formula")
        return self


class RmstBlock(_CohortBlock):
    """``[[rmst]]``: time lived up to `tau` by group, and its difference adjusted for `covariates`."""

    formula: str
    tau: float = Field(gt=0)
    covariates: tuple[str, ...] = ()
    time_label: str | None = None


class OnsetBlock(_CohortBlock):
    """``[[onset]]``: effects on an onset seen only at visits, by naive analyses, interval censoring, illness-death.

    `onset` holds the last visit without and the first with the illness,
    `death` the exact end of follow-up, `entry` the column with the first
    visit where times are not counted from it. `people` are rows of covariates
    to predict for, healthy at `start`; `at` are times of the table of risks.
    `truth` maps terms to covariates of the simulation, `true_onset` is its
    column with the onset.
    """

    onset: str
    death: str
    covariates: str
    entry: str | None = None
    group: str | None = None
    hazards: Literal["weibull", "exponential", "splines"] = "weibull"
    people: dict[str, dict[str, str | int | float]] = {}
    start: float = Field(default=0.0, ge=0)
    at: tuple[float, ...] = Field(min_length=1)
    time_label: str | None = None
    truth: dict[str, str] = {}
    true_onset: str | None = None

    @model_validator(mode="after")
    def _later(self) -> Self:
        early = [t for t in self.at if t <= self.start]
        if early:
            raise ValueError(f"at = {list(self.at)}: {early[0]:g} does not come after start = {self.start:g}")
        return self


class ValidationBlock(_CohortBlock):
    """``[[validation]]``: cross-validated concordance of several Cox formulas on the same rows."""

    formulas: dict[str, str]
    folds: int = Field(default=5, ge=2, le=50)


class WeightingBlock(_CohortBlock):
    """``[[weighting]]``: propensity weights, balance, and the effect on `outcome` or `survival`."""

    formula: str
    estimand: Estimand = "ATE"
    stabilize: StrictBool = False
    trim: float | None = Field(default=None, gt=0.5, lt=1)
    outcome: str | None = None
    survival: str | None = None
    truth: str | None = None

    @model_validator(mode="after")
    def _some_outcome(self) -> Self:
        if self.outcome is None and self.survival is None:
            raise ValueError("give outcome = 'column' (mean difference), survival = 'Surv(time, event)', or both")
        return self


class SimulatedGwas(Table):
    """``[gwas.NAME]``: simulated GWAS summary statistics, for `exposure` or `outcome` of ``[[mr]]``.

    Either `at`, the data set or file of an exposure at whose variants the outcome is simulated with causal effect
    `effect` (`people` as in ``[[mr]]`` says who is shared); or `panel` and `effects` of its variants.
    """

    n: int = Field(gt=0)
    at: str | None = None
    effect: float = 0.0
    case_share: float | None = Field(default=None, gt=0, lt=1)
    shared: float = Field(default=0.0, ge=0, le=1)
    correlation: float = Field(default=0.0, ge=-1, le=1)
    direct_mean: float = 0.0
    direct_sd: float = Field(default=0.0, ge=0)
    panel: Path | None = None
    effects: dict[str, float] = {}

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.at is None) == (self.panel is None):
            raise ValueError("give at = 'an exposure' or panel = 'prefix', one of them")
        mine = {"effects"} if self.panel else {"effect", "case_share", "shared", "correlation"}
        mine |= set() if self.panel else {"direct_mean", "direct_sd"}
        strange = sorted(self.model_fields_set - mine - {"n", "at", "panel"})
        if strange:
            raise ValueError(f"{', '.join(strange)} belong to {'at' if self.panel else 'panel'} = ...")
        return self


class Clump(Table):
    """Clumping of the exposure's variants by a panel (prefix of bed, bim, fam): `genotypes.clump`."""

    panel: Path
    r2: float = Field(default=0.001, ge=0, lt=1)
    kb: float = Field(default=10_000, gt=0)
    p1: float = Field(default=5e-8, gt=0, le=1)
    exclude_hla: StrictBool = False


class People(Table):
    """Whose data the two files are: cohorts of either side, and what is known of those in both.

    `shared` is the share of the smaller study's people who are in the larger one, `correlation` that of the traits in
    them, `h2` the exposure's heritability (observed scale) for the correction by `mr.overlap_correction`.
    """

    exposure: tuple[str, ...] = Field(min_length=1)
    outcome: tuple[str, ...] = Field(min_length=1)
    shared: float | None = Field(default=None, ge=0, le=1)
    correlation: float | None = Field(default=None, ge=-1, le=1)
    h2: float | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="after")
    def _numbers_together(self) -> Self:
        if (self.shared is None) != (self.correlation is None):
            missing = "shared" if self.shared is None else "correlation"
            raise ValueError(f"{missing} is missing: shared and correlation are used together")
        if self.h2 is not None and self.shared is None:
            raise ValueError("h2 is used with shared and correlation, which are missing")
        if self.shared and not self.common:
            raise ValueError(
                f"shared = {self.shared:g}, but no cohort is named on both sides; write it with the same name on both"
            )
        return self

    @property
    def common(self) -> list[str]:
        """Cohorts on both sides."""
        return [c for c in self.exposure if c.casefold() in {o.casefold() for o in self.outcome}]


class MrBlock(_Block):
    """``[[mr]]``: two GWAS summary files, data sets, or simulations under ``[gwas.NAME]``.

    `methods` lists estimators, or is "all"; `convention` and `n_draws` are those of `mr.estimate`. `checks` adds what
    each estimate assumes and could detect, funnel and density; `strobe_mr` the checklist. `p_below` keeps the variants
    of the exposure file whose p-value there is smaller; `clump` one per region. `ld` is a panel whose correlations
    between the variants are used. `truth` is the effect that a simulation planted. `by` joins files and panel, as in
    `mr.harmonise`; "variant" joins builds by id.
    """

    exposure: str
    outcome: str
    exposure_label: str = "exposure"
    outcome_label: str = "outcome"
    action: Literal[1, 2, 3] = 2
    by: Literal["auto", "variant", "position"] = "auto"
    methods: tuple[Method, ...] | Literal["all"] = ("ivw", "egger", "weighted_median")
    convention: Literal["twosamplemr", "mendelianrandomization"] = "twosamplemr"
    n_draws: int = Field(default=1000, ge=2)
    p_below: float | None = Field(default=None, gt=0, le=1)
    clump: Clump | None = None
    ld: Path | None = None
    people: People | None = None
    truth: float | None = None
    exponentiate: StrictBool = False
    checks: StrictBool = False
    strobe_mr: StrictBool = False

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if self.clump is not None and self.p_below is not None:
            raise ValueError("clump has its own p1: leave out p_below")
        return self

    @model_validator(mode="after")
    def _methods_know_correlations(self) -> Self:
        if self.ld is None or self.methods == "all":
            return self
        from dxa_causal.mr.estimators import ESTIMATORS

        if unfit := [m for m in self.methods if m in ESTIMATORS and not ESTIMATORS[m].correlated]:
            fit = ", ".join(m for m, e in ESTIMATORS.items() if e.correlated)
            raise ValueError(
                f"methods: {', '.join(unfit)} take the variants for independent, but ld gives correlations; use "
                f"{fit}, or leave ld out"
            )
        return self


CohortBlock = (
    TableOneBlock
    | KaplanMeierBlock
    | CoxBlock
    | DoseResponseBlock
    | SubgroupsBlock
    | CompetingRisksBlock
    | RmstBlock
    | OnsetBlock
    | ValidationBlock
    | WeightingBlock
)
Block = CohortBlock | MrBlock
