"""A program while it is searched for: lines over linear forms with thresholds, quick to ask and to change.

A line is one linear form with a threshold above, a threshold below, or both: "the action `above` where the form is
greater than `high`, the action `below` where it is less than `low`, else the next line decides". A line may have a
gate: a second comparison without which it never decides. `program_of` makes the frozen `ProgramPolicy` of it: a guard
for each threshold.

Source
------
Own form.

Cost
----
One matrix product over all forms, and two comparisons and two assignments a line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from limbeck._core.tables import Schema
from limbeck.readable import Comparison, Guard, ProgramPolicy

__all__ = ["Draft", "Form", "Line", "form_matrix", "program_of", "round_between"]

Form = tuple[tuple[int, float], ...]
"""Pairs of (column, weight), by column; the first weight is positive."""


@dataclass(frozen=True)
class Line:
    """One linear form and what its two ends decide.

    Attributes
    ----------
    form : Form
    low, high : float
        ``low <= high``; infinite where that side decides nothing.
    below, above : int
        The actions under `low` and over `high`.
    gate : (Form, float) or None
        The line decides only where this form is greater than this threshold.
    """

    form: Form
    low: float
    high: float
    below: int
    above: int
    gate: tuple[Form, float] | None = None

    @property
    def size(self) -> int:
        """The numbers and columns that a person must read; a weight of 1 and a threshold of 0 are no numbers."""
        bounds = [bound for bound in (self.low, self.high) if math.isfinite(bound)]
        form = self.form
        if self.gate:
            form, bounds = (*form, *self.gate[0]), [*bounds, self.gate[1]]
        return 2 * len(form) + 3 * len(bounds) - sum(abs(w) == 1.0 for _, w in form) - sum(not b for b in bounds)


@dataclass(frozen=True)
class Draft:
    """Lines asked in order, and the action where none decides.

    Examples
    --------
    >>> draft = Draft((Line(((0, 1.0), (1, -1.0)), -2.0, 3.0, 1, 2),), 0)
    >>> draft(np.array([[5.0, 1.0], [1.0, 5.0], [1.0, 1.0]])).tolist()
    [2, 1, 0]
    """

    lines: tuple[Line, ...]
    otherwise: int

    @property
    def size(self) -> int:
        """The numbers and columns that a person must read."""
        return 1 + sum(line.size for line in self.lines)

    @cached_property
    def _matrix(self) -> np.ndarray:
        """The forms of the lines, then those of their gates, up to the last column that is used."""
        forms = [line.form for line in self.lines] + [line.gate[0] for line in self.lines if line.gate]
        return form_matrix(forms, 1 + max((column for form in forms for column, _ in form), default=0))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """The action ``(n,)`` for each row ``(n, d)``."""
        values = self._matrix @ rows[:, : self._matrix.shape[1]].T
        actions = np.full(len(rows), self.otherwise)
        gate = len(values)
        for k in range(len(self.lines) - 1, -1, -1):  # the first line has the last word
            line, value = self.lines[k], values[k]
            over, under = value > line.high, value < line.low
            if line.gate:
                gate -= 1
                opened = values[gate] > line.gate[1]
                over, under = over & opened, under & opened
            actions[over] = line.above
            actions[under] = line.below
        return actions

    def reaching(self, rows: np.ndarray, k: int) -> np.ndarray:
        """Which rows no line before line `k` decides: a mask ``(n,)``."""
        undecided = Draft(tuple(replace(line, below=1, above=1) for line in self.lines[:k]), 0)
        return undecided(rows) == 0

    def with_line(self, k: int, line: Line) -> Draft:
        """The draft with line `k` replaced."""
        return replace(self, lines=(*self.lines[:k], line, *self.lines[k + 1 :]))


def form_matrix(forms: Sequence[Form], width: int) -> np.ndarray:
    """The weights ``(number of forms, width)``: ``rows @ matrix.T`` are the values of the forms."""
    matrix = np.zeros((len(forms), width))
    for i, form in enumerate(forms):
        for column, weight in form:
            matrix[i, column] = weight
    return matrix


def round_between(value: float, low: float, high: float) -> float:
    """The number of fewest decimals that lies between two bounds, nearest to a value.

    Examples
    --------
    >>> round_between(0.1234, 0.11, 0.14), round_between(17.2, 16.6, 19.0), round_between(3.0, 3.0, 3.0)
    (0.12, 17.0, 3.0)
    """
    for digits in range(-3, 12):
        rounded = round(value, digits)
        if low <= rounded <= high:
            return rounded + 0.0
    return value


def program_of(draft: Draft, schema: Schema, actions: tuple[str, ...], changes: tuple[int, ...]) -> ProgramPolicy:
    """The frozen program that a person reads; `schema` has the observation's columns and then their changes."""
    guards = [guard for line in draft.lines for guard in _guards(line)]
    return ProgramPolicy(schema, actions, tuple(guards), draft.otherwise, changes)


def _guards(line: Line) -> Iterable[Guard]:
    gate = (_comparison(*line.gate),) if line.gate else ()
    if math.isfinite(line.high):
        yield Guard((_comparison(line.form, line.high), *gate), line.above)
    if math.isfinite(line.low):
        negated = tuple((column, -weight) for column, weight in line.form)
        yield Guard((_comparison(negated, -line.low), *gate), line.below)


def _comparison(form: Form, threshold: float) -> Comparison:
    """The comparison without what multiplying left in the last digits: 2.1, not 2.0999999999999996."""
    terms = tuple((column, float(f"{weight:.12g}")) for column, weight in form)
    return Comparison(terms, float(f"{threshold:.12g}"))
