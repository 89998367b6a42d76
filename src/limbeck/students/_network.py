"""Network students: a small multilayer perceptron trained on the teacher's answers, frozen into plain numbers.

Source
------
Bucila2006: a small network fitted to the answers of a large model on many unlabelled rows.

Departures
----------
- A classifier fits the teacher's probabilities by cross-entropy, not by squared error.
- The standardisation of inputs and targets is folded into the first and the last layer, and the weights are rounded to
  the digits that matter, so what is read and exported is the whole model.
- Equal rows are merged first: a row of weight 3 is exactly a row that comes three times, in any order.
- A column that is constant over the rows gets weight 0: nothing can be learnt from it.

Checked
-------
The frozen network against the one that was trained, to 1e-5 of the outputs' spread.

Cost
----
`max_epochs` passes of about 20 batches each; 10,000 rows of 8 columns, 32 units: about 3 seconds.
"""

from __future__ import annotations

import itertools
import math
import numbers
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.mlp import fit_mlp
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows
from limbeck.readable import Layer, NetworkReadable
from limbeck.readable._network import ACTIVATIONS, design_inputs, design_matrix
from limbeck.students._fitting import TrainingRows, read_classification, read_regression
from limbeck.students._predicting import StudentClassifier, StudentRegressor

__all__ = ["NetworkClassifier", "NetworkRegressor", "fit_network"]

VALIDATION_ROWS = 200
"""From so many different rows on, a tenth of them is held out to stop by."""
ROUNDING = 1e-5
"""What rounding the weights may move the outputs by, as a share of their spread."""


def fit_network(
    rows: TrainingRows,
    *,
    hidden_layer_sizes: Any = (32,),
    activation: str = "relu",
    max_epochs: int = 200,
    learning_rate: float = 0.03,
    weight_decay: float = 1e-4,
    random_state: RandomState = None,
) -> tuple[NetworkReadable, tuple[tuple[float, float], ...]]:
    """The network for these rows, and the losses of every epoch; the arguments are those of `NetworkRegressor`."""
    hidden = _checked_sizes(hidden_layer_sizes)
    _check_arguments(activation, max_epochs, learning_rate, weight_decay)
    if len(rows) < 2:
        raise InputError(f"a network needs at least 2 rows to train on; got n_samples = {len(rows)}")
    rows = rows.distinct()
    if len(rows) < 2:
        rows = rows.take(np.array([0, 0]))
    inputs = design_inputs(rows.table.schema)
    X = design_matrix(inputs, rows.values)
    trained = fit_mlp(
        X,
        rows.targets,
        task=rows.task,
        hidden=hidden,
        weights=rows.weights / rows.weights.mean(),
        validation=0.1 if len(rows) >= VALIDATION_ROWS else None,
        max_epochs=int(max_epochs),
        patience=max(10, int(max_epochs) // 4),
        batch_size=_batch_size(len(rows)),
        lr=learning_rate,
        weight_decay=weight_decay,
        seed=draw_seeds(random_state, 1)[0],
        activation=activation,
    )
    layers = [Layer(weight, bias) for weight, bias in zip(trained.weights, trained.biases, strict=True)]
    layers[0] = _without_constants(layers[0], X)
    readable = NetworkReadable(rows.table.schema, rows.task, rows.output_names, inputs, tuple(layers), activation)  # type: ignore[arg-type]
    return _rounded(readable, rows.values), trained.history


def _checked_sizes(sizes: Any) -> tuple[int, ...]:
    sizes = (sizes,) if isinstance(sizes, numbers.Integral) else sizes
    try:
        hidden = tuple(sizes)
    except TypeError:
        hidden = (None,)
    if any(not isinstance(size, numbers.Integral) or int(size) < 1 for size in hidden):
        raise InputError(f"hidden_layer_sizes must be whole numbers of at least 1; got {sizes!r:.60}")
    return tuple(int(size) for size in hidden)


def _check_arguments(activation: Any, max_epochs: Any, learning_rate: Any, weight_decay: Any) -> None:
    if activation not in ACTIVATIONS:
        hint = did_you_mean(str(activation), ACTIVATIONS)
        raise InputError(f"activation must be one of {sorted(ACTIVATIONS)}; got {activation!r:.60}.{hint}")
    if not isinstance(max_epochs, numbers.Integral) or int(max_epochs) < 1:
        raise InputError(f"max_epochs must be a whole number of at least 1; got {max_epochs!r:.60}")
    if not isinstance(learning_rate, numbers.Real) or not 0 < float(learning_rate) < math.inf:
        raise InputError(f"learning_rate must be a number above 0; got {learning_rate!r:.60}")
    if not isinstance(weight_decay, numbers.Real) or not 0 <= float(weight_decay) < math.inf:
        raise InputError(f"weight_decay must be a number of at least 0; got {weight_decay!r:.60}")


def _batch_size(n: int) -> int:
    """A power of two with about 20 batches an epoch."""
    return int(np.clip(2 ** round(math.log2(n / 20)), 16, 1024)) if n > 20 else 16


def _without_constants(layer: Layer, X: np.ndarray) -> Layer:
    """The same outputs on these rows, and weight 0 for every input that does not vary."""
    constant = np.ptp(X, axis=0) == 0
    weight = np.where(constant[:, None], 0.0, layer.weight)
    return Layer(weight, layer.bias + X[0, constant] @ layer.weight[constant])


def _rounded(readable: NetworkReadable, Z: np.ndarray) -> NetworkReadable:
    """The network with as few digits (7, 9 or 11) as leave its outputs where they are, or as it is."""
    exact = readable.predict_encoded(Z)
    spread = max(float(exact.std()), 1e-12)
    for digits in (7, 9, 11):
        layers = tuple(Layer(_short(layer.weight, digits), _short(layer.bias, digits)) for layer in readable.layers)
        tried = NetworkReadable(
            readable.schema, readable.task, readable.output_names, readable.inputs, layers, readable.activation
        )
        if float(np.abs(tried.predict_encoded(Z) - exact).max()) <= ROUNDING * spread:
            return tried
    return readable


def _short(values: np.ndarray, digits: int) -> np.ndarray:
    flat = [float(f"{value:.{digits}g}") for value in values.ravel()]
    return np.array(flat, dtype=np.float64).reshape(values.shape)


def _expected_seconds(n: int, d: int, k: int, max_epochs: int, sizes: Any) -> float:
    """About how long a fit takes on one core: a step costs its overhead and its products."""
    widths = (d, *_checked_sizes(sizes), k)
    products = sum(a * b for a, b in itertools.pairwise(widths))
    steps = max_epochs * math.ceil(max(n, 1) / _batch_size(n))
    return steps * 6e-4 + max_epochs * n * products * 2e-9


class NetworkRegressor(StudentRegressor):
    """A small network for one or several outputs, frozen into plain numbers.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        The units of each hidden layer; an empty one makes a linear model.
    activation : {"relu", "tanh"}
    max_epochs : int
        The most passes over the rows; training stops earlier where a quarter of them brings nothing.
    learning_rate : float
        The highest rate of the one cycle that the rate goes through.
    weight_decay : float
    random_state : int, Generator or None
        Decides the first weights, the order of the rows and those held out to stop by.

    Attributes
    ----------
    readable_ : NetworkReadable
    n_iter_ : int
        The passes made.
    loss_curve_ : list of float
        The loss that training stopped by, a number a pass (targets standardised).

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
        random_state: RandomState = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
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

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        self.readable_, history = fit_network(rows, **self.get_params())
        self.loss_curve_ = [watched for _, watched in history]
        self.n_iter_ = len(history)
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, k, self.max_epochs, self.hidden_layer_sizes)


class NetworkClassifier(StudentClassifier):
    """A small network with a probability for every class, frozen into plain numbers.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        The units of each hidden layer; an empty one makes a linear model.
    activation : {"relu", "tanh"}
    max_epochs : int
        The most passes over the rows; training stops earlier where a quarter of them brings nothing.
    learning_rate : float
        The highest rate of the one cycle that the rate goes through.
    weight_decay : float
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
        random_state: RandomState = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
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

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_classification(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        self.readable_, history = fit_network(rows, **self.get_params())
        self.loss_curve_ = [watched for _, watched in history]
        self.n_iter_ = len(history)
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` classes, on one core."""
        return _expected_seconds(n, d, k, self.max_epochs, self.hidden_layer_sizes)
