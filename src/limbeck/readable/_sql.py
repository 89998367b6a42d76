"""A program as one ANSI SQL query over a table called ``rows``.

Source
------
Own printer over `Program`. Steps become stages (``WITH``), one a depth; a part that SQL would have to repeat gets a
name first.

Departures
----------
SQL has no NaN and no infinity: a number that is not defined (the logarithm of 0, a division by zero) is NULL, and so is
what is computed from it. A NULL or a level that the model does not know meets no condition, so a choice takes its ELSE.

Checked
-------
SQLite and DuckDB, on the rows of the contract tests. SQLite reads about one decimal in 10,000 one unit in the last
place off, so a row exactly on such a threshold may take the other branch there.

Cost
----
One operation a node and row; every stage that computes is read once, held apart by a window count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable._language import Program, step_symbol
from limbeck.readable._lowering import is_number, lowered, number_of, positions_used
from limbeck.readable._printing import CodePrinter, comment_text, decimal, encodable, has_text_levels, variable_names

__all__ = ["sql_select"]

_FUNCTIONS = ("exp", "ln", "sin", "cos", "tan", "tanh", "abs", "floor", "sqrt", "power")
_HEIGHT = 8


def _needs_names(expr: sp.Basic) -> bool:
    """Operations that stand guarded in SQL, so that their arguments are written more than once."""
    if isinstance(expr, sp.Pow):
        return expr.args[1] != -1
    return isinstance(expr, sp.exp | sp.log | sp.Max | sp.Min)


def identifier(name: str) -> str:
    """A delimited identifier; an empty name is none in SQL."""
    if not name:
        raise InputError("SQL has no empty column names; rename the column or output first")
    return '"' + encodable(name, what="the name", target="SQL").replace('"', '""') + '"'


def string(text: str) -> str:
    """A text literal."""
    return "'" + encodable(text, what="the level", target="SQL").replace("'", "''") + "'"


class _SqlPrinter(CodePrinter):
    """SQL's words, and guards around what its dialects refuse to compute."""

    functions: ClassVar[dict[str, str]] = {name: name.upper() for name in _FUNCTIONS}
    connectives: ClassVar[tuple[str, str, str]] = (" AND ", " OR ", "")
    relations: ClassVar[dict[str, str]] = {**CodePrinter.relations, "==": "=", "!=": "<>"}
    truths: ClassVar[tuple[str, str]] = ("TRUE", "FALSE")
    depth = 0

    def number(self, value: float) -> str:
        text = decimal(value).removesuffix(".0")
        return text.replace("e", "E") if "e" in text else f"{text}E0"

    def level(self, column: Column, text: str) -> str:
        return string(text) if has_text_levels(column) else super().level(column, text)

    def is_in(self, j: int, name: str, levels: Sequence[str]) -> str:
        return f"{name} = {levels[0]}" if len(levels) == 1 else f"{name} IN ({', '.join(levels)})"

    def choose(self, pairs: Sequence[tuple[str, str]], last: str) -> str:
        arms = [f"WHEN {condition} THEN {value}" for value, condition in pairs] + [f"ELSE {last}"]
        short = sum(map(len, arms)) < 80 and len(arms) < 3
        line = " " if short else "\n    " + "  " * self.depth
        return f"CASE{line}{line.join(arms)} END"

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        self.depth += 1
        text = super()._print_Piecewise(expr)
        self.depth -= 1
        return text

    def divide(self, above: str, below: sp.Basic) -> str:
        if is_number(below) and number_of(below) != 0:
            return f"{above} / {self.factor(below)}"
        return f"{above} / NULLIF({self._print(below)}, 0E0)"

    def power(self, base: sp.Basic, exponent: sp.Basic) -> str:
        a, b = self._print(base), self._print(exponent)
        arms = [f"WHEN {a} > 0E0 THEN POWER({a}, {b})"]
        if not is_number(exponent):
            arms.append(f"WHEN {a} = 0E0 AND {b} > 0E0 THEN 0E0 WHEN {b} = 0E0 THEN 1E0")
            arms.append(f"WHEN {a} < 0E0 AND {b} = FLOOR({b}) THEN POWER({a}, {b})")
        else:
            value = number_of(exponent)
            if value >= 0:
                arms.append(f"WHEN {a} = 0E0 THEN {'0E0' if value else '1E0'}")
            if value.is_integer():
                arms.append(f"WHEN {a} < 0E0 THEN POWER({a}, {b})")
        return f"CASE {' '.join(arms)} END"

    def _print_Pow(self, expr: sp.Pow) -> str:
        base, exponent = expr.args
        if is_number(exponent) and number_of(exponent) == 0.5:
            a = self._print(base)
            return f"CASE WHEN {a} >= 0E0 THEN SQRT({a}) END"
        return super()._print_Pow(expr)

    def _print_exp(self, expr: sp.exp) -> str:
        a = self._print(expr.args[0])
        return f"CASE WHEN {a} < -700E0 THEN 0E0 ELSE EXP({a}) END"

    def _print_log(self, expr: sp.log) -> str:
        a = self._print(expr.args[0])
        return f"CASE WHEN {a} > 0E0 THEN LN({a}) END"

    def extreme(self, function: str, texts: Sequence[str]) -> str:
        if len(texts) == 1:
            return texts[0]
        a, b = texts
        first, second = (">=", "<") if function == "max" else ("<=", ">")
        return f"CASE WHEN {a} {first} {b} THEN {a} WHEN {a} {second} {b} THEN {b} END"

    def _print_Not(self, expr: sp.Not) -> str:
        return f"({self._print(expr.args[0])}) IS NOT TRUE"

    def _print_Unequality(self, expr: sp.Ne) -> str:
        return f"({self._print(expr.args[0])} = {self._print(expr.args[1])}) IS NOT TRUE"


def sql_select(program: Program) -> str:
    """The text of one query: the input columns, then the outputs, for every row of a table called ``rows``.

    Regression outputs have the targets' names; classes give one column of probability each, ``p_`` and the class, and
    ``predicted``. An output whose name is a column's gets a number. Every stage passes on all columns of the table, so
    a key that is added to the last SELECT comes out too.

    Raises
    ------
    InputError
        Where column names are empty, differ only in capitals, or hold a NUL character.

    Examples
    --------
    >>> from limbeck._core.tables import Column, Schema
    >>> program = Program(Schema((Column("age"),)), (), (2 * sp.Symbol("x0"),), ("prediction",))
    >>> print(sql_select(program).splitlines()[-2].strip())
    2.0E0 * limbeck_age AS "prediction"
    """
    _refuse_capitals(program.schema)
    aliases = _output_names(program)
    program = lowered(_with_class(program), height=_HEIGHT, by_name=_needs_names, pairwise=True)
    schema, own = program.schema, _own_prefix(program.schema)
    names, positions = _names(program, own)
    printer = _SqlPrinter(program, names, positions)
    stages = _stages(program)
    first = _listed(_first_stage(program, names, positions))
    parts = [f"{own}0 AS (\n  SELECT {first}\n  FROM rows AS rows\n)"]  # noqa: S608 - every name is mangled or quoted
    for i, steps in enumerate(stages, start=1):
        lines = [f"{printer._print(expr)} AS {names[str(symbol)]}" for symbol, expr in steps]
        lines = [f"{own}{i - 1}.*", *lines, f"COUNT(*) OVER () AS {own}fence_{i}"]
        parts.append(f"{own}{i} AS (\n  SELECT {_listed(lines)}\n  FROM {own}{i - 1}\n)")  # noqa: S608 - names are mangled
    last = f"{own}{len(stages)}"
    chosen = [f"{last}.{identifier(name)}" for name in schema.names]
    outputs = program.outputs[:-1] if program.task == "classification" else program.outputs
    chosen += [f"{printer._print(expr)} AS {alias}" for expr, alias in zip(outputs, aliases, strict=False)]
    if program.task == "classification":
        chosen.append(_predicted(program, printer, aliases))
    return f"{_head(program, len(stages))}WITH {', '.join(parts)}\nSELECT {_listed(chosen)}\nFROM {last}\n"


def _head(program: Program, stages: int) -> str:
    fence = "-- The counts called ..fence.. only keep a stage from being computed more than once.\n" if stages else ""
    return (
        f"-- {comment_text(program.title)}\n"
        "-- Write FROM your_table AS rows in the place of FROM rows AS rows. Every stage passes on all columns of the\n"
        "-- table, so a key can be added to the last SELECT. NULL, or a level that the model does not know, meets no\n"
        "-- condition (ELSE).\n"
        f"{fence}"
    )


def _listed(lines: Sequence[str]) -> str:
    return ",\n    ".join(lines)


def _refuse_capitals(schema: Schema) -> None:
    seen: dict[str, str] = {}
    for name in schema.names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise InputError(
                f"columns {other!r:.80} and {name!r:.80} differ only in capitals, which most SQL systems don't tell "
                "apart; rename one of them"
            )


def _output_names(program: Program) -> list[str]:
    """The quoted names of the outputs, each different from every column and from each other."""
    taken = {name.lower() for name in program.schema.names}
    classes = program.task == "classification"
    wanted = [f"p_{name}" if classes else name or "prediction" for name in program.output_names]
    out = []
    for base in [*wanted, *(["predicted"] if classes else [])]:
        name, i = base, 2
        while name.lower() in taken:
            name, i = f"{base}_{i}", i + 1
        taken.add(name.lower())
        out.append(identifier(name))
    return out


def _with_class(program: Program) -> Program:
    """In classification, the outputs as steps and their greatest as one more output: the predicted class has it."""
    if program.task != "classification":
        return program
    start = 1 + max((int(str(symbol)[1:]) for symbol, _ in program.steps), default=-1)
    symbols = [step_symbol(start + o) for o in range(len(program.outputs) + 1)]
    values = (*program.outputs, sp.Max(*symbols[:-1], evaluate=False))
    steps = (*program.steps, *zip(symbols, values, strict=True))
    return replace(program, steps=steps, outputs=tuple(symbols), output_names=(*program.output_names, "greatest"))


def _predicted(program: Program, printer: _SqlPrinter, aliases: Sequence[str]) -> str:
    """The class whose probability is the greatest."""
    top = printer._print(program.outputs[-1])
    arms = [
        f"WHEN {printer._print(symbol)} = {top} THEN {string(name)}"
        for symbol, name in zip(program.outputs[:-1], program.output_names, strict=False)
    ]
    return f"CASE {' '.join(arms)} END AS {aliases[-1]}"


def _own_prefix(schema: Schema) -> str:
    """What every name of the query's own begins with: no column of the table does."""
    prefix = "limbeck_"
    while any(name.lower().startswith(prefix) for name in schema.names):
        prefix += "_"
    return prefix


def _names(program: Program, own: str) -> tuple[dict[str, str], dict[str, str]]:
    variables = variable_names(program.schema)
    names = {
        f"x{j}": identifier(column.name) if has_text_levels(column) else f"{own}{variables[j]}"
        for j, column in enumerate(program.schema.columns)
    }
    names |= {str(symbol): f"{own}{symbol}" for symbol, _ in program.steps}
    positions = {f"x{j}": f"{own}{variables[j]}_position" for j in positions_used(program)}
    return names, positions


def _first_stage(program: Program, names: dict[str, str], positions: dict[str, str]) -> list[str]:
    """All columns, and those in use as doubles: an integer column would divide without remainder."""
    lines = ["rows.*"]
    printer = _SqlPrinter(program, names, {})
    for j in program.columns_used:
        column = program.schema.columns[j]
        source = f"rows.{identifier(column.name)}"
        number = f"CAST({source} AS DOUBLE PRECISION)"
        if column.dtype in ("bool", "boolean") or any(isinstance(level, bool) for level in column.levels):
            number = f"CASE WHEN {source} THEN 1E0 ELSE 0E0 END"
        if not has_text_levels(column):
            lines.append(f"{number} AS {names[f'x{j}']}")
        if f"x{j}" in positions:
            value = source if has_text_levels(column) else number
            arms = [f"WHEN {printer.level(column, text)} THEN {i}E0" for i, text in enumerate(column.level_names)]
            lines.append(f"CASE {value} {' '.join(arms)} END AS {positions[f'x{j}']}")
    return lines


def _stages(program: Program) -> list[list[tuple[sp.Symbol, sp.Expr]]]:
    """The steps by depth: each stage uses the columns and the stages before it."""
    depth: dict[sp.Basic, int] = {}
    stages: list[list[tuple[sp.Symbol, sp.Expr]]] = []
    for symbol, expr in program.steps:
        depth[symbol] = max((depth.get(used, -1) + 1 for used in expr.free_symbols), default=0)
        while len(stages) <= depth[symbol]:
            stages.append([])
        stages[depth[symbol]].append((symbol, expr))
    return stages
