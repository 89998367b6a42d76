"""Students scored and judged by playing: the same fresh seeds for all of them, the teacher and a random policy.

Source
------
Own; the checks are those of `_policy_checks`.

Cost
----
``episodes`` episodes for each student, the teacher and the random policy; for each student on the front a third of them
(at least ten) sticky and from other starts, and as many as for the score by the controls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.progress import Report
from limbeck._core.seeds import draw_seeds
from limbeck.checks import Finding
from limbeck.policies import _policy_checks as checks
from limbeck.policies._dagger import TeacherActs
from limbeck.policies._episodes import play_episodes, play_many, score_of
from limbeck.policies._features import standing
from limbeck.policies._policy_checks import Baseline, Interchanged, RandomActs

if TYPE_CHECKING:
    from limbeck.policies._environment import Environment
    from limbeck.policies._episodes import Episodes, Return
    from limbeck.policies._policy import Policy

__all__ = ["Bench", "Judged", "OtherStarts", "Setting", "judge_students", "set_bench"]

MOST_STARTS = 20
"""So many random actions at most before a student plays, in the check of other start states."""
SHOWN = 20
"""So many states where student and teacher differ are kept."""
LEAST_EPISODES = 10


@dataclass(frozen=True)
class OtherStarts:
    """A factory of environments that begin after some random actions, drawn by the episode's seed."""

    make: Callable[[], Any]

    def __call__(self) -> Any:
        """The wrapped environment."""
        import gymnasium

        class Started(gymnasium.Wrapper):
            def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
                observation, info = self.env.reset(seed=seed, options=options)
                generator, space = np.random.default_rng(seed), self.env.action_space
                for _ in range(int(generator.integers(1, MOST_STARTS + 1))):
                    action = int(space.start + generator.integers(space.n))  # type: ignore[attr-defined]
                    observation, _, ended, cut, info = self.env.step(action)
                    if ended or cut:
                        return self.env.reset(options=options)
                return observation, info

        return Started(self.make())


@dataclass(frozen=True)
class Setting:
    """What students are judged in.

    Attributes
    ----------
    environment : Environment
    policy : Policy
        The teacher.
    changes : tuple of int
    episodes : int
        For each score.
    seed : int
        For the judging alone.
    n_jobs : int or None
    report : function
    """

    environment: Environment
    policy: Policy
    changes: tuple[int, ...]
    episodes: int
    seed: int
    n_jobs: int | None
    report: Report


@dataclass(frozen=True)
class Bench:
    """The seeds of the scores, and the teacher and the random policy on them."""

    seeds: tuple[int, ...]
    teacher: Return
    random: Return
    baseline: Baseline
    other: int


@dataclass(frozen=True)
class Judged:
    """A student's score and findings, its return for each seed, where it differs from the teacher, and how often each
    of its guards or leaves decides.
    """

    score: Return
    findings: tuple[Finding, ...]
    returns: tuple[float, ...]
    differences: tuple[dict[str, Any], ...]
    used: tuple[int, ...]
    firing: tuple[float, ...]


def set_bench(setting: Setting) -> Bench:
    """The teacher and the random policy on the seeds by which all students will be scored."""
    drawing, other, bootstrap, *seeds = draw_seeds(setting.seed, 3 + setting.episodes)
    teacher = _teacher_plays(setting, setting.environment, seeds)
    random = play_episodes(setting.environment, RandomActs(_n_actions(setting), drawing), seeds)
    baseline = Baseline(np.asarray(teacher.returns), np.asarray(random.returns), bootstrap)
    return Bench(tuple(seeds), score_of(teacher), score_of(random), baseline, other)


def _n_actions(setting: Setting) -> int:
    return len(setting.environment.actions)


def _teacher_plays(setting: Setting, environment: Environment, seeds: Sequence[int], sticky: float = 0.0) -> Episodes:
    acts = TeacherActs(setting.policy, len(environment.columns))
    return play_episodes(environment, acts, seeds, sticky=sticky)


def judge_students(setting: Setting, bench: Bench, readables: Sequence[Any]) -> tuple[list[Judged], bool]:
    """The scores and findings of the students, and whether all is done; after Ctrl-C, those of then.

    Those off the front of return against size have RC014 and RC015 only. Where the teacher has no lead over a random
    policy nothing more is played: RC018 fails for all.
    """
    done: list[Judged] = []
    try:
        for i, readable in enumerate(readables):
            setting.report("scored on fresh seeds", i, len(readables))
            episodes = _many(setting, setting.environment, [readable.act], bench.seeds, record=True)[0]
            done.append(_scored(setting, bench, readable, episodes))
        setting.report("scored on fresh seeds", len(readables), len(readables))
        if not checks.has_lead(bench.baseline):
            blind = checks.controls_finding({}, bench.baseline)
            return [replace(one, findings=(*one.findings, blind)) for one in done], True
        on_front = _front(done, [readable.complexity for readable in readables])
        for i, findings in zip(on_front, _tested(setting, bench, readables, done, on_front), strict=True):
            done[i] = replace(done[i], findings=(*done[i].findings, *findings))
    except KeyboardInterrupt:
        return done, False
    return done, True


def _many(
    setting: Setting,
    environment: Environment,
    acts: Sequence[Any],
    seeds: Sequence[int],
    *,
    sticky: float = 0.0,
    record: bool = False,
) -> list[Episodes]:
    """What each of these players plays from the seeds."""
    return play_many(
        environment, acts, seeds, changes=setting.changes, sticky=sticky, record=record, n_jobs=setting.n_jobs
    )


def _front(found: list[Judged], sizes: list[int]) -> list[int]:
    """The positions of the students of which no other is as small and plays as well, the smallest first."""
    order = sorted(range(len(found)), key=lambda i: (sizes[i], -found[i].score.mean))
    kept: list[int] = []
    for i in order:
        if not kept or found[i].score.mean > found[kept[-1]].score.mean:
            kept.append(i)
    return kept


def _scored(setting: Setting, bench: Bench, readable: Any, episodes: Episodes) -> Judged:
    """RC014, RC015, and the states where student and teacher differ most."""
    names = setting.environment.actions
    rows = standing(episodes, setting.changes)
    seen = rows[:, : len(setting.environment.columns)]
    theirs, weights = setting.policy.act(seen), setting.policy.weights(seen)
    decided = readable.firing(rows)
    own, firing = np.array(readable.decisions)[decided], np.bincount(decided, minlength=len(readable.decisions))
    episode = np.repeat(np.arange(len(episodes.lengths)), episodes.lengths)
    table = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(table, (theirs, own), 1)
    returns = np.asarray(episodes.returns, dtype=float)
    findings = (
        checks.return_finding(returns, bench.baseline),
        checks.agreement_finding(theirs == own, weights, episode, names, table, bench.baseline.seed),
    )
    differ = np.flatnonzero(theirs != own)
    differ = differ[np.argsort(-weights[differ], kind="stable")]
    differences = tuple(
        {
            "observation": [float(v) for v in rows[i]],
            "teacher": names[theirs[i]],
            "student": names[own[i]],
            "weight": float(weights[i]),
        }
        for i in _spread(differ, episode[differ])[:SHOWN]
    )
    used = tuple(int(a) for a in np.unique(own))
    shares = tuple((firing / len(rows)).tolist())
    return Judged(score_of(episodes), findings, tuple(returns.tolist()), differences, used, shares)


def _spread(states: np.ndarray, episode: np.ndarray) -> np.ndarray:
    """At most two states of one episode, in their order: the states of a fall are much alike."""
    seen: dict[int, int] = {}
    kept = []
    for state, one in zip(states, episode, strict=True):
        seen[int(one)] = seen.get(int(one), 0) + 1
        if seen[int(one)] <= 2:
            kept.append(state)
    return np.array(kept, dtype=np.int64)


def _tested(
    setting: Setting, bench: Bench, readables: Sequence[Any], done: list[Judged], on_front: list[int]
) -> list[tuple[Finding, ...]]:
    """RC016, RC017 and RC018 of the students on the front."""
    n = max(LEAST_EPISODES, setting.episodes // 3)
    drawing, *seeds = draw_seeds(bench.other, 1 + n)
    n_actions, environment = _n_actions(setting), setting.environment
    elsewhere = replace(environment, make=OtherStarts(environment.make))
    acts = [readables[i].act for i in on_front]
    interchanged = [Interchanged(act, done[i].used, n_actions) for act, i in zip(acts, on_front, strict=True)]
    what = "checks that can fail"
    setting.report(what, 0, 3)
    sticky = _elsewhere(setting, environment, acts, seeds, checks.sticky_finding, drawing, checks.STICKY)
    setting.report(what, 1, 3)
    starts = _elsewhere(setting, elsewhere, acts, seeds, checks.starts_finding, drawing)
    setting.report(what, 2, 3)
    random = play_episodes(environment, RandomActs(n_actions, drawing), bench.seeds).returns
    controls = [
        checks.controls_finding({"random": random, "interchanged actions": one.returns}, bench.baseline)
        for one in _many(setting, environment, interchanged, bench.seeds)
    ]
    setting.report(what, 3, 3)
    return list(zip(sticky, starts, controls, strict=True))


def _elsewhere(
    setting: Setting,
    environment: Environment,
    acts: list[Any],
    seeds: list[int],
    finding: Callable[[np.ndarray, Baseline], Finding],
    drawing: int,
    sticky: float = 0.0,
) -> list[Finding]:
    """A finding on the share of the lead that each student keeps under other conditions, the same for the teacher."""
    teacher = _teacher_plays(setting, environment, seeds, sticky)
    random = play_episodes(environment, RandomActs(_n_actions(setting), drawing), seeds)
    baseline = Baseline(np.asarray(teacher.returns), np.asarray(random.returns), drawing)
    return [
        finding(np.asarray(one.returns), baseline) for one in _many(setting, environment, acts, seeds, sticky=sticky)
    ]
