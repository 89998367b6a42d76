"""Formula students: symbolic regression on the teacher's answers, short, rounded, and chosen on rows not fitted.

Source
------
Burlacu2020 for the evolution (`_formula_evolution`); the local search that follows it (`_formula_growth`), the choice
(`_formula_choice`), units (`_formula_units`) and the digits of the constants (`_formula_rounding`) have their sources
in their files.

Departures
----------
- Length is what a person reads (`count_symbols`), with all scaling folded into the constants, not nodes of a tree.
- A classifier's formulas are searched for class by class: against the rest, and, of three classes or more, for the
  scores that the teacher's probabilities have (`_formula_classes`), half of the budget each. Their constants are then
  fitted together by the cross-entropy to those probabilities.
- Every formula is said as shortly as can be (`_formula_simplify`) before its constants are rounded, and after.
- Equal rows are merged, so a weight of 3 is a row that comes three times, and the order of rows does not matter.

Checked
-------
Planted formulas are found again, and hold outside their rows. On Concrete the fidelity to a network on held-out rows is
0.82 at 15 symbols, 0.85 at 20 and 0.87 at 40 (means of three seeds). Ten planted classes of 40 symbols are found
exactly.

Cost
----
The default budget takes about ten seconds on one core for 4,000 rows of 8 columns, and not much more for more rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from limbeck._core.estimator_input import encode_rows
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows
from limbeck.readable import FormulaReadable
from limbeck.students._fitting import StudentClassifier, StudentRegressor, read_classification, read_regression
from limbeck.students._formula_choice import FormulaMember
from limbeck.students._formula_front import fit_formula

__all__ = ["FormulaClassifier", "FormulaMember", "FormulaRegressor", "fit_formula"]

SECONDS_AN_EVALUATION = 2.5e-5


def _expected_seconds(student: FormulaRegressor | FormulaClassifier, n: int, d: int, k: int) -> float:
    if student.budget_s is not None:
        return float(student.budget_s)
    return 1.0 + SECONDS_AN_EVALUATION * student.max_evaluations * max(1.0, min(n, student.max_rows) / 1_000)


def _say_where_not_finite(student: FormulaRegressor | FormulaClassifier, X: Rows, outputs: np.ndarray) -> None:
    if not np.isfinite(outputs).all():
        Z = encode_rows(student, X, student.readable_.schema)
        student.readable_.warn_where_not_finite(Z, outputs.reshape(len(Z), -1))


def _front_frame(student: FormulaRegressor | FormulaClassifier) -> pd.DataFrame:
    check_is_fitted(student, "front_")
    return pd.DataFrame(
        {
            "complexity": [member.complexity for member in student.front_],
            "score": [member.score for member in student.front_],
            "bic": [member.bic for member in student.front_],
            "mdl": [member.mdl for member in student.front_],
            "chosen": [member.readable is student.readable_ for member in student.front_],
            "text": [member.readable.text() for member in student.front_],
        }
    )


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
    restarts : int
        From how many seeds and draws of the rows the search starts; they share the budget, so more are not slower.
    units : dict or None
        The units of columns by their names (``x0`` and so on for an array), such as ``{"mass": "kg", "speed": "m/s"}``;
        ``"1"`` is without unit. Then only formulas whose units agree are found. A column that is not named may have
        any.
    target_unit : str, dict or None
        The unit of the answers, or of each output by name. None: any.
    constants_have_units : bool
        Whether a constant of the formula may carry a unit, as most of physics' do; a coefficient of 1 carries none.

    Attributes
    ----------
    readable_ : FormulaReadable
        The shortest formula that is not clearly worse, on rows it was not fitted on, than the best. It keeps the
        ranges of the columns of ``fit``: ``readable_.outside(X)`` tells where it extrapolates.
    front_ : tuple of FormulaMember
        The formulas that no shorter one beats, the shortest first, each with `readable`, `complexity`, `score`
        (held-out fidelity: R2 on rows it was not fitted on), `bic` and `mdl` (description length in bits).

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).uniform(1, 5, size=(200, 3))
    >>> formula = FormulaRegressor(max_evaluations=4_000, random_state=0).fit(X, 2.5 * X[:, 0] / X[:, 1] - 4)
    >>> print(formula.readable_.text())
    prediction = 2.5*x0/x1 - 4
    """

    front_: tuple[FormulaMember, ...]
    readable_: FormulaReadable

    def __init__(
        self,
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
    ) -> None:
        self.max_complexity = max_complexity
        self.max_evaluations = max_evaluations
        self.budget_s = budget_s
        self.operators = operators
        self.max_rows = max_rows
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.restarts = restarts
        self.units = units
        self.target_unit = target_unit
        self.constants_have_units = constants_have_units

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

    def predict(self, X: Rows) -> np.ndarray:
        """The outputs ``(n,)``, or ``(n, k)`` where there are several; a warning says which rows have no finite value.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        outputs = super().predict(X)
        _say_where_not_finite(self, X, outputs)
        return outputs

    def front_frame(self) -> pd.DataFrame:
        """The front as a table: of each member complexity, score, bic, mdl, whether it was chosen, and text."""
        return _front_frame(self)

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
    restarts : int
        From how many seeds and draws of the rows the search starts; they share the budget, so more are not slower.
    units : dict or None
        The units of columns by their names (``x0`` and so on for an array), such as ``{"mass": "kg", "speed": "m/s"}``;
        ``"1"`` is without unit. Then only formulas whose units agree are found. A column that is not named may have
        any.
    constants_have_units : bool
        Whether a constant of the formula may carry a unit, as most of physics' do; a coefficient of 1 carries none.

    Attributes
    ----------
    readable_ : FormulaReadable
        The shortest formulas that are not clearly worse, on rows they were not fitted on, than the best. They keep the
        ranges of the columns of ``fit``: ``readable_.outside(X)`` tells where they extrapolate.
    front_ : tuple of FormulaMember
        The models that no shorter one beats, the shortest first, each with `readable`, `complexity`, `score`
        (held-out fidelity: minus the cross-entropy on rows it was not fitted on), `bic` and `mdl` (bits).
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
    readable_: FormulaReadable

    def __init__(
        self,
        max_complexity: int = 40,
        max_evaluations: int = 400_000,
        budget_s: float | None = None,
        operators: Sequence[str] | None = None,
        max_rows: int = 1_000,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        restarts: int = 3,
        units: Mapping[str, str] | None = None,
        constants_have_units: bool = True,
    ) -> None:
        self.max_complexity = max_complexity
        self.max_evaluations = max_evaluations
        self.budget_s = budget_s
        self.operators = operators
        self.max_rows = max_rows
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.restarts = restarts
        self.units = units
        self.constants_have_units = constants_have_units

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

    def predict_proba(self, X: Rows) -> np.ndarray:
        """The probability of each class, ``(n, k)``; a warning says which rows have no finite value.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        outputs = super().predict_proba(X)
        _say_where_not_finite(self, X, outputs)
        return outputs

    def front_frame(self) -> pd.DataFrame:
        """The front as a table: of each member complexity, score, bic, mdl, whether it was chosen, and text."""
        return _front_frame(self)

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(self, n, d, k)
