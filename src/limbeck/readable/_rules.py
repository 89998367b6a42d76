"""A rule list: if these conditions hold, then this value; else if ...; else.

Source
------
Rivest1987: decision lists; the form with probabilities is that of Letham2015. Own frozen form.

Cost
----
Every row is asked every condition: one NumPy operation each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._language import choice, step_symbol
from limbeck.readable._readable import Built, Readable, read_head
from limbeck.readable._rule_conditions import (
    Rule,
    check_rules,
    conditions_text,
    holds,
    joined_condition,
    read_rules,
    written_rules,
)
from limbeck.readable._text import name_text, number_text

__all__ = ["RuleListReadable"]

WIDEST = 72
"""Values are set below each other, unless conditions are wider than this."""


@dataclass(frozen=True)
class RuleListReadable(Readable):
    """Rules in order: the first whose conditions hold decides. The last has no conditions.

    Attributes
    ----------
    rules : tuple of Rule
        The value of each is what the rows predict that it decides.
    """

    family: ClassVar[str] = "rule_list"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        """Refuse what is not a rule list: no rule that always holds, or one before the last."""
        check_rules(self.rules, self.schema, len(self.output_names))
        if not self.rules or self.rules[-1].conditions or not all(rule.conditions for rule in self.rules[:-1]):
            raise InputError("a rule list ends with the one rule that has no conditions")

    def rule_of(self, Z: np.ndarray) -> np.ndarray:
        """The position of the rule that decides each encoded row, ``(n,)``."""
        Z = np.asarray(Z, dtype=np.float64)
        place = np.full(len(Z), len(self.rules) - 1)
        for i in range(len(self.rules) - 2, -1, -1):
            place[holds(self.rules[i].conditions, Z)] = i
        return place

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The deciding rules' values ``(n, k)`` on encoded rows ``(n, d)``."""
        return np.array([rule.value for rule in self.rules])[self.rule_of(Z)]

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs: one choice an output; with many outputs, first the rule, then its values."""
        conditions: list[Any] = [joined_condition(r.conditions, symbols, self.schema) for r in self.rules[:-1]]
        conditions.append(sp.true)
        k = len(self.output_names)
        if inline or k <= 2 or len(self.rules) == 1:
            values = [[sp.Float(rule.value[o]) for rule in self.rules] for o in range(k)]
            return (), tuple(choice(*zip(column, conditions, strict=True)) for column in values)
        which = step_symbol(0)
        numbers = [sp.Integer(i) for i in range(len(self.rules))]
        steps = ((which, choice(*zip(numbers, conditions, strict=True))),)
        asked = [*(sp.Eq(which, i, evaluate=False) for i in numbers[:-1]), sp.true]
        outputs = [
            choice(*((sp.Float(r.value[o]), c) for r, c in zip(self.rules, asked, strict=True))) for o in range(k)
        ]
        return steps, tuple(outputs)

    @property
    def complexity(self) -> int:
        """Per rule: if, its conditions, and its values (one for a class)."""
        values = len(self.output_names) if self.task == "regression" else 1
        return sum(rule.complexity + values for rule in self.rules)

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns that are asked."""
        return tuple(sorted({condition.column for rule in self.rules for condition in rule.conditions}))

    def rule_text(self, i: int) -> str:
        """The conditions of rule `i` as a person says them; empty for the last."""
        return conditions_text(self.rules[i].conditions, self.schema)

    def value_text(self, i: int) -> str:
        """What rule `i` predicts: the outputs, or the most probable class and its probability."""
        value = self.rules[i].value
        if self.task == "regression":
            pairs = zip(self.output_names, value, strict=True)
            return ", ".join(f"{name_text(name)} = {number_text(v)}" for name, v in pairs)
        best = int(np.argmax(value))
        return f"{self.output_names[best]} ({value[best]:.0%})"

    def text(self) -> str:
        """The rules in order, with the rows that each decides."""
        last = len(self.rules) - 1
        if not last:
            return f"{self.value_text(0)}   [{self.rules[0].rows:,.0f} rows]"
        heads = ["else if " * (i > 0) + "if " * (i == 0) + self.rule_text(i) + ":" for i in range(last)] + ["else:"]
        wide = max((len(head) for head in heads if len(head) <= WIDEST), default=0)
        lines = []
        for i, head in enumerate(heads):
            value = f"{self.value_text(i)}   [{self.rules[i].rows:,.0f} rows]"
            lines.append(f"{head:<{wide}}  {value}" if len(head) <= WIDEST else f"{head}\n{' ' * wide}  {value}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The rule list as JSON types, exactly."""
        return {**self._head(), "rules": written_rules(self.rules)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RuleListReadable:
        """The rule list that `to_dict` wrote."""
        schema, task, names = read_head(data)
        return cls(schema, task, names, read_rules(data.get("rules")))
