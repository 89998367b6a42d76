"""A formula: one expression an output.

Source
------
Own frozen form of what symbolic regression finds. In classification the expressions are scores: one for two classes
(logistic link, the second class's probability rises with it), or one a class (softmax link).

Cost
----
One NumPy operation a node and row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._language import (
    Program,
    choice,
    column_symbol,
    count_symbols,
    evaluate,
    expression_from_json,
    expression_to_json,
    named_symbols,
    step_symbol,
)
from limbeck.readable._readable import Built, Readable, Steps, read_head
from limbeck.readable._text import expression_text, name_text

__all__ = ["FormulaReadable", "link_probabilities"]

Link = Literal["identity", "logistic", "softmax"]


@dataclass(frozen=True)
class FormulaReadable(Readable):
    """One SymPy expression an output, over the symbols ``x0, x1, ...`` of the columns, and a link.

    Attributes
    ----------
    expressions : tuple of Expr
        Regression outputs, or class scores.
    link : str
        ``identity`` (regression), ``logistic`` (one score, two classes) or ``softmax`` (one score a class).
    """

    family: ClassVar[str] = "formula"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    expressions: tuple[sp.Expr, ...]
    link: Link = "identity"

    def __post_init__(self) -> None:
        """Refuse a link that does not fit the outputs, and columns that are not there."""
        scores = 1 if self.link == "logistic" else len(self.output_names)
        if len(self.expressions) != scores or (self.link == "logistic" and len(self.output_names) != 2):
            raise InputError(
                f"link {self.link!r} with outputs {self.output_names} needs {scores} expression(s); "
                f"got {len(self.expressions)}"
            )
        known = {column_symbol(j) for j in range(len(self.schema))}
        free = set().union(*(expr.free_symbols for expr in self.expressions)) - known
        if any(isinstance(symbol, sp.Symbol) for symbol in free):
            raise InputError(f"the expressions use {sorted(map(str, free))}; the columns are x0 ... x{len(known) - 1}")

    def scores(self, Z: np.ndarray) -> np.ndarray:
        """The expressions' values ``(n, number of expressions)`` on encoded rows, before the link."""
        return evaluate(Program(self.schema, (), self.expressions, self.output_names), Z)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``."""
        return link_probabilities(self.scores(Z), self.link)

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs over the given column symbols."""
        mapping = {column_symbol(j): symbol for j, symbol in enumerate(symbols)}
        scores = tuple(_rename(expr, mapping) for expr in self.expressions)
        if self.link == "identity":
            return (), scores
        if self.link == "logistic":
            return logistic_outputs(scores[0], inline=inline)
        return softmax_outputs(scores, (), inline=inline)

    @property
    def complexity(self) -> int:
        """Symbols in all expressions; the link is not counted."""
        return sum(count_symbols(expr) for expr in self.expressions)

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns in the expressions."""
        return Program(self.schema, (), self.expressions, self.output_names).columns_used

    def text(self) -> str:
        """The formula, a line an output."""
        symbols = named_symbols(self.schema)
        mapping = {column_symbol(j): symbol for j, symbol in enumerate(symbols)}
        lines = [expression_text(_rename(expr, mapping), self.schema) for expr in self.expressions]
        if self.link == "identity":
            return "\n".join(f"{name_text(name)} = {line}" for name, line in zip(self.output_names, lines, strict=True))
        if self.link == "logistic":
            return f"score = {lines[0]}\nP({self.output_names[1]}) = 1 / (1 + exp(-score))"
        scores = [f"score({name}) = {line}" for name, line in zip(self.output_names, lines, strict=True)]
        return "\n".join([*scores, "P(class) = exp(score(class)) / sum of exp(score)"])

    def to_dict(self) -> dict[str, Any]:
        """The formula as JSON types, exactly."""
        return {
            **self._head(),
            "link": self.link,
            "expressions": [expression_to_json(expr) for expr in self.expressions],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FormulaReadable:
        """The formula that `to_dict` wrote."""
        schema, task, names = read_head(data)
        link = data.get("link")
        if link not in ("identity", "logistic", "softmax"):
            raise InputError(f"a formula's link is identity, logistic or softmax; got {link!r:.60}")
        expressions = tuple(expression_from_json(expr) for expr in data.get("expressions", []))
        return cls(schema, task, names, expressions, link)


def link_probabilities(scores: np.ndarray, link: Link) -> np.ndarray:
    """Outputs ``(n, k)`` from scores: themselves, the logistic of one, or the softmax of one a class."""
    if link == "identity":
        return scores
    if link == "logistic":
        scores = np.column_stack([np.zeros(len(scores)), scores[:, 0]])
    with np.errstate(all="ignore"):
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


def logistic_outputs(score: sp.Expr, *, inline: bool) -> Built:
    """Steps and outputs of two classes from one score.

    Written inline as a person reads it; in steps, ``exp`` is taken of numbers that are not positive, so it can't
    overflow.
    """
    if inline:
        return (), (
            _quotient(1, 1 + sp.exp(score, evaluate=False)),
            _quotient(1, 1 + sp.exp(-score, evaluate=False)),
        )
    value, small = step_symbol(0), step_symbol(1)
    low, high = _quotient(small, 1 + small), _quotient(1, 1 + small)
    second = sp.Piecewise((high, value >= 0), (low, True), evaluate=False)
    first = sp.Piecewise((low, value >= 0), (high, True), evaluate=False)
    return ((value, score), (small, sp.exp(-sp.Abs(value), evaluate=False))), (first, second)


def softmax_outputs(scores: Sequence[sp.Expr], steps: Steps, *, inline: bool) -> Built:
    """Steps and outputs of the softmax of scores, after the given steps.

    Where not inline, the greatest score is taken off first, so that nothing overflows.
    """
    if inline:
        weights: list[sp.Expr] = [sp.exp(score, evaluate=False) for score in scores]
        total = sp.Add(*weights, evaluate=False)
        return (), tuple(_quotient(weight, total) for weight in weights)
    written = list(steps)

    def step(expr: sp.Expr) -> sp.Expr:
        written.append((step_symbol(len(written)), expr))
        return written[-1][0]

    values = [step(score) for score in scores]
    top = step(sp.Max(*values, evaluate=False))
    weights = [step(sp.exp(value - top, evaluate=False)) for value in values]
    total = step(sp.Add(*weights, evaluate=False))
    return tuple(written), tuple(_quotient(weight, total) for weight in weights)


def _quotient(numerator: sp.Expr | int, denominator: sp.Expr) -> sp.Expr:
    inverse = sp.Pow(denominator, -1, evaluate=False)
    return inverse if numerator == 1 else sp.Mul(numerator, inverse, evaluate=False)


def _rename(expr: sp.Basic, mapping: dict[sp.Symbol, sp.Symbol]) -> Any:
    """The expression over other symbols, rebuilt without simplification."""
    if isinstance(expr, sp.Symbol):
        return mapping.get(expr, expr)
    if not expr.args or expr.is_Atom:
        return expr
    args = [_rename(arg, mapping) for arg in expr.args]
    if isinstance(expr, sp.Piecewise):
        return choice(*(tuple(pair.args) for pair in args))
    if expr.func.__name__ == "ExprCondPair":
        return expr.func(*args)
    return expr.func(*args, evaluate=False)
