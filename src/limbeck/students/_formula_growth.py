"""Local search over formulas: each of the best ones, one a length, is grown, changed and cut short, and fitted again.

A step linearises a formula in its constants. What a new term, a new factor or another term would bring is then a
regression on one column, so that thousands of changes are judged by one matrix product; only the most promising are
built and fitted. Cuts are all tried.

Source
------
Own; the judgement of a new term is the score test [Rao1948]_.

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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from limbeck.students._formula_algebra import (
    Formula,
    add,
    apply,
    as_formula,
    constant,
    constants,
    multiply,
    power,
    scale,
    symbols,
    with_constants,
)
from limbeck.students._formula_edits import Anatomy, Build, anatomy
from limbeck.students._formula_fit import Loss, compile_tape, refit, run_backwards, run_tape, values_of
from limbeck.students._formula_library import Library

REFIT_STEPS = 6
CUT_STEPS = 4
TRIES_A_LENGTH = 2
TRIES_A_STEP = 18
LEAST_GAIN = 1e-4
"""A longer formula is kept where it is better by this share of the loss."""
PERFECT = 1e-13
"""Differences of the loss below this are rounding errors (a constant formula costs about 0.5)."""
STEP_COST = 10
"""What the judgement of a step costs, in refits."""


@dataclass
class Budget:
    """How many more refits there may be, and until when."""

    refits: float
    deadline: float | None = None

    def spent(self) -> bool:
        """True where no more may be begun."""
        return self.refits <= 0 or (self.deadline is not None and time.monotonic() >= self.deadline)


@dataclass(frozen=True)
class Setting:
    """What all formulas of one search share.

    Attributes
    ----------
    columns : sequence of array ``(n,)``
        The features on the sampled rows.
    guard : sequence of array
        The features on the guard rows.
    limits : tuple of float
        Between which the values on guard rows must lie.
    loss : Loss
    library : Library
    costs : sequence of int
        Symbols of each feature.
    max_symbols : int
    operators : set of str
    """

    columns: Sequence[np.ndarray]
    guard: Sequence[np.ndarray]
    limits: tuple[float, float]
    loss: Loss
    library: Library
    costs: Sequence[int]
    max_symbols: int
    operators: frozenset[str]


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
        candidates = _Linearised(self.setting, entry.formula, entry.loss, body).candidates()
        tries: dict[int, int] = {}
        for formula in self._promising(candidates):
            length = symbols(formula, self.setting.costs)
            if tries.get(length, 0) < TRIES_A_LENGTH and sum(tries.values()) < TRIES_A_STEP:
                tries[length] = tries.get(length, 0) + 1
                self.offer(formula)
        for build in body.cuts:
            shorter = _built(build)
            if shorter is not None:
                self.offer(shorter, steps=CUT_STEPS)

    def _promising(self, candidates: list[tuple[float, Build]]) -> list[Formula]:
        """The candidates that should beat what there is, the most promising first."""
        ranked = []
        for i, (loss, build) in enumerate(candidates):
            formula = _built(build)
            if formula is None:
                continue
            length = symbols(formula, self.setting.costs)
            best = self.best_within(length)
            if length <= self.setting.max_symbols and loss < best:
                ranked.append((loss / best, i, formula))
        return [formula for _, _, formula in sorted(ranked, key=lambda item: item[:2])]


_SELDOM_NESTED = frozenset({"exp", "tanh", "sin", "cos"})


def is_plain(formula: Formula) -> bool:
    """True where a person can follow it: exponents at most 3, in halves; no log in a log, and no exp, tanh, sin or cos
    in one another.
    """
    stack: list[tuple[Formula, frozenset[str]]] = [(formula, frozenset())]
    while stack:
        part, around = stack.pop()
        if part[0] == "+":
            stack.extend((core, around) for _, core in part[2])
        elif part[0] == "*":
            if any(abs(p) > 3.0 or not float(2 * p).is_integer() for _, p in part[1]):
                return False
            stack.extend((base, around) for base, _ in part[1])
        elif part[0] != "x":
            if part[0] in around:
                return False
            stack.append((part[1], around | (_SELDOM_NESTED if part[0] in _SELDOM_NESTED else {part[0]})))
    return True


def _built(build: Build) -> Formula | None:
    """The candidate, or None where its constants overflow."""
    try:
        with np.errstate(all="ignore"):
            return build()
    except (OverflowError, ZeroDivisionError, ValueError):
        return None


def _quotient(left: Formula, right: Formula) -> Build:
    return lambda: multiply(left, power(right, -1.0))


class _Linearised:
    """A formula at its constants, and what changes of it are expected to bring."""

    def __init__(self, setting: Setting, formula: Formula, loss: float, body: Anatomy) -> None:
        self.setting, self.formula, self.body, self.loss = setting, formula, body, loss
        tape, theta = compile_tape(formula), np.array(constants(formula))
        n = len(setting.columns[0])
        self.root = tape[-1]
        with np.errstate(all="ignore"):
            self.values = run_tape(tape, theta, setting.columns)
            J, self.slopes = run_backwards(tape, theta, self.values, n, leaves=True)
            _, slope, curvature = setting.loss.expand(np.broadcast_to(self.values[-1], (n,)))
        self.root_weights = np.sqrt(curvature)
        self.residual = -slope / self.root_weights
        self.theta = theta
        self.basis = np.nan_to_num(J * self.root_weights[:, None])

    def candidates(self) -> list[tuple[float, Build]]:
        """``(expected loss, way to build it)``, the best few for each number of symbols and each kind of change."""
        with np.errstate(all="ignore"):
            return [*self._new_terms(), *self._other_terms()]

    def _judge(
        self, basis: np.ndarray, residual: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """``(gain, coefficient, squared residual)`` of regressing the residual on each column beside the basis."""
        Q = np.linalg.qr(basis)[0]
        r = residual - Q @ (Q.T @ residual)
        P = columns * self.root_weights[:, None]
        before = np.einsum("ij,ij->j", P, P)
        P -= Q @ (Q.T @ P)
        after = np.einsum("ij,ij->j", P, P)
        ok = np.isfinite(after) & (after > 1e-8 * before)
        g = P.T @ r
        after = np.where(ok, after, 1.0)
        return np.where(ok, 0.5 * g * g / after, -1.0), g / after, float(r @ r)

    def _best(
        self, gains: np.ndarray, lengths: np.ndarray, base: float, make: Callable[[int], Build], top: int
    ) -> list[tuple[float, Build]]:
        found = []
        for length in np.unique(lengths):
            index = np.flatnonzero((lengths == length) & (gains > 0))
            found += [(base - gains[i], make(int(i))) for i in index[np.argsort(-gains[index], kind="stable")[:top]]]
        return found

    def _new_terms(self) -> list[tuple[float, Build]]:
        """Terms added to any sum inside the formula, and to any part that a sum can stand for."""
        library, found = self.setting.library, []
        if not library.items:
            return []
        everything = np.column_stack([np.ones(len(library.values)), library.values])
        with_one = everything[:, : 1 + library.n_singles]
        one = constant(1.0)
        for k, site in enumerate(self.body.sites):
            whole = k == len(self.body.sites) - 1
            items = (one, *library.items) if whole else (one, *library.items[: library.n_singles])
            columns = everything if whole else with_one * np.asarray(self.slopes[k]).reshape(-1, 1)
            if not whole and not np.isfinite(columns).all():
                continue
            gains, coefficients, _ = self._judge(self.basis, self.residual, columns)
            lengths = np.r_[-1, library.symbols[: len(items) - 1]]

            def make(i: int, site=site, items=items, coefficients=coefficients) -> Build:  # type: ignore[no-untyped-def]
                return lambda: site.replace(add(site.part, scale(items[i], float(coefficients[i]))))

            found += self._best(gains, lengths, self.loss, make, 3 if whole else 1)
        return found

    def _other_terms(self) -> list[tuple[float, Build]]:
        """Another term in the place of one, or that term times a library item, inside a function, or times another."""
        found = []
        head, c0, terms = self.formula
        for k, (slot, _, i) in enumerate(self.root[2]):
            if slot < 0:
                continue
            values = np.broadcast_to(self.values[i], self.root_weights.shape)
            basis = np.delete(self.basis, slot, axis=1)
            residual = self.residual + self.root_weights * (self.theta[slot] * values)
            rest = (head, c0, terms[:k] + terms[k + 1 :])
            for items, columns, lengths in self._replacements(k, values):
                gains, coefficients, squared = self._judge(basis, residual, columns)
                base = self.loss + 0.5 * (squared - float(self.residual @ self.residual))

                def make(i: int, items=items, coefficients=coefficients, rest=rest) -> Build:  # type: ignore[no-untyped-def]
                    return lambda: add(rest, scale(items[i], float(coefficients[i])))

                found += self._best(gains, lengths, base, make, 1)
        return found

    def _replacements(self, k: int, values: np.ndarray) -> list[tuple[Sequence[Formula], np.ndarray, np.ndarray]]:
        """Groups of parts that can stand for a term: the parts, their values, about how long they are."""
        library = self.setting.library
        part = as_formula(self.formula[2][k][1])
        groups: list[tuple[Sequence[Formula], np.ndarray, np.ndarray]] = []
        if library.items:
            singles = library.items[: library.n_singles]
            products = [multiply(part, item) for item in singles]
            groups.append((library.items, library.values, library.symbols))
            factors = library.values[:, : library.n_singles] * values[:, None]
            groups.append((products, factors, library.symbols[: library.n_singles]))
        wrapped = self._wrapped(k, part, values)
        if wrapped:
            lengths = np.array([symbols(item, self.setting.costs) for item, _ in wrapped])
            groups.append(([item for item, _ in wrapped], np.column_stack([v for _, v in wrapped]), lengths))
        return groups

    def _wrapped(self, k: int, part: Formula, values: np.ndarray) -> list[tuple[Formula, np.ndarray]]:
        """The term inside each allowed function, and times or over each other term."""
        allowed, spread = self.setting.operators, float(np.std(values)) or 1.0
        forms: list[tuple[str, Build, np.ndarray]] = [
            ("log", lambda: apply("log", part), np.log(values)),
            ("sqrt", lambda: power(part, 0.5), np.sqrt(values)),
            ("div", lambda: power(part, -1.0), 1.0 / values),
            ("mul", lambda: power(part, 2.0), values * values),
            ("exp", lambda: apply("exp", scale(part, 1.0 / spread)), np.exp(values / spread)),
            ("exp", lambda: apply("exp", scale(part, -1.0 / spread)), np.exp(-values / spread)),
            ("tanh", lambda: apply("tanh", scale(part, 1.0 / spread)), np.tanh(values / spread)),
            ("sin", lambda: apply("sin", scale(part, 1.0 / spread)), np.sin(values / spread)),
            ("cos", lambda: apply("cos", scale(part, 1.0 / spread)), np.cos(values / spread)),
        ]
        for other, (_, _, j) in enumerate(self.root[2]):
            if other != k:
                partner, v = as_formula(self.formula[2][other][1]), self.values[j]
                forms.append(("mul", partial(multiply, part, partner), values * v))
                forms.append(("div", _quotient(part, partner), values / v))
        found = []
        for name, build, column in forms:
            item = _built(build) if name in allowed and np.isfinite(column).all() else None
            if item is not None and item[2] and np.isfinite(constants(item)).all():
                found.append((item, column))
        return found
