"""A policy into programs and trees that a person can read, scored by playing beside their teacher.

Source
------
Bastani2018 and Ross2011 for the trees (`_dagger`), `_program_search` for the programs.

Departures
----------
- What is chosen, is chosen on roll-outs of some seeds; the scores are of others, the same for all and for the teacher.
- Of each student those sizes are kept that play better than every smaller one, by the seeds of the choice.

Checked
-------
tests/truth/test_policies_truth.py: planted policies are found, and a student that imitates well and loses is refused.

Cost
----
`budget_s` for the search; then ``episodes`` episodes for each candidate, and more for the checks of those on the front.
The estimate is reported first.
"""

from __future__ import annotations

import numbers
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck.policies._dagger import States, dagger, played_by_teacher
from limbeck.policies._environment import as_environment
from limbeck.policies._episodes import play_episodes
from limbeck.policies._features import change_columns, features
from limbeck.policies._policy import as_policy
from limbeck.policies._policy_distillation import PolicyCandidate, PolicyDistillation
from limbeck.policies._policy_judging import Judged, Setting, judge_students, set_bench
from limbeck.policies._policy_trees import fitted_trees
from limbeck.policies._program_search import search_programs
from limbeck.readable import policy_schema

if TYPE_CHECKING:
    from limbeck.policies._environment import Environment
    from limbeck.policies._policy import Policy

__all__ = ["STUDENTS", "distill_policy"]

STUDENTS = ("program", "tree", "oblique_tree")
"""The students of default."""
SHARES = {"program": 3.0, "tree": 1.0, "oblique_tree": 1.0, "cloned_tree": 0.5}
"""How the time for the search is divided."""
ITERATIONS, BATCH = 6, 12
INTERRUPTED_EPISODES = 5
MOST_LINES = 8


def distill_policy(
    env: Any,
    policy: Any,
    *,
    students: Sequence[str] | str | None = None,
    budget_s: float = 300.0,
    names: Sequence[str] | None = None,
    actions: Sequence[str] | None = None,
    changes: Sequence[Any] = (),
    kind: str | None = None,
    episodes: int = 30,
    n_jobs: int | None = None,
    random_state: RandomState = None,
    progress: Progress = False,
) -> PolicyDistillation:
    """Programs and trees that play as a policy does, from one line or two leaves up, each scored and checked by playing.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a function that makes the environment: observations are a vector, actions are numbered.
    policy : model, network or callable
        The teacher: observations ``(n, d)`` to action probabilities or Q values ``(n, a)``; a stable-baselines3 model, a
        torch module, or an object with ``predict``.
    students : sequence of str, optional
        Of ``program``, ``tree``, ``oblique_tree`` (all three by default) and ``cloned_tree`` (plain imitation of the
        teacher's own episodes, to compare with).
    budget_s : float
        Seconds for the search. What is found depends on it where it ends the search early; then a note says so.
    names, actions : sequence of str, optional
        What the observation's columns and the actions are called, where the environment does not say.
    changes : sequence of str or int
        Columns whose change since the last step a student may look at too.
    kind : str, optional
        ``probabilities``, ``q_values`` or ``actions``: what the policy gives, where it can't be seen.
    episodes : int
        For each score.
    n_jobs : int, optional
        Processes for roll-outs.
    random_state : int, Generator or None
        The same seed gives the same answer.
    progress : bool or callable
        Show what is done, and about how long it takes. Ctrl-C ends the search, and what is found by then is scored.

    Returns
    -------
    PolicyDistillation

    Raises
    ------
    InputError
        For observations that are not a vector, actions that are not numbered, unknown students or columns.
    TeacherError
        Where the policy raises, is random, or answers with NaN or with another number of actions.

    Examples
    --------
    >>> import numpy as np, limbeck
    >>> def teacher(observation):
    ...     push = observation @ np.array([0.3, 0.9, 10.0, 3.0])
    ...     return np.column_stack([-push, push])
    >>> found = limbeck.distill_policy(
    ...     "CartPole-v1", teacher, kind="q_values", students=["oblique_tree"], episodes=10, random_state=0
    ... )  # doctest: +SKIP
    >>> found.best().lines  # doctest: +SKIP
    2
    """
    started = time.monotonic()
    asked = _read_students(students)
    _refuse(budget_s, episodes)
    environment = as_environment(env, names=names, actions=actions)
    teacher = as_policy(policy, environment, kind=kind)
    changed = change_columns(environment, changes)
    seed = random_state if isinstance(random_state, int) else draw_seeds(random_state, 1)[0]
    with reporting(progress) as report:
        search = Search(environment, teacher, changed, n_jobs, report, draw_seeds(seed, 2 + len(asked)), float(budget_s))
        search.look(asked, episodes)
        search.find(asked)
        result = _judged(search, episodes)
    record = {**_record(search, asked, episodes, int(seed)), "seconds": round(time.monotonic() - started, 3)}
    return PolicyDistillation(*result[:3], {**result[3], **record})


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
    states: States | None = None
    first: States | None = None
    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    complete: bool = True

    def look(self, asked: Sequence[str], episodes: int) -> None:
        """The teacher's batch, and from the time that it took an estimate of the whole."""
        start = time.monotonic()
        self.first = self.states = played_by_teacher(
            self.environment, self.policy, draw_seeds(self.seeds[0], BATCH), self.changes
        )
        each = (time.monotonic() - start) / BATCH
        after = each * (episodes * (2 + 3 * len(asked)) + 12 * max(10, episodes // 3))
        self.report(
            f"the search takes at most about {self.budget:.0f} s, the scores and checks after it about {after:.0f} s "
            f"(an episode of the teacher has {len(self.first) // BATCH:,} steps and takes {each:.2g} s)",
            0,
            0,
        )

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
            deadline=start + 0.7 * seconds,
            n_jobs=self.n_jobs,
            progress=self.report,
            what=name,
        )
        if not cloned and self.states is not None:
            self.states = self.states.joined([result.states])
        if result.interrupted:
            self.complete = False
            self.notes.append(f"interrupted: {name} is as it was by then")
        elif not result.complete:
            self.notes.append(f"{name}: the time was up before all {ITERATIONS} iterations; more may be found with more")
        took = time.monotonic() - start
        named = [(f"{name}_{one.readable.n_leaves}", one.readable, one.mean) for one in result.best]
        self._keep(named, took)

    def _cloning_batch(self, seed: int) -> States:
        """As many episodes of the teacher as the other trees see of all players."""
        seeds = draw_seeds(seed, ITERATIONS * BATCH)
        more = played_by_teacher(self.environment, self.policy, seeds, self.changes)
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
        found = search_programs(
            self.environment,
            self.policy,
            states=states.rows,
            weights=states.weights,
            changes=self.changes,
            max_lines=MOST_LINES,
            budget_s=seconds,
            n_jobs=self.n_jobs,
            seed=seed,
            progress=self.report,
        )
        named = [(f"program_{one.readable.n_lines}", one.readable, one.search_return.mean) for one in found]
        self._keep(named, time.monotonic() - start)

    def _keep(self, named: Sequence[tuple[str, Any, float]], seconds: float) -> None:
        """Those that play better than every simpler one, by the seeds of the choice."""
        best = -float("inf")
        for name, readable, value in sorted(named, key=lambda one: (one[1].complexity, -one[2])):
            if value > best:
                best = value
                self.found.append(Found(name, readable, value, seconds))


def _read_students(students: Sequence[str] | str | None) -> tuple[str, ...]:
    asked = STUDENTS if students is None else (students,) if isinstance(students, str) else tuple(students)
    for name in asked:
        if name not in SHARES:
            raise InputError(f"students are of {list(SHARES)}; got {name!r:.60}.{did_you_mean(str(name), SHARES)}")
    if not asked or len(set(asked)) < len(asked):
        raise InputError(f"at least one student is required, and each once; got {list(asked)!r:.120}")
    return asked


def _refuse(budget_s: Any, episodes: Any) -> None:
    if not isinstance(budget_s, numbers.Real) or isinstance(budget_s, bool) or not 0 < float(budget_s) < float("inf"):
        raise InputError(f"budget_s must be a number of seconds above 0; got {budget_s!r:.60}")
    if not isinstance(episodes, numbers.Integral) or isinstance(episodes, bool) or int(episodes) < 2:
        raise InputError(f"episodes must be a whole number of at least 2; got {episodes!r:.60}")


def _judged(search: Search, episodes: int) -> tuple[Any, Any, Any, dict[str, Any]]:
    """The candidates, the teacher's score, the random policy's, and what the record says of the seeds."""
    n = int(episodes) if search.complete else min(int(episodes), INTERRUPTED_EPISODES)
    setting = Setting(
        search.environment, search.policy, search.changes, n, search.seeds[1], search.n_jobs, search.report
    )
    bench = set_bench(setting)
    judged = judge_students(setting, bench, [one.readable for one in search.found])
    candidates = tuple(_candidate(one, score) for one, score in zip(search.found, judged, strict=True))
    played = {
        "seeds": list(bench.seeds),
        "teacher_returns": bench.baseline.teacher.tolist(),
        "random_returns": bench.baseline.random.tolist(),
    }
    return candidates, bench.teacher, bench.random, played


def _candidate(found: Found, judged: Judged) -> PolicyCandidate:
    return PolicyCandidate(
        found.name,
        found.readable,
        judged.score,
        judged.findings,
        round(found.seconds, 3),
        judged.returns,
        found.search_return,
        judged.differences,
    )


def _record(search: Search, asked: Sequence[str], episodes: int, seed: int) -> dict[str, Any]:
    environment = search.environment
    return {
        "environment": environment.name,
        "max_steps": environment.max_steps,
        "columns": list(environment.columns),
        "actions": list(environment.actions),
        "changes": [environment.columns[j] for j in search.changes],
        "kind": search.policy.kind,
        "students": list(asked),
        "episodes": episodes,
        "budget_s": search.budget,
        "states": 0 if search.states is None else len(search.states),
        "seed": seed,
        "complete": search.complete,
        "notes": list(search.notes),
    }
