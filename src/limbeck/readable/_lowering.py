"""Programs made ready for a target: checked against the language, and cut into pieces that the target can take.

Source
------
Own. Targets differ in how deep an expression may be nested (SQLite's parser stops at about twenty calls, Python's
compiler at a few hundred), and SQL can't use an intermediate value twice without a name. Both are met by one
transformation: name a part, and write it as a step before.

Checked
-------
`evaluate` gives the same numbers for the lowered program; every exporter's contract test runs through here.

Cost
----
One visit a node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair

from limbeck._core.errors import InputError
from limbeck.readable._language import OPERATIONS, IsIn, Program, choice, column_symbol, step_symbol

__all__ = ["check_language", "choices", "is_number", "lowered", "nodes", "number_of", "positions_used"]

_CONDITIONS = (sp.And, sp.Or, sp.Not, sp.Le, sp.Lt, sp.Ge, sp.Gt, sp.Eq, sp.Ne)
_CONNECTIVES = (sp.And, sp.Or, sp.Not)

Pairs = list[tuple[Any, Any]]
"""Values and their conditions; the last value is taken where no condition holds."""


def is_number(expr: sp.Basic) -> bool:
    """True for a constant of the language."""
    return bool(expr.is_Number) or expr in (sp.pi, sp.E)


def number_of(expr: sp.Basic) -> float:
    """The constant as the double that `evaluate` uses; only finite ones can be exported."""
    try:
        value = float(expr)  # type: ignore[arg-type]
    except OverflowError:
        value = float("inf")
    if not abs(value) < float("inf"):
        raise InputError(f"a constant must be a finite number to be exported; got {expr!s:.60}")
    return value


def nodes(program: Program) -> Iterable[sp.Basic]:
    """Every node of the steps and outputs; a level condition is one node."""
    stack: list[sp.Basic] = [expr for _, expr in program.steps] + list(program.outputs)
    while stack:
        expr = stack.pop()
        yield expr
        if not isinstance(expr, IsIn):
            stack.extend(expr.args)


def positions_used(program: Program) -> tuple[int, ...]:
    """The columns with levels that are used as a number, which is the position of the level."""
    names = {node.name for node in nodes(program) if isinstance(node, sp.Symbol)}
    return tuple(j for j in range(len(program.schema)) if f"x{j}" in names and program.schema.has_levels(j))


def choices(expr: sp.Basic) -> Pairs:
    """The values and conditions of a choice; a choice in the last value continues the list: else if, else if, else."""
    pairs: Pairs = [tuple(pair.args) for pair in expr.args]
    while isinstance(pairs[-1][0], sp.Piecewise):
        pairs = pairs[:-1] + [tuple(pair.args) for pair in pairs[-1][0].args]
    return pairs


def check_language(program: Program) -> None:
    """Refuse, by name, what is outside the language: operations, symbols, levels, constants that are not finite.

    Raises
    ------
    InputError
        For anything that `evaluate` gives no number for.
    """
    known: set[sp.Basic] = {column_symbol(j) for j in range(len(program.schema))}
    for symbol, expr in program.steps:
        if symbol in known or not re.fullmatch(r"t\d+", str(symbol)):
            raise InputError(f"a step needs a symbol t0, t1, ... of its own; got {symbol!s:.60}")
        _check(expr, known, program, condition=False)
        known.add(symbol)
    for expr in program.outputs:
        _check(expr, known, program, condition=False)
    if len(program.outputs) != len(program.output_names):
        raise InputError(f"{len(program.outputs)} outputs need as many names; got {program.output_names}")


def _check(expr: sp.Basic, known: set[sp.Basic], program: Program, *, condition: bool) -> None:
    if isinstance(expr, IsIn):
        _check_levels(expr, known, program)
    elif isinstance(expr, sp.Symbol):
        if expr not in known:
            raise InputError(f"symbol {expr.name!r:.60} is neither a column of the table nor an earlier step")
    elif is_number(expr):
        number_of(expr)
    elif isinstance(expr, sp.Piecewise):
        for value, test in expr.args:
            _check(value, known, program, condition=False)
            _check(test, known, program, condition=True)
    elif type(expr) in OPERATIONS:
        for arg in expr.args:
            _check(arg, known, program, condition=isinstance(expr, _CONNECTIVES))
    elif expr not in (sp.true, sp.false):
        names = sorted(name for name, _ in OPERATIONS.values())
        raise InputError(f"{type(expr).__name__} is not an operation of the language; known: {names}")
    is_condition = isinstance(expr, (*_CONDITIONS, IsIn)) or expr in (sp.true, sp.false)
    if is_condition != condition:
        wanted, got = ("a condition", "a number") if condition else ("a number", "a condition")
        raise InputError(f"{wanted} is required where {type(expr).__name__} stands, which is {got}")


def _check_levels(expr: IsIn, known: set[sp.Basic], program: Program) -> None:
    if expr.column not in known or not str(expr.column).startswith("x"):
        raise InputError(f"symbol {expr.column!s:.60} is not a column of the table")
    column = program.schema.columns[int(str(expr.column)[1:])]
    unknown = [level for level in expr.levels if level not in column.level_names]
    if unknown or not expr.levels:
        raise InputError(f"column {column.name!r:.80} has no levels {unknown}; it has {list(column.level_names)[:12]}")


def lowered(
    program: Program,
    *,
    height: int = 40,
    by_name: Callable[[sp.Basic], bool] | None = None,
    pairwise: bool = False,
) -> Program:
    """The same program, checked, with choices in the last value made lists, deep parts named, and unused steps gone.

    Parameters
    ----------
    program : Program
        Any program of the language.
    height : int
        No expression is nested deeper than this; a deeper part becomes a step.
    by_name : callable, optional
        Operations whose arguments must be symbols or constants, because the target writes them more than once.
    pairwise : bool
        The greatest and the least of many are taken two by two, each pair a step.
    """
    check_language(program)
    work = _Lowering(program, height, by_name or (lambda expr: False), pairwise)
    for symbol, expr in program.steps:
        work.steps.append((symbol, work.whole(expr)))
    outputs = tuple(work.whole(expr) for expr in program.outputs)
    return _without_unused(replace(program, steps=tuple(work.steps), outputs=outputs))


class _Lowering:
    """One pass over a program; `steps` grows as parts are named."""

    def __init__(self, program: Program, height: int, by_name: Callable[[sp.Basic], bool], pairwise: bool) -> None:
        self.height, self.by_name, self.pairwise = height, by_name, pairwise
        self.steps: list[tuple[sp.Symbol, sp.Expr]] = []
        self.taken = {str(symbol) for symbol, _ in program.steps}
        self.named: dict[sp.Basic, sp.Symbol] = {}
        self.seen: dict[sp.Basic, tuple[Any, int]] = {}

    def whole(self, expr: sp.Basic) -> Any:
        """The lowered expression; its parts are visited first, from the innermost, so that no depth is too deep."""
        stack, parts = [expr], []
        while stack:
            parts.append(stack.pop())
            if not isinstance(parts[-1], IsIn):
                stack.extend(parts[-1].args)
        for part in reversed(parts):
            if not isinstance(part, ExprCondPair):
                self.visit(part)
        return self.visit(expr)[0]

    def name(self, expr: sp.Basic) -> sp.Basic:
        """A symbol or constant for an expression that was visited, written as a step where it is neither."""
        if isinstance(expr, sp.Symbol) or is_number(expr):
            return expr
        if expr not in self.named:
            i = len(self.taken)
            while f"t{i}" in self.taken:
                i += 1
            self.taken.add(f"t{i}")
            self.named[expr] = step_symbol(i)
            self.steps.append((self.named[expr], expr))
        return self.named[expr]

    def part(self, expr: sp.Basic) -> tuple[Any, int]:
        """The visited argument, named where it is too deep to stand inside another expression."""
        done, height = self.visit(expr)
        if height < self.height:
            return done, height
        if isinstance(done, _CONDITIONS):
            chosen = choice((sp.Integer(1), done), (sp.Integer(0), True))
            return sp.Eq(self.name(chosen), sp.Integer(1), evaluate=False), 1
        return self.name(done), 0

    def visit(self, expr: sp.Basic) -> tuple[Any, int]:
        """The lowered expression and how deep it is nested."""
        if not expr.args or isinstance(expr, IsIn):
            return expr, 0
        if expr not in self.seen:
            self.seen[expr] = self._choice(expr) if isinstance(expr, sp.Piecewise) else self._operation(expr)
        return self.seen[expr]

    def _choice(self, expr: sp.Basic) -> tuple[Any, int]:
        pairs, deepest = [], 0
        flat = choices(expr)
        for value, condition in flat[:-1]:
            (value, h1), (condition, h2) = self.part(value), self.part(condition)
            pairs.append((value, condition))
            deepest = max(deepest, h1, h2)
        value, h = self.part(flat[-1][0])
        return choice(*pairs, (value, True)), 1 + max(deepest, h)

    def _operation(self, expr: sp.Basic) -> tuple[Any, int]:
        parts = [self.part(arg) for arg in expr.args]
        args = [arg for arg, _ in parts]
        if self.by_name(expr):
            args, parts = [self.name(arg) for arg in args], []
        if self.pairwise and isinstance(expr, sp.Max | sp.Min):
            return self._pairs(expr.func, args), 1
        same = all(new is old for new, old in zip(args, expr.args, strict=True))
        return expr if same else expr.func(*args, evaluate=False), 1 + max((h for _, h in parts), default=0)

    def _pairs(self, function: Any, args: Sequence[sp.Basic]) -> Any:
        while len(args) > 2:
            pairs = [args[i : i + 2] for i in range(0, len(args), 2)]
            args = [self.name(function(*pair, evaluate=False)) if len(pair) == 2 else pair[0] for pair in pairs]
        return function(*args, evaluate=False)


def _without_unused(program: Program) -> Program:
    """The program without steps that no output needs: a C compiler warns of them."""
    needed = set().union(*(expr.free_symbols for expr in program.outputs))
    kept = []
    for symbol, expr in reversed(program.steps):
        if symbol in needed:
            kept.append((symbol, expr))
            needed |= expr.free_symbols
    return replace(program, steps=tuple(reversed(kept)))
