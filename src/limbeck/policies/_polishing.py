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
- Where episodes are long, many more children are drawn than play: those that promise most by the programs that act
  alike, and all that were tried stand for the next parent (`_smoothing`).
- The size of the steps falls on a fixed schedule, for a self-adapted one follows the noise.
- Weights count in units of their column's spread, thresholds in units of their form's, from its mean: so a weight that
  moves takes the thresholds along.
- Several starts climb side by side, and after each stage the better half goes on, by the mean return of the last two
  generations.
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
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from limbeck.policies._candidate_lines import gap_threshold
from limbeck.policies._program_contest import Contest
from limbeck.policies._program_draft import Draft, Form, Line, form_matrix
from limbeck.policies._smoothing import Smoothed

__all__ = ["Numbers", "polish"]

N_CHILDREN, N_PARENTS = 10, 4
N_DRAWN, DEAR = 80, 500  # children, where an episode has so many steps, of which those play that promise most
FEWEST, MOST = 4, 24  # generations of one start
MOST_EPISODES = 8
FIRST_SIZE, LAST_SIZE = 0.2, 0.05
SHARES = np.log(N_PARENTS + 0.5) - np.log(np.arange(1, N_PARENTS + 1))
STAGE_EPISODES, LAST_RACE = 3, ((2, 4), (4, 3))


def polish(contest: Contest, starts: Sequence[Draft], most_steps: float) -> None:
    """Polish programs for so many steps, after each stage the better half of them; the results enter the contest."""
    arena = contest.arena
    length = max(arena.mean_steps, *(arena.lengths[draft] for draft in starts))
    n = int(most_steps / (N_CHILDREN * length))
    active = [_Climb(draft, Numbers(draft, contest.near.rows)) for draft in starts[: max(1, n // (2 * FEWEST))]]
    plan = _plan(len(active), n)
    n_episodes = int(np.clip(sum(plan) / MOST, 1, MOST_EPISODES))
    plan = [generations // n_episodes for generations in plan]
    total, done, end = sum(plan), 0, arena.steps + most_steps
    if total < FEWEST:
        return
    sizes = np.geomspace(FIRST_SIZE, LAST_SIZE, total)
    for generations in plan:
        for i in range(done, done + generations):
            for climb in active if arena.steps < end else []:
                _advance(contest, climb, sizes[i], n_episodes, dear=length >= DEAR)
            contest.report("numbers polished", i + 1, total)
        done += generations
        reached = [climb.numbers.written(climb.place) for climb in active]
        contest.enter(arena.race(reached, ((STAGE_EPISODES, len(reached)),)))
        active = sorted(active, key=lambda climb: -climb.level)[: -(-len(active) // 2)]
    late = [climb.numbers.written(place) for climb in active for place in climb.way[-1 : -len(climb.way) // 2 : -3]]
    contest.enter(arena.race([*contest.elites[len(active[0].start.lines)][:2], *late], LAST_RACE))


def _plan(n_starts: int, n: int) -> list[int]:
    """The generations of each start that is still there, stage by stage, of `n` in all."""
    sizes = [n_starts]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    weights = [math.sqrt(size) for size in sizes]
    return [int(n * weight / sum(weights) / size) for size, weight in zip(sizes, weights, strict=True)]


@dataclass
class _Climb:
    """One start, how far it came, and what its children scored."""

    start: Draft
    numbers: Numbers
    way: list[np.ndarray] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    tried: list[tuple[np.ndarray, Draft]] = field(default_factory=list)
    model: Smoothed | None = None

    @property
    def place(self) -> np.ndarray:
        return self.way[-1] if self.way else self.numbers.start

    @property
    def level(self) -> float:
        """The mean return of the last two generations: many episodes, though none of the same program."""
        return float(np.mean(self.returns[-2 * N_CHILDREN :]))


def _advance(contest: Contest, climb: _Climb, size: float, n_episodes: int, *, dear: bool) -> None:
    """To the weighted mean of the better ones: of those that played now, or of all, by those that act alike."""
    generator, arena, parent = contest.near.generator, contest.arena, climb.place
    steps = generator.normal(size=((N_DRAWN if dear else N_CHILDREN) // 2, len(parent)))
    places = parent + size * np.concatenate([steps, -steps])
    drawn = [climb.numbers.written(place) for place in places]
    if dear:
        climb.model = climb.model or contest.smoothed(len(climb.start.lines))
        chosen = np.argsort(-climb.model.hopes(drawn), kind="stable")[:N_CHILDREN]
        places, drawn = places[chosen], [drawn[i] for i in chosen]
    arena.play(list(dict.fromkeys(drawn)), n_episodes)
    values = np.array([np.mean(arena.played[child][-n_episodes:]) for child in drawn])
    climb.returns += values.tolist()
    if dear:
        climb.tried += zip(places, drawn, strict=True)
        climb.model = contest.smoothed(len(climb.start.lines))
        places = np.array([place for place, _ in climb.tried])
        values = climb.model.means([draft for _, draft in climb.tried])
    if values.max() > values.min():
        order = np.lexsort((generator.random(len(values)), -values))[:N_PARENTS]
        climb.way.append(np.asarray(SHARES @ places[order] / SHARES.sum()))


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
