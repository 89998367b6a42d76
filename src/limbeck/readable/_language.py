"""The one language that every readable model is written in: SymPy expressions over the columns of a table.

A `Program` is a list of steps (`t0 = ...`, `t1 = ...`) and outputs. Column `j` is the symbol ``x{j}``, so a hostile
column name never meets a printer before the printer has made it harmless. A condition on levels is `IsIn`. The language
is closed: `evaluate`, the exporters and the JSON form know exactly the operations of `OPERATIONS`; others are refused.

Source
------
Own. The set of operations is what the exporters' targets (ANSI SQL, C, JavaScript, ONNX) have in common.

Checked
-------
Every exporter gives the numbers of `evaluate` to 1e-6 relative on 1,000 rows of every readable (contract tests).

Cost
----
`evaluate` is one NumPy operation a node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.containers import Tuple
from sympy.core.symbol import Str
from sympy.core.sympify import _sympify  # strict: never reads text
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import Boolean, BooleanFunction

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema

__all__ = [
    "IsIn",
    "Program",
    "choice",
    "column_symbol",
    "count_symbols",
    "evaluate",
    "expression_from_json",
    "expression_to_json",
    "named_symbols",
    "step_symbol",
]


class IsIn(BooleanFunction):
    """The condition that a column with levels has one of the given levels: ``IsIn(x3, Str('Private'))``.

    Levels are given by their text (`Column.level_names`), so that the expression reads as a person would say it.
    """

    @property
    def column(self) -> sp.Symbol:
        """The symbol of the column."""
        return self.args[0]

    @property
    def levels(self) -> tuple[str, ...]:
        """The texts of the levels."""
        return tuple(level.name for level in self.args[1:])

    @classmethod
    def of(cls, column: sp.Symbol, levels: Sequence[str]) -> IsIn:
        """The condition for these level texts."""
        return cls(column, *(Str(level) for level in levels), evaluate=False)

    @classmethod
    def eval(cls, *args: Any) -> None:
        """Never simplified: the levels are what a person reads."""
        return


def column_symbol(j: int) -> sp.Symbol:
    """The symbol of column `j`."""
    return sp.Symbol(f"x{j}")


def step_symbol(i: int) -> sp.Symbol:
    """The symbol of step `i`."""
    return sp.Symbol(f"t{i}")


def choice(*pairs: tuple[Any, Any]) -> sp.Expr:
    """The choice of a value by conditions, the last with ``True``, exactly as given.

    SymPy's own constructor rewrites a condition that holds a choice itself, and fails at conditions that it doesn't
    know.
    """
    kept = []
    for value, condition in pairs:
        value, condition = _sympify(value), _sympify(condition)
        if not isinstance(condition, Boolean):
            raise InputError(f"a choice needs a condition; got {condition!s:.60}")
        kept.append(Tuple.__new__(ExprCondPair, value, condition))
    return kept[0].args[0] if kept[0].args[1] is sp.true else sp.Basic.__new__(sp.Piecewise, *kept)


def named_symbols(schema: Schema) -> tuple[sp.Symbol, ...]:
    """One symbol a column, by the column's own name: for reading, never for exporting."""
    return tuple(sp.Symbol(name) for name in schema.names)


@dataclass(frozen=True)
class Program:
    """Steps and outputs over the columns of a schema; `outputs` has one expression an output.

    Attributes
    ----------
    schema : Schema
        The columns; column ``j`` is ``x{j}``.
    steps : tuple of (Symbol, Expr)
        Named intermediate values, each using columns and earlier steps.
    outputs : tuple of Expr
        Regression outputs, or class probabilities in the order of `output_names`.
    output_names : tuple of str
        Target names, or class labels.
    task : str
        ``"regression"`` or ``"classification"``.
    title : str
        One line that says what this is, for the head of an export.
    """

    schema: Schema
    steps: tuple[tuple[sp.Symbol, sp.Expr], ...]
    outputs: tuple[sp.Expr, ...]
    output_names: tuple[str, ...]
    task: str = "regression"
    title: str = "a model distilled by limbeck"

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns that the program reads, in order."""
        names = set().union(
            *({str(s) for s in e.free_symbols} for e in (*(e for _, e in self.steps), *self.outputs)), set()
        )
        return tuple(j for j in range(len(self.schema)) if f"x{j}" in names)


def _where(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    value: np.ndarray = np.asarray(pairs[-1][0], dtype=np.float64)
    for branch, condition in reversed(pairs[:-1]):
        value = np.where(condition, branch, value)
    return value


def _power(base: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    if np.ndim(exponent) == 0:
        if exponent == 0.5:
            return np.sqrt(base)
        if exponent == -1:
            return 1.0 / base
        if exponent == 2:
            return base * base
    return np.power(base, exponent)


def _fold(function: Callable[..., Any]) -> Callable[..., Any]:
    def folded(*values: Any) -> Any:
        result = values[0]
        for value in values[1:]:
            result = function(result, value)
        return result

    return folded


OPERATIONS: dict[type, tuple[str, Callable[..., Any]]] = {
    sp.Add: ("add", _fold(np.add)),
    sp.Mul: ("mul", _fold(np.multiply)),
    sp.Pow: ("pow", _power),
    sp.exp: ("exp", np.exp),
    sp.log: ("log", np.log),
    sp.sin: ("sin", np.sin),
    sp.cos: ("cos", np.cos),
    sp.tan: ("tan", np.tan),
    sp.tanh: ("tanh", np.tanh),
    sp.Abs: ("abs", np.abs),
    sp.Max: ("max", _fold(np.maximum)),
    sp.Min: ("min", _fold(np.minimum)),
    sp.floor: ("floor", np.floor),
    sp.Le: ("le", np.less_equal),
    sp.Lt: ("lt", np.less),
    sp.Ge: ("ge", np.greater_equal),
    sp.Gt: ("gt", np.greater),
    sp.Eq: ("eq", np.equal),
    sp.Ne: ("ne", np.not_equal),
    sp.And: ("and", _fold(np.logical_and)),
    sp.Or: ("or", _fold(np.logical_or)),
    sp.Not: ("not", np.logical_not),
}
"""Every operation of the language: SymPy's class, its name in JSON, its NumPy meaning."""

_BY_NAME = {name: cls for cls, (name, _) in OPERATIONS.items()}


def evaluate(program: Program, Z: np.ndarray) -> np.ndarray:
    """The program's outputs ``(n, k)`` on encoded rows ``(n, d)``.

    Raises
    ------
    InputError
        Where the program uses an operation outside the language.
    """
    Z = np.asarray(Z, dtype=np.float64)
    values: dict[sp.Basic, Any] = {column_symbol(j): Z[:, j] for j in range(Z.shape[1])}
    codes = [{name: i for i, name in enumerate(c.level_names)} for c in program.schema.columns]
    with np.errstate(all="ignore"):
        for symbol, expr in program.steps:
            values[symbol] = _evaluate(expr, values, codes)
        columns = [np.broadcast_to(_evaluate(e, values, codes), (len(Z),)) for e in program.outputs]
    return np.column_stack(columns).astype(np.float64)


def _evaluate(expr: sp.Basic, values: dict[sp.Basic, Any], codes: list[dict[str, int]]) -> Any:
    if expr in values:
        return values[expr]
    if expr is sp.true or expr is sp.false:
        return bool(expr)
    if expr.is_Number or expr in (sp.pi, sp.E):
        return np.float64(float(expr))
    if isinstance(expr, IsIn):
        table = codes[int(str(expr.column)[1:])]
        result = np.isin(values[expr.column], [table[level] for level in expr.levels])
    elif isinstance(expr, sp.Piecewise):
        pairs = [(_evaluate(e, values, codes), _evaluate(c, values, codes)) for e, c in expr.args]
        result = _where(pairs)
    elif type(expr) in OPERATIONS:
        result = OPERATIONS[type(expr)][1](*(_evaluate(arg, values, codes) for arg in expr.args))
    else:
        raise InputError(f"{type(expr).__name__} is not an operation of the language; known: {sorted(_BY_NAME)}")
    values[expr] = result
    return result


def count_symbols(expr: sp.Basic) -> int:
    """How many symbols a person reads: operators, functions, constants, features, and levels in conditions.

    ``a*x + b`` is 5. A division, a subtraction, a square root and a power count as one operator each, so ``x/y`` is 3,
    ``sqrt(x)`` is 2 and ``x**2`` is 3. A condition ``age <= 30`` is 3; each further level of a set is one more. In a
    choice, the branches and the conditions count, and one symbol an "if".

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> [count_symbols(e) for e in (2.5 * x + 1, x / y, sp.sqrt(x), -x, x - y, x**2)]
    [5, 3, 2, 2, 3, 3]
    """
    if expr.is_Atom:
        return 0 if expr is sp.true else 1
    if isinstance(expr, IsIn):
        return 2 + len(expr.levels)
    if isinstance(expr, sp.Add):
        return sum(_count_term(arg) for arg in expr.args) + len(expr.args) - 1 + _leading_minus(expr)
    if isinstance(expr, sp.Mul):
        return _count_product(expr)
    if isinstance(expr, sp.Pow):
        base, exponent = expr.args
        if exponent == sp.Rational(1, 2):
            return 1 + count_symbols(base)
        if exponent == -1:
            return 2 + count_symbols(base)
        return 1 + count_symbols(base) + count_symbols(exponent)
    if isinstance(expr, sp.Piecewise):
        return sum(count_symbols(e) + (0 if c is sp.true else 1 + count_symbols(c)) for e, c in expr.args)
    if isinstance(expr, sp.exp | sp.log | sp.sin | sp.cos | sp.tan | sp.tanh | sp.Abs | sp.Not | sp.floor):
        return 1 + count_symbols(expr.args[0])
    return sum(count_symbols(arg) for arg in expr.args) + len(expr.args) - 1


def _is_negated(term: sp.Basic) -> bool:
    return isinstance(term, sp.Mul) and term.args[0] == -1


def _leading_minus(expr: sp.Add) -> int:
    """A sum whose every term is negated starts with a minus of its own."""
    return 1 if all(_is_negated(arg) for arg in expr.args) else 0


def _count_term(term: sp.Basic) -> int:
    """A term of a sum, less its sign: the sign is the sum's own operator."""
    if _is_negated(term):
        rest = term.args[1:]
        return count_symbols(rest[0]) if len(rest) == 1 else _count_factors(rest)
    return count_symbols(term)


def _count_product(expr: sp.Mul) -> int:
    if expr.args[0] == -1:
        return 1 + _count_term(expr)
    return _count_factors(expr.args)


def _count_factors(factors: Sequence[sp.Basic]) -> int:
    """Factors joined by ``*`` and ``/``; only where all are divisors is a leading 1 read."""
    total, divisors = 0, 0
    for factor in factors:
        if isinstance(factor, sp.Pow) and factor.args[1].is_number and factor.args[1].is_negative:
            divisors += 1
            total += count_symbols(sp.Pow(factor.args[0], -factor.args[1], evaluate=False)) - (
                2 if factor.args[1] == -1 and not isinstance(factor.args[0], sp.Pow) else 0
            )
        else:
            total += count_symbols(factor)
    return total + len(factors) - 1 + (2 if divisors == len(factors) else 0)


def expression_to_json(expr: sp.Basic) -> Any:
    """The expression as nested JSON lists, exactly: ``["add", ["mul", 2.5, ["x", 0]], 1]``."""
    if isinstance(expr, sp.Symbol):
        name = str(expr)
        return [name[0], int(name[1:])]
    if expr is sp.true:
        return True
    if isinstance(expr, sp.Integer):
        return int(expr)
    if isinstance(expr, sp.Rational):
        return ["ratio", int(expr.p), int(expr.q)]
    if expr.is_Number or expr in (sp.pi, sp.E):
        return float(expr)
    if isinstance(expr, IsIn):
        return ["isin", expression_to_json(expr.column), *expr.levels]
    if isinstance(expr, sp.Piecewise):
        return ["if", *([expression_to_json(e), expression_to_json(c)] for e, c in expr.args)]
    if type(expr) not in OPERATIONS:
        raise InputError(f"{type(expr).__name__} is not an operation of the language; known: {sorted(_BY_NAME)}")
    return [OPERATIONS[type(expr)][0], *(expression_to_json(arg) for arg in expr.args)]


def expression_from_json(data: Any, *, depth: int = 0) -> sp.Basic:
    """The expression that `expression_to_json` wrote. Only the operations of the language are read: nothing runs.

    Raises
    ------
    InputError
        For anything outside the language, or nesting deeper than 150.
    """
    if depth > 150:
        raise InputError("an expression is nested deeper than 150")
    if data is True:
        return sp.true
    if isinstance(data, bool) or data is None:
        raise InputError(f"an expression can't hold {data!r}")
    if isinstance(data, int):
        return sp.Integer(data)
    if isinstance(data, float):
        return sp.Float(data)
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise InputError(f"an expression is a number or a list that starts with an operation; got {data!r:.80}")
    head, rest = data[0], data[1:]
    if head in ("x", "t") and len(rest) == 1 and type(rest[0]) is int and rest[0] >= 0:
        return sp.Symbol(f"{head}{rest[0]}")
    if head == "ratio" and len(rest) == 2 and all(type(v) is int for v in rest) and rest[1] > 0:
        return sp.Rational(*rest)
    if head == "isin" and len(rest) > 1 and all(isinstance(level, str) for level in rest[1:]):
        return IsIn.of(expression_from_json(rest[0], depth=depth + 1), rest[1:])
    if head == "if" and rest and all(isinstance(pair, list) and len(pair) == 2 for pair in rest):
        pairs = [(expression_from_json(e, depth=depth + 1), expression_from_json(c, depth=depth + 1)) for e, c in rest]
        return choice(*pairs)
    if head in _BY_NAME and rest:
        args = [expression_from_json(arg, depth=depth + 1) for arg in rest]
        try:
            return _BY_NAME[head](*args, evaluate=False)
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{head!r} does not take these arguments: {error!s:.120}") from None
    raise InputError(f"{head!r:.60} is not an operation of the language; known: {sorted(_BY_NAME)}")
