"""The contest of programs, size by size: who plays against whom, and how long.

Source
------
Mouret2015 (an archive of the best of each kind, here each number of lines). Karnin2013 (each round's race).

Departures
----------
- A round changes the best programs of one size a little, adds what came of one line more or less in the sizes beside
  it, and lets all of them race.
- Rounds go in turn to the size that scores most (of equals the smaller one), to the smallest that does not stand still,
  and to the others. A size whose best program was the same for `PATIENCE` rounds waits.
- The search ends before its time where a program always scored the most that was ever seen, or all sizes stand still.

Cost
----
A round plays about 80 episodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from limbeck._core.progress import Report
from limbeck.policies._growing import grown
from limbeck.policies._lessons import Lessons
from limbeck.policies._local_search import Neighbourhood
from limbeck.policies._program_draft import Draft
from limbeck.policies._racing import Arena, Rung
from limbeck.policies._smoothing import Smoothed

__all__ = ["Contest"]

FIRST: tuple[tuple[int, float], ...] = ((1, 0.15), (2, 0.08), (3, 0.04))
EPISODES_EACH = 1 + 2 * 0.15 + 3 * 0.08  # that a program of the first race plays in the mean
FEWEST = 8  # with fewer a race is worth nothing
CHOSEN: tuple[Rung, ...] = ((2, 12), (3, 6), (4, 4))
ROUND: tuple[Rung, ...] = ((1, 10), (2, 5), (6, 3))
N_CHILDREN = 20
N_ELITES = 6
PATIENCE = 8
LONGEST = 24


@dataclass
class Contest:
    """The best programs of each number of lines so far.

    Attributes
    ----------
    arena : Arena
    near : Neighbourhood
    known : Lessons
        States and what each action wins there, to find new lines by.
    report : Report
    max_lines : int
    elites : dict of list of Draft
        By the number of lines, the best first.
    """

    arena: Arena
    near: Neighbourhood
    known: Lessons
    report: Report
    max_lines: int
    elites: dict[int, list[Draft]] = field(default_factory=dict)
    still: dict[int, int] = field(default_factory=dict)

    def reachable(self) -> float:
        """The steps that the whole search will make: as many as were asked for, or fewer where the clock ends it."""
        arena = self.arena
        return min(arena.most_steps, arena.steps + max(0.0, arena.deadline - arena.clock()) * arena.rate)

    def left(self) -> float:
        """The steps that are left of those."""
        return self.reachable() - self.arena.steps

    def entrants(self, share: float) -> int:
        """How many programs a first race can have for a share of all steps."""
        return round(share * self.reachable() / (EPISODES_EACH * self.arena.mean_steps))

    def chosen(self, size: int, drafts: Sequence[Draft]) -> None:
        """Let a few programs of so many lines race that are good already, ranked by those that act alike too."""
        left = list(drafts)
        for n_episodes, n_kept in CHOSEN:
            self.arena.play(left, n_episodes)
            values = self.smoothed(size).means(left)
            left = [left[i] for i in np.argsort(-values, kind="stable")[:n_kept]]
        self._keep(size, self.arena.race(left, ((1, len(left)),)))

    def smoothed(self, size: int) -> Smoothed:
        """What programs of so many lines probably score, by all that played."""
        played = self.arena.played
        drafts = [draft for draft in played if len(draft.lines) == size]
        return Smoothed(drafts, [played[draft] for draft in drafts], self.known.rows, self.known.alone.shape[1])

    def first(self, size: int, drafts: Sequence[Draft], share: float) -> None:
        """Let many programs of so many lines race: as many as a share of all steps allows, the first ones first."""
        drafts = [draft for draft in dict.fromkeys(drafts) if len(draft.lines) == size]
        drafts = [draft for draft in drafts if draft not in self.arena.played]
        if not drafts:
            return
        if not self.arena.played:
            self.arena.play(drafts[:4], 1)  # to know what an episode costs
        n = self.entrants(share)
        if size > 1 and n < FEWEST:
            return
        drafts = drafts[: max(FEWEST, n)]
        self._keep(size, self.arena.race(drafts, [(k, math.ceil(part * len(drafts))) for k, part in FIRST]))

    @property
    def is_over(self) -> bool:
        """Whether some program can't be bettered."""
        return any(self.arena.is_best_possible(drafts[0]) for drafts in self.elites.values())

    def best_size(self) -> int:
        """The number of lines that scores most; a smaller one where the difference is small beside the noise."""
        best = max(self.elites, key=lambda size: self.arena.estimate(self.elites[size][0]))
        goal = self.arena.estimate(self.elites[best][0]) - self.arena.noise(self.elites[best][0])
        return min(size for size in self.elites if self.arena.estimate(self.elites[size][0]) >= goal)

    def enter(self, drafts: Sequence[Draft]) -> None:
        """Programs that raced elsewhere, among the others of as many lines."""
        for size in sorted({len(draft.lines) for draft in drafts}):
            self._keep(size, [draft for draft in drafts if len(draft.lines) == size])

    def settle(self, size: int, most_steps: float) -> None:
        """Rounds of one size until its best stands still, or the steps are used up."""
        while self.arena.steps < most_steps and self.still[size] < PATIENCE and not self.is_over:
            self.round(size)

    def go_on(self) -> None:
        """Rounds of all sizes, until each stands still for long."""
        turn = 0
        while not self.is_over:
            moving = [size for size in sorted(self.elites) if self.still[size] < LONGEST]
            if not moving:
                return
            lively = [size for size in moving if self.still[size] < PATIENCE] or moving
            size = (self.best_size(), lively[0], lively[(turn // 3) % len(lively)])[turn % 3]
            self.round(size if size in lively else lively[turn % len(lively)])
            turn += 1
            self._begin_longer(turn)

    def _begin_longer(self, turn: int) -> None:
        """A size that has no program yet gets its first ones now and then."""
        size = max(self.elites) + 1
        if turn % 6 == 0 and size <= self.max_lines:
            self._keep(size, self.arena.race(self.longer(size - 1, FEWEST), ROUND))

    def round(self, size: int) -> None:
        """One round of one size."""
        elites = self.elites[size]
        generator = self.near.generator
        chances = 1.0 / np.arange(1, len(elites) + 1)
        parents = generator.choice(len(elites), size=N_CHILDREN, p=chances / chances.sum())
        children = [child for i in parents for child in self.near.changed(elites[i], 1, elites)]
        children += [child for draft in self.elites.get(size + 1, [])[:2] for child in self.near.shorter(draft)]
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
        pool, known = self.near.pool, self.known
        some = known.taken(generator.choice(len(known), size=min(len(known), 800), replace=False))
        forms = [pool[i] for i in generator.choice(len(pool), size=min(len(pool), 150), replace=False)]
        return [longer for _, longer in grown(draft, forms, some.rows, some.wins, n)]

    def _keep(self, size: int, drafts: Sequence[Draft]) -> None:
        before = self.elites.get(size, [])
        self.elites[size] = self.arena.ranked([*before, *drafts])[:N_ELITES]
        same = bool(before) and before[0] == self.elites[size][0]
        self.still[size] = self.still.get(size, 0) + 1 if same else 0
