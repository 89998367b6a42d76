"""A rule set: a score that starts at an intercept, and to which every rule that holds adds its weight.

Source
------
Friedman2008: an additive model of rules and of columns held between two bounds. Own frozen form.

Departures
----------
The probability of the second of two classes is the logistic function of the score, and of more classes the softmax of
one score a class: the scores are log-odds.

Cost
----
Every row is asked every condition: one NumPy operation each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._formula import Link, link_probabilities, logistic_outputs, softmax_outputs
from limbeck.readable._language import choice, step_symbol
from limbeck.readable._readable import Built, Readable, Steps, read_head
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

__all__ = ["LinearTerm", "RuleSetReadable"]


@dataclass(frozen=True)
class LinearTerm:
    """A numeric column, held between two bounds, times a weight for each score.

    Attributes
    ----------
    column : int
        The position of the column.
    low, high : float
        Values outside count as these.
    value : tuple of float
        A weight for each score.
    """

    column: int
    low: float
    high: float
    value: tuple[float, ...]


@dataclass(frozen=True)
class RuleSetReadable(Readable):
    """Weighted rules, and linear terms, that add up to scores; a link makes outputs of them.

    Attributes
    ----------
    intercept : tuple of float
        One a score.
    rules : tuple of Rule
        The value of each is what it adds to every score where its conditions hold.
    terms : tuple of LinearTerm
    link : str
        ``identity`` (regression), ``logistic`` (one score, two classes) or ``softmax`` (one score a class).
    """

    family: ClassVar[str] = "rule_set"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    intercept: tuple[float, ...]
    rules: tuple[Rule, ...]
    terms: tuple[LinearTerm, ...] = ()
    link: Link = "identity"

    def __post_init__(self) -> None:
        """Refuse a link that does not fit, a rule that always holds, and terms of columns that are not numbers."""
        width = 1 if self.link == "logistic" else len(self.output_names)
        fits = (self.link == "identity") == (self.task == "regression")
        if not fits or (self.link == "logistic" and len(self.output_names) != 2):
            raise InputError(f"link {self.link!r} does not fit {self.task} with outputs {self.output_names}")
        if len(self.intercept) != width or not all(map(math.isfinite, self.intercept)):
            raise InputError(f"a rule set needs {width} finite intercept(s); got {self.intercept}")
        check_rules(self.rules, self.schema, width)
        if not all(rule.conditions for rule in self.rules):
            raise InputError("every rule of a set has a condition; what always holds is the intercept")
        for term in self.terms:
            known = 0 <= term.column < len(self.schema) and not self.schema.columns[term.column].levels
            numbers = (term.low, term.high, *term.value)
            if not known or len(term.value) != width or not all(map(math.isfinite, numbers)) or term.low >= term.high:
                raise InputError(f"a linear term needs a numeric column, bounds and {width} weight(s): {term}")
        if len({term.column for term in self.terms}) != len(self.terms):
            raise InputError("a rule set has at most one linear term a column")

    @property
    def weights(self) -> tuple[tuple[float, ...], ...]:
        """What each rule adds, one number a score."""
        return tuple(rule.value for rule in self.rules)

    def scores(self, Z: np.ndarray) -> np.ndarray:
        """The scores ``(n, number of scores)`` on encoded rows, before the link."""
        Z = np.asarray(Z, dtype=np.float64)
        out = np.tile(np.array(self.intercept), (len(Z), 1))
        for rule in self.rules:
            out += holds(rule.conditions, Z)[:, None] * np.array(rule.value)
        for term in self.terms:
            out += np.clip(Z[:, term.column], term.low, term.high)[:, None] * np.array(term.value)
        return out

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``."""
        return link_probabilities(self.scores(Z), self.link)

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs; with several scores, first whether each rule holds."""
        parts: list[sp.Expr] = [
            choice((sp.Integer(1), joined_condition(rule.conditions, symbols, self.schema)), (sp.Integer(0), True))
            for rule in self.rules
        ]
        parts += [
            sp.Max(
                sp.Float(term.low),
                sp.Min(sp.Float(term.high), symbols[term.column], evaluate=False),
                evaluate=False,
            )
            for term in self.terms
        ]
        steps: Steps = ()
        if len(self.intercept) > 1 and not inline:
            steps = tuple((step_symbol(i), part) for i, part in enumerate(parts))
            parts = [symbol for symbol, _ in steps]
        scores = tuple(self._score(o, parts) for o in range(len(self.intercept)))
        if self.link == "logistic":
            return logistic_outputs(scores[0], inline=inline)
        return (steps, scores) if self.link == "identity" else softmax_outputs(scores, steps, inline=inline)

    def _score(self, o: int, parts: Sequence[sp.Expr]) -> sp.Expr:
        weights = [value[o] for value in (*self.weights, *(term.value for term in self.terms))]
        products = [
            sp.Mul(sp.Float(weight), part, evaluate=False)
            for weight, part in zip(weights, parts, strict=True)
            if weight != 0.0
        ]
        start = sp.Float(self.intercept[o])
        return sp.Add(start, *products, evaluate=False) if products else start

    @property
    def complexity(self) -> int:
        """The intercepts; per rule its conditions; per weight a sign and a number; per term its column and bounds."""
        rows = [*self.weights, *(term.value for term in self.terms)]
        signs = sum(2 for weights in rows for weight in weights if weight != 0.0)
        return len(self.intercept) + signs + sum(rule.complexity for rule in self.rules) + 5 * len(self.terms)

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns that are asked, or have a linear term."""
        asked = {condition.column for rule in self.rules for condition in rule.conditions}
        return tuple(sorted(asked | {term.column for term in self.terms}))

    def rule_text(self, i: int) -> str:
        """The conditions of rule `i` as a person says them."""
        return conditions_text(self.rules[i].conditions, self.schema)

    def value_text(self, i: int) -> str:
        """What rule `i` adds: ``+ 2.5``; with several scores ``up + 2.5, down - 1``."""
        return self._weights_text(self.rules[i].value)

    def _weights_text(self, value: Sequence[float]) -> str:
        texts = [f"{'-' if weight < 0 else '+'} {number_text(abs(weight))}" for weight in value]
        if len(texts) == 1:
            return texts[0]
        named = zip(self.output_names, texts, value, strict=True)
        return ", ".join(f"{name_text(name)} {text}" for name, text, weight in named if weight != 0.0)

    def _product_text(self, term: LinearTerm) -> str:
        weights, name = self._weights_text(term.value), name_text(self.schema.names[term.column])
        return f"{weights} * {name}" if len(term.value) == 1 else f"({weights}) * {name}"

    def text(self) -> str:
        """The intercepts, then a line a rule and a line a linear term, then the link."""
        names = {"logistic": ["score"], "identity": [name_text(name) for name in self.output_names]}.get(
            self.link, [f"score({name})" for name in self.output_names]
        )
        start = zip(names, self.intercept, strict=True)
        lines = [", ".join(f"{name} = {number_text(value)}" for name, value in start)]
        heads = [self.value_text(i) for i in range(len(self.rules))] + [self._product_text(t) for t in self.terms]
        wide = max(map(len, heads), default=0)
        tails = [f"if {self.rule_text(i)}   [{rule.rows:,.0f} rows]" for i, rule in enumerate(self.rules)]
        tails += [f"(held between {number_text(t.low)} and {number_text(t.high)})" for t in self.terms]
        lines += [f"  {head:<{wide}}  {tail}" for head, tail in zip(heads, tails, strict=True)]
        if self.link == "logistic":
            lines.append(f"P({self.output_names[1]}) = 1 / (1 + exp(-score))")
        elif self.link == "softmax":
            lines.append("P(class) = exp(score(class)) / sum of exp(score)")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The rule set as JSON types, exactly."""
        return {
            **self._head(),
            "link": self.link,
            "intercept": list(self.intercept),
            "rules": written_rules(self.rules),
            "terms": [{**asdict(term), "value": list(term.value)} for term in self.terms],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RuleSetReadable:
        """The rule set that `to_dict` wrote."""
        schema, task, names = read_head(data)
        link = data.get("link")
        if link not in ("identity", "logistic", "softmax"):
            raise InputError(f"a rule set's link is identity, logistic or softmax; got {link!r:.60}")
        try:
            intercept = tuple(float(v) for v in data["intercept"])
            terms = tuple(
                LinearTerm(
                    int(term["column"]),
                    float(term["low"]),
                    float(term["high"]),
                    tuple(float(v) for v in term["value"]),
                )
                for term in data["terms"]
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"a stored rule set is malformed: {error!r:.120}") from None
        return cls(schema, task, names, intercept, read_rules(data.get("rules")), terms, link)
