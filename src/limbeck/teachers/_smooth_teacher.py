"""Smooth teachers: the default network, trained with a penalty on its slope, so that there is less to explain.

Source
------
Dhar2025 (a Jacobian or a Lipschitz penalty before a formula is distilled; only the abstract could be read). The
penalties: Drucker1992, Hoffman2019, Yoshida2017.

Symbols
-------
lambda -> `strength`. Jacobian: loss + lambda mean_i ||df/dx (x_i)||_F^2. Lipschitz: loss + lambda sum_l log sigma_l.
Inputs are standardised, and targets in regression; in classification f gives the scores before the softmax.

Departures
----------
- One forward pass serves the loss and the penalty; up to two outputs are exact, more take one random projection a step.
- Training stops by the loss on validation rows without the penalty, as that of the default network does.
- A level of a nominal column is an input like another, 0 or 1 standardised.

Checked
-------
tests/unit/test_smooth_teacher.py: scikit-learn's estimator checks, the same network as `train_default` without a
penalty. tests/truth/test_smooth_teacher_truth.py: steeper where the penalty is weaker; the planted best strength is
found.

Cost
----
That of the default network for each strength, times about 2.1 with the Jacobian and 1.4 with the Lipschitz penalty
(benchmarks/penalties.py); less with a `penalty_share` below 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from limbeck._core.errors import InputError
from limbeck._core.estimator_input import encode_rows, read_labels, read_rows, same_length
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows, Schema, Table
from limbeck._core.targets import read_target
from limbeck.teachers._smooth_parameters import read_parameters
from limbeck.teachers._smooth_selection import Selection, SelectionRows, by_student, choose
from limbeck.training._default_teacher import (
    DefaultClassifier,
    DefaultRegressor,
    fit_network,
    log_scales,
    one_hot_and_logs,
    read_targets,
)

if TYPE_CHECKING:
    from limbeck.training._smoothness import Smoothness

__all__ = ["SmoothTeacher", "SmoothTeacherClassifier"]

MIN_ROWS = 5
EXACT_OUTPUTS = 2
MEASURED_ROWS = 500


class _Smooth(BaseEstimator):
    """What both share: parameters, the networks, the choice among them, how smooth the one that is taken is."""

    takes_table = True
    """Read by `limbeck.teachers`: rows may come as a `Table`, with nothing decoded."""

    schema_: Schema
    network_: Any
    strength_: float
    selection_: Selection
    smoothness_: Smoothness

    def __init__(
        self,
        penalty: Literal["none", "jacobian", "lipschitz"] = "jacobian",
        strength: float | Sequence[float] | Literal["auto"] = 0.01,
        *,
        select_by: Literal["teacher", "student"] = "teacher",
        student: Any = None,
        penalty_share: float = 1.0,
        hidden: Sequence[int] = (128, 128),
        max_epochs: int | None = None,
        validation: float = 0.2,
        random_state: RandomState = None,
        progress: Progress = False,
    ) -> None:
        self.penalty = penalty
        self.strength = strength
        self.select_by = select_by
        self.student = student
        self.penalty_share = penalty_share
        self.hidden = hidden
        self.max_epochs = max_epochs
        self.validation = validation
        self.random_state = random_state
        self.progress = progress

    def _fit(self, table: Table, target: np.ndarray, truth: np.ndarray, held: Any, labels: tuple[Any, ...]) -> None:
        """Trains a network for each strength and keeps the best; `target` ``(n, k)``; `held` as `_held` gives it."""
        strengths = read_parameters(self)
        if len(table) < MIN_ROWS:
            raise InputError(f"at least {MIN_ROWS} rows are required to train a network; got n_samples = {len(table)}")
        seed = draw_seeds(self.random_state, 1)[0]
        logs = log_scales(table.schema, table.values)
        if held is None:
            table, target, held = self._split(table, target, truth, seed)
        if len(strengths) > 1 and held is None:
            raise InputError("several strengths need validation rows to choose by; give more rows, or one strength")
        self.schema_ = table.schema
        with reporting(self.progress) as report:
            networks, losses = self._train(strengths, (table, target), held, logs, labels, seed, report)
            self._choose(strengths, networks, losses, (table, held), seed)
            self._measure(table, target)
            report(f"smooth teacher: {self.summary()}", 0, 0)

    def _split(self, table: Table, target: np.ndarray, truth: np.ndarray, seed: int) -> tuple[Table, np.ndarray, Any]:
        """The rows to train on and those to choose by, split as the default network splits them."""
        size = round(len(table) * float(self.validation))
        if size < 1:
            return table, target, None
        order = np.random.default_rng(seed).permutation(len(table))
        chosen, rest = order[:size], order[size:]
        return table.take(rest), target[rest], (table.take(chosen), target[chosen], truth[chosen])

    def _train(
        self,
        strengths: Sequence[float],
        rows: tuple[Table, np.ndarray],
        held: Any,
        logs: tuple[float, ...],
        labels: tuple[Any, ...],
        seed: int,
        report: Report,
    ) -> tuple[list[Any], list[float]]:
        """A network for each strength, and its loss on the validation rows."""
        from limbeck.training._penalised import penalised

        table, target = rows
        validation = None if held is None else (one_hot_and_logs(table.schema, held[0].values, logs), held[1])
        networks, losses = [], []
        for strength in strengths:
            add = penalised(
                self.penalty,
                strength,
                share=float(self.penalty_share),
                n_projections=None if target.shape[1] <= EXACT_OUTPUTS else 1,
                seed=seed,
            )
            weights = fit_network(
                one_hot_and_logs(table.schema, table.values, logs),
                target,
                "classification" if labels else "regression",
                seed,
                validation=validation,
                hidden=[int(width) for width in self.hidden],
                max_epochs=self.max_epochs,
                penalty=add,
                progress=report,
            )
            losses.append(weights.history[weights.best_epoch][1])
            parts = (table.schema, logs, weights)
            networks.append(DefaultClassifier(*parts, labels) if labels else DefaultRegressor(*parts))
        return networks, losses

    def _choose(
        self, strengths: Sequence[float], networks: list[Any], losses: list[float], rows: tuple[Table, Any], seed: int
    ) -> None:
        table, held = rows
        classify = isinstance(networks[0], DefaultClassifier)
        metric = "cross-entropy" if classify else "mean squared error, standardised"
        rule, scores, failures = ("teacher" if len(strengths) > 1 else "given"), losses, []  # type: Any, list[float], Any
        best = choose(strengths, losses, largest=False)
        if len(strengths) > 1 and self.select_by == "student":
            rule, metric = "student", "accuracy" if classify else "R2"
            scores, failures = by_student(
                self.student, networks, strengths, SelectionRows(table, held[0], held[2]), seed
            )
            best = choose(strengths, scores, largest=True)
        self.network_, self.strength_ = networks[best], strengths[best]
        pairs = tuple(zip(strengths, scores, strict=True))
        n = 0 if held is None else len(held[0])
        self.selection_ = Selection(rule, metric, pairs, self.strength_, n, tuple(failures))

    def _measure(self, table: Table, target: np.ndarray) -> None:
        """How smooth the network is, on standardised inputs and outputs."""
        import torch

        from limbeck.training._smoothness import smoothness

        module, weights = self.network_.module(), self.network_.network
        linear = [layer for layer in module if isinstance(layer, torch.nn.Linear)]
        scale = np.asarray(target.std(axis=0)) if weights.task == "regression" else np.ones(target.shape[1])
        varies = scale > 1e-12 * np.maximum(1.0, np.abs(target.mean(axis=0)))
        units = torch.tensor(np.where(varies, scale, 1.0))
        with torch.no_grad():
            linear[0].weight.mul_(torch.tensor(weights.input_scales))
            linear[-1].weight.div_(units[:, None])
            linear[-1].bias.div_(units)
        rows = table.take(np.linspace(0, len(table) - 1, min(len(table), MEASURED_ROWS)).astype(int))
        self.smoothness_ = smoothness(module, torch.tensor(self.network_.prepare(rows) / weights.input_scales))

    def summary(self) -> str:
        """The penalty, its strength and how it was chosen, and how smooth the network is, for a person."""
        check_is_fitted(self, "network_")
        kind = "no penalty" if self.penalty == "none" else f"{self.penalty} penalty of {self.selection_.text()}"
        return f"{kind}; on standardised inputs and outputs: {self.smoothness_.text()}"

    def _encoded(self, X: Rows) -> Table:
        check_is_fitted(self, "network_")
        return Table(self.schema_, encode_rows(self, X, self.schema_))


class SmoothTeacher(RegressorMixin, _Smooth):
    """A regressor: the default network, trained with a penalty on its slope.

    Parameters
    ----------
    penalty : {"jacobian", "lipschitz", "none"}
        The mean squared Frobenius norm of the Jacobian at the rows, the sum of the logarithms of the layers' spectral
        norms, or nothing: then it is the network of `train_default` with the same seed.
    strength : float, sequence of float, or "auto"
        What the penalty is multiplied with, for standardised inputs and targets. Several are all tried, and one is
        taken by its score on validation rows; "auto" tries 0, 0.001, 0.01 and 0.1.
    select_by : {"teacher", "student"}
        How one of several is chosen: by the network's own loss, without the penalty, or by the score (R2 on the true
        target) of a copy of `student` that is fitted on the network's answers to the training rows.
    student : estimator, optional
        For ``select_by="student"``; gets rows in the container that they came in.
    penalty_share : float
        The share of each batch on which the Jacobian is taken, above 0 and at most 1: less is faster.
    hidden : sequence of int
        The widths of the hidden layers.
    max_epochs : int, optional
        By the number of rows where absent, as for the default network.
    validation : float
        The share of the rows that training is stopped by and the strength chosen by; not with `validation_data`.
    random_state : int, Generator or None
        The same seed gives the same network on one machine. All strengths start from the same weights.
    progress : bool or function
        A bar on the error stream, or a function of (what, done, total).

    Attributes
    ----------
    network_ : DefaultRegressor
        The network, with all that one of `train_default` can do.
    strength_ : float
        The strength that was taken.
    selection_ : Selection
        By which rule, and the score of each.
    smoothness_ : Smoothness
        On standardised inputs and outputs, over at most 500 of the rows it was trained on.
    schema_ : Schema
        The columns of ``fit``.

    Source
    ------
    Dhar2025.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(200, 2))
    >>> quick = {"hidden": (16,), "max_epochs": 20, "random_state": 0}
    >>> rough = SmoothTeacher("none", **quick).fit(X, X[:, 0] ** 2)
    >>> smooth = SmoothTeacher("jacobian", 0.1, **quick).fit(X, X[:, 0] ** 2)
    >>> smooth.smoothness_.mean_jacobian < rough.smoothness_.mean_jacobian
    True
    """

    network_: DefaultRegressor

    def fit(self, X: Rows, y: Any, *, validation_data: tuple[Rows, Any] | None = None) -> SmoothTeacher:
        """Trains the network, or one for each strength, and returns itself.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a pandas, Polars or Arrow frame, or a `Table`; at least 5 rows.
        y : array ``(n,)`` or ``(n, k)``
            Quantities.
        validation_data : (X, y), optional
            Rows to stop and to choose by; the network is then trained on all of `X`.

        Raises
        ------
        InputError, ValueError
            Where anything is missing, not finite or of the wrong shape, or a parameter is out of its range.
        TeacherError
            Where no student can be fitted.

        Cost
        ----
        See the file's header.
        """
        read_parameters(self)
        table = read_rows(self, X, y)
        target = _quantities(y, len(table))
        held = None
        if validation_data is not None:
            held_rows, held_y = _read_pair(validation_data, table.schema)
            own = _quantities(held_y, len(held_rows))
            held = (held_rows, own, own)
        self._fit(table, target, target, held, ())
        return self

    def predict(self, X: Rows) -> np.ndarray:
        """The values ``(n,)``, or ``(n, k)`` for several targets.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        rows = self._encoded(X)
        return self.network_.predict(rows)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class SmoothTeacherClassifier(ClassifierMixin, _Smooth):
    """A classifier: the default network, trained with a penalty on the slope of its scores.

    Parameters
    ----------
    penalty, strength, penalty_share, hidden, max_epochs, validation, random_state, progress
        As in `SmoothTeacher`; the Jacobian is that of the scores before the softmax, exact for two classes, by one
        random projection a step for more.
    classes : sequence, optional
        All labels, in the order of the probabilities; the sorted labels of ``y`` where absent.
    select_by : {"teacher", "student"}
        By the network's cross-entropy, or by the accuracy of the student on the true labels.
    student : estimator, optional
        A classifier, fitted on the labels that the network gives; one whose ``fit`` takes ``y_soft`` also gets the
        probabilities.

    Attributes
    ----------
    classes_ : array ``(k,)``
        The labels, in the order of the probabilities.
    network_ : DefaultClassifier
        The network.
    strength_, selection_, smoothness_, schema_
        As in `SmoothTeacher`; outputs are the scores, which are not standardised.

    Source
    ------
    Dhar2025 has no classifiers: this one is ours.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(200, 2))
    >>> teacher = SmoothTeacherClassifier(hidden=(16,), max_epochs=20, random_state=0).fit(X, X[:, 0] > 0)
    >>> teacher.predict([[0.9, 0.0], [-0.9, 0.0]]).tolist()
    [True, False]
    """

    classes_: np.ndarray
    network_: DefaultClassifier

    def __init__(
        self,
        penalty: Literal["none", "jacobian", "lipschitz"] = "jacobian",
        strength: float | Sequence[float] | Literal["auto"] = 0.01,
        *,
        classes: Sequence[Any] | None = None,
        select_by: Literal["teacher", "student"] = "teacher",
        student: Any = None,
        penalty_share: float = 1.0,
        hidden: Sequence[int] = (128, 128),
        max_epochs: int | None = None,
        validation: float = 0.2,
        random_state: RandomState = None,
        progress: Progress = False,
    ) -> None:
        super().__init__(
            penalty,
            strength,
            select_by=select_by,
            student=student,
            penalty_share=penalty_share,
            hidden=hidden,
            max_epochs=max_epochs,
            validation=validation,
            random_state=random_state,
            progress=progress,
        )
        self.classes = classes

    def fit(self, X: Rows, y: Any, *, validation_data: tuple[Rows, Any] | None = None) -> SmoothTeacherClassifier:
        """Trains the network, or one for each strength, and returns itself.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a pandas, Polars or Arrow frame, or a `Table`; at least 5 rows.
        y : array ``(n,)``
            Labels, of at least two classes.
        validation_data : (X, y), optional
            Rows to stop and to choose by; the network is then trained on all of `X`.

        Raises
        ------
        InputError, ValueError
            As in `SmoothTeacher`, and for a single class or a label of `validation_data` that `y` lacks.
        TeacherError
            Where no student can be fitted.
        """
        read_parameters(self)
        table = read_rows(self, X, y)
        labels = read_labels(y, len(table))
        found = np.unique(labels)
        if len(found) < 2 and len(table) >= MIN_ROWS:
            raise InputError(f"a classifier needs rows of at least 2 classes; got 1 class: {found.tolist()}")
        if self.classes is not None and len({str(label) for label in self.classes}) < len(self.classes):
            raise InputError(f"classes must name different labels; got {list(self.classes)!r:.200}")
        ordered = tuple(found.tolist()) if self.classes is None else tuple(self.classes)
        target = read_targets(labels, "classification", ordered)[1] if len(found) > 1 else np.ones((len(labels), 1))
        self.classes_ = found if self.classes is None else np.array(ordered)
        held = None
        if validation_data is not None:
            held_rows, held_y = _read_pair(validation_data, table.schema)
            held_target = self._positions(read_labels(held_y, len(held_rows)), ordered)
            held = (held_rows, held_target, self.classes_[held_target.argmax(axis=1)])
        self._fit(table, target, self.classes_[target.argmax(axis=1)], held, ordered)
        return self

    def _positions(self, labels: np.ndarray, classes: tuple[Any, ...]) -> np.ndarray:
        """One 1 a row ``(n, k)``."""
        place = {str(label): i for i, label in enumerate(classes)}
        unknown = sorted(set(map(str, labels.tolist())) - set(place))
        if unknown:
            raise InputError(f"validation_data holds labels that y lacks: {unknown[:8]}; y holds {list(classes)[:20]}")
        return np.eye(len(classes))[[place[str(label)] for label in labels.tolist()]]

    def predict_proba(self, X: Rows) -> np.ndarray:
        """The probability of each class, ``(n, k)``, in the order of `classes_`.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        rows = self._encoded(X)
        return self.network_.predict_proba(rows)

    def predict(self, X: Rows) -> np.ndarray:
        """The most probable label of each row, ``(n,)``.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])


def _quantities(y: Any, n: int) -> np.ndarray:
    """Targets ``(n, k)`` of float64."""
    target = read_target(y)
    same_length("y", len(target), n)
    return read_targets(target, "regression", None)[1]


def _read_pair(data: Any, schema: Schema) -> tuple[Table, Any]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError(f"validation_data must be a pair (X, y) of rows to stop by; got a {type(data).__name__}")
    Z = schema.encode(data[0])
    if not len(Z):
        raise InputError("validation_data must hold at least one row; got none")
    return Table(schema, Z), data[1]
