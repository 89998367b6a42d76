"""Formula students: symbolic regression on the teacher's answers, short, rounded, and chosen on rows not fitted.

Source
------
Burlacu2020 for the evolution (`_formula_evolution`); the local search that follows it (`_formula_growth`), the choice
(`_formula_choice`) and the digits of the constants (`_formula_rounding`) have their sources in their files.

Departures
----------
- Length is what a person reads (`count_symbols`), with all scaling folded into the constants, not nodes of a tree.
- A classifier's formulas are searched for class by class against the rest, and their constants then fitted together by
  the cross-entropy to the teacher's probabilities.
- Equal rows are merged, so a weight of 3 is a row that comes three times, and the order of rows does not matter.

Checked
-------
Planted formulas are found again, and hold outside their rows. On Concrete the fidelity to a network on held-out rows is
0.82 at 15 symbols, 0.85 at 20 and 0.87 at 40 (means of three seeds).

Cost
----
The default budget takes about ten seconds on one core for 4,000 rows of 8 columns, and not much more for more rows.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.seeds import RandomState, as_generator
from limbeck._core.tables import Rows
from limbeck.readable import FormulaReadable
from limbeck.students._fitting import (
    StudentClassifier,
    StudentRegressor,
    TrainingRows,
    read_classification,
    read_regression,
)
from limbeck.students._formula_choice import FormulaMember, Judge, Part, build_front, joined
from limbeck.students._formula_features import build_features, feature_matrix
from limbeck.students._formula_search import DEFAULT_OPERATORS, GUARD_ROWS, OPERATORS, Task, find_formulas

__all__ = ["FormulaClassifier", "FormulaMember", "FormulaRegressor", "fit_formula"]

VALIDATION_SHARE = 0.25
LEAST_ROWS_TO_SPLIT = 40
SMOOTHING_OF_LABELS = 0.01
SMOOTHING_OF_PROBABILITIES = 0.001
SECONDS_AN_EVALUATION = 2.5e-5
LARGEST = 1e75


@dataclass(frozen=True)
class _Options:
    max_complexity: int
    max_evaluations: int
    budget_s: float | None
    operators: frozenset[str]
    max_rows: int
    n_jobs: int | None


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
) -> tuple[tuple[FormulaMember, ...], FormulaMember]:
    """The front and the chosen member for these rows; the arguments are those of `FormulaRegressor`."""
    options = _Options(
        _whole("max_complexity", max_complexity, 1),
        _whole("max_evaluations", max_evaluations, 1),
        _seconds(budget_s),
        _operators(operators),
        _whole("max_rows", max_rows, 2),
        n_jobs,
    )
    rng, link = as_generator(random_state), _link(rows)
    scores = 1 if link == "logistic" else rows.n_outputs
    rows = rows.distinct()
    _refuse_extremes(rows)
    _refuse_crowding(scores, options.max_complexity)
    train, valid = _split(rows, rng)
    shuffled = _shuffled(rows, rng)
    features = build_features(rows.table.schema, train.values, train.targets, train.weights)
    X, guard = feature_matrix(features, train.values), feature_matrix(features, shuffled)
    costs = tuple(feature.symbols for feature in features)
    tasks = _tasks(train, X, guard, costs, options)
    fronts = find_formulas(tasks, [int(s) for s in rng.integers(2**31 - 1, size=len(tasks))], n_jobs)
    seen, unseen = _part(train, X), _part(valid, feature_matrix(features, valid.values))
    judge = Judge(seen, unseen, _columns(guard), _variances(train), link, costs or (1,))
    blank = FormulaReadable(rows.table.schema, rows.task, rows.output_names, (sp.Float(0.0),) * scores, link)
    return build_front(judge, joined(judge, fronts, options.max_complexity), features, blank, options.max_complexity)


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


def _tasks(
    rows: TrainingRows, X: np.ndarray, guard: np.ndarray, costs: tuple[int, ...], options: _Options
) -> list[Task]:
    """One search an output; the budgets are shared."""
    targets, classify = rows.targets, rows.task == "classification"
    if classify:
        labels = bool(np.isin(targets, (0.0, 1.0)).all())
        share = SMOOTHING_OF_LABELS if labels else SMOOTHING_OF_PROBABILITIES
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
    )
    return [replace(task, target=np.ascontiguousarray(target)) for target in targets.T]


def _whole(name: str, value: Any, least: int) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or int(value) < least:
        raise InputError(f"{name} must be a whole number of at least {least}; got {value!r:.60}")
    return int(value)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0.0 < float(value) < np.inf:
        raise InputError(f"budget_s must be a number of seconds above 0, or None; got {value!r:.60}")
    return float(value)


def _operators(names: Any) -> frozenset[str]:
    if names is None:
        return frozenset(DEFAULT_OPERATORS)
    if isinstance(names, str) or not isinstance(names, Sequence | set | frozenset):
        raise InputError(f"operators must be a list of names out of {list(OPERATORS)}; got {names!r:.80}")
    for name in names:
        if name not in OPERATORS:
            raise InputError(
                f"operators must be out of {list(OPERATORS)}; got {name!r:.60}.{did_you_mean(str(name), OPERATORS)}"
            )
    return frozenset(names)


def _expected_seconds(student: FormulaRegressor | FormulaClassifier, n: int, d: int, k: int) -> float:
    if student.budget_s is not None:
        return float(student.budget_s)
    return 1.0 + SECONDS_AN_EVALUATION * student.max_evaluations * max(1.0, min(n, student.max_rows) / 1_000)


class FormulaRegressor(StudentRegressor):
    """A short formula for each output: found by evolution and local search, its constants rounded.

    Parameters
    ----------
    max_complexity : int
        The most symbols that a person reads, over all outputs: operators, functions, constants, columns.
    max_evaluations : int
        The budget of the search. With it, a seed fixes the answer.
    budget_s : float or None
        The budget in seconds, in the place of `max_evaluations`. A seed then does **not** fix the answer: a faster
        machine looks further.
    operators : list of str or None
        Out of add, sub, mul, div, sqrt, square, log, exp, tanh, sin, cos, abs. By default, those up to tanh but square,
        which is written as a product. ``add``, ``sub`` and ``mul`` are always there.
    max_rows : int
        On how many rows, drawn by weight, the search works; constants are fitted on all.
    random_state : int, Generator or None
    n_jobs : int or None
        In how many processes; the answer is the same.

    Attributes
    ----------
    readable_ : FormulaReadable
        The shortest formula that is not clearly worse, on rows it was not fitted on, than the best.
    front_ : tuple of FormulaMember
        The formulas that no shorter one beats, the shortest first, each with `readable`, `complexity`, `score` (R2 on
        rows it was not fitted on) and `bic`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).uniform(1, 5, size=(200, 3))
    >>> formula = FormulaRegressor(max_evaluations=4_000, random_state=0).fit(X, 2.5 * X[:, 0] / X[:, 1] - 4)
    >>> print(formula.readable_.text())
    prediction = 2.5*x0/x1 - 4
    """

    front_: tuple[FormulaMember, ...]

    def __init__(
        self,
        max_complexity: int = 40,
        max_evaluations: int = 400_000,
        budget_s: float | None = None,
        operators: Sequence[str] | None = None,
        max_rows: int = 1_000,
        random_state: RandomState = None,
        n_jobs: int | None = None,
    ) -> None:
        self.max_complexity = max_complexity
        self.max_evaluations = max_evaluations
        self.budget_s = budget_s
        self.operators = operators
        self.max_rows = max_rows
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> FormulaRegressor:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`.
        y : array ``(n,)`` or ``(n, k)``
            The teacher's answers; the columns of a frame name the outputs.
        sample_weight : array ``(n,)``, optional
        y_soft, classes : None
            For classifiers.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        self.front_, chosen = fit_formula(rows, **self.get_params())
        self.readable_ = chosen.readable
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(self, n, d, k)


class FormulaClassifier(StudentClassifier):
    """A short formula for the score of each class, or one for two classes: fitted to the teacher's probabilities.

    Of two classes, the logistic of one formula is the probability of the second; of more, the softmax of one formula a
    class.

    Parameters
    ----------
    max_complexity : int
        The most symbols that a person reads, over all classes: operators, functions, constants, columns.
    max_evaluations : int
        The budget of the search. With it, a seed fixes the answer.
    budget_s : float or None
        The budget in seconds, in the place of `max_evaluations`. A seed then does **not** fix the answer: a faster
        machine looks further.
    operators : list of str or None
        Out of add, sub, mul, div, sqrt, square, log, exp, tanh, sin, cos, abs. By default, those up to tanh but square,
        which is written as a product. ``add``, ``sub`` and ``mul`` are always there.
    max_rows : int
        On how many rows, drawn by weight, the search works; constants are fitted on all.
    random_state : int, Generator or None
    n_jobs : int or None
        In how many processes; the answer is the same.

    Attributes
    ----------
    readable_ : FormulaReadable
        The shortest formulas that are not clearly worse, on rows they were not fitted on, than the best.
    front_ : tuple of FormulaMember
        The models that no shorter one beats, the shortest first, each with `readable`, `complexity`, `score` (minus
        the cross-entropy on rows it was not fitted on) and `bic`.
    classes_ : array ``(k,)``

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).uniform(0, 4, size=(400, 2))
    >>> p = 1 / (1 + np.exp(6 - 2 * X[:, 0] * X[:, 1]))
    >>> soft = np.column_stack([1 - p, p])
    >>> formula = FormulaClassifier(max_evaluations=4_000, random_state=0)
    >>> print(formula.fit(X, None, y_soft=soft, classes=["no", "yes"]).readable_.text())
    score = 2*x0*x1 - 6
    P(yes) = 1 / (1 + exp(-score))
    """

    front_: tuple[FormulaMember, ...]

    def __init__(
        self,
        max_complexity: int = 40,
        max_evaluations: int = 400_000,
        budget_s: float | None = None,
        operators: Sequence[str] | None = None,
        max_rows: int = 1_000,
        random_state: RandomState = None,
        n_jobs: int | None = None,
    ) -> None:
        self.max_complexity = max_complexity
        self.max_evaluations = max_evaluations
        self.budget_s = budget_s
        self.operators = operators
        self.max_rows = max_rows
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> FormulaClassifier:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`.
        y : array ``(n,)`` or None
            Labels; None where `y_soft` and `classes` say all.
        sample_weight : array ``(n,)``, optional
        y_soft : array ``(n, k)``, optional
            The teacher's probabilities: then these are fitted.
        classes : array ``(k,)``, optional
            All labels, in the order of the columns of `y_soft`.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_classification(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        self.front_, chosen = fit_formula(rows, **self.get_params())
        self.readable_ = chosen.readable
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(self, n, d, k)
