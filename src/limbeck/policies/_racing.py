"""Racing programs by play: all play a little, the better half plays on, and what was played is remembered.

Source
------
Karnin2013 (sequential halving).

Departures
----------
- Everything that a program ever played counts, shrunk towards the mean of the contest it came from as if that had
  been played `PRIOR` times: a program that was lucky in its first contest is found out in the next ones, for those who
  stay play again on fresh episodes.
- Programs are ranked by what they score less `CAUTION` standard errors, from the usual spread of returns: the best of
  many that played little is mostly lucky.
- Within a rung all programs play the same episodes (same seeds).
- Of programs that do equally well the one of smaller size goes on.
- Races can be on episodes that are cut (`cut`): some games go on for many thousands of steps.

Checked
-------
tests/truth/test_program_search_truth.py: the better of two programs wins, luck of one episode is not kept, and the
number of steps is kept.

Cost
----
The steps of the environment, which are counted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from limbeck._core.seeds import draw_seeds
from limbeck.policies._environment import Environment
from limbeck.policies._episodes import Episodes, play_many
from limbeck.policies._program_draft import Draft

__all__ = ["Arena", "OutOfBudget", "Rung"]

PRIOR = 3.0
CAUTION = 0.7
ENOUGH = 6  # episodes that tell how much returns differ
SURE = 40  # as many episodes of the highest return there is leave nothing to search for
CHUNK_SECONDS = 2.0

Act = Callable[[np.ndarray], np.ndarray]

Rung = tuple[int, int]
"""How many episodes all play, and how many then go on."""


class OutOfBudget(Exception):  # noqa: N818 - the end of a search, not a fault
    """The clock or the count of steps is used up."""


@dataclass
class Arena:
    """Where programs play; what each of them scored.

    Attributes
    ----------
    environment : Environment
    generator : Generator
        Draws the seeds of the episodes, never one twice on purpose.
    deadline : float
        By `clock`.
    most_steps : int
        Of the environment, all programs together.
    n_jobs : int or None
    changes : tuple of int
        The columns whose changes the programs see.
    """

    environment: Environment
    generator: np.random.Generator
    deadline: float
    most_steps: int
    n_jobs: int | None = None
    changes: tuple[int, ...] = ()
    clock: Callable[[], float] = time.monotonic
    cut: int | None = None
    """Steps after which episodes are cut in all races."""
    steps: int = 0
    seconds: float = 0.0
    played: dict[Draft, list[float]] = field(default_factory=dict)
    prior: dict[Draft, float] = field(default_factory=dict)
    lengths: dict[Draft, float] = field(default_factory=dict)
    n_episodes: int = 0
    """Of both kinds, also those of `tried`."""
    whole_steps: int = 0
    """Of the episodes that count in races."""
    glimpses: dict[Draft, float] = field(default_factory=dict)
    """What each scored last in `tried`."""

    def play(self, drafts: Sequence[Draft], n_episodes: int) -> None:
        """Let each play so many fresh episodes, the same for all.

        Raises
        ------
        OutOfBudget
            Before one of them, when the clock or the count of steps is used up; what was played stays.
        """
        for draft, episodes in self._each(drafts, n_episodes, self.cut):
            self.played.setdefault(draft, []).extend(float(value) for value in episodes.returns)
            self.lengths[draft] = max(self.lengths.get(draft, 0.0), float(episodes.lengths.mean()))
            self.whole_steps += episodes.steps

    def tried(self, drafts: Sequence[Draft], n_episodes: int, *, max_steps: int) -> list[float]:
        """The mean return of each in fresh episodes that are cut after so many steps; kept apart from whole ones.

        Raises
        ------
        OutOfBudget
        """
        for draft, episodes in self._each(drafts, n_episodes, max_steps):
            self.glimpses[draft] = float(episodes.returns.mean())
        return [self.glimpses[draft] for draft in drafts]

    def _each(
        self, drafts: Sequence[Draft], n_episodes: int, max_steps: int | None = None
    ) -> Iterator[tuple[Draft, Episodes]]:
        """What each plays in the same fresh episodes, with a look at the clock and the count of steps now and then."""
        seeds = draw_seeds(self.generator, n_episodes)
        waiting = list(drafts)
        while waiting:
            if self.clock() > self.deadline or self.steps >= self.most_steps:
                raise OutOfBudget
            now, waiting = waiting[: self._chunk(n_episodes)], waiting[self._chunk(n_episodes) :]
            start = time.perf_counter()
            for draft, episodes in zip(now, self.episodes(now, seeds, max_steps=max_steps), strict=True):
                if self.steps >= self.most_steps:  # so that the end is the same however many played side by side
                    raise OutOfBudget
                self.steps += episodes.steps
                self.n_episodes += n_episodes
                yield draft, episodes
            self.seconds += time.perf_counter() - start

    def episodes(
        self, acts: Sequence[Act], seeds: Sequence[int], *, record: bool = False, max_steps: int | None = None
    ) -> list[Episodes]:
        """What each plays, the same episodes for all; nothing is kept."""
        n_jobs, changes = self.n_jobs, self.changes
        return play_many(
            self.environment, list(acts), seeds, n_jobs=n_jobs, changes=changes, record=record, max_steps=max_steps
        )

    def _chunk(self, n_episodes: int) -> int:
        """How many programs play between two looks at the clock."""
        least = 1 if self.n_jobs == 1 else 4  # or processes would wait for work
        n = self.n_episodes
        return max(least, int(CHUNK_SECONDS * n / max(self.seconds, 1e-9) / n_episodes)) if n else least

    @property
    def rate(self) -> float:
        """Steps a second so far."""
        return self.steps / self.seconds if self.seconds else math.inf

    def n_played(self, draft: Draft) -> int:
        """How many episodes it played."""
        return len(self.played.get(draft, ()))

    @property
    def mean_steps(self) -> float:
        """Steps of an episode of the races so far."""
        return self.whole_steps / max(1, sum(map(len, self.played.values())))

    def estimate(self, draft: Draft) -> float:
        """Its mean return, shrunk towards the contest it came from."""
        returns = self.played[draft]
        prior = self.prior.get(draft, float(np.mean(returns)))
        return (sum(returns) + PRIOR * prior) / (len(returns) + PRIOR)

    def noise(self, draft: Draft) -> float:
        """The standard error of its mean return; 0 after one episode."""
        returns = self.played[draft]
        return float(np.std(returns, ddof=1)) / math.sqrt(len(returns)) if len(returns) > 1 else 0.0

    def ranked(self, drafts: Iterable[Draft]) -> list[Draft]:
        """Those that played, the best first: by what they score less a part of the doubt about it."""
        known = [draft for draft in dict.fromkeys(drafts) if draft in self.played]
        deviations = [np.std(self.played[draft], ddof=1) for draft in known if self.n_played(draft) >= ENOUGH]
        doubt = CAUTION * float(np.median(deviations)) if deviations else 0.0

        def merit(draft: Draft) -> float:
            return self.estimate(draft) - doubt / math.sqrt(self.n_played(draft) + PRIOR)

        return sorted(known, key=lambda draft: (-merit(draft), draft.size))

    def is_best_possible(self, draft: Draft) -> bool:
        """Whether it always scored the same, the most that any program scored in one episode, and others less."""
        returns = self.played[draft]
        every = [value for other in self.played.values() for value in (min(other), max(other))]
        return len(returns) >= SURE and min(returns) == max(every) > min(every)

    def race(self, drafts: Sequence[Draft], rungs: Sequence[Rung]) -> list[Draft]:
        """Those that go through all rungs, the best first."""
        field_ = list(dict.fromkeys(drafts))
        for n_episodes, n_kept in rungs:
            self.play(field_, n_episodes)
            new = [draft for draft in field_ if draft not in self.prior]
            level = float(np.median([np.mean(self.played[draft]) for draft in field_]))
            for draft in new:
                self.prior[draft] = level
            field_ = self.ranked(field_)[:n_kept]
        return field_
