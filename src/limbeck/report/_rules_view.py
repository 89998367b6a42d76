"""Rules in the page: an ordered list with conditions, values as bars, and the rows that each rule decides.

Cost
----
O(rules); at most `MAX_RULES` are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from limbeck._core.tables import Column
from limbeck.readable import Condition, RuleListReadable, RuleSetReadable
from limbeck.report._words import MINUS, count, number, plural, shortened

__all__ = ["condition_parts", "rule_list_values", "rule_set_values", "rules_data"]

MAX_RULES = 120
MAX_LEVELS = 6


def condition_parts(condition: Condition, column: Column) -> dict[str, str]:
    """The condition in short, and in full.

    Examples
    --------
    >>> condition_parts(Condition(0, 30.0, 50.0), Column("age"))["text"]
    '30 < age ≤ 50'
    """
    name = shortened(column.name, 48)
    if condition.levels:
        names = [shortened(column.level_names[code], 40) for code in condition.levels]
        if len(names) == 1:
            text = f"{name} {'≠' if condition.excluded else '='} {names[0]}"
        else:
            more = f", and {len(names) - MAX_LEVELS} more" if len(names) > MAX_LEVELS else ""
            listed = f"{', '.join(names[:MAX_LEVELS])}{more}"
            text = f"{name} {'not in' if condition.excluded else 'in'} {{{listed}}}"
    elif condition.low is None:
        text = f"{name} ≤ {number(condition.high, 6)}"
    elif condition.high is None:
        text = f"{name} > {number(condition.low, 6)}"
    else:
        text = f"{number(condition.low, 6)} < {name} ≤ {number(condition.high, 6)}"
    return {"text": text, "full": shortened(condition.text(column), 2_000)}


def rules_data(rules: RuleListReadable | RuleSetReadable) -> dict[str, Any]:
    """What the page's script needs to find the rules that hold."""
    return {
        "first": isinstance(rules, RuleListReadable),
        "conditions": [
            [[c.column, c.low, c.high, list(c.levels), c.excluded] for c in rule.conditions]
            for rule in rules.rules[:MAX_RULES]
        ],
    }


def rule_list_values(rules: RuleListReadable) -> dict[str, Any]:
    """What the template needs of a rule list."""
    total = sum(rule.rows for rule in rules.rules) or 1.0
    last, lines = len(rules.rules) - 1, []
    for i, rule in enumerate(rules.rules[:MAX_RULES]):
        lines.append(
            {
                "word": "else" if i == last else ("else if" if i else "if"),
                **_common(rules, i, total),
                "value": _says(rules, rule.value),
                "signed": False,
                "pieces": _pieces(rules, rule.value),
            }
        )
    classes = list(rules.output_names) if rules.task == "classification" and len(rules.output_names) <= 8 else []
    return {
        **_head(rules, lines),
        "is_list": True,
        "classes": [shortened(name, 40) for name in classes],
        "link": "identity",
    }


def rule_set_values(rules: RuleSetReadable) -> dict[str, Any]:
    """What the template needs of a rule set."""
    most = max((abs(weight) for weights in rules.weights for weight in weights), default=0.0) or 1.0
    total = max((rule.rows for rule in rules.rules), default=0.0) or 1.0
    lines = [
        {
            "word": "if" if rule.conditions else "",
            **_common(rules, i, total, "meet it"),
            "value": _weights(rules, rule.value),
            "signed": True,
            "pieces": [_signed(weight, most) for weight in rule.value] if len(rule.value) == 1 else [],
        }
        for i, rule in enumerate(rules.rules[:MAX_RULES])
    ]
    names = rules.schema.names
    terms = [
        {
            "text": f"{shortened(names[term.column], 48)}, held between {number(term.low)} and {number(term.high)}",
            "full": names[term.column],
            "value": _weights(rules, term.value),
        }
        for term in rules.terms[:MAX_RULES]
    ]
    return {
        **_head(rules, lines),
        "is_list": False,
        "classes": [],
        "link": rules.link,
        "start": _weights(rules, rules.intercept, most=8),
        "terms": terms,
        "scores": len(rules.intercept),
        "second": shortened(rules.output_names[-1], 60),
    }


def _head(rules: RuleListReadable | RuleSetReadable, lines: list[dict[str, Any]]) -> dict[str, Any]:
    more = len(rules.rules) - len(lines)
    return {
        "kind": "rules",
        "rules": lines,
        "start": "",
        "terms": [],
        "scores": 1,
        "second": "",
        "more": f"{plural(more, 'more rule is', 'more rules are')} in the text below." if more else "",
    }


def _common(rules: RuleListReadable | RuleSetReadable, i: int, total: float, verb: str = "") -> dict[str, Any]:
    rule = rules.rules[i]
    columns = rules.schema.columns
    words = plural(round(rule.rows), "row")
    return {
        "conditions": [condition_parts(condition, columns[condition.column]) for condition in rule.conditions],
        "rows": f"{words} {verb}".strip(),
        "share": f"{100 * rule.rows / total:.1f}",
    }


def _says(rules: RuleListReadable, value: Sequence[float]) -> str:
    if rules.task == "classification":
        best = max(range(len(value)), key=value.__getitem__)
        return f"{shortened(rules.output_names[best], 40)} {value[best]:.0%}"
    return " / ".join(number(v) for v in value[:3]) + (" / …" if len(value) > 3 else "")


def _pieces(rules: RuleListReadable, value: Sequence[float]) -> list[dict[str, str]]:
    """The classes' shares, or where the first output lies between the least and the greatest of all rules."""
    if rules.task == "classification":
        shares = [(c, 100 * max(share, 0.0)) for c, share in enumerate(value)]
        return [{"kind": f"piece k{c % 8}", "share": f"{share:.1f}"} for c, share in shares if share >= 0.5]
    first = [rule.value[0] for rule in rules.rules]
    low, high = min(first), max(first)
    share = (value[0] - low) / (high - low) if high > low else 0.5
    return [{"kind": "filled", "share": f"{max(100 * share, 1.0):.1f}"}]


def _signed(weight: float, most: float) -> dict[str, str]:
    return {"kind": f"bar {'plus' if weight >= 0 else 'minus'}", "share": f"{50 * abs(weight) / most:.1f}"}


def _weights(rules: RuleSetReadable, value: Sequence[float], most: int = 3) -> str:
    """``+ 0.5``; of several scores the greatest few, with their names."""
    if len(value) == 1:
        return _with_sign(value[0])
    order = sorted((o for o in range(len(value)) if value[o]), key=lambda o: -abs(value[o]))
    shown = [f"{shortened(rules.output_names[o], 24)} {_with_sign(value[o])}" for o in order[:most]]
    return ", ".join(shown) + (f", and {count(len(order) - most)} more" if len(order) > most else "") or "0"


def _with_sign(value: float) -> str:
    return f"{MINUS if value < 0 else '+'} {number(abs(value))}"
