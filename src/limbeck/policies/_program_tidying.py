"""What a program does not need is left out: lines, gates, sides and terms that hardly ever change what it does.

Source
------
Own.

Departures
----------
What changes the action in at most `TOLERANCE` of the states that the program itself comes to is left out; the program
that is left is measured by playing, as it is read.

Cost
----
A few hundred times asking the program for the states given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from limbeck.policies._program_draft import Draft, Form, Line

__all__ = ["tidied"]

TOLERANCE = 0.002


def tidied(draft: Draft, rows: np.ndarray) -> Draft:
    """The program without what makes (nearly) no difference on rows ``(n, d)``, in its shortest writing.

    Examples
    --------
    >>> line = Line(((0, 0.5), (1, 0.0001)), -math.inf, 1.0, 0, 1)
    >>> tidied(Draft((line,), 0), np.array([[1.0, 0.0], [5.0, 3.0], [1.5, 2.0]]))
    Draft(lines=(Line(form=((0, 1.0),), low=-inf, high=2.0, below=0, above=1, gate=None),), otherwise=0)
    """
    actions = draft(rows)
    while True:
        good = [one for one in _without(draft) if (one(rows) != actions).mean() <= TOLERANCE]
        if not good:
            return Draft(tuple(map(_written, draft.lines)), draft.otherwise)
        draft = min(good, key=lambda one: (one.size, float((one(rows) != actions).mean())))


def _without(draft: Draft) -> Iterator[Draft]:
    for k, line in enumerate(draft.lines):
        if len(draft.lines) > 1:
            yield replace(draft, lines=draft.lines[:k] + draft.lines[k + 1 :])
        yield from (draft.with_line(k, less) for less in _less(line))


def _less(line: Line) -> Iterator[Line]:
    if line.gate:
        form, threshold = line.gate
        yield replace(line, gate=None)
        yield from (replace(line, gate=(less, threshold)) for less in _fewer_terms(form))
    if math.isfinite(line.low) and math.isfinite(line.high):
        yield replace(line, low=-math.inf)
        yield replace(line, high=math.inf)
    for form in _fewer_terms(line.form):
        yield replace(line, form=form)
    if line.low not in (0.0, -math.inf) and line.high >= 0.0:
        yield replace(line, low=0.0)
    if line.high not in (0.0, math.inf) and line.low <= 0.0:
        yield replace(line, high=0.0)


def _fewer_terms(form: Form) -> Iterator[Form]:
    if len(form) > 1:
        yield from (form[:i] + form[i + 1 :] for i in range(len(form)))


def _written(line: Line) -> Line:
    """The line in the unit in which its numbers are shortest to write; it decides the same."""
    unit = _shortest_unit(line.form, [bound for bound in (line.low, line.high) if math.isfinite(bound)])
    form, low, high = _divided(line.form, unit), line.low / unit, line.high / unit
    if not line.gate:
        return replace(line, form=form, low=low, high=high)
    gate_form, threshold = line.gate
    gate_unit = _shortest_unit(gate_form, [threshold])
    return replace(line, form=form, low=low, high=high, gate=(_divided(gate_form, gate_unit), threshold / gate_unit))


def _divided(form: Form, unit: float) -> Form:
    return tuple((column, weight / unit) for column, weight in form)


def _shortest_unit(form: Form, bounds: list[float]) -> float:
    units = (1.0, *(abs(weight) for _, weight in form))

    def length(unit: float) -> int:
        weights = [f"{abs(weight) / unit:.12g}" for _, weight in form]
        return sum(len(text) for text in weights if text != "1") + sum(len(f"{bound / unit:.12g}") for bound in bounds)

    return min(units, key=length)
