"""Functions of time given as text: ``"log(t + 20)"``."""

from __future__ import annotations

import ast
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import FormulaError

FloatArray = npt.NDArray[np.float64]

_CALLS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
}
_OPERATORS: dict[type, Callable[[FloatArray, FloatArray], FloatArray]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
}


def time_function(text: str, t: FloatArray) -> FloatArray:
    """Evaluate a function of time; only ``t``, numbers, + - * / **, comparisons and a few functions may stand in it.

    Examples
    --------
    >>> import numpy as np
    >>> time_function("(t > 1) * t**2", np.array([1.0, 3.0])).tolist()
    [0.0, 9.0]
    """
    try:
        tree = ast.parse(text.replace("^", "**").strip(), mode="eval").body
    except (SyntaxError, AttributeError):
        raise FormulaError(f"time_varying: {text!r} is not a function of t; write for instance 'log(t + 20)'") from None
    with np.errstate(all="ignore"):
        value = np.broadcast_to(np.asarray(_value(tree, t, text), dtype=np.float64), t.shape)
    bad = np.flatnonzero(~np.isfinite(value))
    if bad.size:
        raise FormulaError(f"time_varying: {text!r} is {value[bad[0]]:g} at event time {t[bad[0]]:g}, not finite")
    return value


def _value(node: ast.expr, t: FloatArray, text: str) -> FloatArray:
    match node:
        case ast.Name(id="t"):
            return t
        case ast.Constant(value=int() | float() as number):
            return np.asarray(number, dtype=np.float64)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, t, text), _value(right, t, text))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, t, text), _value(right, t, text))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, t, text)
        case ast.Call(func=func, args=[argument], keywords=[]):
            name = ast.unparse(func).removeprefix("np.")
            if name in _CALLS:
                return _CALLS[name](_value(argument, t, text))
    raise FormulaError(
        f"time_varying: {ast.unparse(node)!r} cannot stand in {text!r}; use t, numbers, + - * / **, comparisons and "
        f"{', '.join(_CALLS)}"
    )
