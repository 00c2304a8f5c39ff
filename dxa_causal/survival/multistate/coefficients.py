"""Which coefficient belongs to which covariate of which transition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dxa_causal._core.errors import FormulaError, OptionError, nearest
from dxa_causal._design import Design, build_design

Shared = Sequence[str] | Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Coefficients of all transitions.

    Attributes
    ----------
    columns : tuple of tuple of (int, int)
        Of each transition: (column of the design, coefficient).
    terms : tuple of str
        Covariate of each coefficient.
    transitions : tuple of str
        Transition of each; joined by " & " where several share it.
    """

    columns: tuple[tuple[tuple[int, int], ...], ...]
    terms: tuple[str, ...]
    transitions: tuple[str, ...]


def assign_coefficients(
    right: str,
    covariates: Mapping[str, str],
    shared: Shared,
    design: Design,
    names: tuple[str, ...],
    *,
    causes: bool = False,
) -> Coefficients:
    """Give every covariate of every transition its coefficient.

    Parameters
    ----------
    right : str
        Covariates of the transitions that `covariates` does not name.
    covariates : mapping of str to str
    shared : sequence of str, or mapping of str to sequence of str
    design : Design
        Of all covariates together.
    names : tuple of str
        Transitions.
    causes : bool
        How the outcome of `design` was read.
    """
    for name in covariates:
        refuse_unknown(name, names, "covariates")
    outcome = design.parts.outcome
    used = {}
    for text in {right, *covariates.values()}:
        own = (
            build_design(f"{outcome} ~ {text}", design.rows.frame, causes=causes).terms if covariates else design.terms
        )
        absent = [t for t in own if t not in design.terms]
        if absent:
            raise FormulaError(
                f"{text!r} codes {absent[0]!r}, which the formulas of the other transitions code otherwise; write "
                "interactions with their main effects in all of them, or make the product a column first"
            )
        used[text] = [design.terms.index(t) for t in own]
    together = dict(shared) if isinstance(shared, Mapping) else {t: list(names) for t in _listed(shared)}
    groups: dict[int, tuple[str, ...]] = {}
    for term, where in together.items():
        for name in where:
            refuse_unknown(name, names, f"shared[{term!r}]")
        if term not in design.term_columns and term not in design.terms:
            raise OptionError(f"shared: no term {term!r} in the formulas; there are {[*design.term_columns]}")
        for column in design.term_columns.get(term, [design.terms.index(term)] if term in design.terms else []):
            groups[column] = tuple(where)
    numbers: dict[tuple[int, str], int] = {}
    columns: list[tuple[tuple[int, int], ...]] = []
    where_used: dict[int, list[str]] = {}
    for name in names:
        pairs = []
        for column in used[covariates.get(name, right)]:
            key = (column, "shared" if name in groups.get(column, ()) else name)
            k = numbers.setdefault(key, len(numbers))
            where_used.setdefault(k, []).append(name)
            pairs.append((column, k))
        columns.append(tuple(pairs))
    terms = tuple(design.terms[column] for column, _ in numbers)
    return Coefficients(tuple(columns), terms, tuple(" & ".join(where_used[k]) for k in range(len(numbers))))


def _listed(shared: Sequence[str]) -> list[str]:
    return [shared] if isinstance(shared, str) else list(shared)


def refuse_unknown(name: str, names: tuple[str, ...], argument: str) -> None:
    """Raise `OptionError` for a transition that there is not."""
    if name not in names:
        near = nearest(str(name), names, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise OptionError(f"{argument}: there is no transition {name!r}{hint}; the transitions are {list(names)}")


def refuse_no_mapping(covariates: object) -> None:
    """Raise `OptionError` for covariates that are not given by transition."""
    if covariates is not None and not isinstance(covariates, Mapping):
        raise OptionError(f"covariates={covariates!r} must name transitions: covariates={{'ill -> dead': 'age'}}")
