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

__all__ = ["plain", "plain_form", "tidied"]

TOLERANCE = 0.002


PLAIN = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def plain(draft: Draft) -> Draft:
    """A program near by, its weights in the simplest ratios; it may act differently.

    Examples
    --------
    >>> plain(Draft((Line(((0, 0.83), (1, -0.84), (3, 1.8)), -6.0, 17.0, 2, 1),), 0)).lines[0]
    Line(form=((0, 1.0), (1, -1.0), (3, 2.0)), low=-7.1, high=20.0, below=2, above=1, gate=None)
    """
    return Draft(tuple(map(_plain_line, draft.lines)), draft.otherwise)


def _plain_line(line: Line) -> Line:
    unit, form = plain_form(line.form)
    low, high = (_two_digits(bound / unit) for bound in (line.low, line.high))
    if not line.gate:
        return replace(line, form=form, low=low, high=high)
    gate_unit, gate_form = plain_form(line.gate[0])
    return replace(line, form=form, low=low, high=high, gate=(gate_form, _two_digits(line.gate[1] / gate_unit)))


def plain_form(form: Form) -> tuple[float, Form]:
    """The unit taken out of a form, one of its weights, and the form in it with the simplest ratios nearby."""
    unit = sorted(abs(weight) for _, weight in form)[(len(form) - 1) // 2]
    return unit, tuple((column, math.copysign(_simple(abs(weight) / unit), weight)) for column, weight in form)


def _simple(ratio: float) -> float:
    power = 10.0 ** math.floor(math.log10(ratio))
    return _two_digits(min(PLAIN, key=lambda digit: abs(math.log(digit * power / ratio))) * power)


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}") if math.isfinite(value) else value


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
