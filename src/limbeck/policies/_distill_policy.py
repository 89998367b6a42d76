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
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.progress import Progress, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck.policies._environment import as_environment
from limbeck.policies._features import change_columns
from limbeck.policies._policy import as_policy
from limbeck.policies._policy_candidate import PolicyCandidate
from limbeck.policies._policy_distillation import PolicyDistillation
from limbeck.policies._policy_judging import Judged, judge_students, set_bench
from limbeck.policies._policy_students import SHARES, STUDENTS, Found, Search

__all__ = ["distill_policy"]

INTERRUPTED_EPISODES = 5


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
    """Programs and trees that play as a policy does, from one line or two leaves up, each scored and checked.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a function that makes the environment: observations are a vector, actions are numbered.
    policy : model, network or callable
        The teacher: observations ``(n, d)`` to action probabilities or Q values ``(n, a)``; a stable-baselines3 model,
        a torch module, or an object with ``predict``.
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
    >>> import numpy as np
    >>> from limbeck.policies import distill_policy
    >>> def with_the_swing(observation):
    ...     speed = observation[:, 1]
    ...     return np.column_stack([-speed, np.zeros(len(speed)), speed])
    >>> found = distill_policy("MountainCar-v0", with_the_swing, students=["tree"], episodes=4, random_state=0)
    >>> found.best().name, found.best().readable.features_used
    ('tree_2', ('velocity',))
    """
    started = time.monotonic()
    asked = _read_students(students)
    _refuse(budget_s, episodes)
    environment = as_environment(env, names=names, actions=actions)
    teacher = as_policy(policy, environment, kind=kind)
    changed = change_columns(environment, changes)
    seed = random_state if isinstance(random_state, int) else draw_seeds(random_state, 1)[0]
    with reporting(progress) as report:
        search = Search(
            environment, teacher, changed, n_jobs, report, draw_seeds(seed, 2 + len(asked)), float(budget_s)
        )
        search.look(asked, episodes)
        search.find(asked)
        result = _judged(search, episodes)
    record = {**_record(search, asked, int(seed)), **result.record, "seconds": round(time.monotonic() - started, 3)}
    return replace(result, record=record)


def _read_students(students: Sequence[str] | str | None) -> tuple[str, ...]:
    asked = STUDENTS if students is None else (students,) if isinstance(students, str) else tuple(students)
    for name in asked:
        if not isinstance(name, str) or name not in SHARES:
            raise InputError(f"students are of {list(SHARES)}; got {name!r:.60}.{did_you_mean(str(name), SHARES)}")
    if not asked or len(set(asked)) < len(asked):
        raise InputError(f"at least one student is required, and each once; got {list(asked)!r:.120}")
    return asked


def _refuse(budget_s: Any, episodes: Any) -> None:
    if not isinstance(budget_s, numbers.Real) or isinstance(budget_s, bool) or not 0 < float(budget_s) < float("inf"):
        raise InputError(f"budget_s must be a number of seconds above 0; got {budget_s!r:.60}")
    if not isinstance(episodes, numbers.Integral) or isinstance(episodes, bool) or int(episodes) < 2:
        raise InputError(f"episodes must be a whole number of at least 2; got {episodes!r:.60}")


def _judged(search: Search, episodes: int) -> PolicyDistillation:
    """The candidates scored; after Ctrl-C, on fewer episodes, and those that were scored by then."""
    n = int(episodes) if search.complete else min(int(episodes), INTERRUPTED_EPISODES)
    try:
        setting = search.setting(n)
        bench = set_bench(setting)
    except KeyboardInterrupt:
        search.complete = False
        setting = search.setting(min(n, INTERRUPTED_EPISODES))
        bench = set_bench(setting)
    judged, whole = judge_students(setting, bench, [one.readable for one in search.found])
    if not whole:
        search.complete = False
        search.notes.append(
            f"interrupted: {len(judged)} of {len(search.found)} students are scored, not all are checked"
        )
    elif setting.episodes < episodes:
        search.notes.append(f"interrupted: scored on {setting.episodes} episodes instead of {episodes}")
    candidates = tuple(_candidate(one, score) for one, score in zip(search.found, judged, strict=False))
    played = {
        "episodes": setting.episodes,
        "seeds": list(bench.seeds),
        "teacher_returns": bench.baseline.teacher.tolist(),
        "random_returns": bench.baseline.random.tolist(),
    }
    return PolicyDistillation(candidates, bench.teacher, bench.random, played)


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
        judged.firing,
    )


def _record(search: Search, asked: Sequence[str], seed: int) -> dict[str, Any]:
    environment = search.environment
    return {
        "environment": environment.name,
        "max_steps": environment.max_steps,
        "columns": list(environment.columns),
        "actions": list(environment.actions),
        "changes": [environment.columns[j] for j in search.changes],
        "kind": search.policy.kind,
        "students": list(asked),
        "budget_s": search.budget,
        "states": 0 if search.states is None else len(search.states),
        "seed": seed,
        "complete": search.complete,
        "notes": list(search.notes),
    }
