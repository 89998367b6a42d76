"""Rule lists: ordered rules of few conditions, each the best for the whole list, written short.

Source
------
Rivest1987 for decision lists; Letham2015 for lists with probabilities, priced by their length. The search is our own
(`_rule_search`).

Departures
----------
- Letham2015 samples lists over mined binary conditions; here rules are grown by beam search on the squared error of
  probabilities or values, over intervals of numbers and sets of levels, and the whole list is searched on.
- Values are the means of the rows that reach a rule and meet it; every class has a probability in each.
- No estimator of another library is built on: of those with rule lists, some drop classes without a word, take no
  probabilities, and fail scikit-learn's checks.

Checked
-------
Planted lists of three rules over mixed columns are found; simplifying changes no answer; at least as good as sequential
covering.

Cost
----
The search works on at most `ROWS` rows; each list found is tuned on all. 10,000 rows of 20 columns take some seconds.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows
from limbeck.readable import Condition, Rule, RuleListReadable
from limbeck.readable._rule_conditions import holds
from limbeck.students._fitting import TrainingRows, read_classification, read_regression
from limbeck.students._predicting import StudentClassifier, StudentRegressor
from limbeck.students._rule_grid import Grid, coarse_grid, fine_grid
from limbeck.students._rule_search import ROWS, Draft, grown_list, tuned_list
from limbeck.students._rule_simplify import simplified
from limbeck.students._rule_writing import ListJudge, fine_draft, written_conditions
from limbeck.students._tree import EXACT, rounded_probabilities
from limbeck.students._tree_growth import Material, deviations, prepared

__all__ = ["RuleListClassifier", "RuleListRegressor", "RuleMember", "fit_rule_list"]


@dataclass(frozen=True)
class RuleMember:
    """A rule list or rule set of the front.

    Attributes
    ----------
    readable : RuleListReadable or RuleSetReadable
    complexity : int
        Its symbols.
    score : float
        The share of the variance of the targets, or of the probabilities, that it explains on the rows it was fitted
        on.
    """

    readable: Any
    complexity: int
    score: float


def fit_rule_list(
    rows: TrainingRows,
    *,
    max_rules: int = 12,
    max_conditions: int = 3,
    min_samples_rule: float = 5,
    min_gain: float = 3e-4,
    random_state: RandomState = None,
) -> tuple[RuleMember, ...]:
    """Rule lists for these rows, of one rule more each; the arguments are those of `RuleListRegressor`."""
    check_arguments(max_rules, max_conditions, min_samples_rule, min_gain)
    rows = rows.distinct()
    least = least_weight(rows, min_samples_rule)
    regression = rows.task == "regression"
    material = prepared(rows.table.schema, rows.values, rows.targets, rows.weights, scale=regression, min_leaf=least)
    if material.spread <= 0:
        return (_member(rows, material, [], np.zeros(len(rows), dtype=np.int64)),)
    value_symbols = rows.n_outputs if regression else 1
    coarse, starts = coarse_grid(material, min_gain * material.spread, value_symbols)
    few = coarse.take(sampled(len(rows), draw_seeds(random_state, 1)[0]))
    path = grown_list(few, max_rules, max_conditions)
    fine = fine_grid(material, min_gain * material.spread, value_symbols)
    members = [_written(rows, material, fine, tuned_list(fine, fine_draft(draft, starts))) for draft in path]
    return front_of(members)


def check_arguments(max_rules: Any, max_conditions: Any, min_samples_rule: Any, min_gain: Any) -> None:
    """Refuse arguments out of range."""
    for name, value in (("max_rules", max_rules), ("max_conditions", max_conditions)):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or int(value) < 1:
            raise InputError(f"{name} must be a whole number of at least 1; got {value!r:.60}")
    least = float(min_samples_rule) if isinstance(min_samples_rule, numbers.Real) else math.nan
    if not (0 < least <= 0.5 or 1 <= least < math.inf):
        raise InputError(f"min_samples_rule must be at least 1, or a share in (0, 0.5]; got {min_samples_rule!r:.60}")
    if not isinstance(min_gain, numbers.Real) or not 0 <= float(min_gain) < 1:
        raise InputError(f"min_gain must be a share in [0, 1); got {min_gain!r:.60}")


def least_weight(rows: TrainingRows, min_samples_rule: float) -> float:
    """The least weight of a rule."""
    total = float(rows.weights.sum())
    least = min_samples_rule * total if min_samples_rule < 1 else float(min_samples_rule)
    if len(rows) >= 2 * least > total:
        raise InputError(
            f"weights count as rows: they sum to {total:g}, less than two rules need where min_samples_rule is "
            f"{min_samples_rule}. Scale them to a mean of 1, or give min_samples_rule as a share below 1."
        )
    return least


def sampled(n: int, seed: int) -> np.ndarray:
    """The rows that the search works on."""
    return np.arange(n) if n <= ROWS else np.sort(np.random.default_rng(seed).choice(n, ROWS, replace=False))


def _written(rows: TrainingRows, material: Material, fine: Grid, draft: Draft) -> RuleMember:
    """The list as a person reads it, with its values."""
    conditions, _ = written_conditions(material, fine, draft, ListJudge(fine), material.spread)
    place = np.full(len(rows), len(conditions))
    for i in range(len(conditions) - 1, -1, -1):
        place[holds(conditions[i], rows.values)] = i
    return _member(rows, material, conditions, place)


def _member(
    rows: TrainingRows, material: Material, conditions: list[tuple[Condition, ...]], place: np.ndarray
) -> RuleMember:
    """Values for the rows of each rule; rules without rows go; what need not be said is not said."""
    regression = rows.task == "regression"
    spreads = deviations(rows.targets, rows.weights)
    places = [math.ceil(-math.log10(2e-3 * spread)) if spread > 0 else EXACT for spread in spreads]
    rules, lost = [], 0.0
    for i, met in enumerate([*conditions, ()]):
        here = place == i
        weights = rows.weights[here]
        if not len(weights):
            continue
        mean = weights @ rows.targets[here] / weights.sum()
        value = _short(mean, places) if regression else rounded_probabilities(mean)
        goal = material.goal[here]
        lost += float(weights @ ((goal - weights @ goal / weights.sum()) ** 2).sum(axis=1))
        rules.append(Rule(tuple(met), value, float(weights.sum())))
    if rules[-1].conditions:
        rules[-1] = replace(rules[-1], conditions=())
    schema = rows.table.schema
    readable = RuleListReadable(schema, rows.task, rows.output_names, simplified(rules, schema))
    return RuleMember(readable, readable.complexity, 1.0 - lost / material.spread if material.spread > 0 else 1.0)


def _short(mean: np.ndarray, places: list[int]) -> tuple[float, ...]:
    return tuple(round(float(value), digits) + 0.0 for value, digits in zip(mean, places, strict=True))


def front_of(members: list[RuleMember]) -> tuple[RuleMember, ...]:
    """The members that no shorter one beats, the shortest first."""
    front: list[RuleMember] = []
    for member in sorted(members, key=lambda m: (m.complexity, -m.score)):
        if not front or member.score > front[-1].score:
            front.append(member)
    return tuple(front)


def chosen(front: tuple[RuleMember, ...], min_gain: float) -> RuleMember:
    """The member whose symbols are worth most."""
    return max(front, key=lambda member: member.score - min_gain * member.complexity)


def _expected_seconds(n: int, d: int, k: int, max_rules: int) -> float:
    """About how long a fit takes on one core."""
    few = min(n, ROWS)
    return 0.02 * max_rules**2 * (0.2 + few * d * (2 + min(k, 4)) / 3e5) + 1e-7 * n * max_rules**2 * (2 + k)


class RuleListRegressor(StudentRegressor):
    """An ordered list of rules of few conditions, "if ... else if ... else", with a value for each.

    Parameters
    ----------
    max_rules : int
        The most rules, not counting the last, which has no conditions.
    max_conditions : int
        The most conditions of a rule; an interval of numbers or a set of levels is one.
    min_samples_rule : float
        The least weight of the rows that a rule decides (their number, where no weights are given); below 1, a share of
        all weight.
    min_gain : float
        What each symbol that a person reads must be worth: the share of the targets' variance that it explains.
    random_state : int, Generator or None
        Which rows the search works on where there are many.

    Attributes
    ----------
    readable_ : RuleListReadable
    front_ : tuple of RuleMember
        Shorter lists, the shortest first, each with `readable`, `complexity` and `score`.

    Examples
    --------
    >>> X = np.array([[1.0], [2.0], [3.0], [4.0]] * 10)
    >>> y = np.where((X[:, 0] > 1.5) & (X[:, 0] < 3.5), 7.0, 1.0)
    >>> print(RuleListRegressor(random_state=0).fit(X, y).readable_.text())
    if 1.5 < x0 <= 3.5:  prediction = 7   [20 rows]
    else:                prediction = 1   [20 rows]
    """

    front_: tuple[RuleMember, ...]

    def __init__(
        self,
        max_rules: int = 12,
        max_conditions: int = 3,
        min_samples_rule: float = 5,
        min_gain: float = 3e-4,
        random_state: RandomState = None,
    ) -> None:
        self.max_rules = max_rules
        self.max_conditions = max_conditions
        self.min_samples_rule = min_samples_rule
        self.min_gain = min_gain
        self.random_state = random_state

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> RuleListRegressor:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`.
        y : array ``(n,)`` or ``(n, k)``
            The teacher's values; with several outputs one list predicts them all.
        sample_weight : array ``(n,)``, optional
        y_soft, classes
            For classifiers only: refused.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        self.front_ = fit_rule_list(rows, **self.get_params())
        self.readable_ = chosen(self.front_, self.min_gain).readable
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self.max_rules)


class RuleListClassifier(StudentClassifier):
    """An ordered list of rules of few conditions, "if ... else if ... else", each with a probability for every class.

    Parameters
    ----------
    max_rules : int
        The most rules, not counting the last, which has no conditions.
    max_conditions : int
        The most conditions of a rule; an interval of numbers or a set of levels is one.
    min_samples_rule : float
        The least weight of the rows that a rule decides (their number, where no weights are given); below 1, a share of
        all weight.
    min_gain : float
        What each symbol that a person reads must be worth: the share of the probabilities' variance that it explains.
    random_state : int, Generator or None
        Which rows the search works on where there are many.

    Attributes
    ----------
    readable_ : RuleListReadable
    front_ : tuple of RuleMember
        Shorter lists, the shortest first, each with `readable`, `complexity` and `score`.
    classes_ : array ``(k,)``

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"job": ["clerk", "nurse", "pilot", "baker"] * 10, "age": [20, 30, 40, 50, 60] * 8})
    >>> y = np.where(X["job"].isin(["nurse", "pilot"]) & (X["age"] > 35), "yes", "no")
    >>> print(RuleListClassifier(random_state=0).fit(X, y).readable_.text())
    if job in {'nurse', 'pilot'} and age > 35:  yes (100%)   [12 rows]
    else:                                       no (100%)   [28 rows]
    """

    front_: tuple[RuleMember, ...]

    def __init__(
        self,
        max_rules: int = 12,
        max_conditions: int = 3,
        min_samples_rule: float = 5,
        min_gain: float = 3e-4,
        random_state: RandomState = None,
    ) -> None:
        self.max_rules = max_rules
        self.max_conditions = max_conditions
        self.min_samples_rule = min_samples_rule
        self.min_gain = min_gain
        self.random_state = random_state

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> RuleListClassifier:
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
        self.front_ = fit_rule_list(rows, **self.get_params())
        self.readable_ = chosen(self.front_, self.min_gain).readable
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self.max_rules)
