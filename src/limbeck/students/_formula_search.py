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

OPERATORS = ("add", "sub", "mul", "div", "sqrt", "square", "log", "exp", "tanh", "sin", "cos", "abs")
"""Every operator that can be asked for."""

DEFAULT_OPERATORS = ("add", "sub", "mul", "div", "sqrt", "log", "exp", "tanh")
"""Without those that repeat themselves: a wave fits any data and foretells none."""

ISLANDS = 3
SHARE_OF_EVOLUTION = 0.4
EVALUATIONS_A_REFIT = 100
SECONDS_A_REFIT = 0.004
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
    islands = [(i, island) for i, task in enumerate(tasks) for island in range(n_islands(task))]
    jobs = [(_island_share(tasks[i]), _seed(seeds[i], island)) for i, island in islands]
    found: list[list[Formula]] = [[] for _ in tasks]
    by_island = _all_results(search_island, jobs, n_jobs)
    for (i, _), formulas in zip(islands, by_island, strict=True):
        found[i] += formulas
    together = [
        (replace(task, seconds=None if task.seconds is None else 0.3 * task.seconds), _seed(seed, 99), formulas)
        for task, seed, formulas in zip(tasks, seeds, found, strict=True)
    ]
    return _all_results(search_together, together, n_jobs)


def n_islands(task: Task) -> int:
    """As many islands as the budget feeds."""
    if task.seconds is not None:
        return ISLANDS
    return int(np.clip(task.evaluations // LEAST_EVALUATIONS_AN_ISLAND, 1, ISLANDS))


def _island_share(task: Task) -> Task:
    k = n_islands(task)
    seconds = None if task.seconds is None else 0.7 * task.seconds / k
    return replace(task, evaluations=task.evaluations / k, seconds=seconds)


def _seed(seed: int, island: int) -> int:
    return int(np.random.SeedSequence([seed, island]).generate_state(1)[0])


def _all_results(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], n_jobs: int | None) -> list[Any]:
    results: list[Any] = [None] * len(jobs)
    for i, result in run_tasks(function, jobs, n_jobs=n_jobs):
        if isinstance(result, Failure):
            raise LimbeckError(f"the search for a formula failed: {result.kind}: {result.message}")
        results[i] = result
    return results


def search_island(task: Task, seed: int) -> list[Formula]:
    """The front that evolution and the local search find from one seed."""
    rng, started = np.random.default_rng(seed), time.monotonic()
    rows = sampled_rows(task.weights, task.max_rows, rng)
    X, target = task.features[rows], task.target[rows]
    answers = _logits(target) if task.logistic else target
    evolved: list[Formula] = []
    if X.shape[1] and np.ptp(answers) > 0 and len(rows) > 1:
        share = SHARE_OF_EVOLUTION
        seconds = None if task.seconds is None else share * task.seconds
        evolved = evolve(X, answers, task.operators, share * task.evaluations, seconds, int(rng.integers(2**31)))
    ranking = _ranking(X, answers, evolved)
    archive = _archive(task, rows, ranking, _refits(task, 0.7), started)
    for formula in [constant(float(np.average(answers))), *evolved]:
        archive.offer(formula)
    archive.run()
    return [archive.entries[n].formula for n in archive.front()]


def search_together(task: Task, seed: int, formulas: Sequence[Formula]) -> list[Formula]:
    """The front of all islands' formulas, fitted on more rows and grown once more."""
    rng, started = np.random.default_rng(seed), time.monotonic()
    rows = sampled_rows(task.weights, 2 * task.max_rows, rng)
    answers = _logits(task.target[rows]) if task.logistic else task.target[rows]
    ranking = _ranking(task.features[rows], answers, formulas)
    archive = _archive(task, rows, ranking, _refits(task, 0.3), started)
    for formula in [constant(float(np.average(answers))), *formulas]:
        archive.seen.clear()
        archive.offer(formula)
    archive.run()
    return [archive.entries[n].formula for n in archive.front()]


def _refits(task: Task, share: float) -> float:
    if task.seconds is not None:
        return math.inf
    return share * (1.0 - SHARE_OF_EVOLUTION) * task.evaluations / EVALUATIONS_A_REFIT


def _archive(task: Task, rows: np.ndarray, ranking: list[int], refits: float, started: float) -> Archive:
    columns = [np.ascontiguousarray(column) for column in task.features[rows].T]
    if not columns:
        columns = [np.zeros(len(rows))]
    guard = [np.ascontiguousarray(column) for column in task.shuffled.T] or [np.zeros(1)]
    costs = task.costs or (1,)
    library = build_library(columns, costs, task.operators, ranking)
    loss, limits = _loss_and_limits(task, rows)
    setting = Setting(columns, guard, limits, loss, library, costs, task.max_symbols, task.operators)
    deadline = None if task.seconds is None else started + task.seconds
    return Archive(setting, Budget(refits, deadline))


def _loss_and_limits(task: Task, rows: np.ndarray) -> tuple[Loss, tuple[float, float]]:
    target, weights = task.target[rows], np.ones(len(rows)) / len(rows)
    if task.logistic:
        return Logistic(target, weights), (-10 * LOGIT_LIMIT, 10 * LOGIT_LIMIT)
    variance = float(np.var(target)) or 1.0
    low, high = float(task.target.min()), float(task.target.max())
    room = RANGE_ON_GUARD * (high - low)
    return Squares(target, weights / variance), (low - room, high + room)


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
