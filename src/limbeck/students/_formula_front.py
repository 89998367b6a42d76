"""From rows to a front of formulas: features, rows to fit and to choose on, the searches, the models.

Source
------
As `_formula`, whose estimators call this.

Cost
----
The search's budget, and a few refits on all rows for each member of the front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState, as_generator
from limbeck.readable import FormulaReadable
from limbeck.readable._formula import Range
from limbeck.students._fitting import TrainingRows
from limbeck.students._formula_choice import FormulaMember, build_front, joined
from limbeck.students._formula_classes import class_scores, class_weights
from limbeck.students._formula_features import build_features, feature_matrix
from limbeck.students._formula_judge import Judge, Part
from limbeck.students._formula_options import Options
from limbeck.students._formula_search import GUARD_ROWS, Task, find_formulas
from limbeck.students._formula_units import UnitCheck, unit_checks

__all__ = ["fit_formula"]

VALIDATION_SHARE = 0.25
LEAST_ROWS_TO_SPLIT = 40
SMOOTHING_OF_LABELS = 0.01
SMOOTHING_OF_PROBABILITIES = 0.001
LARGEST = 1e75


def fit_formula(
    rows: TrainingRows,
    *,
    max_complexity: int = 40,
    max_evaluations: int = 400_000,
    budget_s: float | None = None,
    operators: Sequence[str] | None = None,
    max_rows: int = 1_000,
    random_state: RandomState = None,
    n_jobs: int | None = None,
    restarts: int = 3,
    units: Mapping[str, str] | None = None,
    target_unit: str | Mapping[str, str] | None = None,
    constants_have_units: bool = True,
) -> tuple[tuple[FormulaMember, ...], FormulaMember]:
    """The front and the chosen member for these rows; the arguments are those of `FormulaRegressor`."""
    options = Options.of(max_complexity, max_evaluations, budget_s, operators, max_rows, restarts, n_jobs)
    rng, link = as_generator(random_state), _link(rows)
    scores = 1 if link == "logistic" else rows.n_outputs
    rows = rows.distinct()
    _refuse_extremes(rows)
    _refuse_crowding(scores, options.max_complexity)
    train, valid = _split(rows, rng)
    shuffled = _shuffled(rows, rng)
    features = build_features(rows.table.schema, train.values, train.targets, train.weights)
    targets = rows.output_names if rows.task == "regression" else ("score",) * scores
    checks = unit_checks(units, target_unit, constants_have_units, rows.table.schema, features, targets)
    X, guard = feature_matrix(features, train.values), feature_matrix(features, shuffled)
    costs = tuple(feature.symbols for feature in features)
    tasks, known = _tasks(train, X, guard, costs, options, checks), None
    if link == "softmax" and not _are_labels(train.targets):
        known = class_scores(train.targets, _columns(X), costs or (1,), options.operators)
        tasks = [_halved(task) for task in (*tasks, *_score_tasks(tasks, known, train))]
    fronts = find_formulas(tasks, [int(s) for s in rng.integers(2**31 - 1, size=len(tasks))], n_jobs)
    seen, unseen = _part(train, X), _part(valid, feature_matrix(features, valid.values))
    judge = Judge(seen, unseen, _columns(guard), _variances(train), link, costs or (1,), checks)
    blank = FormulaReadable(rows.table.schema, rows.task, rows.output_names, (sp.Float(0.0),) * scores, link)
    models = joined(judge, fronts[:scores], options.max_complexity)
    if known is not None:
        models += joined(replace(judge, scores=known), fronts[scores:], options.max_complexity)
    return build_front(judge, models, features, blank, _ranges(rows), options.max_complexity)


def _ranges(rows: TrainingRows) -> list[Range]:
    """Between which values the rows lie, for each column without levels."""
    schema, Z = rows.table.schema, rows.values
    return [None if schema.has_levels(j) else (float(Z[:, j].min()), float(Z[:, j].max())) for j in range(len(schema))]


def _refuse_extremes(rows: TrainingRows) -> None:
    """Numbers whose squares or products do not fit a float64 are the user's to rescale."""
    for name, values in (("X", rows.values), ("y", rows.targets)):
        most = float(np.abs(values).max())
        if most > LARGEST:
            raise InputError(f"formulas need numbers up to {LARGEST:g} in {name}; got {most:g}. Change the unit.")
    spread = np.ptp(rows.targets, axis=0)
    if ((spread > 0) & (spread < 1.0 / LARGEST)).any():
        raise InputError(
            f"formulas need differences in y above {1 / LARGEST:g}; got {spread.min():g}. Change the unit."
        )


def _refuse_crowding(scores: int, max_complexity: int) -> None:
    if max_complexity < scores:
        raise InputError(
            f"max_complexity counts the symbols of all {scores} formulas, one for each output or class; at least "
            f"{scores} are required, and about 15 for each to say anything; got {max_complexity}"
        )


def _link(rows: TrainingRows) -> Any:
    if rows.task == "regression":
        return "identity"
    return "logistic" if rows.n_outputs == 2 else "softmax"


def _split(rows: TrainingRows, rng: np.random.Generator) -> tuple[TrainingRows, TrainingRows]:
    """Training and validation rows; where there are few, all are both."""
    if len(rows) < LEAST_ROWS_TO_SPLIT:
        return rows, rows
    order = rng.permutation(len(rows))
    n = int(VALIDATION_SHARE * len(rows))
    return rows.take(np.sort(order[n:])), rows.take(np.sort(order[:n]))


def _shuffled(rows: TrainingRows, rng: np.random.Generator) -> np.ndarray:
    """Guard rows ``(n, d)``: every column drawn by itself, the extremes of each among them."""
    Z = rows.values
    drawn = np.column_stack([column[rng.integers(len(Z), size=GUARD_ROWS)] for column in Z.T])
    low, high = Z.min(axis=0), Z.max(axis=0)
    return np.vstack(
        [drawn, low, high, *(_one_extreme(drawn, j, end[j]) for j in range(Z.shape[1]) for end in (low, high))]
    )


def _one_extreme(rows: np.ndarray, j: int, value: float) -> np.ndarray:
    some = rows[(7 * j) % len(rows)].copy()
    some[j] = value
    return some


def _part(rows: TrainingRows, features: np.ndarray) -> Part:
    return Part(_columns(features), rows.targets, rows.weights / rows.weights.sum())


def _columns(features: np.ndarray) -> tuple[np.ndarray, ...]:
    columns = tuple(np.ascontiguousarray(column) for column in features.T)
    return columns or (np.zeros(len(features)),)


def _variances(rows: TrainingRows) -> np.ndarray:
    if rows.task == "classification":
        return np.ones(rows.n_outputs)
    w = rows.weights / rows.weights.sum()
    variances = w @ (rows.targets - w @ rows.targets) ** 2
    return np.where((np.ptp(rows.targets, axis=0) > 0) & (variances > 0), variances, 1.0)


def _are_labels(targets: np.ndarray) -> bool:
    return bool(np.isin(targets, (0.0, 1.0)).all())


def _tasks(
    rows: TrainingRows,
    X: np.ndarray,
    guard: np.ndarray,
    costs: tuple[int, ...],
    options: Options,
    checks: Sequence[UnitCheck] | None,
) -> list[Task]:
    """One search an output; the budgets are shared."""
    targets, classify = rows.targets, rows.task == "classification"
    if classify:
        share = SMOOTHING_OF_LABELS if _are_labels(targets) else SMOOTHING_OF_PROBABILITIES
        targets = (1.0 - share) * targets + share / rows.n_outputs
        targets = targets[:, 1:] if rows.n_outputs == 2 else targets
    k, most = targets.shape[1], options.max_complexity
    task = Task(
        X,
        costs,
        targets[:, 0],
        rows.weights,
        classify,
        guard,
        options.operators,
        most if k == 1 else min(most - k + 1, 10 + 2 * most // k),
        options.max_rows,
        options.max_evaluations / k,
        None if options.budget_s is None else 0.9 * options.budget_s / k,
        options.restarts,
    )
    return [
        replace(task, target=np.ascontiguousarray(target), units=None if checks is None else checks[output])
        for output, target in enumerate(targets.T)
    ]


def _score_tasks(tasks: Sequence[Task], known: np.ndarray, rows: TrainingRows) -> list[Task]:
    """The same searches for the classes' scores, in the place of their probabilities."""
    weights = rows.weights[:, None] * class_weights(rows.targets)
    return [
        replace(task, target=np.ascontiguousarray(score), weights=np.ascontiguousarray(weight), logistic=False)
        for task, score, weight in zip(tasks, known.T, weights.T, strict=True)
    ]


def _halved(task: Task) -> Task:
    seconds = None if task.seconds is None else task.seconds / 2.0
    return replace(task, evaluations=task.evaluations / 2.0, seconds=seconds)
