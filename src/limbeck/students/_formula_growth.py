"""Local search over formulas: each of the best ones, one a length, is grown, changed and cut short, and fitted again.

Thousands of changes of a formula are judged together (`_formula_candidates`); only the most promising are built and
fitted. Cuts are all tried.

Source
------
Own.

Departures
----------
A formula that is not finite, or leaves the range of the answers far behind, on any *guard* row - rows with the columns
shuffled independently, so between and beyond the data - is never kept.

Cost
----
One step takes about 80 ms for 1,000 rows of 8 columns: 1,500 candidates by linearisation, 30 fitted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from limbeck.students._formula_algebra import Formula, constants, symbols, with_constants
from limbeck.students._formula_candidates import Candidate, Linearised, Setting, built
from limbeck.students._formula_edits import anatomy
from limbeck.students._formula_fit import refit, values_of

REFIT_STEPS = 6
CUT_STEPS = 4
TRIES_A_LENGTH = 2
TRIES_A_STEP = 18
LEAST_GAIN = 1e-4
"""A longer formula is kept where it is better by this share of the loss."""
PERFECT = 1e-13
"""Differences of the loss below this are rounding errors (a constant formula costs about 0.5)."""
STEP_COST = 20
"""What the judgement of a step costs, in refits."""


@dataclass
class Budget:
    """How many more refits there may be, and until when."""

    refits: float
    deadline: float | None = None

    def spent(self) -> bool:
        """True where no more may be begun."""
        return self.refits <= 0 or (self.deadline is not None and time.monotonic() >= self.deadline)


@dataclass
class _Entry:
    loss: float
    formula: Formula
    grown: bool = False


@dataclass
class Archive:
    """The best formula of every length."""

    setting: Setting
    budget: Budget
    entries: dict[int, _Entry] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def offer(self, formula: Formula, *, steps: int = REFIT_STEPS) -> None:
        """Fit the formula's constants and keep it where it is the best of its length."""
        units = self.setting.units
        mended = formula if units is None else units.mended(formula)
        if mended is None:
            return
        formula = mended
        length = symbols(formula, self.setting.costs)
        start = constants(formula)
        shape = repr(with_constants(formula, [2.0] * len(start)))
        if length > self.setting.max_symbols or shape in self.seen or not np.isfinite(start).all():
            return
        if not is_plain(formula):
            return
        self.seen.add(shape)
        self.budget.refits -= 1
        fitted = refit(formula, self.setting.columns, self.setting.loss, steps=steps, tolerance=1e-5)
        entry = self.entries.get(length)
        if not np.isfinite(fitted.loss) or (entry is not None and fitted.loss >= entry.loss):
            return
        if self._is_safe(fitted.formula):
            self.entries[length] = _Entry(fitted.loss, fitted.formula)

    def _is_safe(self, formula: Formula) -> bool:
        low, high = self.setting.limits
        values = values_of(formula, self.setting.guard)
        return bool(np.isfinite(values).all() and values.min() >= low and values.max() <= high)

    def front(self) -> list[int]:
        """The lengths at which the loss falls."""
        lengths: list[int] = []
        least = np.inf
        for length in sorted(self.entries):
            loss = self.entries[length].loss
            if not lengths or loss < least - LEAST_GAIN * abs(least) - PERFECT:
                lengths.append(length)
                least = loss
        return lengths

    def best_within(self, length: int) -> float:
        """The least loss of all formulas up to a length."""
        return min((e.loss for n, e in self.entries.items() if n <= length), default=np.inf)

    def run(self) -> None:
        """Grow every formula of the front, again and again, until none is new or the budget is spent."""
        while not self.budget.spent():
            front = self.front()
            todo = [n for n in front if not self.entries[n].grown]
            if not todo or self.entries[front[-1]].loss <= PERFECT:
                return
            for length in todo:
                if not self.entries[length].grown and not self.budget.spent():
                    self._step(self.entries[length])

    def _step(self, entry: _Entry) -> None:
        entry.grown = True
        self.budget.refits -= STEP_COST
        body = anatomy(entry.formula)
        candidates = Linearised(self.setting, entry.formula, entry.loss, body).candidates()
        tries: dict[int, int] = {}
        for formula in self._promising(candidates):
            length = symbols(formula, self.setting.costs)
            if tries.get(length, 0) < TRIES_A_LENGTH and sum(tries.values()) < TRIES_A_STEP:
                tries[length] = tries.get(length, 0) + 1
                self.offer(formula)
        for build in body.cuts:
            shorter = built(build)
            if shorter is not None:
                self.offer(shorter, steps=CUT_STEPS)

    def _promising(self, candidates: list[Candidate]) -> list[Formula]:
        """The candidates that should beat what there is, the most promising first."""
        ranked = []
        for i, (loss, build) in enumerate(candidates):
            formula = built(build)
            if formula is None:
                continue
            length = symbols(formula, self.setting.costs)
            best = self.best_within(length)
            if length <= self.setting.max_symbols and loss < best:
                ranked.append((loss / best, i, formula))
        return [formula for _, _, formula in sorted(ranked, key=lambda item: item[:2])]


_SELDOM_NESTED = frozenset({"exp", "tanh", "sin", "cos"})


def is_plain(formula: Formula) -> bool:
    """True where a person can follow it: exponents at most 3, in halves; no root of a square, no log in a log, and no
    exp, tanh, sin or cos in one another.
    """
    stack: list[tuple[Formula, frozenset[str]]] = [(formula, frozenset())]
    while stack:
        part, around = stack.pop()
        if part[0] == "+":
            stack.extend((core, around) for _, core in part[2])
        elif part[0] == "*":
            if any(abs(p) > 3.0 or not float(2 * p).is_integer() or _is_root_of_square(base, p) for base, p in part[1]):
                return False
            stack.extend((base, around) for base, _ in part[1])
        elif part[0] != "x":
            if part[0] in around:
                return False
            stack.append((part[1], around | (_SELDOM_NESTED if part[0] in _SELDOM_NESTED else {part[0]})))
    return True


def _is_root_of_square(base: Formula, p: float) -> bool:
    """True for ``sqrt(u**2 * v)``, where ``u`` or its absolute value is meant."""
    return p % 1.0 == 0.5 and base[0] == "*" and any(q % 2.0 == 0.0 for _, q in base[1])
