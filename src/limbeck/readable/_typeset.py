"""What the typeset exports (LaTeX, MathML) share: a program as equations for a person's eye.

Source
------
Own, on SymPy's `Printer`.

Departures
----------
Class probabilities are computed in a form that can't overflow, and shown in the form of the textbooks: the logistic
function and the softmax. The two are equal in exact arithmetic.

Cost
----
One visit a node.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy.printing.printer import Printer

from limbeck._core.errors import InputError
from limbeck._core.tables import Column
from limbeck.readable._formula import logistic_outputs, softmax_outputs
from limbeck.readable._language import IsIn, Program
from limbeck.readable._lowering import check_language, choices, is_number, number_of, positions_used
from limbeck.readable._printing import decimal, has_text_levels, is_indicator, quotient, signed

__all__ = ["Equation", "TypesetPrinter", "displayed", "equations", "visible"]

Equation = tuple[str, list[str]]
"""A left side, and a right side in lines."""

_WIDTH = 80
_MARKUP = re.compile(r"<[^>]*>|\\[A-Za-z]+|[{}\s]")
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def visible(text: str) -> str:
    r"""The text with what can't be seen - newlines, controls, changes of direction - written as ``\uXXXX``."""
    if not text:
        return '""'
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in _HIDDEN else c for c in text)


def displayed(program: Program) -> Program:
    """The program with logistic and softmax written as in a textbook, where it ends in one."""
    steps, outputs = program.steps, program.outputs
    if len(outputs) == 2 and steps:
        built = logistic_outputs(steps[0][1], inline=False)
        if built == (steps, outputs):
            score, first = steps[0], logistic_outputs(steps[0][0], inline=True)[1]
            return replace(program, steps=(score,), outputs=first)
    k = len(outputs)
    if len(steps) >= 2 * k + 2:
        before, scores = steps[: -2 * k - 2], steps[-2 * k - 2 : -k - 2]
        if softmax_outputs([expr for _, expr in scores], before, inline=False) == (steps, outputs):
            shown = softmax_outputs([symbol for symbol, _ in scores], (), inline=True)[1]
            return replace(program, steps=(*before, *scores), outputs=shown)
    return program


class TypesetPrinter(Printer, ABC):
    """The structure of every typeset target; a target says how each piece is set."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.columns = program.schema.columns

    @abstractmethod
    def number(self, mantissa: str, exponent: str) -> str:
        """A decimal that is not negative, with a power of ten or an empty `exponent`."""

    @abstractmethod
    def name(self, text: str) -> str:
        """A column's or output's name."""

    @abstractmethod
    def quoted(self, text: str) -> str:
        """A level that is text."""

    @abstractmethod
    def step(self, index: str) -> str:
        """The name of a step."""

    @abstractmethod
    def word(self, function: str) -> str:
        """The name of a function or constant, upright."""

    @abstractmethod
    def sign(self, operator: str) -> str:
        """An operator, by its character."""

    @abstractmethod
    def row(self, *parts: str) -> str:
        """Parts beside each other, as one."""

    @abstractmethod
    def fenced(self, left: str, inside: str, right: str) -> str:
        """Something in brackets that grow with it."""

    @abstractmethod
    def fraction(self, above: str, below: str) -> str:
        """A quotient."""

    @abstractmethod
    def root(self, inside: str) -> str:
        """A square root."""

    @abstractmethod
    def raised(self, base: str, exponent: str) -> str:
        """A power."""

    @abstractmethod
    def cases(self, pairs: Sequence[tuple[str, str]], last: str) -> str:
        """A choice."""

    def equation(self, left: str, expr: sp.Basic) -> Equation:
        """The equation of a step or output; a long sum is broken into lines."""
        if not isinstance(expr, sp.Add):
            return left, [self._print(expr)]
        lines: list[list[str]] = [[]]
        width = 0
        for i, term in enumerate(expr.args):
            parts = self.terms([term], first=i == 0)
            size = sum(len(_MARKUP.sub("", part)) for part in parts)
            if lines[-1] and width + size > _WIDTH:
                lines.append([])
                width = 0
            lines[-1] += parts
            width += size
        return left, [self.row(*parts) for parts in lines]

    def parenthesised(self, text: str) -> str:
        """Something in round brackets."""
        return self.fenced("(", text, ")")

    def applied(self, function: str, *arguments: str) -> str:
        """A function with its arguments in brackets."""
        inside = [arguments[0]]
        for argument in arguments[1:]:
            inside += [self.sign(","), argument]
        return self.row(self.word(function), self.parenthesised(self.row(*inside)))

    def terms(self, terms: Sequence[sp.Basic], *, first: bool = True) -> list[str]:
        """The terms of a sum with their signs."""
        parts = []
        for i, term in enumerate(terms):
            minus, bare = signed(term)
            if minus or i or not first:
                parts.append(self.sign("-" if minus else "+"))
            loose = isinstance(bare, sp.Add) or signed(bare)[0]
            parts.append(self.parenthesised(self._print(bare)) if loose else self._print(bare))
        return parts

    def product(self, factors: Sequence[Any]) -> str:
        """Factors beside each other: a dot between two names, only a gap after a plain number."""
        parts: list[str] = []
        for i, factor in enumerate(factors):
            text = self._print(factor)
            loose = isinstance(factor, sp.Add | sp.Mul) or signed(factor)[0]
            if i:
                plain = is_number(factors[i - 1]) and "e" not in decimal(number_of(factors[i - 1]))
                parts.append(self.sign("gap" if plain and not is_number(factor) else "dot"))
            alone = len(factors) == 1 and not signed(factor)[0]
            parts.append(self.parenthesised(text) if loose and not alone else text)
        return self.row(*parts)

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        if expr.name.startswith("t"):
            return self.step(expr.name[1:])
        column = self.columns[int(expr.name[1:])]
        return self.applied("position", self.name(column.name)) if column.levels else self.name(column.name)

    def _print_Number(self, expr: Any) -> str:
        value = number_of(expr)
        mantissa, _, exponent = decimal(abs(value)).removesuffix(".0").partition("e")
        text = self.number(mantissa, str(int(exponent)) if exponent else "")
        return self.row(self.sign("-"), text) if value < 0 else text

    def _print_Rational(self, expr: sp.Rational) -> str:
        text = self.fraction(self.number(str(abs(expr.p)), ""), self.number(str(expr.q), ""))
        return self.row(self.sign("-"), text) if expr.p < 0 else text

    def _print_Integer(self, expr: sp.Integer) -> str:
        return self._print_Number(expr)

    def _print_Pi(self, expr: Any) -> str:
        return self.word("pi")

    def _print_Exp1(self, expr: Any) -> str:
        return self.word("e")

    def _print_Add(self, expr: sp.Add) -> str:
        return self.row(*self.terms(expr.args))

    def _print_Mul(self, expr: sp.Mul) -> str:
        minus, bare = signed(expr)
        above, below = quotient(bare, only_inverse=False)
        text = self.product(above) if above else self.number("1", "")
        if below:
            text = self.fraction(text, self.product(below))
        elif minus and isinstance(bare, sp.Add):
            text = self.parenthesised(text)
        return self.row(self.sign("-"), text) if minus else text

    def _print_Pow(self, expr: sp.Pow) -> str:
        base, exponent = expr.args
        if is_number(exponent) and number_of(exponent) < 0:
            return self.fraction(self.number("1", ""), self.product(quotient(expr, only_inverse=False)[1]))
        if is_number(exponent) and number_of(exponent) == 0.5:
            return self.root(self._print(base))
        simple = isinstance(base, sp.Symbol) or (
            is_number(base) and decimal(number_of(base)).replace(".", "").isdigit()
        )
        text = self._print(base)
        return self.raised(text if simple else self.parenthesised(text), self._print(exponent))

    def _print_exp(self, expr: sp.exp) -> str:
        return self.raised(self.word("e"), self._print(expr.args[0]))

    def _print_function(self, expr: sp.Basic) -> str:
        names = {"log": "ln", "Max": "max", "Min": "min"}
        function = type(expr).__name__
        return self.applied(names.get(function, function), *(self._print(arg) for arg in expr.args))

    _print_log = _print_sin = _print_cos = _print_tan = _print_tanh = _print_Max = _print_Min = _print_function

    def _print_Abs(self, expr: sp.Abs) -> str:
        return self.fenced("|", self._print(expr.args[0]), "|")

    def _print_floor(self, expr: sp.floor) -> str:
        return self.applied("floor", self._print(expr.args[0]))

    def _print_Relational(self, expr: Any) -> str:
        left, right = (self._print(arg) for arg in expr.args)
        return self.row(left, self.sign(expr.rel_op), right)

    def connected(self, operator: str, conditions: Sequence[sp.Basic]) -> str:
        """Conditions joined by a connective."""
        parts = []
        for i, condition in enumerate(conditions):
            text = self._print(condition)
            loose = isinstance(condition, sp.And | sp.Or | sp.Not)
            parts += ([self.sign(operator)] if i else []) + [self.parenthesised(text) if loose else text]
        return self.row(*parts)

    def _print_And(self, expr: sp.And) -> str:
        return self.connected("and", expr.args)

    def _print_Or(self, expr: sp.Or) -> str:
        return self.connected("or", expr.args)

    def _print_Not(self, expr: sp.Not) -> str:
        return self.row(self.sign("not"), self.parenthesised(self._print(expr.args[0])))

    def _print_BooleanTrue(self, expr: Any) -> str:
        return self.word("true")

    def _print_BooleanFalse(self, expr: Any) -> str:
        return self.word("false")

    def level(self, column: Column, text: str) -> str:
        """A level: text in quotes, a number as it is."""
        if has_text_levels(column):
            return self.quoted(text)
        level = column.levels[column.level_names.index(text)]
        return self.word(str(level)) if isinstance(level, bool) else self._print(sp.Float(float(level)))

    def _print_IsIn(self, expr: IsIn) -> str:
        column = self.columns[int(expr.column.name[1:])]
        levels = [self.level(column, text) for text in expr.levels]
        if len(levels) == 1:
            return self.row(self.name(column.name), self.sign("=="), levels[0])
        inside = [levels[0]]
        for level in levels[1:]:
            inside += [self.sign(","), level]
        return self.row(self.name(column.name), self.sign("in"), self.fenced("{", self.row(*inside), "}"))

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        if is_indicator(expr):
            return self.fenced("[", self._print(expr.args[0].args[1]), "]")
        pairs = choices(expr)
        return self.cases([(self._print(v), self._print(c)) for v, c in pairs[:-1]], self._print(pairs[-1][0]))

    def emptyPrinter(self, expr: Any) -> str:
        """Nothing is set that has no rule here."""
        raise InputError(f"{type(expr).__name__} is not an operation of the language")


def equations(program: Program, printer: TypesetPrinter) -> list[Equation]:
    """Left and right sides: positions of levels where they count, the steps, the outputs."""
    check_language(program)
    program = displayed(program)
    out: list[Equation] = []
    for j in positions_used(program):
        column, symbol = program.schema.columns[j], sp.Symbol(f"x{j}")
        arms = [(sp.Integer(i), IsIn.of(symbol, [text])) for i, text in enumerate(column.level_names)]
        pairs = [(printer._print(value), printer._print(condition)) for value, condition in arms]
        out.append((printer._print(symbol), [printer.cases(pairs[:-1], pairs[-1][0])]))
    for symbol, expr in program.steps:
        out.append(printer.equation(printer._print(symbol), expr))
    for name, expr in zip(program.output_names, program.outputs, strict=True):
        left = printer.name(name)
        out.append(printer.equation(printer.applied("P", left) if program.task == "classification" else left, expr))
    return out
