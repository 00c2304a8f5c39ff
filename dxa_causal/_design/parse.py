"""Formula text -> its two sides, with what does not belong in a formula refused by name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from formulaic.errors import FormulaicError
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import Token

from dxa_causal._core.errors import FormulaError

# Terms of R formulas that are arguments here: how the call would read.
_ARGUMENTS = {
    "strata": "strata={!r}",
    "cluster": "cluster={!r}",
    "offset": "offset={!r}",
    "weights": "weights={!r}",
    "tt": "time_varying={{{!r}: 'log(t)'}}",
    "ridge": "ridge=... with {} as plain terms",
}
# R functions under another name in formulaic.
_R_NAMES = {
    "factor": "C({})",
    "as.factor": "C({})",
    "pspline": "cr({}, df=...) or rcs({}, 4)",
}
_CALL = re.compile(r"^([A-Za-z_.][\w.]*)\s*\((.*)\)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Parts:
    """The two sides of a formula.

    Attributes
    ----------
    outcome : str
        Text left of ``~``; empty for a one-sided formula.
    fixed : str
        Text right of ``~``; ``"1"`` when there are no covariates.
    """

    outcome: str
    fixed: str


def parse(formula: str) -> Parts:
    """Split `formula` at its ``~`` and refuse R terms that are arguments here.

    Examples
    --------
    >>> parse("Surv(time, status == 2) ~ age + C(sex)")
    Parts(outcome='Surv(time, status == 2)', fixed='age + C(sex)')
    >>> parse("Surv(time, died) ~ age + strata(sex)")
    Traceback (most recent call last):
    ...
    dxa_causal._core.errors.FormulaError: strata(sex) stands in the formula; pass it as an argument: strata='sex', ...
    """
    if not isinstance(formula, str):
        raise FormulaError(
            f"formula must be text such as 'Surv(time, died) ~ age + C(sex)', not {type(formula).__name__}"
        )
    try:
        tokens = list(tokenize(formula))
    except FormulaicError as error:
        raise FormulaError(f"formula {formula!r} cannot be read: {str(error).splitlines()[0]}") from None
    # formulaic joins signs that follow one another: "~ -1" holds the one operator "~-"
    tildes = [t for t in tokens if t.kind is Token.Kind.OPERATOR and "~" in str(t)]
    n_tildes = sum(str(t).count("~") for t in tildes)
    if n_tildes != 1:
        raise FormulaError(
            f"formula {formula!r} needs exactly one '~' between outcome and covariates, found {n_tildes}"
        )
    tilde = tildes[0]
    place = formula.index("~", _required(tilde.source_start))
    outcome, fixed = formula[:place].strip(), formula[place + 1 :].strip()
    for token in tokens:
        if str(token) == "." and _required(token.source_start) > _required(tilde.source_start):
            raise FormulaError(f"formula {formula!r}: '.' (all other columns) is not known here; name the columns")
        if token.kind is Token.Kind.PYTHON and _required(token.source_start) > _required(tilde.source_start):
            _refuse_r_terms(str(token))
        if str(token) in ("|", "||") and token.kind is Token.Kind.OPERATOR:
            raise FormulaError(f"formula {formula!r} holds a random effect ('|'), which this model does not take")
    return Parts(outcome, fixed or "1")


def _required(position: int | None) -> int:
    if position is None:  # formulaic gives every token of a text its position
        raise FormulaError("the formula cannot be read")
    return position


def _refuse_r_terms(token: str) -> None:
    match = _CALL.match(token)
    if match is None:
        return
    name, inside = match.group(1), match.group(2).strip()
    if name.startswith("frailty"):
        raise FormulaError(f"{token} stands in the formula; use survival.cox_frailty(..., frailty={inside!r})")
    if name in _ARGUMENTS:
        argument = _ARGUMENTS[name].format(inside)
        if (
            name in ("offset", "weights", "strata", "cluster")
            and not inside.strip("`").replace(".", "_").isidentifier()
        ):
            argument = f"data.assign({name}_=...) with {inside} as a column, and {name}='{name}_'"
        raise FormulaError(f"{token} stands in the formula; pass it as an argument: {argument}, and take it out here")
    if name in _R_NAMES:
        raise FormulaError(
            f"{token}: {name}() is not known here; write {_R_NAMES[name].replace('{}', inside.split(',')[0])}"
        )
