"""Programs and trees that act in the one language: sums that are asked twice as steps, 1 for the action taken.

Source
------
Own.

Cost
----
One node a term, comparison and action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import sympy as sp

from limbeck.readable._language import choice, step_symbol
from limbeck.readable._program_acting import Acting
from limbeck.readable._program_comparison import Comparison, Form
from limbeck.readable._readable import Built

__all__ = ["Conditions", "built"]


class Conditions:
    """A policy's comparisons in the one language; `steps` holds the sums that are asked more than once.

    Parameters
    ----------
    policy : Acting
        The policy.
    symbols : sequence of Symbol
        One a column.
    inline : bool
        Whether every sum is written out, without steps.
    """

    def __init__(self, policy: Acting, symbols: Sequence[sp.Symbol], *, inline: bool) -> None:
        self.symbols, self.inline = symbols, inline
        self.steps: list[tuple[sp.Symbol, sp.Expr]] = []
        self.sums: dict[Form, sp.Expr] = {}
        asked = [one.form for one in policy.comparisons()]
        for form in dict.fromkeys(asked):
            self.sums[form] = self.sum_of(form)
            if asked.count(form) > 1 and len(form) > 1 and not inline:
                self.sums[form] = self.step(self.sums[form])

    def step(self, expr: sp.Expr) -> sp.Symbol:
        """The symbol of a new step."""
        symbol = step_symbol(len(self.steps))
        self.steps.append((symbol, expr))
        return symbol

    def sum_of(self, form: Form) -> sp.Expr:
        """The sum, its terms in order."""
        terms = [self.term(self.symbols[column], weight) for column, weight in form]
        return terms[0] if len(terms) == 1 else sp.Add(*terms, evaluate=False)

    def term(self, symbol: sp.Symbol, weight: float) -> sp.Expr:
        """A column times its weight; whole weights as whole numbers, so that 1 is not written."""
        if weight == 1:
            return symbol
        return sp.Mul(_number(weight), symbol, evaluate=False)

    def all_of(self, comparisons: Sequence[Comparison]) -> sp.Basic:
        """The comparisons, holding together."""
        parts = list(dict.fromkeys(self.condition(one) for one in comparisons))
        return parts[0] if len(parts) == 1 else sp.And(*parts, evaluate=False)

    def condition(self, one: Comparison) -> sp.Basic:
        """One comparison."""
        relation = sp.Gt if one.is_above else sp.Lt
        return relation(self.sums[one.form], _number(one.bound), evaluate=False)

    def choice(self, pairs: Sequence[tuple[Any, Any]], last: Any) -> sp.Expr:
        """The first value whose condition holds, or the last."""
        return choice(*pairs, (last, sp.true))


def built(conditions: Conditions, choose: Callable[[Callable[[int], sp.Expr]], sp.Expr], k: int) -> Built:
    """Steps and outputs of a policy of `k` actions.

    `choose` writes the choice of what a function says of the action taken. With more than two actions the action's
    number is a step, and each output asks it.
    """
    if conditions.inline or k <= 2:
        return tuple(conditions.steps), tuple(choose(partial(_is_action, o)) for o in range(k))
    number = conditions.step(choose(sp.Integer))
    asked = [sp.Eq(number, sp.Integer(o), evaluate=False) for o in range(k)]
    outputs = tuple(choice((sp.Integer(1), condition), (sp.Integer(0), sp.true)) for condition in asked)
    return tuple(conditions.steps), outputs


def _is_action(wanted: int, action: int) -> sp.Expr:
    return sp.Integer(int(action == wanted))


def _number(value: float) -> sp.Expr:
    return sp.Integer(int(value)) if value == int(value) and abs(value) < 2**53 else sp.Float(value)
