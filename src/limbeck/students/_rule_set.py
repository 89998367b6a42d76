"""Rule sets: a score to which every rule that holds adds its weight, few rules, short weights.

Source
------
Friedman2008: rules from boosted trees, and columns held between two bounds, chosen by a lasso.

Departures
----------
- Friedman2008 keeps the lasso's shrunken weights. Here it only takes up candidates; they are thinned out one by one,
  their conditions moved to where the whole set is best, and their weights fitted again without shrinkage.
- Scores are log-odds: the probability of two classes is the logistic function of the score (a public implementation
  takes that of twice a probability), of more the softmax; what is fitted is the cross-entropy to the teacher's
  probabilities.

Checked
-------
Planted sets are found; probabilities are calibrated where the truth is logistic.

Cost
----
Candidates and lasso on at most `ROWS` rows; each set on the path is tuned on all. 10,000 rows of 20 columns take some
seconds.
"""

from __future__ import annotations

from typing import Any

from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows
from limbeck.students._fitting import read_classification, read_regression
from limbeck.students._predicting import StudentClassifier, StudentRegressor
from limbeck.students._rule_list import RuleMember, chosen
from limbeck.students._rule_set_fit import fit_rule_set

__all__ = ["RuleSetClassifier", "RuleSetRegressor"]


def _expected_seconds(n: int, d: int, k: int, max_rules: int) -> float:
    """About how long a fit takes on one core."""
    return 1.0 + 0.002 * d * k + 4e-7 * n * max_rules**2 * (1 + k)


class RuleSetRegressor(StudentRegressor):
    """A few weighted rules, and columns with a weight, that add up to each target.

    Parameters
    ----------
    max_rules : int
        The most rules and linear terms together.
    max_conditions : int
        The most conditions of a rule; an interval of numbers or a set of levels is one.
    linear : bool
        Whether numeric columns, held between their 2.5 % and 97.5 % quantiles, may have a weight themselves.
    min_samples_rule : float
        The least weight of the rows that meet a rule, and of those that don't (their number, where no weights are
        given); below 1, a share of all weight.
    min_gain : float
        What each symbol that a person reads must be worth: the share of the targets' variance that it explains.
    random_state : int, Generator or None
        Which rows the trees work on that rules are taken from.

    Attributes
    ----------
    readable_ : RuleSetReadable
    front_ : tuple of RuleMember
        Shorter sets, the shortest first, each with `readable`, `complexity` and `score`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).uniform(size=(400, 3))
    >>> y = 2 + 3 * (X[:, 0] > 0.5) - 4 * ((X[:, 1] > 0.25) & (X[:, 1] <= 0.75))
    >>> print(RuleSetRegressor(random_state=0).fit(X, y).readable_.text())
    prediction = 5
      - 3  if x0 <= 0.5   [187 rows]
      - 4  if 0.25 < x1 <= 0.75   [202 rows]
    """

    front_: tuple[RuleMember, ...]

    def __init__(
        self,
        max_rules: int = 12,
        max_conditions: int = 3,
        linear: bool = True,
        min_samples_rule: float = 5,
        min_gain: float = 5e-4,
        random_state: RandomState = None,
    ) -> None:
        self.max_rules = max_rules
        self.max_conditions = max_conditions
        self.linear = linear
        self.min_samples_rule = min_samples_rule
        self.min_gain = min_gain
        self.random_state = random_state

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> RuleSetRegressor:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`.
        y : array ``(n,)`` or ``(n, k)``
            The teacher's values; with several outputs one set of rules predicts them all.
        sample_weight : array ``(n,)``, optional
        y_soft, classes
            For classifiers only: refused.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        self.front_ = fit_rule_set(rows, **self.get_params())
        self.readable_ = chosen(self.front_, self.min_gain).readable
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self.max_rules)


class RuleSetClassifier(StudentClassifier):
    """A few weighted rules, and columns with a weight, that add up to log-odds of the classes.

    Parameters
    ----------
    max_rules : int
        The most rules and linear terms together.
    max_conditions : int
        The most conditions of a rule; an interval of numbers or a set of levels is one.
    linear : bool
        Whether numeric columns, held between their 2.5 % and 97.5 % quantiles, may have a weight themselves.
    min_samples_rule : float
        The least weight of the rows that meet a rule, and of those that don't (their number, where no weights are
        given); below 1, a share of all weight.
    min_gain : float
        What each symbol that a person reads must be worth: the share of the deviance that it explains.
    random_state : int, Generator or None
        Which rows the trees work on that rules are taken from.

    Attributes
    ----------
    readable_ : RuleSetReadable
    front_ : tuple of RuleMember
        Shorter sets, the shortest first, each with `readable`, `complexity` and `score`.
    classes_ : array ``(k,)``

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).uniform(size=(400, 3))
    >>> p = 1 / (1 + np.exp(1 - 3 * (X[:, 0] > 0.5)))
    >>> student = RuleSetClassifier(random_state=0)
    >>> print(student.fit(X, None, y_soft=np.column_stack([1 - p, p]), classes=["no", "yes"]).readable_.text())
    score = 1.995
      - 2.992  if x0 <= 0.5   [187 rows]
    P(yes) = 1 / (1 + exp(-score))
    """

    front_: tuple[RuleMember, ...]

    def __init__(
        self,
        max_rules: int = 12,
        max_conditions: int = 3,
        linear: bool = True,
        min_samples_rule: float = 5,
        min_gain: float = 5e-4,
        random_state: RandomState = None,
    ) -> None:
        self.max_rules = max_rules
        self.max_conditions = max_conditions
        self.linear = linear
        self.min_samples_rule = min_samples_rule
        self.min_gain = min_gain
        self.random_state = random_state

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> RuleSetClassifier:
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
        self.front_ = fit_rule_set(rows, **self.get_params())
        self.readable_ = chosen(self.front_, self.min_gain).readable
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self.max_rules)
