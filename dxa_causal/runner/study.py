"""``study.toml``: what may stand in it, and errors that name the key, the value and what is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator

from dxa_causal._core.errors import StudyFileError, nearest
from dxa_causal._core.options import ConfType, Estimand, Ties
from dxa_causal.mr.estimators import Method

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class About(_Table):
    """``[study]``."""

    title: str
    description: str = ""
    seed: int = Field(default=1, ge=0)


class Exclusion(_Table):
    """One line of the participant flow: rows where `where` holds leave, because of `because`."""

    where: str
    because: str


class Simulation(_Table):
    """A simulated forearm cohort of `n` subjects, with scans."""

    n: int = Field(ge=10, le=100_000)


class Calibrations(_Table):
    """Folders of a device's calibration scans."""

    wedge: Path
    phantom: Path


class Scans(_Table):
    """Forearm scans of a cohort read from a file.

    `manifest` is a CSV with scan_id, path and the cohort's `id` column;
    `calibrations` maps each device to the folder of its calibration scans.
    """

    manifest: Path
    id: str
    calibrations: dict[str, Calibrations] = {}


class Cohort(_Table):
    """``[cohorts.NAME]``: exactly one of `dataset`, `file` and `simulate`."""

    title: str = ""
    dataset: str | None = None
    file: Path | None = None
    simulate: Simulation | None = None
    scans: Scans | None = None
    exclude: tuple[Exclusion, ...] = ()

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


class _Block(_Table):
    name: Name
    title: str
    section: str = "Results"
    text: str = ""


class _CohortBlock(_Block):
    cohort: str


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
    """``[[cox]]``: `truth` maps terms to known values of a simulated cohort."""

    formula: str
    ties: Ties = "efron"
    strata: str | None = None
    cluster: str | None = None
    weights: str | None = None
    offset: str | None = None
    robust: StrictBool | None = None
    truth: dict[str, str] = {}


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


class MrBlock(_Block):
    """``[[mr]]``: two GWAS summary files or data sets."""

    exposure: str
    outcome: str
    exposure_label: str = "exposure"
    outcome_label: str = "outcome"
    action: Literal[1, 2, 3] = 2
    methods: tuple[Method, ...] = ("ivw", "egger", "weighted_median")
    exponentiate: StrictBool = False


CohortBlock = TableOneBlock | KaplanMeierBlock | CoxBlock | ValidationBlock | WeightingBlock
Block = CohortBlock | MrBlock


class Study(_Table):
    """A whole ``study.toml``."""

    study: About
    cohorts: dict[Name, Cohort] = {}
    table_one: tuple[TableOneBlock, ...] = ()
    kaplan_meier: tuple[KaplanMeierBlock, ...] = ()
    cox: tuple[CoxBlock, ...] = ()
    validation: tuple[ValidationBlock, ...] = ()
    weighting: tuple[WeightingBlock, ...] = ()
    mr: tuple[MrBlock, ...] = ()

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Every block with its kind, in the order of the report."""
        for kind in ("table_one", "kaplan_meier", "cox", "validation", "weighting", "mr"):
            for block in getattr(self, kind):
                yield kind, block

    @model_validator(mode="after")
    def _names(self) -> Self:
        seen: dict[str, str] = {}
        for kind, block in self.blocks():
            if block.name in seen:
                raise ValueError(f"name {block.name!r} is used twice ({seen[block.name]} and {kind}); names are files")
            seen[block.name] = kind
            if not isinstance(block, MrBlock) and block.cohort not in self.cohorts:
                near = nearest(block.cohort, self.cohorts)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(
                    f"{kind} {block.name!r}: no [cohorts.{block.cohort}]; there are {sorted(self.cohorts)}{hint}"
                )
        if not seen:
            raise ValueError("nothing to do: add at least one block such as [[cox]] or [[mr]]")
        return self


def read_study(path: Path) -> Study:
    """Read and check a ``study.toml``.

    Parameters
    ----------
    path : Path
        The file, or the folder that holds it.

    Raises
    ------
    StudyFileError
        Naming every key that is wrong, what was found and what is allowed.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "study.toml"
    if not path.exists():
        raise StudyFileError(f"no study file {str(path)!r}")
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(f"{path}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise StudyFileError(f"{path}: not a UTF-8 text file") from None
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(dict(e), raw) for e in error.errors()]
        raise StudyFileError(f"{path}:\n  " + "\n  ".join(lines)) from None


def _explain(error: dict[str, Any], raw: dict[str, Any]) -> str:
    location = error["loc"]
    key = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".") or "study file"
    if error["type"] == "extra_forbidden":
        allowed = _allowed(location[:-1])
        near = nearest(str(location[-1]), allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{key} = {_brief(error['input'])}: no such key{hint} Allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{key}: missing; it must be given"
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}"
    return f"{key} = {_brief(error['input'])}: {_plainly(error)}"


def _plainly(error: dict[str, Any]) -> str:
    """Pydantic's words for Python types, in the words of a TOML file."""
    key = str(error["loc"][-1])
    if error["type"] == "tuple_type":
        if isinstance(error["input"], dict):
            return f"write [[{key}]] with double brackets"
        return "a list is needed: [..., ...]"
    if error["type"] in ("dict_type", "model_type", "model_attributes_type"):
        return "a table is needed: { key = value, ... }"
    if error["type"] == "string_pattern_mismatch":
        return "only small letters, digits and _ are allowed, a letter first (names become file names)"
    return str(error["msg"])


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _allowed(location: tuple[Any, ...]) -> list[str]:
    """Keys allowed at a place in the file, found by walking the models."""
    model: Any = Study
    for part in location:
        if isinstance(part, int):
            continue
        if model is None:
            break
        fields = getattr(model, "model_fields", None)
        if fields is None or part not in fields:
            continue  # a free name, such as the one of a cohort
        model = _model_in(fields[part].annotation) or model
    return sorted(model.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
