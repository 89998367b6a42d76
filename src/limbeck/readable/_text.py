"""SymPy expressions as a person writes them: names as they are, levels in quotes, constants in their shortest form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.printing.str import StrPrinter

from limbeck._core.tables import Column, Schema

__all__ = ["condition_text", "expression_text", "name_text", "number_text"]

_PLAIN = re.compile(r"[^\W\d]\w*")


def number_text(value: float) -> str:
    """The shortest decimal that is exactly this number: ``12`` rather than ``12.0``."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


def name_text(name: str) -> str:
    """A column's name; in backticks where it is not a plain word, so that it reads as one thing."""
    return name if _PLAIN.fullmatch(name) else "`" + name.replace("`", "``") + "`"


def level_text(level: Any) -> str:
    """A level: text in single quotes, a number as it is."""
    return str(level) if isinstance(level, int | float) else "'" + str(level).replace("'", "''") + "'"


def condition_text(column: Column, *, threshold: float | None, levels: Sequence[int] = ()) -> str:
    """A condition as a person says it: ``age <= 30``, ``job = 'nurse'``, ``job in {'clerk', 'nurse'}``."""
    name = name_text(column.name)
    if threshold is not None:
        return f"{name} <= {number_text(threshold)}"
    texts = [level_text(column.levels[code]) for code in levels]
    return f"{name} = {texts[0]}" if len(texts) == 1 else f"{name} in {{{', '.join(texts)}}}"


class _TextPrinter(StrPrinter):
    """Prints over named symbols; knows `IsIn` and choices."""

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.columns = {column.name: column for column in schema.columns}

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return name_text(expr.name)

    def _print_Float(self, expr: sp.Float) -> str:
        return number_text(float(expr))

    def _print_IsIn(self, expr: Any) -> str:
        column = self.columns[expr.column.name]
        codes = [column.level_names.index(level) for level in expr.levels]
        return condition_text(column, threshold=None, levels=codes)

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        pairs = list(expr.args)
        if len(pairs) == 2 and pairs[0].args[0] == 1 and pairs[1].args[0] == 0:
            return f"[{self._print(pairs[0].args[1])}]"
        text = self._print(pairs[-1].args[0])
        for value, condition in reversed(pairs[:-1]):
            text = f"({self._print(value)} if {self._print(condition)} else {text})"
        return text


def expression_text(expr: sp.Expr, schema: Schema) -> str:
    """The expression over named symbols, written out: ``2.5*age + 3*[job = 'nurse']``."""
    return _TextPrinter(schema).doprint(expr)
