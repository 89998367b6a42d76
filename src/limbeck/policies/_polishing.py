"""The numbers of a program polished by play: all its weights and thresholds move at once, and what is good is averaged.

A game's returns are noisy, and an episode of a good program is a long one. So no change is judged by itself: in each
generation all children play the same episode (or few), and the next parent is the weighted mean of the better ones, in
which much of the noise cancels.

Source
------
Beyer2002 (evolution strategies with recombination; why it helps against noise).

Symbols
-------
mu, lambda -> `N_PARENTS`, `N_CHILDREN`; sigma -> `size`.

Departures
----------
- Children come in pairs, one on either side of the parent.
- The size of the steps falls on a fixed schedule, for a self-adapted one follows the noise.
- Weights count in units of their column's spread, thresholds in units of their form's, from its mean: so a weight that
  moves takes the thresholds along.
- The columns, the sides and the actions stay as they are.

Checked
-------
tests/truth/test_program_search_truth.py: thresholds that are planted away from the start are reached under noise.

Cost
----
`N_CHILDREN` episodes a generation, more where there are steps for more.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from limbeck.policies._candidate_lines import gap_threshold
from limbeck.policies._program_contest import Contest
from limbeck.policies._program_draft import Draft, Form, Line, form_matrix
from limbeck.policies._racing import Arena

__all__ = ["Numbers", "polish", "polishing_steps"]

N_CHILDREN, N_PARENTS = 10, 4
FEWEST, USUAL, MOST = 4, 12, 24  # generations
MOST_EPISODES = 8
FIRST_SIZE, LAST_SIZE = 0.2, 0.05
SHARES = np.log(N_PARENTS + 0.5) - np.log(np.arange(1, N_PARENTS + 1))
RACE = ((2, 4), (4, 3))


def polish(contest: Contest, draft: Draft, most_steps: float) -> None:
    """Polish a program for so many steps; what comes of it races against it, and the best enter the contest."""
    arena, numbers = contest.arena, Numbers(draft, contest.near.rows)
    n = int(USUAL * most_steps / polishing_steps(arena, draft))
    if n < FEWEST:
        return
    n, n_episodes = min(MOST, n), max(1, min(n // MOST, MOST_EPISODES))
    parent, end = numbers.start, arena.steps + most_steps
    parents: list[Draft] = []
    for i in range(n):
        size = FIRST_SIZE * (LAST_SIZE / FIRST_SIZE) ** (i / (n - 1))
        parent = _next(contest, numbers, parent, size, n_episodes)
        parents.append(numbers.written(parent))
        contest.report("numbers polished", i + 1, n)
        if arena.steps >= end:
            break
    late = list(dict.fromkeys(parents[-1:] + parents[len(parents) // 2 :: 3]))
    contest.enter(arena.race([draft, *late], RACE))


def polishing_steps(arena: Arena, draft: Draft) -> float:
    """The steps that a polishing of usual length takes."""
    return USUAL * N_CHILDREN * max(arena.lengths[draft], arena.mean_steps)


def _next(contest: Contest, numbers: Numbers, parent: np.ndarray, size: float, n_episodes: int) -> np.ndarray:
    """The weighted mean of the better children."""
    generator, arena = contest.near.generator, contest.arena
    steps = generator.normal(size=(N_CHILDREN // 2, len(parent)))
    places = parent + size * np.concatenate([steps, -steps])
    children = [numbers.draft(place) for place in places]
    arena.play(list(dict.fromkeys(children)), n_episodes)
    returns = np.array([np.mean(arena.played[child][-n_episodes:]) for child in children])
    if returns.max() == returns.min():
        return parent
    order = np.lexsort((generator.random(len(returns)), -returns))[:N_PARENTS]
    return np.asarray(SHARES @ places[order] / SHARES.sum())


class Numbers:
    """A program's weights and thresholds as one vector, each in its own unit.

    Parameters
    ----------
    draft : Draft
    rows : array (n, d)
        States, for the units.
    """

    def __init__(self, like: Draft, rows: np.ndarray) -> None:
        self.like, self.rows, self.means = like, rows, rows.mean(axis=0)
        spread = rows.std(axis=0)
        units: list[float] = []
        start: list[float] = []
        for form, bounds in self._parts():
            unit, mean = max(float(self._values(form).std()), 1e-12), self._mean(form)
            units += [unit / max(float(spread[column]), 1e-12) for column, _ in form] + [unit] * len(bounds)
            start += [weight for _, weight in form] + [bound - mean for bound in bounds]
        self.units = np.array(units)
        self.start = np.array(start) / self.units

    def _mean(self, form: Form) -> float:
        return float(sum(weight * self.means[column] for column, weight in form))

    def _values(self, form: Form) -> np.ndarray:
        return np.asarray(self.rows @ form_matrix([form], self.rows.shape[1])[0])

    def _parts(self) -> list[tuple[Form, list[float]]]:
        """Each form with its finite thresholds, in the order of the vector."""
        parts: list[tuple[Form, list[float]]] = []
        for line in self.like.lines:
            parts.append((line.form, [bound for bound in (line.low, line.high) if math.isfinite(bound)]))
            if line.gate:
                parts.append((line.gate[0], [line.gate[1]]))
        return parts

    def draft(self, place: np.ndarray) -> Draft:
        """The program with these numbers."""
        left = (place * self.units).tolist()

        def taken(form: Form) -> Form:
            return tuple((column, left.pop(0)) for column, _ in form)

        lines = []
        for line in self.like.lines:
            form = taken(line.form)
            mean = self._mean(form)
            low, high = (mean + left.pop(0) if math.isfinite(bound) else bound for bound in (line.low, line.high))
            gate = None
            if line.gate:
                gate_form = taken(line.gate[0])
                gate = (gate_form, self._mean(gate_form) + left.pop(0))
            lines.append(replace(line, form=form, low=min(low, high), high=max(low, high), gate=gate))
        return Draft(tuple(lines), self.like.otherwise)

    def written(self, place: np.ndarray) -> Draft:
        """The program with these numbers, rounded as far as it hardly matters."""
        draft = self.draft(place)
        return Draft(tuple(map(self._written, draft.lines)), draft.otherwise)

    def _written(self, line: Line) -> Line:
        form, turned, scale = _rounded(line.form)
        values = self._values(form)
        low, high = (gap_threshold(values, scale * bound) for bound in (line.low, line.high))
        below, above, gate = line.below, line.above, line.gate
        if turned:
            low, high, below, above = high, low, above, below
        if gate:
            gate_form = tuple((column, _two_digits(weight)) for column, weight in gate[0])
            gate = (gate_form, gap_threshold(self._values(gate_form), gate[1]))
        return Line(form, min(low, high), max(low, high), below, above, gate)


def _rounded(form: Form) -> tuple[Form, bool, float]:
    """Its weights of two digits, the middle one 1 and the first positive; whether it is turned, and by what scaled."""
    middle = sorted(abs(weight) for _, weight in form)[(len(form) - 1) // 2]
    turned = form[0][1] < 0
    scale = (-1.0 if turned else 1.0) / max(middle, 1e-12)
    kept = tuple((column, _two_digits(scale * weight)) for column, weight in form)
    return tuple(term for term in kept if abs(term[1]) >= 1e-3) or kept[:1], turned, scale


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
