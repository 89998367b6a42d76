"""The search for formulas: evolution and the local search, on several islands, then together.

Each island draws its own rows, lets pyoperon evolve, and grows the front that comes out; what the islands have found is
then fitted on more rows and grown once more. The islands differ by their seeds alone, so they can run in any order and
in any number of processes: the same seed gives the same formulas.

Source
------
Burlacu2020 for the evolution (`_formula_evolution`); the islands and the local search (`_formula_growth`) are our own.

Departures
----------
The search knows no weights of rows: weighted rows are drawn by their weight.

Cost
----
The budget is in evaluations of the evolution, about 25 µs each (1,000 rows, one core); the local search spends one
refit, about 3 ms, for every hundred of its share.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from limbeck._core.errors import LimbeckError
from limbeck._core.parallel import Failure, run_tasks
from limbeck.students._formula_algebra import Formula, add, constant, features_used, symbols
from limbeck.students._formula_candidates import Setting
from limbeck.students._formula_evolution import evolve
from limbeck.students._formula_fit import Logistic, Loss, Squares, values_of
from limbeck.students._formula_growth import PERFECT, Archive, Budget
from limbeck.students._formula_library import build_library
from limbeck.students._formula_units import UnitCheck
from limbeck.students._formula_views import VIEWS, looked_back, seen_through, units_behind

OPERATORS = ("add", "sub", "mul", "div", "sqrt", "square", "log", "exp", "tanh", "sin", "cos", "abs")
"""Every operator that can be asked for."""

DEFAULT_OPERATORS = ("add", "sub", "mul", "div", "sqrt", "log", "exp", "tanh")
"""Without those that repeat themselves: a wave fits any data and foretells none."""

SHARE_OF_EVOLUTION = 0.4
SHARE_OF_VIEWS = 0.3
SHARE_OF_FIRST_LOOKS = 0.6
"""Of the views' share: every view has the same part of it, and the best then has the rest."""
MOST_FIRST_LOOK = 300
"""Refits of a first look."""
SHARE_TOGETHER = 0.25
SHARE_OF_A_BACKFIT = 0.1
EVALUATIONS_A_REFIT = 100
LEAST_EVALUATIONS_AN_ISLAND = 20_000
GUARD_ROWS = 400
RANGE_ON_GUARD = 3.0
"""How far the values on guard rows may leave the answers' range, in widths of that range."""
LOGIT_LIMIT = 6.0


@dataclass(frozen=True)
class Task:
    """One output to find formulas for.

    Attributes
    ----------
    features : array ``(n, m)``
    costs : tuple of int
        Symbols of each feature.
    target : array ``(n,)``
        Answers, or probabilities.
    weights : array ``(n,)``
        Positive.
    logistic : bool
        Whether `target` holds probabilities, which the logistic of the formula is to give.
    shuffled : array
        The features of the guard rows.
    operators : frozenset of str
    max_symbols, max_rows, evaluations : int
    seconds : float or None
    restarts : int
        How many islands, of other rows and seeds.
    units : UnitCheck or None
        Which formulas have units that fit.
    """

    features: np.ndarray
    costs: tuple[int, ...]
    target: np.ndarray
    weights: np.ndarray
    logistic: bool
    shuffled: np.ndarray
    operators: frozenset[str]
    max_symbols: int
    max_rows: int
    evaluations: float
    seconds: float | None = None
    restarts: int = 3
    units: UnitCheck | None = None


def find_formulas(tasks: Sequence[Task], seeds: Sequence[int], n_jobs: int | None) -> list[list[Formula]]:
    """For each task, the formulas of its front, the shortest first."""
    owners = [(i, job) for i, task in enumerate(tasks) for job in _islands(task, seeds[i])]
    jobs = [
        (_timed(task, tasks, len(owners), n_jobs, 1.0 - SHARE_TOGETHER), seed, views)
        for _, (task, seed, views) in owners
    ]
    found: list[list[Formula]] = [[] for _ in tasks]
    for (i, _), formulas in zip(owners, _all_results(search_island, jobs, n_jobs), strict=True):
        found[i] += formulas
    together = [
        (
            _timed(_share(task, SHARE_TOGETHER), tasks, len(tasks), n_jobs, SHARE_TOGETHER),
            _seed(seed, "together"),
            formulas,
        )
        for task, seed, formulas in zip(tasks, seeds, found, strict=True)
    ]
    return _all_results(search_together, together, n_jobs)


def _timed(task: Task, tasks: Sequence[Task], n: int, n_jobs: int | None, share: float) -> Task:
    """The task with its time: a share of the seconds of all tasks, where `n` run in as many processes as there are."""
    if task.seconds is None:
        return task
    from joblib import effective_n_jobs

    rounds = math.ceil(n / max(1, effective_n_jobs(n_jobs)))
    return replace(task, seconds=share * sum(each.seconds or 0.0 for each in tasks) / rounds)


def _islands(task: Task, seed: int) -> list[tuple[Task, int, tuple[str, ...]]]:
    """The islands' tasks, seeds and views: as many islands as the budget feeds, and one that looks through views."""
    k = task.restarts
    if task.seconds is None:
        k = int(np.clip(task.evaluations // LEAST_EVALUATIONS_AN_ISLAND, 1, task.restarts))
    views = tuple(view for view in VIEWS if VIEWS[view].fits(task.target, task.operators))
    if task.logistic or k < task.restarts:
        views = ()
    for_views = SHARE_OF_VIEWS if views else 0.0
    plain = _share(task, (1.0 - SHARE_TOGETHER - for_views) / k)
    islands: list[tuple[Task, int, tuple[str, ...]]] = [(plain, _seed(seed, str(island)), ()) for island in range(k)]
    return [*islands, (_share(task, for_views), _seed(seed, "views"), views)] if views else islands


def _share(task: Task, share: float) -> Task:
    return replace(task, evaluations=share * task.evaluations)


def _seed(seed: int, name: str) -> int:
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0])


def _all_results(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], n_jobs: int | None) -> list[Any]:
    results: list[Any] = [None] * len(jobs)
    for i, result in run_tasks(function, jobs, n_jobs=n_jobs):
        if isinstance(result, Failure):
            raise LimbeckError(f"the search for a formula failed: {result.kind}: {result.message}")
        results[i] = result
    return results


def search_island(task: Task, seed: int, views: tuple[str, ...]) -> list[Formula]:
    """The front found from one seed: by evolution and the local search, or by the latter alone through views."""
    rng, started = np.random.default_rng(seed), time.monotonic()
    rows = sampled_rows(task.weights, task.max_rows, rng)
    if views:
        return _look_through(task, rows, views)
    X, evolved = task.features[rows], []
    answers = _logits(task.target[rows]) if task.logistic else task.target[rows]
    share = SHARE_OF_EVOLUTION
    if X.shape[1] and np.ptp(answers) > 0 and len(rows) > 1:
        seconds = None if task.seconds is None else share * task.seconds
        evolved = evolve(X, answers, task.operators, share * task.evaluations, seconds, int(rng.integers(2**31)))
    budget = _budget(task, 1.0 - share, started)
    archive = _archive(task, task.target, "", rows, _ranking(X, answers, evolved), budget)
    for formula in [constant(float(np.average(answers))), *evolved]:
        archive.offer(formula)
    archive.run()
    return [archive.entries[n].formula for n in archive.front()]


def _look_through(task: Task, rows: np.ndarray, views: Sequence[str]) -> list[Formula]:
    """What the local search finds behind each view, and with most of the budget behind the best of them."""
    archives: dict[str, Archive] = {}
    whole = _budget(task, 1.0, time.monotonic())
    first = min(SHARE_OF_FIRST_LOOKS / len(views) * whole.refits, MOST_FIRST_LOOK)
    for view in views:
        seen = seen_through(view, task.target)
        ranking, started = _ranking(task.features[rows], seen[rows], ()), time.monotonic()
        budget = Budget(first, _until(whole, SHARE_OF_FIRST_LOOKS / len(views), started))
        behind = replace(task, units=units_behind(view, task.units))
        archives[view] = _archive(behind, seen, view, rows, ranking, budget)
        archives[view].offer(constant(float(np.average(seen[rows]))))
        archives[view].run()
        whole.refits -= first
    best = min(archives, key=lambda view: archives[view].best_within(task.max_symbols))
    archives[best].budget = whole
    archives[best].run()
    found = [
        looked_back(view, archive.entries[n].formula) for view, archive in archives.items() for n in archive.front()
    ]
    return [formula for formula in found if formula is not None]


def search_together(task: Task, seed: int, formulas: Sequence[Formula]) -> list[Formula]:
    """The front of all islands' formulas, fitted on more rows and grown once more."""
    rng, started = np.random.default_rng(seed), time.monotonic()
    rows = sampled_rows(task.weights, 2 * task.max_rows, rng)
    answers = _logits(task.target[rows]) if task.logistic else task.target[rows]
    ranking = _ranking(task.features[rows], answers, formulas)
    archive = _archive(task, task.target, "", rows, ranking, _budget(task, 1.0, started))
    for formula in [constant(float(np.average(answers))), *formulas]:
        archive.seen.clear()
        archive.offer(formula)
    whole = archive.budget
    archive.budget = replace(whole, refits=0.6 * whole.refits, deadline=_until(whole, 0.6, started))
    archive.run()
    archive.budget = replace(whole, refits=0.4 * whole.refits + archive.budget.refits)
    if not task.logistic and task.features.shape[1]:
        _backfit(task, archive, rows, rng)
        archive.run()
    return [archive.entries[n].formula for n in archive.front()]


def _backfit(task: Task, archive: Archive, rows: np.ndarray, rng: np.random.Generator) -> None:
    """Offers sums of two formulas: one of the front, and what evolves on what it leaves; then the other way round.

    Source: the backfitting of Breiman1985, with formulas in the place of smooth functions.
    """
    X, y = task.features[rows], task.target[rows]
    lengths = [n for n in archive.front() if 1 < n <= 0.6 * task.max_symbols]
    if not lengths or archive.best_within(task.max_symbols) <= PERFECT:
        return
    share, part = SHARE_OF_A_BACKFIT, archive.entries[lengths[-1]].formula
    for _ in range(2):
        rest = y - values_of(part, archive.setting.columns)
        if not np.ptp(rest) > 0:
            return
        seconds = None if task.seconds is None else share * task.seconds
        others = evolve(X, rest, task.operators, share * task.evaluations, seconds, int(rng.integers(2**31)))
        archive.budget.refits -= share * task.evaluations / EVALUATIONS_A_REFIT
        room = task.max_symbols - symbols(part, task.costs) - 1
        fitting = [other for other in others if symbols(other, task.costs) <= room]
        for other in fitting:
            archive.offer(add(part, other))
        if not fitting:
            return
        part = fitting[-1]


def _budget(task: Task, share: float, started: float) -> Budget:
    """A share of the task's refits, or all of its seconds since it was started."""
    if task.seconds is not None:
        return Budget(math.inf, started + task.seconds)
    return Budget(share * task.evaluations / EVALUATIONS_A_REFIT)


def _until(budget: Budget, share: float, started: float) -> float | None:
    """When a share of the time that the budget has left is over."""
    return None if budget.deadline is None else started + share * (budget.deadline - started)


def _archive(
    task: Task, target: np.ndarray, view: str, rows: np.ndarray, ranking: list[int], budget: Budget
) -> Archive:
    columns = [np.ascontiguousarray(column) for column in task.features[rows].T]
    if not columns:
        columns = [np.zeros(len(rows))]
    guard = [np.ascontiguousarray(column) for column in task.shuffled.T] or [np.zeros(1)]
    costs = task.costs or (1,)
    library = build_library(columns, costs, task.operators, ranking)
    loss, limits = _loss(task, target[rows]), _limits(task, view)
    setting = Setting(columns, guard, limits, loss, library, costs, task.max_symbols, task.operators, task.units)
    return Archive(setting, budget)


def _loss(task: Task, target: np.ndarray) -> Loss:
    weights = np.ones(len(target)) / len(target)
    if task.logistic:
        return Logistic(target, weights)
    return Squares(target, weights / (float(np.var(target)) or 1.0))


def _limits(task: Task, view: str) -> tuple[float, float]:
    """Between which values a formula must stay on the guard rows."""
    if task.logistic:
        return -10 * LOGIT_LIMIT, 10 * LOGIT_LIMIT
    low, high = float(task.target.min()), float(task.target.max())
    room = RANGE_ON_GUARD * (high - low)
    if not view:
        return low - room, high + room
    ends = np.array([max(low - room, 0.1 * low), high + room])
    low, high = sorted(seen_through(view, ends).tolist())
    return low, high


def sampled_rows(weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """At most `n` positions, drawn by weight: each comes as often as its share says, up or down to one."""
    order = rng.permutation(len(weights))
    if len(weights) <= n and np.ptp(weights) == 0.0:
        return np.sort(order)
    ends = np.cumsum(weights[order])
    n = int(min(n, max(len(weights), ends[-1] / weights.min())))
    marks = (np.arange(n) + rng.random()) * (ends[-1] / n)
    return np.sort(order[np.minimum(np.searchsorted(ends, marks, side="right"), len(order) - 1)])


def _logits(q: np.ndarray) -> np.ndarray:
    q = np.clip(q, 1e-9, 1.0 - 1e-9)
    return np.clip(np.log(q) - np.log1p(-q), -LOGIT_LIMIT, LOGIT_LIMIT)


def _ranking(X: np.ndarray, y: np.ndarray, formulas: Sequence[Formula]) -> list[int]:
    """The features, those that formulas use first, then those that go with the answers."""
    used = np.zeros(X.shape[1])
    for formula in formulas:
        for j in features_used(formula):
            used[j] += 1
    spread = np.std(X, axis=0) * (np.std(y) or 1.0)
    together = np.abs((X - X.mean(axis=0)).T @ (y - y.mean())) / len(y)
    strength = np.divide(together, spread, out=np.zeros(X.shape[1]), where=spread > 0)
    return [int(j) for j in np.lexsort((np.arange(X.shape[1]), -strength, -used))]
