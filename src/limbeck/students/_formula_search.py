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
from limbeck.students._formula_algebra import Formula, constant, features_used
from limbeck.students._formula_candidates import Setting
from limbeck.students._formula_evolution import evolve
from limbeck.students._formula_fit import Logistic, Loss, Squares
from limbeck.students._formula_growth import Archive, Budget
from limbeck.students._formula_library import build_library
from limbeck.students._formula_views import VIEWS, looked_back, seen_through

OPERATORS = ("add", "sub", "mul", "div", "sqrt", "square", "log", "exp", "tanh", "sin", "cos", "abs")
"""Every operator that can be asked for."""

DEFAULT_OPERATORS = ("add", "sub", "mul", "div", "sqrt", "log", "exp", "tanh")
"""Without those that repeat themselves: a wave fits any data and foretells none."""

ISLANDS = 3
SHARE_OF_EVOLUTION = 0.4
SHARE_OF_A_VIEW = 0.06
SHARE_TOGETHER = 0.2
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


def find_formulas(tasks: Sequence[Task], seeds: Sequence[int], n_jobs: int | None) -> list[list[Formula]]:
    """For each task, the formulas of its front, the shortest first."""
    jobs = [(i, *job) for i, task in enumerate(tasks) for job in _islands(task, seeds[i])]
    found: list[list[Formula]] = [[] for _ in tasks]
    by_island = _all_results(search_island, [job[1:] for job in jobs], n_jobs)
    for (i, *_), formulas in zip(jobs, by_island, strict=True):
        found[i] += formulas
    together = [
        (_share(task, SHARE_TOGETHER), _seed(seed, "together"), formulas)
        for task, seed, formulas in zip(tasks, seeds, found, strict=True)
    ]
    return _all_results(search_together, together, n_jobs)


def _islands(task: Task, seed: int) -> list[tuple[Task, int, str]]:
    """The islands' tasks, seeds and views: as many islands as the budget feeds."""
    k = ISLANDS
    if task.seconds is None:
        k = int(np.clip(task.evaluations // LEAST_EVALUATIONS_AN_ISLAND, 1, ISLANDS))
    views = [
        view for view in VIEWS if k == ISLANDS and not task.logistic and VIEWS[view].fits(task.target, task.operators)
    ]
    rest = 1.0 - SHARE_TOGETHER - SHARE_OF_A_VIEW * len(views)
    plain = [(_share(task, rest / k), _seed(seed, str(island)), "") for island in range(k)]
    return plain + [(_share(task, SHARE_OF_A_VIEW), _seed(seed, view), view) for view in views]


def _share(task: Task, share: float) -> Task:
    seconds = None if task.seconds is None else share * task.seconds
    return replace(task, evaluations=share * task.evaluations, seconds=seconds)


def _seed(seed: int, name: str) -> int:
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0])


def _all_results(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], n_jobs: int | None) -> list[Any]:
    results: list[Any] = [None] * len(jobs)
    for i, result in run_tasks(function, jobs, n_jobs=n_jobs):
        if isinstance(result, Failure):
            raise LimbeckError(f"the search for a formula failed: {result.kind}: {result.message}")
        results[i] = result
    return results


def search_island(task: Task, seed: int, view: str) -> list[Formula]:
    """The front found from one seed: by evolution and the local search, or by the latter alone under a view."""
    rng, started = np.random.default_rng(seed), time.monotonic()
    rows = sampled_rows(task.weights, task.max_rows, rng)
    X, evolved = task.features[rows], []
    seen = seen_through(view, task.target) if view else task.target
    answers = _logits(seen[rows]) if task.logistic else seen[rows]
    share = 0.0 if view else SHARE_OF_EVOLUTION
    if not view and X.shape[1] and np.ptp(answers) > 0 and len(rows) > 1:
        seconds = None if task.seconds is None else share * task.seconds
        evolved = evolve(X, answers, task.operators, share * task.evaluations, seconds, int(rng.integers(2**31)))
    archive = _archive(task, seen, view, rows, _ranking(X, answers, evolved), _refits(task, share), started)
    for formula in [constant(float(np.average(answers))), *evolved]:
        archive.offer(formula)
    archive.run()
    found = [archive.entries[n].formula for n in archive.front()]
    return [whole for whole in (looked_back(view, part) for part in found) if whole is not None] if view else found


def search_together(task: Task, seed: int, formulas: Sequence[Formula]) -> list[Formula]:
    """The front of all islands' formulas, fitted on more rows and grown once more."""
    rng, started = np.random.default_rng(seed), time.monotonic()
    rows = sampled_rows(task.weights, 2 * task.max_rows, rng)
    answers = _logits(task.target[rows]) if task.logistic else task.target[rows]
    ranking = _ranking(task.features[rows], answers, formulas)
    archive = _archive(task, task.target, "", rows, ranking, _refits(task, 0.0), started)
    for formula in [constant(float(np.average(answers))), *formulas]:
        archive.seen.clear()
        archive.offer(formula)
    archive.run()
    return [archive.entries[n].formula for n in archive.front()]


def _refits(task: Task, spent: float) -> float:
    return math.inf if task.seconds is not None else (1.0 - spent) * task.evaluations / EVALUATIONS_A_REFIT


def _archive(
    task: Task, target: np.ndarray, view: str, rows: np.ndarray, ranking: list[int], refits: float, started: float
) -> Archive:
    columns = [np.ascontiguousarray(column) for column in task.features[rows].T]
    if not columns:
        columns = [np.zeros(len(rows))]
    guard = [np.ascontiguousarray(column) for column in task.shuffled.T] or [np.zeros(1)]
    costs = task.costs or (1,)
    library = build_library(columns, costs, task.operators, ranking)
    loss, limits = _loss(task, target[rows]), _limits(task, view)
    setting = Setting(columns, guard, limits, loss, library, costs, task.max_symbols, task.operators)
    deadline = None if task.seconds is None else started + task.seconds
    return Archive(setting, Budget(refits, deadline))


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
