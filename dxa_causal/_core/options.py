"""Literal types for options that several rooms share, and their check."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from dxa_causal._core.errors import OptionError, nearest

Ties = Literal["efron", "breslow", "exact"]
TiesApproximation = Literal["efron", "breslow"]
WeightType = Literal["case", "frequency", "probability"]
Missing = Literal["drop", "raise"]
Estimand = Literal["ATE", "ATT", "ATC", "ATO", "ATM"]
BinaryDifference = Literal["std", "raw"]
WeightedStdError = Literal["m_estimation", "robust"]
ConfType = Literal["log", "log-log", "plain", "logit", "arcsin"]
FrailtyDistribution = Literal["gamma", "gaussian"]
FrailtyMethod = Literal["em", "reml", "ml"]
AalenTies = Literal["break", "joint"]
RecurrentModel = Literal["andersen-gill", "pwp-total", "pwp-gap", "wlw"]
CensoringWeights = Literal["crr", "finegray"]


def check_option(argument: str, value: object, allowed: Any) -> None:
    """Refuse `value` unless it is one of `allowed` (a ``Literal`` alias or a sequence).

    Examples
    --------
    >>> check_option("ties", "efron", Ties)
    >>> check_option("ties", "effron", Ties)
    Traceback (most recent call last):
    ...
    dxa_causal._core.errors.OptionError: ties='effron' is not allowed; use 'efron', 'breslow' or 'exact'...
    """
    choices = get_args(allowed) or tuple(allowed)
    if value in choices:
        return
    near = nearest(str(value), choices, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    listed = ", ".join(repr(c) for c in choices[:-1])
    listed = f"{listed} or {choices[-1]!r}" if listed else repr(choices[-1])
    raise OptionError(f"{argument}={value!r} is not allowed; use {listed}{hint}")


def check_whole_number(argument: str, value: object, low: int, high: int | None = None) -> None:
    """Refuse `value` unless it is a whole number of at least `low` and, where given, at most `high`.

    Examples
    --------
    >>> check_whole_number("folds", 1.5, 2)
    Traceback (most recent call last):
    ...
    dxa_causal._core.errors.OptionError: folds=1.5 must be a whole number, at least 2
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return
    bounds = f"at least {low}" if high is None else f"from {low} to {high}"
    raise OptionError(f"{argument}={value!r} must be a whole number, {bounds}")


def check_number(argument: str, value: object) -> None:
    """Refuse what is no number, before it meets a comparison.

    Examples
    --------
    >>> check_number("r2", "0.1")
    Traceback (most recent call last):
    ...
    dxa_causal._core.errors.OptionError: r2='0.1' must be a number
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise OptionError(f"{argument}={value!r} must be a number")


def check_conf_level(conf_level: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not 0.0 < conf_level < 1.0:
        raise OptionError(f"conf_level={conf_level!r} must lie strictly between 0 and 1, for instance 0.95")
