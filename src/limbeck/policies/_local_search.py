"""Small changes of a program: a threshold, a weight, a column, an action, a line more, a line less, two lines swapped.

Source
------
Own; the steps are those of an evolution strategy (Beyer2002) on what a program is made of.

Departures
----------
- A threshold moves by a part of the spread of its form's values over known states, drawn log-uniformly, and is rounded
  to the shortest number nearby, so that what is raced is what is read.
- When a weight changes, the thresholds of the form stay at the same quantiles.

Cost
----
None that counts beside playing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from limbeck.policies._candidate_lines import canonical, gap_threshold
from limbeck.policies._program_draft import Draft, Form, Line, form_matrix

__all__ = ["Neighbourhood"]

FACTORS = (0.5, 2.0, 0.8, 1.25, 0.67, 1.5, -1.0)


@dataclass
class Neighbourhood:
    """What is near to a program.

    Attributes
    ----------
    rows : array (n, d)
        States, for the scale of each change.
    n_actions : int
    scales : array (d,)
        A round weight for each column at which columns count alike.
    pool : sequence of Form
        Forms to begin a gate or a term with.
    max_terms : int
    generator : Generator
    """

    rows: np.ndarray
    n_actions: int
    scales: np.ndarray
    pool: Sequence[Form]
    max_terms: int
    generator: np.random.Generator

    def changed(self, draft: Draft, n: int, others: Sequence[Draft] = ()) -> list[Draft]:
        """Up to `n` other programs of as many lines, all different; some take after one of the others too."""
        found: dict[Draft, None] = {}
        for _ in range(6 * n):
            candidate = draft
            if others and self.generator.random() < 0.25:
                candidate = self._mixed(draft, others[int(self.generator.integers(len(others)))])
            for _ in range(1 + (self.generator.random() < 0.4) + (self.generator.random() < 0.2)):
                candidate = self._step(candidate)
            if candidate != draft:
                found[candidate] = None
            if len(found) == n:
                break
        return list(found)

    def _mixed(self, draft: Draft, other: Draft) -> Draft:
        """Half way to the other where both are built alike, and else with one of its lines."""
        if [_build(line) for line in draft.lines] == [_build(line) for line in other.lines]:
            lines = tuple(self._between(a, b) for a, b in zip(draft.lines, other.lines, strict=True))
            return replace(draft, lines=lines)
        k, other_k = int(self.generator.integers(len(draft.lines))), int(self.generator.integers(len(other.lines)))
        return draft.with_line(k, other.lines[other_k])

    def _between(self, a: Line, b: Line) -> Line:
        form = canonical({column: 0.5 * (v + w) for (column, v), (_, w) in zip(a.form, b.form, strict=True)})
        if dict(form).keys() != dict(a.form).keys():
            return a
        values = self._values(form)
        low, high = (
            gap_threshold(values, 0.5 * (v + w)) if math.isfinite(v) else v
            for v, w in ((a.low, b.low), (a.high, b.high))
        )
        return replace(a, form=form, low=min(low, high), high=max(low, high))

    def _jitter(self, draft: Draft, k: int) -> Draft:
        """All weights and thresholds of all lines move a little."""
        size = float(self.generator.choice([0.05, 0.1, 0.2]))
        for i, line in enumerate(draft.lines):
            moved = {column: weight * math.exp(size * self.generator.normal()) for column, weight in line.form}
            draft = self._with_form(draft, i, canonical(moved))
            values = self._values(draft.lines[i].form)
            step = size * float(values.std())
            low, high = (
                gap_threshold(values, bound + step * self.generator.normal(), 0.2 * size)
                for bound in (draft.lines[i].low, draft.lines[i].high)
            )
            draft = draft.with_line(i, replace(draft.lines[i], low=min(low, high), high=max(low, high)))
        return draft

    def shorter(self, draft: Draft) -> list[Draft]:
        """The programs with one line less."""
        if len(draft.lines) < 2:
            return []
        return [replace(draft, lines=draft.lines[:k] + draft.lines[k + 1 :]) for k in range(len(draft.lines))]

    def _step(self, draft: Draft) -> Draft:
        steps: list[tuple[float, Callable[[Draft, int], Draft]]] = [
            (8.0, self._threshold),
            (4.0, self._weight),
            (2.0, self._jitter),
            (1.5, self._more_terms),
            (1.0, self._fewer_terms),
            (1.0, self._other_column),
            (0.7, self._action),
            (0.5, self._side),
            (1.0 if len(draft.lines) > 1 else 0.1, self._gate),
            (0.7 if len(draft.lines) > 1 else 0.0, self._swap),
        ]
        chances = np.array([chance for chance, _ in steps])
        step = steps[int(self.generator.choice(len(steps), p=chances / chances.sum()))][1]
        return step(draft, int(self.generator.integers(len(draft.lines))))

    def _values(self, form: Form) -> np.ndarray:
        return np.asarray(self.rows @ form_matrix([form], self.rows.shape[1])[0])

    def _moved(self, values: np.ndarray, threshold: float) -> float:
        part = math.exp(self.generator.uniform(math.log(0.02), math.log(0.8)))
        shift = self.generator.normal() * part * float(values.std())
        return gap_threshold(values, threshold + shift, tolerance=min(0.02, 0.3 * part))

    def _threshold(self, draft: Draft, k: int) -> Draft:
        line = draft.lines[k]
        if line.gate and self.generator.random() < 0.3:
            form, threshold = line.gate
            return draft.with_line(k, replace(line, gate=(form, self._moved(self._values(form), threshold))))
        values = self._values(line.form)
        both = math.isfinite(line.low) and math.isfinite(line.high)
        which = self.generator.choice(["low", "high", "both"]) if both else "both"
        low = line.low if which == "high" else self._moved(values, line.low) if math.isfinite(line.low) else line.low
        high = (
            line.high if which == "low" else self._moved(values, line.high) if math.isfinite(line.high) else line.high
        )
        return draft.with_line(k, replace(line, low=min(low, high), high=max(low, high)))

    def _with_form(self, draft: Draft, k: int, form: Form) -> Draft:
        """Line `k` on another form, its thresholds at the quantiles where they were."""
        line = draft.lines[k]
        if not form:
            return draft
        old, new = self._values(line.form), np.sort(self._values(form))
        turned = float(np.dot(old - old.mean(), self._values(form) - new.mean())) < 0
        low, high = (_at_quantile(old, new, threshold, turned) for threshold in (line.low, line.high))
        below, above = line.below, line.above
        if turned:
            low, high, below, above = high, low, above, below
        if (not math.isfinite(low) and low > 0) or (not math.isfinite(high) and high < 0):
            return draft
        return draft.with_line(k, Line(form, min(low, high), max(low, high), below, above, line.gate))

    def _weight(self, draft: Draft, k: int) -> Draft:
        weights = dict(draft.lines[k].form)
        column = int(self.generator.choice(list(weights)))
        weights[column] *= float(self.generator.choice(FACTORS, p=[0.25, 0.25, 0.12, 0.12, 0.12, 0.12, 0.02]))
        return self._with_form(draft, k, canonical(weights))

    def _more_terms(self, draft: Draft, k: int) -> Draft:
        weights = dict(draft.lines[k].form)
        others = [int(j) for j in np.flatnonzero(self.scales) if j not in weights]
        if len(weights) >= self.max_terms or not others:
            return draft
        column = int(self.generator.choice(others))
        ruler = np.ones(len(self.scales)) if self.generator.random() < 0.5 else self._ruler(weights)
        weights[column] = float(ruler[column] * self.generator.choice([1.0, -1.0, 2.0, -2.0, 0.5, -0.5]))
        return self._with_form(draft, k, canonical(weights))

    def _ruler(self, weights: dict[int, float]) -> np.ndarray:
        """The scales, in the unit in which the form's terms are written."""
        units = [abs(weight) / self.scales[column] for column, weight in weights.items() if self.scales[column]]
        return self.scales * float(np.median(units)) if units else self.scales

    def _fewer_terms(self, draft: Draft, k: int) -> Draft:
        weights = dict(draft.lines[k].form)
        if len(weights) < 2:
            return draft
        weights.pop(int(self.generator.choice(list(weights))))
        return self._with_form(draft, k, canonical(weights))

    def _other_column(self, draft: Draft, k: int) -> Draft:
        return self._more_terms(self._fewer_terms(draft, k), k)

    def _action(self, draft: Draft, k: int) -> Draft:
        which, action = int(self.generator.integers(3)), int(self.generator.integers(self.n_actions))
        if which == 2:
            return replace(draft, otherwise=action)
        line = draft.lines[k]
        return draft.with_line(k, replace(line, below=action) if which else replace(line, above=action))

    def _side(self, draft: Draft, k: int) -> Draft:
        """One side of the line falls away, or comes."""
        line = draft.lines[k]
        if line.gate:
            return draft
        values = self._values(line.form)
        if math.isfinite(line.low) and math.isfinite(line.high):
            away = {"low": -math.inf} if self.generator.random() < 0.5 else {"high": math.inf}
            return draft.with_line(k, replace(line, **away))  # type: ignore[arg-type]
        if math.isfinite(line.high):
            low = gap_threshold(values, min(line.high, float(np.quantile(values, self.generator.random()))))
            action = int(self.generator.integers(self.n_actions))
            return draft.with_line(k, replace(line, low=min(low, line.high), below=action))
        high = gap_threshold(values, max(line.low, float(np.quantile(values, self.generator.random()))))
        action = int(self.generator.integers(self.n_actions))
        return draft.with_line(k, replace(line, high=max(high, line.low), above=action))

    def _gate(self, draft: Draft, k: int) -> Draft:
        """A gate falls away, or comes; a line with a gate has one side, or a person would read two lines."""
        line = draft.lines[k]
        if line.gate:
            return draft.with_line(k, replace(line, gate=None))
        if math.isfinite(line.low) and math.isfinite(line.high):
            line = replace(line, low=-math.inf) if self.generator.random() < 0.5 else replace(line, high=math.inf)
        short = [form for form in self.pool if len(form) <= 2]
        if not short:
            return draft
        form = short[int(self.generator.integers(len(short)))]
        if self.generator.random() < 0.5:
            form = tuple((column, -weight) for column, weight in form)
        values = self._values(form)
        threshold = gap_threshold(values, float(np.quantile(values, self.generator.uniform(0.05, 0.6))))
        return draft.with_line(k, replace(line, gate=(form, threshold)))

    def _swap(self, draft: Draft, k: int) -> Draft:
        lines = list(draft.lines)
        other = int(self.generator.integers(len(lines)))
        lines[k], lines[other] = lines[other], lines[k]
        return replace(draft, lines=tuple(lines))


def _build(line: Line) -> tuple[object, ...]:
    """What must be alike for two lines to have something between them."""
    signs = tuple((column, weight > 0) for column, weight in line.form)
    return signs, math.isfinite(line.low), math.isfinite(line.high), line.below, line.above, line.gate is None


def _at_quantile(old: np.ndarray, new: np.ndarray, threshold: float, turned: bool) -> float:
    """The threshold on sorted new values that stands where the old one stood among the old values."""
    if not math.isfinite(threshold):
        return -threshold if turned else threshold
    share = float((old <= threshold).mean())
    share = 1.0 - share if turned else share
    if not 0.0 < share < 1.0:
        # Outside of what was seen: as many spreads away from the middle.
        away = (threshold - float(old.mean())) / max(float(old.std()), 1e-12)
        value = float(new.mean()) + (-away if turned else away) * float(new.std())
        return gap_threshold(new, value)
    i = min(max(1, round(share * len(new))), len(new) - 1)
    return gap_threshold(new, float(0.5 * (new[i - 1] + new[i])))
