"""What changes of a formula are expected to bring, by regression on one column each.

The formula is linearised in its constants. A new term, anywhere inside, is judged by the score test; so is a new factor
``(1 + c item)**p`` of any part, which to first order is the term ``part * item`` whatever `p`. Another term in
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
from limbeck.students._formula_units import UnitCheck

TOP_NEW_TERMS = 3
TOP_NEW_FACTORS = 3
MAX_INNER_ITEMS = 48
MAX_FACTORS = 240

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
    units : UnitCheck or None
        Which formulas have units that fit.
    """

    columns: Sequence[np.ndarray]
    guard: Sequence[np.ndarray]
    limits: tuple[float, float]
    loss: Loss
    library: Library
    costs: Sequence[int]
    max_symbols: int
    operators: frozenset[str]
    units: UnitCheck | None = None


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
        Q = np.linalg.qr(self.basis)[0].T
        self.outside = np.vstack([self.residual - self.residual @ Q.T @ Q, Q])

    def candidates(self) -> list[Candidate]:
        """The best few for each kind of change, each place, and each number of symbols."""
        with np.errstate(all="ignore"):
            return [*self._new_terms(), *self._new_factors(), *self._changed_terms()]

    def _judge(
        self, basis: np.ndarray, residual: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """``(gain, coefficient, squared residual)`` of regressing the residual on each column beside the basis."""
        P = columns * self.root_weights[:, None]
        Q = np.linalg.qr(basis)[0]
        r = residual - Q @ (Q.T @ residual)
        return *_gains(np.einsum("ij,ij->j", P, P), np.vstack([r, Q.T]) @ P), float(r @ r)

    def _judge_library(self, k: int, m: int, times: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray] | None:
        """``(gain, coefficient)`` of 1 and the first items as a new term at site `k`; None where that is not defined.

        The same as `_judge`, without a matrix of the columns: they are the library's, every row times a number.
        """
        slope = self.root_weights * self.slopes[k] * times
        if not np.isfinite(slope).all():
            return None
        values, squares = self.setting.library.with_one
        before = (slope * slope) @ squares[:, : 1 + m]
        return _gains(before, (self.outside * slope) @ values[:, : 1 + m])

    def _new_terms(self) -> list[Candidate]:
        """Terms added to any sum inside the formula, and to any part that a sum can stand for."""
        library = self.setting.library
        found: list[Candidate] = []
        last = len(self.body.sites) - 1
        for k, site in enumerate(self.body.sites):
            m = len(library.items) if k == last else library.n_singles
            judged = self._judge_library(k, m)
            if judged is None:
                continue
            items = (constant(1.0), *library.items[:m])
            lengths = np.r_[-1, library.symbols[:m]]

            def make(i: int, site: Site = site, items=items, c=judged[1]) -> Build:  # type: ignore[no-untyped-def]
                return lambda: site.replace(add(site.part, scale(items[i], float(c[i]))))

            found += _best(judged[0], lengths, self.loss, make, TOP_NEW_TERMS if k == last else 1)
        return found

    def _new_factors(self) -> list[Candidate]:
        """Any part times, or over, a sum of 1 and an item, or its root: to first order all are one new term."""
        library, n = self.setting.library, len(self.root_weights)
        ranked: list[tuple[float, int, int, float]] = []
        for k, site in enumerate(self.body.sites):
            if not site.part[2] or _is_feature(site.part):
                continue
            m = min(len(library.items), MAX_FACTORS)
            judged = self._judge_library(k, m, np.broadcast_to(self.values[k], (n,)))
            if judged is not None:
                gains, c = judged[0][1:], judged[1][1:]
                top = np.argsort(-gains, kind="stable")[:TOP_NEW_FACTORS]
                ranked += [(float(gains[i]), k, int(i), float(c[i])) for i in top if gains[i] > 0]
        ranked.sort(key=lambda found: -found[0])
        return [
            (self.loss - gain, partial(_with_factor, self.body.sites[k], library.items[i], c, p))
            for gain, k, i, c in ranked[:TOP_NEW_FACTORS]
            for p in self._exponents()
        ]

    def _exponents(self) -> tuple[float, ...]:
        allowed = self.setting.operators
        roots = (0.5,) if "sqrt" in allowed else ()
        return (1.0, *roots, *((-1.0, *(-p for p in roots)) if "div" in allowed else ()))

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


def _gains(before: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(gain, coefficient)`` of columns with these squared lengths, from their products with residual and basis."""
    after = before - np.einsum("ij,ij->j", along[1:], along[1:])
    ok = np.isfinite(after) & (after > 1e-8 * before)
    after = np.where(ok, after, 1.0)
    return np.where(ok, 0.5 * along[0] ** 2 / after, -1.0), along[0] / after


def _is_feature(part: Formula) -> bool:
    return part[1] == 0.0 and len(part[2]) == 1 and part[2][0][1][0] == "x"


def _with_factor(site: Site, item: Formula, c: float, p: float) -> Formula:
    return site.replace(multiply(site.part, power(add(constant(1.0), scale(item, c / p)), p)))


def _quotient(left: Formula, right: Formula) -> Formula:
    return multiply(left, power(right, -1.0))


def _scaled_inside(name: str, part: Formula, factor: float) -> Formula:
    return apply(name, scale(part, factor))
