"""The contest of programs, size by size: who plays against whom, and how long.

Source
------
Mouret2015 (an archive of the best of each kind, here each number of lines). Karnin2013 (each round's race).

Departures
----------
- A round changes the best programs of one size a little, adds what came of one line more or less in the sizes beside
  it, and lets all of them race.
- A size whose best program was the same for `PATIENCE` rounds waits as many turns as rounds it stood still.

Cost
----
A round plays about 100 episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from limbeck._core.progress import Report
from limbeck.policies._growing import grown
from limbeck.policies._local_search import Neighbourhood
from limbeck.policies._program_draft import Draft, Form
from limbeck.policies._racing import Arena, Rung

__all__ = ["Contest"]

FIRST: tuple[Rung, ...] = ((1, 80), (2, 32), (4, 14), (6, 8))
ROUND: tuple[Rung, ...] = ((1, 18), (2, 9), (4, 6))
N_CHILDREN = 24
N_ELITES = 6
PATIENCE = 4
LONGEST_WAIT = 6


@dataclass
class Contest:
    """The best programs of each number of lines so far.

    Attributes
    ----------
    arena : Arena
    near : Neighbourhood
    pool : sequence of Form
        Forms that a new line may have.
    rows, gains : array (n, d), (n, a)
        States, and what each action wins there, to find new lines by.
    report : Report
    """

    arena: Arena
    near: Neighbourhood
    pool: Sequence[Form]
    rows: np.ndarray
    gains: np.ndarray
    report: Report
    elites: dict[int, list[Draft]] = field(default_factory=dict)
    still: dict[int, int] = field(default_factory=dict)

    def first(self, size: int, drafts: Sequence[Draft]) -> None:
        """Let many programs of so many lines race."""
        drafts = [draft for draft in drafts if len(draft.lines) == size]
        if drafts:
            self._keep(size, self.arena.race(drafts, FIRST))

    def reachable(self) -> float:
        """The steps that the whole search will make: as many as were asked for, or fewer where the clock ends it."""
        arena = self.arena
        return min(arena.most_steps, arena.steps + max(0.0, arena.deadline - arena.clock()) * arena.rate)

    def settle(self, size: int, most_steps: float) -> None:
        """Rounds of one size until its best stands still, or the steps are used up."""
        while size in self.elites and self.arena.steps < most_steps and self.still[size] < PATIENCE:
            self.round(size)

    def go_on(self) -> None:
        """Rounds of all sizes in turn until each stands still for long."""
        turn = 0
        while any(self.still[size] < PATIENCE + LONGEST_WAIT for size in self.elites):
            for size in sorted(self.elites):
                if turn % (1 + min(max(0, self.still[size] - PATIENCE), LONGEST_WAIT)) == 0:
                    self.round(size)
            turn += 1

    def round(self, size: int) -> None:
        """One round of one size."""
        elites = self.elites[size]
        generator = self.near.generator
        chances = 1.0 / np.arange(1, len(elites) + 1)
        parents = generator.choice(len(elites), size=N_CHILDREN, p=chances / chances.sum())
        children = [child for i in parents for child in self.near.changed(elites[i], 1)]
        children += [child for draft in self.elites.get(size + 1, [])[:1] for child in self.near.shorter(draft)]
        if size > 1:
            children += self.longer(size - 1, 4)
        self._keep(size, self.arena.race([*elites, *children], ROUND))
        best = self.elites[size][0]
        self.report(f"lines: {size}, best return so far {self.arena.estimate(best):.4g}", 0, 0)

    def longer(self, size: int, n: int) -> list[Draft]:
        """Programs of one line more than one of the best of a size, by what wins most on a draw of forms and states."""
        generator = self.near.generator
        elites = self.elites.get(size, [])
        if not elites:
            return []
        draft = elites[int(generator.integers(min(3, len(elites))))]
        states = generator.choice(len(self.rows), size=min(len(self.rows), 800), replace=False)
        forms = [self.pool[i] for i in generator.choice(len(self.pool), size=min(len(self.pool), 200), replace=False)]
        return [longer for _, longer in grown(draft, forms, self.rows[states], self.gains[states], n)]

    def _keep(self, size: int, drafts: Sequence[Draft]) -> None:
        before = self.elites.get(size, [])
        self.elites[size] = self.arena.ranked([*before, *drafts])[:N_ELITES]
        same = bool(before) and before[0] == self.elites[size][0]
        self.still[size] = self.still.get(size, 0) + 1 if same else 0
