"""What changes of a formula are expected to bring, by regression on one column each.

The formula is linearised in its constants. A new term, anywhere inside, is judged by the score test. Another term in
the place of one, or another part inside a term, is judged exactly, but for the constants inside that term, which keep
their values until the candidate is fitted.

Source
------
Rao1948 for the score test; the rest is our own.

Cost
----
One pass over the rows for each candidate; those of one place are judged together, by one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

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
)
from limbeck.students._formula_edits import Anatomy, Build, Site, anatomy
from limbeck.students._formula_fit import Loss, compile_tape, propagate, run_backwards, run_tape
from limbeck.students._formula_library import Library

TOP_NEW_TERMS = 3
MAX_INNER_ITEMS = 48

Candidate: TypeAlias = tuple[float, Build]
"""The loss that is expected, and the way to build the formula."""


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


@dataclass(frozen=True)
class _Group:
    """Parts that can stand in one place: their values there ``(n, m)``, and about how long they are."""

    items: Sequence[Formula]
    values: np.ndarray
    lengths: np.ndarray


def built(build: Build) -> Formula | None:
    """The candidate, or None where its constants overflow."""
    try:
        with np.errstate(all="ignore"):
            formula = build()
    except (OverflowError, ZeroDivisionError, ValueError):
        return None
    return formula if np.isfinite(constants(formula)).all() else None


class Linearised:
    """A formula at its constants, and the changes of it that promise most."""

    def __init__(self, setting: Setting, formula: Formula, loss: float, body: Anatomy) -> None:
        self.setting, self.formula, self.body, self.loss = setting, formula, body, loss
        self.tape, self.theta = compile_tape(formula), np.array(constants(formula))
        n = len(setting.columns[0])
        with np.errstate(all="ignore"):
            self.values = run_tape(self.tape, self.theta, setting.columns)
            J, self.slopes = run_backwards(self.tape, self.theta, self.values, n, leaves=True)
            _, slope, curvature = setting.loss.expand(np.broadcast_to(self.values[-1], (n,)))
        self.root_weights = np.sqrt(curvature)
        self.residual = -slope / self.root_weights
        self.basis = np.nan_to_num(J * self.root_weights[:, None])

    def candidates(self) -> list[Candidate]:
        """The best few for each kind of change, each place, and each number of symbols."""
        with np.errstate(all="ignore"):
            return [*self._new_terms(), *self._changed_terms()]

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

    def _new_terms(self) -> list[Candidate]:
        """Terms added to any sum inside the formula, and to any part that a sum can stand for."""
        library = self.setting.library
        found: list[Candidate] = []
        everything = np.column_stack([np.ones(len(self.root_weights)), library.values])
        last = len(self.body.sites) - 1
        for k, site in enumerate(self.body.sites):
            m = 1 + (len(library.items) if k == last else library.n_singles)
            columns = everything[:, :m] * (1.0 if k == last else np.reshape(self.slopes[k], (-1, 1)))
            if not np.isfinite(columns).all():
                continue
            gains, coefficients, _ = self._judge(self.basis, self.residual, columns)
            items = (constant(1.0), *library.items[: m - 1])
            lengths = np.r_[-1, library.symbols[: m - 1]]

            def make(i: int, site: Site = site, items=items, c=coefficients) -> Build:  # type: ignore[no-untyped-def]
                return lambda: site.replace(add(site.part, scale(items[i], float(c[i]))))

            found += _best(gains, lengths, self.loss, make, TOP_NEW_TERMS if k == last else 1)
        return found

    def _changed_terms(self) -> list[Candidate]:
        """Each term of the formula replaced, and each part of each term."""
        found: list[Candidate] = []
        _, c0, terms = self.formula
        start, first = 0, 1 if c0 != 0.0 else 0
        for k, (slot, c, end) in enumerate(self.tape[-1][2]):
            own = len(constants(as_formula(terms[k][1]))) + (slot >= 0)
            basis = np.delete(self.basis, np.arange(first, first + own), axis=1)
            weight = self.theta[slot] if slot >= 0 else c
            residual = self.residual + self.root_weights * (weight * self.values[end])
            rest: Formula = ("+", c0, terms[:k] + terms[k + 1 :])
            inside = anatomy(as_formula(terms[k][1])).sites
            for at in range(start, end + 1):
                found += self._changed_part(at, end, inside[at - start], rest, basis, residual)
            start, first = end + 1, first + own
        return found

    def _changed_part(
        self, at: int, end: int, site: Site, rest: Formula, basis: np.ndarray, residual: np.ndarray
    ) -> list[Candidate]:
        """One part of a term replaced, or the whole term where `at` is its `end`; `rest` are the other terms."""
        found: list[Candidate] = []
        values = np.broadcast_to(self.values[at], self.root_weights.shape)
        for group in self._groups(site.part, values, end, at == end):
            columns = propagate(self.tape, self.theta, self.values, at, group.values, end)
            gains, coefficients, squared = self._judge(basis, residual, columns)
            base = self.loss + 0.5 * (squared - float(self.residual @ self.residual))

            def make(i: int, group: _Group = group, c=coefficients) -> Build:  # type: ignore[no-untyped-def]
                return lambda: add(rest, scale(site.replace(group.items[i]), float(c[i])))

            found += _best(gains, group.lengths, base, make, 1)
        return found

    def _groups(self, part: Formula, values: np.ndarray, end: int, whole: bool) -> list[_Group]:
        """What can stand in the place of a part: library items, it times one of them, it inside a function."""
        library = self.setting.library
        m = library.n_singles if whole else min(library.n_singles, MAX_INNER_ITEMS)
        groups = []
        if m:
            upto = len(library.items) if whole else m
            groups.append(_Group(library.items[:upto], library.values[:, :upto], library.symbols[:upto]))
            products = [multiply(part, item) for item in library.items[:m]]
            groups.append(_Group(products, library.values[:, :m] * values[:, None], library.symbols[:m]))
        wrapped = self._wrapped(part, values, end if whole else -1)
        if wrapped:
            lengths = np.array([symbols(item, self.setting.costs) for item, _ in wrapped])
            groups.append(_Group([item for item, _ in wrapped], np.column_stack([v for _, v in wrapped]), lengths))
        return groups

    def _wrapped(self, part: Formula, values: np.ndarray, end: int) -> list[tuple[Formula, np.ndarray]]:
        """The part inside each allowed function; a whole term also times and over each other term."""
        allowed, spread = self.setting.operators, float(np.std(values)) or 1.0
        forms: list[tuple[str, Build, np.ndarray]] = [
            ("log", partial(apply, "log", part), np.log(values)),
            ("sqrt", partial(power, part, 0.5), np.sqrt(values)),
            ("div", partial(power, part, -1.0), 1.0 / values),
            ("mul", partial(power, part, 2.0), values * values),
            ("exp", lambda: apply("exp", scale(part, -1.0 / spread)), np.exp(-values / spread)),
        ]
        for name, function in (("exp", np.exp), ("tanh", np.tanh), ("sin", np.sin), ("cos", np.cos)):
            inner = partial(_scaled_inside, name, part, 1.0 / spread)
            forms.append((name, inner, function(values / spread)))
        for other, (_, _, j) in enumerate(self.tape[-1][2] if end >= 0 else ()):
            if j != end:
                partner, v = as_formula(self.formula[2][other][1]), self.values[j]
                forms.append(("mul", partial(multiply, part, partner), values * v))
                forms.append(("div", partial(_quotient, part, partner), values / v))
        found = []
        for name, build, column in forms:
            item = built(build) if name in allowed and np.isfinite(column).all() else None
            if item is not None and item[2]:
                found.append((item, column))
        return found


def _best(
    gains: np.ndarray, lengths: np.ndarray, base: float, make: Callable[[int], Build], top: int
) -> list[Candidate]:
    found = []
    for length in np.unique(lengths):
        index = np.flatnonzero((lengths == length) & (gains > 0))
        found += [(base - gains[i], make(int(i))) for i in index[np.argsort(-gains[index], kind="stable")[:top]]]
    return found


def _quotient(left: Formula, right: Formula) -> Formula:
    return multiply(left, power(right, -1.0))


def _scaled_inside(name: str, part: Formula, factor: float) -> Formula:
    return apply(name, scale(part, factor))
