"""Network students: a small multilayer perceptron trained on the teacher's answers, frozen into plain numbers.

Source
------
Bucila2006: a small network fitted to the answers of a large model on many unlabelled rows.

Departures
----------
- A classifier fits the teacher's probabilities by cross-entropy, not by squared error.
- The standardisation of inputs and targets is folded into the first and the last layer, and the weights are rounded to
  single precision (or 8 bits), so what is read and exported is the whole model.
- Equal rows are merged first: a row of weight 3 is exactly a row that comes three times, in any order.
- A column that is constant over the rows gets weight 0: nothing can be learnt from it.
- Early stopping, widths, embeddings and precision are ours: see `_network_fit` and `_network_precision`.

Checked
-------
The frozen network against the one that was trained, to 1e-5 of the outputs' spread.

Cost
----
`max_epochs` passes of about 20 batches each; 10,000 rows of 8 columns, 32 units: about 3 seconds. With "auto" about
twice the widest network. Memory: the rows once; a stream, one part of it.
"""

from __future__ import annotations

import itertools
import math
import numbers
from typing import Any, TypeVar

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.progress import Progress, reporting
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows, Table
from limbeck.readable._network import ACTIVATIONS
from limbeck.students._fitting import TrainingRows, read_classification, read_regression
from limbeck.students._network_fit import DEPTH, WIDTHS, Options, batch_size, fit_network
from limbeck.students._predicting import StudentClassifier, StudentRegressor

__all__ = ["NetworkClassifier", "NetworkRegressor"]

Student = TypeVar("Student", "NetworkClassifier", "NetworkRegressor")


def _fit(student: Student, rows: TrainingRows, stream: Any, validation: Any, progress: Progress) -> Student:
    """The student with all that a fit leaves on it."""
    options = _options(student)
    if stream is not None and (not hasattr(stream, "__iter__") or iter(stream) is iter(stream)):
        raise InputError(
            "stream is read once for each pass, so it must be iterable again and again; got a "
            f"{type(stream).__name__}. Give a list, or what limbeck.queries.ask returns."
        )
    said = getattr(stream, "classes", None)
    if said is not None and rows.classes is not None and list(map(str, said)) != list(map(str, rows.classes)):
        raise InputError(
            f"the answers of the stream are probabilities of {list(said)[:12]}, in that order; here the classes are "
            f"{rows.classes.tolist()[:12]}. Give classes={list(said)[:12]} to fit."
        )
    held = None if validation is None else _read_validation(rows, validation)
    with reporting(progress) as report:
        fitted = fit_network(rows, options, stream=stream, validation=held, report=report)
    student.readable_ = fitted.readable
    student.front_ = fitted.front
    student.loss_curve_ = [watched for _, watched in fitted.history]
    student.n_iter_ = len(fitted.history)
    student.complete_ = fitted.complete
    return student


def _options(student: Any) -> Options:
    given = student.get_params()
    sizes = given.pop("hidden_layer_sizes")
    hidden = None if isinstance(sizes, str) and sizes == "auto" else _checked_sizes(sizes)
    _check_training(given["activation"], given["max_epochs"], given["learning_rate"], given["weight_decay"])
    _check_form(given["embedding_dims"], given["prune"], given["quantize"], given["max_bytes"])
    widths = _checked_sizes(given.pop("widths"), "widths")
    if hidden is None and not widths:
        raise InputError("widths must name at least one width where hidden_layer_sizes is 'auto'; got none")
    return Options(hidden, **given, widths=tuple(sorted(set(widths))))


def _checked_sizes(sizes: Any, name: str = "hidden_layer_sizes") -> tuple[int, ...]:
    sizes = (sizes,) if isinstance(sizes, numbers.Integral) else sizes
    try:
        hidden = tuple(sizes)
    except TypeError:
        hidden = (None,)
    if any(not isinstance(size, numbers.Integral) or int(size) < 1 for size in hidden):
        also = ", or 'auto'" if name == "hidden_layer_sizes" else ""
        raise InputError(f"{name} must be whole numbers of at least 1{also}; got {sizes!r:.60}")
    return tuple(int(size) for size in hidden)


def _check_training(activation: Any, max_epochs: Any, learning_rate: Any, weight_decay: Any) -> None:
    if activation not in ACTIVATIONS:
        hint = did_you_mean(str(activation), ACTIVATIONS)
        raise InputError(f"activation must be one of {sorted(ACTIVATIONS)}; got {activation!r:.60}.{hint}")
    if not isinstance(max_epochs, numbers.Integral) or int(max_epochs) < 1:
        raise InputError(f"max_epochs must be a whole number of at least 1; got {max_epochs!r:.60}")
    if not isinstance(learning_rate, numbers.Real) or not 0 < float(learning_rate) < math.inf:
        raise InputError(f"learning_rate must be a number above 0; got {learning_rate!r:.60}")
    if not isinstance(weight_decay, numbers.Real) or not 0 <= float(weight_decay) < math.inf:
        raise InputError(f"weight_decay must be a number of at least 0; got {weight_decay!r:.60}")


def _check_form(embedding_dims: Any, prune: Any, quantize: Any, max_bytes: Any) -> None:
    whole = isinstance(embedding_dims, numbers.Integral) and not isinstance(embedding_dims, bool)
    if embedding_dims not in (None, "auto") and not (whole and int(embedding_dims) >= 1):
        raise InputError(
            f"embedding_dims must be a whole number of at least 1, 'auto' or None; got {embedding_dims!r:.60}"
        )
    if not isinstance(prune, numbers.Real) or not 0 <= float(prune) < 1:
        raise InputError(f"prune, a share of the weights, must be from 0 to below 1; got {prune!r:.60}")
    if quantize not in (None, "int8"):
        raise InputError(f"quantize must be 'int8' or None; got {quantize!r:.60}")
    if max_bytes is not None and (not isinstance(max_bytes, numbers.Integral) or int(max_bytes) < 1):
        raise InputError(f"max_bytes must be a whole number of at least 1, or None; got {max_bytes!r:.60}")


def _read_validation(rows: TrainingRows, validation: Any) -> tuple[Table, np.ndarray]:
    """Validation rows under the schema of the training rows, and the answers on them ``(n, k)``."""
    try:
        X, answers = validation
    except (TypeError, ValueError):
        raise InputError(f"validation is a pair (rows, answers); got a {type(validation).__name__}") from None
    table = rows.table.with_values(rows.table.schema.encode(X))
    answers = np.asarray(answers, dtype=np.float64).reshape(len(table), -1)
    if answers.shape[1] != rows.targets.shape[1] or not np.isfinite(answers).all():
        raise InputError(
            f"validation needs {rows.targets.shape[1]} finite answer(s) a row, the teacher's; got shape {answers.shape}"
        )
    return table, answers


def _expected_seconds(n: int, d: int, k: int, max_epochs: int, sizes: Any, widths: Any = ()) -> float:
    """About how long a fit takes on one core: a step costs its overhead and its products."""
    if isinstance(sizes, str) and sizes == "auto":
        return sum(_expected_seconds(n, d, k, max_epochs, (width,) * DEPTH) for width in widths)
    units = (d, *_checked_sizes(sizes), k)
    products = sum(a * b for a, b in itertools.pairwise(units))
    steps = max_epochs * math.ceil(max(n, 1) / batch_size(n))
    return steps * 6e-4 + max_epochs * n * products * 4e-10


class NetworkRegressor(StudentRegressor):
    """A small network for one or several outputs, frozen into plain numbers.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, or "auto"
        The units of each hidden layer; an empty one makes a linear model. With "auto" three layers of each of `widths`
        are fitted, and the smallest kept whose answers on the validation rows are as good as the best's (within
        one paired standard error, or a thousandth of R2); all of them are in `front_`.
    activation : {"relu", "tanh"}
    max_epochs : int
        The most passes over the rows; training stops earlier where a quarter of them brings nothing.
    learning_rate : float
        The highest rate of the one cycle that the rate goes through.
    weight_decay : float
    embedding_dims : int, "auto" or None
        The numbers that stand for each level of a column. None: every level has an indicator. An int: columns of more
        levels than that are embedded in so many numbers. "auto": columns of 8 levels or more, in the square root of
        their number, at most 8.
    prune : float
        The share of the weights that become 0, the least first (the last layer's stay).
    quantize : {"int8"} or None
        Weights as 8-bit whole numbers times a scale a unit.
    max_bytes : int, optional
        The most that ``pack(readable_)`` may take.
    widths : sequence of int
        What "auto" tries; with `max_bytes` also the widest that fits.
    random_state : int, Generator or None
        Decides the first weights, the order of the rows and those held out to stop by.

    Attributes
    ----------
    readable_ : NetworkReadable
    n_iter_ : int
        The passes made.
    loss_curve_ : list of float
        The loss that training stopped by, a number a pass (targets standardised).
    front_ : tuple of Member
        A network for each width that was tried; empty where `hidden_layer_sizes` is given.
    complete_ : bool
        False where Ctrl-C cut the search of a width short.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> network = NetworkRegressor((8,), max_epochs=100, random_state=0).fit(X, np.abs(X[:, 0]))
    >>> bool(network.score(X, np.abs(X[:, 0])) > 0.98)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (32,),
        activation: str = "relu",
        max_epochs: int = 200,
        learning_rate: float = 0.03,
        weight_decay: float = 1e-4,
        embedding_dims: int | str | None = None,
        prune: float = 0.0,
        quantize: str | None = None,
        max_bytes: int | None = None,
        widths: Any = WIDTHS,
        random_state: RandomState = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.embedding_dims = embedding_dims
        self.prune = prune
        self.quantize = quantize
        self.max_bytes = max_bytes
        self.widths = widths
        self.random_state = random_state

    def fit(
        self,
        X: Rows,
        y: Any,
        *,
        sample_weight: Any = None,
        y_soft: Any = None,
        classes: Any = None,
        stream: Any = None,
        validation: Any = None,
        progress: Progress = False,
    ) -> NetworkRegressor:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`.
        y : array ``(n,)`` or ``(n, k)``
            The teacher's values.
        sample_weight : array ``(n,)``, optional
        y_soft, classes
            For classifiers only: refused.
        stream : iterable of (rows, answers), optional
            More rows to train on, each of weight 1, in parts that are read anew for every pass, so that millions need
            not fit into memory: `limbeck.queries.ask` and `limbeck.queries.read_answers` give such a stream. It must be
            possible to iterate it more than once.
        validation : pair (rows, answers), optional
            Rows to stop by, and to choose a width by, with the teacher's answers. Where absent, some of the rows
            are held out.
        progress : bool or callable

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        return _fit(self, rows, stream, validation, progress)

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self.max_epochs, self.hidden_layer_sizes, self.widths)


class NetworkClassifier(StudentClassifier):
    """A small network with a probability for every class, frozen into plain numbers.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, or "auto"
        The units of each hidden layer; an empty one makes a linear model. With "auto" three layers of each of `widths`
        are fitted, and the smallest kept whose answers on the validation rows are as good as the best's (within
        one paired standard error, or a thousandth of R2); all of them are in `front_`.
    activation : {"relu", "tanh"}
    max_epochs : int
        The most passes over the rows; training stops earlier where a quarter of them brings nothing.
    learning_rate : float
        The highest rate of the one cycle that the rate goes through.
    weight_decay : float
    embedding_dims : int, "auto" or None
        The numbers that stand for each level of a column. None: every level has an indicator. An int: columns of more
        levels than that are embedded in so many numbers. "auto": columns of 8 levels or more, in the square root of
        their number, at most 8.
    prune : float
        The share of the weights that become 0, the least first (the last layer's stay).
    quantize : {"int8"} or None
        Weights as 8-bit whole numbers times a scale a unit.
    max_bytes : int, optional
        The most that ``pack(readable_)`` may take.
    widths : sequence of int
        What "auto" tries; with `max_bytes` also the widest that fits.
    random_state : int, Generator or None
        Decides the first weights, the order of the rows and those held out to stop by.

    Attributes
    ----------
    readable_ : NetworkReadable
    classes_ : array ``(k,)``
    n_iter_ : int
        The passes made.
    loss_curve_ : list of float
        The cross-entropy that training stopped by, a number a pass.
    front_ : tuple of Member
        A network for each width that was tried; empty where `hidden_layer_sizes` is given.
    complete_ : bool
        False where Ctrl-C cut the search of a width short.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> network = NetworkClassifier((8,), max_epochs=50, random_state=0).fit(X, np.abs(X[:, 0]) < 0.5)
    >>> network.predict([[0.0], [0.9]])
    array([ True, False])
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (32,),
        activation: str = "relu",
        max_epochs: int = 200,
        learning_rate: float = 0.03,
        weight_decay: float = 1e-4,
        embedding_dims: int | str | None = None,
        prune: float = 0.0,
        quantize: str | None = None,
        max_bytes: int | None = None,
        widths: Any = WIDTHS,
        random_state: RandomState = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.embedding_dims = embedding_dims
        self.prune = prune
        self.quantize = quantize
        self.max_bytes = max_bytes
        self.widths = widths
        self.random_state = random_state

    def fit(
        self,
        X: Rows,
        y: Any,
        *,
        sample_weight: Any = None,
        y_soft: Any = None,
        classes: Any = None,
        stream: Any = None,
        validation: Any = None,
        progress: Progress = False,
    ) -> NetworkClassifier:
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
        stream : iterable of (rows, answers), optional
            More rows to train on, each of weight 1, in parts that are read anew for every pass, so that millions need
            not fit into memory: `limbeck.queries.ask` and `limbeck.queries.read_answers` give such a stream. It must be
            possible to iterate it more than once.
        validation : pair (rows, answers), optional
            Rows to stop by, and to choose a width by, with the teacher's probabilities ``(n, k)``. Where absent, some
            of the rows are held out.
        progress : bool or callable

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_classification(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        return _fit(self, rows, stream, validation, progress)

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` classes, on one core."""
        return _expected_seconds(n, d, k, self.max_epochs, self.hidden_layer_sizes, self.widths)
