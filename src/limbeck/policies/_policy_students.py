"""The search for a policy's students: what the teacher shows, trees by DAgger, programs by play; kept by their returns.

Source
------
Own; the methods are those of `_dagger` and `_program_search`.

Cost
----
The time that is given for the search, divided by `SHARES`; a tree's last choice may take longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limbeck._core.errors import InputError
from limbeck._core.progress import Report
from limbeck._core.seeds import draw_seeds
from limbeck.policies._dagger import States, dagger, played_by_teacher
from limbeck.policies._features import features
from limbeck.policies._policy_judging import Setting
from limbeck.policies._policy_trees import MOST_ROWS, fitted_trees
from limbeck.policies._program_search import MOST_STEPS, search_programs
from limbeck.readable import policy_schema

if TYPE_CHECKING:
    from limbeck.policies._environment import Environment
    from limbeck.policies._policy import Policy

__all__ = ["SHARES", "STUDENTS", "Found", "Search"]

STUDENTS = ("program", "tree", "oblique_tree")
"""The students of default."""
SHARES = {"program": 3.0, "tree": 1.0, "oblique_tree": 1.0, "cloned_tree": 0.5}
"""How the time for the search is divided."""
ITERATIONS, BATCH = 6, 12
FIRST_STATES = 6_000
"""With so many states the teacher's own batch is enough."""
MOST_LINES = 8


@dataclass
class Found:
    """A readable of one size, before it is scored."""

    name: str
    readable: Any
    search_return: float
    seconds: float


@dataclass
class Search:
    """The search as it goes on: what was gathered, what was found, and what a reader must know of it.

    Attributes
    ----------
    environment, policy, changes, n_jobs, report
    seeds : list of int
        One for the teacher's batch, one for the judging, one for each student.
    budget : float
        Seconds.
    most_steps : int
        Of the environment, in a search of programs; where they end it before the clock, its answer does not depend on
        the machine's speed.
    states : States or None
        All that was visited by then.
    """

    environment: Environment
    policy: Policy
    changes: tuple[int, ...]
    n_jobs: int | None
    report: Report
    seeds: list[int]
    budget: float
    most_steps: int = MOST_STEPS
    states: States | None = None
    first: States | None = None
    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = True

    def look(self, asked: Sequence[str], episodes: int) -> None:
        """The teacher's batch, and from the time that it took an estimate of the whole."""
        start = time.monotonic()
        self.first = self.states = played_by_teacher(
            self.environment, self.policy, draw_seeds(self.seeds[0], BATCH), self.changes, enough=FIRST_STATES
        )
        each = (time.monotonic() - start) / self.first.episodes
        after = each * (episodes * (2 + 3 * len(asked)) + 12 * max(10, episodes // 3))
        length = len(self.first) / self.first.episodes
        self.report(
            f"the search takes about {self.budget:.0f} s at most, the scores and checks after it about {after:.0f} s "
            f"(an episode of the teacher has {length:,.0f} steps and takes {each:.2g} s)",
            0,
            0,
        )

    def setting(self, episodes: int) -> Setting:
        """What the students are judged in."""
        return Setting(self.environment, self.policy, self.changes, episodes, self.seeds[1], self.n_jobs, self.report)

    def find(self, asked: Sequence[str]) -> None:
        """One student after the other; trees first, since programs are searched from the states that they visit too."""
        total = sum(SHARES[name] for name in asked)
        makers: dict[str, Callable[[int, float], None]] = {
            "program": self._programs,
            "tree": lambda seed, seconds: self._trees("tree", seed, seconds),
            "oblique_tree": lambda seed, seconds: self._trees("oblique_tree", seed, seconds),
            "cloned_tree": lambda seed, seconds: self._trees("cloned_tree", seed, seconds),
        }
        seeds = dict(zip(asked, self.seeds[2:], strict=True))
        for name in sorted(asked, key=lambda name: name == "program"):
            if not self.complete:
                self.notes.append(f"interrupted: {name} is not in the result")
                continue
            try:
                makers[name](seeds[name], self.budget * SHARES[name] / total)
            except KeyboardInterrupt:
                self.complete = False
                self.notes.append(f"interrupted: {name} is not in the result")
        self.found.sort(key=lambda one: asked.index(one.name.rpartition("_")[0]))

    def _trees(self, name: str, seed: int, seconds: float) -> None:
        start, cloned = time.monotonic(), name == "cloned_tree"
        result = dagger(
            self.environment,
            self.policy,
            fit=self._fit(oblique=name == "oblique_tree"),
            iterations=1 if cloned else ITERATIONS,
            episodes=BATCH,
            changes=self.changes,
            seed=seed,
            weighted=not cloned,
            start=self._cloning_batch(seed) if cloned else self.first,
            seconds=seconds,
            n_jobs=self.n_jobs,
            progress=self.report,
            what=name,
        )
        if not cloned and self.first is not None and self.states is not None:
            self.states = self.states.joined([result.states.after(self.first)])
        if result.interrupted:
            self.complete = False
            self.notes.append(f"interrupted: {name} is as it was by then")
        elif not result.complete:
            self.notes.append(f"{name}: the time was up before all was played; more seconds may find more")
        took = time.monotonic() - start
        named = [(f"{name}_{one.readable.n_leaves}", one.readable, one.mean) for one in result.best]
        self._keep(named, took)

    def _cloning_batch(self, seed: int) -> States:
        """As many states of the teacher as a tree is fitted on, or as many episodes as the other trees are shown."""
        seeds = draw_seeds(seed, ITERATIONS * BATCH)
        more = played_by_teacher(self.environment, self.policy, seeds, self.changes, enough=MOST_ROWS)
        return more if self.first is None else self.first.joined([more])

    def _fit(self, *, oblique: bool) -> Callable[[States, int], dict[int, Any]]:
        forms = features(self.environment, changes=self.changes)
        schema = policy_schema(self.environment.columns, self.changes)

        def fit(states: States, seed: int) -> dict[int, Any]:
            return fitted_trees(
                states.rows,
                states.actions,
                states.weights,
                forms=forms,
                schema=schema,
                output_names=self.environment.actions,
                changes=self.changes,
                oblique=oblique,
                seed=seed,
            )

        return fit

    def _programs(self, seed: int, seconds: float) -> None:
        start = time.monotonic()
        states = self.states
        if states is None:
            return
        try:
            found = search_programs(
                self.environment,
                self.policy,
                states=states.rows,
                weights=states.weights,
                changes=self.changes,
                max_lines=MOST_LINES,
                budget_s=seconds,
                n_steps=self.most_steps,
                n_jobs=self.n_jobs,
                seed=seed,
                progress=self.report,
            )
        except InputError as error:
            if not self.found:
                raise
            self.notes.append(f"program: not found, since {error}")
            return
        named = [(f"program_{one.readable.n_lines}", one.readable, one.search_return.mean) for one in found.programs]
        self._keep(named, time.monotonic() - start)
        if not found.complete:
            self.complete = False
            self.notes.append("interrupted: programs are the best that were found by then")

    def _keep(self, named: Sequence[tuple[str, Any, float]], seconds: float) -> None:
        """Those that play better than every simpler one, by the seeds of the choice."""
        best = None
        for name, readable, value in sorted(named, key=lambda one: (one[1].complexity, -one[2])):
            if best is None or value > best:
                best = value
                self.found = [one for one in self.found if one.name != name]
                self.found.append(Found(name, readable, value, seconds))
