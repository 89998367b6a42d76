"""From candidates to a rule set: chosen, thinned out, conditions and weights fitted in turn, written short.

Source
------
As in `_rule_set`.

Departures
----------
Conditions are moved with the weights as they are, weights fitted with the conditions as they are; each step lowers the
loss and the price of the symbols.

Cost
----
A few passes over all rows for each condition of each set on the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbeck._core.seeds import RandomState, draw_seeds
from limbeck.readable import Condition, LinearTerm, Rule, RuleSetReadable
from limbeck.readable._rule_conditions import holds
from limbeck.students._fitting import TrainingRows
from limbeck.students._formula_rounding import round_constants
from limbeck.students._rule_candidates import clauses_of_trees, linear_bounds
from limbeck.students._rule_grid import Grid, coarse_grid, fine_grid, refined_span
from limbeck.students._rule_list import RuleMember, check_arguments, front_of, least_weight, sampled
from limbeck.students._rule_search import Draft
from limbeck.students._rule_weights import (
    PRIOR,
    Link,
    fitted_weights,
    hessian_of,
    lasso_choice,
    row_losses,
    thinned,
)
from limbeck.students._rule_writing import fine_draft, written_conditions
from limbeck.students._tree_growth import Material, deviations, prepared

__all__ = ["fit_rule_set"]

TAKEN_UP = 3
"""So many times `max_rules` candidates the lasso takes up."""
SWEEPS = 2
ROUNDING = 1e-3
"""Share of what is left of the loss that rounding the weights may cost."""
MOST_ROUNDED = 80
"""With more weights than these all are cut to the same number of digits."""


@dataclass(frozen=True)
class Problem:
    """What sets are fitted to.

    Attributes
    ----------
    rows : TrainingRows
    material : Material
    grid : Grid
        Of ranks; its price is that of a symbol, in the mean loss of a row.
    targets : array ``(n, q)``
        Values less their mean, in standard deviations; the second class's probability; or all probabilities.
    weights : array ``(n,)``
        Sum to 1.
    link : str
    scale, middle : array ``(q,)``
        What targets were divided by, and what was taken off before.
    null, floor : float
        The loss without rules, and the least that there can be.
    prior : float
        The ridge of a weight.
    terms : tuple of (int, float, float)
        Columns that may have a linear term, with their bounds.
    """

    rows: TrainingRows
    material: Material
    grid: Grid
    targets: np.ndarray
    weights: np.ndarray
    link: Link
    scale: np.ndarray
    middle: np.ndarray
    null: float
    floor: float
    prior: float
    terms: tuple[tuple[int, float, float], ...]

    def term_values(self, which: Sequence[int]) -> np.ndarray:
        """The columns of linear terms, ``(n, len(which))``."""
        columns = [np.clip(self.rows.values[:, j], low, high) for j, low, high in (self.terms[t] for t in which)]
        return np.column_stack([np.empty((len(self.rows), 0)), *columns])

    def ridge(self, n_rules: int, terms: np.ndarray) -> np.ndarray:
        """The ridge of each weight: of a linear term, that of its column in standard deviations."""
        spread = self.weights @ (terms - self.weights @ terms) ** 2
        return self.prior * np.r_[np.ones(n_rules), spread]


def fit_rule_set(
    rows: TrainingRows,
    *,
    max_rules: int = 12,
    max_conditions: int = 3,
    linear: bool = True,
    min_samples_rule: float = 5,
    min_gain: float = 5e-4,
    random_state: RandomState = None,
) -> tuple[RuleMember, ...]:
    """Rule sets for these rows, of one rule more each; the arguments are those of `RuleSetRegressor`."""
    check_arguments(max_rules, max_conditions, min_samples_rule, min_gain)
    rows = rows.distinct()
    problem, starts = _problem(rows, least_weight(rows, min_samples_rule), min_gain, linear)
    if problem.null - problem.floor <= 1e-12:
        return (_member(problem, [], ()),)
    seed, few_seed = draw_seeds(random_state, 2)
    few = sampled(len(rows), few_seed)
    drafts = _path(problem, starts, few, max_rules, max_conditions, seed)
    members = []
    for draft, terms in drafts:
        draft, theta = _tuned(problem, fine_draft(draft, starts), terms)
        judge = SetJudge(problem, theta, terms)
        conditions, _ = written_conditions(problem.material, problem.grid, draft, judge, problem.null - problem.floor)
        members.append(_member(problem, conditions, terms, theta))
    return front_of(members)


def _problem(rows: TrainingRows, least: float, min_gain: float, linear: bool) -> tuple[Problem, list[np.ndarray]]:
    """The problem, and where the bins of the coarse grid start."""
    schema, weights = rows.table.schema, rows.weights / rows.weights.sum()
    link: Link = "identity" if rows.task == "regression" else "logistic" if rows.n_outputs == 2 else "softmax"
    targets = rows.targets[:, 1:] if link == "logistic" else rows.targets
    q = targets.shape[1]
    scale, middle = np.ones(q), np.zeros(q)
    if link == "identity":
        spreads = deviations(targets, weights)
        scale, middle = np.where(spreads > 0, spreads, 1.0), weights @ targets
        targets = (targets - middle) / scale
    material = prepared(schema, rows.values, targets, rows.weights, scale=False, min_leaf=least)
    prior = 1e-9 if link == "identity" else 1.0 / (PRIOR**2 * float(rows.weights.sum()))
    alone = fitted_weights(np.empty((len(rows), 0)), targets, weights, link, np.empty(0))
    null = float(weights @ row_losses(np.tile(alone[0], (len(rows), 1)), targets, link))
    full = rows.targets
    floor = 0.0 if link == "identity" else -float(weights @ (full * np.log(np.maximum(full, 1e-300))).sum(axis=1))
    bounds = [(j, linear_bounds(rows.values[:, j], weights)) for j in range(len(schema)) if not schema.has_levels(j)]
    terms = tuple((j, *found) for j, found in bounds if found is not None) if linear else ()
    price = min_gain * max(null - floor, 0.0)
    grid = fine_grid(material, price, 0)
    problem = Problem(rows, material, grid, targets, weights, link, scale, middle, null, floor, prior, terms)
    return problem, coarse_grid(material, price, 0)[1]


def _path(
    problem: Problem, starts: list[np.ndarray], few: np.ndarray, max_rules: int, max_conditions: int, seed: int
) -> list[tuple[Draft, tuple[int, ...]]]:
    """Clauses and linear terms for every size, chosen on few rows."""
    coarse = coarse_grid(problem.material, problem.grid.price, 0)[0].take(few)
    targets, weights = problem.targets[few], problem.weights[few] / problem.weights[few].sum()
    clauses = clauses_of_trees(problem.rows.table.schema, coarse, targets, problem.link, max_conditions, seed)
    terms = problem.term_values(range(len(problem.terms)))[few]
    spread = np.sqrt(weights @ (terms - weights @ terms) ** 2)
    X = np.column_stack([np.empty((len(few), 0)), *(coarse.meets_all(clause) for clause in clauses), terms])
    factors = np.r_[np.ones(len(clauses)), np.maximum(spread, 1e-300) / 0.4]
    taken = lasso_choice(X, targets, weights, problem.link, factors, TAKEN_UP * max_rules)
    taken = np.union1d(taken, len(clauses) + _promising(terms, targets, weights)[:max_rules])
    symbols = np.array([coarse.symbols(clause) + 2 for clause in clauses] + [7] * len(problem.terms))
    ridge = np.r_[np.full(len(clauses), problem.prior), problem.prior * spread**2]
    out = []
    for kept in thinned(X[:, taken], targets, weights, problem.link, ridge[taken], symbols[taken], max_rules):
        columns = taken[kept]
        rules = tuple(clauses[c] for c in columns if c < len(clauses))
        out.append((rules, tuple(int(c) - len(clauses) for c in columns if c >= len(clauses))))
    return out


def _promising(terms: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The positions of linear terms, those that go most with the targets first."""
    middle = terms - weights @ terms
    spread = np.sqrt(weights @ middle**2)
    pull = np.linalg.norm(middle.T @ (weights[:, None] * (targets - weights @ targets)), axis=1)
    return np.argsort(-pull / np.where(spread > 0, spread, 1.0), kind="stable")


class SetJudge:
    """Judges the conditions of a set: weights are as they are."""

    def __init__(self, problem: Problem, theta: np.ndarray, terms: Sequence[int]) -> None:
        self.problem, self.theta = problem, theta
        values = problem.term_values(terms)
        self.base = theta[0] + values @ theta[len(theta) - len(terms) :]

    def scores(self, draft: Draft) -> np.ndarray:
        """The scores of all rows."""
        out = self.base.copy()
        for clause, weight in zip(draft, self.theta[1:], strict=False):
            out[self.problem.grid.meets_all(clause)] += weight
        return out

    def loss(self, draft: Draft) -> float:
        """The mean loss, and the price of the symbols."""
        losses = row_losses(self.scores(draft), self.problem.targets, self.problem.link)
        return float(self.problem.weights @ losses) + self.problem.grid.price * sum(
            map(self.problem.grid.symbols, draft)
        )

    def deltas(self, draft: Draft, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows that meet the rule's other conditions, and what each loses more with the rule than without."""
        problem, weight = self.problem, self.theta[1 + i]
        others = tuple(item for item in draft[i] if item[0] != j)
        rows = np.flatnonzero(problem.grid.meets_all(others))
        without = self.scores(draft)[rows] - problem.grid.meets_all(draft[i])[rows, None] * weight
        targets = problem.targets[rows]
        more = row_losses(without + weight, targets, problem.link) - row_losses(without, targets, problem.link)
        return rows, problem.weights[rows] * more


def _design(problem: Problem, draft: Draft, terms: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The columns of rules and terms, and the ridge of each."""
    values = problem.term_values(terms)
    met = [problem.grid.meets_all(clause).astype(np.float64) for clause in draft]
    return np.column_stack([np.empty((len(values), 0)), *met, values]), problem.ridge(len(draft), values)


def _tuned(problem: Problem, draft: Draft, terms: Sequence[int]) -> tuple[Draft, np.ndarray]:
    """The set with conditions and weights fitted in turn, and its weights."""
    theta = None
    for sweep in range(SWEEPS + 1):
        X, ridge = _design(problem, draft, terms)
        theta = fitted_weights(X, problem.targets, problem.weights, problem.link, ridge, theta)
        if sweep == SWEEPS:
            break
        before, draft = draft, _moved(problem, draft, SetJudge(problem, theta, terms))
        if draft == before:
            break
    return draft, theta  # type: ignore[return-value]


def _moved(problem: Problem, draft: Draft, judge: SetJudge) -> Draft:
    """The set with every condition set anew in turn, weights as they are, where that lowers loss and price."""
    best, total = judge.loss(draft), float(problem.grid.weights.sum())
    for i in range(len(draft)):
        for j, span in draft[i]:
            rows, delta = judge.deltas(draft, i, j)
            spans = {**dict(draft[i]), j: refined_span(problem.grid, j, rows, delta, span)}
            new = (*draft[:i], tuple(sorted(spans.items(), key=lambda item: item[0])), *draft[i + 1 :])
            held = float(problem.grid.weights[problem.grid.meets_all(new[i])].sum())
            if new != draft and min(held, total - held) >= problem.grid.least - 1e-9:
                value = judge.loss(new)
                if value < best - 1e-12:
                    draft, best = new, value
    return draft


def _member(
    problem: Problem,
    conditions: Sequence[tuple[Condition, ...]],
    terms: Sequence[int],
    start: np.ndarray | None = None,
) -> RuleMember:
    """The set as a person reads it: different rules, weights fitted again and rounded, those without effect gone."""
    rules = [rule for rule in dict.fromkeys(conditions) if rule]
    values = problem.term_values(terms)
    met = [holds(rule, problem.rows.values).astype(np.float64) for rule in rules]
    X = np.column_stack([np.empty((len(values), 0)), *met, values])
    ridge = problem.ridge(len(rules), values)
    start = start if start is not None and len(start) == 1 + X.shape[1] else None
    theta, free = _sparse_weights(problem, X, ridge, start)
    theta = _rounded_weights(problem, X, theta, free)
    loss = _loss_at(problem, X, theta)
    n = len(rules)
    mass = [float(problem.rows.weights @ column) for column in X.T]
    shown = tuple(
        Rule(rule, tuple(map(float, theta[1 + r])), mass[r]) for r, rule in enumerate(rules) if theta[1 + r].any()
    )
    linear = tuple(
        LinearTerm(*problem.terms[t], tuple(map(float, theta[1 + n + at])))
        for at, t in enumerate(terms)
        if theta[1 + n + at].any()
    )
    rows = problem.rows
    readable = RuleSetReadable(
        rows.table.schema, rows.task, rows.output_names, tuple(map(float, theta[0])), shown, linear, problem.link
    )
    span = problem.null - problem.floor
    return RuleMember(readable, readable.complexity, 1.0 - (loss - problem.floor) / span if span > 1e-12 else 1.0)


def _sparse_weights(
    problem: Problem, X: np.ndarray, ridge: np.ndarray, start: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights, and which of them may differ from zero: of several scores, those that are worth their symbols."""
    fit = (X, problem.targets, problem.weights, problem.link, ridge)
    theta = fitted_weights(*fit, start=start)
    free = np.ones(theta.shape, dtype=bool)
    if theta.shape[1] == 1:
        return theta, free
    if problem.link == "softmax":
        theta = theta - np.median(theta, axis=1, keepdims=True)
    bend = 0.25 if problem.link == "softmax" else 1.0
    spread = problem.weights @ (X - problem.weights @ X) ** 2
    for _ in range(3):
        cost = 0.5 * bend * theta[1:] ** 2 * spread[:, None]
        drop = free[1:] & (cost < 2 * problem.grid.price)
        if not drop.any():
            break
        fewer = free.copy()
        fewer[1:] &= ~drop
        tried = fitted_weights(*fit, start=theta * fewer, free=fewer)
        rise = float(problem.weights @ row_losses(tried[0] + X @ tried[1:], problem.targets, problem.link)) - float(
            problem.weights @ row_losses(theta[0] + X @ theta[1:], problem.targets, problem.link)
        )
        if rise > 2 * problem.grid.price * drop.sum():
            break
        theta, free = tried, fewer
    return theta, free


def _loss_at(problem: Problem, X: np.ndarray, theta: np.ndarray) -> float:
    """The mean loss of weights in the targets' own units."""
    scores = (theta[0] + X @ theta[1:] - problem.middle) / problem.scale
    return float(problem.weights @ row_losses(scores, problem.targets, problem.link))


def _rounded_weights(problem: Problem, X: np.ndarray, theta: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The weights in the targets' own units, with few digits."""
    bends = hessian_of(X, theta[0] + X @ theta[1:], problem.weights, problem.link, free)
    own = theta * problem.scale
    own[0] += problem.middle
    units = np.broadcast_to(problem.scale, free.shape)[free]

    def loss_at(flat: np.ndarray) -> float:
        full = np.zeros_like(own)
        full[free] = flat
        return _loss_at(problem, X, full)

    before = loss_at(own[free])
    allowed = ROUNDING * max(before - problem.floor, 0.0) + 1e-6 * (problem.null - problem.floor) + 1e-12
    out = np.zeros_like(own)
    if free.sum() <= MOST_ROUNDED:
        out[free] = round_constants(own[free], bends / np.outer(units, units), loss_at, allowed)
        return out + 0.0
    for digits in range(2, 16):
        cut = np.array([float(f"{value:.{digits}g}") for value in own[free]])
        if loss_at(cut) <= before + allowed:
            break
    out[free] = cut
    return out + 0.0
