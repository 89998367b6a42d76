"""A formula: one expression an output.

Source
------
Own frozen form of what symbolic regression finds. In classification the expressions are scores: one for two classes
(logistic link, the second class's probability rises with it), or one a class (softmax link).

A formula says something where it was fitted. It keeps the ranges of its columns there, and what lies outside can be
asked for; it is not refused.

Cost
----
One NumPy operation a node and row.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Rows, Schema
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

__all__ = ["FormulaReadable", "NotFiniteWarning", "Range", "link_probabilities"]

Range = tuple[float, float] | None
"""The least and the greatest value of a column; None where it has levels."""

ROWS_NAMED = 5

Link = Literal["identity", "logistic", "softmax"]


class NotFiniteWarning(UserWarning):
    """A formula has no finite value on some rows."""


@dataclass(frozen=True)
class FormulaReadable(Readable):
    """One SymPy expression an output, over the symbols ``x0, x1, ...`` of the columns, and a link.

    Attributes
    ----------
    expressions : tuple of Expr
        Regression outputs, or class scores.
    link : str
        ``identity`` (regression), ``logistic`` (one score, two classes) or ``softmax`` (one score a class).
    ranges : tuple of (float, float) or None
        For each of `columns_used`, between which values the rows lay that the formula was fitted on (None for a column
        with levels); None where that is not known.
    """

    family: ClassVar[str] = "formula"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    expressions: tuple[sp.Expr, ...]
    link: Link = "identity"
    ranges: tuple[Range, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a link that does not fit the outputs, columns that are not there, and ranges that don't fit them."""
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
        if self.ranges is not None and len(self.ranges) != len(self.columns_used):
            raise InputError(f"ranges has one item for each of {self.features_used}; got {len(self.ranges)}")

    def __call__(self, X: Rows) -> np.ndarray:
        """The outputs ``(n, k)`` on the user's rows; a warning says which rows have none that is finite."""
        Z = self.schema.encode(X)
        outputs = self.predict_encoded(Z)
        self.warn_where_not_finite(Z, outputs)
        return outputs

    def warn_where_not_finite(self, Z: np.ndarray, outputs: np.ndarray) -> None:
        """Warn where the outputs ``(n, k)`` on encoded rows are not finite: on which rows, and how many lie outside."""
        rows = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
        if not len(rows):
            return
        named = ", ".join(map(str, rows[:ROWS_NAMED])) + (", ..." if len(rows) > ROWS_NAMED else "")
        text = f"the formula has no finite value on {len(rows)} of {len(Z)} rows (positions {named})"
        if self.ranges is not None:
            n_outside = int(self._outside(Z[rows]).sum())
            text += f"; {n_outside} of them lie outside the ranges it was {self.domain_text()}"
        warnings.warn(text, NotFiniteWarning, stacklevel=3)

    def outside(self, X: Rows) -> np.ndarray:
        """For each of the user's rows, True where a column that the formula uses is outside the range of its rows.

        Raises
        ------
        InputError
            Where the formula does not know its ranges.
        """
        if self.ranges is None:
            raise InputError("this formula was made or stored without the ranges of its rows, so none can be outside")
        return self._outside(self.schema.encode(X))

    def _outside(self, Z: np.ndarray) -> np.ndarray:
        found = np.zeros(len(Z), dtype=bool)
        for j, span in zip(self.columns_used, self.ranges or (), strict=True):
            if span is not None:
                found |= ~((Z[:, j] >= span[0]) & (Z[:, j] <= span[1]))
        return found

    def domain_text(self) -> str:
        """For which values of its columns the formula was fitted: ``fitted for 102 <= cement <= 540``."""
        if self.ranges is None:
            return "fitted for values that were not kept"
        spans = [
            f"{_short(span[0], down=True)} <= {name_text(name)} <= {_short(span[1], down=False)}"
            for name, span in zip(self.features_used, self.ranges, strict=True)
            if span is not None
        ]
        return "fitted for " + (", ".join(spans) or "any values")

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
        data = {
            **self._head(),
            "link": self.link,
            "expressions": [expression_to_json(expr) for expr in self.expressions],
        }
        if self.ranges is not None:
            data["ranges"] = [None if span is None else list(span) for span in self.ranges]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FormulaReadable:
        """The formula that `to_dict` wrote."""
        schema, task, names = read_head(data)
        link = data.get("link")
        if link not in ("identity", "logistic", "softmax"):
            raise InputError(f"a formula's link is identity, logistic or softmax; got {link!r:.60}")
        expressions = tuple(expression_from_json(expr) for expr in data.get("expressions", []))
        return cls(schema, task, names, expressions, link, _read_ranges(data.get("ranges")))


def _read_ranges(data: Any) -> tuple[Range, ...] | None:
    """The ranges that were stored; files from before there were any have none."""
    if data is None:
        return None
    if not isinstance(data, list):
        raise InputError(f"a formula's ranges are a list of pairs of numbers; got {data!r:.60}")
    found: list[Range] = []
    for span in data:
        if span is None:
            found.append(None)
            continue
        numbers = isinstance(span, list) and len(span) == 2 and all(_is_plain_number(value) for value in span)
        if not numbers or span[0] > span[1]:
            raise InputError(f"a formula's ranges are a list of pairs of numbers, the lower first; got {span!r:.60}")
        found.append((float(span[0]), float(span[1])))
    return tuple(found)


def _is_plain_number(value: Any) -> bool:
    return type(value) in (int, float) and -sys.float_info.max <= value <= sys.float_info.max


def _short(value: float, *, down: bool) -> str:
    """The number with four digits, rounded away from the range so that no row of it is left out."""
    short = float(f"{value:.4g}")
    if (short > value) if down else (short < value):
        step = 10.0 ** (math.floor(math.log10(abs(value))) - 3)
        short = float(f"{short - step if down else short + step:.4g}")
    return f"{short:.10g}"


def link_probabilities(scores: np.ndarray, link: Link) -> np.ndarray:
    """Outputs ``(n, k)`` from scores: themselves, the logistic of one, or the softmax of one a class."""
    if link == "identity":
        return scores
    if link == "logistic":
        scores = np.column_stack([np.zeros(len(scores)), scores[:, 0]])
    with np.errstate(all="ignore"):
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


def logistic_outputs(score: sp.Expr, *, inline: bool, steps: Steps = ()) -> Built:
    """Steps and outputs of two classes from one score, after the given steps.

    Written inline as a person reads it; in steps, ``exp`` is taken of numbers that are not positive, so it can't
    overflow.
    """
    if inline:
        return (), (
            _quotient(1, 1 + sp.exp(score, evaluate=False)),
            _quotient(1, 1 + sp.exp(-score, evaluate=False)),
        )
    value, small = step_symbol(len(steps)), step_symbol(len(steps) + 1)
    low, high = _quotient(small, 1 + small), _quotient(1, 1 + small)
    second = sp.Piecewise((high, value >= 0), (low, True), evaluate=False)
    first = sp.Piecewise((low, value >= 0), (high, True), evaluate=False)
    return (*steps, (value, score), (small, sp.exp(-sp.Abs(value), evaluate=False))), (first, second)


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
