"""What rules are made of: a condition on one column, and conditions that hold together.

A rule has at most one condition a column, so ``a < 5 and a < 10`` can't be written: an interval is one condition, and
so is a set of levels.

Source
------
Own frozen form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable._language import IsIn
from limbeck.readable._text import level_text, name_text, number_text

__all__ = [
    "Condition",
    "Rule",
    "check_rules",
    "conditions_text",
    "holds",
    "joined_condition",
    "read_rules",
    "written_rules",
]


@dataclass(frozen=True)
class Condition:
    """A condition on one column: an interval of numbers, or a set of levels.

    Attributes
    ----------
    column : int
        The position of the column.
    low, high : float or None
        ``low < column <= high``; None where that side is open.
    levels : tuple of int
        Or the column has one of these levels (positions, ascending).
    excluded : bool
        Or it has none of them.
    """

    column: int
    low: float | None = None
    high: float | None = None
    levels: tuple[int, ...] = ()
    excluded: bool = False

    def holds(self, Z: np.ndarray) -> np.ndarray:
        """Which encoded rows ``(n, d)`` meet it."""
        values = Z[:, self.column]
        if self.levels:
            return np.isin(values, self.levels) != self.excluded
        met = np.ones(len(values), dtype=bool)
        if self.low is not None:
            met &= values > self.low
        if self.high is not None:
            met &= values <= self.high
        return met

    @property
    def complexity(self) -> int:
        """Its symbols: the column, comparisons, and constants or levels."""
        if self.levels:
            return 2 + len(self.levels)
        return 1 + 2 * ((self.low is not None) + (self.high is not None))

    def text(self, column: Column) -> str:
        """The condition as a person says it: ``30 < age <= 50``, ``job in {'clerk', 'nurse'}``."""
        name = name_text(column.name)
        if self.levels:
            texts = [level_text(column.levels[code]) for code in self.levels]
            if len(texts) == 1:
                return f"{name} {'!=' if self.excluded else '='} {texts[0]}"
            return f"{name} {'not in' if self.excluded else 'in'} {{{', '.join(texts)}}}"
        if self.low is None:
            return f"{name} <= {number_text(self.high or 0.0)}"
        if self.high is None:
            return f"{name} > {number_text(self.low)}"
        return f"{number_text(self.low)} < {name} <= {number_text(self.high)}"

    def expressions(self, symbol: sp.Symbol, column: Column) -> list[sp.Basic]:
        """The condition in the one language: one expression, or two that hold together."""
        if self.levels:
            names = column.level_names
            inside = IsIn.of(symbol, [names[code] for code in self.levels])
            return [sp.Not(inside, evaluate=False) if self.excluded else inside]
        above = [] if self.low is None else [sp.Gt(symbol, sp.Float(self.low), evaluate=False)]
        below = [] if self.high is None else [sp.Le(symbol, sp.Float(self.high), evaluate=False)]
        return above + below


@dataclass(frozen=True)
class Rule:
    """Conditions that hold together, and what then follows.

    Attributes
    ----------
    conditions : tuple of Condition
        At most one a column; none where the rule always holds.
    value : tuple of float
        In a list: the outputs, or class probabilities, of the rows that the rule decides. In a set: what the rule adds
        to each score.
    rows : float
        The (weighted) number of rows that it decides, or in a set that meet it.
    """

    conditions: tuple[Condition, ...]
    value: tuple[float, ...]
    rows: float

    @property
    def complexity(self) -> int:
        """The symbols of its conditions, one more between two of them, and one for the "if"; 0 without conditions."""
        return sum(condition.complexity + 1 for condition in self.conditions)


def holds(conditions: Sequence[Condition], Z: np.ndarray) -> np.ndarray:
    """Which encoded rows ``(n, d)`` meet all conditions."""
    met = np.ones(len(Z), dtype=bool)
    for condition in conditions:
        met &= condition.holds(Z)
    return met


def joined_condition(conditions: Sequence[Condition], symbols: Sequence[sp.Symbol], schema: Schema) -> sp.Basic:
    """All conditions together in the one language; at least one."""
    parts = [part for c in conditions for part in c.expressions(symbols[c.column], schema.columns[c.column])]
    return parts[0] if len(parts) == 1 else sp.And(*parts, evaluate=False)


def conditions_text(conditions: Sequence[Condition], schema: Schema) -> str:
    """All conditions as a person says them."""
    return " and ".join(condition.text(schema.columns[condition.column]) for condition in conditions)


def check_rules(rules: Sequence[Rule], schema: Schema, width: int) -> None:
    """Refuse rules that can't be: a column or level that is not there, an empty condition, two on one column."""
    for i, rule in enumerate(rules):
        if len(rule.value) != width or not all(map(math.isfinite, rule.value)):
            raise InputError(f"rule {i} needs {width} finite values; got {rule.value!s:.120}")
        if not (math.isfinite(rule.rows) and rule.rows >= 0):
            raise InputError(f"rule {i} needs a number of rows; got {rule.rows}")
        for condition in rule.conditions:
            if not _is_sound(condition, schema):
                raise InputError(f"rule {i} has a condition that does not fit its column: {condition}")
        columns = [condition.column for condition in rule.conditions]
        if len(set(columns)) != len(columns):
            raise InputError(f"rule {i} asks a column twice; one condition a column is required")


def _is_sound(condition: Condition, schema: Schema) -> bool:
    """True where the column is there and some of its values, but not all, meet the condition."""
    if not 0 <= condition.column < len(schema):
        return False
    bounds = [bound for bound in (condition.low, condition.high) if bound is not None]
    count = len(schema.columns[condition.column].levels)
    if count:
        codes = condition.levels
        inside = 0 < len(codes) < count and min(codes) >= 0 and max(codes) < count
        return inside and not bounds and list(codes) == sorted(set(codes))
    if condition.levels or condition.excluded or not bounds or not all(map(math.isfinite, bounds)):
        return False
    return len(bounds) == 1 or bounds[0] < bounds[1]


def written_rules(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """The rules as JSON types, exactly."""
    return [
        {
            "conditions": [{**asdict(c), "levels": list(c.levels)} for c in rule.conditions],
            "value": list(rule.value),
            "rows": rule.rows,
        }
        for rule in rules
    ]


def read_rules(data: Any) -> tuple[Rule, ...]:
    """The rules that `written_rules` wrote; anything malformed is refused."""
    try:
        return tuple(
            Rule(
                tuple(_read_condition(condition) for condition in rule["conditions"]),
                tuple(float(v) for v in rule["value"]),
                float(rule["rows"]),
            )
            for rule in data
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"stored rules are malformed: {error!r:.120}") from None


def _read_condition(data: dict[str, Any]) -> Condition:
    low, high = data["low"], data["high"]
    return Condition(
        int(data["column"]),
        None if low is None else float(low),
        None if high is None else float(high),
        tuple(int(code) for code in data["levels"]),
        bool(data["excluded"]),
    )
