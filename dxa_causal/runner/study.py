"""``study.toml``: what may stand in it, and errors that name the key, the value and what is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ValidationError, model_validator

from dxa_causal._core.errors import StudyFileError, nearest
from dxa_causal.runner.blocks import (
    About,
    Block,
    Cohort,
    CompetingRisksBlock,
    CoxBlock,
    DoseResponseBlock,
    KaplanMeierBlock,
    MrBlock,
    Name,
    OnsetBlock,
    RmstBlock,
    SimulatedGwas,
    SubgroupsBlock,
    Table,
    TableOneBlock,
    ValidationBlock,
    WeightingBlock,
)

# Kinds of blocks, in the order of the report.
KINDS = (
    *("table_one", "kaplan_meier", "cox", "dose_response", "subgroups", "competing_risks", "rmst"),
    "onset",
    *("validation", "weighting", "mr"),
)


class Study(Table):
    """A whole ``study.toml``."""

    study: About
    cohorts: dict[Name, Cohort] = {}
    gwas: dict[Name, SimulatedGwas] = {}
    table_one: tuple[TableOneBlock, ...] = ()
    kaplan_meier: tuple[KaplanMeierBlock, ...] = ()
    cox: tuple[CoxBlock, ...] = ()
    dose_response: tuple[DoseResponseBlock, ...] = ()
    subgroups: tuple[SubgroupsBlock, ...] = ()
    competing_risks: tuple[CompetingRisksBlock, ...] = ()
    rmst: tuple[RmstBlock, ...] = ()
    onset: tuple[OnsetBlock, ...] = ()
    validation: tuple[ValidationBlock, ...] = ()
    weighting: tuple[WeightingBlock, ...] = ()
    mr: tuple[MrBlock, ...] = ()

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Every block with its kind, in the order of the report."""
        for kind in KINDS:
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
        self._check_gwas()
        if not seen:
            raise ValueError("nothing to do: add at least one block such as [[cox]] or [[mr]]")
        return self

    def _check_gwas(self) -> None:
        """A simulated GWAS has a name of its own and stands at real variants."""
        from dxa_causal import datasets

        shipped = set(datasets.list()["name"]) if self.gwas else set()
        for name, spec in self.gwas.items():
            if name in shipped:
                raise ValueError(f"gwas.{name}: a data set of this name ships; give the simulation another name")
            if spec.at is not None and spec.at in self.gwas:
                raise ValueError(
                    f"gwas.{name}: at = {spec.at!r} is a simulated GWAS; give a data set that ships or a file"
                )


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
    location = [p for p in error["loc"] if not str(p).startswith(("tuple[", "literal["))]  # branches of a union
    key = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".") or "study file"
    if error["type"] == "extra_forbidden":
        allowed = _allowed(tuple(location[:-1]))
        near = nearest(str(location[-1]), allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{key} = {_brief(error['input'])}: no such key{hint} Allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{key}: missing; it must be given"
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}"
    if error["type"] == "literal_error":
        allowed = str(error["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
        near = nearest(str(error["input"]), allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        return f"{key} = {_brief(error['input'])}: not allowed{hint} Allowed: {', '.join(allowed)}"
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
