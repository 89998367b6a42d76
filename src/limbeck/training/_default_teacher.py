"""The default network: what is trained and then distilled when a person has only a table.

One multilayer perceptron of two hidden layers (128, 128; SiLU), on standardised inputs: nominal columns one-hot, and
numbers that are never negative and far from symmetric (skewness above 1) on a logarithmic scale. Trained by
`limbeck._core.mlp`: AdamW, one cycle of the learning rate, early stopping on 20 % of the rows.

Departures
----------
The settings are ours, chosen on Concrete and Adult; they are a sound start, not the best network for every table. A
person with a better model gives that instead.

Checked
-------
tests/truth/test_default_teacher.py: Concrete, Adult-like mixed columns, and worlds where nothing can be learnt.

Cost
----
Seconds for thousands of rows; about 5 s for 36,000 rows of 14 columns on one core. Memory: the one-hot matrix,
8 * n * (numbers + levels) bytes, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.mlp import MLPWeights, fit_mlp, forward
from limbeck._core.progress import Report
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows, Schema, Table
from limbeck._core.targets import infer_task, read_target

if TYPE_CHECKING:
    import torch

__all__ = ["DefaultClassifier", "DefaultRegressor", "train_default"]

Task: TypeAlias = Literal["regression", "classification"]

HIDDEN = (128, 128)
VALIDATION = 0.2
MIN_ROWS = 20
SKEWED = 1.0
BATCH_ROWS = 8192


def one_hot_and_logs(schema: Schema, Z: np.ndarray, logs: Sequence[float]) -> np.ndarray:
    """What the network sees ``(n, m)``: 0/1 for each nominal level, ``log(1 + z/s)`` where ``s > 0``, else ``z``."""
    parts = []
    for j, (column, scale) in enumerate(zip(schema.columns, logs, strict=True)):
        z = Z[:, j : j + 1]
        if column.kind == "nominal":
            parts.append((z == np.arange(len(column.levels))).astype(np.float64))
        else:
            parts.append(np.log1p(np.maximum(z, 0.0) / scale) if scale > 0 else z)
    return np.hstack(parts)


def log_scales(schema: Schema, Z: np.ndarray) -> tuple[float, ...]:
    """For each column the scale ``s`` of its logarithm (the lower quartile of the values above 0), or 0 for none."""
    scales = []
    for j, column in enumerate(schema.columns):
        z = Z[:, j]
        spread = z.std()
        above = z[z > 0]
        skewed = (
            not column.levels
            and spread > 0
            and z.min() >= 0
            and (((z - z.mean()) / spread) ** 3).mean() > SKEWED
            and len(np.unique(z)) > 2
        )
        scales.append(float(np.quantile(above, 0.25)) if skewed and len(above) else 0.0)
    return tuple(scales)


def _logarithms(logs: Sequence[float]) -> torch.nn.Module:
    """`one_hot_and_logs` of columns of numbers as a torch module."""
    import torch

    scales = torch.tensor(logs, dtype=torch.float64)

    class Logarithms(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            logged = torch.log1p(z.clamp_min(0.0) / torch.where(scales > 0, scales, 1.0))
            return torch.where(scales > 0, logged, z)

    return Logarithms()


class OnTable:
    """A network that was trained on a table: what scikit-learn and `limbeck.teachers` ask of it."""

    schema: Schema

    takes_table = True
    """Read by `limbeck.teachers`: rows may come as a `Table`, with nothing decoded."""

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The columns that it takes, in order; there is no such attribute where it was trained on an array."""
        if self.schema.container == "numpy":
            raise AttributeError("feature_names_in_: this network was trained on an array without names")
        return np.array(self.schema.names, dtype=object)

    @property
    def n_features_in_(self) -> int:
        """The number of columns that it takes."""
        return len(self.schema)

    def _outputs(self, X: Rows) -> np.ndarray:
        """Values, scores or probabilities ``(n, k)``."""
        raise NotImplementedError


class RegressorOnTable(OnTable):
    """One that predicts quantities."""

    _estimator_type = "regressor"

    def predict(self, X: Rows) -> np.ndarray:
        """The predicted values: ``(n,)``, or ``(n, k)`` where there are several targets."""
        values = self._outputs(X)
        return values[:, 0] if values.shape[1] == 1 else values


class ClassifierOnTable(OnTable):
    """One that predicts classes."""

    classes: tuple[Any, ...]

    _estimator_type = "classifier"

    @property
    def classes_(self) -> np.ndarray:
        """The classes, in the order of the probabilities."""
        return as_labels(self.classes)

    def predict(self, X: Rows) -> np.ndarray:
        """The most probable class ``(n,)``."""
        return np.asarray(self.classes_[self._outputs(X).argmax(axis=1)])


@dataclass(frozen=True)
class _DefaultTeacher(OnTable):
    """A trained default network: plain numbers, no torch.

    Attributes
    ----------
    schema : Schema
        The columns that it takes.
    logs : tuple of float
        For each column the scale of its logarithm, or 0.
    network : MLPWeights
        The network on what `prepare` gives.
    """

    schema: Schema
    logs: tuple[float, ...]
    network: MLPWeights

    def prepare(self, X: Rows) -> np.ndarray:
        """What the network sees ``(n, m)``: one-hot levels, logarithms, numbers."""
        return one_hot_and_logs(self.schema, self.schema.encode(X), self.logs)

    def _outputs(self, X: Rows) -> np.ndarray:
        Z = self.schema.encode(X)
        out = np.empty((len(Z), self.network.n_outputs))
        for start in range(0, len(Z), BATCH_ROWS):
            rows = slice(start, start + BATCH_ROWS)
            out[rows] = forward(self.network, one_hot_and_logs(self.schema, Z[rows], self.logs))
        return out

    def module(self) -> torch.nn.Sequential:
        """The same network as a torch module in float64 and in eval mode, on what `prepare` gives; scores in
        classification, values in regression.
        """
        import torch

        acts = {"relu": torch.nn.ReLU, "silu": torch.nn.SiLU, "tanh": torch.nn.Tanh}
        layers: list[torch.nn.Module] = []
        for weight, bias in zip(self.network.weights, self.network.biases, strict=True):
            make: Any = torch.nn.utils.skip_init
            linear = make(torch.nn.Linear, *weight.shape, dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(torch.tensor(weight.T))
                linear.bias.copy_(torch.tensor(bias))
            layers += [linear, acts[self.network.activation]()]
        return torch.nn.Sequential(*layers[:-1]).eval()

    def module_on_rows(self) -> torch.nn.Module | None:
        """The same network as a torch module on the rows as they are; None where they have nominal columns."""
        import torch

        if not self.schema.all_numbers:
            return None
        return torch.nn.Sequential(_logarithms(self.logs), self.module()).eval()

    def to_dict(self) -> dict[str, Any]:
        """The whole teacher as JSON types, every number exact."""
        return {
            "kind": "default_network",
            "schema": self.schema.to_dict(),
            "logs": list(self.logs),
            "network": self.network.to_dict(),
        }


@dataclass(frozen=True)
class DefaultRegressor(RegressorOnTable, _DefaultTeacher):
    """A trained default network for quantities; `train_default` makes one."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DefaultRegressor:
        """The teacher that `to_dict` wrote."""
        return cls(*_read_parts(data, "regression"))


@dataclass(frozen=True)
class DefaultClassifier(ClassifierOnTable, _DefaultTeacher):
    """A trained default network for classes; `train_default` makes one."""

    classes: tuple[Any, ...] = ()

    def predict_proba(self, X: Rows) -> np.ndarray:
        """The probability of each class ``(n, k)``."""
        return self._outputs(X)

    def to_dict(self) -> dict[str, Any]:
        """The whole teacher as JSON types, every number exact."""
        return {**super().to_dict(), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DefaultClassifier:
        """The teacher that `to_dict` wrote."""
        schema, logs, network = _read_parts(data, "classification")
        classes = tuple(data.get("classes", ()))
        if len(classes) != network.n_outputs:
            raise InputError(
                f"a saved network of {network.n_outputs} outputs needs as many classes; got {classes!r:.80}"
            )
        return cls(schema, logs, network, classes)


def _read_parts(data: dict[str, Any], task: Task) -> tuple[Schema, tuple[float, ...], MLPWeights]:
    if data.get("kind") != "default_network":
        raise InputError(f"a saved default network has the kind 'default_network'; got {data.get('kind')!r:.80}")
    schema, network = Schema.from_dict(data["schema"]), MLPWeights.from_dict(data["network"])
    logs = tuple(float(scale) for scale in data["logs"])
    width = sum(len(column.levels) if column.kind == "nominal" else 1 for column in schema.columns)
    if network.task != task or network.n_inputs != width or len(logs) != len(schema):
        raise InputError(
            f"a saved network must fit its columns and its task; got {network.n_inputs} inputs for {width}, "
            f"task {network.task!r} for {task!r}"
        )
    return schema, logs, network


def as_labels(classes: Sequence[Any]) -> np.ndarray:
    labels = np.array(classes)
    return labels if labels.dtype.kind in "iub" else np.array(classes, dtype=object)


def train_default(
    table: Rows,
    y: Any,
    task: Task | None = None,
    *,
    classes: Sequence[Any] | None = None,
    random_state: RandomState = None,
    progress: Report | None = None,
) -> DefaultRegressor | DefaultClassifier:
    """A network trained on a table: a model with `predict`, and `predict_proba` in classification.

    Parameters
    ----------
    table : rows
        ``(n, d)``, at least 20 rows; numbers and columns with levels mixed.
    y : array
        Quantities ``(n,)`` or ``(n, k)``, or one label a row.
    task : {"regression", "classification"}, optional
        Where absent: text, booleans and few whole numbers (at most 20 different ones) are classes.
    classes : sequence, optional
        All labels, in order; the sorted labels of `y` where absent.
    random_state : int, Generator or None
        The same seed gives the same network on one machine.
    progress : function, optional
        Called after each epoch with (what, done, total).

    Raises
    ------
    InputError
        For too few rows, a target of another length, missing values, text for a regression, a label that `classes`
        lacks, or a single class.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(size=(200, 2))
    >>> network = train_default(X, X[:, 0] > 0.5, random_state=0)
    >>> network.predict_proba(X[:3]).shape
    (3, 2)
    """
    table = Table.read(table)
    task, labels, numbers = read_supervised(table, y, task, classes)
    logs = log_scales(table.schema, table.values)
    seed = draw_seeds(random_state, 1)[0]
    network = fit_network(one_hot_and_logs(table.schema, table.values, logs), numbers, task, seed, progress=progress)
    if task == "regression":
        return DefaultRegressor(table.schema, logs, network)
    return DefaultClassifier(table.schema, logs, network, labels)


def read_supervised(
    table: Table, y: Any, task: Task | None, classes: Sequence[Any] | None
) -> tuple[Task, tuple[Any, ...], np.ndarray]:
    """The task, the labels, and what a network is fitted to ``(n, k)``, for the rows of a table; checked."""
    target = read_target(y)
    if len(target) != len(table):
        raise InputError(f"y must have one value for each of the {len(table)} rows; got shape {target.shape}")
    if len(table) < MIN_ROWS:
        raise InputError(f"at least {MIN_ROWS} rows are required to train a network; got {len(table)}")
    if task not in (None, "regression", "classification"):
        raise InputError(f"task must be 'regression', 'classification' or None; got {task!r:.80}")
    task = task or ("classification" if classes is not None else infer_task(target))
    return task, *read_targets(target, task, classes)


def read_targets(y: np.ndarray, task: Task, classes: Sequence[Any] | None) -> tuple[tuple[Any, ...], np.ndarray]:
    """The labels, and what the network is fitted to ``(n, k)``: quantities, or one 1 a row."""
    if task == "regression":
        if y.dtype.kind not in "fiub":
            raise InputError(f"regression needs numbers in y; got text such as {y.flat[0]!r:.60}")
        return (), y.astype(np.float64).reshape(len(y), -1)
    if y.ndim != 1:
        raise InputError(f"classification needs one label a row; got y of shape {y.shape}")
    texts = y.astype(str) if y.dtype.kind == "O" else y
    found = tuple(np.unique(texts).tolist())
    labels = found if classes is None else tuple(classes)
    position = {str(label): i for i, label in enumerate(labels)}
    unknown = [value for value in found if str(value) not in position]
    if unknown:
        raise InputError(f"y holds labels that classes lacks: {unknown[:6]}; classes are {list(labels)[:12]}")
    if len(found) < 2:
        raise InputError(f"classification needs at least two classes in y; got only {list(found)}")
    numbers = np.zeros((len(y), len(labels)))
    numbers[np.arange(len(y)), [position[str(value)] for value in texts.tolist()]] = 1.0
    return labels, numbers


def fit_network(
    X: np.ndarray,
    Y: np.ndarray,
    task: Task,
    seed: int,
    *,
    validation: float | tuple[np.ndarray, np.ndarray] | None = VALIDATION,
    hidden: Sequence[int] = HIDDEN,
    max_epochs: int | None = None,
    penalty: Any = None,
    progress: Report | None = None,
) -> MLPWeights:
    """The network on what it sees ``(n, m)``, with a batch and a number of epochs that go with the number of rows."""
    rows = round(len(X) * (1 - validation)) if isinstance(validation, float) else len(X)
    batch = int(np.clip(2 ** round(np.log2(rows / 10)), 16, 1024))
    epochs = int(np.clip(1600 * batch // rows, 15, 200)) if max_epochs is None else int(max_epochs)
    return fit_mlp(
        X,
        Y,
        task=task,
        hidden=hidden,
        validation=validation,
        max_epochs=epochs,
        patience=max(8, epochs // 4),
        batch_size=batch,
        lr=3e-3,
        weight_decay=0.1,
        seed=seed,
        activation="silu",
        progress=progress,
        penalty=penalty,
    )
